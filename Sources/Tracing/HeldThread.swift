import CLinux
import ELFImage
import Glibc
import LinuxProcess

/// One thread of another process, stopped by us (PTRACE_SEIZE and PTRACE_INTERRUPT); no other thread of it is.
///
/// It lives on the thread that made it, as ptrace(2) demands, and goes on the moment the value is released or dropped. The
/// system call that was interrupted then continues as if nothing had been.
public struct HeldThread: ~Copyable {
    public let thread: ThreadID
    public let process: ProcessID
    /// The registers it was stopped with.
    public let registers: Native.Registers
    /// The registers it goes on with, which it has already. They differ only where the kernel would not restart the system call.
    let resumption: Native.Registers
    /// CLOCK_MONOTONIC, in nanoseconds, just before it was asked to stop.
    public let heldSince: UInt64
    /// seccomp filters its system calls.
    let isFiltered: Bool
    private let place: HoldPlace
    private var isHeld = true

    /// How long a thread may take to stop, in nanoseconds. Not short: on a busy machine it stops when it gets a CPU, and one that was
    /// given up before would then stand still until this process ends.
    static let patience: UInt64 = 8_000_000_000

    /// Stops one thread that sleeps or runs.
    ///
    /// - Parameters:
    ///   - images: the images of the process, which tell whether libc's own wrapper made the system call.
    /// - Throws: ``HoldError``; the thread is then as it was.
    public init(_ thread: ThreadID, in process: ProcessID, images: ImageCatalog) throws(HoldError) {
        let wait = try HeldThread.examine(thread, in: process, images: images)
        let place = HoldPlace(on: wait.processor)
        let asked = MonotonicClock.nanoseconds
        let registers = try HeldThread.stop(thread, in: process)
        var resumption = HeldThread.resumption(of: registers, expected: wait)
        if resumption != registers {
            // First of all: should we die, the kernel would go on with whatever registers stand there, and end the wait with EINTR.
            try? HeldThread.setRegisters(resumption, of: thread)
            if HeldThread.hasDeliverableSignal(thread) {
                // It would have ended the wait anyway, and its handler is about to run.
                resumption = registers
                try? HeldThread.setRegisters(resumption, of: thread)
            } else if let rest = HeldThread.rest(of: registers, expected: wait, thread, process) {
                resumption.setArgument(rest.argument, UInt64(rest.milliseconds))
                try? HeldThread.setRegisters(resumption, of: thread)
            }
        }
        self.thread = thread
        self.process = process
        self.registers = registers
        self.resumption = resumption
        isFiltered = wait.isFiltered
        self.place = place
        heldSince = asked
    }

    deinit {
        if isHeld { clinux_ptrace_detach(thread.rawValue, 0) }
    }

    /// Lets the thread go on.
    ///
    /// - Returns: how long it was held, in microseconds.
    @discardableResult
    public consuming func release() -> Double {
        isHeld = false
        clinux_ptrace_detach(thread.rawValue, 0)
        return HeldThread.microseconds(since: heldSince)
    }

    /// The thread pointer (fs base on x86-64); nil where it cannot be read.
    public borrowing func threadPointer() -> UInt64? {
        if let pointer = registers.threadPointer { return pointer }
        guard let note = Native.threadPointerNote else { return nil }
        var bytes = [UInt8](repeating: 0, count: 16)
        var size = bytes.count
        guard clinux_ptrace_getregset(thread.rawValue, note, &bytes, &size) == 0 else { return nil }
        return bytes.integer(at: 0)
    }

    /// The caller has resumed and detached it by its own way.
    consuming func forget() {
        isHeld = false
    }

    static func microseconds(since start: UInt64) -> Double {
        Double(MonotonicClock.nanoseconds - start) / 1000
    }

    // MARK: Before the stop

    /// The sleep that a stop would interrupt.
    private struct Wait {
        /// nil when it runs.
        let call: BlockedSystemCall?
        let restart: WaitRestart
        /// Milliseconds since it began, where the rest of its time depends on them.
        let asleep: Double?
        /// How often it had gone to sleep.
        let sleeps: UInt64
        /// seccomp filters its system calls.
        let isFiltered: Bool
        /// The CPU it ran on last.
        let processor: Int
    }

