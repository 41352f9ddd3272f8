/*
 * Instruction sequences exchanged with the instruction oracle (insn_oracle.c, an arm64 program run by a
 * user-mode emulator): registers and code in, registers and memory out. Shared by guest and host, both
 * little-endian.
 */
#ifndef BAILEY_TESTS_DIFF_INSN_CASE_H
#define BAILEY_TESTS_DIFF_INSN_CASE_H

#include <stddef.h>
#include <stdint.h>

enum {
    INSN_CODE_BASE = 0x10000000,  /* where case 0 starts, in both worlds */
    INSN_SCRATCH = 0x18000000,    /* memory that loads and stores may touch */
    INSN_SCRATCH_SIZE = 16384,
    INSN_MIDDLE = INSN_SCRATCH + INSN_SCRATCH_SIZE / 2,
    INSN_WORDS = 16,              /* of a case's code, the last ones BRK */
    INSN_BRK = 0xd4200000,
};

/* How a sequence ended, named as the signal that a user program gets. */
enum { INSN_TRAP = 5 /* reached a BRK */, INSN_ILL = 4, INSN_BUS = 7, INSN_SEGV = 11,
       INSN_CHANGED = 99 /* here: the same ran twice, and ended otherwise */ };

typedef struct InsnState {
    uint64_t x[31], sp, pc;
    uint32_t nzcv;                /* bits 31:28 as in the system register */
    uint32_t fpcr, fpsr;
    uint32_t end;                 /* INSN_TRAP ... */
    uint64_t v[32][2];
    uint64_t memory;              /* checksum of the scratch memory */
} InsnState;

typedef struct InsnCase {
    InsnState in;
    uint32_t  code[INSN_WORDS];
} InsnCase;

/* The contents of scratch memory before case @n. */
static inline void insn_fill(uint64_t *scratch, uint64_t n)
{
    uint64_t v = n * 0x9e3779b97f4a7c15ull + 1;

    for (size_t i = 0; i < INSN_SCRATCH_SIZE / 8; i++) {
        v = v * 6364136223846793005ull + 1442695040888963407ull;
        scratch[i] = v;
    }
}

static inline uint64_t insn_checksum(const uint64_t *scratch)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < INSN_SCRATCH_SIZE / 8; i++) {
        sum = (sum ^ scratch[i]) * 0x100000001b3ull + (sum >> 29);
    }
    return sum;
}

#endif
