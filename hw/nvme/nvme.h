/*
 * NVM Express controller: class "nvme" (1b36:0010). BAR 0: registers and doorbells; BAR 2: MSI-X alone, so that a VMM
 * can hand the rest of the function to a guest and keep this.
 */
#ifndef BAILEY_HW_NVME_NVME_H
#define BAILEY_HW_NVME_NVME_H

enum {
    NVME_BAR = 0,
    NVME_BAR_MSIX = 2,
    NVME_QUEUE_MAX = 256, /* entries of a queue */
    NVME_IO_QUEUES = 8,
    NVME_QUEUES = NVME_IO_QUEUES + 1,
    NVME_VENDOR = 0x1b36,
};

#endif
