/*
 * Virtual functions of a tdisp-nic: the SR-IOV capability, functions that come and go with VF Enable, what their
 * configuration space has, where their BARs are, interrupts, resets. And their TDISP interfaces: each with a state and
 * a report of its own, which what happens to the card breaks, or does not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "nic_rig.h"

#include "bytes.h"
#include "hw/pci/root_port.h"
#include "hw/pci/sriov.h"
#include "hw/virtio/virtio.h"

enum {
    N_VFS = 8,
    CONTROL_ON = SRIOV_CONTROL_VF_ENABLE | SRIOV_CONTROL_VF_MSE | SRIOV_CONTROL_ARI,
    BAR_SHARE = 0x4000,
    MSIX_SHARE = 0x1000,
};

#define VF_BAR0 (RIG_BAR0 + 0x20000)
#define VF_BAR2 (RIG_BAR2 + 0x10000)
#define VF_BAR4 (RIG_BAR0 + 0x40000)

static uint16_t vf_rid(unsigned i)
{
    return (uint16_t)(RIG_NIC + 1 + i);
}

static uint32_t vf_read(NicRig *r, unsigned i, unsigned off, unsigned size)
{
    return pci_host_config_read(r->host, vf_rid(i), off, size);
}

static void vf_write(NicRig *r, unsigned i, unsigned off, unsigned size, uint32_t value)
{
    pci_host_config_write(r->host, vf_rid(i), off, size, value);
}

/* A VF that is there. */
static PciDevice *vf(NicRig *r, unsigned i)
{
    PciDevice *pd = pci_host_find(r->host, vf_rid(i));

    assert_non_null(pd);
    return pd;
}

static unsigned sriov(NicRig *r)
{
    unsigned off = pci_find_ext_cap(r->nic, PCI_EXT_CAP_SRIOV);

    assert_int_not_equal(off, 0);
    return off;
}

static uint32_t reg(NicRig *r, unsigned off, unsigned size)
{
    return rig_read(r, sriov(r) + off, size);
}

static void set_reg(NicRig *r, unsigned off, unsigned size, uint32_t value)
{
    rig_write(r, sriov(r) + off, size, value);
}

static void forward_ari(NicRig *r, bool on)
{
    unsigned exp = pci_find_cap(r->port, PCI_CAP_EXP);

    pci_host_config_write(r->host, RIG_PORT, exp + PCI_EXP_DEVCTL2, 2, on ? PCI_EXP_DEVCTL2_ARI : 0);
}

static void place_vf_bars(NicRig *r)
{
    set_reg(r, SRIOV_VF_BAR0, 4, (uint32_t)VF_BAR0);
    set_reg(r, SRIOV_VF_BAR0 + 4, 4, (uint32_t)(VF_BAR0 >> 32));
    set_reg(r, SRIOV_VF_BAR0 + 8, 4, (uint32_t)VF_BAR2);
    set_reg(r, SRIOV_VF_BAR0 + 16, 4, (uint32_t)VF_BAR4);
    set_reg(r, SRIOV_VF_BAR0 + 20, 4, (uint32_t)(VF_BAR4 >> 32));
}

/* As a host turns @n of them on. */
static NicRig *rig_with_vfs(unsigned n)
{
    NicRig *r = rig_new("vfs=8");

    forward_ari(r, true);
    place_vf_bars(r);
    set_reg(r, SRIOV_NUM_VFS, 2, n);
    set_reg(r, SRIOV_CONTROL, 2, CONTROL_ON);
    for (unsigned i = 0; i < n; i++) {
        vf_write(r, i, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    }
    return r;
}

static unsigned n_there(NicRig *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 255; i++) {
        n += pci_host_find(r->host, (uint16_t)(RIG_NIC + 1 + i)) != NULL;
    }
    return n;
}

/* Accesses of a Non-secure CPU to the functions' memory; nothing there reads as all ones. */
static uint64_t mmio_read(NicRig *r, uint64_t pa, unsigned size)
{
    MemRegion *m = memory_find(r->memory, pa);
    uint64_t   value = ~0ull;

    if (m != NULL) {
        assert_int_equal(memory_mmio_read(r->memory, m, pa, size, (MemAttrs){ .pas = PAS_NONSECURE }, &value), MEM_OK);
    }
    return value & mask64(8 * size);
}

static void mmio_write(NicRig *r, uint64_t pa, unsigned size, uint64_t value)
{
    MemRegion *m = memory_find(r->memory, pa);

    if (m != NULL) {
        assert_int_equal(memory_mmio_write(r->memory, m, pa, size, (MemAttrs){ .pas = PAS_NONSECURE }, value), MEM_OK);
    }
}

/* ---- the capability ---- */

static bool offers_sriov(NicRig *r, uint64_t common)
{
    mmio_write(r, common, 4, 1); /* device_feature_select */
    return (mmio_read(r, common + 4, 4) & VIRTIO_F_SR_IOV >> 32) != 0;
}

/* Without vfs= the card has none of it. */
static void test_none(void **state)
{
    NicRig *r = rig_new(NULL);

    assert_int_equal(pci_find_ext_cap(r->nic, PCI_EXT_CAP_SRIOV), 0);
    assert_int_equal(pci_find_ext_cap(r->nic, PCI_EXT_CAP_ARI), 0);
    assert_false(offers_sriov(r, RIG_BAR0));
    rig_free(r);
}

/* VIRTIO_F_SR_IOV is the card's, and no VF's. */
static void test_feature(void **state)
{
    NicRig *r = rig_with_vfs(1);

    assert_true(offers_sriov(r, RIG_BAR0));
    assert_false(offers_sriov(r, VF_BAR0));
    rig_free(r);
}

static void test_registers(void **state)
{
    static const struct { const char *name; unsigned off, size; uint32_t reset, ones; } rows[] = {
        { "SR-IOV Capabilities", SRIOV_CAP, 4, 0, 0 },
        { "InitialVFs", SRIOV_INITIAL_VFS, 2, N_VFS, N_VFS },
        { "TotalVFs", SRIOV_TOTAL_VFS, 2, N_VFS, N_VFS },
        { "NumVFs takes no more than TotalVFs", SRIOV_NUM_VFS, 2, 0, 0 },
        { "Function Dependency Link", 0x12, 1, 0, 0 },
        { "First VF Offset", SRIOV_FIRST_VF_OFFSET, 2, 256, 256 },
        { "VF Stride", SRIOV_VF_STRIDE, 2, 1, 1 },
        { "VF Device ID", SRIOV_VF_DEVICE_ID, 2, 0x1041, 0x1041 },
        { "Supported Page Sizes", SRIOV_SUPPORTED_PAGES, 4, 0x553, 0x553 },
        { "System Page Size takes one", SRIOV_SYSTEM_PAGE, 4, 1, 1 },
        { "VF BAR 0, prefetchable 64 bits", SRIOV_VF_BAR0, 4, 0xc, 0xffffc00c },
        { "its upper half", SRIOV_VF_BAR0 + 4, 4, 0, 0xffffffff },
        { "VF BAR 2, 32 bits", SRIOV_VF_BAR0 + 8, 4, 0, 0xfffff000 },
        { "no VF BAR 3", SRIOV_VF_BAR0 + 12, 4, 0, 0 },
        { "VF BAR 4", SRIOV_VF_BAR0 + 16, 4, 0xc, 0xffffc00c },
        { "VF Migration State Array Offset", 0x3c, 4, 0, 0 },
        { "SR-IOV Status", 0x0a, 2, 0, 0 },
        { "SR-IOV Control: VF Enable, VF MSE, ARI", SRIOV_CONTROL, 2, 0, CONTROL_ON },
    };

    NicRig *r = rig_new("vfs=8");

    assert_int_equal(reg(r, 0, 2), PCI_EXT_CAP_SRIOV);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(reg(r, rows[i].off, rows[i].size), rows[i].reset);
        set_reg(r, rows[i].off, rows[i].size, ~0u);
        assert_int_equal(reg(r, rows[i].off, rows[i].size), rows[i].ones);
    }
    pci_reset_function(r->nic, PCI_RESET_FLR);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(reg(r, rows[i].off, rows[i].size), rows[i].reset);
    }
    rig_free(r);
}

