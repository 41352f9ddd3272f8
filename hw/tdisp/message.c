/*
 * Names and fields of the messages that a device answers. DMTF DSP0274, "SPDM messages"; PCIe r6, IDE_KM and TDISP. Of
 * each message what tells it from others of its kind: nonces, keys, signatures and certificates stay out.
 */
#include "hw/tdisp/message.h"

#include <string.h>

#include "event.h"
#include "spdm/spdm.h"
#include "spdm/tdisp.h"

enum { FIELDS_MAX = 20 };

typedef struct Telling {
    EventField fields[FIELDS_MAX];
    unsigned   n;
} Telling;

static void number(Telling *t, const char *name, uint64_t value)
{
    if (t->n < FIELDS_MAX) {
        t->fields[t->n++] = (EventField){ .name = name, .number = value };
    }
}

static void word(Telling *t, const char *name, const char *value)
{
    if (t->n < FIELDS_MAX) {
        t->fields[t->n++] = (EventField){ .name = name, .text = value };
    }
}

/* Of the protocols' messages; @protocol: "SPDM", "IDE_KM", "TDISP". */
static const char *name_of(const char *protocol, uint8_t code)
{
    SpdmConformance item;

    for (size_t i = 0; spdm_conformance(i, &item); i++) {
        if (item.code == code && strcmp(item.protocol, protocol) == 0) {
            return item.name;
        }
    }
    return "unknown request";
}

