/*
 * Integer operations, conditions and flags. Values of 32 bits leave with zeroes above them; narrower ones may have
 * anything there.
 */
#include "cpu/jit/jit_int.h"

static bool is_64(const Gen *g, IrType ty) { return ty == IR_I64; }

static unsigned type_size(IrType ty)
{
    return ty == IR_I8 ? 0 : ty == IR_I16 ? 1 : ty == IR_I64 ? 3 : 2;
}

static bool is_narrow(IrType ty) { return ty == IR_I8 || ty == IR_I16; }

/* Anything not made inline: C evaluates it from its meaning. */
static void emit_by_eval(Gen *g, const IrNode *n)
{
    uint32_t id;
    X86Reg   d = gen_dest_gpr(g);
    JitSite *s = gen_site(g, SITE_EVAL, &id);

    s->a = gen_place(g, n->a);
    s->b = gen_place(g, n->b);
    s->c = gen_place(g, n->c);
    s->shift = ir_op_class(n->op) == IR_CLASS_CMP ? n->kind : gen_node(g, n->a)->type; /* type of the operands */
    s->d = gen_place_gpr(d, n->type);
    gen_call(g, id);
    gen_done_gpr(g, d, true);
}

/* ---- arithmetic ---- */

/* The host's flags tell of the current node's value: nothing that changes them came after it. */
static void note_host_flags(Gen *g)
{
    g->host_flags.of = (IrRef)g->at;
    g->host_flags.at = g->as.p;
}

static void emit_alu_op(Gen *g, const IrNode *n, X86Alu op, bool commutes)
{
    bool   w = is_64(g, n->type);
    X86Reg d = gen_dest_gpr(g);
    IrRef  a = n->a, b = n->b;

    if (gen_uses_gpr(g, b, d) && !gen_uses_gpr(g, a, d) && commutes) {
        a = n->b;
        b = n->a;
    }
    if (gen_uses_gpr(g, b, d) && !gen_uses_gpr(g, a, d)) {
        gen_gpr_into(g, a, RAX, false);
        gen_alu(g, op, w, RAX, b);
        asm_mov_rr(&g->as, w, d, RAX);
    } else {
        gen_gpr_into(g, a, d, false);
        gen_alu(g, op, w, d, b);
    }
    gen_done_gpr(g, d, !is_narrow(n->type));
    note_host_flags(g);
}

static void emit_and(Gen *g, const IrNode *n)
{
    uint64_t k = gen_is_const(g, n->b) ? gen_const(g, n->b) : 0;

    if (is_narrow(n->type) || (k != 0xff && k != 0xffff && k != UINT32_MAX)) {
        emit_alu_op(g, n, ALU_AND, true);
        return;
    }
    X86Reg d = gen_dest_gpr(g);
    asm_zext(&g->as, k == 0xff ? 0 : k == 0xffff ? 1 : 2, d, gen_gpr(g, n->a, RAX, false));
    gen_done_gpr(g, d, true);
}

/* Whether it is a register plus or minus a small constant. */
static bool is_step(Gen *g, const IrNode *n)
{
    uint64_t k = gen_is_const(g, n->b) ? gen_const(g, n->b) : 0;

    return !is_narrow(n->type) && !g->leaves_carry[g->at] && gen_is_const(g, n->b) && !gen_is_const(g, n->a) &&
           gen_val(g, n->a)->kind == AT_GPR && (!is_64(g, n->type) || fits_i32(k)) && (int32_t)k != INT32_MIN;
}

/* To another register by lea. */
static void emit_step(Gen *g, const IrNode *n)
{
    bool    w = is_64(g, n->type), add = n->op == IR_add;
    int32_t k = (int32_t)gen_const(g, n->b);
    X86Reg  a = (X86Reg)gen_val(g, n->a)->reg, d = gen_dest_gpr(g);

    if (d == a) {
        asm_alu_ri(&g->as, add ? ALU_ADD : ALU_SUB, w, d, k);
    } else {
        asm_lea(&g->as, w, d, X86_AT(a, add ? k : -k));
    }
    gen_done_gpr(g, d, true);
    if (d == a) {
        note_host_flags(g);
    }
}

/* Sums of registers go to a third register by lea. */
static void emit_add(Gen *g, const IrNode *n)
{
    const Value *a = gen_val(g, n->a), *b = gen_val(g, n->b);
    bool         w = is_64(g, n->type);
    bool         a_reg = !gen_is_const(g, n->a) && a->kind == AT_GPR;
    bool         b_reg = !gen_is_const(g, n->b) && b->kind == AT_GPR;

    if (is_narrow(n->type) || !a_reg || !b_reg || g->leaves_carry[g->at]) {
        emit_alu_op(g, n, ALU_ADD, true);
        return;
    }
    X86Reg d = gen_dest_gpr(g);
    if (d == (X86Reg)a->reg || d == (X86Reg)b->reg) {
        asm_alu_rr(&g->as, ALU_ADD, w, d, (X86Reg)(d == (X86Reg)a->reg ? b->reg : a->reg));
    } else {
        asm_lea(&g->as, w, d, X86_INDEX((X86Reg)a->reg, (X86Reg)b->reg, 0, 0));
    }
    gen_done_gpr(g, d, true);
}

