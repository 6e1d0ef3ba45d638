import CLinux
import LinuxProcess

/// What would make a call into a thread go wrong, though the thread stands at a safe point.
public enum CallConditions {
    /// The system calls that `__res_init` and the way back make, with the arguments that filters look at.
    public static let reinitializing: [SeccompFilter.Call] = {
        let numbers = Native.systemCalls
        // AT_FDCWD; O_RDONLY | O_CLOEXEC; PROT_READ | PROT_WRITE; MAP_PRIVATE | MAP_ANONYMOUS; FUTEX_PRIVATE_FLAG
        let here = UInt64(UInt32(bitPattern: -100))
        return [
            .init("openat", numbers.openat, [here, 0, 0o2000000]), .init("newfstatat", numbers.newfstatat, [here]),
            .init("fstat", numbers.fstat), .init("read", numbers.read), .init("lseek", numbers.lseek),
            .init("close", numbers.close), .init("brk", numbers.brk),
            .init("mmap", numbers.mmap, [0, 0x21000, 3, 0x22, UInt64.max]), .init("munmap", numbers.munmap),
            .init("mprotect", numbers.mprotect, [0, 0x1000, 3]),
            .init("futex", numbers.futex, [0, 0x80]), .init("uname", numbers.uname),
            .init("rt_sigreturn", numbers.rtSigreturn),
        ]
    }()

    /// Those of a resolver that is given other servers: it closes its sockets, sends again what is under way, and tells an event
    /// loop of it. Some read the file for it.
    public static func reconfiguring(readingFile: Bool) -> [SeccompFilter.Call] {
        let numbers = Native.systemCalls
        let always: Set<String> = ["close", "brk", "mmap", "munmap", "mprotect", "futex", "rt_sigreturn"]
        return reinitializing.filter { readingFile || always.contains($0.name) } + [
            .init("epoll_ctl", numbers.epollCtl), .init("socket", numbers.socket, [2, 2]),
            .init("connect", numbers.connect), .init("sendto", numbers.sendto),
        ]
    }

    /// Looks at a thread before it is held.
    ///
    /// - Returns: why no call may be made in it; nil where nothing stands against it, but for what its filter says.
    public static func hindrance(_ status: ProcessStatus) -> String? {
        if status.hasShadowStack {
            return "its shadow stack (x86 control-flow enforcement) forbids returning where nothing was called from"
        }
        return status.seccomp == .strict ? "strict seccomp mode kills it at the first open" : nil
    }

    /// What only a held thread tells.
    public struct Findings: Sendable {
        let isDispatched: Bool
        let filter: Result<SeccompFilter, SystemError>?

        /// Asks the kernel; quick, and judged after the thread was released.
        public init(of held: borrowing HeldThread, _ status: ProcessStatus) {
            var active: Int32 = 0
            isDispatched = clinux_ptrace_user_dispatch(held.thread.rawValue, &active) == 0 && active != 0
            guard status.seccomp == .filter else {
                filter = nil
                return
            }
            do throws(SystemError) {
                filter = .success(try SeccompFilter(of: held))
            } catch {
                filter = .failure(error)
            }
        }

        /// Why functions that make these system calls may not be called in the thread.
        public func hindrance(to systemCalls: [SeccompFilter.Call]) -> String? {
            if isDispatched { return "its system calls are redirected (prctl PR_SET_SYSCALL_USER_DISPATCH)" }
            switch filter {
            case nil:
                return nil
            case .success(let filter):
                return filter.firstHindered(of: systemCalls).map { "its seccomp filter does not allow \($0.name)" }
            case .failure(let error):
                return "its seccomp filter cannot be read (CAP_SYS_ADMIN and CONFIG_CHECKPOINT_RESTORE): \(error)"
            }
        }
    }
}
