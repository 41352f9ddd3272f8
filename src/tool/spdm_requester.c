/*
 * bailey spdm-requester: the trusted module's requester against any responder at the end of a socket. It connects,
 * checks the certificates, opens a session, reads all measurements signed, and says what held.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "bytes.h"
#include "command.h"
#include "device.h"
#include "files.h"
#include "log.h"
#include "options.h"
#include "spdm/pki.h"
#include "spdm/record.h"
#include "spdm/spdm.h"
#include "tool/spdm_link.h"

enum {
    PATIENCE_S = 10,
    BLOCKS = 4, RECORD_LEN = 5, RECORD = 8, /* in MEASUREMENTS */
    BLOCK_HEADER = 4, VALUE_HEADER = 3,     /* of a measurement block, and of its DMTF part */
};

typedef struct Client {
    SpdmRequester requester;
    SpdmChallenge challenge; /* for it */
    Entropy       entropy;
    SpdmIdentity  identity; /* the requester's own, if it has one */
    /* Rooms for long chains: the device's, what is said of it before a CHALLENGE, and what the other way round; ours */
    uint8_t       chain[SPDM_CERTS_LARGE_MAX], b[SPDM_B_LARGE_MAX], mutual[SPDM_B_LARGE_MAX], own[SPDM_CERTS_LARGE_MAX];
    SpdmLink     *link;
    GMainLoop    *loop;
    uint8_t      *root; /* DER */
    int           root_len;
    unsigned      step;
    uint8_t       log[SPDM_LOG_MAX];
    size_t        log_len;
    bool          has_log;
    SpdmOpArgs    asks;     /* the next sub-code of SLOT_MANAGEMENT */
    uint64_t      subcodes; /* that the device has, by bits */
    uint8_t       banks[UINT8_MAX], own_bank; /* their IDs, that of this connection */
    unsigned      n_banks, n_shown;
    guint         wait; /* the source that makes the next request; 0: none waits */
    bool          failed;
} Client;

/* What is done, in order. After each operation @after looks at what came; false: nothing more is asked. */
typedef struct Step {
    const char *name;
    SpdmOp      op;
    bool      (*after)(Client *c);
    uint64_t    needs; /* capabilities of the device: with none of them there is no such step; 0: always */
    bool        encap; /* with -encap alone */
} Step;

static void report(Client *c, bool ok, const char *name, const char *text)
{
    c->failed |= !ok;
    printf("%s %s: %s\n", ok ? "ok  " : "FAIL", name, text);
}

/* The first certificate of PEM text as DER, or false. */
static bool load_root(const char *pem, Client *c)
{
    BIO  *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    c->root_len = cert != NULL ? i2d_X509(cert, &c->root) : 0;
    X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();
    return c->root_len > 0;
}

static void show_selection(const Client *c)
{
    const SpdmRequester *r = &c->requester;

    printf("     SPDM %u.%u, %s, %s, %s, %s\n", r->version >> 4, r->version & 0xf,
           r->selected.asym != 0 ? spdm_asym(r->selected.asym)->name : "no signatures",
           spdm_hash(r->selected.hash)->name,
           r->selected.dhe != 0 ? spdm_dhe(r->selected.dhe)->name : "no key exchange",
           spdm_aead(r->selected.aead)->name);
}

/* DSP0274 "Certificate chain format": length and root hash come before the certificates. */
static bool check_chain(Client *c)
{
    SpdmSpan       chain = spdm_requester_chain(&c->requester);
    size_t         header = 4 + spdm_hash(c->requester.selected.hash)->len;
    const uint8_t *der = (const uint8_t *)chain.data + header;
    SpdmPublicKey  key;
    const char    *why;

    show_selection(c);
    if (chain.len == 0) {
        return true; /* the device has no certificates: what it has is the key that we share */
    }
    if (c->root == NULL) {
        SpdmKeyKind kind = spdm_asym(c->requester.selected.asym)->kind; /* each kind of TEST key has its root */

        (void)load_root(spdm_test_pem(SPDM_TEST_DEVICE, kind)->chain_pem, c);
    }
    why = spdm_chain_check(der, chain.len - header, c->root, (size_t)c->root_len, SPDM_CHAIN_OF_RESPONDER,
                           g_get_real_time() / G_USEC_PER_SEC, &key);
    if (why == NULL && !spdm_chain_names_root(spdm_hash(c->requester.selected.hash), chain.data, chain.len)) {
        why = "the chain's root hash is that of another certificate than it begins with";
    }
    if (why == NULL && spdm_requester_set_public_key(&c->requester, &key) != SPDM_KEY_OK) {
        why = "the leaf's key does not fit the negotiated algorithm";
    }
    report(c, why == NULL, "certificates", why != NULL ? why : "they lead from the trusted root to the device's key");
    return why == NULL;
}

