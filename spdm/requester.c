/*
 * The requester: one step per message, in a table. An operation is a run of steps; each step builds its
 * request and reads its response, then names the next. DMTF DSP0274 1.2, message sections of the steps'
 * names, and those of 1.1 and 1.3 where they differ.
 *
 * Nothing is believed before it is covered: DIGESTS must match the chain, KEY_EXCHANGE_RSP must carry the
 * signature of the public key that was given, over a transcript that holds everything said so far.
 */
#include "spdm/requester.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spdm/caps.h"
#include "spdm/carry.h"
#include "spdm/record.h"

#define CT_EXPONENT 20
#define CERT_PORTION_MAX 1024 /* of a chain or log: what a peer of any size can serve; the rest comes in more pieces */
#define INDEX_ALL        0xff
#define CHAIN_HEADER_LEN 4
#define SLOT_MASK        0xf /* of MEASUREMENTS, Param2 */
#define SET_CERTIFICATE_ERASE BIT(7)

typedef struct Step {
    SpdmOp  op;
    uint8_t code;
    /* Writes what follows the code byte; false: reason in r->error. */
    bool (*build)(SpdmRequester *r, ByteWriter *w);
    StepResult (*read)(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2);
    bool (*when)(const SpdmRequester *r); /* whether the step is made; NULL: always */
} Step;

bool spdm_requester_fail(SpdmRequester *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->error, sizeof(r->error), format, args);
    va_end(args);
    return false;
}

/* Part A of all transcripts, and the VCA object of the RMM. */
static StepResult keep_vca(SpdmRequester *r, const ByteReader *rsp)
{
    SpdmSpan reply = reply_span(rsp);

    spdm_transcript_add(&r->a, r->request, r->request_len);
    spdm_transcript_add(&r->a, reply.data, reply.len);
    r->cache = (SpdmCache){ SPDM_OBJECT_VCA, 0, r->request_len, 0, (uint32_t)reply.len };
    return STEP_NEXT;
}

/* ---- connect ------------------------------------------------------------------------------------------- */

static bool build_get_version(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    return true;
}

static StepResult read_version(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    uint8_t first = r->offer.version_min, last = r->offer.version_max;

    br_skip(rsp, 1);
    for (unsigned n = br_u8(rsp); n != 0; n--) {
        uint8_t version = (uint8_t)(br_u16(rsp) >> 8); /* 15:12 major, 11:8 minor */

        if (version >= first && version <= last && version > r->version) {
            r->version = version;
        }
    }
    if (!spdm_message_ends(rsp)) {
        return step_fail(r, "VERSION has a wrong length");
    }
    if (r->version == 0) {
        spdm_requester_fail(r, "the device offers no SPDM version from %u.%u to %u.%u", first >> 4, first & 0xf,
                            last >> 4, last & 0xf);
        return STEP_FAILED;
    }
    return keep_vca(r, rsp);
}

static bool build_get_capabilities(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    bw_u8(w, 0);
    bw_u8(w, CT_EXPONENT);
    bw_u16(w, 0);
    bw_u32(w, spdm_requester_capabilities(r));
    if (r->version >= SPDM_VERSION_12) {
        bw_u32(w, r->options.transfer_size != 0 ? r->options.transfer_size : SPDM_MSG_MAX); /* DataTransferSize */
        bw_u32(w, SPDM_MSG_MAX);                                                            /* MaxSPDMmsgSize */
    }
    return true;
}

static StepResult read_capabilities(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    const uint32_t sealed = SPDM_CAP_ENCRYPT | SPDM_CAP_MAC, certified = sealed | SPDM_CAP_CERT | SPDM_CAP_KEY_EX;
    const char    *why;
    uint64_t       extended;

    br_skip(rsp, 2);
    extended = br_u16(rsp);
    r->peer_capabilities = (br_u32(rsp) | extended << SPDM_CAP_EXT_SHIFT) & spdm_capability_mask(r->version);
    r->peer_transfer_size = r->peer_max_size = SPDM_MSG_MAX; /* 1.1 does not say */
    if (r->version >= SPDM_VERSION_12) {
        r->peer_transfer_size = br_u32(rsp);
        r->peer_max_size = br_u32(rsp);
    }
    if (!spdm_message_ends(rsp) || r->peer_transfer_size < SPDM_DATA_TRANSFER_MIN ||
        r->peer_max_size < r->peer_transfer_size ||
        (!(r->peer_capabilities & SPDM_CAP_CHUNK) && r->peer_max_size != r->peer_transfer_size)) {
        return step_fail(r, "CAPABILITIES has a wrong length or transfer size");
    }
    why = spdm_caps_contradiction(r->version, r->peer_capabilities);
    if (why != NULL) {
        return step_fail(r, why);
    }
    if (r->options.psk.key_len != 0) {
        if ((r->peer_capabilities & sealed) != sealed || (r->peer_capabilities & SPDM_CAP_PSK) == 0) {
            return step_fail(r, "the device has no sessions from a pre-shared key");
        }
    } else if ((r->peer_capabilities & certified) != certified || (r->peer_capabilities & SPDM_CAP_MEAS) == 0) {
        return step_fail(r, "the device lacks certificates, measurements or protected sessions");
    }
    return keep_vca(r, rsp);
}

/* OtherParamsSupport came with 1.2. */
static uint8_t opaque_format(const SpdmRequester *r) { return r->version >= SPDM_VERSION_12 ? SPDM_OPAQUE_FMT1 : 0; }

/* Slots of the device may have keys of their own, which is not for us to say if they always do. */
static bool multi_key(const SpdmRequester *r)
{
    uint32_t theirs = r->peer_capabilities & SPDM_CAP_MULTI_KEY;

    return r->version >= SPDM_VERSION_13 &&
           (theirs == SPDM_CAP_MULTI_KEY_ONLY || (theirs == SPDM_CAP_MULTI_KEY_NEG && r->options.multi_key));
}

/* What is offered for the requester's own key. Types must not be offered empty; without MUT_AUTH it has no use. */
static uint32_t own_asyms(const SpdmRequester *r)
{
    return r->identity != NULL ? spdm_asyms_of(r->identity->key.kind) & spdm_algorithms_known().asym
                               : r->offer.algorithms.asym;
}

typedef struct AlgTable {
    uint8_t  type;
    uint16_t supported; /* 0: it is not offered */
} AlgTable;

enum { ALG_TABLES = 5 };

static void list_tables(const SpdmRequester *r, AlgTable table[ALG_TABLES])
{
    uint16_t dhe = r->offer.algorithms.dhe;

    table[0] = (AlgTable){ SPDM_ALG_DHE, dhe & SPDM_DHE_MASK };
    table[1] = (AlgTable){ SPDM_ALG_AEAD, r->offer.algorithms.aead };
    table[2] = (AlgTable){ SPDM_ALG_REQ_ASYM, (uint16_t)own_asyms(r) };
    table[3] = (AlgTable){ SPDM_ALG_KEY_SCHEDULE, SPDM_KEY_SCHEDULE };
    table[4] = (AlgTable){ SPDM_ALG_KEM, r->version >= SPDM_VERSION_14 ? dhe >> SPDM_KEM_SHIFT : 0 };
}

