/*
 * Words: guest registers of 64 bits whose upper halves are zero, as those are that operations of 32 bits write. Where
 * that is known, the lower half extended (MOV Wd, Wn; an index with UXTW) is the register itself and takes no
 * instruction. At a region's entry nothing is known; at the start of its other parts, what holds on each way there.
 */
#include "cpu/jit/jit_int.h"

/* Whether the upper half of a value of 64 bits is zero; @known: of nodes that read registers. */
static bool is_word(const IrBlock *ir, IrRef r, const bool *known)
{
    const IrNode *n = &ir->node[r], *b = &ir->node[n->b];

    switch (n->op) {
    case IR_const:
        return n->imm <= UINT32_MAX;
    case IR_get:
        return known[r];
    case IR_zext:
        return true;
    case IR_bfx:
        return n->imm >> 8 <= 32;
    case IR_and:
        return (b->op == IR_const && b->imm <= UINT32_MAX) || is_word(ir, n->a, known);
    case IR_load:
        return n->type == IR_I64 && n->mem.size_log2 < 3 && !n->mem.sign;
    case IR_shr:
        return b->op == IR_const && b->imm >= 32 && b->imm < 64;
    default:
        return false;
    }
}

/* The registers, a bit each, that are words at the end of a part; @words: at its start. */
static uint64_t follow(const IrBlock *ir, uint64_t words, bool *known)
{
    for (unsigned k = 0; k < ir->n_state; k++) {
        IrRef         i = ir->state[k];
        const IrNode *n = &ir->node[i];

        if (n->op == IR_get) {
            known[i] = n->imm < 64 && (words >> n->imm & 1) != 0;
        } else if (n->op == IR_put && n->imm < 64) {
            words &= ~(1ull << n->imm);
            words |= (uint64_t)(ir->regs[n->imm].type == IR_I64 && is_word(ir, n->a, known)) << n->imm;
        } else if (n->op == IR_call && (n->helper->effects & IR_WRITES)) {
            words = 0;
        }
    }
    return words;
}

void words_find(Gen *g)
{
    for (unsigned p = 0; p < g->n_parts; p++) {
        g->part_state[p].words = p > 0 ? UINT64_MAX : 0;
    }
    for (bool more = g->region; more;) {
        more = false;
        for (unsigned p = 0; p < g->n_parts; p++) {
            uint64_t after = follow(g->parts[p].ir, g->part_state[p].words, g->is_word);

            for (uint32_t next = g->part_state[p].next; next != 0; next &= next - 1) {
                PartState *to = &g->part_state[__builtin_ctz(next)];

                more |= (to->words & ~after) != 0;
                to->words &= after;
            }
        }
    }
}

void words_follow(Gen *g)
{
    if (g->region) {
        (void)follow(g->ir, g->part_state[g->part].words, g->is_word);
    }
}

bool words_extends(const Gen *g, IrRef r)
{
    const IrNode *n = gen_node(g, r), *low = gen_node(g, n->a);
    IrRef         from = 0;

    if (n->op == IR_zext && n->type == IR_I64 && low->op == IR_trunc && low->type == IR_I32) {
        from = low->a;
    } else if (n->op == IR_bfx && n->type == IR_I64 && n->imm == 32 << 8) {
        from = n->a;
    }
    return g->region && gen_node(g, from)->op == IR_get && g->is_word[from];
}
