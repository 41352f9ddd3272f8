/*
 * bailey spdm-responder: the device of -device tdisp-nic at the end of a socket, for requesters and validators of
 * others.
 */
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "command.h"
#include "device.h"
#include "log.h"
#include "tool/spdm_device.h"
#include "tool/spdm_link.h"

typedef struct Server {
    SpdmTransport transport;
    SpdmDevice *device;
    SpdmLink   *link;
    GByteArray *reply;
    GMainLoop  *loop;
} Server;

/* Silence of the device is answered with an empty packet, as its mailbox would show none: nobody waits for ever. */
static void on_frame(void *opaque, uint32_t command, const uint8_t *payload, size_t len)
{
    static const char greeting[] = "Server Hello!";
    Server           *s = opaque;

    switch (command) {
    case SPDM_LINK_NORMAL:
        spdm_device_exchange(s->device, s->transport, payload, len, s->reply);
        spdm_link_send(s->link, SPDM_LINK_NORMAL, s->reply->data, s->reply->len);
        break;
    case SPDM_LINK_TEST:
        spdm_link_send(s->link, SPDM_LINK_TEST, greeting, sizeof(greeting));
        break;
    case SPDM_LINK_KEY_UPDATE:
        spdm_device_want_key_update(s->device, len == 4 ? le32_get(payload) : 0);
        spdm_link_send(s->link, command, NULL, 0);
        break;
    case SPDM_LINK_CONTINUE:
    case SPDM_LINK_SHUTDOWN:
        spdm_link_send(s->link, command, NULL, 0);
        if (command == SPDM_LINK_SHUTDOWN) {
            g_main_loop_quit(s->loop);
        }
        break;
    default:
        spdm_link_send(s->link, SPDM_LINK_UNKNOWN, NULL, 0);
        break;
    }
}

static void on_peer(void *opaque, bool here) { LOG(SPDM, "a requester %s", here ? "connected" : "left"); }

static gboolean on_signal(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

static void serve(Server *s, const char *address)
{
    guint sigint = g_unix_signal_add(SIGINT, on_signal, s->loop);
    guint sigterm = g_unix_signal_add(SIGTERM, on_signal, s->loop);

    printf("spdm-responder: tdisp-nic answers at %s over %s; Ctrl-C or a requester's SHUTDOWN ends\n", address,
           spdm_binding(s->transport)->name);
    fflush(stdout);
    g_main_loop_run(s->loop);
    g_source_remove(sigint);
    g_source_remove(sigterm);
}

typedef struct ResponderOptions {
    const char *listen, *transport, *device, *seed, *categories;
} ResponderOptions;

static int respond(const Command *cmd, const ResponderOptions *o, GError **error)
{
    static const SpdmLinkClient client = { on_frame, on_peer };
    Server                      s = { .reply = g_byte_array_new(), .loop = g_main_loop_new(NULL, FALSE) };
    uint64_t                    seed = 1;
    int                         status = COMMAND_BAD_USAGE;

    if ((o->transport == NULL || spdm_link_transport(cmd->name, o->transport, &s.transport, error)) &&
        (o->seed == NULL || command_number(cmd, "seed", o->seed, &seed, error)) &&
        (s.device = spdm_device_new(o->device, seed, error)) != NULL &&
        (s.link = spdm_link_new(o->listen, s.transport, true, &client, &s, error)) != NULL) {
        serve(&s, o->listen);
        status = COMMAND_OK;
    }
    spdm_link_free(s.link);
    spdm_device_free(s.device);
    g_main_loop_unref(s.loop);
    g_byte_array_unref(s.reply);
    return status;
}

static const CommandOption responder_options[] = {
    { "listen", "ADDRESS:PORT", "where requesters connect, one at a time; also unix:PATH",
      offsetof(ResponderOptions, listen) },
    { "transport", "NAME", "that messages come by: pci-doe (default; through the device's mailbox), mctp or tcp",
      offsetof(ResponderOptions, transport) },
    { "device", "PROPERTIES", "of the device, as behind -device tdisp-nic, (see 'bailey -device tdisp-nic,help')",
      offsetof(ResponderOptions, device) },
    { "seed", "N", "what the device's random numbers come from (default 1)", offsetof(ResponderOptions, seed) },
    { "d", "CATEGORIES", "trace to stderr, as -d of a run: spdm, tdisp, ide, doe",
      offsetof(ResponderOptions, categories) },
};

static int run_responder(const Command *cmd, int argc, char **argv)
{
    ResponderOptions o = { 0 };
    GError          *error = NULL;
    const char      *bad;
    bool             help;
    int              status = COMMAND_BAD_USAGE;

    if (command_parse(cmd, &o, argc, argv, NULL, &help, &error) && !help) {
        if (o.listen == NULL) {
            g_set_error(&error, BAILEY_ERROR, 1, "spdm-responder: no address given; for instance -listen "
                                                 "127.0.0.1:2323");
        } else if (o.categories != NULL && !log_parse(o.categories, &bad)) {
            g_set_error(&error, BAILEY_ERROR, 1, "spdm-responder: -d %s: '%s' is no category; 'bailey -d help' lists "
                                                 "them", o.categories, bad);
        } else {
            status = respond(cmd, &o, &error);
        }
    }
    return command_finish(help, status, error);
}

COMMAND(spdm_responder, .name = "spdm-responder", .options = responder_options,
        .n_options = G_N_ELEMENTS(responder_options),
        .args = "-listen ADDRESS:PORT [options]", .run = run_responder,
        .help = "offer the device's SPDM responder on a socket, in the public emulators' framing");
