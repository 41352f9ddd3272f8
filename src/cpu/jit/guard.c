/*
 * Guards that cannot fail. A guard asks whether low bits of a guest register are zero: the stack pointer's, once in
 * each block that accesses memory by it. In a region the register is known to pass where each way to a part has come by
 * such a guard, and nothing but multiples of what it asks for was added since.
 */
#include "cpu/jit/jit_int.h"

/* What @r is a multiple of @mask + 1 away from. */
static IrRef origin(const IrBlock *ir, IrRef r, uint64_t mask)
{
    const IrNode *n = &ir->node[r];

    while ((n->op == IR_add || n->op == IR_sub) && ir->node[n->b].op == IR_const && (ir->node[n->b].imm & mask) == 0) {
        r = n->a;
        n = &ir->node[r];
    }
    return r;
}

/* The register that guards of the region ask about, and the bits of it, are those of the first one. */
static void find_guarded(Gen *g)
{
    g->guarded_reg = -1;
    for (unsigned p = 0; p < g->n_parts && g->guarded_reg < 0; p++) {
        const IrBlock *ir = g->parts[p].ir;

        for (unsigned k = 0; k < ir->n_state && g->guarded_reg < 0; k++) {
            const IrNode *n = &ir->node[ir->state[k]];

            if (n->op == IR_guard && ir->node[origin(ir, n->a, n->imm)].op == IR_get) {
                g->guarded_reg = (int)ir->node[origin(ir, n->a, n->imm)].imm;
                g->guarded_bits = n->imm;
            }
        }
    }
}

/* Whether the register passes at the end of a part, if it does so at its start when @passes; @mode: of nodes, where
 * guards that cannot fail are marked as dead, or NULL. */
static bool follow(const Gen *g, const IrBlock *ir, bool passes, uint8_t *mode)
{
    IrRef got = 0, now = 0; /* the value that was read, and what the register's is a multiple away from */
    bool  got_passes = false;

    for (unsigned k = 0; k < ir->n_state; k++) {
        IrRef         i = ir->state[k];
        const IrNode *n = &ir->node[i];

        if (n->op == IR_get && (int)n->imm == g->guarded_reg) {
            got = now = i;
            got_passes = passes;
        } else if (n->op == IR_put && (int)n->imm == g->guarded_reg) {
            now = origin(ir, n->a, g->guarded_bits);
            passes = now == got && got_passes;
        } else if (n->op == IR_guard && n->imm == g->guarded_bits && got != 0 &&
                   origin(ir, n->a, g->guarded_bits) == got) {
            if (got_passes && mode != NULL) {
                mode[i] = MODE_DEAD;
            }
            got_passes = true;
            passes |= now == got;
        } else if (n->op == IR_call && (n->helper->effects & IR_WRITES)) {
            got = now = 0;
            passes = false;
        }
    }
    return passes;
}

void guard_find(Gen *g)
{
    g->guarded_reg = -1;
    if (g->region) {
        find_guarded(g);
    }
    for (unsigned p = 0; p < g->n_parts; p++) {
        g->part_state[p].passes_guard = p > 0;
    }
    for (bool more = g->guarded_reg >= 0; more;) {
        more = false;
        for (unsigned p = 0; p < g->n_parts; p++) {
            uint32_t next = follow(g, g->parts[p].ir, g->part_state[p].passes_guard, NULL) ? 0 : g->part_state[p].next;

            for (; next != 0; next &= next - 1) {
                PartState *to = &g->part_state[__builtin_ctz(next)];

                more |= to->passes_guard;
                to->passes_guard = false;
            }
        }
    }
}

void guard_drop(Gen *g)
{
    if (g->guarded_reg >= 0) {
        (void)follow(g, g->ir, g->part_state[g->part].passes_guard, g->mode);
    }
}
