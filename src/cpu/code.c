/*
 * The cache of translated blocks. A block belongs to the physical page it was translated from, and is found
 * by physical address, pc and key; each context's jump cache finds it by pc alone. Memory is one arena that
 * is emptied as a whole when full: a dropped block stays where it is until then, its first operation replaced
 * by one that looks up anew, so that links and jump caches that still lead to it are harmless.
 */
#include "cpu/code_page.h"
#include "cpu/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bits.h"
#include "cpu/ir/block.h"
#include "cpu/jit/jit.h"
#include "log.h"

enum { ONCE_ARENA_SIZE = 1 << 20 };

/* ---- the cache ---- */

static void arena_init(Arena *a, size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        g_error("cannot get %zu MiB of memory for translated code", size >> 20);
    }
    *a = (Arena){ .base = p, .size = size };
}

void code_init(CpuEngine *e)
{
    arena_init(&e->arena, e->cache_size / 2);
    arena_init(&e->once_arena, ONCE_ARENA_SIZE);
    e->buckets = g_new0(CpuBlock *, BLOCK_BUCKETS);
    e->pages = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    e->splits = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    e->breakpoints = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    e->watchpoints = g_array_new(FALSE, FALSE, sizeof(CpuWatch));
    e->ir = ir_block_new(NULL, 0);
    e->last_patch = &e->patch[0]; /* code at address 0 follows it */
    e->max_block = 64;
}

static void forget_pages(CpuEngine *e)
{
    GHashTableIter it;
    gpointer       p;

    g_hash_table_iter_init(&it, e->pages);
    while (g_hash_table_iter_next(&it, NULL, &p)) {
        memory_mark_code(e->memory, ((CodePage *)p)->page, false);
    }
    g_hash_table_remove_all(e->pages);
    e->last_page = NULL;
}

void code_deinit(CpuEngine *e)
{
    forget_pages(e);
    munmap(e->arena.base, e->arena.size);
    munmap(e->once_arena.base, e->once_arena.size);
    g_free(e->buckets);
    g_hash_table_destroy(e->pages);
    g_hash_table_destroy(e->splits);
    g_array_free(e->breakpoints, TRUE);
    g_array_free(e->watchpoints, TRUE);
    ir_block_free(e->ir);
    ir_block_free(e->hook_ir);
    for (unsigned i = 0; i < G_N_ELEMENTS(e->region_ir); i++) {
        ir_block_free(e->region_ir[i]);
    }
}

/* Blocks of a page are side by side: who looks for one has looked for its neighbours. */
static unsigned bucket_of(uint64_t pa, uint64_t pc, uint64_t key)
{
    uint64_t page = (pa >> PAGE_BITS ^ pc >> PAGE_BITS << 7 ^ key << 21) * 0x9e3779b97f4a7c15ull;

    return (unsigned)((page >> (64 - BLOCK_BITS)) + (pa & ~PAGE_MASK) / 4) % BLOCK_BUCKETS;
}

/* What to translate. */
typedef struct Source {
    uint64_t       pc, key, pa;
    const uint8_t *host_page;
    bool           guarded;
} Source;

static CpuBlock *lookup(const CpuEngine *e, const Source *s)
{
    CpuBlock *b = e->buckets[bucket_of(s->pa, s->pc, s->key)];

    while (b != NULL && (b->pa != s->pa || b->pc != s->pc || b->key != s->key || b->guarded != s->guarded)) {
        b = b->next_hash;
    }
    return b;
}

/* Who enters the block comes back to the run loop instead. */
static void bar_entry(CpuEngine *e, CpuBlock *b, XCode code)
{
    XOp op = { .code = code };

    if (b->code != NULL) {
        jit_kill(e->jit, b);
        return;
    }
    exec_bind(&op, 1);
    b->op[0].go = op.go; /* the rest stays: the operation may be running */
}

/* Lookups do not find the block any more. */
static void forget_block(CpuEngine *e, CpuBlock *b)
{
    CpuBlock **p = &e->buckets[bucket_of(b->pa, b->pc, b->key)];

    while (*p != NULL && *p != b) {
        p = &(*p)->next_hash;
    }
    if (*p != NULL) {
        *p = b->next_hash;
    }
}

