/*
 * bailey report TRACE: reads a file of -trace, writes a page.
 */
#include "tool/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "command.h"
#include "device.h"

static TraceData *read_trace(const char *path, GError **error)
{
    FILE              *f = fopen(path, "rb");
    TraceReader       *r = trace_read_new();
    TraceData         *d = NULL;
    g_autofree char   *bytes = g_malloc(1 << 16);
    g_autoptr(GError)  why = NULL;
    bool               ok = true;
    size_t             n;

    if (f == NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "report: cannot read '%s': %s; name a file that -trace has written", path,
                    g_strerror(errno));
        trace_read_free(r);
        return NULL;
    }
    while (ok && (n = fread(bytes, 1, 1 << 16, f)) != 0) {
        ok = trace_read_bytes(r, bytes, n, &why);
    }
    if (ferror(f)) {
        g_set_error(error, BAILEY_ERROR, 1, "report: cannot read '%s' to its end: %s", path, g_strerror(errno));
    } else if (!ok || (d = trace_read_end(r, &why)) == NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "report: '%s' is no trace: %s; make one with -trace %s", path, why->message,
                    path);
    }
    fclose(f);
    trace_read_free(r);
    return d;
}

static bool write_page(const char *path, const GString *page, GError **error)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");
    bool  ok = f != NULL && fwrite(page->str, 1, page->len, f) == page->len && fflush(f) == 0;

    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 1, "report: cannot write '%s': %s; name another file with -o", path,
                    g_strerror(errno));
    }
    if (f != NULL && f != stdout) {
        fclose(f);
    }
    return ok;
}

typedef struct ReportOptions {
    const char *out;
} ReportOptions;

static const CommandOption report_options[] = {
    { "o", "FILE", "where the page goes; - is stdout (default: the trace's name with .html)",
      offsetof(ReportOptions, out) },
};

static int run_report(const Command *cmd, int argc, char **argv)
{
    ReportOptions o = { 0 };
    const char   *path = NULL;
    bool          help = false;
    GError       *error = NULL;
    int           status = COMMAND_BAD_USAGE;
    TraceData    *d;

    if (command_parse(cmd, &o, argc, argv, &path, &help, &error) && !help) {
        if (path == NULL) {
            g_set_error(&error, BAILEY_ERROR, 1, "report: no trace given; for example bailey report run.json");
        } else if ((d = read_trace(path, &error)) == NULL) {
            status = COMMAND_FAILED;
        } else {
            bool               json = g_str_has_suffix(path, ".json");
            g_autofree char   *stem = g_strndup(path, strlen(path) - (json ? strlen(".json") : 0));
            g_autofree char   *name = g_strconcat(stem, ".html", NULL), *title = g_path_get_basename(path);
            g_autoptr(GString) page = report_page(d, title);

            status = write_page(o.out != NULL ? o.out : name, page, &error) ? COMMAND_OK : COMMAND_FAILED;
            trace_data_free(d);
        }
    }
    return command_finish(help, status, error);
}

COMMAND(report, .name = "report", .options = report_options, .n_options = G_N_ELEMENTS(report_options),
        .args = "TRACE [-o FILE]", .run = run_report,
        .help = "make a page (HTML) of a trace: sequence chart, states, granules, exits");
