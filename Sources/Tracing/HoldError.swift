import LinuxProcess

/// Why a thread could not be held, or did not stay held.
public enum HoldError: Error, Sendable, Equatable, CustomStringConvertible {
    /// It has ended, or became another program by exec.
    case gone
    /// The kernel does not let us trace it.
    case denied
    case traced(by: ProcessID)
    /// Stopped by job control (state T): it stays so, and nothing is run in it.
    case stopped
    /// Its cgroup is frozen: it would not answer.
    case frozen
    /// In an uninterruptible sleep (state D), such as the parent's in vfork.
    case uninterruptible
    /// It would notice, and why.
    case noticeable(String)
    /// A signal was on its way to it at that moment; it has been delivered.
    case busy
    /// It did not stop within the limit. The kernel lets it go when this process ends.
    case unresponsive
    case failed(SystemError)

    public var description: String {
        switch self {
        case .gone: "it has ended"
        case .denied: "the kernel does not allow tracing it (CAP_SYS_PTRACE, or the same user and a dumpable process)"
        case .traced(let tracer): "process \(tracer) traces it already"
        case .stopped: "it is stopped (state T)"
        case .frozen: "its cgroup is frozen"
        case .uninterruptible: "it is in an uninterruptible sleep"
        case .noticeable(let why): why
        case .busy: "a signal was being delivered to it"
        case .unresponsive: "it did not stop in time"
        case .failed(let error): error.description
        }
    }

    /// Trying again may succeed.
    public var isPassing: Bool {
        switch self {
        case .uninterruptible, .noticeable, .busy: true
        case .gone, .denied, .traced, .stopped, .frozen, .unresponsive, .failed: false
        }
    }

    init(_ error: SystemError) {
        self = error.isGone ? .gone : error.isDenied ? .denied : .failed(error)
    }
}
