/*
 * The device's key pairs: which slot is for which, what they are for, and GET_KEY_PAIR_INFO, SET_KEY_PAIR_INFO. DMTF
 * DSP0274 1.3, message sections of those names.
 *
 * Pairs are numbered from 1: those that the device came with, whose usage alone can change, and behind them, with
 * MULTI_KEY_CAP, some that requests make, erase and give to slots. A slot that was given to a pair and has no
 * certificates yet is not a provisioned one.
 */
#include "spdm/responder.h"

#include <string.h>

/* KeyPairInfo's Capabilities. */
enum { CAN_MAKE = 1, CAN_ERASE = 2, CAN_ASSOCIATE = 4, CAN_CHANGE_USAGE = 8, CAN_CHOOSE = 0x10, CAN_SHARE = 0x20 };
#define CAN_ALL (CAN_MAKE | CAN_ERASE | CAN_ASSOCIATE | CAN_CHANGE_USAGE | CAN_CHOOSE | CAN_SHARE)

enum { CHANGE, ERASE, GENERATE }; /* operations of SET_KEY_PAIR_INFO */

enum { PQC_LEN = 4, ALGORITHM_MAX = 64 };

/* The key of the device's own that stands at a place. */
static bool has_key(const SpdmIdentity *id) { return id->key.len != 0; }

static uint8_t own_pairs(const SpdmResponder *s)
{
    uint8_t n = 0;

    for (size_t i = 0; i < s->config.n_identities; i++) {
        n += has_key(&s->config.identities[i]);
    }
    return n;
}

/* They are there whatever the connection's version: a slot may be for one. Aliases are made of the device's own. */
static uint8_t made_pairs(const SpdmResponder *s)
{
    uint32_t caps = s->config.capabilities;

    return s->config.provisions != NULL && (caps & SPDM_CAP_SET_KEY_PAIR_INFO) && (caps & SPDM_CAP_MULTI_KEY) &&
                   !(caps & SPDM_CAP_ALIAS_CERT)
               ? SPDM_MADE_PAIRS
               : 0;
}

static uint8_t number_of(const SpdmResponder *s, const SpdmIdentity *own)
{
    uint8_t n = 0;

    for (const SpdmIdentity *id = s->config.identities; id <= own; id++) {
        n += has_key(id);
    }
    return n;
}

bool spdm_key_pair(const SpdmResponder *s, uint8_t number, SpdmKeyPair *pair)
{
    uint8_t n = own_pairs(s);

    *pair = (SpdmKeyPair){ .number = number };
    for (const SpdmIdentity *id = s->config.identities; number <= n && pair->key == NULL && number != 0; id++) {
        if (has_key(id) && number_of(s, id) == number) {
            pair->key = &id->key;
            pair->certified = id->ca.len != 0 ? &id->ca : &id->key;
        }
    }
    if (number > n && number <= n + made_pairs(s)) {
        pair->made = &s->config.provisions->made[number - n - 1];
        pair->key = pair->certified = &pair->made->key;
    }
    return pair->key != NULL;
}

/* Where nothing else was said: the key at the place, else slot 0's of that kind. */
static uint8_t own_pair_of(const SpdmResponder *s, const SpdmIdentity *id)
{
    const SpdmIdentity *other = s->config.identities;

    for (size_t i = 0; !has_key(id) && i < s->config.n_identities; i++, other++) {
        if (other->slot == 0 && other->key.kind == id->key.kind && has_key(other)) {
            return number_of(s, other);
        }
    }
    return has_key(id) ? number_of(s, id) : 0;
}

uint8_t spdm_pair_of(const SpdmResponder *s, const SpdmIdentity *id)
{
    return id->pair != 0 ? id->pair : own_pair_of(s, id);
}

