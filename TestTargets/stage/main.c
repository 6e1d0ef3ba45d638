// Starts a command in a mount namespace of its own, where another directory stands for /etc; on request in a network namespace of
// its own with nothing but a loopback interface. The command gets this process: same PID, nothing left in between.
//
// usage: stage [--net] [--etc DIRECTORY] -- COMMAND ARGUMENTS...       exit status 125: it could not be staged

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what, const char *whom) {
    fprintf(stderr, "stage: %s%s%s: %s\n", what, whom ? " " : "", whom ? whom : "", strerror(errno));
    exit(125);
}

static void usage(void) {
    fputs("usage: stage [--net] [--etc DIRECTORY] -- COMMAND ARGUMENTS...\n", stderr);
    exit(125);
}

static void bring_up_loopback(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0) fail("look at", "lo");
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) fail("bring up", "lo");
    close(fd);
}

int main(int count, char **arguments) {
    bool net = false;
    const char *etc = NULL;
    int i = 1;
    for (; i < count && strcmp(arguments[i], "--") != 0; i++) {
        if (strcmp(arguments[i], "--net") == 0) net = true;
        else if (strcmp(arguments[i], "--etc") == 0 && i + 1 < count) etc = arguments[++i];
        else usage();
    }
    char **command = arguments + i + 1;
    if (i >= count || !command[0]) usage();

    if (unshare(CLONE_NEWNS | (net ? CLONE_NEWNET : 0)) != 0) fail("make namespaces", NULL);
    // Otherwise what is mounted below would appear on the host.
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("make private", "/");
    if (etc && mount(etc, "/etc", NULL, MS_BIND | MS_REC, NULL) != 0) fail("mount over /etc:", etc);
    if (net) bring_up_loopback();
    // The working directory may lie in the old /etc.
    execvp(command[0], command);
    fail("run", command[0]);
}
