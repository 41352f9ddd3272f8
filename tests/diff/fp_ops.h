/*
 * Floating-point rows of the oracle table: ROW(name, instruction, operand format, output, value).
 *   output  SCALAR: low part of v0, rest zero; operands have junk above their width. VECTOR: low 64 bits of
 *           v0, operands zero above their width. LANE32: low 32 bits only. LANE16: low 16 bits only (the
 *           emulator leaves sign bits above some). XREG: x0. NZCV: the flags. JS: x0 and Z.
 *   value   what our functions give: D, A, B, C are the low halves of v0 to v3, X is x1, e the environment
 * Included several times with ROW defined by the includer.
 */

/* One row per format. H, S, D of the mnemonic's registers follow the format. */
#define ROWS2(op, fn)                                                   \
    ROW(op##_h, #op " h0, h1, h2", FP_F16, SCALAR, fn(e, FP_F16, A, B)) \
    ROW(op##_s, #op " s0, s1, s2", FP_F32, SCALAR, fn(e, FP_F32, A, B)) \
    ROW(op##_d, #op " d0, d1, d2", FP_F64, SCALAR, fn(e, FP_F64, A, B))
#define ROWS1(op, fn, ...)                                                   \
    ROW(op##_h, #op " h0, h1", FP_F16, SCALAR, fn(e, FP_F16, A __VA_ARGS__)) \
    ROW(op##_s, #op " s0, s1", FP_F32, SCALAR, fn(e, FP_F32, A __VA_ARGS__)) \
    ROW(op##_d, #op " d0, d1", FP_F64, SCALAR, fn(e, FP_F64, A __VA_ARGS__))
#define COMMA ,

ROWS2(fadd, fp_add)
ROWS2(fsub, fp_sub)
ROWS2(fmul, fp_mul)
ROWS2(fmulx, fp_mulx)
ROWS2(fdiv, fp_div)
ROWS2(fmax, fp_max)
ROWS2(fmin, fp_min)
ROWS2(fmaxnm, fp_maxnum)
ROWS2(fminnm, fp_minnum)
ROWS2(frecps, fp_recip_step)
ROWS2(frsqrts, fp_rsqrt_step)
ROWS1(fsqrt, fp_sqrt)
ROWS1(frecpe, fp_recip_estimate)
ROWS1(frsqrte, fp_rsqrt_estimate)
ROWS1(frecpx, fp_recpx)
ROWS1(frintn, fp_round_int, COMMA FP_TIEEVEN COMMA false)
ROWS1(frinta, fp_round_int, COMMA FP_TIEAWAY COMMA false)
ROWS1(frintp, fp_round_int, COMMA FP_POSINF COMMA false)
ROWS1(frintm, fp_round_int, COMMA FP_NEGINF COMMA false)
ROWS1(frintz, fp_round_int, COMMA FP_TOZERO COMMA false)
ROWS1(frinti, fp_round_int, COMMA fp_rounding(e) COMMA false)
ROWS1(frintx, fp_round_int, COMMA fp_rounding(e) COMMA true)
ROW(frint32x_s, "frint32x s0, s1", FP_F32, SCALAR, fp_round_int_n(e, FP_F32, A, fp_rounding(e), 32))
ROW(frint32x_d, "frint32x d0, d1", FP_F64, SCALAR, fp_round_int_n(e, FP_F64, A, fp_rounding(e), 32))
ROW(frint64x_s, "frint64x s0, s1", FP_F32, SCALAR, fp_round_int_n(e, FP_F32, A, fp_rounding(e), 64))
ROW(frint64x_d, "frint64x d0, d1", FP_F64, SCALAR, fp_round_int_n(e, FP_F64, A, fp_rounding(e), 64))
ROW(frint32z_s, "frint32z s0, s1", FP_F32, SCALAR, fp_round_int_n(e, FP_F32, A, FP_TOZERO, 32))
ROW(frint32z_d, "frint32z d0, d1", FP_F64, SCALAR, fp_round_int_n(e, FP_F64, A, FP_TOZERO, 32))
ROW(frint64z_s, "frint64z s0, s1", FP_F32, SCALAR, fp_round_int_n(e, FP_F32, A, FP_TOZERO, 64))
ROW(frint64z_d, "frint64z d0, d1", FP_F64, SCALAR, fp_round_int_n(e, FP_F64, A, FP_TOZERO, 64))

/* Fused multiply-add. */
#define ROWS_MADD(suffix, r, fmt)                                                                        \
    ROW(fmadd_##suffix, "fmadd " r "0, " r "1, " r "2, " r "3", fmt, SCALAR, fp_muladd(e, fmt, C, A, B)) \
    ROW(fmsub_##suffix, "fmsub " r "0, " r "1, " r "2, " r "3", fmt, SCALAR,                             \
        fp_muladd(e, fmt, C, fp_neg(fmt, A), B))                                                         \
    ROW(fnmadd_##suffix, "fnmadd " r "0, " r "1, " r "2, " r "3", fmt, SCALAR,                           \
        fp_muladd(e, fmt, fp_neg(fmt, C), fp_neg(fmt, A), B))                                            \
    ROW(fnmsub_##suffix, "fnmsub " r "0, " r "1, " r "2, " r "3", fmt, SCALAR,                           \
        fp_muladd(e, fmt, fp_neg(fmt, C), A, B))
ROWS_MADD(h, "h", FP_F16)
ROWS_MADD(s, "s", FP_F32)
ROWS_MADD(d, "d", FP_F64)
ROW(fmlal, "fmlal v0.2s, v1.2h, v2.2h", FP_F16, VECTOR, fp_muladd_half(e, D, A, B))
ROW(fmlsl, "fmlsl v0.2s, v1.2h, v2.2h", FP_F16, LANE32, fp_muladd_half(e, D, fp_neg(FP_F16, A), B))

/* Comparison. */
/* What a comparison into a vector register writes. */
#define MASK(fmt, op, a, b) (fp_compare_##op(e, fmt, a, b) ? mask64(fp_width(fmt)) : 0)
#define ROWS_COMPARE(suffix, r, fmt)                                                       \
    ROW(fcmp_##suffix, "fcmp " r "1, " r "2", fmt, NZCV, fp_compare(e, fmt, A, B, false))  \
    ROW(fcmpe_##suffix, "fcmpe " r "1, " r "2", fmt, NZCV, fp_compare(e, fmt, A, B, true)) \
    ROW(fcmeq_##suffix, "fcmeq " r "0, " r "1, " r "2", fmt, SCALAR, MASK(fmt, eq, A, B))  \
    ROW(fcmge_##suffix, "fcmge " r "0, " r "1, " r "2", fmt, SCALAR, MASK(fmt, ge, A, B))  \
    ROW(fcmgt_##suffix, "fcmgt " r "0, " r "1, " r "2", fmt, SCALAR, MASK(fmt, gt, A, B))  \
    ROW(facge_##suffix, "facge " r "0, " r "1, " r "2", fmt, SCALAR,                       \
        MASK(fmt, ge, fp_abs(fmt, A), fp_abs(fmt, B)))
ROWS_COMPARE(h, "h", FP_F16)
ROWS_COMPARE(s, "s", FP_F32)
ROWS_COMPARE(d, "d", FP_F64)

/* Between formats. */
ROW(fcvt_s_h, "fcvt s0, h1", FP_F16, SCALAR, fp_convert(e, FP_F16, FP_F32, A, fp_rounding(e)))
ROW(fcvt_d_h, "fcvt d0, h1", FP_F16, SCALAR, fp_convert(e, FP_F16, FP_F64, A, fp_rounding(e)))
ROW(fcvt_h_s, "fcvt h0, s1", FP_F32, SCALAR, fp_convert(e, FP_F32, FP_F16, A, fp_rounding(e)))
ROW(fcvt_d_s, "fcvt d0, s1", FP_F32, SCALAR, fp_convert(e, FP_F32, FP_F64, A, fp_rounding(e)))
ROW(fcvt_h_d, "fcvt h0, d1", FP_F64, SCALAR, fp_convert(e, FP_F64, FP_F16, A, fp_rounding(e)))
ROW(fcvt_s_d, "fcvt s0, d1", FP_F64, SCALAR, fp_convert(e, FP_F64, FP_F32, A, fp_rounding(e)))
ROW(fcvtxn, "fcvtxn s0, d1", FP_F64, SCALAR, fp_convert(e, FP_F64, FP_F32, A, FP_ODD))
ROW(bfcvt, "bfcvt h0, s1", FP_F32, SCALAR, fp_convert(e, FP_F32, FP_BF16, A, fp_rounding(e)))

#define TO(fmt, width, fbits, is_unsigned, rounding) \
    fp_to_fixed(e, fmt, A, width, fbits, is_unsigned, rounding)

/* To integers: general register and, the same width on both sides, SIMD scalar. */
#define ROWS_TO_INT(op, is_unsigned, rounding)                                           \
    ROW(op##_w_h, #op " w0, h1", FP_F16, XREG, TO(FP_F16, 32, 0, is_unsigned, rounding)) \
    ROW(op##_x_h, #op " x0, h1", FP_F16, XREG, TO(FP_F16, 64, 0, is_unsigned, rounding)) \
    ROW(op##_w_s, #op " w0, s1", FP_F32, XREG, TO(FP_F32, 32, 0, is_unsigned, rounding)) \
    ROW(op##_x_s, #op " x0, s1", FP_F32, XREG, TO(FP_F32, 64, 0, is_unsigned, rounding)) \
    ROW(op##_w_d, #op " w0, d1", FP_F64, XREG, TO(FP_F64, 32, 0, is_unsigned, rounding)) \
    ROW(op##_x_d, #op " x0, d1", FP_F64, XREG, TO(FP_F64, 64, 0, is_unsigned, rounding)) \
    ROW(op##_h, #op " h0, h1", FP_F16, SCALAR, TO(FP_F16, 16, 0, is_unsigned, rounding)) \
    ROW(op##_s, #op " s0, s1", FP_F32, SCALAR, TO(FP_F32, 32, 0, is_unsigned, rounding)) \
    ROW(op##_d, #op " d0, d1", FP_F64, SCALAR, TO(FP_F64, 64, 0, is_unsigned, rounding))
ROWS_TO_INT(fcvtns, false, FP_TIEEVEN)
ROWS_TO_INT(fcvtnu, true, FP_TIEEVEN)
ROWS_TO_INT(fcvtas, false, FP_TIEAWAY)
ROWS_TO_INT(fcvtau, true, FP_TIEAWAY)
ROWS_TO_INT(fcvtps, false, FP_POSINF)
ROWS_TO_INT(fcvtpu, true, FP_POSINF)
ROWS_TO_INT(fcvtms, false, FP_NEGINF)
ROWS_TO_INT(fcvtmu, true, FP_NEGINF)
ROWS_TO_INT(fcvtzs, false, FP_TOZERO)
ROWS_TO_INT(fcvtzu, true, FP_TOZERO)
ROW(fjcvtzs, "fjcvtzs w0, d1", FP_F64, JS, to_int_js(e, A))

/* To fixed point. */
#define ROWS_TO_FIXED(op, is_unsigned)                                                             \
    ROW(op##_w_h_11, #op " w0, h1, #11", FP_F16, XREG, TO(FP_F16, 32, 11, is_unsigned, FP_TOZERO)) \
    ROW(op##_x_s_1, #op " x0, s1, #1", FP_F32, XREG, TO(FP_F32, 64, 1, is_unsigned, FP_TOZERO))    \
    ROW(op##_x_d_64, #op " x0, d1, #64", FP_F64, XREG, TO(FP_F64, 64, 64, is_unsigned, FP_TOZERO)) \
    ROW(op##_h_16, #op " h0, h1, #16", FP_F16, LANE16, TO(FP_F16, 16, 16, is_unsigned, FP_TOZERO)) \
    ROW(op##_s_32, #op " s0, s1, #32", FP_F32, SCALAR, TO(FP_F32, 32, 32, is_unsigned, FP_TOZERO)) \
    ROW(op##_d_7, #op " d0, d1, #7", FP_F64, SCALAR, TO(FP_F64, 64, 7, is_unsigned, FP_TOZERO))
ROWS_TO_FIXED(fcvtzs, false)
ROWS_TO_FIXED(fcvtzu, true)

/* From integers and fixed point. */
#define FROM(fmt, v, width, fbits, is_unsigned) \
    fp_from_fixed(e, fmt, v, width, fbits, is_unsigned, fp_rounding(e))
#define ROWS_FROM_FIXED(op, is_unsigned)                                                       \
    ROW(op##_h_w, #op " h0, w1", FP_F16, SCALAR, FROM(FP_F16, X, 32, 0, is_unsigned))          \
    ROW(op##_h_x, #op " h0, x1", FP_F16, SCALAR, FROM(FP_F16, X, 64, 0, is_unsigned))          \
    ROW(op##_s_w, #op " s0, w1", FP_F32, SCALAR, FROM(FP_F32, X, 32, 0, is_unsigned))          \
    ROW(op##_s_x, #op " s0, x1", FP_F32, SCALAR, FROM(FP_F32, X, 64, 0, is_unsigned))          \
    ROW(op##_d_w, #op " d0, w1", FP_F64, SCALAR, FROM(FP_F64, X, 32, 0, is_unsigned))          \
    ROW(op##_d_x, #op " d0, x1", FP_F64, SCALAR, FROM(FP_F64, X, 64, 0, is_unsigned))          \
    ROW(op##_h_x_64, #op " h0, x1, #64", FP_F16, SCALAR, FROM(FP_F16, X, 64, 64, is_unsigned)) \
    ROW(op##_h_w_20, #op " h0, w1, #20", FP_F16, SCALAR, FROM(FP_F16, X, 32, 20, is_unsigned)) \
    ROW(op##_s_w_31, #op " s0, w1, #31", FP_F32, SCALAR, FROM(FP_F32, X, 32, 31, is_unsigned)) \
    ROW(op##_d_x_1, #op " d0, x1, #1", FP_F64, SCALAR, FROM(FP_F64, X, 64, 1, is_unsigned))    \
    ROW(op##_h, #op " h0, h1", FP_F16, SCALAR, FROM(FP_F16, A, 16, 0, is_unsigned))            \
    ROW(op##_h_16, #op " h0, h1, #16", FP_F16, SCALAR, FROM(FP_F16, A, 16, 16, is_unsigned))   \
    ROW(op##_s, #op " s0, s1", FP_F32, SCALAR, FROM(FP_F32, A, 32, 0, is_unsigned))            \
    ROW(op##_d_33, #op " d0, d1, #33", FP_F64, SCALAR, FROM(FP_F64, A, 64, 33, is_unsigned))
ROWS_FROM_FIXED(scvtf, false)
ROWS_FROM_FIXED(ucvtf, true)

/* Integer estimates. */
ROW(urecpe, "urecpe v0.2s, v1.2s", FP_F32, LANE32, fp_unsigned_recip_estimate((uint32_t)A))
ROW(ursqrte, "ursqrte v0.2s, v1.2s", FP_F32, LANE32, fp_unsigned_rsqrt_estimate((uint32_t)A))

#undef ROWS2
#undef ROWS1
#undef COMMA
#undef ROWS_MADD
#undef MASK
#undef ROWS_COMPARE
#undef TO
#undef ROWS_TO_INT
#undef ROWS_TO_FIXED
#undef FROM
#undef ROWS_FROM_FIXED
