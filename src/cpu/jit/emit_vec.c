/*
 * WIDE operations: 128-bit and vector values in xmm registers. SSE4.2 is enough; VEX forms come with the emitter, AVX2
 * is used where it saves an instruction. The meanings are those of ir/wide.c, but for what lies above a V64 in its
 * register: anything (jit_int.h).
 */
#include "bits.h"
#include "cpu/jit/vec.h"

static bool is_full(const IrNode *n) { return n->type != IR_V64; }

/* ---- operands and instructions ---- */

void vec_zero(Gen *g, X86Xmm d) { asm_sse2(&g->as, X86_PXOR, d, d, d); }
void vec_ones(Gen *g, X86Xmm d) { asm_sse2(&g->as, X86_PCMPEQD, d, d, d); }

X86Xmm vec_in(Gen *g, IrRef r, X86Xmm scratch)
{
    if (vec_is_zero(g, r)) {
        vec_zero(g, scratch);
        return scratch;
    }
    return gen_xmm(g, r, scratch);
}

/* Memory operands of 16 bytes need not be aligned with VEX alone. */
static bool in_memory(Gen *g, IrRef r)
{
    return !gen_is_const(g, r) && gen_val(g, r)->kind == AT_MEM;
}

/* Where to compute d = x op y: the instruction without VEX overwrites x and cannot have y in the result's place. */
static X86Xmm target(Gen *g, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y)
{
    if (g->as.host.avx || d != y || d == x || (op.flags & X86_COMMUTES) != 0) {
        return d;
    }
    return y != T0 ? T0 : T1;
}

void vec_op(Gen *g, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y)
{
    X86Xmm t = target(g, op, d, x, y);

    asm_sse2(&g->as, op, t, x, y);
    asm_movx(&g->as, d, t);
}

void vec_op_i(Gen *g, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y, uint8_t imm)
{
    X86Xmm t = target(g, op, d, x, y);

    asm_sse2_i(&g->as, op, t, x, y, imm);
    asm_movx(&g->as, d, t);
}

void vec_op_in(Gen *g, X86Sse op, X86Xmm d, X86Xmm x, IrRef y, X86Xmm scratch)
{
    if (g->as.host.avx && in_memory(g, y)) {
        asm_sse2_m(&g->as, op, d, x, gen_mem(gen_val(g, y)->mem));
    } else {
        vec_op(g, op, d, x, vec_in(g, y, scratch));
    }
}

void vec_blend(Gen *g, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y)
{
    X86Xmm t = d;

    if (!g->as.host.avx && (d == T0 || (d == y && d != x))) {
        t = y == T1 ? T2 : T1;
    }
    asm_blendv(&g->as, op, t, x, y, T0);
    asm_movx(&g->as, d, t);
}

X86Sse vec_add(unsigned size) { return vec_pick(size, X86_PADDB, X86_PADDW, X86_PADDD, X86_PADDQ); }
X86Sse vec_sub(unsigned size) { return vec_pick(size, X86_PSUBB, X86_PSUBW, X86_PSUBD, X86_PSUBQ); }

static X86Sse equal(unsigned size) { return vec_pick(size, X86_PCMPEQB, X86_PCMPEQW, X86_PCMPEQD, X86_PCMPEQQ); }
static X86Sse greater(unsigned size) { return vec_pick(size, X86_PCMPGTB, X86_PCMPGTW, X86_PCMPGTD, X86_PCMPGTQ); }

X86Sse vec_min(bool sign, unsigned size)
{
    return sign ? vec_pick(size, X86_PMINSB, X86_PMINSW, X86_PMINSD, X86_PMINSD)
                : vec_pick(size, X86_PMINUB, X86_PMINUW, X86_PMINUD, X86_PMINUD);
}

X86Sse vec_max(bool sign, unsigned size)
{
    return sign ? vec_pick(size, X86_PMAXSB, X86_PMAXSW, X86_PMAXSD, X86_PMAXSD)
                : vec_pick(size, X86_PMAXUB, X86_PMAXUW, X86_PMAXUD, X86_PMAXUD);
}

/* ---- moves between integers and vectors ---- */

