import Glibc
import LinuxProcess

/// Why a process is none to work on. One line each, with what to do about it.
public enum TargetError: Error, Sendable, Equatable, CustomStringConvertible {
    case gone(ProcessID)
    case noSuchName(String)
    case noSuchThread(ProcessID, ThreadID)
    case kernelThread(ProcessID, name: String)
    case zombie(ProcessID)
    case oneself(ProcessID)
    case firstProcess
    case traced(ProcessID, by: ProcessID, tracerName: String)
    case notPermitted(ProcessID, lacking: String)
    case thirtyTwoBit(ProcessID)
    case failed(ProcessID, SystemError)

    public var description: String {
        switch self {
        case .gone(let id): "process \(id) does not exist (any more)"
        case .noSuchName(let name): "no process is named \(name)"
        case .noSuchThread(let id, let thread): "process \(id) has no thread \(thread) (any more)"
        case .kernelThread(let id, let name): "process \(id) (\(name)) is a kernel thread: it resolves no names"
        case .zombie(let id): "process \(id) has ended and only waits for its parent to notice (zombie)"
        case .oneself(let id): "process \(id) is repoint itself"
        case .firstProcess: "process 1 is the init of this machine or container: repoint leaves it alone"
        case .traced(let id, let tracer, let name):
            "process \(id) is already traced by process \(tracer) (\(name)); detach that one first"
        case .notPermitted(let id, let lacking): "not permitted to look into process \(id): \(lacking)"
        case .thirtyTwoBit(let id): "process \(id) is a 32-bit process, which repoint does not support"
        case .failed(let id, let error): "process \(id): \(error)"
        }
    }

    public init(_ error: SystemError, process: ProcessID) {
        if error.isGone {
            self = .gone(process)
        } else if error.isDenied {
            self = .notPermitted(process, lacking: TargetError.lack(for: process))
        } else {
            self = .failed(process, error)
        }
    }

    /// Refuses what is no target, by what /proc tells and before anything else is looked at.
    ///
    /// - Returns: the status of what is one.
    static func check(_ id: ProcessID) throws(TargetError) -> ProcessStatus {
        guard id != .own else { throw .oneself(id) }
        let stat: ProcessStat
        let status: ProcessStatus
        do {
            stat = try ProcessStat(of: id)
            status = try ProcessStatus(of: id)
        } catch {
            throw TargetError(error, process: id)
        }
        if stat.isKernelThread { throw .kernelThread(id, name: stat.name) }
        if stat.state == .zombie || stat.state == .dead || stat.isExiting { throw .zombie(id) }
        guard id.rawValue != 1 else { throw .firstProcess }
        if let tracer = status.tracer {
            throw .traced(id, by: tracer, tracerName: (try? tracer.name()) ?? "?")
        }
        let is64Bit: Bool?
        do {
            is64Bit = try id.is64Bit()
        } catch {
            throw TargetError(error, process: id)
        }
        if is64Bit == false { throw .thirtyTwoBit(id) }
        return status
    }

    /// What is missing when the kernel says no (ptrace(2), "Ptrace access mode checking").
    private static func lack(for id: ProcessID) -> String {
        let canTrace: UInt64 = 1 << 19
        guard let own = try? ProcessStatus.own() else { return "CAP_SYS_PTRACE" }
        if own.effectiveCapabilities & canTrace == 0 {
            let scope = (try? readText("/proc/sys/kernel/yama/ptrace_scope"))?.trimming("\n ") ?? "0"
            let yama = scope == "0" ? "" : " (kernel.yama.ptrace_scope is \(scope))"
            return "CAP_SYS_PTRACE is missing\(yama); run repoint as root or with sudo"
        }
        if (try? readText("/proc/sys/kernel/yama/ptrace_scope"))?.trimming("\n ") == "3" {
            return "kernel.yama.ptrace_scope is 3, which forbids tracing until the next boot"
        }
        return "the process has capabilities or a user namespace that CAP_SYS_PTRACE here does not cover, "
            + "or a security module forbids it"
    }
}
