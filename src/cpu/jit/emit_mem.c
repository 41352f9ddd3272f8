/*
 * Memory accesses, with the TLB's hit path inline; guards; and calls of helpers. The check is one compare: address
 * minus the entry's tag must not be above 4096 minus the bytes accessed, which refuses another page, an empty entry and
 * an access that leaves the page alike. In regions it is done first with a PageSlot, whose place is known, and once for
 * accesses that belong together (group.c).
 */
#include "cpu/jit/jit_int.h"

enum { MAX_DISP = 1024 };

_Static_assert(sizeof(TlbEntry) == 16, "the index is scaled by a shift");

/* @far: any offset will do, not just a small one. */
static X86Reg emit_address(Gen *g, unsigned i, unsigned bytes, bool far, int32_t *disp)
{
    const Address *a = &g->addr[i];
    uint64_t       off = a->offset;

    *disp = 0;
    if (gen_is_const(g, a->base)) {
        asm_mov_ri(&g->as, RAX, gen_const(g, a->base) + off);
        return RAX;
    }
    X86Reg base = gen_gpr(g, a->base, RAX, false);
    if (a->index != 0) {
        if (gen_is_const(g, a->index)) {
            asm_mov_ri(&g->as, RCX, gen_const(g, a->index));
        }
        X86Reg index = gen_is_const(g, a->index) ? RCX : gen_gpr(g, a->index, RCX, false);

        asm_lea(&g->as, true, RAX, X86_INDEX(base, index, a->shift, 0));
        return RAX;
    }
    if (off <= MAX_DISP - bytes || (far && fits_i32(off) && fits_i32(off + bytes))) {
        *disp = (int32_t)off;
        return base;
    }
    if (fits_i32(off)) {
        asm_lea(&g->as, true, RAX, X86_AT(base, (int32_t)off));
    } else {
        asm_mov_ri(&g->as, RDX, off);
        asm_lea(&g->as, true, RAX, X86_INDEX(base, RDX, 0, 0));
    }
    return RAX;
}

static void emit_sum(Gen *g, X86Reg d, X86Reg base, int32_t disp)
{
    if (disp != 0) {
        asm_lea(&g->as, true, d, X86_AT(base, disp));
    } else {
        asm_mov_rr(&g->as, true, d, base);
    }
}

/* ---- by the table ---- */

static int32_t table_of(bool write)
{
    return write ? (int32_t)offsetof(CpuTlb, write) : (int32_t)offsetof(CpuTlb, read);
}

/* The offset of the entry for the address @from into rdi, which may be that register; rdx = address @base minus tag,
 * compared with @end bytes off the page's end. */
static void emit_compare(Gen *g, X86Reg tlb, X86Reg from, X86Reg base, int32_t end, bool write)
{
    asm_mov_rr(&g->as, false, RDI, from);
    if (base != RDX) {
        asm_mov_rr(&g->as, true, RDX, base);
    }
    asm_shift_ri(&g->as, SH_SHR, false, RDI, PAGE_BITS - 4);
    asm_alu_ri(&g->as, ALU_AND, false, RDI, (TLB_ENTRIES - 1) << 4);
    asm_alu_rm(&g->as, ALU_SUB, true, RDX,
               X86_INDEX(tlb, RDI, 0, table_of(write) + (int32_t)offsetof(TlbEntry, tag)));
    asm_alu_ri(&g->as, ALU_CMP, true, RDX, PAGE_SIZE - end);
}

static void emit_addend(Gen *g, X86Reg tlb, bool write)
{
    asm_load(&g->as, 3, false, true, RDI,
             X86_INDEX(tlb, RDI, 0, table_of(write) + (int32_t)offsetof(TlbEntry, addend)));
}

/*
 * A load that leads to the next one's address waits for an addition of three a cycle longer than for one of two
 * (Zen 5); this one, into rcx, is done beside the search.
 */
static void sum_early(Gen *g, Reach *r)
{
    if (r->disp != 0) {
        asm_lea(&g->as, true, RCX, X86_AT(r->base, r->disp));
        r->base = RCX;
        r->disp = 0;
    }
}

/* ---- out of line: one by one ---- */

/* Whether @bytes from @disp off the base may be read or written; the host's address of that is in rdi + base then. */
static void check_again(Gen *g, const Reach *r, bool write, X86Reg base, int32_t disp, unsigned bytes, AsmLabel *fail)
{
    emit_sum(g, RDX, base, disp);
    emit_compare(g, r->tlb, RDX, RDX, (int32_t)bytes, write);
    asm_jcc(&g->as, CC_A, fail);
}

/* What a store writes, to @m; rdx or xmm0 are lost. */
static void store_place(Gen *g, const JitPlace *p, unsigned size_log2, X86Mem m)
{
    bool vector = gen_is_vector((IrType)p->type);

    if (vector) {
        X86Xmm x = p->kind == AT_XMM ? p->reg : 0;

        if (p->kind == AT_MEM) {
            asm_load_x(&g->as, 4, x, gen_mem(p->v));
        }
        if (size_log2 >= 2) {
            asm_store_x(&g->as, size_log2, m, x);
            return;
        }
        asm_movq_rx(&g->as, true, RDX, x);
    } else if (p->kind == AT_CONST && p->reg == 0) {
        asm_store_i(&g->as, size_log2, m, p->v);
        return;
    } else if (p->kind == AT_CONST) {
        asm_mov_ri(&g->as, RDX, g->j->pool[p->v]);
    } else if (p->kind == AT_MEM) {
        asm_load(&g->as, 3, false, true, RDX, gen_mem(p->v));
    }
    asm_store(&g->as, size_log2, m, !vector && p->kind == AT_GPR ? (X86Reg)p->reg : RDX);
}

