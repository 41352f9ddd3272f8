/*
 * The page of bailey report. What it looks like and does is in report.css and report.js, which are part of the program.
 */
#include "tool/report.h"

#include <inttypes.h>
#include <string.h>

/* The files as they are in the tree, which the compiler finds beside this one. */
#define EMBED(name, file)                                                                     \
    __asm__(".section .rodata\n.global " #name "\n" #name ":\n.incbin \"" file "\"\n" \
            ".global " #name "_end\n" #name "_end:\n.byte 0\n.previous\n");                   \
    extern const char name[], name##_end[]

EMBED(report_css, "tool/report.css");
EMBED(report_js, "tool/report.js");

/* ---- the data ---- */

/* As a string of JSON that stays one inside HTML: no character of it ends the element, or means anything there. */
static void put_string(GString *s, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_string_append_c(s, '"');
    for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c < 0x20 || strchr("\"\\<>&'", (int)(c < 0x80 ? c : 'x')) != NULL || c == 0x2028 || c == 0x2029) {
            g_string_append_printf(s, "\\u%04x", c);
        } else {
            g_string_append_unichar(s, c);
        }
    }
    g_string_append_c(s, '"');
}

static void put_strings(GString *s, const GPtrArray *list)
{
    g_string_append_c(s, '[');
    for (guint i = 0; i < list->len; i++) {
        g_string_append(s, i == 0 ? "" : ",");
        put_string(s, list->pdata[i]);
    }
    g_string_append_c(s, ']');
}

static void put_rows(GString *s, const TraceData *d)
{
    static const char *const kinds[] = { "rmi", "rsi", "exit", "message", "state", "line", "fold" };

    for (guint i = 0; i < d->rows->len; i++) {
        const TraceRow *row = &g_array_index(d->rows, TraceRow, i);

        g_string_append_printf(s, "%s[%" PRId64 ",\"%s\",", i == 0 ? "" : ",\n", row->ns, kinds[row->kind]);
        put_string(s, row->name);
        g_string_append_c(s, ',');
        put_string(s, row->who != NULL ? row->who : "");
        g_string_append_c(s, ',');
        put_strings(s, row->fields);
        g_string_append_c(s, ']');
    }
}

static void put_tracks(GString *s, const TraceData *d)
{
    for (guint i = 0; i < d->tracks->len; i++) {
        const TraceTrack *t = &g_array_index(d->tracks, TraceTrack, i);

        g_string_append(s, i == 0 ? "[" : ",[");
        put_string(s, t->name);
        g_string_append_c(s, ',');
        put_string(s, t->category);
        g_string_append_c(s, ']');
    }
}

static void put_spans(GString *s, const TraceData *d)
{
    for (guint i = 0; i < d->spans->len; i++) {
        const TraceSpan *p = &g_array_index(d->spans, TraceSpan, i);

        g_string_append_printf(s, "%s[%u,", i == 0 ? "" : ",", p->track);
        put_string(s, p->name);
        g_string_append_printf(s, ",%" PRId64 ",%" PRId64 ",%u,%u]", p->from_ns, p->to_ns, p->from, p->to);
    }
}

/* Addresses as numbers of granules: a double of the page's holds them. */
static void put_granules(GString *s, const TraceData *d)
{
    for (guint i = 0; i < d->granules->len; i++) {
        const TraceGranules *g = &g_array_index(d->granules, TraceGranules, i);

        g_string_append_printf(s, "%s[%" PRId64 ",%" PRIu64 ",%" PRIu64 ",%u,%u]", i == 0 ? "" : ",", g->ns,
                               g->first / 4096, MIN(g->count, (uint64_t)1 << 40), g->state, g->from);
    }
}

static void put_counts(GString *s, const char *name, const GArray *list)
{
    g_string_append_printf(s, ",\n\"%s\":[", name);
    for (guint i = 0; i < list->len; i++) {
        const TraceCount *c = &g_array_index(list, TraceCount, i);

        g_string_append(s, i == 0 ? "[" : ",[");
        put_string(s, c->name);
        g_string_append_printf(s, ",%" PRIu64 ",%" PRId64 "]", c->n, c->ns);
    }
    g_string_append_c(s, ']');
}

static void put_data(GString *s, const TraceData *d, const char *title)
{
    g_string_append(s, "{\"title\":");
    put_string(s, title);
    g_string_append(s, ",\"header\":");
    put_strings(s, d->header);
    g_string_append_printf(s, ",\"end\":%" PRId64 ",\"events\":%" PRIu64 ",\"left_out\":%" PRIu64 ",\"cut\":%s",
                           d->end_ns, d->n_events, d->n_left_out, d->cut ? "true" : "false");
    g_string_append(s, ",\n\"rows\":[");
    put_rows(s, d);
    g_string_append(s, "],\n\"tracks\":[");
    put_tracks(s, d);
    g_string_append(s, "],\n\"spans\":[");
    put_spans(s, d);
    g_string_append(s, "],\n\"states\":");
    put_strings(s, d->states);
    g_string_append(s, ",\n\"granules\":[");
    put_granules(s, d);
    g_string_append_c(s, ']');
    put_counts(s, "calls", d->calls);
    put_counts(s, "exits", d->exits);
    put_counts(s, "times", d->times);
    put_counts(s, "places", d->places);
    put_counts(s, "levels", d->levels);
    g_string_append(s, "}\n");
}

/* ---- the page ---- */

/* "sha256-...", as a Content-Security-Policy names what it lets run. */
static char *hash_of(const char *text, size_t len)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t              digest[32];
    gsize                digest_len = sizeof(digest);
    g_autofree char     *base64 = NULL;

    g_checksum_update(sum, (const guchar *)text, (gssize)len);
    g_checksum_get_digest(sum, digest, &digest_len);
    base64 = g_base64_encode(digest, digest_len);
    return g_strdup_printf("sha256-%s", base64);
}

GString *report_page(const TraceData *d, const char *title)
{
    size_t           css_len = (size_t)(report_css_end - report_css), js_len = (size_t)(report_js_end - report_js);
    g_autofree char *css_hash = hash_of(report_css, css_len), *js_hash = hash_of(report_js, js_len);
    GString         *s = g_string_new("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");

    g_string_append_printf(s,
                           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                           "style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'\">\n"
                           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                           "<title>Bailey report</title>\n<style>",
                           css_hash, js_hash);
    g_string_append_len(s, report_css, (gssize)css_len);
    g_string_append(s, "</style>\n</head>\n<body>\n<main id=\"page\"></main>\n"
                       "<noscript>This page shows its data by a script of its own; allow it to run.</noscript>\n"
                       "<script id=\"data\" type=\"application/json\">\n");
    put_data(s, d, title);
    g_string_append(s, "</script>\n<script>");
    g_string_append_len(s, report_js, (gssize)js_len);
    g_string_append(s, "</script>\n</body>\n</html>\n");
    return s;
}
