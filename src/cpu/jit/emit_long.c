/*
 * Vector helpers of integers whose result has lanes of another size, or one lane from all: wide results, narrow ones,
 * sums across lanes, dot products; in the order of IrInline (ir.h).
 */
#include "bits.h"
#include "cpu/jit/simd.h"

/* ---- lanes of twice the size ---- */

static void widen_in(Gen *g, X86Xmm d, IrRef r, Shape s, bool sign)
{
    if (!gen_is_const(g, r) && gen_val(g, r)->kind == AT_MEM) {
        asm_sse1_m(&g->as, simd_widening(s.size, sign), d, gen_mem(gen_val(g, r)->mem + (s.upper ? 8 : 0)));
    } else {
        simd_widen(g, d, vec_in(g, r, d), s.size, sign, s.upper);
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
        simd_widen(g, T0, T0, s.size, false, s.upper);
        vec_op_in(g, vec_add(s.size + 1), d, T0, n->c, T1);
    } else {
        simd_widen(g, d, T0, s.size, false, s.upper);
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

/* Whether all halfwords of the operand are one number. */
static bool is_spread(const Gen *g, IrRef r)
{
    const IrNode *n = gen_node(g, r);

    return (n->op == IR_vdupl || n->op == IR_vdup) && (n->imm & 3) <= 1;
}

/* Of halfwords: low and high halves interleaved; signed, with one number for all: the host adds pairs of products, here
 * one of them with zero. */
static void long_product_words(Gen *g, const IrNode *n, X86Xmm d, Shape s, bool sign)
{
    if (sign && is_spread(g, n->b)) {
        widen_in(g, T1, n->a, s, false);
        vec_op_in(g, X86_PMADDWD, d, T1, n->b, T2);
        return;
    }
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

/* Doubled and saturating, and as saturating a sum with the third operand. */
static bool long_product_doubled(Gen *g, const IrNode *n, Accumulate how)
{
    Shape s = shape_of(n), wide = { .size = s.size + 1, .upper = true, .one = s.one };

    if (!simd_begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    (s.size == 1 ? long_product_words : long_product_longs)(g, n, T0, s, true);
    asm_sse2(&g->as, vec_add(wide.size), T0, T0, T0);
    simd_saturate_product(g, wide);
    if (how != ALONE) {
        asm_movx(&g->as, T2, T0);
        simd_saturate_words(g, wide, vec_in(g, n->c, T1), T2, how == SUBTRACTED);
    }
    simd_clear_above(g, d, T0, covered(wide));
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
    simd_clear_above(g, d, sum, covered(s));
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
    asm_sse2_m(&g->as, X86_PSHUFB, T0, T0, simd_lane_control(g, size, from));
}

/* The narrow lanes of T0: alone, or above the low half of @old. */
static void finish_narrow(Gen *g, X86Xmm d, Shape s, IrRef old)
{
    if (s.one) {
        simd_clear_above(g, d, T0, 1u << s.size);
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
        simd_widen(g, T2, T0, size, how == S_TO_S, false);
    }
    asm_sse2(as, X86_PXOR, T1, T1, T2);
}

/* T1 = the operand shifted; rounded by adding the last bit that fell off. */
static void shift_for_narrow(Gen *g, const IrNode *n, Shape s, bool sign, bool round)
{
    X86Xmm a = vec_in(g, n->a, T1);

    if (round) {
        vec_shift(g, VEC_RIGHT, s.size + 1, T2, a, s.count - 1);
        asm_sse2_m(&g->as, X86_PAND, T2, T2, gen_constant_lanes(g, s.size + 1, 1));
    }
    vec_shift(g, sign ? VEC_RIGHT_S : VEC_RIGHT, s.size + 1, T1, a, s.count);
    if (round) {
        asm_sse2(&g->as, vec_add(s.size + 1), T1, T1, T2);
    }
}

/*
 * Likewise of 64 bits to words, for which the host has no such instruction, and noted: in both halves of T0. A number
 * fits when its upper half has nothing but copies of the sign, or zeroes; else that half tells the nearest number.
 */
static void saturate_longs(Gen *g, Shape s, Narrowing how)
{
    Asm     *as = &g->as;
    X86Mem   first = gen_constant(g, 0, mask64(32));
    AsmLabel fits = ASM_LABEL;

    asm_sse1_i(as, X86_PSHUFD, T2, T1, 0x88);
    asm_sse1_i(as, X86_PSHUFD, T0, T1, 0xdd);
    if (how == S_TO_S) {
        asm_sse_shift_i(as, X86_PSRAD_I, T1, T2, 31);
        asm_sse2(as, X86_PXOR, T1, T1, T0);
    } else {
        asm_movx(as, T1, T0);
    }
    simd_if_saturated(g, s.one ? &first : NULL, &fits);
    if (how != U_TO_U) {
        asm_sse_shift_i(as, X86_PSRAD_I, T0, T0, 31);
        asm_sse2_m(as, X86_PXOR, T0, T0, gen_constant_lanes(g, 2, how == S_TO_S ? mask64(31) : mask64(32)));
    } else {
        vec_ones(g, T0);
    }
    asm_sse2_m(as, X86_PCMPEQD, T1, T1, gen_constant(g, 0, 0));
    asm_sse2(as, X86_PAND, T2, T2, T1);
    asm_sse2(as, X86_PANDN, T1, T1, T0);
    asm_sse2(as, X86_POR, T2, T2, T1);
    asm_bind(as, &fits);
    asm_movx(as, T0, T2);
}

/* One lane, shifted by the immediate: through general registers. */
static void narrow_one(Gen *g, const IrNode *n, Narrowing how, bool rounded)
{
    Shape    s = shape_of(n);
    bool     sign = how != U_TO_U;
    Asm     *as = &g->as;
    AsmLabel fits = ASM_LABEL;
    X86Xmm   d = gen_dest_xmm(g);

    simd_load_lane(g, RAX, n->a, s.size + 1, sign);
    asm_shift_ri(as, sign ? SH_SAR : SH_SHR, true, RAX, s.count);
    if (rounded) {
        asm_alu_ri(as, ALU_ADC, true, RAX, 0);
    }
    if (how == S_TO_S) {
        asm_sext(as, s.size, true, RDX, RAX);
    } else {
        asm_zext(as, s.size, RDX, RAX);
    }
    asm_alu_rr(as, ALU_CMP, true, RDX, RAX);
    asm_jcc(as, CC_E, &fits);
    asm_mov_ri(as, RDX, mask64((8u << s.size) - (how == S_TO_S ? 1 : 0)));
    if (sign) { /* the number farthest from 0 of its sign, or 0 for a negative one */
        asm_shift_ri(as, SH_SAR, true, RAX, 63);
        if (how == S_TO_U) {
            asm_not(as, true, RAX);
        }
        asm_alu_rr(as, how == S_TO_S ? ALU_XOR : ALU_AND, true, RDX, RAX);
    }
    simd_saturated(g);
    asm_bind(as, &fits);
    if (how == S_TO_S) {
        asm_zext(as, s.size, RDX, RDX);
    }
    asm_movq_xr(as, false, d, RDX);
    gen_done_xmm(g, d);
}

static bool narrow_saturated(Gen *g, const IrNode *n, Narrowing how, bool round)
{
    Shape  s = shape_of(n);
    X86Mem lowest = gen_constant(g, 0, mask64(16u << s.size));

    if (!simd_begin_saturating(g)) {
        return false;
    }
    if (s.one && s.count != 0) {
        narrow_one(g, n, how, round);
        return true;
    }
    X86Xmm d = gen_dest_xmm(g);
    shift_for_narrow(g, n, s, how != U_TO_U, round);
    if (s.size == 2) {
        saturate_longs(g, s, how);
    } else {
        saturate_lanes(g, s.size, how);
        simd_note_saturation(g, s.one ? &lowest : NULL);
    }
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
    simd_clear_above(g, d, T0, bytes);
    gen_done_xmm(g, d);
}

static void limit_across(Gen *g, const IrNode *n, X86Sse op)
{
    Shape  s = shape_of(n);
    X86Xmm d = gen_dest_xmm(g);

    asm_movx(&g->as, T0, vec_in(g, n->a, T0));
    fold(g, op, covered(s), 1u << s.size);
    simd_clear_above(g, d, T0, 1u << s.size);
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
    simd_clear_above(g, d, T0, bytes);
    gen_done_xmm(g, d);
}

/* Each row of a by each of b: four sums of two products each, and then neighbours are added twice. */
static bool matrix_product(Gen *g, const IrNode *n, bool sign_a, bool sign_b)
{
    Asm   *as = &g->as;
    X86Xmm spare;

    if (!gen_reserve_xmm(g, &spare)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    simd_widen(g, T0, vec_in(g, n->a, T0), 0, sign_a, false);
    simd_widen(g, T1, vec_in(g, n->b, T1), 0, sign_b, false);
    simd_widen(g, spare, vec_in(g, n->b, spare), 0, sign_b, true);
    asm_sse2(as, X86_PMADDWD, T2, T0, T1);
    asm_sse2(as, X86_PMADDWD, T0, T0, spare);
    asm_sse2(as, X86_PHADDD, T2, T2, T0);
    simd_widen(g, T0, vec_in(g, n->a, T0), 0, sign_a, true);
    asm_sse2(as, X86_PMADDWD, T1, T1, T0);
    asm_sse2(as, X86_PMADDWD, T0, T0, spare);
    asm_sse2(as, X86_PHADDD, T1, T1, T0);
    asm_sse2(as, X86_PHADDD, T2, T2, T1);
    gen_return_xmm(g, spare);
    vec_op_in(g, X86_PADDD, d, T2, n->c, T1);
    gen_done_xmm(g, d);
    return true;
}

/* ---- the whole ---- */

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
    case IR_INLINE_MATRIX_S:
    case IR_INLINE_MATRIX_U:
    case IR_INLINE_MATRIX_US:
        return matrix_product(g, n, op == IR_INLINE_MATRIX_S, op != IR_INLINE_MATRIX_U);
    default:
        return false;
    }
}

bool emit_long_helper(Gen *g, const IrNode *n)
{
    return emit_long(g, n) || emit_narrow(g, n) || emit_across(g, n);
}
