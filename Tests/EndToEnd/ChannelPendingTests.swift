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
            // The last try may have found it between two waits.
            let reason = report.repair?.reason ?? ""
            #expect(reason.contains("queries") || reason.contains("safe point"), "\(report)")
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
            // Lookups that are not answered either tell the thread. That one fails in the end would be a violation.
            try scene.asker.every(100)
            try scene.expectDone(scene.refreshed())
            #expect(try eventually(within: 1) { try scene.asker.calm() == (0, count) })
            #expect(try scene.server(asked: "one.example") == "new")
            try scene.asker.victim.end()
        }

        @Test("without any under way evdns is changed all the same", arguments: Libc.suites)
        func noneUnderWay(_ libc: Libc) throws {
            let scene = try ChannelScene(.evdns, libc, old: .servfail)
            try scene.etc.change(to: ChannelScene.newFile)
            try scene.expectDone(scene.refreshedWhileAsking())
            #expect(try scene.server(asked: "two.example") == "new")
            try scene.asker.victim.end()
        }

        @Test("a base that is inside of a callback is left alone until it is out", arguments: Libc.suites)
        func insideACallback(_ libc: Libc) throws {
            let scene = try ChannelScene(.evdns, libc)
            try scene.etc.change(to: ChannelScene.newFile)
            // One lookup tells the thread, which then stays in its callback for longer than the refresh waits.
            let running = try startRefresh(scene.asker.id, "--wait", "3")
            let start = Deadline(seconds: 1.5)
            #expect(eventually(within: 3) { start.hasPassed })
            try scene.asker.tell("hold 4000")
            #expect(try scene.asker.ask("lookup one.example") == "holding")
            let early = try running.finish()
            #expect(early.status == 1)
            let report = try scene.report(early)
            #expect(report.repair?.action == "deferred")
            #expect(report.repair?.reason?.contains("safe point") == true, "\(report)")
            #expect(eventually(within: 8) { scene.asker.victim.said().contains { $0.hasPrefix("answer one.example") } })
            #expect(try scene.asker.servers() == ["127.0.0.2"])
            try scene.expectDone(scene.refreshedWhileAsking())
            try scene.asker.victim.end()
        }
    }
}