/* The integer in the low lane of d, above it zero. */
static void from_integer(Gen *g, IrRef r, X86Xmm d)
{
    IrType ty = gen_node(g, r)->type, root = gen_node(g, g->root[r])->type;

    if (vec_is_zero(g, r)) {
        vec_zero(g, d);
    } else if (gen_is_const(g, r)) {
        asm_load_x(&g->as, 3, d, gen_constant(g, 0, gen_const(g, r)));
    } else if (in_memory(g, r) && ty == root && (ty == IR_I64 || ty == IR_I32)) {
        asm_load_x(&g->as, ty == IR_I64 ? 3 : 2, d, gen_mem(gen_val(g, r)->mem));
    } else {
        asm_movq_xr(&g->as, ty != IR_I32, d, gen_gpr(g, r, RDX, ty != IR_I32));
    }
}

static void emit_pair(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    from_integer(g, n->a, d);
    if (!vec_is_zero(g, n->b)) {
        asm_sse_gx_i(&g->as, X86_PINSRQ, d, gen_gpr(g, n->b, RDX, true), 1);
    }
    gen_done_xmm(g, d);
}

static void emit_from_integer(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    if (gen_node(g, n->a)->type == IR_I128) {
        asm_movx(&g->as, d, vec_in(g, n->a, T1));
    } else {
        from_integer(g, n->a, d);
    }
    gen_done_xmm(g, d);
}

/* Lane @lane of 8 << @size bits, zero-extended; 0 where the vector has none. */
static void emit_get_lane(Gen *g, const IrNode *n, unsigned size, unsigned lane)
{
    X86Reg   d = gen_dest_gpr(g);
    unsigned bytes = ir_type_bits(gen_node(g, n->a)->type) / 8, at = lane << size;
    X86Sse   op = vec_pick(size, X86_PEXTRB, X86_PEXTRW, X86_PEXTRD, X86_PEXTRQ);

    if (at + (1u << size) > bytes) {
        asm_mov_ri(&g->as, d, 0);
    } else if (in_memory(g, n->a)) {
        asm_load(&g->as, size, false, true, d, gen_mem(gen_val(g, n->a)->mem + (int32_t)at));
    } else if (lane == 0 && size >= 2) {
        asm_movq_rx(&g->as, size == 3, d, vec_in(g, n->a, T1));
    } else {
        asm_sse_gx_i(&g->as, op, vec_in(g, n->a, T1), d, (uint8_t)lane);
    }
    gen_done_gpr(g, d, true);
}

static void emit_set_lane(Gen *g, const IrNode *n)
{
    unsigned size = n->imm & 3, lane = (unsigned)(n->imm >> 4), bytes = ir_type_bits(n->type) / 8;
    X86Sse   op = vec_pick(size, X86_PINSRB, X86_PINSRW, X86_PINSRD, X86_PINSRQ);
    X86Xmm   d = gen_dest_xmm(g);

    asm_movx(&g->as, d, vec_in(g, n->a, d));
    if ((lane + 1) << size <= bytes) {
        asm_sse_gx_i(&g->as, op, d, gen_gpr(g, n->b, RDX, false), (uint8_t)lane);
    }
    gen_done_xmm(g, d);
}

/* Zeroes above the low half, or just the value. */
static void emit_low(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    if (gen_node(g, n->a)->type != IR_V64 || n->type == IR_V64) {
        asm_movx(&g->as, d, vec_in(g, n->a, d));
    } else if (in_memory(g, n->a)) {
        asm_load_x(&g->as, 3, d, gen_mem(gen_val(g, n->a)->mem));
    } else {
        asm_movq_xx(&g->as, d, vec_in(g, n->a, d));
    }
    gen_done_xmm(g, d);
}

/* ---- lanes from lanes ---- */

/* All lanes of d from lane 0 of d. */
static void spread(Gen *g, X86Xmm d, unsigned size)
{
    Asm *as = &g->as;

    if (as->host.avx2) {
        asm_sse1(as, vec_pick(size, X86_VPBROADCASTB, X86_VPBROADCASTW, X86_VPBROADCASTD, X86_VPBROADCASTQ), d, d);
    } else if (size == 3) {
        asm_sse2(as, X86_PUNPCKLQDQ, d, d, d);
    } else if (size == 0) {
        asm_sse2_m(as, X86_PSHUFB, d, d, gen_constant(g, 0, 0));
    } else {
        if (size == 1) {
            asm_sse1_i(as, X86_PSHUFLW, d, d, 0);
        }
        asm_sse1_i(as, X86_PSHUFD, d, d, 0);
    }
}

