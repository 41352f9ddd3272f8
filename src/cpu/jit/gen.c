/*
 * From IR to machine code, one pass over the nodes of each part after three small analyses: addresses and uses, last
 * uses, and which values are computed right into a pinned guest register. Values are in registers, in their guest
 * register (an alias, as long as nobody writes that), or spilled to temporaries of the Cpu.
 */
#include <string.h>

#include "cpu/jit/jit_int.h"

/* Given out to values and pins, those that C keeps first. */
static const X86Reg gpr_order[] = { RBX, R12, R13, R15, RSI, R8, R9, R10, R11 };
enum { N_GPR = 9, FIRST_XMM = 3, N_XMM = 16, PIN_GPR = 6, PIN_XMM = 8, NO_XMM = 0xff };

/* ---- analysis: addresses ---- */

/*
 * Whether a sum is there when a node is made: it was put into a guest register, and its operands may be there no more,
 * or it will be (addresses with writeback: accesses behind this one are off it, and share its check). Uses further on
 * are counted.
 */
static bool is_there(const Gen *g, IrRef sum, unsigned i)
{
    return (g->put_at[sum] != 0 && g->put_at[sum] < i) || g->uses[sum] != 0;
}

static void find_puts(Gen *g)
{
    for (unsigned k = g->ir->n_state; k-- > 0;) {
        const IrNode *n = gen_node(g, g->ir->state[k]), *v = gen_node(g, n->a);

        if (n->op == IR_put) {
            g->put_at[n->a] = g->ir->state[k];
            g->put_at[v->op == IR_zext ? v->a : n->a] = g->ir->state[k];
        }
    }
}

static bool add_of_constant(const Gen *g, IrRef r, uint64_t *k)
{
    const IrNode *n = gen_node(g, r);

    if ((n->op != IR_add && n->op != IR_sub) || n->type != IR_I64 || !gen_is_const(g, n->b)) {
        return false;
    }
    *k = n->op == IR_add ? gen_const(g, n->b) : 0 - gen_const(g, n->b);
    return true;
}

static void find_address(Gen *g, unsigned i)
{
    Address  a = { .base = gen_node(g, (IrRef)i)->a };
    uint64_t k;

    while (!is_there(g, a.base, i) && add_of_constant(g, a.base, &k)) {
        a.offset += k;
        a.base = gen_node(g, a.base)->a;
    }
    const IrNode *sum = gen_node(g, a.base);
    if (a.offset == 0 && sum->op == IR_add && !gen_is_const(g, sum->a) && !is_there(g, a.base, i)) {
        a.index = sum->b;
        a.base = sum->a;
        const IrNode *x = gen_node(g, a.index);
        if (x->op == IR_shl && gen_is_const(g, x->b) && gen_const(g, x->b) <= 3) {
            a.shift = (uint8_t)gen_const(g, x->b);
            a.index = x->a;
        }
    }
    g->addr[i] = a;
}

static bool is_memory(const IrNode *n) { return n->op == IR_load || n->op == IR_store; }

/* ---- analysis: uses ---- */

static bool is_carrying(const IrNode *n) { return n->op == IR_adc || n->op == IR_sbc; }

static unsigned operands(const Gen *g, unsigned i, IrRef out[3])
{
    const IrNode *n = gen_node(g, (IrRef)i);
    IrRef         refs[3] = { n->a, n->b, n->c };
    unsigned      count = 0;

    if (is_memory(n)) {
        refs[0] = g->addr[i].base;
        refs[1] = g->addr[i].index;
        refs[2] = n->b;
    } else if (g->mode[i] == MODE_BESIDE) {
        return 0;
    } else if (is_carrying(n) && g->mode[n->c] == MODE_CARRIED) {
        refs[2] = 0;
    }
    for (unsigned k = 0; k < 3; k++) {
        if (refs[k] != 0) {
            out[count++] = refs[k];
        }
    }
    return count;
}

/* What to do with a node, by its operation: analyses test this where they would else guess wrong at many branches. */
enum {
    OP_SILENT = 1, /* never becomes code */
    OP_SHAPED = 2, /* find_lazy_flags() and choose_modes() look at it */
    OP_STAYS = 4,  /* without uses, too */
    OP_ASKED = 8,  /* count_uses() looks at it */
};

static const uint8_t op_traits[IR_ALL_OPS] = {
    [IR_NOP] = OP_SILENT,
    [IR_const] = OP_SILENT,
    [IR_trunc] = OP_SHAPED,
    [IR_zext] = OP_SHAPED,
    [IR_vlow] = OP_SHAPED,
    [IR_select] = OP_SHAPED,
    [IR_adc] = OP_SHAPED,
    [IR_sbc] = OP_SHAPED,
    [IR_mulhu] = OP_SHAPED,
    [IR_bfx] = OP_SHAPED,
    [IR_shl] = OP_SHAPED,
    [IR_shr] = OP_SHAPED,
    [IR_sar] = OP_SHAPED,
    [IR_flags] = OP_SHAPED,
    [IR_flags_pack] = OP_SHAPED,
    [IR_flags_unpack] = OP_SHAPED,
    [IR_flags_select] = OP_SHAPED | OP_ASKED,
    [IR_flags_cond] = OP_ASKED,
    [IR_put] = OP_STAYS | OP_ASKED,
    [IR_load] = OP_SHAPED | OP_STAYS | OP_ASKED,
    [IR_store] = OP_SHAPED | OP_STAYS | OP_ASKED,
    [IR_call] = OP_SHAPED,
    [IR_guard] = OP_STAYS,
    [IR_insn] = OP_STAYS,
    [IR_exit_jump] = OP_STAYS,
    [IR_exit_branch] = OP_SHAPED | OP_STAYS,
    [IR_exit_indirect] = OP_STAYS,
    [IR_exit_state] = OP_STAYS,
    [IR_exit_done] = OP_STAYS,
};

static bool has_effect(const IrNode *n)
{
    return (op_traits[n->op] & OP_STAYS) || (n->op == IR_call && (n->helper->effects & ~IR_READS) != 0);
}

static bool is_comparison(const IrNode *n)
{
    return ir_op_class(n->op) == IR_CLASS_CMP && (n->kind == IR_I64 || n->kind == IR_I32);
}

/* Whether a choice between lazy flags and constant ones may be made where someone looks: its condition needs no flags
 * that may be gone by then. */
static bool is_late_choice(const Gen *g, unsigned i, const IrNode *n)
{
    const IrNode *flags = gen_node(g, n->b), *other = gen_node(g, n->c), *cond = gen_node(g, n->a);
    bool late = g->lazy_uses[i] == g->uses[i] && flags->op == IR_flags && flags->c == 0 && !g->ir->ends &&
                other->op == IR_flags_unpack && gen_is_const(g, other->a) &&
                (is_comparison(cond) ||
                 (cond->op == IR_flags_cond && gen_node(g, cond->a)->op == IR_flags_select));

    for (unsigned k = n->b + 1u; late && k < i; k++) {
        const IrNode *m = gen_node(g, (IrRef)k);

        late = m->a != n->b && m->b != n->b && m->c != n->b;
    }
    return late;
}

/* A memory access's address, or the use of flags by something that leaves them lazy. */
static void ask(Gen *g, unsigned i, const IrNode *n)
{
    if (is_memory(n)) {
        find_address(g, i);
    } else if (n->op == IR_flags_select) {
        if (is_late_choice(g, i, n)) {
            g->mode[i] = MODE_LAZY;
            g->lazy_uses[n->b]++;
        }
    } else if (n->op == IR_flags_cond || (int)n->imm == g->flags_reg) {
        g->carry_uses[n->a] += n->op == IR_flags_cond && (n->kind == IR_COND_C || n->kind == IR_COND_NC);
        g->lazy_uses[n->a]++;
        g->any_flags = true;
    }
}

static void count_operands(Gen *g, unsigned i, const IrNode *n)
{
    if (is_memory(n)) {
        g->uses[g->addr[i].base]++;
        g->uses[g->addr[i].index]++;
        g->uses[n->b]++;
    } else {
        g->uses[n->a]++;
        g->uses[n->b]++;
        g->uses[g->mode[i] == MODE_LAZY ? 0 : n->c]++; /* constant flags are no value */
    }
}

/*
 * With addresses, and which uses of flags leave them lazy. From the last node to the first; what is live is listed from
 * the ends of the lists down.
 */
static void count_uses(Gen *g)
{
    unsigned live = g->ir->n, shaped = g->ir->n;

    g->any_flags = false;
    for (unsigned i = g->ir->n; i-- > 1;) {
        const IrNode *n = gen_node(g, (IrRef)i);
        unsigned      traits = op_traits[n->op];

        if ((g->uses[i] == 0 && !has_effect(n)) || g->mode[i] == MODE_DEAD) {
            g->mode[i] = MODE_DEAD;
            continue;
        }
        g->live[live - 1] = g->shaped[shaped - 1] = (uint16_t)i;
        live -= !(traits & OP_SILENT);
        shaped -= (traits & OP_SHAPED) != 0;
        if (traits & OP_ASKED) {
            ask(g, i, n);
        }
        count_operands(g, i, n);
    }
    g->first_live = live;
    g->first_shaped = shaped;
}

/* ---- analysis: aliases and fusion ---- */

/* Whether 32-bit and narrower values of the node have zeroes above them. */
static bool makes_canonical(const Gen *g, IrRef r)
{
    const IrNode *n = gen_node(g, r);

    switch (n->op) {
    case IR_trunc:
        return false;
    case IR_get:
        return true; /* narrow registers are loaded with zero extension */
    default:
        return n->type == IR_I64 || n->type == IR_I32;
    }
}

static bool is_alias(const Gen *g, unsigned i)
{
    const IrNode *n = gen_node(g, (IrRef)i);

    if (n->a == 0 || gen_is_const(g, n->a)) {
        return false;
    }
    switch (n->op) {
    case IR_trunc:
    case IR_flags_pack:
        return true;
    case IR_vlow:
        return n->type == IR_V64;
    case IR_bfx:
        return words_extends(g, (IrRef)i);
    case IR_zext: {
        IrRef a = n->a;

        if (words_extends(g, (IrRef)i)) {
            return true;
        }
        while (g->mode[a] == MODE_ALIAS && gen_node(g, a)->op == IR_zext) {
            a = gen_node(g, a)->a;
        }
        return g->mode[a] != MODE_ALIAS && makes_canonical(g, a);
    }
    default:
        return false;
    }
}

/* A condition with one user that can do the comparison itself. */
static void fuse_condition(Gen *g, IrRef r)
{
    const IrNode *n = gen_node(g, r);

    if (g->uses[r] == 1 && g->mode[r] == MODE_NORMAL && (is_comparison(n) || n->op == IR_flags_cond)) {
        g->mode[r] = MODE_FUSED;
    }
}

/* A sum with a constant that a condition alone compares with zero: that compares its operand with the negated one. */
static void fuse_sum(Gen *g, IrRef condition)
{
    const IrNode *n = gen_node(g, condition), *sum = gen_node(g, n->a);
    bool          equality = n->op == IR_cmpeq || n->op == IR_cmpne;

    if (g->mode[condition] == MODE_FUSED && equality && gen_is_const(g, n->b) && gen_const(g, n->b) == 0 &&
        sum->op == IR_add && g->uses[n->a] == 1 && g->mode[n->a] == MODE_NORMAL && gen_is_const(g, sum->b) &&
        fits_i32(gen_const(g, sum->b)) && fits_i32(0 - gen_const(g, sum->b))) {
        g->mode[n->a] = MODE_FUSED;
    }
}

/* A count modulo the width: so do the host's shifts. */
static void fuse_count(Gen *g, const IrNode *n)
{
    const IrNode *count = gen_node(g, n->b);

    if (g->uses[n->b] == 1 && g->mode[n->b] == MODE_NORMAL && count->op == IR_and && count->type == n->type &&
        (n->type == IR_I64 || n->type == IR_I32) && gen_is_const(g, count->b) &&
        gen_const(g, count->b) == ir_type_bits(n->type) - 1) {
        g->mode[n->b] = MODE_FUSED;
    }
}

/* An operand of one user that can do its part at no cost. */
static void fuse_rounds(Gen *g, const IrNode *n)
{
    if (n->a != 0 && g->uses[n->a] == 1 && g->mode[n->a] == MODE_NORMAL && emit_fuses_rounds(g, n, gen_node(g, n->a))) {
        g->mode[n->a] = MODE_FUSED;
    }
}

/* Two plain accesses of one kind and size, the second right above the first. */
static bool is_pair(const Gen *g, unsigned i, unsigned j)
{
    const IrNode  *n = gen_node(g, (IrRef)i), *m = gen_node(g, (IrRef)j);
    const Address *a = &g->addr[i], *b = &g->addr[j];
    unsigned       ty = n->op == IR_load ? n->type : n->kind;

    return m->op == n->op && m->type == n->type && m->kind == n->kind && (ty == IR_I64 || ty == IR_V128) &&
           gen_is_plain(m->mem) && gen_is_plain(n->mem) && m->mem.sign == n->mem.sign && n->mem.size_log2 >= 2 &&
           m->mem.size_log2 == n->mem.size_log2 && a->index == 0 && b->index == 0 && a->base == b->base &&
           a->offset == b->offset + (1u << n->mem.size_log2) && a->base != j;
}

