// Starts a command as a container runtime does: in namespaces of its own, with a root directory of its own that holds only what was
// copied into it. What is outside of it can't be reached from inside.
//
// usage: container [--pid] [--net] [--user] [--chroot] --copy FROM=TO ... -- COMMAND ARGUMENTS...
//
//   --pid      a PID namespace, in which the command is process 1; this process then waits for it and hands SIGTERM on
//   --net      a network namespace with a loopback interface
//   --user     a user namespace, whose root is user 100000 outside
//   --chroot   chroot(2) instead of a change of the mount namespace's root
//   --copy     a file, or the files of a directory, to a path inside; symbolic links are followed
//
// Exit status 125: it could not be made.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTER_ID = 100000 };

// Where it is mounted before it becomes the root: a directory that every machine has and nothing is copied from.
static const char root[] = "/mnt";
static unsigned owner;
static pid_t inside;

static void fail(const char *what, const char *whom) {
    fprintf(stderr, "container: %s %s: %s\n", what, whom, strerror(errno));
    exit(125);
}

static void make_parents(char *path) {
    for (char *slash = strchr(path + sizeof root, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0755) == 0) {
            if (chown(path, owner, owner) != 0) fail("give away", path);
        } else if (errno != EEXIST) {
            fail("make", path);
        }
        *slash = '/';
    }
}

static void copy_file(const char *from, const char *to) {
    char path[4096], piece[64 << 10];
    snprintf(path, sizeof path, "%s%s", root, to);
    make_parents(path);
    struct stat status;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0 || fstat(in, &status) != 0) fail("open", from);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, status.st_mode & 0777);
    if (out < 0) fail("create", path);
    ssize_t count;
    while ((count = read(in, piece, sizeof piece)) > 0)
        if (write(out, piece, (size_t)count) != count) fail("write", path);
    if (count < 0) fail("read", from);
    if (fchown(out, owner, owner) != 0) fail("give away", path);
    close(in);
    close(out);
}

static void copy(char *pair) {
    char *to = strchr(pair, '=');
    if (!to) fail("no FROM=TO:", pair);
    *to++ = 0;
    DIR *directory = opendir(pair);
    if (!directory) {
        copy_file(pair, to);
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        char from[4096], inner[4096];
        struct stat status;
        snprintf(from, sizeof from, "%s/%s", pair, entry->d_name);
        snprintf(inner, sizeof inner, "%s/%s", to, entry->d_name);
        if (stat(from, &status) == 0 && S_ISREG(status.st_mode)) copy_file(from, inner);
    }
    closedir(directory);
}

static void write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) fail("write", path);
    close(fd);
}

// Only who has the rights outside may map a whole range of ids.
static void enter_user_namespace(int others) {
    int unshared[2];
    if (pipe(unshared) != 0) fail("make", "pipe");
    pid_t helper = fork();
    if (helper < 0) fail("fork", "helper");
    char byte = 0;
    if (helper == 0) {
        char path[64], map[64];
        close(unshared[1]);
        if (read(unshared[0], &byte, 1) != 1) _exit(125);
        snprintf(map, sizeof map, "0 %d 65536\n", OUTER_ID);
        snprintf(path, sizeof path, "/proc/%d/uid_map", getppid());
        write_text(path, map);
        snprintf(path, sizeof path, "/proc/%d/gid_map", getppid());
        write_text(path, map);
        _exit(0);
    }
    if (unshare(CLONE_NEWUSER | others) != 0) fail("make", "namespaces");
    int status;
    if (write(unshared[1], &byte, 1) != 1 || waitpid(helper, &status, 0) != helper || status != 0) fail("map", "users");
    close(unshared[0]);
    close(unshared[1]);
    if (setgroups(0, NULL) != 0 || setgid(0) != 0 || setuid(0) != 0) fail("become", "root inside");
}

static void bring_up_loopback(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0) fail("look at", "lo");
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) fail("bring up", "lo");
    close(fd);
}

static void change_root(bool is_chroot) {
    if (is_chroot) {
        if (chroot(root) != 0 || chdir("/") != 0) fail("enter", root);
        return;
    }
    // A mount that a less privileged namespace inherits can't be pivoted to: one of its own can.
    if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) != 0 || chdir(root) != 0) fail("bind", root);
    if (syscall(SYS_pivot_root, ".", ".") != 0) fail("pivot to", root);
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) fail("unmount", "the old root");
}

static void hand_on(int signal) { kill(inside, signal); }

static void wait_for_init(void) {
    struct sigaction action = {.sa_handler = hand_on, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    int status;
    while (waitpid(inside, &status, 0) < 0)
        if (errno != EINTR) fail("wait for", "the command");
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int count, char **arguments) {
    bool pid = false, net = false, user = false, is_chroot = false;
    int i = 1;
    for (; i < count && strcmp(arguments[i], "--") != 0; i++) {
        if (strcmp(arguments[i], "--pid") == 0) pid = true;
        else if (strcmp(arguments[i], "--net") == 0) net = true;
        else if (strcmp(arguments[i], "--user") == 0) user = true;
        else if (strcmp(arguments[i], "--chroot") == 0) is_chroot = true;
        else if (strcmp(arguments[i], "--copy") == 0 && i + 1 < count) i++;
        else fail("not an option:", arguments[i]);
    }
    char **command = arguments + i + 1;
    if (i >= count || !command[0]) fail("no command:", "--");
    if (user) owner = OUTER_ID;

    // The root is made and mounted while everything can still be reached; the mount goes with the namespace.
    if (unshare(CLONE_NEWNS) != 0) fail("make", "a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("make private", "/");
    if (mount("container", root, "tmpfs", 0, "mode=755") != 0 || chown(root, owner, owner) != 0) fail("mount", root);
    for (int k = 1; k < i; k++)
        if (strcmp(arguments[k], "--copy") == 0) copy(arguments[++k]);
    char proc[64];
    snprintf(proc, sizeof proc, "%s/proc", root);
    if (mkdir(proc, 0755) != 0) fail("make", proc);

    int namespaces = (pid ? CLONE_NEWPID : 0) | (net ? CLONE_NEWNET : 0);
    if (user) enter_user_namespace(namespaces | CLONE_NEWNS);
    else if (namespaces && unshare(namespaces) != 0) fail("make", "namespaces");
    if (net) bring_up_loopback();
    if (pid) {
        inside = fork();
        if (inside < 0) fail("fork", "the command");
        if (inside > 0) wait_for_init();
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail("tie to", "the runtime");
    }
    change_root(is_chroot);
    // Not every kernel lets a user namespace mount one; the commands can do without.
    if (pid) mount("proc", "/proc", "proc", 0, NULL);
    execv(command[0], command);
    fail("run", command[0]);
}
