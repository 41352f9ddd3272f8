/*
 * Breakpoints on events: RMI and RSI commands, exceptions, states of TDISP interfaces and of granules. Names are those
 * of the models' own tables. The machine stops once what happened is over: the CPU stands behind the call, at the
 * handler of an exception, or in the Realm that was entered.
 */
#include "monitor/breaks.h"

#include <inttypes.h>

#include "device.h"
#include "spdm/tdisp.h"

enum { BREAKS_MAX = 64 };

#define ANY (~0ull) /* of MonBreak.number */

typedef struct MonBreak {
    unsigned    id;
    EventKind   kind;
    const char *name;   /* NULL: any */
    char       *who;    /* TDISP: NULL: any */
    uint64_t    number; /* EXC: level, GRANULE: address; ANY */
} MonBreak;

static bool fits(const MonBreak *b, const Event *e)
{
    return b->kind == e->kind && (b->name == NULL || g_ascii_strcasecmp(b->name, e->name) == 0) &&
           (b->who == NULL || g_strcmp0(b->who, e->who) == 0) && (b->number == ANY || b->number == e->number);
}

static void on_event(void *opaque, const Event *e)
{
    Mon *m = opaque;

    for (guint i = 0; m->on.machine != NULL && i < m->breaks->len; i++) {
        const MonBreak *b = &g_array_index(m->breaks, MonBreak, i);

        if (fits(b, e)) {
            g_string_append_printf(m->hit, "event %u, %s\n", b->id, e->text);
            machine_break(m->on.machine);
            return;
        }
    }
}

static void renew(Mon *m)
{
    m->listener.mask = 0;
    for (guint i = 0; i < m->breaks->len; i++) {
        m->listener.mask |= 1u << g_array_index(m->breaks, MonBreak, i).kind;
    }
    event_listen(&m->listener);
}

static void clear_break(void *b) { g_free(((MonBreak *)b)->who); }

void mon_breaks_init(Mon *m)
{
    m->breaks = g_array_new(FALSE, FALSE, sizeof(MonBreak));
    g_array_set_clear_func(m->breaks, clear_break);
    m->listener = (EventListener){ .tell = on_event, .opaque = m };
}

void mon_breaks_clear(Mon *m)
{
    g_array_set_size(m->breaks, 0);
    renew(m);
}

void mon_breaks_deinit(Mon *m)
{
    event_ignore(&m->listener);
    g_array_free(m->breaks, TRUE);
}

/* ---- how a user writes one ---- */

/* Looking for a function of the RMM by its name. */
typedef struct Search {
    const char *iface, *wanted, *found;
    GString    *all;
} Search;

static void look_at_function(void *opaque, const RmmFunction *f)
{
    Search *s = opaque;

    if (g_strcmp0(f->iface, s->iface) != 0) {
        return;
    }
    g_string_append_printf(s->all, " %s", f->name);
    if (g_ascii_strcasecmp(f->name, s->wanted) == 0) {
        s->found = f->name;
    }
}

/* "rmi REC_ENTER" with or without the interface in front: RMI_REC_ENTER. */
static bool parse_call(MonBreak *b, const char *iface, const char *word, GError **error)
{
    g_autofree char   *prefix = g_strconcat(iface, "_", NULL);
    bool               prefixed = g_ascii_strncasecmp(word, prefix, strlen(prefix)) == 0;
    g_autoptr(GString) all = g_string_new(NULL);
    Search             s = { .iface = iface, .wanted = word + (prefixed ? strlen(prefix) : 0), .all = all };

    rmm_conformance(look_at_function, &s);
    b->name = s.found;
    return s.found != NULL || mon_fail(error, "there is no %s command '%s'; there are:%s", iface, s.wanted, all->str);
}

/* One of the names that @name_of has from 0 on, to b->name. */
static bool parse_name(MonBreak *b, const char *(*name_of)(unsigned n), const char *what, const char *word,
                       GError **error)
{
    g_autoptr(GString) all = g_string_new(NULL);

    for (unsigned n = 0; name_of(n) != NULL; n++) {
        g_string_append_printf(all, " %s", name_of(n));
        if (g_ascii_strcasecmp(name_of(n), word) == 0) {
            b->name = name_of(n);
        }
    }
    return b->name != NULL || mon_fail(error, "there is no %s '%s'; there are:%s", what, word, all->str);
}

static bool parse_exception(MonBreak *b, unsigned argc, char **argv, GError **error)
{
    for (unsigned i = 0; i < argc; i++) {
        bool level = g_ascii_strncasecmp(argv[i], "el", 2) == 0;

        if (level && argv[i][2] >= '1' && argv[i][2] <= '3' && argv[i][3] == '\0') {
            b->number = (uint64_t)(argv[i][2] - '0');
        } else if (level) {
            return mon_fail(error, "no exception goes to '%s'; write el1, el2 or el3", argv[i]);
        } else if (!parse_name(b, a64_exc_kind_name, "kind of exception", argv[i], error)) {
            return false;
        }
    }
    return true;
}

