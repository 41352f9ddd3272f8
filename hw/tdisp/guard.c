/*
 * What the state of the interface lets through: accesses to TEE memory, DMA, and which configuration writes
 * the host may still make. Not there, so not guarded: expansion ROM, phantom functions, resizable BARs,
 * PASID, ATS, PRI. Source: PCI Express Base Specification 6.0, TDISP, "TLP Rules", "TDI Error
 * Conditions" and the table of registers that are tracked for modification.
 */
#include "hw/pci/sriov.h"
#include "hw/tdisp/dsm_int.h"
#include "log.h"

/* ---- MMIO ---- */

bool guard_is_tee(const TdiFunction *f, unsigned bar, uint64_t off)
{
    if (bar == f->pd->msix.table_bar) {
        return tdi_msix_is_locked(f);
    }
    for (unsigned i = 0; i < f->model->n_ranges; i++) {
        const TdiRange *r = &f->model->ranges[i];

        if (r->bar == bar && off >= r->first && (off < r->end || r->end == 0)) {
            return (f->non_tee >> i & 1) == 0;
        }
    }
    return true;
}

/* An access of a Realm is what the root port sends with T=1. TEE memory answers ordinary requests in
 * CONFIG_UNLOCKED, trusted ones in RUN, and nothing else. */
static bool mmio_allowed(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, MemAttrs attrs, bool write)
{
    TdiFunction *f = guard_function(pd);
    bool         trusted = attrs.pas == PAS_REALM;

    dsm_check_requester(f);
    if (!guard_is_tee(f, bar, off)) {
        return true;
    }
    switch (f->tdi->state) {
    case TDI_CONFIG_UNLOCKED:
        return !trusted;
    case TDI_RUN:
        return trusted;
    default:
        return false;
    }
}

/* ---- DMA ---- */

/* The T bit comes from the port, which follows the state (dsm.c). */
static DmaResult dma_allowed(PciDevice *pd, const DmaRequest *req)
{
    TdiFunction *f = guard_function(pd);

    dsm_check_requester(f);
    if (f->tdi->state == TDI_CONFIG_UNLOCKED || f->tdi->state == TDI_RUN) {
        return DMA_OK;
    }
    /* An interrupt outside the locked set of things carries nothing of the TVM and always goes, with T=0. */
    if (req->is_msi && !req->trusted && !tdi_msix_is_locked(f)) {
        return DMA_OK;
    }
    LOG(TDISP, "%s: the interface is not in RUN and sends nothing", pd->dev.id);
    return DMA_REFUSED;
}

/* "TDI Error Conditions": an Unsupported Request or Completer Abort for a read of a running interface. */
static DmaResult listen(void *opaque, const DmaRequest *req, DmaTarget *out)
{
    TdiFunction *f = opaque;
    DmaResult    r = f->upstream(f->upstream_opaque, req, out);

    if (r != DMA_OK && req->trusted && !req->write &&
        (f->model->tells_failure == NULL || !f->model->tells_failure(f->pd))) {
        dsm_violation(f, "a read of the function was not completed");
    }
    return r;
}

/* ---- configuration space ---- */

typedef enum RuleBase { AT_HEADER, AT_EXP, AT_MSIX, AT_VIRTIO_WINDOW, AT_SRIOV } RuleBase;
typedef enum RuleEdge { CHANGED, CLEARED } RuleEdge;
typedef enum RuleReach { OWN, WITH_VFS } RuleReach;

/* A register whose modification breaks the lock. Rewriting the value it has is no modification. */
typedef struct ConfigRule {
    const char *why;
    RuleBase    base;
    uint8_t     off, len;
    uint32_t    bits; /* of a register of up to 4 bytes; longer ones count whole */
    RuleEdge    edge;
    RuleReach   reach; /* a register that the virtual functions of a physical one go by, too, breaks their locks */
    bool        msix;  /* only while the MSI-X table is locked */
} ConfigRule;

#define DEVCTL_EXT_TAG  BIT(8)
#define DEVCTL_PHANTOM  BIT(9)
#define DEVCTL_NO_SNOOP BIT(11)

