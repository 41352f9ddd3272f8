/*
 * What boards have besides GIC, PCIe and serial ports: watchdogs, memory-mapped timers, system registers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/gwdt.h"
#include "hw/memtimer.h"
#include "hw/pl061.h"
#include "hw/sp805.h"
#include "hw/vexpress.h"

static const MemAttrs attrs = { .pas = PAS_NONSECURE };

typedef struct Rig {
    Clock   *clock;
    Device  *dev;
    bool     irq;
    unsigned n_resets;
} Rig;

static uint64_t get(Rig *r, uint64_t off, unsigned size)
{
    uint64_t v;

    assert_int_equal(device_mmio_ops.read(r->dev, off, size, attrs, &v), MEM_OK);
    return v;
}

static void put(Rig *r, uint64_t off, unsigned size, uint64_t value)
{
    assert_int_equal(device_mmio_ops.write(r->dev, off, size, attrs, value), MEM_OK);
}

static void set_line(void *opaque, unsigned n, bool level) { ((Rig *)opaque)->irq = level; }
static void on_reset(void *opaque) { ((Rig *)opaque)->n_resets++; }
static IrqLine line(Rig *r) { return (IrqLine){ .set = set_line, .opaque = r }; }

static void make(Rig *r, const char *cls)
{
    *r = (Rig){ .clock = clock_new() };
    r->dev = device_new(device_class_find(cls), cls, r->clock, 1);
    assert_true(device_realize(r->dev, NULL));
}

static void drop(Rig *r)
{
    device_free(r->dev);
    clock_free(r->clock);
}

/* ---- PL061: pin 3 as a button ---- */

enum { GPIO_PIN3 = 8 << 2, GPIO_DIR = 0x400, GPIO_IS = 0x404, GPIO_IBE = 0x408, GPIO_IEV = 0x40c, GPIO_IE = 0x410,
       GPIO_RIS = 0x414, GPIO_MIS = 0x418, GPIO_IC = 0x41c };
#define PRESS_NS 1000

static void test_pl061(void **state)
{
    static const struct {
        const char *name;
        uint32_t    is, ibe, iev, pressed, released; /* what GPIORIS has, then again after GPIOIC */
    } rows[] = {
        { "rising edge", 0, 0, 8, 8, 0 },
        { "falling edge", 0, 0, 0, 0, 8 },
        { "both edges", 0, 8, 0, 8, 8 },
        { "high level", 8, 0, 8, 8, 0 },
        { "low level", 8, 0, 0, 0, 8 },
    };
    Rig r;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        print_message("%s\n", rows[i].name);
        make(&r, "pl061");
        pl061_connect(r.dev, line(&r));
        assert_int_equal(get(&r, 0xfe0, 4), 0x61);
        put(&r, GPIO_IS, 4, rows[i].is);
        put(&r, GPIO_IBE, 4, rows[i].ibe);
        put(&r, GPIO_IEV, 4, rows[i].iev);
        pl061_pulse(r.dev, 3, PRESS_NS);
        assert_int_equal(get(&r, GPIO_RIS, 4) & 8, rows[i].pressed);
        assert_int_equal(get(&r, GPIO_PIN3, 4), 8);
        assert_int_equal(get(&r, 4 << 2, 4), 0); /* another pin */
        assert_int_equal(get(&r, GPIO_MIS, 4), 0);
        assert_false(r.irq);
        put(&r, GPIO_IE, 4, 8);
        assert_int_equal(r.irq, rows[i].pressed != 0);
        put(&r, GPIO_IC, 4, 8);
        assert_int_equal(r.irq, rows[i].is != 0 && rows[i].pressed != 0);
        clock_advance(r.clock, PRESS_NS);
        assert_int_equal(get(&r, GPIO_PIN3, 4), 0);
        assert_int_equal(get(&r, GPIO_MIS, 4), rows[i].released);
        assert_int_equal(r.irq, rows[i].released != 0);
        drop(&r);
    }
    make(&r, "pl061"); /* an output is what was written, not what is pressed; other pins keep theirs */
    pl061_connect(r.dev, line(&r));
    put(&r, GPIO_DIR, 4, 0xff);
    put(&r, 0x3fc, 4, 0xa5);
    put(&r, 0x0f << 2, 4, 0x5a);
    pl061_pulse(r.dev, 0, PRESS_NS);
    assert_int_equal(get(&r, 0x3fc, 4), 0xaa);
    assert_int_equal(get(&r, 0xf0 << 2, 4), 0xa0);
    drop(&r);
}