/* a op ~b */
static void emit_inverted(Gen *g, const IrNode *n, X86Alu op)
{
    bool   w = is_64(g, n->type);
    X86Reg d = gen_dest_gpr(g);

    if (op == ALU_AND && g->as.host.bmi1) {
        X86Reg a = gen_gpr(g, n->a, RAX, false);

        asm_andn(&g->as, w, d, gen_gpr(g, n->b, RCX, false), a);
        gen_done_gpr(g, d, !is_narrow(n->type));
        note_host_flags(g);
        return;
    }
    if (gen_is_const(g, n->b)) {
        asm_mov_ri(&g->as, RAX, ~gen_const(g, n->b));
    } else {
        gen_gpr_into(g, n->b, RAX, false);
        asm_not(&g->as, w, RAX);
    }
    gen_alu(g, op, w, RAX, n->a);
    asm_mov_rr(&g->as, w, d, RAX);
    gen_done_gpr(g, d, !is_narrow(n->type));
}

static void emit_mul(Gen *g, const IrNode *n)
{
    bool   w = is_64(g, n->type);
    X86Reg d = gen_dest_gpr(g);

    if (gen_is_const(g, n->b) && fits_i32(gen_const(g, n->b))) {
        asm_imul_rri(&g->as, w, d, gen_gpr(g, n->a, RAX, false), (int32_t)gen_const(g, n->b));
    } else {
        bool  swap = gen_uses_gpr(g, n->b, d);
        IrRef a = swap ? n->b : n->a, b = swap ? n->a : n->b;

        gen_gpr_into(g, a, d, false);
        asm_imul_rr(&g->as, w, d, gen_gpr(g, b, RDX, false));
    }
    gen_done_gpr(g, d, true);
}

/* The 128 bits of a product, in registers that may be equal: then, that is the high half. */
static void emit_product(Gen *g, const IrNode *n, X86Reg high, X86Reg low)
{
    bool   mulx = g->as.host.bmi2;
    X86Reg b;

    gen_gpr_into(g, n->a, mulx ? RDX : RAX, false);
    b = gen_gpr(g, n->b, RCX, false);
    if (mulx) {
        asm_mulx(&g->as, true, high, low, b);
        return;
    }
    asm_mul(&g->as, true, false, b);
    if (low != high) {
        asm_mov_rr(&g->as, true, low, RAX);
    }
    asm_mov_rr(&g->as, true, high, RDX);
}

/* With its other half, which a node further on is. */
static void emit_halves(Gen *g, const IrNode *n)
{
    IrRef  twin = g->twin[g->at];
    X86Reg d = gen_dest_gpr(g), other = gen_dest_gpr_of(g, twin);

    g->failed |= d == other; /* no registers at all: does not happen */
    if (n->op == IR_mul) {
        emit_product(g, n, other, d);
    } else {
        emit_product(g, n, d, other);
    }
    gen_done_gpr(g, d, true);
    gen_done_gpr_of(g, twin, other, true);
}

static void emit_mul_high(Gen *g, const IrNode *n)
{
    X86Reg d = gen_dest_gpr(g);

    if (n->op == IR_mulhu) {
        emit_product(g, n, d, d);
    } else {
        gen_gpr_into(g, n->a, RAX, false);
        asm_mul(&g->as, true, true, gen_gpr(g, n->b, RCX, false));
        asm_mov_rr(&g->as, true, d, RDX);
    }
    gen_done_gpr(g, d, true);
}

/* Division by zero gives 0; by -1 the negated dividend, where the host would trap: both are the product. */
static void emit_div(Gen *g, const IrNode *n)
{
    bool     w = is_64(g, n->type), sign = n->op == IR_sdiv;
    X86Reg   d = gen_dest_gpr(g);
    AsmLabel special = ASM_LABEL, done = ASM_LABEL;

    gen_gpr_into(g, n->b, RCX, false);
    gen_gpr_into(g, n->a, RAX, false);
    if (sign) {
        asm_lea(&g->as, w, RDX, X86_AT(RCX, 1));
        asm_alu_ri(&g->as, ALU_CMP, w, RDX, 1);
        asm_jcc(&g->as, CC_BE, &special);
        asm_cqo(&g->as, w);
    } else {
        asm_test_rr(&g->as, w, RCX, RCX);
        asm_jcc(&g->as, CC_E, &special);
        asm_mov_ri(&g->as, RDX, 0);
    }
    asm_div(&g->as, w, sign, RCX);
    asm_jmp(&g->as, &done);
    asm_bind(&g->as, &special);
    asm_imul_rr(&g->as, w, RAX, RCX);
    asm_bind(&g->as, &done);
    asm_mov_rr(&g->as, w, d, RAX);
    gen_done_gpr(g, d, true);
}

/* ---- shifts ---- */

/* Whether a count is surely below the width. */
static bool count_in_range(const Gen *g, IrRef r, unsigned width)
{
    const IrNode *n = gen_node(g, r);

    return n->op == IR_and && gen_is_const(g, n->b) && gen_const(g, n->b) < width;
}

static void emit_shift_const(Gen *g, const IrNode *n, X86Shift op, unsigned width)
{
    bool     w = width == 64;
    uint64_t count = gen_const(g, n->b);
    X86Reg   d = gen_dest_gpr(g);

    if (op == SH_ROR) {
        count %= width;
    }
    if (count >= width && op != SH_SAR) {
        asm_mov_ri(&g->as, d, 0);
    } else if (op == SH_ROR && g->as.host.bmi2) {
        asm_rorx(&g->as, w, d, gen_gpr(g, n->a, RAX, false), (unsigned)count);
    } else {
        gen_gpr_into(g, n->a, d, false);
        if (!w && count == 0) {
            asm_mov_rr(&g->as, false, d, d);
        }
        asm_shift_ri(&g->as, op, w, d, (unsigned)MIN(count, width - 1));
    }
    gen_done_gpr(g, d, true);
}

