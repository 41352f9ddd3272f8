/*
 * PCI Express functions: configuration space by masks, capabilities, BARs, power states, reset, INTx. What a
 * function does not model in hardware terms: link training, error signalling, ATS and peer-to-peer requests.
 * Source: PCI Express Base Specification 6.0, "Software Initialization and Configuration".
 */
#include "hw/pci/pci.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "hw/pci/pci_int.h"
#include "hw/pci/sriov.h"
#include "log.h"

enum {
    EXT_CAP_START = 0x100,
    PM_CSR = 4,              /* of the power management capability */
    PM_STATE_MASK = 3,
    DEVICES_PER_BUS = 32,
};

/* ---- stored registers ---- */

void pci_set(PciDevice *pd, unsigned off, unsigned size, uint32_t value)
{
    le_put(pd->config + off, value, size);
}

void pci_set_wmask(PciDevice *pd, unsigned off, unsigned size, uint32_t mask)
{
    le_put(pd->wmask + off, mask, size);
}

void pci_set_w1c(PciDevice *pd, unsigned off, unsigned size, uint32_t mask)
{
    le_put(pd->w1c + off, mask, size);
}

uint16_t pci_bdf(const PciDevice *pd)
{
    return (uint16_t)(pd->bus->number << 8 | pd->devfn);
}

/* A virtual function is never in a higher power state than its physical one ("VF Device Power Management States"). */
unsigned pci_power_state(const PciDevice *pd)
{
    unsigned own = pd->pm_cap != 0 ? pd->config[pd->pm_cap + PM_CSR] & PM_STATE_MASK : 0;

    return pd->pf != NULL ? MAX(own, pci_power_state(pd->pf)) : own;
}

static bool command(const PciDevice *pd, uint16_t bit)
{
    return (pci_get(pd, PCI_COMMAND, 2) & bit) != 0;
}

static bool is_bridge(const PciDevice *pd)
{
    return pd->secondary != NULL;
}

/* ---- describing a function ---- */

void pci_set_ids(PciDevice *pd, const PciIds *ids)
{
    pci_set(pd, PCI_VENDOR_ID, 2, ids->vendor);
    pci_set(pd, PCI_DEVICE_ID, 2, ids->device);
    pci_set(pd, PCI_REVISION_ID, 1, ids->revision);
    pci_set(pd, PCI_CLASS_PROG, 1, ids->class_code & 0xff);
    pci_set(pd, PCI_CLASS_DEVICE, 2, ids->class_code >> 8);
    pci_set(pd, PCI_SUBSYSTEM_VENDOR_ID, 2, ids->subsystem_vendor);
    pci_set(pd, PCI_SUBSYSTEM_ID, 2, ids->subsystem);
    pci_set_wmask(pd, PCI_COMMAND, 2,
                  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
                      PCI_COMMAND_INTX_DISABLE);
    pci_set_w1c(pd, PCI_STATUS, 2, 0xf900); /* the error bits; none is ever set */
    pci_set_wmask(pd, PCI_CACHE_LINE_SIZE, 1, 0xff);
    pci_set_wmask(pd, PCI_INTERRUPT_LINE, 1, 0xff);
    pd->next_cap = 0x40;
    pd->next_ext_cap = EXT_CAP_START;
}

unsigned pci_add_cap(PciDevice *pd, uint8_t id, unsigned size)
{
    unsigned off = pd->next_cap;

    g_assert(off != 0 && off + size <= EXT_CAP_START); /* our own functions; pci_set_ids() came first */
    pd->config[off] = id;
    pd->config[pd->last_cap != 0 ? pd->last_cap + 1 : PCI_CAPABILITY_LIST] = (uint8_t)off;
    pci_set(pd, PCI_STATUS, 2, pci_get(pd, PCI_STATUS, 2) | PCI_STATUS_CAP_LIST);
    pd->last_cap = (uint16_t)off;
    pd->next_cap = (uint16_t)align_up(off + size, 4);
    return off;
}

unsigned pci_add_ext_cap(PciDevice *pd, uint16_t id, unsigned version, unsigned size)
{
    unsigned off = pd->next_ext_cap;

    g_assert(off != 0 && off + size <= PCI_CONFIG_SIZE);
    pci_set(pd, off, 4, id | version << 16);
    if (pd->last_ext_cap != 0) {
        pci_set(pd, pd->last_ext_cap, 4, pci_get(pd, pd->last_ext_cap, 4) | off << 20);
    }
    pd->last_ext_cap = (uint16_t)off;
    pd->next_ext_cap = (uint16_t)align_up(off + size, 4);
    return off;
}

unsigned pci_find_cap(const PciDevice *pd, uint8_t id)
{
    unsigned off = pd->config[PCI_CAPABILITY_LIST];

    while (off != 0 && pd->config[off] != id) {
        off = pd->config[off + 1];
    }
    return off;
}

