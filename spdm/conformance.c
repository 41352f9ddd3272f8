/*
 * The messages of the three protocols, with what is answered here. The names and codes are the
 * specifications' (DSP0274, "SPDM request codes"; PCIe r6, IDE_KM and TDISP); whether one is implemented is
 * asked of the dispatch tables, so that this list cannot claim more than the code does.
 */
#include "spdm/ide_km.h"
#include "spdm/responder.h"
#include "spdm/tdisp.h"

static const struct Item {
    const char *protocol, *name;
    uint8_t     code;
    const char *since;
} items[] = {
    { "SPDM", "GET_DIGESTS", 0x81, "1.0" },
    { "SPDM", "GET_CERTIFICATE", 0x82, "1.0" },
    { "SPDM", "CHALLENGE", 0x83, "1.0" },
    { "SPDM", "GET_VERSION", 0x84, "1.0" },
    { "SPDM", "CHUNK_SEND", 0x85, "1.2" },
    { "SPDM", "CHUNK_GET", 0x86, "1.2" },
    { "SPDM", "GET_ENDPOINT_INFO", 0x87, "1.3" },
    { "SPDM", "SLOT_MANAGEMENT", 0x88, "1.4" },
    { "SPDM", "GET_MEASUREMENTS", 0xe0, "1.0" },
    { "SPDM", "GET_CAPABILITIES", 0xe1, "1.0" },
    { "SPDM", "GET_SUPPORTED_EVENT_TYPES", 0xe2, "1.3" },
    { "SPDM", "NEGOTIATE_ALGORITHMS", 0xe3, "1.0" },
    { "SPDM", "KEY_EXCHANGE", 0xe4, "1.1" },
    { "SPDM", "FINISH", 0xe5, "1.1" },
    { "SPDM", "PSK_EXCHANGE", 0xe6, "1.1" },
    { "SPDM", "PSK_FINISH", 0xe7, "1.1" },
    { "SPDM", "HEARTBEAT", 0xe8, "1.1" },
    { "SPDM", "KEY_UPDATE", 0xe9, "1.1" },
    { "SPDM", "GET_ENCAPSULATED_REQUEST", 0xea, "1.1" },
    { "SPDM", "DELIVER_ENCAPSULATED_RESPONSE", 0xeb, "1.1" },
    { "SPDM", "END_SESSION", 0xec, "1.1" },
    { "SPDM", "GET_CSR", 0xed, "1.2" },
    { "SPDM", "SET_CERTIFICATE", 0xee, "1.2" },
    { "SPDM", "GET_MEASUREMENT_EXTENSION_LOG", 0xef, "1.3" },
    { "SPDM", "SUBSCRIBE_EVENT_TYPES", 0xf0, "1.3" },
    { "SPDM", "SEND_EVENT", 0xf1, "1.3" },
    { "SPDM", "GET_KEY_PAIR_INFO", 0xfc, "1.3" },
    { "SPDM", "SET_KEY_PAIR_INFO", 0xfd, "1.3" },
    { "SPDM", "VENDOR_DEFINED", 0xfe, "1.0" },
    { "SPDM", "RESPOND_IF_READY", 0xff, "1.0" },
    { "IDE_KM", "QUERY", 0x00, "1.0" },
    { "IDE_KM", "KEY_PROG", 0x02, "1.0" },
    { "IDE_KM", "K_SET_GO", 0x04, "1.0" },
    { "IDE_KM", "K_SET_STOP", 0x05, "1.0" },
    { "TDISP", "GET_TDISP_VERSION", 0x81, "1.0" },
    { "TDISP", "GET_TDISP_CAPABILITIES", 0x82, "1.0" },
    { "TDISP", "LOCK_INTERFACE_REQUEST", 0x83, "1.0" },
    { "TDISP", "GET_DEVICE_INTERFACE_REPORT", 0x84, "1.0" },
    { "TDISP", "GET_DEVICE_INTERFACE_STATE", 0x85, "1.0" },
    { "TDISP", "START_INTERFACE_REQUEST", 0x86, "1.0" },
    { "TDISP", "STOP_INTERFACE_REQUEST", 0x87, "1.0" },
    { "TDISP", "BIND_P2P_STREAM_REQUEST", 0x88, "1.0" },
    { "TDISP", "UNBIND_P2P_STREAM_REQUEST", 0x89, "1.0" },
    { "TDISP", "SET_MMIO_ATTRIBUTE_REQUEST", 0x8a, "1.0" },
    { "TDISP", "VDM_REQUEST", 0x8b, "1.0" },
};

static bool spdm_message(size_t n, const char **name, uint8_t *code)
{
    if (n >= (size_t)(__stop_spdm_requests - __start_spdm_requests)) {
        return false;
    }
    *name = __start_spdm_requests[n]->name;
    *code = __start_spdm_requests[n]->code;
    return true;
}

/* The device's own, in encapsulated requests. */
static bool own_message(size_t n, const char **name, uint8_t *code)
{
    if (n >= spdm_n_own_requests) {
        return false;
    }
    *name = spdm_own_requests[n].name;
    *code = spdm_own_requests[n].code;
    return true;
}

typedef bool (*MessageList)(size_t n, const char **name, uint8_t *code);

static bool is_listed(MessageList list, const struct Item *item)
{
    const char *name;
    uint8_t     code;

    for (size_t n = 0; list(n, &name, &code); n++) {
        if (code == item->code && strcmp(name, item->name) == 0) {
            return true;
        }
    }
    return false;
}

bool spdm_conformance(size_t n, SpdmConformance *out)
{
    const struct Item *item;
    MessageList        list;

    if (n >= ARRAY_LEN(items)) {
        return false;
    }
    item = &items[n];
    list = item->protocol[0] == 'S' ? spdm_message : tdisp_message;
    list = item->protocol[0] == 'I' ? ide_km_message : list;
    *out = (SpdmConformance){ item->protocol, item->name, item->code, item->since,
                              is_listed(list, item) || (list == spdm_message && is_listed(own_message, item)) };
    return true;
}