static void emit_dup_const(Gen *g, X86Xmm d, uint64_t v, unsigned size)
{
    for (; size < 3; size++) {
        v = (v & mask64(8u << size)) | v << (8u << size);
    }
    if (v == 0) {
        vec_zero(g, d);
    } else if (v == UINT64_MAX) {
        vec_ones(g, d);
    } else {
        asm_load_x(&g->as, 4, d, gen_constant(g, v, v));
    }
}

static void emit_dup(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    if (gen_is_const(g, n->a)) {
        emit_dup_const(g, d, gen_const(g, n->a), (unsigned)n->imm & 3);
    } else {
        X86Reg r = gen_gpr(g, n->a, RDX, n->imm == 3 && gen_node(g, n->a)->type != IR_I64);

        asm_movq_xr(&g->as, n->imm == 3, d, r);
        spread(g, d, (unsigned)n->imm & 3);
    }
    gen_done_xmm(g, d);
}

/* Bytes of a PSHUFB control that give lane @lane in every lane. */
static X86Mem dup_control(Gen *g, unsigned size, unsigned lane)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 8; i++) {
        v |= (uint64_t)((lane << size) + (i & ((1u << size) - 1))) << 8 * i;
    }
    return gen_constant(g, v, v);
}

static void emit_dup_lane(Gen *g, const IrNode *n)
{
    static const uint8_t broadcast_d[] = { 0x00, 0x55, 0xaa, 0xff };
    unsigned size = n->imm & 3, lane = (unsigned)(n->imm >> 4) & (15u >> size);
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

    if (size == 3) {
        asm_sse1_i(&g->as, X86_PSHUFD, d, a, lane ? 0xee : 0x44);
    } else if (size == 2) {
        asm_sse1_i(&g->as, X86_PSHUFD, d, a, broadcast_d[lane]);
    } else {
        asm_sse2_m(&g->as, X86_PSHUFB, d, a, dup_control(g, size, lane));
    }
    gen_done_xmm(g, d);
}

/* A lane of b into a: 64 and 32 bits by one instruction, others through a general register. */
static void emit_insert_lane(Gen *g, const IrNode *n)
{
    unsigned size = n->imm & 3, to = n->imm >> 4 & 15, from = (unsigned)(n->imm >> 8);
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);

    if (size == 3 && to == 0) { /* SHUFPD takes the low half from its first source */
        vec_op_i(g, X86_SHUFPD, d, b, a, (uint8_t)(from | 2));
    } else if (size == 3 && from == 0) {
        vec_op(g, X86_PUNPCKLQDQ, d, a, b);
    } else if (size == 3) {
        vec_op_i(g, X86_SHUFPD, d, a, b, 2);
    } else if (size == 2) {
        vec_op_i(g, X86_INSERTPS, d, a, b, (uint8_t)(from << 6 | to << 4));
    } else {
        asm_sse_gx_i(&g->as, size == 1 ? X86_PEXTRW : X86_PEXTRB, b, RDX, (uint8_t)from);
        asm_movx(&g->as, d, a);
        asm_sse_gx_i(&g->as, size == 1 ? X86_PINSRW : X86_PINSRB, d, RDX, (uint8_t)to);
    }
    gen_done_xmm(g, d);
}

/* ---- one instruction ---- */

static void emit_binary(Gen *g, const IrNode *n, X86Sse op)
{
    X86Xmm d = gen_dest_xmm(g);
    IrRef  a = n->a, b = n->b;

    if ((op.flags & X86_COMMUTES) != 0 && in_memory(g, a)) {
        a = n->b;
        b = n->a;
    }
    vec_op_in(g, op, d, vec_in(g, a, T1), b, T2);
    gen_done_xmm(g, d);
}

/* ---- bitwise ---- */

