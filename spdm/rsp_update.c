/*
 * Key updates: those a requester asks for, by KEY_UPDATE, and those of the device's own keys, for which it sends
 * KEY_UPDATE itself in an encapsulated request. DMTF DSP0274 1.2, "KEY_UPDATE request message", "Session key update
 * synchronization".
 */
#include "spdm/responder.h"

#include <string.h>

/* DSP0277 "Key update": the answer to UpdateAllKeys already has the new response key. The old request key stays until
 * the requester has shown that it has the new one. */
static SpdmError update_keys(SpdmResponder *s, SpdmSession *session, bool all)
{
    SpdmSuite suite = spdm_responder_suite(s);

    if (session->update_pending) {
        return SPDM_INVALID_REQUEST;
    }
    session->old_channel = session->keys.request_data;
    memcpy(session->old_secret, session->keys.request_secret, sizeof(session->old_secret));
    session->update_pending = true;
    if (!spdm_update_channel(&suite, session->keys.request_secret, &session->keys.request_data) ||
        (all && !spdm_update_channel(&suite, session->keys.response_secret, &session->keys.response_data))) {
        return SPDM_UNSPECIFIED;
    }
    return SPDM_OK;
}

SPDM_REQUEST(KEY_UPDATE, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_KEY_UPD, .peer_needs = SPDM_CAP_KEY_UPD,
             .where = SPDM_IN_SESSION, .drops_b = true)
{
    SpdmError e = SPDM_INVALID_REQUEST;

    if (!spdm_message_ends(req)) {
        return e;
    }
    switch (x->param1) {
    case SPDM_UPDATE_KEY:
    case SPDM_UPDATE_ALL_KEYS:
        e = update_keys(s, x->session, x->param1 == SPDM_UPDATE_ALL_KEYS);
        break;
    case SPDM_VERIFY_NEW_KEY:
        e = x->session->update_pending ? SPDM_OK : SPDM_INVALID_REQUEST;
        spdm_forget_old_key(x->session);
        break;
    default:
        break;
    }
    if (e == SPDM_OK) {
        spdm_reply(s, x, rsp, x->param1, x->param2); /* the tag comes back */
    }
    return e;
}

/* ---- the device's own keys ---- */

static bool can_update(const SpdmResponder *s)
{
    return (spdm_capabilities(s) & s->peer_capabilities & SPDM_CAP_KEY_UPD) != 0;
}

void spdm_responder_want_key_update(SpdmResponder *s, uint32_t session_id)
{
    SpdmSession *session = spdm_session_find(s, session_id);

    if (session != NULL) {
        session->wants_update = true;
    }
}

bool spdm_wants_key_update(const SpdmResponder *s, const SpdmSession *session)
{
    uint64_t records = s->config.key_update_records;

    return can_update(s) &&
           (session->wants_update || (records != 0 && session->keys.response_data.sequence >= records));
}

/* UpdateKey; when that was answered, VerifyNewKey, which goes out with the new key. */
void spdm_ask_key_update(SpdmResponder *s, ByteWriter *rsp)
{
    s->flow.param1 = s->flow.param1 == SPDM_UPDATE_KEY ? SPDM_VERIFY_NEW_KEY : SPDM_UPDATE_KEY;
    entropy_bytes(s->config.entropy, &s->flow.param2, 1);
    spdm_begin(rsp, s->version, SPDM_KEY_UPDATE, s->flow.param1, s->flow.param2);
}

bool spdm_take_key_update(SpdmResponder *s, ByteReader *r, uint8_t param1, uint8_t param2)
{
    SpdmSuite    suite = spdm_responder_suite(s);
    SpdmSession *session = spdm_session_find(s, s->flow.session_id);

    session->wants_update = false; /* who does not answer it rightly is not asked for ever */
    if (!spdm_message_ends(r) || param1 != s->flow.param1 || param2 != s->flow.param2) {
        return false;
    }
    if (param1 == SPDM_VERIFY_NEW_KEY) {
        s->flow.wanted = 0;
        return true;
    }
    return spdm_update_channel(&suite, session->keys.response_secret, &session->keys.response_data);
}
