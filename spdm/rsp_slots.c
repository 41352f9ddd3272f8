/*
 * SLOT_MANAGEMENT: the certificate slots of all signature algorithms that the device has, whichever of them a
 * connection goes by. DMTF DSP0274 1.4, message section of that name. Its text was not at hand: layouts, codes and the
 * order of checks are those of DMTF's libspdm, the rest is as GET_DIGESTS, GET_CERTIFICATE, GET_CSR and SET_CERTIFICATE
 * do it.
 *
 * A bank is what the device has for one kind of key; they are numbered in the order of SpdmKeyKind. The algorithm of
 * each is fixed: ConfigAlgo is not offered, and so there is no ManageBank. What writes is there with SET_CERT_CAP and
 * CSR_CAP.
 */
#include "spdm/responder.h"

enum { HEADER_LEN = 8, ADDRESS_LEN = 8, SUBCODES_LEN = 36, SLOT_LEN = 16, PQC_LEN = 4 };
enum { SLOT_ID = 0xf, CERT_MODEL = 7 };

typedef SpdmError (*SubHandler)(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp);

typedef struct SubCode {
    uint8_t    code;
    bool       has_struct; /* in the request */
    SubHandler handle;     /* NULL: no device here has it */
} SubCode;

/* A SlotAddress. */
typedef struct Place {
    uint8_t     bank, slot;
    SpdmKeyKind kind;
    bool        has_bank;
} Place;

static bool is_bank(const SpdmResponder *s, SpdmKeyKind kind)
{
    return (spdm_asyms_of(kind) & s->config.algorithms.asym) != 0;
}

/* The kind of key of a bank; false: there is no such bank. */
static bool bank_kind(const SpdmResponder *s, uint8_t bank, SpdmKeyKind *kind)
{
    unsigned n = 0;

    for (unsigned k = 0; k < SPDM_N_KEY_KINDS; k++) {
        *kind = (SpdmKeyKind)k;
        if (is_bank(s, *kind) && n++ == bank) {
            return true;
        }
    }
    return false;
}

static uint8_t modifiable_slots(const SpdmResponder *s, SpdmKeyKind kind)
{
    return spdm_capabilities(s) & SPDM_CAP_SET_CERT ? spdm_slots_of_kind(s, kind) : 0;
}

/* False: it is not well formed. Whether there is such a bank is asked later. */
static bool read_place(const SpdmResponder *s, ByteReader *req, Place *place)
{
    uint16_t len = br_u16(req);

    br_skip(req, 2);
    place->bank = br_u8(req);
    place->slot = br_u8(req) & SLOT_ID;
    br_skip(req, 2);
    place->has_bank = bank_kind(s, place->bank, &place->kind);
    return br_ok(req) && len == ADDRESS_LEN;
}

/* Slots beside slot 0 are changed in sessions alone, as there is no trusted environment. */
static bool may_change(const SpdmExchange *x, const Place *place)
{
    return place->slot == 0 || x->session != NULL;
}

/* Begins a response; its structure, if any, comes right behind. */
static void begin(SpdmResponder *s, const SpdmExchange *x, ByteWriter *rsp, bool has_struct)
{
    spdm_reply(s, x, rsp, x->param1, 0);
    bw_u16(rsp, has_struct ? HEADER_LEN : 0);
    bw_u16(rsp, 0);
}

/* ---- what there is ---- */

/* SubCodeBitmap. */
static uint64_t subcodes_of(const SpdmResponder *s)
{
    uint64_t caps = spdm_capabilities(s);
    uint64_t all =
        BIT(SPDM_SLOTS_SUBCODES) | BIT(SPDM_SLOTS_BANK_INFO) | BIT(SPDM_SLOTS_BANK_DETAILS) | BIT(SPDM_SLOTS_GET_CHAIN);

    all |= caps & SPDM_CAP_CSR ? BIT(SPDM_SLOTS_GET_CSR) : 0;
    return all | (caps & SPDM_CAP_SET_CERT ? BIT(SPDM_SLOTS_MANAGE_SLOT) | BIT(SPDM_SLOTS_SET_CERTIFICATE) : 0);
}

static SpdmError supported_subcodes(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp)
{
    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    begin(s, x, rsp, true);
    bw_u16(rsp, SUBCODES_LEN);
    bw_u16(rsp, 0);
    bw_u64(rsp, subcodes_of(s));
    bw_zero(rsp, 24);
    return SPDM_OK;
}

static SpdmError bank_info(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp)
{
    SpdmKeyKind kind;
    uint8_t     n = 0;

    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    while (bank_kind(s, n, &kind)) {
        n++;
    }
    begin(s, x, rsp, true);
    bw_u16(rsp, (uint16_t)(8 + n * SPDM_BANK_LEN));
    bw_u16(rsp, 0);
    bw_u8(rsp, n);
    bw_u24(rsp, 0);
    for (uint8_t bank = 0; bank < n; bank++) {
        (void)bank_kind(s, bank, &kind);
        bw_u8(rsp, SPDM_BANK_LEN);
        bw_u8(rsp, bank);
        bw_u8(rsp, spdm_slots_of_kind(s, kind));
        bw_u8(rsp, modifiable_slots(s, kind));
    }
    return SPDM_OK;
}

