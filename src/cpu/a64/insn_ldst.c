/*
 * Loads and stores of one or two registers, general and SIMD&FP. Arm DDI 0487, "A64 Instruction Set
 * Encoding", "Loads and Stores". Exclusive, ordered and atomic ones are in insn_atomic.c, structures (LD1 ..)
 * with the SIMD instructions. Left out: tag instructions (no FEAT_MTE), 64-byte accesses (no FEAT_LS64). PRFM
 * does nothing. Where writeback meets a transferred register (CONSTRAINED UNPREDICTABLE), the loaded value
 * wins, and a store stores the old value.
 */
#include "bits.h"
#include "cpu/a64/decode.h"

/* Field idx of the immediate forms. */
enum { UNSCALED = 0, POST = 1, UNPRIVILEGED = 2, PRE = 3 };

/* Field idx of the pair forms. */
enum { PAIR_NO_ALLOCATE = 0, PAIR_POST = 1, PAIR_OFFSET = 2, PAIR_PRE = 3 };

/* ---- one general register ---- */

static bool is_prefetch(const A64Fields *f)
{
    return f->size == 3 && f->opc == 2;
}

static bool is_reserved(const A64Fields *f)
{
    return f->opc == 3 && f->size >= 2;
}

/* opc: 0 store, 1 load, 2 load and sign-extend to 64, 3 to 32 bits. */
static void transfer(A64Trans *t, const A64Fields *f, IrMem mem, IrRef addr, IrRef *loaded)
{
    *loaded = 0;
    if (f->opc == 0) {
        ir_store(t->ir, IR_I64, mem, addr, a64_x(t, IR_I64, f->Rt));
    } else {
        mem.sign = f->opc >= 2;
        *loaded = ir_load(t->ir, f->opc == 3 ? IR_I32 : IR_I64, mem, addr);
    }
}

static void finish_load(A64Trans *t, const A64Fields *f, IrRef loaded)
{
    if (loaded != 0) {
        a64_set_x(t, f->opc == 3 ? IR_I32 : IR_I64, f->Rt, loaded);
    }
}

/* Base register after pre- or post-indexing by @offset; SP stays aligned when it moves by multiples of 16. */
static void write_back(A64Trans *t, unsigned Rn, IrRef value, int64_t offset)
{
    bool aligned = t->sp_aligned && (offset & 15) == 0;

    a64_set_xsp(t, IR_I64, Rn, value);
    t->sp_aligned = Rn == 31 ? aligned : t->sp_aligned;
}

/* STR, LDR, STRB .. LDRSW (immediate, unsigned offset), PRFM. "Load/store register (unsigned immediate)". */
A64("size 111 0 01 opc imm12 Rn Rt", ldst_uimm)
{
    IrRef loaded;

    if (is_prefetch(f)) {
        return;
    }
    if (is_reserved(f)) {
        return a64_undefined(t);
    }
    transfer(t, f, a64_mem(t, f->size), a64_address(t, f->Rn, (int64_t)f->imm12 << f->size), &loaded);
    finish_load(t, f, loaded);
}

/* STUR, LDUR, PRFUM; post- and pre-indexed; STTR, LDTR. "Load/store register (unscaled immediate)",
 * "(immediate post-indexed)", "(unprivileged)", "(immediate pre-indexed)". */
A64("size 111 0 00 opc 0 imm9 idx Rn Rt", ldst_imm9)
{
    int64_t offset = sign_extend64(f->imm9, 9);
    IrMem   mem = a64_mem(t, f->size);
    IrRef   loaded;

    if (is_prefetch(f) && f->idx == UNSCALED) {
        return;
    }
    if (is_prefetch(f) || is_reserved(f)) {
        return a64_undefined(t);
    }
    mem.space = f->idx == UNPRIVILEGED && t->unpriv;
    IrRef addr = a64_address(t, f->Rn, f->idx == POST ? 0 : offset);
    transfer(t, f, mem, addr, &loaded);
    if (f->idx == POST || f->idx == PRE) {
        write_back(t, f->Rn, f->idx == POST ? a64_plus(t, addr, offset) : addr, offset);
    }
    finish_load(t, f, loaded);
}

/* Base + extended register; @scale is the shift when S is set. */
static IrRef register_offset(A64Trans *t, const A64Fields *f, unsigned scale)
{
    IrRef base = a64_address(t, f->Rn, 0);

    return ir_op2(t->ir, IR_add, IR_I64, base, a64_extend(t, IR_I64, f->Rm, f->option, f->S ? scale : 0));
}

/* STR, LDR ... (register), PRFM (register). "Load/store register (register offset)". */
A64("size 111 0 00 opc 1 Rm option S 10 Rn Rt", ldst_reg)
{
    IrRef loaded;

    if (is_reserved(f) || !(f->option & 2)) {
        return a64_undefined(t);
    }
    if (is_prefetch(f)) {
        return;
    }
    transfer(t, f, a64_mem(t, f->size), register_offset(t, f, f->size), &loaded);
    finish_load(t, f, loaded);
}

