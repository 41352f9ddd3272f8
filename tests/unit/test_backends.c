/*
 * Back ends: character devices, networks, disk images.
 */
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "bits.h"
#include "blockdev.h"
#include "bytes.h"
#include "chardev.h"
#include "live.h"
#include "netdev.h"

static char dir[] = "/tmp/bailey-test-XXXXXX";

/* ---- character devices ---- */

typedef struct Sink {
    size_t   room;
    GString *got;
} Sink;

static size_t sink_room(void *opaque) { return ((Sink *)opaque)->room; }

static void sink_receive(void *opaque, const uint8_t *data, size_t len)
{
    Sink *s = opaque;

    s->room -= len;
    g_string_append_len(s->got, (const char *)data, (gssize)len);
}

static const ChardevClient sink_client = { sink_room, sink_receive };

static void quit(void *opaque) { (*(unsigned *)opaque)++; }

static void test_input(void **state)
{
    Sink     s = { 2, g_string_new(NULL) };
    unsigned quits = 0;
    Chardev *c = chardev_new("null,id=c", false, NULL), *d = chardev_new("null", false, NULL);

    assert_true(chardev_set_client(c, &sink_client, &s));
    assert_false(chardev_set_client(c, &sink_client, &s));
    chardev_input(c, "abcdef", 6);
    assert_string_equal(s.got->str, "ab");
    s.room = 3;
    chardev_accept_input(c);
    assert_string_equal(s.got->str, "abcde");
    s.room = 10;
    chardev_input(c, "\001x", 2); /* no escapes but on stdio */
    assert_string_equal(s.got->str, "abcdef\001x");
    assert_ptr_equal(chardev_find("c"), c);
    assert_ptr_equal(chardev_new("chardev:c", false, NULL), c); /* shared */
    assert_false(chardev_any_live());

    Chardev *t = chardev_new("stdio", false, NULL);

    assert_true(chardev_any_live());
    assert_null(chardev_new("stdio", false, NULL));
    chardev_set_quit(quit, &quits);
    chardev_set_client(c, NULL, NULL);
    g_string_truncate(s.got, 0);
    s.room = 10;
    assert_true(chardev_set_client(t, &sink_client, &s));
    chardev_input(t, "a\001\001b\001xc\001", 8);
    chardev_input(t, "qd", 2);
    assert_string_equal(s.got->str, "a\001bc\001qd");
    assert_int_equal(quits, 1);
    chardev_set_client(t, NULL, NULL);
    chardev_free(t);
    assert_false(chardev_any_live());
    chardev_free(d);
    chardev_free_all();
    g_string_free(s.got, TRUE);
}

static void count(void *opaque, int delta) { *(int *)opaque += delta; }

static void test_socket(void **state)
{
    char               spec[128], buf[16];
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    Sink               s = { 100, g_string_new(NULL) };
    int                live = 0, fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(spec, sizeof(spec), "socket,id=s,path=%s/sock,server=on,wait=off", dir);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/sock", dir);
    Chardev *c = chardev_new(spec, false, NULL);

    assert_non_null(c);
    live_set_hook(count, &live);
    assert_int_equal(live, 1);
    chardev_set_client(c, &sink_client, &s);
    chardev_write(c, "lost", 4); /* nobody there */
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    g_main_context_iteration(NULL, TRUE);
    chardev_write(c, "hi", 2);
    assert_int_equal(read(fd, buf, sizeof(buf)), 2);
    assert_memory_equal(buf, "hi", 2);
    assert_int_equal(write(fd, "yes", 3), 3);
    g_main_context_iteration(NULL, TRUE);
    assert_string_equal(s.got->str, "yes");
    close(fd);
    g_main_context_iteration(NULL, TRUE);
    chardev_write(c, "gone", 4); /* no SIGPIPE */
    chardev_set_client(c, NULL, NULL);
    chardev_free_all();
    assert_int_equal(live, 0);
    live_set_hook(NULL, NULL);
    g_string_free(s.got, TRUE);
}

/* Waits for what comes from outside, or for a timer. */
static void wait_for(const GString *got, const char *text)
{
    for (unsigned i = 0; i < 1000 && strcmp(got->str, text) != 0; i++) {
        if (!g_main_context_iteration(NULL, FALSE)) {
            g_usleep(10000);
        }
    }
    assert_string_equal(got->str, text);
}

