import CLinux
import ELFImage
import Glibc
import LinuxProcess

/// A system call that was watched while an injected call ran.
public struct ObservedSystemCall: Sendable, Equatable {
    public let number: Int
    /// The file named by the call, for those that name one.
    public let path: String?
    /// The result; nil where the call was seen to begin only.
    public let result: Int64?
}

/// How an injected call went.
public struct CallOutcome: Sendable {
    public enum End: Sendable, Equatable {
        /// The functions returned and the thread went on where it had been.
        case returned
        /// We let go before the end: the thread finishes the calls and comes back by itself.
        case leftToHeal(String)
    }

    public let end: End
    /// What each function returned, the whole result register; empty where that was not seen.
    public let results: [UInt64]
    public let systemCalls: [ObservedSystemCall]
    /// How long the thread was held, in microseconds.
    public let pause: Double
}

extension HeldThread {
    /// How long an injected call may take before the thread is left to finish it alone, in nanoseconds.
    private static let callLimit: UInt64 = 1_000_000_000

    /// Signals that come from the thread's own instructions. Blocked, one of them would cost the process its handler.
    private static let synchronousSignals: [Int32] = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS]

    private static let callMask: UInt64 = synchronousSignals.reduce(UInt64.max) { $0 & ~(1 << UInt64($1 - 1)) }

    /// Calls functions in the thread, which must be at a safe point, and lets it go on.
    ///
    /// Each function returns into a signal frame on the thread's own dead stack, which starts the next one; the last frame
    /// leads home. Whenever we die from here on, the thread finishes the calls and finds back to what it did, registers,
    /// vectors and signal mask as they were. So the order of the steps matters: each leaves a state from which the thread
    /// recovers by itself.
    ///
    /// - Parameters:
    ///   - interrupted: the system call it sleeps in, as ``SafePoint`` found it.
    ///   - beforeRunning: run when the thread is committed to the calls and has not begun them yet.
    ///   - afterRunning: run when all functions have returned and the thread is still held.
    /// - Throws: ``CallRefusal`` or ``HoldError`` before anything was changed; the thread then goes on as it was.
    public consuming func call(
        _ sequence: CallSequence, interrupting interrupted: Int, beforeRunning: () -> Void = {},
        afterRunning: () -> Void = {}
    ) throws -> CallOutcome {
        let vectors = try HeldThread.vectors(of: thread)
        var mask: UInt64 = 0
        try SystemError.check(
            "read the signal mask of thread \(thread)", clinux_ptrace_getsigmask(thread.rawValue, &mask))
        let comeback = comeback(to: interrupted, endingWait: sequence.endsWait)
        let frame = try Native.callFrame(
            CallPreparation(
                calls: sequence.calls, wayBack: sequence.wayBack, comeback: comeback,
                stackPointer: registers.stackPointer, signalMask: mask, callMask: HeldThread.callMask,
                vectors: vectors))

        let memory = ProcessMemory(of: process)
        let errno: Int32? = try sequence.errno.map { try memory.load($0) }

        // Dead stack below the red zone: nothing has changed for the thread yet.
        try memory.write(frame.bytes, to: frame.address)
        // The one step that commits us. The mask comes after it: the frames already hold the thread's own.
        try HeldThread.setRegisters(frame.registers, of: thread)
        clinux_ptrace_setsigmask(thread.rawValue, HeldThread.callMask)
        beforeRunning()

        var trace = CallTrace(thread: thread, process: process)
        let end = trace.run(calls: sequence.calls.count, limit: HeldThread.callLimit)
        var results: [UInt64] = []
        if end == .returned {
            results = frame.results.compactMap { try? memory.load($0) }
            afterRunning()
            if let errno, let place = sequence.errno { try? memory.store(errno, to: place) }
            finish(vectors: vectors, mask: mask, comeback: comeback, endsWait: sequence.endsWait)
        } else {
            trace.letGo()
        }
        let pause = HeldThread.microseconds(since: heldSince)
        let outcome = CallOutcome(end: end, results: results, systemCalls: trace.observed, pause: pause)
        forget()
        return outcome
    }

    /// The registers that bring the thread back where it is with nobody's help: before its system call, which it then makes anew.
    private borrowing func comeback(to number: Int, endingWait: Bool) -> Native.Registers {
        var registers = resumption
        if registers.systemCall != nil, HeldThread.restartCodes.contains(registers.returnValue) {
            // What the kernel would go on with by itself is lost once a signal frame was left.
            registers.rewindSystemCall(to: number)
        }
        if endingWait, let argument = HeldThread.timeoutArgument(of: number) { registers.setArgument(argument, 0) }
        registers.leaveSystemCall()
        return registers
    }

    /// Which argument of a wait for events holds its timeout in milliseconds, where one does.
    private static func timeoutArgument(of number: Int) -> Int? {
        let numbers = Native.systemCalls
        return switch number {
        case numbers.epollWait, numbers.epollPwait: 3
        case numbers.poll: 2
        default: nil
        }
    }

    /// ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK of the kernel's linux/errno.h.
    private static let restartCodes: Set<Int64> = [-512, -513, -514, -516]

    /// From the entry of rt_sigreturn straight back to the interrupted system call, as if no signal frame had been.
    private borrowing func finish(
        vectors: [UInt8], mask: UInt64, comeback: Native.Registers, endsWait: Bool
    ) {
        let id = thread.rawValue
        // A filter would see system call -1 where we skip one, and might kill the thread for it. Let the frame bring it back: what
        // it waited in is made anew in either case, as its filter keeps it from being restarted.
        guard !isFiltered else {
            clinux_ptrace_detach(id, 0)
            return
        }
        // Until the next step the frame would still bring everything back.
        clinux_ptrace_setregset(id, Int32(CLINUX_NT_X86_XSTATE), vectors, vectors.count)
        clinux_ptrace_setsigmask(id, mask)
        // No system call is entered now. Should we die here, the interrupted one is executed anew.
        guard (try? HeldThread.setRegisters(comeback, of: thread)) != nil else {
            clinux_ptrace_detach(id, 0)
            return
        }
        // Where we had to rewind it anyway that is the final state. Else the kernel still knows what is left of its time.
        if resumption == registers, !endsWait, clinux_ptrace_syscall(id) == 0,
            (try? ThreadStop.wait(for: thread, nanoseconds: HeldThread.callLimit)) == .systemCall
        {
            try? HeldThread.setRegisters(registers, of: thread)
        }
        clinux_ptrace_detach(id, 0)
    }

    private static func vectors(of thread: ThreadID) throws(SystemError) -> [UInt8] {
        var state = [UInt8](repeating: 0, count: 16 << 10)
        var size = state.count
        try SystemError.check(
            "read the vector registers of thread \(thread)",
            clinux_ptrace_getregset(thread.rawValue, Int32(CLINUX_NT_X86_XSTATE), &state, &size))
        state.removeSubrange(size...)
        return state
    }
}

