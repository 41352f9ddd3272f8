/*
 * Random A64 instruction sequences, made from the decoder's own pattern table, run here and on the
 * instruction oracle (an emulator of user programs); registers, flags and memory must agree. Fixed seeds.
 * Left out: what depends on the system (exceptions, system registers), on an address of the program, or on
 * keys.
 */
#include <assert.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/a64/decode.h"
#include "tests/diff/insn_case.h"
#include "tests/unit/a64_box.h"

static_assert((int)INSN_CODE_BASE == (int)BOX_CODE && (int)INSN_SCRATCH == (int)BOX_DATA, "one address map");

enum {
    BASE = 28, INDEX = 27, /* registers that only loads and stores use, as base and as offset */
    SEQUENCE = INSN_WORDS - 3,
    N_CASES = 8000,
};

/* ---- random numbers ---- */

static uint64_t seed;

static uint64_t rnd(void)
{
    seed += 0x9e3779b97f4a7c15ull;
    uint64_t z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* Numbers at which arithmetic changes its mind are as likely as all others. */
static uint64_t rnd_value(void)
{
    static const uint64_t special[] = {
        0,
        1,
        -1ull,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        BIT(63),
        ~BIT(63),
        0x3f800000,
        0xbf800000,
        0x7f800000,
        0x7fc00001,
        0x7f800001,
        0x00000001,
        0x00800000,
        0x3ff0000000000000,
        0x7ff0000000000000,
        0xfff8000000000001,
        0x7ff0000000000001,
        0x0010000000000000,
        0x3c007c00fc017e00,
        0x7fc000007f800000,
        0x4f0000005f000000,
        0x3f8000003f800000,
    };
    uint64_t r = rnd();

    switch (r & 7) {
    case 0: case 1: case 2:
        return special[(r >> 8) % ARRAY_LEN(special)];
    case 3:
        return rnd() >> (r >> 8 & 63);
    case 4:
        return special[(r >> 8) % ARRAY_LEN(special)] << 32 | special[(r >> 16) % ARRAY_LEN(special)];
    default:
        return rnd();
    }
}

/* ---- choosing instructions ---- */

typedef struct Choice {
    const A64Pattern *pattern;
    uint32_t          mask, value;
} Choice;

static GArray *choices; /* Choice */

/* Instructions of the system, and those whose result is not the program's alone. */
static bool is_excluded(const A64Pattern *p)
{
    static const char *const names[] = {
        "svc", "hvc",  "smc", "brk", "hlt",     "udf", "eret", "br",  "blr",
        "ret", "hint", "msr", "mrs", "msr_imm", "sys", "sysl", "isb", "b",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(p->name, names[i]) == 0) {
            return true;
        }
    }
    return p->feature != NULL && strcmp(p->feature, "FEAT_PAuth") == 0 && strcmp(p->name, "xpac") != 0;
}

static void constants(const char *pattern, uint32_t *mask, uint32_t *value)
{
    static const struct {
        const char *name;
        unsigned    bits;
    } widths[] = {
#define X(name, bits) { #name, bits },
        A64_FIELDS(X)
#undef X
    };
    char   **tokens = g_strsplit(pattern, " ", -1);
    unsigned at = 32;

    *mask = *value = 0;
    for (char **t = tokens; *t != NULL; t++) {
        if (strspn(*t, "01") == strlen(*t)) {
            for (const char *bit = *t; *bit != '\0'; bit++) {
                at--;
                *mask |= 1u << at;
                *value |= (uint32_t)(*bit - '0') << at;
            }
        }
        for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
            at -= strcmp(widths[i].name, *t) == 0 ? widths[i].bits : 0;
        }
    }
    g_strfreev(tokens);
}

static void add_choice(const A64Pattern *p, void *opaque)
{
    Choice c = { .pattern = p };

    if (!is_excluded(p)) {
        constants(p->pattern, &c.mask, &c.value);
        g_array_append_val(choices, c);
    }
}

static bool is_memory(uint32_t insn) { return (insn & 0x0a000000) == 0x08000000; }
static bool is_exclusive(uint32_t insn) { return (insn & 0x3f000000) == 0x08000000; }
static bool is_literal(uint32_t insn) { return (insn & 0x3b000000) == 0x18000000; }
static bool is_structure(uint32_t insn) { return (insn & 0xbe000000) == 0x0c000000; }

