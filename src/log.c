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
static void (*log_prefix)(void *opaque, char *dst, unsigned cap);
static void *log_prefix_opaque;
static GHashTable *error_counts; /* text of a guest error -> times seen */

static const struct {
    const char *name, *help;
} categories[] = {
#define X(id, name, help) { name, help },
    LOG_CATEGORIES(X)
#undef X
};

_Static_assert(LOG_N_CATEGORIES <= 32, "log_mask holds one bit per category");

static int find_category(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(categories); i++) {
        if (strlen(categories[i].name) == len && memcmp(categories[i].name, name, len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool log_parse(const char *list, const char **bad)
{
    for (const char *p = list; *p != '\0';) {
        size_t len = strcspn(p, ",");
        int    c = find_category(p, len);

        if (len == 3 && memcmp(p, "all", 3) == 0) {
            log_mask |= (uint32_t)mask64(LOG_N_CATEGORIES);
        } else if (c >= 0) {
            log_mask |= 1u << c;
        } else {
            *bad = p;
            return false;
        }
        p += len;
        p += *p == ',';
    }
    return true;
}

const char *log_name(LogCategory c) { return categories[c].name; }

void log_help(void)
{
    for (size_t i = 0; i < ARRAY_LEN(categories); i++) {
        printf("%-14s %s\n", categories[i].name, categories[i].help);
    }
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

void log_set_prefix(void (*prefix)(void *opaque, char *dst, unsigned cap), void *opaque)
{
    log_prefix = prefix;
    log_prefix_opaque = opaque;
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

void log_write(LogCategory c, const char *fmt, ...)
{
    char    head[96] = "";
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
    if (log_prefix != NULL) {
        log_prefix(log_prefix_opaque, head, sizeof(head));
    }
    fprintf(log_file != NULL ? log_file : stderr, "%s%s%s: %s%s\n", head, head[0] != '\0' ? " " : "",
            categories[c].name, text, last ? " (further ones are not shown)" : "");
    if (log_file != NULL) {
        fflush(log_file);
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

void log_warning(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    to_stderr("bailey: warning: ", fmt, ap);
    va_end(ap);
}
