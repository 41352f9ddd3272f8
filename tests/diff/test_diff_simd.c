/*
 * SIMD and floating-point instructions one at a time against the instruction oracle: every pattern of the
 * decoder's table with random fields, and random words of the whole encoding space, allocated or not.
 * Sequences of floating-point instructions over a few registers, with conditions on their results. Operands are
 * chosen lane by lane among the numbers at which arithmetic changes its mind, under all kinds of FPCR. All
 * registers, flags, FPSR and memory must agree bit for bit. Fixed seeds; BAILEY_DIFF_SEED=N gives others.
 */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/a64/fp.h"
#include "tests/diff/insn_run.h"

enum {
    BATCH = 15000,        /* cases for one run of the oracle */
    PER_PATTERN = 120,
    N_WORDS = 6 * BATCH,  /* random ones */
    BASE = 28, OFFSET = 27,
    SEQUENCE = 8,
    SHOWN = 12,           /* differences explained */
};

/* ---- operands ---- */

/* One lane of 8 << size bits. */
static uint64_t rnd_lane(unsigned size)
{
    static const uint8_t bytes[] = {
        0, 1, 2, 0x40, 0x7e, 0x7f, 0x80, 0x81, 0xff,
    };
    static const uint16_t halves[] = {
        0, 1, 0x7fff, 0x8000, 0xffff, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xfdff, 0x0400, 0x03ff,
        0x83ff, 0x7bff, 0x3bff, 0x6400, 0x3800, 0x5bff, 0x0801,
    };
    static const uint32_t words[] = {
        0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
        0x7f800001, 0xffbfffff, 0x00800000, 0x007fffff, 0x807fffff, 0x7f7fffff, 0x3f7fffff, 0x4b000000,
        0x3f000000, 0x4f000000, 0x5f000000, 0xcf000000, 0x33800000, 0x477fe000, 0x477ff000, 0x38800000,
        0x387fc000, 0x33000000,
    };
    static const uint64_t doubles[] = {
        0, 1, BIT(63) - 1, BIT(63), -1ull, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
        0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 0xfff7ffffffffffff, 0x0010000000000000,
        0x000fffffffffffff, 0x800fffffffffffff, 0x7fefffffffffffff, 0x3fefffffffffffff, 0x4330000000000000,
        0x3fe0000000000000, 0x41e0000000000000, 0xc1e0000000000000, 0x43e0000000000000, 0xc3e0000000000000,
        0x41efffffffe00000, 0x43f0000000000000, 0x47efffffe0000000, 0x47effffff0000000, 0x3810000000000000,
        0x380fffffe0000000, 0x3690000000000000, 0x3ca0000000000000,
    };
    uint64_t r = insn_rnd();

    if (r & 1) {
        return insn_rnd() >> (r & 2 ? 0 : r >> 8 & 63);
    }
    switch (size) {
    case 0:
        return bytes[(r >> 8) % ARRAY_LEN(bytes)];
    case 1:
        return halves[(r >> 8) % ARRAY_LEN(halves)];
    case 2:
        return words[(r >> 8) % ARRAY_LEN(words)];
    default:
        return doubles[(r >> 8) % ARRAY_LEN(doubles)];
    }
}

/* A number whose exponent is near that of one: sums and products that round instead of overflowing. */
static uint64_t rnd_near_one(unsigned size)
{
    uint64_t r = insn_rnd(), sign = r >> 63, e = r >> 8 & 31;

    switch (size) {
    case 1:
        return sign << 15 | (7 + (e & 15)) << 10 | (r >> 20 & 0x3ff);
    case 2:
        return sign << 31 | (111 + e) << 23 | (r >> 20 & 0x7fffff);
    case 3:
        return sign << 63 | (1007 + e) << 52 | (insn_rnd() & (r & 64 ? mask64(52) : mask64(20) << 32));
    default:
        return r & 0xff;
    }
}

/* An integer at an end of its range, or a count of a shift: two lanes are often such a pair as saturates. */
static uint64_t rnd_end(unsigned size)
{
    unsigned width = 8u << size;
    uint64_t r = insn_rnd(), least = BIT(width - 1);
    uint64_t ends[] = { least, least, least - 1, least + 1, least / 2, 0, 1, -1ull };

    return r & 8 ? ends[r & 7] : (r >> 8) % (4 * width) - 2 * width;
}

typedef enum Kind { LANES, NEAR_ONE, ENDS } Kind;

static uint64_t rnd_of_kind(Kind kind, unsigned size)
{
    return kind == LANES ? rnd_lane(size) : kind == NEAR_ONE ? rnd_near_one(size) : rnd_end(size);
}

