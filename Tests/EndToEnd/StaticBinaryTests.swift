import Glibc
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// The one-file build, on a system that has nothing at all.
    @Suite("The static binary")
    struct StaticBinaryTests {
        @Test("works in an empty directory with nothing but /proc", arguments: Libc.allCases)
        func worksAlone(_ libc: Libc) throws {
            guard let program = Stage.variable("REPOINT_STATIC") else {
                try Test.cancel("skipped: REPOINT_STATIC names no static build")
            }
            try require(program, because: "the static build")
            let root = try TemporaryDirectory()
            _ = try root.copy(program, as: "repoint")
            #expect(mkdir("\(root.path)/proc", 0o755) == 0)
            // The mount goes with the mount namespace.
            let alone = [
                "unshare", "--mount", "--", "sh", "-ec", "mount --rbind /proc \"$0/proc\"; exec chroot \"$0\" \"$@\"",
                root.path,
            ]

            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let resolver = try ResolverVictim(libc, etc: etc)
            let seen = try runRepoint(["inspect", "--json", resolver.word], under: alone, program: "/repoint")
            #expect(seen.status == 0, "\(seen.standardError)")
            #expect(try seen.process().resolvers.allSatisfy { $0.state == "current" })
            #expect(try seen.process().resolvConf?.nameservers == ["127.0.0.2"])
            if libc.isGlibc {
                try resolver.options("+200000", in: 1)
                try etc.change(to: "nameserver 127.0.0.3\n")
                let healed = try runRepoint(["refresh", "--json", resolver.word], under: alone, program: "/repoint")
                #expect(healed.status == 0, "\(healed.standardError)")
                #expect(try healed.thread(resolver.threads[1]).repair?.action == "reinitialize")
                #expect(try resolver.show(1).servers == ["127.0.0.3"])
            }
            try resolver.victim.end()
        }
    }
}
