/* What the files of the NVMe controller share: nvme.c (function, registers, queues), admin.c and io.c (commands). */
#ifndef BAILEY_HW_NVME_NVME_INT_H
#define BAILEY_HW_NVME_NVME_INT_H

#include "blockdev.h"
#include "hw/nvme/nvme.h"
#include "hw/tdisp/dsm.h"

enum {
    NVME_SQE = 64,
    NVME_CQE = 16,
    NVME_PAGE = 4096,
    NVME_MDTS = 5,                        /* largest transfer, as a power of two of pages */
    NVME_TRANSFER_MAX = NVME_PAGE << NVME_MDTS,
    NVME_EVENTS = 4,                      /* Asynchronous Event Requests that may wait */
    NVME_FEATURES = 0x0c,
    NVME_VERSION = 0x00010400,
    NVME_LOG_ERROR = 0x01,                /* page of the error log, which an error's event names */
};

/* Status Code Type and Status Code; Do Not Retry is set where retrying cannot help. */
typedef enum NvmeStatus {
    NVME_OK = 0x0000,
    NVME_INVALID_OPCODE = 0x4001,
    NVME_INVALID_FIELD = 0x4002,
    NVME_DATA_TRANSFER = 0x4004,
    NVME_INTERNAL = 0x0006,
    NVME_SEQUENCE = 0x400c,
    NVME_INVALID_NAMESPACE = 0x400b,
    NVME_PRP_OFFSET = 0x4013,
    NVME_WRITE_PROTECTED = 0x4020,
    NVME_LBA_RANGE = 0x4080,
    NVME_CQ_INVALID = 0x4100,
    NVME_INVALID_QUEUE = 0x4101,
    NVME_QUEUE_SIZE = 0x4102,
    NVME_TOO_MANY_EVENTS = 0x4105,
    NVME_INVALID_VECTOR = 0x4108,
    NVME_INVALID_LOG = 0x4109,
    NVME_QUEUE_DELETION = 0x410c,
    NVME_NOT_SAVEABLE = 0x410d,
    NVME_NOT_CHANGEABLE = 0x410e,
    NVME_LATER = 0x10000, /* none yet: the command waits */
} NvmeStatus;

/* Submission queue entry. */
typedef struct NvmeCommand {
    uint8_t  opcode, flags;
    uint16_t cid;
    uint32_t nsid;
    uint64_t prp[2];
    uint32_t dw[16]; /* command dwords 10 to 15 by their numbers */
} NvmeCommand;

typedef struct NvmeSq {
    bool     used;
    uint16_t size, head, tail, cqid;
    uint64_t addr;
} NvmeSq;

typedef struct NvmeCq {
    bool     used, interrupts, phase;
    uint16_t size, head, tail, vector;
    uint64_t addr;
} NvmeCq;

typedef struct Nvme {
    PciDevice pci;
    uint32_t  intm, cc, csts, aqa;
    uint64_t  asq, acq;
    NvmeSq    sq[NVME_QUEUES];
    NvmeCq    cq[NVME_QUEUES];
    unsigned  n_events;
    uint16_t  events[NVME_EVENTS]; /* command identifiers of Asynchronous Event Requests */
    bool      event_masked;        /* one was told, and its log page was not read yet */
    uint32_t  feature[NVME_FEATURES];
    uint32_t  too_cold;            /* the temperature threshold that is one from above, kelvins */
    uint64_t  units_read, units_written, reads, writes; /* units: 512 bytes; SMART tells thousands */

    char     *drive_id, *serial;
    bool      tdisp;
    Blockdev *drive;
    Dsm       dsm;
    uint8_t   buffer[NVME_TRANSFER_MAX];
} Nvme;

NvmeCommand nvme_decode(const uint8_t raw[NVME_SQE]);

/* nvme_transfer - move @len bytes between n->buffer and the command's data ("Physical Region Page Entry and List"). */
NvmeStatus nvme_transfer(Nvme *n, const NvmeCommand *c, size_t len, bool to_host);

/* nvme_admin, nvme_io - do one command; *@result is dword 0 of the completion. */
NvmeStatus nvme_admin(Nvme *n, const NvmeCommand *c, uint32_t *result);
NvmeStatus nvme_io(Nvme *n, const NvmeCommand *c);

/* nvme_reset_features - their default values. */
void nvme_reset_features(Nvme *n);

#endif
