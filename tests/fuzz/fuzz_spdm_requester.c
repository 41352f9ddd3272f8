/*
 * Any bytes into the trusted module: an operation at a step that the first bytes choose, whose responses are
 * the input, plain or sealed with the session's keys; and the parsers of PCI messages on the same bytes.
 */
#include "spdm/log.h"
#include "spdm/record.h"
#include "unit/spdm_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text form of a key. */
static void parse_psk(const uint8_t *msg, size_t len)
{
    char    text[SPDM_MSG_MAX + 1];
    SpdmPsk psk;

    memcpy(text, msg, len);
    text[len] = '\0';
    (void)spdm_psk_read(text, &psk);
}

static void parse_pci(const uint8_t *msg, size_t len)
{
    static TdispClient client;
    IdeKmSequence      q;
    IdeKmQuery         query;
    TdispReport        report;
    uint8_t            request[128], digest[SPDM_HASH_MAX];

    for (unsigned op = 0; op <= TDISP_OP_STATE; op++) {
        tdisp_client_init(&client, PAIR_FUNCTION);
        tdisp_client_start(&client, (TdispOp)op);
        (void)tdisp_client_next(&client, request, sizeof(request));
        (void)tdisp_client_response(&client, msg, len);
    }
    (void)spdm_log_extend((SpdmSpan){ msg, len }, 6, spdm_hash(BIT(1)), digest);
    ide_km_sequence_start(&q, (IdeKmOp)(len & 3), 0, 0, 0, NULL);
    (void)ide_km_sequence_response(&q, msg, len);
    (void)ide_km_parse_query(msg, len, &query);
    (void)tdisp_report_decode(msg, len, &report);
    parse_psk(msg, len);
}

enum {
    N_OPS = SPDM_OP_ENCAPSULATED - SPDM_OP_CONNECT + 1,
    PSK = SPDM_OP_PSK_SESSION - SPDM_OP_CONNECT,
    CHALLENGE = SPDM_OP_CHALLENGE - SPDM_OP_CONNECT,
    SET_CERTIFICATE = SPDM_OP_SET_CERTIFICATE - SPDM_OP_CONNECT,
    HEARTBEAT = SPDM_OP_HEARTBEAT - SPDM_OP_CONNECT,
    KEY_PAIRS = SPDM_OP_KEY_PAIRS - SPDM_OP_CONNECT,
    SLOTS = SPDM_OP_SLOTS - SPDM_OP_CONNECT, /* behind N_OPS, so that inputs that were kept mean what they meant */
};

enum { ASK_SLOTS = 0xf0 }; /* first bytes from there on */

static bool requester_key(void *opaque, const uint8_t *certs, size_t len, SpdmPublicKey *key)
{
    return spdm_chain_check(certs, len, NULL, 0, SPDM_CHAIN_OF_REQUESTER, -1, key) == NULL;
}

/* A pair whose requester awaits a response: of the @skip-th exchange of an operation; @small: messages go in chunks.
 * Built once: key pairs are slow. */
