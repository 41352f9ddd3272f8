/*
 * The oracle: an arm64 program that runs one instruction per record. fp_oracle IN OUT, arrays of OracleIn and
 * OracleOut. Built by the cross compiler, run by tests/diff/oracle.c.
 */
#include "tests/diff/oracle.h"

#include <stdio.h>

/* Loads v0 to v3, x1, x2 and FPCR from the record, clears x0, FPSR and NZCV, and stores what @insn left. */
#define EXECUTE(insn)                                                                        \
    __asm__ volatile("ldp q0, q1, [%0]\n ldp q2, q3, [%0, #32]\n"                            \
                     "ldp x1, x2, [%0, #64]\n ldr w3, [%0, #80]\n"                           \
                     "msr fpcr, x3\n msr fpsr, xzr\n msr nzcv, xzr\n mov x0, #0\n" insn "\n" \
                     "mrs x3, fpsr\n mrs x4, nzcv\n msr fpcr, xzr\n"                         \
                     "str q0, [%1]\n str x0, [%1, #16]\n stp w3, w4, [%1, #24]\n"            \
                     :                                                                       \
                     : "r"(in), "r"(out)                                                     \
                     : "x0", "x1", "x2", "x3", "x4", "v0", "v1", "v2", "v3", "cc", "memory")

#define ROW(name, insn, fmt, kind, value)                      \
    static void run_##name(const OracleIn *in, OracleOut *out) \
    {                                                          \
        EXECUTE(insn);                                         \
    }
#include "tests/diff/fp_ops.h"
#include "tests/diff/crypto_ops.h"
#undef ROW

#define ROW(name, insn, fmt, kind, value) run_##name,
static void (*const run[ORACLE_OPS])(const OracleIn *in, OracleOut *out) = {
#include "tests/diff/fp_ops.h"
#include "tests/diff/crypto_ops.h"
};

int main(int argc, char **argv)
{
    FILE     *in_file  = argc == 3 ? fopen(argv[1], "rb") : NULL;
    FILE     *out_file = argc == 3 ? fopen(argv[2], "wb") : NULL;
    OracleIn  in;

    if (in_file == NULL || out_file == NULL) {
        fprintf(stderr, "usage: fp_oracle IN OUT\n");
        return 2;
    }
    while (fread(&in, sizeof(in), 1, in_file) == 1) {
        OracleOut out = { 0 };

        if (in.op >= ORACLE_OPS) {
            return 3;
        }
        run[in.op](&in, &out);
        if (fwrite(&out, sizeof(out), 1, out_file) != 1) {
            return 4;
        }
    }
    return fclose(out_file) != 0;
}
