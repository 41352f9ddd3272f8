/*
 * Events: DMTF DSP0274 1.3, "SUPPORTED_EVENT_TYPES", "SUBSCRIBE_EVENT_TYPES", "SEND_EVENT", "DMTF event types". Of both
 * ends. There is DMTF's group alone, in version 1.
 */
#ifndef BAILEY_SPDM_EVENT_H
#define BAILEY_SPDM_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/* EventTypeId. A change of measurements is never announced before it is there. */
typedef enum SpdmEventType {
    SPDM_EVENT_LOST = 1,
    SPDM_EVENT_MEASUREMENT_CHANGED = 2,
    SPDM_EVENT_MEASUREMENT_PRE_UPDATE = 3,
    SPDM_EVENT_CERTIFICATE_CHANGED = 4,
} SpdmEventType;

enum {
    SPDM_EVENT_MEASUREMENTS = 32, /* bytes of a mask of measurement indices */
    SPDM_EVENT_HEADER = 14,       /* of one event in front of its details */
    SPDM_EVENT_DETAILS_MAX = 32,
};

#define SPDM_EVENT_GROUP_ALL 1u /* Attributes of a group in SUBSCRIBE_EVENT_TYPES: all types that there are */

/* The types a responder tells of, by bits. */
#define SPDM_EVENTS_KNOWN \
    (1u << SPDM_EVENT_LOST | 1u << SPDM_EVENT_MEASUREMENT_CHANGED | 1u << SPDM_EVENT_CERTIFICATE_CHANGED)

/* Of one session. What has not been told yet is kept as what it is about, so that there is never too much of it. */
typedef struct SpdmEvents {
    uint8_t  subscribed; /* types, by bits */
    uint8_t  slots;      /* whose certificates are others now, by bits */
    uint8_t  measurements[SPDM_EVENT_MEASUREMENTS]; /* the same of indices */
    bool     lost;       /* what was told last was not acknowledged */
    uint32_t next;       /* EventInstanceId of the next one */
    uint32_t last_acked, last_lost;
} SpdmEvents;

typedef struct SpdmEvent {
    uint32_t       id; /* EventInstanceId */
    SpdmEventType  type;
    const uint8_t *details;
    size_t         len;
} SpdmEvent;

/* A group as it was read. */
typedef struct SpdmEventGroup {
    bool     is_known;   /* DMTF's, of the version that is spoken here */
    bool     has_others; /* types that are not known */
    uint8_t  types;      /* those that are, by bits */
    uint32_t attributes;
} SpdmEventGroup;

/* spdm_event_group_write - DMTF's group with these types, or none and the attributes. */
void spdm_event_group_write(ByteWriter *w, uint8_t types, uint32_t attributes);

/* spdm_event_group_read - anybody's group; false when it is longer than what there is. */
bool spdm_event_group_read(ByteReader *r, SpdmEventGroup *g);

/* spdm_event_write - one event in front of its details, which the caller writes. */
void spdm_event_write(ByteWriter *w, uint32_t id, SpdmEventType type);

/* spdm_event_read - one event; false when it is malformed or its type is not known. */
bool spdm_event_read(ByteReader *r, SpdmEvent *e);

#endif