    /// Sees, without touching it, whether the thread can be stopped unnoticed.
    private static func examine(_ thread: ThreadID, in process: ProcessID, images: ImageCatalog) throws(HoldError)
        -> Wait
    {
        let stat: ProcessStat
        let status: ProcessStatus
        let blocked: BlockedSystemCall?
        do {
            stat = try ProcessStat(of: thread, in: process)
            status = try ProcessStatus(of: thread, in: process)
            blocked = try BlockedSystemCall(of: thread, in: process)
        } catch {
            throw HoldError(error)
        }
        if let tracer = status.tracer { throw .traced(by: tracer) }
        switch stat.state {
        case .stopped, .tracingStop: throw .stopped
        case .zombie, .dead: throw .gone
        case .uninterruptible: throw .uninterruptible
        case .running, .sleeping, .idle, .parked: break
        }
        let isFiltered = status.seccomp != .disabled
        func wait(_ restart: WaitRestart, asleep: Double? = nil) -> Wait {
            Wait(
                call: blocked, restart: restart, asleep: asleep, sleeps: status.voluntarySwitches,
                isFiltered: isFiltered,
                processor: stat.processor)
        }
        guard let blocked else { return wait(.byKernel) }
        let restart = WaitRestart(blocked, of: thread, in: process, isFiltered: isFiltered)
        switch restart {
        case .noticed(let why):
            throw .noticeable(why)
        case .again where !Native.canRewindSystemCalls, .againWithRest where !Native.canRewindSystemCalls:
            throw .noticeable("its wait would end with EINTR, which cannot be hidden on this architecture")
        case .byKernel, .again:
            return wait(restart)
        case .againWithRest:
            // The argument's register must be one that nobody looks at after the call, as after a C function.
            guard images.isLibrary(.libc, at: blocked.programCounter) else {
                throw .noticeable("a timed wait entered without libc cannot be given back the rest of its time")
            }
            guard let asleep = SchedulerClock.millisecondsAsleep(thread, in: process) else {
                throw .noticeable("this kernel does not tell how long it has waited (/proc/PID/task/TID/sched)")
            }
            return wait(restart, asleep: asleep)
        }
    }

    // MARK: Stopping

    private static func stop(_ thread: ThreadID, in process: ProcessID) throws(HoldError) -> Native.Registers {
        let seized = clinux_ptrace_seize(thread.rawValue)
        if seized < 0 {
            if let tracer = try? ProcessStatus(of: thread, in: process).tracer { throw .traced(by: tracer) }
            throw HoldError(SystemError("seize thread \(thread)", code: -seized))
        }
        let interrupted = clinux_ptrace_interrupt(thread.rawValue)
        guard interrupted == 0 else {
            letGoOfNewLeader(in: process, after: thread)
            throw HoldError(SystemError("interrupt thread \(thread)", code: -interrupted))
        }
        let stop: ThreadStop
        do throws(HoldError) {
            stop = try ThreadStop.wait(for: thread, nanoseconds: patience)
        } catch {
            if error == .gone { letGoOfNewLeader(in: process, after: thread) }
            throw error
        }
        switch stop {
        case .event:
            break
        case .groupStop:
            clinux_ptrace_detach(thread.rawValue, 0)
            throw .stopped
        case .signal(let signal):
            // Its signal goes on to it; our interrupt is forgotten with the detach.
            clinux_ptrace_detach(thread.rawValue, signal)
            throw .busy
        case .systemCall:
            clinux_ptrace_detach(thread.rawValue, 0)
            throw .busy
        case .ended:
            letGoOfNewLeader(in: process, after: thread)
            throw .gone
        }
        do {
            return try getRegisters(of: thread)
        } catch {
            clinux_ptrace_detach(thread.rawValue, 0)
            throw HoldError(error)
        }
    }