static void rnd_vector(uint64_t v[2], Kind kind, unsigned size)
{
    unsigned width = 8u << size;

    for (unsigned i = 0; i < 128 / width; i++) {
        uint64_t *d = &v[i * width / 64];
        *d = deposit64(*d, i * width % 64, width, rnd_of_kind(kind, size));
    }
}

static uint32_t rnd_fpcr(void)
{
    uint64_t r = insn_rnd();

    return r & 1 ? (uint32_t)(r >> 8) & 0x07c80000 : 0;
}

static void rnd_state(InsnCase *c, unsigned n)
{
    InsnState *s = &c->in;
    uint64_t   r = insn_rnd();
    bool       ends = (r & 3) == 0; /* of lanes of one size, in all registers */

    for (unsigned i = 0; i < 31; i++) {
        s->x[i] = insn_rnd() & 1 ? insn_rnd_value() : rnd_lane(2 + (insn_rnd() & 1));
    }
    for (unsigned i = 0; i < 32; i++) {
        uint64_t v = insn_rnd();

        rnd_vector(s->v[i], ends ? ENDS : (v & 3) == 0 ? NEAR_ONE : LANES, ends ? r >> 2 & 3 : v >> 2 & 3);
        if (i > 0 && (insn_rnd() & 7) == 0) {
            memcpy(s->v[i], s->v[i - 1], sizeof(s->v[i]));
        }
    }
    s->x[BASE] = INSN_MIDDLE + (insn_rnd() & 63);
    s->x[OFFSET] = insn_rnd() & 255;
    s->sp = INSN_MIDDLE;
    s->pc = INSN_CODE_BASE + (uint64_t)n * sizeof(c->code);
    s->nzcv = (uint32_t)insn_rnd() & 0xf0000000;
    s->fpcr = rnd_fpcr();
    s->fpsr = insn_rnd() & 1 ? 0 : (uint32_t)insn_rnd() & (FPSR_IXC | FPSR_QC | FPSR_UFC);
}

/* ---- words ---- */

static bool is_structure(uint32_t insn) { return (insn & 0xbe000000) == 0x0c000000; }

/* Scalar floating point, AdvSIMD and cryptography; structures. */
static bool in_scope(uint32_t insn) { return (insn & 0x0e000000) == 0x0e000000 || is_structure(insn); }

/* A structure's base is BASE or SP; it moves by a number or by OFFSET. */
static uint32_t fit(uint32_t insn)
{
    if (!is_structure(insn)) {
        return insn;
    }
    insn = (uint32_t)deposit64(insn, 5, 5, insn_rnd() & 7 ? BASE : 31);
    if (insn & BIT(23) && (insn >> 16 & 31) != 31 && (insn_rnd() & 7)) {
        insn = (uint32_t)deposit64(insn, 16, 5, OFFSET);
    }
    return insn;
}

static void set_word(InsnCase *c, uint32_t insn)
{
    for (unsigned i = 0; i < INSN_WORDS; i++) {
        c->code[i] = i == 0 ? insn : INSN_BRK;
    }
}

/* ---- comparing ---- */

/* FJCVTZS of a positive denormal that is flushed clears Z; the oracle (7.2) leaves it set. */
static bool is_known(const InsnCase *c)
{
    uint64_t v = c->in.v[c->code[0] >> 5 & 31][0];

    return (c->code[0] & 0xfffffc00) == 0x1e7e0000 && (c->in.fpcr & FPCR_FZ) && v != 0 && v < BIT(52);
}

typedef struct Run {
    unsigned  n_words;    /* of a case */
    A64Box   *box;
    InsnCase *cases;
    unsigned  n;      /* in this batch */
    unsigned  n_done, n_bad, n_executed;
    bool      no_oracle;
} Run;

static void finish_batch(Run *r)
{
    InsnState *theirs = r->n != 0 && !r->no_oracle ? insn_run_oracle(r->cases, r->n) : NULL;

    r->no_oracle |= r->n != 0 && theirs == NULL;
    for (unsigned n = 0; theirs != NULL && n < r->n; n++) {
        InsnState ours;

        insn_run_here(r->box, &r->cases[n], n, &ours);
        if (!insn_same(&ours, &theirs[n]) && !is_known(&r->cases[n]) && r->n_bad++ < SHOWN) {
            insn_explain(&r->cases[n], n, r->n_words, &ours, &theirs[n]);
        }
        r->n_executed += ours.end == INSN_TRAP;
    }
    r->n_done += r->n;
    r->n = 0;
    g_free(theirs);
}

static void add_case(Run *r, uint32_t insn)
{
    InsnCase *c = &r->cases[r->n];

    set_word(c, insn);
    rnd_state(c, r->n);
    a64_box_code(r->box, c->in.pc, c->code, INSN_WORDS);
    if (++r->n == BATCH) {
        finish_batch(r);
    }
}