static bool keep_log(Client *c)
{
    SpdmSpan log = spdm_requester_log(&c->requester);

    memcpy(c->log, log.data, log.len);
    c->log_len = log.len;
    c->has_log = true;
    return true;
}

/* A hash-extend measurement must be what the log says was extended into it. */
static void check_extended(Client *c, uint8_t index, const uint8_t *value, size_t len)
{
    const SpdmHash *hash = spdm_measure_hash(c->requester.selected.measure_hash);
    uint8_t         want[SPDM_HASH_MAX];
    const char     *why;

    if (!c->has_log) { /* a device may do without: MEL_CAP is another capability */
        printf("     no log says what it comes from\n");
        return;
    }
    if (hash == NULL || len != hash->len) {
        why = "it has not the length of the measurement hash";
    } else {
        why = spdm_log_extend((SpdmSpan){ c->log, c->log_len }, index, hash, want);
    }
    if (why == NULL && memcmp(want, value, len) != 0) {
        why = "a hash-extend measurement is not what the log makes of it";
    }
    report(c, why == NULL, "extended measurement", why != NULL ? why : "it follows from the log");
}

/* The requester has checked the form and the signature; this shows what is there. */
static bool show_measurements(Client *c)
{
    SpdmSpan       reply = spdm_requester_reply(&c->requester);
    const uint8_t *m = reply.data;
    size_t         left = m[RECORD_LEN] | (size_t)m[RECORD_LEN + 1] << 8 | (size_t)m[RECORD_LEN + 2] << 16;

    for (const uint8_t *b = m + RECORD; left != 0;) {
        size_t size = le16_get(b + 2);

        printf("     measurement 0x%02x, type 0x%02x: ", b[0], b[BLOCK_HEADER]);
        for (size_t i = VALUE_HEADER; i < size; i++) {
            printf("%02x", b[BLOCK_HEADER + i]);
        }
        printf("\n");
        if ((b[BLOCK_HEADER] & 0x7f) == SPDM_MEAS_HASH_EXTEND) {
            check_extended(c, b[0], b + BLOCK_HEADER + VALUE_HEADER, size - VALUE_HEADER);
        }
        left -= BLOCK_HEADER + size;
        b += BLOCK_HEADER + size;
    }
    return true;
}

static bool show_challenge(Client *c)
{
    if (c->requester.challenged_back) {
        printf("     the device challenged back, and took the answer\n");
    }
    return true;
}

/* What was told since the last time. */
static bool show_events(Client *c)
{
    static const char *const names[] = {
        [SPDM_EVENT_LOST] = "events were lost", [SPDM_EVENT_MEASUREMENT_CHANGED] = "measurements changed",
        [SPDM_EVENT_MEASUREMENT_PRE_UPDATE] = "measurements will change",
        [SPDM_EVENT_CERTIFICATE_CHANGED] = "certificates changed",
    };
    SpdmSpan   events = spdm_requester_events(&c->requester);
    ByteReader r = br_init(events.data, events.len);
    SpdmEvent  e;

    while (br_left(&r) != 0 && spdm_event_read(&r, &e)) {
        printf("     event %" PRIu32 ", %s: ", e.id, names[e.type]);
        for (size_t i = 0; i < e.len; i++) {
            printf("%02x", e.details[i]);
        }
        printf("\n");
    }
    return true;
}

static void show_hex(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        printf("%02x", bytes[i]);
    }
}

