/*
 * Vector helpers of integers that are made inline, in the order of IrInline (ir.h): lanes of one size, and tables. The
 * others are in emit_long.c and emit_crypto.c. What the immediate asks for is read into a Shape first.
 */
#include <string.h>

#include "bits.h"
#include "cpu/jit/simd.h"

/* Lanes that are @v in the first @bytes of 16. */
static X86Mem lanes_below(Gen *g, unsigned bytes, unsigned size, uint64_t v)
{
    for (unsigned i = size; i < 3; i++) {
        v = (v & mask64(8u << i)) | v << (8u << i);
    }
    return gen_constant(g, bytes > 8 ? v & mask64(8 * (bytes - 8)) : 0, v & mask64(8 * MIN(bytes, 8)));
}

/* d = s with zeroes above the first @bytes. */
void simd_clear_above(Gen *g, X86Xmm d, X86Xmm s, unsigned bytes)
{
    if (bytes == 16) {
        asm_movx(&g->as, d, s);
    } else if (bytes == 8) {
        asm_movq_xx(&g->as, d, s);
    } else {
        asm_sse2_m(&g->as, X86_PAND, d, s, gen_constant(g, 0, mask64(8 * bytes)));
    }
}

/* ---- pieces of several ---- */

void simd_load_table(Gen *g, X86Xmm d, const uint8_t table[16])
{
    uint64_t v[2] = { 0 };

    for (unsigned i = 0; i < 16; i++) {
        v[i / 8] |= (uint64_t)table[i] << i % 8 * 8;
    }
    asm_load_x(&g->as, 4, d, gen_constant(g, v[1], v[0]));
}

X86Sse simd_widening(unsigned size, bool sign)
{
    return sign ? vec_pick(size, X86_PMOVSXBW, X86_PMOVSXWD, X86_PMOVSXDQ, X86_PMOVSXDQ)
                : vec_pick(size, X86_PMOVZXBW, X86_PMOVZXWD, X86_PMOVZXDQ, X86_PMOVZXDQ);
}

static X86Sse unpack_high(unsigned size)
{
    return vec_pick(size, X86_PUNPCKHBW, X86_PUNPCKHWD, X86_PUNPCKHDQ, X86_PUNPCKHQDQ);
}

/* d = half of s, widened. */
void simd_widen(Gen *g, X86Xmm d, X86Xmm s, unsigned size, bool sign, bool upper)
{
    if (upper && !sign) {
        asm_sse2_m(&g->as, unpack_high(size), d, s, gen_constant(g, 0, 0));
        return;
    }
    if (upper) {
        asm_sse1_i(&g->as, X86_PSHUFD, d, s, 0xee);
        s = d;
    }
    asm_sse1(&g->as, simd_widening(size, sign), d, s);
}

/* ---- saturation is noted ---- */

/* The operations that follow write the guest's register of sticky bits. */
bool simd_begin_saturating(Gen *g)
{
    const CpuGuest *guest = gen_guest(g);

    if (guest->sticky_bits != 0) {
        gen_evacuate(g, IR_STATUS);
    }
    return guest->sticky_bits != 0;
}

void simd_saturated(Gen *g)
{
    const CpuGuest *guest = gen_guest(g);

    asm_alu_mi(&g->as, ALU_OR, false, gen_mem((int32_t)g->ir->regs[guest->sticky_reg].offset),
               (int32_t)guest->sticky_bits);
}

/* Results are seldom saturated: what corrects them is out of the way of those that wait for them. */
void simd_if_saturated(Gen *g, const X86Mem *bits, AsmLabel *fits)
{
    if (bits != NULL) {
        asm_sse1_m(&g->as, X86_PTEST, T1, *bits);
    } else {
        asm_sse1(&g->as, X86_PTEST, T1, T1);
    }
    asm_jcc(&g->as, CC_E, fits);
    simd_saturated(g);
}

void simd_note_saturation(Gen *g, const X86Mem *bits)
{
    AsmLabel fits = ASM_LABEL;

    simd_if_saturated(g, bits, &fits);
    asm_bind(&g->as, &fits);
}

void simd_if_covered(Gen *g, Shape s, uint64_t lane_bits, AsmLabel *fits)
{
    X86Mem bits = lanes_below(g, covered(s), s.size, lane_bits);

    simd_if_saturated(g, covered(s) == 16 && lane_bits == UINT64_MAX ? NULL : &bits, fits);
}

void simd_note_covered(Gen *g, Shape s, uint64_t lane_bits)
{
    AsmLabel fits = ASM_LABEL;

    simd_if_covered(g, s, lane_bits, &fits);
    asm_bind(&g->as, &fits);
}

/* ---- lanes of one size: halving ---- */

