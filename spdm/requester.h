/*
 * Inside of the requester: what a step sees. requester.c holds the table of steps and their engine; steps of an
 * operation may stand in a file of their own.
 */
#ifndef BAILEY_SPDM_REQUESTER_H
#define BAILEY_SPDM_REQUESTER_H

#include "spdm/sign.h"
#include "spdm/spdm.h"

/* What a step made of its response. */
typedef enum StepResult {
    STEP_NEXT,   /* go on with the next row, or end when this was the operation's last */
    STEP_AGAIN,  /* same row once more (the next portion) */
    STEP_LAST,   /* the operation is done, whatever rows it has left */
    STEP_FAILED, /* the reason is in r->error */
} StepResult;

/* Records why the operation fails. Always false, and so also the result of a build function. */
bool spdm_requester_fail(SpdmRequester *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline StepResult step_fail(SpdmRequester *r, const char *reason)
{
    spdm_requester_fail(r, "%s", reason);
    return STEP_FAILED;
}

static inline SpdmSuite suite_of(const SpdmRequester *r)
{
    return (SpdmSuite){ r->version, spdm_hash(r->selected.hash), spdm_aead(r->selected.aead), r->options.transport };
}

static inline SpdmSigner signer_of(const SpdmRequester *r)
{
    return (SpdmSigner){ r->version, spdm_hash(r->selected.hash), spdm_asym(r->selected.asym) };
}

static inline SpdmSpan request_span(const SpdmRequester *r) { return (SpdmSpan){ r->request, r->request_len }; }

/* The reply up to what has been read of it. */
static inline SpdmSpan reply_span(const ByteReader *rsp) { return (SpdmSpan){ rsp->data, spdm_parsed_len(rsp) }; }

static inline void params(ByteWriter *w, uint8_t param1, uint8_t param2)
{
    bw_u8(w, param1);
    bw_u8(w, param2);
}

/* The requester's own signatures. */
static inline SpdmSigner own_signer(const SpdmRequester *r)
{
    return (SpdmSigner){ r->version, spdm_hash(r->selected.hash), spdm_asym(r->selected.req_asym) };
}

/* Hash(TH so far). */
bool spdm_requester_hash_th(SpdmRequester *r, uint8_t *out);

/* VerifyData = HMAC(finished key, Hash(TH so far)). */
bool spdm_requester_verify_data(SpdmRequester *r, const uint8_t *finished, uint8_t *out);

/* The handshake is over: data keys out of TH, and the session is established. */
StepResult spdm_requester_establish(SpdmRequester *r);

/* ---- req_encap.c ---- */

/* Whether the device has something to ask in this operation, and whether it has still to say what. */
bool spdm_encapsulates(const SpdmRequester *r);
bool spdm_asks_for_request(const SpdmRequester *r);

/* Whether an ERROR says that there is nothing that the device would ask. */
bool spdm_nothing_is_asked(const SpdmRequester *r, uint8_t error);

bool       spdm_build_get_encapsulated(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_encapsulated(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);
bool       spdm_build_deliver(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_ack(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

/* A request of the device's; its answer is a whole message, or an ERROR of that code. */
typedef struct SpdmAsked {
    ByteReader *req;
    uint8_t     param1, param2;
} SpdmAsked;

/* ---- req_mutual.c ---- */

/* MutAuthRequested and the slot of KEY_EXCHANGE_RSP; NULL, or why that cannot be. */
const char *spdm_mutual_accept(SpdmRequester *r, uint8_t mut_auth, uint8_t slot);

/* Appends to FINISH's header the signature over TH and the header, which all go into TH. */
bool spdm_mutual_sign(SpdmRequester *r, ByteWriter *w);

SpdmError spdm_answer_digests(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w);
SpdmError spdm_answer_certificate(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w);
SpdmError spdm_answer_challenge(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w);

/* ---- req_challenge.c ---- */

bool       spdm_build_challenge(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_challenge(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

/* The exchange that just ended counts for the next CHALLENGE, as part B. */
void spdm_keep_b(SpdmRequester *r, const ByteReader *rsp);

/* ---- req_keys.c ---- */

bool       spdm_build_get_key_pair_info(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_key_pair_info(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

/* HeartbeatPeriod of a session that is opened; false: it was not agreed that there is one. */
bool spdm_heartbeat_accept(SpdmRequester *r, uint8_t period_s);

/* ---- req_endpoint.c ---- */

bool       spdm_build_get_endpoint_info(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_endpoint_info(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

/* ---- req_slots.c ---- */

bool       spdm_build_slots(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_slots(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

/* Certificates that are to go into a slot, r->message, as a chain with its header; how long it is. */
bool     spdm_requester_write_chain(SpdmRequester *r, ByteWriter *w);
uint32_t spdm_requester_chain_len(const SpdmRequester *r);

/* ---- req_update.c ---- */

bool       spdm_build_key_update(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_key_update(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);
bool       spdm_build_verify_key(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_verify_key(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

SpdmError spdm_answer_key_update(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w);

/* The device has not updated its key after all: it goes on with the one before. False: there is none. */
bool spdm_take_key_back(SpdmRequester *r);

/* ---- req_event.c ---- */

bool       spdm_build_get_event_types(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_event_types(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);
bool       spdm_build_subscribe(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_subscribe(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

SpdmError spdm_answer_events(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w);

/* ---- req_psk.c ---- */

bool       spdm_build_psk_exchange(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_psk_exchange(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);
bool       spdm_build_psk_finish(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_psk_finish(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

#endif
