/*
 * The A64 pattern table: sound in itself, and against another decoder on random instruction words. What the
 * other decoder does not know yet, and what this CPU leaves out on purpose, are the two lists below.
 */
#include <capstone/capstone.h>
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/a64/decode.h"
#include "cpu/ir/block.h"

/* ---- the table itself ---- */

static void print_fault(const char *sentence, void *opaque)
{
    print_error("%s\n", sentence);
}

static void test_table_is_sound(void **state)
{
    assert_int_equal(a64_decoder_check(print_fault, NULL), 0);
}

/* An independent reading of a pattern's constant bits. */
static void constants(const char *pattern, uint32_t *mask, uint32_t *value)
{
    char   **tokens = g_strsplit(pattern, " ", -1);
    unsigned at = 32;
    static const struct {
        const char *name;
        unsigned    bits;
    } widths[] = {
#define X(name, bits) { #name, bits },
        A64_FIELDS(X)
#undef X
    };

    *mask = *value = 0;
    for (char **t = tokens; *t != NULL; t++) {
        if (strspn(*t, "01") == strlen(*t)) {
            for (const char *bit = *t; *bit != '\0'; bit++) {
                at--;
                *mask |= 1u << at;
                *value |= (uint32_t)(*bit - '0') << at;
            }
            continue;
        }
        for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
            at -= strcmp(widths[i].name, *t) == 0 ? widths[i].bits : 0;
        }
    }
    assert_int_equal(at, 0);
    g_strfreev(tokens);
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 32);
}

/* Each pattern is reached by the words it describes, unless a more specific one takes them. */
static void check_pattern(const A64Pattern *p, void *opaque)
{
    uint64_t seed = g_str_hash(p->pattern);
    uint32_t mask, value;
    bool     reached = false;

    constants(p->pattern, &mask, &value);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t          insn = (next_random(&seed) & ~mask) | value;
        A64Fields         f;
        const A64Pattern *got = a64_decode(insn, &f);

        assert_non_null(got);
        assert_int_equal(f.insn, insn);
        reached |= got == p;
    }
    if (!reached) {
        fail_msg("no random word of pattern %s reaches it", p->name);
    }
}

static void test_patterns_are_reached(void **state)
{
    a64_pattern_foreach(check_pattern, NULL);
}

