/*
 * The socket device: its packets by the letter, credit both ways, and a guest that keeps no rule.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "virtio_rig.h"

enum { HDR = 44, CID = 7, REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };
enum { STREAM = 1, SEQPACKET, EOM = 1, F_SEQPACKET = 2 };
enum { ALLOC = 256 << 10, RX_LEN = 4096, N_RX = 8 };

#define RX_BUF(i) (VR_BUFFERS + 0x10000 + (i) * 0x2000ull)
#define TX_BUF    VR_BUFFERS

/* The driver: RX buffers in turn, one packet at a time to send. */
typedef struct Driver {
    VirtioRig *r;
    char       dir[64], path[96];
    unsigned   seen; /* of the used ring of RX */
    uint16_t   type; /* of what is sent and comes */
} Driver;

/* A packet as the driver sees it. */
typedef struct Packet {
    uint32_t src_port, dst_port, len, flags, buf_alloc, fwd_cnt;
    uint16_t type, op;
    uint8_t  data[RX_LEN];
} Packet;

static void give_rx(Driver *d, unsigned i, uint32_t len)
{
    vr_desc(d->r, VR_QUEUE(0), i, RX_BUF(i), len, VIRTQ_DESC_WRITE, 0);
    vr_offer(d->r, 0, (uint16_t)i, true);
}

