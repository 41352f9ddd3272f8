/* Commands of QMP: how they are declared, and what they have to do with. */
#ifndef BAILEY_MONITOR_QMP_INT_H
#define BAILEY_MONITOR_QMP_INT_H

#include <json-glib/json-glib.h>

#include "monitor/qmp.h"

/* Classes of errors; codes of the domain QMP_ERROR. A GError of another domain is a GenericError. */
typedef enum QmpErrorClass { QMP_GENERIC, QMP_COMMAND_NOT_FOUND, QMP_DEVICE_NOT_FOUND } QmpErrorClass;
#define QMP_ERROR g_quark_from_static_string("bailey-qmp")

typedef enum QmpType { QMP_STRING, QMP_INT, QMP_BOOL, QMP_ARRAY } QmpType;

typedef struct QmpArg {
    const char *name; /* NULL: none */
    QmpType     type;
    bool        optional;
} QmpArg;

enum { QMP_ARGS_MAX = 4 };

/* A command. @args: what it was given, already checked against the row. Returns what it answers, NULL with @error. */
typedef JsonNode *QmpHandler(Qmp *q, JsonObject *args, GError **error);

typedef struct QmpCommand {
    const char *name;
    QmpArg      args[QMP_ARGS_MAX];
    bool        free_args; /* any argument beside those: properties of a device */
    bool        negotiates; /* comes before all others, and not after */
    QmpHandler *run;
} QmpCommand;

/* QMP_COMMAND(query_status, .name = "query-status") { ... }: declares and registers a command. */
#define QMP_COMMAND(ident, ...)                                                                        \
    static QmpHandler qmp_cmd_##ident;                                                                 \
    static const QmpCommand qmp_cmd_##ident##_row = { .run = qmp_cmd_##ident, __VA_ARGS__ };           \
    static const QmpCommand *const qmp_cmd_##ident##_ptr                                               \
        __attribute__((used, section("bailey_qmp"))) = &qmp_cmd_##ident##_row;                         \
    static JsonNode *qmp_cmd_##ident(Qmp *q, JsonObject *args, GError **error)

/* qmp_foreach - calls @fn for every command in order of name. */
void qmp_foreach(void (*fn)(void *opaque, const QmpCommand *c), void *opaque);

/* qmp_mon - the session's view of the machine, for what a monitor's command does. */
Mon *qmp_mon(Qmp *q);

/* qmp_was_started - guest code has run, or was let run: it is not a machine that waits for its first cont. */
bool qmp_was_started(const Qmp *q);

/* qmp_negotiated - from now on commands and events are there; qmp_capabilities. */
void qmp_negotiated(Qmp *q);

/* qmp_event - tell the other side, when it has negotiated. @data is taken over; NULL: there is none. */
void qmp_event(Qmp *q, const char *name, JsonObject *data);

/* Answers. qmp_fail returns NULL. */
JsonNode *qmp_nothing(void); /* {} */
JsonNode *qmp_object(JsonObject *o);
JsonNode *qmp_array(JsonArray *a);
JsonNode *qmp_fail(GError **error, QmpErrorClass class, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* qmp_set_text - a member whose text may come from outside: what is no UTF-8 is replaced. */
void qmp_set_text(JsonObject *o, const char *name, const char *text);

#endif
