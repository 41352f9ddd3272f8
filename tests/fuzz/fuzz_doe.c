/*
 * Configuration space as an attacker sees it: a function with DOE, IDE, MSI-X and BARs behind a root port,
 * and a list of configuration and BAR accesses. Half of the writes aim at the DOE mailbox, so that objects
 * are completed. Inputs of an odd length go to a function whose mailbox takes its time.
 */
#include "bytes.h"
#include "unit/pci_rig.h"
#include "unit/pci_toy.h"

enum { MAX_STEPS = 1024, SLOW_NS = 20000, DOE_CONTROL = 8, DOE_WRITE = 16, DOE_READ = 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Target {
    PciRig *rig;
    PciToy *toy;
} Target;

static void link_up(Target *t)
{
    pci_host_reset(t->rig->host);
    pci_host_config_write(t->rig->host, 8, PCI_PRIMARY_BUS, 4, 0x00010100);
    pci_host_config_write(t->rig->host, 8, PCI_MEMORY_BASE, 4, 0x10f01000);
    pci_host_config_write(t->rig->host, 8, PCI_COMMAND, 2, 7);
    pci_host_config_write(t->rig->host, 0x100, PCI_COMMAND, 2, 7);
}

static void step(Target *t, ByteReader *r)
{
    PciHost *host = t->rig->host;
    uint8_t  op = br_u8(r);
    uint16_t at = br_u16(r), bdf = op & 0x80 ? 8 : 0x100;
    unsigned size = 1u << MIN(op >> 4 & 3, 2), doe = t->toy->doe.off;
    uint64_t v;

    switch (op & 7) {
    case 0:
        pci_host_config_write(host, bdf, (unsigned)align_down(at & 0xfff, size), size, br_u32(r));
        break;
    case 1:
        (void)pci_host_config_read(host, bdf, at & 0xfff, size);
        break;
    case 2:
        pci_host_config_write(host, 0x100, doe + DOE_WRITE, 4, br_u32(r));
        break;
    case 3: /* a header that may fit what follows */
        pci_host_config_write(host, 0x100, doe + DOE_WRITE, 4, 1u | (at & 15u) << 16);
        pci_host_config_write(host, 0x100, doe + DOE_WRITE, 4, at >> 8 & 7);
        break;
    case 4:
        pci_host_config_write(host, 0x100, doe + DOE_CONTROL, 4, op & 8 ? 1u << 31 : br_u32(r));
        break;
    case 5:
        (void)pci_host_config_read(host, 0x100, doe + DOE_READ, 4);
        pci_host_config_write(host, 0x100, doe + DOE_READ, 4, 0);
        break;
    case 6:
        (void)pci_bar_write(&t->toy->pci, at % PCI_N_BARS, align_down(br_u16(r), size), size,
                            (MemAttrs){ .pas = at >> 8 & 3 }, br_u64(r));
        break;
    default:
        (void)pci_bar_read(&t->toy->pci, at % PCI_N_BARS, align_down(br_u16(r), size), size,
                           (MemAttrs){ .pas = at >> 8 & 3 }, &v);
        pci_msix_notify(&t->toy->pci, at >> 8);
        pci_set_intx(&t->toy->pci, at & 0x10);
        clock_advance(t->rig->clock, clock_now(t->rig->clock) + at);
        break;
    }
}

static void make(Target *t, bool slow)
{
    t->rig = rig_new();
    (void)rig_add(t->rig, "pcie-root-port,id=rp");
    t->toy = (PciToy *)rig_add(t->rig, "pci-toy,id=toy,bus=rp");
    doe_slow_down(&t->toy->doe, slow ? SLOW_NS : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Target targets[2];
    Target       *t = &targets[size & 1];
    ByteReader    r = br_init(data, size);

    if (t->rig == NULL) {
        make(t, size & 1);
    }
    link_up(t);
    t->toy->reply_len = br_u16(&r);
    for (unsigned n = 0; n < MAX_STEPS && br_left(&r) != 0; n++) {
        t->rig->n_msi = 0;
        step(t, &r);
    }
    return 0;
}
