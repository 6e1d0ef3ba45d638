import LinuxProcess

/// aarch64 (AAPCS64). It compiles everywhere and has been tried nowhere yet: states should be read by the same data as on x86-64,
/// with each thread held for a moment; calls are refused, and so is stopping a wait that the kernel would not restart by itself.
public enum AArch64: Architecture {
    public static let maturity = "aarch64: untried; states are read and option bits written, calls are refused"
    public static let threadOffsetRelocation: UInt32 = 1030  // R_AARCH64_TLS_TPREL64
    public static let threadPointerNote: Int32? = 0x401  // NT_ARM_TLS
    public static let canRewindSystemCalls = false
    public static let redZone: UInt64 = 0
    /// mov x8, #139; svc #0
    public static let signalReturnCode: [UInt8] = [0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4]
    public static let unwindProgramCounter: Int32 = 32
    public static let unwindStackPointer: Int32 = 31
    public static let robustListOffset: UInt64? = nil

    /// mov x8, #93; svc #0
    public static func endsThread(_ code: ArraySlice<UInt8>) -> Bool {
        code.starts(with: [0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4])
    }

    public static func systemCallNumber(before code: ArraySlice<UInt8>) -> Int? { nil }

    public static let systemCalls = SystemCallNumbers(
        restartSyscall: 128, read: 63, write: 64, close: 57, fstat: 80, lseek: 62, mmap: 222, munmap: 215, brk: 214,
        mprotect: 226, rtSigreturn: 139,
        rtSigprocmask: 135, futex: 98, openat: 56, newfstatat: 79, uname: 160, open: nil, stat: nil, readv: 65,
        poll: nil, ppoll: 73, select: nil, pselect6: 72, nanosleep: 101, clockNanosleep: 115, epollWait: nil,
        epollPwait: 22, epollPwait2: 441, epollCtl: 21, socket: 198, accept: 202, accept4: 242, connect: 203,
        recvfrom: 207, recvmsg: 212,
        recvmmsg: 243, sendto: 206, sendmsg: 211, wait4: 260, waitid: 95, pause: nil, rtSigsuspend: 133,
        rtSigtimedwait: 137, semop: 193, semtimedop: 192, msgrcv: 188, msgsnd: 189)

    /// `struct user_pt_regs`: x0 to x30, sp, pc, pstate.
    public struct Registers: RegisterSet {
        private var words: [UInt64]

        public static let byteCount = 34 * 8

        public init?(bytes: [UInt8]) {
            guard bytes.count == Registers.byteCount else { return nil }
            words = (0..<34).map { index in
                bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self) }
            }
        }

        public var bytes: [UInt8] { words.withUnsafeBytes { Array($0) } }

        public var programCounter: UInt64 {
            get { words[32] }
            set { words[32] = newValue }
        }

        public var stackPointer: UInt64 {
            get { words[31] }
            set { words[31] = newValue }
        }

        /// TPIDR_EL0 is in NT_ARM_TLS.
        public var threadPointer: UInt64? { nil }
        /// The kernel has already adjusted the registers for a restart: they do not tell.
        public var systemCall: Int? { nil }
        public var returnValue: Int64 { Int64(bitPattern: words[0]) }

        public func argument(_ index: Int) -> UInt64 { words[index] }
        public mutating func setArgument(_ index: Int, _ value: UInt64) { words[index] = value }
        public mutating func leaveSystemCall() {}
        public mutating func rewindSystemCall() { words[32] &-= 4 }

        public mutating func rewindSystemCall(to number: Int) {
            words[32] &-= 4
            words[8] = UInt64(number)
        }

        public func isAtSamePlace(as other: Registers) -> Bool {
            programCounter == other.programCounter && stackPointer == other.stackPointer
        }

        public func unwindRegister(_ number: Int) -> UInt64? { words.indices.contains(number) ? words[number] : nil }
    }

    public static func resultStore(_ code: Slice<UnsafeRawBufferPointer>) -> (displacement: Int8, stackBytes: Int)? {
        nil
    }

    public static let sampledArguments = [0, 1, 2, 3]

    public static func prepare() {}

    public static func callFrame(_ call: CallPreparation<Registers>) throws(CallRefusal) -> CallFrame<Registers> {
        throw CallRefusal("calls into a process have not been tried on aarch64: use --no-inject")
    }
}
