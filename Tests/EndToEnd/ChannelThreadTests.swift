import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Channels and bases of several threads, and what several threads share.
    @Suite("Channels of threads")
    struct ChannelThreadTests {
        @Test("each is changed on its own thread", arguments: AskingVictim.Program.allCases, Libc.suites)
        func each(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, ["threads", "3"])
            for side in 0...3 { try scene.asker.every(100, side: side) }
            try scene.etc.change(to: ChannelScene.newFile)
            let run = try scene.refreshed()
            #expect(run.status == 0)
            let reports = try scene.reports(run)
            #expect(reports.count == 4)
            for side in 0...3 {
                let object = try scene.asker.object(side: side)
                let report = try #require(reports.first { $0.channel == object })
                #expect(report.thread == scene.asker.threads[side])
                #expect(report.state == "current")
                #expect(report.repair?.result == "done", "\(report)")
                #expect(try scene.asker.servers(side: side) == ["127.0.0.3"])
            }
            try scene.asker.victim.end()
        }

        @Test(
            "those without a lookup are deferred, the others done", arguments: AskingVictim.Program.allCases,
            Libc.suites)
        func some(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, ["threads", "2"])
            try scene.asker.every(50, side: 1)
            try scene.etc.change(to: ChannelScene.newFile)
            let run = try runRepoint(["refresh", "--json", "\(scene.asker.id)", "--wait", "1.5"])
            #expect(run.status == 1)
            let reports = try scene.reports(run)
            #expect(reports.count == 3)
            let busy = try scene.asker.object(side: 1)
            for report in reports {
                let action = report.repair?.action
                #expect(action == (report.channel == busy ? "reconfigure" : "deferred"), "\(report)")
            }
            #expect(try scene.asker.servers() == ["127.0.0.2"])
            #expect(try scene.asker.servers(side: 1) == ["127.0.0.3"])
            try scene.asker.victim.end()
        }

        @Test("by force each is changed once", arguments: AskingVictim.Program.allCases, [Libc.bookworm, .trixie])
        func forced(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, ["threads", "2"])
            try scene.asker.every(20)
            let run = try runRepoint(["refresh", "--json", "\(scene.asker.id)", "--wait", "2", "--force"])
            #expect(run.status == 1)
            let first = try scene.asker.object()
            let report = try #require(try scene.reports(run).first { $0.channel == first })
            #expect(report.repair?.result == "done", "\(report)")
            // Held for one call, after a try or two; not for one every 50 ms.
            #expect(try #require(report.repair?.pauseMicroseconds) < 50_000)
            try scene.asker.victim.end()
        }

        /// Both threads ask in turn until the refresh has ended.
        private func refreshShared(_ scene: ChannelScene) throws -> RepointRun {
            let running = try startRefresh(scene.asker.id, "--wait", "6")
            while running.isRunning {
                scene.readLogs()
                for side in 0...1 {
                    // What one says comes before what the other does next.
                    let name = "side\(side).example"
                    #expect(try scene.asker.lookup(name, side: side).isAnswered)
                }
            }
            return try running.finish()
        }

        @Test("one that two threads share is refused where c-ares has no locks", arguments: [Libc.bullseye, .bookworm])
        func sharedWithoutLocks(_ libc: Libc) throws {
            // Nobody answers: there is always a query of one thread or the other, until both were seen.
            let scene = try ChannelScene(.ares, libc, ["shared", "timeout", "300", "tries", "1"], old: .silent)
            try scene.etc.change(to: ChannelScene.newFile)
            let running = try startRefresh(scene.asker.id, "--wait", "10")
            while running.isRunning {
                for side in 0...1 { try scene.asker.tell("lookup side\(side).example", side: side) }
                let pause = Deadline(seconds: 0.6)
                _ = eventually(within: 1) { pause.hasPassed }
            }
            let report = try scene.report(running.finish())
            #expect(report.repair?.action == "refused", "\(report)")
            #expect(report.repair?.reason?.contains("\(scene.asker.threads[1])") == true)
            #expect(report.nameservers == ["127.0.0.2:53"])
            try scene.asker.victim.end()
        }

        @Test("sharing that is not seen in time does no harm", arguments: [Libc.bullseye, .bookworm])
        func unseenSharing(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, ["shared"])
            for turn in 0..<Stress.share(of: 100) {
                try scene.etc.change(to: turn % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile)
                let report = try scene.report(refreshShared(scene))
                // One that was refused before has the old servers still, which every second file names.
                let isSettled = report.repair?.result == "done" || report.repair?.action == "refused"
                #expect(isSettled || turn % 2 == 1 && report.state == "current", "\(report)")
            }
            try scene.asker.victim.end()
        }

        @Test("one that two threads share is changed where c-ares has locks", arguments: [Libc.trixie, .sid])
        func sharedWithLocks(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, ["shared"])
            try scene.etc.change(to: ChannelScene.newFile)
            try scene.expectDone(refreshShared(scene))
            #expect(try scene.asker.servers(side: 1) == ["127.0.0.3"])
            try scene.asker.victim.end()
        }
    }
}