uint8_t spdm_first_pair_of_kind(const SpdmResponder *s, SpdmKeyKind kind)
{
    for (size_t i = 0; i < s->config.n_identities; i++) {
        const SpdmIdentity *id = &s->config.identities[i];

        if (id->slot == 0 && id->key.kind == kind) {
            return spdm_pair_of(s, id);
        }
    }
    return 0;
}

const SpdmPrivateKey *spdm_slot_key(const SpdmResponder *s, uint8_t slot)
{
    SpdmKeyPair pair;

    (void)spdm_key_pair(s, spdm_pair_of(s, spdm_responder_identity(s, slot)), &pair);
    return pair.key;
}

/* What keys are for unless it was changed. */
static uint16_t all_uses(const SpdmResponder *s)
{
    uint32_t caps = spdm_capabilities(s);

    return (uint16_t)((caps & SPDM_CAP_KEY_EX ? SPDM_USE_KEY_EX : 0) | (caps & SPDM_CAP_CHAL ? SPDM_USE_CHALLENGE : 0) |
                      ((caps & SPDM_CAP_MEAS) == SPDM_CAP_MEAS_SIG ? SPDM_USE_MEASUREMENT : 0) |
                      ((caps & SPDM_CAP_EP_INFO) == SPDM_CAP_EP_INFO_SIG ? SPDM_USE_ENDPOINT_INFO : 0));
}

uint16_t spdm_uses_of(const SpdmResponder *s, uint8_t pair)
{
    const SpdmProvisions *p = s->config.provisions;

    return (uint16_t)(all_uses(s) & ~(p != NULL ? p->usage_off[pair - 1] : 0u));
}

bool spdm_slot_is_for(const SpdmResponder *s, uint8_t slot, uint16_t use)
{
    return !s->multi_key || (spdm_uses_of(s, spdm_pair_of(s, spdm_responder_identity(s, slot))) & use) != 0;
}

uint8_t spdm_model_of(const SpdmResponder *s, const SpdmIdentity *id)
{
    uint8_t usual = spdm_capabilities(s) & SPDM_CAP_ALIAS_CERT ? SPDM_MODEL_ALIAS : SPDM_MODEL_DEVICE;

    return !s->multi_key ? 0 : id->model != 0 ? id->model : usual;
}

/* AssocCertSlotMask: what has certificates for the pair, or was given to it. */
static uint8_t slots_of(const SpdmResponder *s, uint8_t pair)
{
    unsigned slots = 0;

    for (size_t i = 0; i < s->config.n_identities; i++) {
        const SpdmIdentity *id = &s->config.identities[i];

        slots |= (id->certs_len != 0 || id->pair != 0) && spdm_pair_of(s, id) == pair ? 1u << id->slot : 0;
    }
    return (uint8_t)slots;
}

uint32_t spdm_key_algorithm_bit(SpdmKeyKind kind)
{
    static const uint32_t bits[SPDM_N_KEY_KINDS] = {
        [SPDM_KEY_RSA_2048] = BIT(0), [SPDM_KEY_RSA_3072] = BIT(1), [SPDM_KEY_RSA_4096] = BIT(2),
        [SPDM_KEY_P256] = BIT(3),     [SPDM_KEY_P384] = BIT(4),     [SPDM_KEY_P521] = BIT(5),
        [SPDM_KEY_ED25519] = BIT(7),  [SPDM_KEY_ED448] = BIT(8),
    };

    return bits[kind];
}

/* Kinds of which a key can be made and used: EC keys that a connection can negotiate. (To find primes takes longer than
 * a device has.) */
static const SpdmKeyKind made_kinds[] = { SPDM_KEY_P256, SPDM_KEY_P384, SPDM_KEY_P521 };

/* The kind of one bit; false: it is none of those. */
static bool kind_of(const SpdmResponder *s, uint32_t algorithm, SpdmKeyKind *kind)
{
    for (unsigned i = 0; i < ARRAY_LEN(made_kinds); i++) {
        *kind = made_kinds[i];
        if (spdm_key_algorithm_bit(*kind) == algorithm && (spdm_asyms_of(*kind) & s->config.algorithms.asym) != 0) {
            return true;
        }
    }
    return false;
}

