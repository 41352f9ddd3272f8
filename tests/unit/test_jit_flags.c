/*
 * The host's exception flags while generated code calls C: what C raises there is not the guest's, whatever way it is
 * called, and what generated code raised before is not lost.
 */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/cpu.h"
#include "cpu/ir/block.h"

enum { DEVICE = 0x100000, N_ROUNDS = 3, F64_LOWEST = 3 | 8 };

typedef struct Lab {
    Cpu      cpu;
    double   v[2] __attribute__((aligned(16)));
    uint64_t x, pc;
    unsigned raised;
} Lab;

enum { R_V, R_X };

static const IrReg lab_regs[] = {
    { "v", IR_V128, offsetof(Lab, v) },
    { "x", IR_I64, offsetof(Lab, x) },
};

typedef enum Way { BY_CONVENTION, BY_SITE, BY_GUARD, BY_DEVICE, BY_FAULT, N_WAYS } Way;

static Way    way;
static double addend;

/* ---- C that raises what the guest's code does not ---- */

static void raise_on_host(void)
{
    volatile double zero = 0, one = 1;

    one = one / zero;
}

static uint64_t noisy_scalar(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    raise_on_host();
    return a;
}

static uint64_t noisy_fault(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    raise_on_host();
    ((Lab *)cpu)->cpu.fault = true;
    return 0;
}

static void noisy_vector(void *cpu, void *d, const void *a, const void *b, const void *c, uint64_t imm)
{
    raise_on_host();
    memcpy(d, a, 16);
}

static MemResult noisy_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    raise_on_host();
    *value = 7;
    return MEM_OK;
}

/* What the inline form stands for. */
static void add(void *cpu, void *d, const void *a, const void *b, const void *c, uint64_t imm)
{
    double x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    x += y;
    memset(d, 0, 16);
    memcpy(d, &x, sizeof(x));
}

static const IrHelper
    add_helper = { "add", IR_V128, 2, IR_STATUS, true, IR_INLINE_FADD, .fn.vec = add },
    scalar_helper = { "scalar", IR_I64, 1, IR_READS | IR_WRITES, .fn.scalar = noisy_scalar },
    vector_helper = { "vector", IR_V128, 1, IR_READS | IR_WRITES, true, .fn.vec = noisy_vector },
    guard_helper = { "guard", IR_VOID, 1, IR_FAULTS, .fn.scalar = noisy_scalar },
    fault_helper = { "fault", IR_VOID, 0, IR_FAULTS, .fn.scalar = noisy_fault };

/* ---- the guest: an addition, and a call of C ---- */

static void call_c(IrBlock *b)
{
    IrRef x = ir_get(b, R_X);

    switch (way) {
    case BY_CONVENTION:
        ir_put(b, R_X, ir_call(b, &scalar_helper, x, 0, 0, 0));
        break;
    case BY_SITE:
        ir_put(b, R_V, ir_call(b, &vector_helper, ir_get(b, R_V), 0, 0, 0));
        break;
    case BY_GUARD:
        ir_guard(b, x, 1, &guard_helper);
        break;
    case BY_DEVICE:
        ir_put(b, R_X, ir_load(b, IR_I64, (IrMem){ .size_log2 = 3 }, ir_const(b, IR_I64, DEVICE)));
        break;
    default:
        ir_call(b, &fault_helper, 0, 0, 0, 0);
        break;
    }
}

static void translate(Cpu *cpu, IrBlock *b, uint64_t pc, uint64_t key, const uint8_t *code, size_t len,
                      unsigned max_insns, unsigned flags)
{
    uint64_t bits;
    IrRef    y;

    memcpy(&bits, &addend, sizeof(bits));
    ir_insn(b, pc);
    y = ir_op1(b, IR_vzext, IR_V128, ir_const(b, IR_I64, bits));
    ir_put(b, R_V, ir_call(b, &add_helper, ir_get(b, R_V), y, 0, F64_LOWEST));
    ir_insn(b, pc + 4);
    call_c(b);
    ir_exit_jump(b, pc + 8);
}

static Lab *lab_of(Cpu *cpu) { return CONTAINER_OF(cpu, Lab, cpu); }

static uint64_t lab_pc(const Cpu *cpu) { return CONTAINER_OF(cpu, const Lab, cpu)->pc; }
static uint64_t lab_key(const Cpu *cpu) { return 0; }
static void     lab_set_pc(Cpu *cpu, uint64_t pc) { lab_of(cpu)->pc = pc; }
static bool     lab_attend(Cpu *cpu) { return true; }
static void     lab_raised(Cpu *cpu, unsigned raised) { lab_of(cpu)->raised |= raised; }

static bool lab_fill(Cpu *cpu, uint64_t va, unsigned size, CpuAccess access, unsigned space, CpuFill *out)
{
    *out = (CpuFill){ .pa = va, .pas = PAS_NONSECURE, .page_size = 4096, .readable = true, .writable = true };
    return true;
}

static const CpuGuest lab_guest = { .name = "lab", .regs = lab_regs, .n_regs = ARRAY_LEN(lab_regs), .pc = lab_pc,
                                    .key = lab_key, .set_pc = lab_set_pc, .translate = translate, .fill = lab_fill,
                                    .attend = lab_attend, .fp_raised = lab_raised };

/* Each round is another block: two instructions, and the way on. */
static unsigned run_rounds(Cpu *cpu, double with)
{
    Lab     *lab = lab_of(cpu);
    uint64_t used;

    addend = with;
    lab->raised = 0;
    for (unsigned i = 0; i < N_ROUNDS; i++) {
        lab->v[0] = 1;
        lab->x = 3;
        cpu_run(cpu, 0, 2, &used);
        lab->cpu.fault = false;
        lab->pc += 8;
    }
    return lab->raised;
}

static void test_flags(void **state)
{
    static const MmioOps device = { .read = noisy_read };

    Owners    *owners = owners_new();
    Memory    *memory = memory_new(owners);
    Clock     *clock = clock_new();
    CpuConfig  config = { .accel = CPU_ACCEL_JIT };
    CpuEngine *engine = cpu_engine_new(memory, owners, &config, NULL);
    Lab       *lab = g_aligned_alloc0(1, sizeof(Lab), 16);

    memory_add_ram(memory, "ram", 0, DEVICE, NULL);
    memory_add_mmio(memory, "device", DEVICE, 0x1000, &device, NULL);
    cpu_init(&lab->cpu, engine, &lab_guest, memory, clock, 0);
    lab->pc = 0x1000;
    for (way = 0; way < N_WAYS; way++) {
        assert_int_equal(run_rounds(&lab->cpu, 2), 0);
        assert_int_equal(run_rounds(&lab->cpu, 0x1p-60), CPU_FP_INEXACT);
    }
    cpu_deinit(&lab->cpu);
    g_aligned_free(lab);
    cpu_engine_free(engine);
    memory_free(memory);
    owners_free(owners);
    clock_free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
