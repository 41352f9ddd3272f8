/*
 * The firmware model: the EL3 monitor and the Realm Management Monitor, at their call boundary. An exception to EL3
 * or to R-EL2 lands here; guest memory is read and written through the same owner checks as anyone's. RMM
 * specification (Arm DEN0137) in the dialects of dialect.h; PSCI (DEN0022); SMCCC (DEN0028).
 *
 * State: what hardware reads (RTTs, the SMMU's Realm stream table) is architected and lives in guest memory. What
 * it does not read (RD, REC, PDEV, VDEV) has a layout of our own in the granules the host donated.
 */
#ifndef BAILEY_RMM_H
#define BAILEY_RMM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/a64/a64.h"
#include "entropy.h"
#include "memory.h"
#include "rmm/dialect.h"

typedef struct Rmm     Rmm;
typedef struct Monitor Monitor;

/* What the RMM needs of the platform besides memory and CPUs: root ports (through the monitor, as on hardware) and
 * the Realm side of the SMMU. A function left NULL means the platform has no such part: device commands then answer
 * that they are not supported. */
typedef struct RmmPlatform {
    void *opaque;

    /* IDE keys of a root port, as RMM_IDE_KEY_PROG, KEY_SET_GO, KEY_SET_STOP. @root: requester ID of the root port;
     * @substream 0 to 2; @tx: direction seen by the root port. False: no such port or stream. */
    bool (*ide_key_program)(void *opaque, uint32_t root, unsigned stream, unsigned key_set, bool tx,
                            unsigned substream, const uint8_t key[32], uint64_t iv);
    bool (*ide_key_go)(void *opaque, uint32_t root, unsigned stream, unsigned key_set, bool tx, unsigned substream);
    bool (*ide_key_stop)(void *opaque, uint32_t root, unsigned stream, unsigned key_set, bool tx,
                         unsigned substream);

    /* TDISP enable of the root port, and whether the registers of the stream are locked with it: RME-DA DVSEC,
     * control 1 and 2, which the host cannot write. False: no such port or stream. */
    bool (*tdisp_enable)(void *opaque, uint32_t root, unsigned stream, bool enable);

    /* The SMMU in front of PCIe: bases of its Non-secure register page, which says what it can do, and of its Realm
     * page (0: none), which the RMM programs by register writes in the Realm space; the stream ID of a requester. */
    uint64_t smmu_base, smmu_realm_base;
    uint32_t (*stream_id)(void *opaque, uint32_t requester);

    /* The address ranges of device memory that may be delegated (BAR windows). */
    uint64_t dev_base[2], dev_size[2];
} RmmPlatform;

/**
 * rmm_new - an RMM for a machine.
 * @carveout, @carveout_size: RAM that belongs to the RMM (Realm space): stream tables, command queue
 * @dialect: what it speaks
 */
Rmm *rmm_new(Memory *memory, A64Cpu **cpus, unsigned n_cpus, uint64_t carveout, uint64_t carveout_size,
             const RmmPlatform *platform, RmmDialectId dialect, uint64_t seed);
void rmm_free(Rmm *r);

/**
 * monitor_new - the EL3 monitor: SMC routing, PSCI for the Normal world, world switches, page owners.
 * It installs itself as the firmware of each CPU. CPU 0 is on, the others are off.
 */
Monitor *monitor_new(Rmm *rmm, Memory *memory, A64Cpu **cpus, unsigned n_cpus);
void     monitor_free(Monitor *m);

/* System events the monitor passes on: power off, reset. */
typedef enum MonitorEvent { MONITOR_SYSTEM_OFF, MONITOR_SYSTEM_RESET } MonitorEvent;
void monitor_on_event(Monitor *m, void (*fn)(void *opaque, MonitorEvent ev), void *opaque);

/* monitor_host_smc - the built-in host at NS-EL2 of @cpu issues an SMC: arguments and results in cpu->x[0..17]. For
 * RMI_REC_ENTER it returns true: the CPU now runs the Realm, and the results are in x[] when @cpu->cpu.party is set
 * again. Otherwise the call is complete. */
