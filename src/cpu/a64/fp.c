/*
 * Software floating point for A64. One path for every format: unpack to a sign, an exponent and a 64-bit
 * significand, compute exactly (128 bits for sums and products, a sticky bit for what falls off), round once.
 * Follows Arm ARM DDI 0487, "Shared pseudocode", functions/float; each function here names its own there.
 *
 * Exceptions are never trapped; tininess is detected before rounding; FEAT_AFP is not implemented.
 */
#include "cpu/a64/fp.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "bits.h"

typedef unsigned __int128 u128;

/* A value is (-1)^sign * 1.frac * 2^(exp - bias). The smallest normal exponent is 1 - bias. */
typedef struct FpFormat {
    uint8_t  width, exp_bits, frac_bits;
    int16_t  bias;
    uint32_t flush;                            /* the FPCR bit that turns denormals into zeros */
} FpFormat;

static const FpFormat formats[FP_FORMATS] = {
    [FP_F16]  = { 16, 5, 10, 15, FPCR_FZ16 },
    [FP_F32]  = { 32, 8, 23, 127, FPCR_FZ },
    [FP_F64]  = { 64, 11, 52, 1023, FPCR_FZ },
    [FP_BF16] = { 16, 8, 7, 127, FPCR_FZ },
};

typedef enum FpType { TYPE_ZERO, TYPE_NONZERO, TYPE_INFINITY, TYPE_QNAN, TYPE_SNAN } FpType;

/* An unpacked operand. Non-zero: sig has its top bit set and the magnitude is sig * 2^(exp - 63). Zero and
 * infinity hold exponents that order them below and above every number. */
typedef struct FpNum {
    FpType   type;
    bool     sign;
    int      exp;
    uint64_t sig;
    uint64_t bits;                             /* the operand as given, for NaN propagation */
} FpNum;

enum { EXP_ZERO = INT_MIN / 4, EXP_INFINITY = INT_MAX / 4 };

/* An exact or sticky intermediate: sig is 0 or has its top one at bit 126; magnitude sig * 2^(exp - 126). */
typedef struct FpWide {
    bool sign;
    int  exp;
    u128 sig;
} FpWide;

/* ---- Values with a name ---- */

static uint64_t pack(const FpFormat *f, bool sign, uint64_t exp, uint64_t frac)
{
    return (uint64_t)sign << (f->width - 1) | exp << f->frac_bits | frac;
}

static uint64_t fp_zero(const FpFormat *f, bool sign)
{
    return pack(f, sign, 0, 0);
}

static uint64_t fp_infinity(const FpFormat *f, bool sign)
{
    return pack(f, sign, mask64(f->exp_bits), 0);
}

static uint64_t fp_max_normal(const FpFormat *f, bool sign)
{
    return pack(f, sign, mask64(f->exp_bits) - 1, mask64(f->frac_bits));
}

static uint64_t fp_default_nan(const FpFormat *f)
{
    return pack(f, false, mask64(f->exp_bits), BIT(f->frac_bits - 1));
}

/* FPTwo, FPOnePointFive. */
static uint64_t fp_two(const FpFormat *f, bool sign)
{
    return pack(f, sign, (uint64_t)f->bias + 1, 0);
}

static uint64_t fp_one_point_five(const FpFormat *f)
{
    return pack(f, false, (uint64_t)f->bias, BIT(f->frac_bits - 1));
}

static uint64_t fp_invalid(FpEnv *env, const FpFormat *f)
{
    env->fpsr |= FPSR_IOC;
    return fp_default_nan(f);
}

/* ---- Unpacking and NaNs ---- */

static inline bool is_nan(const FpNum *n)
{
    return n->type >= TYPE_QNAN;
}

/* FPUnpackBase. Half-precision denormals are flushed without IDC. */
static inline FpNum unpack_base(FpEnv *env, const FpFormat *f, uint64_t v, uint32_t fpcr)
{
    FpNum    n    = { .bits = v & mask64(f->width), .sign = v >> (f->width - 1) & 1 };
    uint64_t frac = extract64(v, 0, f->frac_bits);
    uint64_t exp  = extract64(v, f->frac_bits, f->exp_bits);

    if (exp == 0) {
        n.exp = EXP_ZERO;
        if (frac != 0 && (fpcr & f->flush) == 0) {
            unsigned lz = (unsigned)__builtin_clzll(frac);

            n.type = TYPE_NONZERO;
            n.sig  = frac << lz;
            n.exp  = 1 - f->bias - f->frac_bits + 63 - (int)lz;
        } else if (frac != 0 && f->width != 16) {
            env->fpsr |= FPSR_IDC;
        }
    } else if (exp == mask64(f->exp_bits) && !(f->width == 16 && (fpcr & FPCR_AHP))) {
        n.exp  = EXP_INFINITY;
        n.type = frac == 0 ? TYPE_INFINITY : frac >> (f->frac_bits - 1) ? TYPE_QNAN : TYPE_SNAN;
    } else {
        n.type = TYPE_NONZERO;
        n.sig  = (BIT(f->frac_bits) | frac) << (63 - f->frac_bits);
        n.exp  = (int)exp - f->bias;
    }
    return n;
}

