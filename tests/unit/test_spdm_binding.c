/*
 * Transports: what stands around a message with each of them, packets that must not be, and a whole assignment over
 * each. The bytes of the headers are DSP0275's, DSP0287's and PCIe r6's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "bits.h"
#include "spdm/record.h"
#include "spdm_pair.h"

typedef struct Row {
    const char   *name;
    SpdmTransport transport;
    size_t        len;
    uint8_t       packet[20];
    bool          good, secured;
    size_t        at, msg_len; /* of the message in the packet */
} Row;

static const Row rows[] = {
    /* name                    transport       len  packet                               good  secured at len */
    { "doe", SPDM_OVER_DOE, 12, { 1, 0, 1, 0, 3, 0, 0, 0, 0x10, 0x84, 0, 0 }, true, false, 8, 4 },
    { "doe: record", SPDM_OVER_DOE, 12, { 1, 0, 2, 0, 3, 0, 0, 0, 1, 2, 3, 4 }, true, true, 8, 4 },
    { "doe: no message", SPDM_OVER_DOE, 8, { 1, 0, 1, 0, 2 }, true, false, 8, 0 },
    { "doe: discovery", SPDM_OVER_DOE, 12, { 1, 0, 0, 0, 3 }, false },
    { "doe: another vendor", SPDM_OVER_DOE, 12, { 2, 0, 1, 0, 3 }, false },
    { "doe: reserved bits", SPDM_OVER_DOE, 12, { 1, 0, 1, 1, 3 }, false },
    { "doe: type 3", SPDM_OVER_DOE, 12, { 1, 0, 3, 0, 3 }, false },
    { "doe: length too long", SPDM_OVER_DOE, 12, { 1, 0, 1, 0, 4 }, false },
    { "doe: length too short", SPDM_OVER_DOE, 12, { 1, 0, 1, 0, 2 }, false },
    { "doe: length 0 is 1 MiB", SPDM_OVER_DOE, 12, { 1, 0, 1, 0, 0 }, false },
    { "doe: half a header", SPDM_OVER_DOE, 4, { 1, 0, 1, 0 }, false },
    { "mctp", SPDM_OVER_MCTP, 5, { 5, 0x10, 0x84, 0, 0 }, true, false, 1, 4 },
    { "mctp: record", SPDM_OVER_MCTP, 5, { 6, 1, 2, 3, 4 }, true, true, 1, 4 },
    { "mctp: another type", SPDM_OVER_MCTP, 5, { 1, 0x10, 0x84, 0, 0 }, false },
    { "mctp: with check sum", SPDM_OVER_MCTP, 5, { 0x85, 0x10, 0x84, 0, 0 }, false },
    { "mctp: empty", SPDM_OVER_MCTP, 0, { 0 }, false },
    { "tcp", SPDM_OVER_TCP, 8, { 6, 0, 1, 5, 0x10, 0x84, 0, 0 }, true, false, 4, 4 },
    { "tcp: record", SPDM_OVER_TCP, 8, { 6, 0, 1, 6, 1, 2, 3, 4 }, true, true, 4, 4 },
    { "tcp: role inquiry", SPDM_OVER_TCP, 4, { 2, 0, 1, 0xbf }, false },
    { "tcp: another version", SPDM_OVER_TCP, 8, { 6, 0, 2, 5, 0x10, 0x84, 0, 0 }, false },
    { "tcp: length too long", SPDM_OVER_TCP, 8, { 7, 0, 1, 5, 0x10, 0x84, 0, 0 }, false },
    { "tcp: length too short", SPDM_OVER_TCP, 8, { 5, 0, 1, 5, 0x10, 0x84, 0, 0 }, false },
    { "tcp: half a header", SPDM_OVER_TCP, 2, { 0, 0 }, false },
};

static void test_packets(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const Row *row = &rows[i];
        uint8_t    packet[sizeof(row->packet)], again[32];
        ByteWriter w = bw_init(again, sizeof(again));
        bool       secured;
        SpdmSpan   msg;

        memcpy(packet, row->packet, row->len);
        if (spdm_packet_unwrap(row->transport, packet, row->len, &secured, &msg) != row->good) {
            fail_msg("%s: %s", row->name, row->good ? "refused" : "taken");
        }
        if (!row->good) {
            continue;
        }
        if (secured != row->secured || msg.data != packet + row->at || msg.len != row->msg_len) {
            fail_msg("%s: another message", row->name);
        }
        spdm_packet_wrap(row->transport, secured, msg.data, msg.len, &w);
        if (!bw_ok(&w) || w.pos != row->len || memcmp(again, packet, w.pos) != 0) {
            fail_msg("%s: wrapped otherwise", row->name);
        }
    }
}

