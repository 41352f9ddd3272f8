/*
 * The display adapter: each command right and wrong, memory that stays bounded, what viewers hear and see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "bytes.h"
#include "display/display.h"
#include "display/edid.h"
#include "virtio_rig.h"

#define REQ    VR_BUFFERS
#define REPLY  (VR_BUFFERS + 0x2000)
#define BACK   (VR_BUFFERS + 0x10000) /* pixels */
#define GPU    "virtio-gpu-pci,id=gpu"

enum {
    GET_DISPLAY_INFO = 0x100, CREATE, UNREF, SET_SCANOUT, FLUSH, TRANSFER, ATTACH, DETACH, GET_EDID = 0x10a,
    UPDATE_CURSOR = 0x300, MOVE_CURSOR,
    OK = 0x1100, UNSPEC = 0x1200, NO_MEMORY, BAD_SCANOUT, BAD_RESOURCE, BAD_CONTEXT, BAD_PARAMETER,
    XRGB = 2,
};

/* What a viewer hears. */
typedef struct Heard {
    unsigned       changed, damaged, cursor;
    pixman_box32_t box;
} Heard;

static void on_changed(void *opaque, DisplayHead *h) { ((Heard *)opaque)->changed++; }
static void on_cursor(void *opaque, DisplayHead *h, bool new_shape) { ((Heard *)opaque)->cursor++; }

static void on_damaged(void *opaque, DisplayHead *h, const pixman_box32_t *box)
{
    ((Heard *)opaque)->damaged++;
    ((Heard *)opaque)->box = *box;
}

/* One request of @n words after the header, with room for @room bytes of an answer: its type, or 0. */
static uint32_t ask_room(VirtioRig *r, unsigned q, uint32_t type, const uint32_t *word, unsigned n, uint32_t room)
{
    for (unsigned i = 0; i < 6; i++) {
        rig_write(r->pci, REQ + 4 * i, 4, i == 0 ? type : 0);
    }
    for (unsigned i = 0; i < n; i++) {
        rig_write(r->pci, REQ + 24 + 4 * i, 4, word[i]);
    }
    rig_write(r->pci, REPLY, 4, 0);
    vr_desc(r, VR_QUEUE(q), 0, REQ, 24 + 4 * n, VIRTQ_DESC_NEXT, 1);
    vr_desc(r, VR_QUEUE(q), 1, REPLY, room, VIRTQ_DESC_WRITE, 0);
    vr_offer(r, q, 0, true);
    return (uint32_t)rig_read(r->pci, REPLY, 4);
}

