/*
 * Translation contexts: per CPU a few tagged sets of tables, of which one is current for each space.
 * Selecting another tag costs a search, no flush. What fills and invalidates them is the guest's MMU through
 * cpu.h.
 */
#include "cpu/engine.h"

#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static void empty_entry(TlbEntry *table, size_t slot)
{
    table[slot].tag = slot == 0 ? PAGE_SIZE : 0;
}

/* Whenever an entry goes. */
static void empty_slots(CpuTlb *t)
{
    t->losses++;
    if (!t->slots_used) {
        return;
    }
    for (unsigned i = 0; i < PAGE_SLOTS; i++) {
        t->slot[i].limit = 0;
    }
    for (unsigned i = 0; i < SPANS; i++) {
        t->read_span[i].limit = t->write_span[i].limit = 0;
    }
    t->slots_used = t->slots_beside = false;
}

/* Before anything goes that those may come from. */
static void empty_slots_beside(CpuTlb *t)
{
    if (t->slots_beside) {
        empty_slots(t);
    }
}

static uintptr_t host_of(const TlbEntry *e) { return e->tag + e->addend; }

static uint16_t *holder_of(CpuTlb *t, uintptr_t host)
{
    return &t->holder[(host >> PAGE_BITS) * 0x9e3779b97f4a7c15ull >> 50];
}

_Static_assert(HOLDERS == 1 << 14, "holder_of() takes fourteen bits");

/* What the slot's entries lead to has no holder. Others may then be said to lead where nothing does any more. */
static void empty_slot(CpuTlb *t, size_t slot)
{
    *holder_of(t, host_of(&t->read[slot])) = *holder_of(t, host_of(&t->write[slot])) = HOLDER_NONE;
    empty_entry(t->read, slot);
    empty_entry(t->write, slot);
}

static void empty_data(CpuTlb *t)
{
    Touched *w = &t->data_touched;

    empty_slots(t);
    if (w->n <= TOUCHED) {
        for (unsigned i = 0; i < w->n; i++) {
            empty_slot(t, w->slot[i]);
        }
    } else {
        memset(t->read, 0, sizeof(t->read));
        memset(t->write, 0, sizeof(t->write));
        memset(t->holder, 0, sizeof(t->holder));
        empty_entry(t->read, 0);
        empty_entry(t->write, 0);
    }
    w->n = 0;
    for (unsigned i = 0; t->slow_used && i < SLOW_ENTRIES; i++) {
        t->slow[i].page = 1;
    }
    t->slow_used = false;
}

static void empty_some_jumps(CpuTlb *t, size_t slot, size_t n)
{
    memset(&t->jump[slot], 0, n * sizeof(t->jump[0]));
    t->jump[0].pc = slot == 0 ? 4 : t->jump[0].pc;
}

static void empty_jumps(CpuTlb *t)
{
    Touched *w = &t->jump_touched;

    if (w->n <= TOUCHED) {
        for (unsigned i = 0; i < w->n; i++) {
            empty_some_jumps(t, w->slot[i], 1);
        }
    } else {
        empty_some_jumps(t, 0, G_N_ELEMENTS(t->jump));
    }
    if (w->n != 0) {
        memset(t->jump_pages, 0, sizeof(t->jump_pages));
    }
    w->n = 0;
}

static void empty_fetch(CpuTlb *t, unsigned slot)
{
    t->fetch[slot].page = 1;
    t->fetched[slot] = 0;
}

static void empty_fetches(CpuTlb *t)
{
    Touched *w = &t->fetch_touched;

    if (w->n <= TOUCHED) {
        for (unsigned i = 0; i < w->n; i++) {
            empty_fetch(t, w->slot[i]);
        }
    } else {
        for (unsigned i = 0; i < FETCH_ENTRIES; i++) {
            empty_fetch(t, i);
        }
    }
    w->n = 0;
}

static void empty_large(CpuTlb *t)
{
    if (t->n_large != 0) {
        memset(t->large, 0, sizeof(t->large));
    }
    t->large_sizes = t->n_large = 0;
}

/* Of memory that is all zero. */
static void start_empty(CpuTlb *t)
{
    empty_entry(t->read, 0);
    empty_entry(t->write, 0);
    empty_some_jumps(t, 0, 1);
    t->fetch_touched.n = TOUCHED + 1;
    t->slow_used = true;
    t->started = true;
}

