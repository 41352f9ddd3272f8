/*
 * Random A64 instruction sequences, made from the decoder's own pattern table, run here and on the
 * instruction oracle (an emulator of user programs); registers, flags and memory must agree. Fixed seeds.
 * Branches lead forward within the sequence. Left out: what depends on the system (exceptions, system registers other
 * than NZCV, FPCR and FPSR) or on keys.
 */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/a64/decode.h"
#include "tests/diff/insn_run.h"

enum {
    BASE = 28, INDEX = 27, /* registers that only loads and stores use, as base and as offset */
    TARGET = 24, CONTROL = 25, /* where indirect branches lead, what FPCR is set to */
    SEQUENCE = INSN_WORDS - 3,
    N_CASES = 8000,
};

/* ---- choosing instructions ---- */

typedef struct Choice {
    const A64Pattern *pattern;
    uint32_t          mask, value;
    unsigned          n; /* of its words that were chosen */
} Choice;

static GArray *choices; /* Choice */

/* Instructions of the system, and those that random_special() makes. */
static bool is_excluded(const A64Pattern *p)
{
    static const char *const names[] = {
        "svc", "hvc",  "smc", "brk", "hlt",     "udf", "eret", "br",  "blr",
        "ret", "hint", "msr", "mrs", "msr_imm", "sys", "sysl", "isb", "b",
        "fjcvtzs", /* test_diff_simd.c knows where the oracle is wrong */
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(p->name, names[i]) == 0) {
            return true;
        }
    }
    return p->feature != NULL && strcmp(p->feature, "FEAT_PAuth") == 0 && strcmp(p->name, "xpac") != 0;
}

