/*
 * Sessions: KEY_EXCHANGE, FINISH, HEARTBEAT, END_SESSION, and the PCI-SIG messages inside them. DMTF
 * DSP0274 1.2, message sections of those names and "Transcript and transcript hash calculation rules"; DSP0277 for
 * the opaque data.
 */
#include "spdm/responder.h"

#include <string.h>

#define FINISH_HAS_SIGNATURE BIT(0)
#define SLOT_PUBLIC_KEY      0xff

static SpdmSession *free_session(SpdmResponder *s, bool in_the_clear)
{
    /* A clear handshake is finished by a plain FINISH, which names no session: only the newest can be
     * meant, so an older unfinished one can go. */
    for (unsigned i = 0; in_the_clear && i < SPDM_SESSIONS; i++) {
        if (s->sessions[i].state == SPDM_SESSION_HANDSHAKE && s->sessions[i].in_the_clear) {
            spdm_session_end(s, &s->sessions[i]);
        }
    }
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        if (s->sessions[i].state == SPDM_SESSION_FREE) {
            return &s->sessions[i];
        }
    }
    return NULL;
}

bool spdm_session_hash_th(const SpdmSuite *suite, const SpdmSession *session, uint8_t *out)
{
    SpdmSpan th = spdm_transcript_span(&session->th);

    return !session->th.overflowed && spdm_hash_spans(suite->hash, &th, 1, out);
}

bool spdm_session_verify_data(const SpdmSuite *suite, const SpdmSession *session, const uint8_t *finished,
                              uint8_t *out)
{
    uint8_t th[SPDM_HASH_MAX];

    return spdm_session_hash_th(suite, session, th) &&
           spdm_hmac(suite->hash, finished, suite->hash->len, th, suite->hash->len, out);
}

bool spdm_session_proven(const SpdmSuite *suite, SpdmSession *session, const uint8_t *mac)
{
    uint8_t want[SPDM_HASH_MAX];
    bool    proven = spdm_session_verify_data(suite, session, session->keys.request_finished, want) &&
                  spdm_equal(want, mac, suite->hash->len);

    if (proven) {
        spdm_transcript_add(&session->th, mac, suite->hash->len);
    }
    return proven;
}

SpdmError spdm_session_establish(const SpdmSuite *suite, SpdmSession *session, SpdmExchange *x)
{
    uint8_t th2[SPDM_HASH_MAX];

    if (!spdm_session_hash_th(suite, session, th2) || !spdm_derive_data(suite, th2, &session->keys)) {
        return SPDM_UNSPECIFIED;
    }
    x->session = session;
    x->after = SPDM_AFTER_ESTABLISH;
    return SPDM_OK;
}

/* TH up to the request: VCA, DIGESTS of a multi-key connection, hash of the chain, KEY_EXCHANGE. */
static void start_th(SpdmResponder *s, SpdmSession *session, uint8_t slot, const ByteReader *req)
{
    const SpdmHash *hash = spdm_hash(s->selected.hash);
    uint8_t         ct[SPDM_HASH_MAX];
    ByteWriter      w = bw_init(ct, sizeof(ct));
    SpdmSpan        whole = spdm_whole_request(req);

    spdm_append_chain_hash(s, slot, &w);
    session->th.overflowed = s->a.overflowed || !bw_ok(&w);
    spdm_transcript_add(&session->th, s->a.data, s->a.len);
    spdm_transcript_add(&session->th, s->digests, s->digests_len);
    spdm_transcript_add(&session->th, ct, hash->len);
    spdm_transcript_add(&session->th, whole.data, whole.len);
}

/* Signature, handshake keys and, unless the handshake is in the clear, ResponderVerifyData. */
static SpdmError conclude_key_exchange(SpdmResponder *s, SpdmSession *session, uint8_t slot, const uint8_t *secret,
                                       ByteWriter *rsp)
{
    SpdmSuite suite = spdm_responder_suite(s);
    SpdmSpan  th;
    size_t    sig_at = rsp->pos;
    uint8_t   th1[SPDM_HASH_MAX], mac[SPDM_HASH_MAX];
    SpdmError e;

    spdm_transcript_add(&session->th, rsp->data, rsp->pos);
    if (!bw_ok(rsp) || session->th.overflowed) {
        return SPDM_UNSPECIFIED;
    }
    th = spdm_transcript_span(&session->th);
    e = spdm_append_signature(s, slot, SPDM_SIGN_KEY_EXCHANGE, &th, 1, rsp);
    if (e != SPDM_OK) {
        return e;
    }
    spdm_transcript_add(&session->th, rsp->data + sig_at, rsp->pos - sig_at);
    if (!spdm_session_hash_th(&suite, session, th1) ||
        !spdm_derive_handshake(&suite, false, secret, spdm_dhe(s->selected.dhe)->secret_len, th1, &session->keys)) {
        return SPDM_UNSPECIFIED;
    }
    if (!session->in_the_clear) {
        if (!spdm_session_verify_data(&suite, session, session->keys.response_finished, mac)) {
            return SPDM_UNSPECIFIED;
        }
        bw_bytes(rsp, mac, suite.hash->len);
        spdm_transcript_add(&session->th, mac, suite.hash->len);
    }
    return SPDM_OK;
}