/*
 * An access that its check refused may lie across two pages that the table has: it is done on a copy of the bytes
 * around the boundary (make_across()). A load goes on at @load, with the address as that expects it; @whole: as a Host
 * says where it is. Behind it: where that is not so.
 */
static void access_across(Gen *g, Cold *c, X86Reg base, bool whole, AsmLabel *load)
{
    const Jit     *j = g->j;
    const JitSite *s = &j->site[c->site];
    const Reach   *r = &c->access;
    AsmLabel       none = ASM_LABEL;

    if (r->bytes == 1 || s->mem.align || s->mem.write_intent || r->tlb != R14) {
        return;
    }
    emit_sum(g, RDX, base, r->disp);
    asm_call_to(&g->as, r->write ? j->across_write : j->across_read);
    asm_test_rr(&g->as, true, RDI, RDI);
    asm_jcc(&g->as, CC_E, &none);
    if (!r->write) {
        if (!whole) {
            asm_alu_rr(&g->as, ALU_SUB, true, RDI, base);
        }
        if (r->disp != 0) {
            asm_alu_ri(&g->as, ALU_SUB, true, RDI, r->disp);
        }
        asm_jmp(&g->as, load);
    } else {
        store_place(g, &s->c, s->mem.size_log2, X86_AT(RDI, 0));
        if (s->pair) {
            store_place(g, &s->d2, s->mem.size_log2, X86_AT(RDI, 1 << s->mem.size_log2));
        }
        asm_call_to(&g->as, j->across_done);
        asm_jmp(&g->as, &c->back);
    }
    asm_bind(&g->as, &none);
}

/* The check failed. For a group, if the access leads one: its own. Behind it: where that fails. */
static void miss_check(Gen *g, Cold *c)
{
    const Reach *r = &c->access;
    AsmLabel     slow = ASM_LABEL;

    if (c->host.group == 0) {
        access_across(g, c, r->base, false, &c->resume);
        return;
    }
    hosts_set_none(g, host_bit(&c->host));
    check_again(g, r, r->write, r->base, r->disp, r->bytes, &slow);
    emit_addend(g, r->tlb, r->write);
    asm_jmp(&g->as, &c->alone);
    asm_bind(&g->as, &slow);
    access_across(g, c, r->base, false, &c->alone);
}

/* ---- by the table, in line ---- */

/* Whether the check is of the base, with what is off it left to the limit. */
static bool is_near(const Reach *r) { return r->low >= 0 && r->low + (int32_t)r->range <= MAX_DISP; }

/* The base may be in another page than the access: a frame or an object that lies across pages. */
static void miss_table(Gen *g, Cold *c)
{
    const Reach *r = &c->access;
    AsmLabel     fail = ASM_LABEL;

    if (is_near(r) && r->low != 0) {
        check_again(g, r, r->check_write, r->base, r->low, r->range, &fail);
        emit_addend(g, r->tlb, r->check_write);
        asm_jmp(&g->as, &c->resume);
        asm_bind(&g->as, &fail);
    }
    miss_check(g, c);
}

/* Leaves the host address of the base in rdi + base; rdx is lost, and rcx for another space than 0. Code that runs
 * seldom leaves it to C when only the base is in another page. */
static void emit_by_table(Gen *g, IrMem m, Reach *r, Cold *c)
{
    if (m.space != 0) {
        r->tlb = RCX;
        asm_load(&g->as, 3, false, true, RCX, gen_mem((int32_t)(offsetof(Cpu, tlb) + m.space * sizeof(CpuTlb *))));
    }
    if (is_near(r)) {
        emit_compare(g, r->tlb, r->base, r->base, r->low + (int32_t)r->range, r->check_write);
    } else {
        emit_sum(g, RDX, r->base, r->low);
        emit_compare(g, r->tlb, RDX, RDX, (int32_t)r->range, r->check_write);
    }
    asm_jcc(&g->as, CC_A, &c->from);
    emit_addend(g, r->tlb, r->check_write);
    if (g->region) {
        asm_bind(&g->as, &c->resume);
        c->first = miss_table;
    }
}

/* ---- by a slot of the page that was used last ---- */

/*
 * A slot is filled from one of the tables, and for accesses of so many bytes: those that share it, as others may when
 * all have been given out, do the same to no more bytes. Accesses of up to 8 bytes are of one kind, for which the last
 * 7 bytes of a page are out of reach.
 */
typedef struct SlotKind {
    uint8_t bytes, first, n;
} SlotKind;

static const SlotKind slot_kinds[2][JIT_SLOT_KINDS / 2] = {
    { { 8, 0, 72 }, { 16, 72, 24 }, { 32, 96, 24 }, { 64, 120, 24 }, { 128, 144, 16 } },
    { { 8, 160, 36 }, { 16, 196, 18 }, { 32, 214, 16 }, { 64, 230, 14 }, { 128, 244, 12 } },
};

_Static_assert(244 + 12 == PAGE_SLOTS && JIT_SLOT_KINDS == sizeof(slot_kinds) / sizeof(slot_kinds[0][0]),
               "the kinds share the slots of a context");
_Static_assert(GROUP_BYTES == 128, "the last kind serves all groups");

