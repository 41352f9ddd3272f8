/*
 * Estimates of reciprocals and of roots' reciprocals, of eight bits behind the highest one: of floating point and of
 * unsigned words. Lane by lane through general registers, by tables. What is no normal number, or whose estimate is
 * none, goes to C. In the order of IrInline (ir.h), where the values are defined.
 */
#include "cpu/jit/simd.h"

/* What follows the highest bit of the estimate: by nine bits of the operand, and of roots by the exponent's lowest bit
 * and the eight bits behind the highest one. */
typedef struct Tables {
    bool    made;
    uint8_t reciprocal[512], root[512], root_by_exponent[512];
} Tables;

/* a has nine bits: 1 / a, times 2^17, rounded at half a unit of a. */
static uint8_t reciprocal_of(unsigned a) { return (uint8_t)(((1u << 19) / (a * 2 + 1) + 1) / 2); }

/* The same of the root; from 256 on the lowest bit does not count. */
static uint8_t root_of(unsigned a)
{
    unsigned b = 512;

    a = a < 256 ? a * 2 + 1 : ((a & ~1u) + 1) * 2;
    while (a * (b + 1) * (b + 1) < 1u << 28) {
        b++;
    }
    return (uint8_t)((b + 1) / 2);
}

static const Tables *tables(void)
{
    static Tables t;

    for (unsigned i = 128; !t.made && i < 512; i++) {
        t.reciprocal[i] = i >= 256 ? reciprocal_of(i) : 0;
        t.root[i] = root_of(i);
    }
    for (unsigned i = 0; !t.made && i < 256; i++) {
        t.root_by_exponent[i] = t.root[256 + i];
        t.root_by_exponent[256 + i] = t.root[128 + i / 2];
    }
    t.made = true;
    return &t;
}

/* RDI = the table's entry RDI. RDX is lost. */
static void look_up(Asm *as, const uint8_t *table)
{
    asm_mov_ri(as, RDX, (uintptr_t)table);
    asm_load(as, 0, false, true, RDI, X86_INDEX(RDX, RDI, 0, 0));
}

/* ---- floating point ---- */

/* A format: bits of the fraction, the largest exponent. */
typedef struct Format {
    unsigned fraction, largest;
    bool     w; /* 64 bits */
} Format;

static Format format_of(unsigned size)
{
    static const Format formats[] = { [1] = { 10, 0x1f, false }, [2] = { 23, 0xff, false }, [3] = { 52, 0x7ff, true } };

    return formats[size];
}

/* RCX = the result's exponent in RCX and the fraction in RDI. */
static void put_together(Asm *as, Format f)
{
    asm_shift_ri(as, SH_SHL, false, RCX, 8);
    asm_alu_rr(as, ALU_OR, false, RCX, RDI);
    asm_shift_ri(as, SH_SHL, f.w, RCX, f.fraction - 8);
}

/* RAX: a lane, and its estimate. */
static void estimate_reciprocal(Asm *as, Format f, Cold *cold)
{
    unsigned sum = f.largest - 2, sign_at = f.w ? 63 : f.fraction == 23 ? 31 : 15; /* the sum of both exponents */

    asm_mov_rr(as, f.w, RCX, RAX);
    asm_shift_ri(as, SH_SHR, f.w, RCX, f.fraction);
    asm_alu_ri(as, ALU_AND, false, RCX, (int32_t)f.largest);
    asm_lea(as, false, RDX, X86_AT(RCX, -1));
    asm_alu_ri(as, ALU_CMP, false, RDX, (int32_t)sum - 2);
    asm_jcc(as, CC_A, &cold->from);
    asm_mov_rr(as, f.w, RDI, RAX);
    asm_shift_ri(as, SH_SHR, f.w, RDI, f.fraction - 8);
    asm_zext(as, 0, RDI, RDI);
    look_up(as, tables()->reciprocal + 256);
    asm_neg(as, false, RCX);
    asm_alu_ri(as, ALU_ADD, false, RCX, (int32_t)sum);
    put_together(as, f);
    asm_shift_ri(as, SH_SHR, f.w, RAX, sign_at);
    asm_shift_ri(as, SH_SHL, f.w, RAX, sign_at);
    asm_alu_rr(as, ALU_OR, f.w, RAX, RCX);
}

/* A negative number's is the default NaN, and an invalid operation: RAX. Others go to C. */
static void estimate_of_negative(Gen *g, Format f, Cold *cold)
{
    Asm     *as = &g->as;
    uint64_t sign = 1ull << (f.w ? 63 : f.fraction == 23 ? 31 : 15), infinity = (uint64_t)f.largest << f.fraction;

    asm_mov_ri(as, RDX, sign + 1);
    asm_alu_rr(as, ALU_SUB, f.w, RAX, RDX);
    asm_mov_ri(as, RDX, infinity - 1);
    asm_alu_rr(as, ALU_CMP, f.w, RAX, RDX);
    asm_jcc(as, CC_A, &cold->from);
    fp_note_invalid(g);
    asm_mov_ri(as, RAX, infinity | 1ull << (f.fraction - 1));
}

