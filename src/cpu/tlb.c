/*
 * Translation contexts: per CPU a few tagged sets of tables, of which one is current for each space.
 * Selecting another tag costs a search, no flush. What fills and invalidates them is the guest's MMU through
 * cpu.h.
 */
#include <string.h>

#include "cpu/engine.h"

static void empty_data(CpuTlb *t)
{
    memset(t->read, 0, sizeof(t->read));
    memset(t->write, 0, sizeof(t->write));
    t->read[0].tag = t->write[0].tag = PAGE_SIZE;
    for (unsigned i = 0; i < SLOW_ENTRIES; i++) {
        t->slow[i].page = 1;
    }
    t->data_used = false;
}

static void empty_jumps(CpuTlb *t)
{
    for (unsigned i = 0; i < JUMP_ENTRIES; i++) {
        t->jump[i] = &code_no_block;
    }
}

static void empty_code(CpuTlb *t)
{
    empty_jumps(t);
    for (unsigned i = 0; i < FETCH_ENTRIES; i++) {
        t->fetch[i].page = 1;
    }
    t->code_used = false;
}

static void empty(CpuTlb *t)
{
    if (t->data_used) {
        empty_data(t);
    }
    if (t->code_used) {
        empty_code(t);
    }
    t->n_large = 0;
    t->many_large = false;
}

static CpuTlb *least_recent(Cpu *cpu)
{
    CpuTlb *oldest = NULL;

    for (unsigned i = 0; i < CONTEXTS; i++) {
        CpuTlb *t = &cpu->run->context[i];
        bool    current = false;

        for (unsigned s = 0; s < CPU_SPACES; s++) {
            current |= cpu->tlb[s] == t;
        }
        if (!current && (oldest == NULL || t->selected < oldest->selected)) {
            oldest = t;
        }
    }
    return oldest;
}

void cpu_select_context(Cpu *cpu, unsigned space, uint64_t tag)
{
    CpuTlb *t = NULL;

    if (cpu->tlb[space]->valid && cpu->tlb[space]->tag == tag) {
        return;
    }
    for (unsigned i = 0; i < CONTEXTS && t == NULL; i++) {
        if (cpu->run->context[i].valid && cpu->run->context[i].tag == tag) {
            t = &cpu->run->context[i];
        }
    }
    if (t == NULL) {
        t = least_recent(cpu);
        empty(t);
        t->valid = true;
        t->tag = tag;
    }
    t->selected = ++cpu->run->selections;
    cpu->tlb[space] = t;
    if (space == 0) {
        run_recheck(cpu);
    }
}

void tlb_init(Cpu *cpu)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        empty_data(&cpu->run->context[i]);
        empty_code(&cpu->run->context[i]);
    }
    for (unsigned s = 0; s < CPU_SPACES; s++) { /* until the guest selects: two that no tag names */
        cpu->tlb[s] = &cpu->run->context[s];
    }
}

/* ---- entering ---- */

static void remember_large(CpuTlb *t, uint64_t va, uint64_t size)
{
    uint64_t base = align_down(va, size);

    for (unsigned i = 0; i < t->n_large; i++) {
        if (t->large[i].base == base && t->large[i].size == size) {
            return;
        }
    }
    if (t->n_large == LARGE_ENTRIES) {
        t->many_large = true;
        return;
    }
    t->large[t->n_large].base = base;
    t->large[t->n_large++].size = size;
}

static SlowEntry *slow_slot(CpuTlb *t, uint64_t va)
{
    return &t->slow[va >> PAGE_BITS & (SLOW_ENTRIES - 1)];
}

SlowEntry *tlb_find_slow(CpuTlb *t, uint64_t va)
{
    SlowEntry *e = slow_slot(t, va);

    return e->page == (va & PAGE_MASK) ? e : NULL;
}

