/*
 * What the standard's errors are for every request and in every version: a table of the requests says since when there
 * is one, what it needs, and what answers it in each state of the connection. From it follow the messages that are
 * sent: each request in each state, cut at each byte, too long, of another version, replayed, in another session; and
 * each code that is no request. DMTF DSP0274 1.1 to 1.4, "SPDM request codes", "Error code and error data"; DSP0277.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/chain.h"
#include "spdm/record.h"
#include "spdm_pair.h"

/* The states that a request can come in; those behind CONNECTED in records of the session. */
typedef enum State { FRESH, VERSIONED, CAPABLE, CONNECTED, HANDSHAKE, PSK_HANDSHAKE, SESSION, N_STATES } State;

/* What comes back, a letter for each state. */
enum {
    ANSWER = '+',
    UNEXPECTED = 'u', /* UnexpectedRequest */
    NO_SESSION = 's', /* SessionRequired; Unspecified in 1.1 */
    NOTHING = 'n',    /* NoPendingRequests; UnexpectedRequest before 1.3 */
    SILENCE = '.',
    UNKNOWN = '-',    /* UnsupportedRequest, with the code */
};

typedef struct Request {
    const char *name;
    uint8_t     code, since;
    uint64_t    ours;             /* capabilities without which there is no such request */
    uint32_t    theirs;           /* the same, of the requester */
    char        states[N_STATES + 1];
    void      (*body)(ByteWriter *w); /* from Param1 on; NULL: both are 0, and that is all */
} Request;

#define DEVICE_CAPS                                                                                              \
    ((SPDM_RESPONDER_CAPS & ~(uint32_t)SPDM_CAP_HANDSHAKE_IN_THE_CLEAR) | SPDM_CAP_HBEAT | SPDM_CAP_CHUNK |      \
     SPDM_CAP_PSK_WITH_CONTEXT | SPDM_CAP_SET_CERT | SPDM_CAP_CSR | SPDM_CAP_MEL | SPDM_CAP_EVENT | SPDM_CAP_ENCAP | \
     SPDM_CAP_EP_INFO_SIG | SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_SET_KEY_PAIR_INFO |                             \
     SPDM_CAP_SET_KEY_PAIR_RESET | SPDM_CAP_SLOT_MGMT)

enum { TRANSFER = 3000 }; /* DataTransferSize of the device */

static uint8_t        version; /* that is spoken */
static SpdmPair       pair, starts[N_STATES]; /* these hold pointers to the pair: they are copied into it */
static SpdmIdentity   ids[SPDM_IDENTITIES_MAX];
static SpdmProvisions provisions;
static SpdmSpan       key_exchange, psk_exchange, finish, psk_finish; /* of the module, from Param1 on */
static uint8_t        kept[4][512];

/* ---- the requests ---- */

static void copy(SpdmSpan message, ByteWriter *w) { bw_bytes(w, message.data, message.len); }

static void body_key_exchange(ByteWriter *w) { copy(key_exchange, w); }
static void body_psk_exchange(ByteWriter *w) { copy(psk_exchange, w); }
static void body_finish(ByteWriter *w) { copy(finish, w); }
static void body_psk_finish(ByteWriter *w) { copy(psk_finish, w); }

static void params(ByteWriter *w, uint8_t param1, uint8_t param2)
{
    bw_u8(w, param1);
    bw_u8(w, param2);
}

static void context(ByteWriter *w) { bw_zero(w, version >= SPDM_VERSION_13 ? 8 : 0); }

static void body_certificate(ByteWriter *w)
{
    params(w, 0, 0);
    bw_u16(w, 0);
    bw_u16(w, 16);
}

static void body_challenge(ByteWriter *w)
{
    params(w, 0, SPDM_SUMMARY_ALL);
    bw_zero(w, SPDM_NONCE_LEN);
    context(w);
}

static void body_measurements(ByteWriter *w)
{
    params(w, 1, 0xff);
    bw_zero(w, SPDM_NONCE_LEN + 1);
    context(w);
}

static void body_log(ByteWriter *w)
{
    params(w, 0, 0);
    bw_u32(w, 0);
    bw_u32(w, 64);
}

