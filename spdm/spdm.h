/*
 * SPDM for PCIe devices: the responder inside a device and the requester inside a trusted module, as pure
 * functions from bytes to bytes. DMTF DSP0274 (SPDM) 1.1 to 1.4, DSP0277 (secured messages) 1.1 and 1.2, PCIe r6
 * CMA-SPDM.
 *
 * Both ends take and give what a packet of the transport carries, on DOE the payload of one data object without its
 * two header DWs; "secured" is the packet's type (false: SPDM; true: a record). State is plain data, so that a machine
 * can be saved; the pointers in a config are the owner's and are given again after a restore.
 *
 * The algorithms are those of crypto.h. Left out, and not advertised: 1.0.
 */
#ifndef BAILEY_SPDM_SPDM_H
#define BAILEY_SPDM_SPDM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entropy.h"
#include "spdm/event.h"
#include "spdm/log.h"
#include "spdm/pki.h"
#include "spdm/psk.h"
#include "spdm/schedule.h"
#include "spdm/wire.h"

#define SPDM_SESSIONS 4

/* ---- responder ----------------------------------------------------------------------------------------- */

/* DSP0274 "DMTF measurement specification format", DMTFSpecMeasurementValueType. */
typedef enum SpdmMeasurementKind {
    SPDM_MEAS_IMMUTABLE_ROM = 0,
    SPDM_MEAS_MUTABLE_FIRMWARE = 1,
    SPDM_MEAS_HARDWARE_CONFIG = 2,
    SPDM_MEAS_FIRMWARE_CONFIG = 3,
    SPDM_MEAS_MANIFEST = 4,
    SPDM_MEAS_DEVICE_MODE = 5,
    SPDM_MEAS_FIRMWARE_VERSION = 6,
    SPDM_MEAS_SECURITY_VERSION = 7,
    SPDM_MEAS_HASH_EXTEND = 8, /* since 1.3, as are those below */
    SPDM_MEAS_INFORMATIONAL = 9,
    SPDM_MEAS_STRUCTURED_MANIFEST = 10,
} SpdmMeasurementKind;

typedef struct SpdmMeasurement {
    uint8_t        index; /* 1 to 0xEF, 0xFD (manifest) or 0xFE (device mode) */
    uint8_t        kind;  /* SpdmMeasurementKind */
    bool           raw_only; /* never hashed: versions, device mode */
    bool           tcb;      /* part of the TCB measurement summary */
    /* The raw value; valid until the next call of the source. Hash-extend measurements have none: theirs comes from
     * the log, without which they are not there. */
    const uint8_t *value;
    uint16_t       len;
} SpdmMeasurement;

typedef enum SpdmVendorResult {
    SPDM_VENDOR_REPLY,       /* the response is in the writer */
    SPDM_VENDOR_SILENT,      /* no answer at all */
    SPDM_VENDOR_UNSUPPORTED, /* ERROR UnsupportedRequest */
    SPDM_VENDOR_INVALID,     /* ERROR InvalidRequest */
} SpdmVendorResult;

/* A signing request that waits for a reset, or has seen it. */
typedef struct SpdmCsr {
    bool     used, ready;
    uint8_t  pair; /* KeyPairID */
    uint16_t len;
    uint8_t  body[SPDM_MSG_MAX]; /* of GET_CSR: RequesterInfo and opaque data */
} SpdmCsr;

#define SPDM_CSR_TAGS 8 /* CSRTrackingTag; 0 stands for the one request that 1.2 has */

/* A key pair that requests make and erase. */
typedef struct SpdmMadePair {
    bool           has_kind; /* an algorithm was chosen: the key's kind */
    SpdmPrivateKey key;      /* of length 0 until it is made */
} SpdmMadePair;

#define SPDM_MADE_PAIRS 2

/* A SET_KEY_PAIR_INFO as it is asked for; 0 leaves usage and algorithm as they are. */
typedef struct SpdmPairChange {
    bool     waits; /* for a reset */
    uint8_t  operation;
    uint16_t usage;
    uint32_t algorithm;
    uint8_t  slots;
} SpdmPairChange;

#define SPDM_PAIRS_MAX (SPDM_IDENTITIES_MAX + SPDM_MADE_PAIRS)

