// What all victims have in common: they end by themselves, say what happened to them, and prepare their threads' resolvers.
//
// Output is written with write(2), never stdio: what a victim does with malloc and stdio is part of what it is there to show.
//
//   ready ...        standard output, once, when everything that is to be observed is in place
//   violation: ...   something was noticed that must not be noticed; exit status 1
//   ok N             the answer to SIGTERM: N rounds (iterations, ...) without a violation; exit status 0

#ifndef VICTIM_H
#define VICTIM_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <netinet/in.h>
#include <resolv.h>
#endif

#define VICTIM_MILLISECOND INT64_C(1000000)
#define VICTIM_SECOND INT64_C(1000000000)

// Set by SIGTERM. An EINTR seen while it is set is nobody's fault.
static volatile sig_atomic_t victim_stopping;

static inline int64_t victim_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * VICTIM_SECOND + now.tv_nsec;
}

static inline struct timespec victim_timespec(int64_t nanoseconds) {
    return (struct timespec){.tv_sec = nanoseconds / VICTIM_SECOND, .tv_nsec = nanoseconds % VICTIM_SECOND};
}

static inline pid_t victim_tid(void) {
    return (pid_t)syscall(SYS_gettid);
}

static inline void victim_vsay(const char *prefix, const char *format, va_list arguments) {
    char line[1024];
    int length = snprintf(line, sizeof line - 1, "%s", prefix);
    length += vsnprintf(line + length, sizeof line - 1 - (size_t)length, format, arguments);
    if (length > (int)sizeof line - 2) length = (int)sizeof line - 2;
    line[length++] = '\n';
    // One write, so that lines of several threads and processes never mix.
    if (write(STDOUT_FILENO, line, (size_t)length) != length) _exit(3);
}

__attribute__((format(printf, 1, 2))) static inline void victim_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    victim_vsay("", format, arguments);
    va_end(arguments);
}

// "ready " and what the test needs to know.
__attribute__((format(printf, 1, 2))) static inline void victim_ready(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    victim_vsay("ready ", format, arguments);
    va_end(arguments);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void victim_violation(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    victim_vsay("violation: ", format, arguments);
    va_end(arguments);
    _exit(1);
}

// The victim could not be set up: nothing is proved either way.
__attribute__((format(printf, 1, 2), noreturn)) static inline void victim_unable(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    victim_vsay("unable: ", format, arguments);
    va_end(arguments);
    _exit(2);
}

__attribute__((noreturn)) static inline void victim_ok(uint64_t rounds) {
    victim_say("ok %llu", (unsigned long long)rounds);
    _exit(0);
}

static inline void victim_terminated(int signal) {
    (void)signal;
    victim_stopping = 1;
}

// Arms the timer that ends a forgotten victim. Neither fork nor exec hands timers on: call it again in a child; the end
// itself is kept in the environment, so that a victim which execs for ever doesn't live for ever.
static inline void victim_limit(void) {
    const char *deadline = getenv("VICTIM_DEADLINE");
    long long end = deadline ? atoll(deadline) : 0;
    if (end <= 0) {
        const char *limit = getenv("VICTIM_LIMIT");
        long long seconds = limit ? atoll(limit) : 0;
        end = victim_now() / VICTIM_SECOND + (seconds > 0 ? seconds : 120);
        char text[32];
        snprintf(text, sizeof text, "%lld", end);
        setenv("VICTIM_DEADLINE", text, 1);
    }
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec when = {.it_value.tv_sec = end};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, TIMER_ABSTIME, &when, NULL) != 0)
        victim_unable("no timer: %s", strerror(errno));
}

// First thing in main().
static inline void victim_start(void) {
    victim_limit();
    // No SA_RESTART: SIGTERM is meant to get a waiting main thread out of its wait.
    struct sigaction action = {.sa_handler = victim_terminated};
    sigfillset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &term, NULL);
}

// Gives the calling thread a resolver state of its own, as if it had looked something up already. VICTIM_PINNED=1 leaves it
// as a lost DNS reply leaves it on a glibc that remembers the fall-back to single requests among the options.
static inline void victim_resolver(void) {
#ifdef __GLIBC__
    if (res_init() != 0) victim_unable("res_init: %s", strerror(errno));
    const char *pinned = getenv("VICTIM_PINNED");
    if (pinned && pinned[0] == '1') _res.options |= RES_SNGLKUP;
#endif
}

// A thread that is not the main one never takes SIGTERM, so that the main one is certain to.
static inline pthread_t victim_thread(void *(*function)(void *), void *argument, size_t stack) {
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (stack && pthread_attr_setstacksize(&attributes, stack) != 0) victim_unable("a stack of %zu bytes is refused", stack);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, function, argument);
    if (error) victim_unable("pthread_create: %s", strerror(error));
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return thread;
}

static inline int64_t victim_slack(void) {
    static int64_t slack;  // racing threads compute the same
    if (slack == 0) {
        const char *text = getenv("VICTIM_SLACK_MS");
        slack = (text ? atoll(text) : 250) * VICTIM_MILLISECOND;
    }
    return slack;
}

// Kernels count some time-outs in ticks, hence the early millisecond; `early` is for those that are coarser still.
static inline void victim_check_time(const char *what, int64_t started, int64_t asked, int64_t early) {
    int64_t took = victim_now() - started;
    if (took < asked - early - VICTIM_MILLISECOND)
        victim_violation("%s ended after %lld us, %lld us were asked", what, (long long)took / 1000, (long long)asked / 1000);
    if (took > asked + victim_slack())
        victim_violation("%s took %lld us, %lld us were asked", what, (long long)took / 1000, (long long)asked / 1000);
}

// errno is the calling thread's own, and a call that succeeds leaves it alone.
enum { VICTIM_ERRNO = 0x5eed };

static inline void victim_check_errno(const char *what) {
    if (errno != VICTIM_ERRNO) victim_violation("%s succeeded but changed errno to %d", what, errno);
}

// One wait, checked. These two are the common ground of the victims whose subject isn't the wait.
static inline void victim_wait_poll(int milliseconds) {
    int64_t started = victim_now();
    errno = VICTIM_ERRNO;
    int result = poll(NULL, 0, milliseconds);
    if (victim_stopping) return;
    if (result != 0) victim_violation("poll returned %d: %s", result, strerror(errno));
    victim_check_errno("poll");
    victim_check_time("poll", started, milliseconds * VICTIM_MILLISECOND, 0);
}

static inline void victim_wait_nanosleep(int milliseconds) {
    struct timespec time = victim_timespec(milliseconds * VICTIM_MILLISECOND);
    int64_t started = victim_now();
    errno = VICTIM_ERRNO;
    int result = nanosleep(&time, NULL);
    if (victim_stopping) return;
    if (result != 0) victim_violation("nanosleep returned %d: %s", result, strerror(errno));
    victim_check_errno("nanosleep");
    victim_check_time("nanosleep", started, milliseconds * VICTIM_MILLISECOND, 0);
}

#endif
