/*
 * Floating point inline: scalars and vectors of single and double precision, and some of half. IEEE 754 leaves little
 * to differ: an operation of the host gives the guest's result and raises its exceptions, which collect in MXCSR until
 * jit_settle(), except where
 *
 *   - the result is a NaN: which one is the guest's affair (trap.c);
 *   - the result is tiny or the smallest normal number: the guest may detect tininess before rounding, the host does
 *     so after (trap.c);
 *   - a number does not fit the integer it is converted to.
 *
 * So the host does the operation, a trap or a test of the result finds these cases, and C does the operation anew. What
 * the operands raised on the host up to there must be a part of what the guest raises: hence the order of some tests.
 */
#include "cpu/jit/asm_sse.h"
#include "cpu/jit/jit_int.h"

enum { CMP_EQ = 0, CMP_LT = 1, CMP_LE = 2, CMP_UNORDERED = 3, CMP_NOT_LESS = 5 }; /* Intel SDM, "CMPPS": predicates */
enum { TO_NEAREST = 0, DOWN = 1, UP = 2, TO_ZERO = 3, QUIET = 8 }; /* "ROUNDPS": QUIET does not raise inexact */

typedef struct Fp {
    Gen          *g;
    const IrNode *n;
    unsigned      size;  /* log2 of a lane's bytes */
    bool          one, wide;
    unsigned      bytes; /* of the lanes; above them the result is zero */
    X86Xmm        d, t;  /* the destination; where the result is made: no operand's register */
    Cold         *cold;
    bool          nan_is_right; /* one that the host makes without a trap is the guest's */
    const uint8_t *from;        /* where the code that may trap starts */
} Fp;

/* A second source, in memory perhaps. */
typedef struct Src {
    bool   mem;
    X86Xmm x;
    X86Mem m;
} Src;

void fp_note_invalid(Gen *g)
{
    const CpuGuest *guest = gen_guest(g);

    asm_alu_mi(&g->as, ALU_OR, false, gen_mem((int32_t)g->ir->regs[guest->sticky_reg].offset),
               (int32_t)guest->invalid_bits);
}

/* ---- forms of instructions ---- */

/* Of the four forms of an instruction, PS, PD, SS and SD, the one for these lanes. */
static X86Sse form(const Fp *p, X86Sse ps)
{
    static const uint8_t prefix[2][2] = { { 0x00, 0x66 }, { 0xf3, 0xf2 } };

    ps.prefix = prefix[p->one][p->size == 3];
    ps.flags &= (uint8_t)~X86_MERGES;
    return ps;
}

/* The same for integers in place of the lanes: D or Q. */
static X86Sse lanes(const Fp *p, X86Sse d, X86Sse q) { return p->size == 3 ? q : d; }

static void put2(const Fp *p, X86Sse op, X86Xmm d, X86Xmm x, Src y)
{
    if (y.mem) {
        asm_sse2_m(&p->g->as, op, d, x, y.m);
    } else {
        asm_sse2(&p->g->as, op, d, x, y.x);
    }
}

static void clear(const Fp *p, X86Xmm x) { asm_sse2(&p->g->as, X86_XORPS, x, x, x); }

/* A constant that is zero above the lanes. */
static X86Mem constant(const Fp *p, uint64_t lane)
{
    uint64_t low = p->one || p->size == 3 ? lane : lane << 32 | lane;

    return gen_constant(p->g, p->wide ? low : 0, low);
}

static uint64_t sign_bit(const Fp *p) { return 1ull << ((8u << p->size) - 1); }
static unsigned fraction_bits(const Fp *p) { return p->size == 3 ? 52 : 23; }
static unsigned exponent_max(const Fp *p) { return p->size == 3 ? 0x7ff : 0xff; }

/* Two to the power of -n. */
static uint64_t power(const Fp *p, int n)
{
    return (uint64_t)((int)(exponent_max(p) / 2) - n) << fraction_bits(p);
}

/* ---- operands ---- */

unsigned fp_bytes(const Gen *g, IrRef r)
{
    const IrNode *n = gen_node(g, r);
    unsigned      size = 1u << (n->imm & 3);

    switch (n->op) {
    case IR_const:
        return 8;
    case IR_load:
        return 1u << n->mem.size_log2;
    case IR_vzext:
        if (gen_is_const(g, n->a)) {
            return gen_const(g, n->a) <= UINT32_MAX ? 4 : 8;
        }
        return ir_type_bits(gen_node(g, n->a)->type) / 8;
    case IR_vlow:
        return 8;
    case IR_get:
        return g->get_bytes[r];
    case IR_call:
        if (n->helper->inline_op < IR_INLINE_FADD) {
            return 16;
        }
        if (n->helper->inline_op == IR_INLINE_FCVTL || n->helper->inline_op == IR_INLINE_FCVTN) {
            return 16;
        }
        size = n->helper->inline_op == IR_INLINE_FCVT ? 1u << (n->imm >> 8 & 3) : size;
        return n->imm & 8 ? size : n->imm & 4 ? 16 : 8;
    default:
        return 16;
    }
}

static void zero_above(const Fp *p, X86Xmm d, X86Xmm s)
{
    if (p->bytes == 8) {
        asm_movq_xx(&p->g->as, d, s);
    } else if (p->bytes == 4) {
        asm_sse2_i(&p->g->as, X86_INSERTPS, d, s, s, 0x0e); /* clears lanes 1 to 3 */
    }
}

static bool in_memory(const Fp *p, IrRef r)
{
    return !gen_is_const(p->g, r) && gen_val(p->g, r)->kind == AT_MEM;
}

/* An operand with zeroes above its lanes. */
static X86Xmm zeroed(const Fp *p, IrRef r, X86Xmm scratch)
{
    if (fp_bytes(p->g, r) <= p->bytes) {
        return gen_xmm(p->g, r, scratch);
    }
    if (in_memory(p, r)) {
        asm_load_x(&p->g->as, p->bytes == 16 ? 4 : p->bytes == 8 ? 3 : 2, scratch, gen_mem(gen_val(p->g, r)->mem));
    } else {
        zero_above(p, scratch, gen_xmm(p->g, r, scratch));
    }
    return scratch;
}

/* An operand where what lies above one lane does not matter. */
static X86Xmm operand(const Fp *p, IrRef r, X86Xmm scratch)
{
    return p->one ? gen_xmm(p->g, r, scratch) : zeroed(p, r, scratch);
}

static Src second(const Fp *p, IrRef r, X86Xmm scratch)
{
    if (in_memory(p, r) && (p->one || p->wide)) {
        return (Src){ .mem = true, .m = gen_mem(gen_val(p->g, r)->mem) };
    }
    return (Src){ .x = operand(p, r, scratch) };
}

/* ---- results ---- */

static void begin(Fp *p, bool may_redo)
{
    Gen          *g = p->g;
    const IrNode *n = p->n;
    uint32_t      id;

    p->d = gen_dest_xmm(g);
    p->t = gen_uses_xmm(g, n->a, p->d) || gen_uses_xmm(g, n->b, p->d) || gen_uses_xmm(g, n->c, p->d) ? 0 : p->d;
    if (may_redo) {
        JitSite *s = gen_site(g, SITE_CALL, &id);

        s->helper = n->helper;
        s->a = gen_place(g, n->a);
        s->b = gen_place(g, n->b);
        s->c = gen_place(g, n->c);
        s->d = gen_place_xmm(p->d, n->type);
        p->cold = gen_cold(g, id);
    }
    p->from = g->as.p;
}

static void end(const Fp *p)
{
    asm_movx(&p->g->as, p->d, p->t);
    if (p->cold != NULL) {
        gen_trap(p->g, p->from, TRAP_TO_C, p->cold);
        asm_bind(&p->g->as, &p->cold->back);
    }
    gen_done_xmm(p->g, p->d);
}

/* Whether a NaN that the host makes of NaNs, and without a trap, is the guest's. */
static bool host_nan(const Fp *p) { return p->g->j->traps && (p->n->imm & IR_INLINE_DEFAULT_NAN) == 0; }

/* NaNs go to C. */
static void check_nan(const Fp *p)
{
    Asm *as = &p->g->as;

    if (p->nan_is_right) {
        return;
    }
    if (p->one) {
        asm_sse1(as, p->size == 3 ? X86_UCOMISD : X86_UCOMISS, p->t, p->t);
        asm_jcc(as, CC_P, &p->cold->from);
    } else {
        asm_sse2_i(as, form(p, X86_CMPPS), 1, p->t, p->t, CMP_UNORDERED);
        asm_sse1(as, X86_PTEST, 1, 1);
        asm_jcc(as, CC_NE, &p->cold->from);
    }
}

/* Out of line, of results with an unusual exponent: all but NaNs and those with the least exponent are right. */
static void recheck(Gen *g, Cold *c)
{
    Fp       p = { .g = g, .size = c->shape & 3, .one = c->shape & 8, .wide = c->shape & 4, .t = c->value, .cold = c };
    AsmLabel redo = ASM_LABEL;
    Asm     *as = &g->as;

    if (p.one) {
        bool w = p.size == 3;

        asm_sse1(as, w ? X86_UCOMISD : X86_UCOMISS, p.t, p.t);
        asm_jcc(as, CC_P, &redo);
        asm_movq_rx(as, w, RAX, p.t);
        asm_shift_ri(as, SH_SHR, w, RAX, fraction_bits(&p));
        asm_alu_ri(as, ALU_AND, false, RAX, (int32_t)exponent_max(&p));
        asm_alu_ri(as, ALU_CMP, false, RAX, 1);
    } else {
        uint64_t least = 1ull << fraction_bits(&p);

        asm_sse2_i(as, form(&p, X86_CMPPS), 1, p.t, p.t, CMP_UNORDERED);
        asm_sse2_m(as, X86_PAND, 2, p.t, gen_constant_lanes(g, p.size, exponent_max(&p) * least));
        asm_sse2_m(as, lanes(&p, X86_PCMPEQD, X86_PCMPEQQ), 2, 2, gen_constant_lanes(g, p.size, least));
        asm_sse2(as, X86_POR, 1, 1, 2);
        asm_sse1(as, X86_PTEST, 1, 1);
        asm_jcc(as, CC_NE, &redo);
        asm_jmp(as, &c->resume);
        asm_bind(as, &redo);
        return;
    }
    asm_jcc(as, CC_NE, &c->resume);
    asm_bind(as, &redo);
}

