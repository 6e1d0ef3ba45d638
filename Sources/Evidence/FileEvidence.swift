import LinuxProcess
import Tracing

/// Whether a file was consulted, as seen in the system calls of an injected call.
public enum FileEvidence: String, Sendable, Codable {
    /// It was opened and read.
    case opened
    /// Only its status was asked for: it had not changed since it was read last.
    case checked
    case none

    /// - Parameter path: the file, as the process names it.
    public init(of path: String, in calls: [ObservedSystemCall]) {
        let numbers = Native.systemCalls
        // A failed call consulted nothing; one without a result was seen to begin.
        let consulted = calls.filter { $0.path == path && ($0.result ?? 0) >= 0 }
        if consulted.contains(where: { $0.number == numbers.openat || $0.number == numbers.open }) {
            self = .opened
        } else if consulted.contains(where: { $0.number == numbers.newfstatat || $0.number == numbers.stat }) {
            self = .checked
        } else {
            self = .none
        }
    }
}
