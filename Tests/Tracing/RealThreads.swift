import LinuxProcess
import TestSupport
import Testing

/// Tracing of real threads. One test at a time: most of them watch the clock.
@Suite("Real threads", .serialized, .staged)
enum RealThreads {}

/// The calling thread, which is the tracer that the kernel names.
func ownThread() throws -> String {
    // PID/task/TID
    try readLink("/proc/thread-self").split(separator: "/").last.map(String.init) ?? ""
}