/*
 * Results that are NaNs or may be the smallest normal number go to C. Where the host traps, NaNs are right, and of all
 * results that are there half of that number only is tiny: to make that is exact, and raises nothing. Otherwise those
 * whose exponent is among the two least or the two greatest, or in vectors the lowest or highest quarter, are looked at
 * again out of line.
 */
static void check_range(const Fp *p)
{
    Asm     *as = &p->g->as;
    unsigned f = fraction_bits(p);

    if (p->nan_is_right) {
        asm_sse2_m(as, form(p, X86_MULPS), 1, p->t, gen_constant_lanes(p->g, p->size, power(p, 1)));
        return;
    }
    p->cold->first = recheck;
    p->cold->value = p->t;
    p->cold->shape = (uint8_t)(p->size | (p->one ? 8 : 0) | (p->wide ? 4 : 0));
    if (p->one) { /* all of the exponent but its lowest bit: zeroes (ZF) or ones (CF) */
        uint64_t mask = (uint64_t)(exponent_max(p) - 1) << f;

        asm_sse1_m(as, X86_PTEST, p->t, constant(p, mask));
        asm_jcc(as, CC_BE, &p->cold->from);
    } else { /* plus three quarters of the range: the highest bit of the exponent is set for the outer quarters */
        uint64_t quarter = (uint64_t)(exponent_max(p) + 1) / 4 << f;

        asm_sse2_m(as, lanes(p, X86_PADDD, X86_PADDQ), 1, p->t, constant(p, 3 * quarter));
        asm_sse1_m(as, X86_PTEST, 1, constant(p, 2 * quarter));
        asm_jcc(as, CC_NE, &p->cold->from);
    }
    asm_bind(as, &p->cold->resume);
}

/* ---- arithmetic ---- */

/* Starts from the operand that is zero above its lane. */
static bool swaps(const Fp *p)
{
    return p->one && fp_bytes(p->g, p->n->a) > p->bytes && fp_bytes(p->g, p->n->b) <= p->bytes;
}

/* Of two NaNs the first operand's is the result: the guest's first operand, unless they are swapped. */
static void calculate(Fp *p, X86Sse ps, bool swap)
{
    IrRef a = swap ? p->n->b : p->n->a, b = swap ? p->n->a : p->n->b;

    p->nan_is_right = host_nan(p) && !swap;
    X86Xmm x = zeroed(p, a, 1);
    put2(p, form(p, ps), p->t, x, second(p, b, 2));
}

/* One instruction that traps before it writes may write to an operand's register. */
static void emit_sum(Fp *p, IrInline op)
{
    bool swap = op == IR_INLINE_FADD && swaps(p);

    begin(p, true);
    p->t = host_nan(p) && !swap && p->g->as.host.avx ? p->d : p->t;
    calculate(p, op == IR_INLINE_FADD ? X86_ADDPS : X86_SUBPS, swap);
    check_nan(p);
    if (op == IR_INLINE_FABD) {
        asm_sse2_m(&p->g->as, X86_ANDPS, p->t, p->t, constant(p, sign_bit(p) - 1));
    }
    end(p);
}

static void emit_product(Fp *p, IrInline op)
{
    begin(p, true);
    calculate(p, X86_MULPS, swaps(p));
    check_range(p);
    if (op == IR_INLINE_FNMUL) {
        asm_sse2_m(&p->g->as, X86_XORPS, p->t, p->t, constant(p, sign_bit(p)));
    }
    end(p);
}

/* Above the lanes of short vectors nothing must be divided by zero: they are there twice. */
static void emit_quotient(Fp *p)
{
    bool doubled = !p->one && !p->wide;

    begin(p, true);
    if (doubled) {
        asm_sse1(&p->g->as, X86_MOVDDUP, 1, gen_xmm(p->g, p->n->a, 1));
        asm_sse1(&p->g->as, X86_MOVDDUP, 2, gen_xmm(p->g, p->n->b, 2));
        asm_sse2(&p->g->as, form(p, X86_DIVPS), p->t, 1, 2);
        p->nan_is_right = host_nan(p);
    } else {
        calculate(p, X86_DIVPS, false);
    }
    check_range(p);
    if (doubled) {
        zero_above(p, p->t, p->t);
    }
    end(p);
}

/* Out of line, where nothing traps: a NaN of a number is the default one, whose sign is not the host's. */
static void take_default_nan(Gen *g, Cold *c)
{
    Fp       p = { .g = g, .size = c->shape & 3, .one = c->shape & 8, .wide = c->shape & 4, .t = c->value };
    AsmLabel redo = ASM_LABEL;
    X86Xmm   x = c->operand;
    Asm     *as = &g->as;

    if (p.one) {
        asm_sse1(as, p.size == 3 ? X86_UCOMISD : X86_UCOMISS, x, x);
        asm_jcc(as, CC_P, &redo);
        asm_sse2_m(as, X86_XORPS, p.t, p.t, constant(&p, sign_bit(&p)));
    } else {
        asm_sse2_i(as, form(&p, X86_CMPPS), 1, x, x, CMP_UNORDERED);
        asm_sse1(as, X86_PTEST, 1, 1);
        asm_jcc(as, CC_NE, &redo);
        asm_sse2_i(as, form(&p, X86_CMPPS), 1, p.t, p.t, CMP_UNORDERED);
        asm_sse2_m(as, X86_ANDPS, 1, 1, constant(&p, sign_bit(&p)));
        asm_sse2(as, X86_XORPS, p.t, p.t, 1);
    }
    asm_jmp(as, &c->resume);
    asm_bind(as, &redo);
}

static void emit_root(Fp *p)
{
    begin(p, true);
    p->nan_is_right = host_nan(p);
    X86Xmm x = operand(p, p->n->a, 2);
    if (p->one) {
        clear(p, p->t);
        asm_sse2(&p->g->as, form(p, X86_SQRTPS), p->t, p->t, x);
    } else {
        asm_sse1(&p->g->as, form(p, X86_SQRTPS), p->t, x);
    }
    check_nan(p);
    if (!p->g->j->traps) {
        p->cold->first = take_default_nan;
        p->cold->value = p->t;
        p->cold->operand = x;
        p->cold->shape = (uint8_t)(p->size | (p->one ? 8 : 0) | (p->wide ? 4 : 0));
        asm_bind(&p->g->as, &p->cold->resume);
    }
    end(p);
}

/* z +- x * y and so on: the 231 form adds to its destination, the 213 form multiplies it. */
static X86Sse fused(const Fp *p, IrInline op, bool multiplies)
{
    X86Sse i = op == IR_INLINE_FMLA    ? X86_VFMADD231PS
               : op == IR_INLINE_FMLS  ? X86_VFNMADD231PS
               : op == IR_INLINE_FNMLA ? X86_VFNMSUB231PS
                                       : X86_VFMSUB231PS;

    i.op = (uint8_t)(i.op - (multiplies ? 0x10 : 0) + (p->one ? 1 : 0));
    i.w = p->size == 3;
    return i;
}

static void put_fma(const Fp *p, X86Sse op, X86Xmm d, X86Xmm x, Src y)
{
    if (y.mem) {
        asm_fma_m(&p->g->as, op, d, x, y.m);
    } else {
        asm_fma(&p->g->as, op, d, x, y.x);
    }
}

/* Starts from the operand that is zero above its lanes. */
static void emit_fused(Fp *p, IrInline op)
{
    IrRef x = p->n->a, y = p->n->b, z = p->n->c;
    bool  by_product = p->one && fp_bytes(p->g, z) > p->bytes;

    begin(p, true);
    if (by_product && fp_bytes(p->g, x) > p->bytes) {
        x = p->n->b;
        y = p->n->a;
    }
    if (by_product && fp_bytes(p->g, x) <= p->bytes) {
        asm_movx(&p->g->as, p->t, gen_xmm(p->g, x, p->t));
        X86Xmm r = operand(p, y, 1);
        put_fma(p, fused(p, op, true), p->t, r, second(p, z, 2));
    } else {
        asm_movx(&p->g->as, p->t, zeroed(p, z, p->t));
        X86Xmm r = operand(p, x, 1);
        put_fma(p, fused(p, op, false), p->t, r, second(p, y, 2));
    }
    check_range(p);
    end(p);
}

/* Operands whose products may overflow, infinities and NaNs go to C. */
static void check_moderate(const Fp *p, X86Xmm x)
{
    uint64_t limit = power(p, p->size == 3 ? -511 : -63);
    Asm     *as = &p->g->as;

    asm_sse2_m(as, X86_PAND, p->t, x, constant(p, sign_bit(p) - 1));
    asm_sse2_m(as, lanes(p, X86_PADDD, X86_PADDQ), p->t, p->t, constant(p, sign_bit(p) - limit));
    asm_sse1_m(as, X86_PTEST, p->t, constant(p, sign_bit(p)));
    asm_jcc(as, CC_NE, &p->cold->from);
}

/* A product of zero and infinity is no invalid one. None that is left here overflows. */
static void emit_product_extended(Fp *p)
{
    uint64_t least = 1ull << fraction_bits(p);
    Asm     *as = &p->g->as;

    begin(p, true);
    X86Xmm x = zeroed(p, p->n->a, 1), y = operand(p, p->n->b, 2);
    check_moderate(p, x);
    check_moderate(p, y);
    asm_sse2(as, form(p, X86_MULPS), p->t, x, y);
    asm_sse2_m(as, X86_PAND, 1, p->t, constant(p, sign_bit(p) - 1));
    asm_sse2_m(as, lanes(p, X86_PCMPEQD, X86_PCMPEQQ), 1, 1, gen_constant_lanes(p->g, p->size, least));
    asm_sse1(as, X86_PTEST, 1, 1); /* the smallest normal number */
    asm_jcc(as, CC_NE, &p->cold->from);
    end(p);
}

/* 2 - x * y, and (3 - x * y) / 2: what is not zero is far from denormal, so that halving is exact. */
static void emit_step(Fp *p, IrInline op)
{
    bool     root = op == IR_INLINE_FRSQRTS;
    uint64_t two = power(p, -1);
    Asm     *as = &p->g->as;

    begin(p, true);
    X86Xmm x = operand(p, p->n->a, 1), y = operand(p, p->n->b, 2);
    check_moderate(p, x);
    check_moderate(p, y);
    asm_load_x(as, 4, p->t, constant(p, two + (root ? 1ull << (fraction_bits(p) - 1) : 0)));
    asm_fma(as, fused(p, IR_INLINE_FMLS, false), p->t, x, y);
    if (root) {
        asm_sse2_m(as, form(p, X86_MULPS), p->t, p->t, constant(p, power(p, 1)));
    }
    end(p);
}

