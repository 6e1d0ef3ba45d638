/// The system call a thread sleeps in, as /proc/PID/task/TID/syscall shows it without stopping anything (proc(5)).
public struct BlockedSystemCall: Sendable, Equatable {
    /// The architecture's system-call number.
    public let number: Int
    public let arguments: [UInt64]
    public let stackPointer: UInt64
    public let programCounter: UInt64

    /// nil when the thread runs, or sleeps elsewhere than in a system call (a page fault).
    public init?(of thread: ThreadID, in process: ProcessID) throws(SystemError) {
        self.init(parsing: try readText("\(process.procPath)/task/\(thread)/syscall"))
    }

    init?(parsing text: String) {
        let fields = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard fields.count == 9, let number = Int(fields[0]), number >= 0 else { return nil }
        let values = fields[1...].compactMap { UInt64($0.dropFirst(2), radix: 16) }
        guard values.count == 8 else { return nil }
        self.number = number
        arguments = Array(values[..<6])
        stackPointer = values[6]
        programCounter = values[7]
    }
}
