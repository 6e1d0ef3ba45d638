import Glibc

/// What /proc/PID/status or /proc/PID/task/TID/status says (proc(5)), as far as Repoint asks.
public struct ProcessStatus: Sendable, Equatable {
    /// How system calls are filtered (seccomp(2)).
    public enum Seccomp: Int, Sendable {
        case disabled = 0
        case strict = 1
        case filter = 2
    }

    /// Who traces it, if anybody does.
    public let tracer: ProcessID?
    /// Signals waiting for this thread, one bit each, signal 1 in bit 0.
    public let pendingSignals: UInt64
    /// Signals waiting for the process.
    public let sharedPendingSignals: UInt64
    public let blockedSignals: UInt64
    public let ignoredSignals: UInt64
    public let caughtSignals: UInt64
    public let seccomp: Seccomp
    /// The process numbered by each PID namespace it is in, ours first.
    public let namespacePIDs: [Int32]
    public let effectiveUserID: UInt32
    /// The ids that decide about access to files.
    public let fileUserID: UInt32
    public let fileGroupID: UInt32
    public let effectiveCapabilities: UInt64
    /// Those it, and whatever it starts, can have at all.
    public let boundingCapabilities: UInt64
    /// Its shadow stack is on (x86 control-flow enforcement): a return to an address never called faults.
    public let hasShadowStack: Bool
    public let voluntarySwitches: UInt64
    public let involuntarySwitches: UInt64

    public init(of process: ProcessID) throws(SystemError) {
        try self.init(path: "\(process.procPath)/status")
    }

    public init(of thread: ThreadID, in process: ProcessID) throws(SystemError) {
        try self.init(path: "\(process.procPath)/task/\(thread)/status")
    }

    /// This process's own status.
    public static func own() throws(SystemError) -> ProcessStatus {
        try ProcessStatus(path: "/proc/self/status")
    }

    private init(path: String) throws(SystemError) {
        self.init(parsing: try readText(path))
    }

    init(parsing text: String) {
        var fields: [Substring: Substring] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        func words(_ key: Substring) -> [Substring] {
            fields[key]?.split(whereSeparator: { $0 == "\t" || $0 == " " }) ?? []
        }
        func mask(_ key: Substring) -> UInt64 { words(key).first.flatMap { UInt64($0, radix: 16) } ?? 0 }
        func number(_ key: Substring) -> UInt64 { words(key).first.flatMap { UInt64($0) } ?? 0 }

        let tracerID = Int32(truncatingIfNeeded: number("TracerPid"))
        tracer = tracerID == 0 ? nil : ProcessID(tracerID)
        pendingSignals = mask("SigPnd")
        sharedPendingSignals = mask("ShdPnd")
        blockedSignals = mask("SigBlk")
        ignoredSignals = mask("SigIgn")
        caughtSignals = mask("SigCgt")
        seccomp = Seccomp(rawValue: Int(clamping: number("Seccomp"))) ?? .filter
        namespacePIDs = words("NSpid").compactMap { Int32($0) }
        let users = words("Uid")
        effectiveUserID = users.count > 1 ? UInt32(users[1]) ?? 0 : 0
        fileUserID = users.count > 3 ? UInt32(users[3]) ?? 0 : 0
        fileGroupID = words("Gid").count > 3 ? UInt32(words("Gid")[3]) ?? 0 : 0
        effectiveCapabilities = mask("CapEff")
        boundingCapabilities = mask("CapBnd")
        hasShadowStack = words("x86_Thread_features").contains("shstk")
        voluntarySwitches = number("voluntary_ctxt_switches")
        involuntarySwitches = number("nonvoluntary_ctxt_switches")
    }

    /// A signal is waiting that this thread would take as soon as it ran.
    public var hasDeliverableSignal: Bool {
        (pendingSignals | sharedPendingSignals) & ~blockedSignals != 0
    }
}
