#include "clinux_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <string.h>
#include <stdint.h>
#include <sys/fanotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int given_back(long fd) {
    if (fd < 0) return -errno;
    close((int)fd);
    return 0;
}

int clinux_probe_fanotify(void) {
    return given_back(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_TID | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC));
}

int clinux_probe_packet_socket(void) { return given_back(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }

int clinux_probe_uprobe(unsigned type, const char *path, unsigned long long offset) {
    struct perf_event_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = type;
    attr.uprobe_path = (uint64_t)(uintptr_t)path;
    attr.probe_offset = offset;
    attr.disabled = 1;
    return given_back(syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

unsigned long clinux_probe_site(void) { return (unsigned long)(uintptr_t)&clinux_probe_site; }

int clinux_probe_sock_diag(void) { return given_back(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)); }
