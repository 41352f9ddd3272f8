/*
 * What the files of the RMM share: the command framework, granules, Realm and REC as they lie in the granules
 * the host gave, and the helpers of each object. RMM specification (Arm DEN0137); names are the
 * specification's.
 *
 * One thread runs everything and a command never waits, so granules need no locks: a command checks all its
 * inputs, then acts. REC and RD are plain structures in granule memory; hosts and Realms cannot reach them
 * (page owner Realm, no mapping), so the RMM trusts what it reads there.
 */
#ifndef BAILEY_RMM_INT_H
#define BAILEY_RMM_INT_H

#include <openssl/evp.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/a64.h"
#include "entropy.h"
#include "event.h"
#include "hw/gicv3.h"
#include "log.h"
#include "memory.h"
#include "rmm/rmi.h"
#include "rmm/rmm.h"
#include "rmm/rsi.h"
#include "spdm/crypto.h"

enum {
    RMM_MAX_CPUS = 512,
    RMM_MAX_VMIDS = 1 << 16,
    RMM_PA_BITS = 48,
    RMM_MAX_RECS_ORDER = 9,
    RMM_REC_AUX = 1,       /* auxiliary granules of a REC: it holds the attestation token */
    RMM_HASH_MAX = 64,
    RMM_N_REM = 4,
    RMM_N_FLUSH = 4,
    RMM_N_INIT = 8,
};

/* ---- granules (granule.c) ---- */

/* DEN0137 "Granule states". What each state's content is and who refers to it: */
typedef enum GranuleState {
    GRANULE_OUTSIDE,       /* not memory that can be delegated */
    GRANULE_NS,            /* the host's */
    GRANULE_DELEGATED,     /* Realm space, no use yet; wiped when it comes from a use */
    GRANULE_RD,            /* a Realm; referred to by its RECs (Rec.rd) and VDEVs */
    GRANULE_REC,           /* a Rec; Rec.running while a CPU runs it */
    GRANULE_REC_AUX,       /* named in its Rec */
    GRANULE_RTT,           /* a translation table; referred to by its parent's entry or by its Realm */
    GRANULE_DATA,          /* Realm memory; referred to by exactly one RTT entry */
    GRANULE_PDEV,
    GRANULE_PDEV_AUX,
    GRANULE_VDEV,
    GRANULE_VDEV_AUX,
    GRANULE_DEV_NS,        /* device memory, the host's */
    GRANULE_DEV_DELEGATED, /* device memory in Realm space */
    GRANULE_DEV_MAPPED,    /* referred to by exactly one RTT entry */
    GRANULE_N_STATES
} GranuleState;

/* The state of the granule at @pa; GRANULE_OUTSIDE also when @pa is not aligned. */
GranuleState granule_state(Rmm *rmm, uint64_t pa);

/* granule_known - the same without a first look at it: GRANULE_OUTSIDE until a command has touched it. @pa: below
 * BIT(RMM_PA_BITS), of a chunk that is there. */
GranuleState granule_known(const Rmm *rmm, uint64_t pa);

/* granule_set - the one transition function: asserts that the state machine has this edge. A granule that
 * goes back to DELEGATED is wiped. */
void granule_set(Rmm *rmm, uint64_t pa, GranuleState to);

/* granule_zero - give a DELEGATED granule zeroed content (free when it was wiped and not used since). */
void granule_zero(Rmm *rmm, uint64_t pa);

/* The bytes of a granule of RAM, without checks: for granules whose state the caller has checked. */
static inline void *granule_ptr(Rmm *rmm, uint64_t pa);

/* Copies between NS granules and the RMM, with owner checks as anyone's; false: it is not Non-secure. */
bool ns_read(Rmm *rmm, uint64_t pa, void *dst, size_t len);
bool ns_write(Rmm *rmm, uint64_t pa, const void *src, size_t len);

/* ns_map - the bytes of an NS granule of RAM, for the command that asks; memory_dirty() follows what it writes. NULL:
 * it is none. */
uint8_t *ns_map(Rmm *rmm, uint64_t pa);

