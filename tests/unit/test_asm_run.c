/*
 * Code of the x86-64 emitter, run from code memory and compared with C: arithmetic and its flags, moves, memory, SSE
 * with and without AVX, jumps and patches. test_asm.c checks every encoding; these rows check what the forms mean.
 */
#include <glib.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/jit/asm.h"
#include "cpu/jit/asm_sse.h"
#include "cpu/jit/code_mem.h"

typedef uint64_t Fn(uint64_t x, uint64_t y, uint64_t z);

static CodeMem  mem;
static Asm      a;
static X86Host  host; /* what this one can do */
static uint64_t data[4] __attribute__((aligned(16)));

static int set_up(void **state)
{
    char why[200];

    if (!code_mem_init(&mem, 1 << 20, why, sizeof(why))) {
        fail_msg("%s", why);
    }
    asm_init(&a, mem.write, mem.size, mem.run - mem.write);
    host = a.host;
    return 0;
}

static int tear_down(void **state)
{
    code_mem_free(&mem);
    return 0;
}

static void start(X86Host as)
{
    code_mem_begin(&mem);
    asm_init(&a, mem.write, mem.size, mem.run - mem.write);
    a.host = as;
}

static Fn *finish(void)
{
    asm_ret(&a);
    code_mem_end(&mem);
    assert_false(a.full);
    return (Fn *)(uintptr_t)mem.run;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed ^ *seed >> 29;
}

static const uint64_t corners[] = {
    0, 1, 2, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
    INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX, UINT64_MAX - 1,
};

/* ---- rows ---- */

#define M32 0xffffffffull

static uint64_t parity(uint64_t v)
{
    return !(__builtin_popcountll(v & 0xff) & 1);
}

static uint64_t sext(unsigned bits, uint64_t v)
{
    return (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits));
}

static uint64_t ror(unsigned bits, uint64_t v, unsigned n)
{
    v &= bits == 64 ? UINT64_MAX : M32;
    n &= bits - 1;
    return n == 0 ? v : (v >> n | v << (bits - n)) & (bits == 64 ? UINT64_MAX : M32);
}

static uint64_t high(uint64_t x, uint64_t y)
{
    return (uint64_t)((unsigned __int128)x * y >> 64);
}

static uint64_t high_signed(uint64_t x, uint64_t y)
{
    return (uint64_t)((__int128)(int64_t)x * (int64_t)y >> 64);
}

static uint64_t crc32c(uint64_t crc, uint64_t v, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++) {
        crc = (crc >> 1) ^ ((crc ^ v >> i) & 1 ? 0x82f63b78 : 0);
    }
    return crc;
}

static uint64_t below(uint64_t x, unsigned n)
{
    return n >= 64 ? x : x & ((1ull << n) - 1);
}

/* A place in memory in R8, with @v in it. */
static void use_data(X86Reg v)
{
    asm_mov_ri(&a, R8, (uintptr_t)data);
    asm_store(&a, 3, X86_AT(R8, 8), v);
}

/* Loads that begin in the middle of what a store left. */
static void load(unsigned size_log2, bool sign, bool w)
{
    use_data(RSI);
    asm_mov_ri(&a, R9, 1);
    asm_load(&a, size_log2, sign, w, RAX, X86_INDEX(R8, R9, 2, 8 - 4));
}

static void store(unsigned size_log2)
{
    use_data(RAX);
    asm_push(&a, RBP);
    asm_mov_rr(&a, true, RBP, RSI); /* the byte register that is CH without a prefix */
    asm_store(&a, size_log2, X86_AT(R8, 8), RBP);
    asm_pop(&a, RBP);
    asm_load(&a, 3, false, true, RAX, X86_AT(R8, 8));
}

static void store_i(unsigned size_log2)
{
    use_data(RAX);
    asm_store_i(&a, size_log2, X86_AT(R8, 8), -3);
    asm_load(&a, 3, false, true, RAX, X86_AT(R8, 8));
}

static void alu_m(X86Alu op, bool w)
{
    use_data(RAX);
    asm_alu_mr(&a, op, w, X86_AT(R8, 8), RSI);
    asm_alu_mi(&a, op, w, X86_AT(R8, 8), 1000);
    asm_mov_rr(&a, true, RAX, RCX);
    asm_alu_rm(&a, op, w, RAX, X86_AT(R8, 8));
}

/* y is made odd and positive: no division by zero, no overflow. */
static void divide(bool w, bool sign, X86Reg result)
{
    asm_shift_ri(&a, SH_SHR, w, RSI, 1);
    asm_alu_ri(&a, ALU_OR, w, RSI, 1);
    if (sign) {
        asm_cqo(&a, w);
    } else {
        asm_alu_rr(&a, ALU_XOR, false, RDX, RDX);
    }
    asm_div(&a, w, sign, RSI);
    asm_mov_rr(&a, true, RAX, result);
}

#define DIVISOR   (y >> 1 | 1)
#define DIVISOR32 ((y & M32) >> 1 | 1)

