/*
 * Virtio socket device: stream connections between the guest and programs of the host, over Unix sockets. Who connects
 * to the socket of the device says "CONNECT PORT\n" first and hears "OK PORT\n" when the guest has taken the
 * connection; a connection that the guest makes to port N of the host (CID 2) goes to the socket with "_N" behind its
 * path. So it is with other virtual machine monitors that have no vhost. Source: VIRTIO 1.2, "Socket Device". Not
 * offered: SEQPACKET.
 *
 * Nothing is read from a connection before the guest has a buffer and credit for it, and the guest has credit for what
 * we keep for a slow reader: so memory is bounded by the number of connections.
 */
#define _GNU_SOURCE /* accept4() */
#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "hw/virtio/virtio.h"
#include "live.h"
#include "log.h"

enum { RXQ, TXQ, EVENTQ, N_QUEUES };

enum {
    HDR = 44,
    HOST_CID = 2,
    TYPE_STREAM = 1,
    OP_REQUEST = 1, OP_RESPONSE, OP_RST, OP_SHUTDOWN, OP_RW, OP_CREDIT_UPDATE, OP_CREDIT_REQUEST,
    NO_RECEIVE = 1, NO_SEND = 2, /* of OP_SHUTDOWN: what its sender will not do any more */

    MAX_CONNECTIONS = 256,
    MAX_REFUSALS = 64,
    BUFFER = 256 << 10,          /* what the guest may send before the host has read it */
    PART = 64 << 10,             /* the most data of a packet, either way */
    LINE_LEN = 32,               /* room for "CONNECT PORT\n" */
    FIRST_PORT = 1 << 30,        /* of connections that come from the host */
};

typedef struct Vsock Vsock;

typedef enum ConnState {
    CONN_GREETING,  /* from the host: has not said its line */
    CONN_REQUESTED, /* from the host: the guest has not answered */
    CONN_OPEN,
    CONN_DRAINING,  /* the guest's side is over; what it sent is still to be written */
    CONN_OVER,      /* only the guest is still to be told */
} ConnState;

typedef struct Conn {
    Vsock      *d;
    ConnState   state;
    int         fd; /* -1: closed */
    guint       watch_in, watch_out;
    uint32_t    host_port, guest_port;
    uint32_t    sent, peer_alloc, peer_taken;    /* towards the guest: bytes sent, its room, what it took of them */
    uint32_t    received, written, written_told; /* from the guest: bytes, what the host took, what the guest knows */
    GByteArray *pending;                         /* from the guest, to be written */
    char        line[LINE_LEN];                  /* of the greeting, as far as it came */
    unsigned    line_len;
    bool        readable, at_end;                /* the host's side has something to read; has no more */
    bool        send_request, send_response, send_credit, send_reset;
    uint8_t     send_shutdown;                   /* flags that the guest is to be told */
    uint8_t     guest_shut;                      /* flags that it told */
    bool        reset_at_end;                    /* once all is written, the guest is to be told so */
} Conn;

/* A packet that belongs to no connection. */
typedef struct Refusal {
    uint64_t cid;
    uint32_t host_port, guest_port;
} Refusal;

struct Vsock {
    VirtioPci v;
    uint64_t  cid;  /* property guest-cid= */
    char     *path; /* property socket= */
    int       listener;
    guint     watch;
    uint32_t  next_port;
    GPtrArray *conns; /* of Conn, oldest first */
    Refusal   refusals[MAX_REFUSALS];
    unsigned  n_refusals;
    bool      rx_used; /* the driver is to hear of its receive queue */
    uint8_t   part[PART];
};

/* A packet's header: "struct virtio_vsock_hdr". */
typedef struct Header {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len, flags, buf_alloc, fwd_cnt;
    uint16_t type, op;
} Header;

static Vsock *vsock(VirtioPci *v)
{
    return (Vsock *)v;
}

static void pump(Vsock *d);
static gboolean on_readable(gint fd, GIOCondition cond, gpointer opaque);
static gboolean on_writable(gint fd, GIOCondition cond, gpointer opaque);

/* ---- connections ---- */