static void emit_shift(Gen *g, const IrNode *n, X86Shift op)
{
    unsigned width = ir_type_bits(n->type);
    bool     w = width == 64;

    if (is_narrow(n->type)) {
        emit_by_eval(g, n);
        return;
    }
    if (gen_is_const(g, n->b)) {
        emit_shift_const(g, n, op, width);
        return;
    }
    X86Reg d = gen_dest_gpr(g);
    bool   exact = op == SH_ROR || count_in_range(g, n->b, width);
    IrRef  count = g->mode[n->b] == MODE_FUSED ? gen_node(g, n->b)->a : n->b;
    if (exact && op != SH_ROR && g->as.host.bmi2) {
        X86Reg c = gen_gpr(g, count, RCX, false);

        asm_shiftx(&g->as, op, w, d, gen_gpr(g, n->a, RAX, false), c);
        gen_done_gpr(g, d, true);
        return;
    }
    gen_gpr_into(g, count, RCX, true);
    gen_gpr_into(g, n->a, RAX, false);
    if (!exact && op == SH_SAR) { /* as far as the sign goes */
        asm_mov_ri(&g->as, RDX, width - 1);
        asm_alu_rr(&g->as, ALU_CMP, w, RCX, RDX);
        asm_cmov(&g->as, CC_A, w, RCX, RDX);
    }
    asm_shift_cl(&g->as, op, w, RAX);
    if (!exact && op != SH_SAR) {
        asm_mov_ri(&g->as, RDX, 0);
        asm_alu_ri(&g->as, ALU_CMP, w, RCX, (int32_t)width);
        asm_cmov(&g->as, CC_AE, w, RAX, RDX);
    }
    asm_mov_rr(&g->as, w, d, RAX);
    gen_done_gpr(g, d, true);
}

/* ---- bits ---- */

/* Two shifts: the host's own of two registers takes longer (4 cycles on Zen). */
static void emit_extr(Gen *g, const IrNode *n)
{
    bool     w = is_64(g, n->type);
    unsigned lsb = (unsigned)n->imm;
    X86Reg   d = gen_dest_gpr(g);

    gen_gpr_into(g, n->b, RAX, false);
    if (lsb == 0) {
        asm_mov_rr(&g->as, w, d, RAX);
    } else {
        asm_shift_ri(&g->as, SH_SHR, w, RAX, lsb);
        gen_gpr_into(g, n->a, d, false);
        asm_shift_ri(&g->as, SH_SHL, w, d, (w ? 64 : 32) - lsb);
        asm_alu_rr(&g->as, ALU_OR, w, d, RAX);
    }
    gen_done_gpr(g, d, true);
}

static void emit_field(Gen *g, const IrNode *n)
{
    unsigned lsb = n->imm & 63, len = (unsigned)(n->imm >> 8), width = ir_type_bits(n->type);
    bool     w = width == 64, sign = n->op == IR_sbfx;
    X86Reg   d = gen_dest_gpr(g);

    if (lsb == 0 && (len == 8 || len == 16 || (len == 32 && w))) {
        X86Reg   s = gen_gpr(g, n->a, RAX, false);
        unsigned size = len == 8 ? 0 : len == 16 ? 1 : 2;

        if (sign) {
            asm_sext(&g->as, size, w, d, s);
        } else {
            asm_zext(&g->as, size, d, s);
        }
    } else if (!sign && lsb == 0 && len < 31) {
        gen_gpr_into(g, n->a, d, false);
        asm_alu_ri(&g->as, ALU_AND, w, d, (int32_t)mask64(len));
    } else {
        gen_gpr_into(g, n->a, d, false);
        if (width != lsb + len) {
            asm_shift_ri(&g->as, SH_SHL, w, d, width - lsb - len);
        }
        if (width != len) {
            asm_shift_ri(&g->as, sign ? SH_SAR : SH_SHR, w, d, width - len);
        } else if (!w) {
            asm_mov_rr(&g->as, false, d, d);
        }
    }
    gen_done_gpr(g, d, true);
}

/* a with len bits of b at lsb. */
static void emit_insert(Gen *g, const IrNode *n)
{
    unsigned lsb = n->imm & 63, len = (unsigned)(n->imm >> 8);
    bool     w = is_64(g, n->type);
    uint64_t m = mask64(len) << lsb;
    X86Reg   d = gen_dest_gpr(g);

    gen_gpr_into(g, n->b, RAX, false);
    if (lsb != 0) {
        asm_shift_ri(&g->as, SH_SHL, w, RAX, lsb);
    }
    gen_gpr_into(g, n->a, RCX, false);
    asm_mov_ri(&g->as, RDX, w ? m : (uint32_t)m);
    asm_alu_rr(&g->as, ALU_AND, w, RAX, RDX);
    asm_not(&g->as, w, RDX);
    asm_alu_rr(&g->as, ALU_AND, w, RCX, RDX);
    asm_alu_rr(&g->as, ALU_OR, w, RAX, RCX);
    asm_mov_rr(&g->as, w, d, RAX);
    gen_done_gpr(g, d, true);
}

static void emit_clz(Gen *g, const IrNode *n)
{
    bool   w = is_64(g, n->type);
    X86Reg d = gen_dest_gpr(g), s = gen_gpr(g, n->a, RAX, false);

    if (g->as.host.lzcnt) {
        asm_lzcnt(&g->as, w, d, s);
    } else { /* bsr of zero leaves the destination alone */
        asm_mov_ri(&g->as, RDX, w ? 127 : 63);
        asm_bsr(&g->as, w, RCX, s);
        asm_cmov(&g->as, CC_E, w, RCX, RDX);
        asm_alu_ri(&g->as, ALU_XOR, w, RCX, w ? 63 : 31);
        asm_mov_rr(&g->as, w, d, RCX);
    }
    gen_done_gpr(g, d, true);
}