static unsigned size_kind(unsigned bytes)
{
    return bytes <= 8 ? 0 : bytes <= 16 ? 1 : bytes <= 32 ? 2 : bytes <= 64 ? 3 : 4;
}

/* Accesses off one base are likely to stay in one page; others get slots of their own. */
static uint32_t choose_slot(Gen *g, const Address *a, unsigned size, bool write)
{
    for (unsigned i = 0; i < MIN(g->n_slot_users, SLOT_USERS); i++) {
        const SlotUser *u = &g->slot_user[i];

        if (u->base == g->root[a->base] && u->index == g->root[a->index] && u->size == size && u->write == write) {
            return u->offset;
        }
    }
    const SlotKind *k = &slot_kinds[write][size];
    unsigned       *next = &g->next_slot[write][size];
    uint32_t        offset = (uint32_t)(offsetof(CpuTlb, slot) + (k->first + *next) * sizeof(PageSlot));

    *next = (*next + 1) % k->n;
    g->slot_user[g->n_slot_users++ % SLOT_USERS] =
        (SlotUser){ g->root[a->base], g->root[a->index], (uint8_t)size, write, offset };
    return offset;
}

/* The instruction where it is now: in the part of a loop it may stay in a page, and not in one that leads there. */
static uint64_t access_name(const Gen *g)
{
    return (g->pa + (g->insn_pc - g->parts[0].pc)) ^ (g->insn_pc - g->parts[g->part].pc) * 0x9e3779b1u;
}

static uint32_t new_slot(Gen *g, unsigned first, const Reach *r)
{
    Jit     *j = g->j;
    uint32_t id = j->n_slots;
    unsigned size = size_kind(r->range);

    g_assert(r->range <= slot_kinds[r->check_write][size].bytes);
    j->n_slots += j->n_slots < j->max_slots - 1;
    g->failed |= g->arena_full |= j->n_slots == j->max_slots - 1;
    j->slot[id] = (JitSlot){
        .block = g->block,
        .name = access_name(g),
        .limit = PAGE_SIZE + 1 - slot_kinds[r->check_write][size].bytes,
        .offset = choose_slot(g, &g->addr[first], size, r->check_write),
        .left = JIT_MISSES,
        .write = r->check_write,
    };
    return id;
}

/* Where an access missed its slot, or has left it: by the table. */
static void miss_slot(Gen *g, Cold *c)
{
    const Reach *r = &c->access;
    JitSlot     *s = &g->j->slot[r->slot];
    AsmLabel     fail = ASM_LABEL;

    s->cold = g->as.p;
    check_again(g, r, r->check_write, r->base, r->low, r->range, &fail);
    asm_mov_ri(&g->as, RCX, r->slot);
    s->keep = g->as.p;
    asm_call_to(&g->as, r->check_write ? g->j->keep_write : g->j->keep_read);
    emit_addend(g, R14, r->check_write);
    asm_jmp(&g->as, &c->resume);
    asm_bind(&g->as, &fail);
    miss_check(g, c);
}

/* As emit_by_table(), without waiting for the address. */
static void emit_by_slot(Gen *g, unsigned first, Reach *r, Cold *c)
{
    r->slot = new_slot(g, first, r);

    JitSlot *s = &g->j->slot[r->slot];
    int32_t  at = (int32_t)s->offset;

    s->hot = g->as.p;
    emit_sum(g, RDX, r->base, r->low);
    asm_alu_rm(&g->as, ALU_SUB, true, RDX, X86_AT(R14, at + (int32_t)offsetof(PageSlot, tag)));
    asm_alu_rm(&g->as, ALU_CMP, true, RDX, X86_AT(R14, at + (int32_t)offsetof(PageSlot, limit)));
    asm_jcc(&g->as, CC_AE, &c->from);
    asm_load(&g->as, 3, false, true, RDI, X86_AT(R14, at + (int32_t)offsetof(PageSlot, addend)));
    asm_bind(&g->as, &c->resume);
    c->first = miss_slot;
    g->j->site[c->site].slot = r->slot + 1;
    if (c->host.group != 0) {
        g->group[c->host.group - 1].slot = r->slot + 1;
    }
}

/* ---- by what an access before it found ---- */

/* In a register. */
static X86Reg bring_host(Gen *g, const Host *h)
{
    if (h->reg != X86_NO_REG) {
        return h->reg;
    }
    asm_load(&g->as, 3, false, true, RDI, host_temp(h->temp));
    return RDI;
}

/* The check of the group does not hold: the access's own, and its moves. */
static void miss_host(Gen *g, Cold *c)
{
    const JitPlace *p = &g->j->site[c->site].a;
    const Reach    *r = &c->access;
    X86Reg          base = p->kind == AT_MEM ? RAX : (X86Reg)p->reg;
    AsmLabel        slow = ASM_LABEL, again = ASM_LABEL;

    if (p->kind == AT_MEM) {
        asm_load(&g->as, (unsigned)__builtin_ctz(ir_type_bits(p->type) / 8), false, true, RAX, gen_mem(p->v));
    }
    check_again(g, r, r->write, base, r->disp, r->bytes, &slow);
    emit_addend(g, r->tlb, r->write);
    asm_alu_rr(&g->as, ALU_ADD, true, RDI, base);
    asm_bind(&g->as, &again);
    for (unsigned i = 0; i < c->n_again; i++) {
        asm_u8(&g->as, c->again[i]);
    }
    asm_jmp(&g->as, &c->back);
    asm_bind(&g->as, &slow);
    access_across(g, c, base, true, &again);
}

