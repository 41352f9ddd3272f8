/*
 * Emission of the common forms of SIMD&FP instructions. Arm DDI 0487, "Data Processing -- Scalar
 * Floating-Point and Advanced SIMD".
 */
#include "cpu/a64/simd.h"

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

void simd_emit_m(A64Trans *t, const A64Fields *f, const IrHelper *h, SimdShape shape, IrRef m)
{
    IrRef n = a64_v(t, IR_V128, f->Rn);
    IrRef d = h->n_args == 3 ? a64_v(t, IR_V128, f->Rd) : 0;

    a64_set_v(t, IR_V128, f->Rd, ir_call(t->ir, h, n, m, d, shape));
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
        IrRef half = ir_opi(t->ir, IR_vget, IR_I64, narrow, 0, 3);
        a64_set_v(t, IR_V128, Rd, ir_opi(t->ir, IR_vset, IR_V128, a64_v(t, IR_V128, Rd), half, 1 << 4 | 3));
    } else {
        a64_set_v(t, IR_V64, Rd, ir_op1(t->ir, IR_vlow, IR_V64, narrow));
    }
}

IrRef simd_dup_lane(A64Trans *t, unsigned Rm, unsigned size, unsigned index)
{
    IrRef lane = ir_opi(t->ir, IR_vget, IR_I64, a64_v(t, IR_V128, Rm), 0, index << 4 | size);

    return ir_opi(t->ir, IR_vdup, IR_V128, lane, 0, size);
}