static uint32_t algorithms_of(const SpdmResponder *s, const SpdmKeyPair *pair)
{
    uint32_t    all = 0;
    SpdmKeyKind kind;

    for (unsigned i = 0; pair->made != NULL && i < ARRAY_LEN(made_kinds); i++) {
        all |= kind_of(s, spdm_key_algorithm_bit(made_kinds[i]), &kind) ? spdm_key_algorithm_bit(made_kinds[i]) : 0;
    }
    return pair->made != NULL ? all : spdm_key_algorithm_bit(pair->key->kind);
}

static uint32_t current_algorithm(const SpdmKeyPair *pair)
{
    return pair->made == NULL || pair->made->has_kind ? spdm_key_algorithm_bit(pair->key->kind) : 0;
}

SPDM_REQUEST(GET_KEY_PAIR_INFO, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_GET_KEY_PAIR_INFO, .where = SPDM_ANYWHERE)
{
    uint8_t     id = br_u8(req), algorithm[ALGORITHM_MAX];
    SpdmKeyPair pair;
    size_t      len = 0;

    if (!spdm_message_ends(req) || !spdm_key_pair(s, id, &pair)) {
        return SPDM_INVALID_REQUEST;
    }
    if (pair.key->len != 0) {
        len = spdm_key_algorithm(pair.key, s->config.entropy, algorithm, sizeof(algorithm));
        if (len == 0) {
            return SPDM_UNSPECIFIED;
        }
    }
    spdm_reply(s, x, rsp, 0, 0);
    bw_u8(rsp, (uint8_t)(own_pairs(s) + made_pairs(s)));
    bw_u8(rsp, id);
    bw_u16(rsp, pair.made != NULL                                         ? CAN_ALL
                : spdm_capabilities(s) & SPDM_CAP_SET_KEY_PAIR_INFO ? CAN_CHANGE_USAGE
                                                                          : 0);
    bw_u16(rsp, all_uses(s)); /* KeyUsageCapabilities, CurrentKeyUsage */
    bw_u16(rsp, pair.key->len != 0 ? spdm_uses_of(s, id) : 0);
    bw_u32(rsp, algorithms_of(s, &pair)); /* AsymAlgoCapabilities, CurrentAsymAlgo */
    bw_u32(rsp, current_algorithm(&pair));
    bw_u16(rsp, (uint16_t)len);
    bw_u8(rsp, slots_of(s, id));
    bw_bytes(rsp, algorithm, len);
    if (s->version >= SPDM_VERSION_14) { /* PqcAsymAlgoCapabilities, CurrentPqcAsymAlgo: none */
        bw_u8(rsp, PQC_LEN);
        bw_u32(rsp, 0);
        bw_u8(rsp, PQC_LEN);
        bw_u32(rsp, 0);
    }
    return SPDM_OK;
}

/* What is asked for; nothing of it in an erasure. False: of a post-quantum algorithm, too, and there is none. */
static bool read_change(const SpdmResponder *s, ByteReader *req, SpdmPairChange *c)
{
    uint8_t post_quantum = 0;

    br_skip(req, 1);
    c->usage = br_u16(req);
    c->algorithm = br_u32(req);
    c->slots = br_u8(req);
    for (unsigned n = s->version >= SPDM_VERSION_14 ? br_u8(req) : 0; n != 0; n--) {
        post_quantum |= br_u8(req);
    }
    return post_quantum == 0;
}

/* What the pair's capabilities let be asked for. */
static bool change_is_possible(const SpdmResponder *s, const SpdmKeyPair *pair, const SpdmPairChange *c)
{
    SpdmKeyKind kind;

    if (c->operation > GENERATE || (c->usage & ~all_uses(s)) != 0) {
        return false;
    }
    if (pair->made == NULL) {
        return c->operation == CHANGE && c->algorithm == 0 && (c->slots == 0 || c->slots == slots_of(s, pair->number));
    }
    return c->algorithm == 0 || kind_of(s, c->algorithm, &kind);
}

