/*
 * The engine behind every guest architecture: translation contexts (TLBs), the cache of translated blocks,
 * and the loop that runs a CPU for a slice of counted time. A front end embeds Cpu as the first member of its
 * own CPU structure and supplies a CpuGuest.
 */
#ifndef BAILEY_CPU_H
#define BAILEY_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "clock.h"
#include "cpu/ir/ir.h"
#include "memory.h"

typedef struct Cpu       Cpu;
typedef struct CpuEngine CpuEngine; /* block cache and code memory, one per machine */
typedef struct CpuTlb    CpuTlb;    /* one translation context's table */

typedef enum CpuAccess { CPU_READ, CPU_WRITE, CPU_FETCH } CpuAccess;

/* What a front end answers for one virtual page. */
typedef struct CpuFill {
    uint64_t pa;         /* of the accessed byte */
    Pas      pas;
    uint64_t page_size;  /* of the mapping, 4 KiB and up: what one invalidation by address must drop */
    bool     readable, writable; /* for CPU_READ and CPU_WRITE: what later accesses may do unasked */
    bool     device;     /* device memory type: unaligned accesses fault */
    bool     slow;       /* never cached as a fast entry: watchpoints, not-tracked dirty state */
    bool     fetch_guarded; /* CPU_FETCH: BTI guarded page; reaches translate() as a flag */
} CpuFill;

/* Why cpu_run() came back. */
typedef enum CpuStop {
    CPU_STOP_TIME,    /* the budget is used up to the instruction */
    CPU_STOP_WAIT,    /* waits for an interrupt or event */
    CPU_STOP_PARTY,   /* a modelled party took over (firmware, built-in host): guest code does not run now */
    CPU_STOP_BREAK,   /* breakpoint, watchpoint or single step of the debugger */
    CPU_STOP_REQUEST, /* cpu_request_stop() */
} CpuStop;

/* Exceptions of IEEE 754. */
enum {
    CPU_FP_INVALID = 1,
    CPU_FP_DIVISION_BY_ZERO = 2,
    CPU_FP_OVERFLOW = 4,
    CPU_FP_UNDERFLOW = 8,
    CPU_FP_INEXACT = 16,
};

/* A bit of the block key that is set while a register (I32) has one of the bits in @mask. */
typedef struct CpuKeyBit {
    unsigned reg;
    uint32_t mask;
    uint64_t bit;
} CpuKeyBit;

/* One guest architecture. */
typedef struct CpuGuest {
    const char  *name;
    const IrReg *regs;
    size_t       n_regs;
    unsigned     insn_bytes; /* of the longest instruction */

    /* The program counter and everything else that changes the meaning of code at an address, packed. Two
     * blocks with equal pc, physical address, key and kind of page (guarded) are the same block. */
    uint64_t (*pc)(const Cpu *cpu);
    uint64_t (*key)(const Cpu *cpu);
    void     (*set_pc)(Cpu *cpu, uint64_t pc);

    /**
     * translate - emit at most @max_insns instructions from @code.
     * @code:  guest memory at @pc up to the end of its page, @len bytes
     * @flags: bit 0: guarded page
     */
    void (*translate)(Cpu *cpu, IrBlock *b, uint64_t pc, uint64_t key, const uint8_t *code, size_t len,
                      unsigned max_insns, unsigned flags);

    /**
     * fill - translate one address; permission, owner (owners_fill) and attribute checks included.
     * @space: IrMem.space for data; 0 for fetches
     * Returns false after raising the architected exception (state is then at the exception's entry).
     */
    bool (*fill)(Cpu *cpu, uint64_t va, unsigned size, CpuAccess access, unsigned space, CpuFill *out);

    /* Raise the exceptions the engine finds: an alignment fault, and an access that nothing answered or a
     * device refused (external abort). */
    void (*unaligned)(Cpu *cpu, uint64_t va, CpuAccess access);
    void (*bus_error)(Cpu *cpu, uint64_t va, uint64_t pa, CpuAccess access, MemResult why);

    /* Of *@key, the key after a register that is part of it was set to @value. False: ask key(). May be NULL. */
    bool (*key_after)(uint64_t *key, unsigned reg, uint64_t value);

    /* All that other registers decide of the key, when a block may write them with any value. */
    const CpuKeyBit *key_bits;
    size_t           n_key_bits;

    /* Floating-point exceptions (CPU_FP_*) that operations made inline raised since the last call. NULL: the front end
     * uses none. */
    void (*fp_raised)(Cpu *cpu, unsigned raised);

    /* The register (I32, no part of the key) in which helpers whose IrInline is SATURATING note it, and the bits that
     * they set there; no bits: such helpers are never made inline. */
    unsigned sticky_reg;
    uint32_t sticky_bits;
    uint32_t invalid_bits; /* those in it that fp_raised() sets for CPU_FP_INVALID */

    /* Called between blocks when cpu->attention is set and before the first block of a run: takes a pending
     * interrupt when it is not masked. Returns false when the CPU waits. */
    bool (*attend)(Cpu *cpu);

    /* Disassembly for traces, from the front end's pattern table. */
    void (*disassemble)(uint64_t pc, const uint8_t *code, char *dst, size_t cap);

    /* Names and values of state that @regs does not have, always the same names; for comparing runs. May be NULL. */
    void (*other_state)(const Cpu *cpu, void (*fn)(void *opaque, const char *name, uint64_t value), void *opaque);
} CpuGuest;

