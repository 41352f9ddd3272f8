/*
 * QMP's types: whether a value is one, and query-qmp-schema, which tells programs what there is to ask. Both read the
 * rows that commands, events and types are declared by. The shape is that of QEMU, "How to use the QAPI code
 * generator", "Client JSON Protocol introspection"; types keep their names, which mean nothing to a program there
 * either.
 */
#include <string.h>

#include "monitor/qmp_int.h"

extern const QmpType *const __start_bailey_qmp_types[], *const __stop_bailey_qmp_types[];
extern const QmpEvent *const __start_bailey_qmp_events[], *const __stop_bailey_qmp_events[];

#define EMPTY "q_empty" /* the object without members */

/* Those that need no declaration. */
typedef struct Builtin {
    const char *name, *json;
    GType       gtype; /* G_TYPE_NONE: any value */
} Builtin;

static const Builtin builtins[] = {
    { "any", "value", G_TYPE_NONE },
    { "bool", "boolean", G_TYPE_BOOLEAN },
    { "int", "int", G_TYPE_INT64 },
    { "str", "string", G_TYPE_STRING },
};

/* ---- types by name ---- */

static bool is_array(const char *type) { return type[0] == '['; }

/* "[str]" is an array of these. */
static char *element_of(const char *type) { return g_strndup(type + 1, strlen(type) - 2); }

static const Builtin *find_builtin(const char *type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(builtins); i++) {
        if (strcmp(builtins[i].name, type) == 0) {
            return &builtins[i];
        }
    }
    return NULL;
}

/* Of those that are declared. */
static const QmpType *find_type(const char *type)
{
    for (const QmpType *const *t = __start_bailey_qmp_types; t < __stop_bailey_qmp_types; t++) {
        if (strcmp((*t)->name, type) == 0) {
            return *t;
        }
    }
    return NULL;
}

char *qmp_type_words(const char *type)
{
    const Builtin  *b = find_builtin(type);
    const QmpType  *t = find_type(type);

    if (is_array(type)) {
        g_autofree char *element = element_of(type), *words = qmp_type_words(element);

        return g_strdup_printf("array of %s", words);
    }
    return g_strdup(b == NULL ? t != NULL && t->values[0] != NULL ? "string" : "object"
                    : b->gtype == G_TYPE_INT64 ? "integer" : b->json);
}

/* ---- does a value fit ---- */

static bool fits_members(const QmpMember *members, JsonObject *o)
{
    guint n = 0; /* of those that are there */

    for (const QmpMember *m = members; m->name != NULL; m++) {
        JsonNode *value = json_object_get_member(o, m->name);

        if (value != NULL ? !qmp_fits(m->type, value) : !m->optional) {
            return false;
        }
        n += value != NULL;
    }
    return n == json_object_get_size(o);
}

static bool fits_array(const char *type, JsonArray *a)
{
    g_autofree char *element = element_of(type);

    for (guint i = 0; i < json_array_get_length(a); i++) {
        if (!qmp_fits(element, json_array_get_element(a, i))) {
            return false;
        }
    }
    return true;
}

bool qmp_fits(const char *type, JsonNode *value)
{
    static const QmpMember none[1];
    const Builtin         *b = type != NULL ? find_builtin(type) : NULL;
    const QmpType         *t = type != NULL ? find_type(type) : NULL;

    if (b != NULL) {
        return b->gtype == G_TYPE_NONE || json_node_get_value_type(value) == b->gtype;
    }
    if (type != NULL && is_array(type)) {
        return JSON_NODE_HOLDS_ARRAY(value) && fits_array(type, json_node_get_array(value));
    }
    if (t != NULL && t->values[0] != NULL) {
        return json_node_get_value_type(value) == G_TYPE_STRING &&
               g_strv_contains(t->values, json_node_get_string(value));
    }
    return (t != NULL || type == NULL) && JSON_NODE_HOLDS_OBJECT(value) &&
           fits_members(t != NULL ? t->members : none, json_node_get_object(value));
}

bool qmp_event_fits(const char *name, JsonObject *data)
{
    g_autoptr(JsonObject) empty = json_object_new();

    for (const QmpEvent *const *e = __start_bailey_qmp_events; e < __stop_bailey_qmp_events; e++) {
        if (strcmp((*e)->name, name) == 0) {
            return fits_members((*e)->data, data != NULL ? data : empty);
        }
    }
    return false;
}

/* ---- query-qmp-schema ---- */

/* What is being written: rows so far, and the names of the types that have theirs. */
typedef struct Schema {
    JsonArray  *rows;
    GHashTable *done;
} Schema;

