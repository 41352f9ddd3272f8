/*
 * What the Realm sees of the host: a PL011, an RTC, a virtual GICv3 with ITS, and a virtual PCI bus with the
 * emulated functions of -device. Their DMA, and the tables of the virtual ITS, reach only pages the Realm
 * shares.
 */
#include <string.h>

#include "host/host_int.h"
#include "hw/pl011.h"
#include "hw/pl031.h"
#include "hw/pl061.h"
#include "log.h"

static bool is_shared(Host *h, uint64_t ipa)
{
    return host_is_ram(h, ipa) && *host_page(h, ipa) == HOST_PAGE_SHARED;
}

/* The Realm's RAM is at the physical address that equals its IPA. Copies stay within shared pages. */
static bool shared_access(Host *h, uint64_t ipa, uint8_t *data, size_t len, bool write)
{
    ipa &= ~SHARED_BIT;
    while (len != 0) {
        size_t part = MIN(len, PAGE_SIZE - (ipa & (PAGE_SIZE - 1)));

        if (!is_shared(h, ipa) ||
            (write ? memory_write(h->cfg.memory, ipa, host_attrs, data, part)
                   : memory_read(h->cfg.memory, ipa, host_attrs, data, part)) != MEM_OK) {
            return false;
        }
        ipa += part;
        data += part;
        len -= part;
    }
    return true;
}

bool host_shared_read(Host *h, uint64_t ipa, void *dst, size_t len)
{
    return shared_access(h, ipa, dst, len, false);
}

bool host_shared_write(Host *h, uint64_t ipa, const void *src, size_t len)
{
    return shared_access(h, ipa, (uint8_t *)src, len, true);
}

static MemResult its_read(void *opaque, uint64_t addr, void *dst, size_t len)
{
    return host_shared_read(opaque, addr, dst, len) ? MEM_OK : MEM_DECODE;
}

static MemResult its_write(void *opaque, uint64_t addr, const void *src, size_t len)
{
    return host_shared_write(opaque, addr, src, len) ? MEM_OK : MEM_DECODE;
}

/* DMA of an emulated function: shared pages only, whichever alias the driver used. */
static DmaResult shared_translate(void *opaque, const DmaRequest *req, DmaTarget *out)
{
    Host    *h = opaque;
    uint64_t ipa = req->iova & ~SHARED_BIT;

    if (!is_shared(h, ipa)) {
        guest_error("host: emulated device %04x: DMA to 0x%llx, which the Realm does not share",
                    req->requester, (unsigned long long)req->iova);
        return DMA_FAULT;
    }
    *out = (DmaTarget){ .pa = ipa, .len = PAGE_SIZE - (ipa & (PAGE_SIZE - 1)), .pas = PAS_NONSECURE };
    return DMA_OK;
}

void host_vmsi(Host *h, uint32_t requester, uint64_t addr, uint32_t data)
{
    if ((addr & ~SHARED_BIT) == h->cfg.board->its.base + GITS_TRANSLATER_OFFSET) {
        gicv3_its_msi(h->vgic, requester, data);
    } else {
        guest_error("host: message interrupt of %04x to 0x%llx, which is no doorbell", requester,
                    (unsigned long long)addr);
    }
}

static void vmsi(void *opaque, uint32_t requester, uint64_t addr, uint32_t data)
{
    host_vmsi(opaque, requester, addr, data);
}

/* The virtual GIC has something new for a vCPU: have it leave the Realm. */
static void vgic_line(void *opaque, unsigned vcpu, GicLine line, bool level)
{
    if (level) {
        host_gic_kick(opaque, vcpu);
    }
}

static void add_vgic(Host *h)
{
    GicConfig cfg = {
        .n_cpus = h->n_recs,
        .n_spis = CCA_N_SPIS,
        .has_its = true,
        .is_virtual = true,
        .bus = { its_read, its_write, h },
        .set_line = vgic_line,
        .opaque = h,
    };

    h->vgic = gicv3_new(&cfg);
    memory_add_mmio(h->vmem, "gicd", h->cfg.board->gicd.base, h->cfg.board->gicd.size, &gicv3_dist_ops, h->vgic);
    memory_add_mmio(h->vmem, "gicr", h->cfg.board->gicr, CCA_GICR_STRIDE * h->n_recs, &gicv3_redist_ops, h->vgic);
    memory_add_mmio(h->vmem, "its", h->cfg.board->its.base, h->cfg.board->its.size, &gicv3_its_ops, h->vgic);
}