static void emit_ctz(Gen *g, const IrNode *n)
{
    bool   w = is_64(g, n->type);
    X86Reg d = gen_dest_gpr(g), s = gen_gpr(g, n->a, RAX, false);

    if (g->as.host.bmi1) {
        asm_tzcnt(&g->as, w, d, s);
    } else { /* as for bsr */
        asm_mov_ri(&g->as, RDX, w ? 64 : 32);
        asm_bsf(&g->as, w, RCX, s);
        asm_cmov(&g->as, CC_E, w, RCX, RDX);
        asm_mov_rr(&g->as, w, d, RCX);
    }
    gen_done_gpr(g, d, true);
}

/* Bits equal to the sign below it: those above the highest that differs from the one above. */
static void emit_cls(Gen *g, const IrNode *n)
{
    bool   w = is_64(g, n->type);
    X86Reg d = gen_dest_gpr(g);

    gen_gpr_into(g, n->a, RAX, false);
    asm_mov_rr(&g->as, w, RCX, RAX);
    asm_shift_ri(&g->as, SH_SAR, w, RCX, 1);
    asm_alu_rr(&g->as, ALU_XOR, w, RAX, RCX);
    asm_alu_rr(&g->as, ALU_ADD, w, RAX, RAX); /* the sign's own bit is never set */
    asm_alu_ri(&g->as, ALU_OR, w, RAX, 1);
    asm_bsr(&g->as, w, RAX, RAX);
    asm_alu_ri(&g->as, ALU_XOR, w, RAX, w ? 63 : 31);
    asm_mov_rr(&g->as, w, d, RAX);
    gen_done_gpr(g, d, true);
}

/* rax with neighbours of @bits bits exchanged, @low being the mask of the lower of each two; rcx and rdx are lost. */
static void exchange_bits(Gen *g, bool w, unsigned bits, uint64_t low)
{
    asm_mov_rr(&g->as, w, RCX, RAX);
    asm_shift_ri(&g->as, SH_SHR, w, RAX, bits);
    asm_mov_ri(&g->as, RDX, w ? low : (uint32_t)low);
    asm_alu_rr(&g->as, ALU_AND, w, RAX, RDX);
    asm_alu_rr(&g->as, ALU_AND, w, RCX, RDX);
    asm_shift_ri(&g->as, SH_SHL, w, RCX, bits);
    asm_alu_rr(&g->as, ALU_OR, w, RAX, RCX);
}

static void emit_rbit(Gen *g, const IrNode *n)
{
    bool   w = is_64(g, n->type);
    X86Reg d = gen_dest_gpr(g);

    gen_gpr_into(g, n->a, RAX, false);
    asm_bswap(&g->as, w, RAX);
    exchange_bits(g, w, 4, 0x0f0f0f0f0f0f0f0f);
    exchange_bits(g, w, 2, 0x3333333333333333);
    exchange_bits(g, w, 1, 0x5555555555555555);
    asm_mov_rr(&g->as, w, d, RAX);
    gen_done_gpr(g, d, true);
}

static void emit_rev16(Gen *g, const IrNode *n)
{
    bool   w = is_64(g, n->type);
    X86Reg d = gen_dest_gpr(g);

    gen_gpr_into(g, n->a, RAX, false);
    exchange_bits(g, w, 8, 0x00ff00ff00ff00ff);
    asm_mov_rr(&g->as, w, d, RAX);
    gen_done_gpr(g, d, true);
}

static void emit_bytes(Gen *g, const IrNode *n)
{
    bool   w = is_64(g, n->type);
    X86Reg d = gen_dest_gpr(g);

    gen_gpr_into(g, n->a, d, false);
    asm_bswap(&g->as, w, d);
    if (n->op == IR_rev32 && w) {
        asm_shift_ri(&g->as, SH_ROR, true, d, 32);
    }
    gen_done_gpr(g, d, true);
}

/* ---- width ---- */

static void emit_extend(Gen *g, const IrNode *n)
{
    IrType from = gen_node(g, n->a)->type;
    X86Reg d = gen_dest_gpr(g);

    if (gen_is_const(g, n->a)) {
        uint64_t k = gen_const(g, n->a);

        k = n->op == IR_sext ? (uint64_t)sign_extend64(k, ir_type_bits(from)) : k;
        asm_mov_ri(&g->as, d, k & mask64(ir_type_bits(n->type)));
    } else if (n->op == IR_sext) {
        asm_sext(&g->as, type_size(from), n->type == IR_I64, d, gen_gpr(g, n->a, RAX, false));
    } else {
        gen_gpr_into(g, n->a, d, true);
    }
    gen_done_gpr(g, d, !is_narrow(n->type));
}

/* ---- comparisons and selection ---- */

static const struct {
    uint8_t op, cc;
} compare_codes[] = {
    { IR_cmpeq, CC_E },   { IR_cmpne, CC_NE },  { IR_cmpult, CC_B },  { IR_cmpule, CC_BE }, { IR_cmpslt, CC_L },
    { IR_cmpsle, CC_LE }, { IR_cmpuge, CC_AE }, { IR_cmpugt, CC_A },  { IR_cmpsge, CC_GE }, { IR_cmpsgt, CC_G },
};

static X86Cond compare_code(unsigned op)
{
    for (size_t i = 0; i < G_N_ELEMENTS(compare_codes); i++) {
        if (compare_codes[i].op == op) {
            return (X86Cond)compare_codes[i].cc;
        }
    }
    g_assert_not_reached();
}

/* Whether the host's flags tell whether the value is zero, and its sign. */
static bool has_host_flags(const Gen *g, IrRef r, unsigned type)
{
    return g->host_flags.at == g->as.p && g->host_flags.of == g->root[r] && gen_node(g, g->root[r])->type == type;
}

