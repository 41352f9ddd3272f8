/*
 * The VNC server's protocol: who gets in, pixels in every format and encoding, what is sent and what is not, input, and
 * clients that break rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "bits.h"
#include "bytes.h"
#include "display/rfb.h"

static const uint8_t challenge[RFB_CHALLENGE_LEN] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

/* ---- a head, a keyboard and a pointer ---- */

static unsigned wished_width, n_keys, n_points, last_key, last_x, last_y, last_buttons;
static bool     last_down;

static void on_wish(void *opaque, unsigned width, unsigned height) { wished_width = width; }

static void on_key(void *opaque, unsigned code, bool down)
{
    n_keys++;
    last_key = code;
    last_down = down;
}

static void on_pointer(void *opaque, unsigned x, unsigned y, unsigned buttons)
{
    n_points++;
    last_x = x;
    last_y = y;
    last_buttons = buttons;
}

static const DisplayHeadOps ops = { .wish = on_wish };
static InputSink            sink = { .key = on_key, .pointer = on_pointer };

/* A picture whose pixel (x, y) is red x, green y, blue 0xff. */
static pixman_image_t *make_picture(unsigned width, unsigned height)
{
    pixman_image_t *p = pixman_image_create_bits(PIXMAN_x8r8g8b8, (int)width, (int)height, NULL, 0);

    for (unsigned y = 0; y < height; y++) {
        for (unsigned x = 0; x < width; x++) {
            pixman_image_get_data(p)[y * (unsigned)pixman_image_get_stride(p) / 4 + x] = x << 16 | y << 8 | 0xff;
        }
    }
    return p;
}

static DisplayHead *make_head(unsigned width, unsigned height)
{
    DisplayHead    *h = display_head_new("head", &ops, NULL);
    pixman_image_t *p = make_picture(width, height);

    display_head_show(h, p);
    pixman_image_unref(p);
    n_keys = n_points = wished_width = 0;
    return h;
}

/* ---- a client ---- */

static const char *send(Rfb *r, const void *bytes, size_t len) { return rfb_receive(r, bytes, len); }
#define SEND(r, ...) send(r, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define ASK(r, incremental, width, height) SEND(r, 3, incremental, 0, 0, 0, 0, 0, width, 0, height)

/* What came since the last time. */
static GByteArray *took;

static const uint8_t *take(Rfb *r)
{
    GByteArray *out = rfb_output(r);

    if (took == NULL) {
        took = g_byte_array_new();
    }
    g_byte_array_set_size(took, 0);
    g_byte_array_append(took, out->data, out->len);
    g_byte_array_set_size(out, 0);
    return took->data;
}

static const uint8_t *update(Rfb *r)
{
    rfb_update(r);
    return take(r);
}

static Rfb *connect_to(DisplayHead *h)
{
    Rfb *r = rfb_new(NULL, challenge);

    rfb_look_at(r, h);
    assert_null(send(r, "RFB 003.008\n", 12));
    assert_null(SEND(r, 1, 1));
    assert_true(rfb_is_open(r));
    (void)take(r);
    return r;
}

static void test_handshake(void **state)
{
    DisplayHead *h = make_head(20, 10);
    Rfb         *r = rfb_new(NULL, challenge);

    rfb_look_at(r, h);
    assert_memory_equal(take(r), "RFB 003.008\n", 12);
    assert_null(send(r, "RFB 003", 7)); /* in pieces */
    assert_null(send(r, ".008\n", 5));
    assert_memory_equal(take(r), "\1\1", 2);
    assert_null(SEND(r, 1));
    assert_memory_equal(take(r), "\0\0\0\0", 4);
    assert_null(SEND(r, 0));
    (void)take(r);
    assert_int_equal(took->len, 24 + 6);
    assert_int_equal(be16_get(took->data), 20);
    assert_int_equal(be16_get(took->data + 2), 10);
    assert_memory_equal(took->data + 4, "\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0", 13);
    assert_memory_equal(took->data + 20, "\0\0\0\6Bailey", 10);
    rfb_free(r);
    /* Older versions: 3.7 has no result without authentication, in 3.3 the server chooses. */
    r = rfb_new(NULL, challenge);
    (void)take(r);
    assert_null(send(r, "RFB 003.007\n\1\1", 14));
    (void)take(r);
    assert_int_equal(took->len, 2 + 30);
    rfb_free(r);
    r = rfb_new(NULL, challenge);
    (void)take(r);
    assert_null(send(r, "RFB 003.003\n\1", 13));
    (void)take(r);
    assert_int_equal(took->len, 4 + 30);
    assert_int_equal(be32_get(took->data), 1);
    rfb_free(r);
    display_head_free(h);
}

