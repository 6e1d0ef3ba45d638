// A 32-bit program (the Makefile compiles it with -m32): other registers, other structures. First line: `ready PID`.

#include "victim.h"

_Static_assert(sizeof(void *) == 4, "compile with -m32");

int main(void) {
    victim_start();
    victim_resolver();
    victim_ready("%d", getpid());
    uint64_t rounds = 0;
    for (; !victim_stopping; rounds++) {
        if (rounds % 2) victim_wait_poll(500);
        else victim_wait_nanosleep(500);
    }
    victim_ok(rounds);
}
