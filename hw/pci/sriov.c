/*
 * SR-IOV: registers of the physical function, and how its virtual functions come and go. A VF is made once and keeps
 * its PciDevice; VF Enable puts it on the bus, in its state after reset, or takes it away. Source: PCI Express Base
 * Specification 6.0, "SR-IOV Extended Capability", "SR-IOV Initialization and Resource Allocation".
 */
#include "hw/pci/sriov.h"

#include "hw/pci/pci_int.h"
#include "log.h"

enum {
    FIRST_OFFSET = 1,
    FIRST_OFFSET_NO_ARI = 256,
    STRIDE = 1,
    PAGES = 0x553, /* 4 KiB, 8 KiB, 64 KiB, 256 KiB, 1 MiB, 4 MiB: those that must be there */
    ARI_SIZE = 8,
};

static uint32_t get(const Sriov *s, unsigned reg, unsigned size)
{
    return pci_get(s->pf, s->off + reg, size);
}

static bool enabled(const Sriov *s)
{
    return (get(s, SRIOV_CONTROL, 2) & SRIOV_CONTROL_VF_ENABLE) != 0;
}

static bool has_ari(const Sriov *s)
{
    return (get(s, SRIOV_CONTROL, 2) & SRIOV_CONTROL_ARI) != 0;
}

/* ---- where VF BARs are ---- */

/* "VF BARs": one VF's share of each is as long as its BAR, and at least a System Page. */
static uint64_t share(const Sriov *s, unsigned bar)
{
    uint64_t page = (uint64_t)get(s, SRIOV_SYSTEM_PAGE, 4) << 12;

    return MAX(s->vfs[0]->bars[bar].size, page);
}

uint64_t sriov_bar_address(const PciDevice *vf, unsigned bar)
{
    const Sriov *s = vf->pf->sriov;
    unsigned     reg = SRIOV_VF_BAR0 + 4 * bar;
    uint64_t     base = get(s, reg, 4) & ~0xfu;

    base |= vf->bars[bar].flags & PCI_BAR_MEM64 ? (uint64_t)get(s, reg + 4, 4) << 32 : 0;
    return base + vf->vf_index * share(s, bar);
}

bool sriov_memory_enabled(const PciDevice *vf)
{
    const Sriov *s = vf->pf->sriov;

    return vf->vf_index < s->n_there && (get(s, SRIOV_CONTROL, 2) & SRIOV_CONTROL_VF_MSE) != 0;
}

/* ---- what may be written when ---- */

/* "Software must not change" these while VF Enable is set: they are read-only then. A share's size shows in its VF BAR
 * as a BAR's does. */
static void set_masks(Sriov *s)
{
    PciDevice *pf = s->pf;
    bool       on = enabled(s);

    pci_set_wmask(pf, s->off + SRIOV_CONTROL, 2,
                  SRIOV_CONTROL_VF_ENABLE | SRIOV_CONTROL_VF_MSE | (on ? 0 : SRIOV_CONTROL_ARI));
    pci_set_wmask(pf, s->off + SRIOV_NUM_VFS, 2, on ? 0 : 0xffff);
    pci_set_wmask(pf, s->off + SRIOV_SYSTEM_PAGE, 4, on ? 0 : PAGES);
    for (unsigned b = 0; s->n_total != 0 && b < PCI_N_BARS; b++) {
        const PciBar *bar = &s->vfs[0]->bars[b];
        unsigned      reg = s->off + SRIOV_VF_BAR0 + 4 * b;
        uint64_t      mask = ~(share(s, b) - 1);

        if (bar->size != 0) {
            pci_set_wmask(pf, reg, 4, (uint32_t)mask & ~0xfu);
            pci_set(pf, reg, 4, (pci_get(pf, reg, 4) & (uint32_t)mask & ~0xfu) | bar->flags);
        }
        if (bar->size != 0 && (bar->flags & PCI_BAR_MEM64)) {
            pci_set_wmask(pf, reg + 4, 4, (uint32_t)(mask >> 32));
        }
    }
}

/* ---- coming and going ---- */

