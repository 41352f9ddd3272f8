/*
 * The IR: printer, verifier, passes, and that the executor means what ops.h says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "bits.h"
#include "clock.h"
#include "cpu/cpu.h"
#include "cpu/ir/block.h"
#include "cpu/ir/passes.h"
#include "cpu/ir/wide.h"
#include "tests/unit/accel.h"

/* A guest whose only instruction is whatever a test builds. */
typedef struct Lab {
    Cpu      cpu;
    uint64_t v[3][2] __attribute__((aligned(16)));
    uint64_t x[4], pc;
    uint32_t flags, w;
    uint8_t  byte;
} Lab;

enum { X0, X1, X2, X3, FLAGS, W, BYTE, V0, V1, V2, PC };

#define REG(name, ty, member) { name, ty, offsetof(Lab, member), false }
static const IrReg regs[] = {
    REG("x0", IR_I64, x[0]), REG("x1", IR_I64, x[1]), REG("x2", IR_I64, x[2]), REG("x3", IR_I64, x[3]),
    REG("flags", IR_FLAGS, flags), REG("w", IR_I32, w), REG("byte", IR_I8, byte), REG("v0", IR_V128, v[0]),
    REG("v1", IR_V128, v[1]), REG("v2", IR_V128, v[2]), REG("pc", IR_I64, pc),
};

static uint64_t do_nothing(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm) { return a; }

static const IrHelper may_fault = { "may_fault", IR_VOID, 0, IR_FAULTS, .fn.scalar = do_nothing };
static const IrHelper pure = { "pure", IR_I64, 1, IR_PURE, .fn.scalar = do_nothing };
static const IrHelper writes = { "writes", IR_VOID, 0, IR_WRITES, .fn.scalar = do_nothing };
static const IrHelper ends = { "ends", IR_VOID, 0, IR_ENDS, .fn.scalar = do_nothing };

static IrRef k64(IrBlock *b, uint64_t v) { return ir_const(b, IR_I64, v); }
static IrRef add(IrBlock *b, IrRef x, IrRef y) { return ir_op2(b, IR_add, IR_I64, x, y); }

/* register + constant; here and below operands are made one by one: C leaves the order of arguments open */
static IrRef add_k(IrBlock *b, unsigned reg, uint64_t k)
{
    IrRef x = ir_get(b, reg);

    return add(b, x, k64(b, k));
}

static char *print(const IrBlock *b)
{
    char  *text = NULL;
    size_t len = 0;
    FILE  *f = open_memstream(&text, &len);

    ir_print(b, f);
    fclose(f);
    return text;
}

/* ---- printer ---- */

static void test_print(void **state)
{
    IrBlock *b = ir_block_new(regs, ARRAY_LEN(regs));
    IrRef    f, v, x;

    ir_insn(b, 0x1000);
    x = ir_get(b, X0);
    f = ir_flags(b, IR_FLAGS_SUB, IR_I64, x, k64(b, 5), 0);
    v = ir_load(b, IR_I64, (IrMem){ .size_log2 = 1, .sign = 1, .big = 1 }, ir_get(b, X1));
    ir_call(b, &may_fault, 0, 0, 0, 7);
    ir_put(b, X2, v);
    ir_put(b, FLAGS, f);
    ir_exit_branch(b, ir_flags_cond(b, IR_COND_GE, f), 0x2000, 0x1004);
    char *text = print(b);
    assert_string_equal(text, "    %1 = const.i64 0x0\n"
                              "    %2 = const.i32 0x0\n"
                              "insn 0x1000\n"
                              "    %4 = get x0\n"
                              "    %5 = const.i64 0x5\n"
                              "    %6 = flags.sub %4, %5\n"
                              "    %7 = get x1\n"
                              "    %8 = load.i64.16.s.big %7\n"
                              "    call may_fault #0x7\n"
                              "    put x2, %8\n"
                              "    put flags, %6\n"
                              "    %12 = flags_cond.ge %6\n"
                              "    exit_branch %12, 0x2000, 0x1004\n");
    free(text);
    ir_block_free(b);
}

/* ---- verifier: one valid block, broken in one place ---- */

enum { N_GET = 4, N_CONST, N_ADD, N_LOAD, N_PUT, N_COND, N_EXIT };

static void build_valid(IrBlock *b)
{
    IrRef x, k, a;

    ir_insn(b, 0x1000);
    x = ir_get(b, X0);
    k = k64(b, 5);
    a = add(b, x, k);
    ir_load(b, IR_I64, (IrMem){ .size_log2 = 3 }, a);
    ir_put(b, X1, a);
    ir_exit_branch(b, ir_op2(b, IR_cmpeq, IR_I64, a, k), 0x2000, 0x1004);
}

