/*
 * A device and a trusted module, joined without a bus: what every SPDM test and the fuzzers play with. The
 * whole pair is plain data at a fixed place, so that a test can copy it away, spoil an exchange, and put it
 * back.
 */
#ifndef BAILEY_TESTS_SPDM_PAIR_H
#define BAILEY_TESTS_SPDM_PAIR_H

#include "spdm/ide_km.h"
#include "spdm/pki.h"
#include "spdm/spdm.h"
#include "spdm/tdisp.h"

#define PAIR_FUNCTION 0x0100u /* the TDI's requester ID */
#define PAIR_STREAM   0
#define PAIR_PORT     0
#define PAIR_P2P_STREAM     3       /* the device binds it when asked */
#define PAIR_UPDATABLE_PAGE 0x20000 /* of the report's second range, without an offset */

/* One spoilt exchange. */
typedef struct PairTamper {
    unsigned exchange;  /* which, counted from init */
    bool     response;  /* or the request */
    bool     truncate;  /* to @at bytes; otherwise flip @mask at byte @at */
    size_t   at;
    uint8_t  mask;
} PairTamper;

typedef struct SpdmPair {
    Entropy       device_entropy, module_entropy;
    SpdmResponder responder;
    SpdmRequester requester;
    IdeKm         ide;
    TdispDsm      dsm;
    Tdi           tdis[2];
    TdispClient   tdi;
    SpdmChallenge challenge; /* of the requester, once it points here */

    const PairTamper *tamper;
    unsigned          exchange; /* exchanges so far */
    size_t            request_len, response_len; /* of the last exchange */
    unsigned          authenticated; /* how often the requester has answered a CHALLENGE */
    unsigned          keys_programmed, keys_gone, sessions_begun, sessions_ended;
    uint8_t           last_key[IDE_KEY_LEN];
    TdispError        may_lock;       /* what the device answers when asked */
    bool              refuse_keys;
    unsigned          p2p_unbound;
    uint16_t          attributes;     /* of the last SET_MMIO_ATTRIBUTE_REQUEST */
    uint32_t          cached[4];      /* bytes cached per SpdmObject */
    uint8_t           certificates[SPDM_CHAIN_MAX], measurements[2 * SPDM_MSG_MAX];
} SpdmPair;

/* pair_load - what the test PKI has of that; ends the test program when it cannot be loaded. */
void pair_load(SpdmTestPki which, SpdmKeyKind kind, SpdmIdentity *id);

/* The same of P-384, loaded once. */
const SpdmIdentity *pair_identity(SpdmTestPki which);

/* The TEST key, which the device of every pair has; the module once it is put into requester.options. */
SpdmPsk pair_psk(void);

/* @responder_caps: SPDM_RESPONDER_CAPS, or less */
void pair_init(SpdmPair *p, uint64_t responder_caps);

/* One exchange of the operation under way. */
SpdmResult pair_step(SpdmPair *p);

/* A whole operation. */
SpdmResult pair_op(SpdmPair *p, SpdmOp op, const SpdmOpArgs *args);

/* CONNECT and naming the device's key. */
SpdmResult pair_connect(SpdmPair *p);

SpdmResult pair_ide(SpdmPair *p, IdeKmOp op, uint8_t key_set);
SpdmResult pair_tdisp(SpdmPair *p, TdispOp op);

/* The stages of an assignment, in order; each needs those before it. */
typedef struct PairStage {
    const char *name;
    SpdmResult (*run)(SpdmPair *p);
    bool in_session;
} PairStage;

extern const PairStage pair_stages[];
extern const unsigned  pair_n_stages;

/* Runs stages [0, n). */
bool pair_run(SpdmPair *p, unsigned n);

/* Index of a stage by name, aborts on a name that does not exist. */
unsigned pair_stage(const char *name);

/* Any message, sealed with the module's session keys when @secured; returns the plain reply's length, 0
 * for silence or a reply that does not open. */
size_t pair_send(SpdmPair *p, bool secured, const uint8_t *msg, size_t len, uint8_t *reply, size_t cap);

/* Whether a reply is ERROR with that code and data; with code 0, whether it is a message and no ERROR. */
bool pair_answered(const uint8_t *reply, size_t len, uint8_t error, uint8_t data);

/**
 * pair_spoil - the operation from @start on, with one byte of a request spoilt.
 * @t: which exchange's, and where
 * @result: of the operation
 * Returns false when that request has no such byte; nothing is meant by the rest then.
 */
bool pair_spoil(SpdmPair *p, const SpdmPair *start, SpdmOp op, const PairTamper *t, SpdmResult *result);

/* A vendor-defined message through pair_send, unwrapped again; 0 when the answer is not PCI-SIG's. */
size_t pair_send_pci(SpdmPair *p, uint8_t protocol, const uint8_t *msg, size_t len, uint8_t *reply,
                     size_t cap);

#endif
