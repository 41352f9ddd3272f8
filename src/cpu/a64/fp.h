/*
 * Arithmetic of the A64 floating-point and AdvSIMD instructions: half, single and double precision, in
 * software, with Arm's rules for NaNs, flush to zero, rounding and exception flags. No CPU state: a caller
 * passes FPCR and collects FPSR. Names follow Arm ARM DDI 0487, "Shared pseudocode", functions/float.
 *
 * Left out: trapped exceptions (the FPCR enables are RAZ/WI here) and FEAT_AFP (FPCR.{AH, FIZ, NEP}).
 */
#ifndef BAILEY_CPU_A64_FP_H
#define BAILEY_CPU_A64_FP_H

#include <stdbool.h>
#include <stdint.h>

/* FPCR. DDI 0487, "FPCR, Floating-point Control Register". */
#define FPCR_FZ16        (1u << 19)
#define FPCR_RMODE_SHIFT 22
#define FPCR_RMODE       (3u << FPCR_RMODE_SHIFT)
#define FPCR_FZ          (1u << 24)
#define FPCR_DN          (1u << 25)
#define FPCR_AHP         (1u << 26)

/* FPSR. DDI 0487, "FPSR, Floating-point Status Register". */
#define FPSR_IOC         (1u << 0)
#define FPSR_DZC         (1u << 1)
#define FPSR_OFC         (1u << 2)
#define FPSR_UFC         (1u << 3)
#define FPSR_IXC         (1u << 4)
#define FPSR_IDC         (1u << 7)
#define FPSR_QC          (1u << 27)

/* What an operation reads (fpcr) and accumulates into (fpsr). A CPU state may embed one. */
typedef struct FpEnv {
    uint32_t fpcr, fpsr;
} FpEnv;

/* Operand formats. A value travels in the low bits of a uint64_t: bits above its width are ignored in
 * operands and zero in results. FP_BF16 is only a destination of fp_convert(). */
typedef enum FpFmt { FP_F16, FP_F32, FP_F64, FP_BF16, FP_FORMATS } FpFmt;

/* The first four are the encodings of FPCR.RMode. */
typedef enum FpRounding {
    FP_TIEEVEN,
    FP_POSINF,
    FP_NEGINF,
    FP_TOZERO,
    FP_TIEAWAY,
    FP_ODD,
} FpRounding;

/* NZCV as fp_compare() returns it: PSTATE.{N,Z,C,V} in bits 3 to 0. */
enum { FP_LESS = 0x8, FP_EQUAL = 0x6, FP_GREATER = 0x2, FP_UNORDERED = 0x3 };

/* The rounding mode FPCR.RMode selects. */
static inline FpRounding fp_rounding(const FpEnv *env)
{
    return (FpRounding)((env->fpcr & FPCR_RMODE) >> FPCR_RMODE_SHIFT);
}

/* Bits in a value of format @fmt: 16, 32 or 64. */
static inline unsigned fp_width(FpFmt fmt)
{
    return fmt == FP_F64 ? 64 : fmt == FP_F32 ? 32 : 16;
}

/* FPNeg and FPAbs: sign bit only, no NaN processing, no exceptions. */
static inline uint64_t fp_neg(FpFmt fmt, uint64_t a)
{
    return a ^ 1ull << (fp_width(fmt) - 1);
}

static inline uint64_t fp_abs(FpFmt fmt, uint64_t a)
{
    return a & ~(1ull << (fp_width(fmt) - 1));
}

/**
 * fp_add - FPAdd; and with the same shape FPSub, FPMul, FPMulX, FPDiv, FPMax, FPMin, FPMaxNum, FPMinNum.
 * @env: FPCR to obey, FPSR to accumulate into
 * @fmt: FP_F16, FP_F32 or FP_F64
 * @a, @b: operands, first and second of the pseudocode (the order chooses between two NaNs)
 * Returns the result bits, zero-extended.
 */