/* The access at @i does the one just before it too (LDP, STP). */
static void join_access(Gen *g, unsigned i)
{
    for (unsigned j = i - 1; j > 0 && gen_node(g, (IrRef)j)->op != IR_insn; j--) {
        const IrNode *m = gen_node(g, (IrRef)j);

        if (g->mode[j] != MODE_NORMAL || m->op == IR_const || m->op == IR_get) {
            continue;
        }
        if (is_memory(m) && g->partner[j] == 0 && is_pair(g, i, j)) {
            g->mode[j] = MODE_PAIRED;
            g->partner[i] = (uint16_t)j;
            g->partner[j] = (uint16_t)i;
        }
        return;
    }
}

enum { TWIN_NODES = 12 }; /* how far apart two halves of a product may be */

/* The low half of the product whose high one is @i: the later of both has its value as soon as the first. */
static void join_product(Gen *g, unsigned i)
{
    const IrNode *n = gen_node(g, (IrRef)i);
    unsigned      k = i > TWIN_NODES ? i - TWIN_NODES : 1, end = MIN(i + TWIN_NODES, g->ir->n - 1u);

    for (; k < end; k++) {
        const IrNode *m = gen_node(g, (IrRef)k);

        if (m->op == IR_mul && m->type == IR_I64 && n->type == IR_I64 && g->mode[k] == MODE_NORMAL && g->twin[k] == 0 &&
            ((m->a == n->a && m->b == n->b) || (m->a == n->b && m->b == n->a))) {
            g->twin[MIN(i, k)] = (uint16_t)MAX(i, k);
            g->mode[MAX(i, k)] = MODE_PAIRED;
            return;
        }
    }
}

/* ---- analysis: sums with carry ---- */

/*
 * The sum that flags tell of: in the same instruction, before them. Where nobody wants one with carry, the flags
 * themselves; 0: there is none.
 */
static IrRef sum_of_flags(const Gen *g, unsigned flags)
{
    const IrNode *f = gen_node(g, (IrRef)flags);
    unsigned      op = f->c != 0 ? (f->kind == IR_FLAGS_SUB ? IR_sbc : IR_adc)
                                 : (f->kind == IR_FLAGS_SUB ? IR_sub : IR_add);
    bool          commutes = f->kind == IR_FLAGS_ADD;

    for (unsigned k = flags - 1; f->kind != IR_FLAGS_LOGIC && gen_node(g, (IrRef)k)->op != IR_insn; k--) {
        const IrNode *n = gen_node(g, (IrRef)k);

        if (n->op == op && n->c == f->c &&
            ((n->a == f->a && n->b == f->b) || (commutes && n->a == f->b && n->b == f->a))) {
            return g->mode[k] == MODE_NORMAL ? (IrRef)k : 0;
        }
    }
    return f->c != 0 && g->mode[flags] == MODE_NORMAL ? (IrRef)flags : 0;
}

/* Whether what is emitted for a node keeps the host's flags: nothing, or moves. */
static bool keeps_host_flags(const Gen *g, unsigned i)
{
    const IrNode *n = gen_node(g, (IrRef)i);

    if ((op_traits[n->op] & OP_SILENT) || n->op == IR_insn || g->vanished[i]) {
        return true;
    }
    if (n->op == IR_get || n->op == IR_put) {
        return g->regs[n->imm].type == IR_I64;
    }
    return g->mode[i] != MODE_NORMAL && g->mode[i] != MODE_PAIRED && g->mode[i] != MODE_TESTED &&
           (g->mode[i] != MODE_BESIDE || g->uses[i] == 0);
}

/* Whether the host's flags are still those of a sum, if there is one, when a node is emitted. */
static bool is_kept(const Gen *g, IrRef sum, unsigned i)
{
    while (sum != 0 && --i > sum && keeps_host_flags(g, i)) {
    }
    return sum != 0 && i == sum;
}

/* Flags that the sum with carry right before them leaves in the host's. */
static void join_flags(Gen *g, unsigned i)
{
    const IrNode *f = gen_node(g, (IrRef)i);

    if (is_kept(g, sum_of_flags(g, i), i)) {
        g->mode[i] = MODE_BESIDE;
        g->uses[f->a]--;
        g->uses[f->b]--;
        g->uses[f->c]--;
    }
}

/* The sum @i takes the host's carry where that is still the one of the flags it names. */
static void find_carry(Gen *g, unsigned i)
{
    IrRef         carry = gen_node(g, (IrRef)i)->c, flags = gen_node(g, carry)->a, sum;
    const IrNode *c = gen_node(g, carry);

    if (c->op != IR_flags_cond || c->kind != IR_COND_C || g->mode[carry] != MODE_FUSED ||
        gen_node(g, flags)->op != IR_flags) {
        return;
    }
    sum = sum_of_flags(g, flags);
    g->uses[flags]--;
    if (!is_kept(g, sum, i) || (sum == flags && g->uses[flags] != 0)) {
        g->uses[flags]++;
        return;
    }
    g->mode[carry] = MODE_CARRIED;
    g->leaves_carry[sum] = true;
    if (sum != flags && g->uses[flags] == 0) {
        g->mode[flags] = MODE_DEAD;
    }
}

static void find_carries(Gen *g)
{
    for (unsigned k = g->first_shaped; g->any_flags && k < g->ir->n; k++) {
        unsigned i = g->shaped[k];

        if (is_carrying(gen_node(g, (IrRef)i)) && g->mode[i] == MODE_NORMAL) {
            find_carry(g, i);
        }
    }
}

/* ---- analysis: flags ---- */

static void find_flags_reg(Gen *g, const IrBlock *ir)
{
    if (g->regs == ir->regs) {
        return; /* of the block before */
    }
    g->regs = ir->regs;
    g->flags_reg = -1;
    for (size_t r = 0; r < ir->n_regs; r++) {
        if (ir->regs[r].type == IR_FLAGS) {
            g->flags_reg = (int)r;
        }
    }
}

/* The sum or difference that an instruction puts beside its flags, with a small constant: the operand may be gone. */
static IrRef result_beside(const Gen *g, unsigned i)
{
    const IrNode *f = gen_node(g, (IrRef)i);
    unsigned      op = f->kind == IR_FLAGS_SUB ? IR_sub : IR_add;

    if (f->kind == IR_FLAGS_LOGIC || f->c != 0 || !gen_is_const(g, f->b) || gen_is_const(g, f->a) ||
        gen_const(g, f->b) > 0xffffff) {
        return 0;
    }
    for (unsigned k = i - 1; k > 0 && gen_node(g, (IrRef)k)->op != IR_insn; k--) {
        const IrNode *n = gen_node(g, (IrRef)k);

        if (g->put_at[k] != 0 && n->op == op && n->a == f->a && gen_is_const(g, n->b) &&
            gen_const(g, n->b) == gen_const(g, f->b)) {
            return (IrRef)k;
        }
    }
    return 0;
}

/* Flags that only the flags register and conditions take are computed where they are wanted, without a carry. */
static void find_lazy_flags(Gen *g)
{
    for (unsigned k = g->first_shaped; g->any_flags && k < g->ir->n; k++) {
        unsigned      i = g->shaped[k];
        const IrNode *n = gen_node(g, (IrRef)i);

        if (n->op == IR_flags && n->c != 0) {
            join_flags(g, i);
        }
        if (g->lazy_uses[i] != g->uses[i]) {
            continue;
        }
        if (n->op == IR_flags && n->c == 0) {
            g->mode[i] = MODE_LAZY;
            g->lazy_result[i] = result_beside(g, i);
        } else if (n->op == IR_flags_unpack && fp_is_comparison(gen_fp_flags(g, (IrRef)i)) && g->uses[n->a] == 1) {
            g->mode[i] = MODE_LAZY;
            g->mode[n->a] = MODE_TESTED;
        }
    }
}

static bool sees_registers(const IrNode *n) { return (ir_node_effects(n) & ~IR_STATUS) != IR_PURE; }

/* A call that sees them without a site that says what the flags follow from. */
static bool is_blind_call(const IrNode *n)
{
    return n->op == IR_call && sees_registers(n) && n->helper->inline_op != IR_INLINE_PAC_CHECK;
}

/*
 * Puts of lazy flags that need no write: nobody but accesses, whose sites say what the flags follow from, looks at the
 * register before the next put; the last one of a part is then pending at its exit.
 */
static void find_unwritten_flags(Gen *g)
{
    unsigned last_site = 0; /* of those after the node */
    bool     looked_at = false, at_exit = true;

    g->pending = 0;
    for (unsigned k = g->any_flags ? g->ir->n_state : 0; k-- > 0;) {
        unsigned      i = g->ir->state[k];
        const IrNode *n = gen_node(g, (IrRef)i);

        if (g->mode[i] == MODE_DEAD) {
            continue;
        }
        if (n->op == IR_put && (int)n->imm == g->flags_reg) {
            bool choice = gen_chosen_flags(g, n->a) != NULL; /* sites cannot say what that follows from */

            if (g->mode[n->a] == MODE_LAZY && !looked_at && (!choice || last_site == 0)) {
                g->vanished[i] = true;
                g->pending = at_exit ? n->a : g->pending;
                g->flags_needed[i] = (uint16_t)(at_exit ? g->ir->n - 1 : last_site);
            }
            last_site = 0;
            looked_at = at_exit = false;
        } else if ((n->op == IR_get && (int)n->imm == g->flags_reg) ||
                   is_blind_call(n)) {
            looked_at = true;
        } else if (sees_registers(n) && last_site == 0) {
            last_site = i;
        }
    }
}

/*
 * Whether a part may look at the flags register before it writes it. One that does neither may look: it may be left for
 * want of time at its end.
 */
static void find_flags_wanted(PartState *part, const IrBlock *ir, int reg)
{
    part->wants_flags = part->gets_flags = false;

    for (unsigned k = 0; k < ir->n_state; k++) {
        const IrNode *n = &ir->node[ir->state[k]];

        if ((n->op == IR_get && (int)n->imm == reg) || is_blind_call(n)) {
            part->wants_flags = part->gets_flags = true;
            return;
        }
        part->wants_flags |= sees_registers(n);
        if (n->op == IR_put && (int)n->imm == reg) {
            return;
        }
    }
    part->wants_flags = true;
}

/* ---- analysis: flags that stay unwritten across a loop's edge ---- */

/* Whether lazy flags are those of one operation on integers. */
static bool is_of_integers(const Gen *g, IrRef flags) { return flags != 0 && gen_node(g, flags)->op == IR_flags; }

/* The guest register of 64 bits that holds a value at the end of the part, pinned if there is one; -1: none. */
static int register_of_value(const Gen *g, const uint16_t *at_end, IrRef r)
{
    int found = -1;

    for (unsigned k = 0; k < g->ir->n_state; k++) {
        const IrNode *n = gen_node(g, g->ir->state[k]);
        bool          names = n->op == IR_get || n->op == IR_put;

        if (names && g->regs[n->imm].type == IR_I64 && at_end[n->imm] == g->root[r] &&
            (found < 0 || g->pin_of[n->imm] >= 0)) {
            found = (int)n->imm;
        }
    }
    return found;
}

/* What Cpu.flags_how says of how flags follow, but for the operands. */
static uint32_t how_kind(const Gen *g, IrRef flags)
{
    const IrNode *f = gen_node(g, flags);

    return (f->kind + 1u) | (gen_is_64(g, f->a) ? JIT_HOW_WIDE : 0) |
           (g->lazy_result[flags] != 0 ? JIT_HOW_FROM_RESULT : 0);
}

/* Whether a second operand is, or need not be, in Cpu.flags_how itself. */
static bool how_constant(const Gen *g, const IrNode *f, uint32_t *how)
{
    if (f->kind == IR_FLAGS_LOGIC) {
        return true;
    }
    if (!gen_is_const(g, f->b) || gen_const(g, f->b) > mask64(JIT_HOW_BITS)) {
        return false;
    }
    *how |= JIT_HOW_CONSTANT | (uint32_t)gen_const(g, f->b) << JIT_HOW_B;
    return true;
}

/* How the pending flags follow from guest registers at the end of the part; 0: they do not. */
static uint32_t how_from_registers(const Gen *g)
{
    uint16_t      at_end[IR_MAX_REGS]; /* roots */
    const IrNode *f = gen_node(g, g->pending);
    IrRef         first = g->lazy_result[g->pending] != 0 ? g->lazy_result[g->pending] : f->a;
    uint32_t      how;
    int           a, b;

    if (!is_of_integers(g, g->pending) || gen_is_const(g, first)) {
        return 0;
    }
    memset(at_end, 0, g->ir->n_regs * sizeof(at_end[0]));
    for (unsigned k = 0; k < g->ir->n_state; k++) {
        IrRef         i = g->ir->state[k];
        const IrNode *n = gen_node(g, i);

        if (n->op == IR_get || n->op == IR_put) {
            at_end[n->imm] = n->op == IR_get ? i : g->root[n->a];
        } else if (n->op == IR_call && (n->helper->effects & IR_WRITES)) {
            memset(at_end, 0, g->ir->n_regs * sizeof(at_end[0]));
        }
    }
    how = how_kind(g, g->pending);
    a = register_of_value(g, at_end, first);
    if (a < 0) {
        return 0;
    }
    how |= g->regs[a].offset / 8 << JIT_HOW_A;
    if (!how_constant(g, f, &how)) {
        b = gen_is_const(g, f->b) ? -1 : register_of_value(g, at_end, f->b);
        if (b < 0) {
            return 0;
        }
        how |= g->regs[b].offset / 8 << JIT_HOW_B;
    }
    return how;
}

