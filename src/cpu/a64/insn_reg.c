/*
 * Data processing on registers. Arm DDI 0487, "A64 Instruction Set Encoding", "Data Processing -- Register".
 * Pointer authentication forms are in pauth.c. Left out: MTE's IRG, GMI, SUBP, SUBPS; FEAT_CSSC; FEAT_CPA.
 */
#include "bits.h"
#include "cpu/a64/crypto.h"
#include "cpu/a64/decode.h"

static IrType type_of(const A64Fields *f)
{
    return f->sf ? IR_I64 : IR_I32;
}

/* ---- logical, add and subtract ---- */

/* AND, BIC, ORR, ORN, EOR, EON, ANDS, BICS (shifted register). "Logical (shifted register)". */
A64("sf opc 01010 shift N Rm imm6 Rn Rd", logical_shifted)
{
    static const IrOp ops[4][2] = {
        { IR_and, IR_andn }, { IR_or, IR_orn }, { IR_xor, IR_xorn }, { IR_and, IR_andn },
    };
    IrType ty = type_of(f);

    if (!f->sf && f->imm6 >= 32) {
        return a64_undefined(t);
    }
    IrRef b = a64_shift(t, ty, a64_x(t, ty, f->Rm), (A64Shift)f->shift, f->imm6);
    IrRef r;
    if (f->opc == 1 && f->Rn == 31) { /* MOV, MVN */
        r = f->N ? ir_op1(t->ir, IR_not, ty, b) : b;
    } else {
        r = ir_op2(t->ir, ops[f->opc][f->N], ty, a64_x(t, ty, f->Rn), b);
    }
    if (f->opc == 3) {
        a64_set_nzcv(t, ir_flags(t->ir, IR_FLAGS_LOGIC, ty, r, 0, 0));
    }
    a64_set_x(t, ty, f->Rd, r);
}

/* ADD, ADDS, SUB, SUBS (shifted register). "Add/subtract (shifted register)". */
A64("sf op S 01011 shift 0 Rm imm6 Rn Rd", addsub_shifted)
{
    IrType ty = type_of(f);

    if (f->shift == 3 || (!f->sf && f->imm6 >= 32)) {
        return a64_undefined(t);
    }
    IrRef b = a64_shift(t, ty, a64_x(t, ty, f->Rm), (A64Shift)f->shift, f->imm6);
    if (f->op && f->Rn == 31 && !f->S) { /* NEG */
        a64_set_x(t, ty, f->Rd, ir_op1(t->ir, IR_neg, ty, b));
    } else {
        a64_set_x(t, ty, f->Rd, a64_addsub(t, a64_x(t, ty, f->Rn), b, f->op, f->S));
    }
}

/* ADD, ADDS, SUB, SUBS (extended register). "Add/subtract (extended register)". */
A64("sf op S 01011 00 1 Rm option imm3 Rn Rd", addsub_extended)
{
    IrType ty = type_of(f);

    if (f->imm3 > 4) {
        return a64_undefined(t);
    }
    IrRef b = a64_extend(t, ty, f->Rm, f->option, f->imm3);
    IrRef r = a64_addsub(t, a64_xsp(t, ty, f->Rn), b, f->op, f->S);
    if (f->S) {
        a64_set_x(t, ty, f->Rd, r);
    } else {
        a64_set_xsp(t, ty, f->Rd, r);
    }
}

/* ADC, ADCS, SBC, SBCS. "Add/subtract (with carry)". */
A64("sf op S 11010000 Rm 000000 Rn Rd", addsub_carry)
{
    IrType ty = type_of(f);
    IrRef  carry = ir_flags_cond(t->ir, IR_COND_C, a64_nzcv(t));
    IrRef  a = a64_x(t, ty, f->Rn), b = a64_x(t, ty, f->Rm);
    IrRef  r = ir_op3(t->ir, f->op ? IR_sbc : IR_adc, ty, a, b, carry);

    if (f->S) {
        a64_set_nzcv(t, ir_flags(t->ir, f->op ? IR_FLAGS_SUB : IR_FLAGS_ADD, ty, a, b, carry));
    }
    a64_set_x(t, ty, f->Rd, r);
}

/* ---- flags ---- */

/* The bits of @mask (IR_PACK_*) from @bits, the others of NZCV unchanged. */
static void merge_nzcv(A64Trans *t, IrRef bits, unsigned mask)
{
    if (mask != 15) {
        IrRef old = ir_flags_pack(t->ir, a64_nzcv(t));
        old = ir_op2(t->ir, IR_and, IR_I32, old, ir_const(t->ir, IR_I32, 15 & ~mask));
        bits = ir_op2(t->ir, IR_and, IR_I32, bits, ir_const(t->ir, IR_I32, mask));
        bits = ir_op2(t->ir, IR_or, IR_I32, bits, old);
    }
    a64_set_nzcv(t, ir_flags_unpack(t->ir, bits));
}