/* ---- SP805: 32768 ticks are a second ---- */

enum { LOAD = 0, VALUE = 4, CONTROL = 8, INTCLR = 0xc, RIS = 0x10, MIS = 0x14, LOCK = 0xc00 };
#define SECOND 1000000000ll

static void test_sp805(void **state)
{
    Rig r;

    make(&r, "sp805");
    sp805_connect(r.dev, line(&r), on_reset, &r);
    assert_int_equal(get(&r, VALUE, 4), 0xffffffff);
    assert_int_equal(get(&r, CONTROL, 4), 0);
    assert_int_equal(get(&r, 0xfe0, 4) | get(&r, 0xfe4, 4) << 8, 0x1805);
    put(&r, LOAD, 4, 32768);
    clock_advance(r.clock, SECOND);
    assert_int_equal(get(&r, VALUE, 4), 32768); /* off */
    put(&r, CONTROL, 4, 3);
    clock_advance(r.clock, 3 * SECOND / 2);
    assert_int_equal(get(&r, VALUE, 4), 16384);
    put(&r, INTCLR, 4, 1); /* served: a second from here */
    clock_advance(r.clock, 5 * SECOND / 2 - 1);
    assert_false(r.irq);
    clock_advance(r.clock, 5 * SECOND / 2);
    assert_true(r.irq);
    assert_int_equal(get(&r, RIS, 4) | get(&r, MIS, 4), 1);
    assert_int_equal(get(&r, VALUE, 4), 32768); /* the second period */
    put(&r, INTCLR, 4, 1);
    assert_false(r.irq);
    clock_advance(r.clock, 9 * SECOND / 2 - 1);
    assert_true(r.irq);
    assert_int_equal(r.n_resets, 0);
    clock_advance(r.clock, 9 * SECOND / 2);
    assert_int_equal(r.n_resets, 1);
    clock_advance(r.clock, 99 * SECOND);
    assert_int_equal(r.n_resets, 1);
    drop(&r);
}

static void test_sp805_lock(void **state)
{
    Rig r;

    make(&r, "sp805");
    sp805_connect(r.dev, line(&r), on_reset, &r);
    assert_int_equal(get(&r, LOCK, 4), 0);
    put(&r, LOCK, 4, 1);
    assert_int_equal(get(&r, LOCK, 4), 1);
    put(&r, LOAD, 4, 5);
    put(&r, CONTROL, 4, 3);
    assert_int_equal(get(&r, LOAD, 4), 0xffffffff);
    assert_int_equal(get(&r, CONTROL, 4), 0);
    put(&r, LOCK, 4, 0x1acce551);
    put(&r, LOAD, 4, 32768);
    put(&r, CONTROL, 4, 1); /* interrupt, no reset */
    clock_advance(r.clock, 10 * SECOND);
    assert_true(r.irq);
    assert_int_equal(r.n_resets, 0);
    put(&r, CONTROL, 4, 0);
    assert_false(r.irq);
    assert_int_equal(get(&r, RIS, 4), 1);
    device_reset(r.dev);
    assert_int_equal(get(&r, RIS, 4), 0);
    assert_int_equal(get(&r, VALUE, 4), 0xffffffff);
    drop(&r);
}

/* ---- generic watchdog, 16 ns a tick ---- */

enum { WCS = 0, WOR = 8, WCV = 0x10 };

