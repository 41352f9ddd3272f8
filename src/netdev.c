/*
 * Network back ends. Frames for the guest wait in a byte ring and are handed over by a clock timer, whoever
 * sent them. Slirp itself runs in the guest's send, from descriptors in the main loop, and from a guest timer
 * while it has any descriptor open (its TCP timers).
 */
#include "netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bits.h"
#include "bytes.h"
#include "device.h"
#include "live.h"
#include "log.h"
#include "netdev_stream.h"
#include "netdev_tap.h"
#include "options.h"

enum {
    RING = 1 << 20,
    LATENCY_NS = 20000,      /* from a back end's send to the card */
    TICK_NS = 50000000,      /* slirp's TCP timers count in tens of milliseconds */
};

/* A frame that waits for the guest. */
typedef struct Frame {
    size_t     len;
    NetOffload offload;
    uint8_t    bytes[];
} Frame;

/* So much room is kept for each, since segments may join it. */
#define FRAME_ROOM (sizeof(Frame) + NET_FRAME_MAX)

typedef enum NetdevKind {
    NETDEV_USER, NETDEV_STREAM, NETDEV_SOCKET, NETDEV_TAP, NETDEV_LOOP, NETDEV_NONE
} NetdevKind;

/* Slirp in the main loop. What it waits for changes with every packet, and each change of a GLib source ends the main
 * loop's next sleep at once: so the loop looks at one descriptor, an epoll of slirp's. */
typedef struct SlirpSource {
    GSource        source;
    struct Netdev *n;
    int            epoll;
    gpointer       tag;     /* of the epoll in the source */
    GArray        *fds;     /* of GPollFD: what slirp waits for now */
    GHashTable    *watched; /* descriptor -> Watch: what the epoll waits for */
    unsigned       round;
} SlirpSource;

typedef struct Watch {
    gushort  events;
    unsigned round; /* the last one in which slirp waited for it */
} Watch;

struct Netdev {
    char               *id;
    NetdevKind          kind;
    Clock              *clock;
    const NetdevClient *client;
    void               *opaque;

    uint8_t   *ring;           /* frames start in its first RING bytes and are never cut: there is room behind them */
    size_t     oldest, newest; /* where these start */
    unsigned   n_waiting;
    bool       grows;          /* segments may join the newest */
    ClockTimer deliver;

    Slirp       *slirp;
    SlirpSource *source;
    ClockTimer   tick;
    NetStream   *stream; /* of kinds stream and socket */
    NetTap      *tap;
    unsigned     n_fds; /* sockets that slirp has open, or a stream or an interface */
    unsigned     n_listening; /* of them: forwarded ports, which slirp does not tell of and which want no tick */
    /* Text that slirp's configuration points to. */
    char *hostname, *tftp, *bootfile;
};

static GPtrArray *all;

Netdev *netdev_find(const char *id)
{
    for (guint i = 0; all != NULL && i < all->len; i++) {
        if (strcmp(((Netdev *)all->pdata[i])->id, id) == 0) {
            return all->pdata[i];
        }
    }
    return NULL;
}

bool netdev_any_live(void)
{
    for (guint i = 0; all != NULL && i < all->len; i++) {
        if (((Netdev *)all->pdata[i])->n_fds > 0) {
            return true;
        }
    }
    return false;
}

/* One more descriptor to the outside is open, or one less. */
static void add_live(void *opaque, bool on)
{
    Netdev *n = opaque;

    if (on ? n->n_fds++ == 0 : n->n_fds > 0 && --n->n_fds == 0) {
        live_add(on ? 1 : -1);
    }
}

/* ---- towards the guest ---- */

static Frame *frame_at(const Netdev *n, size_t at)
{
    return (Frame *)(void *)(n->ring + at);
}

/* Where the frame behind that one starts. */
static size_t place_behind(const Netdev *n, size_t at)
{
    size_t next = align_up(at + sizeof(Frame) + frame_at(n, at)->len, _Alignof(Frame));

    return next < RING ? next : 0;
}

/* Bytes that are in use, about. */
static size_t ring_used(const Netdev *n)
{
    size_t end = n->n_waiting == 0 ? n->oldest : place_behind(n, n->newest);

    return n->n_waiting == 0 || end > n->oldest ? end - n->oldest : end + RING - n->oldest;
}

