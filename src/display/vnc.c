/*
 * Sockets of the VNC server. Sources have the priority of the machine's own, so that a client which sends without end
 * cannot keep the guest from running: both get their turns.
 */
#include "display/vnc.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "device.h"
#include "display/rfb.h"
#include "live.h"
#include "log.h"

enum {
    FIRST_PORT = 5900,
    DISPLAYS = 100,
    CLIENTS_MAX = 16,
    READ_MAX = 4096,  /* of one client, before the guest's next turn */
    UPDATE_MS = 33,   /* between updates */
};

typedef struct Client {
    struct Vnc *server;
    Rfb        *rfb;
    GSocket    *socket;
    GSource    *reading, *writing; /* NULL: not now */
    size_t      sent;              /* of what rfb_output() has */
    struct Client *next;
} Client;

struct Vnc {
    char          *where; /* of the option, for messages */
    char          *path;  /* of a Unix socket, to unlink */
    char          *head_id;
    char          *password; /* NULL: none */
    GSocket       *listener;
    GSource       *accepting, *tick; /* tick: NULL: not now */
    DisplayViewer  viewer;
    DisplayHead   *head;    /* that is looked at */
    Client        *clients;
    unsigned       n_clients;
};

static void stop(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static void start(GSource **at, GSource *source, GSourceFunc fn, void *opaque)
{
    *at = source;
    g_source_set_callback(source, fn, opaque, NULL);
    g_source_set_priority(source, G_PRIORITY_DEFAULT_IDLE);
    g_source_set_can_recurse(source, TRUE); /* it never does, but else each dispatch ends the machine's next sleep */
    g_source_attach(source, NULL);
}

static void schedule(Vnc *s);

/* ---- clients ---- */

static void hang_up(Client *c)
{
    Vnc *s = c->server;

    for (Client **at = &s->clients; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    s->n_clients--;
    stop(&c->reading);
    stop(&c->writing);
    rfb_free(c->rfb);
    g_object_unref(c->socket);
    g_free(c);
}

/* What the socket takes now. False: the client is gone. */
static bool send_now(Client *c)
{
    GByteArray *out = rfb_output(c->rfb);
    GError     *error = NULL;
    gssize      n = c->sent < out->len
                        ? g_socket_send(c->socket, (const gchar *)out->data + c->sent, out->len - c->sent, NULL, &error)
                        : 0;
    bool        again = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);

    g_clear_error(&error);
    if (n < 0 && !again) {
        return false;
    }
    c->sent += n > 0 ? (size_t)n : 0;
    if (c->sent == out->len) {
        g_byte_array_set_size(out, 0);
        c->sent = 0;
    }
    return true;
}

static gboolean on_writable(GSocket *socket, GIOCondition what, gpointer opaque);

/* False: the client is gone. */
static bool flush(Client *c)
{
    if (!send_now(c)) {
        hang_up(c);
        return false;
    }
    if (rfb_output(c->rfb)->len == 0) {
        stop(&c->writing);
    } else if (c->writing == NULL) {
        start(&c->writing, g_socket_create_source(c->socket, G_IO_OUT, NULL), G_SOURCE_FUNC(on_writable), c);
    }
    return true;
}

static gboolean on_writable(GSocket *socket, GIOCondition what, gpointer opaque)
{
    Client *c = opaque;
    Vnc    *s = c->server;

    if (!flush(c)) {
        return G_SOURCE_REMOVE;
    }
    schedule(s);
    return c->writing != NULL ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean on_readable(GSocket *socket, GIOCondition what, gpointer opaque)
{
    Client     *c = opaque;
    Vnc        *s = c->server;
    uint8_t     buf[READ_MAX];
    GError     *error = NULL;
    gssize      n = g_socket_receive(socket, (gchar *)buf, sizeof(buf), NULL, &error);
    bool        again = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
    const char *why;

    g_clear_error(&error);
    if (again) {
        return G_SOURCE_CONTINUE;
    }
    if (n <= 0) {
        hang_up(c);
        return G_SOURCE_REMOVE;
    }
    why = rfb_receive(c->rfb, buf, (size_t)n);
    if (why != NULL) {
        log_warning("-display %s: a client is disconnected: %s", s->where, why);
        (void)send_now(c); /* which may tell it why */
        hang_up(c);
        return G_SOURCE_REMOVE;
    }
    if (!flush(c)) {
        return G_SOURCE_REMOVE;
    }
    schedule(s);
    return G_SOURCE_CONTINUE;
}

static gboolean on_caller(GSocket *socket, GIOCondition what, gpointer opaque)
{
    Vnc     *s = opaque;
    GSocket *peer = g_socket_accept(s->listener, NULL, NULL);
    uint8_t  challenge[RFB_CHALLENGE_LEN];

    if (peer == NULL) {
        return G_SOURCE_CONTINUE;
    }
    /* The host's own randomness: this is between the server and its client, the guest sees nothing of it. */
    if (s->n_clients == CLIENTS_MAX || getrandom(challenge, sizeof(challenge), 0) != sizeof(challenge)) {
        log_warning("-display %s: a client is turned away, %d are there already", s->where, CLIENTS_MAX);
        g_object_unref(peer);
        return G_SOURCE_CONTINUE;
    }
    Client *c = g_new0(Client, 1);

    g_socket_set_blocking(peer, FALSE);
    *c = (Client){ .server = s, .rfb = rfb_new(s->password, challenge), .socket = peer, .next = s->clients };
    s->clients = c;
    s->n_clients++;
    rfb_look_at(c->rfb, s->head);
    start(&c->reading, g_socket_create_source(peer, G_IO_IN, NULL), G_SOURCE_FUNC(on_readable), c);
    (void)flush(c);
    return G_SOURCE_CONTINUE;
}

/* ---- updates ---- */

static gboolean on_tick(gpointer opaque)
{
    Vnc *s = opaque;

    stop(&s->tick);
    if (s->head != NULL && s->clients != NULL) {
        display_head_refresh(s->head);
    }
    for (Client *c = s->clients, *next; c != NULL; c = next) {
        next = c->next;
        rfb_update(c->rfb);
        (void)flush(c);
    }
    schedule(s);
    return G_SOURCE_REMOVE;
}

/* A tick, when one of the clients may get something by it. */
static void schedule(Vnc *s)
{
    bool looks = s->head != NULL && display_head_refreshes(s->head), wanted = false;

    for (const Client *c = s->clients; c != NULL; c = c->next) {
        wanted |= rfb_waits(c->rfb) && rfb_output(c->rfb)->len == 0 && (looks || rfb_has_news(c->rfb));
    }
    if (wanted && s->tick == NULL) {
        start(&s->tick, g_timeout_source_new(UPDATE_MS), on_tick, s);
    }
}

static void on_changed(void *opaque, DisplayHead *h)
{
    Vnc         *s = opaque;
    DisplayHead *now = display_head_find(s->head_id);

    if (now == s->head && h != now) {
        return;
    }
    s->head = now;
    for (Client *c = s->clients; c != NULL; c = c->next) {
        rfb_look_at(c->rfb, now);
    }
    schedule(s);
}

static void on_damaged(void *opaque, DisplayHead *h, const pixman_box32_t *box)
{
    Vnc *s = opaque;

    if (h == s->head) {
        for (Client *c = s->clients; c != NULL; c = c->next) {
            rfb_damaged(c->rfb, box);
        }
        schedule(s);
    }
}

static void on_cursor(void *opaque, DisplayHead *h, bool new_shape)
{
    Vnc *s = opaque;

    if (h == s->head) {
        for (Client *c = s->clients; c != NULL; c = c->next) {
            rfb_cursor(c->rfb, new_shape);
        }
        schedule(s);
    }
}

/* ---- opening ---- */

static bool fail(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

static bool fail(GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(BAILEY_ERROR, 0, fmt, ap));
    va_end(ap);
    return false;
}

/* ":N", "ADDR:N", "[ADDR]:N". */
static GSocketAddress *tcp_address(const char *where)
{
    const char *colon = strrchr(where, ':');
    guint64     n;

    if (colon == NULL || !g_ascii_string_to_unsigned(colon + 1, 10, 0, DISPLAYS - 1, &n, NULL)) {
        return NULL;
    }
    g_autofree char *host = g_strndup(where, (gsize)(colon - where));
    size_t           len = strlen(host);

    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        memmove(host, host + 1, len - 2);
        host[len - 2] = '\0';
    }
    return g_inet_socket_address_new_from_string(
        *host == '\0' || strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, FIRST_PORT + (guint)n);
}

static bool is_local(GSocketAddress *a)
{
    return !G_IS_INET_SOCKET_ADDRESS(a) ||
           g_inet_address_get_is_loopback(g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(a)));
}

