/*
 * The ITS and LPIs: commands by name of their error, tables that are missing or too small, configuration
 * and pending tables. Every row starts from an ITS with one device, one collection and one event mapped.
 */
#include <glib.h>
#include <string.h>

#include "bytes.h"
#include "gic_box.h"

enum {
    QUEUE = BOX_RAM,
    DEVICES = BOX_RAM + 0x10000,     /* flat, one 4 KiB page: 512 devices */
    COLLECTIONS = BOX_RAM + 0x20000, /* flat, one 4 KiB page: 512 collections */
    ITT = BOX_RAM + 0x30000,
    PROPERTIES = BOX_RAM + 0x40000,
    PENDING = BOX_RAM + 0x60000,     /* of CPU 1 at + 0x10000 */
    L2_DEVICES = BOX_RAM + 0x80000,
};

#define VALID BIT(63)

typedef struct Command {
    uint64_t dw[4];
} Command;

#define MAPD(dev, size, itt) { { 0x08 | (uint64_t)(dev) << 32, size, VALID | (itt) } }
#define UNMAPD(dev) { { 0x08 | (uint64_t)(dev) << 32 } }
#define MAPC(icid, cpu) { { 0x09, 0, VALID | (uint64_t)(cpu) << 16 | (icid) } }
#define UNMAPC(icid) { { 0x09, 0, icid } }
#define MAPTI(dev, ev, lpi, icid) { { 0x0a | (uint64_t)(dev) << 32, (ev) | (uint64_t)(lpi) << 32, icid } }
#define MAPI(dev, ev, icid) { { 0x0b | (uint64_t)(dev) << 32, ev, icid } }
#define EVENT(code, dev, ev) { { (code) | (uint64_t)(dev) << 32, ev } }
#define INT(dev, ev) EVENT(0x03, dev, ev)
#define CLEAR(dev, ev) EVENT(0x04, dev, ev)
#define INV(dev, ev) EVENT(0x0c, dev, ev)
#define DISCARD(dev, ev) EVENT(0x0f, dev, ev)
#define INVALL(icid) { { 0x0d, 0, icid } }
#define MOVI(dev, ev, icid) { { 0x01 | (uint64_t)(dev) << 32, ev, icid } }
#define MOVALL(from, to) { { 0x0e, 0, (uint64_t)(from) << 16, (uint64_t)(to) << 16 } }
#define SYNC(cpu) { { 0x05, 0, (uint64_t)(cpu) << 16 } }

static void queue(GicBox *box, const Command *c)
{
    uint64_t at = gic_box_read(box, &gicv3_its_ops, 0x88, 8);

    for (unsigned i = 0; i < 4; i++) {
        le64_put(box->ram + (QUEUE - BOX_RAM + at + i * 8), c->dw[i]);
    }
    gic_box_write(box, &gicv3_its_ops, 0x88, 8, (at + 32) % 0x1000);
}

/* Runs one command; what it complains of, or NULL. */
static const char *run(GicBox *box, Command c)
{
    box->gic->its.last_error = NULL;
    queue(box, &c);
    assert_int_equal(gic_box_read(box, &gicv3_its_ops, 0x90, 8), gic_box_read(box, &gicv3_its_ops, 0x88, 8));
    return box->gic->its.last_error;
}

static void set_property(GicBox *box, uint32_t lpi, uint8_t value)
{
    box->ram[PROPERTIES - BOX_RAM + lpi - 8192] = value;
}

static bool in_pending_table(const GicBox *box, unsigned cpu, uint32_t lpi)
{
    return box->ram[PENDING - BOX_RAM + cpu * 0x10000 + lpi / 8] >> (lpi % 8) & 1;
}

static void enable_lpis(GicBox *box, unsigned cpu, bool on)
{
    gic_box_write(box, &gicv3_redist_ops, cpu * 0x20000u, 4, on);
}

