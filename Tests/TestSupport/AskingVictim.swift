import LinuxProcess

/// The victims `ares` and `evdns`, whose threads each ask through a channel (or base) and an event loop of their own. Side 0 is
/// the main thread.
public final class AskingVictim {
    public let victim: Victim
    public let program: Program
    /// The release of the library, as it says itself.
    public let release: String
    /// Thread ids, by side.
    public let threads: [Int32]

    public enum Program: String, Sendable, CaseIterable {
        case ares
        case evdns
    }

    /// - Parameters:
    ///   - modes: what its first comment lists.
    ///   - ownNetwork: for name servers of its own.
    public init(
        _ program: Program, _ libc: Libc, _ modes: [String] = [], environment: [String: String] = [:],
        etc: EtcDirectory, ownNetwork: Bool = true
    ) throws {
        self.program = program
        victim = try Victim(
            libc, program.rawValue, modes, environment: environment, etc: etc, ownNetwork: ownNetwork)
        guard victim.ready.count >= 3 else { throw TestSupportError("\(victim.name) named \(victim.ready)") }
        release = String(victim.ready[1].prefix { $0.isNumber || $0 == "." })
        threads = victim.ready.dropFirst(2).compactMap { Int32($0) }
    }

    public var id: ProcessID { victim.id }

    /// What came of a lookup.
    public enum Answer: Sendable, Equatable {
        case address(String, milliseconds: Int)
        case failed(String)

        public var isAnswered: Bool {
            if case .address = self { true } else { false }
        }
    }

    public func lookup(_ name: String, by call: String = "lookup", side: Int = 0, within seconds: Double = 30) throws
        -> Answer
    {
        try answer(try ask("\(call) \(name)", side: side, within: seconds), to: name)
    }

    public func answer(_ line: String, to name: String) throws -> Answer {
        let words = line.split(separator: " ").map(String.init)
        if words.count == 4, words[0] == "answer", words[1] == name, let time = Int(words[3]) {
            return .address(words[2], milliseconds: time)
        }
        guard words.count >= 3, words[0] == "failed", words[1] == name else {
            throw TestSupportError("\(victim.name) answered \(line)")
        }
        return .failed(words[2...].joined(separator: " "))
    }

    /// The servers that the library itself names.
    public func servers(side: Int = 0) throws -> [String] {
        try word(after: "servers", side: side).split(separator: ",").map(String.init)
    }

    /// The address of its channel or base, as `inspect` writes it.
    public func object(side: Int = 0) throws -> String {
        try word(after: program == .evdns ? "base" : "channel", side: side)
    }

    /// Another channel or base takes the place of the one that is there.
    ///
    /// - Returns: its address.
    public func replace(side: Int = 0) throws -> String {
        let words = try ask("replace", side: side).split(separator: " ").map(String.init)
        guard words.count == 2, words[0] == "replaced" else { throw TestSupportError("\(victim.name): \(words)") }
        return words[1]
    }

    /// Looks names up that end in `name`, for ever; one that fails ends the victim.
    public func every(_ milliseconds: Int, _ name: String = "tick.example", side: Int = 0) throws {
        try tell("every \(milliseconds) \(name)", side: side)
    }

    /// Keeps so many lookups without an answer.
    public func keepBusy(_ count: Int, _ name: String = "busy.example", side: Int = 0) throws {
        let answer = try ask("busy \(count) \(name)", side: side)
        guard answer == "busy \(count)" else { throw TestSupportError("\(victim.name): \(answer)") }
    }

    /// Ends ``keepBusy``.
    ///
    /// - Returns: how many of those lookups are still without an answer, and how many were answered.
    public func calm(side: Int = 0) throws -> (pending: Int, answered: Int) {
        let words = try ask("calm", side: side).split(separator: " ").map(String.init)
        guard words.count == 3, words[0] == "calm", let pending = Int(words[1]), let answered = Int(words[2]) else {
            throw TestSupportError("\(victim.name): \(words)")
        }
        return (pending, answered)
    }

    public func tell(_ line: String, side: Int = 0) throws {
        try victim.tell(side == 0 ? line : "@\(side) \(line)")
    }

    public func ask(_ line: String, side: Int = 0, within seconds: Double = 30) throws -> String {
        try victim.ask(side == 0 ? line : "@\(side) \(line)", within: seconds)
    }

    private func word(after command: String, side: Int) throws -> String {
        let words = try ask(command, side: side).split(separator: " ", omittingEmptySubsequences: false).map(
            String.init)
        guard words.count == 2, words[0] == command else { throw TestSupportError("\(victim.name): \(words)") }
        return words[1]
    }

}