unsigned pci_find_ext_cap(const PciDevice *pd, uint16_t id)
{
    unsigned off = pd->last_ext_cap != 0 ? EXT_CAP_START : 0;

    while (off != 0 && pci_get(pd, off, 2) != id) {
        off = pci_get(pd, off + 2, 2) >> 4;
    }
    return off;
}

void pci_add_bar(PciDevice *pd, unsigned n, uint64_t size, unsigned flags, const MmioOps *ops)
{
    unsigned reg = PCI_BAR0 + 4 * n;

    g_assert(is_power_of_two(size) && n < PCI_N_BARS && (size >= 0x1000 || (flags & PCI_BAR_IO)));
    pd->bars[n] = (PciBar){ .pd = pd, .n = n, .size = size, .flags = flags, .ops = ops };
    pci_set(pd, reg, 4, flags);
    pci_set_wmask(pd, reg, 4, (uint32_t)~(size - 1) & (flags & PCI_BAR_IO ? ~0x3u : ~0xfu));
    if (flags & PCI_BAR_MEM64) {
        pci_set_wmask(pd, reg + 4, 4, (uint32_t)(~(size - 1) >> 32));
    }
    if (flags & PCI_BAR_IO) {
        pd->wmask[PCI_COMMAND] |= PCI_COMMAND_IO;
    }
}

/* "PCI Express Capability Structure", version 2. One lane at 2.5 GT/s that is always up. */
void pci_add_exp(PciDevice *pd, PciExpType type, uint32_t devcap_extra)
{
    unsigned c = pci_add_cap(pd, PCI_CAP_EXP, PCI_EXP_SIZE);
    bool     port = type == PCI_EXP_ROOT_PORT, link = type != PCI_EXP_RC_ENDPOINT;

    pd->exp_cap = (uint8_t)c;
    pci_set(pd, c + 2, 2, 2u | (unsigned)type << 4 | (port ? 1u << 8 : 0)); /* bit 8: Slot Implemented */
    /* Role-Based Error Reporting; payload 128 bytes; extended tags. */
    pci_set(pd, c + PCI_EXP_DEVCAP, 4, 1u << 15 | 1u << 5 | devcap_extra);
    pci_set(pd, c + PCI_EXP_DEVCTL, 2, 0x2810); /* Max_Read_Request 512, No Snoop, Relaxed Ordering */
    /* All but Aux Power and, here, Initiate FLR, which acts and reads as zero. */
    pci_set_wmask(pd, c + PCI_EXP_DEVCTL, 2, 0x79ff);
    pci_set_w1c(pd, c + PCI_EXP_DEVSTA, 2, 0x000f);
    if (link) {
        pci_set(pd, c + PCI_EXP_LNKCAP, 4,
                1u | 1u << 4 | (port ? (1u << 20 | (unsigned)(pd->devfn >> 3) << 24) : 0));
        pci_set_wmask(pd, c + PCI_EXP_LNKCTL, 2, 0x00cb | (port ? PCI_EXP_LNKCTL_DISABLE : 0));
        pci_set(pd, c + PCI_EXP_LNKSTA, 2, 1u | 1u << 4 | (port ? PCI_EXP_LNKSTA_ACTIVE : 0));
        pci_set(pd, c + PCI_EXP_LNKCAP2, 4, 1u << 1);
        pci_set(pd, c + PCI_EXP_LNKCTL2, 2, 1);
        pci_set_wmask(pd, c + PCI_EXP_LNKCTL2, 2, 0x000f);
    }
    if (port) {
        pci_set(pd, c + PCI_EXP_SLTCAP, 4, (uint32_t)(pd->devfn >> 3) << 19); /* no hot plug */
        pci_set_wmask(pd, c + PCI_EXP_SLTCTL, 2, 0x1fff);
        pci_set(pd, c + PCI_EXP_SLTSTA, 2, 1u << 6); /* Presence Detect State */
        pci_set_w1c(pd, c + PCI_EXP_SLTSTA, 2, 0x011f);
        pci_set_wmask(pd, c + PCI_EXP_RTCTL, 2, 0x000f); /* no CRS Software Visibility */
    }
    pci_set(pd, c + PCI_EXP_DEVCAP2, 4,
            1u << 4 | (port ? 1u << 5 : 0)); /* completion timeout disable; ARI forwarding */
    pci_set_wmask(pd, c + PCI_EXP_DEVCTL2, 2, 1u << 4 | (port ? PCI_EXP_DEVCTL2_ARI : 0));
}

/* "PCI Power Management Capability Structure". */
void pci_add_pm(PciDevice *pd)
{
    unsigned c = pci_add_cap(pd, PCI_CAP_PM, 8);

    pd->pm_cap = (uint8_t)c;
    pci_set(pd, c + 2, 2, 3);            /* version of the interface */
    pci_set(pd, c + PM_CSR, 2, 1u << 3); /* No_Soft_Reset */
    pci_set_wmask(pd, c + PM_CSR, 2, PM_STATE_MASK);
}

