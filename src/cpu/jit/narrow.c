/*
 * Zeroes above scalars. An operation of floating point on one lane takes what is above its result from an operand of
 * the host's instruction, and the guest's result has zeroes there. So it matters of which registers it is known that
 * they are zero above their lanes: what the parts of a region write tells that, except of what is in them at its entry.
 * Where loops would make zeroes again and again for want of that, the entry expects them, and the region is formed anew
 * without when they are not there.
 */
#include <string.h>

#include "cpu/jit/asm_sse.h"
#include "cpu/jit/jit_int.h"

void narrow_follow(Gen *g, unsigned i, uint8_t *narrow)
{
    const IrNode *n = gen_node(g, (IrRef)i);

    if (n->op == IR_get) {
        g->get_bytes[i] = g->pin_of[n->imm] >= 0 ? narrow[g->pin_of[n->imm]] : 16;
    } else if (n->op == IR_put && g->pin_of[n->imm] >= 0) {
        narrow[g->pin_of[n->imm]] = (uint8_t)fp_bytes(g, n->a);
    } else if (n->op == IR_call && (n->helper->effects & IR_WRITES)) {
        memset(narrow, 16, JIT_MAX_PINS);
    }
}

/* What is known at the end of a part. */
static void narrow_after(Gen *g, unsigned p, uint8_t narrow[JIT_MAX_PINS])
{
    g->ir = g->parts[p].ir;
    memcpy(narrow, g->part_state[p].narrow, JIT_MAX_PINS);
    for (unsigned k = 0; k < g->ir->n_state; k++) {
        narrow_follow(g, g->ir->state[k], narrow);
    }
}

/* At the start of a part holds what holds on all ways there; at the entry, what is expected. */
static void spread(Gen *g, const uint8_t expected[JIT_MAX_PINS])
{
    uint8_t after[JIT_MAX_PINS];

    for (unsigned p = 0; p < g->n_parts; p++) {
        memset(g->part_state[p].narrow, 0, JIT_MAX_PINS);
    }
    memcpy(g->part_state[0].narrow, expected, JIT_MAX_PINS);
    for (bool more = true; more;) {
        more = false;
        for (unsigned p = 0; p < g->n_parts; p++) {
            narrow_after(g, p, after);
            for (uint32_t next = g->part_state[p].next; next != 0; next &= next - 1) {
                uint8_t *to = g->part_state[__builtin_ctz(next)].narrow;

                for (unsigned i = 0; i < g->code->n_pins; i++) {
                    more |= after[i] > to[i];
                    to[i] = MAX(to[i], after[i]);
                }
            }
        }
    }
}

/* Pins above which loops make zeroes again and again; and from which byte. False: there are none. */
static bool find_zeroed(Gen *g, uint8_t bytes[JIT_MAX_PINS])
{
    uint8_t after[JIT_MAX_PINS];
    bool    any = false;

    memset(bytes, 0, JIT_MAX_PINS);
    for (unsigned p = 0; p < g->n_parts; p++) {
        narrow_after(g, p, after);
        for (unsigned k = 0; g->part_state[p].loops && k < g->ir->n_state; k++) {
            unsigned      least;
            IrRef         r = fp_zeroed(gen_node(g, g->ir->state[k]), &least);
            const IrNode *n = gen_node(g, r);

            if (r != 0 && n->op == IR_get && g->pin_of[n->imm] >= 0 && g->get_bytes[r] > least) {
                bytes[g->pin_of[n->imm]] = MAX(bytes[g->pin_of[n->imm]], (uint8_t)least);
                any = true;
            }
        }
    }
    return any;
}

void narrow_find(Gen *g)
{
    uint8_t expected[JIT_MAX_PINS], zeroed[JIT_MAX_PINS], still[JIT_MAX_PINS];

    g->expects = 0;
    for (unsigned p = 0; p < g->n_parts; p++) {
        memset(g->part_state[p].narrow, 16, JIT_MAX_PINS);
    }
    if (!g->region || !g->has_fp) {
        return;
    }
    memset(expected, 16, sizeof(expected));
    spread(g, expected);
    if (jit_is_wide(g->j, g->pa) || !find_zeroed(g, zeroed)) {
        return;
    }
    for (unsigned i = 0; i < g->code->n_pins; i++) {
        expected[i] = zeroed[i] != 0 ? zeroed[i] : 16;
    }
    spread(g, expected);
    find_zeroed(g, still);
    for (unsigned i = 0; i < g->code->n_pins; i++) {
        expected[i] = still[i] != 0 ? 16 : expected[i]; /* in vain */
        g->expects |= expected[i] < 16 ? 1u << i : 0;
    }
    g->expects &= g->part_state[0].wants;
    spread(g, expected);
}

/* Of the pins that are expected to be zero above so many bytes. */
static void check(Gen *g, unsigned bytes)
{
    X86Mem   mask = gen_constant(g, UINT64_MAX, bytes == 4 ? UINT64_MAX << 32 : 0);
    unsigned n = 0;
    X86Xmm   all = 0;

    for (unsigned i = 0; i < g->code->n_pins; i++) {
        if (!(g->expects >> i & 1) || g->part_state[0].narrow[i] != bytes) {
            continue;
        }
        if (n++ == 0) {
            all = g->code->pin[i].host;
        } else {
            asm_sse2(&g->as, X86_POR, 0, all, g->code->pin[i].host);
            all = 0;
        }
    }
    if (n != 0) {
        asm_sse1_m(&g->as, X86_PTEST, all, mask);
        asm_jcc(&g->as, CC_NE, &g->entry_wide);
    }
}

void narrow_check(Gen *g)
{
    g->entry_wide = ASM_LABEL;
    if (g->expects != 0) {
        check(g, 8);
        check(g, 4);
    }
}
