import FoundationEssentials
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// The two forms of a report: tables for people, JSON by the contract of the interface.
    @Suite("Output")
    struct OutputTests {
        private static let escape = "\u{1b}"

        /// A process of which much is to be said: long lists, a pinned thread, a thread in a lookup.
        private func talkative() throws -> ResolverVictim {
            let file = """
                nameserver 2001:db8:1111:2222:3333:4444:5555:6666
                nameserver 2001:db8:1111:2222:3333:4444:5555:7777
                nameserver 2001:db8:1111:2222:3333:4444:5555:8888
                search a-rather-long-domain.example another-rather-long-domain.example third.example
                options timeout:1 attempts:1 ndots:5 rotate edns0 single-request-reopen trust-ad

                """
            let etc = try EtcDirectory(resolvConf: file)
            let resolver = try ResolverVictim(.host, threads: 6, etc: etc)
            try resolver.options("+2000000", in: 1)
            try resolver.useServer("127.0.0.77", in: 2)
            try etc.change(to: "nameserver 127.0.0.3\n")
            return resolver
        }

        static let commands = [
            ["inspect"], ["inspect", "--verbose"], ["refresh", "--dry-run"], ["refresh", "--force"],
            ["refresh", "--verbose"],
        ]

        @Test("in a pipe has no colours and fits 100 columns", arguments: commands)
        func piped(_ command: [String]) throws {
            let resolver = try talkative()
            let run = try runRepoint(command + [resolver.word])
            let lines = run.standardOutput.split(separator: "\n")
            #expect(lines.count > 3)
            #expect(lines.allSatisfy { $0.count <= 100 }, "\(run.standardOutput)")
            #expect(!run.standardOutput.contains(Self.escape))
            #expect(!run.standardError.contains(Self.escape))
            #expect(run.standardOutput.contains("pinned"))
            #expect(run.standardOutput.contains(resolver.word))
        }

        @Test("on a terminal of 80 columns is coloured and fits them", arguments: commands)
        func terminal(_ command: [String]) throws {
            let script = "/usr/bin/script"
            try require(script, because: "a terminal")
            let resolver = try talkative()
            let words = [RepointRun.program] + command + [resolver.word]
            let inTerminal = "stty cols 80; unset NO_COLOR; exec \(words.joined(separator: " "))"
            let run = try ProgramRun([script, "-qec", inTerminal, "/dev/null"])
            #expect(run.standardOutput.contains("\(Self.escape)[31m"))
            let lines = plain(run.standardOutput).split(whereSeparator: \.isNewline)
            #expect(lines.count > 3)
            #expect(lines.allSatisfy { $0.count <= 80 }, "\(plain(run.standardOutput))")
        }

        /// The text without its colours and other control sequences, which end with their first letter.
        private func plain(_ text: String) -> String {
            let pieces = text.split(separator: "\(Self.escape)[", omittingEmptySubsequences: false)
            let rest = pieces.dropFirst().map { $0.drop { !$0.isLetter }.dropFirst() }
            return ([pieces[0]] + rest).joined()
        }

        @Test("as JSON has the fields of the interface")
        func fields() throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let resolver = try ResolverVictim(.host, threads: 1, etc: etc)
            try resolver.options("+200000", in: 1)
            try etc.change(to: "nameserver 127.0.0.3\nsearch new.example\n")
            let run = try refresh(resolver.id)
            let document = try JSONDecoder().decode(Interface.self, from: Data(run.standardOutput.utf8))
            #expect(document.schema == "repoint/1")
            #expect(document.command == "refresh")
            #expect(!document.host.isEmpty)
            #expect(document.at.hasSuffix("Z"))
            #expect(document.summary.processes == 1)
            let process = try #require(document.processes.first)
            #expect(process.name == "resolver")
            #expect(process.executable.hasSuffix("/resolver"))
            #expect(process.resolvConf.path == "/etc/resolv.conf")
            #expect(process.sessions.lost == 0)
            let report = try #require(process.resolvers.last)
            #expect(report.thread == resolver.threads[1])
            #expect(report.was == "pinned")
            #expect(report.state == "current")
            #expect(report.search == ["new.example"])
            let repair = try #require(report.repair)
            #expect(repair.result == "done")
            #expect(try #require(repair.pauseMicroseconds) > 0)
            #expect(report.evidence?.file == "opened")
        }

        /// The interface, written down a second time: a field that is renamed in the program is missed here.
        private struct Interface: Decodable {
            let schema: String
            let command: String
            let host: String
            let at: String
            let processes: [Process]
            let summary: Summary

            struct Process: Decodable {
                let pid: Int
                let name: String
                let executable: String
                let resolvConf: File
                let namespaces: Namespaces
                let resolvers: [Resolver]
                let sessions: Sessions
            }

            struct File: Decodable {
                let path: String
                let nameservers: [String]
                let search: [String]
                let options: [String]
            }

            struct Namespaces: Decodable {
                let mount: String
                let network: String
            }

            struct Resolver: Decodable {
                let library: String
                let version: String
                let path: String
                let thread: Int32
                let was: String
                let state: String
                let nameservers: [String]
                let search: [String]
                let options: Options
                let repair: Repair?
                let evidence: Evidence?
            }

            struct Options: Decodable {
                let ndots: Int
                let timeout: Int
                let attempts: Int
                let flags: [String]
            }

            struct Repair: Decodable {
                let action: String
                let result: String?
                let pauseMicroseconds: Double?
            }

            struct Evidence: Decodable {
                let file: String
                let readBack: String
            }

            struct Sessions: Decodable {
                let before: Int
                let after: Int
                let lost: Int
            }

            struct Summary: Decodable {
                let processes: Int
                let current: Int
                let following: Int
                let pinned: Int
                let idle: Int
                let opaque: Int
                let deferred: Int
                let refused: Int
            }
        }

        @Test("leaves out of the JSON what does not apply")
        func leavesOut() throws {
            let resolver = try ResolverVictim(.host)
            let run = try inspect(resolver.id)
            for word in ["null", "repair", "evidence", "lookup", "\"was\"", "sessions"] {
                #expect(!run.standardOutput.contains(word), "\(word)")
            }
        }
    }
}
