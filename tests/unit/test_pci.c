/*
 * PCI Express: configuration space, BARs, bridges, MSI-X, INTx, reset, IDE and the root port's gate for T=1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/pci/root_port.h"
#include "pci_rig.h"
#include "pci_toy.h"

static int setup(void **state)
{
    *state = rig_new();
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

/* Writes all ones, reads back. */
typedef struct MaskCase {
    const char *name;
    unsigned    off, size;
    uint32_t    expect;
} MaskCase;

static const MaskCase mask_cases[] = {
    { "IDs are read-only", 0x00, 4, 0x56781234 },
    { "command", 0x04, 2, 0x0546 },
    { "status has no errors to clear", 0x06, 2, 0x0010 },
    { "class and revision", 0x08, 4, 0xff000000 },
    { "BAR 0 of 4 KiB", 0x10, 4, 0xfffff000 },
    { "BAR 2 of 16 KiB, 64-bit", 0x18, 4, 0xffffc00c },
    { "its upper half", 0x1c, 4, 0xffffffff },
    { "BAR 4 is absent", 0x20, 4, 0 },
    { "interrupt line", 0x3c, 1, 0xff },
    { "interrupt pin", 0x3d, 1, 1 },
};

static void test_masks(void **state)
{
    PciRig    *r = *state;
    PciDevice *pd = rig_add(r, "pci-toy,id=t");

    assert_int_equal(pci_bdf(pd), 0x08); /* device 0 is left to a host bridge */
    for (size_t i = 0; i < ARRAY_LEN(mask_cases); i++) {
        const MaskCase *c = &mask_cases[i];

        print_message("%s\n", c->name);
        rig_cfg_write(r, 0x08, c->off, c->size, ~0u);
        assert_int_equal(rig_cfg_read(r, 0x08, c->off, c->size), c->expect);
    }
    assert_int_equal(rig_cfg_read(r, 0x10, 0, 4), 0xffffffff); /* nobody there */
    assert_int_equal(rig_cfg_read(r, 0x108, 0, 4), 0xffffffff);
    rig_cfg_write(r, 0x10, 4, 2, 7);
    assert_int_equal(pci_host_config_read(r->host, 0x08, 4096, 4), 0xffffffff);
    assert_int_equal(pci_host_config_read(r->host, 0x08, 2, 4), 0xffffffff);
    assert_int_equal(rig_read(r, RIG_ECAM + (0x08ull << 12), 8) >> 32, rig_cfg_read(r, 0x08, 4, 4));
}

/* Every capability is reachable and the lists end. */
static void test_capabilities(void **state)
{
    PciRig    *r = *state;
    PciDevice *pd = rig_add(r, "pci-toy,id=t");
    unsigned   n = 0;

    for (unsigned c = rig_cfg_read(r, 8, PCI_CAPABILITY_LIST, 1); c != 0; c = rig_cfg_read(r, 8, c + 1, 1)) {
        n++;
    }
    assert_int_equal(n, 3);
    n = 0;
    for (unsigned c = 0x100; c != 0; c = rig_cfg_read(r, 8, c, 4) >> 20) {
        n++;
    }
    assert_int_equal(n, 3);
    assert_int_equal(pci_find_ext_cap(pd, PCI_EXT_CAP_IDE), ((PciToy *)pd)->ide.off);
    assert_int_equal(pci_find_ext_cap(pd, PCI_EXT_CAP_ACS), 0);
    assert_int_equal(rig_cfg_read(r, 8, pd->exp_cap + PCI_EXP_DEVCAP, 4) >> 30 & 1, 1);
}

