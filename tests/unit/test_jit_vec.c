/*
 * Vector code of the JIT against what it stands for: random blocks of WIDE operations against ir/wide.c, random loops
 * of SIMD instructions against the portable executor, and of scalar ones, with branches and accesses that end them.
 * Operands come from registers, memory and constants, results go where operands were, and there are more values than
 * registers. Twice: with all that this host can do, and with what every host can. Fixed seeds.
 */
#include <glib.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/cpu.h"
#include "cpu/ir/block.h"
#include "cpu/ir/wide.h"
#include "cpu/jit/asm.h"
#include "tests/diff/insn_run.h"

/* ---- a guest whose instructions are blocks of random operations ---- */

enum { N_V = 16, N_X = 4, N_BLOCKS = 12000, MAX_VALUES = 64, RAM = 1 << 20 };

typedef struct Lab {
    Cpu      cpu;
    uint64_t v[N_V][2] __attribute__((aligned(16)));
    uint64_t x[N_X], pc;
} Lab;

/* A value of the block that is built, and what it must be. */
typedef struct Value {
    IrRef    ref;
    IrType   type;
    uint64_t is[2];
} Value;

static Value    values[MAX_VALUES];
static unsigned n_values;
static uint64_t expect_v[N_V][2], expect_x[N_X];
static Lab     *lab;
static IrReg    lab_regs[N_V + N_X];

typedef void WideFn(void *d, const void *a, const void *b, const void *c, uint32_t imm, unsigned bytes,
                    unsigned src_bytes);

static WideFn *const wide_fns[IR_N_OPS] = {
#define FN_PURE(name)
#define FN_CMP(name)
#define FN_TYPED(name)
#define FN_WIDE(name) [IR_##name] = ir_wide_##name,
#define IR_OP(name, args, flags, meaning) FN_##flags(name)
#include "cpu/ir/ops.h"
#undef IR_OP
};

static unsigned rnd(unsigned n) { return (unsigned)(insn_rnd() >> 8) % n; }

/* ---- building ---- */

static Value *add_value(IrRef ref, IrType type)
{
    Value *v = &values[n_values++];

    *v = (Value){ .ref = ref, .type = type };
    return v;
}

static Value *get_register(IrBlock *b, bool vector)
{
    unsigned reg = rnd(vector ? N_V : N_X);
    Value   *v = add_value(ir_get(b, vector ? reg : N_V + reg), vector ? IR_V128 : IR_I64);

    memcpy(v->is, vector ? lab->v[reg] : &lab->x[reg], vector ? 16 : 8);
    return v;
}

static Value *apply(IrBlock *b, IrOp op, IrType type, const Value *x, const Value *y, const Value *z, uint32_t imm)
{
    Value copy[3] = { *x, y != NULL ? *y : *x, z != NULL ? *z : *x };
    IrRef ref = z != NULL ? ir_op3(b, op, type, copy[0].ref, copy[1].ref, copy[2].ref)
                          : ir_opi(b, op, type, copy[0].ref, y != NULL ? copy[1].ref : 0, imm);
    Value *v = add_value(ref, type);

    wide_fns[op](v->is, copy[0].is, y != NULL ? copy[1].is : NULL, z != NULL ? copy[2].is : NULL, imm,
                 ir_type_bits(type) / 8, ir_type_bits(copy[0].type) / 8);
    if (type == IR_I64) {
        v->is[1] = 0;
    }
    return v;
}

static bool is_room(void) { return n_values < MAX_VALUES - 8; }

/* An operand of a type: mostly one of the latest values, else one that is made from a register. */
static Value *operand(IrBlock *b, IrType type)
{
    for (unsigned tries = 0; tries < 4 && n_values > 0; tries++) {
        Value *v = &values[rnd(2) ? n_values - 1 - rnd(MIN(n_values, 4)) : rnd(n_values)];
        if (v->type == type) {
            return v;
        }
    }
    Value *r = get_register(b, type == IR_V64 || type == IR_V128 || type == IR_I128);
    if (type == IR_V64 || type == IR_I128) {
        return apply(b, IR_vlow, type, r, NULL, NULL, 0);
    }
    if (type == IR_I32 || type == IR_I8) {
        Value *v = add_value(ir_trunc(b, type, r->ref), type);
        v->is[0] = r->is[0] & mask64(ir_type_bits(type));
        return v;
    }
    return r;
}