static void init(GicBox *box)
{
    static const Command setup[] = { MAPD(5, 4, ITT), MAPC(1, 0), MAPC(2, 1), MAPTI(5, 3, 8195, 1) };

    gic_box_init(box, false);
    gic_box_enable(box);
    for (unsigned i = 0; i < 2; i++) {
        gic_box_write(box, &gicv3_redist_ops, i * 0x20000 + 0x70, 8, PROPERTIES | 15);
        gic_box_write(box, &gicv3_redist_ops, i * 0x20000 + 0x78, 8, PENDING + i * 0x10000);
    }
    for (uint32_t lpi = 8192; lpi < 8192 + 64; lpi++) {
        set_property(box, lpi, 0xa1);
    }
    enable_lpis(box, 0, true);
    enable_lpis(box, 1, true);
    gic_box_write(box, &gicv3_its_ops, 0x80, 8, VALID | QUEUE);
    gic_box_write(box, &gicv3_its_ops, 0x100, 8, VALID | DEVICES);
    gic_box_write(box, &gicv3_its_ops, 0x108, 8, VALID | COLLECTIONS);
    gic_box_write(box, &gicv3_its_ops, 0, 4, 1);
    for (unsigned i = 0; i < ARRAY_LEN(setup); i++) {
        assert_null(run(box, setup[i]));
    }
}

/* ---- commands by error ---- */

typedef struct CommandRow {
    const char *name;
    Command     c;
    const char *error;
} CommandRow;

static const CommandRow command_rows[] = {
    { "MAPD device beyond the table", MAPD(512, 4, ITT), "DEVICE_OOR" },
    { "MAPD device of 17 bits", MAPD(0x10000, 4, ITT), "DEVICE_OOR" },
    { "MAPD of 17 event bits", MAPD(6, 16, ITT), "ITTSIZE_OOR" },
    { "MAPD of 16 event bits", MAPD(6, 15, ITT), NULL },
    { "MAPD unmap ignores the size", { { 0x08 | 6ull << 32, 31, ITT } }, NULL },
    { "MAPC beyond the table", MAPC(512, 0), "COLLECTION_OOR" },
    { "MAPC to no CPU", MAPC(3, 2), "PROCNUM_OOR" },
    { "MAPC to no CPU, all ones", MAPC(3, 0x7ffffffff), "PROCNUM_OOR" },
    { "MAPC unmap", UNMAPC(1), NULL },
    { "MAPTI device beyond the table", MAPTI(600, 0, 8200, 1), "DEVICE_OOR" },
    { "MAPTI unmapped device", MAPTI(6, 0, 8200, 1), "UNMAPPED_DEVICE" },
    { "MAPTI event beyond the ITT", MAPTI(5, 32, 8200, 1), "ID_OOR" },
    { "MAPTI last event", MAPTI(5, 31, 8200, 1), NULL },
    { "MAPTI event of 32 bits", MAPTI(5, 0xffffffff, 8200, 1), "ID_OOR" },
    { "MAPTI no LPI", MAPTI(5, 0, 8191, 1), "PHYSICALID_OOR" },
    { "MAPTI LPI of 17 bits", MAPTI(5, 0, 65536, 1), "PHYSICALID_OOR" },
    { "MAPTI collection beyond the table", MAPTI(5, 0, 8200, 512), "COLLECTION_OOR" },
    { "MAPTI collection not mapped yet", MAPTI(5, 0, 8200, 9), NULL },
    { "MAPI makes the event the LPI", MAPI(5, 3, 1), "PHYSICALID_OOR" },
    { "INT", INT(5, 3), NULL },
    { "INT unmapped event", INT(5, 4), "UNMAPPED_INTERRUPT" },
    { "INT event beyond the ITT", INT(5, 32), "ID_OOR" },
    { "INT unmapped device", INT(7, 3), "UNMAPPED_DEVICE" },
    { "INT device beyond the table", INT(0xffffffff, 3), "DEVICE_OOR" },
    { "CLEAR", CLEAR(5, 3), NULL },
    { "CLEAR unmapped event", CLEAR(5, 4), "UNMAPPED_INTERRUPT" },
    { "INV", INV(5, 3), NULL },
    { "INV unmapped event", INV(5, 0), "UNMAPPED_INTERRUPT" },
    { "INVALL", INVALL(1), NULL },
    { "INVALL unmapped collection", INVALL(7), "UNMAPPED_COLLECTION" },
    { "INVALL beyond the table", INVALL(0xffff), "COLLECTION_OOR" },
    { "DISCARD", DISCARD(5, 3), NULL },
    { "DISCARD unmapped event", DISCARD(5, 2), "UNMAPPED_INTERRUPT" },
    { "MOVI", MOVI(5, 3, 2), NULL },
    { "MOVI unmapped event", MOVI(5, 2, 2), "UNMAPPED_INTERRUPT" },
    { "MOVI to an unmapped collection", MOVI(5, 3, 7), "UNMAPPED_COLLECTION" },
    { "MOVALL", MOVALL(0, 1), NULL },
    { "MOVALL from no CPU", MOVALL(2, 1), "PROCNUM_OOR" },
    { "MOVALL to no CPU", MOVALL(0, 0x10000), "PROCNUM_OOR" },
    { "SYNC", SYNC(1), NULL },
    { "SYNC of no CPU", SYNC(2), "PROCNUM_OOR" },
    { "no such command", { { 0xff } }, "COMMAND_OOR" },
    { "command 0", { { 0 } }, "COMMAND_OOR" },
    { "GICv4 command", { { 0x2a } }, "COMMAND_OOR" },
};

