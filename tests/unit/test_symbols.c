/*
 * Symbol files: lists row by row, ELF files against what addr2line says of the same file, and files that are no good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "symbols.h"

static Symbols *parse(const char *text, GError **error)
{
    g_autoptr(GBytes) b = g_bytes_new(text, strlen(text));

    return symbols_parse(b, "list", error);
}

/* ---- lists ---- */

static const char list[] =
    "                 U undefined\n"
    "0000000000000100 a absolute\n"
    "ffff800080000000 T _text\n"
    "ffff800080000000 t .head\n"
    "ffff800080010000 T _stext\r\n"
    "ffff800080010000 t $x\n"
    "ffff800080010040 t  inner_one\n"
    "not a line\n"
    "ffff800080010100 T outer\n"
    "ffff800080010200 D data\n"
    "ffff800080010300 0000000000000010 T sized\n"
    "ffff800079000000 t module_function\t[nic]\n";

typedef struct FindRow {
    const char *name;
    uint64_t    addr;
    const char *symbol; /* NULL: none */
    uint64_t    offset;
} FindRow;

static const FindRow find_rows[] = {
    { "the first byte", 0xffff800080000000, "_text", 0 },
    { "an address with several", 0xffff800080010000, "_stext", 0 },
    { "in the middle", 0xffff800080010044, "inner_one", 4 },
    { "the last byte before the next", 0xffff8000800100ff, "inner_one", 0xbf },
    { "data", 0xffff800080010208, "data", 8 },
    { "inside its size", 0xffff80008001030f, "sized", 15 },
    { "behind its size", 0xffff800080010310, NULL, 0 },
    { "before the first", 0xffff800078ffffff, NULL, 0 },
    { "a module, below the kernel", 0xffff800079000010, "module_function", 0x10 },
    { "far behind the module", 0xffff800079200000, NULL, 0 },
    { "what is absolute has no address", 0x100, NULL, 0 },
};

static void test_list(void **state)
{
    Symbols *s = parse(list, NULL);
    uint64_t addr;

    assert_non_null(s);
    for (size_t i = 0; i < ARRAY_LEN(find_rows); i++) {
        const FindRow *r = &find_rows[i];
        Symbol         sym;

        if (symbols_find(s, r->addr, &sym) != (r->symbol != NULL) ||
            (r->symbol != NULL && (strcmp(sym.name, r->symbol) != 0 || r->addr - sym.start != r->offset))) {
            fail_msg("%s", r->name);
        }
    }
    assert_true(symbols_address(s, "outer", &addr));
    assert_int_equal(addr, 0xffff800080010100);
    assert_true(symbols_address(s, ".head", &addr)); /* there is another one at its address */
    assert_int_equal(addr, 0xffff800080000000);
    assert_false(symbols_address(s, "undefined", &addr));
    assert_false(symbols_has_lines(s));
    symbols_free(s);
}

/* ---- ELF files ---- */

static GBytes *read_file(const char *path)
{
    char *data;
    gsize len;

    assert_true(g_file_get_contents(path, &data, &len, NULL));
    return g_bytes_new_take(data, len);
}

/* What addr2line says of [@from, @to), two lines for each instruction: function, file:line. */
static char **ask_addr2line(const char *path, uint64_t from, uint64_t to)
{
    g_autoptr(GString) cmd = g_string_new(ADDR2LINE " -f -e ");
    char              *out = NULL;

    g_string_append(cmd, path);
    for (uint64_t at = from; at < to; at += 4) {
        g_string_append_printf(cmd, " 0x%" G_GINT64_MODIFIER "x", at);
    }
    assert_true(g_spawn_command_line_sync(cmd->str, &out, NULL, NULL, NULL));
    char **lines = g_strsplit(out, "\n", -1);
    g_free(out);
    return lines;
}

/* Every instruction of a function has addr2line's line; inlined code has another function there. */
static void check_function(Symbols *s, const char *path, const char *name)
{
    uint64_t from;
    Symbol   sym;

    assert_true(symbols_address(s, name, &from));
    assert_true(symbols_find(s, from, &sym));
    assert_true(sym.function && sym.size >= 8 && sym.size % 4 == 0);
    g_auto(GStrv) said = ask_addr2line(path, from, from + sym.size);
    for (uint64_t at = 0; at < sym.size; at += 4) {
        SymbolLine  line = { "?", 0 };
        const char *expect = said[at / 4 * 2 + 1];

        symbols_line(s, from + at, &line);
        g_autofree char *base = g_path_get_basename(line.file);
        g_autofree char *ours = g_strdup_printf("%s:%u", base, line.line);
        g_autofree char *theirs = g_strndup(strrchr(expect, '/') + 1, strcspn(strrchr(expect, '/') + 1, " "));
        assert_string_equal(ours, theirs);
    }
}