enum { CPU_SPACES = 2, CPU_TEMPS = 512, CPU_HEAT = 4096, CPU_CONSTANTS = 512 };

/* Storage of one temporary of a block; wider values take several. */
typedef struct CpuTemp {
    uint64_t q[2];
} __attribute__((aligned(16))) CpuTemp;

/* The host's registers while generated code calls C. */
typedef struct CpuSaved {
    uint64_t gpr[16];
    uint8_t  xmm[16][16] __attribute__((aligned(16)));
} CpuSaved;

/* For an access across pages: the last bytes of one and the first of the next, and where the host has the two. */
enum { CPU_ACROSS = 32 };
typedef struct CpuAcross {
    uint8_t  bytes[2][CPU_ACROSS] __attribute__((aligned(16)));
    uint8_t *page[2];
} CpuAcross;

/*
 * Who observes guest code. What is NULL costs nothing: hooks are translated with the code. All are called in the order
 * of the architecture, at the same places whatever runs the code; the guest's registers and cpu_insns() are then those
 * before the instruction. A hook may look at anything and must change nothing.
 */
typedef struct CpuHooks {
    void *opaque;
    /* A straight run of code begins: at a branch's target, behind a branch that was not taken, behind an instruction
     * that changes what the engine assumed, at the start of a page, at an exception's vector or return. */
    void (*block)(void *opaque, Cpu *cpu, uint64_t pc);
    /* An instruction is about to be executed; it may still raise an exception, and come again later. @code: its bytes,
     * little-endian, up to 8. */
    void (*insn)(void *opaque, Cpu *cpu, uint64_t pc, uint64_t code);
    /* The current instruction has accessed data. A store that only may happen (an atomic's) counts. */
    void (*access)(void *opaque, Cpu *cpu, uint64_t va, unsigned size, bool store);
    /* An exception is about to be taken; @exception: as the front end describes one. */
    void (*exception)(void *opaque, Cpu *cpu, const void *exception);
} CpuHooks;

/*
 * First member of a front end's CPU structure. What generated code uses most is at its end, the guest's registers that
 * are used most should follow: CPU_NEAR bytes can be named by a displacement of one byte.
 */
struct Cpu {
    const CpuGuest *guest;
    CpuEngine *engine;
    Memory   *memory;
    Clock    *clock;
    unsigned  index;
    bool      party;       /* a C model owns this CPU: cpu_run() returns CPU_STOP_PARTY */
    bool      waiting;     /* WFI or WFE without a wake-up */
    bool      stop;        /* cpu_request_stop() */
    uint64_t  n_insns;     /* executed since reset, exact only outside cpu_run(); see cpu_insns() */
    const CpuHooks *hooks; /* NULL: nobody observes */
    struct CpuRun *run;    /* engine's own per-CPU state */
    union {
        CpuSaved  saved;
        CpuAcross across;  /* generated code: while it does not call C */
    };
    uint32_t  constants_version; /* of the generator's constants: those that follow are a copy */
    CpuTemp   constant[CPU_CONSTANTS]; /* what generated code reads as operands in memory */
    uint32_t  heat[CPU_HEAT]; /* generated code: runs until the blocks of a slot count as hot */
    CpuTemp   temp[CPU_TEMPS]; /* of the block that runs; temp[0] is always zero */
    /* --- hot state --- */
    uint32_t  attention;   /* non-zero: leave the block loop and ask guest->attend() */
    CpuTlb   *tlb[CPU_SPACES]; /* current contexts */
    struct CpuBlock *block; /* that runs, NULL between blocks */
    const void *op;        /* of the block: the operation that called out last */
    const struct CpuSite *site; /* generated code: where it called C; NULL elsewhere */
    uint64_t  next_pc;     /* generated code: where it wants to go on */
    const void *exit_at;   /* generated code: where the call by which it left would return */
    uint64_t  flags_b, flags_a; /* generated code: copies of what the flags register follows from */
    uint32_t  flags_how;   /* generated code: how it follows from those or others (JitHow); 0: it is written */
    bool      fault;       /* a helper or access raised an exception: the block is left */
    uint8_t   fp_used;     /* generated code: the host's exception flags collect what floating point raises */
    int64_t   left;        /* instructions until the engine must look up: end of slice, deadline, attention */
};

