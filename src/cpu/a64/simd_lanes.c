/*
 * What AdvSIMD integer instructions do to lanes: one line per instruction, from which loops for every element
 * size are made. In a meaning, x, y and z are the lanes of the first, second and third operand, as numbers
 * wide enough for exact results; @q is set by saturation. Arm DDI 0487, "A64 Advanced SIMD and Floating-point
 * Instruction Descriptions"; names follow the instructions.
 */
#include <string.h>

#include "bits.h"
#include "cpu/a64/simd.h"

typedef __int128 Int128;

static void set_qc(void *cpu, bool q)
{
    if (q) {
        ((A64Cpu *)cpu)->fpsr |= FPSR_QC;
    }
}

/* SatQ(): to the signed or unsigned range of the result's lanes, noting whether that changed the number. */
#define SATURATE(v, lo, hi)                                                                                \
    ({                                                                                                     \
        __auto_type v_ = (v);                                                                              \
        v_ < (lo) ? (q = true, (lo)) : v_ > (hi) ? (q = true, (hi)) : v_;                                  \
    })
#define SAT_S(v) SATURATE(v, smin, smax)
#define SAT_U(v) SATURATE(v, 0 * umax, umax)

/* The range of a result of @bits. */
#define RANGE(bits, Wide)                                                                                  \
    const Wide smax = ((Wide)1 << ((bits)-1)) - 1, smin = -1 - smax, umax = 2 * smax + 1;                  \
    (void)smin, (void)smax, (void)umax

/* ---- operands and result of one size ---- */

#define ZERO_1 const SimdVec vb = { { 0 } }, vc = { { 0 } };
#define ZERO_2 const SimdVec vc = { { 0 } };
#define ZERO_3

#define SAME_LOOP(sign, bits, Wide, meaning)                                                               \
    {                                                                                                      \
        RANGE(bits, Wide);                                                                                 \
        enum { width = bits };                                                                             \
        for (unsigned i = 0; i < n; i++) {                                                                 \
            const Wide x = va.sign##bits[i], y = vb.sign##bits[i], z = vc.sign##bits[i];                   \
            (void)x, (void)y, (void)z;                                                                     \
            r.u##bits[i] = (uint##bits##_t)(meaning);                                                      \
        }                                                                                                  \
        break;                                                                                             \
    }

#define SAME(name, args, effects, sign, meaning)                                                           \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        SIMD_OPERANDS_##args ZERO_##args                                                                   \
        SimdVec        r = { { 0 } };                                                                      \
        const unsigned n = simd_lanes(imm), count = simd_arg(imm);                                         \
        bool           q = false;                                                                          \
        (void)vb, (void)vc, (void)count;                                                                   \
        switch (simd_size(imm)) {                                                                          \
        case 0:                                                                                            \
            SAME_LOOP(sign, 8, int64_t, meaning)                                                           \
        case 1:                                                                                            \
            SAME_LOOP(sign, 16, int64_t, meaning)                                                          \
        case 2:                                                                                            \
            SAME_LOOP(sign, 32, int64_t, meaning)                                                          \
        default:                                                                                           \
            SAME_LOOP(sign, 64, Int128, meaning)                                                           \
        }                                                                                                  \
        set_qc(cpu, q);                                                                                    \
        memcpy(d, &r, sizeof(r));                                                                          \
    }                                                                                                      \
    SIMD_HELPER(name, args, effects);

SAME(shadd, 2, SIMD_PURE, s, (x + y) >> 1)
SAME(uhadd, 2, SIMD_PURE, u, (x + y) >> 1)
SAME(srhadd, 2, SIMD_PURE, s, (x + y + 1) >> 1)
SAME(urhadd, 2, SIMD_PURE, u, (x + y + 1) >> 1)
SAME(shsub, 2, SIMD_PURE, s, (x - y) >> 1)
SAME(uhsub, 2, SIMD_PURE, u, (x - y) >> 1)
SAME(sqadd, 2, SIMD_FPSR, s, SAT_S(x + y))
SAME(uqadd, 2, SIMD_FPSR, u, SAT_U(x + y))
SAME(sqsub, 2, SIMD_FPSR, s, SAT_S(x - y))
SAME(uqsub, 2, SIMD_FPSR, u, SAT_U(x - y))
SAME(sqabs, 1, SIMD_FPSR, s, SAT_S(x < 0 ? -x : x))
SAME(sqneg, 1, SIMD_FPSR, s, SAT_S(-x))
/* Both operands of these come in Rd (y) and Rn (x); the one of the other signedness is read again. */
SAME(suqadd, 2, SIMD_FPSR, s, SAT_S(y + (x & umax)))
SAME(usqadd, 2, SIMD_FPSR, s, SAT_U((y & umax) + x))

