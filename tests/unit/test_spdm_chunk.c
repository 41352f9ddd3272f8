/*
 * Messages longer than a buffer: whole assignments through buffers of many sizes, and what must be refused of chunks,
 * one row per stimulus. A transfer goes on after a message that only broke into it, and is over after a wrong chunk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/record.h"
#include "spdm_pair.h"

enum { SIZE = 64, FIRST = SIZE - 16, NEXT = SIZE - 12, LARGE = 158, CHUNKS = 4 };

static SpdmPair pair;

static void begin(uint32_t device_size, uint32_t module_size, uint32_t without)
{
    pair_init(&pair, (SPDM_RESPONDER_CAPS | SPDM_CAP_CHUNK) & ~without);
    pair.responder.config.transfer_size = device_size;
    pair.requester.options.transfer_size = module_size;
}

static void test_sizes(void **state)
{
    static const uint32_t sizes[] = { 42, 43, 64, 100, 157, 158, 159, 1000, 4095, 4096 };
    const SpdmIdentity   *id = pair_identity(SPDM_TEST_DEVICE);
    unsigned              most = 0;

    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        begin(sizes[i], sizes[ARRAY_LEN(sizes) - 1 - i], 0);
        if (!pair_run(&pair, pair_n_stages)) {
            fail_msg("%u bytes: %s", sizes[i], spdm_requester_error(&pair.requester));
        }
        assert_int_equal(pair.cached[SPDM_OBJECT_CERTIFICATE], id->certs_len);
        assert_memory_equal(pair.certificates, id->certs, id->certs_len);
        most = pair.exchange > most ? pair.exchange : most;
        assert_false(pair.responder.large_request.active || pair.responder.large_response.active);
    }
    begin(SPDM_MSG_MAX, 0, 0);
    assert_true(pair_run(&pair, pair_n_stages));
    assert_true(most > 2 * pair.exchange); /* there were chunks */
}

/* The other transports add more to a message, which does not count. */
static void test_transports(void **state)
{
    for (unsigned t = 0; t < SPDM_N_TRANSPORTS; t++) {
        begin(42, 42, 0);
        pair.responder.config.transport = pair.requester.options.transport = (SpdmTransport)t;
        assert_true(pair_run(&pair, pair_n_stages));
    }
}

/* Either side may lack it: then nothing longer goes out, and the reason is said. */
static void test_without(void **state)
{
    begin(100, 0, 0);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);
    assert_string_equal(spdm_requester_error(&pair.requester), "the request is longer than the device takes");
    begin(100, 100, SPDM_CAP_CHUNK);
    pair.requester.options.transfer_size = 0;
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);
}

/* ---- rows ---- */

/* Where a row starts: nothing under way, after n chunks of a KEY_EXCHANGE, with a response waiting, partly fetched. */
typedef enum Start { IDLE, SENT_1, SENT_2, WAITING, FETCHED_1 } Start;

typedef struct Row {
    const char *name;
    Start       start;
    bool        in_session;
    size_t      len; /* of the message; zeros follow @bytes */
    uint8_t     bytes[24];
    uint8_t     error; /* an ERROR's code; 0: none */
    bool        early; /* inside a CHUNK_SEND_ACK, with EarlyErrorDetected */
    bool        over;  /* the transfer that was under way is */
} Row;

#define SEND(last, seq, len, total)                                                                           \
    0x12, SPDM_CHUNK_SEND, last, 7, seq, 0, 0, 0, len, 0, 0, 0, (total) & 0xff, (total) >> 8, 0, 0
/* The top bytes of chunk size and total size. */
#define SEND_HIGH(len, total) 0x12, SPDM_CHUNK_SEND, 0, 7, 0, 0, 0, 0, FIRST, 0, 0, len, LARGE, 0, 0, total
#define MORE(last, seq, len) 0x12, SPDM_CHUNK_SEND, last, 7, seq, 0, 0, 0, len, 0, 0, 0
#define GET(handle, seq) 0x12, SPDM_CHUNK_GET, 0, handle, seq, 0

