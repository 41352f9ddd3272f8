/*
 * Configuration files. The form is that of QEMU's, which is almost GLib's key-file format; but groups and keys may come
 * more than once (two drives without id, two hostfwd), so GLib's parser would lose some.
 */
#include "config_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "device.h"
#include "options.h"

/* A group that is one option with a list of keys. */
typedef struct Group {
    const char *name, *option;
    const char *first;   /* the key whose value leads the list; NULL: none does */
    const char *missing; /* what stands for it when it is not there; NULL: it must be */
    bool        plain;   /* for reading; config_put() writes the option into [options] */
} Group;

static const Group groups[] = {
    { "device", "device", "driver", NULL, false },
    { "netdev", "netdev", "type", NULL, false },
    { "chardev", "chardev", "backend", NULL, false },
    { "fsdev", "fsdev", "fsdriver", NULL, false },
    { "virtfs", "virtfs", "fsdriver", NULL, false },
    { "drive", "drive", NULL, NULL, false },
    { "machine", "M", "type", "cca", false },
    { "memory", "m", NULL, NULL, true },
    { "smp-opts", "smp", NULL, NULL, true },
    { "rtc", "rtc", NULL, NULL, true },
    { "accel", "accel", "accel", NULL, true },
};

/* Keys of [machine] that are options of their own, as with QEMU. */
static const struct {
    const char *key, *option;
} machine_keys[] = {
    { "kernel", "kernel" }, { "initrd", "initrd" }, { "append", "append" }, { "dtb", "dtb" }, { "firmware", "bios" },
};

static const char options_group[] = "options";

typedef struct Reader {
    const char   *name;
    unsigned      line, group_line;
    const Group  *group;   /* the one that is being read; NULL: [options], or none yet */
    bool          options;
    char         *first;   /* value of its first key */
    GString      *list;    /* of the other keys */
    ConfigOption *each;
    void         *opaque;
} Reader;

static bool fail(const Reader *r, GError **error, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

static bool fail(const Reader *r, GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(error, BAILEY_ERROR, 1, "-readconfig: '%s', line %u: %s", r->name, r->line, text);
    return false;
}

static bool give(Reader *r, unsigned line, const char *option, const char *value, GError **error)
{
    bool ok = r->each(r->opaque, option, value, error);

    if (!ok) {
        g_prefix_error(error, "-readconfig: '%s', line %u: ", r->name, line);
    }
    return ok;
}

/* "key=value" behind what the list has; a comma in the value is doubled. */
static void list_add(GString *list, const char *key, const char *value)
{
    g_string_append_printf(list, "%s%s=", list->len != 0 ? "," : "", key);
    for (; *value != '\0'; value++) {
        g_string_append_len(list, ",,", *value == ',' ? 2 : 0);
        if (*value != ',') {
            g_string_append_c(list, *value);
        }
    }
}

/* The group ended: it is an option now. */
static bool end_group(Reader *r, GError **error)
{
    const Group *g = g_steal_pointer(&r->group);
    bool         ok = true;

    if (g != NULL) {
        const char *first = r->first != NULL ? r->first : g->missing;

        if (g->first != NULL && first == NULL) {
            r->line = r->group_line;
            ok = fail(r, error, "[%s] has no %s; add a line %s = \"...\"", g->name, g->first, g->first);
        } else if (r->first != NULL || r->list->len != 0) {
            bool             both = first != NULL && r->list->len != 0;
            g_autofree char *text = g_strconcat(first != NULL ? first : "", both ? "," : "", r->list->str, NULL);

            ok = give(r, r->group_line, g->option, text, error);
        }
    }
    g_clear_pointer(&r->first, g_free);
    g_string_truncate(r->list, 0);
    return ok;
}

/* [NAME] or [NAME "ID"] */
static bool begin_group(Reader *r, char *line, GError **error)
{
    size_t len = strlen(line);
    char  *quote = strchr(line, '"'), *id = NULL;

    if (line[len - 1] != ']' || (quote != NULL && (quote + 2 > line + len - 2 || line[len - 2] != '"'))) {
        return fail(r, error, "'%s' begins no group; write [NAME] or [NAME \"ID\"]", line);
    }
    line[len - 1] = '\0';
    if (quote != NULL) {
        id = quote + 1;
        line[len - 2] = '\0';
        *quote = '\0';
    }
    const char *name = g_strstrip(line + 1);

    if (!end_group(r, error)) {
        return false;
    }
    r->group_line = r->line;
    r->options = strcmp(name, options_group) == 0;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        r->group = strcmp(name, groups[i].name) == 0 ? &groups[i] : r->group;
    }
    if (r->group == NULL && !r->options) {
        return fail(r, error, "there is no group [%s]; options that are one value go to [%s]", name, options_group);
    }
    if (id != NULL && r->options) {
        return fail(r, error, "[%s] takes no \"%s\"; leave it out", name, id);
    }
    if (id != NULL) {
        list_add(r->list, "id", id);
    }
    return true;
}

