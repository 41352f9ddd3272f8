/*
 * PCI Express root port: a type 1 function with one link below it. It enforces what the host side of TDISP
 * needs: T=1 requests pass only over a Secure selective IDE stream whose keys both ends share. The RME-DA
 * DVSEC is read-only for configuration requests; the monitor sets it through root_port_set_tdisp(). Source:
 * PCI Express Base Specification 6.0, "Type 1 Configuration Space Header"; Arm RME-DA (DEN0129 supplement),
 * root port DVSEC.
 */
#include "hw/pci/root_port.h"

#include <string.h>

#include "hw/pci/hotplug.h"
#include "log.h"

enum {
    VENDOR_ARM = 0x13b5,
    DVSEC_RME_DA = 0xff01,
    DVSEC_SIZE = 0x14,
    DVSEC_CONTROL1 = 0x0c,
    DVSEC_CONTROL2 = 0x10,
    N_STREAMS = 4,
    N_LINK = 1,
    N_ADDR = 3, /* non-prefetchable window, prefetchable window, one more */
};

typedef struct RootPort {
    PciDevice pci;
    IdeCap    ide;
    IdeCap   *endpoint; /* capability of the function below */
    PciBus    below;
    uint16_t  dvsec;
    bool      hotplug;  /* property */
    PciSlot   slot;     /* when it is */
} RootPort;

static const DeviceClass root_port_class;

static RootPort *root_port(PciDevice *pd)
{
    return pd != NULL && pd->dev.cls == &root_port_class ? (RootPort *)pd : NULL;
}

PciDevice *root_port_of(PciDevice *pd)
{
    PciDevice *above = pd->bus->bridge;

    return root_port(above) != NULL ? above : NULL;
}

IdeCap *root_port_ide(PciDevice *pd)
{
    RootPort *rp = root_port(pd);

    return rp != NULL ? &rp->ide : NULL;
}

void root_port_set_endpoint_ide(PciDevice *endpoint, IdeCap *ide)
{
    RootPort *rp = root_port(root_port_of(endpoint));

    if (rp != NULL) {
        rp->endpoint = ide;
    }
}

bool root_port_tdisp_enabled(const PciDevice *pd)
{
    const RootPort *rp = root_port((PciDevice *)pd);

    return rp != NULL && (pci_get(pd, rp->dvsec + DVSEC_CONTROL1, 4) & 1) != 0;
}

bool root_port_stream_locked(const PciDevice *pd, unsigned sel)
{
    const RootPort *rp = root_port((PciDevice *)pd);

    return rp != NULL && sel < 32 && (pci_get(pd, rp->dvsec + DVSEC_CONTROL2, 4) >> sel & 1) != 0;
}

void root_port_set_tdisp(PciDevice *pd, bool enable, uint32_t lock_mask)
{
    RootPort *rp = root_port(pd);

    if (rp != NULL) {
        pci_set(pd, rp->dvsec + DVSEC_CONTROL1, 4, enable);
        pci_set(pd, rp->dvsec + DVSEC_CONTROL2, 4, lock_mask);
    }
}

/* ---- trusted requests ---- */

/* RME-DA: T=1 passes only while TDISP is enabled at the port, on a stream that the monitor has locked. */
static bool is_trusted(const RootPort *rp, int sel)
{
    return sel >= 0 && root_port_tdisp_enabled(&rp->pci) && root_port_stream_locked(&rp->pci, (unsigned)sel) &&
           ide_state(&rp->ide, (unsigned)sel) == IDE_SECURE;
}

/* The stream that the port sends a memory request on: by address association, else the default one. */
static int stream_down(const RootPort *rp, uint64_t addr)
{
    for (unsigned s = 0; s < rp->ide.cfg.n_sel; s++) {
        if (ide_enabled(&rp->ide, s) && ide_addr_matches(&rp->ide, s, addr)) {
            return (int)s;
        }
    }
    return ide_default_stream(&rp->ide);
}

/* Whether a request of class @sub and, for a non-posted one, its completion get through. */
static bool exchange(IdeCap *from, IdeCap *to, uint8_t stream_id, bool posted)
{
    return ide_pair_secure(from, to, stream_id, posted ? IDE_PR : IDE_NPR) &&
           (posted || ide_pair_secure(to, from, stream_id, IDE_CPL));
}

/* ---- T=0 ---- */

/* Whether a selective stream is one for T=0 as well: not a TEE-limited one. */
static bool carries(const IdeCap *ide, int sel)
{
    return sel >= 0 && ide_enabled(ide, (unsigned)sel) && !ide_tee_limited(ide, (unsigned)sel);
}

/* A request, and for a non-posted one its completion, by the link stream if there is one. */
static bool cross_link(IdeCap *from, IdeCap *to, bool posted)
{
    return ide_link_passes(from, to, posted ? IDE_PR : IDE_NPR) && (posted || ide_link_passes(to, from, IDE_CPL));
}