static void kill_block(CpuEngine *e, CpuBlock *b)
{
    forget_block(e, b);
    b->dead = true;
    bar_entry(e, b, X_dead);
}

/* Every block is gone; nothing may lead to one. */
static void reset(CpuEngine *e)
{
    forget_pages(e);
    g_hash_table_remove_all(e->splits);
    memset(e->split_pages, 0, sizeof(e->split_pages));
    memset(e->patch, 0, sizeof(e->patch));
    memset(e->buckets, 0, sizeof(*e->buckets) * BLOCK_BUCKETS);
    e->arena.used = 0;
    if (e->jit != NULL) {
        jit_reset(e->jit);
    }
    e->reset_wanted = false;
    e->resets++;
    e->stats.flushes++;
    for (guint i = 0; i < e->cpus->len; i++) {
        tlb_forget_code(e->cpus->pdata[i]);
    }
}

void cpu_flush_code(CpuEngine *e)
{
    e->reset_wanted = true; /* a block may be running: its memory stays until the next translation */
    for (guint i = 0; i < e->cpus->len; i++) {
        tlb_forget_code(e->cpus->pdata[i]);
        run_recheck(e->cpus->pdata[i]);
    }
}

/* Tells where in its page the code ends that @ir was made from, which starts at @pc. */
static uint16_t end_of(const Cpu *cpu, const IrBlock *ir, uint64_t pc)
{
    unsigned i = ir->n - 1;

    while (ir->node[i].op != IR_insn) {
        i--;
    }
    return (uint16_t)MIN((pc & ~PAGE_MASK) + (ir->node[i].imm - pc) + cpu->guest->insn_bytes, PAGE_SIZE);
}

static CodePage *add_to_page(CpuEngine *e, CpuBlock *b, const uint8_t *host_page)
{
    CodePage *p = code_page_get(e, b->pa);

    if (p->blocks == NULL) {
        memory_mark_code(e->memory, p->page, true);
        for (guint i = 0; i < e->cpus->len; i++) {
            tlb_write_protect(e->cpus->pdata[i], host_page);
        }
    }
    b->next_page = p->blocks;
    p->blocks = b;
    return p;
}

/* Code was made from [@from, @to) of the page. */
static void mark_code(CpuEngine *e, CodePage *p, unsigned from, unsigned to)
{
    for (guint i = 0; p->direct && i < e->cpus->len; i++) {
        tlb_forget_beside(e->cpus->pdata[i]);
    }
    p->direct = false;
    code_page_mark(p, from, to, true);
}

static CodePage *add_block(CpuEngine *e, CpuBlock *b, const uint8_t *host_page)
{
    CpuBlock **bucket = &e->buckets[bucket_of(b->pa, b->pc, b->key)];

    b->next_hash = *bucket;
    *bucket = b;
    e->stats.blocks++;
    e->stats.translated_insns += b->n;
    return add_to_page(e, b, host_page);
}

static void drop_page(CpuEngine *e, CodePage *p)
{
    memory_mark_code(e->memory, p->page, false);
    code_page_remove(e, p);
}

static bool lies_in(const CpuBlock *b, unsigned from, unsigned to) { return b->from < to && b->to > from; }

/* Blocks that were made from [@from, @to) are gone: what others were made from stays marked. A region's gaps are not
 * known any more, so that beside one only [@hit, @hit_to) is cleared. */
static void unmark(CodePage *p, unsigned from, unsigned to, unsigned hit, unsigned hit_to)
{
    for (const CpuBlock *b = p->blocks; b != NULL; b = b->next_page) {
        if (b->region && !b->dead && lies_in(b, from, to)) {
            code_page_mark(p, hit, hit_to, false);
            return;
        }
    }
    code_page_mark(p, from, to, false);
    for (const CpuBlock *b = p->blocks; b != NULL; b = b->next_page) {
        if (!b->dead && lies_in(b, from, to)) {
            code_page_mark(p, b->from, b->to, true);
        }
    }
}