/* High half of the doubled product; everything halved once, so that 32-bit lanes fit 64 bits. */
#define HALF_ROUND ((smax + 1) >> 1)
SAME(sqdmulh, 2, SIMD_FPSR, s, SAT_S((x * y) >> (width - 1)))
SAME(sqrdmulh, 2, SIMD_FPSR, s, SAT_S((x * y + HALF_ROUND) >> (width - 1)))
SAME(sqrdmlah, 3, SIMD_FPSR, s, SAT_S((z * (smax + 1) + x * y + HALF_ROUND) >> (width - 1)))
SAME(sqrdmlsh, 3, SIMD_FPSR, s, SAT_S((z * (smax + 1) - x * y + HALF_ROUND) >> (width - 1)))

/* Eight bytes at a time. */
SIMD_FN(pmul)
{
    SIMD_OPERANDS_2
    SimdVec r = { { 0 } };

    for (unsigned i = 0; i < simd_lanes(imm) / 8; i++) {
        r.u64[i] = crypto_pmul8(va.u64[i], vb.u64[i]);
    }
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(pmul, 2, SIMD_PURE);

/* ---- shifts ---- */

/* @x shifted right by @n > 0 bits, rounded when asked. What @n beyond the width leaves: the sign, or 0
 * rounded. */
static inline Int128 shift_right(Int128 x, unsigned n, unsigned width, bool round)
{
    if (n > width) {
        return round || x >= 0 ? 0 : -1;
    }
    return round ? ((x >> (n - 1)) + 1) >> 1 : x >> n;
}

/* @x shifted left; from the width on only what truncation and saturation make of it is right. */
static inline Int128 shift_left(Int128 x, unsigned n, unsigned width)
{
    return n < width ? x * ((Int128)1 << n) : ((x > 0) - (x < 0)) * ((Int128)1 << (width + 1));
}

/* SSHL and its kin: a signed shift count in the low byte of each lane of the second operand. */
static inline Int128 shift_by(Int128 x, int8_t count, unsigned width, bool round)
{
    if (width < 64) { /* numbers of 64 bits hold all that matters of lanes of up to 32: from 33 on all is gone */
        const int64_t  v = (int64_t)x;
        const unsigned n = MIN((unsigned)(count < 0 ? -count : count), 33u);
        if (count >= 0) {
            return n >= width && v != 0 ? (v > 0 ? 1 : -1) * ((int64_t)1 << (width + 1)) : v * ((int64_t)1 << n % 33);
        }
        return round ? ((v >> (n - 1)) + 1) >> 1 : v >> n;
    }
    if (count >= 0) {
        return shift_left(x, (unsigned)count, width);
    }
    return shift_right(x, (unsigned)-count, width, round);
}

SAME(sshl, 2, SIMD_PURE, s, shift_by(x, (int8_t)y, width, false))
SAME(ushl, 2, SIMD_PURE, u, shift_by(x, (int8_t)y, width, false))
SAME(srshl, 2, SIMD_PURE, s, shift_by(x, (int8_t)y, width, true))
SAME(urshl, 2, SIMD_PURE, u, shift_by(x, (int8_t)y, width, true))
SAME(sqshl, 2, SIMD_FPSR, s, SAT_S(shift_by(x, (int8_t)y, width, false)))
SAME(uqshl, 2, SIMD_FPSR, u, SAT_U(shift_by(x, (int8_t)y, width, false)))
SAME(sqrshl, 2, SIMD_FPSR, s, SAT_S(shift_by(x, (int8_t)y, width, true)))
SAME(uqrshl, 2, SIMD_FPSR, u, SAT_U(shift_by(x, (int8_t)y, width, true)))

/* By immediate: @count is below the width to the left, 1 to the width to the right. */
SAME(srshr, 1, SIMD_PURE, s, ((x >> (count - 1)) + 1) >> 1)
SAME(urshr, 1, SIMD_PURE, u, ((x >> (count - 1)) + 1) >> 1)
SAME(sri, 2, SIMD_PURE, u, x >> count | (y & ~(umax >> count)))
SAME(sli, 2, SIMD_PURE, u, (uint64_t)x << count | ((uint64_t)y & mask64(count)))
SAME(sqshl_imm, 1, SIMD_FPSR, s, SAT_S(shift_left(x, count, width)))
SAME(uqshl_imm, 1, SIMD_FPSR, u, SAT_U(shift_left(x, count, width)))
SAME(sqshlu, 1, SIMD_FPSR, s, SAT_U(shift_left(x, count, width)))

/* ---- bits within lanes ---- */

SAME(cls, 1, SIMD_PURE, s, (Int128)__builtin_clrsbll((int64_t)x) - (64 - width))
SAME(clz, 1, SIMD_PURE, u, x == 0 ? width : __builtin_clzll((uint64_t)x) - (64 - width))
SAME(cnt, 1, SIMD_PURE, u, __builtin_popcount((unsigned)x))

static inline uint8_t reverse_bits(unsigned x)
{
    x = (x & 0xf0) >> 4 | (x & 0x0f) << 4;
    x = (x & 0xcc) >> 2 | (x & 0x33) << 2;
    return (uint8_t)((x & 0xaa) >> 1 | (x & 0x55) << 1);
}

SAME(rbit, 1, SIMD_PURE, u, reverse_bits((unsigned)x))
SAME(urecpe, 1, SIMD_PURE, u, fp_unsigned_recip_estimate((uint32_t)x))
SAME(ursqrte, 1, SIMD_PURE, u, fp_unsigned_rsqrt_estimate((uint32_t)x))

/* REV16, REV32, REV64: elements within containers of 1 << count elements. */
SIMD_FN(rev)
{
    SIMD_OPERANDS_1
    SimdVec        r = { { 0 } };
    const unsigned size = simd_size(imm), flip = (1u << simd_arg(imm)) - 1;

    for (unsigned i = 0; i < simd_lanes(imm); i++) {
        simd_set(&r, size, i, simd_get(&va, size, i ^ flip));
    }
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(rev, 1, SIMD_PURE);

/* ---- results of twice the size: x, y narrow; wx the first operand and z the accumulator in wide lanes
 * ---- */

#define LONG_LOOP(sign, bits, wbits, Wide, meaning)                                                        \
    {                                                                                                      \
        RANGE(wbits, Wide);                                                                                \
        for (unsigned i = 0; i < n; i++) {                                                                 \
            const Wide x = va.sign##bits[first + i], y = vb.sign##bits[first + i];                         \
            const Wide wx = va.sign##wbits[i], z = vc.sign##wbits[i];                                      \
            (void)x, (void)y, (void)z, (void)wx;                                                           \
            r.u##wbits[i] = (uint##wbits##_t)(meaning);                                                    \
        }                                                                                                  \
        break;                                                                                             \
    }

#define LONG(name, args, effects, sign, meaning)                                                           \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        SIMD_OPERANDS_##args ZERO_##args                                                                   \
        SimdVec        r = { { 0 } };                                                                      \
        const unsigned n = simd_half_lanes(imm), first = simd_first(imm), count = simd_arg(imm);           \
        bool           q = false;                                                                          \
        (void)vb, (void)vc, (void)count;                                                                   \
        switch (simd_size(imm)) {                                                                          \
        case 0:                                                                                            \
            LONG_LOOP(sign, 8, 16, int64_t, meaning)                                                       \
        case 1:                                                                                            \
            LONG_LOOP(sign, 16, 32, int64_t, meaning)                                                      \
        default:                                                                                           \
            LONG_LOOP(sign, 32, 64, Int128, meaning)                                                       \
        }                                                                                                  \
        set_qc(cpu, q);                                                                                    \
        memcpy(d, &r, sizeof(r));                                                                          \
    }                                                                                                      \
    SIMD_HELPER(name, args, effects);

#define DISTANCE (x > y ? x - y : y - x)

LONG(saddl, 2, SIMD_PURE, s, x + y)
LONG(uaddl, 2, SIMD_PURE, u, x + y)
LONG(ssubl, 2, SIMD_PURE, s, x - y)
LONG(usubl, 2, SIMD_PURE, u, x - y)
LONG(saddw, 2, SIMD_PURE, s, wx + y)
LONG(uaddw, 2, SIMD_PURE, u, wx + y)
LONG(ssubw, 2, SIMD_PURE, s, wx - y)
LONG(usubw, 2, SIMD_PURE, u, wx - y)
LONG(sabdl, 2, SIMD_PURE, s, DISTANCE)
LONG(uabdl, 2, SIMD_PURE, u, DISTANCE)
LONG(sabal, 3, SIMD_PURE, s, z + DISTANCE)
LONG(uabal, 3, SIMD_PURE, u, z + DISTANCE)
LONG(smull, 2, SIMD_PURE, s, x * y)
LONG(umull, 2, SIMD_PURE, u, x * y)
LONG(smlal, 3, SIMD_PURE, s, z + x * y)
LONG(umlal, 3, SIMD_PURE, u, z + x * y)
LONG(smlsl, 3, SIMD_PURE, s, z - x * y)
LONG(umlsl, 3, SIMD_PURE, u, z - x * y)
LONG(sqdmull, 2, SIMD_FPSR, s, SAT_S(2 * x * y))
LONG(sqdmlal, 3, SIMD_FPSR, s, SAT_S(z + SAT_S(2 * x * y)))
LONG(sqdmlsl, 3, SIMD_FPSR, s, SAT_S(z - SAT_S(2 * x * y)))
LONG(sshll, 1, SIMD_PURE, s, (uint64_t)x << count)
LONG(ushll, 1, SIMD_PURE, u, (uint64_t)x << count)

/* Four bytes to lanes of 16 bits. */
static inline uint64_t spread_bytes(uint64_t x)
{
    x = (x | x << 16) & 0x0000ffff0000ffff;
    return (x | x << 8) & 0x00ff00ff00ff00ff;
}

SIMD_FN(pmull)
{
    SIMD_OPERANDS_2
    const unsigned first = simd_first(imm) / 4;
    SimdVec        r = { { 0 } };

    for (unsigned i = 0; i < 2; i++) {
        r.u64[i] = crypto_pmull8(spread_bytes(va.u32[first + i]), spread_bytes(vb.u32[first + i]));
    }
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(pmull, 2, SIMD_PURE);

SIMD_FN(pmull64)
{
    SIMD_OPERANDS_2
    const unsigned half = imm & SIMD_Q ? 1 : 0;
    const Vec128   r = crypto_pmull64(va.u64[half], vb.u64[half]);

    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(pmull64, 2, SIMD_PURE);

/* Pairs of neighbours: x0, x1 narrow; z the accumulator (second operand) in wide lanes. */
#define PAIR_LOOP(sign, bits, wbits, meaning)                                                              \
    {                                                                                                      \
        for (unsigned i = 0; i < n; i++) {                                                                 \
            const int64_t x0 = va.sign##bits[2 * i], x1 = va.sign##bits[2 * i + 1];                        \
            const uint64_t z = vb.u##wbits[i];                                                             \
            (void)z;                                                                                       \
            r.u##wbits[i] = (uint##wbits##_t)(meaning);                                                    \
        }                                                                                                  \
        break;                                                                                             \
    }

#define PAIRS(name, args, sign, meaning)                                                                   \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        SIMD_OPERANDS_##args ZERO_##args                                                                   \
        SimdVec        r = { { 0 } };                                                                      \
        const unsigned n = simd_lanes(imm) / 2;                                                            \
        (void)vb, (void)vc;                                                                                \
        switch (simd_size(imm)) {                                                                          \
        case 0:                                                                                            \
            PAIR_LOOP(sign, 8, 16, meaning)                                                                \
        case 1:                                                                                            \
            PAIR_LOOP(sign, 16, 32, meaning)                                                               \
        default:                                                                                           \
            PAIR_LOOP(sign, 32, 64, meaning)                                                               \
        }                                                                                                  \
        memcpy(d, &r, sizeof(r));                                                                          \
    }                                                                                                      \
    SIMD_HELPER(name, args, SIMD_PURE);

PAIRS(saddlp, 1, s, x0 + x1)
PAIRS(uaddlp, 1, u, x0 + x1)
PAIRS(sadalp, 2, s, z + (uint64_t)(x0 + x1))
PAIRS(uadalp, 2, u, z + (uint64_t)(x0 + x1))

/* ---- results of half the size: x, y wide, of signedness @sign; the last operand is the old destination
 * ---- */

#define NARROW_LOOP(sign, bits, wbits, Wide, meaning)                                                      \
    {                                                                                                      \
        RANGE(bits, Wide);                                                                                 \
        enum { width = bits };                                                                             \
        for (unsigned i = 0; i < n; i++) {                                                                 \
            const Wide x = va.sign##wbits[i], y = vb.sign##wbits[i];                                       \
            (void)x, (void)y;                                                                              \
            r.u##bits[first + i] = (uint##bits##_t)(meaning);                                              \
        }                                                                                                  \
        break;                                                                                             \
    }

#define NARROW(name, args, old, effects, sign, meaning)                                                    \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        SIMD_OPERANDS_##args                                                                               \
        SimdVec        r = { { 0 } };                                                                      \
        const unsigned n = simd_half_lanes(imm), first = simd_first(imm), count = simd_arg(imm);           \
        bool           q = false;                                                                          \
        (void)count;                                                                                       \
        r.u64[0] = imm & SIMD_Q ? old.u64[0] : 0;                                                          \
        switch (simd_size(imm)) {                                                                          \
        case 0:                                                                                            \
            NARROW_LOOP(sign, 8, 16, int64_t, meaning)                                                     \
        case 1:                                                                                            \
            NARROW_LOOP(sign, 16, 32, int64_t, meaning)                                                    \
        default:                                                                                           \
            NARROW_LOOP(sign, 32, 64, Int128, meaning)                                                     \
        }                                                                                                  \
        set_qc(cpu, q);                                                                                    \
        memcpy(d, &r, sizeof(r));                                                                          \
    }                                                                                                      \
    SIMD_HELPER(name, args, effects);

#define NARROW_2(name, meaning)                  NARROW(name, 3, vc, SIMD_PURE, u, meaning)
#define NARROW_1(name, effects, sign, meaning)   NARROW(name, 2, vb, effects, sign, meaning)
#define ROUNDED_SHIFT                            (((x >> (count - 1)) + 1) >> 1)
#define ROUND_HIGH                               (smax + 1)

NARROW_2(addhn, (x + y) >> width)
NARROW_2(raddhn, (x + y + ROUND_HIGH) >> width)
NARROW_2(subhn, (x - y) >> width)
NARROW_2(rsubhn, (x - y + ROUND_HIGH) >> width)
NARROW_1(sqxtn, SIMD_FPSR, s, SAT_S(x))
NARROW_1(uqxtn, SIMD_FPSR, u, SAT_U(x))
NARROW_1(sqxtun, SIMD_FPSR, s, SAT_U(x))
NARROW_1(rshrn, SIMD_PURE, u, ROUNDED_SHIFT)
NARROW_1(sqshrn, SIMD_FPSR, s, SAT_S(x >> count))
NARROW_1(uqshrn, SIMD_FPSR, u, SAT_U(x >> count))
NARROW_1(sqshrun, SIMD_FPSR, s, SAT_U(x >> count))
NARROW_1(sqrshrn, SIMD_FPSR, s, SAT_S(ROUNDED_SHIFT))
NARROW_1(uqrshrn, SIMD_FPSR, u, SAT_U(ROUNDED_SHIFT))
NARROW_1(sqrshrun, SIMD_FPSR, s, SAT_U(ROUNDED_SHIFT))

/* ---- across lanes: acc starts as the first lane ---- */

#define ACROSS_LOOP(sign, bits, rbits, meaning)                                                            \
    {                                                                                                      \
        int64_t acc = va.sign##bits[0];                                                                    \
        for (unsigned i = 1; i < n; i++) {                                                                 \
            const int64_t x = va.sign##bits[i];                                                            \
            acc = meaning;                                                                                 \
        }                                                                                                  \
        r.u##rbits[0] = (uint##rbits##_t)acc;                                                              \
        break;                                                                                             \
    }

#define ACROSS(name, sign, rbits8, rbits16, rbits32, meaning)                                              \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        SIMD_OPERANDS_1                                                                                    \
        SimdVec        r = { { 0 } };                                                                      \
        const unsigned n = simd_lanes(imm);                                                                \
        switch (simd_size(imm)) {                                                                          \
        case 0:                                                                                            \
            ACROSS_LOOP(sign, 8, rbits8, meaning)                                                          \
        case 1:                                                                                            \
            ACROSS_LOOP(sign, 16, rbits16, meaning)                                                        \
        default:                                                                                           \
            ACROSS_LOOP(sign, 32, rbits32, meaning)                                                        \
        }                                                                                                  \
        memcpy(d, &r, sizeof(r));                                                                          \
    }                                                                                                      \
    SIMD_HELPER(name, 1, SIMD_PURE);