#define ASK(r, type, ...)                                                                                       \
    ask_room(r, 0, type, (uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, 2048)
#define CURSOR(r, type, ...)                                                                                    \
    ask_room(r, 1, type, (uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, 24)

/* A resource of 64x32 with two pieces of backing, whose pixel (x, y) is 0xyyxx. */
static void make_resource(VirtioRig *r, uint32_t id)
{
    assert_int_equal(ASK(r, CREATE, id, XRGB, 64, 32), OK);
    assert_int_equal(ASK(r, ATTACH, id, 2, (uint32_t)BACK, 0, 0x1000, 0, (uint32_t)BACK + 0x4000, 0, 0x1000, 0), OK);
    for (uint32_t i = 0; i < 64 * 32; i++) {
        uint64_t at = i * 4 < 0x1000 ? BACK + i * 4 : BACK + 0x4000 + i * 4 - 0x1000;

        rig_write(r->pci, at, 4, i / 64 << 8 | i % 64);
    }
}

static uint32_t pixel(pixman_image_t *p, unsigned x, unsigned y)
{
    return pixman_image_get_data(p)[y * (unsigned)pixman_image_get_stride(p) / 4 + x] & 0xffffff;
}

static void test_picture(void **state)
{
    VirtioRig    *r = vr_new(rig_new(), GPU, 0);
    Heard         heard = { 0 };
    DisplayViewer viewer = { on_changed, on_damaged, on_cursor, &heard, NULL };
    DisplayHead  *h = display_head_find("gpu");

    display_watch(&viewer);
    assert_non_null(h);
    assert_null(display_head_picture(h));
    make_resource(r, 7);
    assert_int_equal(ASK(r, SET_SCANOUT, 8, 4, 32, 16, 0, 7), OK);
    assert_int_equal(heard.changed, 1);
    pixman_image_t *p = display_head_picture(h);

    assert_int_equal(pixman_image_get_width(p), 32);
    assert_int_equal(pixman_image_get_height(p), 16);
    assert_int_equal(pixel(p, 0, 0), 0);
    assert_int_equal(ASK(r, TRANSFER, 0, 0, 64, 32, 0, 0, 7, 0), OK); /* whole rows, over both pieces */
    assert_int_equal(pixel(p, 0, 0), 4 << 8 | 8);
    assert_int_equal(pixel(p, 31, 15), 19 << 8 | 39);
    assert_int_equal(ASK(r, FLUSH, 0, 0, 64, 32, 7, 0), OK);
    assert_int_equal(heard.damaged, 1);
    assert_int_equal(heard.box.x1 + heard.box.y1, 0);
    assert_int_equal(heard.box.x2, 32);
    assert_int_equal(heard.box.y2, 16);
    /* A rectangle: its first pixel is at the offset, its rows are a row of the resource apart. */
    rig_write(r->pci, BACK + 0x4000 + 0x200, 4, 0xabcdef);
    assert_int_equal(ASK(r, TRANSFER, 9, 5, 2, 13, 0x200, 0, 7, 0), OK);
    assert_int_equal(pixel(p, 1, 1), 2 << 8);
    assert_int_equal(pixel(p, 2, 1), 2 << 8 | 1);
    assert_int_equal(pixel(p, 3, 1), 5 << 8 | 11);
    assert_int_equal(ASK(r, FLUSH, 0, 0, 8, 32, 7, 0), OK); /* beside the window */
    assert_int_equal(heard.damaged, 1);
    assert_int_equal(ASK(r, FLUSH, 9, 5, 2, 13, 7, 0), OK);
    assert_int_equal(heard.box.x1, 1);
    assert_int_equal(heard.box.y2, 14);
    assert_int_equal(ASK(r, UNREF, 7, 0), OK);
    assert_null(display_head_picture(h));
    make_resource(r, 7); /* the number is free again */
    assert_int_equal(ASK(r, SET_SCANOUT, 0, 0, 64, 32, 0, 7), OK);
    assert_int_equal(ASK(r, SET_SCANOUT, 0, 0, 0, 0, 0, 0), OK);
    assert_null(display_head_picture(h));
    assert_int_equal(ASK(r, SET_SCANOUT, 0, 0, 64, 32, 0, 7), OK);
    vr_start(r, 0); /* a reset takes all of it */
    assert_null(display_head_picture(h));
    assert_int_equal(ASK(r, UNREF, 7, 0), BAD_RESOURCE);
    display_unwatch(&viewer);
    vr_free(r);
    assert_null(display_head_find("gpu"));
}

static void test_formats(void **state)
{
    static const struct {
        uint32_t number;
        uint8_t  byte[4];
    } cases[] = { /* a pixel of red 1, green 2, blue 3 */
        { 1, { 3, 2, 1, 255 } }, { 2, { 3, 2, 1, 0 } },    { 3, { 255, 1, 2, 3 } },   { 4, { 0, 1, 2, 3 } },
        { 67, { 1, 2, 3, 255 } }, { 68, { 0, 3, 2, 1 } }, { 121, { 255, 3, 2, 1 } }, { 134, { 1, 2, 3, 0 } },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        VirtioRig *r = vr_new(rig_new(), GPU, 0);

        assert_int_equal(ASK(r, CREATE, 1, cases[i].number, 1, 1), OK);
        assert_int_equal(ASK(r, ATTACH, 1, 1, (uint32_t)BACK, 0, 4, 0), OK);
        rig_write(r->pci, BACK, 4, le32_get(cases[i].byte));
        assert_int_equal(ASK(r, TRANSFER, 0, 0, 1, 1, 0, 0, 1, 0), OK);
        assert_int_equal(ASK(r, SET_SCANOUT, 0, 0, 1, 1, 0, 1), OK);
        pixman_image_t *p = display_compose(display_head_find("gpu"));

        assert_int_equal(pixel(p, 0, 0), 0x010203);
        pixman_image_unref(p);
        vr_free(r);
    }
}

/* What a driver must not do. Resource 1 is 64x32 with its backing, resource 2 without, 3 backed where nothing is. */
typedef struct BadCase {
    const char *name;
    unsigned    q;
    uint32_t    type, word[10];
    unsigned    n;
    uint32_t    answer;
} BadCase;

static const BadCase bad_cases[] = {
    { "create: number 0", 0, CREATE, { 0, XRGB, 4, 4 }, 4, BAD_RESOURCE },
    { "create: number taken", 0, CREATE, { 1, XRGB, 4, 4 }, 4, BAD_RESOURCE },
    { "create: format", 0, CREATE, { 9, 5, 4, 4 }, 4, BAD_PARAMETER },
    { "create: no width", 0, CREATE, { 9, XRGB, 0, 4 }, 4, BAD_PARAMETER },
    { "create: too wide", 0, CREATE, { 9, XRGB, 4097, 1 }, 4, BAD_PARAMETER },
    { "create: sizes that wrap", 0, CREATE, { 9, XRGB, 0x80000000, 0x80000000 }, 4, BAD_PARAMETER },
    { "create: beyond max_hostmem", 0, CREATE, { 9, XRGB, 4096, 4096 }, 4, NO_MEMORY },
    { "create: short", 0, CREATE, { 9, XRGB, 4 }, 3, UNSPEC },
    { "unref: unknown", 0, UNREF, { 9, 0 }, 2, BAD_RESOURCE },
    { "scanout: number", 0, SET_SCANOUT, { 0, 0, 64, 32, 1, 1 }, 6, BAD_SCANOUT },
    { "scanout: resource", 0, SET_SCANOUT, { 0, 0, 64, 32, 0, 9 }, 6, BAD_RESOURCE },
    { "scanout: too wide", 0, SET_SCANOUT, { 1, 0, 64, 32, 0, 1 }, 6, BAD_PARAMETER },
    { "scanout: wraps", 0, SET_SCANOUT, { 0xffffffff, 0, 2, 32, 0, 1 }, 6, BAD_PARAMETER },
    { "scanout: empty", 0, SET_SCANOUT, { 0, 0, 0, 0, 0, 1 }, 6, BAD_PARAMETER },
    { "flush: resource", 0, FLUSH, { 0, 0, 1, 1, 9, 0 }, 6, BAD_RESOURCE },
    { "flush: too high", 0, FLUSH, { 0, 1, 64, 32, 1, 0 }, 6, BAD_PARAMETER },
    { "transfer: resource", 0, TRANSFER, { 0, 0, 1, 1, 0, 0, 9, 0 }, 8, BAD_RESOURCE },
    { "transfer: no backing", 0, TRANSFER, { 0, 0, 1, 1, 0, 0, 2, 0 }, 8, UNSPEC },
    { "transfer: too wide", 0, TRANSFER, { 60, 0, 5, 1, 0, 0, 1, 0 }, 8, BAD_PARAMETER },
    { "transfer: wraps", 0, TRANSFER, { 0, 0xfffffff0, 1, 0x20, 0, 0, 1, 0 }, 8, BAD_PARAMETER },
    { "transfer: backing too short", 0, TRANSFER, { 0, 0, 64, 32, 4, 0, 1, 0 }, 8, BAD_PARAMETER },
    { "transfer: offset wraps", 0, TRANSFER, { 0, 0, 1, 1, 0xffffffff, 0xffffffff, 1, 0 }, 8, BAD_PARAMETER },
    { "transfer: memory does not answer", 0, TRANSFER, { 0, 0, 1, 1, 0, 0, 3, 0 }, 8, UNSPEC },
    { "attach: resource", 0, ATTACH, { 9, 1, 0, 0, 16, 0 }, 6, BAD_RESOURCE },
    { "attach: twice", 0, ATTACH, { 1, 1, 0, 0, 16, 0 }, 6, UNSPEC },
    { "attach: none", 0, ATTACH, { 2, 0 }, 2, BAD_PARAMETER },
    { "attach: more than follow", 0, ATTACH, { 2, 2, 0, 0, 16, 0 }, 6, BAD_PARAMETER },
    { "attach: far more", 0, ATTACH, { 2, 0xffffffff, 0, 0, 16, 0 }, 6, BAD_PARAMETER },
    { "attach: wraps", 0, ATTACH, { 2, 1, 0xffffffff, 0xffffffff, 16, 0 }, 6, BAD_PARAMETER },
    { "detach: resource", 0, DETACH, { 9, 0 }, 2, BAD_RESOURCE },
    { "detach: none there", 0, DETACH, { 2, 0 }, 2, UNSPEC },
    { "edid: not agreed on", 0, GET_EDID, { 0, 0 }, 2, UNSPEC },
    { "3D", 0, 0x200, { 0 }, 10, UNSPEC },
    { "cursor command on the control queue", 0, MOVE_CURSOR, { 0 }, 8, UNSPEC },
    { "control command on the cursor queue", 1, UNREF, { 1, 0 }, 2, UNSPEC },
    { "cursor: scanout", 1, MOVE_CURSOR, { 1, 0, 0, 0, 0, 0, 0, 0 }, 8, BAD_SCANOUT },
    { "cursor: resource", 1, UPDATE_CURSOR, { 0, 0, 0, 0, 9, 0, 0, 0 }, 8, BAD_RESOURCE },
    { "cursor: not 64x64", 1, UPDATE_CURSOR, { 0, 0, 0, 0, 1, 0, 0, 0 }, 8, BAD_PARAMETER },
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_cases); i++) {
        const BadCase *c = &bad_cases[i];
        VirtioRig     *r = vr_new(rig_new(), GPU ",max_hostmem=1M", 0);

        print_message("%s\n", c->name);
        make_resource(r, 1);
        assert_int_equal(ASK(r, CREATE, 2, XRGB, 4, 4), OK);
        assert_int_equal(ASK(r, CREATE, 3, XRGB, 4, 4), OK);
        assert_int_equal(ASK(r, ATTACH, 3, 1, 0x1000, 0, 64, 0), OK);
        assert_int_equal(ask_room(r, c->q, c->type, c->word, c->n, 2048), c->answer);
        assert_int_equal(vr_status(r), 15); /* a command that fails breaks nothing */
        assert_int_equal(ASK(r, TRANSFER, 0, 0, 64, 32, 0, 0, 1, 0), OK);
        vr_free(r);
    }
}

