// A process behind a seccomp filter: a system call it doesn't make itself can cost it its life. Its resolver is initialised
// before the filter is there.
//
// usage: seccomp MODE
//   kill-open      opening a file or looking at one by name kills the process
//   errno-open     they fail with EPERM instead
//   allow          what a resolver needs is allowed; everything else kills
//   strict-args    openat kills if it may create the file; all else is allowed

#include "victim.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

// A call that matches the number runs into the return that follows; any other one jumps over it.
#define IF_CALL(number, action) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, (action))
#define ALWAYS(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
// Numbers mean something else to another architecture.
#define HEAD LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), ALWAYS(KILL), LOAD(nr)

#define KILL SECCOMP_RET_KILL_PROCESS
#define ALLOW SECCOMP_RET_ALLOW
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)

static struct sock_filter kill_open[] = {HEAD, IF_CALL(SYS_openat, KILL), IF_CALL(SYS_open, KILL), IF_CALL(SYS_newfstatat, KILL),
                                         IF_CALL(SYS_stat, KILL), ALWAYS(ALLOW)};

static struct sock_filter errno_open[] = {HEAD, IF_CALL(SYS_openat, REFUSE), IF_CALL(SYS_open, REFUSE),
                                          IF_CALL(SYS_newfstatat, REFUSE), IF_CALL(SYS_stat, REFUSE), ALWAYS(ALLOW)};

static struct sock_filter allow[] = {
    HEAD,
    // The files of the resolver, under every C library: older ones have stat and fstat of their own.
    IF_CALL(SYS_openat, ALLOW), IF_CALL(SYS_open, ALLOW), IF_CALL(SYS_newfstatat, ALLOW), IF_CALL(SYS_stat, ALLOW),
    IF_CALL(SYS_fstat, ALLOW), IF_CALL(SYS_statx, ALLOW), IF_CALL(SYS_read, ALLOW), IF_CALL(SYS_close, ALLOW),
    IF_CALL(SYS_lseek, ALLOW), IF_CALL(SYS_fcntl, ALLOW), IF_CALL(SYS_access, ALLOW),
    // Its memory.
    IF_CALL(SYS_brk, ALLOW), IF_CALL(SYS_mmap, ALLOW), IF_CALL(SYS_munmap, ALLOW), IF_CALL(SYS_mremap, ALLOW),
    IF_CALL(SYS_mprotect, ALLOW), IF_CALL(SYS_madvise, ALLOW), IF_CALL(SYS_futex, ALLOW),
    // Its questions.
    IF_CALL(SYS_socket, ALLOW), IF_CALL(SYS_connect, ALLOW), IF_CALL(SYS_bind, ALLOW), IF_CALL(SYS_sendto, ALLOW),
    IF_CALL(SYS_sendmsg, ALLOW), IF_CALL(SYS_sendmmsg, ALLOW), IF_CALL(SYS_recvfrom, ALLOW), IF_CALL(SYS_recvmsg, ALLOW),
    IF_CALL(SYS_getsockname, ALLOW), IF_CALL(SYS_getpeername, ALLOW), IF_CALL(SYS_setsockopt, ALLOW),
    IF_CALL(SYS_getsockopt, ALLOW), IF_CALL(SYS_ioctl, ALLOW), IF_CALL(SYS_uname, ALLOW), IF_CALL(SYS_getrandom, ALLOW),
    IF_CALL(SYS_getpid, ALLOW), IF_CALL(SYS_gettid, ALLOW), IF_CALL(SYS_getuid, ALLOW),
    // Time, signals and the end: what this program itself needs.
    IF_CALL(SYS_poll, ALLOW), IF_CALL(SYS_ppoll, ALLOW), IF_CALL(SYS_nanosleep, ALLOW), IF_CALL(SYS_clock_nanosleep, ALLOW),
    IF_CALL(SYS_restart_syscall, ALLOW), IF_CALL(SYS_clock_gettime, ALLOW), IF_CALL(SYS_gettimeofday, ALLOW),
    IF_CALL(SYS_rt_sigreturn, ALLOW), IF_CALL(SYS_rt_sigprocmask, ALLOW), IF_CALL(SYS_rt_sigaction, ALLOW),
    IF_CALL(SYS_write, ALLOW), IF_CALL(SYS_exit, ALLOW), IF_CALL(SYS_exit_group, ALLOW), ALWAYS(KILL)};

static struct sock_filter strict_args[] = {
    HEAD, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
    LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1), ALWAYS(KILL), ALWAYS(ALLOW)};

int main(int count, char **arguments) {
#define MODE(name, filter) {name, {sizeof filter / sizeof *filter, filter}}
    static const struct {
        const char *name;
        struct sock_fprog program;
    } modes[] = {MODE("kill-open", kill_open), MODE("errno-open", errno_open), MODE("allow", allow), MODE("strict-args", strict_args)};

    victim_start();
    victim_resolver();
    const struct sock_fprog *program = NULL;
    for (size_t i = 0; count > 1 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(arguments[1], modes[i].name) == 0) program = &modes[i].program;
    if (!program) victim_unable("usage: seccomp MODE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) != 0)
        victim_unable("no filter: %s", strerror(errno));
    victim_ready("%d", getpid());
    uint64_t rounds = 0;
    for (; !victim_stopping; rounds++) {
        if (rounds % 2) victim_wait_poll(200);
        else victim_wait_nanosleep(200);
    }
    victim_ok(rounds);
}
