/*
 * Advanced SIMD by intrinsics; the host runs the same in plain C. Floating-point values are small multiples of powers
 * of two, so that every order of additions and every fusion gives the same bits.
 */
#include "bench.h"

#ifdef __aarch64__
#include <arm_neon.h>
#endif

enum { COUNT = 4096 };

static float    fa[COUNT], fb[COUNT];
static uint8_t  ba[COUNT], bb[COUNT], bc[COUNT];
static int16_t  ha[COUNT + 16], hb[COUNT];

static void fill(uint32_t seed)
{
    for (unsigned i = 0; i < COUNT; i++) {
        fa[i] = (float)(next_random(&seed) % 64) - 32;
        fb[i] = (float)(next_random(&seed) % 64) - 32;
        ba[i] = (uint8_t)next_random(&seed);
        bb[i] = (uint8_t)next_random(&seed);
        ha[i] = (int16_t)(next_random(&seed) % 4096);
    }
}

/* y = a x + y, and back again. */
static void saxpy_pass(float a)
{
#ifdef __aarch64__
    for (unsigned i = 0; i < COUNT; i += 8) {
        vst1q_f32(fb + i, vfmaq_n_f32(vld1q_f32(fb + i), vld1q_f32(fa + i), a));
        vst1q_f32(fb + i + 4, vfmaq_n_f32(vld1q_f32(fb + i + 4), vld1q_f32(fa + i + 4), a));
    }
#else
    for (unsigned i = 0; i < COUNT; i++) {
        fb[i] += a * fa[i];
    }
#endif
}

static uint64_t saxpy(uint64_t n)
{
    fill(20);
    for (uint64_t r = 0; r < n; r++) {
        fa[r % COUNT] = (float)(r % 32);
        saxpy_pass(r % 2 == 0 ? 0.5f : -0.25f);
        if (r % 64 == 63) { /* keep the values small */
            memcpy(fb, fa, sizeof(fb));
        }
    }
    return mix_bytes(0, fb, sizeof(fb));
}

static float dot_pass(void)
{
#ifdef __aarch64__
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0;

    for (unsigned i = 0; i < COUNT; i += 8) {
        s0 = vfmaq_f32(s0, vld1q_f32(fa + i), vld1q_f32(fb + i));
        s1 = vfmaq_f32(s1, vld1q_f32(fa + i + 4), vld1q_f32(fb + i + 4));
    }
    return vaddvq_f32(vaddq_f32(s0, s1));
#else
    float s = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        s += fa[i] * fb[i];
    }
    return s;
#endif
}

static uint64_t dot(uint64_t n)
{
    uint64_t sum = 0;

    fill(21);
    while (n-- > 0) {
        fa[n % COUNT] = (float)(n % 32);
        sum = mix_double(sum, dot_pass());
    }
    return sum;
}

/* Four-vectors through a four by four matrix. */
static void transform_pass(const float m[16])
{
#ifdef __aarch64__
    float32x4_t c0 = vld1q_f32(m), c1 = vld1q_f32(m + 4), c2 = vld1q_f32(m + 8), c3 = vld1q_f32(m + 12);

    for (unsigned i = 0; i < COUNT; i += 4) {
        float32x4_t v = vld1q_f32(fa + i), r = vmulq_laneq_f32(c0, v, 0);

        r = vfmaq_laneq_f32(r, c1, v, 1);
        r = vfmaq_laneq_f32(r, c2, v, 2);
        vst1q_f32(fb + i, vfmaq_laneq_f32(r, c3, v, 3));
    }
#else
    for (unsigned i = 0; i < COUNT; i += 4) {
        for (unsigned k = 0; k < 4; k++) {
            fb[i + k] = m[k] * fa[i] + m[4 + k] * fa[i + 1] + m[8 + k] * fa[i + 2] + m[12 + k] * fa[i + 3];
        }
    }
#endif
}

static uint64_t transform(uint64_t n)
{
    float    m[16];
    uint64_t sum = 0;

    fill(22);
    for (unsigned i = 0; i < 16; i++) {
        m[i] = (float)(i % 7) - 3;
    }
    while (n-- > 0) {
        m[n % 16] = (float)(n % 5);
        transform_pass(m);
        sum = mix_double(sum, fb[n % COUNT]);
    }
    return sum;
}

/* One picture over another: c = (a alpha + b (255 - alpha) + 128) / 256. */
static void blend_pass(uint8_t alpha)
{
#ifdef __aarch64__
    uint8x8_t wa = vdup_n_u8(alpha), wb = vdup_n_u8(255 - alpha);

    for (unsigned i = 0; i < COUNT; i += 16) {
        uint8x16_t a = vld1q_u8(ba + i), b = vld1q_u8(bb + i);
        uint16x8_t low = vmlal_u8(vmull_u8(vget_low_u8(a), wa), vget_low_u8(b), wb);
        uint16x8_t high = vmlal_u8(vmull_u8(vget_high_u8(a), wa), vget_high_u8(b), wb);

        vst1q_u8(bc + i, vcombine_u8(vrshrn_n_u16(low, 8), vrshrn_n_u16(high, 8)));
    }
#else
    for (unsigned i = 0; i < COUNT; i++) {
        bc[i] = (uint8_t)((ba[i] * alpha + bb[i] * (255 - alpha) + 128) >> 8);
    }
#endif
}

