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

/* Hash(TH so far). */
bool spdm_requester_hash_th(SpdmRequester *r, uint8_t *out);

/* VerifyData = HMAC(finished key, Hash(TH so far)). */
bool spdm_requester_verify_data(SpdmRequester *r, const uint8_t *finished, uint8_t *out);

/* The handshake is over: data keys out of TH, and the session is established. */
StepResult spdm_requester_establish(SpdmRequester *r);

/* ---- req_mutual.c ---- */

/* Whether the device asks for the requester's certificates, and whether it has still to say so. */
bool spdm_encapsulates(const SpdmRequester *r);
bool spdm_asks_for_request(const SpdmRequester *r);

/* MutAuthRequested and the slot of KEY_EXCHANGE_RSP; NULL, or why that cannot be. */
const char *spdm_mutual_accept(SpdmRequester *r, uint8_t mut_auth, uint8_t slot);

/* Appends to FINISH's header the signature over TH and the header, which all go into TH. */
bool spdm_mutual_sign(SpdmRequester *r, ByteWriter *w);

bool       spdm_build_get_encapsulated(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_encapsulated(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);
bool       spdm_build_deliver(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_ack(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

/* ---- req_psk.c ---- */

bool       spdm_build_psk_exchange(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_psk_exchange(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);
bool       spdm_build_psk_finish(SpdmRequester *r, ByteWriter *w);
StepResult spdm_read_psk_finish(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);

#endif