/* What is said before somebody opens the terminal waits there; bytes pass as they are; users come and go. */
static void test_pty(void **state)
{
    char    spec[128], path[128], buf[16] = { 0 };
    Sink    s = { 100, g_string_new(NULL) };
    GError *error = NULL;

    snprintf(spec, sizeof(spec), "pty,id=p,path=%s/tty", dir);
    snprintf(path, sizeof(path), "%s/tty", dir);
    Chardev *c = chardev_new(spec, false, NULL);

    assert_non_null(c);
    assert_true(chardev_any_live());
    chardev_set_client(c, &sink_client, &s);
    chardev_write(c, "early\n", 6);
    for (unsigned i = 0; i < 2; i++) {
        int fd = open(path, O_RDWR | O_NOCTTY);

        assert_true(fd >= 0);
        if (i == 0) {
            assert_int_equal(read(fd, buf, sizeof(buf)), 6);
            assert_string_equal(buf, "early\n"); /* and no carriage return before the line feed */
        }
        assert_int_equal(write(fd, "\003y\r", 3), 3);
        wait_for(s.got, i == 0 ? "\003y\r" : "\003y\r\003y\r");
        close(fd);
    }
    assert_null(chardev_new("pty,id=q,path=/nonexistent/tty", false, &error));
    assert_string_equal(error->message, "cannot link to a pseudo-terminal at /nonexistent/tty: No such file or "
                                        "directory; name a path where nothing is yet, in a folder you may write to");
    g_error_free(error);
    chardev_set_client(c, NULL, NULL);
    chardev_free_all();
    assert_int_equal(access(path, F_OK), -1);
    g_string_free(s.got, TRUE);
}

/* A socket that a harness has made, one end of which it keeps. */
static void test_fd(void **state)
{
    char    spec[64];
    int     pair[2], out[2];
    Sink    s = { 100, g_string_new(NULL) };
    GError *error = NULL;

    assert_int_equal(pipe(out), 0);
    snprintf(spec, sizeof(spec), "socket,id=f,fd=%d", out[0]);
    assert_null(chardev_new(spec, false, &error));
    g_clear_error(&error);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(spec, sizeof(spec), "socket,id=f,fd=%d", pair[0]);
    Chardev *c = chardev_new(spec, false, NULL);

    assert_non_null(c);
    assert_true(chardev_has_peer(c));
    chardev_set_client(c, &sink_client, &s);
    assert_int_equal(write(pair[1], "in", 2), 2);
    wait_for(s.got, "in");
    close(pair[1]);
    while (chardev_has_peer(c)) {
        g_main_context_iteration(NULL, TRUE);
    }
    chardev_set_client(c, NULL, NULL);
    chardev_free_all();
    close(pair[0]);
    close(out[0]);
    close(out[1]);
    g_string_free(s.got, TRUE);
}

/* A client whose server comes later, goes, and comes again; input counts as possible all the time. */
static void test_reconnect(void **state)
{
    char    spec[128], there[128];
    Sink    s = { 100, g_string_new(NULL) };
    GError *error = NULL;

    snprintf(spec, sizeof(spec), "socket,id=c,path=%s/again,reconnect=1", dir);
    snprintf(there, sizeof(there), "socket,id=s,path=%s/again,server=on,wait=off", dir);
    Chardev *c = chardev_new(spec, false, NULL);

    assert_non_null(c);
    chardev_set_client(c, &sink_client, &s);
    for (unsigned i = 0; i < 2; i++) {
        Chardev *server = chardev_new(there, false, NULL);
        Sink     heard = { 100, g_string_new(NULL) };

        assert_non_null(server);
        chardev_set_client(server, &sink_client, &heard);
        for (unsigned n = 0; n < 1000 && heard.got->len == 0; n++) {
            chardev_write(c, "x", 1); /* lost until it is connected */
            g_main_context_iteration(NULL, FALSE);
            g_usleep(5000);
        }
        assert_true(heard.got->len > 0);
        chardev_write(server, "back", 4);
        wait_for(s.got, "back");
        g_string_truncate(s.got, 0);
        assert_true(chardev_any_live());
        chardev_set_client(server, NULL, NULL);
        chardev_free(server);
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        assert_true(chardev_any_live());
        g_string_free(heard.got, TRUE);
    }
    assert_null(chardev_new("socket,id=b,port=x,reconnect=1", false, &error));
    assert_string_equal(error->message, "the port 'x' of socket :x is no number from 1 to 65535");
    g_clear_error(&error);
    assert_null(chardev_new("unix:/tmp/x,server=on,reconnect=1", false, &error));
    assert_string_equal(error->message, "reconnect= is for the side that connects, and server=on waits for the other "
                                        "one again by itself; leave it out");
    g_clear_error(&error);
    assert_null(chardev_new("unix:/tmp/x,reconnect=-1", false, &error));
    assert_string_equal(error->message,
                        "reconnect=-1 in 'unix:/tmp/x,reconnect=-1' is not a number of seconds from 0 (never) to 3600");
    g_clear_error(&error);
    chardev_set_client(c, NULL, NULL);
    chardev_free_all();
    assert_false(chardev_any_live());
    g_string_free(s.got, TRUE);
}

static void test_file(void **state)
{
    char     spec[128], buf[8] = { 0 };
    FILE    *f;

    snprintf(spec, sizeof(spec), "file:%s/out", dir);
    Chardev *c = chardev_new(spec, false, NULL);

    chardev_write(c, "text", 4);
    chardev_free(c);
    f = fopen(spec + 5, "r");
    assert_int_equal(fread(buf, 1, 8, f), 4);
    assert_string_equal(buf, "text");
    fclose(f);
}

typedef struct ErrorCase {
    const char *option, *error;
} ErrorCase;

