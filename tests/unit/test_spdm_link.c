/*
 * The socket that carries SPDM between programs, and the device at its end: frames in pieces, frames that must not be,
 * one requester after the other, and a mailbox that survives what it is given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "tool/spdm_device.h"
#include "tool/spdm_link.h"

enum { PCI_DOE = 2 }; /* in a frame */

static char  dir[] = "/tmp/bailey-test-XXXXXX";
static char *address;

typedef struct Seen {
    unsigned    n_frames, n_came, n_left;
    uint32_t    command;
    GByteArray *payload;
} Seen;

static void on_frame(void *opaque, uint32_t command, const uint8_t *payload, size_t len)
{
    Seen *s = opaque;

    s->n_frames++;
    s->command = command;
    g_byte_array_set_size(s->payload, 0);
    g_byte_array_append(s->payload, payload, (guint)len);
}

static void on_peer(void *opaque, bool here)
{
    Seen *s = opaque;

    *(here ? &s->n_came : &s->n_left) += 1;
}

static const SpdmLinkClient client = { on_frame, on_peer };

/* All that is there to be seen, seen. */
static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static int connect_to(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int                fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    strcpy(a.sun_path, address + strlen("unix:"));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    settle();
    return fd;
}

static void send_words(int fd, unsigned n, const uint32_t *words)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t b[4];

        be32_put(b, words[i]);
        assert_int_equal(write(fd, b, sizeof(b)), sizeof(b));
    }
}

static bool is_hung_up(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_pieces(void **state)
{
    Seen           s = { .payload = g_byte_array_new() };
    SpdmLink      *l = spdm_link_new(address, SPDM_OVER_DOE, true, &client, &s, NULL);
    const uint32_t head[] = { SPDM_LINK_TEST, PCI_DOE, 5 };
    uint8_t        back[12 + 2];
    int            fd;

    assert_non_null(l);
    fd = connect_to();
    assert_int_equal(s.n_came, 1);
    send_words(fd, 2, head);
    settle();
    send_words(fd, 1, head + 2);
    assert_int_equal(write(fd, "hel", 3), 3);
    settle();
    assert_int_equal(s.n_frames, 0);
    assert_int_equal(write(fd, "lo", 2), 2);
    send_words(fd, 3, (const uint32_t[]){ SPDM_LINK_SHUTDOWN, PCI_DOE, 0 }); /* right behind it */
    for (unsigned i = 0; i < 2; i++) {
        settle();
    }
    assert_int_equal(s.n_frames, 2);
    assert_int_equal(s.command, SPDM_LINK_SHUTDOWN);
    assert_int_equal(s.payload->len, 0);
    spdm_link_send(l, SPDM_LINK_NORMAL, "ab", 2);
    assert_int_equal(recv(fd, back, sizeof(back), MSG_WAITALL), sizeof(back));
    assert_memory_equal(back, "\0\0\0\1\0\0\0\2\0\0\0\2ab", sizeof(back));
    close(fd);
    settle();
    assert_int_equal(s.n_left, 1);
    spdm_link_free(l);
    g_byte_array_unref(s.payload);
}

/* Frames that must not be: their sender is dropped, and the next one finds an empty line. */
static void test_refused(void **state)
{
    static const uint32_t bad[][3] = {
        { SPDM_LINK_NORMAL, 1, 4 },                           /* another transport */
        { SPDM_LINK_NORMAL, PCI_DOE, 0x100001 },              /* longer than any object */
        { SPDM_LINK_NORMAL, PCI_DOE, 0xffffffff },
    };
    Seen           s = { .payload = g_byte_array_new() };
    SpdmLink      *l = spdm_link_new(address, SPDM_OVER_DOE, true, &client, &s, NULL);
    const uint32_t good[] = { SPDM_LINK_NORMAL, PCI_DOE, 4, 0x01020304 };

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        int fd = connect_to();

        send_words(fd, 3, bad[i]);
        settle();
        assert_true(is_hung_up(fd));
        assert_int_equal(s.n_left, 2 * i + 1);
        close(fd);
        fd = connect_to();
        send_words(fd, 4, good);
        settle();
        assert_int_equal(s.n_frames, i + 1);
        assert_memory_equal(s.payload->data, "\1\2\3\4", 4);
        send_words(fd, 2, good); /* left unfinished: the next one does not inherit it */
        close(fd);
        settle();
    }
    spdm_link_free(l);
    g_byte_array_unref(s.payload);
}