static X86Mem emit_by_host(Gen *g, Host *h, const Reach *r, Cold *c)
{
    X86Reg host = bring_host(g, h);

    asm_test_rr(&g->as, true, host, host);
    asm_jcc(&g->as, CC_E, &c->from);
    c->first = g->region ? miss_host : NULL;
    c->access = *r;
    g->j->site[c->site].slot = g->group[h->group - 1].slot;
    if (g->group[h->group - 1].last == g->at) {
        host_give(g, h);
    }
    return X86_AT(host, r->disp);
}

/* The host's address @m, for those that follow. rcx is lost. */
static void keep_host(Gen *g, const Host *h, X86Mem m)
{
    X86Reg d = h->reg != X86_NO_REG ? h->reg : RCX;

    asm_lea(&g->as, true, d, m);
    if (h->reg == X86_NO_REG) {
        asm_store(&g->as, 3, host_temp(h->temp), d);
    }
}

/* ---- an access ---- */

/* C, when it has done the access, looks for the group's page again. */
static void lead_group(Gen *g, const Cold *c)
{
    const Group *p = &g->group[c->host.group - 1];
    JitSite     *s = &g->j->site[c->site];

    s->group.low = (int32_t)p->low;
    s->group.bytes = (uint8_t)p->bytes;
    s->group.write = p->write;
    s->group.host = (uint8_t)__builtin_ctz(host_bit(&c->host));
}

/* In rdi and a register; what is checked is the whole group that the access leads, if any. */
static X86Mem emit_check(Gen *g, unsigned first, IrMem m, bool slot, Reach *r, Cold *c)
{
    const Host *h = host_take(g);

    r->base = emit_address(g, first, m.align ? MAX_DISP : r->bytes, slot || h != NULL, &r->disp);
    r->low = r->disp;
    r->range = r->bytes;
    r->check_write = r->write;
    if (h != NULL) {
        r->low = (int32_t)g->group[h->group - 1].low;
        r->range = (unsigned)g->group[h->group - 1].bytes;
        r->check_write = g->group[h->group - 1].write;
        c->host = *h;
        lead_group(g, c);
    }
    if (m.align && m.size_log2 != 0) {
        asm_test_ri(&g->as, false, r->base, (1 << m.size_log2) - 1);
        asm_jcc(&g->as, CC_NE, &c->from);
    }
    if (slot) {
        emit_by_slot(g, first, r, c);
    } else {
        emit_by_table(g, m, r, c);
    }
    c->access = *r;
    if (h != NULL) {
        keep_host(g, h, X86_INDEX(r->base, RDI, 0, 0));
        asm_bind(&g->as, &c->alone);
    }
    if (g->region && !slot && m.space == 0 && !r->write) {
        sum_early(g, r);
    }
    return X86_INDEX(r->base, RDI, 0, r->disp);
}

/* The entry's own copy of its part would meet another page each time, and say so of the loop's accesses. */
static bool may_use_slot(const Gen *g, IrMem m)
{
    return g->region && g->part >= g->first_target && m.space == 0 && !m.align &&
           !jit_is_scattered(g->j, access_name(g));
}

/* The access at @first: where it is in the host's memory. */
static X86Mem emit_reach(Gen *g, unsigned first, IrMem m, unsigned bytes, bool write, uint32_t site, Cold **cold)
{
    bool  slot = may_use_slot(g, m);
    Reach r = { .disp = (int32_t)g->addr[first].offset, .bytes = bytes, .write = write, .tlb = R14 };
    Cold *c = *cold = gen_cold(g, site);
    Host *h = host_of(g);

    return h != NULL ? emit_by_host(g, h, &r, c) : emit_check(g, first, m, slot, &r, c);
}

/* ---- sites ---- */

static JitSite *access_site(Gen *g, const IrNode *n, unsigned first, uint32_t *id)
{
    const Address *a = &g->addr[first];
    JitSite       *s = gen_site(g, n->op == IR_load ? SITE_LOAD : SITE_STORE, id);

    s->mem = n->mem;
    s->slot = 0;
    s->offset = a->offset;
    s->shift = a->shift;
    s->a = gen_place(g, a->base);
    s->b = gen_place(g, a->index);
    s->type = n->op == IR_load ? n->type : n->kind;
    return s;
}

/* ---- read-modify-write ---- */

static bool may_lie_between(unsigned op)
{
    return op == IR_NOP || op == IR_const || op == IR_get || ir_op_class(op) != IR_CLASS_OTHER;
}

/* The store of the load's own bytes that follows it with nothing in between that could see or do anything; 0: none. */
static unsigned store_after(const Gen *g, unsigned load)
{
    const Address *a = &g->addr[load];
    IrMem          m = gen_node(g, (IrRef)load)->mem;
    unsigned       i = load + 1;

    while (may_lie_between(gen_node(g, (IrRef)i)->op)) {
        i++;
    }
    const IrNode  *n = gen_node(g, (IrRef)i);
    const Address *b = &g->addr[i];
    bool same = n->op == IR_store && a->base == b->base && a->index == b->index && a->shift == b->shift &&
                a->offset == b->offset && m.size_log2 == n->mem.size_log2 && m.space == n->mem.space;

    return same && m.write_intent && !m.big ? i : 0;
}

