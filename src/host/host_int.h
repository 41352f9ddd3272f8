/*
 * What the built-in host's files share. One Host, one Realm; each CPU of the machine runs the REC of its
 * index. The Realm's memory is placed at the same physical address as its IPA, so a page's state is one byte.
 */
#ifndef BAILEY_HOST_INT_H
#define BAILEY_HOST_INT_H

#include "bits.h"
#include "bytes.h"
#include "board/cca.h"
#include "host/assign.h"
#include "host/faults.h"
#include "host/host.h"
#include "rmm/rmi.h"
#include "rmm/rsi.h"

#define PAGE_SIZE    4096ull
#define BLOCK_SIZE   (2ull << 20)
#define IPA_BITS     48
#define SHARED_BIT   (1ull << (IPA_BITS - 1)) /* in an IPA: the unprotected half */
#define HOST_MAX_CPUS 8
#define KICK_SGI     1 /* makes a CPU leave the Realm */

typedef enum HostPhase {
    HOST_CREATE,   /* Realm created */
    HOST_RIPAS,    /* RIPAS of all RAM */
    HOST_DATA,     /* images copied and measured */
    HOST_RECS,
    HOST_ACTIVATE,
    HOST_DEVICES,  /* physical PCI bus enumerated, devices connected, their BARs mapped */
    HOST_RUN,
    HOST_END_DEVICES, /* the Realm has ended: its devices are taken back, */
    HOST_END_MEMORY,  /* its pages, */
    HOST_END_REALM,   /* its tables, RECs and itself */
    HOST_ENDED,
    HOST_FAILED,
} HostPhase;

/* What is behind a page of the Realm's RAM. */
typedef enum HostPage {
    HOST_PAGE_NONE,    /* nothing yet: mapped at the first access */
    HOST_PAGE_PRIVATE, /* a DATA granule */
    HOST_PAGE_SHARED,  /* RIPAS EMPTY: ours, seen by the Realm at its shared alias */
} HostPage;

/* A 2 MiB area of the Realm's RAM. */
typedef struct HostBlock {
    bool     table;    /* a level 3 table exists */
    bool     shared_table; /* so for the shared alias */
    uint16_t n_private;
    uint64_t rtt;      /* granule of the table */
} HostBlock;

typedef enum HostRecState {
    HOST_REC_OFF,     /* not runnable until PSCI CPU_ON */
    HOST_REC_READY,   /* enter it */
    HOST_REC_WAITING, /* WFI: until an interrupt or its timer */
    HOST_REC_ENTERED, /* the CPU runs the Realm; the step after is its exit */
    HOST_REC_DEVICE,  /* its RHI call is a job of a device, which goes on at each step */
} HostRecState;

struct HostCpu {
    A64Cpu      *cpu;
    GicCpu      *gic;
    HostRecState state;
    uint64_t     rec, run;  /* granule of the REC; Non-secure page of RmiRecRun */
    uint64_t     aux[RMI_REC_AUX_MAX], n_aux; /* its auxiliary granules */
    uint64_t     flags;     /* of the next entry */
    HostDevice  *device;    /* whose job it waits for */
    uint64_t     n_exits;
    bool         pmu_told; /* its monitors asked for an interrupt at the last exit, and the Realm has it */
};

/* The physical ITS: our tables and queue, next free LPI. */
typedef struct HostIts {
    uint64_t queue, devices, config;
    uint64_t writer;
    uint32_t next_lpi;
} HostIts;

/* The Non-secure side of the SMMU. */
typedef struct HostSmmu {
    bool     on;
    uint64_t strtab, cmdq, evtq, root;
    uint32_t cmd_prod, evt_cons;
    uint64_t n_events;
} HostSmmu;

struct Host {
    HostConfig   cfg;
    const RmmDialect *dialect; /* of cfg */
    bool         da;       /* the RMM offers device assignment */
    HostPhase    phase;
    uint64_t     progress; /* inside a phase: next IPA, next REC */
    HostEnd      end;      /* from HOST_END_DEVICES on */
    BootLayout   layout;
    unsigned     n_recs;

    /* Non-secure memory for our own use: granules are taken from the front. */
    uint64_t     free, free_end;
    GArray      *spare;    /* granules given back, Non-secure; uint64_t */

    /* The Realm. */
    uint64_t     rd, rtt_root;
    uint64_t     ram_base, ram_size;
    HostBlock   *blocks;
    uint8_t     *pages;    /* HostPage of each */
    uint64_t     staging;  /* page that images pass through */
    HostCpu      cpus[HOST_MAX_CPUS];