/* The pair that a slot's certificates are for, or would be; 0: none was chosen. */
static uint8_t pair_at(const SpdmResponder *s, SpdmKeyKind kind, uint8_t slot)
{
    for (size_t i = 0; i < s->config.n_identities; i++) {
        const SpdmIdentity *id = &s->config.identities[i];

        if (id->slot == slot && id->key.kind == kind && (id->certs_len != 0 || id->pair != 0)) {
            return spdm_pair_of(s, id);
        }
    }
    return s->multi_key ? 0 : spdm_first_pair_of_kind(s, kind);
}

static void append_slot(SpdmResponder *s, SpdmKeyKind kind, uint8_t slot, ByteWriter *rsp)
{
    enum { PROVISIONED = 1, WRITE_PROTECTED = 2 };

    const SpdmHash     *hash = spdm_hash(s->selected.hash);
    const SpdmIdentity *id = spdm_identity_of_kind(s, kind, slot);
    uint8_t             pair = pair_at(s, kind, slot), digest[SPDM_HASH_MAX] = { 0 };
    SpdmChain           chain;

    bw_u16(rsp, (uint16_t)(SLOT_LEN + hash->len));
    bw_u8(rsp, slot);
    bw_u8(rsp, 0);
    bw_u8(rsp,
          (uint8_t)((id != NULL ? PROVISIONED : 0) | (modifiable_slots(s, kind) >> slot & 1 ? 0 : WRITE_PROTECTED)));
    bw_u8(rsp, s->multi_key ? pair : 0);
    bw_u8(rsp, id != NULL ? spdm_model_of(s, id) : 0);
    bw_u8(rsp, 0);
    bw_u16(rsp, pair != 0 ? spdm_uses_of(s, pair) : 0);
    bw_u16(rsp, 0);
    bw_u32(rsp, (uint32_t)spdm_slot_size(s, id));
    if (id != NULL && (!spdm_chain_of(id, hash, &chain) || !spdm_hash_spans(hash, chain.spans, 2, digest))) {
        rsp->failed = true;
    }
    bw_bytes(rsp, digest, hash->len);
}

