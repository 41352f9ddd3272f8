/*
 * What the parts of the engine share: translation contexts, translated blocks, and the state of a running
 * CPU. Front ends and machines include cpu.h only.
 */
#ifndef BAILEY_CPU_ENGINE_H
#define BAILEY_CPU_ENGINE_H

#include <glib.h>

#include "bits.h"
#include "cpu/cpu.h"
#include "cpu/ir/exec.h"

enum {
    CPU_REGION_PARTS = 32,   /* blocks that become one region, at most */

    PAGE_BITS = 12,
    PAGE_SIZE = 1 << PAGE_BITS,

    TLB_ENTRIES = 8192,   /* of each of the read and write tables */
    JUMP_ENTRIES = 65536, /* slots of the jump cache, by pc / 4 */
    SLOW_ENTRIES = 64,
    FETCH_ENTRIES = 4096,
    MAPPINGS = 4096,
    LARGE_ENTRIES = 2048, /* of which half are used */
    HOLDERS = 16384,
    OTHERS = 16384,
    CONTEXTS = 16,
    PAGE_SLOTS = 256,
    SPAN_BITS = 25,
    SPANS = 64,

    PAGE_JUMPS = PAGE_SIZE / 4,           /* slots that the instructions of one page take, for one key */
    JUMP_GROUPS = JUMP_ENTRIES / PAGE_JUMPS,    /* of such slots */
    JUMP_SHIFT_BITS = 3,                  /* keys move the slots of an instruction by less than 1 << that */
    TOUCHED = 2048, /* slots that are remembered one by one */
    HUGE_PAGE = 2 << 20, /* of the host */
};

#define PAGE_MASK (~(uint64_t)(PAGE_SIZE - 1))

/* ---- translation contexts (tlb.c) ---- */

/*
 * One page that accesses may reach directly: host address = va + addend. A tag T hits for va in [T, T +
 * 4095], tested by va - T <= 4096 - size, which also refuses page crossing. An empty entry holds a tag of
 * another index: 0 everywhere, 0x1000 in entry 0. The addend, which a load's address waits for, is first: generated
 * code finds that of the read table without a displacement.
 */
typedef struct TlbEntry {
    uintptr_t addend;
    uint64_t  tag;
} TlbEntry;

/*
 * What some entries of the read table, or of the write table, say of pages that follow one another there and in the
 * host's memory, for generated code that keeps using them. As a slot: va hits when va - tag < limit, which is the bytes
 * of the pages plus 1 minus those of the access, or 0 for none. As a span: limit is the bytes. Neither says anything
 * that the tables do not say: whatever takes an entry out of them empties all slots and spans.
 */
typedef struct PageSlot {
    uintptr_t addend;
    uint64_t  tag;
    uint64_t  limit;
    uint64_t  spare; /* for an address by shifts */
} PageSlot;

/* A page that was translated but whose accesses are not direct: device registers, device memory type, code
 * pages. Also serves pages whose fast entry is of the other kind of access. */
typedef struct SlowEntry {
    uint64_t page; /* virtual; 1: empty */
    uint64_t pa;   /* of the page */
    uint8_t *host; /* likewise, if it is RAM; else NULL */
    Pas      pas;
    bool     readable, writable, device;
} SlowEntry;

typedef struct FetchEntry {
    uint64_t page; /* virtual; 1: empty */
    uint64_t pa;
    bool     guarded;
} FetchEntry;

/*
 * What a fetch entry says, in one number that never means anything else: generated code that asks for it goes on to
 * another page without looking for the block there. Mappings get one when such code is made.
 */
typedef struct Mapping {
    uint64_t page, pa;
    bool     guarded;
    uint32_t number; /* 0: none */
} Mapping;

/* Slots of a table that are not empty, so that emptying it takes no longer than filling it did. */
typedef struct Touched {
    unsigned n;      /* TOUCHED + 1: any */
    uint32_t slot[TOUCHED];
} Touched;

/*
 * Where execution goes on at @pc with @key: all that generated code must know is in one line of the host's cache. An
 * empty entry is zero, which its own index contradicts; in entry 0 pc is not.
 */
typedef struct JumpEntry {
    uint64_t    pc, key;
    const void *code;  /* of the block when it was entered here; what became of that block since, the code knows */
    CpuBlock   *block; /* NULL: empty */
} __attribute__((aligned(32))) JumpEntry;

