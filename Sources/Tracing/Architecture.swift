import LinuxProcess

/// All that differs from one processor to the next: registers, the call frame, system-call numbers, TLS relocations.
///
/// One file per architecture conforms. The rest of the module never names a register.
public protocol Architecture: Sendable {
    /// The general registers, as NT_PRSTATUS of ptrace(2) holds them.
    associatedtype Registers: RegisterSet

    /// What this port has been tried on, for `repoint doctor`.
    static var maturity: String { get }
    /// The relocation that fills a GOT slot with a variable's offset from the thread pointer.
    static var threadOffsetRelocation: UInt32 { get }
    static var systemCalls: SystemCallNumbers { get }
    /// The register set that holds the thread pointer, where the general registers do not.
    static var threadPointerNote: Int32? { get }
    /// The registers of a stopped thread tell which system call was interrupted, so that it can be made anew.
    static var canRewindSystemCalls: Bool { get }
    /// Bytes below the stack pointer that a leaf function may use (the red zone of the psABI).
    static var redZone: UInt64 { get }
    /// The code that enters rt_sigreturn: libc keeps it for returning from signal handlers.
    static var signalReturnCode: [UInt8] { get }
    /// Does this code, found at the last return address of a stack, end the thread? So a thread's first function looks.
    static func endsThread(_ code: ArraySlice<UInt8>) -> Bool
    /// libunwind's numbers for the two registers that make a frame.
    static var unwindProgramCounter: Int32 { get }
    static var unwindStackPointer: Int32 { get }
    /// Where the thread pointer lies relative to the head of the thread's robust-futex list, which glibc keeps in the same
    /// structure; nil where that has not been found out. It is checked before it is believed.
    static var robustListOffset: UInt64? { get }

    /// The number of a system call made through libc, from the code that ends at the return address of its instruction; nil
    /// where another way of making one was used.
    static func systemCallNumber(before code: ArraySlice<UInt8>) -> Int?

    /// Whether code begins with the end of a function that stores its result through a register which calls preserve: what is
    /// added to that register, and how many bytes are taken from the stack before the return.
    static func resultStore(_ code: Slice<UnsafeRawBufferPointer>) -> (displacement: Int8, stackBytes: Int)?

    /// Where each argument of a function stands among the registers of a uprobe's sample, which come in the kernel's order.
    static var sampledArguments: [Int] { get }

    /// Finds out in advance what would take long while a thread is held.
    static func prepare()
    /// Lays out signal frames on the thread's own stack, one for each call to return into, and the registers that start the first.
    static func callFrame(_ call: CallPreparation<Registers>) throws(CallRefusal) -> CallFrame<Registers>
}

/// The registers of one thread.
public protocol RegisterSet: Equatable, Sendable {
    static var byteCount: Int { get }

    init?(bytes: [UInt8])
    var bytes: [UInt8] { get }

    var programCounter: UInt64 { get set }
    var stackPointer: UInt64 { get set }
    /// The thread pointer; nil where another register set holds it.
    var threadPointer: UInt64? { get }
    /// The number of the system call the thread is in; nil in user code.
    var systemCall: Int? { get }
    /// What the system call is about to return.
    var returnValue: Int64 { get }
    func argument(_ index: Int) -> UInt64
    mutating func setArgument(_ index: Int, _ value: UInt64)
    /// Marks the thread as being in no system call, so that the kernel restarts none.
    mutating func leaveSystemCall()
    /// Back to just before the system call: it will be executed again from scratch.
    mutating func rewindSystemCall()
    /// Back to before a system call of this number, whatever the kernel has made of it since.
    mutating func rewindSystemCall(to number: Int)
    /// The same instruction on the same frame of the same stack. Other registers hold data, which may have changed.
    func isAtSamePlace(as other: Self) -> Bool
    /// The value of a register by libunwind's number for it.
    func unwindRegister(_ number: Int) -> UInt64?
}

#if arch(x86_64)
    public typealias Native = X86_64
#elseif arch(arm64)
    public typealias Native = AArch64
#else
    #error("Repoint knows x86-64 and aarch64")
#endif

/// What a call frame is made from.
public struct CallPreparation<Registers: RegisterSet>: Sendable {
    public let calls: [FunctionCall]
    public let wayBack: WayBack
    /// The registers to come back to if nobody drives the thread any more.
    public let comeback: Registers
    public let stackPointer: UInt64
    /// The thread's own signal mask, which it comes back with.
    public let signalMask: UInt64
    /// The mask for the second and every further call.
    public let callMask: UInt64
    /// The vector registers in ptrace's form.
    public let vectors: [UInt8]
}

/// Laid-out calls: bytes for dead stack, and the registers that start the first of them.
public struct CallFrame<Registers: RegisterSet>: Sendable {
    public let address: UInt64
    public let bytes: [UInt8]
    public let registers: Registers
    /// Where the result of each call will stand; empty where the C library has no code that stores it.
    public let results: [UInt64]
}

/// Why a call cannot be made at all in this thread.
public struct CallRefusal: Error, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// The numbers of the system calls that Repoint looks for; nil where the architecture has none such.
public struct SystemCallNumbers: Sendable {
    /// What the kernel makes of an interrupted wait that knows how to go on.
    public let restartSyscall: Int
    public let read: Int
    public let write: Int
    public let close: Int
    public let fstat: Int
    public let lseek: Int
    public let mmap: Int
    public let munmap: Int
    public let brk: Int
    public let mprotect: Int
    public let rtSigreturn: Int
    public let rtSigprocmask: Int
    public let futex: Int
    public let openat: Int
    public let newfstatat: Int
    public let uname: Int
    public let open: Int?
    public let stat: Int?
    public let readv: Int
    public let poll: Int?
    public let ppoll: Int
    public let select: Int?
    public let pselect6: Int
    public let nanosleep: Int
    public let clockNanosleep: Int
    public let epollWait: Int?
    public let epollPwait: Int
    public let epollPwait2: Int
    public let epollCtl: Int
    public let socket: Int
    public let accept: Int
    public let accept4: Int
    public let connect: Int
    public let recvfrom: Int
    public let recvmsg: Int
    public let recvmmsg: Int
    public let sendto: Int
    public let sendmsg: Int
    public let wait4: Int
    public let waitid: Int
    public let pause: Int?
    public let rtSigsuspend: Int
    public let rtSigtimedwait: Int
    public let semop: Int
    public let semtimedop: Int
    public let msgrcv: Int
    public let msgsnd: Int
}

extension SystemCallNumbers {
    /// Waits that are given their descriptors anew each time.
    public var polls: Set<Int> { Set([poll, ppoll, select, pselect6].compactMap { $0 }) }
}
