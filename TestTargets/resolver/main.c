// A process whose threads look names up when told to, so that a test decides who resolves what, and when.
//
// usage: resolver [--threads N] [--fresh]
//
// Thread 0 is the main thread, which reads commands from standard input; 1 to N wait on a condition variable. Every one
// has its resolver initialised at the start, except with --fresh. First line: `ready PID TID0 TID1 ... TIDN`. Every command
// is answered by one line that begins with the command, or by `error ...`:
//
//   lookup T NAME      lookup T NAME rc=RC addresses=A,B ms=M     getaddrinfo, all families; rc is getaddrinfo's
//   start T NAME       started T                                  the same without waiting for it (not in thread 0)
//   wait T             (the lookup line)                          of the last start
//   init T             init T rc=RC                               res_init()
//   options T +HEX     options T options=0xHEX                    sets bits, -HEX clears them
//   set T retrans N    set T retrans=N                            also retry, ndots
//   server T IPV4      server T IPV4                              replaces the first server, as an application does
//   show T             show T options=0xHEX flags=0xHEX retrans=N retry=N ndots=N servers=A,B search=X,Y
//   quit               ok N                                       N commands were answered; so do end of file and SIGTERM
//
// With musl, which keeps no state: lookup, start, wait and quit only.

#include "victim.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

enum { MAX_THREADS = 512, MAX_LINE = 1024 };

static struct worker {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pid_t tid;
    enum { STARTING, IDLE, ORDERED, DONE } state;
    char order[MAX_LINE];
    char answer[MAX_LINE];
} workers[MAX_THREADS + 1];

static int threads;
static bool fresh;

__attribute__((format(printf, 2, 3))) static void append(char *line, const char *format, ...) {
    size_t length = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + length, MAX_LINE - length, format, arguments);
    va_end(arguments);
}

static void look_up(int thread, const char *name, char *answer) {
    int64_t started = victim_now();
    // One entry per address instead of one per address and socket type.
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int code = getaddrinfo(name, NULL, &hints, &list);
    int64_t took = victim_now() - started;
    append(answer, "lookup %d %s rc=%d addresses=", thread, name, code);
    for (struct addrinfo *entry = code == 0 ? list : NULL; entry; entry = entry->ai_next) {
        char text[INET6_ADDRSTRLEN] = "?";
        const void *address = entry->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)entry->ai_addr)->sin_addr
                                                          : (void *)&((struct sockaddr_in6 *)entry->ai_addr)->sin6_addr;
        inet_ntop(entry->ai_family, address, text, sizeof text);
        append(answer, "%s%s", entry == list ? "" : ",", text);
    }
    append(answer, " ms=%lld", (long long)(took / VICTIM_MILLISECOND));
    if (code == 0) freeaddrinfo(list);
}

#ifdef __GLIBC__
static void show(int thread, char *answer) {
    append(answer, "show %d options=0x%lx flags=0x%x retrans=%d retry=%d ndots=%u servers=", thread, _res.options,
           _res._flags, _res.retrans, _res.retry, _res.ndots);
    for (int i = 0; i < _res.nscount && i < MAXNS; i++) {
        char text[INET6_ADDRSTRLEN] = "?";
        // An IPv6 server stands in the extension and leaves its place in the list of IPv4 servers empty.
        if (_res.nsaddr_list[i].sin_family == AF_INET)
            inet_ntop(AF_INET, &_res.nsaddr_list[i].sin_addr, text, sizeof text);
        else if (_res._u._ext.nsaddrs[i])
            inet_ntop(AF_INET6, &_res._u._ext.nsaddrs[i]->sin6_addr, text, sizeof text);
        append(answer, "%s%s", i ? "," : "", text);
    }
    append(answer, " search=");
    for (int i = 0; i <= MAXDNSRCH && _res.dnsrch[i]; i++) append(answer, "%s%s", i ? "," : "", _res.dnsrch[i]);
}

static bool change(int thread, char *verb, char *first, char *second, char *answer) {
    struct in_addr address;
    if (strcmp(verb, "init") == 0) {
        append(answer, "init %d rc=%d", thread, res_init());
    } else if (strcmp(verb, "show") == 0) {
        show(thread, answer);
    } else if (strcmp(verb, "options") == 0 && first && (*first == '+' || *first == '-')) {
        unsigned long bits = strtoul(first + 1, NULL, 16);
        if (*first == '+') _res.options |= bits;
        else _res.options &= ~bits;
        append(answer, "options %d options=0x%lx", thread, _res.options);
    } else if (strcmp(verb, "set") == 0 && first && second) {
        int value = atoi(second);
        if (strcmp(first, "retrans") == 0) _res.retrans = value;
        else if (strcmp(first, "retry") == 0) _res.retry = value;
        else if (strcmp(first, "ndots") == 0) _res.ndots = value & 15;
        else return false;
        append(answer, "set %d %s=%d", thread, first, value);
    } else if (strcmp(verb, "server") == 0 && first && inet_pton(AF_INET, first, &address) == 1) {
        _res.nsaddr_list[0].sin_family = AF_INET;
        _res.nsaddr_list[0].sin_port = htons(53);
        _res.nsaddr_list[0].sin_addr = address;
        if (_res.nscount == 0) _res.nscount = 1;
        append(answer, "server %d %s", thread, first);
    } else {
        return false;
    }
    return true;
}
#else
static bool change(int thread, char *verb, char *first, char *second, char *answer) {
    (void)thread, (void)verb, (void)first, (void)second, (void)answer;
    return false;
}
#endif

