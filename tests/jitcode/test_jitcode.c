/*
 * The machine code that snippets.S becomes once it is hot, against what is committed: a loss of quality shows in
 * review. Listings are the same on every host: code for the baseline of x86-64 only; places by name; no addresses. With
 * BAILEY_JITCODE_UPDATE=1 (tests/jitcode/update) the files are written instead.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/decode.h"
#include "cpu/engine.h"
#include "cpu/ir/block.h"
#include "cpu/jit/jit_int.h"
#include "tests/unit/a64_box.h"

enum { NAME_LEN = 28, WORDS_MAX = 64, RUNS = 5000, BUDGET = 1 << 20 };

typedef struct Snippet {
    char     name[NAME_LEN + 1];
    uint32_t word[WORDS_MAX];
    unsigned n, loop; /* instructions, those before the loop */
} Snippet;

/* ---- snippets ---- */

/* The next of the file; false at its end. */
static bool next_snippet(const uint8_t **p, const uint8_t *end, Snippet *s)
{
    *p += 4; /* the zero before it */
    if (end - *p < NAME_LEN + 4) {
        return false;
    }
    *s = (Snippet){ 0 };
    memcpy(s->name, *p, NAME_LEN);
    s->loop = le32_get(*p + NAME_LEN);
    *p += NAME_LEN + 4;
    for (; le32_get(*p) != 0; *p += 4) {
        assert_true(s->n < WORDS_MAX);
        s->word[s->n++] = le32_get(*p);
    }
    return true;
}

static void set_registers(A64Cpu *cpu)
{
    const uint64_t x[] = { RUNS, BOX_DATA, BOX_DATA + 0x40000, BOX_DATA + 0x80000, 1, 7 };

    memcpy(cpu->x, x, sizeof(x));
    cpu->sp = BOX_DATA + 0xf0000;
    for (unsigned i = 0; i < 64; i++) {
        cpu->v[i / 2][i & 1] = i < 16 ? 0x3f8000003f800000 : 0x3ff0000000000000;
    }
}

/* ---- listings ---- */

