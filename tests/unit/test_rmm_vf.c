/*
 * Virtual functions of a tdisp-nic assigned to a Realm by the RMM: VDEVs of one PDEV, each by its requester ID,
 * evidence of its own, private DMA through root port and SMMU; and what the RMM finds when one is gone.
 */
#include "tests/unit/rmm_dev_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "hw/pci/root_port.h"
#include "hw/pci/sriov.h"
#include "hw/tdisp/dsm.h"
#include "hw/tdisp/tdisp_nic.h"

enum { N_VFS = 8, SHARE = 0x4000, IDE_SEL = 0x14, STREAM_DEFAULT = 1 << 22, INFO_IPA = 0x5200 };

#define MEM32    0x20000000ull
#define MEM64    0x8000000000ull
#define VF_BAR0  (MEM64 + 0x20000)
#define VF_BAR4  (MEM64 + 0x40000)
#define PATTERN  0x1122334455667788ull
#define RIG      (d->rig)
#define RD       (d->rd)

static DevRig    *d;
static PciHost   *host;
static PciDevice *port, *nic;

/* ---- the machine: root port, card, SMMU ---- */

static DmaResult translate(void *opaque, const DmaRequest *req, DmaTarget *out)
{
    return smmu_translate(opaque, req, out);
}

static void set(uint16_t bdf, unsigned off, unsigned size, uint32_t value)
{
    pci_host_config_write(host, bdf, off, size, value);
}

static void set64(uint16_t bdf, unsigned off, uint64_t value)
{
    set(bdf, off, 4, (uint32_t)value);
    set(bdf, off + 4, 4, (uint32_t)(value >> 32));
}

