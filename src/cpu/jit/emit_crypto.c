/*
 * Cryptography and checksums by the host's instructions: AES-NI, PCLMULQDQ, CRC32 and the SHA extensions. Intel SDM,
 * volume 2, AESENC to AESIMC, PCLMULQDQ, CRC32, SHA1RNDS4 to SHA256MSG2; FIPS 197 and 180-4. Where the host has none of
 * them, C computes it.
 */
#include "cpu/jit/vec.h"

static X86Mem zero(Gen *g) { return gen_constant(g, 0, 0); }

/* ---- AES: the host adds the round key last, so that key is 0 here and the guest's is added before ---- */

bool emit_fuses_rounds(const Gen *g, const IrNode *mix, const IrNode *sub)
{
    IrInline of = sub->op == IR_call ? sub->helper->inline_op : IR_INLINE_NONE;

    return g->as.host.aes && ((mix->helper->inline_op == IR_INLINE_AES_MIX && of == IR_INLINE_AES_SUB) ||
                              (mix->helper->inline_op == IR_INLINE_AES_INV_MIX && of == IR_INLINE_AES_INV_SUB));
}

/* T0 = the two operands added. */
static void add_key(Gen *g, const IrNode *n)
{
    vec_op_in(g, X86_PXOR, T0, vec_in(g, n->a, T1), n->b, T2);
}

/* MixColumns: with SubBytes and ShiftRows where that was left to us, else after undoing what comes with it. */
static void mix_columns(Gen *g, const IrNode *n, bool fused, X86Xmm d)
{
    if (fused) {
        add_key(g, gen_node(g, n->a));
    } else {
        asm_sse2_m(&g->as, X86_AESDECLAST, T0, vec_in(g, n->a, T0), zero(g));
    }
    asm_sse2_m(&g->as, X86_AESENC, d, T0, zero(g));
}

static void unmix_columns(Gen *g, const IrNode *n, bool fused, X86Xmm d)
{
    if (fused) {
        add_key(g, gen_node(g, n->a));
        asm_sse2_m(&g->as, X86_AESDEC, d, T0, zero(g));
    } else {
        asm_sse1(&g->as, X86_AESIMC, d, vec_in(g, n->a, T1));
    }
}

static bool emit_aes(Gen *g, const IrNode *n)
{
    IrInline op = n->helper->inline_op;

    if (!g->as.host.aes) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g);
    if (op == IR_INLINE_AES_SUB || op == IR_INLINE_AES_INV_SUB) {
        add_key(g, n);
        asm_sse2_m(&g->as, op == IR_INLINE_AES_SUB ? X86_AESENCLAST : X86_AESDECLAST, d, T0, zero(g));
    } else {
        (op == IR_INLINE_AES_MIX ? mix_columns : unmix_columns)(g, n, g->mode[n->a] == MODE_FUSED, d);
    }
    gen_done_xmm(g, d);
    return true;
}

/* ---- carry-less product ---- */

static bool emit_clmul(Gen *g, const IrNode *n)
{
    if (!g->as.host.pclmul) {
        return false;
    }
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);
    vec_op_i(g, X86_PCLMULQDQ, d, a, b, n->imm >> 2 & 1 ? 0x11 : 0x00);
    gen_done_xmm(g, d);
    return true;
}

/* ---- CRC-32 ---- */

/*
 * Barrett reduction of v x^32 modulo P, v being the sum and the data, 64 bits: q = v M / x^64 with M = x^96 / P, then
 * q P, whose part below x^32 is the remainder. Bits are reflected, so that quotients are low halves of products: M is
 * the low 64 bits of the reflected 65, P all 33. Less than 64 bits are the upper ones of v.
 */
static const uint64_t crc32_m = 0xb4e5b025f7011641, crc32_p = 0x1db710641;

static void crc32_sum(Gen *g, const IrNode *n, X86Reg d)
{
    Asm     *as = &g->as;
    unsigned bits = 8 * (unsigned)n->imm;

    gen_gpr_into(g, n->a, RAX, true);
    if (bits < 32) { /* what is left of the old sum */
        asm_mov_rr(as, false, RCX, RAX);
        asm_shift_ri(as, SH_SHR, false, RCX, bits);
    }
    gen_alu(g, ALU_XOR, true, RAX, n->b);
    if (bits < 64) {
        asm_shift_ri(as, SH_SHL, true, RAX, 64 - bits);
    }
    asm_movq_xr(as, true, T0, RAX);
    asm_sse2_mi(as, X86_PCLMULQDQ, T0, T0, gen_constant(g, 0, crc32_m), 0x00);
    asm_sse2_mi(as, X86_PCLMULQDQ, T0, T0, gen_constant(g, 0, crc32_p), 0x00);
    asm_sse_gx_i(as, X86_PEXTRD, T0, d, 2);
    if (bits < 32) {
        asm_alu_rr(as, ALU_XOR, false, d, RCX);
    }
}