static JsonObject *begin_row(Schema *s, const char *name, const char *meta)
{
    JsonObject *row = json_object_new();

    json_object_set_string_member(row, "name", name);
    json_object_set_string_member(row, "meta-type", meta);
    json_array_add_object_element(s->rows, row);
    return row;
}

static void put_type(Schema *s, const char *type);

static void put_object(Schema *s, const char *name, const QmpMember *members)
{
    JsonObject *row = begin_row(s, name, "object");
    JsonArray  *all = json_array_new();

    json_object_set_array_member(row, "members", all);
    for (const QmpMember *m = members; m->name != NULL; m++) {
        JsonObject *o = json_object_new();

        json_object_set_string_member(o, "name", m->name);
        json_object_set_string_member(o, "type", m->type);
        if (m->optional) {
            json_object_set_null_member(o, "default");
        }
        json_array_add_object_element(all, o);
        put_type(s, m->type);
    }
}

static void put_enum(Schema *s, const QmpType *t)
{
    JsonObject *row = begin_row(s, t->name, "enum");
    JsonArray  *members = json_array_new(), *values = json_array_new(); /* the new way to say it, and the old one */

    for (const char *const *v = t->values; *v != NULL; v++) {
        JsonObject *o = json_object_new();

        json_object_set_string_member(o, "name", *v);
        json_array_add_object_element(members, o);
        json_array_add_string_element(values, *v);
    }
    json_object_set_array_member(row, "members", members);
    json_object_set_array_member(row, "values", values);
}

/* A row for a type that is used, and for those in it. */
static void put_type(Schema *s, const char *type)
{
    const Builtin *b = find_builtin(type);
    const QmpType *t = find_type(type);

    if (!g_hash_table_add(s->done, g_strdup(type))) {
        return;
    }
    if (b != NULL) {
        json_object_set_string_member(begin_row(s, type, "builtin"), "json-type", b->json);
    } else if (is_array(type)) {
        g_autofree char *element = element_of(type);

        json_object_set_string_member(begin_row(s, type, "array"), "element-type", element);
        put_type(s, element);
    } else if (t != NULL && t->values[0] != NULL) {
        put_enum(s, t);
    } else {
        put_object(s, type, t != NULL ? t->members : (const QmpMember[1]){ 0 });
    }
}

/* The members as a type of their own, which has no name in any row. Returns what it is called. */
static char *put_arguments(Schema *s, const char *of, const QmpMember *members)
{
    char *name = members[0].name != NULL ? g_strdup_printf("q_obj_%s-arg", of) : g_strdup(EMPTY);

    if (members[0].name == NULL) {
        put_type(s, EMPTY);
    } else {
        put_object(s, name, members);
    }
    return name;
}

static void put_command(void *opaque, const QmpCommand *c)
{
    const char      *returns = c->returns != NULL ? c->returns : EMPTY;
    JsonObject      *row = begin_row(opaque, c->name, "command");
    g_autofree char *arguments = put_arguments(opaque, c->name, c->args);

    json_object_set_string_member(row, "arg-type", arguments);
    json_object_set_string_member(row, "ret-type", returns);
    put_type(opaque, returns);
}

static gint compare_events(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const QmpEvent *const *)a)->name, (*(const QmpEvent *const *)b)->name);
}

static void put_events(Schema *s)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new(); /* by name: the list must not depend on the linker */

    for (const QmpEvent *const *e = __start_bailey_qmp_events; e < __stop_bailey_qmp_events; e++) {
        g_ptr_array_add(all, (gpointer)*e);
    }
    g_ptr_array_sort(all, compare_events);
    for (guint i = 0; i < all->len; i++) {
        const QmpEvent  *e = all->pdata[i];
        JsonObject      *row = begin_row(s, e->name, "event");
        g_autofree char *data = put_arguments(s, e->name, e->data);

        json_object_set_string_member(row, "arg-type", data);
    }
}

QMP_OBJECT(SchemaMember, { "name", "str" }, { "type", "str", true }, { "default", "any", true });
QMP_ENUM(SchemaMetaType, "array", "builtin", "command", "enum", "event", "object");
QMP_OBJECT(SchemaInfo, { "name", "str" }, { "meta-type", "SchemaMetaType" }, { "json-type", "str", true },
           { "element-type", "str", true }, { "members", "[SchemaMember]", true }, { "values", "[str]", true },
           { "arg-type", "str", true }, { "ret-type", "str", true });

QMP_COMMAND(query_qmp_schema, .name = "query-qmp-schema", .returns = "[SchemaInfo]")
{
    g_autoptr(GHashTable) done = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Schema                s = { json_array_new(), done };

    qmp_foreach(put_command, &s);
    put_events(&s);
    return qmp_array(s.rows);
}
