// Many threads, each with a resolver of its own, waiting in poll, nanosleep and on a futex in turn, each checking its waits.
//
// usage: threads [N [MILLISECONDS]]       500 threads besides the main one, 1500 ms a wait; first line: `ready PID`

#include "victim.h"

#include <stdatomic.h>

static int milliseconds = 1500;
static atomic_int prepared;
static atomic_ullong rounds;

static void wait_futex(void) {
    static uint32_t word;
    struct timespec timeout = victim_timespec(milliseconds * VICTIM_MILLISECOND);
    int64_t started = victim_now();
    // FUTEX_WAIT_PRIVATE; <linux/futex.h> is not among musl's headers.
    long result = syscall(SYS_futex, &word, 128, 0, &timeout, NULL, 0);
    int error = errno;
    if (victim_stopping) return;
    if (result != -1 || error != ETIMEDOUT) victim_violation("futex returned %ld: %s", result, strerror(error));
    victim_check_time("futex", started, milliseconds * VICTIM_MILLISECOND, 0);
}

static void *wait_in_turn(void *argument) {
    victim_resolver();
    prepared++;
    for (intptr_t turn = (intptr_t)argument;; turn++) {
        if (turn % 3 == 0) victim_wait_poll(milliseconds);
        else if (turn % 3 == 1) victim_wait_nanosleep(milliseconds);
        else wait_futex();
        rounds++;
    }
    return NULL;
}

int main(int count, char **arguments) {
    victim_start();
    int number = count > 1 ? atoi(arguments[1]) : 500;
    if (count > 2) milliseconds = atoi(arguments[2]);
    if (number < 1 || milliseconds < 1) victim_unable("usage: threads [N [MILLISECONDS]]");
    victim_resolver();
    for (intptr_t i = 0; i < number; i++) victim_thread(wait_in_turn, (void *)i, 256 * 1024);
    while (prepared < number) poll(NULL, 0, 1);
    victim_ready("%d", getpid());
    while (!victim_stopping) victim_wait_poll(milliseconds);
    victim_ok(rounds);
}