bool emit_crc(Gen *g, const IrNode *n)
{
    IrInline op = n->helper->inline_op;

    if (op != IR_INLINE_CRC32C && (op != IR_INLINE_CRC32 || !g->as.host.pclmul)) {
        return false;
    }
    X86Reg d = gen_dest_gpr(g);
    if (op == IR_INLINE_CRC32) {
        crc32_sum(g, n, d);
    } else {
        gen_gpr_into(g, n->a, RAX, true);
        asm_crc32c(&g->as, (unsigned)__builtin_ctzll(n->imm), RAX, gen_gpr(g, n->b, RDX, false));
        asm_mov_rr(&g->as, false, d, RAX);
    }
    gen_done_gpr(g, d, true);
    return true;
}

/* ---- SHA-1 ---- */

enum { REVERSED = 0x1b, SWAPPED = 0xb1 }; /* PSHUFD: lanes 3 2 1 0; 1 0 3 2 */

/* The host has A and the first word in the highest lane, and adds K itself. */
static void sha1_rounds(Gen *g, const IrNode *n, uint8_t function, uint32_t k)
{
    Asm   *as = &g->as;
    X86Xmm d = gen_dest_xmm(g), e = vec_in(g, n->a, T1);

    asm_sse2_i(as, X86_INSERTPS, T0, e, e, 0x0e); /* lane 0 alone */
    vec_op_in(g, X86_PADDD, T0, T0, n->b, T2);
    asm_sse2_m(as, X86_PSUBD, T0, T0, gen_constant_lanes(g, 2, k));
    asm_sse1_i(as, X86_PSHUFD, T0, T0, REVERSED);
    asm_sse1_i(as, X86_PSHUFD, T1, vec_in(g, n->c, T1), REVERSED);
    asm_sse2_i(as, X86_SHA1RNDS4, T1, T1, T0, function);
    asm_sse1_i(as, X86_PSHUFD, d, T1, REVERSED);
    gen_done_xmm(g, d);
}

/* d = each word of s rotated left by n; d is not s, @t is lost. */
static void rotate_words(Gen *g, X86Xmm d, X86Xmm s, X86Xmm t, uint8_t n)
{
    asm_sse_shift_i(&g->as, X86_PSLLD_I, d, s, n);
    asm_sse_shift_i(&g->as, X86_PSRLD_I, t, s, (uint8_t)(32 - n));
    asm_sse2(&g->as, X86_POR, d, d, t);
}

static void sha1_rotate(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g);

    rotate_words(g, T0, vec_in(g, n->a, T1), T1, 30);
    asm_sse2_m(&g->as, X86_PAND, d, T0, gen_constant(g, 0, UINT32_MAX));
    gen_done_xmm(g, d);
}

static void sha1_schedule0(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), c = vec_in(g, n->c, T2);

    asm_sse2_i(&g->as, X86_SHUFPD, T0, c, a, 1);
    asm_sse2(&g->as, X86_PXOR, T0, T0, c);
    vec_op_in(g, X86_PXOR, d, T0, n->b, T1);
    gen_done_xmm(g, d);
}

/* Rotated by 2 is what is rotated by 1, once more. */
static void sha1_schedule1(Gen *g, const IrNode *n)
{
    Asm   *as = &g->as;
    X86Xmm d = gen_dest_xmm(g);

    asm_sse_shift_i(as, X86_PSRLDQ_I, T0, vec_in(g, n->a, T1), 4);
    vec_op_in(g, X86_PXOR, T0, T0, n->b, T2);
    rotate_words(g, T1, T0, T2, 1);
    asm_sse_shift_i(as, X86_PSLLDQ_I, T0, T1, 12);
    asm_sse_shift_i(as, X86_PSRLD_I, T2, T0, 31);
    asm_sse2(as, X86_PADDD, T0, T0, T0);
    asm_sse2(as, X86_PXOR, T1, T1, T2);
    asm_sse2(as, X86_PXOR, d, T1, T0);
    gen_done_xmm(g, d);
}

/* ---- SHA-256 ---- */

/*
 * The host makes two rounds at a time on A B E F and C D G H, highest lane first, with the words and constants in xmm0;
 * the A B E F before two rounds are the C D G H after them.
 */
