/*
 * Guest memory accesses that the fast test refused: no entry, page crossing, device registers, pages with
 * code, byte order, alignment. An access is first translated and checked as a whole, then done, so that a
 * fault leaves nothing half written.
 *
 * Device registers and translated code are special: what such an access changes (interrupts, deadlines, the
 * code itself) must be seen by the next instruction, wherever blocks happen to end. So it is done only by the
 * last instruction of a block; met in the middle, the block is left before the instruction and comes back
 * shorter.
 */
#include <string.h>

#include "bytes.h"
#include "cpu/engine.h"

/* The part of an access inside one page. */
typedef struct Piece {
    uint64_t va, pa;
    unsigned len;
    uint8_t *host;   /* fast page, or RAM; NULL: @region */
    MemRegion *region;
    Pas      pas;
    bool     device; /* device memory type */
    bool     code;   /* a store into code */
} Piece;

typedef struct Access {
    Cpu      *cpu;
    uint64_t  va;
    IrMem     mem;
    CpuAccess kind; /* CPU_READ or CPU_WRITE: what is checked */
    bool      store;
    unsigned  size, n_pieces;
    Piece     piece[2];
} Access;

static bool raise_unaligned(Access *a)
{
    run_sync_pc(a->cpu);
    a->cpu->guest->unaligned(a->cpu, a->va, a->kind);
    return false;
}

static bool raise_bus_error(Access *a, const Piece *p, MemResult why)
{
    run_sync_pc(a->cpu);
    a->cpu->guest->bus_error(a->cpu, p->va, p->pa, a->kind, why);
    return false;
}

/* A remembered translation that allows the access. Upgrades it to a fast entry when nothing stands against
 * that any more (the code of the page is gone). */
static bool from_slow_entry(Access *a, Piece *p)
{
    CpuTlb          *t = a->cpu->tlb[a->mem.space];
    const SlowEntry *e = tlb_find_slow(t, p->va);

    if (e == NULL || !(a->kind == CPU_WRITE ? e->writable : e->readable)) {
        return false;
    }
    p->pa = e->pa | (p->va & ~PAGE_MASK);
    p->pas = e->pas;
    p->device = e->device;
    if (!e->device && !memory_has_code(a->cpu->memory, e->pa)) {
        CpuFill f = { .pa = p->pa, .pas = e->pas, .page_size = PAGE_SIZE, .readable = e->readable,
                      .writable = e->writable };
        tlb_fill(a->cpu, a->mem.space, p->va, &f);
    }
    return true;
}

static bool from_guest(Access *a, Piece *p)
{
    CpuFill f = { 0 };

    run_sync_pc(a->cpu);
    a->cpu->engine->stats.fills++;
    if (!a->cpu->guest->fill(a->cpu, p->va, p->len, a->kind, a->mem.space, &f)) {
        return false;
    }
    tlb_fill(a->cpu, a->mem.space, p->va, &f);
    p->pa = f.pa;
    p->pas = f.pas;
    p->device = f.device;
    return true;
}

static bool find_backing(Access *a, Piece *p)
{
    MemRegion *r = memory_find(a->cpu->memory, p->pa);

    if (r == NULL) {
        return raise_bus_error(a, p, MEM_DECODE);
    }
    if (r->host != NULL && (r->kind == MEM_RAM || !a->store) && p->len <= r->size - (p->pa - r->base)) {
        p->host = r->host + (p->pa - r->base);
    }
    p->region = r;
    p->code = a->store && p->host != NULL && memory_has_code(a->cpu->memory, p->pa) &&
              code_hit(a->cpu->engine, p->pa, p->len);
    return true;
}

static bool resolve(Access *a, Piece *p)
{
    CpuTlb         *t = a->cpu->tlb[a->mem.space];
    const TlbEntry *e = tlb_slot(a->kind == CPU_WRITE ? t->write : t->read, p->va);

    if (p->va - e->tag <= PAGE_SIZE - p->len) {
        p->host = (uint8_t *)(uintptr_t)(p->va + e->addend);
        return true;
    }
    return (from_slow_entry(a, p) || from_guest(a, p)) && find_backing(a, p);
}

/* An atomic's load is both. */
static unsigned watched_as(const Access *a)
{
    return (a->store ? 0 : CPU_WATCH_READ) | (a->kind == CPU_WRITE ? CPU_WATCH_WRITE : 0);
}

/* Translates the whole access. False: an exception was raised, or the block is left. */
static bool prepare(Access *a)
{
    unsigned first = MIN(a->size, PAGE_SIZE - (unsigned)(a->va & ~PAGE_MASK));
    bool     special = false;

    if (a->mem.align && !is_aligned(a->va, a->size)) {
        return raise_unaligned(a);
    }
    a->n_pieces = first < a->size ? 2 : 1;
    a->piece[0] = (Piece){ .va = a->va, .len = first };
    a->piece[1] = (Piece){ .va = a->va + first, .len = a->size - first };
    for (unsigned i = 0; i < a->n_pieces; i++) {
        Piece *p = &a->piece[i];

        if (!resolve(a, p)) {
            return false;
        }
        if (p->device && !is_aligned(a->va, a->size)) {
            return raise_unaligned(a);
        }
        special |= p->host == NULL || p->code;
    }
    if (watch_stops(a->cpu, a->va, a->size, watched_as(a))) {
        return false;
    }
    return !special || !run_must_be_last(a->cpu);
}