static void no_break(IrBlock *b) {}
static void use_later(IrBlock *b) { b->node[N_ADD].b = N_LOAD; }
static void use_void(IrBlock *b) { b->node[N_COND].a = N_PUT; }
static void use_nop(IrBlock *b) { b->node[N_CONST].op = IR_NOP; }
static void wrong_type(IrBlock *b) { b->node[N_CONST].type = IR_I32; }
static void wrong_result(IrBlock *b) { b->node[N_ADD].type = IR_I32; }
static void wide_add(IrBlock *b)
{
    b->node[N_GET].op = IR_const;
    b->node[N_ADD].type = b->node[N_GET].type = b->node[N_CONST].type = IR_I128;
}
static void one_operand(IrBlock *b) { b->node[N_ADD].b = 0; }
static void put_type(IrBlock *b) { b->node[N_PUT].imm = W; }
static void put_where(IrBlock *b) { b->node[N_PUT].imm = 99; }
static void get_type(IrBlock *b) { b->node[N_GET].imm = FLAGS; }
static void fault_after_put(IrBlock *b)
{
    IrNode n = b->node[N_LOAD];

    n.a = N_GET;
    b->node[N_LOAD] = b->node[N_PUT];
    b->node[N_PUT] = n;
}
static void no_exit(IrBlock *b) { b->n = N_EXIT; }
static void two_exits(IrBlock *b) { b->node[b->n++] = b->node[N_EXIT]; }
static void bad_op(IrBlock *b) { b->node[N_ADD].op = 250; }
static void bad_size(IrBlock *b) { b->node[N_LOAD].mem.size_log2 = 4; }
static void no_insn(IrBlock *b) { b->node[3] = b->node[N_GET]; }
static void branch_on_i64(IrBlock *b) { b->node[N_EXIT].a = N_ADD; }
static void insn_after_ends(IrBlock *b)
{
    b->node[N_LOAD] = (IrNode){ .op = IR_call, .helper = &ends };
    b->node[N_PUT] = (IrNode){ .op = IR_insn };
}

static const struct {
    const char *name;
    void      (*breaks)(IrBlock *b);
    const char *why; /* NULL: valid */
} verify_rows[] = {
    { "valid", no_break, NULL },
    { "use before definition", use_later, "not defined before its use" },
    { "use of a put", use_void, "has no value" },
    { "use of a removed value", use_nop, "has no value" },
    { "operand type", wrong_type, "has type i32, not i64" },
    { "result type", wrong_result, "has type i64, not i32" },
    { "width", wide_add, "not an integer" },
    { "operand count", one_operand, "1 operands, not 2" },
    { "put of another type", put_type, "has type i64, not i32" },
    { "put to no register", put_where, "no such register" },
    { "get of another type", get_type, "not the register's type" },
    { "fault after put", fault_after_put, "may fault after" },
    { "no exit", no_exit, "no exit" },
    { "two exits", two_exits, "after the exit" },
    { "no such operation", bad_op, "no such operation" },
    { "16 bytes as I64", bad_size, "128 bits of memory" },
    { "no instruction mark", no_insn, "before the first instruction" },
    { "branch on I64", branch_on_i64, "has type i64, not i32" },
    { "instruction after the end", insn_after_ends, "ends the block" },
};

static void test_verify(void **state)
{
    IrBlock *b = ir_block_new(regs, ARRAY_LEN(regs));
    char     why[200] = "";

    for (size_t i = 0; i < ARRAY_LEN(verify_rows); i++) {
        print_message("%s\n", verify_rows[i].name);
        ir_block_reset(b, regs, ARRAY_LEN(regs));
        build_valid(b);
        verify_rows[i].breaks(b);
        bool ok = ir_verify(b, why, sizeof(why));
        assert_int_equal(ok, verify_rows[i].why == NULL);
        if (!ok && strstr(why, verify_rows[i].why) == NULL) {
            fail_msg("'%s' does not say '%s'", why, verify_rows[i].why);
        }
    }
    ir_block_free(b);
}

/* ---- passes: what a block looks like after all of them ---- */

static void p_constants(IrBlock *b)
{
    IrRef six = k64(b, 6);

    ir_put(b, X0, ir_op2(b, IR_mul, IR_I64, six, k64(b, 7)));
}