/* The answer to the challenge above with the password "secret12": as OpenSSL's program has it: openssl enc -des-ecb
 * -provider legacy -provider default -nopad -K cea6c64ea62e8c4c. */
static const uint8_t answer[RFB_CHALLENGE_LEN] = {
    0xad, 0xcd, 0x99, 0x7f, 0x8e, 0x16, 0xfe, 0xe5, 0x75, 0xe9, 0x73, 0xf9, 0x3c, 0x2b, 0x62, 0xb4,
};

static void test_password(void **state)
{
    for (unsigned minor = 3; minor <= 8; minor += minor == 3 ? 4 : 1) {
        for (unsigned wrong = 0; wrong < 2; wrong++) {
            Rfb    *r = rfb_new("secret12", challenge);
            uint8_t mine[RFB_CHALLENGE_LEN];
            char    version[13];

            g_snprintf(version, sizeof(version), "RFB 003.%03u\n", minor);
            (void)take(r);
            assert_null(send(r, version, 12));
            if (minor > 3) {
                assert_memory_equal(take(r), "\1\2", 2);
                assert_null(SEND(r, 2));
                assert_memory_equal(take(r), challenge, 16);
            } else {
                assert_memory_equal(take(r), "\0\0\0\2", 4);
                assert_memory_equal(took->data + 4, challenge, 16);
            }
            memcpy(mine, answer, sizeof(mine));
            mine[15] ^= (uint8_t)wrong;
            const char *why = send(r, mine, sizeof(mine));

            assert_int_equal(why != NULL, wrong);
            assert_int_equal(be32_get(take(r)), wrong);
            assert_int_equal(took->len, wrong && minor == 8 ? 4 + 4 + 14 : 4);
            rfb_free(r);
        }
    }
    Rfb *r = rfb_new("secret12", challenge);

    assert_null(send(r, "RFB 003.008\n", 12));
    assert_non_null(SEND(r, 1)); /* without, please */
    rfb_free(r);
}

/* A pixel format, and what the pixel (3, 2) of red 3, green 2, blue 255 is in it. */
typedef struct FormatCase {
    const char *name;
    uint8_t     format[16], pixel[4];
} FormatCase;

static const FormatCase format_cases[] = {
    { "our own", { 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0 }, { 255, 2, 3, 0 } },
    { "big-endian", { 32, 24, 1, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0 }, { 0, 3, 2, 255 } },
    { "red last", { 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16 }, { 3, 2, 255, 0 } },
    { "565", { 16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0 }, { 0x1f, 0 } },
    { "565 big-endian", { 16, 16, 1, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0 }, { 0, 0x1f } },
    { "332", { 8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 0, 3, 6 }, { 0xc0 } },
    { "10 bits a colour", { 32, 30, 0, 1, 3, 255, 3, 255, 3, 255, 20, 10, 0 }, { 0xff, 0x23, 0xc0, 0x00 } },
};

static void test_formats(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(format_cases); i++) {
        const FormatCase *c = &format_cases[i];
        DisplayHead      *h = make_head(20, 10);
        Rfb              *r = connect_to(h);
        uint8_t           message[20] = { 0 };
        unsigned          bytes = c->format[0] / 8;

        print_message("%s\n", c->name);
        memcpy(message + 4, c->format, 16);
        assert_null(send(r, message, sizeof(message)));
        assert_null(ASK(r, 0, 20, 10));
        (void)update(r);
        assert_int_equal(took->len, 4 + 12 + 200 * bytes);
        assert_memory_equal(took->data, "\0\0\0\1\0\0\0\0\0\x14\0\x0a\0\0\0\0", 16);
        assert_memory_equal(took->data + 16 + (2 * 20 + 3) * bytes, c->pixel, bytes);
        rfb_free(r);
        display_head_free(h);
    }
}

/* Two updates in one stream of zlib. */
static void test_zlib(void **state)
{
    DisplayHead *h = make_head(20, 10);
    Rfb         *r = connect_to(h);
    z_stream     z = { 0 };
    uint8_t      pixels[800];

    assert_int_equal(inflateInit(&z), Z_OK);
    assert_null(SEND(r, 2, 0, 0, 2, 0, 0, 0, 6, 0, 0, 0, 0));
    for (unsigned i = 0; i < 2; i++) {
        assert_null(ASK(r, 0, 20, 10));
        (void)update(r);
        assert_int_equal(be32_get(took->data + 12), 6);
        assert_int_equal(be32_get(took->data + 16), took->len - 20);
        z.next_in = took->data + 20;
        z.avail_in = took->len - 20;
        z.next_out = pixels;
        z.avail_out = sizeof(pixels);
        assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
        assert_int_equal(z.avail_out, 0);
        assert_int_equal(z.avail_in, 0);
        assert_int_equal(le32_get(pixels + 4 * (5 * 20 + 7)), 7 << 16 | 5 << 8 | 0xff);
    }
    inflateEnd(&z);
    /* What it likes better counts. */
    assert_null(SEND(r, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 6));
    assert_null(ASK(r, 0, 1, 1));
    (void)update(r);
    assert_int_equal(took->len, 4 + 12 + 4);
    rfb_free(r);
    display_head_free(h);
}

