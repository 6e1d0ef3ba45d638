// sock_diag(7): the TCP sockets of a network namespace, asked of the kernel instead of parsed from /proc/net/tcp.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { CLINUX_TCP_ESTABLISHED = 1 };

/// A socket as the kernel names it: addresses, ports, and a cookie that no other socket ever has.
struct clinux_diag_socket {
    uint8_t name[48];
    uint32_t inode;
    uint8_t family;
    uint8_t state;
};

/// A socket to ask in a network namespace (a descriptor of /proc/PID/ns/net), or in our own for -1. The calling thread is in that
/// namespace for the moment. A descriptor or a negative errno.
int clinux_diag_open(int network_namespace);
/// All TCP sockets of a family (AF_INET, AF_INET6) that belong to somebody, into memory to be freed by free(3). The count or a
/// negative errno.
long clinux_diag_list(int fd, int family, struct clinux_diag_socket **found);
/// The state of one socket now. 0, or a negative errno: ENOENT or ESTALE where it is no more.
int clinux_diag_state(int fd, const struct clinux_diag_socket *socket, uint8_t *state);
/// Whether what a path of the form /proc/PID/fd/N leads to is a TCP socket, or may be: the file system of sockets tells the protocol.
_Bool clinux_diag_may_be_tcp(const char *path);