/* What SET_CERTIFICATE, GET_CSR, SET_KEY_PAIR_INFO and SLOT_MANAGEMENT leave in a device, through resets. */
typedef struct SpdmProvisions {
    SpdmIdentity *identities;          /* those of the config, with room for SPDM_IDENTITIES_MAX */
    uint16_t      usage_off[SPDM_PAIRS_MAX]; /* by key pair: usages that were taken from it */
    SpdmPairChange changes[SPDM_PAIRS_MAX]; /* by key pair: what takes effect with the next reset */
    SpdmMadePair  made[SPDM_MADE_PAIRS];
    uint8_t       staged_slots;        /* by bits: what takes effect with the next reset is in */
    SpdmIdentity  staged[SPDM_SLOTS];  /* without certificates: the slot is emptied */
    SpdmCsr       csrs[SPDM_CSR_TAGS];
} SpdmProvisions;

/* Who a PCI function is: its configuration space's IDs. */
typedef struct SpdmPciIds {
    uint16_t vendor, device, subsystem;
} SpdmPciIds;

typedef struct SpdmResponderConfig {
    uint8_t        version_min, version_max; /* SPDM_VERSION_11 to _14; both 0: 1.2 alone */
    uint64_t       capabilities;  /* SPDM_CAP_*; SPDM_RESPONDER_CAPS when in doubt */
    SpdmTransport  transport;     /* that messages come by */
    uint32_t       transfer_size; /* DataTransferSize: SPDM_DATA_TRANSFER_MIN to SPDM_MSG_MAX; 0: SPDM_MSG_MAX */
    uint8_t        not_ready;     /* how often a signed answer is not ready when asked for */
    bool           wrong_signature; /* a device that is at fault: what it signs does not verify */
    uint8_t        heartbeat_s;   /* HeartbeatPeriod; 0 without SPDM_CAP_HBEAT */
    Entropy       *entropy;       /* the device's own generator */
    /* Slot 0, for each kind of key that the device has: which one is seen depends on the signature algorithm. Then what
     * other slots hold, at most one chain for each kind of key in each; with a key of its own, it is there in multi-key
     * connections alone. */
    const SpdmIdentity *identities;
    size_t         n_identities;
    SpdmProvisions *provisions;   /* NULL: no SPDM_CAP_SET_CERT, SPDM_CAP_CSR */
    SpdmRoom       b_room;        /* for what is said of long chains before a CHALLENGE */
    SpdmPsk        psk;           /* for SPDM_CAP_PSK */
    SpdmPciIds     ids;           /* for SPDM_CAP_EP_INFO */
    bool           mutual_digests; /* GET_DIGESTS is implied when the requester's certificates are asked for */
    bool           mutual_basic;   /* who sends a CHALLENGE gets one back */
    uint64_t       key_update_records; /* the device asks for new keys of its own after so many records; 0: never */
    SpdmAlgMasks   algorithms;    /* that may be selected; a mask of 0: all that are known of its kind */
    void          *opaque;        /* first argument of the calls below; each may be NULL */

    /* The @n-th measurement in ascending index order; false past the last. */
    bool (*measurement)(void *opaque, unsigned n, SpdmMeasurement *m);

    /* The @n-th entry of the measurement extension log; false past the last. Needed with SPDM_CAP_MEL. */
    bool (*log_entry)(void *opaque, unsigned n, SpdmLogEntry *entry);

    /* One PCI-SIG message that came inside session @session_id (never 0). */
    SpdmVendorResult (*vendor)(void *opaque, uint32_t session_id, uint8_t protocol, const uint8_t *req,
                               size_t len, ByteWriter *rsp);

    /* The device's time, for heartbeats. */
    int64_t (*now_ns)(void *opaque);

    /* A session was established (FINISH answered) or an established one ended, for whatever reason. */
    void (*session_changed)(void *opaque, uint32_t session_id, bool established);

    /* Whether a requester's certificates, DER and root first, are trusted; its key. Needed for SPDM_CAP_MUT_AUTH. */
    bool (*requester_key)(void *opaque, const uint8_t *certs, size_t len, SpdmPublicKey *key);

    /* A requester has answered the CHALLENGE that it got back, with such a key. */
    void (*requester_authenticated)(void *opaque);

    /* A request, as it was before its record was sealed, and what it was answered with, nothing perhaps; @session_id: 0
     * outside of one. For those who watch. */
    void (*answered)(void *opaque, uint32_t session_id, const uint8_t *req, size_t req_len, const uint8_t *rsp,
                     size_t rsp_len);

    /* The DHE secret of a session that KEY_EXCHANGE opens, or the key of one from PSK_EXCHANGE; for those who decrypt a
     * capture. */
    void (*session_secret)(void *opaque, uint32_t session_id, bool psk, const uint8_t *secret, size_t len);
} SpdmResponderConfig;

