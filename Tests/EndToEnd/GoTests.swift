import Glibc
import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Go programs, in every way they are linked.
    @Suite("Go")
    struct GoTests {
        private static let old = "nameserver 127.0.0.2\n"
        private static let new = "nameserver 127.0.0.3\n"
        /// Without a C library.
        private static let pure = ["go", "go-stripped"]
        private static let cgo = ["go-cgo", "go-cgo-static"]
        private static let usesLibc = ["GODEBUG": "netdns=cgo"]

        private static func start(
            _ build: String, environment: [String: String] = [:], etc: EtcDirectory, ownNetwork: Bool = false
        ) throws -> Victim {
            let program = "\(Stage.targets)/build/\(build)/golookup"
            try require(program, because: "a Go program")
            return try Victim([program], environment: environment, etc: etc, ownNetwork: ownNetwork)
        }

        private static func release() throws -> String {
            // go version go1.19.8 linux/amd64
            let words = try ProgramRun(["go", "version"]).standardOutput.split(separator: " ")
            return String(try #require(words.first { $0.hasPrefix("go1") }).dropFirst(2))
        }

        @Test("its own resolver is named, and follows: there is nothing to do", arguments: pure)
        func ownResolver(_ build: String) throws {
            let etc = try EtcDirectory(resolvConf: Self.old)
            let victim = try Self.start(build, etc: etc)
            _ = try victim.ask("lookup localhost")
            try etc.change(to: Self.new)
            let seen = try inspect(victim.id)
            #expect(seen.status == 0)
            #expect(try seen.process().resolvers.map(\.library) == ["go"])
            let report = try #require(try seen.process().resolvers.first)
            #expect(report.state == "following")
            #expect(report.version == (try Self.release()))
            #expect(report.path.hasSuffix("/golookup"))
            #expect(report.explanation?.contains("five seconds") == true)
            for options in [[], ["--force"]] {
                let run = try runRepoint(["refresh", "--json", "\(victim.id)"] + options)
                #expect(run.status == 0)
                #expect(try run.process().resolvers.map(\.repair?.action) == ["none"])
            }
            try victim.end()
        }

        @Test("what is said of it is so: five seconds later it asks the new server", arguments: ["go", "go-cgo"])
        func follows(_ build: String) throws {
            let etc = try EtcDirectory(resolvConf: Self.old)
            let victim = try Self.start(build, environment: ["GODEBUG": "netdns=go"], etc: etc, ownNetwork: true)
            let responder = try DNSResponder(.answer, at: ["127.0.0.2", "127.0.0.3"], besides: victim.id)
            _ = try victim.ask("lookup one.example")
            #expect(Set(responder.takeQueries().map(\.server)) == ["127.0.0.2"])
            try etc.change(to: Self.new)
            usleep(5_100_000)
            _ = try victim.ask("lookup two.example")
            #expect(Set(responder.takeQueries().map(\.server)) == ["127.0.0.3"])
            try victim.end()
        }

        @Test("with a C library besides, its threads are reported as well", arguments: cgo)
        func withLibc(_ build: String) throws {
            let etc = try EtcDirectory(resolvConf: Self.old)
            let victim = try Self.start(build, environment: Self.usesLibc, etc: etc)
            _ = try victim.ask("lookup localhost")
            try etc.change(to: Self.new)
            let resolvers = try inspect(victim.id).process().resolvers
            #expect(resolvers.filter { $0.library == "go" }.map(\.state) == ["following"])
            let threads = resolvers.filter { $0.library == "glibc" }
            #expect(try Set(threads.compactMap(\.thread)) == Set(victim.id.threads().map(\.rawValue)))
            // The one that did the lookup.
            #expect(threads.filter { $0.state == "following" }.map(\.nameservers) == [["127.0.0.2:53"]])
            #expect(threads.allSatisfy { ["following", "idle"].contains($0.state) })
            try victim.end()
        }

        @Test("nothing is called in a thread of its C library, whose stack Go manages; it starts afresh instead")
        func noCall() throws {
            let etc = try EtcDirectory(resolvConf: Self.old + "options no-reload\n")
            let victim = try Self.start("go-cgo", environment: Self.usesLibc, etc: etc)
            _ = try victim.ask("lookup localhost")
            try etc.change(to: Self.new)
            let before = try inspect(victim.id).process().resolvers
            #expect(before.filter { $0.state == "pinned" }.map(\.reason) == ["no-reload"])
            let run = try runRepoint(["refresh", "--json", "--wait", "0.2", "\(victim.id)"])
            #expect(run.status == 0, "\(run.standardError)")
            let thread = try run.process().resolvers.filter { $0.was == "pinned" }
            #expect(thread.map(\.repair?.action) == ["clear"])
            #expect(thread.map(\.repair?.result) == ["done"])
            #expect(thread.first?.repair?.note?.contains("not re-initialised at once") == true)
            _ = try victim.ask("lookup localhost")
            try victim.end()
        }
    }
}
