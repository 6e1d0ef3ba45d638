// Resolves names through c-ares, in an event loop of its own making, and checks every wait of it.
//
// usage: ares [MODE...]
//
//   poll, epoll, select    how the loop waits (poll), and how it learns of the channel's sockets: ares_getsock, the socket
//                          state callback, ares_fds
//   own-servers CSV        ares_set_servers_ports_csv after the channel was made
//   option-servers IP      ARES_OPT_SERVERS when it is made
//   resolvconf PATH        ARES_OPT_RESOLVCONF
//   domains NAME           ARES_OPT_DOMAINS
//   timeout MS, tries N    of a query
//   stay-open              ARES_FLAG_STAYOPEN: sockets stay when no query is under way
//   event-thread           ARES_OPT_EVENT_THREAD: c-ares makes a thread and a loop of its own (1.26 and later)
//   no-channel             none before `replace`
//   threads N              N more threads, each with a channel and a loop of its own
//   shared                 a second thread, which uses the same channel in turn with the first
//
// First line: `ready PID RELEASE TID...`. Commands, one a line; `@N COMMAND` is for side N, 0 being the main thread:
//
//   lookup NAME, getaddrinfo NAME, query NAME    `answer NAME ADDRESS MS` or `failed NAME TEXT`
//   servers                `servers IP[:PORT],...` by ares_get_servers_ports
//   options                `options MASK DOMAIN,...` by ares_save_options
//   channel                `channel ADDRESS`
//   every MS NAME          looks nN.NAME up every so often from now on; that it fails is a violation
//   busy N NAME            keeps N lookups without an answer: one that fails is asked again, one that is answered is not; `busy N`
//   calm                   asks none of those again; `calm PENDING ANSWERED`
//   replace                another channel, and then the end of the first; `replaced ADDRESS`
//   cancel                 ares_cancel
//   reinit                 ares_reinit, where there is one; `reinit CODE`
//   set CSV                ares_set_servers_ports_csv; `set CODE`

#include "asker.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <dlfcn.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/select.h>

enum { OPT_EVENT_THREAD = 1 << 22 };

static enum { POLL, EPOLL, SELECT } loop;
static const char *own_servers, *option_servers, *resolvconf, *domain;
static int timeout_ms, tries;
static bool stay_open, event_thread, shared, no_channel;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static struct side {
    int number;
    pid_t tid;
    ares_channel channel;
    int epoll;
    struct asker_lines lines;
    int64_t period, next;
    char periodic[ASKER_NAME - 16], busy_name[ASKER_NAME - 16];
    uint64_t asked, answered, busy_answered, serial;
    unsigned pending, busy_pending, busy;
    // Something of our own making cuts lookups off.
    bool cutting_off;
} sides[ASKER_SIDES];

static int side_count = 1;

// MARK: the channel

static void socket_changed(void *data, ares_socket_t socket, int readable, int writable) {
    struct side *side = data;
    struct epoll_event event = {.events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0), .data.fd = socket};
    if (!readable && !writable) epoll_ctl(side->epoll, EPOLL_CTL_DEL, socket, NULL);
    else if (epoll_ctl(side->epoll, EPOLL_CTL_ADD, socket, &event) != 0) epoll_ctl(side->epoll, EPOLL_CTL_MOD, socket, &event);
}

static ares_channel make_channel(struct side *side) {
    // Later releases have more options behind; zeros there mean their defaults.
    union {
        struct ares_options options;
        char room[1024];
    } all = {0};
    struct ares_options *options = &all.options;
    struct in_addr server;
    int mask = 0;
    if (loop == EPOLL && !event_thread) {
        options->sock_state_cb = socket_changed;
        options->sock_state_cb_data = side;
        mask |= ARES_OPT_SOCK_STATE_CB;
    }
    if (option_servers) {
        if (inet_pton(AF_INET, option_servers, &server) != 1) victim_unable("no address: %s", option_servers);
        options->servers = &server;
        options->nservers = 1;
        mask |= ARES_OPT_SERVERS;
    }
    if (resolvconf) {
        options->resolvconf_path = (char *)resolvconf;
        mask |= ARES_OPT_RESOLVCONF;
    }
    if (domain) {
        options->domains = (char **)&domain;
        options->ndomains = 1;
        mask |= ARES_OPT_DOMAINS;
    }
    if (timeout_ms) {
        options->timeout = timeout_ms;
        mask |= ARES_OPT_TIMEOUTMS;
    }
    if (tries) {
        options->tries = tries;
        mask |= ARES_OPT_TRIES;
    }
    if (stay_open) {
        options->flags = ARES_FLAG_STAYOPEN;
        mask |= ARES_OPT_FLAGS;
    }
    if (event_thread) mask |= OPT_EVENT_THREAD;
    ares_channel channel;
    int status = ares_init_options(&channel, options, mask);
    if (status != ARES_SUCCESS) victim_unable("ares_init_options: %s", ares_strerror(status));
    if (own_servers && (status = ares_set_servers_ports_csv(channel, own_servers)) != ARES_SUCCESS)
        victim_unable("ares_set_servers_ports_csv: %s", ares_strerror(status));
    return channel;
}

