/*
 * tamper= of a device with a security manager, as a trusted module meets it: which step fails and why, and what works
 * again afterwards. What the RMM and a guest do: boot/device_faults.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "nic_rig.h"

enum { CHAIN_HEADER = 52 }; /* messages of a connection: VERSION to the second CERTIFICATE */
#define JANUARY_2025 1736899200
#define JANUARY_2026 1767225600

/* ---- certificates ---- */

static SpdmSpan certificates(NicRig *r)
{
    SpdmSpan chain = spdm_requester_chain(&r->requester);

    return (SpdmSpan){ (const uint8_t *)chain.data + CHAIN_HEADER, chain.len - CHAIN_HEADER };
}

static void test_certificates(void **state)
{
    static const struct {
        const char *option;
        int64_t     time_s;
        const char *why; /* NULL: it holds */
    } rows[] = {
        { NULL, JANUARY_2026, NULL },
        { "tamper=wrong-root", JANUARY_2026, "another root" },
        { "tamper=expired", JANUARY_2026, "out of date" },
        { "tamper=expired", JANUARY_2025, NULL },
        { "tamper=wrong-usage", JANUARY_2026, "usage" },
        { "tamper=wrong-measurement", JANUARY_2026, NULL },
    };
    NicRig *good = rig_new(NULL);

    assert_int_equal(rig_op(good, SPDM_OP_CONNECT, NULL), SPDM_DONE);
    SpdmSpan root = certificates(good);

    root.len = spdm_first_certificate_len(root.data, root.len);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig     *r = rig_new(rows[i].option);
        const char *why;

        print_message("%s\n", rows[i].option != NULL ? rows[i].option : "nothing");
        assert_int_equal(rig_op(r, SPDM_OP_CONNECT, NULL), SPDM_DONE);
        why = spdm_chain_check(certificates(r).data, certificates(r).len, root.data, root.len,
                               SPDM_CHAIN_OF_RESPONDER, rows[i].time_s, NULL);
        if ((why == NULL) != (rows[i].why == NULL) || (why != NULL && strstr(why, rows[i].why) == NULL)) {
            fail_msg("says: %s", why != NULL ? why : "nothing");
        }
        rig_free(r);
    }
    rig_free(good);
}

/* ---- messages ---- */

typedef struct TamperRow {
    const char *option;
    unsigned    fails; /* which step does: 0 connection, 1 session, 2 measurements in it; 3: none */
    const char *error; /* of the requester; NULL: the device said nothing */
    unsigned    again; /* the same from the start */
} TamperRow;

static unsigned go(NicRig *r)
{
    static const SpdmOpArgs all_signed = { .index = 0xff, .sign = true };
    SpdmPublicKey           leaf;

    spdm_requester_init(&r->requester, &r->entropy);
    if (rig_op(r, SPDM_OP_CONNECT, NULL) != SPDM_DONE) {
        return 0;
    }
    assert_null(spdm_chain_check(certificates(r).data, certificates(r).len, NULL, 0,
                                 SPDM_CHAIN_OF_RESPONDER, -1, &leaf));
    assert_int_equal(spdm_requester_set_public_key(&r->requester, &leaf), SPDM_KEY_OK);
    if (rig_op(r, SPDM_OP_SESSION, NULL) != SPDM_DONE) {
        return 1;
    }
    return rig_op(r, SPDM_OP_MEASUREMENTS, &all_signed) == SPDM_DONE ? 3 : 2;
}

