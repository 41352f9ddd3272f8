/*
 * Inside of the responder: what a request handler sees. Handlers register themselves with SPDM_REQUEST and
 * are called by responder.c when version, connection state, capability and session fit.
 */
#ifndef BAILEY_SPDM_RESPONDER_H
#define BAILEY_SPDM_RESPONDER_H

#include "spdm/chain.h"
#include "spdm/sign.h"
#include "spdm/spdm.h"

/* Where a request may come from. */
typedef enum SpdmWhere {
    SPDM_OUTSIDE,     /* plain objects only */
    SPDM_ANYWHERE,    /* plain, or in an established session */
    SPDM_IN_SESSION,  /* in an established session only */
    SPDM_WHEREVER,    /* plain, or in any phase of a session */
    SPDM_IN_HANDSHAKE, /* FINISH: in the handshake phase; a plain object when the handshake is in the clear */
    SPDM_IN_PSK_HANDSHAKE /* PSK_FINISH: in that of a session from PSK_EXCHANGE */
} SpdmWhere;

/* Which transcript the dispatcher appends request and response to, once the response is complete.
 * Messages that hold a signature cannot wait that long: their handlers keep the transcript themselves. */
typedef enum SpdmKept { SPDM_KEPT_NOWHERE, SPDM_KEPT_A, SPDM_KEPT_B } SpdmKept;

/* What the dispatcher does after the response has left with the keys that were current. */
typedef enum SpdmAfter {
    SPDM_AFTER_NOTHING,
    SPDM_AFTER_ESTABLISH,
    SPDM_AFTER_END,
    SPDM_AFTER_CHALLENGE_BACK, /* the requester is asked who it is */
} SpdmAfter;

/* One request on its way through its handler. */
typedef struct SpdmExchange {
    SpdmSession *session;  /* that the request came in or finishes; NULL: none */
    uint8_t      version, code, param1, param2; /* of the request */
    uint8_t      error_data; /* Param2 of an ERROR response */
    uint32_t     too_large;  /* extended data of ERROR DataTooLarge: the length that is */
    uint32_t     record_session; /* that the record was of which brought the request; 0: it came plain */
    bool         carries;    /* it is one that brings others: SpdmRequest.carries */
    bool         was_put_off; /* it waited until now: spdm_put_off() */
    bool         in_chunks;  /* it is the large request that came in chunks */
    size_t       room;       /* longest response that the peer can take in one piece */
    SpdmSession *opened;     /* made by this request: ends again if the request fails after all */
    SpdmAfter    after;
} SpdmExchange;

/* @req is behind the four header bytes; @rsp is empty and holds any message; what is
 * longer than x->room is left for CHUNK_GET, or becomes ERROR ResponseTooLarge. */
typedef SpdmError (*SpdmHandler)(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp);

typedef struct SpdmRequest {
    const char    *name;
    uint8_t        code;
    SpdmConnection from, to;     /* needed state; state after success (NOT_STARTED: unchanged) */
    bool           exactly;      /* not in a later state than @from either */
    uint64_t       needs;        /* capabilities the responder was configured with, any bit of each field; of those that
                                  * open sessions, any */
    uint32_t       peer_needs;   /* capabilities the requester must have announced */
    SpdmWhere      where;
    SpdmKept       kept;
    bool           carries;      /* brings other messages: nothing of it is in a transcript, or ends one */
    bool           is_signed;    /* the answer is, and so takes a device its time */
    uint8_t        signed_bit;   /* only with that bit of Param1; 0: always */
    bool           drops_b;      /* ends an unfinished authentication: DSP0274 "M1 and M2" */
    SpdmHandler    handle;
} SpdmRequest;

/* Registered requests, as pointers, in a section that the linker bounds. */
extern const SpdmRequest *const __start_spdm_requests[];
extern const SpdmRequest *const __stop_spdm_requests[];