/* RAX and RDI hold x, RSI y, RCX and RDX z; the result is in RAX. R8 to R11 are free. */
#define CASES(X) \
    X(mov32, asm_mov_rr(&a, false, RAX, RAX), x & M32) \
    X(mov_imm64, asm_mov_ri(&a, RAX, 0x123456789abcdef0), 0x123456789abcdef0) \
    X(mov_imm32, asm_mov_ri(&a, RAX, 0x89abcdef), 0x89abcdef) \
    X(mov_imm_minus, asm_mov_ri(&a, RAX, (uint64_t)-5), (uint64_t)-5) \
    X(add, asm_alu_rr(&a, ALU_ADD, true, RAX, RSI), x + y) \
    X(add32, asm_alu_rr(&a, ALU_ADD, false, RAX, RSI), (x + y) & M32) \
    X(sub, asm_alu_rr(&a, ALU_SUB, true, RAX, RSI), x - y) \
    X(and, asm_alu_rr(&a, ALU_AND, true, RAX, RSI), x & y) \
    X(or, asm_alu_rr(&a, ALU_OR, true, RAX, RSI), x | y) \
    X(xor, asm_alu_rr(&a, ALU_XOR, true, RAX, RSI), x ^ y) \
    X(adc_stc, asm_stc(&a); asm_alu_rr(&a, ALU_ADC, true, RAX, RSI), x + y + 1) \
    X(sbb_clc, asm_clc(&a); asm_alu_rr(&a, ALU_SBB, true, RAX, RSI), x - y) \
    X(sbb_cmc, asm_clc(&a); asm_cmc(&a); asm_alu_rr(&a, ALU_SBB, true, RAX, RSI), x - y - 1) \
    X(add_imm8, asm_alu_ri(&a, ALU_ADD, true, RAX, -100), x - 100) \
    X(sub_imm32, asm_alu_ri(&a, ALU_SUB, true, RAX, -100000), x + 100000) \
    X(and_imm, asm_mov_rr(&a, true, R9, RAX); asm_alu_ri(&a, ALU_AND, true, R9, -256); asm_mov_rr(&a, true, RAX, R9), \
      x & ~0xffull) \
    X(add_mem, alu_m(ALU_ADD, true), x + y + z + 1000) \
    X(xor_mem32, alu_m(ALU_XOR, false), (x ^ y ^ z ^ 1000) & M32) \
    X(not, asm_not(&a, true, RAX), ~x) \
    X(neg32, asm_neg(&a, false, RAX), -x & M32) \
    X(lea, asm_lea(&a, true, RAX, X86_INDEX(RSI, RCX, 3, -77)), y + z * 8 - 77) \
    X(lea_no_base, asm_lea(&a, true, RAX, X86_INDEX(X86_NO_REG, RCX, 2, 5)), z * 4 + 5) \
    X(imul, asm_imul_rr(&a, true, RAX, RSI), x * y) \
    X(imul_imm, asm_imul_rri(&a, true, RAX, RSI, -1000), y * (uint64_t)-1000) \
    X(mul_high, asm_mul(&a, true, false, RSI); asm_mov_rr(&a, true, RAX, RDX), high(x, y)) \
    X(imul_high, asm_mul(&a, true, true, RSI); asm_mov_rr(&a, true, RAX, RDX), high_signed(x, y)) \
    X(div, divide(true, false, RAX), x / DIVISOR) \
    X(rem, divide(true, false, RDX), x % DIVISOR) \
    X(idiv, divide(true, true, RAX), (uint64_t)((int64_t)x / (int64_t)DIVISOR)) \
    X(irem, divide(true, true, RDX), (uint64_t)((int64_t)x % (int64_t)DIVISOR)) \
    X(idiv32, divide(false, true, RAX), (uint32_t)((int32_t)x / (int32_t)DIVISOR32)) \
    X(shl_1, asm_shift_ri(&a, SH_SHL, true, RAX, 1), x << 1) \
    X(shr_imm, asm_shift_ri(&a, SH_SHR, true, RAX, 37), x >> 37) \
    X(sar_imm32, asm_shift_ri(&a, SH_SAR, false, RAX, 9), (uint32_t)((int32_t)x >> 9)) \
    X(ror_imm, asm_shift_ri(&a, SH_ROR, true, RAX, 11), ror(64, x, 11)) \
    X(rol_imm32, asm_shift_ri(&a, SH_ROL, false, RAX, 11), ror(32, x, 21)) \
    X(shl_cl, asm_shift_cl(&a, SH_SHL, true, RAX), x << (z & 63)) \
    X(sar_cl, asm_shift_cl(&a, SH_SAR, true, RAX), (uint64_t)((int64_t)x >> (z & 63))) \
    X(ror_cl32, asm_shift_cl(&a, SH_ROR, false, RAX), ror(32, x, z & 31)) \
    X(bswap, asm_bswap(&a, true, RAX), GUINT64_SWAP_LE_BE(x)) \
    X(bswap32, asm_bswap(&a, false, RAX), GUINT32_SWAP_LE_BE((uint32_t)x)) \
    X(bsr, asm_alu_ri(&a, ALU_OR, true, RAX, 1); asm_bsr(&a, true, RAX, RAX), 63 - (uint64_t)__builtin_clzll(x | 1)) \
    X(bsf, asm_stc(&a); asm_alu_rr(&a, ALU_ADC, true, RAX, RAX); asm_bsf(&a, true, RAX, RAX), \
      (uint64_t)__builtin_ctzll(x << 1 | 1)) \
    X(popcnt, asm_popcnt(&a, true, RAX, RSI), (uint64_t)__builtin_popcountll(y)) \
    X(popcnt32, asm_popcnt(&a, false, RAX, RSI), (uint64_t)__builtin_popcountll(y & M32)) \
    X(bt, asm_bt_ri(&a, true, RSI, 40); asm_setcc(&a, CC_B, RAX); asm_zext(&a, 0, RAX, RAX), y >> 40 & 1) \
    X(crc32c_1, asm_mov_rr(&a, false, RAX, RAX); asm_crc32c(&a, 0, RAX, RSI), crc32c(x & M32, y, 8)) \
    X(crc32c_2, asm_mov_rr(&a, false, RAX, RAX); asm_crc32c(&a, 1, RAX, RSI), crc32c(x & M32, y, 16)) \
    X(crc32c_4, asm_mov_rr(&a, false, RAX, RAX); asm_crc32c(&a, 2, RAX, RSI), crc32c(x & M32, y, 32)) \
    X(crc32c_8, asm_crc32c(&a, 3, RAX, RSI), crc32c(x & M32, y, 64)) \
    X(zext8, asm_zext(&a, 0, RAX, RSI), y & 0xff) \
    X(zext16, asm_zext(&a, 1, RAX, RDI), x & 0xffff) \
    X(zext32, asm_zext(&a, 2, RAX, RDI), x & M32) \
    X(sext8, asm_sext(&a, 0, true, RAX, RSI), sext(8, y)) \
    X(sext16_to_32, asm_sext(&a, 1, false, RAX, RSI), sext(16, y) & M32) \
    X(sext32, asm_sext(&a, 2, true, RAX, RSI), sext(32, y)) \
    X(setcc_keeps, asm_test_rr(&a, true, RSI, RSI); asm_setcc(&a, CC_S, RAX), (x & ~0xffull) | y >> 63) \
    X(setcc_sil, asm_test_rr(&a, true, RDI, RDI); asm_setcc(&a, CC_NS, RSI); asm_mov_rr(&a, true, RAX, RSI), \
      (y & ~0xffull) | (~x >> 63)) \
    X(cmov_mem, use_data(RSI); asm_test_ri(&a, true, RCX, 1); asm_cmov_m(&a, CC_NE, true, RAX, X86_AT(R8, 8)), \
      z & 1 ? y : x) \
    X(cmov32, asm_test_ri(&a, true, RCX, 1); asm_cmov(&a, CC_NE, false, RAX, RSI), (z & 1 ? y : x) & M32) \
    X(test_imm_parity, asm_test_ri(&a, true, RSI, 0x65); asm_setcc(&a, CC_P, RAX); asm_zext(&a, 0, RAX, RAX), \
      parity(y & 0x65)) \
    X(test_imm_minus, asm_test_ri(&a, true, RSI, -16); asm_setcc(&a, CC_S, RAX); asm_zext(&a, 0, RAX, RAX), y >> 63) \
    X(test_imm_large, asm_test_ri(&a, true, RSI, 0x7ffffff0); asm_setcc(&a, CC_E, RAX); asm_zext(&a, 0, RAX, RAX), \
      (y & 0x7ffffff0) == 0) \
    X(test_mem, use_data(RSI); asm_test_mi(&a, true, X86_AT(R8, 8), 0x1000); asm_setcc(&a, CC_NE, RAX); \
      asm_zext(&a, 0, RAX, RAX), y >> 12 & 1) \
    X(xchg, asm_xchg(&a, true, RAX, RSI), y) \
    X(xchg32, asm_xchg(&a, false, RDI, RSI); asm_mov_rr(&a, true, RAX, RDI), y & M32) \
    X(xchg_self32, asm_xchg(&a, false, RAX, RAX), x & M32) \
    X(push_pop, asm_push(&a, RSI); asm_push(&a, RCX); asm_pop(&a, R11); asm_pop(&a, RAX); \
      asm_alu_rr(&a, ALU_ADD, true, RAX, R11), y + z) \
    X(load_u8, load(0, false, true), y & 0xff) \
    X(load_s8, load(0, true, true), sext(8, y)) \
    X(load_s8_32, load(0, true, false), sext(8, y) & M32) \
    X(load_u16, load(1, false, false), y & 0xffff) \
    X(load_s16, load(1, true, true), sext(16, y)) \
    X(load_u32, load(2, false, true), y & M32) \
    X(load_s32, load(2, true, true), sext(32, y)) \
    X(load_64, load(3, false, true), y) \
    X(store_8, store(0), (x & ~0xffull) | (y & 0xff)) \
    X(store_16, store(1), (x & ~0xffffull) | (y & 0xffff)) \
    X(store_32, store(2), (x & ~M32) | (y & M32)) \
    X(store_64, store(3), y) \
    X(store_i8, store_i(0), (x & ~0xffull) | 0xfd) \
    X(store_i16, store_i(1), (x & ~0xffffull) | 0xfffd) \
    X(store_i32, store_i(2), (x & ~M32) | 0xfffffffd) \
    X(store_i64, store_i(3), (uint64_t)-3) \
    X(align, asm_align(&a, 64), x)

