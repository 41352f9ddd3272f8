/*
 * GET_MEASUREMENT_EXTENSION_LOG. DMTF DSP0274 1.3, message section of that name. The entries come from the device; the
 * log is made for each answer, and does not change while the device runs.
 */
#include "spdm/log.h"
#include "spdm/responder.h"

bool spdm_device_log(SpdmResponder *s, ByteWriter *log)
{
    SpdmLogEntry entry;

    spdm_log_begin(log);
    for (unsigned n = 0; s->config.log_entry != NULL && s->config.log_entry(s->config.opaque, n, &entry); n++) {
        spdm_log_add(log, &entry);
    }
    return bw_ok(log);
}

SPDM_REQUEST(GET_MEASUREMENT_EXTENSION_LOG, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_MEL, .where = SPDM_ANYWHERE,
             .drops_b = true)
{
    uint32_t   offset = br_u32(req), len = br_u32(req);
    uint8_t    bytes[SPDM_LOG_MAX];
    ByteWriter log = bw_init(bytes, sizeof(bytes));
    size_t     left, room = spdm_response_room(s, x) - 12;

    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (s->selected.mel_spec == 0) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    if (!spdm_device_log(s, &log)) {
        return SPDM_UNSPECIFIED;
    }
    if (offset >= log.pos) {
        return SPDM_INVALID_REQUEST;
    }
    left = log.pos - offset;
    len = len < left ? len : (uint32_t)left;
    len = len < room ? len : (uint32_t)room; /* a portion may be shorter than asked */
    spdm_reply(s, x, rsp, 0, 0);
    bw_u32(rsp, len);
    bw_u32(rsp, (uint32_t)(left - len));
    bw_bytes(rsp, log.data + offset, len);
    return SPDM_OK;
}
