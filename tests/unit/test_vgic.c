/*
 * The VMM's side of a virtual GIC: filling list registers, folding them back after an exit, waking vCPUs,
 * SGIs. What the guest does in between is done to the list registers as hardware would.
 */
#include "gic_box.h"

#define PEND ICH_LR_STATE_PENDING
#define ACT  ICH_LR_STATE_ACTIVE
#define G1   ICH_LR_GROUP
#define EOI_BIT ICH_LR_EOI
#define PRIO(p) ((uint64_t)(p) << 48)

static GicBox   box;
static uint64_t lrs[GIC_N_LRS];

static void setup(void)
{
    gic_box_init(&box, true);
    gic_box_enable(&box);
    gic_box_write(&box, &gicv3_redist_ops, 0x10100, 4, ~0u);
    gic_box_write(&box, &gicv3_redist_ops, 0x30100, 4, ~0u);
    gic_box_write(&box, &gicv3_dist_ops, 0x104, 4, ~0u);
}

static uint64_t fill(unsigned vcpu)
{
    return gicv3_virt_fill_lrs(box.gic, vcpu, lrs, GIC_N_LRS);
}

static void sync(unsigned vcpu, uint64_t hcr)
{
    gicv3_virt_sync_lrs(box.gic, vcpu, lrs, GIC_N_LRS, hcr);
}

static void set_edge(unsigned intid)
{
    uint64_t off = 0xc00 + intid / 16 * 4;

    gic_box_write(&box, &gicv3_dist_ops, off, 4,
                  gic_box_read(&box, &gicv3_dist_ops, off, 4) | 2u << (intid % 16 * 2));
}

static void set_prio(unsigned intid, uint8_t prio)
{
    gic_box_write(&box, &gicv3_dist_ops, 0x400 + intid, 1, prio);
}

/* What the guest does with list register @n. */
static void guest_ack(unsigned n) { lrs[n] = (lrs[n] & ~PEND) | ACT; }
static void guest_eoi(unsigned n) { lrs[n] &= ~ACT; }

static bool is_active(unsigned intid)
{
    return gic_box_read(&box, &gicv3_dist_ops, 0x300 + intid / 32 * 4, 4) >> (intid % 32) & 1;
}

static bool is_pending(unsigned intid)
{
    return gic_box_read(&box, &gicv3_dist_ops, 0x200 + intid / 32 * 4, 4) >> (intid % 32) & 1;
}

static void test_nothing(void **state)
{
    setup();
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    assert_int_equal(fill(0), 0);
    for (unsigned i = 0; i < GIC_N_LRS; i++) {
        assert_int_equal(lrs[i], 0);
    }
    sync(0, 0);
    assert_int_equal(gicv3_virt_fill_lrs(box.gic, 9, lrs, GIC_N_LRS), 0); /* no such vCPU */
    gicv3_virt_sync_lrs(box.gic, 9, lrs, GIC_N_LRS, 0);
    assert_false(gicv3_virt_has_pending(box.gic, 9));
    gic_box_free(&box);
}

static void test_edge(void **state)
{
    setup();
    set_edge(40);
    set_prio(40, 0x80);
    gicv3_set_spi(box.gic, 40, true);
    gicv3_set_spi(box.gic, 40, false);
    assert_true(box.line[0][GIC_LINE_IRQ]);
    assert_true(gicv3_virt_has_pending(box.gic, 0));
    assert_false(gicv3_virt_has_pending(box.gic, 1));
    assert_int_equal(fill(0), 0);
    assert_int_equal(lrs[0], PEND | G1 | PRIO(0x80) | 40);
    assert_int_equal(lrs[1], 0);
    assert_false(box.line[0][GIC_LINE_IRQ]);
    sync(0, 0); /* the guest did not get to it */
    assert_true(gicv3_virt_has_pending(box.gic, 0));
    fill(0);
    guest_ack(0);
    sync(0, 0);
    assert_true(is_active(40));
    assert_false(is_pending(40));
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    fill(0); /* still active: the guest must find it */
    assert_int_equal(lrs[0], ACT | G1 | PRIO(0x80) | 40);
    guest_eoi(0);
    sync(0, 0);
    assert_false(is_active(40));
    fill(0);
    assert_int_equal(lrs[0], 0);
    gic_box_free(&box);
}