/// Follows an injected call from one system call to the next.
struct CallTrace {
    let thread: ThreadID
    let process: ProcessID
    private(set) var observed: [ObservedSystemCall] = []
    /// The signal the thread stopped for, to be given to it when it goes on.
    private var pendingSignal: Int32 = 0
    private var isRunning = false

    init(thread: ThreadID, process: ProcessID) {
        self.thread = thread
        self.process = process
    }

    /// Runs the thread until it enters rt_sigreturn for the last of some calls.
    mutating func run(calls: Int, limit: UInt64) -> CallOutcome.End {
        let start = MonotonicClock.nanoseconds
        var remaining = calls
        var isInside = false
        while true {
            let resumed = clinux_ptrace_syscall(thread.rawValue)
            guard resumed == 0 else { return .leftToHeal(SystemError("resume", code: -resumed).description) }
            isRunning = true
            let spent = MonotonicClock.nanoseconds - start
            guard spent < limit else { return .leftToHeal("it took longer than \(limit / 1_000_000) ms") }
            let stop: ThreadStop
            do throws(HoldError) {
                stop = try ThreadStop.wait(for: thread, nanoseconds: limit - spent)
            } catch {
                if error == .unresponsive { return .leftToHeal("it took longer than \(limit / 1_000_000) ms") }
                return .leftToHeal(error.description)
            }
            isRunning = false
            switch stop {
            case .systemCall:
                guard let registers = try? HeldThread.getRegisters(of: thread) else {
                    return .leftToHeal("its registers could not be read")
                }
                if isInside {
                    isInside = false
                    // From rt_sigreturn between two calls it comes with the registers of the next one.
                    if !observed.isEmpty, observed[observed.count - 1].result == nil { finishObservation(registers) }
                } else {
                    guard let number = registers.systemCall else { return .leftToHeal("it was in no system call") }
                    isInside = true
                    if number == Native.systemCalls.rtSigreturn {
                        remaining -= 1
                        if remaining == 0 { return .returned }
                    } else {
                        observe(number, registers)
                    }
                }
            case .signal(let signal):
                pendingSignal = signal
                return .leftToHeal("signal \(signal) came")
            case .event, .groupStop:
                return .leftToHeal("it was stopped by somebody else")
            case .ended:
                return .leftToHeal("it ended")
            }
        }
    }

    /// Gives the thread up, in whatever state it is: the frame on its stack brings it home.
    mutating func letGo() {
        if isRunning {
            clinux_ptrace_interrupt(thread.rawValue)
            if case .signal(let signal)? = try? ThreadStop.wait(for: thread, nanoseconds: HeldThread.patience) {
                pendingSignal = signal
            }
        }
        clinux_ptrace_detach(thread.rawValue, pendingSignal)
    }

    private mutating func observe(_ number: Int, _ registers: Native.Registers) {
        let numbers = Native.systemCalls
        let pathArgument: Int? =
            if number == numbers.openat || number == numbers.newfstatat {
                1
            } else if number == numbers.open || number == numbers.stat {
                0
            } else {
                nil
            }
        let path = pathArgument.flatMap {
            try? ProcessMemory(of: process).readString(registers.argument($0), limit: 256)
        }
        observed.append(ObservedSystemCall(number: number, path: path, result: nil))
    }

    private mutating func finishObservation(_ registers: Native.Registers) {
        guard let last = observed.popLast() else { return }
        observed.append(ObservedSystemCall(number: last.number, path: last.path, result: registers.returnValue))
    }
}
