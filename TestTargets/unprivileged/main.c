// A daemon that has given up root and may not be looked at by others with its rights: not dumpable, /proc/PID owned by root.
// To be started by root. First line: `ready PID`.

#include "victim.h"

#include <grp.h>
#include <sys/prctl.h>

int main(void) {
    victim_start();
    victim_resolver();
    enum { NOBODY = 65534 };
    if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0) victim_unable("setuid: %s", strerror(errno));
    // setuid has done it already; said once more because that is what this program is about.
    if (prctl(PR_SET_DUMPABLE, 0) != 0) victim_unable("prctl: %s", strerror(errno));
    victim_ready("%d", getpid());
    uint64_t rounds = 0;
    for (; !victim_stopping; rounds++) {
        if (rounds % 2) victim_wait_poll(500);
        else victim_wait_nanosleep(500);
    }
    victim_ok(rounds);
}