static void estimate_root(Gen *g, Format f, Cold *cold)
{
    Asm     *as = &g->as;
    unsigned sum = f.largest / 2 * 3 - 1; /* of the operand's exponent and twice the result's, rounded down */
    AsmLabel special = ASM_LABEL, done = ASM_LABEL;

    asm_mov_rr(as, f.w, RCX, RAX);
    asm_shift_ri(as, SH_SHR, f.w, RCX, f.fraction);
    asm_lea(as, false, RDX, X86_AT(RCX, -1));
    asm_alu_ri(as, ALU_CMP, false, RDX, (int32_t)f.largest - 2);
    asm_jcc(as, CC_A, &special);
    asm_shift_ri(as, SH_SHR, f.w, RAX, f.fraction - 8);
    asm_mov_rr(as, false, RDI, RAX);
    asm_alu_ri(as, ALU_AND, false, RDI, 0x1ff);
    look_up(as, tables()->root_by_exponent);
    asm_neg(as, false, RCX);
    asm_alu_ri(as, ALU_ADD, false, RCX, (int32_t)sum);
    asm_shift_ri(as, SH_SHR, false, RCX, 1);
    put_together(as, f);
    asm_mov_rr(as, f.w, RAX, RCX);
    asm_jmp(as, &done);
    asm_bind(as, &special);
    if (gen_guest(g)->invalid_bits != 0) {
        estimate_of_negative(g, f, cold);
    } else {
        asm_jmp(as, &cold->from);
    }
    asm_bind(as, &done);
}

/* ---- unsigned words ---- */

/* EAX: fractions, from a half or a quarter on; estimates from one on. What is below has all ones. */
static void estimate_word(Asm *as, bool root)
{
    asm_mov_rr(as, false, RDI, RAX);
    asm_shift_ri(as, SH_SHR, false, RDI, 23);
    look_up(as, root ? tables()->root : tables()->reciprocal);
    asm_shift_ri(as, SH_SHL, false, RDI, 23);
    asm_alu_ri(as, ALU_OR, false, RDI, INT32_MIN);
    asm_test_ri(as, false, RAX, root ? -(1 << 30) : INT32_MIN);
    asm_mov_ri(as, RAX, UINT32_MAX);
    asm_cmov(as, CC_NE, false, RAX, RDI);
}

/* ---- the whole ---- */

static void get_lane(Asm *as, unsigned size, X86Xmm x, unsigned lane)
{
    if (lane == 0 && size >= 2) {
        asm_movq_rx(as, size == 3, RAX, x);
    } else {
        asm_sse_gx_i(as, vec_pick(size, X86_PEXTRW, X86_PEXTRW, X86_PEXTRD, X86_PEXTRQ), x, RAX, (uint8_t)lane);
    }
}

static void put_lane(Asm *as, unsigned size, unsigned lane)
{
    if (lane == 0) {
        asm_movq_xr(as, size == 3, T0, RAX);
    } else {
        asm_sse_gx_i(as, vec_pick(size, X86_PINSRW, X86_PINSRW, X86_PINSRD, X86_PINSRQ), T0, RAX, (uint8_t)lane);
    }
}

void emit_estimate(Gen *g, const IrNode *n)
{
    Shape    s = shape_of(n);
    IrInline op = n->helper->inline_op;
    bool     root = op == IR_INLINE_FRSQRTE || op == IR_INLINE_RSQRTE_U;
    X86Xmm   d = gen_dest_xmm(g), x = vec_in(g, n->a, T1);
    Cold    *cold = NULL;
    uint32_t id;

    if (op == IR_INLINE_FRECPE || op == IR_INLINE_FRSQRTE) {
        JitSite *site = gen_site(g, SITE_CALL, &id);

        site->helper = n->helper;
        site->a = gen_place(g, n->a);
        site->d = gen_place_xmm(d, n->type);
        cold = gen_cold(g, id);
    }
    for (unsigned lane = 0; lane < covered(s) >> s.size; lane++) {
        get_lane(&g->as, s.size, x, lane);
        if (cold == NULL) {
            estimate_word(&g->as, root);
        } else if (root) {
            estimate_root(g, format_of(s.size), cold);
        } else {
            estimate_reciprocal(&g->as, format_of(s.size), cold);
        }
        put_lane(&g->as, s.size, lane);
    }
    asm_movx(&g->as, d, T0);
    if (cold != NULL) {
        asm_bind(&g->as, &cold->back);
    }
    gen_done_xmm(g, d);
}
