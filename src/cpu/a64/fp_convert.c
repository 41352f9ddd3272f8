/*
 * Between floating-point and general registers: conversions to and from integers and fixed point, and FMOV.
 * Arm DDI 0487, "Conversion between floating-point and integer" and "Conversion between floating-point and
 * fixed-point".
 */
#include <string.h>

#include "bits.h"
#include "cpu/a64/fp_fast.h"
#include "cpu/a64/simd.h"

static const uint8_t sizes[4] = { 2, 3, 0, 1 }; /* log2 of the bytes of ftype's format; 0: reserved */

static uint64_t make_imm(const A64Fields *f, unsigned size, unsigned mode, bool is_unsigned, unsigned fbits)
{
    unsigned arg = mode | (is_unsigned ? SIMD_UNSIGNED : 0) | fbits << SIMD_FBITS_SHIFT;

    return simd_with(simd_one(size), arg) | (f->sf ? IR_FP_X64 : 0);
}

typedef struct Conversion {
    FpFmt      fmt;
    unsigned   width, fbits;
    bool       is_unsigned;
    FpRounding rounding;
} Conversion;

static inline Conversion take_imm(const FpEnv *env, uint64_t imm)
{
    unsigned arg = simd_arg(imm), mode = arg & SIMD_ROUND;

    return (Conversion){
        .fmt = (FpFmt)((imm & 3) - 1),
        .width = imm & IR_FP_X64 ? 64 : 32,
        .fbits = arg >> SIMD_FBITS_SHIFT & 0x7f,
        .is_unsigned = arg & SIMD_UNSIGNED,
        .rounding = mode == SIMD_ROUND_CURRENT ? fp_rounding(env) : (FpRounding)mode,
    };
}

static void do_fcvt_to_x(void *opaque, void *d, const void *a, const void *b, const void *c, uint64_t imm)
{
    A64Cpu          *cpu = opaque;
    FpEnv            env = { cpu->fpcr, cpu->fpsr };
    const Conversion v = take_imm(&env, imm);
    uint64_t         x;

    memcpy(&x, a, sizeof(x));
    x = fast_to_int(&env, v.fmt, x, v.width, v.fbits, v.is_unsigned, v.rounding);
    cpu->fpsr = env.fpsr;
    memcpy(d, &x, sizeof(x));
}

static void do_cvtf_from_x(void *opaque, void *d, const void *a, const void *b, const void *c, uint64_t imm)
{
    A64Cpu          *cpu = opaque;
    FpEnv            env = { cpu->fpcr, cpu->fpsr };
    const Conversion v = take_imm(&env, imm);
    uint64_t         r[2] = { 0 };

    memcpy(&r[0], a, sizeof(r[0]));
    r[0] = fast_from_int(&env, v.fmt, r[0], v.width, v.fbits, v.is_unsigned);
    cpu->fpsr = env.fpsr;
    memcpy(d, r, sizeof(r));
}

static const IrHelper fcvt_to_x = {
    "fcvt_to_x", IR_I64, 1, SIMD_FPSR, true, IR_INLINE_F_TO_X, SIMD_S | SIMD_D, .fn.vec = do_fcvt_to_x
};
static const IrHelper cvtf_from_x = {
    "cvtf_from_x", IR_V128, 1, SIMD_FPSR, true, IR_INLINE_X_TO_F, SIMD_S | SIMD_D, .fn.vec = do_cvtf_from_x
};

static void emit_to_x(A64Trans *t, const A64Fields *f, unsigned mode, bool is_unsigned, unsigned fbits)
{
    unsigned size = sizes[f->ftype];

    if (simd_begin_any(t, size, SIMD_HS | SIMD_D)) {
        uint64_t imm = make_imm(f, size, mode, is_unsigned, fbits);
        a64_set_x(t, IR_I64, f->Rd, simd_call(t, &fcvt_to_x, a64_v(t, IR_V128, f->Rn), 0, 0, imm));
    }
}

static void emit_from_x(A64Trans *t, const A64Fields *f, bool is_unsigned, unsigned fbits)
{
    unsigned size = sizes[f->ftype];

    if (simd_begin_any(t, size, SIMD_HS | SIMD_D)) {
        uint64_t imm = make_imm(f, size, SIMD_ROUND_CURRENT, is_unsigned, fbits);
        a64_set_v(t, IR_V128, f->Rd, simd_call(t, &cvtf_from_x, a64_x(t, IR_I64, f->Rn), 0, 0, imm));
    }
}

/* ---- integers; U is the low bit of opcode: unsigned ---- */

/* FCVTNS, FCVTPS, FCVTMS, FCVTZS and unsigned: rmode is in the order of FpRounding. */
A64("sf 0011110 ftype 1 rmode 00 U 000000 Rn Rd", fcvt_int)
{
    emit_to_x(t, f, f->rmode, f->U, 0);
}

