/*
 * A stream socket that carries SPDM between programs, in the framing of the public SPDM emulators: command, transport
 * and size of the payload, 4 bytes each, big-endian; then the payload, which is a packet of the transport. (DMTF
 * spdm-emu, "spdm_emu_common": read for the numbers.) Events come from the GLib main loop.
 */
#ifndef BAILEY_TOOL_SPDM_LINK_H
#define BAILEY_TOOL_SPDM_LINK_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spdm/binding.h"

/* What a frame asks for or answers. */
typedef enum SpdmLinkCommand {
    SPDM_LINK_NORMAL = 0x0001,   /* one packet */
    SPDM_LINK_KEY_UPDATE = 0x8001, /* the responder shall ask for new keys of its own in the session of that ID */
    SPDM_LINK_CONTINUE = 0xfffd, /* the requester leaves, the responder goes on */
    SPDM_LINK_SHUTDOWN = 0xfffe, /* both end */
    SPDM_LINK_UNKNOWN = 0xffff,  /* the answer to any other command */
    SPDM_LINK_TEST = 0xdead,     /* is somebody there? The payload is a greeting */
} SpdmLinkCommand;

typedef struct SpdmLink SpdmLink;

typedef struct SpdmLinkClient {
    /* A whole frame; @payload is valid during the call. */
    void (*frame)(void *opaque, uint32_t command, const uint8_t *payload, size_t len);
    /* The other side came or went. */
    void (*peer_changed)(void *opaque, bool here);
} SpdmLinkClient;

/* spdm_link_transport - the transport that the user calls @name; false with a sentence that lists them. */
bool spdm_link_transport(const char *command, const char *name, SpdmTransport *t, GError **error);

/**
 * spdm_link_new - listen or connect.
 * @transport: of the packets that are payloads
 * @address: ADDRESS:PORT, or unix:PATH
 * @server: wait for others, one after the other; else connect now
 * Returns NULL with a sentence. A frame of another transport, or longer than any object, drops the other side.
 */
SpdmLink *spdm_link_new(const char *address, SpdmTransport transport, bool server, const SpdmLinkClient *client,
                        void *opaque, GError **error);

void spdm_link_free(SpdmLink *l); /* accepts NULL */

/* spdm_link_send - one frame to whoever is there. */
void spdm_link_send(SpdmLink *l, uint32_t command, const void *payload, size_t len);

#endif
