/*
 * host-fault=substitute-key: the impostor between the RMM and a tdisp-nic has the device's certificates and
 * passes for it as far as the protocol goes, under its own key and no other; the device hears of nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "host/impostor.h"
#include "hw/pci/doe.h"
#include "nic_rig.h"
#include "spdm/tdisp.h"

typedef struct Box {
    NicRig       *rig;
    HostScan      scan;
    HostFunction *f;
    HostImpostor *im;
    HostRelay     relay;
    Entropy       entropy;
    SpdmRequester rmm;
} Box;

static int setup(void **state)
{
    Box          *b = g_new0(Box, 1);
    ImpostorState st;
    unsigned      steps = 0;

    b->rig = rig_new(NULL);
    b->scan = (HostScan){ .pci = b->rig->host, .next32 = 0x10000000, .end32 = 0x20000000,
                          .next64 = 0x8000000000, .end64 = 0x9000000000 };
    assert_true(host_pci_scan(&b->scan));
    b->f = host_pci_find(&b->scan, RIG_NIC);
    b->im = impostor_new(b->f, 1);
    while ((st = impostor_learn(b->im, &b->relay, 0)) == IMPOSTOR_LEARNING) {
        assert_true(++steps < 1000);
    }
    assert_int_equal(st, IMPOSTOR_READY);
    entropy_init(&b->entropy, 1, "rmm");
    spdm_requester_init(&b->rmm, &b->entropy);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    Box *b = *state;

    impostor_free(b->im);
    rig_free(b->rig);
    g_free(b);
    return 0;
}

static SpdmResult run(Box *b, SpdmOp op, const SpdmOpArgs *args)
{
    uint8_t    message[SPDM_MSG_MAX];
    SpdmResult r = SPDM_CONTINUE;

    assert_null(spdm_requester_start(&b->rmm, op, args));
    while (r == SPDM_CONTINUE) {
        bool   secured;
        size_t len = spdm_requester_next(&b->rmm, message, sizeof(message), &secured);

        assert_true(len != 0);
        relay_start(&b->relay, b->f, secured ? DOE_TYPE_SECURED_SPDM : DOE_TYPE_SPDM, message, len);
        impostor_answer(b->im, &b->relay);
        if (b->relay.state != RELAY_DONE) {
            spdm_requester_abort(&b->rmm);
            return SPDM_FAILED;
        }
        const uint8_t *payload = relay_payload(&b->relay, &len);

        r = spdm_requester_response(&b->rmm, payload, len, secured);
    }
    return r;
}

static void connect(Box *b, const SpdmPublicKey *key)
{
    assert_int_equal(run(b, SPDM_OP_CONNECT, NULL), SPDM_DONE);
    assert_int_equal(spdm_requester_set_public_key(&b->rmm, key), SPDM_KEY_OK);
}

/* The certificates are the device's, so their key is not the one that signs. */
static void test_certificates(void **state)
{
    Box          *b = *state;
    SpdmPublicKey own = impostor_key(b->im), leaf;

    connect(b, &own);
    SpdmSpan       chain = spdm_requester_chain(&b->rmm);
    const uint8_t *der = (const uint8_t *)chain.data + 4 + 48;

    assert_null(spdm_chain_check(der, chain.len - 52, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1, &leaf));
    assert_memory_not_equal(&leaf, &own, sizeof(own));
    assert_int_equal(run(b, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

static void test_device_key(void **state)
{
    Box          *b = *state;
    SpdmPublicKey leaf;

    assert_int_equal(run(b, SPDM_OP_CONNECT, NULL), SPDM_DONE);
    SpdmSpan chain = spdm_requester_chain(&b->rmm);

    assert_null(spdm_chain_check((const uint8_t *)chain.data + 52, chain.len - 52, NULL, 0,
                                 SPDM_CHAIN_OF_RESPONDER, -1, &leaf));
    assert_int_equal(spdm_requester_set_public_key(&b->rmm, &leaf), SPDM_KEY_OK);
    assert_int_equal(run(b, SPDM_OP_SESSION, NULL), SPDM_FAILED); /* who names the right key is not fooled */
}

static void test_lock(void **state)
{
    Box          *b = *state;
    uint8_t       message[256];
    TdispClient   tdi;
    SpdmPublicKey own = impostor_key(b->im);
    SpdmOpArgs    args = { .protocol = SPDM_PCI_PROTOCOL_TDISP, .message = message };

    connect(b, &own);
    assert_int_equal(run(b, SPDM_OP_SESSION, NULL), SPDM_DONE);
    tdisp_client_init(&tdi, RIG_NIC);
    tdisp_client_start(&tdi, TDISP_OP_LOCK);
    while ((args.len = tdisp_client_next(&tdi, message, sizeof(message))) != 0) {
        assert_int_equal(run(b, SPDM_OP_VENDOR, &args), SPDM_DONE);
        SpdmSpan reply = spdm_requester_vendor_reply(&b->rmm);

        assert_int_not_equal(tdisp_client_response(&tdi, reply.data, reply.len), SPDM_FAILED);
    }
    assert_int_equal(tdi.state, TDI_CONFIG_LOCKED);
    assert_int_equal(rig_state(b->rig), TDI_CONFIG_UNLOCKED); /* the device itself is as it was */
}

/* Anything at all in place of a message: an answer, or none. */
static void test_nonsense(void **state)
{
    Box    *b = *state;
    uint8_t bytes[64];

    for (unsigned i = 0; i < 256; i++) {
        memset(bytes, (int)i, sizeof(bytes));
        bytes[0] = i & 1 ? 0x12 : 0x10;
        relay_start(&b->relay, b->f, i & 2 ? DOE_TYPE_SECURED_SPDM : DOE_TYPE_SPDM, bytes, i % sizeof(bytes));
        impostor_answer(b->im, &b->relay);
        assert_true(b->relay.state == RELAY_DONE || b->relay.state == RELAY_FAILED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_certificates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_device_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
    };

    return cmocka_run_group_tests_name("host_impostor", tests, NULL, NULL);
}