static void drop_watch(guint *id)
{
    if (*id != 0) {
        g_source_remove(*id);
        *id = 0;
    }
}

static Conn *conn_add(Vsock *d, int fd, ConnState state)
{
    Conn *c = g_new0(Conn, 1);

    *c = (Conn){ .d = d, .state = state, .fd = fd, .pending = g_byte_array_new() };
    g_ptr_array_add(d->conns, c);
    return c;
}

static void conn_close(Conn *c)
{
    drop_watch(&c->watch_in);
    drop_watch(&c->watch_out);
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    g_byte_array_set_size(c->pending, 0);
}

static void conn_free(Conn *c)
{
    conn_close(c);
    g_ptr_array_remove(c->d->conns, c);
    g_byte_array_free(c->pending, TRUE);
    g_free(c);
}

static Conn *conn_find(Vsock *d, uint32_t host_port, uint32_t guest_port)
{
    for (guint i = 0; i < d->conns->len; i++) {
        Conn *c = d->conns->pdata[i];

        if (c->host_port == host_port && c->guest_port == guest_port &&
            (c->state == CONN_OPEN || c->state == CONN_REQUESTED)) {
            return c;
        }
    }
    return NULL;
}

/* The connection ends now; the guest is told, or knows. */
static void conn_end(Conn *c, bool tell)
{
    conn_close(c);
    c->state = CONN_OVER;
    c->send_request = c->send_response = c->send_credit = false;
    c->send_shutdown = 0;
    c->send_reset = tell;
}

/* ---- from the guest to the host ---- */

/* All that the guest sent is written: what was to come then comes. */
static void drained(Conn *c)
{
    if (c->state == CONN_DRAINING) {
        conn_end(c, c->reset_at_end);
    } else if (c->guest_shut & NO_SEND) {
        shutdown(c->fd, SHUT_WR);
    }
}

static void count_written(Conn *c, size_t n)
{
    c->written += (uint32_t)n;
    if (c->state == CONN_OPEN && c->written - c->written_told >= BUFFER / 2) {
        c->send_credit = true;
    }
}

/* Writes what the socket takes now; the rest waits for it. */
static void write_pending(Conn *c)
{
    ssize_t n = send(c->fd, c->pending->data, c->pending->len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        conn_end(c, c->state == CONN_OPEN || c->reset_at_end);
        return;
    }
    if (n > 0) {
        g_byte_array_remove_range(c->pending, 0, (guint)n);
        count_written(c, (size_t)n);
    }
    if (c->pending->len == 0) {
        drained(c);
    } else if (c->watch_out == 0) {
        c->watch_out = g_unix_fd_add(c->fd, G_IO_OUT | G_IO_ERR, on_writable, c);
    }
}

static gboolean on_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    Conn *c = opaque;

    c->watch_out = 0; /* this source ends; the next write makes another if it has to */
    write_pending(c);
    pump(c->d);
    return G_SOURCE_REMOVE;
}

/* The guest's side is over after what it sent. */
static void finish(Conn *c, bool tell)
{
    drop_watch(&c->watch_in);
    c->state = CONN_DRAINING;
    c->reset_at_end = tell;
    if (c->pending->len == 0) {
        drained(c);
    }
}

/* ---- packets to the guest ---- */

/* False: the guest has no buffer for it. */
static bool send_packet(Vsock *d, const Header *h, const uint8_t *data)
{
    VirtioPci *v = &d->v;
    uint8_t    head[HDR];
    ByteWriter w = bw_init(head, sizeof(head));

    if (!virtio_ready(v, RXQ) || virtq_pop(v, RXQ, &v->chain) != VIRTQ_CHAIN) {
        return false;
    }
    if (v->chain.in_len < HDR + (uint64_t)h->len) {
        virtio_broken(v, "a receive buffer is shorter than a packet's header");
        return false;
    }
    bw_u64(&w, HOST_CID);
    bw_u64(&w, h->dst_cid);
    bw_u32(&w, h->src_port);
    bw_u32(&w, h->dst_port);
    bw_u32(&w, h->len);
    bw_u16(&w, TYPE_STREAM);
    bw_u16(&w, h->op);
    bw_u32(&w, h->flags);
    bw_u32(&w, h->buf_alloc);
    bw_u32(&w, h->fwd_cnt);
    if (!virtio_chain_write(v, &v->chain, 0, head, HDR) ||
        (h->len != 0 && !virtio_chain_write(v, &v->chain, HDR, data, h->len)) ||
        !virtq_push(v, RXQ, &v->chain, HDR + h->len)) {
        return false;
    }
    d->rx_used = true;
    return true;
}