/* What a driver keeps making ends at max_hostmem, and what it gives back counts no more. */
static void test_bounded(void **state)
{
    VirtioRig *r = vr_new(rig_new(), GPU ",max_hostmem=1M", 0);
    uint32_t   n[2] = { 0, 0 };

    for (unsigned round = 0; round < 2; round++) {
        while (ASK(r, CREATE, n[round] + 1, XRGB, 1, 1) == OK) {
            n[round]++;
        }
        assert_in_range(n[round], 10, (1 << 20) / 32);
        for (uint32_t id = 1; id <= n[round]; id++) {
            assert_int_equal(ASK(r, UNREF, id, 0), OK);
        }
    }
    assert_int_equal(n[0], n[1]);
    for (unsigned i = 0; i < 100; i++) { /* lists of pages count too, until they are detached */
        assert_int_equal(ASK(r, CREATE, 1, XRGB, 256, 255), OK);
        assert_int_equal(ASK(r, ATTACH, 1, 1, (uint32_t)BACK, 0, 64, 0), OK);
        assert_int_equal(ASK(r, DETACH, 1, 0), OK);
        assert_int_equal(ASK(r, ATTACH, 1, 1, (uint32_t)BACK, 0, 64, 0), OK);
        assert_int_equal(ASK(r, UNREF, 1, 0), OK);
    }
    vr_free(r);
}