static uint64_t blend(uint64_t n)
{
    fill(23);
    while (n-- > 0) {
        blend_pass((uint8_t)n);
        ba[n % COUNT] ^= bc[(n * 7) % COUNT];
    }
    return mix_bytes(0, bc, COUNT);
}

/* A filter of 8 taps over 16-bit samples. */
static void fir_pass(const int16_t taps[8])
{
#ifdef __aarch64__
    int16x8_t t = vld1q_s16(taps);

    for (unsigned i = 0; i < COUNT; i += 4) {
        int32x4_t s = vmull_laneq_s16(vld1_s16(ha + i), t, 0);

        s = vmlal_laneq_s16(s, vld1_s16(ha + i + 1), t, 1);
        s = vmlal_laneq_s16(s, vld1_s16(ha + i + 2), t, 2);
        s = vmlal_laneq_s16(s, vld1_s16(ha + i + 3), t, 3);
        s = vmlal_laneq_s16(s, vld1_s16(ha + i + 4), t, 4);
        s = vmlal_laneq_s16(s, vld1_s16(ha + i + 5), t, 5);
        s = vmlal_laneq_s16(s, vld1_s16(ha + i + 6), t, 6);
        s = vmlal_laneq_s16(s, vld1_s16(ha + i + 7), t, 7);
        vst1_s16(hb + i, vqshrn_n_s32(s, 12));
    }
#else
    for (unsigned i = 0; i < COUNT; i++) {
        int32_t s = 0;

        for (unsigned k = 0; k < 8; k++) {
            s += ha[i + k] * taps[k];
        }
        s >>= 12;
        hb[i] = (int16_t)(s > INT16_MAX ? INT16_MAX : s < INT16_MIN ? INT16_MIN : s);
    }
#endif
}

static uint64_t fir(uint64_t n)
{
    int16_t taps[8] = {-200, 900, 3000, 9000, 9000, 3000, 900, -200};

    fill(24);
    while (n-- > 0) {
        taps[n % 8] ^= (int16_t)(n & 63);
        fir_pass(taps);
        ha[n % COUNT] = hb[(n * 5) % COUNT] & 4095;
    }
    return mix_bytes(0, hb, sizeof(hb));
}

static int32_t dot8_pass(void)
{
#ifdef __aarch64__
    int32x4_t s = vdupq_n_s32(0);

    for (unsigned i = 0; i < COUNT; i += 16) {
        int8x16_t a = vreinterpretq_s8_u8(vld1q_u8(ba + i)), b = vreinterpretq_s8_u8(vld1q_u8(bb + i));

        s = vpadalq_s16(s, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        s = vpadalq_s16(s, vmull_s8(vget_high_s8(a), vget_high_s8(b)));
    }
    return vaddvq_s32(s);
#else
    int32_t s = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        s += (int8_t)ba[i] * (int8_t)bb[i];
    }
    return s;
#endif
}

static uint64_t dot8(uint64_t n)
{
    uint64_t sum = 0;

    fill(25);
    while (n-- > 0) {
        ba[n % COUNT] = (uint8_t)n;
        sum = mix(sum, (uint32_t)dot8_pass());
    }
    return sum;
}

/* Bytes to hexadecimal digits by table lookup. */
static void hex_pass(void)
{
#ifdef __aarch64__
    uint8x16_t digits = vld1q_u8((const uint8_t *)"0123456789abcdef"), mask = vdupq_n_u8(15);

    for (unsigned i = 0; i < COUNT / 2; i += 16) {
        uint8x16_t   v = vld1q_u8(ba + i);
        uint8x16x2_t out = {{vqtbl1q_u8(digits, vshrq_n_u8(v, 4)), vqtbl1q_u8(digits, vandq_u8(v, mask))}};

        vst2q_u8(bc + 2 * i, out);
    }
#else
    for (unsigned i = 0; i < COUNT / 2; i++) {
        bc[2 * i] = (uint8_t) "0123456789abcdef"[ba[i] >> 4];
        bc[2 * i + 1] = (uint8_t) "0123456789abcdef"[ba[i] & 15];
    }
#endif
}

static uint64_t hex(uint64_t n)
{
    fill(26);
    while (n-- > 0) {
        ba[n % COUNT] += bc[(n * 3) % COUNT];
        hex_pass();
    }
    return mix_bytes(0, bc, COUNT);
}

