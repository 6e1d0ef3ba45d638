// A client and its server with many TCP connections on the loopback interface that are all in use: what must survive.
//
// usage: sessions [N [MILLISECONDS]]
//
// 100 connections; every 5 ms the next one carries a ping and has to bring it back. First line: `ready CLIENTPID SERVERPID`; both
// wait in epoll_wait, in their main threads. On SIGTERM to the client: `ok N`, N pings came back.

#include "victim.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { EVENTS = 64 };
static const int64_t patience = 5 * VICTIM_SECOND;

static void watch(int set, int fd, uint32_t tag) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = tag};
    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0) victim_unable("epoll_ctl: %s", strerror(errno));
}

// One ping or its echo; a stream may split it, on the loopback interface it doesn't.
static bool receive(int fd, uint64_t *ping) {
    ssize_t length = recv(fd, ping, sizeof *ping, 0);
    if (length == sizeof *ping) return true;
    if (length < 0) victim_violation("recv: %s", strerror(errno));
    if (length > 0) victim_violation("recv gave %zd bytes of a ping", length);
    return false;
}

__attribute__((noreturn)) static void serve(int listener, int number) {
    // It ends with its client, and not before: a SIGTERM to the whole group is for the client to answer.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_IGN);
    victim_limit();
    victim_resolver();
    int set = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < number; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) victim_unable("accept: %s", strerror(errno));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        watch(set, fd, (uint32_t)fd);
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(set, events, EVENTS, -1);
        if (count < 0) victim_violation("server: epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++) {
            int fd = (int)events[i].data.u32;
            uint64_t ping;
            if (!receive(fd, &ping)) victim_violation("server: a connection was closed");
            if (send(fd, &ping, sizeof ping, MSG_NOSIGNAL) != sizeof ping) victim_violation("server: send: %s", strerror(errno));
        }
    }
}

int main(int count, char **arguments) {
    victim_start();
    int number = count > 1 ? atoi(arguments[1]) : 100;
    int milliseconds = count > 2 ? atoi(arguments[2]) : 5;
    if (number < 1 || milliseconds < 1) victim_unable("usage: sessions [N [MILLISECONDS]]");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    // A connection that finds the queue full is tried again after a second, hence as long a queue as the kernel grants.
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, number) != 0)
        victim_unable("no listener on 127.0.0.1: %s", strerror(errno));
    getsockname(listener, (struct sockaddr *)&address, &length);
    pid_t server = fork();
    if (server == 0) serve(listener, number);
    if (server < 0) victim_unable("fork: %s", strerror(errno));

    victim_resolver();
    struct session {
        int fd;
        uint64_t waiting;  // the ping that is under way, 0 for none
        int64_t sent;
    } *sessions = calloc((size_t)number, sizeof *sessions);
    int set = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < number; i++) {
        sessions[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (sessions[i].fd < 0 || connect(sessions[i].fd, (struct sockaddr *)&address, sizeof address) != 0)
            victim_unable("connection %d: %s", i, strerror(errno));
        setsockopt(sessions[i].fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        watch(set, sessions[i].fd, (uint32_t)i);
    }
    victim_ready("%d %d", getpid(), server);

    uint64_t sequence = 0, returned = 0;
    int64_t next = victim_now();
    int turn = 0;
    while (!victim_stopping) {
        int64_t now = victim_now();
        if (now >= next) {
            struct session *session = &sessions[turn];
            turn = (turn + 1) % number;
            if (session->waiting && now - session->sent > patience) victim_violation("a ping was not returned in 5 s");
            if (!session->waiting) {
                session->waiting = ++sequence;
                session->sent = now;
                if (send(session->fd, &session->waiting, sizeof session->waiting, MSG_NOSIGNAL) != sizeof session->waiting)
                    victim_violation("send: %s", strerror(errno));
            }
            next += milliseconds * VICTIM_MILLISECOND;
            if (next < now) next = now;
        }
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(set, events, EVENTS, (int)((next - victim_now()) / VICTIM_MILLISECOND) + 1);
        if (ready < 0 && victim_stopping) break;
        if (ready < 0) victim_violation("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < ready; i++) {
            struct session *session = &sessions[events[i].data.u32];
            uint64_t ping;
            if (!receive(session->fd, &ping)) victim_violation("connection %u was closed", events[i].data.u32);
            if (ping != session->waiting) victim_violation("connection %u returned another ping", events[i].data.u32);
            session->waiting = 0;
            returned++;
        }
    }
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    victim_ok(returned);
}