static void test_output(void **state)
{
    VirtioRig *r = vr_new(rig_new(), GPU ",xres=1000,yres=700", BIT(1));
    uint8_t    edid[EDID_LEN], sum = 0;

    assert_int_equal(rig_read(r->pci, r->bar + 0x2008, 4), 1);
    assert_int_equal(ASK(r, GET_DISPLAY_INFO), 0x1101);
    assert_int_equal(vr_used_len(r, 0, 0), 408);
    assert_int_equal(rig_read(r->pci, REPLY + 32, 4), 1000);
    assert_int_equal(rig_read(r->pci, REPLY + 36, 4), 700);
    assert_int_equal(rig_read(r->pci, REPLY + 40, 4), 1);
    assert_int_equal(rig_read(r->pci, REPLY + 64, 4), 0); /* no second one */
    assert_int_equal(ASK(r, GET_EDID, 0, 0), 0x1104);
    assert_int_equal(rig_read(r->pci, REPLY + 24, 4), 128);
    for (unsigned i = 0; i < EDID_LEN; i++) {
        edid[i] = (uint8_t)rig_read(r->pci, REPLY + 32 + i, 1);
        sum = (uint8_t)(sum + edid[i]);
    }
    assert_int_equal(sum, 0);
    assert_int_equal(edid[54 + 2] | (edid[54 + 4] >> 4) << 8, 1000);
    assert_int_equal(edid[54 + 5] | (edid[54 + 7] >> 4) << 8, 700);
    assert_int_equal(ASK(r, GET_EDID, 1, 0), BAD_SCANOUT);
    /* A viewer's wish. */
    r->pci->n_msi = 0;
    assert_true(display_head_wish(display_head_find(NULL), 640, 480));
    assert_false(display_head_wish(display_head_find(NULL), 0, 480));
    assert_int_equal(r->pci->n_msi, 1);
    assert_int_equal(rig_read(r->pci, r->bar + 0x2000, 4), 1);
    rig_write(r->pci, r->bar + 0x2004, 4, 1);
    assert_int_equal(rig_read(r->pci, r->bar + 0x2000, 4), 0);
    assert_int_equal(ASK(r, GET_DISPLAY_INFO), 0x1101);
    assert_int_equal(rig_read(r->pci, REPLY + 32, 4), 640);
    vr_free(r);
}