/* "Advanced Error Reporting Extended Capability". Only the masks and severities hold anything. */
void pci_add_aer(PciDevice *pd)
{
    unsigned c = pci_add_ext_cap(pd, PCI_EXT_CAP_AER, 2, 0x48);

    pci_set_w1c(pd, c + 0x04, 4, 0x07fff030);
    pci_set_wmask(pd, c + 0x08, 4, 0x07fff030);
    pci_set(pd, c + 0x08, 4, 0x00400000); /* Uncorrectable Internal Error is masked at reset */
    pci_set_wmask(pd, c + 0x0c, 4, 0x07fff030);
    pci_set(pd, c + 0x0c, 4, 0x00462030);
    pci_set_w1c(pd, c + 0x10, 4, 0x0000f1c1);
    pci_set_wmask(pd, c + 0x14, 4, 0x0000f1c1);
    pci_set(pd, c + 0x14, 4, 0x0000e000);
    if (is_bridge(pd)) {
        pci_set_wmask(pd, c + 0x2c, 4, 0x7); /* Root Error Command */
        pci_set_w1c(pd, c + 0x30, 4, 0x7f);
    }
}

/* "Access Control Services": source validation, translation blocking, P2P redirects, upstream forwarding. */
void pci_add_acs(PciDevice *pd)
{
    unsigned c = pci_add_ext_cap(pd, PCI_EXT_CAP_ACS, 1, 8);

    pci_set(pd, c + 4, 2, 0x1f);
    pci_set_wmask(pd, c + 6, 2, 0x1f);
}

void pci_set_interrupt_pin(PciDevice *pd, unsigned pin)
{
    pd->config[PCI_INTERRUPT_PIN] = (uint8_t)pin;
}

void pci_add_span(PciDevice *pd, unsigned off, unsigned len, const PciSpanOps *ops, void *opaque)
{
    g_assert(pd->n_spans < PCI_MAX_SPANS);
    pd->spans[pd->n_spans++] = (PciSpan){ (uint16_t)off, (uint16_t)len, ops, opaque };
}

/* ---- INTx ---- */

/* Line of the root that a function's pin ends at: each level turns it by the device number ("INTx
 * Emulation"). */
static unsigned root_line(const PciDevice *pd)
{
    unsigned pin = pd->config[PCI_INTERRUPT_PIN] - 1u;

    for (;;) {
        pin = (pin + (pd->devfn >> 3)) & 3;
        if (pd->bus->bridge == NULL) {
            return pin;
        }
        pd = pd->bus->bridge;
    }
}

static void update_intx(PciDevice *pd)
{
    bool     asks = pd->intx && pd->config[PCI_INTERRUPT_PIN] != 0;
    bool     out = asks && !command(pd, PCI_COMMAND_INTX_DISABLE);
    unsigned status = pci_get(pd, PCI_STATUS, 2) & ~(unsigned)PCI_STATUS_INTERRUPT;

    pci_set(pd, PCI_STATUS, 2, status | (asks ? PCI_STATUS_INTERRUPT : 0));
    if (out != pd->intx_out) {
        pd->intx_out = out;
        pd->intx_line = out ? (uint8_t)root_line(pd) : pd->intx_line;
        pci_host_intx(pd->bus->host, pd->intx_line, out);
    }
}

void pci_set_intx(PciDevice *pd, bool level)
{
    pd->intx = level;
    update_intx(pd);
}

/* ---- DMA ---- */

static bool bridge_has_bus(const PciDevice *b, uint8_t number)
{
    return number >= b->config[PCI_SECONDARY_BUS] && number <= b->config[PCI_SUBORDINATE_BUS];
}

DmaResult pci_dma_gate(PciDevice *pd, const DmaRequest *req)
{
    DmaResult r =
        pd->hooks != NULL && pd->hooks->dma_allowed != NULL ? pd->hooks->dma_allowed(pd, req) : DMA_OK;

    for (PciDevice *b = pd->bus->bridge; r == DMA_OK && b != NULL; b = b->bus->bridge) {
        if (!b->dma.enabled) { /* a bridge without Bus Master Enable forwards nothing upstream */
            r = DMA_ABORT;
        } else if (pd->bus != b->secondary && !bridge_has_bus(b, pd->bus->number)) {
            r = DMA_ABORT; /* a virtual function's bus number that the port was given no range for */
        } else if (b->hooks != NULL && b->hooks->forward_dma != NULL) {
            r = b->hooks->forward_dma(b, pd, req);
        }
    }
    return r;
}