static bool read_password(Vnc *s, const char *file, GError **error)
{
    GError *why = NULL;

    if (!g_file_get_contents(file, &s->password, NULL, &why)) {
        fail(error, "-display: cannot read password-file=%s: %s; name a file with the password in its first line", file,
             why->message);
        g_error_free(why);
        return false;
    }
    s->password[strcspn(s->password, "\r\n")] = '\0';
    size_t len = strlen(s->password);

    return (len > 0 && len <= RFB_PASSWORD_MAX) ||
           fail(error, "-display: the password in password-file=%s has %zu characters; VNC takes 1 to %d, use as many",
                file, len, RFB_PASSWORD_MAX);
}

static bool read_keys(Vnc *s, const OptionList *l, GError **error)
{
    const char *file = option_list_get(l, "password-file");

    for (guint i = 0; i < l->keys->len; i++) {
        const char *key = l->keys->pdata[i];

        if (strcmp(key, "vnc") != 0 && strcmp(key, "password-file") != 0 && strcmp(key, "head") != 0) {
            return fail(error, "-display: '%s' in '%s' is not known; there are vnc=, password-file= and head=", key,
                        l->text);
        }
    }
    s->head_id = g_strdup(option_list_get(l, "head"));
    return file == NULL || read_password(s, file, error);
}

