/*
 * Data processing with immediates. Arm DDI 0487, "A64 Instruction Set Encoding", "Data Processing --
 * Immediate". Left out: ADDG and SUBG (no FEAT_MTE), the min/max immediates (no FEAT_CSSC).
 */
#include "bits.h"
#include "cpu/a64/decode.h"

/* ADR, ADRP. "PC-rel. addressing". */
A64("op immlo 10000 immhi Rd", adr)
{
    int64_t imm = sign_extend64(f->immhi << 2 | f->immlo, 21);
    uint64_t to = f->op ? align_down(t->pc, 4096) + ((uint64_t)imm << 12) : t->pc + (uint64_t)imm;

    a64_set_x(t, IR_I64, f->Rd, ir_const(t->ir, IR_I64, to));
}

/* ADD, ADDS, SUB, SUBS (immediate). "Add/subtract (immediate)". */
A64("sf op S 100010 sh imm12 Rn Rd", addsub_imm)
{
    IrType   ty = f->sf ? IR_I64 : IR_I32;
    uint64_t imm = (uint64_t)f->imm12 << (f->sh ? 12 : 0);
    IrRef    a = a64_xsp(t, ty, f->Rn);

    if (f->S) {
        a64_set_x(t, ty, f->Rd, a64_addsub(t, a, ir_const(t->ir, ty, imm), f->op, true));
        return;
    }
    bool  aligned = t->sp_aligned && f->Rn == 31 && is_aligned(imm, 16) && f->sf;
    IrRef r = imm == 0 ? a : a64_addsub(t, a, ir_const(t->ir, ty, imm), f->op, false);
    a64_set_xsp(t, ty, f->Rd, r);
    t->sp_aligned = f->Rd == 31 ? aligned : t->sp_aligned;
}

/* AND, ORR, EOR, ANDS (immediate). "Logical (immediate)". */
A64("sf opc 100100 N immr imms Rn Rd", logical_imm)
{
    static const IrOp ops[] = { IR_and, IR_or, IR_xor, IR_and };
    IrType   ty = f->sf ? IR_I64 : IR_I32;
    uint64_t imm;

    if (!a64_bitmask(f->N, f->imms, f->immr, f->sf ? 64 : 32, &imm)) {
        return a64_undefined(t);
    }
    IrRef b = ir_const(t->ir, ty, imm);
    IrRef r = f->opc == 1 && f->Rn == 31 ? b : ir_op2(t->ir, ops[f->opc], ty, a64_x(t, ty, f->Rn), b);
    if (f->opc == 3) {
        a64_set_nzcv(t, ir_flags(t->ir, IR_FLAGS_LOGIC, ty, r, 0, 0));
        a64_set_x(t, ty, f->Rd, r);
    } else {
        a64_set_xsp(t, ty, f->Rd, r);
    }
}

/* MOVN, MOVZ, MOVK. "Move wide (immediate)". */
A64("sf opc 100101 hw imm16 Rd", mov_wide)
{
    IrType   ty = f->sf ? IR_I64 : IR_I32;
    unsigned at = f->hw * 16;
    uint64_t imm = (uint64_t)f->imm16 << at;

    if (f->opc == 1 || (!f->sf && f->hw >= 2)) {
        return a64_undefined(t);
    }
    if (f->opc == 3) {
        IrRef part = ir_const(t->ir, ty, f->imm16);
        a64_set_x(t, ty, f->Rd, ir_opi(t->ir, IR_bfi, ty, a64_x(t, ty, f->Rd), part, at | 16 << 8));
        return;
    }
    imm = (f->opc == 0 ? ~imm : imm) & mask64(f->sf ? 64 : 32);
    a64_set_x(t, IR_I64, f->Rd, ir_const(t->ir, IR_I64, imm));
}

/* The field [lsb, lsb + len) of a value moved to bit 0, then up; SBFM and UBFM. */
static IrRef bitfield_move(A64Trans *t, const A64Fields *f, IrType ty, IrRef v)
{
    unsigned width = f->sf ? 64 : 32;
    IrOp     op = f->opc == 0 ? IR_sbfx : IR_bfx;

    if (f->imms >= f->immr) { /* SBFX, UBFX, ASR, LSR, SXTB ... */
        unsigned len = f->imms - f->immr + 1;
        return len == width ? v : ir_opi(t->ir, op, ty, v, 0, f->immr | len << 8);
    }
    unsigned len = f->imms + 1; /* SBFIZ, UBFIZ, LSL */
    if (len != f->immr) {
        v = ir_opi(t->ir, op, ty, v, 0, len << 8);
    }
    return a64_shift(t, ty, v, A64_LSL, width - f->immr);
}

/* BFM: the same field laid over the destination (BFI, BFXIL). */
static IrRef bitfield_insert(A64Trans *t, const A64Fields *f, IrType ty, IrRef v)
{
    unsigned width = f->sf ? 64 : 32;
    IrRef    d = a64_x(t, ty, f->Rd);

    if (f->imms >= f->immr) {
        unsigned len = f->imms - f->immr + 1;
        v = a64_shift(t, ty, v, A64_LSR, f->immr);
        return ir_opi(t->ir, IR_bfi, ty, d, v, len << 8);
    }
    return ir_opi(t->ir, IR_bfi, ty, d, v, (width - f->immr) | (f->imms + 1) << 8);
}

/* SBFM, BFM, UBFM. "Bitfield". */
A64("sf opc 100110 N immr imms Rn Rd", bitfield)
{
    IrType ty = f->sf ? IR_I64 : IR_I32;

    if (f->opc == 3 || f->N != f->sf || (!f->sf && (f->immr >= 32 || f->imms >= 32))) {
        return a64_undefined(t);
    }
    IrRef v = a64_x(t, ty, f->Rn);
    a64_set_x(t, ty, f->Rd, f->opc == 1 ? bitfield_insert(t, f, ty, v) : bitfield_move(t, f, ty, v));
}

/* EXTR. "Extract". */
A64("sf 00 100111 N 0 Rm imms Rn Rd", extr)
{
    IrType ty = f->sf ? IR_I64 : IR_I32;

    if (f->N != f->sf || (!f->sf && f->imms >= 32)) {
        return a64_undefined(t);
    }
    IrRef low = a64_x(t, ty, f->Rm);
    IrRef r = f->Rn == f->Rm ? a64_shift(t, ty, low, A64_ROR, f->imms)
                             : ir_opi(t->ir, IR_extr, ty, a64_x(t, ty, f->Rn), low, f->imms);
    a64_set_x(t, ty, f->Rd, r);
}
