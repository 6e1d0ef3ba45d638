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
        self.init(parsing: try readFile(path))
    }

    init(parsing text: String) {
        self.init(parsing: Array(text.utf8))
    }

    /// The lines that are looked at.
    private static let keys = [
        "TracerPid", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "Seccomp", "NSpid", "Uid", "Gid", "CapEff",
        "CapBnd",
        "x86_Thread_features", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches",
    ].map { Array($0.utf8) }

    private init(parsing bytes: [UInt8]) {
        var values: [[UInt8]: ArraySlice<UInt8>] = [:]
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
                let key = ProcessStatus.keys.first(where: { $0.elementsEqual(line[..<colon]) })
            else { continue }
            values[key] = line[(colon + 1)...]
        }
        func words(_ key: String) -> [ArraySlice<UInt8>] {
            guard let value = values[Array(key.utf8)] else { return [] }
            var fields = ProcFields(value)
            var words: [ArraySlice<UInt8>] = []
            while let word = fields.word() { words.append(word) }
            return words
        }
        func value(_ word: ArraySlice<UInt8>?, radix: UInt64 = 10) -> UInt64? {
            word.flatMap { ProcFields.number($0, radix: radix) }
        }
        func mask(_ key: String) -> UInt64 { value(words(key).first, radix: 16) ?? 0 }
        func number(_ key: String) -> UInt64 { value(words(key).first) ?? 0 }
        func identifier(_ words: [ArraySlice<UInt8>], _ index: Int) -> UInt32 {
            guard words.count > index, let number = value(words[index]) else { return 0 }
            return UInt32(exactly: number) ?? 0
        }

        let tracerID = Int32(truncatingIfNeeded: number("TracerPid"))
        tracer = tracerID == 0 ? nil : ProcessID(tracerID)
        pendingSignals = mask("SigPnd")
        sharedPendingSignals = mask("ShdPnd")
        blockedSignals = mask("SigBlk")
        ignoredSignals = mask("SigIgn")
        caughtSignals = mask("SigCgt")
        seccomp = Seccomp(rawValue: Int(clamping: number("Seccomp"))) ?? .filter
        namespacePIDs = words("NSpid").compactMap { value($0).flatMap { Int32(exactly: $0) } }
        let users = words("Uid")
        effectiveUserID = identifier(users, 1)
        fileUserID = identifier(users, 3)
        fileGroupID = identifier(words("Gid"), 3)
        effectiveCapabilities = mask("CapEff")
        boundingCapabilities = mask("CapBnd")
        hasShadowStack = words("x86_Thread_features").contains { $0.elementsEqual("shstk".utf8) }
        voluntarySwitches = number("voluntary_ctxt_switches")
        involuntarySwitches = number("nonvoluntary_ctxt_switches")
    }

    /// A signal is waiting that this thread would take as soon as it ran.
    public var hasDeliverableSignal: Bool {
        (pendingSignals | sharedPendingSignals) & ~blockedSignals != 0
    }
}