static bool listen_at(Vnc *s, GSocketAddress *address, GError **error)
{
    GError *why = NULL;

    if (!is_local(address) && s->password == NULL) {
        return fail(error,
                    "-display: whoever reaches %s could use the guest; add password-file=FILE, or take vnc=:N and a "
                    "tunnel", s->where);
    }
    s->listener = g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT,
                               &why);
    bool ok = s->listener != NULL && g_socket_bind(s->listener, address, TRUE, &why);

    if (ok && G_IS_UNIX_SOCKET_ADDRESS(address)) {
        s->path = g_strdup(g_unix_socket_address_get_path(G_UNIX_SOCKET_ADDRESS(address)));
    }
    ok = ok && g_socket_listen(s->listener, &why);
    if (!ok) {
        fail(error, "-display: cannot listen at vnc=%s: %s; choose another", s->where, why->message);
        g_error_free(why);
    }
    return ok;
}

static bool open_server(Vnc *s, const OptionList *l, GError **error)
{
    GSocketAddress *address = g_str_has_prefix(s->where, "unix:")
                                  ? g_unix_socket_address_new(s->where + strlen("unix:"))
                                  : tcp_address(s->where);
    bool            ok = address != NULL ||
              fail(error, "-display: vnc=%s names no display; use vnc=:N, vnc=ADDRESS:N with N from 0 to %d and a "
                          "numeric address, or vnc=unix:PATH", s->where, DISPLAYS - 1);

    ok = ok && read_keys(s, l, error) && listen_at(s, address, error);
    g_clear_object(&address);
    return ok;
}

Vnc *vnc_new(const OptionList *l, GError **error)
{
    Vnc *s = g_new0(Vnc, 1);

    s->where = g_strdup(option_list_get(l, "vnc"));
    s->viewer = (DisplayViewer){ on_changed, on_damaged, on_cursor, s, NULL };
    if (!open_server(s, l, error)) {
        vnc_free(s);
        return NULL;
    }
    start(&s->accepting, g_socket_create_source(s->listener, G_IO_IN, NULL), G_SOURCE_FUNC(on_caller), s);
    s->head = display_head_find(s->head_id);
    display_watch(&s->viewer);
    live_add(1);
    return s;
}

void vnc_free(Vnc *s)
{
    if (s == NULL) {
        return;
    }
    if (s->accepting != NULL) {
        display_unwatch(&s->viewer);
        live_add(-1);
    }
    while (s->clients != NULL) {
        hang_up(s->clients);
    }
    stop(&s->accepting);
    stop(&s->tick);
    g_clear_object(&s->listener);
    if (s->path != NULL) {
        unlink(s->path);
    }
    g_free(s->password);
    g_free(s->head_id);
    g_free(s->path);
    g_free(s->where);
    g_free(s);
}