/* ---- Realm translation tables (rtt.c) ---- */

typedef enum RttEntry {
    RTT_UNASSIGNED,
    RTT_ASSIGNED,
    RTT_ASSIGNED_DEV,
    RTT_UNASSIGNED_NS,
    RTT_ASSIGNED_NS,
    RTT_TABLE,
} RttEntry;

enum { RTT_LAST_LEVEL = 3, RTT_ENTRIES = 512 };

/* Attribute fields of a stage 2 descriptor with FWB that a host or device mapping chooses; the place is the
 * architecture's. */
#define RTT_MEMATTR_LSB 2
#define RTT_S2AP_LSB    6
#define RTT_HOST_ATTRS  ((7ull << RTT_MEMATTR_LSB) | (3ull << RTT_S2AP_LSB))
enum { RTT_MEMATTR_NORMAL_NC = 5, RTT_MEMATTR_NORMAL_WB = 6, RTT_MEMATTR_STAGE1 = 7 };

/* Where a walk ended. */
typedef struct RttWalk {
    int       level;
    unsigned  index;     /* in @table */
    uint64_t *table;     /* the table granule that holds the entry */
    uint64_t  base;      /* first IPA of that table granule */
} RttWalk;

/* Content of one entry, apart from its encoding. */
typedef struct RttValue {
    RttEntry kind;
    Ripas    ripas;  /* protected half, not TABLE */
    uint64_t pa;     /* ASSIGNED*, TABLE */
    uint64_t attrs;  /* ASSIGNED_NS, ASSIGNED_DEV: descriptor bits in RTT_HOST_ATTRS */
    uint8_t  vdev;   /* ASSIGNED_DEV: index of the Realm's VDEV that the page was mapped for, 0 to 63 */
} RttValue;

typedef struct Realm Realm;
typedef struct Rec   Rec;

static inline uint64_t rtt_size(int level) { return 1ull << (12 + 9 * (RTT_LAST_LEVEL - level)); }

RttWalk  rtt_walk(Rmm *rmm, const Realm *realm, uint64_t ipa, int level);
RttValue rtt_get(const RttWalk *w);
void     rtt_put(const RttWalk *w, RttValue v);
RttValue rtt_get_at(const RttWalk *w, unsigned index);
void     rtt_put_at(const RttWalk *w, unsigned index, RttValue v);

/* Whether entry @index of the walk's table is no table and has the RIPAS of the walk's entry, which is none. */
bool rtt_same_ripas(const RttWalk *w, unsigned index);

/* DEN0137 "RTT non-live top": first live entry at or after the walk's, or the end of the table. @ipa: of the
 * walk. */
uint64_t rtt_non_live_top(const RttWalk *w, uint64_t ipa);

/* What the host may not see vanish: TABLE, ASSIGNED, ASSIGNED_DEV entries in a table granule. */
unsigned rtt_count_in_use(const uint64_t *table);

/* Whether @ipa is a valid input for an entry at @level. */
bool rtt_ipa_aligned(uint64_t ipa, int level);
bool realm_ipa_protected(const Realm *realm, uint64_t ipa); /* inside the protected address range */
uint64_t realm_par_top(const Realm *realm);
uint64_t realm_ipa_top(const Realm *realm);

/* rtt_flush - [@ipa, +@len) that led to [@pa, +@len) may no longer be used: before the command returns. */
void rtt_flush(Rmm *rmm, const Realm *realm, uint64_t ipa, uint64_t pa, uint64_t len);
/* rtt_flush_all - nothing of this Realm may stay cached by anyone told by IPA. */
void rtt_flush_all(Rmm *rmm, const Realm *realm);

/* VTCR_EL2 and VTTBR_EL2 with which CPU and SMMU walk the Realm's tables. */
uint64_t realm_vtcr(const Realm *realm);
uint64_t realm_vttbr(const Realm *realm);

/* ---- Realm (realm.c), in the RD granule ---- */

typedef enum RealmState { REALM_NEW, REALM_ACTIVE, REALM_SYSTEM_OFF } RealmState;

const char *realm_state_name(RealmState state);

