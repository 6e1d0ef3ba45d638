import LinuxProcess

/// What a resolv.conf file says, read the way glibc reads it (resolv.conf(5), glibc's resolv/res_init.c).
public struct ResolvConf: Sendable, Equatable {
    /// The servers that count: the first three that parse. Empty where the file names none.
    public var nameservers: [IPAddress] = []
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
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
            // A keyword starts its line and ends with white space.
            guard let keyword = words.first, line.hasPrefix(keyword) else { continue }
            let values = words.dropFirst().map(String.init)
            switch keyword {
            case "nameserver":
                guard let address = values.first.flatMap({ IPAddress($0) }) else {
                    problems.append(Problem(line: index + 1, text: String(line)))
                    continue
                }
                if nameservers.count < ResolvConf.nameserverLimit { nameservers.append(address) }
            case "domain":
                search = Array(values.prefix(1))
            case "search":
                search = values
            case "options":
                options.append(contentsOf: values)
            case "sortlist":
                continue
            default:
                problems.append(Problem(line: index + 1, text: String(line)))
            }
        }
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
            search = local.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\n" }).map(String.init)
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

    private static let loopback = [IPAddress("127.0.0.1")].compactMap { $0 }
}