/* A second edge while the first one is out, and while it is active. */
static void test_edge_again(void **state)
{
    setup();
    set_edge(40);
    gicv3_set_spi(box.gic, 40, true);
    fill(0);
    gicv3_set_spi(box.gic, 40, false);
    gicv3_set_spi(box.gic, 40, true);
    assert_false(box.line[0][GIC_LINE_IRQ]); /* out: nothing new to fetch before the exit */
    guest_ack(0);
    sync(0, 0);
    assert_true(is_active(40));
    assert_true(is_pending(40));
    fill(0);
    assert_int_equal(lrs[0] & (PEND | ACT), PEND | ACT);
    lrs[0] &= ~ACT; /* EOI; delivered again, not yet acknowledged */
    sync(0, 0);
    assert_false(is_active(40));
    assert_true(gicv3_virt_has_pending(box.gic, 0));
    gic_box_free(&box);
}

static void test_level(void **state)
{
    setup();
    gicv3_set_spi(box.gic, 40, true);
    fill(0);
    assert_int_equal(lrs[0], PEND | EOI_BIT | G1 | 40);
    guest_ack(0);
    sync(0, 0);
    fill(0);
    assert_int_equal(lrs[0], ACT | EOI_BIT | G1 | 40); /* active only, though the line is high */
    guest_eoi(0);
    sync(0, 0); /* the maintenance interrupt */
    assert_true(gicv3_virt_has_pending(box.gic, 0));
    fill(0);
    assert_int_equal(lrs[0], PEND | EOI_BIT | G1 | 40);
    gicv3_set_spi(box.gic, 40, false); /* the line drops before the guest looks */
    sync(0, 0);
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    gic_box_write(&box, &gicv3_dist_ops, 0x204, 4, 0x100); /* software pending */
    fill(0);
    guest_ack(0);
    guest_eoi(0);
    sync(0, 0);
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    gic_box_free(&box);
}

static void test_ppi(void **state)
{
    setup();
    gicv3_set_ppi(gicv3_cpu(box.gic, 1), 27, true);
    assert_false(box.line[0][GIC_LINE_IRQ]);
    assert_true(box.line[1][GIC_LINE_IRQ]);
    fill(1);
    assert_int_equal(lrs[0], PEND | EOI_BIT | G1 | 27);
    guest_ack(0);
    sync(1, 0);
    fill(0);
    assert_int_equal(lrs[0], 0);
    sync(0, 0);
    fill(1);
    assert_int_equal(lrs[0], ACT | EOI_BIT | G1 | 27);
    gicv3_set_ppi(gicv3_cpu(box.gic, 1), 27, false);
    guest_eoi(0);
    sync(1, 0);
    assert_false(gicv3_virt_has_pending(box.gic, 1));
    gic_box_free(&box);
}

/* More interrupts than list registers: the best first, a request to come back when they are done. */
static void test_overflow_pending(void **state)
{
    setup();
    for (unsigned i = 0; i < 20; i++) {
        set_edge(32 + i);
        set_prio(32 + i, (uint8_t)(0xa0 - i * 8));
        gicv3_set_spi(box.gic, 32 + i, true);
    }
    assert_int_equal(gicv3_virt_fill_lrs(box.gic, 0, lrs, 4), ICH_HCR_NPIE);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(lrs[i] & 0xffff, 51 - i);
    }
    assert_false(box.line[0][GIC_LINE_IRQ]);
    for (unsigned i = 0; i < 4; i++) {
        lrs[i] = 0; /* acknowledged and done */
    }
    gicv3_virt_sync_lrs(box.gic, 0, lrs, 4, 0);
    assert_int_equal(fill(0), 0);
    assert_int_equal(lrs[0] & 0xffff, 47);
    assert_int_equal(lrs[15] & 0xffff, 32);
    gic_box_free(&box);
}