static bool send_op(Conn *c, uint16_t op, uint32_t flags, const uint8_t *data, uint32_t len)
{
    const Header h = { .dst_cid = c->d->cid, .src_port = c->host_port, .dst_port = c->guest_port, .op = op,
                       .flags = flags, .len = len, .buf_alloc = BUFFER, .fwd_cnt = c->written };

    if (!send_packet(c->d, &h, data)) {
        return false;
    }
    c->written_told = c->written;
    c->sent += len;
    return true;
}

/* Bytes that the guest has room for; a guest that says nonsense has none. */
static uint32_t credit(const Conn *c)
{
    uint32_t on_the_way = c->sent - c->peer_taken;

    return on_the_way < c->peer_alloc ? c->peer_alloc - on_the_way : 0;
}

/* Room for data in the guest's next buffer; 0: it has none. */
static uint32_t next_buffer(Vsock *d)
{
    VirtioPci *v = &d->v;

    if (!virtio_ready(v, RXQ) || virtq_pop(v, RXQ, &v->chain) != VIRTQ_CHAIN) {
        return 0;
    }
    virtq_unpop(v, RXQ);
    return v->chain.in_len > HDR ? (uint32_t)MIN(v->chain.in_len - HDR, (uint64_t)PART) : 0;
}

/* The host's side has ended: for writing, or for both. */
static void end_of_input(Conn *c)
{
    struct pollfd p = { .fd = c->fd };
    bool          gone = poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;

    c->readable = false;
    c->at_end = true;
    c->send_shutdown = NO_SEND | (gone ? NO_RECEIVE : 0);
}

/* One packet of data. False: there is none now, or no room for it. */
static bool send_data(Conn *c)
{
    Vsock   *d = c->d;
    bool     wanted = c->readable && c->state == CONN_OPEN && !(c->guest_shut & NO_RECEIVE);
    uint32_t room = wanted ? MIN(credit(c), next_buffer(d)) : 0;

    if (room == 0) {
        return false;
    }
    ssize_t n = recv(c->fd, d->part, room, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        c->readable = false;
        return false;
    }
    if (n <= 0) {
        end_of_input(c);
        return true;
    }
    return send_op(c, OP_RW, 0, d->part, (uint32_t)n);
}

/* Says it if it is to be said. False: the guest has no buffer. */
static bool say(Conn *c, bool *what, uint16_t op)
{
    if (*what) {
        *what = !send_op(c, op, 0, NULL, 0);
    }
    return !*what;
}

/* What is to be said besides data, in an order that makes sense. False: the guest has no buffer for all of it. */
static bool send_signals(Conn *c)
{
    bool ok = say(c, &c->send_request, OP_REQUEST) && say(c, &c->send_response, OP_RESPONSE) &&
              say(c, &c->send_credit, OP_CREDIT_UPDATE);

    if (ok && c->send_shutdown != 0) {
        ok = send_op(c, OP_SHUTDOWN, c->send_shutdown, NULL, 0);
        c->send_shutdown = ok ? 0 : c->send_shutdown;
    }
    return ok && say(c, &c->send_reset, OP_RST);
}

/* The main loop looks at a connection while the next byte of it is not known to be there. */
static void watch_input(Conn *c)
{
    bool want = c->fd >= 0 && !c->readable && !c->at_end && (c->state == CONN_GREETING || c->state == CONN_OPEN) &&
                !(c->guest_shut & NO_RECEIVE);

    if (want && c->watch_in == 0) {
        c->watch_in = g_unix_fd_add(c->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, c);
    } else if (!want) {
        drop_watch(&c->watch_in);
    }
}