/* FPUnpack: for arithmetic, where FPCR.AHP has no effect. */
static inline FpNum unpack(FpEnv *env, const FpFormat *f, uint64_t v)
{
    return unpack_base(env, f, v, env->fpcr & ~FPCR_AHP);
}

/* FPConvertNaN: the fraction keeps its most significant bits, and becomes quiet. */
static uint64_t convert_nan(const FpFormat *from, const FpFormat *to, uint64_t v)
{
    uint64_t top = extract64(v, 0, from->frac_bits) << (64 - from->frac_bits) | BIT(63);

    return pack(to, v >> (from->width - 1) & 1, mask64(to->exp_bits), top >> (64 - to->frac_bits));
}

/* FPProcessNaN. */
static uint64_t process_nan(FpEnv *env, const FpFormat *f, const FpNum *n)
{
    if (n->type == TYPE_SNAN) {
        env->fpsr |= FPSR_IOC;
    }
    return env->fpcr & FPCR_DN ? fp_default_nan(f) : convert_nan(f, f, n->bits);
}

/* The operand whose NaN FPProcessNaNs and FPProcessNaNs3 propagate: the first signaling one, else the first
 * quiet one, else NULL. @n2 may be NULL. */
static const FpNum *select_nan(const FpNum *n0, const FpNum *n1, const FpNum *n2)
{
    const FpNum *n[] = { n0, n1, n2 };

    for (FpType t = TYPE_SNAN; t >= TYPE_QNAN; t--) {
        for (unsigned i = 0; i < ARRAY_LEN(n); i++) {
            if (n[i] != NULL && n[i]->type == t) {
                return n[i];
            }
        }
    }
    return NULL;
}

/* FPProcessNaNs: whether there is a NaN, and then the result. */
static inline bool process_nans(FpEnv *env, const FpFormat *f, const FpNum *a, const FpNum *b,
                                uint64_t *result)
{
    if (!is_nan(a) && !is_nan(b)) {
        return false;
    }
    *result = process_nan(env, f, select_nan(a, b, NULL));
    return true;
}

/* ---- Rounding ---- */

/* Whether a magnitude moves away from zero. @odd: its last kept bit; @frac: the dropped part, in units of
 * 2^-64 of that bit, sticky in bit 0. */
static inline bool rounds_up(FpRounding rounding, bool sign, bool odd, uint64_t frac)
{
    switch (rounding) {
    case FP_TIEEVEN:
        return frac > BIT(63) || (frac == BIT(63) && odd);
    case FP_TIEAWAY:
        return frac >= BIT(63);
    case FP_POSINF:
        return frac != 0 && !sign;
    case FP_NEGINF:
        return frac != 0 && sign;
    default:
        return false;                          /* FP_TOZERO; FP_ODD is done by the caller */
    }
}

static bool overflows_to_infinity(FpRounding rounding, bool sign)
{
    return rounding == FP_TIEEVEN || rounding == FP_TIEAWAY || (rounding == FP_POSINF && !sign) ||
           (rounding == FP_NEGINF && sign);
}

static uint64_t fp_overflow(FpEnv *env, const FpFormat *f, bool sign, FpRounding rounding)
{
    env->fpsr |= FPSR_OFC | FPSR_IXC;
    return overflows_to_infinity(rounding, sign) ? fp_infinity(f, sign) : fp_max_normal(f, sign);
}

/* FPRoundBase of the non-zero value @sig * 2^(@exp - 63). @sig has its top bit set; bit 0 may be sticky. */
static inline uint64_t round_base(FpEnv *env, const FpFormat *f, bool sign, int exp, uint64_t sig,
                                  FpRounding rounding, uint32_t fpcr)
{
    int      minimum_exp = 1 - f->bias;
    int      drop        = 63 - f->frac_bits;
    int      biased_exp  = exp - minimum_exp + 1;
    bool     alt_hp      = f->exp_bits == 5 && (fpcr & FPCR_AHP);
    uint64_t mant, error;

    if (exp < minimum_exp) {
        if (fpcr & f->flush) {
            env->fpsr |= FPSR_UFC;
            return fp_zero(f, sign);
        }
        drop       += minimum_exp - exp;
        biased_exp  = 0;
    }
    if (drop < 64) {
        mant  = sig >> drop;
        error = sig << (64 - drop);
    } else {
        mant  = 0;
        error = drop == 64 ? sig : 1;
    }
    if (biased_exp == 0 && error != 0) {
        env->fpsr |= FPSR_UFC;
    }
    if (rounding == FP_ODD) {
        mant |= error != 0;
    } else if (rounds_up(rounding, sign, mant & 1, error)) {
        mant++;
        if (mant == BIT(f->frac_bits)) {
            biased_exp = 1;                    /* up from the largest denormal */
        } else if (mant == BIT(f->frac_bits + 1)) {
            biased_exp++;                      /* the fraction is zero either way */
        }
    }
    if (alt_hp && biased_exp > 0x1f) {
        env->fpsr |= FPSR_IOC;
        return pack(f, sign, 0x1f, mask64(f->frac_bits));
    }
    if (!alt_hp && biased_exp >= (int)mask64(f->exp_bits)) {
        return fp_overflow(env, f, sign, rounding);
    }
    if (error != 0) {
        env->fpsr |= FPSR_IXC;
    }
    return pack(f, sign, (uint64_t)biased_exp, mant & mask64(f->frac_bits));
}