/* What is at an offset from the Cpu. */
static char *place_name(int64_t off)
{
    static const struct {
        const char *name;
        size_t      offset, size, unit;
    } parts[] = {
#define PART(field, unit) { #field, offsetof(Cpu, field), sizeof(((Cpu *)0)->field), unit }
        PART(left, 8), PART(fp_used, 1), PART(next_pc, 8), PART(exit_at, 8), PART(flags_how, 4), PART(flags_a, 8),
        PART(flags_b, 8),
        PART(tlb, 8), PART(saved.gpr, 8), PART(saved.xmm, 16), PART(constant, 16), PART(temp, 16),
        PART(heat, sizeof(((Cpu *)0)->heat)),
#undef PART
    };

    for (size_t i = 0; i < A64_N_REGS; i++) {
        const IrReg *r = &a64_regs[i];
        size_t       size = r->type == IR_FLAGS ? 4 : ir_type_bits(r->type) / 8;

        if ((uint64_t)(off - r->offset) < size) {
            return off == r->offset ? g_strdup(r->name) : g_strdup_printf("%s+%" PRId64, r->name, off - r->offset);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        uint64_t at = (uint64_t)off - parts[i].offset;

        if (at < parts[i].size) {
            uint64_t unit = parts[i].unit, rest = at % unit;

            return parts[i].size == unit ? g_strdup(parts[i].name)
                   : rest == 0 ? g_strdup_printf("%s%" PRIu64, parts[i].name, at / unit)
                               : g_strdup_printf("%s%" PRIu64 "+%" PRIu64, parts[i].name, at / unit, rest);
        }
    }
    return g_strdup("other");
}

/* "[rbp + 0x123]" as "[x5]". */
static gboolean name_place(const GMatchInfo *m, GString *to, gpointer opaque)
{
    char   *sign = g_match_info_fetch(m, 1), *digits = g_match_info_fetch(m, 2);
    int64_t off = digits != NULL ? (int64_t)g_ascii_strtoull(digits, NULL, 0) : 0;
    char   *name = place_name((sign != NULL && *sign == '-' ? -off : off) + JIT_BASE);

    g_string_append_printf(to, "[%s]", name);
    g_free(name);
    g_free(sign);
    g_free(digits);
    return FALSE;
}

/* Addresses of the program and of libraries are in the upper part of the lower half. */
static gboolean name_address(const GMatchInfo *m, GString *to, gpointer opaque)
{
    char    *text = g_match_info_fetch(m, 0);
    uint64_t v = g_ascii_strtoull(text, NULL, 0);

    g_string_append(to, v >= 0x500000000000 && v < 0x800000000000 ? "ADDRESS" : text);
    g_free(text);
    return FALSE;
}

static char *replace(char *text, const char *pattern, GRegexEvalCallback fn)
{
    GRegex *regex = g_regex_new(pattern, 0, 0, NULL);
    char   *result = g_regex_replace_eval(regex, text, -1, 0, 0, fn, NULL, NULL);

    g_regex_unref(regex);
    g_free(text);
    return result;
}

/* The offset that a jump or call within the code leads to; -1: it is something else. */
static int64_t target_of(const char *insn)
{
    const char *space = strchr(insn, ' ');

    if ((insn[0] != 'j' && strncmp(insn, "call", 4) != 0) || space == NULL || strncmp(space + 1, "0x", 2) != 0) {
        return -1;
    }
    return (int64_t)g_ascii_strtoull(space + 1, NULL, 0);
}

static const char *insn_of(const char *line) { return strchr(line, ':') + 2; }
static gpointer    offset_of(const char *line) { return GINT_TO_POINTER((int)strtol(line, NULL, 16)); }

/* Jumps to other blocks are those that were linked. */
static void print_jump(const char *insn, gpointer label, FILE *out)
{
    fprintf(out, "    %.*s ", (int)strcspn(insn, " "), insn);
    if (label != NULL) {
        fprintf(out, "L%u\n", GPOINTER_TO_UINT(label));
    } else {
        fputs("linked\n", out);
    }
}

/* Lines "OFFSET: INSTRUCTION" without offsets, with labels. */
static void print_host(char *text, FILE *out)
{
    char      **lines = g_strsplit(text, "\n", -1);
    GHashTable *labels = g_hash_table_new(NULL, NULL);
    unsigned    n = 0;

    for (char **l = lines; *l != NULL && **l != '\0'; l++) {
        int64_t to = target_of(insn_of(*l));

        if (to >= 0) {
            g_hash_table_insert(labels, GINT_TO_POINTER((int)to), NULL);
        }
    }
    for (char **l = lines; *l != NULL && **l != '\0'; l++) { /* numbered in order of place */
        if (g_hash_table_contains(labels, offset_of(*l))) {
            g_hash_table_insert(labels, offset_of(*l), GUINT_TO_POINTER(++n));
        }
    }
    for (char **l = lines; *l != NULL && **l != '\0'; l++) {
        const char *insn = insn_of(*l);
        gpointer    label = g_hash_table_lookup(labels, offset_of(*l));
        int64_t     to = target_of(insn);

        if (label != NULL) {
            fprintf(out, "L%u:\n", GPOINTER_TO_UINT(label));
        }
        if (to >= 0) {
            print_jump(insn, g_hash_table_lookup(labels, GINT_TO_POINTER((int)to)), out);
        } else {
            char *named = replace(g_strdup(insn), "\\[rbp(?: ([+-]) (0x[0-9a-f]+|[0-9]+))?\\]", name_place);

            named = replace(named, "0x[0-9a-f]{12}\\b", name_address);
            fprintf(out, "    %s\n", g_strchomp(named));
            g_free(named);
        }
    }
    g_hash_table_destroy(labels);
    g_strfreev(lines);
}

static char *listing(const Snippet *s)
{
    A64Box *box = a64_box_new();
    Cpu    *cpu = &box->cpu->cpu;
    char   *text = NULL, *code = NULL;
    size_t  len;
    FILE   *out = open_memstream(&text, &len), *raw;

    a64_box_code(box, BOX_CODE, s->word, s->n);
    set_registers(box->cpu);
    a64_box_run(box, BUDGET);
    if (!box->caught || a64_box_ec(box) != 0x3c) {
        fail_msg("%s did not end with its BRK", s->name);
    }
    a64_box_enter(box, 0, BOX_CODE + 4 * s->loop);
    CpuBlock *b = code_find(cpu, box->cpu->pc, cpu->guest->key(cpu));
    assert_non_null(b);
    raw = open_memstream(&code, &len);
    jit_print(box->engine->jit, b, raw);
    fclose(raw);
    fprintf(out, "%s: %s from instruction %u\n", s->name, b->region ? "region" : "block", s->loop);
    print_host(code, out);
    fclose(out);
    free(code);
    a64_box_free(box);
    return text;
}

/* ---- comparison ---- */

static void explain(const char *path, const char *text)
{
    char *got = g_build_filename(g_get_tmp_dir(), "bailey-jitcode.txt", NULL);
    char *argv[] = { "diff", "-u", (char *)path, got, NULL }, *out = NULL;

    g_file_set_contents(got, text, -1, NULL);
    g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, NULL, NULL);
    print_error("%s", out != NULL ? out : "");
    g_unlink(got);
    g_free(out);
    g_free(got);
}

static void test_snippets(void **state)
{
    bool     update = g_getenv("BAILEY_JITCODE_UPDATE") != NULL;
    gchar   *file;
    gsize    len;
    Snippet  s;
    unsigned n = 0, n_bad = 0;

    assert_true(g_file_get_contents(JITCODE_SNIPPETS, &file, &len, NULL));
    for (const uint8_t *p = (uint8_t *)file; next_snippet(&p, (uint8_t *)file + len, &s); n++) {
        char *path = g_strdup_printf(JITCODE_DIR "/%s.txt", s.name), *now = listing(&s), *before = NULL;

        if (update) {
            assert_true(g_file_set_contents(path, now, -1, NULL));
        } else if (!g_file_get_contents(path, &before, NULL, NULL) || strcmp(before, now) != 0) {
            n_bad++;
            explain(path, now);
        }
        g_free(before);
        g_free(path);
        free(now);
    }
    g_free(file);
    print_message("%u snippets\n", n);
    if (n_bad != 0) {
        fail_msg("the code of %u snippets is not what is committed; if the change is meant, run tests/jitcode/update "
                 "and commit what it writes", n_bad);
    }
    assert_true(n >= 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_snippets) };

    g_setenv("BAILEY_TEST_ACCEL", "jit", true);
    g_setenv("BAILEY_TEST_HOST", "baseline", true);
    return cmocka_run_group_tests_name("jitcode", tests, NULL, NULL);
}