    /// A thread that replaces the process (execve(2)) goes on under the leader's number, seized as it is, and would stand still for
    /// nobody.
    private static func letGoOfNewLeader(in process: ProcessID, after thread: ThreadID) {
        let leader = process.leader
        guard thread != leader, (try? ProcessStatus(of: leader, in: process))?.tracer == .own else { return }
        clinux_ptrace_interrupt(leader.rawValue)
        guard let stop = try? ThreadStop.wait(for: leader, nanoseconds: patience) else { return }
        if case .signal(let signal) = stop {
            clinux_ptrace_detach(leader.rawValue, signal)
        } else {
            clinux_ptrace_detach(leader.rawValue, 0)
        }
    }

    /// ERESTART_RESTARTBLOCK of the kernel's linux/errno.h: it would go on as restart_syscall(2).
    private static let restartBlock: Int64 = -516

    /// The registers that make an interrupted system call anew, where the kernel would end it with EINTR.
    private static func resumption(of registers: Native.Registers, expected: Wait) -> Native.Registers {
        guard let call = registers.systemCall else { return registers }
        let wouldEnd = registers.returnValue == -Int64(EINTR)
        // A filter would see another system call, restart_syscall, and might kill the thread for it.
        let wouldBeFiltered = expected.isFiltered && registers.returnValue == HeldThread.restartBlock
        guard wouldEnd || wouldBeFiltered, call != Native.systemCalls.restartSyscall else { return registers }
        var again = registers
        again.rewindSystemCall()
        return again
    }

    /// What is left of the time of an interrupted wait that is made anew; nil where that is all of it.
    ///
    /// Only the wait that was timed may be shortened. One that began since then may look the same in every register, as in a loop; but
    /// for it the thread went to sleep once more, besides the stop.
    private static func rest(
        of registers: Native.Registers, expected: Wait, _ thread: ThreadID, _ process: ProcessID
    ) -> (argument: Int, milliseconds: UInt32)? {
        guard case .againWithRest(let argument, let milliseconds) = expected.restart, let asleep = expected.asleep,
            let before = expected.call, before.number == registers.systemCall,
            before.stackPointer == registers.stackPointer,
            before.arguments[argument] == registers.argument(argument),
            let status = try? ProcessStatus(of: thread, in: process),
            status.voluntarySwitches <= expected.sleeps + 1
        else { return nil }
        return (argument, UInt32(max(0, Double(milliseconds) - asleep).rounded(.up)))
    }

    /// A signal is queued for the thread or its process that the thread does not block. Asked of ptrace: /proc takes longer,
    /// and the thread is held meanwhile.
    private static func hasDeliverableSignal(_ thread: ThreadID) -> Bool {
        var blocked: UInt64 = 0
        guard clinux_ptrace_getsigmask(thread.rawValue, &blocked) == 0 else { return true }
        var signals = [Int32](repeating: 0, count: 16)
        for isShared in [Int32(0), 1] {
            let count = clinux_ptrace_queued_signals(thread.rawValue, isShared, &signals, 16)
            guard count >= 0 else { return true }
            if signals.prefix(Int(count)).contains(where: { blocked & (1 << UInt64($0 - 1)) == 0 }) { return true }
        }
        return false
    }

    // MARK: Registers

    static func getRegisters(of thread: ThreadID) throws(SystemError) -> Native.Registers {
        var bytes = [UInt8](repeating: 0, count: Native.Registers.byteCount)
        var size = bytes.count
        try SystemError.check(
            "read registers of thread \(thread)",
            clinux_ptrace_getregset(thread.rawValue, Int32(CLINUX_NT_PRSTATUS), &bytes, &size))
        // A 32-bit thread has fewer.
        guard size == bytes.count, let registers = Native.Registers(bytes: bytes) else {
            throw SystemError("read registers of thread \(thread)", code: ENOTSUP)
        }
        return registers
    }

    static func setRegisters(_ registers: Native.Registers, of thread: ThreadID) throws(SystemError) {
        let bytes = registers.bytes
        try SystemError.check(
            "write registers of thread \(thread)",
            clinux_ptrace_setregset(thread.rawValue, Int32(CLINUX_NT_PRSTATUS), bytes, bytes.count))
    }
}
