/*
 * Trace lines: which are let through by categories, Realms and addresses, and who gets them.
 */
#include "log.h"

#include <glib.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned realm_of_cpu;

static void head(void *opaque, LogHead *h)
{
    g_strlcpy(h->text, "HEAD", sizeof(h->text));
    h->realm = realm_of_cpu;
}

static void test_parse(void **state)
{
    static const struct {
        const char *name, *list, *bad; /* NULL: good */
    } rows[] = {
        { "one", "rmi", NULL },
        { "two", "rmi,rsi", NULL },
        { "of a Realm", "rmi:realm=1,rsi:realm=65535", NULL },
        { "all of a Realm", "all:realm=2", NULL },
        { "unknown", "rmi,nonsense,rsi", "nonsense,rsi" },
        { "Realm 0", "rmi:realm=0", "rmi:realm=0" },
        { "Realm too large", "rmi:realm=65536", "rmi:realm=65536" },
        { "Realm too long", "rmi:realm=000001", "rmi:realm=000001" },
        { "no number", "rmi:realm=,rsi", "rmi:realm=,rsi" },
        { "trailing", "rmi:realm=1x", "rmi:realm=1x" },
        { "another filter", "rmi:vdev=1", "rmi:vdev=1" },
        { "nothing behind the colon", "rmi:", "rmi:" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *bad = NULL;
        bool        ok = log_parse(rows[i].list, &bad);

        if (ok != (rows[i].bad == NULL) || g_strcmp0(bad, rows[i].bad) != 0) {
            fail_msg("%s: %d, '%s'", rows[i].name, ok, bad != NULL ? bad : "");
        }
    }
}

static void test_ranges(void **state)
{
    static const struct {
        const char *list, *bad;
        uint64_t    in[2], out[2];
    } rows[] = {
        { "0x1000..0x1fff", NULL, { 0x1000, 0x1fff }, { 0xfff, 0x2000 } },
        { "0x1000+0x1000", NULL, { 0x1000, 0x1fff }, { 0xfff, 0x2000 } },
        { "0x1fff-0x1000", NULL, { 0x1000, 0x1fff }, { 0xfff, 0x2000 } },
        { "4096..4096,0x8000+1", NULL, { 0x1000, 0x8000 }, { 0x1001, 0x8001 } },
        { "0xffff800000000000..0xffffffffffffffff", NULL, { 0xffff800000000000, UINT64_MAX }, { 0, 1 } },
        { "", "", { 0 }, { 0 } },
        { "0x1000", "0x1000", { 0 }, { 0 } },
        { "0x1000+0", "0x1000+0", { 0 }, { 0 } },
        { "0x1000+", "0x1000+", { 0 }, { 0 } },
        { "2..1", "2..1", { 0 }, { 0 } },
        { "0x1000-0x2000", "0x1000-0x2000", { 0 }, { 0 } },
        { "0xffffffffffffffff+2", "0xffffffffffffffff+2", { 0 }, { 0 } },
        { "1..2,", "", { 0 }, { 0 } },
        { "1..2;3..4", "1..2;3..4", { 0 }, { 0 } },
    };

    assert_true(log_has_pc(0));
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *bad = NULL;
        bool        ok = log_filter_parse(rows[i].list, &bad);

        if (ok != (rows[i].bad == NULL) || g_strcmp0(bad, rows[i].bad) != 0) {
            fail_msg("'%s': %d, '%s'", rows[i].list, ok, bad != NULL ? bad : "");
        }
        for (unsigned k = 0; ok && k < 2; k++) {
            assert_true(log_has_pc(rows[i].in[k]));
            assert_false(log_has_pc(rows[i].out[k]));
        }
    }
}

static void to_text(void *opaque, LogCategory c, const char *text)
{
    g_string_append_printf(opaque, "%s: %s\n", log_name(c), text);
}

/* What -d writes, and what a sink gets of the same lines. */
static void test_lines(void **state)
{
    g_autofree char   *path = g_build_filename(g_get_tmp_dir(), "bailey-test-log-XXXXXX", NULL), *text = NULL;
    g_autoptr(GString) sunk = g_string_new(NULL);
    const char        *bad;

    close(g_mkstemp(path));
    assert_true(log_open(path));
    log_set_head(head, NULL);
    assert_true(log_parse("all,rmi:realm=2,rsi", &bad));
    log_set_sink(1u << LOG_SMC | 1u << LOG_RMI, to_text, sunk);
    assert_true(log_on(LOG_SMC));
    LOG(RMI, "of nobody");
    realm_of_cpu = 1;
    LOG(RMI, "of 1");
    LOG(RSI, "of any");
    realm_of_cpu = 2;
    LOG(RMI, "of 2");
    realm_of_cpu = 0;
    log_about_realm(2);
    LOG(RMI, "about 2");
    log_about_realm(3);
    LOG(RMI, "about 3");
    log_about_realm(0);
    LOG(SMC, "sunk, and written");
    log_set_sink(0, NULL, NULL);
    LOG(SMC, "written");
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, "HEAD rsi: of any\nHEAD rmi: of 2\nHEAD rmi: about 2\nHEAD smc: sunk, and written\n"
                              "HEAD smc: written\n");
    assert_string_equal(sunk->str, "rmi: of nobody\nrmi: of 1\nrmi: of 2\nrmi: about 2\nrmi: about 3\n"
                                   "smc: sunk, and written\n");
    unlink(path);
}

/* What is said to the user: only what is odd is called a warning. */
static void test_messages(void **state)
{
    g_autofree char *path = NULL, *text = NULL;
    int              fd = g_file_open_tmp("test_log_XXXXXX", &path, NULL), saved = dup(STDERR_FILENO);

    assert_true(fd >= 0 && saved >= 0);
    dup2(fd, STDERR_FILENO);
    log_error("no %s", "file");
    log_warning("slow");
    log_notice("here is %d", 1);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, "bailey: no file\nbailey: warning: slow\nbailey: here is 1\n");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse), cmocka_unit_test(test_ranges), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
