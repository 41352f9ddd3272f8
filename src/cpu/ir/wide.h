/*
 * 128-bit and vector operations of ops.h: one function per operation, operands by pointer, result may overlap
 * them.
 */
#ifndef BAILEY_IR_WIDE_H
#define BAILEY_IR_WIDE_H

#include "cpu/ir/ir.h"

/* The widest vector the executor has lanes for. */
enum { IR_WIDE_BYTES = 64 };

/**
 * ir_wide_NAME - one WIDE operation.
 * @bytes: size of the result's type, 8, 16, 32 or 64. Everything up to 16 bytes is written: what lies beyond
 *         a V64 becomes zero.
 * @src_bytes: size of operand @a's type
 */
#define IR_WIDE_DECL(name)                                                                                \
    void ir_wide_##name(void *d, const void *a, const void *b, const void *c, uint32_t imm, unsigned bytes, \
                        unsigned src_bytes);
#define WIDE_PURE(name)
#define WIDE_CMP(name)
#define WIDE_TYPED(name)
#define WIDE_WIDE(name) IR_WIDE_DECL(name)
#define IR_OP(name, args, flags, meaning) WIDE_##flags(name)
#include "cpu/ir/ops.h"
#undef IR_OP
#undef WIDE_PURE
#undef WIDE_CMP
#undef WIDE_TYPED
#undef WIDE_WIDE

#endif
