import FoundationEssentials
import Glibc
import LinuxProcess
import Resolvers
import Tracing

/// Hands processes out to a few workers, each with a deadline, and gathers their reports.
public struct WorkerPool {
    /// The program to start as a worker, and its arguments.
    let program: (path: String, arguments: [String])
    private let workerCount: Int
    private let grace: Double

    /// - Parameter grace: seconds beyond what a task itself may wait; a worker that takes longer hangs.
    public init(path: String = "/proc/self/exe", arguments: [String], workerCount: Int, grace: Double = 10) {
        program = (path, arguments)
        self.workerCount = max(1, workerCount)
        self.grace = grace
    }

    /// Performs a task on every process.
    ///
    /// - Parameter onReport: called after each report with the number done so far.
    /// - Returns: the reports, in the order of `ids`.
    public func perform(
        _ task: ProcessTask, on ids: [ProcessID], onReport: (Int) -> Void = { _ in }
    ) throws(SystemError) -> [ProcessReport] {
        try perform(ids.map { WorkOrder(pid: $0.rawValue, task: task) }, onReport: onReport)
    }

    /// Carries out orders, and returns their reports in the same order.
    func perform(_ orders: [WorkOrder], onReport: (Int) -> Void = { _ in }) throws(SystemError) -> [ProcessReport] {
        var reports = [ProcessReport?](repeating: nil, count: orders.count)
        var desks: [Desk] = []
        for _ in 0..<min(workerCount, orders.count) { desks.append(try Desk(program)) }
        var next = 0
        var done = 0
        while done < orders.count {
            for place in desks.indices where desks[place].index == nil && next < orders.count {
                if desks[place].hasEnded { desks[place] = try Desk(program) }
                let limit = UInt64((orders[next].task.wait + grace) * 1e9)
                desks[place].give(index: next, orders[next], deadline: limit)
                next += 1
            }
            Desk.waitForAny(of: desks)
            for place in desks.indices {
                guard let index = desks[place].index else { continue }
                switch desks[place].collect() {
                case .working:
                    continue
                case .report(let report):
                    reports[index] = report
                case .failed(let why):
                    let id = ProcessID(orders[index].pid)
                    reports[index] = ProcessReport(failed: id, .failed(id, SystemError(why, code: EIO)))
                    desks[place] = try Desk(program)
                }
                done += 1
                onReport(done)
            }
        }
        return reports.compactMap { $0 }
    }
}

extension ProcessTask {
    /// How long it may wait by itself, in seconds.
    var wait: Double {
        switch self {
        case .inspect, .plan: 0
        case .refresh(let limits): limits.wait
        case .reset: RepairLimits().wait
        }
    }
}

/// A worker and what it has on its desk.
private final class Desk {
    private let worker: ChildProcess
    private var lines = LineBuffer()
    /// The place of the process it works on, among all.
    private(set) var index: Int?
    private var deadline: UInt64 = 0

    enum Result {
        case working
        case report(ProcessReport)
        case failed(String)
    }

    init(_ program: (path: String, arguments: [String])) throws(SystemError) {
        worker = try ChildProcess(program.path, program.arguments)
    }

    func give(index: Int, _ order: WorkOrder, deadline limit: UInt64) {
        self.index = index
        deadline = MonotonicClock.nanoseconds + limit
        // Should this fail, the worker is dead and its output ended: collect() sees that.
        guard let line = try? JSONEncoder().encode(order) else { return }
        try? writeAll(Array(line) + [UInt8(ascii: "\n")], to: worker.input.rawValue)
    }

    /// The worker has closed its output: it is done for good.
    var hasEnded: Bool {
        var entry = pollfd(fd: worker.output.rawValue, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) > 0 && index == nil
    }

    /// Sleeps until some worker has said something or has run out of time.
    static func waitForAny(of desks: [Desk]) {
        let busy = desks.filter { $0.index != nil }
        var entries = busy.map { pollfd(fd: $0.worker.output.rawValue, events: Int16(POLLIN), revents: 0) }
        let now = MonotonicClock.nanoseconds
        let first = busy.map(\.deadline).min() ?? now
        let milliseconds = first > now ? (first - now) / 1_000_000 + 1 : 0
        poll(&entries, nfds_t(entries.count), Int32(clamping: milliseconds))
    }

    func collect() -> Result {
        var entry = pollfd(fd: worker.output.rawValue, events: Int16(POLLIN), revents: 0)
        if poll(&entry, 1, 0) > 0, !lines.fill(from: worker.output.rawValue) { return .failed("the worker died") }
        // One that talks without ever ending its line hangs as well.
        guard let line = lines.take() else {
            return MonotonicClock.nanoseconds > deadline
                ? .failed("the worker did not come to an end in time") : .working
        }
        index = nil
        guard let report = try? JSONDecoder().decode(ProcessReport.self, from: Data(line)) else {
            return .failed("the worker's answer makes no sense")
        }
        return .report(report)
    }
}
