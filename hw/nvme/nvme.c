/*
 * NVM Express controller with one namespace, class "nvme": an admin queue pair, up to 8 I/O queue pairs, MSI-X or INTx.
 * Commands are done before the doorbell write returns, as far as the completion queue has room. Source: NVM Express
 * Base Specification 1.4. Not modelled: SGLs, controller memory buffer, firmware download, namespace management.
 */
#include "hw/nvme/nvme.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "hw/nvme/nvme_int.h"
#include "log.h"

#define CAP_CQR (1ull << 16) /* queues are contiguous */
#define CAP_TO  (20ull << 24) /* 10 s; it takes none */
#define CAP_NVM (1ull << 37)
#define CAP     ((uint64_t)(NVME_QUEUE_MAX - 1) | CAP_CQR | CAP_TO | CAP_NVM)

enum {
    REG_CAP = 0x00,
    REG_VS = 0x08,
    REG_INTMS = 0x0c,
    REG_INTMC = 0x10,
    REG_CC = 0x14,
    REG_CSTS = 0x1c,
    REG_AQA = 0x24,
    REG_ASQ = 0x28,
    REG_ACQ = 0x30,
    DOORBELLS = 0x1000,

    CC_EN = 1,
    CC_WRITABLE = 0x00fffff1,
    CC_CONFIG = 0x3ff0,      /* command set, page size, arbitration: all zero here */
    CSTS_RDY = 1 << 0,
    CSTS_CFS = 1 << 1,
    CSTS_SHST_DONE = 2 << 2, /* shutdown status */
    CSTS_SHST = 3 << 2,
    BAR_SIZE = 0x4000,

    FLAG_FUSED = 3,   /* of a command; neither is offered */
    FLAG_SGL = 3 << 6,
};

static Nvme *nvme(Device *dev)
{
    return (Nvme *)dev;
}

/* ---- interrupts ---- */

/* Pin-based: level while a queue with interrupts enabled holds entries and vector 0 is not masked. */
static void update_intx(Nvme *n)
{
    bool level = false;

    for (unsigned q = 0; q < NVME_QUEUES; q++) {
        level |= n->cq[q].used && n->cq[q].interrupts && n->cq[q].head != n->cq[q].tail;
    }
    pci_set_intx(&n->pci, level && !pci_msix_enabled(&n->pci) && !(n->intm & 1));
}

static void interrupt(Nvme *n, const NvmeCq *cq)
{
    if (cq->interrupts && pci_msix_enabled(&n->pci)) {
        pci_msix_notify(&n->pci, cq->vector);
    }
    update_intx(n);
}

/* ---- queues ---- */

static void fatal(Nvme *n, const char *why)
{
    guest_error("%s: controller fatal status: %s", n->pci.dev.id, why);
    n->csts |= CSTS_CFS;
}

static bool cq_is_full(const NvmeCq *cq)
{
    return (cq->tail + 1) % cq->size == cq->head;
}

static void complete(Nvme *n, unsigned sqid, uint16_t cid, NvmeStatus status, uint32_t result)
{
    const NvmeSq *sq = &n->sq[sqid];
    NvmeCq       *cq = &n->cq[sq->cqid];
    uint8_t       e[NVME_CQE];

    le32_put(e, result);
    le32_put(e + 4, 0);
    le16_put(e + 8, sq->head);
    le16_put(e + 10, (uint16_t)sqid);
    le16_put(e + 12, cid);
    le16_put(e + 14, (uint16_t)((unsigned)status << 1 | cq->phase));
    DmaResult r = dma_write(&n->pci.dma, cq->addr + (uint64_t)cq->tail * NVME_CQE, e, NVME_CQE);

    if (r != DMA_OK) {
        fatal(n, "a completion cannot be written");
        return;
    }
    cq->tail = (uint16_t)((cq->tail + 1) % cq->size);
    cq->phase ^= cq->tail == 0;
    interrupt(n, cq);
}

/* One command; false when the queue waits: empty, no room for its completion, or the controller is down. */
static bool serve_one(Nvme *n, unsigned sqid)
{
    NvmeSq  *sq = &n->sq[sqid];
    uint8_t  raw[NVME_SQE];
    uint32_t result = 0;

    if (!sq->used || sq->head == sq->tail || cq_is_full(&n->cq[sq->cqid]) || (n->csts & CSTS_CFS)) {
        return false;
    }
    DmaResult r = dma_read(&n->pci.dma, sq->addr + (uint64_t)sq->head * NVME_SQE, raw, NVME_SQE);

    if (r != DMA_OK) {
        fatal(n, "a command cannot be read");
        return false;
    }
    sq->head = (uint16_t)((sq->head + 1) % sq->size);
    NvmeCommand c = nvme_decode(raw);
    NvmeStatus  s = (c.flags & (FLAG_FUSED | FLAG_SGL)) != 0 ? NVME_INVALID_FIELD
                    : sqid == 0                              ? nvme_admin(n, &c, &result)
                                                             : nvme_io(n, &c);

    LOG(MMIO, "%s: queue %u opcode 0x%02x: status 0x%x", n->pci.dev.id, sqid, c.opcode, s);
    if (s != NVME_LATER) {
        complete(n, sqid, c.cid, s, result);
    }
    return true;
}

