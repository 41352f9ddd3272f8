/*
 * AdvSIMD two-register miscellaneous, across lanes and scalar pairwise, in vector and scalar form, integer
 * and floating point. Arm DDI 0487, "Advanced SIMD two-register miscellaneous", "... (FP16)", "Advanced SIMD
 * across lanes", "Advanced SIMD scalar two-register miscellaneous", "... (FP16)", "Advanced SIMD scalar
 * pairwise", "... (FP16)". Left out: FEAT_BF16.
 */
#include "cpu/a64/simd.h"

/* ---- integers: whole lanes ---- */

#define VECTOR_MISC(U, opcode, ident, helper, sizes)                                                       \
    A64("0 Q " U " 01110 size 10000 " opcode " 10 Rn Rd", ident)                                           \
    {                                                                                                      \
        if (simd_begin(t, f->size, f->Q, sizes)) {                                                         \
            simd_emit(t, f, &simd_##helper, simd_shape(f->size, f->Q));                                    \
        }                                                                                                  \
    }

VECTOR_MISC("0", "00100", cls_vector, cls, SIMD_BHS)
VECTOR_MISC("1", "00100", clz_vector, clz, SIMD_BHS)
VECTOR_MISC("0", "00101", cnt, cnt, SIMD_B)
VECTOR_MISC("0", "00010", saddlp, saddlp, SIMD_BHS)
VECTOR_MISC("1", "00010", uaddlp, uaddlp, SIMD_BHS)

/* Elements reversed within containers of 8 << container bytes' width. */
static void reverse(A64Trans *t, const A64Fields *f, unsigned container)
{
    if (simd_begin(t, f->size, f->Q, (1u << container) - 1)) {
        simd_emit(t, f, &simd_rev, simd_with(simd_shape(f->size, f->Q), container - f->size));
    }
}

A64("0 Q 0 01110 size 10000 00000 10 Rn Rd", rev64_vector)
{
    reverse(t, f, 3);
}

A64("0 Q 1 01110 size 10000 00000 10 Rn Rd", rev32_vector)
{
    reverse(t, f, 2);
}

A64("0 Q 0 01110 size 10000 00001 10 Rn Rd", rev16_vector)
{
    reverse(t, f, 1);
}

/* NOT, and with size 1 RBIT, both of bytes. */
A64("0 Q 1 01110 size 10000 00101 10 Rn Rd", not_rbit)
{
    if (!simd_begin(t, f->size, f->Q, SIMD_B | SIMD_H)) {
        return;
    }
    if (f->size == 0) {
        simd_op1(t, f, IR_vnot, simd_type(f->Q), 0);
    } else {
        simd_emit(t, f, &simd_rbit, simd_shape(0, f->Q));
    }
}

/* SADALP, UADALP. */
A64("0 Q U 01110 size 10000 00110 10 Rn Rd", adalp)
{
    if (simd_begin(t, f->size, f->Q, SIMD_BHS)) {
        simd_emit_nd(t, f, f->U ? &simd_uadalp : &simd_sadalp, simd_shape(f->size, f->Q));
    }
}

/* SUQADD, USQADD: add to Rd. */
A64("0 Q U 01110 size 10000 00011 10 Rn Rd", suqadd)
{
    if (simd_begin(t, f->size, f->Q, SIMD_ALL)) {
        simd_emit_nd(t, f, f->U ? &simd_usqadd : &simd_suqadd, simd_shape(f->size, f->Q));
    }
}

A64("01 U 11110 size 10000 00011 10 Rn Rd", suqadd_scalar)
{
    if (a64_fp_check(t)) {
        simd_emit_nd(t, f, f->U ? &simd_usqadd : &simd_suqadd, simd_one(f->size));
    }
}

/* SQABS, SQNEG. */
A64("0 Q U 01110 size 10000 00111 10 Rn Rd", sqabs)
{
    if (simd_begin(t, f->size, f->Q, SIMD_ALL)) {
        simd_emit(t, f, f->U ? &simd_sqneg : &simd_sqabs, simd_shape(f->size, f->Q));
    }
}

A64("01 U 11110 size 10000 00111 10 Rn Rd", sqabs_scalar)
{
    if (a64_fp_check(t)) {
        simd_emit(t, f, f->U ? &simd_sqneg : &simd_sqabs, simd_one(f->size));
    }
}

/* ---- by IR operations: comparisons with zero, ABS, NEG ---- */

typedef enum ZeroOp { GT_ZERO, GE_ZERO, EQ_ZERO, LE_ZERO, LT_ZERO, ABS_ZERO, NEG_ZERO } ZeroOp;

static void emit_zero_op(A64Trans *t, const A64Fields *f, ZeroOp op, IrType ty, unsigned size)
{
    IrRef n = a64_v(t, ty, f->Rn), r;

    if (op == ABS_ZERO || op == NEG_ZERO) {
        r = ir_opi(t->ir, op == ABS_ZERO ? IR_vabs : IR_vneg, ty, n, 0, size);
    } else {
        IrRef zero = ir_const(t->ir, ty, 0);
        bool  swap = op == LE_ZERO || op == LT_ZERO;
        IrOp  cmp = op == EQ_ZERO ? IR_vcmpeq : op == GT_ZERO || op == LT_ZERO ? IR_vcmpgts : IR_vcmpges;
        r = ir_opi(t->ir, cmp, ty, swap ? zero : n, swap ? n : zero, size);
    }
    a64_set_v(t, ty, f->Rd, r);
}

#define ZERO_OP(U, opcode, ident, kind)                                                                    \
    A64("0 Q " U " 01110 size 10000 " opcode " 10 Rn Rd", ident)                                           \
    {                                                                                                      \
        if (simd_begin(t, f->size, f->Q, SIMD_ALL)) {                                                      \
            emit_zero_op(t, f, kind, simd_type(f->Q), f->size);                                            \
        }                                                                                                  \
    }                                                                                                      \
    A64("01 " U " 11110 11 10000 " opcode " 10 Rn Rd", ident##_scalar)                                     \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            emit_zero_op(t, f, kind, IR_V64, 3);                                                           \
        }                                                                                                  \
    }