/* The exponent's inverse is that of a number unless it is all zeroes or all ones. */
static void emit_inverse_exponent(Fp *p)
{
    uint64_t exponents = p->size == 1 ? 0x7c00 : (uint64_t)exponent_max(p) << fraction_bits(p);
    uint64_t sign = sign_bit(p);
    Asm     *as = &p->g->as;

    begin(p, true);
    X86Xmm x = gen_xmm(p->g, p->n->a, 1);
    asm_sse1_m(as, X86_PTEST, x, constant(p, exponents));
    asm_jcc(as, CC_BE, &p->cold->from);
    asm_sse2_m(as, X86_PAND, p->t, x, constant(p, sign | exponents));
    asm_sse2_m(as, X86_PXOR, p->t, p->t, constant(p, exponents));
    end(p);
}

/* ---- selection, comparison, signs ---- */

/* Of two zeroes the host gives the second: do it both ways, and take the sign from both. */
static void emit_extreme(Fp *p, bool max)
{
    Asm   *as = &p->g->as;
    X86Sse op = form(p, max ? X86_MAXPS : X86_MINPS);

    begin(p, true);
    X86Xmm x = operand(p, p->n->a, 1), y = operand(p, p->n->b, 2);
    if (p->one) {
        asm_sse1(as, p->size == 3 ? X86_UCOMISD : X86_UCOMISS, x, y);
        asm_jcc(as, CC_P, &p->cold->from);
    } else {
        asm_sse2_i(as, form(p, X86_CMPPS), p->t, x, y, CMP_UNORDERED);
        asm_sse1(as, X86_PTEST, p->t, p->t);
        asm_jcc(as, CC_NE, &p->cold->from);
    }
    asm_sse2(as, op, p->t, x, y);
    asm_sse2(as, op, 2, y, x);
    asm_sse2(as, max ? X86_ANDPS : X86_ORPS, p->t, p->t, 2);
    if (p->one) {
        zero_above(p, p->t, p->t);
    }
    end(p);
}

/*
 * Lanes of 16 and 32 bits as integers: numbers are in order once those with the sign have their other bits inverted,
 * and +0 is above -0 as it should be. NaNs go to C.
 */

/* All ones but the sign, and how far that is above infinity: a NaN plus this has the sign. */
static uint64_t lane_number(const Fp *p) { return (p->size == 1 ? 0x8000ull : 1ull << 31) - 1; }
static uint64_t lane_beyond(const Fp *p) { return lane_number(p) - (p->size == 1 ? 0x7c00ull : 0x7f800000ull); }

/* XMM2 is lost. */
static void check_no_nan(const Fp *p, X86Xmm x)
{
    uint64_t sign = lane_number(p) + 1;
    Asm     *as = &p->g->as;

    asm_sse2_m(as, X86_PAND, 2, x, gen_constant_lanes(p->g, p->size, lane_number(p)));
    asm_sse2_m(as, p->size == 1 ? X86_PADDW : X86_PADDD, 2, 2, gen_constant_lanes(p->g, p->size, lane_beyond(p)));
    asm_sse1_m(as, X86_PTEST, 2, gen_constant_lanes(p->g, p->size, sign));
    asm_jcc(as, CC_NE, &p->cold->from);
}

/* d = numbers of s in the order of integers, or back again; they may be the same. XMM2 is lost. */
static void to_order(const Fp *p, X86Xmm d, X86Xmm s)
{
    Asm *as = &p->g->as;

    if (p->size == 1) {
        asm_sse_shift_i(as, X86_PSRAW_I, 2, s, 15);
        asm_sse_shift_i(as, X86_PSRLW_I, 2, 2, 1);
    } else {
        asm_sse_shift_i(as, X86_PSRAD_I, 2, s, 31);
        asm_sse_shift_i(as, X86_PSRLD_I, 2, 2, 1);
    }
    asm_sse2(as, X86_PXOR, d, s, 2);
}

static X86Sse extreme_in_order(const Fp *p, bool max)
{
    return p->size == 1 ? (max ? X86_PMAXSW : X86_PMINSW) : (max ? X86_PMAXSD : X86_PMINSD);
}

/* Halves in the lanes that are covered. */
static X86Xmm covered_halves(const Fp *p, IrRef r, X86Xmm scratch)
{
    X86Xmm x = gen_xmm(p->g, r, scratch);

    if (p->bytes == 16) {
        return x;
    }
    asm_sse2_m(&p->g->as, X86_PAND, scratch, x, gen_constant(p->g, 0, p->one ? 0xffff : UINT64_MAX));
    return scratch;
}

static void emit_half_extreme(Fp *p, bool max)
{
    Asm *as = &p->g->as;

    begin(p, true);
    p->t = 0;
    X86Xmm x = covered_halves(p, p->n->a, 0);
    check_no_nan(p, x);
    to_order(p, 0, x);
    X86Xmm y = covered_halves(p, p->n->b, 1);
    check_no_nan(p, y);
    to_order(p, 1, y);
    asm_sse2(as, extreme_in_order(p, max), 0, 0, 1);
    to_order(p, 0, 0);
    end(p);
}

/* Of all lanes; two halves of the register are made of one. */
static void emit_extreme_across(Fp *p, bool max)
{
    X86Sse op = extreme_in_order(p, max);
    Asm   *as = &p->g->as;

    begin(p, true);
    p->t = 0;
    X86Xmm x = gen_xmm(p->g, p->n->a, 1);
    if (!p->wide) {
        asm_sse1_i(as, X86_PSHUFD, 1, x, 0x44);
        x = 1;
    }
    check_no_nan(p, x);
    to_order(p, 0, x);
    asm_sse1_i(as, X86_PSHUFD, 1, 0, 0x4e);
    asm_sse2(as, op, 0, 0, 1);
    asm_sse1_i(as, X86_PSHUFD, 1, 0, 0xb1);
    asm_sse2(as, op, 0, 0, 1);
    if (p->size == 1) {
        asm_sse1_i(as, X86_PSHUFLW, 1, 0, 0xb1);
        asm_sse2(as, op, 0, 0, 1);
    }
    to_order(p, 0, 0);
    asm_sse2_m(as, X86_PAND, 0, 0, gen_constant(p->g, 0, mask64(8u << p->size)));
    end(p);
}

static const struct {
    bool    zero, swap, absolute;
    uint8_t predicate;
} comparisons[] = {
    [IR_INLINE_FCMEQ - IR_INLINE_FCMEQ] = { .predicate = CMP_EQ },
    [IR_INLINE_FCMGE - IR_INLINE_FCMEQ] = { .predicate = CMP_LE, .swap = true },
    [IR_INLINE_FCMGT - IR_INLINE_FCMEQ] = { .predicate = CMP_LT, .swap = true },
    [IR_INLINE_FACGE - IR_INLINE_FCMEQ] = { .predicate = CMP_LE, .swap = true, .absolute = true },
    [IR_INLINE_FACGT - IR_INLINE_FCMEQ] = { .predicate = CMP_LT, .swap = true, .absolute = true },
    [IR_INLINE_FCMEQ0 - IR_INLINE_FCMEQ] = { .predicate = CMP_EQ, .zero = true },
    [IR_INLINE_FCMGE0 - IR_INLINE_FCMEQ] = { .predicate = CMP_LE, .zero = true, .swap = true },
    [IR_INLINE_FCMGT0 - IR_INLINE_FCMEQ] = { .predicate = CMP_LT, .zero = true, .swap = true },
    [IR_INLINE_FCMLE0 - IR_INLINE_FCMEQ] = { .predicate = CMP_LE, .zero = true },
    [IR_INLINE_FCMLT0 - IR_INLINE_FCMEQ] = { .predicate = CMP_LT, .zero = true },
};

/* EQ is quiet, LE and LT raise invalid for any NaN: as asked. */
static void emit_comparison(Fp *p, IrInline op)
{
    unsigned i = op - IR_INLINE_FCMEQ;
    Asm     *as = &p->g->as;

    begin(p, p->g->j->traps);
    X86Xmm x = operand(p, p->n->a, 1), y = 2;
    if (comparisons[i].zero) {
        clear(p, y);
    } else {
        y = operand(p, p->n->b, 2);
    }
    if (comparisons[i].absolute) {
        asm_sse2_m(as, X86_ANDPS, 1, x, constant(p, sign_bit(p) - 1));
        asm_sse2_m(as, X86_ANDPS, 2, y, constant(p, sign_bit(p) - 1));
        x = 1;
        y = 2;
    }
    if (comparisons[i].swap) {
        asm_sse2_i(as, form(p, X86_CMPPS), p->t, y, x, comparisons[i].predicate);
    } else {
        asm_sse2_i(as, form(p, X86_CMPPS), p->t, x, y, comparisons[i].predicate);
    }
    zero_above(p, p->t, p->t);
    end(p);
}

static void emit_sign(Fp *p, IrInline op)
{
    Asm *as = &p->g->as;

    begin(p, false);
    if (op == IR_INLINE_FMOV) {
        asm_movx(as, p->d, zeroed(p, p->n->a, p->d));
    } else if (op == IR_INLINE_FABS) {
        asm_sse2_m(as, X86_ANDPS, p->d, gen_xmm(p->g, p->n->a, p->d), constant(p, sign_bit(p) - 1));
    } else {
        asm_sse2_m(as, X86_XORPS, p->d, zeroed(p, p->n->a, p->d), constant(p, sign_bit(p)));
    }
    p->t = p->d;
    end(p);
}

bool fp_is_comparison(const IrNode *n)
{
    return fp_is_inline(n) && n->helper->inline_op == IR_INLINE_FCMP && n->c == 0;
}

/* Compare the operands of an FCMP, or the second with the first. The scratch registers are XMM0 and XMM2. */
static void compare(Gen *g, const IrNode *n, bool swap)
{
    Fp     p = { .g = g, .n = n, .size = n->imm & 3, .one = true };
    X86Sse op = n->imm & IR_FP_SIGNAL_NAN ? X86_COMISS : X86_UCOMISS;
    IrRef  x = swap ? n->b : n->a, y = swap ? n->a : n->b;

    op.prefix = p.size == 3 ? 0x66 : 0;
    if (n->b == 0) {
        clear(&p, 2);
    }
    X86Xmm         first = x != 0 ? gen_xmm(g, x, 0) : 2;
    const uint8_t *from = g->as.p;
    if (y != 0 && in_memory(&p, y)) {
        asm_sse1_m(&g->as, op, first, gen_mem(gen_val(g, y)->mem));
    } else {
        asm_sse1(&g->as, op, first, y != 0 ? gen_xmm(g, y, 2) : 2);
    }
    gen_trap(g, from, TRAP_UNORDERED, NULL);
}

