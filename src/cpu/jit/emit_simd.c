/*
 * Vector helpers of integers that are made inline: one function for each family of IrInline (ir.h), in its order. What
 * the immediate asks for is read into a Shape first. Cryptography is in emit_crypto.c.
 */
#include <string.h>

#include "bits.h"
#include "cpu/jit/vec.h"

/* The immediate of a vector helper, taken apart. */
typedef struct Shape {
    unsigned size;  /* log2 of the bytes of a lane, of the narrow one where sizes differ */
    bool     upper; /* all of the register, or its upper half */
    bool     one;
    unsigned count;
} Shape;

static Shape shape_of(const IrNode *n)
{
    return (Shape){ n->imm & 3, n->imm >> 2 & 1, n->imm >> 3 & 1, (unsigned)(n->imm >> 8) };
}

/* Bytes of the result that are covered where operands and result have lanes of one size. */
static unsigned covered(Shape s) { return s.one ? 1u << s.size : s.upper ? 16 : 8; }

/* Lanes that are @v in the first @bytes of 16. */
static X86Mem lanes_below(Gen *g, unsigned bytes, unsigned size, uint64_t v)
{
    for (unsigned i = size; i < 3; i++) {
        v = (v & mask64(8u << i)) | v << (8u << i);
    }
    return gen_constant(g, bytes > 8 ? v & mask64(8 * (bytes - 8)) : 0, v & mask64(8 * MIN(bytes, 8)));
}

/* d = s with zeroes above the first @bytes. */
static void clear_above(Gen *g, X86Xmm d, X86Xmm s, unsigned bytes)
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

/* A table of 16 bytes in @d. */
static void load_table(Gen *g, X86Xmm d, const uint8_t table[16])
{
    uint64_t v[2] = { 0 };

    for (unsigned i = 0; i < 16; i++) {
        v[i / 8] |= (uint64_t)table[i] << i % 8 * 8;
    }
    asm_load_x(&g->as, 4, d, gen_constant(g, v[1], v[0]));
}

static X86Sse widening(unsigned size, bool sign)
{
    return sign ? vec_pick(size, X86_PMOVSXBW, X86_PMOVSXWD, X86_PMOVSXDQ, X86_PMOVSXDQ)
                : vec_pick(size, X86_PMOVZXBW, X86_PMOVZXWD, X86_PMOVZXDQ, X86_PMOVZXDQ);
}

static X86Sse unpack_high(unsigned size)
{
    return vec_pick(size, X86_PUNPCKHBW, X86_PUNPCKHWD, X86_PUNPCKHDQ, X86_PUNPCKHQDQ);
}

/* d = half of s, widened. */
static void widen(Gen *g, X86Xmm d, X86Xmm s, unsigned size, bool sign, bool upper)
{
    if (upper && !sign) {
        asm_sse2_m(&g->as, unpack_high(size), d, s, gen_constant(g, 0, 0));
        return;
    }
    if (upper) {
        asm_sse1_i(&g->as, X86_PSHUFD, d, s, 0xee);
        s = d;
    }
    asm_sse1(&g->as, widening(size, sign), d, s);
}

/* ---- saturation is noted ---- */

static const CpuGuest *guest_of(const Gen *g)
{
    return ((Cpu *)g->j->engine->cpus->pdata[0])->guest;
}

/* The operations that follow write the guest's register of sticky bits. */
static bool begin_saturating(Gen *g)
{
    const CpuGuest *guest = guest_of(g);

    if (guest->sticky_bits != 0) {
        gen_evacuate(g, IR_STATUS);
    }
    return guest->sticky_bits != 0;
}

/* Sets them unless T1 is zero, or with @bits all of those of T1. T1 is not changed. */
static void note_saturation(Gen *g, const X86Mem *bits)
{
    const CpuGuest *guest = guest_of(g);
    AsmLabel        none = ASM_LABEL;

    if (bits != NULL) {
        asm_sse1_m(&g->as, X86_PTEST, T1, *bits);
    } else {
        asm_sse1(&g->as, X86_PTEST, T1, T1);
    }
    asm_jcc(&g->as, CC_E, &none);
    asm_alu_mi(&g->as, ALU_OR, false, gen_mem((int32_t)g->ir->regs[guest->sticky_reg].offset),
               (int32_t)guest->sticky_bits);
    asm_bind(&g->as, &none);
}

/* Likewise when a bit of the covered lanes of T1 is set. */
static void note_covered(Gen *g, Shape s, uint64_t lane_bits)
{
    X86Mem bits = lanes_below(g, covered(s), s.size, lane_bits);

    note_saturation(g, covered(s) == 16 && lane_bits == UINT64_MAX ? NULL : &bits);
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
    clear_above(g, d, T0, covered(s));
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
    note_covered(g, s, UINT64_MAX);
}

/* Words: the sum's sign is wrong where both operands (of a difference: the first and the negated second) have the
 * other; there it becomes the number of that sign that is farthest from 0. */
