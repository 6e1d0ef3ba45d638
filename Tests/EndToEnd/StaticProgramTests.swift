import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Programs that glibc is linked into.
    @Suite("Static programs")
    struct StaticProgramTests {
        private static let old = "nameserver 127.0.0.2\n"
        private static let new = "nameserver 127.0.0.3\nsearch new.example\n"
        /// Builds of the same victim: glibc 2.36 and 2.31, and a position-independent one.
        private static let builds = ["static", "static-pie", "bullseye-static"]

        private static func start(_ build: String, fresh: Bool = false, etc: EtcDirectory) throws -> ResolverVictim {
            let program = "\(Stage.targets)/build/\(build)/resolver"
            try require(program, because: "a static program")
            return ResolverVictim(
                try Victim([program, "--threads", "2"] + (fresh ? ["--fresh"] : []), etc: etc))
        }

        @Test("with symbols are read, thread by thread", arguments: builds)
        func read(_ build: String) throws {
            let etc = try EtcDirectory(
                resolvConf: "nameserver 127.0.0.2\nsearch one.example\noptions ndots:2 timeout:3 rotate\n")
            let resolver = try Self.start(build, etc: etc)
            let run = try inspect(resolver.id)
            #expect(run.status == 0, "\(run.standardError)")
            #expect(try run.process().resolvers.map(\.thread) == resolver.threads)
            for (number, thread) in resolver.threads.enumerated() {
                let report = try run.thread(thread)
                let own = try resolver.show(number)
                #expect(report.library == "glibc")
                #expect(report.version == (build == "bullseye-static" ? "2.31" : "2.36"))
                #expect(report.state == "current")
                #expect(report.nameservers == own.servers.map { "\($0):53" })
                #expect(report.search == own.search)
                #expect(report.options?.ndots == 2)
                #expect(report.options?.timeout == 3)
                #expect(report.options?.flags == ["rotate"])
            }
            try resolver.victim.end()
        }

        @Test("that never looked a name up are idle", arguments: builds)
        func idle(_ build: String) throws {
            let resolver = try Self.start(build, fresh: true, etc: try EtcDirectory(resolvConf: Self.old))
            #expect(try inspect(resolver.id).process().resolvers.map(\.state) == ["idle", "idle", "idle"])
        }

        @Test(
            "that are pinned have their bits cleared, and reload at their next lookup; nothing is called",
            arguments: builds)
        func cleared(_ build: String) throws {
            let etc = try EtcDirectory(resolvConf: Self.old)
            let resolver = try Self.start(build, etc: etc)
            try resolver.options("+200000", in: 1)
            try resolver.options("+2000000", in: 2)
            try etc.change(to: Self.new)
            let before = try inspect(resolver.id)
            #expect(try before.thread(resolver.threads[0]).state == "following")
            #expect(try before.thread(resolver.threads[1]).reason == "lost-reply")
            #expect(try before.thread(resolver.threads[2]).reason == "no-reload")
            let run = try refresh(resolver.id)
            #expect(run.status == 0, "\(run.standardError)")
            for number in 1...2 {
                let report = try run.thread(resolver.threads[number])
                #expect(report.was == "pinned")
                #expect(report.state == "following")
                #expect(report.repair?.action == "clear")
                #expect(report.repair?.note?.contains("one image") == true)
                #expect(report.evidence?.readBack == "matches")
                #expect(report.evidence?.file == nil)
                #expect(try resolver.show(number).servers == ["127.0.0.2"])
                #expect(try resolver.show(number).options & 0x260_0000 == 0)
            }
            // The promise is put to the test. The older glibc would load its NSS modules, and another libc with them.
            if build != "bullseye-static" {
                _ = try resolver.lookup("localhost", in: 1)
                #expect(try resolver.show(1).servers == ["127.0.0.3"])
                #expect(try resolver.show(1).search == ["new.example"])
                #expect(try inspect(resolver.id).thread(resolver.threads[1]).state == "current")
            }
            try resolver.victim.end()
        }

        @Test("that would need a call say why there is none", arguments: builds)
        func noCall(_ build: String) throws {
            let etc = try EtcDirectory(resolvConf: Self.old)
            let resolver = try Self.start(build, etc: etc)
            try resolver.set("retry", 4, in: 1)
            try resolver.useServer("127.0.0.77", in: 2)
            try etc.change(to: Self.new)
            let before = try (0...2).map { try resolver.show($0) }
            let run = try refresh(resolver.id, "--force")
            #expect(run.status == 1)
            for (thread, reason) in [(0, "one image"), (1, "one image"), (2, "own")] {
                let repair = try run.thread(resolver.threads[thread]).repair
                #expect(repair?.action == "refused")
                #expect(repair?.reason?.contains(reason) == true)
            }
            #expect(try (0...2).map { try resolver.show($0) } == before)
            try resolver.victim.end()
        }

        @Test("whose file was replaced or deleted are read from the one they run", arguments: builds)
        func deleted(_ build: String) throws {
            let program = "\(Stage.targets)/build/\(build)/resolver"
            try require(program, because: "a static program")
            let resolver = try ResolverVictim.inContainer(
                .muslStatic, etc: try EtcDirectory(resolvConf: Self.old), program: program)
            try resolver.install(try readFile("/bin/true"), as: "/bin/resolver", mode: 0o755)
            let run = try inspect(resolver.id)
            #expect(try run.process().resolvers.map(\.state) == ["current", "current", "current"])
            #expect(try run.process().resolvers.first?.path == "/bin/resolver")
            try resolver.victim.end()
        }

        @Test("without symbols are opaque, and say why")
        func stripped() throws {
            let resolver = try Self.start("static-stripped", etc: try EtcDirectory(resolvConf: Self.old))
            let seen = try inspect(resolver.id)
            #expect(seen.status == 0)
            let report = try #require(try seen.process().resolvers.first)
            #expect(report.library == "glibc")
            #expect(report.state == "opaque")
            #expect(report.explanation?.contains("stripped") == true)
            #expect(try refresh(resolver.id).status == 1)
            try resolver.victim.end()
        }

        @Test("that load another libc for their NSS modules have two, and are refused")
        func loadsAnother() throws {
            let program = "\(Stage.targets)/build/bullseye-static/resolver"
            try require(program, because: "a static program")
            let resolver = try ResolverVictim.inContainer(
                .bullseye, etc: try EtcDirectory(resolvConf: Self.old), program: program)
            #expect(try inspect(resolver.id).process().resolvers.map(\.state) == ["current", "current", "current"])
            _ = try resolver.lookup("localhost", in: 1)
            let run = try refresh(resolver.id, "--force")
            #expect(run.status == 1)
            #expect(try run.process().resolvers.map(\.repair?.action) == ["refused"])
            #expect(try run.process().resolvers.first?.explanation?.contains("2 C libraries") == true)
            try resolver.victim.end()
        }
    }
}
