/*
 * The modern PCI transport: vendor capabilities, the four structures in BAR space, and access to them through
 * configuration space. Source: VIRTIO 1.2, "Virtio Over PCI Bus" and "Basic Facilities of a Virtio Device".
 */
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "hw/virtio/virtio.h"
#include "log.h"

enum {
    VENDOR_VIRTIO = 0x1af4,
    DEVICE_MODERN = 0x1040,
    SUBSYSTEM_MODERN = 0x1100,
    PAGE = 0x1000,
    NOTIFY_STRIDE = 4,

    CAP_COMMON = 1,
    CAP_NOTIFY = 2,
    CAP_ISR = 3,
    CAP_DEVICE = 4,
    CAP_PCI_CFG = 5,
    CAP_LEN = 16,
    CAP_EXTRA = 16, /* where the longer capabilities keep their own word */

    /* "Common configuration structure layout" */
    DEVICE_FEATURE_SELECT = 0x00,
    DEVICE_FEATURE = 0x04,
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    CONFIG_VECTOR = 0x10,
    NUM_QUEUES = 0x12,
    DEVICE_STATUS = 0x14,
    CONFIG_GENERATION = 0x15,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
    COMMON_LEN = 0x38,
};

const VirtioLayout virtio_default_layout = {
    .bar = 4, .common = 0, .isr = PAGE, .device = 2 * PAGE, .notify = 3 * PAGE, .msix_bar = 1,
};

static VirtioPci *virtio(Device *dev)
{
    return (VirtioPci *)dev;
}

/* ---- common configuration ---- */

/* The selected queue; a number beyond the last reads as a queue of size 0 and takes no writes. */
static VirtQueue *selected(VirtioPci *v)
{
    return v->queue_select < v->type->n_queues ? &v->vq[v->queue_select] : NULL;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
    return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static uint64_t common_read(VirtioPci *v, uint64_t off, unsigned size)
{
    static const VirtQueue absent = { .vector = PCI_MSIX_NONE };
    const VirtQueue       *vq = selected(v) != NULL ? selected(v) : &absent;
    uint8_t                b[COMMON_LEN] = { 0 };

    if (off + size > COMMON_LEN) {
        return 0;
    }
    le32_put(b + DEVICE_FEATURE_SELECT, v->device_feature_select);
    le32_put(b + DEVICE_FEATURE, feature_word(v->host_features, v->device_feature_select));
    le32_put(b + DRIVER_FEATURE_SELECT, v->driver_feature_select);
    le32_put(b + DRIVER_FEATURE, feature_word(v->driver_features, v->driver_feature_select));
    le16_put(b + CONFIG_VECTOR, v->config_vector);
    le16_put(b + NUM_QUEUES, (uint16_t)v->type->n_queues);
    b[DEVICE_STATUS] = v->status;
    b[CONFIG_GENERATION] = v->config_generation;
    le16_put(b + QUEUE_SELECT, v->queue_select);
    le16_put(b + QUEUE_SIZE, vq->size);
    le16_put(b + QUEUE_VECTOR, vq->vector);
    le16_put(b + QUEUE_ENABLE, vq->enabled);
    le16_put(b + QUEUE_NOTIFY_OFF, v->queue_select);
    le64_put(b + QUEUE_DESC, vq->desc);
    le64_put(b + QUEUE_DRIVER, vq->avail);
    le64_put(b + QUEUE_DEVICE, vq->used);
    return le_get(b + off, size);
}

static void set_driver_feature(VirtioPci *v, uint32_t value)
{
    if (v->driver_feature_select > 1) { /* drivers clear words that we do not have */
        return;
    }
    if (v->status & VIRTIO_STATUS_FEATURES_OK) {
        guest_error("%s: features written out of turn", v->pci.dev.id);
        return;
    }
    v->driver_features = deposit64(v->driver_features, 32 * v->driver_feature_select, 32, value);
}

/* "Device Status Field" and "Device Initialization". */
static void set_status(VirtioPci *v, uint8_t value)
{
    uint8_t old = v->status;

    if (value == 0) {
        virtio_pci_reset(&v->pci.dev);
        return;
    }
    bool features_ok =
        (v->driver_features & ~v->host_features) == 0 && (v->driver_features & VIRTIO_F_VERSION_1) != 0 &&
        (v->type->accepts == NULL || v->type->accepts(v->driver_features));

    if ((value & VIRTIO_STATUS_FEATURES_OK) && !(old & VIRTIO_STATUS_FEATURES_OK) && !features_ok) {
        guest_error("%s: features 0x%" PRIx64 " are not acceptable", v->pci.dev.id, v->driver_features);
        value &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
    }
    if (!(value & VIRTIO_STATUS_FEATURES_OK)) { /* a driver that goes on all the same is not served */
        value &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
    }
    v->status =
        value | (old & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK));
    if ((v->status & ~old & VIRTIO_STATUS_DRIVER_OK) && v->type->start != NULL) {
        v->type->start(v);
    }
}