/* A share of a VF BAR is a System Page at least, which its sizing shows. */
static void test_page_size(void **state)
{
    static const struct { const char *name; uint32_t page, now, mask0, mask2; } rows[] = {
        { "4 KiB", 1, 1, 0xffffc00c, 0xfffff000 },
        { "8 KiB", 2, 2, 0xffffc00c, 0xffffe000 },
        { "64 KiB", 0x10, 0x10, 0xffff000c, 0xffff0000 },
        { "4 MiB", 0x400, 0x400, 0xffc0000c, 0xffc00000 },
        { "none", 0, 1, 0xffffc00c, 0xfffff000 },
        { "two", 3, 1, 0xffffc00c, 0xfffff000 },
        { "not supported", 4, 1, 0xffffc00c, 0xfffff000 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new("vfs=8");

        print_message("%s\n", rows[i].name);
        set_reg(r, SRIOV_SYSTEM_PAGE, 4, rows[i].page);
        assert_int_equal(reg(r, SRIOV_SYSTEM_PAGE, 4), rows[i].now);
        set_reg(r, SRIOV_VF_BAR0, 4, ~0u);
        set_reg(r, SRIOV_VF_BAR0 + 8, 4, ~0u);
        assert_int_equal(reg(r, SRIOV_VF_BAR0, 4), rows[i].mask0);
        assert_int_equal(reg(r, SRIOV_VF_BAR0 + 8, 4), rows[i].mask2);
        rig_free(r);
    }
}

/* While VF Enable is set, these are as they are. */
static void test_enabled_registers(void **state)
{
    static const struct { const char *name; unsigned off, size; uint32_t value; } rows[] = {
        { "NumVFs", SRIOV_NUM_VFS, 2, 3 },
        { "System Page Size", SRIOV_SYSTEM_PAGE, 4, 2 },
        { "ARI Capable Hierarchy", SRIOV_CONTROL, 2, SRIOV_CONTROL_VF_ENABLE | SRIOV_CONTROL_VF_MSE },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig  *r = rig_with_vfs(5);
        uint32_t before = reg(r, rows[i].off, rows[i].size);

        print_message("%s\n", rows[i].name);
        set_reg(r, rows[i].off, rows[i].size, rows[i].value);
        assert_int_equal(reg(r, rows[i].off, rows[i].size), before);
        assert_int_equal(n_there(r), 5);
        rig_free(r);
    }
}

/* ---- coming and going ---- */

static void test_number(void **state)
{
    static const struct { const char *name; uint32_t num, control; bool ari; unsigned there; } rows[] = {
        { "not enabled", 8, SRIOV_CONTROL_VF_MSE, true, 0 },
        { "none", 0, CONTROL_ON, true, 0 },
        { "one", 1, CONTROL_ON, true, 1 },
        { "all", 8, CONTROL_ON, true, 8 },
        { "more than there can be", 9, CONTROL_ON, true, 0 },
        { "all, but the port forwards to device 0 only", 8, CONTROL_ON, false, 7 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new("vfs=8");

        print_message("%s\n", rows[i].name);
        forward_ari(r, rows[i].ari);
        set_reg(r, SRIOV_NUM_VFS, 2, rows[i].num);
        set_reg(r, SRIOV_CONTROL, 2, rows[i].control);
        assert_int_equal(n_there(r), rows[i].there);
        set_reg(r, SRIOV_CONTROL, 2, 0);
        assert_int_equal(n_there(r), 0);
        assert_int_equal(vf_read(r, 0, PCI_COMMAND, 4), ~0u);
        rig_free(r);
    }
}

static void restart(NicRig *r, uint32_t control)
{
    set_reg(r, SRIOV_CONTROL, 2, 0);
    set_reg(r, SRIOV_CONTROL, 2, control & SRIOV_CONTROL_ARI);
    set_reg(r, SRIOV_NUM_VFS, 2, N_VFS);
    set_reg(r, SRIOV_CONTROL, 2, control);
    for (unsigned i = 0; i < N_VFS; i++) {
        PciDevice *pd = r->nic->sriov->vfs[i];

        pci_host_config_write(r->host, pci_bdf(pd), PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    }
}

static bool sends(NicRig *r, unsigned i)
{
    mmio_write(r, VF_BAR4 + i * BAR_SHARE + ENGINE_ADDR, 8, RIG_SHARED);
    mmio_write(r, VF_BAR4 + i * BAR_SHARE + ENGINE_LEN, 8, 8);
    mmio_write(r, VF_BAR4 + i * BAR_SHARE + ENGINE_CMD, 8, ENGINE_WRITE);
    return mmio_read(r, VF_BAR4 + i * BAR_SHARE + ENGINE_STATUS, 8) == ENGINE_OK;
}

/* Where the VFs are: by ARI Capable Hierarchy, and by the bus numbers that the port passes on. */
static void test_routing_ids(void **state)
{
    static const struct { const char *name; uint32_t control, buses, offset; uint16_t first; bool reached; } rows[] = {
        { "with ARI", CONTROL_ON, 0x00010100, 1, 0x101, true },
        { "without", CONTROL_ON & ~SRIOV_CONTROL_ARI, 0x00020100, 256, 0x200, true },
        { "without, of another bus number", CONTROL_ON & ~SRIOV_CONTROL_ARI, 0x00030200, 256, 0x300, true },
        { "without, and no second bus", CONTROL_ON & ~SRIOV_CONTROL_ARI, 0x00010100, 256, 0x200, false },
        { "with ARI again", CONTROL_ON, 0x00010100, 1, 0x101, true },
    };
    NicRig *r = rig_with_vfs(N_VFS);

    for (unsigned row = 0; row < ARRAY_LEN(rows); row++) {
        uint16_t pf;

        print_message("%s\n", rows[row].name);
        pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00020100);
        restart(r, rows[row].control);
        assert_int_equal(reg(r, SRIOV_FIRST_VF_OFFSET, 2), rows[row].offset);
        pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, rows[row].buses);
        pf = pci_bdf(r->nic);
        for (unsigned i = 0; i < N_VFS; i++) {
            uint16_t rid = (uint16_t)(pf + rows[row].offset + i);

            assert_int_equal(rid, rows[row].first + i);
            assert_ptr_equal(pci_host_find(r->host, rid), rows[row].reached ? r->nic->sriov->vfs[i] : NULL);
            pci_host_config_write(r->host, rid, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
            assert_int_equal(sends(r, i), rows[row].reached);
            assert_true(!rows[row].reached || r->last.requester == rid);
        }
        assert_ptr_equal(pci_host_find_id(r->host, "nic0.vf7"), r->nic->sriov->vfs[7]);
    }
    /* The last bus number has none behind it. */
    pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00020100);
    restart(r, CONTROL_ON & ~SRIOV_CONTROL_ARI);
    assert_true(sends(r, 0));
    pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00ffff00);
    assert_false(sends(r, 0));
    rig_free(r);
}

