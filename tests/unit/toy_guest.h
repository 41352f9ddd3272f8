/*
 * A made-up guest architecture for tests of the engine: sixteen 64-bit registers, four vector registers,
 * flags, a mode byte that changes what code means, a flat page table per address space, one interrupt line.
 */
#ifndef BAILEY_TOY_GUEST_H
#define BAILEY_TOY_GUEST_H

#include "clock.h"
#include "cpu/cpu.h"
#include "memory.h"
#include "owner.h"

enum { TOY_REGS = 16, TOY_MAPS = 32, TOY_LINK = 14 };

/* An instruction word is op << 24 | d << 20 | a << 16 | imm16, with register b in the low bits of imm16. */
typedef enum ToyOp {
    TOY_UNDEF,
    TOY_MOVI,   /* d = imm */
    TOY_MOV,    /* d = a */
    TOY_ADDI,   /* d = a + simm; in mode 1: d = a + 2 * simm */
    TOY_ADD,    /* d = a + b */
    TOY_SUBS,   /* d = a - b, flags */
    TOY_CMPI,   /* flags of a - simm */
    TOY_BC,     /* if condition d: pc += simm * 4 */
    TOY_B,
    TOY_BL,
    TOY_BR,     /* pc = a */
    TOY_LD,     /* d = [a + simm] */
    TOY_ST,     /* [a + simm] = d */
    TOY_LDB,    /* d = sign-extended byte */
    TOY_STW,    /* 32 bits of d */
    TOY_LDPOST, /* d = [a], a += simm */
    TOY_STPRE,  /* a += simm, [a] = d */
    TOY_LDX,    /* d = [a + (b << 3)] */
    TOY_STX,
    TOY_LDQ,    /* v[d & 3] = 16 bytes [a + simm] */
    TOY_STQ,
    TOY_VADD,   /* v[d & 3] = v[a & 3] + v[b & 3], 32-bit lanes */
    TOY_SHADD,  /* d = a + (b << (imm >> 8 & 31)) */
    TOY_AND,    /* d = a & b, flags of it */
    TOY_ADDW,   /* d = zero-extended 32-bit sum */
    TOY_CSET,   /* d = 1 if condition a else 0 */
    TOY_CSEL,   /* d = condition imm >> 8 ? a : b */
    TOY_ADC,    /* d = a + b + C, flags */
    TOY_CBZ,    /* if a == 0: pc += simm * 4 */
    TOY_TBNZ,   /* if bit d of a: pc += simm * 4 */
    TOY_LDBE,   /* d = big-endian 32 bits [a], aligned */
    TOY_SWAP,   /* d = [a], [a] = b: a load with write intent, then the store */
    TOY_LDP,    /* d = [a + simm], (d + 1) % 15 = [a + simm + 8] */
    TOY_STP,
    TOY_STPPRE, /* a += simm, then as STP */
    TOY_MODE,   /* mode = imm */
    TOY_SYS,    /* TOY_SYS_* of imm */
    TOY_N_OPS
} ToyOp;

enum {
    TOY_SYS_WFI,
    TOY_SYS_TIME,     /* d = nanoseconds now */
    TOY_SYS_COUNT,    /* d = instructions executed */
    TOY_SYS_CALL,     /* exception */
    TOY_SYS_RETURN,   /* pc = epc, or after the instruction that faulted; interrupts on */
    TOY_SYS_SPACE,    /* address space = a */
    TOY_SYS_FLUSH_VA, /* TLB invalidation of the page of a */
    TOY_SYS_FLUSH,    /* of everything */
    TOY_SYS_IRQ_ON,
    TOY_SYS_TIMER,    /* timer at now + a */
    TOY_SYS_PC,       /* d = cpu_current_pc() */
    TOY_SYS_N,
};

#define TOY(op, d, a, imm) \
    ((uint32_t)(op) << 24 | (uint32_t)(d) << 20 | (uint32_t)(a) << 16 | ((uint32_t)(imm) & 0xffff))

typedef struct ToyMap {
    uint64_t va, pa, size;
    uint64_t space;
    bool     writable, device, no_exec, no_read, slow;
} ToyMap;

enum { TOY_CAUSE_NONE, TOY_CAUSE_UNDEF, TOY_CAUSE_CALL, TOY_CAUSE_TRANSLATION, TOY_CAUSE_ALIGN, TOY_CAUSE_BUS,
       TOY_CAUSE_IRQ };

/* What a run leaves behind; compared byte for byte. */
typedef struct ToyState {
    uint64_t v[4][2] __attribute__((aligned(16)));
    uint64_t x[TOY_REGS];
    uint64_t pc, epc, far, vector, space;
    uint32_t nzcv;
    uint8_t  mode, cause, irq_on, line;
    uint32_t exceptions, irqs;
} ToyState;

typedef struct ToyCpu {
    Cpu      cpu;
    ToyState s;
    ToyMap   map[TOY_MAPS];
    unsigned n_maps, n_fills;
    uint64_t restart, restart_size; /* where TOY_SYS_RETURN goes when it would leave the program; 0: nowhere */
    ClockTimer timer;
} ToyCpu;

extern const CpuGuest toy_guest;

/* A machine of one toy CPU with 16 MiB of RAM at 0 and a device at 1 GiB. */
typedef struct ToyMachine {
    Owners    *owners;
    Memory    *memory;
    Clock     *clock;
    CpuEngine *engine;
    ToyCpu    *cpu;
    MemRegion *ram, *device;
    uint64_t   reg[4];      /* of the device; a write to register 3 sets the timer that many ns ahead */
    uint64_t   read_time;   /* of the last read of register 1 */
    unsigned   n_reads, n_writes;
    bool       wake;        /* toy_run() ends every wait with an interrupt */
} ToyMachine;

enum { TOY_RAM_SIZE = 16 << 20 };
#define TOY_DEVICE_PA 0x40000000ull

ToyMachine *toy_machine_new(void);
void        toy_machine_free(ToyMachine *m);

/* Maps va to pa, RWX unless changed by the caller, in address space 0. */
ToyMap *toy_map(ToyMachine *m, uint64_t va, uint64_t pa, uint64_t size);

/* Writes instruction words to physical memory through memory_write(). */
void toy_load(ToyMachine *m, uint64_t pa, const uint32_t *words, size_t n);

/* A machine with @n words of code at TOY_CODE, where its CPU starts, data at TOY_DATA, both mapped flat, and at
 * TOY_VECTOR exceptions that wait for ever. */
enum { TOY_CODE = 0x10000, TOY_VECTOR = 0x18000, TOY_DATA = 0x20000 };
ToyMachine *toy_machine_flat(const uint32_t *code, size_t n);

/* Runs for @budget instructions with timers, in slices of at most @slice. Returns the last reason; stops
 * on WAIT when no timer is set. */
CpuStop toy_run(ToyMachine *m, uint64_t budget, uint64_t slice);

#endif
