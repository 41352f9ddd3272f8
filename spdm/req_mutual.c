/*
 * Who the requester is: its certificates and its answer to a CHALLENGE, when the device asks for them, and its
 * signature in FINISH. DMTF DSP0274, "Mutual authentication in KEY_EXCHANGE", "Basic mutual authentication". Its
 * certificates are those of slot 0.
 */
#include "spdm/requester.h"

#include "spdm/carry.h"
#include "spdm/chain.h"

enum { USES = 1 | 2 }; /* KeyUsageMask: key exchanges, challenges */

#define OVERHEAD 24 /* of DELIVER_ENCAPSULATED_RESPONSE and CERTIFICATE */

const char *spdm_mutual_accept(SpdmRequester *r, uint8_t mut_auth, uint8_t slot)
{
    static const uint8_t get_digests[] = { 0, SPDM_GET_DIGESTS, 0, 0 };
    const SpdmAsym      *asym = spdm_asym(r->selected.req_asym);

    if (mut_auth == 0) {
        return NULL;
    }
    if (r->identity == NULL) {
        return "the device demands mutual authentication, which was not offered";
    }
    if ((mut_auth != SPDM_MUT_AUTH_PLAIN && mut_auth != SPDM_MUT_AUTH_ENCAPSULATED &&
         mut_auth != SPDM_MUT_AUTH_DIGESTS) ||
        (slot & 0xf) != 0 || asym == NULL || asym->kind != r->identity->key.kind) {
        return "the device demands mutual authentication in a way that is not possible";
    }
    r->session.mut_auth = mut_auth;
    memcpy(r->encapsulated, get_digests, sizeof(get_digests)); /* implied by SPDM_MUT_AUTH_DIGESTS */
    r->encapsulated[0] = r->version;
    r->encapsulated_len = sizeof(get_digests);
    r->encapsulated_id = 0;
    return NULL;
}

SpdmError spdm_answer_digests(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w)
{
    const SpdmHash *hash = spdm_hash(r->selected.hash);
    SpdmChain       chain;
    uint8_t        *out;
    size_t          at = w->pos;

    if (r->identity == NULL) {
        return SPDM_UNSUPPORTED_REQUEST;
    }
    if (!spdm_message_ends(q->req)) {
        return SPDM_INVALID_REQUEST;
    }
    spdm_begin(w, r->version, SPDM_RESPONSE_OF(SPDM_GET_DIGESTS), r->version >= SPDM_VERSION_13 ? 1 : 0, 1);
    out = bw_take(w, hash->len);
    if (out == NULL || !spdm_chain_of(r->identity, hash, &chain) || !spdm_hash_spans(hash, chain.spans, 2, out)) {
        return SPDM_UNSPECIFIED;
    }
    if (spdm_has_own_keys(r)) { /* the one key pair, and what it is for; then the message is a part of TH */
        bw_u8(w, 1);
        bw_u8(w, SPDM_MODEL_DEVICE);
        bw_u16(w, USES);
        if (r->session.state == SPDM_SESSION_HANDSHAKE && bw_ok(w)) {
            spdm_transcript_add(&r->session.th, w->data + at, w->pos - at);
        }
    }
    return SPDM_OK;
}

SpdmError spdm_answer_certificate(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w)
{
    bool      large = spdm_is_large(r->version, q->param1);
    size_t    offset = br_u16(q->req), len = br_u16(q->req), left, room = r->peer_transfer_size - OVERHEAD;
    SpdmChain chain;

    if (r->identity == NULL || (large && !r->options.large)) {
        return SPDM_UNSUPPORTED_REQUEST;
    }
    if (large) {
        offset = br_u32(q->req);
        len = br_u32(q->req);
    }
    if (!spdm_message_ends(q->req) || !spdm_chain_of(r->identity, spdm_hash(r->selected.hash), &chain) ||
        (q->param1 & 0xf) != 0 || offset >= chain.len || len == 0) {
        return SPDM_INVALID_REQUEST;
    }
    if (!large && chain.len > SPDM_CHAIN_SHORT_MAX) {
        return r->version >= SPDM_VERSION_14 ? SPDM_DATA_TOO_LARGE : SPDM_UNSPECIFIED;
    }
    left = chain.len - offset;
    len = len < left ? len : left;
    len = len < room ? len : room; /* a portion may be shorter than asked */
    spdm_begin(w, r->version, SPDM_RESPONSE_OF(SPDM_GET_CERTIFICATE), large ? SPDM_LARGE : 0,
               spdm_has_own_keys(r) ? SPDM_MODEL_DEVICE : 0);
    bw_u16(w, large ? 0 : (uint16_t)len);
    bw_u16(w, large ? 0 : (uint16_t)(left - len));
    if (large) {
        bw_u32(w, (uint32_t)len);
        bw_u32(w, (uint32_t)(left - len));
    }
    spdm_chain_append(&chain, offset, len, w);
    return SPDM_OK;
}