static void disable(NicRig *r) { set_reg(r, SRIOV_CONTROL, 2, SRIOV_CONTROL_VF_MSE); }
static void pf_flr(NicRig *r)
{
    rig_write(r, pci_find_cap(r->nic, PCI_CAP_EXP) + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
}
static void bus_reset(NicRig *r) { pci_host_config_write(r->host, RIG_PORT, PCI_BRIDGE_CONTROL, 2, 0x40); }
static void machine_reset(NicRig *r) { pci_host_reset(r->host); }

/* What ends the VFs, and that the next ones start anew. */
static void test_end(void **state)
{
    static const struct { const char *name; void (*act)(NicRig *r); } rows[] = {
        { "VF Enable cleared", disable },
        { "FLR of the physical function", pf_flr },
        { "secondary bus reset", bus_reset },
        { "machine reset", machine_reset },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig    *r = rig_with_vfs(N_VFS);
        PciDevice *first = vf(r, 0);

        print_message("%s\n", rows[i].name);
        assert_true(first->dma.enabled);
        pci_msix_notify(first, 0);
        rows[i].act(r);
        assert_int_equal(n_there(r), 0);
        assert_false(first->dma.enabled);
        assert_int_equal(mmio_read(r, VF_BAR0 + 0x12, 2), 0xffff);
        pci_host_config_write(r->host, RIG_PORT, PCI_BRIDGE_CONTROL, 2, 0);
        pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00010100);
        forward_ari(r, true);
        set_reg(r, SRIOV_NUM_VFS, 2, 2);
        set_reg(r, SRIOV_CONTROL, 2, CONTROL_ON);
        assert_int_equal(n_there(r), 2);
        assert_int_equal(vf_read(r, 0, PCI_COMMAND, 2), 0);
        rig_free(r);
    }
}

/* ---- a VF's configuration space ---- */