static void body_capabilities(ByteWriter *w)
{
    params(w, 0, 0);
    bw_u32(w, 20u << 8); /* CTExponent */
    bw_u32(w, SPDM_CAP_CERT | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_KEY_EX);
    if (version >= SPDM_VERSION_12) {
        bw_u32(w, SPDM_MSG_MAX);
        bw_u32(w, SPDM_MSG_MAX);
    }
}

static void body_algorithms(ByteWriter *w)
{
    static const uint8_t tables[] = { 2, 0x20, 0x10, 0, 3, 0x20, 2, 0, 4, 0x20, 0x80, 0, 5, 0x20, 1, 0 };

    params(w, 4, 0);
    bw_u16(w, 32 + sizeof(tables));
    bw_u8(w, SPDM_MEAS_SPEC_DMTF);
    bw_u8(w, version >= SPDM_VERSION_12 ? SPDM_OPAQUE_FMT1 : 0);
    bw_u32(w, BIT(7)); /* ECDSA P-384 */
    bw_u32(w, BIT(1)); /* SHA-384 */
    bw_zero(w, 16);
    bw_bytes(w, tables, sizeof(tables));
}

/* The first of several. */
static void body_chunk_send(ByteWriter *w)
{
    params(w, 0, 9);
    spdm_write_chunk_number(w, version, 0);
    bw_zero(w, spdm_chunk_gap(version));
    bw_u32(w, 30);
    bw_u32(w, 60); /* LargeMessageSize */
    bw_zero(w, 30);
}

static void body_chunk_get(ByteWriter *w)
{
    params(w, 0, 9);
    spdm_write_chunk_number(w, version, 0);
}

static void body_endpoint_info(ByteWriter *w)
{
    params(w, 1, 0);
    bw_u32(w, 1); /* signed */
    bw_zero(w, SPDM_NONCE_LEN);
}

static void body_slots(ByteWriter *w) /* the details of a bank */
{
    params(w, SPDM_SLOTS_BANK_DETAILS, 0);
    bw_u32(w, 8);
    bw_u32(w, 8);
    bw_zero(w, 4);
}

static void body_key_update(ByteWriter *w) { params(w, SPDM_UPDATE_KEY, 7); }

static void body_deliver(ByteWriter *w)
{
    params(w, 1, 0);
    spdm_begin(w, version, SPDM_RESPONSE_OF(SPDM_GET_DIGESTS), 0, 0);
}

static void body_csr(ByteWriter *w) { bw_zero(w, 2 + 4); }

static void body_set_certificate(ByteWriter *w)
{
    SpdmChain chain;

    params(w, 0, 0);
    assert_true(spdm_chain_of(pair_identity(SPDM_TEST_DEVICE), spdm_hash(BIT(1)), &chain));
    spdm_chain_append(&chain, 0, chain.len, w);
}

static void body_subscribe(ByteWriter *w)
{
    size_t at;

    params(w, 1, 0);
    at = w->pos;
    bw_u32(w, 0);
    spdm_event_group_write(w, SPDM_EVENTS_KNOWN, 0);
    le32_put(w->data + at, (uint32_t)(w->pos - at - 4));
}

static void body_get_key_pair(ByteWriter *w)
{
    params(w, 0, 0);
    bw_u8(w, 1);
}

/* What is asked for is what is. */
static void body_set_key_pair(ByteWriter *w)
{
    params(w, 0, 0);
    bw_u8(w, 1);
    bw_zero(w, 1 + 2 + 4 + 1 + (version >= SPDM_VERSION_14 ? 1 : 0));
}

static void body_vendor(ByteWriter *w) /* IDE_KM's QUERY */
{
    static const uint8_t query[] = { 3, 0, 2, 1, 0, 4, 0, SPDM_PCI_PROTOCOL_IDE_KM, 0, 0, 0 };

    params(w, 0, 0);
    bw_bytes(w, query, sizeof(query));
}

static void body_respond(ByteWriter *w) { params(w, SPDM_CHALLENGE, 1); }

#define V(n) SPDM_VERSION_##n

