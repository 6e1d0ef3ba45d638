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

        @Test(
            "Node: every thread of its pool follows; c-ares is refreshed where it is a library of its own",
            .daemon("node"), arguments: Following.allCases)
        func node(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                try scene.startBackend()
                let program = try scene.start(
                    "node", ["/usr/bin/node", Scene.program("lookups.js")], user: "nobody", package: "nodejs")
                for name in 0..<8 { #expect(try scene.serversAsked(for: "pool\(name).example") == [Scene.oldServer]) }
                #expect(try scene.serversAsked(for: "ares.example") == [Scene.oldServer])
                // Each thread of the pool must have looked something up, or it has nothing to be refreshed.
                _ = try scene.serversAsked(for: "pool0.example", times: 4)

                try scene.switchOver()
                let run = try refresh(program.id, "--wait", "5")
                let process = try run.process()
                try expectRepair(of: process, following)
                #expect(process.sessions?.lost == 0)
                scene.forgetQueries()
                #expect(try scene.serversAsked(for: "pool", times: 40) == [Scene.newServer])
                let servers = try scene.serversAsked(for: "ares.example", times: 3)
                // A library of its own, or linked into the program: it is found where the program exports its functions.
                let channels = process.resolvers.filter { $0.library == "c-ares" }
                let isMoved = !channels.isEmpty && channels.allSatisfy { $0.state == "current" }
                #expect(servers == [isMoved ? Scene.newServer : Scene.oldServer])
                #expect(run.status == (isMoved ? 0 : 1))
                #expect(program.isAlive)
                #expect(program.logLines == [])
            }
        }

        @Test(
            "Java: the report is true, whether the threads follow or not", .daemon("java"),
            arguments: Following.allCases)
        func java(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                try scene.startBackend()
                try require("/usr/bin/javac", because: "package default-jdk-headless")
                _ = try scene.run(["javac", "-d", scene.path(""), Scene.program("Lookups.java")])
                let program = try scene.start(
                    "java", ["/usr/bin/java", "-Xmx64m", "-cp", scene.path(""), "Lookups"], user: "nobody",
                    package: "default-jdk-headless")
                #expect(try scene.serversAsked(for: "java", times: 8) == [Scene.oldServer])
                try scene.switchOver()
                let run = try refresh(program.id)
                try scene.expectTruth(of: run, on: "java", following)
                #expect(try run.process().sessions?.lost == 0)
                #expect(program.isAlive)
                #expect(program.logLines == [])
            }
        }

        @Test("Go with its own resolver follows within seconds, and nothing is done to it", .daemon("go"))
        func go() throws {
            try Scene.play { scene in
                let program = try startGo("go", in: scene)
                try scene.switchOver()
                let picture = try ProcessPicture(of: program.id)
                let run = try refresh(program.id)
                #expect(try run.process().resolvers.allSatisfy { ["none", nil].contains($0.repair?.action) })
                #expect(try isLeftAlone(program.id))
                #expect(try ProcessPicture(of: program.id).mappings == picture.mappings)
                let follows = try eventually(within: 15) {
                    scene.forgetQueries()
                    return try scene.serversAsked(for: "go", times: 4) == [Scene.newServer]
                }
                #expect(follows)
                #expect(program.logLines == [])
            }
        }

        @Test(
            "Go with glibc's: the report is true, whether the threads follow or not", .daemon("go"),
            arguments: Following.allCases)
        func goWithGlibc(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                let program = try startGo("cgo", in: scene)
                try scene.switchOver()
                let run = try refresh(program.id)
                try scene.expectTruth(of: run, on: "go", following)
                #expect(try run.process().sessions?.lost == 0)
                #expect(program.isAlive)
                #expect(program.logLines == [])
            }
        }

        private func startGo(_ resolver: String, in scene: Scene) throws -> Daemon {
            try scene.startBackend()
            try require("/usr/bin/go", because: "package golang-go")
            let build = [
                "env", "HOME=\(scene.path(""))", "GOCACHE=\(scene.path("cache"))", "GO111MODULE=off",
                "CGO_ENABLED=\(resolver == "cgo" ? 1 : 0)",
            ]
            _ = try scene.run(
                build + ["go", "build", "-o", scene.path("lookups"), Scene.program("lookups.go")], limit: 300)
            let program = try scene.start(
                "go", [scene.path("lookups")], user: "nobody", environment: ["GODEBUG": "netdns=\(resolver)"],
                package: "golang-go")
            #expect(try scene.serversAsked(for: "go", times: 8) == [Scene.oldServer])
            return program
        }
    }
}

extension Scene {
    /// What the report says of threads that look names up by glibc, and what they then do, is the same thing: either all follow, or
    /// the report says that some stay where they are, and they do.
    fileprivate func expectTruth(
        of run: RepointRun, on name: String, _ following: Following, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let used = try run.process(sourceLocation: sourceLocation).resolvers.filter { $0.was != "idle" }
        try #require(!used.isEmpty, sourceLocation: sourceLocation)
        let stay = used.filter { $0.state == "pinned" }
        #expect(run.status == (stay.isEmpty ? 0 : 1), sourceLocation: sourceLocation)
        #expect(following == .afterRefresh || stay.isEmpty, sourceLocation: sourceLocation)
        for thread in stay {
            #expect(thread.explanation != nil || thread.repair?.reason != nil, sourceLocation: sourceLocation)
        }
        forgetQueries()
        let servers = try serversAsked(for: name, times: 30)
        #expect(servers.contains(Scene.oldServer) == !stay.isEmpty, "\(servers)", sourceLocation: sourceLocation)
    }
}