/* LDR, LDRSW, PRFM (literal). "Load register (literal)". */
A64("opc 011 0 00 imm19 Rt", ldr_literal)
{
    IrMem mem = a64_mem(t, f->opc == 1 ? 3 : 2);

    if (f->opc == 3) {
        return;
    }
    mem.sign = f->opc == 2;
    IrRef addr = ir_const(t->ir, IR_I64, t->pc + (uint64_t)(sign_extend64(f->imm19, 19) * 4));
    a64_set_x(t, IR_I64, f->Rt, ir_load(t->ir, IR_I64, mem, addr));
}

/* ---- two general registers ---- */

/* Both accesses of a pair, then base, then registers. */
static void pair(A64Trans *t, const A64Fields *f, unsigned size_log2, bool sign)
{
    int64_t offset = sign_extend64(f->imm7, 7) * (1 << size_log2);
    bool    wback = f->idx == PAIR_POST || f->idx == PAIR_PRE;
    IrMem   mem = a64_mem(t, size_log2);
    IrRef   addr = a64_address(t, f->Rn, f->idx == PAIR_POST ? 0 : offset);
    IrRef   next = a64_plus(t, addr, 1 << size_log2);
    IrRef   v1 = 0, v2 = 0;

    mem.sign = sign;
    if (f->L) {
        v1 = ir_load(t->ir, IR_I64, mem, addr);
        v2 = ir_load(t->ir, IR_I64, mem, next);
    } else {
        ir_store(t->ir, IR_I64, mem, addr, a64_x(t, IR_I64, f->Rt));
        ir_store(t->ir, IR_I64, mem, next, a64_x(t, IR_I64, f->Rt2));
    }
    if (wback) {
        write_back(t, f->Rn, f->idx == PAIR_POST ? a64_plus(t, addr, offset) : addr, offset);
    }
    if (f->L) {
        a64_set_x(t, IR_I64, f->Rt, v1);
        a64_set_x(t, IR_I64, f->Rt2, v2);
    }
}

/* STP, LDP, LDPSW, STNP, LDNP. "Load/store register pair" in its four indexing modes. */
A64("opc 101 0 0 idx L imm7 Rt2 Rn Rt", ldst_pair)
{
    bool ldpsw = f->opc == 1 && f->L && f->idx != PAIR_NO_ALLOCATE;

    if (f->opc == 3 || (f->opc == 1 && !ldpsw)) {
        return a64_undefined(t);
    }
    pair(t, f, f->opc == 2 ? 3 : 2, ldpsw);
}

/* ---- SIMD&FP registers ---- */

/* One access of 1 << @size_log2 bytes. */
static IrRef vector_load(A64Trans *t, IrMem mem, IrRef addr)
{
    return ir_load(t->ir, IR_V128, mem, addr);
}

static void vector_store(A64Trans *t, IrMem mem, IrRef addr, unsigned Rt)
{
    ir_store(t->ir, IR_V128, mem, addr, a64_v(t, IR_V128, Rt));
}

/* Bytes as a power of two: size, or 16 by opc bit 1. */
static unsigned vector_size(const A64Fields *f)
{
    return (f->opc & 2) << 1 | f->size;
}

static IrRef vector_transfer(A64Trans *t, const A64Fields *f, IrMem mem, IrRef addr)
{
    if (f->opc & 1) {
        return vector_load(t, mem, addr);
    }
    vector_store(t, mem, addr, f->Rt);
    return 0;
}

static void finish_vector(A64Trans *t, const A64Fields *f, IrMem mem, IrRef loaded)
{
    if (loaded != 0) {
        a64_set_v(t, IR_V128, f->Rt, loaded);
    }
}

/* STR, LDR (immediate, unsigned offset, SIMD&FP). */
A64("size 111 1 01 opc imm12 Rn Rt", ldst_uimm_v)
{
    unsigned size = vector_size(f);
    IrMem    mem = a64_mem(t, size);

    if (size > 4) {
        return a64_undefined(t);
    }
    if (a64_fp_check(t)) {
        IrRef addr = a64_address(t, f->Rn, (int64_t)f->imm12 << size);
        finish_vector(t, f, mem, vector_transfer(t, f, mem, addr));
    }
}

/* STUR, LDUR, post- and pre-indexed STR, LDR (SIMD&FP). */
A64("size 111 1 00 opc 0 imm9 idx Rn Rt", ldst_imm9_v)
{
    int64_t  offset = sign_extend64(f->imm9, 9);
    unsigned size = vector_size(f);
    IrMem    mem = a64_mem(t, size);

    if (size > 4 || f->idx == UNPRIVILEGED) {
        return a64_undefined(t);
    }
    if (!a64_fp_check(t)) {
        return;
    }
    IrRef addr = a64_address(t, f->Rn, f->idx == POST ? 0 : offset);
    IrRef loaded = vector_transfer(t, f, mem, addr);
    if (f->idx != UNSCALED) {
        write_back(t, f->Rn, f->idx == POST ? a64_plus(t, addr, offset) : addr, offset);
    }
    finish_vector(t, f, mem, loaded);
}

