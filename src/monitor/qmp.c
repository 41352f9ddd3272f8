/* The protocol: who is there, what was agreed, commands to their handlers, answers and events. */
#include "monitor/qmp.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "device.h"
#include "hw/pci/hotplug.h"
#include "monitor/qmp_frame.h"
#include "monitor/qmp_int.h"

struct Qmp {
    Mon      mon;
    bool     attached;   /* there is a machine; commands wait for the next one while there is none */
    bool     started;    /* see qmp_was_started() */
    bool     negotiated;
    Chardev *chardev;
    QmpFrame frame;
};

extern const QmpCommand *const __start_bailey_qmp[], *const __stop_bailey_qmp[];

Mon *qmp_mon(Qmp *q) { return &q->mon; }
bool qmp_was_started(const Qmp *q) { return q->started; }
void qmp_negotiated(Qmp *q) { q->negotiated = true; }

/* ---- values ---- */

JsonNode *qmp_object(JsonObject *o)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, o);
    return node;
}

JsonNode *qmp_array(JsonArray *a)
{
    JsonNode *node = json_node_new(JSON_NODE_ARRAY);

    json_node_take_array(node, a);
    return node;
}

JsonNode *qmp_nothing(void) { return qmp_object(json_object_new()); }

JsonNode *qmp_fail(GError **error, QmpErrorClass class, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(QMP_ERROR, (gint)class, fmt, ap));
    va_end(ap);
    return NULL;
}

void qmp_set_text(JsonObject *o, const char *name, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    json_object_set_string_member(o, name, valid);
}

/* ---- the table ---- */

static gint compare_commands(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const QmpCommand *const *)a)->name, (*(const QmpCommand *const *)b)->name);
}

void qmp_foreach(void (*fn)(void *opaque, const QmpCommand *c), void *opaque)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new(); /* by name: the list must not depend on the linker */

    for (const QmpCommand *const *c = __start_bailey_qmp; c < __stop_bailey_qmp; c++) {
        g_ptr_array_add(all, (gpointer)*c);
    }
    g_ptr_array_sort(all, compare_commands);
    for (guint i = 0; i < all->len; i++) {
        fn(opaque, all->pdata[i]);
    }
}

static const QmpCommand *find(const char *name)
{
    for (const QmpCommand *const *c = __start_bailey_qmp; c < __stop_bailey_qmp; c++) {
        if (strcmp((*c)->name, name) == 0) {
            return *c;
        }
    }
    return NULL;
}

/* ---- out ---- */

/* Takes the object over. A line each, as QEMU sends them. An ID may have a surrogate that stands alone. */
static void say(Qmp *q, JsonObject *o)
{
    g_autoptr(JsonNode) node = qmp_object(o);
    g_autofree char    *text = json_to_string(node, FALSE);
    g_autofree char    *valid = g_utf8_make_valid(text, -1);
    g_autofree char    *line = g_strconcat(valid, "\r\n", NULL);

    chardev_write(q->chardev, line, strlen(line));
}

/* Takes @id over, which may be NULL. */
static void say_error(Qmp *q, const GError *error, JsonNode *id)
{
    static const char *const classes[] = {
        [QMP_GENERIC] = "GenericError", [QMP_COMMAND_NOT_FOUND] = "CommandNotFound",
        [QMP_DEVICE_NOT_FOUND] = "DeviceNotFound",
    };
    JsonObject *o = json_object_new(), *what = json_object_new();

    json_object_set_string_member(what, "class", classes[error->domain == QMP_ERROR ? error->code : QMP_GENERIC]);
    qmp_set_text(what, "desc", error->message);
    json_object_set_object_member(o, "error", what);
    if (id != NULL) {
        json_object_set_member(o, "id", id);
    }
    say(q, o);
}

void qmp_event(Qmp *q, const char *name, JsonObject *data)
{
    gint64      now_us = g_get_real_time(); /* of the host: only the other side sees it */
    JsonObject *o = json_object_new(), *when = json_object_new();

#ifdef BAILEY_DEBUG
    g_assert(qmp_event_fits(name, data));
#endif
    json_object_set_int_member(when, "seconds", now_us / G_USEC_PER_SEC);
    json_object_set_int_member(when, "microseconds", now_us % G_USEC_PER_SEC);
    json_object_set_object_member(o, "timestamp", when);
    json_object_set_string_member(o, "event", name);
    if (data != NULL) {
        json_object_set_object_member(o, "data", data);
    }
    if (q->negotiated) {
        say(q, o);
    } else {
        json_object_unref(o);
    }
}