static bool build_negotiate_algorithms(SpdmRequester *r, ByteWriter *w)
{
    const SpdmAlgMasks ours = r->offer.algorithms;
    AlgTable           tables[ALG_TABLES];
    unsigned           n = 0;

    list_tables(r, tables);
    for (unsigned i = 0; i < ALG_TABLES; i++) {
        n += tables[i].supported != 0;
    }
    params(w, (uint8_t)n, 0);
    bw_u16(w, (uint16_t)(32 + 4 * n));
    bw_u8(w, SPDM_MEAS_SPEC_DMTF);
    bw_u8(w, opaque_format(r) | (multi_key(r) ? SPDM_MULTI_KEY_CONN : 0));
    bw_u32(w, ours.asym);
    bw_u32(w, ours.hash);
    bw_zero(w, 12 + 3);
    bw_u8(w, r->version >= SPDM_VERSION_13 ? SPDM_MEL_SPEC_DMTF : 0);
    for (unsigned i = 0; i < ALG_TABLES; i++) {
        if (tables[i].supported != 0) {
            bw_u8(w, tables[i].type);
            bw_u8(w, 0x20);
            bw_u16(w, tables[i].supported);
        }
    }
    return true;
}

static bool offers(const SpdmRequester *r, uint8_t type)
{
    AlgTable tables[ALG_TABLES];
    bool     any = false;

    list_tables(r, tables);
    for (unsigned i = 0; i < ALG_TABLES; i++) {
        any |= tables[i].type == type && tables[i].supported != 0;
    }
    return any;
}

/* Tables of types that were offered, each once and in order, without external algorithms; false: others. */
static bool read_tables(const SpdmRequester *r, ByteReader *rsp, unsigned n, SpdmSelection *sel)
{
    bool    fit = true;
    uint8_t last = 0;

    for (; n != 0 && br_ok(rsp); n--) {
        uint8_t  type = br_u8(rsp), count = br_u8(rsp);
        uint16_t selected = br_u16(rsp), most = type == SPDM_ALG_DHE   ? SPDM_DHE_MASK
                                                : type == SPDM_ALG_KEM ? UINT16_MAX >> SPDM_KEM_SHIFT
                                                                       : UINT16_MAX;

        fit = fit && type > last && offers(r, type) && count == 0x20 && (selected & ~most) == 0;
        last = type;
        sel->dhe |= type == SPDM_ALG_DHE ? selected : type == SPDM_ALG_KEM ? (uint16_t)(selected << SPDM_KEM_SHIFT) : 0;
        sel->aead = type == SPDM_ALG_AEAD ? selected : sel->aead;
        sel->req_asym = type == SPDM_ALG_REQ_ASYM ? selected : sel->req_asym;
        sel->key_schedule = type == SPDM_ALG_KEY_SCHEDULE ? selected : sel->key_schedule;
    }
    return fit;
}

/* Exactly one bit of those offered, and one that is known here; there may be none of what the device does not need.
 * (The public emulators select something then, as they do for a requester's key without MUT_AUTH.) */
static bool selection_is_ours(const SpdmRequester *r)
{
    const SpdmSelection *sel = &r->selected;
    const SpdmAlgMasks  *ours = &r->offer.algorithms;
    uint32_t             caps = r->peer_capabilities;
    bool                 measures = sel->measure_spec == SPDM_MEAS_SPEC_DMTF && sel->measure_hash != 0;
    bool                 asym = (sel->asym & ours->asym) != 0 && spdm_asym(sel->asym) != NULL;
    bool                 req_asym = (sel->req_asym & own_asyms(r)) != 0 && spdm_asym(sel->req_asym) != NULL;
    bool                 dhe = (sel->dhe & ours->dhe) != 0 && spdm_dhe(sel->dhe) != NULL;

    return (asym || (sel->asym == 0 && !(caps & SPDM_CAP_CERT))) && (sel->hash & ours->hash) != 0 &&
           spdm_hash(sel->hash) != NULL && (dhe || (sel->dhe == 0 && !(caps & SPDM_CAP_KEY_EX))) &&
           (sel->aead & ours->aead) != 0 && spdm_aead(sel->aead) != NULL && sel->key_schedule == SPDM_KEY_SCHEDULE &&
           (req_asym || sel->req_asym == 0) && (measures || !(caps & SPDM_CAP_MEAS));
}

static StepResult read_algorithms(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    SpdmSelection *sel = &r->selected;
    size_t         len = br_u16(rsp);
    uint8_t        other_params = opaque_format(r) | (spdm_has_own_keys(r) ? SPDM_MULTI_KEY_CONN : 0);
    unsigned       ext_algs;
    bool           tables_fit;

    *sel = (SpdmSelection){ .measure_spec = br_u8(rsp) };
    sel->other_params = br_u8(rsp);
    sel->measure_hash = br_u32(rsp);
    sel->asym = br_u32(rsp);
    sel->hash = br_u32(rsp);
    br_skip(rsp, 11);
    sel->mel_spec = br_u8(rsp);
    ext_algs = br_u8(rsp);
    ext_algs += br_u8(rsp);
    br_skip(rsp, 2 + 4 * (size_t)ext_algs);
    tables_fit = read_tables(r, rsp, param1, sel);
    if (!spdm_message_ends(rsp) || len != spdm_parsed_len(rsp)) {
        return step_fail(r, "ALGORITHMS has a wrong length");
    }
    if (!tables_fit || !selection_is_ours(r) || ext_algs != 0 || sel->other_params != other_params ||
        sel->mel_spec > (r->version >= SPDM_VERSION_13 ? SPDM_MEL_SPEC_DMTF : 0)) {
        return step_fail(r, "the device selected algorithms that were not offered");
    }
    (void)keep_vca(r, rsp);
    r->connected = !(r->peer_capabilities & SPDM_CAP_CERT);
    return r->connected ? STEP_LAST : STEP_NEXT;
}

static bool build_get_digests(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    return true;
}

static StepResult read_digests(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    size_t h = spdm_hash(r->selected.hash)->len, extra = 0;

    r->slot_mask = param2;
    for (unsigned slot = 0; slot < SPDM_SLOTS; slot++) {
        if (slot == r->options.slot) {
            br_bytes(rsp, r->chain_digest, h);
        } else {
            br_skip(rsp, param2 >> slot & 1 ? h : 0);
        }
        extra += param2 >> slot & 1 ? SPDM_DIGEST_EXTRA : 0;
    }
    br_skip(rsp, multi_key(r) ? extra : 0);
    if (!(param2 >> r->options.slot & 1) || !spdm_message_ends(rsp)) {
        spdm_requester_fail(r, "DIGESTS has a wrong length or no certificates in slot %u", r->options.slot);
        return STEP_FAILED;
    }
    spdm_keep_b(r, rsp);
    if (multi_key(r)) {
        r->digests_len = (uint32_t)spdm_parsed_len(rsp);
        memcpy(r->digests, rsp->data, r->digests_len);
    }
    return STEP_NEXT;
}

/* The device's capability is enough. */
static bool reads_large(const SpdmRequester *r)
{
    return r->version >= SPDM_VERSION_14 && (r->peer_capabilities & SPDM_CAP_LARGE_RESP);
}

