/*
 * A device that is not ready with an answer: ERROR ResponseNotReady and RESPOND_IF_READY. DMTF DSP0274 1.2, "Error code
 * and error data", "RESPOND_IF_READY request message". Only requests whose answer is signed are put off, each as often
 * as the owner says; the request is kept whole and answered when its time has come.
 */
#include <string.h>

#include "spdm/responder.h"

enum { EXPONENT = 10, MULTIPLIER = 1 }; /* 2^10 us until it is worth asking again; then it is ready or asks anew */

bool spdm_put_off(SpdmResponder *s, const SpdmRequest *q, const SpdmExchange *x, const uint8_t *msg, size_t len)
{
    SpdmDeferred *d = &s->deferred;

    if (q->carries) {
        return false;
    }
    d->left = 0; /* another request: whoever waited waits no more */
    if (s->config.not_ready == 0 || x->was_put_off || !q->is_signed || len > sizeof(d->message) ||
        (q->signed_bit != 0 && !(x->param1 & q->signed_bit))) {
        return false;
    }
    d->left = s->config.not_ready;
    d->token++;
    d->session_id = x->record_session;
    d->len = (uint32_t)len;
    memcpy(d->message, msg, len);
    return true;
}

void spdm_append_not_ready(const SpdmResponder *s, ByteWriter *rsp)
{
    bw_u8(rsp, EXPONENT);
    bw_u8(rsp, s->deferred.message[1]);
    bw_u8(rsp, s->deferred.token);
    bw_u8(rsp, MULTIPLIER);
}

SPDM_REQUEST(RESPOND_IF_READY, .from = SPDM_NEGOTIATED, .where = SPDM_WHEREVER, .carries = true)
{
    SpdmDeferred *d = &s->deferred;
    SpdmExchange  y = { .session = x->session, .record_session = x->record_session, .room = x->room,
                        .was_put_off = true };
    uint8_t       message[SPDM_MSG_MAX];
    uint32_t      len = d->len;

    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (d->left == 0 || d->session_id != x->record_session) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    if (x->param1 != d->message[1] || x->param2 != d->token) {
        return SPDM_INVALID_REQUEST;
    }
    if (--d->left != 0) {
        return SPDM_RESPONSE_NOT_READY;
    }
    memcpy(message, d->message, len);
    spdm_answer(s, &y, message, len, rsp);
    x->session = y.session;
    x->after = y.after;
    return rsp->pos != 0 ? SPDM_OK : SPDM_SILENT;
}