void tlb_fill(Cpu *cpu, unsigned space, uint64_t va, const CpuFill *f)
{
    CpuTlb  *t = cpu->tlb[space];
    uint64_t page = va & PAGE_MASK;
    bool     ram = false;
    uint8_t *host = f->device ? NULL : memory_host_page(cpu->memory, f->pa, &ram);
    bool     fast_write = host != NULL && f->writable && ram && !memory_has_code(cpu->memory, f->pa);

    if (f->slow) {
        return;
    }
    t->data_used = true;
    if (f->page_size > PAGE_SIZE) {
        remember_large(t, va, f->page_size);
    }
    if (host != NULL && f->readable) {
        *tlb_slot(t->read, va) = (TlbEntry){ page, (uintptr_t)host - page };
    }
    if (fast_write) {
        *tlb_slot(t->write, va) = (TlbEntry){ page, (uintptr_t)host - page };
    }
    if (host == NULL || (f->writable && !fast_write)) {
        *slow_slot(t, va) = (SlowEntry){.page = page,
                                        .pa = f->pa & PAGE_MASK,
                                        .pas = f->pas,
                                        .readable = f->readable,
                                        .writable = f->writable,
                                        .device = f->device};
    }
}

static FetchEntry *fetch_slot(CpuTlb *t, uint64_t va)
{
    return &t->fetch[va >> PAGE_BITS & (FETCH_ENTRIES - 1)];
}

FetchEntry *tlb_find_fetch(CpuTlb *t, uint64_t va)
{
    FetchEntry *e = fetch_slot(t, va);

    return e->page == (va & PAGE_MASK) ? e : NULL;
}

FetchEntry *tlb_fill_fetch(CpuTlb *t, uint64_t va, const CpuFill *f)
{
    FetchEntry *e = fetch_slot(t, va);

    t->code_used = true;
    if (f->page_size > PAGE_SIZE) {
        remember_large(t, va, f->page_size);
    }
    *e = (FetchEntry){ va & PAGE_MASK, f->pa & PAGE_MASK, f->fetch_guarded };
    return e;
}

/* ---- invalidation by virtual address ---- */

/* Address tags in the top byte name the same page; dropping more than asked is always allowed. */
#define ADDRESS_MASK 0x00ffffffffffffffull

static bool in_range(uint64_t page, uint64_t va, uint64_t len)
{
    return ((page - va) & ADDRESS_MASK) < len;
}

static void drop_tags(TlbEntry *table, uint64_t va, uint64_t len)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (in_range(table[i].tag, va, len)) {
            table[i].tag = i == 0 ? PAGE_SIZE : 0;
        }
    }
}

static void drop_tag(TlbEntry *table, uint64_t va)
{
    TlbEntry *e = tlb_slot(table, va);

    if (in_range(e->tag, va, PAGE_SIZE)) {
        e->tag = e == table ? PAGE_SIZE : 0;
    }
}

/* The slots of a page's instructions follow one another. */
static void drop_jumps(CpuTlb *t, uint64_t page)
{
    CpuBlock **slot = jump_slot(t, page);

    for (unsigned i = 0; i < PAGE_SIZE / 4; i++) {
        slot[i] = &code_no_block;
    }
}

_Static_assert(JUMP_ENTRIES % (PAGE_SIZE / 4) == 0, "drop_jumps() stays inside the table");

static void drop_data(CpuTlb *t, uint64_t va, uint64_t len)
{
    if (!t->data_used) {
        return;
    }
    if (len == PAGE_SIZE) {
        drop_tag(t->read, va);
        drop_tag(t->write, va);
    } else {
        drop_tags(t->read, va, len);
        drop_tags(t->write, va, len);
    }
    for (unsigned i = 0; i < SLOW_ENTRIES; i++) {
        if (in_range(t->slow[i].page & PAGE_MASK, va, len)) {
            t->slow[i].page = 1;
        }
    }
}

static void drop_code(CpuTlb *t, uint64_t va, uint64_t len)
{
    if (!t->code_used) {
        return;
    }
    if (len == PAGE_SIZE) {
        drop_jumps(t, va);
    } else {
        empty_jumps(t);
    }
    for (unsigned i = 0; i < FETCH_ENTRIES; i++) {
        if (in_range(t->fetch[i].page & PAGE_MASK, va, len)) {
            t->fetch[i].page = 1;
        }
    }
}

