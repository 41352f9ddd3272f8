/*
 * Store-to-load forwarding over guest registers. A helper that writes registers makes all of them unknown, one with
 * IR_STATUS those that are so marked.
 */
#include <string.h>

#include "cpu/ir/passes.h"

static void forget(const IrBlock *b, IrRef *known, unsigned effects)
{
    for (size_t r = 0; r < b->n_regs; r++) {
        if ((effects & IR_WRITES) != 0 || b->regs[r].status) {
            known[r] = 0;
        }
    }
}

void ir_pass_forward(IrBlock *b)
{
    IrRef same[IR_MAX_NODES]; /* what a node's value is known to be */
    IrRef known[IR_MAX_REGS];

    memset(known, 0, b->n_regs * sizeof(known[0]));
    for (unsigned i = 0; i < b->n; i++) {
        IrNode *n = &b->node[i];

        same[i] = (IrRef)i;
        n->a = same[n->a];
        n->b = same[n->b];
        n->c = same[n->c];
        if (n->op == IR_get && known[n->imm] != 0) {
            same[i] = known[n->imm];
            n->op = IR_NOP;
        } else if (n->op == IR_get) {
            known[n->imm] = (IrRef)i;
        } else if (n->op == IR_put && known[n->imm] == n->a) {
            n->op = IR_NOP;
        } else if (n->op == IR_put) {
            known[n->imm] = n->a;
        } else if (n->op == IR_call && (n->helper->effects & (IR_WRITES | IR_STATUS)) != 0) {
            forget(b, known, n->helper->effects);
        }
    }
}