/*
 * (x + y) >> 1 = (x & y) + ((x ^ y) >> 1), rounded up (x | y) - ((x ^ y) >> 1). The difference needs no wider lanes
 * either: x minus the rounded mean.
 */
static void halving(Gen *g, const IrNode *n, bool sign, bool round, bool subtract)
{
    Shape    s = shape_of(n);
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);
    bool     average = !sign && s.size < 2 && round;

    if (average) {
        asm_sse2(&g->as, s.size == 0 ? X86_PAVGB : X86_PAVGW, T0, a, b);
    } else {
        asm_sse2(&g->as, X86_PXOR, T0, a, b);
        asm_sse2(&g->as, round ? X86_POR : X86_PAND, T2, b, a);
        vec_shift(g, sign ? VEC_RIGHT_S : VEC_RIGHT, s.size, T0, T0, 1);
        asm_sse2(&g->as, round ? vec_sub(s.size) : vec_add(s.size), T2, T2, T0);
        asm_movx(&g->as, T0, T2);
    }
    if (subtract) {
        vec_op(g, vec_sub(s.size), T0, a, T0);
    }
    simd_clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
}

/* ---- saturating sums ---- */

/* Bytes and halfwords: the host saturates; where that differs from the plain sum it did. */
static void saturate_narrow(Gen *g, Shape s, X86Xmm a, X86Xmm b, bool sign, bool subtract)
{
    X86Sse add = sign ? (s.size == 0 ? X86_PADDSB : X86_PADDSW) : (s.size == 0 ? X86_PADDUSB : X86_PADDUSW);
    X86Sse sub = sign ? (s.size == 0 ? X86_PSUBSB : X86_PSUBSW) : (s.size == 0 ? X86_PSUBUSB : X86_PSUBUSW);

    asm_sse2(&g->as, subtract ? sub : add, T0, a, b);
    asm_sse2(&g->as, subtract ? vec_sub(s.size) : vec_add(s.size), T1, a, b);
    asm_sse2(&g->as, X86_PXOR, T1, T1, T0);
    simd_note_covered(g, s, UINT64_MAX);
}

/* Words and those of 64 bits: the sum's sign is wrong where both operands (of a difference: the first and the negated
 * second) have the other; there it becomes the number of that sign that is farthest from 0. */
void simd_saturate_words(Gen *g, Shape s, X86Xmm a, X86Xmm b, bool subtract)
{
    Asm     *as = &g->as;
    AsmLabel fits = ASM_LABEL;

    asm_sse2(as, subtract ? vec_sub(s.size) : vec_add(s.size), T0, a, b);
    if (subtract) {
        asm_sse2(as, X86_PXOR, T2, b, a);
    } else {
        asm_sse2(as, X86_PXOR, T2, b, T0);
    }
    asm_sse2(as, X86_PXOR, T1, a, T0);
    asm_sse2(as, X86_PAND, T1, T1, T2);
    simd_if_covered(g, s, vec_sign(s.size), &fits);
    asm_movx(as, T2, T0);
    asm_movx(as, T0, T1);
    asm_sse_shift_i(as, X86_PSRAD_I, T1, T2, 31);
    if (s.size == 3) {
        asm_sse1_i(as, X86_PSHUFD, T1, T1, 0xf5);
    }
    asm_sse2_m(as, X86_PXOR, T1, T1, gen_constant_lanes(g, s.size, vec_sign(s.size)));
    vec_blend(g, s.size == 3 ? X86_BLENDVPD : X86_BLENDVPS, T2, T2, T1);
    asm_movx(as, T0, T2);
    asm_bind(as, &fits);
}

/* min(x, ~y) + y and max(x, y) - y. */
static void saturate_words_u(Gen *g, Shape s, X86Xmm a, X86Xmm b, bool subtract)
{
    Asm *as = &g->as;

    if (subtract) {
        asm_sse2(as, X86_PMAXUD, T0, a, b);
    } else {
        asm_sse2_m(as, X86_PXOR, T0, b, gen_constant(g, UINT64_MAX, UINT64_MAX));
        asm_sse2(as, X86_PMINUD, T0, T0, a);
    }
    asm_sse2(as, X86_PXOR, T1, a, T0);
    asm_sse2(as, subtract ? X86_PSUBD : X86_PADDD, T0, T0, b);
    simd_note_covered(g, s, UINT64_MAX);
}

static bool saturating(Gen *g, const IrNode *n, bool sign, bool subtract)
{
    Shape s = shape_of(n);

    if (s.size == 3 || !simd_begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);
    if (s.size < 2) {
        saturate_narrow(g, s, a, b, sign, subtract);
    } else {
        (sign ? simd_saturate_words : saturate_words_u)(g, s, a, b, subtract);
    }
    simd_clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
    return true;
}

