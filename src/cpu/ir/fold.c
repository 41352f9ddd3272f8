/*
 * What a value is known to be. Store-to-load forwarding over guest registers, constant folding, identities, and
 * flags: a condition over the flags of a subtraction is a comparison of its operands, which executors fuse with the
 * branch or select that uses it.
 */
#include <string.h>

#include "bits.h"
#include "cpu/ir/passes.h"

typedef struct Folder {
    IrBlock *b;
    IrRef    same[IR_MAX_NODES]; /* a node whose value is another's */
    IrRef    known[IR_MAX_REGS]; /* what guest registers hold; 0: anything */
    IrRef    read;               /* the last load, if nothing since then can have written memory; or 0 */
} Folder;

static bool is_const(const IrBlock *b, IrRef r) { return b->node[r].op == IR_const; }
static bool is_value(const IrBlock *b, IrRef r, uint64_t v) { return is_const(b, r) && b->node[r].imm == v; }

static void become_const(IrNode *n, uint64_t v)
{
    unsigned bits = ir_type_bits(n->type);

    n->op = IR_const;
    n->imm = bits < 64 ? v & mask64(bits) : v;
    n->a = n->b = n->c = 0;
}

static void become_same(Folder *f, unsigned i, IrRef r)
{
    f->same[i] = r;
    f->b->node[i].op = IR_NOP;
}

/* ---- guest registers ---- */

static void forward_get(Folder *f, unsigned i, const IrNode *n)
{
    if (f->known[n->imm] != 0) {
        become_same(f, i, f->known[n->imm]);
    } else {
        f->known[n->imm] = (IrRef)i;
    }
}

static void forward_put(Folder *f, IrNode *n)
{
    if (f->known[n->imm] == n->a) {
        n->op = IR_NOP;
    } else {
        f->known[n->imm] = n->a;
    }
}

/* A helper that writes registers makes all of them unknown, one with IR_STATUS those that are so marked. */
static void forget(Folder *f, unsigned effects)
{
    for (size_t r = 0; (effects & (IR_WRITES | IR_STATUS)) != 0 && r < f->b->n_regs; r++) {
        if ((effects & IR_WRITES) != 0 || f->b->regs[r].status) {
            f->known[r] = 0;
        }
    }
}

/* ---- memory ---- */

/*
 * The first half of a read-modify-write finds what the load just before it found of the same bytes: a store-exclusive
 * behind its load-exclusive compares them. It stays, for it may fault where the other did not.
 */
static void forward_load(Folder *f, unsigned i, const IrNode *n)
{
    const IrNode *m = &f->b->node[f->read];
    bool same = f->read != 0 && n->mem.write_intent && n->a == m->a && n->type == m->type &&
                n->mem.size_log2 == m->mem.size_log2 && n->mem.space == m->mem.space && n->mem.big == m->mem.big &&
                n->mem.sign == m->mem.sign;

    if (same) {
        f->same[i] = f->read;
    } else {
        f->read = (IrRef)i;
    }
}

/* ---- integers and vectors ---- */

static IrType operand_type(const IrBlock *b, const IrNode *n)
{
    return b->node[n->op == IR_select ? n->b : n->a].type;
}

static bool fold_constants(const IrBlock *b, IrNode *n)
{
    IrType ty = operand_type(b, n);

    if (!is_const(b, n->a) || (n->b != 0 && !is_const(b, n->b)) || (n->c != 0 && !is_const(b, n->c))) {
        return false;
    }
    become_const(
        n, ir_eval(n->op, ty, n->type, b->node[n->a].imm, b->node[n->b].imm, b->node[n->c].imm, n->imm));
    return true;
}

static void put_constant_second(const IrBlock *b, IrNode *n)
{
    bool commutes = n->op == IR_add || n->op == IR_mul || n->op == IR_and || n->op == IR_or ||
                    n->op == IR_xor || n->op == IR_cmpeq || n->op == IR_cmpne || n->op == IR_adc;

    if (commutes && is_const(b, n->a)) {
        IrRef t = n->a;

        n->a = n->b;
        n->b = t;
    }
}

