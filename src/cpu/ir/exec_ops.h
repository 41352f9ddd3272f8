/*
 * Every operation of the executor: X(name). Those that compute a meaning of ops.h are generated from it:
 * NAME_width_rr (operands in places) and NAME_width_ri (second operand an immediate); br_NAME for
 * comparisons.
 */

/* ---- from ops.h ---- */
#define GEN_PURE_1(name) X(name##_64_rr) X(name##_32_rr) X(name##_16_rr) X(name##_8_rr)
#define GEN_PURE_2(name) GEN_PURE_1(name) X(name##_64_ri) X(name##_32_ri)
#define GEN_PURE(name, args) GEN_PURE_##args(name)
#define GEN_CMP(name, args) \
    GEN_PURE_2(name) X(br_##name##_64_rr) X(br_##name##_64_ri) X(br_##name##_32_rr) X(br_##name##_32_ri)
#define GEN_WIDE(name, args) X(wide_##name)
#define GEN_TYPED(name, args)
#define IR_OP(name, args, flags, meaning) GEN_##flags(name, args)
#include "cpu/ir/ops.h"
#undef IR_OP
#undef GEN_PURE_1
#undef GEN_PURE_2
#undef GEN_PURE
#undef GEN_CMP
#undef GEN_WIDE
#undef GEN_TYPED

/* ---- moves: to 8-byte places with zero or sign extension, or to narrow guest registers ---- */
X(mov_64) X(mov_32) X(mov_16) X(mov_8) X(mov_128) X(mov_many)
X(movi_64) X(movi_128)
X(narrow_32) X(narrow_16) X(narrow_8)    /* write only so many bits */
X(narrowi_32) X(narrowi_16) X(narrowi_8)
X(sext_8_16) X(sext_8_32) X(sext_16_32) X(sext_8_64) X(sext_16_64) X(sext_32_64)

/* ---- second operand shifted by the immediate ---- */
#define GEN_SHIFTED(name)                                      \
    X(name##_shl_64) X(name##_shr_64) X(name##_sar_64)         \
    X(name##_shl_32) X(name##_shr_32) X(name##_sar_32)
GEN_SHIFTED(add) GEN_SHIFTED(sub) GEN_SHIFTED(and) GEN_SHIFTED(or) GEN_SHIFTED(xor)
#undef GEN_SHIFTED

/* ---- sums with a carry ---- */
X(adc_64) X(adc_32) X(sbc_64) X(sbc_32)

/* ---- selection ---- */
X(select_64) X(select_32) X(select_128) X(select_many)

/* ---- flags: packed to a 4-byte place; the second line also delivers the result, flags go to c ---- */
X(cmp_64_rr) X(cmp_64_ri) X(cmp_32_rr) X(cmp_32_ri) X(cmn_64_rr) X(cmn_64_ri) X(cmn_32_rr) X(cmn_32_ri)
X(subs_64_rr) X(subs_64_ri) X(subs_32_rr) X(subs_32_ri)
X(adds_64_rr) X(adds_64_ri) X(adds_32_rr) X(adds_32_ri)
X(ands_64_rr) X(ands_64_ri) X(ands_32_rr) X(ands_32_ri)
X(adc_flags_64) X(adc_flags_32) X(sbc_flags_64) X(sbc_flags_32) X(logic_flags_64) X(logic_flags_32)
X(flags_cond) X(flags_select) X(flags_unpack)

/* ---- memory: _o address a + imm; _x address a + (b << imm). The value of a store is in b, or d for _x
 * ---- */
X(ld_u8_o) X(ld_u16_o) X(ld_u32_o) X(ld_64_o) X(ld_s8_32_o) X(ld_s16_32_o)
X(ld_s8_64_o) X(ld_s16_64_o) X(ld_s32_64_o)
X(ld_u8_x) X(ld_u16_x) X(ld_u32_x) X(ld_64_x) X(ld_s8_32_x) X(ld_s16_32_x)
X(ld_s8_64_x) X(ld_s16_64_x) X(ld_s32_64_x)
X(st_8_o) X(st_16_o) X(st_32_o) X(st_64_o) X(st_8_x) X(st_16_x) X(st_32_x) X(st_64_x)
X(ld_128_o) X(st_128_o)
X(ld_pair) X(st_pair)                    /* 64 bits at a + imm and 64 at a + imm + 8 */
X(ld_any) X(st_any)                      /* every other kind, described by c */

/* ---- helpers ---- */
X(call_pure) X(call) X(call_vec) X(call_guard)

/* ---- exits ---- */
X(exit_jump) X(br_true) X(br_flags) X(br_test) X(exit_indirect) X(exit_indirect_key) X(exit_indirect_state)
X(exit_done)
X(dead) X(breakpoint)                    /* take the place of a block's first operation */
