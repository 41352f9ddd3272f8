/*
 * Building of blocks: every function appends one node. Types are checked where front ends pass them, in debug
 * builds; ir_verify() checks the whole.
 */
#include "cpu/ir/ir.h"

#include <glib.h>
#include <string.h>

#include "cpu/ir/block.h"

#ifdef BAILEY_DEBUG
#define CHECK(cond) g_assert(cond)
#else
#define CHECK(cond) ((void)0)
#endif

const IrOpInfo ir_op_info[IR_ALL_OPS] = {
#define IR_OP(name, args, flags, meaning) [IR_##name] = { #name, args, IR_CLASS_##flags },
#include "cpu/ir/ops.h"
#undef IR_OP
    [IR_NOP] = { "nop", 0, IR_CLASS_OTHER },
    [IR_const] = { "const", 0, IR_CLASS_OTHER },
    [IR_get] = { "get", 0, IR_CLASS_OTHER, true },
    [IR_put] = { "put", 1, IR_CLASS_OTHER, true },
    [IR_flags] = { "flags", 3, IR_CLASS_OTHER },
    [IR_flags_cond] = { "flags_cond", 1, IR_CLASS_OTHER },
    [IR_flags_pack] = { "flags_pack", 1, IR_CLASS_OTHER },
    [IR_flags_unpack] = { "flags_unpack", 1, IR_CLASS_OTHER },
    [IR_flags_select] = { "flags_select", 3, IR_CLASS_OTHER },
    [IR_load] = { "load", 1, IR_CLASS_OTHER, true },
    [IR_store] = { "store", 2, IR_CLASS_OTHER, true },
    [IR_call] = { "call", 3, IR_CLASS_OTHER, true },
    [IR_guard] = { "guard", 1, IR_CLASS_OTHER, true },
    [IR_insn] = { "insn", 0, IR_CLASS_OTHER },
    [IR_exit_jump] = { "exit_jump", 0, IR_CLASS_OTHER },
    [IR_exit_branch] = { "exit_branch", 1, IR_CLASS_OTHER },
    [IR_exit_indirect] = { "exit_indirect", 1, IR_CLASS_OTHER },
    [IR_exit_state] = { "exit_state", 0, IR_CLASS_OTHER },
    [IR_exit_done] = { "exit_done", 0, IR_CLASS_OTHER },
};

const uint16_t ir_type_info[IR_N_TYPES] = { 0, 8, 16, 32, 64, 128, 64, 128, 256, 512, 0 };

const char *ir_op_name(unsigned op) { return op < IR_ALL_OPS ? ir_op_info[op].name : "?"; }

const char *ir_type_name(IrType ty)
{
    static const char *const names[IR_N_TYPES] = {"void", "i8",   "i16",  "i32",  "i64",  "i128",
                                                  "v64",  "v128", "v256", "v512", "flags"};

    return (unsigned)ty < IR_N_TYPES ? names[ty] : "?";
}

/* ---- life ---- */

void ir_block_reset(IrBlock *b, const IrReg *regs, size_t n_regs)
{
    b->regs = regs;
    b->n_regs = n_regs;
    b->n = 1;
    b->n_insns = 0;
    b->exited = b->ends = false;
    b->returns = 0;
    b->hooks = NULL;
    b->begin = 0;
    b->n_accesses = 0;
    memset(&b->node[0], 0, sizeof(b->node[0]));
    ir_const(b, IR_I64,
             0); /* IR_ZERO64 and IR_ZERO32: passes cannot insert a node, so these are always there */
    ir_const(b, IR_I32, 0);
    g_assert(n_regs <= IR_MAX_REGS);
}

IrBlock *ir_block_new(const IrReg *regs, size_t n_regs)
{
    IrBlock *b = g_new(IrBlock, 1);

    ir_block_reset(b, regs, n_regs);
    return b;
}

void ir_block_free(IrBlock *b) { g_free(b); }

bool ir_done(const IrBlock *b)
{
    return b->exited || b->ends || b->n >= IR_FULL || b->n_insns >= IR_MAX_INSNS;
}

IrType ir_type(const IrBlock *b, IrRef v) { return b->node[v].type; }

/* ---- nodes ---- */

/* Written in place: a node that is put together elsewhere and copied waits for its own small stores. */
static inline IrNode *append(IrBlock *b)
{
    g_assert(b->n < IR_MAX_NODES); /* IR_FULL leaves room for the longest instruction */
    CHECK(!b->exited);
    return &b->node[b->n++];
}

static inline IrRef last(const IrBlock *b) { return (IrRef)(b->n - 1); }