static const ErrorCase chardev_errors[] = {
    { "teapot", "names no character device" },
    { "file:/nonexistent/x", "cannot write to" },
    { "null,id=a,colour=red", "'colour'" },
    { "socket,port=1,server=maybe", "server=maybe in -chardev socket,port=1,server=maybe is neither on nor off" },
    { "socket,port=1,nowait=2", "neither on nor off" },
    { "socket,port=1,wait=", "neither on nor off" },
    { "chardev:nobody", "no -chardev with id=nobody" },
    { "tcp:localhost", "has no port" },
    { "tcp:localhost:99999,server=on,wait=off",
      "the port '99999' of socket localhost:99999 is no number from 1 to 65535" },
    { "socket,id=a,port=0,server=on,wait=off", "the port '0' of socket :0 is no number" },
    { "socket,id=a,port=+1", "the port '+1' of socket :+1 is no number" },
    { "socket,id=a,fd=x", "fd=x is not the number of a connected stream socket" },
    { "socket,id=a,fd=2147483647", "fd=2147483647 is not the number of a connected stream socket" },
    { "socket,id=a,fd=0,path=x", "fd=0 is a connected socket; leave out path" },
    { "unix:/nonexistent/x,server=off", "and that the other side listens already" },
    { "unix:/nonexistent/x", "check the address, or add server=on to wait for the other side" },
};

static void test_chardev_errors(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(chardev_errors); i++) {
        GError *error = NULL;

        print_message("%s\n", chardev_errors[i].option);
        assert_null(chardev_new(chardev_errors[i].option, false, &error));
        assert_non_null(strstr(error->message, chardev_errors[i].error));
        g_error_free(error);
    }
}

/* ---- networks ---- */

typedef struct Card {
    bool       down;
    GByteArray *got; /* frames, each led by four bytes of length */
    unsigned   n;
} Card;

static bool card_ready(void *opaque) { return !((Card *)opaque)->down; }

static void card_receive(void *opaque, const uint8_t *frame, size_t len, const NetOffload *o)
{
    Card   *c = opaque;
    uint8_t head[4];

    le32_put(head, (uint32_t)len);
    g_byte_array_append(c->got, head, 4);
    g_byte_array_append(c->got, frame, (guint)len);
    c->n++;
}

static const NetdevClient card_client = { card_ready, card_receive, NULL };

static void test_loop(void **state)
{
    Clock  *clock = clock_new();
    Card    card = { .got = g_byte_array_new() };
    Netdev *n = netdev_new("loop,id=l", clock, NULL);
    uint8_t frame[1500] = { 1, 2, 3 };

    assert_ptr_equal(netdev_find("l"), n);
    assert_true(netdev_set_client(n, &card_client, &card));
    netdev_send(n, frame, sizeof(frame), NULL);
    assert_int_equal(card.n, 0); /* never from inside the send */
    clock_advance(clock, 1000000);
    assert_int_equal(card.n, 1);
    card.down = true;
    for (unsigned i = 0; i < 2000; i++) { /* more than the wire holds */
        netdev_send(n, frame, sizeof(frame), NULL);
    }
    clock_advance(clock, 2000000);
    assert_int_equal(card.n, 1);
    card.down = false;
    netdev_accept_input(n);
    clock_advance(clock, 3000000);
    assert_in_range(card.n, 600, 700); /* a mebibyte, with what the ring says of each */
    for (guint at = 0; at < card.got->len; at += 1504) { /* whole across the end of the ring */
        assert_int_equal(le32_get(card.got->data + at), 1500);
        assert_memory_equal(card.got->data + at + 4, frame, sizeof(frame));
    }
    g_byte_array_free(card.got, TRUE);
    netdev_free_all();
    clock_free(clock);
}

/* Frames of all lengths wait, more and fewer of them, and come in order and whole. */
static void test_loop_lengths(void **state)
{
    static uint8_t frame[NET_FRAME_MAX], want[NET_FRAME_MAX];
    Clock         *clock = clock_new();
    Card           card = { .got = g_byte_array_new() };
    Netdev        *n = netdev_new("loop,id=l", clock, NULL);
    uint32_t       seed = 1, sent = 0;

    assert_true(netdev_set_client(n, &card_client, &card));
    for (unsigned round = 0; round < 400; round++) {
        unsigned n_frames = 1 + round % 14, at = 0; /* below a mebibyte */

        card.n = 0;
        card.down = round % 3 != 0;
        g_byte_array_set_size(card.got, 0);
        uint32_t first = sent, first_seed = seed;
        for (unsigned i = 0; i < n_frames; i++) {
            seed = seed * 1103515245 + 12345;
            size_t len = 1 + (seed >> 8) % (round % 2 ? 60000 : 600);
            memset(frame, (int)sent++, len);
            netdev_send(n, frame, len, NULL);
            clock_advance(clock, clock_now(clock) + 1000000 * (i % 2));
        }
        card.down = false;
        netdev_accept_input(n);
        clock_advance(clock, clock_now(clock) + 1000000);
        assert_int_equal(card.n, n_frames);
        for (unsigned i = 0; i < n_frames; i++) {
            first_seed = first_seed * 1103515245 + 12345;
            size_t len = 1 + (first_seed >> 8) % (round % 2 ? 60000 : 600);
            memset(want, (int)first++, len);
            assert_int_equal(le32_get(card.got->data + at), len);
            assert_memory_equal(card.got->data + at + 4, want, len);
            at += 4 + (unsigned)len;
        }
    }
    g_byte_array_free(card.got, TRUE);
    netdev_free_all();
    clock_free(clock);
}