static void p_narrow(IrBlock *b)
{
    IrRef one = ir_const(b, IR_I32, 1);
    IrRef v = ir_op2(b, IR_sub, IR_I32, one, ir_const(b, IR_I32, 2));

    ir_put(b, X0, ir_sext(b, IR_I64, v));
    ir_put(b, X1, ir_zext(b, IR_I64, v));
}
static void p_identity(IrBlock *b)
{
    IrRef x = ir_get(b, X1);

    x = ir_op2(b, IR_or, IR_I64, k64(b, 0), x); /* MOV */
    x = ir_op2(b, IR_and, IR_I64, x, k64(b, ~0ull));
    ir_put(b, X0, ir_op2(b, IR_shl, IR_I64, x, k64(b, 0)));
}
static void p_widths(IrBlock *b)
{
    IrRef w = ir_trunc(b, IR_I32, ir_get(b, X1));

    ir_put(b, X0, ir_zext(b, IR_I64, ir_trunc(b, IR_I32, ir_zext(b, IR_I64, w))));
}
static void p_forward(IrBlock *b)
{
    ir_put(b, X0, add_k(b, X0, 1));
    ir_insn(b, 0x1004);
    ir_put(b, X0, add_k(b, X0, 2));
}
static void p_fault_keeps(IrBlock *b)
{
    ir_put(b, X0, k64(b, 1));
    ir_insn(b, 0x1004);
    ir_call(b, &may_fault, 0, 0, 0, 0);
    ir_put(b, X0, k64(b, 2));
}
static void p_helper_writes(IrBlock *b)
{
    ir_put(b, X0, k64(b, 1));
    ir_call(b, &writes, 0, 0, 0, 0);
    ir_put(b, X1, ir_get(b, X0));
}
static void p_dead_flags(IrBlock *b)
{
    IrRef x = ir_get(b, X0);

    ir_put(b, FLAGS, ir_flags(b, IR_FLAGS_SUB, IR_I64, x, k64(b, 1), 0));
    ir_insn(b, 0x1004);
    ir_put(b, FLAGS, ir_flags(b, IR_FLAGS_LOGIC, IR_I64, ir_get(b, X1), 0, 0));
}
static void p_condition(IrBlock *b)
{
    IrRef x = ir_get(b, X0), y = ir_get(b, X1);

    ir_put(b, FLAGS, ir_flags(b, IR_FLAGS_SUB, IR_I64, x, y, 0));
    ir_put(b, X2, ir_zext(b, IR_I64, ir_flags_cond(b, IR_COND_C_AND_NZ, ir_get(b, FLAGS))));
}
static void p_result_zero(IrBlock *b)
{
    IrRef x = ir_get(b, X0), y = ir_get(b, X1), r = ir_op2(b, IR_sub, IR_I64, x, y);

    ir_put(b, FLAGS, ir_flags(b, IR_FLAGS_SUB, IR_I64, x, y, 0));
    ir_put(b, X0, r);
    ir_insn(b, 0x1004);
    ir_put(b, X2, ir_zext(b, IR_I64, ir_flags_cond(b, IR_COND_NZ, ir_get(b, FLAGS))));
}
static void p_pure_call(IrBlock *b)
{
    ir_call(b, &pure, ir_get(b, X0), 0, 0, 0);
    ir_put(b, X0, k64(b, 3));
}
static void p_select(IrBlock *b)
{
    IrRef one = ir_const(b, IR_I32, 1), x = ir_get(b, X1), y = ir_get(b, X2);

    ir_put(b, X0, ir_select(b, IR_I64, one, x, y));
}
static IrRef load_rmw(IrBlock *b, bool half)
{
    return ir_load(b, IR_I64, (IrMem){ .size_log2 = 3, .write_intent = half }, ir_get(b, X1));
}
static void p_known_load(IrBlock *b)
{
    IrRef first = load_rmw(b, false), again = load_rmw(b, true);

    ir_put(b, X0, ir_op2(b, IR_xor, IR_I64, first, again));
}
static void p_load_behind_store(IrBlock *b)
{
    IrRef first = load_rmw(b, false), again;

    ir_store(b, IR_I64, (IrMem){ .size_log2 = 3 }, ir_get(b, X2), first);
    again = load_rmw(b, true);
    ir_put(b, X0, ir_op2(b, IR_xor, IR_I64, first, again));
}
static void p_half_not_wanted(IrBlock *b)
{
    load_rmw(b, true);
    IrRef value = ir_get(b, X2);
    ir_store(b, IR_I64, (IrMem){ .size_log2 = 3, .write_intent = 1 }, ir_get(b, X1), value);
}
static void p_half_of_another(IrBlock *b)
{
    load_rmw(b, true);
    IrRef value = ir_get(b, X1);
    ir_store(b, IR_I64, (IrMem){ .size_log2 = 3, .write_intent = 1 }, ir_get(b, X2), value);
}

