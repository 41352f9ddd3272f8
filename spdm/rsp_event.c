/*
 * Events: GET_SUPPORTED_EVENT_TYPES, SUBSCRIBE_EVENT_TYPES, and SEND_EVENT in an encapsulated request. DMTF DSP0274
 * 1.3, message sections of those names, "DMTF event types". A session that is told of events has asked for them; it is
 * told when it asks what the device wants (GET_ENCAPSULATED_REQUEST). The device takes no events: it has nothing to do
 * with a requester's.
 */
#include "spdm/responder.h"

#include <string.h>

SPDM_REQUEST(GET_SUPPORTED_EVENT_TYPES, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_EVENT, .where = SPDM_IN_SESSION)
{
    size_t at;

    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    spdm_reply(s, x, rsp, 1, 0); /* EventGroupCount */
    at = rsp->pos;
    bw_u32(rsp, 0);
    spdm_event_group_write(rsp, SPDM_EVENTS_KNOWN, 0);
    le32_put(rsp->data + at, (uint32_t)(rsp->pos - at - 4));
    return SPDM_OK;
}

/* The types of a subscription; false when it cannot be had. There is one group, which is named once. */
static bool read_subscription(ByteReader *req, unsigned n_groups, uint8_t *types)
{
    size_t         len = br_u32(req);
    const uint8_t *list = br_take(req, len);
    ByteReader     groups = br_init(list, len);
    SpdmEventGroup g;

    if (n_groups != 1 || !spdm_message_ends(req) || !spdm_event_group_read(&groups, &g) || br_left(&groups) != 0 ||
        !g.is_known || g.has_others || (g.types & ~SPDM_EVENTS_KNOWN) != 0) {
        return false;
    }
    *types = g.attributes & SPDM_EVENT_GROUP_ALL ? SPDM_EVENTS_KNOWN : g.types;
    return g.types == 0 || !(g.attributes & SPDM_EVENT_GROUP_ALL); /* all, or those that are named */
}

static bool subscribed_to(const SpdmEvents *e, SpdmEventType type) { return e->subscribed >> type & 1; }

/* Takes the place of what was subscribed to before. */
SPDM_REQUEST(SUBSCRIBE_EVENT_TYPES, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_EVENT, .where = SPDM_IN_SESSION)
{
    SpdmEvents *e = &x->session->events;
    uint8_t     types = 0;

    if (x->param1 == 0 ? !spdm_message_ends(req) : !read_subscription(req, x->param1, &types)) {
        return SPDM_INVALID_REQUEST;
    }
    e->subscribed = types;
    if (!subscribed_to(e, SPDM_EVENT_CERTIFICATE_CHANGED)) {
        e->slots = 0;
    }
    if (!subscribed_to(e, SPDM_EVENT_MEASUREMENT_CHANGED)) {
        memset(e->measurements, 0, sizeof(e->measurements));
    }
    spdm_reply(s, x, rsp, 0, 0);
    return SPDM_OK;
}

/* ---- what has happened ---- */

static bool hears_of(const SpdmSession *session, SpdmEventType type)
{
    return session->state == SPDM_SESSION_ESTABLISHED && subscribed_to(&session->events, type);
}

void spdm_certificate_changed(SpdmResponder *s, uint8_t slot)
{
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        s->sessions[i].events.slots |=
            (uint8_t)(hears_of(&s->sessions[i], SPDM_EVENT_CERTIFICATE_CHANGED) ? 1u << slot : 0);
    }
}

void spdm_responder_measurement_changed(SpdmResponder *s, uint8_t index)
{
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        s->sessions[i].events.measurements[index / 8] |=
            (uint8_t)(hears_of(&s->sessions[i], SPDM_EVENT_MEASUREMENT_CHANGED) ? 1u << index % 8 : 0);
    }
}

static bool measurements_changed(const SpdmEvents *e)
{
    static const uint8_t none[SPDM_EVENT_MEASUREMENTS];

    return memcmp(e->measurements, none, sizeof(none)) != 0;
}

static bool tells_of_loss(const SpdmEvents *e) { return e->lost && subscribed_to(e, SPDM_EVENT_LOST); }

bool spdm_has_events(const SpdmSession *session)
{
    const SpdmEvents *e = &session->events;

    return tells_of_loss(e) || e->slots != 0 || measurements_changed(e);
}

/* ---- telling it ---- */

/* All there is to tell. It counts as lost until it is acknowledged. */
void spdm_ask_events(SpdmResponder *s, ByteWriter *rsp)
{
    SpdmEvents *e = &spdm_session_find(s, s->flow.session_id)->events;
    unsigned    n = tells_of_loss(e) + measurements_changed(e) + (e->slots != 0);

    spdm_begin(rsp, s->version, SPDM_SEND_EVENT, 0, 0);
    bw_u32(rsp, n);
    if (tells_of_loss(e)) {
        spdm_event_write(rsp, e->next++, SPDM_EVENT_LOST);
        bw_u32(rsp, e->last_acked);
        bw_u32(rsp, e->last_lost);
    }
    if (measurements_changed(e)) {
        spdm_event_write(rsp, e->next++, SPDM_EVENT_MEASUREMENT_CHANGED);
        bw_bytes(rsp, e->measurements, sizeof(e->measurements));
    }
    if (e->slots != 0) {
        spdm_event_write(rsp, e->next++, SPDM_EVENT_CERTIFICATE_CHANGED);
        bw_u8(rsp, e->slots);
    }
    e->slots = 0;
    memset(e->measurements, 0, sizeof(e->measurements));
    e->lost = true;
    e->last_lost = e->next - 1;
}

bool spdm_take_events(SpdmResponder *s, ByteReader *r, uint8_t param1, uint8_t param2)
{
    SpdmEvents *e = &spdm_session_find(s, s->flow.session_id)->events;

    if (!spdm_message_ends(r)) {
        return false;
    }
    e->lost = false;
    e->last_acked = e->next - 1;
    s->flow.wanted = 0;
    return true;
}
