/*
 * The responder's side of negotiation: GET_VERSION, GET_CAPABILITIES, NEGOTIATE_ALGORITHMS. DMTF DSP0274 1.2,
 * message sections of those names, and those of 1.1 and 1.3 where they differ.
 */
#include "spdm/responder.h"

#define CT_EXPONENT        20 /* 2^20 us: what a signature may take; RMM profile value */
#define CT_EXPONENT_MAX    31
#define ALGORITHMS_REQ_LEN 32
#define ALGORITHMS_RSP_LEN 36
#define ALGORITHMS_LEN_MAX 128 /* NEGOTIATE_ALGORITHMS, Length: 64 in 1.0 */
#define EXT_ALGS_MAX       20
#define ALG_TABLES_MAX     6 /* 1.4; 4 before */
#define ASK_ALGORITHMS     BIT(0)
#define SUPPORTED_LEN      30 /* of a Supported Algorithms block without tables */

/* GET_VERSION starts the connection anew, whatever was going on. */
SPDM_REQUEST(GET_VERSION, .from = SPDM_NOT_STARTED, .to = SPDM_AFTER_VERSION, .where = SPDM_OUTSIDE,
             .kept = SPDM_KEPT_A)
{
    unsigned first = s->config.version_min, last = s->config.version_max;

    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    spdm_responder_reset(s);
    spdm_reply(s, x, rsp, 0, 0);
    bw_u8(rsp, 0);
    bw_u8(rsp, (uint8_t)(last - first + 1)); /* VersionNumberEntryCount */
    for (unsigned v = first; v <= last; v++) {
        bw_u16(rsp, (uint16_t)(v << 8)); /* 15:12 major, 11:8 minor, 7:0 update and alpha */
    }
    return SPDM_OK;
}

/* The same, for what 1.3 brought. */
static bool flags_of_13_are_consistent(uint32_t f)
{
    uint32_t ep_info = f & SPDM_CAP_EP_INFO, multi_key = f & SPDM_CAP_MULTI_KEY;
    bool     identity = (f & SPDM_CAP_CERT) || (f & SPDM_CAP_PUB_KEY_ID);
    bool     session = (f & SPDM_CAP_KEY_EX) || (f & SPDM_CAP_PSK);

    return ep_info != SPDM_CAP_EP_INFO && (identity || ep_info != SPDM_CAP_EP_INFO_SIG) &&
           (session || !(f & SPDM_CAP_EVENT)) && multi_key != SPDM_CAP_MULTI_KEY &&
           (multi_key == 0 || ((f & SPDM_CAP_CERT) && !(f & SPDM_CAP_PUB_KEY_ID)));
}

/* DSP0274 "Flag fields definitions for the Requester": combinations that a responder must refuse. */
static bool flags_are_consistent(uint8_t version, uint32_t f)
{
    uint32_t psk = f & SPDM_CAP_PSK;
    bool     key_ex = f & SPDM_CAP_KEY_EX, session = key_ex || psk != 0;
    bool     identity = (f & SPDM_CAP_CERT) || (f & SPDM_CAP_PUB_KEY_ID);
    bool     chal = f & SPDM_CAP_CHAL, mut_auth = f & SPDM_CAP_MUT_AUTH;
    bool     is_13 = version >= SPDM_VERSION_13, signs_info = is_13 && (f & SPDM_CAP_EP_INFO) == SPDM_CAP_EP_INFO_SIG;
    bool     protects = f & (SPDM_CAP_ENCRYPT | SPDM_CAP_MAC);
    uint32_t of_sessions =
        SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_HANDSHAKE_IN_THE_CLEAR | SPDM_CAP_HBEAT | SPDM_CAP_KEY_UPD;

    return psk != 2u << 10 && psk != 3u << 10 && (!session || protects) &&
           (session || (f & of_sessions) == 0) &&
           (key_ex || psk == 0 || !(f & SPDM_CAP_HANDSHAKE_IN_THE_CLEAR)) &&
           !((f & SPDM_CAP_CERT) && (f & SPDM_CAP_PUB_KEY_ID)) && (!identity || chal || key_ex || signs_info) &&
           (!(chal || mut_auth) || identity) && (!mut_auth || key_ex || chal) &&
           (!mut_auth || version != SPDM_VERSION_11 || (f & SPDM_CAP_ENCAP)) &&
           (!is_13 || flags_of_13_are_consistent(f));
}

/* 1.3, Param1 bit 0: the answer shall hold the supported algorithms, which takes CHUNK_CAP on both sides. Without it
 * here, the answer comes without them. */
static bool may_ask_algorithms(const SpdmExchange *x, uint32_t flags)
{
    return x->version < SPDM_VERSION_13 || !(x->param1 & ASK_ALGORITHMS) || (flags & SPDM_CAP_CHUNK);
}

