/*
 * The toy guest's front end and machine.
 */
#include "toy_guest.h"

#include <glib.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "tests/unit/accel.h"

#define REG(n, ty, member) { n, ty, offsetof(ToyCpu, s.member), false }
#define X4(a, b, c, d) \
    REG("x" #a, IR_I64, x[a]), REG("x" #b, IR_I64, x[b]), REG("x" #c, IR_I64, x[c]), REG("x" #d, IR_I64, x[d])

enum { R_NZCV = 16, R_MODE, R_V, R_PC = R_V + 4 };

static const IrReg regs[] = {
    X4(0, 1, 2, 3), X4(4, 5, 6, 7), X4(8, 9, 10, 11), X4(12, 13, 14, 15),
    REG("nzcv", IR_FLAGS, nzcv), REG("mode", IR_I8, mode),
    REG("v0", IR_V128, v[0]), REG("v1", IR_V128, v[1]), REG("v2", IR_V128, v[2]), REG("v3", IR_V128, v[3]),
    REG("pc", IR_I64, pc),
};

static ToyCpu *toy(Cpu *cpu) { return CONTAINER_OF(cpu, ToyCpu, cpu); }

/* ---- exceptions ---- */

static void take(ToyCpu *t, unsigned cause, uint64_t epc, uint64_t far)
{
    t->s.cause = (uint8_t)cause;
    t->s.epc = epc;
    t->s.far = far;
    t->s.pc = t->s.vector;
    t->s.irq_on = 0;
    t->s.exceptions++;
    t->cpu.fault = true;
}

static uint64_t do_raise(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    uint64_t pc = cpu_current_pc(cpu);

    take(toy(cpu), (unsigned)imm, imm == TOY_CAUSE_CALL ? pc + 4 : pc, 0);
    return 0;
}

static uint64_t do_wfi(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    toy(cpu)->cpu.waiting = true;
    return 0;
}

static uint64_t do_time(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    return (uint64_t)cpu_now(cpu);
}
static uint64_t do_count(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    return cpu_insns(cpu);
}
static uint64_t do_pc(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    return cpu_current_pc(cpu);
}

static uint64_t do_return(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    ToyCpu *t = toy(cpu);

    /* Faulting instructions are skipped; a fetch outside the program starts it again. */
    t->s.pc = t->s.epc + (t->s.cause == TOY_CAUSE_CALL || t->s.cause == TOY_CAUSE_IRQ ? 0 : 4);
    if (t->restart != 0 && t->s.pc - t->restart >= t->restart_size) {
        t->s.pc = t->restart;
    }
    t->s.irq_on = 1;
    cpu_attend(cpu);
    return 0;
}

static uint64_t do_space(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    toy(cpu)->s.space = a & 3;
    cpu_select_context(cpu, 0, a & 3);
    return 0;
}

static uint64_t do_flush_va(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    cpu_flush_va(cpu, NULL, NULL, a & ~0xfffull, 4096);
    return 0;
}

static uint64_t do_flush(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    cpu_flush_contexts(cpu, NULL, NULL);
    return 0;
}

static uint64_t do_irq_on(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    toy(cpu)->s.irq_on = 1;
    cpu_attend(cpu);
    return 0;
}

static uint64_t do_timer(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    timer_set(&toy(cpu)->timer, cpu_now(cpu) + (int64_t)(a & 0xff));
    return 0;
}

static const IrHelper h_raise = { "raise", IR_VOID, 0, IR_READS | IR_WRITES | IR_FAULTS | IR_ENDS,
                                  .fn.scalar = do_raise };

static const struct {
    IrHelper helper;
    bool     takes_a, gives_d, state, done;
} sys_ops[TOY_SYS_N] = {
    [TOY_SYS_WFI] = {{"wfi", IR_VOID, 0, IR_ENDS, .fn.scalar = do_wfi}, .state = true},
    [TOY_SYS_TIME] = {{"time", IR_I64, 0, IR_TIME, .fn.scalar = do_time}, .gives_d = true},
    [TOY_SYS_COUNT] = {{"count", IR_I64, 0, IR_TIME, .fn.scalar = do_count}, .gives_d = true},
    [TOY_SYS_RETURN] = {{"return", IR_VOID, 0, IR_WRITES | IR_ENDS, .fn.scalar = do_return}, .done = true},
    [TOY_SYS_SPACE] = {{"space", IR_VOID, 1, IR_ENDS, .fn.scalar = do_space}, .takes_a = true, .state = true},
    [TOY_SYS_FLUSH_VA] = {{"flush_va", IR_VOID, 1, IR_ENDS, .fn.scalar = do_flush_va}, .takes_a = true},
    [TOY_SYS_FLUSH] = {{"flush", IR_VOID, 0, IR_ENDS, .fn.scalar = do_flush}},
    [TOY_SYS_IRQ_ON] = {{"irq_on", IR_VOID, 0, IR_ENDS, .fn.scalar = do_irq_on}},
    [TOY_SYS_TIMER] = {{"timer", IR_VOID, 1, IR_ENDS | IR_TIME, .fn.scalar = do_timer}, .takes_a = true},
    [TOY_SYS_PC] = {{"pc", IR_I64, 0, IR_TIME, .fn.scalar = do_pc}, .gives_d = true},
};

/* ---- translation ---- */

typedef struct Trans {
    IrBlock *b;
    uint64_t pc;
    bool     mode;
    unsigned d, a, r;
    int64_t  simm;
    uint64_t imm;
    bool     ended;
} Trans;

static IrRef get(Trans *t, unsigned n) { return ir_get(t->b, n); }
static void  put(Trans *t, unsigned n, IrRef v) { ir_put(t->b, n, v); }
static IrRef k64(Trans *t, uint64_t v) { return ir_const(t->b, IR_I64, v); }
static IrRef op2(Trans *t, IrOp op, IrRef x, IrRef y) { return ir_op2(t->b, op, IR_I64, x, y); }
static IrRef address(Trans *t) { return op2(t, IR_add, get(t, t->a), k64(t, (uint64_t)t->simm)); }
static IrRef load64(Trans *t, IrRef at) { return ir_load(t->b, IR_I64, (IrMem){ .size_log2 = 3 }, at); }
static void store64(Trans *t, IrRef at, IrRef v)
{
    ir_store(t->b, IR_I64, (IrMem){.size_log2 = 3}, at, v);
}
static uint64_t branch_target(const Trans *t) { return t->pc + (uint64_t)(t->simm * 4); }

static void set_flags(Trans *t, IrFlagsKind kind, IrRef x, IrRef y, IrRef carry)
{
    put(t, R_NZCV, ir_flags(t->b, kind, IR_I64, x, y, carry));
}

static IrRef condition(Trans *t, unsigned c)
{
    return ir_flags_cond(t->b, (IrCond)(c % 14), ir_get(t->b, R_NZCV));
}

static void branch(Trans *t, IrRef cond)
{
    ir_exit_branch(t->b, cond, branch_target(t), t->pc + 4);
    t->ended = true;
}

static void emit_sys(Trans *t)
{
    unsigned n = (unsigned)t->imm;

    if (n >= TOY_SYS_N || sys_ops[n].helper.name == NULL) {
        ir_call(t->b, &h_raise, 0, 0, 0, n == TOY_SYS_CALL ? TOY_CAUSE_CALL : TOY_CAUSE_UNDEF);
        ir_exit_done(t->b);
        t->ended = true;
        return;
    }
    IrRef v = ir_call(t->b, &sys_ops[n].helper, sys_ops[n].takes_a ? get(t, t->a) : 0, 0, 0, 0);

    if (sys_ops[n].gives_d) {
        put(t, t->d, v);
    }
    if (sys_ops[n].state) {
        ir_exit_state(t->b, t->pc + 4);
    } else if (sys_ops[n].done) {
        ir_exit_done(t->b);
    }
    t->ended = sys_ops[n].state || sys_ops[n].done;
}

static void emit_memory(Trans *t, ToyOp op)
{
    IrRef v, at;

    switch (op) {
    case TOY_LD:
        put(t, t->d, load64(t, address(t)));
        break;
    case TOY_ST:
        store64(t, address(t), get(t, t->d));
        break;
    case TOY_LDB:
        put(t, t->d, ir_load(t->b, IR_I64, (IrMem){ .size_log2 = 0, .sign = 1 }, address(t)));
        break;
    case TOY_STW:
        ir_store(t->b, IR_I32, (IrMem){ .size_log2 = 2 }, address(t), ir_trunc(t->b, IR_I32, get(t, t->d)));
        break;
    case TOY_LDPOST:
        v = load64(t, get(t, t->a));
        put(t, t->a, address(t));
        put(t, t->d, v);
        break;
    case TOY_STPRE:
        at = address(t);
        store64(t, at, get(t, t->d));
        put(t, t->a, at);
        break;
    case TOY_LDX:
    case TOY_STX:
        at = op2(t, IR_add, get(t, t->a), op2(t, IR_shl, get(t, t->r), k64(t, 3)));
        if (op == TOY_LDX) {
            put(t, t->d, load64(t, at));
        } else {
            store64(t, at, get(t, t->d));
        }
        break;
    case TOY_LDQ:
        put(t, R_V + t->d % 4, ir_load(t->b, IR_V128, (IrMem){ .size_log2 = 4 }, address(t)));
        break;
    case TOY_STQ:
        ir_store(t->b, IR_V128, (IrMem){ .size_log2 = 4 }, address(t), get(t, R_V + t->d % 4));
        break;
    case TOY_LDP:
        at = address(t);
        v = load64(t, at);
        at = load64(t, op2(t, IR_add, at, k64(t, 8)));
        put(t, t->d, v);
        put(t, (t->d + 1) % 15, at);
        break;
    case TOY_STP:
    case TOY_STPPRE:
        at = address(t);
        store64(t, at, get(t, t->d));
        store64(t, op2(t, IR_add, at, k64(t, 8)), get(t, (t->d + 1) % 15));
        if (op == TOY_STPPRE) {
            put(t, t->a, at);
        }
        break;
    case TOY_LDBE:
        put(t, t->d, ir_load(t->b, IR_I64, (IrMem){ .size_log2 = 2, .big = 1, .align = 1 }, address(t)));
        break;
    default: /* TOY_SWAP */
        v = ir_load(t->b, IR_I64, (IrMem){ .size_log2 = 3, .align = 1, .write_intent = 1 }, get(t, t->a));
        store64(t, get(t, t->a), get(t, t->r));
        put(t, t->d, v);
        break;
    }
}

static void emit_arithmetic(Trans *t, ToyOp op)
{
    IrRef x = get(t, t->a), y = get(t, t->r), v;

    switch (op) {
    case TOY_MOVI:
        put(t, t->d, k64(t, t->imm));
        break;
    case TOY_MOV:
        put(t, t->d, x);
        break;
    case TOY_ADDI:
        put(t, t->d, op2(t, IR_add, x, k64(t, (uint64_t)(t->simm * (t->mode ? 2 : 1)))));
        break;
    case TOY_ADD:
        put(t, t->d, op2(t, IR_add, x, y));
        break;
    case TOY_SUBS:
        v = op2(t, IR_sub, x, y);
        set_flags(t, IR_FLAGS_SUB, x, y, 0);
        put(t, t->d, v);
        break;
    case TOY_CMPI:
        set_flags(t, IR_FLAGS_SUB, x, k64(t, (uint64_t)t->simm), 0);
        break;
    case TOY_SHADD:
        put(t, t->d, op2(t, IR_add, x, op2(t, IR_shl, y, k64(t, t->imm >> 8 & 31))));
        break;
    case TOY_AND:
        v = op2(t, IR_and, x, y);
        set_flags(t, IR_FLAGS_LOGIC, v, 0, 0);
        put(t, t->d, v);
        break;
    case TOY_ADDW:
        v = ir_op2(t->b, IR_add, IR_I32, ir_trunc(t->b, IR_I32, x), ir_trunc(t->b, IR_I32, y));
        put(t, t->d, ir_zext(t->b, IR_I64, v));
        break;
    case TOY_CSET:
        put(t, t->d, ir_select(t->b, IR_I64, condition(t, t->a), k64(t, 1), k64(t, 0)));
        break;
    case TOY_CSEL:
        put(t, t->d, ir_select(t->b, IR_I64, condition(t, (unsigned)t->imm >> 8), x, y));
        break;
    case TOY_ADC: {
        IrRef c = ir_flags_cond(t->b, IR_COND_C, ir_get(t->b, R_NZCV));

        v = op2(t, IR_add, op2(t, IR_add, x, y), ir_zext(t->b, IR_I64, c));
        set_flags(t, IR_FLAGS_ADD, x, y, c);
        put(t, t->d, v);
        break;
    }
    default: /* TOY_VADD */
        put(t, R_V + t->d % 4,
            ir_opi(t->b, IR_vadd, IR_V128, get(t, R_V + t->a % 4), get(t, R_V + t->r % 4), 2));
        break;
    }
}

static void emit_branch(Trans *t, ToyOp op)
{
    switch (op) {
    case TOY_BC:
        branch(t, condition(t, t->d));
        return;
    case TOY_CBZ:
        branch(t, op2(t, IR_cmpeq, get(t, t->a), k64(t, 0)));
        return;
    case TOY_TBNZ:
        branch(t, op2(t, IR_cmpne, op2(t, IR_and, get(t, t->a), k64(t, BIT(t->d))), k64(t, 0)));
        return;
    case TOY_BR:
        ir_exit_indirect(t->b, op2(t, IR_and, get(t, t->a), k64(t, ~3ull)));
        break;
    case TOY_BL:
        put(t, TOY_LINK, k64(t, t->pc + 4));
        ir_exit_jump(t->b, branch_target(t));
        break;
    default:
        ir_exit_jump(t->b, branch_target(t));
        break;
    }
    t->ended = true;
}

static void emit_insn(Trans *t, uint32_t word)
{
    ToyOp op = (ToyOp)(word >> 24);

    t->d = word >> 20 & 15;
    t->a = word >> 16 & 15;
    t->r = word & 15;
    t->imm = word & 0xffff;
    t->simm = (int16_t)word;
    switch (op) {
    case TOY_BC: case TOY_B: case TOY_BL: case TOY_BR: case TOY_CBZ: case TOY_TBNZ:
        emit_branch(t, op);
        break;
    case TOY_LD:
    case TOY_ST:
    case TOY_LDB:
    case TOY_STW:
    case TOY_LDPOST:
    case TOY_STPRE:
    case TOY_LDX:
    case TOY_STX:
    case TOY_LDQ: case TOY_STQ: case TOY_LDBE: case TOY_SWAP: case TOY_LDP: case TOY_STP: case TOY_STPPRE:
        emit_memory(t, op);
        break;
    case TOY_MODE:
        put(t, R_MODE, ir_const(t->b, IR_I8, t->imm & 1));
        ir_exit_jump(t->b, t->pc + 4);
        t->ended = true;
        break;
    case TOY_SYS:
        emit_sys(t);
        break;
    default:
        if (op > TOY_UNDEF && op < TOY_N_OPS) {
            emit_arithmetic(t, op);
        } else {
            ir_call(t->b, &h_raise, 0, 0, 0, TOY_CAUSE_UNDEF);
            ir_exit_done(t->b);
            t->ended = true;
        }
        break;
    }
}

static void toy_translate(Cpu *cpu, IrBlock *b, uint64_t pc, uint64_t key, const uint8_t *code, size_t len,
                          unsigned max_insns, unsigned flags)
{
    Trans t = { .b = b, .pc = pc, .mode = key & 1 };

    for (unsigned i = 0; i < max_insns && 4 * i + 4 <= len && !t.ended && !ir_done(b); i++, t.pc += 4) {
        ir_insn(b, t.pc);
        emit_insn(&t, le32_get(code + 4 * i));
    }
    if (!t.ended) {
        ir_exit_jump(b, t.pc);
    }
}

/* ---- the rest of CpuGuest ---- */

static uint64_t toy_pc(const Cpu *cpu) { return CONTAINER_OF(cpu, const ToyCpu, cpu)->s.pc; }
static uint64_t toy_key(const Cpu *cpu) { return CONTAINER_OF(cpu, const ToyCpu, cpu)->s.mode; }
static void     toy_set_pc(Cpu *cpu, uint64_t pc) { toy(cpu)->s.pc = pc; }

static bool toy_fill(Cpu *cpu, uint64_t va, unsigned size, CpuAccess access, unsigned space, CpuFill *out)
{
    ToyCpu *t = toy(cpu);

    t->n_fills++;
    for (unsigned i = 0; i < t->n_maps; i++) {
        const ToyMap *m = &t->map[i];

        if (m->space != t->s.space || va - m->va >= m->size || (access == CPU_WRITE && !m->writable) ||
            (access == CPU_FETCH && m->no_exec) || (access == CPU_READ && m->no_read) ||
            !owners_fill(memory_owners(cpu->memory), m->pa + (va - m->va), PAS_NONSECURE)) {
            continue;
        }
        *out = (CpuFill){.pa = m->pa + (va - m->va),
                         .pas = PAS_NONSECURE,
                         .page_size = m->size,
                         .readable = !m->no_read,
                         .writable = m->writable,
                         .device = m->device,
                         .slow = m->slow};
        return true;
    }
    take(t, TOY_CAUSE_TRANSLATION, cpu_current_pc(cpu), va);
    return false;
}

static void toy_unaligned(Cpu *cpu, uint64_t va, CpuAccess access)
{
    take(toy(cpu), TOY_CAUSE_ALIGN, cpu_current_pc(cpu), va);
}

static void toy_bus_error(Cpu *cpu, uint64_t va, uint64_t pa, CpuAccess access, MemResult why)
{
    take(toy(cpu), TOY_CAUSE_BUS, cpu_current_pc(cpu), va);
}

static bool toy_attend(Cpu *cpu)
{
    ToyCpu *t = toy(cpu);

    if (t->s.line) {
        cpu->waiting = false;
        if (t->s.irq_on) {
            t->s.line = 0;
            t->s.irqs++;
            take(t, TOY_CAUSE_IRQ, t->s.pc, 0);
            cpu->fault = false;
        }
    }
    return !cpu->waiting;
}

static void toy_disassemble(uint64_t pc, const uint8_t *code, char *dst, size_t cap)
{
    g_snprintf(dst, cap, "op %u", code[3]);
}

const CpuGuest toy_guest = {
    .name = "toy",
    .regs = regs,
    .n_regs = ARRAY_LEN(regs),
    .insn_bytes = 4,
    .pc = toy_pc,
    .key = toy_key,
    .set_pc = toy_set_pc,
    .translate = toy_translate,
    .fill = toy_fill,
    .unaligned = toy_unaligned,
    .bus_error = toy_bus_error,
    .attend = toy_attend,
    .disassemble = toy_disassemble,
};

/* ---- the machine ---- */

static MemResult device_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    ToyMachine *m = opaque;

    if (size != 8 || off >= sizeof(m->reg)) {
        return MEM_SLAVE;
    }
    m->n_reads++;
    m->read_time = (uint64_t)clock_now(m->clock);
    *value = off == 8 ? m->read_time : m->reg[off / 8];
    return MEM_OK;
}

