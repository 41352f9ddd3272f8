/*
 * The reader of trace files. A scanner cuts the array into its objects, by brackets and strings alone; each is parsed
 * by itself, so a file that ends in the middle is good up to there, and memory does not grow with it.
 */
#include "tool/trace_read.h"

#include <inttypes.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "bits.h"
#include "device.h"

enum {
    OBJECT_MAX = 1 << 16, /* bytes of an event */
    DEPTH_MAX = 8,        /* brackets inside brackets: args are the third */
    FIELDS_MAX = 64,      /* of an event's args */
    FOLD_MAX = 24,        /* names of a fold */
    EFFECTS_MAX = 8,      /* states that one call changes */
    STATES_MAX = 32,      /* of granules */
};

struct TraceReader {
    TraceData  *d;
    JsonParser *parser;
    GString    *object;   /* that is being read */
    unsigned    depth;    /* of brackets inside it; 0: between two */
    bool        in_array, in_string, escaped, over;
    uint64_t    offset;
    unsigned    changes;  /* of states, so far */
    GHashTable *tracks;   /* "pid tid" -> index + 1 of d->tracks */
    GHashTable *names;    /* "pid tid" -> name, of thread_name */
    GHashTable *counts[5]; /* name -> index + 1, of calls, exits, times, places, levels */
    GHashTable *states;   /* of granules: name -> index + 1 */
};

/* ---- parts of an event ---- */

static bool fail(GError **error, const char *text, uint64_t offset)
{
    g_set_error(error, BAILEY_ERROR, 1, "%s, at byte %" PRIu64, text, offset);
    return false;
}

static char *shorten(const char *text)
{
    size_t len = strnlen(text, TRACE_TEXT_MAX + 1);

    if (len <= TRACE_TEXT_MAX) {
        return g_strdup(text);
    }
    g_autofree char *cut = g_strndup(text, TRACE_TEXT_MAX);
    g_autofree char *valid = g_utf8_make_valid(cut, -1);
    return g_strconcat(valid, "...", NULL);
}

/* The member as text; NULL when it is none. Valid as long as @o. */
static const char *text_of(JsonObject *o, const char *name)
{
    JsonNode *n = o != NULL ? json_object_get_member(o, name) : NULL;

    bool      text = n != NULL && JSON_NODE_HOLDS_VALUE(n) && json_node_get_value_type(n) == G_TYPE_STRING;

    return text ? json_node_get_string(n) : NULL;
}

static double number_of(JsonObject *o, const char *name)
{
    JsonNode *n = json_object_get_member(o, name);

    return n != NULL && JSON_NODE_HOLDS_VALUE(n) ? json_node_get_double(n) : 0;
}

/* "0x..." or decimal. */
static uint64_t u64_of(JsonObject *o, const char *name)
{
    const char *text = text_of(o, name);

    return text != NULL ? g_ascii_strtoull(text, NULL, 0) : 0;
}

static JsonObject *args_of(JsonObject *event)
{
    JsonNode *n = json_object_get_member(event, "args");

    return n != NULL && JSON_NODE_HOLDS_OBJECT(n) ? json_node_get_object(n) : NULL;
}

/* Microseconds of the file; what is no time is 0. */
static int64_t time_of(JsonObject *event, const char *name)
{
    double us = number_of(event, name);

    return isfinite(us) && us > 0 && us < 9e12 ? llround(us * 1000) : 0;
}

static GPtrArray *fields_of(JsonObject *args)
{
    GPtrArray     *fields = g_ptr_array_new_with_free_func(g_free);
    JsonObjectIter iter;
    const char    *name;
    JsonNode      *value;

    if (args == NULL) {
        return fields;
    }
    json_object_iter_init_ordered(&iter, args);
    while (json_object_iter_next_ordered(&iter, &name, &value) && fields->len < 2 * FIELDS_MAX) {
        const char *text = text_of(args, name);

        g_ptr_array_add(fields, shorten(name));
        g_ptr_array_add(fields, text != NULL                   ? shorten(text)
                                : JSON_NODE_HOLDS_VALUE(value) ? g_strdup_printf("%.15g", json_node_get_double(value))
                                                               : g_strdup("..."));
    }
    return fields;
}

