/*
 * Between the decoder and the IR: the guest register table, unpacking of the block key, the helpers that
 * instruction functions are written with, and the decision where a block ends. Arm DDI 0487.
 */
#include <assert.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/decode.h"
#include "cpu/a64/system.h"

#define REG_X(n)  { "x" #n, IR_I64, offsetof(A64Cpu, x[n]) }
#define REG_V(n)  { "v" #n, IR_V128, offsetof(A64Cpu, v[n]) }
#define REG_PAC(name, n, half) { "apkey_" #name "_" #half, IR_I64, offsetof(A64Cpu, el1.apkey[n][half]), true }
#define REG_4(R, a, b, c, d) R(a), R(b), R(c), R(d)
#define FIELD(name, type, member) { name, type, offsetof(A64Cpu, member), false }
/* State that never decides how code is translated: writing it does not make the engine ask for the key again. */
#define FIELD_NOT_KEY(name, type, member) { name, type, offsetof(A64Cpu, member), true }

const IrReg a64_regs[A64_N_REGS] = {
    REG_4(REG_X, 0, 1, 2, 3),
    REG_4(REG_X, 4, 5, 6, 7),
    REG_4(REG_X, 8, 9, 10, 11),
    REG_4(REG_X, 12, 13, 14, 15),
    REG_4(REG_X, 16, 17, 18, 19),
    REG_4(REG_X, 20, 21, 22, 23),
    REG_4(REG_X, 24, 25, 26, 27),
    REG_X(28),
    REG_X(29),
    REG_X(30),
    [A64_R_SP] = FIELD("sp", IR_I64, sp),
    [A64_R_PC] = FIELD("pc", IR_I64, pc),
    [A64_R_NZCV] = FIELD("nzcv", IR_FLAGS, nzcv),
    REG_4(REG_V, 0, 1, 2, 3),
    REG_4(REG_V, 4, 5, 6, 7),
    REG_4(REG_V, 8, 9, 10, 11),
    REG_4(REG_V, 12, 13, 14, 15),
    REG_4(REG_V, 16, 17, 18, 19),
    REG_4(REG_V, 20, 21, 22, 23),
    REG_4(REG_V, 24, 25, 26, 27),
    REG_4(REG_V, 28, 29, 30, 31),
    [A64_R_FPCR] = { "fpcr", IR_I32, offsetof(A64Cpu, fpcr), .status = true },
    [A64_R_FPSR] = { "fpsr", IR_I32, offsetof(A64Cpu, fpsr), .not_key = true, .status = true },
    [A64_R_BTYPE] = FIELD("btype", IR_I32, btype),
    [A64_R_D] = FIELD("pstate.d", IR_I32, d),
    [A64_R_A] = FIELD_NOT_KEY("pstate.a", IR_I32, a),
    [A64_R_I] = FIELD_NOT_KEY("pstate.i", IR_I32, i),
    [A64_R_F] = FIELD_NOT_KEY("pstate.f", IR_I32, f),
    [A64_R_SS] = FIELD("pstate.ss", IR_I8, ss),
    [A64_R_SSBS] = FIELD_NOT_KEY("pstate.ssbs", IR_I8, ssbs),
    [A64_R_DIT] = FIELD_NOT_KEY("pstate.dit", IR_I8, dit),
    [A64_R_SP_EL0] = FIELD("sp_el0", IR_I64, el1.sp_el0),
    [A64_R_TPIDR_EL0] = FIELD("tpidr_el0", IR_I64, el1.tpidr_el0),
    [A64_R_TPIDRRO_EL0] = FIELD("tpidrro_el0", IR_I64, el1.tpidrro_el0),
    [A64_R_TPIDR_EL1] = FIELD("tpidr_el1", IR_I64, el1.tpidr_el1),
    [A64_R_TPIDR_EL2] = FIELD("tpidr_el2", IR_I64, el2.tpidr),
    [A64_R_EXCL_SIZE] = FIELD_NOT_KEY("excl_size", IR_I32, excl_size),
    [A64_R_EXCL_VA] = { "excl_va", IR_I64, offsetof(A64Cpu, excl_va), .seldom = true },
    [A64_R_EXCL_LO] = { "excl_lo", IR_I64, offsetof(A64Cpu, excl_value[0]), .seldom = true },
    [A64_R_EXCL_HI] = { "excl_hi", IR_I64, offsetof(A64Cpu, excl_value[1]), .seldom = true },
    [A64_R_PAC_KEYS] = REG_PAC(IA, 0, 0), REG_PAC(IA, 0, 1), REG_PAC(IB, 1, 0), REG_PAC(IB, 1, 1),
    REG_PAC(DA, 2, 0), REG_PAC(DA, 2, 1), REG_PAC(DB, 3, 0), REG_PAC(DB, 3, 1),
    [A64_R_STEP_ISS] = FIELD_NOT_KEY("step_iss", IR_I8, step_iss),
};

