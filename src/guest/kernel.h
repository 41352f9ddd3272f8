/*
 * Where the Linux kernel is that a CPU runs, whatever addresses it chose when it started.
 */
#ifndef BAILEY_GUEST_KERNEL_H
#define BAILEY_GUEST_KERNEL_H

#include "cpu/a64/a64.h"

typedef struct GuestKernel {
    uint64_t text, ipa; /* of _text: virtual, and as stage 1 translates it */
    uint64_t size;      /* in memory, bytes */
    Pas      pas;       /* of @ipa */
} GuestKernel;

/**
 * guest_kernel_find - look for the image of the kernel of the CPU's current regime, by its header.
 * @addr: tried first: an address in the kernel's code; 0: only what the CPU's registers lead to is
 * Returns false when none is there: the kernel has not switched on its MMU yet, or something else runs.
 */
bool guest_kernel_find(A64Cpu *cpu, uint64_t addr, GuestKernel *out);

#endif
