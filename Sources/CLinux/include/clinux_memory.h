// process_vm_readv(2), process_vm_writev(2): another process's memory in one system call.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Bytes moved (fewer than asked where the range ends), or a negative errno.
long clinux_memory_read(int pid, uint64_t address, void *buffer, size_t size);
long clinux_memory_write(int pid, uint64_t address, const void *buffer, size_t size);