/* A number of so many bytes, least significant first. */
static void show_number(const uint8_t *bytes, size_t len)
{
    while (len-- > 0) {
        printf("%02x", bytes[len]);
    }
}

/* Device class identifiers, whose form the requester has checked: registry and vendor, then what is below it. */
static bool show_class(Client *c)
{
    SpdmSpan   info = spdm_requester_vendor_reply(&c->requester);
    ByteReader r = br_init(info.data, info.len);
    unsigned   n = br_u8(&r);

    for (br_skip(&r, 3); n != 0; n--) {
        size_t   len;
        unsigned subordinate;

        br_skip(&r, 1);
        printf("     device class: registry %u, vendor ", br_u8(&r));
        len = br_u8(&r);
        show_number(br_take(&r, len), len);
        for (subordinate = br_u8(&r); subordinate != 0; subordinate--) {
            len = br_u8(&r);
            printf(" ");
            show_number(br_take(&r, len), len);
        }
        printf("\n");
    }
    return true;
}

/* AsymAlgoCapabilities and fields like it. */
static void show_algorithms(uint32_t bits)
{
    const char *comma = "";

    for (unsigned kind = 0; kind < SPDM_N_KEY_KINDS; kind++) {
        uint32_t bit = spdm_key_algorithm_bit((SpdmKeyKind)kind);

        if ((bits & bit) != 0) {
            printf("%s%s", comma, spdm_key_type((SpdmKeyKind)kind)->name);
            comma = ", ";
            bits &= ~bit;
        }
    }
    if (bits != 0) {
        printf("%sothers: 0x%" PRIx32, comma, bits);
    }
}

/* KeyUsageMask and fields like it. */
static void show_uses(unsigned bits)
{
    static const char *const names[] = { "key exchange", "challenges", "measurements", "endpoint information" };
    const char              *comma = "";

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if ((bits >> i & 1) != 0) {
            printf("%s%s", comma, names[i]);
            comma = ", ";
        }
    }
    if (bits >> ARRAY_LEN(names) != 0) {
        printf("%sothers: 0x%x", comma, bits >> ARRAY_LEN(names) << ARRAY_LEN(names));
    }
}

/* DSP0274 1.3 "KEY_PAIR_INFO response message": where what is shown stands. */
static bool show_key_pairs(Client *c)
{
    enum { USAGE = 6, ALGORITHM = 12, SLOTS = 18 };

    SpdmSpan   pairs = spdm_requester_key_pairs(&c->requester);
    ByteReader r = br_init(pairs.data, pairs.len);

    if (c->requester.surplus_key_pairs) {
        printf("     KEY_PAIR_INFO has six bytes of zero behind its fields, as libspdm sent it before June 2026\n");
    }
    while (br_left(&r) != 0) {
        size_t         len = br_u16(&r);
        const uint8_t *info = br_take(&r, len);

        printf("     key pair %u, of slots 0x%02x: ", info[1], info[SLOTS]);
        show_algorithms(le32_get(info + ALGORITHM));
        printf("; for ");
        show_uses(le16_get(info + USAGE));
        printf("\n");
    }
    return true;
}

static void take_banks(Client *c, ByteReader *r)
{
    unsigned n;

    br_skip(r, 4);
    n = br_u8(r);
    for (br_skip(r, 3); n != 0; n--) {
        size_t  len = br_u8(r);
        uint8_t id = br_u8(r), slots = br_u8(r), modifiable = br_u8(r);

        br_skip(r, len - SPDM_BANK_LEN);
        printf("     bank %u: slots 0x%02x, of which 0x%02x can change\n", id, slots, modifiable);
        c->banks[c->n_banks++] = id;
    }
}

