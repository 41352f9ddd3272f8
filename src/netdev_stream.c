#include "netdev_stream.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bits.h"
#include "bytes.h"
#include "device.h"
#include "log.h"

enum {
    LEN = 4,
    INPUT = 256 << 10,     /* holds the largest frame; so much is read at a time */
    ROOM_TO_READ = 128 << 10, /* less of it is left: what is there moves to the start */
    SOCKET_ROOM = 1 << 20,    /* asked of the host for each way, for it gives local sockets room for three frames */
    PENDING_MAX = 4 << 20, /* frames for a peer that does not read; beyond it they are lost */
};

struct NetStream {
    const NetStreamClient *client;
    void                  *opaque;
    char                  *name; /* of the option, for messages */
    char                  *path; /* of a listening socket, to unlink */
    bool                   vnet_hdr;
    GSocket               *listener, *peer;
    GSource               *accepting, *reading, *writing; /* NULL: not now */
    uint8_t               *input;
    size_t                 in_at, in_end;
    GByteArray            *pending;
    size_t                 sent; /* of pending */
};

static void stop(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static void watch(NetStream *s, GSource **source, GSocket *socket, GIOCondition what, GSocketSourceFunc fn)
{
    if (*source == NULL) {
        *source = g_socket_create_source(socket, what, NULL);
        g_source_set_callback(*source, G_SOURCE_FUNC(fn), s, NULL);
        g_source_set_can_recurse(*source, TRUE); /* it never does, but else each dispatch ends the next sleep */
        g_source_attach(*source, NULL);
    }
}

static gboolean on_readable(GSocket *socket, GIOCondition what, gpointer opaque);
static gboolean on_writable(GSocket *socket, GIOCondition what, gpointer opaque);
static gboolean on_caller(GSocket *socket, GIOCondition what, gpointer opaque);

/* ---- who is there ---- */

static void hang_up(NetStream *s)
{
    stop(&s->reading);
    stop(&s->writing);
    g_clear_object(&s->peer);
    g_byte_array_set_size(s->pending, 0);
    s->sent = 0;
    s->in_at = s->in_end = 0;
    if (s->listener != NULL) {
        watch(s, &s->accepting, s->listener, G_IO_IN, on_caller);
    } else {
        s->client->live(s->opaque, false);
    }
}

static void take_peer(NetStream *s, GSocket *peer)
{
    g_socket_set_blocking(peer, FALSE);
    if (g_socket_get_family(peer) == G_SOCKET_FAMILY_UNIX) { /* TCP finds out by itself */
        g_socket_set_option(peer, SOL_SOCKET, SO_SNDBUF, SOCKET_ROOM, NULL);
    }
    s->peer = peer;
    stop(&s->accepting);
    watch(s, &s->reading, peer, G_IO_IN, on_readable);
}

static gboolean on_caller(GSocket *socket, GIOCondition what, gpointer opaque)
{
    NetStream *s = opaque;
    GSocket   *peer = g_socket_accept(s->listener, NULL, NULL);

    if (peer != NULL) {
        take_peer(s, peer);
    }
    return s->accepting != NULL ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* ---- from the peer ---- */

/* One frame of the input; false: it is not whole yet, or nobody takes it, or the peer was sent away. */
static bool take_frame(NetStream *s)
{
    size_t     hdr = s->vnet_hdr ? NET_OFFLOAD_LEN : 0, has = s->in_end - s->in_at;
    uint8_t   *p = s->input + s->in_at;
    NetOffload o = { 0 };

    if (has < LEN) {
        return false;
    }
    size_t len = be32_get(p);

    if (len <= hdr || len > hdr + NET_FRAME_MAX || (hdr != 0 && has >= LEN + hdr && !net_offload_get(&o, p + LEN))) {
        log_error("-netdev %s: what the other side sent is not a frame; it is disconnected%s", s->name,
                  s->vnet_hdr ? "; does it have vnet-hdr=on, too?" : "");
        hang_up(s);
        return false;
    }
    if (has < LEN + len || !s->client->can_receive(s->opaque)) {
        return false;
    }
    s->in_at += LEN + len;
    s->client->receive(s->opaque, p + LEN + hdr, len - hdr, &o);
    return true;
}

static void take_frames(NetStream *s)
{
    while (take_frame(s)) {
    }
    if (s->in_at == s->in_end || INPUT - s->in_end < ROOM_TO_READ) {
        memmove(s->input, s->input + s->in_at, s->in_end - s->in_at);
        s->in_end -= s->in_at;
        s->in_at = 0;
    }
}

static gboolean on_readable(GSocket *socket, GIOCondition what, gpointer opaque)
{
    NetStream *s = opaque;
    GError    *error = NULL;
    gssize     n = g_socket_receive(s->peer, (gchar *)s->input + s->in_end, INPUT - s->in_end, NULL, &error);

    if (n <= 0) {
        bool again = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);

        g_clear_error(&error);
        if (again) {
            return G_SOURCE_CONTINUE;
        }
        hang_up(s);
        return G_SOURCE_REMOVE;
    }
    s->in_end += (size_t)n;
    take_frames(s);
    if (s->peer != NULL && s->in_end == INPUT) { /* the guest has no room: the peer waits */
        stop(&s->reading);
    }
    return s->reading != NULL ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void net_stream_accept_input(NetStream *s)
{
    if (s->peer != NULL && s->in_end > 0) {
        take_frames(s);
    }
    if (s->peer != NULL && s->in_end < INPUT) {
        watch(s, &s->reading, s->peer, G_IO_IN, on_readable);
    }
}

/* ---- to the peer ---- */

/* What the socket takes now; the rest waits until it takes more. */
static void flush(NetStream *s)
{
    GError *error = NULL;
    gssize  n = g_socket_send(s->peer, (const gchar *)s->pending->data + s->sent, s->pending->len - s->sent, NULL,
                              &error);
    bool    again = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);

    g_clear_error(&error);
    if (n < 0 && !again) {
        hang_up(s);
        return;
    }
    s->sent += n > 0 ? (size_t)n : 0;
    if (s->sent == s->pending->len) {
        g_byte_array_set_size(s->pending, 0);
        s->sent = 0;
        stop(&s->writing);
    } else {
        watch(s, &s->writing, s->peer, G_IO_OUT, on_writable);
    }
}

static gboolean on_writable(GSocket *socket, GIOCondition what, gpointer opaque)
{
    NetStream *s = opaque;

    flush(s);
    return s->writing != NULL ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

enum { HEAD_MAX = LEN + NET_OFFLOAD_LEN };

/* What comes before a frame; how much that is. */
static size_t make_head(const NetStream *s, const uint8_t *frame, size_t len, const NetOffload *o,
                        uint8_t head[HEAD_MAX])
{
    size_t n = LEN;

    if (s->vnet_hdr) {
        net_offload_put(o, frame, len, head + LEN);
        n += NET_OFFLOAD_LEN;
    }
    be32_put(head, (uint32_t)(n - LEN + len));
    return n;
}

static void append(NetStream *s, const uint8_t *frame, size_t len, const NetOffload *o)
{
    uint8_t head[HEAD_MAX];
    size_t  n = make_head(s, frame, len, o, head);

    if (s->pending->len - s->sent + n + len > PENDING_MAX) {
        return;
    }
    if (s->sent >= PENDING_MAX) {
        g_byte_array_remove_range(s->pending, 0, (guint)s->sent);
        s->sent = 0;
    }
    g_byte_array_append(s->pending, head, (guint)n);
    g_byte_array_append(s->pending, frame, (guint)len);
}

static void append_whole(void *opaque, const uint8_t *frame, size_t len)
{
    static const NetOffload whole = { .valid = true };

    append(opaque, frame, len, &whole);
}

/* Nothing is pending: the socket gets the frame from where it is. What it does not take, the next flush sees. */
static void send_now(NetStream *s, const uint8_t *frame, size_t len, const NetOffload *o)
{
    uint8_t       head[HEAD_MAX];
    size_t        n = make_head(s, frame, len, o, head);
    GOutputVector v[2] = { { head, n }, { frame, len } };
    gssize        sent = g_socket_send_message(s->peer, NULL, v, 2, NULL, 0, G_SOCKET_MSG_NONE, NULL, NULL);
    size_t        done = sent > 0 ? (size_t)sent : 0;

    if (done < n) {
        g_byte_array_append(s->pending, head + done, (guint)(n - done));
        done = n;
    }
    g_byte_array_append(s->pending, frame + (done - n), (guint)(n + len - done));
}

void net_stream_send(NetStream *s, uint8_t *frame, size_t len, const NetOffload *o)
{
    if (s->peer == NULL) {
        return;
    }
    if (s->vnet_hdr) {
        if (s->pending->len == 0) {
            send_now(s, frame, len, o);
        } else {
            append(s, frame, len, o);
        }
    } else if (!net_offload_finish(frame, len, o, append_whole, s)) {
        guest_error("netdev: a frame of %zu bytes is not what its header says; it is dropped", len);
    }
    if (s->pending->len != 0 && s->writing == NULL) {
        flush(s);
    }
}

/* ---- opening ---- */

/* A numeric address, this host when it is missing or empty; NULL: it is none, or the port is no number. */
static GSocketAddress *inet_address(const char *host, const char *port)
{
    char         *end;
    unsigned long n = strtoul(port, &end, 10);

    return *port != '\0' && *end == '\0' && n > 0 && n < 65536
               ? g_inet_socket_address_new_from_string(host != NULL && *host != '\0' ? host : "127.0.0.1", (guint)n)
               : NULL;
}

/* listen=[HOST]:PORT or connect=HOST:PORT. */
static GSocketAddress *socket_address_of(const OptionList *l, bool *server, GError **error)
{
    const char      *listen = option_list_get(l, "listen"), *connect = option_list_get(l, "connect");
    const char      *text = listen != NULL ? listen : connect, *colon = text != NULL ? strrchr(text, ':') : NULL;
    g_autofree char *host = colon != NULL ? g_strndup(text, (gsize)(colon - text)) : NULL;
    GSocketAddress  *a = colon != NULL && (listen == NULL || connect == NULL) ? inet_address(host, colon + 1) : NULL;

    *server = listen != NULL;
    if (a == NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "-netdev %s does not say where: listen=[ADDRESS]:PORT or connect=ADDRESS:PORT with a numeric "
                    "address", l->text);
    }
    return a;
}

/* addr.type=unix,addr.path=PATH or addr.type=inet,addr.host=ADDRESS,addr.port=PORT. */
static GSocketAddress *address_of(const OptionList *l, GError **error)
{
    const char     *type = option_list_get(l, "addr.type"), *path = option_list_get(l, "addr.path");
    const char     *host = option_list_get(l, "addr.host"), *port = option_list_get(l, "addr.port");
    GSocketAddress *a = NULL;

    if (g_strcmp0(type, "unix") == 0 && path != NULL && host == NULL && port == NULL) {
        a = g_unix_socket_address_new(path);
    } else if (g_strcmp0(type, "inet") == 0 && path == NULL && port != NULL) {
        a = inet_address(host, port);
    }
    if (a == NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "-netdev %s does not say where: addr.type=unix,addr.path=PATH or "
                    "addr.type=inet,addr.host=ADDRESS,addr.port=PORT with a numeric address", l->text);
    }
    return a;
}