// Carries out `order` (which it takes apart) in the calling thread.
static void obey(int thread, char *order, char *answer) {
    char *rest = NULL;
    char *verb = strtok_r(order, " ", &rest);
    strtok_r(NULL, " ", &rest);  // the thread: this one
    char *first = strtok_r(NULL, " ", &rest);
    char *second = strtok_r(NULL, " ", &rest);
    answer[0] = 0;
    if ((strcmp(verb, "lookup") == 0 || strcmp(verb, "start") == 0) && first) look_up(thread, first, answer);
    else if (!change(thread, verb, first, second, answer)) append(answer, "error: %s: not understood", verb);
}

static void *work(void *argument) {
    struct worker *self = argument;
    if (!fresh) victim_resolver();
    pthread_mutex_lock(&self->mutex);
    self->tid = victim_tid();
    self->state = IDLE;
    pthread_cond_broadcast(&self->changed);
    for (;;) {
        while (self->state != ORDERED) pthread_cond_wait(&self->changed, &self->mutex);
        pthread_mutex_unlock(&self->mutex);
        obey((int)(self - workers), self->order, self->answer);
        pthread_mutex_lock(&self->mutex);
        self->state = DONE;
        pthread_cond_broadcast(&self->changed);
    }
    return NULL;
}

static bool give(struct worker *worker, const char *order) {
    pthread_mutex_lock(&worker->mutex);
    bool free = worker->state != ORDERED;
    if (free) {
        strcpy(worker->order, order);
        worker->state = ORDERED;
        pthread_cond_broadcast(&worker->changed);
    }
    pthread_mutex_unlock(&worker->mutex);
    return free;
}

static void await(struct worker *worker, int state) {
    pthread_mutex_lock(&worker->mutex);
    while ((int)worker->state != state) pthread_cond_wait(&worker->changed, &worker->mutex);
    pthread_mutex_unlock(&worker->mutex);
}

// The main thread reads by itself: stdio would hold a lock while it waits.
static bool read_line(char *line) {
    static char buffer[MAX_LINE];
    static size_t filled;
    for (;;) {
        char *end = memchr(buffer, '\n', filled);
        if (end) {
            size_t length = (size_t)(end - buffer);
            memcpy(line, buffer, length);
            line[length] = 0;
            filled -= length + 1;
            memmove(buffer, end + 1, filled);
            return true;
        }
        if (filled == sizeof buffer) victim_unable("a line is too long");
        ssize_t count = read(STDIN_FILENO, buffer + filled, sizeof buffer - filled);
        if (count < 0 && errno == EINTR && victim_stopping) return false;
        if (count < 0) victim_violation("read of standard input failed: %s", strerror(errno));
        if (count == 0) return false;
        filled += (size_t)count;
    }
}

int main(int count, char **arguments) {
    victim_start();
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--threads") == 0 && i + 1 < count) threads = atoi(arguments[++i]);
        else if (strcmp(arguments[i], "--fresh") == 0) fresh = true;
        else victim_unable("usage: resolver [--threads N] [--fresh]");
    }
    if (threads < 0 || threads > MAX_THREADS) victim_unable("0 to %d threads", MAX_THREADS);

    if (!fresh) victim_resolver();
    char ready[MAX_LINE * 8] = "";
    int length = snprintf(ready, sizeof ready, "ready %d %d", getpid(), victim_tid());
    for (int i = 1; i <= threads; i++) {
        pthread_mutex_init(&workers[i].mutex, NULL);
        pthread_cond_init(&workers[i].changed, NULL);
        victim_thread(work, &workers[i], 0);
        await(&workers[i], IDLE);
        length += snprintf(ready + length, sizeof ready - (size_t)length, " %d", workers[i].tid);
    }
    ready[length++] = '\n';
    if (write(STDOUT_FILENO, ready, (size_t)length) != length) return 3;

    static char line[MAX_LINE], answer[MAX_LINE];
    uint64_t answered = 0;
    while (!victim_stopping && read_line(line)) {
        char verb[16] = "", name[MAX_LINE] = "";
        int thread = 0;
        int fields = sscanf(line, "%15s %d %1023s", verb, &thread, name);
        if (strcmp(verb, "quit") == 0) break;
        struct worker *worker = &workers[thread > 0 && thread <= threads ? thread : 0];
        if (fields < 2 || thread < 0 || thread > threads) {
            victim_say("error: not a command, or no such thread: %.200s", line);
        } else if (strcmp(verb, "wait") == 0) {
            if (thread == 0 || worker->state == IDLE) {
                victim_say("error: nothing was started in thread %d", thread);
            } else {
                await(worker, DONE);
                victim_say("%s", worker->answer);
            }
        } else if (thread == 0) {
            if (strcmp(verb, "start") == 0) snprintf(answer, sizeof answer, "error: thread 0 can't start a lookup and go on");
            else obey(0, line, answer);
            victim_say("%s", answer);
        } else if (!give(worker, line)) {
            victim_say("error: thread %d is busy", thread);
        } else if (strcmp(verb, "start") == 0) {
            victim_say("started %d", thread);
        } else {
            await(worker, DONE);
            victim_say("%s", worker->answer);
        }
        answered++;
    }
    victim_ok(answered);
}