static bool build_get_certificate(SpdmRequester *r, ByteWriter *w)
{
    bool large = reads_large(r);

    params(w, (uint8_t)(r->options.slot | (large ? SPDM_LARGE : 0)), 0);
    bw_u16(w, large ? 0 : (uint16_t)r->chain_len);
    bw_u16(w, large ? 0 : CERT_PORTION_MAX);
    if (large) {
        bw_u32(w, r->chain_len);
        bw_u32(w, CERT_PORTION_MAX);
    }
    return true;
}

/* The chain is whole: its own length field and the digest from DIGESTS must agree. */
static StepResult check_chain(SpdmRequester *r)
{
    const SpdmHash *hash = spdm_hash(r->selected.hash);
    SpdmSpan        chain = spdm_requester_chain(r);
    uint8_t         digest[SPDM_HASH_MAX];

    if (r->chain_len < CHAIN_HEADER_LEN + hash->len || le32_get(chain.data) != r->chain_len) {
        return step_fail(r, "the certificate chain contradicts its own length");
    }
    if (!spdm_hash_spans(hash, &chain, 1, digest) || !spdm_equal(digest, r->chain_digest, hash->len)) {
        return step_fail(r, "the certificate chain does not match its digest");
    }
    r->connected = true;
    return STEP_NEXT;
}

static StepResult read_certificate(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    bool           large = reads_large(r);
    size_t         header = CHAIN_HEADER_LEN + spdm_hash(r->selected.hash)->len;
    size_t         len = br_u16(rsp), left = br_u16(rsp), hidden, max = sizeof(r->chain);
    const uint8_t *data;
    uint8_t       *to;

    if (large) {
        len = br_u32(rsp);
        left = br_u32(rsp);
    }
    data = br_take(rsp, len);
    if (!spdm_message_ends(rsp) || (param1 & 0xf) != r->options.slot ||
        spdm_is_large(r->version, param1) != large || len == 0 || len > CERT_PORTION_MAX) {
        return step_fail(r, "CERTIFICATE has a wrong length or slot");
    }
    max = r->chain_room.bytes != NULL ? r->chain_room.cap : max;
    max = large || max < SPDM_CHAIN_SHORT_MAX ? max : SPDM_CHAIN_SHORT_MAX;
    to = left <= max && len + r->chain_len <= max - left
             ? spdm_grow(r->chain, sizeof(r->chain), r->chain_room, r->chain_len, len)
             : NULL;
    if (to == NULL) {
        spdm_requester_fail(r, "the certificate chain is longer than %zu KiB", (max + 1) >> 10);
        return STEP_FAILED;
    }
    /* The RMM's certificate object starts behind the chain's header, which a first portion may hold only
     * in part. */
    hidden = r->chain_len < header ? header - r->chain_len : 0;
    if (len > hidden) {
        r->cache = (SpdmCache){ SPDM_OBJECT_CERTIFICATE, 0, 0, (uint32_t)((size_t)(data - rsp->data) + hidden),
                                (uint32_t)(len - hidden) };
    }
    spdm_keep_b(r, rsp);
    memcpy(to, data, len);
    r->chain_len += (uint32_t)len;
    return left != 0 ? STEP_AGAIN : check_chain(r);
}

/* ---- session ------------------------------------------------------------------------------------------- */

static bool build_key_exchange(SpdmRequester *r, ByteWriter *w)
{
    const SpdmDhe *dhe = spdm_dhe(r->selected.dhe);
    uint8_t        random[32], share[SPDM_DHE_MAX];

    if (!spdm_dhe_generate(dhe, r->entropy, r->dhe_private, share)) {
        return spdm_requester_fail(r, "no key pair for the key exchange could be made");
    }
    entropy_bytes(r->entropy, random, sizeof(random));
    r->session = (SpdmSession){ .id = r->next_session_id };
    params(w, SPDM_SUMMARY_NONE, r->options.slot);
    bw_u16(w, r->next_session_id);
    bw_u16(w, 0); /* SessionPolicy 0: a runtime update ends the session; reserved */
    bw_bytes(w, random, sizeof(random));
    bw_bytes(w, share, dhe->len);
    bw_u16(w, spdm_opaque_supported_len(r->version, SPDM_N_SECURED_VERSIONS));
    spdm_opaque_write_supported(w, r->version, spdm_secured_versions, SPDM_N_SECURED_VERSIONS);
    return true;
}

bool spdm_requester_hash_th(SpdmRequester *r, uint8_t *out)
{
    SpdmSpan th = spdm_transcript_span(&r->session.th);

    return !r->session.th.overflowed && spdm_hash_spans(spdm_hash(r->selected.hash), &th, 1, out);
}

bool spdm_requester_verify_data(SpdmRequester *r, const uint8_t *finished, uint8_t *out)
{
    const SpdmHash *hash = spdm_hash(r->selected.hash);
    uint8_t         th[SPDM_HASH_MAX];

    return spdm_requester_hash_th(r, th) && spdm_hmac(hash, finished, hash->len, th, hash->len, out);
}

/* VCA, DIGESTS of a multi-key connection, hash of the chain, KEY_EXCHANGE, and the response without its signature. */
static void start_th(SpdmRequester *r, SpdmSpan reply)
{
    SpdmTranscript *th = &r->session.th;

    spdm_transcript_reset(th);
    th->overflowed = r->a.overflowed;
    spdm_transcript_add(th, r->a.data, r->a.len);
    spdm_transcript_add(th, r->digests, r->digests_len);
    spdm_transcript_add(th, r->chain_digest, spdm_hash(r->selected.hash)->len);
    spdm_transcript_add(th, r->request, r->request_len);
    spdm_transcript_add(th, reply.data, reply.len);
}

/* Signature checked: the keys of the handshake, and the responder's proof that it has them. */
static StepResult enter_handshake(SpdmRequester *r, const uint8_t *peer_share, const uint8_t *peer_mac)
{
    const SpdmDhe *dhe = spdm_dhe(r->selected.dhe);
    SpdmSuite      suite = suite_of(r);
    uint8_t        secret[SPDM_DHE_MAX], th1[SPDM_HASH_MAX], want[SPDM_HASH_MAX];
    bool           ok;

    ok = spdm_dhe_secret(dhe, r->entropy, r->dhe_private, peer_share, secret) && spdm_requester_hash_th(r, th1) &&
         spdm_derive_handshake(&suite, false, secret, dhe->secret_len, th1, &r->session.keys);
    spdm_wipe(secret, sizeof(secret));
    spdm_wipe(r->dhe_private, sizeof(r->dhe_private));
    if (!ok) {
        return step_fail(r, "the device's exchange data is no member of the group");
    }
    if (peer_mac != NULL) {
        if (!spdm_requester_verify_data(r, r->session.keys.response_finished, want) ||
            !spdm_equal(want, peer_mac, suite.hash->len)) {
            return step_fail(r, "KEY_EXCHANGE_RSP has a wrong MAC");
        }
        spdm_transcript_add(&r->session.th, peer_mac, suite.hash->len);
    }
    r->session.state = SPDM_SESSION_HANDSHAKE;
    return STEP_NEXT;
}