/* Whether the value is either the one that the load of the same bytes found, or another. */
bool emit_fuses_select(const Gen *g, unsigned i)
{
    IrRef         r = gen_node(g, (IrRef)i)->b;
    const IrNode *n = gen_node(g, r);

    return n->op == IR_select && (n->type == IR_I64 || n->type == IR_I128) && g->uses[r] == 1 &&
           g->mode[r] == MODE_NORMAL && gen_node(g, n->c)->op == IR_load && store_after(g, n->c) == i;
}

/* The host's address of a load's bytes stays for the store. */
static bool reserve_host_address(Gen *g)
{
    g->rmw.store = store_after(g, g->at);
    if (g->rmw.store != 0) {
        g->rmw.host = (Host){ .temp = RMW_TEMP, .reg = gen_reserve_gpr(g) };
    }
    return g->rmw.store != 0;
}

/* ---- loads ---- */

/* The moves of an access, as functions of where it is. */
typedef struct Moves {
    const IrNode *n;
    bool          pair;
    uint8_t       d[2]; /* a load's registers, */
    IrRef         v[2]; /* and what a store stores */
} Moves;

/* Into the general or vector register @d. */
static void load_one(Gen *g, const IrNode *n, uint8_t d, X86Mem m)
{
    if (!gen_is_vector(n->type)) {
        asm_load(&g->as, n->mem.size_log2, n->mem.sign, n->type == IR_I64, (X86Reg)d, m);
    } else if (n->mem.size_log2 >= 2) {
        asm_load_x(&g->as, n->mem.size_log2, d, m);
    } else {
        asm_load(&g->as, n->mem.size_log2, false, true, RDX, m);
        asm_movq_xr(&g->as, true, d, RDX);
    }
}

static void store_value(Gen *g, IrRef v, unsigned size_log2, X86Mem m)
{
    if (gen_is_vector(gen_node(g, v)->type)) {
        X86Xmm x = gen_xmm(g, v, 1);

        if (size_log2 >= 2) {
            asm_store_x(&g->as, size_log2, m, x);
        } else {
            asm_movq_rx(&g->as, true, RDX, x);
            asm_store(&g->as, size_log2, m, RDX);
        }
    } else if (gen_is_const(g, v) && fits_i32(gen_const(g, v))) {
        asm_store_i(&g->as, size_log2, m, (int32_t)gen_const(g, v));
    } else {
        asm_store(&g->as, size_log2, m, gen_gpr(g, v, RDX, false));
    }
}

static void emit_moves(Gen *g, const Moves *moves, X86Mem m)
{
    const IrNode *n = moves->n;

    for (unsigned i = 0; i < 1u + moves->pair; i++) {
        if (n->op == IR_load) {
            load_one(g, n, moves->d[i], m);
        } else {
            store_value(g, moves->v[i], n->mem.size_log2, m);
        }
        m.disp += 1 << n->mem.size_log2;
    }
}

/* Where a Host tells where the access is they are wanted once more, for when it does not. */
static void move(Gen *g, const Moves *moves, X86Mem m, Cold *c)
{
    Asm hot;

    emit_moves(g, moves, m);
    if (c->first == miss_host) {
        hot = g->as;
        asm_init(&g->as, c->again, sizeof(c->again), 0);
        emit_moves(g, moves, X86_AT(RDI, m.disp));
        c->n_again = (uint8_t)asm_size(&g->as);
        g->failed |= g->as.full;
        g->as = hot;
    }
    asm_bind(&g->as, &c->back);
}

static void emit_load(Gen *g, const IrNode *n)
{
    bool     vector = gen_is_vector(n->type);
    X86Reg   d = vector ? RAX : gen_dest_gpr(g);
    X86Xmm   x = vector ? gen_dest_xmm(g) : 0;
    bool     rmw = reserve_host_address(g);
    uint32_t id;
    JitSite *s = access_site(g, n, g->at, &id);

    s->d = vector ? gen_place_xmm(x, n->type) : gen_place_gpr(d, n->type);
    if (n->mem.big) {
        gen_call(g, id);
    } else {
        Cold  *cold;
        X86Mem m = emit_reach(g, g->at, n->mem, 1u << n->mem.size_log2, n->mem.write_intent, id, &cold);

        if (rmw) {
            keep_host(g, &g->rmw.host, m);
            cold->hosts |= host_bit(&g->rmw.host);
        }
        move(g, &(Moves){ .n = n, .d = { vector ? x : (uint8_t)d } }, m, cold);
    }
    if (vector) {
        gen_done_xmm(g, x);
    } else {
        gen_done_gpr(g, d, true);
    }
}

/* Two loads side by side, one check. */
static void emit_load_pair(Gen *g, const IrNode *n)
{
    bool     vector = gen_is_vector(n->type);
    IrRef    first = g->partner[g->at];
    unsigned bytes = 1u << n->mem.size_log2;
    uint8_t  d1 = vector ? gen_dest_xmm_of(g, first) : (uint8_t)gen_dest_gpr_of(g, first);
    uint8_t  d2 = vector ? gen_dest_xmm(g) : (uint8_t)gen_dest_gpr(g);
    uint32_t id;
    JitSite *s = access_site(g, n, first, &id);
    Cold    *cold;

    g->failed |= d1 == d2; /* no registers at all: does not happen */
    s->pair = true;
    s->d = vector ? gen_place_xmm(d1, n->type) : gen_place_gpr((X86Reg)d1, n->type);
    s->d2 = vector ? gen_place_xmm(d2, n->type) : gen_place_gpr((X86Reg)d2, n->type);
    X86Mem m = emit_reach(g, first, n->mem, 2 * bytes, false, id, &cold);
    if (!vector && d1 == (uint8_t)m.base) {
        asm_alu_rr(&g->as, ALU_ADD, true, RDI, m.base);
        m = X86_AT(RDI, m.disp);
    }
    move(g, &(Moves){ .n = n, .pair = true, .d = { d1, d2 } }, m, cold);
    if (vector) {
        gen_done_xmm_of(g, first, d1);
        gen_done_xmm(g, d2);
    } else {
        gen_done_gpr_of(g, first, (X86Reg)d1, true);
        gen_done_gpr(g, (X86Reg)d2, true);
    }
}