/* Bytes from flags_b on. */
enum { CPU_NEAR = 256 };

_Static_assert(offsetof(struct Cpu, flags_b) + 32 == sizeof(struct Cpu), "nothing is wasted of what is near");

/* How guest code runs. AUTO: machine code where the host can run it, else the portable executor. */
typedef enum CpuAccel { CPU_ACCEL_AUTO, CPU_ACCEL_INTERP, CPU_ACCEL_JIT } CpuAccel;

enum { CPU_CACHE_MIN = 1 << 20, CPU_CACHE_DEFAULT = 128 << 20, CPU_CACHE_MAX = 1 << 30 };

/* A region takes as long to make as it saves in ten thousand runs or so. But most blocks that run as often do not go on
 * for long, and blocks share counters. */
enum { CPU_HOT_DEFAULT = 32000 };

typedef struct CpuConfig {
    CpuAccel accel;
    bool     perf_map;   /* tell perf the names of machine code */
    size_t   cache_size; /* bytes of machine code, CPU_CACHE_MIN to CPU_CACHE_MAX; what describes it takes memory in
                            proportion. 0: CPU_CACHE_DEFAULT */
    unsigned hot;        /* runs of a block until a region is made of it; 0: CPU_HOT_DEFAULT. What a guest sees does not
                            depend on it */
} CpuConfig;

/**
 * cpu_engine_new - an engine whose CPUs access @memory.
 * Returns NULL, with a sentence in @error, when this host cannot do what @config asks for.
 */
CpuEngine *cpu_engine_new(Memory *memory, Owners *owners, const CpuConfig *config, GError **error);
void       cpu_engine_free(CpuEngine *e);

/* cpu_engine_accel - what guest code runs by: CPU_ACCEL_INTERP or CPU_ACCEL_JIT. */
CpuAccel cpu_engine_accel(const CpuEngine *e);

/* cpu_init - join a CPU (zeroed by the caller) to an engine; cpu_deinit undoes it. */
void cpu_init(Cpu *cpu, CpuEngine *e, const CpuGuest *guest, Memory *memory, Clock *clock, unsigned index);
void cpu_deinit(Cpu *cpu);

/**
 * cpu_run - run for at most @budget instructions from time @start_ns.
 * @used: instructions executed, exact
 * Stops early as CpuStop says. An instruction that raises an exception counts as one.
 */
CpuStop cpu_run(Cpu *cpu, int64_t start_ns, uint64_t budget, uint64_t *used);

/* cpu_follow_clock - time is what the clock says during a run, too. Budgets and deadlines are approximate then: a run
 * ends with a block, before what was asked or after. */
void cpu_follow_clock(Cpu *cpu, bool follow);

/* Exact in the middle of a block, for helpers with IR_TIME and device accesses. */
int64_t  cpu_now(const Cpu *cpu);
uint64_t cpu_insns(const Cpu *cpu);

/* The pc of the instruction that runs now (in a helper with IR_TIME or IR_FAULTS, or in fill()). */
uint64_t cpu_current_pc(const Cpu *cpu);

/* The CPU looks at interrupts before its next instruction (from a helper: after this instruction). */
void cpu_attend(Cpu *cpu);

/* cpu_settle - CpuGuest.fp_raised() has been called for everything that was raised so far: for whoever looks at the
 * guest's state from within a helper. */
void cpu_settle(Cpu *cpu);

/* cpu_run() returns CPU_STOP_REQUEST before the next instruction. */
void cpu_request_stop(Cpu *cpu);

/* The slice ends earlier or later: deadline at @deadline_ns absolute (clock's recut). */
void cpu_set_deadline(Cpu *cpu, int64_t deadline_ns);

