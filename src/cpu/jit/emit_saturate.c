/*
 * Vector helpers of integers that saturate and for whose lanes the host has no such instruction: lanes of 64 bits, sums
 * of a signed and an unsigned number, of products, shifts to the left. In the order of IrInline (ir.h).
 */
#include "bits.h"
#include "cpu/jit/simd.h"

static X86Sse greater(unsigned size) { return vec_pick(size, X86_PCMPGTB, X86_PCMPGTW, X86_PCMPGTD, X86_PCMPGTQ); }
static X86Sse equal(unsigned size) { return vec_pick(size, X86_PCMPEQB, X86_PCMPEQW, X86_PCMPEQD, X86_PCMPEQQ); }
static X86Mem ones(Gen *g) { return gen_constant(g, UINT64_MAX, UINT64_MAX); }

static void finish(Gen *g, X86Xmm d, X86Xmm s, Shape shape)
{
    simd_clear_above(g, d, s, covered(shape));
    gen_done_xmm(g, d);
}

/* ---- sums of unsigned numbers of 64 bits ---- */

/* x + y = (x | y) + (x & y): carried where both have the highest bit, or one has and the sum has not. */
static void add_unsigned(Gen *g, const IrNode *n, Shape s)
{
    Asm     *as = &g->as;
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);
    AsmLabel fits = ASM_LABEL;

    asm_sse2(as, X86_PAND, T0, a, b);
    asm_sse2(as, X86_POR, T1, b, a);
    asm_sse2(as, X86_PADDQ, T2, T0, T1);
    asm_sse2_m(as, X86_PXOR, T2, T2, ones(g));
    asm_sse2(as, X86_PAND, T1, T1, T2);
    asm_sse2(as, X86_POR, T1, T1, T0);
    simd_if_covered(g, s, vec_sign(3), &fits);
    vec_zero(g, T0);
    asm_sse2(as, X86_PCMPGTQ, T0, T0, T1);
    asm_sse2(as, X86_PANDN, T0, T0, T2);
    asm_movx(as, T2, T0);
    asm_bind(as, &fits);
    asm_sse2_m(as, X86_PXOR, T2, T2, ones(g));
    finish(g, d, T2, s);
}

static void subtract_unsigned(Gen *g, const IrNode *n, Shape s)
{
    Asm     *as = &g->as;
    X86Mem   sign = gen_constant_lanes(g, 3, vec_sign(3));
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);
    AsmLabel fits = ASM_LABEL;

    asm_sse2_m(as, X86_PXOR, T0, vec_in(g, n->b, T0), sign);
    asm_sse2_m(as, X86_PXOR, T1, a, sign);
    vec_op(g, X86_PCMPGTQ, T1, T0, T1);
    vec_op_in(g, X86_PSUBQ, T0, vec_in(g, n->a, T0), n->b, T2);
    simd_if_covered(g, s, UINT64_MAX, &fits);
    asm_sse2(as, X86_PANDN, T1, T1, T0);
    asm_movx(as, T0, T1);
    asm_bind(as, &fits);
    finish(g, d, T0, s);
}

static bool saturating_longs(Gen *g, const IrNode *n, bool sign, bool subtract)
{
    Shape s = shape_of(n);

    if (s.size != 3 || !simd_begin_saturating(g)) {
        return false;
    }
    if (sign) {
        X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

        simd_saturate_words(g, s, a, vec_in(g, n->b, T2), subtract);
        finish(g, d, T0, s);
    } else {
        (subtract ? subtract_unsigned : add_unsigned)(g, n, s);
    }
    return true;
}

/* ---- absolute values and negatives of 64 bits ---- */

static bool negate_long(Gen *g, const IrNode *n)
{
    Shape s = shape_of(n);

    if (s.size != 3 || !simd_begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T2);
    vec_zero(g, T1);
    simd_saturate_words(g, s, T1, a, true);
    finish(g, d, T0, s);
    return true;
}