/* ---- what is kept ---- */

static void count(TraceReader *r, unsigned which, const char *name, uint64_t n, int64_t ns)
{
    GArray   *const lists[] = { r->d->calls, r->d->exits, r->d->times, r->d->places, r->d->levels };
    GArray   *list = lists[which];
    unsigned  at = GPOINTER_TO_UINT(g_hash_table_lookup(r->counts[which], name));

    if (at == 0 && list->len >= TRACE_NAMES_MAX) {
        r->d->n_left_out++;
        return;
    }
    if (at == 0) {
        TraceCount c = { .name = shorten(name) };

        g_array_append_val(list, c);
        at = list->len;
        g_hash_table_insert(r->counts[which], g_strdup(name), GUINT_TO_POINTER(at));
    }
    TraceCount *c = &g_array_index(list, TraceCount, at - 1);
    c->n += n;
    c->ns += ns;
}

enum { CALLS, EXITS, TIMES, PLACES, LEVELS };

static TraceRow *last_row(TraceReader *r)
{
    return r->d->rows->len != 0 ? &g_array_index(r->d->rows, TraceRow, r->d->rows->len - 1) : NULL;
}

/* States change inside of what changes them, so they are told first. */
static bool is_effect(const TraceRow *row, const TraceRow *of)
{
    const char *what = row->kind == TRACE_STATE ? row->fields->pdata[row->fields->len - 1] : NULL;
    bool        device = what != NULL && (strcmp(what, "tdi") == 0 || strcmp(what, "ide") == 0);

    return what != NULL && row->ns == of->ns &&
           ((of->kind == TRACE_RMI && !device) || (of->kind == TRACE_MESSAGE && device));
}

static void add_row(TraceReader *r, int64_t ns, TraceRowKind kind, const char *name, const char *who, GPtrArray *fields)
{
    TraceRow row = { ns, kind, shorten(name), who != NULL ? shorten(who) : NULL, fields };
    guint    at = r->d->rows->len;

    if (at >= TRACE_ROWS_MAX) {
        r->d->n_left_out++;
        g_free(row.name);
        g_free(row.who);
        g_ptr_array_unref(fields);
        return;
    }
    while (at > 0 && r->d->rows->len - at < EFFECTS_MAX &&
           is_effect(&g_array_index(r->d->rows, TraceRow, at - 1), &row)) {
        at--;
    }
    g_array_insert_val(r->d->rows, at, row);
}

/* Calls that make no story, how often each: one row, as long as nothing else comes. */
static void add_routine(TraceReader *r, int64_t ns, const char *name, uint64_t n)
{
    TraceRow *row = last_row(r);

    if (row == NULL || row->kind != TRACE_FOLD) {
        add_row(r, ns, TRACE_FOLD, "routine", NULL, g_ptr_array_new_with_free_func(g_free));
        row = last_row(r);
        if (row == NULL || row->kind != TRACE_FOLD) {
            return; /* there is no room */
        }
    }
    for (guint i = 0; i + 1 < row->fields->len; i += 2) {
        if (strcmp(row->fields->pdata[i], name) == 0) {
            uint64_t before = g_ascii_strtoull(row->fields->pdata[i + 1], NULL, 10);

            g_free(row->fields->pdata[i + 1]);
            row->fields->pdata[i + 1] = g_strdup_printf("%" PRIu64, before + n);
            return;
        }
    }
    if (row->fields->len < 2 * FOLD_MAX) {
        g_ptr_array_add(row->fields, shorten(name));
        g_ptr_array_add(row->fields, g_strdup_printf("%" PRIu64, n));
    }
}

/* The track of an event; NULL: there are too many. */
static TraceTrack *track_of(TraceReader *r, const char *key, const char *category)
{
    unsigned    at = GPOINTER_TO_UINT(g_hash_table_lookup(r->tracks, key));
    const char *name = g_hash_table_lookup(r->names, key);

    if (at == 0 && r->d->tracks->len >= TRACE_NAMES_MAX) {
        r->d->n_left_out++;
        return NULL;
    }
    if (at == 0) {
        TraceTrack t = { .name = shorten(name != NULL ? name : key), .category = shorten(category) };

        g_array_append_val(r->d->tracks, t);
        at = r->d->tracks->len;
        g_hash_table_insert(r->tracks, g_strdup(key), GUINT_TO_POINTER(at));
    }
    return &g_array_index(r->d->tracks, TraceTrack, at - 1);
}

