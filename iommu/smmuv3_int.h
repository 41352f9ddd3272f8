/*
 * What the SMMUv3's files share. One bank is one programming interface (Non-secure or Realm) with its registers,
 * stream table and queues; the code is the same for both.
 */
#ifndef BAILEY_SMMUV3_INT_H
#define BAILEY_SMMUV3_INT_H

#include "bits.h"
#include "bytes.h"
#include "iommu/smmuv3.h"

enum {
    SMMU_N_CONFIGS = 64,   /* cached stream configurations, by stream ID */
    SMMU_N_TLB = 4096,     /* cached pages, by I/O page number */
    SMMU_CMDQS = 10,       /* log2 of the largest queues; a full command queue is one slice of the event loop */
    SMMU_EVTQS = 10,
    SMMU_OAS = 48,
    SMMU_CMD_SIZE = 16,
    SMMU_EVENT_SIZE = 32,
    SMMU_STE_SIZE = 64,
    SMMU_CD_SIZE = 64,
};

/* CR0 and its kin. */
enum { CR0_SMMUEN = 1, CR0_EVTQEN = 4, CR0_CMDQEN = 8 };
enum { IRQ_CTRL_GERROR = 1, IRQ_CTRL_EVTQ = 4 };
enum {
    GERROR_CMDQ = 1 << 0, GERROR_EVTQ_ABT = 1 << 2, GERROR_MSI_CMDQ_ABT = 1 << 4, GERROR_MSI_EVTQ_ABT = 1 << 5,
    GERROR_MSI_GERROR_ABT = 1 << 7,
    GERROR_ALL = 0xb5,
};
enum { CERROR_NONE = 0, CERROR_ILL = 1, CERROR_ABT = 2 };
enum { CR2_E2H = 1, CR2_RECINVSID = 2 };
enum { ROOT_CR0_ACCESSEN = 1, ROOT_CR0_GPCEN = 2 };
#define GBPA_ABORT  (1u << 20)
#define GBPA_UPDATE (1u << 31)

/* All events there are, by number; the last column is what a record has, see events.c. IHI 0070, "Event records".
 * F_STREAM_DISABLED and C_BAD_SUBSTREAMID are about substreams, which IDR1.SSIDSIZE does not offer: S1CDMax and S1DSS
 * are ignored then. F_UUT would be about transactions that no bus here can express. */
#define SMMU_EVENTS(X)                                         \
    X(C_BAD_STREAMID, 0x02, 0)                                 \
    X(F_STE_FETCH,    0x03, HAS_FETCH)                         \
    X(C_BAD_STE,      0x04, 0)                                 \
    X(F_CD_FETCH,     0x09, HAS_FETCH)                         \
    X(C_BAD_CD,       0x0a, 0)                                 \
    X(F_WALK_EABT,    0x0b, HAS_INPUT | HAS_FETCH)             \
    X(F_TRANSLATION,  0x10, HAS_INPUT)                         \
    X(F_ADDR_SIZE,    0x11, HAS_INPUT)                         \
    X(F_ACCESS,       0x12, HAS_INPUT)                         \
    X(F_PERMISSION,   0x13, HAS_INPUT | HAS_TTRNW)

typedef enum SmmuEventId {
    SMMU_EVT_NONE = 0,
#define NUMBER(name, number, has) SMMU_##name = number,
    SMMU_EVENTS(NUMBER)
#undef NUMBER
} SmmuEventId;

/* What was being accessed when a stage 2 fault struck. */
typedef enum SmmuClass { SMMU_CLASS_CD = 0, SMMU_CLASS_TTD = 1, SMMU_CLASS_IN = 2 } SmmuClass;

typedef struct SmmuFault {
    SmmuEventId id;
    bool        stage2, record; /* record: the stream asks for events of this kind */
    SmmuClass   class;
    uint64_t    ipa;            /* stage 2, or the address of a failed fetch */
    bool        gpf;            /* the cause is a granule protection fault; of the output: id is SMMU_EVT_NONE, */
    Pas         pas;            /* and this its address space */
} SmmuFault;

/* Who met a granule protection fault: FAULTCODE and REASON of ROOT_GPF_FAR. A global error's FAULTCODE is its bit
 * number in GERROR. */
typedef enum SmmuGpf {
    SMMU_GPF_STE = SMMU_F_STE_FETCH << 4 | 1 << 1,
    SMMU_GPF_CD = SMMU_F_CD_FETCH << 4 | 1 << 1,
    SMMU_GPF_WALK = SMMU_F_WALK_EABT << 4 | 1 << 1,
    SMMU_GPF_CMDQ = 0 << 4 | 2 << 1,
    SMMU_GPF_EVTQ = 2 << 4 | 2 << 1,
    SMMU_GPF_MSI_CMDQ = 4 << 4 | 2 << 1,
    SMMU_GPF_MSI_EVTQ = 5 << 4 | 2 << 1,
    SMMU_GPF_MSI_GERROR = 7 << 4 | 2 << 1,
    SMMU_GPF_TRANSACTION = 3 << 1,
} SmmuGpf;

/* A message-signalled interrupt register triple. Of the Realm interface: to Realm memory unless NS says otherwise. */
#define SMMU_MSI_ADDR 0x000ffffffffffffcull
#define SMMU_MSI_NS   (1ull << 63)
typedef struct SmmuMsi {
    uint64_t addr;
    uint32_t data, attr;
} SmmuMsi;

typedef struct SmmuQueue {
    uint64_t base;
    uint32_t prod, cons;
} SmmuQueue;