/* All of 1.4's; states: fresh, version, capabilities, connected, handshake, PSK handshake, session. */
static const Request requests[] = {
    { "GET_DIGESTS", 0x81, V(11), SPDM_CAP_CERT, 0, "uuu+uu+", NULL },
    { "GET_CERTIFICATE", 0x82, V(11), SPDM_CAP_CERT, 0, "uuu+uu+", body_certificate },
    { "CHALLENGE", 0x83, V(11), SPDM_CAP_CHAL, 0, "uuu+uuu", body_challenge },
    { "GET_VERSION", 0x84, V(11), 0, 0, "++++uuu", NULL },
    { "CHUNK_SEND", 0x85, V(12), SPDM_CAP_CHUNK, SPDM_CAP_CHUNK, "uu+++++", body_chunk_send },
    { "CHUNK_GET", 0x86, V(12), SPDM_CAP_CHUNK, SPDM_CAP_CHUNK, "uuuuuuu", body_chunk_get },
    { "GET_ENDPOINT_INFO", 0x87, V(13), SPDM_CAP_EP_INFO, 0, "uuu+uu+", body_endpoint_info },
    { "SLOT_MANAGEMENT", 0x88, V(14), SPDM_CAP_SLOT_MGMT, 0, "uuu+uu+", body_slots },
    { "GET_MEASUREMENTS", 0xe0, V(11), SPDM_CAP_MEAS, 0, "uuu+uu+", body_measurements },
    { "GET_CAPABILITIES", 0xe1, V(11), 0, 0, "u+uuuuu", body_capabilities },
    { "GET_SUPPORTED_EVENT_TYPES", 0xe2, V(13), SPDM_CAP_EVENT, 0, "uuusuu+", NULL },
    { "NEGOTIATE_ALGORITHMS", 0xe3, V(11), 0, 0, "uu+uuuu", body_algorithms },
    { "KEY_EXCHANGE", 0xe4, V(11), SPDM_CAP_KEY_EX, SPDM_CAP_KEY_EX, "uuu+uuu", body_key_exchange },
    { "FINISH", 0xe5, V(11), SPDM_CAP_KEY_EX, SPDM_CAP_KEY_EX, "uuus+uu", body_finish },
    { "PSK_EXCHANGE", 0xe6, V(11), SPDM_CAP_PSK, SPDM_CAP_PSK_PLAIN, "uuu+uuu", body_psk_exchange },
    { "PSK_FINISH", 0xe7, V(11), SPDM_CAP_PSK, SPDM_CAP_PSK_PLAIN, "uuusu+u", body_psk_finish },
    { "HEARTBEAT", 0xe8, V(11), SPDM_CAP_HBEAT, SPDM_CAP_HBEAT, "uuusuu+", NULL },
    { "KEY_UPDATE", 0xe9, V(11), SPDM_CAP_KEY_UPD, SPDM_CAP_KEY_UPD, "uuusuu+", body_key_update },
    { "GET_ENCAPSULATED_REQUEST", 0xea, V(11), SPDM_CAP_ENCAP, SPDM_CAP_ENCAP, "uuunnnn", NULL },
    { "DELIVER_ENCAPSULATED_RESPONSE", 0xeb, V(11), SPDM_CAP_ENCAP, SPDM_CAP_ENCAP, "uuuuuuu", body_deliver },
    { "END_SESSION", 0xec, V(11), SPDM_CAP_SESSION, 0, "uuusuu+", NULL },
    { "GET_CSR", 0xed, V(12), SPDM_CAP_CSR, 0, "uuu+uu+", body_csr },
    { "SET_CERTIFICATE", 0xee, V(12), SPDM_CAP_SET_CERT, 0, "uuu+uu+", body_set_certificate },
    { "GET_MEASUREMENT_EXTENSION_LOG", 0xef, V(13), SPDM_CAP_MEL, 0, "uuu+uu+", body_log },
    { "SUBSCRIBE_EVENT_TYPES", 0xf0, V(13), SPDM_CAP_EVENT, 0, "uuusuu+", body_subscribe },
    { "SEND_EVENT", 0xf1, V(13), 0, 0, "-------", NULL }, /* the device sends them */
    { "GET_KEY_PAIR_INFO", 0xfc, V(13), SPDM_CAP_GET_KEY_PAIR_INFO, 0, "uuu+uu+", body_get_key_pair },
    { "SET_KEY_PAIR_INFO", 0xfd, V(13), SPDM_CAP_SET_KEY_PAIR_INFO, 0, "uuu+uu+", body_set_key_pair },
    { "VENDOR_DEFINED", 0xfe, V(11), 0, 0, "uuu.uu+", body_vendor },
    { "RESPOND_IF_READY", 0xff, V(11), 0, 0, "uuuuuuu", body_respond },
};

