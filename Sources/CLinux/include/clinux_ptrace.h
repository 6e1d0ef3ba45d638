// ptrace(2), for one thread at a time. Every call returns 0 or a negative errno.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
    CLINUX_PTRACE_EVENT_STOP = 128,
    CLINUX_SIGSET_BYTES = 8,
    CLINUX_NT_PRSTATUS = 1,
    CLINUX_NT_X86_XSTATE = 0x202,
};

/// PTRACE_SEIZE with PTRACE_O_TRACESYSGOOD and nothing else: never EXITKILL, our death must not be the target's.
int clinux_ptrace_seize(int tid);
int clinux_ptrace_interrupt(int tid);
/// Resumes to the next system-call entry or exit.
int clinux_ptrace_syscall(int tid);
int clinux_ptrace_detach(int tid, int signal);
/// `*size` is the room in `buffer` before, the bytes filled after.
int clinux_ptrace_getregset(int tid, int note, void *buffer, size_t *size);
int clinux_ptrace_setregset(int tid, int note, const void *buffer, size_t size);
int clinux_ptrace_getsigmask(int tid, uint64_t *mask);
int clinux_ptrace_setsigmask(int tid, uint64_t mask);
/// PTRACE_PEEKSIGINFO: the numbers of the signals that wait for the thread, or for its whole process; at most `room`.
/// The count, or a negative errno.
int clinux_ptrace_queued_signals(int tid, int shared, int32_t *signals, int room);
/// PTRACE_SECCOMP_GET_FILTER: the number of 8-byte instructions of filter `index`, 0 being the one installed last.
/// `instructions` may be NULL to ask for the count.
long clinux_ptrace_seccomp_filter(int tid, unsigned long index, uint64_t *instructions);
/// PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: 1 in `*active` when the thread has its system calls redirected.
int clinux_ptrace_user_dispatch(int tid, int *active);

/// waitpid(tid, __WALL | WNOHANG): 1 when a status was taken, 0 when there is none yet, or a negative errno.
int clinux_wait_thread(int tid, int *status);
/// Whether this thread traces anybody, or has children: waitid(2) with WNOWAIT finds none otherwise.
_Bool clinux_has_tracee(void);
int clinux_status_exited(int status);
int clinux_status_signaled(int status);
int clinux_status_stopped(int status);
int clinux_status_stop_signal(int status);
