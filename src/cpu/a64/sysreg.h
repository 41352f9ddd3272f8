/*
 * System registers: one table. Each row says the encoding, who may access it, where it is kept and what is
 * special. Rows register themselves from any file (the GIC's CPU interface lives with the GIC), and a start-
 * up check refuses two rows with one encoding.
 */
#ifndef BAILEY_A64_SYSREG_H
#define BAILEY_A64_SYSREG_H

#include "cpu/a64/a64.h"

/* op0 2 or 3, op1, CRn, CRm, op2 packed as in the instruction, bits 15:0. */
#define A64_SYSREG_ENC(op0, op1, crn, crm, op2) \
    ((uint32_t)((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2)))

/* The answer of an access check: fine, UNDEFINED, or trapped with EC 0x18 to a level. */
typedef enum A64Access { A64_OK, A64_UNDEF, A64_TRAP_EL1, A64_TRAP_EL2, A64_TRAP_EL3 } A64Access;

typedef struct A64Sysreg A64Sysreg;

struct A64Sysreg {
    const char *name;
    uint32_t    enc;
    uint8_t     min_el;       /* lowest level that may read */
    uint8_t     min_el_write; /* lowest level that may write; 9: read-only (write is UNDEFINED) */
    int32_t     offset;       /* of a uint64_t in A64Cpu, -1: nowhere */
    uint64_t    reset;        /* cold reset value */
    uint64_t    mask;         /* writable bits; the others keep their value. 0 means all for a writable register */
    uint8_t     effects;      /* SYSREG_*: what a write disturbs */
    A64Access (*access)(A64Cpu *cpu, const A64Sysreg *r, bool write); /* traps beyond min_el; NULL: none */
    uint64_t  (*read)(A64Cpu *cpu, const A64Sysreg *r);
    void      (*write)(A64Cpu *cpu, const A64Sysreg *r, uint64_t value);
    uint32_t    e2h_enc;      /* with HCR_EL2.E2H at EL2 this encoding reaches that register instead; 0: no */
    uint32_t    alias;        /* another name (_EL12, _EL02) of that encoding, with checks of its own; 0: no */
};

/* A register without offset and without read function reads as its reset value. One without a write function
 * and without offset ignores writes. */

enum {
    SYSREG_PLAIN = 0,
    SYSREG_CONTEXT = 1,   /* translation context: select anew, leave the block */
    SYSREG_TIME = 2,      /* needs exact time, or a read changes the CPU's state */
    SYSREG_IRQ = 4,       /* may change interrupt state: look at interrupts after the instruction */
    SYSREG_KEY = 8,       /* changes what the block key is made of */
    SYSREG_MEMORY = 16,   /* reads or writes guest memory */
    SYSREG_ACTS = 64,     /* a read acts (acknowledges, draws a number): not for those who only look */
    SYSREG_TLB = 32,      /* drops translations: the next instruction is fetched anew */
};

#define A64_SYSREG(ident, ...)                                                                       \
    static const A64Sysreg sysreg_##ident = { __VA_ARGS__ };                                         \
    static const A64Sysreg *const sysreg_##ident##_ptr                                               \
        __attribute__((used, section("bailey_a64_sysregs"))) = &sysreg_##ident

/* Access checks other files may share: the trap of HCR_EL2 that covers ID group 3 and the like is in
 * sysreg.c. */

/* a64_sysreg_check - every fault of the table as sentences; returns their number (0: sound). */
int a64_sysreg_check(void (*report)(const char *sentence, void *opaque), void *opaque);

/* The register of an encoding, or NULL (UNDEFINED). */
const A64Sysreg *a64_sysreg_find(uint32_t enc);
const A64Sysreg *a64_sysreg_by_name(const char *name);

/* Raw access by a model or a debugger: no traps, no checks; side effects happen. */
uint64_t a64_sysreg_get(A64Cpu *cpu, const A64Sysreg *r);
void     a64_sysreg_set(A64Cpu *cpu, const A64Sysreg *r, uint64_t value);

/* a64_sysreg_shown - whether a debugger shows it: it can be read, that changes nothing, and it is no second name. */
bool a64_sysreg_shown(const A64Sysreg *r);

/* a64_sysreg_peek, a64_sysreg_poke - the same for a debugger, between instructions: the stack pointer in use is in its
 * register, too, and what is derived of registers follows. False: it cannot be written, or not at this level. */
uint64_t a64_sysreg_peek(A64Cpu *cpu, const A64Sysreg *r);
bool     a64_sysreg_poke(A64Cpu *cpu, const A64Sysreg *r, uint64_t value);

/* MRS and MSR as the instruction does them: traps and UNDEFINED included. False: an exception was raised.
 * Rt number @rt is for the syndrome. */
bool a64_mrs(A64Cpu *cpu, uint32_t enc, unsigned rt, uint64_t *value);
bool a64_msr(A64Cpu *cpu, uint32_t enc, unsigned rt, uint64_t value);

/* SYS instructions (IC, DC, AT, TLBI) come through the same table with op0 = 1. */
#define A64_SYS_ENC(op1, crn, crm, op2) A64_SYSREG_ENC(1, op1, crn, crm, op2)

void a64_sysreg_foreach(void (*fn)(const A64Sysreg *r, void *opaque), void *opaque);

#endif