/* ---- the connection ---- */

static bool log_entry(void *opaque, unsigned n, SpdmLogEntry *e)
{
    *e = (SpdmLogEntry){ 3, SPDM_MEAS_IMMUTABLE_ROM, (const uint8_t *)"rom", 3 };
    return n == 0;
}

static void go_to(State state)
{
    pair = starts[state];
    memset(&provisions, 0, sizeof(provisions));
    memset(ids, 0, sizeof(ids));
    ids[0] = *pair_identity(SPDM_TEST_DEVICE);
    provisions.identities = ids;
}

static void init(void)
{
    SpdmOffer offer = { version, version, { 0 } };

    pair_init(&pair, DEVICE_CAPS);
    pair.responder.config.identities = ids;
    pair.responder.config.provisions = &provisions;
    pair.responder.config.version_min = SPDM_VERSION_11;
    pair.responder.config.version_max = SPDM_VERSION_14;
    pair.responder.config.transfer_size = TRANSFER;
    pair.responder.config.heartbeat_s = 3;
    pair.responder.config.log_entry = log_entry;
    pair.requester.options.heartbeat = pair.requester.options.encapsulated = true;
    pair.requester.options.psk = pair_psk();
    pair.requester.options.transfer_size = SPDM_MSG_MAX;
    spdm_requester_offer(&pair.requester, &offer);
}

static SpdmSpan keep(unsigned n, SpdmSpan message)
{
    assert_true(message.len > 2 && message.len <= sizeof(kept[n]));
    memcpy(kept[n], (const uint8_t *)message.data + 2, message.len - 2);
    return (SpdmSpan){ kept[n], message.len - 2 };
}

