/*
 * From IR to operations of the executor. A dispatch costs about the same whatever the operation does, so the
 * aim is few operations: guest registers are operands (a get or put is an operation only where the register's
 * life does not allow more), constants are immediates, addresses, shifted operands, comparisons and flags
 * join their users.
 *
 * Steps: addresses, uses, which nodes join their user (Mode), life ranges, which gets and puts vanish,
 * emission.
 */
#include <string.h>

#include "cpu/engine.h"
#include "cpu/ir/block.h"

typedef enum Mode {
    MODE_NORMAL,
    MODE_DEAD,       /* no uses left */
    MODE_ALIAS,      /* its value lies in its operand's place */
    MODE_FUSED,      /* computed by its only user */
    MODE_SUNK,       /* x + constant, computed where it is put into a register, and then there */
    MODE_WITH_FLAGS, /* computed by the flags operation beside it */
    MODE_PAIRED,     /* a load or store that the next one does too */
} Mode;

typedef struct Address {
    IrRef    base, index; /* index: 0 for none */
    uint8_t  shift;
    uint64_t offset;
} Address;

enum { MAX_OPS = IR_MAX_NODES, MAX_LEAVES = 16, NO_TEMP = 0 };

typedef struct Lower {
    const IrBlock *ir;
    Arena         *arena;
    bool           failed;     /* out of temporaries, operations or arena */
    bool           arena_full;
    bool           ask_key;
    uint8_t        mode[IR_MAX_NODES];
    uint16_t       uses[IR_MAX_NODES];
    uint16_t       first_use[IR_MAX_NODES];
    uint16_t       last_use[IR_MAX_NODES];
    uint16_t next_write[IR_MAX_NODES]; /* of a get or put: who next writes the register; or the block's end */
    uint16_t       joined[IR_MAX_NODES];     /* two nodes that one operation does, each other */
    uint16_t       put_at[IR_MAX_NODES];     /* the first put of a value */
    uint16_t       reg[IR_MAX_NODES];        /* 1 + guest register that the value lives in; 0: a temporary */
    uint16_t       place[IR_MAX_NODES];      /* offset of the value once it is there */
    bool           vanished[IR_MAX_NODES];   /* puts whose value is computed into the register */
    Address        addr[IR_MAX_NODES];       /* of loads and stores */
    uint64_t       busy[CPU_TEMPS / 64];
    uint16_t       scratch[8]; /* temporaries of the operation being emitted */
    unsigned       n_scratch;
    IrRef          leaf[MAX_LEAVES];
    unsigned       n_leaves;
    unsigned       n_ops, n_insns;
    uint16_t       first_op[IR_MAX_INSNS];
    uint64_t       insn_pc[IR_MAX_INSNS];
    XOp            op[MAX_OPS];
} Lower;

static const IrNode *node(const Lower *l, IrRef r) { return &l->ir->node[r]; }
static bool          is_const(const Lower *l, IrRef r) { return node(l, r)->op == IR_const; }
static unsigned      width_of(const Lower *l, IrRef r) { return ir_type_bits(node(l, r)->type); }

/* ---- addresses ---- */

static bool add_of_constant(const Lower *l, IrRef r, uint64_t *k)
{
    const IrNode *n = node(l, r);

    if ((n->op != IR_add && n->op != IR_sub) || n->type != IR_I64 || !is_const(l, n->b)) {
        return false;
    }
    *k = n->op == IR_add ? node(l, n->b)->imm : 0 - node(l, n->b)->imm;
    return true;
}

static bool is_constant_shift(const Lower *l, IrRef r, unsigned op)
{
    const IrNode *n = node(l, r);

    return n->op == op && is_const(l, n->b) && node(l, n->b)->imm < ir_type_bits(n->type);
}

/* Accesses of the common kind have operations of their own. */
static bool is_plain(IrMem m)
{
    return !m.big && !m.align && m.space == 0 && !m.write_intent;
}

static void find_address(Lower *l, unsigned i)
{
    const IrNode *n = &l->ir->node[i];
    Address       a = { .base = n->a };
    uint64_t      k;

    /* A sum that was put into a register by now is there, and its own operand may be there no more. */
    while (add_of_constant(l, a.base, &k) && (l->put_at[a.base] == 0 || l->put_at[a.base] > i)) {
        a.offset += k;
        a.base = node(l, a.base)->a;
    }
    const IrNode *sum = node(l, a.base);
    if (a.offset == 0 && sum->op == IR_add && is_plain(n->mem) && n->mem.size_log2 <= 3) {
        a.index = sum->b;
        a.base = sum->a;
        if (is_constant_shift(l, a.index, IR_shl)) {
            a.shift = (uint8_t)node(l, node(l, a.index)->b)->imm;
            a.index = node(l, a.index)->a;
        }
    }
    l->addr[i] = a;
}

static bool is_memory(const IrNode *n) { return n->op == IR_load || n->op == IR_store; }

static void find_addresses(Lower *l)
{
    for (unsigned i = 1; i < l->ir->n; i++) {
        const IrNode *n = &l->ir->node[i];

        if (n->op == IR_put && l->put_at[n->a] == 0) {
            l->put_at[n->a] = (uint16_t)i;
        } else if (is_memory(n)) {
            find_address(l, i);
        }
    }
}

/* ---- uses ---- */

/* The operands of a node as the executor will take them. */
static unsigned operands(const Lower *l, unsigned i, IrRef out[3])
{
    const IrNode *n = &l->ir->node[i];
    IrRef         refs[3] = { n->a, n->b, n->c };
    unsigned      count = 0;

    if (is_memory(n)) {
        refs[0] = l->addr[i].base;
        refs[1] = l->addr[i].index;
        refs[2] = n->b;
    }
    for (unsigned k = 0; k < 3; k++) {
        if (refs[k] != 0) {
            out[count++] = refs[k];
        }
    }
    return count;
}

static bool has_effect(const IrNode *n)
{
    return n->op == IR_put || n->op == IR_store || n->op == IR_load || n->op == IR_insn ||
           n->op == IR_guard || ir_is_exit(n->op) ||
           (n->op == IR_call && (n->helper->effects & ~IR_READS) != 0);
}

static void count_uses(Lower *l)
{
    for (unsigned i = l->ir->n; i-- > 1;) {
        const IrNode *n = &l->ir->node[i];
        IrRef         refs[3];

        if (n->op == IR_NOP || (l->uses[i] == 0 && !has_effect(n))) {
            l->mode[i] = MODE_DEAD;
            continue;
        }
        for (unsigned k = operands(l, i, refs); k-- > 0;) {
            l->uses[refs[k]]++;
        }
    }
}

/* ---- modes ---- */

