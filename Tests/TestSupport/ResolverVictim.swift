import LinuxProcess

/// The victim `resolver`, whose threads look names up when told to. Thread 0 is its main thread.
public final class ResolverVictim {
    public let victim: Victim
    /// The process, as we number it.
    public let id: ProcessID
    /// Thread ids by the victim's own numbers.
    public let threads: [Int32]

    public init(
        _ libc: Libc, threads: Int = 2, fresh: Bool = false, environment: [String: String] = [:],
        etc: EtcDirectory? = nil, ownNetwork: Bool = false
    ) throws {
        victim = try Victim(
            libc, "resolver", ["--threads", "\(threads)"] + (fresh ? ["--fresh"] : []), environment: environment,
            etc: etc, ownNetwork: ownNetwork)
        id = victim.id
        self.threads = victim.ready.dropFirst().compactMap { Int32($0) }
        guard self.threads.count == threads + 1 else { throw TestSupportError("resolver named \(self.threads)") }
    }

    /// Takes over one that was started in another way.
    ///
    /// - Parameters:
    ///   - id: the process, where it is not the one that was started.
    ///   - threads: its threads as we number them, where it numbers them otherwise.
    public init(_ victim: Victim, id: ProcessID? = nil, threads: [Int32]? = nil) {
        self.victim = victim
        self.id = id ?? victim.id
        self.threads = threads ?? victim.ready.dropFirst().compactMap { Int32($0) }
    }

    /// Its PID as a word for the command line.
    public var word: String { "\(id)" }

    /// What getaddrinfo returned in a thread.
    public struct Answer: Sendable, Equatable {
        /// 0 for success; -2 is EAI_NONAME, -3 EAI_AGAIN.
        public let code: Int
        public let addresses: [String]
        public let milliseconds: Int
    }

    public func lookup(_ name: String, in thread: Int, within seconds: Double = 60) throws -> Answer {
        try answer(try command("lookup \(thread) \(name)", within: seconds))
    }

    /// Begins a lookup and does not wait for it.
    public func start(_ name: String, in thread: Int) throws {
        _ = try command("start \(thread) \(name)")
    }

    /// Waits for the end of a lookup that was started.
    public func wait(in thread: Int, within seconds: Double = 60) throws -> Answer {
        try answer(try command("wait \(thread)", within: seconds))
    }

    public func initialize(_ thread: Int) throws {
        _ = try command("init \(thread)")
    }

    /// Sets (`+`) or clears (`-`) option bits, as in `+200000`.
    public func options(_ change: String, in thread: Int) throws {
        _ = try command("options \(thread) \(change)")
    }

    /// Sets `retrans`, `retry` or `ndots`.
    public func set(_ field: String, _ value: Int, in thread: Int) throws {
        _ = try command("set \(thread) \(field) \(value)")
    }

    /// Replaces the first server, as an application does.
    public func useServer(_ address: String, in thread: Int) throws {
        _ = try command("server \(thread) \(address)")
    }

    /// A thread's state as the thread itself sees it.
    public struct State: Sendable, Equatable {
        public let fields: [String: String]

        public var options: UInt64 { hexadecimal("options") }
        public var privateFlags: UInt64 { hexadecimal("flags") }
        public var servers: [String] { list("servers") }
        public var search: [String] { list("search") }

        public subscript(field: String) -> String { fields[field] ?? "" }

        private func hexadecimal(_ field: String) -> UInt64 { UInt64(self[field].dropFirst(2), radix: 16) ?? 0 }
        private func list(_ field: String) -> [String] { self[field].split(separator: ",").map(String.init) }

        /// Every field but some, for comparing what must not have changed.
        public func without(_ names: String...) -> [String: String] { fields.filter { !names.contains($0.key) } }
    }

    public func show(_ thread: Int) throws -> State {
        State(fields: ResolverVictim.fields(try command("show \(thread)")))
    }

    private func command(_ line: String, within seconds: Double = 30) throws -> String {
        let answer = try victim.ask(line, within: seconds)
        guard !answer.hasPrefix("error") else { throw TestSupportError("resolver: \(line): \(answer)") }
        return answer
    }

    private func answer(_ line: String) throws -> Answer {
        let fields = ResolverVictim.fields(line)
        guard let code = fields["rc"].flatMap({ Int($0) }), let time = fields["ms"].flatMap({ Int($0) }) else {
            throw TestSupportError("resolver answered \(line)")
        }
        let addresses = (fields["addresses"] ?? "").split(separator: ",").map(String.init)
        return Answer(code: code, addresses: addresses, milliseconds: time)
    }

    /// `name=value` words.
    private static func fields(_ line: String) -> [String: String] {
        var fields: [String: String] = [:]
        for word in line.split(separator: " ") {
            guard let equals = word.firstIndex(of: "=") else { continue }
            fields[String(word[..<equals])] = String(word[word.index(after: equals)...])
        }
        return fields
    }
}