/* ---- registers ---- */

static IrRef read_gpr(A64Trans *t, IrType ty, unsigned reg)
{
    IrRef v = ir_get(t->ir, reg);

    return ty == IR_I64 ? v : ir_trunc(t->ir, ty, v);
}

static void write_gpr(A64Trans *t, IrType ty, unsigned reg, IrRef v)
{
    ir_put(t->ir, reg, ty == IR_I64 ? v : ir_zext(t->ir, IR_I64, v));
}

IrRef a64_x(A64Trans *t, IrType ty, unsigned n)
{
    return n == 31 ? ir_const(t->ir, ty, 0) : read_gpr(t, ty, A64_R_X0 + n);
}

IrRef a64_xsp(A64Trans *t, IrType ty, unsigned n)
{
    return read_gpr(t, ty, A64_R_X0 + n); /* A64_R_SP follows x30 */
}

void a64_set_x(A64Trans *t, IrType ty, unsigned n, IrRef v)
{
    if (n != 31) {
        write_gpr(t, ty, A64_R_X0 + n, v);
    }
}

void a64_set_xsp(A64Trans *t, IrType ty, unsigned n, IrRef v)
{
    write_gpr(t, ty, A64_R_X0 + n, v);
    if (n == 31) {
        t->sp_aligned = false;
    }
}

IrRef a64_v(A64Trans *t, IrType ty, unsigned n)
{
    IrRef v = ir_get(t->ir, A64_R_V0 + n);

    switch (ty) {
    case IR_V128:
        return v;
    case IR_V64:
        return ir_op1(t->ir, IR_vlow, IR_V64, v);
    case IR_I64:
        return ir_opi(t->ir, IR_vget, IR_I64, v, 0, 3);
    default: {
        unsigned size_log2 = ty == IR_I8 ? 0 : ty == IR_I16 ? 1 : 2;
        return ir_trunc(t->ir, ty, ir_opi(t->ir, IR_vget, IR_I64, v, 0, size_log2));
    }
    }
}

void a64_set_v(A64Trans *t, IrType ty, unsigned n, IrRef v)
{
    if (ty == IR_V64) {
        v = ir_op1(t->ir, IR_vlow, IR_V128, v);
    } else if (ty != IR_V128) {
        v = ir_op1(t->ir, IR_vzext, IR_V128, v);
    }
    ir_put(t->ir, A64_R_V0 + n, v);
}

IrRef a64_nzcv(A64Trans *t)
{
    return ir_get(t->ir, A64_R_NZCV);
}

void a64_set_nzcv(A64Trans *t, IrRef flags)
{
    ir_put(t->ir, A64_R_NZCV, flags);
}

/* ---- arithmetic ---- */

/* DDI 0487, "Condition code": the encodings 0 to 13 are in the order of IrCond. */
IrRef a64_cond(A64Trans *t, unsigned cond)
{
    static_assert(IR_COND_NC_OR_Z == 9 && IR_COND_GE == 10 && IR_COND_LE == 13, "Arm's order of conditions");
    return cond >= 14 ? ir_const(t->ir, IR_I32, 1) : ir_flags_cond(t->ir, (IrCond)cond, a64_nzcv(t));
}

IrRef a64_addsub(A64Trans *t, IrRef a, IrRef b, bool sub, bool set_flags)
{
    IrType ty = ir_type(t->ir, a);
    IrRef  r = ir_op2(t->ir, sub ? IR_sub : IR_add, ty, a, b);

    if (set_flags) {
        a64_set_nzcv(t, ir_flags(t->ir, sub ? IR_FLAGS_SUB : IR_FLAGS_ADD, ty, a, b, 0));
    }
    return r;
}

IrRef a64_shift(A64Trans *t, IrType ty, IrRef v, A64Shift kind, unsigned amount)
{
    static const IrOp ops[] = {
        [A64_LSL] = IR_shl, [A64_LSR] = IR_shr, [A64_ASR] = IR_sar, [A64_ROR] = IR_ror};

    return amount == 0 ? v : ir_op2(t->ir, ops[kind], ty, v, ir_const(t->ir, ty, amount));
}