/* Defines the handler of one request and registers it; the fields of SpdmRequest follow the name. */
#define SPDM_REQUEST(NAME, ...)                                                                              \
    static SpdmError handle_##NAME(SpdmResponder *, SpdmExchange *, ByteReader *, ByteWriter *);             \
    static const SpdmRequest request_##NAME = {                                                              \
        .name = #NAME, .code = SPDM_##NAME, .handle = handle_##NAME, __VA_ARGS__ };                          \
    static const SpdmRequest *const entry_##NAME __attribute__((section("spdm_requests"), used)) =           \
        &request_##NAME;                                                                                     \
    static SpdmError handle_##NAME(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp)

/* spdm_capabilities - what this connection's version has of the capabilities. */
uint64_t spdm_capabilities(const SpdmResponder *s);

/* spdm_answer - one whole plain message; the response may be empty. */
void spdm_answer(SpdmResponder *s, SpdmExchange *x, const uint8_t *msg, size_t len, ByteWriter *rsp);

/* spdm_response_room - longest response of all, in one piece or in chunks. */
size_t spdm_response_room(const SpdmResponder *s, const SpdmExchange *x);

/* Whether the response can be sent. If not, the dispatcher makes it ERROR ResponseTooLarge; what counts only once it
 * was sent must not be done. */
bool spdm_fits(const SpdmResponder *s, const SpdmExchange *x, const ByteWriter *rsp);

/* Starts the response of the request in @x. */
void spdm_reply(SpdmResponder *s, const SpdmExchange *x, ByteWriter *rsp, uint8_t param1, uint8_t param2);

/* The whole request message parsed so far, without padding. */
SpdmSpan spdm_whole_request(const ByteReader *req);

SpdmSuite  spdm_responder_suite(const SpdmResponder *s);
SpdmSigner spdm_responder_signer(const SpdmResponder *s);

/* Appends the signature over @spans with the key of a slot to @rsp. */
SpdmError spdm_append_signature(SpdmResponder *s, uint8_t slot, const char *context, const SpdmSpan *spans, size_t n,
                                ByteWriter *rsp);

/* RequesterContext, which CHALLENGE and GET_MEASUREMENTS have since 1.3 and their answers repeat behind the opaque
 * data; nothing before. */
void spdm_read_context(const SpdmResponder *s, ByteReader *req, uint8_t context[SPDM_CONTEXT_LEN]);
void spdm_append_context(const SpdmResponder *s, const uint8_t context[SPDM_CONTEXT_LEN], ByteWriter *rsp);

/* The device's certificates in a slot, for the negotiated signature algorithm; NULL: that slot has none. */
const SpdmIdentity *spdm_responder_identity(const SpdmResponder *s, uint8_t slot);

/* The same for any kind of key. */
const SpdmIdentity *spdm_identity_of_kind(const SpdmResponder *s, SpdmKeyKind kind, uint8_t slot);

/* The slots that can hold certificates for keys of that kind, by bits. */
uint8_t spdm_slots_of_kind(const SpdmResponder *s, SpdmKeyKind kind);

/* How long a chain a slot has room for; @id: its certificates, NULL: none. One that is not to be written has its
 * chain's size. */
size_t spdm_slot_size(const SpdmResponder *s, const SpdmIdentity *id);

/* Key usages: DSP0274 1.3 "KEY_PAIR_INFO response message". */
enum {
    SPDM_USE_KEY_EX = BIT(0),
    SPDM_USE_CHALLENGE = BIT(1),
    SPDM_USE_MEASUREMENT = BIT(2),
    SPDM_USE_ENDPOINT_INFO = BIT(3),
};

/* ---- rsp_keys.c ---- */

/* One of the device's key pairs. */
typedef struct SpdmKeyPair {
    uint8_t             number; /* KeyPairID, from 1 */
    const SpdmPrivateKey *key;  /* of length 0: it has still to be made */
    const SpdmPrivateKey *certified; /* that certificates from outside are for: the same, but for an alias */
    SpdmMadePair       *made;   /* NULL: the device came with it */
} SpdmKeyPair;