    /* What the Realm sees of us: devices at their IPAs, a virtual interrupt controller, a virtual PCI bus. */
    Owners      *vowners;
    Memory      *vmem;
    Gic         *vgic;
    Device      *uart[CCA_MAX_UARTS], *rtc, *gpio; /* gpio: NULL: the board has none */
    PciHost     *vpci;

    /* Device assignment: the physical bus and what of it the Realm gets. */
    HostScan     bus;
    HostDevice   devices[HOST_MAX_DEVICES];
    unsigned     n_devices;
    HostIts      its;
    HostSmmu     smmu;
    HostFaults   faults;

    uint64_t     rhi_counts[256];
};

static const MemAttrs host_attrs = { .pas = PAS_NONSECURE };

/* ---- rmi.c ---- */

/* host_rmi - one RMI call on @cpu; unused arguments are 0. Returns x0; results are in cpu->x[]. */
uint64_t host_rmi(Host *h, A64Cpu *cpu, uint32_t fid, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4,
                  uint64_t x5);

uint64_t host_rmi6(Host *h, A64Cpu *cpu, uint32_t fid, const uint64_t x[6]); /* a call with x1 to x6 */

/* host_fail - the run ends with a sentence: what failed, with which status. */
void host_fail(Host *h, const char *what, uint64_t x0);

uint64_t host_alloc(Host *h);                      /* a Non-secure granule, zeroed; 0 when there is none */
void     host_release(Host *h, uint64_t pa);       /* one of host_alloc, Non-secure again */
bool     host_delegate(Host *h, A64Cpu *cpu, uint64_t pa);
bool     host_undelegate(Host *h, A64Cpu *cpu, uint64_t pa);
bool     host_take_back(Host *h, A64Cpu *cpu, uint64_t pa); /* undelegate, and release */
uint64_t host_alloc_delegated(Host *h, A64Cpu *cpu);
uint64_t host_alloc_pages(Host *h, unsigned n, uint64_t align); /* consecutive; never given back */

/* Our own Non-secure pages. */
uint64_t host_get64(Host *h, uint64_t pa);
void     host_put64(Host *h, uint64_t pa, uint64_t v);

/* Registers of physical devices, by address; @size 1 to 8. */
uint64_t host_reg_read(Host *h, uint64_t addr, unsigned size);
void     host_reg_write(Host *h, uint64_t addr, unsigned size, uint64_t v);

/* ---- realm.c ---- */

bool host_realm_step(Host *h, A64Cpu *cpu);        /* one step of a phase before HOST_RUN */
void host_next_phase(Host *h, HostPhase phase, uint64_t progress); /* unless the run has failed */
bool host_map_private(Host *h, A64Cpu *cpu, uint64_t ipa);            /* fault at a protected IPA of RAM */
bool host_change_ripas(Host *h, A64Cpu *cpu, HostCpu *hc, uint64_t base, uint64_t top, unsigned ripas);
bool host_map_shared(Host *h, A64Cpu *cpu, uint64_t ipa);             /* one page at its shared alias */
bool host_map_device(Host *h, A64Cpu *cpu, uint64_t ipa);             /* the same for a page of registers */
bool host_unmap_device(Host *h, A64Cpu *cpu, uint64_t ipa);
bool host_device_tables(Host *h, A64Cpu *cpu, uint64_t ipa); /* tables for a page in the protected half */
bool host_rtt_create(Host *h, A64Cpu *cpu, uint64_t ipa, unsigned level, uint64_t *granule);
bool host_take_page(Host *h, A64Cpu *cpu, uint64_t ipa);  /* a private page of RAM is ours again, wiped */

static inline bool host_is_ram(const Host *h, uint64_t ipa)
{
    return ipa >= h->ram_base && ipa - h->ram_base < h->ram_size;
}

static inline uint8_t *host_page(Host *h, uint64_t ipa)
{
    return &h->pages[(ipa - h->ram_base) / PAGE_SIZE];
}

static inline HostBlock *host_block(Host *h, uint64_t ipa)
{
    return &h->blocks[(ipa - h->ram_base) / BLOCK_SIZE];
}

/* ---- devices.c ---- */

bool      host_devices_init(Host *h, GError **error);
void      host_devices_free(Host *h);
/* Shared memory of the Realm by IPA, with or without the shared bit; false where it is not shared. */
bool      host_shared_read(Host *h, uint64_t ipa, void *dst, size_t len);
bool      host_shared_write(Host *h, uint64_t ipa, const void *src, size_t len);
MemResult host_mmio(Host *h, unsigned vcpu, uint64_t ipa, unsigned size, bool write, uint64_t *value);

/* A message interrupt of a function, physical or emulated, as the Realm programmed it. */
void      host_vmsi(Host *h, uint32_t requester, uint64_t addr, uint32_t data);

/* ---- gic.c ---- */

