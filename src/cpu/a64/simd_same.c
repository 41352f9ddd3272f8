/*
 * AdvSIMD three same and three same extra: two registers and one result of the same lane size, in vector and
 * scalar form, integer and floating point. Arm DDI 0487, "Advanced SIMD three same", "... three same (FP16)",
 * "... three same extra", and the scalar groups of those names. Left out: FEAT_BF16.
 */
#include "cpu/a64/simd.h"

/* ---- integers by helper ---- */

#define VECTOR_SAME(opcode, ident, s, u, sizes)                                                            \
    A64("0 Q U 01110 size 1 Rm " opcode " 1 Rn Rd", ident)                                                 \
    {                                                                                                      \
        if (simd_begin(t, f->size, f->Q, sizes)) {                                                         \
            simd_emit(t, f, f->U ? &simd_##u : &simd_##s, simd_shape(f->size, f->Q));                      \
        }                                                                                                  \
    }

#define SCALAR_SAME(opcode, ident, s, u, sizes)                                                            \
    A64("01 U 11110 size 1 Rm " opcode " 1 Rn Rd", ident##_scalar)                                         \
    {                                                                                                      \
        if (simd_begin_any(t, f->size, sizes)) {                                                           \
            simd_emit(t, f, f->U ? &simd_##u : &simd_##s, simd_one(f->size));                              \
        }                                                                                                  \
    }

#define BOTH_SAME(opcode, ident, s, u, vector_sizes, scalar_sizes)                                         \
    VECTOR_SAME(opcode, ident, s, u, vector_sizes)                                                         \
    SCALAR_SAME(opcode, ident, s, u, scalar_sizes)

/* SHADD, UHADD and so on: the name without its S or U. */
VECTOR_SAME("00000", hadd, shadd, uhadd, SIMD_BHS)
BOTH_SAME("00001", qadd, sqadd, uqadd, SIMD_ALL, SIMD_ALL)
VECTOR_SAME("00010", rhadd, srhadd, urhadd, SIMD_BHS)
VECTOR_SAME("00100", hsub, shsub, uhsub, SIMD_BHS)
BOTH_SAME("00101", qsub, sqsub, uqsub, SIMD_ALL, SIMD_ALL)
BOTH_SAME("01000", shl_reg, sshl, ushl, SIMD_ALL, SIMD_D)
BOTH_SAME("01001", qshl_reg, sqshl, uqshl, SIMD_ALL, SIMD_ALL)
BOTH_SAME("01010", rshl_reg, srshl, urshl, SIMD_ALL, SIMD_D)
BOTH_SAME("01011", qrshl_reg, sqrshl, uqrshl, SIMD_ALL, SIMD_ALL)
BOTH_SAME("10110", qdmulh, sqdmulh, sqrdmulh, SIMD_HS, SIMD_HS)

/* ---- integers by IR operations ---- */

/* The operation for U = 0 and U = 1, on both forms; scalars are 64 bits wide. */
#define VECTOR_OP(opcode, ident, op0, op1, sizes)                                                          \
    A64("0 Q U 01110 size 1 Rm " opcode " 1 Rn Rd", ident)                                                 \
    {                                                                                                      \
        if (simd_begin(t, f->size, f->Q, sizes)) {                                                         \
            simd_op2(t, f, f->U ? IR_##op1 : IR_##op0, simd_type(f->Q), f->size);                          \
        }                                                                                                  \
    }

#define BOTH_OP(opcode, ident, op0, op1)                                                                   \
    VECTOR_OP(opcode, ident, op0, op1, SIMD_ALL)                                                           \
    A64("01 U 11110 11 1 Rm " opcode " 1 Rn Rd", ident##_scalar)                                           \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_op2(t, f, f->U ? IR_##op1 : IR_##op0, IR_V64, 3);                                         \
        }                                                                                                  \
    }

BOTH_OP("00110", cmgt_cmhi, vcmpgts, vcmpgtu)
BOTH_OP("00111", cmge_cmhs, vcmpges, vcmpgeu)
BOTH_OP("10000", add_sub, vadd, vsub)
BOTH_OP("10001", cmtst_cmeq, vtst, vcmpeq)
VECTOR_OP("01100", max, vsmax, vumax, SIMD_BHS)
VECTOR_OP("01101", min, vsmin, vumin, SIMD_BHS)

static IrRef lanes2(A64Trans *t, const A64Fields *f, IrOp op, IrRef a, IrRef b)
{
    return ir_opi(t->ir, op, simd_type(f->Q), a, b, f->size);
}

static IrRef operand(A64Trans *t, const A64Fields *f, unsigned n)
{
    return a64_v(t, simd_type(f->Q), n);
}

static void set_result(A64Trans *t, const A64Fields *f, IrRef v)
{
    a64_set_v(t, simd_type(f->Q), f->Rd, v);
}

/* |n - m|: the larger minus the smaller. */
static IrRef distance(A64Trans *t, const A64Fields *f)
{
    IrRef n = operand(t, f, f->Rn), m = operand(t, f, f->Rm);
    IrRef hi = lanes2(t, f, f->U ? IR_vumax : IR_vsmax, n, m);

    return lanes2(t, f, IR_vsub, hi, lanes2(t, f, f->U ? IR_vumin : IR_vsmin, n, m));
}

/* SABD, UABD. */
A64("0 Q U 01110 size 1 Rm 01110 1 Rn Rd", abd)
{
    if (simd_begin(t, f->size, f->Q, SIMD_BHS)) {
        set_result(t, f, distance(t, f));
    }
}

/* SABA, UABA. */
A64("0 Q U 01110 size 1 Rm 01111 1 Rn Rd", aba)
{
    if (simd_begin(t, f->size, f->Q, SIMD_BHS)) {
        set_result(t, f, lanes2(t, f, IR_vadd, operand(t, f, f->Rd), distance(t, f)));
    }
}

/* MLA (U = 0), MLS. */
A64("0 Q U 01110 size 1 Rm 10010 1 Rn Rd", mla_mls)
{
    if (simd_begin(t, f->size, f->Q, SIMD_BHS)) {
        IrRef product = lanes2(t, f, IR_vmul, operand(t, f, f->Rn), operand(t, f, f->Rm));
        set_result(t, f, lanes2(t, f, f->U ? IR_vsub : IR_vadd, operand(t, f, f->Rd), product));
    }
}

A64("0 Q 0 01110 size 1 Rm 10011 1 Rn Rd", mul_vector)
{
    if (simd_begin(t, f->size, f->Q, SIMD_BHS)) {
        simd_op2(t, f, IR_vmul, simd_type(f->Q), f->size);
    }
}

A64("0 Q 1 01110 size 1 Rm 10011 1 Rn Rd", pmul)
{
    if (simd_begin(t, f->size, f->Q, SIMD_B)) {
        simd_emit(t, f, &simd_pmul, simd_shape(0, f->Q));
    }
}

/* Pairwise: the even lanes of both operands with the odd ones. */
static void pairwise(A64Trans *t, const A64Fields *f, IrOp op)
{
    IrRef n = operand(t, f, f->Rn), m = operand(t, f, f->Rm);
    IrRef even = lanes2(t, f, IR_vuzp1, n, m);

    set_result(t, f, lanes2(t, f, op, even, lanes2(t, f, IR_vuzp2, n, m)));
}

/* SMAXP, UMAXP. */
A64("0 Q U 01110 size 1 Rm 10100 1 Rn Rd", maxp)
{
    if (simd_begin(t, f->size, f->Q, SIMD_BHS)) {
        pairwise(t, f, f->U ? IR_vumax : IR_vsmax);
    }
}

/* SMINP, UMINP. */
A64("0 Q U 01110 size 1 Rm 10101 1 Rn Rd", minp)
{
    if (simd_begin(t, f->size, f->Q, SIMD_BHS)) {
        pairwise(t, f, f->U ? IR_vumin : IR_vsmin);
    }
}

A64("0 Q 0 01110 size 1 Rm 10111 1 Rn Rd", addp)
{
    if (simd_begin(t, f->size, f->Q, SIMD_ALL)) {
        pairwise(t, f, IR_vadd);
    }
}

/* ---- logic: the size field is part of the opcode ---- */

#define LOGIC(U_size, ident, op)                                                                           \
    A64("0 Q " U_size " 1 Rm 00011 1 Rn Rd", ident)                                                        \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_op2(t, f, IR_##op, simd_type(f->Q), 0);                                                   \
        }                                                                                                  \
    }

LOGIC("0 01110 00", and_vector, vand)
LOGIC("0 01110 01", bic_vector, vandn)
LOGIC("0 01110 11", orn_vector, vorn)
LOGIC("1 01110 00", eor_vector, vxor)

/* ORR; with one operand it is MOV. */
A64("0 Q 0 01110 10 1 Rm 00011 1 Rn Rd", orr_vector)
{
    if (!a64_fp_check(t)) {
        return;
    }
    if (f->Rm == f->Rn) {
        set_result(t, f, operand(t, f, f->Rn));
    } else {
        simd_op2(t, f, IR_vor, simd_type(f->Q), 0);
    }
}

/* Bits of @a where @mask has ones, of @b elsewhere. */
static void select_bits(A64Trans *t, const A64Fields *f, unsigned mask, unsigned a, unsigned b)
{
    IrRef m = operand(t, f, mask), x = operand(t, f, a), y = operand(t, f, b);

    set_result(t, f, ir_op3(t->ir, IR_vbsl, simd_type(f->Q), m, x, y));
}

A64("0 Q 1 01110 01 1 Rm 00011 1 Rn Rd", bsl)
{
    if (a64_fp_check(t)) {
        select_bits(t, f, f->Rd, f->Rn, f->Rm);
    }
}

A64("0 Q 1 01110 10 1 Rm 00011 1 Rn Rd", bit)
{
    if (a64_fp_check(t)) {
        select_bits(t, f, f->Rm, f->Rn, f->Rd);
    }
}

A64("0 Q 1 01110 11 1 Rm 00011 1 Rn Rd", bif)
{
    if (a64_fp_check(t)) {
        select_bits(t, f, f->Rm, f->Rd, f->Rn);
    }
}

/* ---- floating point ---- */

/* Element size of the 32 and 64-bit encodings. */
static unsigned fp_size(const A64Fields *f)
{
    return 2 + f->sz;
}

static void fp_vector(A64Trans *t, const A64Fields *f, unsigned size, const IrHelper *h)
{
    if (simd_begin(t, size, f->Q, SIMD_ALL)) {
        simd_emit(t, f, h, simd_shape(size, f->Q));
    }
}

static void fp_scalar(A64Trans *t, const A64Fields *f, unsigned size, const IrHelper *h)
{
    if (a64_fp_check(t)) {
        simd_emit(t, f, h, simd_one(size));
    }
}

static void fp_pairs(A64Trans *t, const A64Fields *f, unsigned size, const IrHelper *h)
{
    IrType ty = simd_type(f->Q);

    if (!simd_begin(t, size, f->Q, SIMD_ALL)) {
        return;
    }
    IrRef n = a64_v(t, ty, f->Rn), m = a64_v(t, ty, f->Rm);
    IrRef even = ir_opi(t->ir, IR_vuzp1, ty, n, m, size), odd = ir_opi(t->ir, IR_vuzp2, ty, n, m, size);
    if (!f->Q) {
        even = ir_op1(t->ir, IR_vlow, IR_V128, even);
        odd = ir_op1(t->ir, IR_vlow, IR_V128, odd);
    }
    a64_set_v(t, IR_V128, f->Rd, simd_call(t, h, even, odd, 0, simd_shape(size, f->Q)));
}

/* The encodings of single and double, and of half precision; @a is bit 23, which with U and opcode
 * chooses. */
#define FP_FORMS(form, top, a, opcode, ident, helper)                                                      \
    A64(top " 01110 " a " sz 1 Rm 11" opcode " 1 Rn Rd", ident)                                            \
    {                                                                                                      \
        form(t, f, fp_size(f), &simd_##helper);                                                            \
    }                                                                                                      \
    A64_FEAT("FEAT_FP16", top " 01110 " a " 10 Rm 00" opcode " 1 Rn Rd", ident##_half)                     \
    {                                                                                                      \
        form(t, f, 1, &simd_##helper);                                                                     \
    }

#define FP_VECTOR(U, a, opcode, name) FP_FORMS(fp_vector, "0 Q " U, a, opcode, name##_vector, name)
#define FP_PAIRS(U, a, opcode, name)  FP_FORMS(fp_pairs, "0 Q " U, a, opcode, name##p_vector, name)
#define FP_BOTH(U, a, opcode, name)                                                                        \
    FP_VECTOR(U, a, opcode, name)                                                                          \
    FP_SCALAR(U, a, opcode, name)
#define FP_SCALAR(U, a, opcode, name)                                                                      \
    A64("01 " U " 11110 " a " sz 1 Rm 11" opcode " 1 Rn Rd", name##_scalar)                                \
    {                                                                                                      \
        fp_scalar(t, f, fp_size(f), &simd_##name);                                                         \
    }                                                                                                      \
    A64_FEAT("FEAT_FP16", "01 " U " 11110 " a " 10 Rm 00" opcode " 1 Rn Rd", name##_scalar_half)           \
    {                                                                                                      \
        fp_scalar(t, f, 1, &simd_##name);                                                                  \
    }

FP_VECTOR("0", "0", "000", fmaxnm)
FP_VECTOR("0", "0", "001", fmla)
FP_VECTOR("0", "0", "010", fadd)
FP_BOTH("0", "0", "011", fmulx)
FP_BOTH("0", "0", "100", fcmeq)
FP_VECTOR("0", "0", "110", fmax)
FP_BOTH("0", "0", "111", frecps)
FP_VECTOR("0", "1", "000", fminnm)
FP_VECTOR("0", "1", "001", fmls)
FP_VECTOR("0", "1", "010", fsub)
FP_VECTOR("0", "1", "110", fmin)
FP_BOTH("0", "1", "111", frsqrts)
FP_PAIRS("1", "0", "000", fmaxnm)
FP_PAIRS("1", "0", "010", fadd)
FP_VECTOR("1", "0", "011", fmul)
FP_BOTH("1", "0", "100", fcmge)
FP_BOTH("1", "0", "101", facge)
FP_PAIRS("1", "0", "110", fmax)
FP_VECTOR("1", "0", "111", fdiv)
FP_PAIRS("1", "1", "000", fminnm)
FP_BOTH("1", "1", "010", fabd)
FP_BOTH("1", "1", "100", fcmgt)
FP_BOTH("1", "1", "101", facgt)
FP_PAIRS("1", "1", "110", fmin)

/* FMLAL, FMLAL2, FMLSL, FMLSL2: @half of the sources, products subtracted when @sub. */
#define FP_LONG(U, a, opcode, ident, half, sub)                                                            \
    A64_FEAT("FEAT_FHM", "0 Q " U " 01110 " a " 01 Rm 11" opcode " 1 Rn Rd", ident)                        \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_emit(t, f, &simd_fmlal, simd_with(simd_shape(1, f->Q), (half) | (sub) << 1));             \
        }                                                                                                  \
    }

FP_LONG("0", "0", "101", fmlal, 0, 0)
FP_LONG("0", "1", "101", fmlsl, 0, 1)
FP_LONG("1", "0", "001", fmlal2, 1, 0)
FP_LONG("1", "1", "001", fmlsl2, 1, 1)

/* ---- three same extra ---- */

/* SQRDMLAH, SQRDMLSH: third operand Rd. */
#define ROUNDING_DOUBLING(opcode, name)                                                                    \
    A64_FEAT("FEAT_RDM", "0 Q 1 01110 size 0 Rm 1 " opcode " 1 Rn Rd", name)                               \
    {                                                                                                      \
        if (simd_begin(t, f->size, f->Q, SIMD_HS)) {                                                       \
            simd_emit(t, f, &simd_##name, simd_shape(f->size, f->Q));                                      \
        }                                                                                                  \
    }                                                                                                      \
    A64_FEAT("FEAT_RDM", "01 1 11110 size 0 Rm 1 " opcode " 1 Rn Rd", name##_scalar)                       \
    {                                                                                                      \
        if (simd_begin_any(t, f->size, SIMD_HS)) {                                                         \
            simd_emit(t, f, &simd_##name, simd_one(f->size));                                              \
        }                                                                                                  \
    }

ROUNDING_DOUBLING("0000", sqrdmlah)
ROUNDING_DOUBLING("0001", sqrdmlsh)

/* Bytes multiplied into words. */
#define BYTES_TO_WORDS(feat, pattern, name)                                                                \
    A64_FEAT(feat, pattern, name)                                                                          \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_emit(t, f, &simd_##name, simd_shape(2, f->Q));                                            \
        }                                                                                                  \
    }

BYTES_TO_WORDS("FEAT_DotProd", "0 Q 0 01110 10 0 Rm 1 0010 1 Rn Rd", sdot)
BYTES_TO_WORDS("FEAT_DotProd", "0 Q 1 01110 10 0 Rm 1 0010 1 Rn Rd", udot)
BYTES_TO_WORDS("FEAT_I8MM", "0 Q 0 01110 10 0 Rm 1 0011 1 Rn Rd", usdot)
BYTES_TO_WORDS("FEAT_I8MM", "0 1 0 01110 10 0 Rm 1 0100 1 Rn Rd", smmla)
BYTES_TO_WORDS("FEAT_I8MM", "0 1 1 01110 10 0 Rm 1 0100 1 Rn Rd", ummla)
BYTES_TO_WORDS("FEAT_I8MM", "0 1 0 01110 10 0 Rm 1 0101 1 Rn Rd", usmmla)

A64_FEAT("FEAT_FCMA", "0 Q 1 01110 size 0 Rm 1 10 rot 1 Rn Rd", fcmla)
{
    if (simd_begin(t, f->size, f->Q, SIMD_HS | SIMD_D)) {
        simd_multiply_complex(t, f, a64_v(t, IR_V128, f->Rm));
    }
}

/* Rotation 0 is by 90 degrees, 1 by 270. */
A64_FEAT("FEAT_FCMA", "0 Q 1 01110 size 0 Rm 1 11 rot1 0 1 Rn Rd", fcadd)
{
    if (simd_begin(t, f->size, f->Q, SIMD_HS | SIMD_D)) {
        IrRef m = simd_rotate_complex(t, a64_v(t, IR_V128, f->Rm), f->size, f->rot1 ? 3 : 1);
        simd_emit_m(t, f, &simd_fadd, simd_shape(f->size, f->Q), m);
    }
}