/* Of the policies, no update at run time is done here. */
bool spdm_policy_is_possible(const SpdmResponder *s, uint8_t policy)
{
    return s->version < SPDM_VERSION_13 || !(policy & SPDM_POLICY_ALL_EVENTS) ||
           (spdm_capabilities(s) & SPDM_CAP_EVENT) != 0;
}

SpdmSession *spdm_session_open(SpdmResponder *s, uint16_t req_id, uint16_t secured_version, uint8_t policy, bool psk)
{
    bool         clear = !psk && (s->config.capabilities & s->peer_capabilities & SPDM_CAP_HANDSHAKE_IN_THE_CLEAR) != 0;
    SpdmSession *session = free_session(s, clear);

    if (session != NULL) {
        uint16_t rsp_id = (uint16_t)(0xffff - (session - s->sessions));

        memset(session, 0, sizeof(*session));
        session->state = SPDM_SESSION_HANDSHAKE;
        session->id = (uint32_t)rsp_id << 16 | req_id;
        session->secured_version = secured_version;
        session->psk = psk;
        session->in_the_clear = clear;
        session->events.subscribed =
            s->version >= SPDM_VERSION_13 && (policy & SPDM_POLICY_ALL_EVENTS) ? SPDM_EVENTS_KNOWN : 0;
    }
    return session;
}

SPDM_REQUEST(KEY_EXCHANGE, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_KEY_EX, .peer_needs = SPDM_CAP_KEY_EX,
             .where = SPDM_OUTSIDE,
             .is_signed = true, .drops_b = true)
{
    const SpdmDhe *dhe = spdm_dhe(s->selected.dhe);
    uint16_t       req_id, version, opaque_len;
    uint8_t        policy;
    const uint8_t *peer_share;
    uint8_t        random[32], share[SPDM_DHE_MAX], secret[SPDM_DHE_MAX];
    SpdmChain      chain;
    SpdmError      e;

    if (!(s->peer_capabilities & SPDM_CAP_MAC)) {
        return SPDM_INVALID_REQUEST; /* the requester announced sessions without integrity */
    }
    req_id = br_u16(req);
    policy = br_u8(req);
    br_skip(req, 1 + 32); /* random counts through the transcript */
    peer_share = br_take(req, dhe->len);
    opaque_len = br_u16(req);
    version = spdm_opaque_read_supported(req, opaque_len, s->version, spdm_secured_versions, SPDM_N_SECURED_VERSIONS);
    if (!spdm_message_ends(req) || version == 0 || !spdm_policy_is_possible(s, policy) ||
        !spdm_summary_is_possible(s, x->param1) ||
        !spdm_slot_chain(s, x->param2, &chain) || !spdm_slot_is_for(s, x->param2, SPDM_USE_KEY_EX)) {
        return SPDM_INVALID_REQUEST;
    }
    if (!spdm_dhe_respond(dhe, s->config.entropy, peer_share, share, secret)) {
        return SPDM_UNSPECIFIED; /* no member of the group */
    }
    x->opened = spdm_session_open(s, req_id, version, policy, false);
    if (x->opened == NULL) {
        spdm_wipe(secret, sizeof(secret));
        return SPDM_SESSION_LIMIT_EXCEEDED;
    }
    entropy_bytes(s->config.entropy, random, sizeof(random));
    spdm_reply(s, x, rsp, spdm_heartbeat_s(s), 0);
    bw_u16(rsp, (uint16_t)(x->opened->id >> 16));
    bw_u8(rsp, spdm_mutual_begin(s, x->opened)); /* MutAuthRequested */
    bw_u8(rsp, 0);                               /* slot of the requester's: it is read first */
    bw_bytes(rsp, random, sizeof(random));
    bw_bytes(rsp, share, dhe->rsp_len);
    e = spdm_append_summary(s, x->param1, rsp);
    bw_u16(rsp, spdm_opaque_selected_len(s->version));
    spdm_opaque_write_selected(rsp, s->version, version);
    if (e == SPDM_OK) {
        start_th(s, x->opened, x->param2, req);
        e = conclude_key_exchange(s, x->opened, x->param2, secret, rsp);
    }
    if (e == SPDM_OK && s->config.session_secret != NULL) {
        s->config.session_secret(s->config.opaque, x->opened->id, false, secret, dhe->secret_len);
    }
    spdm_wipe(secret, sizeof(secret));
    return e;
}

