/*
 * Messages and traces. Traces are lines of text; the machine supplies each line's head. The category mask is
 * the only global state, so that a disabled trace costs one test.
 */
#include "log.h"

#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"

uint32_t log_mask;

enum { MAX_REPEATS = 16 }; /* of one guest error text: a guest in a loop must not fill the disk */

static FILE *log_file;
static uint32_t text_mask; /* of -d */
static uint16_t realm_wanted[LOG_N_CATEGORIES]; /* VMID; 0: all */
static unsigned about_realm;
static GArray *pc_ranges;  /* of Range; NULL: no -dfilter */
static void (*log_head)(void *opaque, LogHead *h);
static void *log_head_opaque;
static uint32_t sink_mask;
static void (*log_sink)(void *opaque, LogCategory c, const char *text);
static void *log_sink_opaque;
static GHashTable *error_counts; /* text of a guest error -> times seen */

typedef struct Range {
    uint64_t first, last;
} Range;

static const struct {
    const char *name, *help;
} categories[] = {
#define X(id, name, help) { name, help },
    LOG_CATEGORIES(X)
#undef X
};

_Static_assert(LOG_N_CATEGORIES <= 32, "log_mask holds one bit per category");

int log_find(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(categories); i++) {
        if (strlen(categories[i].name) == len && memcmp(categories[i].name, name, len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static bool is_all(const char *name, size_t len) { return len == 3 && memcmp(name, "all", 3) == 0; }

/* ":realm=N" of @len bytes. */
static bool parse_realm(const char *text, size_t len, uint16_t *vmid)
{
    static const char head[] = ":realm=";
    size_t            n = sizeof(head) - 1;
    uint64_t          value = 0;

    if (len <= n || len > n + 5 || memcmp(text, head, n) != 0) {
        return false;
    }
    for (; n < len && g_ascii_isdigit(text[n]); n++) {
        value = value * 10 + (uint64_t)(text[n] - '0');
    }
    *vmid = (uint16_t)value;
    return n == len && value >= 1 && value <= UINT16_MAX;
}

bool log_parse(const char *list, const char **bad)
{
    for (const char *p = list; *p != '\0';) {
        size_t   len = strcspn(p, ","), name_len = strcspn(p, ",:");
        int      c = log_find(p, name_len);
        uint16_t vmid = 0;

        if ((c < 0 && !is_all(p, name_len)) || (name_len < len && !parse_realm(p + name_len, len - name_len, &vmid))) {
            *bad = p;
            return false;
        }
        for (int i = 0; i < LOG_N_CATEGORIES; i++) {
            if (c < 0 || c == i) {
                text_mask |= 1u << i;
                realm_wanted[i] = vmid;
            }
        }
        p += len;
        p += *p == ',';
    }
    log_mask = text_mask | sink_mask;
    return true;
}

/* One range of -dfilter; @end: where it ended. */
static bool parse_range(const char *text, Range *r, const char **end)
{
    char    *after;
    uint64_t first, second;

    first = g_ascii_strtoull(text, &after, 0);
    if (after == text) {
        return false;
    }
    char   how = *after;
    size_t skip = how == '.' && after[1] == '.' ? 2 : how == '+' || how == '-' ? 1 : 0;
    second = g_ascii_strtoull(after + skip, (char **)end, 0);
    if (skip == 0 || *end == after + skip || (how != '.' && second == 0)) {
        return false;
    }
    r->first = how == '-' ? first - second + 1 : first;
    r->last = how == '.' ? second : how == '+' ? first + second - 1 : first;
    return r->first <= r->last;
}

bool log_filter_parse(const char *list, const char **bad)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(Range));

    for (const char *p = list;; p++) {
        Range       r;
        const char *end = p;

        if (!parse_range(p, &r, &end) || (*end != '\0' && *end != ',')) {
            *bad = p;
            return false;
        }
        g_array_append_val(ranges, r);
        p = end;
        if (*p == '\0') {
            break;
        }
    }
    g_clear_pointer(&pc_ranges, g_array_unref);
    pc_ranges = g_steal_pointer(&ranges);
    return true;
}

bool log_has_pc(uint64_t pc)
{
    for (guint i = 0; pc_ranges != NULL && i < pc_ranges->len; i++) {
        const Range *r = &g_array_index(pc_ranges, Range, i);

        if (pc >= r->first && pc <= r->last) {
            return true;
        }
    }
    return pc_ranges == NULL;
}

const char *log_name(LogCategory c) { return categories[c].name; }

void log_help(void)
{
    for (size_t i = 0; i < ARRAY_LEN(categories); i++) {
        printf("%-14s %s\n", categories[i].name, categories[i].help);
    }
    printf("NAME:realm=N is what of it is about the Realm with VMID N; all is all of them.\n");
}

bool log_open(const char *path)
{
    FILE *f = fopen(path, "w");

    if (f == NULL) {
        return false;
    }
    if (log_file != NULL) {
        fclose(log_file);
    }
    log_file = f;
    return true;
}

void log_set_head(void (*head)(void *opaque, LogHead *h), void *opaque)
{
    log_head = head;
    log_head_opaque = opaque;
}

void log_about_realm(unsigned vmid) { about_realm = vmid; }

void log_set_sink(uint32_t mask, void (*sink)(void *opaque, LogCategory c, const char *text), void *opaque)
{
    sink_mask = sink != NULL ? mask : 0;
    log_sink = sink;
    log_sink_opaque = opaque;
    log_mask = text_mask | sink_mask;
}

/* False once a guest error with this text was told often enough; *@last is set on the last time. */
static bool guest_error_allowed(const char *text, bool *last)
{
    if (error_counts == NULL) {
        error_counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    }
    unsigned n = GPOINTER_TO_UINT(g_hash_table_lookup(error_counts, text)) + 1;

    if (n > MAX_REPEATS || g_hash_table_size(error_counts) > 4096) {
        return false;
    }
    g_hash_table_insert(error_counts, g_strdup(text), GUINT_TO_POINTER(n));
    *last = n == MAX_REPEATS;
    return true;
}

/* A line of -d, if the category's filter lets it through. */
static void write_line(LogCategory c, const char *text, bool last)
{
    LogHead h = { 0 };
    FILE   *f = log_file != NULL ? log_file : stderr;

    if (log_head != NULL) {
        log_head(log_head_opaque, &h);
    }
    if (realm_wanted[c] != 0 && realm_wanted[c] != (about_realm != 0 ? about_realm : h.realm)) {
        return;
    }
    fprintf(f, "%s%s%s: %s%s\n", h.text, h.text[0] != '\0' ? " " : "", categories[c].name, text,
            last ? " (further ones are not shown)" : "");
    if (log_file != NULL) {
        fflush(log_file);
    }
}

void log_write(LogCategory c, const char *fmt, ...)
{
    char    text[1024];
    bool    last = false;
    va_list ap;

    if (!log_on(c)) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (c == LOG_GUEST_ERRORS && !guest_error_allowed(text, &last)) {
        return;
    }
    if (text_mask >> c & 1) {
        write_line(c, text, last);
    }
    if (sink_mask >> c & 1) {
        log_sink(log_sink_opaque, c, text);
    }
}

static void to_stderr(const char *head, const char *fmt, va_list ap)
{
    char text[1024];

    vsnprintf(text, sizeof(text), fmt, ap);
    fprintf(stderr, "%s%s\n", head, text);
}

void log_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    to_stderr("bailey: ", fmt, ap);
    va_end(ap);
}

void log_notice(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    to_stderr("bailey: ", fmt, ap);
    va_end(ap);
}

void log_warning(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    to_stderr("bailey: warning: ", fmt, ap);
    va_end(ap);
}