/* ---- the upper half of doubled products ---- */

/*
 * Only the product of two smallest numbers does not fit: twice 2^30 (of halfwords) is 2^31. What the sequences give
 * for it is the smallest number, which no other product gives: 0x8000 becomes 0x7fff.
 */
void simd_saturate_product(Gen *g, Shape s)
{
    X86Mem   smallest = gen_constant_lanes(g, s.size, vec_sign(s.size));
    AsmLabel fits = ASM_LABEL;

    asm_sse2_m(&g->as, vec_pick(s.size, X86_PCMPEQW, X86_PCMPEQW, X86_PCMPEQD, X86_PCMPEQQ), T1, T0, smallest);
    simd_if_covered(g, s, UINT64_MAX, &fits);
    asm_sse2(&g->as, X86_PXOR, T0, T0, T1);
    asm_bind(&g->as, &fits);
}

/* Halfwords, in T0. The host's rounding product is just this; else the lowest bit comes from the low half. */
static void multiply_high_words(Gen *g, X86Xmm a, X86Xmm b, bool round)
{
    Asm *as = &g->as;

    if (round) {
        asm_sse2(as, X86_PMULHRSW, T0, a, b);
        return;
    }
    asm_sse2(as, X86_PMULLW, T0, a, b);
    asm_sse2(as, X86_PMULHW, T1, a, b);
    asm_sse_shift_i(as, X86_PSRLW_I, T0, T0, 15);
    asm_sse2(as, X86_PADDW, T1, T1, T1);
    asm_sse2(as, X86_POR, T0, T0, T1);
}

/* Words: 64-bit products of the even and of the odd lanes, doubled by taking the upper half one bit lower. What is
 * added before that is half of what rounding adds. */
void simd_product_upper(Gen *g, X86Xmm a, X86Xmm b, uint64_t half, bool one)
{
    Asm *as = &g->as;

    asm_sse2(as, X86_PMULDQ, T0, a, b);
    if (one) {
        if (half != 0) {
            asm_sse2_m(as, X86_PADDQ, T0, T0, gen_constant_lanes(g, 3, half));
        }
        asm_sse_shift_i(as, X86_PSRLQ_I, T0, T0, 31);
        return;
    }
    asm_sse_shift_i(as, X86_PSRLQ_I, T1, a, 32);
    asm_sse_shift_i(as, X86_PSRLQ_I, T2, b, 32);
    asm_sse2(as, X86_PMULDQ, T1, T1, T2);
    if (half != 0) {
        X86Mem added = gen_constant_lanes(g, 3, half);

        asm_sse2_m(as, X86_PADDQ, T0, T0, added);
        asm_sse2_m(as, X86_PADDQ, T1, T1, added);
    }
    asm_sse_shift_i(as, X86_PSRLQ_I, T0, T0, 31);
    asm_sse_shift_i(as, X86_PSLLQ_I, T1, T1, 1);
    asm_sse2_i(as, X86_PBLENDW, T0, T0, T1, 0xcc);
}

static bool multiply_high(Gen *g, const IrNode *n, bool round)
{
    Shape s = shape_of(n);

    if (s.size == 0 || s.size == 3 || !simd_begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);
    if (s.size == 1) {
        multiply_high_words(g, a, b, round);
    } else {
        simd_product_upper(g, a, b, round ? 1u << 30 : 0, s.one);
    }
    simd_saturate_product(g, s);
    simd_clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
    return true;
}

/* ---- absolute values and negatives, saturating ---- */

static bool negate_saturating(Gen *g, const IrNode *n)
{
    Shape s = shape_of(n);

    if (s.size == 3 || !simd_begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T2);
    vec_zero(g, T1);
    if (s.size < 2) {
        saturate_narrow(g, s, T1, a, true, true);
    } else {
        simd_saturate_words(g, s, T1, a, true);
    }
    simd_clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
    return true;
}