/* What a device has unless asked for more or less; SPDM_CAP_HBEAT comes beside a period. Implemented are also
 * SPDM_CAP_CHUNK, those of certificates' provision, MEL, and a value of SPDM_CAP_PSK: assigned devices have
 * certificates, not keys that their module was given before. */
#define SPDM_RESPONDER_CAPS                                                                                  \
    (SPDM_CAP_CERT | SPDM_CAP_CHAL | SPDM_CAP_MEAS_SIG | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_KEY_EX | \
     SPDM_CAP_HANDSHAKE_IN_THE_CLEAR | SPDM_CAP_KEY_UPD)

/* DSP0274 "SPDM messaging protocol": what of the connection has been agreed. */
typedef enum SpdmConnection {
    SPDM_NOT_STARTED,
    SPDM_AFTER_VERSION,
    SPDM_AFTER_CAPABILITIES,
    SPDM_NEGOTIATED,
} SpdmConnection;

typedef enum SpdmSessionState {
    SPDM_SESSION_FREE,
    SPDM_SESSION_HANDSHAKE,
    SPDM_SESSION_ESTABLISHED,
} SpdmSessionState;

typedef struct SpdmSession {
    SpdmSessionState state;
    uint32_t         id;              /* RspSessionID << 16 | ReqSessionID */
    uint16_t         secured_version; /* selected secured message version, such as 0x1100 */
    bool             psk;             /* from PSK_EXCHANGE */
    uint8_t          mut_auth;        /* SPDM_MUT_AUTH_*: how the requester shows who it is; 0: not */
    bool             in_the_clear;    /* FINISH travels as a plain object */
    SpdmKeys         keys;
    /* A || Ct || KEY_EXCHANGE ... of DSP0274 "Transcript hash"; empty once established */
    SpdmTranscript   th;
    SpdmTranscript   l1l2;   /* measurements since the last reset, in this session */
    int64_t          last_ns; /* when the last record came, or it was established */
    /* Between KEY_UPDATE and its VerifyNewKey: the keys before of the end that asked for it */
    bool             update_pending;
    SpdmChannel      old_channel;
    uint8_t          old_secret[SPDM_HASH_MAX];
    bool             wants_update; /* the responder would update its own keys */
    SpdmEvents       events;
} SpdmSession;

/* A large message on its way in chunks: DSP0274 "Large SPDM message transfer mechanism". */
typedef struct SpdmTransfer {
    bool     active;
    uint8_t  handle;
    uint32_t sequence;   /* of the next chunk */
    uint32_t session_id; /* that it is in; 0: none */
    uint32_t len, done;  /* bytes of the message; of them transferred */
    uint8_t  message[SPDM_MSG_MAX];
} SpdmTransfer;

/* A request that waits for RESPOND_IF_READY. */
typedef struct SpdmDeferred {
    uint8_t  left;       /* how often it is still asked for before it is answered; 0: nothing waits */
    uint8_t  token;      /* of the one put off last */
    uint32_t session_id; /* that it came in; 0: none */
    uint32_t len;
    uint8_t  message[SPDM_MSG_MAX];
} SpdmDeferred;

/* DSP0274 "Encapsulated request flow": requests of the responder's, that its answers carry. There is one flow at a
 * time. */
typedef struct SpdmFlow {
    bool     active;         /* the requester owes answers */
    uint8_t  request_id;     /* of the request that was made last */
    uint8_t  wanted;         /* its code; 0: none was made yet, or all are answered */
    uint8_t  param1, param2; /* of a KEY_UPDATE */
    uint32_t session_id;     /* that it is in; 0: none */
} SpdmFlow;

