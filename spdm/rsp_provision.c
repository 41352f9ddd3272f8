/*
 * SET_CERTIFICATE and GET_CSR. DMTF DSP0274 1.2 and 1.3, message sections of those names. What they leave behind is the
 * device's, not the connection's: it stays through resets, and with CERT_INSTALL_RESET_CAP takes effect by one.
 *
 * In multi-key connections the key pair is named, and the certificate model, which has to be one that the device has;
 * in others it is slot 0's pair and the device's model. Of the alias model, certificates from outside end with the
 * device's, which certifies the alias's behind it. A chain must begin with its root.
 */
#include <string.h>

#include "spdm/responder.h"

#define SLOT_ID    0xf
#define CERT_MODEL 0x70   /* SetCertModel, 1.3 */
#define ERASE      BIT(7) /* 1.3 */
#define CSR_MODEL  7      /* CSRCertModel, 1.3 */
#define OVERWRITE  BIT(7) /* 1.3 */

static bool needs_reset(const SpdmResponder *s) { return spdm_capabilities(s) & SPDM_CAP_CERT_INSTALL_RESET; }

uint8_t spdm_slots_awaiting_reset(const SpdmResponder *s, SpdmKeyKind kind)
{
    const SpdmProvisions *p = s->config.provisions;
    unsigned              slots = 0;

    for (unsigned slot = 0; p != NULL && slot < SPDM_SLOTS; slot++) {
        slots |= (p->staged_slots >> slot & 1) && p->staged[slot].key.kind == kind ? 1u << slot : 0;
    }
    return (uint8_t)slots;
}

SpdmIdentity *spdm_place_for(SpdmResponder *s, uint8_t slot, SpdmKeyKind kind)
{
    SpdmProvisions *p = s->config.provisions;
    SpdmIdentity   *id = p->identities;

    for (; id < p->identities + s->config.n_identities; id++) {
        if (id->slot == slot && id->key.kind == kind) {
            return id;
        }
    }
    s->config.n_identities++; /* there is room for every slot and kind */
    *id = (SpdmIdentity){ .slot = slot, .key.kind = kind };
    return id;
}

static bool has_alias(const SpdmResponder *s) { return (spdm_capabilities(s) & SPDM_CAP_ALIAS_CERT) != 0; }

static uint8_t usual_model(const SpdmResponder *s) { return has_alias(s) ? SPDM_MODEL_ALIAS : SPDM_MODEL_DEVICE; }

/* Neither is there before 1.3. */
bool spdm_names_pair(const SpdmResponder *s, SpdmKeyKind kind, uint8_t number, uint8_t model, SpdmKeyPair *pair)
{
    bool model_is_ours = has_alias(s) ? model == SPDM_MODEL_ALIAS
                                      : model == SPDM_MODEL_DEVICE || model == SPDM_MODEL_GENERIC;

    if (s->version >= SPDM_VERSION_13 && (s->multi_key ? !model_is_ours : number != 0 || model != 0)) {
        return false;
    }
    return spdm_key_pair(s, s->multi_key ? number : spdm_first_pair_of_kind(s, kind), pair) && pair->key->len != 0;
}

static void install(SpdmResponder *s, const SpdmIdentity *from)
{
    const SpdmAsym *asym = spdm_asym(s->selected.asym);
    SpdmIdentity   *to = spdm_place_for(s, from->slot, from->key.kind);

    to->pair = from->pair;
    to->model = from->model;
    to->root_len = from->root_len;
    to->certs_len = from->certs_len;
    to->alias_len = from->alias_len;
    memcpy(to->certs, from->certs, from->certs_len);
    if (asym != NULL && asym->kind == from->key.kind) { /* what a connection does not see is no event in it */
        spdm_certificate_changed(s, from->slot);
    }
}

void spdm_responder_conventional_reset(SpdmResponder *s)
{
    SpdmProvisions *p = s->config.provisions;

    spdm_responder_reset(s);
    if (p == NULL) {
        return;
    }
    for (unsigned slot = 0; slot < SPDM_SLOTS; slot++) {
        if (p->staged_slots >> slot & 1) {
            install(s, &p->staged[slot]);
        }
    }
    p->staged_slots = 0;
    spdm_change_awaited_pairs(s);
    for (unsigned tag = 0; tag < SPDM_CSR_TAGS; tag++) {
        p->csrs[tag].ready = p->csrs[tag].used;
    }
}