static void saturate_words_s(Gen *g, Shape s, X86Xmm a, X86Xmm b, bool subtract)
{
    Asm *as = &g->as;

    asm_sse2(as, subtract ? X86_PSUBD : X86_PADDD, T0, a, b);
    if (subtract) {
        asm_sse2(as, X86_PXOR, T2, b, a);
    } else {
        asm_sse2(as, X86_PXOR, T2, b, T0);
    }
    asm_sse2(as, X86_PXOR, T1, a, T0);
    asm_sse2(as, X86_PAND, T1, T1, T2);
    note_covered(g, s, vec_sign(2));
    asm_movx(as, T2, T0);
    asm_movx(as, T0, T1);
    asm_sse_shift_i(as, X86_PSRAD_I, T1, T2, 31);
    asm_sse2_m(as, X86_PXOR, T1, T1, gen_constant_lanes(g, 2, vec_sign(2)));
    vec_blend(g, X86_BLENDVPS, T2, T2, T1);
    asm_movx(as, T0, T2);
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
    note_covered(g, s, UINT64_MAX);
}

static bool saturating(Gen *g, const IrNode *n, bool sign, bool subtract)
{
    Shape s = shape_of(n);

    if (s.size == 3 || !begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);
    if (s.size < 2) {
        saturate_narrow(g, s, a, b, sign, subtract);
    } else {
        (sign ? saturate_words_s : saturate_words_u)(g, s, a, b, subtract);
    }
    clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
    return true;
}

/* ---- the upper half of doubled products ---- */

/*
 * Only the product of two smallest numbers does not fit: twice 2^30 (of halfwords) is 2^31. What the sequences give
 * for it is the smallest number, which no other product gives: 0x8000 becomes 0x7fff.
 */