static const char *spdm_error_name(uint8_t code)
{
    static const struct {
        uint8_t     code;
        const char *name;
    } names[] = {
        { SPDM_INVALID_REQUEST, "InvalidRequest" },
        { SPDM_BUSY, "Busy" },
        { SPDM_UNEXPECTED_REQUEST, "UnexpectedRequest" },
        { SPDM_UNSPECIFIED, "Unspecified" },
        { SPDM_DECRYPT_ERROR, "DecryptError" },
        { SPDM_UNSUPPORTED_REQUEST, "UnsupportedRequest" },
        { SPDM_REQUEST_IN_FLIGHT, "RequestInFlight" },
        { SPDM_INVALID_RESPONSE_CODE, "InvalidResponseCode" },
        { SPDM_SESSION_LIMIT_EXCEEDED, "SessionLimitExceeded" },
        { SPDM_SESSION_REQUIRED, "SessionRequired" },
        { SPDM_RESET_REQUIRED, "ResetRequired" },
        { SPDM_RESPONSE_TOO_LARGE, "ResponseTooLarge" },
        { SPDM_REQUEST_TOO_LARGE, "RequestTooLarge" },
        { SPDM_LARGE_RESPONSE, "LargeResponse" },
        { SPDM_DATA_TOO_LARGE, "DataTooLarge" },
        { SPDM_VERSION_MISMATCH, "VersionMismatch" },
        { SPDM_RESPONSE_NOT_READY, "ResponseNotReady" },
        { SPDM_OPERATION_FAILED, "OperationFailed" },
        { SPDM_NO_PENDING_REQUESTS, "NoPendingRequests" },
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "another";
}

/* PCIe r6, "IDE_KM": what KEY_PROG, K_SET_GO and K_SET_STOP have in common. */
static void tell_ide_km(Telling *t, ByteReader *r)
{
    static const char *const sub_streams[] = { "PR", "NPR", "CPL" };
    uint8_t                  stream, sub, port;

    br_skip(r, 2);
    stream = br_u8(r);
    br_skip(r, 1);
    sub = br_u8(r);
    port = br_u8(r);
    if (br_ok(r)) {
        number(t, "stream_id", stream);
        word(t, "sub_stream", sub >> 4 < ARRAY_LEN(sub_streams) ? sub_streams[sub >> 4] : "reserved");
        word(t, "direction", sub & 2 ? "Tx" : "Rx");
        number(t, "key_set", sub & 1);
        number(t, "port_index", port);
    }
}

static void tell_tdisp(Telling *t, uint8_t code, ByteReader *r)
{
    uint16_t flags;
    uint8_t  stream;

    br_skip(r, 2);
    number(t, "interface_id", br_u32(r));
    br_skip(r, 8);
    if (code == TDISP_LOCK_INTERFACE) {
        flags = br_u16(r);
        stream = br_u8(r);
        br_skip(r, 1);
        number(t, "flags", flags);
        number(t, "default_stream_id", stream);
        number(t, "mmio_reporting_offset", br_u64(r));
    }
}

static void tell_tdisp_answer(Telling *t, const SpdmPciVdm *vdm)
{
    ByteReader r = br_init(vdm->data, vdm->len);
    uint8_t    code, state;

    br_skip(&r, 1);
    code = br_u8(&r);
    br_skip(&r, 14);
    if (code == TDISP_ERROR) {
        uint32_t error = br_u32(&r);

        number(t, "tdisp_error", error);
    } else if (code == (TDISP_GET_INTERFACE_STATE & 0x7f)) {
        state = br_u8(&r);
        word(t, "tdi_state", tdi_state_name(state) != NULL ? tdi_state_name(state) : "unknown");
    }
}

/* A message of PCI-SIG; returns its name. */
static const char *tell_vendor(Telling *t, bool large, ByteReader *req)
{
    SpdmPciVdm vdm;
    uint8_t    code;

    if (spdm_pci_vdm_read(req, large, &vdm) != SPDM_OK) {
        return "VENDOR_DEFINED";
    }
    ByteReader r = br_init(vdm.data, vdm.len);
    if (vdm.protocol == SPDM_PCI_PROTOCOL_TDISP) {
        br_skip(&r, 1);
        code = br_u8(&r);
        word(t, "protocol", "TDISP");
        tell_tdisp(t, code, &r);
        return name_of("TDISP", code);
    }
    if (vdm.protocol == SPDM_PCI_PROTOCOL_IDE_KM) {
        code = br_u8(&r);
        word(t, "protocol", "IDE_KM");
        if (code != 0) {
            tell_ide_km(t, &r);
        }
        return name_of("IDE_KM", code);
    }
    return "VENDOR_DEFINED";
}

static void tell_answer(Telling *t, const uint8_t *rsp, size_t len)
{
    ByteReader r = br_init(rsp, len);
    uint8_t    version = br_u8(&r), code = br_u8(&r), param1 = br_u8(&r);
    SpdmPciVdm vdm;

    br_skip(&r, 1);
    br_skip(&r, 1);
    number(t, "response_bytes", len);
    if (!br_ok(&r)) {
        word(t, "answer", "none");
    } else if (code == SPDM_ERROR) {
        word(t, "answer", "ERROR");
        word(t, "error", spdm_error_name(param1));
    } else {
        word(t, "answer", "ok");
        if (code == SPDM_RESPONSE_OF(SPDM_VENDOR_DEFINED) &&
            spdm_pci_vdm_read(&r, spdm_is_large(version, param1), &vdm) == SPDM_OK &&
            vdm.protocol == SPDM_PCI_PROTOCOL_TDISP) {
            tell_tdisp_answer(t, &vdm);
        }
    }
}

void message_tell(const char *device, uint32_t session_id, const uint8_t *req, size_t req_len, const uint8_t *rsp,
                  size_t rsp_len)
{
    ByteReader  r = br_init(req, req_len);
    Telling     t = { .n = 0 };
    uint8_t     version = br_u8(&r), code = br_u8(&r), param1 = br_u8(&r), param2 = br_u8(&r);
    bool        vendor = br_ok(&r) && code == SPDM_VENDOR_DEFINED;
    const char *name = br_ok(&r) ? name_of("SPDM", code) : "not a message";

    number(&t, "version", version);
    number(&t, "param1", param1);
    number(&t, "param2", param2);
    number(&t, "request_bytes", req_len);
    if (session_id != 0) {
        number(&t, "session_id", session_id);
    }
    name = vendor ? tell_vendor(&t, spdm_is_large(version, param1), &r) : name;
    tell_answer(&t, rsp, rsp_len);
    event_tell(&(Event){ .kind = EVENT_MESSAGE, .name = name, .who = device, .fields = t.fields, .n_fields = t.n });
}