/* False: there is none of that number. */
bool spdm_key_pair(const SpdmResponder *s, uint8_t number, SpdmKeyPair *pair);

/* The number of the key pair that a slot's certificates are for, or would be; 0: there is none. */
uint8_t spdm_pair_of(const SpdmResponder *s, const SpdmIdentity *id);

/* That of slot 0 for keys of a kind, which is every slot's of that kind where they have no keys of their own. */
uint8_t spdm_first_pair_of_kind(const SpdmResponder *s, SpdmKeyKind kind);

/* What key pairs' changes waited for is over: those that are still possible are made. */
void spdm_change_awaited_pairs(SpdmResponder *s);

/* What a key pair is for. */
uint16_t spdm_uses_of(const SpdmResponder *s, uint8_t pair);

/* CertificateInfo of a slot's certificates. */
uint8_t spdm_model_of(const SpdmResponder *s, const SpdmIdentity *id);

/* The place of a slot's chain for keys of that kind: the one it has, or a new one; ---- rsp_provision.c ---- */
SpdmIdentity *spdm_place_for(SpdmResponder *s, uint8_t slot, SpdmKeyKind kind);

/* The key of a slot that has a chain; whether it is for that use, which counts in multi-key connections. */
const SpdmPrivateKey *spdm_slot_key(const SpdmResponder *s, uint8_t slot);
bool                  spdm_slot_is_for(const SpdmResponder *s, uint8_t slot, uint16_t use);

/* The slots that hold a chain for the negotiated signature algorithm, by bits. */
uint8_t spdm_provisioned_slots(const SpdmResponder *s);

/* Whether a certificate slot can be used, and its chain. */
bool spdm_slot_chain(const SpdmResponder *s, uint8_t slot, SpdmChain *chain);

/* Hash of a slot's chain, appended to @rsp. */
void spdm_append_chain_hash(const SpdmResponder *s, uint8_t slot, ByteWriter *rsp);

/* Whether the connection has measurement summary hashes of that type: SPDM_SUMMARY_*. */
bool spdm_summary_is_possible(const SpdmResponder *s, uint8_t type);

/* Appends the measurement summary hash of @type (SPDM_SUMMARY_*) to @rsp; SPDM_INVALID_REQUEST for other
 * types. */
SpdmError spdm_append_summary(SpdmResponder *s, uint8_t type, ByteWriter *rsp);

/* ---- rsp_session.c ---- */

/* A session for @req_id; its response half is the slot's place, so that no two live sessions share an ID. NULL: there
 * are as many as there can be. @policy: SessionPolicy; @psk: from PSK_EXCHANGE. */
SpdmSession *spdm_session_open(SpdmResponder *s, uint16_t req_id, uint16_t secured_version, uint8_t policy, bool psk);

/* Whether a SessionPolicy can be held to. */
bool spdm_policy_is_possible(const SpdmResponder *s, uint8_t policy);

/* Hash(TH so far). */
bool spdm_session_hash_th(const SpdmSuite *suite, const SpdmSession *session, uint8_t *out);

/* VerifyData = HMAC(finished key, Hash(TH so far)). */
bool spdm_session_verify_data(const SpdmSuite *suite, const SpdmSession *session, const uint8_t *finished,
                              uint8_t *out);

/* Whether @mac, the requester's VerifyData, is right; then the transcript has it. */
bool spdm_session_proven(const SpdmSuite *suite, SpdmSession *session, const uint8_t *mac);

/* The handshake is over: the keys of the data phase, from TH2, hold once the answer is sent. */
SpdmError spdm_session_establish(const SpdmSuite *suite, SpdmSession *session, SpdmExchange *x);

/* The one session that a plain message of a handshake can mean; NULL: there is none. */
SpdmSession *spdm_clear_handshake(SpdmResponder *s);

/* ---- rsp_encap.c ---- */