static void greet(Qmp *q)
{
    JsonObject *o = json_object_new(), *body = json_object_new(), *answer;
    JsonNode   *version = find("query-version")->run(q, NULL, NULL);

    answer = json_node_dup_object(version);
    json_node_unref(version);
    json_object_set_object_member(body, "version", answer);
    json_object_set_array_member(body, "capabilities", json_array_new());
    json_object_set_object_member(o, "QMP", body);
    say(q, o);
}

/* ---- in ---- */

static const QmpMember *find_arg(const QmpCommand *c, const char *name)
{
    for (const QmpMember *m = c->args; m->name != NULL; m++) {
        if (strcmp(m->name, name) == 0) {
            return m;
        }
    }
    return NULL;
}

static bool check_args(const QmpCommand *c, JsonObject *args, GError **error)
{
    JsonObjectIter iter;
    const char    *name;
    JsonNode      *node;

    for (const QmpMember *m = c->args; m->name != NULL; m++) {
        if (!m->optional && !json_object_has_member(args, m->name)) {
            return qmp_fail(error, QMP_GENERIC, "%s needs the argument '%s'", c->name, m->name) != NULL;
        }
    }
    json_object_iter_init(&iter, args);
    while (json_object_iter_next(&iter, &name, &node)) {
        const QmpMember *arg = find_arg(c, name);

        if (arg == NULL && !c->free_args) {
            return qmp_fail(error, QMP_GENERIC, "%s takes no argument '%s'", c->name, name) != NULL;
        }
        if (arg != NULL && !qmp_fits(arg->type, node)) {
            g_autofree char *words = qmp_type_words(arg->type);

            return qmp_fail(error, QMP_GENERIC, "the argument '%s' of %s is to be of type %s", name, c->name, words) !=
                   NULL;
        }
    }
    return true;
}

/* The command that a request names, NULL with a sentence. Only those that may come now. */
static const QmpCommand *find_now(const Qmp *q, const char *name, GError **error)
{
    const QmpCommand *c = find(name);

    if (!q->negotiated && (c == NULL || !c->negotiates)) {
        qmp_fail(error, QMP_COMMAND_NOT_FOUND, "'%s' comes before the negotiation; begin with qmp_capabilities", name);
        return NULL;
    }
    if (c == NULL) {
        qmp_fail(error, QMP_COMMAND_NOT_FOUND, "there is no command '%s'; query-commands lists them", name);
        return NULL;
    }
    if (q->negotiated && c->negotiates) {
        qmp_fail(error, QMP_COMMAND_NOT_FOUND, "'%s' has been there already, and may come once", name);
        return NULL;
    }
    return c;
}

/* A request's members, in their own words; false with a sentence. */
static bool take_apart(JsonObject *request, const char **command, JsonObject **args, GError **error)
{
    JsonObjectIter iter;
    const char    *name;
    JsonNode      *node;

    *command = NULL;
    *args = NULL;
    json_object_iter_init(&iter, request);
    while (json_object_iter_next(&iter, &name, &node)) {
        if (strcmp(name, "execute") == 0 && qmp_fits("str", node)) {
            *command = json_node_get_string(node);
        } else if (strcmp(name, "arguments") == 0 && JSON_NODE_HOLDS_OBJECT(node)) {
            *args = json_node_get_object(node);
        } else if (strcmp(name, "execute") == 0 || strcmp(name, "arguments") == 0) {
            return qmp_fail(error, QMP_GENERIC, "the member '%s' of a request is to be of type %s", name,
                            name[0] == 'e' ? "string" : "object") != NULL;
        } else if (strcmp(name, "id") != 0) {
            return qmp_fail(error, QMP_GENERIC, "a request has no member '%s'; write execute, arguments, id", name) !=
                   NULL;
        }
    }
    return *command != NULL || qmp_fail(error, QMP_GENERIC, "the request has no member 'execute'") != NULL;
}

static JsonNode *execute(Qmp *q, JsonObject *request, GError **error)
{
    g_autoptr(JsonObject) empty = json_object_new();
    const QmpCommand     *c;
    const char           *name;
    JsonObject           *args;
    JsonNode             *answer;

    if (!take_apart(request, &name, &args, error)) {
        return NULL;
    }
    c = find_now(q, name, error);
    args = args != NULL ? args : empty;
    answer = c != NULL && check_args(c, args, error) ? c->run(q, args, error) : NULL;
#ifdef BAILEY_DEBUG
    g_assert(answer == NULL || qmp_fits(c->returns, answer));
#endif
    return answer;
}

