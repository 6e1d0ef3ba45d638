import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Processes and threads that are gone by the time one has decided what to do about them.
    @Suite("Churn")
    struct ChurnTests {
        private static let limit = 30.0
        /// Done, in part, or gone.
        private static let statuses: Set<Int32> = [0, 1, 4]

        @Test(
            "is survived by both sides", arguments: ["threads", "execs", "forks", "thread-exec"],
            [Libc.host, .bullseye, .sid])
        func isSurvived(_ mode: String, _ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let victim = try Victim(libc, "churn", [mode], etc: etc)
            for count in 0..<Stress.share(of: 30, least: 10) {
                try etc.change(to: "nameserver 127.0.0.\(2 + count % 2)\n")
                for command in [["refresh", "--force", "--wait", "0.05"], ["inspect"]] {
                    let run = try runRepoint(command + ["--json", "\(victim.id)"], limit: Self.limit)
                    #expect(Self.statuses.contains(run.status), "\(run.status): \(run.standardError)")
                    #expect(run.report != nil)
                }
                try victim.checkAlive(after: "\(count + 1) refreshes")
            }
            #expect(try isLeftAlone(victim.id))
            #expect(try victim.end() > 0)
        }

        @Test(
            "is no error of a command on every process, which does not wait for those that are gone",
            arguments: ["refresh", "inspect"])
        func everyProcess(_ command: String) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            var victims = try ["forks", "threads", "execs", "thread-exec"].map { mode in
                try Victim(.host, "churn", [mode], etc: etc)
            }
            // Programs that are started, look for their libraries and end.
            let loop = "while :; do sleep 0.01 & sleep 0.02 & true | cat; wait; done"
            victims += try (0..<4).map { _ in try Victim(["sh", "-c", "echo ready; \(loop)"], etc: etc) }
            let options = command == "refresh" ? ["--force", "--wait", "0.05"] : []
            for count in 0..<Stress.share(of: 15, least: 10) {
                try etc.change(to: "nameserver 127.0.0.\(2 + count % 2)\n")
                let run = try runRepoint([command, "--all", "--json"] + options, limit: Self.limit)
                #expect(run.status == 0 || command == "refresh" && run.status == 1, "\(run.status)")
                #expect(run.standardError == "")
                let report = try #require(run.report)
                #expect(report.summary.failed == 0)
                #expect(report.processes.compactMap(\.error) == [])
                // One that became another program while it was looked at is looked at again.
                let unread = report.processes.flatMap(\.resolvers).filter { $0.state == "opaque" }
                #expect(unread.allSatisfy { $0.explanation?.contains("becoming another program") == true })
                #expect(run.run.seconds < 10)
                let seen = Set(report.processes.map(\.pid))
                // The one whose threads replace it has at times no leader, as if it had ended.
                #expect(victims.allSatisfy { $0 === victims[3] || seen.contains($0.id.rawValue) })
            }
            for victim in victims.prefix(4) { #expect(try victim.end() > 0) }
        }

        @Test("by a process that exits meanwhile ends the command too", arguments: Libc.glibcs)
        func exits(_ libc: Libc) throws {
            for _ in 0..<Stress.share(of: 50, least: 4) {
                let victim = try Victim(libc, "churn", ["exits"])
                var run = try runRepoint(["refresh", "--json", "--force", "\(victim.id)"], limit: Self.limit)
                while victim.isAlive {
                    #expect(Self.statuses.contains(run.status), "\(run.status): \(run.standardError)")
                    run = try runRepoint(["refresh", "--json", "--force", "\(victim.id)"], limit: Self.limit)
                }
                #expect(try victim.waitForEnd() > 0)
                #expect(try refresh(victim.id).status == 4)
            }
        }
    }
}