/* The flags of compare(), packed in @d: greater is what remains. */
static void pack(Gen *g, X86Reg d)
{
    X86Mem k = gen_constant(g, IR_PACK_C | IR_PACK_V, (uint64_t)(IR_PACK_Z | IR_PACK_C) << 32 | IR_PACK_N);

    asm_mov_ri(&g->as, d, IR_PACK_C);
    asm_cmov_m(&g->as, CC_B, false, d, k);
    k.disp += 4;
    asm_cmov_m(&g->as, CC_E, false, d, k);
    k.disp += 4;
    asm_cmov_m(&g->as, CC_P, false, d, k); /* which comes with the other two */
}

void fp_pack_flags(Gen *g, const IrNode *n, X86Reg d)
{
    compare(g, n, false);
    pack(g, d);
}

/* Equal and not unordered is no condition of the host. */
static X86Cond equal(Gen *g, const IrNode *n)
{
    Fp     p = { .g = g, .n = n, .size = n->imm & 3, .one = true };
    X86Xmm x = gen_xmm(g, n->a, 0);

    if (n->b == 0) {
        clear(&p, 2);
    }
    const uint8_t *from = g->as.p;
    asm_sse2_i(&g->as, form(&p, X86_CMPPS), 0, x, n->b != 0 ? gen_xmm(g, n->b, 2) : 2, CMP_EQ);
    gen_trap(g, from, TRAP_UNEQUAL, NULL);
    asm_sse_gx(&g->as, X86_MOVMSKPS, RAX, 0);
    asm_test_ri(&g->as, false, RAX, 1);
    return CC_NE;
}

X86Cond fp_condition(Gen *g, const IrNode *n, IrCond cond)
{
    static const struct {
        bool    swap;
        uint8_t cc;
    } conditions[] = {
        [IR_COND_C] = { true, CC_BE },       [IR_COND_NC] = { true, CC_A },
        [IR_COND_N] = { true, CC_A },        [IR_COND_NN] = { true, CC_BE },
        [IR_COND_V] = { false, CC_P },       [IR_COND_NV] = { false, CC_NP },
        [IR_COND_C_AND_NZ] = { true, CC_B }, [IR_COND_NC_OR_Z] = { true, CC_AE },
        [IR_COND_GE] = { false, CC_AE },     [IR_COND_LT] = { false, CC_B },
        [IR_COND_GT] = { false, CC_A },      [IR_COND_LE] = { false, CC_BE },
    };

    if (cond == IR_COND_Z || cond == IR_COND_NZ) {
        X86Cond cc = equal(g, n);

        return cond == IR_COND_Z ? cc : x86_not(cc);
    }
    compare(g, n, conditions[cond].swap);
    return (X86Cond)conditions[cond].cc;
}

/* Whether a condition follows that does the comparison, before anyone may see what it raised. */
static bool done_by_condition(const Gen *g, const IrNode *fcmp)
{
    for (unsigned i = g->at + 1; i < g->ir->n; i++) {
        const IrNode *n = gen_node(g, (IrRef)i), *c = gen_node(g, n->a);

        if (g->mode[i] == MODE_DEAD || n->op == IR_const || n->op == IR_insn || n->op == IR_get) {
            continue;
        }
        if ((n->op == IR_exit_branch || (n->op == IR_select && g->mode[i] == MODE_NORMAL)) && c->op == IR_flags_cond &&
            gen_fp_flags(g, c->a) == fcmp) {
            return (c->kind != IR_COND_Z && c->kind != IR_COND_NZ) || !(fcmp->imm & IR_FP_SIGNAL_NAN);
        }
        if (ir_node_effects(n) != IR_PURE || ir_is_exit(n->op)) {
            return false;
        }
    }
    return false;
}

/* FCMP whose flags someone wants as bits, or conditionally. */
static void emit_flags_of(Fp *p)
{
    Gen          *g = p->g;
    const IrNode *n = p->n;
    AsmLabel      done = ASM_LABEL;

    if (g->mode[g->at] == MODE_TESTED) {
        if (!done_by_condition(g, n)) {
            compare(g, n, false);
        }
        return;
    }
    X86Reg d = gen_dest_gpr(g);
    if (n->c != 0) {
        X86Reg holds = gen_gpr(g, n->c, RCX, false);

        asm_mov_ri(&g->as, d, n->imm >> IR_FP_ELSE_SHIFT & 15);
        asm_test_rr(&g->as, false, holds, holds);
        asm_jcc(&g->as, CC_E, &done);
    }
    compare(g, n, false);
    pack(g, d);
    asm_bind(&g->as, &done);
    gen_done_gpr(g, d, true);
}

/* ---- rounding and conversion ---- */

/* Immediate of ROUNDPS; false: to nearest, ties away is not among them. */
static bool rounding(uint64_t imm, uint8_t *mode)
{
    switch (imm & IR_FP_ROUND) {
    case IR_FP_NEAREST:
    case IR_FP_CURRENT:
        *mode = TO_NEAREST;
        return true;
    case IR_FP_UP:
        *mode = UP;
        return true;
    case IR_FP_DOWN:
        *mode = DOWN;
        return true;
    case IR_FP_TO_ZERO:
        *mode = TO_ZERO;
        return true;
    default:
        return false;
    }
}

static X86Sse round_one(const Fp *p) { return p->size == 3 ? X86_ROUNDSD : X86_ROUNDSS; }

/* @d is @x rounded toward zero; one more when what that took away is a half or more. XMM1, perhaps @x, and XMM2 are
 * lost. */
static void add_away(const Fp *p, X86Xmm d, X86Xmm x)
{
    uint64_t half = (uint64_t)(exponent_max(p) / 2 - 1) << fraction_bits(p), one = half + (1ull << fraction_bits(p));
    Asm     *as = &p->g->as;

    asm_sse2(as, form(p, X86_SUBPS), 2, x, d);
    asm_sse2_m(as, X86_ANDPS, 2, 2, constant(p, sign_bit(p) - 1));
    asm_sse2_mi(as, form(p, X86_CMPPS), 2, 2, constant(p, half), CMP_NOT_LESS);
    asm_sse2_m(as, X86_ANDPS, 2, 2, constant(p, one));
    asm_sse2_m(as, X86_ANDPS, 1, x, constant(p, sign_bit(p))); /* one or zero with the sign of x */
    asm_sse2(as, X86_ORPS, 2, 2, 1);
    asm_sse2(as, form(p, X86_ADDPS), d, d, 2);
}

/* One lane of @x to nearest in @d, ties away from zero, without raising inexact. XMM1 and XMM2 are lost. Infinities and
 * NaNs go to C. */
static void round_away(const Fp *p, X86Xmm d, X86Xmm x)
{
    Asm *as = &p->g->as;

    asm_sse1_m(as, X86_PTEST, x, constant(p, (uint64_t)exponent_max(p) << fraction_bits(p)));
    asm_jcc(as, CC_B, &p->cold->from);
    clear(p, d);
    asm_sse2_i(as, round_one(p), d, d, x, TO_ZERO | QUIET);
    add_away(p, d, x);
}

static bool emit_round(Fp *p)
{
    uint8_t mode = TO_ZERO;
    bool    away = (p->n->imm & IR_FP_ROUND) == IR_FP_AWAY;

    if (!rounding(p->n->imm, &mode) && !(away && p->one)) {
        return false;
    }
    mode |= p->n->imm & IR_FP_SIGNAL_INEXACT ? 0 : QUIET;
    begin(p, true);
    p->nan_is_right = host_nan(p);
    if (away) {
        round_away(p, p->t, gen_xmm(p->g, p->n->a, 1));
    } else if (p->one) {
        X86Xmm x = gen_xmm(p->g, p->n->a, 1);

        clear(p, p->t);
        asm_sse2_i(&p->g->as, round_one(p), p->t, p->t, x, mode);
        check_nan(p);
    } else {
        asm_sse1_i(&p->g->as, p->size == 3 ? X86_ROUNDPD : X86_ROUNDPS, p->t, zeroed(p, p->n->a, 1), mode);
        check_nan(p);
    }
    end(p);
    return true;
}

/* Between single and double precision. */
static bool emit_convert(Fp *p)
{
    unsigned to = p->n->imm >> 8 & 3;

    if (to < 2) {
        return false;
    }
    begin(p, true);
    p->nan_is_right = host_nan(p);
    X86Xmm x = gen_xmm(p->g, p->n->a, 1);
    clear(p, p->t);
    asm_sse2(&p->g->as, to == 3 ? X86_CVTSS2SD : X86_CVTSD2SS, p->t, p->t, x);
    p->size = to;
    if (to == 3) {
        check_nan(p);
    } else {
        check_range(p);
    }
    end(p);
    return true;
}

/* FCVTL, FCVTN: two lanes of single precision and two of double. */
static bool emit_lengthen(Fp *p)
{
    bool upper = p->n->imm & 4;

    if (p->size != 2) {
        return false;
    }
    p->wide = true;
    p->size = 3;
    begin(p, true);
    p->nan_is_right = host_nan(p);
    X86Xmm x = gen_xmm(p->g, p->n->a, 1);
    if (upper) {
        asm_sse2(&p->g->as, X86_UNPCKHPD, 1, x, x);
        x = 1;
    }
    asm_sse1(&p->g->as, X86_CVTPS2PD, p->t, x);
    check_nan(p);
    end(p);
    return true;
}

static bool emit_narrow(Fp *p)
{
    bool upper = p->n->imm & 4;

    if (p->size != 2) {
        return false;
    }
    p->wide = false;
    begin(p, true);
    p->nan_is_right = host_nan(p);
    asm_sse1(&p->g->as, X86_CVTPD2PS, p->t, gen_xmm(p->g, p->n->a, 1));
    check_range(p);
    if (upper) {
        asm_sse2(&p->g->as, X86_MOVLHPS, 1, gen_xmm(p->g, p->n->b, 1), p->t);
        asm_movx(&p->g->as, p->t, 1);
    }
    end(p);
    return true;
}

static X86Sse with(X86Sse op, const Fp *p, bool w)
{
    op.prefix = p->size == 3 ? 0xf2 : 0xf3;
    op.w = w;
    return op;
}

/*
 * An unsigned number of 64 bits in @r, which is not RDX or RDI. The host's conversion is of signed ones: above those it
 * is that of the half, doubled. The bit that is lost in halving stays in the lowest one, and so does the rounding.
 */