/* RMIF. "Rotate right into flags". */
A64_FEAT("FEAT_FlagM", "1 01 11010000 imm6 00001 Rn 0 mask", rmif)
{
    IrRef v = a64_shift(t, IR_I64, a64_x(t, IR_I64, f->Rn), A64_ROR, f->imm6);

    v = ir_opi(t->ir, IR_bfx, IR_I32, ir_trunc(t->ir, IR_I32, v), 0, 4 << 8);
    merge_nzcv(t, v, f->mask);
}

/* SETF8, SETF16. "Evaluate into flags": N, Z and V of a small signed number; C stays. */
A64_FEAT("FEAT_FlagM", "0 01 11010000 000000 sz 0010 Rn 0 1101", setf)
{
    /* x + x with the number's sign above its sign: they differ where V is to be set. */
    IrRef x = a64_shift(t, IR_I32, a64_x(t, IR_I32, f->Rn), A64_LSL, f->sz ? 15 : 23);

    merge_nzcv(t, ir_flags_pack(t->ir, ir_flags(t->ir, IR_FLAGS_ADD, IR_I32, x, x, 0)),
               IR_PACK_N | IR_PACK_Z | IR_PACK_V);
}

/* CCMN, CCMP. "Conditional compare": the comparison's flags, or the immediate ones. */
static void conditional_compare(A64Trans *t, const A64Fields *f, IrRef b)
{
    IrType ty = type_of(f);
    IrRef  a = a64_x(t, ty, f->Rn);
    IrRef  flags = ir_flags(t->ir, f->op ? IR_FLAGS_SUB : IR_FLAGS_ADD, ty, a, b, 0);

    if (f->cond < 14) {
        IrRef given = ir_flags_unpack(t->ir, ir_const(t->ir, IR_I32, f->nzcv));
        flags = ir_flags_select(t->ir, a64_cond(t, f->cond), flags, given);
    }
    a64_set_nzcv(t, flags);
}

A64("sf op 1 11010010 Rm cond 00 Rn 0 nzcv", ccmp_reg)
{
    conditional_compare(t, f, a64_x(t, type_of(f), f->Rm));
}

A64("sf op 1 11010010 imm5 cond 10 Rn 0 nzcv", ccmp_imm)
{
    conditional_compare(t, f, ir_const(t->ir, type_of(f), f->imm5));
}

/* ---- select ---- */

/* CSET and CSETM (cond inverted): the condition itself. */
static IrRef cond_value(A64Trans *t, const A64Fields *f, IrType ty)
{
    IrRef set = a64_cond(t, f->cond ^ 1);
    IrRef v = ty == IR_I64 ? ir_zext(t->ir, IR_I64, set) : set;

    return f->op ? ir_op1(t->ir, IR_neg, ty, v) : v;
}

/* CSEL, CSINC, CSINV, CSNEG. "Conditional select". */
A64("sf op 0 11010100 Rm cond 0 o2 Rn Rd", csel)
{
    IrType ty = type_of(f);

    if (f->Rn == 31 && f->Rm == 31 && f->op != f->o2 && f->cond < 14) {
        a64_set_x(t, ty, f->Rd, cond_value(t, f, ty));
        return;
    }
    if (f->Rn == f->Rm && !f->op && f->o2 && f->cond >> 1 == 1) { /* CINC by the carry: a sum with it */
        a64_set_x(t, ty, f->Rd, ir_op3(t->ir, IR_adc, ty, a64_x(t, ty, f->Rn), ir_const(t->ir, ty, 0),
                                       a64_cond(t, f->cond ^ 1)));
        return;
    }
    IrRef b = a64_x(t, ty, f->Rm);
    if (f->op) {
        b = ir_op1(t->ir, f->o2 ? IR_neg : IR_not, ty, b);
    } else if (f->o2) {
        b = ir_op2(t->ir, IR_add, ty, b, ir_const(t->ir, ty, 1));
    }
    a64_set_x(t, ty, f->Rd, ir_select(t->ir, ty, a64_cond(t, f->cond), a64_x(t, ty, f->Rn), b));
}

/* ---- two sources ---- */

/* UDIV, SDIV. "Data-processing (2 source)". */
A64("sf 0 0 11010110 Rm 00001 o1 Rn Rd", div)
{
    IrType ty = type_of(f);

    a64_set_x(t, ty, f->Rd,
              ir_op2(t->ir, f->o1 ? IR_sdiv : IR_udiv, ty, a64_x(t, ty, f->Rn), a64_x(t, ty, f->Rm)));
}

/* LSLV, LSRV, ASRV, RORV: the count is taken modulo the width. */
A64("sf 0 0 11010110 Rm 0010 opcode2 Rn Rd", shift_var)
{
    static const IrOp ops[] = { IR_shl, IR_shr, IR_sar, IR_ror };
    IrType ty = type_of(f);
    IrRef  n = ir_op2(t->ir, IR_and, ty, a64_x(t, ty, f->Rm), ir_const(t->ir, ty, f->sf ? 63 : 31));

    a64_set_x(t, ty, f->Rd, ir_op2(t->ir, ops[f->opcode2], ty, a64_x(t, ty, f->Rn), n));
}

