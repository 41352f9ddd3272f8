/*
 * The inside of the code generator. Registers of generated code:
 *
 *   rbp        JIT_BASE bytes into the Cpu: guest registers and temporaries at fixed offsets
 *   r14        the current translation context (CpuTlb)
 *   rax rcx rdx rdi, xmm0 to xmm2   scratch within one operation
 *   the others values of the block, and guest registers that are pinned for a whole region
 *
 * Whatever calls C from generated code goes through one routine that saves every register to Cpu.saved. C finds a
 * JitSite by the return address, which says where the operands are; so C is the only place that knows slow paths, and
 * code for them is a call.
 */
#ifndef BAILEY_CPU_JIT_JIT_INT_H
#define BAILEY_CPU_JIT_JIT_INT_H

#include "cpu/ir/block.h"
#include "cpu/jit/asm.h"
#include "cpu/jit/code_mem.h"
#include "cpu/jit/jit.h"

/* What is near has displacements from -128 to 127. */
enum { JIT_BASE = offsetof(Cpu, flags_b) + CPU_NEAR / 2 };

/* ---- where values are ---- */

typedef enum JitPlaceKind {
    AT_NONE,
    AT_CONST, /* v: sign-extended; or with reg = 1 an index into Jit.pool */
    AT_GPR,
    AT_XMM,
    AT_MEM,   /* v: offset from the Cpu */
} JitPlaceKind;

typedef struct JitPlace {
    uint8_t kind;
    uint8_t reg;
    uint8_t type; /* IrType: how much of it is the value */
    int32_t v;
} JitPlace;

/* A guest register that lives in a host register throughout a block or region. */
typedef struct JitPin {
    uint16_t guest;  /* index of the guest register */
    uint16_t offset; /* its place in the Cpu */
    uint8_t  host;
    bool     vector;
} JitPin;

/*
 * How a flags register that is not written follows from 64-bit places in the Cpu: a number for Cpu.flags_how. 0: the
 * register is written. Places are multiples of 8 below 64 KiB: guest registers, Cpu.flags_a and flags_b.
 */
enum {
    JIT_HOW_KIND = 3,             /* 1 + IrFlagsKind */
    JIT_HOW_WIDE = 1 << 2,        /* of 64 bits */
    JIT_HOW_FROM_RESULT = 1 << 3, /* a is the result: the first operand follows from it and b */
    JIT_HOW_CONSTANT = 1 << 4,    /* b is a constant */
    JIT_HOW_A = 5, JIT_HOW_B = 18, /* where the fields of JIT_HOW_BITS start: offset / 8, or the constant */
    JIT_HOW_BITS = 13,
};
#define JIT_HOW_PACKED (1u << 31) /* it is what the second field holds, packed */

/* Parts that an address known at run time is compared with one by one; for more there is a table. */
enum { JIT_COMPARED = 4 };

enum { JIT_MAX_TABLES = 4, JIT_MAX_PINS = 16, JIT_MAX_PARTS = CPU_REGION_PARTS };

enum { JIT_BLOCK_UNIT = 8 }; /* bytes: what blocks are aligned to */

/* What C needs of a block while its code runs. Follows the CpuBlock in the arena. */
typedef struct JitCode {
    uint8_t *entry; /* writable address of the first instruction; the call before it is that of Jit.leave_entry */
    size_t   size;
    unsigned n_pins;
    JitPin   pin[JIT_MAX_PINS]; /* memory ends with the last one in use */
} JitCode;

typedef enum JitSiteKind { SITE_LOAD, SITE_STORE, SITE_CALL, SITE_GUARD, SITE_WIDE, SITE_EVAL } JitSiteKind;

/* Where generated code calls C. */
typedef struct JitSite {
    CpuSite         at;     /* first: the engine asks for it while C runs */
    const JitCode  *code;
    union {
        const IrHelper *helper;
        uint64_t        offset; /* of a load or store: added to a and b << shift */
    };
    union {
        uint64_t imm;
        uint32_t slot; /* of a load or store: 1 + index of the JitSlot that checks for it; 0: none */
    };
    JitPlace d, d2, a, b, c;    /* store: the value is c. Two accesses side by side: d2 is the second value */
    uint32_t dirty;             /* pins that memory does not hold: bit per pin */
    uint8_t  kind, op, type, shift;
    IrMem    mem;
    bool     pair;
    uint8_t  stale_bytes; /* of code where this returns to that is for when the tables have lost something */
    struct {
        int32_t low;   /* of its bytes the first, off the base */
        uint8_t bytes; /* 0: the access leads none */
        uint8_t host;  /* where the Host is: a register, or 16 plus a temporary */
        bool    write;
    } group; /* that the access leads */
    uint32_t flags_how; /* of the flags register, in place of Cpu.flags_how when not 0; or: */
    struct {
        JitPlace a, b;
        uint8_t  kind;
        bool     valid, wide, from_result; /* as in a JitHow */
        uint8_t  fp;                       /* log2 of the bytes of the numbers that are compared; 0: integers */
    } flags; /* what the flags register follows from here */
} JitSite;

