/* The slot of a hot-plug capable port, as its software sees it: PCI Express Base Specification 6.0, "PCI Express Native
 * Hot-Plug". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/pci/hotplug.h"
#include "hw/pci/root_port.h"
#include "hw/pci/sriov.h"
#include "netdev.h"
#include "pci_rig.h"

enum { PORT = 0x08, BELOW = 0x100 };
enum { BUTTON = 1 << 0, PRESENCE_CHANGED = 1 << 3, PRESENT = 1 << 6, LINK_CHANGED = 1 << 8 };
enum { ENABLE_BUTTON = 1 << 0, ENABLE_INTERRUPT = 1 << 5, INDICATOR_ON = 1 << 8, INDICATOR_OFF = 3 << 8,
       ENABLE_LINK = 1 << 12 };

static PciRig    *r;
static PciDevice *port;
static GString   *deleted;

static void on_deleted(void *opaque, const char *id) { g_string_append_printf(deleted, "%s ", id); }

static int setup(void **state)
{
    r = rig_new();
    deleted = g_string_new(NULL);
    port = rig_add(r, "pcie-root-port,id=rp,hotplug=on");
    rig_add(r, "pcie-root-port,id=fixed");
    pci_host_on_deleted(r->host, on_deleted, NULL);
    rig_cfg_write(r, PORT, PCI_PRIMARY_BUS, 4, 0x010100);
    return 0;
}

static int teardown(void **state)
{
    rig_free(r);
    g_string_free(deleted, TRUE);
    return 0;
}

static unsigned slot(unsigned off) { return rig_cfg_read(r, PORT, port->exp_cap + off, 2); }
static void set_slot(unsigned off, unsigned value) { rig_cfg_write(r, PORT, port->exp_cap + off, 2, value); }
static bool link_is_active(void) { return (slot(PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_ACTIVE) != 0; }

static bool plug(const char *text, const char *error_has)
{
    GError *error = NULL;
    Device *dev = device_from_option(text, r->clock, 1, &error);
    bool    ok = dev != NULL && pci_hotplug(r->host, dev, &error);

    if (!ok && strstr(error->message, error_has) == NULL) {
        fail_msg("says: %s", error->message);
    }
    g_clear_error(&error);
    return ok;
}

static void test_plug(void **state)
{
    assert_int_equal(rig_cfg_read(r, PORT, port->exp_cap + PCI_EXP_SLTCAP, 4) & 0x7f, 0x51);
    assert_int_equal(slot(PCI_EXP_SLTSTA), 0);
    assert_false(link_is_active());
    assert_int_equal(rig_cfg_read(r, BELOW, 0, 4), ~0u);

    set_slot(PCI_EXP_SLTCTL, ENABLE_BUTTON | ENABLE_INTERRUPT | ENABLE_LINK | INDICATOR_OFF);
    assert_true(plug("virtio-rng-pci,id=card,bus=rp", NULL));
    assert_int_equal(slot(PCI_EXP_SLTSTA), PRESENCE_CHANGED | PRESENT | LINK_CHANGED | BUTTON);
    assert_true(link_is_active());
    assert_int_equal(rig_cfg_read(r, BELOW, 0, 4), 0x10441af4);
    assert_true(r->intx[1]); /* pin A of device 1 */
    set_slot(PCI_EXP_SLTSTA, LINK_CHANGED);
    assert_true(r->intx[1]);
    set_slot(PCI_EXP_SLTSTA, BUTTON);
    assert_false(r->intx[1]); /* of the presence nobody wants to hear */
    assert_int_equal(slot(PCI_EXP_SLTSTA), PRESENCE_CHANGED | PRESENT);

    assert_false(plug("virtio-rng-pci,id=more,bus=rp", "has no room"));
    assert_false(plug("virtio-rng-pci,id=more,bus=fixed", "hotplug=on"));
    assert_false(plug("virtio-rng-pci,id=more", "hotplug=on"));
    assert_false(plug("virtio-rng-pci,id=card,bus=rp", "two devices called"));
}