static DmaResult translate(void *opaque, const DmaRequest *req, DmaTarget *out)
{
    PciDevice         *pd = opaque;
    const PciUpstream *up = &pd->bus->host->cfg.up;
    DmaResult          r = pci_dma_gate(pd, req);

    if (r != DMA_OK) {
        return r;
    }
    if (up->translate == NULL) {
        *out = (DmaTarget){ .pa = req->iova, .len = UINT64_MAX - req->iova, .pas = PAS_NONSECURE };
        return DMA_OK;
    }
    return up->translate(up->opaque, req, out);
}

static void update_master(PciDevice *pd)
{
    pd->dma.enabled = command(pd, PCI_COMMAND_MASTER) && pci_power_state(pd) == 0;
    for (unsigned i = 0; pd->sriov != NULL && i < pd->sriov->n_there; i++) {
        update_master(pd->sriov->vfs[i]); /* by their own Bus Master Enable, but their power state is no better */
    }
}

void pci_service_notify(PciDevice *port, unsigned v)
{
    port->dma.enabled = command(port, PCI_COMMAND_MASTER);
    pci_msix_notify(port, v);
    update_master(port);
}

/* ---- BARs ---- */

static bool inside(const PciWindow *w, uint64_t base, uint64_t size)
{
    return w->size != 0 && base >= w->base && size <= w->size && base - w->base <= w->size - size;
}

/* A bridge's memory window from its base and limit registers (granularity 1 MiB); empty when limit < base. */
static PciWindow bridge_window(const PciDevice *b, bool prefetchable)
{
    unsigned  reg = prefetchable ? PCI_PREF_MEMORY_BASE : PCI_MEMORY_BASE;
    uint64_t  base = (uint64_t)(pci_get(b, reg, 2) & 0xfff0) << 16;
    uint64_t  limit = (uint64_t)(pci_get(b, reg + 2, 2) & 0xfff0) << 16 | 0xfffff;
    PciWindow w = { 0, 0 };

    if (prefetchable) {
        base |= (uint64_t)pci_get(b, PCI_PREF_BASE_UPPER32, 4) << 32;
        limit |= (uint64_t)pci_get(b, PCI_PREF_LIMIT_UPPER32, 4) << 32;
    }
    if (limit > base) {
        w = (PciWindow){ base, limit - base + 1 };
    }
    return w;
}

/* Whether the bridge passes a memory request for the range down ("Type 1 Configuration Space Header"). */
static bool bridge_forwards(const PciDevice *b, uint64_t base, uint64_t size)
{
    PciWindow mem = bridge_window(b, false), pref = bridge_window(b, true);

    return command(b, PCI_COMMAND_MEMORY) && pci_power_state(b) == 0 &&
           (inside(&mem, base, size) || inside(&pref, base, size));
}

uint64_t pci_bar_address(const PciDevice *pd, unsigned n)
{
    const PciBar *bar = &pd->bars[n];
    unsigned      reg = PCI_BAR0 + 4 * n;
    uint64_t      addr = pci_get(pd, reg, 4) & (bar->flags & PCI_BAR_IO ? ~0x3u : ~0xfu);

    if (pd->pf != NULL) {
        return sriov_bar_address(pd, n);
    }
    return bar->flags & PCI_BAR_MEM64 ? addr | (uint64_t)pci_get(pd, reg + 4, 4) << 32 : addr;
}

static bool memory_enabled(const PciDevice *pd)
{
    return pd->pf != NULL ? sriov_memory_enabled(pd) : command(pd, PCI_COMMAND_MEMORY);
}

/* Where the BAR answers now, as a CPU address; false: nowhere. */
static bool bar_place(const PciDevice *pd, const PciBar *bar, uint64_t *base)
{
    const PciHostConfig *cfg = &pd->bus->host->cfg;
    uint64_t             addr = pci_bar_address(pd, bar->n);

    if (pci_power_state(pd) != 0) {
        return false;
    }
    if (bar->flags & PCI_BAR_IO) { /* our bridges forward no I/O */
        *base = cfg->io.base + addr;
        return command(pd, PCI_COMMAND_IO) && pd->bus->bridge == NULL && inside(&cfg->io, *base, bar->size);
    }
    *base = addr;
    if (!memory_enabled(pd) ||
        !(inside(&cfg->mem32, addr, bar->size) || inside(&cfg->mem64, addr, bar->size))) {
        return false;
    }
    for (const PciDevice *b = pd->bus->bridge; b != NULL; b = b->bus->bridge) {
        if (!bridge_forwards(b, addr, bar->size)) {
            return false;
        }
    }
    return true;
}

static void update_bar(PciDevice *pd, PciBar *bar)
{
    uint64_t base = 0;
    bool     on = bar_place(pd, bar, &base);

    if (on == bar->mapped && (!on || base == bar->base)) {
        return;
    }
    LOG(MMIO, "%s: BAR %u %s 0x%" PRIx64, pd->dev.id, bar->n, on ? "at" : "off, was at",
        on ? base : bar->base);
    bar->mapped = on;
    bar->base = on ? base : bar->base;
    memory_move(pd->bus->host->cfg.up.memory, bar->region, bar->base, on);
}