/* Drops the blocks that were made from [@from, @to) of a page, multiples of CODE_UNIT. */
static void drop_code(CpuEngine *e, CodePage *p, unsigned from, unsigned to)
{
    unsigned first = from, last = to;

    for (CpuBlock **at = &p->blocks; *at != NULL;) {
        CpuBlock *b = *at;

        if (!lies_in(b, from, to)) {
            at = &b->next_page;
            continue;
        }
        *at = b->next_page;
        first = MIN(first, b->from);
        last = MAX(last, b->to);
        if (!b->dead) {
            kill_block(e, b);
        }
    }
    unmark(p, first, last, from, to);
    if (p->blocks == NULL) {
        drop_page(e, p);
    }
    for (guint i = 0; i < e->cpus->len; i++) {
        run_recheck(e->cpus->pdata[i]);
    }
}

void code_written(void *opaque, uint64_t pa, uint64_t len)
{
    CpuEngine *e = opaque;

    for (uint64_t at = pa, end; at < pa + len; at = end) {
        CodePage *p = code_page_find(e, at);
        unsigned  from = (unsigned)(at & ~PAGE_MASK);

        end = MIN(pa + len, (at & PAGE_MASK) + PAGE_SIZE);
        unsigned to = from + (unsigned)(end - at);
        if (p != NULL && code_page_has(p, from, to)) {
            drop_code(e, p, (unsigned)align_down(from, CODE_UNIT), (unsigned)align_up(to, CODE_UNIT));
        }
    }
}

/* ---- where blocks end ---- */

typedef enum CodeSplit { SPLIT_BEFORE = 1, SPLIT_AFTER = 2 } CodeSplit; /* bits */

/* The bit of split_pages for the page of @pa. */
static unsigned split_bit(uint64_t pa) { return (unsigned)((pa >> PAGE_BITS) * 0x9e3779b97f4a7c15ull >> 52); }

_Static_assert(sizeof((CpuEngine){ 0 }.split_pages) * 8 == 1 << 12, "split_bit() gives twelve bits");

static bool may_have_splits(const CpuEngine *e, uint64_t pa)
{
    return (e->split_pages[split_bit(pa) / 64] & BIT(split_bit(pa) % 64)) != 0;
}

static unsigned splits_at(const CpuEngine *e, uint64_t pa)
{
    return may_have_splits(e, pa) ? GPOINTER_TO_UINT(g_hash_table_lookup(e->splits, &pa)) : 0;
}

static void add_split(CpuEngine *e, uint64_t pa, CodeSplit how)
{
    unsigned all = splits_at(e, pa) | how;

    g_hash_table_insert(e->splits, g_memdup2(&pa, sizeof(pa)), GUINT_TO_POINTER(all));
    e->split_pages[split_bit(pa) / 64] |= BIT(split_bit(pa) % 64);
}

bool code_is_patched(const CpuEngine *e, uint64_t pa) { return splits_at(e, pa) & SPLIT_BEFORE; }

/*
 * Code at @pa is stored to. What is patched over and over becomes a block by itself, so that the rest of its block need
 * not be translated each time. Stores that follow one another write code anew: they are none of that kind.
 */
static void note_patch(CpuEngine *e, uint64_t pa, unsigned len)
{
    CodePatch *p = &e->patch[(pa >> 2) % G_N_ELEMENTS(e->patch)];

    if (pa == e->patched_to) {
        e->last_patch->n = p->n = 0;
    }
    if (p->pa != pa) {
        *p = (CodePatch){ .pa = pa };
    }
    if (++p->n == CODE_PATCHES) {
        add_split(e, pa, SPLIT_BEFORE);
        add_split(e, pa + len, SPLIT_BEFORE);
    }
    e->last_patch = p;
    e->patched_to = pa + len;
}

void code_split(CpuEngine *e, CpuBlock *b, uint64_t pc)
{
    add_split(e, b->pa + (pc - b->pc), SPLIT_AFTER); /* a block and all parts of a region are in one page */
    if (!b->dead && !b->once) {
        kill_block(e, b);
    }
}

/* ---- stores into code ---- */

bool code_beside(CpuEngine *e, uint64_t pa, unsigned len)
{
    CodePage *p = code_page_find(e, pa);
    unsigned  from = (unsigned)(pa & ~PAGE_MASK);

    if (p == NULL || p->stores == CODE_STORES || code_page_has(p, from, from + len)) {
        return false;
    }
    p->stores++;
    return true;
}