IrRef a64_extend(A64Trans *t, IrType ty, unsigned n, unsigned option, unsigned shift)
{
    unsigned width = ty == IR_I64 ? 64 : 32;
    unsigned len = 8u << (option & 3);
    IrRef    v = a64_x(t, ty, n);

    if (len < width) {
        v = ir_opi(t->ir, option & 4 ? IR_sbfx : IR_bfx, ty, v, 0, len << 8);
    }
    return a64_shift(t, ty, v, A64_LSL, shift);
}

/* DDI 0487, shared pseudocode DecodeBitMasks(): the "wmask" of an immediate. */
bool a64_bitmask(unsigned N, unsigned imms, unsigned immr, unsigned width, uint64_t *value)
{
    unsigned size_bits = N << 6 | (~imms & 0x3f);

    if (size_bits < 2 || (N == 1 && width == 32)) {
        return false;
    }
    unsigned esize = 1u << (31 - __builtin_clz(size_bits));
    unsigned ones = (imms & (esize - 1)) + 1;
    if (ones == esize) {
        return false;
    }
    uint64_t element = rotate_right64(mask64(ones), immr & (esize - 1), esize);
    for (unsigned at = esize; at < 64; at *= 2) {
        element |= element << at;
    }
    *value = element & mask64(width);
    return true;
}

/* ---- memory ---- */

static uint64_t do_check_sp(void *opaque, uint64_t sp, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_sp_alignment(opaque);
    return 0;
}

static const IrHelper check_sp = { "check_sp", IR_VOID, 1, IR_FAULTS, .fn.scalar = do_check_sp };

IrRef a64_plus(A64Trans *t, IrRef base, int64_t offset)
{
    return offset == 0 ? base
                       : ir_op2(t->ir, IR_add, IR_I64, base, ir_const(t->ir, IR_I64, (uint64_t)offset));
}

IrRef a64_address(A64Trans *t, unsigned Rn, int64_t offset)
{
    IrRef base = a64_xsp(t, IR_I64, Rn);

    if (Rn == 31 && (t->key & A64_KEY_SP_ALIGN) && !t->sp_aligned) {
        ir_guard(t->ir, base, 15, &check_sp);
        t->sp_aligned = true;
    }
    return a64_plus(t, base, offset);
}

IrMem a64_mem(A64Trans *t, unsigned size_log2)
{
    return (IrMem){ .size_log2 = (uint8_t)size_log2, .align = t->align_check };
}

/* ---- exceptions ---- */

static uint64_t do_undefined(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_undefined_now(opaque);
    return 0;
}

static uint64_t do_fp_trap(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_fp_trap(opaque);
    return 0;
}

static uint64_t do_bti_fault(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_bti_fault(opaque);
    return 0;
}

static uint64_t do_pc_alignment(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_pc_alignment(opaque, cpu_current_pc(opaque));
    return 0;
}

/* PSTATE.IL. DDI 0487, "Illegal return events from AArch64 state". */
static uint64_t do_illegal_state(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_raise_sync(opaque, a64_sync_target(opaque), EC_ILLEGAL, 0, false);
    return 0;
}

static uint64_t do_step_begin(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_step_begin(opaque);
    return 0;
}

