/*
 * Who the requester is: the device asks for its certificates between KEY_EXCHANGE and FINISH, or after a CHALLENGE and
 * then challenges it back. DMTF DSP0274, "Mutual authentication in KEY_EXCHANGE", "Optimized encapsulated request
 * flow", "Basic mutual authentication" (deprecated since 1.2). Slot 0 of the requester's is asked for. Left out:
 * requesters known by their public key alone (slot FF).
 */
#include "spdm/responder.h"

#define PORTION_MAX 1024
#define OVERHEAD    24 /* of DELIVER_ENCAPSULATED_RESPONSE and CERTIFICATE */

bool spdm_mutual_agreed(const SpdmResponder *s)
{
    const uint32_t both = SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;

    return (spdm_capabilities(s) & s->peer_capabilities & both) == both && (s->peer_capabilities & SPDM_CAP_CERT);
}

uint8_t spdm_mutual_begin(SpdmResponder *s, SpdmSession *session)
{
    if (!spdm_mutual_agreed(s) || s->selected.req_asym == 0) {
        return 0; /* IMPLEMENTATION DEFINED: who cannot is not refused */
    }
    session->mut_auth = s->config.mutual_digests ? SPDM_MUT_AUTH_DIGESTS : SPDM_MUT_AUTH_ENCAPSULATED;
    s->mutual = (SpdmMutual){ .session_id = session->id };
    spdm_flow_begin(s, session->id, s->config.mutual_digests ? SPDM_GET_DIGESTS : 0);
    return session->mut_auth;
}

bool spdm_challenges_back(const SpdmResponder *s)
{
    return s->config.mutual_basic && spdm_mutual_agreed(s) && s->selected.req_asym != 0 &&
           (s->peer_capabilities & SPDM_CAP_CHAL);
}

void spdm_challenge_back(SpdmResponder *s)
{
    spdm_mutual_end(s, 0);
    spdm_flow_begin(s, 0, 0);
}

void spdm_mutual_end(SpdmResponder *s, uint32_t session_id)
{
    if (s->mutual.session_id == session_id) {
        spdm_wipe(&s->mutual, sizeof(s->mutual));
    }
}

/* Part B of what the requester signs, after a CHALLENGE alone. */
static void keep(SpdmResponder *s, SpdmSpan message)
{
    if (s->flow.session_id == 0) {
        spdm_transcript_add(&s->mutual.b, message.data, message.len);
    }
}

void spdm_ask_digests(SpdmResponder *s, ByteWriter *rsp)
{
    size_t at = rsp->pos;

    spdm_begin(rsp, s->version, SPDM_GET_DIGESTS, 0, 0);
    keep(s, (SpdmSpan){ rsp->data + at, rsp->pos - at });
}

/* DIGESTS: that of slot 0 comes first. Where slots have keys of their own, what is told of these follows (nothing of it
 * matters here), and the message is a part of TH. */
bool spdm_take_digests(SpdmResponder *s, ByteReader *r, uint8_t param1, uint8_t slots)
{
    size_t       h = spdm_hash(s->selected.hash)->len;
    SpdmSession *session = spdm_session_find(s, s->flow.session_id);
    SpdmSpan     message;

    br_bytes(r, s->mutual.chain_hash, h);
    for (unsigned slot = 1; slot < SPDM_SLOTS; slot++) {
        br_skip(r, slots >> slot & 1 ? h : 0);
    }
    for (unsigned slot = 0; spdm_requester_has_keys(s) && slot < SPDM_SLOTS; slot++) {
        br_skip(r, slots >> slot & 1 ? SPDM_DIGEST_EXTRA : 0);
    }
    message = spdm_encapsulated_span(r);
    keep(s, message);
    if (spdm_requester_has_keys(s) && session != NULL && br_ok(r)) {
        spdm_transcript_add(&session->th, message.data, message.len);
    }
    s->flow.wanted = SPDM_GET_CERTIFICATE;
    return (slots & 1) && spdm_message_ends(r);
}

/* What the requester can do is asked for: its certificates may be longer than ours. */
static bool asks_large(const SpdmResponder *s)
{
    return s->version >= SPDM_VERSION_14 && (s->peer_capabilities & SPDM_CAP_LARGE_RESP);
}

void spdm_ask_certificate(SpdmResponder *s, ByteWriter *rsp)
{
    bool   large = asks_large(s);
    size_t at = rsp->pos, room = s->config.transfer_size - OVERHEAD, len = room < PORTION_MAX ? room : PORTION_MAX;

    spdm_begin(rsp, s->version, SPDM_GET_CERTIFICATE, large ? SPDM_LARGE : 0, 0);
    bw_u16(rsp, large ? 0 : (uint16_t)s->mutual.chain_len);
    bw_u16(rsp, large ? 0 : (uint16_t)len);
    if (large) {
        bw_u32(rsp, s->mutual.chain_len);
        bw_u32(rsp, (uint32_t)len);
    }
    keep(s, (SpdmSpan){ rsp->data + at, rsp->pos - at });
}

