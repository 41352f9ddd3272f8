/*
 * What a device asks of the requester, and the answers: GET_ENCAPSULATED_REQUEST and DELIVER_ENCAPSULATED_RESPONSE.
 * DMTF DSP0274, "Encapsulated request flow".
 */
#include "spdm/requester.h"

#include <string.h>

#define MORE_FOLLOWS 1 /* ENCAPSULATED_RESPONSE_ACK, Param2 */
#define SLOT_FOLLOWS 2

enum { REQUESTS_MAX = 4096 }; /* in one flow: more than a chain in the smallest pieces takes */

bool spdm_encapsulates(const SpdmRequester *r)
{
    uint8_t mut_auth = r->session.mut_auth;

    return r->op == SPDM_OP_CHALLENGE ? r->challenged_back
           : r->op == SPDM_OP_SESSION ? mut_auth == SPDM_MUT_AUTH_ENCAPSULATED || mut_auth == SPDM_MUT_AUTH_DIGESTS
                                      : true;
}

bool spdm_asks_for_request(const SpdmRequester *r)
{
    return spdm_encapsulates(r) && (r->op != SPDM_OP_SESSION || r->session.mut_auth == SPDM_MUT_AUTH_ENCAPSULATED);
}

bool spdm_nothing_is_asked(const SpdmRequester *r, uint8_t error)
{
    return r->op == SPDM_OP_ENCAPSULATED && r->request[1] == SPDM_GET_ENCAPSULATED_REQUEST &&
           error == (r->version >= SPDM_VERSION_13 ? SPDM_NO_PENDING_REQUESTS : SPDM_UNEXPECTED_REQUEST);
}

/* What is left of a response is a request of the device's. */
static StepResult take_request(SpdmRequester *r, ByteReader *rsp, uint8_t id)
{
    size_t         len = br_left(rsp);
    const uint8_t *request = br_take(rsp, len);

    if (len < 4 || len > sizeof(r->encapsulated)) {
        return step_fail(r, "the device's own request is longer than any that is answered, or none");
    }
    if (r->encapsulated_count++ == REQUESTS_MAX) {
        return step_fail(r, "the device's own requests have no end");
    }
    memcpy(r->encapsulated, request, len);
    r->encapsulated_len = (uint32_t)len;
    r->encapsulated_id = id;
    return STEP_NEXT;
}

bool spdm_build_get_encapsulated(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    return true;
}

StepResult spdm_read_encapsulated(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    return take_request(r, rsp, param1);
}

static const struct Answer {
    uint8_t code;
    SpdmError (*answer)(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w);
} answers[] = {
    { SPDM_GET_DIGESTS, spdm_answer_digests },     { SPDM_GET_CERTIFICATE, spdm_answer_certificate },
    { SPDM_CHALLENGE, spdm_answer_challenge },     { SPDM_KEY_UPDATE, spdm_answer_key_update },
    { SPDM_SEND_EVENT, spdm_answer_events },
};

/* What the device signs and we do, after a CHALLENGE: the request, then its answer. */
static void keep(SpdmRequester *r, const ByteReader *req, const uint8_t *answer, size_t len)
{
    if (r->op == SPDM_OP_CHALLENGE) {
        spdm_transcript_add(&r->challenge->mutual, req->data, spdm_parsed_len(req));
        spdm_transcript_add(&r->challenge->mutual, answer, len);
    }
}

/* The answer to the device's request, or the ERROR that it gets. */
bool spdm_build_deliver(SpdmRequester *r, ByteWriter *w)
{
    ByteReader req = br_init(r->encapsulated, r->encapsulated_len);
    uint8_t    version = br_u8(&req), code = br_u8(&req), param1 = br_u8(&req), param2 = br_u8(&req);
    SpdmAsked  asked = { &req, param1, param2 };
    SpdmError  e = version != r->version ? SPDM_VERSION_MISMATCH : SPDM_UNSUPPORTED_REQUEST;
    size_t     at;

    params(w, r->encapsulated_id, 0);
    at = w->pos;
    for (unsigned i = 0; version == r->version && i < ARRAY_LEN(answers); i++) {
        if (answers[i].code == code) {
            e = answers[i].answer(r, &asked, w);
        }
    }
    if (e != SPDM_OK) {
        w->pos = at;
        spdm_begin(w, r->version, SPDM_ERROR, (uint8_t)e, e == SPDM_UNSUPPORTED_REQUEST ? code : 0);
        if (e == SPDM_DATA_TOO_LARGE) { /* the chain */
            bw_u32(w, (uint32_t)(4 + spdm_hash(r->selected.hash)->len) + r->identity->certs_len);
        }
    } else {
        keep(r, &req, w->data + at, w->pos - at);
    }
    return true;
}

StepResult spdm_read_ack(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    uint8_t acked = r->version >= SPDM_VERSION_12 ? br_u8(rsp) : r->encapsulated_id;

    br_skip(rsp, r->version >= SPDM_VERSION_12 ? 3 : 0);
    if (!br_ok(rsp) || acked != r->encapsulated_id) {
        return step_fail(r, "ENCAPSULATED_RESPONSE_ACK has a wrong length or request ID");
    }
    if (param2 == MORE_FOLLOWS) {
        return take_request(r, rsp, param1) == STEP_NEXT ? STEP_AGAIN : STEP_FAILED;
    }
    if (param2 == SLOT_FOLLOWS && br_u8(rsp) != 0) {
        return step_fail(r, "the device wants a signature of a slot without certificates");
    }
    return param2 <= SLOT_FOLLOWS && spdm_message_ends(rsp) ? STEP_NEXT
                                                            : step_fail(r, "ENCAPSULATED_RESPONSE_ACK is malformed");
}
