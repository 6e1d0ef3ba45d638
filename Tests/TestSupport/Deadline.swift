import Glibc

/// A point in time to give up at, on CLOCK_MONOTONIC.
public struct Deadline: Sendable {
    private let end: Double

    public init(seconds: Double) {
        end = Deadline.now + seconds
    }

    public static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// CLOCK_REALTIME, in seconds: what programs write into their logs.
    public static var sinceEpoch: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    public var secondsLeft: Double { max(0, end - Deadline.now) }
    public var hasPassed: Bool { secondsLeft == 0 }
    /// For poll(2).
    var millisecondsLeft: Int32 { Int32(min(secondsLeft * 1000 + 1, 1e9)) }
}

/// Asks again and again whether a condition holds, until it does or the time is up.
///
/// - Returns: whether it came to hold.
public func eventually(within seconds: Double, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Deadline(seconds: seconds)
    while true {
        if try condition() { return true }
        if deadline.hasPassed { return false }
        usleep(2000)
    }
}

/// The seconds that some work takes.
public func duration(of work: () throws -> Void) rethrows -> Double {
    let start = Deadline.now
    try work()
    return Deadline.now - start
}