static X86Cond emit_compare(Gen *g, const IrNode *n)
{
    bool    w = n->kind == IR_I64;
    X86Cond cc = compare_code(n->op);

    if (is_narrow(n->kind)) {
        unsigned size = type_size(n->kind);

        gen_gpr_into(g, n->a, RAX, false);
        gen_gpr_into(g, n->b, RCX, false);
        asm_sext(&g->as, size, true, RAX, RAX); /* keeps both orders among sign-extended values */
        asm_sext(&g->as, size, true, RCX, RCX);
        asm_alu_rr(&g->as, ALU_CMP, true, RAX, RCX);
        return cc;
    }
    if (gen_is_const(g, n->a)) {
        gen_gpr_into(g, n->a, RAX, false);
        gen_alu(g, ALU_CMP, w, RAX, n->b);
        return cc;
    }
    if (g->mode[n->a] == MODE_FUSED) {
        const IrNode *sum = gen_node(g, n->a);

        asm_alu_ri(&g->as, ALU_CMP, w, gen_gpr(g, sum->a, RAX, false), -(int32_t)gen_const(g, sum->b));
        return cc;
    }
    X86Reg a = gen_gpr(g, n->a, RAX, false);
    if (gen_is_const(g, n->b) && gen_const(g, n->b) == 0) {
        bool known = has_host_flags(g, n->a, n->kind);

        if (known && (cc == CC_E || cc == CC_NE)) {
            return cc;
        }
        if (known && (cc == CC_L || cc == CC_GE)) {
            return cc == CC_L ? CC_S : CC_NS; /* the overflow is that of the value's operation */
        }
        asm_test_rr(&g->as, w, a, a);
    } else {
        gen_alu(g, ALU_CMP, w, a, n->b);
    }
    return cc;
}

static void emit_host_flags(Gen *g, IrRef flags, bool arm_carry);

/* The host's condition for one over flags of a kind right after emit_host_flags(); -1: there is none. */
static int host_condition(IrFlagsKind kind, IrCond cond)
{
    static const uint8_t plain[] = {
        [IR_COND_Z] = CC_E,  [IR_COND_NZ] = CC_NE, [IR_COND_N] = CC_S,   [IR_COND_NN] = CC_NS, [IR_COND_V] = CC_O,
        [IR_COND_NV] = CC_NO, [IR_COND_GE] = CC_GE, [IR_COND_LT] = CC_L, [IR_COND_GT] = CC_G, [IR_COND_LE] = CC_LE,
    };
    bool sub = kind == IR_FLAGS_SUB; /* the host's carry is then the borrow */

    switch (cond) {
    case IR_COND_C:
        return sub ? CC_AE : CC_B;
    case IR_COND_NC:
        return sub ? CC_B : CC_AE;
    case IR_COND_C_AND_NZ:
        return sub ? CC_A : -1;
    case IR_COND_NC_OR_Z:
        return sub ? CC_BE : -1;
    default:
        return plain[cond];
    }
}

/*
 * A condition over flags that are chosen by another one: both must hold, or this one or not the other, as it is of the
 * constant flags. rdi is lost, too.
 */
static X86Cond emit_chosen_condition(Gen *g, const IrNode *chosen, IrCond cond, int cc)
{
    bool    other = ir_eval_cond(cond, gen_other_flags(g, chosen));
    X86Cond first = emit_condition(g, chosen->a);

    asm_mov_ri(&g->as, RDI, 0); /* moves keep the host's flags */
    asm_setcc(&g->as, other ? x86_not(first) : first, RDI);
    emit_host_flags(g, chosen->b, false);
    asm_mov_ri(&g->as, RAX, 0);
    asm_setcc(&g->as, (X86Cond)cc, RAX);
    asm_alu_rr(&g->as, other ? ALU_OR : ALU_AND, false, RAX, RDI);
    return CC_NE;
}

/* A condition over flags: of their producer when that can be repeated; else one bit, or a bit of a table. */
static X86Cond emit_flags_condition(Gen *g, const IrNode *n)
{
    static const uint8_t bit[] = { IR_PACK_Z, IR_PACK_Z, IR_PACK_C, IR_PACK_C,
                                   IR_PACK_N, IR_PACK_N, IR_PACK_V, IR_PACK_V };
    uint32_t table = 0;
    uint32_t known = gen_known_get(g, n->a);
    bool     lazy = g->mode[n->a] == MODE_LAZY, packed_here = lazy || known != 0;

    if (lazy && gen_fp_flags(g, n->a) != NULL) {
        return fp_condition(g, gen_fp_flags(g, n->a), (IrCond)n->kind);
    }
    if (known != 0) {
        int cc = host_condition((IrFlagsKind)((known & JIT_HOW_KIND) - 1), (IrCond)n->kind);

        gen_known_flags(g, known, cc < 0);
        if (cc >= 0) {
            return (X86Cond)cc;
        }
        jit_pack_host_flags(&g->as);
    } else if (lazy) {
        const IrNode *chosen = gen_chosen_flags(g, n->a);
        IrRef         flags = chosen != NULL ? chosen->b : n->a;
        int           cc = host_condition((IrFlagsKind)gen_node(g, flags)->kind, (IrCond)n->kind);

        if (cc >= 0 && chosen != NULL) {
            return emit_chosen_condition(g, chosen, (IrCond)n->kind, cc);
        }
        if (cc >= 0) {
            emit_host_flags(g, n->a, false);
            return (X86Cond)cc;
        }
        gen_pack_flags(g, n->a);
    }
    if (n->kind < G_N_ELEMENTS(bit)) {
        asm_test_ri(&g->as, false, packed_here ? RAX : gen_gpr(g, n->a, RAX, false), bit[n->kind]);
        return n->kind & 1 ? CC_E : CC_NE;
    }
    for (unsigned packed = 0; packed < 16; packed++) {
        table |= (uint32_t)ir_eval_cond((IrCond)n->kind, packed) << packed;
    }
    if (packed_here) {
        asm_mov_rr(&g->as, false, RCX, RAX);
    } else {
        gen_gpr_into(g, n->a, RCX, false);
    }
    asm_mov_ri(&g->as, RAX, table);
    asm_shift_cl(&g->as, SH_SHR, false, RAX);
    asm_test_ri(&g->as, false, RAX, 1);
    return CC_NE;
}