static void add_choice(const A64Pattern *p, void *opaque)
{
    Choice c = { .pattern = p };

    if (!is_excluded(p)) {
        insn_constants(p->pattern, &c.mask, &c.value);
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

/* Registers with a role may not be the destination of anything. */
static uint32_t spare(uint32_t insn, unsigned lsb)
{
    unsigned reg = insn >> lsb & 31;

    return reg >= TARGET && reg <= BASE ? put_field(insn, lsb, 5, reg - 10) : insn;
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
            insn = Rt == (insn >> 10 & 31) ? put_field(insn, 10, 5, (Rt + 1) % TARGET) : insn;
        } else {
            insn = put_field(insn, 10, 5, 31);
        }
        if (!(insn & BIT(23)) && !(insn & BIT(21))) { /* LDXR, STXR: status apart from all others */
            insn = put_field(insn, 16, 5, insn & BIT(22) ? 31 : 26);
        }
    } else if ((insn & 0x3a000000) == 0x28000000) {
        insn = put_field(spare(insn, 10), 15, 7, (insn >> 15 & 31) - 16);
        insn = Rt == (insn >> 10 & 31) ? put_field(insn, 10, 5, (Rt + 1) % TARGET) : insn;
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
        Choice  *c = &g_array_index(choices, Choice, insn_rnd() % choices->len);
        uint32_t insn = ((uint32_t)insn_rnd() & ~c->mask) | c->value;

        insn = spare(insn, 0);
        if (is_literal(insn)) {
            insn = put_field(insn, 5, 19, insn_rnd() & 1); /* from the code around */
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
        if (a64_decode(insn, NULL) == c->pattern && !insn_is_open(insn)) {
            c->n++;
            return insn;
        }
    }
}

/* Branches from word @at, @target being where TARGET leads; registers of the system; hints and barriers. */
static uint32_t random_special(unsigned at, unsigned target)
{
    static const uint32_t branches[] = { 0x14000000, 0x94000000 };             /* B, BL */
    static const uint32_t indirect[] = { 0xd61f0000, 0xd63f0000, 0xd65f0000 }; /* BR, BLR, RET */
    static const uint32_t registers[] = {
        0xd53b4200, 0xd51b4200, 0xd53b4400, 0xd53b4420, /* MRS and MSR NZCV; MRS FPCR, FPSR */
    };
    static const uint32_t quiet[] = {
        0xd503201f, 0xd503203f, 0xd503209f, 0xd50320bf, 0xd503229f,             /* NOP, YIELD, SEV, SEVL, CSDB */
        0xd5033bbf, 0xd5033fdf, 0xd5033f9f, 0xd50330ff, 0xd51b4400 | CONTROL,   /* DMB, ISB, DSB, SB; MSR FPCR */
        0xd51b443f,                                                             /* MSR FPSR, XZR */
    };
    uint64_t r = insn_rnd();

    switch (r & 3) {
    case 0:
        return branches[r >> 8 & 1] | (1 + (r >> 9 & 1));
    case 1:
        return at < target ? indirect[(r >> 8) % 3] | TARGET << 5 : quiet[0];
    case 2:
        return spare(registers[r >> 8 & 3] | (r >> 16 & 31), 0);
    default:
        return quiet[(r >> 8) % ARRAY_LEN(quiet)];
    }
}

/* ---- cases ---- */

static void random_state(InsnState *s, unsigned n, bool aligned)
{
    for (unsigned i = 0; i < 31; i++) {
        s->x[i] = insn_rnd_value();
    }
    for (unsigned i = 0; i < 32; i++) {
        s->v[i][0] = insn_rnd_value();
        s->v[i][1] = insn_rnd_value();
    }
    s->x[BASE] = INSN_MIDDLE + (aligned ? 16 * (insn_rnd() & 7) : insn_rnd() & 63);
    s->x[INDEX] = insn_rnd() & 31;
    s->sp = INSN_MIDDLE;
    s->pc = INSN_CODE_BASE + (uint64_t)n * 4 * INSN_WORDS;
    s->nzcv = (uint32_t)insn_rnd() & 0xf0000000;
    s->fpcr = insn_rnd() & 1 ? 0 : (uint32_t)insn_rnd() & 0x07c80000;
    s->fpsr = 0;
}

static void random_case(InsnCase *c, unsigned n)
{
    bool     aligned = insn_rnd() & 1;
    unsigned target = 1 + insn_rnd() % SEQUENCE;

    random_state(&c->in, n, aligned);
    c->in.x[TARGET] = c->in.pc + 4 * target;
    c->in.x[CONTROL] = insn_rnd() & 0x07c80000;
    for (unsigned i = 0; i < INSN_WORDS; i++) {
        c->code[i] = i >= SEQUENCE           ? INSN_BRK
                     : insn_rnd() % 12 == 0 ? random_special(i, target)
                                             : random_insn(aligned);
        /* A store-exclusive that belongs to the load before it. */
        if (i > 0 && i < SEQUENCE && is_exclusive(c->code[i - 1]) &&
            (c->code[i - 1] & 0x00c00000) == 0x00400000) {
            c->code[i] = put_field(c->code[i - 1] & ~(uint32_t)BIT(22), 16, 5, 26);
        }
    }
}

/* Every encoding of the decoder's table took part, but for those whose words are all left open. */
static void check_coverage(void)
{
    unsigned n_missing = 0;

    for (guint i = 0; i < choices->len; i++) {
        const Choice *c = &g_array_index(choices, Choice, i);

        if (c->n < 10) {
            print_error("only %u words of %s: %s\n", c->n, c->pattern->name, c->pattern->pattern);
            n_missing++;
        }
    }
    assert_int_equal(n_missing, 0);
}

static void test_random_sequences(void **state)
{
    InsnCase *cases = g_new0(InsnCase, N_CASES);
    A64Box   *box = insn_box_new();
    unsigned  n_bad = 0;

    choices = g_array_new(FALSE, FALSE, sizeof(Choice));
    a64_pattern_foreach(add_choice, NULL);
    insn_seed = 1;
    for (unsigned n = 0; n < N_CASES; n++) {
        random_case(&cases[n], n);
        a64_box_code(box, cases[n].in.pc, cases[n].code, INSN_WORDS);
    }
    InsnState *theirs = insn_run_oracle(cases, N_CASES);
    if (theirs == NULL) {
        skip();
    }
    for (unsigned n = 0; n < N_CASES; n++) {
        InsnState ours;

        insn_run_here(box, &cases[n], n, &ours);
        if (!insn_same(&ours, &theirs[n]) && n_bad++ < 10) {
            insn_explain(&cases[n], n, SEQUENCE, &ours, &theirs[n]);
        }
    }
    print_message("%u sequences of %u instructions from %u patterns\n", N_CASES, SEQUENCE, choices->len);
    insn_check_regions(box, N_CASES);
    check_coverage();
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