static void test_padding(void **state)
{
    uint8_t    packet[16];
    ByteWriter w = bw_init(packet, sizeof(packet));

    spdm_packet_wrap(SPDM_OVER_DOE, false, (const uint8_t *)"abcde", 5, &w);
    assert_int_equal(w.pos, 16);
    assert_memory_equal(packet, "\1\0\1\0\4\0\0\0abcde\0\0\0", 16);
}

/* A TCP header counts in 16 bits. */
static void test_too_long(void **state)
{
    static uint8_t msg[0x10000], packet[0x10010];
    ByteWriter     w = bw_init(packet, sizeof(packet));

    spdm_packet_wrap(SPDM_OVER_TCP, false, msg, 0xfffd, &w);
    assert_true(bw_ok(&w));
    w = bw_init(packet, sizeof(packet));
    spdm_packet_wrap(SPDM_OVER_TCP, false, msg, 0xfffe, &w);
    assert_false(bw_ok(&w));
}

static const SpdmAead *aead(void) { return spdm_aead(BIT(1)); }

/* One record of each transport, byte by byte wrong, and in the wrong order. */
static void test_records(void **state)
{
    static const size_t lens[SPDM_N_TRANSPORTS] = { 24 + 3, 24 + 3 + 2 + 1, 24 + 3 + 4 };

    for (unsigned t = 0; t < SPDM_N_TRANSPORTS; t++) {
        SpdmChannel to = { .key = { 1 }, .sequence = 0x12345, .transport = (SpdmTransport)t }, from = to;
        uint8_t     record[64], plain[64];
        size_t      len = spdm_record_seal(aead(), &to, 7, (const uint8_t *)"abc", 3, record, sizeof(record)), got;

        assert_int_equal(len, lens[t]);
        assert_int_equal(len, 3 + spdm_record_overhead((SpdmTransport)t));
        for (size_t i = 0; i < len; i++) {
            record[i] ^= 1;
            assert_false(spdm_record_open(aead(), &from, record, len, plain, sizeof(plain), &got));
            record[i] ^= 1;
        }
        assert_int_equal(from.sequence, 0x12345);
        assert_true(spdm_record_open(aead(), &from, record, len, plain, sizeof(plain), &got));
        assert_int_equal(got, 3);
        assert_memory_equal(plain, "abc", 3);
        assert_false(spdm_record_open(aead(), &from, record, len, plain, sizeof(plain), &got)); /* replayed */
    }
}

/* DSP0276: the sequence number's low two bytes, and the message type again inside. Random data may follow. */
static void test_mctp_record(void **state)
{
    SpdmChannel c = { .key = { 1 }, .sequence = 0x12345, .transport = SPDM_OVER_MCTP };
    uint8_t     record[64] = { 7, 0, 0, 0, 0x45, 0x23, 2 + 1 + 3 + 5 + 16, 0 }, plain[64], nonce[SPDM_AEAD_IV] = { 0 };
    uint8_t     body[] = { 4, 0, 5, 'a', 'b', 'c', 9, 9, 9, 9, 9 };
    size_t      got;

    le64_put(nonce, c.sequence);
    assert_true(spdm_aead_seal(aead(), c.key, nonce, (SpdmSpan){ record, 8 }, body, sizeof(body), record + 8,
                               record + 8 + sizeof(body)));
    assert_true(spdm_record_open(aead(), &c, record, 8 + sizeof(body) + 16, plain, sizeof(plain), &got));
    assert_int_equal(got, 3);
    assert_memory_equal(plain, "abc", 3);

    c.sequence = 0x12345;
    body[2] = 6; /* a record in a record */
    assert_true(spdm_aead_seal(aead(), c.key, nonce, (SpdmSpan){ record, 8 }, body, sizeof(body), record + 8,
                               record + 8 + sizeof(body)));
    assert_false(spdm_record_open(aead(), &c, record, 8 + sizeof(body) + 16, plain, sizeof(plain), &got));
}

/* An assignment from its beginning to its end. */
static void test_assignment(void **state)
{
    static SpdmPair pair;

    for (unsigned t = 0; t < SPDM_N_TRANSPORTS; t++) {
        pair_init(&pair, SPDM_RESPONDER_CAPS);
        pair.responder.config.transport = pair.requester.options.transport = (SpdmTransport)t;
        if (!pair_run(&pair, pair_n_stages)) {
            fail_msg("%s: %s", spdm_binding((SpdmTransport)t)->name, spdm_requester_error(&pair.requester));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets),     cmocka_unit_test(test_padding),     cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_records),     cmocka_unit_test(test_mctp_record), cmocka_unit_test(test_assignment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