void host_gic_init(Host *h);
void host_gic_init_devices(Host *h);               /* interrupts of the SMMU */
void host_gic_serve(Host *h, HostCpu *hc);         /* acknowledge what is pending at the CPU interface */
void host_gic_kick(Host *h, unsigned index);       /* CPU @index leaves the Realm soon */
void host_gic_pmu(Host *h, const HostCpu *hc, bool on); /* whether a request of its monitors makes it leave the Realm */

/* ---- its.c ---- */

bool host_its_init(Host *h);

/* host_its_map - events 0 to @n - 1 of a function as LPIs @first_lpi on, all enabled. */
bool host_its_map(Host *h, uint32_t device, unsigned n, uint32_t *first_lpi);

/* ---- smmu.c ---- */

bool host_smmu_init(Host *h);
bool host_smmu_attach(Host *h, uint32_t sid);      /* the stream sees the one stage 2 table */
/* One page of the stage 2 table; nothing happens while there is no SMMU in use. */
bool host_smmu_map(Host *h, uint64_t iova, uint64_t pa, bool device);
void host_smmu_unmap(Host *h, uint64_t iova);
void host_smmu_events(Host *h);                    /* empties the event queue into the trace */

/* ---- passthrough.c ---- */

extern const MmioOps host_ecam_ops;                /* the Realm's configuration window; opaque is the Host */

bool host_pass_init(Host *h);                      /* enumerate and set up interrupts */
bool host_pass_map(Host *h, A64Cpu *cpu, HostFunction *f); /* BARs to the Realm's unprotected half */
void host_msix_interrupt(Host *h, uint32_t lpi);
void host_msix_restore(Host *h, HostFunction *f);  /* physical entries once more, after the BAR was away */
/* The BAR that holds the page, or NULL; not the one of the MSI-X table, which stays ours. */
HostBar *host_pass_bar(HostFunction *f, uint64_t pa);

/* ---- device.c ---- */

/* What is kept of a kind of object, RmiCommObject: certificates and what was negotiated are the physical function's. */
static inline GByteArray *host_device_object(const HostDevice *d, unsigned object)
{
    bool shared = object == RMI_OBJECT_CERTIFICATE || object == RMI_OBJECT_VCA;

    return shared ? d->pf->objects[object] : d->objects[object];
}

bool        host_assign_step(Host *h, A64Cpu *cpu);          /* HOST_DEVICES; true: all done */
HostDevice *host_device_find(Host *h, uint64_t vdev_id);
void        host_device_begin(Host *h, HostDevice *d, HostJobKind kind);
/* The REC of @hc stays out until the job is over. */
void        host_device_wait(HostCpu *hc, HostDevice *d);
/* One step of the job. True: it is over, with the RHI status of the call that asked for it. */
bool        host_device_step(Host *h, A64Cpu *cpu, HostDevice *d, uint64_t *status);
/* A job is under way with it or with another function of the same mailbox: one at a time. */
bool        host_device_is_busy(const Host *h, const HostDevice *d);
bool        host_device_is_lost(const HostDevice *d); /* has to be connected anew before it can be locked */
bool        host_device_sleeps(const Host *h, const HostDevice *d); /* its job waits for it, until its alarm */
void        host_device_request(Host *h, HostCpu *hc);       /* REC exit VDEV_REQUEST */
void        host_device_map(Host *h, HostCpu *hc);           /* REC exit VDEV_MAP or, 1.1-alp12, DEV_MEM_MAP */
void        host_device_comm(Host *h, HostCpu *hc);          /* REC exit VDEV_COMM of 1.1-alp12 */
void        host_devices_drop(Host *h);

/* One page of registers at @pa for the Realm at @ipa, from the host's hands and back into them. */
bool     host_device_map_page(Host *h, A64Cpu *cpu, const HostDevice *d, uint64_t ipa, uint64_t pa);
bool     host_device_unmap_page(Host *h, A64Cpu *cpu, uint64_t ipa, uint64_t pa);
bool     host_device_unmap_all(Host *h, A64Cpu *cpu, HostDevice *d); /* what of it the Realm has */
/* The RMM checks what is mapped there and gives it to the Realm. */
uint64_t host_device_validate(Host *h, HostCpu *hc, const HostDevice *d, uint64_t base, uint64_t top);

/* ---- run.c ---- */

bool host_run_step(Host *h, HostCpu *hc);

/* ---- reclaim.c ---- */

bool host_end_step(Host *h, HostCpu *hc);          /* one step of the phases after HOST_RUN */

/* ---- rhi.c ---- */

/* host_call - RSI_HOST_CALL: @gprs come in as arguments and go out as results. */
void host_call(Host *h, HostCpu *hc, uint16_t imm, uint64_t gprs[31]);

#endif
