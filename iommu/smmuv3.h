/*
 * Arm SMMUv3 (IHI 0070) between PCIe and memory, with the Realm programming interface of RME device assignment: a
 * Non-secure and a Realm register file, each with its stream table, command queue and event queue. Requests with T=1
 * use the Realm stream table, the others the Non-secure one. Every access of the SMMU itself (stream table, context
 * descriptor, walk, queue, MSI) and every translated client access passes the owner check of its address space.
 */
#ifndef BAILEY_IOMMU_SMMUV3_H
#define BAILEY_IOMMU_SMMUV3_H

#include "device.h"
#include "dma.h"

typedef struct Smmu Smmu;

/* Wired interrupts of the Non-secure interface, edge: pulsed high and low. */
typedef enum SmmuIrq { SMMU_IRQ_EVTQ, SMMU_IRQ_PRIQ, SMMU_IRQ_SYNC, SMMU_IRQ_GERROR, SMMU_N_IRQS } SmmuIrq;

typedef struct SmmuConfig {
    Memory  *memory;
    IrqLine  irq[SMMU_N_IRQS];
    unsigned sid_bits;         /* of a stream ID; 16 */
    uint64_t realm_offset;     /* Realm page 0 from the Non-secure page 0, a multiple of 64 KiB; 0: no Realm side */
} SmmuConfig;

/* smmu_new - an SMMU in its reset state: bypass for Non-secure streams, abort for Realm streams. */
Smmu *smmu_new(const SmmuConfig *config);
void  smmu_free(Smmu *s);
void  smmu_reset(Smmu *s);

/* Register pages; opaque is the Smmu. Non-secure: 128 KiB (page 0, page 1 at 64 KiB); Realm: the same, answers only
 * Realm and Root accesses; Root: 64 KiB, answers only Root accesses. */
extern const MmioOps smmu_ns_ops;
extern const MmioOps smmu_realm_ops;
extern const MmioOps smmu_root_ops;

/* smmu_translate - a DmaTranslate; opaque is the Smmu. The stream ID is the requester ID. */
DmaResult smmu_translate(void *smmu, const DmaRequest *req, DmaTarget *out);

/* Events so far by interface, recorded or not (queue off or full, kind not asked for); for -result and tests. */
uint64_t smmu_n_events(const Smmu *s, Pas pas);

/* What one of the interfaces is at, for those who look. */
typedef struct SmmuLook {
    bool     enabled, commands, events; /* CR0.SMMUEN, CMDQEN, EVENTQEN */
    bool     aborts;                    /* GBPA.ABORT: what happens while it is not enabled; else bypass */
    uint64_t strtab_base;
    uint32_t strtab_cfg;
    struct {
        uint64_t base;
        uint32_t prod, cons;
    } cmdq, evtq;                       /* registers as they are, wrap bits included */
    uint32_t gerror, gerrorn;
    uint64_t n_events;
    unsigned n_pages;                   /* translations that the TLB has */
} SmmuLook;

/* A stream's configuration. */
typedef struct SmmuStreamLook {
    uint32_t sid;
    bool     cached;        /* as the SMMU has it cached; else as the table in memory has it */
    bool     differs;       /* of a cached one: the table in memory says otherwise */
    bool     bad_ste, bad_cd; /* requests would meet that event; nothing below bad_ste means anything */
    bool     abort, s1, s2; /* neither of them: bypass */
    bool     tables;        /* asid and s1_ttb are known: the context descriptor is, and can be read */
    uint16_t asid, vmid;
    uint64_t cd;            /* with stage 2 an IPA, and not looked at */
    uint64_t s1_ttb[2], s2_ttb;
} SmmuStreamLook;

/* smmu_look - the interface of @pas; nothing changes by it. */
void smmu_look(const Smmu *s, Pas pas, SmmuLook *out);

/**
 * smmu_look_streams - the streams of the interface of @pas: valid entries of its stream table, in order, and after them
 * those that are cached but are others in the table. Only memory is read, never a device, and nothing changes.
 * @max: how many of the table are told
 * Returns how many valid entries the table has; 0 while the interface is off.
 */
unsigned smmu_look_streams(const Smmu *s, Pas pas, unsigned max, void (*fn)(void *opaque, const SmmuStreamLook *st),
                           void *opaque);

/* smmu_conformance - rows for docs/conformance.md: @kind "register", "command" or "event"; @number its offset in its
 * page, opcode or event number. */
typedef void SmmuRow(void *opaque, const char *kind, const char *name, unsigned number);
void smmu_conformance(SmmuRow *fn, void *opaque);

#endif
