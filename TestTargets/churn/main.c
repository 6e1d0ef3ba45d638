// Processes and threads that don't hold still: by the time a tracer has decided what to do, the one it decided about is gone.
//
// usage: churn MODE
//   threads        short-lived threads are created and joined all the time; the main thread waits in poll
//   execs          replaces itself every 30 ms
//   forks          forks children that exit at once
//   exits          exits by itself after 50 to 500 ms, with status 0 and `ok MILLISECONDS`
//   thread-exec    every 30 ms a thread that isn't the main one replaces the process; the main one waits in poll
//
// First line: `ready PID`. N of the final `ok N`: threads, execs or children.

#include "victim.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/wait.h>

static atomic_ullong done;

static void *live_shortly(void *unused) {
    victim_resolver();
    struct timespec moment = {.tv_nsec = 200000};
    nanosleep(&moment, NULL);
    return unused;
}

static void *create_and_join(void *unused) {
    (void)unused;
    for (;;) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) threads[i] = victim_thread(live_shortly, NULL, 0);
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        done += 4;
    }
    return NULL;
}

static void threads(void) {
    victim_thread(create_and_join, NULL, 0);
    victim_ready("%d", getpid());
    while (!victim_stopping) victim_wait_poll(200);
}

// Starts this program again, as it was started, with the count as its last argument. Under an explicitly called loader
// /proc/self/exe is the loader and main() doesn't see all arguments, hence the kernel's copy of them.
static void exec_again(void) {
    static char text[8192];
    char *arguments[32];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC), count = 0;
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    for (char *next = text; length > 0 && next < text + length && count < 30; next += strlen(next) + 1) arguments[count++] = next;
    char counter[32];
    snprintf(counter, sizeof counter, "%llu", (unsigned long long)done + 1);
    if (done == 0) count++;  // the first time there is no counter to replace
    arguments[count - 1] = counter;
    arguments[count] = NULL;
    // SIGTERM would kill the new program before it has its handler; a blocked one waits for it.
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    if (victim_stopping) return;
    execv("/proc/self/exe", arguments);
    victim_unable("exec: %s", strerror(errno));
}

static void execs(void) {
    if (done == 0) victim_ready("%d", getpid());
    victim_wait_nanosleep(30);
    if (!victim_stopping) exec_again();
}

static void *exec_from_thread(void *unused) {
    victim_wait_nanosleep(30);
    if (!victim_stopping) exec_again();
    return unused;
}

static void thread_exec(void) {
    if (done == 0) victim_ready("%d", getpid());
    victim_thread(exec_from_thread, NULL, 0);
    while (!victim_stopping) victim_wait_poll(1000);
}

static void forks(void) {
    victim_ready("%d", getpid());
    while (!victim_stopping) {
        pid_t child = fork();
        if (child == 0) _exit(7);
        if (child < 0) victim_unable("fork: %s", strerror(errno));
        int status;
        pid_t reaped;
        while ((reaped = waitpid(child, &status, 0)) < 0 && errno == EINTR && victim_stopping) {}
        if (reaped != child) victim_violation("waitpid: %s", strerror(errno));
        if (status != 7 << 8) victim_violation("a child ended with status %#x", status);
        done++;
        victim_wait_poll(2);
    }
}

static void exits(void) {
    victim_ready("%d", getpid());
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int milliseconds = 50 + (int)((unsigned long)now.tv_nsec / 1000 % 451);
    victim_wait_poll(milliseconds);
    done = (unsigned)milliseconds;
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"threads", threads}, {"execs", execs}, {"forks", forks}, {"exits", exits}, {"thread-exec", thread_exec}};
    // Before SIGTERM is let in: it may have been sent to the program this one replaces.
    if (count > 2) done = strtoull(arguments[2], NULL, 10);
    victim_start();
    victim_resolver();
    for (size_t i = 0; count > 1 && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(arguments[1], modes[i].name) != 0) continue;
        modes[i].run();
        victim_ok(done);
    }
    victim_unable("usage: churn MODE");
}
