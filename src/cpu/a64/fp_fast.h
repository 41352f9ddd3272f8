/*
 * Floating-point arithmetic on the host's, where that gives Arm's result and flags exactly; else fp.h. The
 * host rounds to nearest and does not flush (its default environment). Conditions: FPCR asks for the same,
 * the result is a normal number (or a zero that is plainly exact), and either IXC is set already or the
 * rounding error can be computed.
 */
#ifndef BAILEY_CPU_A64_FP_FAST_H
#define BAILEY_CPU_A64_FP_FAST_H

#include <math.h>
#include <string.h>

#include "cpu/a64/fp.h"

static inline float  fast_f32(uint64_t v) { uint32_t w = (uint32_t)v; float f; memcpy(&f, &w, 4); return f; }
static inline double fast_f64(uint64_t v) { double f; memcpy(&f, &v, 8); return f; }
static inline uint64_t fast_bits32(float f) { uint32_t w; memcpy(&w, &f, 4); return w; }
static inline uint64_t fast_bits64(double f) { uint64_t w; memcpy(&w, &f, 8); return w; }

/* Results below these may be tiny; products below them may have an error that is too small to compute. */
#define FAST_MIN32 0x1p-125f
#define FAST_MIN64 0x1p-900

static inline bool fast_mode(const FpEnv *env)
{
    return (env->fpcr & (FPCR_RMODE | FPCR_FZ)) == 0;
}

static inline bool fast_is_inexact(const FpEnv *env)
{
    return env->fpsr & FPSR_IXC;
}

static inline bool fast_normal32(float r)
{
    return __builtin_fabsf(r) >= FAST_MIN32 && __builtin_fabsf(r) <= 0x1.fffffep127f;
}

static inline bool fast_normal64(double r)
{
    return __builtin_fabs(r) >= FAST_MIN64 && __builtin_fabs(r) <= 0x1.fffffffffffffp1023;
}

/* What an operation of two operands does once its result is known to be normal: Inexact, and the bits. */
#define FAST_DONE(env, inexact, bits)                                                                      \
    do {                                                                                                   \
        if (!fast_is_inexact(env) && (inexact)) {                                                          \
            (env)->fpsr |= FPSR_IXC;                                                                       \
        }                                                                                                  \
        return (bits);                                                                                     \
    } while (0)

/* The error of r = x + y (Knuth's two-sum): exact, as no step overflows when r is finite. */
static inline bool fast_sum_error32(float x, float y, float r)
{
    float v = r - x;
    return (x - (r - v)) + (y - v) != 0;
}

static inline bool fast_sum_error64(double x, double y, double r)
{
    double v = r - x;
    return (x - (r - v)) + (y - v) != 0;
}

static inline uint64_t fast_add(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    if (fast_mode(env) && fmt == FP_F64) {
        double x = fast_f64(a), y = fast_f64(b), r = x + y;
        if (fast_normal64(r) || r == 0) {
            FAST_DONE(env, fast_sum_error64(x, y, r), fast_bits64(r));
        }
    } else if (fast_mode(env) && fmt == FP_F32) {
        float x = fast_f32(a), y = fast_f32(b), r = x + y;
        if (fast_normal32(r) || r == 0) {
            FAST_DONE(env, fast_sum_error32(x, y, r), fast_bits32(r));
        }
    }
    return fp_add(env, fmt, a, b);
}

static inline uint64_t fast_sub(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    if (fast_mode(env) && fmt == FP_F64) {
        double x = fast_f64(a), y = fast_f64(b), r = x - y;
        if (fast_normal64(r) || r == 0) {
            FAST_DONE(env, fast_sum_error64(x, -y, r), fast_bits64(r));
        }
    } else if (fast_mode(env) && fmt == FP_F32) {
        float x = fast_f32(a), y = fast_f32(b), r = x - y;
        if (fast_normal32(r) || r == 0) {
            FAST_DONE(env, fast_sum_error32(x, -y, r), fast_bits32(r));
        }
    }
    return fp_sub(env, fmt, a, b);
}

/* A product of two 24-bit significands is exact in double precision; an fma gives the error of any other. */
static inline uint64_t fast_mul(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    if (fast_mode(env) && fmt == FP_F64) {
        double x = fast_f64(a), y = fast_f64(b), r = x * y;
        if (fast_normal64(r) || (r == 0 && (x == 0 || y == 0))) {
            FAST_DONE(env, fma(x, y, -r) != 0, fast_bits64(r));
        }
    } else if (fast_mode(env) && fmt == FP_F32) {
        double p = (double)fast_f32(a) * (double)fast_f32(b);
        float  r = (float)p;
        if (fast_normal32(r) || p == 0) {
            FAST_DONE(env, (double)r != p, fast_bits32(r));
        }
    }
    return fp_mul(env, fmt, a, b);
}

static inline uint64_t fast_div(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    if (fast_mode(env) && fmt == FP_F64) {
        double x = fast_f64(a), y = fast_f64(b), r = x / y;
        if (fast_normal64(r) && fast_normal64(x)) {
            FAST_DONE(env, fma(r, y, -x) != 0, fast_bits64(r));
        }
    } else if (fast_mode(env) && fmt == FP_F32) {
        float x = fast_f32(a), y = fast_f32(b), r = x / y;
        if (fast_normal32(r) && fast_normal32(x)) {
            FAST_DONE(env, (double)r * (double)y != (double)x, fast_bits32(r));
        }
    }
    return fp_div(env, fmt, a, b);
}

