// Threads that are nearly always where nobody may call anything into them: in malloc, in a lookup, in the dynamic loader, in stdio.
//
// usage: hazards MODE [NAME...]
//   malloc     three threads that allocate, grow and free, in shared arenas, and check what they stored
//   lookup     two threads in getaddrinfo of NAME... (default: localhost)
//   dlopen     two threads in dlopen and dlclose
//   stdio      two threads that open /etc/hosts, read it and close it
//   mixed      one thread of each, and one that waits in poll
//
// First line: `ready PID TID...`, the busy threads in the order above (in mixed the one in poll comes last). The main thread
// waits in poll. Every 64th iteration a thread sleeps for 1 ms: the safe point. On SIGTERM: `ok N failures=F`, N iterations
// of all threads together, F lookups without an answer. Meant to be run with other allocators in LD_PRELOAD as well.

#include "victim.h"

#include <dlfcn.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <netdb.h>
#include <stdatomic.h>
#include <sys/socket.h>

static atomic_ullong iterations, failures;
static char **names;
static int name_count;

static uint32_t next(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void fill(unsigned char *block, size_t size, unsigned char value) {
    block[0] = block[size / 2] = block[size - 1] = value;
}

static void check(const unsigned char *block, size_t size, unsigned char value) {
    if (block[0] != value || block[size / 2] != value || block[size - 1] != value) victim_violation("a block of memory was overwritten");
}

static void malloc_once(uint32_t *state) {
    enum { BLOCKS = 64 };
    static _Thread_local struct {
        unsigned char *start;
        size_t size;
    } blocks[BLOCKS];
    unsigned index = next(state) % BLOCKS;
    // Mostly small, sometimes from the top of the arena, now and then mapped.
    size_t size = 16 + next(state) % (next(state) % 64 == 0 ? 300000 : next(state) % 8 == 0 ? 9000 : 500);
    if (!blocks[index].start) {
        blocks[index].start = malloc(size);
    } else {
        check(blocks[index].start, blocks[index].size, (unsigned char)index);
        if (next(state) % 2) {
            free(blocks[index].start);
            blocks[index].start = NULL;
            return;
        }
        blocks[index].start = realloc(blocks[index].start, size);
    }
    if (!blocks[index].start) victim_violation("no memory for %zu bytes", size);
    blocks[index].size = size;
    fill(blocks[index].start, size, (unsigned char)index);
}

static void lookup_once(uint32_t *state) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list;
    if (getaddrinfo(names[next(state) % (unsigned)name_count], NULL, &hints, &list) == 0) freeaddrinfo(list);
    else failures++;
}

static void dlopen_once(uint32_t *state) {
    // Two, because something in LD_PRELOAD may hold one of them open for good.
    const char *name = next(state) % 2 ? "libm.so.6" : "libBrokenLocale.so.1";
    void *library = dlopen(name, RTLD_NOW);
    if (!library) victim_violation("dlopen: %s", dlerror());
    dlclose(library);
}

static void stdio_once(uint32_t *state) {
    (void)state;
    FILE *file = fopen("/etc/hosts", "r");
    if (!file) victim_violation("/etc/hosts: %s", strerror(errno));
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) >= 0) {}
    if (ferror(file)) victim_violation("/etc/hosts: read error");
    free(line);
    fclose(file);
}

static void idle_once(uint32_t *state) {
    (void)state;
    victim_wait_poll(200);
}

struct worker {
    void (*once)(uint32_t *state);
    pid_t tid;
    atomic_int started;
};

static void *work(void *argument) {
    struct worker *self = argument;
    victim_resolver();
    self->tid = victim_tid();
    self->started = 1;
    uint32_t state = (uint32_t)self->tid * 2654435761u + 1;
    for (uint64_t done = 1;; done++) {
        self->once(&state);
        iterations++;
        if (done % 64 == 0) {
            struct timespec pause = {.tv_nsec = VICTIM_MILLISECOND};
            if (nanosleep(&pause, NULL) != 0) victim_violation("nanosleep: %s", strerror(errno));
        }
    }
    return NULL;
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        void (*once[5])(uint32_t *);
    } modes[] = {{"malloc", {malloc_once, malloc_once, malloc_once}},
                 {"lookup", {lookup_once, lookup_once}},
                 {"dlopen", {dlopen_once, dlopen_once}},
                 {"stdio", {stdio_once, stdio_once}},
                 {"mixed", {malloc_once, lookup_once, dlopen_once, stdio_once, idle_once}}};
    static char *default_name = "localhost";
    static struct worker workers[5];

    victim_start();
#ifdef __GLIBC__
    // Otherwise every thread would have an arena of its own, and none would ever wait for another's lock.
    mallopt(M_ARENA_MAX, 2);
#endif
    victim_resolver();
    names = count > 2 ? arguments + 2 : &default_name;
    name_count = count > 2 ? count - 2 : 1;
    char tids[128] = "";
    for (size_t i = 0; count > 1 && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(arguments[1], modes[i].name) != 0) continue;
        for (int j = 0; j < 5 && modes[i].once[j]; j++) {
            workers[j].once = modes[i].once[j];
            victim_thread(work, &workers[j], 0);
            while (!workers[j].started) sched_yield();
            snprintf(tids + strlen(tids), sizeof tids - strlen(tids), " %d", workers[j].tid);
        }
    }
    if (!tids[0]) victim_unable("usage: hazards MODE [NAME...]");
    victim_ready("%d%s", getpid(), tids);
    while (!victim_stopping) victim_wait_poll(500);
    victim_say("ok %llu failures=%llu", iterations, failures);
    _exit(0);
}
