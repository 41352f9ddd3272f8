/*
 * Data Object Exchange mailbox as a reusable block of a function's configuration space. The block owns the
 * registers, the object framing and discovery; the function gets one whole object on Go and gives one back.
 * Source: PCI Express Base Specification 6.0, "Data Object Exchange (DOE)".
 */
#ifndef BAILEY_HW_PCI_DOE_H
#define BAILEY_HW_PCI_DOE_H

#include "hw/pci/pci.h"

enum {
    DOE_VENDOR_PCISIG = 0x0001,
    DOE_TYPE_DISCOVERY = 0,
    DOE_TYPE_SPDM = 1,
    DOE_TYPE_SECURED_SPDM = 2,
    DOE_MAX_DW = 1 << 18,       /* of one object, header included */
};

typedef struct DoeProtocol DoeProtocol;

/**
 * DoeHandler - answer one object.
 * @req, @req_len: payload after the two header words, a multiple of 4 bytes
 * @rsp, @rsp_cap: receives the reply's payload
 * Returns bytes of the reply (padded here to a multiple of 4 with zeros), or 0 for silence.
 */
typedef size_t DoeHandler(void *opaque, const DoeProtocol *proto, const uint8_t *req, size_t req_len,
                          uint8_t *rsp, size_t rsp_cap);

/* Hears of each whole object, header included: written and gone, or ready to be read. */
typedef void DoeListener(void *opaque, const uint8_t *object, size_t len);

/* What a mailbox speaks besides discovery. */
struct DoeProtocol {
    uint16_t    vendor;
    uint8_t     type;
    const char *name;
    DoeHandler *handler;
};

typedef struct Doe {
    PciDevice  *pd;
    uint16_t    off; /* of the extended capability */
    const DoeProtocol *proto;
    unsigned    n_proto;
    unsigned    vector; /* of interrupts; PCI_MSIX_NONE: not supported */
    void       *opaque;
    DoeListener *listener; /* NULL: nobody listens */
    uint8_t    *in, *out;            /* DOE_MAX_DW words each */
    uint32_t    in_dw, out_dw, out_pos; /* words written; in the reply; popped */
    bool        error, ready, busy, int_status, int_enable;
    int64_t     delay_ns;            /* from Go to the answer; 0: there and then */
    ClockTimer  answers;             /* while Busy */
} Doe;

/**
 * doe_init - add a mailbox to a function; from its realize().
 * @version: of the capability, 1 or 2
 * @proto: must stay; discovery is not among them, but is served all the same
 * @vector: MSI-X vector for interrupts or PCI_MSIX_NONE
 */
void doe_init(Doe *doe, PciDevice *pd, unsigned version, const DoeProtocol *proto, unsigned n_proto,
              unsigned vector, void *opaque);

/* doe_listen - have @listener called, with the mailbox's opaque; after doe_init(). */
void doe_listen(Doe *doe, DoeListener *listener);

/* doe_slow_down - be Busy for a time with each object from the next one on; 0: as before. After doe_init(). */
void doe_slow_down(Doe *doe, int64_t delay_ns);

/* doe_deinit - from unrealize(). */
void doe_deinit(Doe *doe);

/**
 * doe_conformance - rows for docs/conformance.md of a mailbox that speaks @proto.
 * @fn: gets kind "register", its name and offset in the capability, or "object", its name and type
 */
void doe_conformance(const DoeProtocol *proto, unsigned n_proto,
                     void (*fn)(void *opaque, const char *kind, const char *name, unsigned number),
                     void *opaque);

#endif
