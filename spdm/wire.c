/*
 * Transcripts, opaque data and the PCI-SIG wrapper, shared by requester and responder.
 */
#include "spdm/wire.h"

#include <string.h>

#define SM_ELEMENT_ID_DMTF   0
#define SM_DATA_VERSION      1 /* SMDataVersion */
#define SM_ID_SELECTED       0 /* SMDataID "version selection" */
#define SM_ID_SUPPORTED      1 /* SMDataID "supported version list" */
#define STANDARD_PCI_SIG     3
#define VENDOR_PCI_SIG       1
#define OPAQUE_SPEC_ID       0x444d5446 /* DSP0277 "general opaque data": "DMTF" */
#define OPAQUE_VERSION       1

const uint16_t spdm_secured_versions[SPDM_N_SECURED_VERSIONS] = { 0x1100, 0x1200 };

bool spdm_secured_version_is_ours(uint16_t version)
{
    return version == spdm_secured_versions[0] || version == spdm_secured_versions[1];
}

void spdm_transcript_reset(SpdmTranscript *t)
{
    t->len = 0;
    t->overflowed = false;
}

uint8_t *spdm_grow(uint8_t *buffer, size_t cap, SpdmRoom room, size_t len, size_t more)
{
    if (len <= cap && more <= cap - len) {
        return buffer + len;
    }
    if (room.bytes == NULL || len > room.cap || more > room.cap - len) {
        return NULL;
    }
    if (len <= cap) {
        memcpy(room.bytes, buffer, len);
    }
    return room.bytes + len;
}

void spdm_transcript_add(SpdmTranscript *t, const void *data, size_t len)
{
    uint8_t *at = t->overflowed ? NULL : spdm_grow(t->data, sizeof(t->data), t->room, t->len, len);

    t->overflowed = at == NULL;
    if (at != NULL && len != 0) {
        memcpy(at, data, len);
        t->len += (uint32_t)len;
    }
}

/* The header in front of opaque elements: TotalElements and three reserved bytes; before 1.2 behind SpecID and
 * OpaqueVersion, and with two reserved bytes. */
static size_t opaque_header_len(uint8_t spdm_version) { return spdm_version >= SPDM_VERSION_12 ? 4 : 8; }

/* Length of that header with one DMTF element of @data_len bytes. */
static uint16_t opaque_len(uint8_t spdm_version, size_t data_len)
{
    return (uint16_t)(opaque_header_len(spdm_version) + align_up(4 + data_len, 4));
}

static size_t supported_len(size_t n) { return 3 + 2 * n; }

uint16_t spdm_opaque_supported_len(uint8_t spdm_version, size_t n)
{
    return opaque_len(spdm_version, supported_len(n));
}

uint16_t spdm_opaque_selected_len(uint8_t spdm_version) { return opaque_len(spdm_version, 4); }

/* The header with one element of @data_len bytes; the caller writes them, then pads. */
static void opaque_begin(ByteWriter *w, uint8_t spdm_version, size_t data_len)
{
    if (spdm_version < SPDM_VERSION_12) {
        bw_u32(w, OPAQUE_SPEC_ID);
        bw_u8(w, OPAQUE_VERSION);
        bw_u8(w, 1); /* TotalElements */
        bw_u16(w, 0);
    } else {
        bw_u8(w, 1); /* TotalElements */
        bw_u24(w, 0);
    }
    bw_u8(w, SM_ELEMENT_ID_DMTF);
    bw_u8(w, 0); /* VendorLen */
    bw_u16(w, (uint16_t)data_len);
}

void spdm_opaque_write_supported(ByteWriter *w, uint8_t spdm_version, const uint16_t *versions, size_t n)
{
    size_t data_len = supported_len(n);

    opaque_begin(w, spdm_version, data_len);
    bw_u8(w, SM_DATA_VERSION);
    bw_u8(w, SM_ID_SUPPORTED);
    bw_u8(w, (uint8_t)n);
    for (size_t i = 0; i < n; i++) {
        bw_u16(w, versions[i]);
    }
    bw_zero(w, align_up(data_len, 4) - data_len);
}

void spdm_opaque_write_selected(ByteWriter *w, uint8_t spdm_version, uint16_t version)
{
    opaque_begin(w, spdm_version, 4);
    bw_u8(w, SM_DATA_VERSION);
    bw_u8(w, SM_ID_SELECTED);
    bw_u16(w, version);
}

/* The next element of the secured-message kind @id as a reader of its body; other DMTF elements are
 * skipped. */