/* DSP0274 1.4 "SLOT_MANAGEMENT_RESP": the details of a bank. */
static void show_bank(Client *c, ByteReader *r)
{
    uint8_t  id, attributes;
    uint32_t algorithm;
    unsigned n;

    br_skip(r, 2);
    id = br_u8(r);
    br_skip(r, 1);
    n = br_u16(r);
    attributes = br_u8(r);
    br_skip(r, 1 + 4);
    algorithm = br_u32(r);
    br_skip(r, 4);
    for (unsigned i = 0; i < 3; i++) {
        br_skip(r, br_u8(r));
    }
    printf("     bank %u: ", id);
    show_algorithms(algorithm);
    printf("%s\n", attributes & 1 ? ", this connection's" : "");
    for (br_skip(r, 4); n != 0; n--) {
        ByteReader e = br_init(r->data + r->pos, le16_get(r->data + r->pos));
        uint8_t    slot, pair;

        br_skip(r, e.len);
        br_skip(&e, 2);
        slot = br_u8(&e);
        br_skip(&e, 1);
        if (br_u8(&e) & 1) { /* provisioned */
            pair = br_u8(&e);
            br_skip(&e, 10);
            printf("     bank %u, slot %u: key pair %u, digest ", id, slot, pair);
            show_hex(e.data + e.pos, e.len - e.pos);
            printf("\n");
        }
    }
    c->own_bank = attributes & 1 ? id : c->own_bank;
}

/* The chain of the slot that this connection goes by, out of its bank, is the one that GET_CERTIFICATE gave. */
static void compare_chains(Client *c)
{
    SpdmSpan chain = spdm_requester_chain(&c->requester), got = spdm_requester_vendor_reply(&c->requester);
    bool     same = chain.len == got.len && memcmp(chain.data, got.data, chain.len) == 0;

    report(c, same, "slot in its bank", same ? "it has the same certificates" : "it has other certificates");
}

/* Whether the chain could come in one piece. */
static bool chain_is_short(const Client *c)
{
    size_t len = spdm_requester_chain(&c->requester).len;

    return len != 0 && len + 16 + SPDM_RECORD_OVERHEAD <= SPDM_MSG_MAX;
}

/* What is asked of slots after that sub-code; false: nothing. */
static bool next_ask(Client *c)
{
    bool all_shown = c->n_shown == c->n_banks, was_first = c->asks.subcode == SPDM_SLOTS_SUBCODES;

    c->asks.subcode = was_first ? SPDM_SLOTS_BANK_INFO : all_shown ? SPDM_SLOTS_GET_CHAIN : SPDM_SLOTS_BANK_DETAILS;
    c->asks.bank = all_shown ? c->own_bank : c->banks[c->n_shown];
    c->asks.slot = all_shown ? c->requester.options.slot : 0;
    return (c->subcodes & BIT(c->asks.subcode)) != 0 &&
           (c->asks.subcode != SPDM_SLOTS_GET_CHAIN || chain_is_short(c));
}

/* After each sub-code of SLOT_MANAGEMENT: what came. */
static bool take_slots(Client *c)
{
    SpdmSpan   got = spdm_requester_vendor_reply(&c->requester);
    ByteReader r = br_init(got.data, got.len);

    switch (c->asks.subcode) {
    case SPDM_SLOTS_SUBCODES:
        br_skip(&r, 4);
        c->subcodes = br_u64(&r);
        break;
    case SPDM_SLOTS_BANK_INFO:
        take_banks(c, &r);
        break;
    case SPDM_SLOTS_BANK_DETAILS:
        show_bank(c, &r);
        c->n_shown++;
        break;
    default:
        compare_chains(c);
        return true;
    }
    c->step -= next_ask(c); /* the same step again */
    return true;
}

static const Step steps[] = {
    { "connection", SPDM_OP_CONNECT, check_chain, 0, false },
    { "challenge", SPDM_OP_CHALLENGE, show_challenge, SPDM_CAP_CHAL, false },
    { "session", SPDM_OP_SESSION, NULL, 0, false },
    { "subscription to events", SPDM_OP_SUBSCRIBE, NULL, SPDM_CAP_EVENT, true },
    { "heartbeat", SPDM_OP_HEARTBEAT, NULL, SPDM_CAP_HBEAT, false },
    { "key pairs", SPDM_OP_KEY_PAIRS, show_key_pairs, SPDM_CAP_GET_KEY_PAIR_INFO, false },
    { "banks of slots", SPDM_OP_SLOTS, take_slots, SPDM_CAP_SLOT_MGMT, false },
    { "endpoint information", SPDM_OP_ENDPOINT_INFO, show_class, SPDM_CAP_EP_INFO, false },
    { "measurement log", SPDM_OP_LOG, keep_log, SPDM_CAP_MEL, false },
    { "measurements", SPDM_OP_MEASUREMENTS, show_measurements, SPDM_CAP_MEAS, false },
    { "key update", SPDM_OP_KEY_UPDATE, NULL, SPDM_CAP_KEY_UPD, true },
    { "what the device asks", SPDM_OP_ENCAPSULATED, show_events, SPDM_CAP_ENCAP, true },
    { "end of session", SPDM_OP_END_SESSION, NULL, 0, false },
};