/* "First VF Offset", "VF Stride": the routing ID of VF @i counts from the PF's, which is function 0. */
static PciBus *place(Sriov *s, unsigned i, uint8_t *devfn)
{
    *devfn = (uint8_t)((has_ari(s) ? FIRST_OFFSET : FIRST_OFFSET_NO_ARI) + i * STRIDE);
    return has_ari(s) ? s->pf->bus : &s->beyond;
}

void sriov_bus_changed(Sriov *s)
{
    s->beyond.number = (uint8_t)(s->pf->bus->number + 1); /* after 255 no request finds a way */
    for (unsigned i = 0; i < s->n_there; i++) {
        s->vfs[i]->dma.requester = pci_bdf(s->vfs[i]);
    }
}

static void come(Sriov *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        PciDevice *vf = s->vfs[i];

        vf->bus = place(s, i, &vf->devfn);
        vf->bus->functions[vf->devfn] = vf;
    }
    s->n_there = n;
    sriov_bus_changed(s);
}

/* All that a VF held is gone with it, and it sends nothing any more. */
static void go(Sriov *s)
{
    unsigned n = s->n_there;

    s->n_there = 0;
    for (unsigned i = 0; i < n; i++) {
        PciDevice *vf = s->vfs[i];

        pci_reset_function(vf, PCI_RESET_FLR);
        vf->bus->functions[vf->devfn] = NULL;
    }
}

static void follow(Sriov *s)
{
    unsigned n = enabled(s) ? get(s, SRIOV_NUM_VFS, 2) : 0, before = s->n_there;

    set_masks(s);
    pci_set(s->pf, s->off + SRIOV_FIRST_VF_OFFSET, 2, has_ari(s) ? FIRST_OFFSET : FIRST_OFFSET_NO_ARI);
    if (n != 0 && before == 0) {
        come(s, n);
    } else if (n == 0 && before != 0) {
        go(s);
    }
    if (s->n_there != before) {
        LOG(MMIO, "%s: %u virtual functions", s->pf->dev.id, s->n_there);
        if (s->changed != NULL) {
            s->changed(s->opaque, s->n_there);
        }
    }
    for (unsigned i = 0; i < s->n_total; i++) {
        pci_update_bars(s->vfs[i]);
    }
}

static void sriov_written(void *opaque, const PciConfigWrite *w)
{
    Sriov   *s = opaque;
    uint32_t page = get(s, SRIOV_SYSTEM_PAGE, 4);

    if (get(s, SRIOV_NUM_VFS, 2) > s->n_total) {
        guest_error("%s: NumVFs %u is more than TotalVFs", s->pf->dev.id, get(s, SRIOV_NUM_VFS, 2));
        pci_set(s->pf, s->off + w->off, w->size, w->old);
    } else if (!is_power_of_two(page)) {
        guest_error("%s: System Page Size 0x%x is not one of the supported", s->pf->dev.id, page);
        pci_set(s->pf, s->off + w->off, w->size, w->old);
    }
    follow(s);
}

/* "PF FLR": VF Enable goes back to 0 with the other registers. */
static void sriov_reset(void *opaque, PciResetKind kind)
{
    follow(opaque);
}

static const PciSpanOps sriov_ops = { NULL, sriov_written, sriov_reset };

/* ---- making them ---- */

/* Every function of a device with ARI has the capability. The next function to look for is none: a VF answers to
 * nobody who does not know of it. */
static void add_ari(PciDevice *pd)
{
    (void)pci_add_ext_cap(pd, PCI_EXT_CAP_ARI, 1, ARI_SIZE);
}

bool sriov_reserves(const PciBus *bus, unsigned devfn)
{
    const PciDevice *pf = bus->functions[0];

    return pf != NULL && pf->sriov != NULL && devfn >= FIRST_OFFSET &&
           devfn < FIRST_OFFSET + pf->sriov->n_total * STRIDE;
}

static bool check_place(const PciDevice *pf, unsigned n_vfs, GError **error)
{
    const char *why = pf->bus->bridge == NULL ? "they need a link: put it below a pcie-root-port"
                      : pf->devfn != 0        ? "only function 0 can have them: leave addr= out"
                                              : NULL;

    for (unsigned i = 0; why == NULL && i < n_vfs; i++) {
        if (pf->bus->functions[FIRST_OFFSET + i * STRIDE] != NULL) {
            why = "another device is in one of their places: give one of the two another bus=";
        }
    }
    if (why != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s cannot have %u virtual functions: %s", pf->dev.id, n_vfs, why);
    }
    return why == NULL;
}

