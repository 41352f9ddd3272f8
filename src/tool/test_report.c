/*
 * Reports of `bailey test`. What guests print is made fit for each format: control characters are left out.
 */
#include "tool/test_report.h"

#include <stdio.h>
#include <string.h>

#include "device.h"
#include "result.h"

/* Without control characters, which neither YAML nor XML can have; ends of lines stay. */
static char *printable(const char *text)
{
    GString *out = g_string_new(NULL);

    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c == '\n' || c == '\t' || (!g_unichar_iscntrl(c) && c < 0xfffe)) {
            g_string_append_unichar(out, c);
        }
    }
    return g_string_free(out, FALSE);
}

/* ---- TAP ---- */

void tap_plan(unsigned n_cases)
{
    printf("TAP version 14\n1..%u\n", n_cases);
    fflush(stdout);
}

static void yaml_word(const char *key, const char *value)
{
    GString *s = g_string_new(NULL);

    json_string(s, value);
    printf("  %s: %s\n", key, s->str);
    g_string_free(s, TRUE);
}

void tap_result(unsigned number, const TestResult *r)
{
    printf("%s %u - %s # %.1f s\n", r->why == NULL ? "ok" : "not ok", number, r->test->name, r->seconds);
    if (r->why != NULL) {
        g_autofree char *console = printable(r->console);
        g_auto(GStrv)    lines = g_strsplit(console, "\n", -1);

        printf("  ---\n");
        yaml_word("message", r->why);
        yaml_word("command", r->command);
        yaml_word("kept", r->folder);
        printf("  console: |2\n");
        for (char **l = lines; *l != NULL; l++) {
            printf("    %s\n", *l);
        }
        printf("  ...\n");
    }
    fflush(stdout);
}

static void count(const GPtrArray *results, unsigned *passed, unsigned *failed, unsigned *not_run)
{
    *passed = *failed = *not_run = 0;
    for (guint i = 0; i < results->len; i++) {
        const TestResult *r = results->pdata[i];

        *(!r->ran ? not_run : r->why != NULL ? failed : passed) += 1;
    }
}

void tap_end(const GPtrArray *results, double seconds, bool interrupted)
{
    unsigned passed, failed, not_run;

    count(results, &passed, &failed, &not_run);
    if (interrupted) {
        printf("Bail out! interrupted; %u did not run\n", not_run);
    }
    printf("# %u passed, %u failed, %.1f s\n", passed, failed, seconds);
    fflush(stdout);
}

/* ---- JUnit ---- */

static void xml(GString *out, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

static void xml(GString *out, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_autofree char *text = g_markup_vprintf_escaped(fmt, ap);
    va_end(ap);
    g_string_append(out, text);
}

static void junit_case(GString *out, const TestResult *r)
{
    xml(out, "  <testcase classname=\"%s\" name=\"%s\" time=\"%.3f\"", r->test->test, r->test->name, r->seconds);
    if (!r->ran) {
        xml(out, ">\n    <skipped message=\"interrupted\"/>\n  </testcase>\n");
    } else if (r->why == NULL) {
        xml(out, "/>\n");
    } else {
        g_autofree char *why = printable(r->why), *console = printable(r->console), *cmd = printable(r->command);

        xml(out, ">\n    <failure message=\"%s\">%s\nfiles: %s\n</failure>\n    <system-out>%s\n</system-out>\n"
            "  </testcase>\n", why, cmd, r->folder, console);
    }
}

bool junit_write(const char *path, const char *suite, const GPtrArray *results, double seconds, GError **error)
{
    GString          *out = g_string_new("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    g_autoptr(GError) why = NULL;
    unsigned          passed, failed, not_run;

    count(results, &passed, &failed, &not_run);
    xml(out, "<testsuite name=\"%s\" tests=\"%u\" failures=\"%u\" skipped=\"%u\" errors=\"0\" time=\"%.3f\">\n", suite,
        results->len, failed, not_run, seconds);
    for (guint i = 0; i < results->len; i++) {
        junit_case(out, results->pdata[i]);
    }
    xml(out, "</testsuite>\n");
    bool ok = g_file_set_contents(path, out->str, (gssize)out->len, &why);

    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 1, "test: cannot write -junit: %s", why->message);
    }
    g_string_free(out, TRUE);
    return ok;
}
