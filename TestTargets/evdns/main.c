// Resolves names through libevent's evdns, and watches the clock of its event loop.
//
// usage: evdns [MODE...]
//
//   own-servers IP         evdns_base_new without resolv.conf, and evdns_base_nameserver_ip_add
//   option NAME VALUE      evdns_base_set_option, as in `option timeout 0.5`
//   no-base                none before `replace`
//   locks                  evthread_use_pthreads: bases have locks
//   threads N              N more threads, each with a base and a loop of its own; with locks
//   poll, select           libevent's other ways to wait
//
// First line: `ready PID RELEASE TID...`. Commands, one a line; `@N COMMAND` is for side N, 0 being the main thread:
//
//   lookup NAME            evdns_base_resolve_ipv4; `answer NAME ADDRESS MS` or `failed NAME TEXT`
//   getaddrinfo NAME       evdns_getaddrinfo; the same
//   servers                `servers IP[:PORT],...` by evdns_base_get_nameserver_addr
//   base                   `base ADDRESS`
//   every MS NAME          looks nN.NAME up every so often from now on; that it fails or stays unanswered for 10 s is a violation
//   busy N NAME            keeps N lookups without an answer: one that fails is asked again, one that is answered is not; `busy N`
//   calm                   asks none of those again; `calm PENDING ANSWERED`
//   hold MS                the next answer to a lookup is held up in its callback, in poll: `holding`, and then the answer
//   replace                another base, and then the end of the first; `replaced ADDRESS`

#include "asker.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <event2/util.h>

enum { TICK = 50, PATIENCE = 10 };  // milliseconds, seconds

static const char *own_server, *method;
static bool no_base;
static struct {
    const char *name, *value;
} options[8];
static int option_count;

static struct side {
    int number;
    pid_t tid;
    struct event_base *loop;
    struct evdns_base *base;
    struct asker_lines lines;
    struct event *timer;
    int64_t ticked;
    char periodic[ASKER_NAME - 16], busy_name[ASKER_NAME - 16];
    uint64_t answered, busy_answered, serial;
    unsigned periodic_pending, periodic_ms, busy_pending, busy;
    int hold;
} sides[ASKER_SIDES];

static int side_count = 1;

static struct timeval milliseconds(int count) {
    return (struct timeval){count / 1000, count % 1000 * 1000};
}

static struct evdns_base *make_base(struct side *side) {
    struct evdns_base *base = evdns_base_new(side->loop, own_server ? 0 : EVDNS_BASE_INITIALIZE_NAMESERVERS);
    if (!base) victim_unable("evdns_base_new");
    // Names come as they were asked for.
    evdns_base_set_option(base, "randomize-case:", "0");
    for (int i = 0; i < option_count; i++)
        if (evdns_base_set_option(base, options[i].name, options[i].value) != 0) victim_unable("option %s", options[i].name);
    if (own_server && evdns_base_nameserver_ip_add(base, own_server) != 0) victim_unable("no address: %s", own_server);
    return base;
}

static void say_servers(struct side *side) {
    char line[ASKER_LINE] = "servers ";
    for (int i = 0;; i++) {
        struct sockaddr_storage address;
        if (evdns_base_get_nameserver_addr(side->base, i, (struct sockaddr *)&address, sizeof address) <= 0) break;
        char text[INET6_ADDRSTRLEN] = "";
        const struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
        const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
        if (address.ss_family == AF_INET) inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        else inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        size_t length = strlen(line);
        int port = ntohs(v4->sin_port);
        if (port == 53) snprintf(line + length, sizeof line - length, "%s%s", i ? "," : "", text);
        else snprintf(line + length, sizeof line - length, "%s%s:%d", i ? "," : "", text, port);
    }
    victim_say("%s", line);
}

// MARK: lookups

static void ask(struct side *side, enum asker_purpose purpose, const char *name);

static void hold_up(struct side *side) {
    if (!side->hold) return;
    int hold = side->hold;
    side->hold = 0;
    victim_say("holding");
    victim_wait_poll(hold);
    // The clock had to wait as well.
    side->ticked = victim_now();
}