static void test_updates(void **state)
{
    DisplayHead *h = make_head(20, 10);
    Rfb         *r = connect_to(h);

    assert_int_equal((update(r), took->len), 0); /* nobody asked */
    assert_null(ASK(r, 1, 20, 10));
    assert_int_equal((update(r), took->len), 4 + 12 + 800); /* the first is of everything */
    assert_int_equal((update(r), took->len), 0);
    assert_null(ASK(r, 1, 20, 10));
    assert_true(rfb_waits(r));
    assert_int_equal((update(r), took->len), 0); /* no news: it waits */
    rfb_damaged(r, &(pixman_box32_t){ 2, 3, 5, 4 });
    assert_true(rfb_has_news(r));
    assert_memory_equal(update(r), "\0\0\0\1\0\2\0\3\0\3\0\1\0\0\0\0\xff\3\2\0", 20);
    assert_int_equal(took->len, 4 + 12 + 12);
    assert_false(rfb_waits(r));
    /* Outside what was asked for: kept for the next one. */
    assert_null(SEND(r, 3, 1, 0, 0, 0, 0, 0, 5, 0, 5));
    rfb_damaged(r, &(pixman_box32_t){ 10, 7, 11, 8 });
    assert_int_equal((update(r), took->len), 0);
    assert_null(ASK(r, 1, 20, 10));
    assert_int_equal((update(r), took->len), 4 + 12 + 4);
    /* Nothing is made while the last is not taken. */
    assert_null(ASK(r, 0, 20, 10));
    rfb_update(r);
    assert_null(ASK(r, 0, 20, 10));
    rfb_update(r);
    assert_int_equal(rfb_output(r)->len, 4 + 12 + 800);
    (void)take(r);
    assert_int_equal((update(r), took->len), 4 + 12 + 800);
    /* Many small ones become one. */
    for (int i = 0; i < 100; i++) {
        rfb_damaged(r, &(pixman_box32_t){ 2 * (i % 10), i / 10, 2 * (i % 10) + 1, i / 10 + 1 });
        rfb_damaged(r, &(pixman_box32_t){ 2 * (i % 9) + 1, i / 10, 2 * (i % 9) + 1, i / 10 + 1 }); /* empty */
    }
    assert_null(ASK(r, 1, 20, 10));
    assert_in_range(be16_get(update(r) + 2), 1, 64);
    /* Requests beyond the screen, empty ones. */
    assert_null(SEND(r, 3, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
    assert_int_equal((update(r), took->len), 0);
    assert_null(SEND(r, 3, 0, 0, 19, 0, 9, 0xff, 0xff, 0xff, 0xff));
    assert_int_equal((update(r), took->len), 4 + 12 + 4);
    assert_null(ASK(r, 0, 0, 0));
    assert_int_equal((update(r), took->len), 0);
    rfb_free(r);
    display_head_free(h);
}

static void show(DisplayHead *h, Rfb *r, unsigned width, unsigned height)
{
    pixman_image_t *p = make_picture(width, height);

    display_head_show(h, p);
    pixman_image_unref(p);
    rfb_look_at(r, h);
}

static void test_sizes(void **state)
{
    DisplayHead *h = make_head(20, 10);
    Rfb         *r = connect_to(h);

    /* One that cannot change its size: cut, and black where there is nothing. */
    show(h, r, 10, 20);
    assert_null(ASK(r, 1, 20, 10));
    assert_int_equal((update(r), took->len), 4 + 12 + 800);
    assert_int_equal(le32_get(took->data + 16 + 4 * 9) & 0xffffff, 9 << 16 | 0xff);
    assert_int_equal(le32_get(took->data + 16 + 4 * 10) & 0xffffff, 0);
    /* DesktopSize. */
    assert_null(SEND(r, 2, 0, 0, 1, 0xff, 0xff, 0xff, 0x21));
    assert_null(ASK(r, 1, 20, 10));
    (void)update(r);
    assert_int_equal(took->len, 4 + 12 + 12 + 800);
    assert_memory_equal(took->data, "\0\0\0\2\0\0\0\0\0\x0a\0\x14\xff\xff\xff\x21\0\0\0\0\0\x0a\0\x14", 24);
    /* A head that goes dark, or away. */
    display_head_show(h, NULL);
    rfb_look_at(r, h);
    assert_null(ASK(r, 1, 20, 10));
    assert_int_equal(be16_get(update(r) + 8), 640);
    rfb_look_at(r, NULL);
    assert_null(ASK(r, 0, 20, 10));
    assert_int_equal((update(r), took->len), 4 + 12 + 800);
    /* ExtendedDesktopSize: said at once; then by a wish. */
    show(h, r, 20, 10);
    assert_null(SEND(r, 2, 0, 0, 1, 0xff, 0xff, 0xfe, 0xcc));
    assert_null(ASK(r, 1, 20, 10));
    assert_memory_equal(update(r), "\0\0\0\2\0\0\0\0\0\x14\0\x0a\xff\xff\xfe\xcc\1\0\0\0\0\0\0\0\0\0\0\0\0\x14\0\x0a",
                        32);
    assert_null(SEND(r, 251, 0, 1, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0));
    assert_int_equal(wished_width, 256);
    assert_null(ASK(r, 1, 20, 10));
    assert_memory_equal(update(r), "\0\0\0\2\0\1\0\4\0\x14\0\x0a", 12); /* forwarded */
    assert_null(SEND(r, 251, 0, 0, 0, 0, 0, 0, 0));
    assert_null(ASK(r, 1, 20, 10));
    assert_memory_equal(update(r), "\0\0\0\2\0\1\0\1\0\x14\0\x0a", 12); /* no */
    rfb_free(r);
    display_head_free(h);
}

static void test_cursor(void **state)
{
    DisplayHead    *h = make_head(20, 10);
    Rfb            *r = connect_to(h);
    pixman_image_t *shape = pixman_image_create_bits(PIXMAN_a8r8g8b8, 2, 2, NULL, 0);

    pixman_image_get_data(shape)[0] = 0xff112233;
    assert_null(ASK(r, 1, 20, 10));
    (void)update(r);
    display_head_cursor(h, shape, 1, 0);
    display_head_cursor_at(h, 3, 4);
    rfb_cursor(r, true);
    assert_null(ASK(r, 1, 20, 10)); /* we draw it: what it covers is sent */
    assert_memory_equal(update(r), "\0\0\0\1\0\3\0\4\0\2\0\2\0\0\0\0\x33\x22\x11", 19);
    assert_int_equal(le32_get(took->data + 20), 4 << 16 | 4 << 8 | 0xff);
    display_head_cursor_at(h, 10, 4);
    rfb_cursor(r, false);
    assert_null(ASK(r, 1, 20, 10)); /* where it was, and where it is */
    assert_int_equal(be16_get(update(r) + 2), 2);
    /* The client draws it. */
    assert_null(SEND(r, 2, 0, 0, 1, 0xff, 0xff, 0xff, 0x11));
    assert_null(ASK(r, 1, 20, 10));
    assert_memory_equal(update(r), "\0\0\0\2\0\1\0\0\0\2\0\2\xff\xff\xff\x11", 16);
    assert_int_equal(le32_get(took->data + 16) & 0xffffff, 0x112233);
    assert_memory_equal(took->data + 32, "\x80\0", 2);
    assert_null(ASK(r, 1, 20, 10));
    display_head_cursor_at(h, 1, 1);
    rfb_cursor(r, false);
    assert_int_equal((update(r), took->len), 0); /* where its own is it knows */
    display_head_cursor(h, NULL, 0, 0);
    rfb_cursor(r, true);
    assert_memory_equal(update(r), "\0\0\0\1\0\0\0\0\0\0\0\0\xff\xff\xff\x11", 16);
    pixman_image_unref(shape);
    rfb_free(r);
    display_head_free(h);
}

static void test_input(void **state)
{
    DisplayHead *h = make_head(101, 51);
    Rfb         *r = connect_to(h);

    input_attach(&sink);
    assert_null(SEND(r, 4, 1, 0, 0, 0, 0, 0, 'a'));
    assert_int_equal(last_key, 30);
    assert_true(last_down);
    assert_null(SEND(r, 4, 0, 0, 0, 0, 0, 0, 'a'));
    assert_false(last_down);
    assert_null(SEND(r, 4, 1, 0, 0, 0, 0, 0x4e, 0x8c)); /* a character that the keyboard does not have */
    assert_int_equal(n_keys, 2);
    assert_null(SEND(r, 255, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x9c)); /* the keypad's Enter by its scan code */
    assert_int_equal(last_key, 96);
    assert_null(SEND(r, 5, 1, 0, 50, 0, 50));
    assert_int_equal(last_x, INPUT_AXIS_MAX / 2);
    assert_int_equal(last_y, INPUT_AXIS_MAX);
    assert_int_equal(last_buttons, 1);
    assert_null(SEND(r, 5, 1, 0xff, 0xff, 0, 0));
    assert_int_equal(last_x, INPUT_AXIS_MAX);
    /* A text is skipped, in the same bytes and in later ones. */
    assert_null(SEND(r, 6, 0, 0, 0, 0, 0, 0, 3, 9, 9, 9, 4, 1, 0, 0, 0, 0, 0, 'b'));
    assert_int_equal(last_key, 48);
    assert_null(SEND(r, 6, 0, 0, 0, 0, 0, 0, 3, 9));
    assert_null(SEND(r, 9, 9, 4, 0, 0, 0, 0, 0, 0, 'b'));
    assert_int_equal(last_key, 48);
    n_keys = n_points = 0;
    rfb_free(r); /* still pressed: Enter, and a button */
    assert_int_equal(n_keys, 1);
    assert_int_equal(last_key, 96);
    assert_false(last_down);
    assert_int_equal(n_points, 1);
    assert_int_equal(last_buttons, 0);
    input_detach(&sink);
    display_head_free(h);
}

static void test_keys(void **state)
{
    static const struct {
        uint32_t keysym;
        unsigned code;
    } cases[] = {
        { ' ', 57 }, { '1', 2 },  { '!', 2 },     { '0', 11 },     { ')', 11 },     { 'q', 16 },      { 'Z', 44 },
        { '-', 12 }, { '_', 12 }, { '`', 41 },    { '~', 41 },     { '[', 26 },     { '\\', 43 },     { '|', 43 },
        { ';', 39 }, { '"', 40 }, { '?', 53 },    { '<', 51 },     { 0xff0d, 28 },  { 0xff1b, 1 },    { 0xffbe, 59 },
        { 0xffc9, 88 }, { 0xffff, 111 }, { 0xffe3, 29 }, { 0xff52, 103 }, { 0x7f, 0 }, { 0x1000041, 0 }, { 0, 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(rfb_key_of(cases[i].keysym), cases[i].code);
    }
    assert_int_equal(rfb_key_of_xt(1), 1);
    assert_int_equal(rfb_key_of_xt(0x58), 88);
    assert_int_equal(rfb_key_of_xt(0xc8), 103);
    assert_int_equal(rfb_key_of_xt(0x59), 0);
    assert_int_equal(rfb_key_of_xt(0xffffffff), 0);
}

/* What ends a connection. */
static void test_rude(void **state)
{
    static const struct {
        const char *name;
        uint8_t     bytes[24];
        size_t      len;
    } cases[] = {
        { "no such message", { 1 }, 1 },
        { "colour map", { 0, 0, 0, 0, 8, 8, 0, 0, 0, 7, 0, 7, 0, 3, 0, 3, 6 }, 20 },
        { "24 bits", { 0, 0, 0, 0, 24, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0 }, 20 },
        { "colour beyond the pixel", { 0, 0, 0, 0, 16, 16, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0 }, 20 },
        { "shift beyond the word", { 0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 255, 8, 0 }, 20 },
        { "colour of 16 bits beyond", { 0, 0, 0, 0, 32, 24, 0, 1, 255, 255, 0, 255, 0, 255, 24, 8, 0 }, 20 },
        { "too many encodings", { 2, 0, 255, 255 }, 4 },
        { "QEMU's audio", { 255, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 }, 12 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Rfb *r = connect_to(NULL);

        print_message("%s\n", cases[i].name);
        assert_non_null(send(r, cases[i].bytes, cases[i].len));
        rfb_free(r);
    }
    Rfb *r = rfb_new(NULL, challenge);

    assert_non_null(send(r, "GET / HTTP/1.1\r\n", 16));
    rfb_free(r);
    r = rfb_new(NULL, challenge);
    assert_null(send(r, "RFB 003.008\n", 12));
    assert_non_null(SEND(r, 16));
    rfb_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake), cmocka_unit_test(test_password), cmocka_unit_test(test_formats),
        cmocka_unit_test(test_zlib),      cmocka_unit_test(test_updates),  cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_cursor),    cmocka_unit_test(test_input),    cmocka_unit_test(test_keys),
        cmocka_unit_test(test_rude),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
