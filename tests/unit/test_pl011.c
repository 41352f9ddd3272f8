/*
 * The board's small devices: PL011, PL031, fw_cfg.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"
#include "hw/fw_cfg.h"
#include "hw/pl011.h"
#include "hw/pl031.h"

static const MemAttrs attrs = { .pas = PAS_NONSECURE };

static uint64_t get(Device *dev, uint64_t off, unsigned size)
{
    uint64_t v;

    assert_int_equal(device_mmio_ops.read(dev, off, size, attrs, &v), MEM_OK);
    return v;
}

static void put(Device *dev, uint64_t off, unsigned size, uint64_t value)
{
    assert_int_equal(device_mmio_ops.write(dev, off, size, attrs, value), MEM_OK);
}

static void set_line(void *opaque, unsigned n, bool level)
{
    *(bool *)opaque = level;
}

static Device *make(const char *cls, Clock *clock)
{
    Device *dev = device_new(device_class_find(cls), cls, clock, 1);

    assert_true(device_realize(dev, NULL));
    return dev;
}

/* ---- PL011 ---- */

static void collect(void *opaque, const uint8_t *data, size_t len)
{
    g_string_append_len(opaque, (const char *)data, (gssize)len);
}

enum { DR = 0, FR = 0x18, LCR_H = 0x2c, CR = 0x30, IMSC = 0x38, RIS = 0x3c, MIS = 0x40, ICR = 0x44 };

static void test_pl011(void **state)
{
    bool     irq = false;
    GString *out = g_string_new(NULL);
    Chardev *c = chardev_new("null", false, NULL);
    Device  *dev = make("pl011", NULL);

    chardev_add_observer(c, collect, out);
    pl011_connect(dev, (IrqLine){ .set = set_line, .opaque = &irq }, c);
    assert_int_equal(get(dev, FR, 2), 0x90);
    assert_int_equal(get(dev, CR, 4), 0x300);
    assert_int_equal(get(dev, 0xfe0, 4) | get(dev, 0xfe4, 4) << 8 | get(dev, 0xfe8, 4) << 16, 0x141011);
    assert_int_equal(get(dev, 0xffc, 4), 0xb1);
    put(dev, DR, 1, 'o');
    put(dev, DR, 4, 'k');
    assert_string_equal(out->str, "ok");
    assert_int_equal(get(dev, RIS, 4), 0x20);
    put(dev, ICR, 2, 0x7ff);

    chardev_input(c, "0123456789abcdefXYZ", 19); /* the UART is off: all waits */
    assert_int_equal(get(dev, FR, 4), 0x90);
    put(dev, LCR_H, 4, 0x70);
    put(dev, IMSC, 4, 0x50);
    put(dev, CR, 4, 0x301);
    assert_true(irq);
    assert_int_equal(get(dev, FR, 4), 0xc0); /* full */
    for (unsigned i = 0; i < 19; i++) {
        assert_int_equal(get(dev, DR, 4), "0123456789abcdefXYZ"[i]);
    }
    assert_int_equal(get(dev, FR, 4), 0x90);
    assert_false(irq);
    assert_int_equal(get(dev, DR, 4), 0); /* nothing there */
    chardev_input(c, "!", 1);
    assert_int_equal(get(dev, MIS, 4), 0x40); /* below the trigger level: timeout */
    put(dev, ICR, 4, 0x40);
    assert_false(irq);
    assert_int_equal(get(dev, DR, 4), '!');
    put(dev, LCR_H, 4, 0); /* one-byte FIFO */
    chardev_input(c, "ab", 2);
    assert_int_equal(get(dev, MIS, 4), 0x10);
    assert_int_equal(get(dev, DR, 4), 'a');
    assert_int_equal(get(dev, DR, 4), 'b');
    put(dev, CR, 4, 0x381); /* loop back */
    put(dev, DR, 4, 'z');
    assert_int_equal(get(dev, DR, 4), 'z');
    assert_string_equal(out->str, "ok");
    device_free(dev);
    chardev_free(c);
    g_string_free(out, TRUE);
}

/* ---- PL031 ---- */

static void test_pl031(void **state)
{
    Clock  *clock = clock_new();
    bool    irq = false;
    Device *dev = make("pl031", clock);

    pl031_connect(dev, (IrqLine){ .set = set_line, .opaque = &irq }, 1767225600);
    assert_int_equal(get(dev, 0, 4), 1767225600);
    clock_advance(clock, 2500000000);
    assert_int_equal(get(dev, 0, 4), 1767225602);
    put(dev, 0x10, 4, 1);
    put(dev, 0x04, 4, 1767225605);
    clock_advance(clock, 4999999999);
    assert_false(irq);
    clock_advance(clock, 5000000000);
    assert_true(irq);
    put(dev, 0x1c, 4, 1);
    assert_false(irq);
    put(dev, 0x08, 4, 1000);
    assert_int_equal(get(dev, 0, 4), 1000);
    clock_advance(clock, 6000000000);
    assert_int_equal(get(dev, 0, 4), 1001);
    put(dev, 0x04, 4, 1001); /* now */
    assert_true(irq);
    assert_int_equal(get(dev, 0xfe0, 4), 0x31);
    assert_int_equal(get(dev, 0xff0, 1), 0x0d); /* as EDK2 looks for it */
    device_free(dev);
    clock_free(clock);
}

