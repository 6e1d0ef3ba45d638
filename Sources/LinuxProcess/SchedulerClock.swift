import CLinux
import Glibc

/// When a sleeping thread last left the CPU: /proc/PID/task/TID/sched, a file of kernels with scheduler debugging.
///
/// The stamp is on the run queue's own clock, which may lag behind every clock that user space can read. So "now" is read
/// the same way, from a thread of ours on the same CPU.
public enum SchedulerClock {
    /// Milliseconds since a sleeping thread went to sleep; nil where the kernel does not tell.
    ///
    /// The calling thread moves to the other thread's CPU for a moment.
    public static func millisecondsAsleep(_ thread: ThreadID, in process: ProcessID) -> Double? {
        guard let before = try? ProcessStat(of: thread, in: process), before.state == .sleeping,
            let asleepSince = executionStamp("\(process.procPath)/task/\(thread)/sched")
        else { return nil }
        guard let now = stamp(on: before.processor), now >= asleepSince else { return nil }
        return now - asleepSince
    }

    /// Now, by the clock of a CPU.
    private static func stamp(on cpu: Int) -> Double? {
        guard let pin = ProcessorPin(to: cpu) else { return nil }
        // Sleeping for a moment makes the kernel stamp us anew, on that CPU's clock.
        var moment = timespec(tv_sec: 0, tv_nsec: 1000)
        nanosleep(&moment, nil)
        let stamp = executionStamp("/proc/self/task/\(clinux_gettid())/sched")
        _ = consume pin
        return stamp
    }

    private static func executionStamp(_ path: String) -> Double? {
        guard let text = try? readText(path) else { return nil }
        return executionStamp(parsing: text)
    }

    /// `se.exec_start : 635320.444465`, in milliseconds.
    static func executionStamp(parsing text: String) -> Double? {
        for line in text.split(separator: "\n") where line.hasPrefix("se.exec_start") {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return Double(line[line.index(after: colon)...].trimming(" "))
        }
        return nil
    }
}