static const struct {
    const char *name;
    void      (*build)(IrBlock *b);
    const char *text;
} pass_rows[] = {
    {"constants", p_constants, "    %6 = const.i64 0x2a\n    put x0, %6\n"},
    {"narrow constants", p_narrow,
     "    %7 = const.i64 0xffffffffffffffff\n    put x0, %7\n    %9 = const.i64 0xffffffff\n    put x1, "
     "%9\n"},
    {"identities", p_identity, "    %4 = get x1\n    put x0, %4\n"},
    {"widths", p_widths, "    %4 = get x1\n    %5 = trunc.i32 %4\n    %8 = zext.i64 %5\n    put x0, %8\n"},
    {"forwarded", p_forward,
     "    %4 = get x0\n    %5 = const.i64 0x1\n    %6 = add.i64 %4, %5\ninsn 0x1004\n    %10 = const.i64 "
     "0x2\n"
     "    %11 = add.i64 %6, %10\n    put x0, %11\n"},
    {"a fault sees puts", p_fault_keeps,
     "    %4 = const.i64 0x1\n    put x0, %4\ninsn 0x1004\n    call may_fault\n    %8 = const.i64 0x2\n"
     "    put x0, %8\n"},
    {"a helper changes registers", p_helper_writes,
     "    %4 = const.i64 0x1\n    put x0, %4\n    call writes\n    %7 = get x0\n    put x1, %7\n"},
    {"dead flags", p_dead_flags,
     "insn 0x1004\n    %9 = get x1\n    %10 = flags.logic %9\n    put flags, %10\n"},
    {"condition becomes comparison", p_condition,
     "    %4 = get x0\n    %5 = get x1\n    %6 = flags.sub %4, %5\n    put flags, %6\n    %9 = cmpugt.i64 "
     "%4, %5\n"
     "    %10 = zext.i64 %9\n    put x2, %10\n"},
    {"condition on the result", p_result_zero,
     "    %4 = get x0\n    %5 = get x1\n    %6 = sub.i64 %4, %5\n    %7 = flags.sub %4, %5\n    put flags, "
     "%7\n"
     "    put x0, %6\ninsn 0x1004\n    %12 = cmpne.i64 %6, %1\n    %13 = zext.i64 %12\n    put x2, %13\n"},
    {"pure call nobody needs", p_pure_call, "    %6 = const.i64 0x3\n    put x0, %6\n"},
    {"select of a constant", p_select, "    %5 = get x1\n    put x0, %5\n"},
    {"a load again, to write", p_known_load,
     "    %4 = get x1\n    %5 = load.i64.64 %4\n    %7 = load.i64.64.rmw %4\n    %8 = const.i64 0x0\n"
     "    put x0, %8\n"},
    {"a load behind a store", p_load_behind_store,
     "    %4 = get x1\n    %5 = load.i64.64 %4\n    %6 = get x2\n    store.64 %6, %5\n"
     "    %9 = load.i64.64.rmw %4\n    %10 = xor.i64 %5, %9\n    put x0, %10\n"},
    {"first half of a write that nobody wants", p_half_not_wanted,
     "    %4 = get x1\n    %6 = get x2\n    store.64.rmw %4, %6\n"},
    {"first half of another write", p_half_of_another,
     "    %4 = get x1\n    %5 = load.i64.64.rmw %4\n    %7 = get x2\n    store.64.rmw %7, %4\n"},
};

static void test_passes(void **state)
{
    static const char head[] = "    %1 = const.i64 0x0\n    %2 = const.i32 0x0\ninsn 0x1000\n";
    static const char tail[] = "    exit_jump 0x1008\n";
    IrBlock          *b = ir_block_new(regs, ARRAY_LEN(regs));

    for (size_t i = 0; i < ARRAY_LEN(pass_rows); i++) {
        print_message("%s\n", pass_rows[i].name);
        ir_block_reset(b, regs, ARRAY_LEN(regs));
        ir_insn(b, 0x1000);
        pass_rows[i].build(b);
        ir_exit_jump(b, 0x1008);
        ir_optimize(b);
        char *text = print(b), *expect = g_strconcat(head, pass_rows[i].text, tail, NULL);
        assert_string_equal(text, expect);
        g_free(expect);
        free(text);
    }
    ir_block_free(b);
}

/* ---- the executor against ops.h ---- */

static void (*lab_build)(IrBlock *b);

static uint64_t lab_pc(const Cpu *cpu) { return CONTAINER_OF(cpu, const Lab, cpu)->pc; }
static uint64_t lab_key(const Cpu *cpu) { return 0; }
static void     lab_set_pc(Cpu *cpu, uint64_t pc) { CONTAINER_OF(cpu, Lab, cpu)->pc = pc; }
static bool     lab_attend(Cpu *cpu) { return true; }

static void lab_translate(Cpu *cpu, IrBlock *b, uint64_t pc, uint64_t key, const uint8_t *code, size_t len,
                          unsigned max_insns, unsigned flags)
{
    ir_insn(b, pc);
    lab_build(b);
    if (!b->exited) {
        ir_exit_jump(b, pc + 4);
    }
}

static bool lab_fill(Cpu *cpu, uint64_t va, unsigned size, CpuAccess access, unsigned space, CpuFill *out)
{
    *out = (CpuFill){ .pa = va, .pas = PAS_NONSECURE, .page_size = 4096, .readable = true, .writable = true };
    return true;
}

static const CpuGuest lab_guest = { .name = "lab", .regs = regs, .n_regs = ARRAY_LEN(regs), .insn_bytes = 4,
                                    .pc = lab_pc, .key = lab_key, .set_pc = lab_set_pc, .translate = lab_translate,
                                    .fill = lab_fill, .attend = lab_attend };

typedef struct Bench {
    Owners    *owners;
    Memory    *memory;
    Clock     *clock;
    CpuEngine *engine;
    Lab       *lab;
} Bench;

static Bench bench;

static int setup(void **state)
{
    bench.owners = owners_new();
    bench.memory = memory_new(bench.owners);
    bench.clock = clock_new();
    memory_add_ram(bench.memory, "ram", 0, 1 << 20, NULL);
    bench.engine = test_engine_new(bench.memory, bench.owners);
    bench.lab = g_aligned_alloc0(1, sizeof(Lab), 16);
    cpu_init(&bench.lab->cpu, bench.engine, &lab_guest, bench.memory, bench.clock, 0);
    return 0;
}

static int teardown(void **state)
{
    cpu_deinit(&bench.lab->cpu);
    g_aligned_free(bench.lab);
    cpu_engine_free(bench.engine);
    memory_free(bench.memory);
    owners_free(bench.owners);
    clock_free(bench.clock);
    return 0;
}

