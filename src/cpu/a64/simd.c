/*
 * Emission of the common forms of SIMD&FP instructions. Arm DDI 0487, "Data Processing -- Scalar
 * Floating-Point and Advanced SIMD".
 */
#include "cpu/a64/simd.h"

#include <assert.h>

bool simd_begin_any(A64Trans *t, unsigned size, unsigned sizes)
{
    if (!(sizes >> size & 1)) {
        a64_undefined(t);
        return false;
    }
    return a64_fp_check(t);
}

bool simd_begin(A64Trans *t, unsigned size, unsigned Q, unsigned sizes)
{
    return simd_begin_any(t, size, Q ? sizes : sizes & ~(unsigned)SIMD_D);
}

static_assert((int)IR_FP_TO_ZERO == FP_TOZERO << SIMD_ARG_SHIFT && (int)IR_FP_UP == FP_POSINF << SIMD_ARG_SHIFT &&
                  (int)IR_FP_DOWN == FP_NEGINF << SIMD_ARG_SHIFT && (int)IR_FP_AWAY == FP_TIEAWAY << SIMD_ARG_SHIFT &&
                  (int)IR_FP_CURRENT == SIMD_ROUND_CURRENT << SIMD_ARG_SHIFT &&
                  (int)IR_FP_UNSIGNED == SIMD_UNSIGNED << SIMD_ARG_SHIFT &&
                  (int)IR_FP_SIGNAL_INEXACT == SIMD_ROUND_EXACT << SIMD_ARG_SHIFT &&
                  (int)IR_FP_FRACTION_SHIFT == SIMD_FBITS_SHIFT + SIMD_ARG_SHIFT, "the immediate that both know");

IrRef simd_call(A64Trans *t, const IrHelper *h, IrRef a, IrRef b, IrRef c, uint64_t imm)
{
    if (h->effects & IR_STATUS) {
        imm |= t->key & A64_KEY_FP_MODE ? IR_INLINE_NOT : 0;
        imm |= t->key & A64_KEY_FP_DN ? IR_INLINE_DEFAULT_NAN : 0;
    }
    return ir_call(t->ir, h, a, b, c, imm);
}

void simd_emit_m(A64Trans *t, const A64Fields *f, const IrHelper *h, SimdShape shape, IrRef m)
{
    IrRef n = a64_v(t, IR_V128, f->Rn);
    IrRef d = h->n_args == 3 ? a64_v(t, IR_V128, f->Rd) : 0;

    a64_set_v(t, IR_V128, f->Rd, simd_call(t, h, n, m, d, shape));
}

void simd_emit(A64Trans *t, const A64Fields *f, const IrHelper *h, SimdShape shape)
{
    simd_emit_m(t, f, h, shape, h->n_args >= 2 ? a64_v(t, IR_V128, f->Rm) : 0);
}

void simd_emit_nd(A64Trans *t, const A64Fields *f, const IrHelper *h, SimdShape shape)
{
    simd_emit_m(t, f, h, shape, a64_v(t, IR_V128, f->Rd));
}

void simd_op2(A64Trans *t, const A64Fields *f, IrOp op, IrType ty, unsigned size)
{
    a64_set_v(t, ty, f->Rd, ir_opi(t->ir, op, ty, a64_v(t, ty, f->Rn), a64_v(t, ty, f->Rm), size));
}

void simd_op1(A64Trans *t, const A64Fields *f, IrOp op, IrType ty, unsigned size)
{
    a64_set_v(t, ty, f->Rd, ir_opi(t->ir, op, ty, a64_v(t, ty, f->Rn), 0, size));
}

void simd_set_half(A64Trans *t, unsigned Rd, unsigned Q, IrRef narrow)
{
    if (Q) {
        a64_set_v(t, IR_V128, Rd, ir_opi(t->ir, IR_vins, IR_V128, a64_v(t, IR_V128, Rd), narrow, 1 << 4 | 3));
    } else {
        a64_set_v(t, IR_V64, Rd, ir_op1(t->ir, IR_vlow, IR_V64, narrow));
    }
}

/* The sign bits of the even or of the odd lanes. */
static IrRef every_other_sign(A64Trans *t, unsigned size, bool odd)
{
    unsigned width = 8u << size;

    if (size < 3) {
        IrRef pair = ir_const(t->ir, IR_I64, 1ull << (odd ? 2 * width - 1 : width - 1));

        return ir_opi(t->ir, IR_vdup, IR_V128, pair, 0, size + 1);
    }
    IrRef low = ir_op1(t->ir, IR_vzext, IR_V128, ir_const(t->ir, IR_I64, 1ull << 63));
    IrRef zero = ir_op1(t->ir, IR_vzext, IR_V128, ir_const(t->ir, IR_I64, 0));
    return odd ? ir_opi(t->ir, IR_vext, IR_V128, zero, low, 8) : low;
}

IrRef simd_rotate_complex(A64Trans *t, IrRef m, unsigned size, unsigned turns)
{
    if (turns & 1) {
        m = simd_call(t, &simd_rev, m, 0, 0, simd_with(simd_shape(size, 1), 1));
    }
    if (turns == 1 || turns == 2) {
        m = ir_op2(t->ir, IR_vxor, IR_V128, m, every_other_sign(t, size, false));
    }
    if (turns >= 2) {
        m = ir_op2(t->ir, IR_vxor, IR_V128, m, every_other_sign(t, size, true));
    }
    return m;
}

/* Even rotations take the real part of n, odd ones the imaginary part. */
void simd_multiply_complex(A64Trans *t, const A64Fields *f, IrRef m)
{
    IrRef n = a64_v(t, IR_V128, f->Rn), d = a64_v(t, IR_V128, f->Rd);
    IrRef part = ir_opi(t->ir, f->rot & 1 ? IR_vtrn2 : IR_vtrn1, IR_V128, n, n, f->size);
    IrRef turned = simd_rotate_complex(t, m, f->size, f->rot);

    a64_set_v(t, IR_V128, f->Rd, simd_call(t, &simd_fmla, part, turned, d, simd_shape(f->size, f->Q)));
}

IrRef simd_dup_lane(A64Trans *t, unsigned Rm, unsigned size, unsigned index)
{
    return ir_opi(t->ir, IR_vdupl, IR_V128, a64_v(t, IR_V128, Rm), 0, index << 4 | size);
}
