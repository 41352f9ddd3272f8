/*
 * Reads a file of -trace for the report: what happened, by kind, in bounded memory. The file may be anybody's: it is
 * read without trust, and what is too much of something is counted and left out.
 */
#ifndef BAILEY_TOOL_TRACE_READ_H
#define BAILEY_TOOL_TRACE_READ_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    TRACE_ROWS_MAX = 50000,      /* of the sequence chart */
    TRACE_SPANS_MAX = 50000,     /* states of all tracks */
    TRACE_GRANULES_MAX = 200000, /* changes of granules */
    TRACE_NAMES_MAX = 2000,      /* calls, exits by name; tracks */
    TRACE_TEXT_MAX = 400,        /* bytes of a name or value that are kept */
};

/* What a message of the chart is. */
typedef enum TraceRowKind {
    TRACE_RMI, TRACE_RSI, TRACE_EXIT, TRACE_MESSAGE, TRACE_STATE, TRACE_LINE, TRACE_FOLD
} TraceRowKind;

typedef struct TraceRow {
    int64_t      ns;
    TraceRowKind kind;
    char        *name;
    char        *who;    /* device, Realm ("1"), category of a line; NULL: nobody in particular */
    GPtrArray   *fields; /* of char *: name, value, name, value ...; FOLD: name of a routine call, how often */
} TraceRow;

/* How long something was in a state. */
typedef struct TraceSpan {
    unsigned track;  /* index of TraceData.tracks */
    char    *name;
    int64_t  from_ns, to_ns;
    unsigned from, to; /* the change of any state that began it, and that ended it: at one time there may be several */
} TraceSpan;

typedef struct TraceTrack {
    char    *name;
    char    *category;  /* "realm", "pdev", "vdev", "tdi", "ide", "world", "rec" */
    char    *open_name; /* of what goes on, since @open_ns; NULL: nothing does */
    int64_t  open_ns;
    unsigned open_at;   /* TraceSpan.from */
} TraceTrack;

typedef struct TraceGranules {
    int64_t  ns;
    uint64_t first, count; /* address, and how many of 4 KiB */
    unsigned state, from;  /* indices of TraceData.states: the one they came to, the one before */
} TraceGranules;

/* How often, and how long if that can be said. */
typedef struct TraceCount {
    char    *name;
    uint64_t n;
    int64_t  ns;
} TraceCount;

typedef struct TraceData {
    GPtrArray *header;    /* of char *: name, value, ... of the file's own record */
    GArray    *rows;      /* TraceRow */
    GArray    *spans;     /* TraceSpan: states */
    GArray    *tracks;    /* TraceTrack */
    GArray    *granules;  /* TraceGranules */
    GPtrArray *states;    /* char *: of granules */
    GArray    *calls;     /* TraceCount */
    GArray    *exits;     /* TraceCount: by reason; ns: the Realm ran before */
    GArray    *times;     /* TraceCount: "CPU 0: Realm 1" ... */
    GArray    *places;    /* TraceCount: functions that a Realm was in when it left */
    GArray    *levels;    /* TraceCount: stays of each CPU and world at each exception level */
    int64_t    end_ns;
    uint64_t   n_events, n_left_out;
    bool       cut;       /* the file ends in the middle: the run was killed */
} TraceData;

/* trace_read_new - for a file that comes in pieces. */
typedef struct TraceReader TraceReader;
TraceReader *trace_read_new(void);
void         trace_read_free(TraceReader *r);

/* trace_read_bytes - the next of them; false, with a sentence, when it is no trace. */
bool trace_read_bytes(TraceReader *r, const char *bytes, size_t len, GError **error);

/* trace_read_end - that was all. NULL, with a sentence, when there was no event in it; else for trace_data_free(). */
TraceData *trace_read_end(TraceReader *r, GError **error);
void       trace_data_free(TraceData *d);

#endif