/* A broadcast DHCPDISCOVER. Checksums are zero in UDP and right in IP. */
static size_t discover(uint8_t *f)
{
    static const uint8_t head[] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0,    0x12, 0x34, 0x56, 0x08, 0x00, /* Ethernet */
        0x45, 0,    0x01, 0x14, 0,    0,    0,    0,    0x40, 0x11, 0x79, 0xda, 0,    0,    0,    0,
        0xff, 0xff, 0xff, 0xff, /* IP */
        0,    68,   0,    67,   0x01, 0x00, 0,    0, /* UDP */
        1,    1,    6,    0,    0xde, 0xad, 0xbe, 0xef, /* BOOTP */
    };
    static const uint8_t options[] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 };
    size_t               len = 14 + 0x114;

    memset(f, 0, len);
    memcpy(f, head, sizeof(head));
    memcpy(f + 14 + 28 + 28, f + 6, 6); /* client hardware address */
    memcpy(f + 14 + 28 + 236, options, sizeof(options));
    return len;
}

/* User networking answers at a fixed guest time, and the same in every run. */
static void test_user(void **state)
{
    GByteArray *got[2];
    int64_t     when[2];

    for (unsigned i = 0; i < 2; i++) {
        Clock  *clock = clock_new();
        Card    card = { .got = g_byte_array_new() };
        Netdev *n = netdev_new("user,id=u,restrict=on", clock, NULL);
        uint8_t frame[400];
        size_t  len = discover(frame);

        assert_true(netdev_set_client(n, &card_client, &card));
        netdev_send(n, frame, len, NULL);
        assert_int_equal(card.n, 0);
        when[i] = clock_next_deadline(clock);
        clock_advance(clock, when[i]);
        assert_int_equal(card.n, 1);
        assert_int_equal(clock_next_deadline(clock), INT64_MAX); /* an idle network wants no time */
        assert_int_equal(be32_get(card.got->data + 4 + 14 + 28 + 16), 0x0a00020f); /* 10.0.2.15 is offered */
        assert_false(netdev_any_live());
        got[i] = card.got;
        netdev_free_all();
        clock_free(clock);
    }
    assert_int_equal(when[0], when[1]);
    assert_int_equal(got[0]->len, got[1]->len);
    assert_memory_equal(got[0]->data, got[1]->data, got[0]->len);
    g_byte_array_free(got[0], TRUE);
    g_byte_array_free(got[1], TRUE);
}

static gboolean set_flag(gpointer flag)
{
    *(bool *)flag = true;
    return G_SOURCE_REMOVE;
}

/* A connection through which nothing comes lets the main loop sleep, before and after something came. */
static void test_user_idle(void **state)
{
    static const uint8_t head[] = {
        0x52, 0x55, 0x0a, 0, 2,  2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x08, 0x00, /* Ethernet */
        0x45, 0,    0,    29, 0, 0, 0,    0,    0x40, 0x11, 0x62, 0xc0, 10, 0, 2, 15, 10, 0, 2, 2, /* IP */
        0x12, 0x34, 0,    0,  0, 9, 0,    0, 'x', /* UDP, to the port put in */
    };
    Clock             *clock = clock_new();
    Card               card = { .got = g_byte_array_new() };
    Netdev            *n = netdev_new("user,id=u", clock, NULL);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } }, from;
    socklen_t          at_len = sizeof(at), from_len = sizeof(from);
    int                fd = socket(AF_INET, SOCK_DGRAM, 0);
    uint8_t            frame[sizeof(head)], byte;

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &at_len), 0);
    memcpy(frame, head, sizeof(head));
    be16_put(frame + 36, ntohs(at.sin_port));
    assert_true(netdev_set_client(n, &card_client, &card));
    netdev_send(n, frame, sizeof(frame), NULL);
    assert_true(netdev_any_live());
    for (unsigned round = 0; round < 3; round++) {
        bool     over = false;
        unsigned turns = 0;

        if (round == 1) { /* an answer: the first frame asks who has the guest's address, which nobody tells */
            assert_int_equal(recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &from_len), 1);
            assert_int_equal(sendto(fd, &byte, 1, 0, (struct sockaddr *)&from, from_len), 1);
        }
        g_timeout_add(50, set_flag, &over);
        while (!over) {
            g_main_context_iteration(NULL, TRUE);
            turns++;
        }
        clock_advance(clock, clock_now(clock) + 1000000);
        assert_int_equal(card.n, round >= 1);
        assert_in_range(turns, 1, 10);
    }
    close(fd);
    g_byte_array_free(card.got, TRUE);
    netdev_free_all();
    clock_free(clock);
}