static void saturate_product(Gen *g, Shape s)
{
    X86Mem smallest = gen_constant_lanes(g, s.size, vec_sign(s.size));

    asm_sse2_m(&g->as, s.size == 1 ? X86_PCMPEQW : X86_PCMPEQD, T1, T0, smallest);
    asm_sse2(&g->as, X86_PXOR, T0, T0, T1);
    note_covered(g, s, UINT64_MAX);
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

/* Words: 64-bit products of the even and of the odd lanes, doubled by taking the upper half one bit lower. */
static void multiply_high_longs(Gen *g, X86Xmm a, X86Xmm b, bool round)
{
    Asm *as = &g->as;

    asm_sse2(as, X86_PMULDQ, T0, a, b);
    asm_sse_shift_i(as, X86_PSRLQ_I, T1, a, 32);
    asm_sse_shift_i(as, X86_PSRLQ_I, T2, b, 32);
    asm_sse2(as, X86_PMULDQ, T1, T1, T2);
    if (round) {
        X86Mem half = gen_constant_lanes(g, 3, 1u << 30);

        asm_sse2_m(as, X86_PADDQ, T0, T0, half);
        asm_sse2_m(as, X86_PADDQ, T1, T1, half);
    }
    asm_sse_shift_i(as, X86_PSRLQ_I, T0, T0, 31);
    asm_sse_shift_i(as, X86_PSLLQ_I, T1, T1, 1);
    asm_sse2_i(as, X86_PBLENDW, T0, T0, T1, 0xcc);
}

static bool multiply_high(Gen *g, const IrNode *n, bool round)
{
    Shape s = shape_of(n);

    if (s.size == 0 || s.size == 3 || !begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);
    (s.size == 1 ? multiply_high_words : multiply_high_longs)(g, a, b, round);
    saturate_product(g, s);
    clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
    return true;
}

/* ---- absolute values and negatives, saturating ---- */

static bool negate_saturating(Gen *g, const IrNode *n)
{
    Shape s = shape_of(n);

    if (s.size == 3 || !begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T2);
    vec_zero(g, T1);
    if (s.size < 2) {
        saturate_narrow(g, s, T1, a, true, true);
    } else {
        saturate_words_s(g, s, T1, a, true);
    }
    clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
    return true;
}

/* The host's result for the smallest number is that number: unsigned, it is above the largest one. */
static bool absolute_saturating(Gen *g, const IrNode *n)
{
    Shape s = shape_of(n);

    if (s.size == 3 || !begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    asm_sse1(&g->as, vec_pick(s.size, X86_PABSB, X86_PABSW, X86_PABSD, X86_PABSD), T1, vec_in(g, n->a, T1));
    asm_sse2_m(&g->as, vec_min(false, s.size), T0, T1, gen_constant_lanes(g, s.size, vec_sign(s.size) - 1));
    asm_sse2(&g->as, X86_PXOR, T1, T1, T0);
    note_covered(g, s, UINT64_MAX);
    clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
    return true;
}

/* ---- shifts ---- */

/*
 * Each lane by its own count. Bytes: their product with 1 << (count + 8) has the result in its upper byte, whichever way
 * it goes; counts below -8 are as -8, those of 8 and more have 0 for the factor.
 */
static void shift_bytes_by_lanes(Gen *g, const IrNode *n, bool sign)
{
    static const uint8_t low[16] = { 1, 2, 4, 8, 16, 32, 64, 128 };
    static const uint8_t high[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128 };
    Asm *as = &g->as;

    asm_sse2_m(as, X86_PMAXSB, T0, vec_in(g, n->b, T0), gen_constant_lanes(g, 0, 0xf8));
    asm_sse2_m(as, X86_PADDB, T0, T0, gen_constant_lanes(g, 0, 8));
    asm_sse2_m(as, X86_PADDUSB, T0, T0, gen_constant_lanes(g, 0, 0x70));
    load_table(g, T1, low);
    asm_sse2(as, X86_PSHUFB, T1, T1, T0);
    load_table(g, T2, high);
    asm_sse2(as, X86_PSHUFB, T2, T2, T0);
    asm_sse2(as, X86_PUNPCKLBW, T0, T1, T2);
    asm_sse2(as, X86_PUNPCKHBW, T1, T1, T2);
    widen(g, T2, vec_in(g, n->a, T2), 0, sign, false);
    asm_sse2(as, X86_PMULLW, T0, T0, T2);
    widen(g, T2, vec_in(g, n->a, T2), 0, sign, true);
    asm_sse2(as, X86_PMULLW, T1, T1, T2);
    asm_sse_shift_i(as, X86_PSRLW_I, T0, T0, 8);
    asm_sse_shift_i(as, X86_PSRLW_I, T1, T1, 8);
    asm_sse2(as, X86_PACKUSWB, T0, T0, T1);
}

/* Halfwords: likewise, shifted left by count + 16 in lanes of 32 bits; from 32 on that gives 0. AVX2. */
static void shift_words_by_lanes(Gen *g, const IrNode *n, bool sign)
{
    Asm *as = &g->as;

    asm_sse_shift_i(as, X86_PSLLW_I, T0, vec_in(g, n->b, T0), 8);
    asm_sse_shift_i(as, X86_PSRAW_I, T0, T0, 8);
    asm_sse2_m(as, X86_PMAXSW, T0, T0, gen_constant_lanes(g, 1, 0xfff0));
    asm_sse2_m(as, X86_PADDW, T0, T0, gen_constant_lanes(g, 1, 16));
    widen(g, T1, T0, 1, false, false);
    widen(g, T0, T0, 1, false, true);
    widen(g, T2, vec_in(g, n->a, T2), 1, sign, false);
    asm_sse2(as, X86_VPSLLVD, T1, T2, T1);
    widen(g, T2, vec_in(g, n->a, T2), 1, sign, true);
    asm_sse2(as, X86_VPSLLVD, T0, T2, T0);
    asm_sse_shift_i(as, X86_PSRLD_I, T1, T1, 16);
    asm_sse_shift_i(as, X86_PSRLD_I, T0, T0, 16);
    asm_sse2(as, X86_PACKUSDW, T0, T1, T0);
}

/*
 * Words and doublewords, on AVX2: counts from the width on give 0, so both directions are made and joined. A negative
 * count's low byte is above 127 when it is taken for one to the left. Signed, one of the two is chosen; of 64 bits,
 * negative numbers are inverted before and after.
 */
static void shift_longs_by_lanes(Gen *g, const IrNode *n, unsigned size, bool sign)
{
    Asm   *as = &g->as;
    X86Mem low_byte = gen_constant_lanes(g, size, 0xff);
    X86Xmm a = vec_in(g, n->a, T1);

    vec_zero(g, T0);
    vec_op_in(g, vec_sub(size), T0, T0, n->b, T2);
    asm_sse2_m(as, X86_PAND, T0, T0, low_byte);
    if (size == 3 && sign) {
        vec_zero(g, T2);
        asm_sse2(as, X86_PCMPGTQ, T2, T2, a);
        asm_sse2(as, X86_PXOR, T1, a, T2);
        asm_sse2(as, X86_VPSRLVQ, T0, T1, T0);
        asm_sse2(as, X86_PXOR, T0, T0, T2);
        a = vec_in(g, n->a, T1);
    } else {
        asm_sse2(as, sign ? X86_VPSRAVD : size == 2 ? X86_VPSRLVD : X86_VPSRLVQ, T0, a, T0);
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

static bool shift_by_lanes(Gen *g, const IrNode *n, bool sign)
{
    Shape s = shape_of(n);

    if (s.size != 0 && !g->as.host.avx2) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    if (s.size == 0) {
        shift_bytes_by_lanes(g, n, sign);
    } else if (s.size == 1) {
        shift_words_by_lanes(g, n, sign);
    } else {
        shift_longs_by_lanes(g, n, s.size, sign);
    }
    clear_above(g, d, T0, covered(s));
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
    clear_above(g, d, T1, covered(s));
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
    clear_above(g, d, T1, covered(s));
    gen_done_xmm(g, d);
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
    load_table(g, T2, low);
    asm_sse2(as, X86_PSHUFB, T2, T2, T0);
    load_table(g, T0, high);
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
    clear_above(g, d, T0, covered(shape_of(n)));
    gen_done_xmm(g, d);
}

static void reverse_bits(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    by_nibbles(g, vec_in(g, n->a, T1), reversed_high, reversed, X86_POR);
    clear_above(g, d, T0, covered(shape_of(n)));
    gen_done_xmm(g, d);
}

/* Bytes first; of two neighbours the upper one's number, plus that of the lower where the upper is all zeroes. */
static void count_zeroes(Gen *g, const IrNode *n, bool sign_copies)
{
    Asm   *as = &g->as;
    Shape  s = shape_of(n);
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
    clear_above(g, d, T0, covered(s));
    gen_done_xmm(g, d);
}

/* ---- bytes to anywhere ---- */

enum { NO_BYTE = 0x80 };

/* PSHUFB's control for lanes of 8 << @size bits: lane i is what from[i] says, or NO_BYTE. */
static X86Mem lane_control(Gen *g, unsigned size, const uint8_t from[16])
{
    uint64_t v[2] = { 0 };

    for (unsigned i = 0; i < 16; i++) {
        unsigned lane = from[i >> size], byte = (lane << size) + (i & ((1u << size) - 1));

        v[i / 8] |= (uint64_t)(lane == NO_BYTE ? NO_BYTE : byte) << i % 8 * 8;
    }
    return gen_constant(g, v[1], v[0]);
}

static void reverse_lanes(Gen *g, const IrNode *n)
{
    Shape   s = shape_of(n);
    uint8_t from[16];
    X86Xmm  d = gen_dest_xmm(g);

    for (unsigned i = 0; i < 16; i++) {
        from[i] = i << s.size < covered(s) ? (uint8_t)(i ^ ((1u << s.count) - 1)) : NO_BYTE;
    }
    asm_sse2_m(&g->as, X86_PSHUFB, d, vec_in(g, n->a, T1), lane_control(g, s.size, from));
    gen_done_xmm(g, d);
}

/* d = of three registers those lanes that the controls take. */
static void join_three(Gen *g, const IrNode *n, unsigned size, uint8_t from[3][16])
{
    Asm   *as = &g->as;
    X86Xmm d = gen_dest_xmm(g);

    asm_sse2_m(as, X86_PSHUFB, T0, vec_in(g, n->a, T0), lane_control(g, size, from[0]));
    asm_sse2_m(as, X86_PSHUFB, T1, vec_in(g, n->b, T1), lane_control(g, size, from[1]));
    asm_sse2(as, X86_POR, T0, T0, T1);
    asm_sse2_m(as, X86_PSHUFB, T1, vec_in(g, n->c, T1), lane_control(g, size, from[2]));
    asm_sse2(as, X86_POR, d, T0, T1);
    gen_done_xmm(g, d);
}

static void structures_of_three(Gen *g, const IrNode *n, bool gather)
{
    Shape    s = shape_of(n);
    unsigned lanes = covered(s) >> s.size;
    uint8_t  from[3][16];

    memset(from, NO_BYTE, sizeof(from));
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

/* ---- lanes of twice the size ---- */

static void widen_in(Gen *g, X86Xmm d, IrRef r, Shape s, bool sign)
{
    if (!gen_is_const(g, r) && gen_val(g, r)->kind == AT_MEM) {
        asm_sse1_m(&g->as, widening(s.size, sign), d, gen_mem(gen_val(g, r)->mem + (s.upper ? 8 : 0)));
    } else {
        widen(g, d, vec_in(g, r, d), s.size, sign, s.upper);
    }
}

static void long_sum(Gen *g, const IrNode *n, bool sign, bool subtract)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g);

    widen_in(g, T1, n->a, s, sign);
    widen_in(g, T2, n->b, s, sign);
    vec_op(g, subtract ? vec_sub(s.size + 1) : vec_add(s.size + 1), d, T1, T2);
    gen_done_xmm(g, d);
}

static void wide_sum(Gen *g, const IrNode *n, bool sign, bool subtract)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g);

    widen_in(g, T2, n->b, s, sign);
    vec_op(g, subtract ? vec_sub(s.size + 1) : vec_add(s.size + 1), d, vec_in(g, n->a, T1), T2);
    gen_done_xmm(g, d);
}

/* The larger minus the smaller fits the lane, unsigned. */
static void long_distance(Gen *g, const IrNode *n, bool sign, bool accumulate)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);

    asm_sse2(&g->as, vec_max(sign, s.size), T0, a, b);
    asm_sse2(&g->as, vec_min(sign, s.size), T1, a, b);
    asm_sse2(&g->as, vec_sub(s.size), T0, T0, T1);
    if (accumulate) {
        widen(g, T0, T0, s.size, false, s.upper);
        vec_op_in(g, vec_add(s.size + 1), d, T0, n->c, T1);
    } else {
        widen(g, d, T0, s.size, false, s.upper);
    }
    gen_done_xmm(g, d);
}

