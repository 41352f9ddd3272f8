/*
 * System instructions: hints, barriers, PSTATE, system registers, cache and TLB maintenance. Arm DDI 0487,
 * "A64 Instruction Set Encoding", "Hints", "Barriers", "PSTATE", "System instructions" and "System register
 * move". One thread executes all CPUs in order, so that DMB, DSB, SB and CSDB have nothing left to do.
 */
#include "bits.h"
#include "cpu/a64/decode.h"
#include "cpu/a64/sysreg.h"

#define ENC_NZCV       A64_SYSREG_ENC(3, 3, 4, 2, 0)
#define ENC_DAIF       A64_SYSREG_ENC(3, 3, 4, 2, 1)
#define ENC_CURRENTEL  A64_SYSREG_ENC(3, 0, 4, 2, 2)
#define ENC_DIT        A64_SYSREG_ENC(3, 3, 4, 2, 5)
#define ENC_SSBS       A64_SYSREG_ENC(3, 3, 4, 2, 6)
#define ENC_SP_EL0     A64_SYSREG_ENC(3, 0, 4, 1, 0)
#define ENC_FPCR       A64_SYSREG_ENC(3, 3, 4, 4, 0)
#define ENC_FPSR       A64_SYSREG_ENC(3, 3, 4, 4, 1)
#define ENC_TPIDR_EL0  A64_SYSREG_ENC(3, 3, 13, 0, 2)
#define ENC_TPIDRRO    A64_SYSREG_ENC(3, 3, 13, 0, 3)
#define ENC_TPIDR_EL1  A64_SYSREG_ENC(3, 0, 13, 0, 4)
#define ENC_TPIDR_EL2  A64_SYSREG_ENC(3, 4, 13, 0, 2)
#define ENC_DC_ZVA     A64_SYS_ENC(3, 7, 4, 1)

/* Where MRS and MSR (register) have them. */
enum { DIT_BIT = 24, SSBS_BIT = 12 };

/* Bits of FPCR and FPSR that exist: FZ16, RMode, FZ, DN, AHP; the cumulative flags and QC. */
enum { FPCR_BITS = 0x07c80000, FPSR_BITS = 0x0800009f };

/* ---- waiting ---- */

/* @imm: WFE. */
static uint64_t do_wait(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_wait(opaque, imm);
    return 0;
}

/* @imm: SEVL. */
static uint64_t do_send_event(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    if (imm) {
        a64_send_event(opaque);
    } else {
        a64_sev(opaque);
    }
    return 0;
}

static uint64_t do_esb(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_esb(opaque);
    return 0;
}

enum { ENDS = IR_READS | IR_WRITES | IR_FAULTS | IR_ENDS | IR_TIME };

static const IrHelper wait_for = { "wait", IR_VOID, 0, ENDS, .fn.scalar = do_wait };
static const IrHelper send_event = { "send_event", IR_VOID, 0, ENDS, .fn.scalar = do_send_event };
static const IrHelper esb = { "esb", IR_VOID, 0, ENDS, .fn.scalar = do_esb };

/* ---- hints ---- */

/* PACIA1716 and the other hints of pointer authentication: bits 2:0 of CRm:op2 of group 8 and 24. */
static void hint_pauth(A64Trans *t, unsigned hint)
{
    bool      uses_17 = hint < 16;
    bool      is_aut = hint & 4, is_b = hint & 2, with_sp = hint & 1;
    unsigned  reg = uses_17 ? 17 : 30;
    IrRef     modifier;

    if (uses_17) {
        modifier = a64_x(t, IR_I64, 16);
    } else {
        modifier = with_sp ? a64_xsp(t, IR_I64, 31) : ir_const(t->ir, IR_I64, 0);
    }
    a64_set_x(t, IR_I64, reg, (is_aut ? a64_authenticate : a64_sign)(t, a64_x(t, IR_I64, reg), modifier,
                                                                    is_b ? A64_PAC_IB : A64_PAC_IA));
}

/* NOP, YIELD, WFE, WFI, SEV, SEVL, PAC*, AUT*, XPACLRI, BTI (checked at the block's start), ESB, CSDB ...;
 * hints that are not allocated are no-ops. "Hints". */