/* PANDN inverts its first source. */
static void emit_and_not(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    vec_op_in(g, X86_PANDN, d, vec_in(g, n->b, T2), n->a, T1);
    gen_done_xmm(g, d);
}

static void emit_or_not(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    vec_ones(g, T0);
    vec_op_in(g, X86_PXOR, T0, T0, n->b, T2);
    vec_op_in(g, X86_POR, d, T0, n->a, T1);
    gen_done_xmm(g, d);
}

static void emit_not(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    vec_ones(g, T0);
    vec_op_in(g, X86_PXOR, d, T0, n->a, T1);
    gen_done_xmm(g, d);
}

/* a chooses b or c: ((b ^ c) & a) ^ c. */
static void emit_choose(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g), c = vec_in(g, n->c, T2);

    vec_op(g, X86_PXOR, T0, vec_in(g, n->b, T0), c);
    vec_op_in(g, X86_PAND, T0, T0, n->a, T1);
    vec_op(g, X86_PXOR, d, T0, c);
    gen_done_xmm(g, d);
}

/* ---- arithmetic ---- */

/* Bytes: products of the even ones and of the odd ones, in lanes of 16 bits. */
static void multiply_bytes(Gen *g, X86Xmm d, X86Xmm a, X86Xmm b)
{
    Asm *as = &g->as;

    asm_sse2(as, X86_PMULLW, T0, a, b);
    asm_sse2_m(as, X86_PAND, T0, T0, gen_constant_lanes(g, 1, 0x00ff));
    asm_sse_shift_i(as, X86_PSRLW_I, T1, a, 8);
    asm_sse2_m(as, X86_PAND, T2, b, gen_constant_lanes(g, 1, 0xff00));
    asm_sse2(as, X86_PMULLW, T1, T1, T2);
    asm_sse2(as, X86_POR, d, T0, T1);
}

/* 64 bits: the crosswise products of halves are added to the upper half. */
static void multiply_longs(Gen *g, X86Xmm d, X86Xmm a, X86Xmm b)
{
    Asm *as = &g->as;

    asm_sse1_i(as, X86_PSHUFD, T0, b, 0xb1);
    asm_sse2(as, X86_PMULLD, T0, T0, a);
    asm_sse2(as, X86_PMULUDQ, T1, a, b);
    asm_sse_shift_i(as, X86_PSRLQ_I, T2, T0, 32);
    asm_sse2(as, X86_PADDD, T0, T0, T2);
    asm_sse_shift_i(as, X86_PSLLQ_I, T0, T0, 32);
    asm_sse2(as, X86_PADDQ, d, T0, T1);
}

static void emit_multiply(Gen *g, const IrNode *n)
{
    if (n->imm == 1 || n->imm == 2) {
        emit_binary(g, n, n->imm == 1 ? X86_PMULLW : X86_PMULLD);
        return;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);

    (n->imm == 0 ? multiply_bytes : multiply_longs)(g, d, a, b);
    gen_done_xmm(g, d);
}

static void emit_negate(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    vec_zero(g, T0);
    vec_op_in(g, vec_sub((unsigned)n->imm), d, T0, n->a, T1);
    gen_done_xmm(g, d);
}

static void emit_absolute(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

    if (n->imm < 3) {
        asm_sse1(&g->as, n->imm == 0 ? X86_PABSB : n->imm == 1 ? X86_PABSW : X86_PABSD, d, a);
    } else {
        vec_zero(g, T0);
        asm_sse2(&g->as, X86_PCMPGTQ, T0, T0, a);
        asm_sse2(&g->as, X86_PXOR, T1, a, T0);
        vec_op(g, X86_PSUBQ, d, T1, T0);
    }
    gen_done_xmm(g, d);
}

/* ---- comparison ---- */

/* Unsigned: signed, of numbers whose sign bits are inverted. */
void vec_greater(Gen *g, bool sign, unsigned size, X86Xmm d, X86Xmm x, X86Xmm y)
{
    if (!sign) {
        X86Mem k = gen_constant_lanes(g, size, vec_sign(size));

        asm_sse2_m(&g->as, X86_PXOR, T0, x, k);
        asm_sse2_m(&g->as, X86_PXOR, T2, y, k);
        x = T0;
        y = T2;
    }
    vec_op(g, greater(size), d, x, y);
}