bool monitor_host_smc(Monitor *m, A64Cpu *cpu);

/* monitor_set_builtin_host - the built-in host stands at NS-EL2 of @cpu: REC exits set cpu->cpu.party instead of
 * resuming code. */
void monitor_set_builtin_host(Monitor *m, A64Cpu *cpu);

/* monitor_without_el2 - the Normal world starts at EL1 from now on: monitor_start() and CPU_ON. */
void monitor_without_el2(Monitor *m);

/**
 * monitor_start - let a CPU run Non-secure code at EL2 from @pc with x0 = @x0: how the board starts CPU 0 with
 * boot=host. Everything is masked, MMU and caches are off.
 */
void monitor_start(Monitor *m, A64Cpu *cpu, uint64_t pc, uint64_t x0);

/**
 * rmm_add_ipa_flush - a cache of translations through Realm translation tables, such as an SMMU behind its command
 * queue: told of every change that takes access away. CPUs need none, they are reached through the page owners.
 * @len: bytes from @ipa; ~0 with @ipa 0: everything of the VMID
 */
void rmm_add_ipa_flush(Rmm *r, void (*flush)(void *opaque, uint16_t vmid, uint64_t ipa, uint64_t len), void *opaque);

/* rmm_last_failure - the specification's label of the condition that made the last RMI or RSI command fail, NULL when
 * it succeeded; after REC_ENTER, of the RSI command that it finished. For tests and traces. */
const char *rmm_last_failure(const Rmm *r);

/* Calls made so far, for -result: @fn gets each command that was called at least once. */
void rmm_call_counts(const Rmm *r, void (*fn)(void *opaque, const char *name, uint64_t count), void *opaque);

/* Granules that are not the host's now, for -result: @fn gets each state that some granule has ("DELEGATED", "RD", ...)
 * with their number. A host that takes back all it gave leaves none. */
void rmm_granule_counts(const Rmm *r, void (*fn)(void *opaque, const char *state, uint64_t count), void *opaque);

/* ---- for those who look: a debugger, a monitor ---- */

/* A Realm, as its RD has it. */
typedef struct RmmRealm {
    uint64_t    rd;
    const char *state;    /* "NEW", "ACTIVE", "SYSTEM_OFF" */
    unsigned    vmid, ipa_bits, n_recs, n_vdevs;
    uint64_t    rtt_base;
    int         level_start;
    uint64_t    vtcr, vttbr; /* by which CPUs walk its tables */
    const uint8_t *rim;   /* its initial measurement, in the RD */
    size_t      rim_len;
} RmmRealm;

/* A REC; where it is not running, its registers as the RMM keeps them. */
typedef struct RmmRec {
    uint64_t    pa, rd, mpidr, pc, pstate;
    unsigned    index;
    bool        running, runnable;
    const char *pending;  /* what it waits for of its host: "NOTHING", "PSCI", ... */
} RmmRec;

/* rmm_realms, rmm_recs - each there is, by address. */
void rmm_realms(Rmm *r, void (*fn)(void *opaque, const RmmRealm *realm), void *opaque);
void rmm_recs(Rmm *r, void (*fn)(void *opaque, const RmmRec *rec), void *opaque);

/* rmm_realm_at - the Realm of an RD granule; false: it is none. */
bool rmm_realm_at(Rmm *r, uint64_t rd, RmmRealm *out);

/* rmm_running - the REC that CPU @cpu runs, and its Realm; false: it runs none. */
bool rmm_running(const Rmm *r, unsigned cpu, uint64_t *rec, uint64_t *rd);

/* Registers of a world that a CPU does not run now. */
typedef struct RmmBank {
    const uint64_t *x;  /* [31] */
    uint64_t pc, pstate;
    const A64El1Regs *el1;
    const A64El2Regs *el2; /* NULL: it has none */
} RmmBank;

