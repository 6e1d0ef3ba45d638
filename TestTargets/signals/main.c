// Signals a tracer might trip over: dispositions, masks, handlers and alternate stacks that must be found as they were left.
//
// usage: signals MODE
//   segv-ignored     SIGSEGV and SIGTRAP are ignored, and still are after every round
//   segv-blocked     both are blocked instead
//   alarm-storm      SIGALRM every 200 us while the main thread waits for points in time
//   altstack         a second thread sends a signal every 5 ms; its handler runs on an alternate stack, the main thread in ppoll
//   in-handler       the main thread spends its life inside a handler
//   mask             a mask like no other, compared after every round

#include "victim.h"

#include <sys/time.h>

static uint64_t rounds;

static void kernel_mask(uint64_t *mask) {
    // Not sigprocmask: the C library keeps two signals out of sight, the kernel's view is all 64.
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, mask, sizeof *mask);
}

static void check_disposition(int signal, void (*handler)(int)) {
    struct sigaction action;
    sigaction(signal, NULL, &action);
    if (action.sa_handler != handler) victim_violation("the disposition of signal %d changed", signal);
}

static void segv_ignored(void) {
    signal(SIGSEGV, SIG_IGN);
    signal(SIGTRAP, SIG_IGN);
    victim_ready("%d", getpid());
    for (; !victim_stopping; rounds++) {
        if (rounds % 2) victim_wait_poll(50);
        else victim_wait_nanosleep(50);
        check_disposition(SIGSEGV, SIG_IGN);
        check_disposition(SIGTRAP, SIG_IGN);
    }
}

static void segv_blocked(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigaddset(&set, SIGTRAP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    uint64_t before, now;
    kernel_mask(&before);
    victim_ready("%d", getpid());
    for (; !victim_stopping; rounds++) {
        if (rounds % 2) victim_wait_poll(50);
        else victim_wait_nanosleep(50);
        kernel_mask(&now);
        if (now != before) victim_violation("the mask was %#llx and is %#llx", (unsigned long long)before, (unsigned long long)now);
        check_disposition(SIGSEGV, SIG_DFL);
        check_disposition(SIGTRAP, SIG_DFL);
        // A blocked signal that somebody caused would wait for the day it is unblocked.
        sigset_t pending;
        sigpending(&pending);
        if (sigismember(&pending, SIGSEGV) || sigismember(&pending, SIGTRAP)) victim_violation("SIGSEGV or SIGTRAP is pending");
    }
}

static volatile sig_atomic_t handled;

static void count_signal(int signal) {
    (void)signal;
    handled++;
}

static void alarm_storm(void) {
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {.it_interval.tv_usec = 200, .it_value.tv_usec = 200};
    setitimer(ITIMER_REAL, &every, NULL);
    victim_ready("%d", getpid());
    for (; !victim_stopping; rounds++) {
        int64_t started = victim_now(), asked = 50 * VICTIM_MILLISECOND;
        struct timespec deadline = victim_timespec(started + asked);
        sig_atomic_t before = handled, seen = before;
        int error;
        // A sleep ends with every signal, SA_RESTART or not; but only with one.
        while ((error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL)) == EINTR && !victim_stopping) {
            if (handled == seen) victim_violation("clock_nanosleep ended with EINTR though no handler ran");
            seen = handled;
        }
        if (victim_stopping) break;
        if (error) victim_violation("clock_nanosleep returned %s", strerror(error));
        if (handled == before) victim_violation("no SIGALRM in 50 ms");
        victim_check_time("clock_nanosleep", started, asked, 0);
    }
}

static stack_t alternate;

static void on_alternate_stack(int signal) {
    (void)signal;
    char here;
    if (&here < (char *)alternate.ss_sp || &here >= (char *)alternate.ss_sp + alternate.ss_size)
        victim_violation("the handler ran at %p, not on the alternate stack", (void *)&here);
    handled++;
}

static void *send_signals(void *thread) {
    for (;;) {
        struct timespec pause = {.tv_nsec = 5 * VICTIM_MILLISECOND};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        syscall(SYS_tgkill, getpid(), (pid_t)(intptr_t)thread, SIGUSR1);
    }
    return NULL;
}

static void altstack(void) {
    alternate = (stack_t){.ss_size = 64 * 1024};
    alternate.ss_sp = malloc(alternate.ss_size);
    if (sigaltstack(&alternate, NULL) != 0) victim_unable("sigaltstack: %s", strerror(errno));
    struct sigaction action = {.sa_handler = on_alternate_stack, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    victim_thread(send_signals, (void *)(intptr_t)victim_tid(), 0);
    victim_ready("%d", getpid());
    for (; !victim_stopping; rounds++) {
        // A signal between the reading of `handled` and ppoll would not end ppoll: it is only let in during the call.
        sigset_t usual, blocked;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR1);
        sigprocmask(SIG_BLOCK, &blocked, &usual);
        sig_atomic_t before = handled;
        struct timespec timeout = {.tv_nsec = 500 * VICTIM_MILLISECOND};
        int result = ppoll(NULL, 0, &timeout, &usual);
        int error = errno;
        sig_atomic_t after = handled;
        sigprocmask(SIG_SETMASK, &usual, NULL);
        if (victim_stopping) break;
        if (result == 0) victim_violation("no signal in 500 ms");
        if (error != EINTR) victim_violation("ppoll failed: %s", strerror(error));
        if (after == before) victim_violation("ppoll ended with EINTR though no handler ran");
        stack_t now;
        sigaltstack(NULL, &now);
        if (now.ss_sp != alternate.ss_sp || now.ss_size != alternate.ss_size || now.ss_flags != alternate.ss_flags)
            victim_violation("the alternate stack changed: %p, %zu bytes, flags %d", now.ss_sp, now.ss_size, now.ss_flags);
    }
}

static void stay(int signal) {
    (void)signal;
    victim_ready("%d", getpid());
    for (; !victim_stopping; rounds++) victim_wait_nanosleep(100);
    victim_ok(rounds);
}

static void in_handler(void) {
    signal(SIGUSR1, stay);
    raise(SIGUSR1);
}

static void mask(void) {
    sigset_t set;
    sigemptyset(&set);
    const int blocked[] = {SIGHUP, SIGUSR1, SIGPIPE, SIGCHLD, SIGURG, SIGWINCH, SIGRTMIN + 3, SIGRTMAX};
    for (size_t i = 0; i < sizeof blocked / sizeof *blocked; i++) sigaddset(&set, blocked[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
    uint64_t before, now;
    kernel_mask(&before);
    victim_ready("%d", getpid());
    for (; !victim_stopping; rounds++) {
        if (rounds % 2) victim_wait_poll(50);
        else victim_wait_nanosleep(50);
        kernel_mask(&now);
        if (now != before) victim_violation("the mask was %#llx and is %#llx", (unsigned long long)before, (unsigned long long)now);
    }
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"segv-ignored", segv_ignored}, {"segv-blocked", segv_blocked}, {"alarm-storm", alarm_storm},
                 {"altstack", altstack},         {"in-handler", in_handler},     {"mask", mask}};
    victim_start();
    victim_resolver();
    for (size_t i = 0; count > 1 && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(arguments[1], modes[i].name) != 0) continue;
        modes[i].run();
        victim_ok(rounds);
    }
    victim_unable("usage: signals MODE");
}