static void sha256_rounds(Gen *g, const IrNode *n, bool first)
{
    Asm   *as = &g->as;
    X86Xmm d = gen_dest_xmm(g);
    X86Xmm abcd = vec_in(g, first ? n->c : n->a, T1), efgh = vec_in(g, first ? n->a : n->c, T2);

    asm_sse2(as, X86_PUNPCKHQDQ, T0, efgh, abcd);
    asm_sse2(as, X86_PUNPCKLQDQ, T2, efgh, abcd);
    asm_sse1_i(as, X86_PSHUFD, T1, T0, SWAPPED); /* C D G H */
    asm_sse1_i(as, X86_PSHUFD, T2, T2, SWAPPED); /* A B E F */
    asm_movx(as, T0, vec_in(g, n->b, T0));
    asm_sse2(as, X86_SHA256RNDS2, T1, T1, T2);
    asm_sse1_i(as, X86_PSHUFD, T0, T0, 0x0e);
    asm_sse2(as, X86_SHA256RNDS2, T2, T2, T1);
    asm_sse2(as, first ? X86_PUNPCKHQDQ : X86_PUNPCKLQDQ, T2, T2, T1);
    asm_sse1_i(as, X86_PSHUFD, d, T2, SWAPPED);
    gen_done_xmm(g, d);
}

static void sha256_schedule0(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

    asm_movx(&g->as, T0, vec_in(g, n->b, T0));
    asm_sse2(&g->as, X86_SHA256MSG1, T0, T0, a);
    asm_movx(&g->as, d, T0);
    gen_done_xmm(g, d);
}

static void sha256_schedule1(Gen *g, const IrNode *n)
{
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1), b = vec_in(g, n->b, T2);

    asm_sse2_i(&g->as, X86_PALIGNR, T0, b, a, 4);
    vec_op_in(g, X86_PADDD, T0, T0, n->c, T1);
    asm_sse2(&g->as, X86_SHA256MSG2, T0, T0, b);
    asm_movx(&g->as, d, T0);
    gen_done_xmm(g, d);
}

/* sigma1(x): x rotated right by 19 and by 61, and shifted right by 6. The host has nothing for it. */
static void sha512_schedule1(Gen *g, const IrNode *n)
{
    Asm   *as = &g->as;
    X86Xmm d = gen_dest_xmm(g), a = vec_in(g, n->a, T1);

    asm_sse_shift_i(as, X86_PSRLQ_I, T0, a, 6);
    for (unsigned i = 0; i < 2; i++) {
        unsigned right = i == 0 ? 19 : 61;

        asm_sse_shift_i(as, X86_PSRLQ_I, T2, a, (uint8_t)right);
        asm_sse2(as, X86_PXOR, T0, T0, T2);
        asm_sse_shift_i(as, X86_PSLLQ_I, T2, a, (uint8_t)(64 - right));
        asm_sse2(as, X86_PXOR, T0, T0, T2);
    }
    vec_op_in(g, X86_PADDQ, T0, T0, n->b, T1);
    vec_op_in(g, X86_PADDQ, d, T0, n->c, T1);
    gen_done_xmm(g, d);
}

static bool emit_sha(Gen *g, const IrNode *n)
{
    switch (g->as.host.sha ? n->helper->inline_op : IR_INLINE_NONE) {
    case IR_INLINE_SHA1_CH:
        sha1_rounds(g, n, 0, 0x5a827999);
        return true;
    case IR_INLINE_SHA1_PARITY:
        sha1_rounds(g, n, 1, 0x6ed9eba1);
        return true;
    case IR_INLINE_SHA1_MAJ:
        sha1_rounds(g, n, 2, 0x8f1bbcdc);
        return true;
    case IR_INLINE_SHA1_SCHEDULE0:
        sha1_schedule0(g, n);
        return true;
    case IR_INLINE_SHA1_SCHEDULE1:
        sha1_schedule1(g, n);
        return true;
    case IR_INLINE_SHA1_ROTATE:
        sha1_rotate(g, n);
        return true;
    case IR_INLINE_SHA256_FIRST:
    case IR_INLINE_SHA256_SECOND:
        sha256_rounds(g, n, n->helper->inline_op == IR_INLINE_SHA256_FIRST);
        return true;
    case IR_INLINE_SHA256_SCHEDULE0:
        sha256_schedule0(g, n);
        return true;
    case IR_INLINE_SHA256_SCHEDULE1:
        sha256_schedule1(g, n);
        return true;
    default:
        return false;
    }
}

bool emit_crypto(Gen *g, const IrNode *n)
{
    switch (n->helper->inline_op) {
    case IR_INLINE_AES_SUB:
    case IR_INLINE_AES_INV_SUB:
    case IR_INLINE_AES_MIX:
    case IR_INLINE_AES_INV_MIX:
        return emit_aes(g, n);
    case IR_INLINE_CLMUL64:
        return emit_clmul(g, n);
    case IR_INLINE_SHA512_SCHEDULE1:
        sha512_schedule1(g, n);
        return true;
    default:
        return emit_sha(g, n);
    }
}