struct Realm {
    RealmState state;
    uint32_t   ipa_bits;
    int32_t    level_start;
    uint32_t   n_root;
    uint64_t   rtt_base;
    uint16_t   vmid;
    RmiHash    hash;
    uint64_t   flags0;
    uint32_t   n_bps, n_wps;  /* value - 1, as in ID_AA64DFR0_EL1 */
    uint32_t   n_ctrs;        /* event counters, with RMI_REALM_FLAG_PMU */
    uint32_t   next_rec;      /* index of the next REC */
    uint32_t   n_recs;        /* alive */
    uint32_t   n_vdevs;       /* alive; see vdev.c */
    uint8_t    rpv[64];
    uint8_t    measurement[1 + RMM_N_REM][RMM_HASH_MAX]; /* RIM, REM 1 to 4; zero-padded */
    _Alignas(8) uint8_t device[1024]; /* of the device assignment files */
};
_Static_assert(sizeof(Realm) <= RMM_GRANULE_SIZE, "a Realm fits its granule");

static inline Realm *realm_at(Rmm *rmm, uint64_t rd) { return granule_ptr(rmm, rd); }

/* ---- REC (rec.c, enter.c), in the REC granule ---- */

/* What the host is to do before the REC goes on. */
typedef enum RecPending {
    REC_NOTHING,
    REC_PSCI,         /* PSCI_COMPLETE */
    REC_RIPAS,        /* RTT_SET_RIPAS as often as it likes */
    REC_HOST_CALL,    /* its answer is copied at the next enter */
    REC_DATA_ABORT,   /* at an unprotected IPA: EMUL_MMIO or INJECT_SEA, or nothing (retry) */
    REC_SYSREG_READ,  /* the value comes in gprs[0] */
    REC_VDEV_REQUEST, /* VDEV_COMPLETE; finished by the function in rec_resume */
    REC_VDEV_MAP,     /* VDEV_MAP, VDEV_VALIDATE_MAPPING, and what 1.1-alp12 has for them */
    REC_RDEV_REQUEST, /* 1.1-alp12: VDEV_COMPLETE */
    REC_RDEV_COMM,    /* 1.1-alp12: VDEV_COMMUNICATE as often as it likes */
    REC_N_PENDING
} RecPending;

typedef enum TokenState { TOKEN_NONE, TOKEN_REQUESTED, TOKEN_READY } TokenState;

struct Rec {
    uint64_t   rd;
    uint64_t   mpidr;      /* RmiRecMpidr */
    uint64_t   aux;        /* its auxiliary granule */
    uint32_t   index;
    bool       running, runnable;
    RecPending pending;

    struct {
        uint32_t fid;
        uint64_t mpidr, entry, context;
    } psci;
    struct {
        uint64_t base, top;
        uint8_t  ripas;
        bool     change_destroyed;
    } ripas;
    uint64_t host_call;    /* IPA */
    struct {
        uint64_t esr, far; /* as at the exception */
    } abort;
    unsigned sysreg_rt;
    uint64_t vdev[24];     /* of the device assignment files: the request that waits */

    TokenState token;
    uint32_t   token_pos, token_len; /* bytes given, bytes of the token in aux */
    uint8_t    challenge[64];

    uint64_t   x[31] A64_COPIED, pc; /* to fpsr as in A64Cpu */
    uint64_t   v[32][2];
    uint32_t   fpcr, fpsr;
    uint64_t   spsr;
    A64El1Regs el1 A64_COPIED;
    uint64_t   timers_told;   /* masks of CNTHCTL_EL2: the timers that the last exit reported as asserted */
    uint64_t   vmcr, ap0r[4], ap1r[4];
    uint32_t   left;          /* 1 + index of the CPU that it left last, unless it was reset since; 0 */
};
_Static_assert(sizeof(Rec) <= RMM_GRANULE_SIZE, "a REC fits its granule");

static inline Rec *rec_at(Rmm *rmm, uint64_t rec) { return granule_ptr(rmm, rec); }

