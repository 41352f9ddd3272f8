/*
 * Branches and exception generation. Arm DDI 0487, "A64 Instruction Set Encoding", "Branches, Exception
 * Generating and System instructions". Left out: BC.cond (no FEAT_HBC), TCANCEL (no FEAT_TME), DRPS and DCPSx
 * (no Debug state).
 */
#include "bits.h"
#include "cpu/a64/decode.h"

enum { RAISES = IR_READS | IR_WRITES | IR_FAULTS | IR_ENDS | IR_TIME };

/* PSTATE.BTYPE after BR and BLR. Shared pseudocode, "BranchTo" and the instructions' own pages. */
enum { BTYPE_NONE = 0, BTYPE_JUMP_X16 = 1, BTYPE_CALL = 2, BTYPE_JUMP = 3 };

static uint64_t target(const A64Trans *t, uint32_t imm, unsigned bits)
{
    return t->pc + (uint64_t)(sign_extend64(imm, bits) * 4);
}

static void set_link(A64Trans *t)
{
    a64_set_x(t, IR_I64, 30, ir_const(t->ir, IR_I64, t->pc + 4));
    ir_returns(t->ir, t->pc + 4);
}

/* ---- direct branches ---- */

/* B, BL. "Unconditional branch (immediate)". */
A64("op 00101 imm26", b)
{
    if (f->op) {
        set_link(t);
    }
    a64_jump(t, target(t, f->imm26, 26));
}

/* B.cond. "Conditional branch (immediate)". */
A64("01010100 imm19 0 cond", b_cond)
{
    if (f->cond >= 14) {
        a64_jump(t, target(t, f->imm19, 19));
    } else {
        a64_branch_if(t, a64_cond(t, f->cond), target(t, f->imm19, 19));
    }
}

/* CBZ, CBNZ. "Compare and branch (immediate)". */
A64("sf 011010 op imm19 Rt", cbz)
{
    IrType ty = f->sf ? IR_I64 : IR_I32;
    IrRef  zero = ir_const(t->ir, ty, 0);

    a64_branch_if(t, ir_op2(t->ir, f->op ? IR_cmpne : IR_cmpeq, ty, a64_x(t, ty, f->Rt), zero),
                  target(t, f->imm19, 19));
}

/* TBZ, TBNZ. "Test and branch (immediate)". */
A64("b5 011011 op b40 imm14 Rt", tbz)
{
    uint64_t bit = BIT(f->b5 << 5 | f->b40);
    IrRef    v = ir_op2(t->ir, IR_and, IR_I64, a64_x(t, IR_I64, f->Rt), ir_const(t->ir, IR_I64, bit));

    a64_branch_if(t, ir_op2(t->ir, f->op ? IR_cmpne : IR_cmpeq, IR_I64, v, ir_const(t->ir, IR_I64, 0)),
                  target(t, f->imm14, 14));
}

/* ---- branches to a register ---- */

static void jump_register(A64Trans *t, IrRef to, unsigned Rn)
{
    bool x16_17 = Rn == 16 || Rn == 17;

    a64_jump_indirect(t, to, x16_17 || !t->guarded ? BTYPE_JUMP_X16 : BTYPE_JUMP);
}

static void call_register(A64Trans *t, IrRef to)
{
    set_link(t);
    a64_jump_indirect(t, to, BTYPE_CALL);
}

/* "Unconditional branch (register)". */
A64("1101011 0000 11111 000000 Rn 00000", br)
{
    jump_register(t, a64_x(t, IR_I64, f->Rn), f->Rn);
}

A64("1101011 0001 11111 000000 Rn 00000", blr)
{
    call_register(t, a64_x(t, IR_I64, f->Rn));
}

A64("1101011 0010 11111 000000 Rn 00000", ret)
{
    a64_jump_indirect(t, a64_x(t, IR_I64, f->Rn), BTYPE_NONE);
}

/* The target of a branch with authentication: key A or B by @f->M. */
static IrRef authenticated(A64Trans *t, const A64Fields *f, unsigned Rn, IrRef modifier)
{
    return a64_authenticate(t, a64_x(t, IR_I64, Rn), modifier, f->M ? A64_PAC_IB : A64_PAC_IA);
}