static void enumerate(void)
{
    unsigned exp = pci_find_cap(port, PCI_CAP_EXP), s = pci_find_ext_cap(nic, PCI_EXT_CAP_SRIOV);

    set(D_ROOT(0), PCI_PRIMARY_BUS, 4, 0x00010100);
    set(D_ROOT(0), PCI_MEMORY_BASE, 4, (uint32_t)(MEM32 >> 16 | MEM32));
    set(D_ROOT(0), PCI_PREF_MEMORY_BASE, 4, 0);
    set(D_ROOT(0), PCI_PREF_BASE_UPPER32, 4, (uint32_t)(MEM64 >> 32));
    set(D_ROOT(0), PCI_PREF_LIMIT_UPPER32, 4, (uint32_t)(MEM64 >> 32));
    set(D_ROOT(0), PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    set(D_ROOT(0), exp + PCI_EXP_DEVCTL2, 2, PCI_EXP_DEVCTL2_ARI);
    set64(D_FUNCTION(0), PCI_BAR0, MEM64);
    set(D_FUNCTION(0), PCI_BAR0 + 8, 4, (uint32_t)MEM32);
    set64(D_FUNCTION(0), PCI_BAR0 + 16, MEM64 + SHARE);
    set(D_FUNCTION(0), PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    set64(D_FUNCTION(0), s + SRIOV_VF_BAR0, VF_BAR0);
    set(D_FUNCTION(0), s + SRIOV_VF_BAR0 + 8, 4, (uint32_t)MEM32 + 0x10000);
    set64(D_FUNCTION(0), s + SRIOV_VF_BAR0 + 16, VF_BAR4);
    set(D_FUNCTION(0), s + SRIOV_NUM_VFS, 2, N_VFS);
    set(D_FUNCTION(0), s + SRIOV_CONTROL, 2, SRIOV_CONTROL_VF_ENABLE | SRIOV_CONTROL_VF_MSE | SRIOV_CONTROL_ARI);
    for (unsigned i = 0; i < N_VFS; i++) {
        set((uint16_t)(D_FUNCTION(0) + 1 + i), PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    }
}

static void plug_card(void)
{
    GError *error = NULL;

    host = pci_host_new(&(PciHostConfig){
        .name = "pcie.0",
        .up = { .memory = RIG->memory, .dma_memory = RIG->memory, .translate = translate, .opaque = d->smmu },
        .last_bus = 3, .mem32 = { MEM32, 0x1000000 }, .mem64 = { MEM64, 0x100000000 },
    });
    assert_true(pci_plug(pci_host_root(host), device_new(device_class_find("pcie-root-port"), "rp0", RIG->clock, 1), -1,
                         &error));
    assert_true(pci_plug_option(host, device_from_option("tdisp-nic,id=nic0,bus=rp0,vfs=8,spdm-algs=ecdsa-p384",
                                                         RIG->clock, 1, &error), &error));
    pci_host_reset(host);
    port = pci_host_find(host, D_ROOT(0));
    nic = pci_host_find_id(host, "nic0");
    enumerate();
}

/* The host's mailbox. */
static size_t answer(void *opaque, bool secured, const uint8_t *req, size_t len, uint8_t *rsp, size_t cap)
{
    return dsm_message(opaque, SPDM_OVER_DOE, secured, req, len, rsp, cap);
}

/* What the monitor told the root port, there; and the stream is enabled at both ends, for all functions of the bus. */
static void enable_stream(void)
{
    PciDevice *const ends[] = { port, nic };
    uint8_t          iv[IDE_IV_LEN] = { IDE_INITIAL_IFV };

    for (unsigned tx = 0; tx < 2; tx++) {
        for (unsigned sub = 0; sub < IDE_N_SUB; sub++) {
            assert_true(ide_key_prog(root_port_ide(port), 0, 0, tx ? IDE_TX : IDE_RX, sub,
                                     d->root->slot[0][tx][sub].key, iv));
            assert_true(ide_key_go(root_port_ide(port), 0, 0, tx ? IDE_TX : IDE_RX, sub));
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        unsigned block = pci_find_ext_cap(ends[i], PCI_EXT_CAP_IDE) + IDE_SEL;

        set(pci_bdf(ends[i]), block + 0x0c, 4, (D_FUNCTION(0) + N_VFS) << 8);
        set(pci_bdf(ends[i]), block + 0x10, 4, D_FUNCTION(0) << 8 | 1);
        set(pci_bdf(ends[i]), block + 4, 4, STREAM_DEFAULT);
        set(pci_bdf(ends[i]), block + 4, 4, STREAM_DEFAULT | 1);
        assert_int_equal(ide_state(i == 0 ? root_port_ide(port) : &dsm_of(nic)->ide, 0), IDE_SECURE);
    }
    root_port_set_tdisp(port, d->root->tdisp, 1);
}

static int setup(void **state)
{
    d = dev_rig_new();
    plug_card();
    d->answer = answer;
    d->answer_opaque = dsm_of(nic);
    le16_put(rig_bytes(RIG, PAGE(D_PARAMS)) + RMI_PDEV_RID_TOP, (uint16_t)(D_FUNCTION(0) + 1 + N_VFS));
    dev_go_to(d, STAGE_READY);
    enable_stream();
    return 0;
}

static int teardown(void **state)
{
    pci_host_free(host);
    dev_rig_free(d);
    return 0;
}

/* ---- VDEVs ---- */

/* From here on, the calls are about that VF, which is VDEV 0 or 1. */
static void use(unsigned vf, unsigned vdev)
{
    d->interface = 1 + vf;
    d->vdev = PAGE(vdev == 0 ? D_VDEV : D_VDEV2);
}

static TdiState state_of(unsigned vf)
{
    return dsm_tdi(nic->sriov->vfs[vf])->state;
}

static const uint8_t *info(void)
{
    return rig_bytes(RIG, PAGE(RD == PAGE(W_RD) ? W_DATA + 5 : R2_BUFFER)) + (INFO_IPA & 0xfff);
}

static uint64_t info_u64(unsigned off)
{
    return le64_get(info() + off);
}

static void get_report(TdispReport *report)
{
    const GByteArray *object = d->object[RMI_OBJECT_INTERFACE_REPORT];

    g_byte_array_set_size(d->object[RMI_OBJECT_INTERFACE_REPORT], 0);
    rmi_ok(RIG, RMI_FID_VDEV_GET_INTERFACE_REPORT, RD, d->pdev, d->vdev);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_true(tdisp_report_decode(object->data, object->len, report));
}

/* The Realm has looked at all there is, and agrees to DMA. */
static void agree(void)
{
    TdispReport report;

    get_report(&report);
    dev_measure_params(d, RMI_MEASURE_SIGNED);
    rmi_ok(RIG, RMI_FID_VDEV_GET_MEASUREMENTS, RD, d->pdev, d->vdev, PAGE(D_PARAMS));
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(dev_rsi_done(d, RSI_FID_VDEV_GET_INFO, dev_vdev_id(d), INFO_IPA), RSI_SUCCESS);
    assert_int_equal(dev_rsi_done(d, RSI_FID_VDEV_DMA_ENABLE, dev_vdev_id(d), 0, 0, info_u64(RSI_VDEV_INFO_LOCK_NONCE),
                                  info_u64(RSI_VDEV_INFO_MEAS_NONCE), info_u64(RSI_VDEV_INFO_REPORT_NONCE)),
                     RSI_SUCCESS);
}

static uint64_t engine(unsigned vf, uint64_t off)
{
    uint64_t value;

    (void)pci_bar_read(nic->sriov->vfs[vf], TDISP_NIC_BAR_ENGINE, off, 8, (MemAttrs){ .pas = PAS_REALM }, &value);
    return value;
}

/* The Realm has the VF write 8 bytes to an address of its own. */
static uint64_t write_by_vf(unsigned vf, uint64_t ipa)
{
    const struct { unsigned off; uint64_t value; } writes[] = {
        { ENGINE_ADDR, ipa }, { ENGINE_LEN, 8 }, { ENGINE_PATTERN, PATTERN }, { ENGINE_CMD, ENGINE_WRITE },
    };

    for (unsigned i = 0; i < ARRAY_LEN(writes); i++) {
        (void)pci_bar_write(nic->sriov->vfs[vf], TDISP_NIC_BAR_ENGINE, writes[i].off, 8, (MemAttrs){ .pas = PAS_REALM },
                            writes[i].value);
    }
    return engine(vf, ENGINE_STATUS);
}

/* ---- tests ---- */

/* Two VFs of one card at once: states and reports of their own, and DMA by the one that runs. */
static void test_two(void **state)
{
    TdispReport report;

    use(5, 1);
    dev_go_on(d, STAGE_READY, STAGE_LOCKED);
    get_report(&report);
    assert_int_equal(report.ranges[0].first_page, (VF_BAR0 + 5 * SHARE) >> 12);
    use(2, 0);
    dev_go_on(d, STAGE_READY, STAGE_STARTED);
    get_report(&report);
    assert_int_equal(report.ranges[0].first_page, (VF_BAR0 + 2 * SHARE) >> 12);
    assert_int_equal(report.ranges[1].first_page, (VF_BAR4 + 2 * SHARE) >> 12);

    assert_int_equal(state_of(2), TDI_RUN);
    assert_int_equal(state_of(5), TDI_CONFIG_LOCKED);
    assert_int_equal(state_of(3), TDI_CONFIG_UNLOCKED);
    assert_int_equal(dsm_tdi(nic)->state, TDI_CONFIG_UNLOCKED);

    assert_int_equal(write_by_vf(2, 0x3010), ENGINE_FAULT); /* the Realm has not agreed */
    agree();
    assert_int_equal(write_by_vf(2, 0x3010), ENGINE_OK);
    assert_int_equal(le64_get(rig_bytes(RIG, PAGE(W_DATA + 3)) + 0x10), PATTERN);
    assert_int_equal(write_by_vf(2, 0x9000), ENGINE_FAULT); /* EMPTY */
    assert_int_equal(write_by_vf(5, 0x3010), ~0ull);        /* not in RUN: it does not even answer */
}

/* From here on, the calls are about that VF and the Realm that it is for. */
static void use_in(unsigned vf, bool second)
{
    use(vf, second);
    d->rd = PAGE(second ? W_RD2 : W_RD);
    d->rec = PAGE(second ? W_REC2 : W_REC0);
}

/* A VF of one card in each of two Realms, at the same addresses: each writes where its own Realm has them, and goes on
 * when the other is broken or taken back. */
static void test_two_realms(void **state)
{
    enum { AT = 0x5010 };
    static const unsigned vfs[] = { 2, 5 };

    dev_second_realm(d);
    for (unsigned i = 0; i < 2; i++) {
        use_in(vfs[i], i);
        dev_go_on(d, STAGE_READY, STAGE_STARTED);
        agree();
    }
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *own = rig_bytes(RIG, PAGE(i == 0 ? W_DATA + 5 : R2_BUFFER)) + (AT & 0xfff);
        uint8_t *others = rig_bytes(RIG, PAGE(i != 0 ? W_DATA + 5 : R2_BUFFER)) + (AT & 0xfff);

        memset(own, 0, 8);
        memset(others, 0, 8);
        assert_int_equal(write_by_vf(vfs[i], AT), ENGINE_OK);
        assert_int_equal(le64_get(own), PATTERN);
        assert_int_equal(le64_get(others), 0);
    }
    set(pci_bdf(nic->sriov->vfs[5]), nic->sriov->vfs[5]->exp_cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
    assert_int_equal(state_of(5), TDI_ERROR);
    assert_int_equal(write_by_vf(5, AT), ~0ull);
    assert_int_equal(write_by_vf(2, AT), ENGINE_OK);
    rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, d->pdev, d->vdev);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    rmi_ok(RIG, RMI_FID_VDEV_DESTROY, RD, d->pdev, d->vdev);
    assert_int_equal(write_by_vf(2, AT), ENGINE_OK);
    assert_int_equal(state_of(2), TDI_RUN);
}

/* The RMM takes a function within the PDEV's requester IDs, once. */
static void test_ids(void **state)
{
    use(2, 0);
    dev_go_on(d, STAGE_READY, STAGE_VDEV);
    use(2, 1);
    dev_vdev_params(d);
    assert_int_equal(rmi(RIG, RMI_FID_VDEV_CREATE, RD, d->pdev, d->vdev, PAGE(D_PARAMS)), RMI_ERROR_INPUT);
    use(N_VFS, 1); /* behind the last */
    dev_vdev_params(d);
    assert_int_equal(rmi(RIG, RMI_FID_VDEV_CREATE, RD, d->pdev, d->vdev, PAGE(D_PARAMS)), RMI_ERROR_INPUT);
}

static void nothing(void) { }
static void vf_flr(void)
{
    PciDevice *vf = nic->sriov->vfs[2];

    set(pci_bdf(vf), vf->exp_cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
}
static void vfs_off(void) { set(D_FUNCTION(0), nic->sriov->off + SRIOV_CONTROL, 2, 0); }
static void card_bar_moved(void) { set64(D_FUNCTION(0), PCI_BAR0, MEM64 + 0x80000); }
static void other_flr(void)
{
    PciDevice *vf = nic->sriov->vfs[5];

    set(pci_bdf(vf), vf->exp_cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
}

/* What the host does to a VF in RUN, what is left of its DMA, and what the RMM makes of the VDEV at UNLOCK. */
static void test_host(void **state)
{
    static const struct { const char *name; void (*act)(void); bool runs, there; } rows[] = {
        { "nothing", nothing, true, true },
        { "a BAR of the card moved", card_bar_moved, true, true },
        { "FLR of another VF", other_flr, true, true },
        { "FLR of the VF", vf_flr, false, true },
        { "VF Enable cleared", vfs_off, false, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        use(2, 0);
        dev_go_on(d, STAGE_READY, STAGE_STARTED);
        agree();
        rows[i].act();
        assert_int_equal(state_of(2), rows[i].runs ? TDI_RUN : TDI_ERROR);
        assert_int_equal(write_by_vf(2, 0x3010) == ENGINE_OK, rows[i].runs);
        rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, d->pdev, d->vdev);
        assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
        assert_int_equal(dev_vdev(d)->state, rows[i].there ? RMI_VDEV_UNLOCKED : RMI_VDEV_ERROR);
        assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
        rmi_ok(RIG, RMI_FID_VDEV_DESTROY, RD, d->pdev, d->vdev);
        set64(D_FUNCTION(0), PCI_BAR0, MEM64);
        set(pci_bdf(nic->sriov->vfs[2]), PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    }
}

/* ---- the link stream ---- */

/* To READY, when the host has written that to the card's link stream. */
static void connect_with_link(uint32_t control)
{
    d = dev_rig_new();
    plug_card();
    d->answer = answer;
    d->answer_opaque = dsm_of(nic);
    set(D_FUNCTION(0), pci_find_ext_cap(nic, PCI_EXT_CAP_IDE) + 0x0cu, 4, control);
    dev_go_to(d, STAGE_READY);
}

/* Of the link stream: those of @set alone are in use, at both ends. */
static void check_link_keys(unsigned set, bool keyed)
{
    const IdeCap *ide = &dsm_of(nic)->ide;

    for (unsigned i = 0; i < 4 * IDE_SUB_STREAMS; i++) {
        unsigned      of = i / 2 / IDE_SUB_STREAMS, tx = i & 1, sub = i / 2 % IDE_SUB_STREAMS;
        const IdeKey *k = &ide->streams[ide->cfg.n_sel].keys[of][tx][sub];

        assert_int_equal(k->go, keyed && of == set);
        assert_int_equal(d->links[0].slot[of][tx][sub].go, keyed && of == set);
        if (k->go) {
            assert_memory_equal(k->key, d->links[0].slot[of][!tx][sub].key, IDE_KEY_LEN);
        }
    }
}

/* The RMM keys what is enabled for traffic class 0, and takes no number that is another stream's of the port. */
static void test_link_stream(void **state)
{
    static const struct { const char *name; uint32_t control; bool keyed; } rows[] = {
        { "enabled", (uint32_t)D_LINK << 24 | 1, true },
        { "not enabled", (uint32_t)D_LINK << 24, false },
        { "of another traffic class", (uint32_t)D_LINK << 24 | 1 << 19 | 1, false },
        { "with the number of the selective stream", (uint32_t)PAIR_STREAM << 24 | 1, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        connect_with_link(rows[i].control);
        const IdeCap   *ide = &dsm_of(nic)->ide;
        const RootKeys *port_keys = &d->links[0];

        assert_int_equal(ide_keys_ready(ide, ide->cfg.n_sel), rows[i].keyed);
        assert_int_equal(port_keys->slot[0][1][IDE_CPL].go, rows[i].keyed);
        for (unsigned sub = 0; rows[i].keyed && sub < IDE_SUB_STREAMS; sub++) {
            assert_memory_equal(ide->streams[ide->cfg.n_sel].keys[0][IDE_TX][sub].key, port_keys->slot[0][0][sub].key,
                                IDE_KEY_LEN);
            assert_memory_not_equal(port_keys->slot[0][0][sub].key, d->root->slot[0][0][sub].key, IDE_KEY_LEN);
        }
        assert_int_equal(dev_pdev(d)->has_link, rows[i].keyed);
        for (unsigned set = 1; set <= 3; set++) { /* new keys for it, too */
            rmi_ok(RIG, RMI_FID_PDEV_IDE_KEY_REFRESH, d->pdev, 0);
            assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
            assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
            check_link_keys(set & 1, rows[i].keyed);
        }
        if (rows[i].keyed) { /* it failed, in use: the connection goes on without it */
            IdeCap *card = &dsm_of(nic)->ide;

            assert_int_equal(ide_state(card, card->cfg.n_sel), IDE_SECURE);
            card->streams[card->cfg.n_sel].rx_count++;
            ide_fail(card, card->cfg.n_sel, false);
            rmi_ok(RIG, RMI_FID_PDEV_IDE_KEY_REFRESH, d->pdev, 0);
            assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
            assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
            assert_int_equal(ide_state(card, card->cfg.n_sel), IDE_INSECURE);
        }
        rmi_ok(RIG, RMI_FID_PDEV_STOP, d->pdev);
        assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
        assert_false(port_keys->slot[0][1][IDE_CPL].go);
        teardown(state);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { T(test_two), T(test_two_realms), T(test_ids), T(test_host),
                                        cmocka_unit_test(test_link_stream) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
