/*
 * Every pure operation: IR_OP(name, args, flags, meaning). The executor and the constant folder expand the
 * meaning; code generators are tested against it. a, b, c: operands zero-extended to uint64_t; sa, sb: the
 * same sign-extended from the type; width: bits of the type; imm: the immediate. The result is truncated to
 * the type.
 *
 * Flags: PURE plain integer operation; CMP operands have the operation's type, the result is I32 0 or 1; WIDE
 * has its meaning in ir/wide.c (128-bit and vector values), one function per operation under the same name;
 * TYPED as PURE, but each operand has a type of its own. Shift counts of width and more: shl and shr give 0,
 * sar gives the sign; ror takes the count modulo width.
 */
IR_OP(add,      2, PURE, a + b)
IR_OP(sub,      2, PURE, a - b)
IR_OP(mul,      2, PURE, a * b)
IR_OP(mulhu,    2, PURE, ir_mulhu(a, b, width))
IR_OP(mulhs,    2, PURE, ir_mulhs(sa, sb, width))
IR_OP(udiv,     2, PURE, b == 0 ? 0 : a / b)                            /* by zero: 0 */
IR_OP(sdiv,     2, PURE, ir_sdiv(sa, sb))                              /* by zero: 0; minimum / -1: minimum */
IR_OP(and,      2, PURE, a & b)
IR_OP(or,       2, PURE, a | b)
IR_OP(xor,      2, PURE, a ^ b)
IR_OP(andn,     2, PURE, a & ~b)
IR_OP(orn,      2, PURE, a | ~b)
IR_OP(xorn,     2, PURE, a ^ ~b)
IR_OP(not,      1, PURE, ~a)
IR_OP(neg,      1, PURE, 0 - a)
IR_OP(shl,      2, PURE, b < width ? a << b : 0)
IR_OP(shr,      2, PURE, b < width ? a >> b : 0)
IR_OP(sar,      2, PURE, (uint64_t)(sa >> (b < width ? b : width - 1)))
IR_OP(ror,      2, PURE, rotate_right64(a, b % width, width))
IR_OP(clz,      1, PURE, ir_clz(a, width))
IR_OP(cls,      1, PURE, ir_cls(sa, width))
IR_OP(ctz,      1, PURE, ir_ctz(a, width))
IR_OP(popcnt,   1, PURE, (uint64_t)__builtin_popcountll(a))
IR_OP(rbit,     1, PURE, ir_rbit(a, width))
IR_OP(bswap,    1, PURE, ir_bswap(a, width))                            /* whole width */
IR_OP(rev16,    1, PURE, ir_rev16(a))                                   /* bytes within 16-bit parts */
IR_OP(rev32,    1, PURE, ir_rev32(a))                                   /* bytes within 32-bit parts */
IR_OP(extr,     2, PURE, ir_extr(a, b, imm, width))                     /* (a:b) >> imm, imm < width */
IR_OP(bfx,      1, PURE, extract64(a, imm & 63, imm >> 8))              /* imm = lsb | len << 8 */
IR_OP(sbfx,     1, PURE, (uint64_t)sign_extend64(a >> (imm & 63), imm >> 8))
IR_OP(bfi,      2, PURE, deposit64(a, imm & 63, imm >> 8, b))           /* a with len bits of b put at lsb */
IR_OP(cmpeq,    2, CMP,  a == b)
IR_OP(cmpne,    2, CMP,  a != b)
IR_OP(cmpult,   2, CMP,  a < b)
IR_OP(cmpule,   2, CMP,  a <= b)
IR_OP(cmpslt,   2, CMP,  sa < sb)
IR_OP(cmpsle,   2, CMP,  sa <= sb)
IR_OP(cmpuge,   2, CMP,  a >= b)
IR_OP(cmpugt,   2, CMP,  a > b)
IR_OP(cmpsge,   2, CMP,  sa >= sb)
IR_OP(cmpsgt,   2, CMP,  sa > sb)
IR_OP(umin,     2, PURE, a < b ? a : b)
IR_OP(umax,     2, PURE, a > b ? a : b)
IR_OP(smin,     2, PURE, sa < sb ? a : b)
IR_OP(smax,     2, PURE, sa > sb ? a : b)

