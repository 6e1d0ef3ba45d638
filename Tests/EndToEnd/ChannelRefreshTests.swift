import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// A live channel or base gets the servers of the changed file.
    @Suite("Refresh channels")
    struct ChannelRefreshTests {
        @Test(
            "gives it the file's servers at its next lookup, and the one after goes there",
            arguments: AskingVictim.Program.allCases, Libc.glibcs)
        func reconfigures(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            #expect(try scene.server(asked: "one.example") == "old")
            try scene.etc.change(to: ChannelScene.newFile)
            #expect(try scene.server(asked: "two.example") == "old")

            let run = try scene.refreshedWhileAsking()
            try scene.expectDone(run)
            let report = try scene.report(run)
            #expect(report.thread == scene.asker.threads[0])
            #expect(report.nameservers == ["127.0.0.3:53"])
            let pause = try #require(report.repair?.pauseMicroseconds)
            #expect(pause > 0 && pause < 50_000, "\(pause) us")
            if program == .evdns { #expect(report.evidence?.file == "opened") }
            let sessions = try #require(run.process().sessions)
            #expect(sessions.before >= 1)
            #expect(sessions.lost == 0)

            #expect(try scene.asker.servers() == ["127.0.0.3"])
            #expect(try scene.server(asked: "four.example") == "new")
            #expect(try scene.server(asked: "five.example", by: "getaddrinfo") == "new")
            #expect(try inspect(scene.asker.id).process().resolvers.allSatisfy { $0.state != "pinned" })
            try scene.asker.victim.end()
        }

        @Test(
            "however its loop waits",
            arguments: [
                ["poll"], ["epoll"], ["select"], ["epoll", "stay-open"], ["poll", "stay-open"],
                ["select", "stay-open"],
            ], Libc.suites)
        func everyLoop(_ modes: [String], _ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, modes)
            try scene.asker.every(20)
            for turn in 0..<4 {
                let file = turn % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile
                try scene.etc.change(to: file)
                try scene.expectDone(scene.refreshed())
                #expect(try scene.asker.servers() == [turn % 2 == 0 ? "127.0.0.3" : "127.0.0.2"])
            }
            try scene.asker.victim.end()
        }

        @Test("a libevent that waits in poll or select is refused", arguments: ["poll", "select"], Libc.suites)
        func pollingLibevent(_ method: String, _ libc: Libc) throws {
            let scene = try ChannelScene(.evdns, libc, [method], file: "nameserver 127.0.0.2\nnameserver 127.0.0.3\n")
            try scene.asker.every(20)
            // One socket fewer: select would fail, and libevent's loop end.
            try scene.etc.change(to: ChannelScene.newFile)
            let run = try scene.refreshed()
            #expect(run.status == 1)
            #expect(try scene.report(run).repair?.action == "refused")
            #expect(try scene.report(run).repair?.reason?.contains("select") == true)
            #expect(try scene.asker.lookup("one.example").isAnswered)
            try scene.asker.victim.end()
        }

        @Test(
            "without a lookup it is deferred, and nothing is changed", arguments: AskingVictim.Program.allCases,
            Libc.suites)
        func deferred(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            try scene.etc.change(to: ChannelScene.newFile)
            let run = try refresh(scene.asker.id, "--wait", "0.5")
            #expect(run.status == 1)
            let report = try scene.report(run)
            #expect(report.state == "pinned")
            #expect(report.repair?.action == "deferred")
            #expect(report.repair?.reason?.contains("lookup") == true)
            #expect(report.repair?.pauseMicroseconds == nil)
            #expect(run.report?.summary.deferred == 1)
            #expect(run.run.seconds >= 0.5 && run.run.seconds < 3)
            #expect(try scene.asker.servers() == ["127.0.0.2"])
            try scene.asker.victim.end()
        }

        @Test(
            "what is current is left alone at once, and is set again by force",
            arguments: AskingVictim.Program.allCases, Libc.suites)
        func current(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            let gentle = try refresh(scene.asker.id, "--wait", "10")
            #expect(gentle.status == 0)
            #expect(try scene.report(gentle).repair?.action == "none")
            #expect(gentle.run.seconds < 5)
            try scene.asker.every(50)
            let forced = try scene.refreshed("--force")
            let report = try scene.report(forced)
            #expect(report.was == "current")
            #expect(report.state == "current")
            #expect(report.repair?.action == "reconfigure")
            #expect(report.repair?.result == "done", "\(report)")
            try scene.asker.victim.end()
        }

        @Test(
            "--no-inject refuses, --dry-run plans, and neither changes anything",
            arguments: AskingVictim.Program.allCases)
        func noInjection(_ program: AskingVictim.Program) throws {
            let scene = try ChannelScene(program, .host)
            try scene.asker.every(50)
            try scene.etc.change(to: ChannelScene.newFile)
            let picture = try ProcessPicture(of: scene.asker.id)
            let refused = try scene.refreshed("--no-inject")
            #expect(refused.status == 1)
            #expect(try scene.report(refused).repair?.action == "refused")
            #expect(try scene.report(refused).repair?.reason?.contains("--no-inject") == true)
            let planned = try refresh(scene.asker.id, "--dry-run")
            #expect(planned.status == 0)
            #expect(try scene.report(planned).repair?.action == "reconfigure")
            #expect(try scene.report(planned).repair?.result == "planned")
            #expect(try scene.asker.servers() == ["127.0.0.2"])
            #expect(try ProcessPicture(of: scene.asker.id).threads == picture.threads)
            try scene.asker.victim.end()
        }

        @Test("the application's own servers stay, whatever is asked", arguments: Libc.suites)
        func ownServers(_ libc: Libc) throws {
            for (program, modes) in [
                (AskingVictim.Program.ares, ["own-servers", "127.0.0.2:53"]),
                (.ares, ["option-servers", "127.0.0.2"]),
                (.evdns, ["own-servers", "127.0.0.2"]),
            ] {
                let scene = try ChannelScene(program, libc, modes)
                try scene.asker.every(50)
                try scene.etc.change(to: ChannelScene.newFile)
                for options in [[], ["--force"]] {
                    let run = try runRepoint(["refresh", "--json", "\(scene.asker.id)", "--wait", "1"] + options)
                    let report = try scene.report(run)
                    #expect(run.status == 1)
                    #expect(report.repair?.action == "refused", "\(program) \(modes): \(report)")
                    #expect(report.repair?.reason?.contains("application") == true)
                    #expect(try scene.asker.servers() == ["127.0.0.2"])
                }
                try scene.asker.victim.end()
            }
        }

        @Test(
            "servers that may be the application's own are set by force only", arguments: [Libc.bullseye, .bookworm])
        func perhapsOwnServers(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc)
            try scene.asker.every(50)
            #expect(try scene.asker.ask("set 127.0.0.2").hasPrefix("set"))
            let isSet = try eventually(within: 5) { try scene.asker.ask("set 127.0.0.2") == "set 0" }
            #expect(isSet)
            try scene.etc.change(to: ChannelScene.newFile)
            let gentle = try scene.refreshed()
            #expect(gentle.status == 1)
            #expect(try scene.report(gentle).repair?.action == "refused")
            #expect(try scene.asker.servers() == ["127.0.0.2"])
            try scene.expectDone(scene.refreshed("--force"))
            #expect(try scene.asker.servers() == ["127.0.0.3"])
            // From now on they are the file's.
            try scene.etc.change(to: ChannelScene.oldFile)
            try scene.expectDone(scene.refreshed())
            try scene.asker.victim.end()
        }

        @Test("a file with several servers, of both families", arguments: AskingVictim.Program.allCases, Libc.suites)
        func severalServers(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            try scene.asker.every(50)
            try scene.etc.change(to: "nameserver 127.0.0.3\nnameserver ::1\nnameserver 127.0.0.2\n")
            try scene.expectDone(scene.refreshed())
            let servers = try scene.asker.servers()
            let wanted = ["127.0.0.3", "::1", "127.0.0.2"]
            #expect(program == .ares ? servers == wanted : servers.sorted() == wanted.sorted())
            try scene.asker.victim.end()
        }

        @Test("an empty file means the loopback address", arguments: AskingVictim.Program.allCases, Libc.suites)
        func emptyFile(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            let local = try DNSResponder(.answer, at: ["127.0.0.1"], besides: scene.asker.id)
            try scene.asker.every(50)
            try scene.etc.change(to: "# none\n")
            try scene.expectDone(scene.refreshed())
            #expect(try scene.asker.servers() == ["127.0.0.1"])
            #expect(eventually(within: 5) { !local.queries.isEmpty })
            try scene.asker.victim.end()
        }

        @Test("evdns takes the search list of the file as well", arguments: Libc.suites)
        func searchList(_ libc: Libc) throws {
            let scene = try ChannelScene(.evdns, libc, file: ChannelScene.oldFile + "search old.example\n")
            #expect(try scene.asker.lookup("host").isAnswered)
            #expect(scene.old.queries.contains { $0.name.hasPrefix("host.old.example") })
            try scene.asker.every(50)
            for domains in ["new.example", "first.example second.example"] {
                try scene.etc.change(to: ChannelScene.newFile + "search \(domains)\n")
                let run = try scene.refreshed()
                try scene.expectDone(run)
                #expect(try scene.report(run).search == domains.split(separator: " ").map(String.init))
            }
            #expect(try scene.asker.lookup("machine").isAnswered)
            let names = scene.new.queries.filter { $0.name.hasPrefix("machine") }.map(\.name)
            #expect(names.allSatisfy { $0.hasPrefix("machine.first.example") }, "\(names)")
            try scene.asker.victim.end()
        }

        @Test("c-ares keeps its search list, which is said", arguments: Libc.suites)
        func keptSearchList(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, file: ChannelScene.oldFile + "search old.example\n")
            try scene.asker.every(50)
            try scene.etc.change(to: ChannelScene.newFile + "search new.example\n")
            let run = try scene.refreshed()
            let report = try scene.report(run)
            #expect(run.status == 1)
            #expect(report.nameservers == ["127.0.0.3:53"])
            #expect(report.state == "pinned")
            #expect(report.explanation?.contains("search list") == true)
            #expect(try scene.asker.servers() == ["127.0.0.3"])
            // One of its own is nobody's business.
            let other = try ChannelScene(.ares, libc, ["domains", "own.example"])
            try other.asker.every(50)
            try other.etc.change(to: ChannelScene.newFile + "search new.example\n")
            try other.expectDone(other.refreshed())
        }

        @Test("a channel with a file of its own gets that file's servers", arguments: Libc.suites)
        func ownFile(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.9\n")
            try etc.write("nameserver 127.0.0.2\n", to: "own.conf")
            let asker = try AskingVictim(.ares, libc, ["resolvconf", "/etc/own.conf"], etc: etc)
            let servers = try DNSResponder(.answer, at: ["127.0.0.2", "127.0.0.3"], besides: asker.id)
            try asker.every(50)
            try etc.write("nameserver 127.0.0.3\n", to: "own.conf")
            let run = try refresh(asker.id, "--wait", "5")
            #expect(run.status == 0, "\(run.standardOutput)")
            #expect(try asker.servers() == ["127.0.0.3"])
            #expect(eventually(within: 5) { servers.takeQueries().allSatisfy { $0.server == "127.0.0.3" } })
            try asker.victim.end()
        }

        @Test(
            "what took the place of another gets them; the ended one is no concern",
            arguments: AskingVictim.Program.allCases, Libc.suites)
        func replaced(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            try scene.asker.every(20)
            for turn in 0..<3 {
                try scene.etc.change(to: turn % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile)
                // Made before the change of the file is to be judged: it has read it already. So make it and change again.
                _ = try scene.asker.replace()
                try scene.etc.change(to: turn % 2 == 0 ? ChannelScene.oldFile : ChannelScene.newFile)
                try scene.expectDone(scene.refreshed())
            }
            try scene.asker.victim.end()
        }

        @Test(
            "one that is ended all the time is never touched afterwards", arguments: AskingVictim.Program.allCases,
            Libc.suites)
        func shortLived(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, ["threads", "1"])
            try scene.asker.every(20)
            try scene.asker.every(20, side: 1)
            for turn in 0..<Stress.share(of: 100) {
                try scene.etc.change(to: turn % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile)
                let running = try startRefresh(scene.asker.id, "--wait", "0.4", "--force")
                for _ in 0..<200 { _ = try scene.asker.replace() }
                scene.readLogs()
                let run = try running.finish()
                #expect([0, 1].contains(run.status))
                try scene.asker.victim.checkAlive(after: "turn \(turn)")
                #expect(try scene.asker.lookup("t\(turn).example").isAnswered)
            }
            try scene.asker.victim.end()
        }

        @Test("any kind of lookup tells which thread it is", arguments: AskingVictim.Program.allCases, Libc.suites)
        func anyCall(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            let calls = program == .ares ? ["getaddrinfo", "query"] : ["getaddrinfo"]
            for (turn, call) in calls.enumerated() {
                try scene.etc.change(to: turn % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile)
                try scene.expectDone(scene.refreshedWhileAsking(by: call))
            }
            try scene.asker.victim.end()
        }

        @Test("an event thread is left alone", arguments: [Libc.trixie, .sid])
        func eventThread(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, ["event-thread"])
            try scene.asker.every(50)
            try scene.etc.change(to: ChannelScene.newFile)
            let run = try scene.refreshed()
            #expect(run.status == 0)
            #expect(try scene.report(run).repair?.action == "none")
            try scene.asker.victim.end()
        }
    }
}