unsigned code_gap(CpuEngine *e, uint64_t pa, unsigned *from)
{
    CodePage *p = code_page_find(e, pa);
    unsigned  to;

    code_page_gap(p, (unsigned)(pa & ~PAGE_MASK), from, &to);
    p->direct = true;
    return to;
}

bool code_hit(CpuEngine *e, uint64_t pa, unsigned len)
{
    CodePage *p = code_page_find(e, pa);
    unsigned  from = (unsigned)(pa & ~PAGE_MASK);

    if (p == NULL || code_beside(e, pa, len)) {
        return false;
    }
    if (code_page_has(p, from, from + len)) {
        note_patch(e, pa, len);
        return true;
    }
    drop_code(e, p, 0, PAGE_SIZE); /* it has had too many stores */
    return true; /* not in the middle of what runs: those after this one do not come here */
}

/* ---- breakpoints ---- */

bool code_is_breakpoint(const CpuEngine *e, uint64_t va)
{
    for (guint i = 0; i < e->breakpoints->len; i++) {
        if (g_array_index(e->breakpoints, uint64_t, i) == va) {
            return true;
        }
    }
    return false;
}

void cpu_break_insert(CpuEngine *e, uint64_t va)
{
    if (!code_is_breakpoint(e, va)) {
        g_array_append_val(e->breakpoints, va);
        cpu_flush_code(e);
    }
}

void cpu_break_remove(CpuEngine *e, uint64_t va)
{
    for (guint i = 0; i < e->breakpoints->len; i++) {
        if (g_array_index(e->breakpoints, uint64_t, i) == va) {
            g_array_remove_index_fast(e->breakpoints, i);
            cpu_flush_code(e);
            return;
        }
    }
}

/* ---- translation ---- */

/* The code at @pc, which fetches find by @f. */
static Source source_of(const Cpu *cpu, uint64_t pc, uint64_t key, const FetchEntry *f)
{
    bool writable;

    return (Source){ .pc = pc, .key = key, .pa = f->pa | (pc & ~PAGE_MASK), .guarded = f->guarded,
                     .host_page = memory_host_page(cpu->memory, f->pa, &writable) };
}

/* The same; false after an exception was raised. */
static bool fetch(Cpu *cpu, uint64_t pc, uint64_t key, Source *s)
{
    FetchEntry *f = tlb_find_fetch(cpu->tlb[0], pc);

    if (f == NULL) {
        CpuFill fill = { 0 };

        cpu->engine->stats.fills++;
        if (!cpu->guest->fill(cpu, pc, 1, CPU_FETCH, 0, &fill)) {
            return false;
        }
        if (memory_find(cpu->memory, fill.pa) == NULL) { /* not kept, see owners_fill() */
            cpu->guest->bus_error(cpu, pc, fill.pa, CPU_FETCH, MEM_DECODE);
            return false;
        }
        f = tlb_fill_fetch(cpu->engine, cpu->tlb[0], pc, &fill);
    }
    *s = source_of(cpu, pc, key, f);
    if (s->host_page == NULL) {
        bool decodes = memory_find(cpu->memory, s->pa) != NULL;

        cpu->guest->bus_error(cpu, pc, s->pa, CPU_FETCH, decodes ? MEM_SLAVE : MEM_DECODE);
        return false;
    }
    return true;
}

/* How many instructions of the block in e->ir may stay: it ends before a breakpoint and at splits. */
static unsigned allowed_insns(const CpuEngine *e, const Source *s)
{
    unsigned n = 0;

    if (e->breakpoints->len == 0 && !may_have_splits(e, s->pa)) {
        return UINT_MAX;
    }
    for (unsigned i = 1; i < e->ir->n; i++) {
        if (e->ir->node[i].op != IR_insn) {
            continue;
        }
        uint64_t pc = e->ir->node[i].imm;
        unsigned split = splits_at(e, s->pa + (pc - s->pc));

        if (n > 0 && ((split & SPLIT_BEFORE) || code_is_breakpoint(e, pc))) {
            return n;
        }
        n++;
        if (split & SPLIT_AFTER) {
            return n;
        }
    }
    return n;
}

