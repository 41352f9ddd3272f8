/* Calls, returns, calls through pointers, and ways past the returns. */
#include <setjmp.h>

#include "bench.h"

#define NOINLINE __attribute__((noinline, noclone))

static NOINLINE uint64_t fib_of(uint64_t n) { return n < 2 ? n : fib_of(n - 1) + fib_of(n - 2); }

static uint64_t fib(uint64_t n)
{
    uint64_t sum = 0;

    while (n-- > 0) {
        sum = mix(sum, fib_of(20));
    }
    return sum;
}

static NOINLINE uint64_t ackermann_of(uint64_t m, uint64_t n)
{
    return m == 0 ? n + 1 : ackermann_of(m - 1, n == 0 ? 1 : ackermann_of(m, n - 1));
}

static uint64_t ackermann(uint64_t n)
{
    uint64_t sum = 0;

    while (n-- > 0) {
        sum = mix(sum, ackermann_of(2, 40 + n % 4));
    }
    return sum;
}

typedef uint64_t Step(uint64_t v);

static uint64_t step_add(uint64_t v) { return v + 0x9e37; }
static uint64_t step_xor(uint64_t v) { return v ^ v << 7; }
static uint64_t step_shift(uint64_t v) { return v ^ v >> 9; }
static uint64_t step_multiply(uint64_t v) { return v * 0x2545f491; }
static uint64_t step_rotate(uint64_t v) { return v << 13 | v >> 51; }
static uint64_t step_negate(uint64_t v) { return ~v; }
static uint64_t step_swap(uint64_t v) { return __builtin_bswap64(v); }
static uint64_t step_subtract(uint64_t v) { return v - 0x79b9; }

static Step *const volatile steps[8] = {step_add,    step_xor,    step_shift, step_multiply,
                                        step_rotate, step_negate, step_swap,  step_subtract};

/* A sequence that an indirect predictor can learn. */
static uint64_t dispatch(uint64_t n)
{
    uint64_t v = 1;

    for (uint64_t i = 0; i < n; i++) {
        v = steps[(i ^ i >> 3) & 7](v);
    }
    return v;
}

/* And one that it cannot. */
static uint64_t dispatch_random(uint64_t n)
{
    uint64_t v = 1;

    for (uint64_t i = 0; i < n; i++) {
        v = mix(v, i);
        v = steps[v >> 61](v);
    }
    return v;
}

/* Objects with methods of their kind. */
typedef struct Shape Shape;
typedef struct ShapeKind {
    int64_t (*area)(const Shape *s);
    void (*grow)(Shape *s, int64_t by);
} ShapeKind;
struct Shape {
    const ShapeKind *kind;
    int64_t          a, b;
};

static int64_t square_area(const Shape *s) { return s->a * s->a; }
static void    square_grow(Shape *s, int64_t by) { s->a = (s->a + by) & 0xffff; }
static int64_t box_area(const Shape *s) { return s->a * s->b; }
static void    box_grow(Shape *s, int64_t by) { s->b = (s->b ^ by) & 0xffff; }
static int64_t ring_area(const Shape *s) { return 3 * (s->a * s->a - s->b * s->b); }
static void    ring_grow(Shape *s, int64_t by) { s->a = (s->a + 2 * by) & 0xffff; }

static uint64_t methods(uint64_t n)
{
    static const ShapeKind kinds[] = {{square_area, square_grow}, {box_area, box_grow}, {ring_area, ring_grow}};
    static Shape           shapes[512];
    uint32_t               seed = 9;
    int64_t                sum = 0;

    for (unsigned i = 0; i < 512; i++) {
        shapes[i] = (Shape){&kinds[next_random(&seed) % 3], i, i / 2};
    }
    while (n-- > 0) {
        for (unsigned i = 0; i < 512; i++) {
            Shape *s = &shapes[i];

            sum += s->kind->area(s);
            s->kind->grow(s, sum & 15);
        }
    }
    return (uint64_t)sum;
}

/* 256 functions over some pages of code, in random order. */
#define FUNCTION(k)                                            \
    static NOINLINE uint64_t f##k(uint64_t a)                  \
    {                                                          \
        a = a * (0x##k * 2654435761u | 1) + 0x##k##5;          \
        a += (a & 8) != 0 ? a >> 7 : a << 3;                   \
        for (unsigned i = 0; i < (a & 3); i++) {               \
            a = a * 5 + (a >> 11);                             \
        }                                                      \
        return a;                                              \
    }
#define NAME(k) f##k,
#define OF_16(what, k)                                                                                      \
    what(k##0) what(k##1) what(k##2) what(k##3) what(k##4) what(k##5) what(k##6) what(k##7) what(k##8)      \
    what(k##9) what(k##a) what(k##b) what(k##c) what(k##d) what(k##e) what(k##f)
#define OF_256(what)                                                                                        \
    OF_16(what, 0) OF_16(what, 1) OF_16(what, 2) OF_16(what, 3) OF_16(what, 4) OF_16(what, 5)               \
    OF_16(what, 6) OF_16(what, 7) OF_16(what, 8) OF_16(what, 9) OF_16(what, a) OF_16(what, b)               \
    OF_16(what, c) OF_16(what, d) OF_16(what, e) OF_16(what, f)

OF_256(FUNCTION)

static uint64_t many(uint64_t n)
{
    static uint64_t (*const functions[])(uint64_t) = { OF_256(NAME) };
    uint32_t seed = 45;
    uint64_t sum = 1;

    while (n-- > 0) {
        sum = functions[next_random(&seed) % 256](sum);
    }
    return sum;
}

/* Exceptions as C has them. */
static jmp_buf caught;

static NOINLINE void throw(unsigned depth, int what)
{
    if (depth == 0) {
        longjmp(caught, what);
    }
    throw(depth - 1, what);
    __asm__ volatile(""); /* no tail call */
}

static uint64_t unwind(uint64_t n)
{
    volatile uint64_t sum = 0, left = n;

    while (left-- > 0) {
        int what = setjmp(caught);

        if (what == 0) {
            throw(3, 1 + (int)(left % 7));
        }
        sum += (unsigned)what;
    }
    return sum;
}

const Program calls_programs[] = {
    { "calls", "fib", fib, 1000 },
    { "calls", "ackermann", ackermann, 6000 },
    { "calls", "dispatch", dispatch, 10000000 },
    { "calls", "dispatch-random", dispatch_random, 5000000 },
    { "calls", "methods", methods, 6000 },
    { "calls", "many-functions", many, 2500000 },
    { "calls", "unwind", unwind, 700000 },
    { NULL },
};
