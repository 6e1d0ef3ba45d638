import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Processes with signals in unusual states, which complain when they find them otherwise than they left them.
    @Suite("Signals")
    struct SignalTests {
        private static let modes = ["segv-ignored", "segv-blocked", "alarm-storm", "altstack", "in-handler", "mask"]

        @Test("are found as they were left", arguments: Libc.glibcs)
        func areFoundAsLeft(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            var victims: [String: Victim] = [:]
            for mode in Self.modes { victims[mode] = try Victim(libc, "signals", [mode], etc: etc) }
            var actions: [String: Set<String>] = [:]
            for count in 0..<Stress.share(of: 50, least: 6) {
                try etc.change(to: "nameserver 127.0.0.\(2 + count % 2)\n")
                for (mode, victim) in victims {
                    let run = try refresh(victim.id, "--force", "--wait", "0.1")
                    actions[mode, default: []].insert(try #require(run.process().resolvers.first?.repair?.action))
                }
            }
            for victim in victims.values { #expect(throws: Never.self) { try victim.end() } }
            for mode in ["segv-ignored", "segv-blocked", "mask"] {
                #expect(actions[mode] == ["reinitialize"], "\(mode)")
            }
            // Nothing is called on top of a signal handler.
            #expect(actions["in-handler"] == ["deferred"])
        }
    }
}