/* What is known of the requester's certificates between KEY_EXCHANGE and FINISH, or after a CHALLENGE. */
typedef struct SpdmMutual {
    bool           trusted;    /* the chain is whole and good; the key is its leaf's */
    uint32_t       session_id; /* of the handshake; 0: none */
    uint32_t       chain_len;  /* so far */
    uint8_t        chain_hash[SPDM_HASH_MAX], chain[SPDM_CHAIN_MAX];
    SpdmPublicKey  key;
    uint8_t        context[SPDM_CONTEXT_LEN]; /* of the CHALLENGE */
    SpdmTranscript b;          /* the flow after a CHALLENGE so far */
} SpdmMutual;

typedef struct SpdmResponder {
    SpdmResponderConfig config; /* not saved */

    /* Saved from here on. */
    SpdmConnection connection;
    uint8_t        version;         /* 0 until GET_CAPABILITIES picks it */
    uint32_t       peer_capabilities;
    uint32_t       peer_transfer_size, peer_max_size;
    SpdmSelection  selected;
    bool           authenticated;   /* a CHALLENGE was answered since the last reset */
    bool           multi_key;       /* slots may have keys of their own: 1.3 */
    bool           past_digests;    /* since ALGORITHMS there was another request than GET_DIGESTS */
    uint32_t       digests_len;     /* of such a connection: the first DIGESTS, if it came before any other request */
    uint8_t        digests[SPDM_DIGESTS_MAX];
    /* DSP0274: VCA; digests and certificates; measurements outside sessions */
    SpdmTranscript a, b, l1l2;
    SpdmTransfer   large_request, large_response;
    SpdmDeferred   deferred;
    SpdmFlow       flow;
    SpdmMutual     mutual;
    SpdmSession    sessions[SPDM_SESSIONS];
} SpdmResponder;

/**
 * spdm_responder_init - a responder that has heard nothing yet.
 * @config: copied; what it points at stays the caller's and must outlive the responder
 */
void spdm_responder_init(SpdmResponder *r, const SpdmResponderConfig *config);

/* FLR: connection and sessions are gone; session_changed is told. */
void spdm_responder_reset(SpdmResponder *r);

/* Conventional reset: the same, and what waited for it (ERROR ResetRequired) takes effect. */
void spdm_responder_conventional_reset(SpdmResponder *r);

/**
 * spdm_responder_want_key_update - the responder would have new keys of its own in a session: it asks for them when it
 * is next asked what it wants (GET_ENCAPSULATED_REQUEST). No effect on sessions that cannot, or are not there.
 */
void spdm_responder_want_key_update(SpdmResponder *r, uint32_t session_id);

/* spdm_responder_measurement_changed - tell those who have subscribed to it that the value of an index is another. */
void spdm_responder_measurement_changed(SpdmResponder *r, uint8_t index);

/**
 * spdm_responder_expire - end the sessions whose heartbeat has been missed.
 * Returns when to call again, in the device's time; INT64_MAX: no session waits for one.
 */
int64_t spdm_responder_expire(SpdmResponder *r, int64_t now_ns);

/**
 * spdm_responder_handle - answer one data object.
 * @secured:     the object's type
 * @in, @in_len: its payload; DW padding behind the message is allowed
 * @out, @cap:   room for the answer; SPDM_MSG_MAX bytes are always enough
 * @secured_out: the answer's object type
 * Returns the answer's exact length (the mailbox pads), 0 for no answer.
 */
size_t spdm_responder_handle(SpdmResponder *r, bool secured, const uint8_t *in, size_t in_len, uint8_t *out,
                             size_t cap, bool *secured_out);

/* ---- requester ----------------------------------------------------------------------------------------- */