static void test_gwdt(void **state)
{
    Rig      r;
    uint64_t v;

    make(&r, "gwdt");
    gwdt_connect(r.dev, 16, line(&r), on_reset, &r);
    assert_int_equal(get(&r, 0xfcc, 4), 0x1043b);
    put(&r, WOR, 4, 100);
    put(&r, WCS, 4, 1);
    assert_int_equal(get(&r, WCV, 8), 100);
    clock_advance(r.clock, 16 * 100);
    assert_false(r.irq); /* not greater yet */
    gwdt_refresh_ops.write(r.dev, 0, 4, attrs, 1);
    assert_int_equal(get(&r, WCV, 8), 200);
    clock_advance(r.clock, 16 * 201);
    assert_true(r.irq);
    assert_int_equal(get(&r, WCS, 4), 3);
    assert_int_equal(get(&r, WCV, 8), 301);
    gwdt_refresh_ops.write(r.dev, 0, 4, attrs, 1);
    assert_false(r.irq);
    assert_int_equal(get(&r, WCS, 4), 1);
    clock_advance(r.clock, 16 * 302);
    assert_true(r.irq);
    clock_advance(r.clock, 16 * 402);
    assert_int_equal(r.n_resets, 0);
    clock_advance(r.clock, 16 * 403);
    assert_int_equal(r.n_resets, 1);
    assert_int_equal(get(&r, WCS, 4), 7);
    put(&r, WOR, 4, 50); /* an explicit refresh as well */
    assert_int_equal(get(&r, WCS, 4), 1);
    put(&r, WCS, 4, 0);
    clock_advance(r.clock, 16 * 10000);
    assert_false(r.irq);
    put(&r, WOR + 4, 4, 1); /* 48 bits */
    assert_int_equal(get(&r, WOR, 8), 0x100000032);
    put(&r, WCV, 8, 5); /* long past */
    put(&r, WOR + 4, 4, 0);
    put(&r, WCS, 4, 1);
    put(&r, WCV, 8, 5);
    clock_advance(r.clock, 16 * 10000 + 1);
    assert_true(r.irq);
    assert_int_equal(gwdt_refresh_ops.read(r.dev, 0, 4, attrs, &v), MEM_OK);
    assert_int_equal(v, 0);
    drop(&r);
}

/* ---- system counter and memory-mapped timer ---- */

static uint64_t frame_get(Rig *r, uint64_t off, unsigned size)
{
    uint64_t v;

    assert_int_equal(memtimer_frame_ops.read(r->dev, off, size, attrs, &v), MEM_OK);
    return v;
}

static void frame_put(Rig *r, uint64_t off, unsigned size, uint64_t value)
{
    assert_int_equal(memtimer_frame_ops.write(r->dev, off, size, attrs, value), MEM_OK);
}

static void test_memtimer(void **state)
{
    Rig      r;
    uint64_t v;

    make(&r, "memtimer");
    memtimer_connect(r.dev, 16, 62500000, 1, line(&r));
    assert_int_equal(get(&r, 0, 4), 62500000);
    assert_int_equal(get(&r, 8, 4), 0x10);
    assert_int_equal(get(&r, 0x44, 4), 0x3f);
    assert_int_equal(get(&r, 0x40, 4), 0);
    clock_advance(r.clock, 16 * 1000);
    assert_int_equal(frame_get(&r, 0, 8), 1000);
    assert_int_equal(frame_get(&r, 8, 4), 1000);
    assert_int_equal(frame_get(&r, 0x10, 4), 62500000);
    frame_put(&r, 0x20, 8, 1500);
    frame_put(&r, 0x2c, 4, 1);
    assert_int_equal(frame_get(&r, 0x28, 4), 500);
    clock_advance(r.clock, 16 * 1500 - 1);
    assert_false(r.irq);
    assert_int_equal(frame_get(&r, 0x2c, 4), 1);
    clock_advance(r.clock, 16 * 1500);
    assert_true(r.irq);
    assert_int_equal(frame_get(&r, 0x2c, 4), 5);
    frame_put(&r, 0x2c, 4, 3); /* masked */
    assert_false(r.irq);
    frame_put(&r, 0x2c, 4, 1);
    assert_true(r.irq);
    frame_put(&r, 0x28, 4, (uint32_t)-10);
    assert_int_equal(frame_get(&r, 0x20, 8), 1490);
    frame_put(&r, 0x28, 4, 10);
    assert_false(r.irq);
    frame_put(&r, 0x24, 4, 0xffffffff); /* beyond the end of time */
    assert_int_equal(frame_get(&r, 0x20, 8), 0xffffffff00000000ull | 1510);
    assert_int_equal(clock_next_deadline(r.clock), INT64_MAX);
    put(&r, 0x44, 4, 0x1); /* the frame may only read the count */
    frame_put(&r, 0x28, 4, 1);
    assert_int_equal(frame_get(&r, 0x2c, 4), 0);
    assert_int_equal(frame_get(&r, 0, 4), 1500);
    assert_int_equal(frame_get(&r, 8, 4), 0);
    assert_int_equal(memtimer_frame_ops.read(r.dev, 0, 2, attrs, &v), MEM_SLAVE);
    drop(&r);
}

