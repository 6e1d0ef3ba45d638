import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealDaemons {
    /// Programs that look names up now and then and keep a session each, in several languages.
    @Suite("Runtimes")
    struct RuntimeTests {
        @Test("Python: every thread follows", .daemon("python"), arguments: Following.allCases)
        func python(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                try scene.startBackend()
                let program = try scene.start(
                    "python", [Scene.python, Scene.program("lookups.py")], user: "nobody", package: "python3")
                for thread in 0..<4 {
                    #expect(try scene.serversAsked(for: "python\(thread).example") == [Scene.oldServer])
                }
                try scene.switchOver()
                let run = try refresh(program.id)
                #expect(run.status == 0, "\(run.standardError)")
                let process = try run.process()
                try expectRepair(of: process, following)
                #expect(process.resolvers.count { $0.was != "idle" } == 4)
                #expect(process.sessions?.lost == 0)
                scene.forgetQueries()
                for thread in 0..<4 {
                    #expect(try scene.serversAsked(for: "python\(thread).example", times: 4) == [Scene.newServer])
                }
                #expect(program.isAlive)
                #expect(program.logLines == [])
            }
        }
    }
}
