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

        @Test("one that two threads share comes to no harm, whatever is done about it", arguments: Libc.suites)
        func shared(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc, ["shared"])
            try scene.asker.every(20)
            try scene.asker.every(20, side: 1)
            for turn in 0..<3 {
                try scene.etc.change(to: turn % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile)
                let report = try scene.report(refresh(scene.asker.id, "--wait", "2"))
                #expect(report.repair?.result != "failed", "\(report)")
                try scene.asker.victim.checkAlive(after: "refresh \(turn)")
            }
            try scene.asker.victim.end()
        }
    }
}
