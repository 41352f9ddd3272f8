/*
 * What floating-point instructions do to lanes: one line per instruction. In a meaning, x, y and z are the
 * lanes of the first, second and third operand and @e the environment. The scalar instructions use the same
 * helpers with a shape of one lane; the most frequent ones have copies for one lane of single and double
 * precision. Arm DDI 0487, "A64 Advanced SIMD and Floating-point Instruction Descriptions"; names follow the
 * instructions.
 */
#include <assert.h>
#include <string.h>

#include "bits.h"
#include "cpu/a64/fp_fast.h"
#include "cpu/a64/simd.h"

static inline FpFmt fmt_of(SimdShape s)
{
    static_assert(FP_F16 == 0 && FP_F32 == 1 && FP_F64 == 2, "sizes 1, 2 and 3");
    return (FpFmt)(simd_size(s) - 1);
}

static inline FpEnv env_of(const void *cpu)
{
    const A64Cpu *c = cpu;
    return (FpEnv){ c->fpcr, c->fpsr };
}

static inline void put_env(void *cpu, const FpEnv *env)
{
    ((A64Cpu *)cpu)->fpsr = env->fpsr;
}

#define ONES(cond) ((cond) ? ~0ull : 0)

#define NO_LANE     0
#define LANE_A_1    simd_get(&va, size, i)
#define LANE_A_2    LANE_A_1
#define LANE_A_3    LANE_A_1
#define LANE_B_1    NO_LANE
#define LANE_B_2    simd_get(&vb, size, i)
#define LANE_B_3    LANE_B_2
#define LANE_C_1    NO_LANE
#define LANE_C_2    NO_LANE
#define LANE_C_3    simd_get(&vc, size, i)

#define FP_BODY(name, args, meaning)                                                                       \
    static inline __attribute__((always_inline)) void body_##name(                                         \
        void *cpu, void *d, const void *a, const void *b, const void *c, SimdShape imm)                    \
    {                                                                                                      \
        SIMD_OPERANDS_##args                                                                               \
        SimdVec        r = { { 0 } };                                                                      \
        FpEnv          env = env_of(cpu), *const e = &env;                                                 \
        const unsigned size = simd_size(imm), n = simd_lanes(imm), arg = simd_arg(imm);                    \
        const FpFmt    fmt = fmt_of(imm);                                                                  \
        (void)arg;                                                                                         \
        for (unsigned i = 0; i < n; i++) {                                                                 \
            const uint64_t x = LANE_A_##args, y = LANE_B_##args, z = LANE_C_##args;                        \
            (void)y, (void)z;                                                                              \
            simd_set(&r, size, i, meaning);                                                                \
        }                                                                                                  \
        put_env(cpu, e);                                                                                   \
        memcpy(d, &r, sizeof(r));                                                                          \
    }

#define FP_ANY(name, args, effects)                                                                        \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        body_##name(cpu, d, a, b, c, imm);                                                                 \
    }                                                                                                      \
    SIMD_HELPER(name, args, effects);