/* That of the smallest number is still negative: it is inverted. */
static bool absolute_long(Gen *g, const IrNode *n)
{
    Shape    s = shape_of(n);
    Asm     *as = &g->as;
    AsmLabel fits = ASM_LABEL;

    if (s.size != 3 || !simd_begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);
    vec_zero(g, T0);
    asm_sse2(as, X86_PCMPGTQ, T0, T0, a);
    asm_sse2(as, X86_PXOR, T1, a, T0);
    asm_sse2(as, X86_PSUBQ, T1, T1, T0);
    simd_if_covered(g, s, vec_sign(3), &fits);
    vec_zero(g, T0);
    asm_sse2(as, X86_PCMPGTQ, T0, T0, T1);
    asm_sse2(as, X86_PXOR, T1, T1, T0);
    asm_bind(as, &fits);
    finish(g, d, T1, s);
    return true;
}

/* ---- sums of a signed and an unsigned number ---- */

/* x is unsigned and y signed: the sum is below y where it does not fit. */
static bool sum_signed(Gen *g, const IrNode *n)
{
    Shape    s = shape_of(n);
    Asm     *as = &g->as;
    AsmLabel fits = ASM_LABEL;

    if (!simd_begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), x = vec_in(g, n->a, T1), y = vec_in(g, n->b, T2);
    asm_movx(as, T0, y);
    asm_sse2(as, vec_add(s.size), T2, y, x);
    vec_op(g, greater(s.size), T1, T0, T2);
    simd_if_covered(g, s, UINT64_MAX, &fits);
    asm_sse2_m(as, X86_PAND, T0, T1, gen_constant_lanes(g, s.size, vec_sign(s.size) - 1));
    vec_op(g, X86_PANDN, T1, T1, T2);
    asm_sse2(as, X86_POR, T2, T1, T0);
    asm_bind(as, &fits);
    finish(g, d, T2, s);
    return true;
}

/* x is signed and y unsigned: the sum is below y when x is not negative and it does not fit, or is and it fits. */
static bool sum_unsigned(Gen *g, const IrNode *n)
{
    Shape    s = shape_of(n);
    Asm     *as = &g->as;
    X86Mem   sign = gen_constant_lanes(g, s.size, vec_sign(s.size));
    AsmLabel fits = ASM_LABEL;

    if (!simd_begin_saturating(g)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), x = vec_in(g, n->a, T1), y = vec_in(g, n->b, T2);
    asm_sse2_m(as, X86_PXOR, T0, y, sign);
    asm_sse2(as, vec_add(s.size), T2, y, x);
    asm_sse2_m(as, X86_PXOR, T1, T2, sign);
    vec_op(g, greater(s.size), T1, T0, T1);
    asm_sse2_m(as, greater(s.size), T0, vec_in(g, n->a, T0), ones(g)); /* x >= 0 */
    asm_sse2(as, X86_PXOR, T1, T1, T0);
    asm_sse2_m(as, X86_PXOR, T1, T1, ones(g));
    simd_if_covered(g, s, UINT64_MAX, &fits);
    asm_sse2(as, X86_PAND, T0, T0, T1); /* there the largest, where x is negative 0 */
    vec_op(g, X86_PANDN, T1, T1, T2);
    asm_sse2(as, X86_POR, T2, T1, T0);
    asm_bind(as, &fits);
    finish(g, d, T2, s);
    return true;
}

/* ---- products, rounded, with a sum ---- */

/*
 * The upper half of z plus 2 x y is z plus that of the product, which is rounded up at half for a sum, and down for a
 * difference. Of the products that of two smallest numbers alone does not fit: it is the smallest number here, which no
 * other one is, and T1 all ones there. AVX.
 */