static bool is_time(const char *category) { return strcmp(category, "world") == 0 || strcmp(category, "rec") == 0; }

/* Of CPUs and RECs only how long is kept: they change millions of times. */
static void close_span(TraceReader *r, TraceTrack *t, int64_t ns)
{
    int64_t to_ns = MAX(ns, t->open_ns);

    if (t->open_name == NULL) {
        return;
    }
    if (is_time(t->category)) {
        g_autofree char *name = g_strdup_printf("%s: %s", t->name, t->open_name);

        count(r, TIMES, name, 1, to_ns - t->open_ns);
    } else if (r->d->spans->len >= TRACE_SPANS_MAX) {
        r->d->n_left_out++;
    } else {
        TraceSpan s = { (unsigned)(t - &g_array_index(r->d->tracks, TraceTrack, 0)), t->open_name, t->open_ns, to_ns,
                        t->open_at, r->changes + 1 };

        g_array_append_val(r->d->spans, s);
        t->open_name = NULL;
    }
    g_clear_pointer(&t->open_name, g_free);
}

static void open_span(TraceReader *r, TraceTrack *t, int64_t ns, const char *name)
{
    close_span(r, t, ns);
    r->changes += !is_time(t->category);
    t->open_name = shorten(name);
    t->open_ns = ns;
    t->open_at = r->changes;
}

/* ---- kinds of events ---- */

/* Commands about memory, and those that come all the time, are no story. */
static bool is_routine(const char *name, JsonObject *args)
{
    static const char *const heads[] = { "RMI_GRANULE_", "RMI_DATA_", "RMI_RTT_", "RMI_REC_ENTER", "RMI_VERSION",
                                         "RMI_FEATURES", "RSI_IPA_STATE_GET" };
    const char              *status = text_of(args, "status");
    bool good = status == NULL || strcmp(status, "SUCCESS") == 0 || strcmp(status, "runs") == 0 ||
                strcmp(status, "0x0") == 0;

    for (size_t i = 0; good && i < ARRAY_LEN(heads); i++) {
        if (g_str_has_prefix(name, heads[i])) {
            return true;
        }
    }
    return false;
}

static void on_call(TraceReader *r, TraceRowKind kind, const char *name, int64_t ns, JsonObject *args)
{
    uint64_t n = u64_of(args, "count");

    n = n == 0 ? 1 : n;
    count(r, CALLS, name, n, 0);
    if (is_routine(name, args)) {
        add_routine(r, ns, name, n);
    } else {
        g_autofree char *realm = g_strdup_printf("%" PRIu64, u64_of(args, "realm"));

        add_row(r, ns, kind, name, strcmp(realm, "0") != 0 ? realm : NULL, fields_of(args));
    }
}

/* DDI 0487, ESR_ELx.EC, of what makes a REC exit. */
static const char *class_of(uint64_t esr)
{
    switch (esr >> 26 & 0x3f) {
    case 0x01:
        return "WFI or WFE";
    case 0x18:
        return "system register";
    case 0x20:
    case 0x21:
        return "instruction abort";
    case 0x24:
    case 0x25:
        return "data abort";
    default:
        return "other";
    }
}

static void on_exit_of_rec(TraceReader *r, const char *name, int64_t ns, JsonObject *args, const TraceTrack *rec)
{
    bool             sync = strcmp(name, "SYNC") == 0, irq = strcmp(name, "IRQ") == 0;
    g_autofree char *full = sync ? g_strdup_printf("SYNC, %s", class_of(u64_of(args, "esr"))) : g_strdup(name);
    g_autofree char *realm = g_strdup_printf("%" PRIu64, u64_of(args, "realm"));
    int64_t          ran = rec != NULL && rec->open_name != NULL && ns > rec->open_ns ? ns - rec->open_ns : 0;
    const char      *place = text_of(args, "in");

    count(r, EXITS, full, 1, ran);
    if (place != NULL) {
        count(r, PLACES, place, 1, ran);
    }
    if (sync || irq) {
        g_autofree char *routine = g_strconcat("exit: ", full, NULL);

        add_routine(r, ns, routine, 1);
    } else {
        add_row(r, ns, TRACE_EXIT, name, realm, fields_of(args));
    }
}