/* Whether a value's eight bytes hold it zero-extended. */
static bool is_canonical(const Lower *l, IrRef r)
{
    const IrNode *n = node(l, r);

    switch (n->op) {
    case IR_get:
    case IR_select:
        return n->type == IR_I64 || (n->op == IR_select && n->type == IR_I32);
    case IR_trunc:
    case IR_flags_pack:
        return false;
    case IR_call:
        return !n->helper->vector || n->type == IR_I64;
    case IR_zext:
        return l->mode[r] != MODE_ALIAS || is_canonical(l, n->a);
    default:
        return true;
    }
}

/* Where in its operand's place an alias lies. */
static unsigned alias_offset(const IrNode *n)
{
    return n->op == IR_hi64 ? 8 : n->op == IR_vget ? (unsigned)(n->imm >> 4) * 8 : 0;
}

static bool is_alias(const Lower *l, unsigned i)
{
    const IrNode *n = &l->ir->node[i];

    if (n->a == 0 || is_const(l, n->a)) {
        return false;
    }
    switch (n->op) {
    case IR_trunc:
    case IR_flags_pack:
    case IR_lo64:
    case IR_hi64:
        return true;
    case IR_zext:
        return is_canonical(l, n->a);
    case IR_vget:
        return (n->imm & 3) == 3 && (n->imm >> 4) * 64 + 64 <= width_of(l, n->a);
    case IR_vlow:
        return n->type == IR_V64;
    default:
        return false;
    }
}

static bool fusable(const Lower *l, IrRef r)
{
    return l->uses[r] == 1 && l->mode[r] == MODE_NORMAL;
}

static bool is_comparison(const Lower *l, IrRef r)
{
    const IrNode *n = node(l, r);

    return ir_op_class(n->op) == IR_CLASS_CMP && (n->kind == IR_I64 || n->kind == IR_I32) &&
           !is_const(l, n->a);
}

/* x & constant compared with zero, under a branch. */
static bool is_bit_test(const Lower *l, IrRef r)
{
    const IrNode *n = node(l, r);

    return (n->op == IR_cmpeq || n->op == IR_cmpne) && is_const(l, n->b) && node(l, n->b)->imm == 0 &&
           node(l, n->a)->op == IR_and && is_const(l, node(l, n->a)->b) && !is_const(l, node(l, n->a)->a);
}

static void fuse_branch(Lower *l, const IrNode *n)
{
    if (!fusable(l, n->a)) {
        return;
    }
    if (is_comparison(l, n->a)) {
        IrRef masked = node(l, n->a)->a;

        if (is_bit_test(l, n->a) && fusable(l, masked)) {
            l->mode[masked] = MODE_FUSED;
        }
        l->mode[n->a] = MODE_FUSED;
    } else if (node(l, n->a)->op == IR_flags_cond) {
        l->mode[n->a] = MODE_FUSED;
    }
}