/* Room for one more frame, or NULL. */
static Frame *ring_add(Netdev *n)
{
    size_t at = n->n_waiting == 0 ? 0 : place_behind(n, n->newest);

    if (n->n_waiting == 0) {
        n->oldest = 0; /* few places, which the host's caches know */
    } else if (at <= n->oldest && at + FRAME_ROOM > n->oldest) {
        return NULL;
    }
    n->newest = at;
    n->n_waiting++;
    return frame_at(n, at);
}

/* A frame as the guest takes it; lost when the ring is full, as on a wire. */
static void enqueue(Netdev *n, const uint8_t *frame, size_t len, const NetOffload *o)
{
    Frame *f = ring_add(n);

    if (f == NULL) {
        return;
    }
    f->len = len;
    f->offload = *o;
    memcpy(f->bytes, frame, len);
    n->grows = true;
    if (n->deliver.deadline_ns == INT64_MAX) {
        timer_set(&n->deliver, clock_now(n->clock) + LATENCY_NS);
    }
}

static void enqueue_whole(void *opaque, const uint8_t *frame, size_t len)
{
    static const NetOffload whole = { .valid = true };

    enqueue(opaque, frame, len, &whole);
}

static unsigned client_takes(const Netdev *n)
{
    return n->client != NULL && n->client->takes != NULL ? n->client->takes(n->opaque) : 0;
}

/* Puts a segment that goes on where the newest frame ends behind that. */
static bool join(Netdev *n, const uint8_t *frame, size_t len, const NetOffload *o)
{
    const unsigned all_tcp = NETDEV_TAKES_CHECKSUM | NETDEV_TAKES_TSO4 | NETDEV_TAKES_TSO6;
    Frame         *f = frame_at(n, n->newest);

    return n->n_waiting > 0 && n->grows && o->valid && client_takes(n) == all_tcp &&
           (f->offload.valid || f->offload.gso != NET_GSO_NONE) &&
           net_offload_join(f->bytes, &f->len, &f->offload, frame, len);
}

static bool may_give(const Netdev *n, size_t len)
{
    return n->client != NULL && len > 0 && len <= NET_FRAME_MAX;
}

/* A frame for the guest: what the guest does not do itself is done; segments of a stream that wait become one. */
static void give(Netdev *n, uint8_t *frame, size_t len, const NetOffload *o)
{
    unsigned tso = o->gso == NET_GSO_TCPV4 ? NETDEV_TAKES_TSO4 : o->gso == NET_GSO_TCPV6 ? NETDEV_TAKES_TSO6 : 0;
    unsigned needs = tso | (o->needs_checksum ? NETDEV_TAKES_CHECKSUM : 0);

    if (!may_give(n, len)) {
        return;
    }
    if ((needs & ~client_takes(n)) != 0) {
        if (!net_offload_finish(frame, len, o, enqueue_whole, n)) {
            guest_error("netdev: a frame of %zu bytes is not what its header says; it is dropped", len);
        }
    } else if (!join(n, frame, len, o)) {
        enqueue(n, frame, len, o);
    }
}

/* For a stream's next frame, were it cut into segments. */
static bool stream_has_room(void *opaque)
{
    return ring_used(opaque) < RING / 2;
}

static void on_deliver(void *opaque)
{
    Netdev *n = opaque;

    while (n->n_waiting > 0 && n->client != NULL && n->client->can_receive(n->opaque)) {
        const Frame *f = frame_at(n, n->oldest);

        n->grows = n->grows && n->oldest != n->newest;
        n->client->receive(n->opaque, f->bytes, f->len, &f->offload);
        n->oldest = place_behind(n, n->oldest);
        n->n_waiting--;
    }
    if (n->stream != NULL && stream_has_room(n)) {
        net_stream_accept_input(n->stream);
    } else if (n->tap != NULL && stream_has_room(n)) {
        net_tap_accept_input(n->tap);
    }
}

void netdev_accept_input(Netdev *n)
{
    if (n->n_waiting > 0 && n->deliver.deadline_ns == INT64_MAX) {
        timer_set(&n->deliver, clock_now(n->clock) + 1);
    }
}

bool netdev_set_client(Netdev *n, const NetdevClient *client, void *opaque)
{
    if (client != NULL && n->client != NULL) {
        return false;
    }
    n->client = client;
    n->opaque = opaque;
    n->n_waiting = 0;
    return true;
}

/* ---- slirp ---- */

static ssize_t on_slirp_packet(const void *buf, size_t len, void *opaque)
{
    static const NetOffload whole = { .valid = true };
    Netdev                 *n = opaque;

    if (may_give(n, len) && !join(n, buf, len, &whole)) {
        enqueue(n, buf, len, &whole);
    }
    return (ssize_t)len;
}

