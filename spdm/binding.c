/*
 * Headers of the transports. MCTP: one byte, the message type, whose top bit would announce a check sum. TCP: the
 * length of what follows, version 1 of the binding, the type. DOE: the object's two words.
 */
#include "spdm/binding.h"

enum {
    DOE_VENDOR = 0x0001, DOE_PLAIN = 1, DOE_SECURED = 2, DOE_LENGTH_MAX = 1 << 18, /* in words */
    PLAIN = 5, SECURED = 6, /* message types of MCTP and TCP */
    TCP_VERSION = 1, TCP_COUNTED = 2 /* header bytes that the length counts: those behind it */
};

const SpdmBinding *spdm_binding(SpdmTransport t)
{
    static const SpdmBinding bindings[SPDM_N_TRANSPORTS] = {
        [SPDM_OVER_DOE] = { .name = "pci-doe", .header_len = 8 },
        [SPDM_OVER_MCTP] = { .name = "mctp", .sequence_len = 2, .inner_len = 1, .header_len = 1 },
        [SPDM_OVER_TCP] = { .name = "tcp", .inner_len = 4, .header_len = 4 },
    };

    return &bindings[t];
}

static void doe_wrap(bool secured, const uint8_t *msg, size_t len, ByteWriter *w)
{
    size_t words = 2 + (len + 3) / 4;

    bw_u32(w, DOE_VENDOR | (uint32_t)(secured ? DOE_SECURED : DOE_PLAIN) << 16);
    bw_u32(w, (uint32_t)(words & (DOE_LENGTH_MAX - 1)));
    w->failed |= words > DOE_LENGTH_MAX;
    bw_bytes(w, msg, len);
    bw_zero(w, (4 - len % 4) % 4);
}

static void header(SpdmTransport t, bool secured, size_t len, ByteWriter *w)
{
    if (t == SPDM_OVER_TCP) {
        w->failed |= len > UINT16_MAX - TCP_COUNTED;
        bw_u16(w, (uint16_t)(TCP_COUNTED + len));
        bw_u8(w, TCP_VERSION);
    }
    bw_u8(w, secured ? SECURED : PLAIN);
}

void spdm_packet_wrap(SpdmTransport t, bool secured, const uint8_t *msg, size_t len, ByteWriter *w)
{
    if (t == SPDM_OVER_DOE) {
        doe_wrap(secured, msg, len, w);
        return;
    }
    header(t, secured, len, w);
    bw_bytes(w, msg, len);
}

/* Behind the header; its message type in @type, DOE's put like the others'. */
static bool read_header(SpdmTransport t, ByteReader *r, uint8_t *type)
{
    size_t len;

    if (t == SPDM_OVER_DOE) {
        uint32_t head = br_u32(r);

        len = br_u32(r) & (DOE_LENGTH_MAX - 1);
        len = (len == 0 ? DOE_LENGTH_MAX : len) * 4;
        *type = (uint8_t)((head >> 16) - DOE_PLAIN + PLAIN);
        return (uint16_t)head == DOE_VENDOR && head >> 24 == 0 && len == br_left(r) + spdm_binding(t)->header_len;
    }
    if (t == SPDM_OVER_TCP) {
        len = br_u16(r);
        if (len != br_left(r) || br_u8(r) != TCP_VERSION) {
            return false;
        }
    }
    *type = br_u8(r);
    return true;
}

bool spdm_packet_unwrap(SpdmTransport t, const uint8_t *packet, size_t len, bool *secured, SpdmSpan *msg)
{
    ByteReader r = br_init(packet, len);
    uint8_t    type;

    if (!read_header(t, &r, &type) || !br_ok(&r) || (type != PLAIN && type != SECURED)) {
        return false;
    }
    *secured = type == SECURED;
    *msg = (SpdmSpan){ packet + r.pos, br_left(&r) };
    return true;
}

void spdm_inner_wrap(SpdmTransport t, size_t len, ByteWriter *w)
{
    if (spdm_binding(t)->inner_len != 0) {
        header(t, false, len, w);
    }
}

bool spdm_inner_unwrap(SpdmTransport t, SpdmSpan *msg)
{
    bool secured;

    return spdm_binding(t)->inner_len == 0 ||
           (spdm_packet_unwrap(t, msg->data, msg->len, &secured, msg) && !secured);
}
