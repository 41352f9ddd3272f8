/*
 * AdvSIMD copy, permute, extract, table lookup and modified immediate. Arm DDI 0487, "Advanced SIMD copy",
 * "Advanced SIMD scalar copy", "Advanced SIMD permute", "Advanced SIMD extract", "Advanced SIMD table
 * lookup", "Advanced SIMD modified immediate".
 */
#include "bits.h"
#include "cpu/a64/simd.h"

/* ---- copy: imm5 is the lane number above a one that tells the size ---- */

/* Takes imm5 apart and makes the checks; @sizes that are allocated. */
static bool begin_copy(A64Trans *t, const A64Fields *f, unsigned sizes, unsigned *size, unsigned *index)
{
    *size = f->imm5 & 15 ? (unsigned)__builtin_ctz(f->imm5) : 4;
    *index = f->imm5 >> (*size + 1);
    return simd_begin_any(t, *size, sizes);
}

static IrRef get_lane(A64Trans *t, unsigned n, unsigned size, unsigned index)
{
    return ir_opi(t->ir, IR_vget, IR_I64, a64_v(t, IR_V128, n), 0, index << 4 | size);
}

static void set_lane(A64Trans *t, unsigned d, unsigned size, unsigned index, IrRef v)
{
    a64_set_v(t, IR_V128, d, ir_opi(t->ir, IR_vset, IR_V128, a64_v(t, IR_V128, d), v, index << 4 | size));
}

static unsigned sizes_for(const A64Fields *f)
{
    return f->Q ? SIMD_ALL : SIMD_BHS;
}

A64("0 Q 0 01110000 imm5 0 0000 1 Rn Rd", dup_element)
{
    unsigned size, index;

    if (begin_copy(t, f, sizes_for(f), &size, &index)) {
        IrRef n = a64_v(t, IR_V128, f->Rn);
        a64_set_v(t, simd_type(f->Q), f->Rd, ir_opi(t->ir, IR_vdupl, simd_type(f->Q), n, 0, index << 4 | size));
    }
}

A64("01 0 11110000 imm5 0 0000 1 Rn Rd", dup_scalar)
{
    unsigned size, index;

    if (begin_copy(t, f, SIMD_ALL, &size, &index)) {
        a64_set_v(t, IR_I64, f->Rd, get_lane(t, f->Rn, size, index));
    }
}

A64("0 Q 0 01110000 imm5 0 0001 1 Rn Rd", dup_general)
{
    unsigned size, index;

    if (begin_copy(t, f, sizes_for(f), &size, &index)) {
        IrRef x = a64_x(t, IR_I64, f->Rn);
        a64_set_v(t, simd_type(f->Q), f->Rd, ir_opi(t->ir, IR_vdup, simd_type(f->Q), x, 0, size));
    }
}

/* Bytes and halfwords to 32 or 64 bits, words to 64. */
A64("0 Q 0 01110000 imm5 0 0101 1 Rn Rd", smov)
{
    unsigned size, index;

    if (begin_copy(t, f, f->Q ? SIMD_BHS : SIMD_B | SIMD_H, &size, &index)) {
        IrRef lane = ir_opi(t->ir, IR_sbfx, IR_I64, get_lane(t, f->Rn, size, index), 0, (8u << size) << 8);
        IrType ty = f->Q ? IR_I64 : IR_I32;
        a64_set_x(t, ty, f->Rd, ir_trunc(t->ir, ty, lane));
    }
}

/* To 64 bits only doublewords, to 32 the others. */
A64("0 Q 0 01110000 imm5 0 0111 1 Rn Rd", umov)
{
    unsigned size, index;

    if (begin_copy(t, f, f->Q ? SIMD_D : SIMD_BHS, &size, &index)) {
        a64_set_x(t, IR_I64, f->Rd, get_lane(t, f->Rn, size, index));
    }
}

A64("0 1 0 01110000 imm5 0 0011 1 Rn Rd", ins_general)
{
    unsigned size, index;

    if (begin_copy(t, f, SIMD_ALL, &size, &index)) {
        set_lane(t, f->Rd, size, index, a64_x(t, IR_I64, f->Rn));
    }
}

A64("0 1 1 01110000 imm5 0 imm4 1 Rn Rd", ins_element)
{
    unsigned size, index;

    if (begin_copy(t, f, SIMD_ALL, &size, &index)) {
        IrRef d = a64_v(t, IR_V128, f->Rd), n = a64_v(t, IR_V128, f->Rn);
        unsigned imm = (f->imm4 >> size) << 8 | index << 4 | size;
        a64_set_v(t, IR_V128, f->Rd, ir_opi(t->ir, IR_vins, IR_V128, d, n, imm));
    }
}