static void empty(CpuTlb *t)
{
    if (!t->started) {
        start_empty(t);
    }
    if (t->slow_used || t->fetch_touched.n != 0) {
        memset(t->others, 0, sizeof(t->others));
    }
    empty_data(t);
    empty_jumps(t);
    empty_fetches(t);
    empty_large(t);
}

static bool is_current(const Cpu *cpu, const CpuTlb *t)
{
    for (unsigned s = 0; s < CPU_SPACES; s++) {
        if (cpu->tlb[s] == t) {
            return true;
        }
    }
    return false;
}

static ContextName *name_of(const Cpu *cpu, const CpuTlb *t) { return &cpu->run->name[t - cpu->run->context]; }

/* Others hold nothing, not even what says so. */
static bool in_use(const Cpu *cpu, const CpuTlb *t) { return name_of(cpu, t)->valid || is_current(cpu, t); }

static unsigned least_recent(const Cpu *cpu)
{
    const ContextName *name = cpu->run->name;
    unsigned           oldest = CONTEXTS;

    for (unsigned i = 0; i < CONTEXTS; i++) {
        bool older = oldest == CONTEXTS || name[i].selected < name[oldest].selected;

        if (older && !is_current(cpu, &cpu->run->context[i])) {
            oldest = i;
        }
    }
    return oldest;
}

static bool has_tag(const ContextName *name, uint64_t tag) { return name->tag == tag && name->valid; }

static void set_current(Cpu *cpu, unsigned space, unsigned i)
{
    cpu->run->current[space] = (uint8_t)i;
    cpu->tlb[space] = &cpu->run->context[i];
}

/* A context that has the tag now. */
static __attribute__((noinline)) unsigned find_context(Cpu *cpu, uint64_t tag)
{
    CpuRun  *r = cpu->run;
    unsigned i = 0;

    while (i < CONTEXTS && !has_tag(&r->name[i], tag)) {
        i++;
    }
    if (i == CONTEXTS) {
        i = least_recent(cpu);
        empty(&r->context[i]);
        r->name[i] = (ContextName){ .tag = tag, .valid = true };
    }
    return i;
}

/* Often it is the last one again: of a kernel after its user, of a host after its guest. */
void cpu_select_context(Cpu *cpu, unsigned space, uint64_t tag)
{
    CpuRun  *r = cpu->run;
    unsigned now = r->current[space], i = r->before[space];

    if (has_tag(&r->name[now], tag)) {
        return;
    }
    if (!has_tag(&r->name[i], tag)) {
        i = find_context(cpu, tag);
    }
    r->name[i].selected = ++r->selections;
    r->before[space] = (uint8_t)now;
    set_current(cpu, space, i);
    if (space == 0) {
        run_recheck(cpu);
    }
}

void tlb_init(Cpu *cpu)
{
    for (unsigned s = 0; s < CPU_SPACES; s++) { /* until the guest selects: two that no tag names */
        set_current(cpu, s, s);
        empty(cpu->tlb[s]);
    }
}

/* ---- spans ---- */

static bool has_page(const TlbEntry *table, uint64_t page, uintptr_t addend)
{
    const TlbEntry *e = &table[page >> PAGE_BITS & (TLB_ENTRIES - 1)];

    return e->tag == page && e->addend == addend;
}

bool tlb_widen(CpuTlb *t, bool write, size_t index)
{
    const TlbEntry *table = write ? t->write : t->read, e = table[index];
    PageSlot       *span = &(write ? t->write_span : t->read_span)[e.tag >> SPAN_BITS & (SPANS - 1)];
    bool            known = e.tag - span->tag < span->limit;
    uint64_t        first = known ? span->tag : e.tag, end = first + (known ? span->limit : PAGE_SIZE);

    while (!is_aligned(first, BIT(SPAN_BITS)) && has_page(table, first - PAGE_SIZE, e.addend)) {
        first -= PAGE_SIZE;
    }
    while (!is_aligned(end, BIT(SPAN_BITS)) && has_page(table, end, e.addend)) {
        end += PAGE_SIZE;
    }
    bool more = end - first > (known ? span->limit : PAGE_SIZE);
    *span = (PageSlot){ .tag = first, .addend = e.addend, .limit = end - first };
    t->slots_used = true;
    return more;
}

/* ---- entering ---- */

#define FORGOTTEN 1 /* in a slot of large[] whose mapping was dropped */

static uint64_t large_mapping(uint64_t va, unsigned size_log2)
{
    return align_down(va & ADDRESS_MASK, 1ull << size_log2) | size_log2;
}

