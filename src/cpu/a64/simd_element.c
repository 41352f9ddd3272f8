/*
 * AdvSIMD vector and scalar x indexed element: the second operand is one lane of Vm for all. That lane is
 * spread over a vector and the helpers of the other groups do the rest. Arm DDI 0487, "Advanced SIMD vector x
 * indexed element" and "Advanced SIMD scalar x indexed element". Left out: FEAT_BF16.
 */
#include "cpu/a64/simd.h"

/* The lane H:L:M of Vm for a size: halfwords have 16 registers to choose from, the others 32. */
static IrRef element(A64Trans *t, const A64Fields *f, unsigned size)
{
    unsigned Rm = size == 1 ? f->x4 : f->M << 4 | f->x4;
    unsigned index = size == 1 ? f->H << 2 | f->L << 1 | f->M : size == 2 ? f->H << 1 | f->L : f->H;

    return simd_dup_lane(t, Rm, size, index);
}

/* ---- integers ---- */

static void by_element(A64Trans *t, const A64Fields *f, const IrHelper *h, SimdShape shape)
{
    if (simd_begin_any(t, f->size, SIMD_HS)) {
        simd_emit_m(t, f, h, shape, element(t, f, f->size));
    }
}

#define ELEMENT(U, opcode, ident, helper)                                                                  \
    A64("0 Q " U " 01111 size L M x4 " opcode " H 0 Rn Rd", ident##_element)                               \
    {                                                                                                      \
        by_element(t, f, &simd_##helper, simd_shape(f->size, f->Q));                                       \
    }

#define ELEMENT_BOTH(U, opcode, name)                                                                      \
    ELEMENT(U, opcode, name, name)                                                                         \
    A64("01 " U " 11111 size L M x4 " opcode " H 0 Rn Rd", name##_element_scalar)                          \
    {                                                                                                      \
        by_element(t, f, &simd_##name, simd_one(f->size));                                                 \
    }

ELEMENT("0", "0010", smlal, smlal)
ELEMENT("1", "0010", umlal, umlal)
ELEMENT("0", "0110", smlsl, smlsl)
ELEMENT("1", "0110", umlsl, umlsl)
ELEMENT("0", "1010", smull, smull)
ELEMENT("1", "1010", umull, umull)
ELEMENT_BOTH("0", "0011", sqdmlal)
ELEMENT_BOTH("0", "0111", sqdmlsl)
ELEMENT_BOTH("0", "1011", sqdmull)
ELEMENT_BOTH("0", "1100", sqdmulh)
ELEMENT_BOTH("0", "1101", sqrdmulh)
ELEMENT_BOTH("1", "1101", sqrdmlah)
ELEMENT_BOTH("1", "1111", sqrdmlsh)

/* Vn times the lane, in lanes of one size. */
static IrRef product(A64Trans *t, const A64Fields *f, IrType ty)
{
    IrRef m = element(t, f, f->size);

    m = ty == IR_V64 ? ir_op1(t->ir, IR_vlow, IR_V64, m) : m;
    return ir_opi(t->ir, IR_vmul, ty, a64_v(t, ty, f->Rn), m, f->size);
}

A64("0 Q 0 01111 size L M x4 1000 H 0 Rn Rd", mul_element)
{
    if (simd_begin_any(t, f->size, SIMD_HS)) {
        a64_set_v(t, simd_type(f->Q), f->Rd, product(t, f, simd_type(f->Q)));
    }
}

static void accumulate(A64Trans *t, const A64Fields *f, IrOp op)
{
    IrType ty = simd_type(f->Q);

    if (simd_begin_any(t, f->size, SIMD_HS)) {
        IrRef v = product(t, f, ty);
        a64_set_v(t, ty, f->Rd, ir_opi(t->ir, op, ty, a64_v(t, ty, f->Rd), v, f->size));
    }
}

A64("0 Q 1 01111 size L M x4 0000 H 0 Rn Rd", mla_element)
{
    accumulate(t, f, IR_vadd);
}

A64("0 Q 1 01111 size L M x4 0100 H 0 Rn Rd", mls_element)
{
    accumulate(t, f, IR_vsub);
}

/* Dot products: the element is a group of four bytes. */
#define DOT(feat, U, size_bits, opcode, name)                                                              \
    A64_FEAT(feat, "0 Q " U " 01111 " size_bits " L M x4 " opcode " H 0 Rn Rd", name##_element)            \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_emit_m(t, f, &simd_##name, simd_shape(2, f->Q), element(t, f, 2));                        \
        }                                                                                                  \
    }

DOT("FEAT_DotProd", "0", "10", "1110", sdot)
DOT("FEAT_DotProd", "1", "10", "1110", udot)
DOT("FEAT_I8MM", "0", "00", "1111", sudot)
DOT("FEAT_I8MM", "0", "10", "1111", usdot)

/* ---- floating point: bit 23 set is single or double (sz), size 00 half precision ---- */

static bool begin_fp(A64Trans *t, const A64Fields *f, bool needs_q)
{
    if (f->sz && (f->L || needs_q)) {
        a64_undefined(t);
        return false;
    }
    return a64_fp_check(t);
}

#define FP_ELEMENT(U, opcode, name)                                                                        \
    A64("0 Q " U " 01111 1 sz L M x4 " opcode " H 0 Rn Rd", name##_element)                                \
    {                                                                                                      \
        if (begin_fp(t, f, !f->Q)) {                                                                       \
            simd_emit_m(t, f, &simd_##name, simd_shape(2 + f->sz, f->Q), element(t, f, 2 + f->sz));        \
        }                                                                                                  \
    }                                                                                                      \
    A64_FEAT("FEAT_FP16", "0 Q " U " 01111 00 L M x4 " opcode " H 0 Rn Rd", name##_element_half)           \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_emit_m(t, f, &simd_##name, simd_shape(1, f->Q), element(t, f, 1));                        \
        }                                                                                                  \
    }                                                                                                      \
    A64("01 " U " 11111 1 sz L M x4 " opcode " H 0 Rn Rd", name##_element_scalar)                          \
    {                                                                                                      \
        if (begin_fp(t, f, false)) {                                                                       \
            simd_emit_m(t, f, &simd_##name, simd_one(2 + f->sz), element(t, f, 2 + f->sz));                \
        }                                                                                                  \
    }                                                                                                      \
    A64_FEAT("FEAT_FP16", "01 " U " 11111 00 L M x4 " opcode " H 0 Rn Rd", name##_element_scalar_half)     \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_emit_m(t, f, &simd_##name, simd_one(1), element(t, f, 1));                                \
        }                                                                                                  \
    }

FP_ELEMENT("0", "0001", fmla)
FP_ELEMENT("0", "0101", fmls)
FP_ELEMENT("0", "1001", fmul)
FP_ELEMENT("1", "1001", fmulx)

/* FMLAL, FMLSL and the forms for the upper half: a halfword of one of 16 registers. */
#define FP_LONG(U, opcode, ident, half, sub)                                                               \
    A64_FEAT("FEAT_FHM", "0 Q " U " 01111 10 L M x4 " opcode " H 0 Rn Rd", ident##_element)                \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            SimdShape shape = simd_with(simd_shape(1, f->Q), (half) | (sub) << 1);                         \
            simd_emit_m(t, f, &simd_fmlal, shape, element(t, f, 1));                                       \
        }                                                                                                  \
    }

FP_LONG("0", "0000", fmlal, 0, 0)
FP_LONG("0", "0100", fmlsl, 0, 1)
FP_LONG("1", "1000", fmlal2, 1, 0)
FP_LONG("1", "1100", fmlsl2, 1, 1)

/* FCMLA: the element is a complex number of two halfwords or two words. */
A64_FEAT("FEAT_FCMA", "0 Q 1 01111 size L M x4 0 rot 1 H 0 Rn Rd", fcmla_element)
{
    bool half = f->size == 1;

    if ((half && f->H && !f->Q) || (!half && (f->L || !f->Q))) {
        return a64_undefined(t);
    }
    if (simd_begin_any(t, f->size, SIMD_HS)) {
        unsigned index = half ? f->H << 1 | f->L : f->H;
        IrRef    m = simd_dup_lane(t, f->M << 4 | f->x4, f->size + 1, index);
        simd_multiply_complex(t, f, m);
    }
}