static bool opaque_find(ByteReader *r, size_t len, uint8_t spdm_version, uint8_t id, ByteReader *body)
{
    const uint8_t *data = len <= SPDM_OPAQUE_MAX ? br_take(r, len) : NULL;
    ByteReader     opaque = br_init(data, data != NULL ? len : 0);
    unsigned       elements;

    if (spdm_version < SPDM_VERSION_12 &&
        (br_u32(&opaque) != OPAQUE_SPEC_ID || br_u8(&opaque) != OPAQUE_VERSION)) {
        return false;
    }
    elements = br_u8(&opaque);
    br_skip(&opaque, opaque_header_len(spdm_version) - opaque.pos);
    for (unsigned i = 0; i < elements && br_ok(&opaque); i++) {
        uint8_t        registry = br_u8(&opaque);
        size_t         vendor_len = br_u8(&opaque), data_len;
        const uint8_t *element;

        br_skip(&opaque, vendor_len);
        data_len = br_u16(&opaque);
        element = br_take(&opaque, data_len);
        br_skip(&opaque, align_up(opaque.pos, 4) - opaque.pos);
        *body = br_init(element, element != NULL ? data_len : 0);
        if (br_ok(&opaque) && registry == SM_ELEMENT_ID_DMTF && vendor_len == 0 &&
            br_u8(body) == SM_DATA_VERSION && br_u8(body) == id && br_ok(body)) {
            return true;
        }
    }
    return false;
}

uint16_t spdm_opaque_read_supported(ByteReader *r, size_t len, uint8_t spdm_version, const uint16_t *ours, size_t n)
{
    ByteReader body;
    uint16_t   best = 0;

    if (!opaque_find(r, len, spdm_version, SM_ID_SUPPORTED, &body)) {
        return 0;
    }
    for (unsigned count = br_u8(&body); count != 0; count--) {
        uint16_t offered = (uint16_t)(br_u16(&body) & 0xfff0); /* the low four bits are an alpha number */

        for (size_t i = 0; i < n; i++) {
            best = offered == ours[i] && offered > best ? offered : best;
        }
    }
    return br_ok(&body) ? best : 0;
}

uint16_t spdm_opaque_read_selected(ByteReader *r, size_t len, uint8_t spdm_version)
{
    ByteReader body;
    uint16_t   version;

    if (!opaque_find(r, len, spdm_version, SM_ID_SELECTED, &body)) {
        return 0;
    }
    version = (uint16_t)(br_u16(&body) & 0xfff0);
    return br_ok(&body) ? version : 0;
}

void spdm_opaque_write_none(ByteWriter *w, uint8_t spdm_version)
{
    if (spdm_version >= SPDM_VERSION_14) {
        bw_u16(w, 0);
    }
}

bool spdm_opaque_skip(ByteReader *r, uint8_t spdm_version)
{
    size_t len = spdm_version >= SPDM_VERSION_14 ? br_u16(r) : 0;

    br_skip(r, len);
    return len <= SPDM_OPAQUE_MAX;
}

void spdm_pci_vdm_begin(ByteWriter *w, uint8_t version, uint8_t code, uint8_t param1, uint8_t protocol, size_t len)
{
    bool large = param1 & SPDM_LARGE;

    spdm_begin(w, version, code, param1, 0);
    bw_u16(w, STANDARD_PCI_SIG);
    bw_u8(w, 2);
    bw_u16(w, VENDOR_PCI_SIG);
    bw_u16(w, large ? 0 : (uint16_t)(1 + len));
    if (large) {
        bw_u32(w, (uint32_t)(1 + len));
    }
    bw_u8(w, protocol);
}

SpdmError spdm_pci_vdm_read(ByteReader *r, bool large, SpdmPciVdm *vdm)
{
    uint16_t   standard = br_u16(r);
    size_t     vendor_len = br_u8(r), payload_len;
    ByteReader vendor = br_init(br_take(r, vendor_len), vendor_len);

    payload_len = br_u16(r);
    payload_len = large ? br_u32(r) : payload_len;
    if (br_ok(r) && standard != STANDARD_PCI_SIG) {
        return SPDM_UNSUPPORTED_REQUEST;
    }
    if (!br_ok(r) || vendor_len != 2 || payload_len < 1) {
        return SPDM_INVALID_REQUEST;
    }
    vdm->protocol = br_u8(r);
    vdm->len = payload_len - 1;
    vdm->data = br_take(r, vdm->len);
    if (!spdm_message_ends(r)) {
        return SPDM_INVALID_REQUEST;
    }
    return br_u16(&vendor) == VENDOR_PCI_SIG ? SPDM_OK : SPDM_UNSUPPORTED_REQUEST;
}