/* SCVTF, UCVTF. */
A64("sf 0011110 ftype 1 00 01 U 000000 Rn Rd", cvtf_int)
{
    emit_from_x(t, f, f->U, 0);
}

/* FCVTAS, FCVTAU. */
A64("sf 0011110 ftype 1 00 10 U 000000 Rn Rd", fcvta)
{
    emit_to_x(t, f, FP_TIEAWAY, f->U, 0);
}

/* FJCVTZS: Z tells whether the conversion was exact. */
static uint64_t do_fjcvtzs(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    A64Cpu  *cpu = opaque;
    FpEnv    env = { cpu->fpcr, cpu->fpsr };
    bool     z;
    uint64_t r = fp_to_int_js(&env, a, &z);

    cpu->fpsr = env.fpsr;
    return r | (z ? BIT(32) : 0);
}

static const IrHelper fjcvtzs = { "fjcvtzs", IR_I64, 1, SIMD_FPSR, .fn.scalar = do_fjcvtzs };

A64_FEAT("FEAT_JSCVT", "0 0011110 01 1 11 110 000000 Rn Rd", fjcvtzs)
{
    if (!a64_fp_check(t)) {
        return;
    }
    IrRef v = ir_call(t->ir, &fjcvtzs, a64_v(t, IR_I64, f->Rn), 0, 0, 0);
    IrRef z = ir_opi(t->ir, IR_bfx, IR_I64, v, 0, 32 | 1 << 8);
    IrRef bits = ir_op2(t->ir, IR_shl, IR_I32, ir_trunc(t->ir, IR_I32, z), ir_const(t->ir, IR_I32, 2));
    a64_set_x(t, IR_I32, f->Rd, ir_trunc(t->ir, IR_I32, v));
    a64_set_nzcv(t, ir_flags_unpack(t->ir, bits)); /* IR_PACK_Z is 4 */
}

/* ---- fixed point: 64 - scale fraction bits ---- */

static bool scale_is_reserved(const A64Fields *f)
{
    return !f->sf && f->scale < 32;
}

/* FCVTZS, FCVTZU (fixed-point). */
A64("sf 0011110 ftype 0 11 00 U scale Rn Rd", fcvtz_fixed)
{
    if (scale_is_reserved(f)) {
        return a64_undefined(t);
    }
    emit_to_x(t, f, FP_TOZERO, f->U, 64 - f->scale);
}

/* SCVTF, UCVTF (fixed-point). */
A64("sf 0011110 ftype 0 00 01 U scale Rn Rd", cvtf_fixed)
{
    if (scale_is_reserved(f)) {
        return a64_undefined(t);
    }
    emit_from_x(t, f, f->U, 64 - f->scale);
}

/* ---- FMOV (general): bits; op is the direction, 1 into the vector register ---- */

#define FMOV(sf_bit, ftype_bits, ident, V, X)                                                              \
    A64(sf_bit " 0011110 " ftype_bits " 1 00 11 op 000000 Rn Rd", ident)                                   \
    {                                                                                                      \
        if (!a64_fp_check(t)) {                                                                            \
            return;                                                                                        \
        }                                                                                                  \
        if (f->op) {                                                                                       \
            a64_set_v(t, V, f->Rd, ir_trunc(t->ir, V, a64_x(t, X, f->Rn)));                                \
        } else {                                                                                           \
            a64_set_x(t, X, f->Rd, ir_zext(t->ir, X, a64_v(t, V, f->Rn)));                                 \
        }                                                                                                  \
    }

FMOV("0", "00", fmov_w_s, IR_I32, IR_I32)
FMOV("1", "01", fmov_x_d, IR_I64, IR_I64)
FMOV("0", "11", fmov_w_h, IR_I16, IR_I32)
FMOV("1", "11", fmov_x_h, IR_I16, IR_I64)

/* The upper half of a vector register. */
A64("1 0011110 10 1 01 11 op 000000 Rn Rd", fmov_x_high)
{
    enum { LANE_1_OF_64 = 1 << 4 | 3 };

    if (!a64_fp_check(t)) {
        return;
    }
    if (f->op) {
        IrRef d = a64_v(t, IR_V128, f->Rd), x = a64_x(t, IR_I64, f->Rn);
        a64_set_v(t, IR_V128, f->Rd, ir_opi(t->ir, IR_vset, IR_V128, d, x, LANE_1_OF_64));
    } else {
        a64_set_x(t, IR_I64, f->Rd, ir_op1(t->ir, IR_hi64, IR_I64, a64_v(t, IR_V128, f->Rn)));
    }
}
