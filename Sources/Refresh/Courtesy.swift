import CLinux
import Glibc
import LinuxProcess
import Tracing

/// How a worker lets the threads that others hold go first.
///
/// With a worker on every CPU, a held thread that is to run finds them all taken, and stands still until one of the workers has had
/// its turn. So workers run only where nobody else wants to, but for the moments when they hold a thread themselves
/// (``HoldPlace`` of Tracing). On a machine that is busy all the time they would come to nothing that way: a worker that notices it
/// is courteous no more.
struct Courtesy {
    private var isMeant: Bool

    private static let mayChangePriorities: UInt64 = 1 << 23
    /// More waiting for a CPU than this, in nanoseconds, is too much for one order.
    private static let longestWait: UInt64 = 100_000_000

    init() {
        // Without CAP_SYS_NICE there would be no way back.
        let capabilities = (try? ProcessStatus.own())?.effectiveCapabilities ?? 0
        isMeant = capabilities & Courtesy.mayChangePriorities != 0
    }

    /// Carries out an order in which threads are held.
    mutating func whileStandingBack<Value>(_ order: () -> Value) -> Value {
        guard isMeant else { return order() }
        let before = Courtesy.waited()
        clinux_stand_back(true)
        let value = order()
        clinux_stand_back(false)
        guard let before, let after = Courtesy.waited(), after - before < Courtesy.longestWait else {
            isMeant = false
            return value
        }
        return value
    }

    /// How long this process has waited for a CPU so far, in nanoseconds (the kernel's Documentation/scheduler/sched-stats.rst).
    private static func waited() -> UInt64? {
        guard let fields = try? readText("/proc/self/schedstat").split(separator: " "), fields.count > 1 else {
            return nil
        }
        return UInt64(fields[1])
    }
}
