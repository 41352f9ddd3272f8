/*
 * Virtio socket device: connections between the guest and programs of the host, over Unix sockets. Who connects to the
 * socket of the device says "CONNECT PORT\n" first and hears "OK PORT\n" when the guest has taken the connection; a
 * connection that the guest makes to port N of the host (CID 2) goes to the socket with "_N" behind its path. So it is
 * with other virtual machine monitors that have no vhost. SOCK_SEQPACKET has sockets of its kind at the host: the
 * device's has "_seqpacket" behind its path, where greeting and answer are messages. Source: VIRTIO 1.2, "Socket
 * Device". Left out: VIRTIO_VSOCK_SEQ_EOR, as Unix sockets have nothing like it.
 *
 * Nothing is read from a connection before the guest has a buffer and credit for it, but for the message that is on its
 * way; and the guest has credit for what we keep for a slow reader: so memory is bounded by the number of connections.
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
    TYPE_SEQPACKET = 2,
    F_STREAM = 1 << 0,
    F_SEQPACKET = 1 << 1,
    SEQ_EOM = 1,                 /* flag of OP_RW: the last packet of a message */
    OP_REQUEST = 1, OP_RESPONSE, OP_RST, OP_SHUTDOWN, OP_RW, OP_CREDIT_UPDATE, OP_CREDIT_REQUEST,
    NO_RECEIVE = 1, NO_SEND = 2, /* of OP_SHUTDOWN: what its sender will not do any more */

    MAX_CONNECTIONS = 256,
    MAX_REFUSALS = 64,
    BUFFER = 256 << 10,          /* what the guest may send before the host has read it */
    PART = 64 << 10,             /* the most data of a packet, either way */
    MAX_WAITING = 1 << 16,       /* messages that the host has not read: empty ones take no credit */
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

/* Sockets where programs of the host connect, by the type of connection. */
enum { LISTEN_STREAM, LISTEN_SEQPACKET, N_LISTENERS };

typedef struct Conn {
    Vsock      *d;
    ConnState   state;
    uint16_t    type; /* TYPE_STREAM or TYPE_SEQPACKET */
    int         fd; /* -1: closed */
    guint       watch_in, watch_out;
    uint32_t    host_port, guest_port;
    uint32_t    sent, peer_alloc, peer_taken;    /* towards the guest: bytes sent, its room, what it took of them */
    uint32_t    received, written, written_told; /* from the guest: bytes, what the host took, what the guest knows */
    GByteArray *pending;                         /* from the guest, to be written */
    GArray     *ends;                            /* TYPE_SEQPACKET: uint32_t, lengths of the messages in there ... */
    uint32_t    begun;                           /* ... and of the one behind them, whose end has not come */
    GByteArray *message;                         /* TYPE_SEQPACKET: for the guest; NULL: none is on its way */
    uint32_t    message_sent;                    /* of it */
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
    uint16_t type;
} Refusal;

