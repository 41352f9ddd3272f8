/*
 * Requests of the device's own, that its answers carry: GET_ENCAPSULATED_REQUEST and DELIVER_ENCAPSULATED_RESPONSE.
 * DMTF DSP0274, "Encapsulated request flow". There are flows that another answer has demanded (who is the requester?),
 * which bar other requests until they are done, and what the device would ask in a session when it is asked.
 */
#include "spdm/responder.h"

#define MORE_FOLLOWS 1 /* ENCAPSULATED_RESPONSE_ACK, Param2 */
#define DELIVER_LEN  4 /* of DELIVER_ENCAPSULATED_RESPONSE in front of what it delivers */

const SpdmOwnRequest spdm_own_requests[] = {
    { "GET_DIGESTS", SPDM_GET_DIGESTS, spdm_ask_digests, spdm_take_digests },
    { "GET_CERTIFICATE", SPDM_GET_CERTIFICATE, spdm_ask_certificate, spdm_take_certificate },
    { "CHALLENGE", SPDM_CHALLENGE, spdm_ask_challenge, spdm_take_challenge },
    { "KEY_UPDATE", SPDM_KEY_UPDATE, spdm_ask_key_update, spdm_take_key_update },
    { "SEND_EVENT", SPDM_SEND_EVENT, spdm_ask_events, spdm_take_events },
};
const unsigned spdm_n_own_requests = ARRAY_LEN(spdm_own_requests);

static const SpdmOwnRequest *own_request(uint8_t code)
{
    for (unsigned i = 0; i < spdm_n_own_requests; i++) {
        if (spdm_own_requests[i].code == code) {
            return &spdm_own_requests[i];
        }
    }
    return NULL;
}

void spdm_flow_begin(SpdmResponder *s, uint32_t session_id, uint8_t implied)
{
    s->flow = (SpdmFlow){ .active = true, .session_id = session_id, .wanted = implied };
}

void spdm_flow_end(SpdmResponder *s, uint32_t session_id)
{
    if (s->flow.session_id == session_id) {
        s->flow = (SpdmFlow){ 0 };
    }
}

bool spdm_breaks_flow(const SpdmResponder *s, const SpdmRequest *q, const SpdmExchange *x)
{
    return s->flow.active && !q->carries && x->code != SPDM_GET_VERSION && x->code != SPDM_GET_ENCAPSULATED_REQUEST &&
           x->code != SPDM_DELIVER_ENCAPSULATED_RESPONSE &&
           (x->session == NULL || x->session->id == s->flow.session_id);
}

SpdmSpan spdm_encapsulated_span(const ByteReader *r)
{
    return (SpdmSpan){ r->data + DELIVER_LEN, spdm_parsed_len(r) - DELIVER_LEN };
}

/* Whether the message came where the flow is: outside sessions, in the handshake (in a record unless that is in the
 * clear), or in the session. */
static bool in_flow(SpdmResponder *s, const SpdmExchange *x)
{
    const SpdmSession *session = x->session != NULL ? x->session : spdm_clear_handshake(s);

    if (!s->flow.active || s->flow.session_id == 0) {
        return s->flow.active && x->session == NULL;
    }
    return session != NULL && session->id == s->flow.session_id &&
           (session->state == SPDM_SESSION_ESTABLISHED || session->in_the_clear == (x->session == NULL));
}

/* The code of what the device would ask in a session; 0: nothing. */
static uint8_t wish(const SpdmResponder *s, const SpdmSession *session)
{
    if (session == NULL || session->state != SPDM_SESSION_ESTABLISHED) {
        return 0;
    }
    return spdm_wants_key_update(s, session) ? SPDM_KEY_UPDATE : spdm_has_events(session) ? SPDM_SEND_EVENT : 0;
}

SPDM_REQUEST(GET_ENCAPSULATED_REQUEST, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_ENCAP, .peer_needs = SPDM_CAP_ENCAP,
             .where = SPDM_WHEREVER, .drops_b = true)
{
    uint8_t wanted = s->flow.active ? SPDM_GET_DIGESTS : wish(s, x->session);

    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (wanted == 0) {
        return s->version >= SPDM_VERSION_13 ? SPDM_NO_PENDING_REQUESTS : SPDM_UNEXPECTED_REQUEST;
    }
    if (s->flow.active && (!in_flow(s, x) || s->flow.wanted != 0)) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    if (!s->flow.active) {
        spdm_flow_begin(s, x->session->id, 0);
    }
    s->flow.wanted = wanted;
    s->flow.request_id++;
    spdm_reply(s, x, rsp, s->flow.request_id, 0);
    own_request(wanted)->ask(s, rsp);
    return SPDM_OK;
}

/* What came for the device's request; false: it will not do. An ERROR ResponseNotReady ends the flow, but is none. */
static bool take(SpdmResponder *s, ByteReader *req, uint8_t version, uint8_t code, uint8_t param1, uint8_t param2)
{
    if (version == s->version && code == SPDM_ERROR && param1 == SPDM_RESPONSE_NOT_READY) {
        s->flow.wanted = 0;
        return true;
    }
    return version == s->version && code == SPDM_RESPONSE_OF(s->flow.wanted) &&
           own_request(s->flow.wanted)->take(s, req, param1, param2);
}

SPDM_REQUEST(DELIVER_ENCAPSULATED_RESPONSE, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_ENCAP,
             .peer_needs = SPDM_CAP_ENCAP, .where = SPDM_WHEREVER, .drops_b = true)
{
    SpdmFlow *f = &s->flow;
    uint8_t   version = br_u8(req), code = br_u8(req), param1 = br_u8(req), param2 = br_u8(req);
    bool      follows;

    if (!in_flow(s, x) || f->wanted == 0) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    if (!br_ok(req) || x->param1 != f->request_id) {
        return SPDM_INVALID_REQUEST;
    }
    if (!take(s, req, version, code, param1, param2)) {
        f->active = false; /* the flow is over, and FINISH will not do */
        return SPDM_INVALID_RESPONSE_CODE;
    }
    if (f->wanted == 0 && code != SPDM_ERROR) {
        f->param1 = 0;
        f->wanted = wish(s, x->session);
    }
    follows = f->active = f->wanted != 0;
    f->request_id++;
    spdm_reply(s, x, rsp, follows ? f->request_id : 0, follows ? MORE_FOLLOWS : 0);
    if (s->version >= SPDM_VERSION_12) {
        bw_u8(rsp, x->param1); /* AckRequestID */
        bw_u24(rsp, 0);
    }
    if (follows) {
        own_request(f->wanted)->ask(s, rsp);
    }
    return SPDM_OK;
}