/* LDAPUR and its kin. */
static bool is_unscaled_ordered(uint32_t insn) { return (insn & 0x3f200c00) == 0x19000000; }

static uint32_t put_field(uint32_t insn, unsigned lsb, unsigned len, uint32_t v)
{
    return (uint32_t)deposit64(insn, lsb, len, v);
}

/* Neither the base nor the offset register of memory accesses may be the destination of anything. */
static uint32_t spare(uint32_t insn, unsigned lsb)
{
    unsigned reg = insn >> lsb & 31;

    return reg == BASE || reg == INDEX || reg == INDEX - 1 ? put_field(insn, lsb, 5, reg - 10) : insn;
}

/* Base register, offsets within reach, no transferred register twice (CONSTRAINED UNPREDICTABLE). */
static uint32_t fit_memory(uint32_t insn)
{
    unsigned Rt = insn & 31;

    insn = put_field(insn, 5, 5, BASE);
    if (is_exclusive(insn)) {
        bool pair = (insn & BIT(21)) && !(insn & BIT(23)) && (insn & BIT(31));
        insn = spare(insn, 16);
        if (pair) {
            insn = put_field(spare(insn, 10), 16, 5, 26);
            insn = Rt == (insn >> 10 & 31) ? put_field(insn, 10, 5, (Rt + 1) % 26) : insn;
        } else {
            insn = put_field(insn, 10, 5, 31);
        }
        if (!(insn & BIT(23)) && !(insn & BIT(21))) { /* LDXR, STXR: status apart from all others */
            insn = put_field(insn, 16, 5, insn & BIT(22) ? 31 : 26);
        }
    } else if ((insn & 0x3a000000) == 0x28000000) {
        insn = put_field(spare(insn, 10), 15, 7, (insn >> 15 & 31) - 16);
        insn = Rt == (insn >> 10 & 31) ? put_field(insn, 10, 5, (Rt + 1) % 26) : insn;
    } else if ((insn & 0x3b200c00) == 0x38200000) {
        insn =
            (insn & 0xfc00) == 0xc000 ? put_field(insn, 16, 5, 31) : spare(insn, 16); /* LDAPR, atomics: Rs */
    } else if ((insn & 0x3b200c00) == 0x38200800 || is_structure(insn)) {
        insn = put_field(insn, 16, 5, is_structure(insn) && !(insn & BIT(23)) ? 0 : INDEX);
    } else if ((insn & 0x3b000000) == 0x39000000) {
        insn = put_field(insn, 10, 12, insn >> 10 & 63);
    } else if (is_unscaled_ordered(insn)) {
        insn = put_field(insn, 12, 4, 0);
    }
    return insn;
}

/* A branch goes over the next instruction or to it. */
static uint32_t fit_branch(uint32_t insn)
{
    bool     tbz = (insn & 0x7e000000) == 0x36000000;
    uint32_t offset = 1 + (insn >> 5 & 1);

    return tbz ? put_field(insn, 5, 14, offset) : put_field(insn, 5, 19, offset);
}

static bool is_branch(uint32_t insn)
{
    return (insn & 0x7c000000) == 0x34000000 || (insn & 0xff000010) == 0x54000000;
}

static uint32_t random_insn(bool aligned)
{
    for (;;) {
        const Choice *c = &g_array_index(choices, Choice, rnd() % choices->len);
        uint32_t      insn = ((uint32_t)rnd() & ~c->mask) | c->value;

        insn = spare(insn, 0);
        if (is_literal(insn)) {
            insn = put_field(insn, 5, 19, rnd() & 1); /* from the code around */
        } else if (is_memory(insn)) {
            bool writes_back = (insn & 0x3b200400) == 0x38000400 || (insn & 0x3a800000) == 0x28800000 ||
                               (is_structure(insn) && (insn & BIT(23)));
            bool atomic =
                is_exclusive(insn) || (insn & 0x3b200c00) == 0x38200000 || is_unscaled_ordered(insn);
            bool stgp = (insn & 0xfe400000) == 0x68000000; /* the oracle has memory tagging */
            if (stgp || (aligned ? writes_back : atomic)) {
                continue;
            }
            insn = fit_memory(insn);
        } else if (is_branch(insn)) {
            insn = fit_branch(insn);
        } else if ((insn & 0xfff8f01f) == 0xd500401f) {
            insn = put_field(insn, 8, 4, 0); /* CFINV, AXFLAG, XAFLAG: CRm should be zero */
        }
        if (a64_decode(insn, NULL) == c->pattern) {
            return insn;
        }
    }
}