static void from_unsigned(const Fp *p, X86Xmm d, X86Reg r)
{
    Asm     *as = &p->g->as;
    AsmLabel high = ASM_LABEL, done = ASM_LABEL;
    X86Sse   convert = with(X86_CVTSI2SS, p, true);

    clear(p, d);
    asm_test_rr(as, true, r, r);
    asm_jcc(as, CC_S, &high);
    asm_sse_gx(as, convert, d, r);
    asm_jmp(as, &done);
    asm_bind(as, &high);
    asm_mov_rr(as, true, RDX, r);
    asm_mov_rr(as, false, RDI, r);
    asm_shift_ri(as, SH_SHR, true, RDX, 1);
    asm_alu_ri(as, ALU_AND, false, RDI, 1);
    asm_alu_rr(as, ALU_OR, true, RDX, RDI);
    asm_sse_gx(as, convert, d, RDX);
    asm_sse2(as, form(p, X86_ADDPS), d, d, d);
    asm_bind(as, &done);
}

/* From a general register. */
static bool emit_from_x(Fp *p)
{
    const IrNode *n = p->n;
    bool          w = n->imm & IR_FP_X64, is_unsigned = n->imm & IR_FP_UNSIGNED;
    unsigned      fraction = n->imm >> IR_FP_FRACTION_SHIFT & 0x7f;
    Asm          *as = &p->g->as;

    begin(p, false);
    X86Reg r = gen_gpr(p->g, n->a, RAX, false);
    if (w && is_unsigned) {
        from_unsigned(p, p->t, r);
    } else {
        if (is_unsigned) {
            asm_mov_rr(as, false, RAX, r);
            r = RAX;
        }
        clear(p, p->t);
        asm_sse_gx(as, with(X86_CVTSI2SS, p, w || is_unsigned), p->t, r);
    }
    if (fraction != 0) {
        asm_sse2_m(as, form(p, X86_MULPS), p->t, p->t, constant(p, power(p, (int)fraction)));
    }
    end(p);
    return true;
}

/*
 * Whether |@x| is below two to the power of @limit, and not negative if the integer is @is_unsigned, or to C: asked
 * before the host raises inexact or overflow for what does not fit.
 */
static void check_limit(const Fp *p, X86Xmm x, int limit, bool is_unsigned, Cold *cold)
{
    bool     w = p->size == 3;
    unsigned f = fraction_bits(p);

    asm_movq_rx(&p->g->as, w, RAX, x);
    if (!is_unsigned) {
        asm_alu_rr(&p->g->as, ALU_ADD, w, RAX, RAX);
    }
    asm_shift_ri(&p->g->as, SH_SHR, w, RAX, is_unsigned ? f : f + 1);
    asm_alu_ri(&p->g->as, ALU_CMP, false, RAX, (int32_t)(exponent_max(p) / 2) + limit);
    asm_jcc(&p->g->as, CC_AE, &cold->from);
}

static void from_halves(const Fp *p, X86Xmm d, IrRef r, bool upper);

/* One lane: its register or @scratch; or a half as single precision in @scratch. */
static X86Xmm single_lane(const Fp *p, IrRef r, X86Xmm scratch)
{
    if ((p->n->imm & 3) != 1) {
        return gen_xmm(p->g, r, scratch);
    }
    from_halves(p, scratch, r, false);
    return scratch;
}

/* RCX: sign and exponent of a negative number, XMM2, and @minus_one those of the one that is -1 as an integer. To
 * @invalid from there on; what is above -1/2 is 0 and inexact, or rounded down. */
static void below_unsigned(Gen *g, const Fp *p, Cold *c, int32_t minus_one, AsmLabel *invalid, AsmLabel *redo)
{
    Asm *as = &g->as;

    asm_alu_ri(as, ALU_CMP, false, RCX, minus_one);
    asm_jcc(as, CC_AE, invalid);
    asm_alu_ri(as, ALU_CMP, false, RCX, minus_one - 1);
    asm_jcc(as, CC_AE, redo);
    asm_alu_ri(as, ALU_CMP, false, RCX, (int32_t)exponent_max(p) + 1); /* it may be zero */
    asm_jcc(as, CC_E, redo);
    if ((g->j->site[c->site].imm & IR_FP_ROUND) == IR_FP_DOWN) {
        return;
    }
    asm_mov_ri(as, c->reg, 0);
    asm_sse2_i(as, round_one(p), 2, 2, 2, TO_NEAREST);
    asm_jmp(as, &c->resume);
}

/* Out of line: a NaN becomes 0, and numbers that are far from fitting the nearest one that does. The rest goes to C. */
static void saturate_integer(Gen *g, Cold *c)
{
    Fp       p = { .g = g, .size = c->shape & 3 };
    uint64_t imm = g->j->site[c->site].imm;
    bool     is_unsigned = imm & IR_FP_UNSIGNED;
    int      width = c->shape >> 2, fraction = imm >> IR_FP_FRACTION_SHIFT & 0x7f;
    int32_t  bias = (int32_t)exponent_max(&p) / 2, negative = (int32_t)exponent_max(&p) + 1;
    bool     w = p.size == 3;
    AsmLabel redo = ASM_LABEL, below = ASM_LABEL, nan = ASM_LABEL, note = ASM_LABEL;
    Asm     *as = &g->as;

    if ((imm & IR_FP_ROUND) != IR_FP_AWAY) {
        asm_movq_rx(as, w, RCX, c->operand);
    }
    asm_mov_rr(as, w, RAX, RCX);
    asm_alu_rr(as, ALU_ADD, w, RAX, RAX); /* not by the host: that of a signalling one traps */
    asm_mov_ri(as, RDI, (uint64_t)exponent_max(&p) << (fraction_bits(&p) + 1));
    asm_alu_rr(as, ALU_CMP, w, RAX, RDI);
    asm_jcc(as, CC_A, &nan);
    asm_movq_xr(as, w, 2, RCX);
    asm_shift_ri(as, SH_SHR, w, RCX, fraction_bits(&p)); /* the sign is above the exponent */
    asm_alu_ri(as, ALU_CMP, false, RCX, negative);
    asm_jcc(as, CC_AE, &below);
    asm_alu_ri(as, ALU_CMP, false, RCX, bias + (is_unsigned ? width : width - 1) - fraction);
    asm_jcc(as, CC_B, &redo);
    asm_mov_ri(as, c->reg, mask64((unsigned)(is_unsigned ? width : width - 1)));
    asm_jmp(as, &note);
    asm_bind(as, &below);
    if (is_unsigned) {
        below_unsigned(g, &p, c, negative + bias - fraction, &nan, &redo);
    } else { /* the least number fits, and has the same exponent as others that do not */
        asm_alu_ri(as, ALU_CMP, false, RCX, negative + bias + width - fraction);
        asm_jcc(as, CC_B, &redo);
        asm_mov_ri(as, c->reg, 1ull << (width - 1));
        asm_jmp(as, &note);
    }
    asm_bind(as, &nan);
    asm_mov_ri(as, c->reg, 0);
    asm_bind(as, &note);
    fp_note_invalid(g);
    asm_jmp(as, &c->resume);
    asm_bind(as, &redo);
}

/* Whether the host rounds so. */
static bool may_round(const IrNode *n)
{
    uint8_t mode;

    return rounding(n->imm, &mode) || (n->imm & IR_FP_ROUND) == IR_FP_AWAY;
}

/* To an integer of @width bits in @d, not RAX or RCX: the host's answer to what does not fit is the least number. */
static void to_general(Fp *p, X86Reg d, unsigned width)
{
    const IrNode *n = p->n;
    bool          w = width == 64, is_unsigned = n->imm & IR_FP_UNSIGNED;
    bool          away = (n->imm & IR_FP_ROUND) == IR_FP_AWAY;
    unsigned      fraction = n->imm >> IR_FP_FRACTION_SHIFT & 0x7f;
    Asm          *as = &p->g->as;
    uint8_t       mode = TO_ZERO;

    rounding(n->imm, &mode);
    X86Xmm x = single_lane(p, n->a, 1), from = x;
    p->size = MAX(p->size, 2);
    if (gen_guest(p->g)->invalid_bits != 0) {
        if (away) { /* what XMM1 holds is lost on the way */
            asm_movq_rx(as, p->size == 3, RCX, x);
        }
        p->cold->operand = x;
        p->cold->first = saturate_integer;
        p->cold->reg = d;
        p->cold->shape = (uint16_t)(p->size | width << 2);
    }
    if (is_unsigned || fraction != 0) {
        int most = w ? 63 : is_unsigned ? (int)width : (int)width - 1;

        check_limit(p, x, most - (mode == TO_ZERO && !away ? 0 : 1) - (int)fraction, is_unsigned, p->cold);
    }
    if (fraction != 0) { /* which rounds to zero, always */
        from = 0;
        asm_movx(as, 0, x);
        asm_sse2_m(as, form(p, X86_MULPS), 0, 0, constant(p, power(p, -(int)fraction)));
    } else if (away) {
        from = 0;
        round_away(p, 0, x);
    } else if (mode == UP || mode == DOWN) {
        from = 0;
        asm_sse2_i(as, round_one(p), 0, 0, x, mode | QUIET);
    }
    w |= is_unsigned;
    asm_sse_gx(as, with(mode == TO_NEAREST ? X86_CVTSS2SI : X86_CVTTSS2SI, p, w), d, from);
    if (!is_unsigned && fraction == 0 && width == 16) { /* a half that does not fit is an integer, and exact */
        asm_sext(as, 1, false, RAX, d);
        asm_alu_rr(as, ALU_CMP, false, RAX, d);
        asm_jcc(as, CC_NE, &p->cold->from);
    } else if (!is_unsigned && fraction == 0) {
        asm_alu_ri(as, ALU_CMP, w, d, 1);
        asm_jcc(as, CC_O, &p->cold->from);
    }
    if (from != x && fraction == 0) { /* it fits, so it may be inexact */
        asm_sse2_i(as, round_one(p), 0, 0, single_lane(p, n->a, 1), TO_NEAREST);
    }
    asm_bind(as, &p->cold->resume);
}

/* To a general register. */
static bool emit_to_x(Fp *p)
{
    Gen          *g = p->g;
    const IrNode *n = p->n;
    uint32_t      id;

    if (!may_round(n)) {
        return false;
    }
    X86Reg   d = gen_dest_gpr(g);
    JitSite *s = gen_site(g, SITE_CALL, &id);
    s->helper = n->helper;
    s->a = gen_place(g, n->a);
    s->d = gen_place_gpr(d, n->type);
    p->cold = gen_cold(g, id);
    const uint8_t *code = g->as.p;
    to_general(p, d, n->imm & IR_FP_X64 ? 64 : 32);
    gen_trap(g, code, TRAP_TO_C, p->cold);
    asm_bind(&g->as, &p->cold->back);
    gen_done_gpr(g, d, true);
    return true;
}

