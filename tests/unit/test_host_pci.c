/*
 * The built-in host's view of a PCI bus: enumeration and placement, what the Realm sees of configuration
 * space, and exchanges through a DOE mailbox.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "host/assign.h"
#include "hw/pci/sriov.h"
#include "pci_rig.h"
#include "pci_toy.h"

enum { ROOT_TOY = 0x18, PORT1 = 0x08, PORT2 = 0x10, TOY1 = 0x100, TOY2 = 0x200 };

typedef struct Box {
    PciRig  *rig;
    HostScan scan;
    PciToy  *toy1;
} Box;

static void scan(Box *b)
{
    b->scan.pci = b->rig->host;
    b->scan.next_bus = 0;
    b->scan.next32 = RIG_MEM32;
    b->scan.end32 = RIG_MEM32 + (64ull << 20);
    b->scan.next64 = RIG_MEM64;
    b->scan.end64 = RIG_MEM64 + (1ull << 30);
    assert_true(host_pci_scan(&b->scan));
}

/* Two ports with a function each, one function on the root bus. */
static int setup(void **state)
{
    Box *b = g_new0(Box, 1);

    b->rig = rig_new();
    rig_add(b->rig, "pcie-root-port,id=p1,addr=1");
    rig_add(b->rig, "pcie-root-port,id=p2,addr=2");
    b->toy1 = (PciToy *)rig_add(b->rig, "pci-toy,id=t1,bus=p1");
    rig_add(b->rig, "pci-toy,id=t2,bus=p2");
    rig_add(b->rig, "pci-toy,id=t3,addr=3");
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    Box *b = *state;

    rig_free(b->rig);
    g_free(b);
    return 0;
}

/* ---- enumeration ---- */

static void test_places(void **state)
{
    static const uint16_t bdfs[] = { PORT1, TOY1, PORT2, TOY2, ROOT_TOY }; /* depth first */
    static const int      parents[] = { -1, 0, -1, 2, -1 };
    Box                  *b = *state;

    scan(b);
    assert_int_equal(b->scan.n_fns, ARRAY_LEN(bdfs));
    for (size_t i = 0; i < ARRAY_LEN(bdfs); i++) {
        assert_int_equal(b->scan.fns[i].bdf, bdfs[i]);
        assert_int_equal(b->scan.fns[i].parent, parents[i]);
        assert_ptr_equal(host_pci_find(&b->scan, bdfs[i]), &b->scan.fns[i]);
    }
    assert_null(host_pci_find(&b->scan, 0x300));
    assert_int_equal(rig_cfg_read(b->rig, PORT2, PCI_PRIMARY_BUS, 4) & 0xffffff, 0x020200);
}

/* Every BAR is aligned, answers, lies inside its bridge's window, and meets no other. */
static void test_bars(void **state)
{
    Box *b = *state;

    scan(b);
    for (unsigned i = 0; i < b->scan.n_fns; i++) {
        const HostFunction *f = &b->scan.fns[i], *up = f->parent >= 0 ? &b->scan.fns[f->parent] : NULL;

        for (unsigned n = 0; n < PCI_N_BARS; n++) {
            const HostBar *bar = &f->bars[n];
            const HostBar *w = up != NULL ? &up->window[bar->mem64 && bar->prefetch] : NULL;

            if (bar->size == 0) {
                continue;
            }
            assert_true(is_aligned(bar->base, bar->size));
            assert_non_null(memory_find(b->rig->memory, bar->base));
            if (w != NULL) {
                assert_true(bar->base >= w->base && bar->base + bar->size <= w->base + w->size);
            }
            for (unsigned k = 0; k < b->scan.n_fns * PCI_N_BARS; k++) {
                const HostBar *o = &b->scan.fns[k / PCI_N_BARS].bars[k % PCI_N_BARS];

                assert_true(o == bar || o->size == 0 ||
                            !ranges_overlap(bar->base, bar->size, o->base, o->size));
            }
        }
    }
    assert_int_equal(host_pci_find(&b->scan, TOY1)->bars[2].size, 0x4000);
    assert_true(host_pci_find(&b->scan, TOY1)->bars[2].base >= RIG_MEM64);
    rig_write(b->rig, host_pci_find(&b->scan, TOY1)->bars[0].base, 8, 0x1234);
    assert_int_equal(b->toy1->reg[0], 0x1234);
}

