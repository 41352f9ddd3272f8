/*
 * The VNC server: what its option takes, and clients on its socket: one that looks, one that floods, one too many.
 */
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
#include <glib/gstdio.h>

#include "bits.h"
#include "display/display.h"
#include "display/vnc.h"
#include "live.h"

static char *folder;

static Vnc *open_vnc(const char *text, GError **error)
{
    OptionList *l = option_list_parse(text);
    Vnc        *s = vnc_new(l, error);

    option_list_free(l);
    return s;
}

/* ---- the option ---- */

static void test_option(void **state)
{
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        { "vnc=1", "names no display" },
        { "vnc=:100", "names no display" },
        { "vnc=:-1", "names no display" },
        { "vnc=:", "names no display" },
        { "vnc=somewhere.example:1", "names no display" },
        { "vnc=0.0.0.0:99", "add password-file=FILE" },
        { "vnc=[::]:99", "add password-file=FILE" },
        { "vnc=:99,passwd=x", "'passwd'" },
        { "vnc=:99,password-file=/nowhere/at/all", "cannot read password-file=/nowhere/at/all" },
        { "vnc=:99,password-file=LONG", "has 9 characters" },
        { "vnc=:99,password-file=EMPTY", "has 0 characters" },
        { "vnc=unix:/nowhere/at/all", "cannot listen at vnc=unix:/nowhere/at/all" },
    };
    g_autofree char *long_file = g_build_filename(folder, "LONG", NULL);
    g_autofree char *empty = g_build_filename(folder, "EMPTY", NULL);

    assert_true(g_file_set_contents(long_file, "123456789\n", -1, NULL));
    assert_true(g_file_set_contents(empty, "\n", -1, NULL));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        GString *text = g_string_new(bad[i].text);
        GError  *error = NULL;

        g_string_replace(text, "LONG", long_file, 1);
        g_string_replace(text, "EMPTY", empty, 1);
        print_message("%s\n", bad[i].text);
        assert_null(open_vnc(text->str, &error));
        assert_non_null(strstr(error->message, bad[i].sentence));
        g_error_free(error);
        g_string_free(text, TRUE);
    }
    g_unlink(long_file);
    g_unlink(empty);
}

/* ---- clients ---- */

static int live;

static void on_live(void *opaque, int delta) { live += delta; }

static void settle(void)
{
    for (unsigned i = 0; i < 200; i++) {
        g_usleep(200);
        while (g_main_context_iteration(NULL, FALSE)) {
        }
    }
}

static int dial(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_strlcpy(a.sun_path, path, sizeof(a.sun_path));
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    settle();
    return fd;
}

/* What is there to be read; -1: nothing, 0: hung up. */
static ssize_t hear(int fd, uint8_t *buf, size_t len)
{
    settle();
    return recv(fd, buf, len, MSG_DONTWAIT);
}

static void say(int fd, const char *bytes, size_t len) { assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len); }

