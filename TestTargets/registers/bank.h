// The contents of the processor's registers, as round.S loads and stores them. The offsets are repeated there.

#ifndef BANK_H
#define BANK_H

#include <stdint.h>

struct bank {
    uint64_t general[16];      //    0: rax (call number, then result) rcx rdx rbx rsp rbp rsi rdi r8 ... r15
    uint64_t flags;            //  128
    uint32_t mxcsr;            //  136
    uint16_t x87_control;      //  140
    uint16_t padding;
    uint8_t x87_value[16];     //  144: ten bytes of st(0)
    uint64_t red_zone[16];     //  160
    uint64_t opmask[8];        //  288
    uint8_t padding2[32];
    uint8_t vector[32][64];    //  384: as much of each as the processor has
};

extern struct bank loaded, stored;

// How much of the vector registers there is: 0 xmm0-15, 1 ymm0-15, 2 zmm0-31 and k0-7.
extern int vector_level;

// Loads `loaded`, makes the system call, stores what the registers hold then in `stored`.
void round_trip(void);

#endif
