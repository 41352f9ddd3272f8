/*
 * The responder's identity: GET_DIGESTS, GET_CERTIFICATE, CHALLENGE. DMTF DSP0274 1.2 and 1.3, message sections of
 * those names. Slot 0 has a chain unless it was erased, others may; there is no provisioned raw public key (slot FF).
 */
#include "spdm/responder.h"

#include <string.h>

#define ASK_SLOT_SIZE BIT(0) /* Param2, 1.3 */
#define SLOT_ID       0xf    /* Param1 */

/* Whether offsets of 16 bits, which is what there is before 1.4, reach a chain's end. */
static bool is_short(const SpdmResponder *s, const SpdmIdentity *id)
{
    const SpdmHash *hash = spdm_hash(s->selected.hash);

    return hash != NULL && 4 + hash->len + id->certs_len <= SPDM_CHAIN_SHORT_MAX;
}

/* Whether a connection sees a chain. DSP0274 1.2 "Certificates and certificate chains": those of all slots are for the
 * same key; 1.3 allows for others in multi-key connections. */
static bool serves(const SpdmResponder *s, const SpdmIdentity *id)
{
    uint8_t pair = spdm_pair_of(s, id);

    return id->certs_len != 0 && pair != 0 && (s->version >= SPDM_VERSION_14 || is_short(s, id)) &&
           (s->multi_key || pair == spdm_first_pair_of_kind(s, id->key.kind));
}

const SpdmIdentity *spdm_identity_of_kind(const SpdmResponder *s, SpdmKeyKind kind, uint8_t slot)
{
    for (size_t i = 0; i < s->config.n_identities; i++) {
        const SpdmIdentity *id = &s->config.identities[i];

        if (id->slot == slot && id->key.kind == kind && serves(s, id)) {
            return id;
        }
    }
    return NULL;
}

const SpdmIdentity *spdm_responder_identity(const SpdmResponder *s, uint8_t slot)
{
    const SpdmAsym *asym = spdm_asym(s->selected.asym);

    return asym != NULL ? spdm_identity_of_kind(s, asym->kind, slot) : NULL;
}

uint8_t spdm_provisioned_slots(const SpdmResponder *s)
{
    unsigned mask = 0;

    for (uint8_t slot = 0; slot < SPDM_SLOTS; slot++) {
        mask |= spdm_responder_identity(s, slot) != NULL ? 1u << slot : 0;
    }
    return (uint8_t)mask;
}

static SpdmKeyKind selected_kind(const SpdmResponder *s) { return spdm_asym(s->selected.asym)->kind; }

uint8_t spdm_slots_of_kind(const SpdmResponder *s, SpdmKeyKind kind)
{
    unsigned mask = spdm_capabilities(s) & SPDM_CAP_SET_CERT ? 0xff : 0;

    for (size_t i = 0; i < s->config.n_identities; i++) {
        mask |= s->config.identities[i].key.kind == kind ? 1u << s->config.identities[i].slot : 0;
    }
    return (uint8_t)mask;
}

/* SupportedSlotMask: those that can hold a chain; in 1.3 whatever the algorithm, since 1.4 those of its bank. */
static uint8_t supported_slots(const SpdmResponder *s)
{
    unsigned mask = 0;

    for (unsigned kind = 0; kind < SPDM_N_KEY_KINDS; kind++) {
        if (s->version < SPDM_VERSION_14 || kind == selected_kind(s)) {
            mask |= spdm_slots_of_kind(s, (SpdmKeyKind)kind);
        }
    }
    return (uint8_t)mask;
}

bool spdm_slot_chain(const SpdmResponder *s, uint8_t slot, SpdmChain *chain)
{
    const SpdmHash     *hash = spdm_hash(s->selected.hash);
    const SpdmIdentity *id = spdm_responder_identity(s, slot);

    if (id == NULL) {
        return false;
    }
    return spdm_chain_of(id, hash, chain);
}

