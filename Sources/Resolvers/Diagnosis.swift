import LinuxProcess
import ResolvConf

/// What a resolver has in force.
public struct ResolverConfiguration: Sendable, Equatable {
    public var nameservers: [SocketEndpoint]
    public var search: [String]
    public var options: ResolverOptions
    /// Switches that have no name in resolv.conf(5), by their own names.
    public var otherFlags: [String] = []

    public init(nameservers: [SocketEndpoint], search: [String], options: ResolverOptions, otherFlags: [String] = []) {
        self.nameservers = nameservers
        self.search = search
        self.options = options
        self.otherFlags = otherFlags
    }
}

/// The verdict on a resolver, in the words of the interface.
public enum ResolverState: String, Sendable, CaseIterable {
    case current
    case following
    case pinned
    case idle
    case opaque
}

/// Why a resolver stays with what it has.
public enum PinReason: Sendable, Equatable {
    /// The reload is switched off.
    case noReload
    /// The application put servers or a search list of its own into the state.
    case ownServers
    /// The application changed options, and so switched the reload off.
    case ownOptions
    /// A lost reply left the thread with serial lookups and without reload (glibc 2.26 to 2.39).
    case lostReply
    /// This libc never reads the file again by itself (glibc before 2.26).
    case oldLibc
    /// An object of a resolver library, which reads the file only when it is made.
    case channel
    /// Code of the program's own, which takes its servers from elsewhere, or only at its start.
    case ownResolver

    /// The word of the interface.
    public var word: String {
        switch self {
        case .noReload: "no-reload"
        case .ownServers, .ownOptions: "edited-state"
        case .lostReply: "lost-reply"
        case .oldLibc: "old-libc"
        case .channel: "channel"
        case .ownResolver: "own-resolver"
        }
    }
}

/// A verdict with its reason.
public struct Diagnosis: Sendable, Equatable {
    public let state: ResolverState
    /// Why it is pinned.
    public let pin: PinReason?
    /// One sentence for a person.
    public let explanation: String

    public init(_ state: ResolverState, _ explanation: String) {
        self.state = state
        pin = nil
        self.explanation = explanation
    }

    public init(pinned reason: PinReason, _ explanation: String) {
        state = .pinned
        pin = reason
        self.explanation = explanation
    }
}

/// A name that a thread is looking up at this moment.
public struct Lookup: Sendable, Equatable {
    /// The function the application called, such as `getaddrinfo`.
    public var call: String?
    /// The name in the query that was sent last, which has a suffix of the search list where one was tried.
    public var name: String?
    public var recordType: String?
    public var server: SocketEndpoint?
    public var transport: String?
    /// How long the thread has been waiting in its present system call.
    public var seconds: Double?
    /// The sockets of the lookup, by descriptor.
    public var sockets: [Int32: SocketEndpoint] = [:]

    public init() {}
}
