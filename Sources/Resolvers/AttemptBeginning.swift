import Glibc
import LinuxProcess
import Tracing

/// When a resolver began to wait for a reply, from what it keeps on its stack: the time of day at which it sent its query (`now` of
/// `send_dg` in glibc's resolv/res_send.c).
enum AttemptBeginning {
    /// No resolver waits longer for one reply.
    private static let longestWait = 120
    private static let size = 16

    /// - Returns: seconds since then; nil where no frame holds exactly one such time.
    static func secondsAgo(_ snapshot: StackSnapshot, _ stack: CallStack) -> Double? {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        // From the innermost frame on: the first one with a time in it is the one that waits.
        for (frame, caller) in zip(stack.frames, stack.frames.dropFirst()) {
            let start = Int(clamping: frame.stackPointer &- snapshot.stackBase)
            let end = Int(clamping: caller.stackPointer &- snapshot.stackBase)
            guard start < end, end <= snapshot.stack.count else { return nil }
            let times = recentTimes(in: snapshot.stack, start..<end, now: now)
            guard let time = times.first else { continue }
            guard times.count == 1 else { return nil }
            return Double(now.tv_sec - time.tv_sec) + Double(now.tv_nsec - time.tv_nsec) / 1e9
        }
        return nil
    }

    /// Times of day of the last two minutes.
    static func recentTimes(in bytes: [UInt8], _ range: Range<Int>, now: timespec) -> [timespec] {
        stride(from: range.lowerBound, through: range.upperBound - size, by: 8).compactMap { offset in
            guard let seconds: Int = bytes.integer(at: offset), let nanoseconds: Int = bytes.integer(at: offset + 8),
                (1..<1_000_000_000).contains(nanoseconds), now.tv_sec - seconds <= longestWait,
                (seconds, nanoseconds) <= (now.tv_sec, now.tv_nsec)
            else { return nil }
            return timespec(tv_sec: seconds, tv_nsec: nanoseconds)
        }
    }
}