static void check_cursor(uint32_t format)
{
    VirtioRig *r = vr_new(rig_new(), GPU, 0);

    assert_int_equal(ASK(r, CREATE, 1, format, 64, 64), OK);
    assert_int_equal(ASK(r, ATTACH, 1, 1, (uint32_t)BACK, 0, 0x4000, 0), OK);
    for (unsigned i = 0; i < 64 * 64; i++) {
        rig_write(r->pci, BACK + 4 * i, 4, i == 65 ? 0xff112233 : 0); /* one pixel at (1, 1) */
    }
    assert_int_equal(ASK(r, TRANSFER, 0, 0, 64, 64, 0, 0, 1, 0), OK);
    make_resource(r, 2);
    assert_int_equal(ASK(r, TRANSFER, 0, 0, 64, 32, 0, 0, 2, 0), OK);
    assert_int_equal(ASK(r, SET_SCANOUT, 0, 0, 64, 32, 0, 2), OK);
    assert_int_equal(CURSOR(r, UPDATE_CURSOR, 0, 10, 20, 0, 1, 3, 4, 0), OK);
    DisplayHead         *h = display_head_find("gpu");
    const DisplayCursor *c = display_head_get_cursor(h);

    assert_int_equal(c->x, 10);
    assert_int_equal(c->hot_y, 4);
    pixman_image_t *p = display_compose(h);

    assert_int_equal(pixel(p, 11, 21), 0x112233);
    assert_int_equal(pixel(p, 12, 21), 21 << 8 | 12);
    pixman_image_unref(p);
    assert_int_equal(CURSOR(r, MOVE_CURSOR, 0, 0xffffffff, 0, 0, 0, 0, 0, 0), OK);
    p = display_compose(h);
    assert_int_equal(pixel(p, 0, 1), 0x112233);
    pixman_image_unref(p);
    assert_int_equal(CURSOR(r, UPDATE_CURSOR, 0, 0, 0, 0, 0, 0, 0, 0), OK);
    assert_null(c->shape);
    vr_free(r);
}

