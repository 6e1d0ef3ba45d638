import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// A process whose channel or base was changed notices nothing else.
    @Suite("Changing channels harms nothing")
    struct ChannelHarmlessTests {
        @Test(
            "twenty switches back and forth under lookups: none fails, no wait is disturbed",
            arguments: AskingVictim.Program.allCases, Libc.suites)
        func switches(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc, program == .ares ? ["epoll"] : [])
            try scene.asker.every(20)
            var pauses: [Double] = []
            for turn in 0..<max(20, Stress.total / 15) {
                try scene.etc.change(to: turn % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile)
                let run = try scene.refreshed()
                try scene.expectDone(run)
                if let pause = try scene.report(run).repair?.pauseMicroseconds { pauses.append(pause) }
                try scene.asker.victim.checkAlive(after: "switch \(turn)")
            }
            #expect(pauses.sorted()[pauses.count / 2] < 5000, "\(pauses)")
            let lookups = try scene.asker.victim.end()
            #expect(lookups >= 40)
        }

        @Test("nothing stays behind", arguments: AskingVictim.Program.allCases, Libc.suites)
        func nothing(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            try scene.asker.every(100)
            #expect(try scene.server(asked: "one.example") == "old")
            let before = try ProcessPicture(of: scene.asker.id)
            for turn in 0..<4 {
                try scene.etc.change(to: turn % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile)
                try scene.expectDone(scene.refreshed())
                // The kernel keeps a page for probes where there was one.
                let changes = try ProcessPicture(of: scene.asker.id).withoutSockets.changes(
                    since: before.withoutSockets)
                #expect(changes.filter { !$0.hasSuffix("[uprobes]") } == [])
                // The socket of a lookup comes and goes; none is left open besides.
                #expect(
                    try eventually(within: 5) {
                        try ProcessPicture(of: scene.asker.id).socketCount <= before.socketCount
                    })
                #expect(try isLeftAlone(scene.asker.id))
            }
            // The kernel takes a little to take its probes away.
            #expect(try eventually(within: 10) { try changedCode(of: scene.asker.id) == [] })
            #expect(try eventually(within: 10) { try !ProcessID.all().contains { (try? $0.name()) == "repoint" } })
            #expect(scene.asker.victim.reportedStops == 0)
            try scene.asker.victim.end()
        }

        @Test("the heap does not grow with the refreshes", arguments: AskingVictim.Program.allCases, Libc.suites)
        func noGrowth(_ program: AskingVictim.Program, _ libc: Libc) throws {
            let scene = try ChannelScene(program, libc)
            try scene.asker.every(50)
            func refresh(_ times: Int) throws -> Int {
                for turn in 0..<times {
                    try scene.etc.change(to: turn % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile)
                    try scene.expectDone(scene.refreshed())
                }
                return try MemoryMap(of: scene.asker.id).regions.filter(\.isWritable).map(\.range.count).reduce(0, +)
            }
            let early = try refresh(6)
            #expect(try refresh(12) - early <= 132 << 10)
            try scene.asker.victim.end()
        }

        @Test("c-ares's own reinitialisation goes on to read the file", arguments: [Libc.trixie, .sid])
        func reinitialisation(_ libc: Libc) throws {
            let scene = try ChannelScene(.ares, libc)
            try scene.asker.every(50)
            let serversSet = 0x40
            func mask() throws -> Int {
                let words = try scene.asker.ask("options").split(separator: " ")
                return try #require(Int(words[1].dropFirst(2), radix: 16))
            }
            #expect(try mask() & serversSet == 0)
            try scene.etc.change(to: ChannelScene.newFile)
            try scene.expectDone(scene.refreshed())
            #expect(try mask() & serversSet == 0)
            try scene.etc.change(to: ChannelScene.oldFile)
            #expect(try scene.asker.ask("reinit") == "reinit 0")
            #expect(try eventually(within: 5) { try scene.asker.servers() == ["127.0.0.2"] })
            // The instrument works: after servers of its own it reads the file no more.
            #expect(try scene.asker.ask("set 127.0.0.3") == "set 0")
            #expect(try mask() & serversSet != 0)
            #expect(try scene.asker.ask("reinit") == "reinit 0")
            let end = Deadline(seconds: 0.5)
            #expect(eventually(within: 1) { end.hasPassed })
            #expect(try scene.asker.servers() == ["127.0.0.3"])
            try scene.asker.victim.end()
        }
    }

    /// repoint is killed at the steps of its work on a channel or base.
    @Suite("A repoint killed over a channel")
    struct ChannelKilledTracerTests {
        private static let stepkill = "\(Stage.targets)/build/host/stepkill"

        @Test(
            "leaves a thread that makes all the calls by itself", arguments: AskingVictim.Program.allCases,
            [Libc.bookworm, .trixie])
        func heals(_ program: AskingVictim.Program, _ libc: Libc) throws {
            try require(Self.stepkill, because: "the killer of tracers")
            // A wait may start over, and take its full time once more.
            let scene = try ChannelScene(
                program, libc, program == .ares ? ["poll"] : [], environment: ["VICTIM_SLACK_MS": "20000"])
            try scene.asker.every(20)
            func run(_ step: Int) throws -> RepointRun {
                try runRepoint(
                    ["refresh", "--force", "--wait", "3", "\(scene.asker.id)"], under: [Self.stepkill, "\(step)"])
            }
            let counted = try run(0)
            let line = try #require(counted.errorLines.last { $0.hasPrefix("stops ") }, "\(counted.standardError)")
            let total = try #require(Int(line.dropFirst("stops ".count)))
            var killed = 0
            var marked = 0
            // The calls come near the end; what reads memory before them is killed now and then only. All of the late ones take an
            // hour for all cases: the more stress, the more of them, and others in each run.
            let late = max(1, total - 140)
            let stride = max(1, 140 / Stress.share(of: 15))
            let steps =
                Array(Swift.stride(from: 1, to: late, by: max(1, late / 4)))
                + Array(Swift.stride(from: late + Int.random(in: 0..<stride), through: total, by: stride))
            for step in steps {
                try scene.etc.change(to: step % 2 == 0 ? ChannelScene.newFile : ChannelScene.oldFile)
                let killedRun = try run(step)
                if killedRun.status == 99 { killed += 1 }
                let place = killedRun.errorLines.last ?? ""
                scene.readLogs()
                let isFree = try eventually(within: 2) {
                    try !scene.asker.victim.isAlive || isLeftAlone(scene.asker.id)
                }
                #expect(isFree, "it is held after \(place)")
                try scene.asker.victim.checkAlive(after: place)
                // The base is not suspended, the channel has servers, and they are the old or the new ones.
                #expect(try scene.asker.lookup("s\(step).example", within: 10).isAnswered, "\(place)")
                let servers = try scene.asker.servers()
                #expect([["127.0.0.2"], ["127.0.0.3"]].contains(servers), "\(place): \(servers)")
                if try scene.report(inspect(scene.asker.id)).reason == "edited-state" {
                    marked += 1
                    _ = try scene.asker.replace()
                }
            }
            #expect(killed > steps.count / 2, "\(killed) of \(steps.count)")
            // Between the call and the mark's taking off.
            #expect(marked <= max(3, killed / 8), "\(marked) of \(killed) left the mark of own servers")
            try scene.etc.change(to: ChannelScene.newFile + "# end\n")
            let after = try scene.refreshed("--force")
            #expect(after.status == 0)
            #expect(try scene.report(after).state == "current")
            #expect(try eventually(within: 10) { try changedCode(of: scene.asker.id) == [] })
            #expect(try scene.asker.victim.end(within: 60) > 0)
        }
    }
}