void spdm_append_chain_hash(const SpdmResponder *s, uint8_t slot, ByteWriter *rsp)
{
    const SpdmHash *hash = spdm_hash(s->selected.hash);
    uint8_t        *out = bw_take(rsp, hash->len);
    SpdmChain       chain;

    rsp->failed |= out != NULL && (!spdm_slot_chain(s, slot, &chain) || !spdm_hash_spans(hash, chain.spans, 2, out));
}

size_t spdm_slot_size(const SpdmResponder *s, const SpdmIdentity *id)
{
    bool   is_written = spdm_capabilities(s) & SPDM_CAP_SET_CERT;
    size_t header = 4 + spdm_hash(s->selected.hash)->len, writable = is_written ? header + SPDM_CERTS_MAX : 0;

    return id != NULL && header + id->certs_len > writable ? header + id->certs_len : writable;
}

/* CERTIFICATE up to the portion. */
static void begin_certificate(SpdmResponder *s, const SpdmExchange *x, ByteWriter *rsp, uint8_t param2, size_t len,
                              size_t left)
{
    bool large = spdm_is_large(s->version, x->param1);

    spdm_reply(s, x, rsp, (uint8_t)((x->param1 & SLOT_ID) | (large ? SPDM_LARGE : 0)), param2);
    bw_u16(rsp, large ? 0 : (uint16_t)len);
    bw_u16(rsp, large ? 0 : (uint16_t)left);
    if (large) {
        bw_u32(rsp, (uint32_t)len);
        bw_u32(rsp, (uint32_t)left);
    }
}

