// Kills a tracer in the middle of its work, at any step of it: at the N-th stop of a system call with which it may act on another
// process. What that process does then is the test.
//
// usage: stepkill N COMMAND ARGUMENTS...
//
// Runs the command with all its children and threads, traced, and counts the stops at the entry and at the exit of ptrace, wait4,
// process_vm_writev and process_vm_readv (of another process), and of write and pwrite64 to /proc/PID/mem. Whoever makes
// the N-th gets SIGKILL at that stop (at an entry: the call is not made), then all the others; exit status 99. If the command ends
// before: exit status 0 and `stops TOTAL` on standard error, so N = 0 only counts. What the command itself traces is not followed,
// not even a child that lets itself be traced with PTRACE_TRACEME; such a child is not killed either.

#include "victim.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

// EXITKILL: the command is to end with this program, whatever ends it.
#define OPTIONS \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

static struct tracee {
    pid_t tid;
    bool counted;  // it is in a call whose entry counted: the exit will
    unsigned long long number;
} *tracees;
static size_t tracee_count;

static struct tracee *find(pid_t tid) {
    for (size_t i = 0; i < tracee_count; i++)
        if (tracees[i].tid == tid) return &tracees[i];
    tracees = realloc(tracees, (tracee_count + 1) * sizeof *tracees);
    if (!tracees) abort();
    tracees[tracee_count] = (struct tracee){.tid = tid};
    return &tracees[tracee_count++];
}

static void forget(pid_t tid) {
    struct tracee *tracee = find(tid);
    *tracee = tracees[--tracee_count];
}

// The process a thread belongs to; 0 when it is gone.
static pid_t process_of(pid_t tid) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = 0;
    const char *line = strstr(text, "\nTgid:");
    return line ? atoi(line + 6) : 0;
}

static bool writes_memory(pid_t tid, int fd) {
    char path[64], target[256];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", tid, fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) return false;
    target[length] = 0;
    return fnmatch("/proc/*/mem", target, 0) == 0;  // * matches PID/task/TID as well
}

static bool counts(pid_t tid, const struct __ptrace_syscall_info *info) {
    switch (info->entry.nr) {
    case SYS_ptrace:
    case SYS_wait4:
        return true;
    case SYS_process_vm_writev:
    case SYS_process_vm_readv:
        return process_of((pid_t)info->entry.args[0]) != process_of(tid);
    case SYS_write:
    case SYS_pwrite64:
        return writes_memory(tid, (int)info->entry.args[0]);
    default:
        return false;
    }
}

static const char *name_of(unsigned long long number) {
    switch (number) {
    case SYS_ptrace: return "ptrace";
    case SYS_wait4: return "wait4";
    case SYS_process_vm_writev: return "process_vm_writev";
    case SYS_process_vm_readv: return "process_vm_readv";
    case SYS_write: return "write";
    default: return "pwrite64";
    }
}

static void kill_all(pid_t first) {
    // The guilty one first: the others must not see it die and act on it.
    pid_t process = process_of(first);
    if (process) kill(process, SIGKILL);
    for (size_t i = 0; i < tracee_count; i++) {
        pid_t other = process_of(tracees[i].tid);
        if (other && other != process) kill(other, SIGKILL);
    }
    // Children of theirs that were just being made stop for us as well; they go with EXITKILL when we exit.
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == ECHILD) return;
        if (tid > 0 && WIFSTOPPED(status)) {
            process = process_of(tid);
            if (process) kill(process, SIGKILL);
            ptrace(PTRACE_CONT, tid, NULL, NULL);
        }
    }
}

int main(int count, char **arguments) {
    if (count < 3) {
        fputs("usage: stepkill N COMMAND ARGUMENTS...\n", stderr);
        return 125;
    }
    unsigned long long wanted = strtoull(arguments[1], NULL, 10), stops = 0;
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) != 0) return 125;
    pid_t command = fork();
    if (command == 0) {
        char byte;
        if (read(gate[0], &byte, 1) != 1) _exit(125);  // until it is traced
        execvp(arguments[2], arguments + 2);
        fprintf(stderr, "stepkill: %s: %s\n", arguments[2], strerror(errno));
        _exit(125);
    }
    if (command < 0 || ptrace(PTRACE_SEIZE, command, NULL, (void *)(uintptr_t)OPTIONS) != 0) {
        fprintf(stderr, "stepkill: can't trace the command: %s\n", strerror(errno));
        return 125;
    }
    // After the fork: the limit is this program's, and through EXITKILL the command's; what the command starts has its own.
    victim_limit();
    find(command);
    ptrace(PTRACE_INTERRUPT, command, NULL, NULL);  // from its stop on it runs from system call to system call
    if (write(gate[1], "x", 1) != 1) return 125;
    close(gate[0]);
    close(gate[1]);

    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0) {
            if (errno == EINTR) continue;
            break;  // ECHILD: all have ended
        }
        if (!WIFSTOPPED(status)) {
            forget(tid);
            continue;
        }
        struct tracee *tracee = find(tid);
        int signal = WSTOPSIG(status), event = status >> 16, pass_on = 0;
        if (signal == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info) > 0) {
                bool exit = info.op == PTRACE_SYSCALL_INFO_EXIT, counted = tracee->counted;
                tracee->counted = false;
                if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_ptrace && info.entry.args[0] == PTRACE_TRACEME) {
                    // It asks its parent to trace it, as debuggers' children do, and there can be only one tracer.
                    ptrace(PTRACE_DETACH, tid, NULL, NULL);
                    forget(tid);
                    continue;
                }
                if (info.op == PTRACE_SYSCALL_INFO_ENTRY && counts(tid, &info)) {
                    counted = tracee->counted = true;
                    tracee->number = info.entry.nr;
                }
                if (counted && (exit || tracee->counted) && ++stops == wanted) {
                    unsigned long long number = tracee->number;
                    kill_all(tid);
                    fprintf(stderr, "killed %d at stop %llu: %s of %s\n", tid, stops, exit ? "exit" : "entry", name_of(number));
                    return 99;
                }
            }
        } else if (event == PTRACE_EVENT_STOP) {
            // A group stop has to be listened to or the command can never be stopped; our own interrupt and the first stop of
            // a new thread say SIGTRAP.
            if (signal != SIGTRAP) {
                ptrace(PTRACE_LISTEN, tid, NULL, NULL);
                continue;
            }
        } else if (event == PTRACE_EVENT_EXEC) {
            tracee->counted = false;
            // The thread that called exec goes on under the number of its process.
            unsigned long former = 0;
            if (ptrace(PTRACE_GETEVENTMSG, tid, NULL, &former) == 0 && (pid_t)former != tid) forget((pid_t)former);
        } else if (event == 0) {
            pass_on = signal;
        }
        ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)pass_on);
    }
    fprintf(stderr, "stops %llu\n", stops);
    return 0;
}
