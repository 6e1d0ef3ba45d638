import Glibc
import LinuxProcess
import TestSupport
import Testing

/// A daemon in a scene. It ends with the scene.
struct Daemon {
    let id: ProcessID
    let name: String
    private let victim: Victim
    private unowned let scene: Scene
    private let log: String

    init(_ victim: Victim, name: String, scene: Scene, log: String) {
        self.victim = victim
        self.name = name
        self.scene = scene
        self.log = log
        id = victim.id
    }

    var isAlive: Bool { victim.isAlive }

    func send(_ signal: Int32) { victim.send(signal) }

    var logLines: [String] { scene.text(of: log).split(separator: "\n").map(String.init) }

    /// Lines of its log that nobody wants to see, after the first `count` lines.
    func complaints(
        _ words: [String] = ["error", "warn", "crit", "alert", "emerg", "fatal", "fail"], after count: Int = 0
    ) -> [String] {
        logLines.dropFirst(count).filter { line in words.contains { line.lowercased().contains($0) } }
    }

    /// Waits until its log says something.
    func waitForLog(_ text: String, within seconds: Double = 30) throws {
        let isThere = eventually(within: seconds) { logLines.contains { $0.contains(text) } }
        guard isThere else { throw TestSupportError("\(name) did not say \"\(text)\": \(logLines)") }
    }

    /// Waits until somebody listens at a port of it, found by a session that is asked something.
    func waitForPort(_ port: Int, within seconds: Double = 30) throws {
        let code = "import socket,time\nwhile True:\n try: socket.create_connection(('127.0.0.1',\(port))); break\n"
        let run = [Scene.python, "-c", code + " except OSError: time.sleep(0.05)"]
        do {
            _ = try scene.run(run, limit: seconds)
        } catch {
            throw TestSupportError("\(name) does not listen on port \(port): \(logLines)")
        }
    }
}

/// Sessions that stay open.
struct Sessions {
    private let program: Victim
    let count: Int

    init(_ program: Victim, count: Int) {
        self.program = program
        self.count = count
    }

    /// Every session answers, on the connection that it began with.
    func expectAlive(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let answer = try program.ask("now", within: 60)
        #expect(answer == "answered \(count) of \(count)", sourceLocation: sourceLocation)
    }

    /// From now on, all are asked again and again.
    func keepBusy(every seconds: Double) throws { _ = try program.ask("every \(seconds)", within: 60) }
}