static void finish(Client *c)
{
    spdm_link_send(c->link, SPDM_LINK_CONTINUE, NULL, 0); /* the responder goes on; its answer is not waited for */
    g_main_loop_quit(c->loop);
}

static void send_request(Client *c)
{
    uint8_t    msg[SPDM_RECORD_MAX], packet[SPDM_RECORD_MAX + SPDM_PACKET_OVERHEAD];
    ByteWriter w = bw_init(packet, sizeof(packet));
    bool       secured;
    size_t     len = spdm_requester_next(&c->requester, msg, sizeof(msg), &secured);

    if (len == 0) {
        report(c, false, steps[c->step].name, spdm_requester_error(&c->requester));
        finish(c);
        return;
    }
    spdm_packet_wrap(c->requester.options.transport, secured, msg, len, &w);
    spdm_link_send(c->link, SPDM_LINK_NORMAL, packet, w.pos);
}

/* Whether the device has what the step needs, or any of it. */
static bool step_is_possible(const Client *c)
{
    const Step *step = &steps[c->step];

    return (step->needs == 0 || (c->requester.peer_capabilities & step->needs) != 0) &&
           (step->op != SPDM_OP_HEARTBEAT || spdm_requester_heartbeat_s(&c->requester) != 0) &&
           (!step->encap || c->requester.options.encapsulated);
}

static void start_step(Client *c)
{
    SpdmOpArgs  all = { .index = 0xff, .sign = c->requester.has_key };
    SpdmOp      op;
    const char *why;

    while (c->step < G_N_ELEMENTS(steps) && !step_is_possible(c)) {
        c->step++;
    }
    if (c->step == G_N_ELEMENTS(steps)) {
        finish(c);
        return;
    }
    op = steps[c->step].op;
    op = op == SPDM_OP_SESSION && c->requester.options.psk.key_len != 0 ? SPDM_OP_PSK_SESSION : op;
    why = spdm_requester_start(&c->requester, op, op == SPDM_OP_SLOTS ? &c->asks
                                                  : op == SPDM_OP_MEASUREMENTS ? &all : NULL);
    if (why != NULL) {
        report(c, false, steps[c->step].name, why);
        finish(c);
        return;
    }
    send_request(c);
}

static void end_step(Client *c)
{
    const Step *step = &steps[c->step];

    if (step->op != SPDM_OP_SLOTS || c->asks.subcode == SPDM_SLOTS_SUBCODES) { /* of several, one is told of */
        report(c, true, step->name, "done");
    }
    if (step->after != NULL && !step->after(c)) {
        finish(c);
        return;
    }
    c->step++;
    start_step(c);
}

static gboolean on_ready(gpointer opaque)
{
    Client *c = opaque;

    c->wait = 0;
    send_request(c);
    return G_SOURCE_REMOVE;
}

/* What the device asked for, as far as anybody waits here. */
static guint wait_ms(const Client *c)
{
    return (guint)MIN((spdm_requester_wait_us(&c->requester) + 999) / 1000, PATIENCE_S * 1000ull);
}

static void on_frame(void *opaque, uint32_t command, const uint8_t *payload, size_t len)
{
    Client    *c = opaque;
    bool       secured;
    SpdmSpan   msg;
    SpdmResult result;

    if (command != SPDM_LINK_NORMAL ||
        !spdm_packet_unwrap(c->requester.options.transport, payload, len, &secured, &msg)) {
        report(c, false, steps[c->step].name,
               len == 0 ? "the device is silent" : "what came back is no packet with SPDM");
        finish(c);
        return;
    }
    result = spdm_requester_response(&c->requester, msg.data, msg.len, secured);
    if (result == SPDM_CONTINUE) {
        c->wait = g_timeout_add(wait_ms(c), on_ready, c);
    } else if (result == SPDM_DONE) {
        end_step(c);
    } else {
        report(c, false, steps[c->step].name, spdm_requester_error(&c->requester));
        finish(c);
    }
}