static void test_bars(void **state)
{
    PciRig    *r = *state;
    PciDevice *pd = rig_add(r, "pci-toy,id=t");
    PciToy    *t = (PciToy *)pd;
    uint64_t   bar0 = RIG_MEM32 + 0x5000, bar2 = RIG_MEM64 + 0x10000;

    rig_cfg_write(r, 8, 0x10, 4, (uint32_t)bar0);
    rig_cfg_write(r, 8, 0x18, 4, (uint32_t)bar2);
    rig_cfg_write(r, 8, 0x1c, 4, (uint32_t)(bar2 >> 32));
    assert_null(memory_find(r->memory, bar0)); /* Memory Space Enable is off */
    rig_cfg_write(r, 8, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    rig_write(r, bar0 + 8, 4, 0x77);
    assert_int_equal(t->reg[1], 0x77);
    assert_int_equal(rig_read(r, bar2 + 8, 4), 0x77);
    t->refuse_mmio = true;
    assert_int_equal(rig_read(r, bar0 + 8, 4), 0xffffffff);
    rig_write(r, bar0 + 8, 4, 0);
    t->refuse_mmio = false;
    assert_int_equal(rig_read(r, bar0 + 8, 4), 0x77);

    rig_cfg_write(r, 8, 0x10, 4, 0x40000000); /* over RAM, outside the windows */
    assert_false(pd->bars[0].mapped);
    assert_int_equal(memory_find(r->memory, 0x40000000)->kind, MEM_RAM);
    assert_true(pd->bars[2].mapped);
    rig_cfg_write(r, 8, pd->pm_cap + 4, 2, 3); /* D3hot */
    assert_false(pd->bars[2].mapped);
    rig_cfg_write(r, 8, pd->pm_cap + 4, 2, 1); /* D1 is not supported: still D3hot */
    assert_int_equal(pci_power_state(pd), 3);
    rig_cfg_write(r, 8, pd->pm_cap + 4, 2, 0);
    assert_true(pd->bars[2].mapped);
}

static void test_observer(void **state)
{
    PciRig    *r = *state;
    PciDevice *pd = rig_add(r, "pci-toy,id=t");
    PciToy    *t = (PciToy *)pd;
    unsigned   devctl = pd->exp_cap + PCI_EXP_DEVCTL;

    rig_cfg_write(r, 8, PCI_COMMAND, 2, 0xffff);
    assert_int_equal(t->last_write.off, PCI_COMMAND);
    assert_int_equal(t->last_write.raw, 0xffff);
    assert_int_equal(t->last_write.old, 0);
    assert_int_equal(t->last_write.now, 0x0546);
    t->reg[0] = 1;
    rig_cfg_write(r, 8, devctl, 2, PCI_EXP_DEVCTL_FLR);
    assert_int_equal(t->last_write.raw, PCI_EXP_DEVCTL_FLR);
    assert_int_equal(t->last_write.now & PCI_EXP_DEVCTL_FLR, 0);
    assert_int_equal(t->n_resets, 1);
    assert_int_equal(t->reset_kind, PCI_RESET_FLR);
    assert_int_equal(rig_cfg_read(r, 8, PCI_COMMAND, 2), 0);
    assert_int_equal(rig_cfg_read(r, 8, devctl, 2), 0x2810);
    pci_host_reset(r->host);
    assert_int_equal(t->reset_kind, PCI_RESET_POWER);
}

static void test_msix(void **state)
{
    PciRig    *r = *state;
    PciDevice *pd = rig_add(r, "pci-toy,id=t");

    rig_place(r, pd);
    uint64_t table = pd->bars[1].base;

    assert_int_equal(rig_read(r, table + 12, 4), 1); /* masked at reset */
    rig_write(r, table + 16, 8, RIG_DOORBELL + 0x40);
    rig_write(r, table + 24, 4, 0x1234);
    pci_msix_notify(pd, 1); /* not enabled: lost */
    rig_cfg_write(r, 8, pd->msix.cap + 2, 2, 0x8000);
    assert_int_equal(r->n_msi, 0);
    pci_msix_notify(pd, 1); /* masked: pending */
    assert_int_equal(rig_read(r, table + 0x800, 8), 2);
    rig_write(r, table + 28, 4, 0);
    assert_int_equal(r->n_msi, 1);
    assert_int_equal(r->msi[0].data, 0x1234);
    assert_int_equal(r->msi[0].off, 0x40);
    assert_int_equal(r->msi[0].requester, 8);
    assert_int_equal(rig_read(r, table + 0x800, 8), 0);

    rig_cfg_write(r, 8, pd->msix.cap + 2, 2, 0xc000); /* the whole function masked */
    pci_msix_notify(pd, 1);
    assert_int_equal(r->n_msi, 1);
    rig_cfg_write(r, 8, pd->msix.cap + 2, 2, 0x8000);
    assert_int_equal(r->n_msi, 2);
    pci_msix_notify(pd, 4); /* no such vector */
    pci_msix_notify(pd, PCI_MSIX_NONE);
    rig_cfg_write(r, 8, PCI_COMMAND, 2, PCI_COMMAND_MEMORY); /* no bus mastering, no message */
    pci_msix_notify(pd, 1);
    assert_int_equal(r->n_msi, 2);
    rig_write(r, table + 16, 2, 0); /* too narrow: ignored */
    assert_int_equal(rig_read(r, table + 16, 4), RIG_DOORBELL + 0x40);
}

static void test_intx(void **state)
{
    PciRig    *r = *state;
    PciDevice *a = rig_add(r, "pci-toy,id=a,addr=1"), *b = rig_add(r, "pci-toy,id=b,addr=5");

    pci_set_intx(a, true);
    assert_true(r->intx[1]); /* pin A of device 1 */
    pci_set_intx(b, true);
    pci_set_intx(a, false);
    assert_true(r->intx[1]); /* device 5 shares the line */
    assert_int_equal(rig_cfg_read(r, 0x28, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
    rig_cfg_write(r, 0x28, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
    assert_false(r->intx[1]);
    rig_cfg_write(r, 0x28, PCI_COMMAND, 2, 0);
    assert_true(r->intx[1]);
    pci_reset_function(b, PCI_RESET_POWER);
    assert_false(r->intx[1]);
}

typedef struct PlugCase {
    const char *option, *error;
} PlugCase;

static const PlugCase plug_cases[] = {
    { "pci-toy,id=x,addr=1", "another device is there" },
    { "pci-toy,id=x,addr=zz", "is not DEVICE" },
    { "pci-toy,id=x,addr=20", "is not DEVICE" },
    { "pci-toy,id=x,bus=nowhere", "no bus 'nowhere'" },
    { "pci-toy,id=x,bus=rp,addr=1", "only device 0" },
    { "pci-toy,id=t", "two devices called 't'" },
    { "pcie-root-port,id=x,bus=rp", "must sit on the root bus" },
};

static void test_plug_errors(void **state)
{
    PciRig *r = *state;

    rig_add(r, "pci-toy,id=t,addr=1");
    rig_add(r, "pcie-root-port,id=rp");
    for (size_t i = 0; i < ARRAY_LEN(plug_cases); i++) {
        GError *error = NULL;
        Device *dev = device_from_option(plug_cases[i].option, r->clock, 1, &error);

        print_message("%s\n", plug_cases[i].option);
        assert_non_null(dev);
        assert_false(pci_plug_option(r->host, dev, &error));
        assert_non_null(strstr(error->message, plug_cases[i].error));
        g_error_free(error);
    }
    assert_null(pci_host_find_id(r->host, "x"));
}

/* ---- behind a root port ---- */

typedef struct Link {
    PciDevice *rp, *ep;
    PciToy    *toy;
    uint64_t   bar0;
} Link;

static Link link_up(PciRig *r)
{
    Link l = { .rp = rig_add(r, "pcie-root-port,id=rp"), .bar0 = RIG_MEM32 + 0x200000 };

    l.ep = rig_add(r, "pci-toy,id=t,bus=rp");
    l.toy = (PciToy *)l.ep;
    rig_cfg_write(r, 0x08, PCI_PRIMARY_BUS, 4, 0x00030300);
    rig_cfg_write(r, 0x300, 0x10, 4, (uint32_t)l.bar0);
    rig_cfg_write(r, 0x300, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    return l;
}

static void test_bridge(void **state)
{
    PciRig *r = *state;
    Link    l = link_up(r);
    uint8_t b[4];

    assert_int_equal(rig_cfg_read(r, 0x300, 0, 4), 0x56781234);
    assert_int_equal(rig_cfg_read(r, 0x308, 0, 4), 0xffffffff); /* a link has only device 0 */
    assert_int_equal(l.ep->dma.requester, 0x300);
    assert_ptr_equal(root_port_of(l.ep), l.rp);
    assert_false(l.ep->bars[0].mapped); /* the window is closed */
    rig_cfg_write(r, 0x08, PCI_MEMORY_BASE, 4, 0x10201020);
    assert_false(l.ep->bars[0].mapped);
    rig_cfg_write(r, 0x08, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_true(l.ep->bars[0].mapped);
    assert_int_equal(dma_read(&l.ep->dma, RIG_RAM, b, 4), DMA_ABORT); /* the port is no master */
    rig_cfg_write(r, 0x08, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(dma_read(&l.ep->dma, RIG_RAM, b, 4), DMA_OK);
    l.toy->refuse_dma = true;
    assert_int_equal(dma_read(&l.ep->dma, RIG_RAM, b, 4), DMA_REFUSED);
    rig_cfg_write(r, 0x08, PCI_MEMORY_BASE, 4, 0x10301030);
    assert_false(l.ep->bars[0].mapped);

    rig_cfg_write(r, 0x08, PCI_BRIDGE_CONTROL, 2, 0x40);
    assert_int_equal(l.toy->reset_kind, PCI_RESET_BUS);
    assert_int_equal(rig_cfg_read(r, 0x300, PCI_COMMAND, 2), 0xffff); /* held in reset */
    rig_cfg_write(r, 0x08, PCI_BRIDGE_CONTROL, 2, 0);
    assert_int_equal(rig_cfg_read(r, 0x300, PCI_COMMAND, 2), 0);
    rig_cfg_write(r, 0x08, PCI_PRIMARY_BUS, 4, 0x00040400);
    assert_int_equal(rig_cfg_read(r, 0x300, 0, 4), 0xffffffff);
    assert_int_equal(rig_cfg_read(r, 0x400, 0, 4), 0x56781234);
    assert_int_equal(l.ep->dma.requester, 0x400);
    assert_int_equal(rig_cfg_read(r, 0x08, PCI_IO_BASE, 2), 0);
    /* RME-DA registers are not for configuration writes. */
    unsigned dvsec = pci_find_ext_cap(l.rp, PCI_EXT_CAP_DVSEC);

    rig_cfg_write(r, 0x08, dvsec + 0x0c, 4, 1);
    assert_false(root_port_tdisp_enabled(l.rp));
    root_port_set_tdisp(l.rp, true, 2);
    assert_true(root_port_tdisp_enabled(l.rp) && root_port_stream_locked(l.rp, 1));
    assert_int_equal(rig_cfg_read(r, 0x08, dvsec + 0x04, 4), 0x014013b5);
}

/* Offsets of selective block 0: the toy has one link block and one address block, the port none and three. */
static unsigned sel0(const IdeCap *ide)
{
    return ide->off + 0x0cu + 8 * ide->cfg.n_link;
}

static void program_stream(IdeCap *ide, unsigned stream, unsigned set, bool swap, uint8_t salt)
{
    uint8_t key[IDE_KEY_LEN], iv[IDE_IV_LEN] = { 1 };

    for (unsigned dir = 0; dir < 2; dir++) {
        for (unsigned sub = 0; sub < IDE_N_SUB; sub++) {
            memset(key, (int)(salt + (dir ^ swap) * 3 + sub), sizeof(key));
            assert_true(ide_key_prog(ide, stream, set, dir, sub, key, iv));
            assert_true(ide_key_go(ide, stream, set, dir, sub));
        }
    }
}

static void program(IdeCap *ide, unsigned set, bool swap, uint8_t salt) { program_stream(ide, 0, set, swap, salt); }

static void test_ide(void **state)
{
    PciRig  *r = *state;
    Link     l = link_up(r);
    IdeCap  *rp = root_port_ide(l.rp), *ep = &l.toy->ide;
    unsigned rs = sel0(rp), es = sel0(ep);
    uint8_t  b[IDE_IV_LEN] = { 0 };
    MemAttrs realm = { .pas = PAS_REALM };
    uint64_t v;

    assert_int_equal(rig_cfg_read(r, 0x300, ep->off + 4, 4), 0x01010043);
    rig_cfg_write(r, 0x08, PCI_MEMORY_BASE, 4, 0x10201020);
    rig_cfg_write(r, 0x08, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    rig_cfg_write(r, 0x08, rs + 0x0c, 4, 0x0003ff00);
    rig_cfg_write(r, 0x08, rs + 0x10, 4, 0x00030001);
    assert_true(ide_rid_matches(rp, 0, 0x300) && ide_rid_matches(rp, 0, 0x3ff));
    assert_false(ide_rid_matches(rp, 0, 0x400));
    rig_cfg_write(r, 0x08, rs + 0x14, 4, 0x10210201); /* limit 0x102f_ffff.., base 0x1020_0000, valid */
    assert_true(ide_addr_matches(rp, 0, 0x10200000) && !ide_addr_matches(rp, 0, 0x10300000));
    rig_cfg_write(r, 0x08, rs + 4, 4, 0x05400000); /* stream 5, default */
    rig_cfg_write(r, 0x300, es + 4, 4, 0x05400000);
    assert_int_equal(ide_find_stream(ep, 5), 0);
    program(rp, 0, false, 1);
    program(ep, 0, true, 1);
    assert_int_equal(rig_cfg_read(r, 0x300, es + 8, 4), IDE_INSECURE); /* not enabled */
    l.ep->dma.trusted = true;
    assert_int_equal(dma_read(&l.ep->dma, RIG_RAM, b, 4), DMA_REFUSED);
    rig_cfg_write(r, 0x08, rs + 4, 4, 0x05400001);
    rig_cfg_write(r, 0x300, es + 4, 4, 0x05400001);
    assert_int_equal(rig_cfg_read(r, 0x300, es + 8, 4), IDE_SECURE); /* at once */
    assert_int_equal(l.toy->n_changed, 1);
    root_port_set_tdisp(l.rp, true, 1);
    assert_int_equal(dma_read(&l.ep->dma, RIG_RAM, b, 4), DMA_OK);
    assert_int_equal(dma_write(&l.ep->dma, RIG_RAM, b, 4), DMA_OK);
    l.toy->reg[0] = 0x55;
    assert_int_equal(pci_bar_read(l.ep, 0, 0, 4, realm, &v), MEM_OK);
    assert_int_equal(v, 0x55);

    /* While enabled only the enable bit can change. */
    rig_cfg_write(r, 0x300, es + 4, 4, 0x06000001);
    assert_int_equal(rig_cfg_read(r, 0x300, es + 4, 4), 0x05400001);
    /* A key set in use takes no key; the other one does, and the stream stays Secure through the switch. */
    assert_false(ide_key_prog(ep, 0, 0, IDE_TX, IDE_PR, (uint8_t[IDE_KEY_LEN]){ 0 }, b));
    assert_false(ide_key_go(ep, 0, 1, IDE_TX, IDE_PR)); /* nothing programmed */
    program(rp, 1, false, 40);
    program(ep, 1, true, 40);
    assert_int_equal(ide_state(ep, 0), IDE_SECURE);
    assert_int_equal(dma_read(&l.ep->dma, RIG_RAM, b, 4), DMA_OK);
    /* Ends that hold different keys: as MAC failures, nothing passes. */
    memset(rp->streams[0].keys[1][IDE_RX][IDE_NPR].key, 0xff, IDE_KEY_LEN);
    assert_int_equal(dma_read(&l.ep->dma, RIG_RAM, b, 4), DMA_REFUSED);
    assert_int_equal(dma_write(&l.ep->dma, RIG_RAM, b, 4), DMA_OK); /* posted has keys of its own */

    assert_true(ide_key_stop(ep, 0, 1, IDE_TX, IDE_PR));
    assert_int_equal(ide_state(ep, 0), IDE_INSECURE);
    assert_int_equal(dma_write(&l.ep->dma, RIG_RAM, b, 4), DMA_REFUSED);
    l.ep->dma.trusted = false;
    assert_int_equal(dma_write(&l.ep->dma, RIG_RAM, b, 4), DMA_REFUSED); /* nor T=0: it is a stream for both */
    assert_int_equal(pci_bar_read(l.ep, 0, 0, 4, realm, &v), MEM_OK);
    assert_int_equal(v, 0xffffffff);
    ide_fail(rp, 0, true);
    assert_int_equal(rig_cfg_read(r, 0x08, rs + 8, 4), 0x80000000);
    rig_cfg_write(r, 0x08, rs + 8, 4, 0x80000000);
    assert_int_equal(rig_cfg_read(r, 0x08, rs + 8, 4), 0);
    rig_cfg_write(r, 0x300, es + 4, 4, 0);
    assert_false(ide_keys_ready(ep, 0));
    assert_true(l.toy->n_reconfigured >= 3);
}

/* ---- what a root port drops ---- */

/* Port and toy with a Secure stream 5 that the monitor has locked. */
static void secure_link(PciRig *r, Link *l)
{
    IdeCap  *rp, *ep;
    unsigned rs, es;

    *l = link_up(r);
    rp = root_port_ide(l->rp);
    ep = &l->toy->ide;
    rs = sel0(rp);
    es = sel0(ep);
    rig_cfg_write(r, 0x08, PCI_MEMORY_BASE, 4, 0x10201020);
    rig_cfg_write(r, 0x08, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    rig_cfg_write(r, 0x08, rs + 0x0c, 4, 0x00030000);
    rig_cfg_write(r, 0x08, rs + 0x10, 4, 0x00030001);
    rig_cfg_write(r, 0x08, rs + 0x14, 4, 0x10210201);
    rig_cfg_write(r, 0x08, rs + 4, 4, 0x05000000);
    rig_cfg_write(r, 0x300, es + 4, 4, 0x05400000);
    program(rp, 0, false, 1);
    program(ep, 0, true, 1);
    rig_cfg_write(r, 0x08, rs + 4, 4, 0x05000001);
    rig_cfg_write(r, 0x300, es + 4, 4, 0x05400001);
    root_port_set_tdisp(l->rp, true, 1);
    l->ep->dma.trusted = true;
}

static void nothing(PciRig *r, Link *l) { }
static void untrusted(PciRig *r, Link *l) { l->ep->dma.trusted = false; }
static void disabled_at_port(PciRig *r, Link *l) { root_port_set_tdisp(l->rp, false, 1); }
static void not_locked(PciRig *r, Link *l) { root_port_set_tdisp(l->rp, true, 2); }
static void port_write(PciRig *r, Link *l, unsigned reg, uint32_t v)
{
    rig_cfg_write(r, 0x08, sel0(root_port_ide(l->rp)) + reg, 4, v);
}
static void other_requester(PciRig *r, Link *l)
{
    root_port_set_tdisp(l->rp, true, 0); /* else the write costs the stream */
    port_write(r, l, 0x0c, 0x00030100);
    port_write(r, l, 0x10, 0x00030101);
    root_port_set_tdisp(l->rp, true, 1);
}
static void locked_reconfigured(PciRig *r, Link *l) { port_write(r, l, 0x0c, 0x00030100); }
static void no_default(PciRig *r, Link *l)
{
    unsigned es = sel0(&l->toy->ide) + 4;

    rig_cfg_write(r, 0x300, es, 4, 0);
    rig_cfg_write(r, 0x300, es, 4, 0x05000000);
    program(&l->toy->ide, 0, true, 1);
    rig_cfg_write(r, 0x300, es, 4, 0x05000001);
}
static void other_stream(PciRig *r, Link *l) /* Secure at both ends, under another number */
{
    port_write(r, l, 4, 0);
    port_write(r, l, 4, 0x06000000);
    program(root_port_ide(l->rp), 0, false, 1);
    port_write(r, l, 4, 0x06000001);
}
static void other_addresses(PciRig *r, Link *l)
{
    root_port_set_tdisp(l->rp, true, 0);
    port_write(r, l, 0x14, 0x10310301);
    root_port_set_tdisp(l->rp, true, 1);
}

static void test_drops(void **state)
{
    static const struct { const char *name; void (*spoil)(PciRig *r, Link *l); bool dma, mmio, secure; } rows[] = {
        { "nothing wrong", nothing, true, true, true },
        { "DMA with T=0", untrusted, true, true, true },
        { "TDISP disabled at the port", disabled_at_port, false, false, true },
        { "stream not locked", not_locked, false, false, true },
        { "requester that is not associated", other_requester, false, true, true },
        { "address that is not associated", other_addresses, true, false, true },
        { "stream of another number", other_stream, false, false, true },
        { "not the function's default stream", no_default, false, false, true },
        { "locked stream reconfigured", locked_reconfigured, false, false, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        PciRig  *r = rig_new();
        uint8_t  b[4] = { 0 };
        uint64_t v;
        Link     l;

        print_message("%s\n", rows[i].name);
        secure_link(r, &l);
        rows[i].spoil(r, &l);
        l.toy->reg[0] = 0x55;
        assert_int_equal(dma_read(&l.ep->dma, RIG_RAM, b, 4), rows[i].dma ? DMA_OK : DMA_REFUSED);
        assert_int_equal(pci_bar_read(l.ep, 0, 0, 4, (MemAttrs){ .pas = PAS_REALM }, &v), MEM_OK);
        assert_int_equal(v, rows[i].mmio ? 0x55 : 0xffffffff);
        assert_int_equal(ide_state(root_port_ide(l.rp), 0), rows[i].secure ? IDE_SECURE : IDE_INSECURE);
        rig_free(r);
    }
}

/* ---- T=0 on selective streams ---- */

static bool dma_passes(Link *l)
{
    uint8_t b[4] = { 0 };

    return dma_read(&l->ep->dma, RIG_RAM, b, 4) == DMA_OK;
}

static bool mmio_passes(Link *l)
{
    uint64_t v;

    l->toy->reg[0] = 0x55;
    assert_int_equal(pci_bar_read(l->ep, 0, 0, 4, (MemAttrs){ .pas = PAS_NONSECURE }, &v), MEM_OK);
    return v == 0x55;
}

static bool config_passes(PciRig *r) { return rig_cfg_read(r, 0x300, PCI_VENDOR_ID, 2) != 0xffff; }

static void selective_keys(PciRig *r, Link *l)
{
    for (unsigned i = 0; i < 2 * IDE_N_SUB; i++) {
        memset(root_port_ide(l->rp)->streams[0].keys[0][i / IDE_N_SUB][i % IDE_N_SUB].key, 0xff, IDE_KEY_LEN);
    }
}
static void selective_failed(PciRig *r, Link *l)
{
    ide_fail(&l->toy->ide, 0, true);
    ide_fail(root_port_ide(l->rp), 0, false);
}
static void failed_at_port(PciRig *r, Link *l) { ide_fail(root_port_ide(l->rp), 0, false); }
static void failed_and_keyed(PciRig *r, Link *l)
{
    selective_failed(r, l);
    program(root_port_ide(l->rp), 0, false, 1);
    program(&l->toy->ide, 0, true, 1);
}
static void endpoint_write(PciRig *r, Link *l, uint32_t v)
{
    rig_cfg_write(r, 0x300, sel0(&l->toy->ide) + 4, 4, v);
}
static void failed_and_disabled(PciRig *r, Link *l)
{
    selective_failed(r, l);
    port_write(r, l, 4, 0);
    endpoint_write(r, l, 0);
}
static void not_keyed(PciRig *r, Link *l) /* enabled anew, as before there are keys */
{
    failed_and_disabled(r, l);
    port_write(r, l, 4, 0x05000001);
    endpoint_write(r, l, 0x05400001);
}
static void tee_limited(PciRig *r, Link *l)
{
    failed_and_disabled(r, l);
    port_write(r, l, 4, 0x05800000);
    endpoint_write(r, l, 0x05c00000);
    program(root_port_ide(l->rp), 0, false, 1);
    program(&l->toy->ide, 0, true, 1);
    port_write(r, l, 4, 0x05800001);
    endpoint_write(r, l, 0x05c00001);
}

/* What the function sends with T=0, and what the host sends it: on a stream that is not TEE-limited it is checked like
 * T=1, but for what TDISP has to say at the port. */
static void test_untrusted(void **state)
{
    static const struct { const char *name; void (*spoil)(PciRig *r, Link *l); bool dma, mmio, counts; } rows[] = {
        { "nothing wrong", nothing, true, true, true },
        { "TDISP disabled at the port", disabled_at_port, true, true, true },
        { "stream not locked", not_locked, true, true, true },
        { "requester that is not associated", other_requester, false, true, true },
        { "address that is not associated", other_addresses, true, true, true },
        { "stream of another number", other_stream, false, false, false },
        { "not the function's default stream", no_default, true, true, true },
        { "other keys at the port", selective_keys, false, false, false },
        { "a MAC failure", selective_failed, false, false, false },
        { "a MAC failure at the port alone", failed_at_port, false, false, false },
        { "locked stream reconfigured", locked_reconfigured, false, false, false },
        { "a MAC failure, then new keys", failed_and_keyed, true, true, true },
        { "a MAC failure, then disabled", failed_and_disabled, true, true, false },
        { "enabled without keys", not_keyed, true, true, false },
        { "TEE-limited: not on it", tee_limited, true, true, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        PciRig  *r = rig_new();
        IdeCap  *rp;
        uint64_t before;
        Link     l;

        print_message("%s\n", rows[i].name);
        secure_link(r, &l);
        rp = root_port_ide(l.rp);
        assert_true(dma_passes(&l)); /* T=1: it is in use */
        l.ep->dma.trusted = false;
        rows[i].spoil(r, &l);
        before = rp->streams[0].rx_count + rp->streams[0].tx_count;
        assert_int_equal(dma_passes(&l), rows[i].dma);
        assert_int_equal(mmio_passes(&l), rows[i].mmio);
        assert_int_equal(rp->streams[0].rx_count + rp->streams[0].tx_count > before, rows[i].counts);
        assert_true(config_passes(r)); /* the way to mend it */
        rig_free(r);
    }
}

/* ---- link streams ---- */

enum { LINK_ID = 9, LINK_ON = LINK_ID << 24 | 1, CAP_LINK = 0x0c };

static uint32_t link_status(Link *l, bool port)
{
    IdeCap *ide = port ? root_port_ide(l->rp) : &l->toy->ide;

    return pci_get(ide->pd, ide->off + CAP_LINK + 4u, 4);
}

/* Both ends keyed; @enable_port_first: in which order they are enabled. */
static void use_link(PciRig *r, Link *l, bool enable_port_first)
{
    IdeCap *rp, *ep;

    *l = link_up(r);
    rp = root_port_ide(l->rp);
    ep = &l->toy->ide;
    rig_cfg_write(r, 0x08, PCI_MEMORY_BASE, 4, 0x10201020);
    rig_cfg_write(r, 0x08, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    rig_cfg_write(r, 0x08, rp->off + CAP_LINK, 4, LINK_ON & ~1);
    rig_cfg_write(r, 0x300, ep->off + CAP_LINK, 4, LINK_ON & ~1);
    assert_int_equal(ide_find_keyed(ep, LINK_ID), ep->cfg.n_sel);
    assert_int_equal(ide_find_stream(ep, LINK_ID), -1);
    program_stream(rp, rp->cfg.n_sel, 0, false, 1);
    program_stream(ep, ep->cfg.n_sel, 0, true, 1);
    for (unsigned i = 0; i < 2; i++) {
        bool port = (i == 0) == enable_port_first;

        rig_cfg_write(r, port ? 0x08 : 0x300, (port ? rp : ep)->off + CAP_LINK, 4, LINK_ON);
        assert_int_equal(link_status(l, port), IDE_SECURE);
        assert_true(config_passes(r) && dma_passes(l) && mmio_passes(l));
    }
    assert_true(rp->streams[rp->cfg.n_sel].tx_count != 0 && rp->streams[rp->cfg.n_sel].rx_count != 0);
    l->ep->dma.trusted = false;
}

static void other_keys(PciRig *r, Link *l)
{
    IdeCap *rp = root_port_ide(l->rp);

    for (unsigned i = 0; i < 2 * IDE_N_SUB; i++) {
        memset(rp->streams[rp->cfg.n_sel].keys[0][i / IDE_N_SUB][i % IDE_N_SUB].key, 0xff, IDE_KEY_LEN);
    }
}
static void key_stopped(PciRig *r, Link *l)
{
    assert_true(ide_key_stop(&l->toy->ide, l->toy->ide.cfg.n_sel, 0, IDE_TX, IDE_PR));
}
static void mac_failed(PciRig *r, Link *l) { ide_fail(&l->toy->ide, l->toy->ide.cfg.n_sel, true); }
static void port_failed(PciRig *r, Link *l)
{
    IdeCap *rp = root_port_ide(l->rp);

    ide_fail(rp, rp->cfg.n_sel, false);
}
static void disable(PciRig *r, Link *l, bool port)
{
    IdeCap *ide = port ? root_port_ide(l->rp) : &l->toy->ide;

    rig_cfg_write(r, port ? 0x08 : 0x300, ide->off + CAP_LINK, 4, 0);
}
static void port_disabled(PciRig *r, Link *l) { disable(r, l, true); }
static void endpoint_disabled(PciRig *r, Link *l) { disable(r, l, false); }
static void properly_disabled(PciRig *r, Link *l)
{
    disable(r, l, false);
    disable(r, l, true);
}
static void renumbered(PciRig *r, Link *l) /* while it is enabled nothing but the enable bit counts */
{
    rig_cfg_write(r, 0x08, root_port_ide(l->rp)->off + CAP_LINK, 4, 0x0a000001);
}
static void of_another_class(PciRig *r, Link *l)
{
    properly_disabled(r, l);
    rig_cfg_write(r, 0x08, root_port_ide(l->rp)->off + CAP_LINK, 4, LINK_ON | 1 << 19);
}

static void test_link_ide(void **state)
{
    static const struct {
        const char *name;
        void      (*spoil)(PciRig *r, Link *l);
        bool        passes;   /* requests both ways */
        bool        up, down; /* and once more, one by one, when that has failed a check */
    } rows[] = {
        { "nothing wrong", nothing, true, true, true },
        { "other keys at the port", other_keys, false, false, false },
        { "a key stopped at the endpoint", key_stopped, false, false, false },
        { "a MAC failure at the endpoint", mac_failed, false, false, false },
        { "a MAC failure at the port", port_failed, false, false, false },
        { "disabled at the endpoint alone", endpoint_disabled, false, false, false },
        { "disabled at the port alone", port_disabled, false, false, true },
        { "disabled, endpoint first", properly_disabled, true, true, true },
        { "written while enabled", renumbered, true, true, true },
        { "enabled for another traffic class", of_another_class, true, true, true },
    };

    for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        PciRig *r = rig_new();
        Link    l;

        print_message("%s\n", rows[i / 2].name);
        use_link(r, &l, i & 1);
        rows[i / 2].spoil(r, &l);
        assert_int_equal(dma_passes(&l) && mmio_passes(&l), rows[i / 2].passes);
        (void)mmio_passes(&l); /* down once, whatever came of the way up */
        assert_int_equal(dma_passes(&l), rows[i / 2].up);
        assert_int_equal(mmio_passes(&l), rows[i / 2].down);
        assert_int_equal(config_passes(r), rows[i / 2].down);
        disable(r, &l, true); /* the way out: port, then a request that may cost the other end its stream, then that */
        (void)config_passes(r);
        disable(r, &l, false);
        assert_true(config_passes(r) && dma_passes(&l) && mmio_passes(&l));
        rig_free(r);
    }
}

/* Selective streams go first: T=1, T=0 on a stream that is not TEE-limited, configuration requests where it takes
 * them. */
static void test_link_and_selective(void **state)
{
    PciRig  *r = rig_new();
    IdeCap  *rp, *ep;
    Link     l;

    secure_link(r, &l);
    rp = root_port_ide(l.rp);
    ep = &l.toy->ide;
    rig_cfg_write(r, 0x08, rp->off + CAP_LINK, 4, LINK_ON & ~1);
    rig_cfg_write(r, 0x300, ep->off + CAP_LINK, 4, LINK_ON & ~1);
    program_stream(rp, rp->cfg.n_sel, 0, false, 7);
    program_stream(ep, ep->cfg.n_sel, 0, true, 7);
    rig_cfg_write(r, 0x300, ep->off + CAP_LINK, 4, LINK_ON);
    rig_cfg_write(r, 0x08, rp->off + CAP_LINK, 4, LINK_ON);
    uint64_t before = rp->streams[rp->cfg.n_sel].rx_count;

    assert_true(dma_passes(&l)); /* T=1 */
    l.ep->dma.trusted = false;
    assert_true(dma_passes(&l)); /* the default stream */
    assert_int_equal(rp->streams[rp->cfg.n_sel].rx_count, before);
    assert_true(config_passes(r)); /* the link: the stream was not enabled for these */
    assert_true(ep->streams[ep->cfg.n_sel].rx_count != 0);
    ide_fail(ep, ep->cfg.n_sel, true);
    assert_false(config_passes(r));
    assert_true(dma_passes(&l) && mmio_passes(&l));
    l.ep->dma.trusted = true;
    assert_true(dma_passes(&l));
    assert_int_equal(ide_state(ep, 0), IDE_SECURE);
    rig_free(r);
}

/* A link that goes down takes the streams of the port along, and what is below does not answer. */
static void test_link_down(void **state)
{
    static const struct { const char *name; bool exp; unsigned off; uint16_t bit; } rows[] = {
        { "Link Disable", true, PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_DISABLE },
        { "secondary bus reset", false, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        PciRig  *r = rig_new();
        Link     l;

        secure_link(r, &l);
        unsigned off = rows[i].off + (rows[i].exp ? pci_find_cap(l.rp, PCI_CAP_EXP) : 0);
        unsigned status = pci_find_cap(l.rp, PCI_CAP_EXP) + PCI_EXP_LNKSTA;

        print_message("%s\n", rows[i].name);
        assert_true(rig_cfg_read(r, 0x08, status, 2) & PCI_EXP_LNKSTA_ACTIVE);
        rig_cfg_write(r, 0x08, off, 2, rows[i].bit);
        assert_int_equal(l.toy->reset_kind, PCI_RESET_BUS);
        assert_int_equal(ide_state(root_port_ide(l.rp), 0), IDE_INSECURE);
        assert_false(rig_cfg_read(r, 0x08, status, 2) & PCI_EXP_LNKSTA_ACTIVE);
        assert_int_equal(rig_cfg_read(r, 0x300, 0, 4), 0xffffffff);
        rig_cfg_write(r, 0x08, off, 2, 0);
        assert_true(rig_cfg_read(r, 0x08, status, 2) & PCI_EXP_LNKSTA_ACTIVE);
        assert_int_equal(rig_cfg_read(r, 0x300, 0, 4), 0x56781234);
        rig_free(r);
    }
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_masks), T(test_capabilities), T(test_bars),        T(test_observer), T(test_msix),
        T(test_intx),  T(test_plug_errors),  T(test_bridge),      T(test_ide),
        T(test_drops), T(test_untrusted), T(test_link_ide), T(test_link_and_selective), T(test_link_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