static unsigned bytes_of(IrType type) { return type == IR_V64 ? 8 : 16; }
static IrType   vector_type(void) { return rnd(3) == 0 ? IR_V64 : IR_V128; }

/* Two operands, now and then the same. */
static void two(IrBlock *b, IrType type, Value **x, Value **y)
{
    Value first = *(*x = operand(b, type));

    *y = rnd(6) == 0 ? *x : operand(b, type);
    if (rnd(24) == 0 && type == IR_V128) {
        *y = add_value(ir_const(b, type, 0), type);
    }
    for (unsigned i = 0; i < n_values; i++) {
        *x = values[i].ref == first.ref ? &values[i] : *x;
    }
}

static void add_move(IrBlock *b, IrOp op)
{
    static const IrType from[] = { IR_I64, IR_I32, IR_I8, IR_I128 };
    IrType   type = vector_type(), of = vector_type();
    unsigned size = rnd(4), lane = rnd(bytes_of(type) >> size), of_lane = rnd(bytes_of(of) >> size);
    Value   *x, *y;

    switch (op) {
    case IR_pair:
        two(b, IR_I64, &x, &y);
        apply(b, op, IR_I128, x, y, NULL, 0);
        break;
    case IR_lo64:
    case IR_hi64:
        apply(b, op, IR_I64, operand(b, rnd(2) ? IR_I128 : IR_V128), NULL, NULL, 0);
        break;
    case IR_vzext:
        apply(b, op, type, operand(b, from[rnd(ARRAY_LEN(from))]), NULL, NULL, 0);
        break;
    case IR_vlow:
        apply(b, op, type, operand(b, of), NULL, NULL, 0);
        break;
    case IR_vdup:
        apply(b, op, type, operand(b, rnd(2) ? IR_I64 : IR_I32), NULL, NULL, rnd(2) ? size : size & 2);
        break;
    case IR_vget:
        apply(b, op, IR_I64, operand(b, of), NULL, NULL, of_lane << 4 | size);
        break;
    case IR_vset:
        x = operand(b, IR_I64);
        y = operand(b, type);
        apply(b, op, type, y, x, NULL, lane << 4 | size);
        break;
    case IR_vdupl:
        apply(b, op, type, operand(b, of), NULL, NULL, of_lane << 4 | size);
        break;
    default:
        two(b, type, &x, &y);
        apply(b, op, type, x, y, NULL, rnd(bytes_of(type) >> size) << 8 | lane << 4 | size);
        break;
    }
}

static void add_operation(IrBlock *b)
{
    IrOp     op;
    IrType   type = vector_type();
    unsigned size = rnd(4);
    Value   *x, *y, *z;

    do {
        op = (IrOp)rnd(IR_N_OPS);
    } while (wide_fns[op] == NULL);
    if (op < IR_vand) {
        add_move(b, op);
        return;
    }
    two(b, type, &x, &y);
    switch (op) {
    case IR_vbsl:
        z = operand(b, type);
        apply(b, op, type, x, y, z, 0);
        break;
    case IR_vshli:
    case IR_vshri:
    case IR_vsari:
        apply(b, op, type, x, NULL, NULL, size | rnd((8u << size) + 2) << 4);
        break;
    case IR_vext:
        apply(b, op, type, x, y, NULL, rnd(bytes_of(type)));
        break;
    default:
        apply(b, op, type, x, ir_op_args(op) == 2 ? y : NULL, NULL, size);
        break;
    }
}