/* All queues in turn, so that one that waited for room in a completion queue goes on when there is some. */
static void serve(Nvme *n)
{
    for (bool any = true; any;) {
        any = false;
        for (unsigned q = 0; q < NVME_QUEUES; q++) {
            any |= serve_one(n, q);
        }
    }
}

/* "Asynchronous Event Request command": takes the oldest one that waits; none: the event is lost. */
static void error_event(Nvme *n, unsigned info)
{
    guest_error("%s: invalid doorbell write (%s)", n->pci.dev.id, info == 0 ? "register" : "value");
    if (n->n_events == 0 || n->event_masked || cq_is_full(&n->cq[0])) {
        return;
    }
    uint16_t cid = n->events[0];

    memmove(n->events, n->events + 1, --n->n_events * sizeof(n->events[0]));
    n->event_masked = true; /* until the log page is read */
    complete(n, 0, cid, NVME_OK, info << 8 | NVME_LOG_ERROR << 16);
}

static void doorbell(Nvme *n, unsigned index, uint32_t value)
{
    unsigned q = index / 2;
    bool     is_cq = index & 1;

    if (!(n->csts & CSTS_RDY)) {
        return;
    }
    if (q >= NVME_QUEUES || !(is_cq ? n->cq[q].used : n->sq[q].used)) {
        error_event(n, 0);
    } else if (value >= (is_cq ? n->cq[q].size : n->sq[q].size)) {
        error_event(n, 1);
    } else {
        if (is_cq) {
            n->cq[q].head = (uint16_t)value;
            update_intx(n);
        } else {
            n->sq[q].tail = (uint16_t)value;
        }
        serve(n);
    }
}

/* ---- enabling, shutting down ---- */

static void controller_reset(Nvme *n)
{
    memset(n->sq, 0, sizeof(n->sq));
    memset(n->cq, 0, sizeof(n->cq));
    n->n_events = 0;
    n->event_masked = false;
    n->csts = 0;
    nvme_reset_features(n);
    update_intx(n);
}

static void enable(Nvme *n)
{
    uint16_t sq_size = (uint16_t)((n->aqa & 0xfff) + 1), cq_size = (uint16_t)((n->aqa >> 16 & 0xfff) + 1);

    if ((n->cc & CC_CONFIG) != 0 || sq_size < 2 || cq_size < 2) {
        fatal(n, "CC or AQA has values that are not supported");
        return;
    }
    n->sq[0] = (NvmeSq){ .used = true, .size = sq_size, .addr = n->asq };
    n->cq[0] = (NvmeCq){ .used = true, .size = cq_size, .addr = n->acq, .phase = true, .interrupts = true };
    n->csts |= CSTS_RDY;
}

static void write_cc(Nvme *n, uint32_t value)
{
    uint32_t old = n->cc;
    bool     shutdown = (value >> 14 & 3) != 0 && (old >> 14 & 3) == 0;

    n->cc = value & CC_WRITABLE;
    if ((old & CC_EN) && !(value & CC_EN)) {
        controller_reset(n);
    } else if (!(old & CC_EN) && (value & CC_EN)) {
        enable(n);
    }
    if (shutdown && blockdev_flush(n->drive)) {
        n->csts = (n->csts & ~(uint32_t)CSTS_SHST) | CSTS_SHST_DONE;
    } else if ((value >> 14 & 3) == 0) {
        n->csts &= ~(uint32_t)CSTS_SHST;
    }
}

/* ---- registers ---- */

static uint32_t read_word(const Nvme *n, uint64_t off)
{
    switch (off) {
    case REG_CAP:
        return (uint32_t)CAP;
    case REG_CAP + 4:
        return (uint32_t)(CAP >> 32);
    case REG_VS:
        return NVME_VERSION;
    case REG_INTMS:
    case REG_INTMC:
        return n->intm;
    case REG_CC:
        return n->cc;
    case REG_CSTS:
        return n->csts;
    case REG_AQA:
        return n->aqa;
    case REG_ASQ:
        return (uint32_t)n->asq;
    case REG_ASQ + 4:
        return (uint32_t)(n->asq >> 32);
    case REG_ACQ:
        return (uint32_t)n->acq;
    case REG_ACQ + 4:
        return (uint32_t)(n->acq >> 32);
    default:
        return 0; /* reserved, and doorbells, which are for writing */
    }
}

static void set_half(uint64_t *reg, bool high, uint32_t value)
{
    *reg = deposit64(*reg, high ? 32 : 0, 32, value) & ~0xfffull;
}