ACROSS(addv, u, 8, 16, 32, acc + x)
ACROSS(smaxv, s, 8, 16, 32, acc > x ? acc : x)
ACROSS(umaxv, u, 8, 16, 32, acc > x ? acc : x)
ACROSS(sminv, s, 8, 16, 32, acc < x ? acc : x)
ACROSS(uminv, u, 8, 16, 32, acc < x ? acc : x)
ACROSS(saddlv, s, 16, 32, 64, acc + x)
ACROSS(uaddlv, u, 16, 32, 64, acc + x)

/* ---- dot products and matrices of bytes ---- */

#define DOT(name, sign_n, sign_m)                                                                          \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        SIMD_OPERANDS_3                                                                                    \
        SimdVec r = { { 0 } };                                                                             \
        for (unsigned i = 0; i < simd_lanes(imm); i++) {                                                   \
            uint32_t sum = vc.u32[i];                                                                      \
            for (unsigned k = 4 * i; k < 4 * i + 4; k++) {                                                 \
                sum += (uint32_t)(va.sign_n##8[k] * vb.sign_m##8[k]);                                      \
            }                                                                                              \
            r.u32[i] = sum;                                                                                \
        }                                                                                                  \
        memcpy(d, &r, sizeof(r));                                                                          \
    }                                                                                                      \
    SIMD_HELPER(name, 3, SIMD_PURE);