static void emit_greater(Gen *g, const IrNode *n, bool sign)
{
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);

    vec_greater(g, sign, (unsigned)n->imm, d, a, b);
    gen_done_xmm(g, d);
}

/* a >= b: the larger one is a. Of 64 bits, where there is no maximum: not b > a. */
static void emit_greater_equal(Gen *g, const IrNode *n, bool sign)
{
    unsigned size = (unsigned)n->imm;
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

    if (size < 3) {
        vec_op_in(g, vec_max(sign, size), T0, a, n->b, T2);
        vec_op(g, equal(size), d, T0, a);
    } else {
        X86Xmm b = vec_in(g, n->b, T2);

        if (!sign) {
            X86Mem k = gen_constant_lanes(g, size, vec_sign(size));

            asm_sse2_m(&g->as, X86_PXOR, T0, b, k);
            asm_sse2_m(&g->as, X86_PXOR, T2, a, k);
            asm_sse2(&g->as, X86_PCMPGTQ, T0, T0, T2);
        } else {
            asm_sse2(&g->as, X86_PCMPGTQ, T0, b, a);
        }
        asm_sse2_m(&g->as, X86_PXOR, d, T0, gen_constant(g, UINT64_MAX, UINT64_MAX));
    }
    gen_done_xmm(g, d);
}

static void emit_test(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

    if (n->a == n->b) {
        vec_zero(g, T0);
        vec_op(g, equal((unsigned)n->imm), T0, T0, a);
    } else {
        vec_op_in(g, X86_PAND, T0, a, n->b, T2);
        vec_zero(g, T1);
        vec_op(g, equal((unsigned)n->imm), T0, T0, T1);
    }
    asm_sse2_m(&g->as, X86_PXOR, d, T0, gen_constant(g, UINT64_MAX, UINT64_MAX));
    gen_done_xmm(g, d);
}

/* Of 64 bits: by a mask whose sign bits tell where a > b. Unsigned, the comparison is wrong where signs differ. */
static void emit_limit_longs(Gen *g, const IrNode *n, bool sign, bool largest)
{
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);

    asm_sse2(&g->as, X86_PCMPGTQ, T0, a, b);
    if (!sign) {
        asm_sse2(&g->as, X86_PXOR, T0, T0, a);
        asm_sse2(&g->as, X86_PXOR, T0, T0, b);
    }
    vec_blend(g, X86_BLENDVPD, d, largest ? b : a, largest ? a : b);
    gen_done_xmm(g, d);
}

static void emit_limit(Gen *g, const IrNode *n, bool sign, bool largest)
{
    if (n->imm == 3) {
        emit_limit_longs(g, n, sign, largest);
    } else {
        emit_binary(g, n, (largest ? vec_max : vec_min)(sign, (unsigned)n->imm));
    }
}

/* ---- shifts by a number ---- */

static void shift_plain(Gen *g, VecShift how, unsigned size, X86Xmm d, X86Xmm s, unsigned n)
{
    Asm *as = &g->as;

    if (how == VEC_LEFT) {
        size == 1   ? asm_sse_shift_i(as, X86_PSLLW_I, d, s, (uint8_t)n)
        : size == 2 ? asm_sse_shift_i(as, X86_PSLLD_I, d, s, (uint8_t)n)
                    : asm_sse_shift_i(as, X86_PSLLQ_I, d, s, (uint8_t)n);
    } else if (how == VEC_RIGHT) {
        size == 1   ? asm_sse_shift_i(as, X86_PSRLW_I, d, s, (uint8_t)n)
        : size == 2 ? asm_sse_shift_i(as, X86_PSRLD_I, d, s, (uint8_t)n)
                    : asm_sse_shift_i(as, X86_PSRLQ_I, d, s, (uint8_t)n);
    } else {
        size == 1 ? asm_sse_shift_i(as, X86_PSRAW_I, d, s, (uint8_t)n)
                  : asm_sse_shift_i(as, X86_PSRAD_I, d, s, (uint8_t)n);
    }
}

