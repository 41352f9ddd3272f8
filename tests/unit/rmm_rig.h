/*
 * A machine for tests of the firmware model: 8 MiB of RAM, real CPUs and GIC, the RMM, the monitor, and a
 * host that is the test: it calls RMI as the built-in host does. world_*() build the Realm that most tests
 * start from.
 */
#ifndef BAILEY_TESTS_RMM_RIG_H
#define BAILEY_TESTS_RMM_RIG_H

#include "rmm/rmm_int.h"

enum { RIG_CPUS = 2, RIG_SEED = 7, RIG_PPI_PMU = 23 };
#define RIG_RAM      0x40000000ull
#define RIG_RAM_SIZE 0x00800000ull
#define RIG_CARVEOUT (RIG_RAM + RIG_RAM_SIZE - 0x100000)
#define PAGE(n)      (RIG_RAM + (uint64_t)(n) * 4096)

typedef struct Rig {
    Owners    *owners;
    Memory    *memory;
    Clock     *clock;
    CpuEngine *engine;
    Gic       *gic;
    Entropy    entropy;
    A64Cpu    *cpu[RIG_CPUS];
    Rmm       *rmm;
    Monitor   *monitor;
    uint8_t   *ram; /* host view */
    bool       da;  /* Realms of world_*() may have devices */
} Rig;

/* What the RMM of the next rig speaks; the default of -M at first. */
extern RmmDialectId rig_dialect;

Rig *rig_new(void);
/* rig_new_with - with more hardware: @plug adds it before the RMM starts, and says what the RMM is told of it. */
Rig *rig_new_with(void (*plug)(Rig *rig, RmmPlatform *platform, void *opaque), void *opaque);
void rig_free(Rig *rig);

static inline uint8_t *rig_bytes(const Rig *rig, uint64_t pa) { return rig->ram + (pa - RIG_RAM); }

/* One SMC by CPU 0's host; results stay in cpu[0]->x[]. Arguments from x1 on. Returns x0. */
#define rmi(rig, fid, ...) rig_smc(rig, 0, (const uint64_t[]){ SMC64_STD(fid), ##__VA_ARGS__ },           \
                                   sizeof((const uint64_t[]){ SMC64_STD(fid), ##__VA_ARGS__ }) / 8)
uint64_t rig_smc(Rig *rig, unsigned cpu, const uint64_t *x, size_t n);

/* rmi() that must succeed. */
#define rmi_ok(rig, fid, ...) assert_int_equal(rmi(rig, fid, ##__VA_ARGS__), RMI_SUCCESS)

/* The result of an SMC that made CPU @cpu run a Realm: runs until the host is back; returns x0. Fails the
 * test when the Realm runs for longer than @insns. */
uint64_t rig_run(Rig *rig, unsigned cpu, uint64_t insns);

void rig_delegate(Rig *rig, uint64_t pa, unsigned n);

/* ---- the usual world ---- */

/* Where its parts are. Pages not named are Non-secure and free. */
enum {
    W_RD = 0, W_ROOT = 1,
    W_L1 = 2, W_L2 = 3, W_L3 = 4,             /* protected tables at IPA 0 */
    W_NS_L1 = 5, W_NS_L2 = 6, W_NS_L3 = 7,    /* at IPA WORLD_NS */
    W_REC0 = 8, W_AUX0 = 9, W_REC1 = 10, W_AUX1 = 11,
    W_RD2 = 12, W_ROOT2 = 13, W_REC2 = 14, W_AUX2 = 15, /* another Realm */
    W_DATA = 16,                              /* 8 pages of DATA at IPA 0, RIPAS RAM */
    W_SPARE = 32,                             /* 16 delegated pages */
    W_PARAMS = 48, W_RUN = 49, W_SRC = 50, W_RUN1 = 51, W_FREE = 64,
};
enum { WORLD_BITS = 48, WORLD_DATA_PAGES = 8 };
#define WORLD_NS (1ull << (WORLD_BITS - 1))

/* world_params - RmiRealmParams in the parameter page. */
void world_params(Rig *rig, uint64_t rtt_base, uint16_t vmid, RmiHash hash);
void world_rec_params(Rig *rig, unsigned index, uint64_t pc, uint64_t aux, bool runnable);

/* Two Realms in state NEW with their tables, no RECs; the content of the data pages comes from @code (may be
 * NULL). */
void world_new(Rig *rig, const uint32_t *code, size_t n_words);
/* And the RECs: two and one; the Realms stay NEW. */
void world_recs(Rig *rig);

/* ---- A64 code ---- */

typedef struct Code {
    uint32_t word[1024];
    size_t   n;
} Code;

void code_word(Code *c, uint32_t word);
void code_mov(Code *c, unsigned reg, uint64_t value);
void code_smc(Code *c, uint32_t fid); /* mov x0, #fid; smc #0 */
void code_rsi(Code *c, uint32_t rsi);

#define A64_WFI    0xd503207fu
#define A64_SMC    0xd4000003u
#define A64_HVC    0xd4000002u
#define A64_B_SELF 0x14000000u
#define A64_LDR(rt, rn)   (0xf9400000u | (rn) << 5 | (rt))
#define A64_STR(rt, rn)   (0xf9000000u | (rn) << 5 | (rt))
#define A64_LDRSB(rt, rn) (0x39800000u | (rn) << 5 | (rt)) /* to 64 bits */
#define A64_STRH(rt, rn)  (0x79000000u | (rn) << 5 | (rt))
#define A64_STR_POST(rt, rn) (0xf8008400u | (rn) << 5 | (rt)) /* no syndrome */
#define A64_MOV(rd, rm)   (0xaa0003e0u | (rm) << 16 | (rd))
#define A64_BR(rn)        (0xd61f0000u | (rn) << 5)
#define A64_MRS(rt, enc)  (0xd5200000u | ((enc) & 0xffff) << 5 | (rt))
#define A64_MSR(rt, enc)  (0xd5000000u | ((enc) & 0xffff) << 5 | (rt))

/* Fields of the run page's exit block. */
uint64_t rig_exit(const Rig *rig, unsigned page, unsigned offset);
void     rig_enter(Rig *rig, unsigned page, unsigned offset, uint64_t value);

#endif
