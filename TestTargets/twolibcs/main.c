// A process with a second C library.
//
// usage: twolibcs MODE [FILE]
//   dlmopen        a second copy of this C library, in a link map of its own
//   mapped FILE    FILE is mapped whole, to be read, as tools that look at libraries do
//   mapped-executable FILE     the same, executable as well
//
// First line: `ready PID`.

#include "victim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void map_whole(const char *path, int protection) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) victim_unable("%s: %s", path, strerror(errno));
    if (mmap(NULL, (size_t)status.st_size, protection, MAP_PRIVATE, fd, 0) == MAP_FAILED)
        victim_unable("mmap %s: %s", path, strerror(errno));
    close(fd);
}

int main(int count, char **arguments) {
    victim_start();
    victim_resolver();
    if (count == 2 && strcmp(arguments[1], "dlmopen") == 0) {
        if (!dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW)) victim_unable("dlmopen: %s", dlerror());
    } else if (count == 3 && strcmp(arguments[1], "mapped") == 0) {
        map_whole(arguments[2], PROT_READ);
    } else if (count == 3 && strcmp(arguments[1], "mapped-executable") == 0) {
        map_whole(arguments[2], PROT_READ | PROT_EXEC);
    } else {
        victim_unable("usage: twolibcs dlmopen | mapped FILE | mapped-executable FILE");
    }
    victim_ready("%d", getpid());
    uint64_t rounds = 0;
    while (!victim_stopping) {
        victim_wait_poll(100);
        rounds++;
    }
    victim_ok(rounds);
}