X86Cond emit_condition(Gen *g, IrRef r)
{
    const IrNode *n = gen_node(g, r);

    if (g->mode[r] == MODE_FUSED) {
        return n->op == IR_flags_cond ? emit_flags_condition(g, n) : emit_compare(g, n);
    }
    X86Reg c = gen_gpr(g, r, RAX, false);
    asm_test_rr(&g->as, false, c, c);
    return CC_NE;
}

void emit_jump(Gen *g, IrRef r, bool wanted, AsmLabel *to)
{
    const IrNode *n = gen_node(g, r);
    bool          lazy = g->mode[r] == MODE_FUSED && n->op == IR_flags_cond && g->mode[n->a] == MODE_LAZY;
    const IrNode *chosen = lazy && gen_fp_flags(g, n->a) == NULL ? gen_chosen_flags(g, n->a) : NULL;
    int           cc = chosen != NULL ? host_condition((IrFlagsKind)gen_node(g, chosen->b)->kind, (IrCond)n->kind) : -1;
    AsmLabel      no = ASM_LABEL;

    if (cc < 0) {
        X86Cond c = emit_condition(g, r);

        asm_jcc(&g->as, wanted ? c : x86_not(c), to);
        return;
    }
    emit_jump(g, chosen->a, false, ir_eval_cond((IrCond)n->kind, gen_other_flags(g, chosen)) == wanted ? to : &no);
    emit_host_flags(g, chosen->b, false);
    asm_jcc(&g->as, wanted ? (X86Cond)cc : x86_not((X86Cond)cc), to);
    asm_bind(&g->as, &no);
}

static void emit_set(Gen *g, X86Cond cc)
{
    X86Reg d = gen_dest_gpr(g);

    asm_setcc(&g->as, cc, RAX);
    asm_zext(&g->as, 0, d, RAX);
    gen_done_gpr(g, d, true);
}

/* Vectors are chosen by a branch around a move. */
static void select_vector(Gen *g, const IrNode *n)
{
    AsmLabel done = ASM_LABEL;
    X86Xmm   d = gen_dest_xmm(g), x;
    X86Cond  cc;

    asm_movx(&g->as, 1, gen_xmm(g, n->b, 1));
    cc = emit_condition(g, n->a);
    asm_jcc(&g->as, cc, &done);
    x = gen_xmm(g, n->c, 1);
    if (x != 1) {
        asm_movx(&g->as, 1, x);
    }
    asm_bind(&g->as, &done);
    asm_movx(&g->as, d, 1);
    gen_done_xmm(g, d);
}

void emit_select(Gen *g, const IrNode *n)
{
    bool    w = n->type == IR_I64;
    X86Cond cc;

    if (gen_is_vector(n->type)) {
        select_vector(g, n);
        return;
    }
    cc = emit_condition(g, n->a);
    if (gen_is_const(g, n->b) && gen_is_const(g, n->c) && gen_const(g, n->b) + gen_const(g, n->c) == 1 &&
        gen_const(g, n->b) <= 1) {
        emit_set(g, gen_const(g, n->b) == 1 ? cc : x86_not(cc));
        return;
    }
    X86Reg d = gen_dest_gpr(g), into = gen_uses_gpr(g, n->b, d) ? RAX : d;
    gen_gpr_into(g, n->c, into, false); /* moves keep the host's flags */
    asm_cmov(&g->as, cc, w, into, gen_gpr(g, n->b, RDX, false));
    if (into != d) {
        asm_mov_rr(&g->as, w, d, into);
    }
    gen_done_gpr(g, d, !is_narrow(n->type));
}

static void emit_min_max(Gen *g, const IrNode *n)
{
    bool    w = is_64(g, n->type);
    X86Cond cc = n->op == IR_umin ? CC_B : n->op == IR_umax ? CC_A : n->op == IR_smin ? CC_L : CC_G;
    X86Reg  d = gen_dest_gpr(g), b;

    gen_gpr_into(g, n->a, RAX, false);
    b = gen_gpr(g, n->b, RDX, false);
    asm_alu_rr(&g->as, ALU_CMP, w, b, RAX);
    asm_cmov(&g->as, cc, w, RAX, b);
    asm_mov_rr(&g->as, w, d, RAX);
    gen_done_gpr(g, d, true);
}

/* ---- flags ---- */

