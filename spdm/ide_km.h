/*
 * IDE key management: the device's side, which keeps the state of every sub-stream's keys, and the
 * requester's messages. PCIe r6, "IDE Key Management (IDE_KM)". Messages travel in SPDM sessions as PCI-SIG
 * protocol 0; what is handled here starts behind the protocol byte.
 */
#ifndef BAILEY_SPDM_IDE_KM_H
#define BAILEY_SPDM_IDE_KM_H

#include "spdm/spdm.h"

#define IDE_KEY_LEN     32
#define IDE_INITIAL_IFV 1 /* the value every peer programs first */
#define IDE_KEY_SETS    2
#define IDE_SUB_STREAMS 3
#define IDE_KM_STREAMS  8 /* streams that can be keyed at one time */
#define IDE_KM_MSG_MAX  1024

typedef enum IdeSubStream { IDE_PR = 0, IDE_NPR = 1, IDE_CPL = 2 } IdeSubStream;

/* Which key is meant: PCIe "KEY_PROG", Key Set, RxTxB, Key Sub-stream. */
typedef struct IdeKeySlot {
    uint8_t      port, stream_id, key_set;
    bool         tx; /* as the port sees it */
    IdeSubStream sub_stream;
} IdeKeySlot;

/* KP_ACK status. */
typedef enum IdeKpStatus {
    IDE_KP_OK = 0,
    IDE_KP_LENGTH = 1,
    IDE_KP_PORT = 2,
    IDE_KP_VALUE = 3,
    IDE_KP_FAILED = 4,
} IdeKpStatus;

/* Where the device puts keys. Every call is made only after the message was found valid; any but the
 * first two may be NULL. */
typedef struct IdeKeySink {
    /* Ports are 0 to the result. */
    uint8_t (*max_port)(void *opaque);
    /* Whether @port has a stream register block with this stream ID. */
    bool (*has_stream)(void *opaque, uint8_t port, uint8_t stream_id);
    /* A key and its initial IV are there, not yet used. false: KP_ACK "unspecified failure". */
    bool (*program)(void *opaque, const IdeKeySlot *slot, const uint8_t key[IDE_KEY_LEN], uint64_t ifv);
    /* Traffic of the slot's sub-stream and direction uses this key set from now on. */
    void (*go)(void *opaque, const IdeKeySlot *slot);
    /* The slot's key is forgotten. */
    void (*stop)(void *opaque, const IdeKeySlot *slot);
    /* A stream became ready (six keys in use) or stopped being so. Secure = ready and enabled: a stream
     * that is no longer ready must go Insecure, and the TDIs bound to it to ERROR. */
    void (*ready_changed)(void *opaque, uint8_t port, uint8_t stream_id, bool ready);
    /* Bus, device/function and segment of the port; then the IDE capability's registers from offset 4 on. */
    void (*query)(void *opaque, uint8_t port, uint8_t *dev_func, uint8_t *bus, uint8_t *segment,
                  ByteWriter *regs);
} IdeKeySink;

/* RETIRED: the other key set took over; kept until it is stopped. */
typedef enum IdeKeyState { IDE_KEY_NONE, IDE_KEY_PROGRAMMED, IDE_KEY_GO, IDE_KEY_RETIRED } IdeKeyState;

typedef struct IdeKmStream {
    bool    used;
    uint8_t port, id;
    uint8_t key[IDE_KEY_SETS][IDE_SUB_STREAMS][2]; /* IdeKeyState by set, sub-stream and (1) tx */
} IdeKmStream;

typedef struct IdeKm {
    const IdeKeySink *sink;   /* not saved */
    void             *opaque; /* not saved */

    /* Saved from here on. */
    uint32_t    session_id;   /* that owns all keys; 0: nobody yet */
    IdeKmStream streams[IDE_KM_STREAMS];
} IdeKm;

void ide_km_init(IdeKm *km, const IdeKeySink *sink, void *opaque);

/**
 * ide_km_handle - answer one IDE_KM message; fits SpdmResponderConfig.vendor for protocol 0.
 * The first session that speaks owns the keys until it ends; others get no answer.
 */
SpdmVendorResult ide_km_handle(IdeKm *km, uint32_t session_id, const uint8_t *req, size_t len,
                               ByteWriter *rsp);

/* An SPDM session ended: if it owned the keys, all are stopped. Call from
 * SpdmResponderConfig.session_changed. */
void ide_km_session_ended(IdeKm *km, uint32_t session_id);

/* The port forgot the stream's keys by itself: the host disabled or renumbered the stream. */
void ide_km_stream_dropped(IdeKm *km, uint8_t port, uint8_t stream_id);

/* Device reset: all keys are stopped and the owner forgotten. */
void ide_km_reset(IdeKm *km);

/* Whether every sub-stream of the stream has a key in use in both directions. */
bool ide_km_stream_ready(const IdeKm *km, uint8_t port, uint8_t stream_id);

/* The session that keyed the stream (whether or not it is complete); 0: none. */
uint32_t ide_km_stream_session(const IdeKm *km, uint8_t port, uint8_t stream_id);

/* ---- requester ----------------------------------------------------------------------------------------- */

typedef enum IdeKmOp {
    IDE_KM_QUERY,  /* one message; the response is for ide_km_parse_query() */
    IDE_KM_KEYS,   /* KEY_PROG for six slots: per sub-stream Rx, then Tx */
    IDE_KM_GO,     /* K_SET_GO for six slots: Rx of all, then Tx of all */
    IDE_KM_STOP,   /* K_SET_STOP for six slots: Tx of all, then Rx of all */
} IdeKmOp;

/* One run of messages for one stream of one port; plain data. */
typedef struct IdeKmSequence {
    IdeKmOp op;
    uint8_t port, stream_id, key_set, step;
    uint8_t keys[IDE_SUB_STREAMS][2][IDE_KEY_LEN]; /* by sub-stream and (1) the port's Tx; for IDE_KM_KEYS */
} IdeKmSequence;

/**
 * ide_km_sequence_start - begin a run.
 * @keys: for IDE_KM_KEYS: Rx and Tx keys as the device's port sees them; NULL otherwise
 */
void ide_km_sequence_start(IdeKmSequence *q, IdeKmOp op, uint8_t port, uint8_t stream_id, uint8_t key_set,
                           const uint8_t keys[IDE_SUB_STREAMS][2][IDE_KEY_LEN]);

/* The next message for SPDM_OP_VENDOR; returns its length, 0 when the run is over. */
size_t ide_km_sequence_next(IdeKmSequence *q, uint8_t *out, size_t cap);

/* Take the response. SPDM_FAILED: it is no acknowledgement of the message sent, or has an error status. */
SpdmResult ide_km_sequence_response(IdeKmSequence *q, const uint8_t *in, size_t len);

typedef struct IdeKmQuery {
    uint8_t        port, dev_func, bus, segment, max_port;
    const uint8_t *registers; /* in the response */
    size_t         registers_len;
} IdeKmQuery;

bool ide_km_parse_query(const uint8_t *in, size_t len, IdeKmQuery *query);

/* The messages this side answers, for the conformance table; false past the last. */
bool ide_km_message(size_t n, const char **name, uint8_t *code);

#endif