/* A stream's configuration: STE and CD, checked and taken apart. */
typedef struct SmmuStream {
    bool     valid;         /* as a cache entry */
    uint32_t sid;
    bool     abort, bypass; /* neither: translated */
    Pas      bypass_pas;    /* where a bypass leads: "Realm stream bypass" */
    bool     s1, s2;
    uint64_t cd;            /* of stage 1: where its context descriptor is; an IPA when there is stage 2 */
    /* stage 1: one table for each half of the input range */
    struct {
        bool     enabled;
        uint64_t ttb;
        unsigned tsz, granule_log2;
        bool     tbi;
    } half[2];
    unsigned ips_bits;
    bool     affd, s1_record, wxn;
    uint16_t asid;
    /* stage 2, as the CPU's registers */
    uint64_t vtcr, vttbr;
    uint16_t vmid;
    bool     s2_record, s2_ptw;
} SmmuStream;

typedef struct SmmuTlbEntry {
    bool     valid, writable, readable;
    bool     s1;            /* an address of stage 1 (TLBI_NH_*), else of stage 2 only */
    bool     global;        /* of stage 1, for all ASIDs */
    uint32_t sid;
    uint64_t iova, pa, ipa; /* page addresses; ipa of the page when stage 2 took part */
    uint64_t block;         /* bytes of the mapping it came from */
    uint16_t asid, vmid;
    Pas      pas;
} SmmuTlbEntry;

typedef struct SmmuBank {
    Pas      pas;
    uint32_t cr0, cr1, cr2, gbpa, irq_ctrl, gerror, gerrorn;
    uint64_t strtab_base;
    uint32_t strtab_cfg;
    SmmuQueue cmdq, evtq;
    SmmuMsi  gerror_msi, evtq_msi;
    uint64_t n_events;
    SmmuStream   config[SMMU_N_CONFIGS];
    SmmuTlbEntry tlb[SMMU_N_TLB];
    /* Since the TLB was last empty: some entry; one of a mapping larger than 4 KiB; one through both stages. */
    bool     tlb_used, tlb_blocks, tlb_nested;
} SmmuBank;

enum { SMMU_NS, SMMU_REALM, SMMU_N_BANKS };

struct Smmu {
    SmmuConfig cfg;
    SmmuBank   bank[SMMU_N_BANKS];
    uint32_t   root_cr0;
    uint64_t   gpf_far;
    bool       busy;        /* inside an access of our own, see smmu_fetch() */
};

/* smmuv3.c */
void smmu_irq(Smmu *s, SmmuBank *b, SmmuIrq irq);
void smmu_msi(Smmu *s, SmmuBank *b, const SmmuMsi *msi, uint32_t abort_error, SmmuGpf gpf);
void smmu_tlb_clear(SmmuBank *b);

/* regs.c, cmdq.c, events.c: rows for docs/conformance.md, from the tables that serve. */
void smmu_list_registers(SmmuRow *fn, void *opaque);
void smmu_list_commands(SmmuRow *fn, void *opaque);
void smmu_list_events(SmmuRow *fn, void *opaque);

/* cmdq.c: consume commands until the queue is empty or stopped by an error. */
void smmu_cmdq_run(Smmu *s, SmmuBank *b);

/* Where the stream table is, as the registers say. */
typedef struct SmmuTable {
    uint64_t base;
    unsigned log2size; /* of stream IDs */
    unsigned split;    /* log2 of those that one level 1 descriptor has; 0: a linear table */
} SmmuTable;

/* config.c: the configuration of a stream, part by part; without effect on anything but @st. smmu_l1_span - how many
 * entries a level 1 descriptor leads to, at @stes. smmu_parse_ste, smmu_parse_cd - false: bad ones. */
SmmuTable smmu_table(const Smmu *s, const SmmuBank *b);
unsigned smmu_l1_span(const SmmuTable *t, uint64_t desc, uint64_t *stes);
bool smmu_parse_ste(const SmmuBank *b, SmmuStream *st, const uint8_t ste[SMMU_STE_SIZE]);
bool smmu_parse_cd(SmmuStream *st, const uint8_t cd[SMMU_CD_SIZE]);

/* config.c: the configuration of a stream; false with @f filled. */
bool smmu_stream(Smmu *s, SmmuBank *b, uint32_t sid, SmmuStream **out, SmmuFault *f);
void smmu_config_invalidate(SmmuBank *b, uint32_t sid, unsigned range_log2);

/* walk.c: one page; false with @f filled. */
bool smmu_walk(Smmu *s, SmmuBank *b, const SmmuStream *st, uint64_t iova, bool write, SmmuTlbEntry *out,
               SmmuFault *f);
/* An address of a structure that stage 2 translates when there is one (CD, stage 1 tables). */
bool smmu_stage2(Smmu *s, SmmuBank *b, const SmmuStream *st, uint64_t ipa, bool write, SmmuClass class,
                 SmmuTlbEntry *out, SmmuFault *f);

/* events.c */
void smmu_event(Smmu *s, SmmuBank *b, uint32_t sid, const DmaRequest *req, const SmmuFault *f);
void smmu_gerror(Smmu *s, SmmuBank *b, uint32_t bits);
/* Whether the last check lets a translation to the page pass; when it is kept, we hear of changes. */
bool smmu_may_reach(const Smmu *s, uint64_t pa, Pas pas);
void smmu_gpf(Smmu *s, Pas pas, uint64_t pa, SmmuGpf who);

/*
 * Memory accesses of the SMMU itself, in the address space @pas. A queue, table or MSI address may name a device's
 * registers, our own among them: what such an access sets off (a register write here, DMA there) must not start
 * another access of ours, or hostile software would have us call ourselves without end. The inner one is aborted.
 */
MemResult smmu_fetch(Smmu *s, Pas pas, uint64_t pa, void *dst, size_t len, SmmuGpf who);
MemResult smmu_post(Smmu *s, Pas pas, uint64_t pa, const void *src, size_t len, SmmuGpf who);

#endif
