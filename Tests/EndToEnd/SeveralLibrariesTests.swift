import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// More than one C library in a process, or what only looks so.
    @Suite("Several C libraries")
    struct SeveralLibrariesTests {
        private static let old = "nameserver 127.0.0.2\n"
        private static let new = "nameserver 127.0.0.3\n"

        @Test("are refused, as nobody can tell which of them resolves", arguments: Libc.glibcs)
        func refused(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.old)
            let victim = try Victim(libc, "twolibcs", ["dlmopen"], environment: ["VICTIM_PINNED": "1"], etc: etc)
            try etc.change(to: Self.new)
            let seen = try inspect(victim.id)
            #expect(seen.status == 0)
            let resolvers = try seen.process().resolvers
            #expect(resolvers.map(\.state) == ["opaque"])
            #expect(resolvers.map(\.library) == ["glibc"])
            #expect(resolvers.first?.explanation?.contains("2 C libraries") == true)
            for options in [[], ["--force"], ["--dry-run"]] {
                let run = try runRepoint(["refresh", "--json", "\(victim.id)"] + options)
                #expect(run.status == 1)
                let repair = try run.process().resolvers.first?.repair
                #expect(repair?.action == "refused")
                #expect(repair?.reason?.contains("2 C libraries") == true)
                #expect(run.report?.summary.refused == 1)
            }
            #expect(try isLeftAlone(victim.id))
            try victim.end()
        }

        @Test(
            "a file of another that is only mapped is none, even where it may be executed",
            arguments: ["mapped", "mapped-executable"], [Libc.musl, .bullseye, .host])
        func onlyMapped(_ mode: String, _ other: Libc) throws {
            let file =
                switch other {
                case .musl: "/lib/ld-musl-x86_64.so.1"
                case .host: "/lib/x86_64-linux-gnu/libc.so.6"
                default: "\(Stage.targets)/libcs/cache/\(other.rawValue)/libs/libc.so.6"
                }
            try require(file, because: "another C library")
            let etc = try EtcDirectory(resolvConf: Self.old)
            let victim = try Victim(.host, "twolibcs", [mode, file], environment: ["VICTIM_PINNED": "1"], etc: etc)
            #expect(
                try MemoryMap(of: victim.id).regions.filter { $0.name.contains("libc") || $0.name.contains("musl") }
                    .count > 3)
            try etc.change(to: Self.new)
            let run = try refresh(victim.id)
            #expect(run.status == 0, "\(run.standardError)")
            let resolvers = try run.process().resolvers
            #expect(resolvers.map(\.library) == ["glibc"])
            #expect(resolvers.first?.repair?.action == "reinitialize")
            #expect(resolvers.first?.nameservers == ["127.0.0.3:53"])
            try victim.end()
        }
    }
}
