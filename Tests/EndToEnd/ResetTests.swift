import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Single fields of a thread's state, set and cleared.
    @Suite("Reset")
    struct ResetTests {
        struct Field: Sendable, CustomTestStringConvertible {
            /// The word of `--set`.
            let word: String
            /// The field of the victim's `show`, and what it shall read.
            let name: String
            let value: String
            var testDescription: String { word }
        }

        private static let fields = [
            Field(word: "timeout=7", name: "retrans", value: "7"), Field(word: "attempts=4", name: "retry", value: "4"),
            Field(word: "ndots=3", name: "ndots", value: "3"), Field(word: "ndots=0", name: "ndots", value: "0"),
            Field(word: "rotate", name: "options", value: "0x42c1"),
            Field(word: "single-request", name: "options", value: "0x2002c1"),
            Field(word: "no-reload", name: "options", value: "0x20002c1"),
            Field(word: "edns0", name: "options", value: "0x1002c1"),
        ]

        private func start(_ libc: Libc) throws -> ResolverVictim {
            try ResolverVictim(libc, etc: try EtcDirectory(resolvConf: "nameserver 127.0.0.2\nsearch a.example\n"))
        }

        @Test("sets one field of every thread and nothing else", arguments: Libc.glibcs, fields)
        func setsOneField(_ libc: Libc, _ field: Field) throws {
            let resolver = try start(libc)
            let before = try (0...2).map { try resolver.show($0) }
            let run = try runRepoint(["reset", resolver.word, "--json", "--set", field.word])
            #expect(run.status == 0)
            for (number, thread) in resolver.threads.enumerated() {
                let report = try run.thread(thread)
                #expect(report.repair?.action == "reset")
                #expect(report.repair?.result == "done")
                #expect(report.evidence?.readBack == "matches")
                let after = try resolver.show(number)
                #expect(after[field.name] == field.value)
                #expect(after.without(field.name) == before[number].without(field.name))
            }
            try resolver.victim.end()
        }

        @Test("clears what it set", arguments: Libc.glibcs)
        func clears(_ libc: Libc) throws {
            let resolver = try start(libc)
            try resolver.options("+2604000", in: 1)
            let before = try resolver.show(1)
            let run = try runRepoint(
                ["reset", resolver.word, "--json", "--clear", "single-request,single-request-reopen,no-reload,rotate"])
            #expect(run.status == 0)
            #expect(try run.thread(resolver.threads[1]).evidence?.readBack == "matches")
            #expect(try resolver.show(1).options == 0x2c1)
            #expect(try resolver.show(1).without("options") == before.without("options"))
            try resolver.victim.end()
        }

        @Test("several fields at once, in one thread only", arguments: Libc.glibcs)
        func oneThread(_ libc: Libc) throws {
            let resolver = try start(libc)
            try resolver.options("+2000000", in: 2)
            let others = try [0, 1].map { try resolver.show($0) }
            let thread = resolver.threads[2]
            let run = try runRepoint([
                "reset", resolver.word, "--json", "--thread", "\(thread)", "--set", "timeout=2,attempts=3,rotate",
                "--clear", "no-reload",
            ])
            #expect(run.status == 0)
            #expect(try run.process().resolvers.map(\.thread) == [thread])
            let after = try resolver.show(2)
            #expect(after["retrans"] == "2")
            #expect(after["retry"] == "3")
            #expect(after.options == 0x42c1)
            #expect(try [0, 1].map { try resolver.show($0) } == others)
            try resolver.victim.end()
        }

        @Test("refuses a thread that is not the process's")
        func foreignThread() throws {
            let resolver = try start(.host)
            let run = try runRepoint(["reset", resolver.word, "--json", "--thread", "1", "--set", "rotate"])
            #expect(run.status == 4)
            #expect(try resolver.show(0).options == 0x2c1)
        }

        @Test("has nothing to change in a thread without a state")
        func idle() throws {
            let resolver = try ResolverVictim(.host, fresh: true)
            let run = try runRepoint(["reset", resolver.word, "--json", "--set", "rotate"])
            #expect(run.status == 1)
            #expect(try run.process().resolvers.map { $0.repair?.action } == ["refused", "refused", "refused"])
        }

        @Test(
            "refuses words that name no option",
            arguments: [
                ["--set", "nonsense"], ["--clear", "nonsense"], ["--set", "timeout=0"], ["--set", "timeout=31"],
                ["--set", "timeout=soon"], ["--set", "attempts=6"], ["--set", "ndots=16"], ["--set", "rotate=1"],
                ["--clear", "timeout"], ["--set", "timeout"], ["--set", ""],
            ])
        func unknownWords(_ options: [String]) throws {
            let resolver = try start(.host)
            let before = try resolver.show(0)
            let run = try runRepoint(["reset", resolver.word] + options)
            #expect(run.status == 2)
            #expect(!run.standardError.isEmpty)
            #expect(try resolver.show(0) == before)
        }

        @Test("disturbs no wait", arguments: Libc.glibcs)
        func disturbsNoWait(_ libc: Libc) throws {
            let modes = ["epoll", "poll", "nanosleep", "futex", "recv-timeout", "sigtimedwait"]
            let victims = try modes.map { try Victim(libc, "waits", [$0, "1000"]) }
            let deadline = Deadline(seconds: 2.5)
            while !deadline.hasPassed {
                for victim in victims {
                    for change in ["--set", "--clear"] {
                        let run = try runRepoint(["reset", "\(victim.id)", change, "rotate"])
                        #expect(run.status == 0, "\(victim.name)")
                    }
                }
            }
            for victim in victims {
                let rounds = try victim.end()
                #expect(rounds > 0)
            }
        }
    }
}