/* The host's result for the smallest number is that number: unsigned, it is above the largest one. */
static bool absolute_saturating(Gen *g, const IrNode *n)
{
    Shape s = shape_of(n);

    if (s.size == 3 || !simd_begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    asm_sse1(&g->as, vec_pick(s.size, X86_PABSB, X86_PABSW, X86_PABSD, X86_PABSD), T1, vec_in(g, n->a, T1));
    asm_sse2_m(&g->as, vec_min(false, s.size), T0, T1, gen_constant_lanes(g, s.size, vec_sign(s.size) - 1));
    asm_sse2(&g->as, X86_PXOR, T1, T1, T0);
    simd_note_covered(g, s, UINT64_MAX);
    simd_clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
    return true;
}

/* ---- shifts ---- */

/*
 * Each lane by its own count. Bytes: their product with 1 << (count + 8) has the result in its upper byte, whichever
 * way it goes; counts below -8 are as -8, those of 8 and more have 0 for the factor. Rounded, the bits below the result
 * get a half; 0 is the factor of counts below -8, too.
 */
static void shift_bytes_by_lanes(Gen *g, const IrNode *n, bool sign, bool rounded)
{
    static const uint8_t low[16] = { 1, 2, 4, 8, 16, 32, 64, 128 };
    static const uint8_t high[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128 };
    Asm *as = &g->as;

    asm_sse2_m(as, X86_PMAXSB, T0, vec_in(g, n->b, T0), gen_constant_lanes(g, 0, rounded ? 0xf7 : 0xf8));
    asm_sse2_m(as, X86_PADDB, T0, T0, gen_constant_lanes(g, 0, 8));
    asm_sse2_m(as, X86_PADDUSB, T0, T0, gen_constant_lanes(g, 0, 0x70));
    simd_load_table(g, T1, low);
    asm_sse2(as, X86_PSHUFB, T1, T1, T0);
    simd_load_table(g, T2, high);
    asm_sse2(as, X86_PSHUFB, T2, T2, T0);
    asm_sse2(as, X86_PUNPCKLBW, T0, T1, T2);
    asm_sse2(as, X86_PUNPCKHBW, T1, T1, T2);
    simd_widen(g, T2, vec_in(g, n->a, T2), 0, sign, false);
    asm_sse2(as, X86_PMULLW, T0, T0, T2);
    simd_widen(g, T2, vec_in(g, n->a, T2), 0, sign, true);
    asm_sse2(as, X86_PMULLW, T1, T1, T2);
    if (rounded) {
        asm_sse2_m(as, X86_PADDW, T0, T0, gen_constant_lanes(g, 1, 0x80));
        asm_sse2_m(as, X86_PADDW, T1, T1, gen_constant_lanes(g, 1, 0x80));
    }
    asm_sse_shift_i(as, X86_PSRLW_I, T0, T0, 8);
    asm_sse_shift_i(as, X86_PSRLW_I, T1, T1, 8);
    asm_sse2(as, X86_PACKUSWB, T0, T0, T1);
}

/* Halfwords: likewise, shifted left by count + 16 in lanes of 32 bits; from 32 on that gives 0. AVX2. */
static void shift_words_by_lanes(Gen *g, const IrNode *n, bool sign, bool rounded)
{
    Asm *as = &g->as;

    asm_sse_shift_i(as, X86_PSLLW_I, T0, vec_in(g, n->b, T0), 8);
    asm_sse_shift_i(as, X86_PSRAW_I, T0, T0, 8);
    asm_sse2_m(as, X86_PMAXSW, T0, T0, gen_constant_lanes(g, 1, rounded ? 0xffef : 0xfff0));
    asm_sse2_m(as, X86_PADDW, T0, T0, gen_constant_lanes(g, 1, 16));
    simd_widen(g, T1, T0, 1, false, false);
    simd_widen(g, T0, T0, 1, false, true);
    simd_widen(g, T2, vec_in(g, n->a, T2), 1, sign, false);
    asm_sse2(as, X86_VPSLLVD, T1, T2, T1);
    simd_widen(g, T2, vec_in(g, n->a, T2), 1, sign, true);
    asm_sse2(as, X86_VPSLLVD, T0, T2, T0);
    if (rounded) {
        asm_sse2_m(as, X86_PADDD, T0, T0, gen_constant_lanes(g, 2, 0x8000));
        asm_sse2_m(as, X86_PADDD, T1, T1, gen_constant_lanes(g, 2, 0x8000));
    }
    asm_sse_shift_i(as, X86_PSRLD_I, T1, T1, 16);
    asm_sse_shift_i(as, X86_PSRLD_I, T0, T0, 16);
    asm_sse2(as, X86_PACKUSDW, T0, T1, T0);
}

/*
 * Words and doublewords, on AVX2: counts from the width on give 0, so both directions are made and joined. A negative
 * count's low byte is above 127 when it is taken for one to the left. Signed, one of the two is chosen; of 64 bits,
 * negative numbers are inverted before and after. Rounded, the last bit that is shifted out to the right is added:
 * beyond the width it is that of zero, or of minus one, which becomes zero by it.
 */
static void shift_longs_by_lanes(Gen *g, const IrNode *n, unsigned size, bool sign, bool rounded)
{
    X86Sse right = sign ? X86_VPSRAVD : size == 2 ? X86_VPSRLVD : X86_VPSRLVQ;
    Asm   *as = &g->as;
    X86Mem low_byte = gen_constant_lanes(g, size, 0xff);
    X86Xmm a = vec_in(g, n->a, T1);

    vec_zero(g, T0);
    vec_op_in(g, vec_sub(size), T0, T0, n->b, T2);
    asm_sse2_m(as, X86_PAND, T0, T0, low_byte);
    if (size == 3 && sign) {
        if (rounded) { /* by one less, and by one more below */
            asm_sse2_m(as, X86_PADDQ, T0, T0, gen_constant_lanes(g, 3, UINT64_MAX));
        }
        vec_zero(g, T2);
        asm_sse2(as, X86_PCMPGTQ, T2, T2, a);
        asm_sse2(as, X86_PXOR, T1, a, T2);
        asm_sse2(as, X86_VPSRLVQ, T0, T1, T0);
        asm_sse2(as, X86_PXOR, T0, T0, T2);
        if (rounded) {
            asm_sse_shift_i(as, X86_PSRLQ_I, T1, T0, 1);
            asm_sse2_m(as, X86_PAND, T2, T0, gen_constant_lanes(g, 3, vec_sign(3)));
            asm_sse2_m(as, X86_PAND, T0, T0, gen_constant_lanes(g, 3, 1));
            asm_sse2(as, X86_POR, T1, T1, T2);
            asm_sse2(as, X86_PADDQ, T0, T0, T1);
        }
        a = vec_in(g, n->a, T1);
    } else {
        if (rounded) {
            asm_sse2_m(as, vec_add(size), T2, T0, gen_constant_lanes(g, size, UINT64_MAX));
            asm_sse2(as, right, T2, a, T2);
            asm_sse2_m(as, X86_PAND, T2, T2, gen_constant_lanes(g, size, 1));
        }
        asm_sse2(as, right, T0, a, T0);
        if (rounded) {
            asm_sse2(as, vec_add(size), T0, T0, T2);
        }
    }
    asm_sse2_m(as, X86_PAND, T2, vec_in(g, n->b, T2), low_byte);
    asm_sse2(as, size == 2 ? X86_VPSLLVD : X86_VPSLLVQ, T1, a, T2);
    if (sign) {
        vec_shift(g, VEC_LEFT, size, T2, T2, (8u << size) - 8);
        asm_blendv(as, size == 2 ? X86_BLENDVPS : X86_BLENDVPD, T0, T1, T0, T2);
    } else {
        asm_sse2(as, X86_POR, T0, T0, T1);
    }
}

void simd_shift_lanes(Gen *g, const IrNode *n, unsigned size, bool sign, bool rounded)
{
    if (size == 0) {
        shift_bytes_by_lanes(g, n, sign, rounded);
    } else if (size == 1) {
        shift_words_by_lanes(g, n, sign, rounded);
    } else {
        shift_longs_by_lanes(g, n, size, sign, rounded);
    }
}

static bool shift_by_lanes(Gen *g, const IrNode *n, bool sign, bool rounded)
{
    Shape s = shape_of(n);

    if (s.one) {
        simd_shift_one(g, n, sign, rounded, false);
        return true;
    }
    if (s.size != 0 && !g->as.host.avx2) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    simd_shift_lanes(g, n, s.size, sign, rounded);
    simd_clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
    return true;
}

/* (x >> count) plus the last bit that fell off. */
static void shift_rounded(Gen *g, const IrNode *n, bool sign)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

    vec_shift(g, VEC_RIGHT, MAX(s.size, 1), T2, a, s.count - 1);
    asm_sse2_m(&g->as, X86_PAND, T2, T2, gen_constant_lanes(g, s.size, 1));
    vec_shift(g, sign ? VEC_RIGHT_S : VEC_RIGHT, s.size, T1, a, s.count);
    asm_sse2(&g->as, vec_add(s.size), T1, T1, T2);
    simd_clear_above(g, d, T1, covered(s));
    gen_done_xmm(g, d);
}

