/* Where a JSON value ends, and whether it may be one at all; its meaning is json-glib's. */
#include "monitor/qmp_frame.h"

#include <string.h>

void qmp_frame_init(QmpFrame *f) { *f = (QmpFrame){ .text = g_string_new(NULL) }; }
void qmp_frame_deinit(QmpFrame *f) { g_string_free(f->text, TRUE); }

static void begin(QmpFrame *f)
{
    g_string_truncate(f->text, 0);
    f->depth = 0;
    f->quote = '\0';
    f->escaped = false;
}

void qmp_frame_reset(QmpFrame *f)
{
    begin(f);
    f->skips = false;
}

static bool is_space(char c) { return c != '\0' && strchr(" \t\r\n", c) != NULL; }

/* What stands outside of strings. A comment, which json-glib would skip, could hide from us how deep a value is. */
static bool is_structure(char c) { return c != '\0' && (g_ascii_isalnum(c) || strchr("{}[]:,+-.", c) != NULL); }

static QmpFrameResult refuse(QmpFrame *f, char byte, const char *reason, const char **why)
{
    begin(f);
    f->skips = byte != '\n';
    *why = reason;
    return QMP_FRAME_BAD;
}

static QmpFrameResult put_in_string(QmpFrame *f, char byte, const char **why)
{
    if ((unsigned char)byte < 0x20) {
        return refuse(f, byte, "a control character in a string; write it as \\u and its number", why);
    }
    if (f->escaped) {
        f->escaped = false;
    } else if (byte == '\\') {
        f->escaped = true;
    } else if (byte == f->quote) {
        f->quote = '\0';
    }
    return QMP_FRAME_MORE;
}

static QmpFrameResult put_structure(QmpFrame *f, char byte, const char **why)
{
    if (byte == '"' || byte == '\'') {
        f->quote = byte;
    } else if (byte == '{' || byte == '[') {
        if (++f->depth > QMP_FRAME_DEPTH) {
            return refuse(f, byte, "values are nested too deep", why);
        }
    } else if (byte == '}' || byte == ']') {
        f->depth--;
    } else if (!is_structure(byte) && !is_space(byte)) {
        return refuse(f, byte, "a character that is none of JSON's", why);
    }
    return f->depth == 0 ? QMP_FRAME_VALUE : QMP_FRAME_MORE;
}

QmpFrameResult qmp_frame_put(QmpFrame *f, char byte, const char **why)
{
    if (f->skips) {
        f->skips = byte != '\n';
        return QMP_FRAME_MORE;
    }
    if (f->depth == 0) {
        begin(f);
        if (is_space(byte)) {
            return QMP_FRAME_MORE;
        }
        if (byte != '{' && byte != '[') {
            return refuse(f, byte, "a command is a JSON object, which begins with {", why);
        }
    }
    if (f->text->len >= QMP_FRAME_MAX) {
        return refuse(f, byte, "the command is longer than 64 KiB", why);
    }
    g_string_append_c(f->text, byte);
    return f->quote != '\0' ? put_in_string(f, byte, why) : put_structure(f, byte, why);
}
