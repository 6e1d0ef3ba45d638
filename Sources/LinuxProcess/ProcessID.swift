/// A process, as this process's PID namespace numbers it.
public struct ProcessID: Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int32

    public init(_ rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The thread that leads the process: its thread id is the process id.
    public var leader: ThreadID { ThreadID(rawValue) }
    public var description: String { String(rawValue) }
    var procPath: String { "/proc/\(rawValue)" }
}

/// A thread (a task of the kernel's), as this process's PID namespace numbers it.
public struct ThreadID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: Int32

    public init(_ rawValue: Int32) {
        self.rawValue = rawValue
    }

    public var description: String { String(rawValue) }

    public static func < (left: ThreadID, right: ThreadID) -> Bool { left.rawValue < right.rawValue }
}