static StepResult read_key_exchange(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    const SpdmDhe *dhe = spdm_dhe(r->selected.dhe);
    SpdmSigner     signer = signer_of(r);
    bool           clear = r->peer_capabilities & SPDM_CAP_HANDSHAKE_IN_THE_CLEAR;
    const uint8_t *share, *sig, *mac;
    uint16_t       rsp_id = br_u16(rsp), opaque_len;
    uint8_t        mut_auth = br_u8(rsp), slot;
    const char    *why;
    SpdmSpan       th, unsigned_part;

    slot = br_u8(rsp);
    br_skip(rsp, 32); /* random */
    share = br_take(rsp, dhe->rsp_len);
    opaque_len = br_u16(rsp);
    r->session.secured_version = spdm_opaque_read_selected(rsp, opaque_len, r->version);
    unsigned_part = reply_span(rsp);
    sig = br_take(rsp, signer.asym->sig_len);
    mac = clear ? NULL : br_take(rsp, signer.hash->len);
    if (!spdm_message_ends(rsp)) {
        return step_fail(r, "KEY_EXCHANGE_RSP has a wrong length");
    }
    if (!spdm_secured_version_is_ours(r->session.secured_version)) {
        return step_fail(r, "the device selected no secured message version that was offered");
    }
    if (!spdm_heartbeat_accept(r, param1)) {
        return step_fail(r, "the device wants a heartbeat, which was not agreed");
    }
    why = spdm_mutual_accept(r, mut_auth, slot);
    if (why != NULL) {
        return step_fail(r, why);
    }
    start_th(r, unsigned_part);
    th = spdm_transcript_span(&r->session.th);
    if (r->session.th.overflowed ||
        !spdm_verify(&signer, &r->public_key, SPDM_SIGN_KEY_EXCHANGE, &th, 1, sig)) {
        return step_fail(r, "KEY_EXCHANGE_RSP is not signed by the device's public key");
    }
    spdm_transcript_add(&r->session.th, sig, signer.asym->sig_len);
    r->session.id = (uint32_t)rsp_id << 16 | r->next_session_id;
    r->session.in_the_clear = clear;
    return enter_handshake(r, share, mac);
}

StepResult spdm_requester_establish(SpdmRequester *r)
{
    SpdmSuite suite = suite_of(r);
    uint8_t   th2[SPDM_HASH_MAX];

    if (!spdm_requester_hash_th(r, th2) || !spdm_derive_data(&suite, th2, &r->session.keys)) {
        return step_fail(r, "the session's keys could not be derived");
    }
    spdm_forget_handshake(&r->session.keys);
    spdm_transcript_reset(&r->session.th);
    r->session.state = SPDM_SESSION_ESTABLISHED;
    r->next_session_id++;
    return STEP_NEXT;
}

static bool build_finish(SpdmRequester *r, ByteWriter *w)
{
    size_t  h = spdm_hash(r->selected.hash)->len;
    uint8_t mac[SPDM_HASH_MAX];

    params(w, r->session.mut_auth != 0, 0); /* a signature; slot 0 */
    spdm_opaque_write_none(w, r->version);
    if (r->session.mut_auth == 0) {
        spdm_transcript_add(&r->session.th, w->data, w->pos);
    } else if (!spdm_mutual_sign(r, w)) {
        return spdm_requester_fail(r, "FINISH could not be signed");
    }
    if (!spdm_requester_verify_data(r, r->session.keys.request_finished, mac)) {
        return spdm_requester_fail(r, "the handshake is too long to finish");
    }
    bw_bytes(w, mac, h);
    spdm_transcript_add(&r->session.th, mac, h);
    return true;
}

static StepResult read_finish(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    SpdmSuite      suite = suite_of(r);
    bool           opaque_fits = spdm_opaque_skip(rsp, r->version);
    SpdmSpan       header = reply_span(rsp);
    const uint8_t *mac = r->session.in_the_clear ? br_take(rsp, suite.hash->len) : NULL;
    uint8_t        want[SPDM_HASH_MAX];

    if (!spdm_message_ends(rsp) || !opaque_fits) {
        return step_fail(r, "FINISH_RSP has a wrong length");
    }
    spdm_transcript_add(&r->session.th, header.data, header.len);
    if (mac != NULL) {
        if (!spdm_requester_verify_data(r, r->session.keys.response_finished, want) ||
            !spdm_equal(want, mac, suite.hash->len)) {
            return step_fail(r, "FINISH_RSP has a wrong MAC");
        }
        spdm_transcript_add(&r->session.th, mac, suite.hash->len);
    }
    return spdm_requester_establish(r);
}

static bool build_end_session(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    return true;
}

static StepResult read_end_session(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    if (!spdm_message_ends(rsp)) {
        return step_fail(r, "END_SESSION_ACK has a wrong length");
    }
    spdm_wipe(&r->session, sizeof(r->session));
    return STEP_NEXT;
}

bool spdm_heartbeat_accept(SpdmRequester *r, uint8_t period_s)
{
    r->heartbeat_s = period_s;
    return period_s == 0 || (spdm_requester_capabilities(r) & r->peer_capabilities & SPDM_CAP_HBEAT) != 0;
}

static bool build_heartbeat(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    return true;
}

static StepResult read_heartbeat(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    return spdm_message_ends(rsp) ? STEP_NEXT : step_fail(r, "HEARTBEAT_ACK has a wrong length");
}

/* ---- inside a session ---------------------------------------------------------------------------------- */

/* Both sides have LARGE_RESP. */
static bool sends_large(const SpdmRequester *r)
{
    uint32_t both = spdm_requester_capabilities(r) & r->peer_capabilities;

    return r->version >= SPDM_VERSION_14 && (both & SPDM_CAP_LARGE_RESP);
}

static bool build_vendor(SpdmRequester *r, ByteWriter *w)
{
    w->pos = 0; /* the wrapper starts with the header */
    spdm_pci_vdm_begin(w, r->version, SPDM_VENDOR_DEFINED, sends_large(r) ? SPDM_LARGE : 0, r->args.protocol,
                       r->message_len);
    bw_bytes(w, r->message, r->message_len);
    return true;
}

static StepResult read_vendor(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    SpdmPciVdm vdm;

    if (spdm_is_large(r->version, param1) != sends_large(r) ||
        spdm_pci_vdm_read(rsp, sends_large(r), &vdm) != SPDM_OK || vdm.protocol != r->args.protocol) {
        return step_fail(r, "the response is no PCI-SIG message of the protocol asked for");
    }
    r->vendor_offset = (uint32_t)(vdm.data - rsp->data);
    r->vendor_len = (uint32_t)vdm.len;
    return STEP_NEXT;
}

static bool build_get_log(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    bw_u32(w, r->message_len); /* that far it is here already */
    bw_u32(w, CERT_PORTION_MAX);
    return true;
}

static StepResult read_log(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    size_t         len = br_u32(rsp), left = br_u32(rsp);
    const uint8_t *data = br_take(rsp, len);

    if (!spdm_message_ends(rsp) || len == 0 || len > CERT_PORTION_MAX) {
        return step_fail(r, "MEASUREMENT_EXTENSION_LOG has a wrong length");
    }
    if (r->message_len + len + left > sizeof(r->message)) {
        return step_fail(r, "the measurement extension log is longer than 4 KiB");
    }
    memcpy(r->message + r->message_len, data, len);
    r->message_len += (uint32_t)len;
    return left != 0 ? STEP_AGAIN : STEP_NEXT;
}

static bool build_get_csr(SpdmRequester *r, ByteWriter *w)
{
    params(w, r->args.key_pair, r->args.attributes | r->args.model);
    bw_u16(w, (uint16_t)r->message_len);
    bw_u16(w, 0);
    bw_bytes(w, r->message, r->message_len);
    return true;
}