static const SpdmPair *start_of(unsigned which, unsigned skip, bool small)
{
    static const uint8_t subcodes[] = { SPDM_SLOTS_SUBCODES, SPDM_SLOTS_BANK_INFO, SPDM_SLOTS_BANK_DETAILS,
                                        SPDM_SLOTS_GET_CHAIN, SPDM_SLOTS_MANAGE_SLOT };
    static SpdmPair starts[2][SLOTS + 1][5];
    static bool     ready[2][SLOTS + 1][5];
    SpdmPair       *p = &starts[small][which][skip];
    uint8_t         message[] = { 0x10, 0x85 }, out[SPDM_MSG_MAX];
    SpdmOpArgs args = {
        .protocol = SPDM_PCI_PROTOCOL_TDISP, .message = message, .len = 2, .index = 0xff, .sign = skip & 1};
    bool       secured, goes_on;

    if (!ready[small][which][skip]) {
        pair_init(p, SPDM_RESPONDER_CAPS | (small ? SPDM_CAP_CHUNK : 0u));
        p->responder.config.transfer_size = small ? 64 : SPDM_MSG_MAX;
        p->requester.options.transfer_size = small ? 64 : 0;
        p->responder.config.version_max = skip == 4 || which == SLOTS ? SPDM_VERSION_14
                                          : which > 3                 ? SPDM_VERSION_13
                                                                      : SPDM_VERSION_12;
        p->responder.config.capabilities |= which == PSK ? (uint32_t)SPDM_CAP_PSK_WITH_CONTEXT : 0;
        p->responder.config.capabilities |= small ? SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP : 0u;
        p->responder.config.requester_key = requester_key;
        p->requester.identity = small ? pair_identity(SPDM_TEST_REQUESTER) : NULL;
        p->responder.config.capabilities |= which > CHALLENGE ? SPDM_CAP_ENCAP | SPDM_CAP_EVENT : 0u;
        p->responder.config.mutual_basic = true;
        p->responder.config.capabilities |= small ? SPDM_CAP_MULTI_KEY_NEG | SPDM_CAP_GET_KEY_PAIR_INFO : 0u;
        p->responder.config.capabilities |= skip & 1 ? SPDM_CAP_EP_INFO_SIG : SPDM_CAP_EP_INFO_NO_SIG;
        p->requester.options.multi_key = small;
        p->requester.challenge = which == CHALLENGE ? &p->challenge : NULL;
        p->requester.options.encapsulated = which > CHALLENGE;
        p->requester.options.psk = which == PSK ? pair_psk() : (SpdmPsk){ 0 };
        p->responder.config.capabilities |= which == KEY_PAIRS ? (uint32_t)SPDM_CAP_GET_KEY_PAIR_INFO : 0;
        p->responder.config.capabilities |= skip == 4 ? SPDM_CAP_LARGE_RESP : 0u;
        p->requester.options.large = skip == 4;
        p->responder.config.capabilities |= which == HEARTBEAT ? (uint32_t)SPDM_CAP_HBEAT : 0;
        p->responder.config.heartbeat_s = which == HEARTBEAT ? 3 : 0;
        p->requester.options.heartbeat = which == HEARTBEAT;
        p->responder.config.capabilities |= which == SLOTS ? SPDM_CAP_SLOT_MGMT : 0;
        args.subcode = which == SLOTS ? subcodes[skip] : 0;
        args.len = which == SET_CERTIFICATE ? 0 : args.len;
        (void)pair_run(p, which == PSK || which == CHALLENGE ? 1 : which < 2 ? which : 2);
        if (which == SPDM_OP_ENCAPSULATED - SPDM_OP_CONNECT) {
            (void)pair_op(p, SPDM_OP_SUBSCRIBE, NULL);
            spdm_responder_want_key_update(&p->responder, skip & 1 ? p->requester.session.id : 0);
            spdm_responder_measurement_changed(&p->responder, 1);
        }
        (void)spdm_requester_start(&p->requester, (SpdmOp)(SPDM_OP_CONNECT + which), &args);
        goes_on = which < 2 || (which >= PSK && which != SLOTS);
        for (unsigned i = 0; goes_on && i < skip && (which == 0 || small || i < 1); i++) {
            (void)pair_step(p);
        }
        (void)spdm_requester_next(&p->requester, out, sizeof(out), &secured);
        ready[small][which][skip] = true;
    }
    return p;
}

static void respond(SpdmPair *p, uint8_t kind, const uint8_t *msg, size_t len)
{
    SpdmSession *s = &p->requester.session;
    uint8_t      record[SPDM_MSG_MAX];
    bool         secured = kind & 2;

    if (kind & 1) {
        SpdmChannel c =
            s->state == SPDM_SESSION_HANDSHAKE ? s->keys.response_handshake : s->keys.response_data;

        len = spdm_record_seal(spdm_aead(p->requester.selected.aead), &c, s->id, msg, len, record, sizeof(record));
        msg = record;
        secured = true;
    }
    (void)spdm_requester_response(&p->requester, msg, len, secured);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static SpdmPair pair;
    ByteReader      r = br_init(data, size);
    uint8_t         start = br_u8(&r), skip = br_u8(&r) % 5, out[SPDM_MSG_MAX];
    bool            secured, slots = start >= ASK_SLOTS;

    pair = *start_of(slots ? SLOTS : start % N_OPS, skip, start & (slots ? 1 : 0x80));
    pair.requester.challenge = pair.requester.challenge != NULL ? &pair.challenge : NULL;
    for (unsigned i = 0; i < 8 && br_left(&r) != 0; i++) {
        uint8_t        kind = br_u8(&r);
        size_t         len = br_u16(&r);
        const uint8_t *msg;

        len = len < br_left(&r) ? len : br_left(&r);
        len = len < SPDM_MSG_MAX ? len : SPDM_MSG_MAX;
        msg = br_take(&r, len);
        if (msg != NULL) {
            respond(&pair, kind, msg, len);
            parse_pci(msg, len);
            (void)spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
        }
    }
    return 0;
}
