// What this machine allows: each call tries one kernel interface, gives it back at once, and returns 0 or a negative errno.
#pragma once

/// fanotify_init(2) for notification with thread ids.
int clinux_probe_fanotify(void);
/// A packet socket (CAP_NET_RAW).
int clinux_probe_packet_socket(void);
/// perf_event_open(2) of a uprobe (PMU type as in /sys/bus/event_source/devices/uprobe/type) on a file's offset.
int clinux_probe_uprobe(unsigned type, const char *path, unsigned long long offset);
/// The address of a function of this program, to try a uprobe on.
unsigned long clinux_probe_site(void);
/// NETLINK_SOCK_DIAG.
int clinux_probe_sock_diag(void);