typedef enum SpdmOp {
    SPDM_OP_NONE,
    SPDM_OP_CONNECT,      /* GET_VERSION ... NEGOTIATE_ALGORITHMS, GET_DIGESTS, the whole certificate chain */
    SPDM_OP_SESSION,      /* KEY_EXCHANGE and FINISH; needs the public key */
    SPDM_OP_VENDOR,       /* one PCI-SIG exchange inside the session */
    SPDM_OP_MEASUREMENTS, /* GET_MEASUREMENTS inside the session, all indices or one */
    SPDM_OP_LOG,          /* the measurement extension log, in the session */
    SPDM_OP_GET_CSR,      /* a signing request for the device's key, in the session */
    SPDM_OP_SET_CERTIFICATE, /* certificates into a slot, or nothing (1.3), in the session */
    SPDM_OP_END_SESSION,
    SPDM_OP_PSK_SESSION,  /* PSK_EXCHANGE and, if the device has a context, PSK_FINISH; needs options.psk */
    SPDM_OP_CHALLENGE,    /* outside a session, and what the device asks then; needs the public key, and challenge */
    SPDM_OP_KEY_UPDATE,   /* of all keys of the session */
    SPDM_OP_SUBSCRIBE,    /* to all types of events that the device has, in the session (1.3) */
    SPDM_OP_HEARTBEAT,    /* a sign of life in a session that wants one */
    SPDM_OP_KEY_PAIRS,    /* what key pairs the device has, in the session (1.3) */
    SPDM_OP_ENDPOINT_INFO, /* what kind of device it is, in the session (1.3) */
    SPDM_OP_ENCAPSULATED, /* ask the device what it wants in the session, and answer until that is nothing */
    SPDM_OP_SLOTS,        /* one sub-code of SLOT_MANAGEMENT, in the session (1.4) */
} SpdmOp;

typedef enum SpdmResult { SPDM_CONTINUE, SPDM_DONE, SPDM_FAILED } SpdmResult;

/* What must be appended to which object of the RMM's "cache" after the exchange that just ended. */
typedef enum SpdmObject {
    SPDM_OBJECT_NONE,
    SPDM_OBJECT_VCA,          /* request, then response: whole messages */
    /* response only: DER certificates, root first, without the chain's own header */
    SPDM_OBJECT_CERTIFICATE,
    SPDM_OBJECT_MEASUREMENTS, /* request, then response: whole messages, decrypted */
} SpdmObject;

/* Spans of the plain messages spdm_requester_request() and _reply(); length 0: nothing of that message. */
typedef struct SpdmCache {
    SpdmObject object;
    uint32_t   req_offset, req_len, rsp_offset, rsp_len;
} SpdmCache;

typedef enum SpdmKeyResult { SPDM_KEY_OK, SPDM_KEY_UNSUPPORTED, SPDM_KEY_INVALID } SpdmKeyResult;

typedef struct SpdmOpArgs {
    /* SPDM_OP_VENDOR: the PCI message; SPDM_OP_GET_CSR: RequesterInfo; SPDM_OP_SET_CERTIFICATE: DER certificates, root
     * first, or nothing to erase */
    uint8_t        protocol;
    const uint8_t *message; /* copied */
    size_t         len;
    uint8_t        slot;       /* SPDM_OP_SET_CERTIFICATE */
    uint8_t        subcode, bank; /* SPDM_OP_SLOTS: SPDM_SLOTS_*, BankID; the others as in operations of that name */
    uint8_t        key_pair, model; /* both, in multi-key connections: KeyPairID and SPDM_MODEL_* */
    uint8_t        attributes; /* SPDM_OP_GET_CSR: Param2 of 1.3 */
    /* SPDM_OP_MEASUREMENTS */
    uint8_t        index;  /* 0xFF: all; 0: the count alone */
    bool           sign, raw;
    const uint8_t *nonce;  /* SPDM_NONCE_LEN bytes; NULL: drawn here */
} SpdmOpArgs;

/* What a requester's owner may choose after init and before the first operation; zeros are the RMM's profile. */
typedef struct SpdmRequesterOptions {
    SpdmTransport transport;
    uint32_t      transfer_size; /* DataTransferSize, with CHUNK; 0: SPDM_MSG_MAX without CHUNK */
    uint8_t       slot;          /* whose certificates are read, and that is named where a slot is */
    SpdmPsk       psk;           /* for PSK sessions; without a key none is offered */
    bool          multi_key;     /* the device may have a key for each slot, if it can */
    bool          own_keys;      /* the requester's slots have keys of their own (1.3), as MULTI_KEY_CAP 1 says */
    bool          large;         /* LARGE_RESP is announced (1.4) */
    bool          heartbeat;     /* HBEAT is announced: the owner sends signs of life, by SPDM_OP_HEARTBEAT */
    bool          encapsulated;  /* ENCAP and KEY_UPD are announced: what a device asks in a session is answered */
} SpdmRequesterOptions;

