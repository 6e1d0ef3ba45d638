// Threads with the smallest stacks the C library gives (16 KiB with everything it puts there itself): too small to call
// anything in. What lies below the part in use holds a pattern, and is compared at the end.
//
// usage: smallstack [THREADS]       4 by default; first line: `ready PID TID...`

#include "victim.h"

#include <limits.h>
#include <sys/uio.h>

enum { MAX_THREADS = 64, PAGE = 4096, PATTERN = 0xa7 };

static struct {
    pthread_t thread;
    volatile pid_t tid;
    unsigned char *low, *end;  // the part that is compared: the lowest 4 KiB above the guard page
    volatile uint64_t rounds;
} threads[MAX_THREADS];

static bool mapped(const void *address) {
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)address, 1};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
}

// The guard page can't be told from the addresses alone: libraries count it differently, and newer ones make it without a
// mapping of its own, which lets neighbouring stacks look like one piece in /proc/PID/maps.
static unsigned char *lowest_byte(void) {
    unsigned char *page = (unsigned char *)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(PAGE - 1));
    while (mapped(page - PAGE)) page -= PAGE;
    return page;
}

__attribute__((noinline)) static void paint(unsigned char *low) {
    // Up to a little below this very frame; volatile, because to the compiler this is nobody's memory.
    uintptr_t end = (uintptr_t)__builtin_frame_address(0) - 512;
    for (volatile unsigned char *byte = low; (uintptr_t)byte < end; byte++) *byte = PATTERN;
}

static void *wait_rounds(void *argument) {
    intptr_t index = (intptr_t)argument;
    // Before the stack is painted: opening resolv.conf needs more of it than all that follows.
    victim_resolver();
    threads[index].low = lowest_byte();
    threads[index].end = threads[index].low + PAGE;
    paint(threads[index].low);
    threads[index].tid = victim_tid();
    while (!victim_stopping) {
        if (threads[index].rounds % 2) victim_wait_poll(100);
        else victim_wait_nanosleep(100);
        threads[index].rounds++;
    }
    for (volatile unsigned char *byte = threads[index].low; byte < threads[index].end; byte++)
        if (*byte != PATTERN)
            victim_violation("thread %d: its stack was written to %d bytes above its end", threads[index].tid,
                             (int)(byte - threads[index].low));
    return NULL;
}

int main(int count, char **arguments) {
    victim_start();
    int number = count > 1 ? atoi(arguments[1]) : 4;
    if (number < 1 || number > MAX_THREADS) victim_unable("1 to %d threads", MAX_THREADS);
    victim_resolver();
    char tids[MAX_THREADS * 9] = "";
    for (intptr_t i = 0; i < number; i++) {
        threads[i].thread = victim_thread(wait_rounds, (void *)i, PTHREAD_STACK_MIN);
        while (!threads[i].tid) sched_yield();
        snprintf(tids + strlen(tids), sizeof tids - strlen(tids), " %d", threads[i].tid);
    }
    victim_ready("%d%s", getpid(), tids);
    while (!victim_stopping) victim_wait_poll(500);
    uint64_t rounds = 0;
    for (int i = 0; i < number; i++) {
        pthread_join(threads[i].thread, NULL);
        rounds += threads[i].rounds;
    }
    victim_ok(rounds);
}
