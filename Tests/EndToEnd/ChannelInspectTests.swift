import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// What `inspect` says of channels and bases, whose libraries are asked the same.
    @Suite("Inspect channels")
    struct ChannelInspectTests {
        private static let file = """
            nameserver 127.0.0.2
            nameserver 2001:db8::53
            search one.example two.example
            options timeout:3 attempts:4 ndots:2

            """

        @Test(
            "shows servers, search list and options as the library has them, and stops nothing",
            arguments: AskingVictim.Program.allCases, Libc.suites)
        func shows(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, file: Self.file)
            let run = try inspect(scene.asker.id)
            #expect(run.status == 0)
            let report = try scene.report(run)
            #expect(report.version == scene.asker.release)
            #expect(report.state == "current")
            #expect(report.channel == (try scene.asker.object()))
            let own = try scene.asker.servers()
            #expect(Set(own) == ["127.0.0.2", "2001:db8::53"])
            #expect(report.nameservers?.sorted() == ["127.0.0.2:53", "[2001:db8::53]:53"])
            if program == .ares { #expect(report.nameservers == ["127.0.0.2:53", "[2001:db8::53]:53"]) }
            #expect(report.search == ["one.example", "two.example"])
            #expect(report.options?.ndots == 2)
            // Only a thread of unknown state is held to be read.
            #expect(try run.process().resolvers.allSatisfy { $0.heldMicroseconds == nil })
            #expect(scene.asker.victim.reportedStops == 0)
            try scene.asker.victim.end()
        }

        @Test("stops no thread, as a trace of inspect shows", arguments: AskingVictim.Program.allCases)
        func stopsNothing(_ program: AskingVictim.Program) throws {
            let scene = try ChannelScene(program, .host)
            let trace = ["/usr/bin/strace", "-f", "-qq", "-e", "trace=ptrace", "-e", "signal=none"]
            func stops(_ arguments: [String]) throws -> Int {
                try runRepoint(arguments + ["\(scene.asker.id)"], under: trace).errorLines
                    .count { $0.contains("PTRACE_INTERRUPT") || $0.contains("PTRACE_ATTACH") }
            }
            #expect(try stops(["inspect"]) == 0)
            // The instrument works.
            try scene.etc.change(to: ChannelScene.newFile)
            try scene.asker.every(50)
            #expect(try stops(["refresh", "--wait", "5"]) > 0)
            try scene.asker.victim.end()
        }

        @Test(
            "a channel whose file has changed is pinned, and a lookup does not change that",
            arguments: AskingVictim.Program.allCases, Libc.suites)
        func pinned(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            try scene.etc.change(to: ChannelScene.newFile)
            #expect(try scene.server(asked: "one.example") == "old")
            let run = try inspect(scene.asker.id)
            let report = try scene.report(run)
            #expect(report.state == "pinned")
            #expect(report.reason == "channel")
            #expect(report.nameservers == ["127.0.0.2:53"])
            #expect(run.report?.summary.pinned == 1)
            try scene.asker.victim.end()
        }

        @Test("a changed search list alone pins it", arguments: AskingVictim.Program.allCases, Libc.suites)
        func pinnedBySearch(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, file: ChannelScene.oldFile + "search one.example\n")
            #expect(try scene.report(inspect(scene.asker.id)).state == "current")
            try scene.etc.change(to: ChannelScene.oldFile + "search two.example\n")
            let report = try scene.report(inspect(scene.asker.id))
            #expect(report.state == "pinned")
            #expect(report.search == ["one.example"])
        }

        @Test(
            "a library without a channel is idle", arguments: [AskingVictim.Program.ares, .evdns], Libc.suites)
        func idle(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, [program == .ares ? "no-channel" : "no-base"])
            for run in [try inspect(scene.asker.id), try refresh(scene.asker.id, "--wait", "0.3")] {
                let report = try scene.report(run)
                #expect(run.status == 0)
                #expect(report.state == "idle")
                #expect(report.channel == nil)
                #expect(report.repair?.action == "none")
            }
            // The first one made shows.
            let made = try scene.asker.replace()
            #expect(try scene.report(inspect(scene.asker.id)).channel == made)
            try scene.asker.victim.end()
        }

        @Test(
            "what took the place of another is found, and the other one is not",
            arguments: AskingVictim.Program.allCases,
            Libc.suites)
        func replaced(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            #expect(try scene.server(asked: "one.example") == "old")
            var seen: Set<String> = [try scene.asker.object()]
            for _ in 0..<8 {
                let object = try scene.asker.replace()
                let reports = try scene.reports(inspect(scene.asker.id))
                #expect(reports.map(\.channel) == [object], "before: \(seen)")
                seen.insert(object)
            }
            #expect(seen.count > 1)
            try scene.asker.victim.end()
        }

        @Test("many at once are all found", arguments: AskingVictim.Program.allCases, Libc.suites)
        func many(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, ["threads", "5"])
            let objects = try (0...5).map { try scene.asker.object(side: $0) }
            let reports = try scene.reports(inspect(scene.asker.id))
            #expect(reports.compactMap(\.channel).sorted() == objects.sorted())
            try scene.asker.victim.end()
        }

        @Test("queries without a reply are counted", arguments: AskingVictim.Program.allCases, Libc.suites)
        func pending(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, old: .silent)
            #expect(try scene.report(inspect(scene.asker.id)).pendingQueries == 0)
            try scene.asker.keepBusy(7)
            #expect(eventually(within: 5) { scene.old.queries.count >= 7 })
            #expect(try scene.report(inspect(scene.asker.id)).pendingQueries == 7)
            try scene.asker.victim.end()
        }

        @Test("servers of the application's own are told from the file's", arguments: Libc.suites)
        func ownServers(_ libc: Libc) throws {
            for (program, modes) in [
                (AskingVictim.Program.ares, ["own-servers", "127.0.0.77"]),
                (.ares, ["option-servers", "127.0.0.77"]),
                (.evdns, ["own-servers", "127.0.0.77"]),
            ] {
                let scene = try ChannelScene(program, libc, modes)
                let report = try scene.report(inspect(scene.asker.id))
                #expect(report.state == "pinned")
                #expect(report.nameservers == ["127.0.0.77:53"])
                #expect(report.reason == "edited-state", "\(program) \(modes)")
            }
        }

        @Test("a port of its own is shown, and makes the servers the application's", arguments: Libc.suites)
        func port(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, ["own-servers", "127.0.0.2:5353,[::1]:54"])
            let report = try scene.report(inspect(scene.asker.id))
            #expect(report.nameservers == ["127.0.0.2:5353", "[::1]:54"])
            #expect(report.reason == "edited-state")
        }

        @Test("a channel with a file of its own is judged by that file", arguments: Libc.suites)
        func ownFile(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: ChannelScene.oldFile)
            try etc.write("nameserver 127.0.0.9\n", to: "own.conf")
            let asker = try AskingVictim(.ares, libc, ["resolvconf", "/etc/own.conf"], etc: etc)
            let before = try #require(try inspect(asker.id).process().resolvers.first { $0.library == "c-ares" })
            #expect(before.state == "current")
            #expect(before.nameservers == ["127.0.0.9:53"])
            #expect(before.explanation?.contains("/etc/own.conf") == true)
            // The system's file is nothing to it.
            try etc.change(to: ChannelScene.newFile)
            #expect(try inspect(asker.id).process().resolvers.first { $0.library == "c-ares" }?.state == "current")
            try etc.write("nameserver 127.0.0.10\n", to: "own.conf")
            let after = try #require(try inspect(asker.id).process().resolvers.first { $0.library == "c-ares" })
            #expect(after.state == "pinned")
            #expect(after.nameservers == ["127.0.0.9:53"])
        }

        @Test("a channel with an event thread follows", arguments: [Libc.trixie, .sid])
        func eventThread(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, ["event-thread"])
            #expect(try scene.server(asked: "one.example") == "old")
            try scene.etc.change(to: ChannelScene.newFile)
            let report = try scene.report(inspect(scene.asker.id))
            // It may have followed already.
            #expect(["following", "current"].contains(report.state))
            // The verdict is put to the test.
            #expect(try eventually(within: 40) { try scene.asker.servers() == ["127.0.0.3"] })
            #expect(try scene.report(inspect(scene.asker.id)).state == "current")
        }
    }
}