struct Vsock {
    VirtioPci v;
    uint64_t  cid;  /* property guest-cid= */
    char     *path; /* property socket= */
    char     *seq_path; /* of LISTEN_SEQPACKET */
    int       listener[N_LISTENERS];
    guint     watch[N_LISTENERS];
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

static Conn *conn_add(Vsock *d, int fd, uint16_t type, ConnState state)
{
    Conn *c = g_new0(Conn, 1);

    *c = (Conn){ .d = d, .state = state, .fd = fd, .type = type, .pending = g_byte_array_new() };
    if (type == TYPE_SEQPACKET) {
        const int room = 2 * BUFFER; /* a message is one piece of the socket's */

        c->ends = g_array_new(FALSE, FALSE, sizeof(uint32_t));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    }
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
    if (c->ends != NULL) {
        g_array_set_size(c->ends, 0);
    }
    g_clear_pointer(&c->message, g_byte_array_unref);
}

static void conn_free(Conn *c)
{
    conn_close(c);
    g_ptr_array_remove(c->d->conns, c);
    g_byte_array_free(c->pending, TRUE);
    g_clear_pointer(&c->ends, g_array_unref);
    g_free(c);
}

static Conn *conn_find(Vsock *d, uint16_t type, uint32_t host_port, uint32_t guest_port)
{
    for (guint i = 0; i < d->conns->len; i++) {
        Conn *c = d->conns->pdata[i];

        if (c->type == type && c->host_port == host_port && c->guest_port == guest_port &&
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

/* Messages that the socket takes now: their bytes, or -1 with errno when there is none. */
static ssize_t write_messages(Conn *c)
{
    size_t at = 0;
    guint  done = 0;
    bool   failed = false;

    while (done < c->ends->len && !failed) {
        uint32_t len = g_array_index(c->ends, uint32_t, done);

        failed = send(c->fd, len != 0 ? c->pending->data + at : NULL, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
        if (!failed) {
            at += len;
            done++;
        }
    }
    if (done != 0) {
        g_array_remove_range(c->ends, 0, done);
    }
    return done == 0 && failed ? -1 : (ssize_t)at;
}

/* What is left of a message that has no end is no message. */
static bool all_written(const Conn *c)
{
    return c->type == TYPE_STREAM ? c->pending->len == 0 : c->ends->len == 0;
}

/* Writes what the socket takes now; the rest waits for it. */
static void write_pending(Conn *c)
{
    ssize_t n = c->type == TYPE_SEQPACKET
                    ? write_messages(c)
                    : send(c->fd, c->pending->data, c->pending->len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        conn_end(c, c->state == CONN_OPEN || c->reset_at_end);
        return;
    }
    if (n > 0) {
        g_byte_array_remove_range(c->pending, 0, (guint)n);
        count_written(c, (size_t)n);
    }
    if (all_written(c)) {
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
    if (all_written(c)) {
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
    bw_u16(&w, h->type);
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
    const Header h = { .dst_cid = c->d->cid, .src_port = c->host_port, .dst_port = c->guest_port, .type = c->type,
                       .op = op, .flags = flags, .len = len, .buf_alloc = BUFFER, .fwd_cnt = c->written };

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

/* Takes the host's next message, whole. False: there is none, or the connection ends. */
static bool take_message(Conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
    ssize_t       n = recv(c->fd, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        c->readable = false;
        return false;
    }
    if (n < 0 || (n == 0 && poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP)))) {
        end_of_input(c);
        return false;
    }
    if (n > BUFFER || (uint32_t)n > c->peer_alloc) {
        log_warning("%s: a message of %zd bytes to port %u is longer than the guest's buffer; the connection ends",
                    c->d->v.pci.dev.id, n, c->guest_port);
        conn_end(c, true);
        return false;
    }
    c->message = g_byte_array_new();
    g_byte_array_set_size(c->message, (guint)n);
    c->message_sent = 0;
    if (recv(c->fd, c->message->data, (size_t)n, MSG_DONTWAIT) != n) {
        conn_end(c, true); /* a message that changes is none */
        return false;
    }
    return true;
}

/* The next part of a message, of at most @room bytes. */
static bool send_message(Conn *c, uint32_t room)
{
    if (c->message == NULL && !take_message(c)) {
        return true; /* whatever was found is to be said */
    }
    uint32_t len = MIN(room, c->message->len - c->message_sent);
    bool     last = len == c->message->len - c->message_sent;

    if (!send_op(c, OP_RW, last ? SEQ_EOM : 0, len != 0 ? c->message->data + c->message_sent : NULL, len)) {
        return false;
    }
    c->message_sent += len;
    if (last) {
        g_clear_pointer(&c->message, g_byte_array_unref);
    }
    return true;
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
    if (c->type == TYPE_SEQPACKET) {
        return send_message(c, room);
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
    if (c->send_request && c->type == TYPE_SEQPACKET && virtio_ready(&c->d->v, RXQ) &&
        !virtio_has(&c->d->v, F_SEQPACKET)) {
        conn_end(c, false); /* its driver does not know of them */
    }
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
        const Header   h = { .dst_cid = r->cid, .src_port = r->host_port, .dst_port = r->guest_port, .type = r->type,
                             .op = OP_RST };

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

/* The line "CONNECT PORT\n", of which nothing behind it is taken, or a message that is one. -1: it is not one; 0: it is
 * not all there. */
static int read_greeting(Conn *c)
{
    size_t   piece = c->type == TYPE_SEQPACKET ? LINE_LEN - 1 : 1;
    ssize_t  n;
    unsigned port;
    char     end;

    do {
        n = recv(c->fd, c->line + c->line_len, piece, MSG_DONTWAIT);
        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
        }
        c->line_len += (unsigned)n;
    } while (piece == 1 && c->line[c->line_len - 1] != '\n' && c->line_len < LINE_LEN - 1);
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
    bool   seqpacket = fd == d->listener[LISTEN_SEQPACKET];

    if (peer >= 0 && d->conns->len >= MAX_CONNECTIONS) {
        close(peer);
    } else if (peer >= 0) {
        watch_input(conn_add(d, peer, seqpacket ? TYPE_SEQPACKET : TYPE_STREAM, CONN_GREETING));
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
        d->refusals[d->n_refusals++] = (Refusal){ h->src_cid, h->dst_port, h->src_port, h->type };
    }
}

/* The guest connects to a port of the host. */
static void connect_out(Vsock *d, const Header *h)
{
    g_autofree char   *path = g_strdup_printf("%s_%u", d->path, h->dst_port);
    struct sockaddr_un a;
    int                kind = h->type == TYPE_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM;
    int                fd = d->conns->len < MAX_CONNECTIONS && address_of(path, &a)
                                ? socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        refuse(d, h);
        return;
    }
    Conn *c = conn_add(d, fd, h->type, CONN_OPEN);

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
    bool seqpacket = c->type == TYPE_SEQPACKET, whole = seqpacket && (h->flags & SEQ_EOM);

    if (c->received - c->written + h->len > BUFFER || (whole && c->ends->len >= MAX_WAITING)) {
        guest_error("%s: %u bytes are more than the credit for port %u", c->d->v.pci.dev.id, h->len, c->host_port);
        conn_end(c, true);
        return;
    }
    c->received += h->len;
    g_byte_array_append(c->pending, c->d->part, h->len);
    if (seqpacket) {
        c->begun += h->len;
    }
    if (whole) {
        g_array_append_val(c->ends, c->begun);
        c->begun = 0;
    }
    if (c->watch_out == 0 && (seqpacket ? whole : h->len != 0)) {
        write_pending(c);
    }
}

static void shutdown_came(Conn *c, uint32_t flags)
{
    c->guest_shut |= flags & (NO_RECEIVE | NO_SEND);
    if (c->guest_shut == (NO_RECEIVE | NO_SEND)) {
        finish(c, true);
    } else if (all_written(c)) {
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
    bool  known = h->type == TYPE_STREAM || (h->type == TYPE_SEQPACKET && virtio_has(&d->v, F_SEQPACKET));
    Conn *c = conn_find(d, h->type, h->dst_port, h->src_port);

    if (h->src_cid != d->cid) {
        guest_error("%s: a packet from CID %llu", d->v.pci.dev.id, (unsigned long long)h->src_cid);
    } else if (h->dst_cid != HOST_CID || !known) {
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
    .features = F_STREAM | F_SEQPACKET,
    .class_code = 0x028000,
    .n_queues = N_QUEUES,
    .queue_size = 128,
    .config_len = 8,
    .config_get = config_get,
    .notify = notify,
    .start = start,
    .reset = reset,
};

static bool listen_at(Vsock *d, unsigned which, const char *path, int kind, GError **error)
{
    struct sockaddr_un a;
    int                fd = -1;

    if (!address_of(path, &a)) {
        errno = ENAMETOOLONG;
    } else {
        unlink(path);
        fd = socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 16) != 0) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s cannot listen on %s (from socket=): %s; name a path in a folder "
                                            "you may write to", d->v.pci.dev.id, path, g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    d->listener[which] = fd;
    d->watch[which] = g_unix_fd_add(fd, G_IO_IN, on_caller, d);
    return true;
}

static void stop_listening(Vsock *d)
{
    for (unsigned i = 0; i < N_LISTENERS; i++) {
        if (d->watch[i] != 0) {
            drop_watch(&d->watch[i]);
            close(d->listener[i]);
            unlink(i == LISTEN_STREAM ? d->path : d->seq_path);
        }
    }
    g_clear_pointer(&d->seq_path, g_free);
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
    d->seq_path = g_strconcat(d->path, "_seqpacket", NULL);
    if (!listen_at(d, LISTEN_STREAM, d->path, SOCK_STREAM, error) ||
        !listen_at(d, LISTEN_SEQPACKET, d->seq_path, SOCK_SEQPACKET, error)) {
        stop_listening(d);
        return false;
    }
    d->conns = g_ptr_array_new();
    d->next_port = FIRST_PORT;
    live_add(1);
    virtio_pci_init(&d->v, &vsock_type, &virtio_default_layout, vsock_type.features, NULL);
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
    stop_listening(d);
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