/* In d, T0 or the result's register: products of bytes in lanes of 16 bits. */
static void long_product_bytes(Gen *g, const IrNode *n, X86Xmm d, Shape s, bool sign)
{
    widen_in(g, T1, n->a, s, sign);
    widen_in(g, T2, n->b, s, sign);
    asm_sse2(&g->as, X86_PMULLW, d, T1, T2);
}

/* Of halfwords: low and high halves interleaved. */
static void long_product_words(Gen *g, const IrNode *n, X86Xmm d, Shape s, bool sign)
{
    X86Xmm a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);

    asm_sse2(&g->as, X86_PMULLW, T0, a, b);
    asm_sse2(&g->as, sign ? X86_PMULHW : X86_PMULHUW, T1, a, b);
    asm_sse2(&g->as, s.upper ? X86_PUNPCKHWD : X86_PUNPCKLWD, d, T0, T1);
}

/* Of words: the host multiplies every other lane. */
static void long_product_longs(Gen *g, const IrNode *n, X86Xmm d, Shape s, bool sign)
{
    uint8_t lanes = s.upper ? 0x32 : 0x10;

    asm_sse1_i(&g->as, X86_PSHUFD, T1, vec_in(g, n->a, T1), lanes);
    asm_sse1_i(&g->as, X86_PSHUFD, T2, vec_in(g, n->b, T2), lanes);
    asm_sse2(&g->as, sign ? X86_PMULDQ : X86_PMULUDQ, d, T1, T2);
}