static uint16_t valid_vector(const VirtioPci *v, uint64_t value)
{
    return value < v->pci.msix.n ? (uint16_t)value : PCI_MSIX_NONE;
}

static void set_queue_size(VirtioPci *v, VirtQueue *vq, uint16_t size)
{
    if (vq->enabled || !is_power_of_two(size) || size > vq->max) {
        guest_error("%s: queue size %u is not possible", v->pci.dev.id, size);
        return;
    }
    vq->size = size;
}

static bool area_ok(uint64_t base, uint64_t len, uint64_t align)
{
    return is_aligned(base, align) && base + len > base;
}

static void enable_queue(VirtioPci *v, VirtQueue *vq)
{
    uint64_t n = vq->size;

    if (!area_ok(vq->desc, 16 * n, 16) || !area_ok(vq->avail, 6 + 2 * n, 2) ||
        !area_ok(vq->used, 6 + 8 * n, 4)) {
        virtio_broken(v, "queue area is not aligned or wraps");
        return;
    }
    vq->enabled = true;
}

static void queue_write(VirtioPci *v, VirtQueue *vq, uint64_t off, unsigned size, uint64_t value)
{
    uint64_t *const area[] = { &vq->desc, &vq->avail, &vq->used };

    if (off == QUEUE_SIZE) {
        set_queue_size(v, vq, (uint16_t)value);
    } else if (off == QUEUE_VECTOR) {
        vq->vector = valid_vector(v, value);
    } else if (off == QUEUE_ENABLE && value == 1) {
        enable_queue(v, vq);
    } else if (off >= QUEUE_DESC && !vq->enabled) {
        uint64_t *a = area[(off - QUEUE_DESC) / 8];

        *a = deposit64(*a, (unsigned)(off & 7) * 8, size * 8, value);
    } else {
        guest_error("%s: queue register 0x%" PRIx64 " written out of turn", v->pci.dev.id, off);
    }
}

static void common_write(VirtioPci *v, uint64_t off, unsigned size, uint64_t value)
{
    if (off + size > COMMON_LEN) {
        return;
    }
    switch (off) {
    case DEVICE_FEATURE_SELECT:
        v->device_feature_select = (uint32_t)value;
        break;
    case DRIVER_FEATURE_SELECT:
        v->driver_feature_select = (uint32_t)value;
        break;
    case DRIVER_FEATURE:
        set_driver_feature(v, (uint32_t)value);
        break;
    case CONFIG_VECTOR:
        v->config_vector = valid_vector(v, value);
        break;
    case DEVICE_STATUS:
        set_status(v, (uint8_t)value);
        break;
    case QUEUE_SELECT:
        v->queue_select = (uint16_t)value;
        break;
    default:
        if (off >= QUEUE_SIZE && selected(v) != NULL) {
            queue_write(v, selected(v), off, size, value);
        }
        break;
    }
}

/* ---- the other structures ---- */

static uint64_t isr_read(VirtioPci *v)
{
    uint8_t isr = v->isr;

    v->isr = 0; /* reading acknowledges */
    pci_set_intx(&v->pci, false);
    return isr;
}