static void on_slirp_error(const char *msg, void *opaque)
{
    guest_error("network: %s", msg);
}

static int64_t slirp_clock(void *opaque)
{
    return clock_now(((Netdev *)opaque)->clock);
}

/* Slirp's own timers: IPv6 router advertisements only. */
typedef struct SlirpTimer {
    ClockTimer   timer;
    SlirpTimerCb fn;
    void        *opaque;
} SlirpTimer;

static void slirp_timer_fire(void *opaque)
{
    SlirpTimer *t = opaque;

    t->fn(t->opaque);
}

static void *slirp_timer_new(SlirpTimerCb fn, void *cb_opaque, void *opaque)
{
    SlirpTimer *t = g_new0(SlirpTimer, 1);

    t->fn = fn;
    t->opaque = cb_opaque;
    timer_init(&t->timer, ((Netdev *)opaque)->clock, slirp_timer_fire, t);
    return t;
}

static void slirp_timer_free(void *timer, void *opaque)
{
    SlirpTimer *t = timer;

    timer_deinit(&t->timer);
    g_free(t);
}

static void slirp_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    timer_set(&((SlirpTimer *)timer)->timer, expire_ms * 1000000);
}

static void on_fd_open(int fd, void *opaque)
{
    Netdev *n = opaque;

    if (n->n_fds == n->n_listening) {
        timer_set(&n->tick, clock_now(n->clock) + TICK_NS);
    }
    add_live(n, true);
}

static void on_fd_close(int fd, void *opaque)
{
    Netdev *n = opaque;

    if (n->source != NULL && g_hash_table_remove(n->source->watched, GINT_TO_POINTER(fd))) {
        epoll_ctl(n->source->epoll, EPOLL_CTL_DEL, fd, NULL); /* its number may mean another one soon */
    }
    add_live(n, false);
}

static void on_slirp_notify(void *opaque)
{
}

static const SlirpCb slirp_callbacks = {
    .send_packet = on_slirp_packet,
    .guest_error = on_slirp_error,
    .clock_get_ns = slirp_clock,
    .timer_new = slirp_timer_new,
    .timer_free = slirp_timer_free,
    .timer_mod = slirp_timer_mod,
    .register_poll_fd = on_fd_open,
    .unregister_poll_fd = on_fd_close,
    .notify = on_slirp_notify,
};

static int to_glib(int events)
{
    return (events & SLIRP_POLL_IN ? G_IO_IN : 0) | (events & SLIRP_POLL_OUT ? G_IO_OUT : 0) |
           (events & SLIRP_POLL_PRI ? G_IO_PRI : 0) | (events & SLIRP_POLL_ERR ? G_IO_ERR : 0) |
           (events & SLIRP_POLL_HUP ? G_IO_HUP : 0);
}

static int from_glib(int events)
{
    return (events & G_IO_IN ? SLIRP_POLL_IN : 0) | (events & G_IO_OUT ? SLIRP_POLL_OUT : 0) |
           (events & G_IO_PRI ? SLIRP_POLL_PRI : 0) | (events & G_IO_ERR ? SLIRP_POLL_ERR : 0) |
           (events & G_IO_HUP ? SLIRP_POLL_HUP : 0);
}

static int add_fd(int fd, int events, void *opaque)
{
    SlirpSource *s = opaque;
    GPollFD      p = { .fd = fd, .events = (gushort)to_glib(events) };

    g_array_append_val(s->fds, p);
    return (int)s->fds->len - 1;
}

static int fd_events(int i, void *opaque)
{
    SlirpSource *s = opaque;

    return i >= 0 && (guint)i < s->fds->len ? from_glib(g_array_index(s->fds, GPollFD, i).revents) : 0;
}

static void fill_fds(SlirpSource *s)
{
    uint32_t timeout = UINT32_MAX; /* wall time; ours is the tick in guest time */

    g_array_set_size(s->fds, 0);
    if (s->n->n_fds > 0) {
        slirp_pollfds_fill(s->n->slirp, &timeout, add_fd, s);
    }
}

static void watch_fd(SlirpSource *s, const GPollFD *p)
{
    struct epoll_event e = { .events = p->events };
    Watch             *w = g_hash_table_lookup(s->watched, GINT_TO_POINTER(p->fd));

    if (w == NULL || w->events != p->events) {
        epoll_ctl(s->epoll, w == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, p->fd, &e);
    }
    if (w == NULL) {
        w = g_new(Watch, 1);
        g_hash_table_insert(s->watched, GINT_TO_POINTER(p->fd), w);
    }
    *w = (Watch){ p->events, s->round };
}

