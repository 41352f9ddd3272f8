/*
 * Hooks in guest code: the calls that observers want are translated with it. Where the engine ends its blocks does not
 * show in what they hear. An instruction that is left in the middle, to be run again as the last of a block, is told
 * once.
 */
#include "bytes.h"
#include "cpu/engine.h"
#include "cpu/ir/block.h"

/* Of a block's first call: instructions of the engine's block, and whether code goes on behind it without a branch. */
enum { BEGIN_SEQUENTIAL = 1 << 16, BEGIN_INSNS = BEGIN_SEQUENTIAL - 1 };

/* Of an access: its IrMem's size, and its direction. */
enum { ACCESS_SIZE = 7, ACCESS_STORE = 8 };

/* Whether the block that begins at @pc is the one before, gone on with: the engine cut it, or left it to come again. */
static bool goes_on(const Cpu *cpu, const HookState *h, uint64_t pc, uint64_t at)
{
    uint64_t k = at - h->begin_at;

    return h->begin_insns != 0 && pc == h->begin_pc + k * cpu->guest->insn_bytes &&
           (k < h->begin_insns || (k == h->begin_insns && h->sequential));
}

static uint64_t begin(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    Cpu       *cpu = opaque;
    HookState *h = &cpu->run->hook;
    uint64_t   pc = cpu_current_pc(cpu), at = cpu_insns(cpu);
    bool       same = goes_on(cpu, h, pc, at);

    h->begin_pc = pc;
    h->begin_at = at;
    h->begin_insns = imm & BEGIN_INSNS;
    h->sequential = imm & BEGIN_SEQUENTIAL;
    if (!same && cpu->hooks->block != NULL) {
        cpu->hooks->block(cpu->hooks->opaque, cpu, pc);
    }
    return 0;
}

static uint64_t insn(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    Cpu       *cpu = opaque;
    HookState *h = &cpu->run->hook;
    uint64_t   pc = cpu_current_pc(cpu), at = cpu_insns(cpu);
    bool       again = h->told && h->insn_pc == pc && h->insn_at == at;

    h->seen = 0;
    if (!again) {
        h->told = true;
        h->insn_pc = pc;
        h->insn_at = at;
        h->accesses = 0;
        if (cpu->hooks->insn != NULL) {
            cpu->hooks->insn(cpu->hooks->opaque, cpu, pc, imm);
        }
    }
    return 0;
}

static uint64_t access(void *opaque, uint64_t va, uint64_t b, uint64_t c, uint64_t imm)
{
    Cpu       *cpu = opaque;
    HookState *h = &cpu->run->hook;

    if (++h->seen > h->accesses) {
        h->accesses = h->seen;
        cpu->hooks->access(cpu->hooks->opaque, cpu, va, 1u << (imm & ACCESS_SIZE), imm & ACCESS_STORE);
    }
    return 0;
}

static const IrHelper begin_helper = { "hook_block", IR_VOID, 0, IR_READS | IR_TIME, .fn.scalar = begin };
static const IrHelper insn_helper = { "hook_insn", IR_VOID, 0, IR_READS | IR_TIME, .fn.scalar = insn };
static const IrHelper access_helper = { "hook_access", IR_VOID, 1, IR_READS | IR_TIME, .fn.scalar = access };

/* ---- translation: called by ir.c ---- */

static void emit_insn(IrBlock *b, uint64_t pc)
{
    const CpuEngine *e = b->hooks->opaque;
    uint64_t         offset = pc & ~PAGE_MASK, len = MIN(PAGE_SIZE - offset, (uint64_t)e->hook_insn_bytes);

    if (b->n_insns == 1 && e->hooks->block != NULL) {
        b->begin = (IrRef)b->n;
        ir_call(b, &begin_helper, 0, 0, 0, 0);
    }
    if (e->hooks->insn != NULL || e->hooks->access != NULL) {
        ir_call(b, &insn_helper, 0, 0, 0, le_get(e->hook_page + offset, len));
    }
}

static void emit_access(IrBlock *b, IrMem mem, IrRef addr, bool store)
{
    const CpuEngine *e = b->hooks->opaque;

    if (e->hooks->access != NULL) {
        ir_call(b, &access_helper, addr, 0, 0, mem.size_log2 | (store ? ACCESS_STORE : 0));
    }
}

void hook_begin_block(CpuEngine *e, const CpuGuest *guest, const uint8_t *page)
{
    if (e->hooks == NULL) {
        return;
    }
    e->ir_hooks = (IrHooks){ .insn = emit_insn, .access = emit_access, .opaque = e };
    e->ir->hooks = &e->ir_hooks;
    e->hook_page = page;
    e->hook_insn_bytes = MIN(guest->insn_bytes, 8);
}

void hook_end_block(CpuEngine *e, uint64_t end_pc)
{
    IrBlock      *b = e->ir;
    const IrNode *x = &b->node[b->n - 1];

    if (b->begin != 0) {
        bool on = (x->op == IR_exit_jump || x->op == IR_exit_state) && x->imm == end_pc;
        bool sequential = on && !b->ends && (end_pc & ~PAGE_MASK) != 0;

        b->node[b->begin].imm = b->n_insns | (sequential ? BEGIN_SEQUENTIAL : 0);
    }
}

/* ---- who observes ---- */

void cpu_engine_set_hooks(CpuEngine *e, const CpuHooks *hooks)
{
    e->hooks = hooks;
    for (guint i = 0; i < e->cpus->len; i++) {
        ((Cpu *)e->cpus->pdata[i])->hooks = hooks;
    }
    cpu_flush_code(e);
}

bool cpu_block_code(Cpu *cpu, CpuBlockCode *out)
{
    CpuSite here;
    bool    writable;

    if (!run_here(cpu, &here)) {
        return false;
    }
    const uint8_t *page = memory_host_page(cpu->memory, here.block->pa & PAGE_MASK, &writable);
    unsigned       offset = (unsigned)(here.pc & ~PAGE_MASK);
    if (page == NULL) {
        return false;
    }
    *out = (CpuBlockCode){ .pc = here.pc, .pa = (here.block->pa & PAGE_MASK) | offset, .key = cpu->guest->key(cpu),
                           .guarded = here.block->guarded, .code = page + offset, .room = PAGE_SIZE - offset };
    return true;
}

unsigned cpu_block_insns(Cpu *cpu, const CpuBlockCode *b)
{
    CpuEngine *e = cpu->engine;

    if (e->hook_ir == NULL) {
        e->hook_ir = ir_block_new(NULL, 0);
    }
    ir_block_reset(e->hook_ir, cpu->guest->regs, cpu->guest->n_regs);
    cpu->guest->translate(cpu, e->hook_ir, b->pc, b->key, b->code, b->room, IR_MAX_INSNS, b->guarded);
    return e->hook_ir->n_insns;
}