void pci_update_bars(PciDevice *pd)
{
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        if (pd->bars[i].region != NULL) {
            update_bar(pd, &pd->bars[i]);
        }
    }
    for (unsigned f = 0; is_bridge(pd) && f < ARRAY_LEN(pd->secondary->functions); f++) {
        if (pd->secondary->functions[f] != NULL) {
            pci_update_bars(pd->secondary->functions[f]);
        }
    }
    for (unsigned i = 0; pd->sriov != NULL && i < pd->sriov->n_total; i++) {
        pci_update_bars(pd->sriov->vfs[i]);
    }
}

/* The checks of the function and of every bridge above it; a refused request ends as Unsupported Request. */
static bool mmio_passes(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, MemAttrs attrs, bool write)
{
    for (PciDevice *b = pd->bus->bridge; b != NULL; b = b->bus->bridge) {
        if (b->hooks != NULL && b->hooks->forward_mmio != NULL &&
            !b->hooks->forward_mmio(b, pd, bar, attrs, pd->bars[bar].base + off)) {
            return false;
        }
    }
    return pd->hooks == NULL || pd->hooks->mmio_allowed == NULL ||
           pd->hooks->mmio_allowed(pd, bar, off, size, attrs, write);
}

MemResult pci_bar_read(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, MemAttrs attrs,
                       uint64_t *value)
{
    const PciBar *b = &pd->bars[bar];

    *value = mask64(8 * size);
    if (off >= b->size || pci_power_state(pd) != 0 || !mmio_passes(pd, bar, off, size, attrs, false)) {
        guest_error("%s: read of BAR %u + 0x%" PRIx64 " is not answered", pd->dev.id, bar, off);
        return MEM_OK;
    }
    if (pci_msix_read(pd, bar, off, size, value)) {
        return MEM_OK;
    }
    if (b->ops == NULL) {
        *value = 0;
        return MEM_OK;
    }
    /* A completer abort of the function reads as all ones too: PCIe has no error the CPU would see. */
    if (b->ops->read(&pd->dev, off, size, attrs, value) != MEM_OK) {
        *value = mask64(8 * size);
    }
    return MEM_OK;
}

MemResult pci_bar_write(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, MemAttrs attrs,
                        uint64_t value)
{
    const PciBar *b = &pd->bars[bar];

    if (off >= b->size || pci_power_state(pd) != 0 || !mmio_passes(pd, bar, off, size, attrs, true)) {
        guest_error("%s: write to BAR %u + 0x%" PRIx64 " is lost", pd->dev.id, bar, off);
    } else if (!pci_msix_write(pd, bar, off, size, value) && b->ops != NULL) {
        (void)b->ops->write(&pd->dev, off, size, attrs, value);
    }
    return MEM_OK;
}

/* A port sends no request of a function back down, and the root complex none to another port: peer to peer is not
 * modelled, so a bus master finds nothing here. */
static MemResult bar_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    PciBar *bar = opaque;

    if (attrs.is_device) {
        return MEM_DECODE;
    }
    return pci_bar_read(bar->pd, bar->n, off, size, attrs, value);
}

static MemResult bar_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    PciBar *bar = opaque;

    if (attrs.is_device) {
        return MEM_DECODE;
    }
    return pci_bar_write(bar->pd, bar->n, off, size, attrs, value);
}

static const MmioOps bar_mmio_ops = { bar_read, bar_write };

static void add_regions(PciDevice *pd)
{
    Memory *m = pd->bus->host->cfg.up.memory;

    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        PciBar *bar = &pd->bars[i];

        if (bar->size != 0) {
            char *name = g_strdup_printf("%s.bar%u", pd->dev.id, i);

            /* Made at an address no CPU can reach, then switched off until the guest places it. */
            bar->region = memory_add_mmio(m, name, 1ull << 60, bar->size, &bar_mmio_ops, bar);
            memory_move(m, bar->region, 0, false);
            g_free(name);
        }
    }
}

static void remove_regions(PciDevice *pd)
{
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        if (pd->bars[i].region != NULL) {
            memory_remove(pd->bus->host->cfg.up.memory, pd->bars[i].region);
            pd->bars[i].region = NULL;
        }
    }
}

/* ---- bridges ---- */

static void update_requesters(PciBus *bus)
{
    for (unsigned f = 0; f < ARRAY_LEN(bus->functions); f++) {
        PciDevice *pd = bus->functions[f];

        if (pd != NULL) {
            pd->dma.requester = pci_bdf(pd);
        }
        if (pd != NULL && pd->sriov != NULL) {
            sriov_bus_changed(pd->sriov);
        }
    }
}

void pci_bridge_changed(PciDevice *bridge)
{
    bridge->secondary->number = bridge->config[PCI_SECONDARY_BUS];
    update_requesters(bridge->secondary);
    pci_update_bars(bridge);
}