/* The slot of large[] that has the mapping, or the free one where it belongs. */
static uint64_t *large_slot(CpuTlb *t, uint64_t mapping)
{
    unsigned i = (unsigned)(mapping * 0x9e3779b97f4a7c15ull >> 53);

    while (t->large[i] != 0 && t->large[i] != mapping) {
        i = (i + 1) % LARGE_ENTRIES;
    }
    return &t->large[i];
}

_Static_assert(LARGE_ENTRIES == 1 << 11, "large_slot() takes eleven bits");

/* When there are too many the context begins anew: to be called before anything of a new entry is noted. */
static void remember_large(CpuTlb *t, uint64_t va, uint64_t size)
{
    unsigned  size_log2 = (unsigned)__builtin_ctzll(size);
    uint64_t  mapping = large_mapping(va, size_log2);
    uint64_t *slot = large_slot(t, mapping);

    if (*slot == mapping) {
        return;
    }
    if (t->n_large == LARGE_ENTRIES / 2) {
        empty(t);
        slot = large_slot(t, mapping);
    }
    *slot = mapping;
    t->n_large++;
    t->large_sizes |= BIT(size_log2);
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

/* Slots hold nothing that the tables do not. */
static void set_entry(CpuTlb *t, TlbEntry *e, uint64_t page, const uint8_t *host)
{
    uintptr_t addend = (uintptr_t)host - page;
    bool      empty = ((e->tag ^ page) >> PAGE_BITS & (TLB_ENTRIES - 1)) != 0;

    if (!empty && (e->tag != page || e->addend != addend)) {
        empty_slots(t);
    }
    *e = (TlbEntry){ .addend = addend, .tag = page };
}

static bool slot_has(CpuTlb *t, size_t slot, const uint16_t *holder)
{
    return holder_of(t, host_of(&t->read[slot])) == holder || holder_of(t, host_of(&t->write[slot])) == holder;
}

/* Slot @slot leads to @host from now on. What led elsewhere since is forgotten here. */
static void note_holder(CpuTlb *t, uintptr_t host, size_t slot)
{
    uint16_t *h = holder_of(t, host), one = (uint16_t)(slot + 1);
    bool      other = *h != HOLDER_NONE && *h != one;

    *h = other && (*h == HOLDER_ANY || slot_has(t, *h - 1u, h)) ? HOLDER_ANY : one;
}

static uint64_t *others_word(CpuTlb *t, uint64_t pa, uint64_t *bit)
{
    unsigned i = (unsigned)((pa >> PAGE_BITS) * 0x9e3779b97f4a7c15ull >> 50);

    *bit = BIT(i % 64);
    return &t->others[i / 64];
}

_Static_assert(OTHERS == 1 << 14, "others_word() takes fourteen bits");

static void note_other(CpuTlb *t, uint64_t pa)
{
    uint64_t bit, *word = others_word(t, pa, &bit);

    *word |= bit;
}

static bool may_have_other(CpuTlb *t, uint64_t pa)
{
    uint64_t bit, *word = others_word(t, pa, &bit);

    return (*word & bit) != 0;
}

void tlb_fill(Cpu *cpu, unsigned space, uint64_t va, const CpuFill *f)
{
    CpuTlb  *t = cpu->tlb[space];
    uint64_t page = va & PAGE_MASK;
    bool     ram = false;
    uint8_t *host = f->device ? NULL : memory_host_page(cpu->memory, f->pa, &ram);
    bool     fast_write = host != NULL && f->readable && f->writable && ram && !memory_has_code(cpu->memory, f->pa);

    if (f->slow || watch_in_page(cpu->engine, va) || memory_find(cpu->memory, f->pa) == NULL) {
        return;
    }
    if (f->page_size > PAGE_SIZE) {
        remember_large(t, va, f->page_size);
    }
    touch(&t->data_touched, va >> PAGE_BITS & (TLB_ENTRIES - 1));
    if (host != NULL && f->readable) {
        set_entry(t, tlb_slot(t->read, va), page, host);
    }
    if (fast_write) {
        set_entry(t, tlb_slot(t->write, va), page, host);
    }
    if (host != NULL && f->readable) {
        note_holder(t, (uintptr_t)host, (size_t)(tlb_slot(t->write, va) - t->write));
    }
    if (host == NULL || (f->writable && !fast_write)) {
        t->slow_used = true;
        note_other(t, f->pa);
        *slow_slot(t, va) = (SlowEntry){.page = page,
                                        .pa = f->pa & PAGE_MASK,
                                        .host = ram ? host : NULL,
                                        .pas = f->pas,
                                        .readable = f->readable,
                                        .writable = f->writable,
                                        .device = f->device};
    }
}

FetchEntry *tlb_find_fetch(CpuTlb *t, uint64_t va)
{
    FetchEntry *f = &t->fetch[fetch_slot(va)];

    return f->page == (va & PAGE_MASK) ? f : NULL;
}

/* Where the mapping is, or belongs. */
static Mapping *mapping_slot(CpuEngine *e, const FetchEntry *f)
{
    return &e->mapping[((f->page ^ f->pa << 1) >> PAGE_BITS) * 0x9e3779b97f4a7c15ull >> 52];
}

_Static_assert(MAPPINGS == 1 << 12, "mapping_slot() takes twelve bits");

static bool is_mapping(const Mapping *m, const FetchEntry *f)
{
    return m->number != 0 && m->page == f->page && m->pa == f->pa && m->guarded == f->guarded;
}

uint32_t tlb_number_fetch(CpuEngine *e, CpuTlb *t, const FetchEntry *f)
{
    Mapping *m = mapping_slot(e, f);

    if (!is_mapping(m, f)) {
        if (e->n_mappings == MAPPING_LAST) {
            return 0;
        }
        *m = (Mapping){ f->page, f->pa, f->guarded, ++e->n_mappings };
    }
    t->fetched[f - t->fetch] = m->number;
    return m->number;
}

FetchEntry *tlb_fill_fetch(CpuEngine *e, CpuTlb *t, uint64_t va, const CpuFill *fill)
{
    unsigned    slot = fetch_slot(va);
    FetchEntry *f = &t->fetch[slot];

    if (fill->page_size > PAGE_SIZE) {
        remember_large(t, va, fill->page_size);
    }
    touch(&t->fetch_touched, slot);
    note_other(t, fill->pa);
    *f = (FetchEntry){ va & PAGE_MASK, fill->pa & PAGE_MASK, fill->fetch_guarded };
    const Mapping *m = mapping_slot(e, f);
    t->fetched[slot] = is_mapping(m, f) ? m->number : 0;
    return f;
}

/* Contexts in which much code runs, few, spare the host's TLB as much. Advice: kernels before 6.1 do not take it. */
static void make_huge(CpuTlb *t)
{
    if (!t->huge && t->jump_touched.n > TOUCHED) {
        madvise(t, sizeof(*t), MADV_COLLAPSE);
        t->huge = true;
    }
}

void jump_set(CpuTlb *t, CpuBlock *b)
{
    JumpEntry *e = jump_slot(t, b->pc, b->key);
    unsigned   bit = jump_page_bit(b->pc);

    if (e->block == NULL) {
        touch(&t->jump_touched, (size_t)(e - t->jump));
    }
    *e = (JumpEntry){ b->pc, b->key, b->code, b };
    t->jump_pages[(b->pc >> PAGE_BITS) % JUMP_GROUPS][bit / 64] |= BIT(bit % 64);
    make_huge(t);
}

/* ---- invalidation by virtual address ---- */

/* Whatever the tags of addresses are: dropping more than asked is always allowed. */
static bool in_range(uint64_t page, uint64_t va, uint64_t len)
{
    return ((page - va) & ADDRESS_MASK) < len;
}

static void drop_tags(TlbEntry *table, uint64_t va, uint64_t len)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (in_range(table[i].tag, va, len)) {
            empty_entry(table, i);
        }
    }
}

