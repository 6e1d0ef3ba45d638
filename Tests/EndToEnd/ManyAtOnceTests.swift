import FoundationEssentials
import Glibc
import LinuxProcess
import Refresh
import Resolvers
import TestSupport
import Testing

extension RealProcesses {
    /// Many processes at once, with something wrong about one of them or about a worker.
    @Suite("Many at once")
    struct ManyAtOnceTests {
        private static let oldFile = "nameserver 127.0.0.2\n"
        private static let newFile = "nameserver 127.0.0.3\n"

        /// Processes that want a refresh, and one that never comes to a safe point: it runs on a stack that is not its own.
        private struct Crowd {
            let healthy: [ResolverVictim]
            let stubborn: Victim

            init(_ count: Int) throws {
                let etc = try EtcDirectory(resolvConf: oldFile)
                stubborn = try Victim(.host, "coroutine", ["malloc"], etc: etc)
                healthy = try (0..<count).map { _ in try ResolverVictim(.host, etc: etc) }
                for resolver in healthy { try resolver.options("+2000000", in: 1) }
                try etc.change(to: newFile)
            }

            /// The stubborn one first, so that the others come after it.
            var words: [String] { ["\(stubborn.id)"] + healthy.map(\.word) }

            func healedCount() throws -> Int { try healthy.count { try $0.show(1).servers == ["127.0.0.3"] } }

            func endAll() throws {
                for resolver in healthy { try resolver.victim.end() }
                try stubborn.end()
            }
        }

        /// `repoint`, running while the test goes on.
        private final class RunningCommand {
            private let child: ChildProcess

            init(_ arguments: [String]) throws {
                child = try ChildProcess(RepointRun.program, arguments)
            }

            var workers: [ProcessID] {
                get throws { try ProcessID.all().filter { (try? ProcessStat(of: $0).parent) == child.id } }
            }

            /// The worker that a process has as its target, by the one thing that tells: it alone is at work still.
            func busyWorkers() throws -> [ProcessID] {
                try workers.filter { worker in
                    let before = try? ProcessStatus(of: worker).voluntarySwitches
                    usleep(200_000)
                    let after = try? ProcessStatus(of: worker).voluntarySwitches
                    return after != nil && after != before
                }
            }

            /// Its report, when it has ended.
            func report() throws -> Report {
                try JSONDecoder().decode(Report.self, from: Data(child.output.readToEnd()))
            }
        }

        @Test("one that never comes to a safe point delays nobody, and is told at the end", .timeLimit(.minutes(2)))
        func stubborn() throws {
            let crowd = try Crowd(50)
            let command = try RunningCommand(["refresh", "--force", "--json", "--wait", "30"] + crowd.words)
            // Long before its time is over.
            #expect(try eventually(within: 15) { try crowd.healedCount() == 50 })
            #expect(try !command.workers.isEmpty)
            try crowd.endAll()
        }

        @Test(
            "a worker that is killed costs a second try and no more", .timeLimit(.minutes(2)))
        func killedWorker() throws {
            let crowd = try Crowd(50)
            let command = try RunningCommand(["refresh", "--force", "--json", "--wait", "4"] + crowd.words)
            #expect(try eventually(within: 15) { try crowd.healedCount() == 50 })
            var busy: [ProcessID] = []
            #expect(
                try eventually(within: 3) {
                    busy = try command.busyWorkers()
                    return !busy.isEmpty
                })
            for worker in busy { kill(worker.rawValue, SIGKILL) }
            let report = try command.report()
            #expect(report.summary.processes == 51)
            #expect(report.processes.filter { $0.isDone }.count == 50)
            // Either it was tried again, and was as stubborn, or its worker was new and is not believed to be innocent.
            let last = try #require(report.processes.first { $0.pid == crowd.stubborn.id.rawValue })
            #expect(last.hasRepair("deferred") || last.error?.contains("the worker died") == true)
            try crowd.endAll()
        }

