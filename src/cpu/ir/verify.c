/*
 * Checks of a block after the front end and after each pass: operands defined before use, types, the rule
 * that within an instruction everything that may fault comes before the first put, exactly one exit at the
 * end.
 */
#include <stdarg.h>

#include "cpu/ir/block.h"

typedef struct Verifier {
    const IrBlock *b;
    unsigned       at;
    bool           put;  /* the current instruction has written a guest register */
    bool           ends; /* a helper with IR_ENDS was called */
    char          *why;
    size_t         why_len;
} Verifier;

static bool __attribute__((format(printf, 2, 3))) fail(Verifier *v, const char *fmt, ...)
{
    va_list ap;
    int     n = snprintf(v->why, v->why_len, "%%%u %s: ", v->at, ir_op_name(v->b->node[v->at].op));

    if (n >= 0 && (size_t)n < v->why_len) {
        va_start(ap, fmt);
        vsnprintf(v->why + n, v->why_len - (size_t)n, fmt, ap);
        va_end(ap);
    }
    return false;
}

static IrType type_of(const Verifier *v, IrRef r) { return v->b->node[r].type; }

static bool check_defined(Verifier *v, IrRef r)
{
    if (r == 0) {
        return true;
    }
    if (r >= v->at) {
        return fail(v, "operand %%%u is not defined before its use", r);
    }
    if (type_of(v, r) == IR_VOID || v->b->node[r].op == IR_NOP) {
        return fail(v, "operand %%%u has no value", r);
    }
    return true;
}

static bool expect(Verifier *v, IrRef r, IrType ty)
{
    if (type_of(v, r) != ty) {
        return fail(v, "operand %%%u has type %s, not %s", r, ir_type_name(type_of(v, r)), ir_type_name(ty));
    }
    return true;
}

static bool check_arg_count(Verifier *v, const IrNode *n, unsigned args)
{
    unsigned have = (n->a != 0) + (n->b != 0) + (n->c != 0);

    return have == args || fail(v, "%u operands, not %u", have, args);
}

static bool check_pure(Verifier *v, const IrNode *n, IrType ty)
{
    if (!check_arg_count(v, n, ir_op_args(n->op))) {
        return false;
    }
    if (!ir_type_is_int(ty)) {
        return fail(v, "type %s is not an integer of up to 64 bits", ir_type_name(ty));
    }
    return expect(v, n->a, ty) && (n->b == 0 || expect(v, n->b, ty)) && (n->c == 0 || expect(v, n->c, ty));
}

/* Moves between integers and vectors. */
static bool check_wide(Verifier *v, const IrNode *n)
{
    IrType a = type_of(v, n->a);

    if (!check_arg_count(v, n, ir_op_args(n->op))) {
        return false;
    }
    switch (n->op) {
    case IR_pair:
        return expect(v, n->a, IR_I64) && expect(v, n->b, IR_I64) &&
               (n->type == IR_I128 || fail(v, "not an I128"));
    case IR_lo64:
    case IR_hi64:
        return (n->type == IR_I64 && (a == IR_I128 || a == IR_V128)) || fail(v, "not I64 from 128 bits");
    case IR_vzext:
        return ((ir_type_is_int(a) || a == IR_I128) && ir_type_is_wide(n->type)) ||
               fail(v, "not from an integer");
    case IR_vlow:
    case IR_vdupl:
        return (ir_type_is_wide(a) && ir_type_is_wide(n->type)) || fail(v, "not vectors");
    case IR_vdup:
        return ((a == IR_I64 || a == IR_I32) && ir_type_is_wide(n->type)) || fail(v, "not from I32 or I64");
    case IR_vget:
        return (n->type == IR_I64 && ir_type_is_wide(a)) || fail(v, "not I64 from a vector");
    case IR_vset:
        return expect(v, n->a, n->type) && expect(v, n->b, IR_I64);
    default:
        return (ir_type_is_wide(n->type) || fail(v, "not a vector")) && expect(v, n->a, n->type) &&
               (n->b == 0 || expect(v, n->b, n->type)) && (n->c == 0 || expect(v, n->c, n->type));
    }
}

static bool check_typed(Verifier *v, const IrNode *n)
{
    unsigned to = ir_type_bits(n->type), from = ir_type_bits(type_of(v, n->a));

    if (!check_arg_count(v, n, ir_op_args(n->op))) {
        return false;
    }
    if (n->op == IR_select) {
        return expect(v, n->a, IR_I32) && expect(v, n->b, n->type) && expect(v, n->c, n->type);
    }
    if (n->op == IR_adc || n->op == IR_sbc) {
        return (n->type == IR_I32 || n->type == IR_I64 || fail(v, "not an I32 or I64")) && expect(v, n->a, n->type) &&
               expect(v, n->b, n->type) && expect(v, n->c, IR_I32);
    }
    if (!ir_type_is_int(n->type) || !ir_type_is_int(type_of(v, n->a))) {
        return fail(v, "not between integers of up to 64 bits");
    }
    return (n->op == IR_trunc ? to <= from : to >= from) || fail(v, "%u bits from %u", to, from);
}

