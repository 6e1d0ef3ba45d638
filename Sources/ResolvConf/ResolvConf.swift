import Glibc
import LinuxProcess

/// What a resolv.conf file says, read the way glibc reads it (resolv.conf(5), glibc's resolv/res_init.c).
public struct ResolvConf: Sendable, Equatable {
    /// The servers that count: the first three that parse. Empty where the file names none.
    public var nameservers: [IPAddress] = []
    /// All that parse: other resolvers than glibc's have no limit.
    public var everyNameserver: [IPAddress] = []
    /// The search list; nil where neither `search` nor `domain` stands there.
    public var search: [String]?
    /// The words after `options`, as written.
    public var options: [String] = []
    /// Lines that no resolver understands, with their numbers (1 is the first).
    public var problems: [Problem] = []

    public struct Problem: Sendable, Equatable {
        public let line: Int
        public let text: String
    }

    /// MAXNS of <resolv.h>.
    public static let nameserverLimit = 3

    public init() {}

    /// Parses the text of a file. Nothing is an error: a resolver takes what it understands, and so do we.
    public init(parsing text: String) {
        // Bytes, not characters: to Swift a carriage return and the newline after it are one character.
        for (index, bytes) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        {
            let line = Substring(bytes)
            if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            // A keyword starts its line and ends with white space.
            guard let keyword = words.first, line.hasPrefix(keyword) else { continue }
            let values = words.dropFirst().map(String.init)
            switch keyword {
            case "nameserver":
                guard let address = values.first.flatMap(ResolvConf.server) else {
                    problems.append(Problem(line: index + 1, text: String(line)))
                    continue
                }
                everyNameserver.append(address)
                if nameservers.count < ResolvConf.nameserverLimit { nameservers.append(address) }
            case "domain", "search":
                // One that names nothing changes nothing.
                if !values.isEmpty { search = keyword == "domain" ? Array(values.prefix(1)) : values }
            case "options":
                options.append(contentsOf: values)
            case "sortlist":
                continue
            default:
                problems.append(Problem(line: index + 1, text: String(line)))
            }
        }
    }

    /// An address as a `nameserver` line takes it: IPv4 also in the short, octal and hexadecimal forms of inet_aton(3).
    private static func server(_ word: String) -> IPAddress? {
        var four = in_addr()
        // inet_aton would pass over white space at the end, and the resolver does not.
        guard word.utf8.allSatisfy({ $0 > 0x20 }), inet_aton(word, &four) != 0 else { return IPAddress(word) }
        return IPAddress(ipv4: withUnsafeBytes(of: &four) { Array($0) })
    }
}

/// What a resolver should have in force by a resolv.conf, a process's environment and its host's name.
public struct EffectiveConfiguration: Sendable, Equatable {
    public let nameservers: [IPAddress]
    /// nil where it depends on a host name that we do not know.
    public let search: [String]?
    public let options: ResolverOptions

    /// - Parameters:
    ///   - environment: LOCALDOMAIN replaces the search list, RES_OPTIONS adds options (resolver(3)).
    ///   - hostDomain: what follows the first dot of the host's name; it is searched where the file names nothing.
    public init(_ file: ResolvConf, environment: [String: String], hostDomain: String?) {
        nameservers = file.nameservers.isEmpty ? EffectiveConfiguration.loopback : file.nameservers
        if let local = environment["LOCALDOMAIN"] {
            search = EffectiveConfiguration.names(inEnvironment: local)
        } else if let listed = file.search {
            search = listed
        } else {
            search = hostDomain.map { $0.isEmpty ? [] : [$0] }
        }
        var options = ResolverOptions()
        for word in file.options { options.apply(word) }
        for word in (environment["RES_OPTIONS"] ?? "").split(whereSeparator: { $0 == " " || $0 == "\t" }) {
            options.apply(String(word))
        }
        self.options = options
    }

    /// The first line counts. Where it starts with a blank, or there is nothing, glibc has an empty name first.
    private static func names(inEnvironment value: String) -> [String] {
        let line = value.prefix { $0 != "\n" }
        let names = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
        return names.first.map(line.hasPrefix) ?? false ? names : [""] + names
    }

    private static let loopback = [IPAddress("127.0.0.1")].compactMap { $0 }
}
