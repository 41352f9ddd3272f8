/*
 * Bus mastering. A device reaches memory through a port; whoever sits upstream (an SMMU, a root port, a VMM
 * that emulates the device) decides what an I/O virtual address means. No raw pointer outlives a call.
 */
#ifndef BAILEY_DMA_H
#define BAILEY_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"

typedef enum DmaResult {
    DMA_OK,
    DMA_FAULT,   /* translation refused; the IOMMU recorded an event */
    DMA_GPF,     /* granule protection fault */
    DMA_ABORT,   /* nothing there, or bus mastering is off */
    DMA_REFUSED, /* the device itself may not send now (TDISP state) */
} DmaResult;

typedef struct DmaRequest {
    uint32_t requester; /* requester ID; the stream ID is made from it upstream */
    bool     trusted;   /* the T bit of a TDISP function in RUN */
    bool     write;
    bool     is_msi;
    uint64_t iova;
} DmaRequest;

/* Where one page-sized piece of a request goes. */
typedef struct DmaTarget {
    uint64_t pa;
    uint64_t len; /* bytes from iova to the end of the translated page */
    Pas      pas;
} DmaTarget;

/* One translation step; implementers: the SMMU, the identity (no IOMMU), the built-in host's view of
 * shared pages. */
typedef DmaResult DmaTranslate(void *opaque, const DmaRequest *req, DmaTarget *out);

typedef struct DmaPort {
    Memory       *memory;
    DmaTranslate *translate; /* NULL: iova is a Non-secure physical address */
    void         *opaque;
    uint32_t      requester;
    bool          enabled;   /* Bus Master Enable */
    bool          trusted;   /* sends with T=1 */
    bool          msi_trusted; /* message writes too (locked MSI-X table) */
    /* Bytes moved, by space of the target, for -result. */
    uint64_t      bytes_read[PAS_N], bytes_written[PAS_N];
} DmaPort;

/**
 * dma_read - copy bytes from guest memory as a device would.
 * @iova: I/O virtual address, any alignment
 * @dst:  host buffer of at least @len bytes; content undefined on failure
 * @len:  bytes; may cross pages
 * Returns DMA_OK or the reason of the first page that failed.
 * Context: event loop only. Source: Arm IHI 0070 "Translation procedure"; DDI 0487, granule protection
 * checks.
 */
DmaResult dma_read(DmaPort *port, uint64_t iova, void *dst, size_t len);
DmaResult dma_write(DmaPort *port, uint64_t iova, const void *src, size_t len);

/* dma_msi - a 32-bit message write; the same path with the MSI mark (never coalesced, never counted as
 * data). */
DmaResult dma_msi(DmaPort *port, uint64_t iova, uint32_t data);

const char *dma_result_name(DmaResult r);

#endif