/* The I32 @carry, 0 or 1, as the host's carry; true: its opposite. rax, rcx, rdx and rdi are lost. */
static bool emit_any_carry(Gen *g, IrRef carry)
{
    const IrNode *c = gen_node(g, carry);
    bool          inverted = false;
    X86Cond       cc;

    if (g->mode[carry] == MODE_CARRIED) {
        inverted = gen_node(g, c->a)->kind == IR_FLAGS_SUB;
    } else if (g->mode[carry] != MODE_FUSED) {
        gen_gpr_into(g, carry, RCX, true);
        asm_alu_ri(&g->as, ALU_ADD, false, RCX, -1); /* carries when it was not 0 */
    } else if (c->op == IR_flags_cond && c->kind == IR_COND_C && g->mode[c->a] != MODE_LAZY &&
               gen_known_get(g, c->a) == 0) {
        asm_bt_ri(&g->as, false, gen_gpr(g, c->a, RAX, false), 1); /* IR_PACK_C */
    } else {
        cc = emit_condition(g, carry);
        inverted = cc == CC_AE;
        if (cc != CC_B && cc != CC_AE) {
            asm_setcc(&g->as, cc, RAX);
            asm_zext(&g->as, 0, RAX, RAX);
            asm_alu_ri(&g->as, ALU_ADD, false, RAX, -1);
        }
    }
    return inverted;
}

/* As the host's carry, or its opposite if @borrow. */
static void emit_carry(Gen *g, IrRef carry, bool borrow)
{
    if (emit_any_carry(g, carry) != borrow) {
        asm_cmc(&g->as);
    }
}

/* Whether someone takes flags or a carry of the sum at @i from the host's. */
static bool leaves_flags(const Gen *g, unsigned i)
{
    bool leaves = g->leaves_carry[i];

    for (i++; gen_node(g, (IrRef)i)->op != IR_insn && !ir_is_exit(gen_node(g, (IrRef)i)->op); i++) {
        leaves |= g->mode[i] == MODE_BESIDE;
    }
    return leaves;
}

/* A constant with the opposite of what the host's carry is: a + k + c is a - ~k - (1 - c). */
static void emit_constant_carrying(Gen *g, const IrNode *n)
{
    uint64_t k = n->op == IR_adc ? gen_const(g, n->b) : ~gen_const(g, n->b);
    bool     borrow = emit_any_carry(g, n->c), w = is_64(g, n->type);
    X86Reg   d = gen_dest_gpr(g);

    gen_gpr_into(g, n->a, d, false);
    asm_alu_ri(&g->as, borrow ? ALU_SBB : ALU_ADC, w, d, (int32_t)(borrow ? ~k : k));
    gen_done_gpr(g, d, true);
    note_host_flags(g);
}

/* The host's flags are then those of the sum (MODE_BESIDE, MODE_CARRIED). */
void emit_carrying(Gen *g, const IrNode *n)
{
    if (!is_narrow(n->type) && gen_is_const(g, n->b) && fits_i32(gen_const(g, n->b)) && !leaves_flags(g, g->at)) {
        emit_constant_carrying(g, n);
        return;
    }
    emit_carry(g, n->c, n->op == IR_sbc);
    emit_alu_op(g, n, n->op == IR_sbc ? ALU_SBB : ALU_ADC, n->op == IR_adc);
}

/*
 * The host's flags as the producer @flags makes them. A subtraction leaves the host's carry, the borrow, unless
 * @arm_carry. rax and rdx are lost.
 */
static void emit_host_flags(Gen *g, IrRef flags, bool arm_carry)
{
    const IrNode *n = gen_node(g, flags);
    bool          w = gen_is_64(g, n->a);
    IrRef         result = g->lazy_result[flags];

    if (result != 0) { /* the first operand is gone; it is the result minus or plus the constant */
        int32_t k = (int32_t)gen_const(g, n->b);

        gen_gpr_into(g, result, RAX, false);
        asm_lea(&g->as, w, RAX, X86_AT(RAX, n->kind == IR_FLAGS_SUB ? k : -k));
        asm_alu_ri(&g->as, n->kind == IR_FLAGS_SUB ? ALU_CMP : ALU_ADD, w, RAX, k);
    } else if (n->c != 0) {
        emit_carry(g, n->c, n->kind == IR_FLAGS_SUB);
        gen_gpr_into(g, n->a, RAX, false);
        gen_alu(g, n->kind == IR_FLAGS_SUB ? ALU_SBB : ALU_ADC, w, RAX, n->b);
    } else if (n->kind == IR_FLAGS_LOGIC) {
        X86Reg a = gen_gpr(g, n->a, RAX, false);

        asm_test_rr(&g->as, w, a, a);
    } else if (n->kind == IR_FLAGS_ADD) {
        gen_gpr_into(g, n->a, RAX, false);
        gen_alu(g, ALU_ADD, w, RAX, n->b);
    } else {
        gen_alu(g, ALU_CMP, w, gen_gpr(g, n->a, RAX, false), n->b);
    }
    if (arm_carry && n->kind == IR_FLAGS_SUB) {
        asm_cmc(&g->as);
    }
}

void jit_pack_host_flags(Asm *as)
{
    asm_lahf(as);
    asm_setcc(as, CC_O, RAX); /* N 15, Z 14, C 8, V 0 */
    if (as->host.bmi2) {
        asm_mov_ri(as, RDX, 0xc101);
        asm_pext(as, false, RAX, RAX, RDX);
        return;
    }
    asm_alu_ri(as, ALU_AND, false, RAX, 0xc101);
    asm_imul_rri(as, false, RAX, RAX, 0x1021); /* to 15, 14, 13, 12 */
    asm_shift_ri(as, SH_SHR, false, RAX, 12);
    asm_alu_ri(as, ALU_AND, false, RAX, 15);
}

/* rcx and rdi are lost, too. */
static void pack_chosen_flags(Gen *g, const IrNode *chosen)
{
    X86Cond cc = emit_condition(g, chosen->a); /* may lose rdi */

    asm_mov_ri(&g->as, RDI, 0);
    asm_setcc(&g->as, cc, RDI);
    gen_pack_flags(g, chosen->b);
    asm_test_rr(&g->as, false, RDI, RDI);
    asm_mov_ri(&g->as, RDX, gen_other_flags(g, chosen));
    asm_cmov(&g->as, CC_E, false, RAX, RDX);
}

