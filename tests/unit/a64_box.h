/*
 * A CPU for tests of instructions: 2 MiB of code memory and 2 MiB of data memory, identity-mapped as Normal
 * memory in the EL2&0 regime (E2H, TGE), read-only code. Code runs at EL0 or EL2 until an exception, which
 * the box catches as a firmware model would.
 */
#ifndef BAILEY_TESTS_A64_BOX_H
#define BAILEY_TESTS_A64_BOX_H

#include "cpu/a64/a64.h"

enum {
    BOX_CODE = 0x10000000,
    BOX_CODE_SIZE = 0x200000 - 0x3000, /* the rest holds the tables */
    BOX_DATA = 0x18000000,
    BOX_DATA_SIZE = 0x200000,
};

typedef struct A64Box {
    Owners    *owners;
    Memory    *memory;
    Clock     *clock;
    CpuEngine *engine;
    A64Cpu    *cpu;
    uint8_t   *code, *data; /* host view */
    A64Exception exc;       /* what ended the last run */
    bool         caught;
} A64Box;

A64Box *a64_box_new(void);
void    a64_box_free(A64Box *box);

/* a64_box_code - put instructions at an address of the code memory. */
void a64_box_code(A64Box *box, uint64_t pc, const uint32_t *words, size_t n);

/**
 * a64_box_enter - PSTATE and pc for the next run.
 * @el: 0 or 2 (with its own stack pointer)
 */
void a64_box_enter(A64Box *box, unsigned el, uint64_t pc);

/* a64_box_run - run until an exception or for @budget instructions; whether there was one (box->exc). */
bool a64_box_run(A64Box *box, uint64_t budget);

/* EC of the exception caught. */
static inline unsigned a64_box_ec(const A64Box *box) { return box->exc.esr >> 26 & 0x3f; }

#endif
