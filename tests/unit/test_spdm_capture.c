/*
 * spdm-pcap= and spdm-keylog= of tdisp-nic: the capture is what went over the mailbox, object for object, and what is
 * in it with the key log opens each record of the session.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "nic_rig.h"

#include "bytes.h"
#include "hw/pci/doe.h"
#include "hw/tdisp/capture.h"
#include "spdm/record.h"

enum { FILE_HEADER = 24, RECORD_HEADER = 16, DOE_HEADER = 8, OBJECTS_MAX = 256 };

#define SECOND 1000000000ll

static char *dir, *pcap, *keylog;

static int make_dir(void **state)
{
    dir = g_dir_make_tmp("bailey-XXXXXX", NULL);
    pcap = g_build_filename(dir, "objects.pcap", NULL);
    keylog = g_build_filename(dir, "keys", NULL);
    return dir == NULL;
}

static int drop_dir(void **state)
{
    remove(pcap);
    remove(keylog);
    remove(dir);
    g_free(pcap);
    g_free(keylog);
    g_free(dir);
    return 0;
}

static NicRig *new_rig(void)
{
    char   *option = g_strdup_printf("spdm-pcap=%s,spdm-keylog=%s", pcap, keylog);
    NicRig *r = rig_new(option);

    g_free(option);
    return r;
}

/* The objects of the capture, and when they passed. */
typedef struct Captured {
    char   *file;
    gsize   len;
    SpdmSpan object[OBJECTS_MAX];
    int64_t  at_ns[OBJECTS_MAX];
    unsigned n;
} Captured;

static void read_capture(Captured *c)
{
    ByteReader r;

    *c = (Captured){ 0 };
    assert_true(g_file_get_contents(pcap, &c->file, &c->len, NULL));
    r = br_init(c->file, c->len);
    assert_int_equal(br_u32(&r), 0xa1b23c4d);
    assert_int_equal(br_u16(&r), 2);
    assert_int_equal(br_u16(&r), 4);
    br_skip(&r, 8);
    assert_int_equal(br_u32(&r), CAPTURE_SNAPLEN);
    assert_int_equal(br_u32(&r), CAPTURE_LINKTYPE);
    while (br_left(&r) != 0) {
        int64_t s = br_u32(&r), ns = br_u32(&r);
        size_t  kept = br_u32(&r), len = br_u32(&r);

        assert_true(c->n < OBJECTS_MAX && ns < SECOND);
        assert_int_equal(kept, MIN(len, (size_t)CAPTURE_SNAPLEN));
        c->at_ns[c->n] = s * SECOND + ns;
        c->object[c->n++] = (SpdmSpan){ br_take(&r, kept), kept };
        assert_true(br_ok(&r));
    }
}

/* A whole assignment; the rig keeps what it writes to and reads from the mailbox's registers. */
static void test_objects(void **state)
{
    NicRig    *r = new_rig();
    Captured   c;
    ByteReader heard;

    r->heard = g_byte_array_new();
    rig_go_to(r, TDI_RUN, 0);
    assert_int_equal(rig_exchange(r, DOE_TYPE_DISCOVERY, (const uint8_t[4]){ 0 }, 4, (uint8_t[4]){ 0 }, 4), 4);
    read_capture(&c); /* nothing is held back while the run goes on */
    heard = br_init(r->heard->data, r->heard->len);
    assert_true(c.n > 20);
    for (unsigned i = 0; i < c.n; i++) {
        const uint8_t *object = br_take(&heard, c.object[i].len);

        assert_non_null(object);
        assert_memory_equal(object, c.object[i].data, c.object[i].len);
        assert_int_equal(c.object[i].len, 4 * le32_get((const uint8_t *)c.object[i].data + 4));
        assert_int_equal(c.at_ns[i], 0);
    }
    assert_int_equal(br_left(&heard), 0);
    g_free(c.file);
    g_byte_array_unref(r->heard);
    rig_free(r);
}

/* Time is the machine's. An object that is too long is cut; an answer that never came is not there. */
static void test_time_and_length(void **state)
{
    enum { DW = CAPTURE_SNAPLEN / 4 + 1 };
    NicRig  *r = new_rig();
    unsigned doe = rig_doe(r);
    Captured c;

    clock_advance(r->clock, 3 * SECOND + 7);
    rig_write(r, doe + 0x10, 4, 0x00090001); /* a protocol it does not have */
    rig_write(r, doe + 0x10, 4, DW);
    for (unsigned i = 2; i < DW; i++) {
        rig_write(r, doe + 0x10, 4, i);
    }
    rig_write(r, doe + 0x08, 4, 1u << 31);
    read_capture(&c);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.at_ns[0], 3 * SECOND + 7);
    assert_int_equal(c.object[0].len, CAPTURE_SNAPLEN);
    g_free(c.file);
    rig_free(r);
}

/* ---- decrypting, as a dissector does: from the files alone ---- */

static SpdmSpan message(const Captured *c, uint8_t code, size_t fixed, size_t opaque_at, size_t behind)
{
    for (unsigned i = 0; i < c->n; i++) {
        const uint8_t *object = c->object[i].data, *m = object + DOE_HEADER;

        if (object[2] == DOE_TYPE_SPDM && m[1] == code) { /* without the padding */
            return (SpdmSpan){ m, fixed + (opaque_at != 0 ? le16_get(m + opaque_at) : 0) + behind };
        }
    }
    fail_msg("the capture has no message 0x%02x", code);
    return (SpdmSpan){ 0 };
}