/* STR, LDR (register, SIMD&FP). */
A64("size 111 1 00 opc 1 Rm option S 10 Rn Rt", ldst_reg_v)
{
    unsigned size = vector_size(f);
    IrMem    mem = a64_mem(t, size);

    if (size > 4 || !(f->option & 2)) {
        return a64_undefined(t);
    }
    if (a64_fp_check(t)) {
        finish_vector(t, f, mem, vector_transfer(t, f, mem, register_offset(t, f, size)));
    }
}

/* LDR (literal, SIMD&FP). */
A64("opc 011 1 00 imm19 Rt", ldr_literal_v)
{
    IrMem mem = a64_mem(t, 2 + f->opc);

    if (f->opc == 3) {
        return a64_undefined(t);
    }
    if (a64_fp_check(t)) {
        IrRef addr = ir_const(t->ir, IR_I64, t->pc + (uint64_t)(sign_extend64(f->imm19, 19) * 4));
        a64_set_v(t, IR_V128, f->Rt, vector_load(t, mem, addr));
    }
}

static void pair_v(A64Trans *t, const A64Fields *f)
{
    unsigned size_log2 = 2 + f->opc;
    int64_t  offset = sign_extend64(f->imm7, 7) * (1 << size_log2);
    IrMem    mem = a64_mem(t, size_log2);
    IrRef    addr = a64_address(t, f->Rn, f->idx == PAIR_POST ? 0 : offset);
    IrRef    next = a64_plus(t, addr, 1 << size_log2);
    IrRef    v1 = 0, v2 = 0;

    if (f->L) {
        v1 = vector_load(t, mem, addr);
        v2 = vector_load(t, mem, next);
    } else {
        vector_store(t, mem, addr, f->Rt);
        vector_store(t, mem, next, f->Rt2);
    }
    if (f->idx == PAIR_POST || f->idx == PAIR_PRE) {
        write_back(t, f->Rn, f->idx == PAIR_POST ? a64_plus(t, addr, offset) : addr, offset);
    }
    if (f->L) {
        a64_set_v(t, IR_V128, f->Rt, v1);
        a64_set_v(t, IR_V128, f->Rt2, v2);
    }
}

/* STP, LDP, STNP, LDNP (SIMD&FP). */
A64("opc 101 1 0 idx L imm7 Rt2 Rn Rt", ldst_pair_v)
{
    if (f->opc == 3) {
        return a64_undefined(t);
    }
    if (a64_fp_check(t)) {
        pair_v(t, f);
    }
}

/* ---- RCpc, unscaled ---- */

/* STLUR, LDAPUR, LDAPURSB .. LDAPURSW. "LDAPR/STLR (unscaled immediate)". */
A64_FEAT("FEAT_LRCPC2", "size 011001 opc 0 imm9 00 Rn Rt", ldapur)
{
    IrRef loaded;

    if (is_prefetch(f) || is_reserved(f)) {
        return a64_undefined(t);
    }
    IrRef addr = a64_address(t, f->Rn, sign_extend64(f->imm9, 9));
    IrMem mem = a64_ordered(t, f->size, addr, f->opc != 0 ? 1 : 2, f->opc == 0);
    transfer(t, f, mem, addr, &loaded);
    finish_load(t, f, loaded);
}

/* ---- syndrome ---- */

/* ISV, SAS, SSE, SRT, SF at their places in ISS. */
static uint32_t access_iss(const A64Fields *f, unsigned size, bool sign, bool sf)
{
    return 1u << 24 | size << 22 | (uint32_t)sign << 21 | f->Rt << 16 | (uint32_t)sf << 15;
}

uint32_t a64_access_iss(uint32_t insn)
{
    A64Fields         f;
    const A64Pattern *p = a64_decode(insn, &f);

    if (p == &a64_ldst_uimm_pattern || p == &a64_ldst_reg_pattern || p == &a64_ldapur_pattern ||
        (p == &a64_ldst_imm9_pattern && (f.idx == UNSCALED || f.idx == UNPRIVILEGED))) {
        bool acquire_release = p == &a64_ldapur_pattern;
        bool sf = f.opc == 2 || (f.opc != 3 && f.size == 3);

        return access_iss(&f, f.size, f.opc >= 2, sf) | (uint32_t)acquire_release << 14;
    }
    if (p == &a64_ldr_literal_pattern) {
        return access_iss(&f, f.opc == 1 ? 3 : 2, f.opc == 2, f.opc != 0);
    }
    return a64_ordered_iss(p, &f);
}
