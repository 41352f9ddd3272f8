/*
 * Events that a debugger may stop at and a trace file has: calls of the firmware model, exceptions, RECs that run and
 * exit, new states of what the models have, messages that devices answer. Whoever models one tells of it where it
 * happens; while nobody listens that costs the test of a bit, and nothing in translated code.
 */
#ifndef BAILEY_EVENT_H
#define BAILEY_EVENT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum EventKind {
    EVENT_RMI, EVENT_RSI, EVENT_EXC, EVENT_TDISP, EVENT_GRANULE, EVENT_SMC,
    EVENT_REC,     /* one runs from now on, or has left its CPU; the CPU still has the Realm's registers */
    EVENT_REALM, EVENT_PDEV, EVENT_VDEV, EVENT_IDE, /* another state */
    EVENT_MESSAGE, /* a device has answered one */
    EVENT_LEVEL,   /* a CPU is at another exception level of the same world: an exception was taken, or returned from */
    EVENT_N_KINDS
} EventKind;

/* Of a call of firmware: RMI, RSI; SMC: PSCI and what else there is, or is not. */
typedef struct EventCall {
    unsigned        cpu;       /* index of the one that called */
    uint64_t        fid;       /* x0 */
    unsigned        n_in, n_out;
    const uint64_t *in, *out;  /* x1 and on, before and after it */
    bool            pending;   /* it is not answered yet: a Realm runs now, or its host does */
    uint64_t        status;    /* else: x0 */
} EventCall;

/* One value of an event, by its name in the specification. */
typedef struct EventField {
    const char *name;
    uint64_t    number;
    const char *text; /* in place of a number; NULL: it is a number */
} EventField;

typedef struct Event {
    EventKind   kind;
    const char *name;   /* RMI, RSI, SMC: of the command; EXC: of its kind; states: of the new one; REC: "runs", or the
                           reason of its exit; MESSAGE: of the request; LEVEL: "EL1" and its like */
    const char *from;   /* states and LEVEL: the one before; NULL: there was none, or it does not matter */
    const char *who;    /* TDISP, IDE, MESSAGE: ID of the device; else NULL */
    uint64_t    number; /* EXC: the exception level that takes it; GRANULE, REALM, REC: its physical address; PDEV,
                           VDEV: the ID that the host gave it; IDE: Stream ID; else 0 */
    unsigned    realm;  /* VMID of the Realm that it is about; 0: none */
    const char *text;   /* a line about it, as traces have it; NULL: none */
    const EventCall *call; /* RMI, RSI, SMC; else NULL */
    const EventField *fields; /* beside a call's arguments and answers */
    unsigned    n_fields;
} Event;

/* Whoever hears of events; the owner's memory. */
typedef struct EventListener {
    uint32_t mask; /* bits by EventKind */
    void   (*tell)(void *opaque, const Event *e);
    void    *opaque;
    struct EventListener *next;
} EventListener;

/* What somebody listens to, bits by EventKind. Read only through event_on(). */
extern uint32_t event_mask;

static inline bool event_on(EventKind kind) { return (event_mask >> kind & 1) != 0; }

/* event_listen - from now on @l hears of what its mask says, also after that was changed; event_ignore() ends it. */
void event_listen(EventListener *l);
void event_ignore(EventListener *l);

/* event_tell - it has happened: everyone who listens to its kind hears of it. */
void event_tell(const Event *e);

#endif