static gboolean is_old(gpointer fd, gpointer watch, gpointer opaque)
{
    SlirpSource *s = opaque;

    if (((Watch *)watch)->round == s->round) {
        return FALSE;
    }
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, GPOINTER_TO_INT(fd), NULL);
    return TRUE;
}

static gboolean source_prepare(GSource *source, gint *timeout)
{
    SlirpSource *s = (SlirpSource *)source;

    *timeout = -1;
    fill_fds(s);
    s->round++;
    for (guint i = 0; i < s->fds->len; i++) {
        watch_fd(s, &g_array_index(s->fds, GPollFD, i));
    }
    if (g_hash_table_size(s->watched) != s->fds->len) {
        g_hash_table_foreach_remove(s->watched, is_old, s);
    }
    return FALSE;
}

static gboolean source_check(GSource *source)
{
    return g_source_query_unix_fd(source, ((SlirpSource *)source)->tag) != 0;
}

/* Lets slirp serve whatever its sockets have ready, and its TCP timers. */
static void serve_slirp(Netdev *n)
{
    SlirpSource *s = n->source;

    fill_fds(s);
    g_poll((GPollFD *)(void *)s->fds->data, s->fds->len, 0);
    slirp_pollfds_poll(n->slirp, 0, fd_events, s);
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, gpointer opaque)
{
    serve_slirp(((SlirpSource *)source)->n);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { source_prepare, source_check, source_dispatch, NULL, NULL, NULL };

static void on_tick(void *opaque)
{
    Netdev *n = opaque;

    serve_slirp(n);
    if (n->n_fds > n->n_listening) {
        timer_set(&n->tick, clock_now(n->clock) + TICK_NS);
    }
}

static bool source_start(Netdev *n, GError **error)
{
    int          fd = epoll_create1(EPOLL_CLOEXEC);
    SlirpSource *s;

    if (fd < 0) {
        g_set_error(error, BAILEY_ERROR, 0, "cannot watch the connections of -netdev user: %s; allow more open files",
                    g_strerror(errno));
        return false;
    }
    n->source = s = (SlirpSource *)g_source_new(&source_funcs, sizeof(SlirpSource));
    s->n = n;
    s->epoll = fd;
    s->tag = g_source_add_unix_fd(&s->source, fd, G_IO_IN);
    s->fds = g_array_new(FALSE, TRUE, sizeof(GPollFD));
    s->watched = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_source_set_can_recurse(&s->source, TRUE); /* else each dispatch ends with a wake-up, too */
    g_source_attach(&s->source, NULL);
    return true;
}

static void source_stop(SlirpSource *s)
{
    g_source_destroy(&s->source);
    g_array_free(s->fds, TRUE);
    g_hash_table_destroy(s->watched);
    close(s->epoll);
    g_source_unref(&s->source);
}

static void on_stream_frame(void *opaque, uint8_t *frame, size_t len, const NetOffload *o)
{
    give(opaque, frame, len, o);
}

static const NetStreamClient stream_client = { on_stream_frame, stream_has_room, add_live };

void netdev_send(Netdev *n, uint8_t *frame, size_t len, const NetOffload *o)
{
    static const NetOffload nothing;

    o = o != NULL ? o : &nothing;
    if (len > NET_FRAME_MAX) {
        return;
    }
    switch (n->kind) {
    case NETDEV_USER: /* takes TCP segments of any length */
        if (net_offload_checksum(frame, len, o)) {
            slirp_input(n->slirp, frame, (int)len);
        }
        break;
    case NETDEV_STREAM:
    case NETDEV_SOCKET:
        net_stream_send(n->stream, frame, len, o);
        break;
    case NETDEV_TAP:
        net_tap_send(n->tap, frame, len, o);
        break;
    case NETDEV_LOOP:
        give(n, frame, len, o);
        break;
    case NETDEV_NONE:
        break;
    }
}

/* ---- options ---- */

static bool parse_port(const char *text, int *port)
{
    char *end;
    long  v = strtol(text, &end, 10);

    *port = (int)v;
    return end != text && *end == '\0' && v >= 1 && v <= 65535;
}

/* "[ADDR]:PORT" */
static bool parse_end(char *text, struct in_addr *addr, int *port)
{
    char *colon = strrchr(text, ':');

    if (colon == NULL) {
        return false;
    }
    *colon = '\0';
    return (*text == '\0' || inet_aton(text, addr)) && parse_port(colon + 1, port);
}

/* tcp|udp:[HADDR]:HPORT-[GADDR]:GPORT */
static bool add_hostfwd(Netdev *n, const char *rule, GError **error)
{
    struct in_addr host = { .s_addr = INADDR_ANY },
                   guest = { .s_addr = 0 }; /* 0: slirp takes the first DHCP address */
    int            host_port, guest_port;
    bool           udp = g_str_has_prefix(rule, "udp:"), tcp = g_str_has_prefix(rule, "tcp:");
    char          *text = g_strdup(udp || tcp ? rule + 4 : rule); /* ":80-:80" is TCP */
    char          *dash = strchr(text, '-');
    bool           ok = (udp || tcp || rule[0] == ':') && dash != NULL;

    if (ok) {
        *dash = '\0';
        ok = parse_end(text, &host, &host_port) && parse_end(dash + 1, &guest, &guest_port);
    }
    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "hostfwd=%s of -netdev is not tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT", rule);
    } else if (slirp_add_hostfwd(n->slirp, udp, host, host_port, guest, guest_port) < 0) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "cannot listen on port %d for hostfwd=%s (from -netdev): %s; choose another port",
                    host_port, rule, g_strerror(errno));
        ok = false;
    } else {
        n->n_listening++;
        add_live(n, true);
    }
    g_free(text);
    return ok;
}

