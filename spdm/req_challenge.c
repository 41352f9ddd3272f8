/*
 * CHALLENGE: the device signs what was said of its certificates. DMTF DSP0274, message section of that name, "M1 and M2
 * message transcript"; it may challenge the requester back, "Basic mutual authentication".
 */
#include "spdm/requester.h"

#include <string.h>

void spdm_keep_b(SpdmRequester *r, const ByteReader *rsp)
{
    SpdmSpan reply = reply_span(rsp);

    if (r->challenge != NULL) {
        spdm_transcript_add(&r->challenge->b, r->request, r->request_len);
        spdm_transcript_add(&r->challenge->b, reply.data, reply.len);
    }
}

bool spdm_build_challenge(SpdmRequester *r, ByteWriter *w)
{
    entropy_bytes(r->entropy, r->nonce, sizeof(r->nonce));
    spdm_transcript_reset(&r->challenge->mutual);
    params(w, r->options.slot, SPDM_SUMMARY_NONE);
    bw_bytes(w, r->nonce, sizeof(r->nonce));
    bw_bytes(w, r->nonce, r->version >= SPDM_VERSION_13 ? SPDM_CONTEXT_LEN : 0); /* RequesterContext: ours to choose */
    return true;
}

/* What the device has signed, with everything that was said of its certificates. */
static bool is_signed(SpdmRequester *r, SpdmSpan unsigned_part, const uint8_t *sig)
{
    SpdmSigner signer = signer_of(r);
    SpdmSpan   m1m2[] = { spdm_transcript_span(&r->a), spdm_transcript_span(&r->challenge->b), request_span(r),
                          unsigned_part };

    return !r->a.overflowed && !r->challenge->b.overflowed &&
           spdm_verify(&signer, &r->public_key, SPDM_SIGN_CHALLENGE, m1m2, ARRAY_LEN(m1m2), sig);
}

StepResult spdm_read_challenge(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    SpdmSigner     signer = signer_of(r);
    const uint8_t *hash = br_take(rsp, signer.hash->len), *context, *sig;
    size_t         opaque_len;
    SpdmSpan       unsigned_part;
    bool           ok;

    br_skip(rsp, SPDM_NONCE_LEN);
    opaque_len = br_u16(rsp);
    br_skip(rsp, opaque_len);
    context = br_take(rsp, r->version >= SPDM_VERSION_13 ? SPDM_CONTEXT_LEN : 0);
    unsigned_part = reply_span(rsp);
    sig = br_take(rsp, signer.asym->sig_len);
    if (!spdm_message_ends(rsp) || opaque_len > SPDM_OPAQUE_MAX || (param1 & 0xf) != r->options.slot ||
        !(param2 >> r->options.slot & 1) ||
        (r->version >= SPDM_VERSION_13 && memcmp(context, r->nonce, SPDM_CONTEXT_LEN) != 0)) {
        return step_fail(r, "CHALLENGE_AUTH is malformed or of another slot");
    }
    ok = spdm_equal(hash, r->chain_digest, signer.hash->len) && is_signed(r, unsigned_part, sig);
    spdm_transcript_reset(&r->challenge->b);
    if (!ok) {
        return step_fail(r, "CHALLENGE_AUTH is not signed by the device's public key");
    }
    r->challenged_back = (param1 & SPDM_CHALLENGE_BACK) != 0;
    if (r->challenged_back && (r->identity == NULL || r->selected.req_asym == 0)) {
        return step_fail(r, "the device challenges back, which was not offered");
    }
    return STEP_NEXT;
}