/* False: it was not there. */
static bool drop_tag(TlbEntry *table, uint64_t va)
{
    TlbEntry *e = tlb_slot(table, va);

    if (!in_range(e->tag, va, PAGE_SIZE)) {
        return false;
    }
    empty_entry(table, (size_t)(e - table));
    return true;
}

/* Slots of a page's instructions follow one another: pages that share them go as a group. */
static void drop_jumps(CpuTlb *t, uint64_t page)
{
    unsigned group = (page >> PAGE_BITS) % JUMP_GROUPS, bit = jump_page_bit(page);

    if ((t->jump_pages[group][bit / 64] & BIT(bit % 64)) == 0) {
        return;
    }
    empty_some_jumps(t, group * PAGE_JUMPS, PAGE_JUMPS + (1 << JUMP_SHIFT_BITS));
    memset(t->jump_pages[group], 0, sizeof(t->jump_pages[group]));
}

_Static_assert(sizeof((CpuTlb){ 0 }.jump_pages[0]) * 8 == 1 << 10, "jump_page_bit() gives ten bits");

static void drop_page(CpuTlb *t, uint64_t va)
{
    SlowEntry *slow = slow_slot(t, va);
    unsigned   fetch = fetch_slot(va);
    bool       read = drop_tag(t->read, va), write = drop_tag(t->write, va);

    if (read || write || t->slots_beside) { /* other slots have nothing that the tables do not have */
        empty_slots(t);
    }
    if (in_range(slow->page & PAGE_MASK, va, PAGE_SIZE)) {
        slow->page = 1;
    }
    drop_jumps(t, va);
    if (in_range(t->fetch[fetch].page & PAGE_MASK, va, PAGE_SIZE)) {
        empty_fetch(t, fetch);
    }
}