struct CpuTlb {
    TlbEntry   read[TLB_ENTRIES];
    TlbEntry   write[TLB_ENTRIES];
    PageSlot   slot[PAGE_SLOTS];
    PageSlot   read_span[SPANS], write_span[SPANS]; /* by address, in units of 1 << SPAN_BITS that they do not leave */
    JumpEntry  jump[JUMP_ENTRIES + (1 << JUMP_SHIFT_BITS)];
    SlowEntry  slow[SLOW_ENTRIES];
    FetchEntry fetch[FETCH_ENTRIES];
    uint32_t   fetched[FETCH_ENTRIES]; /* numbers of the mappings in fetch, as far as they have one; else 0 */
    uint16_t   holder[HOLDERS]; /* by the host's page: 1 plus the slot of both that may lead there; HOLDER_* */
    uint64_t   others[OTHERS / 64]; /* a bit for every physical page that slow or fetch may lead to, by a hash */
    Touched    data_touched, jump_touched, fetch_touched; /* the first: of read and write */
    uint64_t   jump_pages[JUMP_GROUPS][16]; /* a bit for every page with a slot in that group, by a hash */
    uint64_t   large[LARGE_ENTRIES]; /* mappings above 4 KiB of entries, by a hash: address | log2 of size */
    uint64_t   large_sizes;  /* bits: log2 of sizes there */
    unsigned   n_large;      /* slots that are not 0 */
    uint32_t   losses;       /* times that something was taken out of read or write */
    bool       slow_used, slots_used;
    bool       slots_beside; /* some lead beside code: entries of the tables say nothing of those */
    bool       huge;         /* the kernel was asked for huge pages */
    bool       started;      /* false: all is zero, not empty */
} __attribute__((aligned(HUGE_PAGE)));

/* Generated code that is not linked asks for the number after it, which no mapping gets. */
enum { MAPPING_LAST = INT32_MAX - 1 };

/* Of CpuTlb.holder: no slot leads there; any may. */
enum { HOLDER_NONE = 0, HOLDER_ANY = UINT16_MAX };

static inline TlbEntry *tlb_slot(TlbEntry *table, uint64_t va)
{
    return &table[va >> PAGE_BITS & (TLB_ENTRIES - 1)];
}

/* By how much a key moves the slots of all instructions: code that is run with several has several. */
static inline unsigned jump_shift(uint64_t key)
{
    return (uint32_t)key * 0x9e3779b1u >> (32 - JUMP_SHIFT_BITS);
}

static inline size_t jump_index(uint64_t pc, uint64_t key)
{
    return (pc >> 2 & (JUMP_ENTRIES - 1)) + jump_shift(key);
}

static inline JumpEntry *jump_slot(CpuTlb *t, uint64_t pc, uint64_t key) { return &t->jump[jump_index(pc, key)]; }

/* jump_find - the block for @pc and @key that the context knows; NULL: it knows none. */
static inline CpuBlock *jump_find(CpuTlb *t, uint64_t pc, uint64_t key)
{
    const JumpEntry *e = jump_slot(t, pc, key);

    return e->pc == pc && e->key == key ? e->block : NULL;
}

static inline void touch(Touched *t, size_t slot)
{
    if (t->n < TOUCHED) {
        t->slot[t->n++] = (uint32_t)slot;
    } else {
        t->n = TOUCHED + 1;
    }
}

/* The bit of jump_pages for a page, in its group. */
static inline unsigned jump_page_bit(uint64_t pc)
{
    return (unsigned)((pc << 8 >> (8 + PAGE_BITS)) * 0x9e3779b97f4a7c15ull >> 54); /* but for a tag in the top byte */
}

/* jump_set - @b is at its pc and key. */
void jump_set(CpuTlb *t, CpuBlock *b);

void tlb_init(Cpu *cpu);

/* tlb_widen - make the span of as many pages as can be around the page of entry @index. Whether there are more than
 * before. */
bool tlb_widen(CpuTlb *t, bool write, size_t index);

/* Address tags in the top byte name the same page. */
#define ADDRESS_MASK 0x00ffffffffffffffull

/* tlb_fill - remember a translation for data; the fast tables take it when it may be accessed directly. */
void tlb_fill(Cpu *cpu, unsigned space, uint64_t va, const CpuFill *f);
SlowEntry *tlb_find_slow(CpuTlb *t, uint64_t va);

FetchEntry *tlb_find_fetch(CpuTlb *t, uint64_t va);
FetchEntry *tlb_fill_fetch(CpuEngine *e, CpuTlb *t, uint64_t va, const CpuFill *f);

static inline unsigned fetch_slot(uint64_t va) { return va >> PAGE_BITS & (FETCH_ENTRIES - 1); }

/* tlb_number_fetch - the number that CpuTlb.fetched has for @f while it stays. 0: there are no more. */
uint32_t tlb_number_fetch(CpuEngine *e, CpuTlb *t, const FetchEntry *f);

/* tlb_flush_pa - drop what leads to physical pages; in every context of a CPU. */
void tlb_flush_pa(Cpu *cpu, uint64_t pa, uint64_t len);

/* tlb_write_protect - no fast store may reach a page any more. */
void tlb_write_protect(Cpu *cpu, const uint8_t *host_page);

