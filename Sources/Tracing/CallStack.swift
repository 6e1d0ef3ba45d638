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
    private static let limit = 32 << 10

    public init(_ registers: Native.Registers, catalog: ImageCatalog) throws(SystemError) {
        let start = registers.stackPointer &- Native.redZone
        self.registers = registers
        stackBase = start
        stack = try catalog.memory.readUpTo(start, count: StackSnapshot.limit)
    }

    /// The thread has not moved since: same registers, same stack.
    public func isStill(_ thread: borrowing HeldThread, memory: ProcessMemory) -> Bool {
        guard thread.registers == registers, let now = try? memory.readUpTo(stackBase, count: stack.count) else {
            return false
        }
        // What lies below the stack pointer is scratch to anybody, the kernel's signal frames included.
        return now.count == stack.count && now.dropFirst(Int(Native.redZone)) == stack.dropFirst(Int(Native.redZone))
    }
}
