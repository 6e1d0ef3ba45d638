import ArgumentParser
import Refresh
import Resolvers

struct RefreshCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "refresh",
        abstract: "Make pinned resolvers read their process's resolv.conf again, and prove it.",
        discussion: """
            What is pinned is repaired by the gentlest means that helps: option bits that block the reload are cleared, then \
            __res_init is called in that very thread, at a safe point. Servers that an application set itself are never \
            overwritten.
            """)

    @OptionGroup var targets: TargetArguments
    @OptionGroup var output: OutputOptions

    @Flag(name: .long, help: "Every process of this PID namespace.")
    var all = false

    @Flag(name: .long, help: "Every process that is pinned; the others are left out of the report.")
    var pinned = false

    @Flag(name: .long, help: "Say what would be done, and do nothing.")
    var dryRun = false

    @Flag(name: .long, help: "Run no code in the processes: only write option bits.")
    var noInject = false

    @Flag(
        name: .long, help: "Also initialise anew what is current or following, and drop options an application changed."
    )
    var force = false

    @Flag(
        name: .long, help: "Also run the commands that refresh nscd and systemd-resolved, for processes that use them.")
    var helpers = false

    @Option(name: .long, help: ArgumentHelp("How long to wait for a safe point.", valueName: "seconds"))
    var wait = 2.0

    func validate() throws {
        if targets.targets.isEmpty && !all && !pinned {
            throw ValidationError("name a process by PID or name, or say --all or --pinned")
        }
        guard wait >= 0, wait <= 3600 else { throw ValidationError("--wait takes 0 to 3600 seconds") }
    }

    func run() throws {
        var limits = RepairLimits()
        limits.mayCall = !noInject
        limits.isForced = force
        limits.wait = wait
        let isEverybody = all || pinned && targets.targets.isEmpty
        let runner = TaskRunner(command: "refresh", output: output, withHelpers: helpers && !dryRun)
        let status = try runner.run(
            dryRun ? .plan(limits) : .refresh(limits), on: targets.targets, all: isEverybody
        ) { report in
            !pinned || report.error != nil
                || report.resolvers.contains { $0.was == "pinned" || $0.state == "pinned" }
        }
        throw ExitCode(status.rawValue)
    }
}