typedef enum Accumulate { ALONE, ADDED, SUBTRACTED } Accumulate;

static bool long_product(Gen *g, const IrNode *n, bool sign, Accumulate how)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g);

    (s.size == 0 ? long_product_bytes : s.size == 1 ? long_product_words : long_product_longs)(
        g, n, how == ALONE ? d : T0, s, sign);
    if (how == ADDED) {
        vec_op_in(g, vec_add(s.size + 1), d, T0, n->c, T1);
    } else if (how == SUBTRACTED) {
        vec_op(g, vec_sub(s.size + 1), d, vec_in(g, n->c, T1), T0);
    }
    gen_done_xmm(g, d);
    return true;
}

/* Of halfwords, doubled and saturating, and as saturating a sum with the third operand. */
static bool long_product_doubled(Gen *g, const IrNode *n, Accumulate how)
{
    Shape s = shape_of(n), wide = { .size = 2, .upper = true, .one = s.one };

    if (s.size != 1 || !begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    long_product_words(g, n, T0, s, true);
    asm_sse2(&g->as, X86_PADDD, T0, T0, T0);
    saturate_product(g, wide);
    if (how != ALONE) {
        asm_movx(&g->as, T2, T0);
        saturate_words_s(g, wide, vec_in(g, n->c, T1), T2, how == SUBTRACTED);
    }
    clear_above(g, d, T0, covered(wide));
    gen_done_xmm(g, d);
    return true;
}

static void long_shift(Gen *g, const IrNode *n, bool sign)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g);

    widen_in(g, T0, n->a, s, sign);
    vec_shift(g, VEC_LEFT, s.size + 1, d, T0, s.count);
    gen_done_xmm(g, d);
}

/* ---- sums of neighbours ---- */

/* T0 = sums of pairs of bytes: products with ones are added by the host, which takes its first source unsigned. */
static void pairs_of_bytes(Gen *g, IrRef r, bool sign)
{
    if (sign) {
        asm_load_x(&g->as, 4, T0, gen_constant_lanes(g, 0, 1));
        vec_op_in(g, X86_PMADDUBSW, T0, T0, r, T1);
    } else {
        asm_sse2_m(&g->as, X86_PMADDUBSW, T0, vec_in(g, r, T1), gen_constant_lanes(g, 0, 1));
    }
}

/* Even and odd lanes of 8 << @size bits zero-extended, or of words sign-extended by a product with one. */
static void pairs_split(Gen *g, IrRef r, unsigned size, bool sign)
{
    Asm   *as = &g->as;
    X86Xmm a = vec_in(g, r, T1);

    vec_shift(g, VEC_RIGHT, size + 1, T0, a, 8u << size);
    if (sign) {
        X86Mem one = gen_constant_lanes(g, 2, 1);

        asm_sse2_m(as, X86_PMULDQ, T0, T0, one);
        asm_sse2_m(as, X86_PMULDQ, T1, a, one);
    } else {
        asm_sse2_m(as, X86_PAND, T1, a, gen_constant_lanes(g, size + 1, mask64(8u << size)));
    }
    asm_sse2(as, vec_add(size + 1), T0, T0, T1);
}

/* In T0; T1 is lost. */
static void add_pairs(Gen *g, IrRef r, unsigned size, bool sign)
{
    if (size == 0) {
        pairs_of_bytes(g, r, sign);
    } else if (size == 1 && sign) {
        asm_sse2_m(&g->as, X86_PMADDWD, T0, vec_in(g, r, T1), gen_constant_lanes(g, 1, 1));
    } else {
        pairs_split(g, r, size, sign);
    }
}