/* Halfwords: the product becomes the largest number, and the one that it lacks comes behind it. */
static void multiply_sum_words(Gen *g, const IrNode *n, Shape s, X86Xmm z, bool subtract)
{
    Asm   *as = &g->as;
    X86Xmm a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);

    asm_sse2(as, X86_PMULHRSW, T0, a, b);
    if (subtract) { /* what is half is rounded up too far */
        asm_sse2(as, X86_PMULLW, T1, a, b);
        asm_sse2_m(as, X86_PAND, T1, T1, gen_constant_lanes(g, 1, 0x7fff));
        asm_sse2_m(as, X86_PCMPEQW, T1, T1, gen_constant_lanes(g, 1, 0x4000));
        asm_sse2(as, X86_PADDW, T0, T0, T1);
    }
    asm_sse2_m(as, X86_PCMPEQW, T1, T0, gen_constant_lanes(g, 1, vec_sign(1)));
    asm_sse2(as, subtract ? X86_PSUBW : X86_PADDW, T2, z, T0);
    asm_sse2(as, X86_PXOR, T0, T0, T1);
    asm_sse2(as, subtract ? X86_PSUBSW : X86_PADDSW, T0, z, T0);
    asm_sse2(as, subtract ? X86_PADDSW : X86_PSUBSW, T0, T0, T1);
    asm_sse2(as, X86_PXOR, T1, T2, T0);
    simd_note_covered(g, s, UINT64_MAX);
}

/* Words: as simd_saturate_words(), but for the product's sign. */
static void multiply_sum_longs(Gen *g, const IrNode *n, Shape s, X86Xmm z, bool subtract)
{
    Asm     *as = &g->as;
    X86Mem   smallest = gen_constant_lanes(g, 2, vec_sign(2));
    AsmLabel fits = ASM_LABEL;

    simd_product_upper(g, vec_in(g, n->a, T1), vec_in(g, n->b, T2), (1u << 30) - (subtract ? 1 : 0),
                       s.one);
    asm_sse2_m(as, X86_PCMPEQD, T1, T0, smallest);
    asm_sse2(as, X86_PXOR, T1, T1, T0);
    asm_sse2(as, subtract ? X86_PSUBD : X86_PADDD, T0, z, T0);
    asm_sse2(as, X86_PXOR, T1, T1, subtract ? z : T0);
    asm_sse2(as, X86_PXOR, T2, z, T0);
    asm_sse2(as, X86_PAND, T1, T1, T2);
    simd_if_covered(g, s, vec_sign(2), &fits);
    asm_sse_shift_i(as, X86_PSRAD_I, T2, T0, 31);
    asm_sse2_m(as, X86_PXOR, T2, T2, smallest);
    asm_blendv(as, X86_BLENDVPS, T0, T0, T2, T1);
    asm_bind(as, &fits);
}

static bool multiply_sum(Gen *g, const IrNode *n, bool subtract)
{
    Shape  s = shape_of(n);
    X86Xmm spare;

    if (!g->as.host.avx || !simd_begin_saturating(g) || !gen_reserve_xmm(g, &spare)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), z = vec_in(g, n->c, spare);
    (s.size == 1 ? multiply_sum_words : multiply_sum_longs)(g, n, s, z, subtract);
    gen_return_xmm(g, spare);
    finish(g, d, T0, s);
    return true;
}

/* ---- shifts by another register ---- */

/* T1 = all ones in lanes of words and doublewords that shifting T0 back does not restore. */
static void find_not_restored(Gen *g, const IrNode *n, unsigned size, X86Xmm spare, bool sign)
{
    Asm     *as = &g->as;
    unsigned up = (8u << size) - 8;

    asm_sse2_m(as, X86_PAND, T2, vec_in(g, n->b, T2), gen_constant_lanes(g, size, 0xff));
    if (size == 2) {
        asm_sse2(as, sign ? X86_VPSRAVD : X86_VPSRLVD, T1, T0, T2);
    } else if (!sign) {
        asm_sse2(as, X86_VPSRLVQ, T1, T0, T2);
    } else {
        vec_zero(g, spare);
        asm_sse2(as, X86_PCMPGTQ, spare, spare, T0);
        asm_sse2(as, X86_PXOR, T1, T0, spare);
        asm_sse2(as, X86_VPSRLVQ, T1, T1, T2);
        asm_sse2(as, X86_PXOR, T1, T1, spare);
    }
    asm_sse2(as, equal(size), T1, T1, vec_in(g, n->a, spare));
    vec_shift(g, VEC_LEFT, size, T2, vec_in(g, n->b, T2), up);
    asm_sse_shift_i(as, X86_PSRAD_I, T2, T2, 31); /* to the right all is well */
    if (size == 3) {
        asm_sse1_i(as, X86_PSHUFD, T2, T2, 0xf5);
    }
    asm_sse2(as, X86_POR, T1, T1, T2);
    asm_sse2_m(as, X86_PXOR, T1, T1, ones(g));
}