static void drop_many(CpuTlb *t, uint64_t va, uint64_t len)
{
    empty_slots(t);
    drop_tags(t->read, va, len);
    drop_tags(t->write, va, len);
    for (unsigned i = 0; i < SLOW_ENTRIES; i++) {
        if (in_range(t->slow[i].page & PAGE_MASK, va, len)) {
            t->slow[i].page = 1;
        }
    }
    empty_jumps(t);
    for (unsigned i = 0; i < FETCH_ENTRIES; i++) {
        if (in_range(t->fetch[i].page & PAGE_MASK, va, len)) {
            empty_fetch(t, i);
        }
    }
}

enum { PAGES_ONE_BY_ONE = 1024 }; /* cheaper than looking at every entry there is */

static void drop_range(CpuTlb *t, uint64_t va, uint64_t len)
{
    if (len > PAGES_ONE_BY_ONE * PAGE_SIZE) {
        drop_many(t, va, len);
        return;
    }
    for (uint64_t at = 0; at < len; at += PAGE_SIZE) {
        drop_page(t, va + at);
    }
}

static bool touches(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return in_range(a, b, b_len) || in_range(b, a, a_len);
}

static void drop_large(CpuTlb *t, uint64_t *slot)
{
    unsigned size_log2 = *slot & 63;

    drop_range(t, *slot - size_log2, 1ull << size_log2);
    *slot = FORGOTTEN;
}

/* The usual case. Sizes are few. */
static void drop_large_of_page(CpuTlb *t, uint64_t va)
{
    for (uint64_t sizes = t->large_sizes; sizes != 0; sizes &= sizes - 1) {
        uint64_t *slot = large_slot(t, large_mapping(va, (unsigned)__builtin_ctzll(sizes)));

        if (*slot != 0) {
            drop_large(t, slot);
        }
    }
}

static void drop_large_of_range(CpuTlb *t, uint64_t va, uint64_t len)
{
    for (unsigned i = 0; i < LARGE_ENTRIES; i++) {
        unsigned size_log2 = t->large[i] & 63;

        if (t->large[i] > FORGOTTEN && touches(t->large[i] - size_log2, 1ull << size_log2, va, len)) {
            drop_large(t, &t->large[i]);
        }
    }
}

static void flush_va(CpuTlb *t, uint64_t va, uint64_t len)
{
    if (len > ADDRESS_MASK / 2) {
        empty(t);
        return;
    }
    drop_range(t, va, len);
    if (len == PAGE_SIZE) {
        drop_large_of_page(t, va);
    } else if (t->n_large != 0) {
        drop_large_of_range(t, va, len);
    }
}

/* Translations went. Chains of blocks cross pages through the jump cache, which knows; so they go on unless the page
 * that runs may be another now. */
static void recheck_page(Cpu *cpu)
{
    if (cpu->run->active && tlb_find_fetch(cpu->tlb[0], cpu_current_pc(cpu)) == NULL) {
        run_recheck(cpu);
    }
}

/* Whether an invalidation is for this context. */
static bool is_meant(const Cpu *cpu, const CpuTlb *t, bool (*match)(uint64_t tag, const void *opaque),
                     const void *opaque)
{
    const ContextName *name = name_of(cpu, t);

    return match == NULL ? in_use(cpu, t) : name->valid && match(name->tag, opaque);
}

void cpu_flush_contexts(Cpu *cpu, bool (*match)(uint64_t tag, const void *opaque), const void *opaque)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        CpuTlb *t = &cpu->run->context[i];

        if (is_meant(cpu, t, match, opaque)) {
            empty(t);
        }
    }
    recheck_page(cpu);
}