/* The latest values to registers, so that they all live until then. */
static void put_results(IrBlock *b)
{
    unsigned v = 0, x = 0, last = n_values, keep = 1 + rnd(last);

    for (unsigned i = 0; i < keep && n_values < MAX_VALUES - 1; i++) {
        Value r = values[last - 1 - i];

        if (r.type == IR_I64 && x < N_X) {
            ir_put(b, N_V + x, r.ref);
            expect_x[x++] = r.is[0];
        } else if (ir_type_is_wide(r.type) && v < N_V) {
            r = r.type == IR_V128 ? r : *apply(b, IR_vlow, IR_V128, &r, NULL, NULL, 0);
            ir_put(b, v, r.ref);
            memcpy(expect_v[v++], r.is, 16);
        }
    }
}

static void translate(Cpu *cpu, IrBlock *b, uint64_t pc, uint64_t key, const uint8_t *code, size_t len,
                      unsigned max_insns, unsigned flags)
{
    unsigned n = 1 + rnd(rnd(2) ? 5 : 25);

    ir_insn(b, pc);
    n_values = 0;
    memcpy(expect_v, lab->v, sizeof(expect_v));
    memcpy(expect_x, lab->x, sizeof(expect_x));
    for (unsigned i = 0; i < n && is_room(); i++) {
        add_operation(b);
    }
    put_results(b);
    ir_exit_jump(b, pc + 4);
}

/* ---- running ---- */

static uint64_t lab_pc(const Cpu *cpu) { return CONTAINER_OF(cpu, const Lab, cpu)->pc; }
static uint64_t lab_key(const Cpu *cpu) { return 0; }
static void     lab_set_pc(Cpu *cpu, uint64_t pc) { CONTAINER_OF(cpu, Lab, cpu)->pc = pc; }
static bool     lab_attend(Cpu *cpu) { return true; }

static bool lab_fill(Cpu *cpu, uint64_t va, unsigned size, CpuAccess access, unsigned space, CpuFill *out)
{
    *out = (CpuFill){ .pa = va, .pas = PAS_NONSECURE, .page_size = 4096, .readable = true, .writable = true };
    return true;
}

static const CpuGuest lab_guest = { .name = "lab", .regs = lab_regs, .n_regs = ARRAY_LEN(lab_regs), .insn_bytes = 4,
                                    .pc = lab_pc, .key = lab_key, .set_pc = lab_set_pc, .translate = translate,
                                    .fill = lab_fill, .attend = lab_attend };

static void make_registers(void)
{
    static char names[N_V + N_X][8];

    for (unsigned i = 0; i < N_V + N_X; i++) {
        bool vector = i < N_V;

        g_snprintf(names[i], sizeof(names[i]), "%c%u", vector ? 'v' : 'x', vector ? i : i - N_V);
        lab_regs[i] = (IrReg){ names[i], vector ? IR_V128 : IR_I64,
                               vector ? (uint32_t)(offsetof(Lab, v) + 16 * i)
                                      : (uint32_t)(offsetof(Lab, x) + 8 * (i - N_V)) };
    }
}

static void seed_block(unsigned i) { insn_seed = i * 0x1000000ull; }

/* The block once more, from registers as they were before, and what differs. */
static void explain(unsigned i, const Lab *before)
{
    IrBlock *b = ir_block_new(lab_regs, ARRAY_LEN(lab_regs));
    Lab     *after = g_memdup2(lab, sizeof(*lab));

    memcpy(lab->v, before->v, sizeof(lab->v));
    memcpy(lab->x, before->x, sizeof(lab->x));
    seed_block(i);
    translate(&lab->cpu, b, 0x1000 + 4 * i, 0, NULL, 0, 1, 0);
    ir_print(b, stderr);
    for (unsigned k = 0; k < N_V; k++) {
        if (memcmp(after->v[k], expect_v[k], 16) != 0) {
            print_error("v%u is %016" PRIx64 "%016" PRIx64, k, after->v[k][1], after->v[k][0]);
            print_error(", should be %016" PRIx64 "%016" PRIx64 "\n", expect_v[k][1], expect_v[k][0]);
        }
    }
    for (unsigned k = 0; k < N_X; k++) {
        if (after->x[k] != expect_x[k]) {
            print_error("x%u is %016" PRIx64 ", should be %016" PRIx64 "\n", k, after->x[k], expect_x[k]);
        }
    }
    ir_block_free(b);
    g_free(after);
}