static void long_pairs(Gen *g, const IrNode *n, bool sign, bool accumulate)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g), sum = T0;

    add_pairs(g, n->a, s.size, sign);
    if (accumulate) {
        sum = covered(s) == 16 ? d : T0;
        vec_op_in(g, vec_add(s.size + 1), sum, T0, n->b, T1);
    }
    clear_above(g, d, sum, covered(s));
    gen_done_xmm(g, d);
}

/* ---- lanes of half the size ---- */

/* Even or odd lanes of T0 in its low half: what is above is anything. */
static void take_narrow(Gen *g, unsigned size, bool odd)
{
    uint8_t from[16];

    if (size == 2) {
        asm_sse1_i(&g->as, X86_PSHUFD, T0, T0, odd ? 0xdd : 0x88);
        return;
    }
    for (unsigned i = 0; i < 16; i++) {
        from[i] = (uint8_t)(2 * i % (16u >> size) + odd);
    }
    asm_sse2_m(&g->as, X86_PSHUFB, T0, T0, lane_control(g, size, from));
}

/* The narrow lanes of T0: alone, or above the low half of @old. */
static void finish_narrow(Gen *g, X86Xmm d, Shape s, IrRef old)
{
    if (s.one) {
        clear_above(g, d, T0, 1u << s.size);
    } else if (s.upper) {
        vec_op(g, X86_PUNPCKLQDQ, d, vec_in(g, old, T1), T0);
    } else {
        asm_movq_xx(&g->as, d, T0);
    }
    gen_done_xmm(g, d);
}

static void narrow_sum(Gen *g, const IrNode *n, bool subtract, bool round)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g);

    vec_op_in(g, subtract ? vec_sub(s.size + 1) : vec_add(s.size + 1), T0, vec_in(g, n->a, T1), n->b, T2);
    if (round) {
        asm_sse2_m(&g->as, vec_add(s.size + 1), T0, T0, gen_constant_lanes(g, s.size + 1, vec_sign(s.size)));
    }
    take_narrow(g, s.size, true);
    finish_narrow(g, d, s, n->c);
}

/* A carry out of the wide lane would be above what is kept: the count is at most the narrow width. */
static void narrow_rounded(Gen *g, const IrNode *n)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

    asm_sse2_m(&g->as, vec_add(s.size + 1), T0, a, gen_constant_lanes(g, s.size + 1, 1ull << (s.count - 1)));
    vec_shift(g, VEC_RIGHT, s.size + 1, T0, T0, s.count);
    take_narrow(g, s.size, false);
    finish_narrow(g, d, s, n->b);
}

typedef enum Narrowing { S_TO_S, U_TO_U, S_TO_U } Narrowing;

/* T0 = lanes of T1 saturated, T1 = not 0 where that changed them. */
static void saturate_lanes(Gen *g, unsigned size, Narrowing how)
{
    Asm   *as = &g->as;
    X86Sse to_signed = size == 0 ? X86_PACKSSWB : X86_PACKSSDW;
    X86Sse to_unsigned = size == 0 ? X86_PACKUSWB : X86_PACKUSDW; /* from signed */

    if (how == U_TO_U) {
        X86Mem largest = gen_constant_lanes(g, size + 1, mask64(8u << size));

        asm_sse2_m(as, size == 0 ? X86_PMINUW : X86_PMINUD, T2, T1, largest);
        asm_sse2(as, to_unsigned, T0, T2, T2);
    } else {
        asm_sse2(as, how == S_TO_S ? to_signed : to_unsigned, T0, T1, T1);
        widen(g, T2, T0, size, how == S_TO_S, false);
    }
    asm_sse2(as, X86_PXOR, T1, T1, T2);
}

/* T1 = the operand shifted; rounded by adding the last bit that fell off. */
static void shift_for_narrow(Gen *g, const IrNode *n, Shape s, bool sign, bool round)
{
    X86Xmm a = vec_in(g, n->a, T1);

    if (round) {
        vec_shift(g, VEC_RIGHT, s.size + 1, T0, a, s.count - 1);
        asm_sse2_m(&g->as, X86_PAND, T0, T0, gen_constant_lanes(g, s.size + 1, 1));
    }
    vec_shift(g, sign ? VEC_RIGHT_S : VEC_RIGHT, s.size + 1, T1, a, s.count);
    if (round) {
        asm_sse2(&g->as, vec_add(s.size + 1), T1, T1, T0);
    }
}

