import Glibc
import LinuxProcess

/// What a stop without a signal does to the system call a thread sleeps in, and how it is kept from noticing.
public enum WaitRestart: Sendable, Equatable {
    /// The kernel goes on by itself with what is left of the time.
    case byKernel
    /// It would end with EINTR: it is executed again, and has no timeout to lose.
    case again
    /// The same, with a timeout in milliseconds in this argument, of which only the rest is to be waited.
    case againWithRest(argument: Int, milliseconds: Int32)
    /// It cannot be done unnoticed, and this is why.
    case noticed(String)

    /// Judges a blocked system call before anything is stopped.
    ///
    /// Which calls end with EINTR though no handler ran is listed in signal(7), "Interruption of system calls ... by stop
    /// signals"; the rest was tried on Linux 6.18.
    ///
    /// - Parameter isFiltered: seccomp filters the thread's system calls. What the kernel would go on with under the name of
    ///   restart_syscall goes through the filter once more, and may be the thread's death there: it is made anew instead.
    public init(_ call: BlockedSystemCall, of thread: ThreadID, in process: ProcessID, isFiltered: Bool) {
        if isFiltered, let restart = WaitRestart(filtered: call) {
            self = restart
            return
        }
        let numbers = Native.systemCalls
        let descriptor = Int32(truncatingIfNeeded: call.arguments[0])
        switch call.number {
        case numbers.restartSyscall, numbers.poll, numbers.ppoll, numbers.select, numbers.pselect6, numbers.nanosleep,
            numbers.clockNanosleep,
            numbers.futex, numbers.wait4, numbers.waitid, numbers.pause, numbers.rtSigsuspend, numbers.msgrcv,
            numbers.msgsnd:
            self = .byKernel
        case numbers.epollWait, numbers.epollPwait:
            let timeout = Int32(truncatingIfNeeded: call.arguments[3])
            self = timeout < 0 ? .again : .againWithRest(argument: 3, milliseconds: timeout)
        case numbers.epollPwait2:
            self = call.arguments[3] == 0 ? .again : .noticed("epoll_pwait2 with a timeout loses its place in time")
        case numbers.rtSigtimedwait:
            self = call.arguments[2] == 0 ? .again : .noticed("sigtimedwait with a timeout loses its place in time")
        case numbers.semop:
            self = .again
        case numbers.semtimedop:
            self = call.arguments[3] == 0 ? .again : .noticed("semtimedop with a timeout loses its place in time")
        case numbers.read, numbers.readv, numbers.recvfrom, numbers.recvmsg, numbers.accept, numbers.accept4:
            self = WaitRestart.onSocket(descriptor, of: process, sending: false)
        case numbers.recvmmsg:
            self =
                call.arguments[4] == 0
                ? WaitRestart.onSocket(descriptor, of: process, sending: false)
                : .noticed("recvmmsg with a timeout loses its place in time")
        case numbers.write, numbers.sendto, numbers.sendmsg, numbers.connect:
            self = WaitRestart.onSocket(descriptor, of: process, sending: true)
        default:
            self = .noticed("what system call \(call.number) does when interrupted is not known")
        }
    }

    /// For the waits that the kernel restarts as another system call; nil for all others.
    private init?(filtered call: BlockedSystemCall) {
        let numbers = Native.systemCalls
        let isTimedFutex = call.number == numbers.futex && call.arguments[1] & 0x7f == 0 && call.arguments[3] != 0
        let isRelativeSleep = call.number == numbers.clockNanosleep && call.arguments[1] & 1 == 0
        if call.number == numbers.poll {
            let timeout = Int32(truncatingIfNeeded: call.arguments[2])
            self = timeout < 0 ? .again : .againWithRest(argument: 2, milliseconds: timeout)
        } else if call.number == numbers.nanosleep || isRelativeSleep || isTimedFutex {
            self = .noticed("its seccomp filter may forbid restart_syscall, with which the kernel goes on after a stop")
        } else {
            return nil
        }
    }

    private static func onSocket(_ descriptor: Int32, of process: ProcessID, sending: Bool) -> WaitRestart {
        switch process.socketTimeout(of: descriptor, sending: sending) {
        case 0?: .byKernel
        case nil: .noticed("whether descriptor \(descriptor) has a timeout cannot be read")
        case .some: .noticed("it waits on a socket with \(sending ? "SO_SNDTIMEO" : "SO_RCVTIMEO")")
        }
    }
}