/* A request of the responder's own. */
typedef struct SpdmOwnRequest {
    const char *name;
    uint8_t     code;
    void (*ask)(SpdmResponder *s, ByteWriter *rsp);
    /* The answer, behind its header; false: it will not do. Sets the code of the next request, 0: there is none. */
    bool (*take)(SpdmResponder *s, ByteReader *r, uint8_t param1, uint8_t param2);
} SpdmOwnRequest;

extern const SpdmOwnRequest spdm_own_requests[];
extern const unsigned       spdm_n_own_requests;

/* Starts a flow: in session @session_id, outside any when 0. @implied: the request that the requester answers without
 * asking; 0: none. */
void spdm_flow_begin(SpdmResponder *s, uint32_t session_id, uint8_t implied);

/* Flows in that session, 0: outside any, end unfinished. */
void spdm_flow_end(SpdmResponder *s, uint32_t session_id);

/* Whether the request breaks into a flow that is under way. */
bool spdm_breaks_flow(const SpdmResponder *s, const SpdmRequest *q, const SpdmExchange *x);

/* What of the answer has been read, as it was encapsulated. */
SpdmSpan spdm_encapsulated_span(const ByteReader *r);

/* Whether the requester's slots have keys of their own: it says so, and ALGORITHMS agrees. One that can do without does
 * without. */
static inline bool spdm_requester_has_keys(const SpdmResponder *s)
{
    return s->version >= SPDM_VERSION_13 && (s->peer_capabilities & SPDM_CAP_MULTI_KEY) == SPDM_CAP_MULTI_KEY_ONLY;
}

/* ---- rsp_mutual.c ---- */

/* Both sides can do it. */
bool spdm_mutual_agreed(const SpdmResponder *s);

/* Starts the flow of a session that KEY_EXCHANGE opens, if it can be; returns MutAuthRequested. */
uint8_t spdm_mutual_begin(SpdmResponder *s, SpdmSession *session);

/* Whether who sends a CHALLENGE gets one back; starts the flow for it. */
bool spdm_challenges_back(const SpdmResponder *s);
void spdm_challenge_back(SpdmResponder *s);

/* What is known of the requester from that session, 0: outside any, is not needed any more. */
void spdm_mutual_end(SpdmResponder *s, uint32_t session_id);

/* The requester's signature in FINISH, over TH and @header, which both go into TH with it. */
SpdmError spdm_mutual_verify(SpdmResponder *s, SpdmSession *session, SpdmSpan header, const uint8_t *sig);

void spdm_ask_digests(SpdmResponder *s, ByteWriter *rsp);
void spdm_ask_certificate(SpdmResponder *s, ByteWriter *rsp);
void spdm_ask_challenge(SpdmResponder *s, ByteWriter *rsp);
bool spdm_take_digests(SpdmResponder *s, ByteReader *r, uint8_t param1, uint8_t slots);
bool spdm_take_certificate(SpdmResponder *s, ByteReader *r, uint8_t slot, uint8_t param2);
bool spdm_take_challenge(SpdmResponder *s, ByteReader *r, uint8_t param1, uint8_t slots);

/* ---- rsp_update.c ---- */

/* Whether the responder would have new keys of its own. */
bool spdm_wants_key_update(const SpdmResponder *s, const SpdmSession *session);

void spdm_ask_key_update(SpdmResponder *s, ByteWriter *rsp);
bool spdm_take_key_update(SpdmResponder *s, ByteReader *r, uint8_t param1, uint8_t param2);

/* ---- rsp_event.c ---- */

/* The certificates of a slot are others now. */
void spdm_certificate_changed(SpdmResponder *s, uint8_t slot);

/* Whether there is something to tell. */
bool spdm_has_events(const SpdmSession *session);

void spdm_ask_events(SpdmResponder *s, ByteWriter *rsp);
bool spdm_take_events(SpdmResponder *s, ByteReader *r, uint8_t param1, uint8_t param2);