/* DSP0274 1.3 "Supported Algorithms block": what NEGOTIATE_ALGORITHMS could choose from. */
static void append_supported_algorithms(const SpdmResponder *s, ByteWriter *rsp)
{
    SpdmAlgMasks ours = s->config.algorithms;
    const struct {
        uint8_t  type;
        uint16_t supported;
    } tables[] = { { SPDM_ALG_DHE, ours.dhe & SPDM_DHE_MASK },
                   { SPDM_ALG_AEAD, ours.aead },
                   { SPDM_ALG_KEY_SCHEDULE, SPDM_KEY_SCHEDULE },
                   { SPDM_ALG_KEM, ours.dhe >> SPDM_KEM_SHIFT } };
    unsigned n = ARRAY_LEN(tables) - (s->version < SPDM_VERSION_14 || ours.dhe >> SPDM_KEM_SHIFT == 0);

    bw_u8(rsp, (uint8_t)n);
    bw_u8(rsp, 0);
    bw_u16(rsp, (uint16_t)(SUPPORTED_LEN + 4 * n));
    bw_u8(rsp, SPDM_MEAS_SPEC_DMTF);
    bw_u8(rsp, SPDM_OPAQUE_FMT1 | (spdm_capabilities(s) & SPDM_CAP_MULTI_KEY ? SPDM_MULTI_KEY_CONN : 0));
    bw_u32(rsp, ours.asym);
    bw_u32(rsp, ours.hash);
    bw_zero(rsp, 12 + 2 + 1); /* reserved, no external algorithms */
    bw_u8(rsp, spdm_capabilities(s) & SPDM_CAP_MEL ? SPDM_MEL_SPEC_DMTF : 0);
    for (unsigned i = 0; i < n; i++) {
        bw_u8(rsp, tables[i].type);
        bw_u8(rsp, 0x20);
        bw_u16(rsp, tables[i].supported);
    }
}

SPDM_REQUEST(GET_CAPABILITIES, .from = SPDM_AFTER_VERSION, .to = SPDM_AFTER_CAPABILITIES, .exactly = true,
             .where = SPDM_OUTSIDE, .kept = SPDM_KEPT_A)
{
    bool     has_sizes = x->version >= SPDM_VERSION_12, shows_algorithms;
    uint8_t  ct_exponent;
    uint32_t flags, transfer_size, max_size;

    br_skip(req, 1);
    ct_exponent = br_u8(req);
    br_skip(req, 2);
    flags = br_u32(req);
    transfer_size = has_sizes ? br_u32(req) : SPDM_MSG_MAX;
    max_size = has_sizes ? br_u32(req) : SPDM_MSG_MAX;
    if (!spdm_message_ends(req) || ct_exponent > CT_EXPONENT_MAX || !flags_are_consistent(x->version, flags) ||
        transfer_size < SPDM_DATA_TRANSFER_MIN || transfer_size > max_size ||
        (!(flags & SPDM_CAP_CHUNK) && transfer_size != max_size) || !may_ask_algorithms(x, flags)) {
        return SPDM_INVALID_REQUEST;
    }
    s->version = x->version; /* the dispatcher has checked that it is one of ours */
    s->peer_capabilities = (uint32_t)(flags & spdm_capability_mask(x->version));
    s->peer_transfer_size = transfer_size;
    s->peer_max_size = max_size;
    x->room = x->room < transfer_size ? x->room : transfer_size;
    shows_algorithms = x->version >= SPDM_VERSION_13 && (x->param1 & ASK_ALGORITHMS) && spdm_chunks_agreed(s);
    spdm_reply(s, x, rsp, shows_algorithms ? ASK_ALGORITHMS : 0, 0);
    bw_u8(rsp, 0);
    bw_u8(rsp, CT_EXPONENT);
    bw_u16(rsp, (uint16_t)(spdm_capabilities(s) >> SPDM_CAP_EXT_SHIFT));
    bw_u32(rsp, (uint32_t)spdm_capabilities(s));
    if (has_sizes) {
        bw_u32(rsp, s->config.transfer_size);
        /* MaxSPDMmsgSize: without CHUNK it is the same */
        bw_u32(rsp, spdm_capabilities(s) & SPDM_CAP_CHUNK ? SPDM_MSG_MAX : s->config.transfer_size);
    }
    if (shows_algorithms) {
        append_supported_algorithms(s, rsp);
    }
    if (!spdm_fits(s, x, rsp)) { /* nothing was agreed */
        s->version = 0;
        s->peer_capabilities = s->peer_transfer_size = s->peer_max_size = 0;
        return SPDM_RESPONSE_TOO_LARGE;
    }
    return SPDM_OK;
}

