/*
 * SLOT_MANAGEMENT of the requester: one sub-code at a time, whose answer is checked for its form. DMTF DSP0274 1.4,
 * message section of that name; the layouts are those of DMTF's libspdm, as in rsp_slots.c.
 */
#include "spdm/requester.h"

#include <string.h>

enum { HEADER_LEN = 8, ADDRESS_LEN = 8, SUBCODES_LEN = 36, SLOT_LEN = 16, OPERATION_ERASE = 1 };

static void write_address(const SpdmRequester *r, ByteWriter *w)
{
    bw_u16(w, ADDRESS_LEN);
    bw_u16(w, 0);
    bw_u8(w, r->args.bank);
    bw_u8(w, r->args.slot);
    bw_u16(w, 0);
}

static void write_csr_request(const SpdmRequester *r, ByteWriter *w)
{
    bw_u8(w, r->args.key_pair);
    bw_u8(w, r->args.attributes | r->args.model);
    bw_u16(w, 0);
    bw_u16(w, (uint16_t)r->message_len);
    bw_u16(w, 0);
    bw_bytes(w, r->message, r->message_len);
}

static bool write_certificates(SpdmRequester *r, ByteWriter *w)
{
    bw_u32(w, spdm_requester_chain_len(r));
    bw_u8(w, r->args.model);
    bw_u8(w, r->args.key_pair);
    bw_u16(w, 0);
    return spdm_requester_write_chain(r, w);
}

bool spdm_build_slots(SpdmRequester *r, ByteWriter *w)
{
    bool has_struct = r->args.subcode != SPDM_SLOTS_SUBCODES && r->args.subcode != SPDM_SLOTS_BANK_INFO;

    params(w, r->args.subcode, 0);
    bw_u16(w, has_struct ? HEADER_LEN : 0);
    bw_u16(w, 0);
    if (!has_struct) {
        return true;
    }
    write_address(r, w);
    switch (r->args.subcode) {
    case SPDM_SLOTS_BANK_DETAILS:
    case SPDM_SLOTS_GET_CHAIN:
        return true;
    case SPDM_SLOTS_GET_CSR:
        write_csr_request(r, w);
        return true;
    case SPDM_SLOTS_MANAGE_SLOT:
        bw_u32(w, OPERATION_ERASE);
        return true;
    case SPDM_SLOTS_SET_CERTIFICATE:
        return write_certificates(r, w);
    default:
        return spdm_requester_fail(r, "SLOT_MANAGEMENT 0x%02x is not asked for here", r->args.subcode);
    }
}

/* Elements of a bank each, as long as they say. */
static void skip_banks(ByteReader *b)
{
    unsigned n;

    br_skip(b, 2);
    n = br_u8(b);
    for (br_skip(b, 3); n != 0 && br_ok(b); n--) {
        size_t len = br_u8(b);

        b->failed |= len < SPDM_BANK_LEN;
        br_skip(b, len - 1);
    }
}

/* Algorithms, then elements of a slot each with its digest. */
static void skip_details(const SpdmRequester *r, ByteReader *b)
{
    size_t   hash_len = spdm_hash(r->selected.hash)->len;
    unsigned n;

    b->failed |= br_u8(b) != r->args.bank;
    br_skip(b, 1);
    n = br_u16(b);
    br_skip(b, 2 + 3 * 4);
    for (unsigned i = 0; i < 3; i++) {
        br_skip(b, br_u8(b));
    }
    for (br_skip(b, 4); n != 0 && br_ok(b); n--) {
        size_t len = br_u16(b);

        b->failed |= len < SLOT_LEN + hash_len;
        br_skip(b, len - 2);
    }
}

/* What is in the response's structure; false: it is not of that form. */
static bool take_struct(SpdmRequester *r, ByteReader *rsp)
{
    size_t     start = spdm_parsed_len(rsp), len;
    ByteReader b;

    switch (r->args.subcode) {
    case SPDM_SLOTS_SUBCODES:
    case SPDM_SLOTS_BANK_INFO:
    case SPDM_SLOTS_BANK_DETAILS:
        len = br_u16(rsp);
        b = br_init(rsp->data + start, len < 2 || br_left(rsp) < len - 2 ? 0 : len);
        br_skip(rsp, len - 2);
        br_skip(&b, 2);
        if (r->args.subcode == SPDM_SLOTS_SUBCODES) {
            br_skip(&b, SUBCODES_LEN - 2);
        } else if (r->args.subcode == SPDM_SLOTS_BANK_INFO) {
            skip_banks(&b);
        } else {
            skip_details(r, &b);
        }
        r->vendor_offset = (uint32_t)start;
        r->vendor_len = (uint32_t)len;
        return br_ok(&b);
    case SPDM_SLOTS_GET_CHAIN:
    case SPDM_SLOTS_GET_CSR:
        r->vendor_len = br_u32(rsp);
        br_skip(rsp, 4);
        r->vendor_offset = (uint32_t)spdm_parsed_len(rsp);
        br_skip(rsp, r->vendor_len);
        return true;
    default:
        return false; /* those have none */
    }
}

StepResult spdm_read_slots(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    bool   is_empty = r->args.subcode == SPDM_SLOTS_MANAGE_SLOT || r->args.subcode == SPDM_SLOTS_SET_CERTIFICATE;
    size_t offset = br_u16(rsp);
    bool   ok = param1 == r->args.subcode && (is_empty ? offset == 0 : offset >= HEADER_LEN);

    br_skip(rsp, 2);
    if (ok && !is_empty) {
        br_skip(rsp, offset - HEADER_LEN);
        ok = take_struct(r, rsp);
    }
    if (!ok || !spdm_message_ends(rsp)) {
        r->vendor_len = 0;
        return step_fail(r, "SLOT_MANAGEMENT_RESP is malformed or answers something else");
    }
    return STEP_NEXT;
}