/* More active ones than list registers: EOIs without one are counted, and end the next by priority. */
static void test_overflow_active(void **state)
{
    setup();
    for (unsigned i = 0; i < 6; i++) {
        set_edge(32 + i);
        set_prio(32 + i, (uint8_t)(0x80 + i * 8));
        gic_box_write(&box, &gicv3_dist_ops, 0x304, 4, 1u << i);
    }
    assert_int_equal(gicv3_virt_fill_lrs(box.gic, 0, lrs, 4), ICH_HCR_LRENPIE);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(lrs[i] & (ACT | 0xffff), ACT | (32 + i));
        guest_eoi(i);
    }
    gicv3_virt_sync_lrs(box.gic, 0, lrs, 4, 1ull << ICH_HCR_EOICOUNT_SHIFT);
    assert_false(is_active(35));
    assert_false(is_active(36));
    assert_true(is_active(37));
    assert_int_equal(gicv3_virt_fill_lrs(box.gic, 0, lrs, 4), 0);
    assert_int_equal(lrs[0] & (ACT | 0xffff), ACT | 37);
    gicv3_virt_sync_lrs(box.gic, 0, lrs, 4, 31ull << ICH_HCR_EOICOUNT_SHIFT); /* more than there are */
    assert_true(is_active(37)); /* it was in a list register */
    gic_box_free(&box);
}

/* An active SPI stays with the vCPU that took it, wherever its router points now. */
static void test_reroute(void **state)
{
    setup();
    set_edge(40);
    gicv3_set_spi(box.gic, 40, true);
    fill(0);
    guest_ack(0);
    sync(0, 0);
    gic_box_write(&box, &gicv3_dist_ops, 0x6140, 8, 1);
    fill(1);
    assert_int_equal(lrs[0], 0);
    sync(1, 0);
    fill(0);
    assert_int_equal(lrs[0] & (ACT | 0xffff), ACT | 40);
    gicv3_set_spi(box.gic, 40, false);
    gicv3_set_spi(box.gic, 40, true);
    guest_eoi(0);
    sync(0, 0);
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    assert_true(gicv3_virt_has_pending(box.gic, 1));
    assert_true(box.line[1][GIC_LINE_IRQ]);
    gic_box_free(&box);
}

static void test_sgi(void **state)
{
    setup();
    gicv3_virt_sgi(box.gic, 0, 5 << 24 | 2);
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    assert_true(gicv3_virt_has_pending(box.gic, 1));
    fill(1);
    assert_int_equal(lrs[0], PEND | G1 | 5);
    gicv3_virt_sgi(box.gic, 0, 5 << 24 | 2); /* again while it is out */
    guest_ack(0);
    sync(1, 0);
    fill(1);
    assert_int_equal(lrs[0], PEND | ACT | G1 | 5);
    sync(1, 0);
    gicv3_virt_sgi(box.gic, 1, 1ull << 40 | 6 << 24);
    fill(0);
    assert_int_equal(lrs[0], PEND | G1 | 6);
    gicv3_virt_sgi(box.gic, 7, 1); /* no such vCPU */
    gic_box_free(&box);
}

/* Groups, enables and the waker of the virtual frames decide too; the mask of the CPU interface is the
 * guest's own. */
static void test_enables(void **state)
{
    setup();
    gicv3_set_spi(box.gic, 40, true);
    gic_box_write(&box, &gicv3_dist_ops, 0x184, 4, 0x100);
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    gic_box_write(&box, &gicv3_dist_ops, 0x104, 4, 0x100);
    gic_box_write(&box, &gicv3_dist_ops, 0, 4, 1);
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    gic_box_write(&box, &gicv3_dist_ops, 0, 4, 2);
    gic_box_write(&box, &gicv3_redist_ops, 0x14, 4, 2);
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    gic_box_write(&box, &gicv3_redist_ops, 0x14, 4, 0);
    assert_true(gicv3_virt_has_pending(box.gic, 0));
    gic_box_write(&box, &gicv3_dist_ops, 0x84, 4, ~0x100u);
    gic_box_write(&box, &gicv3_dist_ops, 0, 4, 3);
    fill(0);
    assert_int_equal(lrs[0], PEND | EOI_BIT | 40); /* Group 0 */
    gic_box_free(&box);
}