/* The number of a granule's state; -1: there are too many. */
static int state_index(TraceReader *r, const char *name)
{
    unsigned at = GPOINTER_TO_UINT(g_hash_table_lookup(r->states, name));

    if (at == 0 && r->d->states->len >= STATES_MAX) {
        return -1;
    }
    if (at == 0) {
        g_ptr_array_add(r->d->states, shorten(name));
        at = r->d->states->len;
        g_hash_table_insert(r->states, g_strdup(name), GUINT_TO_POINTER(at));
    }
    return (int)at - 1;
}

static void on_granules(TraceReader *r, const char *name, int64_t ns, JsonObject *args)
{
    const char   *from = text_of(args, "from");
    int           before = state_index(r, from != NULL ? from : "NS"), after = state_index(r, name);
    TraceGranules g = { ns, u64_of(args, "first"), u64_of(args, "count"), (unsigned)after, (unsigned)before };

    if (r->d->granules->len >= TRACE_GRANULES_MAX || before < 0 || after < 0) {
        r->d->n_left_out++;
    } else {
        g_array_append_val(r->d->granules, g);
    }
}

static void on_metadata(TraceReader *r, const char *name, const char *key, JsonObject *args)
{
    const char *text = text_of(args, "name");

    if (strcmp(name, "bailey_trace") == 0 && r->d->header->len == 0) {
        g_ptr_array_unref(r->d->header);
        r->d->header = fields_of(args);
    } else if (strcmp(name, "thread_name") == 0 && text != NULL && g_hash_table_size(r->names) < TRACE_NAMES_MAX) {
        g_hash_table_insert(r->names, g_strdup(key), shorten(text));
    }
}