static void trace_guest_code(const Cpu *cpu, const Source *s)
{
    const IrBlock *ir = cpu->engine->ir;

    for (unsigned i = 1; i < ir->n; i++) {
        char     text[128] = "";
        uint64_t pc = ir->node[i].imm;

        if (ir->node[i].op == IR_insn && cpu->guest->disassemble != NULL && log_has_pc(pc)) {
            cpu->guest->disassemble(pc, s->host_page + (pc & ~PAGE_MASK), text, sizeof(text));
            LOG(IN_ASM, "0x%" PRIx64 ": %s", pc, text);
        }
    }
}

/* The IR of a block, or what the executor runs for it, as trace lines. */
static void trace_block(const Cpu *cpu, const CpuBlock *b, LogCategory category)
{
    char  *text = NULL;
    size_t len = 0;
    FILE  *f = open_memstream(&text, &len);

    if (f == NULL) {
        return;
    }
    if (category == LOG_IR) {
        ir_print(cpu->engine->ir, f);
    } else if (b->code != NULL) {
        jit_print(cpu->engine->jit, b, f);
    } else {
        exec_print(cpu->guest, b, f);
    }
    fclose(f);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        log_write(category, "%s", line);
    }
    free(text);
}

/* For people who look at new machine code. */
static void show_code(const Cpu *cpu, const CpuBlock *b)
{
    if (b->code != NULL) {
        jit_perf_map(cpu->engine->jit, b);
    }
    if (log_on(LOG_OUT_ASM) && log_has_pc(b->pc)) {
        trace_block(cpu, b, LOG_OUT_ASM);
    }
}

/* At most @max: how many instructions it is to the next split, if all are of the same length. If not, fewer or more. */
static unsigned insns_to_split(const Cpu *cpu, const Source *s, unsigned max)
{
    uint64_t at = s->pa;

    for (unsigned n = 1; n < max && may_have_splits(cpu->engine, s->pa); n++) {
        bool after = splits_at(cpu->engine, at) & SPLIT_AFTER;

        at += cpu->guest->insn_bytes;
        if (after || (splits_at(cpu->engine, at) & SPLIT_BEFORE)) {
            return n;
        }
    }
    return max;
}

/* IR of at most @max instructions into e->ir. */
static void emit_ir(Cpu *cpu, const Source *s, unsigned max)
{
    CpuEngine *e = cpu->engine;
    unsigned   offset = (unsigned)(s->pc & ~PAGE_MASK);

    max = insns_to_split(cpu, s, max);
    for (;;) {
        ir_block_reset(e->ir, cpu->guest->regs, cpu->guest->n_regs);
        hook_begin_block(e, cpu->guest, s->host_page);
        cpu->guest->translate(cpu, e->ir, s->pc, s->key, s->host_page + offset, PAGE_SIZE - offset, max,
                              s->guarded);
        hook_end_block(e, s->pc + (uint64_t)e->ir->n_insns * cpu->guest->insn_bytes);
        g_assert(e->ir->exited && e->ir->n_insns > 0); /* the front end's part */
        unsigned allowed = allowed_insns(e, s);
        if (e->ir->n_insns <= allowed) {
            return;
        }
        max = allowed;
    }
}

/* What is kept becomes machine code when there is a generator for it. */
static LowerResult lower(CpuEngine *e, const Source *s, Arena *arena, CpuBlock **b)
{
    const JitSource from = { s->pc, s->key };

    return e->jit != NULL && arena == &e->arena ? jit_compile(e->jit, e->ir, &from, arena, b)
                                                : lower_block(e->ir, arena, b);
}

