import Glibc
import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Processes with namespaces, a root directory and a C library of their own, seen from outside.
    @Suite("Containers")
    struct ContainerTests {
        private static let old = "nameserver 127.0.0.2\n"
        private static let new = "nameserver 127.0.0.3\n"
        private static let library = "/lib/x86_64-linux-gnu/libc.so.6"
        private static let isolations: [Set<Isolation>] = [
            [.pid, .net, .user], [.pid], [.chroot], [.chroot, .pid, .net],
        ]

        private static func container(
            _ libc: Libc = .bullseye, _ isolation: Set<Isolation> = Isolation.all
        ) throws -> ResolverVictim {
            try .inContainer(libc, isolation, etc: try EtcDirectory(resolvConf: old))
        }

        @Test("a process is named as we number it, its files as it names them", arguments: Libc.allCases, isolations)
        func names(_ libc: Libc, _ isolation: Set<Isolation>) throws {
            let resolver = try Self.container(libc, isolation)
            let run = try inspect(resolver.id)
            #expect(run.status == 0, "\(run.standardError)")
            let process = try run.process()
            #expect(process.pid == resolver.id.rawValue)
            #expect(process.innerPid == (isolation.contains(.pid) ? 1 : nil))
            #expect(process.executable == "/bin/resolver")
            #expect(process.resolvConf?.path == "/etc/resolv.conf")
            #expect(process.resolvConf?.nameservers == ["127.0.0.2"])
            #expect(process.resolvers.map(\.thread) == resolver.threads)
            #expect(process.resolvers.allSatisfy { $0.state == "current" && $0.nameservers == ["127.0.0.2:53"] })
            let path =
                switch libc {
                case .musl: "/lib/ld-musl-x86_64.so.1"
                case .muslStatic: "/bin/resolver"
                default: Self.library
                }
            #expect(Set(process.resolvers.map(\.path)) == [path])
            if let version = libc.version { #expect(process.resolvers.first?.version == version) }
            try resolver.victim.end()
        }

        @Test("its namespaces are told from the host's", arguments: isolations)
        func namespaces(_ isolation: Set<Isolation>) throws {
            let resolver = try Self.container(.host, isolation)
            let namespaces = try #require(try inspect(resolver.id).process().namespaces)
            #expect(namespaces.mount.hasPrefix("mnt:["))
            for (kind, name) in [
                (Isolation.net, namespaces.network), (.pid, namespaces.pid), (.user, namespaces.user),
            ] {
                let isOwn = isolation.contains(kind)
                #expect((name == "host") == !isOwn, "\(kind) is \(name ?? "nothing")")
                if isOwn { #expect(name?.hasPrefix("\(kind):[") == true) }
            }
        }

        @Test("what is pinned is repaired from outside", arguments: Libc.glibcs, isolations)
        func repaired(_ libc: Libc, _ isolation: Set<Isolation>) throws {
            let resolver = try Self.container(libc, isolation)
            try resolver.options("+200000", in: 1)
            try resolver.changeResolvConf(to: Self.new)
            let before = try inspect(resolver.id)
            #expect(try before.thread(resolver.threads[1]).state == "pinned")
            #expect(try before.thread(resolver.threads[2]).state == "following")
            let run = try refresh(resolver.id)
            #expect(run.status == 0, "\(run.standardError)")
            let report = try run.thread(resolver.threads[1])
            #expect(report.repair?.action == "reinitialize")
            #expect(report.repair?.result == "done")
            #expect(report.evidence?.file == "opened")
            #expect(report.evidence?.readBack == "matches")
            #expect(try resolver.show(1).servers == ["127.0.0.3"])
            #expect(try resolver.show(2).servers == ["127.0.0.2"])
            #expect(try isLeftAlone(resolver.id))
            try resolver.victim.end()
        }

        @Test(
            "the C library that runs is judged, not the file that has taken its name or is gone",
            arguments: [true, false])
        func upgraded(isReplaced: Bool) throws {
            let resolver = try Self.container(.bullseye)
            let files = try directoryEntries("\(resolver.root)/lib/x86_64-linux-gnu").filter { $0.hasPrefix("libc") }
            for name in files {
                let path = "/lib/x86_64-linux-gnu/\(name)"
                if isReplaced {
                    let newer = "\(Stage.targets)/libcs/cache/trixie/libs/libc.so.6"
                    try require(newer, because: "another C library")
                    try resolver.install(try readFile(newer), as: path, mode: 0o755)
                } else {
                    #expect(unlink(resolver.root + path) == 0)
                }
            }
            try resolver.options("+400000", in: 2)
            try resolver.changeResolvConf(to: Self.new)
            let report = try inspect(resolver.id).thread(resolver.threads[2])
            #expect(report.version == Libc.bullseye.version)
            #expect(report.state == "pinned")
            let run = try refresh(resolver.id)
            #expect(run.status == 0, "\(run.standardError)")
            #expect(try run.thread(resolver.threads[2]).repair?.action == "reinitialize")
            #expect(try resolver.show(2).servers == ["127.0.0.3"])
            try resolver.victim.end()
        }

        @Test("a name stands for the processes of all containers, and of none")
        func byName() throws {
            let outside = try ResolverVictim(.host, etc: try EtcDirectory(resolvConf: Self.old))
            let containers = try Self.isolations.map { try Self.container(.host, $0) }
            let all = [outside] + containers
            for resolver in containers {
                try resolver.options("+200000", in: 1)
                try resolver.changeResolvConf(to: Self.new)
            }
            let run = try runRepoint(["refresh", "--json", "resolver"])
            #expect(run.status == 0, "\(run.standardError)")
            #expect(run.report?.processes.map(\.pid) == all.map(\.id.rawValue).sorted())
            #expect(Set(run.report?.processes.compactMap(\.namespaces?.mount) ?? []).count == all.count)
            for resolver in containers { #expect(try resolver.show(1).servers == ["127.0.0.3"]) }
            #expect(try outside.show(1).servers == ["127.0.0.2"])
            for resolver in all { try resolver.victim.end() }
        }

        @Test("without a resolv.conf inside, nothing is called: its libc would ask 127.0.0.1", arguments: isolations)
        func noFile(_ isolation: Set<Isolation>) throws {
            let resolver = try Self.container(.bullseye, isolation)
            try resolver.options("+2000000", in: 1)
            #expect(unlink("\(resolver.root)/etc/resolv.conf") == 0)
            let run = try refresh(resolver.id)
            #expect(run.status == 1)
            #expect(try run.thread(resolver.threads[1]).repair?.action == "refused")
            #expect(try resolver.show(1).servers == ["127.0.0.2"])
        }
    }
}
