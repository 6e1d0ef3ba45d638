import FoundationEssentials
import Glibc
import LinuxProcess
import Tracing

/// A worker and what it has on its desk: one order at a time.
final class Desk {
    private let worker: ChildProcess
    private var lines = LineBuffer()
    /// The place of the order it works on, among all.
    private(set) var index: Int?
    /// How many orders it has answered.
    private(set) var answers = 0
    private var deadline: UInt64 = 0

    enum Result {
        case working
        case answer([UInt8])
        case died
        /// Its time is up.
        case hangs
    }

    init(_ program: (path: String, arguments: [String])) throws(SystemError) {
        worker = try ChildProcess(program.path, program.arguments)
    }

    var isIdle: Bool { index == nil }

    /// - Parameter limit: nanoseconds.
    func give(index: Int, _ order: WorkOrder, deadline limit: UInt64) {
        self.index = index
        deadline = MonotonicClock.nanoseconds + limit
        // Should this fail, the worker is dead and its output ended: collect() sees that.
        guard let line = try? JSONEncoder().encode(order) else { return }
        try? writeAll(Array(line) + [UInt8(ascii: "\n")], to: worker.input.rawValue)
    }

    /// The worker, which has no order, has closed its output: it is done for good.
    var hasEnded: Bool { hasOutput && index == nil }

    private var hasOutput: Bool {
        var entry = pollfd(fd: worker.output.rawValue, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) > 0
    }

    /// Sleeps until some worker has said something or has run out of time, but not for long.
    ///
    /// - Returns: whether one has said something.
    static func waitForAny(of desks: [Desk]) -> Bool {
        let busy = desks.filter { !$0.isIdle }
        var entries = busy.map { pollfd(fd: $0.worker.output.rawValue, events: Int16(POLLIN), revents: 0) }
        let now = MonotonicClock.nanoseconds
        let first = busy.map(\.deadline).min() ?? now
        let milliseconds = first > now ? (first - now) / 1_000_000 + 1 : 0
        return poll(&entries, nfds_t(entries.count), Int32(min(milliseconds, Desk.longestSleep))) > 0
    }

    /// In milliseconds.
    private static let longestSleep: UInt64 = 200

    func collect() -> Result {
        if hasOutput, !lines.fill(from: worker.output.rawValue) { return .died }
        // One that talks without ever ending its line hangs as well.
        guard let line = lines.take() else { return MonotonicClock.nanoseconds > deadline ? .hangs : .working }
        index = nil
        answers += 1
        return .answer(line)
    }
}
