import TestSupport
import Testing

/// The real command on real programs. One test at a time: most of them watch the clock.
@Suite("Real processes", .serialized, .staged)
enum RealProcesses {}