/* 128-bit and vector values. Operands of a bitwise operation have the type of the result. */
IR_OP(pair,     2, WIDE, 0)  /* I128 from I64 low a, high b */
IR_OP(lo64,     1, WIDE, 0)  /* I64 from I128 or V128 */
IR_OP(hi64,     1, WIDE, 0)
IR_OP(vzext,    1, WIDE, 0)  /* V64/V128 whose low part is the integer a (I8..I64, I128), rest zero */
IR_OP(vlow,     1, WIDE, 0)  /* V64 from V128; or V128 from V64 with the top zero */
IR_OP(vdup,     1, WIDE, 0)  /* every lane of 8 << imm bits = a (I64 or I32) */
IR_OP(vget,     1, WIDE, 0)  /* I64, lane imm >> 4, of 8 << (imm & 3) bits, zero-extended */
IR_OP(vset,     2, WIDE, 0)  /* a with lane imm >> 4 of 8 << (imm & 3) bits = b (I64) */
IR_OP(vdupl,    1, WIDE, 0)  /* every lane of 8 << (imm & 3) bits = lane imm >> 4 of the vector a, of any type */
IR_OP(vins,     2, WIDE, 0)  /* a with lane imm >> 4 & 15 of 8 << (imm & 3) bits = lane imm >> 8 of b */
IR_OP(vand,     2, WIDE, 0)
IR_OP(vor,      2, WIDE, 0)
IR_OP(vxor,     2, WIDE, 0)
IR_OP(vandn,    2, WIDE, 0)  /* a & ~b */
IR_OP(vorn,     2, WIDE, 0)
IR_OP(vnot,     1, WIDE, 0)
IR_OP(vbsl,     3, WIDE, 0)  /* (a & b) | (~a & c) */
IR_OP(vadd,     2, WIDE, 0)  /* lanes of 8 << imm bits, here and below */
IR_OP(vsub,     2, WIDE, 0)
IR_OP(vmul,     2, WIDE, 0)
IR_OP(vneg,     1, WIDE, 0)
IR_OP(vabs,     1, WIDE, 0)
IR_OP(vcmpeq,   2, WIDE, 0)  /* all ones or zero per lane */
IR_OP(vcmpgts,  2, WIDE, 0)
IR_OP(vcmpgtu,  2, WIDE, 0)
IR_OP(vcmpges,  2, WIDE, 0)
IR_OP(vcmpgeu,  2, WIDE, 0)
IR_OP(vtst,     2, WIDE, 0)  /* (a & b) != 0 */
IR_OP(vsmin,    2, WIDE, 0)
IR_OP(vsmax,    2, WIDE, 0)
IR_OP(vumin,    2, WIDE, 0)
IR_OP(vumax,    2, WIDE, 0)
IR_OP(vshli,    1, WIDE, 0)  /* imm = size_log2 | count << 4 */
IR_OP(vshri,    1, WIDE, 0)
IR_OP(vsari,    1, WIDE, 0)
IR_OP(vext,     2, WIDE, 0)  /* bytes imm.. of the concatenation b:a (a low) */
IR_OP(vzip1,    2, WIDE, 0)
IR_OP(vzip2,    2, WIDE, 0)
IR_OP(vuzp1,    2, WIDE, 0)
IR_OP(vuzp2,    2, WIDE, 0)
IR_OP(vtrn1,    2, WIDE, 0)
IR_OP(vtrn2,    2, WIDE, 0)

/* Sums with a carry c, an I32 that is 0 or 1: I64 or I32. The carry of a difference is "no borrow". */
IR_OP(adc,      3, TYPED, a + b + c)
IR_OP(sbc,      3, TYPED, a + ~b + c)

/* Width changes, selection and flags: typed by their builders in ir.h. */
IR_OP(zext,     1, TYPED, a)
IR_OP(sext,     1, TYPED, (uint64_t)sa)  /* sa: from the operand's type */
IR_OP(trunc,    1, TYPED, a)
IR_OP(select,   3, TYPED, a ? b : c)     /* a: I32 */