/* The same from copies of the operands. */
static uint32_t how_from_copies(uint32_t how)
{
    uint32_t kind = how & JIT_HOW_KIND;
    bool     constant = (how & JIT_HOW_CONSTANT) || kind == 1 + IR_FLAGS_LOGIC;

    if (how == 0) {
        return 0;
    }
    how &= ~(uint32_t)(JIT_HOW_FROM_RESULT | mask64(JIT_HOW_BITS) << JIT_HOW_A);
    how |= offsetof(Cpu, flags_a) / 8 << JIT_HOW_A;
    if (!constant) {
        how &= ~(uint32_t)(mask64(JIT_HOW_BITS) << JIT_HOW_B);
        how |= offsetof(Cpu, flags_b) / 8 << JIT_HOW_B;
    }
    return how;
}

/* How flags follow from copies of their operands; 0: nobody can tell. */
static uint32_t how_if_copied(const Gen *g, IrRef flags)
{
    uint32_t how;

    if (!is_of_integers(g, flags)) {
        return 0;
    }
    how = how_kind(g, flags);
    how_constant(g, gen_node(g, flags), &how);
    return how_from_copies(how);
}

static bool how_uses(uint32_t how, unsigned offset)
{
    return (how >> JIT_HOW_A & mask64(JIT_HOW_BITS)) == offset / 8 ||
           (!(how & JIT_HOW_CONSTANT) && (how >> JIT_HOW_B & mask64(JIT_HOW_BITS)) == offset / 8);
}

/* Whether flags that are read are wanted for conditions only. */
static bool has_only_conditions(const IrBlock *ir, IrRef flags)
{
    for (unsigned i = flags + 1u; i < ir->n; i++) {
        const IrNode *n = &ir->node[i];

        if (n->op != IR_NOP && n->op != IR_flags_cond && (n->a == flags || n->b == flags || n->c == flags)) {
            return false;
        }
    }
    return true;
}

static bool changes_operands(const IrBlock *ir, uint32_t how)
{
    for (unsigned k = 0; k < ir->n_state; k++) {
        const IrNode *n = &ir->node[ir->state[k]];

        if (n->op == IR_put && how_uses(how, ir->regs[n->imm].offset)) {
            return true;
        }
    }
    return false;
}

/*
 * All that may look at the flags at the start of the part must be accesses that find the registers unchanged. Where it
 * is known, conditions may look too, and the flags may stay until the end, if nothing changes the registers at all.
 */
bool gen_holds_flags(const Gen *g, unsigned part, uint32_t how, bool known)
{
    const IrBlock *ir = g->parts[part].ir;
    bool           changed = false, constant = known && !changes_operands(ir, how);

    for (unsigned k = 0; k < ir->n_state && how != 0; k++) {
        const IrNode *n = &ir->node[ir->state[k]];

        if (n->op == IR_put && (int)n->imm == g->flags_reg) {
            return true;
        }
        if (n->op == IR_put) {
            changed |= how_uses(how, ir->regs[n->imm].offset);
        } else if (n->op == IR_get && (int)n->imm == g->flags_reg) {
            if (!constant || !has_only_conditions(ir, ir->state[k])) {
                return false;
            }
        } else if (is_blind_call(n) || (sees_registers(n) && changed)) {
            return false;
        }
    }
    return how != 0 && constant;
}

/* Whether the part leaves the flags register as it found it. */
static bool passes_flags(const Gen *g, unsigned part)
{
    const IrBlock *ir = g->parts[part].ir;

    for (unsigned k = 0; k < ir->n_state; k++) {
        const IrNode *n = &ir->node[ir->state[k]];

        if (n->op == IR_put && (int)n->imm == g->flags_reg) {
            return false;
        }
    }
    return true;
}

uint32_t gen_known_get(const Gen *g, IrRef r)
{
    const IrNode *n = gen_node(g, r);

    return n->op == IR_get && (int)n->imm == g->flags_reg && g->flags_in ? g->part_state[g->part].how : 0;
}

static void choose_modes(Gen *g)
{
    for (unsigned i = 1; i < g->ir->n; i++) {
        g->root[i] = (uint16_t)i;
    }
    find_lazy_flags(g);
    for (unsigned k = g->first_shaped; k < g->ir->n; k++) {
        unsigned      i = g->shaped[k];
        const IrNode *n = gen_node(g, (IrRef)i);

        if (g->mode[i] == MODE_LAZY && n->op == IR_flags_select) {
            fuse_condition(g, n->a);
        }
        if (g->mode[i] != MODE_NORMAL) {
            continue;
        }
        if (is_alias(g, i)) {
            g->mode[i] = MODE_ALIAS;
            g->root[i] = g->root[n->a];
        } else if (n->op == IR_exit_branch) {
            fuse_condition(g, n->a);
            fuse_sum(g, n->a);
        } else if (n->op == IR_flags_select || (n->op == IR_select && !gen_is_vector(n->type))) {
            fuse_condition(g, n->a);
        } else if (n->op == IR_shl || n->op == IR_shr || n->op == IR_sar) {
            fuse_count(g, n);
        } else if (is_carrying(n) || (n->op == IR_flags && n->c != 0)) {
            fuse_condition(g, n->c);
        } else if (n->op == IR_mulhu) {
            join_product(g, i);
        } else if (n->op == IR_call) {
            fuse_rounds(g, n);
        } else if (n->op == IR_store && emit_fuses_select(g, i)) {
            g->mode[n->b] = MODE_FUSED;
        } else if (is_memory(n)) {
            join_access(g, i);
        }
    }
}

/* A value that is computed where it is used, from others: those; returns how many. 0: it has a place. */
static unsigned parts_of(const Gen *g, IrRef r, IrRef out[3])
{
    const IrNode *n = gen_node(g, r);
    unsigned      count = 0;

    if (g->mode[r] != MODE_FUSED && g->mode[r] != MODE_LAZY) {
        return 0;
    }
    if (g->mode[r] == MODE_LAZY && gen_fp_flags(g, r) != NULL) {
        n = gen_fp_flags(g, r);
    }
    if (g->lazy_result[r] != 0) {
        out[0] = g->lazy_result[r];
        out[1] = n->b;
        return 2;
    }
    out[count++] = n->a;
    if (n->b != 0) {
        out[count++] = n->b;
    }
    if (n->c != 0 && gen_chosen_flags(g, r) == NULL) {
        out[count++] = n->c;
    }
    return count;
}

static void push_operand(Gen *g, IrRef root)
{
    if (g->n_operands < G_N_ELEMENTS(g->operand)) {
        g->operand[g->n_operands++] = root;
    } else {
        g->failed = true;
    }
}

/* Adds the roots of what a value is computed from where it is used: its own, for most. */
static void add_operand(Gen *g, IrRef r)
{
    IrRef    parts[3];
    unsigned n = parts_of(g, r, parts);

    if (n == 0) {
        push_operand(g, g->root[r]);
    }
    while (n-- > 0) {
        add_operand(g, parts[n]);
    }
}

/* The values that the operation emitted at @i reads. */
static void add_operands(Gen *g, unsigned i)
{
    IrRef refs[3];

    for (unsigned k = operands(g, i, refs); k-- > 0;) {
        add_operand(g, refs[k]);
    }
    for (unsigned k = g->partner[i] != 0 ? operands(g, g->partner[i], refs) : 0; k-- > 0;) {
        add_operand(g, refs[k]);
    }
}

static void use_at(Gen *g, IrRef root, unsigned i)
{
    g->last_use[root] = MAX(g->last_use[root], (uint16_t)i);
}

/* The list of live nodes becomes that of those which are emitted, and of IR_insn. */
static void find_last_uses(Gen *g)
{
    unsigned emitted = 0;

    for (unsigned s = 0; g->any_flags && s < g->ir->n_state; s++) {
        unsigned i = g->ir->state[s];

        if (g->vanished[i]) { /* flags: the hints come later */
            g->n_operands = 0;
            add_operand(g, gen_node(g, (IrRef)i)->a);
            for (unsigned k = 0; k < g->n_operands; k++) {
                use_at(g, g->operand[k], g->flags_needed[i]);
            }
        }
    }
    g->n_operands = 0;
    for (unsigned at = g->first_live; at < g->ir->n; at++) {
        unsigned i = g->live[at];
        bool     stays = g->mode[i] == MODE_NORMAL || g->mode[i] == MODE_TESTED || g->mode[i] == MODE_BESIDE;

        g->live[emitted] = (uint16_t)i;
        emitted += stays;
        if (stays && gen_node(g, (IrRef)i)->op != IR_insn) {
            unsigned from = g->n_operands;

            add_operands(g, i);
            for (unsigned k = from; k < g->n_operands; k++) {
                use_at(g, g->operand[k], i);
            }
            push_operand(g, 0);
        }
    }
    g->n_node_operands = g->n_operands;
    g->n_emitted = emitted;
}

/* Who reads each operand after its node does. */
static void find_next_uses(Gen *g)
{
    unsigned k = g->n_emitted, at = 0;

    for (unsigned o = g->n_operands; o-- > 0;) {
        IrRef root = g->operand[o];

        if (root == 0) {
            while (gen_node(g, g->live[--k])->op == IR_insn) {
            }
            at = g->live[k];
        }
        g->use_after[o] = g->next_use[root];
        g->next_use[root] = (uint16_t)at;
    }
}

/* ---- analysis: values computed into their guest register ---- */

/* Whether anything between a node and number @to of IrBlock.state may look at guest registers. */
static bool quiet_between(const Gen *g, unsigned from, unsigned to, unsigned reg)
{
    while (to-- > 0 && g->ir->state[to] > from) {
        unsigned      i = g->ir->state[to];
        const IrNode *n = gen_node(g, (IrRef)i);

        if (g->mode[i] == MODE_DEAD) {
            continue;
        }
        if (sees_registers(n) ||
            ((n->op == IR_get || n->op == IR_put) && n->imm == reg)) {
            return false;
        }
    }
    return true;
}

static bool may_hint(const Gen *g, IrRef r, unsigned reg)
{
    const IrNode *n = gen_node(g, r);
    IrType        ty = g->ir->regs[reg].type;

    if ((g->mode[r] != MODE_NORMAL && g->partner[r] == 0) || n->op == IR_const || n->op == IR_get || g->hint[r] != 0) {
        return false;
    }
    return ty == IR_I64 ? makes_canonical(g, r) : ty == IR_V128 && n->type == IR_V128;
}

static void find_hints(Gen *g)
{
    uint16_t current[IR_MAX_REGS]; /* the value that lies in each pinned register now */

    if (g->code->n_pins == 0) {
        return;
    }
    memset(current, 0, g->ir->n_regs * sizeof(current[0]));
    for (unsigned k = 0; k < g->ir->n_state; k++) {
        unsigned      i = g->ir->state[k];
        const IrNode *n = gen_node(g, (IrRef)i);

        if (g->mode[i] == MODE_DEAD) {
            continue;
        }
        if (n->op == IR_get && g->pin_of[n->imm] >= 0) {
            current[n->imm] = (uint16_t)i;
        } else if (n->op == IR_put && g->pin_of[n->imm] >= 0) {
            unsigned reg = (unsigned)n->imm;
            IrRef    r = g->root[n->a], old = current[reg];
            unsigned at = g->partner[r] > r ? g->partner[r] : r;

            current[reg] = 0;
            if (may_hint(g, r, reg) && (old == 0 || g->last_use[old] <= r) && quiet_between(g, at, k, reg)) {
                g->hint[r] = (uint16_t)(reg + 1);
                g->vanished[i] = true;
                current[reg] = r;
            }
        } else if (n->op == IR_call && (n->helper->effects & IR_WRITES) != 0) {
            memset(current, 0, g->ir->n_regs * sizeof(current[0]));
        }
    }
}

/* ---- registers and temporaries ---- */

static int32_t temp_take(Gen *g)
{
    for (unsigned w = 0; w < CPU_TEMPS / 64; w++) {
        if (~g->temp_busy[w] != 0) {
            unsigned t = w * 64 + (unsigned)__builtin_ctzll(~g->temp_busy[w]);

            g->temp_busy[w] |= 1ull << (t % 64);
            return (int32_t)(offsetof(Cpu, temp) + t * sizeof(CpuTemp));
        }
    }
    g->failed = true;
    return (int32_t)offsetof(Cpu, temp);
}

static void temp_give(Gen *g, int32_t off)
{
    unsigned t = (unsigned)((size_t)off - offsetof(Cpu, temp)) / sizeof(CpuTemp);

    g->temp_busy[t / 64] &= ~(1ull << (t % 64));
}

/* Memory of a guest register that has no pin holds the value, which is in a register of the host, too. */
static void note_home(Gen *g, unsigned reg, IrRef r)
{
    IrType ty = g->ir->regs[reg].type;
    bool   whole = ty == IR_I64 ? ir_type_is_int(gen_node(g, r)->type) : ty == IR_V128 && gen_node(g, r)->type == ty;

    g->stored[reg] = whole ? r : 0;
    g->home[r] = (uint16_t)(reg + 1);
}

