/*
 * Sessions from a key that both sides were given beforehand: PSK_EXCHANGE and PSK_FINISH. DMTF DSP0274, "Session-based
 * mutual authentication", message sections of those names. A responder without a context of its own proves nothing
 * fresh, and the session is established at once; there is no PSK_FINISH then.
 */
#include "spdm/responder.h"

#define CONTEXT_MIN 32 /* of a context: it holds a nonce of at least that length */

typedef struct PskExchange {
    uint16_t req_id, secured_version;
} PskExchange;

/* Whether a hint names our key; no hint leaves the choice to us. */
static bool hint_is_ours(const SpdmPsk *psk, const uint8_t *hint, size_t len)
{
    return len == 0 || (len == psk->hint_len && memcmp(hint, psk->hint, len) == 0);
}

static bool read_exchange(SpdmResponder *s, ByteReader *req, PskExchange *e)
{
    size_t         hint_len, context_len, opaque_len;
    const uint8_t *hint;

    e->req_id = br_u16(req);
    hint_len = br_u16(req);
    context_len = br_u16(req);
    opaque_len = br_u16(req);
    hint = br_take(req, hint_len);
    br_skip(req, context_len); /* it counts through the transcript */
    e->secured_version = spdm_opaque_read_supported(req, opaque_len, s->version, spdm_secured_versions,
                                                    SPDM_N_SECURED_VERSIONS);
    return spdm_message_ends(req) && e->secured_version != 0 && context_len >= CONTEXT_MIN &&
           hint_is_ours(&s->config.psk, hint, hint_len);
}

/* DSP0274 "Transcript hash for PSK_EXCHANGE": VCA, both messages; TH1 ends before ResponderVerifyData. */
static SpdmError conclude(SpdmResponder *s, SpdmSession *session, SpdmSpan request, ByteWriter *rsp)
{
    SpdmSuite      suite = spdm_responder_suite(s);
    const SpdmPsk *psk = &s->config.psk;
    uint8_t        th1[SPDM_HASH_MAX], mac[SPDM_HASH_MAX];

    session->th.overflowed = s->a.overflowed || !bw_ok(rsp);
    spdm_transcript_add(&session->th, s->a.data, s->a.len);
    spdm_transcript_add(&session->th, request.data, request.len);
    spdm_transcript_add(&session->th, rsp->data, rsp->pos);
    if (!spdm_session_hash_th(&suite, session, th1) ||
        !spdm_derive_handshake(&suite, true, psk->key, psk->key_len, th1, &session->keys) ||
        !spdm_session_verify_data(&suite, session, session->keys.response_finished, mac)) {
        return SPDM_UNSPECIFIED;
    }
    bw_bytes(rsp, mac, suite.hash->len);
    spdm_transcript_add(&session->th, mac, suite.hash->len);
    return SPDM_OK;
}

SPDM_REQUEST(PSK_EXCHANGE, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_PSK, .peer_needs = SPDM_CAP_PSK_PLAIN,
             .where = SPDM_OUTSIDE, .drops_b = true)
{
    SpdmSuite   suite = spdm_responder_suite(s);
    bool        has_context = (s->config.capabilities & SPDM_CAP_PSK) == SPDM_CAP_PSK_WITH_CONTEXT;
    size_t      context_len = has_context ? spdm_hash(s->selected.hash)->len : 0;
    uint8_t     context[SPDM_HASH_MAX];
    PskExchange p;
    SpdmError   e;

    if (!(s->peer_capabilities & SPDM_CAP_MAC) || !spdm_policy_is_possible(s, x->param2) ||
        !spdm_summary_is_possible(s, x->param1) || !read_exchange(s, req, &p)) {
        return SPDM_INVALID_REQUEST;
    }
    x->opened = spdm_session_open(s, p.req_id, p.secured_version, x->param2, true);
    if (x->opened == NULL) {
        return SPDM_SESSION_LIMIT_EXCEEDED;
    }
    spdm_reply(s, x, rsp, spdm_heartbeat_s(s), 0);
    bw_u16(rsp, (uint16_t)(x->opened->id >> 16));
    bw_u16(rsp, 0);
    bw_u16(rsp, (uint16_t)context_len);
    bw_u16(rsp, spdm_opaque_selected_len(s->version));
    e = spdm_append_summary(s, x->param1, rsp);
    entropy_bytes(s->config.entropy, context, context_len);
    bw_bytes(rsp, context, context_len);
    spdm_opaque_write_selected(rsp, s->version, p.secured_version);
    if (e == SPDM_OK) {
        e = conclude(s, x->opened, spdm_whole_request(req), rsp);
    }
    if (e == SPDM_OK && s->config.session_secret != NULL) {
        s->config.session_secret(s->config.opaque, x->opened->id, true, s->config.psk.key, s->config.psk.key_len);
    }
    return e == SPDM_OK && !has_context ? spdm_session_establish(&suite, x->opened, x) : e;
}

SPDM_REQUEST(PSK_FINISH, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_PSK_WITH_CONTEXT, .peer_needs = SPDM_CAP_PSK_PLAIN,
             .where = SPDM_IN_PSK_HANDSHAKE, .drops_b = true)
{
    SpdmSession   *session = x->session;
    SpdmSuite      suite = spdm_responder_suite(s);
    bool           opaque_fits = spdm_opaque_skip(req, s->version);
    SpdmSpan       whole;
    const uint8_t *mac = br_take(req, suite.hash->len);

    if (!spdm_message_ends(req) || !opaque_fits) {
        return SPDM_INVALID_REQUEST;
    }
    whole = spdm_whole_request(req);
    spdm_transcript_add(&session->th, whole.data, whole.len - suite.hash->len);
    if (!spdm_session_proven(&suite, session, mac)) {
        x->after = SPDM_AFTER_END; /* the transcript is spoilt, so that no second attempt could succeed */
        return SPDM_DECRYPT_ERROR;
    }
    spdm_reply(s, x, rsp, 0, 0);
    spdm_opaque_write_none(rsp, s->version);
    spdm_transcript_add(&session->th, rsp->data, rsp->pos);
    return spdm_session_establish(&suite, session, x);
}
