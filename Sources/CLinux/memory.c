#include "clinux_memory.h"

#include <errno.h>
#include <sys/uio.h>

long clinux_memory_read(int pid, uint64_t address, void *buffer, size_t size) {
    struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
    long moved = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    return moved >= 0 ? moved : -errno;
}

long clinux_memory_write(int pid, uint64_t address, const void *buffer, size_t size) {
    struct iovec local = {(void *)buffer, size}, remote = {(void *)(uintptr_t)address, size};
    long moved = process_vm_writev(pid, &local, 1, &remote, 1, 0);
    return moved >= 0 ? moved : -errno;
}