static void expect_error(const char *name, const char *got, const char *want)
{
    if (g_strcmp0(got, want) != 0) {
        fail_msg("%s: %s, not %s", name, got != NULL ? got : "done", want != NULL ? want : "done");
    }
}

static void test_commands(void **state)
{
    static GicBox box;

    for (size_t i = 0; i < ARRAY_LEN(command_rows); i++) {
        const CommandRow *r = &command_rows[i];

        init(&box);
        expect_error(r->name, run(&box, r->c), r->error);
        if (r->error != NULL) { /* nothing changed: the mapped event still works */
            expect_error(r->name, run(&box, (Command)INT(5, 3)), NULL);
            assert_int_equal(gic_cpu_ack(gicv3_cpu(box.gic, 0), 1), 8195);
        }
        gic_box_free(&box);
    }
}

/* ---- tables: what breaks when one is missing, by writing GITS_BASER<n> or memory behind the ITS's back
 * ---- */

typedef struct TableRow {
    const char *name;
    uint32_t    reg;   /* GITS register to change while the ITS is off */
    uint64_t    value;
    const char *error; /* of INT(5, 3) */
} TableRow;

static const TableRow table_rows[] = {
    { "no device table", 0x100, 0, "DEVICE_OOR" },
    { "device table is not memory", 0x100, VALID | 0x1000, "UNMAPPED_DEVICE" },
    { "device table elsewhere, empty", 0x100, VALID | L2_DEVICES, "UNMAPPED_DEVICE" },
    { "no collection table", 0x108, 0, "COLLECTION_OOR" },
    { "collection table is not memory", 0x108, VALID | 0x1000, "UNMAPPED_COLLECTION" },
    { "two-level device table without second level", 0x100, VALID | BIT(62) | L2_DEVICES, "DEVICE_OOR" },
    { "registers without a table are RES0", 0x110, ~0ull, NULL },
};

static void test_tables(void **state)
{
    static GicBox box;

    for (size_t i = 0; i < ARRAY_LEN(table_rows); i++) {
        const TableRow *r = &table_rows[i];

        init(&box);
        gic_box_write(&box, &gicv3_its_ops, 0x100, 8, 0); /* ignored: the ITS is on */
        gic_box_write(&box, &gicv3_its_ops, 0, 4, 0);
        gic_box_write(&box, &gicv3_its_ops, r->reg, 8, r->value);
        gic_box_write(&box, &gicv3_its_ops, 0, 4, 1);
        expect_error(r->name, run(&box, (Command)INT(5, 3)), r->error);
        gic_box_free(&box);
    }
}