static const Row rows[] = {
    /* name                     start   session len          bytes                        error early over */
    { "send: first", IDLE, false, SIZE, { SEND(0, 0, FIRST, LARGE) }, 0 },
    { "send: first of the least", IDLE, false, 42, { SEND(0, 0, 26, LARGE) }, 0 },
    { "send: first of less", IDLE, false, 41, { SEND(0, 0, 25, LARGE) }, 1, true },
    { "send: first is number 1", IDLE, false, SIZE, { SEND(0, 1, FIRST, LARGE) }, 1, true },
    { "send: first is the last", IDLE, false, SIZE, { SEND(1, 0, FIRST, LARGE) }, 1, true },
    { "send: first is all of it", IDLE, false, SIZE, { SEND(1, 0, FIRST, FIRST) }, 1, true },
    { "send: message of 42 bytes", IDLE, false, SIZE, { SEND(0, 0, 26, 42) }, 1, true },
    { "send: message of 4097 bytes", IDLE, false, SIZE, { SEND(0, 0, FIRST, 4097) }, 1, true },
    { "send: message of 4 GiB", IDLE, false, SIZE, { SEND_HIGH(0, 0xff) }, 1, true },
    { "send: chunk longer than told", IDLE, false, SIZE, { SEND(0, 0, FIRST - 8, LARGE) }, 1, true },
    { "send: chunk shorter than told", IDLE, false, SIZE, { SEND(0, 0, FIRST + 8, LARGE) }, 1, true },
    { "send: chunk of 4 GiB", IDLE, false, SIZE, { SEND_HIGH(0xff, 0) }, 1, true },
    { "send: no total", IDLE, false, 15, { SEND(0, 0, 0, 0) }, 1 },
    { "send: header alone", IDLE, false, 4, { SEND(0, 0, 0, 0) }, 1 },
    { "send: longer than the buffer", IDLE, false, SIZE + 4, { SEND(0, 0, FIRST + 4, LARGE) }, 0x0e },
    { "send: another version", IDLE, false, SIZE, { 0x11, 0x85, 0, 7 }, 0x41 },
    { "send: next", SENT_1, false, SIZE, { MORE(0, 1, NEXT) }, 0 },
    { "send: next of the least", SENT_1, false, 42, { MORE(0, 1, 30) }, 0 },
    { "send: next of less", SENT_1, false, 41, { MORE(0, 1, 29) }, 1, true, true },
    { "send: sequence gap", SENT_1, false, SIZE, { MORE(0, 2, NEXT) }, 1, true, true },
    { "send: sequence again", SENT_1, false, SIZE, { MORE(0, 0, NEXT) }, 1, true, true },
    { "send: another handle", SENT_1, false, SIZE, { 0x12, 0x85, 0, 8, 1, 0, 0, 0, NEXT }, 1, true, true },
    { "send: last too early", SENT_1, false, SIZE, { MORE(1, 1, NEXT) }, 1, true, true },
    { "send: sum too large", SENT_2, false, SIZE, { MORE(0, 2, NEXT) }, 0 },
    { "send: more than the rest", SENT_2, false, SIZE + 0, { MORE(1, 2, NEXT) }, 1, true, true },
    { "send: into another session", SENT_1, true, SIZE, { MORE(0, 1, NEXT) }, 4 },
    { "send: other request in between", SENT_1, false, 4, { 0x12, 0x81, 0, 0 }, 4 },
    { "send: fetching in between", SENT_1, false, 6, { GET(1, 0) }, 4 },
    { "get: nothing waits", IDLE, false, 6, { GET(1, 0) }, 4 },
    { "get: first", WAITING, false, 6, { GET(2, 0) }, 0 },
    { "get: DW padding", WAITING, false, 8, { GET(2, 0) }, 0 },
    { "get: short", WAITING, false, 4, { GET(2, 0) }, 1 },
    { "get: another handle", WAITING, false, 6, { GET(3, 0) }, 1 },
    { "get: sequence 1 first", WAITING, false, 6, { GET(2, 1) }, 1 },
    { "get: in another session", WAITING, true, 6, { GET(2, 0) }, 4 },
    { "get: other request in between", WAITING, false, 4, { 0x12, 0x81, 0, 0 }, 4 },
    { "get: sending in between", WAITING, false, SIZE, { SEND(0, 0, FIRST, LARGE) }, 4 },
    { "get: next", FETCHED_1, false, 6, { GET(2, 1) }, 0 },
    { "get: again", FETCHED_1, false, 6, { GET(2, 0) }, 1 },
    { "request longer than the buffer", IDLE, false, 100, { 0x12, 0x81, 0, 0 }, 0x0e },
};

static size_t send(const uint8_t *msg, size_t len, bool in_session, uint8_t *reply)
{
    return pair_send(&pair, in_session, msg, len, reply, SPDM_MSG_MAX);
}

/* The requester's KEY_EXCHANGE of a second session would be as good as any: the device reads it at its end only. */
static void send_chunk(unsigned n, uint8_t *reply)
{
    uint8_t msg[SIZE] = { SEND(0, 0, FIRST, LARGE) };

    if (n != 0) {
        memcpy(msg, (uint8_t[]){ MORE(0, 1, NEXT) }, 12);
        msg[4] = (uint8_t)n;
    }
    assert_int_equal(send(msg, sizeof(msg), false, reply), 6);
}

