// System calls about other processes that glibc 2.36 has no wrapper for, or that Swift's Glibc module hides.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// get_robust_list(2): the address of a thread's robust-futex list head, which glibc keeps inside `struct pthread`.
int clinux_robust_list(int tid, uint64_t *head);
/// openat2(2) with RESOLVE_IN_ROOT: absolute links inside `root` stay inside it. A descriptor or a negative errno.
int clinux_open_in_root(int root, const char *path, int flags);
/// The same, with another user's and group's rights to files (setfsuid(2)) for the length of this call.
int clinux_open_as(int root, const char *path, int flags, unsigned user, unsigned group);
int clinux_pidfd_open(int pid);
int clinux_pidfd_getfd(int pidfd, int fd);
int clinux_gettid(void);
/// pipe2(2) with O_CLOEXEC.
int clinux_pipe(int ends[2]);
/// prctl(PR_SET_TIMERSLACK): how late, in nanoseconds, the kernel may wake this thread.
int clinux_set_timer_slack(unsigned long nanoseconds);
/// prctl(PR_SET_PDEATHSIG): the signal this process gets when the thread that started it ends.
int clinux_set_parent_death_signal(int signal);
/// sched_setscheduler(2): this thread runs only where no other wants to (SCHED_IDLE), or like any other (SCHED_OTHER).
int clinux_stand_back(_Bool stands_back);
_Bool clinux_stands_back(void);
/// sched_getaffinity(2), sched_setaffinity(2) of this thread: a bit for each CPU, `size` in bytes.
int clinux_get_affinity(uint64_t *cpus, size_t size);
int clinux_set_affinity(const uint64_t *cpus, size_t size);
/// Bytes of the standard-format XSAVE area that holds `features` (CPUID leaf 0xD); 0 off x86-64.
size_t clinux_xstate_size(uint64_t features);