static void test_counter(void **state)
{
    Rig r;

    make(&r, "cntcontrol");
    syscount_connect(r.dev, 16, 62500000);
    clock_advance(r.clock, 16ll << 33);
    assert_int_equal(get(&r, 0, 4), 1);
    put(&r, 0, 4, 0);
    assert_int_equal(get(&r, 0, 4), 1);
    assert_int_equal(get(&r, 8, 8), 1ull << 33);
    assert_int_equal(get(&r, 12, 4), 2);
    assert_int_equal(get(&r, 0x20, 4), 62500000);
    assert_int_equal(get(&r, 0x24, 4), 0);
    drop(&r);
    make(&r, "cntread");
    syscount_connect(r.dev, 16, 62500000);
    clock_advance(r.clock, 160);
    assert_int_equal(get(&r, 0, 8), 10);
    drop(&r);
}

/* ---- motherboard ---- */

static void on_event(void *opaque, bool reset) { ((Rig *)opaque)->n_resets += reset ? 1 : 100; }

static void test_sysregs(void **state)
{
    Rig r;

    make(&r, "ve-sysregs");
    ve_sysregs_connect(r.dev, 0x12345678, on_event, &r);
    assert_int_equal(get(&r, 0, 4), 0x12345678);
    put(&r, 8, 4, 0x1a5);
    assert_int_equal(get(&r, 8, 4), 0xa5);
    put(&r, 0x30, 4, 0xf0);
    put(&r, 0x30, 4, 0x0f);
    put(&r, 0x34, 4, 0x81);
    assert_int_equal(get(&r, 0x30, 4), 0x7e);
    assert_int_equal(get(&r, 0x38, 4), 0);
    clock_advance(r.clock, SECOND);
    assert_int_equal(get(&r, 0x24, 4), 100);
    assert_int_equal(get(&r, 0x5c, 4), 24000000);
    put(&r, 0xa4, 4, 0xc0100000); /* oscillators: not here */
    assert_int_equal(get(&r, 0xa8, 4), 3);
    put(&r, 0xa4, 4, 0xc0900000);
    assert_int_equal(get(&r, 0xa8, 4), 1);
    assert_int_equal(r.n_resets, 1);
    put(&r, 0xa4, 4, 0x40800000); /* without start */
    assert_int_equal(r.n_resets, 1);
    put(&r, 0xa4, 4, 0xc0800000);
    assert_int_equal(r.n_resets, 101);
    drop(&r);
}

static bool exists(void *opaque, uint32_t mpidr, bool *is_on)
{
    *is_on = mpidr == 0x100;
    return mpidr == 0x100 || mpidr == 0x10000;
}

static void test_pwrc(void **state)
{
    Rig r;

    make(&r, "fvp-pwrc");
    fvp_pwrc_connect(r.dev, exists, NULL);
    assert_int_equal(get(&r, 0x10, 4), 0xffffffff);
    put(&r, 0x10, 4, 0x80000100);
    assert_int_equal(get(&r, 0x10, 4), 0xe0000000);
    put(&r, 0x10, 4, 0x10000);
    assert_int_equal(get(&r, 0x10, 4), 0xc0000000);
    put(&r, 4, 4, 0x10000);
    assert_int_equal(get(&r, 0x10, 4), 0xc0000000);
    drop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sp805),    cmocka_unit_test(test_sp805_lock), cmocka_unit_test(test_gwdt),
        cmocka_unit_test(test_memtimer), cmocka_unit_test(test_counter),    cmocka_unit_test(test_sysregs),
        cmocka_unit_test(test_pwrc),
        cmocka_unit_test(test_pl061),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