#define RAISER(ident)                                                                                      \
    static const IrHelper ident = { #ident, IR_VOID, 0, IR_READS | IR_WRITES | IR_FAULTS | IR_TIME,        \
                                    .fn.scalar = do_##ident }

RAISER(undefined);
RAISER(fp_trap);
RAISER(bti_fault);
RAISER(pc_alignment);
RAISER(illegal_state);
RAISER(step_begin);

void a64_raise_by(A64Trans *t, const IrHelper *h, IrRef a, uint64_t imm)
{
    ir_call(t->ir, h, a, 0, 0, imm);
    ir_exit_done(t->ir);
    t->exited = true;
}

void a64_undefined(A64Trans *t)
{
    a64_raise_by(t, &undefined, 0, 0);
}

bool a64_fp_check(A64Trans *t)
{
    if (t->fp_trapped) {
        a64_raise_by(t, &fp_trap, 0, 0);
    }
    return !t->fp_trapped;
}

/* ---- exits ---- */

/* What completes every instruction: BTYPE returns to zero, a software step is used up. */
static void complete(A64Trans *t, unsigned btype)
{
    if (btype != t->btype) {
        ir_put(t->ir, A64_R_BTYPE, ir_const(t->ir, IR_I32, btype));
    }
    if (t->stepping) {
        ir_put(t->ir, A64_R_SS, ir_const(t->ir, IR_I8, 0));
        ir_put(t->ir, A64_R_STEP_ISS, ir_const(t->ir, IR_I8, 1u | (t->exclusive ? 2u : 0)));
    }
}

void a64_jump(A64Trans *t, uint64_t pc)
{
    complete(t, 0);
    if (t->stepping) {
        ir_exit_state(t->ir, pc);
    } else {
        ir_exit_jump(t->ir, pc);
    }
    t->exited = true;
}

void a64_jump_indirect(A64Trans *t, IrRef pc, unsigned btype)
{
    complete(t, btype);
    ir_exit_indirect(t->ir, pc);
    t->exited = true;
}

void a64_branch_if(A64Trans *t, IrRef cond, uint64_t taken)
{
    if (t->stepping) {
        /* The next block has another key: no direct link. */
        a64_jump_indirect(t, ir_select(t->ir, IR_I64, cond, ir_const(t->ir, IR_I64, taken),
                                       ir_const(t->ir, IR_I64, t->pc + 4)), 0);
        return;
    }
    complete(t, 0);
    ir_exit_branch(t->ir, cond, taken, t->pc + 4);
    t->exited = true;
}

void a64_leave(A64Trans *t)
{
    complete(t, 0);
    ir_exit_state(t->ir, t->pc + 4);
    t->exited = true;
}

/* ---- the block ---- */

/*
 * Whether an instruction may be the target of an indirect branch on a guarded page. DDI 0487, "Branch target
 * identification", and shared pseudocode BTypeCompatible_BTI(), BTypeCompatible_PACIXSP().
 */
static bool btype_compatible(const A64Trans *t, uint32_t insn)
{
    if ((insn & 0xffe0001f) == 0xd4200000 || (insn & 0xffe0001f) == 0xd4400000) { /* BRK, HLT */
        return true;
    }
    if ((insn & 0xfffff01f) != 0xd503201f) {
        return false;
    }
    switch (extract64(insn, 5, 7)) {
    case 25: case 27: /* PACIASP, PACIBSP */
        return t->btype != 3 || !(t->key & A64_KEY_BT);
    case 34: /* BTI c */
        return t->btype != 3;
    case 36: /* BTI j */
        return t->btype != 2;
    case 38: /* BTI jc */
        return true;
    default:
        return false;
    }
}

static void unpack_key(A64Trans *t, uint64_t key, unsigned flags)
{
    t->key = key;
    t->el = key & A64_KEY_EL;
    t->btype = (key & A64_KEY_BTYPE) >> A64_KEY_BTYPE_SHIFT;
    t->fp_trapped = key & A64_KEY_FP_TRAP;
    t->align_check = key & A64_KEY_ALIGN;
    t->unpriv = key & A64_KEY_UNPRIV;
    t->stepping = key & A64_KEY_SS;
    t->guarded = flags & 1;
}

/* Exceptions that come before the first instruction is looked at, in the order of "Exception priority". */
static bool refused(A64Trans *t)
{
    if (t->stepping) {
        ir_call(t->ir, &step_begin, 0, 0, 0, 0);
    }
    if (t->pc & 3) {
        a64_raise_by(t, &pc_alignment, 0, 0);
    } else if (t->key & A64_KEY_IL) {
        a64_raise_by(t, &illegal_state, 0, 0);
    }
    return t->exited;
}

static void translate_insn(A64Trans *t, uint32_t insn)
{
    A64Fields         f;
    const A64Pattern *p = a64_decode(insn, &f);

    if (t->btype != 0 && t->guarded && !btype_compatible(t, insn)) {
        a64_raise_by(t, &bti_fault, 0, 0);
    } else if (p == NULL) {
        a64_undefined(t);
    } else {
        p->emit(t, &f);
    }
}

void a64_translate(Cpu *cpu, IrBlock *b, uint64_t pc, uint64_t key, const uint8_t *code, size_t len,
                   unsigned max_insns, unsigned flags)
{
    A64Trans t = { .ir = b, .cpu = a64_from_cpu(cpu), .pc = pc };
    size_t   n = t.pc & 3 ? 1 : len / 4;

    unpack_key(&t, key, flags);
    n = n < max_insns ? n : max_insns;
    for (size_t i = 0; i < n && !t.exited && !ir_done(b); i++, t.pc += 4) {
        ir_insn(b, t.pc);
        if (i == 0 && refused(&t)) {
            break;
        }
        translate_insn(&t, le32_get(code + 4 * i));
        if (t.stepping && !t.exited) {
            a64_leave(&t);
        } else if (i == 0 && !t.exited) {
            complete(&t, 0);
            t.btype = 0;
        }
    }
    if (!t.exited) {
        a64_jump(&t, t.pc);
    }
}
