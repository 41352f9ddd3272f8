/*
 * Reading the tests of `bailey test`. Groups: [defaults], [axis NAME] with a choice a line, [test NAME]. A key that a
 * test lacks is that of [defaults]; "args" of both are joined.
 */
#include "tool/matrix.h"

#include <string.h>

#include "bits.h"
#include "device.h"

#define AXIS "axis "
#define TEST "test "

typedef struct Matrix {
    GKeyFile   *file;
    const char *path;
    GPtrArray  *cases;
} Matrix;

/* What a test is made of, before its axes are chosen. */
typedef struct TestGroup {
    const char *group;
    GPtrArray  *args;          /* char *, of [defaults] and the test */
    char      **axes;          /* names */
    char       *skip, *only;   /* lists of patterns, or NULL */
    MatrixCase  proto;         /* without name and args */
} TestGroup;

static void fail(const Matrix *m, GError **error, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

static void fail(const Matrix *m, GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(error, BAILEY_ERROR, 1, "test: %s: %s", m->path, text);
}

static void case_free(gpointer data)
{
    MatrixCase *c = data;

    g_free(c->name);
    g_free(c->test);
    g_strfreev(c->args);
    g_free(c->expect);
    g_free(c->fail_on);
    g_free(c->trace);
    g_free(c);
}

/* Names become folders of what a failed case leaves. */
static bool good_name(const char *name)
{
    return *name != '\0' && *name != '.' && *name != '-' &&
           strspn(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._+-") == strlen(name);
}

/* The key of the group or of [defaults], as it stands there: backslashes of a regular expression stay. */
static char *value_of(const Matrix *m, const char *group, const char *key)
{
    char *v = g_key_file_get_value(m->file, group, key, NULL);

    v = v != NULL ? v : g_key_file_get_value(m->file, "defaults", key, NULL);
    return v != NULL ? g_strchomp(v) : NULL;
}

static bool number_of(const Matrix *m, const char *group, const char *key, unsigned min, unsigned max, unsigned *value,
                      GError **error)
{
    g_autofree char *text = value_of(m, group, key);
    guint64          n = *value;

    if (text != NULL && !g_ascii_string_to_unsigned(text, 10, min, max, &n, NULL)) {
        fail(m, error, "[%s] %s=%s is not a number from %u to %u", group, key, text, min, max);
        return false;
    }
    *value = (unsigned)n;
    return true;
}

/* ---- arguments ---- */

/* ${NAME} in @word; NULL with a sentence. */
static char *expand(const Matrix *m, const char *group, const char *word, GError **error)
{
    GString    *out = g_string_new(NULL);
    const char *at, *end;

    for (; (at = strstr(word, "${")) != NULL && (end = strchr(at, '}')) != NULL; word = end + 1) {
        g_autofree char *name = g_strndup(at + 2, (gsize)(end - at - 2));
        const char      *value = g_getenv(name);

        if (value == NULL) {
            fail(m, error, "[%s] names ${%s}, which is not set; set it in front of the command: %s=... bailey test ...",
                 group, name, name);
            g_string_free(out, TRUE);
            return NULL;
        }
        g_string_append_len(out, word, at - word);
        g_string_append(out, value);
    }
    g_string_append(out, word);
    return g_string_free(out, FALSE);
}

/* Adds the words of @text, as a shell would split them. */
static bool add_args(const Matrix *m, const char *group, const char *key, const char *text, GPtrArray *args,
                     GError **error)
{
    g_auto(GStrv)     words = NULL;
    g_autoptr(GError) why = NULL;

    if (text == NULL || text[strspn(text, " \t")] == '\0') {
        return true;
    }
    if (!g_shell_parse_argv(text, NULL, &words, &why)) {
        fail(m, error, "[%s] %s=%s: %s", group, key, text, why->message);
        return false;
    }
    for (char **w = words; *w != NULL; w++) {
        char *word = expand(m, group, *w, error);

        if (word == NULL) {
            return false;
        }
        g_ptr_array_add(args, word);
    }
    return true;
}

/* ---- combinations ---- */

static bool matches(const char *patterns, const char *name)
{
    g_auto(GStrv) all = g_strsplit_set(patterns, "; \t", -1);

    for (char **p = all; *p != NULL; p++) {
        if (**p != '\0' && g_pattern_match_simple(*p, name)) {
            return true;
        }
    }
    return false;
}

static bool add_case(Matrix *m, const TestGroup *t, const char *name, const GPtrArray *args, GError **error)
{
    if ((t->skip != NULL && matches(t->skip, name)) || (t->only != NULL && !matches(t->only, name))) {
        return true;
    }
    if (m->cases->len == MATRIX_MAX_CASES) {
        fail(m, error, "[%s] makes more than %d cases; leave an axis out", t->group, MATRIX_MAX_CASES);
        return false;
    }
    MatrixCase *c = g_new0(MatrixCase, 1);

    c->name = g_strdup(name);
    c->test = g_strdup(t->group + strlen(TEST));
    c->args = g_new0(char *, args->len + 1);
    for (guint i = 0; i < args->len; i++) {
        c->args[i] = g_strdup(args->pdata[i]);
    }
    c->expect = g_strdup(t->proto.expect);
    c->fail_on = g_strdup(t->proto.fail_on);
    c->trace = g_strdup(t->proto.trace);
    c->timeout_s = t->proto.timeout_s;
    c->status = t->proto.status;
    g_ptr_array_add(m->cases, c);
    return true;
}

/* The cases with what is chosen so far, @name and @args, and each choice of the axes from @axis on. */
static bool choose(Matrix *m, const TestGroup *t, char **axis, const char *name, GPtrArray *args, GError **error)
{
    if (*axis == NULL) {
        return add_case(m, t, name, args, error);
    }
    g_autofree char *group = g_strconcat(AXIS, *axis, NULL);
    g_auto(GStrv)    choices = g_key_file_get_keys(m->file, group, NULL, NULL);
    guint            chosen = args->len;
    bool             ok = true;

    for (char **c = choices; ok && *c != NULL; c++) {
        g_autofree char *text = g_key_file_get_value(m->file, group, *c, NULL);
        g_autofree char *longer = g_strconcat(name, "/", *c, NULL);

        ok = add_args(m, group, *c, text, args, error) && choose(m, t, axis + 1, longer, args, error);
        g_ptr_array_set_size(args, (gint)chosen);
    }
    return ok;
}

/* ---- groups ---- */

static bool check_keys(const Matrix *m, const char *group, GError **error)
{
    static const char *const known[] = { "args",    "expect", "fail-on", "timeout", "trace",
                                         "status", "matrix", "skip",    "only",    NULL };
    g_auto(GStrv)            keys = g_key_file_get_keys(m->file, group, NULL, NULL);

    for (char **k = keys; *k != NULL; k++) {
        if (!g_strv_contains(known, *k)) {
            g_autofree char *use = g_strjoinv(", ", (char **)known);

            fail(m, error, "[%s] has the key '%s'; it can have %s", group, *k, use);
            return false;
        }
    }
    return true;
}

static bool check_axis(const Matrix *m, const char *group, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(m->file, group, NULL, NULL);

    for (char **k = keys; *k != NULL; k++) {
        if (!good_name(*k)) {
            fail(m, error, "[%s] has the choice '%s'; use letters, digits and . _ + - in its name", group, *k);
            return false;
        }
    }
    if (*keys == NULL) {
        fail(m, error, "[%s] has no choices; write one a line: name = options", group);
        return false;
    }
    return true;
}

/* Names of the axes, without blanks around them. */
static bool read_axes(const Matrix *m, TestGroup *t, GError **error)
{
    g_autofree char *text = value_of(m, t->group, "matrix");
    g_auto(GStrv)    parts = g_strsplit(text != NULL ? text : "", ";", -1);
    GPtrArray       *axes = g_ptr_array_new();
    bool             ok = true;

    for (char **p = parts; *p != NULL; p++) {
        const char      *name = g_strstrip(*p);
        g_autofree char *group = g_strconcat(AXIS, name, NULL);

        if (*name == '\0') {
            continue; /* a semicolon at the end */
        }
        if (ok && !g_key_file_has_group(m->file, group)) {
            fail(m, error, "[%s] matrix=%s names an axis that is not there; add [%s]", t->group, text, group);
            ok = false;
        }
        g_ptr_array_add(axes, g_strdup(name));
    }
    g_ptr_array_add(axes, NULL);
    t->axes = (char **)g_ptr_array_free(axes, FALSE);
    return ok;
}

static bool check_regex(const Matrix *m, const TestGroup *t, GError **error)
{
    g_autoptr(GError) why = NULL;
    GRegex           *re = t->proto.fail_on != NULL ? g_regex_new(t->proto.fail_on, G_REGEX_RAW, 0, &why) : NULL;

    if (re != NULL) {
        g_regex_unref(re);
    } else if (why != NULL) {
        fail(m, error, "[%s] fail-on=%s is not a regular expression: %s", t->group, t->proto.fail_on, why->message);
    }
    return why == NULL;
}

static bool add_test(Matrix *m, const char *group, GError **error)
{
    TestGroup        t = { .group = group, .args = g_ptr_array_new_with_free_func(g_free) };
    g_autofree char *common = g_key_file_get_value(m->file, "defaults", "args", NULL);
    g_autofree char *own = g_key_file_get_value(m->file, group, "args", NULL);
    unsigned         status = 0;
    bool             ok;

    t.proto = (MatrixCase){ .expect = value_of(m, group, "expect"), .fail_on = value_of(m, group, "fail-on"),
                            .trace = value_of(m, group, "trace"), .timeout_s = MATRIX_TIMEOUT_S };
    if (t.proto.trace == NULL) {
        t.proto.trace = g_strdup("guest_errors");
    }
    t.skip = value_of(m, group, "skip");
    t.only = value_of(m, group, "only");
    ok = check_keys(m, group, error) && number_of(m, group, "timeout", 1, 1000000, &t.proto.timeout_s, error) &&
         number_of(m, group, "status", 0, 255, &status, error) && check_regex(m, &t, error) &&
         read_axes(m, &t, error) && add_args(m, "defaults", "args", common, t.args, error) &&
         add_args(m, group, "args", own, t.args, error);
    t.proto.status = (int)status;
    ok = ok && choose(m, &t, t.axes, group + strlen(TEST), t.args, error);
    g_strfreev(t.axes);
    g_ptr_array_free(t.args, TRUE);
    g_free(t.proto.expect);
    g_free(t.proto.fail_on);
    g_free(t.proto.trace);
    g_free(t.skip);
    g_free(t.only);
    return ok;
}

/* The library joins groups of one name, and lets the last of two keys win: a test would be lost without a word. */
static bool is_unambiguous(const Matrix *m, const char *text, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_auto(GStrv)         lines = g_strsplit(text, "\n", -1);
    const char           *group = "";

    for (char **l = lines; *l != NULL; l++) {
        char  *line = g_strstrip(*l);
        gsize  key_len = strcspn(line, "=");
        bool   is_group = *line == '[', is_key = !is_group && *line != '#' && line[key_len] == '=';
        char  *key = is_key ? g_strndup(line, key_len) : NULL;
        char  *name = is_group ? g_strdup(line) : is_key ? g_strconcat(group, g_strchomp(key), NULL) : NULL;

        g_free(key);
        if (name != NULL && !g_hash_table_add(seen, name)) {
            fail(m, error, "line %u, '%.60s', %s; rename or remove one", (unsigned)(l - lines) + 1, line,
                 is_group ? "begins a group that is there already" : "has a key that its group has already");
            return false;
        }
        group = is_group ? line : group;
    }
    return true;
}

static bool read_groups(Matrix *m, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(m->file, NULL);
    bool          ok = true;

    for (char **g = groups; ok && *g != NULL; g++) {
        const char *name = strchr(*g, ' ');

        if (strcmp(*g, "defaults") == 0) {
            ok = check_keys(m, *g, error);
        } else if ((!g_str_has_prefix(*g, AXIS) && !g_str_has_prefix(*g, TEST)) || !good_name(name + 1)) {
            fail(m, error, "the group [%s] is not known; use [defaults], [axis NAME] and [test NAME]", *g);
            ok = false;
        } else if (g_str_has_prefix(*g, AXIS)) {
            ok = check_axis(m, *g, error);
        }
    }
    for (char **g = groups; ok && *g != NULL; g++) {
        ok = !g_str_has_prefix(*g, TEST) || add_test(m, *g, error);
    }
    if (ok && m->cases->len == 0) {
        fail(m, error, "it has no test to run; add [test NAME] with args=, or widen its skip= and only=");
        ok = false;
    }
    return ok;
}

GPtrArray *matrix_load(const char *path, GError **error)
{
    Matrix            m = { .file = g_key_file_new(), .path = path };
    g_autoptr(GError) why = NULL;
    g_autofree char  *text = NULL;
    bool              ok = g_key_file_load_from_file(m.file, path, G_KEY_FILE_NONE, &why) &&
              g_file_get_contents(path, &text, NULL, &why);

    m.cases = g_ptr_array_new_with_free_func(case_free);
    if (!ok) {
        fail(&m, error, "%s; docs/ci.md shows such a file", why->message);
    }
    ok = ok && is_unambiguous(&m, text, error) && read_groups(&m, error);
    g_key_file_free(m.file);
    if (!ok) {
        g_ptr_array_free(m.cases, TRUE);
        m.cases = NULL;
    }
    return m.cases;
}