typedef struct Count {
    uint64_t end;
    unsigned n;
} Count;

static void count_runs(void *opaque, uint64_t start, uint64_t end, const SymbolLine *line)
{
    Count *c = opaque;

    assert_true(start >= c->end && start < end && line->line > 0);
    c->end = end;
    c->n++;
}

static void check_elf(const char *path)
{
    g_autoptr(GBytes) b = read_file(path);
    Symbols          *s = symbols_parse(b, path, NULL);
    SymbolLine        line;
    Count             c = { 0 };

    assert_non_null(s);
    check_function(s, path, "sum");
    check_function(s, path, "twice");
    check_function(s, path, "_start");
    symbols_foreach_line(s, count_runs, &c);
    assert_true(c.n > 10);
    assert_false(symbols_line(s, 0, &line));
    symbols_free(s);
}

static void test_dwarf5(void **state) { check_elf(SAMPLES "/symbols_dwarf5"); }
static void test_dwarf4(void **state) { check_elf(SAMPLES "/symbols_dwarf4"); }
static void test_dwarf3_64(void **state) { check_elf(SAMPLES "/symbols_dwarf64"); }
static void test_zlib(void **state) { check_elf(SAMPLES "/symbols_zlib"); }

/* ---- files that are no good ---- */

static void expect_sentence(GBytes *b, const char *sentence)
{
    GError *error = NULL;

    assert_null(symbols_parse(b, "it", &error));
    g_autofree char *whole = g_strconcat("cannot use the symbol file 'it' (from -symbols): ", sentence, NULL);
    assert_string_equal(error->message, whole);
    g_error_free(error);
}

static void test_bad_lists(void **state)
{
    static const char *const rows[][2] = {
        { "", "it is neither an ELF file nor a list of symbols, such as System.map; give vmlinux, System.map, or what "
              "'nm' prints" },
        { "hello world\n", "it is neither an ELF file nor a list of symbols, such as System.map; give vmlinux, "
                           "System.map, or what 'nm' prints" },
        { "0000000000000000 T _text\n0000000000000000 T _end\n",
          "all its addresses are 0; read /proc/kallsyms as root" },
        { "\177ELF", "it is an ELF file that was cut off; copy it again" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        g_autoptr(GBytes) b = g_bytes_new(rows[i][0], strlen(rows[i][0]));

        expect_sentence(b, rows[i][1]);
    }
}

/* The sample with two bytes changed. */
static void expect_changed(size_t at, uint16_t value, const char *sentence)
{
    g_autoptr(GBytes) good = read_file(SAMPLES "/symbols_dwarf5");
    gsize             len;
    const void       *data = g_bytes_get_data(good, &len);
    uint8_t          *copy = g_memdup2(data, len);

    le16_put(copy + at, value);
    g_autoptr(GBytes) b = g_bytes_new_take(copy, len);
    expect_sentence(b, sentence);
}

static void test_bad_elf(void **state)
{
    const char *none = "it has no symbols; give one that is not stripped, or the .debug file that was split off it";

    expect_changed(18, 62, "it is not for little-endian AArch64; give that of the guest");
    expect_changed(16, 1, "it is not linked, its addresses say nothing; for a kernel's modules give a copy of the "
                          "guest's /proc/kallsyms");
    expect_changed(58, 63, none); /* size of section headers */
    expect_changed(42, 0xffff, none); /* where they are: far behind the end */
}

static void test_no_file(void **state)
{
    GError *error = NULL;

    assert_null(symbols_load("/nonexistent/vmlinux", &error));
    assert_true(g_str_has_prefix(error->message, "cannot read '/nonexistent/vmlinux' (from -symbols): "));
    g_error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),      cmocka_unit_test(test_dwarf5),    cmocka_unit_test(test_dwarf4),
        cmocka_unit_test(test_dwarf3_64), cmocka_unit_test(test_zlib),      cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_bad_elf),   cmocka_unit_test(test_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