static void test_vf_registers(void **state)
{
    NicRig  *r = rig_with_vfs(N_VFS);
    unsigned exp = pci_find_cap(vf(r, 7), PCI_CAP_EXP), msix = pci_find_cap(vf(r, 7), PCI_CAP_MSIX);

    const struct { const char *name; unsigned off, size; uint32_t reset, ones; } rows[] = {
        { "Vendor ID and Device ID", PCI_VENDOR_ID, 4, ~0u, ~0u },
        { "Command: Bus Master Enable alone", PCI_COMMAND, 2, PCI_COMMAND_MASTER, PCI_COMMAND_MASTER },
        { "class as the card's", PCI_CLASS_DEVICE, 2, 0x0200, 0x0200 },
        { "Cache Line Size", PCI_CACHE_LINE_SIZE, 1, 0, 0 },
        { "Header Type", PCI_HEADER_TYPE, 1, 0, 0 },
        { "BAR 0", PCI_BAR0, 4, 0, 0 },
        { "BAR 1", PCI_BAR0 + 4, 4, 0, 0 },
        { "BAR 2", PCI_BAR0 + 8, 4, 0, 0 },
        { "BAR 4", PCI_BAR0 + 16, 4, 0, 0 },
        { "Subsystem Vendor ID", PCI_SUBSYSTEM_VENDOR_ID, 2, 0x1af4, 0x1af4 },
        { "Interrupt Line and Pin", PCI_INTERRUPT_LINE, 2, 0, 0 },
        { "Device Control, but for FLR", exp + PCI_EXP_DEVCTL, 2, 0, 0 },
        { "Link Control", exp + PCI_EXP_LNKCTL, 2, 0, 0 },
        { "Device Control 2", exp + PCI_EXP_DEVCTL2, 2, 0, 0 },
        { "MSI-X Message Control", msix + 2, 2, 2, 0xc002 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(vf_read(r, 7, rows[i].off, rows[i].size), rows[i].reset);
        vf_write(r, 7, rows[i].off, rows[i].size, rows[i].off == exp + PCI_EXP_DEVCTL ? 0x7fff : ~0u);
        assert_int_equal(vf_read(r, 7, rows[i].off, rows[i].size), rows[i].ones);
    }
    pci_set_intx(vf(r, 7), true); /* it has no pin to say so */
    assert_int_equal(vf_read(r, 7, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
    assert_true(vf_read(r, 7, exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
    assert_true(vf_read(r, 7, exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_TEE_IO);
    assert_int_equal(pci_find_ext_cap(vf(r, 7), PCI_EXT_CAP_SRIOV), 0);
    assert_int_equal(pci_find_ext_cap(vf(r, 7), PCI_EXT_CAP_DOE), 0);
    assert_int_not_equal(pci_find_ext_cap(vf(r, 7), PCI_EXT_CAP_ARI), 0);
    assert_false(rig_read(r, PCI_HEADER_TYPE, 1) & 0x80); /* of the card: VFs are not what makes a device so */
    rig_free(r);
}

/* ---- BARs ---- */

/* Each VF's registers are its own, at its share of the VF BARs. */
static void test_bars(void **state)
{
    NicRig *r = rig_with_vfs(N_VFS);

    for (unsigned i = 0; i < N_VFS; i++) {
        assert_int_equal(mmio_read(r, VF_BAR4 + i * BAR_SHARE + ENGINE_ID, 8), ENGINE_MAGIC);
        mmio_write(r, VF_BAR4 + i * BAR_SHARE + ENGINE_FLAGS, 8, i + 1);
        mmio_write(r, VF_BAR2 + i * MSIX_SHARE + 8, 4, 0x100 + i);
    }
    for (unsigned i = 0; i < N_VFS; i++) {
        assert_int_equal(mmio_read(r, VF_BAR4 + i * BAR_SHARE + ENGINE_FLAGS, 8), i + 1);
        assert_int_equal(mmio_read(r, VF_BAR2 + i * MSIX_SHARE + 8, 4), 0x100 + i);
        assert_int_equal(vf(r, i)->msix.vectors[0].data, 0x100 + i);
    }
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_FLAGS, 8, PAS_NONSECURE), 0);
    rig_free(r);
}

static void vf_mse_off(NicRig *r) { set_reg(r, SRIOV_CONTROL, 2, CONTROL_ON & ~SRIOV_CONTROL_VF_MSE); }
static void pf_memory_off(NicRig *r) { rig_write(r, PCI_COMMAND, 2, 0); }
static void moved(NicRig *r) { set_reg(r, SRIOV_VF_BAR0 + 16, 4, (uint32_t)VF_BAR4 + 0x20000); }
static void port_memory_off(NicRig *r) { pci_host_config_write(r->host, RIG_PORT, PCI_COMMAND, 2, PCI_COMMAND_MASTER); }
static void pf_sleeps(NicRig *r) { rig_write(r, pci_find_cap(r->nic, PCI_CAP_PM) + 4, 2, 3); }
static void vf_sleeps(NicRig *r) { vf_write(r, 3, pci_find_cap(vf(r, 3), PCI_CAP_PM) + 4, 2, 3); }
static void vf_flr(NicRig *r)
{
    vf_write(r, 3, pci_find_cap(vf(r, 3), PCI_CAP_EXP) + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
}
static void vf_master_off(NicRig *r) { vf_write(r, 3, PCI_COMMAND, 2, 0); }
static void pf_master_off(NicRig *r) { rig_write(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY); }

/* What decides whether VF 3 answers and may send. Its FLR leaves its BAR in place, which is the card's. */
static void test_decoding(void **state)
{
    static const struct { const char *name; void (*act)(NicRig *r); bool answers, sends, others; } rows[] = {
        { "VF MSE cleared", vf_mse_off, false, true, true },
        { "Memory Space Enable of the card cleared", pf_memory_off, true, true, true },
        { "Bus Master Enable of the card cleared", pf_master_off, true, true, true },
        { "Bus Master Enable cleared", vf_master_off, true, false, true },
        { "VF BAR moved", moved, false, true, true },
        { "the port's Memory Space Enable cleared", port_memory_off, false, true, true },
        { "the card in D3hot", pf_sleeps, false, false, false },
        { "D3hot", vf_sleeps, false, false, true },
        { "FLR", vf_flr, true, false, true },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_with_vfs(N_VFS);

        print_message("%s\n", rows[i].name);
        mmio_write(r, VF_BAR4 + 3 * BAR_SHARE + ENGINE_FLAGS, 8, 5);
        rows[i].act(r);
        assert_int_equal(mmio_read(r, VF_BAR4 + 3 * BAR_SHARE + ENGINE_ID, 8) == ENGINE_MAGIC, rows[i].answers);
        assert_int_equal(vf(r, 3)->dma.enabled, rows[i].sends);
        assert_int_equal(vf(r, 4)->dma.enabled, rows[i].others);
        if (rows[i].act == vf_flr) {
            assert_int_equal(mmio_read(r, VF_BAR4 + 3 * BAR_SHARE + ENGINE_FLAGS, 8), 0);
        }
        rig_free(r);
    }
}

/* ---- requests ---- */

/* DMA and interrupts carry the VF's requester ID. */
static void test_requester(void **state)
{
    NicRig *r = rig_with_vfs(N_VFS);

    for (unsigned i = 0; i < N_VFS; i++) {
        uint64_t  engine = VF_BAR4 + i * BAR_SHARE, msix = VF_BAR2 + i * MSIX_SHARE;
        PciDevice *pd = vf(r, i);

        mmio_write(r, engine + ENGINE_ADDR, 8, RIG_SHARED);
        mmio_write(r, engine + ENGINE_LEN, 8, 8);
        mmio_write(r, engine + ENGINE_CMD, 8, ENGINE_WRITE);
        assert_int_equal(mmio_read(r, engine + ENGINE_STATUS, 8), ENGINE_OK);
        assert_int_equal(r->last.requester, vf_rid(i));
        vf_write(r, i, pci_find_cap(pd, PCI_CAP_MSIX) + 2, 2, 0x8000);
        mmio_write(r, msix, 8, RIG_SHARED + 0x100);
        mmio_write(r, msix + 12, 4, 0);
        r->last = (DmaRequest){ 0 };
        pci_msix_notify(pd, 0);
        assert_int_equal(r->last.requester, vf_rid(i));
        assert_true(r->last.is_msi);
    }
    pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00020200); /* another bus number */
    assert_non_null(pci_host_find(r->host, 0x0208));
    assert_int_equal(pci_host_find(r->host, 0x0208)->dma.requester, 0x0208);
    rig_free(r);
}

/* ---- interfaces ---- */

enum { RUNNING = 2, LOCKED = 5, FREE = 6 }; /* the VFs that tests look at */

/* From here on, the module is about that VF. */
static void use_vf(NicRig *r, unsigned i)
{
    tdisp_client_init(&r->tdi, vf_rid(i));
    r->tdi.stream_id = RIG_STREAM;
    assert_int_equal(rig_tdisp(r, TDISP_OP_PROBE), SPDM_DONE);
}

static void use_card(NicRig *r)
{
    tdisp_client_init(&r->tdi, RIG_NIC);
    r->tdi.stream_id = RIG_STREAM;
    assert_int_equal(rig_tdisp(r, TDISP_OP_PROBE), SPDM_DONE);
}

static void lock(NicRig *r)
{
    if (rig_tdisp(r, TDISP_OP_LOCK) != SPDM_DONE) {
        fail_msg("lock: %s", r->tdi.error);
    }
}

/* Of a VF, there or not. */
static TdiState vf_state(NicRig *r, unsigned i)
{
    return dsm_tdi(r->nic->sriov->vfs[i])->state;
}

/* The stream is Secure. VF 2 runs, VF 5 is locked, and so is the card or not; all others are unlocked. */
static NicRig *rig_with_interfaces(TdiState card)
{
    NicRig *r = rig_with_vfs(N_VFS);

    rig_connect(r);
    rig_key_stream(r);
    use_card(r);
    if (card != TDI_CONFIG_UNLOCKED) {
        lock(r);
        assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
    }
    use_vf(r, LOCKED);
    lock(r);
    use_vf(r, RUNNING);
    lock(r);
    assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
    return r;
}

/* What the module is told, for every function. */
static void test_states(void **state)
{
    NicRig *r = rig_with_interfaces(TDI_CONFIG_UNLOCKED);

    use_vf(r, 7);
    lock(r);
    vf_write(r, 7, PCI_COMMAND, 2, 0);
    for (unsigned i = 0; i < N_VFS; i++) {
        TdiState expected = i == RUNNING  ? TDI_RUN
                            : i == LOCKED ? TDI_CONFIG_LOCKED
                            : i == 7      ? TDI_ERROR
                                          : TDI_CONFIG_UNLOCKED;

        tdisp_client_init(&r->tdi, vf_rid(i));
        assert_int_equal(rig_tdisp(r, TDISP_OP_STATE), SPDM_DONE);
        assert_int_equal(r->tdi.state, expected);
        assert_int_equal(vf_state(r, i), expected);
        assert_int_equal(vf(r, i)->dma.trusted, expected == TDI_RUN);
    }
    assert_int_equal(rig_state(r), TDI_CONFIG_UNLOCKED);
    tdisp_client_init(&r->tdi, vf_rid(RUNNING));
    assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
    assert_int_equal(vf_state(r, RUNNING), TDI_CONFIG_UNLOCKED);
    assert_int_equal(vf_state(r, LOCKED), TDI_CONFIG_LOCKED);
    rig_free(r);
}

/* Its ranges are its shares of the VF BARs. */
static void test_report(void **state)
{
    static const struct { const char *name; uint16_t flags; unsigned n_ranges; } rows[] = {
        { "plain", 0, 3 },
        { "MSI-X locked", TDISP_LOCK_MSIX, 4 },
    };
    const uint64_t bar0 = (VF_BAR0 + FREE * BAR_SHARE) >> 12, bar4 = (VF_BAR4 + FREE * BAR_SHARE) >> 12;
    const uint16_t non_tee = TDISP_RANGE_NON_TEE | TDISP_RANGE_UPDATABLE;

    for (unsigned row = 0; row < ARRAY_LEN(rows); row++) {
        NicRig     *r = rig_with_interfaces(TDI_CONFIG_UNLOCKED);
        TdispReport report;
        unsigned    last = rows[row].n_ranges - 1;

        print_message("%s\n", rows[row].name);
        use_vf(r, FREE);
        r->tdi.lock_flags = rows[row].flags;
        lock(r);
        assert_int_equal(rig_tdisp(r, TDISP_OP_REPORT), SPDM_DONE);
        assert_true(tdisp_report_decode(r->tdi.report, r->tdi.report_len, &report));
        assert_int_equal(report.n_ranges, rows[row].n_ranges);
        assert_memory_equal(&report.ranges[0], (&(TdispRange){ bar0, 4, 0, 0 }), sizeof(TdispRange));
        assert_memory_equal(&report.ranges[last - 1], (&(TdispRange){ bar4, 1, 0, 4 }), sizeof(TdispRange));
        assert_memory_equal(&report.ranges[last], (&(TdispRange){ bar4 + 1, 3, non_tee, 4 }), sizeof(TdispRange));
        if (rows[row].flags & TDISP_LOCK_MSIX) {
            assert_int_equal(report.ranges[1].first_page, (VF_BAR2 + FREE * MSIX_SHARE) >> 12);
            assert_int_equal(report.ranges[1].id, 2);
        }
        rig_free(r);
    }
}

/* Card and eight VFs, all locked in different ways: flags, reporting offset and report are each one's own, and so is
 * the nonce, which starts no other. */
static void test_all_at_once(void **state)
{
    enum { N = N_VFS + 1, CARD = N_VFS };
    static const uint16_t flags[] = { 0, TDISP_LOCK_MSIX, TDISP_LOCK_NO_FW_UPDATE,
                                      TDISP_LOCK_MSIX | TDISP_LOCK_ALL_REQUEST_REDIRECT };
    NicRig     *r = rig_with_vfs(N_VFS);
    TdispClient client[N];

    rig_connect(r);
    rig_key_stream(r);
    for (unsigned i = 0; i < N; i++) {
        i == CARD ? use_card(r) : use_vf(r, i);
        r->tdi.lock_flags = flags[i % ARRAY_LEN(flags)];
        r->tdi.mmio_offset = 0x100000000ull * i;
        lock(r);
        client[i] = r->tdi;
    }
    for (unsigned i = 0; i < N; i++) {
        bool        msix = (flags[i % ARRAY_LEN(flags)] & TDISP_LOCK_MSIX) != 0;
        uint64_t    bar0 = i == CARD ? RIG_BAR0 : VF_BAR0 + i * BAR_SHARE;
        TdispReport report;

        r->tdi = client[i];
        assert_int_equal(rig_tdisp(r, TDISP_OP_REPORT), SPDM_DONE);
        assert_true(tdisp_report_decode(r->tdi.report, r->tdi.report_len, &report));
        assert_int_equal(report.n_ranges, msix ? 4 : 3);
        assert_int_equal(report.ranges[0].first_page, (bar0 + 0x100000000ull * i) >> 12);
        assert_int_equal(report.interface_info & TDISP_INFO_NO_FW_UPDATE,
                         flags[i % ARRAY_LEN(flags)] & TDISP_LOCK_NO_FW_UPDATE);
        for (unsigned k = 0; k < i; k++) {
            assert_memory_not_equal(client[i].nonce, client[k].nonce, TDISP_NONCE_LEN);
        }
        assert_int_equal(rig_tdisp_raw(r, TDISP_START_INTERFACE, client[(i + 1) % N].nonce, TDISP_NONCE_LEN),
                         TDISP_INVALID_NONCE);
    }
    vf_write(r, 4, PCI_COMMAND, 2, 0);
    for (unsigned i = 0; i < N; i++) {
        r->tdi = client[i];
        assert_int_equal(rig_tdisp_raw(r, TDISP_START_INTERFACE, client[i].nonce, TDISP_NONCE_LEN),
                         i == 4 ? TDISP_INVALID_INTERFACE_STATE : 0);
        assert_int_equal(i == CARD ? rig_state(r) : vf_state(r, i), i == 4 ? TDI_ERROR : TDI_RUN);
    }
    rig_free(r);
}

static void no_act(NicRig *r) { }
static void same_vf_bars(NicRig *r) { place_vf_bars(r); }
static void num_vfs_in_use(NicRig *r) { set_reg(r, SRIOV_NUM_VFS, 2, 3); }
static void same_control(NicRig *r) { set_reg(r, SRIOV_CONTROL, 2, CONTROL_ON); }
static void vf_bar_moved(NicRig *r) { set_reg(r, SRIOV_VF_BAR0, 4, (uint32_t)VF_BAR0 + 0x40000); }
static void pf_bar_moved(NicRig *r) { rig_write(r, PCI_BAR0, 4, (uint32_t)RIG_BAR0 + 0x80000); }
static void pf_devctl(NicRig *r)
{
    unsigned at = pci_find_cap(r->nic, PCI_CAP_EXP) + PCI_EXP_DEVCTL;

    rig_write(r, at, 2, rig_read(r, at, 2) ^ 1u << 8); /* extended tags */
}
static void pf_register(NicRig *r) { rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_FLAGS, 8, PAS_NONSECURE, 1); }
static void on_running(NicRig *r, unsigned off, unsigned size, uint32_t value)
{
    vf_write(r, RUNNING, off, size, value);
}
static void bme_off(NicRig *r) { on_running(r, PCI_COMMAND, 2, 0); }
static void other_command(NicRig *r) { on_running(r, PCI_COMMAND, 2, 0xffff); }
static void vf_bar_write(NicRig *r) { on_running(r, PCI_BAR0, 4, ~0u); }
static void flr(NicRig *r)
{
    on_running(r, pci_find_cap(vf(r, RUNNING), PCI_CAP_EXP) + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
}
static void d3hot(NicRig *r) { on_running(r, pci_find_cap(vf(r, RUNNING), PCI_CAP_PM) + 4, 2, 3); }
static void window(NicRig *r)
{
    on_running(r, ((VirtioPci *)vf(r, RUNNING))->pci_cfg_cap + 8u, 4, 0x1000);
}
static void msix_control(NicRig *r) { on_running(r, pci_find_cap(vf(r, RUNNING), PCI_CAP_MSIX) + 2, 2, 0x8000); }
static void free_vf_flr(NicRig *r)
{
    vf_write(r, FREE, pci_find_cap(vf(r, FREE), PCI_CAP_EXP) + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
}
static void free_vf_register(NicRig *r) { mmio_write(r, VF_BAR4 + FREE * BAR_SHARE + ENGINE_FLAGS, 8, 1); }
static void end_session(NicRig *r) { assert_int_equal(rig_op(r, SPDM_OP_END_SESSION, NULL), SPDM_DONE); }
static void mac_failure(NicRig *r) { ide_fail(&dsm_of(r->nic)->ide, 0, false); }
static void stream_off(NicRig *r) { rig_write(r, rig_ide(r, 0) + 4, 4, 1u << 22); }
static void renumber(NicRig *r)
{
    pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00020200);
    for (unsigned i = 0; i <= N_VFS; i++) { /* a function learns its bus by a configuration write */
        pci_host_config_write(r->host, (uint16_t)(0x200 + i), PCI_STATUS, 2, 0);
    }
}
static void stop_card(NicRig *r)
{
    tdisp_client_init(&r->tdi, RIG_NIC);
    assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
}

/* Which interfaces something breaks: of the card in RUN, of VF 2 in RUN, of VF 5, locked. */
static void test_violations(void **state)
{
    enum { CARD = 1, ACTED = 2, OTHER = 4, VFS = ACTED | OTHER, ALL = CARD | VFS, STOPPED = 8 };
    static const struct { const char *name; void (*act)(NicRig *r); unsigned broken; } rows[] = {
        { "nothing", no_act, 0 },
        { "VF Enable cleared", disable, ALL },
        { "VF MSE cleared", vf_mse_off, ALL },
        { "VF BAR moved", vf_bar_moved, ALL },
        { "VF BARs as they are", same_vf_bars, 0 },
        { "SR-IOV Control as it is", same_control, 0 },
        { "NumVFs, which is read-only now", num_vfs_in_use, 0 },
        { "FLR of the card", pf_flr, ALL },
        { "secondary bus reset", bus_reset, ALL },
        { "Device Control of the card", pf_devctl, ALL },
        { "the card in D3hot", pf_sleeps, ALL },
        { "Memory Space Enable and Bus Master Enable of the card", pf_memory_off, CARD },
        { "Bus Master Enable of the card", pf_master_off, CARD },
        { "BAR of the card moved", pf_bar_moved, CARD },
        { "register of the card, refused", pf_register, 0 },
        { "card stopped", stop_card, CARD | STOPPED },
        { "Bus Master Enable", bme_off, ACTED },
        { "Command, read-only bits", other_command, 0 },
        { "BAR, read-only", vf_bar_write, 0 },
        { "FLR", flr, ACTED },
        { "D3hot", d3hot, ACTED },
        { "virtio configuration window", window, ACTED },
        { "MSI-X Message Control, not locked", msix_control, 0 },
        { "FLR of an unlocked VF", free_vf_flr, 0 },
        { "register of an unlocked VF", free_vf_register, 0 },
        { "end of the session", end_session, ALL },
        { "failed MAC", mac_failure, ALL },
        { "stream disabled", stream_off, ALL },
        { "bus renumbered", renumber, ALL },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig  *r = rig_with_interfaces(TDI_RUN);
        unsigned broken = rows[i].broken;

        print_message("%s\n", rows[i].name);
        rows[i].act(r);
        assert_int_equal(vf_state(r, RUNNING), broken & ACTED ? TDI_ERROR : TDI_RUN);
        assert_int_equal(vf_state(r, LOCKED), broken & OTHER ? TDI_ERROR : TDI_CONFIG_LOCKED);
        assert_int_equal(vf_state(r, FREE), TDI_CONFIG_UNLOCKED);
        assert_int_equal(rig_state(r), broken & STOPPED ? TDI_CONFIG_UNLOCKED : broken & CARD ? TDI_ERROR : TDI_RUN);
        rig_free(r);
    }
}

/* With the card unlocked, VF BARs and VF Enable still are what VFs rely on. */
static void test_violations_card_unlocked(void **state)
{
    static void (*const acts[])(NicRig *r) = { disable, vf_mse_off, vf_bar_moved, pf_devctl };

    for (unsigned i = 0; i < ARRAY_LEN(acts); i++) {
        NicRig *r = rig_with_interfaces(TDI_CONFIG_UNLOCKED);

        acts[i](r);
        assert_int_equal(vf_state(r, RUNNING), TDI_ERROR);
        assert_int_equal(rig_state(r), TDI_CONFIG_UNLOCKED);
        rig_free(r);
    }
}

/* The interface of a VF that is not there is none. When it comes back, it is as it was, until it is stopped. */
static void test_gone(void **state)
{
    NicRig *r = rig_with_interfaces(TDI_CONFIG_UNLOCKED);

    disable(r);
    tdisp_client_init(&r->tdi, vf_rid(RUNNING));
    assert_int_equal(rig_tdisp_raw(r, TDISP_GET_INTERFACE_STATE, "", 0), TDISP_INVALID_INTERFACE);
    assert_int_equal(rig_tdisp_raw(r, TDISP_STOP_INTERFACE, "", 0), TDISP_INVALID_INTERFACE);
    set_reg(r, SRIOV_NUM_VFS, 2, RUNNING + 1);
    set_reg(r, SRIOV_CONTROL, 2, CONTROL_ON);
    tdisp_client_init(&r->tdi, vf_rid(LOCKED));
    assert_int_equal(rig_tdisp_raw(r, TDISP_GET_INTERFACE_STATE, "", 0), TDISP_INVALID_INTERFACE);
    use_vf(r, 0);
    lock(r);
    tdisp_client_init(&r->tdi, vf_rid(RUNNING));
    assert_int_equal(rig_tdisp(r, TDISP_OP_STATE), SPDM_DONE);
    assert_int_equal(r->tdi.state, TDI_ERROR);
    assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
    use_vf(r, RUNNING);
    lock(r);
    rig_free(r);
}

static void over_card(NicRig *r) { rig_write(r, PCI_BAR0, 4, (uint32_t)VF_BAR0 + FREE * BAR_SHARE); }
static void over_vf(NicRig *r) { set_reg(r, SRIOV_VF_BAR0 + 16, 4, (uint32_t)VF_BAR0 + 0x4000); }
static void two_pages(NicRig *r)
{
    set_reg(r, SRIOV_CONTROL, 2, SRIOV_CONTROL_ARI);
    set_reg(r, SRIOV_SYSTEM_PAGE, 4, 0x10); /* VF BARs of 512 KiB now */
    set_reg(r, SRIOV_VF_BAR0 + 16, 4, (uint32_t)VF_BAR0 + 0x60000);
    set_reg(r, SRIOV_CONTROL, 2, CONTROL_ON);
}
static void away(NicRig *r) { set_reg(r, SRIOV_VF_BAR0 + 16, 4, (uint32_t)RIG_BAR0 + 0x80000); }

static void test_overlaps(void **state)
{
    static const struct { const char *name; void (*act)(NicRig *r); uint32_t error; } rows[] = {
        { "as they were placed", no_act, 0 },
        { "elsewhere", away, 0 },
        { "the card's BAR", over_card, TDISP_INVALID_DEVICE_CONFIGURATION },
        { "another VF's BAR", over_vf, TDISP_INVALID_DEVICE_CONFIGURATION },
        { "another VF's BAR, at larger pages", two_pages, TDISP_INVALID_DEVICE_CONFIGURATION },
    };
    static const uint8_t payload[20] = { 0 }; /* no flags, stream 0 */

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_with_vfs(N_VFS);

        print_message("%s\n", rows[i].name);
        rig_connect(r);
        rig_key_stream(r);
        rows[i].act(r);
        tdisp_client_init(&r->tdi, vf_rid(FREE));
        assert_int_equal(rig_tdisp_raw(r, TDISP_LOCK_INTERFACE, payload, sizeof(payload)), rows[i].error);
        rig_free(r);
    }
}

/* ---- what passes ---- */

static uint64_t realm_read(NicRig *r, unsigned i, uint64_t off)
{
    uint64_t value;

    (void)pci_bar_read(vf(r, i), TDISP_NIC_BAR_ENGINE, off, 8, (MemAttrs){ .pas = PAS_REALM }, &value);
    return value;
}

static void realm_write(NicRig *r, unsigned i, uint64_t off, uint64_t value)
{
    (void)pci_bar_write(vf(r, i), TDISP_NIC_BAR_ENGINE, off, 8, (MemAttrs){ .pas = PAS_REALM }, value);
}

/* TEE memory answers the VF's owner while it runs, and the host while it is unlocked. */
static void test_mmio(void **state)
{
    static const struct { const char *name; unsigned vf; bool realm, host; } rows[] = {
        { "RUN", RUNNING, true, false }, { "LOCKED", LOCKED, false, false }, { "UNLOCKED", FREE, false, true },
    };
    NicRig *r = rig_with_interfaces(TDI_CONFIG_UNLOCKED);

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t at = VF_BAR4 + rows[i].vf * BAR_SHARE + ENGINE_ID;

        print_message("%s\n", rows[i].name);
        assert_int_equal(realm_read(r, rows[i].vf, ENGINE_ID) == ENGINE_MAGIC, rows[i].realm);
        assert_int_equal(mmio_read(r, at, 8) == ENGINE_MAGIC, rows[i].host);
    }
    rig_free(r);
}

/* The range of requester IDs that the port takes on the stream. */
static void associate(NicRig *r, unsigned first, unsigned last)
{
    unsigned block = pci_find_ext_cap(r->port, PCI_EXT_CAP_IDE) + 0x14;

    root_port_set_tdisp(r->port, true, 0); /* while it is not locked */
    pci_host_config_write(r->host, RIG_PORT, block + 0x0c, 4, last << 8);
    pci_host_config_write(r->host, RIG_PORT, block + 0x10, 4, first << 8 | 1);
    root_port_set_tdisp(r->port, true, 1);
}

/* The card's stream carries the VFs' requests, as far as the port associates their requester IDs with it. */
static void test_dma(void **state)
{
    static const struct { const char *name; unsigned first, last; bool passes; } rows[] = {
        { "all", 0, 0xffff, true },
        { "the card and its VFs", RIG_NIC, RIG_NIC + N_VFS, true },
        { "that VF alone", RIG_NIC + 1 + RUNNING, RIG_NIC + 1 + RUNNING, true },
        { "the card alone", RIG_NIC, RIG_NIC, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_with_interfaces(TDI_CONFIG_UNLOCKED);

        print_message("%s\n", rows[i].name);
        associate(r, rows[i].first, rows[i].last);
        r->last = (DmaRequest){ 0 };
        realm_write(r, RUNNING, ENGINE_ADDR, RIG_PRIVATE);
        realm_write(r, RUNNING, ENGINE_LEN, 8);
        realm_write(r, RUNNING, ENGINE_CMD, ENGINE_WRITE);
        assert_int_equal(realm_read(r, RUNNING, ENGINE_STATUS), rows[i].passes ? ENGINE_OK : ENGINE_REFUSED);
        assert_int_equal(r->last.trusted, rows[i].passes);
        assert_int_equal(r->last.requester, rows[i].passes ? vf_rid(RUNNING) : 0);
        mmio_write(r, VF_BAR4 + FREE * BAR_SHARE + ENGINE_ADDR, 8, RIG_SHARED);
        mmio_write(r, VF_BAR4 + FREE * BAR_SHARE + ENGINE_LEN, 8, 8);
        mmio_write(r, VF_BAR4 + FREE * BAR_SHARE + ENGINE_CMD, 8, ENGINE_WRITE);
        assert_int_equal(r->last.requester, vf_rid(FREE));
        assert_false(r->last.trusted);
        rig_free(r);
    }
}

/* Stopping one leaves nothing of it, and all of another. */
static void test_scrub(void **state)
{
    NicRig *r = rig_with_interfaces(TDI_CONFIG_UNLOCKED);

    realm_write(r, RUNNING, ENGINE_FLAGS, 7);
    mmio_write(r, VF_BAR4 + FREE * BAR_SHARE + ENGINE_FLAGS, 8, 9);
    assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
    assert_int_equal(mmio_read(r, VF_BAR4 + RUNNING * BAR_SHARE + ENGINE_FLAGS, 8), 0);
    assert_int_equal(mmio_read(r, VF_BAR4 + FREE * BAR_SHARE + ENGINE_FLAGS, 8), 9);
    rig_free(r);
}

/* ---- a hostile host ---- */

/* What holds whatever is written: VFs are on the bus by VF Enable and NumVFs alone; what is not there holds nothing of
 * the machine; private requests are those of an interface in RUN. */
static void check_invariants(NicRig *r)
{
    const Sriov *s = r->nic->sriov;
    bool         on = (pci_get(r->nic, s->off + SRIOV_CONTROL, 2) & SRIOV_CONTROL_VF_ENABLE) != 0;

    assert_int_equal(s->n_there, on ? pci_get(r->nic, s->off + SRIOV_NUM_VFS, 2) : 0);
    for (unsigned i = 0; i < N_VFS; i++) {
        PciDevice *pd = s->vfs[i];
        bool       there = i < s->n_there;

        assert_ptr_equal(pd->bus->functions[pd->devfn], there ? pd : NULL);
        assert_true(there || (!pd->dma.enabled && !pd->bars[0].mapped));
        assert_int_equal(pd->dma.trusted, dsm_tdi(pd)->state == TDI_RUN);
        assert_int_equal(pci_get(pd, PCI_VENDOR_ID, 4), ~0u);
        assert_true(there || dsm_tdi(pd)->state == TDI_CONFIG_UNLOCKED || dsm_tdi(pd)->state == TDI_ERROR);
    }
}

static unsigned n_running(NicRig *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_VFS; i++) {
        n += vf_state(r, i) == TDI_RUN;
    }
    return n;
}

static uint32_t draw(NicRig *r)
{
    uint8_t bytes[4];

    entropy_bytes(&r->entropy, bytes, sizeof(bytes));
    return le32_get(bytes);
}

/* Configuration writes all over VFs, and in the card where they matter, and accesses to their memory; now and then an
 * interface is started, which must succeed now and then. */
static void test_storm(void **state)
{
    NicRig  *r = rig_with_interfaces(TDI_CONFIG_UNLOCKED);
    unsigned n_started = 0, n_lost = 0, n_came = 0;

    for (unsigned i = 0; i < 20000; i++) {
        static const uint16_t near[] = { SRIOV_CONTROL, SRIOV_CONTROL, SRIOV_NUM_VFS, SRIOV_SYSTEM_PAGE };
        uint32_t              what = draw(r), value = draw(r);
        unsigned              size = 1u << what % 3, off = what >> 8 & 0xffc;

        bool     came = r->nic->sriov->n_there == 0;
        unsigned held = n_running(r);

        switch (what >> 28) {
        case 0 ... 3:
            off = sriov(r) + near[value >> 8 & 3] + (value >> 16 & 3 & ~(size - 1));
            rig_write(r, off, size, value & 0x1f);
            break;
        case 4:
            set_reg(r, SRIOV_VF_BAR0 + (what >> 4 & 0x1c), 4, value);
            break;
        case 5:
            rig_write(r, off & 0x3c, size, value); /* the header; resets of the card would end the session */
            break;
        case 6 ... 9:
            vf_write(r, what >> 20 & 7, off & 0x1fc, size, value);
            break;
        case 10:
            mmio_write(r, VF_BAR0 + (what & 0x3fff8), 8, value);
            (void)mmio_read(r, VF_BAR4 + (value & 0x1fff8), 8);
            break;
        case 11:
            rig_write(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
            rig_write(r, pci_find_cap(r->nic, PCI_CAP_PM) + 4, 2, 0);
            break;
        default:
            if (value % 16 == 0) { /* fails where there is none, or BARs are on one another */
                tdisp_client_init(&r->tdi, vf_rid(what & 7));
                r->tdi.stream_id = RIG_STREAM;
                n_started += rig_tdisp(r, TDISP_OP_STOP) == SPDM_DONE && rig_tdisp(r, TDISP_OP_PROBE) == SPDM_DONE &&
                             rig_tdisp(r, TDISP_OP_LOCK) == SPDM_DONE && rig_tdisp(r, TDISP_OP_START) == SPDM_DONE;
            }
            break;
        }
        check_invariants(r);
        n_came += came && r->nic->sriov->n_there != 0;
        n_lost += n_running(r) < held;
    }
    print_message("VFs came %u times; %u interfaces started, %u times some were lost\n", n_came, n_started, n_lost);
    assert_true(n_came > 100 && n_started > 10 && n_lost > 10);
    rig_free(r);
}

/* ---- options ---- */

static void test_properties(void **state)
{
    static const struct { const char *option, *error; } rows[] = {
        { "vfs=9", "at most 8" },
        { "vfs=18446744073709551615", "at most 8" },
        { "vfs=1,vf-netdevs=a:b", "more netdevs than the 1" },
        { "vf-netdevs=a", "more netdevs than the 0" },
        { "vfs=2,vf-netdevs=:none", "cannot connect device nic0.vf1 to netdev=none" },
        { "vfs=1,addr=00.1", "cannot be function 1" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char *error = rig_refusal(rows[i].option, "rp0");

        print_message("%s: %s\n", rows[i].option, error);
        assert_non_null(strstr(error, rows[i].error));
        g_free(error);
    }
}

/* The places of VFs are taken, also while there are none. */
static void test_places(void **state)
{
    NicRig *r = rig_new("vfs=3");
    GError *error = NULL;
    Device *dev = device_new(device_class_find("virtio-rng-pci"), "rng", r->clock, 1);

    assert_false(pci_plug(pci_host_find_bus(r->host, "rp0"), dev, 3, &error));
    assert_non_null(strstr(error->message, "kept for a virtual function"));
    g_clear_error(&error);
    dev = device_new(device_class_find("virtio-rng-pci"), "rng", r->clock, 1);
    assert_true(pci_plug(pci_host_find_bus(r->host, "rp0"), dev, 4, &error));
    rig_free(r);
}

/* Without ARI the VFs are on the next bus. When the card's bus number becomes theirs, it has the requester ID that VF 0
 * had, before VF 0 has noticed. */
static void test_renumbered_onto_vf(void **state)
{
    NicRig    *r = rig_with_vfs(N_VFS);
    PciDevice *vf0 = r->nic->sriov->vfs[0];

    pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00030100);
    restart(r, CONTROL_ON & ~SRIOV_CONTROL_ARI);
    rig_connect(r);
    rig_key_stream(r);
    tdisp_client_init(&r->tdi, 0x200);
    r->tdi.lock_flags = TDISP_LOCK_MSIX;
    assert_int_equal(rig_tdisp(r, TDISP_OP_PROBE), SPDM_DONE);
    lock(r);
    assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
    assert_true(vf0->dma.trusted && vf0->dma.msi_trusted);
    pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00030200);
    pci_host_config_write(r->host, 0x200, PCI_INTERRUPT_LINE, 1, 1); /* the card */
    pci_host_config_write(r->host, 0x300, PCI_STATUS, 2, 0);         /* VF 0 */
    assert_int_equal(dsm_tdi(vf0)->state, TDI_ERROR);
    assert_false(vf0->dma.trusted);
    assert_false(vf0->dma.msi_trusted);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_feature),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_page_size),
        cmocka_unit_test(test_enabled_registers),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_routing_ids),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_vf_registers),
        cmocka_unit_test(test_bars),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_requester),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_violations),
        cmocka_unit_test(test_renumbered_onto_vf),
        cmocka_unit_test(test_violations_card_unlocked),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_mmio),
        cmocka_unit_test(test_dma),
        cmocka_unit_test(test_scrub),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