/* rmm_bank - what CPU @cpu goes on with in the Normal world (PAS_NONSECURE) after the REC it runs, or in the Realm
 * world (PAS_REALM) with the REC that left it last. False: that is what it runs now, or there is no such state. Valid
 * until the machine runs again. */
bool rmm_bank(Rmm *r, unsigned cpu, Pas pas, RmmBank *out);

/* rmm_granules - runs of granules of one state that are not the host's, by address. */
void rmm_granules(Rmm *r, void (*fn)(void *opaque, uint64_t pa, uint64_t n, const char *state), void *opaque);

/* A PDEV and a VDEV. */
typedef struct RmmPdev {
    uint64_t    pa, id;
    const char *state; /* "NEW", "NEEDS_KEY", ... */
    unsigned    root_id, rid_base, rid_top, n_vdevs;
    bool        keyed; /* its IDE stream has keys */
} RmmPdev;

typedef struct RmmVdev {
    uint64_t    pa, rd, pdev, id, n_mapped; /* n_mapped: granules of device memory that the Realm has of it */
    const char *state;                      /* "NEW", "UNLOCKED", ... */
    unsigned    stream;                     /* of the SMMU */
    bool        dma;                        /* that stream is valid: it reaches the Realm's memory */
} RmmVdev;

/* rmm_pdevs, rmm_vdevs - each there is, by address. */
void rmm_pdevs(Rmm *r, void (*fn)(void *opaque, const RmmPdev *pdev), void *opaque);
void rmm_vdevs(Rmm *r, void (*fn)(void *opaque, const RmmVdev *vdev), void *opaque);

/* An entry of a Realm's translation table; runs of like ones are one. */
typedef struct RmmRttEntry {
    uint64_t    ipa, len, pa; /* pa: of the first byte, where it has one */
    int         level;
    const char *kind, *ripas; /* "ASSIGNED", ...; ripas NULL: it has none */
    bool        has_pa;
} RmmRttEntry;

/* rmm_rtt - the tables of the Realm at @rd from @ipa to @top: everything but UNASSIGNED entries that are EMPTY, or
 * unprotected. False: it is no Realm. */
bool rmm_rtt(Rmm *r, uint64_t rd, uint64_t ipa, uint64_t top, void (*fn)(void *opaque, const RmmRttEntry *e),
             void *opaque);

/* rmm_granule_state - the name of the state of the granule at @pa; "OUTSIDE": it is none. */
const char *rmm_granule_state(Rmm *r, uint64_t pa);

/* rmm_granule_state_name - of the @n-th state of granules; NULL past the last. */
const char *rmm_granule_state_name(unsigned n);

/* The test root of attestation: PEM text of the certificate that signs the platform key's (static string). */
const char *rmm_attest_root_pem(void);
/* The certificate of the platform's attestation key. */
const char *rmm_attest_platform_pem(void);

/* Where a failure condition, its label and its place among the others are from. */
typedef enum RmmSource {
    RMM_SPECIFICATION, /* the text of DEN0137, 1.0-rel0 */
    RMM_SUITE,         /* Arm's compliance suite and its document of scenarios, where there is no text */
    RMM_PEERS,         /* public firmware and kernels, where there is neither */
    RMM_DECISION,      /* ours */
    RMM_N_SOURCES
} RmmSource;

typedef struct RmmCondition {
    const char *label; /* "params_supp/sve": one of several reasons for params_supp */
    RmmSource   source;
} RmmCondition;

/* One function that is served, as docs/conformance.md shows it. */
typedef struct RmmFunction {
    const char *iface, *name; /* "RMI", "RSI"; "PSCI" of a Realm, "SMC" of the Normal world */
    uint32_t    fid;
    unsigned    dialects;     /* IN_* bits; never 0 */
    const RmmCondition *failures; /* that are checked, in their order */
    size_t      n_failures;
} RmmFunction;

/* Every function of every dialect; one number may be several of them. */
void rmm_conformance(void (*fn)(void *opaque, const RmmFunction *f), void *opaque);

#endif