/* FPRound: for arithmetic, where FPCR.AHP has no effect. */
static inline uint64_t fp_round(FpEnv *env, const FpFormat *f, bool sign, int exp, uint64_t sig,
                                FpRounding rounding)
{
    return round_base(env, f, sign, exp, sig, rounding, env->fpcr & ~FPCR_AHP);
}

/* ---- Exact sums and products ---- */

static inline u128 shift_right_sticky(u128 v, unsigned n)
{
    if (n == 0) {
        return v;
    }
    return n < 128 ? v >> n | (v << (128 - n) != 0) : v != 0;
}

static inline FpWide wide(const FpNum *n)
{
    return (FpWide){ .sign = n->sign, .exp = n->exp, .sig = (u128)n->sig << 63 };
}

/* The exact product. Operands have at most 53 significant bits, so the bit shifted out is zero. */
static inline FpWide wide_mul(const FpNum *a, const FpNum *b)
{
    FpWide   p     = { .sign = a->sign != b->sign, .exp = a->exp + b->exp, .sig = (u128)a->sig * b->sig };
    unsigned carry = (unsigned)(p.sig >> 127);

    p.sig >>= carry;
    p.exp += (int)carry;
    return p;
}

/* The sum, exact but for a sticky bit at least 60 bits below the top of the result: when the exponents differ
 * by two or more cancellation takes one bit at most, and when they do not nothing is shifted out. */
static inline FpWide wide_add(FpWide x, FpWide y)
{
    if (x.sig == 0 || y.sig == 0) {
        return x.sig == 0 ? y : x;
    }
    if (x.exp < y.exp || (x.exp == y.exp && x.sig < y.sig)) {
        FpWide t = x;

        x = y;
        y = t;
    }
    y.sig = shift_right_sticky(y.sig, (unsigned)(x.exp - y.exp));
    x.sig = x.sign == y.sign ? x.sig + y.sig : x.sig - y.sig;
    if (x.sig >> 127) {
        x.sig = shift_right_sticky(x.sig, 1);
        x.exp++;
    } else if (x.sig != 0) {
        uint64_t hi = (uint64_t)(x.sig >> 64);
        int      lz = hi != 0 ? __builtin_clzll(hi) : 64 + __builtin_clzll((uint64_t)x.sig);

        x.sig <<= lz - 1;
        x.exp -= lz - 1;
    }
    return x;
}

/* FPRound of a sum or product. The sign of an exact zero depends on the rounding mode. */
static inline uint64_t round_wide(FpEnv *env, const FpFormat *f, FpWide x)
{
    FpRounding rounding = fp_rounding(env);
    uint64_t   sticky   = ((uint64_t)x.sig & mask64(63)) != 0;

    if (x.sig == 0) {
        return fp_zero(f, rounding == FP_NEGINF);
    }
    return fp_round(env, f, x.sign, x.exp, (uint64_t)(x.sig >> 63) | sticky, rounding);
}

/* ---- The host's arithmetic, where it cannot be told apart ---- */

typedef enum HostOp { HOST_ADD, HOST_SUB, HOST_MUL, HOST_DIV } HostOp;

#define HOST_APPLY(op, x, y) \
    ((op) == HOST_ADD ? (x) + (y) : (op) == HOST_SUB ? (x) - (y) : (op) == HOST_MUL ? (x) * (y) : (x) / (y))

static inline bool is_normal_above(const FpFormat *f, uint64_t v, uint64_t low)
{
    return extract64(v, f->frac_bits, f->exp_bits) - low < mask64(f->exp_bits) - low;
}

/* Single and double operations on the host. Rounding to nearest, normal operands and a finite result whose
 * exponent is above the smallest, the only possible exception is Inexact; when that flag is set already,
 * nothing is left to observe and the IEEE 754 result is the whole answer. The host must run in its default
 * rounding mode, without flush to zero. Returns false, *r undefined, when the software path has to do it. */
static inline bool host_binary(const FpEnv *env, FpFmt fmt, const FpFormat *f, HostOp op, uint64_t a,
                               uint64_t b, uint64_t *r)
{
    if ((env->fpcr & FPCR_RMODE) != 0 || (env->fpsr & FPSR_IXC) == 0 || !is_normal_above(f, a, 1) ||
        !is_normal_above(f, b, 1)) {
        return false;
    }
    if (fmt == FP_F64) {
        double x, y;

        memcpy(&x, &a, sizeof(x));
        memcpy(&y, &b, sizeof(y));
        x = HOST_APPLY(op, x, y);
        memcpy(r, &x, sizeof(x));
    } else if (fmt == FP_F32) {
        uint32_t a32 = (uint32_t)a, b32 = (uint32_t)b;
        float    x, y;

        memcpy(&x, &a32, sizeof(x));
        memcpy(&y, &b32, sizeof(y));
        x = HOST_APPLY(op, x, y);
        memcpy(&a32, &x, sizeof(x));
        *r = a32;
    } else {
        return false;
    }
    return is_normal_above(f, *r, 2);
}