A64("1101010100 0 00 011 0010 CRm op2 11111", hint)
{
    unsigned hint = f->CRm << 3 | f->op2;

    switch (hint) {
    case 2: case 3:
        ir_call(t->ir, &wait_for, 0, 0, 0, hint == 2);
        a64_leave(t);
        break;
    case 4: case 5:
        ir_call(t->ir, &send_event, 0, 0, 0, hint == 5);
        a64_leave(t);
        break;
    case 16:
        ir_call(t->ir, &esb, 0, 0, 0, 0);
        a64_leave(t);
        break;
    case 7:
        a64_set_x(t, IR_I64, 30, a64_strip(t, a64_x(t, IR_I64, 30), false));
        break;
    case 8: case 10: case 12: case 14:
    case 24: case 25: case 26: case 27: case 28: case 29: case 30: case 31:
        hint_pauth(t, hint);
        break;
    default:
        break;
    }
}

/* ---- barriers ---- */

/* CLREX. "Barriers". */
A64("11010101000000110011 CRm 010 11111", clrex)
{
    ir_put(t->ir, A64_R_EXCL_SIZE, ir_const(t->ir, IR_I32, 0));
}

A64("11010101000000110011 CRm 100 11111", dsb) { }

A64("11010101000000110011 CRm 101 11111", dmb) { }

/* ISB: what changed before it is seen by the next instruction, so the block ends. Whatever made a change has
 * gone through the run loop already. */
A64("11010101000000110011 CRm 110 11111", isb)
{
    a64_jump(t, t->pc + 4);
}

A64_FEAT("FEAT_SB", "11010101000000110011 0000 111 11111", sb) { }

/* ---- PSTATE ---- */

/* CFINV: C inverted. "PSTATE". The CRm field is not looked at (should be zero). */
A64_FEAT("FEAT_FlagM", "1101010100000 000 0100 CRm 000 11111", cfinv)
{
    IrRef bits = ir_flags_pack(t->ir, a64_nzcv(t));

    bits = ir_op2(t->ir, IR_xor, IR_I32, bits, ir_const(t->ir, IR_I32, IR_PACK_C));
    a64_set_nzcv(t, ir_flags_unpack(t->ir, bits));
}

/* NZCV by a table of what each value becomes: 4 bits each. */
static void map_nzcv(A64Trans *t, unsigned (*map)(bool z, bool c, bool v))
{
    IrRef    old = ir_zext(t->ir, IR_I64, ir_flags_pack(t->ir, a64_nzcv(t))), r;
    uint64_t table = 0;

    for (unsigned i = 0; i < 16; i++) {
        table |= (uint64_t)map(i & IR_PACK_Z, i & IR_PACK_C, i & IR_PACK_V) << 4 * i;
    }
    r = ir_op2(t->ir, IR_shl, IR_I64, old, ir_const(t->ir, IR_I64, 2));
    r = ir_op2(t->ir, IR_and, IR_I64, r, ir_const(t->ir, IR_I64, 63)); /* it is below: shifts take it as it is */
    r = ir_op2(t->ir, IR_shr, IR_I64, ir_const(t->ir, IR_I64, table), r);
    a64_set_nzcv(t, ir_flags_unpack(t->ir, ir_trunc(t->ir, IR_I32, r)));
}

static unsigned from_alternative(bool z, bool c, bool v)
{
    return (!c && !z) * IR_PACK_N | (z && c) * IR_PACK_Z | (c || z) * IR_PACK_C | (!c && z) * IR_PACK_V;
}

static unsigned to_alternative(bool z, bool c, bool v)
{
    return (z || v) * IR_PACK_Z | (c && !v) * IR_PACK_C;
}

/* XAFLAG: from the alternative floating-point condition format. */
A64_FEAT("FEAT_FlagM2", "1101010100000 000 0100 CRm 001 11111", xaflag)
{
    map_nzcv(t, from_alternative);
}

/* AXFLAG: to the alternative format. */
A64_FEAT("FEAT_FlagM2", "1101010100000 000 0100 CRm 010 11111", axflag)
{
    map_nzcv(t, to_alternative);
}

/* @imm: op1 << 8 | op2 << 4 | CRm. */
static uint64_t do_msr_imm(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_msr_imm(opaque, (unsigned)(imm >> 8), (imm >> 4) & 7, imm & 15);
    return 0;
}

static const IrHelper msr_immediate = { "msr_imm", IR_VOID, 0, ENDS, .fn.scalar = do_msr_imm };
static const IrHelper msr_daif = { "msr_daif", IR_VOID, 0, IR_READS | IR_WRITES, .fn.scalar = do_msr_imm };

