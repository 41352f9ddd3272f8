/*
 * The requester's steps of mutual authentication: it answers what the device asks of it in GET_ENCAPSULATED_REQUEST and
 * DELIVER_ENCAPSULATED_RESPONSE, and signs FINISH. DMTF DSP0274, "Mutual authentication in KEY_EXCHANGE". Its
 * certificates are those of slot 0.
 */
#include "spdm/requester.h"

#include "spdm/chain.h"

#define OVERHEAD     16 /* of DELIVER_ENCAPSULATED_RESPONSE and CERTIFICATE */
#define MORE_FOLLOWS 1  /* ENCAPSULATED_RESPONSE_ACK, Param2 */
#define SLOT_FOLLOWS 2

bool spdm_encapsulates(const SpdmRequester *r)
{
    return r->session.mut_auth == SPDM_MUT_AUTH_ENCAPSULATED || r->session.mut_auth == SPDM_MUT_AUTH_DIGESTS;
}

bool spdm_asks_for_request(const SpdmRequester *r) { return r->session.mut_auth == SPDM_MUT_AUTH_ENCAPSULATED; }

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

/* What is left of a response is a request of the device's. */
static StepResult take_request(SpdmRequester *r, ByteReader *rsp, uint8_t id)
{
    size_t         len = br_left(rsp);
    const uint8_t *request = br_take(rsp, len);

    if (len < 4 || len > sizeof(r->encapsulated)) {
        return step_fail(r, "the device's own request is longer than any that is answered, or none");
    }
    memcpy(r->encapsulated, request, len);
    r->encapsulated_len = (uint32_t)len;
    r->encapsulated_id = id;
    return STEP_NEXT;
}

bool spdm_build_get_encapsulated(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    return true;
}

StepResult spdm_read_encapsulated(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    return take_request(r, rsp, param1);
}

static void answer_digests(SpdmRequester *r, const SpdmChain *chain, ByteReader *req, ByteWriter *w)
{
    const SpdmHash *hash = spdm_hash(r->selected.hash);
    uint8_t        *out;

    spdm_begin(w, r->version, SPDM_RESPONSE_OF(SPDM_GET_DIGESTS), r->version >= SPDM_VERSION_13 ? 1 : 0, 1);
    out = bw_take(w, hash->len);
    w->failed |= out != NULL && !spdm_hash_spans(hash, chain->spans, 2, out);
}

static bool answer_certificate(SpdmRequester *r, const SpdmChain *chain, uint8_t slot, ByteReader *req, ByteWriter *w)
{
    size_t offset = br_u16(req), len = br_u16(req), left, room = r->peer_transfer_size - OVERHEAD;

    if (!spdm_message_ends(req) || (slot & 0xf) != 0 || offset >= chain->len || len == 0) {
        return false;
    }
    left = chain->len - offset;
    len = len < left ? len : left;
    len = len < room ? len : room; /* a portion may be shorter than asked */
    spdm_begin(w, r->version, SPDM_RESPONSE_OF(SPDM_GET_CERTIFICATE), 0, 0);
    bw_u16(w, (uint16_t)len);
    bw_u16(w, (uint16_t)(left - len));
    spdm_chain_append(chain, offset, len, w);
    return true;
}

/* The answer to the device's request, or the ERROR that it gets. */
bool spdm_build_deliver(SpdmRequester *r, ByteWriter *w)
{
    ByteReader req = br_init(r->encapsulated, r->encapsulated_len);
    uint8_t    version = br_u8(&req), code = br_u8(&req), param1 = br_u8(&req);
    SpdmChain  chain;
    size_t     at;

    br_skip(&req, 1);
    params(w, r->encapsulated_id, 0);
    at = w->pos;
    if (!spdm_chain_of(r->identity, spdm_hash(r->selected.hash), &chain)) {
        return spdm_requester_fail(r, "the requester's certificates cannot be hashed");
    }
    if (version != r->version) {
        spdm_begin(w, r->version, SPDM_ERROR, SPDM_VERSION_MISMATCH, 0);
    } else if (code == SPDM_GET_DIGESTS && spdm_message_ends(&req)) {
        answer_digests(r, &chain, &req, w);
    } else if (code != SPDM_GET_DIGESTS && code != SPDM_GET_CERTIFICATE) {
        spdm_begin(w, r->version, SPDM_ERROR, SPDM_UNSUPPORTED_REQUEST, code);
    } else if (code == SPDM_GET_DIGESTS || !answer_certificate(r, &chain, param1, &req, w)) {
        w->pos = at;
        spdm_begin(w, r->version, SPDM_ERROR, SPDM_INVALID_REQUEST, 0);
    }
    return true;
}

StepResult spdm_read_ack(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    uint8_t acked = r->version >= SPDM_VERSION_12 ? br_u8(rsp) : r->encapsulated_id;

    br_skip(rsp, r->version >= SPDM_VERSION_12 ? 3 : 0);
    if (!br_ok(rsp) || acked != r->encapsulated_id) {
        return step_fail(r, "ENCAPSULATED_RESPONSE_ACK has a wrong length or request ID");
    }
    if (param2 == MORE_FOLLOWS) {
        return take_request(r, rsp, param1) == STEP_NEXT ? STEP_AGAIN : STEP_FAILED;
    }
    if (param2 == SLOT_FOLLOWS && br_u8(rsp) != 0) {
        return step_fail(r, "the device wants a signature of a slot without certificates");
    }
    return param2 <= SLOT_FOLLOWS && spdm_message_ends(rsp) ? STEP_NEXT
                                                            : step_fail(r, "ENCAPSULATED_RESPONSE_ACK is malformed");
}

bool spdm_mutual_sign(SpdmRequester *r, ByteWriter *w)
{
    SpdmTranscript *th = &r->session.th;
    SpdmSigner      signer = { r->version, spdm_hash(r->selected.hash), spdm_asym(r->selected.req_asym) };
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