/* Of bytes and halfwords those that are out of the range from which a shift by the count leads to numbers that fit. */
static void find_out_of_range(Gen *g, const IrNode *n, unsigned size, X86Xmm spare, bool sign)
{
    Asm     *as = &g->as;
    unsigned width = 8u << size;
    uint8_t  table[2][16];
    X86Mem   zero = gen_constant(g, 0, 0);

    for (unsigned i = 0; i < 16; i++) { /* unsigned, the largest number; signed, its inverse: the smallest one */
        int limit = i >= width ? 0 : sign ? -(1 << (width - 1 - i)) : (int)(mask64(width) >> i);

        table[0][i] = (uint8_t)limit;
        table[1][i] = (uint8_t)((unsigned)limit >> 8);
    }
    if (size == 0) {
        asm_sse2_m(as, X86_PMAXSB, T1, vec_in(g, n->b, T1), zero);
    } else { /* the count in both bytes */
        asm_sse_shift_i(as, X86_PSLLW_I, T1, vec_in(g, n->b, T1), 8);
        asm_sse_shift_i(as, X86_PSRLW_I, T2, T1, 8);
        asm_sse2(as, X86_POR, T1, T1, T2);
        asm_sse2_m(as, X86_PMAXSB, T1, T1, zero);
    }
    asm_sse2_m(as, X86_PADDUSB, T1, T1, gen_constant_lanes(g, 0, 0x70)); /* from 16 on the limit is 0 */
    simd_load_table(g, spare, table[0]);
    asm_sse2(as, X86_PSHUFB, spare, spare, T1);
    if (size == 1) {
        simd_load_table(g, T2, table[1]);
        asm_sse2(as, X86_PSHUFB, T2, T2, T1);
        asm_sse_shift_i(as, X86_PSRLW_I, T2, T2, 8);
        asm_sse_shift_i(as, X86_PSLLW_I, T2, T2, 8);
        asm_sse2_m(as, X86_PAND, spare, spare, gen_constant_lanes(g, 1, 0xff));
        asm_sse2(as, X86_POR, spare, spare, T2);
    }
    X86Xmm a = vec_in(g, n->a, T2);
    if (!sign) {
        asm_sse2(as, size == 0 ? X86_PSUBUSB : X86_PSUBUSW, T1, a, spare);
        asm_sse2_m(as, equal(size), T1, T1, zero);
        asm_sse2_m(as, X86_PXOR, T1, T1, ones(g));
    } else { /* the negative one of x and ~x; but 0 for 0, which always fits */
        asm_sse2_m(as, X86_PXOR, T1, a, ones(g));
        asm_sse2(as, vec_min(true, size), T1, T1, a);
        asm_sse2_m(as, equal(size), T2, a, zero);
        asm_sse2(as, X86_PXOR, T1, T1, T2);
        asm_sse2(as, greater(size), T1, spare, T1);
    }
}

void simd_load_lane(Gen *g, X86Reg d, IrRef r, unsigned size, bool sign)
{
    if (!gen_is_const(g, r) && gen_val(g, r)->kind == AT_MEM) {
        asm_load(&g->as, size, sign, true, d, gen_mem(gen_val(g, r)->mem));
        return;
    }
    asm_movq_rx(&g->as, size == 3, d, vec_in(g, r, T1));
    if (size < 3 && sign) {
        asm_sext(&g->as, size, true, d, d);
    } else if (size < 2) {
        asm_zext(&g->as, size, d, d);
    }
}

