// perf_event_open(2), for uprobes: the kernel tells who comes by a place in a file's code, and stops nobody for it.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
    /// Registers of a sample, in ascending order of the kernel's numbers for them (asm/perf_regs.h): cx, dx, si, di on x86-64,
    /// x0 to x3 on aarch64.
    CLINUX_PERF_ARGUMENTS = 4,
};

/// A uprobe on an offset in a file, for every process that maps it on one CPU (`thread` -1), or for one thread on every CPU (`cpu` -1);
/// disabled at first. Each sample holds, in this
/// order: identifier, pid and tid, CLOCK_MONOTONIC in nanoseconds, and CLINUX_PERF_ARGUMENTS registers after their ABI word.
/// `is_return` asks for the return of the function instead of its entry. A descriptor or a negative errno.
int clinux_perf_uprobe(unsigned type, const char *path, uint64_t offset, int thread, int cpu, _Bool is_return);
/// The identifier that samples of this event carry. 0 or a negative errno.
int clinux_perf_identifier(int fd, uint64_t *identifier);
int clinux_perf_enable(int fd);
/// Samples of `fd` go to the ring of `ring`, which must be of the same CPU or thread.
int clinux_perf_redirect(int fd, int ring);
/// Maps a ring of `pages` data pages (a power of two) and the control page before it. NULL and a negative errno in `*error`.
void *clinux_perf_map(int fd, size_t pages, int *error);
void clinux_perf_unmap(void *ring, size_t pages);
/// Takes the next record out of a ring into `record`: its size, 0 when there is none, -EMSGSIZE when it does not fit (it is
/// dropped then).
long clinux_perf_take(void *ring, size_t pages, void *record, size_t room);