/* MSR DAIFSet of A, I and F: masking never lets an interrupt in, so the block goes on. */
static void mask_interrupts(A64Trans *t, unsigned bits)
{
    static const uint8_t regs[] = { A64_R_F, A64_R_I, A64_R_A };

    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
        if (bits & 1u << i) {
            ir_put(t->ir, regs[i], ir_const(t->ir, IR_I32, 1));
        }
    }
}

/* MSR (immediate): UAO, PAN, SPSel, SSBS, DIT, DAIFSet, DAIFClr. */
A64("1101010100000 op1 0100 CRm op2 11111", msr_imm)
{
    bool daif = f->op1 == 3 && f->op2 >= 6 && t->el != 0;
    bool exists =
        f->op1 == 0 ? f->op2 >= 3 && f->op2 <= 5 : f->op1 == 3 && f->op2 != 0 && (f->op2 < 3 || f->op2 > 5);

    if (!exists) {
        return a64_undefined(t);
    }
    if (daif && f->op2 == 6 && !(f->CRm & 8)) { /* D gates debug exceptions, which the block key holds */
        mask_interrupts(t, f->CRm);
        return;
    }
    if (f->op1 == 3 && f->op2 < 3) { /* no block depends on them */
        ir_put(t->ir, f->op2 == 1 ? A64_R_SSBS : A64_R_DIT, ir_const(t->ir, IR_I8, f->CRm & 1));
        return;
    }
    ir_call(t->ir, daif ? &msr_daif : &msr_immediate, 0, 0, 0, f->op1 << 8 | f->op2 << 4 | f->CRm);
    if (daif) {
        a64_jump(t, t->pc + 4); /* see a64_set_daif() */
    } else {
        a64_leave(t);
    }
}

/* ---- system registers ---- */

static uint64_t do_mrs(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    uint64_t value = 0;

    a64_mrs(opaque, imm & 0xffff, (unsigned)(imm >> 16), &value);
    return value;
}

static uint64_t do_msr(void *opaque, uint64_t value, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_msr(opaque, imm & 0xffff, (unsigned)(imm >> 16), value);
    return 0;
}

enum { MSR_EFFECTS = IR_READS | IR_WRITES | IR_FAULTS };

/* Reads write too: RNDR sets NZCV, an acknowledge register changes the interrupt state. */
static const IrHelper mrs = { "mrs", IR_I64, 0, MSR_EFFECTS, .fn.scalar = do_mrs };
static const IrHelper mrs_timed = { "mrs_timed", IR_I64, 0, MSR_EFFECTS | IR_TIME, .fn.scalar = do_mrs };
static const IrHelper mrs_ends = { "mrs_ends", IR_I64, 0, ENDS, .fn.scalar = do_mrs };
static const IrHelper msr = { "msr", IR_VOID, 1, MSR_EFFECTS, .fn.scalar = do_msr };
static const IrHelper sys_op = { "sys", IR_VOID, 1, MSR_EFFECTS | IR_MEM | IR_TIME, .fn.scalar = do_msr };
static const IrHelper msr_ends = { "msr_ends", IR_VOID, 1, MSR_EFFECTS | IR_MEM | IR_ENDS | IR_TIME,
                                   .fn.scalar = do_msr };

/* What a write of an encoding disturbs; the redirection by HCR_EL2.E2H is not known here, so both count. */
static unsigned effects_of(uint32_t enc)
{
    const A64Sysreg *r = a64_sysreg_find(enc);
    const A64Sysreg *other = r != NULL && r->e2h_enc != 0 ? a64_sysreg_find(r->e2h_enc) : NULL;

    return (r != NULL ? r->effects : 0) | (other != NULL ? other->effects : 0);
}

static void emit_msr(A64Trans *t, const IrHelper *plain, uint32_t enc, unsigned Rt, IrRef value)
{
    unsigned effects = effects_of(enc);
    bool     ends = (effects & ~(SYSREG_MEMORY | SYSREG_TLB)) != 0;

    ir_call(t->ir, ends ? &msr_ends : plain, value, 0, 0, enc | Rt << 16);
    if (ends) {
        a64_leave(t);
    } else if (effects & SYSREG_TLB) {
        a64_jump(t, t->pc + 4);
    }
}

