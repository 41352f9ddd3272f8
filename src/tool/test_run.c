/*
 * The processes of `bailey test`. GLib's loop waits for them; what they print goes to files, so that nothing fills up.
 */
#include "tool/test_run.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bits.h"
#include "device.h"
#include "machine.h"

enum {
    GRACE_S = 30,      /* beyond its timeout a run is ended from outside */
    TAIL_BYTES = 16384,
    TAIL_LINES = 20,
};

typedef struct Runner Runner;

typedef struct Job {
    Runner      *runner;
    TestResult  *result;
    GSubprocess *process;
    gint64       start_us;
    guint        deadline; /* source that kills it */
    bool         hung;
} Job;

struct Runner {
    const TestRunConfig *config;
    GPtrArray           *results; /* of all cases */
    GPtrArray           *jobs;    /* those that run */
    GMainLoop           *loop;
    char                *program;
    guint                next, reported;
    bool                 interrupted;
};

static const char *const files[] = { "command", "console", "errors", "trace", "result.json" };

static void start_more(Runner *r);

static void result_free(gpointer data)
{
    TestResult *r = data;

    g_free(r->folder);
    g_free(r->command);
    g_free(r->why);
    g_free(r->console);
    g_free(r);
}

/* ---- what a run leaves ---- */

static char *file_of(const TestResult *r, const char *name) { return g_build_filename(r->folder, name, NULL); }

/* The last lines of a file; "" when there is none. */
static char *tail_of(const TestResult *r, const char *name)
{
    g_autofree char *path = file_of(r, name);
    g_autofree char *buf = g_malloc(TAIL_BYTES + 1);
    FILE            *f = g_fopen(path, "rb");
    size_t           n = 0;

    if (f != NULL) {
        if (fseek(f, -TAIL_BYTES, SEEK_END) != 0) {
            rewind(f); /* it is shorter */
        }
        n = fread(buf, 1, TAIL_BYTES, f);
        fclose(f);
    }
    while (n != 0 && g_ascii_isspace(buf[n - 1])) {
        n--;
    }
    const char *from = buf + n;

    for (unsigned lines = 0; from > buf && (from[-1] != '\n' || ++lines < TAIL_LINES); from--) {
    }
    return g_utf8_make_valid(from, (gssize)(buf + n - from));
}

static void remove_files(const Runner *r, const TestResult *result)
{
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        g_autofree char *path = file_of(result, files[i]);

        g_remove(path);
    }
    /* And folders above it that are empty now. */
    char *folder = g_strdup(result->folder);

    while (strlen(folder) > strlen(r->config->out) && g_rmdir(folder) == 0) {
        char *up = g_path_get_dirname(folder);

        g_free(folder);
        folder = up;
    }
    g_free(folder);
}

/* ---- verdicts ---- */