static void shift_insert(Gen *g, const IrNode *n, bool left)
{
    Shape    s = shape_of(n);
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);
    unsigned width = 8u << s.size;
    uint64_t kept = left ? mask64(s.count) : mask64(width) & ~mask64(width - s.count);

    asm_sse2_m(&g->as, X86_PAND, T2, b, gen_constant_lanes(g, s.size, kept));
    vec_shift(g, left ? VEC_LEFT : VEC_RIGHT, s.size, T1, a, s.count);
    asm_sse2(&g->as, X86_POR, T1, T1, T2);
    simd_clear_above(g, d, T1, covered(s));
    gen_done_xmm(g, d);
}

/* ---- carry-less products of bytes ---- */

/* From b's highest bit on: twice the sum, and a where the bit is set. */
static bool multiply_carryless(Gen *g, const IrNode *n)
{
    Asm   *as = &g->as;
    X86Xmm spare;

    if (!gen_reserve_xmm(g, &spare)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, spare);
    vec_zero(g, T0);
    asm_movx(as, T1, vec_in(g, n->b, T1));
    for (unsigned bit = 0; bit < 8; bit++) {
        asm_sse2(as, X86_PADDB, T0, T0, T0);
        vec_zero(g, T2);
        asm_sse2(as, X86_PCMPGTB, T2, T2, T1);
        asm_sse2(as, X86_PAND, T2, T2, a);
        asm_sse2(as, X86_PXOR, T0, T0, T2);
        asm_sse2(as, X86_PADDB, T1, T1, T1);
    }
    gen_return_xmm(g, spare);
    simd_clear_above(g, d, T0, covered(shape_of(n)));
    gen_done_xmm(g, d);
    return true;
}

