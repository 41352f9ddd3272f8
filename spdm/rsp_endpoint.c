/*
 * GET_ENDPOINT_INFO: what kind of device this is. DMTF DSP0274 1.3, "GET_ENDPOINT_INFO request message", "ENDPOINT_INFO
 * response message". There is one sub-code, device class identifiers; which subordinate ones there are below PCI-SIG's
 * vendor ID is the vendor's to say: here they are the function's device and subsystem ID. (With three of them, an
 * answer over PCI DOE would be padded, which public requesters take for a part of it.)
 */
#include "spdm/responder.h"

enum { DEVICE_CLASS = 1, REGISTRY_PCI_SIG = 3, SLOT_MASK = 0xf };

#define ASK_SIGNATURE BIT(0)

static void append_class(const SpdmPciIds *ids, ByteWriter *w)
{
    const uint16_t subordinate[] = { ids->device, ids->subsystem };

    bw_u8(w, 1); /* NumIdentifiers */
    bw_u24(w, 0);
    bw_u8(w, 2 + 2 + 1 + ARRAY_LEN(subordinate) * (1 + 2)); /* IDElemLength */
    bw_u8(w, REGISTRY_PCI_SIG);
    bw_u8(w, 2); /* VendorIDLen */
    bw_u16(w, ids->vendor);
    bw_u8(w, ARRAY_LEN(subordinate));
    for (unsigned i = 0; i < ARRAY_LEN(subordinate); i++) {
        bw_u8(w, 2);
        bw_u16(w, subordinate[i]);
    }
}

/* DSP0274 1.3 "IL1 and IL2": VCA and this pair without its signature. */
static SpdmError append_signature(SpdmResponder *s, uint8_t slot, SpdmSpan request, ByteWriter *rsp)
{
    SpdmSpan spans[] = { spdm_transcript_span(&s->a), request, { rsp->data, rsp->pos } };

    return s->a.overflowed ? SPDM_UNSPECIFIED
                           : spdm_append_signature(s, slot, SPDM_SIGN_ENDPOINT_INFO, spans, ARRAY_LEN(spans), rsp);
}

SPDM_REQUEST(GET_ENDPOINT_INFO, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_EP_INFO, .where = SPDM_ANYWHERE,
             .is_signed = true)
{
    bool      sign = br_u8(req) & ASK_SIGNATURE;
    uint8_t   slot = sign ? x->param2 & SLOT_MASK : 0, nonce[SPDM_NONCE_LEN];
    SpdmChain chain;

    br_skip(req, 3 + (sign ? sizeof(nonce) : 0)); /* the requester's nonce counts through what is signed */
    if (!spdm_message_ends(req) || x->param1 != DEVICE_CLASS) {
        return SPDM_INVALID_REQUEST;
    }
    if (sign && (spdm_capabilities(s) & SPDM_CAP_EP_INFO) != SPDM_CAP_EP_INFO_SIG) {
        x->error_data = x->code;
        return SPDM_UNSUPPORTED_REQUEST;
    }
    if (sign && (!spdm_slot_chain(s, slot, &chain) || !spdm_slot_is_for(s, slot, SPDM_USE_ENDPOINT_INFO))) {
        return SPDM_INVALID_REQUEST;
    }
    spdm_reply(s, x, rsp, 0, slot);
    bw_u32(rsp, 0);
    if (sign) {
        entropy_bytes(s->config.entropy, nonce, sizeof(nonce));
        bw_bytes(rsp, nonce, sizeof(nonce));
    }
    bw_u32(rsp, SPDM_PCI_CLASS_LEN);
    append_class(&s->config.ids, rsp);
    return sign ? append_signature(s, slot, spdm_whole_request(req), rsp) : SPDM_OK;
}