/* What is being done. */
static const char *now(const Client *c) { return c->step < G_N_ELEMENTS(steps) ? steps[c->step].name : "end"; }

static void on_peer(void *opaque, bool here)
{
    Client *c = opaque;

    if (!here) {
        report(c, false, now(c), "the responder hung up");
        g_main_loop_quit(c->loop);
    }
}

static gboolean on_timeout(gpointer opaque)
{
    Client *c = opaque;

    report(c, false, now(c), "the responder did not answer in time");
    g_main_loop_quit(c->loop);
    return G_SOURCE_CONTINUE;
}

typedef struct RequesterOptions {
    const char   *connect, *transport_name, *size_text, *root, *seed_text, *version, *algs, *slot_text, *psk_text,
        *chain, *key, *encap_text, *multi_text, *own_text;
    bool          encap, multi_key, own_keys;
    SpdmPsk       psk;
    SpdmTransport transport;
    uint64_t      size, seed, slot;
    SpdmOffer     offer;
} RequesterOptions;

/* "1.1" to "1.4". */
static bool read_version(const char *text, SpdmOffer *offer, GError **error)
{
    if (text == NULL) {
        return true;
    }
    if (strlen(text) != 3 || strncmp(text, "1.", 2) != 0 || text[2] < '1' || text[2] > '4') {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: -version %s is not spoken here; give 1.1, 1.2, 1.3 or 1.4",
                    text);
        return false;
    }
    offer->version_min = offer->version_max = (uint8_t)(0x10 + text[2] - '0');
    return true;
}

static bool read_algorithms(const char *text, SpdmOffer *offer, GError **error)
{
    char why[SPDM_WHY_MAX];

    if (text == NULL || spdm_algorithms_parse(text, &offer->algorithms, why)) {
        return true;
    }
    g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: -algs %s: %s", text, why);
    return false;
}

static bool check_size(uint64_t size, GError **error)
{
    if (size < SPDM_DATA_TRANSFER_MIN || size > SPDM_MSG_MAX) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: -transfer-size %" PRIu64 ": a buffer has %d to %d bytes",
                    size, SPDM_DATA_TRANSFER_MIN, SPDM_MSG_MAX);
        return false;
    }
    return true;
}

/* -cert-chain and -key, or the TEST ones. */
static bool read_identity(const RequesterOptions *o, Client *c, GError **error)
{
    char       *chain = NULL, *key = NULL;
    GError     *e = NULL;
    const char *why = NULL;
    bool        test = g_strcmp0(o->chain, "test") == 0;

    if (o->chain == NULL) {
        return true;
    }
    if (!test && (!file_read(o->chain, PEM_MAX_SIZE, &chain, NULL, &e) ||
                  !file_read(o->key, PEM_MAX_SIZE, &key, NULL, &e))) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: cannot read -cert-chain or -key: %s", e->message);
        g_error_free(e);
        g_free(chain);
        return false;
    }
    if (spdm_identity_load(test ? spdm_test_pem(SPDM_TEST_REQUESTER, SPDM_KEY_P384) : &(SpdmPem){ chain, key },
                           &c->entropy, &c->identity, &why)) {
        why = spdm_identity_check(&c->identity, &c->entropy);
    }
    g_free(chain);
    g_free(key);
    if (why != NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: cannot use -cert-chain %s: %s", o->chain, why);
    }
    c->requester.identity = &c->identity;
    return why == NULL;
}

static bool check_slot(uint64_t slot, GError **error)
{
    if (slot >= SPDM_SLOTS) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: -slot %" PRIu64 ": a device has the slots 0 to %d", slot,
                    SPDM_SLOTS - 1);
        return false;
    }
    return true;
}