/* Bytes: pairs of them, without the bits that came from the neighbour. @n is below 8. */
static void shift_bytes(Gen *g, VecShift how, X86Xmm d, X86Xmm s, unsigned n)
{
    uint64_t mask = how == VEC_LEFT ? 0xffull << n & 0xff : 0xffull >> n, sign = 0x80 >> n;

    shift_plain(g, how == VEC_LEFT ? VEC_LEFT : VEC_RIGHT, 1, T0, s, n);
    asm_sse2_m(&g->as, X86_PAND, how == VEC_RIGHT_S ? T0 : d, T0, gen_constant_lanes(g, 0, mask));
    if (how == VEC_RIGHT_S) { /* the bit where the sign went becomes those above it too */
        asm_sse2_m(&g->as, X86_PXOR, T0, T0, gen_constant_lanes(g, 0, sign));
        asm_sse2_m(&g->as, X86_PSUBB, d, T0, gen_constant_lanes(g, 0, sign));
    }
}

/* Copies of the sign, and 64 bits to the right with them above. */
static void shift_long_s(Gen *g, X86Xmm d, X86Xmm s, unsigned n)
{
    vec_zero(g, T0);
    asm_sse2(&g->as, X86_PCMPGTQ, T0, T0, s);
    if (n >= 63) {
        asm_movx(&g->as, d, T0);
    } else {
        asm_sse_shift_i(&g->as, X86_PSLLQ_I, T0, T0, (uint8_t)(64 - n));
        asm_sse_shift_i(&g->as, X86_PSRLQ_I, T1, s, (uint8_t)n);
        asm_sse2(&g->as, X86_POR, d, T0, T1);
    }
}

void vec_shift(Gen *g, VecShift how, unsigned size, X86Xmm d, X86Xmm s, unsigned n)
{
    unsigned width = 8u << size;

    if (n == 0) {
        asm_movx(&g->as, d, s);
    } else if (n >= width && how != VEC_RIGHT_S) {
        vec_zero(g, d);
    } else if (size == 0 && how == VEC_RIGHT_S && n >= 7) {
        vec_zero(g, T0);
        vec_op(g, X86_PCMPGTB, d, T0, s);
    } else if (size == 0) {
        shift_bytes(g, how, d, s, n);
    } else if (size == 3 && how == VEC_RIGHT_S) {
        shift_long_s(g, d, s, n);
    } else {
        shift_plain(g, how, size, d, s, MIN(n, width - (how == VEC_RIGHT_S)));
    }
}

static void emit_shift(Gen *g, const IrNode *n, VecShift how)
{
    X86Xmm d = gen_dest_xmm(g);

    vec_shift(g, how, n->imm & 3, d, vec_in(g, n->a, T1), (unsigned)MIN(n->imm >> 4, 64));
    gen_done_xmm(g, d);
}

/* ---- permutations ---- */

static void emit_extract(Gen *g, const IrNode *n)
{
    unsigned bytes = is_full(n) ? 16 : 8, at = n->imm < bytes ? (unsigned)n->imm : 0;
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

    if (at == 0) {
        asm_movx(&g->as, d, a);
    } else if (is_full(n)) {
        vec_op_i(g, X86_PALIGNR, d, vec_in(g, n->b, T2), a, (uint8_t)at);
    } else {
        vec_op_in(g, X86_PUNPCKLQDQ, T0, a, n->b, T2);
        asm_sse_shift_i(&g->as, X86_PSRLDQ_I, d, T0, (uint8_t)at);
    }
    gen_done_xmm(g, d);
}

/* The upper halves of V64s interleaved are the upper half of their low halves interleaved. */
static void emit_zip(Gen *g, const IrNode *n, bool high)
{
    X86Sse low_op = vec_pick((unsigned)n->imm, X86_PUNPCKLBW, X86_PUNPCKLWD, X86_PUNPCKLDQ, X86_PUNPCKLQDQ);
    X86Sse high_op = vec_pick((unsigned)n->imm, X86_PUNPCKHBW, X86_PUNPCKHWD, X86_PUNPCKHDQ, X86_PUNPCKHQDQ);

    if (is_full(n) || !high) {
        emit_binary(g, n, high ? high_op : low_op);
        return;
    }
    X86Xmm d = gen_dest_xmm(g);
    vec_op_in(g, low_op, T0, vec_in(g, n->a, T1), n->b, T2);
    asm_sse_shift_i(&g->as, X86_PSRLDQ_I, d, T0, 8);
    gen_done_xmm(g, d);
}

