import FoundationEssentials
import Glibc
import LinuxProcess
import Refresh
import Testing

/// The command `repoint`, run to its end.
public struct RepointRun: Sendable {
    public let run: ProgramRun
    /// The document, where `--json` was asked for and one came.
    public let report: Report?

    public var status: Int32 { run.status }
    public var standardOutput: String { run.standardOutput }
    public var standardError: String { run.standardError }
    public var errorLines: [String] { run.errorLines }

    /// The program: REPOINT_BINARY, or what was built along with the tests.
    public static let program: String = {
        if let chosen = Stage.variable("REPOINT_BINARY") { return chosen }
        // Beside the test bundle: the test runner may be swiftpm's own helper, but it has mapped the bundle.
        let map = try? MemoryMap(of: .own)
        let bundle = map?.regions.first { $0.name.hasSuffix(".xctest") }?.name
        let path = bundle ?? (try? readLink("/proc/self/exe")) ?? ""
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return (parts.dropLast() + ["repoint"]).joined(separator: "/")
    }()

    /// The program as it is shipped, where REPOINT_STATIC names it: what takes time, or a processor, is measured on that.
    public static let released = Stage.variable("REPOINT_STATIC") ?? program

    fileprivate init(_ run: ProgramRun, isJSON: Bool) throws {
        self.run = run
        report =
            isJSON && !run.standardOutput.isEmpty
            ? try JSONDecoder().decode(Report.self, from: Data(run.standardOutput.utf8)) : nil
    }

    /// The report on the only process.
    public func process(sourceLocation: SourceLocation = #_sourceLocation) throws -> ProcessReport {
        let processes = try #require(report, "no report: \(standardError)", sourceLocation: sourceLocation).processes
        try #require(processes.count == 1, "\(standardError)", sourceLocation: sourceLocation)
        return processes[0]
    }

    /// The report on one thread of the only process.
    public func thread(_ thread: Int32, sourceLocation: SourceLocation = #_sourceLocation) throws -> ResolverReport {
        let resolvers = try process(sourceLocation: sourceLocation).resolvers
        return try #require(
            resolvers.first { $0.thread == thread }, "no report on thread \(thread): \(standardError)",
            sourceLocation: sourceLocation)
    }
}

/// Runs `repoint` with some arguments and waits for its end.
///
/// - Parameters:
///   - prefix: a command that runs it, such as `setpriv`.
///   - program: another build of it.
///   - limit: seconds; a command that takes longer is a failure of the test.
public func runRepoint(
    _ arguments: [String], under prefix: [String] = [], program: String = RepointRun.program, limit: Double = 60
) throws -> RepointRun {
    let run = try ProgramRun(prefix + [program] + arguments, limit: limit)
    return try RepointRun(run, isJSON: arguments.contains("--json"))
}

/// `repoint inspect --json` of one process.
public func inspect(_ process: ProcessID) throws -> RepointRun { try runRepoint(["inspect", "--json", "\(process)"]) }

/// `repoint refresh --json` of one process, with further options.
public func refresh(_ process: ProcessID, _ options: String...) throws -> RepointRun {
    try runRepoint(["refresh", "--json", "\(process)"] + options)
}

/// A `repoint` that runs while the test goes on. What it says on standard error is the test's.
public final class RunningRepoint {
    private let child: ChildProcess
    private let start = Deadline.now
    private let isJSON: Bool

    public init(_ arguments: [String]) throws {
        isJSON = arguments.contains("--json")
        child = try withoutBlockedSignals { try ChildProcess(RepointRun.program, arguments) }
    }

    private func ended() -> (code: Int32, status: Int32)? {
        var information = siginfo_t()
        // It stays a zombie until this value goes.
        let result = waitid(P_PID, id_t(child.id.rawValue), &information, WEXITED | WNOWAIT | WNOHANG)
        guard result == 0, information.si_signo == SIGCHLD else { return nil }
        return (information.si_code, information._sifields._sigchld.si_status)
    }

    public var isRunning: Bool { ended() == nil }

    /// Waits for its end.
    public func finish(within seconds: Double = 60) throws -> RepointRun {
        let deadline = Deadline(seconds: seconds)
        var lines = LineReader(child.output.rawValue)
        var text = ""
        while let line = lines.next(until: deadline) { text += line + "\n" }
        var end = ended()
        let hasEnded = eventually(within: deadline.secondsLeft) {
            end = ended()
            return end != nil
        }
        guard hasEnded, let end else { throw TestSupportError("repoint did not end within \(seconds) s") }
        let run = ProgramRun(
            status: end.code == Int32(CLD_EXITED) ? end.status : -end.status, standardOutput: text,
            seconds: Deadline.now - start)
        return try RepointRun(run, isJSON: isJSON)
    }
}

/// Starts `repoint refresh --json` of one process, with further options.
public func startRefresh(_ process: ProcessID, _ options: String...) throws -> RunningRepoint {
    try RunningRepoint(["refresh", "--json", "\(process)"] + options)
}
