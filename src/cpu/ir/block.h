/*
 * The inside of an IrBlock, for passes, printer, verifier, lowering and code generators. Front ends use ir.h
 * only.
 */
#ifndef BAILEY_IR_BLOCK_H
#define BAILEY_IR_BLOCK_H

#include "cpu/ir/ir.h"

/* Operations that are not a pure function of operands follow those of ops.h. */
enum {
    IR_const = IR_N_OPS, /* imm */
    IR_get,              /* imm: register */
    IR_put,              /* imm: register; a */
    IR_flags,            /* kind: IrFlagsKind; a, b, c = carry or 0 */
    IR_flags_cond,       /* kind: IrCond; a */
    IR_flags_pack,
    IR_flags_unpack,
    IR_flags_select,     /* a ? b : c */
    IR_load,             /* mem; a = address */
    IR_store,            /* mem; a = address, b = value */
    IR_call,             /* helper, imm; a, b, c */
    IR_guard,            /* helper, imm: mask; a */
    IR_insn,             /* imm: pc */
    IR_exit_jump,        /* imm: pc */
    IR_exit_branch,      /* a; imm: taken, imm2: fallthrough */
    IR_exit_indirect,    /* a */
    IR_exit_state,       /* imm: pc */
    IR_exit_done,
    IR_ALL_OPS
};

typedef struct IrNode {
    uint8_t op;
    uint8_t type; /* of the value; IR_VOID when there is none */
    uint8_t kind; /* see above; of a comparison: the operands' type */
    IrMem   mem;
    IrRef   a, b, c;
    uint64_t imm;
    union {
        uint64_t        imm2;
        const IrHelper *helper;
    };
} IrNode;

enum {
    IR_MAX_NODES = 4096,
    IR_FULL = 2560,     /* no further instruction starts: one may take the rest */
    IR_MAX_INSNS = 256,
    IR_MAX_REGS = 512,
    IR_MAX_ACCESSES = 64, /* that are told together */
    IR_ZERO64 = 1, /* constants at the start of every block */
    IR_ZERO32 = 2,
};

/* An access that its hook is not called for yet. */
typedef struct IrAccess {
    IrMem mem;
    IrRef addr;
    bool  store;
} IrAccess;

struct IrBlock {
    const IrReg *regs;
    size_t       n_regs;
    unsigned     n;         /* nodes in use; node 0 stands for "no value" */
    unsigned     n_insns;
    bool         exited;
    bool         ends;      /* a helper with IR_ENDS was called */
    const IrHooks *hooks;   /* NULL: nobody observes */
    IrRef        begin;     /* of hooks: a call that is to know of the whole block; 0: none */
    unsigned     n_accesses;
    IrAccess     access[IR_MAX_ACCESSES]; /* of the instruction, for its hooks */
    uint64_t     returns;   /* where the call that is the exit comes back to; 0: it is none */
    unsigned     n_state;   /* after ir_optimize(): */
    IrRef        state[IR_MAX_NODES]; /* nodes that ir_op_is_state(), in order */
    IrNode       node[IR_MAX_NODES];
};

/* What an operation is, from ops.h. */
typedef enum IrClass { IR_CLASS_PURE, IR_CLASS_CMP, IR_CLASS_WIDE, IR_CLASS_TYPED, IR_CLASS_OTHER } IrClass;

typedef struct IrOpInfo {
    const char *name;
    uint8_t args;
    uint8_t cls;   /* IrClass */
    bool    state; /* reads or writes guest registers, or may look at them */
} IrOpInfo;

extern const IrOpInfo ir_op_info[IR_ALL_OPS];
extern const uint16_t ir_type_info[IR_N_TYPES]; /* bits */

static inline IrClass  ir_op_class(unsigned op) { return (IrClass)ir_op_info[op].cls; }
static inline unsigned ir_op_args(unsigned op) { return ir_op_info[op].args; }
static inline bool     ir_op_is_state(unsigned op) { return ir_op_info[op].state; }
const char *ir_op_name(unsigned op);
const char *ir_type_name(IrType ty);

/* Bits of a type; 0 for VOID and FLAGS. */
static inline unsigned ir_type_bits(IrType ty) { return ir_type_info[ty]; }

static inline bool ir_type_is_int(IrType ty) { return ty >= IR_I8 && ty <= IR_I64; }
static inline bool ir_type_is_wide(IrType ty) { return ty >= IR_I128 && ty <= IR_V512; }

static inline bool ir_is_exit(unsigned op) { return op >= IR_exit_jump && op <= IR_exit_done; }

/* What running a node may do beyond making its value: IR_READS and so on. */
static inline unsigned ir_node_effects(const IrNode *n)
{
    switch (n->op) {
    case IR_load:
    case IR_store:
        return IR_FAULTS | IR_MEM;
    case IR_call:
    case IR_guard:
        return n->helper->effects;
    default:
        return IR_PURE;
    }
}

/* Whether a fault may leave the block at this node, so that guest registers must be up to date. */
static inline bool ir_may_leave(const IrNode *n)
{
    return (ir_node_effects(n) & (IR_FAULTS | IR_ENDS | IR_MEM)) != 0;
}

/* ir_eval - the meaning of a PURE, CMP or TYPED operation: operands zero-extended, @ty of the operands,
 * @result of the value. */
uint64_t ir_eval(unsigned op, IrType ty, IrType result, uint64_t a, uint64_t b, uint64_t c, uint64_t imm);

/* Packed FLAGS of a producer. */
uint32_t ir_eval_flags(IrFlagsKind kind, unsigned width, uint64_t a, uint64_t b, bool carry);

/* Whether a condition holds for packed FLAGS. */
bool ir_eval_cond(IrCond cond, uint32_t packed);

#endif