static void add_alias(Gen *g, unsigned reg, IrRef r)
{
    g->alias_next[r] = g->alias_head[reg];
    g->alias_head[reg] = r;
}

static int32_t guest_offset(const Gen *g, unsigned reg) { return (int32_t)g->ir->regs[reg].offset; }

/* Move a value out of the register it owns. */
static void spill(Gen *g, IrRef r)
{
    Value *v = &g->val[r];
    int32_t t;

    if (g->home[r] != 0 && g->stored[g->home[r] - 1] == r) {
        (v->kind == AT_GPR ? g->gpr : g->xmm)[v->reg] = REG_FREE;
        *v = (Value){ .kind = AT_MEM, .mem = guest_offset(g, g->home[r] - 1u) };
        add_alias(g, g->home[r] - 1u, r);
        return;
    }
    t = temp_take(g);
    if (v->kind == AT_GPR) {
        asm_store(&g->as, 3, gen_mem(t), (X86Reg)v->reg);
        g->gpr[v->reg] = REG_FREE;
    } else {
        asm_store_x(&g->as, 4, gen_mem(t), v->reg);
        g->xmm[v->reg] = REG_FREE;
    }
    v->kind = AT_MEM;
    v->mem = t;
    v->own = true;
}

/* Who reads a value next, or may, after the current node. */
static unsigned next_use(const Gen *g, IrRef r) { return g->next_use[r] > g->at ? g->next_use[r] : g->last_use[r]; }

/* The value whose next use is farthest, of those in @users; 0: none may go. */
static IrRef victim(const Gen *g, const uint16_t users[16], uint32_t locked)
{
    IrRef best = 0;

    for (unsigned r = 0; r < 16; r++) {
        if (users[r] != REG_FREE && users[r] < REG_NEVER && !(locked >> r & 1) &&
            (best == 0 || next_use(g, users[r]) > next_use(g, best))) {
            best = users[r];
        }
    }
    return best;
}

/* ---- pins that are lent ---- */

/* Registers of operands that die here are free for the result, except where the node needs them until its end. */
static bool frees_early(const IrNode *n)
{
    bool redone = n->op == IR_call && (n->helper->effects & IR_STATUS) != 0; /* by C, when inline will not do */

    return n->op != IR_put && n->op != IR_get && !ir_is_exit(n->op) && !redone;
}

/* The node that writes the guest register of a put: the value may be computed right into it. */
static unsigned writer(const Gen *g, unsigned put)
{
    IrRef r = g->root[gen_node(g, (IrRef)put)->a];

    return !g->vanished[put] ? put : g->partner[r] != 0 ? MIN(r, g->partner[r]) : r;
}

/* Whether value @r is not needed when node @w has written the place that it is in. */
static bool ends_by(const Gen *g, IrRef r, unsigned w)
{
    const IrNode *n = gen_node(g, (IrRef)w);
    bool          dies = n->op == IR_put ? g->root[n->a] == r : frees_early(n);

    return g->last_use[r] < w || (g->last_use[r] == w && dies);
}

/* Whether values of the part that lie in the guest register are read after the current node. */
static bool is_read(const Gen *g, unsigned reg)
{
    unsigned dead = g->at + frees_early(gen_node(g, (IrRef)g->at));

    for (IrRef r = g->alias_head[reg]; r != 0; r = g->alias_next[r]) {
        if (g->last_use[r] >= dead) {
            return true;
        }
    }
    return false;
}

/* Whether @r may be in the pin of the register that @put writes before anyone else looks at it. */
static bool may_lend(const Gen *g, unsigned put, IrRef r, bool vector, uint32_t but)
{
    unsigned      reg = (unsigned)gen_node(g, (IrRef)put)->imm, w = writer(g, put);
    const JitPin *p = &g->code->pin[g->pin_of[reg]];
    uint32_t      how = g->part_state[g->part].how;

    return p->vector == vector && !(but >> p->host & 1) && (vector ? g->xmm : g->gpr)[p->host] == REG_PINNED &&
           w > g->at && ends_by(g, r, w) && !is_read(g, reg) && (how == 0 || !how_uses(how, p->offset));
}

/*
 * The host's register of a pin whose guest register is written after the last use of @r, while nobody reads what is in
 * it, nor may look at it; -1: there is none. @r is made at the current node, or moves.
 */
static int lend_pin(Gen *g, IrRef r, bool vector, uint32_t but)
{
    const IrNode *now = gen_node(g, (IrRef)g->at);
    uint32_t      seen = 0;

    if (!g->region || r == 0 || (now->op == IR_call && sees_registers(now))) {
        return -1;
    }
    while (g->state_next < g->ir->n_state && g->ir->state[g->state_next] <= g->at) {
        g->state_next++;
    }
    for (unsigned k = g->state_next; k < g->ir->n_state; k++) {
        unsigned      i = g->ir->state[k];
        const IrNode *n = gen_node(g, (IrRef)i);

        if (g->mode[i] == MODE_DEAD) {
            continue;
        }
        if (sees_registers(n)) {
            break;
        }
        if ((n->op == IR_get || n->op == IR_put) && g->pin_of[n->imm] >= 0) {
            uint32_t bit = 1u << g->pin_of[n->imm];

            if (n->op == IR_put && !(seen & bit) && may_lend(g, i, r, vector, but)) {
                return g->code->pin[g->pin_of[n->imm]].host;
            }
            seen |= bit;
        }
    }
    return -1;
}

/* ---- registers for values ---- */

X86Reg gen_free_gpr(const Gen *g, uint32_t but)
{
    for (unsigned i = N_GPR; i-- > 0;) {
        if (g->gpr[gpr_order[i]] == REG_FREE && !(but >> gpr_order[i] & 1)) {
            return gpr_order[i];
        }
    }
    return X86_NO_REG;
}

static X86Reg free_or_lent_gpr(Gen *g, IrRef v, uint32_t but)
{
    X86Reg r = gen_free_gpr(g, but);
    int    pin = r == X86_NO_REG ? lend_pin(g, v, false, but) : -1;

    return pin >= 0 ? (X86Reg)pin : r;
}

/* For value @v; 0: for something else. @but: registers that must keep their contents. */
static X86Reg take_gpr(Gen *g, IrRef v, uint32_t but)
{
    X86Reg r = free_or_lent_gpr(g, v, but);

    if (r == X86_NO_REG) {
        r = host_yield(g, but);
    }
    if (r == X86_NO_REG) {
        v = victim(g, g->gpr, g->lock_gpr | g->pins_gpr);

        if (v != 0) {
            r = (X86Reg)g->val[v].reg;
            spill(g, v);
        }
    }
    return r;
}

static X86Xmm free_xmm(const Gen *g, uint32_t but)
{
    for (unsigned r = N_XMM; r-- > FIRST_XMM;) {
        if (g->xmm[r] == REG_FREE && !(but >> r & 1)) {
            return (X86Xmm)r;
        }
    }
    return NO_XMM;
}

static X86Xmm free_or_lent_xmm(Gen *g, IrRef v, uint32_t but)
{
    X86Xmm r = free_xmm(g, but);
    int    pin = r == NO_XMM ? lend_pin(g, v, true, but) : -1;

    return pin >= 0 ? (X86Xmm)pin : r;
}

static X86Xmm take_xmm(Gen *g, IrRef v, uint32_t but)
{
    X86Xmm r = free_or_lent_xmm(g, v, but);

    if (r == NO_XMM) {
        v = victim(g, g->xmm, g->lock_xmm | g->pins_xmm);

        if (v != 0) {
            r = g->val[v].reg;
            spill(g, v);
        }
    }
    return r;
}

static void set_value(Gen *g, IrRef r, Value v)
{
    g->val[r] = v;
    if (v.own && v.kind == AT_GPR) {
        g->gpr[v.reg] = r;
    } else if (v.own && v.kind == AT_XMM) {
        g->xmm[v.reg] = r;
    }
}

static void release(Gen *g, IrRef r)
{
    Value *v = &g->val[r];

    if (v->own && v->kind == AT_GPR) {
        g->gpr[v->reg] = g->pins_gpr >> v->reg & 1 ? REG_PINNED : REG_FREE;
    } else if (v->own && v->kind == AT_XMM) {
        g->xmm[v->reg] = g->pins_xmm >> v->reg & 1 ? REG_PINNED : REG_FREE;
    } else if (v->own && v->kind == AT_MEM) {
        temp_give(g, v->mem);
    }
    v->own = false;
}

static void release_if_last(Gen *g, IrRef root, unsigned i)
{
    if (g->last_use[root] == i) {
        release(g, root);
    }
}

/* Operands stay where they are while the current node is made. */
static void lock_operand(Gen *g, IrRef root)
{
    const Value *v = &g->val[root];

    if (v->kind == AT_GPR) {
        g->lock_gpr |= 1u << v->reg;
    } else if (v->kind == AT_XMM) {
        g->lock_xmm |= 1u << v->reg;
    }
}

/* ---- aliases of guest registers ---- */

/* Registers for a value that moves out of its place, unless the others there are read before it. */
static X86Reg take_gpr_for(Gen *g, IrRef r)
{
    IrRef  v = victim(g, g->gpr, g->lock_gpr | g->pins_gpr);
    X86Reg d = free_or_lent_gpr(g, r, g->lock_gpr);

    if (d != X86_NO_REG) {
        return d;
    }
    return v != 0 && next_use(g, v) <= next_use(g, r) ? host_yield(g, g->lock_gpr) : take_gpr(g, 0, g->lock_gpr);
}

static X86Xmm take_xmm_for(Gen *g, IrRef r)
{
    IrRef  v = victim(g, g->xmm, g->lock_xmm | g->pins_xmm);
    X86Xmm d = free_or_lent_xmm(g, r, g->lock_xmm);

    if (d != NO_XMM) {
        return d;
    }
    return v != 0 && next_use(g, v) <= next_use(g, r) ? NO_XMM : take_xmm(g, 0, g->lock_xmm);
}

/* Give an alias that is needed after the current node a place of its own. */
static void move_out(Gen *g, IrRef r)
{
    Value *v = &g->val[r];
    Value  to = { .own = true, .canon = v->canon };
    IrType ty = gen_node(g, r)->type;

    if (gen_is_vector(ty)) {
        X86Xmm x = take_xmm_for(g, r), from = v->kind == AT_XMM ? v->reg : 0;

        if (v->kind == AT_MEM) {
            asm_load_x(&g->as, 4, 0, gen_mem(v->mem));
        }
        if (x == NO_XMM) {
            to.kind = AT_MEM;
            to.mem = temp_take(g);
            asm_store_x(&g->as, 4, gen_mem(to.mem), from);
        } else {
            to.kind = AT_XMM;
            to.reg = x;
            asm_movx(&g->as, x, from);
        }
    } else {
        X86Reg d = take_gpr_for(g, r), from = v->kind == AT_GPR ? (X86Reg)v->reg : d != X86_NO_REG ? d : RAX;

        if (v->kind == AT_MEM) {
            gen_gpr_into(g, r, from, true);
            to.canon = true;
        }
        if (d == X86_NO_REG) {
            to.kind = AT_MEM;
            to.mem = temp_take(g);
            asm_store(&g->as, 3, gen_mem(to.mem), from);
        } else {
            to.kind = AT_GPR;
            to.reg = d;
            if (from != d) {
                asm_mov_rr(&g->as, true, d, from);
            }
        }
    }
    set_value(g, r, to);
}

/* The register is about to be written: values that still need it move out. */
static void evacuate(Gen *g, unsigned reg)
{
    g->stored[reg] = 0; /* nothing becomes an alias on the way */
    if (g->pin_of[reg] >= 0) {
        const JitPin *p = &g->code->pin[g->pin_of[reg]];

        *(p->vector ? &g->lock_xmm : &g->lock_gpr) |= 1u << p->host;
    }
    for (IrRef r = g->alias_head[reg]; r != 0; r = g->alias_next[r]) {
        if (g->last_use[r] > g->at) {
            move_out(g, r);
        }
    }
    g->alias_head[reg] = 0;
}

void gen_evacuate(Gen *g, unsigned effects)
{
    if (effects & IR_WRITES) {
        memset(g->stored, 0, g->ir->n_regs * sizeof(g->stored[0]));
    }
    for (size_t reg = 0; reg < g->ir->n_regs; reg++) {
        if (g->alias_head[reg] != 0 && ((effects & IR_WRITES) != 0 || g->ir->regs[reg].status)) {
            evacuate(g, (unsigned)reg);
        }
    }
}

/* ---- operands ---- */

static unsigned width_log2(IrType ty)
{
    return ty == IR_I8 ? 0 : ty == IR_I16 ? 1 : ty == IR_I64 ? 3 : 2;
}

void gen_gpr_into(Gen *g, IrRef r, X86Reg d, bool canon)
{
    const Value *v = gen_val(g, r);
    IrType       ty = gen_node(g, r)->type;
    unsigned     size = width_log2(ty);

    if (gen_is_const(g, r)) {
        asm_mov_ri(&g->as, d, gen_const(g, r));
    } else if (v->kind == AT_MEM) {
        asm_load(&g->as, MIN(size, width_log2(gen_node(g, g->root[r])->type)), false, true, d, gen_mem(v->mem));
    } else if (size == 3 || (!canon && d != v->reg)) {
        if (d != (X86Reg)v->reg) {
            asm_mov_rr(&g->as, true, d, (X86Reg)v->reg);
        }
    } else if (canon && !(v->canon && gen_node(g, g->root[r])->type == ty)) {
        asm_zext(&g->as, size, d, (X86Reg)v->reg);
    } else if (d != (X86Reg)v->reg) {
        asm_mov_rr(&g->as, true, d, (X86Reg)v->reg);
    }
}