/* Runs what @build makes, once; the pc afterwards says how it left. */
static uint64_t execute(void (*build)(IrBlock *b))
{
    uint64_t used;

    lab_build = build;
    cpu_flush_code(bench.engine);
    bench.lab->pc = 0x1000;
    assert_int_equal(cpu_run(&bench.lab->cpu, 0, 1, &used), CPU_STOP_TIME);
    assert_int_equal(used, 1);
    return bench.lab->pc;
}

/* The operation under test and how its operands are given. */
static struct {
    IrOp     op;
    IrType   ty;
    bool     immediate, branch;
    uint32_t imm;
    uint64_t a, b;
} probe;

static bool has_own_immediate(IrOp op)
{
    return op == IR_extr || op == IR_bfi || op == IR_bfx || op == IR_sbfx;
}

static void build_probe(IrBlock *b)
{
    IrRef x = ir_trunc(b, probe.ty, ir_get(b, X0));
    IrRef y = ir_op_args(probe.op) < 2 ? 0
              : probe.immediate        ? ir_const(b, probe.ty, probe.b)
                                       : ir_trunc(b, probe.ty, ir_get(b, X1));
    IrRef r = ir_opi(b, probe.op, probe.ty, x, y, probe.imm);

    if (probe.branch) {
        ir_exit_branch(b, r, 0x2000, 0x3000);
    } else {
        ir_put(b, X2, ir_zext(b, IR_I64, r));
    }
}

static void check_probe(void)
{
    uint64_t m = mask64(ir_type_bits(probe.ty)), pc;
    bool     cmp = ir_op_class(probe.op) == IR_CLASS_CMP;
    uint64_t expect =
        ir_eval(probe.op, probe.ty, cmp ? IR_I32 : probe.ty, probe.a & m, probe.b & m, 0, probe.imm);

    bench.lab->x[0] = probe.a;
    bench.lab->x[1] = probe.b;
    bench.lab->x[2] = ~0ull;
    pc = execute(build_probe);
    if (probe.branch) {
        assert_int_equal(pc, expect ? 0x2000 : 0x3000);
    } else if (bench.lab->x[2] != expect) {
        fail_msg("%s.%s%s of 0x%" G_GINT64_MODIFIER "x, 0x%" G_GINT64_MODIFIER "x: 0x%" G_GINT64_MODIFIER
                 "x, not 0x%" G_GINT64_MODIFIER "x", ir_op_name(probe.op), ir_type_name(probe.ty),
                 probe.immediate ? " immediate" : "", probe.a, probe.b, bench.lab->x[2], expect);
    }
}

static void test_operations(void **state)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      63,
                                      31,
                                      0x7f,
                                      0x80,
                                      0x7fff8000,
                                      0xffffffff,
                                      0x8000000000000000,
                                      0x7fffffffffffffff,
                                      ~0ull,
                                      0x123456789abcdef0};

    for (unsigned op = IR_NOP + 1; op < IR_N_OPS; op++) {
        if (ir_op_class(op) > IR_CLASS_CMP) {
            continue;
        }
        for (IrType ty = IR_I8; ty <= IR_I64; ty++) {
            for (unsigned i = 0; i < ARRAY_LEN(values) * ARRAY_LEN(values); i++) {
                unsigned lsb = (unsigned)(i % 7), len = 1 + (i * 5) % (ir_type_bits(ty) - lsb);

                probe.op = op;
                probe.ty = ty;
                probe.a = values[i % ARRAY_LEN(values)];
                probe.b = values[i / ARRAY_LEN(values)];
                probe.imm = !has_own_immediate(op) ? 0
                            : op == IR_extr        ? i % ir_type_bits(ty)
                                                   : lsb | len << 8;
                probe.immediate = i % 2;
                probe.branch = ir_op_class(op) == IR_CLASS_CMP && i % 3 == 0;
                check_probe();
            }
        }
    }
}

/* ---- independent answers for a few operations, so that ops.h itself is checked ---- */

static const struct {
    const char *name;
    IrOp        op;
    IrType      ty;
    uint64_t    a, b;
    uint32_t    imm;
    uint64_t    result;
} eval_rows[] = {
    { "mulhu", IR_mulhu, IR_I64, ~0ull, ~0ull, 0, ~0ull - 1 },
    { "mulhs", IR_mulhs, IR_I64, ~0ull, 5, 0, ~0ull },
    { "udiv by zero", IR_udiv, IR_I64, 5, 0, 0, 0 },
    { "sdiv minimum by -1", IR_sdiv, IR_I64, 1ull << 63, ~0ull, 0, 1ull << 63 },
    { "sdiv.i32 minimum by -1", IR_sdiv, IR_I32, 0x80000000, 0xffffffff, 0, 0x80000000 },
    { "sdiv rounds to zero", IR_sdiv, IR_I64, (uint64_t)-7, 2, 0, (uint64_t)-3 },
    { "shl by width", IR_shl, IR_I32, 1, 32, 0, 0 },
    { "sar by more than width", IR_sar, IR_I32, 0x80000000, 99, 0, 0xffffffff },
    { "ror modulo", IR_ror, IR_I32, 1, 33, 0, 0x80000000 },
    { "clz of zero", IR_clz, IR_I32, 0, 0, 0, 32 },
    { "cls of zero", IR_cls, IR_I64, 0, 0, 0, 63 },
    { "cls.i32 of -2", IR_cls, IR_I32, 0xfffffffe, 0, 0, 30 },
    { "rbit", IR_rbit, IR_I32, 1, 0, 0, 0x80000000 },
    { "bswap", IR_bswap, IR_I32, 0x11223344, 0, 0, 0x44332211 },
    { "rev16", IR_rev16, IR_I64, 0x1122334455667788, 0, 0, 0x2211443366558877 },
    { "rev32", IR_rev32, IR_I64, 0x1122334455667788, 0, 0, 0x4433221188776655 },
    { "extr", IR_extr, IR_I32, 0x11223344, 0x55667788, 8, 0x44556677 },
    { "bfx", IR_bfx, IR_I64, 0xabcd, 0, 4 | 8 << 8, 0xbc },
    { "sbfx", IR_sbfx, IR_I32, 0xf0, 0, 4 | 4 << 8, 0xffffffff },
    { "bfi", IR_bfi, IR_I64, 0xffff, 0x3, 4 | 4 << 8, 0xff3f },
    { "smin", IR_smin, IR_I32, 0xffffffff, 1, 0, 0xffffffff },
    { "umin", IR_umin, IR_I32, 0xffffffff, 1, 0, 1 },
};