static bool take_key(Reader *r, const char *key, const char *value, GError **error)
{
    const Group *g = r->group;

    if (r->options) {
        return give(r, r->line, key, value, error);
    }
    if (g == NULL) {
        return fail(r, error, "'%s' comes before the first group; begin one, such as [%s]", key, options_group);
    }
    for (size_t i = 0; strcmp(g->name, "machine") == 0 && i < ARRAY_LEN(machine_keys); i++) {
        if (strcmp(key, machine_keys[i].key) == 0) {
            return give(r, r->line, machine_keys[i].option, value, error);
        }
    }
    if (g->first != NULL && strcmp(key, g->first) == 0) {
        if (strpbrk(value, ",=") != NULL || *value == '\0' || r->first != NULL) {
            return fail(r, error, "%s = \"%s\" is not one name; give other keys lines of their own", key, value);
        }
        r->first = g_strdup(value);
    } else {
        list_add(r->list, key, value);
    }
    return true;
}

static bool take_line(Reader *r, char *line, GError **error)
{
    g_strstrip(line);
    if (*line == '\0' || *line == '#' || *line == ';') {
        return true;
    }
    if (*line == '[') {
        return begin_group(r, line, error);
    }
    char *eq = strchr(line, '=');

    if (eq == NULL || eq == line) {
        return fail(r, error, "'%s' is no line of a configuration; write KEY = \"VALUE\"", line);
    }
    *eq = '\0';
    char  *key = g_strstrip(line), *value = g_strstrip(eq + 1);
    size_t len = strlen(value);

    if (strpbrk(key, ", \t\"") != NULL || *key == '\0') {
        return fail(r, error, "'%s' is not the name of a key; write KEY = \"VALUE\"", key);
    }
    if (*value == '"') {
        if (len < 2 || value[len - 1] != '"') {
            return fail(r, error, "the value of %s has one quote; end it with another", key);
        }
        value[len - 1] = '\0';
        value++;
    }
    return take_key(r, key, value, error);
}

bool config_text_read(const char *name, const char *text, size_t len, ConfigOption *each, void *opaque, GError **error)
{
    Reader      r = { .name = name, .list = g_string_new(NULL), .each = each, .opaque = opaque };
    const char *end = text + len;
    bool        ok = true;

    while (ok && text < end) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));
        g_autofree char *line = g_strndup(text, (size_t)((nl != NULL ? nl : end) - text)); /* ends at a NUL, too */

        r.line++;
        ok = take_line(&r, line, error);
        text = nl != NULL ? nl + 1 : end;
    }
    ok = ok && end_group(&r, error);
    g_free(r.first);
    g_string_free(r.list, TRUE);
    return ok;
}

bool config_file_read(const char *path, ConfigOption *each, void *opaque, GError **error)
{
    FILE            *f = fopen(path, "re");
    g_autofree char *text = g_malloc(CONFIG_FILE_MAX + 1);
    size_t           len = f != NULL ? fread(text, 1, CONFIG_FILE_MAX + 1, f) : 0;
    int              why = f == NULL || ferror(f) ? errno : len > CONFIG_FILE_MAX ? EFBIG : 0;

    if (f != NULL) {
        fclose(f);
    }
    if (why != 0) {
        g_set_error(error, BAILEY_ERROR, 1, "-readconfig: cannot read '%s': %s; name a text file of up to a MiB", path,
                    g_strerror(why));
        return false;
    }
    return config_text_read(path, text, len, each, opaque, error);
}

static void put_key(GString *to, const char *key, const char *value)
{
    g_string_append_printf(to, "  %s = \"%s\"\n", key, value);
}

static void put_list(GString *to, const Group *g, const char *value)
{
    OptionList *l = option_list_parse(value);
    const char *id = option_list_get(l, "id");

    g_string_append_printf(to, id != NULL ? "[%s \"%s\"]\n" : "[%s]\n", g->name, id);
    if (*l->driver != '\0') {
        put_key(to, g->first != NULL ? g->first : "type", l->driver);
    }
    for (guint i = 0; i < l->keys->len; i++) {
        if (strcmp(l->keys->pdata[i], "id") != 0) {
            put_key(to, l->keys->pdata[i], l->values->pdata[i]);
        }
    }
    option_list_free(l);
}

bool config_put(GString *to, const char *option, const char *value, GError **error)
{
    const Group *group = NULL;

    if (strpbrk(value, "\n\r") != NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "-writeconfig: the value of -%s has a line break, and a configuration file "
                                            "has a line for each value; leave it out of -%s", option, option);
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        group = !groups[i].plain && strcmp(option, groups[i].option) == 0 ? &groups[i] : group;
    }
    if (to->len != 0) {
        g_string_append_c(to, '\n');
    }
    if (group != NULL) {
        put_list(to, group, value);
    } else {
        g_string_append_printf(to, "[%s]\n", options_group);
        put_key(to, option, value);
    }
    return true;
}
