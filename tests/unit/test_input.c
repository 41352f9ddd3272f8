/*
 * Keyboard and tablet: what they say of themselves, and that events reach a driver whole, in order, and bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "display/display.h"
#include "virtio_rig.h"

#define BUF VR_BUFFERS

enum { EV_SYN, EV_KEY, EV_REL, EV_ABS };

/* The size of what is selected. */
static unsigned cfg(VirtioRig *r, unsigned select, unsigned subsel)
{
    rig_write(r->pci, r->bar + 0x2000, 1, select);
    rig_write(r->pci, r->bar + 0x2001, 1, subsel);
    return (unsigned)rig_read(r->pci, r->bar + 0x2002, 1);
}

static uint32_t data(VirtioRig *r, unsigned off, unsigned size)
{
    return (uint32_t)rig_read(r->pci, r->bar + 0x2008 + off, size);
}

static void test_config(void **state)
{
    VirtioRig *r = vr_new(rig_new(), "virtio-keyboard-pci", 0);

    assert_int_equal(cfg(r, 1, 0), strlen("Bailey Virtio Keyboard"));
    assert_int_equal(data(r, 0, 1), 'B');
    assert_int_equal(cfg(r, 3, 0), 8);
    assert_int_equal(cfg(r, 0x11, EV_KEY), 32);
    assert_int_equal(data(r, 0, 1), 0xfe); /* there is no key 0 */
    assert_int_equal(data(r, 31, 1), 1);
    assert_int_equal(cfg(r, 0x11, 0x14), 1);
    assert_int_equal(cfg(r, 0x11, EV_ABS), 0);
    assert_int_equal(cfg(r, 0x12, 0), 0);
    assert_int_equal(cfg(r, 1, 1), 0);
    assert_int_equal(cfg(r, 0x77, 0x77), 0);
    vr_start(r, 0); /* a reset selects nothing */
    assert_int_equal(rig_read(r->pci, r->bar + 0x2000, 4), 0);
    rig_write(r->pci, r->bar + 0x2000, 2, 0x0111);
    assert_int_equal(rig_read(r->pci, r->bar + 0x2002, 1), 32);
    vr_free(r);
    r = vr_new(rig_new(), "virtio-tablet-pci", 0);
    assert_int_equal(cfg(r, 0x11, EV_KEY), 35);
    assert_int_equal(data(r, 0x110 / 8, 1), 7);
    assert_int_equal(cfg(r, 0x11, EV_REL), 2);
    assert_int_equal(cfg(r, 0x11, EV_ABS), 1);
    assert_int_equal(cfg(r, 0x12, 1), 20);
    assert_int_equal(data(r, 4, 4), INPUT_AXIS_MAX);
    assert_int_equal(cfg(r, 0x12, 2), 0);
    vr_free(r);
}

/* Buffers of 8 bytes, @n of them. */
static void give_room(VirtioRig *r, unsigned n)
{
    for (uint16_t i = 0; i < n; i++) {
        vr_desc(r, VR_QUEUE(0), i, BUF + 8 * i, 8, VIRTQ_DESC_WRITE, 0);
        vr_offer(r, 0, i, true);
    }
}

static void assert_event(VirtioRig *r, unsigned i, unsigned type, unsigned code, uint32_t value)
{
    assert_int_equal(rig_read(r->pci, BUF + 8 * i, 2), type);
    assert_int_equal(rig_read(r->pci, BUF + 8 * i + 2, 2), code);
    assert_int_equal(rig_read(r->pci, BUF + 8 * i + 4, 4), value);
}

static void test_keys(void **state)
{
    VirtioRig *r = vr_new(rig_new(), "virtio-keyboard-pci", 0);

    give_room(r, 3);
    input_pointer(1, 2, 1); /* no pointer */
    input_key(0, true);     /* no such keys */
    input_key(300, true);
    assert_int_equal(vr_used_idx(r, 0), 0);
    input_key(30, true);
    assert_int_equal(vr_used_idx(r, 0), 2);
    assert_int_equal(r->pci->n_msi, 1);
    assert_event(r, 0, EV_KEY, 30, 1);
    assert_event(r, 1, EV_SYN, 0, 0);
    assert_int_equal(vr_used_len(r, 0, 0), 8);
    input_key(30, false);
    assert_int_equal(vr_used_idx(r, 0), 3);
    assert_event(r, 2, EV_KEY, 30, 0);
    give_room(r, 1);
    assert_int_equal(vr_used_idx(r, 0), 4);
    assert_event(r, 0, EV_SYN, 0, 0);
    /* Lamps: taken and given back. */
    vr_desc(r, VR_QUEUE(1), 0, BUF, 8, 0, 0);
    vr_offer(r, 1, 0, true);
    assert_int_equal(vr_used_idx(r, 1), 1);
    vr_free(r);
    assert_false(input_key(30, true)); /* to nobody */
}