static void test_meanings(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(eval_rows); i++) {
        print_message("%s\n", eval_rows[i].name);
        assert_int_equal(ir_eval(eval_rows[i].op, eval_rows[i].ty, eval_rows[i].ty, eval_rows[i].a,
                                 eval_rows[i].b, 0, eval_rows[i].imm),
                         eval_rows[i].result);
    }
}

/* ---- flags ---- */

static IrFlagsKind flags_kind;
static IrType      flags_type;
static unsigned    flags_form; /* bit 0: immediate, bit 1: carry in, bit 2: with the result */
static unsigned    flags_cond;

static void build_flags(IrBlock *b)
{
    IrRef x = ir_trunc(b, flags_type, ir_get(b, X0)), f, r = 0;
    IrRef y = flags_form & 1 ? ir_const(b, flags_type, probe.b) : ir_trunc(b, flags_type, ir_get(b, X1));
    IrRef carry = flags_form & 2 ? ir_trunc(b, IR_I32, ir_get(b, X3)) : 0;

    if (flags_form & 4) {
        bool with_carry = carry != 0 && flags_kind != IR_FLAGS_LOGIC;

        r = ir_op3(b,
                   flags_kind == IR_FLAGS_ADD   ? (with_carry ? IR_adc : IR_add)
                   : flags_kind == IR_FLAGS_SUB ? (with_carry ? IR_sbc : IR_sub)
                                                : IR_and,
                   flags_type, x, y, with_carry ? carry : 0);
    }
    f = ir_flags(b, flags_kind, flags_type, flags_kind == IR_FLAGS_LOGIC && r != 0 ? r : x, y, carry);
    ir_put(b, FLAGS, f);
    if (r != 0) {
        ir_put(b, X2, ir_zext(b, IR_I64, r));
    }
    ir_exit_branch(b, ir_flags_cond(b, flags_cond, f), 0x2000, 0x3000);
}

/* The four flags by the book, in 128 bits. */
static uint32_t reference_flags(unsigned width, uint64_t a, uint64_t b, bool carry)
{
    uint64_t          m = mask64(width);
    unsigned __int128 u = (unsigned __int128)(a & m) + (b & m) + carry;
    __int128          s = (__int128)sign_extend64(a & m, width) + sign_extend64(b & m, width) + carry;
    uint64_t          r = (uint64_t)u & m;

    return (r >> (width - 1) & 1) * IR_PACK_N | (r == 0) * IR_PACK_Z | (u >> width != 0) * IR_PACK_C |
           (s != sign_extend64(r, width)) * IR_PACK_V;
}

static void check_flags(uint64_t a, uint64_t b, bool carry)
{
    unsigned width = ir_type_bits(flags_type);
    uint64_t m = mask64(width), pc;
    bool     in = flags_form & 2 ? carry : flags_kind == IR_FLAGS_SUB;
    uint32_t expect;

    if (flags_kind == IR_FLAGS_LOGIC) {
        uint64_t v = (flags_form & 4 ? a & b : a) & m;

        expect = (v >> (width - 1) & 1) * IR_PACK_N | (v == 0) * IR_PACK_Z;
    } else {
        expect = reference_flags(width, a, flags_kind == IR_FLAGS_SUB ? ~b : b, in);
    }
    probe.b = b;
    bench.lab->x[0] = a;
    bench.lab->x[1] = b;
    bench.lab->x[3] = carry;
    bench.lab->flags = 0xff;
    pc = execute(build_flags);
    assert_int_equal(bench.lab->flags, expect);
    assert_int_equal(pc, ir_eval_cond(flags_cond, expect) ? 0x2000 : 0x3000);
    if (flags_form & 4) {
        uint64_t r = flags_kind == IR_FLAGS_LOGIC ? a & b : a + (flags_kind == IR_FLAGS_SUB ? ~b : b) + in;

        assert_int_equal(bench.lab->x[2], r & m);
    }
}