/* How many bytes of one buffer are less than those of the other, and by how much all differ. */
static uint32_t differ_pass(void)
{
#ifdef __aarch64__
    uint32x4_t s = vdupq_n_u32(0);

    for (unsigned i = 0; i < COUNT; i += 16) {
        uint8x16_t a = vld1q_u8(ba + i), b = vld1q_u8(bb + i), less = vshrq_n_u8(vcltq_u8(a, b), 7);

        s = vpadalq_u16(s, vpaddlq_u8(vabdq_u8(a, b)));
        s = vpadalq_u16(s, vpaddlq_u8(less));
    }
    return vaddvq_u32(s);
#else
    uint32_t s = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        s += (uint32_t)abs(ba[i] - bb[i]) + (ba[i] < bb[i]);
    }
    return s;
#endif
}

static uint64_t differ(uint64_t n)
{
    uint64_t sum = 0;

    fill(27);
    while (n-- > 0) {
        ba[n % COUNT] = (uint8_t)(n * 5);
        sum = mix(sum, differ_pass());
    }
    return sum;
}

/* Saturating sums and shifts of one number each: filters of old speech codecs are made of such. */
#ifdef __aarch64__
static int64_t add_s64(int64_t a, int64_t b) { return vqaddd_s64(a, b); }
static int64_t sub_s64(int64_t a, int64_t b) { return vqsubd_s64(a, b); }
static int64_t shl_s64(int64_t a) { return vqshld_n_s64(a, 3); }
static int32_t add_s32(int32_t a, int32_t b) { return vqadds_s32(a, b); }
static int32_t narrow_s64(int64_t a) { return vqmovnd_s64(a); }
#else
static int64_t limit_s64(int64_t sign) { return sign < 0 ? INT64_MIN : INT64_MAX; }

static int64_t add_s64(int64_t a, int64_t b)
{
    int64_t r;

    return __builtin_add_overflow(a, b, &r) ? limit_s64(a) : r;
}

static int64_t sub_s64(int64_t a, int64_t b)
{
    int64_t r;

    return __builtin_sub_overflow(a, b, &r) ? limit_s64(a) : r;
}

static int64_t shl_s64(int64_t a)
{
    int64_t r;

    return __builtin_mul_overflow(a, (int64_t)8, &r) ? limit_s64(a) : r;
}

static int32_t narrow_s64(int64_t a) { return a > INT32_MAX ? INT32_MAX : a < INT32_MIN ? INT32_MIN : (int32_t)a; }
static int32_t add_s32(int32_t a, int32_t b) { return narrow_s64((int64_t)a + b); }
#endif

static uint64_t saturate(uint64_t n)
{
    int64_t  level = 0, peak = 0;
    int32_t  total = 0;
    uint64_t sum = 0;

    fill(47);
    for (uint64_t r = 0; r < n; r++) {
        for (unsigned i = 0; i < COUNT; i++) {
            level = add_s64(shl_s64(level), ha[i]);
            peak = sub_s64(peak, level);
            total = add_s32(total, narrow_s64(level));
            level = i % 16 == 0 ? ha[i] : level;
        }
        sum = mix(mix(sum, (uint64_t)peak), (uint64_t)(uint32_t)total);
        total = 0;
    }
    return sum;
}

/* Half precision: products and differences, and conversions from and to single precision. The host rounds twice, which
 * gives the same numbers. */
static _Float16 halves[COUNT];

#ifdef __aarch64__
#define WITH_HALVES __attribute__((target("arch=armv8.2-a+fp16")))
#define HALF(x, op, y) ((x) op (y))
#else
#define WITH_HALVES
#define HALF(x, op, y) ((_Float16)((float)(x) op (float)(y)))
#endif

WITH_HALVES static uint64_t half_float(uint64_t n)
{
    uint64_t sum = 0;

    fill(53);
    for (unsigned i = 0; i < COUNT; i++) {
        halves[i] = (_Float16)((float)(ha[i] - 2048) / 512);
    }
    for (uint64_t r = 0; r < n; r++) {
        _Float16 x = (_Float16)1.0f, scale = (_Float16)(0.5f + (float)(r % 8) / 16);
        float    total = 0;

        for (unsigned i = 0; i < COUNT; i++) {
            x = HALF(halves[i], -, HALF(x, *, scale));
            total += (float)x;
            halves[i] = i % 64 == 0 ? (_Float16)(total / COUNT) : halves[i];
        }
        sum = mix_double(sum, (double)total);
    }
    return sum;
}

const Program neon_programs[] = {
    { "neon", "saxpy-f32", saxpy, 4000 },
    { "neon", "dot-f32", dot, 4000 },
    { "neon", "matrix-f32", transform, 1000 },
    { "neon", "blend-u8", blend, 40000 },
    { "neon", "fir-s16", fir, 8000 },
    { "neon", "dot-s8", dot8, 60000 },
    { "neon", "hex-tbl", hex, 20000 },
    { "neon", "differ-u8", differ, 80000 },
    { "neon", "saturate", saturate, 5000 },
    { "neon", "half-float", half_float, 1200 },
    { NULL },
};
