#include "clinux_process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

int clinux_robust_list(int tid, uint64_t *head) {
    size_t length = 0;
    void *address = NULL;
    if (syscall(SYS_get_robust_list, tid, &address, &length) != 0) return -errno;
    *head = (uint64_t)(uintptr_t)address;
    return 0;
}

int clinux_open_in_root(int root, const char *path, int flags) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd >= 0 ? (int)fd : -errno;
}

int clinux_open_as(int root, const char *path, int flags, unsigned user, unsigned group) {
    long old_group = syscall(SYS_setfsgid, group), old_user = syscall(SYS_setfsuid, user);
    int fd = clinux_open_in_root(root, path, flags);
    syscall(SYS_setfsuid, old_user);
    syscall(SYS_setfsgid, old_group);
    return fd;
}

int clinux_pidfd_open(int pid) {
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd >= 0 ? (int)fd : -errno;
}

int clinux_pidfd_getfd(int pidfd, int fd) {
    long copy = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    return copy >= 0 ? (int)copy : -errno;
}

int clinux_gettid(void) { return (int)syscall(SYS_gettid); }

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno; }

int clinux_set_timer_slack(unsigned long nanoseconds) {
    return prctl(PR_SET_TIMERSLACK, nanoseconds) == 0 ? 0 : -errno;
}

int clinux_stand_back(_Bool stands_back) {
    struct sched_param none = {0};
    return sched_setscheduler(0, stands_back ? SCHED_IDLE : SCHED_OTHER, &none) == 0 ? 0 : -errno;
}

_Bool clinux_stands_back(void) { return sched_getscheduler(0) == SCHED_IDLE; }

int clinux_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal) == 0 ? 0 : -errno; }

int clinux_get_affinity(uint64_t *cpus, size_t size) {
    return sched_getaffinity(0, size, (cpu_set_t *)cpus) == 0 ? 0 : -errno;
}

int clinux_set_affinity(const uint64_t *cpus, size_t size) {
    return sched_setaffinity(0, size, (const cpu_set_t *)cpus) == 0 ? 0 : -errno;
}

size_t clinux_xstate_size(uint64_t features) {
#if defined(__x86_64__)
    size_t end = 512 + 64;  // the legacy region and the header are always there
    for (unsigned component = 2; component < 63; component++) {
        unsigned size, offset, c, d;
        if ((features >> component & 1) == 0) continue;
        if (__get_cpuid_count(0xd, component, &size, &offset, &c, &d) && offset + size > end) end = offset + size;
    }
    return end;
#else
    (void)features;
    return 0;
#endif
}