static void drop_range(CpuTlb *t, uint64_t va, uint64_t len)
{
    drop_data(t, va, len);
    drop_code(t, va, len);
}

static bool touches(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return in_range(a, b, b_len) || in_range(b, a, a_len);
}

static void flush_va(CpuTlb *t, uint64_t va, uint64_t len)
{
    if (t->many_large || len > ADDRESS_MASK / 2) {
        empty(t);
        return;
    }
    drop_range(t, va, len);
    for (unsigned i = 0; i < t->n_large;) {
        if (touches(t->large[i].base, t->large[i].size, va, len)) {
            drop_range(t, t->large[i].base, t->large[i].size);
            t->large[i] = t->large[--t->n_large];
        } else {
            i++;
        }
    }
}

void cpu_flush_contexts(Cpu *cpu, bool (*match)(uint64_t tag, const void *opaque), const void *opaque)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        CpuTlb *t = &cpu->run->context[i];

        if (match == NULL || (t->valid && match(t->tag, opaque))) {
            empty(t);
        }
    }
    run_recheck(cpu);
}

void cpu_flush_va(Cpu *cpu, bool (*match)(uint64_t tag, const void *opaque), const void *opaque, uint64_t va,
                  uint64_t len)
{
    uint64_t base = va & PAGE_MASK;
    uint64_t span = align_up(len + (va - base), PAGE_SIZE);

    for (unsigned i = 0; i < CONTEXTS; i++) {
        CpuTlb *t = &cpu->run->context[i];

        if (match == NULL || (t->valid && match(t->tag, opaque))) {
            flush_va(t, base, span < len ? UINT64_MAX : span);
        }
    }
    run_recheck(cpu);
}

/* ---- invalidation by what an entry leads to ---- */

static void drop_host(TlbEntry *table, uintptr_t host, uint64_t len)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (table[i].tag + table[i].addend - host < len) {
            table[i].tag = i == 0 ? PAGE_SIZE : 0;
        }
    }
}

void tlb_write_protect(Cpu *cpu, const uint8_t *host_page)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        if (cpu->run->context[i].data_used) {
            drop_host(cpu->run->context[i].write, (uintptr_t)host_page, PAGE_SIZE);
        }
    }
}

static void drop_pa(CpuTlb *t, uint64_t pa, uint64_t len, uintptr_t host)
{
    if (t->data_used) {
        drop_host(t->read, host, len);
        drop_host(t->write, host, len);
        for (unsigned i = 0; i < SLOW_ENTRIES; i++) {
            if (t->slow[i].pa - pa < len) {
                t->slow[i].page = 1;
            }
        }
    }
    for (unsigned i = 0; t->code_used && i < FETCH_ENTRIES; i++) {
        if (t->fetch[i].pa - pa < len) {
            t->fetch[i].page = 1;
        }
    }
}

void tlb_flush_pa(Cpu *cpu, uint64_t pa, uint64_t len)
{
    const MemRegion *r = memory_find(cpu->memory, pa);

    if (r == NULL || r->host == NULL || pa - r->base > r->size - MIN(len, r->size)) {
        cpu_flush_contexts(cpu, NULL, NULL); /* not plain memory of one region: rare */
        return;
    }
    for (unsigned i = 0; i < CONTEXTS; i++) {
        drop_pa(&cpu->run->context[i], pa, len, (uintptr_t)r->host + (pa - r->base));
    }
    for (uint64_t p = pa; p - pa < len; p += PAGE_SIZE) {
        if (memory_has_code(cpu->memory, p)) {
            tlb_forget_code(cpu);
            break;
        }
    }
    run_recheck(cpu);
}

void tlb_forget_code(Cpu *cpu)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        if (cpu->run->context[i].code_used) {
            empty_jumps(&cpu->run->context[i]);
        }
    }
}
