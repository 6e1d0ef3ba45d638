import ArgumentParser
import Refresh

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what every thread of every process resolves names with, and why.",
        discussion: """
            Nothing is run in the processes and their threads are not stopped; one that is in a lookup at the moment is held \
            for some 50 microseconds, to read its registers.
            """)

    @OptionGroup var targets: TargetArguments
    @OptionGroup var output: OutputOptions

    @Flag(name: .long, help: "Every process of this PID namespace.")
    var all = false

    func validate() throws {
        if targets.targets.isEmpty && !all { throw ValidationError("name a process by PID or name, or say --all") }
    }

    func run() throws {
        let status = try TaskRunner(command: "inspect", output: output).run(.inspect, on: targets.targets, all: all)
        throw ExitCode(status.rawValue)
    }
}