/* ---- cases ---- */

static void random_state(InsnState *s, unsigned n, bool aligned)
{
    for (unsigned i = 0; i < 31; i++) {
        s->x[i] = rnd_value();
    }
    for (unsigned i = 0; i < 32; i++) {
        s->v[i][0] = rnd_value();
        s->v[i][1] = rnd_value();
    }
    s->x[BASE] = INSN_MIDDLE + (aligned ? 16 * (rnd() & 7) : rnd() & 63);
    s->x[INDEX] = rnd() & 31;
    s->sp = INSN_MIDDLE;
    s->pc = INSN_CODE_BASE + (uint64_t)n * 4 * INSN_WORDS;
    s->nzcv = (uint32_t)rnd() & 0xf0000000;
    s->fpcr = rnd() & 1 ? 0 : (uint32_t)rnd() & 0x07c80000;
    s->fpsr = 0;
}

static void random_case(InsnCase *c, unsigned n)
{
    bool aligned = rnd() & 1;

    random_state(&c->in, n, aligned);
    for (unsigned i = 0; i < INSN_WORDS; i++) {
        c->code[i] = i < SEQUENCE ? random_insn(aligned) : INSN_BRK;
        /* A store-exclusive that belongs to the load before it. */
        if (i > 0 && i < SEQUENCE && is_exclusive(c->code[i - 1]) &&
            (c->code[i - 1] & 0x00c00000) == 0x00400000) {
            c->code[i] = put_field(c->code[i - 1] & ~(uint32_t)BIT(22), 16, 5, 26);
        }
    }
}

/* ---- the two sides ---- */

static InsnState *run_oracle(const InsnCase *cases, unsigned n)
{
#ifdef INSN_ORACLE_PROGRAM
    char   *dir = g_dir_make_tmp("bailey-insn-XXXXXX", NULL);
    char   *in = g_build_filename(dir, "in", NULL), *out = g_build_filename(dir, "out", NULL);
    char *argv[] = {INSN_ORACLE_EMULATOR, "-cpu", "max,sve=off,sme=off", INSN_ORACLE_PROGRAM, in, out, NULL};
    char   *data = NULL;
    size_t  len = 0;
    int     status = 0;

    assert_true(g_file_set_contents(in, (const char *)cases, (gssize)(n * sizeof(*cases)), NULL));
    assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, NULL));
    assert_int_equal(status, 0);
    assert_true(g_file_get_contents(out, &data, &len, NULL));
    assert_int_equal(len, n * sizeof(InsnState));
    g_unlink(in);
    g_unlink(out);
    g_rmdir(dir);
    g_free(in);
    g_free(out);
    g_free(dir);
    return (InsnState *)(void *)data;
#else
    return NULL;
#endif
}

static void enter(A64Box *box, const InsnState *in, unsigned n)
{
    A64Cpu *cpu = box->cpu;

    a64_box_enter(box, 0, in->pc);
    memcpy(cpu->x, in->x, sizeof(cpu->x));
    memcpy(cpu->v, in->v, sizeof(cpu->v));
    cpu->sp = in->sp;
    cpu->nzcv = in->nzcv >> 28;
    cpu->fpcr = in->fpcr;
    cpu->fpsr = in->fpsr;
    insn_fill((uint64_t *)(void *)box->data, n);
}

static uint32_t end_of(const A64Box *box)
{
    switch (a64_box_ec(box)) {
    case 0x3c:
        return INSN_TRAP;
    case 0x00:
        return INSN_ILL;
    case 0x24:
        return (box->exc.esr & 0x3f) == 0x21 ? INSN_BUS : INSN_SEGV;
    default:
        return 0;
    }
}

