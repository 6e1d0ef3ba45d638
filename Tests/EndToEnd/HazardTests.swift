import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Threads that are nearly always where nobody may call anything into them.
    @Suite("Hazards")
    struct HazardTests {
        enum Mode: String, CaseIterable {
            case malloc
            case lookup
            case dlopen
            case stdio
            case mixed
        }

        enum Allocator: String, CaseIterable {
            case libc
            case jemalloc = "libjemalloc.so.2"
            case tcmalloc = "libtcmalloc_minimal.so.4"

            func environment() throws -> [String: String] {
                guard self != .libc else { return [:] }
                let path = "/usr/lib/x86_64-linux-gnu/\(rawValue)"
                try require(path, because: "the allocator \(rawValue)")
                return ["LD_PRELOAD": path]
            }
        }

        private static let cases = Mode.allCases.count * Allocator.allCases.count

        @Test("are stepped around: nothing breaks, nothing stands still", arguments: Mode.allCases, Allocator.allCases)
        func areSteppedAround(_ mode: Mode, _ allocator: Allocator) throws {
            let times = Stress.share(of: Self.cases, least: 10)
            try strain(.host, mode, environment: allocator.environment(), times: times)
        }

        @Test("are stepped around with every glibc", arguments: [Libc.bullseye, .bookworm, .trixie, .sid])
        func withEveryGlibc(_ libc: Libc) throws {
            try strain(libc, .mixed, environment: [:], times: Stress.share(of: Self.cases, least: 10))
        }

        private func strain(_ libc: Libc, _ mode: Mode, environment: [String: String], times: Int) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\noptions timeout:1\n")
            let victim = try Victim(
                libc, "hazards", [mode.rawValue, "localhost", "one.example", "two.example"], environment: environment,
                etc: etc, ownNetwork: true)
            let responder = try DNSResponder(.answer, at: ["127.0.0.2", "127.0.0.3"], besides: victim.id)
            var reinitialized = 0
            var longestPause = 0.0
            for count in 0..<times {
                // A changed file makes the injected call open, allocate and free.
                try etc.change(to: "nameserver 127.0.0.\(2 + count % 2)\noptions timeout:1\n")
                let run = try refresh(victim.id, "--force", "--wait", "0.05")
                #expect(run.status == 0 || run.status == 1)
                let process = try run.process()
                #expect(process.error == nil)
                reinitialized += process.resolvers.count { $0.repair?.action == "reinitialize" }
                let pauses = process.resolvers.compactMap { $0.repair?.pauseMicroseconds }
                longestPause = max(longestPause, pauses.max() ?? 0)
                #expect(!process.resolvers.contains { $0.repair?.result == "failed" }, "\(run.standardOutput)")
                try victim.checkAlive(after: "\(count + 1) refreshes, the longest pause being \(longestPause) us")
            }
            // At least the main thread, which does nothing but wait.
            #expect(reinitialized > 0)
            try expectProgress(of: victim)
            _ = responder.queries
            #expect(try victim.end() > 0)
        }

        /// Every busy thread sleeps for a moment now and then, which the kernel counts.
        private func expectProgress(of victim: Victim) throws {
            for thread in victim.ready.dropFirst().compactMap({ Int32($0) }).map(ThreadID.init) {
                let before = try ProcessStatus(of: thread, in: victim.id).voluntarySwitches
                let goesOn = try eventually(within: 10) {
                    try ProcessStatus(of: thread, in: victim.id).voluntarySwitches > before
                }
                #expect(goesOn, "thread \(thread) of \(victim.name) stands still")
            }
        }
    }
}