static void run_block(unsigned i)
{
    static Lab before;
    uint64_t   used;

    for (unsigned k = 0; k < N_V; k++) {
        lab->v[k][0] = insn_rnd_value();
        lab->v[k][1] = insn_rnd_value();
    }
    for (unsigned k = 0; k < N_X; k++) {
        lab->x[k] = insn_rnd_value();
    }
    lab->pc = 0x1000 + 4 * i;
    before = *lab;
    seed_block(i);
    assert_int_equal(cpu_run(&lab->cpu, 0, 1, &used), CPU_STOP_TIME);
    if (memcmp(lab->v, expect_v, sizeof(expect_v)) != 0 || memcmp(lab->x, expect_x, sizeof(expect_x)) != 0) {
        explain(i, &before);
        fail();
    }
}

static void run_blocks(void)
{
    Owners    *owners = owners_new();
    Memory    *memory = memory_new(owners);
    Clock     *clock = clock_new();
    CpuConfig  config = { .accel = CPU_ACCEL_JIT };
    CpuEngine *engine = cpu_engine_new(memory, owners, &config, NULL);

    make_registers();
    memory_add_ram(memory, "ram", 0, RAM, NULL);
    lab = g_aligned_alloc0(1, sizeof(Lab), 16);
    cpu_init(&lab->cpu, engine, &lab_guest, memory, clock, 0);
    for (unsigned i = 0; i < N_BLOCKS; i++) {
        run_block(i);
    }
    cpu_deinit(&lab->cpu);
    g_aligned_free(lab);
    cpu_engine_free(engine);
    memory_free(memory);
    owners_free(owners);
    clock_free(clock);
}

static void test_operations(void **state) { run_blocks(); }

/* ---- loops of instructions ---- */

enum { LENGTH = 12, ROUNDS = 3, N_LOOPS = 4000, HOT_EVERY = 100, HOT_ROUNDS = 2500, COUNTER = 27, REGS = 12 };

typedef struct Words {
    uint32_t mask[1024], value[1024];
    unsigned n;
} Words;

/* AdvSIMD and cryptography; of floating point what shares their groups. */
static void add_pattern(const A64Pattern *p, void *opaque)
{
    Words   *w = opaque;
    uint32_t mask, value;

    insn_constants(p->pattern, &mask, &value);
    if ((value & 0x0e000000) == 0x0e000000 && (value & 0x5f000000) != 0x1e000000 && w->n < ARRAY_LEN(w->mask)) {
        w->mask[w->n] = mask;
        w->value[w->n++] = value;
    }
}

static uint32_t rnd_word(const Words *w)
{
    unsigned i = rnd(w->n);
    uint32_t insn = ((uint32_t)insn_rnd() & ~w->mask[i]) | w->value[i];

    for (unsigned at = 0; at <= 16; at = at == 5 ? 16 : at + 5) {
        if ((w->mask[i] >> at & 31) == 0) {
            insn = (uint32_t)deposit64(insn, at, 5, rnd(REGS));
        }
    }
    return insn;
}

static void rnd_state(InsnState *s)
{
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < 31; i++) {
        s->x[i] = insn_rnd_value();
    }
    for (unsigned i = 0; i < 32; i++) {
        s->v[i][0] = insn_rnd_value();
        s->v[i][1] = insn_rnd_value();
    }
}

