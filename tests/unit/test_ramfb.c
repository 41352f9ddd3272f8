/*
 * The picture that firmware keeps in memory: what it writes right and wrong, and that looking touches RAM alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"
#include "display/display.h"
#include "hw/fw_cfg.h"
#include "hw/ramfb.h"

enum { CONFIG_LEN = 28 };

#define RAM      0x40000000ull
#define RAM_SIZE 0x100000ull
#define PICTURE  (RAM + 0x10ff0) /* rows cross pages */
#define MMIO     0x9000000ull

static const MemAttrs attrs = { .pas = PAS_NONSECURE };

typedef struct Box {
    Owners  *owners;
    Memory  *memory;
    Device  *fw_cfg, *ramfb;
    unsigned touched; /* registers at MMIO that were read */
} Box;

static MemResult mmio_read(void *opaque, uint64_t off, unsigned size, MemAttrs a, uint64_t *value)
{
    ((Box *)opaque)->touched++;
    *value = ~0ull;
    return MEM_OK;
}

static MemResult mmio_write(void *opaque, uint64_t off, unsigned size, MemAttrs a, uint64_t value) { return MEM_OK; }

static const MmioOps mmio_ops = { mmio_read, mmio_write };

static Box *box_new(void)
{
    Box *b = g_new0(Box, 1);

    b->owners = owners_new();
    b->memory = memory_new(b->owners);
    memory_add_ram(b->memory, "ram", RAM, RAM_SIZE, NULL);
    memory_add_mmio(b->memory, "registers", MMIO, 0x1000, &mmio_ops, b);
    b->fw_cfg = device_new(device_class_find("fw_cfg"), "fw-cfg", NULL, 0);
    assert_true(device_realize(b->fw_cfg, NULL));
    fw_cfg_connect(b->fw_cfg, b->memory);
    b->ramfb = device_new(device_class_find("ramfb"), "fb", NULL, 0);
    assert_true(ramfb_plug(b->ramfb, b->fw_cfg, b->memory, NULL));
    return b;
}

static void box_free(Box *b)
{
    device_free(b->fw_cfg);
    device_free(b->ramfb);
    memory_free(b->memory);
    owners_free(b->owners);
    g_free(b);
}

/* Firmware writes @len bytes at @skip of the file; false: refused. */
static bool write_file(Box *b, const uint8_t *data, uint32_t skip, uint32_t len)
{
    uint64_t value;
    uint8_t  request[16], at[8];

    assert_int_equal(memory_write(b->memory, RAM + 0x100, attrs, data, CONFIG_LEN), MEM_OK);
    for (unsigned step = 0; step < 2; step++) { /* select and skip, then write */
        be32_put(request, step == 0 ? FW_CFG_FILE_FIRST << 16 | 8 | 4 : 16);
        be32_put(request + 4, step == 0 ? skip : len);
        be64_put(request + 8, RAM + 0x100);
        assert_int_equal(memory_write(b->memory, RAM, attrs, request, sizeof(request)), MEM_OK);
        be64_put(at, RAM);
        value = le64_get(at);
        assert_int_equal(device_mmio_ops.write(b->fw_cfg, 0x10, 8, attrs, value), MEM_OK);
    }
    assert_int_equal(memory_read(b->memory, RAM, attrs, request, 4), MEM_OK);
    return be32_get(request) == 0;
}

static bool configure(Box *b, uint64_t addr, const char *fourcc, uint32_t width, uint32_t height, uint32_t stride)
{
    uint8_t c[CONFIG_LEN] = { 0 };

    be64_put(c, addr);
    be32_put(c + 8, le32_get(fourcc));
    be32_put(c + 16, width);
    be32_put(c + 20, height);
    be32_put(c + 24, stride);
    return write_file(b, c, 0, CONFIG_LEN);
}

static uint32_t pixel(unsigned x, unsigned y)
{
    pixman_image_t *p = display_compose(display_head_find("fb"));
    uint32_t v = pixman_image_get_data(p)[y * (unsigned)pixman_image_get_stride(p) / 4 + x] & 0xffffff;

    pixman_image_unref(p);
    return v;
}

static void poke(Box *b, uint64_t pa, uint32_t v)
{
    uint8_t bytes[4];

    le32_put(bytes, v);
    assert_int_equal(memory_write(b->memory, pa, attrs, bytes, 4), MEM_OK);
}

static pixman_box32_t damaged;
static unsigned       n_damaged;

static void on_changed(void *opaque, DisplayHead *h) { }
static void on_cursor(void *opaque, DisplayHead *h, bool new_shape) { }

static void on_damaged(void *opaque, DisplayHead *h, const pixman_box32_t *box)
{
    damaged = *box;
    n_damaged++;
}

