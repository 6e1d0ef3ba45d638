// Another process's root directory and namespaces, entered.
#pragma once
#include <stdint.h>

/// Connects to a stream socket by its path inside a root directory, and hangs up at once. 0 or a negative errno.
/// `listener` is the process that listens, or 0 where our PID namespace has no number for it.
int clinux_connect_in_root(int root, const char *path, int *listener);
/// Starts a program in the user, mount, network and PID namespaces and the root directory of another process, as the root user of
/// those namespaces, with none but the given capabilities and no way to others. Its standard output and error go to `output`, and it has no input. After some seconds it is ended by a signal. The child's
/// PID or a negative errno; what fails in the child ends it with status 127.
int clinux_start_inside(
    int pid, const char *path, char *const arguments[], uint64_t capabilities, unsigned seconds, int output);
