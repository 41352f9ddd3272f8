/*
 * The x86-64 code generator as the engine sees it: blocks of IR become machine code behind the same CpuBlock that the
 * portable executor uses, and regions of hot blocks replace them.
 */
#ifndef BAILEY_CPU_JIT_JIT_H
#define BAILEY_CPU_JIT_JIT_H

#include "cpu/engine.h"

typedef struct Jit     Jit;
typedef struct JitExit JitExit;

/**
 * jit_new - a code cache of @size bytes.
 * Returns NULL, with a sentence in @why, when the host cannot run generated code.
 */
Jit *jit_new(CpuEngine *e, size_t size, char *why, size_t why_len);
void jit_free(Jit *j);

/* What to translate: guest code at @pc, with the key. */
typedef struct JitSource {
    uint64_t pc, key;
} JitSource;

/* jit_compile - machine code for one block of IR. As lower_block(). */
LowerResult jit_compile(Jit *j, const IrBlock *ir, const JitSource *s, Arena *arena, CpuBlock **out);

/* A part of a region: a block of IR that others of the region lead to. */
typedef struct JitPart {
    const IrBlock *ir;
    uint64_t       pc, key;
    bool           by_address; /* exits that know their address only at run time may lead here */
    bool           asks_key;   /* the key at its exit is not known; else it is: */
    uint64_t       exit_key;
    uint64_t       open;       /* bits of exit_key, not set there, that a register decides at the exit: a jump */
    uint64_t       body_key;   /* the key before its last instruction, which may change it for its target alone */
} JitPart;

/* jit_may_lead - whether a part may go on with @key. */
static inline bool jit_may_lead(const JitPart *p, uint64_t key)
{
    return !p->asks_key && (key & ~p->open) == p->exit_key;
}

/* jit_part - a part; what follows from @ir is filled in. */
JitPart jit_part(const CpuEngine *e, const IrBlock *ir, uint64_t pc, uint64_t key);

/* jit_compile_region - machine code for several blocks of one page; execution enters at the first, which is at @pa. */
LowerResult jit_compile_region(Jit *j, const JitPart *parts, unsigned n, uint64_t pa, Arena *arena, CpuBlock **out);

/* jit_settle - report the floating-point exceptions that generated code raised. */
void jit_settle(Cpu *cpu);

/* jit_run - run @b and what follows it. */
ExecExit jit_run(Jit *j, Cpu *cpu, CpuBlock *b, ExecLink *link);

/* jit_link - let an exit that @cpu followed lead to @to directly, when that holds as long as both live, or as long as
 * code can tell. */
void jit_link(Jit *j, Cpu *cpu, JitExit *exit, CpuBlock *to);

/* jit_kill - whoever enters @b comes back to the engine. jit_replace - whoever enters @b goes to @by instead. */
void jit_kill(Jit *j, CpuBlock *b);
void jit_replace(Jit *j, CpuBlock *b, CpuBlock *by);

/* jit_revive - @gone was entered by a link of its page, and @by is what runs there now: later ones go on to that. */
void jit_revive(Jit *j, CpuBlock *gone, CpuBlock *by);

/* jit_cool - start counting anew until the blocks at @pc, and those that share their counter, are hot: CpuEngine.hot
 * runs, counted per CPU, by the guest's execution alone. */
void jit_cool(Cpu *cpu, uint64_t pc);
/* jit_warm - few runs are left until they are. */
void jit_warm(Cpu *cpu, uint64_t pc);

/* jit_reset - all code is gone. */
void jit_reset(Jit *j);

/* jit_code_bytes - how much there is. */
size_t jit_code_bytes(const Jit *j);

/**
 * jit_perf_map_open - from now on tell perf the names of code.
 * Returns false, with a sentence in @why, when the file cannot be written.
 */
bool jit_perf_map_open(Jit *j, char *why, size_t why_len);

/* jit_perf_map - @b is new, with its pc. Nothing when no map is open. */
void jit_perf_map(const Jit *j, const CpuBlock *b);

/* jit_print - the machine code of a block, disassembled. */
void jit_print(const Jit *j, const CpuBlock *b, FILE *out);

#endif
