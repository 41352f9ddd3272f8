/*
 * Scalar floating point: data processing of one, two and three sources, comparison, selection, immediates.
 * Arm DDI 0487, "Floating-point data-processing (1 source)" to "(3 source)", "Floating-point compare", "...
 * conditional compare", "... conditional select", "... immediate". The arithmetic is in simd_fp.c. Left out:
 * FEAT_BF16.
 */
#include <string.h>

#include "bits.h"
#include "cpu/a64/fp_fast.h"
#include "cpu/a64/simd.h"

/* log2 of the bytes of ftype's format. FEAT_FP16 is there. @return false: reserved, and UNDEFINED has been
 * emitted. */
static bool begin(A64Trans *t, const A64Fields *f, unsigned *size)
{
    static const uint8_t sizes[4] = { 2, 3, 0, 1 };

    *size = sizes[f->ftype];
    return simd_begin_any(t, *size, SIMD_HS | SIMD_D);
}

/* ---- arithmetic ---- */

/* The copies of a helper for one lane of single and double precision; else the general one. */
#define HOT(name, size) ((size) == 2 ? &simd_##name##_s : (size) == 3 ? &simd_##name##_d : &simd_##name)

#define ARITHMETIC(pattern, ident, helper, arg)                                                            \
    A64("00011110 ftype 1 " pattern " Rn Rd", ident)                                                       \
    {                                                                                                      \
        unsigned size;                                                                                     \
        if (begin(t, f, &size)) {                                                                          \
            simd_emit(t, f, helper, simd_with(simd_one(size), arg));                                       \
        }                                                                                                  \
    }

ARITHMETIC("Rm 0000 10", fmul, HOT(fmul, size), 0)
ARITHMETIC("Rm 0001 10", fdiv, HOT(fdiv, size), 0)
ARITHMETIC("Rm 0010 10", fadd, HOT(fadd, size), 0)
ARITHMETIC("Rm 0011 10", fsub, HOT(fsub, size), 0)
ARITHMETIC("Rm 0100 10", fmax, &simd_fmax, 0)
ARITHMETIC("Rm 0101 10", fmin, &simd_fmin, 0)
ARITHMETIC("Rm 0110 10", fmaxnm, &simd_fmaxnm, 0)
ARITHMETIC("Rm 0111 10", fminnm, &simd_fminnm, 0)
ARITHMETIC("Rm 1000 10", fnmul, &simd_fnmul, 0)

ARITHMETIC("000011 10000", fsqrt, HOT(fsqrt, size), 0)
ARITHMETIC("001000 10000", frintn, &simd_frint, FP_TIEEVEN)
ARITHMETIC("001001 10000", frintp, &simd_frint, FP_POSINF)
ARITHMETIC("001010 10000", frintm, &simd_frint, FP_NEGINF)
ARITHMETIC("001011 10000", frintz, &simd_frint, FP_TOZERO)
ARITHMETIC("001100 10000", frinta, &simd_frint, FP_TIEAWAY)
ARITHMETIC("001110 10000", frintx, &simd_frint, SIMD_ROUND_CURRENT | SIMD_ROUND_EXACT)
ARITHMETIC("001111 10000", frinti, &simd_frint, SIMD_ROUND_CURRENT)

/* FRINT32Z, FRINT32X, FRINT64Z, FRINT64X: single and double only. */
#define FRINT_N(opcode, ident, mode, bits)                                                                 \
    A64_FEAT("FEAT_FRINTTS", "00011110 0 sz 1 " opcode " 10000 Rn Rd", ident)                              \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            SimdShape shape = simd_with(simd_one(2 + f->sz), (mode) | (bits) << SIMD_FBITS_SHIFT);         \
            simd_emit(t, f, &simd_frint_n, shape);                                                         \
        }                                                                                                  \
    }

FRINT_N("010000", frint32z, FP_TOZERO, 32)
FRINT_N("010001", frint32x, SIMD_ROUND_CURRENT, 32)
FRINT_N("010010", frint64z, FP_TOZERO, 64)
FRINT_N("010011", frint64x, SIMD_ROUND_CURRENT, 64)

/* FCVT between half, single and double; opc names the result's format as ftype does. */
A64("00011110 ftype 1 0001 opc 10000 Rn Rd", fcvt)
{
    static const uint8_t sizes[4] = { 2, 3, 0, 1 };
    unsigned             size;

    if (f->opc == f->ftype || f->opc == 2) {
        return a64_undefined(t);
    }
    if (begin(t, f, &size)) {
        simd_emit(t, f, &simd_fcvt, simd_with(simd_one(size), sizes[f->opc]));
    }
}

/* Rd = (-)Ra + (-)Rn * Rm. */
static void multiply_add(A64Trans *t, const A64Fields *f, const IrHelper *h, unsigned size)
{
    IrRef n = a64_v(t, IR_V128, f->Rn), m = a64_v(t, IR_V128, f->Rm), a = a64_v(t, IR_V128, f->Ra);

    a64_set_v(t, IR_V128, f->Rd, simd_call(t, h, n, m, a, simd_one(size)));
}

#define MULTIPLY_ADD(o1_bit, o0_bit, ident, helper)                                                        \
    A64("00011111 ftype " o1_bit " Rm " o0_bit " Ra Rn Rd", ident)                                         \
    {                                                                                                      \
        unsigned size;                                                                                     \
        if (begin(t, f, &size)) {                                                                          \
            multiply_add(t, f, helper, size);                                                              \
        }                                                                                                  \
    }