/* The same by selective stream @sel of @from, whose completions come back on it. */
static bool cross_selective(IdeCap *from, unsigned sel, IdeCap *to, bool posted)
{
    int back = ide_find_stream(to, ide_stream_id(from, sel));

    return ide_untrusted_passes(from, sel, to, posted ? IDE_PR : IDE_NPR) &&
           (posted || back < 0 || ide_untrusted_passes(to, (unsigned)back, from, IDE_CPL));
}

/* A request of a function. What comes by a Secure stream of the port comes from a requester that is associated with it
 * ("Misrouted IDE TLP" otherwise). */
static bool untrusted_up(RootPort *rp, const DmaRequest *req)
{
    int from = rp->endpoint != NULL ? ide_default_stream(rp->endpoint) : -1, to;

    if (rp->endpoint == NULL || !carries(rp->endpoint, from)) {
        return rp->endpoint == NULL || cross_link(rp->endpoint, &rp->ide, req->write);
    }
    to = ide_find_stream(&rp->ide, ide_stream_id(rp->endpoint, (unsigned)from));
    if (to >= 0 && ide_state(&rp->ide, (unsigned)to) == IDE_SECURE &&
        !ide_rid_matches(&rp->ide, (unsigned)to, (uint16_t)req->requester)) {
        return false;
    }
    return cross_selective(rp->endpoint, (unsigned)from, &rp->ide, req->write);
}

/* An access of the host. */
static bool untrusted_down(RootPort *rp, uint64_t addr)
{
    int from = stream_down(rp, addr);

    if (rp->endpoint == NULL) {
        return true;
    }
    return carries(&rp->ide, from) ? cross_selective(&rp->ide, (unsigned)from, rp->endpoint, true)
                                   : cross_link(&rp->ide, rp->endpoint, true);
}

/* "Selective IDE for Configuration Requests Enable": by the stream that the function is associated with. In whatever
 * state that is: the mailbox by which its keys come and go is in configuration space. */
static bool forward_config(PciDevice *bridge, uint16_t bdf)
{
    RootPort *rp = (RootPort *)bridge;

    for (unsigned s = 0; s < rp->ide.cfg.n_sel; s++) {
        if (ide_enabled(&rp->ide, s) && ide_takes_config(&rp->ide, s) && ide_rid_matches(&rp->ide, s, bdf)) {
            return true;
        }
    }
    return rp->endpoint == NULL || ide_link_passes(&rp->ide, rp->endpoint, IDE_NPR);
}

/* The function below sends on its default stream. The port takes it when that is one of its own streams, and the
 * requester is one of those associated with it ("Misrouted IDE TLP" otherwise). */
static DmaResult forward_dma(PciDevice *bridge, PciDevice *below, const DmaRequest *req)
{
    RootPort *rp = (RootPort *)bridge;

    if (!req->trusted) {
        bool ok = untrusted_up(rp, req);

        if (!ok) {
            LOG(IDE, "%s: T=0 request of %s is dropped: its stream does not take it", bridge->dev.id, below->dev.id);
        }
        return ok ? DMA_OK : DMA_REFUSED;
    }
    int     from = rp->endpoint != NULL ? ide_default_stream(rp->endpoint) : -1;
    uint8_t id = from >= 0 ? ide_stream_id(rp->endpoint, (unsigned)from) : 0;
    int     to = from >= 0 ? ide_find_stream(&rp->ide, id) : -1;

    if (!is_trusted(rp, to) || !ide_rid_matches(&rp->ide, (unsigned)to, (uint16_t)req->requester) ||
        !exchange(rp->endpoint, &rp->ide, id, req->write)) {
        LOG(IDE, "%s: T=1 request of %s is dropped: no Secure stream that it may use", bridge->dev.id, below->dev.id);
        return DMA_REFUSED;
    }
    return DMA_OK;
}

/* A Realm's access is sent with T=1, everyone else's with T=0. The function takes it on its default stream only, the
 * one its interface is bound to. */
static bool forward_mmio(PciDevice *bridge, PciDevice *below, unsigned bar, MemAttrs attrs, uint64_t addr)
{
    RootPort *rp = (RootPort *)bridge;

    if (attrs.pas != PAS_REALM) {
        return untrusted_down(rp, addr);
    }
    int from = stream_down(rp, addr), to = rp->endpoint != NULL ? ide_default_stream(rp->endpoint) : -1;

    /* Posted or not does not matter here: the four classes of a stream share its state. */
    return is_trusted(rp, from) && to >= 0 &&
           ide_stream_id(&rp->ide, (unsigned)from) == ide_stream_id(rp->endpoint, (unsigned)to) &&
           exchange(&rp->ide, rp->endpoint, ide_stream_id(&rp->ide, (unsigned)from), true);
}

/* RME-DA "SEL_STR_LOCK": changing the registers of a locked stream makes it Insecure. */
static void reconfigured(void *opaque, IdeCap *ide, unsigned sel, IdeStreamState was)
{
    RootPort *rp = opaque;

    if (was == IDE_SECURE && root_port_stream_locked(&rp->pci, sel)) {
        LOG(IDE, "%s: locked stream %u was reconfigured", rp->pci.dev.id, sel);
        ide_keys_clear(ide, sel);
    }
}

