/*
 * Names of capability flags, and which of them need which.
 */
#include "spdm/caps.h"

#include <stdbool.h>
#include <string.h>

#include "spdm/wire.h"

#define CAP_NAMES(X)                                                                                          \
    X(cert, SPDM_CAP_CERT) X(chal, SPDM_CAP_CHAL) X(meas_sig, SPDM_CAP_MEAS_SIG) X(encrypt, SPDM_CAP_ENCRYPT) \
    X(mac, SPDM_CAP_MAC) X(key_ex, SPDM_CAP_KEY_EX) X(key_upd, SPDM_CAP_KEY_UPD)                              \
    X(handshake_in_the_clear, SPDM_CAP_HANDSHAKE_IN_THE_CLEAR) X(chunk, SPDM_CAP_CHUNK)                       \
    X(set_cert, SPDM_CAP_SET_CERT) X(csr, SPDM_CAP_CSR) X(cert_install_reset, SPDM_CAP_CERT_INSTALL_RESET)    \
    X(mel, SPDM_CAP_MEL) X(get_key_pair_info, SPDM_CAP_GET_KEY_PAIR_INFO)                                     \
    X(psk, SPDM_CAP_PSK_PLAIN) X(psk_with_context, SPDM_CAP_PSK_WITH_CONTEXT)                                 \
    X(mut_auth, SPDM_CAP_MUT_AUTH) X(encap, SPDM_CAP_ENCAP) X(event, SPDM_CAP_EVENT)                   \
    X(alias_cert, SPDM_CAP_ALIAS_CERT) X(multi_key, SPDM_CAP_MULTI_KEY_NEG)                                   \
    X(multi_key_only, SPDM_CAP_MULTI_KEY_ONLY) X(set_key_pair_info, SPDM_CAP_SET_KEY_PAIR_INFO)               \
    X(ep_info_no_sig, SPDM_CAP_EP_INFO_NO_SIG) X(ep_info_sig, SPDM_CAP_EP_INFO_SIG)                           \
    X(large_resp, SPDM_CAP_LARGE_RESP) X(set_key_pair_reset, SPDM_CAP_SET_KEY_PAIR_RESET)                     \
    X(slot_mgmt, SPDM_CAP_SLOT_MGMT)

static const struct CapName {
    const char *name;
    uint64_t    cap;
} names[] = {
#define ROW(name, cap) { #name, cap },
    CAP_NAMES(ROW)
#undef ROW
};

const char *spdm_caps_names(void)
{
#define WORD(name, cap) #name " "
    return CAP_NAMES(WORD);
#undef WORD
}

/* DSP0274 "Flag fields definitions for the Responder": what may not stand without what. */
static const struct CapNeed {
    uint64_t    cap, needs;
    const char *why;
} needed[] = {
    { SPDM_CAP_CHAL, SPDM_CAP_CERT, "chal needs cert" },
    { SPDM_CAP_MEAS_SIG, SPDM_CAP_CERT, "meas_sig needs cert" },
    { SPDM_CAP_KEY_EX, SPDM_CAP_CERT, "key_ex needs cert" },
    { SPDM_CAP_CERT, SPDM_CAP_CHAL | SPDM_CAP_KEY_EX | SPDM_CAP_MEAS_SIG, "cert needs chal, key_ex or meas_sig" },
    { SPDM_CAP_ALIAS_CERT, SPDM_CAP_CERT, "alias_cert needs cert" },
    { SPDM_CAP_SET_CERT, SPDM_CAP_CERT, "set_cert needs cert" },
    { SPDM_CAP_CSR, SPDM_CAP_SET_CERT, "csr needs set_cert" },
    { SPDM_CAP_CERT_INSTALL_RESET, SPDM_CAP_SET_CERT, "cert_install_reset needs set_cert" },
    { SPDM_CAP_GET_KEY_PAIR_INFO, SPDM_CAP_CERT, "get_key_pair_info needs cert" },
    { SPDM_CAP_MULTI_KEY, SPDM_CAP_GET_KEY_PAIR_INFO, "multi_key needs get_key_pair_info" },
    { SPDM_CAP_SET_KEY_PAIR_INFO, SPDM_CAP_GET_KEY_PAIR_INFO, "set_key_pair_info needs get_key_pair_info" },
    { SPDM_CAP_SET_KEY_PAIR_RESET, SPDM_CAP_SET_KEY_PAIR_INFO, "set_key_pair_reset needs set_key_pair_info" },
    { SPDM_CAP_SLOT_MGMT, SPDM_CAP_CERT, "slot_mgmt needs cert" },
    { SPDM_CAP_EP_INFO_SIG, SPDM_CAP_CERT, "ep_info_sig needs cert" },
    { SPDM_CAP_MEL, SPDM_CAP_MEAS, "mel needs meas_sig" },
    { SPDM_CAP_ENCRYPT, SPDM_CAP_MAC, "encrypt needs mac" },
    { SPDM_CAP_MAC, SPDM_CAP_ENCRYPT, "mac needs encrypt: records are sealed whole here" },
    { SPDM_CAP_ENCRYPT, SPDM_CAP_SESSION, "encrypt and mac need key_ex or psk" },
    { SPDM_CAP_MUT_AUTH, SPDM_CAP_KEY_EX | SPDM_CAP_CHAL, "mut_auth needs key_ex or chal" },
    { SPDM_CAP_MUT_AUTH, SPDM_CAP_ENCAP, "mut_auth needs encap" },
    { SPDM_CAP_EVENT, SPDM_CAP_ENCAP, "event needs encap: that is how events are told" },
    { SPDM_CAP_EVENT, SPDM_CAP_SESSION, "event needs key_ex or psk" },
    { SPDM_CAP_PSK, SPDM_CAP_ENCRYPT, "psk needs encrypt and mac" },
    { SPDM_CAP_KEY_EX, SPDM_CAP_ENCRYPT, "key_ex needs encrypt and mac" },
    { SPDM_CAP_KEY_UPD, SPDM_CAP_SESSION, "key_upd needs key_ex or psk" },
    { SPDM_CAP_HANDSHAKE_IN_THE_CLEAR, SPDM_CAP_KEY_EX, "handshake_in_the_clear needs key_ex" },
};