static void say_servers(struct side *side) {
    struct ares_addr_port_node *first = NULL;
    int status = ares_get_servers_ports(side->channel, &first);
    if (status != ARES_SUCCESS) victim_violation("ares_get_servers_ports: %s", ares_strerror(status));
    char line[ASKER_LINE] = "servers ";
    for (struct ares_addr_port_node *node = first; node; node = node->next) {
        char text[INET6_ADDRSTRLEN] = "";
        inet_ntop(node->family, &node->addr, text, sizeof text);
        size_t length = strlen(line);
        if (node->udp_port && node->udp_port != 53)
            snprintf(line + length, sizeof line - length, "%s%s:%d", node == first ? "" : ",", text, node->udp_port);
        else snprintf(line + length, sizeof line - length, "%s%s", node == first ? "" : ",", text);
    }
    ares_free_data(first);
    victim_say("%s", line);
}

static void say_options(struct side *side) {
    union {
        struct ares_options options;
        char room[1024];
    } all = {0};
    int mask = 0;
    int status = ares_save_options(side->channel, &all.options, &mask);
    if (status != ARES_SUCCESS) victim_violation("ares_save_options: %s", ares_strerror(status));
    char line[ASKER_LINE];
    int length = snprintf(line, sizeof line, "options 0x%x ", mask);
    for (int i = 0; i < all.options.ndomains; i++)
        length += snprintf(line + length, sizeof line - (size_t)length, "%s%s", i ? "," : "", all.options.domains[i]);
    ares_destroy_options(&all.options);
    victim_say("%s", line);
}

// MARK: lookups

static void ask(struct side *side, enum asker_purpose purpose, const char *name);

static void finish(struct asker_lookup *lookup, int status, const void *ipv4) {
    struct side *side = lookup->side;
    side->pending--;
    side->answered++;
    switch (lookup->purpose) {
    case ASKED:
        if (status == ARES_SUCCESS) asker_answer(lookup, ipv4);
        else victim_say("failed %s %s", lookup->name, ares_strerror(status));
        break;
    case PERIODIC:
        if (status != ARES_SUCCESS && !side->cutting_off)
            victim_violation("%s: %s after %lld ms", lookup->name, ares_strerror(status),
                (long long)(victim_now() - lookup->started) / VICTIM_MILLISECOND);
        break;
    case BUSY:
        side->busy_pending--;
        if (status == ARES_SUCCESS) side->busy_answered++;
        else if (!side->cutting_off && side->busy_pending < side->busy) ask(side, BUSY, side->busy_name);
        break;
    }
    free(lookup);
}

static void host_done(void *argument, int status, int timeouts, struct hostent *host) {
    (void)timeouts;
    finish(argument, status, host && host->h_addr_list[0] ? host->h_addr_list[0] : NULL);
}

static void query_done(void *argument, int status, int timeouts, unsigned char *answer, int length) {
    struct hostent *host = NULL;
    if (status == ARES_SUCCESS) status = ares_parse_a_reply(answer, length, &host, NULL, NULL);
    host_done(argument, status, timeouts, host);
    if (host) ares_free_hostent(host);
}

static void info_done(void *argument, int status, int timeouts, struct ares_addrinfo *info) {
    (void)timeouts;
    const void *address = NULL;
    for (struct ares_addrinfo_node *node = info ? info->nodes : NULL; node && !address; node = node->ai_next)
        if (node->ai_family == AF_INET) address = &((struct sockaddr_in *)(void *)node->ai_addr)->sin_addr;
    finish(argument, status, address);
    if (info) ares_freeaddrinfo(info);
}

