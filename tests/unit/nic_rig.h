/*
 * A tdisp-nic below a root port, on a hierarchy with a made-up IOMMU, and the trusted module that drives it
 * through configuration space: what every test of the card plays with.
 */
#ifndef BAILEY_TESTS_NIC_RIG_H
#define BAILEY_TESTS_NIC_RIG_H

#include "hw/pci/ide.h"
#include "hw/tdisp/dsm.h"
#include "hw/tdisp/tdisp_nic.h"
#include "spdm/ide_km.h"
#include "spdm/pki.h"
#include "spdm/spdm.h"

enum {
    RIG_PORT = 0x0008, /* requester IDs */
    RIG_NIC = 0x0100,
    RIG_STREAM = 0,
    RIG_RAM = 0x40000000,
    RIG_SHARED = RIG_RAM,           /* a Non-secure page, and the two behind it */
    RIG_PRIVATE = RIG_RAM + 0x8000, /* a Realm page */
};

#define RIG_BAR0 0x8000000000ull
#define RIG_BAR2 0x10000000ull
#define RIG_BAR4 0x8000004000ull

typedef struct NicRig {
    Clock        *clock;
    Owners       *owners;
    Memory       *memory;
    PciHost      *host;
    PciDevice    *port, *nic;
    Entropy       entropy;
    SpdmRequester requester;
    TdispClient   tdi;
    GByteArray   *heard; /* NULL, or what is written to and read from the mailbox is appended */
    uint8_t       keys[IDE_SUB_STREAMS][2][IDE_KEY_LEN];

    /* The made-up IOMMU: identity; T=1 reaches Realm memory, T=0 Non-secure memory. */
    DmaResult  answer;    /* what it says instead, DMA_OK: none */
    DmaRequest last;      /* the last request that came this far */
    unsigned   n_requests;
} NicRig;

/* @option: of -device, after "tdisp-nic"; NULL: none. The function is enumerated, nothing is keyed. */
NicRig *rig_new(const char *option);
/* The same with another model that carries a security manager; @device: all words of -device but id and bus. */
NicRig *rig_new_of(const char *device);
void    rig_free(NicRig *r);
/* Turns @n virtual functions on as a host does, behind the card's BARs, with ARI. */
void    rig_enable_vfs(NicRig *r, unsigned n);

/* A tdisp-nic that must not come up: the error's text, for g_free(). @bus: its bus= */
char *rig_refusal(const char *option, const char *bus);

uint32_t rig_read(NicRig *r, unsigned off, unsigned size);
void     rig_write(NicRig *r, unsigned off, unsigned size, uint32_t value);
unsigned rig_doe(NicRig *r); /* offset of the mailbox for SPDM, the last one */
unsigned rig_ide(NicRig *r, unsigned sel); /* offset of a selective block */

/* One access to a BAR of the function, from a CPU in @pas. */
uint64_t rig_bar_read(NicRig *r, unsigned bar, uint64_t off, unsigned size, Pas pas);
void     rig_bar_write(NicRig *r, unsigned bar, uint64_t off, unsigned size, Pas pas, uint64_t value);

/* One object through the mailbox; the answer's payload in bytes (a multiple of 4), 0: silence or error. */
size_t rig_exchange(NicRig *r, uint8_t type, const uint8_t *req, size_t len, uint8_t *rsp, size_t cap);

/* Whole operations of the module. */
SpdmResult rig_op(NicRig *r, SpdmOp op, const SpdmOpArgs *args);
SpdmResult rig_ide_op(NicRig *r, IdeKmOp op, uint8_t key_set);
SpdmResult rig_ide_stream(NicRig *r, IdeKmOp op, uint8_t stream_id, uint8_t key_set);
SpdmResult rig_tdisp(NicRig *r, TdispOp op);

/* Any TDISP request about the function that r->tdi is of; its TDISP error, 0 when there is none. */
uint32_t rig_tdisp_raw(NicRig *r, uint8_t code, const void *payload, size_t len);

/* Connection, session. */
void rig_connect(NicRig *r);
/* Keys in both ends of stream 0, both enabled: Secure. */
void rig_key_stream(NicRig *r);
void rig_enable_stream(NicRig *r);

/* Brings a fresh rig's interface to a state the way a module does; ERROR by the host moving a BAR. */
void rig_go_to(NicRig *r, TdiState state, uint16_t lock_flags);

TdiState rig_state(const NicRig *r);

#endif
