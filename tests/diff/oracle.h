/*
 * Operand records exchanged with the oracle, a small arm64 program (fp_oracle.c) run by a user-mode emulator:
 * each names one instruction, runs it on given registers and returns what it left. Shared by guest and host,
 * both little-endian.
 */
#ifndef BAILEY_TESTS_DIFF_ORACLE_H
#define BAILEY_TESTS_DIFF_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The instruction table names each row once; guest and host take the columns they need. */
typedef enum OracleOp {
#define ROW(name, insn, fmt, out, value) OP_##name,
#include "tests/diff/fp_ops.h"
#include "tests/diff/crypto_ops.h"
#undef ROW
    ORACLE_OPS
} OracleOp;

typedef struct OracleIn {
    uint64_t q[4][2];                          /* v0 to v3 before the instruction, which may change v0 */
    uint64_t x1, x2;
    uint32_t fpcr, op;
} OracleIn;

typedef struct OracleOut {
    uint64_t q0[2], x0;
    uint32_t fpsr, nzcv;                       /* nzcv as the system register: bits 31 to 28 */
} OracleOut;

/**
 * oracle_run - run instructions on the oracle.
 * @in, @out: @n records each
 * Returns false, having printed why, when this machine has no oracle: a test then skips. A broken oracle
 * fails the running test.
 */
bool oracle_run(const OracleIn *in, OracleOut *out, size_t n);

/* A fixed-seed generator for operands (SplitMix64). */
static inline uint64_t oracle_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

#endif
