import CLinux
import LinuxProcess

/// x86-64, the System V psABI.
public enum X86_64: Architecture {
    public static let maturity = "x86-64: tried in full"
    public static let threadOffsetRelocation: UInt32 = 18  // R_X86_64_TPOFF64
    public static let threadPointerNote: Int32? = nil
    public static let canRewindSystemCalls = true
    public static let redZone: UInt64 = 128
    /// mov $15,%rax; syscall
    public static let signalReturnCode: [UInt8] = [0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]
    public static let unwindProgramCounter: Int32 = 16
    public static let unwindStackPointer: Int32 = 7
    /// offsetof(struct pthread, robust_head), the same in glibc 2.31 to 2.43.
    public static let robustListOffset: UInt64? = 0x2e0

    /// cx, dx, si, di.
    public static let sampledArguments = [3, 2, 1, 0]

    /// [rex.w] mov %eax,%edi; mov $60,%eax; syscall: the result of the thread's function goes to exit(2).
    public static func endsThread(_ code: ArraySlice<UInt8>) -> Bool {
        var code = code
        if code.first == 0x48 { code = code.dropFirst() }
        return code.starts(with: [0x89, 0xc7, 0xb8, 0x3c, 0x00, 0x00, 0x00, 0x0f, 0x05])
    }

    /// mov $number,%eax; syscall
    public static func systemCallNumber(before code: ArraySlice<UInt8>) -> Int? {
        let end = Array(code.suffix(7))
        guard end.count == 7, end[0] == 0xb8, end[5] == 0x0f, end[6] == 0x05 else { return nil }
        return end.integer(at: 1, as: Int32.self).map(Int.init)
    }

    public static let systemCalls = SystemCallNumbers(
        restartSyscall: 219, read: 0, write: 1, close: 3, fstat: 5, lseek: 8, mmap: 9, munmap: 11, brk: 12,
        mprotect: 10, rtSigreturn: 15,
        rtSigprocmask: 14, futex: 202, openat: 257, newfstatat: 262, uname: 63, open: 2, stat: 4, readv: 19, poll: 7,
        ppoll: 271, select: 23, pselect6: 270, nanosleep: 35, clockNanosleep: 230, epollWait: 232, epollPwait: 281,
        epollPwait2: 441, epollCtl: 233, socket: 41, accept: 43, accept4: 288, connect: 42, recvfrom: 45, recvmsg: 47,
        recvmmsg: 299, sendto: 44,
        sendmsg: 46, wait4: 61, waitid: 247, pause: 34, rtSigsuspend: 130, rtSigtimedwait: 128, semop: 65,
        semtimedop: 220, msgrcv: 70, msgsnd: 69)

    /// `struct user_regs_struct` of <sys/user.h>.
    public struct Registers: RegisterSet {
        private var words: [UInt64]

        private enum Word: Int {
            case r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, origRAX, rip, cs, eflags, rsp
            case ss, fsBase, gsBase, ds, es, fs, gs
        }

        public static let byteCount = 27 * 8

        public init?(bytes: [UInt8]) {
            guard bytes.count == Registers.byteCount else { return nil }
            words = (0..<27).map { index in
                bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self) }
            }
        }

        public var bytes: [UInt8] { words.withUnsafeBytes { Array($0) } }

        private subscript(word: Word) -> UInt64 {
            get { words[word.rawValue] }
            set { words[word.rawValue] = newValue }
        }

        public var programCounter: UInt64 {
            get { self[.rip] }
            set { self[.rip] = newValue }
        }

        public var stackPointer: UInt64 {
            get { self[.rsp] }
            set { self[.rsp] = newValue }
        }

        public var threadPointer: UInt64? { self[.fsBase] }

        public var systemCall: Int? {
            let number = Int64(bitPattern: self[.origRAX])
            return number >= 0 ? Int(number) : nil
        }

        public var returnValue: Int64 { Int64(bitPattern: self[.rax]) }

        private static let arguments: [Word] = [.rdi, .rsi, .rdx, .r10, .r8, .r9]

        public func argument(_ index: Int) -> UInt64 { self[Registers.arguments[index]] }

        public mutating func setArgument(_ index: Int, _ value: UInt64) { self[Registers.arguments[index]] = value }

        public mutating func leaveSystemCall() { self[.origRAX] = UInt64.max }

        public mutating func rewindSystemCall() {
            // The `syscall` instruction is two bytes long, and takes its number from rax.
            self[.rip] &-= 2
            self[.rax] = self[.origRAX]
        }

        public mutating func rewindSystemCall(to number: Int) {
            self[.rip] &-= 2
            self[.rax] = UInt64(number)
        }

        public func isAtSamePlace(as other: Registers) -> Bool {
            self[.rip] == other[.rip] && self[.rsp] == other[.rsp] && self[.fsBase] == other[.fsBase]
        }

        /// rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15, rip: DWARF's numbers, which libunwind keeps.
        private static let unwindOrder: [Word] = [
            .rax, .rdx, .rcx, .rbx, .rsi, .rdi, .rbp, .rsp, .r8, .r9, .r10, .r11, .r12, .r13, .r14, .r15, .rip,
        ]

        public func unwindRegister(_ number: Int) -> UInt64? {
            Registers.unwindOrder.indices.contains(number) ? self[Registers.unwindOrder[number]] : nil
        }

        /// The registers at the entry of a function (psABI, "Parameter Passing").
        ///
        /// - Parameter resultBase: goes to rbx, through which the result is stored.
        func entering(function: UInt64, arguments: [UInt64], stackPointer: UInt64, resultBase: UInt64) -> Registers {
            var entry = self
            entry[.rip] = function
            entry[.rsp] = stackPointer
            for (word, argument) in zip([Word.rdi, .rsi, .rdx, .rcx, .r8, .r9], arguments) { entry[word] = argument }
            entry[.rbx] = resultBase
            entry[.rax] = 0
            // The psABI wants the direction flag clear; the trap flag would raise SIGTRAP.
            entry[.eflags] &= ~0x500
            entry.leaveSystemCall()
            return entry
        }

        /// `struct sigcontext` of the kernel's asm/sigcontext.h, 256 bytes.
        func signalContext(vectorState: UInt64) -> [UInt8] {
            let general: [Word] = [
                .r8, .r9, .r10, .r11, .r12, .r13, .r14, .r15, .rdi, .rsi, .rbp, .rbx, .rdx, .rax, .rcx, .rsp, .rip,
                .eflags,
            ]
            var context = [UInt8](repeating: 0, count: 256)
            for (index, word) in general.enumerated() { context.set(self[word], at: index * 8) }
            // cs, gs, fs, ss; the kernel takes cs and ss and leaves the others.
            context.set(UInt16(truncatingIfNeeded: self[.cs]), at: 144)
            context.set(UInt16(truncatingIfNeeded: self[.ss]), at: 150)
            context.set(vectorState, at: 184)
            return context
        }
    }
}
