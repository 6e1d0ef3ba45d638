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
        epollPwait2: 441, accept: 43, accept4: 288, connect: 42, recvfrom: 45, recvmsg: 47, recvmmsg: 299, sendto: 44,
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

        /// The registers at the entry of a function without arguments.
        fileprivate func entering(function: UInt64, stackPointer: UInt64) -> Registers {
            var entry = self
            entry[.rip] = function
            entry[.rsp] = stackPointer
            entry[.rax] = 0
            // The psABI wants the direction flag clear; the trap flag would raise SIGTRAP.
            entry[.eflags] &= ~0x500
            entry.leaveSystemCall()
            return entry
        }

        /// `struct sigcontext` of the kernel's asm/sigcontext.h, 256 bytes.
        fileprivate func signalContext(vectorState: UInt64) -> [UInt8] {
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

    // struct rt_sigframe of the kernel's asm/sigframe.h: return address, ucontext, siginfo.
    private static let contextOffset = 8
    private static let frameSize = 8 + 304 + 128
    /// UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
    private static let contextFlags: UInt64 = 7
    private static let magic1: UInt32 = 0x4650_5853
    private static let magic2: UInt32 = 0x4650_5845
    /// AMX tile configuration and data: not part of a thread's state unless it asked for them.
    private static let dynamicFeatures: UInt64 = 1 << 17 | 1 << 18

    /// Where each of the XSAVE components ends, by their bits. Found out once: in a virtual machine each CPUID leaves it.
    private static let componentEnds = (0..<63).map { clinux_xstate_size(1 << UInt64($0)) }

    private static func vectorSize(of features: UInt64) -> Int {
        componentEnds.indices.filter { features >> UInt64($0) & 1 == 1 }.map { componentEnds[$0] }.max() ?? 0
    }

    public static func prepare() {
        _ = componentEnds
    }

    public static func callFrame(_ call: CallPreparation<Registers>) throws(CallRefusal) -> CallFrame<Registers> {
        let vectors = try vectorImage(call.vectors)
        let top = call.stackPointer &- redZone
        let vectorAddress = (top &- UInt64(vectors.count)) & ~63
        // At a function's entry the stack pointer is 8 off a 16-byte boundary.
        let address = ((vectorAddress &- UInt64(frameSize)) & ~15) &- 8

        var bytes = [UInt8](repeating: 0, count: Int(vectorAddress - address) + vectors.count)
        bytes.set(call.signalReturn, at: 0)
        bytes.set(contextFlags, at: contextOffset)
        // uc_stack stays zero: the kernel then refuses it and leaves the alternate stack as it is.
        bytes.replaceSubrange(
            contextOffset + 40..<contextOffset + 296, with: call.comeback.signalContext(vectorState: vectorAddress))
        bytes.set(call.signalMask, at: contextOffset + 296)
        bytes.replaceSubrange(Int(vectorAddress - address)..., with: vectors)
        return CallFrame(
            address: address, bytes: bytes,
            registers: call.comeback.entering(function: call.function, stackPointer: address))
    }

    /// The XSAVE area as rt_sigreturn wants it: with the kernel's two marks around what is to be restored.
    private static func vectorImage(_ state: [UInt8]) throws(CallRefusal) -> [UInt8] {
        // ptrace puts XCR0 where a signal frame has its first mark; the header's first word says what is in use.
        guard let enabled = state.integer(at: 464, as: UInt64.self), let inUse = state.integer(at: 512, as: UInt64.self)
        else { throw CallRefusal("the kernel gives no XSAVE state of the thread") }
        guard inUse & dynamicFeatures == 0 else { throw CallRefusal("the thread uses AMX tiles") }
        let features = enabled & ~dynamicFeatures
        let size = min(vectorSize(of: features), state.count)
        var image = Array(state[..<size])
        image.replaceSubrange(464..<512, with: repeatElement(0, count: 48))
        image.set(magic1, at: 464)
        image.set(UInt32(size + 4), at: 468)
        image.set(features, at: 472)
        image.set(UInt32(size), at: 480)
        withUnsafeBytes(of: magic2) { image.append(contentsOf: $0) }
        return image
    }
}