static void test_clients(void **state)
{
    static const DisplayHeadOps ops = { 0 };
    static uint8_t              buf[1 << 20];
    g_autofree char            *path = g_build_filename(folder, "vnc", NULL);
    g_autofree char            *option = g_strdup_printf("vnc=unix:%s,head=second", path);
    int                         more[20];
    unsigned                    n_more = 0;

    live_set_hook(on_live, NULL);
    Vnc *s = open_vnc(option, NULL);

    assert_non_null(s);
    assert_int_equal(live, 1);
    assert_null(open_vnc(option, NULL)); /* taken */
    DisplayHead    *first = display_head_new("first", &ops, NULL), *second = display_head_new("second", &ops, NULL);
    pixman_image_t *p = pixman_image_create_bits(PIXMAN_x8r8g8b8, 8, 4, NULL, 0);

    display_head_show(second, p);
    int fd = dial(path);

    say(fd, "RFB 003.008\n\1\1", 14);
    assert_int_equal(hear(fd, buf, sizeof(buf)), 12 + 2 + 4 + 24 + 6);
    say(fd, "\3\0\0\0\0\0\0\x08\0\4", 10);
    assert_int_equal(hear(fd, buf, sizeof(buf)), 4 + 12 + 128);
    say(fd, "\3\1\0\0\0\0\0\x08\0\4", 10);
    assert_int_equal(hear(fd, buf, sizeof(buf)), -1); /* it waits */
    pixman_image_get_data(p)[0] = 0x123456;
    display_head_damage(first, 0, 0, 1, 1); /* another one's */
    assert_int_equal(hear(fd, buf, sizeof(buf)), -1);
    display_head_damage(second, 0, 0, 1, 1);
    assert_int_equal(hear(fd, buf, sizeof(buf)), 4 + 12 + 4);
    assert_memory_equal(buf + 16, "\x56\x34\x12", 3);
    /* The machine resets: its heads go, and come again. */
    say(fd, "\3\1\0\0\0\0\0\x08\0\4", 10);
    display_head_free(second);
    assert_int_equal(hear(fd, buf, sizeof(buf)), 4 + 12 + 128);
    say(fd, "\3\1\0\0\0\0\0\x08\0\4", 10);
    second = display_head_new("second", &ops, NULL);
    display_head_show(second, p);
    assert_int_equal(hear(fd, buf, sizeof(buf)), 4 + 12 + 128);
    assert_memory_equal(buf + 16, "\x56\x34\x12", 3);
    /* One that takes nothing gets one update, however often it asks. */
    for (unsigned i = 0; i < 100; i++) {
        say(fd, "\3\0\0\0\0\0\0\x08\0\4", 10);
    }
    assert_int_equal(hear(fd, buf, sizeof(buf)) % (4 + 12 + 128), 0);
    /* Others: so many and no more; a rude one is sent away. */
    while (n_more < 20) {
        more[n_more++] = dial(path);
    }
    assert_int_equal(hear(more[14], buf, sizeof(buf)), 12);
    assert_int_equal(hear(more[15], buf, sizeof(buf)), 0);
    say(more[0], "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(hear(more[0], buf, sizeof(buf)), 12);
    assert_int_equal(hear(more[0], buf, sizeof(buf)), 0);
    close(more[1]);
    settle();
    int again = dial(path);

    assert_int_equal(hear(again, buf, sizeof(buf)), 12);
    vnc_free(s);
    assert_int_equal(live, 0);
    assert_int_equal(hear(fd, buf, sizeof(buf)), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    live_set_hook(NULL, NULL);
    for (unsigned i = 0; i < n_more; i++) {
        if (i != 1) {
            close(more[i]);
        }
    }
    close(again);
    close(fd);
    pixman_image_unref(p);
    display_head_free(first);
    display_head_free(second);
}

/* A password, and the socket's own way through it. */
static void test_password(void **state)
{
    g_autofree char *path = g_build_filename(folder, "vnc", NULL), *file = g_build_filename(folder, "secret", NULL);
    g_autofree char *option = g_strdup_printf("vnc=unix:%s,password-file=%s", path, file);
    uint8_t          challenge[2][64];
    GError          *error = NULL;

    assert_true(g_file_set_contents(file, "secret\n", -1, NULL));
    Vnc *s = open_vnc(option, &error);

    assert_non_null(s);
    for (unsigned i = 0; i < 2; i++) {
        int fd = dial(path);

        say(fd, "RFB 003.008\n\2", 13);
        assert_int_equal(hear(fd, challenge[i], sizeof(challenge[i])), 12 + 2 + 16);
        say(fd, "0123456789abcdef", 16);
        assert_int_equal(hear(fd, challenge[i] + 30, 34), 4 + 4 + 14);
        assert_memory_equal(challenge[i] + 30, "\0\0\0\1\0\0\0\x0ewrong password", 22);
        assert_int_equal(hear(fd, challenge[i] + 60, 4), 0);
        close(fd);
    }
    assert_memory_not_equal(challenge[0] + 14, challenge[1] + 14, 16);
    vnc_free(s);
    g_unlink(file);
}

static int make_folder(void **state)
{
    folder = g_dir_make_tmp("bailey-test-XXXXXX", NULL);
    return folder != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    g_rmdir(folder);
    g_free(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_option),
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_password),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