/* The chain is whole: it says so, is the one of the digest, and leads to a key that we trust and can use. */
static bool chain_is_good(SpdmResponder *s)
{
    SpdmMutual     *m = &s->mutual;
    const SpdmHash *hash = spdm_hash(s->selected.hash);
    size_t          header = 4 + hash->len;
    uint8_t         digest[SPDM_HASH_MAX];

    return m->chain_len > header && le32_get(m->chain) == m->chain_len &&
           spdm_hash_spans(hash, &(SpdmSpan){ m->chain, m->chain_len }, 1, digest) &&
           spdm_equal(digest, m->chain_hash, hash->len) && spdm_chain_names_root(hash, m->chain, m->chain_len) &&
           s->config.requester_key != NULL &&
           s->config.requester_key(s->config.opaque, m->chain + header, m->chain_len - header, &m->key) &&
           m->key.kind == spdm_asym(s->selected.req_asym)->kind;
}

bool spdm_take_certificate(SpdmResponder *s, ByteReader *r, uint8_t slot, uint8_t param2)
{
    SpdmMutual    *m = &s->mutual;
    size_t         len = br_u16(r), left = br_u16(r);
    const uint8_t *data;

    if (asks_large(s)) {
        len = br_u32(r);
        left = br_u32(r);
    }
    data = br_take(r, len);
    if (!spdm_message_ends(r) || (slot & 0xf) != 0 || spdm_is_large(s->version, slot) != asks_large(s) || len == 0 ||
        len > PORTION_MAX || m->chain_len + len + left > sizeof(m->chain)) {
        return false;
    }
    keep(s, spdm_encapsulated_span(r));
    memcpy(m->chain + m->chain_len, data, len);
    m->chain_len += (uint32_t)len;
    if (left == 0) {
        m->trusted = chain_is_good(s);
        s->flow.wanted = s->flow.session_id == 0 ? SPDM_CHALLENGE : 0;
    }
    return left != 0 || m->trusted;
}

/* The requester's key that its certificates name. */
static SpdmSigner peer_signer(const SpdmResponder *s)
{
    return (SpdmSigner){ s->version, spdm_hash(s->selected.hash), spdm_asym(s->selected.req_asym) };
}

void spdm_ask_challenge(SpdmResponder *s, ByteWriter *rsp)
{
    size_t  at = rsp->pos;
    uint8_t nonce[SPDM_NONCE_LEN];

    entropy_bytes(s->config.entropy, nonce, sizeof(nonce));
    entropy_bytes(s->config.entropy, s->mutual.context, sizeof(s->mutual.context));
    spdm_begin(rsp, s->version, SPDM_CHALLENGE, 0, SPDM_SUMMARY_NONE);
    bw_bytes(rsp, nonce, sizeof(nonce));
    spdm_append_context(s, s->mutual.context, rsp);
    keep(s, (SpdmSpan){ rsp->data + at, rsp->pos - at });
}

/* DSP0274 "M1 and M2 message transcript": as for a responder's, but VCA counts since 1.2 alone. */
bool spdm_take_challenge(SpdmResponder *s, ByteReader *r, uint8_t param1, uint8_t slots)
{
    SpdmMutual    *m = &s->mutual;
    SpdmSigner     signer = peer_signer(s);
    bool           has_vca = s->version >= SPDM_VERSION_12;
    uint8_t        context[SPDM_CONTEXT_LEN] = { 0 };
    const uint8_t *hash = br_take(r, signer.hash->len), *sig;
    size_t         opaque_len;
    SpdmSpan       m1m2[2];

    br_skip(r, SPDM_NONCE_LEN);
    opaque_len = br_u16(r);
    br_skip(r, opaque_len);
    spdm_read_context(s, r, context);
    keep(s, spdm_encapsulated_span(r));
    sig = br_take(r, signer.asym->sig_len);
    if (!spdm_message_ends(r) || param1 != 0 || !(slots & 1) || opaque_len > SPDM_OPAQUE_MAX ||
        !spdm_equal(hash, m->chain_hash, signer.hash->len) ||
        (s->version >= SPDM_VERSION_13 && !spdm_equal(context, m->context, sizeof(context)))) {
        return false;
    }
    m1m2[0] = spdm_transcript_span(&s->a);
    m1m2[1] = spdm_transcript_span(&m->b);
    if (s->a.overflowed || m->b.overflowed ||
        !spdm_verify(&signer, &m->key, SPDM_SIGN_CHALLENGE_BACK, m1m2 + !has_vca, ARRAY_LEN(m1m2) - !has_vca, sig)) {
        return false;
    }
    s->flow.wanted = 0;
    if (s->config.requester_authenticated != NULL) {
        s->config.requester_authenticated(s->config.opaque);
    }
    return true;
}

SpdmError spdm_mutual_verify(SpdmResponder *s, SpdmSession *session, SpdmSpan header, const uint8_t *sig)
{
    const SpdmMutual *m = &s->mutual;
    SpdmSigner        signer = peer_signer(s);
    SpdmSpan          th;

    if (m->session_id != session->id || !m->trusted) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    spdm_transcript_add(&session->th, m->chain_hash, signer.hash->len);
    spdm_transcript_add(&session->th, header.data, header.len);
    th = spdm_transcript_span(&session->th);
    if (session->th.overflowed || !spdm_verify(&signer, &m->key, SPDM_SIGN_FINISH, &th, 1, sig)) {
        return SPDM_DECRYPT_ERROR;
    }
    spdm_transcript_add(&session->th, sig, signer.asym->sig_len);
    return SPDM_OK;
}
