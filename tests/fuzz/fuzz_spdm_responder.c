/*
 * Any bytes into the device: a connection in a state that the first byte chooses, then messages of the input,
 * plain, as raw records, out of packets of each transport, or sealed with the session's keys so that they reach the
 * handlers. Each is one length byte pair and bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "spdm/record.h"
#include "unit/spdm_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A packet of some transport. */
static void hear_packet(SpdmPair *pair, SpdmTransport t, const uint8_t *packet, size_t len)
{
    uint8_t  out[SPDM_RECORD_MAX];
    bool     secured;
    SpdmSpan msg;

    if (spdm_packet_unwrap(t, packet, len, &secured, &msg)) {
        pair->responder.config.transport = t;
        (void)spdm_responder_handle(&pair->responder, secured, msg.data, msg.len, out, sizeof(out), &secured);
        pair->responder.config.transport = SPDM_OVER_DOE;
    }
}

/* What of keys a device has that keeps those which requests make. */
#define KEYS ((uint32_t)(SPDM_CAP_MULTI_KEY_NEG | SPDM_CAP_SET_KEY_PAIR_INFO | SPDM_CAP_SET_CERT | SPDM_CAP_CSR))

/* A key of another kind, for another bank. */
static const SpdmIdentity *p256_identity(void)
{
    static SpdmIdentity id;
    const char         *why;
    Entropy             entropy;

    if (id.certs_len == 0) {
        entropy_init(&entropy, 1, "P-256");
        if (!spdm_identity_load(spdm_test_pem(SPDM_TEST_DEVICE, SPDM_KEY_P256), &entropy, &id, &why)) {
            abort();
        }
    }
    return &id;
}

/* What certificates go into, beside the pair: slot 0 as it was, slot 1 when it has a key, and nothing that waits; with
 * banks, slot 0 of another one. */
static void put_back(SpdmPair *pair)
{
    static SpdmIdentity   ids[SPDM_IDENTITIES_MAX];
    static SpdmProvisions provisions;

    ids[0] = *pair_identity(SPDM_TEST_DEVICE);
    if (pair->responder.config.capabilities & SPDM_CAP_MULTI_KEY) {
        ids[1] = *pair_identity(SPDM_TEST_WRONG_ROOT);
        ids[1].slot = 1;
    }
    if (pair->responder.config.capabilities & SPDM_CAP_SLOT_MGMT) {
        ids[2] = *p256_identity();
    }
    memset(provisions.usage_off, 0, sizeof(provisions.usage_off));
    memset(provisions.changes, 0, sizeof(provisions.changes));
    memset(provisions.made, 0, sizeof(provisions.made));
    if ((pair->responder.config.capabilities & KEYS) == KEYS) {
        provisions.made[0] = (SpdmMadePair){ true, pair_identity(SPDM_TEST_WRONG_ROOT)->key };
    }
    provisions.identities = ids;
    provisions.staged_slots = 0;
    for (unsigned tag = 0; tag < SPDM_CSR_TAGS; tag++) {
        provisions.csrs[tag].used = false;
    }
    pair->responder.config.identities = ids;
    pair->responder.config.provisions = &provisions;
}

/* A log of one entry, and the measurement that it makes. */
static bool log_entry(void *opaque, unsigned n, SpdmLogEntry *e)
{
    *e = (SpdmLogEntry){ 3, SPDM_MEAS_IMMUTABLE_ROM, (const uint8_t *)"rom", 3 };
    return n == 0;
}

static bool measurement(void *opaque, unsigned n, SpdmMeasurement *m)
{
    *m = (SpdmMeasurement){ .index = 3, .kind = SPDM_MEAS_HASH_EXTEND, .tcb = true };
    return n == 0;
}

/* A connection up to one of four stages: nothing, connected, session, locked. @small: buffers, so that there are
 * chunks; and answers need two more requests. @whole: 1.3 with everything that can be had. */
static void start(SpdmPair *pair, unsigned stage, bool small, bool whole)
{
    static const unsigned stages[] = { 0, 1, 2, 7 };
    const uint32_t        provision = SPDM_CAP_SET_CERT | SPDM_CAP_CSR | SPDM_CAP_CERT_INSTALL_RESET | SPDM_CAP_MEL |
                                      SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_SET_KEY_PAIR_INFO;

    pair_init(pair, SPDM_RESPONDER_CAPS | (small ? SPDM_CAP_CHUNK : 0u) | (whole ? provision : 0u));
    pair->responder.config.transfer_size = small ? 64 : SPDM_MSG_MAX;
    pair->requester.options.transfer_size = small ? 64 : 0;
    pair->responder.config.not_ready = small ? 2 : 0;
    if (whole) {
        pair->responder.config.version_max = SPDM_VERSION_13;
        pair->responder.config.log_entry = log_entry;
        pair->responder.config.measurement = measurement;
        put_back(pair);
    }
    (void)pair_run(pair, stages[stage]);
}

