/*
 * The run loop: counted time, interrupts, and what joins executor, block cache and guest.
 *
 * cpu->left counts down, a block at a time, to the next reason to look up; run->limit - cpu->left is the
 * number of instructions executed since the run began, up to the end of the running block. Whatever wants the
 * loop's attention moves both down together (recut), so that the next block is not entered and the count
 * stays true.
 */
#include "cpu/engine.h"

#include <sys/mman.h>

#include "cpu/ir/block.h"
#include "cpu/jit/jit.h"
#include "log.h"

/* ---- exact counts in the middle of a block ---- */

/* Index of the instruction of the executor's block that the operation belongs to. */
static unsigned insn_of(const CpuBlock *b, const XOp *op)
{
    unsigned lo = 0, hi = b->n;

    if (op < b->op || op >= b->op + b->n_ops) {
        return 0;
    }
    while (hi - lo > 1) { /* the last instruction that starts at or before the operation */
        unsigned mid = (lo + hi) / 2;

        if (b->first_op[mid] <= op - b->op) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return lo;
}

bool run_here(const Cpu *cpu, CpuSite *here)
{
    CpuBlock *b = cpu->block;

    if (cpu->site != NULL) {
        *here = *cpu->site;
        return true;
    }
    if (b == NULL) {
        return false;
    }
    unsigned i = insn_of(b, cpu->op);
    *here = (CpuSite){ .pc = b->pc + b->pc_delta[i], .block = b, .after = b->n - i };
    return true;
}

int64_t run_executed(const Cpu *cpu)
{
    int64_t at_end = cpu->run->limit - cpu->left;
    CpuSite here;

    return run_here(cpu, &here) ? at_end - here.after : at_end;
}

int64_t cpu_now(const Cpu *cpu)
{
    const CpuRun *r = cpu->run;

    return r->active && !r->follow_clock ? r->start_ns + run_executed(cpu) : clock_now(cpu->clock);
}

uint64_t cpu_insns(const Cpu *cpu)
{
    return cpu->run->active ? cpu->n_insns + (uint64_t)run_executed(cpu) : cpu->n_insns;
}

uint64_t cpu_current_pc(const Cpu *cpu)
{
    CpuSite here;

    return run_here(cpu, &here) ? here.pc : cpu->guest->pc(cpu);
}

void run_sync_pc(Cpu *cpu)
{
    CpuSite here;

    if (run_here(cpu, &here)) {
        cpu->guest->set_pc(cpu, here.pc);
    }
}

/* ---- reasons to leave ---- */

/* Instructions that this run may still execute, up to budget and deadline. */
static int64_t run_end(const CpuRun *r)
{
    return MIN(r->budget, r->deadline_ns <= r->start_ns ? 0 : r->deadline_ns - r->start_ns);
}

static void recut(Cpu *cpu)
{
    CpuRun *r = cpu->run;
    int64_t executed = r->limit - cpu->left;
    bool    now = cpu->attention != 0 || cpu->stop || r->recheck;

    r->limit = now ? INT64_MIN / 2 : run_end(r);
    cpu->left = r->limit - executed;
}

void cpu_attend(Cpu *cpu)
{
    if (cpu->attention != 0) {
        return; /* nothing is cut otherwise until it has been given */
    }
    cpu->attention = 1;
    if (cpu->run->active) {
        recut(cpu);
    }
}

void cpu_request_stop(Cpu *cpu)
{
    cpu->stop = true;
    if (cpu->run->active) {
        recut(cpu);
    }
}

void cpu_set_deadline(Cpu *cpu, int64_t deadline_ns)
{
    cpu->run->deadline_ns = deadline_ns;
    if (cpu->run->active) {
        recut(cpu);
    }
}

void run_recheck(Cpu *cpu)
{
    if (cpu->run->active) {
        cpu->run->recheck = true;
        recut(cpu);
    }
}

bool run_must_be_last(Cpu *cpu)
{
    CpuSite here;

    if (!cpu->run->active || !run_here(cpu, &here) || here.after == 1) {
        return false;
    }
    cpu->run->unwind = true;
    cpu->fault = true;
    return true;
}

bool run_stop_at_watch(Cpu *cpu, const CpuWatch *w)
{
    CpuSite here;

    if (!cpu->run->active || !run_here(cpu, &here)) {
        return false;
    }
    cpu->run->watch = *w;
    cpu->run->watched = true;
    cpu->run->unwind = true;
    cpu->fault = true;
    return true;
}

/* ---- the loop ---- */

/* After EXEC_FAULT: only the instructions up to the faulting one count. */
static void settle_fault(Cpu *cpu)
{
    CpuSite here;

    if (!run_here(cpu, &here)) {
        g_assert_not_reached(); /* a fault has a place */
    }
    if (cpu->run->unwind) {
        cpu->left += here.after;
        run_sync_pc(cpu);
        cpu->run->unwind = false;
        if (!cpu->run->watched) {
            code_split(cpu->engine, here.block, here.pc);
        }
    } else {
        cpu->left += here.after - 1;
    }
    cpu->fault = false;
}

/* The block to run next, by jump cache or lookup. NULL: look up why; when the fetch faulted, it counts as an
 * instruction. */
static CpuBlock *next_block(Cpu *cpu, uint64_t pc, uint64_t key, bool stepping)
{
    CpuBlock *b = jump_find(cpu->tlb[0], pc, key);

    if (stepping) {
        b = code_once(cpu, pc, key, 1);
    } else if (b == NULL || b->dead) {
        b = code_find(cpu, pc, key);
    }
    if (b != NULL && cpu->left <= 0) {
        return NULL; /* looking it up changed translations (write protection of a code page): look again */
    }
    if (b != NULL && b->n > cpu->left) { /* the budget or a deadline falls inside it */
        if (cpu->run->follow_clock && !stepping) {
            cpu->run->spent = true;
            return NULL;
        }
        b = code_once(cpu, pc, key, (unsigned)cpu->left);
    }
    if (b == NULL) {
        cpu->left--;
        cpu->fault = false;
    }
    return b;
}

static void link_blocks(Cpu *cpu, const ExecLink *link, const CpuBlock *from, CpuBlock *to)
{
    const CpuEngine *e = cpu->engine;

    if (link->jit != NULL) {
        jit_link(e->jit, cpu, link->jit, to);
    } else if (link->gone != NULL) {
        jit_revive(e->jit, link->gone, to);
    } else if (link->exit != NULL && exec_may_link(from, to)) {
        link->exit->to[link->which] = to;
    }
}

/* Runs from the CPU's pc until something must be looked at. */
static void run_blocks(Cpu *cpu, uint64_t pc, uint64_t key, bool stepping)
{
    CpuEngine *e = cpu->engine;
    ExecLink   link = { 0 };
    CpuBlock  *from = NULL;

    for (;;) {
        unsigned  resets = e->resets;
        CpuBlock *b = next_block(cpu, pc, key, stepping);

        if (b == NULL) {
            return;
        }
        if (resets == e->resets) {
            link_blocks(cpu, &link, from, b);
        }
        e->stats.entries++;
        ExecExit how = b->code != NULL ? jit_run(e->jit, cpu, b, &link) : exec_run(cpu, b, &link);
        if (how == EXEC_FAULT) {
            settle_fault(cpu);
        }
        from = cpu->block;
        cpu->block = NULL;
        cpu->op = NULL;
        cpu->site = NULL;
        if (how == EXEC_HOT) {
            code_promote(cpu, cpu->guest->pc(cpu), cpu->guest->key(cpu));
            how = EXEC_FIND;
        }
        if (how != EXEC_FIND || stepping || cpu->left <= 0) {
            return;
        }
        pc = cpu->guest->pc(cpu);
        key = cpu->guest->key(cpu);
        if (e->breakpoints->len != 0) {
            return;
        }
    }
}

static CpuStop loop(Cpu *cpu, bool stepping)
{
    bool first = true;

    for (;;) {
        cpu->run->recheck = false;
        recut(cpu);
        if (cpu->stop) {
            cpu->stop = false;
            return CPU_STOP_REQUEST;
        }
        if (cpu->party) {
            return CPU_STOP_PARTY;
        }
        if (run_executed(cpu) >= run_end(cpu->run)) {
            return CPU_STOP_TIME;
        }
        if (first || cpu->attention != 0 || cpu->waiting) {
            first = false;
            cpu->attention = 0;
            recut(cpu);
            if (!cpu->guest->attend(cpu)) {
                return CPU_STOP_WAIT;
            }
            if (cpu->stop || cpu->party || cpu->attention != 0) {
                continue;
            }
        }
        uint64_t pc = cpu->guest->pc(cpu);

        if (!stepping && code_is_breakpoint(cpu->engine, pc)) {
            return CPU_STOP_BREAK;
        }
        run_blocks(cpu, pc, cpu->guest->key(cpu), stepping);
        if (cpu->run->watched) {
            return CPU_STOP_BREAK;
        }
        if (cpu->run->spent) {
            return CPU_STOP_TIME;
        }
    }
}

static CpuStop run(Cpu *cpu, int64_t start_ns, uint64_t budget, uint64_t *used, bool stepping)
{
    CpuRun *r = cpu->run;
    CpuStop stop;

    r->start_ns = start_ns;
    r->budget = (int64_t)MIN(budget, (uint64_t)INT64_MAX / 4);
    r->deadline_ns = INT64_MAX;
    r->limit = cpu->left = 0;
    r->unwind = r->spent = r->watched = cpu->fault = false;
    r->active = true;
    stop = loop(cpu, stepping);
    *used = (uint64_t)run_executed(cpu);
    r->active = false;
    cpu->n_insns += *used;
    return stop;
}

CpuStop cpu_run(Cpu *cpu, int64_t start_ns, uint64_t budget, uint64_t *used)
{
    return run(cpu, start_ns, budget, used, false);
}

void cpu_follow_clock(Cpu *cpu, bool follow) { cpu->run->follow_clock = follow; }

CpuStop cpu_step(Cpu *cpu, int64_t start_ns, uint64_t *used)
{
    CpuStop stop = run(cpu, start_ns, 1, used, true);

    return stop == CPU_STOP_TIME ? CPU_STOP_BREAK : stop;
}

/* ---- life ---- */

static void flush_pa(void *opaque, uint64_t pa, uint64_t len)
{
    CpuEngine *e = opaque;

    for (guint i = 0; i < e->cpus->len; i++) {
        tlb_flush_pa(e->cpus->pdata[i], pa, len);
    }
}

/* A region moved: the address map is already the new one, so physical addresses say nothing about entries. */
static void flush_all(void *opaque, uint64_t pa, uint64_t len)
{
    CpuEngine *e = opaque;

    for (guint i = 0; i < e->cpus->len; i++) {
        cpu_flush_contexts(e->cpus->pdata[i], NULL, NULL);
    }
}

/* Generated code, where the host has it. */
static bool start_jit(CpuEngine *e, const CpuConfig *config, GError **error)
{
    char why[200];

    if (config->accel == CPU_ACCEL_INTERP) {
        return true;
    }
    e->jit = jit_new(e, e->cache_size, why, sizeof(why));
    if (e->jit != NULL && config->perf_map && !jit_perf_map_open(e->jit, why, sizeof(why))) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_ACCES, "-accel jit: %s", why);
        jit_free(e->jit);
        return false;
    }
    if (e->jit == NULL && config->accel == CPU_ACCEL_JIT) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS, "-accel jit: %s; use -accel interp", why);
        return false;
    }
