import ArgumentParser
import Glibc
import LinuxProcess
import Refresh
import Resolvers

/// What every command takes.
struct OutputOptions: ParsableArguments {
    @Flag(name: .long, help: "Print one JSON document instead of a table.")
    var json = false

    @Flag(name: .long, help: "Say more: every thread by itself, and why each state is what it is.")
    var verbose = false

    /// Prints a report in the form asked for.
    func show(_ report: Report) throws {
        if json {
            print(try jsonDocument(report))
        } else {
            Console.write(ReportTable(report, isVerbose: verbose).text, to: STDOUT_FILENO)
        }
    }
}

/// The processes that a command works on.
struct TargetArguments: ParsableArguments {
    @Argument(help: ArgumentHelp("A process by its PID, or all processes of a command name.", valueName: "pid|name"))
    var targets: [String] = []

    func validate() throws {
        for word in targets {
            guard let number = Int(word) else { continue }
            guard number > 0, number <= Int(Int32.max) else { throw ValidationError("\(word) is no PID") }
        }
    }
}

/// Runs a task on the chosen processes and prints what came of it.
struct TaskRunner {
    let command: String
    let output: OutputOptions

    /// The services that the processes have their names resolved by are to be refreshed, too.
    var withHelpers = false

    /// - Returns: the exit code.
    func run(_ task: ProcessTask, on words: [String], all: Bool, keep: (ProcessReport) -> Bool = { _ in true }) throws
        -> ExitStatus
    {
        signal(SIGPIPE, SIG_IGN)
        let selection: TargetSelection
        let reports: [ProcessReport]
        do {
            selection = try TargetSelection(words: words, all: all)
            let progress = Console.Progress()
            defer { progress.end() }
            let pool = WorkerPool(arguments: ["worker"], workerCount: sysconf(Int32(_SC_NPROCESSORS_ONLN)))
            reports = try RefreshRun(task, pool: pool).perform(on: selection.ids) { progress.report($0) }
        } catch {
            throw CommandFailure(status: .defect, message: "\(error)")
        }
        // Among all processes of a host some end while one looks, which is nobody's fault.
        let isNamed = { (report: ProcessReport) in !all || words.contains("\(report.pid)") }
        var shown = reports.filter { keep($0) && (isNamed($0) || $0.errorCode != ExitStatus.gone.rawValue) }
        if withHelpers {
            var helpers = HelperRun()
            shown = helpers.perform(for: shown)
        }
        try show(shown, selection.errors)
        // What was left out of the report was found all the same.
        return status(of: shown, isAnyDone: reports.contains { $0.error == nil }, selection.errors, task)
    }

    /// A single process that could not be worked on is worth one clear line, not a table.
    private func show(_ reports: [ProcessReport], _ errors: [TargetError]) throws {
        for error in errors { Console.diagnose(error.description) }
        for report in reports { if let error = report.error { Console.diagnose(error) } }
        let isWorthShowing = reports.contains { $0.error == nil } || errors.isEmpty && reports.isEmpty
        guard output.json || isWorthShowing else { return }
        try output.show(Report(command: command, processes: reports))
    }

    private func status(
        of reports: [ProcessReport], isAnyDone: Bool, _ errors: [TargetError], _ task: ProcessTask
    ) -> ExitStatus {
        let failures = errors.map(\.exitStatus) + reports.compactMap { $0.errorCode.flatMap(ExitStatus.init) }
        if let failure = failures.first { return isAnyDone ? .inPart : failure }
        if case .inspect = task { return .done }
        return reports.allSatisfy(\.isDone) ? .done : .inPart
    }
}
