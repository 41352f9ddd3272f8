/*
 * Groups: plain accesses of a part off one base, a few bytes apart. The first one checks for all of them, for writing
 * if one of them stores (what may be written directly may be read, see tlb_fill()), and leaves the host's address of
 * the base, which the others use as it is; when C had to do the first one, it leaves that. It is 0 when the accesses
 * lie in two pages, or C ran since and took something out of the tables. Each access then does its own check, out of
 * line; or, where code runs seldom, C does it.
 */
#include <string.h>

#include "cpu/jit/jit_int.h"

/* ---- analysis ---- */

/* Whether the group takes the access too. */
static bool join_group(const Gen *g, Group *p, const Address *a, bool write, unsigned bytes)
{
    int64_t low = MIN(p->low, (int64_t)a->offset), end = MAX(p->low + p->bytes, (int64_t)a->offset + bytes);

    if (p->base != a->base || end - low > GROUP_BYTES) {
        return false;
    }
    p->write |= write;
    p->low = low;
    p->bytes = end - low;
    return true;
}

static void add_access(Gen *g, unsigned i, unsigned open)
{
    const IrNode  *n = gen_node(g, (IrRef)i);
    const Address *a = &g->addr[g->partner[i] != 0 ? g->partner[i] : i];
    bool           write = n->op == IR_store;
    unsigned       bytes = (g->partner[i] != 0 ? 2u : 1u) << n->mem.size_log2, k = g->n_groups;

    if (!gen_is_plain(n->mem) || a->index != 0 || gen_is_const(g, a->base) || !fits_i32(a->offset) ||
        !fits_i32(a->offset + bytes)) {
        return;
    }
    while (k-- > open && !join_group(g, &g->group[k], a, write, bytes)) {
    }
    if (k + 1 > open) {
        g->group[k].last = i;
        g->group_of[i] = (uint8_t)(k + 1);
    } else if (g->n_groups < GROUPS) {
        g->group[g->n_groups++] = (Group){ a->base, write, (int64_t)a->offset, bytes, i };
        g->group_of[i] = (uint8_t)g->n_groups;
    }
}

void find_groups(Gen *g)
{
    unsigned open = 0; /* the first that may take more */

    memset(g->group_of, 0, g->ir->n);
    memset(g->host, 0, sizeof(g->host));
    g->n_groups = 0;
    for (unsigned k = 0; k < g->ir->n_state; k++) {
        unsigned      i = g->ir->state[k];
        const IrNode *n = gen_node(g, (IrRef)i);

        if ((n->op == IR_load || n->op == IR_store) && g->mode[i] == MODE_NORMAL) {
            add_access(g, i, open);
        } else if (n->op == IR_call && g->mode[i] != MODE_DEAD && (n->helper->effects & ~IR_STATUS) != IR_PURE) {
            open = g->n_groups;
        }
    }
}

/* ---- hosts' addresses ---- */

X86Mem host_temp(unsigned temp) { return gen_mem((int32_t)(offsetof(Cpu, temp) + temp * sizeof(CpuTemp))); }

uint32_t host_bit(const Host *h) { return 1u << (h->reg != X86_NO_REG ? (unsigned)h->reg : 16u + h->temp); }

uint32_t hosts_now(const Gen *g)
{
    uint32_t set = 0;

    for (unsigned i = 0; i < GROUP_HOSTS; i++) {
        set |= g->host[i].group != 0 ? host_bit(&g->host[i]) : 0;
    }
    return set;
}

void hosts_set_none(Gen *g, uint32_t set)
{
    for (; set != 0; set &= set - 1) {
        unsigned i = (unsigned)__builtin_ctz(set);

        if (i < 16) {
            asm_alu_rr(&g->as, ALU_XOR, false, (X86Reg)i, (X86Reg)i);
        } else {
            asm_store_i(&g->as, 3, host_temp(i - 16), 0);
        }
    }
}


Host *host_of(Gen *g)
{
    for (unsigned i = 0; i < GROUP_HOSTS && g->group_of[g->at] != 0; i++) {
        if (g->host[i].group == g->group_of[g->at]) {
            return &g->host[i];
        }
    }
    return NULL;
}

Host *host_take(Gen *g)
{
    unsigned group = g->group_of[g->at];

    for (unsigned i = 0; i < GROUP_HOSTS && group != 0 && g->at < g->group[group - 1].last; i++) {
        Host *h = &g->host[i];

        if (h->group == 0) {
            h->group = (uint8_t)group;
            h->temp = (uint8_t)(1 + i);
            h->reg = gen_free_gpr(g, g->lock_gpr);
            if (h->reg != X86_NO_REG) {
                g->gpr[h->reg] = REG_NEVER;
            }
            return h;
        }
    }
    return NULL;
}

void host_give(Gen *g, Host *h)
{
    if (h->group != 0 && h->reg != X86_NO_REG) {
        g->gpr[h->reg] = REG_FREE;
    }
    h->group = 0;
}

void host_give_all(Gen *g)
{
    for (unsigned i = 0; i < GROUP_HOSTS; i++) {
        host_give(g, &g->host[i]);
    }
}

X86Reg host_yield(Gen *g, uint32_t but)
{
    for (unsigned i = 0; i < GROUP_HOSTS; i++) {
        Host  *h = &g->host[i];
        X86Reg r = h->reg;

        if (h->group != 0 && r != X86_NO_REG && !(but >> r & 1)) {
            asm_store(&g->as, 3, host_temp(h->temp), r);
            g->gpr[r] = REG_FREE;
            h->reg = X86_NO_REG;
            return r;
        }
    }
    return X86_NO_REG;
}