/* BRAAZ, BRABZ; BLRAAZ, BLRABZ: modifier zero. */
A64_FEAT("FEAT_PAuth", "1101011 0000 11111 00001 M Rn 11111", braz)
{
    jump_register(t, authenticated(t, f, f->Rn, ir_const(t->ir, IR_I64, 0)), f->Rn);
}

A64_FEAT("FEAT_PAuth", "1101011 0001 11111 00001 M Rn 11111", blraz)
{
    call_register(t, authenticated(t, f, f->Rn, ir_const(t->ir, IR_I64, 0)));
}

/* BRAA, BRAB; BLRAA, BLRAB: modifier in a register or SP. */
A64_FEAT("FEAT_PAuth", "1101011 1000 11111 00001 M Rn Rm", bra)
{
    jump_register(t, authenticated(t, f, f->Rn, a64_xsp(t, IR_I64, f->Rm)), f->Rn);
}

A64_FEAT("FEAT_PAuth", "1101011 1001 11111 00001 M Rn Rm", blra)
{
    call_register(t, authenticated(t, f, f->Rn, a64_xsp(t, IR_I64, f->Rm)));
}

/* RETAA, RETAB. */
A64_FEAT("FEAT_PAuth", "1101011 0010 11111 00001 M 11111 11111", reta)
{
    a64_jump_indirect(t, authenticated(t, f, 30, a64_xsp(t, IR_I64, 31)), BTYPE_NONE);
}

/* ---- exception return ---- */

static uint64_t do_read_elr(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    return a64_elr(opaque);
}

static uint64_t do_eret(void *opaque, uint64_t pc, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_eret(opaque, pc);
    return 0;
}

static const IrHelper read_elr = { "read_elr", IR_I64, 0, IR_READS, .fn.scalar = do_read_elr };
static const IrHelper eret_to = { "eret", IR_VOID, 1, RAISES, .fn.scalar = do_eret };

/* ERET. "Unconditional branch (register)". */
A64("1101011 0100 11111 000000 11111 00000", eret)
{
    if (t->el == 0) {
        return a64_undefined(t);
    }
    a64_raise_by(t, &eret_to, ir_call(t->ir, &read_elr, 0, 0, 0, 0), 0);
}

/* ERETAA, ERETAB. */
A64_FEAT("FEAT_PAuth", "1101011 0100 11111 00001 M 11111 11111", ereta)
{
    if (t->el == 0) {
        return a64_undefined(t);
    }
    IrRef elr = ir_call(t->ir, &read_elr, 0, 0, 0, 0);
    a64_raise_by(t, &eret_to,
                 a64_authenticate(t, elr, a64_xsp(t, IR_I64, 31), f->M ? A64_PAC_IB : A64_PAC_IA), 0);
}

/* ---- exception generation ---- */

static uint64_t do_svc(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_svc(opaque, (uint16_t)imm);
    return 0;
}

static uint64_t do_hvc(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_hvc(opaque, (uint16_t)imm);
    return 0;
}

static uint64_t do_smc(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_smc(opaque, (uint16_t)imm);
    return 0;
}

static uint64_t do_brk(void *opaque, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    a64_brk(opaque, (uint16_t)imm);
    return 0;
}

static const IrHelper svc = { "svc", IR_VOID, 0, RAISES, .fn.scalar = do_svc };
static const IrHelper hvc = { "hvc", IR_VOID, 0, RAISES, .fn.scalar = do_hvc };
static const IrHelper smc = { "smc", IR_VOID, 0, RAISES, .fn.scalar = do_smc };
static const IrHelper breakpoint = { "brk", IR_VOID, 0, RAISES, .fn.scalar = do_brk };

/* "Exception generation". */
A64("11010100 000 imm16 000 01", svc)
{
    a64_raise_by(t, &svc, 0, f->imm16);
}

A64("11010100 000 imm16 000 10", hvc)
{
    a64_raise_by(t, &hvc, 0, f->imm16);
}

A64("11010100 000 imm16 000 11", smc)
{
    a64_raise_by(t, &smc, 0, f->imm16);
}

A64("11010100 001 imm16 000 00", brk)
{
    a64_raise_by(t, &breakpoint, 0, f->imm16);
}

/* HLT is UNDEFINED while halting is not allowed, and there is no external debugger here. */
A64("11010100 010 imm16 000 00", hlt)
{
    a64_undefined(t);
}

/* UDF. "Reserved". */
A64("0000000000000000 imm16", udf)
{
    a64_undefined(t);
}