#define CASES_BMI(X) \
    X(shlx, asm_shiftx(&a, SH_SHL, true, RAX, RSI, RCX), y << (z & 63)) \
    X(shrx32, asm_shiftx(&a, SH_SHR, false, RAX, RSI, RCX), (y & M32) >> (z & 31)) \
    X(sarx, asm_shiftx(&a, SH_SAR, true, RAX, RSI, RCX), (uint64_t)((int64_t)y >> (z & 63))) \
    X(rorx, asm_rorx(&a, true, RAX, RSI, 17), ror(64, y, 17)) \
    X(andn, asm_andn(&a, true, RAX, RSI, RCX), ~y & z) \
    X(bextr, asm_mov_ri(&a, R9, 0x1405); asm_bextr(&a, true, RAX, RSI, R9), y >> 5 & 0xfffff) \
    X(bzhi, asm_alu_ri(&a, ALU_AND, false, RCX, 63); asm_bzhi(&a, true, RAX, RSI, RCX), below(y, z & 63)) \
    X(pext, asm_mov_ri(&a, R9, 0xc101); asm_pext(&a, false, RAX, RSI, R9), \
      (y & 1) | (y >> 8 & 1) << 1 | (y >> 14 & 3) << 2) \
    X(mulx, asm_mulx(&a, true, R10, R9, RSI); asm_lea(&a, true, RAX, X86_INDEX(R9, R10, 0, 0)), z * y + high(z, y)) \
    X(lzcnt, asm_lzcnt(&a, true, RAX, RSI), y != 0 ? (uint64_t)__builtin_clzll(y) : 64) \
    X(tzcnt32, asm_tzcnt(&a, false, RAX, RSI), (y & M32) != 0 ? (uint64_t)__builtin_ctzll(y & M32) : 32)

