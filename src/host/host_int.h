/*
 * What the built-in host's files share. One Host, one Realm; each CPU of the machine runs the REC of its index.
 * The Realm's memory is placed at the same physical address as its IPA, so a page's state is one byte.
 */
#ifndef BAILEY_HOST_INT_H
#define BAILEY_HOST_INT_H

#include "bits.h"
#include "bytes.h"
#include "board/cca.h"
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
    HOST_RUN,
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
} HostRecState;

typedef struct HostCpu {
    A64Cpu      *cpu;
    GicCpu      *gic;
    HostRecState state;
    uint64_t     rec, run;  /* granule of the REC; Non-secure page of RmiRecRun */
    uint64_t     flags;     /* of the next entry */
    bool         gprs_set;  /* enter.gprs hold an answer */
    bool         lrs_filled;
    uint64_t     n_exits;
} HostCpu;

struct Host {
    HostConfig   cfg;
    HostPhase    phase;
    uint64_t     progress; /* inside a phase: next IPA, next REC */
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
    Device      *uart, *rtc;
    PciHost     *vpci;

    uint64_t     rhi_counts[256];
};

static const MemAttrs host_attrs = { .pas = PAS_NONSECURE };

/* ---- rmi.c ---- */

/* host_rmi - one RMI call on @cpu; unused arguments are 0. Returns x0; results are in cpu->x[]. */
uint64_t host_rmi(Host *h, A64Cpu *cpu, uint32_t fid, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, uint64_t x5);

/* host_fail - the run ends with a sentence: what failed, with which status. */
void host_fail(Host *h, const char *what, uint64_t x0);

uint64_t host_alloc(Host *h);                      /* a Non-secure granule, zeroed; 0 when there is none */
void     host_release(Host *h, uint64_t pa);       /* one of host_alloc, Non-secure again */
bool     host_delegate(Host *h, A64Cpu *cpu, uint64_t pa);
bool     host_undelegate(Host *h, A64Cpu *cpu, uint64_t pa);
uint64_t host_alloc_delegated(Host *h, A64Cpu *cpu);

/* Our own Non-secure pages. */
uint64_t host_get64(Host *h, uint64_t pa);
void     host_put64(Host *h, uint64_t pa, uint64_t v);

/* ---- realm.c ---- */

bool host_realm_step(Host *h, A64Cpu *cpu);        /* one step of a phase before HOST_RUN */
bool host_map_private(Host *h, A64Cpu *cpu, uint64_t ipa);            /* fault at a protected IPA of RAM */
bool host_change_ripas(Host *h, A64Cpu *cpu, HostCpu *hc, uint64_t base, uint64_t top, unsigned ripas);
bool host_map_shared(Host *h, A64Cpu *cpu, uint64_t ipa);             /* one page at its shared alias */
bool host_rtt_create(Host *h, A64Cpu *cpu, uint64_t ipa, unsigned level, uint64_t *granule);

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

/* ---- gic.c ---- */

void host_gic_init(Host *h);
void host_gic_serve(Host *h, HostCpu *hc);         /* acknowledge what is pending at the CPU interface */
void host_gic_kick(Host *h, unsigned index);       /* CPU @index leaves the Realm soon */

/* ---- run.c ---- */

bool host_run_step(Host *h, HostCpu *hc);

/* ---- rhi.c ---- */

/* host_call - RSI_HOST_CALL: @gprs come in as arguments and go out as results. */
void host_call(Host *h, HostCpu *hc, uint16_t imm, uint64_t gprs[31]);

#endif