X86Reg gen_gpr(Gen *g, IrRef r, X86Reg scratch, bool canon)
{
    const Value *v = gen_val(g, r);
    bool         fits = !canon || gen_node(g, r)->type == IR_I64 ||
                (v->canon && gen_node(g, g->root[r])->type == gen_node(g, r)->type);

    if (!gen_is_const(g, r) && v->kind == AT_GPR && fits) {
        return (X86Reg)v->reg;
    }
    gen_gpr_into(g, r, scratch, canon);
    return scratch;
}

void gen_alu(Gen *g, X86Alu op, bool w, X86Reg d, IrRef r)
{
    const Value *v = gen_val(g, r);

    if (gen_is_const(g, r)) {
        uint64_t k = gen_const(g, r);

        if (!w || fits_i32(k)) {
            asm_alu_ri(&g->as, op, w, d, (int32_t)k);
        } else {
            asm_mov_ri(&g->as, RDX, k);
            asm_alu_rr(&g->as, op, w, d, RDX);
        }
    } else if (v->kind == AT_MEM && width_log2(gen_node(g, g->root[r])->type) >= (w ? 3u : 2u)) {
        asm_alu_rm(&g->as, op, w, d, gen_mem(v->mem));
    } else if (v->kind == AT_MEM) {
        gen_gpr_into(g, r, RDX, true);
        asm_alu_rr(&g->as, op, w, d, RDX);
    } else {
        asm_alu_rr(&g->as, op, w, d, (X86Reg)v->reg);
    }
}

bool gen_uses_gpr(Gen *g, IrRef r, X86Reg reg)
{
    return r != 0 && !gen_is_const(g, r) && gen_val(g, r)->kind == AT_GPR && gen_val(g, r)->reg == reg;
}

bool gen_uses_xmm(Gen *g, IrRef r, X86Xmm reg)
{
    return r != 0 && !gen_is_const(g, r) && gen_val(g, r)->kind == AT_XMM && gen_val(g, r)->reg == reg;
}

X86Xmm gen_xmm(Gen *g, IrRef r, X86Xmm scratch)
{
    const Value *v = gen_val(g, r);

    if (gen_is_const(g, r)) { /* of 64 bits at most, the rest zero */
        asm_mov_ri(&g->as, RDX, gen_const(g, r));
        asm_movq_xr(&g->as, true, scratch, RDX);
        return scratch;
    }
    if (v->kind == AT_MEM) {
        asm_load_x(&g->as, 4, scratch, gen_mem(v->mem));
        return scratch;
    }
    return v->reg;
}

/* Constants live as long as the code: all of it goes when there are too many. */
X86Mem gen_constant(Gen *g, uint64_t high, uint64_t low)
{
    Jit     *j = g->j;
    uint32_t i = 0;

    while (i < j->n_constants && (j->constant[i].q[0] != low || j->constant[i].q[1] != high)) {
        i++;
    }
    if (i == CPU_CONSTANTS) {
        g->failed = g->arena_full = true;
        i = 0;
    } else if (i == j->n_constants) {
        j->constant[i] = (CpuTemp){ { low, high } };
        j->n_constants++;
        j->constants_version++;
    }
    return gen_mem((int32_t)(offsetof(Cpu, constant) + i * sizeof(CpuTemp)));
}

X86Mem gen_constant_lanes(Gen *g, unsigned size_log2, uint64_t v)
{
    for (unsigned size = size_log2; size < 3; size++) {
        v = (v & mask64(8u << size)) | v << (8u << size);
    }
    return gen_constant(g, v, v);
}

/* ---- destinations ---- */

X86Reg gen_dest_gpr_of(Gen *g, IrRef r)
{
    if (g->hint[r] != 0) {
        return (X86Reg)g->code->pin[g->pin_of[g->hint[r] - 1]].host;
    }
    X86Reg d = take_gpr(g, r, 0); /* an operand that dies here may give its place */
    if (d == X86_NO_REG) {
        return RAX;
    }
    g->gpr[d] = r; /* not for anyone else */
    g->lock_gpr |= 1u << d;
    return d;
}

void gen_done_gpr_of(Gen *g, IrRef r, X86Reg d, bool canon)
{
    Value v = { .kind = AT_GPR, .reg = d, .own = true, .canon = canon };

    if (g->hint[r] != 0) {
        unsigned reg = g->hint[r] - 1u;

        g->dirty |= 1u << g->pin_of[reg];
        v.own = false;
        g->alias_head[reg] = 0;
        add_alias(g, reg, r);
    } else if (d == RAX) {
        v.kind = AT_MEM;
        v.mem = temp_take(g);
        asm_store(&g->as, 3, gen_mem(v.mem), RAX);
    }
    set_value(g, r, v);
    if (v.own && g->last_use[r] <= g->at && g->last_use[r] != g->at) {
        release(g, r); /* nobody wants it */
    }
}

X86Reg gen_dest_gpr(Gen *g) { return gen_dest_gpr_of(g, (IrRef)g->at); }
void   gen_done_gpr(Gen *g, X86Reg d, bool canon) { gen_done_gpr_of(g, (IrRef)g->at, d, canon); }

X86Xmm gen_dest_xmm_of(Gen *g, IrRef r)
{
    if (g->hint[r] != 0) {
        return g->code->pin[g->pin_of[g->hint[r] - 1]].host;
    }
    X86Xmm d = take_xmm(g, r, 0);
    if (d == NO_XMM) {
        return 0;
    }
    g->xmm[d] = (uint16_t)r;
    g->lock_xmm |= 1u << d;
    return d;
}

void gen_done_xmm_of(Gen *g, IrRef r, X86Xmm d)
{
    Value v = { .kind = AT_XMM, .reg = d, .own = true };

    if (g->hint[r] != 0) {
        unsigned reg = g->hint[r] - 1u;

        g->dirty |= 1u << g->pin_of[reg];
        v.own = false;
        g->alias_head[reg] = 0;
        add_alias(g, reg, r);
    } else if (d == 0) {
        v.kind = AT_MEM;
        v.mem = temp_take(g);
        asm_store_x(&g->as, 4, gen_mem(v.mem), 0);
    }
    set_value(g, r, v);
    if (v.own && g->last_use[r] < g->at) {
        release(g, r);
    }
}

X86Xmm gen_dest_xmm(Gen *g) { return gen_dest_xmm_of(g, (IrRef)g->at); }
void   gen_done_xmm(Gen *g, X86Xmm d) { gen_done_xmm_of(g, (IrRef)g->at, d); }

X86Reg gen_reserve_gpr(Gen *g)
{
    X86Reg r = take_gpr(g, 0, 0);

    if (r != X86_NO_REG) {
        g->gpr[r] = REG_NEVER;
    }
    return r;
}

void gen_return_gpr(Gen *g, X86Reg r) { g->gpr[r] = REG_FREE; }

bool gen_reserve_xmm(Gen *g, X86Xmm *x)
{
    *x = take_xmm(g, 0, g->lock_xmm); /* nor that of an operand that dies here */
    if (*x == NO_XMM) {
        return false;
    }
    g->xmm[*x] = REG_NEVER;
    return true;
}

void gen_return_xmm(Gen *g, X86Xmm x) { g->xmm[x] = REG_FREE; }

/* ---- calls of C ---- */

JitPlace gen_place_gpr(X86Reg r, IrType ty) { return (JitPlace){ .kind = AT_GPR, .reg = (uint8_t)r, .type = ty }; }
JitPlace gen_place_xmm(X86Xmm r, IrType ty) { return (JitPlace){ .kind = AT_XMM, .reg = r, .type = ty }; }

JitPlace gen_place(Gen *g, IrRef r)
{
    if (r == 0) {
        return (JitPlace){ 0 };
    }
    const Value *v = gen_val(g, r);
    JitPlace     p = { .kind = v->kind, .reg = v->reg, .type = gen_node(g, r)->type, .v = v->mem };

    if (p.kind == AT_MEM && ir_type_is_int(p.type) &&
        width_log2(gen_node(g, g->root[r])->type) < width_log2(p.type)) {
        p.type = gen_node(g, g->root[r])->type;
    }
    if (gen_is_const(g, r)) {
        uint64_t k = gen_const(g, r);

        p.kind = AT_CONST;
        p.reg = 0;
        p.v = (int32_t)k;
        if (!fits_i32(k)) {
            Jit *j = g->j;

            p.reg = 1;
            p.v = (int32_t)j->n_pool;
            j->pool[j->n_pool] = k;
            j->n_pool += j->n_pool < j->max_pool - 1;
            g->failed |= g->arena_full |= j->n_pool == j->max_pool - 1;
        }
    }
    return p;
}

JitSite *gen_site(Gen *g, JitSiteKind kind, uint32_t *id)
{
    Jit          *j = g->j;
    const IrNode *n = gen_node(g, (IrRef)g->at);

    *id = j->n_sites;
    j->n_sites += j->n_sites < j->max_sites - 1;
    g->failed |= g->arena_full |= j->n_sites == j->max_sites - 1;

    JitSite *s = &j->site[*id];
    *s = (JitSite){ .at = { .pc = g->insn_pc, .block = g->block, .after = (uint32_t)gen_price(g, g->part) - g->insn },
                    .code = g->code, .dirty = g->dirty, .kind = (uint8_t)kind,
                    .op = n->op, .type = n->type, .imm = n->imm,
                    .flags_how = g->flags_in ? g->part_state[g->part].how : 0 };
    if (g->flags_now != 0 && gen_fp_flags(g, g->flags_now) != NULL) {
        const IrNode *f = gen_fp_flags(g, g->flags_now);

        s->flags.valid = true;
        s->flags.fp = f->imm & 3;
        s->flags.a = gen_place(g, f->a);
        s->flags.b = gen_place(g, f->b);
    } else if (is_of_integers(g, g->flags_now)) {
        const IrNode *f = gen_node(g, g->flags_now);
        IrRef         result = g->lazy_result[g->flags_now];

        s->flags.valid = true;
        s->flags.kind = f->kind;
        s->flags.wide = gen_is_64(g, f->a);
        s->flags.from_result = result != 0;
        s->flags.a = gen_place(g, result != 0 ? result : f->a);
        s->flags.b = gen_place(g, f->b);
    }
    return s;
}

Cold *gen_cold(Gen *g, uint32_t id)
{
    Cold *c = &g->cold[g->n_cold];

    if (g->n_cold < G_N_ELEMENTS(g->cold) - 1) {
        g->n_cold++;
    } else {
        g->failed = true;
    }

    *c = (Cold){ .from = ASM_LABEL, .back = ASM_LABEL, .resume = ASM_LABEL, .alone = ASM_LABEL, .site = id,
                 .hosts = hosts_now(g) };
    return c;
}

void gen_call_for(Gen *g, const void *routine, uint32_t id)
{
    Jit     *j = g->j;
    JitCall *c = &j->call[j->n_calls];

    asm_call_to(&g->as, routine);
    *c = (JitCall){ .at = (uint32_t)(g->as.p - j->mem.write), .id = id };
    if (j->n_calls == 0 || c[-1].at >> JIT_CALL_SHIFT != c->at >> JIT_CALL_SHIFT) {
        j->first_call[c->at >> JIT_CALL_SHIFT] = j->n_calls;
    }
    j->n_calls += j->n_calls < j->max_calls - 1;
    g->failed |= g->arena_full |= j->n_calls == j->max_calls - 1;
}

void gen_call(Gen *g, uint32_t id) { gen_call_for(g, g->j->slow, id); }

void gen_trap(Gen *g, const uint8_t *from, JitTrapKind kind, Cold *cold)
{
    Jit *j = g->j;

    if (!j->traps) {
        return;
    }
    j->trap[j->n_traps] = (JitTrap){ .from = (uint32_t)(from - j->mem.write), .to = (uint32_t)(g->as.p - j->mem.write),
                                     .kind = kind };
    j->n_traps += j->n_traps < j->max_traps - 1;
    g->failed |= g->arena_full |= j->n_traps == j->max_traps - 1;
    if (cold != NULL) {
        cold->trap = j->n_traps;
    }
}

/* Other sites that come back here are of operations and helpers that see no more than their operands. */
static bool may_change_tables(const JitSite *s)
{
    return s->kind == SITE_LOAD || s->kind == SITE_STORE || s->kind == SITE_GUARD;
}

/* Accesses say whether they have changed the tables; one that is written back always leaves that to C. */
static void make_stale(Gen *g, Cold *c)
{
    const uint8_t *from = g->as.p;
    JitSite       *s = &g->j->site[c->site];

    hosts_set_none(g, c->hosts);
    s->stale_bytes = s->mem.write_intent ? 0 : (uint8_t)(g->as.p - from);
}