static MemResult device_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    ToyMachine *m = opaque;

    if (size != 8 || off >= sizeof(m->reg)) {
        return MEM_SLAVE;
    }
    m->n_writes++;
    m->reg[off / 8] = value;
    if (off == 16) { /* raises the line at once */
        m->cpu->s.line = 1;
        cpu_attend(&m->cpu->cpu);
    } else if (off == 24) {
        timer_set(&m->cpu->timer, clock_now(m->clock) + (int64_t)(value & 0xff));
    }
    return MEM_OK;
}

static const MmioOps device_ops = { device_read, device_write };

static void timer_fires(void *opaque)
{
    ToyMachine *m = opaque;

    m->cpu->s.line = 1;
    cpu_attend(&m->cpu->cpu);
}

static int64_t runner_now(void *opaque) { return cpu_now(&((ToyMachine *)opaque)->cpu->cpu); }

static void runner_recut(void *opaque)
{
    ToyMachine *m = opaque;

    cpu_set_deadline(&m->cpu->cpu, clock_next_deadline(m->clock));
}

ToyMachine *toy_machine_new(void)
{
    ToyMachine *m = g_new0(ToyMachine, 1);

    m->owners = owners_new();
    m->memory = memory_new(m->owners);
    m->clock = clock_new();
    m->ram = memory_add_ram(m->memory, "ram", 0, TOY_RAM_SIZE, NULL);
    m->device = memory_add_mmio(m->memory, "device", TOY_DEVICE_PA, 4096, &device_ops, m);
    m->engine = test_engine_new(m->memory, m->owners);
    m->cpu = g_aligned_alloc0(1, sizeof(ToyCpu), 16);
    cpu_init(&m->cpu->cpu, m->engine, &toy_guest, m->memory, m->clock, 0);
    cpu_select_context(&m->cpu->cpu, 0, 0);
    timer_init(&m->cpu->timer, m->clock, timer_fires, m);
    return m;
}