DOT(sdot, s, s)
DOT(udot, u, u)
DOT(usdot, u, s)
DOT(sudot, s, u)

/* MatMulAdd(): 2 x 8 times 8 x 2 bytes, added to 2 x 2 words. */
#define MATRIX(name, sign_n, sign_m)                                                                       \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        SIMD_OPERANDS_3                                                                                    \
        for (unsigned i = 0; i < 4; i++) {                                                                 \
            for (unsigned k = 0; k < 8; k++) {                                                             \
                vc.u32[i] += (uint32_t)(va.sign_n##8[i / 2 * 8 + k] * vb.sign_m##8[i % 2 * 8 + k]);        \
            }                                                                                              \
        }                                                                                                  \
        memcpy(d, &vc, sizeof(vc));                                                                        \
    }                                                                                                      \
    SIMD_HELPER(name, 3, SIMD_PURE);

MATRIX(smmla, s, s)
MATRIX(ummla, u, u)
MATRIX(usmmla, u, s)

/* ---- tables ---- */

/* Looks up bytes in a table of @len bytes; an index beyond it gives the byte of @otherwise. */
static void look_up(void *d, const uint8_t *table, unsigned len, const SimdVec *index,
                    const SimdVec *otherwise, SimdShape imm)
{
    SimdVec r = { { 0 } };

    for (unsigned i = 0; i < simd_lanes(imm); i++) {
        r.u8[i] = index->u8[i] < len ? table[index->u8[i]] : otherwise->u8[i];
    }
    memcpy(d, &r, sizeof(r));
}