static void test_picture(void **state)
{
    Box          *b = box_new();
    DisplayViewer viewer = { on_changed, on_damaged, on_cursor, NULL, NULL };
    DisplayHead  *h = display_head_find("fb");

    display_watch(&viewer);
    assert_non_null(h);
    assert_null(display_head_picture(h));
    assert_true(configure(b, PICTURE, "XR24", 10, 8, 64));
    assert_non_null(display_head_picture(h));
    poke(b, PICTURE + 3 * 64 + 4 * 4, 0x123456);
    poke(b, PICTURE + 5 * 64, 0x654321);
    n_damaged = 0;
    display_head_refresh(h);
    assert_int_equal(n_damaged, 1);
    assert_int_equal(damaged.y1, 3);
    assert_int_equal(damaged.y2, 6);
    assert_int_equal(pixel(4, 3), 0x123456);
    assert_int_equal(pixel(0, 5), 0x654321);
    assert_int_equal(n_damaged, 1); /* nothing new */
    assert_true(configure(b, PICTURE, "RG16", 10, 8, 0));
    poke(b, PICTURE + 20, 0xf800);
    assert_int_equal(pixel(0, 1), 0xff0000);
    assert_true(configure(b, 0, "XR24", 0, 0, 0));
    assert_null(display_head_picture(h));
    assert_true(configure(b, PICTURE, "XR24", 10, 8, 64));
    device_reset(b->ramfb);
    assert_null(display_head_picture(h));
    display_unwatch(&viewer);
    box_free(b);
    assert_null(display_head_find(NULL));
}

typedef struct BadCase {
    const char *name;
    uint64_t    addr;
    char        fourcc[5];
    uint32_t    width, height, stride;
} BadCase;

static const BadCase bad_cases[] = {
    { "format", PICTURE, "NV12", 10, 8, 64 },
    { "no width", PICTURE, "XR24", 0, 8, 64 },
    { "too wide", PICTURE, "XR24", 4097, 8, 0x8000 },
    { "too high", PICTURE, "XR24", 10, ~0u, 64 },
    { "rows overlap", PICTURE, "XR24", 10, 8, 39 },
    { "rows far apart", PICTURE, "XR24", 10, 8, ~0u },
    { "wraps", ~0ull - 64, "XR24", 10, 8, 64 },
};

static void test_bad(void **state)
{
    Box *b = box_new();

    for (size_t i = 0; i < ARRAY_LEN(bad_cases); i++) {
        const BadCase *c = &bad_cases[i];

        print_message("%s\n", c->name);
        assert_true(configure(b, c->addr, c->fourcc, c->width, c->height, c->stride));
        assert_null(display_head_picture(display_head_find("fb")));
    }
    /* More than the file holds. */
    uint8_t config[CONFIG_LEN] = { 0 };

    assert_false(write_file(b, config, 1, CONFIG_LEN));
    assert_false(write_file(b, config, 0, CONFIG_LEN + 1));
    assert_false(write_file(b, config, 0, ~0u));
    assert_true(write_file(b, config, 20, 8));
    box_free(b);
}

/* Where there is no Non-secure RAM it is black, and no device notices. */
static void test_elsewhere(void **state)
{
    Box *b = box_new();

    assert_true(configure(b, MMIO, "XR24", 10, 8, 64));
    assert_int_equal(pixel(0, 0), 0);
    assert_int_equal(b->touched, 0);
    assert_true(configure(b, ~0ull - 0x100000, "XR24", 10, 8, 64));
    assert_int_equal(pixel(0, 0), 0);
    assert_true(configure(b, RAM + RAM_SIZE - 64, "XR24", 10, 8, 64)); /* ends in nothing */
    poke(b, RAM + RAM_SIZE - 64, 0xffffff);
    assert_int_equal(pixel(0, 0), 0xffffff);
    assert_int_equal(pixel(0, 1), 0);
    owners_set(b->owners, RAM + RAM_SIZE - 0x1000, 0x1000, OWNER_REALM);
    assert_int_equal(pixel(0, 0), 0);
    box_free(b);
}

static void test_plug(void **state)
{
    Box    *b = box_new();
    GError *error = NULL;

    assert_false(ramfb_plug(device_new(device_class_find("ramfb"), "b", NULL, 0), b->fw_cfg, b->memory, &error));
    assert_non_null(strstr(error->message, "already"));
    g_clear_error(&error);
    assert_false(ramfb_plug(device_new(device_class_find("ramfb"), "b", NULL, 0), NULL, b->memory, &error));
    assert_non_null(strstr(error->message, "no fw_cfg"));
    g_clear_error(&error);
    box_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picture),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_plug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