enum { JIT_SCATTERED = 1 << 16, JIT_PATCH = 5 };

/* An access of a region that uses a PageSlot. */
typedef struct JitSlot {
    CpuBlock *block;
    uint64_t limit;   /* PageSlot.limit for one page */
    uint32_t offset;  /* of the PageSlot, from the CpuTlb */
    int32_t  left;    /* misses until a sample is taken; then accesses until that is done */
    uint32_t misses;  /* of the sample */
    bool     write, sampled;
    uint8_t  widened; /* spans that were made for it */
    uint8_t  samples; /* taken */
    uint8_t  first[JIT_PATCH]; /* what the sample's jump is in place of */
    uint64_t name;    /* for jit_is_scattered() */
    uint8_t *hot;     /* writable addresses: of the access, */
    uint8_t *cold;    /* the code that uses the table, */
    uint8_t *keep;    /* and its call that fills the slot */
} JitSlot;

/*
 * An exit to a known pc. In the same page: a call of Jit.leave_link. Linked, it becomes a jump; or the conditional jump
 * that leads to the call leads elsewhere. To another page: a jump if CpuTlb.fetched has a number, then one to Jit.far.
 * Linked, number and target are those of a block and of its page's mapping.
 */
struct JitExit {
    uint64_t  pc, key;
    CpuBlock *from;
    uint32_t  jump;   /* the one to patch: an offset into code memory. The number is the four bytes before it */
    bool      branch; /* it is a conditional jump */
    bool      far;
    int32_t   left;   /* far: times by way of the jump cache until C is asked to link it; */
    uint32_t  slot;   /* its entry there, from the CpuTlb */
};

/* Of JitExit.left: code that runs once is not worth a link; nor is asking each time for one that does not hold. */
enum { JIT_FAR_FIRST = 4, JIT_FAR_AGAIN = 4096 };

/*
 * A call from generated code of a routine that must know what for: @at is where it would return, as an offset into code
 * memory, and @id the number of a JitSite or JitExit, or the place of a block in the arena. In order of @at.
 */
typedef struct JitCall {
    uint32_t at, id;
} JitCall;

enum { JIT_CALL_BYTES = 5, JIT_CALL_SHIFT = 8 };

/* What follows a trap: C does the operation; or it was a comparison, of which no flag tells "less", "greater" or
 * "equal"; or XMM0 is zero. */
typedef enum JitTrapKind { TRAP_TO_C, TRAP_UNORDERED, TRAP_UNEQUAL } JitTrapKind;

/* Where an operation may trap: offsets into code memory. In order of @from. */
typedef struct JitTrap {
    uint32_t from, to, target;
    uint32_t kind;
} JitTrap;

struct Jit {
    CpuEngine *engine;
    CodeMem    mem;
    X86Host    host;
    size_t     fixed;   /* bytes at the start that stay: the routines below */
    const void *slow, *flags, *leave_time, *leave_find, *leave_state, *leave_done, *leave_fault;
    const void *leave_lookup; /* as leave_find, with the pc in rcx */
    const void *far;          /* by the jump cache; the number of a far JitExit is in ecx */
    const void *leave_link, *leave_entry; /* are called for a JitExit; for a block, before its first instruction */
    const void *leave_wide; /* is called for a region, when it expects zeroes where there are none */
    const void *leave_gone; /* is called by the first instruction of a block */
    const void *keep_read, *keep_write;
    const void *across_read, *across_write, *across_done;
    const void *pac_sign[2], *pac_check; /* the first: by whether IR_PAC_BY_63 */
    int (*enter)(Cpu *cpu, const void *code);
    JitSite   *site;
    uint32_t   n_sites, max_sites;
    JitSlot   *slot;
    uint32_t   n_slots, max_slots;
    uint64_t   scattered[JIT_SCATTERED / 64]; /* a bit per access, by a hash of its name: slots are nothing for it */
    uint64_t   wide[JIT_SCATTERED / 64]; /* likewise: a region that starts there expects no zeroes */
    JitExit   *exit;
    uint32_t   n_exits, max_exits;
    JitCall   *call;
    uint32_t   n_calls, max_calls;
    uint32_t  *first_call; /* of each 1 << JIT_CALL_SHIFT bytes of code that has any */
    uint64_t  *pool;
    uint32_t   n_pool, max_pool;
    JitTrap   *trap;
    uint32_t   n_traps, max_traps;
    bool       traps;     /* the code lets operations trap, */
    uint32_t   n_trapped; /* as so many did */
    CpuTemp    constant[CPU_CONSTANTS]; /* copied to a CPU when it enters code and its copy is an older version */
    uint32_t   n_constants, constants_version;
    uint16_t   flags_offset; /* of the guest's flags register, from the Cpu */
    struct Gen *gen;
    FILE      *perf_map; /* or NULL */
};