static bool option_addr(const OptionList *l, const char *key, struct in_addr *addr, GError **error)
{
    const char *v = option_list_get(l, key);
    char       *text = g_strdup(v != NULL ? v : "");

    text[strcspn(text, "/")] = '\0';
    bool ok = v == NULL || inet_aton(text, addr) != 0;

    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 0, "%s=%s of -netdev is not an IPv4 address", key, v);
    }
    g_free(text);
    return ok;
}

static bool slirp_open(Netdev *n, const OptionList *l, GError **error)
{
    /* IPv6 is off unless asked for: slirp spaces its router advertisements by the host's random numbers. */
    SlirpConfig cfg = { .version = 3, .in_enabled = true };
    bool        restricted = false;

    inet_aton("10.0.2.0", &cfg.vnetwork);
    if (!option_list_bool(l, "-netdev", "restrict", &restricted, error) ||
        !option_list_bool(l, "-netdev", "ipv4", &cfg.in_enabled, error) ||
        !option_list_bool(l, "-netdev", "ipv6", &cfg.in6_enabled, error) ||
        !option_addr(l, "net", &cfg.vnetwork, error)) {
        return false;
    }
    cfg.restricted = restricted;
    uint32_t net = ntohl(cfg.vnetwork.s_addr) & 0xffffff00;

    cfg.vnetwork.s_addr = htonl(net);
    cfg.vnetmask.s_addr = htonl(0xffffff00);
    cfg.vhost.s_addr = htonl(net | 2);
    cfg.vnameserver.s_addr = htonl(net | 3);
    cfg.vdhcp_start.s_addr = htonl(net | 15);
    if (!option_addr(l, "host", &cfg.vhost, error) || !option_addr(l, "dns", &cfg.vnameserver, error) ||
        !option_addr(l, "dhcpstart", &cfg.vdhcp_start, error)) {
        return false;
    }
    inet_pton(AF_INET6, "fec0::", &cfg.vprefix_addr6);
    cfg.vprefix_len = 64;
    inet_pton(AF_INET6, "fec0::2", &cfg.vhost6);
    inet_pton(AF_INET6, "fec0::3", &cfg.vnameserver6);
    cfg.vhostname = n->hostname = g_strdup(option_list_get(l, "hostname"));
    cfg.tftp_path = n->tftp = g_strdup(option_list_get(l, "tftp"));
    cfg.bootfile = n->bootfile = g_strdup(option_list_get(l, "bootfile"));

    n->slirp = slirp_new(&cfg, &slirp_callbacks, n);
    if (n->slirp == NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "cannot start user networking for -netdev %s; check net=, host= and dhcpstart=", l->text);
        return false;
    }
    if (!source_start(n, error)) {
        return false;
    }
    for (guint i = 0; i < l->keys->len; i++) {
        if (strcmp(l->keys->pdata[i], "hostfwd") == 0 && !add_hostfwd(n, l->values->pdata[i], error)) {
            return false;
        }
    }
    return true;
}

