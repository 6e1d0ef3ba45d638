#include "clinux_diag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <unistd.h>

_Static_assert(sizeof(struct inet_diag_sockid) == sizeof((struct clinux_diag_socket *)0)->name, "a socket's name");

// A reply to a dump comes in pieces of this size at the most.
enum { PIECE = 32 << 10 };

static int diag_socket(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    return fd >= 0 ? fd : -errno;
}

int clinux_diag_open(int network_namespace) {
    if (network_namespace < 0) return diag_socket();
    int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (own < 0) return -errno;
    int fd = -EPERM;
    if (setns(network_namespace, CLONE_NEWNET) == 0) {
        fd = diag_socket();
        // Nothing of ours works in a namespace that it was not meant for.
        if (setns(own, CLONE_NEWNET) != 0) abort();
    } else {
        fd = -errno;
    }
    close(own);
    return fd;
}

static int ask(int fd, const struct clinux_diag_socket *one, int family, int flags) {
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } message;
    memset(&message, 0, sizeof message);
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    message.request.sdiag_family = (uint8_t)family;
    message.request.sdiag_protocol = IPPROTO_TCP;
    // Those that have ended and only wait for late packets are nobody's.
    message.request.idiag_states = 0xfff & ~(1u << TCP_TIME_WAIT);
    if (one) memcpy(&message.request.id, one->name, sizeof message.request.id);
    return send(fd, &message, sizeof message, 0) == (ssize_t)sizeof message ? 0 : -errno;
}

static ssize_t receive(int fd, void *buffer, size_t size) {
    for (;;) {
        ssize_t length = recv(fd, buffer, size, 0);
        if (length >= 0) return length;
        if (errno != EINTR) return -errno;
    }
}

static int failure(const struct nlmsghdr *header) {
    const struct nlmsgerr *error = NLMSG_DATA(header);
    return header->nlmsg_len >= NLMSG_LENGTH(sizeof *error) && error->error ? error->error : -EPROTO;
}

static void take(const struct inet_diag_msg *message, struct clinux_diag_socket *found) {
    memcpy(found->name, &message->id, sizeof found->name);
    found->inode = message->idiag_inode;
    found->family = message->idiag_family;
    found->state = message->idiag_state;
}

long clinux_diag_list(int fd, int family, struct clinux_diag_socket **found) {
    size_t count = 0, room = 0;
    char *piece = malloc(PIECE);
    *found = NULL;
    long result = piece ? ask(fd, NULL, family, NLM_F_DUMP) : -ENOMEM;
    for (int done = result < 0; !done;) {
        ssize_t length = receive(fd, piece, PIECE);
        if (length < 0) {
            result = length;
            break;
        }
        unsigned left = (unsigned)length;
        for (const struct nlmsghdr *header = (void *)piece; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
            if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
                if (header->nlmsg_type == NLMSG_ERROR) result = failure(header);
                done = 1;
                break;
            }
            const struct inet_diag_msg *message = NLMSG_DATA(header);
            if (header->nlmsg_len < NLMSG_LENGTH(sizeof *message) || message->idiag_inode == 0) continue;
            if (count == room) {
                room = room ? room * 2 : 256;
                struct clinux_diag_socket *larger = realloc(*found, room * sizeof **found);
                if (!larger) {
                    result = -ENOMEM;
                    done = 1;
                    break;
                }
                *found = larger;
            }
            take(message, *found + count++);
        }
    }
    free(piece);
    return result < 0 ? result : (long)count;
}

int clinux_diag_state(int fd, const struct clinux_diag_socket *socket, uint8_t *state) {
    union {
        struct nlmsghdr header;
        char bytes[1024];
    } reply;
    int asked = ask(fd, socket, socket->family, 0);
    if (asked < 0) return asked;
    ssize_t length = receive(fd, &reply, sizeof reply);
    if (length < 0) return (int)length;
    if (!NLMSG_OK(&reply.header, (size_t)length)) return -EPROTO;
    if (reply.header.nlmsg_type == NLMSG_ERROR) return failure(&reply.header);
    const struct inet_diag_msg *message = NLMSG_DATA(&reply.header);
    if (reply.header.nlmsg_len < NLMSG_LENGTH(sizeof *message)) return -EPROTO;
    if (message->idiag_inode != socket->inode) return -ESTALE;
    *state = message->idiag_state;
    return 0;
}

_Bool clinux_diag_may_be_tcp(const char *path) {
    char protocol[32] = "";
    // "TCP", "TCPv6".
    return getxattr(path, "system.sockprotoname", protocol, sizeof protocol - 1) < 0 || strncmp(protocol, "TCP", 3) == 0;
}