/* Misses of a PageSlot, at least, between two samples; accesses of a sample; and the misses among them that make the
 * slot not worth its while. */
enum { JIT_MISSES = 64, JIT_SAMPLE = 64, JIT_MANY_MISSES = 6 };

/* So many times spans are made for an access and no sample is taken. */
enum { JIT_WIDENED = 8 };

/* MXCSR: no exception raised so far, all masked, to nearest, nothing flushed to zero. */
enum { JIT_MXCSR = 0x1f80 };

/* Of its masks, those of what traps: invalid operations and tiny results. */
#define JIT_TRAPS (_MM_MASK_INVALID | _MM_MASK_UNDERFLOW)

/* Operations that trap, at most, before code asks for what makes them: they take milliseconds. */
enum { JIT_MANY_TRAPS = 1024 };

/* jit_mxcsr - what it is where generated code computes. */
uint32_t jit_mxcsr(const Jit *j);

/* jit_host_traps - whether they work. */
bool jit_host_traps(void);
/* Whose code this thread runs; NULL: none. */
extern _Thread_local Jit *jit_running;

/* jit_write_flags - write the flags register, if it is not, as @how says; pinned registers are in memory. */
void jit_write_flags(const Jit *j, Cpu *cpu, uint32_t how);

void jit_perf_map_close(Jit *j);

/*
 * jit_begin_c - before C that may compute with floating point: the guest has the exceptions that were raised up to
 * here, and nothing traps. Returns what jit_end_c() takes: nothing was raised again, whatever C did.
 */
uint8_t jit_begin_c(Cpu *cpu);
void    jit_end_c(Cpu *cpu, uint8_t used);

/* jit_is_scattered - whether the access that has this name, made of its instruction's address and of the part it is in,
 * misses its slot too often. */
bool jit_is_scattered(const Jit *j, uint64_t name);
/* jit_is_wide - whether a region that starts with the instruction at @pa once expected zeroes that were not there. */
bool jit_is_wide(const Jit *j, uint64_t pa);
/* jit_look - JitSlot.left is used up: does the access better without its PageSlot? */
void jit_look(Cpu *cpu, uint32_t slot);

/* jit_called - what the call that would return to @back is for: its number. */
uint32_t jit_called(const Jit *j, const void *back);

/* jit_slow - the C side of every call for a site, which would return to @back. Where to go on; NULL: leave the block,
 * an exception was raised. */
const void *jit_slow(Cpu *cpu, const void *back);

/* ---- generation (gen.c drives emit_*.c) ---- */

typedef struct Value {
    uint8_t  kind;  /* JitPlaceKind; of the root node */
    uint8_t  reg;
    bool     own;   /* the register or temporary is given back after the last use */
    bool     canon; /* bits above the type, up to 64, are zero */
    int32_t  mem;
} Value;

typedef struct Address {
    IrRef    base, index; /* index: 0 for none */
    uint8_t  shift;
    uint64_t offset;
} Address;

enum { REG_FREE = 0, REG_PINNED = 0xffff, REG_NEVER = 0xfffe };

/* Accesses of a part off one base that are checked together (group.c). */
typedef struct Group {
    IrRef    base;
    bool     write; /* one of them stores: writing is asked for all */
    int64_t  low;   /* of their bytes the first, off the base, */
    int64_t  bytes; /* and how many there are from there */
    unsigned last;  /* the last one's node */
    uint32_t slot;  /* as in a JitSite */
} Group;

enum { GROUPS = 255, GROUP_BYTES = 128, GROUP_HOSTS = 4, RMW_TEMP = 1 + GROUP_HOSTS };

/* The host's address of a group's base, or of what is read and then written; 0: it was not checked, or is stale. */
typedef struct Host {
    uint8_t group; /* 1 + its index; 0: none */
    uint8_t temp;  /* its temporary, */
    X86Reg  reg;   /* where it is when this is X86_NO_REG */
} Host;

/* An access as it is emitted: its address is base + disp; base is rax when it had to be made. What is checked are
 * @range bytes from base + low: more than its own when it leads a group. */
typedef struct Reach {
    X86Reg   base;
    int32_t  disp, low;
    unsigned bytes, range;
    bool     write, check_write; /* the access; what is checked */
    X86Reg   tlb;  /* the context */
    uint32_t slot; /* index of its JitSlot, if it has one */
} Reach;

