import LinuxProcess
import Resolvers

/// Hands processes out to a few workers, each with a deadline, and gathers their reports.
///
/// A worker that dies or hangs costs the process it was at, and nobody else: another takes its place.
public final class WorkerPool {
    /// The program to start as a worker, and its arguments.
    let program: (path: String, arguments: [String])
    private let workerCount: Int
    private let grace: Double
    /// Kept from one round of orders to the next: what workers know of images is worth something.
    private var desks: [Desk] = []

    /// - Parameter grace: seconds beyond what a task itself may wait; a worker that takes longer hangs.
    public init(path: String = "/proc/self/exe", arguments: [String], workerCount: Int, grace: Double = 10) {
        program = (path, arguments)
        self.workerCount = max(1, workerCount)
        self.grace = grace
    }

    /// Performs a task on every process.
    ///
    /// - Parameter onReport: called with the number done so far, after each report and now and then while none comes.
    /// - Returns: the reports, in the order of `ids`.
    public func perform(
        _ task: ProcessTask, on ids: [ProcessID], onReport: (Int) -> Void = { _ in }
    ) throws(SystemError) -> [ProcessReport] {
        try perform(ids.map { WorkOrder(pid: $0.rawValue, task: task) }, onReport: onReport)
    }

    /// Carries out orders, and returns their reports in the same order.
    func perform(_ orders: [WorkOrder], onReport: (Int) -> Void = { _ in }) throws(SystemError) -> [ProcessReport] {
        var round = OrderRound(orders)
        do {
            while !round.isDone {
                try handOut(&round)
                if !Desk.waitForAny(of: desks) { onReport(round.done) }
                try collect(into: &round, onReport)
            }
        } catch {
            // What is on the other desks belongs to this round.
            desks = []
            throw error
        }
        return round.reports.compactMap { $0 }
    }

    /// Gives every idle worker an order, as long as there are some.
    private func handOut(_ round: inout OrderRound) throws(SystemError) {
        desks.removeAll { $0.isIdle && $0.hasEnded }
        // What a worker left undone is for a fresh one: only then is it clear whose fault it was.
        while round.hasReturned {
            if desks.count >= workerCount {
                guard let idle = desks.firstIndex(where: \.isIdle) else { return }
                desks.remove(at: idle)
            }
            guard try start(&round) else { break }
        }
        for desk in desks where desk.isIdle {
            guard let index = round.take() else { return }
            give(index, to: desk, round)
        }
        while desks.count < workerCount, round.hasMore {
            guard try start(&round) else { return }
        }
    }

    /// Starts a worker for the next order.
    ///
    /// - Returns: false where none can be started, and those who are there will do it.
    private func start(_ round: inout OrderRound) throws(SystemError) -> Bool {
        let desk: Desk
        do {
            desk = try Desk(program)
        } catch {
            if desks.isEmpty { throw error }
            return false
        }
        if let index = round.take() { give(index, to: desk, round) }
        desks.append(desk)
        return true
    }

    private func give(_ index: Int, to desk: Desk, _ round: OrderRound) {
        let order = round.orders[index]
        desk.give(index: index, order, deadline: UInt64((order.task.wait + grace) * 1e9))
    }

    private func collect(into round: inout OrderRound, _ onReport: (Int) -> Void) throws(SystemError) {
        var answers: [(desk: Desk, index: Int, line: [UInt8])] = []
        for desk in desks {
            guard let index = desk.index else { continue }
            switch desk.collect() {
            case .working:
                continue
            case .answer(let line):
                answers.append((desk, index, line))
            case .died where desk.answers > 0:
                // It may have ended after its last answer, before it took this order.
                dismiss(desk, &round)
            case .died:
                round.fail(index, "the worker died")
                dismiss(desk, &round)
                onReport(round.done)
            case .hangs:
                round.fail(index, "the worker did not come to an end in time")
                dismiss(desk, &round)
                onReport(round.done)
            }
        }
        // The workers first: to understand an answer takes about as long as to give one.
        try handOut(&round)
        for answer in answers {
            if !round.finish(answer.index, answer.line) { dismiss(answer.desk, &round) }
            onReport(round.done)
        }
    }

    /// Ends a worker. What it had not come to is for another.
    private func dismiss(_ desk: Desk, _ round: inout OrderRound) {
        if let index = desk.index, !round.isDone(index) { round.putBack(index) }
        desks.removeAll { $0 === desk }
    }
}

extension ProcessTask {
    /// It may change something in a thread, for which that is held.
    var holdsThreads: Bool {
        switch self {
        case .inspect, .plan: false
        case .refresh, .reset: true
        }
    }

    /// How long it may wait by itself, in seconds.
    var wait: Double {
        switch self {
        case .inspect, .plan: 0
        case .refresh(let limits): limits.wait
        case .reset: RepairLimits().wait
        }
    }
}