/* Begins a session of one kind: the exchange goes out, and what would finish it is built and not sent. */
static void shake_hands(SpdmOp op, State state, unsigned n, SpdmSpan *exchange, SpdmSpan *last)
{
    uint8_t out[SPDM_MSG_MAX];
    bool    secured;

    go_to(CONNECTED);
    assert_null(spdm_requester_start(&pair.requester, op, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    *exchange = keep(n, spdm_requester_request(&pair.requester));
    starts[state] = pair;
    assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
    assert_true(secured);
    *last = keep(n + 1, spdm_requester_request(&pair.requester));
}

/* A connection in every state, of one version. */
static void prepare(uint8_t v)
{
    version = v;
    init();
    starts[FRESH] = pair;
    go_to(FRESH);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    starts[VERSIONED] = pair;
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    starts[CAPABLE] = pair;
    go_to(FRESH);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    starts[CONNECTED] = pair;
    shake_hands(SPDM_OP_PSK_SESSION, PSK_HANDSHAKE, 2, &psk_exchange, &psk_finish);
    shake_hands(SPDM_OP_SESSION, HANDSHAKE, 0, &key_exchange, &finish);
    go_to(CONNECTED);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    starts[SESSION] = pair;
}

/* ---- asking ---- */

static uint8_t msg[SPDM_MSG_MAX], reply[SPDM_MSG_MAX];
static size_t  msg_len, reply_len;

static void build(const Request *q)
{
    ByteWriter w = bw_init(msg, sizeof(msg));

    memset(msg, 0, sizeof(msg));
    bw_u8(&w, q->code == SPDM_GET_VERSION ? SPDM_VERSION_10 : version);
    bw_u8(&w, q->code);
    if (q->body != NULL) {
        q->body(&w);
    } else {
        params(&w, 0, 0);
    }
    assert_true(bw_ok(&w));
    msg_len = w.pos;
}

static void ask(State state, size_t len)
{
    memset(reply, 0, sizeof(reply));
    reply_len = pair_send(&pair, state > CONNECTED, msg, len, reply, sizeof(reply));
}

/* An ERROR has the connection's version; before there is one, and to GET_VERSION, 1.0. GET_CAPABILITIES brings it. */
static void expect_error(const Request *q, State state, const char *what, uint8_t error, uint8_t data)
{
    bool    brings = q->code == SPDM_GET_CAPABILITIES && state == VERSIONED && error != SPDM_VERSION_MISMATCH;
    uint8_t v = q->code == SPDM_GET_VERSION || (state < CAPABLE && !brings) ? (uint8_t)SPDM_VERSION_10 : version;

    error = version == SPDM_VERSION_11 && error == SPDM_SESSION_REQUIRED ? (uint8_t)SPDM_UNSPECIFIED : error;
    if (reply_len != 4 || reply[0] != v || reply[1] != SPDM_ERROR || reply[2] != error || reply[3] != data) {
        fail_msg("%02x, %s in state %u, %s: %zu bytes %02x %02x %02x %02x; wanted ERROR %02x %02x of %02x", version,
                 q->name, state, what, reply_len, reply[0], reply[1], reply[2], reply[3], error, data, v);
    }
}

static void expect_answer(const Request *q, State state, const char *what)
{
    if (reply_len < 4 || reply[1] != SPDM_RESPONSE_OF(q->code)) {
        fail_msg("%02x, %s in state %u, %s: %zu bytes %02x %02x %02x %02x", version, q->name, state, what, reply_len,
                 reply[0], reply[1], reply[2], reply[3]);
    }
}

static void expect(const Request *q, State state, const char *what)
{
    switch (version < q->since ? UNKNOWN : q->states[state]) {
    case ANSWER:
        expect_answer(q, state, what);
        break;
    case UNEXPECTED:
        expect_error(q, state, what, SPDM_UNEXPECTED_REQUEST, 0);
        break;
    case NO_SESSION:
        expect_error(q, state, what, SPDM_SESSION_REQUIRED, 0);
        break;
    case NOTHING:
        expect_error(q, state, what, version >= V(13) ? SPDM_NO_PENDING_REQUESTS : SPDM_UNEXPECTED_REQUEST, 0);
        break;
    case SILENCE:
        assert_int_equal(reply_len, 0);
        break;
    default:
        expect_error(q, state, what, SPDM_UNSUPPORTED_REQUEST, q->code);
        break;
    }
}

/* A message that is not well formed. CHUNK_SEND is told so in its acknowledgement. */
static void expect_invalid(const Request *q, State state, const char *what)
{
    size_t ack = version >= V(14) ? 8 : 6;

    if (q->code == SPDM_CHUNK_SEND && reply_len == ack + 4 && reply[1] == SPDM_RESPONSE_OF(q->code)) {
        assert_int_equal(reply[2], 1); /* early error */
        memmove(reply, reply + ack, 4);
        reply_len = 4;
    }
    expect_error(q, state, what, SPDM_INVALID_REQUEST, 0);
}

/* The state in which a request is looked at: where it is answered, or else connected. */
static State place_of(const Request *q)
{
    const char *at = strchr(q->states + (q->states[CONNECTED] == ANSWER ? CONNECTED : 0), ANSWER);

    return at != NULL ? (State)(at - q->states) : CONNECTED;
}

static bool is_there(const Request *q) { return version >= q->since && q->states[0] != UNKNOWN; }

typedef void (*Check)(const Request *q);

static void each(Check check)
{
    for (uint8_t v = SPDM_VERSION_11; v <= SPDM_VERSION_14; v++) {
        prepare(v);
        for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
            check(&requests[i]);
        }
    }
}

/* ---- the tests ---- */

static void check_states(const Request *q)
{
    for (State state = FRESH; state < N_STATES; state++) {
        if (state < CAPABLE && version < q->since) {
            continue; /* nobody has said yet which version this is */
        }
        go_to(state);
        build(q);
        ask(state, msg_len);
        expect(q, state, "in order");
        if (state == SESSION && !(is_there(q) && q->states[state] == ANSWER)) {
            assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE); /* a refusal costs no session */
        }
    }
}

static void test_states(void **state) { each(check_states); }