static void reset_below(PciBus *bus, PciResetKind kind)
{
    for (unsigned f = 0; f < ARRAY_LEN(bus->functions); f++) {
        if (bus->functions[f] != NULL) {
            pci_reset_function(bus->functions[f], kind);
        }
    }
}

bool pci_link_is_down(const PciDevice *port)
{
    return (port->config[PCI_BRIDGE_CONTROL] & PCI_BRIDGE_CTL_BUS_RESET) != 0 ||
           (pci_get(port, port->exp_cap + PCI_EXP_LNKCTL, 2) & PCI_EXP_LNKCTL_DISABLE) != 0;
}

void pci_link_reset(PciDevice *port)
{
    if (port->hooks != NULL && port->hooks->link_down != NULL) {
        port->hooks->link_down(port);
    }
    reset_below(port->secondary, PCI_RESET_BUS);
}

/* ---- configuration requests ---- */

static const PciSpan *find_span(const PciDevice *pd, unsigned off)
{
    for (unsigned i = 0; i < pd->n_spans; i++) {
        if (off >= pd->spans[i].off && off - pd->spans[i].off < pd->spans[i].len) {
            return &pd->spans[i];
        }
    }
    return NULL;
}

uint32_t pci_config_read(PciDevice *pd, unsigned off, unsigned size)
{
    uint32_t       value = pci_get(pd, off, size);
    const PciSpan *span = find_span(pd, off);

    if (pd->hooks != NULL && pd->hooks->config_read != NULL &&
        pd->hooks->config_read(pd, off, size, &value)) {
        return value;
    }
    if (span != NULL && span->ops->read != NULL) {
        value = span->ops->read(span->opaque, off - span->off, size, value);
    }
    return value;
}

static bool touches(const PciConfigWrite *w, unsigned off, unsigned len)
{
    return ranges_overlap(w->off, w->size, off, len);
}

/* Whether the write put a one into bit @bit of the byte at @off. */
static bool wrote_bit(const PciConfigWrite *w, unsigned off, unsigned bit)
{
    return touches(w, off, 1) && (w->raw >> (8 * (off - w->off)) >> bit & 1) != 0;
}

static bool rose(const PciConfigWrite *w, unsigned off, unsigned bit)
{
    return wrote_bit(w, off, bit) && (w->old >> (8 * (off - w->off)) >> bit & 1) == 0;
}

static void power_written(PciDevice *pd, unsigned before)
{
    unsigned csr = pd->pm_cap + PM_CSR, state = pci_power_state(pd);

    if (state == 1 || state == 2) { /* D1 and D2 are not supported: the write is ignored */
        pd->config[csr] = (uint8_t)((pd->config[csr] & ~PM_STATE_MASK) | before);
        return;
    }
    if (state != before && pd->hooks != NULL && pd->hooks->power != NULL) {
        pd->hooks->power(pd, state);
    }
}

/* Data Link Layer Link Active of a port. */
static void link_written(PciDevice *port)
{
    unsigned status = port->exp_cap + PCI_EXP_LNKSTA, before = pci_get(port, status, 2);
    bool     active = port->slot != NULL ? pci_slot_link_active(port->slot) : !pci_link_is_down(port);

    pci_set(port, status, 2, deposit64(before, 13, 1, active));
    if (port->slot != NULL && pci_get(port, status, 2) != before) {
        pci_slot_link_changed(port->slot);
    }
}

