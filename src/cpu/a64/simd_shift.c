/*
 * AdvSIMD shift by immediate, vector and scalar, with the conversions to and from fixed point that share its
 * encoding. Arm DDI 0487, "Advanced SIMD shift by immediate" and "Advanced SIMD scalar shift by immediate".
 * The highest one of immh tells the element size; immh 0 is the modified immediate group.
 */
#include "cpu/a64/simd.h"

typedef struct Shift {
    unsigned size;        /* log2 of the element's bytes: of the narrow one where sizes differ */
    unsigned left, right; /* what the immediate means in either direction */
} Shift;

/* Decodes immh:immb and makes the checks; @sizes that are allocated. */
static bool begin_shift(A64Trans *t, const A64Fields *f, unsigned sizes, Shift *s)
{
    unsigned imm = f->immh << 3 | f->immb;

    if (f->immh == 0) {
        a64_undefined(t);
        return false;
    }
    s->size = 31 - (unsigned)__builtin_clz(f->immh);
    s->left = imm - (8u << s->size);
    s->right = (16u << s->size) - imm;
    return simd_begin_any(t, s->size, sizes);
}

/* Vector and scalar forms of the function that follows: @ty and @shape say which. */
#define BOTH_SHIFT(U, opcode, ident, scalar_sizes)                                                         \
    static void shift_##ident(A64Trans *t, const A64Fields *f, const Shift *s, IrType ty, SimdShape shape); \
    A64("0 Q " U " 011110 immh immb " opcode " 1 Rn Rd", ident##_imm)                                      \
    {                                                                                                      \
        Shift s;                                                                                           \
        if (begin_shift(t, f, f->Q ? SIMD_ALL : SIMD_BHS, &s)) {                                           \
            shift_##ident(t, f, &s, simd_type(f->Q), simd_shape(s.size, f->Q));                            \
        }                                                                                                  \
    }                                                                                                      \
    A64("01 " U " 111110 immh immb " opcode " 1 Rn Rd", ident##_imm_scalar)                                \
    {                                                                                                      \
        Shift s;                                                                                           \
        if (begin_shift(t, f, scalar_sizes, &s)) {                                                         \
            shift_##ident(t, f, &s, IR_V64, simd_one(s.size));                                             \
        }                                                                                                  \
    }                                                                                                      \
    static void shift_##ident(A64Trans *t, const A64Fields *f, const Shift *s, IrType ty, SimdShape shape)

/* ---- right ---- */

static IrRef shifted_right(A64Trans *t, const A64Fields *f, const Shift *s, IrType ty)
{
    return ir_opi(t->ir, f->U ? IR_vshri : IR_vsari, ty, a64_v(t, ty, f->Rn), 0, s->size | s->right << 4);
}

static void accumulate(A64Trans *t, const A64Fields *f, const Shift *s, IrType ty, IrRef v)
{
    a64_set_v(t, ty, f->Rd, ir_opi(t->ir, IR_vadd, ty, a64_v(t, ty, f->Rd), v, s->size));
}

/* SSHR, USHR. */
BOTH_SHIFT("U", "00000", shr, SIMD_D)
{
    a64_set_v(t, ty, f->Rd, shifted_right(t, f, s, ty));
}

/* SSRA, USRA. */
BOTH_SHIFT("U", "00010", sra, SIMD_D)
{
    accumulate(t, f, s, ty, shifted_right(t, f, s, ty));
}

/* SRSHR, URSHR. */
BOTH_SHIFT("U", "00100", rshr, SIMD_D)
{
    simd_emit(t, f, f->U ? &simd_urshr : &simd_srshr, simd_with(shape, s->right));
}

/* SRSRA, URSRA. */
BOTH_SHIFT("U", "00110", rsra, SIMD_D)
{
    IrRef v = ir_call(t->ir, f->U ? &simd_urshr : &simd_srshr, a64_v(t, IR_V128, f->Rn), 0, 0,
                      simd_with(shape, s->right));

    accumulate(t, f, s, ty, ty == IR_V64 ? ir_op1(t->ir, IR_vlow, IR_V64, v) : v);
}

BOTH_SHIFT("1", "01000", sri, SIMD_D)
{
    simd_emit_nd(t, f, &simd_sri, simd_with(shape, s->right));
}

/* ---- left ---- */

BOTH_SHIFT("0", "01010", shl, SIMD_D)
{
    IrRef v = ir_opi(t->ir, IR_vshli, ty, a64_v(t, ty, f->Rn), 0, s->size | s->left << 4);

    a64_set_v(t, ty, f->Rd, v);
}

BOTH_SHIFT("1", "01010", sli, SIMD_D)
{
    simd_emit_nd(t, f, &simd_sli, simd_with(shape, s->left));
}

BOTH_SHIFT("1", "01100", sqshlu, SIMD_ALL)
{
    simd_emit(t, f, &simd_sqshlu, simd_with(shape, s->left));
}

/* SQSHL, UQSHL (immediate). */
BOTH_SHIFT("U", "01110", qshl, SIMD_ALL)
{
    simd_emit(t, f, f->U ? &simd_uqshl_imm : &simd_sqshl_imm, simd_with(shape, s->left));
}

/* ---- narrowing: size is the result's, so immh above 7 is reserved ---- */

/* SHRN. */
A64("0 Q 0 011110 immh immb 10000 1 Rn Rd", shrn)
{
    Shift s;

    if (begin_shift(t, f, SIMD_BHS, &s)) {
        IrRef v = ir_opi(t->ir, IR_vshri, IR_V128, a64_v(t, IR_V128, f->Rn), 0, (s.size + 1) | s.right << 4);
        simd_set_half(t, f->Rd, f->Q, ir_opi(t->ir, IR_vuzp1, IR_V128, v, v, s.size));
    }
}

#define NARROWING(U, opcode, ident)                                                                        \
    A64("0 Q " U " 011110 immh immb " opcode " 1 Rn Rd", ident)                                            \
    {                                                                                                      \
        Shift s;                                                                                           \
        if (begin_shift(t, f, SIMD_BHS, &s)) {                                                             \
            simd_emit_nd(t, f, &simd_##ident, simd_with(simd_shape(s.size, f->Q), s.right));               \
        }                                                                                                  \
    }

#define BOTH_NARROWING(U, opcode, ident)                                                                   \
    NARROWING(U, opcode, ident)                                                                            \
    A64("01 " U " 111110 immh immb " opcode " 1 Rn Rd", ident##_scalar)                                    \
    {                                                                                                      \
        Shift s;                                                                                           \
        if (begin_shift(t, f, SIMD_BHS, &s)) {                                                             \
            simd_emit_nd(t, f, &simd_##ident, simd_with(simd_one(s.size), s.right));                       \
        }                                                                                                  \
    }

NARROWING("0", "10001", rshrn)
BOTH_NARROWING("1", "10000", sqshrun)
BOTH_NARROWING("1", "10001", sqrshrun)
BOTH_NARROWING("0", "10010", sqshrn)
BOTH_NARROWING("1", "10010", uqshrn)
BOTH_NARROWING("0", "10011", sqrshrn)
BOTH_NARROWING("1", "10011", uqrshrn)

/* SSHLL, USHLL; without a shift they are SXTL and UXTL. */
A64("0 Q U 011110 immh immb 10100 1 Rn Rd", shll_imm)
{
    Shift s;

    if (begin_shift(t, f, SIMD_BHS, &s)) {
        simd_emit(t, f, f->U ? &simd_ushll : &simd_sshll, simd_with(simd_shape(s.size, f->Q), s.left));
    }
}

/* ---- fixed point: the right shift is the number of fraction bits ---- */

static void convert_fixed(A64Trans *t, const A64Fields *f, const Shift *s, SimdShape shape, const IrHelper *h,
                          unsigned rounding)
{
    unsigned arg = rounding | (f->U ? SIMD_UNSIGNED : 0) | s->right << SIMD_FBITS_SHIFT;

    simd_emit(t, f, h, simd_with(shape, arg));
}

/* SCVTF, UCVTF (fixed-point). Half precision is FEAT_FP16, which this CPU has. */
#define FIXED(opcode, ident, helper, rounding)                                                             \
    A64("0 Q U 011110 immh immb " opcode " 1 Rn Rd", ident##_fixed)                                        \
    {                                                                                                      \
        Shift s;                                                                                           \
        if (begin_shift(t, f, f->Q ? SIMD_HS | SIMD_D : SIMD_HS, &s)) {                                    \
            convert_fixed(t, f, &s, simd_shape(s.size, f->Q), &simd_##helper, rounding);                   \
        }                                                                                                  \
    }                                                                                                      \
    A64("01 U 111110 immh immb " opcode " 1 Rn Rd", ident##_fixed_scalar)                                  \
    {                                                                                                      \
        Shift s;                                                                                           \
        if (begin_shift(t, f, SIMD_HS | SIMD_D, &s)) {                                                     \
            convert_fixed(t, f, &s, simd_one(s.size), &simd_##helper, rounding);                           \
        }                                                                                                  \
    }

FIXED("11100", cvtf, cvtf, SIMD_ROUND_CURRENT)
FIXED("11111", fcvtz, fcvt_int, FP_TOZERO)
