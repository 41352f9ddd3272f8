/*
 * x86-64 machine code: SSE and its successors on 128-bit registers. With AVX everything is VEX-encoded (Intel SDM,
 * volume 2, "The VEX Prefix"; VEX.L = 0): three operands, no alignment asked of memory, and no mixing of the two
 * encodings, which costs where the upper halves of the YMM registers are in use.
 */
#include "cpu/jit/asm_enc.h"
#include "cpu/jit/asm_sse.h"

static const X86Sse movaps = { 0, 1, 0x28 }, movaps_store = { 0, 1, 0x29 };
static const X86Sse movups = { 0, 1, 0x10 }, movups_store = { 0, 1, 0x11 };
static const X86Sse movss = { 0xf3, 1, 0x10 }, movss_store = { 0xf3, 1, 0x11 };
static const X86Sse movsd = { 0xf2, 1, 0x10 }, movsd_store = { 0xf2, 1, 0x11 };
static const X86Sse movd = { 0x66, 1, 0x6e }, movd_store = { 0x66, 1, 0x7e };
static const X86Sse movq = { 0xf3, 1, 0x7e };

/* ---- encoding ---- */

static bool by_vex(const Asm *a, X86Sse op)
{
    return (op.flags & X86_ONLY_VEX) != 0 || (a->host.avx && (op.flags & X86_ONLY_LEGACY) == 0);
}

/* Prefixes and opcode. @v: the second of three registers, 0 where there is none. All numbers are stored inverted. */
static uint8_t *enc_vex(uint8_t *p, X86Sse op, unsigned reg, unsigned v, unsigned index, unsigned base)
{
    unsigned pp = op.prefix == 0x66 ? 1 : op.prefix == 0xf3 ? 2 : op.prefix == 0xf2 ? 3 : 0;
    unsigned r = (~reg >> 3 & 1) << 7, vvvv = (~v & 15) << 3;

    if (op.map == 1 && !op.w && index < 8 && base < 8) {
        *p++ = 0xc5;
        *p++ = (uint8_t)(r | vvvv | pp);
    } else {
        *p++ = 0xc4;
        *p++ = (uint8_t)(r | (~index >> 3 & 1) << 6 | (~base >> 3 & 1) << 5 | op.map);
        *p++ = (uint8_t)((unsigned)op.w << 7 | vvvv | pp);
    }
    *p++ = op.op;
    return p;
}

static uint8_t *enc_sse(const Asm *a, uint8_t *p, X86Sse op, unsigned reg, unsigned v, unsigned index, unsigned base)
{
    if (by_vex(a, op)) {
        return enc_vex(p, op, reg, v, index, base);
    }
    return enc_op(p, (uint32_t)op.prefix << 16 | (uint32_t)op.map << 8 | op.op, op.w, reg, index, base, false);
}

static uint8_t *sse_r(const Asm *a, uint8_t *p, X86Sse op, unsigned reg, unsigned v, unsigned rm)
{
    return enc_modrm_r(enc_sse(a, p, op, reg, v, 0, rm), reg, rm);
}

static uint8_t *sse_m(const Asm *a, uint8_t *p, X86Sse op, unsigned reg, unsigned v, X86Mem m)
{
    return enc_modrm_m(enc_sse(a, p, op, reg, v, mem_index(m), mem_base(m)), reg, m);
}

static void put_r(Asm *a, X86Sse op, unsigned reg, unsigned v, unsigned rm)
{
    enc_close(a, sse_r(a, enc_open(a), op, reg, v, rm));
}

static void put_m(Asm *a, X86Sse op, unsigned reg, unsigned v, X86Mem m)
{
    enc_close(a, sse_m(a, enc_open(a), op, reg, v, m));
}

static void put_ri(Asm *a, X86Sse op, unsigned reg, unsigned v, unsigned rm, uint8_t imm)
{
    uint8_t *p = sse_r(a, enc_open(a), op, reg, v, rm);

    *p++ = imm;
    enc_close(a, p);
}

static void put_mi(Asm *a, X86Sse op, unsigned reg, unsigned v, X86Mem m, uint8_t imm)
{
    uint8_t *p = sse_m(a, enc_open(a), op, reg, v, m);

    *p++ = imm;
    enc_close(a, p);
}

/* ---- moves ---- */

void asm_movx(Asm *a, X86Xmm d, X86Xmm s)
{
    if (d == s) {
        return;
    }
    if (s >= 8 && d < 8) { /* the store has the high number where the short VEX prefix can hold it */
        put_r(a, movaps_store, s, 0, d);
    } else {
        put_r(a, movaps, d, 0, s);
    }
}

void asm_load_x(Asm *a, unsigned size_log2, X86Xmm d, X86Mem m)
{
    put_m(a, size_log2 == 4 ? movups : size_log2 == 3 ? movsd : movss, d, 0, m);
}

void asm_store_x(Asm *a, unsigned size_log2, X86Mem m, X86Xmm s)
{
    put_m(a, size_log2 == 4 ? movups_store : size_log2 == 3 ? movsd_store : movss_store, s, 0, m);
}