/* -psk test, or the file of one's own. */
static bool read_psk(const char *path, SpdmPsk *psk, GError **error)
{
    char       *text = NULL;
    GError     *e = NULL;
    const char *why = NULL;

    if (path == NULL) {
        return true;
    }
    if (strcmp(path, "test") != 0 && !file_read(path, PEM_MAX_SIZE, &text, NULL, &e)) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: cannot read -psk %s: %s", path, e->message);
        g_error_free(e);
        return false;
    }
    why = spdm_psk_read(text != NULL ? text : spdm_psk_test(), psk);
    g_free(text);
    if (why != NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: cannot use -psk %s: %s", path, why);
    }
    return why == NULL;
}

static bool read_switch(const char *option, const char *text, bool *value, GError **error)
{
    if (text == NULL || option_parse_bool(text, value)) {
        return true;
    }
    g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: -%s %s: say on or off", option, text);
    return false;
}

static bool parse_options(const Command *cmd, RequesterOptions *o, GError **error)
{
    if (o->connect == NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: no address given; for instance -connect 127.0.0.1:2323");
        return false;
    }
    if (o->chain == NULL ? o->key != NULL : (o->key == NULL) != (strcmp(o->chain, "test") == 0)) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: give -cert-chain and -key, or -cert-chain test alone");
        return false;
    }
    o->offer = (SpdmOffer){ SPDM_VERSION_11, SPDM_VERSION_14, { 0 } };
    if (o->size_text != NULL && (!command_number(cmd, "transfer-size", o->size_text, &o->size, error) ||
                                 !check_size(o->size, error))) {
        return false;
    }
    if (o->slot_text != NULL && (!command_number(cmd, "slot", o->slot_text, &o->slot, error) ||
                                 !check_slot(o->slot, error))) {
        return false;
    }
    return read_switch("encap", o->encap_text, &o->encap, error) &&
           read_switch("multi-key", o->multi_text, &o->multi_key, error) &&
           read_switch("own-keys", o->own_text, &o->own_keys, error) &&
           (o->transport_name == NULL || spdm_link_transport(cmd->name, o->transport_name, &o->transport, error)) &&
           (o->seed_text == NULL || command_number(cmd, "seed", o->seed_text, &o->seed, error)) &&
           read_psk(o->psk_text, &o->psk, error) && read_version(o->version, &o->offer, error) &&
           read_algorithms(o->algs, &o->offer, error);
}

static bool read_root(const char *path, Client *c, GError **error)
{
    char   *text = NULL;
    GError *e = NULL;
    bool    ok = path == NULL || file_read(path, PEM_MAX_SIZE, &text, NULL, &e);

    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: cannot read -root %s: %s", path, e->message);
        g_error_free(e);
    } else if (path != NULL && !load_root(text, c)) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: -root %s holds no certificate in PEM", path);
        ok = false;
    }
    g_free(text);
    return ok;
}

/* Fresh numbers for a nonce that nobody foresees, or the same ones each time. */
static bool init_entropy(const RequesterOptions *o, Entropy *e, GError **error)
{
    entropy_init(e, o->seed, "spdm-requester");
    if (o->seed_text == NULL && getrandom(e->key, sizeof(e->key), 0) != (ssize_t)sizeof(e->key)) {
        g_set_error(error, BAILEY_ERROR, 1, "spdm-requester: the host gives no random numbers: %s; use -seed",
                    g_strerror(errno));
        return false;
    }
    return true;
}