/* Why the run failed that ended with @status; NULL: it has not. */
static char *judge(const Job *j, int status)
{
    const MatrixCase *c = j->result->test;
    g_autofree char  *said = tail_of(j->result, "errors");
    const char       *last = strrchr(said, '\n');

    last = last != NULL ? last + 1 : said;
    if (j->hung) {
        return g_strdup_printf("it did not end by itself %d s after its timeout of %u s", GRACE_S, c->timeout_s);
    }
    if (WIFSIGNALED(status)) {
        return g_strdup_printf("it was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    if (WEXITSTATUS(status) == c->status) {
        return NULL;
    }
    if (WEXITSTATUS(status) == EXIT_NO_EXPECT && c->expect == NULL) {
        return g_strdup("the guest stopped before it printed what -expect in args names; write expect= instead");
    }
    if (WEXITSTATUS(status) == EXIT_FAIL_ON && c->fail_on == NULL) {
        return g_strdup("it printed a line that matches -fail-on of args; write fail-on= instead");
    }
    switch (WEXITSTATUS(status)) {
    case EXIT_GUEST_OFF:
        return g_strdup_printf("it ended with status 0, %d was expected", c->status);
    case EXIT_NO_EXPECT:
        return g_strdup_printf("the guest stopped before it printed '%s'", c->expect);
    case EXIT_TIMEOUT:
        return c->expect != NULL ? g_strdup_printf("it did not print '%s' in %u s", c->expect, c->timeout_s)
                                 : g_strdup_printf("it did not end in %u s", c->timeout_s);
    case EXIT_FAIL_ON:
        return g_strdup_printf("it printed a line that matches '%s'", c->fail_on);
    case EXIT_PANIC:
        return g_strdup("the guest panicked");
    default:
        return g_strdup_printf("it ended with status %d, %d was expected: %s", WEXITSTATUS(status), c->status, last);
    }
}

/* Those that are done, in order. */
static void report(Runner *r)
{
    for (; r->reported < r->results->len; r->reported++) {
        TestResult *result = r->results->pdata[r->reported];

        if (!result->ran) {
            return;
        }
        r->config->on_result(r->config->opaque, r->reported + 1, result);
    }
}

/* ---- a run ---- */

static void on_end(GObject *source, GAsyncResult *done, gpointer opaque)
{
    Job        *j = opaque;
    Runner     *r = j->runner;
    TestResult *result = j->result;

    g_subprocess_wait_finish(j->process, done, NULL);
    result->seconds = (double)(g_get_monotonic_time() - j->start_us) / 1e6;
    if (j->deadline != 0) {
        g_source_remove(j->deadline);
    }
    if (!r->interrupted) {
        result->ran = true;
        result->why = judge(j, g_subprocess_get_status(j->process));
        result->console = result->why != NULL ? tail_of(result, "console") : NULL;
        if (result->why == NULL && !r->config->keep_all) {
            remove_files(r, result);
        }
    }
    g_object_unref(j->process);
    g_ptr_array_remove_fast(r->jobs, j);
    report(r);
    start_more(r);
}

static gboolean on_deadline(gpointer opaque)
{
    Job *j = opaque;

    j->hung = true;
    j->deadline = 0;
    g_subprocess_force_exit(j->process);
    return G_SOURCE_REMOVE;
}

/* The whole command line: what the case says, and what this program needs to judge it. */
static GPtrArray *command_line(const Runner *r, const TestResult *result)
{
    const MatrixCase *c = result->test;
    GPtrArray        *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup(r->program));
    for (char **a = c->args; *a != NULL; a++) {
        g_ptr_array_add(argv, g_strdup(*a));
    }
    struct {
        const char *option;
        char       *value;
    } more[] = {
        { "-expect", g_strdup(c->expect) },
        { "-fail-on", g_strdup(c->fail_on) },
        { "-timeout", g_strdup_printf("%u", c->timeout_s) },
        { "-d", *c->trace != '\0' ? g_strdup(c->trace) : NULL },
        { "-D", *c->trace != '\0' ? file_of(result, "trace") : NULL },
        { "-result", file_of(result, "result.json") },
    };

    for (unsigned i = 0; i < ARRAY_LEN(more); i++) {
        if (more[i].value != NULL) {
            g_ptr_array_add(argv, g_strdup(more[i].option));
            g_ptr_array_add(argv, more[i].value);
        }
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

static char *as_typed(char **argv)
{
    GString *text = g_string_new(NULL);

    for (; *argv != NULL; argv++) {
        bool             plain = **argv != '\0' && (*argv)[strcspn(*argv, " \t\n'\"\\$`*?[]{}()<>|&;!#~")] == '\0';
        g_autofree char *word = plain ? g_strdup(*argv) : g_shell_quote(*argv);

        g_string_append_printf(text, "%s%s", text->len != 0 ? " " : "", word);
    }
    return g_string_free(text, FALSE);
}

/* No guest outlives us, however we end; and what a terminal sends goes to us alone, who then says what was ended. */
static void before_exec(gpointer opaque)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
}

static GSubprocess *spawn(const TestResult *result, char **argv, GError **error)
{
    g_autoptr(GSubprocessLauncher) l = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autofree char *console = file_of(result, "console"), *errors = file_of(result, "errors");

    g_subprocess_launcher_set_child_setup(l, before_exec, NULL, NULL);
    g_subprocess_launcher_set_stdout_file_path(l, console);
    g_subprocess_launcher_set_stderr_file_path(l, errors);
    return g_subprocess_launcher_spawnv(l, (const char *const *)argv, error);
}

static void start(Runner *r, TestResult *result)
{
    g_autoptr(GError)    why = NULL;
    g_autoptr(GPtrArray) argv = command_line(r, result);
    g_autofree char     *command_file = file_of(result, "command");
    g_autofree char     *line = NULL;
    Job                 *j = g_new0(Job, 1);
    bool                 ok = g_mkdir_with_parents(result->folder, 0777) == 0;

    result->command = as_typed((char **)argv->pdata);
    line = g_strconcat(result->command, "\n", NULL);
    if (!ok) {
        g_set_error(&why, BAILEY_ERROR, 1, "cannot make the folder '%s': %s", result->folder, g_strerror(errno));
    }
    *j = (Job){ .runner = r, .result = result, .start_us = g_get_monotonic_time() };
    if (ok && g_file_set_contents(command_file, line, -1, &why)) {
        j->process = spawn(result, (char **)argv->pdata, &why);
    }
    if (j->process == NULL) {
        result->ran = true;
        result->why = g_strdup_printf("it could not be started: %s", why->message);
        result->console = g_strdup("");
        g_free(j);
        return;
    }
    j->deadline = g_timeout_add_seconds(result->test->timeout_s + GRACE_S, on_deadline, j);
    g_ptr_array_add(r->jobs, j);
    g_subprocess_wait_async(j->process, NULL, on_end, j);
}

static void start_more(Runner *r)
{
    while (!r->interrupted && r->jobs->len < r->config->jobs && r->next < r->results->len) {
        start(r, r->results->pdata[r->next++]);
        report(r);
    }
    if (r->jobs->len == 0) {
        g_main_loop_quit(r->loop);
    }
}

static gboolean on_signal(gpointer opaque)
{
    Runner *r = opaque;

    r->interrupted = true;
    for (guint i = 0; i < r->jobs->len; i++) {
        Job *j = r->jobs->pdata[i];

        g_subprocess_force_exit(j->process);
    }
    return G_SOURCE_CONTINUE;
}

GPtrArray *test_run(const GPtrArray *cases, const TestRunConfig *config, bool *interrupted, GError **error)
{
    Runner r = { .config = config };

    if (g_mkdir_with_parents(config->out, 0777) != 0 || access(config->out, W_OK) != 0) {
        g_set_error(error, BAILEY_ERROR, 1, "test: cannot write to the folder '%s': %s; name another with -out",
                    config->out, g_strerror(errno));
        return NULL;
    }
    r.program = g_file_read_link("/proc/self/exe", error);
    if (r.program == NULL) {
        return NULL;
    }
    r.results = g_ptr_array_new_with_free_func(result_free);
    for (guint i = 0; i < cases->len; i++) {
        TestResult *result = g_new0(TestResult, 1);

        result->test = cases->pdata[i];
        result->folder = g_build_filename(config->out, result->test->name, NULL);
        g_ptr_array_add(r.results, result);
    }
    r.jobs = g_ptr_array_new_with_free_func(g_free);
    r.loop = g_main_loop_new(NULL, FALSE);
    guint sources[] = { g_unix_signal_add(SIGINT, on_signal, &r), g_unix_signal_add(SIGTERM, on_signal, &r),
                        g_unix_signal_add(SIGHUP, on_signal, &r) };

    start_more(&r);
    if (r.jobs->len != 0) {
        g_main_loop_run(r.loop);
    }
    for (unsigned i = 0; i < ARRAY_LEN(sources); i++) {
        g_source_remove(sources[i]);
    }
    g_main_loop_unref(r.loop);
    g_ptr_array_free(r.jobs, TRUE);
    g_free(r.program);
    *interrupted = r.interrupted;
    return r.results;
}
