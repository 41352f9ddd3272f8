/*
 * Key updates of the requester's session: KEY_UPDATE, and the same from the device, for its own keys. DMTF DSP0274 1.2,
 * "KEY_UPDATE request message", "Session key update synchronization".
 */
#include "spdm/requester.h"

#include <string.h>

/* The device's next record has a new key, unless it refuses. */
static bool expect_new_key(SpdmRequester *r)
{
    SpdmSession *session = &r->session;
    SpdmSuite    suite = suite_of(r);

    session->old_channel = session->keys.response_data;
    memcpy(session->old_secret, session->keys.response_secret, sizeof(session->old_secret));
    session->update_pending = true;
    return spdm_update_channel(&suite, session->keys.response_secret, &session->keys.response_data);
}

static void forget_old_key(SpdmSession *session)
{
    session->update_pending = false;
    spdm_wipe(&session->old_channel, sizeof(session->old_channel));
    spdm_wipe(session->old_secret, sizeof(session->old_secret));
}

bool spdm_take_key_back(SpdmRequester *r)
{
    SpdmSession *session = &r->session;

    if (!session->update_pending) {
        return false;
    }
    session->keys.response_data = session->old_channel;
    memcpy(session->keys.response_secret, session->old_secret, sizeof(session->keys.response_secret));
    forget_old_key(session);
    return true;
}

/* The tag tells requests apart. */
static void ask(SpdmRequester *r, uint8_t operation, ByteWriter *w)
{
    entropy_bytes(r->entropy, r->nonce, 1);
    params(w, operation, r->nonce[0]);
}

bool spdm_build_key_update(SpdmRequester *r, ByteWriter *w)
{
    ask(r, SPDM_UPDATE_ALL_KEYS, w);
    return expect_new_key(r) || spdm_requester_fail(r, "the session's new keys could not be derived");
}

StepResult spdm_read_key_update(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    SpdmSuite suite = suite_of(r);
    bool      is_new = r->session.update_pending; /* otherwise the answer came with the old key: spdm_take_key_back() */

    forget_old_key(&r->session);
    if (!is_new) {
        spdm_wipe(&r->session, sizeof(r->session));
        return step_fail(r, "the device acknowledged a key update with the key that it had");
    }
    if (!spdm_message_ends(rsp) || param1 != SPDM_UPDATE_ALL_KEYS || param2 != r->nonce[0] ||
        !spdm_update_channel(&suite, r->session.keys.request_secret, &r->session.keys.request_data)) {
        return step_fail(r, "KEY_UPDATE_ACK is not that of the request");
    }
    return STEP_NEXT;
}

bool spdm_build_verify_key(SpdmRequester *r, ByteWriter *w)
{
    ask(r, SPDM_VERIFY_NEW_KEY, w);
    return true;
}

StepResult spdm_read_verify_key(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    return spdm_message_ends(rsp) && param1 == SPDM_VERIFY_NEW_KEY && param2 == r->nonce[0]
               ? STEP_NEXT
               : step_fail(r, "KEY_UPDATE_ACK is not that of the request");
}

/* The device may update its own keys alone. */
SpdmError spdm_answer_key_update(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w)
{
    SpdmSession *session = &r->session;
    bool         is_turn = q->param1 == (session->update_pending ? SPDM_VERIFY_NEW_KEY : SPDM_UPDATE_KEY);

    if (session->state != SPDM_SESSION_ESTABLISHED || !r->options.encapsulated ||
        !(r->peer_capabilities & SPDM_CAP_KEY_UPD)) {
        return SPDM_UNSUPPORTED_REQUEST;
    }
    if (!spdm_message_ends(q->req) || !is_turn) {
        return SPDM_INVALID_REQUEST;
    }
    if (q->param1 == SPDM_VERIFY_NEW_KEY) {
        forget_old_key(session);
    } else if (!expect_new_key(r)) {
        return SPDM_UNSPECIFIED;
    }
    spdm_begin(w, r->version, SPDM_RESPONSE_OF(SPDM_KEY_UPDATE), q->param1, q->param2);
    return SPDM_OK;
}
