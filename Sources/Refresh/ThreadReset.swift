import LinuxProcess
import ResolvConf
import Resolvers

/// Fields of a thread's resolver state to be set, by the names of resolv.conf(5).
public struct ThreadReset: Codable, Sendable, Equatable {
    /// nil for every thread of the process that has a state.
    public var thread: Int32?
    public var flagsToSet: Set<String> = []
    public var flagsToClear: Set<String> = []
    public var timeout: Int?
    public var attempts: Int?
    public var ndots: Int?

    /// What a word on the command line asks for that cannot be.
    public struct InvalidChange: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    public init(thread: Int32?) {
        self.thread = thread
    }

    /// Takes `--clear` words.
    public mutating func addClear(_ word: String) throws(InvalidChange) {
        try ThreadReset.checkFlag(word)
        flagsToClear.insert(word)
    }

    /// Takes `--set` words: `name` or `name=number`.
    public mutating func addSet(_ word: String) throws(InvalidChange) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else {
            try ThreadReset.checkFlag(word)
            flagsToSet.insert(word)
            return
        }
        func number(_ range: ClosedRange<Int>) throws(InvalidChange) -> Int {
            guard let value = Int(parts[1]), range.contains(value) else {
                throw InvalidChange(
                    description:
                        "\(parts[0]) takes a number from \(range.lowerBound) to \(range.upperBound), not \(parts[1])")
            }
            return value
        }
        switch parts[0] {
        case "timeout": timeout = try number(1...ResolverOptions.timeoutLimit)
        case "attempts": attempts = try number(1...ResolverOptions.attemptsLimit)
        case "ndots": ndots = try number(0...ResolverOptions.ndotsLimit)
        default:
            throw InvalidChange(description: "\(parts[0]) is no number of a resolver: timeout, attempts and ndots are")
        }
    }

    public var isEmpty: Bool {
        flagsToSet.isEmpty && flagsToClear.isEmpty && timeout == nil && attempts == nil && ndots == nil
    }

    private static func checkFlag(_ word: String) throws(InvalidChange) {
        guard GlibcOptionBits.bit(named: word) != nil else {
            let known = GlibcOptionBits.names.prefix(ResolverFlag.allCases.count).map(\.name).joined(separator: ", ")
            throw InvalidChange(description: "\(word) is no option of a resolver; these are: \(known)")
        }
    }

    /// The writes for a thread that has these option bits now.
    func writes(for options: GlibcOptionBits) -> [GlibcFieldWrite] {
        func bits(_ words: Set<String>) -> GlibcOptionBits {
            words.reduce(into: []) { $0.formUnion(GlibcOptionBits.bit(named: $1) ?? []) }
        }
        let wanted = options.union(bits(flagsToSet)).subtracting(bits(flagsToClear))
        return (wanted == options ? [] : [.options(wanted)])
            + [
                timeout.map { .timeout($0) }, attempts.map { .attempts($0) }, ndots.map { .ndots($0) },
            ].compactMap { $0 }
    }

    /// Whether a state shows everything that was asked for.
    func isSeen(in configuration: ResolverConfiguration, options: GlibcOptionBits) -> Bool {
        writes(for: options).allSatisfy { write in
            switch write {
            case .options: false
            case .timeout(let value): configuration.options.timeout == value
            case .attempts(let value): configuration.options.attempts == value
            case .ndots(let value): configuration.options.ndots == value
            }
        }
    }
}