static void test_unplug(void **state)
{
    assert_true(plug("virtio-rng-pci,id=card,bus=rp", NULL));
    set_slot(PCI_EXP_SLTSTA, 0x1ff);
    set_slot(PCI_EXP_SLTCTL, ENABLE_BUTTON | ENABLE_INTERRUPT | INDICATOR_ON);
    assert_true(pci_hotunplug(pci_host_find_id(r->host, "card"), NULL));
    assert_int_equal(slot(PCI_EXP_SLTSTA), PRESENT | BUTTON);
    assert_true(r->intx[1]);
    set_slot(PCI_EXP_SLTSTA, BUTTON);
    assert_false(r->intx[1]);
    rig_run(r, 1000000);
    assert_non_null(pci_host_find_id(r->host, "card")); /* its software has not agreed yet */

    set_slot(PCI_EXP_SLTCTL, ENABLE_BUTTON | ENABLE_INTERRUPT | INDICATOR_OFF);
    rig_run(r, 1);
    assert_null(pci_host_find_id(r->host, "card"));
    assert_string_equal(deleted->str, "card ");
    assert_int_equal(slot(PCI_EXP_SLTSTA), PRESENCE_CHANGED | LINK_CHANGED);
    assert_false(link_is_active());
    assert_int_equal(rig_cfg_read(r, BELOW, 0, 4), ~0u);

    assert_true(plug("virtio-rng-pci,id=card,bus=rp", NULL)); /* an indicator that is off still takes nothing out */
    set_slot(PCI_EXP_SLTCTL, INDICATOR_OFF);
    rig_run(r, 1000000);
    assert_non_null(pci_host_find_id(r->host, "card"));
}

static void test_messages(void **state)
{
    rig_place(r, port);
    rig_write(r, port->bars[0].base + 0, 4, RIG_DOORBELL);
    rig_write(r, port->bars[0].base + 8, 4, 77);
    rig_write(r, port->bars[0].base + 12, 4, 0);
    rig_cfg_write(r, PORT, port->msix.cap + 2, 2, 0x8000);
    set_slot(PCI_EXP_SLTCTL, ENABLE_BUTTON | ENABLE_INTERRUPT | ENABLE_LINK);
    assert_true(plug("virtio-rng-pci,id=card,bus=rp", NULL));
    assert_int_equal(r->n_msi, 1);
    assert_int_equal(r->msi[0].data, 77);
    assert_false(r->intx[1]);
    set_slot(PCI_EXP_SLTSTA, LINK_CHANGED | BUTTON);
    assert_int_equal(r->n_msi, 1);
    assert_true(pci_hotunplug(pci_host_find_id(r->host, "card"), NULL));
    assert_int_equal(r->n_msi, 2);
}

/* A port that sleeps tells of a card by PME; what is to be done is still to be seen when it is awake. */
static void test_wake(void **state)
{
    unsigned csr = port->pm_cap + 4;

    set_slot(PCI_EXP_SLTCTL, ENABLE_BUTTON);
    set_slot(PCI_EXP_RTCTL, 1 << 3);
    rig_cfg_write(r, PORT, csr, 2, 3 | 1 << 8);
    assert_true(plug("virtio-rng-pci,id=card,bus=rp", NULL));
    assert_int_equal(rig_cfg_read(r, PORT, csr, 2), 3 | 1 << 3 | 1 << 8 | 1 << 15);
    assert_int_equal(rig_cfg_read(r, PORT, port->exp_cap + PCI_EXP_RTSTA, 4), 1 << 16 | PORT);
    assert_true(r->intx[1]);
    rig_cfg_write(r, PORT, csr, 2, 1 << 15);
    rig_cfg_write(r, PORT, port->exp_cap + PCI_EXP_RTSTA, 4, 1 << 16);
    assert_false(r->intx[1]);
    set_slot(PCI_EXP_SLTCTL, ENABLE_BUTTON | ENABLE_LINK | ENABLE_INTERRUPT);
    assert_true(r->intx[1]);
    assert_int_equal(slot(PCI_EXP_SLTSTA), PRESENCE_CHANGED | PRESENT | LINK_CHANGED | BUTTON);

    set_slot(PCI_EXP_SLTSTA, 0x1ff);
    rig_cfg_write(r, PORT, csr, 2, 3); /* without PME_En it sleeps on */
    assert_true(pci_hotunplug(pci_host_find_id(r->host, "card"), NULL));
    assert_false(r->intx[1]);
    rig_cfg_write(r, PORT, csr, 2, 0);
    set_slot(PCI_EXP_SLTCTL, ENABLE_BUTTON | ENABLE_LINK | ENABLE_INTERRUPT);
    assert_true(r->intx[1]);
}

/* A card with a security manager and virtual functions goes whole, also amid a request to its mailbox; the port comes
 * to use again. */