static const ConfigRule rules[] = {
    {"Memory Space Enable was cleared", AT_HEADER, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, CLEARED, OWN, false},
    {"Bus Master Enable was cleared", AT_HEADER, PCI_COMMAND, 2, PCI_COMMAND_MASTER, CLEARED, OWN, false},
    {"a BAR was moved", AT_HEADER, PCI_BAR0, 4 * PCI_N_BARS, ~0u, CHANGED, OWN, false},
    {"Device Control was changed", AT_EXP, PCI_EXP_DEVCTL, 2,
     (uint32_t)(DEVCTL_EXT_TAG | DEVCTL_PHANTOM | DEVCTL_NO_SNOOP), CHANGED, WITH_VFS, false},
    {"MSI-X Message Control was changed", AT_MSIX, 2, 2, ~0u, CHANGED, OWN, true},
    /* Vendor-specific capabilities are the device's to decide about. This is a second way into the BARs. */
    {"the virtio configuration window was moved", AT_VIRTIO_WINDOW, 4, 12, ~0u, CHANGED, OWN, false},
    {"the SR-IOV capability was changed", AT_SRIOV, 4, SRIOV_SIZE - 4, ~0u, CHANGED, WITH_VFS, false},
};

/* Whether the function has the structure that the rule is about. */
static bool has_base(const TdiFunction *f, RuleBase base)
{
    return (base != AT_VIRTIO_WINDOW || f->window_cap != 0) && (base != AT_SRIOV || f->pd->sriov != NULL);
}

static unsigned rule_offset(const TdiFunction *f, const ConfigRule *r)
{
    const unsigned base[] = {
        [AT_HEADER] = 0,
        [AT_EXP] = f->pd->exp_cap,
        [AT_MSIX] = f->pd->msix.cap,
        [AT_VIRTIO_WINDOW] = f->window_cap,
        [AT_SRIOV] = f->pd->sriov != NULL ? f->pd->sriov->off : 0,
    };

    return base[r->base] + r->off;
}

/* Byte by byte, since a register may be written in part, or with its neighbour. */
static bool breaks(const TdiFunction *f, const ConfigRule *r, const PciConfigWrite *w)
{
    unsigned at = rule_offset(f, r);

    for (unsigned i = 0; i < w->size; i++) {
        unsigned pos = w->off + i - at; /* wraps far above len for bytes before the register */
        uint8_t  old = (uint8_t)(w->old >> 8 * i), now = (uint8_t)(w->now >> 8 * i);

        if (pos >= r->len) {
            continue;
        }
        uint8_t bits = r->len > 4 ? 0xff : (uint8_t)(r->bits >> 8 * pos);

        if (((r->edge == CLEARED ? old & ~now : old ^ now) & bits) != 0) {
            return true;
        }
    }
    return false;
}

static void config_written(PciDevice *pd, const PciConfigWrite *w)
{
    TdiFunction *f = guard_function(pd);

    dsm_check_requester(f); /* a configuration write is how a function learns its bus number */
    for (unsigned i = 0; i < ARRAY_LEN(rules); i++) {
        const ConfigRule *r = &rules[i];

        if ((r->msix && !tdi_msix_is_locked(f)) || !has_base(f, r->base) || !breaks(f, r, w)) {
            continue;
        }
        if (r->reach == WITH_VFS) {
            dsm_violation_all(f, r->why);
        } else {
            dsm_violation(f, r->why);
        }
    }
}

/* ---- reset and power ---- */

static void reset(PciDevice *pd, PciResetKind kind)
{
    dsm_reset(guard_function(pd), kind);
}

/* Registers survive D3hot here, but the function stops answering, and its virtual functions with it: for the owner that
 * is a loss. */
static void power(PciDevice *pd, unsigned state)
{
    if (state != 0) {
        dsm_violation_all(guard_function(pd), "the function left D0");
    }
}

static const PciHooks guard_hooks = {
    .config_written = config_written,
    .mmio_allowed = mmio_allowed,
    .dma_allowed = dma_allowed,
    .reset = reset,
    .power = power,
};

TdiFunction *guard_function(const PciDevice *pd)
{
    return pd->hooks == &guard_hooks ? pd->hooks_opaque : NULL;
}

void guard_attach(TdiFunction *f)
{
    DmaPort *port = &f->pd->dma;

    f->pd->hooks = &guard_hooks;
    f->pd->hooks_opaque = f;
    f->upstream = port->translate;
    f->upstream_opaque = port->opaque;
    port->translate = listen;
    port->opaque = f;
}