/* tlb_forget_beside - no store may be direct any more in a page where code is. */
void tlb_forget_beside(Cpu *cpu);

/* tlb_forget_code - empty all jump caches. */
void tlb_forget_code(Cpu *cpu);

/* ---- watchpoints (watch.c) ---- */

/* watch_in_page - whether any watchpoint touches the page at @va: its accesses must all be slow ones. */
bool watch_in_page(const CpuEngine *e, uint64_t va);

/* watch_stops - an access of @size bytes at @va, CPU_WATCH_READ, CPU_WATCH_WRITE or both, is about to be done. True: a
 * watchpoint is there, the block must be left. */
bool watch_stops(Cpu *cpu, uint64_t va, unsigned size, unsigned access);

/* ---- hooks (hook.c) ---- */

/* Around the translation of code in @page into e->ir: the calls that observers want go into it. */
void hook_begin_block(CpuEngine *e, const CpuGuest *guest, const uint8_t *page);
void hook_end_block(CpuEngine *e, uint64_t end_pc);

/* ---- accesses (access.c) ---- */

/* The whole path of an access whose fast test failed. @value: 16 bytes. False: the block must be left. */
bool cpu_load_slow(Cpu *cpu, uint64_t va, IrMem mem, void *value);
bool cpu_store_slow(Cpu *cpu, uint64_t va, IrMem mem, const void *value);

/* cpu_beside_code - where in the host's memory a store goes that does nothing but that: in a page with code, but not
 * into any. It counts as done. NULL: cpu_store_slow() knows. */
uint8_t *cpu_beside_code(Cpu *cpu, uint64_t va, IrMem mem, unsigned size);

/* cpu_slot_beside_code - makes a slot for accesses of up to @bytes to what lies around such a store, between code. */
void cpu_slot_beside_code(Cpu *cpu, uint64_t va, unsigned bytes, PageSlot *s);

/* ---- blocks (code.c) ---- */

/* An instruction that calls C, with what the engine must know of its place. */
typedef struct CpuSite {
    uint64_t  pc;
    CpuBlock *block;
    uint32_t  after; /* instructions accounted for that are not done yet, this one included */
} CpuSite;

struct CpuBlock {
    uint64_t  pc, key;
    const void *code;  /* generated code; NULL: the operations below */
    struct JitCode *jit;
    uint64_t  pa;      /* of the first byte */
    uint32_t  n;       /* instructions */
    uint32_t  n_ops;
    bool      dead;    /* dropped; memory stays until the arena is reset */
    bool      once;    /* not in the cache */
    bool      region;  /* generated from several blocks */
    bool      guarded; /* made as code of a guarded page */
    uint16_t  from, to; /* the part of its page that it was made from, with gaps if it is a region */
    CpuBlock *next_hash, *next_page;
    uint16_t *first_op; /* of each instruction */
    uint32_t *pc_delta; /* of each instruction, from pc */
    XOp       op[];
};

enum { BLOCK_BITS = 18, BLOCK_BUCKETS = 1 << BLOCK_BITS };

/* Code that is stored to, by physical address. */
typedef struct CodePatch {
    uint64_t pa;
    unsigned n; /* times so far */
} CodePatch;

struct CpuEngine {
    Memory     *memory;
    Owners     *owners;
    GPtrArray  *cpus;       /* Cpu * */
    size_t      cache_size; /* of machine code; the arena is in proportion */
    Arena       arena;
    Arena       once_arena; /* of the last code_once() */
    CpuBlock  **buckets;
    GHashTable *pages;      /* number of a physical page -> CodePage * */
    struct CodePage *last_page; /* that was looked for; may be NULL */
    GHashTable *splits;     /* physical addresses of instructions that must end or begin their block -> CodeSplit */
    uint64_t    split_pages[64]; /* a bit for every page with such, by a hash */
    Mapping     mapping[MAPPINGS]; /* by a hash: that they are forgotten costs no more than new numbers */
    uint32_t    n_mappings;  /* numbers that were given out */
    CodePatch   patch[16];  /* by a hash */
    CodePatch  *last_patch;
    uint64_t    patched_to; /* where the last one ended */
    bool        reset_wanted; /* the arena is to be emptied before the next translation */
    unsigned    resets;
    unsigned    max_block;
    unsigned    hot;        /* runs that make a block hot */
    IrBlock    *ir;
    IrBlock    *region_ir[CPU_REGION_PARTS]; /* of the parts of the region being formed */
    struct Jit *jit;         /* NULL: the portable executor runs everything */
    const CpuHooks *hooks;   /* NULL: nobody observes */
    IrHooks     ir_hooks;
    IrBlock    *hook_ir;     /* for cpu_block_insns(); NULL before */
    const uint8_t *hook_page; /* that is being translated */
    unsigned    hook_insn_bytes;
    GArray     *breakpoints; /* uint64_t */
    GArray     *watchpoints; /* CpuWatch */
    CpuEngineStats stats;
};