static StepResult read_csr(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    r->vendor_len = br_u16(rsp);
    br_skip(rsp, 2);
    r->vendor_offset = (uint32_t)spdm_parsed_len(rsp);
    br_skip(rsp, r->vendor_len);
    return spdm_message_ends(rsp) ? STEP_NEXT : step_fail(r, "CSR has a wrong length");
}

uint32_t spdm_requester_chain_len(const SpdmRequester *r)
{
    return (uint32_t)(CHAIN_HEADER_LEN + spdm_hash(r->selected.hash)->len + r->message_len);
}

bool spdm_requester_write_chain(SpdmRequester *r, ByteWriter *w)
{
    const SpdmHash *hash = spdm_hash(r->selected.hash);
    SpdmSpan        root = { r->message, spdm_first_certificate_len(r->message, r->message_len) };
    uint8_t        *root_hash;

    bw_u32(w, spdm_requester_chain_len(r));
    root_hash = bw_take(w, hash->len);
    bw_bytes(w, r->message, r->message_len);
    return root_hash != NULL && root.len != 0 && spdm_hash_spans(hash, &root, 1, root_hash)
               ? true
               : spdm_requester_fail(r, "what is to go into the slot does not begin with a certificate");
}

static bool build_set_certificate(SpdmRequester *r, ByteWriter *w)
{
    params(w, (uint8_t)(r->args.slot | (r->message_len == 0 ? SET_CERTIFICATE_ERASE : (unsigned)r->args.model << 4)),
           r->args.key_pair);
    if (r->message_len == 0) {
        return r->version >= SPDM_VERSION_13 ||
               spdm_requester_fail(r, "slots can be emptied since SPDM 1.3");
    }
    return spdm_requester_write_chain(r, w);
}

static StepResult read_set_certificate(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    return spdm_message_ends(rsp) && (param1 & 0xf) == r->args.slot
               ? STEP_NEXT
               : step_fail(r, "SET_CERTIFICATE_RSP has a wrong length or slot");
}

/* RequesterContext of 1.3 is the requester's own, to tell answers apart; the nonce is new in each request. */
static const uint8_t *request_context(const SpdmRequester *r) { return r->nonce; }

static bool build_get_measurements(SpdmRequester *r, ByteWriter *w)
{
    params(w, (uint8_t)((r->args.sign ? 1 : 0) | (r->args.raw ? 2 : 0)), r->args.index);
    if (r->args.sign) {
        bw_bytes(w, r->nonce, sizeof(r->nonce));
        bw_u8(w, r->options.slot);
    }
    if (r->version >= SPDM_VERSION_13) {
        bw_bytes(w, request_context(r), SPDM_CONTEXT_LEN);
    }
    return true;
}

/* Blocks in ascending order of index, each as long as it says, the last ending with the record; none for the count
 * alone, at least one else. */
static bool record_is_well_formed(const SpdmRequester *r, const uint8_t *record, size_t len, unsigned blocks)
{
    ByteReader b = br_init(record, len);
    unsigned   last = 0;

    if ((blocks == 0) != (r->args.index == 0)) {
        return false;
    }
    for (; blocks != 0; blocks--) {
        unsigned index = br_u8(&b), spec = br_u8(&b), size = br_u16(&b);
        unsigned value_len;

        br_skip(&b, 1);
        value_len = br_u16(&b);
        br_skip(&b, value_len);
        if (!br_ok(&b) || index <= last || spec != SPDM_MEAS_SPEC_DMTF || size != 3 + value_len ||
            (r->args.index != INDEX_ALL && index != r->args.index)) {
            return false;
        }
        last = index;
    }
    return br_ok(&b) && br_left(&b) == 0;
}

static bool measurements_are_signed(SpdmRequester *r, SpdmSpan unsigned_part, const uint8_t *sig)
{
    SpdmSigner signer = signer_of(r);
    bool       has_vca = r->version >= SPDM_VERSION_12; /* DSP0274 "L1 and L2" */
    SpdmSpan   spans[] = { spdm_transcript_span(&r->a), spdm_transcript_span(&r->session.l1l2),
                           request_span(r), unsigned_part };

    return !r->session.l1l2.overflowed &&
           spdm_verify(&signer, &r->public_key, SPDM_SIGN_MEASUREMENTS, spans + !has_vca,
                       ARRAY_LEN(spans) - !has_vca, sig);
}

static StepResult read_measurements(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    unsigned       blocks = br_u8(rsp);
    size_t         record_len = br_u24(rsp), opaque_len;
    const uint8_t *record = br_take(rsp, record_len), *sig = NULL;
    SpdmSpan       unsigned_part;
    bool           answers = true;

    br_skip(rsp, SPDM_NONCE_LEN);
    opaque_len = br_u16(rsp);
    br_skip(rsp, opaque_len);
    if (r->version >= SPDM_VERSION_13) {
        const uint8_t *context = br_take(rsp, SPDM_CONTEXT_LEN);

        answers = context != NULL && memcmp(context, request_context(r), SPDM_CONTEXT_LEN) == 0;
    }
    unsigned_part = reply_span(rsp);
    if (r->args.sign) {
        sig = br_take(rsp, spdm_asym(r->selected.asym)->sig_len);
    }
    if (!spdm_message_ends(rsp) || !answers || opaque_len > SPDM_OPAQUE_MAX ||
        !record_is_well_formed(r, record, record_len, blocks)) {
        return step_fail(r, "MEASUREMENTS is malformed");
    }
    if (r->args.sign && (param2 & SLOT_MASK) != r->options.slot) {
        return step_fail(r, "MEASUREMENTS is signed with the key of another slot");
    }
    if (sig == NULL) {
        spdm_transcript_add(&r->session.l1l2, r->request, r->request_len);
        spdm_transcript_add(&r->session.l1l2, unsigned_part.data, unsigned_part.len);
    } else {
        bool ok = measurements_are_signed(r, unsigned_part, sig);

        spdm_transcript_reset(&r->session.l1l2);
        if (!ok) {
            return step_fail(r, "MEASUREMENTS is not signed by the device's public key");
        }
    }
    r->cache = (SpdmCache){ SPDM_OBJECT_MEASUREMENTS, 0, r->request_len, 0, (uint32_t)spdm_parsed_len(rsp) };
    return STEP_NEXT;
}

/* ---- the table and its engine -------------------------------------------------------------------------- */