static bool is_state(const char *category)
{
    static const char *const states[] = { "realm", "pdev", "vdev", "tdi", "ide" };

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (strcmp(category, states[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The new state of something: a row of its own, from whoever has it. */
static void on_state(TraceReader *r, const TraceTrack *t, const char *category, const char *name, int64_t ns,
                     JsonObject *args)
{
    g_autofree char *text = g_strdup_printf("%s: %s", t->name, name);
    GPtrArray       *fields = fields_of(args);

    g_ptr_array_add(fields, g_strdup("what"));
    g_ptr_array_add(fields, shorten(category));
    add_row(r, ns, TRACE_STATE, text, text_of(args, "device"), fields);
}

static bool is_line(const char *category)
{
    static const char *const lines[] = { "smmu", "host", "rhi", "psci", "guest_errors" };

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (strcmp(category, lines[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The SMMU's commands are as many as calls about memory. */
static void on_line(TraceReader *r, const char *category, const char *text, int64_t ns)
{
    g_auto(GStrv) words = g_strsplit(text, " ", 3);

    if (g_strv_length(words) == 3 && g_str_has_prefix(words[1], "CMD_")) {
        add_routine(r, ns, words[1], 1);
    } else {
        add_row(r, ns, TRACE_LINE, text, category, g_ptr_array_new_with_free_func(g_free));
    }
}

static void on_slice(TraceReader *r, char phase, const char *key, const char *category, const char *name, int64_t ns,
                     JsonObject *args)
{
    TraceTrack *t;

    if (phase == 'E') {
        unsigned at = GPOINTER_TO_UINT(g_hash_table_lookup(r->tracks, key));

        if (at != 0) {
            close_span(r, &g_array_index(r->d->tracks, TraceTrack, at - 1), ns);
        }
    } else if ((is_state(category) || is_time(category)) && (t = track_of(r, key, category)) != NULL) {
        if (phase == 'B') {
            open_span(r, t, ns, name);
        }
        if (is_state(category)) {
            on_state(r, t, category, name, ns, args);
        }
    }
}

/* A CPU's stay at an exception level: of them, too, only how long is kept. */
static void on_level(TraceReader *r, const char *key, const char *name, int64_t ns)
{
    const char      *track = g_hash_table_lookup(r->names, key);
    g_autofree char *where = g_strdup_printf("%s: %s", track != NULL ? track : key, name);

    count(r, LEVELS, where, 1, ns);
}

static void on_moment(TraceReader *r, const char *key, const char *category, const char *name, int64_t ns,
                      JsonObject *args)
{
    unsigned at = GPOINTER_TO_UINT(g_hash_table_lookup(r->tracks, key));

    if (strcmp(category, "rmi") == 0) {
        on_call(r, TRACE_RMI, name, ns, args);
    } else if (strcmp(category, "rsi") == 0) {
        on_call(r, TRACE_RSI, name, ns, args);
    } else if (strcmp(category, "exit") == 0) {
        on_exit_of_rec(r, name, ns, args, at != 0 ? &g_array_index(r->d->tracks, TraceTrack, at - 1) : NULL);
    } else if (strcmp(category, "message") == 0) {
        add_row(r, ns, TRACE_MESSAGE, name, text_of(args, "device"), fields_of(args));
    } else if (strcmp(category, "granule") == 0) {
        on_granules(r, name, ns, args);
    } else if (is_line(category)) {
        on_line(r, category, name, ns);
    }
}

static void on_event(TraceReader *r, JsonObject *event)
{
    const char *phase = text_of(event, "ph"), *name = text_of(event, "name"), *category = text_of(event, "cat");
    JsonObject *args = args_of(event);
    int64_t     ns = time_of(event, "ts");
    char        key[64];

    if (phase == NULL || strlen(phase) != 1 || (name == NULL && *phase != 'E')) {
        return;
    }
    g_snprintf(key, sizeof(key), "%.15g %.15g", number_of(event, "pid"), number_of(event, "tid"));
    category = category != NULL ? category : "";
    r->d->n_events++;
    r->d->end_ns = MAX(r->d->end_ns, ns);
    if (*phase == 'M') {
        on_metadata(r, name, key, args);
    } else if (*phase == 'B' || *phase == 'E') {
        on_slice(r, *phase, key, category, name, ns, args);
    } else if (*phase == 'i' && is_state(category)) {
        on_slice(r, *phase, key, category, name, ns, args);
    } else if (*phase == 'X' && strcmp(category, "el") == 0) {
        on_level(r, key, name, time_of(event, "dur"));
    } else if (*phase == 'X' || *phase == 'i') {
        on_moment(r, key, category, name, ns, args);
    }
}

/* ---- the scanner ---- */

static bool parse_object(TraceReader *r, GError **error)
{
    g_autoptr(GError) why = NULL;
    JsonNode         *root;

    if (!json_parser_load_from_data(r->parser, r->object->str, (gssize)r->object->len, &why)) {
        return fail(error, "no event of JSON", r->offset);
    }
    root = json_parser_get_root(r->parser);
    if (root != NULL && JSON_NODE_HOLDS_OBJECT(root)) {
        on_event(r, json_node_get_object(root));
    }
    g_string_truncate(r->object, 0);
    return true;
}

/* A byte inside an object. */
static bool scan_inside(TraceReader *r, char c, GError **error)
{
    if (r->object->len >= OBJECT_MAX) {
        return fail(error, "an event of more than 64 KiB", r->offset);
    }
    g_string_append_c(r->object, c);
    if (r->in_string) {
        r->in_string = r->escaped || c != '"';
        r->escaped = !r->escaped && c == '\\';
        return true;
    }
    r->in_string = c == '"';
    if (c == '{' || c == '[') {
        r->depth++;
    } else if (c == '}' || c == ']') {
        r->depth--;
    }
    if (r->depth > DEPTH_MAX) {
        return fail(error, "brackets too deep inside each other for an event", r->offset);
    }
    return r->depth != 0 || parse_object(r, error);
}

/* A byte between two: the array, or the object that has it as "traceEvents", as other tools write it. */
static bool scan_between(TraceReader *r, char c, GError **error)
{
    if (g_ascii_isspace(c) || r->over) {
        return true;
    }
    if (!r->in_array) {
        bool head = c == '{' || c == '"' || c == ':' || g_ascii_isalpha(c);

        r->in_array = c == '[';
        return r->in_array || (head && r->offset < 64) || fail(error, "this is no array of events", r->offset);
    }
    if (c == '{') {
        r->depth = 1;
        g_string_append_c(r->object, c);
        return true;
    }
    r->over = c == ']';
    return c == ',' || r->over || fail(error, "something else than an event in the array", r->offset);
}

bool trace_read_bytes(TraceReader *r, const char *bytes, size_t len, GError **error)
{
    for (size_t i = 0; i < len; i++) {
        if (!(r->depth != 0 ? scan_inside : scan_between)(r, bytes[i], error)) {
            return false;
        }
        r->offset++;
    }
    return true;
}

/* ---- life ---- */

TraceReader *trace_read_new(void)
{
    TraceReader *r = g_new0(TraceReader, 1);

    r->d = g_new0(TraceData, 1);
    r->d->header = g_ptr_array_new_with_free_func(g_free);
    r->d->rows = g_array_new(FALSE, FALSE, sizeof(TraceRow));
    r->d->spans = g_array_new(FALSE, FALSE, sizeof(TraceSpan));
    r->d->tracks = g_array_new(FALSE, FALSE, sizeof(TraceTrack));
    r->d->granules = g_array_new(FALSE, FALSE, sizeof(TraceGranules));
    r->d->states = g_ptr_array_new_with_free_func(g_free);
    r->d->calls = g_array_new(FALSE, FALSE, sizeof(TraceCount));
    r->d->exits = g_array_new(FALSE, FALSE, sizeof(TraceCount));
    r->d->times = g_array_new(FALSE, FALSE, sizeof(TraceCount));
    r->d->places = g_array_new(FALSE, FALSE, sizeof(TraceCount));
    r->d->levels = g_array_new(FALSE, FALSE, sizeof(TraceCount));
    r->parser = json_parser_new_immutable();
    r->object = g_string_new(NULL);
    r->tracks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    r->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    r->states = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(r->counts); i++) {
        r->counts[i] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    }
    return r;
}

TraceData *trace_read_end(TraceReader *r, GError **error)
{
    if (r->d->n_events == 0) {
        fail(error, "there is no event in it", r->offset);
        return NULL;
    }
    for (guint i = 0; i < r->d->tracks->len; i++) {
        close_span(r, &g_array_index(r->d->tracks, TraceTrack, i), r->d->end_ns);
    }
    r->d->cut = !r->over;
    return g_steal_pointer(&r->d);
}

void trace_read_free(TraceReader *r)
{
    trace_data_free(r->d);
    g_object_unref(r->parser);
    g_string_free(r->object, TRUE);
    g_hash_table_unref(r->tracks);
    g_hash_table_unref(r->names);
    g_hash_table_unref(r->states);
    for (unsigned i = 0; i < ARRAY_LEN(r->counts); i++) {
        g_hash_table_unref(r->counts[i]);
    }
    g_free(r);
}

static void free_counts(GArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        g_free(g_array_index(list, TraceCount, i).name);
    }
    g_array_free(list, TRUE);
}

void trace_data_free(TraceData *d)
{
    if (d == NULL) {
        return;
    }
    for (guint i = 0; i < d->rows->len; i++) {
        TraceRow *row = &g_array_index(d->rows, TraceRow, i);

        g_free(row->name);
        g_free(row->who);
        g_ptr_array_unref(row->fields);
    }
    for (guint i = 0; i < d->spans->len; i++) {
        g_free(g_array_index(d->spans, TraceSpan, i).name);
    }
    for (guint i = 0; i < d->tracks->len; i++) {
        TraceTrack *t = &g_array_index(d->tracks, TraceTrack, i);

        g_free(t->name);
        g_free(t->category);
        g_free(t->open_name);
    }
    g_ptr_array_unref(d->header);
    g_array_free(d->rows, TRUE);
    g_array_free(d->spans, TRUE);
    g_array_free(d->tracks, TRUE);
    g_array_free(d->granules, TRUE);
    g_ptr_array_unref(d->states);
    free_counts(d->calls);
    free_counts(d->exits);
    free_counts(d->times);
    free_counts(d->places);
    free_counts(d->levels);
    g_free(d);
}