static void serve(Qmp *q, JsonObject *request)
{
    g_autoptr(GError) error = NULL;
    JsonNode         *id = json_object_dup_member(request, "id");
    JsonNode         *answer = execute(q, request, &error);
    JsonObject       *o;

    if (answer == NULL) {
        say_error(q, error, id);
        return;
    }
    o = json_object_new();
    json_object_set_member(o, "return", answer);
    if (id != NULL) {
        json_object_set_member(o, "id", id);
    }
    say(q, o);
}

/* Whether every number in it is one: an infinite one, from 1e999, could not be written back in an "id". */
static bool has_finite_numbers(JsonNode *n)
{
    if (JSON_NODE_HOLDS_VALUE(n)) {
        return json_node_get_value_type(n) != G_TYPE_DOUBLE || isfinite(json_node_get_double(n));
    }
    g_autoptr(GList) all = JSON_NODE_HOLDS_OBJECT(n) ? json_object_get_values(json_node_get_object(n)) :
                           JSON_NODE_HOLDS_ARRAY(n) ? json_array_get_elements(json_node_get_array(n)) : NULL;

    for (GList *l = all; l != NULL; l = l->next) {
        if (!has_finite_numbers(l->data)) {
            return false;
        }
    }
    return true;
}

/* A value is complete. */
static void take_value(Qmp *q, const char *text, size_t len)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(GError)     error = NULL;
    JsonNode             *root = NULL;

    if (!g_utf8_validate(text, (gssize)len, NULL)) {
        qmp_fail(&error, QMP_GENERIC, "the command is no UTF-8");
    } else if (json_parser_load_from_data(parser, text, (gssize)len, &error)) {
        root = json_parser_get_root(parser);
        if (root == NULL || !JSON_NODE_HOLDS_OBJECT(root)) {
            qmp_fail(&error, QMP_GENERIC, "a command is a JSON object: { \"execute\": \"query-commands\" }");
        } else if (!has_finite_numbers(root)) {
            qmp_fail(&error, QMP_GENERIC, "a number in the command is beyond what a double holds");
        }
    } else {
        g_prefix_error(&error, "this is no JSON: ");
    }
    if (error != NULL) {
        say_error(q, error, NULL);
    } else {
        serve(q, json_node_get_object(root));
    }
}

static size_t can_receive(void *opaque)
{
    const Qmp *q = opaque;

    /* One by one: what stands behind a command that ends the machine is for the one that follows. */
    return q->attached && !machine_is_stopping(q->mon.on.machine) ? 1 : 0;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    Qmp *q = opaque;

    for (size_t i = 0; i < len; i++) {
        g_autoptr(GError) error = NULL;
        const char       *why;

        switch (qmp_frame_put(&q->frame, (char)data[i], &why)) {
        case QMP_FRAME_MORE:
            break;
        case QMP_FRAME_VALUE:
            take_value(q, q->frame.text->str, q->frame.text->len);
            break;
        case QMP_FRAME_BAD:
            qmp_fail(&error, QMP_GENERIC, "this is no JSON: %s", why);
            say_error(q, error, NULL);
            break;
        }
    }
}

/* Whoever comes next finds nothing of the one before. */
static void peer_changed(void *opaque, bool here)
{
    Qmp *q = opaque;

    qmp_frame_reset(&q->frame);
    q->negotiated = false;
    mon_reset(&q->mon);
    if (here) {
        greet(q);
    }
}

static const ChardevClient client = { can_receive, receive, peer_changed };

/* ---- the machine ---- */

QMP_EVENT(STOP);
QMP_EVENT(RESUME);

static void on_pause(void *opaque, bool paused)
{
    Qmp *q = opaque;

    q->started |= !paused;
    qmp_event(q, paused ? "STOP" : "RESUME", NULL);
}

/* A breakpoint on an event of this session, or one of the debugger's. No event of QEMU's says so. */
QMP_EVENT(X_BREAK, { "cpu-index", "int" }, { "pc", "int" }, { "events", "[str]" });

