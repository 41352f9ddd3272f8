/* Commands of QMP: how they are declared, and what they have to do with. */
#ifndef BAILEY_MONITOR_QMP_INT_H
#define BAILEY_MONITOR_QMP_INT_H

#include <json-glib/json-glib.h>

#include "monitor/qmp.h"

#define QMP_CPU_TYPE "max-arm-cpu" /* QEMU's name for what -cpu max is */

/* Classes of errors; codes of the domain QMP_ERROR. A GError of another domain is a GenericError. */
typedef enum QmpErrorClass { QMP_GENERIC, QMP_COMMAND_NOT_FOUND, QMP_DEVICE_NOT_FOUND } QmpErrorClass;
#define QMP_ERROR g_quark_from_static_string("bailey-qmp")

/*
 * Types are named as in QEMU's schema: str, int, bool, any, those that QMP_OBJECT() and QMP_ENUM() declare, and [TYPE]
 * for an array. What programs send is checked by them, and query-qmp-schema tells them.
 */
enum { QMP_MEMBERS_MAX = 16, QMP_VALUES_MAX = 8 };

typedef struct QmpMember {
    const char *name; /* NULL: none */
    const char *type;
    bool        optional;
} QmpMember;

typedef struct QmpType {
    const char *name;
    QmpMember   members[QMP_MEMBERS_MAX + 1];
    const char *values[QMP_VALUES_MAX + 1]; /* of an enumeration; none: it is an object */
} QmpType;

/* QMP_OBJECT(StatusInfo, { "running", "bool" }, { "status", "RunState" }); QMP_ENUM(RunState, "running", "paused"); */
#define QMP_REGISTER_TYPE(ident, ...)                                                                  \
    static const QmpType qmp_type_##ident = { .name = #ident, __VA_ARGS__ };                           \
    static const QmpType *const qmp_type_##ident##_ptr                                                 \
        __attribute__((used, section("bailey_qmp_types"))) = &qmp_type_##ident
#define QMP_OBJECT(ident, ...) QMP_REGISTER_TYPE(ident, .members = { __VA_ARGS__ })
#define QMP_ENUM(ident, ...) QMP_REGISTER_TYPE(ident, .values = { __VA_ARGS__ })

/* A command. @args: what it was given, already checked against the row. Returns what it answers, NULL with @error. */
typedef JsonNode *QmpHandler(Qmp *q, JsonObject *args, GError **error);

typedef struct QmpCommand {
    const char *name;
    QmpMember   args[QMP_MEMBERS_MAX + 1];
    const char *returns;   /* a type; NULL: an object without members */
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

/* What is told without being asked for. */
typedef struct QmpEvent {
    const char *name;
    QmpMember   data[QMP_MEMBERS_MAX + 1]; /* none: the event has no data */
} QmpEvent;

/* QMP_EVENT(RESET, { "guest", "bool" }); declares and registers one. */
#define QMP_EVENT(ident, ...)                                                                          \
    static const QmpEvent qmp_event_##ident = { .name = #ident, .data = { __VA_ARGS__ } };             \
    static const QmpEvent *const qmp_event_##ident##_ptr                                               \
        __attribute__((used, section("bailey_qmp_events"))) = &qmp_event_##ident

/**
 * qmp_fits - whether a value is one of a type, all that is in it included.
 * @type: as in a row; NULL: an object without members
 */
bool qmp_fits(const char *type, JsonNode *value);

/* qmp_event_fits - whether an event is declared, and its data, which may be NULL, fit the row. */
bool qmp_event_fits(const char *name, JsonObject *data);

/* qmp_type_words - what JSON calls such a value: "string", "array of integer". To be freed. */
char *qmp_type_words(const char *type);

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