/* What kind the pair would be of then; false: none has been chosen. */
static bool kind_after(const SpdmResponder *s, const SpdmKeyPair *pair, const SpdmPairChange *c, SpdmKeyKind *kind)
{
    *kind = pair->key->kind;
    return c->algorithm != 0 ? kind_of(s, c->algorithm, kind) : pair->made == NULL || pair->made->has_kind;
}

/* Slots that would be taken from another pair of that kind, or from certificates that are for this one. */
static bool slots_conflict(const SpdmResponder *s, const SpdmKeyPair *pair, SpdmKeyKind kind, uint8_t slots)
{
    for (size_t i = 0; i < s->config.n_identities; i++) {
        const SpdmIdentity *id = &s->config.identities[i];
        bool                wanted = slots >> id->slot & 1, is_ours = spdm_pair_of(s, id) == pair->number;

        if (id->key.kind == kind && (id->certs_len != 0 || id->pair != 0) &&
            (is_ours ? !wanted && id->certs_len != 0 : wanted)) {
            return true;
        }
    }
    return false;
}

/* Slots that another pair of that kind gets with the next reset. */
static bool slots_are_promised(const SpdmResponder *s, uint8_t number, SpdmKeyKind kind, uint8_t slots)
{
    SpdmKeyPair other;
    SpdmKeyKind others;

    for (uint8_t n = 1; spdm_key_pair(s, n, &other); n++) {
        const SpdmPairChange *c = &s->config.provisions->changes[n - 1];

        if (n != number && c->waits && (c->slots & slots) != 0 && kind_after(s, &other, c, &others) && others == kind) {
            return true;
        }
    }
    return false;
}

/* Certificates for the pair wait for a reset. */
static bool is_awaited(const SpdmResponder *s, uint8_t pair)
{
    const SpdmProvisions *p = s->config.provisions;
    bool                  found = false;

    for (unsigned slot = 0; slot < SPDM_SLOTS; slot++) {
        found |= (p->staged_slots >> slot & 1) && p->staged[slot].pair == pair;
    }
    return found;
}

static void give_slots(SpdmResponder *s, const SpdmKeyPair *pair, uint8_t slots)
{
    for (size_t i = 0; i < s->config.n_identities; i++) {
        SpdmIdentity *id = &s->config.provisions->identities[i];

        if (id->pair == pair->number && !(slots >> id->slot & 1)) {
            id->pair = 0;
        }
    }
    for (uint8_t slot = 0; slot < SPDM_SLOTS; slot++) {
        if (slots >> slot & 1) {
            spdm_place_for(s, slot, pair->key->kind)->pair = pair->number;
        }
    }
}

/* Whether the pair is in a state for it. */
static SpdmError check_change(const SpdmResponder *s, const SpdmKeyPair *pair, const SpdmPairChange *c)
{
    SpdmKeyKind kind;
    bool        has_kind = kind_after(s, pair, c, &kind);

    if (pair->made == NULL) {
        return SPDM_OK;
    }
    if (c->operation != CHANGE && (slots_of(s, pair->number) != 0 || is_awaited(s, pair->number))) {
        return SPDM_OPERATION_FAILED;
    }
    if (c->operation == CHANGE && pair->key->len != 0 && kind != pair->key->kind) {
        return SPDM_INVALID_REQUEST; /* a key has its algorithm */
    }
    return (has_kind || (c->slots == 0 && c->operation != GENERATE)) && !slots_conflict(s, pair, kind, c->slots) &&
                   !slots_are_promised(s, pair->number, kind, c->slots)
               ? SPDM_OK
               : SPDM_OPERATION_FAILED;
}