/* ---- bits within lanes ---- */

/* T0 = of each byte of a: the entry of its low half in one table, @op that of its upper half in another. */
static void by_nibbles(Gen *g, X86Xmm a, const uint8_t low[16], const uint8_t high[16], X86Sse op)
{
    Asm   *as = &g->as;
    X86Mem mask = gen_constant_lanes(g, 0, 15);

    asm_sse2_m(as, X86_PAND, T0, a, mask);
    asm_sse_shift_i(as, X86_PSRLW_I, T1, a, 4);
    asm_sse2_m(as, X86_PAND, T1, T1, mask);
    simd_load_table(g, T2, low);
    asm_sse2(as, X86_PSHUFB, T2, T2, T0);
    simd_load_table(g, T0, high);
    asm_sse2(as, X86_PSHUFB, T0, T0, T1);
    asm_sse2(as, op, T0, T0, T2);
}

static const uint8_t ones[16] = { 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4 };
static const uint8_t reversed[16] = { 0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15 };
static const uint8_t reversed_high[16] = { 0x00, 0x80, 0x40, 0xc0, 0x20, 0xa0, 0x60, 0xe0,
                                           0x10, 0x90, 0x50, 0xd0, 0x30, 0xb0, 0x70, 0xf0 };
/* Zeroes above the highest one of a byte: the smaller number is right, be it that of the upper half or of the lower. */
static const uint8_t zeroes_low[16] = { 8, 7, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4, 4, 4, 4, 4 };
static const uint8_t zeroes_high[16] = { 8, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0 };

static void count_ones(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    by_nibbles(g, vec_in(g, n->a, T1), ones, ones, X86_PADDB);
    simd_clear_above(g, d, T0, covered(shape_of(n)));
    gen_done_xmm(g, d);
}

static void reverse_bits(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    by_nibbles(g, vec_in(g, n->a, T1), reversed_high, reversed, X86_POR);
    simd_clear_above(g, d, T0, covered(shape_of(n)));
    gen_done_xmm(g, d);
}

/* A word, and its zeroes above the highest one, or copies of the sign. RDX is lost. */
static void count_zeroes_of_word(Asm *as, X86Reg r, bool sign_copies)
{
    if (sign_copies) {
        asm_lea(as, false, RDX, X86_INDEX(r, r, 0, 0));
        asm_alu_rr(as, ALU_XOR, false, r, RDX);
        asm_alu_ri(as, ALU_OR, false, r, 1);
    }
    asm_lzcnt(as, false, r, r);
}

/* Two words, through general registers. */
static void count_zeroes_of_two(Gen *g, const IrNode *n, bool sign_copies)
{
    Asm   *as = &g->as;
    X86Xmm d = gen_dest_xmm(g);

    asm_movq_rx(as, true, RAX, vec_in(g, n->a, T1));
    asm_mov_rr(as, true, RCX, RAX);
    asm_shift_ri(as, SH_SHR, true, RCX, 32);
    count_zeroes_of_word(as, RAX, sign_copies);
    count_zeroes_of_word(as, RCX, sign_copies);
    asm_shift_ri(as, SH_SHL, true, RCX, 32);
    asm_alu_rr(as, ALU_OR, true, RAX, RCX);
    asm_movq_xr(as, true, d, RAX);
    gen_done_xmm(g, d);
}