static void ask(struct side *side, enum asker_purpose purpose, const char *name) {
    // A name of its own for each: later releases remember answers.
    char numbered[ASKER_NAME];
    if (purpose == ASKED) snprintf(numbered, sizeof numbered, "%s", name);
    else snprintf(numbered, sizeof numbered, "n%llu.%s", (unsigned long long)side->serial++, name);
    struct asker_lookup *lookup = asker_begin(side, purpose, numbered);
    side->pending++;
    if (purpose == BUSY) side->busy_pending++;
    ares_gethostbyname(side->channel, numbered, AF_INET, host_done, lookup);
}

// MARK: waiting

static void check_wait(const char *what, int result, int64_t started, int milliseconds) {
    if (victim_stopping) return;
    if (result < 0) victim_violation("%s returned %d: %s", what, result, strerror(errno));
    victim_check_errno(what);
    if (result > 0) return;
    if (milliseconds < 0) victim_violation("%s returned 0 and was to wait for ever", what);
    victim_check_time(what, started, milliseconds * VICTIM_MILLISECOND, 0);
}

// Until the next lookup is due, or the channel wants to look at its time-outs; -1 for ever.
static int patience(struct side *side) {
    int64_t limit = -1;
    if (side->period) {
        limit = side->next - victim_now();
        if (limit < 0) limit = 0;
    }
    struct timeval time, *wanted = side->channel && !event_thread ? ares_timeout(side->channel, NULL, &time) : NULL;
    if (wanted) {
        int64_t own = wanted->tv_sec * VICTIM_SECOND + wanted->tv_usec * 1000;
        if (limit < 0 || own < limit) limit = own;
    }
    return limit < 0 ? -1 : (int)((limit + VICTIM_MILLISECOND - 1) / VICTIM_MILLISECOND);
}

// One wait by poll; true when there is a command.
static bool turn_poll(struct side *side, int milliseconds) {
    struct pollfd entries[1 + ARES_GETSOCK_MAXNUM] = {{.fd = side->lines.descriptor, .events = POLLIN}};
    nfds_t count = 1;
    if (side->channel && !event_thread && !shared) {
        ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
        int bits = ares_getsock(side->channel, sockets, ARES_GETSOCK_MAXNUM);
        for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
            short events = 0;
            if (ARES_GETSOCK_READABLE(bits, i)) events |= POLLIN;
            if (ARES_GETSOCK_WRITABLE(bits, i)) events |= POLLOUT;
            if (events) entries[count++] = (struct pollfd){.fd = sockets[i], .events = events};
        }
    }
    int64_t started = victim_now();
    errno = VICTIM_ERRNO;
    int result = poll(entries, count, milliseconds);
    check_wait("poll", result, started, milliseconds);
    if (result < 0) return false;
    for (nfds_t i = 1; i < count; i++) {
        if (entries[i].revents & POLLNVAL) victim_violation("poll: socket %d was closed under it", entries[i].fd);
        if (entries[i].revents & (POLLIN | POLLERR | POLLHUP)) ares_process_fd(side->channel, entries[i].fd, ARES_SOCKET_BAD);
        if (entries[i].revents & POLLOUT) ares_process_fd(side->channel, ARES_SOCKET_BAD, entries[i].fd);
    }
    return entries[0].revents != 0;
}

static bool turn_epoll(struct side *side, int milliseconds) {
    struct epoll_event events[16];
    int64_t started = victim_now();
    errno = VICTIM_ERRNO;
    int result = epoll_wait(side->epoll, events, 16, milliseconds);
    check_wait("epoll_wait", result, started, milliseconds);
    bool command = false;
    for (int i = 0; i < result; i++) {
        if (events[i].data.fd == side->lines.descriptor) {
            command = true;
            continue;
        }
        bool readable = events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP), writable = events[i].events & EPOLLOUT;
        ares_process_fd(side->channel, readable ? events[i].data.fd : ARES_SOCKET_BAD,
            writable ? events[i].data.fd : ARES_SOCKET_BAD);
    }
    return command;
}