SpdmError spdm_put_chain(SpdmResponder *s, const SpdmIdentity *id)
{
    SpdmProvisions *p = s->config.provisions;

    if (!needs_reset(s)) {
        install(s, id);
        return SPDM_OK;
    }
    if ((p->staged_slots >> id->slot & 1) && p->staged[id->slot].key.kind != id->key.kind) {
        return SPDM_BUSY; /* with the same slot of another bank: one of a number can wait */
    }
    p->staged[id->slot] = *id;
    p->staged_slots |= (uint8_t)(1u << id->slot);
    return SPDM_RESET_REQUIRED;
}

SpdmError spdm_read_chain(SpdmResponder *s, ByteReader *req, const SpdmKeyPair *pair, SpdmIdentity *id)
{
    const SpdmHash *hash = spdm_hash(s->selected.hash);
    bool            is_14 = s->version >= SPDM_VERSION_14;
    size_t          len = is_14 ? br_u32(req) : br_u16(req), header = 4 + hash->len;
    const uint8_t  *root_hash, *certs;
    uint8_t         want[SPDM_HASH_MAX];

    br_skip(req, is_14 ? 0 : 2);
    root_hash = br_take(req, hash->len);
    certs = len > header ? br_take(req, len - header) : NULL;
    if (certs == NULL || !spdm_message_ends(req) || len - header > sizeof(id->certs)) {
        return SPDM_INVALID_REQUEST;
    }
    id->certs_len = (uint32_t)(len - header);
    memcpy(id->certs, certs, id->certs_len);
    id->root_len = (uint32_t)spdm_first_certificate_len(certs, id->certs_len);
    if (id->root_len == 0 || !spdm_hash_spans(hash, &(SpdmSpan){ certs, id->root_len }, 1, want) ||
        memcmp(want, root_hash, hash->len) != 0 ||
        spdm_chain_is_for(id, pair->certified, s->config.entropy) != NULL) {
        return SPDM_UNSPECIFIED;
    }
    id->pair = pair->number;
    return pair->certified == pair->key ||
                   spdm_alias_append(id, pair->certified, pair->key, s->config.entropy) == NULL
               ? SPDM_OK
               : SPDM_UNSPECIFIED;
}

SPDM_REQUEST(SET_CERTIFICATE, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_SET_CERT, .where = SPDM_ANYWHERE)
{
    bool         is_13 = s->version >= SPDM_VERSION_13, erases = is_13 && (x->param1 & ERASE);
    uint8_t      model = is_13 ? (x->param1 & CERT_MODEL) >> 4 : 0;
    SpdmIdentity id = { .slot = x->param1 & SLOT_ID, .key.kind = spdm_asym(s->selected.asym)->kind };
    SpdmKeyPair  pair;
    SpdmError    e = SPDM_OK;

    if (id.slot >= SPDM_SLOTS || (erases && model != 0) ||
        !spdm_names_pair(s, id.key.kind, x->param2, erases && s->multi_key ? usual_model(s) : model, &pair) ||
        pair.key->kind != id.key.kind) {
        return SPDM_INVALID_REQUEST;
    }
    if (id.slot != 0 && x->session == NULL) {
        return SPDM_UNEXPECTED_REQUEST; /* outside a trusted environment, only slot 0 is open to everybody */
    }
    if (!erases) {
        id.model = model;
        e = spdm_read_chain(s, req, &pair, &id);
    } else if (!spdm_message_ends(req)) {
        e = SPDM_INVALID_REQUEST;
    }
    if (e == SPDM_OK) {
        e = spdm_put_chain(s, &id);
    }
    if (e == SPDM_OK) {
        spdm_reply(s, x, rsp, id.slot, 0);
    }
    return e;
}

/* DSP0274 1.3 "CSR tracking": the tag of a request that waits for a reset; 0 is the one that 1.2 has. */
static uint8_t csr_tag(const SpdmResponder *s, uint8_t attributes)
{
    return s->version >= SPDM_VERSION_13 ? attributes >> 3 & 7 : 0;
}