/* Of a pair that was made, or is to be. */
static SpdmError change_made(SpdmResponder *s, const SpdmKeyPair *pair, const SpdmPairChange *c)
{
    SpdmKeyKind kind;
    bool        has_kind = kind_after(s, pair, c, &kind);

    if (c->operation == ERASE) {
        spdm_wipe(pair->made, sizeof(*pair->made));
        return SPDM_OK;
    }
    if (c->operation == GENERATE) {
        SpdmPrivateKey key;

        if (!spdm_private_key_generate(kind, s->config.entropy, &key)) {
            return SPDM_OPERATION_FAILED;
        }
        *pair->made = (SpdmMadePair){ true, key };
        spdm_wipe(&key, sizeof(key));
    } else if (has_kind && pair->key->len == 0) {
        pair->made->has_kind = true;
        pair->made->key.kind = kind;
    }
    give_slots(s, pair, c->slots);
    return SPDM_OK;
}

static SpdmError change_pair(SpdmResponder *s, const SpdmKeyPair *pair, const SpdmPairChange *c)
{
    uint16_t *usage_off = &s->config.provisions->usage_off[pair->number - 1];
    SpdmError e = pair->made != NULL ? change_made(s, pair, c) : SPDM_OK;

    if (e == SPDM_OK) {
        *usage_off = c->operation == ERASE ? 0 : c->usage != 0 ? (uint16_t)~c->usage : *usage_off;
    }
    return e;
}

/* Whether the pair would be as it is. */
static bool changes_nothing(const SpdmResponder *s, const SpdmKeyPair *pair, const SpdmPairChange *c)
{
    return c->operation == CHANGE && (c->usage == 0 || c->usage == spdm_uses_of(s, pair->number)) &&
           (c->algorithm == 0 || c->algorithm == current_algorithm(pair)) &&
           (pair->made == NULL || c->slots == slots_of(s, pair->number));
}

void spdm_change_awaited_pairs(SpdmResponder *s)
{
    SpdmKeyPair pair;

    for (uint8_t n = 1; spdm_key_pair(s, n, &pair); n++) {
        SpdmPairChange *c = &s->config.provisions->changes[n - 1];

        if (c->waits && check_change(s, &pair, c) == SPDM_OK) {
            (void)change_pair(s, &pair, c);
        }
        *c = (SpdmPairChange){ 0 };
    }
}

/* What is done holds through resets; with SET_KEY_PAIR_RESET_CAP (1.4) it begins with one, and until then a later
 * request for the same pair takes its place. */
SPDM_REQUEST(SET_KEY_PAIR_INFO, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_SET_KEY_PAIR_INFO, .where = SPDM_ANYWHERE)
{
    SpdmProvisions *p = s->config.provisions;
    SpdmPairChange  change = { .operation = x->param1 };
    uint8_t         number = br_u8(req);
    bool            known = true;
    SpdmKeyPair     pair;
    SpdmError       e;

    if (x->param1 != ERASE) {
        known = read_change(s, req, &change);
    } else if (br_left(req) >= 4) {
        br_skip(req, br_left(req)); /* what an erasure has behind the number counts for nothing */
    }
    if (!spdm_message_ends(req) || !known || p == NULL || !spdm_key_pair(s, number, &pair) ||
        !change_is_possible(s, &pair, &change)) {
        return SPDM_INVALID_REQUEST;
    }
    e = check_change(s, &pair, &change);
    if (e == SPDM_OK) {
        change.waits = (spdm_capabilities(s) & SPDM_CAP_SET_KEY_PAIR_RESET) && !changes_nothing(s, &pair, &change);
        p->changes[number - 1] = change;
        e = change.waits ? SPDM_RESET_REQUIRED : change_pair(s, &pair, &change);
    }
    if (e == SPDM_OK) {
        spdm_reply(s, x, rsp, 0, 0);
    }
    return e;
}