/* Index of an RmiRecMpidr, or UINT64_MAX when a reserved bit is set. */
uint64_t rec_index_of_mpidr(uint64_t mpidr);
/* DEN0137 "REC reset": what REC_CREATE and CPU_ON start from. */
void rec_reset(Rec *rec, uint64_t pc);

/* News of an exit, written to the host's page when the REC leaves the CPU. */
typedef struct RecExit {
    RmiExitReason reason;
    uint64_t esr, far, hpfar;
    uint64_t ripas_base, ripas_top;
    uint8_t  ripas;
    uint16_t imm;
    uint64_t vdev_id, vdev, dev_mem_base, dev_mem_top, dev_mem_pa;
    uint8_t  vdev_action;
    unsigned n_gprs;
    uint64_t gprs[31];     /* the first n_gprs; the host reads zero for the others */
} RecExit;

/* One physical CPU, as the RMM and the monitor see it. */
typedef struct RmmCpu {
    A64Cpu  *cpu;
    uint64_t rec, run;   /* PAs; 0: no REC runs here */
    bool     builtin;    /* the built-in host stands at NS-EL2 */
    RecExit  exit;       /* being filled */
    uint64_t host_mask;  /* ICH_HCR_EL2 bits the host asked for */

    /* The Normal world while a REC runs. */
    uint64_t     x[31] A64_COPIED, pc; /* to fpsr as in A64Cpu */
    uint64_t     v[32][2];
    uint32_t     fpcr, fpsr;
    uint64_t     spsr;
    A64El1Regs   el1 A64_COPIED;
    A64El2Regs   el2 A64_COPIED;
    GicVirtState gic;
    A64Derived   derived;

    /* Of the REC that left last. */
    struct {
        uint64_t   rec;      /* PA */
        A64Derived derived;
    } last;
} RmmCpu;

/* What an operation that waited for the host decides at the next REC_ENTER. */
typedef enum RecResume { REC_RUNS, REC_EXITS } RecResume;

/* REC_RESUME(REC_VDEV_MAP, fn): @fn finishes that pending operation. @flags: of RmiRecEnter. The REC is not
 * loaded yet: results go to rec->x[]. REC_EXITS leaves again with cpu->exit, without running. */
typedef struct RecResumeOp {
    RecPending kind;
    RecResume (*fn)(Rmm *rmm, RmmCpu *cpu, Realm *realm, Rec *rec, uint64_t flags);
} RecResumeOp;

#define REC_RESUME(kind, fn)                                                                           \
    static const RecResumeOp rec_resume_##kind = { kind, fn };                                         \
    static const RecResumeOp *const rec_resume_##kind##_ptr                                            \
        __attribute__((used, section("bailey_rec_resume"))) = &rec_resume_##kind

/* ---- the command framework (rmm.c) ---- */

typedef struct RmiIn {
    uint64_t x[8];   /* x[0] is the function ID */
    RmmCpu  *cpu;
} RmiIn;

typedef struct RmiOut {
    uint64_t x[8];   /* x[1] to x[4]; zero unless set */
    bool     runs;   /* REC_ENTER: the CPU now runs the REC; the result comes at its exit */
} RmiOut;

typedef struct RmiCommand {
    const char *name;
    uint32_t    fid;
    uint8_t     in, out;  /* registers from x1 on */
    uint8_t     dialects; /* IN_* bits of those that have it; 0: all */
    bool        needs_da; /* not there without device assignment */
    RmmSource   source;   /* of its failure conditions, but those by REQUIRE_OURS() */
    const char *file;     /* where it is: one name may be two commands, of two dialects in two files */
    uint64_t  (*handler)(Rmm *rmm, const RmiIn *in, RmiOut *out);
} RmiCommand;

/* RMI(REALM_DESTROY, .in = 1, .out = 0) { ... }: declares and registers a command. Returns the X0 of the
 * result. */
