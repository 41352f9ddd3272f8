/*
 * Mutual authentication: the device asks for the requester's certificates between KEY_EXCHANGE and FINISH, in requests
 * that its answers carry. DMTF DSP0274, "Mutual authentication in KEY_EXCHANGE", "Encapsulated request flow",
 * "Optimized encapsulated request flow". One flow at a time; slot 0 of the requester's is asked for. Left out: the
 * basic flow of CHALLENGE (deprecated), requesters known by their public key alone (slot FF).
 */
#include "spdm/responder.h"

#define PORTION_MAX  1024
#define OVERHEAD     16 /* of DELIVER_ENCAPSULATED_RESPONSE and CERTIFICATE */
#define MORE_FOLLOWS 1  /* ENCAPSULATED_RESPONSE_ACK, Param2 */

static bool agreed(const SpdmResponder *s)
{
    const uint32_t both = SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;

    return (spdm_capabilities(s) & s->peer_capabilities & both) == both && (s->peer_capabilities & SPDM_CAP_CERT);
}

bool spdm_mutual_agreed(const SpdmResponder *s) { return agreed(s); }

uint8_t spdm_mutual_begin(SpdmResponder *s, SpdmSession *session)
{
    if (!agreed(s) || s->selected.req_asym == 0) {
        return 0; /* IMPLEMENTATION DEFINED: who cannot is not refused */
    }
    session->mut_auth = s->config.mutual_digests ? SPDM_MUT_AUTH_DIGESTS : SPDM_MUT_AUTH_ENCAPSULATED;
    s->mutual = (SpdmMutual){ .active = true, .session_id = session->id,
                              .wanted = s->config.mutual_digests ? SPDM_GET_DIGESTS : 0 };
    return session->mut_auth;
}

void spdm_mutual_end(SpdmResponder *s, uint32_t session_id)
{
    if (s->mutual.session_id == session_id) {
        spdm_wipe(&s->mutual, sizeof(s->mutual));
    }
}

bool spdm_breaks_flow(const SpdmResponder *s, const SpdmRequest *q, const SpdmExchange *x)
{
    return s->mutual.active && !q->carries && x->code != SPDM_GET_VERSION && x->code != SPDM_GET_ENCAPSULATED_REQUEST &&
           x->code != SPDM_DELIVER_ENCAPSULATED_RESPONSE &&
           (x->session == NULL || x->session->id == s->mutual.session_id);
}

/* Whether the message came where the flow is: in the handshake, in a record unless that is in the clear. */
static bool in_flow(SpdmResponder *s, const SpdmExchange *x)
{
    const SpdmSession *session = x->session != NULL ? x->session : spdm_clear_handshake(s);

    return s->mutual.active && session != NULL && session->id == s->mutual.session_id &&
           session->in_the_clear == (x->session == NULL);
}

/* The next request to the requester. */
static void append_request(const SpdmResponder *s, ByteWriter *rsp)
{
    size_t room = s->config.transfer_size - OVERHEAD;

    spdm_begin(rsp, s->version, s->mutual.wanted, 0, 0);
    if (s->mutual.wanted == SPDM_GET_CERTIFICATE) {
        bw_u16(rsp, (uint16_t)s->mutual.chain_len);
        bw_u16(rsp, (uint16_t)(room < PORTION_MAX ? room : PORTION_MAX));
    }
}

SPDM_REQUEST(GET_ENCAPSULATED_REQUEST, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_ENCAP, .peer_needs = SPDM_CAP_ENCAP,
             .where = SPDM_WHEREVER, .drops_b = true)
{
    SpdmMutual *m = &s->mutual;

    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (!in_flow(s, x) || m->wanted != 0) {
        return s->version >= SPDM_VERSION_13 && !m->active ? SPDM_NO_PENDING_REQUESTS : SPDM_UNEXPECTED_REQUEST;
    }
    m->wanted = SPDM_GET_DIGESTS;
    m->request_id++;
    spdm_reply(s, x, rsp, m->request_id, 0);
    append_request(s, rsp);
    return SPDM_OK;
}

/* DIGESTS: that of slot 0 comes first. */
static bool take_digests(SpdmResponder *s, ByteReader *r, uint8_t slots)
{
    size_t h = spdm_hash(s->selected.hash)->len;

    br_bytes(r, s->mutual.chain_hash, h);
    for (unsigned slot = 1; slot < SPDM_SLOTS; slot++) {
        br_skip(r, slots >> slot & 1 ? h : 0);
    }
    s->mutual.wanted = SPDM_GET_CERTIFICATE;
    return (slots & 1) && spdm_message_ends(r);
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
           spdm_equal(digest, m->chain_hash, hash->len) && s->config.requester_key != NULL &&
           s->config.requester_key(s->config.opaque, m->chain + header, m->chain_len - header, &m->key) &&
           m->key.kind == spdm_asym(s->selected.req_asym)->kind;
}

static bool take_certificate(SpdmResponder *s, ByteReader *r, uint8_t slot)
{
    SpdmMutual    *m = &s->mutual;
    size_t         len = br_u16(r), left = br_u16(r);
    const uint8_t *data = br_take(r, len);

    if (!spdm_message_ends(r) || (slot & 0xf) != 0 || len == 0 || len > PORTION_MAX ||
        m->chain_len + len + left > sizeof(m->chain)) {
        return false;
    }
    memcpy(m->chain + m->chain_len, data, len);
    m->chain_len += (uint32_t)len;
    if (left == 0) {
        m->trusted = chain_is_good(s);
        m->wanted = 0;
    }
    return left != 0 || m->trusted;
}

SPDM_REQUEST(DELIVER_ENCAPSULATED_RESPONSE, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_ENCAP,
             .peer_needs = SPDM_CAP_ENCAP, .where = SPDM_WHEREVER, .drops_b = true)
{
    SpdmMutual *m = &s->mutual;
    uint8_t     version = br_u8(req), code = br_u8(req), param1 = br_u8(req), param2 = br_u8(req);
    bool        good;

    if (!in_flow(s, x) || m->wanted == 0) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    if (!br_ok(req) || x->param1 != m->request_id) {
        return SPDM_INVALID_REQUEST;
    }
    good = version == s->version && code == SPDM_RESPONSE_OF(m->wanted) &&
           (m->wanted == SPDM_GET_DIGESTS ? take_digests(s, req, param2) : take_certificate(s, req, param1));
    if (!good) {
        m->active = false; /* the flow is over, and FINISH will not do */
        return SPDM_INVALID_RESPONSE_CODE;
    }
    m->active = m->wanted != 0;
    m->request_id++;
    spdm_reply(s, x, rsp, m->active ? m->request_id : 0, m->active ? MORE_FOLLOWS : 0);
    if (s->version >= SPDM_VERSION_12) {
        bw_u8(rsp, x->param1); /* AckRequestID */
        bw_u24(rsp, 0);
    }
    if (m->active) {
        append_request(s, rsp);
    }
    return SPDM_OK;
}

SpdmError spdm_mutual_verify(SpdmResponder *s, SpdmSession *session, SpdmSpan header, const uint8_t *sig)
{
    const SpdmMutual *m = &s->mutual;
    SpdmSigner        signer = { s->version, spdm_hash(s->selected.hash), spdm_asym(s->selected.req_asym) };
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