/* ---- stores ---- */

/* Where C did the load it writes what that found, as the executor does: this may be a device. */
static void write_unchanged(Gen *g, Cold *c)
{
    X86Reg host = bring_host(g, &c->host);

    asm_test_rr(&g->as, true, host, host);
    asm_jcc(&g->as, CC_NE, &c->back);
}

/* Only when the condition of the select @sel holds is there anything to write. */
static Cold *emit_condition_of_store(Gen *g, const IrNode *n, const IrNode *sel)
{
    uint32_t id;
    JitSite *s = access_site(g, n, g->at, &id);
    Cold    *cold = gen_cold(g, id);
    X86Cond  cc = emit_condition(g, sel->a);

    s->c = gen_place(g, sel->c);
    cold->first = write_unchanged;
    cold->host = g->rmw.host;
    asm_jcc(&g->as, x86_not(cc), &cold->from);
    return cold;
}

/* To where the load before it found the same bytes. */
static void emit_store_back(Gen *g, const IrNode *n)
{
    bool     fused = g->mode[n->b] == MODE_FUSED;
    Cold    *unchanged = fused ? emit_condition_of_store(g, n, gen_node(g, n->b)) : NULL, *cold;
    IrRef    value = fused ? gen_node(g, n->b)->b : n->b;
    uint32_t id;
    JitSite *s = access_site(g, n, g->at, &id);
    X86Reg   host = bring_host(g, &g->rmw.host);

    s->c = gen_place(g, value);
    cold = gen_cold(g, id);
    asm_test_rr(&g->as, true, host, host);
    asm_jcc(&g->as, CC_E, &cold->from);
    store_value(g, value, n->mem.size_log2, X86_AT(host, 0));
    if (g->rmw.host.reg != X86_NO_REG) {
        gen_return_gpr(g, g->rmw.host.reg);
    }
    asm_bind(&g->as, &cold->back);
    if (fused) {
        asm_bind(&g->as, &unchanged->back);
    }
}

static void emit_store(Gen *g, const IrNode *n)
{
    uint32_t id;
    Cold    *cold;

    if (g->rmw.store == g->at) {
        emit_store_back(g, n);
        return;
    }
    JitSite *s = access_site(g, n, g->at, &id);
    s->c = gen_place(g, n->b);
    if (n->mem.big) {
        gen_call(g, id);
        return;
    }
    X86Mem m = emit_reach(g, g->at, n->mem, 1u << n->mem.size_log2, true, id, &cold);
    move(g, &(Moves){ .n = n, .v = { n->b } }, m, cold);
}

static void emit_store_pair(Gen *g, const IrNode *n)
{
    unsigned first = g->partner[g->at], size = n->mem.size_log2;
    uint32_t id;
    JitSite *s = access_site(g, n, first, &id);
    Cold    *cold;

    s->pair = true;
    s->c = gen_place(g, gen_node(g, (IrRef)first)->b);
    s->d2 = gen_place(g, n->b);
    X86Mem m = emit_reach(g, first, n->mem, 2u << size, true, id, &cold);
    move(g, &(Moves){ .n = n, .pair = true, .v = { gen_node(g, (IrRef)first)->b, n->b } }, m, cold);
}

void emit_access(Gen *g, const IrNode *n)
{
    bool pair = g->partner[g->at] != 0;

    if (n->op == IR_load) {
        (pair ? emit_load_pair : emit_load)(g, n);
    } else {
        (pair ? emit_store_pair : emit_store)(g, n);
    }
}

/* ---- guards and calls ---- */

void emit_guard(Gen *g, const IrNode *n)
{
    uint32_t id;
    JitSite *s = gen_site(g, SITE_GUARD, &id);
    Cold    *cold = gen_cold(g, id);

    s->helper = n->helper;
    s->a = gen_place(g, n->a);
    if (fits_i32(n->imm)) {
        asm_test_ri(&g->as, true, gen_gpr(g, n->a, RAX, false), (int32_t)n->imm);
    } else {
        gen_gpr_into(g, n->a, RAX, false);
        asm_mov_ri(&g->as, RDX, n->imm);
        asm_test_rr(&g->as, true, RAX, RDX);
    }
    asm_jcc(&g->as, CC_NE, &cold->from);
    asm_bind(&g->as, &cold->back);
}

static bool has_result(const IrNode *n) { return n->type != IR_VOID; }

/* ---- direct calls ---- */

static int32_t saved_gpr(X86Reg r) { return (int32_t)(offsetof(Cpu, saved.gpr) + r * 8); }
static int32_t saved_xmm(X86Xmm x) { return (int32_t)(offsetof(Cpu, saved.xmm) + x * 16); }