/* Bytes first; of two neighbours the upper one's number, plus that of the lower where the upper is all zeroes. */
static void count_zeroes(Gen *g, const IrNode *n, bool sign_copies)
{
    Asm   *as = &g->as;
    Shape  s = shape_of(n);

    if (s.size == 2 && covered(s) == 8 && as->host.lzcnt) {
        count_zeroes_of_two(g, n, sign_copies);
        return;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);
    if (sign_copies) { /* each bit against the one below it; the lowest one ends the count */
        asm_sse2(as, vec_add(s.size), T0, a, a);
        asm_sse2(as, X86_PXOR, T1, a, T0);
        asm_sse2_m(as, X86_POR, T1, T1, gen_constant_lanes(g, s.size, 1));
        a = T1;
    }
    by_nibbles(g, a, zeroes_low, zeroes_high, X86_PMINUB);
    for (unsigned size = 0; size < s.size; size++) {
        vec_shift(g, VEC_RIGHT, size + 1, T1, T0, 8u << size);
        asm_sse2_m(as, X86_PAND, T0, T0, gen_constant_lanes(g, size + 1, mask64(8u << size)));
        asm_sse2_m(as, size == 0 ? X86_PCMPEQW : X86_PCMPEQD, T2, T1, gen_constant_lanes(g, size + 1, 8u << size));
        asm_sse2(as, X86_PAND, T0, T0, T2);
        asm_sse2(as, vec_add(size + 1), T0, T0, T1);
    }
    simd_clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
}

/* ---- bytes to anywhere ---- */

/* PSHUFB's control for lanes of 8 << @size bits: lane i is what from[i] says, or SIMD_NO_BYTE. */
X86Mem simd_lane_control(Gen *g, unsigned size, const uint8_t from[16])
{
    uint64_t v[2] = { 0 };

    for (unsigned i = 0; i < 16; i++) {
        unsigned lane = from[i >> size], byte = (lane << size) + (i & ((1u << size) - 1));

        v[i / 8] |= (uint64_t)(lane == SIMD_NO_BYTE ? SIMD_NO_BYTE : byte) << i % 8 * 8;
    }
    return gen_constant(g, v[1], v[0]);
}

static void reverse_lanes(Gen *g, const IrNode *n)
{
    Shape   s = shape_of(n);
    uint8_t from[16];
    X86Xmm  d = gen_dest_xmm(g);

    for (unsigned i = 0; i < 16; i++) {
        from[i] = i << s.size < covered(s) ? (uint8_t)(i ^ ((1u << s.count) - 1)) : SIMD_NO_BYTE;
    }
    asm_sse2_m(&g->as, X86_PSHUFB, d, vec_in(g, n->a, T1), simd_lane_control(g, s.size, from));
    gen_done_xmm(g, d);
}

/* d = of three registers those lanes that the controls take. */
static void join_three(Gen *g, const IrNode *n, unsigned size, uint8_t from[3][16])
{
    Asm   *as = &g->as;
    X86Xmm d = gen_dest_xmm(g);

    asm_sse2_m(as, X86_PSHUFB, T0, vec_in(g, n->a, T0), simd_lane_control(g, size, from[0]));
    asm_sse2_m(as, X86_PSHUFB, T1, vec_in(g, n->b, T1), simd_lane_control(g, size, from[1]));
    asm_sse2(as, X86_POR, T0, T0, T1);
    asm_sse2_m(as, X86_PSHUFB, T1, vec_in(g, n->c, T1), simd_lane_control(g, size, from[2]));
    asm_sse2(as, X86_POR, d, T0, T1);
    gen_done_xmm(g, d);
}

static void structures_of_three(Gen *g, const IrNode *n, bool gather)
{
    Shape    s = shape_of(n);
    unsigned lanes = covered(s) >> s.size;
    uint8_t  from[3][16];

    memset(from, SIMD_NO_BYTE, sizeof(from));
    for (unsigned i = 0; i < lanes; i++) {
        unsigned at = gather ? 3 * i + s.count : lanes * s.count + i;

        if (gather) {
            from[at / lanes % 3][i] = (uint8_t)(at % lanes);
        } else {
            from[at % 3][i] = (uint8_t)(at / 3);
        }
    }
    join_three(g, n, s.size, from);
}

/* ---- tables ---- */

/* T0 = PSHUFB's control for an index minus @base: of 16 or more, and of less than 0, bit 7 is set. */
static void index_control(Gen *g, IrRef index, unsigned base)
{
    X86Xmm x = vec_in(g, index, T0);

    if (base != 0) {
        asm_sse2_m(&g->as, X86_PSUBB, T0, x, gen_constant_lanes(g, 0, base));
        x = T0;
    }
    asm_sse2_m(&g->as, X86_PADDUSB, T0, x, gen_constant_lanes(g, 0, 0x70));
}

static void look_up(Gen *g, const IrNode *n, bool keep)
{
    unsigned bytes = covered(shape_of(n));
    X86Xmm   d = gen_dest_xmm(g);

    index_control(g, n->b, 0);
    vec_op(g, X86_PSHUFB, T1, vec_in(g, n->a, T1), T0);
    if (keep) {
        vec_blend(g, X86_PBLENDVB, T1, T1, vec_in(g, n->c, T2));
    }
    simd_clear_above(g, d, T1, bytes);
    gen_done_xmm(g, d);
}

