import Glibc
import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// What can be seen of a process from outside is the same after a refresh as before.
    @Suite("Nothing stays behind")
    struct NothingStaysBehindTests {
        @Test("no mapping, descriptor, mask or tracer, and no changed code", arguments: Libc.glibcs)
        func nothing(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let resolver = try ResolverVictim(libc, etc: etc)
            let before = try ProcessPicture(of: resolver.id)
            #expect(try eventually(within: 5) { try areAllAsleep(resolver.id) })
            for count in 0..<4 {
                try etc.change(to: "nameserver 127.0.0.\(3 + count)\n")
                let run = try refresh(resolver.id, "--force")
                #expect(run.status == 0)
                #expect(try run.process().resolvers.allSatisfy { $0.repair?.action == "reinitialize" })
                let changes = try ProcessPicture(of: resolver.id).changes(since: before)
                #expect(changes == [])
                // A thread that goes back to sleep may be seen on its way.
                #expect(try eventually(within: 1) { try areAllAsleep(resolver.id) })
            }
            #expect(try isLeftAlone(resolver.id))
            #expect(try changedCode(of: resolver.id) == [])
            try resolver.victim.end()
        }

        private func areAllAsleep(_ process: ProcessID) throws -> Bool {
            try threadStates(of: process).values.allSatisfy { $0 == .sleeping }
        }

        @Test("no stop that a parent is told of", arguments: ["refresh", "inspect"])
        func noReportedStop(_ command: String) throws {
            let resolver = try ResolverVictim(.host)
            let options = command == "refresh" ? ["--force"] : []
            for _ in 0..<5 { #expect(try runRepoint([command, resolver.word] + options).status == 0) }
            #expect(resolver.victim.reportedStops == 0)
            // The instrument works: a real stop is reported.
            resolver.victim.send(SIGSTOP)
            #expect(eventually(within: 5) { resolver.victim.reportedStops == 1 })
            resolver.victim.send(SIGCONT)
            try resolver.victim.end()
        }

        @Test("no process of repoint's own")
        func noWorkers() throws {
            let resolver = try ResolverVictim(.host)
            #expect(try runRepoint(["refresh", "--force", resolver.word]).status == 0)
            #expect(try eventually(within: 2) { try !ProcessID.all().contains { (try? $0.name()) == "repoint" } })
            try resolver.victim.end()
        }

        @Test("no growth of the heap over many refreshes", arguments: Libc.glibcs)
        func noGrowth(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let resolver = try ResolverVictim(libc, etc: etc)
            func refreshAll(_ times: Int) throws -> Int {
                for count in 0..<times {
                    try etc.change(to: "nameserver 127.0.0.\(2 + count % 8)\n")
                    #expect(try refresh(resolver.id, "--force").status == 0)
                }
                return try MemoryMap(of: resolver.id).regions.filter(\.isWritable).map(\.range.count).reduce(0, +)
            }
            let early = try refreshAll(10)
            #expect(try refreshAll(Stress.share(of: 20, least: 16)) == early)
            try resolver.victim.end()
        }
    }
}