uint64_t fp_add(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
uint64_t fp_sub(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
uint64_t fp_mul(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
uint64_t fp_mulx(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
uint64_t fp_div(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
uint64_t fp_max(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
uint64_t fp_min(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
uint64_t fp_maxnum(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
uint64_t fp_minnum(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);

/**
 * fp_recip_step - FPRecipStepFused: 2 - a * b, rounded once (FRECPS).
 * fp_rsqrt_step - FPRSqrtStepFused: (3 - a * b) / 2, rounded once (FRSQRTS).
 * Both negate @a before NaN processing, so a NaN taken from @a comes back with its sign changed.
 */
uint64_t fp_recip_step(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
uint64_t fp_rsqrt_step(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);

/**
 * fp_muladd - FPMulAdd: @addend + @a * @b, rounded once. The instruction itself negates operands (fp_neg).
 * A NaN is taken from @addend, @a, @b in this order (signaling ones first).
 */
uint64_t fp_muladd(FpEnv *env, FpFmt fmt, uint64_t addend, uint64_t a, uint64_t b);

/* FPMulAddH: single-precision @addend + half-precision @a * @b, rounded once to single (FMLAL, FMLSL). */
uint64_t fp_muladd_half(FpEnv *env, uint64_t addend, uint64_t a, uint64_t b);

/**
 * fp_sqrt - FPSqrt; and with the same shape FPRecipEstimate (FRECPE), FPRSqrtEstimate (FRSQRTE), FPRecpX.
 */
uint64_t fp_sqrt(FpEnv *env, FpFmt fmt, uint64_t a);
uint64_t fp_recip_estimate(FpEnv *env, FpFmt fmt, uint64_t a);
uint64_t fp_rsqrt_estimate(FpEnv *env, FpFmt fmt, uint64_t a);
uint64_t fp_recpx(FpEnv *env, FpFmt fmt, uint64_t a);

/* UnsignedRecipEstimate and UnsignedRSqrtEstimate (URECPE, URSQRTE): fixed point, no flags. */
uint32_t fp_unsigned_recip_estimate(uint32_t a);
uint32_t fp_unsigned_rsqrt_estimate(uint32_t a);

/**
 * fp_round_int - FPRoundInt: round to an integral value in the same format (FRINTA, I, M, N, P, X, Z).
 * @rounding: any mode but FP_ODD
 * @exact: set IXC when the value changes (FRINTX)
 */
uint64_t fp_round_int(FpEnv *env, FpFmt fmt, uint64_t a, FpRounding rounding, bool exact);

/* FPRoundIntN: as fp_round_int(), but to what fits a signed @intsize (32 or 64) bit integer; FP_F32 and
 * FP_F64 only; IXC when the value changes. What does not fit gives the most negative such integer and IOC
 * (FRINT32X, FRINT32Z, FRINT64X, FRINT64Z). */
uint64_t fp_round_int_n(FpEnv *env, FpFmt fmt, uint64_t a, FpRounding rounding, unsigned intsize);

/**
 * fp_compare - FPCompare.
 * @signal_nans: quiet NaNs also raise IOC (FCMPE)
 * Returns NZCV in bits 3 to 0: FP_LESS, FP_EQUAL, FP_GREATER or FP_UNORDERED.
 */
uint32_t fp_compare(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b, bool signal_nans);

/* FPCompareEQ (IOC only for signaling NaNs), FPCompareGE and FPCompareGT (IOC for any NaN). */
bool fp_compare_eq(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
bool fp_compare_ge(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);
bool fp_compare_gt(FpEnv *env, FpFmt fmt, uint64_t a, uint64_t b);

/**
 * fp_convert - FPConvert, and FPConvertBF when @to is FP_BF16: change of format.
 * @rounding: fp_rounding(env) for FCVT and BFCVT, FP_ODD for FCVTXN
 * FPCR.AHP selects the alternative half-precision format on either side; FPCR.FZ16 has no effect.
 */
uint64_t fp_convert(FpEnv *env, FpFmt from, FpFmt to, uint64_t a, FpRounding rounding);

/**
 * fp_to_fixed - FPToFixed: to an integer (@fbits 0) or fixed-point number, saturating.
 * @width: bits of the destination: 16, 32 or 64
 * @fbits: fraction bits, 0 to 64
 * Returns the two's complement result in the low @width bits, zero-extended. A NaN gives 0 and IOC.
 */
uint64_t fp_to_fixed(FpEnv *env, FpFmt fmt, uint64_t a, unsigned width, unsigned fbits, bool is_unsigned,
                     FpRounding rounding);

/**
 * fp_from_fixed - FixedToFP: from an integer (@fbits 0) or fixed-point number.
 * @v: operand in the low @width (16, 32 or 64) bits; higher bits are ignored
 */
uint64_t fp_from_fixed(FpEnv *env, FpFmt fmt, uint64_t v, unsigned width, unsigned fbits, bool is_unsigned,
                       FpRounding rounding);

/* FPToFixedJS: double to int32 modulo 2^32, toward zero (FJCVTZS). *@z is the new PSTATE.Z (N, C and V become
 * 0): the conversion was exact and in range, and the operand was not -0. */
uint32_t fp_to_int_js(FpEnv *env, uint64_t a, bool *z);

/* VFPExpandImm: the value an 8-bit immediate of FMOV (scalar or vector, immediate) stands for. */
uint64_t fp_expand_imm(FpFmt fmt, uint8_t imm8);

#endif