bool code_is_breakpoint(const CpuEngine *e, uint64_t va);

void code_init(CpuEngine *e);
void code_deinit(CpuEngine *e);

/* code_find - the block for @pc, translated if need be; the jump cache knows it then. NULL: the fetch
 * raised an exception. */
CpuBlock *code_find(Cpu *cpu, uint64_t pc, uint64_t key);

/* code_promote - the block at @pc has run often: it and what it leads to become a region. */
void code_promote(Cpu *cpu, uint64_t pc, uint64_t key);

/* code_demote - the region @b is to be generated anew, soon. It may be running. */
void code_demote(Cpu *cpu, CpuBlock *b);

/* code_once - a block of at most @limit instructions that is not kept; valid until the next call. */
CpuBlock *code_once(Cpu *cpu, uint64_t pc, uint64_t key, unsigned limit);

/* code_split - from now on blocks end after the instruction at @pc of @b; forgets @b. */
void code_split(CpuEngine *e, CpuBlock *b, uint64_t pc);

/* code_is_patched - what begins at @pa changes often. */
bool code_is_patched(const CpuEngine *e, uint64_t pa);

/* code_written - RAM of [@pa, @pa + @len) changed: drops the blocks that were made from it. */
void code_written(void *engine, uint64_t pa, uint64_t len);

/* code_hit - whether a store of a CPU to [@pa, @pa + @len), within a page that has code, changes any, or is one too
 * many. */
bool code_hit(CpuEngine *e, uint64_t pa, unsigned len);

/* code_beside - whether it is known to change none. Such stores are counted. */
bool code_beside(CpuEngine *e, uint64_t pa, unsigned len);

/* code_gap - what of a page with code lies around @pa and is in no code: from @from to before the result, bytes of the
 * page. Until more code is made of the page, slots may lead there. */
unsigned code_gap(CpuEngine *e, uint64_t pa, unsigned *from);

/* ---- the run loop (engine.c) ---- */

/* What a context is found by. Not in the context: those begin at the same place of a page, so that a search through
 * them would have them all in one set of the host's cache. */
typedef struct ContextName {
    uint64_t tag;
    uint64_t selected; /* sequence number of the last selection */
    bool     valid;    /* has a tag */
} ContextName;

/* What observers were told last. */
typedef struct HookState {
    uint64_t begin_pc, begin_at; /* of the engine's block that began last: pc, count of instructions */
    uint32_t begin_insns; /* instructions in it; 0: none has begun */
    bool     sequential;  /* it does not end with a branch */
    bool     told;        /* an instruction was: */
    uint64_t insn_pc, insn_at;
    unsigned accesses;    /* of it that were told */
    unsigned seen;        /* of it so far, since it began anew */
} HookState;

typedef struct CpuRun {
    HookState hook;
    int64_t   start_ns;    /* time of the first instruction of this run */
    int64_t   limit;       /* cpu->left + instructions executed, at the end of the running block */
    int64_t   budget;
    int64_t   deadline_ns;
    uint64_t  selections;
    bool      active;      /* inside cpu_run() */
    bool      follow_clock; /* time is the clock's; no block is cut for a budget or deadline */
    bool      spent;       /* with that: the next block does not fit into what is left */
    bool      unwind;      /* the instruction must run again as the last of a block */
    bool      recheck;     /* translations changed: leave the chain of blocks */
    bool      watched;     /* the instruction was left because of a watchpoint: .watch */
    CpuWatch  watch;
    ContextName name[CONTEXTS];
    uint8_t   current[CPU_SPACES]; /* the context of each space, cpu->tlb[] */
    uint8_t   before[CPU_SPACES];  /* the one before it */
    CpuTlb    context[CONTEXTS];
} CpuRun;

/* Instructions executed in this run before the current one. */
int64_t run_executed(const Cpu *cpu);

/* run_here - where the current instruction is. False: none is running. */
bool run_here(const Cpu *cpu, CpuSite *here);

/* run_must_be_last - an access that may change what the next instruction sees. True when the current
 * instruction is not the last of its block: the block is then left before it, to run it alone. */
bool run_must_be_last(Cpu *cpu);

/* run_stop_at_watch - the access of the current instruction met @w: the block is left before the instruction, and the
 * run ends. False: no instruction runs. */
bool run_stop_at_watch(Cpu *cpu, const CpuWatch *w);

/* run_sync_pc - the guest's pc is that of the current instruction, for exceptions. */
void run_sync_pc(Cpu *cpu);

/* run_recheck - leave the chain of blocks after the running one. */
void run_recheck(Cpu *cpu);

#endif
