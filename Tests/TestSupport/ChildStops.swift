import Glibc
import LinuxProcess

extension Victim {
    /// What its parent, which is us, is told of stops and continuations by waitid(2): the number of events waiting.
    public var reportedStops: Int {
        var count = 0
        while true {
            var information = siginfo_t()
            let result = waitid(P_PID, id_t(id.rawValue), &information, WSTOPPED | WCONTINUED | WNOHANG)
            guard result == 0, information.si_signo == SIGCHLD else { return count }
            count += 1
        }
    }
}