static bool send_refusals(Vsock *d)
{
    unsigned done = 0;

    for (; done < d->n_refusals; done++) {
        const Refusal *r = &d->refusals[done];
        const Header   h = { .dst_cid = r->cid, .src_port = r->host_port, .dst_port = r->guest_port, .op = OP_RST };

        if (!send_packet(d, &h, NULL)) {
            break;
        }
    }
    d->n_refusals -= done;
    memmove(d->refusals, d->refusals + done, d->n_refusals * sizeof(d->refusals[0]));
    return d->n_refusals == 0;
}

/* Gives the guest all that it has buffers for: signals first, then the connections' data in turn. */
static void pump(Vsock *d)
{
    bool more = send_refusals(d);

    while (more) {
        more = false;
        for (guint i = 0; i < d->conns->len; i++) {
            more |= send_signals(d->conns->pdata[i]) && send_data(d->conns->pdata[i]);
        }
    }
    for (guint i = d->conns->len; i-- > 0;) {
        Conn *c = d->conns->pdata[i];

        if (c->state == CONN_OVER && !c->send_reset) {
            conn_free(c);
        } else {
            watch_input(c);
        }
    }
    if (d->rx_used) {
        d->rx_used = false;
        virtq_notify(&d->v, RXQ);
    }
}

/* ---- from the host ---- */

/* The line "CONNECT PORT\n", of which nothing behind it is taken. -1: it is not one; 0: it is not all there. */
static int read_greeting(Conn *c)
{
    ssize_t  n;
    unsigned port;
    char     end;

    do {
        n = recv(c->fd, c->line + c->line_len, 1, MSG_DONTWAIT);
        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
        }
        c->line_len++;
    } while (c->line[c->line_len - 1] != '\n' && c->line_len < LINE_LEN - 1);
    if (sscanf(c->line, "CONNECT %10u%c", &port, &end) != 2 || end != '\n') {
        return -1;
    }
    c->guest_port = port;
    return 1;
}

static gboolean on_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    Conn  *c = opaque;
    Vsock *d = c->d;
    int    line = c->state == CONN_GREETING ? read_greeting(c) : 0;

    if (c->state != CONN_GREETING) {
        c->readable = true;
    } else if (line < 0) {
        log_warning("%s: a connection that does not begin with 'CONNECT PORT' is closed", d->v.pci.dev.id);
        conn_end(c, false);
    } else if (line > 0) {
        c->host_port = d->next_port++;
        c->state = CONN_REQUESTED;
        c->send_request = true;
    }
    pump(d);
    return G_SOURCE_CONTINUE; /* pump() removed the source where it is to end */
}

static gboolean on_caller(gint fd, GIOCondition cond, gpointer opaque)
{
    Vsock *d = opaque;
    int    peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (peer >= 0 && d->conns->len >= MAX_CONNECTIONS) {
        close(peer);
    } else if (peer >= 0) {
        watch_input(conn_add(d, peer, CONN_GREETING));
    }
    return G_SOURCE_CONTINUE;
}

/* A socket's address; false: the path is too long for one. */
static bool address_of(const char *path, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    return g_strlcpy(a->sun_path, path, sizeof(a->sun_path)) < sizeof(a->sun_path);
}

/* ---- packets from the guest ---- */

static void refuse(Vsock *d, const Header *h)
{
    if (h->op != OP_RST && d->n_refusals < MAX_REFUSALS) {
        d->refusals[d->n_refusals++] = (Refusal){ h->src_cid, h->dst_port, h->src_port };
    }
}

/* The guest connects to a port of the host. */
static void connect_out(Vsock *d, const Header *h)
{
    g_autofree char   *path = g_strdup_printf("%s_%u", d->path, h->dst_port);
    struct sockaddr_un a;
    int                fd = d->conns->len < MAX_CONNECTIONS && address_of(path, &a)
                                ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        refuse(d, h);
        return;
    }
    Conn *c = conn_add(d, fd, CONN_OPEN);

    c->host_port = h->dst_port;
    c->guest_port = h->src_port;
    c->peer_alloc = h->buf_alloc;
    c->peer_taken = h->fwd_cnt;
    c->send_response = true;
}