static bool keys_known(const OptionList *l, NetdevKind kind, GError **error)
{
    static const char *const known[][16] = {
        [NETDEV_USER] = { "id", "hostfwd", "restrict", "ipv6", "ipv4", "net", "host", "dns", "tftp", "bootfile",
                          "dhcpstart", "hostname" },
        [NETDEV_STREAM] = { "id", "server", "addr.type", "addr.path", "addr.host", "addr.port", "vnet-hdr" },
        [NETDEV_SOCKET] = { "id", "listen", "connect" },
        [NETDEV_TAP] = { "id", "ifname", "fd", "script", "downscript" },
        [NETDEV_LOOP] = { "id" },
        [NETDEV_NONE] = { "id" },
    };

    for (guint i = 0; i < l->keys->len; i++) {
        if (!g_strv_contains(known[kind], l->keys->pdata[i])) {
            g_autofree char *use = g_strjoinv(", ", (char **)known[kind]);

            g_set_error(error, BAILEY_ERROR, 0, "'%s' in -netdev %s is not known; use %s", (char *)l->keys->pdata[i],
                        l->text, use);
            return false;
        }
    }
    return true;
}

static bool kind_of(const OptionList *l, NetdevKind *kind, GError **error)
{
    static const char *const names[] = {
        [NETDEV_USER] = "user", [NETDEV_STREAM] = "stream", [NETDEV_SOCKET] = "socket", [NETDEV_TAP] = "tap",
        [NETDEV_LOOP] = "loop", [NETDEV_NONE] = "none",
    };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(l->driver, names[i]) == 0) {
            *kind = (NetdevKind)i;
            return true;
        }
    }
    g_set_error(error, BAILEY_ERROR, 0, "-netdev has no back end '%s'; use user, stream, socket, tap, none or loop",
                l->driver);
    return false;
}

static bool open_kind(Netdev *n, const OptionList *l, GError **error)
{
    switch (n->kind) {
    case NETDEV_USER:
        return slirp_open(n, l, error);
    case NETDEV_STREAM:
    case NETDEV_SOCKET:
        n->stream = net_stream_new(l, &stream_client, n, error);
        return n->stream != NULL;
    case NETDEV_TAP:
        n->tap = net_tap_new(l, &stream_client, n, error);
        return n->tap != NULL;
    default:
        return true;
    }
}

Netdev *netdev_new(const char *option, Clock *clock, GError **error)
{
    OptionList *l = option_list_parse(option);
    const char *id = option_list_get(l, "id");
    NetdevKind  kind;
    Netdev     *n = NULL;

    if (!kind_of(l, &kind, error) || !keys_known(l, kind, error)) {
        goto done;
    }
    if (kind != NETDEV_NONE && (id == NULL || netdev_find(id) != NULL)) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "-netdev %s needs an id of its own; add id=NAME and name it in -device", option);
        goto done;
    }
    n = g_new0(Netdev, 1);
    n->id = g_strdup(id != NULL ? id : "none");
    n->kind = kind;
    n->clock = clock;
    n->ring = g_malloc(RING + FRAME_ROOM);
    timer_init(&n->deliver, clock, on_deliver, n);
    timer_init(&n->tick, clock, on_tick, n);
    timer_set(&n->deliver, INT64_MAX);
    timer_set(&n->tick, INT64_MAX);
    if (all == NULL) {
        all = g_ptr_array_new();
    }
    g_ptr_array_add(all, n);
    if (!open_kind(n, l, error)) {
        netdev_free(n);
        n = NULL;
    }
done:
    option_list_free(l);
    return n;
}

void netdev_free(Netdev *n)
{
    if (n == NULL) {
        return;
    }
    if (n->slirp != NULL) {
        slirp_cleanup(n->slirp);
    }
    for (; n->n_listening > 0; n->n_listening--) {
        add_live(n, false);
    }
    if (n->source != NULL) {
        source_stop(n->source);
    }
    net_stream_free(n->stream);
    net_tap_free(n->tap);
    if (n->n_fds > 0) {
        live_add(-1);
    }
    timer_deinit(&n->deliver);
    timer_deinit(&n->tick);
    g_ptr_array_remove(all, n);
    g_free(n->ring);
    g_free(n->hostname);
    g_free(n->tftp);
    g_free(n->bootfile);
    g_free(n->id);
    g_free(n);
}

void netdev_free_all(void)
{
    while (all != NULL && all->len > 0) {
        netdev_free(all->pdata[all->len - 1]);
    }
    g_clear_pointer(&all, g_ptr_array_unref);
}
