/*
 * The meanings of ops.h as functions: what the constant folder uses and what executors are tested against.
 */
#include <glib.h>

#include "cpu/ir/block.h"
#include "cpu/ir/meaning.h"

uint64_t ir_eval(unsigned op, IrType ty, IrType result, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    const unsigned width = ir_type_bits(ty);
    const int64_t  sa = sign_extend64(a, width), sb = sign_extend64(b, width);
    uint64_t       r;

    switch (op) {
#define MEANING_PURE(name, meaning)  case IR_##name: r = (meaning); break;
#define MEANING_CMP(name, meaning)   MEANING_PURE(name, meaning)
#define MEANING_TYPED(name, meaning) MEANING_PURE(name, meaning)
#define MEANING_WIDE(name, meaning)
#define IR_OP(name, args, flags, meaning) MEANING_##flags(name, meaning)
#include "cpu/ir/ops.h"
#undef IR_OP
    default:
        g_assert_not_reached(); /* callers ask for integer operations only */
    }
    return r & mask64(ir_type_bits(result));
}

uint32_t ir_eval_flags(IrFlagsKind kind, unsigned width, uint64_t a, uint64_t b, bool carry)
{
    switch (kind) {
    case IR_FLAGS_ADD:
        return ir_pack_add(a, b, carry, width);
    case IR_FLAGS_SUB:
        return ir_pack_sub(a, b, carry, width);
    default:
        return ir_pack_nz(a, width);
    }
}

bool ir_eval_cond(IrCond cond, uint32_t packed)
{
    bool n = packed & IR_PACK_N, z = packed & IR_PACK_Z, c = packed & IR_PACK_C, v = packed & IR_PACK_V;
    bool holds;

    switch (cond & ~1u) {
    case IR_COND_Z:
        holds = z;
        break;
    case IR_COND_C:
        holds = c;
        break;
    case IR_COND_N:
        holds = n;
        break;
    case IR_COND_V:
        holds = v;
        break;
    case IR_COND_C_AND_NZ:
        holds = c && !z;
        break;
    case IR_COND_GE:
        holds = n == v;
        break;
    default:
        holds = !z && n == v;
        break;
    }
    return holds != (cond & 1);
}
