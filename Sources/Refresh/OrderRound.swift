import FoundationEssentials
import Glibc
import LinuxProcess
import Resolvers

/// Orders that belong together: which of them wait, which are done, and with what report.
struct OrderRound {
    let orders: [WorkOrder]
    private(set) var reports: [ProcessReport?]
    private(set) var done = 0
    private var next = 0
    /// Orders that were given out and came back undone.
    private var returned: [Int] = []

    init(_ orders: [WorkOrder]) {
        self.orders = orders
        reports = Array(repeating: nil, count: orders.count)
    }

    var isDone: Bool { done == orders.count }

    func isDone(_ index: Int) -> Bool { reports[index] != nil }

    var hasReturned: Bool { !returned.isEmpty }
    var hasMore: Bool { hasReturned || next < orders.count }

    /// The next order that waits, the returned ones first.
    mutating func take() -> Int? {
        if let index = returned.popLast() { return index }
        guard next < orders.count else { return nil }
        defer { next += 1 }
        return next
    }

    mutating func putBack(_ index: Int) {
        returned.append(index)
    }

    /// Takes a worker's answer.
    ///
    /// - Returns: false where it is no report; the order has failed then.
    mutating func finish(_ index: Int, _ line: [UInt8]) -> Bool {
        guard let report = try? JSONDecoder().decode(ProcessReport.self, from: Data(line)) else {
            fail(index, "the worker's answer makes no sense")
            return false
        }
        set(index, report)
        return true
    }

    mutating func fail(_ index: Int, _ why: String) {
        let id = ProcessID(orders[index].pid)
        set(index, ProcessReport(failed: id, .failed(id, SystemError(why, code: EIO))))
    }

    private mutating func set(_ index: Int, _ report: ProcessReport) {
        if reports[index] == nil { done += 1 }
        reports[index] = report
    }
}
