/*
 * What the files that make vector helpers of integers share. They use the scratch registers by number: T0 is where
 * results are made, T1 and T2 are where operands a and b lie that were not in registers.
 */
#ifndef BAILEY_CPU_JIT_SIMD_H
#define BAILEY_CPU_JIT_SIMD_H

#include "cpu/jit/vec.h"

/* The immediate of a vector helper, taken apart (IrInline). */
typedef struct Shape {
    unsigned size;  /* log2 of the bytes of a lane, of the narrow one where sizes differ */
    bool     upper; /* all of the register, or its upper half */
    bool     one;
    unsigned count;
} Shape;

static inline Shape shape_of(const IrNode *n)
{
    return (Shape){ n->imm & 3, n->imm >> 2 & 1, n->imm >> 3 & 1, (unsigned)(n->imm >> 8) };
}

/* Bytes of the result that are covered where operands and result have lanes of one size. */
static inline unsigned covered(Shape s) { return s.one ? 1u << s.size : s.upper ? 16 : 8; }

/* simd_clear_above - d = s with zeroes above the first @bytes. */
void simd_clear_above(Gen *g, X86Xmm d, X86Xmm s, unsigned bytes);

/* PMOVSX or PMOVZX to lanes of twice the size; simd_widen - d = a half of s so widened. */
X86Sse simd_widening(unsigned size, bool sign);
void   simd_widen(Gen *g, X86Xmm d, X86Xmm s, unsigned size, bool sign, bool upper);

/* simd_load_table - a table of 16 bytes in @d. */
void simd_load_table(Gen *g, X86Xmm d, const uint8_t table[16]);

/* simd_lane_control - for PSHUFB on lanes of 8 << @size bits: lane i is what from[i] says, or zero. */
enum { SIMD_NO_BYTE = 0x80 };
X86Mem simd_lane_control(Gen *g, unsigned size, const uint8_t from[16]);

/* simd_shift_lanes - T0 = each lane of a shifted by that of b, as SHL and RSHL say; AVX2 but for bytes. */
void simd_shift_lanes(Gen *g, const IrNode *n, unsigned size, bool sign, bool rounded);

/* ---- saturation ---- */

/* simd_begin_saturating - call it before anything else; false: this guest cannot have it inline. */
bool simd_begin_saturating(Gen *g);

/* simd_saturated - saturation happened. */
void simd_saturated(Gen *g);

/* simd_if_saturated - saturation happened unless T1 is zero, or with @bits those of T1 are; then what follows is left
 * out, up to where @fits is bound: there is the correction of the result. T1 is not changed.
 * simd_if_covered - likewise with @lane_bits of each lane that is covered.
 * simd_note_saturation, simd_note_covered - likewise, with nothing to correct. */
void simd_if_saturated(Gen *g, const X86Mem *bits, AsmLabel *fits);
void simd_if_covered(Gen *g, Shape s, uint64_t lane_bits, AsmLabel *fits);
void simd_note_saturation(Gen *g, const X86Mem *bits);
void simd_note_covered(Gen *g, Shape s, uint64_t lane_bits);

/* simd_saturate_words - T0 = a plus or minus b, signed words or those of 64 bits; @a is T1 or @b is T2, or operands'
 * registers. Noted.
 * simd_saturate_product - the smallest number in a lane of T0 stands for the one above the largest. Noted. */
void simd_saturate_words(Gen *g, Shape s, X86Xmm a, X86Xmm b, bool subtract);
void simd_saturate_product(Gen *g, Shape s);

/* simd_product_upper - T0 = the upper half of 2 x y plus @half of the lower one's, words: not yet saturated. */
void simd_product_upper(Gen *g, X86Xmm a, X86Xmm b, uint64_t half, bool one);

/* simd_load_lane - d = the lowest lane, extended to 64 bits. T1 is lost. */
void simd_load_lane(Gen *g, X86Reg d, IrRef r, unsigned size, bool sign);

/* simd_shift_one - a shift by register of one lane, through general registers; saturating: simd_begin_saturating(). */
void simd_shift_one(Gen *g, const IrNode *n, bool sign, bool rounded, bool saturate);

/* ---- emission: true when the node was handled ---- */
bool emit_saturating_helper(Gen *g, const IrNode *n);
bool emit_long_helper(Gen *g, const IrNode *n);

#endif
