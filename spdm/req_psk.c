/*
 * The requester's steps of a session from a key that both sides were given beforehand. DMTF DSP0274, "PSK_EXCHANGE" to
 * "PSK_FINISH". The device is believed because it has the key: no certificate is looked at.
 */
#include "spdm/requester.h"

#define CONTEXT_LEN 32 /* a nonce, and nothing else */

bool spdm_build_psk_exchange(SpdmRequester *r, ByteWriter *w)
{
    const SpdmPsk *psk = &r->options.psk;
    uint8_t        context[CONTEXT_LEN];

    entropy_bytes(r->entropy, context, sizeof(context));
    r->session = (SpdmSession){ .id = r->next_session_id, .psk = true };
    params(w, SPDM_SUMMARY_NONE, 0); /* SessionPolicy 0: a runtime update ends the session */
    bw_u16(w, r->next_session_id);
    bw_u16(w, psk->hint_len);
    bw_u16(w, sizeof(context));
    bw_u16(w, spdm_opaque_supported_len(r->version, SPDM_N_SECURED_VERSIONS));
    bw_bytes(w, psk->hint, psk->hint_len);
    bw_bytes(w, context, sizeof(context));
    spdm_opaque_write_supported(w, r->version, spdm_secured_versions, SPDM_N_SECURED_VERSIONS);
    return true;
}

/* DSP0274 "Transcript hash for PSK_EXCHANGE", and the proof that the device has the key. */
static bool enter_handshake(SpdmRequester *r, SpdmSpan reply, const uint8_t *peer_mac)
{
    SpdmTranscript *th = &r->session.th;
    SpdmSuite       suite = suite_of(r);
    uint8_t         th1[SPDM_HASH_MAX], want[SPDM_HASH_MAX];
    const SpdmPsk  *psk = &r->options.psk;

    spdm_transcript_reset(th);
    th->overflowed = r->a.overflowed;
    spdm_transcript_add(th, r->a.data, r->a.len);
    spdm_transcript_add(th, r->request, r->request_len);
    spdm_transcript_add(th, reply.data, reply.len);
    if (!spdm_requester_hash_th(r, th1) ||
        !spdm_derive_handshake(&suite, true, psk->key, psk->key_len, th1, &r->session.keys) ||
        !spdm_requester_verify_data(r, r->session.keys.response_finished, want) ||
        !spdm_equal(want, peer_mac, suite.hash->len)) {
        return false;
    }
    spdm_transcript_add(th, peer_mac, suite.hash->len);
    return true;
}

StepResult spdm_read_psk_exchange(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    bool           has_context = (r->peer_capabilities & SPDM_CAP_PSK) == SPDM_CAP_PSK_WITH_CONTEXT;
    uint16_t       rsp_id = br_u16(rsp), context_len, opaque_len;
    const uint8_t *mac;
    SpdmSpan       covered;

    br_skip(rsp, 2);
    context_len = br_u16(rsp);
    opaque_len = br_u16(rsp);
    br_skip(rsp, context_len);
    r->session.secured_version = spdm_opaque_read_selected(rsp, opaque_len, r->version);
    covered = reply_span(rsp);
    mac = br_take(rsp, suite_of(r).hash->len);
    if (!spdm_message_ends(rsp) || (context_len != 0) != has_context) {
        return step_fail(r, "PSK_EXCHANGE_RSP has a wrong length or context");
    }
    if (!spdm_heartbeat_accept(r, param1)) {
        return step_fail(r, "the device wants a heartbeat, which was not agreed");
    }
    if (!spdm_secured_version_is_ours(r->session.secured_version)) {
        return step_fail(r, "the device selected no secured message version that was offered");
    }
    if (!enter_handshake(r, covered, mac)) {
        return step_fail(r, "PSK_EXCHANGE_RSP has a wrong MAC: the device has another key");
    }
    r->session.id = (uint32_t)rsp_id << 16 | r->next_session_id;
    r->session.state = SPDM_SESSION_HANDSHAKE;
    if (has_context) {
        return STEP_NEXT;
    }
    return spdm_requester_establish(r) == STEP_NEXT ? STEP_LAST : STEP_FAILED;
}

bool spdm_build_psk_finish(SpdmRequester *r, ByteWriter *w)
{
    size_t  h = suite_of(r).hash->len;
    uint8_t mac[SPDM_HASH_MAX];

    params(w, 0, 0);
    spdm_opaque_write_none(w, r->version);
    spdm_transcript_add(&r->session.th, w->data, w->pos);
    if (!spdm_requester_verify_data(r, r->session.keys.request_finished, mac)) {
        return spdm_requester_fail(r, "the handshake is too long to finish");
    }
    bw_bytes(w, mac, h);
    spdm_transcript_add(&r->session.th, mac, h);
    return true;
}

StepResult spdm_read_psk_finish(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    bool     opaque_fits = spdm_opaque_skip(rsp, r->version);
    SpdmSpan reply = reply_span(rsp);

    if (!spdm_message_ends(rsp) || !opaque_fits) {
        return step_fail(r, "PSK_FINISH_RSP has a wrong length");
    }
    spdm_transcript_add(&r->session.th, reply.data, reply.len);
    return spdm_requester_establish(r);
}
