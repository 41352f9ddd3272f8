/*
 * PCI Express network card that a trusted guest can lock: class "tdisp-nic" (1af4:1041). A virtio-net
 * function with a DOE mailbox, IDE and a device security manager (SPDM responder, IDE_KM, TDISP with one
 * interface), and a small DMA test engine in BAR 4. It sits below a pcie-root-port.
 */
#ifndef BAILEY_HW_TDISP_NIC_H
#define BAILEY_HW_TDISP_NIC_H

/* The DMA test engine: 64-bit little-endian registers, 64-bit accesses only. Page 0 of BAR 4 is TEE memory;
 * page 1 shows the same registers and answers in every state of the interface. */
enum {
    TDISP_NIC_BAR_VIRTIO = 0,
    TDISP_NIC_BAR_MSIX = 2,
    TDISP_NIC_BAR_ENGINE = 4,
    ENGINE_MIRROR = 0x1000,

    ENGINE_ID = 0x00,
    ENGINE_ADDR = 0x08,    /* I/O virtual address, any alignment */
    ENGINE_LEN = 0x10,     /* bytes, 1 to 4096 */
    ENGINE_PATTERN = 0x18, /* 8 bytes, repeated */
    ENGINE_CMD = 0x20,     /* done when the write returns */
    ENGINE_STATUS = 0x28,
    ENGINE_RESULT = 0x30,  /* first 8 bytes of the last read that succeeded */
    ENGINE_COUNT = 0x38,   /* commands since the last reset or scrub, whatever came of them */
    ENGINE_FLAGS = 0x40,   /* keeps what is written; no flag has a meaning */
};

#define ENGINE_MAGIC 0x31414d4459454c42ull /* "BLEYDMA1" */

typedef enum EngineCommand { ENGINE_WRITE = 1, ENGINE_READ = 2 } EngineCommand;

typedef enum EngineStatus {
    ENGINE_IDLE,
    ENGINE_OK,
    ENGINE_FAULT,   /* refused upstream, other than: */
    ENGINE_GPF,     /* granule protection fault */
    ENGINE_REFUSED, /* the function may not send: interface state, Bus Master Enable, no Secure stream */
    ENGINE_BAD,     /* unknown command or length */
} EngineStatus;

#endif