/* Cut at each byte, and with more behind it than padding to a DW; in the end the request as it should be. */
static void check_lengths(const Request *q)
{
    static const size_t longer[] = { 4, 5, 8, 64, 500 };
    State               state = place_of(q);

    if (!is_there(q)) {
        return;
    }
    go_to(state);
    build(q);
    for (size_t len = 0; len < msg_len; len++) {
        ask(state, len);
        if (q->states[state] == UNEXPECTED && len >= 4) {
            assert_true(pair_answered(reply, reply_len, SPDM_INVALID_REQUEST, 0) ||
                        pair_answered(reply, reply_len, SPDM_UNEXPECTED_REQUEST, 0));
        } else if (len >= 4) {
            expect_invalid(q, state, "short");
        } else {
            assert_int_equal(reply[2], SPDM_INVALID_REQUEST); /* of which connection, it does not say */
        }
    }
    for (unsigned i = 0; i < ARRAY_LEN(longer); i++) {
        ask(state, msg_len + longer[i]);
        if (q->states[state] != UNEXPECTED) {
            expect_invalid(q, state, "long");
        }
    }
    ask(state, msg_len + 3);
    expect(q, state, "padded");
}

static void test_lengths(void **state) { each(check_lengths); }

/* Longer than the buffer that was declared, which is a matter of 1.2 and later. */
static void check_too_large(const Request *q)
{
    State state = place_of(q) < CONNECTED ? CONNECTED : place_of(q);

    go_to(state);
    build(q);
    ask(state, TRANSFER + 4);
    if (version >= V(12)) {
        expect_error(q, state, "too large", SPDM_REQUEST_TOO_LARGE, 0);
    } else if (is_there(q) && q->states[state] != UNEXPECTED) {
        expect_invalid(q, state, "too large");
    }
    build(q);
    ask(state, msg_len);
    expect(q, state, "after a large one");
}

static void test_too_large(void **state) { each(check_too_large); }

static void check_versions(const Request *q)
{
    static const uint8_t others[] = { 0, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x20, 0x21, 0xff };
    State                state = place_of(q);

    if (!is_there(q)) {
        return;
    }
    go_to(state);
    build(q);
    for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
        bool    offered = state == VERSIONED && others[i] >= SPDM_VERSION_11 && others[i] <= SPDM_VERSION_14;
        uint8_t right = msg[0];

        if (others[i] != right && !offered) {
            msg[0] = others[i];
            ask(state, msg_len);
            expect_error(q, state, "of another version", SPDM_VERSION_MISMATCH, 0);
            msg[0] = right;
        }
    }
    ask(state, msg_len);
    expect(q, state, "after other versions");
}

static void test_versions(void **state) { each(check_versions); }

/* A capability that one side lacks, though the other has it. */
static void check_capabilities(const Request *q)
{
    State state = place_of(q);

    for (unsigned side = 0; side < 2; side++) {
        if (is_there(q) && (side == 0 ? q->ours : q->theirs) != 0) {
            go_to(state);
            build(q);
            pair.responder.config.capabilities &= ~(side == 0 ? q->ours : 0);
            pair.responder.peer_capabilities &= ~(side == 0 ? 0 : q->theirs);
            ask(state, msg_len);
            expect_error(q, state, "without its capability", SPDM_UNSUPPORTED_REQUEST, q->code);
        }
    }
}

static void test_capabilities(void **state) { each(check_capabilities); }

/* Every code that is no request, in every state. */
static void test_codes(void **state)
{
    for (uint8_t v = SPDM_VERSION_11; v <= SPDM_VERSION_14; v++) {
        bool known[256] = { false };

        prepare(v);
        for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
            known[requests[i].code] = true;
        }
        for (State s = FRESH; s < N_STATES; s++) {
            go_to(s);
            for (unsigned code = 0; code < 256; code++) {
                Request none = { "no request", (uint8_t)code, v, 0, 0, "-------", NULL };

                if (!known[code]) {
                    build(&none);
                    ask(s, msg_len);
                    expect(&none, s, "unknown");
                }
            }
        }
    }
}

/* ---- records ---- */

/* The message with the keys of @from, for session @id. */
static size_t seal(SpdmSession *from, uint32_t id, uint8_t *out)
{
    return spdm_record_seal(spdm_aead(pair.requester.selected.aead), &from->keys.request_data, id, msg, msg_len, out,
                            SPDM_RECORD_MAX);
}

static size_t hear(const uint8_t *record, size_t len, uint8_t *out)
{
    bool secured;

    return spdm_responder_handle(&pair.responder, true, record, len, out, SPDM_RECORD_MAX, &secured);
}