static bool requester_key(void *opaque, const uint8_t *certs, size_t len, SpdmPublicKey *key)
{
    return spdm_chain_check(certs, len, NULL, 0, SPDM_CHAIN_OF_REQUESTER, -1, key) == NULL;
}

/* Connected, after KEY_EXCHANGE, after GET_ENCAPSULATED_REQUEST, after the digests, with mutual authentication. */
static void start_mutual(SpdmPair *pair, unsigned state)
{
    pair->responder.config.capabilities |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
    pair->responder.config.requester_key = requester_key;
    pair->requester.identity = pair_identity(SPDM_TEST_REQUESTER);
    (void)pair_connect(pair);
    (void)spdm_requester_start(&pair->requester, SPDM_OP_SESSION, NULL);
    for (; state != 0; state--) {
        (void)pair_step(pair);
    }
}

/* After CHALLENGE, after GET_ENCAPSULATED_REQUEST, after the digests, after the certificates: challenged back. */
static void start_challenged(SpdmPair *pair, unsigned state)
{
    pair->responder.config.capabilities |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
    pair->responder.config.requester_key = requester_key;
    pair->responder.config.mutual_basic = true;
    pair->responder.config.version_max = SPDM_VERSION_13;
    pair->requester.identity = pair_identity(SPDM_TEST_REQUESTER);
    pair->requester.challenge = &pair->challenge;
    (void)pair_connect(pair);
    (void)spdm_requester_start(&pair->requester, SPDM_OP_CHALLENGE, NULL);
    for (unsigned i = 0; i <= state; i++) {
        (void)pair_step(pair);
    }
}

/* The same device, with a key of its own in slot 1, in a multi-key connection. */
static void more_keys(SpdmPair *pair)
{
    pair->responder.config.capabilities |=
        SPDM_CAP_MULTI_KEY_NEG | SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_SET_KEY_PAIR_INFO;
    pair->responder.config.n_identities = 2;
    pair->requester.options.multi_key = true;
    put_back(pair);
}

/* In a session that has subscribed: there is an event; it has been told; a new key is wanted; was asked for. */
static void start_asking(SpdmPair *pair, unsigned state)
{
    pair->responder.config.capabilities |= SPDM_CAP_ENCAP | SPDM_CAP_EVENT;
    pair->responder.config.version_max = SPDM_VERSION_13;
    pair->requester.options.encapsulated = true;
    more_keys(pair);
    (void)pair_run(pair, 2);
    (void)pair_op(pair, SPDM_OP_SUBSCRIBE, NULL);
    if (state < 2) {
        spdm_responder_measurement_changed(&pair->responder, 1);
    } else {
        spdm_responder_want_key_update(&pair->responder, pair->requester.session.id);
    }
    (void)spdm_requester_start(&pair->requester, SPDM_OP_ENCAPSULATED, NULL);
    if (state & 1) {
        (void)pair_step(pair);
    }
}

/* Key pairs and their certificates in 1.4, with lengths of 32 bits: connected, in a session; what comes takes effect
 * at once or with a reset. */
static void start_keys(SpdmPair *pair, unsigned state)
{
    pair->responder.config.capabilities |=
        KEYS | SPDM_CAP_EP_INFO_SIG | SPDM_CAP_LARGE_RESP | (state & 2 ? (uint32_t)SPDM_CAP_CERT_INSTALL_RESET : 0);
    pair->responder.config.version_max = SPDM_VERSION_14;
    pair->requester.options.large = true;
    more_keys(pair);
    (void)pair_run(pair, 1 + (state & 1));
}

/* Banks of slots in 1.4: connected, in a session; changes of slots and keys take effect at once or with a reset. */
static void start_banks(SpdmPair *pair, unsigned state)
{
    pair_init(pair, SPDM_RESPONDER_CAPS | KEYS | SPDM_CAP_SLOT_MGMT |
                        (state & 2 ? SPDM_CAP_CERT_INSTALL_RESET | SPDM_CAP_SET_KEY_PAIR_RESET : 0u));
    pair->responder.config.version_max = SPDM_VERSION_14;
    pair->responder.config.algorithms.asym |= spdm_asyms_of(SPDM_KEY_P256);
    more_keys(pair);
    pair->responder.config.n_identities = 3;
    (void)pair_run(pair, 1 + (state & 1));
}

/* Nothing, connected, between PSK_EXCHANGE and PSK_FINISH, in a session that the two opened. */
static void start_psk(SpdmPair *pair, unsigned state)
{
    pair->responder.config.capabilities |= SPDM_CAP_PSK_WITH_CONTEXT;
    pair->requester.options.psk = pair_psk();
    if (state != 0) {
        (void)pair_connect(pair);
        (void)spdm_requester_start(&pair->requester, SPDM_OP_PSK_SESSION, NULL);
    }
    for (; state > 1; state--) {
        (void)pair_step(pair);
    }
}

