/*
 * Removal of what nobody sees: puts that are overwritten before a get, a fault, a reading helper or the exit;
 * and values without uses.
 */
#include <string.h>

#include "cpu/ir/passes.h"

/* Someone may look at the status registers. */
static void forget_status(const IrBlock *b, uint16_t *overwritten)
{
    for (size_t r = 0; r < b->n_regs; r++) {
        if (b->regs[r].status) {
            overwritten[r] = 0;
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

/* Whether the store right behind the first half of a read-modify-write, whose value nobody wants, raises what that
 * would. */
static bool store_follows(const IrBlock *b, unsigned load)
{
    const IrNode *n = &b->node[load], *m = n + 1;

    while (m->op <= IR_get) { /* pure, up to there */
        m++;
    }
    return m->op == IR_store && m->a == n->a && m->mem.size_log2 == n->mem.size_log2 &&
           m->mem.space == n->mem.space && m->mem.big == n->mem.big && m->mem.align == n->mem.align;
}

void ir_pass_dead(IrBlock *b)
{
    bool     used[IR_MAX_NODES];
    uint16_t overwritten[IR_MAX_REGS]; /* by a later put, before anyone looks: is @now */
    uint16_t now = 1;                  /* counts who looks at all registers */

    memset(used, 0, b->n);
    memset(overwritten, 0, b->n_regs * sizeof(overwritten[0]));
    used[IR_ZERO64] = used[IR_ZERO32] = true; /* cost nothing and keep their places */
    for (unsigned i = b->n; i-- > 1;) {
        IrNode  *n = &b->node[i];
        unsigned effects = ir_node_effects(n);

        bool     half = n->op == IR_load && n->mem.write_intent;

        if ((!used[i] && (removable(n) || (half && store_follows(b, i)))) ||
            (n->op == IR_put && overwritten[n->imm] == now)) {
            n->op = IR_NOP;
            continue;
        }
        if (n->op == IR_put) {
            overwritten[n->imm] = now;
        } else if (n->op == IR_get) {
            overwritten[n->imm] = 0;
        } else if (effects == IR_STATUS) {
            forget_status(b, overwritten);
        } else if (effects != IR_PURE) {
            now++;
        }
        used[n->a] = used[n->b] = used[n->c] = true;
    }
}