/* To an integer of the same size, one lane. */
static bool emit_to_lane(Fp *p)
{
    unsigned size = p->size;
    Asm     *as = &p->g->as;

    if (!may_round(p->n)) {
        return false;
    }
    begin(p, true);
    to_general(p, RDX, 8u << size);
    if (size == 1) {
        asm_zext(as, 1, RDX, RDX);
    }
    asm_movq_xr(as, size == 3, p->t, RDX);
    end(p);
    return true;
}

/* Lanes of 32 bits, as upper and lower halves: both conversions are exact, and their sum is rounded once. */
static void from_unsigned_words(const Fp *p, X86Xmm x)
{
    Asm *as = &p->g->as;

    asm_sse_shift_i(as, X86_PSRLD_I, 2, x, 16);
    asm_sse1(as, X86_CVTDQ2PS, 2, 2);
    asm_sse2_m(as, X86_MULPS, 2, 2, gen_constant_lanes(p->g, 2, power(p, -16)));
    asm_sse2_m(as, X86_PAND, 1, x, gen_constant_lanes(p->g, 2, 0xffff));
    asm_sse1(as, X86_CVTDQ2PS, p->t, 1);
    asm_sse2(as, X86_ADDPS, p->t, p->t, 2);
}

static void from_doubleword(const Fp *p, X86Xmm d, X86Reg r, bool is_unsigned)
{
    if (is_unsigned) {
        from_unsigned(p, d, r);
    } else {
        clear(p, d);
        asm_sse_gx(&p->g->as, X86_CVTSI2SD_Q, d, r);
    }
}

/* Lanes: the same through general registers, or four at once. */
static bool emit_from_lanes(Fp *p)
{
    const IrNode *n = p->n;
    bool          is_unsigned = n->imm & IR_FP_UNSIGNED;
    unsigned      fraction = n->imm >> IR_FP_FRACTION_SHIFT & 0x7f;
    Asm          *as = &p->g->as;

    begin(p, false);
    X86Xmm x = zeroed(p, n->a, 1);
    if (p->size == 2 && is_unsigned) {
        from_unsigned_words(p, x);
    } else if (p->size == 2) {
        asm_sse1(as, X86_CVTDQ2PS, p->t, x);
    } else {
        asm_movq_rx(as, true, RAX, x);
        if (p->wide) {
            asm_sse_gx_i(as, X86_PEXTRQ, x, RCX, 1);
            from_doubleword(p, 2, RCX, is_unsigned);
        }
        from_doubleword(p, p->t, RAX, is_unsigned);
        if (p->wide) {
            asm_sse2(as, X86_UNPCKLPD, p->t, p->t, 2);
        }
    }
    if (fraction != 0) {
        asm_sse2_m(as, form(p, X86_MULPS), p->t, p->t, constant(p, power(p, (int)fraction)));
    }
    end(p);
    return true;
}

/*
 * Lanes no less than two to the power of what the host's signed integers have bits above @fraction go to C, and so do
 * negative ones if the integers are unsigned, as in check_limit().
 */
static void check_fits(const Fp *p, X86Xmm x, unsigned fraction, bool is_unsigned)
{
    Asm *as = &p->g->as;
    int  limit = (p->size == 2 ? 31 : 63) - (int)fraction;

    if (p->size == 2) {
        X86Xmm magnitude = is_unsigned ? x : 1;

        if (!is_unsigned) {
            asm_sse2_m(as, X86_PAND, 1, x, constant(p, sign_bit(p) - 1));
        }
        asm_sse2_m(as, X86_PMINUD, 2, magnitude, constant(p, power(p, -limit) - 1));
        asm_sse2(as, X86_PXOR, 2, 2, magnitude);
        asm_sse1(as, X86_PTEST, 2, 2);
        asm_jcc(as, CC_NE, &p->cold->from);
        return;
    }
    check_limit(p, x, limit, is_unsigned, p->cold);
    if (p->wide) {
        asm_sse2(as, X86_UNPCKHPD, 2, x, x);
        check_limit(p, 2, limit, is_unsigned, p->cold);
    }
}

/* Signed integers of 32 bits: what did not fit is the least one. */
static void check_words(const Fp *p)
{
    Asm *as = &p->g->as;

    asm_sse2_m(as, X86_PCMPEQD, 2, p->t, constant(p, sign_bit(p)));
    if (!p->wide) {
        zero_above(p, 2, 2); /* there the constant is zero, too */
    }
    asm_sse1(as, X86_PTEST, 2, 2);
    asm_jcc(as, CC_NE, &p->cold->from);
}

/* Doubles of @from to integers of 64 bits, which cannot be the least one. */
static void to_doublewords(const Fp *p, X86Sse op, X86Xmm from)
{
    Asm *as = &p->g->as;

    asm_sse_gx(as, op, RAX, from);
    asm_alu_ri(as, ALU_CMP, true, RAX, 1);
    asm_jcc(as, CC_O, &p->cold->from);
    if (p->wide) {
        asm_sse2(as, X86_UNPCKHPD, 2, from, from);
        asm_sse_gx(as, op, RDX, 2);
        asm_alu_ri(as, ALU_CMP, true, RDX, 1);
        asm_jcc(as, CC_O, &p->cold->from);
    }
    asm_movq_xr(as, true, p->t, RAX);
    if (p->wide) {
        asm_sse_gx_i(as, X86_PINSRQ, p->t, RDX, 1);
    }
}

/* Lanes: those that the host's conversions do not round as asked are rounded before. */
static bool emit_to_lanes(Fp *p)
{
    const IrNode *n = p->n;
    Asm          *as = &p->g->as;
    bool          is_unsigned = n->imm & IR_FP_UNSIGNED, away = (n->imm & IR_FP_ROUND) == IR_FP_AWAY;
    unsigned      fraction = n->imm >> IR_FP_FRACTION_SHIFT & 0x7f;
    X86Sse        round = p->size == 3 ? X86_ROUNDPD : X86_ROUNDPS;
    uint8_t       mode = TO_ZERO;
    bool          nearest, rounded;

    if (p->one) {
        return emit_to_lane(p);
    }
    if (!may_round(n)) {
        return false;
    }
    rounding(n->imm, &mode);
    nearest = mode == TO_NEAREST;
    rounded = away || mode == UP || mode == DOWN;
    begin(p, true);
    X86Xmm x = zeroed(p, n->a, fraction != 0 && !is_unsigned ? 0 : 1), from = x;
    if (is_unsigned || fraction != 0) {
        check_fits(p, x, fraction, is_unsigned);
    }
    if (fraction != 0) { /* which rounds to zero, always */
        asm_sse2_m(as, form(p, X86_MULPS), p->t, x, constant(p, power(p, -(int)fraction)));
        from = p->t;
    } else if (rounded) {
        asm_sse1_i(as, round, p->t, x, mode | QUIET);
        from = p->t;
    }
    if (away) {
        add_away(p, p->t, x);
    }
    if (p->size == 2) {
        asm_sse1(as, nearest ? X86_CVTPS2DQ : X86_CVTTPS2DQ, p->t, from);
        if (!is_unsigned && fraction == 0) {
            check_words(p);
        }
    } else {
        to_doublewords(p, nearest ? X86_CVTSD2SI_Q : X86_CVTTSD2SI_Q, from);
    }
    if (rounded) { /* it fits, so it may be inexact */
        asm_sse1_i(as, round, 2, zeroed(p, n->a, 1), TO_NEAREST);
    }
    end(p);
    return true;
}

/* ---- half precision ---- */

/*
 * The host has conversions (F16C), which ignore the modes of flushing. A sum, product, quotient or root of halves that
 * is rounded to single precision and then to half is that rounded once: twice the digits and two more are enough, and
 * single precision has them (11 and 24). No result of halves is denormal or overflows there.
 */
enum { HALF_LEAST = 0x0400, HALF_SIGN = 0x8000 };

/* d = the first, or the upper, four lanes of an operand, or one and zeroes, as single precision. */
static void from_halves(const Fp *p, X86Xmm d, IrRef r, bool upper)
{
    Asm   *as = &p->g->as;
    X86Xmm x = gen_xmm(p->g, r, d);

    if (p->one && fp_bytes(p->g, r) > 2) {
        asm_sse2_m(as, X86_PAND, d, x, gen_constant(p->g, 0, 0xffff));
        x = d;
    } else if (upper) {
        asm_sse1_i(as, X86_PSHUFD, d, x, 0xee);
        x = d;
    }
    asm_sse1(as, X86_VCVTPH2PS, d, x);
}

/* d = four lanes of s rounded to halves, with zeroes above; NaNs go to C. */
static void to_halves(Fp *p, X86Xmm d, X86Xmm s)
{
    Asm *as = &p->g->as;

    if (!p->nan_is_right) {
        asm_sse2_i(as, X86_CMPPS, 2, s, s, CMP_UNORDERED);
        asm_sse1(as, X86_PTEST, 2, 2);
        asm_jcc(as, CC_NE, &p->cold->from);
    }
    asm_sse_gx_i(as, X86_VCVTPS2PH, s, d, 0);
}

/* Where the guest and the host may differ about what is tiny: any lane of t that is the smallest normal number. */
static void check_half_least(const Fp *p)
{
    Asm *as = &p->g->as;

    asm_sse2_m(as, X86_PAND, 2, p->t, gen_constant_lanes(p->g, 1, HALF_SIGN - 1));
    asm_sse2_m(as, X86_PCMPEQW, 2, 2, gen_constant_lanes(p->g, 1, HALF_LEAST));
    asm_sse1(as, X86_PTEST, 2, 2);
    asm_jcc(as, CC_NE, &p->cold->from);
}

/* One operation on four lanes or one, in @d. */
static void half_operation(Fp *p, X86Sse ps, X86Xmm d, bool upper)
{
    Fp  single = { .size = 2, .one = p->one };
    Asm *as = &p->g->as;

    from_halves(p, 1, p->n->a, upper);
    if (p->n->b == 0) {
        asm_sse1(as, ps, 1, 1);
        if (!p->g->j->traps) { /* NaNs are default ones: no operand was one */
            asm_sse2_i(as, X86_CMPPS, 2, 1, 1, CMP_UNORDERED);
            asm_sse2_m(as, X86_PAND, 2, 2, gen_constant_lanes(p->g, 2, sign_bit(&single)));
            asm_sse2(as, X86_PXOR, 1, 1, 2);
        }
    } else {
        from_halves(p, 2, p->n->b, upper);
        asm_sse2(as, form(&single, ps), 1, 1, 2);
    }
    to_halves(p, d, 1);
}