static int shifted_code(unsigned op, unsigned shift, bool wide)
{
#define SHIFTED(name)                                                             \
    case IR_##name:                                                               \
        return shift == IR_shl   ? (wide ? X_##name##_shl_64 : X_##name##_shl_32) \
               : shift == IR_shr ? (wide ? X_##name##_shr_64 : X_##name##_shr_32) \
               : shift == IR_sar ? (wide ? X_##name##_sar_64 : X_##name##_sar_32) \
                                 : -1;
    switch (op) {
        SHIFTED(add)
        SHIFTED(sub)
        SHIFTED(and)
        SHIFTED(or)
        SHIFTED(xor)
    default:
        return -1;
    }
}

static bool is_shifted(const Lower *l, const IrNode *n, IrRef operand)
{
    const IrNode *s = node(l, operand);

    return shifted_code(n->op, s->op, true) >= 0 && is_constant_shift(l, operand, s->op) &&
           fusable(l, operand) && !is_const(l, s->a) && ir_type_bits(n->type) >= 32;
}

static void fuse_shift(Lower *l, const IrNode *n)
{
    if (n->b != 0 && is_shifted(l, n, n->b) && !is_const(l, n->a)) {
        l->mode[n->b] = MODE_FUSED;
    }
}

/* The second operand is a shift that this operation does itself. */
static bool has_fused_shift(const Lower *l, const IrNode *n)
{
    return n->b != 0 && l->mode[n->b] == MODE_FUSED && shifted_code(n->op, node(l, n->b)->op, true) >= 0;
}

static bool is_zero_or_one(const Lower *l, const IrNode *n)
{
    return n->op == IR_select && ir_type_bits(n->type) <= 64 && is_const(l, n->b) && is_const(l, n->c) &&
           node(l, n->b)->imm + node(l, n->c)->imm == 1 && node(l, n->b)->imm <= 1;
}

/* select(comparison, 1, 0) and (.., 0, 1) are the comparison or its opposite. */
static void fuse_set(Lower *l, const IrNode *n)
{
    if (is_zero_or_one(l, n) && fusable(l, n->a) &&
        (is_comparison(l, n->a) || node(l, n->a)->op == IR_flags_cond)) {
        l->mode[n->a] = MODE_FUSED;
    }
}

/* The flags operation at @i delivers the result of the arithmetic just before it too. */
static void join_flags(Lower *l, unsigned i)
{
    const IrNode *f = &l->ir->node[i];
    unsigned      op = f->kind == IR_FLAGS_ADD ? IR_add : f->kind == IR_FLAGS_SUB ? IR_sub : IR_and;

    if (f->c != 0) {
        return;
    }
    for (unsigned j = i - 1; j > 0 && l->ir->node[j].op != IR_insn; j--) {
        const IrNode *n = &l->ir->node[j];
        bool          same = f->kind == IR_FLAGS_LOGIC ? f->a == j : n->a == f->a && n->b == f->b;
        IrRef         refs[3];

        if (n->op == op && same && l->mode[j] == MODE_NORMAL && !is_const(l, n->a) &&
            !has_fused_shift(l, n)) {
            l->mode[j] = MODE_WITH_FLAGS;
            l->joined[j] = (uint16_t)i;
            l->joined[i] = (uint16_t)j;
            return;
        }
        if (l->mode[j] == MODE_NORMAL && operands(l, j, refs) != 0) {
            return; /* it may use the result */
        }
    }
}

/* Both are plain 8-byte accesses of one kind, the second right above the first. */
static bool is_pair(const Lower *l, unsigned i, unsigned j)
{
    const IrNode  *n = &l->ir->node[i], *m = &l->ir->node[j];
    const Address *a = &l->addr[i], *b = &l->addr[j];

    return m->op == n->op && is_plain(m->mem) && m->mem.size_log2 == 3 && n->mem.size_log2 == 3 &&
           is_plain(n->mem) && a->index == 0 && b->index == 0 && a->base == b->base &&
           a->offset == b->offset + 8 && a->base != j;
}

/* The access at @i does the one just before it too (LDP, STP). */
static void join_access(Lower *l, unsigned i)
{
    for (unsigned j = i - 1; j > 0 && l->ir->node[j].op != IR_insn; j--) {
        const IrNode *n = &l->ir->node[j];

        if (l->mode[j] != MODE_NORMAL || n->op == IR_const || n->op == IR_get) {
            continue;
        }
        if (is_memory(n) && l->joined[j] == 0 && is_pair(l, i, j)) {
            l->mode[j] = MODE_PAIRED;
            l->joined[j] = (uint16_t)i;
            l->joined[i] = (uint16_t)j;
        }
        return;
    }
}

static void choose_modes(Lower *l)
{
    for (unsigned i = 1; i < l->ir->n; i++) {
        const IrNode *n = &l->ir->node[i];

        if (l->mode[i] != MODE_NORMAL) {
            continue;
        }
        if (is_alias(l, i)) {
            l->mode[i] = MODE_ALIAS;
        } else if (n->op == IR_exit_branch) {
            fuse_branch(l, n);
        } else if (n->op == IR_select) {
            fuse_set(l, n);
        } else if (n->op == IR_flags) {
            join_flags(l, i);
        } else if (is_memory(n)) {
            join_access(l, i);
        } else if (ir_op_class(n->op) == IR_CLASS_PURE) {
            fuse_shift(l, n);
        }
    }
}

/* ---- life ranges ---- */

static void add_leaf(Lower *l, IrRef r)
{
    const IrNode *n = node(l, r);

    if (l->mode[r] != MODE_ALIAS && l->mode[r] != MODE_FUSED) {
        g_assert(l->n_leaves < MAX_LEAVES);
        l->leaf[l->n_leaves++] = r;
        return;
    }
    add_leaf(l, n->a);
    if (n->b != 0) {
        add_leaf(l, n->b);
    }
    if (n->c != 0) {
        add_leaf(l, n->c);
    }
}

/* The values that the operation emitted at node @i reads. */
static void find_leaves(Lower *l, unsigned i)
{
    IrRef    refs[3];
    unsigned n = operands(l, i, refs);

    l->n_leaves = 0;
    if (l->ir->node[i].op == IR_put && l->mode[refs[0]] == MODE_SUNK && l->put_at[refs[0]] == i) {
        add_leaf(l, node(l, refs[0])->a); /* the sum is computed here */
        return;
    }
    for (unsigned k = 0; k < n; k++) {
        add_leaf(l, refs[k]);
    }
    if (l->joined[i] != 0) {
        for (unsigned k = operands(l, l->joined[i], refs); k-- > 0;) {
            add_leaf(l, refs[k]);
        }
    }
}

static bool is_emitted(const Lower *l, unsigned i)
{
    return l->mode[i] == MODE_NORMAL && l->ir->node[i].op != IR_insn && l->ir->node[i].op != IR_const;
}

static void find_last_uses(Lower *l)
{
    for (unsigned i = 1; i < l->ir->n; i++) {
        if (is_emitted(l, i)) {
            find_leaves(l, i);
            for (unsigned k = 0; k < l->n_leaves; k++) {
                IrRef r = l->leaf[k];

                l->last_use[r] = (uint16_t)i;
                l->first_use[r] = l->first_use[r] == 0 ? (uint16_t)i : l->first_use[r];
            }
        }
    }
}

static void find_writes(Lower *l)
{
    uint16_t next[IR_MAX_REGS];

    for (size_t r = 0; r < l->ir->n_regs; r++) {
        next[r] = (uint16_t)l->ir->n;
    }
    for (unsigned i = l->ir->n; i-- > 1;) {
        const IrNode *n = &l->ir->node[i];

        if (n->op == IR_get || n->op == IR_put) {
            l->next_write[i] = next[n->imm];
        }
        if (n->op == IR_put) {
            next[n->imm] = (uint16_t)i;
        } else if (n->op == IR_call && (n->helper->effects & (IR_WRITES | IR_STATUS)) != 0) {
            for (size_t r = 0; r < l->ir->n_regs; r++) {
                if ((n->helper->effects & IR_WRITES) != 0 || l->ir->regs[r].status) {
                    next[r] = (uint16_t)i;
                }
            }
        }
    }
}

/* x + constant whose first use is to be put into a register, later than a possible fault, is computed at
 * the put. */
static void sink_sums(Lower *l)
{
    for (unsigned i = 1; i < l->ir->n; i++) {
        const IrNode *n = &l->ir->node[i];
        IrRef         v = n->a;
        uint64_t      k;

        if (n->op != IR_put || l->first_use[v] != i || l->mode[v] != MODE_NORMAL ||
            !add_of_constant(l, v, &k) || l->ir->regs[n->imm].type != IR_I64) {
            continue;
        }
        IrRef x = node(l, v)->a;
        if (node(l, x)->op == IR_get && l->next_write[x] >= i && l->last_use[v] <= l->next_write[i]) {
            l->mode[v] = MODE_SUNK;
            l->reg[v] = (uint16_t)(n->imm + 1);
            l->last_use[x] = MAX(l->last_use[x], (uint16_t)i);
        }
    }
}

/* A get is no operation when nobody writes the register before the value's last use. */
static void place_gets(Lower *l)
{
    for (unsigned i = 1; i < l->ir->n; i++) {
        const IrNode *n = &l->ir->node[i];

        if (n->op == IR_get && l->mode[i] == MODE_NORMAL && l->last_use[i] <= l->next_write[i]) {
            l->reg[i] = (uint16_t)(n->imm + 1);
        }
    }
}

/* ---- puts ---- */

/* The node that computes what a put writes, if that can write into the register; or 0. */
static IrRef computed_by(const Lower *l, IrRef v, IrType reg)
{
    while (l->mode[v] == MODE_ALIAS && node(l, v)->op == IR_zext) {
        v = node(l, v)->a;
    }
    const IrNode *n = node(l, v);

    if (l->mode[v] != MODE_NORMAL && l->mode[v] != MODE_WITH_FLAGS && l->mode[v] != MODE_PAIRED) {
        return 0;
    }
    if (n->op == IR_const || l->reg[v] != 0) {
        return 0; /* a get that needs a copy may be copied into the register */
    }
    if (n->op == IR_call && n->helper->vector && (n->helper->effects & IR_FAULTS) != 0) {
        return 0; /* it might write before it faults */
    }
    if (reg == IR_I64) {
        bool own = n->op == IR_call && n->helper->vector; /* writes as many bytes as it likes */

        return ir_type_is_int(n->type) && is_canonical(l, v) && !own ? v : 0;
    }
    if (reg == IR_FLAGS) {
        return n->op == IR_flags || n->op == IR_flags_select || n->op == IR_flags_unpack ? v : 0;
    }
    return reg == IR_V128 && n->type == IR_V128 ? v : 0;
}

static bool reads_register(Lower *l, unsigned i, unsigned reg)
{
    find_leaves(l, i);
    for (unsigned k = 0; k < l->n_leaves; k++) {
        if (l->reg[l->leaf[k]] == reg + 1) {
            return true;
        }
    }
    return false;
}

/* Whether the register may be written at node @from already instead of at its put @to. */
static bool may_write_early(Lower *l, unsigned from, unsigned to, unsigned reg)
{
    for (unsigned i = from + 1; i < to; i++) {
        const IrNode *n = &l->ir->node[i];

        if (!is_emitted(l, i)) {
            continue;
        }
        unsigned effects = ir_node_effects(n) & (l->ir->regs[reg].status ? ~0u : ~(unsigned)IR_STATUS);

        if (effects != IR_PURE || ((n->op == IR_get || n->op == IR_put) && n->imm == reg) ||
            reads_register(l, i, reg)) {
            return false;
        }
    }
    return true;
}

static void place_puts(Lower *l)
{
    for (unsigned i = 1; i < l->ir->n; i++) {
        const IrNode *n = &l->ir->node[i];

        if (n->op != IR_put) {
            continue;
        }
        unsigned reg = (unsigned)n->imm;
        IrRef    v = computed_by(l, n->a, l->ir->regs[reg].type);
        unsigned at = v != 0 && l->mode[v] != MODE_NORMAL ? l->joined[v] : v;

        if (v != 0 && l->last_use[v] <= l->next_write[i] && may_write_early(l, at, i, reg)) {
            l->reg[v] = (uint16_t)(reg + 1);
            l->vanished[i] = true;
        }
    }
}

/* ---- temporaries ---- */

static uint16_t temp_offset(unsigned t)
{
    _Static_assert(offsetof(Cpu, temp) + sizeof(((Cpu *)0)->temp) < 65536, "offsets have 16 bits");
    return (uint16_t)(offsetof(Cpu, temp) + t * sizeof(CpuTemp));
}

static unsigned temps_of(IrType ty)
{
    unsigned bytes = ir_type_bits(ty) / 8;

    return bytes <= sizeof(CpuTemp) ? 1 : bytes / (unsigned)sizeof(CpuTemp);
}

static bool is_busy(const Lower *l, unsigned t) { return l->busy[t / 64] >> (t % 64) & 1; }

static void set_busy(Lower *l, unsigned t, unsigned count, bool busy)
{
    for (unsigned i = t; i < t + count; i++) {
        l->busy[i / 64] = deposit64(l->busy[i / 64], i % 64, 1, busy);
    }
}

static uint16_t temp_alloc(Lower *l, IrType ty)
{
    unsigned count = temps_of(ty);

    for (unsigned t = 1, run = 0; t < CPU_TEMPS; t++) {
        run = is_busy(l, t) ? 0 : run + 1;
        if (run == count) {
            set_busy(l, t + 1 - count, count, true);
            return temp_offset(t + 1 - count);
        }
    }
    l->failed = true;
    return temp_offset(0);
}

static void temp_free(Lower *l, uint16_t offset, IrType ty)
{
    unsigned t = (unsigned)(offset - offsetof(Cpu, temp)) / (unsigned)sizeof(CpuTemp);

    if (t != 0) {
        set_busy(l, t, temps_of(ty), false);
    }
}

static uint16_t scratch(Lower *l)
{
    uint16_t t = temp_alloc(l, IR_I128);

    g_assert(l->n_scratch < G_N_ELEMENTS(l->scratch));
    return l->scratch[l->n_scratch++] = t;
}

/* ---- emission ---- */

static XOp *emit(Lower *l, XCode code)
{
    if (l->n_ops == MAX_OPS) {
        l->failed = true;
        l->n_ops = 0;
    }
    XOp *op = &l->op[l->n_ops++];

    *op = (XOp){ .code = code };
    return op;
}

static void *alloc(Lower *l, size_t size)
{
    static uint64_t nowhere[32]; /* lets a failing lowering go on to its end */
    void           *p = arena_alloc(l->arena, size);

    if (p == NULL) {
        g_assert(size <= sizeof(nowhere));
        l->failed = l->arena_full = true;
        return nowhere;
    }
    return memset(p, 0, size);
}

/* A constant of any type in a temporary that lives until the constant's last use. */
static uint16_t place_constant(Lower *l, IrRef r)
{
    const IrNode *n = node(l, r);
    unsigned      bytes = ir_type_bits(n->type) / 8;

    if (n->imm == 0 && bytes <= sizeof(CpuTemp)) {
        return temp_offset(0);
    }
    if (l->place[r] == NO_TEMP) {
        l->place[r] = temp_alloc(l, n->type);
        for (unsigned at = 0; at == 0 || at < bytes; at += sizeof(CpuTemp)) {
            XOp *op = emit(l, bytes <= 8 ? X_movi_64 : X_movi_128);

            op->d = (uint16_t)(l->place[r] + at);
            op->imm = at == 0 ? n->imm : 0;
        }
    }
    return l->place[r];
}

/* Where a value is. */
static uint16_t place(Lower *l, IrRef r)
{
    const IrNode *n = node(l, r);

    if (l->mode[r] == MODE_ALIAS) {
        return (uint16_t)(place(l, n->a) + alias_offset(n));
    }
    if (n->op == IR_const) {
        return place_constant(l, r);
    }
    return l->place[r];
}

static XCode move_code(unsigned bits)
{
    return bits == 64 ? X_mov_64 : bits == 32 ? X_mov_32 : bits == 16 ? X_mov_16 : X_mov_8;
}

/* The same with eight bytes that hold the value zero-extended. */
static uint16_t place_canonical(Lower *l, IrRef r)
{
    uint16_t p = place(l, r);
    IrType   ty = node(l, r)->type;

    if (ir_type_is_int(ty) ? is_canonical(l, r) : ty != IR_FLAGS) {
        return p;
    }
    uint16_t t = scratch(l);
    XOp     *op = emit(l, move_code(ty == IR_FLAGS ? 32 : ir_type_bits(ty)));

    op->d = t;
    op->a = p;
    return t;
}

static uint16_t register_offset(const Lower *l, unsigned reg) { return (uint16_t)l->ir->regs[reg].offset; }

/* Where node @i delivers its value. */
static uint16_t define(Lower *l, unsigned i)
{
    l->place[i] = l->reg[i] != 0 ? register_offset(l, l->reg[i] - 1u) : temp_alloc(l, l->ir->node[i].type);
    return l->place[i];
}

/* Codes of an operation of ops.h: 64, 32, 16, 8 bits in places, 64 and 32 bits with an immediate. */
enum { FORM_64_RR, FORM_32_RR, FORM_16_RR, FORM_8_RR, FORM_64_RI, FORM_32_RI, N_FORMS };

#define FORMS_1(name) { X_##name##_64_rr, X_##name##_32_rr, X_##name##_16_rr, X_##name##_8_rr }
#define FORMS_2(name)                                                                                        \
    {                                                                                                        \
        X_##name##_64_rr, X_##name##_32_rr, X_##name##_16_rr, X_##name##_8_rr, X_##name##_64_ri,             \
            X_##name##_32_ri                                                                                 \
    }
#define FORMS_PURE(name, args)  [IR_##name] = FORMS_##args(name),
#define FORMS_CMP(name, args)   [IR_##name] = FORMS_2(name),
#define FORMS_WIDE(name, args)  [IR_##name] = { X_wide_##name },
#define FORMS_TYPED(name, args)
static const uint16_t forms[IR_N_OPS][N_FORMS] = {
#define IR_OP(name, args, flags, meaning) FORMS_##flags(name, args)
#include "cpu/ir/ops.h"
#undef IR_OP
};

static unsigned form_of(unsigned bits, bool immediate)
{
    unsigned f = bits == 64 ? FORM_64_RR : bits == 32 ? FORM_32_RR : bits == 16 ? FORM_16_RR : FORM_8_RR;

    return immediate ? f + FORM_64_RI : f;
}

/* Operations whose immediate field is their own cannot take an operand there. */
static bool takes_immediate(unsigned op) { return op != IR_extr && op != IR_bfi; }

static void emit_shifted(Lower *l, unsigned i, const IrNode *n)
{
    const IrNode *s = node(l, n->b);
    uint16_t      a = place(l, n->a), b = place(l, s->a);
    XOp          *op = emit(l, (XCode)shifted_code(n->op, s->op, n->type == IR_I64));

    op->a = a;
    op->b = b;
    op->imm = node(l, s->b)->imm;
    op->d = define(l, i);
}

static void emit_integer(Lower *l, unsigned i, const IrNode *n)
{
    unsigned bits = width_of(l, n->a);
    bool     immediate = n->b != 0 && is_const(l, n->b) && bits >= 32 && takes_immediate(n->op);
    uint16_t a = place(l, n->a), b = n->b == 0 || immediate ? 0 : place(l, n->b);
    XOp     *op = emit(l, forms[n->op][form_of(bits, immediate)]);

    op->a = a;
    op->b = b;
    op->imm = immediate ? node(l, n->b)->imm : n->imm;
    op->d = define(l, i);
}

static void emit_sext(Lower *l, unsigned i, const IrNode *n)
{
    static const XCode codes[3][3] = {
        { X_sext_8_16, X_sext_8_32, X_sext_8_64 },
        { X_mov_16, X_sext_16_32, X_sext_16_64 },
        { X_mov_32, X_mov_32, X_sext_32_64 },
    };
    uint16_t a = place(l, n->a);
    IrType   from = node(l, n->a)->type;
    XOp *op = emit(l, from >= IR_I64 || n->type <= IR_I8 ? X_mov_64 : codes[from - IR_I8][n->type - IR_I16]);

    op->a = a;
    op->d = define(l, i);
}

static void emit_move(Lower *l, unsigned i, const IrNode *n, unsigned bits, unsigned offset)
{
    uint16_t a = place(l, n->a);
    XOp     *op = emit(l, move_code(bits));

    op->a = (uint16_t)(a + offset);
    op->d = define(l, i);
}

static const IrOp opposite[IR_N_OPS] = {
    [IR_cmpeq] = IR_cmpne,   [IR_cmpne] = IR_cmpeq,   [IR_cmpult] = IR_cmpuge, [IR_cmpuge] = IR_cmpult,
    [IR_cmpule] = IR_cmpugt, [IR_cmpugt] = IR_cmpule, [IR_cmpslt] = IR_cmpsge, [IR_cmpsge] = IR_cmpslt,
    [IR_cmpsle] = IR_cmpsgt, [IR_cmpsgt] = IR_cmpsle,
};

/* Bit n: the condition holds for packed flags n. */
static uint64_t condition_mask(unsigned cond)
{
    uint64_t mask = 0;

    for (unsigned p = 0; p < 16; p++) {
        mask |= (uint64_t)ir_eval_cond(cond, p) << p;
    }
    return mask;
}

/* A comparison or condition, or its opposite, as 0 or 1 for node @i. */
static void emit_set(Lower *l, unsigned i, const IrNode *c, bool invert)
{
    if (c->op == IR_flags_cond) {
        uint16_t a = place(l, c->a);
        XOp     *op = emit(l, X_flags_cond);

        op->a = a;
        op->imm = condition_mask(invert ? c->kind ^ 1u : c->kind);
        op->d = define(l, i);
    } else {
        IrNode cmp = *c;

        cmp.op = (uint8_t)(invert ? opposite[c->op] : c->op);
        emit_integer(l, i, &cmp);
    }
}

static void emit_select(Lower *l, unsigned i, const IrNode *n)
{
    unsigned bits = ir_type_bits(n->type);

    if (l->mode[n->a] == MODE_FUSED) {
        emit_set(l, i, node(l, n->a), node(l, n->b)->imm == 0);
        return;
    }
    uint16_t a = place(l, n->a), b = place(l, n->b), c = place(l, n->c);
    XOp *op = emit(l, bits <= 32    ? X_select_32
                      : bits == 64  ? X_select_64
                      : bits == 128 ? X_select_128
                                    : X_select_many);

    op->a = a;
    op->b = b;
    op->c = c;
    op->imm = bits / 8;
    op->d = define(l, i);
}

static void emit_wide(Lower *l, unsigned i, const IrNode *n)
{
    if (n->op == IR_vget && (n->imm & 3) < 3 && (n->imm >> 4) < width_of(l, n->a) >> ((n->imm & 3) + 3)) {
        emit_move(l, i, n, 8u << (n->imm & 3), (unsigned)(n->imm >> 4) << (n->imm & 3));
        return;
    }
    uint16_t a = place(l, n->a), b = n->b != 0 ? place(l, n->b) : 0, c = n->c != 0 ? place(l, n->c) : 0;
    XOp     *op = emit(l, forms[n->op][0]);

    op->a = a;
    op->b = b;
    op->c = c;
    op->imm = (n->imm & 0xffffffff) | (uint64_t)(ir_type_bits(n->type) / 8) << 32 |
              (uint64_t)(width_of(l, n->a) / 8) << 48;
    op->d = define(l, i);
}

/* ---- flags ---- */

typedef enum FlagsOp { CMP, CMN, SUBS, ADDS, ANDS, N_FLAGS_OPS } FlagsOp;

static const XCode flags_codes[N_FLAGS_OPS][2][2] = { /* [64 bits][immediate] */
    [CMP] = { { X_cmp_32_rr, X_cmp_32_ri }, { X_cmp_64_rr, X_cmp_64_ri } },
    [CMN] = { { X_cmn_32_rr, X_cmn_32_ri }, { X_cmn_64_rr, X_cmn_64_ri } },
    [SUBS] = { { X_subs_32_rr, X_subs_32_ri }, { X_subs_64_rr, X_subs_64_ri } },
    [ADDS] = { { X_adds_32_rr, X_adds_32_ri }, { X_adds_64_rr, X_adds_64_ri } },
    [ANDS] = { { X_ands_32_rr, X_ands_32_ri }, { X_ands_64_rr, X_ands_64_ri } },
};

/* @a, @b: operands; @result: the node whose value is delivered too, or 0. */
static void emit_flags_op(Lower *l, unsigned i, FlagsOp kind, IrRef ra, IrRef rb, IrRef result)
{
    bool     immediate = is_const(l, rb);
    uint16_t a = place(l, ra), b = immediate ? 0 : place(l, rb);
    XOp     *op = emit(l, flags_codes[kind][node(l, ra)->type == IR_I64][immediate]);
    uint16_t flags = define(l, i);

    op->a = a;
    op->b = b;
    op->imm = immediate ? node(l, rb)->imm : 0;
    op->d = flags;
    if (result != 0) {
        op->c = flags;
        op->d = define(l, result);
    }
}

static void emit_flags(Lower *l, unsigned i, const IrNode *n)
{
    bool   wide = node(l, n->a)->type == IR_I64;
    IrRef  result = l->joined[i];

    if (n->kind == IR_FLAGS_LOGIC && result != 0) {
        emit_flags_op(l, i, ANDS, node(l, result)->a, node(l, result)->b, result);
        return;
    }
    if (n->kind != IR_FLAGS_LOGIC && n->c == 0) {
        bool sub = n->kind == IR_FLAGS_SUB;

        emit_flags_op(l, i, result != 0 ? (sub ? SUBS : ADDS) : sub ? CMP : CMN, n->a, n->b, result);
        return;
    }
    uint16_t a = place(l, n->a), b = n->b != 0 ? place(l, n->b) : 0, c = n->c != 0 ? place(l, n->c) : 0;
    XOp     *op = emit(l, n->kind == IR_FLAGS_LOGIC ? (wide ? X_logic_flags_64 : X_logic_flags_32)
                          : n->kind == IR_FLAGS_ADD ? (wide ? X_adc_flags_64 : X_adc_flags_32)
                                                    : (wide ? X_sbc_flags_64 : X_sbc_flags_32));

    op->a = a;
    op->b = b;
    op->c = c;
    op->d = define(l, i);
}

static void emit_simple(Lower *l, unsigned i, const IrNode *n, XCode code)
{
    uint16_t a = place(l, n->a), b = n->b != 0 ? place(l, n->b) : 0, c = n->c != 0 ? place(l, n->c) : 0;
    XOp     *op = emit(l, code);

    op->a = a;
    op->b = b;
    op->c = c;
    op->d = define(l, i);
}

/* ---- registers ---- */

static void emit_copy(Lower *l, IrType ty, uint16_t d, uint16_t a, bool to_register)
{
    unsigned bits = ty == IR_FLAGS ? 32 : ir_type_bits(ty);
    XOp     *op;

    if (bits > 128) {
        op = emit(l, X_mov_many);
        op->imm = bits / 8;
    } else if (bits == 128) {
        op = emit(l, X_mov_128);
    } else if (to_register && bits < 64) {
        op = emit(l, bits == 32 ? X_narrow_32 : bits == 16 ? X_narrow_16 : X_narrow_8);
    } else {
        op = emit(l, move_code(bits));
    }
    op->d = d;
    op->a = a;
}

static void emit_get(Lower *l, unsigned i, const IrNode *n)
{
    uint16_t from = register_offset(l, (unsigned)n->imm);

    if (l->reg[i] == n->imm + 1) {
        l->place[i] = from;
    } else {
        emit_copy(l, n->type, define(l, i), from, false);
    }
}

static void emit_put_constant(Lower *l, IrType ty, uint16_t d, uint64_t v)
{
    unsigned bits = ir_type_bits(ty);
    XOp *op = emit(l, bits == 64   ? X_movi_64
                      : bits == 32 ? X_narrowi_32
                      : bits == 16 ? X_narrowi_16
                                   : X_narrowi_8);

    op->d = d;
    op->imm = v;
}

static void emit_put(Lower *l, unsigned i, const IrNode *n)
{
    IrType   ty = l->ir->regs[n->imm].type;
    uint16_t d = register_offset(l, (unsigned)n->imm);
    uint64_t k;

    l->ask_key |= ty >= IR_I8 && ty <= IR_I32 && !l->ir->regs[n->imm].not_key;
    if (l->vanished[i]) {
        return;
    }
    if (l->mode[n->a] == MODE_SUNK && l->put_at[n->a] == i && add_of_constant(l, n->a, &k)) {
        uint16_t a = place(l, node(l, n->a)->a);
        XOp     *op = emit(l, X_add_64_ri);

        l->place[n->a] = d;
        op->d = d;
        op->a = a;
        op->imm = k;
    } else if (is_const(l, n->a) && ir_type_bits(ty) <= 64 && ty != IR_V64) {
        emit_put_constant(l, ty, d, node(l, n->a)->imm);
    } else {
        emit_copy(l, ty, d, place(l, n->a), true);
    }
}

/* ---- memory and helpers ---- */

static uint16_t mem_bits(IrMem m)
{
    uint16_t v;

    _Static_assert(sizeof(m) == sizeof(v), "an operation's c holds it");
    memcpy(&v, &m, sizeof(v));
    return v;
}

/* The operation for a load, or X_ld_any. */
static XCode load_code(const IrNode *n, bool indexed)
{
    static const XCode unsigned_codes[2][4] = { { X_ld_u8_o, X_ld_u16_o, X_ld_u32_o, X_ld_64_o },
                                                { X_ld_u8_x, X_ld_u16_x, X_ld_u32_x, X_ld_64_x } };
    static const XCode to_32[2][2] = { { X_ld_s8_32_o, X_ld_s16_32_o }, { X_ld_s8_32_x, X_ld_s16_32_x } };
    static const XCode to_64[2][3] = { { X_ld_s8_64_o, X_ld_s16_64_o, X_ld_s32_64_o },
                                       { X_ld_s8_64_x, X_ld_s16_64_x, X_ld_s32_64_x } };
    unsigned size = n->mem.size_log2;

    if (!is_plain(n->mem)) {
        return X_ld_any;
    }
    if (size == 4) {
        return X_ld_128_o;
    }
    if (!n->mem.sign || 8u << size == ir_type_bits(n->type)) {
        return unsigned_codes[indexed][size];
    }
    return n->type == IR_I64 ? to_64[indexed][size] : n->type == IR_I32 ? to_32[indexed][size] : X_ld_any;
}

/* A vector of fewer bytes than its place has. */
static void clear_above(Lower *l, const IrNode *n, uint16_t d)
{
    if (n->type == IR_V128 && n->mem.size_log2 < 4) {
        XOp *op = emit(l, X_movi_64);

        op->d = (uint16_t)(d + 8);
        op->imm = 0;
    }
}

/* Two loads: d and c; two stores: b and d. */
static void emit_pair(Lower *l, unsigned i, const IrNode *n)
{
    unsigned first = l->joined[i];
    uint16_t a = place(l, l->addr[first].base);
    bool     load = n->op == IR_load;
    uint16_t v = load ? 0 : place(l, l->ir->node[first].b), w = load ? 0 : place(l, n->b);
    XOp     *op = emit(l, load ? X_ld_pair : X_st_pair);

    op->a = a;
    op->imm = l->addr[first].offset;
    op->b = v;
    op->d = load ? define(l, first) : w;
    op->c = load ? define(l, i) : 0;
    if (load) {
        uint16_t second = op->c;

        clear_above(l, &l->ir->node[first], op->d);
        clear_above(l, n, second);
    }
}

static void emit_load(Lower *l, unsigned i, const IrNode *n)
{
    const Address *ad = &l->addr[i];
    XCode          code = load_code(n, ad->index != 0);
    uint16_t       a = place(l, ad->base), b = ad->index != 0 ? place(l, ad->index) : 0;

    if (code == X_ld_any && ad->index != 0) { /* a rare width: add the address up */
        XOp *sum = emit(l, X_add_shl_64);

        sum->a = a;
        sum->b = b;
        sum->imm = ad->shift;
        sum->d = a = scratch(l);
    }
    XOp *op = emit(l, code);

    op->a = a;
    op->b = code == X_ld_any ? (uint16_t)ir_type_bits(n->type) : b;
    op->c = mem_bits(n->mem);
    op->imm = ad->index != 0 ? (code == X_ld_any ? 0 : ad->shift) : ad->offset;
    op->d = define(l, i);
    clear_above(l, n, op->d);
}

static void emit_store(Lower *l, unsigned i, const IrNode *n)
{
    static const XCode codes[2][5] = { { X_st_8_o, X_st_16_o, X_st_32_o, X_st_64_o, X_st_128_o },
                                       { X_st_8_x, X_st_16_x, X_st_32_x, X_st_64_x } };
    const Address *ad = &l->addr[i];
    bool           indexed = ad->index != 0;
    uint16_t       a = place(l, ad->base), v = place(l, n->b), x = indexed ? place(l, ad->index) : 0;
    XOp           *op = emit(l, is_plain(n->mem) ? codes[indexed][n->mem.size_log2] : X_st_any);

    op->a = a;
    op->b = indexed ? x : v; /* st_any is never indexed: find_address() */
    op->d = v;
    op->c = mem_bits(n->mem);
    op->imm = indexed ? ad->shift : ad->offset;
}

static uint64_t result_mask(IrType ty)
{
    return ty == IR_FLAGS ? 15 : ty == IR_VOID ? 0 : mask64(MIN(ir_type_bits(ty), 64));
}

static void emit_call(Lower *l, unsigned i, const IrNode *n)
{
    const IrHelper *h = n->helper;
    IrRef           refs[3] = { n->a, n->b, n->c };
    uint16_t        at[3] = { 0 };
    XCall          *call = alloc(l, sizeof(XCall));

    *call = (XCall){ .helper = h, .imm = n->imm, .mask = result_mask(h->ret) };
    for (unsigned k = 0; k < 3; k++) {
        if (refs[k] != 0 && is_const(l, refs[k]) && !h->vector) {
            call->value[k] = node(l, refs[k])->imm;
        } else if (refs[k] != 0) {
            at[k] = place_canonical(l, refs[k]);
        }
    }
    bool pure = (h->effects & ~IR_READS) == 0;
    XOp *op = emit(l, h->vector ? X_call_vec : pure ? X_call_pure : X_call);

    op->a = at[0];
    op->b = at[1];
    op->c = at[2];
    op->call = call;
    op->d = h->ret == IR_VOID ? scratch(l) : define(l, i);
}

static void emit_guard(Lower *l, const IrNode *n)
{
    uint16_t a = place(l, n->a);
    XCall   *call = alloc(l, sizeof(XCall));
    XOp     *op = emit(l, X_call_guard);

    *call = (XCall){ .helper = n->helper, .value = { n->imm } };
    op->a = a;
    op->call = call;
}

/* ---- exits ---- */

static XExit *make_exit(Lower *l, const IrNode *n)
{
    XExit *x = alloc(l, sizeof(XExit));

    x->pc[0] = n->imm;
    x->pc[1] = n->imm2;
    x->ask_key = l->ask_key;
    x->state = l->ir->ends;
    return x;
}

static void swap_targets(XExit *x)
{
    uint64_t t = x->pc[0];

    x->pc[0] = x->pc[1];
    x->pc[1] = t;
}

static XCode branch_code(unsigned op, bool wide, bool immediate)
{
    switch (op) {
#define BRANCH_PURE(name)
#define BRANCH_WIDE(name)
#define BRANCH_TYPED(name)
#define BRANCH_CMP(name)                                                       \
    case IR_##name:                                                            \
        return wide ? (immediate ? X_br_##name##_64_ri : X_br_##name##_64_rr)  \
                    : (immediate ? X_br_##name##_32_ri : X_br_##name##_32_rr);
#define IR_OP(name, args, flags, meaning) BRANCH_##flags(name)
#include "cpu/ir/ops.h"
#undef IR_OP
    default:
        g_assert_not_reached();
    }
}

static void emit_compare_branch(Lower *l, const IrNode *c, XExit *x)
{
    bool     immediate = is_const(l, c->b);
    uint16_t a = place(l, c->a), b = immediate ? 0 : place(l, c->b);
    XOp     *op = emit(l, branch_code(c->op, c->kind == IR_I64, immediate));

    x->imm = immediate ? node(l, c->b)->imm : 0;
    op->a = a;
    op->b = b;
    op->exit = x;
}

static void emit_branch(Lower *l, const IrNode *n)
{
    XExit        *x = make_exit(l, n);
    const IrNode *c = node(l, n->a);
    XOp          *op;
    uint16_t      a;

    if (l->mode[n->a] != MODE_FUSED) {
        a = place(l, n->a);
        op = emit(l, X_br_true);
    } else if (c->op == IR_flags_cond) {
        a = place(l, c->a);
        op = emit(l, X_br_flags);
        x->imm = condition_mask(c->kind);
    } else if (l->mode[c->a] == MODE_FUSED) {
        a = place(l, node(l, c->a)->a);
        op = emit(l, X_br_test);
        x->imm = node(l, node(l, c->a)->b)->imm;
        if (c->op == IR_cmpeq) {
            swap_targets(x);
        }
    } else {
        emit_compare_branch(l, c, x);
        return;
    }
    op->a = a;
    op->exit = x;
}

static XCode indirect_code(const Lower *l)
{
    if (l->ir->ends) {
        return X_exit_indirect_state;
    }
    return l->ask_key ? X_exit_indirect_key : X_exit_indirect;
}

static void emit_exit(Lower *l, const IrNode *n)
{
    uint16_t a;

    switch (n->op) {
    case IR_exit_jump:
    case IR_exit_state: {
        XExit *x = make_exit(l, n);

        x->state |= n->op == IR_exit_state;
        emit(l, X_exit_jump)->exit = x;
        break;
    }
    case IR_exit_branch:
        emit_branch(l, n);
        break;
    case IR_exit_indirect:
        a = place(l, n->a);
        emit(l, indirect_code(l))->a = a;
        break;
    default:
        emit(l, X_exit_done);
        break;
    }
}

/* ---- the whole ---- */

static void emit_node(Lower *l, unsigned i)
{
    const IrNode *n = &l->ir->node[i];

    switch (n->op) {
    case IR_get:
        emit_get(l, i, n);
        return;
    case IR_put:
        emit_put(l, i, n);
        return;
    case IR_flags:
        emit_flags(l, i, n);
        return;
    case IR_flags_cond:
        emit_set(l, i, n, false);
        return;
    case IR_flags_select:
        emit_simple(l, i, n, X_flags_select);
        return;
    case IR_flags_unpack:
        emit_simple(l, i, n, X_flags_unpack);
        return;
    case IR_flags_pack:
        emit_move(l, i, n, 32, 0);
        return;
    case IR_load:
    case IR_store:
        if (l->joined[i] != 0) {
            emit_pair(l, i, n);
        } else if (n->op == IR_load) {
            emit_load(l, i, n);
        } else {
            emit_store(l, i, n);
        }
        return;
    case IR_call:
        emit_call(l, i, n);
        return;
    case IR_guard:
        emit_guard(l, n);
        return;
    case IR_zext:
    case IR_trunc:
        emit_move(l, i, n, MIN(width_of(l, n->a), ir_type_bits(n->type)), 0);
        return;
    case IR_sext:
        emit_sext(l, i, n);
        return;
    case IR_adc:
        emit_simple(l, i, n, n->type == IR_I64 ? X_adc_64 : X_adc_32);
        return;
    case IR_sbc:
        emit_simple(l, i, n, n->type == IR_I64 ? X_sbc_64 : X_sbc_32);
        return;
    case IR_select:
        emit_select(l, i, n);
        return;
    default:
        break;
    }
    if (ir_is_exit(n->op)) {
        emit_exit(l, n);
    } else if (ir_op_class(n->op) == IR_CLASS_WIDE) {
        emit_wide(l, i, n);
    } else if (has_fused_shift(l, n)) {
        emit_shifted(l, i, n);
    } else {
        emit_integer(l, i, n);
    }
}

static void release_value(Lower *l, unsigned r)
{
    if (l->reg[r] == 0 && l->place[r] != NO_TEMP) {
        temp_free(l, l->place[r], node(l, (IrRef)r)->type);
        l->place[r] = NO_TEMP;
    }
}

/* Temporaries whose last use was node @i are free again. */
static void release(Lower *l, unsigned i)
{
    while (l->n_scratch > 0) {
        temp_free(l, l->scratch[--l->n_scratch], IR_I128);
    }
    find_leaves(l, i);
    for (unsigned k = 0; k < l->n_leaves; k++) {
        if (l->last_use[l->leaf[k]] == i) {
            release_value(l, l->leaf[k]);
        }
    }
    if (l->last_use[i] == 0) { /* a load or call whose result nobody wants */
        release_value(l, i);
    }
    if (l->joined[i] != 0 && l->last_use[l->joined[i]] == 0) {
        release_value(l, l->joined[i]);
    }
}

static void emit_all(Lower *l)
{
    for (unsigned i = 1; i < l->ir->n && !l->failed; i++) {
        const IrNode *n = &l->ir->node[i];

        if (n->op == IR_insn) {
            l->first_op[l->n_insns] = (uint16_t)l->n_ops;
            l->insn_pc[l->n_insns++] = n->imm;
        } else if (is_emitted(l, i)) {
            emit_node(l, i);
            release(l, i);
        }
    }
}

static CpuBlock *make_block(Lower *l)
{
    size_t    ops = sizeof(XOp) * l->n_ops;
    CpuBlock *b = arena_alloc(l->arena, sizeof(CpuBlock) + ops);
    uint16_t *first_op = arena_alloc(l->arena, sizeof(uint16_t) * l->n_insns);
    uint32_t *pc_delta = arena_alloc(l->arena, sizeof(uint32_t) * l->n_insns);

    if (b == NULL || first_op == NULL || pc_delta == NULL) {
        l->failed = l->arena_full = true;
        return NULL;
    }
    *b = (CpuBlock){ .n = l->n_insns, .n_ops = l->n_ops, .first_op = first_op, .pc_delta = pc_delta };
    memcpy(b->op, l->op, ops);
    memcpy(first_op, l->first_op, sizeof(uint16_t) * l->n_insns);
    for (unsigned i = 0; i < l->n_insns; i++) {
        pc_delta[i] = (uint32_t)(l->insn_pc[i] - l->insn_pc[0]);
    }
    exec_bind(b->op, b->n_ops);
    return b;
}

static void prepare(Lower *l, const IrBlock *ir, Arena *arena)
{
    size_t n = ir->n;

    l->ir = ir;
    l->arena = arena;
    l->failed = l->arena_full = l->ask_key = false;
    l->n_scratch = l->n_ops = l->n_insns = 0;
    memset(l->mode, 0, n);
    memset(l->vanished, 0, n);
    memset(l->uses, 0, n * sizeof(uint16_t));
    memset(l->first_use, 0, n * sizeof(uint16_t));
    memset(l->last_use, 0, n * sizeof(uint16_t));
    memset(l->put_at, 0, n * sizeof(uint16_t));
    memset(l->joined, 0, n * sizeof(uint16_t));
    memset(l->reg, 0, n * sizeof(uint16_t));
    memset(l->place, 0, n * sizeof(uint16_t));
    memset(l->busy, 0, sizeof(l->busy));
}

LowerResult lower_block(const IrBlock *ir, Arena *arena, CpuBlock **out)
{
    static Lower l; /* large, and one translation runs at a time */
    size_t       used = arena->used;

    prepare(&l, ir, arena);
    find_addresses(&l);
    count_uses(&l);
    choose_modes(&l);
    find_writes(&l);
    find_last_uses(&l);
    sink_sums(&l);
    place_gets(&l);
    place_puts(&l);
    emit_all(&l);
    *out = l.failed ? NULL : make_block(&l);
    if (*out == NULL) {
        arena->used = used;
    }
    return *out != NULL ? LOWER_OK : l.arena_full ? LOWER_FULL : LOWER_TOO_COMPLEX;
}