/* What a requester offers, as read. */
typedef struct Offer {
    uint8_t  measure_spec, other_params, mel_spec, n_tables;
    uint32_t asym, hash;
    uint8_t  type[ALG_TABLES_MAX];
    uint16_t supported[ALG_TABLES_MAX];
} Offer;

/* One algorithm structure table: AlgType, AlgCount, AlgSupported, external algorithms (none is known
 * here). */
static bool read_table(ByteReader *req, uint8_t version, Offer *o, unsigned n, unsigned *ext_algs)
{
    uint8_t  type = br_u8(req), count = br_u8(req);
    uint8_t  last = version >= SPDM_VERSION_14 ? SPDM_ALG_KEM : SPDM_ALG_KEY_SCHEDULE;
    unsigned ext = count & 0xf;
    bool     ascending = n == 0 || type > o->type[n - 1];

    o->type[n] = type;
    o->supported[n] = br_u16(req);
    br_skip(req, 4 * (size_t)ext);
    *ext_algs += ext;
    return ascending && type >= SPDM_ALG_DHE && type <= last && count >> 4 == 2 &&
           (o->supported[n] != 0 || ext != 0);
}

static bool read_offer(ByteReader *req, uint8_t version, uint8_t n_tables, Offer *o)
{
    size_t   len = br_u16(req);
    unsigned ext_asym, ext_hash, ext_algs;

    *o = (Offer){ .n_tables = n_tables };
    o->measure_spec = br_u8(req);
    o->other_params = br_u8(req);
    o->asym = br_u32(req);
    o->hash = br_u32(req);
    br_skip(req, 12); /* 1.4: PqcAsymAlgo, and none of them is had here */
    ext_asym = br_u8(req);
    ext_hash = br_u8(req);
    br_skip(req, 1);
    o->mel_spec = br_u8(req); /* 1.3 */
    br_skip(req, 4 * (size_t)(ext_asym + ext_hash));
    ext_algs = ext_asym + ext_hash;
    if (!br_ok(req) || n_tables > ALG_TABLES_MAX) {
        return false;
    }
    for (unsigned n = 0; n < n_tables; n++) {
        if (!read_table(req, version, o, n, &ext_algs)) {
            return false;
        }
    }
    return spdm_message_ends(req) && len == spdm_parsed_len(req) && len <= ALGORITHMS_LEN_MAX &&
           ext_algs <= EXT_ALGS_MAX;
}

/* What is selected in a table. */
static uint16_t table_selection(const SpdmSelection *sel, uint8_t type)
{
    switch (type) {
    case SPDM_ALG_DHE:
        return sel->dhe & SPDM_DHE_MASK;
    case SPDM_ALG_KEM:
        return sel->dhe >> SPDM_KEM_SHIFT;
    case SPDM_ALG_AEAD:
        return sel->aead;
    case SPDM_ALG_REQ_ASYM:
        return sel->req_asym;
    case SPDM_ALG_KEY_SCHEDULE:
        return sel->key_schedule;
    default:
        return 0; /* of requesters' post-quantum signatures there are none here */
    }
}

/* What is offered in tables of that type; 0: there is no such table. */
static uint16_t offered_in(const Offer *o, uint8_t type)
{
    for (unsigned n = 0; n < o->n_tables; n++) {
        if (o->type[n] == type) {
            return o->supported[n];
        }
    }
    return 0;
}

/* Both tables of key exchanges; one algorithm of one of them is selected. */
static uint16_t offered_exchanges(const Offer *o)
{
    return (uint16_t)((offered_in(o, SPDM_ALG_DHE) & SPDM_DHE_MASK) | offered_in(o, SPDM_ALG_KEM) << SPDM_KEM_SHIFT);
}

/* MeasurementHashAlgo is the responder's alone to choose: the base hash where it may. */
static uint32_t select_measure_hash(const SpdmAlgMasks *ours, uint32_t hash)
{
    const SpdmHash *base = spdm_hash(hash);
    uint32_t        mask = ours->measure_hash;

    if (base != NULL && (mask & base->measure_bit)) {
        return base->measure_bit;
    }
    return (mask & ~SPDM_MEASURE_RAW) != 0 ? spdm_prefer_measure_hash(mask) : SPDM_MEASURE_RAW;
}

static bool exchanges_keys(const SpdmResponder *s)
{
    return (s->config.capabilities & s->peer_capabilities & SPDM_CAP_KEY_EX) != 0;
}

static bool opens_sessions(const SpdmResponder *s)
{
    return exchanges_keys(s) || ((s->config.capabilities & SPDM_CAP_PSK) && (s->peer_capabilities & SPDM_CAP_PSK));
}