void toy_machine_free(ToyMachine *m)
{
    timer_deinit(&m->cpu->timer);
    cpu_deinit(&m->cpu->cpu);
    g_aligned_free(m->cpu);
    cpu_engine_free(m->engine);
    memory_free(m->memory);
    owners_free(m->owners);
    clock_free(m->clock);
    g_free(m);
}

ToyMap *toy_map(ToyMachine *m, uint64_t va, uint64_t pa, uint64_t size)
{
    ToyMap *map = &m->cpu->map[m->cpu->n_maps++];

    *map = (ToyMap){ .va = va, .pa = pa, .size = size, .writable = true };
    return map;
}

void toy_load(ToyMachine *m, uint64_t pa, const uint32_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[4];

        le32_put(bytes, words[i]);
        memory_write(m->memory, pa + 4 * i, (MemAttrs){ .pas = PAS_NONSECURE }, bytes, 4);
    }
}

ToyMachine *toy_machine_flat(const uint32_t *code, size_t n)
{
    static const uint32_t wait[] = { TOY(TOY_SYS, 0, 0, TOY_SYS_WFI), TOY(TOY_B, 0, 0, -1) };
    ToyMachine           *m = toy_machine_new();

    toy_map(m, TOY_CODE, TOY_CODE, 0x4000);
    toy_map(m, TOY_VECTOR, TOY_VECTOR, 0x1000);
    toy_map(m, TOY_DATA, TOY_DATA, 0x2000);
    toy_load(m, TOY_CODE, code, n);
    toy_load(m, TOY_VECTOR, wait, ARRAY_LEN(wait));
    m->cpu->s.pc = TOY_CODE;
    m->cpu->s.vector = TOY_VECTOR;
    return m;
}

CpuStop toy_run(ToyMachine *m, uint64_t budget, uint64_t slice)
{
    CpuStop stop = CPU_STOP_TIME;

    while (budget > 0) {
        int64_t  now = clock_now(m->clock);
        int64_t  deadline = clock_next_deadline(m->clock);
        uint64_t n = MIN(budget, slice), used;

        if (deadline != INT64_MAX) {
            n = MIN(n, (uint64_t)MAX(deadline - now, 0));
        }
        clock_set_runner(m->clock, runner_now, runner_recut, m);
        stop = cpu_run(&m->cpu->cpu, now, n, &used);
        clock_set_runner(m->clock, NULL, NULL, NULL);
        budget -= used;
        clock_advance(m->clock, now + (int64_t)used);
        deadline = clock_next_deadline(m->clock);
        if (stop == CPU_STOP_WAIT && m->wake) {
            timer_fires(m);
        } else if (stop == CPU_STOP_WAIT && deadline != INT64_MAX) {
            clock_advance(m->clock, deadline);
        } else if (stop != CPU_STOP_TIME && !(stop == CPU_STOP_WAIT && m->cpu->s.line)) {
            break;
        }
    }
    return stop;
}
