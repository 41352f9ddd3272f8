/* QMP's commands about devices that come and go. */
#include <string.h>

#include "monitor/qmp_int.h"

/* A member as the text of a property; NULL: it is neither text, number nor switch. A comma in text is doubled. */
static char *property_text(JsonNode *node)
{
    GType type = json_node_get_value_type(node);

    if (type == G_TYPE_INT64) {
        return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
    }
    if (type == G_TYPE_BOOLEAN) {
        return g_strdup(json_node_get_boolean(node) ? "on" : "off");
    }
    if (type == G_TYPE_STRING) {
        g_auto(GStrv) parts = g_strsplit(json_node_get_string(node), ",", -1);

        return g_strjoinv(",,", parts);
    }
    return NULL;
}

/* The arguments as -device has them: the driver first. NULL with @error. */
static char *option_text(JsonObject *args, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char   *driver = property_text(json_object_get_member(args, "driver"));
    JsonObjectIter     iter;
    const char        *name;
    JsonNode          *node;

    g_string_append(text, driver);
    json_object_iter_init(&iter, args);
    while (json_object_iter_next(&iter, &name, &node)) {
        g_autofree char *value = property_text(node);

        if (value == NULL || strpbrk(name, "=,") != NULL) {
            qmp_fail(error, QMP_GENERIC, "the argument '%s' of device_add is no property: they are text, integers and "
                     "booleans", name);
            return NULL;
        }
        if (strcmp(name, "driver") != 0) {
            g_string_append_printf(text, ",%s=%s", name, value);
        }
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

QMP_COMMAND(device_add, .name = "device_add",
            .args = { { "driver", "str" }, { "id", "str", true }, { "bus", "str", true } },
            .free_args = true)
{
    g_autofree char *text = option_text(args, error);

    return text != NULL && mon_device_add(qmp_mon(q), text, error) ? qmp_nothing() : NULL;
}

QMP_COMMAND(device_del, .name = "device_del", .args = { { "id", "str" } })
{
    g_autoptr(GError) why = NULL;
    bool              found;

    if (mon_device_del(qmp_mon(q), json_object_get_string_member(args, "id"), &found, &why)) {
        return qmp_nothing();
    }
    return qmp_fail(error, found ? QMP_GENERIC : QMP_DEVICE_NOT_FOUND, "%s", why->message);
}