/* Registers of the guest table that MRS and MSR reach without a call: no trap can apply to them at this
 * level. */
static bool direct_register(const A64Trans *t, uint32_t enc, bool write, unsigned *reg)
{
    static const struct {
        uint16_t enc;
        uint8_t  reg, min_read, min_write;
    } table[] = {
        { ENC_TPIDR_EL0, A64_R_TPIDR_EL0, 0, 0 },   { ENC_TPIDRRO, A64_R_TPIDRRO_EL0, 0, 1 },
        { ENC_TPIDR_EL1, A64_R_TPIDR_EL1, 1, 1 },   { ENC_TPIDR_EL2, A64_R_TPIDR_EL2, 2, 2 },
        { ENC_SP_EL0, A64_R_SP_EL0, 1, 1 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].enc == enc) {
            *reg = table[i].reg;
            return t->el >= (write ? table[i].min_write : table[i].min_read) &&
                   (enc != ENC_SP_EL0 || (t->key & A64_KEY_SPSEL)) && !(t->key & A64_KEY_FGT);
        }
    }
    return false;
}

static uint64_t do_read_daif(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    return (uint64_t)a64_daif(opaque) << 6;
}

static uint64_t do_write_daif(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_set_daif(opaque, a >> 6 & 15);
    return 0;
}

static const IrHelper write_daif = { "write_daif", IR_VOID, 1, IR_READS | IR_WRITES, .fn.scalar = do_write_daif };
static const IrHelper read_daif = { "read_daif", IR_I64, 0, IR_READS, .fn.scalar = do_read_daif };

/* FPSR through helpers: what inline operations raised is in it only then. */
static uint64_t do_read_fpsr(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    return ((A64Cpu *)cpu)->fpsr;
}

static uint64_t do_write_fpsr(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    ((A64Cpu *)cpu)->fpsr = (uint32_t)a & FPSR_BITS;
    return 0;
}

static const IrHelper read_fpsr = { "read_fpsr", IR_I32, 0, IR_STATUS, .fn.scalar = do_read_fpsr };
static const IrHelper write_fpsr = { "write_fpsr", IR_VOID, 1, IR_STATUS, .fn.scalar = do_write_fpsr };

/* MRS of PSTATE fields and FP registers; false: not one of those. */
static bool mrs_inline(A64Trans *t, uint32_t enc, unsigned Rt)
{
    unsigned reg;

    if (enc == ENC_NZCV) {
        IrRef bits = ir_zext(t->ir, IR_I64, ir_flags_pack(t->ir, a64_nzcv(t)));
        a64_set_x(t, IR_I64, Rt, a64_shift(t, IR_I64, bits, A64_LSL, 28));
    } else if (enc == ENC_FPCR || enc == ENC_FPSR) {
        if (a64_fp_check(t)) {
            a64_set_x(t, IR_I32, Rt,
                      enc == ENC_FPCR ? ir_get(t->ir, A64_R_FPCR) : ir_call(t->ir, &read_fpsr, 0, 0, 0, 0));
        }
    } else if (enc == ENC_DAIF && t->el != 0) {
        a64_set_x(t, IR_I64, Rt, ir_call(t->ir, &read_daif, 0, 0, 0, 0));
    } else if (enc == ENC_DIT || enc == ENC_SSBS) {
        IrRef bit = ir_zext(t->ir, IR_I64, ir_get(t->ir, enc == ENC_DIT ? A64_R_DIT : A64_R_SSBS));
        a64_set_x(t, IR_I64, Rt, a64_shift(t, IR_I64, bit, A64_LSL, enc == ENC_DIT ? DIT_BIT : SSBS_BIT));
    } else if (enc == ENC_CURRENTEL && t->el != 0) {
        a64_set_x(t, IR_I64, Rt, ir_const(t->ir, IR_I64, t->el << 2));
    } else if (direct_register(t, enc, false, &reg)) {
        a64_set_x(t, IR_I64, Rt, ir_get(t->ir, reg));
    } else {
        return false;
    }
    return true;
}