/* What follows from a write to the registers this file knows. */
static void config_effects(PciDevice *pd, const PciConfigWrite *w, unsigned power_before)
{
    bool power = pd->pm_cap != 0 && touches(w, pd->pm_cap + PM_CSR, 1);

    if (power) {
        power_written(pd, power_before);
    }
    if (power || touches(w, PCI_COMMAND, 2)) {
        update_master(pd);
        update_intx(pd);
    }
    if (power || touches(w, PCI_COMMAND, 2) || touches(w, PCI_BAR0, is_bridge(pd) ? 8 : 4 * PCI_N_BARS) ||
        (is_bridge(pd) && touches(w, PCI_MEMORY_BASE, 16))) {
        pci_update_bars(pd);
    }
    if (is_bridge(pd) && touches(w, PCI_PRIMARY_BUS, 3)) {
        pci_bridge_changed(pd);
    }
    if (is_bridge(pd) && (rose(w, PCI_BRIDGE_CONTROL, 6) || rose(w, pd->exp_cap + PCI_EXP_LNKCTL, 4))) {
        pci_link_reset(pd);
    }
    if (is_bridge(pd)) {
        link_written(pd);
    }
    if (pd->msix.cap != 0 && touches(w, pd->msix.cap + 2u, 2)) {
        pci_msix_control_written(pd);
    }
    if (pd->exp_cap != 0 && wrote_bit(w, pd->exp_cap + PCI_EXP_DEVCTL + 1u, 7) &&
        (pci_get(pd, pd->exp_cap + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)) {
        pci_reset_function(pd, PCI_RESET_FLR);
    }
}

void pci_config_write(PciDevice *pd, unsigned off, unsigned size, uint32_t value)
{
    uint32_t wmask = (uint32_t)le_get(pd->wmask + off, size), w1c = (uint32_t)le_get(pd->w1c + off, size);
    unsigned       power_before = pci_power_state(pd);
    const PciSpan *span = find_span(pd, off);
    PciConfigWrite w = {
        .off = (uint16_t)off, .size = (uint8_t)size, .raw = value, .old = pci_get(pd, off, size) };

    if (pd->hooks != NULL && pd->hooks->config_write != NULL &&
        pd->hooks->config_write(pd, off, size, value)) {
        return;
    }
    w.now = ((w.old & ~wmask) | (value & wmask)) & ~(value & w1c);
    pci_set(pd, off, size, w.now);
    if (pd->hooks != NULL && pd->hooks->config_written != NULL) {
        pd->hooks->config_written(pd, &w);
    }
    if (span != NULL && span->ops->written != NULL) {
        PciConfigWrite rel = w;

        rel.off = (uint16_t)(off - span->off);
        span->ops->written(span->opaque, &rel);
    }
    config_effects(pd, &w, power_before);
}

/* ---- reset ---- */

/* All registers go back, but for those that are sticky, which only a machine reset takes back, and those of the link
 * with Max_Payload_Size, which are no function's to reset ("Function Level Reset"). */
static void reset_registers(PciDevice *pd, PciResetKind kind)
{
    enum { AER_STICKY = 0x04, AER_STICKY_LEN = 0x18, MAX_PAYLOAD_SIZE = 0xe0 };
    unsigned aer = kind != PCI_RESET_POWER ? pci_find_ext_cap(pd, PCI_EXT_CAP_AER) : 0;
    unsigned exp = kind == PCI_RESET_FLR ? pd->exp_cap : 0;
    uint8_t  before[PCI_CONFIG_SIZE];

    memcpy(before, pd->config, sizeof(before));
    memcpy(pd->config, pd->initial, sizeof(before));
    if (aer != 0) {
        memcpy(pd->config + aer + AER_STICKY, before + aer + AER_STICKY, AER_STICKY_LEN);
    }
    if (exp != 0) {
        memcpy(pd->config + exp + PCI_EXP_LNKCTL, before + exp + PCI_EXP_LNKCTL, 2);
        memcpy(pd->config + exp + PCI_EXP_LNKCTL2, before + exp + PCI_EXP_LNKCTL2, 2);
        pd->config[exp + PCI_EXP_DEVCTL] &= (uint8_t)~MAX_PAYLOAD_SIZE;
        pd->config[exp + PCI_EXP_DEVCTL] |= before[exp + PCI_EXP_DEVCTL] & MAX_PAYLOAD_SIZE;
    }
}

void pci_reset_function(PciDevice *pd, PciResetKind kind)
{
    if (pd->hooks != NULL && pd->hooks->reset != NULL) {
        pd->hooks->reset(pd, kind);
    }
    reset_registers(pd, kind);
    for (unsigned i = 0; i < pd->n_spans; i++) {
        if (pd->spans[i].ops->reset != NULL) {
            pd->spans[i].ops->reset(pd->spans[i].opaque, kind);
        }
    }
    pci_msix_reset(pd);
    device_reset(&pd->dev);
    pci_set_intx(pd, false);
    update_master(pd);
    pci_update_bars(pd);
    if (is_bridge(pd)) {
        pci_bridge_changed(pd);
        reset_below(pd->secondary, kind);
    }
}

/* ---- plugging in ---- */

static const char *bus_name(const PciBus *bus)
{
    return bus->name;
}

/* The first free device; the root bus keeps number 0 for a host bridge, a link has only device 0. */
static int free_slot(const PciBus *bus)
{
    unsigned first = bus->bridge == NULL ? 1 : 0, end = bus->bridge == NULL ? DEVICES_PER_BUS : 1;

    for (unsigned d = first; d < end; d++) {
        if (bus->functions[d << 3] == NULL) {
            return (int)(d << 3);
        }
    }
    return -1;
}

static bool choose_slot(const PciBus *bus, const Device *dev, int *devfn, GError **error)
{
    if (strcmp(dev->cls->bus != NULL ? dev->cls->bus : "", "pci") != 0) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s is not a PCI device and cannot sit on bus %s",
                    dev->cls->name, bus_name(bus));
        return false;
    }
    if (*devfn < 0) {
        *devfn = free_slot(bus);
    }
    if (*devfn < 0) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "bus %s has no room for device %s; use another bus=", bus_name(bus), dev->id);
        return false;
    }
    const char *why = bus->functions[*devfn] != NULL                 ? "another device is there"
                      : bus->bridge != NULL && *devfn >= 8           ? "a port has only device 0"
                      : sriov_reserves(bus, (unsigned)*devfn)        ? "it is kept for a virtual function"
                                                                     : NULL;

    if (why != NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "cannot put device %s at %02x.%x of bus %s: %s; choose another addr=", dev->id,
                    *devfn >> 3, *devfn & 7, bus_name(bus), why);
    }
    return why == NULL;
}