static void test_messages(void **state)
{
    static const TamperRow rows[] = {
        { NULL, 3, NULL, 3 },
        { "tamper=wrong-measurement", 3, NULL, 3 },
        { "tamper=wrong-signature", 1, "not signed", 1 },
        { "tamper=silent", 0, NULL, 0 },
        { "tamper=silent=6", 1, NULL, 0 },
        { "tamper=silent=8", 2, NULL, 0 },
        { "tamper=drop", 0, NULL, 3 },
        { "tamper=drop=2", 0, NULL, 3 },
        { "tamper=drop=7", 1, NULL, 3 },
        { "tamper=drop=9", 2, NULL, 3 },
        { "tamper=bad-mac", 2, "decrypted", 3 },
        { "tamper=bad-mac=2", 3, NULL, 2 },
        { "tamper=bad-mac+drop=10", 2, "decrypted", 0 },
        { "tamper=not-ready", 3, NULL, 3 },
        { "tamper=not-ready=255", 3, NULL, 3 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(rows[i].option);

        print_message("%s\n", rows[i].option != NULL ? rows[i].option : "nothing");
        assert_int_equal(go(r), rows[i].fails);
        if (rows[i].error != NULL && strstr(spdm_requester_error(&r->requester), rows[i].error) == NULL) {
            fail_msg("says: %s", spdm_requester_error(&r->requester));
        }
        assert_int_equal(go(r), rows[i].again);
        rig_free(r);
    }
}

/* A device that has answered already goes wrong: counts begin then. */
static void test_injected(void **state)
{
    static const struct {
        const char *fault;
        unsigned    fails;
        const char *refused; /* why, or NULL */
    } rows[] = {
        { "silent=6", 1, NULL },
        { "drop=9", 2, NULL },
        { "bad-mac", 2, NULL },
        { "wrong-signature", 1, NULL },
        { "not-ready=255", 3, NULL },
        { "wrong-root", 3, "is about certificates, which it got when it was made; give it to -device" },
        { "moon", 3, "no fault of the link (mac, key-expiry, link, link-mac), and tamper=moon of device tdisp-nic is "
                     "not known" },
        { "mac@0", 3, "ide-fault=mac@0 of device tdisp-nic" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(NULL);
        GError *error = NULL;

        print_message("%s\n", rows[i].fault);
        assert_int_equal(go(r), 3);
        assert_int_equal(dsm_inject(dsm_of(r->nic), rows[i].fault, &error), rows[i].refused == NULL);
        if (rows[i].refused != NULL && strstr(error->message, rows[i].refused) == NULL) {
            fail_msg("says: %s", error->message);
        }
        g_clear_error(&error);
        assert_int_equal(go(r), rows[i].fails);
        rig_free(r);
    }
}

/* Each name in the help's text is one of the table, and the other way round. */
static void test_names(void **state)
{
    char   **words = g_strsplit(TAMPER_NAMES, ", ", -1);
    unsigned n = 0;

    for (; words[n] != NULL; n++) {
        words[n][strcspn(words[n], "[")] = '\0';
        assert_true(n < N_TAMPER);
        assert_string_equal(words[n], tamper_name((TamperKind)n));
    }
    assert_int_equal(n, N_TAMPER);
    g_strfreev(words);
}

/* The mailbox is Busy for that long with each object, discovery too. */
static void test_slow(void **state)
{
    static const struct { const char *option; int64_t ms; } rows[] = {
        { "tamper=slow", 100 }, { "tamper=slow=3", 3 }, { NULL, 0 },
    };
    enum { STATUS = 0x0c, BUSY = 1 };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(rows[i].option);
        uint8_t rsp[4];

        print_message("%s\n", rows[i].option != NULL ? rows[i].option : "nothing");
        assert_int_equal(rig_exchange(r, DOE_TYPE_DISCOVERY, (const uint8_t[4]){ 0 }, 4, rsp, sizeof(rsp)),
                         rows[i].ms == 0 ? 4 : 0);
        if (rows[i].ms != 0) {
            clock_advance(r->clock, rows[i].ms * 1000000 - 1);
            assert_int_equal(rig_read(r, rig_doe(r) + STATUS, 4), BUSY);
            clock_advance(r->clock, rows[i].ms * 1000000);
            assert_int_equal(rig_read(r, rig_doe(r) + STATUS, 4), 1u << 31);
        }
        rig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_injected),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
