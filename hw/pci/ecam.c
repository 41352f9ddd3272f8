/*
 * The host side of a hierarchy: the configuration window (ECAM), routing of requests by bus number, and the
 * four root interrupt lines. Source: PCI Express Base Specification 6.0, "PCI Express Enhanced Configuration
 * Access Mechanism".
 */
#include <string.h>

#include "bits.h"
#include "hw/pci/pci_int.h"
#include "hw/pci/sriov.h"
#include "log.h"

const PciHostConfig *pci_host_config(const PciHost *host)
{
    return &host->cfg;
}

PciBus *pci_host_root(PciHost *host)
{
    return &host->root;
}

/* ---- walking ---- */

typedef bool Visit(PciDevice *pd, void *opaque);

/* Depth first, in order of device and function; stops at the first that says true and returns it. */
static PciDevice *walk(PciBus *bus, Visit *visit, void *opaque)
{
    for (unsigned f = 0; f < ARRAY_LEN(bus->functions); f++) {
        PciDevice *pd = bus->functions[f], *found;

        if (pd == NULL) {
            continue;
        }
        if (visit(pd, opaque)) {
            return pd;
        }
        found = pd->secondary != NULL ? walk(pd->secondary, visit, opaque)
                : pd->sriov != NULL   ? walk(&pd->sriov->beyond, visit, opaque)
                                      : NULL;
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

static bool has_bus_name(PciDevice *pd, void *opaque)
{
    return pd->secondary != NULL && strcmp(pd->secondary->name, opaque) == 0;
}

PciBus *pci_host_find_bus(PciHost *host, const char *name)
{
    if (strcmp(host->root.name, name) == 0) {
        return &host->root;
    }
    PciDevice *bridge = walk(&host->root, has_bus_name, (void *)name);

    return bridge != NULL ? bridge->secondary : NULL;
}

static bool has_id(PciDevice *pd, void *opaque)
{
    return strcmp(pd->dev.id, opaque) == 0;
}

PciDevice *pci_host_find_id(PciHost *host, const char *id)
{
    return walk(&host->root, has_id, (void *)id);
}

typedef struct ForEach {
    void (*fn)(PciDevice *pd, void *opaque);
    void  *opaque;
} ForEach;

static bool call_one(PciDevice *pd, void *opaque)
{
    ForEach *e = opaque;

    e->fn(pd, e->opaque);
    return false;
}

void pci_host_foreach(PciHost *host, void (*fn)(PciDevice *pd, void *opaque), void *opaque)
{
    ForEach e = { fn, opaque };

    walk(&host->root, call_one, &e);
}

/* ---- configuration requests ---- */

/* Down the bridges whose bus range holds the number. A guest may give two the same range: the first one
 * takes it. What is held in reset does not answer. */
static PciBus *route(PciBus *bus, uint8_t number, unsigned depth)
{
    if (bus->number == number) {
        return bus;
    }
    for (unsigned f = 0; depth < 8 && f < ARRAY_LEN(bus->functions); f++) {
        PciDevice *b = bus->functions[f];

        if (b != NULL && b->secondary != NULL && b->config[PCI_SECONDARY_BUS] != 0 &&
            number >= b->config[PCI_SECONDARY_BUS] && number <= b->config[PCI_SUBORDINATE_BUS]) {
            return pci_link_is_down(b) ? NULL : route(b->secondary, number, depth + 1);
        }
        if (b != NULL && b->sriov != NULL && b->sriov->beyond.number == number) {
            return &b->sriov->beyond; /* a request for another bus, which the device takes as its own */
        }
    }
    return NULL;
}

/* A port sends requests for device 0 down its link, and for the others when they are but the upper bits of a function
 * number ("ARI Forwarding Enable"). */
static unsigned last_device(const PciBus *bus)
{
    const PciDevice *port = bus->bridge;

    return port == NULL || (pci_get(port, port->exp_cap + PCI_EXP_DEVCTL2, 2) & PCI_EXP_DEVCTL2_ARI) != 0 ? 31 : 0;
}

PciDevice *pci_host_find(PciHost *host, uint16_t bdf)
{
    uint8_t number = (uint8_t)(bdf >> 8);

    if (number < host->cfg.first_bus || number > host->cfg.last_bus) {
        return NULL;
    }
    PciBus *bus = route(&host->root, number, 0);

    return bus != NULL && (bdf & 0xf8) <= last_device(bus) << 3 ? bus->functions[bdf & 0xff] : NULL;
}

static bool request_ok(unsigned off, unsigned size)
{
    return (size == 1 || size == 2 || size == 4) && off < PCI_CONFIG_SIZE && is_aligned(off, size);
}

/* The function that a configuration request reaches, or NULL. */
static PciDevice *addressed(PciHost *host, uint16_t bdf, unsigned off, unsigned size)
{
    PciDevice *pd = request_ok(off, size) ? pci_host_find(host, bdf) : NULL;
    PciDevice *b = pd != NULL ? pd->bus->bridge : NULL;

    return b == NULL || b->hooks == NULL || b->hooks->forward_config == NULL || b->hooks->forward_config(b, bdf)
               ? pd
               : NULL;
}

uint32_t pci_host_config_read(PciHost *host, uint16_t bdf, unsigned off, unsigned size)
{
    PciDevice *pd = addressed(host, bdf, off, size);

    return pd != NULL ? pci_config_read(pd, off, size) : (uint32_t)mask64(8 * size);
}

void pci_host_config_write(PciHost *host, uint16_t bdf, unsigned off, unsigned size, uint32_t value)
{
    PciDevice *pd = addressed(host, bdf, off, size);

    if (pd != NULL) {
        pci_config_write(pd, off, size, value);
    }
}

/* The window: bus in bits 27:20, device and function in 19:12. 64-bit accesses are two requests. It is for CPUs: no
 * function makes configuration requests. */
static MemResult ecam_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    PciHost *host = opaque;
    uint16_t bdf = (uint16_t)((off >> 12) + (uint64_t)host->cfg.first_bus * 256);

    if (attrs.is_device) {
        return MEM_DECODE;
    }
    if (size == 8) {
        *value = pci_host_config_read(host, bdf, off & 0xfff, 4);
        *value |= (uint64_t)pci_host_config_read(host, bdf, (off & 0xfff) + 4, 4) << 32;
    } else {
        *value = pci_host_config_read(host, bdf, off & 0xfff, size);
    }
    return MEM_OK;
}

static MemResult ecam_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    PciHost *host = opaque;
    uint16_t bdf = (uint16_t)((off >> 12) + (uint64_t)host->cfg.first_bus * 256);

    if (attrs.is_device) {
        return MEM_DECODE;
    }
    if (size == 8) {
        pci_host_config_write(host, bdf, off & 0xfff, 4, (uint32_t)value);
        pci_host_config_write(host, bdf, (off & 0xfff) + 4, 4, (uint32_t)(value >> 32));
    } else {
        pci_host_config_write(host, bdf, off & 0xfff, size, (uint32_t)value);
    }
    return MEM_OK;
}