static bool open_socket(NetStream *s, const OptionList *l, bool server, GSocketAddress *address, GError **error)
{
    GError  *why = NULL;
    GSocket *socket = g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM,
                                   G_SOCKET_PROTOCOL_DEFAULT, &why);
    bool     ok = socket != NULL;

    if (ok && server) {
        ok = g_socket_bind(socket, address, TRUE, &why) && g_socket_listen(socket, &why);
    } else if (ok) {
        ok = g_socket_connect(socket, address, NULL, &why);
    }

    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 0, "-netdev %s: cannot %s: %s; %s", l->text, server ? "listen" : "connect",
                    why->message, server ? "choose another address" : "start the other side first, it has server=on");
        g_error_free(why);
        g_clear_object(&socket);
    } else if (server) {
        s->path = g_strdup(option_list_get(l, "addr.path"));
        s->listener = socket;
        watch(s, &s->accepting, socket, G_IO_IN, on_caller);
    } else {
        take_peer(s, socket);
    }
    return ok;
}

NetStream *net_stream_new(const OptionList *l, const NetStreamClient *client, void *opaque, GError **error)
{
    bool            server = false;
    bool            plain = strcmp(l->driver, "socket") == 0;
    GSocketAddress *address = plain ? socket_address_of(l, &server, error) : address_of(l, error);
    NetStream      *s = g_new0(NetStream, 1);

    s->client = client;
    s->opaque = opaque;
    s->name = g_strdup(l->text);
    s->input = g_malloc(INPUT);
    s->pending = g_byte_array_new();
    if (address == NULL || !option_list_bool(l, "-netdev", "server", &server, error) ||
        !option_list_bool(l, "-netdev", "vnet-hdr", &s->vnet_hdr, error) ||
        !open_socket(s, l, server, address, error)) {
        net_stream_free(s);
        s = NULL;
    } else {
        client->live(opaque, true);
    }
    g_clear_object(&address);
    return s;
}

void net_stream_free(NetStream *s)
{
    if (s == NULL) {
        return;
    }
    stop(&s->accepting);
    stop(&s->reading);
    stop(&s->writing);
    g_clear_object(&s->peer);
    g_clear_object(&s->listener);
    if (s->path != NULL) {
        unlink(s->path);
    }
    g_byte_array_free(s->pending, TRUE);
    g_free(s->input);
    g_free(s->path);
    g_free(s->name);
    g_free(s);
}