static bool msr_inline(A64Trans *t, uint32_t enc, unsigned Rt)
{
    unsigned reg;

    if (enc == ENC_NZCV) {
        IrRef bits = ir_opi(t->ir, IR_bfx, IR_I32, a64_x(t, IR_I32, Rt), 0, 28 | 4 << 8);
        a64_set_nzcv(t, ir_flags_unpack(t->ir, bits));
    } else if (enc == ENC_FPCR) {
        if (a64_fp_check(t)) {
            IrRef v = ir_op2(t->ir, IR_and, IR_I32, a64_x(t, IR_I32, Rt), ir_const(t->ir, IR_I32, FPCR_BITS));
            ir_put(t->ir, A64_R_FPCR, v);
            a64_jump(t, t->pc + 4); /* it may change A64_KEY_FP_MODE or A64_KEY_FP_DN */
        }
    } else if (enc == ENC_FPSR) {
        if (a64_fp_check(t)) {
            ir_call(t->ir, &write_fpsr, a64_x(t, IR_I32, Rt), 0, 0, 0);
        }
    } else if (enc == ENC_DIT || enc == ENC_SSBS) {
        IrRef bit = ir_opi(t->ir, IR_bfx, IR_I64, a64_x(t, IR_I64, Rt), 0,
                           (enc == ENC_DIT ? DIT_BIT : SSBS_BIT) | 1 << 8);
        ir_put(t->ir, enc == ENC_DIT ? A64_R_DIT : A64_R_SSBS, ir_trunc(t->ir, IR_I8, bit));
    } else if (enc == ENC_DAIF && t->el != 0) {
        ir_call(t->ir, &write_daif, a64_x(t, IR_I64, Rt), 0, 0, 0);
        a64_jump(t, t->pc + 4);
    } else if (direct_register(t, enc, true, &reg)) {
        ir_put(t->ir, reg, a64_x(t, IR_I64, Rt));
    } else {
        return false;
    }
    return true;
}

static uint32_t encoding(const A64Fields *f, unsigned op0)
{
    return A64_SYSREG_ENC(op0, f->op1, f->CRn, f->CRm, f->op2);
}

/* MRS. "System register move". */
A64("1101010100 1 1 o0 op1 CRn CRm op2 Rt", mrs)
{
    uint32_t enc = encoding(f, 2 | f->o0);

    if (mrs_inline(t, enc, f->Rt)) {
        return;
    }
    unsigned        effects = effects_of(enc);
    const IrHelper *h = effects & SYSREG_IRQ ? &mrs_ends : effects & SYSREG_TIME ? &mrs_timed : &mrs;
    a64_set_x(t, IR_I64, f->Rt, ir_call(t->ir, h, 0, 0, 0, enc | f->Rt << 16));
    if (h == &mrs_ends) {
        a64_leave(t);
    }
}

/* MSR (register). */
A64("1101010100 0 1 o0 op1 CRn CRm op2 Rt", msr)
{
    uint32_t enc = encoding(f, 2 | f->o0);

    if (!msr_inline(t, enc, f->Rt)) {
        emit_msr(t, &msr, enc, f->Rt, a64_x(t, IR_I64, f->Rt));
    }
}

/* DC ZVA: the block of 64 bytes (DCZID_EL0.BS 4) that holds the address becomes zero. */
static void dc_zva(A64Trans *t, unsigned Rt)
{
    IrRef block = ir_op2(t->ir, IR_and, IR_I64, a64_x(t, IR_I64, Rt), ir_const(t->ir, IR_I64, ~63ull));
    IrRef zero = ir_op1(t->ir, IR_vzext, IR_V128, ir_const(t->ir, IR_I64, 0));

    for (unsigned at = 0; at < 64; at += 16) {
        ir_store(t->ir, IR_V128, a64_mem(t, 4), a64_plus(t, block, at), zero);
    }
}

/* SYS: IC, DC, AT, TLBI. "System instructions". */
A64("1101010100 0 01 op1 CRn CRm op2 Rt", sys)
{
    uint32_t enc = encoding(f, 1);

    if (enc == ENC_DC_ZVA && !(t->key & A64_KEY_ZVA_SLOW)) {
        dc_zva(t, f->Rt);
    } else {
        emit_msr(t, &sys_op, enc, f->Rt, a64_x(t, IR_I64, f->Rt));
    }
}

/* SYSL: no instruction of this CPU has a result. */
A64("1101010100 1 01 op1 CRn CRm op2 Rt", sysl)
{
    uint32_t enc = encoding(f, 1);

    a64_set_x(t, IR_I64, f->Rt, ir_call(t->ir, &mrs, 0, 0, 0, enc | f->Rt << 16));
}
