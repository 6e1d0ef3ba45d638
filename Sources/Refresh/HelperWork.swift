import LinuxProcess
import Resolvers

extension ProcessReport {
    /// What is to be known of a process besides its own resolvers.
    mutating func addSurroundings(of target: TargetProcess, isGlibc: Bool) {
        let found = ResolverHelper.find(for: target, isGlibc: isGlibc).map { HelperReport($0) }
        helpers = found.isEmpty ? nil : found
        remarks = target.remarks.isEmpty ? nil : target.remarks
    }
}

extension HelperReport {
    init(_ helper: ResolverHelper) {
        name = helper.kind.rawValue
        pid = helper.process?.rawValue
        why = helper.why
        command = helper.kind.command
    }

    var kind: ResolverHelper.Kind? { ResolverHelper.Kind(rawValue: name) }
}

/// Has the services refreshed that processes have their names resolved by: each once, in its own namespaces, however many ask it.
public struct HelperRun {
    /// Seconds that a command may take.
    private static let limit: UInt32 = 5
    private static let directories = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]

    private struct Service: Hashable {
        let name: String
        let process: ProcessID?
    }

    private var outcomes: [Service: (ran: Bool, result: String)] = [:]

    public init() {}

    /// Runs the commands that some reports name, and notes in the reports what came of it.
    public mutating func perform(for reports: [ProcessReport]) -> [ProcessReport] {
        reports.map { report in
            var report = report
            report.helpers = report.helpers?.map { refreshed($0, asked: ProcessID(report.pid)) }
            return report
        }
    }

    private mutating func refreshed(_ helper: HelperReport, asked client: ProcessID) -> HelperReport {
        guard let kind = helper.kind else { return helper }
        let process = helper.pid.map { ProcessID($0) }.flatMap { isRunning(kind, $0) ? $0 : nil } ?? find(kind, client)
        let service = Service(name: helper.name, process: process)
        let outcome = outcomes[service] ?? run(kind, in: process)
        outcomes[service] = outcome
        var helper = helper
        helper.pid = process?.rawValue ?? helper.pid
        helper.ran = outcome.ran
        helper.result = outcome.result
        return helper
    }

    /// A socket may be another's, who hands it on to the service when somebody connects.
    private func isRunning(_ kind: ResolverHelper.Kind, _ process: ProcessID) -> Bool {
        (try? process.name()) == kind.processName
    }

    /// The service by its name, in the network namespace of the process that uses it.
    private func find(_ kind: ResolverHelper.Kind, _ client: ProcessID) -> ProcessID? {
        guard let network = try? client.namespace(.network) else { return nil }
        return (try? ProcessID.all())?.first {
            isRunning(kind, $0) && (try? $0.namespace(.network)) == network
        }
    }

    private func run(_ kind: ResolverHelper.Kind, in process: ProcessID?) -> (ran: Bool, result: String) {
        guard let process else { return (false, "its process is not to be seen from here: run it where that one runs") }
        guard let (path, arguments) = program(kind, process) else {
            return (
                false, "\(kind.commands[0][0]) is not in the root directory of process \(process): run it from outside"
            )
        }
        do throws(SystemError) {
            let run = try ProgramInside(path, arguments, joining: process, limit: HelperRun.limit)
            guard run.status != 0 else { return (true, "done") }
            let said = run.output.split(separator: "\n").last.map { ": \($0)" } ?? ""
            return (true, "failed with status \(run.status)\(said)")
        } catch {
            return (false, error.description)
        }
    }

    private func program(_ kind: ResolverHelper.Kind, _ process: ProcessID) -> (String, [String])? {
        guard let root = try? RootDirectory(of: process) else { return nil }
        for command in kind.commands {
            for directory in HelperRun.directories where root.hasProgram("\(directory)/\(command[0])") {
                return ("\(directory)/\(command[0])", Array(command.dropFirst()))
            }
        }
        return nil
    }
}
