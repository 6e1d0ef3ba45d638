import ArgumentParser
import Refresh

struct Reset: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Set or clear resolver options of threads, by writing single fields, and read them back.",
        discussion: """
            Options go by their names in resolv.conf(5). glibc takes a thread whose options differ from those it was loaded with \
            for the application's own business and stops reloading resolv.conf in it.
            """)

    @Argument(help: "The process.")
    var pid: Int32

    @Option(name: .long, help: ArgumentHelp("Only this thread.", valueName: "tid"))
    var thread: Int32?

    @Option(
        name: .long, help: ArgumentHelp("Options to clear, such as single-request,no-reload.", valueName: "options"))
    var clear: String?

    @Option(
        name: .long, help: ArgumentHelp("Options to set, such as timeout=2,attempts=3,rotate.", valueName: "options"))
    var set: String?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard pid > 0 else { throw ValidationError("\(pid) is no PID") }
        if try change().isEmpty { throw ValidationError("say what to --clear or to --set") }
    }

    private func change() throws -> ThreadReset {
        var change = ThreadReset(thread: thread)
        do {
            for word in (clear ?? "").split(separator: ",") { try change.addClear(String(word)) }
            for word in (set ?? "").split(separator: ",") { try change.addSet(String(word)) }
        } catch {
            throw ValidationError("\(error)")
        }
        return change
    }

    func run() throws {
        let change = try change()
        let status = try TaskRunner(command: "reset", output: output).run(.reset(change), on: ["\(pid)"], all: false) {
            _ in true
        }
        throw ExitCode(status.rawValue)
    }
}