/* ---- Add, subtract, multiply, divide ---- */

/* FPAdd, and FPSub when @negate: the second operand changes sign after NaN processing. */
static inline uint64_t add_sub(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b, bool negate)
{
    const FpFormat *f = &formats[fmt];
    uint64_t        result;

    if (host_binary(env, fmt, f, negate ? HOST_SUB : HOST_ADD, a, b, &result)) {
        return result;
    }

    FpNum n1 = unpack(env, f, a);
    FpNum n2 = unpack(env, f, b);

    if (process_nans(env, f, &n1, &n2, &result)) {
        return result;
    }
    n2.sign ^= negate;
    if (n1.type == TYPE_INFINITY || n2.type == TYPE_INFINITY) {
        if (n1.type == n2.type && n1.sign != n2.sign) {
            return fp_invalid(env, f);
        }
        return fp_infinity(f, n1.type == TYPE_INFINITY ? n1.sign : n2.sign);
    }
    if (n1.type == TYPE_ZERO && n2.type == TYPE_ZERO && n1.sign == n2.sign) {
        return fp_zero(f, n1.sign);
    }
    return round_wide(env, f, wide_add(wide(&n1), wide(&n2)));
}

uint64_t fp_add(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return add_sub(env, fmt, a, b, false);
}

uint64_t fp_sub(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return add_sub(env, fmt, a, b, true);
}

/* Whether one is zero and the other infinite. */
static inline bool is_zero_times_infinity(const FpNum *a, const FpNum *b)
{
    return (a->type == TYPE_ZERO && b->type == TYPE_INFINITY) ||
           (a->type == TYPE_INFINITY && b->type == TYPE_ZERO);
}

/* FPMul, and FPMulX when @extended: there zero times infinity is 2. */
static inline uint64_t mul(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b, bool extended)
{
    const FpFormat *f = &formats[fmt];
    uint64_t        result;

    if (host_binary(env, fmt, f, HOST_MUL, a, b, &result)) {
        return result;
    }

    FpNum n1   = unpack(env, f, a);
    FpNum n2   = unpack(env, f, b);
    bool  sign = n1.sign != n2.sign;

    if (process_nans(env, f, &n1, &n2, &result)) {
        return result;
    }
    if (is_zero_times_infinity(&n1, &n2)) {
        return extended ? fp_two(f, sign) : fp_invalid(env, f);
    }
    if (n1.type == TYPE_INFINITY || n2.type == TYPE_INFINITY) {
        return fp_infinity(f, sign);
    }
    if (n1.type == TYPE_ZERO || n2.type == TYPE_ZERO) {
        return fp_zero(f, sign);
    }
    return round_wide(env, f, wide_mul(&n1, &n2));
}

uint64_t fp_mul(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return mul(env, fmt, a, b, false);
}

uint64_t fp_mulx(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return mul(env, fmt, a, b, true);
}

uint64_t fp_div(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    const FpFormat *f = &formats[fmt];
    uint64_t        result;

    if (host_binary(env, fmt, f, HOST_DIV, a, b, &result)) {
        return result;
    }

    FpNum n1   = unpack(env, f, a);
    FpNum n2   = unpack(env, f, b);
    bool  sign = n1.sign != n2.sign;

    if (process_nans(env, f, &n1, &n2, &result)) {
        return result;
    }
    if (n1.type == n2.type && n1.type != TYPE_NONZERO) {
        return fp_invalid(env, f);             /* 0 / 0 or infinity / infinity */
    }
    if (n1.type == TYPE_INFINITY || n2.type == TYPE_ZERO) {
        env->fpsr |= n1.type != TYPE_INFINITY ? FPSR_DZC : 0;
        return fp_infinity(f, sign);
    }
    if (n1.type == TYPE_ZERO || n2.type == TYPE_INFINITY) {
        return fp_zero(f, sign);
    }

    /* Scale the dividend so that the quotient has exactly 64 bits; the remainder is sticky. */
    bool     less = n1.sig < n2.sig;
    u128     x    = (u128)n1.sig << (less ? 64 : 63);
    uint64_t q    = (uint64_t)(x / n2.sig);
    uint64_t rest = (uint64_t)x - q * n2.sig;

    return fp_round(env, f, sign, n1.exp - n2.exp - less, q | (rest != 0), fp_rounding(env));
}

/* The integer square root of @x, which is in [2^124, 2^126). A host estimate is refined and then corrected in
 * integers, so the host's rounding has no influence. */