/* Who calls a forwarded port is heard though the guest has said nothing, and is somebody outside to wait for. */
static void test_user_listens(void **state)
{
    Clock             *clock = clock_new();
    Card               card = { .got = g_byte_array_new() };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t          len = sizeof(at);
    int                fd = socket(AF_INET, SOCK_STREAM, 0), caller = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0); /* for a port that nobody has */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    g_autofree char *option = g_strdup_printf("user,id=u,hostfwd=tcp:127.0.0.1:%u-10.0.2.15:80", ntohs(at.sin_port));
    Netdev          *n = netdev_new(option, clock, NULL);

    assert_non_null(n);
    assert_true(netdev_any_live());
    assert_int_equal(clock_next_deadline(clock), INT64_MAX);
    assert_true(netdev_set_client(n, &card_client, &card));
    assert_int_equal(connect(caller, (struct sockaddr *)&at, sizeof(at)), 0);
    for (unsigned i = 0; i < 10; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    clock_advance(clock, 1000000);
    assert_int_equal(card.n, 1); /* who is 10.0.2.15? */
    assert_int_equal(be16_get(card.got->data + 4 + 12), 0x0806);
    close(caller);
    g_byte_array_free(card.got, TRUE);
    netdev_free_all();
    assert_false(netdev_any_live());
    clock_free(clock);
}

/* ---- frames over a socket ---- */

typedef struct Wire {
    Clock  *clock;
    Card    card[2]; /* of the server, of the client */
    Netdev *n[2];
    int     fd; /* a peer by hand in place of the client; -1: none */
} Wire;

static void wire_run(Wire *w)
{
    for (unsigned i = 0; i < 50; i++) {
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        clock_advance(w->clock, clock_now(w->clock) + 1000000);
    }
}

static Wire wire_new(const char *more, bool by_hand)
{
    Wire             w = { .clock = clock_new(), .fd = -1 };
    g_autofree char *at = g_strdup_printf("addr.type=unix,addr.path=%s/wire%s", dir, more);
    g_autofree char *server = g_strdup_printf("stream,id=s,server=on,%s", at);
    g_autofree char *client = g_strdup_printf("stream,id=c,%s", at);

    for (int i = 0; i < 2 - by_hand; i++) {
        w.card[i].got = g_byte_array_new();
        w.n[i] = netdev_new(i == 0 ? server : client, w.clock, NULL);
        assert_non_null(w.n[i]);
    }
    if (by_hand) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        snprintf(un.sun_path, sizeof(un.sun_path), "%s/wire", dir);
        w.fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(w.fd, (struct sockaddr *)&un, sizeof(un)), 0);
    }
    return w;
}

/* The cards are where they stay only now. */
static void wire_plug(Wire *w)
{
    for (unsigned i = 0; i < 2 && w->n[i] != NULL; i++) {
        assert_true(netdev_set_client(w->n[i], &card_client, &w->card[i]));
    }
    wire_run(w);
}

static void wire_free(Wire *w)
{
    netdev_free_all();
    for (unsigned i = 0; i < 2; i++) {
        if (w->card[i].got != NULL) {
            g_byte_array_free(w->card[i].got, TRUE);
        }
    }
    if (w->fd >= 0) {
        close(w->fd);
    }
    clock_free(w->clock);
}

/* QEMU's older words: the same wire over TCP. */
static void test_socket_words(void **state)
{
    static uint8_t     frame[60] = { 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 0x88, 0xb5, 'x' };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t          len = sizeof(at);
    int                fd = socket(AF_INET, SOCK_STREAM, 0);
    Wire               w = { .clock = clock_new(), .fd = -1 };

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0); /* for a port that nobody has */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    for (unsigned i = 0; i < 2; i++) {
        g_autofree char *option = g_strdup_printf("socket,id=n%u,%s:%u", i, i == 0 ? "listen=" : "connect=127.0.0.1",
                                                  ntohs(at.sin_port));

        w.card[i].got = g_byte_array_new();
        w.n[i] = netdev_new(option, w.clock, NULL);
        assert_non_null(w.n[i]);
    }
    wire_plug(&w);
    for (unsigned i = 0; i < 2; i++) {
        netdev_send(w.n[i], frame, sizeof(frame), NULL);
        wire_run(&w);
        assert_int_equal(w.card[!i].n, 1);
        assert_memory_equal(w.card[!i].got->data + 4, frame, sizeof(frame));
    }
    wire_free(&w);
    assert_false(netdev_any_live());
}

/* A socket that is the other end of an interface; -1: this is not ours to have. */
static int packet_socket(const char *name)
{
    struct ifreq       r = { 0 };
    int                fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(0x88b5));
    struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5) };

    strcpy(r.ifr_name, name);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) != 0) {
        return -1;
    }
    r.ifr_flags |= IFF_UP;
    at.sll_ifindex = (int)if_nametoindex(name);
    return ioctl(fd, SIOCSIFFLAGS, &r) == 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? fd : -1;
}