static void test_capabilities(void **state)
{
    Box                *b = *state;
    const HostFunction *f;

    scan(b);
    f = host_pci_find(&b->scan, TOY1);
    assert_int_equal(f->doe_cap, b->toy1->doe.off);
    assert_int_equal(f->ide_cap, b->toy1->ide.off);
    assert_true(f->devcap & PCI_EXP_DEVCAP_TEE_IO);
    assert_int_equal(f->msix.n, 4);
    assert_int_equal(f->msix.bar, 1);
}

/* A slot that is empty has room for a card; another scan's buses and addresses come behind. */
static void test_slots(void **state)
{
    Box *b = *state;

    rig_add(b->rig, "pcie-root-port,id=p3,addr=4,hotplug=on");
    scan(b);
    const HostFunction *fixed = host_pci_find(&b->scan, PORT1), *slot = host_pci_find(&b->scan, 0x20);
    uint64_t            next32 = b->scan.next32;

    assert_non_null(slot);
    assert_true(fixed->window[0].size < 2 << 20);
    assert_int_equal(slot->window[0].size, 2 << 20);
    assert_int_equal(slot->window[1].size, 32 << 20);
    assert_int_equal(host_config_read(slot, PCI_SECONDARY_BUS, 1), 3);
    assert_int_equal(b->scan.next_bus, 4);
    b->scan.end32 = next32 + (12 << 20);
    assert_true(host_pci_scan(&b->scan));
    assert_int_equal(host_config_read(slot, PCI_SECONDARY_BUS, 1), 6);
    assert_true(slot->window[0].base >= next32);
    b->scan.end32 = b->scan.next32 + (5 << 20);
    assert_false(host_pci_scan(&b->scan));
    assert_non_null(strstr(b->scan.error, "PCI memory windows"));
}

static void test_no_room(void **state)
{
    Box *b = *state;

    b->scan = (HostScan){ .pci = b->rig->host, .next32 = RIG_MEM32, .end32 = RIG_MEM32 + 0x1000,
                          .next64 = RIG_MEM64, .end64 = RIG_MEM64 + 0x1000 };
    assert_false(host_pci_scan(&b->scan));
    assert_non_null(b->scan.error);
}

/* ---- the filter ---- */

typedef struct FilterCase {
    const char *name;
    uint16_t    bdf;
    unsigned    off, size;
    uint32_t    write, mask, expect; /* what the Realm then reads under the mask */
    bool        forwarded;           /* the function holds it too */
} FilterCase;

static const FilterCase filter_cases[] = {
    { "BAR 0 can be sized", TOY1, 0x10, 4, ~0u, ~0u, 0xfffff000, false },
    { "64-bit BAR can be sized", TOY1, 0x18, 4, ~0u, ~0u, 0xffffc00c, false },
    { "BAR by bytes", TOY1, 0x13, 1, 0x55, ~0u, 0x55, false },
    { "a BAR that is not there", TOY1, 0x20, 4, ~0u, ~0u, 0, false },
    { "ROM that is not there", TOY1, 0x30, 4, ~0u, ~0u, 0, false },
    { "command", TOY1, 0x04, 2, 6, ~0u, 6, true },
    { "interrupt line", TOY1, 0x3c, 1, 0x77, ~0u, 0x77, true },
    { "bus numbers", PORT1, 0x18, 4, 0x00ff0300, 0xffffff, 0xff0300, false },
    { "memory window", PORT1, 0x20, 4, 0xffffffff, ~0u, 0xfff0fff0, false },
    { "upper prefetchable base", PORT1, 0x28, 4, ~0u, ~0u, ~0u, false },
    { "secondary bus reset", PORT1, 0x3e, 2, 0x40, ~0u, 0, false },
    { "other bits of bridge control", PORT1, 0x3e, 2, 0x43, ~0u, 3, false },
};