/* The guest took a connection of the host's. */
static void accepted(Conn *c)
{
    char line[LINE_LEN];
    int  n = snprintf(line, sizeof(line), "OK %u\n", c->host_port);

    c->state = CONN_OPEN;
    if (send(c->fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n) {
        conn_end(c, true); /* the host did not wait */
    }
}

static void data_came(Conn *c, const Header *h)
{
    if (c->received - c->written + h->len > BUFFER) {
        guest_error("%s: %u bytes are more than the credit for port %u", c->d->v.pci.dev.id, h->len, c->host_port);
        conn_end(c, true);
        return;
    }
    c->received += h->len;
    g_byte_array_append(c->pending, c->d->part, h->len);
    if (c->watch_out == 0 && h->len != 0) {
        write_pending(c);
    }
}

static void shutdown_came(Conn *c, uint32_t flags)
{
    c->guest_shut |= flags & (NO_RECEIVE | NO_SEND);
    if (c->guest_shut == (NO_RECEIVE | NO_SEND)) {
        finish(c, true);
    } else if (c->pending->len == 0) {
        drained(c);
    }
}

/* A packet of a connection; its data is in d->part. */
static void take_packet(Conn *c, const Header *h)
{
    c->peer_alloc = h->buf_alloc;
    c->peer_taken = h->fwd_cnt;
    if (h->op == OP_RST) {
        finish(c, false);
    } else if (c->state == CONN_REQUESTED && h->op == OP_RESPONSE) {
        accepted(c);
    } else if (c->state != CONN_OPEN) {
        conn_end(c, true);
    } else if (h->op == OP_RW && !(c->guest_shut & NO_SEND)) {
        data_came(c, h);
    } else if (h->op == OP_SHUTDOWN) {
        shutdown_came(c, h->flags);
    } else if (h->op == OP_CREDIT_REQUEST) {
        c->send_credit = true;
    } else if (h->op != OP_CREDIT_UPDATE) {
        conn_end(c, true);
    }
}

/* "Device Operation": what comes from another CID than the guest's is dropped, what leads nowhere is refused. */
static void route(Vsock *d, const Header *h)
{
    Conn *c = conn_find(d, h->dst_port, h->src_port);

    if (h->src_cid != d->cid) {
        guest_error("%s: a packet from CID %llu", d->v.pci.dev.id, (unsigned long long)h->src_cid);
    } else if (h->dst_cid != HOST_CID || h->type != TYPE_STREAM) {
        refuse(d, h);
    } else if (c != NULL) {
        take_packet(c, h);
    } else if (h->op == OP_REQUEST) {
        connect_out(d, h);
    } else {
        refuse(d, h);
    }
}

static bool get_packet(Vsock *d, const VirtChain *chain, Header *h)
{
    uint8_t    head[HDR];
    ByteReader r = br_init(head, sizeof(head));

    if (!virtio_chain_read(&d->v, chain, 0, head, HDR)) {
        return false;
    }
    h->src_cid = br_u64(&r);
    h->dst_cid = br_u64(&r);
    h->src_port = br_u32(&r);
    h->dst_port = br_u32(&r);
    h->len = br_u32(&r);
    h->type = br_u16(&r);
    h->op = br_u16(&r);
    h->flags = br_u32(&r);
    h->buf_alloc = br_u32(&r);
    h->fwd_cnt = br_u32(&r);
    if (h->op != OP_RW) {
        h->len = 0;
    }
    return h->len <= PART && h->len <= chain->out_len - HDR && virtio_chain_read(&d->v, chain, HDR, d->part, h->len);
}

/* Packets are looked at while a refusal of one could be noted: else they wait until the guest gives buffers. */
static void transmit(Vsock *d)
{
    VirtioPci *v = &d->v;
    bool       any = false;
    Header     h;

    while (virtio_ready(v, TXQ) && d->n_refusals < MAX_REFUSALS && virtq_pop(v, TXQ, &v->chain) == VIRTQ_CHAIN) {
        if (v->chain.out_len < HDR || !get_packet(d, &v->chain, &h)) {
            virtio_broken(v, "a packet is shorter than its header says, or longer than 64 KiB");
            return;
        }
        if (!virtq_push(v, TXQ, &v->chain, 0)) {
            return;
        }
        any = true;
        route(d, &h);
    }
    if (any) {
        virtq_notify(v, TXQ);
    }
}

/* ---- the device ---- */

static void notify(VirtioPci *v, unsigned q)
{
    Vsock *d = vsock(v);

    if (q == RXQ) {
        pump(d); /* makes room for refusals */
    }
    if (q != EVENTQ) {
        transmit(d);
        pump(d);
    }
}

static void start(VirtioPci *v)
{
    pump(vsock(v));
}

static void reset(VirtioPci *v)
{
    Vsock *d = vsock(v);

    for (guint i = d->conns != NULL ? d->conns->len : 0; i-- > 0;) {
        Conn *c = d->conns->pdata[i];

        if (c->state != CONN_GREETING && c->state != CONN_REQUESTED) {
            conn_free(c);
        } else if (c->state == CONN_REQUESTED) { /* the next driver may take it */
            c->send_request = true;
        }
    }
    d->n_refusals = 0;
}

static void config_get(VirtioPci *v, uint8_t *config)
{
    le64_put(config, vsock(v)->cid);
}

static const VirtioType vsock_type = {
    .id = VIRTIO_ID_VSOCK,
    .class_code = 0x028000,
    .n_queues = N_QUEUES,
    .queue_size = 128,
    .config_len = 8,
    .config_get = config_get,
    .notify = notify,
    .start = start,
    .reset = reset,
};

static bool vsock_listen(Vsock *d, GError **error)
{
    struct sockaddr_un a;

    d->listener = -1;
    if (!address_of(d->path, &a)) {
        errno = ENAMETOOLONG;
    } else {
        unlink(d->path);
        d->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (d->listener < 0 || bind(d->listener, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(d->listener, 16) != 0) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s cannot listen on socket=%s: %s; name a path in a folder you may "
                                            "write to", d->v.pci.dev.id, d->path, g_strerror(errno));
        if (d->listener >= 0) {
            close(d->listener);
        }
        return false;
    }
    return true;
}

static bool vsock_realize(Device *dev, GError **error)
{
    Vsock *d = (Vsock *)dev;

    if (d->cid <= HOST_CID || d->cid >= UINT32_MAX || d->path == NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "device %s needs guest-cid=N, from 3 to 4294967294, and socket=PATH, where programs of the host "
                    "connect", dev->id);
        return false;
    }
    if (!vsock_listen(d, error)) {
        return false;
    }
    d->conns = g_ptr_array_new();
    d->next_port = FIRST_PORT;
    d->watch = g_unix_fd_add(d->listener, G_IO_IN, on_caller, d);
    live_add(1);
    virtio_pci_init(&d->v, &vsock_type, &virtio_default_layout, 0, NULL);
    return true;
}

static void vsock_unrealize(Device *dev)
{
    Vsock *d = (Vsock *)dev;

    if (d->conns == NULL) {
        return;
    }
    while (d->conns->len > 0) {
        conn_free(d->conns->pdata[d->conns->len - 1]);
    }
    g_ptr_array_free(d->conns, TRUE);
    g_source_remove(d->watch);
    close(d->listener);
    unlink(d->path);
    live_add(-1);
}

static const Prop vsock_props[] = {
    { "guest-cid", PROP_UINT, offsetof(Vsock, cid), "3", "context ID of the guest, from 3 up" },
    { "socket", PROP_STRING, offsetof(Vsock, path), NULL,
      "Unix socket where programs of the host say CONNECT PORT; the guest's go to this path and _PORT" },
};

DEVICE(virtio_vsock, VIRTIO_CLASS("virtio-vsock-pci", Vsock, vsock_realize, .unrealize = vsock_unrealize,
                                  .desc = "sockets between guest and host", .props = vsock_props,
                                  .n_props = ARRAY_LEN(vsock_props)));