static X86Sse with_w(X86Sse op, bool w)
{
    op.w = w;
    return op;
}

void asm_movq_xr(Asm *a, bool w, X86Xmm d, X86Reg s)
{
    put_r(a, with_w(movd, w), d, 0, s);
}

void asm_movq_rx(Asm *a, bool w, X86Reg d, X86Xmm s)
{
    put_r(a, with_w(movd_store, w), s, 0, d);
}

void asm_movq_xx(Asm *a, X86Xmm d, X86Xmm s)
{
    put_r(a, movq, d, 0, s);
}

/* ---- one source ---- */

/* The register that VEX.vvvv names where an instruction has two operands: what remains of d, or nothing. */
static unsigned merged(X86Sse op, unsigned d)
{
    return (op.flags & X86_MERGES) != 0 ? d : 0;
}

void asm_sse1(Asm *a, X86Sse op, X86Xmm d, X86Xmm s)
{
    put_r(a, op, d, merged(op, d), s);
}

void asm_sse1_m(Asm *a, X86Sse op, X86Xmm d, X86Mem m)
{
    put_m(a, op, d, merged(op, d), m);
}

void asm_sse1_i(Asm *a, X86Sse op, X86Xmm d, X86Xmm s, uint8_t imm)
{
    put_ri(a, op, d, merged(op, d), s, imm);
}

void asm_sse1_mi(Asm *a, X86Sse op, X86Xmm d, X86Mem m, uint8_t imm)
{
    put_mi(a, op, d, merged(op, d), m, imm);
}

void asm_sse_gx(Asm *a, X86Sse op, uint8_t reg, uint8_t rm)
{
    put_r(a, op, reg, merged(op, reg), rm);
}

void asm_sse_gx_i(Asm *a, X86Sse op, uint8_t reg, uint8_t rm, uint8_t imm)
{
    put_ri(a, op, reg, merged(op, reg), rm, imm);
}

/* ---- two sources ---- */

/*
 * The second source once the first is where the instruction wants it. VEX: anywhere, but the other way round may be a
 * byte shorter. Else it must be in @d, which may be where the second one is.
 */
static X86Xmm second_source(Asm *a, X86Sse op, X86Xmm d, X86Xmm *x, X86Xmm y)
{
    bool   commutes = (op.flags & X86_COMMUTES) != 0;
    X86Xmm first = *x;

    if (by_vex(a, op)) {
        if (commutes && y >= 8 && first < 8) {
            *x = y;
            return first;
        }
        return y;
    }
    if (d == y && d != first) {
        g_assert(commutes);
        return first;
    }
    asm_movx(a, d, first);
    return y;
}

void asm_sse2(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y)
{
    y = second_source(a, op, d, &x, y);
    put_r(a, op, d, x, y);
}

void asm_sse2_i(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y, uint8_t imm)
{
    y = second_source(a, op, d, &x, y);
    put_ri(a, op, d, x, y, imm);
}

void asm_sse2_m(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Mem m)
{
    if (!by_vex(a, op)) {
        asm_movx(a, d, x);
    }
    put_m(a, op, d, x, m);
}

void asm_sse2_mi(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Mem m, uint8_t imm)
{
    if (!by_vex(a, op)) {
        asm_movx(a, d, x);
    }
    put_mi(a, op, d, x, m, imm);
}

void asm_sse_shift_i(Asm *a, uint8_t op, uint8_t ext, X86Xmm d, X86Xmm s, uint8_t imm)
{
    X86Sse shift = { 0x66, 1, op };

    if (by_vex(a, shift)) {
        put_ri(a, shift, ext, d, s, imm);
    } else {
        asm_movx(a, d, s);
        put_ri(a, shift, ext, 0, d, imm);
    }
}

/* VEX has opcodes of their own, with the mask's register in the upper half of an immediate. */
void asm_blendv(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y, X86Xmm mask)
{
    static const uint8_t vex_op[] = { [0] = 0x4c, [4] = 0x4a, [5] = 0x4b };

    if (by_vex(a, op)) {
        put_ri(a, (X86Sse){ 0x66, 3, vex_op[op.op & 7] }, d, x, y, (uint8_t)(mask << 4));
    } else {
        g_assert(mask == 0 && (d != 0 || x == 0)); /* the move of x must leave XMM0 alone */
        asm_sse2(a, op, d, x, y);
    }
}

void asm_fma(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y)
{
    put_r(a, op, d, x, y);
}

void asm_fma_m(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Mem m)
{
    put_m(a, op, d, x, m);
}

/* ---- control ---- */

static void mxcsr(Asm *a, unsigned ext, X86Mem m)
{
    enc_close(a, enc_rm(enc_open(a), MAP_0F | 0xae, false, ext, m));
}

void asm_ldmxcsr(Asm *a, X86Mem m)
{
    mxcsr(a, 2, m);
}

void asm_stmxcsr(Asm *a, X86Mem m)
{
    mxcsr(a, 3, m);
}