bool sriov_init(Sriov *s, PciDevice *pf, unsigned n_vfs, uint16_t vf_device, void (*changed)(void *opaque, unsigned n),
                void *opaque, GError **error)
{
    g_assert(n_vfs != 0 && n_vfs <= SRIOV_MAX_VFS);
    if (!check_place(pf, n_vfs, error)) {
        return false;
    }
    add_ari(pf);
    *s = (Sriov){ .pf = pf, .changed = changed, .opaque = opaque,
                  .beyond = { .name = pf->bus->name, .host = pf->bus->host, .bridge = pf->bus->bridge },
                  .off = (uint16_t)pci_add_ext_cap(pf, PCI_EXT_CAP_SRIOV, 1, SRIOV_SIZE) };
    pf->sriov = s;
    pci_set(pf, s->off + SRIOV_INITIAL_VFS, 2, n_vfs);
    pci_set(pf, s->off + SRIOV_TOTAL_VFS, 2, n_vfs);
    pci_set(pf, s->off + SRIOV_FIRST_VF_OFFSET, 2, FIRST_OFFSET_NO_ARI);
    pci_set(pf, s->off + SRIOV_VF_STRIDE, 2, STRIDE);
    pci_set(pf, s->off + SRIOV_VF_DEVICE_ID, 2, vf_device);
    pci_set(pf, s->off + SRIOV_SUPPORTED_PAGES, 4, PAGES);
    pci_set(pf, s->off + SRIOV_SYSTEM_PAGE, 4, 1);
    pci_add_span(pf, s->off, SRIOV_SIZE, &sriov_ops, s);
    set_masks(s);
    return true;
}

/* "Type 0 Configuration Space Header" and "PCI Express Capability" of VFs: what is the physical function's alone. */
void sriov_make_vf(PciDevice *pd)
{
    static const struct { uint16_t off; uint8_t len; } exp_zero[] = {
        { PCI_EXP_DEVCTL, 2 },  { PCI_EXP_LNKCTL, 2 },  { PCI_EXP_LNKSTA, 2 },
        { PCI_EXP_DEVCTL2, 2 }, { PCI_EXP_LNKCTL2, 2 },
    };

    add_ari(pd);
    pci_set(pd, PCI_VENDOR_ID, 4, ~0u);
    pci_set_wmask(pd, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    pci_set_wmask(pd, PCI_CACHE_LINE_SIZE, 1, 0);
    pci_set_wmask(pd, PCI_INTERRUPT_LINE, 1, 0);
    pci_set_interrupt_pin(pd, 0);
    for (unsigned b = 0; b < PCI_N_BARS; b++) {
        pci_set(pd, PCI_BAR0 + 4 * b, 4, 0);
        pci_set_wmask(pd, PCI_BAR0 + 4 * b, 4, 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(exp_zero); i++) {
        pci_set(pd, pd->exp_cap + exp_zero[i].off, exp_zero[i].len, 0);
        pci_set_wmask(pd, pd->exp_cap + exp_zero[i].off, exp_zero[i].len, 0);
    }
}

bool sriov_add_vf(Sriov *s, Device *dev, GError **error)
{
    PciDevice *vf = pci_device(dev);
    uint8_t    devfn;
    PciBus    *bus = place(s, s->n_total, &devfn);

    g_assert(s->n_total < get(s, SRIOV_TOTAL_VFS, 2)); /* our own functions */
    vf->pf = s->pf;
    vf->vf_index = (uint8_t)s->n_total;
    if (!pci_attach(bus, vf, devfn, error)) {
        device_free(dev);
        return false;
    }
    s->vfs[s->n_total++] = vf;
    set_masks(s);
    pci_reset_function(vf, PCI_RESET_POWER);
    return true;
}

void sriov_deinit(Sriov *s)
{
    while (s->n_total != 0) {
        PciDevice *vf = s->vfs[--s->n_total];

        vf->bus->functions[vf->devfn] = NULL;
        pci_detach(vf);
        device_free(&vf->dev);
    }
    s->n_there = 0;
    if (s->pf != NULL) {
        s->pf->sriov = NULL;
    }
}