static const MmioOps ecam_ops = { ecam_read, ecam_write };

/* ---- interrupts, life ---- */

void pci_host_intx(PciHost *host, unsigned line, bool level)
{
    unsigned before = host->intx_level[line];

    host->intx_level[line] = level ? before + 1 : before - 1;
    if ((before == 0) != (host->intx_level[line] == 0)) {
        irq_set(&host->cfg.up.intx[line], level);
    }
}

PciHost *pci_host_new(const PciHostConfig *cfg)
{
    PciHost *host = g_new0(PciHost, 1);
    unsigned buses = cfg->last_bus - cfg->first_bus + 1u;

    host->cfg = *cfg;
    host->root = (PciBus){ .name = g_strdup(cfg->name), .host = host, .number = cfg->first_bus };
    host->cfg.name = host->root.name;
    if (cfg->ecam_base != 0) {
        host->ecam = memory_add_mmio(cfg->up.memory, "pcie-ecam", cfg->ecam_base, (uint64_t)buses << 20,
                                     &ecam_ops, host);
    }
    return host;
}

static bool reset_one(PciDevice *pd, void *opaque)
{
    if (pd->bus->bridge == NULL) { /* bridges reset what is below them */
        pci_reset_function(pd, PCI_RESET_POWER);
    }
    return false;
}

void pci_host_reset(PciHost *host)
{
    walk(&host->root, reset_one, NULL);
}

static bool update_one(PciDevice *pd, void *opaque)
{
    if (pd->bus->bridge == NULL) {
        pci_update_bars(pd);
    }
    return false;
}

void pci_host_update(PciHost *host)
{
    walk(&host->root, update_one, NULL);
}