/* What the instruction has accessed is told once nothing of it can fault any more. */
static void tell_accesses(IrBlock *b)
{
    unsigned n = b->n_accesses;

    b->n_accesses = 0; /* hooks call helpers */
    for (unsigned i = 0; i < n; i++) {
        b->hooks->access(b, b->access[i].mem, b->access[i].addr, b->access[i].store);
    }
}

static inline void note_access(IrBlock *b, IrMem mem, IrRef addr, bool store)
{
    if (b->hooks == NULL) {
        return;
    }
    if (b->n_accesses == IR_MAX_ACCESSES) {
        tell_accesses(b);
    }
    b->access[b->n_accesses++] = (IrAccess){ mem, addr, store };
}

IrRef ir_const(IrBlock *b, IrType ty, uint64_t v)
{
    unsigned bits = ir_type_bits(ty);

    CHECK(bits != 0);
    *append(b) = (IrNode){ .op = IR_const, .type = ty, .imm = bits < 64 ? v & ((1ull << bits) - 1) : v };
    return last(b);
}

IrRef ir_get(IrBlock *b, unsigned reg)
{
    CHECK(reg < b->n_regs);
    *append(b) = (IrNode){ .op = IR_get, .type = b->regs[reg].type, .imm = reg };
    return last(b);
}

void ir_put(IrBlock *b, unsigned reg, IrRef v)
{
    CHECK(reg < b->n_regs);
    CHECK(b->regs[reg].type == ir_type(b, v));
    if (b->n_accesses != 0) {
        tell_accesses(b);
    }
    *append(b) = (IrNode){ .op = IR_put, .imm = reg, .a = v };
}

IrRef ir_op3(IrBlock *b, IrOp op, IrType ty, IrRef a, IrRef c, IrRef d)
{
    bool cmp = ir_op_class(op) == IR_CLASS_CMP;

    CHECK(a != 0 && (c != 0) == (ir_op_args(op) >= 2) && (d != 0) == (ir_op_args(op) >= 3));
    CHECK(ir_op_class(op) > IR_CLASS_CMP || (ir_type(b, a) == ty && (c == 0 || ir_type(b, c) == ty)));
    *append(b) = (IrNode){ .op = op, .type = cmp ? IR_I32 : ty, .kind = ty, .a = a, .b = c, .c = d };
    return last(b);
}

IrRef ir_op2(IrBlock *b, IrOp op, IrType ty, IrRef a, IrRef c) { return ir_op3(b, op, ty, a, c, 0); }
IrRef ir_op1(IrBlock *b, IrOp op, IrType ty, IrRef a) { return ir_op3(b, op, ty, a, 0, 0); }

IrRef ir_opi(IrBlock *b, IrOp op, IrType ty, IrRef a, IrRef c, uint32_t imm)
{
    IrRef r = ir_op3(b, op, ty, a, c, 0);

    b->node[r].imm = imm;
    return r;
}

IrRef ir_zext(IrBlock *b, IrType to, IrRef a)
{
    CHECK(ir_type_bits(to) >= ir_type_bits(ir_type(b, a)));
    return ir_type(b, a) == to ? a : ir_op1(b, IR_zext, to, a);
}

IrRef ir_sext(IrBlock *b, IrType to, IrRef a)
{
    CHECK(ir_type_bits(to) >= ir_type_bits(ir_type(b, a)));
    return ir_type(b, a) == to ? a : ir_op1(b, IR_sext, to, a);
}

IrRef ir_trunc(IrBlock *b, IrType to, IrRef a)
{
    CHECK(ir_type_bits(to) <= ir_type_bits(ir_type(b, a)));
    return ir_type(b, a) == to ? a : ir_op1(b, IR_trunc, to, a);
}

IrRef ir_select(IrBlock *b, IrType ty, IrRef cond, IrRef if_true, IrRef if_false)
{
    CHECK(ir_type(b, cond) == IR_I32 && ir_type(b, if_true) == ty && ir_type(b, if_false) == ty);
    return ir_op3(b, IR_select, ty, cond, if_true, if_false);
}

/* ---- flags ---- */

IrRef ir_flags(IrBlock *b, IrFlagsKind kind, IrType ty, IrRef a, IrRef c, IrRef carry)
{
    CHECK((ty == IR_I32 || ty == IR_I64) && ir_type(b, a) == ty);
    CHECK(kind == IR_FLAGS_LOGIC || ir_type(b, c) == ty);
    if (kind == IR_FLAGS_LOGIC) {
        c = carry = 0;
    }
    *append(b) = (IrNode){ .op = IR_flags, .type = IR_FLAGS, .kind = kind, .a = a, .b = c, .c = carry };
    return last(b);
}

IrRef ir_flags_cond(IrBlock *b, IrCond cond, IrRef flags)
{
    CHECK(ir_type(b, flags) == IR_FLAGS);
    *append(b) = (IrNode){ .op = IR_flags_cond, .type = IR_I32, .kind = cond, .a = flags };
    return last(b);
}