/* Frames cross an interface of the host both ways, by its name and as a descriptor without offloads. */
static void test_tap(void **state)
{
    static uint8_t frame[60] = { 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 0x88, 0xb5, 'x' };

    for (unsigned by_fd = 0; by_fd < 2; by_fd++) {
        Clock           *clock = clock_new();
        Card             card = { .got = g_byte_array_new() };
        struct ifreq     r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
        g_autofree char *name = g_strdup_printf("bailey%u", (unsigned)getpid() % 100000000);
        int              tun = by_fd ? open("/dev/net/tun", O_RDWR) : -1;

        strcpy(r.ifr_name, name);
        bool             made = tun >= 0 && ioctl(tun, TUNSETIFF, &r) == 0;
        g_autofree char *option = made ? g_strdup_printf("tap,id=t,fd=%d", tun)
                                       : g_strdup_printf("tap,id=t,ifname=%s,script=no", name);
        Netdev          *n = by_fd && !made ? NULL : netdev_new(option, clock, NULL);
        int              fd = n != NULL ? packet_socket(name) : -1;
        uint8_t          got[sizeof(frame)];

        if (fd < 0) {
            netdev_free_all();
            g_byte_array_free(card.got, TRUE);
            clock_free(clock);
            skip(); /* interfaces are not ours to make */
        }
        assert_true(netdev_any_live());
        assert_true(netdev_set_client(n, &card_client, &card));
        netdev_send(n, frame, sizeof(frame), NULL);
        for (unsigned i = 0; i < 100 && recv(fd, got, sizeof(got), 0) != sizeof(got); i++) {
            g_usleep(1000);
        }
        assert_memory_equal(got, frame, sizeof(frame));
        g_byte_array_set_size(card.got, 0);
        assert_int_equal(send(fd, frame, sizeof(frame), 0), sizeof(frame));
        bool seen = false;
        for (unsigned i = 0; i < 100 && !seen; i++) { /* the host may say things of its own on it */
            g_main_context_iteration(NULL, FALSE);
            clock_advance(clock, clock_now(clock) + 1000000);
            for (guint at = 0; at < card.got->len && !seen; at += 4 + le32_get(card.got->data + at)) {
                seen = le32_get(card.got->data + at) == sizeof(frame) &&
                       memcmp(card.got->data + at + 4, frame, sizeof(frame)) == 0;
            }
            g_usleep(1000);
        }
        assert_true(seen);
        netdev_free_all();
        assert_false(netdev_any_live());
        if (by_fd) { /* as after a reset of the machine */
            assert_non_null(netdev_new(option, clock, NULL));
            netdev_free_all();
            close(tun);
        }
        close(fd);
        g_byte_array_free(card.got, TRUE);
        clock_free(clock);
    }
}

/* Two machines, in both directions, more than either has room for at once. */
static void test_stream(void **state)
{
    static const char *const options[] = { "", ",vnet-hdr=on" };

    for (unsigned k = 0; k < 2; k++) {
        Wire    w = wire_new(options[k], false);
        uint8_t frame[1500];

        wire_plug(&w);
        assert_true(netdev_any_live());
        w.card[1].down = true; /* it takes nothing yet: what does not fit waits here, in the socket and there */
        for (unsigned i = 0; i < 1200; i++) {
            memset(frame, (int)i, sizeof(frame));
            netdev_send(w.n[0], frame, sizeof(frame) - i, NULL);
            if (i < 3) {
                netdev_send(w.n[1], frame, sizeof(frame), NULL);
            }
            wire_run(&w);
        }
        assert_int_equal(w.card[0].n, 3);
        assert_int_equal(w.card[1].n, 0);
        w.card[1].down = false;
        netdev_accept_input(w.n[1]);
        wire_run(&w);
        assert_int_equal(w.card[1].n, 1200);
        size_t at = 0;
        for (unsigned i = 0; i < 1200; i++) {
            assert_int_equal(le32_get(w.card[1].got->data + at), 1500 - i);
            assert_int_equal(w.card[1].got->data[at + 4], (uint8_t)i);
            assert_int_equal(w.card[1].got->data[at + 4 + 1500 - i - 1], (uint8_t)i);
            at += 4 + 1500 - i;
        }
        /* The server goes: the client is not live any more, and sends to nobody. */
        netdev_free(w.n[0]);
        wire_run(&w);
        assert_false(netdev_any_live());
        netdev_send(w.n[1], frame, sizeof(frame), NULL);
        wire_free(&w);
    }
}

/* What a peer sends by hand: how many frames come of it, and whether it is still there. */
typedef struct WireCase {
    const char *name, *option;
    uint8_t     bytes[24];
    size_t      len;
    unsigned    frames;
    bool        stays;
} WireCase;