static void run_here(A64Box *box, const InsnCase *c, unsigned n, InsnState *out)
{
    enter(box, &c->in, n);
    bool ended = a64_box_run(box, 100);
    memcpy(out->x, box->cpu->x, sizeof(out->x));
    memcpy(out->v, box->cpu->v, sizeof(out->v));
    out->sp = box->cpu->sp;
    out->pc = box->exc.return_pc;
    out->nzcv = box->cpu->nzcv << 28;
    out->fpcr = box->cpu->fpcr;
    out->fpsr = box->cpu->fpsr;
    out->end = ended ? end_of(box) : 0;
    out->memory = insn_checksum((const uint64_t *)(const void *)box->data);
}

/* ---- comparing ---- */

static void print_case(const InsnCase *c, unsigned n)
{
    char text[160];

    print_error("case %u:\n", n);
    for (unsigned i = 0; i < SEQUENCE; i++) {
        a64_disassemble(0, c->code[i], text, sizeof(text));
        print_error("  %08x  %s\n", c->code[i], text);
    }
}

static unsigned say(const char *what, unsigned i, uint64_t in, uint64_t ours, uint64_t theirs)
{
    if (ours == theirs) {
        return 0;
    }
    print_error("  %s%u: 0x%" PRIx64 " became 0x%" PRIx64 ", the oracle has 0x%" PRIx64 "\n", what, i, in,
                ours, theirs);
    return 1;
}

/* With @print off only whether the two differ. */
static bool same(const InsnState *a, const InsnState *b)
{
    return memcmp(a->x, b->x, sizeof(a->x)) == 0 && memcmp(a->v, b->v, sizeof(a->v)) == 0 && a->sp == b->sp &&
           a->pc == b->pc && a->nzcv == b->nzcv && a->fpcr == b->fpcr && a->fpsr == b->fpsr &&
           a->end == b->end && a->memory == b->memory;
}

static void explain(const InsnCase *c, unsigned n, const InsnState *ours, const InsnState *theirs)
{
    print_case(c, n);
    for (unsigned i = 0; i < 31; i++) {
        say("x", i, c->in.x[i], ours->x[i], theirs->x[i]);
    }
    for (unsigned i = 0; i < 64; i++) {
        say(i & 1 ? "high v" : "low v", i / 2, c->in.v[i / 2][i & 1], ours->v[i / 2][i & 1],
            theirs->v[i / 2][i & 1]);
    }
    say("sp", 0, c->in.sp, ours->sp, theirs->sp);
    say("pc", 0, c->in.pc, ours->pc, theirs->pc);
    say("nzcv", 0, c->in.nzcv, ours->nzcv, theirs->nzcv);
    say("fpcr", 0, c->in.fpcr, ours->fpcr, theirs->fpcr);
    say("fpsr", 0, c->in.fpsr, ours->fpsr, theirs->fpsr);
    say("end", 0, 0, ours->end, theirs->end);
    say("memory", 0, 0, ours->memory, theirs->memory);
}

static void test_random_sequences(void **state)
{
    InsnCase *cases = g_new0(InsnCase, N_CASES);
    A64Box   *box = a64_box_new();
    unsigned  n_bad = 0;

    box->cpu->el2.tcr |= BIT(37); /* TBI0: as user programs have it */
    choices = g_array_new(FALSE, FALSE, sizeof(Choice));
    a64_pattern_foreach(add_choice, NULL);
    seed = 1;
    for (unsigned n = 0; n < N_CASES; n++) {
        random_case(&cases[n], n);
        a64_box_code(box, cases[n].in.pc, cases[n].code, INSN_WORDS);
    }
    InsnState *theirs = run_oracle(cases, N_CASES);
    if (theirs == NULL) {
        print_message(
            "skipped: no oracle; install qemu-user and gcc-aarch64-linux-gnu, then run cmake again\n");
        skip();
    }
    for (unsigned n = 0; n < N_CASES; n++) {
        InsnState ours;

        run_here(box, &cases[n], n, &ours);
        if (!same(&ours, &theirs[n]) && n_bad++ < 10) {
            explain(&cases[n], n, &ours, &theirs[n]);
        }
    }
    print_message("%u sequences of %u instructions from %u patterns\n", N_CASES, SEQUENCE, choices->len);
    g_array_free(choices, TRUE);
    g_free(theirs);
    g_free(cases);
    a64_box_free(box);
    assert_int_equal(n_bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_sequences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