#ifdef BAILEY_HAVE_JIT /* elsewhere nobody expects it */
    if (e->jit == NULL) {
        log_warning("%s; guest code runs by the portable executor, as with -accel interp, which is slower", why);
    }
#endif
    return true;
}

CpuEngine *cpu_engine_new(Memory *memory, Owners *owners, const CpuConfig *config, GError **error)
{
    CpuEngine *e = g_new0(CpuEngine, 1);

    e->cache_size = config->cache_size != 0 ? config->cache_size : CPU_CACHE_DEFAULT;
    e->hot = config->hot != 0 ? config->hot : CPU_HOT_DEFAULT;
    if (!start_jit(e, config, error)) {
        g_free(e);
        return NULL;
    }
    e->memory = memory;
    e->owners = owners;
    e->cpus = g_ptr_array_new();
    code_init(e);
    owners_add_cache(owners, flush_pa, e);
    memory_add_cache(memory, flush_all, e);
    memory_set_code_hook(memory, code_written, e);
    return e;
}

void cpu_engine_free(CpuEngine *e)
{
    if (e == NULL) {
        return;
    }
    memory_set_code_hook(e->memory, NULL, NULL);
    memory_remove_cache(e->memory, flush_all, e);
    owners_remove_cache(e->owners, flush_pa, e);
    code_deinit(e);
    jit_free(e->jit);
    g_ptr_array_free(e->cpus, TRUE);
    g_free(e);
}

