/*
 * The portable executor: what lowering makes of a block and how it is run. An operation names its operands by
 * byte offset from the Cpu, where guest registers and temporaries both are. Hosts are little-endian: a 32-bit
 * operand is the first four bytes of its 64-bit place.
 */
#ifndef BAILEY_IR_EXEC_H
#define BAILEY_IR_EXEC_H

#include "cpu/ir/ir.h"

typedef struct Cpu      Cpu;
typedef struct CpuBlock CpuBlock;

typedef struct XOp {
    union {
        const void *go;   /* where the executor continues */
        uintptr_t   code; /* XCode, before exec_bind() */
    };
    uint16_t d, a, b, c;
    union {
        uint64_t      imm;
        struct XExit *exit;
        struct XCall *call;
    };
} XOp;

/* A direct exit of a block. */
typedef struct XExit {
    CpuBlock *to[2];     /* linked successor; NULL: look it up */
    uint64_t  pc[2];     /* taken (or only), not taken */
    uint64_t  imm;       /* second operand of the comparison */
    bool      ask_key;   /* the block may have changed the key */
    bool      state;     /* only through the run loop */
} XExit;

typedef struct XCall {
    const IrHelper *helper;
    uint64_t        imm;
    uint64_t        value[3]; /* arguments that are constants */
    uint64_t        mask;     /* of the result's type */
} XCall;

/* Bump allocation; emptied as a whole. */
typedef struct Arena {
    uint8_t *base;
    size_t   size, used;
} Arena;

/* NULL when full. */
void *arena_alloc(Arena *a, size_t size);

/* arena_trim - what was allocated last, @p, needs @size bytes only. */
void arena_trim(Arena *a, const void *p, size_t size);

typedef enum XCode {
#define X(name) X_##name,
#include "cpu/ir/exec_ops.h"
#undef X
    X_N_CODES
} XCode;

typedef enum LowerResult { LOWER_OK, LOWER_FULL, LOWER_TOO_COMPLEX } LowerResult;

/**
 * lower_block - make operations from IR.
 * @arena: where the block goes; as it was when the result is not LOWER_OK
 * @out:   pc, key, pa, limit and links are the caller's to fill
 * Returns LOWER_TOO_COMPLEX when it needs more temporaries or operations than there are: try fewer
 * instructions.
 */
LowerResult lower_block(const IrBlock *ir, Arena *arena, CpuBlock **out);

/* exec_bind - turn codes into addresses; exec_code_of - back. */
void  exec_bind(XOp *op, size_t n);
XCode exec_code_of(const XOp *op);

struct CpuGuest;
/* exec_print - one line for each operation; d, a, b and c are places as far as the operation uses them. */
void exec_print(const struct CpuGuest *g, const CpuBlock *b, FILE *out);

/* Why the executor came back. */
typedef enum ExecExit {
    EXEC_LEFT,  /* cpu->left does not cover the next block; its pc is set */
    EXEC_FIND,  /* next block unknown; its pc is set. Came from cpu->block, by exit @link if not NULL */
    EXEC_STATE, /* through the run loop; pc is set */
    EXEC_FAULT, /* an exception was raised, or run->unwind; cpu->op or cpu->site is where */
    EXEC_HOT,   /* generated code: the next block has run often; its pc is set */
    /* generated code only, inside jit/ */
    EXEC_DONE,  /* as EXEC_STATE, a helper has set the pc */
    EXEC_LINK,  /* as EXEC_FIND, by the exit that exit_at tells */
    EXEC_FAR,   /* as EXEC_FIND, by the exit that exit_at points to */
    EXEC_GONE,  /* the block that exit_at tells was dropped */
    EXEC_WIDE,  /* that region was accounted for but not entered: it expects zeroes where there are none */
    EXEC_ENTRY, /* that block was accounted for but not entered: there is no time for it, or it is hot */
} ExecExit;

typedef struct ExecLink {
    XExit          *exit;
    unsigned        which;
    struct JitExit *jit;
    CpuBlock       *gone; /* generated code: the block that was entered, but had been dropped */
} ExecLink;

/* exec_may_link - whether an exit may lead to a block directly. Both lie in one page: such a link holds as
 * long as both blocks live, whatever is mapped where. */
bool exec_may_link(const CpuBlock *from, const CpuBlock *to);

/* exec_run - run @b and what follows it. */
ExecExit exec_run(Cpu *cpu, CpuBlock *b, ExecLink *link);

#endif