        @Test(
            "a worker that hangs is given up when its time is over; all others are done by then",
            .timeLimit(.minutes(2)))
        func stoppedWorker() throws {
            let crowd = try Crowd(50)
            let command = try RunningCommand(["refresh", "--force", "--json", "--wait", "4"] + crowd.words)
            var busy: [ProcessID] = []
            #expect(
                try eventually(within: 3) {
                    busy = try command.busyWorkers()
                    return !busy.isEmpty
                })
            // It may be at any one of them.
            kill(try #require(busy.first).rawValue, SIGSTOP)
            #expect(try eventually(within: 9) { try crowd.healedCount() >= 49 })
            let report = try command.report()
            #expect(report.summary.processes == 51)
            let undone = report.processes.filter { !$0.isDone }
            #expect(undone.count <= 2)
            #expect(undone.contains { $0.pid == crowd.stubborn.id.rawValue })
            #expect(undone.contains { $0.error?.contains("did not come to an end in time") == true })
            try crowd.endAll()
        }

        @Test("one that waits for its vfork child is left alone, and the others are done")
        func vforkParent() throws {
            let crowd = try Crowd(20)
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let parent = try Victim(.host, "vfork", ["6"], environment: ["VICTIM_PINNED": "1"], etc: etc)
            try etc.change(to: Self.newFile)
            #expect(try eventually(within: 5) { try ProcessStat(of: parent.id).state == .uninterruptible })
            let words = ["\(parent.id)"] + crowd.healthy.map(\.word)
            let run = try runRepoint(["refresh", "--force", "--json", "--wait", "1"] + words)
            #expect(run.status == 1)
            #expect(try crowd.healedCount() == 20)
            #expect(run.report?.processes.filter { !$0.isDone }.map(\.pid) == [parent.id.rawValue])
            try parent.waitForEnd()
            try crowd.endAll()
        }

        @Test("one that ends while it is waited for is gone, and nobody waits for it any longer")
        func endsMeanwhile() throws {
            let crowd = try Crowd(5)
            let command = try RunningCommand(["refresh", "--force", "--json", "--wait", "40"] + crowd.words)
            #expect(try eventually(within: 15) { try crowd.healedCount() == 5 })
            try crowd.stubborn.end()
            let took = try duration {
                let report = try command.report()
                #expect(report.summary.failed == 1)
                #expect(report.processes.first { $0.error != nil }?.error?.contains("does not exist") == true)
                #expect(report.processes.filter(\.isDone).count == 5)
            }
            #expect(took < 20)
            for resolver in crowd.healthy { try resolver.victim.end() }
        }

