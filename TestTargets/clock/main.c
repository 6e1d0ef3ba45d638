// How long others stand still while one thread is worked on. One thread reads the clock all the time and keeps the largest gap between
// two readings; another sleeps 200 us at a time and keeps the largest lateness. To be held is the sleeper, never the spinner.
//
// First line: `ready PID SPINNERTID SLEEPERTID`. Commands on standard input, each answered by one line:
//   reset      reset
//   report     report spinner_gap_us=N sleeper_late_us=N      since the last reset; both in microseconds
//   quit       ok N                                           N sleeps; so do end of file and SIGTERM

#include "victim.h"

#include <stdatomic.h>

static atomic_llong gap, late;
static atomic_ullong sleeps;
static atomic_int generation;  // of the measurement: a reset starts the next
static atomic_int spinner_tid, sleeper_tid;

static void raise_to(atomic_llong *largest, long long value) {
    if (value > *largest) *largest = value;  // each has one writer, apart from the reset
}

static void *spin(void *unused) {
    spinner_tid = victim_tid();
    int64_t before = victim_now();
    int current = generation;
    for (;;) {
        int64_t now = victim_now();
        if (current != generation) {
            // A gap that began before the reset doesn't count.
            current = generation;
            gap = 0;
        } else {
            raise_to(&gap, now - before);
        }
        before = now;
    }
    return unused;
}

static void *sleep_shortly(void *unused) {
    victim_resolver();
    sleeper_tid = victim_tid();
    int current = generation;
    for (;;) {
        const int64_t asked = 200000;
        struct timespec time = victim_timespec(asked);
        int64_t started = victim_now();
        if (nanosleep(&time, NULL) != 0) victim_violation("nanosleep: %s", strerror(errno));
        int64_t beyond = victim_now() - started - asked;
        if (beyond < 0) victim_violation("nanosleep ended %lld ns early", (long long)-beyond);
        sleeps++;
        if (current != generation) {
            current = generation;
            late = 0;
        } else {
            raise_to(&late, beyond);
        }
    }
    return unused;
}

int main(void) {
    victim_start();
    victim_resolver();
    victim_thread(spin, NULL, 0);
    victim_thread(sleep_shortly, NULL, 0);
    while (!spinner_tid || !sleeper_tid) poll(NULL, 0, 1);
    victim_ready("%d %d %d", getpid(), spinner_tid, sleeper_tid);

    char line[128];
    size_t filled = 0;
    for (;;) {
        ssize_t count = read(STDIN_FILENO, line + filled, 1);
        if (victim_stopping || count == 0) break;
        if (count < 0) victim_violation("read of standard input failed: %s", strerror(errno));
        if (line[filled] != '\n') {
            if (filled < sizeof line - 1) filled++;
            continue;
        }
        line[filled] = 0;
        filled = 0;
        if (strcmp(line, "reset") == 0) {
            generation++;
            // Both threads begin anew before the answer is given; meanwhile the machine may have run somebody else.
            gap = late = -1;
            while (gap < 0 || late < 0) poll(NULL, 0, 1);
            victim_say("reset");
        } else if (strcmp(line, "report") == 0) {
            victim_say("report spinner_gap_us=%lld sleeper_late_us=%lld", (long long)gap / 1000, (long long)late / 1000);
        } else if (strcmp(line, "quit") == 0) {
            break;
        } else {
            victim_say("error: not a command: %s", line);
        }
    }
    victim_ok(sleeps);
}