/* Registers in use that C does not keep, but for the result's: to Cpu.saved, or back. @pins: pinned ones too. */
static void keep_registers(Gen *g, X86Reg result, bool pins, bool back)
{
    static const X86Reg lost[] = { RSI, R8, R9, R10, R11 };

    for (size_t i = 0; i < G_N_ELEMENTS(lost); i++) {
        X86Reg r = lost[i];

        if (g->gpr[r] == REG_FREE || r == result || (g->gpr[r] == REG_PINNED && !pins)) {
            continue;
        }
        if (back) {
            asm_load(&g->as, 3, false, true, r, gen_mem(saved_gpr(r)));
        } else {
            asm_store(&g->as, 3, gen_mem(saved_gpr(r)), r);
        }
    }
    for (X86Xmm x = 3; x < 16; x++) {
        if (g->xmm[x] == REG_FREE || (g->xmm[x] == REG_PINNED && !pins)) {
            continue;
        }
        if (back) {
            asm_load_x(&g->as, 4, x, gen_mem(saved_xmm(x)));
        } else {
            asm_store_x(&g->as, 4, gen_mem(saved_xmm(x)), x);
        }
    }
}

static void zero_above(Gen *g, IrType ty, X86Reg d)
{
    switch (ty) {
    case IR_I8:
        asm_zext(&g->as, 0, d, RAX);
        break;
    case IR_I16:
        asm_zext(&g->as, 1, d, RAX);
        break;
    case IR_I32:
        asm_mov_rr(&g->as, false, d, RAX);
        break;
    case IR_FLAGS:
        asm_alu_ri(&g->as, ALU_AND, false, RAX, 15);
        asm_mov_rr(&g->as, false, d, RAX);
        break;
    default:
        asm_mov_rr(&g->as, true, d, RAX);
        break;
    }
}

/* While the host's exception flags are the guest's, jit_slow() makes the call: it keeps them from what C raises. */
static Cold *emit_call_between_flags(Gen *g, const IrNode *n, X86Reg d, uint32_t id)
{
    JitSite *s = &g->j->site[id];
    Cold    *cold = gen_cold(g, id);

    s->helper = n->helper;
    s->a = gen_place(g, n->a);
    s->b = gen_place(g, n->b);
    s->c = gen_place(g, n->c);
    if (has_result(n)) {
        s->d = gen_place_gpr(d, n->type);
    }
    asm_test_mi(&g->as, false, gen_mem(offsetof(Cpu, fp_used)), 1);
    asm_jcc(&g->as, CC_NE, &cold->from);
    return cold;
}

/* What the host raised goes to the guest's register, which a helper is about to look at. */
static void emit_settle(Gen *g)
{
    AsmLabel none = ASM_LABEL;

    asm_test_mi(&g->as, false, gen_mem(offsetof(Cpu, fp_used)), 1);
    asm_jcc(&g->as, CC_E, &none);
    keep_registers(g, X86_NO_REG, true, false);
    asm_lea(&g->as, true, RDI, gen_mem(0));
    asm_mov_ri(&g->as, RAX, (uintptr_t)jit_settle);
    asm_call_r(&g->as, RAX);
    keep_registers(g, X86_NO_REG, true, true);
    asm_bind(&g->as, &none);
}

/* A helper of scalars: C's calling convention, with only what is in use kept. */
static void emit_direct_call(Gen *g, const IrNode *n)
{
    const IrHelper *h = n->helper;
    bool            pure = (h->effects & ~(IR_READS | IR_STATUS)) == 0, writes = (h->effects & IR_WRITES) != 0;
    bool            status = (h->effects & IR_STATUS) != 0;
    X86Reg          d = X86_NO_REG;
    uint32_t        id;
    Cold           *cold = NULL;

    if (writes || status) {
        gen_evacuate(g, h->effects);
    }
    if (g->flags_in && (h->effects & ~IR_STATUS) != IR_PURE) {
        gen_want_flags(g);
    }
    if ((h->effects & ~IR_STATUS) != IR_PURE) {
        gen_store_pins(g, g->dirty);
    }
    if (!pure) {
        (void)gen_site(g, SITE_CALL, &id);
    }
    if (has_result(n)) {
        d = gen_dest_gpr(g);
    }
    if (!pure) {
        cold = emit_call_between_flags(g, n, d, id);
        asm_mov_ri(&g->as, RAX, (uintptr_t)&g->j->site[id].at);
        asm_store(&g->as, 3, gen_mem(offsetof(Cpu, site)), RAX);
    }
    if (status) {
        emit_settle(g);
    }
    keep_registers(g, d, !writes, false);
    if (n->c != 0) {
        gen_gpr_into(g, n->c, RCX, true);
    }
    if (n->b != 0) {
        gen_gpr_into(g, n->b, RDX, true);
    }
    if (n->a != 0) {
        gen_gpr_into(g, n->a, RSI, true);
    }
    asm_mov_ri(&g->as, R8, n->imm);
    asm_lea(&g->as, true, RDI, gen_mem(0));
    asm_mov_ri(&g->as, RAX, (uintptr_t)h->fn.scalar);
    asm_call_r(&g->as, RAX);
    if (!pure) {
        asm_test_mi(&g->as, false, gen_mem(offsetof(Cpu, fault)), 1);
        asm_jcc_to(&g->as, CC_NE, g->j->leave_fault);
    }
    if (writes) {
        asm_load(&g->as, 3, false, true, R14, gen_mem(offsetof(Cpu, tlb)));
        gen_load_pins(g);
    }
    keep_registers(g, d, !writes, true);
    g->dirty = (h->effects & ~IR_STATUS) != IR_PURE ? 0 : g->dirty;
    if (has_result(n)) {
        zero_above(g, h->ret, d);
    }
    if (cold != NULL) {
        asm_bind(&g->as, &cold->back);
    }
    if (has_result(n)) {
        gen_done_gpr(g, d, true);
    }
}

