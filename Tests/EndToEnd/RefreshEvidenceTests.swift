import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// What a refresh does, says it did, and shows as evidence.
    @Suite("Refresh")
    struct RefreshEvidenceTests {
        private static let oldFile = "nameserver 127.0.0.2\n"
        private static let newFile = "nameserver 127.0.0.3\nnameserver ::1\nsearch new.example\n"

        /// Thread 1 of a process is pinned as a lost reply pins it, and the file has changed since.
        private struct Scene {
            let etc: EtcDirectory
            let resolver: ResolverVictim
            let pinned: Int32

            init(_ libc: Libc) throws {
                etc = try EtcDirectory(resolvConf: oldFile)
                resolver = try ResolverVictim(libc, etc: etc)
                pinned = resolver.threads[1]
                try resolver.options("+200000", in: 1)
                try etc.change(to: newFile)
            }

            func states() throws -> [ResolverVictim.State] { try (0...2).map { try resolver.show($0) } }
        }

        @Test("initialises a pinned thread anew from the changed file and proves it", arguments: Libc.glibcs)
        func reinitializes(_ libc: Libc) throws {
            let scene = try Scene(libc)
            let run = try refresh(scene.resolver.id)
            #expect(run.status == 0)
            let report = try run.thread(scene.pinned)
            #expect(report.was == "pinned")
            #expect(report.state == "current")
            #expect(report.repair?.action == "reinitialize")
            #expect(report.repair?.result == "done")
            #expect(report.evidence?.file == "opened")
            #expect(report.evidence?.readBack == "matches")
            #expect(report.nameservers == ["127.0.0.3:53", "[::1]:53"])
            #expect(report.search == ["new.example"])
            let pause = try #require(report.repair?.pauseMicroseconds)
            #expect(pause > 0)
            #expect(pause < 50_000)
            // The thread agrees, without having looked anything up.
            let own = try scene.resolver.show(1)
            #expect(own.servers == ["127.0.0.3", "::1"])
            #expect(own.search == ["new.example"])
            #expect(own.options == 0x2c1)
            try scene.resolver.victim.end()
        }

        @Test("leaves the threads alone that follow by themselves", arguments: Libc.glibcs)
        func leavesFollowersAlone(_ libc: Libc) throws {
            let scene = try Scene(libc)
            let run = try refresh(scene.resolver.id)
            for thread in [scene.resolver.threads[0], scene.resolver.threads[2]] {
                let report = try run.thread(thread)
                #expect(report.was == "following")
                #expect(report.state == "following")
                #expect(report.repair?.action == "none")
                #expect(report.repair?.pauseMicroseconds == nil)
                #expect(report.evidence == nil)
            }
            #expect(try scene.resolver.show(2).servers == ["127.0.0.2"])
        }

        @Test("leaves what is current alone, unless it is forced", arguments: Libc.glibcs)
        func current(_ libc: Libc) throws {
            let resolver = try ResolverVictim(libc, etc: try EtcDirectory(resolvConf: Self.oldFile))
            let gentle = try refresh(resolver.id)
            #expect(gentle.status == 0)
            #expect(try gentle.process().resolvers.map { $0.repair?.action } == ["none", "none", "none"])
            #expect(try gentle.process().resolvers.allSatisfy { $0.repair?.pauseMicroseconds == nil })

            let forced = try refresh(resolver.id, "--force")
            #expect(forced.status == 0)
            for thread in resolver.threads {
                let report = try forced.thread(thread)
                #expect(report.was == "current")
                #expect(report.state == "current")
                #expect(report.repair?.action == "reinitialize")
                #expect(report.repair?.result == "done")
                // The file is what it was: glibc asks for its status and reads it no more.
                #expect(report.evidence?.file == "checked")
                #expect(report.evidence?.readBack == "matches")
            }
            try resolver.victim.end()
        }

        @Test("is forced on what follows", arguments: Libc.glibcs, EtcDirectory.Change.allCases)
        func forcedOnFollowing(_ libc: Libc, _ change: EtcDirectory.Change) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let resolver = try ResolverVictim(libc, etc: etc)
            try etc.change(to: Self.newFile, by: change)
            let run = try refresh(resolver.id, "--force")
            #expect(run.status == 0)
            #expect(try run.process().resolvers.allSatisfy { $0.was == "following" && $0.state == "current" })
            #expect(try run.process().resolvers.map(\.evidence?.file).contains("opened"))
            for thread in 0...2 { #expect(try resolver.show(thread).servers == ["127.0.0.3", "::1"]) }
        }

        @Test("runs no code with --no-inject: bits are cleared, and the next lookup reloads", arguments: Libc.glibcs)
        func noInject(_ libc: Libc) throws {
            let scene = try Scene(libc)
            let run = try refresh(scene.resolver.id, "--no-inject")
            #expect(run.status == 0)
            let report = try run.thread(scene.pinned)
            #expect(report.was == "pinned")
            #expect(report.state == "following")
            #expect(report.repair?.action == "clear")
            #expect(report.repair?.result == "done")
            #expect(report.evidence?.file == nil)
            #expect(report.evidence?.readBack == "matches")
            let own = try scene.resolver.show(1)
            #expect(own.options == 0x2c1)
            #expect(own.servers == ["127.0.0.2"])
            _ = try scene.resolver.lookup("nowhere.invalid", in: 1)
            #expect(try scene.resolver.show(1).servers == ["127.0.0.3", "::1"])
            try scene.resolver.victim.end()
        }

        @Test("changes nothing with --dry-run, and says what it would do", arguments: Libc.glibcs)
        func dryRun(_ libc: Libc) throws {
            let scene = try Scene(libc)
            let states = try scene.states()
            let picture = try ProcessPicture(of: scene.resolver.id)
            let run = try refresh(scene.resolver.id, "--dry-run", "--force")
            #expect(run.status == 0)
            let repair = try #require(run.thread(scene.pinned).repair)
            #expect(repair.action == "reinitialize")
            #expect(repair.result == "planned")
            #expect(repair.note?.contains("single-request") == true)
            #expect(repair.pauseMicroseconds == nil)
            #expect(try scene.states() == states)
            #expect(try ProcessPicture(of: scene.resolver.id).changes(since: picture) == [])
            try scene.resolver.victim.end()
        }

        @Test("keeps every session", arguments: Libc.glibcs)
        func keepsSessions(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let victim = try Victim(libc, "sessions", ["60"], environment: ["VICTIM_PINNED": "1"], etc: etc)
            try etc.change(to: Self.newFile)
            for process in victim.ready {
                let run = try runRepoint(["refresh", "--json", process])
                #expect(run.status == 0)
                let report = try run.process()
                #expect(report.resolvers.map { $0.repair?.action } == ["reinitialize"])
                let sessions = try #require(report.sessions)
                #expect(sessions.before == 60)
                #expect(sessions.after == 60)
                #expect(sessions.lost == 0)
            }
            #expect(try victim.end() > 0)
        }

        @Test("never overwrites an application's own servers, forced or not", arguments: Libc.glibcs, [true, false])
        func ownServers(_ libc: Libc, isForced: Bool) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let resolver = try ResolverVictim(libc, etc: etc)
            try resolver.useServer("127.0.0.77", in: 1)
            try etc.change(to: Self.newFile)
            let before = try resolver.show(1)
            let run = isForced ? try refresh(resolver.id, "--force") : try refresh(resolver.id)
            #expect(run.status == 1)
            let report = try run.thread(resolver.threads[1])
            #expect(report.state == "pinned")
            #expect(report.repair?.action == "refused")
            #expect(report.repair?.reason?.contains("own") == true)
            #expect(try resolver.show(1) == before)
            #expect(run.report?.summary.refused == 1)
        }

        @Test("drops options the application changed only when forced", arguments: Libc.glibcs)
        func ownOptions(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let resolver = try ResolverVictim(libc, etc: etc)
            try resolver.set("retrans", 4, in: 1)
            try etc.change(to: Self.newFile)
            let before = try resolver.show(1)
            let gentle = try refresh(resolver.id)
            #expect(gentle.status == 1)
            #expect(try gentle.thread(resolver.threads[1]).repair?.action == "refused")
            #expect(try gentle.thread(resolver.threads[1]).repair?.reason?.contains("--force") == true)
            #expect(try resolver.show(1) == before)

            let forced = try refresh(resolver.id, "--force")
            #expect(forced.status == 0)
            let report = try forced.thread(resolver.threads[1])
            #expect(report.repair?.action == "reinitialize")
            #expect(report.evidence?.readBack == "matches")
            #expect(try resolver.show(1).servers == ["127.0.0.3", "::1"])
            #expect(try resolver.show(1)["retrans"] == "5")
        }

        /// The `options` lines of the old file and the new one.
        struct OptionLines: Sendable, CustomTestStringConvertible {
            let old: String
            let new: String
            /// What the thread has in the end, as it shows it.
            let options: UInt64
            let retrans: String
            var testDescription: String { "'\(old)' to '\(new)'" }
        }

        private static let optionLines = [
            OptionLines(old: "timeout:2 rotate", new: "timeout:2 rotate", options: 0x42c1, retrans: "2"),
            OptionLines(old: "timeout:2 attempts:3 rotate edns0", new: "", options: 0x2c1, retrans: "5"),
            OptionLines(old: "", new: "timeout:2 rotate", options: 0x42c1, retrans: "2"),
            OptionLines(old: "single-request", new: "", options: 0x2c1, retrans: "5"),
            OptionLines(old: "", new: "single-request", options: 0x2002c1, retrans: "5"),
        ]

        @Test("takes over the options of the new file as well", arguments: Libc.glibcs, optionLines)
        func takesOverOptions(_ libc: Libc, _ lines: OptionLines) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile + "options \(lines.old)\n")
            let resolver = try ResolverVictim(libc, etc: etc)
            // Thread 1 is pinned, thread 2 follows.
            try resolver.options("+400000", in: 1)
            try etc.change(to: Self.newFile + "options \(lines.new)\n")
            let run = try refresh(resolver.id, "--force")
            #expect(run.status == 0)
            for number in [1, 2] {
                let report = try run.thread(resolver.threads[number])
                #expect(report.state == "current", "thread \(number): \(report.explanation ?? "")")
                #expect(report.repair?.result == "done", "thread \(number)")
                #expect(report.evidence?.readBack == "matches", "thread \(number)")
                let own = try resolver.show(number)
                #expect(own.servers == ["127.0.0.3", "::1"])
                #expect(own.options == lines.options, "thread \(number)")
                #expect(own["retrans"] == lines.retrans, "thread \(number)")
            }
            try resolver.victim.end()
        }

        @Test("lifts no-reload", arguments: Libc.glibcs)
        func noReload(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let resolver = try ResolverVictim(libc, etc: etc)
            try resolver.options("+2000000", in: 1)
            try etc.change(to: Self.newFile)
            let run = try refresh(resolver.id)
            #expect(run.status == 0)
            let report = try run.thread(resolver.threads[1])
            #expect(report.was == "pinned")
            #expect(report.state == "current")
            #expect(report.evidence?.file == "opened")
            #expect(try resolver.show(1).servers == ["127.0.0.3", "::1"])
            #expect(try resolver.show(1).options == 0x2c1)
        }

        @Test(
            "lifts no-reload that came from the file without a call, too: the next lookup starts afresh",
            arguments: Libc.glibcs)
        func noReloadOfTheFile(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile + "options no-reload\n")
            let resolver = try ResolverVictim(libc, etc: etc)
            try etc.change(to: Self.newFile)
            let run = try refresh(resolver.id, "--no-inject")
            #expect(run.status == 0, "\(run.standardError)")
            for number in 0...2 {
                let report = try run.thread(resolver.threads[number])
                #expect(report.was == "pinned")
                #expect(report.state == "idle")
                #expect(report.repair?.action == "clear")
                #expect(report.repair?.result == "done")
                #expect(report.evidence?.readBack == "matches")
                _ = try resolver.lookup("nowhere.invalid", in: number)
                #expect(try resolver.show(number).servers == ["127.0.0.3", "::1"])
                #expect(try resolver.show(number).options == 0x2c1)
            }
            #expect(try inspect(resolver.id).process().resolvers.allSatisfy { $0.state == "current" })
            try resolver.victim.end()
        }

        @Test("moves nobody to 127.0.0.1 because the file is gone")
        func missingFile() throws {
            let scene = try Scene(.host)
            try scene.etc.removeResolvConf()
            let before = try scene.states()
            let run = try refresh(scene.resolver.id)
            #expect(run.status == 1)
            let repair = try #require(run.thread(scene.pinned).repair)
            #expect(repair.action == "refused")
            #expect(repair.reason?.contains("127.0.0.1") == true)
            #expect(try scene.states() == before)
        }

        @Test("has nothing to do for an idle process", arguments: Libc.glibcs)
        func idle(_ libc: Libc) throws {
            let resolver = try ResolverVictim(libc, fresh: true, etc: try EtcDirectory(resolvConf: Self.oldFile))
            let run = try refresh(resolver.id, "--force")
            #expect(run.status == 0)
            #expect(try run.process().resolvers.map { $0.repair?.action } == ["none", "none", "none"])
            #expect(try run.process().resolvers.map(\.state) == ["idle", "idle", "idle"])
        }
    }
}
