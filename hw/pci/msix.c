/*
 * MSI-X. Table and pending bits live in BAR space but belong to this file; a message is a DMA write.
 * Source: PCI Express Base Specification 6.0, "MSI-X Capability and Table Structure".
 */
#include <string.h>

#include "bytes.h"
#include "hw/pci/pci_int.h"
#include "log.h"

enum {
    CONTROL = 2, /* of the capability */
    ENABLE = 1 << 15,
    FUNCTION_MASK = 1 << 14,
    ENTRY = 16,
    VECTOR_MASKED = 1,
};

void pci_add_msix(PciDevice *pd, unsigned n, unsigned table_bar, uint32_t table_off, unsigned pba_bar,
                  uint32_t pba_off)
{
    unsigned c = pci_add_cap(pd, PCI_CAP_MSIX, 12);

    g_assert(n >= 1 && n <= PCI_MSIX_MAX);
    pd->msix = (PciMsix){ .cap = (uint8_t)c, .table_bar = (uint8_t)table_bar, .pba_bar = (uint8_t)pba_bar,
                          .n = (uint16_t)n, .table_off = table_off, .pba_off = pba_off };
    pd->msix.vectors = g_new0(PciMsixVector, n);
    pci_set(pd, c + CONTROL, 2, n - 1);
    pci_set_wmask(pd, c + CONTROL, 2, ENABLE | FUNCTION_MASK);
    pci_set(pd, c + 4, 4, table_off | table_bar);
    pci_set(pd, c + 8, 4, pba_off | pba_bar);
    pci_msix_reset(pd);
}

void pci_msix_reset(PciDevice *pd)
{
    for (unsigned i = 0; i < pd->msix.n; i++) {
        pd->msix.vectors[i] = (PciMsixVector){ .control = VECTOR_MASKED };
    }
    memset(pd->msix.pending, 0, sizeof(pd->msix.pending));
}

void pci_msix_free(PciDevice *pd)
{
    g_free(pd->msix.vectors);
    pd->msix = (PciMsix){ 0 };
}

bool pci_msix_enabled(const PciDevice *pd)
{
    return pd->msix.cap != 0 && (pci_get(pd, pd->msix.cap + CONTROL, 2) & ENABLE) != 0;
}

static bool masked(const PciDevice *pd, unsigned v)
{
    return (pci_get(pd, pd->msix.cap + CONTROL, 2) & FUNCTION_MASK) != 0 ||
           (pd->msix.vectors[v].control & VECTOR_MASKED) != 0;
}

static void send(PciDevice *pd, unsigned v)
{
    const PciMsixVector *e = &pd->msix.vectors[v];
    const PciUpstream   *up = &pd->bus->host->cfg.up;

    if (up->msi == NULL) {
        (void)dma_msi(&pd->dma, e->addr, e->data);
        return;
    }
    DmaRequest req = { .requester = pd->dma.requester,
                      .trusted = pd->dma.msi_trusted,
                      .write = true,
                      .is_msi = true,
                      .iova = e->addr };

    if (pd->dma.enabled && pci_dma_gate(pd, &req) == DMA_OK) {
        up->msi(up->msi_opaque, req.requester, e->addr, e->data);
    }
}

void pci_msix_notify(PciDevice *pd, unsigned v)
{
    if (!pci_msix_enabled(pd) || v >= pd->msix.n) {
        return;
    }
    if (masked(pd, v)) {
        pd->msix.pending[v / 64] |= BIT(v % 64);
    } else {
        send(pd, v);
    }
}

/* A vector whose mask went away sends what came meanwhile. */
static void flush(PciDevice *pd, unsigned v)
{
    if (pci_msix_enabled(pd) && !masked(pd, v) && (pd->msix.pending[v / 64] & BIT(v % 64)) != 0) {
        pd->msix.pending[v / 64] &= ~BIT(v % 64);
        send(pd, v);
    }
}

void pci_msix_control_written(PciDevice *pd)
{
    for (unsigned v = 0; v < pd->msix.n; v++) {
        flush(pd, v);
    }
}

/* ---- the structures in BAR space ---- */

static uint32_t table_word(const PciMsixVector *e, unsigned word)
{
    switch (word) {
    case 0:
        return (uint32_t)e->addr;
    case 1:
        return (uint32_t)(e->addr >> 32);
    case 2:
        return e->data;
    default:
        return e->control;
    }
}

static void set_table_word(PciMsixVector *e, unsigned word, uint32_t v)
{
    switch (word) {
    case 0:
        e->addr = deposit64(e->addr, 0, 32, v & ~3u);
        break;
    case 1:
        e->addr = deposit64(e->addr, 32, 32, v);
        break;
    case 2:
        e->data = v;
        break;
    default:
        e->control = v & VECTOR_MASKED;
        break;
    }
}

static bool in_table(const PciDevice *pd, unsigned bar, uint64_t off)
{
    const PciMsix *m = &pd->msix;

    return m->cap != 0 && bar == m->table_bar && off >= m->table_off &&
           off - m->table_off < (uint64_t)m->n * ENTRY;
}

static bool in_pba(const PciDevice *pd, unsigned bar, uint64_t off)
{
    const PciMsix *m = &pd->msix;

    return m->cap != 0 && bar == m->pba_bar && off >= m->pba_off && off - m->pba_off < (m->n + 63u) / 64 * 8;
}

bool pci_msix_read(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, uint64_t *value)
{
    if (in_table(pd, bar, off)) {
        uint8_t  bytes[ENTRY];
        uint64_t rel = off - pd->msix.table_off;

        for (unsigned w = 0; w < 4; w++) {
            le32_put(bytes + 4 * w, table_word(&pd->msix.vectors[rel / ENTRY], w));
        }
        *value = le_get(bytes + rel % ENTRY, size);
        return true;
    }
    if (in_pba(pd, bar, off)) {
        uint64_t rel = off - pd->msix.pba_off;

        *value = extract64(pd->msix.pending[rel / 8], (unsigned)(rel % 8) * 8, size * 8);
        return true;
    }
    return false;
}

bool pci_msix_write(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, uint64_t value)
{
    if (in_table(pd, bar, off)) {
        uint64_t rel = off - pd->msix.table_off;

        if (size < 4) { /* "software must use aligned DWORD or QWORD accesses" */
            guest_error("%s: MSI-X table write of %u bytes", pd->dev.id, size);
            return true;
        }
        for (unsigned i = 0; i < size / 4; i++) {
            set_table_word(&pd->msix.vectors[rel / ENTRY], (unsigned)(rel % ENTRY) / 4 + i,
                           (uint32_t)(value >> (32 * i)));
        }
        flush(pd, (unsigned)(rel / ENTRY));
        return true;
    }
    return in_pba(pd, bar, off); /* read-only */
}
