#include "clinux_inside.h"
#include "clinux_process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int clinux_connect_in_root(int root, const char *path, int *listener) {
    int file = clinux_open_in_root(root, path, O_PATH);
    if (file < 0) return file;
    int result = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        result = -errno;
    } else {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        // By its descriptor: the path would be looked up in our root, and its links followed there.
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file);
        struct ucred peer = {0};
        socklen_t size = sizeof peer;
        // With a full queue somebody listens all the same.
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EAGAIN) result = -errno;
        else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) peer.pid = 0;
        *listener = peer.pid > 0 ? peer.pid : 0;
        close(fd);
    }
    close(file);
    return result;
}

enum { KINDS = 4 };
static const char *const names[KINDS] = {"user", "mnt", "net", "pid"};
static const int flags[KINDS] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID};

static bool is_same_file(const char *one, int other) {
    struct stat left, right;
    return stat(one, &left) == 0 && fstat(other, &right) == 0 && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

// The program belongs to whoever owns the root directory: it gets no right that the service beside it has not.
static bool give_up(uint64_t capabilities) {
    for (int capability = 0; capability < 64; capability++) {
        if (capabilities >> capability & 1) continue;
        if (prctl(PR_CAPBSET_DROP, capability) != 0 && errno != EINVAL) return false;
    }
    // As root it would get those of the bounding set at its start; what it inherits must not exceed them.
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static volatile pid_t running;

static void end_child(int signal) {
    (void)signal;
    kill(running, SIGKILL);
}

// The time ends the program itself; in a PID namespace its parent ends it, so that nobody's child is left behind there.
static void set_time_limit(unsigned seconds, bool has_child) {
    struct sigaction action = {.sa_handler = has_child ? end_child : SIG_DFL};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGALRM);
    sigaction(SIGALRM, &action, NULL);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    alarm(seconds);
}

// Async-signal-safe calls only: it runs in a fork of a program that may have threads.
static void enter_and_run(
    const int *spaces, int root, const char *path, char *const arguments[], uint64_t capabilities, unsigned seconds, int output) {
    static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
    // Until the program is replaced nobody in there may reach through /proc for our own file or descriptors.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    for (int i = 0; i < KINDS; i++)
        if (spaces[i] >= 0 && setns(spaces[i], flags[i]) != 0) return;
    // Who enters a user namespace is nobody in it yet.
    if (spaces[0] >= 0) {
        setgroups(0, NULL);  // may be forbidden in there
        if (setgid(0) != 0 || setuid(0) != 0) return;
    }
    if (fchdir(root) != 0 || chroot(".") != 0) return;
    // Only a child is in the PID namespace that was entered.
    pid_t child = spaces[3] >= 0 ? fork() : 0;
    if (child < 0) return;
    if (child > 0) {
        int status;
        running = child;
        set_time_limit(seconds, true);
        while (waitpid(child, &status, 0) < 0)
            if (errno != EINTR) return;
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (spaces[3] < 0) set_time_limit(seconds, false);
    // CLOSE_RANGE_CLOEXEC, of kernels from 5.11 on; ours are closed on exec anyway.
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 4U);
    if (!give_up(capabilities)) return;
    execve(path, arguments, environment);
}

int clinux_start_inside(int pid, const char *path, char *const arguments[], uint64_t capabilities, unsigned seconds, int output) {
    char text[64];
    int spaces[KINDS], result = 0;
    snprintf(text, sizeof text, "/proc/%d/root", pid);
    int root = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return -errno;
    for (int i = 0; i < KINDS; i++) {
        snprintf(text, sizeof text, "/proc/%d/ns/%s", pid, names[i]);
        spaces[i] = open(text, O_RDONLY | O_CLOEXEC);
        if (spaces[i] < 0 && result == 0) result = -errno;
        snprintf(text, sizeof text, "/proc/self/ns/%s", names[i]);
        // One's own user namespace can't be entered, and the others need not be.
        if (spaces[i] >= 0 && is_same_file(text, spaces[i])) {
            close(spaces[i]);
            spaces[i] = -1;
        }
    }
    if (result == 0) {
        pid_t child = fork();
        if (child == 0) {
            enter_and_run(spaces, root, path, arguments, capabilities, seconds, output);
            _exit(127);
        }
        result = child > 0 ? child : -errno;
    }
    for (int i = 0; i < KINDS; i++)
        if (spaces[i] >= 0) close(spaces[i]);
    close(root);
    return result;
}
