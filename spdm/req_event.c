/*
 * Events of the device's: what it could tell, the subscription, and what it tells then in SEND_EVENT. DMTF DSP0274 1.3,
 * message sections of "GET_SUPPORTED_EVENT_TYPES", "SUBSCRIBE_EVENT_TYPES", "SEND_EVENT".
 */
#include "spdm/requester.h"

#include <string.h>

bool spdm_build_get_event_types(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    return true;
}

/* Groups of others are none of our business. */
StepResult spdm_read_event_types(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    size_t         len = br_u32(rsp);
    const uint8_t *list = br_take(rsp, len);
    ByteReader     groups = br_init(list, len);
    uint8_t        types = 0;

    for (unsigned n = param1; list != NULL && n != 0; n--) {
        SpdmEventGroup g;

        if (!spdm_event_group_read(&groups, &g)) {
            return step_fail(r, "SUPPORTED_EVENT_TYPES is malformed");
        }
        types |= g.is_known ? g.types : 0;
    }
    if (!spdm_message_ends(rsp) || br_left(&groups) != 0) {
        return step_fail(r, "SUPPORTED_EVENT_TYPES has a wrong length");
    }
    if (types == 0) {
        return step_fail(r, "the device has no events of DMTF's group");
    }
    r->session.events.subscribed = types; /* as soon as the next step has succeeded: nothing is told before */
    return STEP_NEXT;
}

bool spdm_build_subscribe(SpdmRequester *r, ByteWriter *w)
{
    size_t at;

    params(w, 1, 0);
    at = w->pos;
    bw_u32(w, 0);
    spdm_event_group_write(w, 0, SPDM_EVENT_GROUP_ALL);
    le32_put(w->data + at, (uint32_t)(w->pos - at - 4));
    return true;
}

StepResult spdm_read_subscribe(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    return spdm_message_ends(rsp) ? STEP_NEXT : step_fail(r, "SUBSCRIBE_EVENT_TYPES_ACK has a wrong length");
}

/* Events that we have asked for, in order and without a gap. All are taken, or none. */
SpdmError spdm_answer_events(SpdmRequester *r, const SpdmAsked *q, ByteWriter *w)
{
    SpdmEvents *events = &r->session.events;
    uint32_t    n = br_u32(q->req), next = events->next;
    size_t      start = q->req->pos, len;
    SpdmEvent   e;

    if (r->session.state != SPDM_SESSION_ESTABLISHED || events->subscribed == 0) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!spdm_event_read(q->req, &e) || e.id != next || !(events->subscribed >> e.type & 1)) {
            return SPDM_INVALID_REQUEST;
        }
        next++;
    }
    len = q->req->pos - start;
    if (!spdm_message_ends(q->req) || n == 0) {
        return SPDM_INVALID_REQUEST;
    }
    if (len > sizeof(r->message) - r->message_len) {
        return SPDM_BUSY; /* with what came before it */
    }
    memcpy(r->message + r->message_len, q->req->data + start, len);
    r->message_len += (uint32_t)len;
    events->next = next;
    spdm_begin(w, r->version, SPDM_RESPONSE_OF(SPDM_SEND_EVENT), 0, 0);
    return SPDM_OK;
}

SpdmSpan spdm_requester_events(const SpdmRequester *r) { return (SpdmSpan){ r->message, r->message_len }; }
