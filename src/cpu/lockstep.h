/*
 * One side of a lockstep run: at the end of every cpu_run() it writes the CPU's state to a pipe, where lockstep.c
 * (the program's) compares it with what the other side wrote. Runs repeat to the instruction, so both sides come to the
 * same states, and a side that is started anew comes there again: a difference is narrowed down by runs in which the
 * cpu_run() that showed it is cut into pieces.
 */
#ifndef BAILEY_CPU_LOCKSTEP_H
#define BAILEY_CPU_LOCKSTEP_H

#include "cpu/cpu.h"

/* How closely to look. */
typedef struct LockstepPass {
    uint64_t run;          /* number, from 0, of the cpu_run() to cut; LOCKSTEP_WHOLE: none */
    uint64_t from, window; /* after @from instructions, and after every @window from there on, */
    uint64_t to;           /* up to these */
    bool     single;       /* from the start of that run, blocks hold one instruction: cuts are in no generated code */
    uint64_t trace_from, trace_to; /* instructions of that run to tell one by one; equal: none */
    uint64_t hash_from, hash_every; /* states of these runs, and of all pieces, have a hash of memory; 0: none has */
} LockstepPass;

#define LOCKSTEP_WHOLE UINT64_MAX
/* A status at the end beyond those of the program: a signal stopped the machine. */
#define LOCKSTEP_INTERRUPTED 1000

typedef enum LockstepKind {
    LOCKSTEP_NAMES, /* names of the values of all states that follow: text, a line each */
    LOCKSTEP_STATE, /* a run or a piece of it ended: uint64_t values */
    LOCKSTEP_TRACE, /* an instruction: text */
    LOCKSTEP_END,   /* the machine stopped: pairs of address and hash, for each page of memory that is not zero */
} LockstepKind;

/* The head of what a side writes; @len bytes follow. */
typedef struct LockstepRecord {
    uint32_t kind, cpu;
    uint32_t stop;    /* CpuStop; at the end the program's status */
    uint32_t party;   /* whether a modelled party owns the CPU now */
    uint64_t run, at; /* number of the cpu_run(), instructions executed in it */
    uint64_t insns;   /* by this CPU since its reset; at the end by all */
    uint64_t from_pc, pc;
    int64_t  now_ns;
    uint64_t len;
} LockstepRecord;

typedef struct Lockstep Lockstep;

/* lockstep_new - a side that writes to @fd. */
Lockstep *lockstep_new(int fd, const LockstepPass *pass);
void      lockstep_free(Lockstep *l);

/* Around every cpu_run(): how much of @budget to give it, and what became of it. Nothing when @l is NULL. */
uint64_t lockstep_before(Lockstep *l, Cpu *cpu, uint64_t budget);
void     lockstep_after(Lockstep *l, Cpu *cpu, CpuStop stop, uint64_t used, int64_t now_ns);

/* lockstep_end - the machine stopped with @status after @insns instructions. */
void lockstep_end(Lockstep *l, const Memory *memory, uint64_t insns, int status);

#endif
