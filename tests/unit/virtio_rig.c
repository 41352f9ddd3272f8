#include "virtio_rig.h"

#include "bytes.h"

enum { COMMON = 0, NOTIFY = 0x3000 };

void vr_vectors(VirtioRig *r)
{
    const PciDevice *pd = &r->v->pci;

    for (unsigned i = 0; i < pd->msix.n; i++) {
        uint64_t e = pd->bars[1].base + 16 * i;

        rig_write(r->pci, e, 8, RIG_DOORBELL);
        rig_write(r->pci, e + 8, 4, i);
        rig_write(r->pci, e + 12, 4, 0);
    }
    rig_cfg_write(r->pci, pci_bdf(pd), pd->msix.cap + 2u, 2, 0x8000);
}

VirtioRig *vr_new(PciRig *pci, const char *option, uint64_t features)
{
    VirtioRig *r = g_new0(VirtioRig, 1);
    PciDevice *pd = rig_add(pci, option);

    r->pci = pci;
    r->v = (VirtioPci *)pd;
    rig_place(pci, pd);
    r->bar = pd->bars[4].base;
    vr_vectors(r);
    vr_start(r, features);
    return r;
}

void vr_free(VirtioRig *r)
{
    rig_free(r->pci);
    g_free(r);
}

static void common(VirtioRig *r, unsigned off, unsigned size, uint64_t value)
{
    rig_write(r->pci, r->bar + COMMON + off, size, value);
}

void vr_start(VirtioRig *r, uint64_t features)
{
    common(r, 0x14, 1, 0);
    common(r, 0x14, 1, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    for (unsigned w = 0; w < 2; w++) {
        common(r, 0x08, 4, w);
        common(r, 0x0c, 4, (uint32_t)((features | VIRTIO_F_VERSION_1) >> (32 * w)));
    }
    common(r, 0x14, 1, 11);
    common(r, 0x10, 2, 0);
    for (unsigned q = 0; q < r->v->type->n_queues; q++) {
        (void)memory_zero(r->pci->memory, VR_QUEUE(q), (MemAttrs){ .pas = PAS_NONSECURE }, 0x4000);
        r->avail[q] = 0;
        common(r, 0x16, 2, q);
        common(r, 0x18, 2, VR_QUEUE_SIZE);
        common(r, 0x1a, 2, q + 1);
        common(r, 0x20, 8, VR_QUEUE(q));
        common(r, 0x28, 4, (uint32_t)VR_AVAIL(q));
        common(r, 0x2c, 4, (uint32_t)(VR_AVAIL(q) >> 32));
        common(r, 0x30, 8, VR_USED(q));
        common(r, 0x1c, 2, 1);
    }
    common(r, 0x14, 1, 15);
}

void vr_desc(VirtioRig *r, uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
             uint16_t next)
{
    uint64_t at = table + 16ull * i;

    rig_write(r->pci, at, 8, addr);
    rig_write(r->pci, at + 8, 4, len);
    rig_write(r->pci, at + 12, 2, flags);
    rig_write(r->pci, at + 14, 2, next);
}

void vr_offer(VirtioRig *r, unsigned q, uint16_t head, bool kick)
{
    rig_write(r->pci, VR_AVAIL(q) + 4 + 2 * (r->avail[q] % VR_QUEUE_SIZE), 2, head);
    rig_write(r->pci, VR_AVAIL(q) + 2, 2, ++r->avail[q]);
    if (kick) {
        rig_write(r->pci, r->bar + NOTIFY + 4 * q, 2, q);
    }
}

uint16_t vr_used_idx(VirtioRig *r, unsigned q)
{
    return (uint16_t)rig_read(r->pci, VR_USED(q) + 2, 2);
}

uint32_t vr_used_len(VirtioRig *r, unsigned q, unsigned i)
{
    return (uint32_t)rig_read(r->pci, VR_USED(q) + 8 + 8 * (i % VR_QUEUE_SIZE), 4);
}

uint8_t vr_status(VirtioRig *r)
{
    return (uint8_t)rig_read(r->pci, r->bar + COMMON + 0x14, 1);
}