#define RMI(ident, ...)                                                                                \
    static uint64_t rmi_##ident(Rmm *rmm, const RmiIn *in, RmiOut *out);                               \
    static const RmiCommand rmi_##ident##_command = { .name = #ident, .fid = RMI_FID_##ident,          \
                                                      .file = __FILE__, .handler = rmi_##ident,        \
                                                      __VA_ARGS__ };                                   \
    static const RmiCommand *const rmi_##ident##_ptr                                                   \
        __attribute__((used, section("bailey_rmi"))) = &rmi_##ident##_command;                         \
    static uint64_t rmi_##ident(Rmm *rmm, const RmiIn *in, RmiOut *out)

/* A call of a Realm. Its registers are live in cpu->x[]; results go to out[1] and up, of which .out are
 * written. */
typedef struct RsiCall {
    RmmCpu  *cpu;
    Realm   *realm;
    Rec     *rec;
    uint64_t x[11];  /* arguments */
    uint64_t out[9];
} RsiCall;

/* Besides an RsiStatus a handler may return: */
enum {
    RSI_TO_HOST = 0x100, /* exit with cpu->exit; the call is over, results come at a later enter */
    RSI_AGAIN = 0x101,   /* exit with cpu->exit; the SMC is executed again afterwards */
};

typedef struct RsiCommand {
    const char *name;
    uint32_t    fid;
    uint8_t     in, out;
    uint8_t     dialects; /* as RmiCommand's */
    bool        needs_da; /* RSI_ERROR_STATE in a Realm without the flag; unknown without the feature */
    RmmSource   source;
    const char *file;
    uint64_t  (*handler)(Rmm *rmm, RsiCall *call);
} RsiCommand;

#define RSI(ident, ...)                                                                                \
    static uint64_t rsi_##ident(Rmm *rmm, RsiCall *call);                                              \
    static const RsiCommand rsi_##ident##_command = { .name = #ident, .fid = RSI_FID_##ident,          \
                                                      .file = __FILE__, .handler = rsi_##ident,        \
                                                      __VA_ARGS__ };                                   \
    static const RsiCommand *const rsi_##ident##_ptr                                                   \
        __attribute__((used, section("bailey_rsi"))) = &rsi_##ident##_command;                         \
    static uint64_t rsi_##ident(Rmm *rmm, RsiCall *call)

/* One failure condition. They register themselves where they are checked; @where is the function, "rmi_NAME",
 * "rsi_NAME", "psci_NAME", or "rmi_NAME__PART" for a part of one. */
typedef struct RmmFailure {
    const char *where, *label, *file;
    unsigned    line;
    bool        ours; /* the command's document does not have it: a decision of this project */
} RmmFailure;

uint64_t rmm_fail(Rmm *rmm, const RmmFailure *f, uint64_t status, uint64_t index);

/* Of every RSI command with .needs_da: the Realm has no devices. */
extern const RmmFailure rsi_no_devices;

/* REQUIRE(condition, status, "label"): a check of a command, in the order of the specification; when it does
 * not hold the command ends with @status and nothing has changed. A label is the document's, "params_supp/sve" one of
 * several reasons for it. */
#define RMM_FAILURE(is_ours, text)                                                                     \
    static const RmmFailure failure_ = { __func__, text, __FILE__, __LINE__, is_ours };                \
    static const RmmFailure *const failure_ptr_                                                        \
        __attribute__((used, section("bailey_rmm_failures"))) = &failure_
#define REQUIRE_FROM(is_ours, cond, status, index, text)                                               \
    do {                                                                                               \
        RMM_FAILURE(is_ours, text);                                                                    \
        if (!(cond)) {                                                                                 \
            return rmm_fail(rmm, failure_ptr_, (status), (uint64_t)(index));                           \
        }                                                                                              \
    } while (0)
#define REQUIRE_AT(cond, status, index, text) REQUIRE_FROM(false, cond, status, index, text)
#define REQUIRE(cond, status, text)           REQUIRE_AT(cond, status, 0, text)

/* A check that the command's document does not have. */
#define REQUIRE_OURS(cond, status, text) REQUIRE_FROM(true, cond, status, 0, text)

/* A granule that must be in a state; @name in front of the specification's endings. */
#define REQUIRE_GRANULE(pa, wanted, name) REQUIRE_GRANULE_AS(pa, wanted, name, name "_state")