static IrqLine vspi(Host *h, unsigned spi)
{
    return (IrqLine){ .set = gicv3_spi_input, .opaque = h->vgic, .n = 32 + spi };
}

static Device *add_device(Host *h, const char *cls, uint64_t base)
{
    Device *dev =
        device_new(device_class_find(cls), cls, machine_clock(h->cfg.machine), h->cfg.options->seed);

    memory_add_mmio(h->vmem, cls, base, align_up(dev->cls->mmio_size, PAGE_SIZE), &device_mmio_ops, dev);
    return dev;
}

static void add_vpci(Host *h)
{
    PciHostConfig cfg = {
        .name = "pcie.0",
        .up = { .memory = h->vmem, .dma_memory = h->cfg.memory, .translate = shared_translate, .opaque = h,
                .msi = vmsi, .msi_opaque = h },
        .last_bus = (uint8_t)((h->cfg.board->ecam.size >> 20) - 1),
        .mem32 = { h->cfg.board->pci_mmio.base, h->cfg.board->pci_mmio.size },
        .mem64 = { h->cfg.board->pci_high.base, h->cfg.board->pci_high.size },
        .io = { h->cfg.board->pci_io.base, h->cfg.board->pci_io.size },
    };

    for (unsigned i = 0; i < 4; i++) {
        cfg.up.intx[i] = vspi(h, h->cfg.board->spi_pci + i);
    }
    h->vpci = pci_host_new(&cfg);
    memory_add_mmio(h->vmem, "ecam", h->cfg.board->ecam.base, h->cfg.board->ecam.size, &host_ecam_ops, h);
}

bool host_devices_init(Host *h, GError **error)
{
    bool ok = true;

    h->vowners = owners_new();
    h->vmem = memory_new(h->vowners);
    add_vgic(h);
    for (unsigned i = 0; ok && i < host_n_uarts(h->cfg.options); i++) {
        const CcaPart *at = &h->cfg.board->uart[i];

        h->uart[i] = add_device(h, "pl011", at->base);
        pl011_connect(h->uart[i], vspi(h, at->spi), h->cfg.serial[i]);
        ok = device_realize(h->uart[i], error);
    }
    h->rtc = add_device(h, "pl031", h->cfg.board->rtc.base);
    pl031_connect(h->rtc, vspi(h, h->cfg.board->rtc.spi), h->cfg.date_s);
    if (h->cfg.board->gpio.base != 0) {
        h->gpio = add_device(h, "pl061", h->cfg.board->gpio.base);
        pl061_connect(h->gpio, vspi(h, h->cfg.board->gpio.spi));
    }
    add_vpci(h);
    return ok && device_realize(h->rtc, error) && (h->gpio == NULL || device_realize(h->gpio, error));
}

void host_devices_free(Host *h)
{
    g_clear_pointer(&h->vpci, pci_host_free);
    for (unsigned i = 0; i < CCA_MAX_UARTS; i++) {
        g_clear_pointer(&h->uart[i], device_free);
    }
    g_clear_pointer(&h->rtc, device_free);
    g_clear_pointer(&h->gpio, device_free);
    g_clear_pointer(&h->vgic, gicv3_free);
    g_clear_pointer(&h->vmem, memory_free);
    g_clear_pointer(&h->vowners, owners_free);
}

MemResult host_mmio(Host *h, unsigned vcpu, uint64_t ipa, unsigned size, bool write, uint64_t *value)
{
    MemRegion *r = memory_find(h->vmem, ipa);
    MemAttrs   attrs = { .pas = PAS_NONSECURE, .requester = vcpu };

    if (r == NULL || !is_aligned(ipa, size)) {
        return MEM_DECODE;
    }
    return write ? memory_mmio_write(h->vmem, r, ipa, size, attrs, *value)
                 : memory_mmio_read(h->vmem, r, ipa, size, attrs, value);
}
