import Evidence
import LinuxProcess
import ResolvConf
import Resolvers

/// What a command found and did. The table and the JSON document are two printings of it; the fields are the interface's.
public struct Report: Codable, Sendable {
    public var schema = "repoint/1"
    public var command: String
    public var host: String
    /// RFC 3339, UTC.
    public var at: String
    public var processes: [ProcessReport]
    public var summary: Summary

    public struct Summary: Codable, Sendable, Equatable {
        public var processes = 0
        public var threads = 0
        public var current = 0
        public var following = 0
        public var pinned = 0
        public var idle = 0
        public var opaque = 0
        public var deferred = 0
        public var refused = 0
        /// Processes that could not be worked on at all.
        public var failed = 0
        /// What stayed undone and why; absent where nothing did, or nothing was to be done.
        public var undone: [UndoneReport]?
    }
}

/// One process. Everything in it was read from that process; what does not apply is left out.
public struct ProcessReport: Codable, Sendable {
    public var pid: Int32
    /// The number it has in its own PID namespace, where that is another one than ours.
    public var innerPid: Int32?
    public var name: String?
    public var executable: String?
    public var resolvConf: FileReport?
    public var namespaces: NamespaceReport?
    public var resolvers: [ResolverReport] = []
    public var sessions: SessionReport?
    /// Services that it has names resolved by, or that keep answers for it.
    public var helpers: [HelperReport]?
    /// What else is to be known about how it comes by its addresses.
    public var remarks: [String]?
    /// Why it could not be worked on.
    public var error: String?
    /// The exit code that the error calls for.
    public var errorCode: Int32?
    /// Where a lookup would tell what a repair waits for. Between a worker and its pool; never in a document.
    var awaitedLookups: [LookupSite]?

    public struct FileReport: Codable, Sendable, Equatable {
        public var path: String
        public var nameservers: [String] = []
        public var search: [String] = []
        public var options: [String] = []
        public var error: String?
    }

    public struct NamespaceReport: Codable, Sendable, Equatable {
        public var mount: String
        public var network: String
        public var pid: String?
        public var user: String?
    }

    public struct SessionReport: Codable, Sendable, Equatable {
        public var before: Int
        public var after: Int
        public var lost: Int
    }
}

/// One resolver: of one thread, where each thread has its own.
public struct ResolverReport: Codable, Sendable {
    public var library: String
    public var version: String?
    public var path: String
    public var thread: Int32?
    /// The address of the channel (c-ares) or base (evdns) this is about.
    public var channel: String?
    public var state: String
    /// The state before a repair.
    public var was: String?
    public var reason: String?
    public var explanation: String?
    public var nameservers: [String]?
    public var search: [String]?
    public var options: OptionsReport?
    public var singleRequest: SingleRequestReport?
    public var lookup: LookupReport?
    /// Queries of a channel that wait for their replies.
    public var pendingQueries: Int?
    public var repair: RepairReport?
    public var evidence: EvidenceReport?
    /// How long the thread was held to be read, where that was needed, in microseconds.
    public var heldMicroseconds: Double?

    public struct OptionsReport: Codable, Sendable, Equatable {
        public var ndots: Int
        public var timeout: Int
        public var attempts: Int
        public var flags: [String]
    }

    /// Where the single-request bits stand, and whether resolv.conf asks for them.
    public struct SingleRequestReport: Codable, Sendable, Equatable {
        public var options: [String]
        public var privateFlags: [String]
        public var askedFor: Bool
    }

    public struct LookupReport: Codable, Sendable, Equatable {
        public var call: String?
        public var name: String?
        public var type: String?
        public var server: String?
        public var transport: String?
        public var forSeconds: Double?
        public var sockets: [String]?
    }

    public struct RepairReport: Codable, Sendable, Equatable {
        public var action: String
        public var result: String?
        public var reason: String?
        public var note: String?
        public var pauseMicroseconds: Double?
    }

    public struct EvidenceReport: Codable, Sendable, Equatable {
        public var file: String?
        public var readBack: String?
    }
}

extension ProcessReport {
    /// The state that speaks for the whole process: the one that most needs somebody to look.
    public var state: ResolverState? {
        let states = Set(resolvers.compactMap { ResolverState(rawValue: $0.state) })
        return [.pinned, .opaque, .following, .current, .idle].first(where: states.contains)
    }

    public func hasRepair(_ action: String) -> Bool { resolvers.contains { $0.repair?.action == action } }
}

extension Report.Summary {
    /// Counts processes by their state.
    public init(of reports: [ProcessReport]) {
        processes = reports.count
        for report in reports {
            threads += report.resolvers.count
            if report.error != nil { failed += 1 }
            switch report.state {
            case .current?: current += 1
            case .following?: following += 1
            case .pinned?: pinned += 1
            case .idle?: idle += 1
            case .opaque?: opaque += 1
            case nil: break
            }
            if report.hasRepair("deferred") { deferred += 1 }
            if report.hasRepair("refused") { refused += 1 }
        }
    }
}

/// The exit codes of the interface.
public enum ExitStatus: Int32, Sendable {
    case done = 0
    case inPart = 1
    case usage = 2
    case notPermitted = 3
    case gone = 4
    case rolledBack = 5
    case defect = 70
}

extension TargetError {
    /// The exit code for it, when it was the user who named the process.
    public var exitStatus: ExitStatus {
        switch self {
        case .gone, .noSuchThread, .zombie: .gone
        case .notPermitted, .traced: .notPermitted
        case .noSuchName, .kernelThread, .oneself, .firstProcess: .usage
        case .thirtyTwoBit, .failed: .inPart
        }
    }
}

/// A service that resolves names for a process.
public struct HelperReport: Codable, Sendable, Equatable {
    /// `nscd` or `systemd-resolved`.
    public var name: String
    public var pid: Int32?
    /// How it is known that the process uses it.
    public var why: String
    /// What refreshes it.
    public var command: String
    /// Whether the command was run; left out where that was not asked for.
    public var ran: Bool?
    /// What came of it.
    public var result: String?
}