/* NaNs and perhaps infinities of the operands go to C: what overflows into the sign. */
static void check_exponents(const Fp *p, bool infinities)
{
    uint64_t low = p->one ? 0xffff : UINT64_MAX, high = p->wide ? UINT64_MAX : 0;
    uint64_t number = 0x7fff7fff7fff7fff, sign = ~number;
    unsigned n_operands = p->n->b != 0 ? 2 : 1;
    Asm     *as = &p->g->as;

    for (unsigned i = 1; i <= n_operands; i++) {
        asm_sse2_m(as, X86_PAND, (X86Xmm)i, gen_xmm(p->g, i == 1 ? p->n->a : p->n->b, (X86Xmm)i),
                   gen_constant(p->g, high & number, low & number));
        asm_sse2_m(as, X86_PADDW, (X86Xmm)i, (X86Xmm)i, gen_constant_lanes(p->g, 1, HALF_LEAST - (infinities ? 0 : 1)));
    }
    if (n_operands == 2) {
        asm_sse2(as, X86_POR, 1, 1, 2);
    }
    asm_sse1_m(as, X86_PTEST, 1, gen_constant(p->g, sign, sign));
    asm_jcc(as, CC_NE, &p->cold->from);
}

static bool emit_half_arithmetic(Fp *p, IrInline op)
{
    const struct {
        IrInline op;
        X86Sse   ps;
        bool     tiny; /* a result may be tiny and inexact */
    } operations[] = {
        { IR_INLINE_FMULX, X86_MULPS, true },
        { IR_INLINE_FADD, X86_ADDPS, false },   { IR_INLINE_FSUB, X86_SUBPS, false },
        { IR_INLINE_FABD, X86_SUBPS, false },   { IR_INLINE_FMUL, X86_MULPS, true },
        { IR_INLINE_FNMUL, X86_MULPS, true },   { IR_INLINE_FDIV, X86_DIVPS, true },
        { IR_INLINE_FSQRT, X86_SQRTPS, false },
    };
    Asm   *as = &p->g->as;
    size_t i = 0;

    while (i < G_N_ELEMENTS(operations) && operations[i].op != op) {
        i++;
    }
    if (i == G_N_ELEMENTS(operations)) {
        return false;
    }
    bool root = op == IR_INLINE_FSQRT && !p->g->j->traps;

    begin(p, true);
    p->t = 0;
    p->nan_is_right = host_nan(p) || root;
    if (op == IR_INLINE_FMULX || root) {
        check_exponents(p, op == IR_INLINE_FMULX);
    }
    half_operation(p, operations[i].ps, 0, false);
    if (p->wide) {
        half_operation(p, operations[i].ps, 1, true);
        asm_sse2(as, X86_PUNPCKLQDQ, 0, 0, 1);
    }
    if (operations[i].tiny) {
        check_half_least(p);
    }
    if (op == IR_INLINE_FABD || op == IR_INLINE_FNMUL) {
        uint64_t sign = p->one ? HALF_SIGN : 0x8000800080008000;

        if (op == IR_INLINE_FABD) {
            asm_sse2_m(as, X86_PAND, 0, 0, gen_constant_lanes(p->g, 1, HALF_SIGN - 1));
        } else {
            asm_sse2_m(as, X86_PXOR, 0, 0, gen_constant(p->g, p->wide ? sign : 0, sign));
        }
    }
    end(p);
    return true;
}

/* One comparison of four lanes or one as in single precision, where halves are what they were: masks in @d. */
static void half_comparison(Fp *p, IrInline op, X86Xmm d, bool upper)
{
    unsigned i = op - IR_INLINE_FCMEQ;
    Asm     *as = &p->g->as;

    from_halves(p, 1, p->n->a, upper);
    if (comparisons[i].zero) {
        clear(p, 2);
    } else {
        from_halves(p, 2, p->n->b, upper);
    }
    if (comparisons[i].absolute) {
        asm_sse2_m(as, X86_ANDPS, 1, 1, gen_constant_lanes(p->g, 2, INT32_MAX));
        asm_sse2_m(as, X86_ANDPS, 2, 2, gen_constant_lanes(p->g, 2, INT32_MAX));
    }
    asm_sse2_i(as, X86_CMPPS, d, comparisons[i].swap ? 2 : 1, comparisons[i].swap ? 1 : 2, comparisons[i].predicate);
}

static void emit_half_comparison(Fp *p, IrInline op)
{
    Asm *as = &p->g->as;

    begin(p, p->g->j->traps);
    p->t = 0;
    half_comparison(p, op, 0, false);
    if (p->wide) {
        half_comparison(p, op, 1, true);
    } else {
        clear(p, 1);
    }
    asm_sse2(as, X86_PACKSSDW, 0, 0, 1);
    if (p->one) {
        asm_sse2_m(as, X86_PAND, 0, 0, gen_constant(p->g, 0, 0xffff));
    }
    end(p);
}

/* FABS, FNEG, FMOV of one half. */
static void emit_half_sign(Fp *p, IrInline op)
{
    Asm *as = &p->g->as;

    begin(p, false);
    asm_sse2_m(as, X86_PAND, 0, gen_xmm(p->g, p->n->a, 0),
               gen_constant(p->g, 0, op == IR_INLINE_FABS ? HALF_SIGN - 1 : 0xffff));
    if (op == IR_INLINE_FNEG) {
        asm_sse2_m(as, X86_PXOR, 0, 0, gen_constant(p->g, 0, HALF_SIGN));
    }
    p->t = 0;
    end(p);
}

/* One half to single or double precision. */
static void emit_from_half(Fp *p, unsigned to)
{
    begin(p, true);
    p->t = 0;
    p->nan_is_right = host_nan(p);
    from_halves(p, 0, p->n->a, false);
    p->size = 2;
    check_nan(p);
    if (to == 3) {
        asm_movx(&p->g->as, 1, 0);
        clear(p, 0);
        asm_sse2(&p->g->as, X86_CVTSS2SD, 0, 0, 1);
    }
    end(p);
}

/* From single precision: one lane, or four, below or above those of another register. */
static void emit_to_half(Fp *p, bool lanes, bool upper)
{
    Asm *as = &p->g->as;

    begin(p, true);
    p->t = 0;
    p->nan_is_right = host_nan(p);
    p->bytes = lanes ? 16 : 4;
    to_halves(p, 0, zeroed(p, p->n->a, 1));
    check_half_least(p);
    if (upper) {
        asm_sse2(as, X86_MOVLHPS, 1, gen_xmm(p->g, p->n->b, 1), 0);
        asm_movx(as, 0, 1);
    }
    end(p);
}

/* FCVTL: four halves. */
static void emit_lengthen_halves(Fp *p, bool upper)
{
    begin(p, true);
    p->t = 0;
    p->nan_is_right = host_nan(p);
    from_halves(p, 0, p->n->a, upper);
    p->size = 2;
    check_nan(p);
    end(p);
}

/* The flags of a comparison: as in single precision. */
static void emit_half_flags(Fp *p)
{
    Gen          *g = p->g;
    const IrNode *n = p->n;
    AsmLabel      done = ASM_LABEL;
    X86Reg        d = gen_dest_gpr(g);

    if (n->c != 0) {
        X86Reg holds = gen_gpr(g, n->c, RCX, false);

        asm_mov_ri(&g->as, d, n->imm >> IR_FP_ELSE_SHIFT & 15);
        asm_test_rr(&g->as, false, holds, holds);
        asm_jcc(&g->as, CC_E, &done);
    }
    const uint8_t *from = g->as.p;
    from_halves(p, 0, n->a, false);
    if (n->b == 0) {
        clear(p, 2);
    } else {
        from_halves(p, 2, n->b, false);
    }
    asm_sse1(&g->as, n->imm & IR_FP_SIGNAL_NAN ? X86_COMISS : X86_UCOMISS, 0, 2);
    gen_trap(g, from, TRAP_UNORDERED, NULL);
    pack(g, d);
    asm_bind(&g->as, &done);
    gen_done_gpr(g, d, true);
}

/* RAX, 64 bits, rounded to 24 digits: what is lost sets the last one, so that rounding to fewer is not misled. RCX, RDX
 * and RDI are lost. */
static void round_to_odd(Asm *as, bool is_unsigned)
{
    AsmLabel exact = ASM_LABEL;

    asm_mov_rr(as, true, RCX, RAX);
    if (!is_unsigned) {
        asm_mov_rr(as, true, RDX, RAX);
        asm_shift_ri(as, SH_SAR, true, RDX, 63);
        asm_alu_rr(as, ALU_XOR, true, RCX, RDX);
    }
    asm_alu_ri(as, ALU_OR, true, RCX, 1 << 23);
    asm_bsr(as, true, RCX, RCX);
    asm_alu_ri(as, ALU_SUB, false, RCX, 23);
    asm_mov_ri(as, RDX, 1);
    asm_shift_cl(as, SH_SHL, true, RDX);
    asm_lea(as, true, RDI, X86_AT(RDX, -1));
    asm_alu_rr(as, ALU_AND, true, RDI, RAX);
    asm_jcc(as, CC_E, &exact);
    asm_alu_rr(as, ALU_OR, true, RAX, RDX);
    asm_neg(as, true, RDX);
    asm_alu_rr(as, ALU_AND, true, RAX, RDX);
    asm_bind(as, &exact);
}

/*
 * From a general register. An integer that single precision rounds, or overflows, is beyond half precision; with a
 * fraction it need not be.
 */
static void emit_half_from_x(Fp *p)
{
    const IrNode *n = p->n;
    bool          w = n->imm & IR_FP_X64, is_unsigned = n->imm & IR_FP_UNSIGNED;
    unsigned      fraction = n->imm >> IR_FP_FRACTION_SHIFT & 0x7f;
    Asm          *as = &p->g->as;

    begin(p, true);
    p->t = 0;
    p->nan_is_right = true; /* there is none */
    p->size = 2;
    X86Reg r = gen_gpr(p->g, n->a, RAX, false);
    if (!w && !is_unsigned) {
        asm_sext(as, 2, true, RAX, r);
    } else {
        asm_mov_rr(as, w, RAX, r);
    }
    if (fraction != 0) {
        round_to_odd(as, is_unsigned);
    }
    if (w && is_unsigned) {
        from_unsigned(p, 1, RAX);
    } else {
        clear(p, 1);
        asm_sse_gx(as, with(X86_CVTSI2SS, p, true), 1, RAX);
    }
    if (fraction != 0) {
        asm_sse2_m(as, form(p, X86_MULPS), 1, 1, constant(p, power(p, (int)fraction)));
    }
    to_halves(p, 0, 1);
    if (fraction != 0) {
        check_half_least(p);
    }
    end(p);
}

