/*
 * Removal of what nobody sees: puts that are overwritten before a get, a fault, a reading helper or the exit;
 * and values without uses.
 */
#include "cpu/ir/passes.h"

/* Someone may look at guest registers. */
static void forget(const IrBlock *b, bool *overwritten, unsigned effects)
{
    for (size_t r = 0; r < b->n_regs; r++) {
        overwritten[r] &= effects == IR_STATUS && !b->regs[r].status;
    }
}

void ir_pass_dead_puts(IrBlock *b)
{
    bool overwritten[IR_MAX_REGS] = { false }; /* by a later put, before anyone looks */

    for (unsigned i = b->n; i-- > 1;) {
        IrNode *n = &b->node[i];

        if (n->op == IR_put) {
            if (overwritten[n->imm]) {
                n->op = IR_NOP;
            }
            overwritten[n->imm] = true;
        } else if (n->op == IR_get) {
            overwritten[n->imm] = false;
        } else if (ir_node_effects(n) != IR_PURE) {
            forget(b, overwritten, ir_node_effects(n));
        }
    }
}

static bool removable(const IrNode *n)
{
    switch (n->op) {
    case IR_const:
    case IR_get:
    case IR_flags:
    case IR_flags_cond:
    case IR_flags_pack:
    case IR_flags_unpack:
    case IR_flags_select:
        return true;
    case IR_call:
        return (n->helper->effects & ~IR_READS) == 0;
    default:
        return n->op < IR_N_OPS;
    }
}

void ir_pass_dead_values(IrBlock *b)
{
    bool used[IR_MAX_NODES] = { false };

    used[IR_ZERO64] = used[IR_ZERO32] = true; /* cost nothing and keep their places */
    for (unsigned i = b->n; i-- > 1;) {
        IrNode *n = &b->node[i];

        if (!used[i] && removable(n)) {
            n->op = IR_NOP;
        } else {
            used[n->a] = used[n->b] = used[n->c] = true;
        }
    }
}