/* d = s shifted by CL. */
static void shift_cl(Asm *as, X86Shift op, X86Reg d, X86Reg s)
{
    if (as->host.bmi2) {
        asm_shiftx(as, op, true, d, s, RCX);
    } else {
        asm_mov_rr(as, true, d, s);
        asm_shift_cl(as, op, true, d);
    }
}

/* RDX = RAX shifted left by RCX, which is not negative, as 64 bits; to @fits if nothing is lost in a lane. */
static void shift_one_left(Gen *g, unsigned size, bool sign, AsmLabel *fits)
{
    Asm     *as = &g->as;
    unsigned width = 8u << size;
    AsmLabel far = ASM_LABEL, lost = ASM_LABEL;

    if (size < 3) { /* further than the width nothing else happens */
        asm_mov_ri(as, RDI, width);
        asm_alu_rr(as, ALU_CMP, false, RCX, RDI);
        asm_cmov(as, CC_G, false, RCX, RDI);
        shift_cl(as, SH_SHL, RDX, RAX);
        if (sign) {
            asm_sext(as, size, true, RDI, RDX);
        } else {
            asm_zext(as, size, RDI, RDX);
        }
        asm_alu_rr(as, ALU_CMP, true, RDI, RDX);
        asm_jcc(as, CC_E, fits);
        return;
    }
    asm_alu_ri(as, ALU_CMP, false, RCX, 63);
    asm_jcc(as, CC_A, &far);
    shift_cl(as, SH_SHL, RDX, RAX);
    shift_cl(as, sign ? SH_SAR : SH_SHR, RDI, RDX);
    asm_alu_rr(as, ALU_CMP, true, RDI, RAX);
    asm_jcc(as, CC_E, fits);
    asm_jmp(as, &lost);
    asm_bind(as, &far);
    asm_mov_ri(as, RDX, 0);
    asm_test_rr(as, true, RAX, RAX);
    asm_jcc(as, CC_E, fits);
    asm_bind(as, &lost);
}

/* RDX = RAX shifted right by -RCX: by one less, and by one more; no further than 64: the sign is left, or nothing. */
static void shift_one_right(Gen *g, unsigned size, bool sign, bool rounded)
{
    Asm     *as = &g->as;
    X86Shift right = sign ? SH_SAR : SH_SHR;

    asm_not(as, false, RCX);
    if (size == 3 && !sign) {
        asm_mov_ri(as, RDI, 0);
        asm_alu_ri(as, ALU_CMP, false, RCX, 63);
        asm_cmov(as, CC_A, true, RAX, RDI);
    } else {
        asm_mov_ri(as, RDI, 63);
        asm_alu_rr(as, ALU_CMP, false, RCX, RDI);
        asm_cmov(as, CC_G, false, RCX, RDI);
    }
    shift_cl(as, right, RDX, RAX);
    asm_shift_ri(as, right, true, RDX, 1);
    if (rounded) {
        asm_alu_ri(as, ALU_ADC, true, RDX, 0);
    }
}

void simd_shift_one(Gen *g, const IrNode *n, bool sign, bool rounded, bool saturate)
{
    unsigned size = shape_of(n).size, width = 8u << size;
    Asm     *as = &g->as;
    AsmLabel right = ASM_LABEL, done = ASM_LABEL;
    X86Xmm   d = gen_dest_xmm(g);

    simd_load_lane(g, RAX, n->a, size, sign);
    simd_load_lane(g, RCX, n->b, 0, true);
    asm_test_rr(as, false, RCX, RCX);
    asm_jcc(as, CC_S, &right);
    shift_one_left(g, size, sign, &done);
    if (saturate && sign) {
        asm_shift_ri(as, SH_SAR, true, RAX, 63);
        asm_mov_ri(as, RDX, mask64(width - 1));
        asm_alu_rr(as, ALU_XOR, true, RDX, RAX);
        simd_saturated(g);
    } else if (saturate) {
        asm_mov_ri(as, RDX, mask64(width));
        simd_saturated(g);
    }
    asm_jmp(as, &done);
    asm_bind(as, &right);
    shift_one_right(g, size, sign, rounded);
    asm_bind(as, &done);
    if (size < 2) {
        asm_zext(as, size, RDX, RDX);
    }
    asm_movq_xr(as, size == 3, d, RDX);
    gen_done_xmm(g, d);
}