static void test_flags(void **state)
{
    static const uint64_t values[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
                                       0x8000000000000000, ~0ull };
    unsigned              n = 0;

    for (flags_kind = IR_FLAGS_ADD; flags_kind <= IR_FLAGS_LOGIC; flags_kind++) {
        for (flags_type = IR_I32; flags_type <= IR_I64; flags_type++) {
            for (flags_form = 0; flags_form < 8; flags_form++) {
                for (unsigned i = 0; i < 64; i++) {
                    flags_cond = n++ % 14;
                    check_flags(values[i % 8], values[i / 8], i % 3 == 0);
                }
            }
        }
    }
}

/* ---- wide values ---- */

static void build_wide(IrBlock *b)
{
    IrRef x = ir_get(b, V0), y = ir_get(b, V1);

    ir_put(b, V2, ir_opi(b, IR_vadd, IR_V128, x, y, probe.imm));
    ir_put(b, X0, ir_op1(b, IR_hi64, IR_I64, x));
    ir_put(b, X1, ir_opi(b, IR_vget, IR_I64, y, 0, 5 << 4 | 1));
    ir_put(b, V0, ir_op1(b, IR_vlow, IR_V128, ir_op1(b, IR_vlow, IR_V64, y)));
}

static void test_wide(void **state)
{
    memcpy(bench.lab->v[0], (uint64_t[]){ 0x00ff00ff00ff00ff, 0x1000000020000000 }, 16);
    memcpy(bench.lab->v[1], (uint64_t[]){ 0x0001000100010001, 0xbeef1234f0000001 }, 16);
    probe.imm = 0;
    execute(build_wide);
    assert_int_equal(bench.lab->v[2][0], 0);
    assert_int_equal(bench.lab->x[0], 0x1000000020000000);
    assert_int_equal(bench.lab->x[1], 0xf000);
    assert_int_equal(bench.lab->v[0][0], 0x0001000100010001);
    assert_int_equal(bench.lab->v[0][1], 0);
}

static const struct {
    const char *name;
    void (*fn)(void *d, const void *a, const void *b, const void *c, uint32_t imm, unsigned bytes,
               unsigned src);
    uint32_t    imm;
    unsigned    bytes;
    uint64_t    a[2], b[2], r[2];
} wide_rows[] = {
    {"vsub 16",
     ir_wide_vsub,
     1,
     16,
     {0x0000000100020003, 0},
     {0x0001000100010001, 1},
     {0xffff000000010002, 0xffff}},
    {"vmul 32",
     ir_wide_vmul,
     2,
     16,
     {0x0000000300000005, 0},
     {0x0000000700000002, 0},
     {0x000000150000000a, 0}},
    {"vabs 8", ir_wide_vabs, 0, 8, {0x80ff017f, 0}, {0}, {0x8001017f, 0}},
    {"vcmpgts 32", ir_wide_vcmpgts, 2, 16, {0xffffffff00000001, 0}, {0, 0}, {0x00000000ffffffff, 0}},
    {"vcmpgeu 64", ir_wide_vcmpgeu, 3, 16, {5, 6}, {5, 7}, {~0ull, 0}},
    {"vshli 8", ir_wide_vshli, 0 | 4 << 4, 8, {0x0102030405060708, ~0ull}, {0}, {0x1020304050607080, 0}},
    {"vsari 16", ir_wide_vsari, 1 | 15 << 4, 16, {0x80007fff, 0}, {0}, {0xffff0000, 0}},
    {"vext 3", ir_wide_vext, 3, 8, {0x0706050403020100, 0}, {0x0f0e0d0c0b0a0908, 0}, {0x0a09080706050403, 0}},
    {"vzip1 8",
     ir_wide_vzip1,
     0,
     8,
     {0x0706050403020100, 0},
     {0x1716151413121110, 0},
     {0x1303120211011000, 0}},
    {"vzip2 32",
     ir_wide_vzip2,
     2,
     16,
     {0, 0x0000000200000001},
     {0, 0x0000001200000011},
     {0x0000001100000001, 0x0000001200000002}},
    {"vuzp1 8",
     ir_wide_vuzp1,
     0,
     8,
     {0x0706050403020100, 0},
     {0x1716151413121110, 0},
     {0x1614121006040200, 0}},
    {"vuzp2 64", ir_wide_vuzp2, 3, 16, {1, 2}, {3, 4}, {2, 4}},
    {"vtrn1 16",
     ir_wide_vtrn1,
     1,
     8,
     {0x0003000200010000, 0},
     {0x0013001200110010, 0},
     {0x0012000200100000, 0}},
    {"vtrn2 16",
     ir_wide_vtrn2,
     1,
     8,
     {0x0003000200010000, 0},
     {0x0013001200110010, 0},
     {0x0013000300110001, 0}},
    {"vandn", ir_wide_vandn, 0, 16, {0xff, 0xf0}, {0x0f, 0xff}, {0xf0, 0}},
};

