import CLinux
import Glibc
import LinuxProcess

/// What a traced thread stopped for, as waitpid(2) told.
enum ThreadStop: Equatable {
    /// PTRACE_EVENT_STOP after our interrupt.
    case event
    /// PTRACE_EVENT_STOP because the process is stopped by job control.
    case groupStop
    /// A signal is about to be delivered.
    case signal(Int32)
    /// The entry or the exit of a system call.
    case systemCall
    case ended

    init(status: Int32) {
        guard clinux_status_stopped(status) != 0 else {
            self = .ended
            return
        }
        let signal = clinux_status_stop_signal(status)
        if status >> 16 == Int32(CLINUX_PTRACE_EVENT_STOP) {
            self = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU].contains(signal) ? .groupStop : .event
        } else if signal == SIGTRAP | 0x80 {
            self = .systemCall
        } else {
            self = .signal(signal)
        }
    }

    /// Waits for the next stop, spinning first: a stop usually comes within microseconds, and the thread is ours so long.
    static func wait(for thread: ThreadID, nanoseconds limit: UInt64) throws(HoldError) -> ThreadStop {
        let start = MonotonicClock.nanoseconds
        var status: Int32 = 0
        while true {
            let got = clinux_wait_thread(thread.rawValue, &status)
            if got > 0 { return ThreadStop(status: status) }
            if got < 0 && -got != EINTR { throw HoldError(SystemError("wait for thread \(thread)", code: -got)) }
            let waited = MonotonicClock.nanoseconds - start
            if waited > limit { throw .unresponsive }
            if waited < 1_000_000 { sched_yield() } else { MonotonicClock.sleep(microseconds: 50) }
        }
    }
}