/* A device of the alias certificate model. */
static const SpdmIdentity *alias_identity(void)
{
    static SpdmIdentity id;
    SpdmPrivateKey      alias;
    Entropy             entropy;

    if (id.certs_len == 0) {
        entropy_init(&entropy, 1, "alias");
        id = *pair_identity(SPDM_TEST_DEVICE_CA);
        if (!spdm_alias_key(&id.key, (SpdmSpan){ "firmware", 8 }, &entropy, &alias) ||
            spdm_alias_append(&id, &id.key, &alias, &entropy) != NULL) {
            abort();
        }
        id.key = alias;
    }
    return &id;
}

/* With buffers as long as any message: mutual authentication after KEY_EXCHANGE, and up to FINISH; an alias's
 * certificates; a session that wants a heartbeat; banks of slots. */
static void start_more(SpdmPair *pair, unsigned state)
{
    if (state >= 4) {
        start_banks(pair, state % 4);
        return;
    }
    pair_init(pair, SPDM_RESPONDER_CAPS | SPDM_CAP_HBEAT);
    pair->responder.config.heartbeat_s = 3;
    pair->requester.options.heartbeat = true;
    if (state < 2) {
        start_mutual(pair, 1);
        for (unsigned i = 0; state == 1 && i < 8 && !pair->responder.mutual.trusted; i++) {
            (void)pair_step(pair);
        }
    } else if (state == 2) {
        pair->responder.config.identities = alias_identity();
        pair->responder.config.capabilities |= SPDM_CAP_ALIAS_CERT;
        (void)pair_op(pair, SPDM_OP_CONNECT, NULL);
    } else {
        pair->responder.config.version_max = SPDM_VERSION_13;
        (void)pair_run(pair, 2);
    }
}

/* The interface runs, and takes peer-to-peer streams. */
static void start_running(SpdmPair *pair)
{
    pair_init(pair, SPDM_RESPONDER_CAPS);
    pair->tdi.lock_flags = TDISP_LOCK_BIND_P2P;
    (void)pair_run(pair, pair_stage("start") + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { PLAIN = 32, N_STARTS = PLAIN + 4, N_MORE = 8 };
    enum { BANKS = 0xc0, MORE = 0xd0, KEY_PAIRS = 0xe0, RUNNING = 0xf8 }; /* first bytes from there on */
    static SpdmPair pair, starts[N_STARTS + 1], more[N_MORE];
    static bool     ready;
    ByteReader      r = br_init(data, size);
    uint8_t         out[SPDM_MSG_MAX];
    bool            secured;
    uint8_t         which;

    if (!ready) {
        start_running(&pair);
        starts[N_STARTS] = pair;
        for (unsigned i = 0; i < N_STARTS; i++) {
            start(&pair, i < 16 ? i % 4 : 0, i & 4, i & 8);
            if (i >= PLAIN) {
                start_keys(&pair, i % 4);
            } else if (i >= 28) {
                start_asking(&pair, i % 4);
            } else if (i >= 24) {
                start_challenged(&pair, i % 4);
            } else if (i >= 20) {
                start_mutual(&pair, i % 4);
            } else if (i >= 16) {
                start_psk(&pair, i % 4);
            }
            starts[i] = pair;
        }
        for (unsigned i = 0; i < N_MORE; i++) {
            start_more(&pair, i);
            more[i] = pair;
        }
        ready = true;
    }
    which = br_u8(&r); /* inputs that were kept mean what they meant */
    pair = which >= RUNNING     ? starts[N_STARTS]
           : which >= KEY_PAIRS ? starts[PLAIN + which % 4]
           : which >= MORE      ? more[which % 4]
           : which >= BANKS     ? more[4 + which % 4]
                                : starts[which % PLAIN];
    if (pair.responder.config.provisions != NULL) {
        put_back(&pair);
    }
    for (unsigned i = 0; i < 16 && br_left(&r) != 0; i++) {
        uint8_t        kind = br_u8(&r);
        size_t         len = br_u16(&r);
        const uint8_t *msg;

        len = len < br_left(&r) ? len : br_left(&r);
        len = len < SPDM_MSG_MAX ? len : SPDM_MSG_MAX;
        msg = br_take(&r, len);
        if (msg == NULL) {
            break;
        }
        if (kind == 0x7f) {
            spdm_responder_conventional_reset(&pair.responder);
        } else if (kind & 0x80) {
            hear_packet(&pair, (SpdmTransport)(kind % SPDM_N_TRANSPORTS), msg, len);
            continue;
        }
        switch (kind & 3) {
        case 0:
        case 1:
            (void)spdm_responder_handle(&pair.responder, kind & 1, msg, len, out, sizeof(out), &secured);
            break;
        case 2:
            (void)pair_send(&pair, true, msg, len, out, sizeof(out));
            break;
        default:
            (void)pair_send_pci(&pair, kind >> 2 & 1, msg, len < 2048 ? len : 2048, out, sizeof(out));
            break;
        }
    }
    return 0;
}