/* Four lanes of halfwords, or one, to halves in @d. */
static void half_from_words(Fp *p, X86Xmm d, bool upper)
{
    const IrNode *n = p->n;
    unsigned      fraction = n->imm >> IR_FP_FRACTION_SHIFT & 0x7f;
    X86Xmm        x = gen_xmm(p->g, n->a, 1);
    Asm          *as = &p->g->as;

    if (p->one) {
        asm_sse2_m(as, X86_PAND, 1, x, gen_constant(p->g, 0, 0xffff));
        x = 1;
    } else if (upper) {
        asm_sse1_i(as, X86_PSHUFD, 1, x, 0xee);
        x = 1;
    }
    asm_sse1(as, n->imm & IR_FP_UNSIGNED ? X86_PMOVZXWD : X86_PMOVSXWD, 1, x);
    asm_sse1(as, X86_CVTDQ2PS, 1, 1);
    if (fraction != 0) {
        asm_sse2_m(as, X86_MULPS, 1, 1, gen_constant_lanes(p->g, 2, (uint64_t)(127 - fraction) << 23));
    }
    to_halves(p, d, 1);
}

static void emit_half_from_lanes(Fp *p)
{
    begin(p, true);
    p->t = 0;
    p->nan_is_right = true; /* there is none */
    half_from_words(p, 0, false);
    if (p->wide) {
        half_from_words(p, 1, true);
        asm_sse2(&p->g->as, X86_PUNPCKLQDQ, 0, 0, 1);
    }
    check_half_least(p);
    end(p);
}

/* Two or four halves of an operand, the upper ones of its @p->bytes if asked, as single precision. */
static void from_halves_below(const Fp *p, X86Xmm d, IrRef r, bool upper)
{
    X86Xmm x = gen_xmm(p->g, r, d);
    Asm   *as = &p->g->as;

    if (upper) {
        asm_sse1_i(as, X86_PSHUFD, d, x, p->wide ? 0xee : 0x55);
        x = d;
    }
    if (!p->wide) {
        asm_sse2_i(as, X86_INSERTPS, d, x, x, 0x0e);
        x = d;
    }
    asm_sse1(as, X86_VCVTPH2PS, d, x);
}

/* Products of halves are exact in single precision, and added there. */
static void emit_half_fused(Fp *p)
{
    bool upper = p->n->imm & IR_FP_UPPER, subtract = p->n->imm & IR_FP_SUBTRACT;

    begin(p, true);
    p->size = 2;
    asm_movx(&p->g->as, p->t, zeroed(p, p->n->c, p->t));
    from_halves_below(p, 1, p->n->a, upper);
    from_halves_below(p, 2, p->n->b, upper);
    asm_fma(&p->g->as, fused(p, subtract ? IR_INLINE_FMLS : IR_INLINE_FMLA, false), p->t, 1, 2);
    check_range(p);
    end(p);
}

static bool is_half_conversion(const IrNode *n)
{
    unsigned from = n->imm & 3, to = n->imm >> 8 & 3;

    return n->helper->inline_op == IR_INLINE_FCVT && (from == 1 || (from == 2 && to == 1));
}

/* Whether the node computes with halves and the host does so. */
static bool is_half(const Gen *g, const IrNode *n)
{
    return g->as.host.f16c && (n->imm & IR_INLINE_NOT) == 0 && ((n->imm & 3) == 1 || is_half_conversion(n));
}

static bool emit_half(Fp *p, IrInline op)
{
    bool upper = p->n->imm & 4;

    switch (op) {
    case IR_INLINE_FMOV:
    case IR_INLINE_FABS:
    case IR_INLINE_FNEG:
        emit_half_sign(p, op);
        return true;
    case IR_INLINE_FCVT:
        if (p->size == 1) {
            emit_from_half(p, p->n->imm >> 8 & 3);
        } else {
            emit_to_half(p, false, false);
        }
        return true;
    case IR_INLINE_FCVTL:
        emit_lengthen_halves(p, upper);
        return true;
    case IR_INLINE_FCVTN:
        emit_to_half(p, true, upper);
        return true;
    case IR_INLINE_FMLAL:
        if (p->g->as.host.fma) {
            emit_half_fused(p);
        }
        return p->g->as.host.fma;
    case IR_INLINE_I_TO_F:
        emit_half_from_lanes(p);
        return true;
    case IR_INLINE_F_TO_I:
        return p->one && emit_to_lane(p);
    case IR_INLINE_F_TO_X:
        return emit_to_x(p);
    case IR_INLINE_X_TO_F:
        emit_half_from_x(p);
        return true;
    case IR_INLINE_FCMP:
        emit_half_flags(p);
        return true;
    default:
        if (op >= IR_INLINE_FCMEQ && op <= IR_INLINE_FCMLT0) {
            emit_half_comparison(p, op);
            return true;
        }
        return emit_half_arithmetic(p, op);
    }
}

/* ---- all of them ---- */

bool fp_may_raise(const IrNode *n)
{
    return n->op == IR_call && (n->helper->effects & IR_STATUS) != 0 && n->helper->inline_op >= IR_INLINE_FADD &&
           n->helper->inline_op <= IR_INLINE_FCMP && (n->imm & IR_INLINE_NOT) == 0;
}

bool fp_is_inline(const IrNode *n) { return fp_may_raise(n) && (n->imm & 3) >= 2; }

IrRef fp_zeroed(const IrNode *n, unsigned *bytes)
{
    *bytes = 1u << (n->imm & 3);
    if (!fp_is_inline(n) || (n->imm & 8) == 0) {
        return 0;
    }
    switch (n->helper->inline_op) {
    case IR_INLINE_FADD:
    case IR_INLINE_FSUB:
    case IR_INLINE_FABD:
    case IR_INLINE_FMUL:
    case IR_INLINE_FNMUL:
    case IR_INLINE_FMULX:
    case IR_INLINE_FDIV:
    case IR_INLINE_FNEG:
    case IR_INLINE_FMOV:
        return n->a;
    case IR_INLINE_FMLA:
    case IR_INLINE_FMLS:
    case IR_INLINE_FNMLA:
    case IR_INLINE_FNMLS:
        return n->c;
    default:
        return 0;
    }
}

void fp_enter(Gen *g)
{
    AsmLabel ready = ASM_LABEL;

    asm_test_mi(&g->as, false, gen_mem(offsetof(Cpu, fp_used)), 1);
    asm_jcc(&g->as, CC_NE, &ready);
    asm_ldmxcsr(&g->as, gen_constant(g, 0, jit_mxcsr(g->j)));
    asm_store_i(&g->as, 0, gen_mem(offsetof(Cpu, fp_used)), 1);
    asm_bind(&g->as, &ready);
}

bool emit_fp_helper(Gen *g, const IrNode *n)
{
    IrInline op = n->helper->inline_op;
    Fp       p = { .g = g, .n = n, .size = n->imm & 3, .one = n->imm & 8, .wide = (n->imm & 12) == 4 };

    if (op < IR_INLINE_FADD || op > IR_INLINE_FCMP || (n->imm & IR_INLINE_NOT) != 0) {
        return false;
    }
    p.bytes = p.one ? 1u << p.size : p.wide ? 16 : 8;
    if (op == IR_INLINE_FRECPE || op == IR_INLINE_FRSQRTE) {
        emit_estimate(g, n);
        return true;
    }
    if (op == IR_INLINE_FMAXV || op == IR_INLINE_FMINV) {
        emit_extreme_across(&p, op == IR_INLINE_FMAXV);
        return true;
    }
    if (p.size == 1 && (op == IR_INLINE_FMAX || op == IR_INLINE_FMIN)) {
        emit_half_extreme(&p, op == IR_INLINE_FMAX);
        return true;
    }
    if (op == IR_INLINE_FRECPX) {
        emit_inverse_exponent(&p);
        return true;
    }
    if (is_half(g, n)) {
        return emit_half(&p, op);
    }
    if (p.size < 2) {
        return false;
    }
    switch (op) {
    case IR_INLINE_FADD:
    case IR_INLINE_FSUB:
    case IR_INLINE_FABD:
        emit_sum(&p, op);
        return true;
    case IR_INLINE_FMUL:
    case IR_INLINE_FNMUL:
        emit_product(&p, op);
        return true;
    case IR_INLINE_FMULX:
        emit_product_extended(&p);
        return true;
    case IR_INLINE_FRECPS:
    case IR_INLINE_FRSQRTS:
        if (g->as.host.fma) {
            emit_step(&p, op);
        }
        return g->as.host.fma;
    case IR_INLINE_FDIV:
        emit_quotient(&p);
        return true;
    case IR_INLINE_FSQRT:
        emit_root(&p);
        return true;
    case IR_INLINE_FMLA:
    case IR_INLINE_FMLS:
    case IR_INLINE_FNMLA:
    case IR_INLINE_FNMLS:
        if (g->as.host.fma) {
            emit_fused(&p, op);
        }
        return g->as.host.fma;
    case IR_INLINE_FMAX:
    case IR_INLINE_FMIN:
        emit_extreme(&p, op == IR_INLINE_FMAX);
        return true;
    case IR_INLINE_FMOV:
    case IR_INLINE_FABS:
    case IR_INLINE_FNEG:
        emit_sign(&p, op);
        return true;
    case IR_INLINE_FROUND:
        return emit_round(&p);
    case IR_INLINE_FCVT:
        return emit_convert(&p);
    case IR_INLINE_FCVTL:
        return emit_lengthen(&p);
    case IR_INLINE_FCVTN:
        return emit_narrow(&p);
    case IR_INLINE_F_TO_I:
        return emit_to_lanes(&p);
    case IR_INLINE_I_TO_F:
        return emit_from_lanes(&p);
    case IR_INLINE_F_TO_X:
        return emit_to_x(&p);
    case IR_INLINE_X_TO_F:
        return emit_from_x(&p);
    case IR_INLINE_FCMP:
        emit_flags_of(&p);
        return true;
    default:
        emit_comparison(&p, op);
        return true;
    }
}