/* With mutual authentication, the requester's signature comes before RequesterVerifyData. */
SPDM_REQUEST(FINISH, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_KEY_EX, .peer_needs = SPDM_CAP_KEY_EX,
             .where = SPDM_IN_HANDSHAKE,
             .drops_b = true)
{
    SpdmSession   *session = x->session;
    SpdmSuite      suite = spdm_responder_suite(s);
    bool           opaque_fits = spdm_opaque_skip(req, s->version); /* of vendors' elements, none is known here */
    SpdmSpan       header = spdm_whole_request(req);
    bool           mutual = session->mut_auth != 0;
    const uint8_t *sig = mutual ? br_take(req, spdm_asym(s->selected.req_asym)->sig_len) : NULL;
    const uint8_t *mac = br_take(req, suite.hash->len);
    uint8_t        want[SPDM_HASH_MAX];

    if (!spdm_message_ends(req) || !opaque_fits || ((x->param1 & FINISH_HAS_SIGNATURE) != 0) != mutual ||
        (mutual && x->param2 != 0) || (x->param2 >= SPDM_SLOTS && x->param2 != SLOT_PUBLIC_KEY)) {
        return SPDM_INVALID_REQUEST;
    }
    if (mutual) {
        SpdmError e = spdm_mutual_verify(s, session, header, sig);

        if (e != SPDM_OK) {
            x->after = SPDM_AFTER_END;
            return e;
        }
    } else {
        spdm_transcript_add(&session->th, header.data, header.len);
    }
    if (!spdm_session_proven(&suite, session, mac)) {
        x->after = SPDM_AFTER_END; /* the transcript is spoilt, so that no second attempt could succeed */
        return SPDM_DECRYPT_ERROR;
    }
    spdm_reply(s, x, rsp, 0, 0);
    spdm_opaque_write_none(rsp, s->version);
    spdm_transcript_add(&session->th, rsp->data, rsp->pos);
    if (session->in_the_clear) {
        if (!spdm_session_verify_data(&suite, session, session->keys.response_finished, want)) {
            return SPDM_UNSPECIFIED;
        }
        bw_bytes(rsp, want, suite.hash->len);
        spdm_transcript_add(&session->th, want, suite.hash->len);
    }
    return spdm_session_establish(&suite, session, x);
}

SPDM_REQUEST(END_SESSION, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_SESSION, .where = SPDM_IN_SESSION,
             .drops_b = true)
{
    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    spdm_reply(s, x, rsp, 0, 0); /* Param1 of the request, "negotiated state clearing", needs CACHE_CAP */
    x->after = SPDM_AFTER_END;
    return SPDM_OK;
}

/* Any message keeps a session alive: the dispatcher has noted this one's time. */
SPDM_REQUEST(HEARTBEAT, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_HBEAT, .peer_needs = SPDM_CAP_HBEAT,
             .where = SPDM_IN_SESSION, .drops_b = true)
{
    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (spdm_heartbeat_s(s) == 0) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    spdm_reply(s, x, rsp, 0, 0);
    return SPDM_OK;
}

/* PCI-SIG messages. IDE_KM and TDISP exist only inside sessions; a plain one gets no answer at all, as
 * TDISP demands for its own ("TDISP message transport"), and as a stranger should not learn more. */
SPDM_REQUEST(VENDOR_DEFINED, .from = SPDM_NEGOTIATED, .where = SPDM_ANYWHERE)
{
    bool       large = spdm_is_large(s->version, x->param1);
    bool       both = spdm_capabilities(s) & s->peer_capabilities & SPDM_CAP_LARGE_RESP;
    uint8_t    payload[SPDM_MSG_MAX - SPDM_PCI_WRAPPER_LEN];
    ByteWriter w = bw_init(payload, sizeof(payload) - (large ? SPDM_PCI_LARGE_LEN : 0));
    SpdmPciVdm vdm;
    SpdmError  e = large && !both ? SPDM_INVALID_REQUEST : spdm_pci_vdm_read(req, large, &vdm);

    x->error_data = e == SPDM_UNSUPPORTED_REQUEST ? x->code : 0;
    if (e != SPDM_OK) {
        return e;
    }
    if (x->session == NULL) {
        return SPDM_SILENT;
    }
    switch (s->config.vendor == NULL
                ? SPDM_VENDOR_UNSUPPORTED
                : s->config.vendor(s->config.opaque, x->session->id, vdm.protocol, vdm.data, vdm.len, &w)) {
    case SPDM_VENDOR_REPLY:
        spdm_pci_vdm_begin(rsp, s->version, SPDM_RESPONSE_OF(x->code), large ? SPDM_LARGE : 0, vdm.protocol, w.pos);
        bw_bytes(rsp, payload, w.pos);
        return bw_ok(&w) ? SPDM_OK : SPDM_UNSPECIFIED;
    case SPDM_VENDOR_SILENT:
        return SPDM_SILENT;
    case SPDM_VENDOR_INVALID:
        return SPDM_INVALID_REQUEST;
    case SPDM_VENDOR_UNSUPPORTED:
    default:
        x->error_data = x->code;
        return SPDM_UNSUPPORTED_REQUEST;
    }
}
