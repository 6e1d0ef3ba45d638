import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Queries that nobody answers are under way when the servers change.
    @Suite("Queries under way in a channel")
    struct ChannelPendingTests {
        @Test(
            "an old c-ares refuses them: it is deferred, and the reason names them",
            arguments: [Libc.bullseye, .bookworm])
        func refused(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, ["timeout", "200", "tries", "1"], old: .silent)
            try scene.asker.keepBusy(5)
            try scene.etc.change(to: ChannelScene.newFile)
            let run = try refresh(scene.asker.id, "--wait", "1.5")
            #expect(run.status == 1)
            let report = try scene.report(run)
            #expect(report.state == "pinned")
            #expect(report.repair?.action == "deferred")
            // The function's own result was seen.
            #expect(report.repair?.reason?.contains("ARES_ENOTIMP") == true, "\(report)")
            #expect((report.pendingQueries ?? 0) > 0)
            #expect(try scene.asker.servers() == ["127.0.0.2"])
            try scene.asker.victim.end()
        }

        @Test("when they end it is done", arguments: [Libc.bullseye, .bookworm])
        func doneAtTheirEnd(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, ["timeout", "300", "tries", "3"], old: .silent)
            try scene.asker.keepBusy(5)
            try scene.etc.change(to: ChannelScene.newFile)
            let running = try startRefresh(scene.asker.id, "--wait", "20")
            let start = Deadline(seconds: 1)
            #expect(eventually(within: 2) { start.hasPassed })
            #expect(try scene.asker.servers() == ["127.0.0.2"])
            _ = try scene.asker.calm()
            try scene.expectDone(running.finish())
            #expect(try scene.server(asked: "one.example") == "new")
            try scene.asker.victim.end()
        }

        @Test("a newer c-ares asks the new server for them", arguments: [Libc.trixie, .sid])
        func moved(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, ["epoll", "timeout", "2000", "tries", "3"], old: .silent)
            try scene.asker.keepBusy(5)
            try scene.etc.change(to: ChannelScene.newFile)
            try scene.expectDone(scene.refreshed())
            // Its loop is told of the new sockets at once.
            #expect(try eventually(within: 1) { try scene.asker.calm() == (0, 5) })
            let names = Set(scene.new.queries.map(\.name)).filter { $0.contains("busy.example") }
            #expect(names.count == 5)
            #expect(try scene.server(asked: "one.example") == "new")
            try scene.asker.victim.end()
        }

        @Test(
            "no socket is closed under a poll or select: it waits for the end of the queries",
            arguments: ["poll", "select"], [Libc.trixie, .sid])
        func notUnderAPoll(_ loop: String, _ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, [loop, "timeout", "300", "tries", "2"], old: .silent)
            try scene.asker.keepBusy(5)
            try scene.etc.change(to: ChannelScene.newFile)
            let early = try refresh(scene.asker.id, "--wait", "1.5")
            #expect(early.status == 1)
            let report = try scene.report(early)
            #expect(report.repair?.action == "deferred")
            #expect(report.repair?.reason?.contains("queries") == true, "\(report)")
            #expect(try scene.asker.servers() == ["127.0.0.2"])
            let running = try startRefresh(scene.asker.id, "--wait", "20")
            let start = Deadline(seconds: 0.5)
            #expect(eventually(within: 2) { start.hasPassed })
            _ = try scene.asker.calm()
            try scene.expectDone(running.finish())
            #expect(try scene.server(asked: "one.example") == "new")
            try scene.asker.victim.end()
        }

        @Test("evdns asks the new server for them at once", arguments: [1, 50, 200], Libc.suites)
        func movedByEvdns(_ count: Int, _ libc: Libc) throws {
            let scene = try ChannelScene(.evdns, libc, old: .silent)
            try scene.asker.keepBusy(count)
            #expect(eventually(within: 5) { !scene.old.queries.isEmpty })
            try scene.etc.change(to: ChannelScene.newFile)
            let running = try startRefresh(scene.asker.id, "--wait", "20")
            let start = Deadline(seconds: 0.5)
            #expect(eventually(within: 2) { start.hasPassed })
            // A lookup that is not answered either tells the thread.
            try scene.asker.tell("lookup one.example")
            let seconds = try duration { try scene.expectDone(running.finish()) }
            let answer = try scene.asker.ask("servers", within: 10)
            // The lookup was answered before it was asked for the servers.
            #expect(try scene.asker.answer(answer, to: "one.example").isAnswered, "after \(seconds) s: \(answer)")
            #expect(try scene.asker.calm() == (0, count))
            try scene.asker.victim.end()
        }

        @Test("without any under way evdns is changed all the same", arguments: Libc.suites)
        func noneUnderWay(_ libc: Libc) throws {
            let scene = try ChannelScene(.evdns, libc, old: .servfail)
            try scene.etc.change(to: ChannelScene.newFile)
            let running = try startRefresh(scene.asker.id, "--wait", "20")
            let start = Deadline(seconds: 0.5)
            #expect(eventually(within: 2) { start.hasPassed })
            _ = try scene.asker.lookup("one.example")
            try scene.expectDone(running.finish())
            #expect(try scene.server(asked: "two.example") == "new")
            try scene.asker.victim.end()
        }

        @Test("a base that is inside of a callback is left alone until it is out", arguments: Libc.suites)
        func insideACallback(_ libc: Libc) throws {
            let scene = try ChannelScene(.evdns, libc)
            try scene.etc.change(to: ChannelScene.newFile)
            try scene.asker.tell("hold 2500")
            let running = try startRefresh(scene.asker.id, "--wait", "1.2")
            let start = Deadline(seconds: 0.4)
            #expect(eventually(within: 2) { start.hasPassed })
            #expect(try scene.asker.ask("lookup one.example") == "holding")
            let early = try running.finish()
            #expect(early.status == 1)
            let report = try scene.report(early)
            #expect(report.repair?.action == "deferred")
            #expect(report.repair?.reason?.isEmpty == false)
            // It is held up still; a longer wait sees the end of it.
            let later = try startRefresh(scene.asker.id, "--wait", "20")
            #expect(try scene.asker.ask("servers", within: 10).hasPrefix("answer one.example"))
            // `servers` has its answer too.
            #expect(eventually(within: 5) { scene.asker.victim.said().contains("servers 127.0.0.2") })
            try scene.asker.tell("lookup two.example")
            try scene.expectDone(later.finish())
            try scene.asker.victim.end()
        }
    }
}