static bool turn_select(struct side *side, int milliseconds) {
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    int count = side->channel && !event_thread && !shared ? ares_fds(side->channel, &readable, &writable) : 0;
    FD_SET(side->lines.descriptor, &readable);
    if (side->lines.descriptor >= count) count = side->lines.descriptor + 1;
    struct timeval time = {milliseconds / 1000, milliseconds % 1000 * 1000};
    int64_t started = victim_now();
    errno = VICTIM_ERRNO;
    int result = select(count, &readable, &writable, NULL, milliseconds < 0 ? NULL : &time);
    check_wait("select", result, started, milliseconds);
    if (result < 0) return false;
    bool command = FD_ISSET(side->lines.descriptor, &readable);
    FD_CLR(side->lines.descriptor, &readable);
    if (side->channel && !event_thread && !shared) ares_process(side->channel, &readable, &writable);
    return command;
}

static bool wait_once(struct side *side) {
    int milliseconds = shared ? -1 : patience(side);
    bool command = loop == POLL ? turn_poll(side, milliseconds)
        : loop == EPOLL         ? turn_epoll(side, milliseconds)
                                : turn_select(side, milliseconds);
    // Its time-outs.
    if (side->channel && !event_thread && !shared) ares_process_fd(side->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    return command;
}

// With a shared channel: asks and waits for the answer while it is this thread's turn.
static void wait_for_answers(ares_channel channel) {
    for (;;) {
        fd_set readable, writable;
        FD_ZERO(&readable);
        FD_ZERO(&writable);
        int count = ares_fds(channel, &readable, &writable);
        if (count == 0) return;
        struct timeval time, *wanted = ares_timeout(channel, NULL, &time);
        select(count, &readable, &writable, NULL, wanted);
        ares_process(channel, &readable, &writable);
    }
}

// MARK: commands

static void replace(struct side *side) {
    ares_channel old = side->channel;
    // Made first, so that it lies elsewhere.
    side->channel = make_channel(side);
    side->cutting_off = true;
    if (old) ares_destroy(old);
    side->cutting_off = false;
    victim_say("replaced 0x%llx", (unsigned long long)(uintptr_t)side->channel);
}

static void obey(struct side *side, char *line) {
    char name[ASKER_NAME - 16] = "", csv[256] = "";
    unsigned number;
    if (asker_forward(line)) return;
    if (shared) pthread_mutex_lock(&turn);
    if (sscanf(line, "lookup %239s", name) == 1) {
        ask(side, ASKED, name);
    } else if (sscanf(line, "getaddrinfo %239s", name) == 1) {
        struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT};
        side->pending++;
        ares_getaddrinfo(side->channel, name, NULL, &hints, info_done, asker_begin(side, ASKED, name));
    } else if (sscanf(line, "query %239s", name) == 1) {
        side->pending++;
        ares_query(side->channel, name, ns_c_in, ns_t_a, query_done, asker_begin(side, ASKED, name));
    } else if (sscanf(line, "every %u %239s", &number, name) == 2) {
        side->period = number * VICTIM_MILLISECOND;
        side->next = victim_now() + side->period;
        memcpy(side->periodic, name, sizeof name);
    } else if (sscanf(line, "busy %u %239s", &number, name) == 2) {
        side->busy = number;
        memcpy(side->busy_name, name, sizeof name);
        while (side->busy_pending < side->busy) ask(side, BUSY, name);
        victim_say("busy %u", side->busy_pending);
    } else if (strcmp(line, "calm") == 0) {
        side->busy = 0;
        victim_say("calm %u %llu", side->busy_pending, (unsigned long long)side->busy_answered);
    } else if (strcmp(line, "servers") == 0) {
        say_servers(side);
    } else if (strcmp(line, "options") == 0) {
        say_options(side);
    } else if (strcmp(line, "channel") == 0) {
        victim_say("channel 0x%llx", (unsigned long long)(uintptr_t)side->channel);
    } else if (strcmp(line, "replace") == 0) {
        replace(side);
    } else if (strcmp(line, "cancel") == 0) {
        side->cutting_off = true;
        ares_cancel(side->channel);
        side->cutting_off = false;
        victim_say("cancelled");
    } else if (strcmp(line, "reinit") == 0) {
        int (*reinit)(ares_channel) = (int (*)(ares_channel))dlsym(RTLD_DEFAULT, "ares_reinit");
        victim_say("reinit %d", reinit ? reinit(side->channel) : -1);
    } else if (sscanf(line, "set %255s", csv) == 1) {
        victim_say("set %d", ares_set_servers_ports_csv(side->channel, csv));
    } else {
        victim_unable("no such command: %s", line);
    }
    if (shared) {
        wait_for_answers(side->channel);
        pthread_mutex_unlock(&turn);
    }
}