static void finish(struct asker_lookup *lookup, int result, const void *ipv4, const char *text) {
    struct side *side = lookup->side;
    // A base that was ended tells so later.
    bool cut_off = result == DNS_ERR_CANCEL || result == DNS_ERR_SHUTDOWN;
    side->answered++;
    switch (lookup->purpose) {
    case ASKED:
        hold_up(side);
        if (result == 0) asker_answer(lookup, ipv4);
        else victim_say("failed %s %s", lookup->name, text);
        break;
    case PERIODIC:
        side->periodic_pending--;
        if (result != 0 && !cut_off)
            victim_violation("%s: %s after %lld ms", lookup->name, text,
                (long long)(victim_now() - lookup->started) / VICTIM_MILLISECOND);
        break;
    case BUSY:
        side->busy_pending--;
        if (result == 0) side->busy_answered++;
        else if (!cut_off && side->busy_pending < side->busy) ask(side, BUSY, side->busy_name);
        break;
    }
    free(lookup);
}

static void resolved(int result, char type, int count, int ttl, void *addresses, void *argument) {
    (void)ttl;
    finish(argument, result, result == 0 && type == DNS_IPv4_A && count > 0 ? addresses : NULL, evdns_err_to_string(result));
}

static void info_done(int result, struct evutil_addrinfo *info, void *argument) {
    const void *address = NULL;
    for (struct evutil_addrinfo *node = info; node && !address; node = node->ai_next)
        if (node->ai_family == AF_INET) address = &((struct sockaddr_in *)(void *)node->ai_addr)->sin_addr;
    finish(argument, result, address, evutil_gai_strerror(result));
    if (info) evutil_freeaddrinfo(info);
}

static void ask(struct side *side, enum asker_purpose purpose, const char *name) {
    char numbered[ASKER_NAME];
    if (purpose == ASKED) snprintf(numbered, sizeof numbered, "%s", name);
    else snprintf(numbered, sizeof numbered, "n%llu.%s", (unsigned long long)side->serial++, name);
    if (purpose == BUSY) side->busy_pending++;
    if (purpose == PERIODIC) side->periodic_pending++;
    struct asker_lookup *lookup = asker_begin(side, purpose, numbered);
    if (!evdns_base_resolve_ipv4(side->base, numbered, 0, resolved, lookup))
        victim_violation("evdns_base_resolve_ipv4 took no request for %s", numbered);
}

// MARK: events

static void ticked(evutil_socket_t socket, short what, void *argument) {
    (void)socket, (void)what;
    struct side *side = argument;
    int64_t now = victim_now();
    if (now - side->ticked > TICK * VICTIM_MILLISECOND + victim_slack())
        victim_violation("a timer of %d ms came after %lld ms", TICK, (long long)(now - side->ticked) / VICTIM_MILLISECOND);
    side->ticked = now;
    if (side->periodic_ms && side->periodic_pending > PATIENCE * 1000 / side->periodic_ms)
        victim_violation("%u lookups are unanswered", side->periodic_pending);
    if (victim_stopping) event_base_loopbreak(side->loop);
}

static void ask_again(evutil_socket_t socket, short what, void *argument) {
    (void)socket, (void)what;
    struct side *side = argument;
    ask(side, PERIODIC, side->periodic);
}

static void obey(struct side *side, char *line) {
    char name[ASKER_NAME - 16] = "";
    unsigned number;
    if (asker_forward(line)) return;
    if (sscanf(line, "lookup %239s", name) == 1) {
        ask(side, ASKED, name);
    } else if (sscanf(line, "getaddrinfo %239s", name) == 1) {
        struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        evdns_getaddrinfo(side->base, name, NULL, &hints, info_done, asker_begin(side, ASKED, name));
    } else if (sscanf(line, "every %u %239s", &number, name) == 2) {
        memcpy(side->periodic, name, sizeof name);
        side->periodic_ms = number;
        side->timer = event_new(side->loop, -1, EV_PERSIST, ask_again, side);
        struct timeval period = milliseconds((int)number);
        event_add(side->timer, &period);
    } else if (sscanf(line, "busy %u %239s", &number, name) == 2) {
        side->busy = number;
        memcpy(side->busy_name, name, sizeof name);
        while (side->busy_pending < side->busy) ask(side, BUSY, name);
        victim_say("busy %u", side->busy_pending);
    } else if (strcmp(line, "calm") == 0) {
        side->busy = 0;
        victim_say("calm %u %llu", side->busy_pending, (unsigned long long)side->busy_answered);
    } else if (sscanf(line, "hold %u", &number) == 1) {
        side->hold = (int)number;
    } else if (strcmp(line, "servers") == 0) {
        say_servers(side);
    } else if (strcmp(line, "base") == 0) {
        victim_say("base 0x%llx", (unsigned long long)(uintptr_t)side->base);
    } else if (strcmp(line, "replace") == 0) {
        struct evdns_base *old = side->base;
        // Made first, so that it lies elsewhere.
        side->base = make_base(side);
        if (old) evdns_base_free(old, 1);
        victim_say("replaced 0x%llx", (unsigned long long)(uintptr_t)side->base);
    } else {
        victim_unable("no such command: %s", line);
    }
}

