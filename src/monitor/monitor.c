/* The table of commands: finding one, help, sessions. Commands register themselves from the files of their subjects. */
#include "monitor/monitor.h"

#include <stdarg.h>
#include <string.h>

#include "bits.h"
#include "device.h"
#include "monitor/breaks.h"

extern const MonCommand *const __start_bailey_monitor[], *const __stop_bailey_monitor[];

enum { WORDS_MAX = 8 }; /* of a line: no command takes more */

bool mon_fail(GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(BAILEY_ERROR, 1, fmt, ap));
    va_end(ap);
    return false;
}

bool mon_number(const char *word, uint64_t *value, GError **error)
{
    bool hex = g_ascii_strncasecmp(word, "0x", 2) == 0;

    return g_ascii_string_to_unsigned(word + (hex ? 2 : 0), hex ? 16 : 10, 0, G_MAXUINT64, value, NULL) ||
           mon_fail(error, "'%s' is no number; write 123 or 0x7b", word);
}

/* ---- the table ---- */

static gint compare_commands(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const MonCommand *const *)a)->name, (*(const MonCommand *const *)b)->name);
}

/* All of them by name: the page must not depend on the linker. */
static GPtrArray *sorted(void)
{
    GPtrArray *all = g_ptr_array_new();

    for (const MonCommand *const *c = __start_bailey_monitor; c < __stop_bailey_monitor; c++) {
        g_ptr_array_add(all, (gpointer)*c);
    }
    g_ptr_array_sort(all, compare_commands);
    return all;
}

/* How many of the @n words are the command's name, 0: it is another command. */
static unsigned matches(const MonCommand *c, unsigned n, char **words)
{
    const char *name = c->name;

    for (unsigned i = 0; i < n; i++) {
        size_t len = strlen(words[i]);

        if (strncmp(name, words[i], len) != 0 || (name[len] != ' ' && name[len] != '\0')) {
            return 0;
        }
        if (name[len] == '\0') {
            return i + 1;
        }
        name += len + 1;
    }
    return 0;
}

/* The command with the longest name that the words begin with. */
static const MonCommand *find(unsigned n, char **words, unsigned *used)
{
    const MonCommand *best = NULL;

    *used = 0;
    for (const MonCommand *const *c = __start_bailey_monitor; c < __stop_bailey_monitor; c++) {
        unsigned k = matches(*c, n, words);

        if (k > *used) {
            *used = k;
            best = *c;
        }
    }
    return best;
}

/* Whether there are commands of several words whose first it is: info, break, inject. */
static bool has_family(const char *word)
{
    size_t len = strlen(word);

    for (const MonCommand *const *c = __start_bailey_monitor; c < __stop_bailey_monitor; c++) {
        if (strncmp((*c)->name, word, len) == 0 && (*c)->name[len] == ' ') {
            return true;
        }
    }
    return false;
}

static bool run_words(Mon *m, unsigned n, char **words, GString *out, GError **error)
{
    unsigned          used;
    const MonCommand *c = find(n, words, &used);

    if (c == NULL && has_family(words[0])) {
        return mon_fail(error, "there is no command '%s%s%s'; 'help %s' lists them", words[0], n > 1 ? " " : "",
                        n > 1 ? words[1] : "", words[0]);
    }
    if (c == NULL) {
        return mon_fail(error, "there is no command '%s'; 'help' lists them", words[0]);
    }
    if (n - used < c->min_args || n - used > c->max_args) {
        return mon_fail(error, "'%s' takes other arguments: %s %s", c->name, c->name,
                        *c->args != '\0' ? c->args : "(none)");
    }
    return c->run(m, n - used, words + used, out, error);
}

bool mon_run(Mon *m, const char *line, GString *out)
{
    g_auto(GStrv)     words = g_strsplit_set(line, " \t\r\n", -1);
    g_autoptr(GError) error = NULL;
    char             *word[WORDS_MAX + 1] = { NULL };
    g_autofree char  *format = NULL;
    unsigned          n = 0;

    for (char **w = words; *w != NULL; w++) {
        if (**w == '\0') {
            continue;
        }
        if (n == WORDS_MAX) {
            g_string_append(out, "error: the line has more words than any command takes\n");
            return false;
        }
        word[n++] = *w;
        char *slash = n == 1 ? strchr(*w, '/') : NULL; /* x/4xg ADDRESS, as in gdb: the format is a word of its own */
        if (slash != NULL) {
            word[n++] = format = g_strdup(slash);
            *slash = '\0';
        }
    }
    if (n != 0 && !run_words(m, n, word, out, &error)) {
        g_string_append_printf(out, "error: %s\n", error->message);
        return false;
    }
    return true;
}

void mon_complete(const char *prefix, void (*fn)(void *opaque, const char *name), void *opaque)
{
    g_autoptr(GPtrArray) all = sorted();

    for (guint i = 0; i < all->len; i++) {
        const MonCommand *c = all->pdata[i];

        if (g_str_has_prefix(c->name, prefix)) {
            fn(opaque, c->name);
        }
    }
}

MON_COMMAND(help, .name = "help", .args = "[COMMAND]", .help = "what there is, or more of one", .max_args = WORDS_MAX)
{
    g_autoptr(GPtrArray) all = sorted();
    g_autofree char     *wanted = NULL;
    bool                 found = false;

    wanted = g_strjoinv(" ", argv); /* a NULL follows the last word */
    for (guint i = 0; i < all->len; i++) {
        const MonCommand *c = all->pdata[i];

        if (g_str_has_prefix(c->name, wanted)) {
            g_string_append_printf(out, "%s%s%s -- %s\n", c->name, *c->args != '\0' ? " " : "", c->args, c->help);
            found = true;
        }
    }
    return found || mon_fail(error, "no command begins with '%s'; 'help' lists them", wanted);
}

/* ---- sessions ---- */

void mon_init(Mon *m, const MonMachine *on)
{
    *m = (Mon){ .on = *on, .hit = g_string_new(NULL) };
    mon_breaks_init(m);
}

void mon_attach(Mon *m, const MonMachine *on)
{
    m->on = *on;
    m->cpu = MIN(m->cpu, on->n_cpus - 1);
}

void mon_detach(Mon *m) { m->on = (MonMachine){ 0 }; }

void mon_reset(Mon *m)
{
    mon_breaks_clear(m);
    m->view = (MonView){ .space = MON_CPU };
    g_string_truncate(m->hit, 0);
}

void mon_deinit(Mon *m)
{
    mon_breaks_deinit(m);
    g_string_free(m->hit, TRUE);
}

char *mon_take_hits(Mon *m)
{
    char *text = m->hit->len != 0 ? g_strdup(m->hit->str) : NULL;

    g_string_truncate(m->hit, 0);
    return text;
}
