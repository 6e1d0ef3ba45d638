import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// A process with five hundred threads, each checking its waits.
    @Suite("Five hundred threads")
    struct ManyThreadsTests {
        private static let count = 500

        @Test("are inspected without being held", arguments: Libc.glibcs)
        func inspected(_ libc: Libc) throws {
            let victim = try Victim(libc, "threads", ["\(Self.count)", "500"])
            // Until all of them have come to the end of a wait.
            let deadline = Deadline(seconds: 1.5)
            while !deadline.hasPassed {
                let run = try inspect(victim.id)
                #expect(run.status == 0)
                let resolvers = try run.process().resolvers
                #expect(resolvers.count == Self.count + 1)
                #expect(resolvers.allSatisfy { $0.state == "current" })
                #expect(resolvers.allSatisfy { $0.heldMicroseconds ?? 0 < 1000 })
            }
            #expect(try victim.end() > 0)
        }

        @Test("are refreshed one by one, each held for moments only", arguments: Libc.glibcs)
        func refreshed(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let victim = try Victim(
                libc, "threads", ["\(Self.count)", "1000"], environment: ["VICTIM_PINNED": "1"], etc: etc)
            try etc.change(to: "nameserver 127.0.0.3\n")
            let run = try refresh(victim.id)
            let resolvers = try run.process().resolvers
            #expect(resolvers.count == Self.count + 1)
            #expect(resolvers.allSatisfy { $0.was == "pinned" })
            #expect(resolvers.allSatisfy { $0.state == "current" || $0.state == "following" })
            #expect(resolvers.count { $0.repair?.action == "reinitialize" } > Self.count * 9 / 10)
            let pauses = resolvers.compactMap { $0.repair?.pauseMicroseconds }.sorted()
            #expect(pauses.count == Self.count + 1)
            // One thread at a time; a busy machine may hold up a few of them.
            #expect(pauses[pauses.count / 2] < 2000, "the median pause is \(pauses[pauses.count / 2]) us")
            let deadline = Deadline(seconds: 1.5)
            #expect(eventually(within: 2) { deadline.hasPassed })
            #expect(try victim.end() > 0)
        }
    }
}