static uint64_t device_read(VirtioPci *v, uint64_t off, unsigned size)
{
    uint8_t config[VIRTIO_CONFIG_MAX + 8] = { 0 };

    if (off + size > v->type->config_len) {
        return 0;
    }
    v->type->config_get(v, config);
    return le_get(config + off, size);
}

static void notify_write(VirtioPci *v, uint64_t off)
{
    unsigned q = (unsigned)(off / NOTIFY_STRIDE);

    if (virtio_ready(v, q)) {
        v->type->notify(v, q);
    }
}

/* ---- the BAR ---- */

static bool in_page(uint64_t off, uint32_t page)
{
    return off >= page && off - page < PAGE;
}

static MemResult bar_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    VirtioPci          *v = opaque;
    const VirtioLayout *l = v->layout;

    *value = 0;
    if (in_page(off, l->common)) {
        *value = common_read(v, off - l->common, size);
    } else if (off == l->isr) {
        *value = isr_read(v);
    } else if (in_page(off, l->device)) {
        *value = device_read(v, off - l->device, size);
    }
    LOG(MMIO, "%s: read 0x%" PRIx64 " = 0x%" PRIx64, v->pci.dev.id, off, *value);
    return MEM_OK;
}

static MemResult bar_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    VirtioPci          *v = opaque;
    const VirtioLayout *l = v->layout;

    LOG(MMIO, "%s: write 0x%" PRIx64 " = 0x%" PRIx64, v->pci.dev.id, off, value);
    if (in_page(off, l->common)) {
        if (size == 8) {
            common_write(v, off - l->common, 4, (uint32_t)value);
            common_write(v, off - l->common + 4, 4, value >> 32);
        } else {
            common_write(v, off - l->common, size, value);
        }
    } else if (in_page(off, l->device)) {
        if (v->type->config_set != NULL && off - l->device + size <= v->type->config_len) {
            v->type->config_set(v, (unsigned)(off - l->device), size, (uint32_t)value);
        }
    } else if (in_page(off, l->notify)) {
        notify_write(v, off - l->notify);
    }
    return MEM_OK;
}

static const MmioOps virtio_bar_ops = { bar_read, bar_write };

/* ---- access through configuration space ---- */

/* The window that VIRTIO_PCI_CAP_PCI_CFG names now; false when it is none. */
static bool cfg_window(const VirtioPci *v, unsigned *bar, uint64_t *off, unsigned *len)
{
    unsigned c = v->pci_cfg_cap;

    *bar = pci_get(&v->pci, c + 4, 1);
    *off = pci_get(&v->pci, c + 8, 4);
    *len = pci_get(&v->pci, c + 12, 4);
    return *bar < PCI_N_BARS && (*len == 1 || *len == 2 || *len == 4) && is_aligned(*off, *len) &&
           v->pci.bars[*bar].size != 0;
}

static uint32_t cfg_read(void *opaque, unsigned off, unsigned size, uint32_t value)
{
    VirtioPci *v = opaque;
    MemAttrs   attrs = { .pas = PAS_NONSECURE };
    unsigned   bar, len;
    uint64_t   at, data;

    if (off != CAP_EXTRA || !cfg_window(v, &bar, &at, &len)) {
        return value;
    }
    (void)pci_bar_read(&v->pci, bar, at, len, attrs, &data);
    return (uint32_t)(data & mask64(8 * MIN(len, size)));
}

static void cfg_written(void *opaque, const PciConfigWrite *w)
{
    VirtioPci *v = opaque;
    MemAttrs   attrs = { .pas = PAS_NONSECURE };
    unsigned   bar, len;
    uint64_t   at;

    if (w->off == CAP_EXTRA && cfg_window(v, &bar, &at, &len)) {
        (void)pci_bar_write(&v->pci, bar, at, len, attrs, w->raw & mask64(8 * MIN(len, w->size)));
    }
}

static const PciSpanOps cfg_span = { cfg_read, cfg_written, NULL };

/* ---- making one ---- */