static void put64(uint64_t addr, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        box.ram[addr - BOX_RAM + i] = (uint8_t)(value >> (i * 8));
    }
}

/* A message of a passed-through device through the virtual ITS: its tables are in guest memory. */
static void test_lpi(void **state)
{
    setup();
    gic_box_write(&box, &gicv3_redist_ops, 0x70, 8, (BOX_RAM + 0x40000) | 15);
    gic_box_write(&box, &gicv3_redist_ops, 0x78, 8, BOX_RAM + 0x60000);
    box.ram[0x40000 + 7] = 0xb1;
    gic_box_write(&box, &gicv3_redist_ops, 0, 4, 1);
    gic_box_write(&box, &gicv3_its_ops, 0x80, 8, BIT(63) | BOX_RAM);
    gic_box_write(&box, &gicv3_its_ops, 0x100, 8, BIT(63) | (BOX_RAM + 0x10000));
    gic_box_write(&box, &gicv3_its_ops, 0x108, 8, BIT(63) | (BOX_RAM + 0x20000));
    gic_box_write(&box, &gicv3_its_ops, 0, 4, 1);
    put64(BOX_RAM, 0x08 | 8ull << 32), put64(BOX_RAM + 8, 4),
        put64(BOX_RAM + 16, BIT(63) | (BOX_RAM + 0x30000));
    put64(BOX_RAM + 32, 0x09), put64(BOX_RAM + 48, BIT(63));
    put64(BOX_RAM + 64, 0x0a | 8ull << 32), put64(BOX_RAM + 72, 2 | 8199ull << 32);
    gic_box_write(&box, &gicv3_its_ops, 0x88, 8, 96);
    assert_true(gicv3_its_msi(box.gic, 8, 2));
    assert_true(box.line[0][GIC_LINE_IRQ]);
    fill(0);
    assert_int_equal(lrs[0], PEND | G1 | PRIO(0xb0) | 8199);
    assert_false(box.line[0][GIC_LINE_IRQ]);
    sync(0, 0);
    assert_true(gicv3_virt_has_pending(box.gic, 0)); /* not taken: pending again */
    fill(0);
    assert_true(gicv3_its_msi(box.gic, 8, 2)); /* another while it is out */
    assert_true(box.line[0][GIC_LINE_IRQ]);
    lrs[0] &= ~PEND; /* acknowledged: no active state */
    sync(0, 0);
    fill(0);
    assert_int_equal(lrs[0], PEND | G1 | PRIO(0xb0) | 8199);
    assert_int_equal(lrs[1], 0);
    lrs[0] = 0;
    sync(0, 0);
    assert_false(gicv3_virt_has_pending(box.gic, 0));
    gic_box_free(&box);
}

/* A list register that comes back with another vINTID is taken as the one that was given. */
static void test_lying_lrs(void **state)
{
    setup();
    set_edge(40);
    gicv3_set_spi(box.gic, 40, true);
    fill(0);
    lrs[0] = ACT | 0xffff;
    lrs[5] = ACT | 0x1234;
    sync(0, ~0ull);
    assert_true(is_active(40));
    fill(0);
    assert_int_equal(lrs[0] & 0xffff, 40);
    assert_int_equal(lrs[1], 0);
    gic_box_free(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),          cmocka_unit_test(test_edge),
        cmocka_unit_test(test_edge_again),       cmocka_unit_test(test_level),
        cmocka_unit_test(test_ppi),              cmocka_unit_test(test_overflow_pending),
        cmocka_unit_test(test_overflow_active),  cmocka_unit_test(test_reroute),
        cmocka_unit_test(test_sgi),              cmocka_unit_test(test_enables),
        cmocka_unit_test(test_lpi),              cmocka_unit_test(test_lying_lrs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
