#include "tests/diff/insn_run.h"

#include <assert.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"

static_assert((int)INSN_CODE_BASE == (int)BOX_CODE && (int)INSN_SCRATCH == (int)BOX_DATA, "one address map");

/* ---- random numbers ---- */

uint64_t insn_seed;

uint64_t insn_rnd(void)
{
    insn_seed += 0x9e3779b97f4a7c15ull;
    uint64_t z = (insn_seed ^ insn_seed >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

uint64_t insn_rnd_value(void)
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
    uint64_t r = insn_rnd();

    switch (r & 7) {
    case 0: case 1: case 2:
        return special[(r >> 8) % ARRAY_LEN(special)];
    case 3:
        return insn_rnd() >> (r >> 8 & 63);
    case 4:
        return special[(r >> 8) % ARRAY_LEN(special)] << 32 | special[(r >> 16) % ARRAY_LEN(special)];
    default:
        return insn_rnd();
    }
}

/* ---- words ---- */

void insn_constants(const char *pattern, uint32_t *mask, uint32_t *value)
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

static const struct {
    uint32_t    mask, value;
    const char *why;
} open_words[] = {
    { 0xfffffc00, 0x1e634000, "BFCVT: no FEAT_BF16 here" },
    { 0xbffffc00, 0x0ea16800, "BFCVTN" },
    { 0xbfe0fc00, 0x2e40fc00, "BFDOT" },
    { 0xbfe0fc00, 0x2ec0fc00, "BFMLALB, BFMLALT" },
    { 0xffe0fc00, 0x6e40ec00, "BFMMLA" },
    { 0xbf40f400, 0x0f40f000, "BFDOT, BFMLALB, BFMLALT (by element)" },
    { 0xffe08000, 0xce400000, "SM3SS1: no FEAT_SM3 here" },
    { 0xffe0c000, 0xce408000, "SM3TT1A .. SM3TT2B" },
    { 0xffe0f000, 0xce60c000, "SM3PARTW1, SM3PARTW2; SM4EKEY: no FEAT_SM4 here" },
    { 0xfffffc00, 0xcec08400, "SM4E" },
    { 0xdffffc00, 0x5ef8f800, "FABS, FNEG (scalar, half): unallocated; the oracle (7.2) aborts" },
    { 0xfffffc00, 0x7ef9f800, "FSQRT (scalar, half, as a SIMD instruction): the same" },
    { 0xbffffc00, 0x0ef9f800, "FRECPX (vector, half): the same" },
    { 0xff7ffc00, 0x5e70c800, "FMAXNMP, FMINNMP (scalar, half): the oracle (7.2) does not look at sz" },
    { 0xff7ffc00, 0x5e70d800, "FADDP" },
    { 0xff7ffc00, 0x5e70f800, "FMAXP, FMINP" },
    { 0xbf7ffc00, 0x0e70c800, "FMAXNMV, FMINNMV (half): the same" },
    { 0xbf7ffc00, 0x0e70f800, "FMAXV, FMINV" },
    { 0xfff0fc00, 0x5f10fc00, "FCVTZS (scalar, fixed-point, half): the oracle (7.2) extends the sign; see test_fp.c" },
    { 0xbff8fc00, 0x2f00fc00, "FMOV (vector, immediate): the oracle (7.2) does not look at op" },
};

bool insn_is_open(uint32_t insn)
{
    for (size_t i = 0; i < ARRAY_LEN(open_words); i++) {
        if ((insn & open_words[i].mask) == open_words[i].value) {
            return true;
        }
    }
    return false;
}

/* ---- the two sides ---- */

A64Box *insn_box_new(void)
{
    A64Box *box = a64_box_new();

    box->cpu->el2.tcr |= BIT(37); /* TBI0: as user programs have it */
    return box;
}

InsnState *insn_run_oracle(const InsnCase *cases, unsigned n)
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
    print_message("skipped: no oracle; install qemu-user and gcc-aarch64-linux-gnu, then run cmake again\n");
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

static void run_once(A64Box *box, const InsnCase *c, unsigned n, InsnState *out)
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

void insn_run_here(A64Box *box, const InsnCase *c, unsigned n, InsnState *out)
{
    const char *hot = g_getenv("BAILEY_TEST_HOT");
    unsigned    more = hot != NULL ? (unsigned)g_ascii_strtoull(hot, NULL, 0) + 2 : 0;

    run_once(box, c, n, out);
    for (unsigned i = 0; i < more; i++) {
        InsnState again;

        run_once(box, c, n, &again);
        again.end = insn_same(out, &again) ? again.end : INSN_CHANGED;
        *out = again;
    }
}

void insn_check_regions(const A64Box *box, unsigned n)
{
    CpuEngineStats stats;

    cpu_engine_stats(box->engine, &stats);
    if (g_getenv("BAILEY_TEST_HOT") != NULL) {
        print_message("%" PRIu64 " regions\n", stats.regions);
        assert_true(stats.regions > n / 2);
    }
}

/* ---- comparing ---- */

static void print_case(const InsnCase *c, unsigned n, unsigned n_words)
{
    char text[160];

    print_error("case %u:\n", n);
    for (unsigned i = 0; i < n_words; i++) {
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

bool insn_same(const InsnState *a, const InsnState *b)
{
    return memcmp(a->x, b->x, sizeof(a->x)) == 0 && memcmp(a->v, b->v, sizeof(a->v)) == 0 && a->sp == b->sp &&
           a->pc == b->pc && a->nzcv == b->nzcv && a->fpcr == b->fpcr && a->fpsr == b->fpsr &&
           a->end == b->end && a->memory == b->memory;
}

void insn_explain(const InsnCase *c, unsigned n, unsigned n_words, const InsnState *ours,
                  const InsnState *theirs)
{
    print_case(c, n, n_words);
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