static void add_pattern(const A64Pattern *p, void *opaque)
{
    uint32_t mask, value;

    insn_constants(p->pattern, &mask, &value);
    for (unsigned i = 0; in_scope(value) && i < PER_PATTERN; i++) {
        uint32_t insn = fit(((uint32_t)insn_rnd() & ~mask) | value);
        if (!insn_is_open(insn)) {
            add_case(opaque, insn);
        }
    }
}

static void begin(Run *r, uint64_t seed)
{
    const char *more = g_getenv("BAILEY_DIFF_SEED");

    *r = (Run){ .n_words = 1, .box = insn_box_new(), .cases = g_new0(InsnCase, BATCH) };
    insn_seed = seed + (more != NULL ? g_ascii_strtoull(more, NULL, 0) : 0);
}

static void end(Run *r, const char *what)
{
    finish_batch(r);
    print_message("%u %s, %u of them executed\n", r->n_done, what, r->n_executed);
    if (!r->no_oracle) {
        insn_check_regions(r->box, r->n_executed);
    }
    a64_box_free(r->box);
    g_free(r->cases);
    if (r->no_oracle) {
        skip();
    }
    assert_int_equal(r->n_bad, 0);
}

static void test_every_pattern(void **state)
{
    Run r;

    begin(&r, 1);
    a64_pattern_foreach(add_pattern, &r);
    end(&r, "words of patterns");
}

static void test_random_words(void **state)
{
    Run r;

    begin(&r, 2);
    for (unsigned i = 0; i < N_WORDS; i++) {
        uint32_t insn = (uint32_t)insn_rnd();
        insn = fit(insn_rnd() & 7 ? insn | 0x0e000000 : (insn & 0x41ffffff) | 0x0c000000);
        if (!insn_is_open(insn)) {
            add_case(&r, insn);
        }
    }
    end(&r, "random words");
}

/* ---- sequences ---- */

typedef struct Choices {
    struct {
        const A64Pattern *pattern;
        uint32_t          mask, value;
    } v[512];
    unsigned n;
} Choices;

static void add_choice(const A64Pattern *p, void *opaque)
{
    Choices *c = opaque;
    bool     is_fp = p->name[0] == 'f' || strstr(p->name, "cvtf") != NULL;

    if (is_fp && strcmp(p->name, "fjcvtzs") != 0) {
        g_assert(c->n < ARRAY_LEN(c->v));
        c->v[c->n].pattern = p;
        insn_constants(p->pattern, &c->v[c->n].mask, &c->v[c->n].value);
        if (in_scope(c->v[c->n].value)) {
            c->n++;
        }
    }
}

/* What looks at flags: branches over an instruction, CSEL, CCMP, FCSEL, MRS of NZCV and FPSR. */
static uint32_t rnd_look(void)
{
    static const uint32_t words[] = {0x54000040, 0x9a800000, 0xfa400800, 0x1e600c00, 0xd53b4200, 0xd53b4420};
    uint64_t              r = insn_rnd();
    uint32_t              insn = words[(r >> 8) % ARRAY_LEN(words)], cond = r >> 16 & 15;

    if (insn == words[0]) {
        return insn | cond;
    }
    insn |= r >> 24 & 7;
    return insn >> 24 == 0xd5 ? insn : insn | (r >> 32 & 7) << 5 | (r >> 40 & 7) << 16 | cond << 12;
}

static uint32_t rnd_fp(const Choices *c)
{
    static const uint32_t few = ~(uint32_t)(24 | 24 << 5 | 24 << 16); /* registers 0 to 7 */

    for (;;) {
        unsigned i = insn_rnd() % c->n;
        uint32_t insn = ((uint32_t)insn_rnd() & few & ~c->v[i].mask) | c->v[i].value;

        if (a64_decode(insn, NULL) == c->v[i].pattern && !insn_is_open(insn)) {
            return insn;
        }
    }
}

static void test_sequences(void **state)
{
    static Choices choices;
    Run            r;

    begin(&r, 3);
    r.n_words = SEQUENCE;
    a64_pattern_foreach(add_choice, &choices);
    for (unsigned i = 0; i < 2 * BATCH; i++) {
        InsnCase *c = &r.cases[r.n];

        for (unsigned k = 0; k < INSN_WORDS; k++) {
            c->code[k] = k >= SEQUENCE ? INSN_BRK : insn_rnd() % 3 == 0 ? rnd_look() : rnd_fp(&choices);
        }
        rnd_state(c, r.n);
        c->in.fpcr = insn_rnd() & 7 ? 0 : c->in.fpcr;
        a64_box_code(r.box, c->in.pc, c->code, INSN_WORDS);
        if (++r.n == BATCH) {
            finish_batch(&r);
        }
    }
    end(&r, "sequences of floating point");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pattern),
        cmocka_unit_test(test_random_words),
        cmocka_unit_test(test_sequences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
