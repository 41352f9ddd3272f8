/*
 * Speed of the engine alone: toy guest loops, million guest instructions per second. Not a test.
 */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#include "bits.h"
#include "toy_guest.h"

enum { CODE = 0x10000, DATA = 0x20000 };

typedef struct Bench {
    const char *name;
    uint32_t    code[24];
    unsigned    n;
} Bench;

#define LOOP_END(back) TOY(TOY_SUBS, 8, 8, 9), TOY(TOY_BC, IR_COND_NZ, 0, -(back))

static const Bench benches[] = {
    { "add, subtract, branch", { TOY(TOY_ADD, 1, 1, 2), LOOP_END(2) }, 3 },
    { "arithmetic, 10 a loop",
      { TOY(TOY_ADD, 1, 1, 2), TOY(TOY_SHADD, 3, 1, 3 << 8 | 2), TOY(TOY_ADDW, 4, 3, 1), TOY(TOY_AND, 5, 4, 3),
        TOY(TOY_ADDI, 1, 1, 7), TOY(TOY_CSEL, 6, 4, IR_COND_Z << 8 | 3), TOY(TOY_ADD, 2, 6, 5), TOY(TOY_ADDI, 7, 7, 1),
        LOOP_END(9) }, 10 },
    { "loads and stores",
      { TOY(TOY_LD, 1, 10, 0), TOY(TOY_LD, 2, 10, 8), TOY(TOY_ADD, 1, 1, 2), TOY(TOY_ST, 1, 10, 16),
        TOY(TOY_LDX, 3, 10, 12), TOY(TOY_ADD, 4, 3, 4), TOY(TOY_ST, 4, 10, 24), LOOP_END(8) }, 9 },
    { "copy with post-index",
      { TOY(TOY_ADDI, 3, 10, 0), TOY(TOY_LDPOST, 1, 3, 8), TOY(TOY_LDPOST, 2, 3, 8), TOY(TOY_ST, 1, 11, 0),
        TOY(TOY_ST, 2, 11, 8), LOOP_END(6) }, 7 },
    { "call and return",
      { TOY(TOY_BL, 0, 0, 4), TOY(TOY_SUBS, 8, 8, 9), TOY(TOY_BC, IR_COND_NZ, 0, -2), TOY(TOY_B, 0, 0, -3),
        TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BR, 0, 14, 0) }, 6 },
    { "short blocks",
      { TOY(TOY_TBNZ, 0, 8, 3), TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_B, 0, 0, 2), TOY(TOY_ADDI, 2, 2, 1), LOOP_END(5) }, 6 },
};

static void measure(const Bench *b, uint64_t insns)
{
    ToyMachine *m = toy_machine_new();
    uint64_t    used;
    int64_t     t;
    double      best = 0;

    toy_map(m, 0, 0, TOY_RAM_SIZE);
    toy_load(m, CODE, b->code, b->n);
    m->cpu->s.pc = CODE;
    m->cpu->s.x[9] = 1;
    m->cpu->s.x[10] = DATA;
    m->cpu->s.x[11] = DATA + 0x800;
    m->cpu->s.x[8] = 1ull << 60;
    for (unsigned i = 0; i < 5; i++) {
        t = g_get_monotonic_time();
        cpu_run(&m->cpu->cpu, 0, insns, &used);
        t = g_get_monotonic_time() - t;
        best = MAX(best, (double)used / (double)t);
    }
    printf("%-24s %7.0f million instructions per second\n", b->name, best);
    toy_machine_free(m);
}

int main(int argc, char **argv)
{
    uint64_t insns = argc > 1 ? g_ascii_strtoull(argv[1], NULL, 10) : 50000000;

    for (size_t i = 0; i < ARRAY_LEN(benches); i++) {
        measure(&benches[i], insns);
    }
    return 0;
}
