import Glibc

/// What /proc/PID/stat or /proc/PID/task/TID/stat says (proc(5)), as far as Repoint asks.
public struct ProcessStat: Sendable, Equatable {
    /// The kernel's one-letter state.
    public enum State: Character, Sendable {
        case running = "R"
        case sleeping = "S"
        case uninterruptible = "D"
        case stopped = "T"
        case tracingStop = "t"
        case zombie = "Z"
        case dead = "X"
        case idle = "I"
        case parked = "P"
    }

    /// The command name, at most 15 bytes.
    public let name: String
    public let state: State
    public let parent: ProcessID
    public let threadCount: Int
    /// Clock ticks after boot at which it started: with the PID it names one process for ever.
    public let startTime: UInt64
    /// The address of the bottom (highest address) of the main thread's stack; 0 where the kernel hides it.
    public let stackStart: UInt64
    /// The CPU it last ran on.
    public let processor: Int
    public let isKernelThread: Bool
    /// It is on its way out: it has no memory any more, and may wait for others before it is a zombie.
    public let isExiting: Bool

    /// PF_EXITING of the kernel's include/linux/sched.h.
    private static let exitingFlag: UInt64 = 0x0000_0004
    /// PF_KTHREAD of the kernel's include/linux/sched.h.
    private static let kernelThreadFlag: UInt64 = 0x0020_0000

    public init(of process: ProcessID) throws(SystemError) {
        try self.init(path: "\(process.procPath)/stat")
    }

    public init(of thread: ThreadID, in process: ProcessID) throws(SystemError) {
        try self.init(path: "\(process.procPath)/task/\(thread)/stat")
    }

    private init(path: String) throws(SystemError) {
        guard let parsed = ProcessStat(parsing: try readFile(path)) else {
            throw SystemError("parse \(path)", code: EINVAL)
        }
        self = parsed
    }

    /// Parses a line of proc(5). The name stands in parentheses and may itself hold any character.
    init?(parsing text: String) {
        self.init(parsing: Array(text.utf8))
    }

    private init?(parsing bytes: [UInt8]) {
        guard let open = bytes.firstIndex(of: UInt8(ascii: "(")), let close = bytes.lastIndex(of: UInt8(ascii: ")")),
            open < close
        else { return nil }
        name = String(decoding: bytes[(open + 1)..<close], as: UTF8.self)
        let end = bytes[close...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
        var fields = ProcFields(bytes[(close + 1)..<end])
        // By the numbers of proc(5), where the name is field 2.
        guard let letter = fields.word()?.first, let state = State(rawValue: Character(Unicode.Scalar(letter))),
            let parent = fields.decimal()
        else { return nil }
        fields.skip(from: 5, to: 9)
        guard let flags = fields.decimal() else { return nil }
        fields.skip(from: 10, to: 20)
        guard let threads = fields.decimal() else { return nil }
        fields.skip(from: 21, to: 22)
        guard let start = fields.decimal() else { return nil }
        fields.skip(from: 23, to: 28)
        let stackStart = fields.decimal()
        fields.skip(from: 29, to: 39)
        guard let processor = fields.decimal() else { return nil }
        self.state = state
        self.parent = ProcessID(Int32(truncatingIfNeeded: parent))
        threadCount = Int(clamping: threads)
        startTime = start
        self.stackStart = stackStart ?? 0
        self.processor = Int(clamping: processor)
        isKernelThread = flags & ProcessStat.kernelThreadFlag != 0
        isExiting = flags & ProcessStat.exitingFlag != 0
    }
}

extension StringProtocol {
    /// The text without any of `characters` at its ends.
    public func trimming(_ characters: String) -> String {
        var text = Substring(self)
        while let first = text.first, characters.contains(first) { text.removeFirst() }
        while let last = text.last, characters.contains(last) { text.removeLast() }
        return String(text)
    }
}