enum { ACCESS_BYTES = 47 }; /* of the moves of an access, at most */

/* Code that is emitted after the hot path: a call of C. */
typedef struct Cold {
    AsmLabel from, back;
    uint32_t site;
    void   (*first)(struct Gen *g, struct Cold *c); /* emits what comes before the call; NULL: nothing */
    AsmLabel resume; /* where that may lead instead */
    X86Xmm   value, operand;
    X86Reg   reg;
    uint16_t shape;
    uint32_t trap;    /* 1 + index of the JitTrap that leads here; 0: none */
    uint32_t hosts;   /* Hosts that C makes stale: a bit for each register, and from bit 16 for each temporary */
    Reach    access;
    Host     host;    /* of the group that it leads, or of what it writes back */
    AsmLabel alone;   /* where an access goes on that leads a group whose check does not hold for it */
    uint8_t  again[ACCESS_BYTES], n_again; /* an access by a Host once more, off rdi: its code, for where that is 0 */
} Cold;

typedef enum FuseMode {
    MODE_NORMAL,
    MODE_DEAD,   /* no uses left */
    MODE_ALIAS,  /* its value lies in its operand's place */
    MODE_FUSED,  /* a condition that its only user computes */
    MODE_PAIRED, /* an access that the next one does too */
    MODE_LAZY,   /* flags that are computed from their operands where someone looks */
    MODE_BESIDE, /* flags of a sum with carry, right behind it: the host's tell */
    MODE_CARRIED, /* a carry that is the host's from where it was made to its only user */
    MODE_TESTED, /* a comparison of floating point whose flags are so: it raises exceptions only */
} FuseMode;

typedef struct PartState {
    AsmLabel body; /* its time is accounted for */
    AsmLabel out;  /* there is no time for it, and the flags register is in memory */
    bool     loops;
    bool     wants_flags; /* someone may look at the flags register before it is written */
    bool     gets_flags;  /* and the part does in any case */
    uint32_t how;         /* how the flags follow on each way into the part, from guest registers or copies of the
                           * operands; 0: as Cpu.flags_how says */
    uint32_t how_out;     /* how the pending flags follow from guest registers at its end; 0: they do not */
    uint32_t copied_out;  /* the same of copies of the operands, if those are made */
    unsigned n_insns;
    unsigned ahead;       /* instructions of those behind it that are paid with its own */
    uint32_t next;        /* parts that it may lead to: a bit each */
    uint32_t reads, writes; /* pins: read before any write; written. A bit each, and so: */
    uint32_t dirty;       /* those that may differ from memory when the part starts */
    uint32_t wants;       /* those that must be loaded then */
    uint8_t  narrow[JIT_MAX_PINS]; /* bytes of each vector pin above which there are zeroes when the part starts */
    uint64_t words;       /* guest registers whose upper halves are zero when the part starts, a bit each */
    bool     passes_guard; /* guards of Gen.guarded_reg would not fail where the part starts */
    bool     by_table;    /* exits find it in a table: */
    AsmLabel entry;       /* what they jump to */
} PartState;

/* Where exits to an address known at run time find the parts of a key: offsets from the table, for each instruction. */
typedef struct JitTable {
    uint64_t key, first;
    unsigned n;
    uint32_t dirty; /* pins that may differ from memory on the way there */
    uint8_t *at;   /* writable address */
    AsmLabel miss; /* for other addresses; the pc is in rcx */
} JitTable;

/* Accesses of a part of one kind with equal base and index share a PageSlot. */
typedef struct SlotUser {
    IrRef    base, index;
    uint8_t  size;
    bool     write;
    uint32_t offset;
} SlotUser;

enum { SLOT_USERS = 16, JIT_SLOT_KINDS = 10 };

