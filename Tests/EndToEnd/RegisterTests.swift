import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// A thread with a known value in every register, the vectors and the red zone included, across raw system calls.
    @Suite("Registers")
    struct RegisterTests {
        @Test("come back unchanged from every refresh", arguments: Libc.glibcs)
        func comeBackUnchanged(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let victim = try Victim(libc, "registers", etc: etc)
            var actions: [String: Int] = [:]
            for count in 0..<max(50, Stress.share(of: Libc.glibcs.count)) {
                // A changed file makes the call as long as it can be.
                try etc.change(to: "nameserver 127.0.0.\(2 + count % 2)\n")
                let run = try refresh(victim.id, "--force", "--wait", "0.2")
                actions[try #require(run.process().resolvers.first?.repair?.action), default: 0] += 1
            }
            #expect(Set(actions.keys).isSubset(of: ["reinitialize", "deferred"]), "\(actions)")
            #expect(try victim.end() > 0)
        }
    }
}