enum { SECRET_LEN = 48 }; /* of P-384 */

static void read_secret(uint32_t *session_id, uint8_t secret[SECRET_LEN])
{
    char *text, **word;

    assert_true(g_file_get_contents(keylog, &text, NULL, NULL));
    word = g_strsplit_set(text, " \n", -1);
    assert_int_equal(g_strv_length(word), 4); /* one line */
    assert_string_equal(word[0], "DHE_SECRET");
    *session_id = (uint32_t)g_ascii_strtoull(word[1], NULL, 16);
    assert_int_equal(strlen(word[2]), 2 * SECRET_LEN);
    for (unsigned i = 0; i < SECRET_LEN; i++) {
        secret[i] = (uint8_t)(g_ascii_xdigit_value(word[2][2 * i]) << 4 | g_ascii_xdigit_value(word[2][2 * i + 1]));
    }
    g_strfreev(word);
    g_free(text);
}

/* DSP0274 "Key schedule" over the plain messages of the capture: the handshake was in the clear. */
static void derive(NicRig *r, const Captured *c, const SpdmSuite *suite, uint32_t *session_id, SpdmKeys *keys)
{
    SpdmSpan vca = spdm_requester_vca(&r->requester), chain = spdm_requester_chain(&r->requester);
    uint8_t  ct[SPDM_HASH_MAX], th1[SPDM_HASH_MAX], th2[SPDM_HASH_MAX], secret[SECRET_LEN];
    SpdmSpan th[] = {
        vca,
        { ct, suite->hash->len },
        message(c, SPDM_KEY_EXCHANGE, 138, 136, 0),
        message(c, SPDM_RESPONSE_OF(SPDM_KEY_EXCHANGE), 138, 136, 96),
        message(c, SPDM_FINISH, 4, 0, suite->hash->len),
        message(c, SPDM_RESPONSE_OF(SPDM_FINISH), 4, 0, suite->hash->len),
    };

    read_secret(session_id, secret);
    assert_true(spdm_hash_spans(suite->hash, &chain, 1, ct));
    assert_true(spdm_hash_spans(suite->hash, th, 4, th1));
    assert_true(spdm_hash_spans(suite->hash, th, 6, th2));
    assert_true(spdm_derive_handshake(suite, false, secret, sizeof(secret), th1, keys));
    assert_true(spdm_derive_data(suite, th2, keys));
}

static void test_keylog(void **state)
{
    NicRig   *r = new_rig();
    SpdmSuite suite = { 0, spdm_hash(BIT(1)), spdm_aead(BIT(1)) };
    SpdmKeys  keys;
    Captured  c;
    uint32_t  session_id, id;
    unsigned  n = 0;

    rig_go_to(r, TDI_RUN, 0);
    suite.version = r->requester.version;
    read_capture(&c);
    derive(r, &c, &suite, &session_id, &keys);
    for (unsigned i = 0; i < c.n; i++) {
        const uint8_t *object = c.object[i].data;
        SpdmChannel   *channel = n % 2 == 0 ? &keys.request_data : &keys.response_data;
        uint8_t        plain[SPDM_MSG_MAX];
        size_t         len;

        if (object[2] == DOE_TYPE_SECURED_SPDM) {
            assert_true(spdm_record_session(object + DOE_HEADER, c.object[i].len - DOE_HEADER, &id));
            assert_int_equal(id, session_id);
            assert_true(spdm_record_open(suite.aead, channel, object + DOE_HEADER, c.object[i].len - DOE_HEADER, plain,
                                         sizeof(plain), &len));
            assert_int_equal(plain[1], n % 2 == 0 ? SPDM_VENDOR_DEFINED : SPDM_RESPONSE_OF(SPDM_VENDOR_DEFINED));
            n++;
        }
    }
    assert_true(n > 10);
    g_free(c.file);
    rig_free(r);
}

/* ---- files that cannot be written ---- */

static void test_refused(void **state)
{
    static const struct { const char *name, *option, *says; } rows[] = {
        { "no such directory", "spdm-pcap=/nowhere/x", "cannot write spdm-pcap=/nowhere/x" },
        { "no such directory, key log", "spdm-keylog=/nowhere/x", "cannot write spdm-keylog=/nowhere/x" },
        { "the second of two", "spdm-pcap=/dev/null,spdm-keylog=/nowhere/x", "spdm-keylog=/nowhere/x" },
        { "another property is wrong", "spdm-pcap=/dev/null,netdev=none", "no -netdev with that id" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = rig_refusal(rows[i].option, "rp0");

        print_message("%s\n", rows[i].name);
        if (strstr(text, rows[i].says) == NULL) {
            fail_msg("says: %s", text);
        }
        g_free(text);
    }
}

/* A full disk ends the capture, not the run. */
static void test_full_disk(void **state)
{
    NicRig *r = rig_new("spdm-pcap=/dev/full,spdm-keylog=/dev/full");

    rig_go_to(r, TDI_RUN, 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_time_and_length),
        cmocka_unit_test(test_keylog),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_full_disk),
    };

    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
