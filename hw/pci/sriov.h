/*
 * Single Root I/O Virtualization: the capability of a physical function (PF), and its virtual functions (VFs) as
 * functions of its own, which are there while VF Enable is set. With ARI Capable Hierarchy their routing IDs follow the
 * PF's one by one, beyond function 7 too; without, they are device 0 of the next bus number. Source: PCI Express Base
 * Specification 6.0, "Single Root I/O Virtualization and Sharing". Not modelled: VF migration, VF Resizable BARs,
 * function dependencies.
 */
#ifndef BAILEY_HW_PCI_SRIOV_H
#define BAILEY_HW_PCI_SRIOV_H

#include "hw/pci/pci.h"

enum {
    SRIOV_MAX_VFS = 8,
    SRIOV_SIZE = 0x40, /* of the capability */

    /* Its registers. */
    SRIOV_CAP = 0x04,
    SRIOV_CONTROL = 0x08,
    SRIOV_INITIAL_VFS = 0x0c,
    SRIOV_TOTAL_VFS = 0x0e,
    SRIOV_NUM_VFS = 0x10,
    SRIOV_FIRST_VF_OFFSET = 0x14,
    SRIOV_VF_STRIDE = 0x16,
    SRIOV_VF_DEVICE_ID = 0x1a,
    SRIOV_SUPPORTED_PAGES = 0x1c,
    SRIOV_SYSTEM_PAGE = 0x20,
    SRIOV_VF_BAR0 = 0x24,

    SRIOV_CONTROL_VF_ENABLE = 1 << 0,
    SRIOV_CONTROL_VF_MSE = 1 << 3,
    SRIOV_CONTROL_ARI = 1 << 4,
};

/* Part of a physical function's state. Fields are for reading. */
struct Sriov {
    PciDevice *pf;
    uint16_t   off;     /* of the capability */
    unsigned   n_total; /* made */
    unsigned   n_there; /* on a bus now */
    PciBus     beyond;  /* where they are without ARI: the bus number after the PF's, on the same link */
    PciDevice *vfs[SRIOV_MAX_VFS];
    void     (*changed)(void *opaque, unsigned n_there);
    void      *opaque;
};

/**
 * sriov_init - give a function the capability, with no VF yet; from its realize(), after its other capabilities.
 * @n_vfs: 1 to SRIOV_MAX_VFS
 * @vf_device: Device ID of the VFs, which have all ones in their own register
 * @changed: called after VFs came or went; NULL: nobody cares
 * The function must be function 0 of a link, with none in the places of its VFs: false with a sentence.
 */
bool sriov_init(Sriov *s, PciDevice *pf, unsigned n_vfs, uint16_t vf_device, void (*changed)(void *opaque, unsigned n),
                void *opaque, GError **error);

/**
 * sriov_add_vf - the next VF, a device_new() function that is realized here; all must be of one shape.
 * Its realize() describes it as any function; what a VF does not have is taken away behind it. Its BARs become VF BARs.
 * On failure the device is freed.
 */
bool sriov_add_vf(Sriov *s, Device *dev, GError **error);

/* sriov_deinit - from the physical function's unrealize(): frees the VFs. One that was never begun is left alone. */
void sriov_deinit(Sriov *s);

#endif