/* ---- device registers: aligned parts of up to 8 bytes ---- */

static MemAttrs attrs_of(const Access *a, const Piece *p)
{
    return (MemAttrs){ .pas = p->pas, .requester = a->cpu->index };
}

static unsigned part_size(uint64_t pa, unsigned len)
{
    unsigned n = 8;

    while (n > len || !is_aligned(pa, n)) {
        n /= 2;
    }
    return n;
}

static bool read_device(Access *a, const Piece *p, uint8_t *dst)
{
    for (unsigned at = 0; at < p->len;) {
        unsigned  n = part_size(p->pa + at, p->len - at);
        uint64_t  v = 0;
        MemResult res = memory_mmio_read(a->cpu->memory, p->region, p->pa + at, n, attrs_of(a, p), &v);

        if (res != MEM_OK) {
            return raise_bus_error(a, p, res);
        }
        le_put(dst + at, v, n);
        at += n;
    }
    return true;
}

static bool write_device(Access *a, const Piece *p, const uint8_t *src)
{
    for (unsigned at = 0; at < p->len;) {
        unsigned  n = part_size(p->pa + at, p->len - at);
        MemResult res = memory_mmio_write(a->cpu->memory, p->region, p->pa + at, n, attrs_of(a, p),
                                          le_get(src + at, n));

        if (res != MEM_OK) {
            return raise_bus_error(a, p, res);
        }
        at += n;
    }
    return true;
}

/* ---- the access ---- */

static void reverse(uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n / 2; i++) {
        uint8_t t = p[i];

        p[i] = p[n - 1 - i];
        p[n - 1 - i] = t;
    }
}

bool cpu_load_slow(Cpu *cpu, uint64_t va, IrMem mem, void *value)
{
    Access  a = { .cpu = cpu, .va = va, .mem = mem, .kind = mem.write_intent ? CPU_WRITE : CPU_READ,
                  .size = 1u << mem.size_log2 };
    uint8_t bytes[16] = { 0 };

    if (!prepare(&a)) {
        return false;
    }
    for (unsigned i = 0, at = 0; i < a.n_pieces; at += a.piece[i++].len) {
        const Piece *p = &a.piece[i];

        if (p->host != NULL) {
            memcpy(bytes + at, p->host, p->len);
        } else if (!read_device(&a, p, bytes + at)) {
            return false;
        }
    }
    if (mem.big) {
        reverse(bytes, a.size);
    }
    memcpy(value, bytes, sizeof(bytes));
    return true;
}

bool cpu_store_slow(Cpu *cpu, uint64_t va, IrMem mem, const void *value)
{
    Access a = {
        .cpu = cpu, .va = va, .mem = mem, .kind = CPU_WRITE, .store = true, .size = 1u << mem.size_log2};
    uint8_t bytes[16];

    memcpy(bytes, value, a.size);
    if (mem.big) {
        reverse(bytes, a.size);
    }
    if (!prepare(&a)) {
        return false;
    }
    for (unsigned i = 0, at = 0; i < a.n_pieces; at += a.piece[i++].len) {
        const Piece *p = &a.piece[i];

        if (p->host == NULL) {
            if (!write_device(&a, p, bytes + at)) {
                return false;
            }
            continue;
        }
        memcpy(p->host, bytes + at, p->len);
        if (p->code) {
            memory_dirty(cpu->memory, p->pa, p->len);
        }
    }
    return true;
}

uint8_t *cpu_beside_code(Cpu *cpu, uint64_t va, IrMem mem, unsigned size)
{
    const SlowEntry *e = tlb_find_slow(cpu->tlb[mem.space], va);
    unsigned         offset = (unsigned)(va & ~PAGE_MASK);

    if (e == NULL || e->host == NULL || !e->writable || mem.align || mem.big || offset + size > PAGE_SIZE) {
        return NULL;
    }
    return code_beside(cpu->engine, e->pa + offset, size) ? e->host + offset : NULL;
}

void cpu_slot_beside_code(Cpu *cpu, uint64_t va, unsigned bytes, PageSlot *s)
{
    CpuTlb          *t = cpu->tlb[0];
    const SlowEntry *e = tlb_find_slow(t, va);
    unsigned         from, to;

    if (!e->readable) {
        return; /* loads may be checked with a store */
    }
    to = code_gap(cpu->engine, e->pa | (va & ~PAGE_MASK), &from);
    *s = (PageSlot){
        .tag = e->page + from,
        .addend = (uintptr_t)e->host - e->page,
        .limit = to - from >= bytes ? to - from - bytes + 1 : 0,
    };
    t->slots_used = t->slots_beside = true;
}

bool cpu_is_mapped(const Cpu *cpu, uint64_t va, CpuAccess access)
{
    CpuTlb *t = cpu->tlb[0];

    return va - tlb_slot(access == CPU_WRITE ? t->write : t->read, va)->tag < PAGE_SIZE;
}

bool cpu_load(Cpu *cpu, uint64_t va, IrMem mem, uint64_t value[2])
{
    return cpu_load_slow(cpu, va, mem, value);
}

bool cpu_store(Cpu *cpu, uint64_t va, IrMem mem, const uint64_t value[2])
{
    return cpu_store_slow(cpu, va, mem, value);
}