static void test_fields(void **state)
{
    static const struct {
        uint32_t    insn;
        const char *text;
    } rows[] = {
        { 0x91000420, "addsub_imm sf=1 op=0 S=0 sh=0 imm12=1 Rn=1 Rd=0" },
        { 0x7100043f, "addsub_imm sf=0 op=1 S=1 sh=0 imm12=1 Rn=1 Rd=31" },
        { 0xa9bf7bfd, "ldst_pair opc=2 idx=3 L=0 imm7=126 Rt2=30 Rn=31 Rt=29" },
        { 0x54000040, "b_cond imm19=2 cond=0" },
        { 0xd53bd041, "mrs o0=1 op1=3 CRn=13 CRm=0 op2=2 Rt=1" },
        { 0xffffffff, "undefined 0xffffffff" },
    };
    char text[160];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        a64_disassemble(0, rows[i].insn, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
    a64_disassemble(0, rows[0].insn, text, 8); /* a short buffer is filled and ended */
    assert_string_equal(text, "addsub_");
}

/* ---- against another decoder ---- */

/* What our table has and that decoder, being older, lacks. */
static const char *const unknown_features[] = {
    "FEAT_LSE", "FEAT_LRCPC", "FEAT_LRCPC2", "FEAT_PAuth", "FEAT_FlagM", "FEAT_FlagM2", NULL,
};

/* What that decoder reads and is UNDEFINED here: by mnemonic, and why. */
static const struct {
    const char *mnemonic, *why;
} left_out[] = {
    { "hlt", "halting is not allowed: no external debugger" },
    { "dcps1", "no Debug state" },
    { "dcps2", "no Debug state" },
    { "dcps3", "no Debug state" },
};

/*
 * Words whose decoding the architecture leaves open (CONSTRAINED UNPREDICTABLE), or that the other decoder
 * reads where nothing is allocated.
 */
static bool is_open(uint32_t insn)
{
    unsigned Rt = insn & 31, Rn = insn >> 5 & 31, Rt2 = insn >> 10 & 31;
    bool     load = insn & BIT(22);

    if ((insn & 0x3f000000) == 0x08000000) {
        /* Exclusives: should-be-one fields, and a pair into one register. */
        bool pair = insn & BIT(21);
        return (insn >> 16 & 31) != 31 || (pair ? load && Rt == Rt2 : Rt2 != 31);
    }
    if ((insn & 0x3a000000) == 0x28000000) {
        bool wback = insn & BIT(23);
        return (load && Rt == Rt2) || (wback && Rn != 31 && !(insn & BIT(26)) && (Rn == Rt || Rn == Rt2));
    }
    if ((insn & 0x3f200000) == 0x38000000 && (insn & 0xc00) != 0) {
        return Rn != 31 && Rn == Rt; /* post- and pre-indexed; that decoder refuses LDTR as well */
    }
    /* System instructions with op0 0 other than hints, barriers and PSTATE. */
    return (insn & 0xffd80000) == 0xd5000000;
}

typedef struct Sweep {
    csh      cs;
    IrBlock *block;
    A64Cpu  *cpu;
    GHashTable *seen; /* sentences already printed */
    unsigned n_words, n_differ;
} Sweep;

/* Whether the translation of a word is more than the UNDEFINED exception. */
static bool is_defined(Sweep *s, uint32_t insn, const A64Pattern **p)
{
    uint8_t code[4] = { (uint8_t)insn, (uint8_t)(insn >> 8), (uint8_t)(insn >> 16), (uint8_t)(insn >> 24) };

    *p = a64_decode(insn, NULL);
    ir_block_reset(s->block, a64_regs, A64_N_REGS);
    a64_translate(&s->cpu->cpu, s->block, 0x10000, 1, code, 4, 1, 0);
    char why[200];
    if (!ir_verify(s->block, why, sizeof(why))) {
        fail_msg("0x%08x (%s): %s", insn, *p == NULL ? "none" : (*p)->name, why);
    }
    for (unsigned i = 1; i < s->block->n; i++) {
        const IrNode *n = &s->block->node[i];
        if (n->op == IR_call && strcmp(n->helper->name, "undefined") == 0) {
            return false;
        }
    }
    return true;
}

static bool listed(const char *const *list, const char *name)
{
    for (; *list != NULL; list++) {
        if (name != NULL && strcmp(*list, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_left_out(const char *mnemonic)
{
    for (size_t i = 0; i < ARRAY_LEN(left_out); i++) {
        if (strcmp(mnemonic, left_out[i].mnemonic) == 0) {
            return true;
        }
    }
    return false;
}

static void differ(Sweep *s, uint32_t insn, const char *who, const char *name)
{
    char *key = g_strdup_printf("%s %s", who, name);

    s->n_differ++;
    if (g_hash_table_add(s->seen, key)) {
        print_error("0x%08x: only %s decodes it, as %s\n", insn, who, name);
    }
}

static void compare(Sweep *s, uint32_t insn)
{
    const A64Pattern *p;
    uint8_t  code[4] = { (uint8_t)insn, (uint8_t)(insn >> 8), (uint8_t)(insn >> 16), (uint8_t)(insn >> 24) };
    cs_insn *cs = NULL;
    bool     ours = is_defined(s, insn, &p);
    bool     theirs = cs_disasm(s->cs, code, 4, 0x10000, 1, &cs) == 1;

    s->n_words++;
    if (ours && !theirs && !listed(unknown_features, p->feature)) {
        differ(s, insn, "we", p->name);
    }
    if (theirs && !ours && !is_left_out(cs->mnemonic)) {
        differ(s, insn, "the other", cs->mnemonic);
    }
    if (theirs) {
        cs_free(cs, 1);
    }
}

/* Base instructions and scalar loads and stores: not SIMD&FP data processing, not LD1 and its kin. */
static bool in_scope(uint32_t insn)
{
    unsigned op0 = insn >> 25 & 15;

    return op0 >= 4 && op0 != 7 && op0 != 15 && (insn & 0xbe000000) != 0x0c000000 && !is_open(insn);
}

static void compare_pattern(const A64Pattern *p, void *opaque)
{
    Sweep   *s = opaque;
    uint64_t seed = g_str_hash(p->name);
    uint32_t mask, value;

    constants(p->pattern, &mask, &value);
    for (unsigned i = 0; i < 400; i++) {
        uint32_t insn = (next_random(&seed) & ~mask) | value;
        if (in_scope(insn)) {
            compare(s, insn);
        }
    }
}

static void test_against_capstone(void **state)
{
    Sweep    s = { .block = ir_block_new(a64_regs, A64_N_REGS), .cpu = g_new0(A64Cpu, 1) };
    uint64_t seed = 1;

    assert_int_equal(cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, &s.cs), CS_ERR_OK);
    s.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    a64_pattern_foreach(compare_pattern, &s);
    while (s.n_words < 300000) {
        uint32_t insn = next_random(&seed);
        if (in_scope(insn)) {
            compare(&s, insn);
        }
    }
    print_message("%u words compared\n", s.n_words);
    cs_close(&s.cs);
    g_hash_table_destroy(s.seen);
    g_free(s.cpu);
    ir_block_free(s.block);
    assert_int_equal(s.n_differ, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_patterns_are_reached),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_against_capstone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