static uint64_t isqrt(u128 x)
{
    uint64_t r = (uint64_t)(sqrt((double)(uint64_t)(x >> 64)) * 0x1p32);

    r = (r + (uint64_t)(x / r)) / 2;
    while ((u128)r * r > x) {
        r--;
    }
    while ((u128)(r + 1) * (r + 1) <= x) {
        r++;
    }
    return r;
}

uint64_t fp_sqrt(FpEnv *env, FpFmt fmt, uint64_t a)
{
    const FpFormat *f = &formats[fmt];
    FpNum           n = unpack(env, f, a);

    if (is_nan(&n)) {
        return process_nan(env, f, &n);
    }
    if (n.type == TYPE_ZERO) {
        return fp_zero(f, n.sign);
    }
    if (n.sign) {
        return fp_invalid(env, f);
    }
    if (n.type == TYPE_INFINITY) {
        return fp_infinity(f, false);
    }

    /* The value is sig * 2^(exp - 63) = x * 2^(exp - 124) or, exp odd, x * 2^(exp - 125). */
    u128     x = (u128)n.sig << (n.exp & 1 ? 62 : 61);
    uint64_t r = isqrt(x);

    return fp_round(env, f, false, n.exp >> 1, r << 1 | ((u128)r * r != x), fp_rounding(env));
}

/* ---- Fused operations ---- */

/* What FPMulAdd, FPMulAddH and the step functions do without NaNs: (@addend + @a * @b) * 2^@scale. */
static uint64_t muladd_numbers(FpEnv *env, const FpFormat *f, const FpNum *addend, const FpNum *a,
                               const FpNum *b, int scale)
{
    bool   inf  = addend->type == TYPE_INFINITY;
    bool   infp = a->type == TYPE_INFINITY || b->type == TYPE_INFINITY;
    bool   zp   = a->type == TYPE_ZERO || b->type == TYPE_ZERO;
    FpWide p    = { .sign = a->sign != b->sign };

    if (is_zero_times_infinity(a, b) || (inf && infp && addend->sign != p.sign)) {
        return fp_invalid(env, f);
    }
    if (inf || infp) {
        return fp_infinity(f, inf ? addend->sign : p.sign);
    }
    if (addend->type == TYPE_ZERO && zp && addend->sign == p.sign) {
        return fp_zero(f, p.sign);
    }
    if (!zp) {
        p = wide_mul(a, b);
    }
    p = wide_add(wide(addend), p);
    p.exp += scale;
    return round_wide(env, f, p);
}

/* FPMulAdd, and FPMulAddH when the factors have a narrower format @fm than the addend and the result @f. */
static uint64_t muladd(FpEnv *env, const FpFormat *f, const FpFormat *fm, uint64_t addend, uint64_t a,
                       uint64_t b)
{
    FpNum        n0  = unpack(env, f, addend);
    FpNum        n1  = unpack(env, fm, a);
    FpNum        n2  = unpack(env, fm, b);
    const FpNum *nan = select_nan(&n0, &n1, &n2);

    if (nan == NULL) {
        return muladd_numbers(env, f, &n0, &n1, &n2, 0);
    }
    if (n0.type == TYPE_QNAN && is_zero_times_infinity(&n1, &n2)) {
        return fp_invalid(env, f);             /* not the addend's NaN */
    }
    return nan == &n0 ? process_nan(env, f, nan) : convert_nan(fm, f, process_nan(env, fm, nan));
}

uint64_t fp_muladd(FpEnv *env, FpFmt fmt, uint64_t addend, uint64_t a, uint64_t b)
{
    return muladd(env, &formats[fmt], &formats[fmt], addend, a, b);
}

uint64_t fp_muladd_half(FpEnv *env, uint64_t addend, uint64_t a, uint64_t b)
{
    return muladd(env, &formats[FP_F32], &formats[FP_F16], addend, a, b);
}

/* FPRecipStepFused, FPRSqrtStepFused: (@constant - @a * @b) * 2^@scale; zero times infinity: given. */
static uint64_t step_fused(FpEnv *env, const FpFormat *f, uint64_t a, uint64_t b, const FpNum *constant,
                           int scale, uint64_t if_zero_times_infinity)
{
    FpNum    n1 = unpack(env, f, a ^ BIT(f->width - 1));
    FpNum    n2 = unpack(env, f, b);
    uint64_t result;

    if (process_nans(env, f, &n1, &n2, &result)) {
        return result;
    }
    if (is_zero_times_infinity(&n1, &n2)) {
        return if_zero_times_infinity;
    }
    return muladd_numbers(env, f, constant, &n1, &n2, scale);
}

uint64_t fp_recip_step(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    static const FpNum two = { .type = TYPE_NONZERO, .exp = 1, .sig = 0x8000000000000000 };

    return step_fused(env, &formats[fmt], a, b, &two, 0, fp_two(&formats[fmt], false));
}

uint64_t fp_rsqrt_step(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    static const FpNum three = { .type = TYPE_NONZERO, .exp = 1, .sig = 0xc000000000000000 };

    return step_fused(env, &formats[fmt], a, b, &three, -1, fp_one_point_five(&formats[fmt]));
}