/* "Virtio Structure PCI Capabilities". */
static unsigned add_structure(VirtioPci *v, unsigned type, unsigned extra, uint32_t off, uint32_t len)
{
    PciDevice *pd = &v->pci;
    unsigned   c = pci_add_cap(pd, PCI_CAP_VENDOR, CAP_LEN + extra);

    pci_set(pd, c + 2, 1, CAP_LEN + extra);
    pci_set(pd, c + 3, 1, type);
    pci_set(pd, c + 4, 1, v->layout->bar);
    pci_set(pd, c + 8, 4, off);
    pci_set(pd, c + 12, 4, len);
    return c;
}

static void add_structures(VirtioPci *v)
{
    const VirtioLayout *l = v->layout;

    add_structure(v, CAP_COMMON, 0, l->common, COMMON_LEN);
    add_structure(v, CAP_ISR, 0, l->isr, 1);
    if (v->type->config_len != 0) {
        add_structure(v, CAP_DEVICE, 0, l->device, v->type->config_len);
    }
    unsigned n = add_structure(v, CAP_NOTIFY, 4, l->notify, NOTIFY_STRIDE * v->type->n_queues);

    pci_set(&v->pci, n + CAP_EXTRA, 4, NOTIFY_STRIDE);
    unsigned c = add_structure(v, CAP_PCI_CFG, 4, 0, 0);

    v->pci_cfg_cap = (uint8_t)c;
    pci_set(&v->pci, c + 4, 1, 0);
    pci_set_wmask(&v->pci, c + 4, 1, 0xff);
    pci_set_wmask(&v->pci, c + 8, 4, ~0u);
    pci_set_wmask(&v->pci, c + 12, 4, ~0u);
    pci_add_span(&v->pci, c, CAP_LEN + 4, &cfg_span, v);
}

void virtio_pci_init(VirtioPci *v, const VirtioType *type, const VirtioLayout *layout, uint64_t features,
                     const PciIds *ids_override)
{
    PciDevice *pd = &v->pci;
    PciIds     ids = {
            .vendor = VENDOR_VIRTIO,
            .device = (uint16_t)(DEVICE_MODERN + type->id),
            .subsystem_vendor = VENDOR_VIRTIO,
            .subsystem = SUBSYSTEM_MODERN,
            .class_code = type->class_code,
            .revision = 1,
    };

    g_assert(type->n_queues <= VIRTIO_MAX_QUEUES && type->config_len <= VIRTIO_CONFIG_MAX);
    v->type = type;
    v->layout = layout;
    v->host_features = features | VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_EVENT_IDX |
                       VIRTIO_F_INDIRECT_DESC;
    pci_set_ids(pd, ids_override != NULL ? ids_override : &ids);
    pci_set_interrupt_pin(pd, 1);
    pci_add_bar(pd, layout->msix_bar, PAGE, PCI_BAR_MEM32, NULL);
    pci_add_bar(pd, layout->bar, 4 * PAGE, PCI_BAR_MEM64 | PCI_BAR_PREFETCH, &virtio_bar_ops);
    pci_add_msix(pd, type->n_queues + 1 + layout->extra_vectors, layout->msix_bar, 0, layout->msix_bar,
                 0x800);
    add_structures(v);
    pci_add_exp(pd, pd->bus->bridge == NULL ? PCI_EXP_RC_ENDPOINT : PCI_EXP_ENDPOINT,
                PCI_EXP_DEVCAP_FLR | layout->devcap);
    pci_add_pm(pd);
}

void virtio_pci_reset(Device *dev)
{
    VirtioPci *v = virtio(dev);

    v->driver_features = 0;
    v->device_feature_select = v->driver_feature_select = 0;
    v->config_vector = PCI_MSIX_NONE;
    v->queue_select = 0;
    v->status = v->isr = 0;
    for (unsigned q = 0; q < v->type->n_queues; q++) {
        uint16_t max = v->type->queue_size;

        v->vq[q] = (VirtQueue){ .size = max, .max = max, .vector = PCI_MSIX_NONE };
    }
    if (dev->realized) { /* not while realize() still runs */
        pci_set_intx(&v->pci, false);
    }
    if (v->type->reset != NULL) {
        v->type->reset(v);
    }
}