typedef struct Gen {
    Jit     *j;
    Asm      as;
    Arena   *arena;
    CpuBlock *block;
    JitCode *code;
    bool     failed, arena_full;
    const JitPart *parts;
    uint64_t pa; /* of a region's first part */
    PartState part_state[JIT_MAX_PARTS];
    unsigned n_parts, part;
    unsigned first_target; /* the first part that edges may lead to; those before it are entries and nothing else */
    JitPart  peeled[JIT_MAX_PARTS]; /* with the entry's own copy of its part */
    bool     region;
    JitTable table[JIT_MAX_TABLES];
    unsigned n_tables;

    /* pins */
    int8_t   pin_of[IR_MAX_REGS]; /* -1: none */
    unsigned weight[IR_MAX_REGS];
    uint16_t used_reg[IR_MAX_REGS]; /* registers with a weight */
    unsigned n_used_regs;
    uint32_t dirty;   /* pins that may differ from memory here */
    bool     has_fp;  /* there is inline floating point */
    uint32_t expects; /* pins above which the entry expects zeroes */
    uint8_t  narrow[JIT_MAX_PINS]; /* as in PartState, here; and of values that come from pins: */
    uint8_t  get_bytes[IR_MAX_NODES];
    bool     is_word[IR_MAX_NODES]; /* of gets: the upper half is zero */

    int      guarded_reg;  /* the guest register that guards ask about; -1: none. The bits of it that they do: */
    uint64_t guarded_bits;

    /* the part */
    const IrBlock *ir;
    uint64_t pc, key;
    bool     ask_key;
    unsigned insn;     /* index of the current instruction */
    uint64_t insn_pc;
    uint16_t live[IR_MAX_NODES];     /* without constants, from first_live on; then the n_emitted that become code */
    uint16_t shaped[IR_MAX_NODES];   /* those whose mode depends on more, from first_shaped on */
    unsigned first_live, first_shaped, n_emitted;
    uint8_t  mode[IR_MAX_NODES];
    uint16_t put_at[IR_MAX_NODES];   /* the first put of a value; 0: none */
    uint16_t uses[IR_MAX_NODES];
    uint16_t last_use[IR_MAX_NODES]; /* by root */
    uint16_t root[IR_MAX_NODES];     /* whose place a value is in */
    uint16_t hint[IR_MAX_NODES];     /* 1 + guest register that the value is computed into */
    uint16_t partner[IR_MAX_NODES];  /* of a paired access */
    uint16_t twin[IR_MAX_NODES];     /* of one half of a product: the other, further on, made with it; 0: none */
    uint16_t lazy_result[IR_MAX_NODES]; /* of lazy flags: the sum or difference that the first operand follows from */
    const IrReg *regs;   /* the guest's registers, */
    int      flags_reg;  /* of which this is the flags register; -1: none */
    bool     flags_in;   /* the flags register is still as the part found it */
    uint32_t passed;     /* how the flags that the part found and leaves follow; 0: there are none such */
    bool     any_flags;  /* the flags register is written, or a condition used */
    uint16_t operand[4 * IR_MAX_NODES]; /* roots of what each emitted node reads, and 0; then of flags_now, without */
    unsigned n_operands, n_node_operands;
    uint16_t use_after[4 * IR_MAX_NODES]; /* the node that reads the operand next; 0: none */
    uint16_t next_use[IR_MAX_NODES];      /* by root, from the current node on; 0: not known, in cold blocks */
    IrRef    flags_now;  /* lazy flags that were put but not written; 0: none */
    IrRef    pending;    /* flags that are put only on the way out, where they are wanted; 0: none */
    bool     vanished[IR_MAX_NODES]; /* puts that the hint did */
    Value    val[IR_MAX_NODES];
    Address  addr[IR_MAX_NODES];
    uint8_t  group_of[IR_MAX_NODES]; /* 1 + index of an access's group; 0: none */
    Group    group[GROUPS];
    unsigned n_groups;
    Host     host[GROUP_HOSTS]; /* those that are kept now */
    uint16_t alias_head[IR_MAX_REGS], alias_next[IR_MAX_NODES]; /* values that lie in a guest register */
    uint16_t stored[IR_MAX_REGS]; /* the root that memory of the guest register holds; 0: none that is known */
    uint16_t home[IR_MAX_NODES];  /* by root: 1 + the guest register that it was stored to or loaded from last */
    uint16_t gpr[16], xmm[16]; /* root that owns it, or REG_ */
    uint32_t pins_gpr, pins_xmm; /* those of pins, which may be lent to values */
    unsigned state_next;         /* index in IrBlock.state of what may come after the current node */
    uint64_t temp_busy[CPU_TEMPS / 64];
    uint32_t lock_gpr, lock_xmm; /* operands of the current node */
    unsigned at; /* the current node */
    struct {
        unsigned store; /* the node of a store whose bytes a load before it found; 0: none */
        Host     host;  /* their address */
    } rmw;
    struct {
        IrRef    of; /* a value that the host's flags tell of, */
        uint8_t *at; /* as long as this is where the code ends */
    } host_flags;

    AsmLabel entry_out;
    AsmLabel entry_wide; /* a region's: what it expects to be zero is not */
    uint16_t lazy_uses[IR_MAX_NODES];
    uint16_t carry_uses[IR_MAX_NODES]; /* of flags: conditions over their carry */
    bool     leaves_carry[IR_MAX_NODES]; /* a sum whose carry someone takes from the host's */
    uint16_t flags_needed[IR_MAX_NODES]; /* of a put of flags that is not written: the last node that may look */
    Cold     cold[IR_MAX_NODES];
    unsigned n_cold;
    SlotUser slot_user[SLOT_USERS];
    unsigned n_slot_users; /* of the part, the last SLOT_USERS of which are known */
    unsigned next_slot[2][JIT_SLOT_KINDS / 2]; /* by write and size: PageSlots of a kind are given out in turn */
} Gen;