static CpuBlock *translate(Cpu *cpu, const Source *s, Arena *arena, unsigned max)
{
    CpuEngine *e = cpu->engine;
    CpuBlock  *b = NULL;

    for (;;) {
        emit_ir(cpu, s, max);
        ir_optimize(e->ir);
        LowerResult res = lower(e, s, arena, &b);
        if (res == LOWER_OK) {
            break;
        }
        if (res == LOWER_FULL && arena == &e->arena) {
            g_assert(arena->used != 0);
            reset(e);
        } else {
            g_assert(e->ir->n_insns > 1); /* one instruction always fits */
            max = e->ir->n_insns / 2;
        }
    }
    b->pc = s->pc;
    b->key = s->key;
    b->pa = s->pa;
    b->guarded = s->guarded;
    b->from = s->pc & ~PAGE_MASK;
    b->to = end_of(cpu, e->ir, s->pc);
    if (log_on(LOG_IN_ASM)) {
        trace_guest_code(cpu, s);
    }
    if (log_on(LOG_IR) && log_has_pc(b->pc)) {
        trace_block(cpu, b, LOG_IR);
    }
    show_code(cpu, b);
    return b;
}

CpuBlock *code_find(Cpu *cpu, uint64_t pc, uint64_t key)
{
    CpuEngine *e = cpu->engine;
    Source     s;
    CpuBlock  *b;

    e->stats.lookups++;
    if (e->reset_wanted) {
        reset(e);
    }
    if (!fetch(cpu, pc, key, &s)) {
        return NULL;
    }
    b = lookup(e, &s);
    if (b == NULL) {
        b = translate(cpu, &s, &e->arena, e->max_block);
        mark_code(e, add_block(e, b, s.host_page), b->from, b->to);
        if (code_is_breakpoint(e, pc)) {
            bar_entry(e, b, X_breakpoint);
        }
    }
    jump_set(cpu->tlb[0], b);
    return b;
}

/* ---- regions ---- */

enum { REGION_INSNS = 400 };

typedef struct Region {
    JitPart  part[CPU_REGION_PARTS];
    unsigned n, insns;
    Source   source; /* of the entry; all parts are in its page */
} Region;

static JitPart *find_part(Region *r, uint64_t pc, uint64_t key)
{
    for (unsigned i = 0; i < r->n; i++) {
        if (r->part[i].pc == pc && r->part[i].key == key) {
            return &r->part[i];
        }
    }
    return NULL;
}

/* The code at @pc of the entry's page. */
static Source part_source(const Region *r, uint64_t pc, uint64_t key)
{
    Source s = r->source;

    s.pc = pc;
    s.key = key;
    s.pa = (r->source.pa & PAGE_MASK) | (pc & ~PAGE_MASK);
    return s;
}

/* Adds the code at @pc when it is of the entry's page and has run before. */
static void add_part(Cpu *cpu, Region *r, uint64_t pc, uint64_t key)
{
    CpuEngine   *e = cpu->engine;
    const Source s = part_source(r, pc, key);

    if (((pc ^ r->source.pc) & PAGE_MASK) != 0 || r->n == CPU_REGION_PARTS || r->insns >= REGION_INSNS ||
        find_part(r, pc, key) != NULL || (r->n > 0 && lookup(e, &s) == NULL)) {
        return;
    }
    emit_ir(cpu, &s, e->max_block);
    ir_optimize(e->ir);
    r->insns += e->ir->n_insns;
    r->part[r->n++] = jit_part(e, e->ir, pc, key);
    e->ir = e->region_ir[r->n - 1];
    e->region_ir[r->n - 1] = (IrBlock *)r->part[r->n - 1].ir;
}

static void grow(Cpu *cpu, Region *r, unsigned part);

/* What @pc leads to comes right behind it where that is possible: depth first. */
static void add_parts(Cpu *cpu, Region *r, uint64_t pc, uint64_t key)
{
    unsigned before = r->n;

    add_part(cpu, r, pc, key);
    if (r->n > before) {
        grow(cpu, r, before);
    }
}

static void add_by_address(Cpu *cpu, Region *r, uint64_t pc, uint64_t key)
{
    JitPart *p;

    add_parts(cpu, r, pc, key);
    p = find_part(r, pc, key);
    if (p != NULL) {
        p->by_address = true;
    }
}

/* Where exits with this key went, if it is one that only exits to addresses known at run time have. */
static void add_indirect(Cpu *cpu, Region *r, uint64_t key)
{
    const CodePage *page = code_page_find(cpu->engine, r->source.pa);

    for (const CpuBlock *b = page->blocks; b != NULL; b = b->next_page) {
        if (b->key == key && !b->dead && b->guarded == r->source.guarded) {
            add_by_address(cpu, r, b->pc, key);
        }
    }
}