static void read_commands(struct side *side) {
    char line[ASKER_LINE];
    // At the end of its commands it goes on without any.
    if (!asker_fill(&side->lines) && side->number == 0) {
        while (!victim_stopping) pause();
        return;
    }
    while (asker_next(&side->lines, line)) obey(side, line);
}

static void run(struct side *side) {
    while (!victim_stopping) {
        if (side->period && victim_now() >= side->next) {
            side->next += side->period;
            side->asked++;
            ask(side, PERIODIC, side->periodic);
        }
        if (wait_once(side)) read_commands(side);
    }
}

static void prepare(struct side *side, int commands) {
    side->lines.descriptor = commands;
    side->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = commands};
    if (loop == EPOLL && epoll_ctl(side->epoll, EPOLL_CTL_ADD, commands, &event) != 0)
        victim_unable("epoll_ctl: %s", strerror(errno));
    if (shared && side->number > 0) side->channel = sides[0].channel;
    else if (!no_channel) side->channel = make_channel(side);
    side->tid = victim_tid();
}

static void *run_other(void *argument) {
    struct side *side = argument;
    int ends[2];
    if (pipe(ends) != 0) victim_unable("pipe: %s", strerror(errno));
    asker_pipes[side->number] = ends[1];
    prepare(side, ends[0]);
    // Seen by the main thread, which waits for it.
    __atomic_store_n(&side_count, side->number + 1, __ATOMIC_SEQ_CST);
    run(side);
    return NULL;
}

int main(int count, char **arguments) {
    victim_start();
    int others = 0;
    for (int i = 1; i < count; i++) {
        const char *mode = arguments[i];
        if (strcmp(mode, "poll") == 0) loop = POLL;
        else if (strcmp(mode, "epoll") == 0) loop = EPOLL;
        else if (strcmp(mode, "select") == 0) loop = SELECT;
        else if (strcmp(mode, "event-thread") == 0) event_thread = true;
        else if (strcmp(mode, "stay-open") == 0) stay_open = true;
        else if (strcmp(mode, "no-channel") == 0) no_channel = true;
        else if (strcmp(mode, "shared") == 0) {
            shared = true;
            others = 1;
        } else if (i + 1 == count) victim_unable("no such mode, or it lacks a value: %s", mode);
        else if (strcmp(mode, "own-servers") == 0) own_servers = arguments[++i];
        else if (strcmp(mode, "option-servers") == 0) option_servers = arguments[++i];
        else if (strcmp(mode, "resolvconf") == 0) resolvconf = arguments[++i];
        else if (strcmp(mode, "domains") == 0) domain = arguments[++i];
        else if (strcmp(mode, "timeout") == 0) timeout_ms = atoi(arguments[++i]);
        else if (strcmp(mode, "tries") == 0) tries = atoi(arguments[++i]);
        else if (strcmp(mode, "threads") == 0) others = atoi(arguments[++i]);
        else victim_unable("no such mode: %s", mode);
    }
    if (others < 0 || others >= ASKER_SIDES) victim_unable("too many threads");
    for (int i = 0; i < ASKER_SIDES; i++) sides[i].number = i;
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status != ARES_SUCCESS) victim_unable("ares_library_init: %s", ares_strerror(status));
    int release;
    const char *version = ares_version(&release);
    if (event_thread && release < 0x011a00) victim_unable("c-ares %s has no event thread", version);

    asker_open_session();
    prepare(&sides[0], STDIN_FILENO);
    for (int i = 1; i <= others; i++) {
        victim_thread(run_other, &sides[i], 256 * 1024);
        while (__atomic_load_n(&side_count, __ATOMIC_SEQ_CST) <= i) poll(NULL, 0, 1);
    }
    char line[ASKER_LINE];
    int length = snprintf(line, sizeof line, "%d %s", getpid(), version);
    for (int i = 0; i <= others; i++) length += snprintf(line + length, sizeof line - (size_t)length, " %d", sides[i].tid);
    victim_ready("%s", line);
    run(&sides[0]);
    uint64_t rounds = 0;
    for (int i = 0; i < side_count; i++) rounds += sides[i].answered;
    victim_ok(rounds);
}
