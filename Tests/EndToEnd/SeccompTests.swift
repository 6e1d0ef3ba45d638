import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Processes whose seccomp filter could make a call that isn't theirs their last.
    @Suite("Seccomp")
    struct SeccompTests {
        private static let newFile = "nameserver 127.0.0.3\n"

        private func start(_ libc: Libc, _ mode: String, isPinned: Bool) throws -> (Victim, EtcDirectory) {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let environment = isPinned ? ["VICTIM_PINNED": "1"] : [:]
            return (try Victim(libc, "seccomp", [mode], environment: environment, etc: etc), etc)
        }

        @Test("that forbids opening files is respected", arguments: Libc.glibcs, ["kill-open", "errno-open"])
        func isRespected(_ libc: Libc, _ mode: String) throws {
            let (victim, etc) = try start(libc, mode, isPinned: false)
            try etc.change(to: Self.newFile)
            for _ in 0..<3 {
                let run = try refresh(victim.id, "--force", "--wait", "0.2")
                #expect(run.status == 1)
                let repair = try #require(run.process().resolvers.first?.repair)
                #expect(repair.action == "refused")
                let reason = repair.reason ?? ""
                #expect(reason.contains("seccomp filter does not allow openat"), "\(reason)")
            }
            #expect(try victim.end() > 0)
        }

        @Test("that forbids opening files leaves clearing bits", arguments: Libc.glibcs, ["kill-open", "errno-open"])
        func clearing(_ libc: Libc, _ mode: String) throws {
            let (victim, etc) = try start(libc, mode, isPinned: true)
            try etc.change(to: Self.newFile)
            let run = try refresh(victim.id)
            #expect(run.status == 0)
            let report = try #require(run.process().resolvers.first)
            #expect(report.was == "pinned")
            #expect(report.state == "following")
            #expect(report.repair?.action == "clear")
            #expect(report.repair?.note?.contains("openat") == true)
            #expect(try victim.end() > 0)
        }

        @Test("that allows what the call needs is no hindrance", arguments: Libc.glibcs, ["allow", "strict-args"])
        func isNoHindrance(_ libc: Libc, _ mode: String) throws {
            let (victim, etc) = try start(libc, mode, isPinned: true)
            try etc.change(to: Self.newFile)
            let run = try refresh(victim.id)
            #expect(run.status == 0)
            let report = try #require(run.process().resolvers.first)
            #expect(report.repair?.action == "reinitialize", "\(report.repair?.reason ?? report.repair?.note ?? "")")
            #expect(report.evidence?.file == "opened")
            #expect(report.state == "current")
            #expect(try victim.end() > 0)
        }
    }
}