/* ---- fw_cfg ---- */

static void select_key(Device *dev, uint16_t key)
{
    put(dev, 8, 2, (uint64_t)(key >> 8 | (key & 0xff) << 8));
}

/* Runs a request whose structure is at the start of RAM; returns its control word afterwards. */
static uint32_t dma(Device *dev, Memory *m, uint32_t control, uint32_t len, uint64_t addr)
{
    uint8_t b[16];

    be32_put(b, control);
    be32_put(b + 4, len);
    be64_put(b + 8, addr);
    assert_int_equal(memory_write(m, 0x40000000, attrs, b, 16), MEM_OK);
    be64_put(b, 0x40000000);
    put(dev, 0x10, 4, le32_get(b));
    put(dev, 0x14, 4, le32_get(b + 4));
    assert_int_equal(memory_read(m, 0x40000000, attrs, b, 4), MEM_OK);
    return be32_get(b);
}

typedef struct DmaCase {
    const char *name;
    uint32_t    control, len;
    uint64_t    addr;
    uint32_t    result;
    const char *expect; /* 6 bytes at the target, which starts as "......" */
} DmaCase;

#define SELECT(key) ((uint32_t)(key) << 16 | 8)

static const DmaCase dma_cases[] = {
    { "select and read", SELECT(0x20) | 2, 5, 0x40001000, 0, "hello." },
    { "read goes on", 2, 2, 0x40001000, 0, "\0\0...." }, /* the item is over */
    { "select and skip", SELECT(0x20) | 4, 3, 0, 0, "......" },
    { "read after the skip", 2, 3, 0x40001000, 0, "lo\0..." },
    { "skip far beyond the end", SELECT(0x20) | 4, ~0u, 0, 0, "......" },
    { "nothing of that key", SELECT(0x99) | 2, 2, 0x40001000, 0, "\0\0...." },
    { "write is refused", SELECT(0x20) | 16, 2, 0x40001000, 1, "......" },
    { "target outside RAM", SELECT(0x20) | 2, 5, 0x1000, 1, "......" },
    { "target wraps", SELECT(0x20) | 2, 5, ~0ull - 1, 1, "......" },
    { "far too long", SELECT(0x20) | 2, ~0u, 0x40001000, 1, "......" },
};

static void test_fw_cfg(void **state)
{
    Owners  *owners = owners_new();
    Memory  *m = memory_new(owners);
    Device  *dev = make("fw_cfg", NULL);
    GBytes  *kernel = g_bytes_new_static("Image", 5);
    uint8_t  b[8];

    memory_add_ram(m, "ram", 0x40000000, 0x10000, NULL);
    fw_cfg_connect(dev, m);
    fw_cfg_add_u16(dev, FW_CFG_NB_CPUS, 4);
    assert_true(fw_cfg_add_file(dev, "opt/hello", "hello", 5));
    assert_false(fw_cfg_add_file(dev, "opt/hello", "again", 5));
    assert_false(fw_cfg_add_file(dev, "a-name-that-is-longer-than-fifty-five-characters-can-ever-be", "", 0));
    select_key(dev, FW_CFG_SIGNATURE);
    assert_int_equal(get(dev, 0, 4), le32_get("QEMU"));
    assert_int_equal(get(dev, 0, 8), 0); /* past the end */
    select_key(dev, FW_CFG_NB_CPUS);
    assert_int_equal(get(dev, 0, 1), 4);
    select_key(dev, FW_CFG_FILE_DIR);
    assert_int_equal(get(dev, 0, 4), 0x01000000); /* one file, big-endian */
    assert_int_equal(get(dev, 0, 4), 0x05000000);
    assert_int_equal(get(dev, 0, 4), 0x00002000); /* key 0x20 */
    assert_int_equal(get(dev, 0, 8), le64_get("opt/hell"));
    be64_put(b, get(dev, 0x10, 8));
    assert_memory_equal(b, "GFC UMEQ", 8); /* "QEMU CFG", big-endian as a register */
    fw_cfg_add_bytes(dev, FW_CFG_NB_CPUS, kernel); /* replaces */
    g_bytes_unref(kernel);
    select_key(dev, FW_CFG_NB_CPUS);
    assert_int_equal(get(dev, 0, 4), le32_get("Imag"));
    put(dev, 0x04, 4, 1); /* not a register */
    for (size_t i = 0; i < ARRAY_LEN(dma_cases); i++) {
        const DmaCase *c = &dma_cases[i];

        print_message("%s\n", c->name);
        assert_int_equal(memory_write(m, 0x40001000, attrs, "......", 6), MEM_OK);
        assert_int_equal(dma(dev, m, c->control, c->len, c->addr), c->result);
        assert_int_equal(memory_read(m, 0x40001000, attrs, b, 6), MEM_OK);
        if (c->result == 0) {
            assert_memory_equal(b, c->expect, 6);
        }
    }
    device_free(dev);
    memory_free(m);
    owners_free(owners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pl011),
        cmocka_unit_test(test_pl031),
        cmocka_unit_test(test_fw_cfg),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