static void test_two_level_table(void **state)
{
    static GicBox box;

    init(&box);
    gic_box_write(&box, &gicv3_its_ops, 0, 4, 0);
    le64_put(box.ram + (L2_DEVICES - BOX_RAM + 8), VALID | (L2_DEVICES + 0x1000)); /* devices 512 to 1023 */
    gic_box_write(&box, &gicv3_its_ops, 0x100, 8, VALID | BIT(62) | L2_DEVICES);
    gic_box_write(&box, &gicv3_its_ops, 0, 4, 1);
    expect_error("first page", run(&box, (Command)MAPD(5, 4, ITT)), "DEVICE_OOR");
    expect_error("second page", run(&box, (Command)MAPD(700, 4, ITT)), NULL);
    expect_error("event", run(&box, (Command)INT(700, 3)), NULL);
    assert_int_equal(gic_cpu_ack(gicv3_cpu(box.gic, 0), 1), 8195);
    gic_box_free(&box);
}

/* The guest scribbles over the ITS's tables: only what is checked at use is believed. */
static void test_scribbled_tables(void **state)
{
    static GicBox box;

    init(&box);
    le64_put(box.ram + (COLLECTIONS - BOX_RAM + 8), VALID | 0xffff);
    expect_error("collection of no CPU", run(&box, (Command)INT(5, 3)), "PROCNUM_OOR");
    le64_put(box.ram + (COLLECTIONS - BOX_RAM + 8), VALID);
    le64_put(box.ram + (ITT - BOX_RAM + 3 * 8), VALID | 1ull << 32 | 40);
    expect_error("INTID of an SPI", run(&box, (Command)INT(5, 3)), "LPI_OOR");
    assert_int_equal(gic_box_read(&box, &gicv3_dist_ops, 0x204, 4), 0);
    le64_put(box.ram + (ITT - BOX_RAM + 3 * 8), VALID | 1ull << 32 | 0xffffff);
    expect_error("INTID of 24 bits", run(&box, (Command)INT(5, 3)), "LPI_OOR");
    le64_put(box.ram + (DEVICES - BOX_RAM + 5 * 8), VALID | 0xfffffffffff00ull | 31);
    expect_error("ITT is not memory", run(&box, (Command)INT(5, 3)), "UNMAPPED_INTERRUPT");
    gic_box_free(&box);
}

/* ---- queue ---- */

static void test_queue(void **state)
{
    static GicBox box;
    Command       c = INT(5, 3);

    init(&box);
    for (unsigned i = 0; i < 300; i++) { /* wraps twice */
        assert_null(run(&box, (Command)SYNC(0)));
    }
    gic_box_write(&box, &gicv3_its_ops, 0x88, 8, 0x1000); /* beyond the queue: nothing runs */
    assert_int_not_equal(gic_box_read(&box, &gicv3_its_ops, 0x90, 8), 0x1000);
    gic_box_write(&box, &gicv3_its_ops, 0, 4, 0);
    gic_box_write(&box, &gicv3_its_ops, 0x80, 8, VALID | 0x1000); /* not memory: stalls at once */
    gic_box_write(&box, &gicv3_its_ops, 0x88, 8, 32);
    gic_box_write(&box, &gicv3_its_ops, 0, 4, 1);
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 0x90, 8), 1);
    gic_box_write(&box, &gicv3_its_ops, 0x88, 8, 32 | 1); /* retry fails again */
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 0x90, 8), 1);
    gic_box_write(&box, &gicv3_its_ops, 0, 4, 0);
    gic_box_write(&box, &gicv3_its_ops, 0x80, 8, VALID | QUEUE);
    gic_box_write(&box, &gicv3_its_ops, 0x88, 8, 0);
    queue(&box, &c); /* off: waits */
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 0x90, 8), 0);
    gic_box_write(&box, &gicv3_its_ops, 0, 4, 1);
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 0x90, 4), 32);
    assert_true(box.line[0][GIC_LINE_IRQ]);
    gic_box_free(&box);
}

static void test_identification(void **state)
{
    static GicBox box;

    init(&box);
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 0, 4), 0x80000001);
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 8, 8), 0x1ef71);
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 0x100, 8) >> 48, 0x8107);
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 0x108, 8) >> 48, 0x8407);
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 0x110, 8), 0);
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, 0xffe8, 4), 0x3b);
    assert_int_equal(gic_box_read(&box, &gicv3_its_ops, GITS_TRANSLATER_OFFSET, 4), 0);
    gic_box_free(&box);
}