static const WireCase wire_cases[] = {
    { "one frame", "", { 0, 0, 0, 3, 1, 2, 3 }, 7, 1, true },
    { "one and a part", "", { 0, 0, 0, 3, 1, 2, 3, 0, 0, 0 }, 10, 1, true },
    { "two at once", "", { 0, 0, 0, 1, 1, 0, 0, 0, 2, 1, 2 }, 11, 2, true },
    { "nothing in it", "", { 0, 0, 0, 0 }, 4, 0, false },
    { "too long", "", { 0, 1, 0, 33 }, 4, 0, false },
    { "as long as may be", "", { 0, 1, 0, 32 }, 4, 0, true },
    { "far too long", "", { 0xff, 0xff, 0xff, 0xff }, 4, 0, false },
    { "with a header", ",vnet-hdr=on", { 0, 0, 0, 12, 2, [14] = 7, 8 }, 16, 1, true },
    { "a header only", ",vnet-hdr=on", { 0, 0, 0, 10, 0 }, 14, 0, false },
    { "a header that is none", ",vnet-hdr=on", { 0, 0, 0, 12, 0, 99, [14] = 7, 8 }, 16, 0, false },
    { "parts of no size", ",vnet-hdr=on", { 0, 0, 0, 12, 1, 1, [14] = 7, 8 }, 16, 0, false },
    { "a sum outside", ",vnet-hdr=on", { 0, 0, 0, 12, 1, 0, 0, 0, 0, 0, 9, 9, 9, 9, 7, 8 }, 16, 0, true },
    { "to be cut, but no packet", ",vnet-hdr=on", { 0, 0, 0, 12, 1, 1, 0, 0, 9, 9, 9, 9, 9, 9, 7, 8 }, 16, 0, true },
};

static void test_stream_hostile(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(wire_cases); i++) {
        const WireCase *c = &wire_cases[i];
        Wire            w = wire_new(c->option, true);
        char            byte;

        print_message("%s\n", c->name);
        wire_plug(&w);
        for (size_t b = 0; b < c->len; b++) { /* byte by byte; sent away before the last, as may be */
            assert_true(send(w.fd, c->bytes + b, 1, MSG_NOSIGNAL) == 1 || !c->stays);
            wire_run(&w);
        }
        assert_int_equal(w.card[0].n, c->frames);
        assert_int_equal(recv(w.fd, &byte, 1, MSG_DONTWAIT), c->stays ? -1 : 0);
        /* Another one can come. */
        close(w.fd);
        wire_run(&w);
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        snprintf(un.sun_path, sizeof(un.sun_path), "%s/wire", dir);
        w.fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(w.fd, (struct sockaddr *)&un, sizeof(un)), 0);
        wire_run(&w);
        const WireCase *good = &wire_cases[c->option[0] == '\0' ? 0 : 7]; /* at once, too */
        assert_int_equal(send(w.fd, good->bytes, good->len, 0), good->len);
        wire_run(&w);
        assert_int_equal(w.card[0].n, c->frames + 1);
        wire_free(&w);
    }
}

static const ErrorCase netdev_errors[] = {
    { "stream,id=x", "does not say where" },
    { "stream,id=x,addr.type=unix", "does not say where" },
    { "stream,id=x,addr.type=inet,addr.host=here,addr.port=1", "numeric address" },
    { "stream,id=x,addr.type=inet,addr.port=0", "does not say where" },
    { "stream,id=x,addr.type=unix,addr.path=/nonexistent/a", "start the other side first" },
    { "stream,id=x,server=on,addr.type=unix,addr.path=/nonexistent/a", "choose another address" },
    { "stream,id=x,hostfwd=tcp::1-:1", "use id, server" },
    { "bridge,id=x", "no back end 'bridge'; use user, stream, socket, tap" },
    { "tap,id=x", "ifname=NAME or fd=NUMBER, one of them" },
    { "tap,id=x,ifname=a,fd=3", "ifname=NAME or fd=NUMBER, one of them" },
    { "tap,id=x,ifname=", "no name of an interface" },
    { "tap,id=x,ifname=sixteencharacter", "no name of an interface" },
    { "tap,id=x,ifname=a,script=/etc/qemu-ifup", "no script is run" },
    { "tap,id=x,fd=0", "no open TAP interface" },
    { "tap,id=x,fd=x", "no open TAP interface" },
    { "socket,id=x", "does not say where: listen=" },
    { "socket,id=x,listen=:1,connect=:2", "does not say where: listen=" },
    { "socket,id=x,connect=here:1", "numeric address" },
    { "socket,id=x,connect=127.0.0.1:0", "does not say where" },
    { "socket,id=x,connect=127.0.0.1:1", "start the other side first" },
    { "user", "needs an id" },
    { "user,id=x,colour=red", "'colour'" },
    { "user,id=x,hostfwd=banana", "is not tcp|udp" },
    { "user,id=x,hostfwd=tcp::0-:80", "is not tcp|udp" },
    { "user,id=x,hostfwd=tcp::99999-:80", "is not tcp|udp" },
    { "user,id=x,net=300.1.1.1", "is not an IPv4 address" },
    { "user,id=x,restrict=maybe", "restrict=maybe in -netdev user,id=x,restrict=maybe is neither on nor off" },
    { "user,id=x,ipv4=", "neither on nor off" },
    { "stream,id=x,server=2,addr.type=inet,addr.port=1", "neither on nor off" },
    { "stream,id=x,vnet-hdr=ON,addr.type=inet,addr.port=1", "neither on nor off" },
};

static void test_netdev_errors(void **state)
{
    Clock *clock = clock_new();

    for (size_t i = 0; i < ARRAY_LEN(netdev_errors); i++) {
        GError *error = NULL;

        print_message("%s\n", netdev_errors[i].option);
        assert_null(netdev_new(netdev_errors[i].option, clock, &error));
        assert_non_null(strstr(error->message, netdev_errors[i].error));
        g_error_free(error);
    }
    assert_null(netdev_find("x"));
    clock_free(clock);
}