/* Where its alignment wants it; what is not used takes no memory. */
static CpuRun *run_new(void)
{
    size_t   size = sizeof(CpuRun), room = size + HUGE_PAGE;
    uint8_t *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        g_error("cannot get %zu MiB of address space for the tables of a CPU", room >> 20);
    }
    size_t before = -(uintptr_t)p % HUGE_PAGE;
    if (before != 0) {
        munmap(p, before);
    }
    munmap(p + before + size, HUGE_PAGE - before);
    return (CpuRun *)(void *)(p + before);
}

void cpu_init(Cpu *cpu, CpuEngine *e, const CpuGuest *guest, Memory *memory, Clock *clock, unsigned index)
{
    cpu->engine = e;
    cpu->hooks = e->hooks;
    cpu->guest = guest;
    cpu->memory = memory;
    cpu->clock = clock;
    cpu->index = index;
    cpu->run = run_new();
    tlb_init(cpu);
    for (unsigned i = 0; i < CPU_HEAT; i++) {
        cpu->heat[i] = e->hot;
    }
    g_ptr_array_add(e->cpus, cpu);
}

void cpu_deinit(Cpu *cpu)
{
    if (cpu->engine != NULL) {
        g_ptr_array_remove(cpu->engine->cpus, cpu);
        munmap(cpu->run, sizeof(*cpu->run));
        cpu->run = NULL;
        cpu->engine = NULL;
    }
}

void cpu_settle(Cpu *cpu)
{
    if (cpu->site != NULL) { /* generated code called */
        jit_settle(cpu);
    }
}

void cpu_engine_set_max_block(CpuEngine *e, unsigned n)
{
    e->max_block = CLAMP(n, 1, IR_MAX_INSNS);
    cpu_flush_code(e);
}

CpuAccel cpu_engine_accel(const CpuEngine *e) { return e->jit != NULL ? CPU_ACCEL_JIT : CPU_ACCEL_INTERP; }

void cpu_engine_stats(const CpuEngine *e, CpuEngineStats *out)
{
    *out = e->stats;
    out->code_bytes = e->jit != NULL ? jit_code_bytes(e->jit) : 0;
}