/* A session, and in the plain connection what the row starts from. GET_CERTIFICATE's answer is large. */
static void start_at(Start start, uint8_t *reply)
{
    static const uint8_t get_certificate[] = { 0x12, 0x82, 0, 0, 0, 0, 0, 4 }, get_first[] = { GET(2, 0) };

    begin(SIZE, SIZE, 0);
    assert_true(pair_run(&pair, 2));
    pair.responder.large_response.handle = 1;
    if (start == SENT_1 || start == SENT_2) {
        send_chunk(0, reply);
    }
    if (start == SENT_2) {
        send_chunk(1, reply);
    }
    if (start >= WAITING) {
        assert_int_equal(send(get_certificate, sizeof(get_certificate), false, reply), 5);
        assert_memory_equal(reply, "\x12\x7f\x0f\x00\x02", 5);
    }
    if (start == FETCHED_1) {
        assert_int_equal(send(get_first, sizeof(get_first), false, reply), SIZE);
    }
}

static bool answered_as_expected(const Row *row, const uint8_t *reply, size_t len)
{
    if (row->early) {
        return len == 10 && reply[1] == 0x05 && reply[2] == 1 && reply[3] == row->bytes[3] && reply[7] == 0x7f &&
               reply[8] == row->error;
    }
    return row->error != 0 ? len == 4 && reply[1] == 0x7f && reply[2] == row->error
                           : reply[1] == (row->bytes[1] & 0x7f) && reply[2] == 0 && reply[3] == row->bytes[3];
}

static void test_rows(void **state)
{
    uint8_t reply[SPDM_MSG_MAX];

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const Row *row = &rows[i];
        uint8_t    msg[128] = { 0 };
        bool       in, out;

        start_at(row->start, reply);
        in = pair.responder.large_request.active;
        out = pair.responder.large_response.active;
        memcpy(msg, row->bytes, sizeof(row->bytes));
        if (!answered_as_expected(row, reply, send(msg, row->len, row->in_session, reply))) {
            fail_msg("%s: answered %02x %02x %02x", row->name, reply[1], reply[2], reply[8]);
        }
        if (row->error != 0 && (pair.responder.large_request.active != (in && !row->over) ||
                                pair.responder.large_response.active != out)) {
            fail_msg("%s: the transfer is %s", row->name, row->over ? "not over" : "over or begun");
        }
    }
}

/* GET_VERSION alone may break in, and ends all. */
static void test_version_breaks_in(void **state)
{
    static const uint8_t get_version[] = { 0x10, 0x84, 0, 0 };
    uint8_t              reply[SPDM_MSG_MAX];

    for (Start start = SENT_1; start <= FETCHED_1; start++) {
        start_at(start, reply);
        assert_int_equal(send(get_version, 4, false, reply), 8);
        assert_false(pair.responder.large_request.active || pair.responder.large_response.active);
    }
}

/* The large request's own answer stands behind the acknowledgement: an ERROR, or what is too long even for that. */
static void test_embedded(void **state)
{
    static const struct {
        const char *name;
        uint8_t     head[4];
        uint8_t     error;
    } large[] = {
        { "KEY_EXCHANGE of zeros", { 0x12, 0xe4, 0, 0 }, 1 },
        { "GET_DIGESTS too long", { 0x12, 0x81, 0, 0 }, 1 },
        { "unknown", { 0x12, 0xf8, 0, 0 }, 7 },
        { "CHUNK_SEND", { 0x12, 0x85, 0, 0 }, 1 },
        { "CHUNK_GET", { 0x12, 0x86, 0, 0 }, 1 },
        { "another version", { 0x13, 0xe4, 0, 0 }, 0x41 },
        { "GET_VERSION too long", { 0x10, 0x84, 0, 0 }, 1 },
    };
    uint8_t reply[SPDM_MSG_MAX];

    for (unsigned i = 0; i < ARRAY_LEN(large); i++) {
        uint8_t first[SIZE] = { SEND(0, 0, FIRST, FIRST + NEXT) }, last[SIZE] = { MORE(1, 1, NEXT) };

        start_at(IDLE, reply);
        memcpy(first + 16, large[i].head, 4);
        assert_int_equal(send(first, sizeof(first), false, reply), 6);
        if (send(last, sizeof(last), false, reply) != 10 || reply[1] != 0x05 || reply[2] != 0 || reply[7] != 0x7f ||
            reply[8] != large[i].error) {
            fail_msg("%s: answered %02x %02x", large[i].name, reply[7], reply[8]);
        }
        assert_false(pair.responder.large_request.active);
    }
}