static const SimdVec zero_vector;

SIMD_FN(tbl1)
{
    SIMD_OPERANDS_2
    look_up(d, va.u8, 16, &vb, &zero_vector, imm);
}
SIMD_HELPER(tbl1, 2, SIMD_PURE);

SIMD_FN(tbx1)
{
    SIMD_OPERANDS_3
    look_up(d, va.u8, 16, &vb, &vc, imm);
}
SIMD_HELPER(tbx1, 3, SIMD_PURE);

/* Two registers: operands (first, second, index). */
SIMD_FN(tbl2)
{
    SIMD_OPERANDS_3
    uint8_t table[32];

    memcpy(table, &va, 16);
    memcpy(table + 16, &vb, 16);
    look_up(d, table, 32, &vc, &zero_vector, imm);
}
SIMD_HELPER(tbl2, 3, SIMD_PURE);

/* ---- structures of three elements (LD3, ST3) ---- */

/* Of three registers' worth of memory, element number arg of each structure. */
SIMD_FN(gather3)
{
    SIMD_OPERANDS_3
    const SimdVec *in[3] = { &va, &vb, &vc };
    const unsigned size = simd_size(imm), n = simd_lanes(imm);
    SimdVec        r = { { 0 } };

    for (unsigned i = 0; i < n; i++) {
        const unsigned at = 3 * i + simd_arg(imm);
        simd_set(&r, size, i, simd_get(in[at / n], size, at % n));
    }
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(gather3, 3, SIMD_PURE);

/* Of three registers of elements, register's worth number arg of memory. */
SIMD_FN(scatter3)
{
    SIMD_OPERANDS_3
    const SimdVec *in[3] = { &va, &vb, &vc };
    const unsigned size = simd_size(imm), n = simd_lanes(imm);
    SimdVec        r = { { 0 } };

    for (unsigned i = 0; i < n; i++) {
        const unsigned at = n * simd_arg(imm) + i;
        simd_set(&r, size, i, simd_get(in[at % 3], size, at / 3));
    }
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(scatter3, 3, SIMD_PURE);
