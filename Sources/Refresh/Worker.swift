import CLinux
import FoundationEssentials
import Glibc
import LinuxProcess
import Resolvers

/// One order to a worker.
struct WorkOrder: Codable {
    let pid: Int32
    let task: ProcessTask
    /// Channels that were seen in use: the order is about the libraries with channels alone. nil for the whole process.
    var channels: [Channel]?
}

/// The worker's side: a process of its own that traces one target at a time.
///
/// A target that hangs it costs a worker and no more: whoever kills it frees the target, as the kernel lets go of what a dead
/// tracer held.
public enum Worker {
    /// Reads orders from standard input, a line each, and answers each with the report as a line on standard output, until the
    /// input ends.
    public static func run() {
        signal(SIGPIPE, SIG_IGN)
        // Ctrl-C goes to the terminal's whole process group. What is begun on a thread is brought to its end; then the input ends.
        for ending in [SIGINT, SIGTERM, SIGHUP] { signal(ending, SIG_IGN) }
        // The ends of our waits are what a held thread waits for.
        clinux_set_timer_slack(1)
        let common = CommonKnowledge()
        var courtesy = Courtesy()
        var lines = LineBuffer()
        while let line = lines.next(from: STDIN_FILENO) {
            guard let order = try? JSONDecoder().decode(WorkOrder.self, from: Data(line)) else { return }
            let report =
                order.task.holdsThreads
                ? courtesy.whileStandingBack { ProcessWork.perform(order, knowing: common) }
                : ProcessWork.perform(order, knowing: common)
            guard let answer = try? JSONEncoder().encode(report),
                (try? writeAll(Array(answer) + [UInt8(ascii: "\n")], to: STDOUT_FILENO)) != nil
            else { return }
            // A thread that did not stop when it was asked to is still ours, and would stop for nobody: our end sets it free.
            guard !clinux_has_tracee() else { return }
        }
    }
}

/// Splits what comes from a descriptor into lines.
struct LineBuffer {
    private var bytes: [UInt8] = []

    /// The next line that is complete already, without its end.
    mutating func take() -> [UInt8]? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { bytes.removeSubrange(...end) }
        return Array(bytes[..<end])
    }

    /// Reads once. Returns false at the end or on an error.
    mutating func fill(from descriptor: Int32) -> Bool {
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            bytes.append(contentsOf: piece[..<count])
            return true
        }
    }

    /// Waits for a line; nil at the end.
    mutating func next(from descriptor: Int32) -> [UInt8]? {
        while true {
            if let line = take() { return line }
            guard fill(from: descriptor) else { return nil }
        }
    }
}