/* An operation's rows stand together, in order. */
static const Step steps[] = {
    /* op                    code                        build                       read              */
    { SPDM_OP_CONNECT,       SPDM_GET_VERSION,           build_get_version,          read_version      },
    { SPDM_OP_CONNECT,       SPDM_GET_CAPABILITIES,      build_get_capabilities,     read_capabilities },
    { SPDM_OP_CONNECT,       SPDM_NEGOTIATE_ALGORITHMS,  build_negotiate_algorithms, read_algorithms   },
    { SPDM_OP_CONNECT,       SPDM_GET_DIGESTS,           build_get_digests,          read_digests      },
    { SPDM_OP_CONNECT,       SPDM_GET_CERTIFICATE,       build_get_certificate,      read_certificate  },
    { SPDM_OP_SESSION,       SPDM_KEY_EXCHANGE,          build_key_exchange,         read_key_exchange },
    { SPDM_OP_SESSION,       SPDM_GET_ENCAPSULATED_REQUEST, spdm_build_get_encapsulated, spdm_read_encapsulated,
      spdm_asks_for_request },
    { SPDM_OP_SESSION,       SPDM_DELIVER_ENCAPSULATED_RESPONSE, spdm_build_deliver, spdm_read_ack,
      spdm_encapsulates },
    { SPDM_OP_SESSION,       SPDM_FINISH,                build_finish,               read_finish       },
    { SPDM_OP_VENDOR,        SPDM_VENDOR_DEFINED,        build_vendor,               read_vendor       },
    { SPDM_OP_MEASUREMENTS,  SPDM_GET_MEASUREMENTS,      build_get_measurements,     read_measurements },
    { SPDM_OP_LOG,           SPDM_GET_MEASUREMENT_EXTENSION_LOG, build_get_log,      read_log          },
    { SPDM_OP_GET_CSR,       SPDM_GET_CSR,               build_get_csr,              read_csr          },
    { SPDM_OP_SET_CERTIFICATE, SPDM_SET_CERTIFICATE,     build_set_certificate,      read_set_certificate },
    { SPDM_OP_END_SESSION,   SPDM_END_SESSION,           build_end_session,          read_end_session  },
    { SPDM_OP_PSK_SESSION,   SPDM_PSK_EXCHANGE,          spdm_build_psk_exchange,    spdm_read_psk_exchange },
    { SPDM_OP_PSK_SESSION,   SPDM_PSK_FINISH,            spdm_build_psk_finish,      spdm_read_psk_finish },
    { SPDM_OP_CHALLENGE,     SPDM_CHALLENGE,             spdm_build_challenge,       spdm_read_challenge },
    { SPDM_OP_CHALLENGE,     SPDM_GET_ENCAPSULATED_REQUEST, spdm_build_get_encapsulated, spdm_read_encapsulated,
      spdm_asks_for_request },
    { SPDM_OP_CHALLENGE,     SPDM_DELIVER_ENCAPSULATED_RESPONSE, spdm_build_deliver, spdm_read_ack,
      spdm_encapsulates },
    { SPDM_OP_KEY_UPDATE,    SPDM_KEY_UPDATE,            spdm_build_key_update,      spdm_read_key_update },
    { SPDM_OP_KEY_UPDATE,    SPDM_KEY_UPDATE,            spdm_build_verify_key,      spdm_read_verify_key },
    { SPDM_OP_SUBSCRIBE,     SPDM_GET_SUPPORTED_EVENT_TYPES, spdm_build_get_event_types, spdm_read_event_types },
    { SPDM_OP_SUBSCRIBE,     SPDM_SUBSCRIBE_EVENT_TYPES, spdm_build_subscribe,       spdm_read_subscribe },
    { SPDM_OP_HEARTBEAT,     SPDM_HEARTBEAT,             build_heartbeat,            read_heartbeat    },
    { SPDM_OP_KEY_PAIRS,     SPDM_GET_KEY_PAIR_INFO,     spdm_build_get_key_pair_info, spdm_read_key_pair_info },
    { SPDM_OP_ENDPOINT_INFO, SPDM_GET_ENDPOINT_INFO,     spdm_build_get_endpoint_info, spdm_read_endpoint_info },
    { SPDM_OP_SLOTS,         SPDM_SLOT_MANAGEMENT,       spdm_build_slots,           spdm_read_slots   },
    { SPDM_OP_ENCAPSULATED,  SPDM_GET_ENCAPSULATED_REQUEST, spdm_build_get_encapsulated, spdm_read_encapsulated },
    { SPDM_OP_ENCAPSULATED,  SPDM_DELIVER_ENCAPSULATED_RESPONSE, spdm_build_deliver, spdm_read_ack },
};

/* Whether the current step's messages are records. */
static bool step_is_secured(const SpdmRequester *r)
{
    return r->session.state == SPDM_SESSION_ESTABLISHED ||
           (r->session.state == SPDM_SESSION_HANDSHAKE && !r->session.in_the_clear);
}

/* The operation is over without success. A session that it used is in an unknown state at the other end
 * when the failure was in the protection or in the handshake: it goes too. A clean ERROR answer leaves
 * it. */
static SpdmResult give_up(SpdmRequester *r, bool session_too)
{
    if (session_too || r->session.state != SPDM_SESSION_ESTABLISHED) {
        spdm_wipe(&r->session, sizeof(r->session));
    }
    if (r->op == SPDM_OP_CONNECT) {
        r->connected = false;
    }
    spdm_wipe(r->dhe_private, sizeof(r->dhe_private));
    spdm_transcript_reset(&r->session.l1l2);
    spdm_carry_stop(r);
    r->op = SPDM_OP_NONE;
    r->in_flight = false;
    r->cache = (SpdmCache){ SPDM_OBJECT_NONE };
    return SPDM_FAILED;
}

void spdm_requester_init(SpdmRequester *r, Entropy *entropy)
{
    static const SpdmOffer everything = { SPDM_VERSION_11, SPDM_VERSION_14, { 0 } };

    memset(r, 0, sizeof(*r));
    r->entropy = entropy;
    r->next_session_id = 1;
    spdm_requester_offer(r, &everything);
}

void spdm_requester_offer(SpdmRequester *r, const SpdmOffer *offer)
{
    SpdmAlgMasks m = offer->algorithms, known = spdm_algorithms_known();

    r->offer = *offer;
    r->offer.algorithms = (SpdmAlgMasks){
        .hash = m.hash != 0 ? m.hash : known.hash,
        .asym = m.asym != 0 ? m.asym : known.asym,
        .dhe = m.dhe != 0 ? m.dhe : known.dhe,
        .aead = m.aead != 0 ? m.aead : known.aead,
    };
}

/* The longest PCI message that the device takes. */
static size_t vendor_room(const SpdmRequester *r)
{
    uint32_t both = spdm_requester_capabilities(r) & r->peer_capabilities;
    uint32_t max = both & SPDM_CAP_CHUNK ? r->peer_max_size : r->peer_transfer_size;

    return (max < SPDM_MSG_MAX ? max : SPDM_MSG_MAX) - SPDM_PCI_WRAPPER_LEN - SPDM_RECORD_OVERHEAD -
           (sends_large(r) ? SPDM_PCI_LARGE_LEN : 0);
}

static bool takes_args(SpdmOp op)
{
    return op == SPDM_OP_VENDOR || op == SPDM_OP_MEASUREMENTS || op == SPDM_OP_GET_CSR ||
           op == SPDM_OP_SET_CERTIFICATE || op == SPDM_OP_SLOTS;
}

static bool opens_session(SpdmOp op) { return op == SPDM_OP_SESSION || op == SPDM_OP_PSK_SESSION; }

/* Whether the device's signature is looked at. */
static bool needs_key(SpdmOp op, const SpdmOpArgs *args)
{
    return op == SPDM_OP_SESSION || op == SPDM_OP_CHALLENGE ||
           (op == SPDM_OP_MEASUREMENTS && args != NULL && args->sign);
}