/* A PSHUFB control that gathers the even or odd lanes, of all 16 bytes or twice of the low 8. */
static X86Mem every_other(Gen *g, unsigned size, bool odd)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 8; i++) {
        unsigned lane = 2 * (i >> size) + odd;

        v |= (uint64_t)((lane << size) + (i & ((1u << size) - 1))) << 8 * i;
    }
    return gen_constant(g, v, v);
}

/* Even or odd lanes of 8 and 16 bits of both operands: lanes of twice the size, packed. */
static void unzip_narrow(Gen *g, X86Xmm d, X86Xmm a, X86Xmm b, unsigned size, bool odd)
{
    Asm   *as = &g->as;
    X86Sse pack = size == 0 ? X86_PACKUSWB : X86_PACKUSDW;

    if (odd) {
        shift_plain(g, VEC_RIGHT, size + 1, T0, a, 8u << size);
        shift_plain(g, VEC_RIGHT, size + 1, T2, b, 8u << size);
    } else {
        X86Mem k = gen_constant_lanes(g, size + 1, mask64(8u << size));

        asm_sse2_m(as, X86_PAND, T0, a, k);
        asm_sse2_m(as, X86_PAND, T2, b, k);
    }
    asm_sse2(as, pack, d, T0, T2);
}

static void emit_unzip(Gen *g, const IrNode *n, bool odd)
{
    Asm     *as = &g->as;
    unsigned size = (unsigned)n->imm;
    X86Xmm   d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = n->a == n->b ? a : vec_in(g, n->b, T2);

    if (!is_full(n)) {
        vec_op(g, X86_PUNPCKLQDQ, T0, a, b);
        if (size == 2) {
            asm_sse1_i(as, X86_PSHUFD, d, T0, odd ? 0x0d : 0x08);
        } else {
            asm_sse2_m(as, X86_PSHUFB, d, T0, every_other(g, size, odd));
        }
    } else if (size == 3) {
        vec_op(g, odd ? X86_PUNPCKHQDQ : X86_PUNPCKLQDQ, d, a, b);
    } else if (size == 2) {
        vec_op_i(g, X86_SHUFPS, d, a, b, odd ? 0xdd : 0x88);
    } else if (a == b) {
        asm_sse2_m(as, X86_PSHUFB, d, a, every_other(g, size, odd));
    } else {
        unzip_narrow(g, d, a, b, size, odd);
    }
    gen_done_xmm(g, d);
}

/* Pairs of lanes: the operand whose lanes change places is shifted, then every other lane is that of the other one. */
static void emit_transpose(Gen *g, const IrNode *n, bool odd)
{
    unsigned size = (unsigned)n->imm;
    uint8_t  upper = size == 1 ? 0xaa : 0xcc; /* words of the odd lanes */

    if (size == 3) {
        emit_binary(g, n, odd ? X86_PUNPCKHQDQ : X86_PUNPCKLQDQ);
        return;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);
    shift_plain(g, odd ? VEC_RIGHT : VEC_LEFT, size + 1, T0, odd ? a : b, 8u << size);
    if (size == 0) {
        asm_sse2_m(&g->as, X86_PAND, T2, odd ? b : a, gen_constant_lanes(g, 1, odd ? 0xff00 : 0x00ff));
        asm_sse2(&g->as, X86_POR, d, T0, T2);
    } else {
        vec_op_i(g, X86_PBLENDW, d, odd ? T0 : a, odd ? b : T0, upper);
    }
    gen_done_xmm(g, d);
}

/* ---- the whole ---- */

static bool emit_move(Gen *g, const IrNode *n)
{
    switch (n->op) {
    case IR_pair:
        emit_pair(g, n);
        return true;
    case IR_lo64:
        emit_get_lane(g, n, 3, 0);
        return true;
    case IR_hi64:
        emit_get_lane(g, n, 3, 1);
        return true;
    case IR_vzext:
        emit_from_integer(g, n);
        return true;
    case IR_vlow:
        emit_low(g, n);
        return true;
    case IR_vdup:
        emit_dup(g, n);
        return true;
    case IR_vget:
        emit_get_lane(g, n, n->imm & 3, (unsigned)(n->imm >> 4));
        return true;
    case IR_vset:
        emit_set_lane(g, n);
        return true;
    case IR_vdupl:
        emit_dup_lane(g, n);
        return true;
    case IR_vins:
        emit_insert_lane(g, n);
        return true;
    default:
        return false;
    }
}