/* Whether a request has seen its reset; if not, it waits for one. */
static SpdmError track(SpdmResponder *s, SpdmExchange *x, uint8_t attributes, uint8_t pair, SpdmSpan body)
{
    bool     is_13 = s->version >= SPDM_VERSION_13;
    uint8_t  tag = csr_tag(s, attributes);
    SpdmCsr *csrs = s->config.provisions->csrs, *csr = &csrs[tag];
    bool     same = csr->pair == pair && csr->len == body.len && memcmp(csr->body, body.data, body.len) == 0;

    if (csr->used && csr->ready && same && (tag != 0 || !is_13)) {
        return SPDM_OK;
    }
    if (tag != 0) {
        x->error_data = csr->used && !csr->ready ? tag : 0;
        return !csr->used ? SPDM_UNEXPECTED_REQUEST : !csr->ready ? SPDM_RESET_REQUIRED : SPDM_INVALID_REQUEST;
    }
    if (is_13) {
        for (tag = 1; tag < SPDM_CSR_TAGS; tag++) {
            csrs[tag].used = csrs[tag].used && !(attributes & OVERWRITE);
        }
        for (tag = 1; tag < SPDM_CSR_TAGS && csrs[tag].used; tag++) {
        }
    }
    if (tag == SPDM_CSR_TAGS) {
        return SPDM_BUSY;
    }
    csr = &csrs[tag];
    csr->used = true;
    csr->ready = false;
    csr->pair = pair;
    csr->len = (uint16_t)body.len;
    memcpy(csr->body, body.data, body.len);
    x->error_data = tag;
    return SPDM_RESET_REQUIRED;
}

bool spdm_csr_pair(const SpdmResponder *s, SpdmKeyKind kind, uint8_t number, uint8_t attributes, SpdmKeyPair *pair)
{
    bool has_tag = (attributes >> 3 & 7) != 0, tag_is_valid = !has_tag || (needs_reset(s) && !(attributes & OVERWRITE));

    return (s->version < SPDM_VERSION_13 || tag_is_valid) &&
           spdm_names_pair(s, kind, number, attributes & CSR_MODEL, pair);
}

SpdmError spdm_take_csr(SpdmResponder *s, SpdmExchange *x, const SpdmKeyPair *pair, uint8_t attributes,
                        ByteReader *req, uint8_t *out, size_t cap, size_t *len)
{
    const SpdmIdentity *id = spdm_identity_of_kind(s, pair->key->kind, 0);
    SpdmSpan            certs = { "", 0 };
    size_t              info_len = br_u16(req), opaque_len = br_u16(req), start = req->pos;
    SpdmSpan            info = { br_take(req, info_len), info_len };

    if (id != NULL) {
        certs = (SpdmSpan){ spdm_identity_certs(id), id->certs_len - id->alias_len };
    }
    br_skip(req, opaque_len); /* of vendors' elements, none is known here */
    if (!spdm_message_ends(req) || opaque_len > SPDM_OPAQUE_MAX ||
        (opaque_len != 0 && s->selected.other_params != SPDM_OPAQUE_FMT1)) {
        return SPDM_INVALID_REQUEST;
    }
    *len = spdm_csr_make(pair->certified, spdm_hash(s->selected.hash), s->config.entropy, certs, info, out, cap);
    if (*len == 0) {
        return SPDM_INVALID_REQUEST; /* RequesterInfo is no CertificationRequestInfo */
    }
    return needs_reset(s) ? track(s, x, attributes, pair->number, (SpdmSpan){ req->data + start, req->pos - start })
                          : SPDM_OK;
}

void spdm_give_csr(SpdmResponder *s, const SpdmExchange *x, uint8_t attributes, const ByteWriter *rsp)
{
    if (needs_reset(s) && spdm_fits(s, x, rsp)) {
        s->config.provisions->csrs[csr_tag(s, attributes)].used = false;
    }
}

SPDM_REQUEST(GET_CSR, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_CSR, .where = SPDM_ANYWHERE)
{
    SpdmKeyPair pair;
    uint8_t     csr[SPDM_MSG_MAX - 8];
    size_t      len;
    SpdmError   e;

    if (!spdm_csr_pair(s, spdm_asym(s->selected.asym)->kind, x->param1, x->param2, &pair)) {
        return SPDM_INVALID_REQUEST;
    }
    e = spdm_take_csr(s, x, &pair, x->param2, req, csr, sizeof(csr), &len);
    if (e == SPDM_OK) {
        spdm_reply(s, x, rsp, 0, 0);
        bw_u16(rsp, (uint16_t)len);
        bw_u16(rsp, 0);
        bw_bytes(rsp, csr, len);
        spdm_give_csr(s, x, x->param2, rsp);
    }
    return e;
}