/* ---- LPIs ---- */

static void test_message(void **state)
{
    static GicBox box;
    MemAttrs      device = { .pas = PAS_NONSECURE, .is_device = true, .requester = 5 };
    GicCpu       *cpu;

    init(&box);
    cpu = gicv3_cpu(box.gic, 0);
    gic_box_write(&box, &gicv3_its_ops, GITS_TRANSLATER_OFFSET, 4, 3); /* a CPU's write has no DeviceID */
    assert_false(box.line[0][GIC_LINE_IRQ]);
    assert_int_equal(gicv3_its_ops.write(box.gic, GITS_TRANSLATER_OFFSET, 4, device, 3), MEM_OK);
    assert_true(box.line[0][GIC_LINE_IRQ]);
    assert_int_equal(gic_cpu_hppi(cpu, 1), 8195);
    assert_int_equal(gic_cpu_ack(cpu, 1), 8195);
    assert_int_equal(gic_cpu_rpr(cpu), 0xa0);
    assert_false(box.line[0][GIC_LINE_IRQ]);
    assert_true(gicv3_its_msi(box.gic, 5, 3)); /* again while it runs: kept, no active state */
    gic_cpu_eoi(cpu, 1, 8195);
    assert_int_equal(gic_cpu_ack(cpu, 1), 8195);
    gic_cpu_eoi(cpu, 1, 8195);
    assert_int_equal(gic_cpu_ack(cpu, 1), GIC_SPURIOUS);
    assert_false(gicv3_its_msi(box.gic, 5, 4));
    assert_false(gicv3_its_msi(box.gic, 6, 3));
    gic_box_write(&box, &gicv3_its_ops, 0, 4, 0);
    assert_false(gicv3_its_msi(box.gic, 5, 3));
    gic_box_free(&box);
}

static void test_configuration(void **state)
{
    static GicBox box;
    GicCpu       *cpu;

    init(&box);
    cpu = gicv3_cpu(box.gic, 0);
    set_property(&box, 8195, 0xa0); /* disabled, but not told yet */
    assert_true(gicv3_its_msi(box.gic, 5, 3));
    assert_true(box.line[0][GIC_LINE_IRQ]);
    assert_null(run(&box, (Command)INV(5, 3)));
    assert_false(box.line[0][GIC_LINE_IRQ]);
    set_property(&box, 8195, 0x47);
    assert_null(run(&box, (Command)INVALL(2))); /* another CPU's */
    assert_false(box.line[0][GIC_LINE_IRQ]);
    assert_null(run(&box, (Command)INVALL(1)));
    assert_true(box.line[0][GIC_LINE_IRQ]);
    assert_null(run(&box, (Command)MAPTI(5, 4, 8193, 1)));
    set_property(&box, 8193, 0x41);
    assert_null(run(&box, (Command)INV(5, 4)));
    assert_true(gicv3_its_msi(box.gic, 5, 4));
    assert_int_equal(gic_cpu_ack(cpu, 1), 8193); /* the tie goes to the lower INTID */
    assert_int_equal(gic_cpu_rpr(cpu), 0x40);
    gic_cpu_eoi(cpu, 1, 8193);
    assert_null(run(&box, (Command)CLEAR(5, 3)));
    assert_int_equal(gic_cpu_ack(cpu, 1), GIC_SPURIOUS);
    gic_box_free(&box);
}

