import CLinux
import Glibc
import LinuxProcess
import Tracing

/// One thing that a machine allows or not, and what its lack costs.
public struct MachineFinding: Codable, Sendable, Equatable {
    public enum Verdict: String, Codable, Sendable {
        case good
        /// Something is lost, the rest works.
        case limited
        /// Nothing works without it.
        case missing
    }

    public var subject: String
    public var verdict: Verdict
    /// What was found.
    public var found: String
    /// What the lack costs, and what to do about it.
    public var cost: String?
}

/// What this machine allows Repoint to do. Every line was tried, not looked up in a table of versions.
public enum MachineCheck {
    public static func run() -> [MachineFinding] {
        [kernel(), architecture(), processTracing(), yama(), memoryAccess(), sleepTimes(), seccompReading()]
            + [uprobes(), fanotify(), packetSocket(), socketDiagnosis(), namespaces()]
    }

    private static let capabilityNames: [(bit: UInt64, name: String)] = [
        (19, "CAP_SYS_PTRACE"), (21, "CAP_SYS_ADMIN"), (12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (38, "CAP_PERFMON"),
        (40, "CAP_CHECKPOINT_RESTORE"),
    ]

    private static func has(_ bit: UInt64) -> Bool {
        guard let status = try? ProcessStatus.own() else { return false }
        return status.effectiveCapabilities >> bit & 1 == 1
    }

    private static func finding(
        _ subject: String, _ isGood: Bool, _ found: String, else verdict: MachineFinding.Verdict = .limited,
        _ cost: String
    ) -> MachineFinding {
        MachineFinding(subject: subject, verdict: isGood ? .good : verdict, found: found, cost: isGood ? nil : cost)
    }

    private static func kernel() -> MachineFinding {
        let release = (try? readText("/proc/sys/kernel/osrelease"))?.trimming("\n") ?? "?"
        let numbers = release.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        let isNew = numbers.count == 2 && (numbers[0], numbers[1]) >= (5, 6)
        return finding(
            "kernel", isNew, "Linux \(release)", else: .missing,
            "openat2 (5.6) is needed to read a process's resolv.conf as the process sees it")
    }

    private static func architecture() -> MachineFinding {
        #if arch(x86_64)
            finding("architecture", true, Native.maturity, "")
        #else
            finding("architecture", false, Native.maturity, "use --no-inject")
        #endif
    }

    private static func processTracing() -> MachineFinding {
        let missing = capabilityNames.filter { !has($0.bit) }.map(\.name)
        let found = missing.isEmpty ? "all that matter" : "without \(missing.joined(separator: ", "))"
        return finding(
            "capabilities", has(19), found,
            "without CAP_SYS_PTRACE only processes of your own user can be looked into: run it as root or with sudo")
    }

    private static func yama() -> MachineFinding {
        guard let scope = (try? readText("/proc/sys/kernel/yama/ptrace_scope"))?.trimming("\n ") else {
            return finding("ptrace_scope", true, "no Yama in this kernel: nothing is restricted", "")
        }
        switch scope {
        case "0": return finding("ptrace_scope", true, "0: nothing is restricted", "")
        case "3":
            return finding("ptrace_scope", false, "3", else: .missing, "no process can be traced until the next boot")
        default:
            return finding(
                "ptrace_scope", has(19), scope,
                "only child processes can be traced without CAP_SYS_PTRACE: sysctl kernel.yama.ptrace_scope=0, or root")
        }
    }

    /// Tried on ourselves.
    private static func memoryAccess() -> MachineFinding {
        let probe: UInt64 = 0x5245_504f_494e_5431
        let isReadable = withUnsafePointer(to: probe) { pointer in
            (try? ProcessMemory(of: .own).load(UInt64(UInt(bitPattern: pointer)), as: UInt64.self)) == probe
        }
        return finding(
            "process_vm_readv", isReadable, isReadable ? "works" : "refused", else: .missing,
            "memory of processes cannot be read: a seccomp filter of this container forbids it, allow it there")
    }

    private static func sleepTimes() -> MachineFinding {
        let isThere = (try? readFile("/proc/self/sched")) != nil
        return finding(
            "sleep times", isThere, isThere ? "/proc/PID/sched tells them" : "no /proc/PID/sched",
            "a thread in epoll_wait with a timeout is not stopped, as the rest of its time could not be given back: "
                + "its option bits are still cleared")
    }

    private static func seccompReading() -> MachineFinding {
        finding(
            "seccomp filters", has(21), has(21) ? "can be read (CAP_SYS_ADMIN)" : "cannot be read",
            "nothing is called in a process with a seccomp filter: its option bits are still cleared")
    }

    private static func uprobes() -> MachineFinding {
        let type = (try? readText("/sys/bus/event_source/devices/uprobe/type")).flatMap { UInt32($0.trimming("\n ")) }
        guard let type else {
            return finding(
                "uprobes", false, "no uprobe PMU in this kernel", "lookups cannot be watched without stopping anything")
        }
        let site = UInt64(clinux_probe_site())
        guard let region = try? MemoryMap(of: .own).region(containing: site) else {
            return finding("uprobes", false, "cannot be tried", "lookups cannot be watched without stopping anything")
        }
        let offset = site - region.range.lowerBound + region.offset
        let code = clinux_probe_uprobe(type, "/proc/self/exe", offset)
        return finding(
            "uprobes", code == 0, code == 0 ? "allowed" : SystemError.text(of: -code),
            "lookups cannot be watched without stopping anything: CAP_PERFMON or kernel.perf_event_paranoid")
    }

    private static func fanotify() -> MachineFinding {
        let code = clinux_probe_fanotify()
        return finding(
            "fanotify", code == 0, code == 0 ? "allowed" : SystemError.text(of: -code),
            "who reads resolv.conf cannot be watched: it takes CAP_SYS_ADMIN")
    }

    private static func packetSocket() -> MachineFinding {
        let code = clinux_probe_packet_socket()
        return finding(
            "packet sockets", code == 0, code == 0 ? "allowed" : SystemError.text(of: -code),
            "DNS traffic cannot be watched: it takes CAP_NET_RAW")
    }

    private static func socketDiagnosis() -> MachineFinding {
        let code = clinux_probe_sock_diag()
        return finding(
            "sock_diag", code == 0, code == 0 ? "allowed" : SystemError.text(of: -code),
            "packets cannot be tied to processes")
    }

    private static func namespaces() -> MachineFinding {
        let isThere = ["mnt", "net", "pid"].allSatisfy { (try? readLink("/proc/self/ns/\($0)")) != nil }
        return finding(
            "namespaces", isThere, isThere ? "mount, network and PID" : "not all of them",
            "processes in containers are judged by this host's files")
    }
}

/// `repoint doctor` as a JSON document.
public struct MachineReport: Codable, Sendable {
    public var schema = "repoint/1"
    public var command = "doctor"
    public var host: String
    public var at: String
    public var findings: [MachineFinding]

    public init() {
        host = Report.hostName()
        at = Report.timestamp()
        findings = MachineCheck.run()
    }

    public var isUsable: Bool { !findings.contains { $0.verdict == .missing } }
}