static int request(const RequesterOptions *o, GError **error)
{
    static const SpdmLinkClient client = { on_frame, on_peer };
    Client                     *c = g_new0(Client, 1);
    int                         status = COMMAND_FAILED;

    c->loop = g_main_loop_new(NULL, FALSE);
    spdm_requester_init(&c->requester, &c->entropy);
    c->requester.options = (SpdmRequesterOptions){ .transport = o->transport, .transfer_size = (uint32_t)o->size,
                                                   .slot = (uint8_t)o->slot, .psk = o->psk,
                                                   .multi_key = o->multi_key, .own_keys = o->own_keys,
                                                   .heartbeat = true, .large = true,
                                                   .encapsulated = o->encap };
    c->requester.challenge = &c->challenge;
    c->requester.chain_room = (SpdmRoom){ c->chain, sizeof(c->chain) };
    c->challenge.b.room = (SpdmRoom){ c->b, sizeof(c->b) };
    c->challenge.mutual.room = (SpdmRoom){ c->mutual, sizeof(c->mutual) };
    c->identity.room = (SpdmRoom){ c->own, sizeof(c->own) };
    spdm_requester_offer(&c->requester, &o->offer);
    if (init_entropy(o, &c->entropy, error) && read_identity(o, c, error) && read_root(o->root, c, error) &&
        (c->link = spdm_link_new(o->connect, o->transport, false, &client, c, error)) != NULL) {
        guint timeout = g_timeout_add_seconds(PATIENCE_S, on_timeout, c);

        start_step(c);
        g_main_loop_run(c->loop);
        g_source_remove(timeout);
        if (c->wait != 0) {
            g_source_remove(c->wait);
        }
        printf("device %s\n", c->failed ? "NOT accepted" : "accepted");
        status = c->failed ? COMMAND_FAILED : COMMAND_OK;
    }
    spdm_link_free(c->link);
    g_main_loop_unref(c->loop);
    OPENSSL_free(c->root);
    g_free(c);
    return status;
}

static const CommandOption requester_options[] = {
    { "connect", "ADDRESS:PORT", "where the responder listens; also unix:PATH", offsetof(RequesterOptions, connect) },
    { "transport", "NAME", "that messages go by: pci-doe (default), mctp or tcp",
      offsetof(RequesterOptions, transport_name) },
    { "transfer-size", "BYTES", "of the buffer for messages, 42 to 4096: longer ones come and go in chunks",
      offsetof(RequesterOptions, size_text) },
    { "slot", "N", "the certificate slot to check, 0 (default) to 7", offsetof(RequesterOptions, slot_text) },
    { "root", "FILE.pem", "the root certificate that is trusted (default: the TEST root of the key's kind)",
      offsetof(RequesterOptions, root) },
    { "psk", "FILE|test", "open the session from this pre-shared key, a line HINT:HEX (test: the TEST key)",
      offsetof(RequesterOptions, psk_text) },
    { "cert-chain", "FILE|test", "the requester's own certificates in PEM, root first, if the device asks for them",
      offsetof(RequesterOptions, chain) },
    { "key", "FILE", "the key of the last of -cert-chain, in PEM", offsetof(RequesterOptions, key) },
    { "encap", "on|off", "ask the device what it wants in the session: new keys, to tell events (default: off)",
      offsetof(RequesterOptions, encap_text) },
    { "multi-key", "on|off", "let each slot of the device have a key of its own, in 1.3 (default: off)",
      offsetof(RequesterOptions, multi_text) },
    { "own-keys", "on|off", "say that slots of the requester's have keys of their own, in 1.3 (default: off)",
      offsetof(RequesterOptions, own_text) },
    { "version", "1.1|1.2|1.3|1.4", "the SPDM version to agree to (default: the highest common one)",
      offsetof(RequesterOptions, version) },
    { "algs", "NAME+NAME...",
      "the algorithms to agree to, as in sha256+ecdsa-p256; all of a kind that none is named of",
      offsetof(RequesterOptions, algs) },
    { "seed", "N", "draw nonces and keys from this number, to repeat an exchange (default: the host's random ones)",
      offsetof(RequesterOptions, seed_text) },
};

static int run_requester(const Command *cmd, int argc, char **argv)
{
    RequesterOptions o = { 0 };
    GError          *error = NULL;
    bool             help;
    int              status = COMMAND_BAD_USAGE;

    if (command_parse(cmd, &o, argc, argv, NULL, &help, &error) && !help) {
        if (parse_options(cmd, &o, &error)) {
            status = request(&o, &error);
        }
    }
    return command_finish(help, status, error);
}

COMMAND(spdm_requester, .name = "spdm-requester", .options = requester_options,
        .n_options = G_N_ELEMENTS(requester_options),
        .args = "-connect ADDRESS:PORT [options]", .run = run_requester,
        .help = "check a device behind a socket as a trusted module does: status 0 when it is accepted, 1 when not");