static void look_up_two(Gen *g, const IrNode *n)
{
    unsigned bytes = covered(shape_of(n));
    X86Xmm   d = gen_dest_xmm(g);

    index_control(g, n->c, 0);
    vec_op(g, X86_PSHUFB, T1, vec_in(g, n->a, T1), T0);
    index_control(g, n->c, 16);
    vec_op(g, X86_PSHUFB, T2, vec_in(g, n->b, T2), T0);
    asm_sse2(&g->as, X86_POR, T1, T1, T2);
    simd_clear_above(g, d, T1, bytes);
    gen_done_xmm(g, d);
}

/* ---- the whole ---- */

static bool emit_same(Gen *g, const IrNode *n)
{
    switch (n->helper->inline_op) {
    case IR_INLINE_HADD_S:
    case IR_INLINE_HADD_U:
        halving(g, n, n->helper->inline_op == IR_INLINE_HADD_S, false, false);
        return true;
    case IR_INLINE_RHADD_S:
    case IR_INLINE_RHADD_U:
        halving(g, n, n->helper->inline_op == IR_INLINE_RHADD_S, true, false);
        return true;
    case IR_INLINE_HSUB_S:
    case IR_INLINE_HSUB_U:
        halving(g, n, n->helper->inline_op == IR_INLINE_HSUB_S, true, true);
        return true;
    case IR_INLINE_QADD_S:
    case IR_INLINE_QADD_U:
        return saturating(g, n, n->helper->inline_op == IR_INLINE_QADD_S, false);
    case IR_INLINE_QSUB_S:
    case IR_INLINE_QSUB_U:
        return saturating(g, n, n->helper->inline_op == IR_INLINE_QSUB_S, true);
    case IR_INLINE_QMULH:
    case IR_INLINE_QRMULH:
        return multiply_high(g, n, n->helper->inline_op == IR_INLINE_QRMULH);
    case IR_INLINE_QNEG:
        return negate_saturating(g, n);
    case IR_INLINE_QABS:
        return absolute_saturating(g, n);
    case IR_INLINE_SHL_S:
    case IR_INLINE_SHL_U:
        return shift_by_lanes(g, n, n->helper->inline_op == IR_INLINE_SHL_S, false);
    case IR_INLINE_RSHL_S:
    case IR_INLINE_RSHL_U:
        return shift_by_lanes(g, n, n->helper->inline_op == IR_INLINE_RSHL_S, true);
    case IR_INLINE_RSHR_S:
    case IR_INLINE_RSHR_U:
        shift_rounded(g, n, n->helper->inline_op == IR_INLINE_RSHR_S);
        return true;
    case IR_INLINE_INSERT_RIGHT:
    case IR_INLINE_INSERT_LEFT:
        shift_insert(g, n, n->helper->inline_op == IR_INLINE_INSERT_LEFT);
        return true;
    default:
        return false;
    }
}

static bool emit_bits(Gen *g, const IrNode *n)
{
    switch (n->helper->inline_op) {
    case IR_INLINE_RECPE_U:
    case IR_INLINE_RSQRTE_U:
        emit_estimate(g, n);
        return true;
    case IR_INLINE_CLMUL8:
        return multiply_carryless(g, n);
    case IR_INLINE_CNT:
        count_ones(g, n);
        return true;
    case IR_INLINE_RBIT:
        reverse_bits(g, n);
        return true;
    case IR_INLINE_CLZ:
    case IR_INLINE_CLS:
        count_zeroes(g, n, n->helper->inline_op == IR_INLINE_CLS);
        return true;
    case IR_INLINE_REV:
        reverse_lanes(g, n);
        return true;
    case IR_INLINE_GATHER3:
    case IR_INLINE_SCATTER3:
        structures_of_three(g, n, n->helper->inline_op == IR_INLINE_GATHER3);
        return true;
    case IR_INLINE_TABLE:
    case IR_INLINE_TABLE_KEEP:
        look_up(g, n, n->helper->inline_op == IR_INLINE_TABLE_KEEP);
        return true;
    case IR_INLINE_TABLE2:
        look_up_two(g, n);
        return true;
    default:
        return false;
    }
}

bool emit_simd_helper(Gen *g, const IrNode *n)
{
    return n->helper->inline_op != IR_INLINE_NONE && n->type == IR_V128 &&
           (emit_same(g, n) || emit_saturating_helper(g, n) || emit_bits(g, n) || emit_long_helper(g, n) ||
            emit_crypto(g, n));
}