static void test_cursor(void **state)
{
    check_cursor(1);
    check_cursor(XRGB); /* the byte that does not count is alpha, for Linux */
}

/* A fence comes back with the answer; an answer without room is cut; no room at all is the cursor driver's habit. */
static void test_answers(void **state)
{
    VirtioRig *r = vr_new(rig_new(), GPU, 0);
    PciRig    *p = r->pci;

    (void)ASK(r, GET_DISPLAY_INFO);
    rig_write(p, REQ + 4, 4, 1);
    rig_write(p, REQ + 8, 8, 0x1122334455667788);
    vr_offer(r, 0, 0, true);
    assert_int_equal(rig_read(p, REPLY + 4, 4), 1);
    assert_int_equal(rig_read(p, REPLY + 8, 8), 0x1122334455667788);
    assert_int_equal(ask_room(r, 0, GET_DISPLAY_INFO, NULL, 0, 16), 0x1101);
    assert_int_equal(vr_used_len(r, 0, 2), 16);
    vr_desc(r, VR_QUEUE(1), 0, REQ, 56, 0, 0);
    vr_offer(r, 1, 0, true);
    assert_int_equal(vr_used_idx(r, 1), 1);
    vr_desc(r, VR_QUEUE(0), 0, REQ, 3, VIRTQ_DESC_NEXT, 1); /* not even a type */
    vr_offer(r, 0, 0, true);
    assert_int_equal(vr_used_idx(r, 0), 4);
    vr_desc(r, VR_QUEUE(0), 0, 0x1000, 24, VIRTQ_DESC_NEXT, 1); /* memory does not answer */
    vr_offer(r, 0, 0, true);
    assert_int_equal(vr_status(r) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
    vr_free(r);
}

/* A list of pages in pieces of the chain that fall anywhere. */
static void test_long_list(void **state)
{
    VirtioRig *r = vr_new(rig_new(), GPU, 0);
    PciRig    *p = r->pci;
    enum { N = 600 };

    assert_int_equal(ASK(r, CREATE, 1, XRGB, 1, N), OK);
    (void)ASK(r, ATTACH, 1, N);
    for (unsigned i = 0; i < N; i++) { /* each pixel in a page of its own, last row first */
        rig_write(p, BACK + 16 * i, 8, BACK + 0x10000 + 4 * (N - i));
        rig_write(p, BACK + 16 * i + 8, 4, 4);
        rig_write(p, BACK + 0x10000 + 4 * i, 4, i);
    }
    vr_desc(r, VR_QUEUE(0), 0, REQ, 32, VIRTQ_DESC_NEXT, 2);
    vr_desc(r, VR_QUEUE(0), 2, BACK, 4100, VIRTQ_DESC_NEXT, 3);
    vr_desc(r, VR_QUEUE(0), 3, BACK + 4100, 16 * N - 4100, VIRTQ_DESC_NEXT, 1);
    vr_desc(r, VR_QUEUE(0), 1, REPLY, 24, VIRTQ_DESC_WRITE, 0);
    vr_offer(r, 0, 0, true);
    assert_int_equal(rig_read(p, REPLY, 4), OK);
    assert_int_equal(ASK(r, TRANSFER, 0, 0, 1, N, 0, 0, 1, 0), OK);
    assert_int_equal(ASK(r, SET_SCANOUT, 0, 0, 1, N, 0, 1), OK);
    pixman_image_t *image = display_head_picture(display_head_find(NULL));

    for (unsigned i = 1; i < N; i++) {
        assert_int_equal(pixel(image, 0, i), N - i);
    }
    vr_free(r);
}

/* Far more than is copied in one go: the rest follows by itself, in order, with what is offered meanwhile behind it. */
static void test_turns(void **state)
{
    VirtioRig *r = vr_new(rig_new(), GPU, 0);
    PciRig    *p = r->pci;

    assert_int_equal(ASK(r, CREATE, 1, XRGB, 4096, 4096), OK); /* 64 MiB, of pages that are four over and over */
    (void)ASK(r, ATTACH, 1, 16384);
    for (unsigned i = 0; i < 16384; i++) {
        rig_write(p, BACK + 16 * i, 8, RIG_RAM + 0xf00000 + 0x1000 * (i % 4));
        rig_write(p, BACK + 16 * i + 8, 8, 0x1000);
    }
    vr_desc(r, VR_QUEUE(0), 0, REQ, 32, VIRTQ_DESC_NEXT, 2);
    vr_desc(r, VR_QUEUE(0), 2, BACK, 16 * 16384, VIRTQ_DESC_NEXT, 1);
    vr_offer(r, 0, 0, true);
    assert_int_equal(rig_read(p, REPLY, 4), OK);
    assert_int_equal(ASK(r, TRANSFER, 0, 0, 4096, 4096, 0, 0, 1, 0), OK);
    rig_run(p, 2000);
    uint16_t used = vr_used_idx(r, 0);

    for (unsigned i = 0; i < 4; i++) { /* the same again, without a word to the device until the last */
        vr_offer(r, 0, 0, i == 3);
    }
    assert_int_equal((uint16_t)(vr_used_idx(r, 0) - used), 1);
    rig_write(p, r->bar + 0x3000, 2, 0);
    assert_int_equal((uint16_t)(vr_used_idx(r, 0) - used), 1);
    rig_run(p, 1500);
    assert_int_equal((uint16_t)(vr_used_idx(r, 0) - used), 2);
    rig_run(p, 3000);
    assert_int_equal((uint16_t)(vr_used_idx(r, 0) - used), 4);
    rig_run(p, 3000);
    vr_offer(r, 0, 0, true);
    vr_offer(r, 0, 0, true);
    vr_start(r, 0); /* a reset ends it */
    rig_run(p, 3000);
    assert_int_equal(vr_used_idx(r, 0), 0);
    vr_free(r);
}

static void test_screendump(void **state)
{
    char       path[] = "/tmp/bailey-test-XXXXXX";
    GError    *error = NULL;
    char      *bytes;
    gsize      len;
    int        fd = g_mkstemp(path);

    assert_true(fd >= 0);
    assert_false(display_screendump(path, NULL, &error));
    assert_non_null(strstr(error->message, "no display"));
    g_clear_error(&error);
    VirtioRig *r = vr_new(rig_new(), GPU, 0);

    assert_false(display_screendump(path, NULL, &error));
    assert_non_null(strstr(error->message, "dark"));
    g_clear_error(&error);
    assert_false(display_screendump(path, "other", &error));
    assert_non_null(strstr(error->message, "there are: gpu"));
    g_clear_error(&error);
    GString *said = g_string_new(NULL);

    display_describe(said);
    make_resource(r, 7);
    assert_int_equal(ASK(r, SET_SCANOUT, 0, 0, 64, 32, 0, 7), OK);
    display_describe(said);
    assert_string_equal(said->str, "gpu: dark\ngpu: 64x32\n");
    g_string_free(said, TRUE);
    assert_false(display_screendump("/nowhere/at/all.png", NULL, &error));
    assert_non_null(strstr(error->message, "/nowhere/at/all.png"));
    g_clear_error(&error);
    assert_true(display_screendump(path, "gpu", NULL));
    assert_true(g_file_get_contents(path, &bytes, &len, NULL));
    assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
    assert_int_equal(be32_get(bytes + 16), 64);
    assert_int_equal(be32_get(bytes + 20), 32);
    g_free(bytes);
    g_unlink(path);
    close(fd);
    vr_free(r);
}

static void test_options(void **state)
{
    GError *error = NULL;
    PciRig *p = rig_new();
    Device *dev = device_from_option("virtio-gpu-pci,xres=5000", p->clock, 0, NULL);

    assert_non_null(dev);
    assert_false(pci_plug_option(p->host, dev, &error));
    assert_non_null(strstr(error->message, "xres=5000"));
    g_clear_error(&error);
    rig_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picture), cmocka_unit_test(test_formats),   cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bounded), cmocka_unit_test(test_output),    cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_long_list), cmocka_unit_test(test_screendump),
        cmocka_unit_test(test_turns),   cmocka_unit_test(test_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