static void test_wide_functions(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(wide_rows); i++) {
        uint64_t d[2];

        print_message("%s\n", wide_rows[i].name);
        memcpy(d, wide_rows[i].a, 16); /* the result may lie where an operand does */
        wide_rows[i].fn(d, d, wide_rows[i].b, NULL, wide_rows[i].imm, wide_rows[i].bytes, wide_rows[i].bytes);
        assert_int_equal(d[0], wide_rows[i].r[0]);
        assert_int_equal(d[1], wide_rows[i].r[1]);
    }
}

/* ---- registers of all widths, and values that outlive their register ---- */

static void build_registers(IrBlock *b)
{
    IrRef x0 = ir_get(b, X0), x1 = ir_get(b, X1), w = ir_get(b, W), y = ir_get(b, BYTE);

    ir_put(b, X0, x1);                                            /* swap */
    ir_put(b, X1, x0);
    ir_put(b, W, ir_op2(b, IR_add, IR_I32, w, ir_trunc(b, IR_I32, x0)));
    ir_put(b, BYTE, ir_op2(b, IR_add, IR_I8, y, ir_trunc(b, IR_I8, w)));
    ir_put(b, X2, ir_sext(b, IR_I64, y));
    ir_put(b, X3, add(b, ir_zext(b, IR_I64, w), x0));
}

static void test_registers(void **state)
{
    Lab *l = bench.lab;

    l->x[0] = 0x100000001;
    l->x[1] = 0x22;
    l->w = 0xffffffff;
    l->byte = 0x80;
    l->flags = 0x5a;
    execute(build_registers);
    assert_int_equal(l->x[0], 0x22);
    assert_int_equal(l->x[1], 0x100000001);
    assert_int_equal(l->w, 0);
    assert_int_equal(l->byte, 0x7f);
    assert_int_equal(l->x[2], 0xffffffffffffff80);
    assert_int_equal(l->x[3], 0x200000000);
    assert_int_equal(l->flags, 0x5a); /* its neighbours are not touched */
}

/* A copy that outlives its source, sums put before and after uses, two values in each other's registers. */
static void build_moves(IrBlock *b)
{
    IrRef x0 = ir_get(b, X0), x1, sum;

    ir_put(b, X2, x0);
    ir_insn(b, 0x1004);
    ir_put(b, X0, add_k(b, X0, 1));
    ir_insn(b, 0x1008);
    ir_call(b, &may_fault, 0, 0, 0, 0);
    ir_put(b, X3, add_k(b, X2, 16));
    ir_insn(b, 0x100c);
    x1 = ir_get(b, X1);
    sum = add(b, x1, k64(b, 32));
    ir_call(b, &may_fault, 0, 0, 0, 0);
    ir_put(b, X1, sum);
    ir_put(b, X0, add(b, sum, ir_get(b, X0)));
    ir_put(b, V0, ir_op2(b, IR_pair, IR_I128, x0, sum) != 0 ? ir_get(b, V1) : 0);
}

static void test_moves(void **state)
{
    Lab *l = bench.lab;
    uint64_t used;

    l->x[0] = 100;
    l->x[1] = 200;
    l->v[1][0] = 7;
    lab_build = build_moves;
    cpu_flush_code(bench.engine);
    l->pc = 0x1000;
    cpu_run(&l->cpu, 0, 4, &used);
    assert_int_equal(used, 4);
    assert_int_equal(l->x[0], 101 + 232);
    assert_int_equal(l->x[1], 232);
    assert_int_equal(l->x[2], 100);
    assert_int_equal(l->x[3], 116);
    assert_int_equal(l->v[0][0], 7);
}

static unsigned n_guards;

static uint64_t do_guard(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    n_guards++;
    assert_int_equal(a, bench.lab->x[0]);
    bench.lab->cpu.fault = true;
    return 0;
}

static const IrHelper guard = { "guard", IR_VOID, 1, IR_FAULTS, .fn.scalar = do_guard };

static void build_guard(IrBlock *b)
{
    ir_guard(b, ir_get(b, X0), 15, &guard);
    ir_put(b, X1, k64(b, 1));
}

static void test_guard(void **state)
{
    n_guards = 0;
    for (unsigned i = 0; i < 32; i++) {
        bench.lab->x[0] = i;
        bench.lab->x[1] = 0;
        execute(build_guard);
        assert_int_equal(bench.lab->x[1], i % 16 == 0);
    }
    assert_int_equal(n_guards, 30);
}

/* Four hundred values alive at once. */
static void build_many(IrBlock *b)
{
    IrRef v[400], sum = ir_get(b, X0);

    for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
        v[i] = ir_op2(b, IR_mul, IR_I64, ir_get(b, X1), k64(b, i));
    }
    for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
        sum = ir_op2(b, IR_xor, IR_I64, add(b, sum, v[i]), v[ARRAY_LEN(v) - 1 - i]);
    }
    ir_put(b, X0, sum);
}

static void test_many_values(void **state)
{
    uint64_t sum = 5;

    bench.lab->x[0] = 5;
    bench.lab->x[1] = 0x123456789;
    execute(build_many);
    for (uint64_t i = 0; i < 400; i++) {
        sum = (sum + 0x123456789 * i) ^ 0x123456789 * (399 - i);
    }
    assert_int_equal(bench.lab->x[0], sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_meanings),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_wide_functions),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_many_values),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