static bool narrow_saturated(Gen *g, const IrNode *n, Narrowing how, bool round)
{
    Shape  s = shape_of(n);
    X86Mem lowest = gen_constant(g, 0, mask64(16u << s.size));

    if (s.size == 2 || !begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    shift_for_narrow(g, n, s, how != U_TO_U, round);
    saturate_lanes(g, s.size, how);
    note_saturation(g, s.one ? &lowest : NULL);
    finish_narrow(g, d, s, n->b);
    return true;
}

/* ---- across lanes ---- */

/* T0 = T0 @op its upper half, and so on down to a lane of @bytes; from 16 or 8 bytes. T1 is lost. */
static void fold(Gen *g, X86Sse op, unsigned from, unsigned bytes)
{
    Asm *as = &g->as;

    for (unsigned half = from / 2; half >= bytes; half /= 2) {
        if (half == 8) {
            asm_sse1_i(as, X86_PSHUFD, T1, T0, 0xee);
        } else if (half == 4) {
            asm_sse1_i(as, X86_PSHUFD, T1, T0, 0x55);
        } else {
            asm_sse_shift_i(as, X86_PSRLD_I, T1, T0, (uint8_t)(8 * half));
        }
        asm_sse2(as, op, T0, T0, T1);
    }
}

/* Bytes are added by the host, eight to a sum; signed ones 128 higher. */
static void sum_bytes(Gen *g, const IrNode *n, Shape s, bool sign)
{
    X86Mem zero = gen_constant(g, 0, 0);
    X86Xmm a = vec_in(g, n->a, T1);

    if (sign) {
        asm_sse2_m(&g->as, X86_PXOR, T0, a, gen_constant_lanes(g, 0, 0x80));
        a = T0;
    }
    asm_sse2_m(&g->as, X86_PSADBW, T0, a, zero);
    if (s.upper) {
        fold(g, X86_PADDD, 16, 8);
    }
    if (sign) {
        asm_sse2_m(&g->as, X86_PSUBW, T0, T0, gen_constant(g, 0, 128u * covered(s)));
    }
}

/* Of one size the low part of a sum of wider lanes is right, whatever their sign. */
static void sum_across(Gen *g, const IrNode *n, bool longer, bool sign)
{
    Shape    s = shape_of(n);
    X86Xmm   d = gen_dest_xmm(g);
    unsigned bytes = (longer ? 2u : 1u) << s.size;

    if (s.size == 0) {
        sum_bytes(g, n, s, longer && sign);
    } else if (s.size == 2 && !longer) {
        asm_movx(&g->as, T0, vec_in(g, n->a, T0));
        fold(g, X86_PADDD, covered(s), 4);
    } else {
        add_pairs(g, n->a, s.size, !longer || sign);
        fold(g, vec_add(s.size + 1), covered(s), 2u << s.size);
    }
    clear_above(g, d, T0, bytes);
    gen_done_xmm(g, d);
}

static void limit_across(Gen *g, const IrNode *n, X86Sse op)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g);

    asm_movx(&g->as, T0, vec_in(g, n->a, T0));
    fold(g, op, covered(s), 1u << s.size);
    clear_above(g, d, T0, 1u << s.size);
    gen_done_xmm(g, d);
}

/* ---- dot products ---- */

/* d = the even or odd bytes of an operand, widened to 16 bits. */
static void bytes_widened(Gen *g, X86Xmm d, IrRef r, bool odd, bool sign)
{
    X86Xmm a = vec_in(g, r, d);

    if (odd) {
        vec_shift(g, sign ? VEC_RIGHT_S : VEC_RIGHT, 1, d, a, 8);
    } else if (sign) {
        vec_shift(g, VEC_LEFT, 1, d, a, 8);
        vec_shift(g, VEC_RIGHT_S, 1, d, d, 8);
    } else {
        asm_sse2_m(&g->as, X86_PAND, d, a, gen_constant_lanes(g, 1, 0xff));
    }
}