IrRef ir_flags_pack(IrBlock *b, IrRef flags)
{
    CHECK(ir_type(b, flags) == IR_FLAGS);
    *append(b) = (IrNode){ .op = IR_flags_pack, .type = IR_I32, .a = flags };
    return last(b);
}

IrRef ir_flags_unpack(IrBlock *b, IrRef packed)
{
    CHECK(ir_type(b, packed) == IR_I32);
    *append(b) = (IrNode){ .op = IR_flags_unpack, .type = IR_FLAGS, .a = packed };
    return last(b);
}

IrRef ir_flags_select(IrBlock *b, IrRef cond, IrRef if_true, IrRef if_false)
{
    CHECK(ir_type(b, cond) == IR_I32 && ir_type(b, if_true) == IR_FLAGS && ir_type(b, if_false) == IR_FLAGS);
    *append(b) = (IrNode){.op = IR_flags_select, .type = IR_FLAGS, .a = cond, .b = if_true, .c = if_false};
    return last(b);
}

/* ---- memory and helpers ---- */

IrRef ir_load(IrBlock *b, IrType ty, IrMem mem, IrRef addr)
{
    CHECK(ir_type(b, addr) == IR_I64 && ir_type_bits(ty) >= 8u << mem.size_log2);
    *append(b) = (IrNode){ .op = IR_load, .type = ty, .mem = mem, .a = addr };
    IrRef r = last(b);
    note_access(b, mem, addr, false);
    return r;
}

void ir_store(IrBlock *b, IrType ty, IrMem mem, IrRef addr, IrRef value)
{
    CHECK(ir_type(b, addr) == IR_I64 && ir_type(b, value) == ty && ir_type_bits(ty) >= 8u << mem.size_log2);
    *append(b) = (IrNode){ .op = IR_store, .kind = ty, .mem = mem, .a = addr, .b = value };
    note_access(b, mem, addr, true);
}

IrRef ir_call(IrBlock *b, const IrHelper *h, IrRef a, IrRef c, IrRef d, uint64_t imm)
{
    CHECK((a != 0) + (c != 0) + (d != 0) == h->n_args);
    if (b->n_accesses != 0) {
        tell_accesses(b);
    }
    b->ends |= (h->effects & IR_ENDS) != 0;
    *append(b) = (IrNode){.op = IR_call, .type = h->ret, .a = a, .b = c, .c = d, .imm = imm, .helper = h};
    return h->ret == IR_VOID ? 0 : last(b);
}

void ir_guard(IrBlock *b, IrRef v, uint64_t mask, const IrHelper *h)
{
    CHECK(ir_type(b, v) == IR_I64 && h->ret == IR_VOID && !h->vector &&
          !(h->effects & (IR_WRITES | IR_ENDS | IR_MEM)));
    *append(b) = (IrNode){ .op = IR_guard, .a = v, .imm = mask, .helper = h };
}

/* ---- marks and exits ---- */

void ir_insn(IrBlock *b, uint64_t pc)
{
    CHECK(!b->ends);
    if (b->n_accesses != 0) {
        tell_accesses(b);
    }
    *append(b) = (IrNode){ .op = IR_insn, .imm = pc };
    b->n_insns++;
    if (b->hooks != NULL) {
        b->hooks->insn(b, pc);
    }
}

static inline IrNode *append_exit(IrBlock *b)
{
    if (b->n_accesses != 0) {
        tell_accesses(b);
    }
    IrNode *n = append(b);

    b->exited = true;
    return n;
}

void ir_exit_jump(IrBlock *b, uint64_t pc) { *append_exit(b) = (IrNode){ .op = IR_exit_jump, .imm = pc }; }
void ir_exit_state(IrBlock *b, uint64_t pc) { *append_exit(b) = (IrNode){ .op = IR_exit_state, .imm = pc }; }
void ir_exit_done(IrBlock *b) { *append_exit(b) = (IrNode){ .op = IR_exit_done }; }

void ir_returns(IrBlock *b, uint64_t pc) { b->returns = pc; }

void ir_exit_branch(IrBlock *b, IrRef cond, uint64_t taken, uint64_t fallthrough)
{
    CHECK(ir_type(b, cond) == IR_I32);
    *append_exit(b) = (IrNode){ .op = IR_exit_branch, .a = cond, .imm = taken, .imm2 = fallthrough };
}

void ir_exit_indirect(IrBlock *b, IrRef pc)
{
    CHECK(ir_type(b, pc) == IR_I64);
    *append_exit(b) = (IrNode){ .op = IR_exit_indirect, .a = pc };
}
