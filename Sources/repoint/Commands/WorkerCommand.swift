import ArgumentParser
import Refresh

/// The process that traces, started by the other commands.
struct WorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "worker", shouldDisplay: false)

    func run() throws {
        Worker.run()
    }
}
