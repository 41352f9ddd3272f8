/*
 * Frames out of a byte stream, on a character device's socket.
 */
#include "tool/spdm_link.h"

#include <string.h>

#include "bytes.h"
#include "chardev.h"
#include "device.h"
#include "hw/pci/doe.h"
#include "log.h"

enum { HEADER_LEN = 12, PAYLOAD_MAX = 4 * DOE_MAX_DW };

/* A transport's number in a frame. */
static const uint32_t numbers[SPDM_N_TRANSPORTS] = { [SPDM_OVER_MCTP] = 1, [SPDM_OVER_DOE] = 2, [SPDM_OVER_TCP] = 3 };

struct SpdmLink {
    SpdmTransport         transport;
    Chardev              *chardev;
    const SpdmLinkClient *client;
    void                 *opaque;
    GByteArray           *input; /* a frame that is not whole yet */
};

static size_t can_receive(void *opaque) { return SIZE_MAX; }

/* Whether the header is one of ours; says what is wrong with it. */
static bool header_fits(const SpdmLink *l, const uint8_t *header)
{
    uint32_t transport = be32_get(header + 4), len = be32_get(header + 8);

    if (transport != numbers[l->transport]) {
        log_warning("spdm: the other side sends over transport %u; here it is %s (%u): choose the same with -transport",
                    transport, spdm_binding(l->transport)->name, numbers[l->transport]);
    } else if (len > PAYLOAD_MAX) {
        log_warning("spdm: a frame of %u bytes is longer than any data object (%u); the other side is dropped", len,
                    PAYLOAD_MAX);
    } else {
        return true;
    }
    return false;
}

/* Takes the first frame off when it is there whole; false when it is not, or nobody is there any more. */
static bool take_frame(SpdmLink *l)
{
    if (l->input->len < HEADER_LEN) {
        return false;
    }
    if (!header_fits(l, l->input->data)) {
        chardev_hang_up(l->chardev);
        return false;
    }
    uint32_t command = be32_get(l->input->data), len = be32_get(l->input->data + 8);

    if (l->input->len - HEADER_LEN < len) {
        return false;
    }
    uint8_t *payload = g_memdup2(l->input->data + HEADER_LEN, len);

    g_byte_array_remove_range(l->input, 0, HEADER_LEN + len);
    l->client->frame(l->opaque, command, payload, len);
    g_free(payload);
    return true;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    SpdmLink *l = opaque;

    g_byte_array_append(l->input, data, (guint)len);
    while (take_frame(l)) {
    }
}

static void peer_changed(void *opaque, bool here)
{
    SpdmLink *l = opaque;

    g_byte_array_set_size(l->input, 0);
    l->client->peer_changed(l->opaque, here);
}

static const ChardevClient chardev_client = { can_receive, receive, peer_changed };

/* ADDRESS:PORT or unix:PATH as a character device's text, where a comma in a value is doubled. */
static char *chardev_spec(const char *address, bool server)
{
    char **parts = g_strsplit(address, ",", -1);
    char  *value = g_strjoinv(",,", parts);
    char  *spec = g_strdup_printf("%s%s,server=%s,wait=off", g_str_has_prefix(value, "unix:") ? "" : "tcp:", value,
                                  server ? "on" : "off");

    g_strfreev(parts);
    g_free(value);
    return spec;
}

bool spdm_link_transport(const char *command, const char *name, SpdmTransport *t, GError **error)
{
    for (unsigned i = 0; i < SPDM_N_TRANSPORTS; i++) {
        if (strcmp(spdm_binding((SpdmTransport)i)->name, name) == 0) {
            *t = (SpdmTransport)i;
            return true;
        }
    }
    g_set_error(error, BAILEY_ERROR, 1, "%s: -transport %s is not known; use pci-doe, mctp or tcp", command, name);
    return false;
}

SpdmLink *spdm_link_new(const char *address, SpdmTransport transport, bool server, const SpdmLinkClient *client,
                        void *opaque, GError **error)
{
    SpdmLink *l = g_new0(SpdmLink, 1);
    char     *spec = chardev_spec(address, server);

    l->transport = transport;
    l->client = client;
    l->opaque = opaque;
    l->input = g_byte_array_new();
    l->chardev = chardev_new(spec, false, error);
    g_free(spec);
    if (l->chardev == NULL) {
        spdm_link_free(l);
        return NULL;
    }
    (void)chardev_set_client(l->chardev, &chardev_client, l); /* it is new: nobody else is its client */
    return l;
}

void spdm_link_free(SpdmLink *l)
{
    if (l != NULL) {
        chardev_free(l->chardev);
        g_byte_array_free(l->input, TRUE);
        g_free(l);
    }
}

void spdm_link_send(SpdmLink *l, uint32_t command, const void *payload, size_t len)
{
    uint8_t *frame = g_malloc(HEADER_LEN + len); /* in one piece: TCP would hold the second one back */

    be32_put(frame, command);
    be32_put(frame + 4, numbers[l->transport]);
    be32_put(frame + 8, (uint32_t)len);
    if (len != 0) {
        memcpy(frame + HEADER_LEN, payload, len);
    }
    chardev_write(l->chardev, frame, HEADER_LEN + len);
    g_free(frame);
}