/* Slow paths of all parts, after the last one. */
static void emit_cold(Gen *g)
{
    for (unsigned i = 0; i < g->n_cold; i++) {
        Cold *c = &g->cold[i];

        asm_bind(&g->as, &c->from);
        if (c->first != NULL) {
            c->first(g, c);
        }
        if (c->trap != 0) {
            g->j->trap[c->trap - 1].target = (uint32_t)(g->as.p - g->j->mem.write);
        }
        gen_call(g, c->site);
        if (may_change_tables(&g->j->site[c->site])) {
            make_stale(g, c);
        }
        asm_jmp(&g->as, &c->back);
    }
    g->n_cold = 0;
}

/* ---- guest registers ---- */

static void load_pin(Gen *g, const JitPin *p)
{
    if (p->vector) {
        asm_load_x(&g->as, 4, p->host, gen_mem(p->offset));
    } else {
        asm_load(&g->as, 3, false, true, (X86Reg)p->host, gen_mem(p->offset));
    }
}

void gen_load_pins(Gen *g)
{
    for (unsigned i = 0; i < g->code->n_pins; i++) {
        load_pin(g, &g->code->pin[i]);
    }
}

void gen_store_pins(Gen *g, uint32_t mask)
{
    for (unsigned i = 0; i < g->code->n_pins; i++) {
        const JitPin *p = &g->code->pin[i];

        if (!(mask >> i & 1)) {
            continue;
        }
        if (p->vector) {
            asm_store_x(&g->as, 4, gen_mem(p->offset), p->host);
        } else {
            asm_store(&g->as, 3, gen_mem(p->offset), (X86Reg)p->host);
        }
    }
}

static void emit_get(Gen *g, const IrNode *n)
{
    unsigned reg = (unsigned)n->imm;
    IrRef    r = (IrRef)g->at;
    Value    v = { .kind = AT_MEM, .mem = guest_offset(g, reg) };

    if (gen_known_get(g, r) != 0) {
        return; /* conditions know it */
    }
    if ((int)reg == g->flags_reg && g->flags_in) {
        gen_want_flags(g);
    }
    if (g->pin_of[reg] >= 0) {
        const JitPin *p = &g->code->pin[g->pin_of[reg]];

        v = (Value){ .kind = p->vector ? AT_XMM : AT_GPR, .reg = p->host };
    } else if (g->uses[r] > 1 && ir_type_is_int(n->type) && gen_free_gpr(g, 0) != X86_NO_REG) {
        v = (Value){ .kind = AT_GPR, .reg = gen_free_gpr(g, 0), .own = true, .canon = true };
        asm_load(&g->as, width_log2(n->type), false, true, (X86Reg)v.reg, gen_mem(guest_offset(g, reg)));
        set_value(g, r, v);
        note_home(g, reg, r);
        return;
    }
    g->val[r] = v;
    add_alias(g, reg, r);
}

static void put_constant(Gen *g, IrType ty, X86Mem m, uint64_t k)
{
    if (ty == IR_I64 && !fits_i32(k)) {
        asm_mov_ri(&g->as, RAX, k);
        asm_store(&g->as, 3, m, RAX);
    } else {
        asm_store_i(&g->as, width_log2(ty), m, (int32_t)k);
    }
}

static void put_to_memory(Gen *g, unsigned reg, IrRef v)
{
    IrType ty = g->ir->regs[reg].type;
    X86Mem m = gen_mem(guest_offset(g, reg));

    if ((int)reg == g->flags_reg) {
        asm_store_i(&g->as, 2, gen_mem(offsetof(Cpu, flags_how)), 0);
    }
    if (g->mode[v] == MODE_LAZY) {
        gen_pack_flags(g, v);
        asm_store(&g->as, 2, m, RAX);
    } else if (gen_is_vector(ty)) {
        asm_store_x(&g->as, ty == IR_V64 ? 3 : 4, m, gen_xmm(g, v, 0));
    } else if (gen_is_const(g, v)) {
        put_constant(g, ty, m, gen_const(g, v));
    } else {
        asm_store(&g->as, width_log2(ty), m, gen_gpr(g, v, RAX, false));
    }
}

/* A copy of an operand of flags. */
static void put_copy(Gen *g, IrRef r, size_t offset)
{
    if (gen_is_const(g, r)) {
        put_constant(g, gen_node(g, r)->type, gen_mem((int32_t)offset), gen_const(g, r));
    } else {
        asm_store(&g->as, 3, gen_mem((int32_t)offset), gen_gpr(g, r, RAX, false));
    }
}

/* The first operand, from the result and the second one, a constant. */
static void put_first_operand(Gen *g, IrRef result, const IrNode *f)
{
    int32_t k = (int32_t)gen_const(g, f->b);

    asm_lea(&g->as, true, RAX, X86_AT(gen_gpr(g, result, RAX, false), f->kind == IR_FLAGS_SUB ? k : -k));
    asm_store(&g->as, 3, gen_mem(offsetof(Cpu, flags_a)), RAX);
}

/* Where an operand is that a field of @how names: the pin, or X86_NO_REG and memory. */
static X86Reg known_place(const Gen *g, uint32_t how, unsigned field, X86Mem *m)
{
    uint32_t offset = (how >> field & mask64(JIT_HOW_BITS)) * 8;

    *m = gen_mem((int32_t)offset);
    for (unsigned i = 0; i < g->code->n_pins; i++) {
        if (g->code->pin[i].offset == offset) {
            return (X86Reg)g->code->pin[i].host;
        }
    }
    return X86_NO_REG;
}

static int32_t known_constant(uint32_t how) { return (int32_t)(how >> JIT_HOW_B & mask64(JIT_HOW_BITS)); }

/* An operand of known flags, in its pin or else in @scratch. */
static X86Reg bring_known(Gen *g, uint32_t how, unsigned field, X86Reg scratch)
{
    X86Mem m;
    X86Reg r = known_place(g, how, field, &m);

    if (r == X86_NO_REG) {
        asm_load(&g->as, 3, false, true, scratch, m);
        return scratch;
    }
    return r;
}

/* The first one, in its pin or rax. */
static X86Reg known_operand(Gen *g, uint32_t how)
{
    X86Reg  a = bring_known(g, how, JIT_HOW_A, RAX);
    int32_t k = known_constant(how);

    if (!(how & JIT_HOW_FROM_RESULT)) {
        return a;
    }
    asm_lea(&g->as, true, RAX, X86_AT(a, (how & JIT_HOW_KIND) == 1 + IR_FLAGS_SUB ? k : -k));
    return RAX;
}

void gen_known_flags(Gen *g, uint32_t how, bool arm_carry)
{
    bool     w = how & JIT_HOW_WIDE;
    unsigned kind = (how & JIT_HOW_KIND) - 1;
    X86Alu   op = kind == IR_FLAGS_SUB ? ALU_CMP : ALU_ADD;
    X86Reg   a = known_operand(g, how), b;
    X86Mem   m;

    if (kind == IR_FLAGS_LOGIC) {
        asm_test_rr(&g->as, w, a, a);
        return;
    }
    if (kind == IR_FLAGS_ADD && a != RAX) {
        asm_mov_rr(&g->as, true, RAX, a);
        a = RAX;
    }
    if (how & JIT_HOW_CONSTANT) {
        asm_alu_ri(&g->as, op, w, a, known_constant(how));
    } else if ((b = known_place(g, how, JIT_HOW_B, &m)) == X86_NO_REG) {
        asm_alu_rm(&g->as, op, w, a, m);
    } else {
        asm_alu_rr(&g->as, op, w, a, b);
    }
    if (arm_carry && kind == IR_FLAGS_SUB) {
        asm_cmc(&g->as);
    }
}

/* Flags that the part found and leaves to those behind it. */
static uint32_t copy_passed(Gen *g)
{
    uint32_t how = g->passed, copied = how_from_copies(how);

    if (how != copied) {
        asm_store(&g->as, 3, gen_mem(offsetof(Cpu, flags_a)), known_operand(g, how));
    }
    if (how != copied && !(how & JIT_HOW_CONSTANT) && (how & JIT_HOW_KIND) != 1 + IR_FLAGS_LOGIC) {
        asm_store(&g->as, 3, gen_mem(offsetof(Cpu, flags_b)), bring_known(g, how, JIT_HOW_B, RAX));
    }
    return copied;
}

/* Copies of the operands of lazy flags. */
static uint32_t put_copies_of(Gen *g, IrRef flags)
{
    const IrNode *f = gen_node(g, flags);
    IrRef         result = g->lazy_result[flags];
    uint32_t      how = how_if_copied(g, flags);

    if (result != 0) {
        put_first_operand(g, result, f);
    } else {
        put_copy(g, f->a, offsetof(Cpu, flags_a));
    }
    if (!(how & JIT_HOW_CONSTANT) && f->kind != IR_FLAGS_LOGIC) {
        put_copy(g, f->b, offsetof(Cpu, flags_b));
    }
    return how;
}

uint32_t gen_put_copies(Gen *g) { return g->pending != 0 ? put_copies_of(g, g->pending) : copy_passed(g); }

/* Those of one producer, or constant ones: what Cpu.flags_how says depends on the condition. */
static void put_chosen(Gen *g, const IrNode *chosen)
{
    uint32_t how = put_copies_of(g, chosen->b);
    X86Cond  cc = emit_condition(g, chosen->a);

    asm_mov_ri(&g->as, RAX, JIT_HOW_PACKED | gen_other_flags(g, chosen) << JIT_HOW_B); /* moves keep the host's flags */
    asm_mov_ri(&g->as, RDX, how);
    asm_cmov(&g->as, cc, false, RAX, RDX);
    asm_store(&g->as, 2, gen_mem(offsetof(Cpu, flags_how)), RAX);
}

void gen_put_pending(Gen *g, bool written)
{
    uint32_t how;

    if (g->pending != 0 && (written || gen_fp_flags(g, g->pending) != NULL)) {
        put_to_memory(g, (unsigned)g->flags_reg, g->pending);
    } else if (g->pending == 0 && g->passed != 0 && written) {
        gen_known_flags(g, g->passed, true);
        jit_pack_host_flags(&g->as);
        asm_store(&g->as, 2, gen_mem(guest_offset(g, (unsigned)g->flags_reg)), RAX);
        asm_store_i(&g->as, 2, gen_mem(offsetof(Cpu, flags_how)), 0);
    } else if (g->pending != 0 && gen_chosen_flags(g, g->pending) != NULL) {
        put_chosen(g, gen_chosen_flags(g, g->pending));
    } else if (g->pending != 0 || g->passed != 0) {
        how = gen_put_copies(g);
        asm_store_i(&g->as, 2, gen_mem(offsetof(Cpu, flags_how)), (int32_t)how);
    }
}

void gen_want_flags(Gen *g)
{
    AsmLabel written = ASM_LABEL;

    asm_alu_mi(&g->as, ALU_CMP, false, gen_mem(offsetof(Cpu, flags_how)), 0);
    asm_jcc(&g->as, CC_E, &written);
    asm_call_to(&g->as, g->j->flags);
    asm_store(&g->as, 2, gen_mem(guest_offset(g, (unsigned)g->flags_reg)), RAX);
    asm_bind(&g->as, &written);
    g->flags_in = false;
}

/* The bits of the key that a register decides; false: there are none. */
static bool decide_key(const CpuGuest *guest, JitPart *part, unsigned reg, const IrNode *value)
{
    bool decides = false;

    for (size_t i = 0; i < guest->n_key_bits; i++) {
        const CpuKeyBit *k = &guest->key_bits[i];

        if (k->reg != reg) {
            continue;
        }
        decides = true;
        part->exit_key &= ~k->bit;
        part->open &= ~k->bit;
        if (value->op != IR_const) {
            part->open |= k->bit;
        } else if (value->imm & k->mask) {
            part->exit_key |= k->bit;
        }
    }
    return decides;
}

/* Whether it is known what this put does to the key; then it is done. */
static bool knows_key(const CpuEngine *e, JitPart *part, const IrNode *n)
{
    const IrReg    *reg = &part->ir->regs[n->imm];
    const CpuGuest *guest = e->cpus->len > 0 ? ((Cpu *)e->cpus->pdata[0])->guest : NULL;
    const IrNode   *value = &part->ir->node[n->a];

    if (reg->type < IR_I8 || reg->type > IR_I32 || reg->not_key) {
        return true;
    }
    return guest != NULL &&
           (decide_key(guest, part, (unsigned)n->imm, value) ||
            (guest->key_after != NULL && value->op == IR_const &&
             guest->key_after(&part->exit_key, (unsigned)n->imm, value->imm)));
}

JitPart jit_part(const CpuEngine *e, const IrBlock *ir, uint64_t pc, uint64_t key)
{
    JitPart  part = { .ir = ir, .pc = pc, .key = key, .body_key = key, .exit_key = key };
    unsigned last = ir->n - 1;

    while (ir->node[last].op != IR_insn) {
        last--;
    }
    for (unsigned k = 0; k < ir->n_state; k++) {
        unsigned      i = ir->state[k];
        const IrNode *n = &ir->node[i];

        part.asks_key |= n->op == IR_put && !knows_key(e, &part, n);
        part.body_key = i < last ? part.exit_key : part.body_key;
    }
    part.asks_key |= part.open != 0 && ir->node[ir->n - 1].op != IR_exit_jump;
    return part;
}

