/*
 * QEMU's object model, as far as there are objects here that it names: the machine, its CPUs, and the PCI functions
 * with the properties that -device gives them. There is one level of classes, "device", and nothing is set.
 */
#include <string.h>

#include "device.h"
#include "hw/pci/pci.h"
#include "monitor/qmp_int.h"

#define PERIPHERAL "/machine/peripheral"

/* What a path leads to. */
typedef struct QomPlace {
    enum { QOM_ROOT, QOM_MACHINE, QOM_CPU, QOM_PERIPHERAL, QOM_DEVICE } kind;
    PciDevice *pd; /* QOM_DEVICE */
} QomPlace;

static const char *const prop_types[] = {
    [PROP_BOOL] = "bool", [PROP_UINT] = "uint64", [PROP_SIZE] = "size", [PROP_STRING] = "str", [PROP_MAC] = "str",
};

/* ---- places ---- */

static bool find_cpu(const Mon *m, const char *text)
{
    guint64          n;
    g_autofree char *digits = g_str_has_suffix(text, "]") ? g_strndup(text, strlen(text) - 1) : g_strdup("");

    return g_ascii_string_to_unsigned(digits, 10, 0, m->on.n_cpus - 1, &n, NULL);
}

static bool find_place(const Mon *m, const char *path, QomPlace *at, GError **error)
{
    *at = (QomPlace){ .kind = QOM_ROOT };
    if (strcmp(path, "/") == 0) {
        return true;
    }
    if (strcmp(path, "/machine") == 0) {
        at->kind = QOM_MACHINE;
    } else if (strcmp(path, PERIPHERAL) == 0) {
        at->kind = QOM_PERIPHERAL;
    } else if (g_str_has_prefix(path, "/machine/cpu[") && find_cpu(m, path + strlen("/machine/cpu["))) {
        at->kind = QOM_CPU;
    } else if (g_str_has_prefix(path, PERIPHERAL "/")) {
        at->kind = QOM_DEVICE;
        at->pd = mon_function(m, path + strlen(PERIPHERAL "/")); /* which may have a slash */
    } else if (strchr(path, '/') == NULL) { /* QEMU takes the ID alone as well */
        at->kind = QOM_DEVICE;
        at->pd = mon_function(m, path);
    }
    if (at->kind == QOM_ROOT || (at->kind == QOM_DEVICE && at->pd == NULL)) {
        qmp_fail(error, QMP_DEVICE_NOT_FOUND, "there is nothing at '%s'; qom-list begins at / and " PERIPHERAL, path);
        return false;
    }
    return true;
}

/* What an object is an instance of. */
static const char *type_of(const QomPlace *at)
{
    static const char *const types[] = {
        [QOM_ROOT] = "container", [QOM_MACHINE] = "cca-machine", [QOM_CPU] = QMP_CPU_TYPE,
        [QOM_PERIPHERAL] = "container",
    };

    return at->kind == QOM_DEVICE ? at->pd->dev.cls->name : types[at->kind];
}

/* ---- what is there ---- */

QMP_OBJECT(ObjectPropertyInfo, { "name", "str" }, { "type", "str" }, { "description", "str", true },
           { "default-value", "any", true });

static JsonObject *put_info(JsonArray *all, const char *name, const char *type)
{
    JsonObject *o = json_object_new();

    qmp_set_text(o, "name", name);
    json_object_set_string_member(o, "type", type);
    json_array_add_object_element(all, o);
    return o;
}

static void put_child(JsonArray *all, const char *name, const char *type)
{
    g_autofree char *child = g_strdup_printf("child<%s>", type);

    put_info(all, name, child);
}

static void put_function(PciDevice *pd, void *opaque) { put_child(opaque, pd->dev.id, pd->dev.cls->name); }

static void put_props(JsonArray *all, const DeviceClass *cls, bool defaults)
{
    for (size_t i = 0; i < cls->n_props; i++) {
        const Prop *p = &cls->props[i];
        JsonObject *o = put_info(all, p->name, prop_types[p->type]);

        if (p->help != NULL) {
            json_object_set_string_member(o, "description", p->help);
        }
        if (defaults && p->def != NULL) {
            json_object_set_string_member(o, "default-value", p->def);
        }
    }
}