/* ---- guest memory for helpers, gdb and tests: the full path with faults (false: exception raised) ---- */
bool cpu_load(Cpu *cpu, uint64_t va, IrMem mem, uint64_t value[2]);
bool cpu_store(Cpu *cpu, uint64_t va, IrMem mem, const uint64_t value[2]);

/* cpu_is_mapped - an access to @va in space 0 is known not to fault. False: nothing is known. */
bool cpu_is_mapped(const Cpu *cpu, uint64_t va, CpuAccess access);

/* ---- translation contexts ---- */

/**
 * cpu_select_context - make the context with @tag current for a space.
 * @tag: whatever distinguishes translations: regime, exception level, VMID, ASID, security state; chosen by
 *       the front end, which matches on it to invalidate A bounded number of contexts is kept; the least
 *       recently selected is emptied and reused.
 */
void cpu_select_context(Cpu *cpu, unsigned space, uint64_t tag);

/* cpu_flush_contexts - empty every context for which @match is true; NULL matches all. */
void cpu_flush_contexts(Cpu *cpu, bool (*match)(uint64_t tag, const void *opaque), const void *opaque);

/* cpu_flush_va - in matching contexts drop [@va, @va + @len), with the whole of each larger mapping it
 * touches. */
void cpu_flush_va(Cpu *cpu, bool (*match)(uint64_t tag, const void *opaque), const void *opaque, uint64_t va,
                  uint64_t len);

/* cpu_flush_code - forget all translated code (a context's breakpoints changed). */
void cpu_flush_code(CpuEngine *e);

/* ---- debugger ---- */

/* Breakpoints on virtual addresses; the engine stops before the instruction with CPU_STOP_BREAK. */
void cpu_break_insert(CpuEngine *e, uint64_t va);
void cpu_break_remove(CpuEngine *e, uint64_t va);

/* Accesses to data that stop a CPU; a store that only may happen (an atomic's) counts. */
enum { CPU_WATCH_READ = 1, CPU_WATCH_WRITE = 2 };

/* @len bytes from @va; a tag in the top byte of addresses does not matter. */
typedef struct CpuWatch {
    uint64_t va, len;
    unsigned access; /* CPU_WATCH_* */
} CpuWatch;

/* Watchpoints. The engine stops before the instruction with CPU_STOP_BREAK. Inserted once, removed once. */
void cpu_watch_insert(CpuEngine *e, const CpuWatch *w);
void cpu_watch_remove(CpuEngine *e, const CpuWatch *w);

/* cpu_watch_hit - whether the last run stopped at a watchpoint: which, with .va the first byte accessed of it. */
bool cpu_watch_hit(const Cpu *cpu, CpuWatch *hit);

/* cpu_engine_set_hooks - who observes from now on; NULL: nobody. Not while a CPU runs. @hooks stays the caller's. */
void cpu_engine_set_hooks(CpuEngine *e, const CpuHooks *hooks);

/* The code of a block. */
typedef struct CpuBlockCode {
    uint64_t pc, pa, key; /* what makes it this block */
    bool     guarded;     /* likewise */
    const uint8_t *code;  /* the guest's memory, up to the end of the page: */
    unsigned room;        /* bytes */
} CpuBlockCode;

/* cpu_block_code - for CpuHooks.block: of the block that begins. False: not there any more. */
bool cpu_block_code(Cpu *cpu, CpuBlockCode *out);

/* cpu_block_insns - how many instructions such a block has: up to the one that ends it or the end of its page, at most
 * IR_MAX_INSNS. That takes as long as to translate it. */
unsigned cpu_block_insns(Cpu *cpu, const CpuBlockCode *b);

/* cpu_step - run exactly one instruction, ignoring a breakpoint on it. At a watchpoint it stops without. */
CpuStop cpu_step(Cpu *cpu, int64_t start_ns, uint64_t *used);

/* cpu_engine_set_max_block - at most @n instructions in a block (1 to 256). For tests: what a guest sees
 * does not depend on it. */
void cpu_engine_set_max_block(CpuEngine *e, unsigned n);

/* Counts for -result and benchmarks. */
typedef struct CpuEngineStats {
    uint64_t blocks, translated_insns, lookups, fills, flushes;
    uint64_t regions;    /* made of hot blocks */
    uint64_t entries;    /* from the run loop into translated code: each is an exit to it as well */
    uint64_t code_bytes; /* of machine code since the cache was last emptied */
} CpuEngineStats;
void cpu_engine_stats(const CpuEngine *e, CpuEngineStats *out);

#endif