/* The record's answer is DecryptError in that session, which is over then: the next one has no answer. */
static void expect_end(const Request *q, SpdmSession *session, const uint8_t *record, size_t len)
{
    uint8_t  out[SPDM_RECORD_MAX];
    unsigned ended = pair.sessions_ended;
    size_t   out_len = hear(record, len, out);

    assert_true(spdm_record_open(spdm_aead(pair.requester.selected.aead), &session->keys.response_data, out, out_len,
                                 reply, sizeof(reply), &reply_len));
    expect_error(q, SESSION, "a record that does not open", SPDM_DECRYPT_ERROR, 0);
    assert_int_equal(pair.sessions_ended, ended + 1);
    assert_int_equal(hear(record, len, out), 0);
}

/* The same record a second time. */
static void check_replay(const Request *q)
{
    uint8_t      record[SPDM_RECORD_MAX], out[SPDM_RECORD_MAX];
    SpdmSession *session = &pair.requester.session;
    size_t       len = seal(session, session->id, record), out_len = hear(record, len, out);

    assert_true(out_len > 0);
    if (q->code == SPDM_END_SESSION) {
        assert_int_equal(hear(record, len, out), 0); /* there is nobody to answer it */
        return;
    }
    assert_true(spdm_record_open(spdm_aead(pair.requester.selected.aead), &session->keys.response_data, out, out_len,
                                 reply, sizeof(reply), &reply_len));
    expect_answer(q, SESSION, "the first time");
    expect_end(q, session, record, len);
}

/* One session's record in another, and one that overtakes another; the session that sent it goes on. */
static void check_other_session(const Request *q)
{
    SpdmSession *session = &pair.requester.session, first = *session;
    uint8_t      record[SPDM_RECORD_MAX];
    size_t       len;

    *session = (SpdmSession){ 0 };
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_int_not_equal(session->id, first.id);
    build(q);
    len = seal(&first, session->id, record);
    expect_end(q, session, record, len);
    *session = first;
    session->keys.request_data.sequence--; /* the number that went to the other session's */
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
    session->keys.request_data.sequence++;
    len = seal(session, session->id, record);
    expect_end(q, session, record, len);
}

static void check_records(const Request *q)
{
    if (is_there(q) && q->states[SESSION] == ANSWER) {
        go_to(SESSION);
        build(q);
        check_replay(q);
        go_to(SESSION);
        check_other_session(q);
    }
}

static void test_records(void **state) { each(check_records); }

/* ---- anew ---- */

static void say(uint8_t code, State state)
{
    for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
        if (requests[i].code == code) {
            build(&requests[i]);
            ask(state, msg_len);
        }
    }
}

/* GET_VERSION, whatever was going on: sessions are over, and nothing that was said before is in what is signed then. */
static void test_anew(void **state)
{
    for (unsigned row = 0; row < 4 * N_STATES; row++) {
        State s = (State)(row % N_STATES);

        if (s == FRESH) {
            prepare((uint8_t)(SPDM_VERSION_11 + row / N_STATES));
        }
        go_to(s);
        say(SPDM_GET_DIGESTS, CONNECTED); /* parts of M1/M2 and L1/L2 */
        say(SPDM_GET_CERTIFICATE, CONNECTED);
        msg[1] = SPDM_GET_MEASUREMENTS; /* without a signature */
        memset(msg + 2, 0, 10);
        ask(CONNECTED, version >= V(13) ? 12 : 4);
        say(SPDM_KEY_UPDATE, s);
        say(SPDM_CHUNK_SEND, s > CONNECTED ? s : CONNECTED);
        pair.requester.challenge = &pair.challenge;
        spdm_requester_abort(&pair.requester); /* what it was in the middle of */
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        assert_int_equal(pair.sessions_ended, s == SESSION);
        assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
        for (unsigned i = 1; i < pair_n_stages; i++) {
            assert_int_equal(pair_stages[i].run(&pair), SPDM_DONE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),   cmocka_unit_test(test_lengths),      cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_versions), cmocka_unit_test(test_capabilities), cmocka_unit_test(test_codes),
        cmocka_unit_test(test_records),  cmocka_unit_test(test_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
