/*
 * A responder elsewhere: what it may answer and what it must not, one row each. A responder that breaks the rules,
 * hangs up or says nothing makes the device silent, and costs its time once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "bits.h"
#include "hw/tdisp/brain.h"
#include "spdm/record.h"

static char  dir[] = "/tmp/bailey-test-XXXXXX";
static char *spec;
static int   server;

typedef struct Row {
    const char *name;
    size_t      len; /* of what the responder sends, before it hangs up or waits */
    uint8_t     bytes[40];
    bool        hangs_up, secured, stays;
    size_t      reply;
} Row;

#define HEAD(len) 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, len
#define OBJECT(type) 1, 0, type, 0, 3, 0, 0, 0, 0x10, 4, 0, 0

static const Row rows[] = {
    /* name                     len  bytes                          hangs up secured stays reply */
    { "an answer", 24, { HEAD(12), OBJECT(1) }, false, false, true, 4 },
    { "a record", 24, { HEAD(12), OBJECT(2) }, false, true, true, 4 },
    { "an answer, then gone", 24, { HEAD(12), OBJECT(1) }, true, false, true, 4 },
    { "a record to a message", 24, { HEAD(12), OBJECT(2) }, false, false, true, 0 },
    { "silence that says so", 12, { HEAD(0) }, false, false, true, 0 },
    { "nothing", 0, { 0 }, false, false, false, 0 },
    { "gone", 0, { 0 }, true, false, false, 0 },
    { "half a header", 5, { 0, 0, 0, 1, 0 }, false, false, false, 0 },
    { "half an answer", 20, { HEAD(12), OBJECT(1) }, false, false, false, 0 },
    { "half an answer, then gone", 20, { HEAD(12), OBJECT(1) }, true, false, false, 0 },
    { "another command", 24, { 0, 0, 0xff, 0xfe, 0, 0, 0, 2, 0, 0, 0, 0 }, false, false, false, 0 },
    { "another transport", 24, { 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 12, OBJECT(1) }, false, false, false, 0 },
    { "too long", 12, { 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 0 }, false, false, false, 0 },
    { "4 GiB", 12, { 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff }, false, false, false, 0 },
    { "discovery", 24, { HEAD(12), OBJECT(0) }, false, false, false, 0 },
    { "wrong length inside", 24, { HEAD(12), 1, 0, 1, 0, 4, 0, 0, 0, 0x10, 4, 0, 0 }, false, false, false, 0 },
};

static void test_rows(void **state)
{
    static const uint8_t version[] = { 0x10, 0x84, 0, 0 };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const Row *row = &rows[i];
        uint8_t    reply[64], sent[24];
        Brain     *b = brain_new(spec, "nic0", 50, NULL);
        int        fd;

        assert_non_null(b);
        fd = accept(server, NULL, NULL);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, row->bytes, row->len), row->len);
        if (row->hangs_up) {
            shutdown(fd, SHUT_WR);
        }
        if (brain_exchange(b, row->secured, version, sizeof(version), reply, sizeof(reply)) != row->reply) {
            fail_msg("%s: not %zu bytes", row->name, row->reply);
        }
        assert_int_equal(recv(fd, sent, sizeof(sent), MSG_WAITALL), sizeof(sent));
        assert_memory_equal(sent, ((uint8_t[]){ HEAD(12), 1, 0, row->secured ? 2 : 1, 0, 3, 0, 0, 0, 0x10, 0x84 }), 22);
        if (!row->stays) { /* it is not asked again */
            assert_int_equal(brain_exchange(b, false, version, sizeof(version), reply, sizeof(reply)), 0);
            assert_true(recv(fd, sent, sizeof(sent), MSG_DONTWAIT) <= 0); /* or reset: it left something unread */
        }
        brain_free(b);
        close(fd);
    }
}

/* The answer must fit the mailbox, the request a message. */
static void test_sizes(void **state)
{
    static const uint8_t answer[] = { HEAD(12), OBJECT(1) };
    static uint8_t       large[2 * SPDM_RECORD_MAX];
    uint8_t              reply[4];
    Brain               *b = brain_new(spec, "nic0", 50, NULL);
    int                  fd = accept(server, NULL, NULL);

    assert_int_equal(brain_exchange(b, false, large, sizeof(large), reply, sizeof(reply)), 0);
    assert_int_equal(write(fd, answer, sizeof(answer)), sizeof(answer));
    assert_int_equal(brain_exchange(b, false, large, 4, reply, sizeof(reply)), 4);
    assert_int_equal(write(fd, answer, sizeof(answer)), sizeof(answer));
    assert_int_equal(brain_exchange(b, false, large, 4, reply, 3), 0);
    brain_free(b);
    close(fd);
}

static void test_no_address(void **state)
{
    static const struct {
        const char *spec, *words;
    } bad[] = {
        { "socket", "give socket:" },         { "socket:nowhere", "give socket:" },
        { "builtin", "give socket:" },        { "socket:unix:/nonexistent/socket", "start the responder first" },
        { "socket:127.0.0.1:x", "cannot connect" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        GError *error = NULL;

        assert_null(brain_new(bad[i].spec, "nic0", 50, &error));
        assert_non_null(strstr(error->message, bad[i].words));
        g_error_free(error);
    }
    brain_free(NULL);
}

static int listen_there(void **state)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    spec = g_strdup_printf("socket:unix:%s/socket", dir);
    strcpy(a.sun_path, spec + strlen("socket:unix:"));
    server = socket(AF_UNIX, SOCK_STREAM, 0);
    return bind(server, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(server, 1) != 0;
}

static int clean_up(void **state)
{
    close(server);
    unlink(spec + strlen("socket:unix:"));
    rmdir(dir);
    g_free(spec);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_sizes), cmocka_unit_test(test_no_address),
    };

    return cmocka_run_group_tests(tests, listen_there, clean_up);
}