/* What a requester agrees to. */
typedef struct SpdmOffer {
    uint8_t      version_min, version_max; /* SPDM_VERSION_11 to _14 */
    SpdmAlgMasks algorithms;               /* a mask of 0: all that are known of its kind */
} SpdmOffer;
/* What stands in for a request: carry.h. */
typedef enum SpdmCarry { SPDM_CARRY_NOTHING, SPDM_CARRY_SEND, SPDM_CARRY_GET, SPDM_CARRY_POLL } SpdmCarry;

typedef struct SpdmCarrier {
    SpdmCarry what;
    uint8_t   handle;      /* of a large message; token of a response that was not ready */
    uint8_t   last_handle; /* of a large request */
    uint8_t   exponent;    /* of the time that the device asked for, 2^x us */
    uint32_t  sequence;    /* of the chunk awaited, or to be acknowledged */
    uint16_t  polls;       /* how often it was not ready */
    uint32_t  len, done;   /* of the large message */
    uint8_t   message[SPDM_MSG_MAX]; /* a large response so far */
} SpdmCarrier;

/* What a CHALLENGE covers beside VCA; both are empty once it is answered. */
typedef struct SpdmChallenge {
    SpdmTranscript b;      /* digests and certificates of the device */
    SpdmTranscript mutual; /* what the device asked then, and the answers */
} SpdmChallenge;

typedef struct SpdmRequester {
    Entropy            *entropy;  /* not saved */
    SpdmChallenge      *challenge; /* for SPDM_OP_CHALLENGE; NULL: there is none. Not saved */
    const SpdmIdentity *identity; /* of the requester itself, for mutual authentication; NULL: none. Not saved */
    SpdmRoom            chain_room; /* for a chain of more than SPDM_CHAIN_MAX. Not saved */

    /* Saved from here on. */
    SpdmRequesterOptions options;
    SpdmOffer            offer;
    SpdmOp         op;
    uint8_t        step;        /* index into the step table of requester.c, while op is not NONE */
    bool           in_flight;   /* a request is out; its response is awaited */
    char           error[96];   /* why the last operation failed; empty otherwise */
    bool           connected;   /* CONNECT is done */
    uint8_t        version, slot_mask;
    uint64_t       peer_capabilities;
    uint32_t       peer_transfer_size, peer_max_size;
    SpdmSelection  selected;
    SpdmCarrier    carrier;
    uint8_t        chain_digest[SPDM_HASH_MAX]; /* from DIGESTS; the chain below matches it */
    uint32_t       digests_len;  /* DIGESTS of a multi-key connection */
    uint8_t        digests[SPDM_DIGESTS_MAX];
    uint32_t       chain_len;
    uint8_t        chain[SPDM_CHAIN_MAX]; /* unless it is longer */
    bool           has_key;
    SpdmPublicKey  public_key;
    uint8_t        encapsulated[256], encapsulated_id; /* request of the device's that is to be answered */
    uint32_t       encapsulated_len, encapsulated_count; /* the latter: of the operation that goes on */
    bool           challenged_back; /* CHALLENGE_AUTH said so */
    uint8_t        heartbeat_s;     /* HeartbeatPeriod of the session */
    bool           surplus_key_pairs; /* KEY_PAIR_INFO ended with the zeros of an older libspdm: req_keys.c */
    uint8_t        dhe_private[SPDM_DHE_MAX]; /* between KEY_EXCHANGE and its response */
    uint16_t       next_session_id;             /* ReqSessionID of the next session */
    SpdmTranscript a;
    SpdmSession    session;
    SpdmOpArgs     args;        /* its pointers are not kept: message and nonce are below */
    uint8_t        nonce[SPDM_NONCE_LEN];
    uint32_t       message_len, request_len, reply_len, vendor_offset, vendor_len;
    uint8_t        message[SPDM_MSG_MAX], request[SPDM_MSG_MAX], reply[SPDM_MSG_MAX];
    SpdmCache      cache;
} SpdmRequester;

/* A requester that has said nothing yet and agrees to everything that is known here. */
void spdm_requester_init(SpdmRequester *r, Entropy *entropy);

/* spdm_requester_offer - agree to this alone, from the next CONNECT on. */
void spdm_requester_offer(SpdmRequester *r, const SpdmOffer *offer);

/**
 * spdm_requester_start - begin an operation.
 * @args: what the operation needs; NULL for CONNECT, SESSION and END_SESSION
 * Returns NULL, or why it cannot start now (a sentence; nothing has changed then).
 */