/* The host adds pairs of products of 16 bits: one pair from the even bytes, one from the odd ones. */
static void dot_product(Gen *g, const IrNode *n, bool sign_a, bool sign_b)
{
    Asm     *as = &g->as;
    unsigned bytes = covered(shape_of(n));
    X86Xmm   d = gen_dest_xmm(g);

    bytes_widened(g, T0, n->a, false, sign_a);
    bytes_widened(g, T1, n->b, false, sign_b);
    asm_sse2(as, X86_PMADDWD, T0, T0, T1);
    bytes_widened(g, T1, n->a, true, sign_a);
    bytes_widened(g, T2, n->b, true, sign_b);
    asm_sse2(as, X86_PMADDWD, T1, T1, T2);
    asm_sse2(as, X86_PADDD, T0, T0, T1);
    vec_op_in(g, X86_PADDD, T0, T0, n->c, T1);
    clear_above(g, d, T0, bytes);
    gen_done_xmm(g, d);
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
    clear_above(g, d, T1, bytes);
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
    clear_above(g, d, T1, bytes);
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
        return shift_by_lanes(g, n, n->helper->inline_op == IR_INLINE_SHL_S);
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

static bool emit_long(Gen *g, const IrNode *n)
{
    unsigned op = n->helper->inline_op;

    switch (op) {
    case IR_INLINE_ADDL_S:
    case IR_INLINE_ADDL_U:
        long_sum(g, n, op == IR_INLINE_ADDL_S, false);
        return true;
    case IR_INLINE_SUBL_S:
    case IR_INLINE_SUBL_U:
        long_sum(g, n, op == IR_INLINE_SUBL_S, true);
        return true;
    case IR_INLINE_ADDW_S:
    case IR_INLINE_ADDW_U:
        wide_sum(g, n, op == IR_INLINE_ADDW_S, false);
        return true;
    case IR_INLINE_SUBW_S:
    case IR_INLINE_SUBW_U:
        wide_sum(g, n, op == IR_INLINE_SUBW_S, true);
        return true;
    case IR_INLINE_ABDL_S:
    case IR_INLINE_ABDL_U:
        long_distance(g, n, op == IR_INLINE_ABDL_S, false);
        return true;
    case IR_INLINE_ABAL_S:
    case IR_INLINE_ABAL_U:
        long_distance(g, n, op == IR_INLINE_ABAL_S, true);
        return true;
    case IR_INLINE_MULL_S:
    case IR_INLINE_MULL_U:
        return long_product(g, n, op == IR_INLINE_MULL_S, ALONE);
    case IR_INLINE_MLAL_S:
    case IR_INLINE_MLAL_U:
        return long_product(g, n, op == IR_INLINE_MLAL_S, ADDED);
    case IR_INLINE_MLSL_S:
    case IR_INLINE_MLSL_U:
        return long_product(g, n, op == IR_INLINE_MLSL_S, SUBTRACTED);
    case IR_INLINE_QMULL:
        return long_product_doubled(g, n, ALONE);
    case IR_INLINE_QMLAL:
        return long_product_doubled(g, n, ADDED);
    case IR_INLINE_QMLSL:
        return long_product_doubled(g, n, SUBTRACTED);
    case IR_INLINE_SHLL_S:
    case IR_INLINE_SHLL_U:
        long_shift(g, n, op == IR_INLINE_SHLL_S);
        return true;
    case IR_INLINE_PAIRL_S:
    case IR_INLINE_PAIRL_U:
        long_pairs(g, n, op == IR_INLINE_PAIRL_S, false);
        return true;
    case IR_INLINE_PAIRAL_S:
    case IR_INLINE_PAIRAL_U:
        long_pairs(g, n, op == IR_INLINE_PAIRAL_S, true);
        return true;
    default:
        return false;
    }
}

static bool emit_narrow(Gen *g, const IrNode *n)
{
    switch (n->helper->inline_op) {
    case IR_INLINE_ADDHN:
    case IR_INLINE_RADDHN:
        narrow_sum(g, n, false, n->helper->inline_op == IR_INLINE_RADDHN);
        return true;
    case IR_INLINE_SUBHN:
    case IR_INLINE_RSUBHN:
        narrow_sum(g, n, true, n->helper->inline_op == IR_INLINE_RSUBHN);
        return true;
    case IR_INLINE_RSHRN:
        narrow_rounded(g, n);
        return true;
    case IR_INLINE_QXTN_S:
    case IR_INLINE_QSHRN_S:
        return narrow_saturated(g, n, S_TO_S, false);
    case IR_INLINE_QXTN_U:
    case IR_INLINE_QSHRN_U:
        return narrow_saturated(g, n, U_TO_U, false);
    case IR_INLINE_QXTUN:
    case IR_INLINE_QSHRUN:
        return narrow_saturated(g, n, S_TO_U, false);
    case IR_INLINE_QRSHRN_S:
        return narrow_saturated(g, n, S_TO_S, true);
    case IR_INLINE_QRSHRN_U:
        return narrow_saturated(g, n, U_TO_U, true);
    case IR_INLINE_QRSHRUN:
        return narrow_saturated(g, n, S_TO_U, true);
    default:
        return false;
    }
}

static bool emit_across(Gen *g, const IrNode *n)
{
    unsigned op = n->helper->inline_op, size = n->imm & 3;

    switch (op) {
    case IR_INLINE_SUM:
        sum_across(g, n, false, false);
        return true;
    case IR_INLINE_SUML_S:
    case IR_INLINE_SUML_U:
        sum_across(g, n, true, op == IR_INLINE_SUML_S);
        return true;
    case IR_INLINE_MAXV_S:
    case IR_INLINE_MAXV_U:
        limit_across(g, n, vec_max(op == IR_INLINE_MAXV_S, size));
        return true;
    case IR_INLINE_MINV_S:
    case IR_INLINE_MINV_U:
        limit_across(g, n, vec_min(op == IR_INLINE_MINV_S, size));
        return true;
    case IR_INLINE_DOT_S:
    case IR_INLINE_DOT_U:
    case IR_INLINE_DOT_US:
    case IR_INLINE_DOT_SU:
        dot_product(g, n, op == IR_INLINE_DOT_S || op == IR_INLINE_DOT_SU,
                    op == IR_INLINE_DOT_S || op == IR_INLINE_DOT_US);
        return true;
    default:
        return false;
    }
}

bool emit_simd_helper(Gen *g, const IrNode *n)
{
    return n->helper->inline_op != IR_INLINE_NONE && n->type == IR_V128 &&
           (emit_same(g, n) || emit_bits(g, n) || emit_long(g, n) || emit_narrow(g, n) || emit_across(g, n) ||
            emit_crypto(g, n));
}