static void test_filter(void **state)
{
    Box *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(filter_cases); i++) {
        const FilterCase *c = &filter_cases[i];

        print_message("%s\n", c->name);
        scan(b);
        HostFunction *f = host_pci_find(&b->scan, c->bdf);
        uint32_t      before = rig_cfg_read(b->rig, c->bdf, c->off, c->size);
        unsigned      resets = b->toy1->n_resets;

        host_pci_filter_write(f, c->off, c->size, c->write);
        assert_int_equal(host_pci_filter_read(f, c->off, c->size) & c->mask, c->expect);
        if (c->forwarded) {
            assert_int_equal(rig_cfg_read(b->rig, c->bdf, c->off, c->size) & c->mask, c->expect);
        } else if (c->off != PCI_BRIDGE_CONTROL) {
            assert_int_equal(rig_cfg_read(b->rig, c->bdf, c->off, c->size), before);
        }
        assert_int_equal(b->toy1->n_resets, resets);
    }
}

static void test_no_function_reset(void **state)
{
    Box          *b = *state;
    HostFunction *f;

    scan(b);
    f = host_pci_find(&b->scan, TOY1);
    assert_false(host_pci_filter_read(f, f->exp_cap + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
    assert_true(host_pci_filter_read(f, f->exp_cap + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_TEE_IO);
    host_pci_filter_write(f, f->exp_cap + PCI_EXP_DEVCTL, 2, 0x8010);
    host_pci_filter_write(f, f->exp_cap + PCI_EXP_DEVCTL, 4, 0x8010);
    host_pci_filter_write(f, f->exp_cap + PCI_EXP_DEVCTL + 1, 1, 0x80);
    assert_int_equal(b->toy1->n_resets, 0);
}

/* The Realm's list has neither DOE nor IDE and ends; what they cover reads zero and takes nothing. */
static void test_hidden(void **state)
{
    Box          *b = *state;
    HostFunction *f;
    unsigned      n = 0, off = 0x100;

    scan(b);
    f = host_pci_find(&b->scan, TOY1);
    while (off != 0 && ++n < 20) {
        uint32_t header = host_pci_filter_read(f, off, 4);

        assert_int_not_equal(header & 0xffff, PCI_EXT_CAP_DOE);
        assert_int_not_equal(header & 0xffff, PCI_EXT_CAP_IDE);
        off = header >> 20;
    }
    assert_int_equal(off, 0);
    assert_int_equal(host_pci_filter_read(f, f->ide_cap + 4, 4), 0);
    host_pci_filter_write(f, f->doe_cap + 0x10, 4, 0x12345678);
    assert_int_equal(b->toy1->doe.in_dw, 0);
    host_pci_filter_write(f, f->ide_cap + 0x18, 4, 0xff000000);
    assert_int_equal(b->toy1->n_reconfigured, 0);
}

/* Unless -M says otherwise a card's virtual functions stay off, and are not for the Realm to turn on. */
static void test_no_virtual_functions(void **state)
{
    static const struct { const char *name; unsigned off, size; uint32_t value; } rows[] = {
        { "NumVFs", SRIOV_NUM_VFS, 2, 8 },
        { "VF Enable", SRIOV_CONTROL, 2, 9 },
        { "VF BAR", SRIOV_VF_BAR0, 4, ~0u },
    };
    Box          *b = *state;
    PciDevice    *card;
    HostFunction *f;
    unsigned      cap, n = 0, off = 0x100;

    rig_add(b->rig, "pcie-root-port,id=p3,addr=4");
    card = rig_add(b->rig, "tdisp-nic,id=n1,bus=p3,vfs=8");
    cap = card->sriov->off;
    scan(b);
    f = host_pci_find(&b->scan, pci_bdf(card));
    while (off != 0 && ++n < 20) {
        uint32_t header = host_pci_filter_read(f, off, 4);

        assert_int_not_equal(header & 0xffff, PCI_EXT_CAP_SRIOV);
        assert_int_not_equal(header & 0xffff, PCI_EXT_CAP_ARI);
        off = header >> 20;
    }
    assert_int_equal(off, 0);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t before = pci_get(card, cap + rows[i].off, rows[i].size);

        print_message("%s\n", rows[i].name);
        assert_int_equal(host_pci_filter_read(f, cap + rows[i].off, rows[i].size), 0);
        host_pci_filter_write(f, cap + rows[i].off, rows[i].size, rows[i].value);
        assert_int_equal(pci_get(card, cap + rows[i].off, rows[i].size), before);
    }
    assert_int_equal(card->sriov->n_there, 0);
}

/* ---- virtual functions for the Realm ---- */

static PciDevice *scan_with_vfs(Box *b, uint8_t vfs)
{
    PciDevice *card;

    rig_add(b->rig, "pcie-root-port,id=p3,addr=4");
    card = rig_add(b->rig, "tdisp-nic,id=n1,bus=p3,vfs=8");
    b->scan.vfs = vfs;
    scan(b);
    return card;
}

/* What follows @bdf by Next Function Number of the ARI capability that the Realm finds; 0: none. */
static uint16_t next_function(Box *b, uint16_t bdf)
{
    HostFunction *f = host_pci_find(&b->scan, bdf);
    unsigned      n = 0, off = 0x100;

    while (off != 0 && ++n < 20) {
        uint32_t header = host_pci_filter_read(f, off, 4);

        if ((header & 0xffff) == PCI_EXT_CAP_ARI) {
            unsigned next = host_pci_filter_read(f, off + 5, 1);

            return next != 0 ? (uint16_t)((bdf & 0xff00) | next) : 0;
        }
        assert_int_not_equal(header & 0xffff, PCI_EXT_CAP_SRIOV);
        off = header >> 20;
    }
    fail_msg("%04x has no ARI capability", bdf);
    return 0;
}

/* Only the named ones are functions of the Realm's; those below the last are on, and nobody's. */
static void test_virtual_functions(void **state)
{
    static const uint8_t sets[] = { 0x01, 0x80, 0x82, 0xff };
    PciDevice           *card;

    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        Box *b;

        assert_int_equal(setup((void **)&b), 0);
        card = scan_with_vfs(b, sets[i]);
        HostFunction *pf = host_pci_find(&b->scan, pci_bdf(card));
        uint16_t      at = pf->bdf;

        for (unsigned n = 0; n < 8; n++) {
            HostFunction *vf = host_pci_find(&b->scan, (uint16_t)(pf->bdf + 1 + n));

            assert_int_equal(vf != NULL, sets[i] >> n & 1);
            if (vf == NULL) {
                continue;
            }
            at = next_function(b, at);
            assert_int_equal(at, vf->bdf);
            assert_ptr_equal(vf->pf, pf);
            assert_int_equal(vf->parent, pf->parent);
        }
        assert_int_equal(next_function(b, at), 0);
        assert_int_equal(card->sriov->n_there, 32 - __builtin_clz(sets[i]));
        assert_int_equal(pf->last_vf, pf->bdf + card->sriov->n_there);
        teardown((void **)&b);
    }
}

/* To the Realm a VF is a function like others: its IDs, its BARs, its decoding. */
static void test_vf_registers(void **state)
{
    Box          *b = *state;
    PciDevice    *card = scan_with_vfs(b, 0x82);
    HostFunction *vf = host_pci_find(&b->scan, (uint16_t)(pci_bdf(card) + 8)), *port;

    assert_int_equal(host_pci_filter_read(vf, PCI_VENDOR_ID, 4), 0x10411af4);
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        HostBar *bar = &vf->bars[i];

        if (bar->size == 0) {
            continue;
        }
        port = &b->scan.fns[vf->parent];
        const HostBar *w = &port->window[bar->mem64 && bar->prefetch];

        assert_int_equal(bar->base, pci_bar_address(card->sriov->vfs[7], i));
        assert_true(bar->base >= w->base && bar->base + bar->size <= w->base + w->size);
        assert_true(host_pci_answers(vf, i));
        assert_int_equal(host_pci_filter_read(vf, PCI_BAR0 + 4 * i, 4) & ~0xfu, (uint32_t)bar->base);
        host_pci_filter_write(vf, PCI_BAR0 + 4 * i, 4, ~0u);
        assert_int_equal(host_pci_filter_read(vf, PCI_BAR0 + 4 * i, 4) & ~0xfu, (uint32_t)-bar->size);
        assert_int_equal(pci_bar_address(card->sriov->vfs[7], i), bar->base);
    }
    assert_false(host_pci_filter_read(vf, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
    host_pci_filter_write(vf, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(host_pci_filter_read(vf, PCI_COMMAND, 2) & 6, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    host_pci_filter_write(vf, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    assert_int_equal(host_pci_filter_read(vf, PCI_COMMAND, 2) & 6, PCI_COMMAND_MASTER);
}

/* After a reset of the card, or when their BARs were moved, they are where they were. */
static void test_vfs_restored(void **state)
{
    Box          *b = *state;
    PciDevice    *card = scan_with_vfs(b, 0x80);
    HostFunction *pf = host_pci_find(&b->scan, pci_bdf(card)), *vf = &pf[1];

    host_config_write(pf, pf->exp_cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
    assert_int_equal(card->sriov->n_there, 0);
    assert_false(host_pci_answers(vf, 0));
    host_pci_restore(pf);
    assert_int_equal(card->sriov->n_there, 8);
    assert_true(host_pci_answers(vf, 0));
    host_config_write(pf, pf->sriov_cap + SRIOV_VF_BAR0, 4, 0x80000000);
    assert_false(host_pci_answers(vf, 0));
    host_pci_restore(pf);
    assert_true(host_pci_answers(vf, 0));
    assert_int_equal(pci_bar_address(card->sriov->vfs[7], 0), vf->bars[0].base);
}

/* ---- after a reset ---- */

static void dump(const HostFunction *f, uint32_t config[PCI_CONFIG_SIZE / 4])
{
    for (unsigned off = 0; off < PCI_CONFIG_SIZE; off += 4) {
        config[off / 4] = host_config_read(f, off, 4);
    }
}

/* All that the Realm can write to a function, and its placement, is again as it was: of a card and of a VF. */
static void test_restored(void **state)
{
    enum { N = 2 };
    static const struct { const char *name; unsigned cap, off, size; uint32_t value; } rows[] = {
        { "Command", 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_SERR },
        { "Interrupt Line", 0, PCI_INTERRUPT_LINE, 1, 0x2a },
        { "Device Control, with Initiate FLR", PCI_CAP_EXP, PCI_EXP_DEVCTL, 2, 0xa05f },
        { "Device Control, its upper byte", PCI_CAP_EXP, PCI_EXP_DEVCTL + 1, 1, 0x10 },
        { "Device Control 2", PCI_CAP_EXP, PCI_EXP_DEVCTL2, 4, 0x15 },
        { "Link Control", PCI_CAP_EXP, PCI_EXP_LNKCTL, 2, 0x48 },
        { "MSI-X enabled", PCI_CAP_MSIX, 0, 4, 0xc0000000 },
    };
    static uint32_t before[N][PCI_CONFIG_SIZE / 4], gone[PCI_CONFIG_SIZE / 4], after[PCI_CONFIG_SIZE / 4];
    Box            *b = *state;
    PciDevice      *card = scan_with_vfs(b, 0x01);
    HostFunction   *f = host_pci_find(&b->scan, pci_bdf(card));
    uint16_t        port = b->scan.fns[f->parent].bdf;

    for (unsigned n = 0; n < N; n++) {
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
            PciDevice *pd = n == 0 ? card : card->sriov->vfs[0];
            unsigned   cap = rows[i].cap != 0 ? pci_find_cap(pd, rows[i].cap) : 0;

            host_pci_filter_write(&f[n], cap + rows[i].off, rows[i].size, rows[i].value);
        }
        for (unsigned at = 0x08; n == 0 && at <= 0x14; at += 4) {
            host_pci_filter_write(f, pci_find_ext_cap(card, PCI_EXT_CAP_AER) + at, 4, 0x00041000);
        }
    }
    for (unsigned n = 0; n < N; n++) {
        dump(&f[n], before[n]);
    }
    assert_int_equal(host_config_read(f, pci_find_cap(card, PCI_CAP_EXP) + PCI_EXP_DEVCTL, 2), 0x105f);
    for (unsigned how = 0; how < 2; how++) {
        if (how == 0) {
            rig_cfg_write(b->rig, port, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CTL_BUS_RESET);
            rig_cfg_write(b->rig, port, PCI_BRIDGE_CONTROL, 2, 0);
        } else {
            host_config_write(f, f->exp_cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
        }
        dump(f, gone);
        assert_memory_not_equal(gone, before[0], sizeof(gone));
        for (unsigned n = 0; n < N; n++) {
            host_pci_restore(&f[n]);
        }
        for (unsigned n = 0; n < N; n++) {
            dump(&f[n], after);
            for (unsigned off = 0; off < PCI_CONFIG_SIZE; off += 4) {
                if (after[off / 4] != before[n][off / 4]) {
                    fail_msg("%s, function %u: 0x%x was 0x%x, is 0x%x", how == 0 ? "bus reset" : "FLR", n, off,
                             before[n][off / 4], after[off / 4]);
                }
            }
        }
    }
}

/* ---- mailbox ---- */

static HostRelayState exchange(Box *b, HostRelay *r, uint8_t type, size_t len)
{
    uint8_t  payload[RMI_COMM_BUFFER_MAX] = { 0xa5, 1, 2, 3 };
    unsigned steps = 0;

    relay_start(r, host_pci_find(&b->scan, TOY1), type, payload, len);
    while (!relay_step(r, clock_now(b->rig->clock))) {
        assert_true(++steps < 2000);
        if (relay_sleeps(r, clock_now(b->rig->clock))) {
            clock_advance(b->rig->clock, r->wake_ns);
        }
    }
    return r->state;
}

static void test_exchange(void **state)
{
    static const size_t lengths[] = { 4, 5, 8, 1000, RMI_COMM_BUFFER_MAX };
    Box                *b = *state;
    HostRelay           r;
    size_t              len;

    scan(b);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        b->toy1->reply_len = lengths[i];
        assert_int_equal(exchange(b, &r, TOY_PROTO, lengths[i]), RELAY_DONE);
        assert_int_equal(relay_payload(&r, &len)[0], 0xa5);
        assert_int_equal(len, align_up(lengths[i], 4));
    }
}

static void test_exchange_fails(void **state)
{
    Box      *b = *state;
    HostRelay r;

    scan(b);
    assert_int_equal(exchange(b, &r, 99, 4), RELAY_FAILED); /* nobody speaks it */
    b->toy1->reply_len = 0;
    assert_int_equal(exchange(b, &r, TOY_PROTO, 4), RELAY_FAILED); /* silence */
    b->toy1->reply_len = RMI_COMM_BUFFER_MAX + 1;
    assert_int_equal(exchange(b, &r, TOY_PROTO, 4), RELAY_FAILED); /* longer than a page */
    b->toy1->doe.error = true;
    b->toy1->reply_len = 8;
    assert_int_equal(exchange(b, &r, TOY_PROTO, 4), RELAY_DONE); /* an old error is cleared away */
}

/* A device that takes its time is waited for, up to a second; what it still does then is given up. */
static void test_exchange_takes_time(void **state)
{
    static const struct {
        int64_t        delay_ms, took_ms;
        HostRelayState end;
    } rows[] = { { 20, 20, RELAY_DONE }, { 999, 999, RELAY_DONE }, { 1500, 1000, RELAY_FAILED },
                 { 20, 20, RELAY_DONE } };
    Box      *b = *state;
    HostRelay r;

    scan(b);
    b->toy1->reply_len = 8;
    doe_slow_down(&b->toy1->doe, 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t start = clock_now(b->rig->clock);

        b->toy1->doe.delay_ns = 1000000 * rows[i].delay_ms;
        assert_int_equal(exchange(b, &r, TOY_PROTO, 4), rows[i].end);
        assert_int_equal(clock_now(b->rig->clock) - start, 1000000 * rows[i].took_ms);
    }
    /* Its host went away in the middle. */
    relay_start(&r, host_pci_find(&b->scan, TOY1), TOY_PROTO, (const uint8_t *)"word", 4);
    while (!relay_sleeps(&r, clock_now(b->rig->clock))) {
        assert_false(relay_step(&r, clock_now(b->rig->clock)));
    }
    assert_true(b->toy1->doe.busy);
    assert_int_equal(exchange(b, &r, TOY_PROTO, 4), RELAY_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bars, setup, teardown),
        cmocka_unit_test_setup_teardown(test_capabilities, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_function_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hidden, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_virtual_functions, setup, teardown),
        cmocka_unit_test(test_virtual_functions),
        cmocka_unit_test_setup_teardown(test_vf_registers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vfs_restored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exchange, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exchange_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exchange_takes_time, setup, teardown),
    };

    return cmocka_run_group_tests_name("host_pci", tests, NULL, NULL);
}