static void write_word(Nvme *n, uint64_t off, uint32_t value)
{
    bool on = (n->cc & CC_EN) != 0;

    switch (off) {
    case REG_INTMS:
        n->intm |= value;
        update_intx(n);
        break;
    case REG_INTMC:
        n->intm &= ~value;
        update_intx(n);
        break;
    case REG_CC:
        write_cc(n, value);
        break;
    case REG_AQA:
        n->aqa = on ? n->aqa : value & 0x0fff0fff;
        break;
    case REG_ASQ:
    case REG_ASQ + 4:
        if (!on) {
            set_half(&n->asq, off != REG_ASQ, value);
        }
        break;
    case REG_ACQ:
    case REG_ACQ + 4:
        if (!on) {
            set_half(&n->acq, off != REG_ACQ, value);
        }
        break;
    default:
        if (off >= DOORBELLS) {
            doorbell(n, (unsigned)(off - DOORBELLS) / 4, value);
        }
        break;
    }
}

/* "Controller Properties": 32- and 64-bit accesses; others find nothing. */
static MemResult bar_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    const Nvme *n = opaque;

    *value = 0;
    if (size >= 4) {
        *value = read_word(n, off) | (size == 8 ? (uint64_t)read_word(n, off + 4) << 32 : 0);
    } else {
        guest_error("%s: register read of %u bytes", n->pci.dev.id, size);
    }
    return MEM_OK;
}

static MemResult bar_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Nvme *n = opaque;

    if (size < 4) {
        guest_error("%s: register write of %u bytes", n->pci.dev.id, size);
        return MEM_OK;
    }
    write_word(n, off, (uint32_t)value);
    if (size == 8) {
        write_word(n, off + 4, (uint32_t)(value >> 32));
    }
    return MEM_OK;
}

static const MmioOps bar_ops = { bar_read, bar_write };

/* ---- the function ---- */

static void reset(Device *dev)
{
    Nvme *n = nvme(dev);

    n->cc = n->aqa = n->intm = 0;
    n->asq = n->acq = 0;
    memset(n->buffer, 0, sizeof(n->buffer));
    if (dev->realized) { /* not while realize() still runs */
        controller_reset(n);
    }
}

static void scrub(PciDevice *pd)
{
    device_reset(&pd->dev);
}

static const TdiRange ranges[] = { { NVME_BAR, 0, 0, 0 } };

static const TdiModel tdi_model = {
    .ranges = ranges, .n_ranges = ARRAY_LEN(ranges), .info = "bailey nvme 1: controller with one namespace",
    .scrub = scrub,
};

static bool realize(Device *dev, GError **error)
{
    static const PciIds ids = {
        .vendor = NVME_VENDOR, .device = 0x0010, .subsystem_vendor = 0x1af4, .subsystem = 0x1100,
        .class_code = 0x010802,
    };
    Nvme      *n = nvme(dev);
    PciDevice *pd = &n->pci;

    n->drive = blockdev_of_device(n->drive_id, dev->id, error);
    if (n->drive == NULL || !(n->tdisp ? dsm_configure(&n->dsm, pd, error) : dsm_absent(&n->dsm, pd, error))) {
        return false;
    }
    pci_set_ids(pd, &ids);
    pci_set_interrupt_pin(pd, 1);
    pci_add_bar(pd, NVME_BAR, BAR_SIZE, PCI_BAR_MEM64, &bar_ops);
    pci_add_bar(pd, NVME_BAR_MSIX, 0x1000, PCI_BAR_MEM32, NULL);
    pci_add_msix(pd, NVME_QUEUES + (n->tdisp ? DSM_N_VECTORS : 0), NVME_BAR_MSIX, 0, NVME_BAR_MSIX, 0x800);
    pci_add_exp(pd, pd->bus->bridge == NULL ? PCI_EXP_RC_ENDPOINT : PCI_EXP_ENDPOINT,
                PCI_EXP_DEVCAP_FLR | (n->tdisp ? PCI_EXP_DEVCAP_TEE_IO : 0));
    pci_add_pm(pd);
    if (n->tdisp) {
        dsm_realize(&n->dsm, &tdi_model, 0);
    }
    return true;
}

static void unrealize(Device *dev)
{
    if (nvme(dev)->tdisp) {
        dsm_unrealize(&nvme(dev)->dsm);
    }
}

static bool assignable(const Device *dev)
{
    return ((const Nvme *)dev)->tdisp;
}

static const Prop props[] = {
    { "drive", PROP_STRING, offsetof(Nvme, drive_id), NULL, "id of the -drive it shows" },
    { "serial", PROP_STRING, offsetof(Nvme, serial), NULL, "serial number, up to 20 characters" },
    { "tdisp", PROP_BOOL, offsetof(Nvme, tdisp), "off", "carry a security manager: SPDM, IDE and TDISP" },
    DSM_PROPS(offsetof(Nvme, dsm)),
};

DEVICE(nvme, .name = "nvme", .desc = "NVM Express disk", .bus = "pci", .state_size = sizeof(Nvme), .props = props,
       .n_props = ARRAY_LEN(props), .realize = realize, .unrealize = unrealize, .reset = reset,
       .assignable = assignable);
