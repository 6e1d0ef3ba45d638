import ArgumentParser
import Glibc
import Refresh

/// The command `repoint`: parses its arguments, calls one function below, prints.
struct Repoint: ParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "repoint",
        abstract: "Move running processes to another DNS server without restarting them.",
        discussion: """
            Processes are named by PID or by command name. Exit codes: 0 done and seen to be so, 1 done in part, \
            2 usage, 3 not permitted, 4 the target is gone, 70 a defect of repoint's.
            """,
        version: version,
        subcommands: [Inspect.self, RefreshCommand.self, Reset.self, Doctor.self, WorkerCommand.self])
}

@main
enum Main {
    static func main() {
        do {
            var command = try Repoint.parseAsRoot()
            try command.run()
        } catch let failure as CommandFailure {
            Console.diagnose(failure.message)
            exit(failure.status.rawValue)
        } catch {
            let isRequest = Repoint.exitCode(for: error).isSuccess
            let text = Repoint.fullMessage(for: error)
            if isRequest {
                print(text)
            } else if !text.isEmpty {
                Console.write(text + "\n", to: STDERR_FILENO)
            }
            if let code = error as? ExitCode { exit(code.rawValue) }
            exit(isRequest ? ExitStatus.done.rawValue : ExitStatus.usage.rawValue)
        }
    }
}

/// A command that could not do its work: one line and an exit code.
struct CommandFailure: Error {
    let status: ExitStatus
    let message: String
}