/* Of the operations that both ends must be able to do. */
static const char *check_abilities(const SpdmRequester *r, SpdmOp op)
{
    uint32_t both = spdm_requester_capabilities(r) & r->peer_capabilities;

    if (op == SPDM_OP_CHALLENGE && (r->challenge == NULL || !(r->peer_capabilities & SPDM_CAP_CHAL))) {
        return "there is no room for what a CHALLENGE covers, or the device takes none";
    }
    if ((op == SPDM_OP_KEY_UPDATE && !(both & SPDM_CAP_KEY_UPD)) ||
        (op == SPDM_OP_ENCAPSULATED && !(both & SPDM_CAP_ENCAP))) {
        return "the device does not do that, or it was not offered";
    }
    if (op == SPDM_OP_SUBSCRIBE && (r->version < SPDM_VERSION_13 || !(both & SPDM_CAP_ENCAP) ||
                                    !(r->peer_capabilities & SPDM_CAP_EVENT))) {
        return "the device has no events, or could not tell them";
    }
    if (op == SPDM_OP_HEARTBEAT && r->heartbeat_s == 0) {
        return "the session needs no heartbeat";
    }
    if (op == SPDM_OP_KEY_PAIRS &&
        (r->version < SPDM_VERSION_13 || !(r->peer_capabilities & SPDM_CAP_GET_KEY_PAIR_INFO))) {
        return "the device does not tell of its key pairs";
    }
    if (op == SPDM_OP_ENDPOINT_INFO && (r->version < SPDM_VERSION_13 || !(r->peer_capabilities & SPDM_CAP_EP_INFO))) {
        return "the device does not tell what kind it is of";
    }
    if (op == SPDM_OP_SLOTS && !(r->peer_capabilities & SPDM_CAP_SLOT_MGMT)) {
        return "the device does not tell of banks of slots";
    }
    return NULL;
}

static const char *check_start(const SpdmRequester *r, SpdmOp op, const SpdmOpArgs *args)
{
    bool opens = opens_session(op), outside = opens || op == SPDM_OP_CHALLENGE;
    bool in_session = op != SPDM_OP_CONNECT && !outside;

    if (r->op != SPDM_OP_NONE) {
        return "another operation is under way";
    }
    if (outside && !r->connected) {
        return "there is no connection yet";
    }
    if (op == SPDM_OP_SESSION && !(r->peer_capabilities & SPDM_CAP_KEY_EX)) {
        return "the device exchanges no keys";
    }
    if (needs_key(op, args) && !r->has_key) {
        return "the device's public key has not been set";
    }
    if (op == SPDM_OP_PSK_SESSION && (r->options.psk.key_len == 0 || !(r->peer_capabilities & SPDM_CAP_PSK))) {
        return "there is no pre-shared key, or the device takes none";
    }
    if (outside && r->session.state != SPDM_SESSION_FREE) {
        return "there is a session already";
    }
    if (in_session && r->session.state != SPDM_SESSION_ESTABLISHED) {
        return "there is no session";
    }
    if (takes_args(op) && args == NULL) {
        return "the operation needs arguments";
    }
    if (takes_args(op) && args->len > vendor_room(r)) {
        return "the message is longer than the device takes";
    }
    return check_abilities(r, op);
}

/* A new connection forgets the old one at both ends: GET_VERSION ends the responder's sessions. */
static void forget_connection(SpdmRequester *r)
{
    Entropy             *entropy = r->entropy;
    const SpdmIdentity  *identity = r->identity;
    SpdmRoom             chain_room = r->chain_room;
    SpdmChallenge       *challenge = r->challenge;
    SpdmRequesterOptions options = r->options;
    SpdmOffer            offer = r->offer;
    uint16_t             next = r->next_session_id;

    spdm_wipe(r, sizeof(*r));
    r->entropy = entropy;
    r->identity = identity;
    r->chain_room = chain_room;
    r->challenge = challenge;
    if (challenge != NULL) {
        spdm_transcript_reset(&challenge->b);
        spdm_transcript_reset(&challenge->mutual);
    }
    r->options = options;
    r->offer = offer;
    r->next_session_id = next;
}

static void take_args(SpdmRequester *r, const SpdmOpArgs *args)
{
    r->args = *args;
    r->message_len = (uint32_t)args->len;
    if (args->len != 0) {
        memcpy(r->message, args->message, args->len);
    }
    if (r->op == SPDM_OP_MEASUREMENTS && args->nonce != NULL) {
        memcpy(r->nonce, args->nonce, sizeof(r->nonce));
    } else if (r->op == SPDM_OP_MEASUREMENTS) {
        entropy_bytes(r->entropy, r->nonce, sizeof(r->nonce));
    }
    r->args.message = NULL;
    r->args.nonce = NULL;
}

const char *spdm_requester_start(SpdmRequester *r, SpdmOp op, const SpdmOpArgs *args)
{
    const char *reason = check_start(r, op, args);

    for (unsigned i = 0; reason == NULL && i < ARRAY_LEN(steps); i++) {
        if (steps[i].op == op) {
            if (op == SPDM_OP_CONNECT) {
                forget_connection(r);
            } else if (opens_session(op) && r->challenge != NULL) {
                spdm_transcript_reset(&r->challenge->b); /* the device forgets it too: DSP0274 "M1 and M2" */
            }
            if (op != SPDM_OP_MEASUREMENTS) {
                spdm_transcript_reset(&r->session.l1l2); /* so does the device: DSP0274 "L1 and L2" */
            }
            r->op = op;
            r->step = (uint8_t)i;
            r->error[0] = '\0';
            spdm_wipe(r->message, r->message_len); /* it may have had keys of IDE streams, and the request */
            spdm_wipe(r->request, r->request_len);
            r->vendor_len = r->message_len = r->request_len = r->encapsulated_count = 0;
            if (takes_args(op)) {
                take_args(r, args);
            }
            return NULL;
        }
    }
    return reason != NULL ? reason : "no such operation";
}

/* The step's request, unless it is on its way already; false: reason in r->error. */
static bool build_request(SpdmRequester *r)
{
    const Step *step = &steps[r->step];
    ByteWriter  w = bw_init(r->request, sizeof(r->request));
    const char *why;

    if (r->carrier.what != SPDM_CARRY_NOTHING) {
        return true;
    }
    r->cache = (SpdmCache){ SPDM_OBJECT_NONE };
    bw_u8(&w, step->code == SPDM_GET_VERSION ? SPDM_VERSION_10 : r->version);
    bw_u8(&w, step->code);
    if (!step->build(r, &w)) {
        return false;
    }
    r->request_len = (uint32_t)w.pos;
    why = bw_ok(&w) ? spdm_carry_start(r) : "the request does not fit its buffer";
    return why == NULL || spdm_requester_fail(r, "%s", why);
}

