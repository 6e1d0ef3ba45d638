import Glibc
import LinuxProcess
import Testing

/// A program from TestTargets that runs as long as this value lives.
public final class Victim {
    public let id: ProcessID
    /// What follows `ready` on its first line.
    public let ready: [String]
    /// What it is called in messages.
    public let name: String
    private let child: ChildProcess
    /// Its /etc stays as long as it lives.
    private let etc: EtcDirectory?
    private var lines: LineReader

    /// Starts a program and waits until it says that it is ready.
    ///
    /// - Parameters:
    ///   - environment: variables it gets besides ours.
    ///   - etc: what stands for /etc in a mount namespace of its own.
    ///   - ownNetwork: it gets a network namespace with nothing but a loopback interface.
    public init(
        _ command: [String], environment: [String: String] = [:], etc: EtcDirectory? = nil, ownNetwork: Bool = false
    ) throws {
        var words: [String] = []
        if etc != nil || ownNetwork {
            words.append("\(Stage.targets)/build/host/stage")
            if ownNetwork { words.append("--net") }
            if let etc { words += ["--etc", etc.path] }
            words.append("--")
        }
        // A victim ends by itself after two minutes unless it is told otherwise; some tests go on for longer under stress.
        let variables = ["VICTIM_LIMIT": "3600"].merging(environment) { $1 }
        words.append("/usr/bin/env")
        words += variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        words += command
        name = command.map { $0.split(separator: "/").last.map(String.init) ?? $0 }.joined(separator: " ")
        self.etc = etc
        child = try withoutBlockedSignals { try ChildProcess(words[0], Array(words.dropFirst())) }
        id = child.id
        lines = LineReader(child.output.rawValue)
        guard let first = lines.next(until: Deadline(seconds: 30)), first.hasPrefix("ready") else {
            throw TestSupportError("\(name) did not become ready")
        }
        ready = first.split(separator: " ").dropFirst().map(String.init)
    }

    /// Starts a victim with a C library.
    public convenience init(
        _ libc: Libc, _ program: String, _ arguments: [String] = [], environment: [String: String] = [:],
        etc: EtcDirectory? = nil, ownNetwork: Bool = false
    ) throws {
        try self.init(
            try libc.command(program, arguments), environment: environment, etc: etc, ownNetwork: ownNetwork)
    }

    /// Sends it a line.
    public func tell(_ line: String) throws {
        do {
            try writingToPipe { () throws(SystemError) in
                try writeAll(Array("\(line)\n".utf8), to: child.input.rawValue)
            }
        } catch {
            try checkAlive(after: "`\(line)`")
            throw error
        }
    }

    /// Sends it a line and waits for the line it answers with.
    public func ask(_ line: String, within seconds: Double = 30) throws -> String {
        try tell(line)
        guard let answer = lines.next(until: Deadline(seconds: seconds)) else {
            throw TestSupportError("\(name) did not answer `\(line)`")
        }
        return answer
    }

    /// The lines it has said of its own accord since it was asked last.
    public func said() -> [String] { lines.available() }

    public func send(_ signal: Int32) { kill(id.rawValue, signal) }

    /// Throws with its last words when it has ended by now.
    public func checkAlive(after what: String) throws {
        guard !isAlive else { return }
        let status = exitStatus(until: Deadline(seconds: 5))?.description ?? "ended"
        throw TestSupportError("\(name) \(status) after \(what); it said \(said())")
    }

    /// It has not ended. What has ended is not reaped before this value goes.
    ///
    /// Its state in /proc does not tell: while another thread than the first one replaces the program, the first is a zombie.
    public var isAlive: Bool { exitStatus(until: Deadline(seconds: 0)) == nil }

    /// Asks it to end, and demands that it noticed nothing.
    ///
    /// - Returns: N of its `ok N`.
    @discardableResult
    public func end(within seconds: Double = 30) throws -> Int {
        send(SIGTERM)
        return try waitForEnd(within: seconds)
    }

    /// Waits until it ends, and demands that it noticed nothing.
    @discardableResult
    public func waitForEnd(within seconds: Double = 30) throws -> Int {
        let deadline = Deadline(seconds: seconds)
        var last = ""
        while let line = lines.next(until: deadline) { last = line }
        guard let status = exitStatus(until: deadline) else {
            throw TestSupportError("\(name) did not end within \(seconds) s; it said \"\(last)\" last")
        }
        let words = last.split(separator: " ")
        guard status == .exited(0), words.count >= 2, words[0] == "ok", let rounds = Int(words[1]) else {
            throw TestSupportError("\(name): \(status), and said \"\(last)\" last")
        }
        return rounds
    }

    private enum ExitStatus: Equatable, CustomStringConvertible {
        case exited(Int32)
        case killed(by: Int32)

        var description: String {
            switch self {
            case .exited(let code): "exited with status \(code)"
            case .killed(let signal): "was killed by signal \(signal)"
            }
        }
    }

    private func exitStatus(until deadline: Deadline) -> ExitStatus? {
        var information = siginfo_t()
        let hasEnded = eventually(within: deadline.secondsLeft) {
            information = siginfo_t()
            // It stays a zombie: its number belongs to nobody else as long as this value lives.
            let result = waitid(P_PID, id_t(id.rawValue), &information, WEXITED | WNOWAIT | WNOHANG)
            return result == 0 && information.si_signo == SIGCHLD
        }
        guard hasEnded else { return nil }
        let status = information._sifields._sigchld.si_status
        return information.si_code == Int32(CLD_EXITED) ? .exited(status) : .killed(by: status)
    }
}