static void test_card(void **state)
{
    set_slot(PCI_EXP_DEVCTL2, PCI_EXP_DEVCTL2_ARI);
    assert_non_null(netdev_new("none,id=n0", r->clock, NULL));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(plug("tdisp-nic,id=nic,bus=rp,netdev=n0,vfs=2,tamper=slow", NULL));
        PciDevice *nic = pci_host_find_id(r->host, "nic");
        unsigned   sriov = pci_find_ext_cap(nic, PCI_EXT_CAP_SRIOV), doe = pci_find_ext_cap(nic, PCI_EXT_CAP_DOE);
        uint16_t   vf;

        rig_cfg_write(r, BELOW, sriov + SRIOV_NUM_VFS, 2, 2);
        rig_cfg_write(r, BELOW, sriov + SRIOV_CONTROL, 2, SRIOV_CONTROL_VF_ENABLE | SRIOV_CONTROL_ARI);
        vf = (uint16_t)(BELOW + rig_cfg_read(r, BELOW, sriov + SRIOV_FIRST_VF_OFFSET, 2));
        assert_int_equal(rig_cfg_read(r, vf, PCI_CLASS_DEVICE, 2), 0x0200);
        for (unsigned word = 0; word < 3; word++) { /* DOE discovery */
            rig_cfg_write(r, BELOW, doe + 0x10, 4, (const uint32_t[]){ 1, 3, 0 }[word]);
        }
        rig_cfg_write(r, BELOW, doe + 0x08, 4, 1u << 31); /* Go */
        assert_int_equal(rig_cfg_read(r, BELOW, doe + 0x0c, 4) & 1, 1);
        set_slot(PCI_EXP_SLTCTL, INDICATOR_ON);
        set_slot(PCI_EXP_SLTCTL, INDICATOR_OFF);
        rig_run(r, 1000000000);
        assert_null(pci_host_find_id(r->host, "nic"));
        assert_int_equal(rig_cfg_read(r, vf, PCI_CLASS_DEVICE, 2), 0xffff);
    }
    assert_string_equal(deleted->str, "nic nic ");
    netdev_free_all();
}

/* A link that goes with its card takes the port's streams out of Secure: the next card finds none of its keys. */
static void test_streams(void **state)
{
    IdeCap       *ide = root_port_ide(port);
    const uint8_t key[IDE_KEY_LEN] = { 1 }, iv[IDE_IV_LEN] = { 1 };

    assert_true(plug("tdisp-nic,id=nic,bus=rp", NULL));
    for (unsigned i = 0; i < ide->cfg.n_sel + ide->cfg.n_link; i++) {
        unsigned block = 0x14 + 12 * ide->cfg.n_addr;
        unsigned control = i < ide->cfg.n_sel ? 0x0c + 8 * ide->cfg.n_link + i * block + 4 : 0x0c;

        rig_cfg_write(r, PORT, ide->off + control, 4, i << 24); /* keys are a Stream ID's */
        for (unsigned k = 0; k < 2 * IDE_N_SUB; k++) {
            assert_true(ide_key_prog(ide, i, 0, k & 1, k / 2, key, iv));
            assert_true(ide_key_go(ide, i, 0, k & 1, k / 2));
        }
        rig_cfg_write(r, PORT, ide->off + control, 4, 1 | i << 24);
        assert_int_equal(ide_state(ide, i), IDE_SECURE);
    }
    set_slot(PCI_EXP_SLTCTL, INDICATOR_ON);
    set_slot(PCI_EXP_SLTCTL, INDICATOR_OFF);
    rig_run(r, 1000000000);
    assert_null(pci_host_find_id(r->host, "nic"));
    for (unsigned i = 0; i < ide->cfg.n_sel + ide->cfg.n_link; i++) {
        assert_int_equal(ide_state(ide, i), IDE_INSECURE);
        assert_false(ide_keys_ready(ide, i));
    }
}

/* Link Disable takes the link down for a while; the card stays, also through a reset. */
static void test_link(void **state)
{
    assert_true(plug("virtio-rng-pci,id=card,bus=rp", NULL));
    set_slot(PCI_EXP_SLTSTA, 0x1ff);
    set_slot(PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_DISABLE);
    assert_false(link_is_active());
    assert_int_equal(slot(PCI_EXP_SLTSTA), PRESENT | LINK_CHANGED);
    set_slot(PCI_EXP_LNKCTL, 0);
    assert_true(link_is_active());
    pci_host_reset(r->host);
    assert_int_equal(slot(PCI_EXP_SLTSTA), PRESENT);
    assert_true(link_is_active());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plug, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unplug, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wake, setup, teardown),
        cmocka_unit_test_setup_teardown(test_card, setup, teardown),
        cmocka_unit_test_setup_teardown(test_link, setup, teardown),
        cmocka_unit_test_setup_teardown(test_streams, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
