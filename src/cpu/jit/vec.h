/*
 * What the files that make vector code share: operands, and instructions whose registers may coincide in ways that the
 * encoding without VEX does not allow.
 *
 * Within a node, xmm1 is where an operand a lies that was not in a register, xmm2 where b does; xmm0 is free. A result
 * register may be that of an operand, or xmm0 when there was none left: so it is written by the last instruction, or
 * after the last use of operands and xmm0.
 */
#ifndef BAILEY_CPU_JIT_VEC_H
#define BAILEY_CPU_JIT_VEC_H

#include "cpu/jit/asm_sse.h"
#include "cpu/jit/jit_int.h"

enum { T0, T1, T2 }; /* the scratch registers */

/* The instruction for lanes of a size. */
static inline X86Sse vec_pick(unsigned size, X86Sse b, X86Sse w, X86Sse d, X86Sse q)
{
    return size == 0 ? b : size == 1 ? w : size == 2 ? d : q;
}

static inline bool vec_is_zero(const Gen *g, IrRef r) { return gen_is_const(g, r) && gen_const(g, r) == 0; }

void vec_zero(Gen *g, X86Xmm d);
void vec_ones(Gen *g, X86Xmm d);

/* vec_in - a register that holds the operand: its own, or @scratch. */
X86Xmm vec_in(Gen *g, IrRef r, X86Xmm scratch);

/* vec_op - d = x op y, the last use of scratch registers that are not d: where there is no VEX they may be lost. */
void vec_op(Gen *g, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y);
void vec_op_i(Gen *g, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y, uint8_t imm);
/* vec_op_in - the same with an operand that may be used right from memory, else through @scratch. */
void vec_op_in(Gen *g, X86Sse op, X86Xmm d, X86Xmm x, IrRef y, X86Xmm scratch);

/* vec_blend - d = y where mask's sign bits are set, else x; @op PBLENDVB, BLENDVPS or BLENDVPD. @mask is T0; T1 and T2
 * are lost unless they are d. */
void vec_blend(Gen *g, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y);

typedef enum VecShift { VEC_LEFT, VEC_RIGHT, VEC_RIGHT_S } VecShift;

/* vec_shift - d = each lane of s of 8 << @size bits shifted by @n, which is at most the width. T0 and, for signed lanes
 * of 8 and 64 bits, s is lost when it is T1. */
void vec_shift(Gen *g, VecShift how, unsigned size, X86Xmm d, X86Xmm s, unsigned n);

/* vec_greater - d = all ones in lanes where x > y. T0 and T2 are lost for unsigned ones. */
void vec_greater(Gen *g, bool sign, unsigned size, X86Xmm d, X86Xmm x, X86Xmm y);

/* The sign bit of each lane. */
static inline uint64_t vec_sign(unsigned size) { return 1ull << ((8u << size) - 1); }

X86Sse vec_add(unsigned size);
X86Sse vec_sub(unsigned size);
X86Sse vec_min(bool sign, unsigned size); /* size 0 to 2 */
X86Sse vec_max(bool sign, unsigned size);

/* emit_simd_helper - a helper with an IrInline form; false: leave it to C. */
bool emit_simd_helper(Gen *g, const IrNode *n);
bool emit_crypto(Gen *g, const IrNode *n);
bool emit_crc(Gen *g, const IrNode *n);

#endif
