import CLinux
import Glibc
import LinuxProcess

/// The CPU that the calling thread stays on while it holds another, and the rank it has there. Given back when the value goes.
///
/// A held thread and its holder take turns dozens of times. On one CPU a turn is a switch; on two it is an interrupt that wakes the
/// other CPU up, or waits there for whoever runs.
struct HoldPlace: ~Copyable {
    /// nil where it stays where it is.
    private let pin: ProcessorPin?
    private let stoodBack: Bool

    /// Somebody else runs here when giving up the CPU takes longer than this, in nanoseconds.
    private static let quickYield: UInt64 = 30_000

    /// Moves to the CPU that a thread slept in on last, unless somebody else is busy there.
    init(on cpu: Int) {
        stoodBack = clinux_stands_back()
        if stoodBack { clinux_stand_back(false) }
        let moved = ProcessorPin(to: cpu)
        let start = MonotonicClock.nanoseconds
        sched_yield()
        if MonotonicClock.nanoseconds - start < HoldPlace.quickYield {
            pin = consume moved
        } else {
            pin = nil
        }
    }

    deinit {
        if stoodBack { clinux_stand_back(true) }
    }
}
