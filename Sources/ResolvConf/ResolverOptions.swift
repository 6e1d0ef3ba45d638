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
            ndots = min(value, ResolverOptions.ndotsLimit)
        } else if let value = ResolverOptions.number(word, after: "timeout:") {
            timeout = min(value, ResolverOptions.timeoutLimit)
        } else if let value = ResolverOptions.number(word, after: "attempts:") {
            attempts = min(value, ResolverOptions.attemptsLimit)
        } else if word == "no_tld_query" {
            flags.insert(.noTLDQuery)
        } else if let flag = ResolverFlag(rawValue: word) {
            flags.insert(flag)
        }
    }

    /// As atoi(3): leading digits count, anything else is 0.
    private static func number(_ word: String, after prefix: String) -> Int? {
        guard word.hasPrefix(prefix) else { return nil }
        return Int(word.dropFirst(prefix.count).prefix { $0.isASCII && $0.isNumber }) ?? 0
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
}