static inline const IrNode *gen_node(const Gen *g, IrRef r) { return &g->ir->node[r]; }
static inline bool gen_is_const(const Gen *g, IrRef r) { return gen_node(g, r)->op == IR_const; }
static inline uint64_t gen_const(const Gen *g, IrRef r) { return gen_node(g, r)->imm; }
static inline bool gen_is_64(const Gen *g, IrRef r) { return gen_node(g, r)->type == IR_I64; }
static inline bool fits_i32(uint64_t v) { return (uint64_t)(int64_t)(int32_t)v == v; }
static inline X86Mem gen_mem(int32_t off) { return X86_AT(RBP, off - JIT_BASE); }
static inline const CpuGuest *gen_guest(const Gen *g) { return ((Cpu *)g->j->engine->cpus->pdata[0])->guest; }
static inline bool gen_is_plain(IrMem m) { return !m.big && !m.align && m.space == 0 && !m.write_intent; }

static inline bool gen_is_vector(IrType ty) { return ty == IR_I128 || ty == IR_V64 || ty == IR_V128; }

/* The value's place; roots resolved. */
static inline Value *gen_val(Gen *g, IrRef r) { return &g->val[g->root[r]]; }

/* gen_gpr - a register that holds the value; @scratch when it was not in one. Bits above the type are anything
 * unless @canon. */
X86Reg gen_gpr(Gen *g, IrRef r, X86Reg scratch, bool canon);
/* gen_gpr_into - the value in @d, canonical if asked; constants keep the host's flags. */
void gen_gpr_into(Gen *g, IrRef r, X86Reg d, bool canon);
/* gen_alu - d = d op value; @d is not rdx when the value is a constant of 64 bits. */
void gen_alu(Gen *g, X86Alu op, bool w, X86Reg d, IrRef r);
bool gen_uses_gpr(Gen *g, IrRef r, X86Reg reg);

/*
 * gen_xmm - likewise for vectors: a register that holds it, @scratch when it was not in one. Above a V64 there may be
 * anything in its register or temporary: a V64 made of a V128 is that value itself. Operations of V64s look at the
 * low 8 bytes of their operands only, as C does (ir/wide.c), and leave anything above; vlow and vzext to V128 make
 * zeroes, and guest registers of 128 bits are put from nothing else. Helpers take and give V128s, which are whole.
 */
X86Xmm gen_xmm(Gen *g, IrRef r, X86Xmm scratch);
bool   gen_uses_xmm(Gen *g, IrRef r, X86Xmm reg);

/* gen_constant - 16 bytes in memory, aligned, that hold @high:@low. */
X86Mem gen_constant(Gen *g, uint64_t high, uint64_t low);
/* The same with every lane of 8 << @size_log2 bits being @v. */
X86Mem gen_constant_lanes(Gen *g, unsigned size_log2, uint64_t v);

/*
 * The destination of the current node: gen_dest_gpr() and gen_dest_xmm() give a register, and gen_done_*() must follow
 * with the same register once the value is in it. It may be the register of an operand that dies here. @canon: bits
 * above the type are zero.
 */
X86Reg gen_dest_gpr(Gen *g);
void   gen_done_gpr(Gen *g, X86Reg d, bool canon);
X86Xmm gen_dest_xmm(Gen *g);
void   gen_done_xmm(Gen *g, X86Xmm d);
/* The same for another node than the current one (the first of a pair). */
X86Reg gen_dest_gpr_of(Gen *g, IrRef r);
void   gen_done_gpr_of(Gen *g, IrRef r, X86Reg d, bool canon);
X86Xmm gen_dest_xmm_of(Gen *g, IrRef r);
void   gen_done_xmm_of(Gen *g, IrRef r, X86Xmm d);

/* gen_reserve_gpr - a register for something that is no value, until gen_return_gpr(); X86_NO_REG: none is left. */
X86Reg gen_reserve_gpr(Gen *g);
void gen_return_gpr(Gen *g, X86Reg r);
/* gen_reserve_xmm - likewise, for use within the current node: before its destination is asked for. */
bool gen_reserve_xmm(Gen *g, X86Xmm *x);
void gen_return_xmm(Gen *g, X86Xmm x);

/* gen_free_gpr - one that nothing is in and that is not in @but, or X86_NO_REG. */
X86Reg gen_free_gpr(const Gen *g, uint32_t but);