static SpdmError bank_details(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp)
{
    enum { SELECTED = 1, LEN = 20 + 3 * (1 + PQC_LEN) + 4 };

    const SpdmAsym *asym = spdm_asym(s->selected.asym);
    Place           place;
    uint8_t         slots;
    unsigned        n;

    if (!read_place(s, req, &place) || !place.has_bank || !spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (spdm_slots_awaiting_reset(s, place.kind) != 0) {
        return SPDM_RESET_REQUIRED;
    }
    slots = spdm_slots_of_kind(s, place.kind);
    n = (unsigned)__builtin_popcount(slots);
    begin(s, x, rsp, true);
    bw_u16(rsp, (uint16_t)(LEN + n * (SLOT_LEN + spdm_hash(s->selected.hash)->len)));
    bw_u8(rsp, place.bank);
    bw_u8(rsp, 0);
    bw_u16(rsp, (uint16_t)n);
    bw_u8(rsp, asym != NULL && asym->kind == place.kind ? SELECTED : 0);
    bw_u8(rsp, 0);
    bw_u32(rsp, 0); /* AsymAlgoCapabilities, CurrentAsymAlgo, AvailableAsymAlgo: there is nothing to choose */
    bw_u32(rsp, spdm_key_algorithm_bit(place.kind));
    bw_u32(rsp, 0);
    for (unsigned i = 0; i < 3; i++) { /* the same of post-quantum algorithms */
        bw_u8(rsp, PQC_LEN);
        bw_u32(rsp, 0);
    }
    bw_u32(rsp, 0);
    for (uint8_t slot = 0; slot < SPDM_SLOTS; slot++) {
        if (slots >> slot & 1) {
            append_slot(s, place.kind, slot, rsp);
        }
    }
    return SPDM_OK;
}

static SpdmError certificate_chain(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp)
{
    const SpdmIdentity *id;
    Place               place;
    SpdmChain           chain;

    if (!read_place(s, req, &place) || !place.has_bank || place.slot >= SPDM_SLOTS || !spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (spdm_slots_awaiting_reset(s, place.kind) >> place.slot & 1) {
        return SPDM_RESET_REQUIRED;
    }
    id = spdm_identity_of_kind(s, place.kind, place.slot);
    if (id == NULL || !spdm_chain_of(id, spdm_hash(s->selected.hash), &chain)) {
        return SPDM_INVALID_REQUEST;
    }
    if (2 * HEADER_LEN + chain.len > spdm_response_room(s, x)) {
        rsp->pos = 2 * HEADER_LEN + chain.len; /* the ERROR says how long it would be */
        return SPDM_RESPONSE_TOO_LARGE;
    }
    begin(s, x, rsp, true);
    bw_u32(rsp, (uint32_t)chain.len);
    bw_u32(rsp, 0);
    spdm_chain_append(&chain, 0, chain.len, rsp);
    return SPDM_OK;
}

/* ---- what is to be ---- */

static SpdmError get_csr(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp)
{
    Place       place;
    SpdmKeyPair pair;
    bool        ok = read_place(s, req, &place) && place.has_bank; /* SlotID counts for nothing */
    uint8_t     number = br_u8(req), attributes = br_u8(req), csr[SPDM_MSG_MAX - 2 * HEADER_LEN];
    size_t      len;
    SpdmError   e;

    br_skip(req, 2);
    if (!ok || !br_ok(req) || !spdm_csr_pair(s, place.kind, number, attributes, &pair) ||
        pair.key->kind != place.kind) {
        return SPDM_INVALID_REQUEST;
    }
    e = spdm_take_csr(s, x, &pair, attributes, req, csr, sizeof(csr), &len);
    if (e == SPDM_OK) {
        begin(s, x, rsp, true);
        bw_u32(rsp, (uint32_t)len);
        bw_u32(rsp, 0);
        bw_bytes(rsp, csr, len);
        spdm_give_csr(s, x, attributes, rsp);
    }
    return e;
}

/* Into its slot, now or with the next reset. */
static SpdmError put(SpdmResponder *s, const SpdmExchange *x, const SpdmIdentity *id, ByteWriter *rsp)
{
    SpdmError e = spdm_put_chain(s, id);

    if (e == SPDM_OK) {
        begin(s, x, rsp, false);
    }
    return e;
}

static SpdmError manage_slot(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp)
{
    enum { ERASE = 1 };

    Place   place;
    bool    ok = read_place(s, req, &place);
    uint8_t operation = br_u8(req);

    br_skip(req, 3);
    if (!ok || !spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (!may_change(x, &place)) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    if (operation != ERASE || !place.has_bank || spdm_identity_of_kind(s, place.kind, place.slot) == NULL) {
        return SPDM_INVALID_REQUEST;
    }
    return put(s, x, &(SpdmIdentity){ .slot = place.slot, .key.kind = place.kind }, rsp);
}

static SpdmError set_certificate(SpdmResponder *s, SpdmExchange *x, ByteReader *req, ByteWriter *rsp)
{
    Place        place;
    bool         ok = read_place(s, req, &place) && place.has_bank && place.slot < SPDM_SLOTS;
    uint32_t     len = br_u32(req);
    uint8_t      model = br_u8(req) & CERT_MODEL, number = br_u8(req);
    SpdmIdentity id = { .slot = place.slot, .key.kind = place.kind, .model = model };
    SpdmKeyPair  pair;
    SpdmError    e;

    br_skip(req, 2);
    if (!ok || !br_ok(req) || !spdm_names_pair(s, place.kind, number, model, &pair) || pair.key->kind != place.kind) {
        return SPDM_INVALID_REQUEST;
    }
    if (!may_change(x, &place)) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    if (br_left(req) < 4 || le32_get(req->data + req->pos) != len) {
        return SPDM_INVALID_REQUEST; /* two lengths of one thing */
    }
    e = spdm_read_chain(s, req, &pair, &id);
    return e != SPDM_OK ? e : put(s, x, &id, rsp);
}

/* ---- the request ---- */

static const SubCode subcodes[] = {
    { SPDM_SLOTS_SUBCODES, false, supported_subcodes },
    { SPDM_SLOTS_BANK_INFO, false, bank_info },
    { SPDM_SLOTS_BANK_DETAILS, true, bank_details },
    { SPDM_SLOTS_GET_CHAIN, true, certificate_chain },
    { SPDM_SLOTS_GET_CSR, true, get_csr },
    { SPDM_SLOTS_MANAGE_BANK, true, NULL },
    { SPDM_SLOTS_MANAGE_SLOT, true, manage_slot },
    { SPDM_SLOTS_SET_CERTIFICATE, true, set_certificate },
};

/* A sub-code that there is in the standard, and not here, is another matter than one that is reserved. */
SPDM_REQUEST(SLOT_MANAGEMENT, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_SLOT_MGMT, .where = SPDM_ANYWHERE)
{
    size_t         offset = br_u16(req);
    const SubCode *sub = NULL;

    br_skip(req, 2);
    for (unsigned i = 0; i < ARRAY_LEN(subcodes); i++) {
        sub = subcodes[i].code == x->param1 ? &subcodes[i] : sub;
    }
    if (!br_ok(req) || sub == NULL) {
        return SPDM_INVALID_REQUEST;
    }
    if (!(subcodes_of(s) & BIT(sub->code))) {
        x->error_data = x->code;
        return SPDM_UNSUPPORTED_REQUEST;
    }
    if (sub->has_struct ? offset < HEADER_LEN : offset != 0) {
        return SPDM_INVALID_REQUEST;
    }
    br_skip(req, sub->has_struct ? offset - HEADER_LEN : 0);
    return sub->handle(s, x, req, rsp);
}
