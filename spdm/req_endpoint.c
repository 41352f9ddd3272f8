/*
 * GET_ENDPOINT_INFO of the requester: the device class identifiers, signed if the device can. DMTF DSP0274 1.3, message
 * sections of the request's name.
 */
#include "spdm/requester.h"

enum { DEVICE_CLASS = 1, ASK_SIGNATURE = 1 };

static bool is_signed(const SpdmRequester *r)
{
    return r->has_key && (r->peer_capabilities & SPDM_CAP_EP_INFO) == SPDM_CAP_EP_INFO_SIG;
}

bool spdm_build_get_endpoint_info(SpdmRequester *r, ByteWriter *w)
{
    bool sign = is_signed(r);

    params(w, DEVICE_CLASS, sign ? r->options.slot : 0);
    bw_u8(w, sign ? ASK_SIGNATURE : 0);
    bw_u24(w, 0);
    if (sign) {
        entropy_bytes(r->entropy, r->nonce, sizeof(r->nonce));
        bw_bytes(w, r->nonce, sizeof(r->nonce));
    }
    return true;
}

/* Elements that are as long as they say, and as many. */
static bool is_well_formed(const uint8_t *info, size_t len)
{
    ByteReader b = br_init(info, len);
    unsigned   n = br_u8(&b);

    for (br_skip(&b, 3); n != 0 && br_ok(&b); n--) {
        size_t         element_len = br_u8(&b);
        const uint8_t *element = br_take(&b, element_len);
        ByteReader     e = br_init(element, element != NULL ? element_len : 0);
        unsigned       subordinate;

        br_skip(&e, 1);
        br_skip(&e, br_u8(&e)); /* the vendor's ID */
        for (subordinate = br_u8(&e); subordinate != 0; subordinate--) {
            br_skip(&e, br_u8(&e));
        }
        if (!br_ok(&e) || br_left(&e) != 0) {
            return false;
        }
    }
    return br_ok(&b) && br_left(&b) == 0;
}

StepResult spdm_read_endpoint_info(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    bool           sign = is_signed(r);
    SpdmSigner     signer = signer_of(r);
    const uint8_t *info, *sig;
    size_t         len;
    SpdmSpan       spans[] = { spdm_transcript_span(&r->a), request_span(r), { NULL, 0 } };

    br_skip(rsp, 4 + (sign ? SPDM_NONCE_LEN : 0));
    len = br_u32(rsp);
    r->vendor_offset = (uint32_t)spdm_parsed_len(rsp);
    info = br_take(rsp, len);
    spans[2] = reply_span(rsp);
    sig = sign ? br_take(rsp, signer.asym->sig_len) : NULL;
    if (!spdm_message_ends(rsp) || (param2 & 0xf) != (sign ? r->options.slot : 0) || !is_well_formed(info, len)) {
        return step_fail(r, "ENDPOINT_INFO is malformed or of another slot");
    }
    if (sign && !spdm_verify(&signer, &r->public_key, SPDM_SIGN_ENDPOINT_INFO, spans, ARRAY_LEN(spans), sig)) {
        return step_fail(r, "ENDPOINT_INFO is not signed by the device's public key");
    }
    r->vendor_len = (uint32_t)len;
    return STEP_NEXT;
}
