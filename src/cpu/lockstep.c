/*
 * One side of a lockstep run: collects states and writes them. The values of a state are the registers that blocks know
 * and what else the front end names; a guest that does something different shows it there before long, and in memory at
 * the end.
 */
#include "cpu/lockstep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "cpu/ir/block.h"

struct Lockstep {
    int            fd;
    LockstepPass   pass;
    uint64_t       run, at;
    uint64_t       asked;   /* budget of the running cpu_run(), and what it would be uncut */
    uint64_t       uncut;
    uint64_t       from_pc;
    const CpuGuest *named;  /* whose names were written */
    GArray        *values;  /* uint64_t */
    GString       *names;
};

Lockstep *lockstep_new(int fd, const LockstepPass *pass)
{
    Lockstep *l = g_new0(Lockstep, 1);

    l->fd = fd;
    l->pass = *pass;
    l->values = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    l->names = g_string_new(NULL);
    return l;
}

void lockstep_free(Lockstep *l)
{
    if (l != NULL) {
        close(l->fd);
        g_array_free(l->values, TRUE);
        g_string_free(l->names, TRUE);
        g_free(l);
    }
}

/* ---- writing ---- */

static void put(Lockstep *l, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        ssize_t n = write(l->fd, p, len);

        if (n < 0 && errno != EINTR) {
            _exit(1); /* nobody compares any more */
        }
        p += MAX(n, 0);
        len -= (size_t)MAX(n, 0);
    }
}

static void put_record(Lockstep *l, LockstepRecord r, const void *data, size_t len)
{
    r.run = l->run;
    r.at = l->at;
    r.len = len;
    put(l, &r, sizeof(r));
    put(l, data, len);
}

/* ---- states ---- */

static void add_value(void *opaque, const char *name, uint64_t value)
{
    Lockstep *l = opaque;

    g_array_append_val(l->values, value);
    if (l->named == NULL) {
        g_string_append_printf(l->names, "%s\n", name);
    }
}

static void add_register(Lockstep *l, const Cpu *cpu, const IrReg *r)
{
    const uint8_t *at = (const uint8_t *)cpu + r->offset;
    unsigned       size = r->type == IR_FLAGS ? 4 : ir_type_bits(r->type) / 8;
    uint64_t       v = 0;

    memcpy(&v, at, MIN(size, sizeof(v)));
    add_value(l, r->name, v);
    for (unsigned i = 8; i < size; i += 8) {
        char *name = g_strdup_printf("%s[%u:%u]", r->name, i * 8 + 63, i * 8);

        memcpy(&v, at + i, sizeof(v));
        add_value(l, name, v);
        g_free(name);
    }
}

static void collect(Lockstep *l, const Cpu *cpu)
{
    g_array_set_size(l->values, 0);
    for (size_t i = 0; i < cpu->guest->n_regs; i++) {
        add_register(l, cpu, &cpu->guest->regs[i]);
    }
    if (cpu->guest->other_state != NULL) {
        cpu->guest->other_state(cpu, add_value, l);
    }
}

static bool wants_hash(const Lockstep *l)
{
    const LockstepPass *p = &l->pass;

    return p->hash_every != 0 &&
           (l->run == p->run || (l->run >= p->hash_from && (l->run - p->hash_from) % p->hash_every == 0));
}

static void put_state(Lockstep *l, const Cpu *cpu, CpuStop stop, int64_t now_ns)
{
    collect(l, cpu);
    add_value(l, "the hash of memory", wants_hash(l) ? memory_hash(cpu->memory) : 0);
    if (l->named == NULL) {
        l->named = cpu->guest;
        put_record(l, (LockstepRecord){ .kind = LOCKSTEP_NAMES }, l->names->str, l->names->len);
    }
    put_record(l,
               (LockstepRecord){ .kind = LOCKSTEP_STATE,
                                 .cpu = cpu->index,
                                 .stop = stop,
                                 .party = cpu->party,
                                 .insns = cpu_insns(cpu),
                                 .from_pc = l->from_pc,
                                 .pc = cpu->guest->pc(cpu),
                                 .now_ns = now_ns },
               l->values->data, l->values->len * sizeof(uint64_t));
}

/* The instruction that was at the pc before: its page is in the fetch entries still, unless it changed them. */
static void put_trace(Lockstep *l, const Cpu *cpu)
{
    const FetchEntry *f = tlb_find_fetch(cpu->tlb[0], l->from_pc);
    const uint8_t    *page = NULL;
    bool              writable;
    char              text[128] = "?", line[200];

    if (f != NULL) {
        page = memory_host_page(cpu->memory, f->pa, &writable);
    }
    if (page != NULL && cpu->guest->disassemble != NULL) {
        cpu->guest->disassemble(l->from_pc, page + (l->from_pc & ~PAGE_MASK), text, sizeof(text));
    }
    int len = g_snprintf(line, sizeof(line), "0x%" PRIx64 ": %s", l->from_pc, text);
    put_record(l, (LockstepRecord){ .kind = LOCKSTEP_TRACE }, line, (size_t)len);
}

/* ---- cuts ---- */

static bool in_traced(const Lockstep *l)
{
    return l->run == l->pass.run && l->at >= l->pass.trace_from && l->at < l->pass.trace_to;
}

/* Instructions of the run that is cut until the next cut. */
static uint64_t to_cut(const Lockstep *l)
{
    const LockstepPass *p = &l->pass;

    if (l->at >= p->to) {
        return UINT64_MAX;
    }
    return l->at < p->from ? p->from - l->at : p->window - (l->at - p->from) % p->window;
}

static bool at_cut(const Lockstep *l)
{
    return l->at >= l->pass.from && (l->at - l->pass.from) % l->pass.window == 0;
}

uint64_t lockstep_before(Lockstep *l, Cpu *cpu, uint64_t budget)
{
    if (l == NULL) {
        return budget;
    }
    if (l->run == l->pass.run && l->at == 0 && l->pass.single) {
        cpu_engine_set_max_block(cpu->engine, 1);
    }
    l->from_pc = cpu->guest->pc(cpu);
    l->uncut = budget;
    l->asked = in_traced(l) ? 1 : l->run == l->pass.run ? MIN(budget, to_cut(l)) : budget;
    return l->asked;
}

void lockstep_after(Lockstep *l, Cpu *cpu, CpuStop stop, uint64_t used, int64_t now_ns)
{
    if (l == NULL) {
        return;
    }
    bool piece = stop == CPU_STOP_TIME && used == l->asked && l->asked < l->uncut;

    if (in_traced(l) && used != 0) {
        put_trace(l, cpu);
    }
    l->at += used;
    if (!piece || at_cut(l)) {
        put_state(l, cpu, stop, now_ns);
    }
    if (!piece) {
        l->run++;
        l->at = 0;
    }
}

/* ---- the end ---- */

static void add_page(void *opaque, uint64_t pa, uint64_t hash)
{
    g_array_append_val(opaque, pa);
    g_array_append_val(opaque, hash);
}

void lockstep_end(Lockstep *l, const Memory *memory, uint64_t insns, int status)
{
    GArray *pages;

    if (l == NULL) {
        return;
    }
    pages = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    memory_foreach_page(memory, add_page, pages);
    put_record(l, (LockstepRecord){ .kind = LOCKSTEP_END, .stop = (uint32_t)status, .insns = insns }, pages->data,
               pages->len * sizeof(uint64_t));
    g_array_free(pages, TRUE);
}
