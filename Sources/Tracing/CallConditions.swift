import CLinux
import LinuxProcess

/// What would make a call into a thread go wrong, though the thread stands at a safe point.
public enum CallConditions {
    /// The system calls that `__res_init` and the way back make, with the arguments that filters look at.
    private static let systemCalls: [SeccompFilter.Call] = {
        let numbers = Native.systemCalls
        // AT_FDCWD; O_RDONLY | O_CLOEXEC; PROT_READ | PROT_WRITE; MAP_PRIVATE | MAP_ANONYMOUS; FUTEX_PRIVATE_FLAG
        let here = UInt64(UInt32(bitPattern: -100))
        return [
            .init("openat", numbers.openat, [here, 0, 0o2000000]), .init("newfstatat", numbers.newfstatat, [here]),
            .init("fstat", numbers.fstat), .init("read", numbers.read), .init("lseek", numbers.lseek),
            .init("close", numbers.close), .init("brk", numbers.brk),
            .init("mmap", numbers.mmap, [0, 0x21000, 3, 0x22, UInt64.max]), .init("munmap", numbers.munmap),
            .init("futex", numbers.futex, [0, 0x80]), .init("uname", numbers.uname),
            .init("rt_sigreturn", numbers.rtSigreturn),
        ]
    }()

    /// - Returns: why no call may be made in a held thread; nil where nothing stands against it.
    public static func hindrance(in held: borrowing HeldThread) -> String? {
        guard let status = try? ProcessStatus(of: held.thread, in: held.process) else { return "its status cannot be read" }
        if status.hasShadowStack {
            return "its shadow stack (x86 control-flow enforcement) forbids returning where nothing was called from"
        }
        var isDispatched: Int32 = 0
        if clinux_ptrace_user_dispatch(held.thread.rawValue, &isDispatched) == 0, isDispatched != 0 {
            return "its system calls are redirected (prctl PR_SET_SYSCALL_USER_DISPATCH)"
        }
        switch status.seccomp {
        case .disabled:
            return nil
        case .strict:
            return "strict seccomp mode kills it at the first open"
        case .filter:
            do {
                let filter = try SeccompFilter(of: held)
                return filter.firstHindered(of: systemCalls).map { "its seccomp filter does not allow \($0.name)" }
            } catch {
                return "its seccomp filter cannot be read (CAP_SYS_ADMIN and CONFIG_CHECKPOINT_RESTORE): \(error)"
            }
        }
    }
}
