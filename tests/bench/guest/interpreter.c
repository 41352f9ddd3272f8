/* Interpreters: one bytecode through a switch and through computed jumps, and a tree that is walked. */
#include "bench.h"

typedef enum Op { PUSH, LOAD, STORE, ADD, SUB, MUL, MOD, LESS, JUMP_IF_NOT, JUMP, HALT } Op;

/* i = 0; while (i < 1000) { s = (s * 31 + i * i) % 32749; if (s < 9000) s = s + 7; i = i + 1; } */
enum { S, I };
static const int16_t code[] = {
    PUSH, 0, STORE, I,                                                      /* 0 */
    LOAD, I, PUSH, 1000, LESS, JUMP_IF_NOT, 50,                             /* 4 */
    LOAD, S, PUSH, 31, MUL, LOAD, I, LOAD, I, MUL, ADD, PUSH, 32749, MOD,   /* 11 */
    STORE, S, LOAD, S, PUSH, 9000, LESS, JUMP_IF_NOT, 41,                   /* 25 */
    LOAD, S, PUSH, 7, ADD, STORE, S,                                        /* 34 */
    LOAD, I, PUSH, 1, ADD, STORE, I,                                        /* 41 */
    JUMP, 4,                                                                /* 48 */
    HALT,                                                                   /* 50 */
};

static __attribute__((noinline)) int64_t run_switch(const int16_t *p, int64_t s)
{
    int64_t stack[16], *sp = stack, vars[2] = {s, 0};

    for (;;) {
        switch ((Op)*p++) {
        case PUSH: *sp++ = *p++; break;
        case LOAD: *sp++ = vars[*p++]; break;
        case STORE: vars[*p++] = *--sp; break;
        case ADD: sp--; sp[-1] += sp[0]; break;
        case SUB: sp--; sp[-1] -= sp[0]; break;
        case MUL: sp--; sp[-1] *= sp[0]; break;
        case MOD: sp--; sp[-1] %= sp[0]; break;
        case LESS: sp--; sp[-1] = sp[-1] < sp[0]; break;
        case JUMP_IF_NOT: p = *--sp != 0 ? p + 1 : code + *p; break;
        case JUMP: p = code + *p; break;
        case HALT: return vars[S];
        }
    }
}

#define NEXT goto *labels[*p++]

static __attribute__((noinline)) int64_t run_threaded(const int16_t *p, int64_t s)
{
    static const void *const labels[] = {&&push, &&load, &&store,    &&add,  &&sub, &&mul,
                                         &&mod,  &&less, &&jump_not, &&jump, &&halt};
    int64_t                  stack[16], *sp = stack, vars[2] = {s, 0};

    NEXT;
push: *sp++ = *p++; NEXT;
load: *sp++ = vars[*p++]; NEXT;
store: vars[*p++] = *--sp; NEXT;
add: sp--; sp[-1] += sp[0]; NEXT;
sub: sp--; sp[-1] -= sp[0]; NEXT;
mul: sp--; sp[-1] *= sp[0]; NEXT;
mod: sp--; sp[-1] %= sp[0]; NEXT;
less: sp--; sp[-1] = sp[-1] < sp[0]; NEXT;
jump_not: p = *--sp != 0 ? p + 1 : code + *p; NEXT;
jump: p = code + *p; NEXT;
halt: return vars[S];
}

static uint64_t by_switch(uint64_t n)
{
    int64_t s = 1;

    while (n-- > 0) {
        s = run_switch(code, s);
    }
    return (uint64_t)s;
}

static uint64_t threaded(uint64_t n)
{
    int64_t s = 1;

    while (n-- > 0) {
        s = run_threaded(code, s);
    }
    return (uint64_t)s;
}

typedef struct Node {
    enum { NUMBER, VARIABLE, SUM, PRODUCT, DIFFERENCE, CHOICE } kind;
    int64_t      value;
    struct Node *a, *b, *c;
} Node;

enum { NODES = 4096 };
static Node     nodes[NODES];
static unsigned n_nodes;

/* A random expression of a given depth. */
static Node *grow(unsigned depth, uint32_t *seed)
{
    Node *e = &nodes[n_nodes++];

    e->kind = depth == 0 ? next_random(seed) % 2 : SUM + next_random(seed) % 4;
    e->value = next_random(seed) % 100;
    if (depth > 0) {
        e->a = grow(depth - 1, seed);
        e->b = grow(depth - 1, seed);
        e->c = e->kind == CHOICE ? grow(depth - 1, seed) : NULL;
    }
    return e;
}

static int64_t evaluate(const Node *e, int64_t x)
{
    switch (e->kind) {
    case NUMBER: return e->value;
    case VARIABLE: return x + e->value;
    case SUM: return (evaluate(e->a, x) + evaluate(e->b, x)) & 0xffffff;
    case PRODUCT: return (evaluate(e->a, x) * evaluate(e->b, x)) & 0xffffff;
    case DIFFERENCE: return (evaluate(e->a, x) - evaluate(e->b, x)) & 0xffffff;
    default: return evaluate(e->a, x) & 1 ? evaluate(e->b, x) : evaluate(e->c, x);
    }
}

static uint64_t walk(uint64_t n)
{
    uint32_t seed = 10;
    uint64_t sum = 0;
    Node    *root;

    n_nodes = 0;
    root = grow(7, &seed);
    for (uint64_t i = 0; i < n; i++) {
        sum = mix(sum, (uint64_t)evaluate(root, (int64_t)i));
    }
    return sum;
}

const Program interpreter_programs[] = {
    { "interpreter", "bytecode-switch", by_switch, 500 },
    { "interpreter", "bytecode-goto", threaded, 500 },
    { "interpreter", "tree-walk", walk, 40000 },
    { NULL },
};