static const IdeOps ide_ops = { .reconfigured = reconfigured };

/* The link went down: no stream over it stays Secure ("IDE Stream State Machine", DL_Down). */
static void link_down(PciDevice *bridge)
{
    RootPort *rp = (RootPort *)bridge;

    for (unsigned s = 0; s < rp->ide.cfg.n_sel + rp->ide.cfg.n_link; s++) {
        ide_keys_clear(&rp->ide, s);
    }
}

static const PciHooks root_port_hooks = {
    .forward_mmio = forward_mmio, .forward_dma = forward_dma, .forward_config = forward_config,
    .link_down = link_down,
};

/* ---- the function ---- */

/* "Type 1 Configuration Space Header": bus numbers and windows. No I/O window: base and limit read zero. */
static void add_type1_header(PciDevice *pd)
{
    pci_set(pd, PCI_HEADER_TYPE, 1, 1);
    pci_set(pd, PCI_SUBSYSTEM_VENDOR_ID, 4, 0); /* the same place is Prefetchable Limit Upper 32 Bits */
    pci_set_wmask(pd, PCI_PRIMARY_BUS, 4, 0x00ffffff);
    pci_set_w1c(pd, PCI_SEC_STATUS, 2, 0xf900);
    pci_set_wmask(pd, PCI_MEMORY_BASE, 4, 0xfff0fff0);
    pci_set(pd, PCI_MEMORY_BASE, 4, 0x0000fff0); /* base above limit: closed */
    pci_set_wmask(pd, PCI_PREF_MEMORY_BASE, 4, 0xfff0fff0);
    pci_set(pd, PCI_PREF_MEMORY_BASE, 4, 0x0001fff1);
    pci_set_wmask(pd, PCI_PREF_BASE_UPPER32, 4, ~0u);
    pci_set_wmask(pd, PCI_PREF_LIMIT_UPPER32, 4, ~0u);
    pci_set_wmask(pd, PCI_BRIDGE_CONTROL, 2, 0x0043); /* parity response, SERR#, secondary bus reset */
}

static void add_dvsec(RootPort *rp)
{
    unsigned c = pci_add_ext_cap(&rp->pci, PCI_EXT_CAP_DVSEC, 1, DVSEC_SIZE);

    rp->dvsec = (uint16_t)c;
    pci_set(&rp->pci, c + 4, 4, VENDOR_ARM | (uint32_t)DVSEC_SIZE << 20); /* revision 0 */
    pci_set(&rp->pci, c + 8, 2, DVSEC_RME_DA);
}

static bool root_port_realize(Device *dev, GError **error)
{
    static const PciIds    ids = { .vendor = 0x1b36, .device = 0x000c, .class_code = 0x060400 };
    static const IdeConfig ide = {
        .n_link = N_LINK, .n_sel = N_STREAMS, .n_addr = N_ADDR, .tee_limited = true, .cfg_requests = true };
    RootPort              *rp = (RootPort *)dev;
    PciDevice             *pd = &rp->pci;

    if (pd->bus->bridge != NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "device %s is a root port and must sit on the root bus, not on %s", dev->id,
                    pd->bus->name);
        return false;
    }
    rp->below = (PciBus){ .name = dev->id, .host = pd->bus->host, .bridge = pd };
    pd->secondary = &rp->below;
    pd->hooks = &root_port_hooks;
    pci_set_ids(pd, &ids);
    add_type1_header(pd);
    pci_add_bar(pd, 0, 0x1000, PCI_BAR_MEM32, NULL);
    pci_add_msix(pd, 1, 0, 0, 0, 0x800); /* for the port's own services */
    pci_add_exp(pd, PCI_EXP_ROOT_PORT, 0);
    pci_add_pm(pd);
    pci_set_interrupt_pin(pd, 1);
    add_dvsec(rp); /* the first extended one: TF-A-tests follow the list wrongly, and look at no other */
    pci_add_aer(pd);
    pci_add_acs(pd);
    ide_init(&rp->ide, pd, &ide, &ide_ops, rp);
    if (rp->hotplug) {
        pci_slot_init(&rp->slot, pd);
    }
    return true;
}

static void root_port_unrealize(Device *dev)
{
    RootPort *rp = (RootPort *)dev;

    if (rp->hotplug) {
        pci_slot_deinit(&rp->slot);
    }
}

static const Prop root_port_props[] = {
    { "hotplug", PROP_BOOL, offsetof(RootPort, hotplug), "off", "cards may come and go while the machine runs" },
};

DEVICE(root_port, .name = "pcie-root-port", .desc = "PCI Express root port with IDE and ACS", .bus = "pci",
       .state_size = sizeof(RootPort), .props = root_port_props, .n_props = ARRAY_LEN(root_port_props),
       .realize = root_port_realize, .unrealize = root_port_unrealize);

bool root_port_takes_cards(const Device *dev)
{
    return dev->cls == &root_port_class && ((const RootPort *)dev)->hotplug;
}
