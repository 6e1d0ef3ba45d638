import Glibc
import LinuxProcess
import Refresh
import Resolvers
import TestSupport
import Testing

extension RealProcesses {
    /// Many processes at a time: some well, some bad.
    @Suite("Many processes")
    struct ManyProcessesTests {
        private static let oldFile = "nameserver 127.0.0.2\n"

        /// One of each: current, following, pinned, with servers of its own, idle, and a zombie.
        private struct Host {
            let current: ResolverVictim
            let following: ResolverVictim
            let pinned: ResolverVictim
            let ownServers: ResolverVictim
            let idle: ResolverVictim
            let zombie: Victim

            init() throws {
                let changed = try EtcDirectory(resolvConf: oldFile)
                current = try ResolverVictim(.host, etc: try EtcDirectory(resolvConf: oldFile))
                following = try ResolverVictim(.host, etc: changed)
                pinned = try ResolverVictim(.host, etc: changed)
                ownServers = try ResolverVictim(.host, etc: changed)
                idle = try ResolverVictim(.host, fresh: true, etc: changed)
                zombie = try Victim(.host, "zombie")
                try pinned.options("+200000", in: 1)
                try ownServers.useServer("127.0.0.77", in: 1)
                try changed.change(to: "nameserver 127.0.0.3\n")
            }

            var resolvers: [ResolverVictim] { [current, following, pinned, ownServers, idle] }

            func endAll() throws { for resolver in resolvers { try resolver.victim.end() } }
        }

        @Test("are all looked into, each with its own verdict")
        func inspectAll() throws {
            let host = try Host()
            let run = try runRepoint(["inspect", "--all", "--json"])
            #expect(run.status == 0)
            let report = try #require(run.report)
            let states = host.resolvers.map { resolver in
                report.processes.first { $0.pid == resolver.id.rawValue }?.state?.rawValue
            }
            #expect(states == ["current", "following", "pinned", "pinned", "idle"])
            // Neither the first process, nor repoint and its workers, nor the dead.
            #expect(!report.processes.contains { $0.pid == 1 || $0.name == "repoint" })
            #expect(!report.processes.contains { "\($0.pid)" == host.zombie.ready[1] })
            let summary = report.summary
            #expect(summary.processes == report.processes.count)
            #expect(summary.pinned == 2)
            #expect(summary.following == 1)
            #expect(summary.idle >= 1)
            #expect(summary.current >= 1)
            #expect(summary.threads == report.processes.map(\.resolvers.count).reduce(0, +))
            try host.endAll()
        }

        @Test("are found by their name")
        func byName() throws {
            let host = try Host()
            let run = try runRepoint(["inspect", "resolver", "--json"])
            #expect(run.status == 0)
            #expect(run.report?.processes.map(\.pid) == host.resolvers.map(\.id.rawValue).sorted())
            #expect(run.report?.processes.allSatisfy { $0.name == "resolver" } == true)
            // Named twice, they are worked on once.
            let twice = try runRepoint(["inspect", "resolver", host.current.word, "--json"])
            #expect(twice.report?.processes.count == 5)
            try host.endAll()
        }

        @Test("are refreshed where they are pinned; the one that refuses is counted", arguments: ["--all", "--pinned"])
        func refreshAll(_ option: String) throws {
            let host = try Host()
            let run = try runRepoint(["refresh", option, "--json"])
            #expect(run.status == 1)
            let report = try #require(run.report)
            let healed = try #require(report.processes.first { $0.pid == host.pinned.id.rawValue })
            #expect(healed.hasRepair("reinitialize"))
            let refused = try #require(report.processes.first { $0.pid == host.ownServers.id.rawValue })
            #expect(refused.hasRepair("refused"))
            let isShown = report.processes.contains { $0.pid == host.current.id.rawValue }
            #expect(isShown == (option == "--all"))
            if option == "--pinned" { #expect(report.processes.count == 2) }
            #expect(report.summary.processes == report.processes.count)
            #expect(report.summary.refused == 1)
            #expect(report.summary.pinned == 1)
            #expect(try host.pinned.show(1).servers == ["127.0.0.3"])
            #expect(try host.ownServers.show(1).servers == ["127.0.0.77"])
            #expect(try host.following.show(1).servers == ["127.0.0.2"])
            #expect(try host.current.show(1).servers == ["127.0.0.2"])
            try host.endAll()
        }

        @Test("one that is gone does not keep the others from being refreshed")
        func oneIsGone() throws {
            let host = try Host()
            let run = try runRepoint(["refresh", "--json", "4194303", host.pinned.word, host.zombie.ready[1]])
            #expect(run.status == 1)
            #expect(run.errorLines.count == 2)
            #expect(run.report?.summary.failed == 2)
            #expect(run.report?.summary.processes == 3)
            #expect(try host.pinned.show(1).servers == ["127.0.0.3"])
        }

        @Test("each is judged by its own resolv.conf and in its own namespaces")
        func ownFiles() throws {
            let one = try ResolverVictim(.host, etc: try EtcDirectory(resolvConf: "nameserver 127.0.0.11\n"))
            let other = try ResolverVictim(
                .host, etc: try EtcDirectory(resolvConf: "nameserver 127.0.0.12\n"), ownNetwork: true)
            let report = try #require(runRepoint(["inspect", "--json", one.word, other.word]).report)
            #expect(report.processes.map(\.resolvConf?.nameservers) == [["127.0.0.11"], ["127.0.0.12"]])
            #expect(report.processes.allSatisfy { $0.resolvers.allSatisfy { $0.state == "current" } })
            #expect(Set(report.processes.map(\.namespaces?.mount)).count == 2)
            #expect(report.processes[0].namespaces?.network == "host")
            #expect(report.processes[1].namespaces?.network != "host")
        }

        @Test("many at once are all reported, in the order of their PIDs")
        func many() throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let victims = try (0..<24).map { _ in try Victim(.host, "waits", ["poll", "1000"], etc: etc) }
            try etc.change(to: "nameserver 127.0.0.3\n")
            let run = try runRepoint(["refresh", "--force", "--json", "waits"])
            #expect(run.status == 0)
            #expect(run.report?.processes.map(\.pid) == victims.map(\.id.rawValue).sorted())
            #expect(run.report?.summary.current == 24)
            for victim in victims { try victim.end() }
        }
    }
}