ZERO_OP("0", "01000", cmgt_zero, GT_ZERO)
ZERO_OP("1", "01000", cmge_zero, GE_ZERO)
ZERO_OP("0", "01001", cmeq_zero, EQ_ZERO)
ZERO_OP("1", "01001", cmle_zero, LE_ZERO)
ZERO_OP("0", "01010", cmlt_zero, LT_ZERO)
ZERO_OP("0", "01011", abs_vector, ABS_ZERO)
ZERO_OP("1", "01011", neg_vector, NEG_ZERO)

/* ---- narrowing and lengthening ---- */

/* XTN: the even lanes of the narrow size. */
A64("0 Q 0 01110 size 10000 10010 10 Rn Rd", xtn)
{
    if (simd_begin_any(t, f->size, SIMD_BHS)) {
        IrRef n = a64_v(t, IR_V128, f->Rn);
        simd_set_half(t, f->Rd, f->Q, ir_opi(t->ir, IR_vuzp1, IR_V128, n, n, f->size));
    }
}

#define NARROWING(U, opcode, ident)                                                                        \
    A64("0 Q " U " 01110 size 10000 " opcode " 10 Rn Rd", ident)                                           \
    {                                                                                                      \
        if (simd_begin_any(t, f->size, SIMD_BHS)) {                                                        \
            simd_emit_nd(t, f, &simd_##ident, simd_shape(f->size, f->Q));                                  \
        }                                                                                                  \
    }                                                                                                      \
    A64("01 " U " 11110 size 10000 " opcode " 10 Rn Rd", ident##_scalar)                                   \
    {                                                                                                      \
        if (simd_begin_any(t, f->size, SIMD_BHS)) {                                                        \
            simd_emit_nd(t, f, &simd_##ident, simd_one(f->size));                                          \
        }                                                                                                  \
    }

NARROWING("1", "10010", sqxtun)
NARROWING("0", "10100", sqxtn)
NARROWING("1", "10100", uqxtn)

/* SHLL: by the width of the source elements. */
A64("0 Q 1 01110 size 10000 10011 10 Rn Rd", shll)
{
    if (simd_begin_any(t, f->size, SIMD_BHS)) {
        simd_emit(t, f, &simd_ushll, simd_with(simd_shape(f->size, f->Q), 8u << f->size));
    }
}

/* URECPE, URSQRTE. */
A64("0 Q U 01110 10 10000 11100 10 Rn Rd", urecpe)
{
    if (a64_fp_check(t)) {
        simd_emit(t, f, f->U ? &simd_ursqrte : &simd_urecpe, simd_shape(2, f->Q));
    }
}

/* ---- floating point ---- */

static void fp_vector(A64Trans *t, const A64Fields *f, unsigned size, const IrHelper *h, unsigned arg)
{
    if (simd_begin(t, size, f->Q, SIMD_ALL)) {
        simd_emit(t, f, h, simd_with(simd_shape(size, f->Q), arg));
    }
}

static void fp_scalar(A64Trans *t, const A64Fields *f, unsigned size, const IrHelper *h, unsigned arg)
{
    if (a64_fp_check(t)) {
        simd_emit(t, f, h, simd_with(simd_one(size), arg));
    }
}

/* The encodings of single and double, and of half precision; @a is bit 23. */
#define FP_FORMS(form, top, a, opcode, ident, helper, arg)                                                 \
    A64(top "1110 " a " sz 10000 " opcode " 10 Rn Rd", ident)                                              \
    {                                                                                                      \
        form(t, f, 2 + f->sz, &simd_##helper, arg);                                                        \
    }                                                                                                      \
    A64_FEAT("FEAT_FP16", top "1110 " a " 111100 " opcode " 10 Rn Rd", ident##_half)                       \
    {                                                                                                      \
        form(t, f, 1, &simd_##helper, arg);                                                                \
    }

#define FP_VECTOR(U, a, opcode, ident, helper, arg)                                                        \
    FP_FORMS(fp_vector, "0 Q " U " 0", a, opcode, ident##_vector, helper, arg)
#define FP_SCALAR(U, a, opcode, ident, helper, arg)                                                        \
    FP_FORMS(fp_scalar, "01 " U " 1", a, opcode, ident##_scalar, helper, arg)
#define FP_BOTH(U, a, opcode, ident, helper, arg)                                                          \
    FP_VECTOR(U, a, opcode, ident, helper, arg)                                                            \
    FP_SCALAR(U, a, opcode, ident, helper, arg)

FP_BOTH("0", "1", "01100", fcmgt_zero, fcmgt0, 0)
FP_BOTH("1", "1", "01100", fcmge_zero, fcmge0, 0)
FP_BOTH("0", "1", "01101", fcmeq_zero, fcmeq0, 0)
FP_BOTH("1", "1", "01101", fcmle_zero, fcmle0, 0)
FP_BOTH("0", "1", "01110", fcmlt_zero, fcmlt0, 0)

FP_VECTOR("0", "0", "11000", frintn, frint, FP_TIEEVEN)
FP_VECTOR("1", "0", "11000", frinta, frint, FP_TIEAWAY)
FP_VECTOR("0", "0", "11001", frintm, frint, FP_NEGINF)
FP_VECTOR("1", "0", "11001", frintx, frint, SIMD_ROUND_CURRENT | SIMD_ROUND_EXACT)
FP_VECTOR("0", "1", "11000", frintp, frint, FP_POSINF)
FP_VECTOR("0", "1", "11001", frintz, frint, FP_TOZERO)
FP_VECTOR("1", "1", "11001", frinti, frint, SIMD_ROUND_CURRENT)

FP_BOTH("0", "0", "11010", fcvtns, fcvt_int, FP_TIEEVEN)
FP_BOTH("1", "0", "11010", fcvtnu, fcvt_int, FP_TIEEVEN | SIMD_UNSIGNED)
FP_BOTH("0", "0", "11011", fcvtms, fcvt_int, FP_NEGINF)
FP_BOTH("1", "0", "11011", fcvtmu, fcvt_int, FP_NEGINF | SIMD_UNSIGNED)
FP_BOTH("0", "0", "11100", fcvtas, fcvt_int, FP_TIEAWAY)
FP_BOTH("1", "0", "11100", fcvtau, fcvt_int, FP_TIEAWAY | SIMD_UNSIGNED)
FP_BOTH("0", "1", "11010", fcvtps, fcvt_int, FP_POSINF)
FP_BOTH("1", "1", "11010", fcvtpu, fcvt_int, FP_POSINF | SIMD_UNSIGNED)
FP_BOTH("0", "1", "11011", fcvtzs, fcvt_int, FP_TOZERO)
FP_BOTH("1", "1", "11011", fcvtzu, fcvt_int, FP_TOZERO | SIMD_UNSIGNED)
FP_BOTH("0", "0", "11101", scvtf, cvtf, SIMD_ROUND_CURRENT)
FP_BOTH("1", "0", "11101", ucvtf, cvtf, SIMD_ROUND_CURRENT | SIMD_UNSIGNED)

FP_BOTH("0", "1", "11101", frecpe, frecpe, 0)
FP_BOTH("1", "1", "11101", frsqrte, frsqrte, 0)
FP_SCALAR("0", "1", "11111", frecpx, frecpx, 0)
FP_VECTOR("1", "1", "11111", fsqrt, fsqrt, 0)

/* FRINT32Z, FRINT32X, FRINT64Z, FRINT64X: not in half precision. */
#define FRINT_N(U, opcode, ident, mode, bits)                                                              \
    A64_FEAT("FEAT_FRINTTS", "0 Q " U " 01110 0 sz 10000 " opcode " 10 Rn Rd", ident##_vector)             \
    {                                                                                                      \
        fp_vector(t, f, 2 + f->sz, &simd_frint_n, (mode) | (bits) << SIMD_FBITS_SHIFT);                    \
    }

FRINT_N("0", "11110", frint32z, FP_TOZERO, 32)
FRINT_N("1", "11110", frint32x, SIMD_ROUND_CURRENT, 32)
FRINT_N("0", "11111", frint64z, FP_TOZERO, 64)
FRINT_N("1", "11111", frint64x, SIMD_ROUND_CURRENT, 64)

/* FABS, FNEG: bits only. */
static void fp_sign(A64Trans *t, const A64Fields *f, unsigned size)
{
    IrType ty = simd_type(f->Q);

    if (!simd_begin(t, size, f->Q, SIMD_ALL)) {
        return;
    }
    IrRef sign = ir_const(t->ir, IR_I64, 1ull << ((8u << size) - 1));
    sign = ir_opi(t->ir, IR_vdup, ty, sign, 0, size);
    a64_set_v(t, ty, f->Rd, ir_op2(t->ir, f->U ? IR_vxor : IR_vandn, ty, a64_v(t, ty, f->Rn), sign));
}

A64("0 Q U 01110 1 sz 10000 01111 10 Rn Rd", fabs_vector)
{
    fp_sign(t, f, 2 + f->sz);
}

A64_FEAT("FEAT_FP16", "0 Q U 01110 1 111100 01111 10 Rn Rd", fabs_vector_half)
{
    fp_sign(t, f, 1);
}

/* FCVTL and FCVTN: sz is half and single (0), or single and double. */
A64("0 Q 0 01110 0 sz 10000 10111 10 Rn Rd", fcvtl)
{
    if (a64_fp_check(t)) {
        simd_emit(t, f, &simd_fcvtl, simd_shape(1 + f->sz, f->Q));
    }
}

A64("0 Q 0 01110 0 sz 10000 10110 10 Rn Rd", fcvtn)
{
    if (a64_fp_check(t)) {
        simd_emit_nd(t, f, &simd_fcvtn, simd_shape(1 + f->sz, f->Q));
    }
}

A64("0 Q 1 01110 01 10000 10110 10 Rn Rd", fcvtxn)
{
    if (a64_fp_check(t)) {
        simd_emit_nd(t, f, &simd_fcvtxn, simd_shape(2, f->Q));
    }
}

A64("01 1 11110 01 10000 10110 10 Rn Rd", fcvtxn_scalar)
{
    if (a64_fp_check(t)) {
        simd_emit_nd(t, f, &simd_fcvtxn, simd_one(2));
    }
}

/* ---- across lanes ---- */

/* At least four lanes. */
static void across(A64Trans *t, const A64Fields *f, const IrHelper *h)
{
    if (simd_begin_any(t, f->size, f->Q ? SIMD_BHS : SIMD_B | SIMD_H)) {
        simd_emit(t, f, h, simd_shape(f->size, f->Q));
    }
}

#define ACROSS(U, opcode, ident)                                                                           \
    A64("0 Q " U " 01110 size 11000 " opcode " 10 Rn Rd", ident)                                           \
    {                                                                                                      \
        across(t, f, &simd_##ident);                                                                       \
    }

ACROSS("0", "00011", saddlv)
ACROSS("1", "00011", uaddlv)
ACROSS("0", "01010", smaxv)
ACROSS("1", "01010", umaxv)
ACROSS("0", "11010", sminv)
ACROSS("1", "11010", uminv)
ACROSS("0", "11011", addv)

/* U = 1: four single-precision lanes; U = 0: half precision. @a is bit 23. */
#define FP_ACROSS(a, opcode, ident)                                                                        \
    A64("0 1 1 01110 " a " 0 11000 " opcode " 10 Rn Rd", ident)                                            \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_emit(t, f, &simd_##ident, simd_shape(2, 1));                                              \
        }                                                                                                  \
    }                                                                                                      \
    A64_FEAT("FEAT_FP16", "0 Q 0 01110 " a " 0 11000 " opcode " 10 Rn Rd", ident##_half)                   \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_emit(t, f, &simd_##ident, simd_shape(1, f->Q));                                           \
        }                                                                                                  \
    }

FP_ACROSS("0", "01100", fmaxnmv)
FP_ACROSS("1", "01100", fminnmv)
FP_ACROSS("0", "01111", fmaxv)
FP_ACROSS("1", "01111", fminv)

/* ---- scalar pairwise ---- */

A64("01 0 11110 11 11000 11011 10 Rn Rd", addp_scalar)
{
    if (a64_fp_check(t)) {
        IrRef n = a64_v(t, IR_V128, f->Rn);
        IrRef sum = ir_op2(t->ir, IR_add, IR_I64, ir_op1(t->ir, IR_lo64, IR_I64, n),
                           ir_op1(t->ir, IR_hi64, IR_I64, n));
        a64_set_v(t, IR_I64, f->Rd, sum);
    }
}

/* The first two lanes: the second one is brought down as another operand. */
static void fp_pair(A64Trans *t, const A64Fields *f, unsigned size, const IrHelper *h)
{
    if (a64_fp_check(t)) {
        IrRef n = a64_v(t, IR_V128, f->Rn);
        IrRef second = ir_opi(t->ir, IR_vext, IR_V128, n, n, 1u << size);
        a64_set_v(t, IR_V128, f->Rd, simd_call(t, h, n, second, 0, simd_one(size)));
    }
}

#define FP_PAIR(a, opcode, helper)                                                                         \
    A64("01 1 11110 " a " sz 11000 " opcode " 10 Rn Rd", helper##p_scalar)                                 \
    {                                                                                                      \
        fp_pair(t, f, 2 + f->sz, &simd_##helper);                                                          \
    }                                                                                                      \
    A64_FEAT("FEAT_FP16", "01 0 11110 " a " 0 11000 " opcode " 10 Rn Rd", helper##p_scalar_half)           \
    {                                                                                                      \
        fp_pair(t, f, 1, &simd_##helper);                                                                  \
    }

FP_PAIR("0", "01100", fmaxnm)
FP_PAIR("1", "01100", fminnm)
FP_PAIR("0", "01101", fadd)
FP_PAIR("0", "01111", fmax)
FP_PAIR("1", "01111", fmin)
