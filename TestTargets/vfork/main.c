// A process that waits for its vfork child, in an uninterruptible sleep: it stops for nobody.
//
// usage: vfork [SECONDS]       the child ends after 5 seconds unless it is said; first line, before the fork: `ready PID`
//
// `ok 1` when the child has ended.

#include "victim.h"

int main(int count, char **arguments) {
    victim_start();
    int seconds = count > 1 ? atoi(arguments[1]) : 5;
    victim_resolver();
    victim_ready("%d", getpid());
    pid_t child = vfork();
    if (child == 0) {
        // It shares our memory: a system call and no more.
        struct timespec time = {.tv_sec = seconds};
        syscall(SYS_nanosleep, &time, NULL);
        _exit(0);
    }
    if (child < 0) victim_unable("vfork: %s", strerror(errno));
    victim_ok(1);
}