/* What a multi-key connection is told of each slot: key pair ID, model, and what the key is for. */
static void append_key_pairs(const SpdmResponder *s, uint8_t slots, ByteWriter *rsp)
{
    const SpdmIdentity *ids[SPDM_SLOTS];
    unsigned            n = 0;

    for (uint8_t slot = 0; s->multi_key && slot < SPDM_SLOTS; slot++) {
        if (slots >> slot & 1) {
            ids[n++] = spdm_responder_identity(s, slot);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        bw_u8(rsp, spdm_pair_of(s, ids[i]));
    }
    for (unsigned i = 0; i < n; i++) {
        bw_u8(rsp, spdm_model_of(s, ids[i]));
    }
    for (unsigned i = 0; i < n; i++) {
        bw_u16(rsp, spdm_uses_of(s, spdm_pair_of(s, ids[i])));
    }
}

/* Certificates and digests, up to the next GET_DIGESTS, are part B of M1 and M2. */
SPDM_REQUEST(GET_DIGESTS, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_CERT, .where = SPDM_ANYWHERE,
             .kept = SPDM_KEPT_B)
{
    uint8_t provisioned = spdm_provisioned_slots(s);

    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (spdm_slots_awaiting_reset(s, selected_kind(s)) != 0) {
        return SPDM_RESET_REQUIRED;
    }
    if (provisioned == 0) {
        return SPDM_UNSPECIFIED; /* all have been erased */
    }
    if (x->session == NULL) {
        spdm_transcript_reset(&s->b);
    }
    spdm_reply(s, x, rsp, s->version >= SPDM_VERSION_13 ? supported_slots(s) : 0, provisioned);
    for (uint8_t slot = 0; slot < SPDM_SLOTS; slot++) {
        if (provisioned >> slot & 1) {
            spdm_append_chain_hash(s, slot, rsp);
        }
    }
    append_key_pairs(s, provisioned, rsp);
    if (s->multi_key && !s->past_digests && s->digests_len == 0 && bw_ok(rsp) && spdm_fits(s, x, rsp)) {
        /* Part D of TH. */
        s->digests_len = (uint32_t)rsp->pos;
        memcpy(s->digests, rsp->data, rsp->pos);
    }
    return SPDM_OK;
}

SPDM_REQUEST(GET_CERTIFICATE, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_CERT, .where = SPDM_ANYWHERE,
             .kept = SPDM_KEPT_B)
{
    bool      large = spdm_is_large(s->version, x->param1), has_chain;
    size_t    offset = br_u16(req), len = br_u16(req), left, room = spdm_response_room(s, x) - (large ? 16 : 8);
    uint8_t   slot = x->param1 & SLOT_ID;
    bool      asks_size = s->version >= SPDM_VERSION_13 && (x->param2 & ASK_SLOT_SIZE); /* and no certificate */
    SpdmChain chain;

    if (large && !(spdm_capabilities(s) & SPDM_CAP_LARGE_RESP)) {
        x->error_data = x->code;
        return SPDM_UNSUPPORTED_REQUEST;
    }
    if (large) {
        offset = br_u32(req);
        len = br_u32(req);
    }
    if (!spdm_message_ends(req) || slot >= SPDM_SLOTS) {
        return SPDM_INVALID_REQUEST;
    }
    if (spdm_slots_awaiting_reset(s, selected_kind(s)) >> slot & 1) {
        return SPDM_RESET_REQUIRED;
    }
    has_chain = spdm_slot_chain(s, slot, &chain);
    if (has_chain && !large && chain.len > SPDM_CHAIN_SHORT_MAX) {
        x->too_large = (uint32_t)chain.len;
        return SPDM_DATA_TOO_LARGE;
    }
    if (asks_size && (supported_slots(s) >> slot & 1)) {
        begin_certificate(s, x, rsp, 0, 0, spdm_slot_size(s, spdm_responder_identity(s, slot)));
        return SPDM_OK;
    }
    if (!has_chain || offset >= chain.len || len == 0) {
        return SPDM_INVALID_REQUEST;
    }
    left = chain.len - offset;
    len = len < left ? len : left;
    len = len < room ? len : room; /* a portion may be shorter than asked */
    begin_certificate(s, x, rsp, spdm_model_of(s, spdm_responder_identity(s, slot)), len, left - len);
    spdm_chain_append(&chain, offset, len, rsp);
    return SPDM_OK;
}

SPDM_REQUEST(CHALLENGE, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_CHAL, .where = SPDM_OUTSIDE, .is_signed = true)
{
    bool      back = spdm_challenges_back(s);
    uint8_t   nonce[SPDM_NONCE_LEN], context[SPDM_CONTEXT_LEN];
    SpdmSpan  m1m2[4];
    SpdmChain chain;
    SpdmError e;

    br_skip(req, SPDM_NONCE_LEN); /* the requester's nonce counts through the transcript */
    spdm_read_context(s, req, context);
    if (!spdm_message_ends(req) || !spdm_slot_chain(s, x->param1, &chain) ||
        !spdm_slot_is_for(s, x->param1, SPDM_USE_CHALLENGE)) {
        return SPDM_INVALID_REQUEST;
    }
    entropy_bytes(s->config.entropy, nonce, sizeof(nonce));
    spdm_reply(s, x, rsp, x->param1 | (back ? SPDM_CHALLENGE_BACK : 0), spdm_provisioned_slots(s));
    spdm_append_chain_hash(s, x->param1, rsp);
    bw_bytes(rsp, nonce, sizeof(nonce));
    e = spdm_append_summary(s, x->param2, rsp);
    bw_u16(rsp, 0); /* OpaqueDataLength */
    spdm_append_context(s, context, rsp);
    if (e != SPDM_OK) {
        return e;
    }
    if (s->a.overflowed || s->b.overflowed) {
        return SPDM_UNSPECIFIED; /* more certificate traffic than we keep: GET_DIGESTS starts over */
    }
    /* DSP0274 "M1 and M2 message transcript": A || B || C, C being this pair without the signature. */
    m1m2[0] = spdm_transcript_span(&s->a);
    m1m2[1] = spdm_transcript_span(&s->b);
    m1m2[2] = spdm_whole_request(req);
    m1m2[3] = (SpdmSpan){ rsp->data, rsp->pos };
    e = spdm_append_signature(s, x->param1, SPDM_SIGN_CHALLENGE, m1m2, 4, rsp);
    if (e == SPDM_OK && spdm_fits(s, x, rsp)) {
        spdm_transcript_reset(&s->b);
        s->authenticated = true;
        x->after = back ? SPDM_AFTER_CHALLENGE_BACK : SPDM_AFTER_NOTHING;
    }
    return e;
}
