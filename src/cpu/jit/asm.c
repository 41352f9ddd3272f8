/*
 * x86-64 machine code: general-purpose instructions, labels and patches; asm_sse.c has the rest. Opcodes and operand
 * order are those of the Intel SDM, volume 2, under the instruction's name. Where forms differ only in length, the
 * shortest is written.
 */
#include <cpuid.h>

#include "cpu/jit/asm_enc.h"

/* ---- life ---- */

#define CPUID_NEEDED (bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT | bit_CMPXCHG16B)

/* AVX counts only when the operating system saves its registers: XCR0 bits 1 and 2. */
static bool os_saves_ymm(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

typedef struct HostInfo {
    X86Host can;
    bool    ok;
} HostInfo;

static HostInfo host_ask(void)
{
    unsigned leaf1[4] = { 0 }, leaf7[4] = { 0 }, ext1[4] = { 0 }; /* EAX, EBX, ECX, EDX */
    HostInfo h = { 0 };
    bool     ymm;

    __get_cpuid(1, &leaf1[0], &leaf1[1], &leaf1[2], &leaf1[3]);
    __get_cpuid_count(7, 0, &leaf7[0], &leaf7[1], &leaf7[2], &leaf7[3]);
    __get_cpuid(0x80000001, &ext1[0], &ext1[1], &ext1[2], &ext1[3]);
    ymm = (leaf1[2] & bit_OSXSAVE) != 0 && os_saves_ymm();

    h.ok = (leaf1[2] & CPUID_NEEDED) == CPUID_NEEDED && (ext1[2] & bit_LAHF_LM) != 0;
    h.can.bmi1 = (leaf7[1] & bit_BMI) != 0;
    h.can.bmi2 = (leaf7[1] & bit_BMI2) != 0;
    h.can.lzcnt = (ext1[2] & bit_LZCNT) != 0;
    h.can.avx = ymm && (leaf1[2] & bit_AVX) != 0;
    h.can.avx2 = h.can.avx && (leaf7[1] & bit_AVX2) != 0;
    h.can.fma = h.can.avx && (leaf1[2] & bit_FMA) != 0;
    h.can.f16c = h.can.avx && (leaf1[2] & bit_F16C) != 0;
    h.can.aes = (leaf1[2] & bit_AES) != 0;
    h.can.pclmul = (leaf1[2] & bit_PCLMUL) != 0;
    h.can.sha = (leaf7[1] & bit_SHA) != 0;
    return h;
}

/* CPUID is asked once: in a virtual machine each costs microseconds. */
static HostInfo *host_info(void)
{
    static HostInfo info;
    static gsize    known;

    if (g_once_init_enter(&known)) {
        info = host_ask();
        g_once_init_leave(&known, 1);
    }
    return &info;
}

bool asm_host_ok(void)
{
    return host_info()->ok;
}

void asm_limit_host(void)
{
    host_info()->can = (X86Host){ 0 };
}

void asm_init(Asm *a, uint8_t *start, size_t size, intptr_t to_run)
{
    *a = (Asm){ .start = start, .p = start, .end = start + size, .to_run = to_run, .host = host_info()->can };
}

/* ---- raw ---- */

static void raw(Asm *a, const void *bytes, size_t n)
{
    uint8_t *p = enc_open(a);

    memcpy(p, bytes, n);
    enc_close(a, p + n);
}

void asm_u8(Asm *a, uint8_t v)
{
    raw(a, &v, sizeof(v));
}

void asm_u32(Asm *a, uint32_t v)
{
    raw(a, &v, sizeof(v));
}

void asm_u64(Asm *a, uint64_t v)
{
    raw(a, &v, sizeof(v));
}

/* SDM, NOP, table "Recommended Multi-Byte Sequence of NOP Instruction": row n is n bytes long. */
static const uint8_t nops[10][9] = {
    { 0 },
    { 0x90 },
    { 0x66, 0x90 },
    { 0x0f, 0x1f, 0x00 },
    { 0x0f, 0x1f, 0x40, 0x00 },
    { 0x0f, 0x1f, 0x44, 0x00, 0x00 },
    { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
    { 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00 },
    { 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
    { 0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
};

void asm_align(Asm *a, unsigned bytes)
{
    unsigned left;

    g_assert(bytes != 0 && bytes <= 64 && (bytes & (bytes - 1)) == 0);
    left = (unsigned)-(uintptr_t)asm_here(a) & (bytes - 1);
    while (left != 0) {
        unsigned n = MIN(left, 9);

        raw(a, nops[n], n);
        left -= n;
    }
}

/* ---- whole instructions of common shapes ---- */

static void op_plain(Asm *a, uint32_t op, bool w)
{
    enc_close(a, enc_op(enc_open(a), op, w, 0, 0, 0, false));
}

static void op_rr(Asm *a, uint32_t op, bool w, unsigned reg, unsigned rm)
{
    enc_close(a, enc_rr(enc_open(a), op, w, reg, rm));
}

static void op_rm(Asm *a, uint32_t op, bool w, unsigned reg, X86Mem m)
{
    enc_close(a, enc_rm(enc_open(a), op, w, reg, m));
}

/* With an immediate of one byte. */
static void op_rri(Asm *a, uint32_t op, bool w, unsigned reg, unsigned rm, unsigned imm)
{
    uint8_t *p = enc_rr(enc_open(a), op, w, reg, rm);

    *p++ = (uint8_t)imm;
    enc_close(a, p);
}

/* The byte in @rm is a byte register. */
static void op_r_byte(Asm *a, uint32_t op, bool w, unsigned reg, unsigned rm)
{
    uint8_t *p = enc_op(enc_open(a), op, w, reg, 0, rm, byte_needs_rex(rm));

    enc_close(a, enc_modrm_r(p, reg, rm));
}

/* ---- arithmetic ---- */

void asm_alu_rr(Asm *a, X86Alu op, bool w, X86Reg d, X86Reg s)
{
    op_rr(a, (uint32_t)op << 3 | 0x01, w, s, d);
}

void asm_alu_ri(Asm *a, X86Alu op, bool w, X86Reg d, int32_t imm)
{
    uint8_t *p = enc_open(a);

    if (fits_i8(imm)) {
        p = enc_rr(p, 0x83, w, op, d);
        *p++ = (uint8_t)imm;
    } else if (d == RAX) {
        p = enc_imm32(enc_op(p, (uint32_t)op << 3 | 0x05, w, 0, 0, 0, false), (uint32_t)imm);
    } else {
        p = enc_imm32(enc_rr(p, 0x81, w, op, d), (uint32_t)imm);
    }
    enc_close(a, p);
}

void asm_alu_rm(Asm *a, X86Alu op, bool w, X86Reg d, X86Mem m)
{
    op_rm(a, (uint32_t)op << 3 | 0x03, w, d, m);
}

void asm_alu_mr(Asm *a, X86Alu op, bool w, X86Mem m, X86Reg s)
{
    op_rm(a, (uint32_t)op << 3 | 0x01, w, s, m);
}

void asm_alu_mi(Asm *a, X86Alu op, bool w, X86Mem m, int32_t imm)
{
    uint8_t *p = enc_rm(enc_open(a), fits_i8(imm) ? 0x83 : 0x81, w, op, m);

    if (fits_i8(imm)) {
        *p++ = (uint8_t)imm;
    } else {
        p = enc_imm32(p, (uint32_t)imm);
    }
    enc_close(a, p);
}

void asm_test_rr(Asm *a, bool w, X86Reg x, X86Reg y)
{
    op_rr(a, 0x85, w, y, x);
}

/*
 * TEST has no sign-extended byte. But an immediate whose sign bit is clear makes all flags the same in any operand size
 * that holds it: the result is never negative, and parity is of the low byte only.
 */
void asm_test_ri(Asm *a, bool w, X86Reg x, int32_t imm)
{
    uint8_t *p = enc_open(a);

    if (imm >= 0 && imm < 0x80) {
        p = enc_op(p, x == RAX ? 0xa8 : 0xf6, false, 0, 0, x, byte_needs_rex(x));
        p = x == RAX ? p : enc_modrm_r(p, 0, x);
        *p++ = (uint8_t)imm;
    } else {
        w = w && imm < 0;
        p = x == RAX ? enc_op(p, 0xa9, w, 0, 0, 0, false) : enc_rr(p, 0xf7, w, 0, x);
        p = enc_imm32(p, (uint32_t)imm);
    }
    enc_close(a, p);
}

void asm_test_mi(Asm *a, bool w, X86Mem m, int32_t imm)
{
    uint8_t *p = enc_open(a);

    if (imm >= 0 && imm < 0x80) {
        p = enc_rm(p, 0xf6, false, 0, m);
        *p++ = (uint8_t)imm;
    } else {
        p = enc_imm32(enc_rm(p, 0xf7, w && imm < 0, 0, m), (uint32_t)imm);
    }
    enc_close(a, p);
}

void asm_not(Asm *a, bool w, X86Reg d)
{
    op_rr(a, 0xf7, w, 2, d);
}

void asm_neg(Asm *a, bool w, X86Reg d)
{
    op_rr(a, 0xf7, w, 3, d);
}

void asm_imul_rr(Asm *a, bool w, X86Reg d, X86Reg s)
{
    op_rr(a, MAP_0F | 0xaf, w, d, s);
}

void asm_imul_rri(Asm *a, bool w, X86Reg d, X86Reg s, int32_t imm)
{
    uint8_t *p = enc_rr(enc_open(a), fits_i8(imm) ? 0x6b : 0x69, w, d, s);

    if (fits_i8(imm)) {
        *p++ = (uint8_t)imm;
    } else {
        p = enc_imm32(p, (uint32_t)imm);
    }
    enc_close(a, p);
}

void asm_mul(Asm *a, bool w, bool sign, X86Reg s)
{
    op_rr(a, 0xf7, w, sign ? 5 : 4, s);
}

void asm_div(Asm *a, bool w, bool sign, X86Reg s)
{
    op_rr(a, 0xf7, w, sign ? 7 : 6, s);
}

void asm_cqo(Asm *a, bool w)
{
    op_plain(a, 0x99, w);
}

/* ---- moves ---- */

void asm_mov_rr(Asm *a, bool w, X86Reg d, X86Reg s)
{
    op_rr(a, 0x89, w, s, d);
}

void asm_mov_ri(Asm *a, X86Reg d, uint64_t imm)
{
    uint8_t *p = enc_open(a);

    if (imm <= UINT32_MAX) {
        p = enc_imm32(enc_op(p, 0xb8 | (d & 7), false, 0, 0, d, false), (uint32_t)imm);
    } else if (fits_i32((int64_t)imm)) {
        p = enc_imm32(enc_rr(p, 0xc7, true, 0, d), (uint32_t)imm);
    } else {
        p = enc_imm32(enc_op(p, 0xb8 | (d & 7), true, 0, 0, d, false), (uint32_t)imm);
        p = enc_imm32(p, (uint32_t)(imm >> 32));
    }
    enc_close(a, p);
}

void asm_lea(Asm *a, bool w, X86Reg d, X86Mem m)
{
    op_rm(a, 0x8d, w, d, m);
}

void asm_load(Asm *a, unsigned size_log2, bool sign, bool w, X86Reg d, X86Mem m)
{
    switch (size_log2) {
    case 0:
        op_rm(a, MAP_0F | (sign ? 0xbe : 0xb6), sign && w, d, m);
        break;
    case 1:
        op_rm(a, MAP_0F | (sign ? 0xbf : 0xb7), sign && w, d, m);
        break;
    case 2:
        op_rm(a, sign && w ? 0x63 : 0x8b, sign && w, d, m);
        break;
    default:
        op_rm(a, 0x8b, true, d, m);
        break;
    }
}

void asm_store(Asm *a, unsigned size_log2, X86Mem m, X86Reg s)
{
    uint32_t op = size_log2 == 0 ? 0x88 : size_log2 == 1 ? P_66 | 0x89 : 0x89;
    uint8_t *p = enc_open(a);

    p = enc_op(p, op, size_log2 == 3, s, mem_index(m), mem_base(m), size_log2 == 0 && byte_needs_rex(s));
    enc_close(a, enc_modrm_m(p, s, m));
}

void asm_store_i(Asm *a, unsigned size_log2, X86Mem m, int32_t imm)
{
    uint32_t op = size_log2 == 0 ? 0xc6 : size_log2 == 1 ? P_66 | 0xc7 : 0xc7;
    unsigned bytes = size_log2 >= 2 ? 4 : 1u << size_log2;
    uint8_t *p = enc_rm(enc_open(a), op, size_log2 == 3, 0, m);

    memcpy(p, &imm, bytes);
    enc_close(a, p + bytes);
}

void asm_zext(Asm *a, unsigned size_log2, X86Reg d, X86Reg s)
{
    switch (size_log2) {
    case 0:
        op_r_byte(a, MAP_0F | 0xb6, false, d, s);
        break;
    case 1:
        op_rr(a, MAP_0F | 0xb7, false, d, s);
        break;
    default:
        asm_mov_rr(a, false, d, s);
        break;
    }
}

void asm_sext(Asm *a, unsigned size_log2, bool w, X86Reg d, X86Reg s)
{
    switch (size_log2) {
    case 0:
        op_r_byte(a, MAP_0F | 0xbe, w, d, s);
        break;
    case 1:
        op_rr(a, MAP_0F | 0xbf, w, d, s);
        break;
    default:
        if (w) {
            op_rr(a, 0x63, true, d, s); /* MOVSXD */
        } else {
            asm_mov_rr(a, false, d, s);
        }
        break;
    }
}

void asm_xchg(Asm *a, bool w, X86Reg x, X86Reg y)
{
    X86Reg other = x == RAX ? y : x;

    if ((x == RAX) != (y == RAX)) { /* of RAX with itself the short form is NOP: it would not zero the upper half */
        enc_close(a, enc_op(enc_open(a), 0x90 | (other & 7), w, 0, 0, other, false));
    } else {
        op_rr(a, 0x87, w, y, x);
    }
}

void asm_push(Asm *a, X86Reg r)
{
    enc_close(a, enc_op(enc_open(a), 0x50 | (r & 7), false, 0, 0, r, false));
}

void asm_pop(Asm *a, X86Reg r)
{
    enc_close(a, enc_op(enc_open(a), 0x58 | (r & 7), false, 0, 0, r, false));
}

/* ---- shifts and bits ---- */

void asm_shift_ri(Asm *a, X86Shift op, bool w, X86Reg d, unsigned n)
{
    if (n == 1) {
        op_rr(a, 0xd1, w, op, d);
    } else {
        op_rri(a, 0xc1, w, op, d, n);
    }
}

void asm_shift_cl(Asm *a, X86Shift op, bool w, X86Reg d)
{
    op_rr(a, 0xd3, w, op, d);
}

/* VEX-encoded ones have a third register @v: SDM, "The VEX Prefix". Register numbers are stored inverted. */
static uint8_t *enc_vex_gpr(uint8_t *p, uint32_t op, bool w, unsigned reg, unsigned v, unsigned rm)
{
    unsigned pp = op >> 16 == 0x66 ? 1 : op >> 16 == 0xf3 ? 2 : op >> 16 == 0xf2 ? 3 : 0;

    *p++ = 0xc4;
    *p++ = (uint8_t)((~reg >> 3 & 1) << 7 | 1 << 6 | (~rm >> 3 & 1) << 5 | (op >> 8 & 3));
    *p++ = (uint8_t)((unsigned)w << 7 | (~v & 15) << 3 | pp);
    *p++ = (uint8_t)op;
    return enc_modrm_r(p, reg, rm);
}

static void op_vex_gpr(Asm *a, uint32_t op, bool w, unsigned reg, unsigned v, unsigned rm)
{
    enc_close(a, enc_vex_gpr(enc_open(a), op, w, reg, v, rm));
}

void asm_shiftx(Asm *a, X86Shift op, bool w, X86Reg d, X86Reg s, X86Reg n)
{
    uint32_t prefix = op == SH_SHL ? P_66 : op == SH_SHR ? P_F2 : P_F3;

    g_assert(op >= SH_SHL);
    op_vex_gpr(a, prefix | MAP_0F38 | 0xf7, w, d, n, s);
}

void asm_rorx(Asm *a, bool w, X86Reg d, X86Reg s, unsigned n)
{
    uint8_t *p = enc_vex_gpr(enc_open(a), P_F2 | MAP_0F3A | 0xf0, w, d, 0, s);

    *p++ = (uint8_t)n;
    enc_close(a, p);
}

void asm_andn(Asm *a, bool w, X86Reg d, X86Reg inverted, X86Reg s)
{
    op_vex_gpr(a, MAP_0F38 | 0xf2, w, d, inverted, s);
}

void asm_bextr(Asm *a, bool w, X86Reg d, X86Reg s, X86Reg control)
{
    op_vex_gpr(a, MAP_0F38 | 0xf7, w, d, control, s);
}

void asm_bzhi(Asm *a, bool w, X86Reg d, X86Reg s, X86Reg n)
{
    op_vex_gpr(a, MAP_0F38 | 0xf5, w, d, n, s);
}

void asm_pext(Asm *a, bool w, X86Reg d, X86Reg s, X86Reg mask)
{
    op_vex_gpr(a, P_F3 | MAP_0F38 | 0xf5, w, d, s, mask);
}

void asm_lahf(Asm *a) { asm_u8(a, 0x9f); }

void asm_mulx(Asm *a, bool w, X86Reg high, X86Reg low, X86Reg s)
{
    op_vex_gpr(a, P_F2 | MAP_0F38 | 0xf6, w, high, low, s);
}

void asm_bswap(Asm *a, bool w, X86Reg d)
{
    enc_close(a, enc_op(enc_open(a), MAP_0F | 0xc8 | (d & 7), w, 0, 0, d, false));
}

void asm_bsr(Asm *a, bool w, X86Reg d, X86Reg s)
{
    op_rr(a, MAP_0F | 0xbd, w, d, s);
}

void asm_bsf(Asm *a, bool w, X86Reg d, X86Reg s)
{
    op_rr(a, MAP_0F | 0xbc, w, d, s);
}

void asm_lzcnt(Asm *a, bool w, X86Reg d, X86Reg s)
{
    op_rr(a, P_F3 | MAP_0F | 0xbd, w, d, s);
}

void asm_tzcnt(Asm *a, bool w, X86Reg d, X86Reg s)
{
    op_rr(a, P_F3 | MAP_0F | 0xbc, w, d, s);
}

void asm_popcnt(Asm *a, bool w, X86Reg d, X86Reg s)
{
    op_rr(a, P_F3 | MAP_0F | 0xb8, w, d, s);
}

void asm_crc32c(Asm *a, unsigned size_log2, X86Reg d, X86Reg s)
{
    switch (size_log2) {
    case 0:
        op_r_byte(a, P_F2 | MAP_0F38 | 0xf0, false, d, s);
        break;
    case 1:
        asm_u8(a, 0x66); /* operand size: goes before the mandatory prefix */
        op_rr(a, P_F2 | MAP_0F38 | 0xf1, false, d, s);
        break;
    default:
        op_rr(a, P_F2 | MAP_0F38 | 0xf1, size_log2 == 3, d, s);
        break;
    }
}

void asm_bt_ri(Asm *a, bool w, X86Reg d, unsigned bit)
{
    op_rri(a, MAP_0F | 0xba, w, 4, d, bit);
}

void asm_setcc(Asm *a, X86Cond cc, X86Reg d)
{
    op_r_byte(a, MAP_0F | 0x90 | cc, false, 0, d);
}

void asm_cmov(Asm *a, X86Cond cc, bool w, X86Reg d, X86Reg s)
{
    op_rr(a, MAP_0F | 0x40 | cc, w, d, s);
}

void asm_cmov_m(Asm *a, X86Cond cc, bool w, X86Reg d, X86Mem m)
{
    op_rm(a, MAP_0F | 0x40 | cc, w, d, m);
}

void asm_cmc(Asm *a)
{
    asm_u8(a, 0xf5);
}

void asm_stc(Asm *a)
{
    asm_u8(a, 0xf9);
}

void asm_clc(Asm *a)
{
    asm_u8(a, 0xf8);
}

/* ---- control ---- */

typedef int32_t Rel32 __attribute__((aligned(1), may_alias));

/*
 * A 32-bit field relative to its own end: jump targets and RIP-relative addresses. @opened: where the instruction's
 * first byte was written, which stands for a->p.
 */
static uint8_t *enc_rel32(const Asm *a, const uint8_t *opened, uint8_t *p, const void *running)
{
    uintptr_t from = (uintptr_t)a->p + (uintptr_t)(p - opened) + 4 + (uintptr_t)a->to_run;
    int64_t   rel = (int64_t)((uintptr_t)running - from);

    g_assert(fits_i32(rel));
    return enc_imm32(p, (uint32_t)rel);
}

void asm_lea_code(Asm *a, X86Reg d, const void *running)
{
    uint8_t *opened = enc_open(a);
    uint8_t *p = enc_op(opened, 0x8d, true, d, 0, 0, false);

    *p++ = (uint8_t)((d & 7) << 3 | 5);
    enc_close(a, enc_rel32(a, opened, p, running));
}

void asm_bind(Asm *a, AsmLabel *l)
{
    int32_t at = l->fixup;

    g_assert(l->pos < 0);
    l->pos = (int32_t)asm_size(a);
    l->fixup = -1;
    while (at >= 0) {
        Rel32  *field = (Rel32 *)(a->start + at);
        int32_t before = *field;

        *field = l->pos - (at + 4);
        at = before;
    }
}

/* The field of a jump to a label that is not bound yet: it holds the label's previous fixup meanwhile. */
static void jump_forward(Asm *a, uint32_t op, AsmLabel *l)
{
    enc_close(a, enc_imm32(enc_op(enc_open(a), op, false, 0, 0, 0, false), (uint32_t)l->fixup));
    if (!a->full) {
        l->fixup = (int32_t)asm_size(a) - 4;
    }
}

/* @op8: the opcode with a byte's distance, 0: there is none. */
static void jump(Asm *a, uint32_t op8, uint32_t op32, AsmLabel *l)
{
    uint8_t *p = enc_open(a);
    int32_t  from = (int32_t)asm_size(a);

    if (l->pos < 0) {
        jump_forward(a, op32, l);
    } else if (op8 != 0 && fits_i8(l->pos - (from + 2))) {
        *p++ = (uint8_t)op8;
        *p++ = (uint8_t)(l->pos - (from + 2));
        enc_close(a, p);
    } else {
        int32_t len = (op32 & MAP_0F) != 0 ? 6 : 5;

        enc_close(a, enc_imm32(enc_op(p, op32, false, 0, 0, 0, false), (uint32_t)(l->pos - (from + len))));
    }
}

void asm_jcc(Asm *a, X86Cond cc, AsmLabel *l)
{
    jump(a, 0x70 | cc, MAP_0F | 0x80 | cc, l);
}

void asm_jmp(Asm *a, AsmLabel *l)
{
    jump(a, 0xeb, 0xe9, l);
}

void asm_call(Asm *a, AsmLabel *l)
{
    jump(a, 0, 0xe8, l);
}

static void jump_to(Asm *a, uint32_t op, const void *running)
{
    uint8_t *p = enc_open(a);

    enc_close(a, enc_rel32(a, p, enc_op(p, op, false, 0, 0, 0, false), running));
}

void asm_jcc_to(Asm *a, X86Cond cc, const void *running)
{
    jump_to(a, MAP_0F | 0x80 | cc, running);
}

void asm_jmp_to(Asm *a, const void *running)
{
    jump_to(a, 0xe9, running);
}

void asm_call_to(Asm *a, const void *running)
{
    jump_to(a, 0xe8, running);
}

void asm_jmp_r(Asm *a, X86Reg r)
{
    op_rr(a, 0xff, false, 4, r);
}

void asm_jmp_m(Asm *a, X86Mem m)
{
    op_rm(a, 0xff, false, 4, m);
}

void asm_call_r(Asm *a, X86Reg r)
{
    op_rr(a, 0xff, false, 2, r);
}

void asm_ret(Asm *a)
{
    asm_u8(a, 0xc3);
}

void asm_ud2(Asm *a)
{
    op_plain(a, MAP_0F | 0x0b, false);
}

/* ---- patches ---- */

static int32_t distance(const uint8_t *after, intptr_t to_run, const void *running)
{
    int64_t rel = (int64_t)((uintptr_t)running - ((uintptr_t)after + (uintptr_t)to_run));

    g_assert(fits_i32(rel));
    return (int32_t)rel;
}

void asm_patch_entry(uint8_t *at, intptr_t to_run, const void *running, bool call)
{
    at[0] = call ? 0xe8 : 0xe9;
    *(volatile Rel32 *)(at + 1) = distance(at + 5, to_run, running);
}

void asm_patch_branch(uint8_t *at, intptr_t to_run, const void *running)
{
    *(volatile Rel32 *)(at + 2) = distance(at + 6, to_run, running);
}