static bool run_loop(A64Box *box, const InsnCase *c, InsnState *out)
{
    memcpy(box->cpu->x, c->in.x, sizeof(c->in.x));
    memcpy(box->cpu->v, c->in.v, sizeof(c->in.v));
    box->cpu->fpcr = box->cpu->fpsr = 0;
    a64_box_code(box, c->in.pc, c->code, INSN_WORDS);
    a64_box_enter(box, 0, c->in.pc);
    bool ended = a64_box_run(box, (LENGTH + 3) * (uint64_t)HOT_ROUNDS);
    *out = c->in;
    memcpy(out->x, box->cpu->x, sizeof(out->x));
    memcpy(out->v, box->cpu->v, sizeof(out->v));
    out->fpsr = box->cpu->fpsr;
    out->pc = box->exc.return_pc;
    return ended;
}

/* Whether the instruction is allocated: it is run alone. */
static bool is_allocated(A64Box *box, uint32_t insn)
{
    uint32_t code[2] = { insn, INSN_BRK };
    uint64_t at = BOX_CODE + BOX_CODE_SIZE - 0x1000;

    a64_box_code(box, at, code, 2);
    a64_box_enter(box, 0, at);
    return a64_box_run(box, 2) && box->exc.return_pc == at + 4;
}

/* LENGTH instructions; SUBS x27, x27, #1; B.NE to the first. */
static void make_loop(A64Box *box, InsnCase *c, const Words *w, unsigned i)
{
    unsigned n = 1 + rnd(LENGTH);

    rnd_state(&c->in);
    c->in.pc = BOX_CODE + (uint64_t)(i % 30000) * sizeof(c->code);
    c->in.x[COUNTER] = i % HOT_EVERY == 0 ? HOT_ROUNDS : ROUNDS;
    for (unsigned k = 0; k < INSN_WORDS; k++) {
        do {
            c->code[k] = k < n ? rnd_word(w) : INSN_BRK;
        } while (k < n && !is_allocated(box, c->code[k]));
    }
    c->code[n] = 0xf1000400 | COUNTER << 5 | COUNTER;
    c->code[n + 1] = 0x54000001 | (uint32_t)(-(int)(n + 1) & 0x7ffff) << 5;
}

static A64Box *box_of(const char *accel)
{
    g_setenv("BAILEY_TEST_ACCEL", accel, TRUE);
    return insn_box_new();
}

static void run_loops(void)
{
    Words    w = { .n = 0 };
    A64Box  *interp = box_of("interp"), *jit = box_of("jit");
    unsigned bad = 0;

    a64_pattern_foreach(add_pattern, &w);
    for (unsigned i = 0; i < N_LOOPS && bad < 8; i++) {
        InsnCase  c;
        InsnState a, b;

        insn_seed = i * 0x1000000ull;
        make_loop(interp, &c, &w, i);
        if (!run_loop(interp, &c, &a) || !run_loop(jit, &c, &b) || !insn_same(&a, &b)) {
            insn_explain(&c, i, INSN_WORDS, &b, &a);
            bad++;
        }
    }
    a64_box_free(interp);
    a64_box_free(jit);
    assert_int_equal(bad, 0);
}

static void test_loops(void **state) { run_loops(); }

/* ---- regions of scalars ---- */

enum { N_SCALARS = 6000, SCALAR_REGS = 7, POINTER = 26, END = BOX_DATA + BOX_DATA_SIZE, TAIL = 256 };

static void add_scalar(const A64Pattern *p, void *opaque)
{
    Words   *w = opaque;
    uint32_t mask, value;

    insn_constants(p->pattern, &mask, &value);
    if ((value & 0x7e000000) == 0x1e000000 && w->n < ARRAY_LEN(w->mask)) {
        w->mask[w->n] = mask;
        w->value[w->n++] = value;
    }
}

