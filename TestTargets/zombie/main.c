// A process that is dead but still listed: its parent never reaps it. First line: `ready PARENT CHILD`.

#include "victim.h"

#include <sys/wait.h>

int main(void) {
    victim_start();
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child < 0) victim_unable("fork: %s", strerror(errno));
    // Waits for the end without taking it away.
    siginfo_t info;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    victim_ready("%d %d", getpid(), child);
    uint64_t rounds = 0;
    for (; !victim_stopping; rounds++) victim_wait_poll(500);
    victim_ok(rounds);
}