static void emit_put(Gen *g, const IrNode *n)
{
    unsigned reg = (unsigned)n->imm;

    if ((int)reg == g->flags_reg) {
        g->flags_in = false;
        g->flags_now = g->vanished[g->at] ? n->a : 0;
        g->n_operands = g->n_node_operands;
        if (g->flags_now != 0) {
            add_operand(g, g->flags_now);
        }
    }
    if (g->vanished[g->at]) {
        return;
    }
    if (g->alias_head[reg] != 0) {
        evacuate(g, reg);
    }
    if (g->pin_of[reg] < 0) {
        put_to_memory(g, reg, n->a);
        note_home(g, reg, g->root[n->a]);
        return;
    }
    const JitPin *p = &g->code->pin[g->pin_of[reg]];
    if (p->vector) {
        X86Xmm x = gen_xmm(g, n->a, p->host);

        if (x != p->host) {
            asm_movx(&g->as, p->host, x);
        }
    } else {
        gen_gpr_into(g, n->a, (X86Reg)p->host, false);
    }
    g->dirty |= 1u << g->pin_of[reg];
}

/* ---- nodes ---- */

static void emit_pure(Gen *g, const IrNode *n)
{
    switch (ir_op_class(n->op)) {
    case IR_CLASS_WIDE:
        if (!emit_wide(g, n)) {
            emit_call(g, n);
        }
        break;
    case IR_CLASS_TYPED:
        if (n->op == IR_select) {
            emit_select(g, n);
            break;
        }
        if (is_carrying(n)) {
            emit_carrying(g, n);
            break;
        }
        /* fall through */
    default:
        emit_integer(g, n);
        break;
    }
}

static void emit_node(Gen *g, const IrNode *n)
{
    switch (n->op) {
    case IR_get:
        emit_get(g, n);
        break;
    case IR_put:
        emit_put(g, n);
        break;
    case IR_flags:
    case IR_flags_cond:
    case IR_flags_unpack:
        emit_flags(g, n);
        break;
    case IR_flags_select:
        emit_select(g, n);
        break;
    case IR_load:
    case IR_store:
        emit_access(g, n);
        break;
    case IR_call:
        if ((n->helper->effects & ~IR_STATUS) != IR_PURE) {
            host_give_all(g);
        }
        if (!emit_helper(g, n)) {
            emit_call(g, n);
        }
        break;
    case IR_guard:
        emit_guard(g, n);
        break;
    default:
        if (ir_is_exit(n->op)) {
            emit_exit(g, n);
        } else {
            emit_pure(g, n);
        }
        break;
    }
}

/* @operand: those of the node, and 0. */
static void emit_with(Gen *g, const IrNode *n, const uint16_t *operand)
{
    bool early = frees_early(n);

    narrow_follow(g, g->at, g->narrow);
    g->lock_gpr = g->lock_xmm = 0;
    for (const uint16_t *o = operand; *o != 0; o++) {
        lock_operand(g, *o);
        g->next_use[*o] = g->region ? g->use_after[o - g->operand] : 0;
    }
    for (const uint16_t *o = operand; early && *o != 0; o++) {
        if (g->val[*o].kind != AT_MEM) { /* a temporary could be overwritten too early */
            release_if_last(g, *o, g->at);
        }
    }
    emit_node(g, n);
    for (const uint16_t *o = operand; *o != 0; o++) {
        release_if_last(g, *o, g->at);
    }
    for (unsigned k = g->n_node_operands; k < g->n_operands; k++) {
        release_if_last(g, g->operand[k], g->at);
    }
}

static void emit_nodes(Gen *g)
{
    const uint16_t *operand = g->operand;

    for (unsigned k = 0; k < g->n_emitted && !g->failed; k++) {
        const IrNode *n = gen_node(g, g->live[k]);

        g->at = g->live[k];
        if (n->op == IR_insn) {
            g->insn++;
            g->insn_pc = n->imm;
        } else {
            emit_with(g, n, operand);
            while (*operand++ != 0) {
            }
        }
    }
}

/* ---- parts ---- */

static void begin_part(Gen *g, unsigned part)
{
    const IrBlock *ir = g->parts[part].ir;
    size_t         n = ir->n;

    g->part = part;
    g->ir = ir;
    g->pc = g->parts[part].pc;
    g->key = g->parts[part].exit_key;
    g->ask_key = g->parts[part].asks_key;
    g->n_slot_users = 0;
    g->rmw.store = 0;
    g->state_next = 0;
    g->host_flags.at = NULL;
    g->insn = UINT_MAX; /* none yet */
    g->insn_pc = 0;
    memset(g->mode, 0, n);
    memset(g->vanished, 0, n);
    memset(g->put_at, 0, n * sizeof(g->put_at[0]));
    memset(g->uses, 0, n * sizeof(g->uses[0]));
    memset(g->lazy_uses, 0, n * sizeof(g->lazy_uses[0]));
    memset(g->carry_uses, 0, n * sizeof(g->carry_uses[0]));
    memset(g->leaves_carry, 0, n);
    memset(g->last_use, 0, n * sizeof(g->last_use[0]));
    memset(g->next_use, 0, n * sizeof(g->next_use[0]));
    memset(g->home, 0, n * sizeof(g->home[0]));
    memset(g->stored, 0, ir->n_regs * sizeof(g->stored[0]));
    memset(g->hint, 0, n * sizeof(g->hint[0]));
    memset(g->partner, 0, n * sizeof(g->partner[0]));
    memset(g->twin, 0, n * sizeof(g->twin[0]));
    memset(g->lazy_result, 0, n * sizeof(g->lazy_result[0]));
    memset(g->val, 0, n * sizeof(g->val[0]));
    memset(g->alias_head, 0, ir->n_regs * sizeof(g->alias_head[0]));
    memset(g->temp_busy, 0, sizeof(g->temp_busy));
    g->temp_busy[0] = mask64(RMW_TEMP + 1); /* temp[0] is always zero, the next may hold Hosts */
    find_puts(g);
    guard_drop(g);
    words_follow(g);
    count_uses(g);
    choose_modes(g);
    find_unwritten_flags(g);
    find_carries(g);
}

/* What else is to be known before code is made. */
static void find_places(Gen *g)
{
    find_groups(g);
    find_last_uses(g);
    if (g->region) {
        find_next_uses(g);
    }
    find_hints(g);
}

static void init_registers(Gen *g)
{
    g->pins_gpr = g->pins_xmm = 0;
    for (unsigned r = 0; r < 16; r++) {
        g->gpr[r] = REG_NEVER;
        g->xmm[r] = r < FIRST_XMM ? REG_NEVER : REG_FREE;
    }
    for (unsigned i = 0; i < N_GPR; i++) {
        g->gpr[gpr_order[i]] = REG_FREE;
    }
    for (unsigned i = 0; i < g->code->n_pins; i++) {
        const JitPin *p = &g->code->pin[i];

        (p->vector ? g->xmm : g->gpr)[p->host] = REG_PINNED;
        *(p->vector ? &g->pins_xmm : &g->pins_gpr) |= 1u << p->host;
    }
}

/* ---- pins ---- */

/* How much each guest register is used, a part in a loop counts eightfold; and whether there is floating point. */
static void weigh_part(Gen *g, const IrBlock *ir, unsigned factor)
{
    for (unsigned k = 0; k < ir->n_state; k++) {
        const IrNode *n = &ir->node[ir->state[k]];

        if (n->op == IR_get || n->op == IR_put) {
            if (g->weight[n->imm] == 0) {
                g->used_reg[g->n_used_regs++] = (uint16_t)n->imm;
            }
            g->weight[n->imm] += factor;
        } else if (n->op == IR_call) {
            g->has_fp |= fp_may_raise(n);
        }
    }
}

/* The heaviest register of a class that has no pin yet and weighs at least @least; -1: none. */
static int heaviest(const Gen *g, bool vector, unsigned least)
{
    int best = -1;

    for (unsigned i = 0; i < g->n_used_regs; i++) {
        unsigned r = g->used_reg[i];
        IrType   ty = g->parts[0].ir->regs[r].type;

        if (g->pin_of[r] < 0 && ty == (vector ? IR_V128 : IR_I64) && g->weight[r] >= least &&
            !g->parts[0].ir->regs[r].seldom && (best < 0 || g->weight[r] > g->weight[best])) {
            best = (int)r;
        }
    }
    return best;
}

static void add_pin(Gen *g, unsigned reg, bool vector, unsigned host)
{
    JitPin *p = &g->code->pin[g->code->n_pins];

    *p = (JitPin){ .guest = (uint16_t)reg, .offset = (uint16_t)g->parts[0].ir->regs[reg].offset,
                   .vector = vector, .host = (uint8_t)host };
    g->pin_of[reg] = (int8_t)g->code->n_pins;
    g->code->n_pins++;
}

static void choose_pins(Gen *g)
{
    unsigned least = g->region ? 2 : 3;
    int      reg;

    for (unsigned i = 0; i < g->n_used_regs; i++) { /* of the block before */
        g->weight[g->used_reg[i]] = 0;
        g->pin_of[g->used_reg[i]] = -1;
    }
    g->n_used_regs = 0;
    g->has_fp = false;
    g->code->n_pins = 0;
    for (unsigned p = 0; p < g->n_parts; p++) {
        weigh_part(g, g->parts[p].ir, g->part_state[p].loops ? 8 : 1);
    }
    for (unsigned i = 0; i < PIN_GPR && (reg = heaviest(g, false, least)) >= 0; i++) {
        add_pin(g, (unsigned)reg, false, gpr_order[i]);
    }
    for (unsigned i = 0; i < PIN_XMM && (reg = heaviest(g, true, least)) >= 0; i++) {
        add_pin(g, (unsigned)reg, true, FIRST_XMM + i);
    }
}

/* ---- which pins are stored and loaded where ---- */

static void find_pin_uses(const Gen *g, PartState *part, const IrBlock *ir)
{
    part->reads = part->writes = part->dirty = part->wants = 0;
    for (unsigned k = 0; g->code->n_pins != 0 && k < ir->n_state; k++) {
        const IrNode *n = &ir->node[ir->state[k]];

        if ((n->op == IR_get || n->op == IR_put) && g->pin_of[n->imm] >= 0) {
            uint32_t bit = 1u << g->pin_of[n->imm];

            part->reads |= n->op == IR_get && !(part->writes & bit) ? bit : 0;
            part->writes |= n->op == IR_put ? bit : 0;
        }
    }
}

/* A part whose exit may store pins that others made dirty: all of a table's parts share the code for that. */
static bool shares_exit(const Gen *g, unsigned p)
{
    return g->parts[p].ir->node[g->parts[p].ir->n - 1].op == IR_exit_indirect;
}

/*
 * Pins that may be dirty when a part starts are those that may be so at the end of a part before it. A pin that may be
 * stored must hold the register's value: it is wanted like one that is read.
 */
static void find_dirty_pins(Gen *g)
{
    uint32_t shared = 0;
    bool     more = true;

    for (unsigned p = 0; p < g->n_parts; p++) {
        find_pin_uses(g, &g->part_state[p], g->parts[p].ir);
    }
    while (more) {
        more = false;
        for (unsigned p = 0; p < g->n_parts; p++) {
            PartState *s = &g->part_state[p];

            for (uint32_t next = s->next; next != 0; next &= next - 1) {
                PartState *to = &g->part_state[__builtin_ctz(next)];
                uint32_t   dirty = to->dirty | s->dirty | s->writes;

                more |= dirty != to->dirty;
                to->dirty = dirty;
            }
        }
    }
    for (unsigned p = 0; p < g->n_parts; p++) {
        shared |= shares_exit(g, p) ? g->part_state[p].dirty | g->part_state[p].writes : 0;
    }
    for (more = true; more;) {
        more = false;
        for (unsigned p = g->n_parts; p-- > 0;) {
            PartState *s = &g->part_state[p];
            uint32_t   after = shares_exit(g, p) && g->region ? shared : 0, wants;

            for (uint32_t next = s->next; next != 0; next &= next - 1) {
                after |= g->part_state[__builtin_ctz(next)].wants;
            }
            wants = s->reads | s->dirty | (after & ~s->writes);
            more |= wants != s->wants;
            s->wants = wants;
        }
    }
}

/* ---- entries ---- */

void gen_count_time(Gen *g, unsigned part, AsmLabel *out)
{
    asm_alu_mi(&g->as, ALU_SUB, true, gen_mem(offsetof(Cpu, left)), gen_price(g, part));
    asm_jcc(&g->as, CC_S, out);
}

void gen_out_of_time(Gen *g, unsigned part, AsmLabel *out, uint32_t dirty)
{
    if (out->fixup < 0) {
        return; /* nobody goes there */
    }
    asm_bind(&g->as, out);
    asm_alu_mi(&g->as, ALU_ADD, true, gen_mem(offsetof(Cpu, left)), gen_price(g, part));
    if (g->part_state[part].how != 0) {
        asm_store_i(&g->as, 2, gen_mem(offsetof(Cpu, flags_how)), (int32_t)g->part_state[part].how);
    }
    gen_store_pins(g, dirty);
    asm_mov_ri(&g->as, RAX, g->parts[part].pc);
    asm_jmp_to(&g->as, g->j->leave_time);
}

/* ---- the whole ---- */

/* Neighbours have slots side by side. */
static unsigned heat_slot(uint64_t pc)
{
    return (unsigned)((pc >> 2) + (pc >> PAGE_BITS) * 0x9e3779b1u) & (CPU_HEAT - 1);
}

