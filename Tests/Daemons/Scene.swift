import Glibc
import LinuxProcess
import TestSupport
import Testing

/// A network of its own, with an /etc of its own and a name server at the old address and one at the new, where daemons run.
/// Whatever runs in that network ends with the scene.
final class Scene {
    static let oldServer = "127.0.0.2"
    static let newServer = "127.0.0.3"
    private static let newFile = "nameserver \(newServer)\n"

    /// Name servers that know every name, at 127.0.0.1.
    let old: DNSResponder
    let new: DNSResponder
    private let etc: EtcDirectory
    private let directory: TemporaryDirectory
    /// Keeps the namespaces.
    private let keeper: Victim
    private let network: String
    private let oldFile: String
    private var programs: [Victim] = []

    /// Sets a scene, and strikes it when all is done or something failed.
    ///
    /// - Parameter options: lines of the old resolv.conf besides its name server.
    static func play(options: String = "", _ act: (Scene) throws -> Void) throws {
        let scene = try Scene(options: options)
        defer { scene.strike() }
        try act(scene)
    }

    private init(options: String) throws {
        oldFile = "nameserver \(Scene.oldServer)\n\(options)"
        etc = try EtcDirectory(resolvConf: oldFile)
        // What daemons want to read there, where it exists: users, the loader's cache, and what their packages brought.
        let wanted = [
            "passwd", "group", "services", "protocols", "ld.so.cache", "ssl", "alternatives", "java-17-openjdk",
            "squid",
        ]
        let sources: [String] = wanted.map { "/etc/\($0)" }.filter { access($0, F_OK) == 0 }
        _ = try ProgramRun(["cp", "-a"] + sources + [etc.path])
        directory = try TemporaryDirectory()
        // Daemons of several users put their files there.
        chmod(directory.path, 0o1777)
        keeper = try Victim(["/bin/sh", "-c", "echo ready; exec cat >/dev/null"], etc: etc, ownNetwork: true)
        network = try keeper.id.namespace(.network)
        old = try DNSResponder(.answer, at: [Scene.oldServer], besides: keeper.id, giving: "127.0.0.1")
        new = try DNSResponder(.answer, at: [Scene.newServer], besides: keeper.id, giving: "127.0.0.1")
    }

    private func strike() {
        let isEmpty = eventually(within: 10) {
            let remaining = processes().filter { $0 != keeper.id }
            for process in remaining { kill(process.rawValue, SIGKILL) }
            return remaining.isEmpty
        }
        #expect(isEmpty, "these are left: \(processes())")
    }

    /// Everything alive in the scene's network, but for what a test asks it with.
    private func processes() -> [ProcessID] {
        let all = (try? ProcessID.all()) ?? []
        return all.filter { (try? $0.namespace(.network)) == network }
    }

    /// Processes by their command's name, in ascending order.
    func processes(named name: String) -> [ProcessID] { processes().filter { (try? $0.name()) == name } }

    // MARK: Files

    /// The path of a file or directory in the scene's own directory.
    func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    func write(_ text: String, to name: String) throws {
        let descriptor = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SystemError("create \(path(name))", code: errno) }
        defer { close(descriptor) }
        try writeAll(Array(text.utf8), to: descriptor)
    }

    /// Writes a file to the scene's /etc.
    func configure(_ text: String, at name: String) throws {
        if let slash = name.lastIndex(of: "/") { mkdir("\(etc.path)/\(name[..<slash])", 0o755) }
        try etc.write(text, to: name)
    }

    func makeDirectory(_ name: String, for user: String) throws {
        _ = try run(["install", "-d", "-o", user, "-m", "700", path(name)])
    }

    func text(of name: String) -> String {
        String(decoding: (try? readFile(path(name))) ?? [], as: UTF8.self)
    }

    // MARK: Programs

    private func command(_ command: [String], user: String?) -> [String] {
        // The directory is entered after the namespace: with nsenter's own --wd it would be one of the old mounts.
        let place = [
            "/usr/bin/nsenter", "--target", "\(keeper.id)", "--mount", "--net", "--", "env",
            "--chdir=\(directory.path)",
        ]
        let person = user.map {
            ["setpriv", "--reuid=\($0)", "--regid=\(Scene.group(of: $0))", "--clear-groups", "--"]
        }
        return place + (person ?? []) + command
    }

    private static func group(of user: String) -> String { user == "nobody" ? "nogroup" : user }

    /// Starts a daemon, its output going to `NAME.log`. The test is skipped by name where its program is missing.
    func start(
        _ name: String, _ words: [String], user: String? = nil, environment: [String: String] = [:],
        package: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Daemon {
        try require(words[0], because: "package \(package)", sourceLocation: sourceLocation)
        let log = "\(name).log"
        try write("", to: log)
        chmod(path(log), 0o666)
        let shell = ["/bin/sh", "-c", "echo ready; exec \"$@\" </dev/null >>\"$0\" 2>&1", path(log)]
        let victim = try Victim(command(shell + words, user: user), environment: environment)
        programs.append(victim)
        return Daemon(victim, name: name, scene: self, log: log)
    }

    /// Runs a command to its end.
    func run(_ words: [String], user: String? = nil, limit: Double = 60) throws -> ProgramRun {
        let run = try ProgramRun(command(words, user: user), limit: limit)
        guard run.status == 0 else {
            throw TestSupportError(
                "\(words) ended with status \(run.status): \(run.standardError)\(run.standardOutput)")
        }
        return run
    }

    /// One of the test's own programs.
    static func program(_ name: String) -> String { "\(Stage.project)/Tests/Daemons/programs/\(name)" }
    static let python = "/usr/bin/python3"

    /// Starts what daemons talk to: HTTP on port 8000, echoes on 7000, a mail sink on 2525.
    func startBackend() throws {
        programs.append(try Victim(command([Scene.python, Scene.program("backend.py")], user: nil)))
    }

    /// Opens sessions to a port. They are the test's own, and must last.
    func openSessions(_ count: Int, to port: Int, _ protocolName: String, _ argument: String = "") throws -> Sessions {
        let words = [Scene.python, Scene.program("sessions.py"), "\(count)", "\(port)", protocolName, argument]
        return Sessions(try Victim(command(words, user: nil)), count: count)
    }

    // MARK: The switch

    /// Puts the new server into resolv.conf.
    func switchOver() throws { try etc.change(to: Scene.newFile) }

    /// Puts the old server into resolv.conf.
    func switchBack() throws { try etc.change(to: oldFile) }

    func forgetQueries() {
        _ = old.takeQueries()
        _ = new.takeQueries()
    }

    /// Waits until somebody has asked for a name `times` times, and says who was asked from now on.
    ///
    /// - Parameter part: what the name contains.
    func serversAsked(for part: String, times: Int = 1, within seconds: Double = 15) throws -> Set<String> {
        // evdns mixes the cases of letters.
        func matching(_ responder: DNSResponder) -> [DNSResponder.Query] {
            responder.queries.filter { $0.name.lowercased().contains(part) }
        }
        let cameIn = eventually(within: seconds) { matching(old).count + matching(new).count >= times }
        guard cameIn else { throw TestSupportError("nobody asked for \(part) within \(seconds) s") }
        return Set((matching(old) + matching(new)).map(\.server))
    }
}