/* Names that are values of one field of two bits; both bits are no value. */
static const struct CapField {
    uint32_t    field;
    const char *why;
} fields[] = {
    { SPDM_CAP_PSK, "psk and psk_with_context are two values of one field: only one can be" },
    { SPDM_CAP_MULTI_KEY, "multi_key and multi_key_only are two values of one field: only one can be" },
    { SPDM_CAP_EP_INFO, "ep_info_sig and ep_info_no_sig are two values of one field: only one can be" },
};

/* Fields of two bits of a responder's that have no third value; those of later versions than the connection's are 0. */
static const uint32_t reserved[] = { SPDM_CAP_MEAS, SPDM_CAP_PSK, SPDM_CAP_EP_INFO, SPDM_CAP_MULTI_KEY };

static const struct CapName *find_name(const char *text, size_t len)
{
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strlen(names[i].name) == len && memcmp(names[i].name, text, len) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

const char *spdm_caps_change(const char *text, uint64_t *caps)
{
    uint64_t changed = *caps;

    while (*text != '\0') {
        bool                  add = *text == '+';
        size_t                len = strcspn(text + 1, "+-");
        const struct CapName *n = find_name(text + 1, len);

        if ((!add && *text != '-') || n == NULL) {
            return "each name has + or - in front and is one of those that are known";
        }
        changed = add ? changed | n->cap : changed & ~n->cap;
        text += 1 + len;
    }
    for (unsigned i = 0; i < ARRAY_LEN(needed); i++) {
        if ((changed & needed[i].cap) && !(changed & needed[i].needs)) {
            return needed[i].why;
        }
    }
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        if ((changed & fields[i].field) == fields[i].field) {
            return fields[i].why;
        }
    }
    *caps = changed;
    return NULL;
}

const char *spdm_caps_contradiction(uint8_t version, uint32_t caps)
{
    const uint32_t of_sessions =
        SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_HANDSHAKE_IN_THE_CLEAR | SPDM_CAP_HBEAT | SPDM_CAP_KEY_UPD;
    const uint32_t certified =
        SPDM_CAP_CHAL | SPDM_CAP_KEY_EX | SPDM_CAP_MEAS_SIG | SPDM_CAP_MUT_AUTH | SPDM_CAP_EP_INFO_SIG;
    bool session = (caps & SPDM_CAP_SESSION) != 0, has_cert = (caps & SPDM_CAP_CERT) != 0;

    for (unsigned i = 0; i < ARRAY_LEN(reserved); i++) {
        if ((caps & reserved[i]) == reserved[i]) {
            return "a field of CAPABILITIES has a reserved value";
        }
    }
    if (session ? !(caps & (SPDM_CAP_ENCRYPT | SPDM_CAP_MAC)) : (caps & (of_sessions | SPDM_CAP_EVENT)) != 0) {
        return "CAPABILITIES has sessions without protection, or what is for sessions without any";
    }
    if (!(caps & SPDM_CAP_KEY_EX) && (caps & SPDM_CAP_HANDSHAKE_IN_THE_CLEAR)) {
        return "CAPABILITIES has a handshake in the clear without KEY_EX";
    }
    if (has_cert ? (caps & SPDM_CAP_PUB_KEY_ID) != 0 : !(caps & SPDM_CAP_PUB_KEY_ID) && (caps & certified) != 0) {
        return "CAPABILITIES has both of CERT and PUB_KEY_ID, or signatures with neither";
    }
    if ((caps & SPDM_CAP_MUT_AUTH) && (!(caps & (SPDM_CAP_KEY_EX | SPDM_CAP_CHAL)) ||
                                       (version == SPDM_VERSION_11 && !(caps & SPDM_CAP_ENCAP)))) {
        return "CAPABILITIES has MUT_AUTH without what it takes";
    }
    if ((!has_cert && (caps & (SPDM_CAP_ALIAS_CERT | SPDM_CAP_SET_CERT)) != 0) ||
        ((caps & SPDM_CAP_CERT_INSTALL_RESET) && !(caps & (SPDM_CAP_SET_CERT | SPDM_CAP_CSR)))) {
        return "CAPABILITIES has provision of certificates without certificates";
    }
    return (caps & SPDM_CAP_MULTI_KEY) && (!has_cert || !(caps & SPDM_CAP_GET_KEY_PAIR_INFO))
               ? "CAPABILITIES has MULTI_KEY without what it takes"
               : NULL;
}