static void test_no_address(void **state)
{
    GError *error = NULL;

    assert_null(spdm_link_new("nowhere", SPDM_OVER_DOE, false, &client, NULL, &error));
    assert_non_null(strstr(error->message, "has no port"));
    g_clear_error(&error);
    assert_null(spdm_link_new(address, SPDM_OVER_DOE, false, &client, NULL, &error)); /* nobody listens */
    assert_non_null(strstr(error->message, "cannot connect"));
    g_clear_error(&error);
}

/* Objects and what the mailbox makes of them; after each, discovery works. */
static void test_device(void **state)
{
    static const struct {
        const char   *name;
        uint8_t       object[16];
        size_t        len, reply;
        SpdmTransport transport;
    } rows[] = {
        { "discovery", { 1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0 }, 12, 12 },
        { "GET_VERSION", { 1, 0, 1, 0, 3, 0, 0, 0, 0x10, 0x84, 0, 0 }, 12, 20 }, /* two versions */
        { "nothing", { 0 }, 0, 0 },
        { "half a header", { 1, 0, 1, 0 }, 4, 0 },
        { "shorter than its length", { 1, 0, 1, 0, 4, 0, 0, 0, 0x10, 0x84, 0, 0 }, 12, 0 },
        { "longer than its length", { 1, 0, 1, 0, 3, 0, 0, 0, 0x10, 0x84, 0, 0, 0, 0, 0, 0 }, 16, 0 },
        { "length of a header's half", { 1, 0, 1, 0, 1, 0, 0, 0 }, 8, 0 },
        { "unknown type", { 1, 0, 9, 0, 3, 0, 0, 0, 0, 0, 0, 0 }, 12, 0 },
        { "MCTP", { 5, 0x10, 0x84, 0, 0 }, 5, 11, SPDM_OVER_MCTP },
        { "MCTP of another type", { 1, 0x10, 0x84, 0, 0 }, 5, 0, SPDM_OVER_MCTP },
        { "TCP", { 6, 0, 1, 5, 0x10, 0x84, 0, 0 }, 8, 14, SPDM_OVER_TCP },
        { "record of no session", { 1, 0, 2, 0, 3, 0, 0, 0, 1, 2, 3, 4 }, 12, 0 },
    };
    SpdmDevice *d = spdm_device_new(NULL, 1, NULL);
    GByteArray *reply = g_byte_array_new();

    assert_non_null(d);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        spdm_device_exchange(d, rows[i].transport, rows[i].object, rows[i].len, reply);
        if (reply->len != rows[i].reply) {
            fail_msg("%s: %u bytes came back, not %zu", rows[i].name, reply->len, rows[i].reply);
        }
        spdm_device_exchange(d, SPDM_OVER_DOE, rows[0].object, rows[0].len, reply);
        assert_int_equal(reply->len, rows[0].reply);
    }
    g_byte_array_unref(reply);
    spdm_device_free(d);
}

static void test_device_refused(void **state)
{
    GError *error = NULL;

    assert_null(spdm_device_new("tamper=nonsense", 1, &error));
    assert_non_null(strstr(error->message, "tamper=nonsense"));
    g_clear_error(&error);
    assert_null(spdm_device_new("nonsense=1", 1, &error));
    assert_non_null(error);
    g_clear_error(&error);
}

static int make_dir(void **state)
{
    address = mkdtemp(dir) != NULL ? g_strdup_printf("unix:%s/socket", dir) : NULL;
    return address != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    g_free(address);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),     cmocka_unit_test(test_refused),        cmocka_unit_test(test_no_address),
        cmocka_unit_test(test_device),     cmocka_unit_test(test_device_refused),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