/* x ^ x, x - x and comparisons of x with itself. */
static bool fold_same(IrNode *n)
{
    bool or_equal = n->op == IR_cmpeq || n->op == IR_cmpule || n->op == IR_cmpsle || n->op == IR_cmpuge ||
                    n->op == IR_cmpsge;

    if (n->a != n->b || (n->op != IR_xor && n->op != IR_sub && ir_op_class(n->op) != IR_CLASS_CMP)) {
        return false;
    }
    become_const(n, or_equal);
    return true;
}

/* Operations with one special constant. Returns the value the node is the same as, or 0. */
static IrRef fold_identity(const IrBlock *b, IrNode *n)
{
    uint64_t ones = mask64(ir_type_bits(n->type));

    switch (n->op) {
    case IR_add:
    case IR_sub:
    case IR_or:
    case IR_xor:
    case IR_shl:
    case IR_shr:
    case IR_sar:
    case IR_ror:
    case IR_andn:
        if (is_value(b, n->b, 0)) {
            return n->a;
        }
        return n->op == IR_or && n->a == n->b ? n->a : 0;
    case IR_and:
        if (is_value(b, n->b, 0)) {
            become_const(n, 0);
            return 0;
        }
        return is_value(b, n->b, ones) || n->a == n->b ? n->a : 0;
    case IR_bfx:
        return n->imm == (uint64_t)ir_type_bits(n->type) << 8 ? n->a : 0;
    case IR_adc: /* of zeroes: the carry itself */
        if (!is_value(b, n->a, 0) || !is_value(b, n->b, 0)) {
            return 0;
        }
        if (n->type == IR_I32) {
            return n->c;
        }
        n->op = IR_zext;
        n->a = n->c;
        n->b = n->c = 0;
        return 0;
    case IR_select:
        if (is_const(b, n->a)) {
            return b->node[n->a].imm != 0 ? n->b : n->c;
        }
        return n->b == n->c ? n->b : 0;
    default:
        return 0;
    }
}

/* or(0, x) and the like appear as MOV of one register to another: the constant is first in ORN too. */
static void fold_or_not(const IrBlock *b, IrNode *n)
{
    if (n->op == IR_orn && is_value(b, n->a, 0)) {
        n->op = IR_not;
        n->a = n->b;
        n->b = 0;
    }
}

/* Width changes of width changes. */
static IrRef fold_width(const IrBlock *b, IrNode *n)
{
    const IrNode *from = &b->node[n->a];

    if (from->op != IR_zext && from->op != IR_sext && from->op != IR_trunc) {
        return 0;
    }
    if (n->op == IR_trunc && b->node[from->a].type == n->type) {
        return from->a;
    }
    if (n->op == from->op) {
        n->a = from->a;
    } else if (n->op == IR_trunc && ir_type_bits(b->node[from->a].type) > ir_type_bits(n->type)) {
        n->a = from->a; /* the extended part is cut off again */
    }
    return 0;
}

static IrRef fold_wide(const IrBlock *b, IrNode *n)
{
    const IrNode *from = &b->node[n->a];

    if (n->op == IR_lo64 && from->op == IR_pair) {
        return from->a;
    }
    if (n->op == IR_hi64 && from->op == IR_pair) {
        return from->b;
    }
    if (n->op == IR_vget && from->op == IR_vzext && n->imm >> 4 == 0 && b->node[from->a].type == IR_I64 &&
        (n->imm & 3) == 3) {
        return from->a;
    }
    while (n->op == IR_vget && from->op == IR_vlow && ((n->imm >> 4) + 1) << (n->imm & 3) <= 8) {
        n->a = from->a; /* a lane of the part that stays */
        from = &b->node[n->a];
    }
    if (n->op == IR_vlow &&
        (from->type == n->type ||
         (from->op == IR_vlow && b->node[from->a].type == n->type && n->type == IR_V64))) {
        return from->type == n->type ? n->a : from->a;
    }
    return 0;
}

