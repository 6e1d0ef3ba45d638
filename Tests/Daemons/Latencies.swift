import LinuxProcess
import TestSupport

/// What pgbench logged of each transaction (`-l` with `-R`): client, number, latency, script, and when it ended.
struct Latencies {
    struct Transaction {
        /// Since the epoch, in seconds.
        let end: Double
        let milliseconds: Double
    }

    let transactions: [Transaction]

    init(logs: [String]) throws {
        transactions = try logs.flatMap { log in
            String(decoding: try readFile(log), as: UTF8.self).split(separator: "\n").compactMap { line in
                // The latency, counted from when the transaction was due, and the fraction of the second are in microseconds.
                let fields = line.split(separator: " ").compactMap { Double($0) }
                guard fields.count >= 6 else { return nil }
                return Transaction(end: fields[4] + fields[5] / 1e6, milliseconds: fields[2] / 1000)
            }
        }
    }

    /// The latencies of the transactions that ended within some spans of time, in ascending order.
    func milliseconds(endingIn spans: [ClosedRange<Double>]) -> [Double] {
        transactions.filter { transaction in spans.contains { $0.contains(transaction.end) } }.map(\.milliseconds)
            .sorted()
    }
}

extension [Double] {
    /// Of values in ascending order: the one that a share of them does not exceed.
    func quantile(_ share: Double) -> Double { isEmpty ? .nan : self[Swift.min(count - 1, Int(Double(count) * share))] }
}