void jit_warm(Cpu *cpu, uint64_t pc) { cpu->heat[heat_slot(pc)] = 16; }

void jit_cool(Cpu *cpu, uint64_t pc) { cpu->heat[heat_slot(pc)] = cpu->engine->hot; }

/* Whether a later part leads back to it; the entry is where it is. */
static bool is_loop_head(const Gen *g, unsigned part)
{
    for (unsigned p = part; p < g->n_parts && part > 0; p++) {
        if (g->part_state[p].next >> part & 1) {
            return true;
        }
    }
    return false;
}

static void emit_body(Gen *g, unsigned part)
{
    begin_part(g, part);
    find_places(g);
    init_registers(g);
    g->dirty = g->part_state[part].dirty;
    memcpy(g->narrow, g->part_state[part].narrow, sizeof(g->narrow));
    g->flags_now = 0;
    g->flags_in = g->flags_reg >= 0;
    g->passed = g->part_state[part].how != 0 && passes_flags(g, part) ? g->part_state[part].how : 0;
    if (is_loop_head(g, part)) {
        asm_align(&g->as, 32);
    }
    asm_bind(&g->as, &g->part_state[part].body);
    emit_nodes(g);
}

/* How the flags follow at the start of a part, where that is the same on each edge that leads there; else 0. */
static uint32_t how_on_all_edges(const Gen *g, unsigned part, bool copied)
{
    uint32_t how = 0;

    for (unsigned p = 0; p < g->n_parts; p++) {
        uint32_t out = copied ? g->part_state[p].copied_out : g->part_state[p].how_out;

        if (!(g->part_state[p].next >> part & 1)) {
            continue;
        }
        if (out == 0 || (how != 0 && how != out)) {
            return 0;
        }
        how = out;
    }
    return gen_holds_flags(g, part, how, true) ? how : 0;
}

/* Whether it is worth while that the flags follow from copies: unless an edge need only say what they follow from. */
static bool takes_copies(const Gen *g, unsigned part)
{
    for (unsigned p = 0; p < g->n_parts; p++) {
        if ((g->part_state[p].next >> part & 1) && gen_holds_flags(g, part, g->part_state[p].how_out, false)) {
            return false;
        }
    }
    return true;
}

/* Finds parts where the flags follow from the same on all edges. Parts that pass flags on tell those behind them. */
static void spread_flags(Gen *g, bool copied)
{
    bool more = true;

    while (more) {
        more = false;
        for (unsigned p = 1; p < g->n_parts; p++) {
            PartState *s = &g->part_state[p];

            if (s->how != 0 || !s->wants_flags || (copied && !takes_copies(g, p))) {
                continue;
            }
            s->how = how_on_all_edges(g, p, copied);
            if (s->how != 0 && passes_flags(g, p)) {
                s->how_out = copied ? 0 : s->how;
                s->copied_out = how_from_copies(s->how);
            }
            more |= s->how != 0;
        }
    }
}

/* Whether a part writes flags that one behind it may look at. */
static bool has_flags_wanted(const Gen *g, unsigned part)
{
    bool wanted = false;

    for (uint32_t next = g->part_state[part].next; next != 0; next &= next - 1) {
        wanted |= g->part_state[__builtin_ctz(next)].wants_flags;
    }
    return wanted && !passes_flags(g, part);
}

/* What of the flags need not even be said on edges inside the region: the entry's are anything. */
static void find_flags_on_edges(Gen *g)
{
    if (!g->region) {
        return;
    }
    for (unsigned p = 0; p < g->n_parts; p++) {
        if (has_flags_wanted(g, p)) {
            begin_part(g, p);
            g->part_state[p].how_out = how_from_registers(g);
            g->part_state[p].copied_out = how_if_copied(g, g->pending);
        }
    }
    spread_flags(g, false);
    spread_flags(g, true);
}

/* By which C finds the block: its place in the arena. */
static uint32_t block_number(const Gen *g)
{
    return (uint32_t)(((const uint8_t *)g->block - g->arena->base) / JIT_BLOCK_UNIT);
}

/* The way out when the block is not entered is before its entry: jumps there are short. */
static void emit_entry(Gen *g)
{
    uint32_t loads = g->part_state[0].wants;

    g->entry_out = ASM_LABEL;
    asm_bind(&g->as, &g->entry_out);
    gen_call_for(g, g->j->leave_entry, block_number(g));
    g->code->entry = g->as.p;
    gen_count_time(g, 0, &g->entry_out);
    if (!g->region) {
        int32_t at = (int32_t)(offsetof(Cpu, heat) + heat_slot(g->parts[0].pc) * sizeof(uint32_t));

        asm_alu_mi(&g->as, ALU_SUB, false, gen_mem(at), 1);
        asm_jcc(&g->as, CC_S, &g->entry_out);
    }
    if (g->has_fp) {
        fp_enter(g);
    }
    for (unsigned i = 0; i < g->code->n_pins; i++) {
        if (loads >> i & 1) {
            load_pin(g, &g->code->pin[i]);
        }
    }
    narrow_check(g);
}

/* Parts that a part may lead to, as bits. */
static uint32_t successors(const Gen *g, unsigned p)
{
    const JitPart *from = &g->parts[p];
    const IrNode  *x = &from->ir->node[from->ir->n - 1];
    uint32_t       set = 0;

    for (unsigned q = g->first_target; g->region && q < g->n_parts; q++) {
        const JitPart *to = &g->parts[q];
        bool leads = x->op == IR_exit_jump ? to->pc == x->imm : x->op == IR_exit_branch ?
                     to->pc == x->imm || to->pc == x->imm2 : x->op == IR_exit_indirect && to->by_address;

        set |= leads && jit_may_lead(from, to->key) ? 1u << q : 0;
    }
    return set;
}

int gen_find_part(const Gen *g, uint64_t pc)
{
    for (unsigned p = g->first_target; g->region && !g->ask_key && p < g->n_parts; p++) {
        if (g->parts[p].pc == pc && g->parts[p].key == g->key) {
            return (int)p;
        }
    }
    return -1;
}

/* ---- what is paid ahead ---- */

enum { AHEAD_MAX = 32 }; /* instructions: a run that ends among them takes them one by one */

/* Whether nothing at the end of a block can be a reason to look up before the next one is entered. */
static bool ends_quietly(const IrBlock *ir)
{
    unsigned i = ir->n;

    while (--i > 0 && ir->node[i].op != IR_insn) {
        if (sees_registers(&ir->node[i])) {
            return false;
        }
    }
    return !ir->ends;
}

/* Whether a part pays for @to rather than for @than; -1: for none. */
static bool is_likelier(const Gen *g, int to, int than)
{
    if (than < 0) {
        return true;
    }
    const PartState *a = &g->part_state[to], *b = &g->part_state[than];
    return a->loops != b->loops ? a->loops : gen_price(g, (unsigned)to) < gen_price(g, (unsigned)than);
}

/*
 * A part pays for the one that it goes on to most likely: such an edge costs nothing, others pay or get back the
 * difference. Along a loop that adds up to its instructions: some edge pays, and asks whether there is time.
 */
static void find_payments(Gen *g)
{
    for (unsigned p = g->n_parts; p-- > 0;) {
        PartState *s = &g->part_state[p];
        const IrBlock *ir = g->parts[p].ir;
        bool       by_table = ir->node[ir->n - 1].op == IR_exit_indirect && __builtin_popcount(s->next) > JIT_COMPARED;
        int        next = -1;

        for (uint32_t after = s->next >> p >> 1 << p << 1; after != 0; after &= after - 1) {
            int to = __builtin_ctz(after);

            next = is_likelier(g, to, next) ? to : next;
        }
        if (next >= 0 && !by_table && ends_quietly(ir) && gen_price(g, (unsigned)next) <= AHEAD_MAX) {
            s->ahead = (unsigned)gen_price(g, (unsigned)next);
        }
    }
}

/* Loops, for weights and alignment; and which parts want the flags register at their start. */
static void find_shape(Gen *g)
{
    uint32_t reach[JIT_MAX_PARTS];

    find_flags_reg(g, g->parts[0].ir);
    for (unsigned p = 0; p < g->n_parts; p++) {
        g->part_state[p] = (PartState){ .body = ASM_LABEL, .out = ASM_LABEL, .entry = ASM_LABEL,
                                        .n_insns = g->parts[p].ir->n_insns };
        reach[p] = g->part_state[p].next = successors(g, p);
        if (g->region) {
            find_flags_wanted(&g->part_state[p], g->parts[p].ir, g->flags_reg);
        }
    }
    for (unsigned q = 0; q < g->n_parts; q++) { /* by way of the parts up to q */
        for (unsigned p = 0; p < g->n_parts; p++) {
            reach[p] |= reach[p] >> q & 1 ? reach[q] : 0;
        }
    }
    for (unsigned p = 0; p < g->n_parts; p++) {
        g->part_state[p].loops = reach[p] >> p & 1;
    }
    find_payments(g);
}

/*
 * Where a loop leads back to the entry, the entry gets a copy of its part for itself: the flags are anything there, but
 * what the copy leaves for the loop is known, as on the loop's other edges.
 */
static void peel_entry(Gen *g)
{
    const PartState *entry = &g->part_state[0];

    if (!g->region || !entry->loops || !entry->wants_flags || g->n_parts == JIT_MAX_PARTS) {
        return;
    }
    g->peeled[0] = g->parts[0];
    memcpy(&g->peeled[1], g->parts, g->n_parts * sizeof(g->parts[0]));
    g->parts = g->peeled;
    g->n_parts++;
    g->first_target = 1;
    find_shape(g);
}

static LowerResult generate(Gen *g, CpuBlock **out)
{
    Jit     *j = g->j;
    Arena    before = *g->arena;
    uint32_t n_sites = j->n_sites, n_slots = j->n_slots, n_exits = j->n_exits, n_calls = j->n_calls;
    uint32_t n_pool = j->n_pool, n_traps = j->n_traps;

    g->block = arena_alloc(g->arena, sizeof(CpuBlock));
    g->code = arena_alloc(g->arena, sizeof(JitCode));
    g->failed = g->arena_full = g->block == NULL || g->code == NULL;
    if (!g->failed) {
        find_shape(g);
        peel_entry(g);
        guard_find(g);
        words_find(g);
        choose_pins(g);
        arena_trim(g->arena, g->code, offsetof(JitCode, pin) + g->code->n_pins * sizeof(JitPin));
        find_dirty_pins(g);
        narrow_find(g);
        find_flags_on_edges(g);
        j->flags_offset = g->flags_reg >= 0 ? (uint16_t)g->parts[0].ir->regs[g->flags_reg].offset : 0;
        g->n_cold = 0;
        emit_tables(g);
        emit_entry(g);
        for (unsigned p = 0; p < g->n_parts && !g->failed; p++) {
            emit_body(g, p);
        }
        emit_table_entries(g);
        if (g->expects != 0) {
            asm_bind(&g->as, &g->entry_wide);
            gen_call_for(g, j->leave_wide, block_number(g));
        }
        for (unsigned p = 0; p < g->n_parts; p++) {
            gen_out_of_time(g, p, &g->part_state[p].out, g->part_state[p].dirty);
        }
        emit_cold(g);
        g->arena_full |= g->as.full;
        g->failed |= g->as.full;
    }
    if (g->failed) {
        *g->arena = before;
        j->n_sites = n_sites;
        j->n_slots = n_slots;
        j->n_exits = n_exits;
        j->n_calls = n_calls;
        j->n_pool = n_pool;
        j->n_traps = n_traps;
        return g->arena_full ? LOWER_FULL : LOWER_TOO_COMPLEX;
    }
    g->code->size = (size_t)(g->as.p - g->code->entry);
    j->mem.used = (size_t)(g->as.p - j->mem.write);
    *g->block = (CpuBlock){ .n = (uint32_t)gen_price(g, 0), .code = g->code->entry + g->as.to_run, .jit = g->code };
    *out = g->block;
    return LOWER_OK;
}

Gen *gen_new(void)
{
    Gen *g = g_new0(Gen, 1);

    memset(g->pin_of, -1, sizeof(g->pin_of));
    return g;
}

static LowerResult compile(Jit *j, const JitPart *parts, unsigned n, bool region, uint64_t pa, Arena *arena,
                           CpuBlock **out)
{
    Gen        *g = j->gen;
    LowerResult res;

    g->j = j;
    g->arena = arena;
    g->parts = parts;
    g->n_parts = n;
    g->first_target = 0;
    g->region = region;
    g->pa = pa;
    code_mem_begin(&j->mem);
    asm_init(&g->as, j->mem.write + j->mem.used, j->mem.size - j->mem.used, j->mem.run - j->mem.write);
    res = generate(g, out);
    code_mem_end(&j->mem);
    return res;
}

LowerResult jit_compile(Jit *j, const IrBlock *ir, const JitSource *s, Arena *arena, CpuBlock **out)
{
    JitPart part = jit_part(j->engine, ir, s->pc, s->key);

    return compile(j, &part, 1, false, 0, arena, out);
}

LowerResult jit_compile_region(Jit *j, const JitPart *parts, unsigned n, uint64_t pa, Arena *arena, CpuBlock **out)
{
    return compile(j, parts, n, true, pa, arena, out);
}