static bool emit_bitwise(Gen *g, const IrNode *n)
{
    switch (n->op) {
    case IR_vand:
        emit_binary(g, n, X86_PAND);
        return true;
    case IR_vor:
        emit_binary(g, n, X86_POR);
        return true;
    case IR_vxor:
        emit_binary(g, n, X86_PXOR);
        return true;
    case IR_vandn:
        emit_and_not(g, n);
        return true;
    case IR_vorn:
        emit_or_not(g, n);
        return true;
    case IR_vnot:
        emit_not(g, n);
        return true;
    case IR_vbsl:
        emit_choose(g, n);
        return true;
    default:
        return false;
    }
}

static bool emit_arithmetic(Gen *g, const IrNode *n)
{
    switch (n->op) {
    case IR_vadd:
        emit_binary(g, n, vec_add((unsigned)n->imm));
        return true;
    case IR_vsub:
        emit_binary(g, n, vec_sub((unsigned)n->imm));
        return true;
    case IR_vmul:
        emit_multiply(g, n);
        return true;
    case IR_vneg:
        emit_negate(g, n);
        return true;
    case IR_vabs:
        emit_absolute(g, n);
        return true;
    case IR_vshli:
        emit_shift(g, n, VEC_LEFT);
        return true;
    case IR_vshri:
        emit_shift(g, n, VEC_RIGHT);
        return true;
    case IR_vsari:
        emit_shift(g, n, VEC_RIGHT_S);
        return true;
    default:
        return false;
    }
}

static bool emit_comparison(Gen *g, const IrNode *n)
{
    switch (n->op) {
    case IR_vcmpeq:
        emit_binary(g, n, equal((unsigned)n->imm));
        return true;
    case IR_vcmpgts:
    case IR_vcmpgtu:
        emit_greater(g, n, n->op == IR_vcmpgts);
        return true;
    case IR_vcmpges:
    case IR_vcmpgeu:
        emit_greater_equal(g, n, n->op == IR_vcmpges);
        return true;
    case IR_vtst:
        emit_test(g, n);
        return true;
    case IR_vsmin:
    case IR_vumin:
        emit_limit(g, n, n->op == IR_vsmin, false);
        return true;
    case IR_vsmax:
    case IR_vumax:
        emit_limit(g, n, n->op == IR_vsmax, true);
        return true;
    default:
        return false;
    }
}

static bool emit_permutation(Gen *g, const IrNode *n)
{
    if (!is_full(n) && n->op != IR_vext && n->imm == 3) {
        return false; /* of one lane: no front end asks for it */
    }
    switch (n->op) {
    case IR_vext:
        emit_extract(g, n);
        return true;
    case IR_vzip1:
    case IR_vzip2:
        emit_zip(g, n, n->op == IR_vzip2);
        return true;
    case IR_vuzp1:
    case IR_vuzp2:
        emit_unzip(g, n, n->op == IR_vuzp2);
        return true;
    case IR_vtrn1:
    case IR_vtrn2:
        emit_transpose(g, n, n->op == IR_vtrn2);
        return true;
    default:
        return false;
    }
}

/* Neither a vector of more than 128 bits nor made from one. */
static bool fits(const Gen *g, const IrNode *n)
{
    return n->type <= IR_V128 && gen_node(g, n->a)->type <= IR_V128;
}

bool emit_wide(Gen *g, const IrNode *n)
{
    return fits(g, n) && (emit_move(g, n) || emit_bitwise(g, n) || emit_arithmetic(g, n) || emit_comparison(g, n) ||
                          emit_permutation(g, n));
}

bool emit_helper(Gen *g, const IrNode *n)
{
    return emit_fp_helper(g, n) || emit_simd_helper(g, n) || emit_crc(g, n) || emit_pac(g, n);
}