/* The address of an operand: where it is kept while C runs. Integers are extended to 16 bytes. */
static void emit_pointer(Gen *g, X86Reg d, IrRef r, X86Xmm slot)
{
    X86Mem m = gen_mem(saved_xmm(slot));

    if (r == 0) {
        return;
    }
    if (!gen_is_vector(gen_node(g, r)->type)) {
        gen_gpr_into(g, r, RAX, true);
        asm_store(&g->as, 3, m, RAX);
        asm_store_i(&g->as, 3, gen_mem(saved_xmm(slot) + 8), 0);
    } else if (!gen_is_const(g, r) && gen_val(g, r)->kind == AT_MEM) {
        m = gen_mem(gen_val(g, r)->mem);
    } else {
        asm_store_x(&g->as, 4, m, gen_xmm(g, r, slot));
    }
    asm_lea(&g->as, true, d, m);
}

/* Whether the helper computes with the host's floating point, where the host's exception flags are the guest's. */
static bool disturbs_flags(const IrNode *n) { return (n->helper->host_fp >> (n->imm & 3) & 1) != 0; }

/* The host's flags and masks are put away while C computes, or taken back. */
static void keep_mxcsr(Gen *g, bool back)
{
    X86Mem   saved = gen_mem(saved_gpr(RAX));
    AsmLabel none = ASM_LABEL;

    asm_test_mi(&g->as, false, gen_mem(offsetof(Cpu, fp_used)), 1);
    asm_jcc(&g->as, CC_E, &none);
    if (!back) {
        asm_stmxcsr(&g->as, saved);
    }
    asm_ldmxcsr(&g->as, back ? saved : gen_constant(g, 0, JIT_MXCSR));
    asm_bind(&g->as, &none);
}

/*
 * A helper of vectors that sees no more than its operands and registers that nothing is kept of: likewise. The operands
 * are put beside the registers that are kept, and so is the result.
 */
static void emit_direct_vector(Gen *g, const IrNode *n)
{
    bool   vector = gen_is_vector(n->type), disturbs = disturbs_flags(n);
    X86Reg r = X86_NO_REG;
    X86Xmm d = 0;

    if (n->helper->effects & IR_STATUS) {
        gen_evacuate(g, IR_STATUS);
    }
    if (vector) {
        d = gen_dest_xmm(g);
    } else {
        r = gen_dest_gpr(g);
    }
    if (disturbs) {
        keep_mxcsr(g, false);
    }
    keep_registers(g, r, true, false);
    emit_pointer(g, RDI, n->a, 0);
    emit_pointer(g, RCX, n->b, 1);
    emit_pointer(g, R8, n->c, 2);
    asm_mov_rr(&g->as, true, RDX, RDI);
    asm_lea(&g->as, true, RSI, gen_mem(saved_xmm(0)));
    asm_mov_ri(&g->as, R9, n->imm);
    asm_lea(&g->as, true, RDI, gen_mem(0));
    asm_mov_ri(&g->as, RAX, (uintptr_t)n->helper->fn.vec);
    asm_call_r(&g->as, RAX);
    if (disturbs) {
        keep_mxcsr(g, true);
    }
    keep_registers(g, r, true, true);
    if (vector) {
        asm_load_x(&g->as, 4, d, gen_mem(saved_xmm(0)));
        gen_done_xmm(g, d);
    } else {
        asm_load(&g->as, n->type == IR_I64 ? 3 : 2, false, true, r, gen_mem(saved_xmm(0)));
        gen_done_gpr(g, r, true);
    }
}

/* A vector helper with effects, or an operation that C does: operands where they are. */
static void emit_call_by_site(Gen *g, const IrNode *n)
{
    bool     wide = n->op != IR_call, vector = gen_is_vector(n->type);
    unsigned effects = wide ? IR_PURE : n->helper->effects;
    X86Reg   d = RAX;
    X86Xmm   x = 0;
    uint32_t id;

    if (effects & (IR_WRITES | IR_STATUS)) {
        gen_evacuate(g, effects);
    }
    if (has_result(n) && vector) {
        x = gen_dest_xmm(g);
    } else if (has_result(n)) {
        d = gen_dest_gpr(g);
    }
    JitSite *s = gen_site(g, wide ? SITE_WIDE : SITE_CALL, &id);
    if (!wide) {
        s->helper = n->helper;
    }
    s->a = gen_place(g, n->a);
    s->b = gen_place(g, n->b);
    s->c = gen_place(g, n->c);
    if (has_result(n)) {
        s->d = vector ? gen_place_xmm(x, n->type) : gen_place_gpr(d, n->type);
    }
    gen_call(g, id);
    if ((effects & ~IR_STATUS) != 0) {
        g->dirty = 0; /* C wrote them back */
    }
    if (has_result(n) && vector) {
        gen_done_xmm(g, x);
    } else if (has_result(n)) {
        gen_done_gpr(g, d, true);
    }
}

void emit_call(Gen *g, const IrNode *n)
{
    if (n->op == IR_call && !n->helper->vector) {
        emit_direct_call(g, n);
    } else if (n->op == IR_call && (n->helper->effects & ~IR_STATUS) == IR_PURE) {
        emit_direct_vector(g, n);
    } else {
        emit_call_by_site(g, n);
    }
}
