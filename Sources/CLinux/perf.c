#include "clinux_perf.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Bit numbers of asm/perf_regs.h.
#if defined(__x86_64__)
#define ARGUMENT_REGISTERS ((1u << 5) | (1u << 4) | (1u << 3) | (1u << 2))
#else
#define ARGUMENT_REGISTERS 0xfu
#endif

int clinux_perf_uprobe(unsigned type, const char *path, uint64_t offset, int thread, int cpu, _Bool is_return) {
    struct perf_event_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = type;
    attr.config = is_return;
    attr.uprobe_path = (uint64_t)(uintptr_t)path;
    attr.probe_offset = offset;
    attr.sample_period = 1;
    attr.wakeup_events = 1;
    attr.sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_REGS_USER;
    attr.sample_regs_user = ARGUMENT_REGISTERS;
    attr.use_clockid = 1;
    attr.clockid = 1;  // CLOCK_MONOTONIC
    attr.disabled = 1;
    long fd = syscall(SYS_perf_event_open, &attr, thread, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    return fd >= 0 ? (int)fd : -errno;
}

int clinux_perf_identifier(int fd, uint64_t *identifier) {
    return ioctl(fd, PERF_EVENT_IOC_ID, identifier) == 0 ? 0 : -errno;
}

int clinux_perf_enable(int fd) { return ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) == 0 ? 0 : -errno; }

int clinux_perf_redirect(int fd, int ring) { return ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring) == 0 ? 0 : -errno; }

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

void *clinux_perf_map(int fd, size_t pages, int *error) {
    void *ring = mmap(NULL, (pages + 1) * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring != MAP_FAILED) return ring;
    *error = -errno;
    return NULL;
}

void clinux_perf_unmap(void *ring, size_t pages) { munmap(ring, (pages + 1) * page_size()); }

long clinux_perf_take(void *ring, size_t pages, void *record, size_t room) {
    struct perf_event_mmap_page *control = ring;
    char *data = (char *)ring + page_size();
    size_t size = pages * page_size();
    uint64_t head = __atomic_load_n(&control->data_head, __ATOMIC_ACQUIRE), tail = control->data_tail;
    if (tail == head) return 0;
    struct perf_event_header header;
    // A record starts on 8 bytes, so that its header never wraps around the end.
    memcpy(&header, data + tail % size, sizeof header);
    long result = header.size <= room ? header.size : -EMSGSIZE;
    if (result > 0) {
        size_t start = tail % size, first = size - start < header.size ? size - start : header.size;
        memcpy(record, data + start, first);
        memcpy((char *)record + first, data, header.size - first);
    }
    __atomic_store_n(&control->data_tail, tail + header.size, __ATOMIC_RELEASE);
    return result;
}