/* ---- Comparison, maximum, minimum ---- */

/* Less than, equal to or greater than zero as @a is to @b; neither is a NaN. */
static int compare_numbers(const FpNum *a, const FpNum *b)
{
    int order;

    if (a->type == TYPE_ZERO && b->type == TYPE_ZERO) {
        return 0;
    }
    if (a->sign != b->sign) {
        return a->sign ? -1 : 1;
    }
    order = a->exp != b->exp ? (a->exp > b->exp) - (a->exp < b->exp) : (a->sig > b->sig) - (a->sig < b->sig);
    return a->sign ? -order : order;
}

uint32_t fp_compare(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b, bool signal_nans)
{
    FpNum n1 = unpack(env, &formats[fmt], a);
    FpNum n2 = unpack(env, &formats[fmt], b);
    int   order;

    if (is_nan(&n1) || is_nan(&n2)) {
        if (signal_nans || n1.type == TYPE_SNAN || n2.type == TYPE_SNAN) {
            env->fpsr |= FPSR_IOC;
        }
        return FP_UNORDERED;
    }
    order = compare_numbers(&n1, &n2);
    return order < 0 ? FP_LESS : order == 0 ? FP_EQUAL : FP_GREATER;
}

bool fp_compare_eq(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return fp_compare(env, fmt, a, b, false) == FP_EQUAL;
}

bool fp_compare_ge(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    uint32_t nzcv = fp_compare(env, fmt, a, b, true);

    return nzcv == FP_GREATER || nzcv == FP_EQUAL;
}

bool fp_compare_gt(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return fp_compare(env, fmt, a, b, true) == FP_GREATER;
}

/* FPMax and FPMin. When equal either operand serves, but for the sign of a zero: -0 is less than +0. */
static uint64_t max_min(FpEnv *env, const FpFormat *f, uint64_t a, uint64_t b, bool want_max)
{
    FpNum        n1 = unpack(env, f, a);
    FpNum        n2 = unpack(env, f, b);
    const FpNum *n;
    uint64_t     result;

    if (process_nans(env, f, &n1, &n2, &result)) {
        return result;
    }
    n = (compare_numbers(&n1, &n2) > 0) == want_max ? &n1 : &n2;
    if (n->type == TYPE_ZERO) {
        return fp_zero(f, want_max ? n1.sign && n2.sign : n1.sign || n2.sign);
    }
    return n->bits;
}

/* FPMaxNum and FPMinNum: a single quiet NaN loses against a number. */
static uint64_t max_min_num(FpEnv *env, const FpFormat *f, uint64_t a, uint64_t b, bool want_max)
{
    FpEnv    scratch = *env;                   /* the unpacking in max_min() raises what this one would */
    FpType   type1   = unpack(&scratch, f, a).type;
    FpType   type2   = unpack(&scratch, f, b).type;
    uint64_t loser   = fp_infinity(f, want_max);

    if (type1 == TYPE_QNAN && type2 != TYPE_QNAN) {
        a = loser;
    } else if (type1 != TYPE_QNAN && type2 == TYPE_QNAN) {
        b = loser;
    }
    return max_min(env, f, a, b, want_max);
}

uint64_t fp_max(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return max_min(env, &formats[fmt], a, b, true);
}

uint64_t fp_min(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return max_min(env, &formats[fmt], a, b, false);
}

uint64_t fp_maxnum(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return max_min_num(env, &formats[fmt], a, b, true);
}

uint64_t fp_minnum(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b)
{
    return max_min_num(env, &formats[fmt], a, b, false);
}

/* ---- Estimates ---- */

/* RecipEstimate: @a is 256 to 511, standing for 0.5 to 1.0; the result is 256 to 511, for 1.0 to 2.0. */
static uint32_t recip_estimate(uint32_t a)
{
    return ((1u << 19) / (a * 2 + 1) + 1) / 2;
}

/* RecipSqrtEstimate: @a is 128 to 511, standing for 0.25 to 1.0; the result as above. Its loop counts up to the
 * largest b with a * b * b < 2^28; here that is found bit by bit. */
static uint32_t rsqrt_estimate(uint32_t a)
{
    uint32_t b = 512;

    a = a < 256 ? a * 2 + 1 : ((a & ~1u) + 1) * 2;
    for (uint32_t bit = 256; bit != 0; bit /= 2) {
        b += a * (b + bit) * (b + bit) < 1u << 28 ? bit : 0;
    }
    return (b + 1) / 2;
}