/* CHALLENGE_AUTH over what the device asked since its own, with VCA since 1.2. */
SpdmError spdm_answer_challenge(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w)
{
    SpdmSigner     signer = own_signer(r);
    bool           has_vca = r->version >= SPDM_VERSION_12;
    uint8_t        nonce[SPDM_NONCE_LEN], digest[SPDM_HASH_MAX], sig[SPDM_SIG_MAX];
    const uint8_t *context;
    size_t         at = w->pos;
    SpdmSpan       m1m2[4];
    SpdmChain      chain;

    if (r->op != SPDM_OP_CHALLENGE) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    br_skip(q->req, SPDM_NONCE_LEN);
    context = br_take(q->req, r->version >= SPDM_VERSION_13 ? SPDM_CONTEXT_LEN : 0);
    if (!spdm_message_ends(q->req) || q->param1 != 0 || q->param2 != SPDM_SUMMARY_NONE) {
        return SPDM_INVALID_REQUEST;
    }
    if (!spdm_chain_of(r->identity, signer.hash, &chain) || !spdm_hash_spans(signer.hash, chain.spans, 2, digest)) {
        return SPDM_UNSPECIFIED;
    }
    entropy_bytes(r->entropy, nonce, sizeof(nonce));
    spdm_begin(w, r->version, SPDM_RESPONSE_OF(SPDM_CHALLENGE), 0, 1);
    bw_bytes(w, digest, signer.hash->len);
    bw_bytes(w, nonce, sizeof(nonce));
    bw_u16(w, 0); /* OpaqueDataLength */
    bw_bytes(w, context, r->version >= SPDM_VERSION_13 ? SPDM_CONTEXT_LEN : 0);
    m1m2[0] = spdm_transcript_span(&r->a);
    m1m2[1] = spdm_transcript_span(&r->challenge->mutual);
    m1m2[2] = (SpdmSpan){ q->req->data, spdm_parsed_len(q->req) };
    m1m2[3] = (SpdmSpan){ w->data + at, w->pos - at };
    if (r->a.overflowed || r->challenge->mutual.overflowed ||
        !spdm_sign(&signer, r->entropy, &r->identity->key, SPDM_SIGN_CHALLENGE_BACK, m1m2 + !has_vca,
                   ARRAY_LEN(m1m2) - !has_vca, sig)) {
        return SPDM_UNSPECIFIED;
    }
    bw_bytes(w, sig, signer.asym->sig_len);
    return SPDM_OK;
}

bool spdm_mutual_sign(SpdmRequester *r, ByteWriter *w)
{
    SpdmTranscript *th = &r->session.th;
    SpdmSigner      signer = own_signer(r);
    SpdmSpan        covered;
    SpdmChain       chain;
    uint8_t         digest[SPDM_HASH_MAX], sig[SPDM_SIG_MAX];

    if (!spdm_chain_of(r->identity, signer.hash, &chain) || !spdm_hash_spans(signer.hash, chain.spans, 2, digest)) {
        return false;
    }
    spdm_transcript_add(th, digest, signer.hash->len);
    spdm_transcript_add(th, w->data, w->pos);
    covered = spdm_transcript_span(th);
    if (th->overflowed || !spdm_sign(&signer, r->entropy, &r->identity->key, SPDM_SIGN_FINISH, &covered, 1, sig)) {
        return false;
    }
    bw_bytes(w, sig, signer.asym->sig_len);
    spdm_transcript_add(th, sig, signer.asym->sig_len);
    return true;
}