void gen_pack_flags(Gen *g, IrRef flags)
{
    if (gen_fp_flags(g, flags) != NULL) {
        fp_pack_flags(g, gen_fp_flags(g, flags), RAX);
        return;
    }
    if (gen_chosen_flags(g, flags) != NULL) {
        pack_chosen_flags(g, gen_chosen_flags(g, flags));
        return;
    }
    emit_host_flags(g, flags, true);
    jit_pack_host_flags(&g->as);
}

/* Flags of a sum with carry: packed, or the carry alone when nobody wants more; or they stay in the host's. */
static void emit_flags_of_sum(Gen *g, const IrNode *n)
{
    X86Reg d;

    if (g->mode[g->at] != MODE_BESIDE) {
        emit_host_flags(g, (IrRef)g->at, false);
    }
    if (g->uses[g->at] == 0) {
        return;
    }
    d = gen_dest_gpr(g);
    if (n->kind == IR_FLAGS_SUB) {
        asm_cmc(&g->as);
    }
    if (g->carry_uses[g->at] == g->uses[g->at]) {
        asm_alu_rr(&g->as, ALU_SBB, false, d, d);
    } else {
        jit_pack_host_flags(&g->as);
        asm_mov_rr(&g->as, false, d, RAX);
    }
    gen_done_gpr(g, d, true);
}

void emit_flags(Gen *g, const IrNode *n)
{
    X86Reg d;

    switch (n->op) {
    case IR_flags:
        if (n->c != 0) {
            emit_flags_of_sum(g, n);
            return;
        }
        gen_pack_flags(g, (IrRef)g->at);
        d = gen_dest_gpr(g);
        break;
    case IR_flags_cond:
        emit_set(g, emit_flags_condition(g, n));
        return;
    default: /* IR_flags_unpack */
        d = gen_dest_gpr(g);
        if (gen_is_const(g, n->a)) {
            asm_mov_ri(&g->as, RAX, gen_const(g, n->a) & 15);
        } else {
            gen_gpr_into(g, n->a, RAX, false);
            asm_alu_ri(&g->as, ALU_AND, false, RAX, 15);
        }
        break;
    }
    asm_mov_rr(&g->as, false, d, RAX);
    gen_done_gpr(g, d, true);
}

/* ---- all of them ---- */

void emit_integer(Gen *g, const IrNode *n)
{
    X86Reg d;
    bool   w = is_64(g, n->type);

    if (ir_op_class(n->op) == IR_CLASS_CMP) {
        emit_set(g, emit_compare(g, n));
        return;
    }
    if ((n->op == IR_add || n->op == IR_sub) && is_step(g, n)) {
        emit_step(g, n);
        return;
    }
    switch (n->op) {
    case IR_add:
        emit_add(g, n);
        return;
    case IR_sub:
        emit_alu_op(g, n, ALU_SUB, false);
        return;
    case IR_and:
        emit_and(g, n);
        return;
    case IR_or:
        emit_alu_op(g, n, ALU_OR, true);
        return;
    case IR_xor:
        emit_alu_op(g, n, ALU_XOR, true);
        return;
    case IR_andn:
        emit_inverted(g, n, ALU_AND);
        return;
    case IR_orn:
        emit_inverted(g, n, ALU_OR);
        return;
    case IR_xorn:
        emit_inverted(g, n, ALU_XOR);
        return;
    case IR_not:
    case IR_neg:
        d = gen_dest_gpr(g);
        gen_gpr_into(g, n->a, d, false);
        if (n->op == IR_not) {
            asm_not(&g->as, w, d);
        } else {
            asm_neg(&g->as, w, d);
        }
        gen_done_gpr(g, d, !is_narrow(n->type));
        return;
    case IR_zext:
    case IR_sext:
    case IR_trunc: /* of a constant; else an alias */
        emit_extend(g, n);
        return;
    case IR_shl:
        emit_shift(g, n, SH_SHL);
        return;
    case IR_shr:
        emit_shift(g, n, SH_SHR);
        return;
    case IR_sar:
        emit_shift(g, n, SH_SAR);
        return;
    case IR_ror:
        emit_shift(g, n, SH_ROR);
        return;
    default:
        break;
    }
    if (is_narrow(n->type)) {
        emit_by_eval(g, n);
        return;
    }
    if (g->twin[g->at] != 0) {
        emit_halves(g, n);
        return;
    }
    switch (n->op) {
    case IR_mul:
        emit_mul(g, n);
        return;
    case IR_mulhu:
    case IR_mulhs:
        if (w) {
            emit_mul_high(g, n);
            return;
        }
        break;
    case IR_udiv:
    case IR_sdiv:
        emit_div(g, n);
        return;
    case IR_extr:
        emit_extr(g, n);
        return;
    case IR_bfx:
    case IR_sbfx:
        emit_field(g, n);
        return;
    case IR_bfi:
        emit_insert(g, n);
        return;
    case IR_clz:
        emit_clz(g, n);
        return;
    case IR_ctz:
        emit_ctz(g, n);
        return;
    case IR_cls:
        emit_cls(g, n);
        return;
    case IR_rbit:
        emit_rbit(g, n);
        return;
    case IR_rev16:
        emit_rev16(g, n);
        return;
    case IR_bswap:
    case IR_rev32:
        emit_bytes(g, n);
        return;
    case IR_umin:
    case IR_umax:
    case IR_smin:
    case IR_smax:
        emit_min_max(g, n);
        return;
    default:
        break;
    }
    emit_by_eval(g, n);
}