MULTIPLY_ADD("0", "0", fmadd, HOT(fmla, size))
MULTIPLY_ADD("0", "1", fmsub, HOT(fmls, size))
MULTIPLY_ADD("1", "0", fnmadd, &simd_fnmadd)
MULTIPLY_ADD("1", "1", fnmsub, &simd_fnmsub)

/* ---- moves of bits ---- */

static IrType int_type(unsigned size)
{
    return size == 3 ? IR_I64 : size == 2 ? IR_I32 : IR_I16;
}

A64("00011110 ftype 1 000000 10000 Rn Rd", fmov_register)
{
    unsigned size;

    if (begin(t, f, &size)) {
        simd_emit(t, f, &simd_fmov, simd_one(size));
    }
}

A64("00011110 ftype 1 000001 10000 Rn Rd", fabs)
{
    unsigned size;

    if (begin(t, f, &size)) {
        simd_emit(t, f, &simd_fabs, simd_one(size));
    }
}

A64("00011110 ftype 1 000010 10000 Rn Rd", fneg)
{
    unsigned size;

    if (begin(t, f, &size)) {
        simd_emit(t, f, &simd_fneg, simd_one(size));
    }
}

A64("00011110 ftype 1 imm8 100 00000 Rd", fmov_imm)
{
    unsigned size;

    if (begin(t, f, &size)) {
        uint64_t imm = fp_expand_imm((FpFmt)(size - 1), (uint8_t)f->imm8);
        a64_set_v(t, IR_I64, f->Rd, ir_const(t->ir, IR_I64, imm));
    }
}

A64("00011110 ftype 1 Rm cond 11 Rn Rd", fcsel)
{
    unsigned size;

    if (begin(t, f, &size)) {
        IrType ty = int_type(size);
        IrRef  cond = a64_cond(t, f->cond);
        IrRef  v = ir_select(t->ir, IR_I64, cond, a64_v(t, IR_I64, f->Rn), a64_v(t, IR_I64, f->Rm));
        a64_set_v(t, ty, f->Rd, ir_trunc(t->ir, ty, v));
    }
}

/* ---- comparison ---- */

static void compare(A64Cpu *cpu, void *d, uint64_t a, uint64_t b, uint64_t imm)
{
    FpEnv    env = { cpu->fpcr, cpu->fpsr };
    uint32_t nzcv = fast_compare(&env, (FpFmt)((imm & 3) - 1), a, b, imm & IR_FP_SIGNAL_NAN);

    cpu->fpsr = env.fpsr;
    memcpy(d, &nzcv, sizeof(nzcv));
}

static uint64_t lane(const void *v)
{
    uint64_t x;

    memcpy(&x, v, sizeof(x));
    return x;
}

static void do_fcmp(void *cpu, void *d, const void *a, const void *b, const void *c, uint64_t imm)
{
    compare(cpu, d, lane(a), lane(b), imm);
}

static void do_fcmp0(void *cpu, void *d, const void *a, const void *b, const void *c, uint64_t imm)
{
    compare(cpu, d, lane(a), 0, imm);
}

/* FCCMP: @c tells whether the condition holds. */
static void do_fccmp(void *cpu, void *d, const void *a, const void *b, const void *c, uint64_t imm)
{
    uint32_t holds, nzcv = (uint32_t)(imm >> IR_FP_ELSE_SHIFT);

    memcpy(&holds, c, sizeof(holds));
    if (holds) {
        compare(cpu, d, lane(a), lane(b), imm);
    } else {
        memcpy(d, &nzcv, sizeof(nzcv));
    }
}

#define COMPARE(ident, args)                                                                                           \
    static const IrHelper ident = {                                                                                    \
        #ident, IR_I32, args, SIMD_FPSR, true, IR_INLINE_FCMP, SIMD_S | SIMD_D, .fn.vec = do_##ident                   \
    }

COMPARE(fcmp, 2);
COMPARE(fcmp0, 1);
COMPARE(fccmp, 3);

static void emit_compare(A64Trans *t, const A64Fields *f, bool with_zero, bool signal)
{
    unsigned size;

    if (!begin(t, f, &size)) {
        return;
    }
    IrRef a = a64_v(t, IR_V128, f->Rn);
    IrRef b = with_zero ? 0 : a64_v(t, IR_V128, f->Rm);
    IrRef nzcv = simd_call(t, with_zero ? &fcmp0 : &fcmp, a, b, 0, simd_one(size) | (signal ? IR_FP_SIGNAL_NAN : 0));
    a64_set_nzcv(t, ir_flags_unpack(t->ir, nzcv));
}

/* FCMP, FCMPE; with zero (Rm is then ignored). */
A64("00011110 ftype 1 Rm 001000 Rn op 0 000", fcmp)
{
    emit_compare(t, f, false, f->op);
}

A64("00011110 ftype 1 Rm 001000 Rn op 1 000", fcmp_zero)
{
    emit_compare(t, f, true, f->op);
}

/* FCCMP, FCCMPE. */
A64("00011110 ftype 1 Rm cond 01 Rn op nzcv", fccmp)
{
    unsigned size;

    if (begin(t, f, &size)) {
        uint64_t imm = simd_one(size) | (f->op ? IR_FP_SIGNAL_NAN : 0) | f->nzcv << IR_FP_ELSE_SHIFT;
        IrRef    cond = a64_cond(t, f->cond);
        IrRef    v = simd_call(t, &fccmp, a64_v(t, IR_V128, f->Rn), a64_v(t, IR_V128, f->Rm), cond, imm);
        a64_set_nzcv(t, ir_flags_unpack(t->ir, v));
    }
}
