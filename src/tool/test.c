/*
 * bailey test: boots a matrix of guests and says which did what they should. docs/ci.md is its manual.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "command.h"
#include "device.h"
#include "tool/matrix.h"
#include "tool/test_report.h"
#include "tool/test_run.h"

typedef struct TestOptions {
    const char *jobs, *junit, *out, *keep, *only, *list;
} TestOptions;

/* The cases whose names match the pattern. */
static bool narrow(GPtrArray *cases, const char *only, GError **error)
{
    for (guint i = cases->len; i-- > 0;) {
        const MatrixCase *c = cases->pdata[i];

        if (!g_pattern_match_simple(only, c->name)) {
            g_ptr_array_remove_index(cases, i);
        }
    }
    if (cases->len == 0) {
        g_set_error(error, BAILEY_ERROR, 1, "test: no case matches -only %s; -list names them, * stands for any text",
                    only);
    }
    return cases->len != 0;
}

static bool job_count(const Command *cmd, const char *text, unsigned *jobs, GError **error)
{
    uint64_t n = g_get_num_processors();

    if (text != NULL && !command_number(cmd, "j", text, &n, error)) {
        return false;
    }
    if (n == 0 || n > 1024) {
        g_set_error(error, BAILEY_ERROR, 1, "test: -j %s is not a number from 1 to 1024", text);
        return false;
    }
    *jobs = (unsigned)n;
    return true;
}

/* Whether the report can be written at the end: known before the runs, which may take hours. */
static bool check_junit(const char *path, GError **error)
{
    FILE *f = path != NULL ? fopen(path, "a") : NULL;

    if (path != NULL && f == NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "test: cannot write -junit %s: %s; name another file", path,
                    g_strerror(errno));
        return false;
    }
    if (f != NULL) {
        fclose(f);
    }
    return true;
}

static void print_result(void *opaque, unsigned number, const TestResult *r) { tap_result(number, r); }

static int run_cases(const GPtrArray *cases, const char *path, const TestOptions *o, unsigned jobs, GError **error)
{
    TestRunConfig    config = { .jobs = jobs, .out = o->out, .keep_all = strcmp(o->keep, "all") == 0,
                                .on_result = print_result };
    g_autofree char *suite = g_path_get_basename(path);
    gint64           start = g_get_monotonic_time();
    bool             interrupted = false;
    bool             ok = true;

    if (!check_junit(o->junit, error)) {
        return COMMAND_FAILED;
    }
    tap_plan(cases->len);
    GPtrArray *results = test_run(cases, &config, &interrupted, error);

    if (results == NULL) {
        return COMMAND_FAILED;
    }
    double seconds = (double)(g_get_monotonic_time() - start) / 1e6;

    tap_end(results, seconds, interrupted);
    for (guint i = 0; i < results->len; i++) {
        const TestResult *r = results->pdata[i];

        ok = ok && r->ran && r->why == NULL;
    }
    ok = (o->junit == NULL || junit_write(o->junit, suite, results, seconds, error)) && ok;
    g_ptr_array_free(results, TRUE);
    return ok ? COMMAND_OK : COMMAND_FAILED;
}

static const CommandOption test_options[] = {
    { "j", "N", "runs at a time (default: the host's processors)", offsetof(TestOptions, jobs) },
    { "junit", "FILE", "write the results as JUnit's XML", offsetof(TestOptions, junit) },
    { "out", "DIR", "keep files of failed cases there (default bailey-test)", offsetof(TestOptions, out) },
    { "keep", "failed|all", "which cases' files (default failed)", offsetof(TestOptions, keep) },
    { "only", "PATTERN", "only cases whose name matches, such as '*/1.0/*'", offsetof(TestOptions, only) },
    { "list", NULL, "print the names of the cases, run none", offsetof(TestOptions, list) },
};

static int run_test(const Command *cmd, int argc, char **argv)
{
    TestOptions o = { .out = "bailey-test", .keep = "failed" };
    const char *path = NULL;
    GError     *error = NULL;
    GPtrArray  *cases = NULL;
    unsigned    jobs = 1;
    int         status = COMMAND_BAD_USAGE;
    bool        help = false;
    bool        ok = command_parse(cmd, &o, argc, argv, &path, &help, &error);

    if (ok && !help && path == NULL) {
        g_set_error(&error, BAILEY_ERROR, 1, "test: name the file with the tests; docs/ci.md shows one");
    } else if (ok && strcmp(o.keep, "failed") != 0 && strcmp(o.keep, "all") != 0) {
        g_set_error(&error, BAILEY_ERROR, 1, "test: -keep %s is neither failed nor all", o.keep);
    } else if (ok && !help && job_count(cmd, o.jobs, &jobs, &error)) {
        cases = matrix_load(path, &error);
        ok = cases != NULL && (o.only == NULL || narrow(cases, o.only, &error));
        if (ok && o.list != NULL) {
            for (guint i = 0; i < cases->len; i++) {
                printf("%s\n", ((const MatrixCase *)cases->pdata[i])->name);
            }
            status = COMMAND_OK;
        } else if (ok) {
            status = run_cases(cases, path, &o, jobs, &error);
        }
    }
    if (cases != NULL) {
        g_ptr_array_free(cases, TRUE);
    }
    return command_finish(help, status, error);
}

COMMAND(test, .name = "test", .options = test_options, .n_options = G_N_ELEMENTS(test_options),
        .args = "FILE [-j N] [-junit FILE.xml]",
        .help = "boot a matrix of guests and report in TAP", .run = run_test);