void cpu_flush_va(Cpu *cpu, bool (*match)(uint64_t tag, const void *opaque), const void *opaque, uint64_t va,
                  uint64_t len)
{
    uint64_t base = va & PAGE_MASK;
    uint64_t span = align_up(len + (va - base), PAGE_SIZE);

    for (unsigned i = 0; i < CONTEXTS; i++) {
        CpuTlb *t = &cpu->run->context[i];

        if (is_meant(cpu, t, match, opaque)) {
            flush_va(t, base, span < len ? UINT64_MAX : span);
        }
    }
    recheck_page(cpu);
}

/* ---- invalidation by what an entry leads to ---- */

/* False: it leads elsewhere. */
static bool drop_host_at(TlbEntry *table, unsigned slot, uintptr_t host, uint64_t len)
{
    if (host_of(&table[slot]) - host >= len) {
        return false;
    }
    empty_entry(table, slot);
    return true;
}

static void drop_host(const Touched *w, TlbEntry *table, uintptr_t host, uint64_t len)
{
    if (w->n <= TOUCHED) {
        for (unsigned i = 0; i < w->n; i++) {
            drop_host_at(table, w->slot[i], host, len);
        }
        return;
    }
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        drop_host_at(table, i, host, len);
    }
}

void tlb_write_protect(Cpu *cpu, const uint8_t *host_page)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        CpuTlb   *t = &cpu->run->context[i];
        uint16_t *h = holder_of(t, (uintptr_t)host_page);

        if (!in_use(cpu, t)) {
            continue;
        }
        empty_slots_beside(t);
        if (*h == HOLDER_NONE) {
            continue;
        }
        if (*h == HOLDER_ANY) {
            empty_slots(t);
            drop_host(&t->data_touched, t->write, (uintptr_t)host_page, PAGE_SIZE);
        } else if (drop_host_at(t->write, *h - 1u, (uintptr_t)host_page, PAGE_SIZE)) {
            empty_slots(t);
        }
    }
}

/* After a search: which slots may still lead to pages that share @h. */
static void know_holder(CpuTlb *t, uint16_t *h)
{
    const Touched *w = &t->data_touched;
    unsigned       n = w->n <= TOUCHED ? w->n : TLB_ENTRIES;

    *h = HOLDER_NONE;
    for (unsigned i = 0; i < n && *h != HOLDER_ANY; i++) {
        unsigned slot = w->n <= TOUCHED ? w->slot[i] : i;

        if (slot_has(t, slot, h)) {
            *h = *h == HOLDER_NONE || *h == slot + 1 ? (uint16_t)(slot + 1) : HOLDER_ANY;
        }
    }
}

static void drop_data(CpuTlb *t, uint64_t len, uintptr_t host)
{
    uint16_t *h = holder_of(t, host);

    if (len == PAGE_SIZE && *h == HOLDER_NONE) {
        return;
    }
    empty_slots(t);
    if (len == PAGE_SIZE && *h != HOLDER_ANY) {
        drop_host_at(t->read, *h - 1u, host, len);
        drop_host_at(t->write, *h - 1u, host, len);
        return;
    }
    drop_host(&t->data_touched, t->read, host, len);
    drop_host(&t->data_touched, t->write, host, len);
    know_holder(t, h);
}

static void drop_pa(CpuTlb *t, uint64_t pa, uint64_t len, uintptr_t host)
{
    empty_slots_beside(t);
    drop_data(t, len, host);
    if (len == PAGE_SIZE && !may_have_other(t, pa)) {
        return;
    }
    for (unsigned i = 0; t->slow_used && i < SLOW_ENTRIES; i++) {
        if (t->slow[i].pa - pa < len) {
            t->slow[i].page = 1;
        }
    }
    for (unsigned i = 0; t->fetch_touched.n != 0 && i < FETCH_ENTRIES; i++) {
        if (t->fetch[i].pa - pa < len) {
            empty_fetch(t, i);
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
        if (in_use(cpu, &cpu->run->context[i])) {
            drop_pa(&cpu->run->context[i], pa, len, (uintptr_t)r->host + (pa - r->base));
        }
    }
    for (uint64_t p = pa; p - pa < len; p += PAGE_SIZE) {
        if (memory_has_code(cpu->memory, p)) {
            tlb_forget_code(cpu);
            break;
        }
    }
    run_recheck(cpu);
}

void tlb_forget_beside(Cpu *cpu)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        if (in_use(cpu, &cpu->run->context[i])) {
            empty_slots_beside(&cpu->run->context[i]);
        }
    }
}

void tlb_forget_code(Cpu *cpu)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        if (in_use(cpu, &cpu->run->context[i])) {
            empty_jumps(&cpu->run->context[i]);
        }
    }
}