static bool parse_state_word(const char *word, GError **error)
{
    return g_ascii_strcasecmp(word, "state") == 0 || mon_fail(error, "'%s' where 'state' is to stand", word);
}

static bool parse_granule(const Mon *m, MonBreak *b, unsigned argc, char **argv, GError **error)
{
    if (!mon_address(m, argv[0], &b->number, error) || (argc > 1 && !parse_state_word(argv[1], error))) {
        return false;
    }
    if (b->number % 4096 != 0) {
        return mon_fail(error, "0x%" PRIx64 " is no granule's address: they are multiples of 0x1000", b->number);
    }
    return argc < 3 || parse_name(b, rmm_granule_state_name, "granule state", argv[2], error);
}

static void describe(const MonBreak *b, GString *out)
{
    static const char *const kinds[] = { "rmi", "rsi", "exc", "tdisp state", "granule" };

    g_string_append_printf(out, "event %u: %s", b->id, kinds[b->kind]);
    if (b->kind == EVENT_GRANULE) {
        g_string_append_printf(out, " 0x%" PRIx64 " state", b->number);
    }
    g_string_append_printf(out, "%s%s", b->name != NULL ? " " : "", b->name != NULL ? b->name : "");
    if (b->kind == EVENT_EXC && b->number != ANY) {
        g_string_append_printf(out, " el%" PRIu64, b->number);
    }
    g_string_append_printf(out, "%s%s\n", b->who != NULL ? " " : "", b->who != NULL ? b->who : "");
}

/* @b: what was understood. It becomes a breakpoint. */
static bool add(Mon *m, MonBreak *b, GString *out, GError **error)
{
    if (m->breaks->len >= BREAKS_MAX) {
        clear_break(b);
        return mon_fail(error, "there are %d breakpoints on events already; 'delete' some", BREAKS_MAX);
    }
    b->id = ++m->n_made;
    g_array_append_val(m->breaks, *b);
    renew(m);
    describe(b, out);
    return true;
}

MON_COMMAND(break_rmi, .name = "break rmi", .args = "COMMAND", .help = "stop when the host has made this RMI call",
            .min_args = 1, .max_args = 1)
{
    MonBreak b = { .kind = EVENT_RMI, .number = ANY };

    return parse_call(&b, "RMI", argv[0], error) && add(m, &b, out, error);
}

MON_COMMAND(break_rsi, .name = "break rsi", .args = "COMMAND", .help = "stop when a Realm has made this RSI call",
            .min_args = 1, .max_args = 1)
{
    MonBreak b = { .kind = EVENT_RSI, .number = ANY };

    return parse_call(&b, "RSI", argv[0], error) && add(m, &b, out, error);
}

MON_COMMAND(break_exc, .name = "break exc", .args = "[sync|irq|fiq|serror] [el1|el2|el3]",
            .help = "stop when such an exception was taken", .max_args = 2)
{
    MonBreak b = { .kind = EVENT_EXC, .number = ANY };

    return parse_exception(&b, argc, argv, error) && add(m, &b, out, error);
}

MON_COMMAND(break_tdisp, .name = "break tdisp", .args = "state STATE [DEVICE]",
            .help = "stop when a device interface has come to this TDISP state", .min_args = 2, .max_args = 3)
{
    MonBreak b = { .kind = EVENT_TDISP, .number = ANY };

    if (!parse_state_word(argv[0], error) || !parse_name(&b, tdi_state_name, "TDISP state", argv[1], error)) {
        return false;
    }
    b.who = argc > 2 ? g_strdup(argv[2]) : NULL;
    return add(m, &b, out, error);
}

MON_COMMAND(break_granule, .name = "break granule", .args = "ADDRESS [state [STATE]]",
            .help = "stop when the granule has another state, or this one", .min_args = 1, .max_args = 3)
{
    MonBreak b = { .kind = EVENT_GRANULE, .number = ANY };

    return parse_granule(m, &b, argc, argv, error) && add(m, &b, out, error);
}

MON_COMMAND(info_break, .name = "info break", .args = "", .help = "breakpoints on events")
{
    for (guint i = 0; i < m->breaks->len; i++) {
        describe(&g_array_index(m->breaks, MonBreak, i), out);
    }
    if (m->breaks->len == 0) {
        g_string_append(out, "there are no breakpoints on events\n");
    }
    return true;
}

MON_COMMAND(delete, .name = "delete", .args = "[NUMBER]", .help = "take a breakpoint on an event away, or all",
            .max_args = 1)
{
    uint64_t id;

    if (argc == 0) {
        mon_breaks_clear(m);
        return true;
    }
    if (!mon_number(argv[0], &id, error)) {
        return false;
    }
    for (guint i = 0; i < m->breaks->len; i++) {
        if (g_array_index(m->breaks, MonBreak, i).id == id) {
            g_array_remove_index(m->breaks, i);
            renew(m);
            return true;
        }
    }
    return mon_fail(error, "there is no breakpoint %s on an event; 'info break' lists them", argv[0]);
}