static void test_names(void **state)
{
    static const struct {
        const char *name;
        unsigned    code;
    } cases[] = {
        { "1", 2 }, { "0", 11 }, { "q", 16 }, { "p", 25 }, { "a", 30 }, { "l", 38 }, { "z", 44 }, { "m", 50 },
        { "ret", 28 }, { "f1", 59 }, { "f12", 88 }, { "ctrl", 29 }, { "A", 0 }, { "", 0 }, { "return", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(input_key_named(cases[i].name), cases[i].code);
    }
}

/* Nobody reads: so many events wait and no more, whole reports, and the releases of what was pressed are among them. */
static void test_full(void **state)
{
    VirtioRig *r = vr_new(rig_new(), "virtio-keyboard-pci", 0);
    bool       down[256] = { false };
    unsigned   n = 0;

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned code = 1; code <= 240; code++) {
            input_key(code, true);
        }
    }
    for (unsigned code = 1; code <= 64; code++) {
        input_key(code, false);
    }
    for (unsigned used = 0;;) {
        give_room(r, VR_QUEUE_SIZE);
        unsigned now = vr_used_idx(r, 0), got = now - used;

        for (unsigned i = 0; i < got; i++) {
            unsigned code = (unsigned)rig_read(r->pci, BUF + 8 * i + 2, 2);

            assert_int_equal(rig_read(r->pci, BUF + 8 * i, 2), i % 2 == 0 ? EV_KEY : EV_SYN);
            down[code] = i % 2 == 0 ? rig_read(r->pci, BUF + 8 * i + 4, 4) != 0 : down[code];
        }
        n += got;
        used = now;
        if (got < VR_QUEUE_SIZE) {
            break;
        }
    }
    assert_int_equal(n, 256);
    for (unsigned code = 1; code < 256; code++) {
        assert_false(down[code]);
    }
    vr_free(r);
}

static void test_tablet(void **state)
{
    VirtioRig *r = vr_new(rig_new(), "virtio-tablet-pci", 0);

    give_room(r, 15);
    input_key(30, true);
    input_pointer(100, 200, 0);
    assert_event(r, 0, EV_ABS, 0, 100);
    assert_event(r, 1, EV_ABS, 1, 200);
    assert_event(r, 2, EV_SYN, 0, 0);
    input_pointer(100, 200, 0); /* nothing new */
    assert_int_equal(vr_used_idx(r, 0), 3);
    input_pointer(100, 200, INPUT_LEFT | INPUT_RIGHT);
    assert_event(r, 3, EV_KEY, 0x110, 1);
    assert_event(r, 4, EV_KEY, 0x111, 1);
    input_pointer(100, 200, INPUT_RIGHT);
    assert_event(r, 6, EV_KEY, 0x110, 0);
    input_pointer(100, 200, INPUT_RIGHT | INPUT_WHEEL_UP);
    assert_event(r, 8, EV_REL, 8, 1);
    input_pointer(100, 200, INPUT_RIGHT);
    assert_int_equal(vr_used_idx(r, 0), 10);
    input_pointer(70000, 0, INPUT_RIGHT | INPUT_WHEEL_DOWN);
    assert_event(r, 10, EV_ABS, 0, INPUT_AXIS_MAX);
    assert_event(r, 12, EV_REL, 8, ~0u);
    vr_free(r);
}

/* Two keyboards: the first one is typed on, and the second when the first is gone. */
static void test_two(void **state)
{
    VirtioRig *a = vr_new(rig_new(), "virtio-keyboard-pci,id=a", 0);
    VirtioRig *b = vr_new(rig_new(), "virtio-keyboard-pci,id=b", 0);

    give_room(a, 4);
    give_room(b, 4);
    input_key(30, true);
    assert_int_equal(vr_used_idx(a, 0), 2);
    assert_int_equal(vr_used_idx(b, 0), 0);
    vr_free(a);
    input_key(30, true);
    assert_int_equal(vr_used_idx(b, 0), 2);
    vr_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config), cmocka_unit_test(test_keys),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_full),   cmocka_unit_test(test_tablet), cmocka_unit_test(test_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
