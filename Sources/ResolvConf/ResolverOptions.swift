import Glibc

/// The options of resolv.conf(5) that have a number, and the names of those that are set.
public struct ResolverOptions: Sendable, Equatable {
    public var ndots = 1
    /// Seconds to wait for a reply.
    public var timeout = 5
    public var attempts = 2
    /// Switches, by the names of resolv.conf(5).
    public var flags: Set<ResolverFlag> = []

    public init() {}

    // RES_MAXNDOTS, RES_MAXRETRANS, RES_MAXRETRY of <resolv.h> and glibc's resolv/resolv-internal.h.
    public static let ndotsLimit = 15
    public static let timeoutLimit = 30
    public static let attemptsLimit = 5

    /// Applies one word of an `options` line; what is unknown is passed over, as every resolver does.
    public mutating func apply(_ word: String) {
        if let value = ResolverOptions.number(word, after: "ndots:") {
            // Four bits hold it.
            ndots = min(value, ResolverOptions.ndotsLimit) & 0xf
        } else if let value = ResolverOptions.number(word, after: "timeout:") {
            timeout = min(value, ResolverOptions.timeoutLimit)
        } else if let value = ResolverOptions.number(word, after: "attempts:") {
            attempts = min(value, ResolverOptions.attemptsLimit)
        } else if word.hasPrefix("no_tld_query") {
            flags.insert(.noTLDQuery)
        } else if let flag = ResolverFlag.named(atStartOf: word) {
            flags.insert(flag)
        }
    }

    private static func number(_ word: String, after prefix: String) -> Int? {
        guard word.hasPrefix(prefix) else { return nil }
        return Int(atoi(String(word.dropFirst(prefix.count))))
    }
}

/// The switches of an `options` line (resolv.conf(5)).
public enum ResolverFlag: String, Sendable, CaseIterable {
    case debug
    case rotate
    case edns0
    case singleRequest = "single-request"
    case singleRequestReopen = "single-request-reopen"
    case noTLDQuery = "no-tld-query"
    case noReload = "no-reload"
    case useVC = "use-vc"
    case trustAD = "trust-ad"
    case noAAAA = "no-aaaa"
    case strictError = "strict-error"

    /// glibc looks no further than to the end of the name it knows; the longest that fits counts.
    static func named(atStartOf word: String) -> ResolverFlag? {
        allCases.filter { word.hasPrefix($0.rawValue) }.max { $0.rawValue.count < $1.rawValue.count }
    }
}