static void read_commands(evutil_socket_t socket, short what, void *argument) {
    (void)socket, (void)what;
    struct side *side = argument;
    char line[ASKER_LINE];
    // At the end of its commands it goes on without any.
    if (!asker_fill(&side->lines)) event_base_loopbreak(side->loop);
    while (asker_next(&side->lines, line)) obey(side, line);
}

static void prepare(struct side *side, int commands) {
    struct event_config *config = event_config_new();
    for (const char *const *other = (const char *const *)event_get_supported_methods(); method && *other; other++)
        if (strcmp(*other, method) != 0) event_config_avoid_method(config, *other);
    side->loop = event_base_new_with_config(config);
    event_config_free(config);
    if (!side->loop || (method && strcmp(event_base_get_method(side->loop), method) != 0)) victim_unable("no loop with %s", method);
    side->lines.descriptor = commands;
    side->tid = victim_tid();
    if (!no_base) side->base = make_base(side);
    event_add(event_new(side->loop, commands, EV_READ | EV_PERSIST, read_commands, side), NULL);
    struct timeval tick = milliseconds(TICK);
    event_add(event_new(side->loop, -1, EV_PERSIST, ticked, side), &tick);
    side->ticked = victim_now();
}

static void run(struct side *side) {
    side->ticked = victim_now();
    event_base_dispatch(side->loop);
    while (!victim_stopping) pause();
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
    bool locks = false;
    for (int i = 1; i < count; i++) {
        const char *mode = arguments[i];
        if (strcmp(mode, "no-base") == 0) no_base = true;
        else if (strcmp(mode, "locks") == 0) locks = true;
        else if (strcmp(mode, "poll") == 0 || strcmp(mode, "select") == 0) method = mode;
        else if (i + 1 == count) victim_unable("no such mode, or it lacks a value: %s", mode);
        else if (strcmp(mode, "own-servers") == 0) own_server = arguments[++i];
        else if (strcmp(mode, "threads") == 0) others = atoi(arguments[++i]);
        else if (strcmp(mode, "option") == 0 && i + 2 < count && option_count < 8) {
            char name[64];
            snprintf(name, sizeof name, "%s:", arguments[++i]);
            options[option_count].name = strdup(name);
            options[option_count++].value = arguments[++i];
        } else victim_unable("no such mode: %s", mode);
    }
    if (others < 0 || others >= ASKER_SIDES) victim_unable("too many threads");
    if ((locks || others) && evthread_use_pthreads() != 0) victim_unable("evthread_use_pthreads");
    for (int i = 0; i < ASKER_SIDES; i++) sides[i].number = i;

    asker_open_session();
    prepare(&sides[0], STDIN_FILENO);
    for (int i = 1; i <= others; i++) {
        victim_thread(run_other, &sides[i], 256 * 1024);
        while (__atomic_load_n(&side_count, __ATOMIC_SEQ_CST) <= i) poll(NULL, 0, 1);
    }
    char line[ASKER_LINE];
    int length = snprintf(line, sizeof line, "%d %s", getpid(), event_get_version());
    for (int i = 0; i <= others; i++) length += snprintf(line + length, sizeof line - (size_t)length, " %d", sides[i].tid);
    victim_ready("%s", line);
    run(&sides[0]);
    uint64_t rounds = 0;
    for (int i = 0; i < side_count; i++) rounds += sides[i].answered;
    victim_ok(rounds);
}