static Driver *driver_of(unsigned n_rx, uint64_t features, uint16_t type)
{
    Driver *d = g_new0(Driver, 1);
    char    option[160];

    strcpy(d->dir, "/tmp/bailey-vsock-XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    snprintf(d->path, sizeof(d->path), "%s/s", d->dir);
    snprintf(option, sizeof(option), "virtio-vsock-pci,id=v,guest-cid=%u,socket=%s", CID, d->path);
    d->r = vr_new(rig_new(), option, features);
    d->type = type;
    for (unsigned i = 0; i < n_rx; i++) {
        give_rx(d, i, RX_LEN);
    }
    return d;
}

/* One that knows streams alone. */
static Driver *driver_new(unsigned n_rx) { return driver_of(n_rx, 0, STREAM); }

static void driver_free(Driver *d)
{
    vr_free(d->r);
    assert_int_equal(access(d->path, F_OK), -1);
    rmdir(d->dir);
    g_free(d);
}

static void loop(void)
{
    for (unsigned i = 0; i < 20; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

static void send_as(Driver *d, uint64_t src, uint64_t dst, uint16_t type, const Packet *p)
{
    uint8_t    head[HDR];
    ByteWriter w = bw_init(head, sizeof(head));

    bw_u64(&w, src);
    bw_u64(&w, dst);
    bw_u32(&w, p->src_port);
    bw_u32(&w, p->dst_port);
    bw_u32(&w, p->len);
    bw_u16(&w, type);
    bw_u16(&w, p->op);
    bw_u32(&w, p->flags);
    bw_u32(&w, p->buf_alloc);
    bw_u32(&w, p->fwd_cnt);
    for (unsigned i = 0; i < HDR; i++) {
        rig_write(d->r->pci, TX_BUF + i, 1, head[i]);
    }
    for (unsigned i = 0; i < p->len && i < RX_LEN; i++) {
        rig_write(d->r->pci, TX_BUF + HDR + i, 1, p->data[i]);
    }
    vr_desc(d->r, VR_QUEUE(1), 0, TX_BUF, HDR + p->len, 0, 0);
    vr_offer(d->r, 1, 0, true);
}

static void send_packet(Driver *d, const Packet *p) { send_as(d, CID, 2, d->type, p); }

/* The next packet that came; its buffer goes back. False: there is none. */
static bool receive(Driver *d, Packet *p)
{
    uint8_t head[HDR];

    if (vr_used_idx(d->r, 0) == (uint16_t)d->seen) {
        return false;
    }
    unsigned   i = (unsigned)rig_read(d->r->pci, VR_USED(0) + 4 + 8 * (d->seen % VR_QUEUE_SIZE), 4);
    uint32_t   len = vr_used_len(d->r, 0, d->seen++);
    ByteReader r = br_init(head, HDR);

    for (unsigned k = 0; k < HDR; k++) {
        head[k] = (uint8_t)rig_read(d->r->pci, RX_BUF(i) + k, 1);
    }
    assert_int_equal(br_u64(&r), 2);
    assert_int_equal(br_u64(&r), CID);
    p->src_port = br_u32(&r);
    p->dst_port = br_u32(&r);
    p->len = br_u32(&r);
    p->type = br_u16(&r);
    p->op = br_u16(&r);
    p->flags = br_u32(&r);
    p->buf_alloc = br_u32(&r);
    p->fwd_cnt = br_u32(&r);
    assert_int_equal(p->type, d->type);
    assert_int_equal(len, HDR + p->len);
    for (unsigned k = 0; k < p->len; k++) {
        p->data[k] = (uint8_t)rig_read(d->r->pci, RX_BUF(i) + HDR + k, 1);
    }
    give_rx(d, i, RX_LEN);
    return true;
}

static void expect_op(Driver *d, Packet *p, uint16_t op)
{
    assert_true(receive(d, p));
    assert_int_equal(p->op, op);
}

static int socket_of(int kind, const char *path, bool server)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int                fd = socket(AF_UNIX, kind | SOCK_NONBLOCK, 0);

    strcpy(a.sun_path, path);
    assert_int_equal(server ? bind(fd, (void *)&a, sizeof(a)) : connect(fd, (void *)&a, sizeof(a)), 0);
    assert_int_equal(server ? listen(fd, 4) : 0, 0);
    return fd;
}

static int host_socket(const char *path, bool server) { return socket_of(SOCK_STREAM, path, server); }

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    loop();
}

static void hears(int fd, const char *text)
{
    char    buf[64];
    ssize_t n = read(fd, buf, sizeof(buf));

    assert_int_equal(n, strlen(text));
    assert_memory_equal(buf, text, strlen(text));
}

/* A connection from the host that the guest took on port 5, with room for @alloc bytes. */
static int connected(Driver *d, uint32_t alloc, Packet *p)
{
    int fd = host_socket(d->path, false);

    loop();
    say(fd, "CONNECT 5\n");
    expect_op(d, p, REQUEST);
    assert_int_equal(p->dst_port, 5);
    assert_int_equal(p->buf_alloc, ALLOC);
    send_packet(d, &(Packet){ .src_port = 5, .dst_port = p->src_port, .op = RESPONSE, .buf_alloc = alloc });
    return fd;
}

static void test_from_host(void **state)
{
    Driver *d = driver_new(N_RX);
    Packet  p;
    int     fd = connected(d, 1000, &p);
    uint32_t port = p.src_port;
    char    ok[32];

    assert_int_equal(rig_read(d->r->pci, d->r->bar + 0x2000, 4), CID);
    snprintf(ok, sizeof(ok), "OK %u\n", port);
    hears(fd, ok);
    say(fd, "to the guest");
    expect_op(d, &p, RW);
    assert_int_equal(p.len, 12);
    assert_memory_equal(p.data, "to the guest", 12);
    send_packet(d, &(Packet){ .src_port = 5, .dst_port = port, .op = RW, .len = 3, .data = "hey", .buf_alloc = 1000 });
    hears(fd, "hey");
    send_packet(d, &(Packet){ .src_port = 5, .dst_port = port, .op = CREDIT_REQUEST, .buf_alloc = 1000 });
    expect_op(d, &p, CREDIT_UPDATE);
    assert_int_equal(p.fwd_cnt, 3);
    /* The host ends its side; the guest can still speak, until it ends, too. */
    shutdown(fd, SHUT_WR);
    loop();
    expect_op(d, &p, SHUTDOWN);
    assert_int_equal(p.flags, 2);
    send_packet(d, &(Packet){ .src_port = 5, .dst_port = port, .op = RW, .len = 2, .data = "by", .buf_alloc = 1000 });
    hears(fd, "by");
    send_packet(d, &(Packet){ .src_port = 5, .dst_port = port, .op = SHUTDOWN, .flags = 3 });
    expect_op(d, &p, RST);
    hears(fd, "");
    close(fd);
    driver_free(d);
}

static void test_from_guest(void **state)
{
    Driver *d = driver_new(N_RX);
    Packet  p;
    char    path[128];
    Packet  request = { .src_port = 9, .dst_port = 77, .op = REQUEST, .buf_alloc = 100 };

    send_packet(d, &request); /* nobody is there */
    expect_op(d, &p, RST);
    assert_int_equal(p.src_port, 77);
    assert_int_equal(p.dst_port, 9);
    snprintf(path, sizeof(path), "%s_77", d->path);
    int server = host_socket(path, true);

    send_packet(d, &request);
    expect_op(d, &p, RESPONSE);
    int fd = accept(server, NULL, NULL);

    say(fd, "x");
    expect_op(d, &p, RW);
    /* The host goes altogether. */
    close(fd);
    loop();
    expect_op(d, &p, SHUTDOWN);
    assert_int_equal(p.flags, 3);
    send_packet(d, &(Packet){ .src_port = 9, .dst_port = 77, .op = RW, .len = 1, .data = "y", .buf_alloc = 100 });
    expect_op(d, &p, RST);
    assert_false(receive(d, &p));
    close(server);
    unlink(path);
    driver_free(d);
}

/* The host's data waits for the guest's credit and buffers; the guest's for the host, up to what it was told. */
static void test_credit(void **state)
{
    Driver *d = driver_new(2);
    Packet  p;
    char    text[101] = { 0 }, buf[64], bulk[4096];
    int     fd = connected(d, 60, &p);
    uint32_t port = p.src_port, sent = 0;

    memset(text, 'a', 100);
    (void)!read(fd, buf, sizeof(buf));
    say(fd, text);
    expect_op(d, &p, RW);
    assert_int_equal(p.len, 60);
    assert_false(receive(d, &p));
    send_packet(d, &(Packet){ .src_port = 5, .dst_port = port, .op = CREDIT_UPDATE, .buf_alloc = 60, .fwd_cnt = 30 });
    expect_op(d, &p, RW);
    assert_int_equal(p.len, 30);
    send_packet(d, &(Packet){ .src_port = 5, .dst_port = port, .op = CREDIT_UPDATE, .buf_alloc = 60, .fwd_cnt = 99 });
    assert_false(receive(d, &p)); /* it took more than was sent: nonsense has no credit */
    send_packet(d, &(Packet){ .src_port = 5, .dst_port = port, .op = CREDIT_UPDATE, .buf_alloc = ~0u, .fwd_cnt = 90 });
    expect_op(d, &p, RW);
    assert_int_equal(p.len, 10);
    /* Nobody reads at the host: the socket takes some, we keep some, and more than the credit ends it. */
    Packet full = { .src_port = 5, .dst_port = port, .op = RW, .len = RX_LEN, .buf_alloc = ~0u };

    do {
        send_packet(d, &full);
        sent += RX_LEN;
    } while (sent < 16 << 20 && (!receive(d, &p) || p.op == CREDIT_UPDATE));
    assert_int_equal(p.op, RST);
    assert_true(sent > ALLOC);
    loop();
    for (ssize_t n; (n = read(fd, bulk, sizeof(bulk))) > 0;) { /* what the socket had is not lost */
        sent -= (uint32_t)n;
    }
    assert_true(sent <= ALLOC + RX_LEN);
    close(fd);
    driver_free(d);
}

/* Messages keep their ends both ways, whatever packets they come in; empty ones are messages, too. */
static void test_messages(void **state)
{
    Driver *d = driver_of(N_RX, F_SEQPACKET, SEQPACKET);
    Packet  p;
    char    ok[32], path[128], big[6000], back[6000];
    g_autofree char *own = g_strconcat(d->path, "_seqpacket", NULL);
    int     fd = socket_of(SOCK_SEQPACKET, own, false);

    loop();
    say(fd, "CONNECT 5\n");
    expect_op(d, &p, REQUEST);
    assert_int_equal(p.dst_port, 5);
    uint32_t port = p.src_port;
    Packet   to_host = { .src_port = 5, .dst_port = port, .op = RESPONSE, .buf_alloc = 10000 };

    send_packet(d, &to_host);
    snprintf(ok, sizeof(ok), "OK %u\n", port);
    hears(fd, ok);
    /* From the host: each is whole, or in parts of which the last says so. */
    say(fd, "one");
    say(fd, "");
    say(fd, "three");
    expect_op(d, &p, RW);
    assert_int_equal(p.len, 3);
    assert_int_equal(p.flags, EOM);
    expect_op(d, &p, RW);
    assert_int_equal(p.len, 0);
    assert_int_equal(p.flags, EOM);
    expect_op(d, &p, RW);
    assert_int_equal(p.len, 5);
    memset(big, 'b', sizeof(big));
    assert_int_equal(send(fd, big, sizeof(big), 0), sizeof(big));
    loop();
    expect_op(d, &p, RW);
    assert_int_equal(p.len, RX_LEN - HDR);
    assert_int_equal(p.flags, 0);
    expect_op(d, &p, RW);
    assert_int_equal(p.len, sizeof(big) - (RX_LEN - HDR));
    assert_int_equal(p.flags, EOM);
    /* From the guest. */
    to_host.op = RW;
    to_host.fwd_cnt = 8 + sizeof(big);
    to_host.len = 2;
    memcpy(to_host.data, "he", 2);
    send_packet(d, &to_host);
    assert_int_equal(recv(fd, back, sizeof(back), 0), -1);
    to_host.flags = EOM;
    send_packet(d, &to_host);
    to_host.len = 0;
    send_packet(d, &to_host);
    hears(fd, "hehe");
    hears(fd, "");
    assert_int_equal(recv(fd, back, sizeof(back), 0), -1);
    assert_int_equal(errno, EAGAIN);
    /* More than the guest says it has room for cannot be told in one piece. */
    to_host.op = CREDIT_UPDATE;
    to_host.buf_alloc = sizeof(big) - 1;
    send_packet(d, &to_host);
    assert_int_equal(send(fd, big, sizeof(big), 0), sizeof(big));
    loop();
    expect_op(d, &p, RST);
    close(fd);

    /* The guest connects; a host that listens for a stream is nobody. */
    Packet request = { .src_port = 9, .dst_port = 77, .op = REQUEST, .buf_alloc = 100 };

    snprintf(path, sizeof(path), "%s_77", d->path);
    int server = socket_of(SOCK_STREAM, path, true);
    send_packet(d, &request);
    expect_op(d, &p, RST);
    close(server);
    unlink(path);
    server = socket_of(SOCK_SEQPACKET, path, true);
    send_packet(d, &request);
    expect_op(d, &p, RESPONSE);
    fd = accept(server, NULL, NULL);
    send_packet(d, &(Packet){ .src_port = 9, .dst_port = 77, .op = RW, .flags = EOM, .len = 3, .data = "hey",
                              .buf_alloc = 100 });
    hears(fd, "hey");
    /* The same ports of the other type are another connection. */
    d->type = STREAM;
    send_packet(d, &(Packet){ .src_port = 9, .dst_port = 77, .op = RW, .len = 3, .data = "hey", .buf_alloc = 100 });
    expect_op(d, &p, RST);
    d->type = SEQPACKET;
    /* Messages that the host does not read are kept, and empty ones for nothing not for ever. */
    Packet   empty = { .src_port = 9, .dst_port = 77, .op = RW, .flags = EOM, .buf_alloc = 100 };
    unsigned n = 0;

    while (!receive(d, &p) && n < 1 << 17) {
        send_packet(d, &empty);
        n++;
    }
    assert_int_equal(p.op, RST);
    assert_true(n > 1 << 16 && n < 1 << 17);
    close(fd);
    close(server);
    unlink(path);
    driver_free(d);
    assert_int_equal(access(own, F_OK), -1);

    /* A driver that did not choose them is not asked. */
    d = driver_new(N_RX);
    g_autofree char *other = g_strconcat(d->path, "_seqpacket", NULL);

    fd = socket_of(SOCK_SEQPACKET, other, false);
    loop();
    say(fd, "CONNECT 5\n");
    assert_false(receive(d, &p));
    hears(fd, "");
    close(fd);
    driver_free(d);
}

/* What belongs nowhere is refused, a refusal is not, and what has no buffers waits without end or growth. */
static void test_hostile(void **state)
{
    Driver *d = driver_new(N_RX);
    Packet  p, lost = { .src_port = 1, .dst_port = 2, .op = RW };

    send_packet(d, &lost);
    expect_op(d, &p, RST);
    lost.op = RST;
    send_packet(d, &lost);
    assert_false(receive(d, &p));
    lost.op = 99;
    send_packet(d, &lost);
    expect_op(d, &p, RST);
    for (d->type = SEQPACKET; d->type <= 3; d->type++) { /* types that the driver did not choose, and that are none */
        send_packet(d, &lost);
        expect_op(d, &p, RST);
    }
    d->type = STREAM;
    send_as(d, CID, 9, 1, &lost); /* another guest */
    expect_op(d, &p, RST);
    send_as(d, 9, 2, 1, &lost);   /* as another guest */
    assert_false(receive(d, &p));
    int fd = connected(d, 100, &p);

    send_packet(d, &(Packet){ .src_port = 5, .dst_port = p.src_port, .op = REQUEST }); /* it is there already */
    expect_op(d, &p, RST);
    close(fd);
    /* Who says nothing sensible is sent away. */
    static const char *const lines[] = { "GET / HTTP/1.0\n", "CONNECT \n", "CONNECT 12 \n", "CONNECT 5 5\n", "\n",
                                         "CONNECT 00000000000000000000000000000000005\n" };

    for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
        char buf[8];

        fd = host_socket(d->path, false);
        loop();
        say(fd, lines[i]);
        assert_true(read(fd, buf, sizeof(buf)) <= 0 && errno != EAGAIN);
        errno = 0;
        close(fd);
    }
    assert_false(receive(d, &p));
    driver_free(d);

    d = driver_new(0);
    lost.op = RW;
    for (unsigned i = 0; i < 70; i++) {
        send_packet(d, &lost);
    }
    assert_int_equal(vr_used_idx(d->r, 1), 64); /* the rest waits until refusals can go out */
    for (unsigned i = 0; i < N_RX; i++) {
        give_rx(d, i, RX_LEN);
    }
    for (unsigned i = 0; i < 70; i++) {
        expect_op(d, &p, RST);
    }
    assert_int_equal(vr_used_idx(d->r, 1), 70);
    /* Packets that are not what they say. */
    vr_desc(d->r, VR_QUEUE(1), 0, TX_BUF, HDR - 1, 0, 0);
    vr_offer(d->r, 1, 0, true);
    assert_true(vr_status(d->r) & VIRTIO_STATUS_NEEDS_RESET);
    driver_free(d);
}

static void test_options(void **state)
{
    static const char *const rows[][2] = {
        { "virtio-vsock-pci,guest-cid=2,socket=/tmp/x",
          "device virtio-vsock-pci needs guest-cid=N, from 3 to 4294967294, and socket=PATH, where programs of the "
          "host connect" },
        { "virtio-vsock-pci",
          "device virtio-vsock-pci needs guest-cid=N, from 3 to 4294967294, and socket=PATH, where programs of the "
          "host connect" },
        { "virtio-vsock-pci,socket=/nonexistent/x",
          "device virtio-vsock-pci cannot listen on /nonexistent/x (from socket=): No such file or directory; name a "
          "path in a folder you may write to" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        PciRig *p = rig_new();
        GError *error = NULL;
        Device *dev = device_from_option(rows[i][0], p->clock, 0, &error);

        assert_false(device_realize(dev, &error));
        assert_string_equal(error->message, rows[i][1]);
        g_error_free(error);
        device_free(dev);
        rig_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_host), cmocka_unit_test(test_from_guest), cmocka_unit_test(test_credit),
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_options),    cmocka_unit_test(test_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