static bool check_flags(Verifier *v, const IrNode *n)
{
    IrType ty = type_of(v, n->a);

    if (n->kind > IR_FLAGS_LOGIC || (n->b != 0) != (n->kind != IR_FLAGS_LOGIC)) {
        return fail(v, "wrong kind or number of operands");
    }
    return ((ty == IR_I32 || ty == IR_I64) || fail(v, "operands are not I32 or I64")) &&
           (n->b == 0 || expect(v, n->b, ty)) && (n->c == 0 || expect(v, n->c, IR_I32));
}

static bool check_mem(Verifier *v, const IrNode *n, IrType ty)
{
    unsigned bits = 8u << n->mem.size_log2;

    if (!expect(v, n->a, IR_I64)) {
        return false;
    }
    if (n->mem.size_log2 > 4 || ir_type_bits(ty) < bits || (bits == 128 && ir_type_bits(ty) != 128) ||
        (ty == IR_V128 && n->mem.sign) ||
        (bits < 64 && !ir_type_is_int(ty) && ty != IR_V128)) {
        return fail(v, "%u bits of memory do not make a %s", bits, ir_type_name(ty));
    }
    return true;
}

static bool check_put(Verifier *v, const IrNode *n)
{
    v->put = true;
    return (n->imm < v->b->n_regs || fail(v, "no such register")) && expect(v, n->a, v->b->regs[n->imm].type);
}

static bool check_call(Verifier *v, const IrNode *n)
{
    const IrHelper *h = n->helper;

    if (h == NULL || n->type != h->ret ||
        (h->effects & ~(IR_READS | IR_WRITES | IR_FAULTS | IR_ENDS | IR_TIME | IR_MEM | IR_STATUS))) {
        return fail(v, "not as the helper is declared");
    }
    if (h->effects & IR_ENDS) {
        v->ends = true;
    }
    return check_arg_count(v, n, h->n_args);
}

static bool check_node(Verifier *v, const IrNode *n)
{
    switch (n->op) {
    case IR_const:
        return ir_type_bits(n->type) != 0 || fail(v, "a constant without width");
    case IR_get:
        return n->imm < v->b->n_regs && n->type == v->b->regs[n->imm].type
                   ? true
                   : fail(v, "not the register's type");
    case IR_put:
        return check_put(v, n);
    case IR_flags:
        return check_flags(v, n);
    case IR_flags_cond:
        return expect(v, n->a, IR_FLAGS) && (n->kind <= IR_COND_LE || fail(v, "no such condition"));
    case IR_flags_pack:
        return expect(v, n->a, IR_FLAGS);
    case IR_flags_unpack:
        return expect(v, n->a, IR_I32);
    case IR_flags_select:
        return expect(v, n->a, IR_I32) && expect(v, n->b, IR_FLAGS) && expect(v, n->c, IR_FLAGS);
    case IR_load:
        return check_mem(v, n, n->type);
    case IR_store:
        return check_mem(v, n, n->kind) && expect(v, n->b, n->kind);
    case IR_call:
        return check_call(v, n);
    case IR_guard:
        return expect(v, n->a, IR_I64) &&
               ((n->helper != NULL && n->helper->ret == IR_VOID && !n->helper->vector &&
                 !(n->helper->effects & (IR_WRITES | IR_ENDS | IR_MEM))) ||
                fail(v, "the helper may do more than fault"));
    case IR_insn:
        v->put = false;
        return !v->ends || fail(v, "an instruction after a helper that ends the block");
    case IR_exit_branch:
        return expect(v, n->a, IR_I32);
    case IR_exit_indirect:
        return expect(v, n->a, IR_I64);
    case IR_exit_jump:
    case IR_exit_state:
    case IR_exit_done:
        return true;
    default:
        break;
    }
    switch (ir_op_class(n->op)) {
    case IR_CLASS_PURE:
        return check_pure(v, n, n->type);
    case IR_CLASS_CMP:
        return (n->type == IR_I32 || fail(v, "a comparison is I32")) && check_pure(v, n, n->kind);
    case IR_CLASS_WIDE:
        return check_wide(v, n);
    case IR_CLASS_TYPED:
        return check_typed(v, n);
    default:
        return fail(v, "no such operation");
    }
}

bool ir_verify(const IrBlock *b, char *why, size_t why_len)
{
    Verifier v = { .b = b, .why = why, .why_len = why_len };
    bool     exited = false, started = false;

    for (v.at = 1; v.at < b->n; v.at++) {
        const IrNode *n = &b->node[v.at];

        if (n->op >= IR_ALL_OPS) {
            return fail(&v, "no such operation");
        }
        if (n->op == IR_NOP) {
            continue;
        }
        if (exited) {
            return fail(&v, "comes after the exit");
        }
        started |= n->op == IR_insn;
        if (!started && n->op != IR_const) {
            return fail(&v, "comes before the first instruction mark");
        }
        if (!check_defined(&v, n->a) || !check_defined(&v, n->b) || !check_defined(&v, n->c) ||
            !check_node(&v, n)) {
            return false;
        }
        if (v.put && (ir_node_effects(n) & (IR_FAULTS | IR_MEM)) != 0) {
            return fail(&v, "may fault after the instruction wrote a guest register");
        }
        exited |= ir_is_exit(n->op);
    }
    v.at = b->n - 1;
    return exited || fail(&v, "the block has no exit");
}
