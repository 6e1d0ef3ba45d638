#include "clinux_ptrace.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

// Younger than the glibc headers of Debian 12.
#define CLINUX_PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211

struct clinux_dispatch_config {
    uint64_t mode, selector, offset, length;
};

int clinux_ptrace_seize(int tid) {
    return ptrace(PTRACE_SEIZE, tid, 0L, (long)PTRACE_O_TRACESYSGOOD) == 0 ? 0 : -errno;
}

int clinux_ptrace_interrupt(int tid) { return ptrace(PTRACE_INTERRUPT, tid, 0L, 0L) == 0 ? 0 : -errno; }

int clinux_ptrace_syscall(int tid) { return ptrace(PTRACE_SYSCALL, tid, 0L, 0L) == 0 ? 0 : -errno; }

int clinux_ptrace_detach(int tid, int signal) {
    return ptrace(PTRACE_DETACH, tid, 0L, (long)signal) == 0 ? 0 : -errno;
}

int clinux_ptrace_getregset(int tid, int note, void *buffer, size_t *size) {
    struct iovec iov = {buffer, *size};
    if (ptrace(PTRACE_GETREGSET, tid, (long)note, &iov) != 0) return -errno;
    *size = iov.iov_len;
    return 0;
}

int clinux_ptrace_setregset(int tid, int note, const void *buffer, size_t size) {
    struct iovec iov = {(void *)buffer, size};
    return ptrace(PTRACE_SETREGSET, tid, (long)note, &iov) == 0 ? 0 : -errno;
}

int clinux_ptrace_getsigmask(int tid, uint64_t *mask) {
    return ptrace(PTRACE_GETSIGMASK, tid, (long)CLINUX_SIGSET_BYTES, mask) == 0 ? 0 : -errno;
}

int clinux_ptrace_setsigmask(int tid, uint64_t mask) {
    return ptrace(PTRACE_SETSIGMASK, tid, (long)CLINUX_SIGSET_BYTES, &mask) == 0 ? 0 : -errno;
}

int clinux_ptrace_queued_signals(int tid, int shared, int32_t *signals, int room) {
    siginfo_t queued[16];
    struct __ptrace_peeksiginfo_args args = {0, shared ? PTRACE_PEEKSIGINFO_SHARED : 0, room < 16 ? room : 16};
    long count = ptrace(PTRACE_PEEKSIGINFO, tid, &args, queued);
    if (count < 0) return -errno;
    for (long i = 0; i < count; i++) signals[i] = queued[i].si_signo;
    return (int)count;
}

long clinux_ptrace_seccomp_filter(int tid, unsigned long index, uint64_t *instructions) {
    long count = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (long)index, instructions);
    return count >= 0 ? count : -errno;
}

int clinux_ptrace_user_dispatch(int tid, int *active) {
    struct clinux_dispatch_config config;
    memset(&config, 0, sizeof config);
    if (ptrace(CLINUX_PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, (long)sizeof config, &config) != 0) return -errno;
    *active = config.mode != 0;
    return 0;
}

int clinux_wait_thread(int tid, int *status) {
    pid_t got = waitpid(tid, status, __WALL | __WNOTHREAD | WNOHANG);
    return got > 0 ? 1 : got == 0 ? 0 : -errno;
}

_Bool clinux_has_tracee(void) {
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD) == 0;
}

int clinux_status_exited(int status) { return WIFEXITED(status); }
int clinux_status_signaled(int status) { return WIFSIGNALED(status); }
int clinux_status_stopped(int status) { return WIFSTOPPED(status); }
int clinux_status_stop_signal(int status) { return WSTOPSIG(status); }