QMP_COMMAND(qom_list, .name = "qom-list", .args = { { "path", "str" } }, .returns = "[ObjectPropertyInfo]")
{
    const Mon *m = qmp_mon(q);
    JsonArray *all;
    QomPlace   at;

    if (!find_place(m, json_object_get_string_member(args, "path"), &at, error)) {
        return NULL;
    }
    all = json_array_new();
    put_info(all, "type", "string");
    if (at.kind == QOM_ROOT) {
        put_child(all, "machine", "cca-machine");
    } else if (at.kind == QOM_MACHINE) {
        put_child(all, "peripheral", "container");
        for (unsigned i = 0; i < m->on.n_cpus; i++) {
            g_autofree char *name = g_strdup_printf("cpu[%u]", i);

            put_child(all, name, QMP_CPU_TYPE);
        }
    } else if (at.kind == QOM_PERIPHERAL) {
        mon_each_function(m, put_function, all);
    } else if (at.kind == QOM_DEVICE) {
        put_props(all, at.pd->dev.cls, false);
    }
    return qmp_array(all);
}

/* ---- values ---- */

static JsonNode *text_node(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text != NULL ? text : "", -1);

    return json_node_init_string(json_node_alloc(), valid);
}

static JsonNode *prop_value(const Device *dev, const Prop *p)
{
    const void      *member = (const char *)dev + p->offset;
    const uint8_t   *mac = member;
    g_autofree char *text = NULL;

    switch (p->type) {
    case PROP_BOOL:
        return json_node_init_boolean(json_node_alloc(), *(const bool *)member);
    case PROP_UINT:
    case PROP_SIZE:
        return json_node_init_int(json_node_alloc(), (gint64) * (const uint64_t *)member);
    case PROP_STRING:
        return text_node(*(char *const *)member);
    case PROP_MAC:
        text = g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
        return text_node(text);
    }
    return NULL;
}

QMP_COMMAND(qom_get, .name = "qom-get", .args = { { "path", "str" }, { "property", "str" } }, .returns = "any")
{
    const char *name = json_object_get_string_member(args, "property");
    QomPlace    at;

    if (!find_place(qmp_mon(q), json_object_get_string_member(args, "path"), &at, error)) {
        return NULL;
    }
    if (strcmp(name, "type") == 0) {
        return text_node(type_of(&at));
    }
    for (size_t i = 0; at.kind == QOM_DEVICE && i < at.pd->dev.cls->n_props; i++) {
        if (strcmp(at.pd->dev.cls->props[i].name, name) == 0) {
            return prop_value(&at.pd->dev, &at.pd->dev.cls->props[i]);
        }
    }
    return qmp_fail(error, QMP_GENERIC, "there is no property '%s' at '%s'; qom-list lists them", name,
                    json_object_get_string_member(args, "path"));
}

/* ---- classes ---- */

QMP_OBJECT(ObjectTypeInfo, { "name", "str" }, { "abstract", "bool", true }, { "parent", "str", true });

static void put_class(const DeviceClass *cls, void *opaque)
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "name", cls->name);
    json_object_set_string_member(o, "parent", "device");
    json_array_add_object_element(opaque, o);
}

QMP_COMMAND(qom_list_types, .name = "qom-list-types",
            .args = { { "implements", "str", true }, { "abstract", "bool", true } }, .returns = "[ObjectTypeInfo]")
{
    const char *implements = json_object_get_string_member_with_default(args, "implements", "device");
    JsonArray  *all = json_array_new();

    if (strcmp(implements, "device") == 0) {
        device_class_foreach(put_class, all);
    }
    return qmp_array(all);
}

QMP_COMMAND(device_list_properties, .name = "device-list-properties", .args = { { "typename", "str" } },
            .returns = "[ObjectPropertyInfo]")
{
    const char        *name = json_object_get_string_member(args, "typename");
    const DeviceClass *cls = device_class_find(name);
    JsonArray         *all;

    if (cls == NULL) {
        return qmp_fail(error, QMP_DEVICE_NOT_FOUND, "there is no device class '%s'; qom-list-types lists them", name);
    }
    all = json_array_new();
    put_props(all, cls, true);
    return qmp_array(all);
}
