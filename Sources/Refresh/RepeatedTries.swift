import Resolvers
import Tracing

/// Tries that are made again while only the moment was wrong.
enum RepeatedTries {
    /// Between two tries, in microseconds.
    private static let firstPause: UInt64 = 500
    private static let longestPause: UInt64 = 50_000

    /// Tries each of some repairs once, then those again that were only at a wrong moment, until the time is up.
    ///
    /// - Parameters:
    ///   - wait: in seconds.
    ///   - sessions: told of each round.
    ///   - attempt: makes the try of this number, after the record of the one before.
    static func run(
        _ count: Int, wait: Double, sessions: SessionWatch?, _ attempt: (Int, RepairRecord?) -> RepairRecord
    ) -> [RepairRecord] {
        var records = (0..<count).map { attempt($0, nil) }
        sessions?.endRound(records)
        let deadline = MonotonicClock.nanoseconds + UInt64(max(0, wait) * 1e9)
        var pause = firstPause
        while MonotonicClock.nanoseconds < deadline {
            let pending = records.indices.filter { records[$0].mayRetry }
            guard !pending.isEmpty else { break }
            MonotonicClock.sleep(microseconds: pause)
            pause = min(pause * 2, longestPause)
            sessions?.beginRound()
            for index in pending { records[index] = attempt(index, records[index]) }
            sessions?.endRound(pending.lazy.map { records[$0] })
        }
        return records
    }
}
