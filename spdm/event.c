/*
 * The form of events and event groups.
 */
#include "spdm/event.h"

#include "bits.h"

enum { REGISTRY_DMTF = 0, GROUP_VERSION = 1 };

/* 0: there is no such type. */
static uint16_t details_len(unsigned type)
{
    switch (type) {
    case SPDM_EVENT_LOST:
        return 8;
    case SPDM_EVENT_MEASUREMENT_CHANGED:
    case SPDM_EVENT_MEASUREMENT_PRE_UPDATE:
        return SPDM_EVENT_MEASUREMENTS;
    case SPDM_EVENT_CERTIFICATE_CHANGED:
        return 1;
    default:
        return 0;
    }
}

/* EventGroupId: registry and vendor ID, which DMTF has none of. */
static void write_group_id(ByteWriter *w)
{
    bw_u8(w, REGISTRY_DMTF);
    bw_u8(w, 0);
}

static bool read_group_id(ByteReader *r)
{
    uint8_t registry = br_u8(r), len = br_u8(r);

    br_skip(r, len);
    return br_ok(r) && registry == REGISTRY_DMTF && len == 0;
}

void spdm_event_group_write(ByteWriter *w, uint8_t types, uint32_t attributes)
{
    unsigned n = 0;

    for (unsigned type = 0; type < 8; type++) {
        n += types >> type & 1;
    }
    write_group_id(w);
    bw_u16(w, (uint16_t)n);
    bw_u16(w, GROUP_VERSION);
    bw_u32(w, attributes);
    for (unsigned type = 0; type < 8; type++) {
        if (types >> type & 1) {
            bw_u16(w, (uint16_t)type);
            bw_u16(w, 0);
        }
    }
}

bool spdm_event_group_read(ByteReader *r, SpdmEventGroup *g)
{
    bool     is_dmtf = read_group_id(r);
    unsigned n = br_u16(r), version = br_u16(r);

    *g = (SpdmEventGroup){ .is_known = is_dmtf && version == GROUP_VERSION, .attributes = br_u32(r) };
    for (; n != 0 && br_ok(r); n--) {
        unsigned type = br_u16(r);

        br_skip(r, 2);
        g->types |= (uint8_t)(details_len(type) != 0 ? 1u << type : 0);
        g->has_others = g->has_others || details_len(type) == 0;
    }
    return br_ok(r);
}

void spdm_event_write(ByteWriter *w, uint32_t id, SpdmEventType type)
{
    bw_u32(w, id);
    bw_u32(w, 0);
    write_group_id(w);
    bw_u16(w, (uint16_t)type);
    bw_u16(w, details_len(type));
}

bool spdm_event_read(ByteReader *r, SpdmEvent *e)
{
    bool     ours;
    unsigned type;

    e->id = br_u32(r);
    br_skip(r, 4);
    ours = read_group_id(r);
    type = br_u16(r);
    e->len = br_u16(r);
    e->type = (SpdmEventType)type;
    e->details = br_take(r, e->len);
    return e->details != NULL && ours && e->len != 0 && e->len == details_len(type);
}
