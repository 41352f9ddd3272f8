/* Capabilities as users write them: names, signs, and which need which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <string.h>

#include "spdm/caps.h"
#include "spdm/spdm.h"

#define DEVICE SPDM_RESPONDER_CAPS
#define LOST   UINT64_MAX /* the text is refused */

static const struct {
    const char *text;
    uint64_t    before, after;
    const char *why;
} rows[] = {
    { "", DEVICE, DEVICE, NULL },
    { "+chunk", DEVICE, DEVICE | SPDM_CAP_CHUNK, NULL },
    { "+chunk-chunk", DEVICE, DEVICE, NULL },
    { "-chal+chunk", DEVICE, (DEVICE & ~(uint32_t)SPDM_CAP_CHAL) | SPDM_CAP_CHUNK, NULL },
    { "-meas_sig", DEVICE, DEVICE & ~(uint32_t)SPDM_CAP_MEAS_SIG, NULL },
    { "-handshake_in_the_clear", DEVICE, DEVICE & ~(uint32_t)SPDM_CAP_HANDSHAKE_IN_THE_CLEAR, NULL },
    { "-key_ex-encrypt-mac-key_upd-handshake_in_the_clear", DEVICE,
      SPDM_CAP_CERT | SPDM_CAP_CHAL | SPDM_CAP_MEAS_SIG, NULL },
    { "+set_cert+csr", DEVICE, DEVICE | SPDM_CAP_SET_CERT | SPDM_CAP_CSR, NULL },
    { "+set_cert+cert_install_reset", DEVICE, DEVICE | SPDM_CAP_SET_CERT | SPDM_CAP_CERT_INSTALL_RESET, NULL },
    { "+csr", DEVICE, LOST, "csr needs set_cert" },
    { "+mel", DEVICE, DEVICE | SPDM_CAP_MEL, NULL },
    { "+get_key_pair_info", DEVICE, DEVICE | SPDM_CAP_GET_KEY_PAIR_INFO, NULL },
    { "+get_key_pair_info", 0, LOST, "get_key_pair_info needs cert" },
    { "+encap+event", DEVICE, DEVICE | SPDM_CAP_ENCAP | SPDM_CAP_EVENT, NULL },
    { "+event", DEVICE, LOST, "event needs encap" },
    { "+get_key_pair_info+multi_key+set_key_pair_info", DEVICE,
      DEVICE | SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_MULTI_KEY_NEG | SPDM_CAP_SET_KEY_PAIR_INFO, NULL },
    { "+get_key_pair_info+set_key_pair_info+set_key_pair_reset", DEVICE,
      DEVICE | SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_SET_KEY_PAIR_INFO | SPDM_CAP_SET_KEY_PAIR_RESET, NULL },
    { "+get_key_pair_info+set_key_pair_reset", DEVICE, LOST, "set_key_pair_reset needs set_key_pair_info" },
    { "+slot_mgmt", DEVICE, DEVICE | SPDM_CAP_SLOT_MGMT, NULL },
    { "+slot_mgmt", 0, LOST, "slot_mgmt needs cert" },
    { "+get_key_pair_info+multi_key_only", DEVICE,
      DEVICE | SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_MULTI_KEY_ONLY, NULL },
    { "+get_key_pair_info+multi_key_only+multi_key", DEVICE, LOST, "two values of one field" },
    { "+ep_info_sig", DEVICE, DEVICE | SPDM_CAP_EP_INFO_SIG, NULL },
    { "+ep_info_no_sig", 0, SPDM_CAP_EP_INFO_NO_SIG, NULL },
    { "+ep_info_sig", 0, LOST, "ep_info_sig needs cert" },
    { "+ep_info_sig+ep_info_no_sig", DEVICE, LOST, "two values of one field" },
    { "+multi_key", DEVICE, LOST, "multi_key needs get_key_pair_info" },
    { "+set_key_pair_info", DEVICE, LOST, "set_key_pair_info needs get_key_pair_info" },
    { "+get_key_pair_info+multi_key+set_cert+csr", DEVICE,
      DEVICE | SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_MULTI_KEY_NEG | SPDM_CAP_SET_CERT | SPDM_CAP_CSR, NULL },
    { "+alias_cert", DEVICE, DEVICE | SPDM_CAP_ALIAS_CERT, NULL },
    { "+alias_cert", 0, LOST, "alias_cert needs cert" },
    { "+set_cert+alias_cert+csr", DEVICE, DEVICE | SPDM_CAP_ALIAS_CERT | SPDM_CAP_SET_CERT | SPDM_CAP_CSR, NULL },
    { "+encap+event", 0, LOST, "event needs key_ex or psk" },
    { "+mut_auth+encap", DEVICE, DEVICE | SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP, NULL },
    { "+mut_auth+encap-key_ex-encrypt-mac-key_upd-handshake_in_the_clear-chal-meas_sig-cert", DEVICE, LOST,
      "mut_auth needs key_ex or chal" },
    { "chunk", DEVICE, LOST, "each name has + or -" },
    { "+", DEVICE, LOST, "each name has + or -" },
    { "+chunk+", DEVICE, LOST, "each name has + or -" },
    { "+chun", DEVICE, LOST, "each name has + or -" },
    { "+chunks", DEVICE, LOST, "each name has + or -" },
    { "+CHUNK", DEVICE, LOST, "each name has + or -" },
    { "+chunk,-chal", DEVICE, LOST, "each name has + or -" },
    { "-cert", DEVICE, LOST, "chal needs cert" },
    { "-cert-chal", DEVICE, LOST, "meas_sig needs cert" },
    { "-cert-chal-meas_sig", DEVICE, LOST, "key_ex needs cert" },
    { "-chal-key_ex-encrypt-mac-key_upd-handshake_in_the_clear", DEVICE, SPDM_CAP_CERT | SPDM_CAP_MEAS_SIG, NULL },
    { "-chal-meas_sig-key_ex-encrypt-mac-key_upd-handshake_in_the_clear", DEVICE, LOST, "cert needs chal, key_ex" },
    { "-mac", DEVICE, LOST, "encrypt needs mac" },
    { "-encrypt", DEVICE, LOST, "mac needs encrypt" },
    { "-key_ex", DEVICE, LOST, "encrypt and mac need key_ex" },
    { "-encrypt-mac", DEVICE, LOST, "key_ex needs encrypt and mac" },
    { "-key_ex-encrypt-mac", DEVICE, LOST, "key_upd needs key_ex" },
    { "-key_ex-encrypt-mac-key_upd", DEVICE, LOST, "handshake_in_the_clear needs key_ex" },
    { "+cert_install_reset", DEVICE, LOST, "needs set_cert" },
    { "+set_cert", 0, LOST, "set_cert needs cert" },
    { "+mel-meas_sig", DEVICE, LOST, "mel needs meas_sig" },
};

static void test_change(void **state)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t    caps = rows[i].before, want = rows[i].after == LOST ? rows[i].before : rows[i].after;
        const char *why = spdm_caps_change(rows[i].text, &caps);

        if (caps != want || (why == NULL) != (rows[i].why == NULL) || (why != NULL && !strstr(why, rows[i].why))) {
            fail_msg("%s: 0x%" PRIx64 ", %s", rows[i].text, caps, why != NULL ? why : "taken");
        }
    }
}

/* Each name in the list is one that is known. */
static void test_names(void **state)
{
    char     text[64];
    unsigned n = 0;

    for (const char *p = spdm_caps_names(); *p != '\0'; n++) {
        size_t      len = strcspn(p, " ");
        uint64_t    caps = 0;
        const char *why;

        assert_true(len > 0 && len < sizeof(text) - 1);
        text[0] = '-';
        memcpy(text + 1, p, len);
        text[len + 1] = '\0';
        why = spdm_caps_change(text, &caps);
        if (why != NULL) {
            fail_msg("%s: %s", text, why);
        }
        p += len + 1;
    }
    assert_true(n >= 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_change), cmocka_unit_test(test_names) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