uint64_t fp_recip_estimate(FpEnv *env, FpFmt fmt, uint64_t a)
{
    const FpFormat *f = &formats[fmt];
    FpNum           n = unpack(env, f, a);

    if (is_nan(&n)) {
        return process_nan(env, f, &n);
    }
    if (n.type == TYPE_INFINITY) {
        return fp_zero(f, n.sign);
    }
    if (n.type == TYPE_ZERO) {
        env->fpsr |= FPSR_DZC;
        return fp_infinity(f, n.sign);
    }
    if (n.exp < -f->bias - 1) {
        return fp_overflow(env, f, n.sign, fp_rounding(env));
    }
    if ((env->fpcr & f->flush) && n.exp >= f->bias - 1) {
        env->fpsr |= FPSR_UFC;
        return fp_zero(f, n.sign);
    }

    /* The estimate has a leading one and eight bits; a result exponent of 0 or -1 makes a denormal of it. */
    uint64_t mant       = (uint64_t)recip_estimate((uint32_t)(n.sig >> 55)) << (f->frac_bits - 8);
    int      result_exp = f->bias - 1 - n.exp;

    if (result_exp <= 0) {
        mant >>= 1 - result_exp;
        result_exp = 0;
    }
    return pack(f, n.sign, (uint64_t)result_exp, mant & mask64(f->frac_bits));
}

uint64_t fp_rsqrt_estimate(FpEnv *env, FpFmt fmt, uint64_t a)
{
    const FpFormat *f = &formats[fmt];
    FpNum           n = unpack(env, f, a);

    if (is_nan(&n)) {
        return process_nan(env, f, &n);
    }
    if (n.type == TYPE_ZERO) {
        env->fpsr |= FPSR_DZC;
        return fp_infinity(f, n.sign);
    }
    if (n.sign) {
        return fp_invalid(env, f);
    }
    if (n.type == TYPE_INFINITY) {
        return fp_zero(f, false);
    }

    int      biased_exp = n.exp + f->bias;
    uint32_t estimate   = rsqrt_estimate((uint32_t)(n.sig >> (biased_exp & 1 ? 56 : 55)));
    uint64_t result_exp = (uint64_t)(3 * f->bias - 1 - biased_exp) / 2;

    return pack(f, false, result_exp, (uint64_t)(estimate & 0xff) << (f->frac_bits - 8));
}

uint64_t fp_recpx(FpEnv *env, FpFmt fmt, uint64_t a)
{
    const FpFormat *f   = &formats[fmt];
    FpNum           n   = unpack(env, f, a);
    uint64_t        exp = extract64(a, f->frac_bits, f->exp_bits);
    uint64_t        inv = exp == 0 ? mask64(f->exp_bits) - 1 : ~exp & mask64(f->exp_bits);

    return is_nan(&n) ? process_nan(env, f, &n) : pack(f, n.sign, inv, 0);
}

uint32_t fp_unsigned_recip_estimate(uint32_t a)
{
    return a >> 31 == 0 ? UINT32_MAX : recip_estimate(a >> 23) << 23;
}

uint32_t fp_unsigned_rsqrt_estimate(uint32_t a)
{
    return a >> 30 == 0 ? UINT32_MAX : rsqrt_estimate(a >> 23) << 23;
}

/* ---- To and from integers ---- */

/* The magnitude of the non-zero number @n * 2^@fbits, rounded to an integer: up to 2^64. *@inexact tells
 * whether that changed it. @n->exp + @fbits is below 64. */
static u128 round_to_integer(const FpNum *n, int fbits, FpRounding rounding, bool *inexact)
{
    int      e     = n->exp + fbits;
    u128     fixed = e >= 0 ? (u128)n->sig << (e + 1) : shift_right_sticky(n->sig, (unsigned)(-e - 1));
    uint64_t error = (uint64_t)fixed;
    u128     mag   = fixed >> 64;

    *inexact = error != 0;
    return mag + rounds_up(rounding, n->sign, (uint64_t)mag & 1, error);
}

/* FPRound of an integer no format here has to round, or zero with the sign of the operand. */
static uint64_t pack_integer(FpEnv *env, const FpFormat *f, bool sign, uint64_t mag)
{
    int lz;

    if (mag == 0) {
        return fp_zero(f, sign);
    }
    lz = __builtin_clzll(mag);
    return fp_round(env, f, sign, 63 - lz, mag << lz, FP_TOZERO);
}

uint64_t fp_round_int(FpEnv *env, FpFmt fmt, uint64_t a, FpRounding rounding, bool exact)
{
    const FpFormat *f = &formats[fmt];
    FpNum           n = unpack(env, f, a);
    bool            inexact;
    uint64_t        mag;

    if (is_nan(&n)) {
        return process_nan(env, f, &n);
    }
    if (n.type == TYPE_ZERO) {
        return fp_zero(f, n.sign);
    }
    if (n.exp >= f->frac_bits) {
        return n.bits;                         /* infinite, or too large to have a fraction */
    }
    mag = (uint64_t)round_to_integer(&n, 0, rounding, &inexact);
    if (exact && inexact) {
        env->fpsr |= FPSR_IXC;
    }
    return pack_integer(env, f, n.sign, mag);
}

uint64_t fp_round_int_n(FpEnv *env, FpFmt fmt, uint64_t a, FpRounding rounding, unsigned intsize)
{
    const FpFormat *f       = &formats[fmt];
    FpNum           n       = unpack(env, f, a);
    bool            inexact = false;
    u128            mag     = 0;

    if (n.type == TYPE_NONZERO && n.exp < 64) {
        mag = round_to_integer(&n, 0, rounding, &inexact);
    }
    if (n.exp >= 64 || mag > BIT(intsize - 1) - !n.sign) {
        env->fpsr |= FPSR_IOC;                 /* includes NaNs and infinities */
        return pack(f, true, (uint64_t)f->bias + intsize - 1, 0);
    }
    env->fpsr |= inexact ? FPSR_IXC : 0;
    return pack_integer(env, f, n.sign, (uint64_t)mag);
}