/* Of few registers, mostly of single or double precision. */
static uint32_t rnd_scalar(const Words *w)
{
    unsigned i = rnd(w->n);
    uint32_t insn = ((uint32_t)insn_rnd() & ~w->mask[i]) | w->value[i];

    for (unsigned at = 0; at <= 16; at = at == 10 ? 16 : at + 5) {
        if ((w->mask[i] >> at & 31) == 0) {
            insn = (uint32_t)deposit64(insn, at, 5, rnd(SCALAR_REGS));
        }
    }
    if ((w->mask[i] >> 22 & 3) == 0 && rnd(8) != 0) {
        insn = (uint32_t)deposit64(insn, 22, 2, rnd(2));
    }
    return insn;
}

/* TBZ, TBNZ: over some of the @left instructions of the loop. */
static uint32_t rnd_branch(unsigned left)
{
    return 0x36000000 | rnd(2) << 24 | rnd(32) << 19 | (1 + rnd(left)) << 5 | rnd(SCALAR_REGS);
}

/* LDR, STR of S, D or Q at the pointer, or behind it, which moves on: up to where there is no memory. */
static uint32_t rnd_access(void)
{
    static const uint32_t sizes[] = { 0xbc000400, 0xfc000400, 0x3c800400 };

    return sizes[rnd(3)] | rnd(2) << 22 | rnd(24) << 12 | POINTER << 5 | rnd(SCALAR_REGS);
}

/* As make_loop(). */
static void make_scalars(A64Box *box, InsnCase *c, const Words *scalars, const Words *any, unsigned i)
{
    unsigned n = 2 + rnd(LENGTH - 1);

    rnd_state(&c->in);
    c->in.pc = BOX_CODE + (uint64_t)(i % 30000) * sizeof(c->code);
    c->in.x[COUNTER] = 2 + rnd(12);
    c->in.x[POINTER] = END - TAIL;
    for (unsigned k = 0; k < INSN_WORDS; k++) {
        unsigned kind = rnd(12);

        do {
            c->code[k] = k >= n      ? INSN_BRK
                         : kind == 0 ? rnd_word(any)
                         : kind == 1 ? rnd_branch(n - k)
                         : kind <= 3 ? rnd_access()
                                     : rnd_scalar(scalars);
        } while (k < n && (kind == 0 || kind > 3) && !is_allocated(box, c->code[k]));
    }
    c->code[n] = 0xf1000400 | COUNTER << 5 | COUNTER;
    c->code[n + 1] = 0x54000001 | (uint32_t)(-(int)(n + 1) & 0x7ffff) << 5;
}

static void run_scalars(void)
{
    Words    scalars = { .n = 0 }, any = { .n = 0 };
    unsigned bad = 0;

    g_setenv("BAILEY_TEST_HOT", "1", TRUE);
    A64Box *interp = box_of("interp"), *jit = box_of("jit");
    g_unsetenv("BAILEY_TEST_HOT");
    a64_pattern_foreach(add_scalar, &scalars);
    a64_pattern_foreach(add_pattern, &any);
    for (unsigned i = 0; i < N_SCALARS && bad < 8; i++) {
        InsnCase  c;
        InsnState a, b;

        insn_seed = i * 0x3000000ull;
        make_scalars(interp, &c, &scalars, &any, i);
        if (!run_loop(interp, &c, &a) || !run_loop(jit, &c, &b) || !insn_same(&a, &b) ||
            memcmp(interp->data + BOX_DATA_SIZE - TAIL, jit->data + BOX_DATA_SIZE - TAIL, TAIL) != 0) {
            insn_explain(&c, i, INSN_WORDS, &b, &a);
            bad++;
        }
    }
    a64_box_free(interp);
    a64_box_free(jit);
    assert_int_equal(bad, 0);
}

static void test_scalars(void **state) { run_scalars(); }

/* The last ones: what the host can do does not come back. */
static void test_operations_baseline(void **state)
{
    asm_limit_host();
    run_blocks();
}

static void test_loops_baseline(void **state)
{
    asm_limit_host();
    run_loops();
}

static void test_scalars_baseline(void **state)
{
    asm_limit_host();
    run_scalars();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_loops),
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_operations_baseline),
        cmocka_unit_test(test_loops_baseline),
        cmocka_unit_test(test_scalars_baseline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