static void test_move(void **state)
{
    static GicBox box;

    init(&box);
    assert_true(gicv3_its_msi(box.gic, 5, 3));
    assert_null(run(&box, (Command)MOVI(5, 3, 2)));
    assert_false(box.line[0][GIC_LINE_IRQ]);
    assert_true(box.line[1][GIC_LINE_IRQ]);
    assert_null(run(&box, (Command)MOVALL(1, 0)));
    assert_true(box.line[0][GIC_LINE_IRQ]);
    assert_false(box.line[1][GIC_LINE_IRQ]);
    assert_int_equal(gic_cpu_ack(gicv3_cpu(box.gic, 0), 1), 8195);
    assert_true(gicv3_its_msi(box.gic, 5, 3)); /* new ones go where MOVI said */
    assert_true(box.line[1][GIC_LINE_IRQ]);
    assert_null(run(&box, (Command)DISCARD(5, 3)));
    assert_false(box.line[1][GIC_LINE_IRQ]);
    assert_false(gicv3_its_msi(box.gic, 5, 3));
    gic_box_free(&box);
}

static void test_unmap_device(void **state)
{
    static GicBox box;

    init(&box);
    assert_null(run(&box, (Command)UNMAPD(5)));
    assert_false(gicv3_its_msi(box.gic, 5, 3));
    assert_null(run(&box, (Command)MAPD(5, 4, ITT)));
    assert_null(run(&box, (Command)UNMAPC(1)));
    assert_false(gicv3_its_msi(box.gic, 5, 3));
    gic_box_free(&box);
}

/* The pending table is read at enable, written back at disable. */
static void test_pending_table(void **state)
{
    static GicBox box;

    init(&box);
    assert_true(gicv3_its_msi(box.gic, 5, 3));
    assert_false(in_pending_table(&box, 0, 8195));
    enable_lpis(&box, 0, false);
    assert_true(in_pending_table(&box, 0, 8195));
    assert_false(in_pending_table(&box, 1, 8195));
    assert_false(box.line[0][GIC_LINE_IRQ]);
    assert_false(gicv3_its_msi(box.gic, 5, 3)); /* LPIs off */
    box.ram[PENDING - BOX_RAM + 8196 / 8] |= 1u << (8196 % 8);
    enable_lpis(&box, 0, true);
    assert_int_equal(gic_cpu_ack(gicv3_cpu(box.gic, 0), 1), 8195);
    gic_cpu_eoi(gicv3_cpu(box.gic, 0), 1, 8195);
    assert_int_equal(gic_cpu_ack(gicv3_cpu(box.gic, 0), 1), 8196);
    enable_lpis(&box, 0, false);
    assert_false(in_pending_table(&box, 0, 8195));
    box.ram[PENDING - BOX_RAM + 8196 / 8] |= 1u << (8196 % 8);
    gic_box_write(&box, &gicv3_redist_ops, 0x78, 8, BIT(62) | PENDING); /* PTZ: believed to be zero */
    gic_cpu_eoi(gicv3_cpu(box.gic, 0), 1, 8196);
    enable_lpis(&box, 0, true);
    assert_false(box.line[0][GIC_LINE_IRQ]);
    gic_box_free(&box);
}

/* Tables that are not memory, and ID spaces that are too small, leave no LPI. */
static void test_no_tables(void **state)
{
    static GicBox box;
    static const uint64_t propbaser[] = { 0x1000 | 15, PROPERTIES | 12, PROPERTIES, PROPERTIES | 31,
        PROPERTIES | 13 };
    static const bool     works[] = { false, false, false, true, true };

    for (unsigned i = 0; i < ARRAY_LEN(propbaser); i++) {
        init(&box);
        enable_lpis(&box, 0, false);
        gic_box_write(&box, &gicv3_redist_ops, 0x70, 8, propbaser[i]);
        gic_box_write(&box, &gicv3_redist_ops, 0x78, 8, i == 0 ? 0x10000 : PENDING);
        enable_lpis(&box, 0, true);
        gicv3_its_msi(box.gic, 5, 3);
        assert_int_equal(box.line[0][GIC_LINE_IRQ], works[i]);
        enable_lpis(&box, 0, false);
        gic_box_free(&box);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),      cmocka_unit_test(test_tables),
        cmocka_unit_test(test_two_level_table), cmocka_unit_test(test_scribbled_tables),
        cmocka_unit_test(test_queue),         cmocka_unit_test(test_identification),
        cmocka_unit_test(test_message),       cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_move),          cmocka_unit_test(test_unmap_device),
        cmocka_unit_test(test_pending_table), cmocka_unit_test(test_no_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