/* ---- chunk.c ---- */

/* Both sides have CHUNK_CAP. */
bool spdm_chunks_agreed(const SpdmResponder *s);

/* Whether the request breaks into a transfer that is under way. */
bool spdm_breaks_transfer(const SpdmResponder *s, const SpdmExchange *x);

/* Transfers in that session, 0: outside any, end unfinished. */
void spdm_transfers_end(SpdmResponder *s, uint32_t session_id);

/* Leaves the response in @rsp for CHUNK_GET, and an ERROR LargeResponse in its place. */
void spdm_keep_large_response(SpdmResponder *s, const SpdmExchange *x, ByteWriter *rsp);

/* ---- rsp_ready.c ---- */

/* Whether the request is to wait for RESPOND_IF_READY; it is kept then. */
bool spdm_put_off(SpdmResponder *s, const SpdmRequest *q, const SpdmExchange *x, const uint8_t *msg, size_t len);

/* The extended data of ERROR ResponseNotReady, for the request that waits. */
void spdm_append_not_ready(const SpdmResponder *s, ByteWriter *rsp);

/* ---- rsp_provision.c ---- */

/* Slots whose new content, for keys of that kind, takes effect with the next reset, by bits. */
uint8_t spdm_slots_awaiting_reset(const SpdmResponder *s, SpdmKeyKind kind);

/* The key pair that a request means by KeyPairID and certificate model, of 1.3, for certificates of that kind; false:
 * it names them wrongly, or there is no key. */
bool spdm_names_pair(const SpdmResponder *s, SpdmKeyKind kind, uint8_t number, uint8_t model, SpdmKeyPair *pair);

/* The same of a signing request, with its attributes of 1.3: Param2 of GET_CSR. */
bool spdm_csr_pair(const SpdmResponder *s, SpdmKeyKind kind, uint8_t number, uint8_t attributes, SpdmKeyPair *pair);

/**
 * spdm_take_csr - what a request for a signing request has from RequesterInfoLength on, and what it asks for.
 * @out, @len: receives the signing request, DER
 * Returns an error as GET_CSR has it; SPDM_RESET_REQUIRED: it comes with the next reset.
 */
SpdmError spdm_take_csr(SpdmResponder *s, SpdmExchange *x, const SpdmKeyPair *pair, uint8_t attributes,
                        ByteReader *req, uint8_t *out, size_t cap, size_t *len);

/* The response with what spdm_take_csr() gave is whole: if it can be sent, the signing request is kept no longer. */
void spdm_give_csr(SpdmResponder *s, const SpdmExchange *x, uint8_t attributes, const ByteWriter *rsp);

/* The chain with its header, as GET_CERTIFICATE would give it back, up to the end of the message. SPDM_INVALID_REQUEST:
 * its form is wrong; SPDM_UNSPECIFIED: it does not hold, or not for this device. */
SpdmError spdm_read_chain(SpdmResponder *s, ByteReader *req, const SpdmKeyPair *pair, SpdmIdentity *id);

/* Puts a chain, or nothing in its place, into its slot now or with the next reset. */
SpdmError spdm_put_chain(SpdmResponder *s, const SpdmIdentity *id);

/* ---- rsp_log.c ---- */

/* The device's measurement extension log; false: it is longer than @log. */
bool spdm_device_log(SpdmResponder *s, ByteWriter *log);

/* ---- others ---- */

/* HeartbeatPeriod of the connection's sessions; 0: they need no sign of life. */
uint8_t spdm_heartbeat_s(const SpdmResponder *s);

/* The live session of that ID; NULL: there is none. */
SpdmSession *spdm_session_find(SpdmResponder *s, uint32_t id);

/* The old request key of a key update is not needed any more. */
void spdm_forget_old_key(SpdmSession *session);

/* Ends a session; session_changed hears of it when it was established. */
void spdm_session_end(SpdmResponder *s, SpdmSession *session);

#endif