uint64_t fp_to_fixed(FpEnv *env, FpFmt fmt, uint64_t a, unsigned width, unsigned fbits, bool is_unsigned,
                     FpRounding rounding)
{
    FpNum    n       = unpack(env, &formats[fmt], a);
    bool     inexact = false;
    u128     mag     = 0;
    uint64_t limit;

    if (is_nan(&n)) {
        env->fpsr |= FPSR_IOC;
        return 0;
    }
    if (n.type == TYPE_ZERO) {
        return 0;
    }
    if (is_unsigned) {
        limit = n.sign ? 0 : mask64(width);
    } else {
        limit = BIT(width - 1) - !n.sign;
    }
    if (n.exp + (int)fbits < 64) {
        mag = round_to_integer(&n, (int)fbits, rounding, &inexact);
    }
    if (n.exp + (int)fbits >= 64 || mag > limit) {
        env->fpsr |= FPSR_IOC;                 /* saturates; not Inexact as well */
        mag = limit;
    } else if (inexact) {
        env->fpsr |= FPSR_IXC;
    }
    return (n.sign ? -(uint64_t)mag : (uint64_t)mag) & mask64(width);
}

uint64_t fp_from_fixed(FpEnv *env, FpFmt fmt, uint64_t v, unsigned width, unsigned fbits, bool is_unsigned,
                       FpRounding rounding)
{
    const FpFormat *f    = &formats[fmt];
    bool            sign = !is_unsigned && (v >> (width - 1) & 1);
    uint64_t        mag  = (sign ? -v : v) & mask64(width);
    int             lz;

    if (mag == 0) {
        return fp_zero(f, false);
    }
    lz = __builtin_clzll(mag);
    return fp_round(env, f, sign, 63 - lz - (int)fbits, mag << lz, rounding);
}

uint32_t fp_to_int_js(FpEnv *env, uint64_t a, bool *z)
{
    FpNum    n       = unpack(env, &formats[FP_F64], a);
    bool     inexact = false;
    uint32_t result  = 0;
    u128     mag     = 0;

    if (n.type == TYPE_ZERO) {
        *z = a == 0;                           /* not -0, and not a denormal flushed to zero */
        return 0;
    }
    if (n.exp < 64) {
        mag    = round_to_integer(&n, 0, FP_TOZERO, &inexact);
        result = (uint32_t)mag;
    } else if (n.exp < 64 + 32) {
        result = (uint32_t)(n.sig << (n.exp - 63));
    }
    if (n.exp >= 64 || mag > BIT(31) - !n.sign) {
        env->fpsr |= FPSR_IOC;                 /* includes NaNs and infinities, which give 0 */
        *z = false;
    } else {
        env->fpsr |= inexact ? FPSR_IXC : 0;
        *z = !inexact;
    }
    return n.sign ? -result : result;
}

/* ---- Between formats ---- */

uint64_t fp_convert(FpEnv *env, FpFmt from, FpFmt to, uint64_t a, FpRounding rounding)
{
    const FpFormat *ff     = &formats[from];
    const FpFormat *ft     = &formats[to];
    bool            alt_hp = to == FP_F16 && (env->fpcr & FPCR_AHP);
    uint32_t        fpcr   = env->fpcr & ~FPCR_FZ16;     /* FPUnpackCV, FPRoundCV */
    FpNum           n      = unpack_base(env, ff, a, fpcr);

    if (is_nan(&n)) {
        if (n.type == TYPE_SNAN || alt_hp) {
            env->fpsr |= FPSR_IOC;
        }
        if (alt_hp) {
            return fp_zero(ft, n.sign);
        }
        return env->fpcr & FPCR_DN ? fp_default_nan(ft) : convert_nan(ff, ft, n.bits);
    }
    if (n.type == TYPE_INFINITY) {
        env->fpsr |= alt_hp ? FPSR_IOC : 0;
        return alt_hp ? pack(ft, n.sign, 0x1f, mask64(ft->frac_bits)) : fp_infinity(ft, n.sign);
    }
    if (n.type == TYPE_ZERO) {
        return fp_zero(ft, n.sign);
    }
    return round_base(env, ft, n.sign, n.exp, n.sig, rounding, fpcr);
}

uint64_t fp_expand_imm(FpFmt fmt, uint8_t imm8)
{
    const FpFormat *f   = &formats[fmt];
    uint64_t        top = BIT(f->exp_bits - 1);
    uint64_t        exp = (imm8 & 0x40 ? top - 4 : top) | (imm8 >> 4 & 3);

    return pack(f, imm8 >> 7, exp, (uint64_t)(imm8 & 0xf) << (f->frac_bits - 4));
}