static bool shift_by_register(Gen *g, const IrNode *n, bool sign, bool rounded)
{
    Shape    s = shape_of(n);
    Asm     *as = &g->as;
    X86Xmm   spare;
    AsmLabel fits = ASM_LABEL;

    if (s.one && simd_begin_saturating(g)) {
        simd_shift_one(g, n, sign, rounded, true);
        return true;
    }
    if (!as->host.avx2 || !simd_begin_saturating(g) || !gen_reserve_xmm(g, &spare)) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    simd_shift_lanes(g, n, s.size, sign, rounded);
    (s.size >= 2 ? find_not_restored : find_out_of_range)(g, n, s.size, spare, sign);
    simd_if_covered(g, s, UINT64_MAX, &fits);
    if (sign) {
        vec_zero(g, T2);
        asm_sse2(as, greater(s.size), T2, T2, vec_in(g, n->a, spare));
        asm_sse2_m(as, X86_PXOR, T2, T2, gen_constant_lanes(g, s.size, vec_sign(s.size) - 1));
        asm_blendv(as, X86_PBLENDVB, T0, T0, T2, T1);
    } else {
        asm_sse2(as, X86_POR, T0, T0, T1);
    }
    asm_bind(as, &fits);
    gen_return_xmm(g, spare);
    finish(g, d, T0, s);
    return true;
}

/* ---- shifts to the left by an immediate ---- */

typedef enum Left { S_TO_S, U_TO_U, S_TO_U } Left;

/* To 32 bits: the operand is brought to the numbers whose results fit. Where it was above them, ones are shifted in. */
static void shift_limited(Gen *g, const IrNode *n, Shape s, Left how)
{
    Asm     *as = &g->as;
    unsigned width = 8u << s.size;
    uint64_t largest = mask64(how == S_TO_S ? width - 1 : width) >> s.count;
    X86Mem   max = gen_constant_lanes(g, s.size, largest), low = gen_constant_lanes(g, s.size, mask64(s.count));
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);
    AsmLabel fits = ASM_LABEL;

    if (how == S_TO_S) {
        asm_sse2_m(as, vec_min(true, s.size), T0, a, max);
        asm_sse2_m(as, vec_max(true, s.size), T0, T0, gen_constant_lanes(g, s.size, ~largest));
    } else if (how == S_TO_U) {
        asm_sse2_m(as, vec_max(true, s.size), T0, a, gen_constant(g, 0, 0));
        asm_sse2_m(as, vec_min(false, s.size), T0, T0, max);
    } else {
        asm_sse2_m(as, vec_min(false, s.size), T0, a, max);
    }
    asm_sse2(as, X86_PXOR, T1, a, T0);
    asm_movx(as, T2, T0);
    vec_shift(g, VEC_LEFT, s.size, T2, T2, s.count);
    simd_if_covered(g, s, UINT64_MAX, &fits);
    if (how == U_TO_U) {
        asm_sse2_m(as, equal(s.size), T1, T1, gen_constant(g, 0, 0));
        asm_sse2_m(as, X86_PANDN, T1, T1, low);
        asm_sse2(as, X86_POR, T2, T2, T1);
    } else if (s.count != 0) {
        asm_sse2_m(as, greater(s.size), T1, vec_in(g, n->a, T1), max);
        asm_sse2_m(as, X86_PAND, T1, T1, low);
        asm_sse2(as, X86_POR, T2, T2, T1);
    }
    asm_bind(as, &fits);
    finish(g, d, T2, s);
}