/* The same where the specification has another label for the state of the granule. */
#define REQUIRE_GRANULE_AS(pa, wanted, name, state)                                                    \
    do {                                                                                               \
        GranuleState state_ = granule_state(rmm, pa);                                                  \
        REQUIRE(is_aligned(pa, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, name "_align");                     \
        REQUIRE(state_ != GRANULE_OUTSIDE, RMI_ERROR_INPUT, name "_bound");                            \
        REQUIRE(state_ == (wanted), RMI_ERROR_INPUT, state);                                           \
    } while (0)

/* A DELEGATED granule that a Realm's table will hold: without LPA2, which no Realm has, an address of 48 bits. That is
 * looked at first, since no such granule exists here. */
#define REQUIRE_TABLE_GRANULE(pa, name)                                                                \
    REQUIRE(is_aligned(pa, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, name "_align");                         \
    REQUIRE((pa) < BIT(RMM_PA_BITS), RMI_ERROR_INPUT, name "_bound2");                                 \
    REQUIRE(granule_state(rmm, pa) != GRANULE_OUTSIDE, RMI_ERROR_INPUT, name "_bound");                \
    REQUIRE(granule_state(rmm, pa) == GRANULE_DELEGATED, RMI_ERROR_INPUT, name "_state")

/* A page of the host's, of which the first @len bytes go to @dst. "GranuleAccessPermitted": both the granule and the
 * owner of the page have to be Non-secure. */
#define REQUIRE_NS(pa, dst, len, name) REQUIRE_NS_WHERE(pa, ns_read(rmm, pa, dst, len), name)

/* The same, without a copy. */
#define REQUIRE_NS_PAGE(pa, bytes, name) REQUIRE_NS_WHERE(pa, ((bytes) = ns_map(rmm, pa)) != NULL, name)

#define REQUIRE_NS_WHERE(pa, readable, name)                                                           \
    do {                                                                                               \
        GranuleState state_ = granule_state(rmm, pa);                                                  \
        REQUIRE(is_aligned(pa, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, name "_align");                     \
        REQUIRE(state_ != GRANULE_OUTSIDE, RMI_ERROR_INPUT, name "_bound");                            \
        REQUIRE(state_ == GRANULE_NS && (readable), RMI_ERROR_INPUT, name "_pas");                     \
    } while (0)

/* RMM_INIT(fn): called at the end of rmm_new(). The device assignment part sets rmm->da there. */
typedef void RmmInit(Rmm *rmm);
#define RMM_INIT(fn)                                                                                   \
    static RmmInit *const rmm_init_##fn __attribute__((used, section("bailey_rmm_init"))) = fn

enum {
    RMI_TABLE_LEN = RMI_FID2_LAST - RMI_FID_FIRST + 1,
    RSI_TABLE_LEN = RSI_FID_LAST - RSI_FID_FIRST + 1,
    GRANULE_CHUNK_BITS = 30,
    GRANULE_CHUNKS = 1 << (RMM_PA_BITS - GRANULE_CHUNK_BITS),
};

struct Rmm {
    Memory     *memory;
    Owners     *owners;
    RmmPlatform platform;
    const RmmDialect *dialect;
    uint64_t    carveout, carveout_size;
    Entropy     entropy;
    RmmCpu     *cpu;                      /* [n_cpus] */
    unsigned    n_cpus;
    bool        da;                       /* device assignment is there */
    uint32_t    max_bps, max_wps;         /* BRPs and WRPs of ID_AA64DFR0_EL1: the highest a Realm may have */

    uint8_t   **granule;                  /* [GRANULE_CHUNKS]: NULL or one byte per granule */
    unsigned    n_chunks;                 /* those from here on are NULL */
    const MemRegion *ram;                  /* the region of the last granule_ptr() */
    uint64_t    vmid_used[RMM_MAX_VMIDS / 64];

    const RmiCommand *rmi[RMI_TABLE_LEN];
    const RsiCommand *rsi[RSI_TABLE_LEN];
    uint64_t    rmi_count[RMI_TABLE_LEN], rsi_count[RSI_TABLE_LEN], psci_count;
    const RecResumeOp *resume[REC_N_PENDING];
    const RmmFailure *failure;            /* of the last command, NULL: it succeeded */

    struct {
        void (*flush)(void *opaque, uint16_t vmid, uint64_t ipa, uint64_t len);
        void  *opaque;
    } flush[RMM_N_FLUSH];
    unsigned n_flush;

    EVP_MD  *md[2];                       /* by RmiHash */
    Entropy  rak_entropy;
    SpdmPrivateKey rak;                   /* made at first use, with its point; rak_point[0] is 4 then */
    uint8_t  rak_point[97];
    uint8_t  platform_token[1024];        /* made at first use: it never changes */
    uint32_t platform_token_len;
    void    *device;                      /* of the device assignment files */
};

/* granule_in_ram - the region of RAM at @pa; it is remembered. */
const MemRegion *granule_in_ram(Rmm *rmm, uint64_t pa);

static inline void *granule_ptr(Rmm *rmm, uint64_t pa)
{
    const MemRegion *r = rmm->ram;

    if (r == NULL || pa - r->base >= r->size) {
        r = granule_in_ram(rmm, pa);
    }
    return r->host + (pa - r->base);
}

/* rmi_call - one RMI command of the host at NS-EL2 of @cpu. False: there is no such command. */
bool rmi_call(Rmm *rmm, const RmiIn *in, RmiOut *out, uint64_t *x0);
bool rmi_is_fid(uint32_t fid);

/* Version negotiation of RMI and RSI: DEN0137 "Interface versioning". @offered: ascending, 0 ends. False: not one of
 * them. */
bool rmm_negotiate(const uint64_t *offered, uint64_t requested, uint64_t *lower, uint64_t *higher);

/* Feature register 0. */
uint64_t rmm_feature0(const Rmm *rmm);

RmmCpu *rmm_cpu(Rmm *rmm, const A64Cpu *cpu);

/* ---- entering and leaving Realms (enter.c) ---- */

/* realm_set_state - of the Realm with RD @rd, which tells of it. */
void realm_set_state(Realm *realm, uint64_t rd, RealmState state);

/* rec_tell - for whoever waits for it: the REC that runs on @cpu does so from now on, or leaves it with cpu->exit. */
void rec_tell(Rmm *rmm, const RmmCpu *cpu, const char *what);

/* rec_leave - the REC that runs on @cpu goes back to its granule with cpu->exit as news; the Normal world
 * goes on. */
void rec_leave(Rmm *rmm, RmmCpu *cpu);

/* rec_no_news - cpu->exit says nothing yet. */
void rec_no_news(RmmCpu *cpu);

/* rec_timers_changed - note which of the Realm's timers are asserted, masking those. True: it differs from
 * before. */
bool rec_timers_changed(A64Cpu *cpu);

/* ---- exceptions of a running REC (trap.c) ---- */

/* An exception to R-EL2. The CPU goes on in the Realm, or the REC has left. */
void realm_exception(Rmm *rmm, RmmCpu *cpu, const A64Exception *exc);

/* Exits to the host with a synthesised stage 2 translation fault at @ipa. */
void rec_exit_fault(RecExit *exit, uint64_t ipa, int level);

/* Completes the data abort that waits, as flags and gprs[0] of RmiRecEnter say. */
void rec_complete_mmio(Rec *rec, uint64_t value);
void rec_inject_sea(A64Cpu *cpu, uint64_t esr, uint64_t far);

/* ---- calls of Realms (rsi.c, psci.c) ---- */

/* realm_smc - the SMC of a REC. */
void realm_smc(Rmm *rmm, RmmCpu *cpu);

/* realm_psci - SMCCC and PSCI functions; their failure conditions are those of "psci_NAME". Returns RSI_SUCCESS with
 * call->out[0] as X0, or RSI_TO_HOST. False: unknown. */
bool realm_psci(Rmm *rmm, RsiCall *call, uint32_t fid, uint64_t *action);

/* A function of SMCCC or PSCI; first member of the rows that Realms (psci.c) and the Normal world (monitor.c) are
 * served from. */
typedef struct SmcFunction {
    uint32_t    fid;
    bool        smc64;  /* has an SMC64 form, too */
    uint8_t     n_args; /* from x1, at most SMC_MAX_ARGS */
    const char *name;
} SmcFunction;

enum { SMC_MAX_ARGS = 3 };
#define SMC_SMC64 BIT(30)

static inline bool smc_function_is(const SmcFunction *f, uint32_t fid)
{
    return f->fid == fid || (f->smc64 && (f->fid | SMC_SMC64) == fid);
}

/* DEN0028: an SMC32 call has 32-bit arguments. */
static inline uint64_t smc_argument(uint32_t fid, uint64_t x) { return fid & SMC_SMC64 ? x : (uint32_t)x; }

/* The @n-th function that is served, NULL past the last. */
const SmcFunction *realm_psci_function(size_t n);
const SmcFunction *monitor_function(size_t n);

/* realm_psci_find - the function that a Realm calls by @fid; NULL: there is none. */
const SmcFunction *realm_psci_find(uint32_t fid);

/* smc_tell - to whoever waits for EVENT_SMC: a call with the registers @x has got the answer @status, or will get one.
 * @f: NULL: there is no such function. */
void smc_tell(const A64Cpu *cpu, const uint64_t *x, const SmcFunction *f, uint64_t status, bool pending);

/* The answer of realm_map(). */
typedef enum RealmMap {
    REALM_MAPPED,
    REALM_MAP_EMPTY, /* RIPAS EMPTY or DEV: the Realm's mistake */
    REALM_MAP_FAULT, /* the host has to map a page first: cpu->exit is filled */
} RealmMap;

/* realm_map - the bytes at a protected @ipa (checked by the caller to be inside the PAR and not to cross a
 * page). */
RealmMap realm_map(Rmm *rmm, RmmCpu *cpu, const Realm *realm, uint64_t ipa, uint8_t **bytes);

/* realm_written - bytes of Realm memory were written through realm_map(). */
void realm_written(Rmm *rmm, const Realm *realm, uint64_t ipa, uint64_t len);

/* Inside RSI commands: *bytes of a buffer in the Realm, or the command ends as DEN0137 "RSI buffers" says. */
#define REQUIRE_REALM_BUFFER(ipa, bytes, name)                                                         \
    do {                                                                                               \
        RealmMap map_ = realm_map(rmm, call->cpu, call->realm, ipa, bytes);                            \
        if (map_ == REALM_MAP_FAULT) {                                                                 \
            return RSI_AGAIN;                                                                          \
        }                                                                                              \
        REQUIRE_OURS(map_ == REALM_MAPPED, RSI_ERROR_INPUT, name "_empty");                            \
    } while (0)

/* ---- measurement and attestation (measure.c, token.c) ---- */

/* Digest of a hash algorithm, zero-padded to RMM_HASH_MAX; returns its length. */
size_t measure(const Rmm *rmm, RmiHash hash, const void *data, size_t len, uint8_t out[RMM_HASH_MAX]);
size_t measure_len(RmiHash hash);
void   measure_realm(const Rmm *rmm, Realm *realm, const uint8_t params[RMM_GRANULE_SIZE]);
void   measure_data(const Rmm *rmm, Realm *realm, uint64_t ipa, uint64_t flags, const uint8_t *content);
void   measure_rec(const Rmm *rmm, Realm *realm, const uint8_t params[RMM_GRANULE_SIZE]);
void   measure_ripas(const Rmm *rmm, Realm *realm, uint64_t base, uint64_t top);
void   measure_extend(const Rmm *rmm, Realm *realm, unsigned index, const void *data, size_t len);

void attest_init(Rmm *rmm, uint64_t seed);

/* token_make - the CCA token of a Realm for a challenge; returns its length, 0 when the library failed. */
size_t token_make(Rmm *rmm, const Realm *realm, const uint8_t challenge[64], uint8_t *dst, size_t cap);

#endif