static void on_break(void *opaque, Cpu *cpu)
{
    Qmp                 *q = opaque;
    g_autofree char     *events = mon_take_hits(&q->mon);
    g_auto(GStrv)        lines = g_strsplit(events != NULL ? events : "", "\n", -1);
    JsonObject          *data = json_object_new();
    JsonArray           *list = json_array_new();

    if (cpu != NULL) {
        q->mon.cpu = cpu->index;
    }
    for (char **line = lines; *line != NULL; line++) {
        if (**line != '\0') {
            g_autofree char *valid = g_utf8_make_valid(*line, -1);

            json_array_add_string_element(list, valid);
        }
    }
    json_object_set_int_member(data, "cpu-index", q->mon.cpu);
    json_object_set_int_member(data, "pc", (gint64)mon_a64(&q->mon)->pc);
    json_object_set_array_member(data, "events", list);
    qmp_event(q, "X_BREAK", data);
}

QMP_EVENT(DEVICE_DELETED, { "device", "str" }, { "path", "str" });

static void on_deleted(void *opaque, const char *id)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);
    JsonObject      *data = json_object_new();

    qmp_set_text(data, "device", id);
    qmp_set_text(data, "path", path);
    qmp_event(opaque, "DEVICE_DELETED", data);
}

void qmp_attach(Qmp *q, const MonMachine *on)
{
    mon_attach(&q->mon, on);
    q->attached = true;
    q->started |= !machine_is_paused(on->machine);
    machine_on_break(on->machine, on_break, q);
    machine_on_pause(on->machine, on_pause, q);
    if (on->pci != NULL) {
        pci_host_on_deleted(on->pci, on_deleted, q);
    }
    if (on->realm_pci != NULL) {
        pci_host_on_deleted(on->realm_pci, on_deleted, q);
    }
    chardev_accept_input(q->chardev);
}

QMP_ENUM(ShutdownCause, "host-error", "host-qmp-quit", "host-qmp-system-reset", "host-signal", "guest-shutdown",
         "guest-reset", "guest-panic");
QMP_EVENT(RESET, { "guest", "bool" }, { "reason", "ShutdownCause" });
QMP_EVENT(SHUTDOWN, { "guest", "bool" }, { "reason", "ShutdownCause" });

void qmp_detach(Qmp *q, bool restarts, bool by_guest, const char *reason)
{
    JsonObject *data = json_object_new();

    machine_off_break(q->mon.on.machine, on_break, q);
    machine_on_pause(q->mon.on.machine, NULL, NULL);
    if (q->mon.on.pci != NULL) {
        pci_host_on_deleted(q->mon.on.pci, NULL, NULL);
    }
    if (q->mon.on.realm_pci != NULL) {
        pci_host_on_deleted(q->mon.on.realm_pci, NULL, NULL);
    }
    json_object_set_boolean_member(data, "guest", by_guest);
    json_object_set_string_member(data, "reason", reason);
    qmp_event(q, restarts ? "RESET" : "SHUTDOWN", data);
    mon_detach(&q->mon);
    q->attached = false;
}

/* ---- life ---- */

Qmp *qmp_new(Chardev *chardev, GError **error)
{
    const MonMachine none = { 0 };
    Qmp             *q = g_new0(Qmp, 1);

    if (!chardev_set_client(chardev, &client, q)) {
        mon_fail(error, "something else receives what comes there already; give it a -chardev of its own");
        chardev_free(chardev);
        g_free(q);
        return NULL;
    }
    mon_init(&q->mon, &none);
    q->mon.controls = true;
    q->chardev = chardev;
    chardev_keep(chardev, true);
    qmp_frame_init(&q->frame);
    if (chardev_has_peer(chardev)) {
        peer_changed(q, true);
    }
    return q;
}

Qmp *qmp_open(const char *where, GError **error)
{
    bool     known = strcmp(where, "stdio") == 0 || g_str_has_prefix(where, "tcp:") ||
                 g_str_has_prefix(where, "unix:") || g_str_has_prefix(where, "chardev:");
    Chardev *chardev = NULL;
    Qmp     *q = NULL;

    if (!known) {
        mon_fail(error, "-qmp: '%s' is neither stdio, tcp:ADDR:PORT, unix:PATH nor chardev:ID", where);
        return NULL;
    }
    chardev = chardev_new(where, false, error);
    q = chardev != NULL ? qmp_new(chardev, error) : NULL;
    if (q == NULL) {
        g_prefix_error(error, "-qmp: ");
    }
    return q;
}

void qmp_free(Qmp *q)
{
    if (q == NULL) {
        return;
    }
    chardev_set_client(q->chardev, NULL, NULL);
    chardev_keep(q->chardev, false);
    chardev_free(q->chardev);
    qmp_frame_deinit(&q->frame);
    mon_deinit(&q->mon);
    g_free(q);
}
