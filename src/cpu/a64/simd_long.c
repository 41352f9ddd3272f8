/*
 * AdvSIMD three different: results of twice or half the size of the sources. Arm DDI 0487, "Advanced SIMD
 * three different" and "Advanced SIMD scalar three different".
 */
#include "cpu/a64/simd.h"

/* The instruction for U = 0 and for U = 1. Q chooses the half of the sources, or of the result. */
#define DIFFERENT(opcode, ident, op0, op1)                                                                 \
    A64("0 Q U 01110 size 1 Rm " opcode " 00 Rn Rd", ident)                                                \
    {                                                                                                      \
        if (simd_begin_any(t, f->size, SIMD_BHS)) {                                                        \
            simd_emit(t, f, f->U ? &simd_##op1 : &simd_##op0, simd_shape(f->size, f->Q));                  \
        }                                                                                                  \
    }

DIFFERENT("0000", addl, saddl, uaddl)
DIFFERENT("0001", addw, saddw, uaddw)
DIFFERENT("0010", subl, ssubl, usubl)
DIFFERENT("0011", subw, ssubw, usubw)
DIFFERENT("0100", addhn, addhn, raddhn)
DIFFERENT("0101", abal, sabal, uabal)
DIFFERENT("0110", subhn, subhn, rsubhn)
DIFFERENT("0111", abdl, sabdl, uabdl)
DIFFERENT("1000", mlal, smlal, umlal)
DIFFERENT("1010", mlsl, smlsl, umlsl)
DIFFERENT("1100", mull, smull, umull)

#define SATURATING(opcode, name)                                                                           \
    A64("0 Q 0 01110 size 1 Rm " opcode " 00 Rn Rd", name)                                                 \
    {                                                                                                      \
        if (simd_begin_any(t, f->size, SIMD_HS)) {                                                         \
            simd_emit(t, f, &simd_##name, simd_shape(f->size, f->Q));                                      \
        }                                                                                                  \
    }                                                                                                      \
    A64("01 0 11110 size 1 Rm " opcode " 00 Rn Rd", name##_scalar)                                         \
    {                                                                                                      \
        if (simd_begin_any(t, f->size, SIMD_HS)) {                                                         \
            simd_emit(t, f, &simd_##name, simd_one(f->size));                                              \
        }                                                                                                  \
    }

SATURATING("1001", sqdmlal)
SATURATING("1011", sqdmlsl)
SATURATING("1101", sqdmull)

/* PMULL, PMULL2 of bytes. */
A64("0 Q 0 01110 00 1 Rm 1110 00 Rn Rd", pmull)
{
    if (a64_fp_check(t)) {
        simd_emit(t, f, &simd_pmull, simd_shape(0, f->Q));
    }
}

/* Of 64-bit elements, into one of 128 bits. */
A64_FEAT("FEAT_PMULL", "0 Q 0 01110 11 1 Rm 1110 00 Rn Rd", pmull64)
{
    if (a64_fp_check(t)) {
        simd_emit(t, f, &simd_pmull64, simd_shape(3, f->Q));
    }
}