/* ---- permute ---- */

#define PERMUTE(opcode, ident)                                                                             \
    A64("0 Q 001110 size 0 Rm 0 " opcode " 10 Rn Rd", ident)                                               \
    {                                                                                                      \
        if (simd_begin(t, f->size, f->Q, SIMD_ALL)) {                                                      \
            simd_op2(t, f, IR_v##ident, simd_type(f->Q), f->size);                                         \
        }                                                                                                  \
    }

PERMUTE("001", uzp1)
PERMUTE("010", trn1)
PERMUTE("011", zip1)
PERMUTE("101", uzp2)
PERMUTE("110", trn2)
PERMUTE("111", zip2)

/* EXT. */
A64("0 Q 101110 00 0 Rm 0 imm4 0 Rn Rd", ext)
{
    if (!f->Q && f->imm4 >= 8) {
        return a64_undefined(t);
    }
    if (a64_fp_check(t)) {
        simd_op2(t, f, IR_vext, simd_type(f->Q), f->imm4);
    }
}

/* ---- table lookup ---- */

static IrRef bytes_of(A64Trans *t, uint64_t v)
{
    return ir_opi(t->ir, IR_vdup, IR_V128, ir_const(t->ir, IR_I64, v), 0, 0);
}

/* One or two registers from Rn + @first on, bytes that no index chooses being zero. */
static IrRef look_up(A64Trans *t, const A64Fields *f, unsigned first, IrRef index)
{
    SimdShape shape = simd_shape(0, f->Q);
    IrRef     table = a64_v(t, IR_V128, (f->Rn + first) % 32);

    if (f->len == first) {
        return ir_call(t->ir, &simd_tbl1, table, index, 0, shape);
    }
    return ir_call(t->ir, &simd_tbl2, table, a64_v(t, IR_V128, (f->Rn + first + 1) % 32), index, shape);
}

/* Up to four registers: an index below 32 is below 0, and so out of range, for the second pair. */
static IrRef look_up_all(A64Trans *t, const A64Fields *f, IrRef index)
{
    IrRef v = look_up(t, f, 0, index);

    if (f->len >= 2) {
        index = ir_opi(t->ir, IR_vsub, IR_V128, index, bytes_of(t, 32), 0);
        v = ir_op2(t->ir, IR_vor, IR_V128, v, look_up(t, f, 2, index));
    }
    return v;
}

A64("0 Q 001110 00 0 Rm 0 len 0 00 Rn Rd", tbl)
{
    if (a64_fp_check(t)) {
        a64_set_v(t, IR_V128, f->Rd, look_up_all(t, f, a64_v(t, IR_V128, f->Rm)));
    }
}

A64("0 Q 001110 00 0 Rm 0 len 1 00 Rn Rd", tbx)
{
    if (!a64_fp_check(t)) {
        return;
    }
    if (f->len == 0) {
        simd_emit(t, f, &simd_tbx1, simd_shape(0, f->Q));
        return;
    }
    IrRef index = a64_v(t, IR_V128, f->Rm), v = look_up_all(t, f, index);
    IrRef beyond = ir_opi(t->ir, IR_vcmpgtu, IR_V128, index, bytes_of(t, 16u * f->len + 15), 0);
    v = ir_op3(t->ir, IR_vbsl, IR_V128, beyond, a64_v(t, IR_V128, f->Rd), v);
    a64_set_v(t, simd_type(f->Q), f->Rd, f->Q ? v : ir_op1(t->ir, IR_vlow, IR_V64, v));
}

/* ---- modified immediate ---- */

/* Shared pseudocode AdvSIMDExpandImm(), but for the immediates that are floating point. */
static uint64_t expand_integer(unsigned cmode, unsigned op, uint64_t imm8)
{
    uint64_t v = 0;

    if (cmode < 8) {
        return (imm8 << 8 * (cmode >> 1)) * 0x100000001ull;
    }
    if (cmode < 12) {
        return (imm8 << (cmode & 2 ? 8 : 0)) * 0x1000100010001ull;
    }
    if (cmode < 14) {
        return (cmode & 1 ? imm8 << 16 | 0xffff : imm8 << 8 | 0xff) * 0x100000001ull;
    }
    if (op == 0) {
        return imm8 * 0x0101010101010101ull;
    }
    for (unsigned i = 0; i < 8; i++) {
        v |= imm8 >> i & 1 ? 0xffull << 8 * i : 0;
    }
    return v;
}

static uint64_t expand_imm(unsigned cmode, unsigned op, uint8_t imm8)
{
    if (cmode == 15) {
        return op ? fp_expand_imm(FP_F64, imm8) : fp_expand_imm(FP_F32, imm8) * 0x100000001ull;
    }
    return expand_integer(cmode, op, imm8);
}

static IrRef vector_of(A64Trans *t, IrType ty, uint64_t imm)
{
    return ir_opi(t->ir, IR_vdup, ty, ir_const(t->ir, IR_I64, imm), 0, 3);
}

/* ORR and BIC (odd cmode up to 11) change Rd; MOVI, MVNI and FMOV replace it. */
static void modified_imm(A64Trans *t, const A64Fields *f, unsigned cmode, unsigned op)
{
    IrType   ty = simd_type(f->Q);
    uint64_t imm = expand_imm(cmode, op, (uint8_t)(f->abc << 5 | f->defgh));

    if (cmode == 15 && op && !f->Q) {
        return a64_undefined(t);
    }
    if (!a64_fp_check(t)) {
        return;
    }
    if (cmode < 12 && (cmode & 1)) {
        IrRef d = a64_v(t, ty, f->Rd);
        a64_set_v(t, ty, f->Rd, ir_op2(t->ir, op ? IR_vandn : IR_vor, ty, d, vector_of(t, ty, imm)));
    } else {
        a64_set_v(t, ty, f->Rd, vector_of(t, ty, op && cmode < 14 ? ~imm : imm));
    }
}

/* One pattern per cmode and op: no bit of immh is set, which is what tells these from shifts by immediate. */
#define MODIFIED_IMM(op, bits, ident, cmode)                                                               \
    A64("0 Q " #op " 0111100000 abc " bits " 0 1 defgh Rd", ident)                                         \
    {                                                                                                      \
        modified_imm(t, f, cmode, op);                                                                     \
    }

#define BOTH_MODIFIED_IMM(bits, ident0, ident1, cmode)                                                     \
    MODIFIED_IMM(0, bits, ident0, cmode)                                                                   \
    MODIFIED_IMM(1, bits, ident1, cmode)

BOTH_MODIFIED_IMM("0000", movi_word, mvni_word, 0)
BOTH_MODIFIED_IMM("0010", movi_word_lsl8, mvni_word_lsl8, 2)
BOTH_MODIFIED_IMM("0100", movi_word_lsl16, mvni_word_lsl16, 4)
BOTH_MODIFIED_IMM("0110", movi_word_lsl24, mvni_word_lsl24, 6)
BOTH_MODIFIED_IMM("1000", movi_half, mvni_half, 8)
BOTH_MODIFIED_IMM("1010", movi_half_lsl8, mvni_half_lsl8, 10)
BOTH_MODIFIED_IMM("1100", movi_word_msl8, mvni_word_msl8, 12)
BOTH_MODIFIED_IMM("1101", movi_word_msl16, mvni_word_msl16, 13)
BOTH_MODIFIED_IMM("1110", movi_bytes, movi_mask, 14)
BOTH_MODIFIED_IMM("1111", fmov_imm_single, fmov_imm_double, 15)
BOTH_MODIFIED_IMM("0001", orr_word, bic_word, 1)
BOTH_MODIFIED_IMM("0011", orr_word_lsl8, bic_word_lsl8, 3)
BOTH_MODIFIED_IMM("0101", orr_word_lsl16, bic_word_lsl16, 5)
BOTH_MODIFIED_IMM("0111", orr_word_lsl24, bic_word_lsl24, 7)
BOTH_MODIFIED_IMM("1001", orr_half, bic_half, 9)
BOTH_MODIFIED_IMM("1011", orr_half_lsl8, bic_half_lsl8, 11)

A64_FEAT("FEAT_FP16", "0 Q 0 0111100000 abc 1111 1 1 defgh Rd", fmov_imm_half)
{
    IrType   ty = simd_type(f->Q);
    uint64_t imm = fp_expand_imm(FP_F16, (uint8_t)(f->abc << 5 | f->defgh));

    if (a64_fp_check(t)) {
        a64_set_v(t, ty, f->Rd, vector_of(t, ty, imm * 0x1000100010001ull));
    }
}