/* ---- disk images ---- */

static char *image(const char *name, size_t len)
{
    char *path = g_strdup_printf("%s/%s", dir, name);
    char *zero = g_malloc0(len + 1);

    assert_true(g_file_set_contents(path, zero, (gssize)len, NULL));
    g_free(zero);
    return path;
}

typedef struct BlockCase {
    const char *name;
    size_t      len;
    const char *words;
    const char *error; /* NULL: opens */
} BlockCase;

static const BlockCase block_cases[] = {
    { "plain", 1024, "", NULL },
    { "read-only", 1024, ",readonly=on", NULL },
    { "odd size", 1000, "", "it is 1000 bytes, not a multiple of the 512-byte sector; pad it" },
    { "empty", 0, "", "it is empty" },
    { "other format", 1024, ",format=vmdk", "its format is vmdk, which is not supported; convert it" },
    { "other bus", 1024, ",if=ide", "if=ide is not supported" },
    { "flash", 1024, ",if=pflash,unit=1", NULL },
    { "bad unit", 1024, ",if=pflash,unit=-1", "unit=-1 is not a number from 0 to 9" },
    { "bad flag", 1024, ",snapshot=maybe", "neither on nor off" },
    { "unknown word", 1024, ",colour=red", "no 'colour'" },
};

static void test_block_open(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(block_cases); i++) {
        const BlockCase *c = &block_cases[i];
        GError          *error = NULL;
        char            *path = image("disk", c->len);
        char            *option = g_strdup_printf("file=%s,id=d%s", path, c->words);
        Blockdev        *b = blockdev_new(option, &error);

        print_message("%s\n", c->name);
        if (c->error == NULL) {
            assert_non_null(b);
            assert_int_equal(blockdev_size(b), c->len);
            assert_null(blockdev_new(option, NULL)); /* the id is taken */
        } else {
            assert_null(b);
            assert_non_null(strstr(error->message, c->error));
            g_error_free(error);
        }
        blockdev_free_all();
        g_free(option);
        g_free(path);
    }
    assert_null(blockdev_new("id=x", NULL));
    assert_null(blockdev_new("file=/nonexistent/disk", NULL));
}

static void test_block_data(void **state)
{
    char    *path = image("disk", 200 * 1024);
    uint8_t  w[70000], r[70000], raw = 0;

    memset(w, 0xa5, sizeof(w));
    for (unsigned snapshot = 0; snapshot < 2; snapshot++) {
        char     *option = g_strdup_printf("file=%s,snapshot=%s", path, snapshot ? "on" : "off");
        Blockdev *b = blockdev_new(option, NULL);
        FILE     *f;

        w[0] = (uint8_t)snapshot;
        assert_true(blockdev_write(b, 65000, w, sizeof(w))); /* over cluster ends */
        assert_true(blockdev_read(b, 65000, r, sizeof(r)));
        assert_memory_equal(w, r, sizeof(w));
        assert_true(blockdev_read(b, 64999, r, 2));
        assert_int_equal(r[0], 0);
        assert_true(blockdev_write(b, 200 * 1024 - 1, w, 1)); /* a last cluster that is not whole */
        assert_false(blockdev_write(b, 200 * 1024, w, 1));
        assert_false(blockdev_read(b, ~0ull, r, 2));
        assert_true(blockdev_flush(b));
        f = fopen(path, "rb");
        assert_int_equal(fseek(f, 65000, SEEK_SET), 0);
        assert_int_equal(fread(&raw, 1, 1, f), 1);
        assert_int_equal(raw, 0); /* 0 by the plain run, and untouched by the snapshot's 1 */
        fclose(f);
        blockdev_free_all();
        g_free(option);
    }
    char     *option = g_strdup_printf("file=%s,readonly=on", path);
    Blockdev *b = blockdev_new(option, NULL);

    assert_false(blockdev_write(b, 0, w, 1));
    assert_true(blockdev_readonly(b));
    blockdev_free_all();
    g_free(option);
    g_free(path);
}

static int make_dir(void **state)
{
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    const char *const names[] = { "disk", "out", "sock" };

    for (size_t i = 0; i < 3; i++) {
        char *path = g_strdup_printf("%s/%s", dir, names[i]);

        unlink(path);
        g_free(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input),         cmocka_unit_test(test_socket),
        cmocka_unit_test(test_pty),           cmocka_unit_test(test_fd),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_file),          cmocka_unit_test(test_chardev_errors),
        cmocka_unit_test(test_loop),          cmocka_unit_test(test_loop_lengths),
        cmocka_unit_test(test_user),          cmocka_unit_test(test_user_idle),
        cmocka_unit_test(test_user_listens),
        cmocka_unit_test(test_socket_words),  cmocka_unit_test(test_tap),
        cmocka_unit_test(test_stream),        cmocka_unit_test(test_stream_hostile),
        cmocka_unit_test(test_netdev_errors), cmocka_unit_test(test_block_open),
        cmocka_unit_test(test_block_data),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