/* find_groups - of the part, once it is known which accesses are made. */
void find_groups(Gen *g);
/* host_of - the host's address of the current access's base, from one before it; NULL: there is none. */
Host *host_of(Gen *g);
/* host_take - a place for that, for accesses that follow; NULL: there are none, or too many. */
Host *host_take(Gen *g);
void  host_give(Gen *g, Host *h);
/* host_give_all - before what may change the tables. */
void host_give_all(Gen *g);
/* host_yield - a register not in @but that one was in, or X86_NO_REG. */
X86Reg host_yield(Gen *g, uint32_t but);
/* host_temp - where it is when it is not in a register. */
X86Mem host_temp(unsigned temp);
/* hosts_now - those that are kept, as in Cold.hosts; hosts_set_none - what makes them stale. */
uint32_t host_bit(const Host *h);
uint32_t hosts_now(const Gen *g);
void     hosts_set_none(Gen *g, uint32_t set);

/* gen_site - a new site for the current node with the operands' places as they are now. */
JitSite *gen_site(Gen *g, JitSiteKind kind, uint32_t *id);
JitPlace gen_place(Gen *g, IrRef r);
JitPlace gen_place_gpr(X86Reg r, IrType ty);
JitPlace gen_place_xmm(X86Xmm r, IrType ty);
/* gen_cold - a jump target out of line that calls C for site @id and comes back to cold->back, which the caller
 * binds. */
Cold *gen_cold(Gen *g, uint32_t id);
/* gen_trap - a trap in the code made since @from leads to @cold, or is of a comparison if that is NULL. */
void gen_trap(Gen *g, const uint8_t *from, JitTrapKind kind, Cold *cold);
/* jit_pack_host_flags - the host's flags, with Arm's carry, packed in rax; rdx is lost. */
void jit_pack_host_flags(Asm *as);
/* gen_pack_flags - packed flags of a producer in rax; rdx is lost. */
void gen_pack_flags(Gen *g, IrRef flags);
/* gen_put_pending - what the flags register follows from in memory, if that was put off; @written: the register too. */
void gen_put_pending(Gen *g, bool written);
/* gen_put_copies - copies of the operands of flags that were put off; how the flags follow from those. */
uint32_t gen_put_copies(Gen *g);
/* gen_is_copied - whether flags follow from copies of the operands, not guest registers. */
static inline bool gen_is_copied(uint32_t how)
{
    return (how >> JIT_HOW_A & mask64(JIT_HOW_BITS)) == offsetof(Cpu, flags_a) / 8;
}
/* gen_want_flags - the flags register in memory, which nobody has put in this part. rax, rcx and rdx are lost. */
void gen_want_flags(Gen *g);
/* gen_holds_flags - whether flags that follow from registers as @how says may stay so on an edge to a part; @known: it
 * is made for that. */
bool gen_holds_flags(const Gen *g, unsigned part, uint32_t how, bool known);
/* gen_known_flags - the host's flags, from registers or copies as @how says; as of a subtraction unless @arm_carry.
 * rax is lost. */
void gen_known_flags(Gen *g, uint32_t how, bool arm_carry);
/* gen_known_get - what tells how the flags that the node reads follow; 0: nothing, or it reads no flags. */
uint32_t gen_known_get(const Gen *g, IrRef r);

/* gen_price - instructions to account for where a part is entered, unless some are paid already. */
static inline int32_t gen_price(const Gen *g, unsigned part)
{
    return (int32_t)(g->part_state[part].n_insns + g->part_state[part].ahead);
}
/* gen_count_time - account for a part that is entered next; @out: there is no time for it. */
void gen_count_time(Gen *g, unsigned part, AsmLabel *out);
/* gen_find_part - the part that this part leads to when it goes on at @pc with Gen.key; -1: none. */
int gen_find_part(const Gen *g, uint64_t pc);
/* gen_out_of_time - the code for @out: come back to the part by its pc. */
void gen_out_of_time(Gen *g, unsigned part, AsmLabel *out, uint32_t dirty);
/* gen_call_for - call a routine that finds @id by where it would return: jit_called(). */
void gen_call_for(Gen *g, const void *routine, uint32_t id);
/* gen_call - call C for a site here. */
void gen_call(Gen *g, uint32_t id);
/* Put aliases of guest registers that are needed after the current node out of the way of a helper's writes. */
void gen_evacuate(Gen *g, unsigned effects);