/* Of 64 bits: what shifting back does not restore has not fitted. Nor has what is negative, to unsigned. */
static void shift_restored(Gen *g, const IrNode *n, Shape s, Left how)
{
    Asm     *as = &g->as;
    X86Xmm   d = gen_dest_xmm(g);
    AsmLabel fits = ASM_LABEL;

    vec_shift(g, VEC_LEFT, 3, T2, vec_in(g, n->a, T2), s.count);
    vec_shift(g, how == S_TO_S ? VEC_RIGHT_S : VEC_RIGHT, 3, T1, T2, s.count);
    asm_sse2(as, X86_PXOR, T1, T1, vec_in(g, n->a, T0));
    if (how == S_TO_U) {
        asm_sse_shift_i(as, X86_PSRAD_I, T0, vec_in(g, n->a, T0), 31);
        asm_sse1_i(as, X86_PSHUFD, T0, T0, 0xf5);
        asm_sse2(as, X86_POR, T1, T1, T0);
    }
    simd_if_covered(g, s, UINT64_MAX, &fits);
    vec_zero(g, T0);
    asm_sse2(as, X86_PCMPEQQ, T1, T1, T0);
    if (how == S_TO_U) {
        asm_sse2_m(as, X86_PCMPGTQ, T0, vec_in(g, n->a, T0), ones(g));
    } else if (how == S_TO_S) { /* the number of its sign that is farthest from 0 */
        asm_sse_shift_i(as, X86_PSRAD_I, T0, vec_in(g, n->a, T0), 31);
        asm_sse1_i(as, X86_PSHUFD, T0, T0, 0xf5);
        asm_sse2_m(as, X86_PXOR, T0, T0, gen_constant_lanes(g, 3, vec_sign(3) - 1));
    } else {
        vec_ones(g, T0);
    }
    asm_sse2(as, X86_PAND, T2, T2, T1);
    asm_sse2(as, X86_PANDN, T1, T1, T0);
    asm_sse2(as, X86_POR, T2, T2, T1);
    asm_bind(as, &fits);
    finish(g, d, T2, s);
}

static bool shift_left(Gen *g, const IrNode *n, Left how)
{
    Shape s = shape_of(n);

    if (!simd_begin_saturating(g)) {
        return false;
    }
    (s.size == 3 ? shift_restored : shift_limited)(g, n, s, how);
    return true;
}

/* ---- the whole ---- */

bool emit_saturating_helper(Gen *g, const IrNode *n)
{
    switch (n->helper->inline_op) {
    case IR_INLINE_QADD_S:
    case IR_INLINE_QADD_U:
        return saturating_longs(g, n, n->helper->inline_op == IR_INLINE_QADD_S, false);
    case IR_INLINE_QSUB_S:
    case IR_INLINE_QSUB_U:
        return saturating_longs(g, n, n->helper->inline_op == IR_INLINE_QSUB_S, true);
    case IR_INLINE_QNEG:
        return negate_long(g, n);
    case IR_INLINE_QABS:
        return absolute_long(g, n);
    case IR_INLINE_QADD_SU:
        return sum_signed(g, n);
    case IR_INLINE_QADD_US:
        return sum_unsigned(g, n);
    case IR_INLINE_QRMLAH:
    case IR_INLINE_QRMLSH:
        return multiply_sum(g, n, n->helper->inline_op == IR_INLINE_QRMLSH);
    case IR_INLINE_QSHL_S:
    case IR_INLINE_QSHL_U:
        return shift_by_register(g, n, n->helper->inline_op == IR_INLINE_QSHL_S, false);
    case IR_INLINE_QRSHL_S:
    case IR_INLINE_QRSHL_U:
        return shift_by_register(g, n, n->helper->inline_op == IR_INLINE_QRSHL_S, true);
    case IR_INLINE_QSHLI_S:
        return shift_left(g, n, S_TO_S);
    case IR_INLINE_QSHLI_U:
        return shift_left(g, n, U_TO_U);
    case IR_INLINE_QSHLI_SU:
        return shift_left(g, n, S_TO_U);
    default:
        return false;
    }
}