static inline uint64_t fast_sqrt(FpEnv *env, FpFmt fmt, uint64_t a)
{
    if (fast_mode(env) && fmt == FP_F64) {
        double x = fast_f64(a), r = x > 0 ? sqrt(x) : 0;
        if (fast_normal64(r) && fast_normal64(x)) {
            FAST_DONE(env, fma(r, r, -x) != 0, fast_bits64(r));
        }
    } else if (fast_mode(env) && fmt == FP_F32) {
        float x = fast_f32(a), r = x > 0 ? sqrtf(x) : 0;
        if (fast_normal32(r) && fast_normal32(x)) {
            FAST_DONE(env, (double)r * (double)r != (double)x, fast_bits32(r));
        }
    }
    return fp_sqrt(env, fmt, a);
}

/* The error of a fused operation is no single number: only when Inexact is set already. */
static inline uint64_t fast_muladd(FpEnv *env, FpFmt fmt, uint64_t addend, uint64_t a, uint64_t b)
{
    if (fast_mode(env) && fast_is_inexact(env) && fmt == FP_F64) {
        double r = fma(fast_f64(a), fast_f64(b), fast_f64(addend));
        if (fast_normal64(r)) {
            return fast_bits64(r);
        }
    } else if (fast_mode(env) && fast_is_inexact(env) && fmt == FP_F32) {
        float r = fmaf(fast_f32(a), fast_f32(b), fast_f32(addend));
        if (fast_normal32(r)) {
            return fast_bits32(r);
        }
    }
    return fp_muladd(env, fmt, addend, a, b);
}

/* Comparisons do not round: any two numbers will do unless denormal ones are to be flushed. */
static inline uint32_t fast_compare(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b, bool signal_nans)
{
    if (fmt != FP_F16 && !(env->fpcr & FPCR_FZ)) {
        double x = fmt == FP_F64 ? fast_f64(a) : (double)fast_f32(a);
        double y = fmt == FP_F64 ? fast_f64(b) : (double)fast_f32(b);
        if (x == x && y == y) {
            return x < y ? FP_LESS : x == y ? FP_EQUAL : FP_GREATER;
        }
    }
    return fp_compare(env, fmt, a, b, signal_nans);
}

/* Single to double is exact; so is double to single when it comes back the same. */
static inline uint64_t fast_convert(FpEnv *env, FpFmt from, FpFmt to, uint64_t a)
{
    if (from == FP_F32 && to == FP_F64 && fast_normal32(fast_f32(a))) {
        return fast_bits64((double)fast_f32(a));
    }
    if (from == FP_F64 && to == FP_F32 && fast_mode(env)) {
        double x = fast_f64(a);
        float  r = (float)x;
        if (fast_normal32(r)) {
            FAST_DONE(env, (double)r != x, fast_bits32(r));
        }
    }
    return fp_convert(env, from, to, a, fp_rounding(env));
}

/* Truncation to an integer, and integers that the format holds exactly. */
static inline uint64_t fast_to_int(FpEnv *env, FpFmt fmt, uint64_t a, unsigned width, unsigned fbits,
                                   bool is_unsigned, FpRounding rounding)
{
    if (rounding == FP_TOZERO && fbits == 0 && fmt != FP_F16 && width >= 32) {
        double  x = fmt == FP_F64 ? fast_f64(a) : (double)fast_f32(a);
        double  limit = width == 64 ? 0x1p63 : 0x1p31;
        if (__builtin_fabs(x) < limit && __builtin_fabs(x) >= 1 && !(is_unsigned && x < 0)) {
            int64_t r = (int64_t)x;
            FAST_DONE(env, (double)r != x, (uint64_t)r & (width == 64 ? ~0ull : 0xffffffff));
        }
    }
    return fp_to_fixed(env, fmt, a, width, fbits, is_unsigned, rounding);
}

static inline uint64_t fast_from_int(FpEnv *env, FpFmt fmt, uint64_t v, unsigned width, unsigned fbits,
                                     bool is_unsigned)
{
    if (fmt == FP_F64 && fbits == 0 && width >= 32) {
        int64_t x = width == 64 ? (int64_t)v : is_unsigned ? (int64_t)(uint32_t)v : (int64_t)(int32_t)v;
        if (x < (1ll << 53) && x > -(1ll << 53) && !(is_unsigned && x < 0)) {
            return fast_bits64((double)x);
        }
    } else if (fmt == FP_F32 && fbits == 0 && width >= 32) {
        int64_t x = width == 64 ? (int64_t)v : is_unsigned ? (int64_t)(uint32_t)v : (int64_t)(int32_t)v;
        if (x < (1 << 24) && x > -(1 << 24) && !(is_unsigned && x < 0)) {
            return fast_bits32((float)x);
        }
    }
    return fp_from_fixed(env, fmt, v, width, fbits, is_unsigned, fp_rounding(env));
}

#endif