/* ---- SSE ---- */

static double dbl(uint64_t v)
{
    return (double)(int64_t)v;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

/* CVTTSD2SI: what does not fit becomes the smallest integer. */
static uint64_t to_integer(double v)
{
    return v < 0x1p63 ? (uint64_t)(int64_t)v : 1ull << 63;
}

static uint64_t each(unsigned width, uint64_t x, uint64_t y, uint64_t (*f)(uint64_t x, uint64_t y, unsigned width))
{
    uint64_t out = 0, mask = width == 64 ? UINT64_MAX : (1ull << width) - 1;

    for (unsigned i = 0; i < 64; i += width) {
        out |= (f(x >> i & mask, y >> i & mask, width) & mask) << i;
    }
    return out;
}

static uint64_t plus(uint64_t x, uint64_t y, unsigned width)
{
    return x + y;
}

static uint64_t minus(uint64_t x, uint64_t y, unsigned width)
{
    return x - y;
}

static uint64_t greater(uint64_t x, uint64_t y, unsigned width)
{
    return (int64_t)sext(width, x) > (int64_t)sext(width, y) ? UINT64_MAX : 0;
}

static uint64_t min_unsigned(uint64_t x, uint64_t y, unsigned width)
{
    return MIN(x, y);
}

static uint64_t shuffle(uint64_t x, uint64_t y)
{
    uint64_t out = 0;

    for (unsigned i = 0; i < 64; i += 8) {
        unsigned from = y >> i & 0x0f;

        out |= (y >> i & 0x80) != 0 || from >= 8 ? 0 : (x >> 8 * from & 0xff) << i;
    }
    return out;
}

static uint64_t carryless(uint64_t x, uint64_t y)
{
    uint64_t out = 0;

    for (unsigned i = 0; i < 64; i++) {
        out ^= (y >> i & 1) != 0 ? x << i : 0;
    }
    return out;
}

static uint64_t signs_mask(uint64_t z)
{
    return each(8, 0, z, greater); /* 0 > element: all ones */
}

static void doubles(void)
{
    asm_sse2(&a, X86_PXOR, 10, 10, 10);
    asm_sse2(&a, X86_PXOR, 3, 10, 10);
    asm_sse_gx(&a, X86_CVTSI2SD_Q, 10, RDI);
    asm_sse_gx(&a, X86_CVTSI2SD_Q, 3, RSI);
}

static void result(X86Xmm x)
{
    asm_movq_rx(&a, true, RAX, x);
}

/* The integers also in XMM9 (x), XMM1 (y) and XMM0 (z); doubles() makes XMM10 of x and XMM3 of y. */
#define CASES_SSE(X) \
    X(paddb, asm_sse2(&a, X86_PADDB, 2, 9, 1); result(2), each(8, x, y, plus)) \
    X(paddb_turned, asm_sse2(&a, X86_PADDB, 1, 9, 1); result(1), each(8, x, y, plus)) \
    X(psubd, asm_sse2(&a, X86_PSUBD, 2, 9, 1); result(2), each(32, x, y, minus)) \
    X(psubd_in_place, asm_sse2(&a, X86_PSUBD, 9, 9, 1); result(9), each(32, x, y, minus)) \
    X(pcmpgtw, asm_sse2(&a, X86_PCMPGTW, 12, 9, 1); result(12), each(16, x, y, greater)) \
    X(pminud, asm_sse2(&a, X86_PMINUD, 12, 9, 1); result(12), each(32, x, y, min_unsigned)) \
    X(pmuludq, asm_sse2(&a, X86_PMULUDQ, 4, 9, 1); result(4), (x & M32) * (y & M32)) \
    X(pandn, asm_sse2(&a, X86_PANDN, 4, 9, 1); result(4), ~x & y) \
    X(pshufb, asm_sse2(&a, X86_PSHUFB, 4, 9, 1); result(4), shuffle(x, y)) \
    X(pshufd, asm_sse1_i(&a, X86_PSHUFD, 4, 9, 0xe1); result(4), x << 32 | x >> 32) \
    X(palignr, asm_sse2_i(&a, X86_PALIGNR, 4, 9, 1, 13); result(4), x << 24) \
    X(pblendvb, asm_blendv(&a, X86_PBLENDVB, 4, 9, 1, 0); result(4), (y & signs_mask(z)) | (x & ~signs_mask(z))) \
    X(punpcklbw, asm_sse2(&a, X86_PXOR, 6, 6, 6); asm_sse2(&a, X86_PUNPCKLBW, 4, 9, 6); \
      asm_sse1(&a, X86_PMOVZXBW, 5, 9); asm_sse2(&a, X86_PSUBW, 4, 4, 5); result(4), 0) \
    X(psllq, asm_sse_shift_i(&a, X86_PSLLQ_I, 11, 9, 7); result(11), x << 7) \
    X(psrldq, asm_sse_shift_i(&a, X86_PSRLDQ_I, 11, 9, 3); result(11), x >> 24) \
    X(psrad, asm_sse_shift_i(&a, X86_PSRAD_I, 9, 9, 31); result(9), \
      (x >> 63 ? M32 << 32 : 0) | (x >> 31 & 1 ? M32 : 0)) \
    X(ptest, asm_sse1(&a, X86_PTEST, 9, 1); asm_setcc(&a, CC_E, RAX); asm_zext(&a, 0, RAX, RAX), (x & y) == 0) \
    X(pmovmskb, asm_sse_gx(&a, X86_PMOVMSKB, RAX, 9); asm_popcnt(&a, false, RAX, RAX), \
      (uint64_t)__builtin_popcountll(x & 0x8080808080808080)) \
    X(pinsr_pextr, asm_sse_gx_i(&a, X86_PINSRQ, 9, RSI, 1); asm_sse_gx_i(&a, X86_PINSRB, 9, RCX, 8); \
      asm_sse_gx_i(&a, X86_PEXTRQ, 9, RAX, 1), (y & ~0xffull) | (z & 0xff)) \
    X(pextrw, asm_sse_gx_i(&a, X86_PEXTRW, 9, RAX, 2), x >> 32 & 0xffff) \
    X(movq_upper_zero, asm_sse_gx_i(&a, X86_PINSRQ, 9, RSI, 1); asm_movq_xx(&a, 9, 9); \
      asm_sse_gx_i(&a, X86_PEXTRQ, 9, RAX, 1), 0) \
    X(movd, asm_movq_xr(&a, false, 9, RSI); result(9), y & M32) \
    X(store_load_16, asm_mov_ri(&a, R8, (uintptr_t)data); asm_sse2(&a, X86_PUNPCKLQDQ, 9, 9, 1); \
      asm_store_x(&a, 4, X86_AT(R8, 16), 9); asm_load_x(&a, 4, 10, X86_AT(R8, 16)); \
      asm_load_x(&a, 3, 11, X86_AT(R8, 24)); \
      asm_sse2_m(&a, X86_PADDQ, 13, 10, X86_AT(R8, 16)); asm_sse2(&a, X86_PADDQ, 11, 11, 13); result(11), 2 * x + y) \
    X(store_load_4, use_data(RSI); asm_store_x(&a, 2, X86_AT(R8, 8), 9); asm_load_x(&a, 2, 10, X86_AT(R8, 8)); \
      asm_load(&a, 3, false, true, RAX, X86_AT(R8, 8)); asm_movq_rx(&a, true, RCX, 10); \
      asm_alu_rr(&a, ALU_ADD, true, RAX, RCX), (y & ~M32) + 2 * (x & M32)) \
    X(addsd, doubles(); asm_sse2(&a, X86_ADDSD, 4, 10, 3); result(4), bits_of(dbl(x) + dbl(y))) \
    X(subsd, doubles(); asm_sse2(&a, X86_SUBSD, 4, 10, 3); result(4), bits_of(dbl(x) - dbl(y))) \
    X(mulsd, doubles(); asm_sse2(&a, X86_MULSD, 10, 10, 3); result(10), bits_of(dbl(x) * dbl(y))) \
    X(divsd, asm_alu_ri(&a, ALU_OR, true, RSI, 1); doubles(); asm_sse2(&a, X86_DIVSD, 4, 10, 3); result(4), \
      bits_of(dbl(x) / dbl(y | 1))) \
    X(cvttsd2si, doubles(); asm_sse_gx(&a, X86_CVTTSD2SI_Q, RAX, 10), to_integer(dbl(x))) \
    X(sqrtsd, doubles(); asm_sse2(&a, X86_MULSD, 10, 10, 10); asm_sse1(&a, X86_SQRTSD, 4, 10); result(4), \
      bits_of(sqrt(dbl(x) * dbl(x)))) \
    X(merges, asm_sse_gx_i(&a, X86_PINSRQ, 9, RSI, 1); asm_sse1(&a, X86_CVTSS2SD, 9, 1); \
      asm_sse_gx_i(&a, X86_PEXTRQ, 9, RAX, 1), y) \
    X(merges_elsewhere, asm_sse_gx_i(&a, X86_PINSRQ, 9, RSI, 1); asm_sse2(&a, X86_CVTSI2SD_Q, 12, 9, RCX); \
      asm_sse_gx_i(&a, X86_PEXTRQ, 12, RAX, 1), y) \
    X(cvtsd2ss, doubles(); asm_sse1(&a, X86_CVTSD2SS, 4, 10); asm_sse1(&a, X86_CVTSS2SD, 4, 4); result(4), \
      bits_of((float)dbl(x))) \
    X(ucomisd, doubles(); asm_sse1(&a, X86_UCOMISD, 10, 3); asm_setcc(&a, CC_A, RAX); asm_zext(&a, 0, RAX, RAX), \
      dbl(x) > dbl(y)) \
    X(cmpltsd, doubles(); asm_sse2_i(&a, X86_CMPSD, 10, 10, 3, 1); result(10), dbl(x) < dbl(y) ? UINT64_MAX : 0) \
    X(roundsd, doubles(); asm_mov_ri(&a, R9, 0x3fb0000000000000); asm_movq_xr(&a, true, 5, R9); \
      asm_sse2(&a, X86_MULSD, 10, 10, 5); asm_sse1_i(&a, X86_ROUNDSD, 4, 10, 9); result(4), \
      bits_of(floor(dbl(x) / 16))) \
    X(mxcsr, asm_mov_ri(&a, R8, (uintptr_t)data); asm_stmxcsr(&a, X86_AT(R8, 0)); \
      asm_store_i(&a, 2, X86_AT(R8, 4), 0x7f80); asm_ldmxcsr(&a, X86_AT(R8, 4)); doubles(); \
      asm_sse2(&a, X86_ADDSD, 10, 10, 3); asm_ldmxcsr(&a, X86_AT(R8, 0)); asm_stmxcsr(&a, X86_AT(R8, 4)); \
      asm_load(&a, 2, false, false, RAX, X86_AT(R8, 4)); asm_alu_ri(&a, ALU_AND, false, RAX, 0x7f80), 0x1f80)

#define CASES_PCLMUL(X) \
    X(pclmulqdq, asm_sse2_i(&a, X86_PCLMULQDQ, 4, 9, 1, 0); result(4), carryless(x, y))

#define CASES_FMA(X) \
    X(vfmadd231sd, doubles(); asm_fma(&a, X86_VFMADD231SD, 3, 3, 10); result(3), bits_of(fma(dbl(y), dbl(x), dbl(y)))) \
    X(vfnmadd231sd, doubles(); asm_fma(&a, X86_VFNMADD231SD, 3, 3, 10); result(3), \
      bits_of(fma(-dbl(y), dbl(x), dbl(y))))

/* ---- running them ---- */

typedef struct Case {
    const char *name;
    void (*emit)(void);
    Fn *want;
} Case;

#define X(name, emit, want) \
    static void emit_##name(void) { emit; } \
    static uint64_t want_##name(uint64_t x, uint64_t y, uint64_t z) { return want; }
CASES(X)
CASES_BMI(X)
CASES_SSE(X)
CASES_PCLMUL(X)
CASES_FMA(X)
#undef X

#define X(name, emit, want) { #name, emit_##name, want_##name },
static const Case cases[] = { CASES(X) };
static const Case cases_bmi[] = { CASES_BMI(X) };
static const Case cases_sse[] = { CASES_SSE(X) };
static const Case cases_pclmul[] = { CASES_PCLMUL(X) };
static const Case cases_fma[] = { CASES_FMA(X) };
#undef X

static void check_values(const Case *c, Fn *run, uint64_t x, uint64_t y, uint64_t z)
{
    uint64_t got = run(x, y, z), want = c->want(x, y, z);

    if (got != want) {
        fail_msg("%s%s of 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 " is 0x%" PRIx64 ", not 0x%" PRIx64,
                 c->name, a.host.avx ? " (AVX)" : "", x, y, z, want, got);
    }
}

static void check_case(const Case *c, X86Host as)
{
    uint64_t seed = g_str_hash(c->name);
    Fn      *run;

    start(as);
    asm_mov_rr(&a, true, RAX, RDI);
    asm_mov_rr(&a, true, RCX, RDX);
    asm_movq_xr(&a, true, 9, RDI);
    asm_movq_xr(&a, true, 1, RSI);
    asm_movq_xr(&a, true, 0, RDX);
    c->emit();
    run = finish();
    for (unsigned i = 0; i < ARRAY_LEN(corners) * ARRAY_LEN(corners); i++) {
        check_values(c, run, corners[i / ARRAY_LEN(corners)], corners[i % ARRAY_LEN(corners)], i);
    }
    for (unsigned i = 0; i < 200; i++) {
        uint64_t x = next_random(&seed) >> (i % 64), y = next_random(&seed);

        check_values(c, run, x, y, next_random(&seed));
    }
}

static void check_cases(const Case *c, size_t n, X86Host as)
{
    for (size_t i = 0; i < n; i++) {
        check_case(&c[i], as);
    }
}

static void test_integer(void **state)
{
    check_cases(cases, ARRAY_LEN(cases), host);
}

static void test_bmi(void **state)
{
    if (!host.bmi1 || !host.bmi2 || !host.lzcnt) {
        skip();
    }
    check_cases(cases_bmi, ARRAY_LEN(cases_bmi), host);
}

static void test_sse(void **state)
{
    X86Host without = host;

    without.avx = false;
    check_cases(cases_sse, ARRAY_LEN(cases_sse), without);
    if (host.pclmul) {
        check_cases(cases_pclmul, ARRAY_LEN(cases_pclmul), without);
    }
}

static void test_avx(void **state)
{
    if (!host.avx) {
        skip();
    }
    check_cases(cases_sse, ARRAY_LEN(cases_sse), host);
    if (host.pclmul) {
        check_cases(cases_pclmul, ARRAY_LEN(cases_pclmul), host);
    }
    if (host.fma) {
        check_cases(cases_fma, ARRAY_LEN(cases_fma), host);
    }
}

/* ---- conditions ---- */

static bool holds(X86Cond cc, uint64_t x, uint64_t y)
{
    int64_t sx = (int64_t)x, sy = (int64_t)y, diff;
    bool    overflow = __builtin_sub_overflow(sx, sy, &diff), yes;

    switch (cc & ~1u) {
    case CC_O:
        yes = overflow;
        break;
    case CC_B:
        yes = x < y;
        break;
    case CC_E:
        yes = x == y;
        break;
    case CC_BE:
        yes = x <= y;
        break;
    case CC_S:
        yes = diff < 0;
        break;
    case CC_P:
        yes = parity((uint64_t)diff);
        break;
    case CC_L:
        yes = sx < sy;
        break;
    default:
        yes = sx <= sy;
        break;
    }
    return yes != (cc & 1);
}

/* Bit 0: SETcc, 1: CMOVcc, 2: Jcc forward, 3: Jcc to a place elsewhere. */
static Fn *compile_condition(X86Cond cc)
{
    AsmLabel taken = ASM_LABEL, end = ASM_LABEL, elsewhere = ASM_LABEL, go = ASM_LABEL;

    start(host);
    asm_jmp(&a, &go);
    asm_bind(&a, &elsewhere);
    asm_alu_ri(&a, ALU_OR, false, RAX, 8);
    asm_ret(&a);
    asm_bind(&a, &go);
    asm_mov_ri(&a, RAX, 0);
    asm_mov_ri(&a, RCX, 0);
    asm_mov_ri(&a, R8, 2);
    asm_alu_rr(&a, ALU_CMP, true, RDI, RSI);
    asm_setcc(&a, cc, RAX);
    asm_cmov(&a, cc, true, RCX, R8);
    asm_jcc(&a, cc, &taken);
    asm_jmp(&a, &end);
    asm_bind(&a, &taken);
    asm_alu_ri(&a, ALU_OR, false, RCX, 4);
    asm_bind(&a, &end);
    asm_alu_rr(&a, ALU_OR, false, RAX, RCX);
    asm_alu_rr(&a, ALU_CMP, true, RDI, RSI);
    asm_jcc_to(&a, cc, mem.run + elsewhere.pos);
    return finish();
}

static void test_conditions(void **state)
{
    for (unsigned cc = 0; cc < 16; cc++) {
        Fn *run = compile_condition((X86Cond)cc);

        for (unsigned i = 0; i < ARRAY_LEN(corners) * ARRAY_LEN(corners); i++) {
            uint64_t x = corners[i / ARRAY_LEN(corners)], y = corners[i % ARRAY_LEN(corners)];

            assert_int_equal(run(x, y, 0), holds((X86Cond)cc, x, y) ? 15 : 0);
            assert_int_equal(holds(x86_not((X86Cond)cc), x, y), !holds((X86Cond)cc, x, y));
        }
    }
}

/* ---- control flow ---- */

/* The sum of 1 to x, added y times by a subroutine at the end; @padding makes jumps long. */
static void emit_loops(unsigned padding)
{
    AsmLabel outer = ASM_LABEL, inner = ASM_LABEL, sum = ASM_LABEL, end = ASM_LABEL;

    asm_mov_ri(&a, RAX, 0);
    asm_bind(&a, &outer);
    asm_test_rr(&a, true, RSI, RSI);
    asm_jcc(&a, CC_E, &end);
    asm_call(&a, &sum);
    asm_alu_ri(&a, ALU_SUB, true, RSI, 1);
    asm_jmp(&a, &outer);
    for (unsigned i = 0; i < padding; i++) {
        asm_ud2(&a);
    }
    asm_bind(&a, &sum);
    asm_mov_rr(&a, true, RCX, RDI);
    asm_bind(&a, &inner);
    asm_alu_rr(&a, ALU_ADD, true, RAX, RCX);
    asm_alu_ri(&a, ALU_SUB, true, RCX, 1);
    asm_jcc(&a, CC_NE, &inner);
    asm_ret(&a);
    asm_bind(&a, &end);
}

static void test_loops(void **state)
{
    static const unsigned paddings[] = { 0, 60, 1000 };

    for (unsigned i = 0; i < ARRAY_LEN(paddings); i++) {
        Fn *run;

        start(host);
        emit_loops(paddings[i]);
        run = finish();
        assert_int_equal(run(100, 3, 0), 3 * 5050);
        assert_int_equal(run(7, 0, 0), 0);
    }
}

static uint64_t called(uint64_t x)
{
    return x * 3 + 1;
}

/* A call of C and back through the address of code, in a register and in memory. */
static void test_indirect(void **state)
{
    AsmLabel skip_back = ASM_LABEL, back = ASM_LABEL;
    Fn      *run;

    start(host);
    asm_push(&a, RBX); /* also aligns the stack for the call */
    asm_mov_ri(&a, RAX, (uintptr_t)called);
    asm_call_r(&a, RAX);
    asm_jmp(&a, &skip_back);
    asm_bind(&a, &back);
    asm_alu_ri(&a, ALU_ADD, true, RAX, 5);
    asm_pop(&a, RBX);
    asm_ret(&a);
    asm_bind(&a, &skip_back);
    asm_lea_code(&a, RCX, mem.run + back.pos);
    asm_mov_ri(&a, RBX, (uintptr_t)data);
    asm_store(&a, 3, X86_AT(RBX, 0), RCX);
    asm_test_ri(&a, true, RAX, 2);
    asm_jcc_to(&a, CC_E, (const uint8_t *)asm_here(&a) + 6 + 2); /* over the jump by register */
    asm_jmp_r(&a, RCX);
    asm_jmp_m(&a, X86_AT(RBX, 0));
    run = finish();
    for (uint64_t x = 0; x < 8; x++) {
        assert_int_equal(run(x, 0, 0), called(x) + 5);
    }
}

/* What a run loop does: chain, unchain, and put a detour over code that has run. */
static void test_patching(void **state)
{
    const uint8_t *one, *two;
    uint8_t       *jump;
    Fn            *run;

    start(host);
    jump = a.p;
    asm_jmp_to(&a, asm_here(&a));
    two = asm_here(&a);
    asm_mov_ri(&a, RAX, 2);
    asm_ret(&a);
    one = asm_here(&a);
    asm_mov_ri(&a, RAX, 1);
    run = finish();

    code_mem_begin(&mem);
    asm_patch_entry(jump, a.to_run, one, false);
    code_mem_end(&mem);
    assert_int_equal(run(1, 0, 0), 1);
    code_mem_begin(&mem);
    asm_patch_entry(jump, a.to_run, two, false);
    code_mem_end(&mem);
    assert_int_equal(run(1, 0, 0), 2);
    code_mem_begin(&mem);
    asm_patch_entry(mem.write + (two - mem.run), a.to_run, one, false);
    code_mem_end(&mem);
    assert_int_equal(run(1, 0, 0), 1);
}

/* A conditional jump that leads elsewhere later. */
static void test_patching_a_branch(void **state)
{
    AsmLabel       two = ASM_LABEL;
    const uint8_t *three;
    uint8_t       *branch;
    Fn            *run;

    start(host);
    asm_test_rr(&a, true, RDI, RDI);
    branch = a.p;
    asm_jcc(&a, CC_E, &two);
    asm_mov_ri(&a, RAX, 1);
    asm_ret(&a);
    asm_bind(&a, &two);
    asm_mov_ri(&a, RAX, 2);
    asm_ret(&a);
    three = asm_here(&a);
    asm_mov_ri(&a, RAX, 3);
    run = finish();

    assert_int_equal(run(0, 0, 0), 2);
    assert_int_equal(run(1, 0, 0), 1);
    code_mem_begin(&mem);
    asm_patch_branch(branch, a.to_run, three);
    code_mem_end(&mem);
    assert_int_equal(run(0, 0, 0), 3);
    assert_int_equal(run(1, 0, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer),    cmocka_unit_test(test_bmi),   cmocka_unit_test(test_sse),
        cmocka_unit_test(test_avx),        cmocka_unit_test(test_loops), cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_indirect),   cmocka_unit_test(test_patching), cmocka_unit_test(test_patching_a_branch),
    };

    return cmocka_run_group_tests_name("asm_run", tests, set_up, tear_down);
}