static uint64_t do_crc32(void *cpu, uint64_t acc, uint64_t value, uint64_t c, uint64_t imm)
{
    return crypto_crc32((uint32_t)acc, value, (unsigned)imm);
}

static uint64_t do_crc32c(void *cpu, uint64_t acc, uint64_t value, uint64_t c, uint64_t imm)
{
    return crypto_crc32c((uint32_t)acc, value, (unsigned)imm);
}

static const IrHelper crc32 = { "crc32", IR_I32, 2, IR_PURE, false, IR_INLINE_CRC32, .fn.scalar = do_crc32 };
static const IrHelper crc32c = { "crc32c", IR_I32, 2, IR_PURE, false, IR_INLINE_CRC32C, .fn.scalar = do_crc32c };

/* CRC32B, H, W, X and CRC32CB, H, W, X. */
A64_FEAT("FEAT_CRC32", "sf 0 0 11010110 Rm 010 C size Rn Rd", crc)
{
    if ((f->size == 3) != f->sf) {
        return a64_undefined(t);
    }
    IrRef r = ir_call(t->ir, f->C ? &crc32c : &crc32, a64_x(t, IR_I32, f->Rn), a64_x(t, IR_I64, f->Rm), 0,
                      1u << f->size);
    a64_set_x(t, IR_I32, f->Rd, r);
}

/* ---- one source ---- */

static void one_source(A64Trans *t, const A64Fields *f, IrOp op)
{
    IrType ty = type_of(f);

    a64_set_x(t, ty, f->Rd, ir_op1(t->ir, op, ty, a64_x(t, ty, f->Rn)));
}

/* "Data-processing (1 source)". */
A64("sf 1 0 11010110 00000 000000 Rn Rd", rbit)
{
    one_source(t, f, IR_rbit);
}

A64("sf 1 0 11010110 00000 000001 Rn Rd", rev16)
{
    one_source(t, f, IR_rev16);
}

/* REV of a W register, REV32 of an X register. */
A64("sf 1 0 11010110 00000 000010 Rn Rd", rev32)
{
    one_source(t, f, f->sf ? IR_rev32 : IR_bswap);
}

A64("1 1 0 11010110 00000 000011 Rn Rd", rev64)
{
    a64_set_x(t, IR_I64, f->Rd, ir_op1(t->ir, IR_bswap, IR_I64, a64_x(t, IR_I64, f->Rn)));
}

A64("sf 1 0 11010110 00000 000100 Rn Rd", clz)
{
    one_source(t, f, IR_clz);
}

A64("sf 1 0 11010110 00000 000101 Rn Rd", cls)
{
    one_source(t, f, IR_cls);
}

/* ---- three sources ---- */

/* Ra + product or Ra - product; Ra 31 is zero. */
static void accumulate(A64Trans *t, const A64Fields *f, IrType ty, IrRef product)
{
    if (f->Ra == 31) {
        a64_set_x(t, ty, f->Rd, f->o0 ? ir_op1(t->ir, IR_neg, ty, product) : product);
    } else {
        a64_set_x(t, ty, f->Rd, a64_addsub(t, a64_x(t, ty, f->Ra), product, f->o0, false));
    }
}

/* MADD, MSUB. "Data-processing (3 source)". */
A64("sf 00 11011 000 Rm o0 Ra Rn Rd", madd)
{
    IrType ty = type_of(f);

    accumulate(t, f, ty, ir_op2(t->ir, IR_mul, ty, a64_x(t, ty, f->Rn), a64_x(t, ty, f->Rm)));
}

/* SMADDL, SMSUBL, UMADDL, UMSUBL: 32 x 32 to 64 bits. */
A64("1 00 11011 U 01 Rm o0 Ra Rn Rd", maddl)
{
    IrOp  widen = f->U ? IR_bfx : IR_sbfx;
    IrRef a = ir_opi(t->ir, widen, IR_I64, a64_x(t, IR_I64, f->Rn), 0, 32 << 8);
    IrRef b = ir_opi(t->ir, widen, IR_I64, a64_x(t, IR_I64, f->Rm), 0, 32 << 8);

    accumulate(t, f, IR_I64, ir_op2(t->ir, IR_mul, IR_I64, a, b));
}

/* SMULH, UMULH. */
A64("1 00 11011 U 10 Rm 0 Ra Rn Rd", mulh)
{
    a64_set_x(t, IR_I64, f->Rd, ir_op2(t->ir, f->U ? IR_mulhu : IR_mulhs, IR_I64, a64_x(t, IR_I64, f->Rn),
                                       a64_x(t, IR_I64, f->Rm)));
}
