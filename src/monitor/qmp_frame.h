/*
 * Taking a stream of bytes apart into the JSON values that a program sends one behind the other, with or without
 * something between them. The bytes are hostile: what cannot become a value ends the attempt, and so do too many bytes
 * and too deep a nesting, before a parser sees any of it. RFC 8259; strings may stand in single quotes, as QEMU has it.
 */
#ifndef BAILEY_MONITOR_QMP_FRAME_H
#define BAILEY_MONITOR_QMP_FRAME_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

enum { QMP_FRAME_MAX = 64 << 10, QMP_FRAME_DEPTH = 32 }; /* bytes and nesting of a value */

typedef struct QmpFrame {
    GString *text;      /* of the value that has begun */
    unsigned depth;     /* of brackets that are open */
    char     quote;     /* of the string that is open; 0: none is */
    bool     escaped;   /* the last byte of a string was a backslash */
    bool     skips;     /* the rest of the line is of something that was refused */
} QmpFrame;

void qmp_frame_init(QmpFrame *f);
void qmp_frame_deinit(QmpFrame *f);

/* qmp_frame_reset - forget what has begun: somebody else is there. */
void qmp_frame_reset(QmpFrame *f);

typedef enum QmpFrameResult {
    QMP_FRAME_MORE,  /* the value is not complete */
    QMP_FRAME_VALUE, /* an object or array is, in f->text; the next byte begins another */
    QMP_FRAME_BAD,   /* it is none; what follows up to the end of the line is passed over */
} QmpFrameResult;

/* qmp_frame_put - the next byte. @why: a sentence when it is bad. */
QmpFrameResult qmp_frame_put(QmpFrame *f, char byte, const char **why);

#endif