/* ---- flags ---- */

/* The comparison that a condition over a - b is. */
static int subtraction_compare(IrCond cond)
{
    switch (cond) {
    case IR_COND_Z:
        return IR_cmpeq;
    case IR_COND_NZ:
        return IR_cmpne;
    case IR_COND_C:
        return IR_cmpuge;
    case IR_COND_NC:
        return IR_cmpult;
    case IR_COND_C_AND_NZ:
        return IR_cmpugt;
    case IR_COND_NC_OR_Z:
        return IR_cmpule;
    case IR_COND_GE:
        return IR_cmpsge;
    case IR_COND_LT:
        return IR_cmpslt;
    case IR_COND_GT:
        return IR_cmpsgt;
    case IR_COND_LE:
        return IR_cmpsle;
    default:
        return -1; /* N alone or V: not a comparison of the operands */
    }
}

/* The comparison of a result with zero that a condition over N and Z is, when C and V are not looked at
 * (@logic: are zero). */
static int zero_compare(IrCond cond, bool logic)
{
    switch (cond) {
    case IR_COND_Z:
        return IR_cmpeq;
    case IR_COND_NZ:
        return IR_cmpne;
    case IR_COND_N:
        return IR_cmpslt;
    case IR_COND_NN:
        return IR_cmpsge;
    case IR_COND_GE:
        return logic ? IR_cmpsge : -1;
    case IR_COND_LT:
        return logic ? IR_cmpslt : -1;
    case IR_COND_GT:
        return logic ? IR_cmpsgt : -1;
    case IR_COND_LE:
        return logic ? IR_cmpsle : -1;
    default:
        return -1;
    }
}

static void become_compare(IrNode *n, int op, IrType ty, IrRef a, IrRef b)
{
    n->op = (uint8_t)op;
    n->kind = ty;
    n->a = a;
    n->b = b;
    n->imm = 0;
}

/* The sum or difference that the same instruction computed beside its flags, or 0. */
static IrRef result_beside(const IrBlock *b, IrRef flags)
{
    const IrNode *f = &b->node[flags];
    unsigned      op = f->kind == IR_FLAGS_ADD ? IR_add : IR_sub;

    for (unsigned i = flags - 1; i > 0 && b->node[i].op != IR_insn; i--) {
        const IrNode *n = &b->node[i];

        if (n->op == op &&
            ((n->a == f->a && n->b == f->b) || (op == IR_add && n->a == f->b && n->b == f->a))) {
            return (IrRef)i;
        }
    }
    return 0;
}

/* Whether the register that @r was read from is written between @from and @to: then using @r at @to costs
 * a copy, and the packed flags are the better source. */
static bool overwritten(const IrBlock *b, IrRef r, unsigned from, unsigned to)
{
    while (b->node[r].op == IR_trunc) {
        r = b->node[r].a;
    }
    if (b->node[r].op != IR_get) {
        return false;
    }
    for (unsigned i = from; i < to; i++) {
        if (b->node[i].op == IR_put && b->node[i].imm == b->node[r].imm) {
            return true;
        }
    }
    return false;
}

static void fold_condition(const IrBlock *b, unsigned at, IrNode *n)
{
    IrRef         flags = n->a;
    const IrNode *f = &b->node[flags];
    IrType        ty = b->node[f->a].type;
    IrRef         zero = ty == IR_I64 ? IR_ZERO64 : IR_ZERO32;
    IrRef         result;
    int           cmp, subtraction;

    if (is_const(b, flags) || f->op != IR_flags || f->c != 0) {
        return;
    }
    cmp = zero_compare(n->kind, f->kind == IR_FLAGS_LOGIC);
    if (f->kind == IR_FLAGS_LOGIC) {
        if (cmp >= 0) {
            become_compare(n, cmp, ty, f->a, zero);
        } else {
            bool always = n->kind == IR_COND_NC || n->kind == IR_COND_NV || n->kind == IR_COND_NC_OR_Z;

            become_const(n, always);
        }
        return;
    }
    subtraction = subtraction_compare(n->kind);
    if (f->kind == IR_FLAGS_SUB && subtraction >= 0 && !overwritten(b, f->a, flags, at) &&
        !overwritten(b, f->b, flags, at)) {
        become_compare(n, subtraction, ty, f->a, f->b); /* nobody else may want the difference */
        return;
    }
    result = result_beside(b, flags);
    if (cmp >= 0 && result != 0) {
        become_compare(n, cmp, ty, result, zero);
    }
}

