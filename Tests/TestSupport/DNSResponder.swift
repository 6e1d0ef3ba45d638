import LinuxProcess
import Testing

/// A name server that knows one answer (TestTargets/dns-responder), on port 53 of loopback addresses.
public final class DNSResponder {
    private let server: Victim
    private var log: [Query] = []

    /// A query that it got.
    public struct Query: Sendable, Equatable {
        /// The address that was asked.
        public let server: String
        public let transport: String
        public let name: String
        public let type: String
        public let outcome: String
    }

    public enum Mode: String, Sendable {
        case answer
        case servfail
        case nxdomain
        case silent
        case dropAAAAOnce = "drop-aaaa-once"
    }

    /// - Parameters:
    ///   - process: in whose network namespace it listens.
    ///   - address: the only address that it gives for any name; nil for one of either family where nobody is.
    public init(_ mode: Mode, at addresses: [String], besides process: ProcessID, giving address: String? = nil) throws
    {
        let program = "\(Stage.targets)/build/host/dns-responder"
        try require(program, because: "the name server for tests")
        let prefix = ["/usr/bin/nsenter", "--target", "\(process)", "--net", "--"]
        let answer = address.map { ["--a", $0, "--aaaa", "none"] } ?? []
        server = try Victim(prefix + [program, "--mode", mode.rawValue] + answer + addresses)
    }

    /// Switches to another mode.
    public func change(to mode: Mode) throws {
        // The answer may come after queries that were on their way.
        try server.tell("mode \(mode.rawValue)")
        let isDone = eventually(within: 10) {
            let lines = server.said()
            take(lines)
            return lines.contains("mode \(mode.rawValue)")
        }
        guard isDone else { throw TestSupportError("dns-responder did not switch to \(mode.rawValue)") }
    }

    /// All queries so far.
    public var queries: [Query] {
        take(server.said())
        return log
    }

    /// What came since the last call of this function.
    public func takeQueries() -> [Query] {
        defer { log = [] }
        return queries
    }

    private func take(_ lines: [String]) {
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 7, words[0] == "query" else { continue }
            log.append(Query(server: words[1], transport: words[2], name: words[3], type: words[4], outcome: words[6]))
        }
    }
}