/* Function 0 of a device with several functions says so in its header type. */
static void mark_multifunction(PciBus *bus, uint8_t devfn)
{
    PciDevice *zero = bus->functions[devfn & 0xf8];

    for (unsigned f = 1; zero != NULL && f < 8; f++) {
        if (bus->functions[(devfn & 0xf8) | f] != NULL) {
            zero->config[PCI_HEADER_TYPE] |= 0x80;
            zero->initial[PCI_HEADER_TYPE] |= 0x80;
        }
    }
}

void pci_detach(PciDevice *pd)
{
    remove_regions(pd);
    pci_msix_free(pd);
    g_free(pd->initial);
    pd->initial = NULL;
}

bool pci_attach(PciBus *bus, PciDevice *pd, uint8_t devfn, GError **error)
{
    pd->bus = bus;
    pd->devfn = devfn;
    pd->dma = (DmaPort){
        .memory = bus->host->cfg.up.dma_memory,
        .translate = translate,
        .opaque = pd,
        .requester = pci_bdf(pd),
    };
    pd->dev.dma = &pd->dma;
    if (!device_realize(&pd->dev, error)) {
        pci_detach(pd);
        return false;
    }
    if (pd->pf != NULL) {
        sriov_make_vf(pd);
    }
    pd->initial = g_memdup2(pd->config, PCI_CONFIG_SIZE);
    add_regions(pd);
    return true;
}

static void unplug(PciDevice *pd)
{
    pci_detach(pd);
    pd->bus->functions[pd->devfn] = NULL;
}

bool pci_plug(PciBus *bus, Device *dev, int devfn, GError **error)
{
    PciDevice *pd = pci_device(dev);

    if (!choose_slot(bus, dev, &devfn, error)) {
        device_free(dev);
        return false;
    }
    bus->functions[devfn] = pd;
    if (!pci_attach(bus, pd, (uint8_t)devfn, error)) {
        bus->functions[devfn] = NULL;
        device_free(dev);
        return false;
    }
    mark_multifunction(bus, pd->devfn);
    if (bus->bridge != NULL && bus->bridge->slot != NULL) {
        pci_slot_filled(bus->bridge->slot);
    }
    return true;
}

/* "05" or "05.1", hexadecimal as in QEMU. */
static bool parse_addr(const char *text, int *devfn)
{
    unsigned dev, fn = 0;
    char     rest;
    int      n = sscanf(text, "%x.%x%c", &dev, &fn, &rest);

    *devfn = (int)(dev << 3 | fn);
    return (n == 2 || (n == 1 && strchr(text, '.') == NULL)) && dev < DEVICES_PER_BUS && fn < 8;
}

bool pci_plug_option(PciHost *host, Device *dev, GError **error)
{
    PciBus *bus = dev->bus_name != NULL ? pci_host_find_bus(host, dev->bus_name) : pci_host_root(host);
    int     devfn = -1;

    if (bus == NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "there is no bus '%s' for device %s; use %s or the id of a pcie-root-port given "
                    "before",
                    dev->bus_name, dev->id, host->root.name);
    } else if (dev->addr != NULL && !parse_addr(dev->addr, &devfn)) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "addr=%s of device %s is not DEVICE or DEVICE.FUNCTION in hexadecimal", dev->addr,
                    dev->id);
    } else if (pci_host_find_id(host, dev->id) != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "there are two devices called '%s'; give each an id= of its own",
                    dev->id);
    } else {
        return pci_plug(bus, dev, devfn, error);
    }
    device_free(dev);
    return false;
}

static void free_function(PciDevice *pd);

static void free_bus(PciBus *bus)
{
    for (unsigned f = 0; f < ARRAY_LEN(bus->functions); f++) {
        if (bus->functions[f] != NULL) {
            free_function(bus->functions[f]);
        }
    }
}

void pci_remove(PciDevice *pd)
{
    pci_set_intx(pd, false);
    free_function(pd);
}

static void free_function(PciDevice *pd)
{
    if (is_bridge(pd)) {
        free_bus(pd->secondary);
    }
    unplug(pd);
    device_free(&pd->dev);
}

void pci_host_free(PciHost *host)
{
    if (host == NULL) {
        return;
    }
    free_bus(&host->root);
    if (host->ecam != NULL) {
        memory_remove(host->cfg.up.memory, host->ecam);
    }
    g_free((char *)host->root.name);
    g_free(host);
}