#define FP_ONE(name, suffix, args, size)                                                                   \
    SIMD_FN(name##suffix)                                                                                  \
    {                                                                                                      \
        body_##name(cpu, d, a, b, c, SIMD_ONE | (size));                                                   \
    }                                                                                                      \
    SIMD_HELPER(name##suffix, args, SIMD_HOST);

/* In software alone, or on the host as far as that does it. */
#define FP(name, args, meaning)                                                                            \
    FP_BODY(name, args, meaning)                                                                           \
    FP_ANY(name, args, SIMD_FPSR)
#define FP_HOST(name, args, meaning)                                                                       \
    FP_BODY(name, args, meaning)                                                                           \
    FP_ANY(name, args, SIMD_HOST)

#define FP_HOT(name, args, effects, meaning)                                                               \
    FP_BODY(name, args, meaning)                                                                           \
    FP_ANY(name, args, effects)                                                                            \
    FP_ONE(name, _s, args, 2)                                                                              \
    FP_ONE(name, _d, args, 3)

FP_HOT(fadd, 2, SIMD_HOST, fast_add(e, fmt, x, y))
FP_HOT(fsub, 2, SIMD_HOST, fast_sub(e, fmt, x, y))
FP_HOT(fmul, 2, SIMD_HOST, fast_mul(e, fmt, x, y))
FP_HOT(fdiv, 2, SIMD_HOST, fast_div(e, fmt, x, y))
FP_HOT(fmla, 3, SIMD_HOST, fast_muladd(e, fmt, z, x, y))
FP_HOT(fmls, 3, SIMD_HOST, fast_muladd(e, fmt, z, fp_neg(fmt, x), y))
FP_HOT(fsqrt, 1, SIMD_HOST_ALWAYS, fast_sqrt(e, fmt, x))

FP_HOST(fnmadd, 3, fast_muladd(e, fmt, fp_neg(fmt, z), fp_neg(fmt, x), y))
FP_HOST(fnmsub, 3, fast_muladd(e, fmt, fp_neg(fmt, z), x, y))
FP_HOST(fnmul, 2, fp_neg(fmt, fast_mul(e, fmt, x, y)))
FP_HOST(fmulx, 2, fp_mulx(e, fmt, x, y))
FP(fmax, 2, fp_max(e, fmt, x, y))
FP(fmin, 2, fp_min(e, fmt, x, y))
FP(fmaxnm, 2, fp_maxnum(e, fmt, x, y))
FP(fminnm, 2, fp_minnum(e, fmt, x, y))
FP_HOST(fabd, 2, fp_abs(fmt, fast_sub(e, fmt, x, y)))
FP(frecps, 2, fp_recip_step(e, fmt, x, y))
FP(frsqrts, 2, fp_rsqrt_step(e, fmt, x, y))
FP(frecpe, 1, fp_recip_estimate(e, fmt, x))
FP(frsqrte, 1, fp_rsqrt_estimate(e, fmt, x))
FP(frecpx, 1, fp_recpx(e, fmt, x))

FP(fcmeq, 2, ONES(fp_compare_eq(e, fmt, x, y)))
FP(fcmge, 2, ONES(fp_compare_ge(e, fmt, x, y)))
FP(fcmgt, 2, ONES(fp_compare_gt(e, fmt, x, y)))
FP(facge, 2, ONES(fp_compare_ge(e, fmt, fp_abs(fmt, x), fp_abs(fmt, y))))
FP(facgt, 2, ONES(fp_compare_gt(e, fmt, fp_abs(fmt, x), fp_abs(fmt, y))))
FP(fcmeq0, 1, ONES(fp_compare_eq(e, fmt, x, 0)))
FP(fcmge0, 1, ONES(fp_compare_ge(e, fmt, x, 0)))
FP(fcmgt0, 1, ONES(fp_compare_gt(e, fmt, x, 0)))
FP(fcmle0, 1, ONES(fp_compare_ge(e, fmt, 0, x)))
FP(fcmlt0, 1, ONES(fp_compare_gt(e, fmt, 0, x)))

/* FMOV, FABS and FNEG (scalar): no lane is a number to them. */
SIMD_FN(fmov)
{
    SimdVec r = { { 0 } };
    memcpy(&r, a, (size_t)1 << simd_size(imm));
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(fmov, 1, SIMD_PURE);

SIMD_FN(fabs)
{
    SimdVec r = { { 0 } };
    memcpy(&r.u64[0], a, 8);
    r.u64[0] &= mask64((8u << simd_size(imm)) - 1);
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(fabs, 1, SIMD_PURE);

SIMD_FN(fneg)
{
    SimdVec r = { { 0 } };
    memcpy(&r.u64[0], a, 8);
    r.u64[0] = fp_neg(fmt_of(imm), r.u64[0]) & mask64(8u << simd_size(imm));
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(fneg, 1, SIMD_PURE);

/* ---- conversions ---- */

static FpRounding rounding_of(const FpEnv *e, unsigned arg)
{
    const unsigned mode = arg & SIMD_ROUND;

    return mode == SIMD_ROUND_CURRENT ? fp_rounding(e) : (FpRounding)mode;
}

FP(frint, 1, fp_round_int(e, fmt, x, rounding_of(e, arg), arg & SIMD_ROUND_EXACT))
FP(frint_n, 1, fp_round_int_n(e, fmt, x, rounding_of(e, arg), arg >> SIMD_FBITS_SHIFT))
FP_HOST(fcvt_int, 1, fast_to_int(e, fmt, x, fp_width(fmt), arg >> SIMD_FBITS_SHIFT, arg & SIMD_UNSIGNED,
                                 rounding_of(e, arg)))
FP_HOST(cvtf, 1, fast_from_int(e, fmt, x, fp_width(fmt), arg >> SIMD_FBITS_SHIFT, arg & SIMD_UNSIGNED))

/* FCVT (scalar): the size is the source's, the argument the destination's. */
SIMD_FN(fcvt)
{
    SIMD_OPERANDS_1
    FpEnv          env = env_of(cpu);
    SimdVec        r = { { 0 } };
    const unsigned to = simd_arg(imm);

    r.u64[0] = fast_convert(&env, fmt_of(imm), fmt_of(to), simd_get(&va, simd_size(imm), 0));
    put_env(cpu, &env);
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(fcvt, 1, SIMD_HOST);

/* FCVTL: from the narrow size of the shape to twice that; Q is the half that is read. */
SIMD_FN(fcvtl)
{
    SIMD_OPERANDS_1
    FpEnv          env = env_of(cpu);
    SimdVec        r = { { 0 } };
    const unsigned size = simd_size(imm);

    for (unsigned i = 0; i < simd_half_lanes(imm); i++) {
        uint64_t x = simd_get(&va, size, simd_first(imm) + i);
        simd_set(&r, size + 1, i, fast_convert(&env, fmt_of(size), fmt_of(size + 1), x));
    }
    put_env(cpu, &env);
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(fcvtl, 1, SIMD_HOST);

/* FCVTN, FCVTXN: to the narrow size; Q is the half that is written. */
static void narrow(void *cpu, void *d, const SimdVec *n, const SimdVec *old, SimdShape imm, bool to_odd)
{
    FpEnv          env = env_of(cpu);
    SimdVec        r = { { 0 } };
    const unsigned size = simd_size(imm);
    FpRounding     rounding = to_odd ? FP_ODD : fp_rounding(&env);

    r.u64[0] = imm & SIMD_Q ? old->u64[0] : 0;
    for (unsigned i = 0; i < simd_half_lanes(imm); i++) {
        uint64_t x = simd_get(n, size + 1, i);
        x = fp_convert(&env, fmt_of(size + 1), fmt_of(size), x, rounding);
        simd_set(&r, size, simd_first(imm) + i, x);
    }
    put_env(cpu, &env);
    memcpy(d, &r, sizeof(r));
}

SIMD_FN(fcvtn)
{
    SIMD_OPERANDS_2
    narrow(cpu, d, &va, &vb, imm, false);
}
SIMD_HELPER(fcvtn, 2, SIMD_FPSR);

SIMD_FN(fcvtxn)
{
    SIMD_OPERANDS_2
    narrow(cpu, d, &va, &vb, imm, true);
}
SIMD_HELPER(fcvtxn, 2, SIMD_FPSR);

/* ---- across lanes ---- */

/* Reduce(): the halves first, down to single lanes. */
static uint64_t reduce(FpEnv *e, const SimdVec *v, unsigned size, unsigned first, unsigned n,
                       uint64_t (*op)(FpEnv *, FpFmt, uint64_t, uint64_t))
{
    if (n == 1) {
        return simd_get(v, size, first);
    }
    uint64_t lo = reduce(e, v, size, first, n / 2, op);
    uint64_t hi = reduce(e, v, size, first + n / 2, n / 2, op);
    return op(e, fmt_of(size), lo, hi);
}

#define REDUCE(name, op)                                                                                   \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        SIMD_OPERANDS_1                                                                                    \
        FpEnv   env = env_of(cpu);                                                                         \
        SimdVec r = { { 0 } };                                                                             \
        simd_set(&r, simd_size(imm), 0, reduce(&env, &va, simd_size(imm), 0, simd_lanes(imm), op));        \
        put_env(cpu, &env);                                                                                \
        memcpy(d, &r, sizeof(r));                                                                          \
    }                                                                                                      \
    SIMD_HELPER(name, 1, SIMD_FPSR);

REDUCE(fmaxv, fp_max)
REDUCE(fminv, fp_min)
REDUCE(fmaxnmv, fp_maxnum)
REDUCE(fminnmv, fp_minnum)

/* ---- half precision products into single precision ---- */

/* FMLAL, FMLSL. Argument: bit 0 the half of the operands that is read, bit 1 subtract. */
SIMD_FN(fmlal)
{
    SIMD_OPERANDS_3
    FpEnv          env = env_of(cpu);
    SimdVec        r = { { 0 } };
    const unsigned n = imm & SIMD_Q ? 4 : 2, first = simd_arg(imm) & 1 ? n : 0;

    for (unsigned i = 0; i < n; i++) {
        uint64_t x = va.u16[first + i];
        x = simd_arg(imm) & 2 ? fp_neg(FP_F16, x) : x;
        r.u32[i] = (uint32_t)fp_muladd_half(&env, vc.u32[i], x, vb.u16[first + i]);
    }
    put_env(cpu, &env);
    memcpy(d, &r, sizeof(r));
}
SIMD_HELPER(fmlal, 3, SIMD_FPSR);