/* The most preferred of what both sides have, where what they can do needs one of that kind. */
static SpdmSelection select_algorithms(const SpdmResponder *s, const Offer *o)
{
    SpdmAlgMasks  ours = s->config.algorithms;
    uint32_t      caps = s->config.capabilities;
    bool          measures = caps & SPDM_CAP_MEAS;
    SpdmSelection sel = { 0 };

    sel.hash = spdm_prefer_hash(o->hash & ours.hash);
    sel.asym = spdm_prefer_asym(o->asym & ours.asym);
    if (measures && o->measure_spec & SPDM_MEAS_SPEC_DMTF) {
        sel.measure_spec = SPDM_MEAS_SPEC_DMTF;
        sel.measure_hash = select_measure_hash(&ours, sel.hash);
    }
    sel.mel_spec = spdm_capabilities(s) & SPDM_CAP_MEL && measures ? o->mel_spec & SPDM_MEL_SPEC_DMTF : 0;
    sel.other_params = s->version >= SPDM_VERSION_12 ? o->other_params & SPDM_OPAQUE_FMT1 : 0;
    sel.dhe = exchanges_keys(s) ? spdm_prefer_dhe(ours.dhe & offered_exchanges(o)) : 0;
    sel.aead = opens_sessions(s) ? spdm_prefer_aead(ours.aead & offered_in(o, SPDM_ALG_AEAD)) : 0;
    sel.key_schedule = opens_sessions(s) ? SPDM_KEY_SCHEDULE & offered_in(o, SPDM_ALG_KEY_SCHEDULE) : 0;
    sel.req_asym =
        spdm_mutual_agreed(s) ? (uint16_t)spdm_prefer_asym(ours.asym & offered_in(o, SPDM_ALG_REQ_ASYM)) : 0;
    return sel;
}

/* DSP0274 1.3 "NEGOTIATE_ALGORITHMS", ResponderMultiKeyConn: the requester's to choose where MULTI_KEY_CAP lets it. */
static bool multi_key_is_possible(const SpdmResponder *s, bool asked)
{
    uint32_t ours = spdm_capabilities(s) & SPDM_CAP_MULTI_KEY;

    return s->version < SPDM_VERSION_13 || ours == SPDM_CAP_MULTI_KEY_NEG || asked == (ours == SPDM_CAP_MULTI_KEY_ONLY);
}

/* Whether the selection lets both sides use what they announced. */
static bool selection_suffices(const SpdmResponder *s, const SpdmSelection *sel)
{
    if (sel->hash == 0 || (sel->asym == 0 && (s->config.capabilities & SPDM_CAP_CERT))) {
        return false; /* certificates and signatures need them */
    }
    return (!exchanges_keys(s) || sel->dhe != 0) &&
           (!opens_sessions(s) || (sel->aead != 0 && sel->key_schedule != 0 &&
                                   (s->version < SPDM_VERSION_12 || sel->other_params == SPDM_OPAQUE_FMT1)));
}

SPDM_REQUEST(NEGOTIATE_ALGORITHMS, .from = SPDM_AFTER_CAPABILITIES, .to = SPDM_NEGOTIATED, .exactly = true,
             .where = SPDM_OUTSIDE, .kept = SPDM_KEPT_A)
{
    SpdmSelection sel;
    Offer         o;

    if (!read_offer(req, s->version, x->param1, &o)) {
        return SPDM_INVALID_REQUEST;
    }
    sel = select_algorithms(s, &o);
    if (!selection_suffices(s, &sel) || !multi_key_is_possible(s, o.other_params & SPDM_MULTI_KEY_CONN)) {
        return SPDM_INVALID_REQUEST;
    }
    s->selected = sel;
    s->multi_key = (spdm_capabilities(s) & SPDM_CAP_MULTI_KEY) && (o.other_params & SPDM_MULTI_KEY_CONN);
    spdm_reply(s, x, rsp, o.n_tables, 0);
    bw_u16(rsp, (uint16_t)(ALGORITHMS_RSP_LEN + 4 * o.n_tables));
    bw_u8(rsp, sel.measure_spec);
    bw_u8(rsp, sel.other_params | (spdm_requester_has_keys(s) ? SPDM_MULTI_KEY_CONN : 0));
    bw_u32(rsp, sel.measure_hash);
    bw_u32(rsp, sel.asym);
    bw_u32(rsp, sel.hash);
    bw_zero(rsp, 11);
    bw_u8(rsp, sel.mel_spec);
    bw_zero(rsp, 2 + 2); /* no external algorithms */
    for (unsigned n = 0; n < o.n_tables; n++) {
        bw_u8(rsp, o.type[n]);
        bw_u8(rsp, 0x20);
        bw_u16(rsp, table_selection(&sel, o.type[n]));
    }
    return SPDM_OK;
}