/* x == 0 and x != 0 of a value that is 0 or 1, under a branch. */
static void fold_branch(const IrBlock *b, IrNode *n)
{
    const IrNode *c = &b->node[n->a];

    while ((c->op == IR_cmpne || c->op == IR_cmpeq) && is_value(b, c->b, 0) &&
           (ir_op_class(b->node[c->a].op) == IR_CLASS_CMP || b->node[c->a].op == IR_flags_cond)) {
        if (c->op == IR_cmpeq) {
            uint64_t t = n->imm;

            n->imm = n->imm2;
            n->imm2 = t;
        }
        n->a = c->a;
        c = &b->node[n->a];
    }
    if (c->op == IR_const) {
        n->imm = c->imm != 0 ? n->imm : n->imm2;
        n->op = IR_exit_jump;
        n->a = 0;
    }
}

/* What the architecture lacks an instruction for. */
static void fold_trailing_zeroes(const IrBlock *b, IrNode *n)
{
    if (n->op == IR_clz && b->node[n->a].op == IR_rbit) {
        n->op = IR_ctz;
        n->a = b->node[n->a].a;
    }
}

static void fold_integer(Folder *f, unsigned i, IrNode *n)
{
    IrRef r;

    if (fold_constants(f->b, n) || fold_same(n)) {
        return;
    }
    put_constant_second(f->b, n);
    fold_or_not(f->b, n);
    fold_trailing_zeroes(f->b, n);
    r = n->op == IR_zext || n->op == IR_sext || n->op == IR_trunc ? fold_width(f->b, n) : fold_identity(f->b, n);
    if (r != 0) {
        become_same(f, i, r);
    }
}

static void fold_node(Folder *f, unsigned i, IrNode *n)
{
    IrRef r;

    switch (n->op) {
    case IR_get:
        forward_get(f, i, n);
        return;
    case IR_put:
        forward_put(f, n);
        return;
    case IR_load:
        forward_load(f, i, n);
        return;
    case IR_store:
        f->read = 0;
        return;
    case IR_call:
        forget(f, n->helper->effects);
        f->read = (n->helper->effects & ~(IR_READS | IR_STATUS)) == IR_PURE ? f->read : 0;
        return;
    case IR_flags_cond:
        fold_condition(f->b, i, n);
        return;
    case IR_exit_branch:
        fold_branch(f->b, n);
        return;
    case IR_flags_unpack:
        if (f->b->node[n->a].op == IR_flags_pack) {
            become_same(f, i, f->b->node[n->a].a);
        }
        return;
    default:
        break;
    }
    switch (ir_op_class(n->op)) {
    case IR_CLASS_PURE:
    case IR_CLASS_CMP:
    case IR_CLASS_TYPED:
        fold_integer(f, i, n);
        return;
    case IR_CLASS_WIDE:
        r = fold_wide(f->b, n);
        if (r != 0) {
            become_same(f, i, r);
        }
        return;
    default:
        return;
    }
}

void ir_pass_fold(IrBlock *b)
{
    Folder f;

    f.b = b;
    f.read = 0;
    memset(f.known, 0, b->n_regs * sizeof(f.known[0])); /* same[] as it comes */
    for (unsigned i = 0; i < b->n; i++) {
        IrNode *n = &b->node[i];

        f.same[i] = (IrRef)i;
        n->a = f.same[n->a];
        n->b = f.same[n->b];
        n->c = f.same[n->c];
        if (n->op != IR_NOP) {
            fold_node(&f, i, n);
        }
    }
}