const char *spdm_requester_start(SpdmRequester *r, SpdmOp op, const SpdmOpArgs *args);

/**
 * spdm_requester_next - the next message to the device: the request of a step, or what stands in for it.
 * @cap: SPDM_MSG_MAX bytes are always enough
 * Returns the payload's exact length (the mailbox pads), 0 when no operation is under way, a response is
 * awaited, or building failed (spdm_requester_error() then says why).
 */
size_t spdm_requester_next(SpdmRequester *r, uint8_t *out, size_t cap, bool *secured);

/* How long the device asked to be left alone before the next request is made; for owners that can wait. */
uint64_t spdm_requester_wait_us(const SpdmRequester *r);

/* Take the response to the last request. After SPDM_FAILED the operation is over; a session may be gone. */
SpdmResult spdm_requester_response(SpdmRequester *r, const uint8_t *in, size_t len, bool secured);

/* Give the operation up, as when the device does not answer. A session whose record went unanswered ends. */
void spdm_requester_abort(SpdmRequester *r);

/* Why the last operation failed. */
const char *spdm_requester_error(const SpdmRequester *r);

/**
 * spdm_requester_set_public_key - name the key that the device must sign with.
 * @key: copied. The caller has checked the certificate chain; no X.509 is parsed here.
 * Returns SPDM_KEY_UNSUPPORTED for a kind that does not serve the negotiated algorithm, SPDM_KEY_INVALID for bytes that
 * are no such key.
 */
SpdmKeyResult spdm_requester_set_public_key(SpdmRequester *r, const SpdmPublicKey *key);

/* What of the exchange that just ended goes to a cached object; object SPDM_OBJECT_NONE: nothing. */
SpdmCache spdm_requester_cache(const SpdmRequester *r);

/* The plain messages of the last exchange; valid until the next call of next or response. */
SpdmSpan spdm_requester_request(const SpdmRequester *r);
SpdmSpan spdm_requester_reply(const SpdmRequester *r);

/* The PCI message, the signing request or the device class identifiers of the last SPDM_OP_VENDOR, SPDM_OP_GET_CSR or
 * SPDM_OP_ENDPOINT_INFO that ended with SPDM_DONE; of SPDM_OP_SLOTS the chain, the signing request, or else the whole
 * structure of the response. */
SpdmSpan spdm_requester_vendor_reply(const SpdmRequester *r);

/* Events after SPDM_OP_ENCAPSULATED, one behind the other: spdm_event_read() takes them apart. */
SpdmSpan spdm_requester_events(const SpdmRequester *r);

/* After SPDM_OP_KEY_PAIRS: of each key pair what KEY_PAIR_INFO has behind its header, with its length, two bytes, in
 * front. */
SpdmSpan spdm_requester_key_pairs(const SpdmRequester *r);

/* A kind of key as a bit of AsymAlgoCapabilities and of fields like it: DSP0274 1.3 "KEY_PAIR_INFO response". */
uint32_t spdm_key_algorithm_bit(SpdmKeyKind kind);

/* How many seconds apart signs of life may be in this session; 0: none are needed. */
uint8_t spdm_requester_heartbeat_s(const SpdmRequester *r);

/* The log after SPDM_OP_LOG: spdm_log_extend() tells what it makes of a measurement. */
SpdmSpan spdm_requester_log(const SpdmRequester *r);

/* VCA bytes, and the certificate chain with its header, after CONNECT. */
SpdmSpan spdm_requester_vca(const SpdmRequester *r);
SpdmSpan spdm_requester_chain(const SpdmRequester *r);

bool spdm_requester_has_session(const SpdmRequester *r);

/* ---- conformance --------------------------------------------------------------------------------------- */

typedef struct SpdmConformance {
    const char *protocol; /* "SPDM", "IDE_KM", "TDISP" */
    const char *name;     /* as the specification spells it */
    uint8_t     code;
    const char *since;    /* version of the protocol that brought it */
    bool        implemented;
} SpdmConformance;

/**
 * spdm_conformance - the @n-th message of the protocols, in order of protocol and code.
 * Whether it is implemented is read from the dispatch tables. Returns false past the last.
 */
bool spdm_conformance(size_t n, SpdmConformance *item);

#endif
