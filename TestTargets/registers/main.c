// Has a known value in every register the processor has, and below the stack pointer, across a raw system call of 20 ms, round
// after round, and complains about any that comes back changed. See round.S.
//
// usage: registers [MILLISECONDS]       one line: `ready PID LEVEL`, LEVEL being sse, avx or avx512

#include "victim.h"

#include <stddef.h>

#include "bank.h"

__attribute__((visibility("hidden"))) struct bank loaded __attribute__((aligned(64))), stored __attribute__((aligned(64)));
__attribute__((visibility("hidden"))) int vector_level;

_Static_assert(offsetof(struct bank, flags) == 128 && offsetof(struct bank, mxcsr) == 136, "round.S");
_Static_assert(offsetof(struct bank, x87_control) == 140 && offsetof(struct bank, x87_value) == 144, "round.S");
_Static_assert(offsetof(struct bank, red_zone) == 160 && offsetof(struct bank, opmask) == 288, "round.S");
_Static_assert(offsetof(struct bank, vector) == 384, "round.S");

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

// CF, PF, AF, ZF, SF, DF and OF.
enum { CHECKED_FLAGS = 0xcd5 };

static uint64_t next(void) {  // xorshift: any sequence without repetition will do
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void choose_values(void) {
    for (int i = 0; i < 16; i++) loaded.general[i] = next();
    for (int i = 0; i < 16; i++) loaded.red_zone[i] = next();
    for (int i = 0; i < 8; i++) loaded.opmask[i] = next() & 0xffff;
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 64; j++) loaded.vector[i][j] = (uint8_t)next();
    // The direction flag is clear at every call by convention; the trap flag and those above it aren't ours.
    loaded.flags = (next() & CHECKED_FLAGS & ~UINT64_C(0x400)) | 0x202;
    // All exceptions masked; rounding modes that aren't the default; on every other round "flush to zero" and sticky flags.
    loaded.mxcsr = 0x3f80 + ((next() & 1) ? 0x8025 : 0);
    loaded.x87_control = (next() & 1) ? 0x0e7f : 0x077f;
    long double value = 1.0L + (long double)(next() >> 8);
    memcpy(loaded.x87_value, &value, 10);
}

static void compare(const char *call) {
    for (int i = 0; i < 16; i++) {
        // What the system call instruction itself changes.
        if (i == RAX || i == RCX || i == R11) continue;
        if (stored.general[i] != loaded.general[i])
            victim_violation("%s: %s was %#llx and came back as %#llx", call, names[i], (unsigned long long)loaded.general[i],
                             (unsigned long long)stored.general[i]);
    }
    for (int i = 0; i < 16; i++)
        if (stored.red_zone[i] != loaded.red_zone[i]) victim_violation("%s: red zone at rsp%+d changed", call, -128 + 8 * i);
    if ((stored.flags ^ loaded.flags) & CHECKED_FLAGS)
        victim_violation("%s: flags were %#llx and came back as %#llx", call, (unsigned long long)loaded.flags, (unsigned long long)stored.flags);
    if (stored.mxcsr != loaded.mxcsr) victim_violation("%s: mxcsr was %#x and came back as %#x", call, loaded.mxcsr, stored.mxcsr);
    if (stored.x87_control != loaded.x87_control)
        victim_violation("%s: x87 control word was %#x and came back as %#x", call, loaded.x87_control, stored.x87_control);
    if (memcmp(stored.x87_value, loaded.x87_value, 10) != 0) victim_violation("%s: st(0) changed", call);
    int registers = vector_level == 2 ? 32 : 16;
    size_t size = (size_t)16 << vector_level;
    for (int i = 0; i < registers; i++)
        if (memcmp(stored.vector[i], loaded.vector[i], size) != 0)
            victim_violation("%s: %cmm%d changed", call, "xyz"[vector_level], i);
    for (int i = 0; vector_level == 2 && i < 8; i++)
        if (stored.opmask[i] != loaded.opmask[i]) victim_violation("%s: k%d changed", call, i);
}

int main(int count, char **arguments) {
    victim_start();
    int milliseconds = count > 1 ? atoi(arguments[1]) : 20;
    vector_level = __builtin_cpu_supports("avx512f") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;
    victim_resolver();
    victim_ready("%d %s", getpid(), vector_level == 2 ? "avx512" : vector_level == 1 ? "avx" : "sse");

    struct timespec time = victim_timespec(milliseconds * VICTIM_MILLISECOND);
    uint64_t rounds = 0;
    while (!victim_stopping) {
        const char *call = rounds % 2 ? "nanosleep" : "poll";
        choose_values();
        if (rounds % 2) {
            loaded.general[RAX] = SYS_nanosleep;
            loaded.general[RDI] = (uint64_t)(uintptr_t)&time;
            loaded.general[RSI] = 0;
        } else {
            loaded.general[RAX] = SYS_poll;
            loaded.general[RDI] = 0;
            loaded.general[RSI] = 0;
            // The kernel reads 32 bits of it: the rest is a pattern like all others.
            loaded.general[RDX] = (loaded.general[RDX] & ~UINT64_C(0xffffffff)) | (uint32_t)milliseconds;
        }
        int64_t started = victim_now();
        round_trip();
        if (victim_stopping && stored.general[RAX] == (uint64_t)-EINTR) break;
        compare(call);
        if (stored.general[RAX] != 0) victim_violation("%s returned %lld", call, (long long)stored.general[RAX]);
        victim_check_time(call, started, milliseconds * VICTIM_MILLISECOND, 0);
        rounds++;
    }
    victim_ok(rounds);
}