/* Version 1.1 knows no chunks, whatever the device has. */
static void test_version_11(void **state)
{
    static const uint8_t get_version[] = { 0x10, 0x84, 0, 0 };
    static const uint8_t capabilities[] = { 0x11, 0xe1, 0, 0, 0, 20, 0, 0, 0xc2, 0x82, 2, 0 };
    static const uint8_t chunk[] = { 0x11, 0x86, 0, 1, 0, 0 };
    uint8_t              reply[SPDM_MSG_MAX];

    begin(SIZE, SIZE, 0);
    pair.responder.config.version_min = SPDM_VERSION_11;
    (void)send(get_version, sizeof(get_version), false, reply);
    assert_int_equal(send(capabilities, sizeof(capabilities), false, reply), 12);
    assert_int_equal(reply[10] & 2, 0);
    assert_int_equal(send(chunk, sizeof(chunk), false, reply), 4);
    assert_memory_equal(reply, "\x11\x7f\x07\x86", 4);
}

/* 1.3: the algorithms that there are to choose from, when both sides have CHUNK. */
static void test_supported_algorithms(void **state)
{
    static const uint8_t get_version[] = { 0x10, 0x84, 0, 0 };
    uint8_t capabilities[] = { 0x13, 0xe1, 1, 0, 0, 20, 0, 0, 0xc2, 0x82, 2, 0, 0, 4, 0, 0, 0, 16, 0, 0 };
    uint8_t reply[SPDM_MSG_MAX];

    begin(SIZE, SIZE, 0);
    pair.responder.config.version_max = SPDM_VERSION_13;
    (void)send(get_version, sizeof(get_version), false, reply);
    assert_int_equal(send(capabilities, sizeof(capabilities), false, reply), 20 + 30 + 3 * 4);
    assert_int_equal(reply[2], 1);
    assert_int_equal(reply[20], 3);                 /* tables */
    assert_int_equal(le16_get(reply + 22), 30 + 3 * 4);
    assert_int_equal(reply[50], SPDM_ALG_DHE);
    (void)send(get_version, sizeof(get_version), false, reply);
    capabilities[12] = 42; /* it comes in chunks then */
    capabilities[13] = 0;
    assert_int_equal(send(capabilities, sizeof(capabilities), false, reply), 5);
    assert_int_equal(reply[2], 0x0f);
}

/* What a device may do wrong, to the requester: it gives up with a reason. */
static void test_requester(void **state)
{
    static const struct {
        const char *name;
        size_t      at; /* in the second answer of a certificate that comes in chunks; 0: in the first */
        uint8_t     with;
    } spoilt[] = {
        { "another handle", 3, 0x80 }, { "another sequence", 4, 0x40 },  { "the size of the chunk", 8, 1 },
        { "the size of all", 13, 1 },  { "last at once", 2, 1 },        { "another message", 1, 0x10 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(spoilt); i++) {
        for (unsigned exchange = 5; exchange < 7; exchange++) {
            PairTamper tamper = { .exchange = exchange, .response = true, .at = spoilt[i].at, .mask = spoilt[i].with };

            begin(SIZE, SIZE, 0);
            pair.tamper = &tamper;
            if (pair_op(&pair, SPDM_OP_CONNECT, NULL) != SPDM_FAILED ||
                *spdm_requester_error(&pair.requester) == '\0') {
                fail_msg("%s was taken", spoilt[i].name);
            }
        }
    }
}

/* An early error is an ERROR: a device has not heard all yet of what it would answer. */
static void test_early_answer(void **state)
{
    static const uint8_t ack[] = { 0x12, 0x05, 1, 1, 0, 0, 0x12, 0x7e, 0, 0, 3, 0, 2, 1, 0, 2, 0, 1, 7 };
    uint8_t              message[SIZE] = { 0 }, record[SPDM_MSG_MAX];
    SpdmOpArgs           args = { .protocol = SPDM_PCI_PROTOCOL_TDISP, .message = message, .len = sizeof(message) };
    SpdmRequester       *r = &pair.requester;
    bool                 secured;
    size_t               len;

    begin(SIZE, SIZE, 0);
    assert_true(pair_run(&pair, pair_stage("session") + 1));
    assert_null(spdm_requester_start(r, SPDM_OP_VENDOR, &args));
    assert_true(spdm_requester_next(r, record, sizeof(record), &secured) > 0);
    assert_int_equal(r->carrier.what, SPDM_CARRY_SEND);
    memcpy(message, ack, sizeof(ack));
    message[3] = r->carrier.handle;
    len = spdm_record_seal(spdm_aead(r->selected.aead), &pair.responder.sessions[0].keys.response_data, r->session.id,
                           message, sizeof(ack), record, sizeof(record));
    assert_int_equal(spdm_requester_response(r, record, len, true), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(r), "early"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),         cmocka_unit_test(test_transports),
        cmocka_unit_test(test_without),       cmocka_unit_test(test_rows),
        cmocka_unit_test(test_version_breaks_in), cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_version_11),    cmocka_unit_test(test_supported_algorithms),
        cmocka_unit_test(test_requester),     cmocka_unit_test(test_early_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
