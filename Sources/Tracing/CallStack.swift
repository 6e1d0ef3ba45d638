import ELFImage
import LinuxProcess

/// One function on a call stack.
public struct StackFrame: Sendable {
    public let programCounter: UInt64
    /// The stack pointer in this frame.
    public let stackPointer: UInt64
    /// Where the function begins, by its unwind information.
    public let procedureStart: UInt64?
    /// The kernel put it there to run a signal handler.
    public let isSignalFrame: Bool
}

/// A thread's call stack, the innermost function first.
public struct CallStack: Sendable {
    public enum End: Sendable, Equatable {
        /// It was followed to the function that starts the thread.
        case threadStart
        /// The rest is unknown: no unwind information for this address, or the limit was reached.
        case unknown(address: UInt64)
    }

    public let frames: [StackFrame]
    public let end: End
}

/// What is needed of a stopped thread to judge it while it runs again: its registers and the used part of its stack.
public struct StackSnapshot: Sendable {
    public let registers: Native.Registers
    /// The bytes from the stack pointer (less the red zone) upwards, at most ``limit``.
    public let stack: [UInt8]
    public let stackBase: UInt64

    /// Deeper stacks than this are read as they are walked.
    public static let limit = 32 << 10

    public init(_ registers: Native.Registers, catalog: ImageCatalog) throws(SystemError) {
        let start = registers.stackPointer &- Native.redZone
        self.registers = registers
        stackBase = start
        stack = try catalog.memory.readUpTo(start, count: StackSnapshot.limit)
    }

    /// The thread stands where it stood: same system call and frame, and the same callers all the way out.
    ///
    /// Not every byte is compared. A wait that goes on after a stop has the rest of its time written to the stack.
    public func isStill(_ thread: borrowing HeldThread, stack: CallStack, memory: ProcessMemory) -> Bool {
        // One instruction may make different system calls. A wait that we interrupted may go on as restart_syscall.
        let call = thread.registers.systemCall
        guard thread.registers.isAtSamePlace(as: registers),
            call == registers.systemCall || call == Native.systemCalls.restartSyscall,
            let now = try? memory.readUpTo(stackBase, count: self.stack.count)
        else { return false }
        // A return address lies just below where its frame's stack pointer will be.
        return stack.frames.dropFirst().allSatisfy { frame in
            let offset = Int(clamping: frame.stackPointer &- stackBase) - 8
            guard let word: UInt64 = now.integer(at: offset) else { return offset >= now.count - 8 }
            return word == frame.programCounter
        }
    }
}