        @Test("by name, --pinned leaves the others out")
        func pinnedByName() throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let pinned = try ResolverVictim(.host, etc: etc)
            let following = try ResolverVictim(.host, etc: etc)
            let other = try Victim(.host, "waits", ["poll", "1000"], environment: ["VICTIM_PINNED": "1"], etc: etc)
            try pinned.options("+2000000", in: 1)
            try etc.change(to: Self.newFile)
            let run = try runRepoint(["refresh", "--pinned", "--json", "resolver"])
            #expect(run.status == 0, "\(run.standardError)")
            #expect(run.report?.processes.map(\.pid) == [pinned.id.rawValue])
            #expect(try following.show(1).servers == ["127.0.0.2"])
            #expect(try inspect(other.id).process().state == .pinned)
            try other.end()
        }

        @Test(
            "a name that nobody has is a usage error alone, and half of the work among others",
            arguments: [[], ["--pinned"]])
        func names(_ options: [String]) throws {
            let resolver = try ResolverVictim(.host)
            let alone = try runRepoint(["refresh", "no-such-name"] + options)
            #expect(alone.status == 2)
            #expect(alone.errorLines == ["repoint: no process is named no-such-name"])
            let mixed = try runRepoint(["refresh", "resolver", "no-such-name", "--json"] + options)
            #expect(mixed.status == 1)
            #expect(mixed.errorLines == ["repoint: no process is named no-such-name"])
            #expect(mixed.report?.processes.count == (options.isEmpty ? 1 : 0))
            let gone = try runRepoint(["refresh", "4194303"] + options)
            #expect(gone.status == 4)
            try resolver.victim.end()
        }

        @Test("the end of a table says what stayed undone and why, in 100 columns")
        func undone() throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let resolvers = try (0..<16).map { _ in try ResolverVictim(.host, etc: etc) }
            for resolver in resolvers.prefix(15) { try resolver.useServer("127.0.0.77", in: 1) }
            try resolvers[15].options("+2000000", in: 1)
            try etc.change(to: Self.newFile)
            let words = resolvers.map(\.word)
            let run = try runRepoint(["refresh"] + words)
            #expect(run.status == 1)
            let lines = run.standardOutput.split(separator: "\n").map(String.init)
            #expect(lines.allSatisfy { $0.count <= 100 }, "\(run.standardOutput)")
            let start = try #require(lines.firstIndex { $0.hasPrefix("STAYED UNDONE") }, "\(run.standardOutput)")
            // A line may break anywhere.
            let list = lines[start...].joined(separator: " ").split(separator: " ").joined(separator: " ")
            #expect(list.contains("refused"))
            #expect(list.contains("the application's own"))
            #expect(list.contains("resolver \(words[0])"))
            #expect(list.contains("3 more"))
            #expect(!list.contains(words[15]))

            let report = try #require(runRepoint(["refresh", "--json"] + words).report)
            let groups = try #require(report.summary.undone)
            #expect(groups.map(\.outcome) == ["refused"])
            #expect(groups[0].processes == resolvers.prefix(15).map(\.id.rawValue).sorted())
            // Nothing undone is no list.
            let done = try runRepoint(["refresh", "--json", words[15]])
            #expect(done.report?.summary.undone == nil)
            #expect(!done.standardOutput.contains("undone"))
            let alone = try runRepoint(["refresh", words[15]])
            #expect(!alone.standardOutput.contains("STAYED UNDONE"))
        }

        @Test("progress is shown on a terminal when it takes over a second, and leaves nothing there")
        func progress() throws {
            let script = "/usr/bin/script"
            try require(script, because: "a terminal")
            let crowd = try Crowd(2)
            func seen(_ arguments: [String]) throws -> String {
                let words = [RepointRun.program] + arguments + crowd.words
                let inTerminal = "exec \(words.joined(separator: " ")) >/dev/null"
                return try ProgramRun([script, "-qec", inTerminal, "/dev/null"]).standardOutput
            }
            let slow = try seen(["refresh", "--force", "--wait", "3"])
            #expect(slow.contains("2 of 3 processes"), "\(slow)")
            #expect(slow.hasSuffix("\r\u{1b}[K"))
            // In a pipe there is none.
            let piped = try runRepoint(["refresh", "--force", "--wait", "2"] + crowd.words)
            #expect(piped.standardError == "")
            try crowd.endAll()
        }

        @Test("no thread is held much longer among many than alone")
        func holds() throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let resolvers = try (0..<60).map { _ in try ResolverVictim(.host, threads: 3, etc: etc) }
            func median(_ reports: [ProcessReport]) throws -> Double {
                let pauses = reports.flatMap(\.resolvers).compactMap { $0.repair?.pauseMicroseconds }.sorted()
                return try #require(pauses.isEmpty ? nil : pauses[pauses.count / 2])
            }
            var alone: [ProcessReport] = []
            for resolver in resolvers.prefix(15) { alone.append(try refresh(resolver.id, "--force").process()) }
            let run = try runRepoint(["refresh", "--force", "--json"] + resolvers.map(\.word))
            let together = try #require(run.report).processes
            #expect(together.count == 60)
            // What else the machine does weighs on both; a tenfold is no noise.
            #expect(try median(together) < 10 * median(alone) + 1000)
        }
    }
}