/* With each key that the exit of @from may have. */
static void add_by_key(Cpu *cpu, Region *r, uint64_t pc, const JitPart *from)
{
    uint64_t set = 0;

    do {
        add_parts(cpu, r, pc, from->exit_key | set);
        set = (set - from->open) & from->open; /* the next subset */
    } while (set != 0);
}

static void grow(Cpu *cpu, Region *r, unsigned part)
{
    JitPart        p = r->part[part];
    const IrBlock *ir = p.ir;
    const IrNode  *x = &ir->node[ir->n - 1];
    unsigned       before = r->n;

    if (ir->ends || p.asks_key) {
        return;
    }
    switch (x->op) {
    case IR_exit_branch:
        add_parts(cpu, r, x->imm2, p.exit_key);
        /* fall through */
    case IR_exit_jump:
        add_by_key(cpu, r, x->imm, &p);
        break;
    case IR_exit_indirect:
        if (p.exit_key != p.body_key) {
            add_indirect(cpu, r, p.exit_key);
        }
        break;
    default:
        return;
    }
    if (ir->returns != 0 && (r->n > before || find_part(r, x->imm, p.exit_key) != NULL)) {
        add_by_address(cpu, r, ir->returns, p.body_key);
    }
}

static void cover_parts(Cpu *cpu, const Region *r, CpuBlock *b, CodePage *p)
{
    b->from = PAGE_SIZE;
    b->to = 0;
    for (unsigned i = 0; i < r->n; i++) {
        uint16_t from = r->part[i].pc & ~PAGE_MASK, to = end_of(cpu, r->part[i].ir, r->part[i].pc);

        mark_code(cpu->engine, p, from, to);
        b->from = MIN(b->from, from);
        b->to = MAX(b->to, to);
    }
}

void code_promote(Cpu *cpu, uint64_t pc, uint64_t key)
{
    CpuEngine        *e = cpu->engine;
    const FetchEntry *f = tlb_find_fetch(cpu->tlb[0], pc);
    Region            r = { .n = 0 };
    CpuBlock         *old, *b = NULL;

    jit_cool(cpu, pc); /* whatever comes of it, else it is asked for again right away */
    if (e->reset_wanted || f == NULL) {
        return; /* a fetch might raise an exception that running the block does not */
    }
    r.source = source_of(cpu, pc, key, f);
    old = lookup(e, &r.source);
    for (unsigned i = 0; i < CPU_REGION_PARTS && e->region_ir[i] == NULL; i++) {
        e->region_ir[i] = ir_block_new(NULL, 0);
    }
    if (old == NULL || old->dead || old->region || code_is_breakpoint(e, pc)) {
        return;
    }
    add_part(cpu, &r, pc, key);
    grow(cpu, &r, 0);
    if (jit_compile_region(e->jit, r.part, r.n, r.source.pa, &e->arena, &b) != LOWER_OK) {
        return; /* the block stays as it is */
    }
    b->pc = pc;
    b->key = key;
    b->pa = r.source.pa;
    b->guarded = r.source.guarded;
    b->region = true;
    e->stats.regions++;
    forget_block(e, old);
    cover_parts(cpu, &r, b, add_block(e, b, r.source.host_page));
    jit_replace(e->jit, old, b);
    old->dead = true; /* other jump caches that know it look again: the region may be gone before they do */
    jump_set(cpu->tlb[0], b);
    show_code(cpu, b);
}

void code_demote(Cpu *cpu, CpuBlock *b)
{
    if (!b->dead) {
        kill_block(cpu->engine, b);
        jit_warm(cpu, b->pc);
    }
}

CpuBlock *code_once(Cpu *cpu, uint64_t pc, uint64_t key, unsigned limit)
{
    CpuEngine *e = cpu->engine;
    Source     s;

    if (!fetch(cpu, pc, key, &s)) {
        return NULL;
    }
    e->once_arena.used = 0;
    CpuBlock *b = translate(cpu, &s, &e->once_arena, MIN(limit, e->max_block));
    b->once = true;
    return b;
}