/* ---- emission: true when the node was handled ---- */
void emit_integer(Gen *g, const IrNode *n);
void emit_select(Gen *g, const IrNode *n);
void emit_carrying(Gen *g, const IrNode *n); /* sums with a carry */
void emit_flags(Gen *g, const IrNode *n);
/* emit_condition - set the host's flags so that @cc of them tells whether the I32 @r is not 0; changes no value. */
X86Cond emit_condition(Gen *g, IrRef r);
/* emit_jump - to @to if the I32 @r is not 0 and @wanted, or is 0 and not; likewise. */
void emit_jump(Gen *g, IrRef r, bool wanted, AsmLabel *to);
void emit_access(Gen *g, const IrNode *n);
void emit_call(Gen *g, const IrNode *n);
void emit_guard(Gen *g, const IrNode *n);
bool emit_wide(Gen *g, const IrNode *n);  /* inline vector operation; false: leave it to C */
bool emit_helper(Gen *g, const IrNode *n); /* a helper that has an inline form */
bool emit_fp_helper(Gen *g, const IrNode *n); /* one of floating point */
void emit_estimate(Gen *g, const IrNode *n);  /* one that estimates reciprocals */
bool emit_pac(Gen *g, const IrNode *n);       /* one of codes in pointers */
/* pac_make - the routines for that. */
void pac_make(Jit *j, Asm *as);

/* gen_fp_flags - the comparison that lazy flags come from; NULL: they are of integers. */
static inline const IrNode *gen_fp_flags(const Gen *g, IrRef flags)
{
    const IrNode *n = gen_node(g, flags);

    return n->op == IR_flags_unpack ? gen_node(g, n->a) : NULL;
}

/* gen_chosen_flags - lazy flags that are those of one producer or constant ones (CCMP); NULL: they are not. */
static inline const IrNode *gen_chosen_flags(const Gen *g, IrRef flags)
{
    const IrNode *n = gen_node(g, flags);

    return n->op == IR_flags_select ? n : NULL;
}

/* The constant ones, packed. */
static inline uint32_t gen_other_flags(const Gen *g, const IrNode *chosen)
{
    return (uint32_t)gen_const(g, gen_node(g, chosen->c)->a) & 15;
}

/* Whether the helper may raise exceptions of floating point inline; half precision needs a host that has it. */
bool fp_may_raise(const IrNode *n);
/* Whether it is of single or double precision and does. */
bool fp_is_inline(const IrNode *n);
/* narrow_find - what is known of pins where the parts start, and what the entry expects. */
void narrow_find(Gen *g);
/* narrow_follow - what is known after a node; gets remember it. */
void narrow_follow(Gen *g, unsigned i, uint8_t *narrow);
/* narrow_check - at the entry, with the pins loaded: to g->entry_wide unless there is what it expects. */
void narrow_check(Gen *g);

/* words_find - which registers are words where parts start; words_follow - which values that the part reads are.
 * words_extends - whether the node extends such a value, and is that. */
void words_find(Gen *g);
void words_follow(Gen *g);
bool words_extends(const Gen *g, IrRef r);

/* guard_find - which parts start with the guarded register passing; guard_drop - the part's guards that cannot fail. */
void guard_find(Gen *g);
void guard_drop(Gen *g);

/* fp_bytes - bytes of a vector above which it is known to be zero. */
unsigned fp_bytes(const Gen *g, IrRef r);
/* fp_zeroed - the operand that zeroes are made above for one lane, where it is not known that there are some, and the
 * lane's bytes; 0: the node does no such thing. */
IrRef fp_zeroed(const IrNode *n, unsigned *bytes);
/* fp_note_invalid - an operation was invalid that the host did not do. */
void fp_note_invalid(Gen *g);
/* fp_enter - what comes before any of those. */
void fp_enter(Gen *g);

/* Whether the helper compares floating point, and inline. */
bool fp_is_comparison(const IrNode *n);
/* fp_pack_flags - the flags of a comparison, packed in @d. */
void fp_pack_flags(Gen *g, const IrNode *n, X86Reg d);
/* fp_condition - as emit_condition(), over its flags. */
X86Cond fp_condition(Gen *g, const IrNode *n, IrCond cond);
/* Whether the store at @i writes what the load before it found, or something else, by a condition: MODE_FUSED. */
bool emit_fuses_select(const Gen *g, unsigned i);
/* Whether the helper @mix computes what its first operand @sub, used by nothing else, leaves to it: MODE_FUSED. */
bool emit_fuses_rounds(const Gen *g, const IrNode *mix, const IrNode *sub);
void emit_exit(Gen *g, const IrNode *n);
/* emit_tables - room for what exits to addresses known at run time look up; emit_table_entries - its contents, when all
 * parts are there. */
void emit_tables(Gen *g);
void emit_table_entries(Gen *g);

/* A generator's working state. */
Gen *gen_new(void);

/* gen_store_pins - write pins of @mask to memory. */
void gen_store_pins(Gen *g, uint32_t mask);
/* gen_load_pins - all pins from memory, after C may have written guest registers. */
void gen_load_pins(Gen *g);

#endif