size_t spdm_requester_next(SpdmRequester *r, uint8_t *out, size_t cap, bool *secured)
{
    uint8_t    buffer[SPDM_MSG_MAX];
    ByteWriter w = bw_init(buffer, sizeof(buffer));
    bool       handshake = r->session.state == SPDM_SESSION_HANDSHAKE;
    size_t     len;
    SpdmSpan   msg;

    *secured = step_is_secured(r);
    if (r->op == SPDM_OP_NONE || r->in_flight) {
        return 0;
    }
    if (!build_request(r)) {
        give_up(r, false);
        return 0;
    }
    msg = spdm_carry_request(r, &w);
    len = msg.len;
    if (*secured) {
        len = spdm_record_seal(spdm_aead(r->selected.aead),
                               handshake ? &r->session.keys.request_handshake : &r->session.keys.request_data,
                               r->session.id, msg.data, msg.len, out, cap);
    } else if (msg.len <= cap) {
        memcpy(out, msg.data, msg.len);
    } else {
        len = 0;
    }
    if (!bw_ok(&w) || len == 0) {
        bool used_up = *secured && !handshake && r->session.keys.request_data.sequence == UINT64_MAX;

        spdm_requester_fail(r, used_up ? "the session's sequence numbers are used up"
                                       : "the request does not fit its buffer");
        give_up(r, true);
        return 0;
    }
    r->in_flight = true;
    return len;
}

/* The plain reply out of its record; it may have the device's key of before an update that it has not made. */
static bool open_reply(SpdmRequester *r, const uint8_t *in, size_t len, size_t *plain_len)
{
    const SpdmAead *aead = spdm_aead(r->selected.aead);
    bool            handshake = r->session.state == SPDM_SESSION_HANDSHAKE;
    SpdmChannel    *from = handshake ? &r->session.keys.response_handshake : &r->session.keys.response_data;
    uint32_t        id;

    return spdm_record_session(in, len, &id) && id == r->session.id &&
           (spdm_record_open(aead, from, in, len, r->reply, sizeof(r->reply), plain_len) ||
            (spdm_take_key_back(r) && spdm_record_open(aead, from, in, len, r->reply, sizeof(r->reply), plain_len)));
}

static bool take_reply(SpdmRequester *r, const uint8_t *in, size_t len, bool secured)
{
    size_t plain_len = len;

    if (!secured && len > sizeof(r->reply)) {
        return spdm_requester_fail(r, "the response is longer than was offered");
    }
    if (!secured) {
        memcpy(r->reply, in, len);
    } else if (!open_reply(r, in, len, &plain_len)) {
        return spdm_requester_fail(r, "the response could not be decrypted");
    }
    r->reply_len = (uint32_t)plain_len;
    return true;
}

/* The header must answer the step's request; an ERROR response is told as such. */
static bool check_header(SpdmRequester *r, const Step *step, uint8_t version, uint8_t code, uint8_t param1,
                         uint8_t param2)
{
    uint8_t expected = step->code == SPDM_GET_VERSION ? SPDM_VERSION_10 : r->version;

    if (code == SPDM_ERROR) {
        return spdm_requester_fail(r, "the device answered ERROR 0x%02x (data 0x%02x) to request 0x%02x", param1,
                                   param2, step->code);
    }
    if (version != expected || code != SPDM_RESPONSE_OF(step->code)) {
        return spdm_requester_fail(r, "the response 0x%02x does not answer request 0x%02x", code, step->code);
    }
    return true;
}

static SpdmResult advance(SpdmRequester *r, StepResult result)
{
    r->in_flight = false;
    if (result == STEP_NEXT || result == STEP_LAST) {
        do {
            r->step++;
        } while (r->step < ARRAY_LEN(steps) && steps[r->step].when != NULL && !steps[r->step].when(r));
        if (result == STEP_LAST || r->step >= ARRAY_LEN(steps) || steps[r->step].op != r->op) {
            r->op = SPDM_OP_NONE;
            r->step = 0;
            return SPDM_DONE;
        }
    }
    return SPDM_CONTINUE;
}

SpdmResult spdm_requester_response(SpdmRequester *r, const uint8_t *in, size_t len, bool secured)
{
    const Step *step = &steps[r->step];
    ByteReader  rsp;
    uint8_t     version, code, param1, param2;
    StepResult  result;

    if (!r->in_flight) {
        return SPDM_FAILED;
    }
    r->cache = (SpdmCache){ SPDM_OBJECT_NONE };
    if (secured != step_is_secured(r)) {
        spdm_requester_fail(r, "the response came in a wrong type of data object");
        return give_up(r, true);
    }
    if (!take_reply(r, in, len, secured)) {
        return give_up(r, true);
    }
    switch (spdm_carry_reply(r)) {
    case SPDM_CARRIED_MORE:
        r->in_flight = false;
        return SPDM_CONTINUE;
    case SPDM_CARRIED_BROKEN:
        return give_up(r, false);
    case SPDM_CARRIED_WHOLE:
        break;
    }
    rsp = br_init(r->reply, r->reply_len);
    version = br_u8(&rsp);
    code = br_u8(&rsp);
    param1 = br_u8(&rsp);
    param2 = br_u8(&rsp);
    if (!br_ok(&rsp)) {
        spdm_requester_fail(r, "the response is shorter than a header");
        return give_up(r, false);
    }
    if (code == SPDM_ERROR && spdm_nothing_is_asked(r, param1)) {
        return advance(r, STEP_LAST);
    }
    if (!check_header(r, step, version, code, param1, param2)) {
        return give_up(r, code == SPDM_ERROR && param1 == SPDM_DECRYPT_ERROR);
    }
    result = step->read(r, &rsp, param1, param2);
    r->reply_len = (uint32_t)spdm_parsed_len(&rsp);
    return result == STEP_FAILED ? give_up(r, false) : advance(r, result);
}

void spdm_requester_abort(SpdmRequester *r)
{
    if (r->op != SPDM_OP_NONE) {
        spdm_requester_fail(r, "the operation was given up");
        give_up(r, r->in_flight);
    }
}

const char *spdm_requester_error(const SpdmRequester *r) { return r->error; }

SpdmKeyResult spdm_requester_set_public_key(SpdmRequester *r, const SpdmPublicKey *key)
{
    const SpdmAsym *asym = spdm_asym(r->selected.asym);

    if (asym == NULL || key->kind != asym->kind) {
        return SPDM_KEY_UNSUPPORTED;
    }
    if (!spdm_public_key_is_valid(key)) {
        return SPDM_KEY_INVALID;
    }
    r->public_key = *key;
    r->has_key = true;
    return SPDM_KEY_OK;
}

SpdmCache spdm_requester_cache(const SpdmRequester *r) { return r->cache; }

SpdmSpan spdm_requester_request(const SpdmRequester *r) { return request_span(r); }

SpdmSpan spdm_requester_reply(const SpdmRequester *r) { return (SpdmSpan){ r->reply, r->reply_len }; }

SpdmSpan spdm_requester_vendor_reply(const SpdmRequester *r)
{
    return (SpdmSpan){ r->reply + r->vendor_offset, r->vendor_len };
}

SpdmSpan spdm_requester_log(const SpdmRequester *r) { return (SpdmSpan){ r->message, r->message_len }; }

SpdmSpan spdm_requester_key_pairs(const SpdmRequester *r) { return (SpdmSpan){ r->message, r->message_len }; }

uint8_t spdm_requester_heartbeat_s(const SpdmRequester *r) { return r->heartbeat_s; }

SpdmSpan spdm_requester_vca(const SpdmRequester *r) { return spdm_transcript_span(&r->a); }

SpdmSpan spdm_requester_chain(const SpdmRequester *r)
{
    return (SpdmSpan){ r->chain_len > sizeof(r->chain) ? r->chain_room.bytes : r->chain, r->chain_len };
}

bool spdm_requester_has_session(const SpdmRequester *r)
{
    return r->session.state == SPDM_SESSION_ESTABLISHED;
}
