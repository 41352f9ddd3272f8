/*
 * Isolation, by search: random interleavings of everybody who can reach memory or change who may (the Normal world on
 * either CPU, Realms on either CPU, Non-secure and Realm DMA through the SMMU, a hostile host's RMI calls) against a
 * small model of who owns what. The model says beforehand whether a call succeeds, whether an access gets through and
 * what it reads; after each step the RMM's granule states, page owners and translation tables must be the model's.
 *
 *   RMM=DIALECT SEED=N STEPS=N search_isolation     one run; without them, the fixed ones below
 *
 * What it holds true: nobody reads or writes a page that is not theirs; what a new owner finds is zero or what was
 * meant for it; every granule has exactly one state. A run repeats from its seed. A bug found keeps its seed in
 * found[], with the steps it needs.
 *
 * Realm A is there all the time; Realms B and C come and go, made of the same pages that the Normal world uses and
 * that A's memory comes from. There is a device: its interface is made of one of those pages for one of the Realms,
 * locked, started, unlocked, destroyed and given to another one, its keys refreshed, its connection made anew or lost
 * in the middle of a conversation; for Realm A its registers change hands, are mapped and validated. In 1.1-alp17 the
 * host moves the interface, and it may do DMA while it is started and its Realm says so; in 1.1-alp12 its Realm moves
 * it, the host may stop it, and it may do DMA while it is started. The host may give a conversation up.
 */
#include "tests/unit/rmm_dev_rig.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    POOL = 256, N_POOL = 72,            /* the pages that change hands */
    N_BUSY = 12,                        /* of them, those that do it most */
    FIXED_CODE = POOL + N_POOL,         /* the Normal world's code, always Non-secure, as are those that follow */
    FIXED_SRC, FIXED_PARAMS, FIXED_CMDQ, FIXED_EVTQ, FIXED_S2_L1, FIXED_S2_L2,
    FIXED_STILL,                        /* never delegated: what is kept of it is only dropped with its mapping */
    FIXED_STRTAB = 336,                 /* 32 KiB, for streams up to 511 */
    N_PAGES = FIXED_STRTAB + 8,
    N_REALMS = 3, N_SLOTS = 8, CODE_SLOT = -1,
    WORD = 0x100,                       /* of each page: what is read and written */
    SWEEP = 64,                         /* steps between two looks at everything */
    TRAIL = 24,                         /* steps shown when one goes wrong */
    NONE = -1,
    WIDE_1 = 0, WIDE_2 = 1, N_WIDE = 2, /* blocks by level - 1 */
    N_REGS = 4, N_REG_SLOTS = 4,        /* pages of the device's registers; where Realm A has them */
};

/* What a page is, in the model. */
typedef enum Use { USE_NS, USE_DELEGATED, USE_RD, USE_REC, USE_AUX, USE_RTT, USE_DATA, USE_VDEV } Use;

static const GranuleState granule_of_use[] = {
    [USE_NS] = GRANULE_NS, [USE_DELEGATED] = GRANULE_DELEGATED, [USE_RD] = GRANULE_RD, [USE_REC] = GRANULE_REC,
    [USE_AUX] = GRANULE_REC_AUX, [USE_RTT] = GRANULE_RTT, [USE_DATA] = GRANULE_DATA, [USE_VDEV] = GRANULE_VDEV,
};

/* A page of registers, and the interface they are of. */
typedef enum Regs { REGS_NS, REGS_DELEGATED, REGS_MAPPED } Regs;
typedef enum Interface { NO_VDEV, UNLOCKED, LOCKED, STARTED, FAILED, STOPPED } Interface; /* STOPPED: alp12 */

typedef struct Page {
    Use      use;
    uint64_t word;      /* USE_NS, USE_DATA: what the page holds at WORD */
} Page;

/* One protected page address of a Realm. */
typedef struct Slot {
    int   page;         /* NONE: unassigned */
    Ripas ripas;
} Slot;

/* Tables of one half below the Realm's level 1. */
typedef struct Tables {
    int   l2, l3;       /* pages; NONE */
    Ripas ripas2, ripas3; /* protected half: of the entry where the table of that level would hang */
} Tables;

typedef enum Life { LIFE_NONE, LIFE_NEW, LIFE_ACTIVE } Life;

typedef struct MRealm {
    Life     life;
    int      rd, root;
    Tables   low, high; /* protected half, unprotected half */
    Slot     code, slot[N_SLOTS];
    Ripas    rest;      /* of the other entries of the protected level 3 table */
    int      shared[N_SLOTS]; /* pages mapped at the unprotected addresses */
    bool     wide[N_WIDE];    /* a block of level 1 or 2 over all of the pool, Realm memory included */
    int      rec, aux;
    unsigned next_rec;
    uint64_t half;      /* first unprotected IPA */
    bool     fixed;     /* Realm A: has memory and tables that stay */
    bool     building;  /* whether its host wants it to be, or to go */
} MRealm;

typedef enum Actor { NS_CPU, NS_DMA, REALM_PRIVATE, REALM_SHARED, REALM_DMA, REALM_REGS, N_ACTORS } Actor;

static const char *const actor_names[] = { "normal world", "non-secure DMA", "Realm, its memory", "Realm, shared",
                                           "Realm DMA", "Realm, device registers" };

typedef struct World {
    DevRig  *d;
    Rig     *rig;
    Page     page[N_PAGES];
    MRealm   realm[N_REALMS];
    uint64_t rng, seed, step, steps, secret;
    char     trail[TRAIL][96];
    uint64_t nonce[3];              /* of the device: lock, measurements, report */
    uint64_t instances[N_REALMS];   /* 1.1-alp12: VDEVs that a Realm has had; the last is the one that is there */
    bool     dma;                   /* its Realm agrees to its DMA */
    Interface interface;
    int      vdev;                  /* its granule; NONE */
    int      owner;                 /* its Realm; 0 when there is none */
    Regs     regs[N_REGS];
    Slot     reg_slot[N_REG_SLOTS]; /* .page: of regs[] */
    uint64_t interfaces, connections; /* that were given up */
    uint64_t given;                 /* interfaces that Realms B and C had */
    uint64_t by_actor[N_ACTORS][2]; /* accesses that got through, and that did not */
    uint64_t lives;                 /* Realms that came and went */
} World;

static World w;

/* ---- numbers, and what to say ---- */

/* SplitMix64, so that a seed means the same everywhere. */
static uint64_t draw(void)
{
    uint64_t z = w.rng += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static unsigned below(unsigned n) { return (unsigned)(draw() >> 32) % n; }
static bool one_in(unsigned n) { return below(n) == 0; }
static bool rdev(void) { return rmm_dialects[rig_dialect].rdev; }
/* Some pages are busier than others, so that what is kept of them is often asked for again. */
static int any_page(void) { return POOL + (int)below(one_in(3) ? N_BUSY : N_POOL); }

/* A value that nobody has written before. */
static uint64_t fresh_secret(void) { return 0x5ec2e70000000000ull + ++w.secret; }

static void G_GNUC_PRINTF(1, 2) note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_vsnprintf(w.trail[w.step % TRAIL], sizeof(w.trail[0]), fmt, ap);
    va_end(ap);
}

static void G_GNUC_NORETURN G_GNUC_PRINTF(1, 2) broken(const char *fmt, ...)
{
    va_list  ap;
    uint64_t from = w.step < TRAIL ? 0 : w.step - TRAIL + 1;

    for (uint64_t s = from; s <= w.step; s++) {
        fprintf(stderr, "  step %" PRIu64 ": %s\n", s, w.trail[s % TRAIL]);
    }
    fprintf(stderr, "FAIL: RMM=%s SEED=%" PRIu64 " STEPS=%" PRIu64 ": ", rmm_dialects[rig_dialect].name, w.seed,
            w.step + 1);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    exit(1);
}

/* ---- the model's view ---- */

static MRealm *any_realm(void) { return &w.realm[below(N_REALMS)]; }
static int n_of(const MRealm *r) { return (int)(r - w.realm); }
static Slot *slot_of(MRealm *r, int i) { return i == CODE_SLOT ? &r->code : &r->slot[i]; }
static uint64_t slot_ipa(int i) { return i == CODE_SLOT ? 0 : 0x10000 + 0x1000 * (uint64_t)i; }
static uint64_t wide_ipa(const MRealm *r, int k) { return r->half + (k == WIDE_1 ? 1ull << 30 : 2ull << 20); }
static bool ns(int page) { return w.page[page].use == USE_NS; }
static bool delegated(int page) { return w.page[page].use == USE_DELEGATED; }

static int find_use(Use use)
{
    int at = any_page();

    for (int i = 0; i < N_POOL; i++) {
        int p = POOL + (at - POOL + i) % N_POOL;
        if (w.page[p].use == use) {
            return p;
        }
    }
    return NONE;
}

static bool assigned_any(const MRealm *r)
{
    bool any = r->fixed || r->code.page != NONE;

    for (int i = 0; i < N_SLOTS; i++) {
        any = any || r->slot[i].page != NONE;
    }
    return any;
}

static bool shared_any(const MRealm *r)
{
    bool any = false;

    for (int i = 0; i < N_SLOTS; i++) {
        any = any || r->shared[i] != NONE;
    }
    return any;
}

static void set_all_ripas(MRealm *r, Ripas ripas)
{
    r->rest = r->code.ripas = ripas;
    for (int i = 0; i < N_SLOTS; i++) {
        r->slot[i].ripas = ripas;
    }
}

/* A page back from a use: in the RMM's hands, its content gone. */
static void release(int page)
{
    if (page != NONE) {
        w.page[page].use = USE_DELEGATED;
    }
}

/* A page that comes into view must hold nothing. */
static void check_zero(int page, const char *to_whom)
{
    static const uint8_t zeros[4096];

    if (memcmp(rig_bytes(w.rig, PAGE(page)), zeros, sizeof(zeros)) != 0) {
        broken("page %d comes to %s with content of its old owner", page, to_whom);
    }
    w.page[page].word = 0;
}

/* The result of an RMI call against what the model says. */
static bool judge(uint64_t x0, bool expected)
{
    if ((x0 == RMI_SUCCESS) != expected) {
        const char *label = rmm_last_failure(w.rig->rmm);

        broken("the call returned 0x%" PRIx64 " (%s), the model says %s", x0, label != NULL ? label : "-",
               expected ? "success" : "failure");
    }
    return expected;
}

#define CALL(expected, fid, ...) judge(rmi(w.rig, fid, ##__VA_ARGS__), expected)

/* The interface, or, when there is none, some page that is none. */
static uint64_t vdev_pa(void) { return PAGE(w.interface != NO_VDEV ? w.vdev : any_page()); }
static bool has_vdev(const MRealm *r) { return w.interface != NO_VDEV && w.owner == n_of(r); }

/* ---- calls of the host ---- */

static void delegate(int p)
{
    note("delegate %d", p);
    if (CALL(ns(p), RMI_FID_GRANULE_DELEGATE, PAGE(p))) {
        w.page[p].use = USE_DELEGATED;
    }
}

static void undelegate(int p)
{
    note("undelegate %d", p);
    if (CALL(delegated(p), RMI_FID_GRANULE_UNDELEGATE, PAGE(p))) {
        w.page[p].use = USE_NS;
        check_zero(p, "the Normal world");
    }
}

/* Of a Realm that is not there: some page that is no RD. */
static uint64_t rd_of(const MRealm *r)
{
    int p = any_page();

    return r->life != LIFE_NONE ? PAGE(r->rd) : PAGE(w.page[p].use == USE_RD ? FIXED_SRC : p);
}

/* @src: a page of the pool, or the one with code. */
static void data_create(MRealm *r, int p, int i, int src)
{
    Slot    *s = slot_of(r, i);
    bool     ok = r->life == LIFE_NEW && delegated(p) && src != p && ns(src) && r->low.l3 != NONE && s->page == NONE;
    uint64_t word = w.page[src].word;

    note("data_create realm %d page %d slot %d from %d", n_of(r), p, i, src);
    if (CALL(ok, RMI_FID_DATA_CREATE, rd_of(r), PAGE(p), slot_ipa(i), PAGE(src), 0)) {
        w.page[p] = (Page){ USE_DATA, word };
        *s = (Slot){ p, RIPAS_RAM };
    }
}

static void data_create_unknown(MRealm *r, int p, int i)
{
    bool ok = r->life != LIFE_NONE && delegated(p) && r->low.l3 != NONE && r->slot[i].page == NONE;

    note("data_create_unknown realm %d page %d slot %d", n_of(r), p, i);
    if (CALL(ok, RMI_FID_DATA_CREATE_UNKNOWN, rd_of(r), PAGE(p), slot_ipa(i))) {
        w.page[p].use = USE_DATA;
        r->slot[i].page = p;
        check_zero(p, "a Realm");
    }
}

static void data_destroy(MRealm *r, int i)
{
    Slot *s = slot_of(r, i);
    bool  ok = r->life != LIFE_NONE && r->low.l3 != NONE && s->page != NONE;

    note("data_destroy realm %d slot %d", n_of(r), i);
    if (CALL(ok, RMI_FID_DATA_DESTROY, rd_of(r), slot_ipa(i))) {
        release(s->page);
        *s = (Slot){ NONE, s->ripas == RIPAS_EMPTY ? RIPAS_EMPTY : RIPAS_DESTROYED };
    }
}

/* Any page, whoever has it: the granule protection check is what stops the Realm. */
static void map_shared(MRealm *r, int i, int p)
{
    bool     ok = r->life != LIFE_NONE && r->high.l3 != NONE && r->shared[i] == NONE;
    uint64_t desc = PAGE(p) | (uint64_t)RTT_MEMATTR_NORMAL_WB << RTT_MEMATTR_LSB | 3ull << RTT_S2AP_LSB;

    note("map_unprotected realm %d slot %d page %d", n_of(r), i, p);
    if (CALL(ok, RMI_FID_RTT_MAP_UNPROTECTED, rd_of(r), r->half + slot_ipa(i), 3, desc)) {
        r->shared[i] = p;
    }
}

static void unmap_shared(MRealm *r, int i)
{
    bool ok = r->life != LIFE_NONE && r->high.l3 != NONE && r->shared[i] != NONE;

    note("unmap_unprotected realm %d slot %d", n_of(r), i);
    if (CALL(ok, RMI_FID_RTT_UNMAP_UNPROTECTED, rd_of(r), r->half + slot_ipa(i), 3)) {
        r->shared[i] = NONE;
    }
}

/* A block over the whole pool: what of it the Realm can reach is for the granule protection check to say, page by
 * page. */
static void map_wide(MRealm *r, int k)
{
    bool     ok = r->life != LIFE_NONE && (k == WIDE_1 || r->high.l2 != NONE) && !r->wide[k];
    uint64_t desc = RIG_RAM | (uint64_t)RTT_MEMATTR_NORMAL_WB << RTT_MEMATTR_LSB | 3ull << RTT_S2AP_LSB;

    note("map_unprotected realm %d block of level %d", n_of(r), k + 1);
    if (CALL(ok, RMI_FID_RTT_MAP_UNPROTECTED, rd_of(r), wide_ipa(r, k), (uint64_t)k + 1, desc)) {
        r->wide[k] = true;
    }
}

static void unmap_wide(MRealm *r, int k)
{
    bool ok = r->life != LIFE_NONE && r->wide[k];

    note("unmap_unprotected realm %d block of level %d", n_of(r), k + 1);
    if (CALL(ok, RMI_FID_RTT_UNMAP_UNPROTECTED, rd_of(r), wide_ipa(r, k), (uint64_t)k + 1)) {
        r->wide[k] = false;
    }
}

static void rtt_create(MRealm *r, int p, bool high, int level)
{
    Tables *t = high ? &r->high : &r->low;
    bool    ok = r->life != LIFE_NONE && delegated(p) &&
              (level == 2 ? t->l2 == NONE : t->l2 != NONE && t->l3 == NONE);

    note("rtt_create realm %d page %d %s level %d", n_of(r), p, high ? "high" : "low", level);
    if (!CALL(ok, RMI_FID_RTT_CREATE, rd_of(r), PAGE(p), high ? r->half : 0, (uint64_t)level)) {
        return;
    }
    w.page[p].use = USE_RTT;
    if (level == 2) {
        t->l2 = p;
        t->ripas3 = t->ripas2;
    } else {
        t->l3 = p;
        if (!high) {
            set_all_ripas(r, t->ripas3);
        }
    }
}

static void rtt_destroy(MRealm *r, bool high, int level)
{
    Tables *t = high ? &r->high : &r->low;
    bool    ok = r->life != LIFE_NONE &&
              (level == 2 ? t->l2 != NONE && t->l3 == NONE && !(r->fixed && !high)
                          : t->l3 != NONE && (high || !assigned_any(r)));

    note("rtt_destroy realm %d %s level %d", n_of(r), high ? "high" : "low", level);
    if (!CALL(ok, RMI_FID_RTT_DESTROY, rd_of(r), high ? r->half : 0, (uint64_t)level)) {
        return;
    }
    if (level == 2) {
        release(t->l2);
        t->l2 = NONE;
        t->ripas2 = RIPAS_DESTROYED;
        r->wide[WIDE_2] = r->wide[WIDE_2] && !high;
    } else {
        release(t->l3);
        t->l3 = NONE;
        t->ripas3 = RIPAS_DESTROYED;
        for (int i = 0; high && i < N_SLOTS; i++) {
            r->shared[i] = NONE;
        }
    }
}

static bool uniform(const MRealm *r)
{
    bool same = !assigned_any(r) && r->code.ripas == r->rest;

    for (int i = 0; i < N_SLOTS; i++) {
        same = same && r->slot[i].ripas == r->rest;
    }
    return same;
}

static void rtt_fold(MRealm *r, bool high)
{
    Tables *t = high ? &r->high : &r->low;
    bool    ok = r->life != LIFE_NONE && t->l3 != NONE && (high ? !shared_any(r) : uniform(r));

    note("rtt_fold realm %d %s", n_of(r), high ? "high" : "low");
    if (CALL(ok, RMI_FID_RTT_FOLD, rd_of(r), high ? r->half : 0, 3)) {
        release(t->l3);
        t->l3 = NONE;
        t->ripas3 = r->rest;
    }
}

static void init_ripas(MRealm *r, int first, int n)
{
    bool ok = r->life == LIFE_NEW && r->low.l3 != NONE && r->slot[first].page == NONE;

    note("init_ripas realm %d slots %d+%d", n_of(r), first, n);
    if (!CALL(ok, RMI_FID_RTT_INIT_RIPAS, rd_of(r), slot_ipa(first), slot_ipa(first + n))) {
        return;
    }
    int i = first;
    for (; i < first + n && r->slot[i].page == NONE; i++) {
        r->slot[i].ripas = RIPAS_RAM;
    }
    if (w.rig->cpu[0]->x[1] != slot_ipa(i)) {
        broken("RIPAS was set up to 0x%" PRIx64 ", the model says 0x%" PRIx64, w.rig->cpu[0]->x[1], slot_ipa(i));
    }
}

static uint8_t *params_page(void)
{
    uint8_t *p = rig_bytes(w.rig, PAGE(FIXED_PARAMS));

    memset(p, 0, 4096);
    return p;
}

static void realm_create(MRealm *r, int rd, int root)
{
    uint8_t *p = params_page();
    bool     ok = r->life == LIFE_NONE && rd != root && delegated(rd) && delegated(root);

    le64_put(p + RMI_REALM_FLAGS0, RMI_REALM_FLAG_DA);
    le32_put(p + RMI_REALM_S2SZ, 32);
    le32_put(p + RMI_REALM_NUM_BPS, 1);
    le32_put(p + RMI_REALM_NUM_WPS, 1);
    le16_put(p + RMI_REALM_VMID, (uint16_t)(10 + n_of(r)));
    le64_put(p + RMI_REALM_RTT_BASE, PAGE(root));
    le64_put(p + RMI_REALM_RTT_LEVEL_START, 1);
    le32_put(p + RMI_REALM_RTT_NUM_START, 1);
    note("realm_create %d rd %d root %d", n_of(r), rd, root);
    if (!CALL(ok, RMI_FID_REALM_CREATE, PAGE(rd), PAGE(FIXED_PARAMS))) {
        return;
    }
    w.page[rd].use = USE_RD;
    w.page[root].use = USE_RTT;
    *r = (MRealm){ .life = LIFE_NEW, .rd = rd, .root = root, .rec = NONE, .aux = NONE, .half = 1ull << 31,
                   .low = { NONE, NONE, RIPAS_EMPTY, RIPAS_EMPTY }, .high = { NONE, NONE, RIPAS_EMPTY, RIPAS_EMPTY },
                   .code = { NONE, RIPAS_EMPTY }, .building = r->building };
    w.instances[n_of(r)] = 0;
    for (int i = 0; i < N_SLOTS; i++) {
        r->slot[i] = (Slot){ NONE, RIPAS_EMPTY };
        r->shared[i] = NONE;
    }
}

static void realm_activate(MRealm *r)
{
    note("realm_activate %d", n_of(r));
    if (CALL(r->life == LIFE_NEW, RMI_FID_REALM_ACTIVATE, rd_of(r))) {
        r->life = LIFE_ACTIVE;
    }
}

static void realm_destroy(MRealm *r)
{
    bool ok = r->life != LIFE_NONE && !r->fixed && r->rec == NONE && r->low.l2 == NONE && r->high.l2 == NONE &&
              !has_vdev(r);

    note("realm_destroy %d", n_of(r));
    if (CALL(ok, RMI_FID_REALM_DESTROY, rd_of(r))) {
        release(r->rd);
        release(r->root);
        r->life = LIFE_NONE;
        w.lives++;
    }
}

static void rec_create(MRealm *r, int rec, int aux)
{
    uint8_t *p = params_page();
    bool     ok = r->life == LIFE_NEW && rec != aux && delegated(rec) && delegated(aux) && r->rec == NONE;

    le64_put(p + RMI_REC_FLAGS, RMI_REC_RUNNABLE);
    le64_put(p + RMI_REC_MPIDR, RMI_MPIDR_OF_INDEX(r->next_rec));
    le64_put(p + RMI_REC_NUM_AUX, 1);
    le64_put(p + RMI_REC_AUX, PAGE(aux));
    if (r->rec != NONE) { /* it would be another one; the model has one for each Realm */
        return;
    }
    note("rec_create realm %d rec %d aux %d", n_of(r), rec, aux);
    if (CALL(ok, RMI_FID_REC_CREATE, rd_of(r), PAGE(rec), PAGE(FIXED_PARAMS))) {
        w.page[rec].use = USE_REC;
        w.page[aux].use = USE_AUX;
        r->rec = rec;
        r->aux = aux;
        r->next_rec++;
    }
}

static void rec_destroy(MRealm *r)
{
    int rec = r->life != LIFE_NONE && r->rec != NONE && !r->fixed ? r->rec : any_page();

    note("rec_destroy %d", rec);
    if (!CALL(w.page[rec].use == USE_REC, RMI_FID_REC_DESTROY, PAGE(rec))) {
        return;
    }
    for (int i = 0; i < N_REALMS; i++) {
        if (w.realm[i].life != LIFE_NONE && w.realm[i].rec == rec) {
            release(rec);
            release(w.realm[i].aux);
            w.realm[i].rec = w.realm[i].aux = NONE;
        }
    }
}

/* ---- accesses ---- */

/* What became of one. */
typedef enum Outcome { REACHED, FAULTED, EXITED } Outcome;

/* The code of everybody: load or store at x1, then x5 is 1; a fault goes to 0xa00 and makes it 2. */
enum { CODE_LOAD = 0x00, CODE_STORE = 0x10, CODE_CALL = 0x20, CODE_VECTORS = 0x800, CODE_FAULT = 0xa00 };

static void write_code(uint8_t *page, uint32_t end)
{
    const uint32_t reached = 0xd2800025, faulted = 0xd2800045; /* mov x5, #1; mov x5, #2 */
    const struct { unsigned at; uint32_t word; } words[] = {
        { CODE_LOAD, A64_LDR(2, 1) }, { CODE_LOAD + 4, reached }, { CODE_LOAD + 8, end },
        { CODE_STORE, A64_STR(3, 1) }, { CODE_STORE + 4, reached }, { CODE_STORE + 8, end },
        { CODE_CALL, A64_SMC }, { CODE_CALL + 4, end },
        { CODE_FAULT, faulted }, { CODE_FAULT + 4, end },
    };

    memset(page, 0, 4096);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        le32_put(page + words[i].at, words[i].word);
    }
}

static void judge_access(Actor actor, Outcome got, Outcome expected, int page, bool write, uint64_t value,
                         uint64_t secret)
{
    static const char *const names[] = { "got through", "faulted", "exited to the host" };

    if (got != expected) {
        broken("the access %s, the model says it %s", names[got], names[expected]);
    }
    w.by_actor[actor][got != REACHED]++;
    if (got != REACHED) {
        return;
    }
    if (write) {
        w.page[page].word = secret;
    } else if (value != w.page[page].word) {
        broken("page %d was read as 0x%" PRIx64 ", the model says 0x%" PRIx64, page, value, w.page[page].word);
    }
}

/* Code at NS-EL2 of a CPU, MMU off: an address is physical. */
static void access_ns_cpu(int p, bool write)
{
    unsigned cpu = below(RIG_CPUS);
    A64Cpu  *c = w.rig->cpu[cpu];
    uint64_t used, secret = fresh_secret();

    note("normal world, cpu %u, %s page %d", cpu, write ? "writes" : "reads", p);
    c->pc = PAGE(FIXED_CODE) + (write ? CODE_STORE : CODE_LOAD);
    c->el2.vbar = PAGE(FIXED_CODE) + CODE_VECTORS;
    c->x[1] = PAGE(p) + WORD;
    c->x[3] = secret;
    c->x[2] = c->x[5] = 0;
    c->cpu.party = false;
    cpu_run(&c->cpu, clock_now(w.rig->clock), 4, &used);
    c->cpu.party = true;
    clock_advance(w.rig->clock, clock_now(w.rig->clock) + (int64_t)used);
    if (c->x[5] != 1 && c->x[5] != 2) {
        broken("the Normal world's code came to pc 0x%" PRIx64, c->pc);
    }
    judge_access(NS_CPU, c->x[5] == 1 ? REACHED : FAULTED, ns(p) ? REACHED : FAULTED, p, write, c->x[2], secret);
}

static bool can_run(const MRealm *r)
{
    return r->life == LIFE_ACTIVE && r->rec != NONE && r->code.page != NONE && r->code.ripas == RIPAS_RAM;
}

/* Runs the Realm's code from @pc until it waits or the host is needed; the reason of the exit. */
static uint64_t realm_run(MRealm *r, unsigned cpu)
{
    uint64_t x[] = { SMC64_STD(RMI_FID_REC_ENTER), PAGE(r->rec), PAGE(W_RUN) };

    memset(rig_bytes(w.rig, PAGE(W_RUN)), 0, 0x800);
    rig_enter(w.rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    if (rig_smc(w.rig, cpu, x, ARRAY_LEN(x)) != RMI_SUCCESS) {
        broken("the REC was not entered: %s", rmm_last_failure(w.rig->rmm));
    }
    return rig_exit(w.rig, W_RUN, RMI_EXIT_REASON);
}

/* The registers of a REC before it runs. */
static Rec *realm_prepare(MRealm *r, uint64_t pc)
{
    Rec *rec = rec_at(w.rig->rmm, PAGE(r->rec));

    memset(rec->x, 0, sizeof(rec->x));
    rec->pc = pc;
    rec->spsr = 0x3c5;
    rec->el1.vbar = CODE_VECTORS;
    return rec;
}

/* @ipa: of the access; what it must lead to: @page or NONE. */
static void access_realm(MRealm *r, Actor actor, uint64_t ipa, bool write, int page, Outcome expected)
{
    Rec     *rec = realm_prepare(r, write ? CODE_STORE : CODE_LOAD);
    uint64_t secret = fresh_secret();

    rec->x[1] = ipa + WORD;
    rec->x[3] = secret;
    if (realm_run(r, below(RIG_CPUS)) != RMI_EXIT_SYNC) {
        broken("the REC left for reason %" PRIu64, rig_exit(w.rig, W_RUN, RMI_EXIT_REASON));
    }
    judge_access(actor, rec->x[5] == 1 ? REACHED : rec->x[5] == 2 ? FAULTED : EXITED, expected, page, write,
                 rec->x[2], secret);
}

static void access_realm_private(MRealm *r, int i, bool write)
{
    const Slot *s = &r->slot[i];
    Outcome     expected = s->ripas == RIPAS_EMPTY ? FAULTED
                           : s->ripas == RIPAS_RAM && s->page != NONE ? REACHED : EXITED;

    note("realm %d %s slot %d", n_of(r), write ? "writes" : "reads", i);
    access_realm(r, REALM_PRIVATE, slot_ipa(i), write, s->page, expected);
}

static void access_realm_shared(MRealm *r, int i, bool write)
{
    int  p = r->shared[i];
    bool ok = p != NONE && ns(p);

    note("realm %d %s shared slot %d", n_of(r), write ? "writes" : "reads", i);
    access_realm(r, REALM_SHARED, r->half + slot_ipa(i), write, p, ok ? REACHED : EXITED);
}

static void access_realm_wide(MRealm *r, int k, int p, bool write)
{
    note("realm %d %s page %d through its block of level %d", n_of(r), write ? "writes" : "reads", p, k + 1);
    access_realm(r, REALM_SHARED, wide_ipa(r, k) + (PAGE(p) - RIG_RAM), write, p,
                 r->wide[k] && ns(p) ? REACHED : EXITED);
}

/* A REC that is to leave its news in a page that is not the host's. */
static void enter_with_run_page(MRealm *r, int p)
{
    if (r->life == LIFE_ACTIVE && r->rec != NONE && !ns(p)) {
        note("rec_enter realm %d with run page %d", n_of(r), p);
        CALL(false, RMI_FID_REC_ENTER, PAGE(r->rec), PAGE(p));
    }
}

/* One DMA access at @iova: T=1 through the tables of the device's Realm, T=0 through the host's, which map all memory
 * to itself. */
static void access_dma(bool trusted, uint64_t iova, bool write, int page, bool ok)
{
    DmaRequest req = { .requester = PAIR_FUNCTION, .trusted = trusted, .write = write, .iova = iova + WORD };
    DmaTarget  to = { 0 };
    uint64_t   value = 0, secret = fresh_secret();
    bool       got = smmu_translate(w.d->smmu, &req, &to) == DMA_OK;

    if (got) {
        MemAttrs attrs = { .pas = to.pas };

        got = (write ? memory_write(w.rig->memory, to.pa, attrs, &secret, 8)
                     : memory_read(w.rig->memory, to.pa, attrs, &value, 8)) == MEM_OK;
    }
    judge_access(trusted ? REALM_DMA : NS_DMA, got ? REACHED : FAULTED, ok ? REACHED : FAULTED, page, write, value,
                 secret);
}

static void access_ns_dma(int p, bool write)
{
    note("non-secure dma %s page %d", write ? "writes" : "reads", p);
    access_dma(false, PAGE(p), write, p, ns(p));
}

static void access_realm_dma(int i, bool shared, bool write)
{
    MRealm *r = &w.realm[w.owner];
    int     p = shared ? r->shared[i] : r->slot[i].page;
    bool    ok = w.dma && p != NONE && (shared ? ns(p) : r->slot[i].ripas == RIPAS_RAM);

    note("realm %d dma %s %s %d", w.owner, write ? "writes" : "reads", shared ? "shared slot" : "slot", i);
    access_dma(true, (shared ? r->half : 0) + slot_ipa(i), write, p, ok);
}

static void access_realm_dma_wide(int k, int p, bool write)
{
    MRealm *r = &w.realm[w.owner];

    note("realm %d dma %s page %d through the block of level %d", w.owner, write ? "writes" : "reads", p, k + 1);
    access_dma(true, wide_ipa(r, k) + (PAGE(p) - RIG_RAM), write, p, w.dma && r->wide[k] && ns(p));
}

/* A Realm allows its device DMA, or does so no longer; the host has to confirm which device is meant. */
static void allow_dma(MRealm *r, bool on)
{
    Rec      *rec = realm_prepare(r, CODE_CALL);
    unsigned  cpu = below(RIG_CPUS);
    RsiStatus expected = !has_vdev(r) ? RSI_ERROR_INPUT
                         : on && w.interface != STARTED ? RSI_ERROR_DEVICE : RSI_SUCCESS;

    note("realm %d %s dma", n_of(r), on ? "allows" : "forbids");
    rec->x[0] = SMC64_STD(on ? RSI_FID_VDEV_DMA_ENABLE : RSI_FID_VDEV_DMA_DISABLE);
    rec->x[1] = D_VDEV_ID;
    memcpy(rec->x + 4, w.nonce, on ? sizeof(w.nonce) : 0);
    if (realm_run(r, cpu) != RMI_EXIT_VDEV_REQUEST) {
        broken("the call did not ask the host which device is meant");
    }
    CALL(has_vdev(r), RMI_FID_VDEV_COMPLETE, PAGE(r->rec), vdev_pa());
    if (realm_run(r, cpu) != RMI_EXIT_SYNC || rec->x[0] != expected) {
        broken("the Realm got 0x%" PRIx64 " for it, the model says %d", rec->x[0], expected);
    }
    w.dma = expected == RSI_SUCCESS ? on : w.dma;
}

/* The Realm asks for another RIPAS of some slots, and the host agrees. DEN0137 "RIPAS change". */
static void change_ripas(MRealm *r, int first, int n, Ripas to, bool change_destroyed)
{
    Rec     *rec = realm_prepare(r, CODE_CALL);
    unsigned cpu = below(RIG_CPUS);
    int      i = first;

    note("realm %d sets slots %d+%d to RIPAS %d%s", n_of(r), first, n, to, change_destroyed ? ", destroyed too" : "");
    rec->x[0] = SMC64_STD(RSI_FID_IPA_STATE_SET);
    rec->x[1] = slot_ipa(first);
    rec->x[2] = slot_ipa(first + n);
    rec->x[3] = to;
    rec->x[4] = change_destroyed ? RSI_CHANGE_DESTROYED : 0;
    if (realm_run(r, cpu) != RMI_EXIT_RIPAS_CHANGE) {
        broken("IPA_STATE_SET did not leave for its reason");
    }
    for (; i < first + n && (change_destroyed || r->slot[i].ripas != RIPAS_DESTROYED); i++) {
        r->slot[i].ripas = to;
    }
    if (CALL(i != first, RMI_FID_RTT_SET_RIPAS, PAGE(r->rd), PAGE(r->rec), slot_ipa(first), slot_ipa(first + n)) &&
        w.rig->cpu[0]->x[1] != slot_ipa(i)) {
        broken("RIPAS was changed up to 0x%" PRIx64 ", the model says 0x%" PRIx64, w.rig->cpu[0]->x[1], slot_ipa(i));
    }
    if (realm_run(r, cpu) != RMI_EXIT_SYNC || rec->x[1] != slot_ipa(i)) {
        broken("the Realm was told of a change up to 0x%" PRIx64 ", the model says 0x%" PRIx64, rec->x[1], slot_ipa(i));
    }
}

/* ---- the invariants ---- */

static void check_page(int p)
{
    GranuleState state = granule_state(w.rig->rmm, PAGE(p));
    Owner        owner = owners_get(w.rig->owners, PAGE(p));

    if (state != granule_of_use[w.page[p].use] || owner != (ns(p) ? OWNER_NONSECURE : OWNER_REALM)) {
        broken("page %d is in granule state %d with owner %d, the model says use %d", p, state, owner, w.page[p].use);
    }
    if ((ns(p) || w.page[p].use == USE_DATA) && le64_get(rig_bytes(w.rig, PAGE(p)) + WORD) != w.page[p].word) {
        broken("page %d holds 0x%" PRIx64 ", the model says 0x%" PRIx64, p,
               le64_get(rig_bytes(w.rig, PAGE(p)) + WORD), w.page[p].word);
    }
}

static void check_entry(const MRealm *r, uint64_t ipa, bool table, RttEntry kind, int page, Ripas ripas)
{
    RttWalk  at = rtt_walk(w.rig->rmm, realm_at(w.rig->rmm, PAGE(r->rd)), ipa, RTT_LAST_LEVEL);
    RttValue v = rtt_get(&at);

    if (table && (at.level != RTT_LAST_LEVEL || v.kind != kind || v.ripas != ripas ||
                  (page != NONE && v.pa != PAGE(page)))) {
        broken("realm %d has another entry at 0x%" PRIx64 " than the model: level %d, kind %d, RIPAS %d", n_of(r), ipa,
               at.level, v.kind, v.ripas);
    }
    if (!table && at.level == RTT_LAST_LEVEL) {
        broken("realm %d has a table for 0x%" PRIx64 " that the model has not", n_of(r), ipa);
    }
}

static void check_realm(MRealm *r)
{
    for (int i = r->fixed ? 0 : CODE_SLOT; i < N_SLOTS; i++) {
        const Slot *s = slot_of(r, i);

        check_entry(r, slot_ipa(i), r->low.l3 != NONE, s->page != NONE ? RTT_ASSIGNED : RTT_UNASSIGNED, s->page,
                    s->ripas);
    }
    for (int i = 0; i < N_SLOTS; i++) {
        check_entry(r, r->half + slot_ipa(i), r->high.l3 != NONE,
                    r->shared[i] != NONE ? RTT_ASSIGNED_NS : RTT_UNASSIGNED_NS, r->shared[i], RIPAS_EMPTY);
    }
}

/* ---- the device ---- */

static uint64_t reg_pa(int i) { return D_BAR + 0x1000 * (uint64_t)i; }
static uint64_t reg_ipa(int i) { return D_IPA + 0x1000 * (uint64_t)i; }

static bool regs_mapped(void)
{
    bool any = false;

    for (int i = 0; i < N_REG_SLOTS; i++) {
        any = any || w.reg_slot[i].page != NONE;
    }
    return any;
}

static void regs_delegate(int i)
{
    note("delegate registers %d", i);
    if (CALL(w.regs[i] == REGS_NS, RMI_FID_GRANULE_DELEGATE, reg_pa(i))) {
        w.regs[i] = REGS_DELEGATED;
    }
}

static void regs_undelegate(int i)
{
    note("undelegate registers %d", i);
    if (CALL(w.regs[i] == REGS_DELEGATED, RMI_FID_GRANULE_UNDELEGATE, reg_pa(i))) {
        w.regs[i] = REGS_NS;
    }
}

static void regs_map(int at, int i)
{
    bool ok = (rdev() || has_vdev(&w.realm[0])) && w.regs[i] == REGS_DELEGATED && w.reg_slot[at].page == NONE;

    note("map registers %d at %d", i, at);
    if (rdev() ? CALL(ok, RMI_FID_DEV_MEM_MAP, PAGE(W_RD), reg_ipa(at), 3, reg_pa(i))
               : CALL(ok, RMI_FID_VDEV_MAP, PAGE(W_RD), vdev_pa(), reg_ipa(at), 3, reg_pa(i))) {
        w.regs[i] = REGS_MAPPED;
        w.reg_slot[at].page = i;
    }
}

static void regs_unmap(int at)
{
    Slot *s = &w.reg_slot[at];

    note("unmap registers at %d", at);
    if (CALL(s->page != NONE, rdev() ? RMI_FID_DEV_MEM_UNMAP : RMI_FID_VDEV_UNMAP, PAGE(W_RD), reg_ipa(at), 3)) {
        w.regs[s->page] = REGS_DELEGATED;
        *s = (Slot){ NONE, s->ripas == RIPAS_EMPTY ? RIPAS_EMPTY : RIPAS_DESTROYED };
    }
}

static void regs_unmap_all(void)
{
    for (int i = 0; i < N_REG_SLOTS; i++) {
        if (w.reg_slot[i].page != NONE) {
            regs_unmap(i);
        }
    }
}

/* The Realm wants page @i of the registers at @at, and the host says that it is there, or that it cannot. */
static void regs_validate(int at, int i)
{
    MRealm   *a = &w.realm[0];
    Rec      *rec = realm_prepare(a, CODE_CALL);
    Slot     *s = &w.reg_slot[at];
    unsigned  cpu = below(RIG_CPUS);
    bool      asks = has_vdev(a) && (w.interface == LOCKED || w.interface == STARTED);
    bool      ok = s->page == i && s->ripas == RIPAS_EMPTY;
    uint64_t  x[] = { SMC64_STD(RSI_FID_VDEV_VALIDATE_MAPPING), D_VDEV_ID, reg_ipa(at), reg_ipa(at + 1), reg_pa(i), 0 };

    note("realm 0 validates registers %d at %d", i, at);
    memcpy(rec->x, x, sizeof(x));
    memcpy(rec->x + 6, w.nonce, sizeof(w.nonce));
    if (realm_run(a, cpu) != RMI_EXIT_VDEV_REQUEST) {
        broken("the call did not ask the host which device is meant");
    }
    CALL(has_vdev(a), RMI_FID_VDEV_COMPLETE, PAGE(a->rec), vdev_pa());
    if (realm_run(a, cpu) != (asks ? (uint64_t)RMI_EXIT_VDEV_MAP : (uint64_t)RMI_EXIT_SYNC)) {
        broken("the mapping was %s the host", asks ? "not asked of" : "asked of");
    }
    if (!asks) {
        return;
    }
    if (CALL(ok, RMI_FID_VDEV_VALIDATE_MAPPING, PAGE(W_RD), PAGE(a->rec), PAGE(D_PDEV), vdev_pa(), reg_ipa(at),
             reg_ipa(at + 1))) {
        s->ripas = RIPAS_DEV;
    }
    if (realm_run(a, cpu) != RMI_EXIT_SYNC || rec->x[0] != RSI_SUCCESS || rec->x[1] != reg_ipa(ok ? at + 1 : at)) {
        broken("the Realm was told of a mapping up to 0x%" PRIx64, rec->x[1]);
    }
}

/* The Realm gives up an address where registers were. */
static void regs_forget(int at)
{
    MRealm   *a = &w.realm[0];
    Rec      *rec = realm_prepare(a, CODE_CALL);
    unsigned  cpu = below(RIG_CPUS);
    uint64_t  x[] = { SMC64_STD(RSI_FID_IPA_STATE_SET), reg_ipa(at), reg_ipa(at + 1), RIPAS_EMPTY,
                      RSI_CHANGE_DESTROYED };

    if (w.reg_slot[at].page != NONE) {
        return;
    }
    note("realm 0 forgets registers at %d", at);
    memcpy(rec->x, x, sizeof(x));
    if (realm_run(a, cpu) != RMI_EXIT_RIPAS_CHANGE) {
        broken("IPA_STATE_SET did not leave for its reason");
    }
    CALL(true, RMI_FID_RTT_SET_RIPAS, PAGE(W_RD), PAGE(a->rec), reg_ipa(at), reg_ipa(at + 1));
    w.reg_slot[at].ripas = RIPAS_EMPTY;
    (void)realm_run(a, cpu);
}

/* The registers read as their offset. */
static void access_regs(int at, bool write)
{
    const Slot *s = &w.reg_slot[at];
    Rec        *rec = realm_prepare(&w.realm[0], write ? CODE_STORE : CODE_LOAD);
    Outcome     expected = s->ripas == RIPAS_EMPTY ? FAULTED : s->ripas == RIPAS_DEV ? REACHED : EXITED;

    note("realm 0 %s registers at %d", write ? "writes" : "reads", at);
    rec->x[1] = reg_ipa(at) + WORD;
    if (realm_run(&w.realm[0], below(RIG_CPUS)) != RMI_EXIT_SYNC) {
        broken("the REC left for reason %" PRIu64, rig_exit(w.rig, W_RUN, RMI_EXIT_REASON));
    }
    Outcome got = rec->x[5] == 1 ? REACHED : rec->x[5] == 2 ? FAULTED : EXITED;
    if (got != expected || (got == REACHED && !write && rec->x[2] != reg_pa(s->page) - D_BAR + WORD)) {
        broken("registers: outcome %d, value 0x%" PRIx64 ", the model says %d", got, rec->x[2], expected);
    }
    w.by_actor[REALM_REGS][got != REACHED]++;
}

/* The conversation that a command has begun. */
static void converse(bool vdev)
{
    if (dev_converse(w.d, vdev) != RMI_SUCCESS) {
        broken("a conversation with the device failed");
    }
}

static void vdev_create(MRealm *r, int p)
{
    bool ok = w.interface == NO_VDEV && r->life != LIFE_NONE && delegated(p);

    note("vdev_create realm %d page %d", n_of(r), p);
    dev_vdev_params(w.d);
    if (CALL(ok, RMI_FID_VDEV_CREATE, rd_of(r), PAGE(D_PDEV), PAGE(p), PAGE(D_PARAMS))) {
        w.page[p].use = USE_VDEV;
        w.vdev = p;
        w.owner = n_of(r);
        w.d->vdev = PAGE(p);
        w.d->rd = PAGE(r->rd);
        w.interface = UNLOCKED;
        w.instances[w.owner]++;
        w.given += !r->fixed;
        if (!rdev()) {
            converse(true);
        }
    }
}

/* LOCK, START, UNLOCK; of the Realm that has it, but now and then of another one. */
static void vdev_move(uint32_t fid, bool ok, Interface to)
{
    MRealm *r = one_in(8) ? any_realm() : &w.realm[w.owner];

    note("vdev 0x%x of realm %d", fid, n_of(r));
    if (CALL(ok && has_vdev(r), fid, rd_of(r), PAGE(D_PDEV), vdev_pa())) {
        w.dma = false; /* that of a lock ends with the call, not when the device has answered */
        access_realm_dma((int)below(N_SLOTS), false, one_in(2));
        if (one_in(8)) {
            CALL(true, RMI_FID_VDEV_ABORT, vdev_pa());
            w.interface = FAILED;
        } else {
            w.interface = to; /* a lock too, in whatever state the last one who had it has left the device */
            converse(true);
        }
        const Vdev *v = dev_vdev(w.d);
        w.nonce[0] = v->lock_nonce;
        w.nonce[1] = v->meas_nonce;
        w.nonce[2] = v->report_nonce;
    }
}

static void vdev_destroy(void)
{
    MRealm *r = one_in(8) ? any_realm() : &w.realm[w.owner];
    bool    ok = has_vdev(r) && (rdev() ? w.interface == STOPPED
                                        : (w.interface == UNLOCKED || w.interface == FAILED) && !regs_mapped());

    note("vdev_destroy of realm %d", n_of(r));
    if (CALL(ok, RMI_FID_VDEV_DESTROY, rd_of(r), PAGE(D_PDEV), vdev_pa())) {
        release(w.vdev);
        w.vdev = NONE;
        w.owner = 0;
        w.interface = NO_VDEV;
        w.interfaces++;
    }
}

/* New keys, with DMA under way or not. */
static void key_refresh(void)
{
    note("key_refresh");
    CALL(true, rdev() ? RMI_FID_PDEV_NOTIFY : RMI_FID_PDEV_IDE_KEY_REFRESH, PAGE(D_PDEV), 0);
    if (w.interface != NO_VDEV) {
        access_realm_dma((int)below(N_SLOTS), false, one_in(2));
    }
    converse(false);
}

static void ide_reset(void)
{
    note("ide_reset");
    if (CALL(w.interface == NO_VDEV, RMI_FID_PDEV_IDE_RESET, PAGE(D_PDEV))) {
        converse(false);
    }
}

/* The device is given up, and connected anew with the same granules. */
static void pdev_again(void)
{
    note("pdev_stop");
    if (!CALL(w.interface == NO_VDEV, RMI_FID_PDEV_STOP, PAGE(D_PDEV))) {
        return;
    }
    converse(false);
    CALL(true, RMI_FID_PDEV_DESTROY, PAGE(D_PDEV));
    for (unsigned page = D_PDEV; page < D_PDEV2; page++) {
        static const uint8_t zeros[4096];

        if (granule_state(w.rig->rmm, PAGE(page)) != GRANULE_DELEGATED ||
            memcmp(rig_bytes(w.rig, PAGE(page)), zeros, sizeof(zeros)) != 0) {
            broken("page %u of the PDEV keeps something", page);
        }
    }
    dev_pdev_params(w.d, D_AUX);
    dev_go_to(w.d, STAGE_READY);
    w.connections++;
}

/* What a lost session leaves: nothing to do but to take everything away. */
static void connection_lost(void)
{
    unsigned status = RMI_COMM_NONE;
    bool     more;

    note("connection lost");
    if (w.interface != LOCKED) {
        return;
    }
    CALL(true, RMI_FID_VDEV_START, rd_of(&w.realm[w.owner]), PAGE(D_PDEV), vdev_pa());
    if (dev_communicate(w.d, true, &status, &more) != RMI_SUCCESS || !more) {
        broken("the device was not asked to start");
    }
    CALL(true, RMI_FID_VDEV_ABORT, vdev_pa());
    w.interface = FAILED;
    access_realm_dma((int)below(N_SLOTS), false, one_in(2));
    CALL(false, RMI_FID_PDEV_IDE_KEY_REFRESH, PAGE(D_PDEV), 0);
    regs_unmap_all();
    while (w.interface != NO_VDEV) {
        vdev_destroy();
    }
    pdev_again();
}

/* ---- the device as 1.1-alp12 has it: the Realm moves it ---- */

/* The host ends the VDEV's use. */
static void vdev_stop(void)
{
    note("vdev_stop");
    if (CALL(w.interface != NO_VDEV && w.interface != STOPPED, RMI_FID_VDEV_STOP, vdev_pa())) {
        w.dma = false;
        w.interface = STOPPED;
        access_realm_dma((int)below(N_SLOTS), false, one_in(2)); /* not first when the device has answered */
        converse(true);
    }
}

/* RSI_RDEV_*: the instance that the Realm means; now and then an older one, which is none any more. */
static uint64_t rdev_call(MRealm *r, uint32_t fid, uint64_t *instance)
{
    Rec *rec = realm_prepare(r, CODE_CALL);

    *instance = w.instances[n_of(r)] - one_in(16);
    rec->x[0] = SMC64_STD(fid);
    rec->x[1] = D_VDEV_ID;
    rec->x[2] = *instance;
    return realm_run(r, below(RIG_CPUS));
}

static bool rdev_is_there(const MRealm *r, uint64_t instance)
{
    return has_vdev(r) && instance == w.instances[n_of(r)];
}

static uint64_t realm_x(const MRealm *r, unsigned n) { return rec_at(w.rig->rmm, PAGE(r->rec))->x[n]; }

static void rdev_look(MRealm *r)
{
    static const uint8_t states[] = { [UNLOCKED] = RSI_RDEV_UNLOCKED, [LOCKED] = RSI_RDEV_LOCKED,
                                      [STARTED] = RSI_RDEV_STARTED, [FAILED] = RSI_RDEV_ERROR,
                                      [STOPPED] = RSI_RDEV_STOPPED };
    uint64_t instance, reason = rdev_call(r, RSI_FID_RDEV_GET_STATE, &instance);
    bool     there = rdev_is_there(r, instance);

    note("realm %d looks at its device", n_of(r));
    if (reason != RMI_EXIT_SYNC || realm_x(r, 0) != (there ? RSI_SUCCESS : RSI_ERROR_INPUT) ||
        (there && realm_x(r, 1) != states[w.interface])) {
        broken("the Realm was told 0x%" PRIx64 ", state %" PRIu64 " of its device", realm_x(r, 0), realm_x(r, 1));
    }
}

/* RSI_RDEV_CONTINUE until the conversation is over. The host may give it up before it begins. */
static bool rdev_converse(void)
{
    MRealm  *r = &w.realm[w.owner];
    unsigned status = RMI_COMM_NONE, cpu = below(RIG_CPUS);
    bool     gives_up = one_in(8), more = true;

    do {
        Rec *rec = realm_prepare(r, CODE_CALL);

        rec->x[0] = SMC64_STD(RSI_FID_RDEV_CONTINUE);
        rec->x[1] = D_VDEV_ID;
        rec->x[2] = w.instances[w.owner];
        if (realm_run(r, cpu) != RMI_EXIT12_VDEV_COMM) {
            broken("RDEV_CONTINUE did not leave for its reason");
        }
        if (gives_up) {
            CALL(true, RMI_FID_VDEV_ABORT, vdev_pa());
            more = false;
        } else if (dev_communicate(w.d, true, &status, &more) != RMI_SUCCESS) {
            broken("a conversation with the device failed");
        }
        if (more) { /* as before: all changes at the end, or before the beginning */
            access_realm_dma((int)below(N_SLOTS), false, one_in(2));
        }
        if (realm_run(r, cpu) != RMI_EXIT_SYNC ||
            rec->x[0] != (more ? RSI_INCOMPLETE : gives_up ? RSI_ERROR_DEVICE : RSI_SUCCESS)) {
            broken("the Realm was told 0x%" PRIx64 " of the conversation", rec->x[0]);
        }
    } while (more);
    return !gives_up;
}

/* RSI_RDEV_LOCK, START, STOP, of the Realm that has it, but now and then of another one. The host names the VDEV, or
 * not, or another page. */
static void rdev_move(uint32_t fid, bool ok, Interface to)
{
    MRealm  *r = one_in(8) ? any_realm() : &w.realm[w.owner];

    if (!can_run(r)) {
        return;
    }
    uint64_t instance, reason = rdev_call(r, fid, &instance);
    int      named = one_in(8) ? any_page() : NONE;
    bool     names = !one_in(16), there = rdev_is_there(r, instance);

    note("realm %d calls 0x%x", n_of(r), fid);
    if (!ok || !there) {
        if (reason != RMI_EXIT_SYNC || realm_x(r, 0) != (there ? RSI_ERROR_DEVICE : RSI_ERROR_INPUT)) {
            broken("exit %" PRIu64 ", the Realm got 0x%" PRIx64, reason, realm_x(r, 0));
        }
        return;
    }
    if (reason != RMI_EXIT_VDEV_REQUEST) {
        broken("the call did not ask the host which device is meant");
    }
    bool right = names && (named == NONE || named == w.vdev);
    if (names) {
        CALL(right, RMI_FID_VDEV_COMPLETE, PAGE(r->rec), named == NONE ? vdev_pa() : PAGE(named));
    }
    if (realm_run(r, below(RIG_CPUS)) != RMI_EXIT_SYNC || realm_x(r, 0) != (right ? RSI_SUCCESS : RSI_ERROR_INPUT)) {
        broken("the Realm got 0x%" PRIx64 " for it", realm_x(r, 0));
    }
    if (!right) {
        return;
    }
    w.dma = w.dma && to != UNLOCKED; /* a STOP ends it at once */
    w.interface = rdev_converse() ? to : FAILED;
    w.dma = w.interface == STARTED;
}

/* As regs_validate(); the host may stop the device before it says so. */
static void rdev_validate(int at, int i)
{
    MRealm   *a = &w.realm[0];
    Rec      *rec = realm_prepare(a, CODE_CALL);
    Slot     *s = &w.reg_slot[at];
    unsigned  cpu = below(RIG_CPUS);
    uint64_t  x[] = { SMC64_STD(RSI_FID_RDEV_VALIDATE_MAPPING), D_VDEV_ID, w.instances[0], reg_ipa(at), reg_ipa(at + 1),
                      reg_pa(i), 0 };
    bool      asks = has_vdev(a) && (w.interface == LOCKED || w.interface == STARTED);

    note("realm 0 validates registers %d at %d", i, at);
    memcpy(rec->x, x, sizeof(x));
    uint64_t reason = realm_run(a, cpu);
    if (!asks) {
        if (reason != RMI_EXIT_SYNC || rec->x[0] != (has_vdev(a) ? RSI_ERROR_DEVICE : RSI_ERROR_INPUT)) {
            broken("exit %" PRIu64 ", the Realm got 0x%" PRIx64, reason, rec->x[0]);
        }
        return;
    }
    if (reason != RMI_EXIT12_DEV_MEM_MAP) {
        broken("the mapping was not asked of the host");
    }
    if (one_in(32)) {
        vdev_stop();
    }
    bool ok = w.interface != STOPPED && s->page == i && s->ripas == RIPAS_EMPTY;
    if (CALL(ok, RMI_FID_RTT_DEV_MEM_VALIDATE, PAGE(W_RD), PAGE(a->rec), reg_ipa(at), reg_ipa(at + 1))) {
        s->ripas = RIPAS_DEV;
    }
    if (realm_run(a, cpu) != RMI_EXIT_SYNC || rec->x[0] != RSI_SUCCESS || rec->x[1] != reg_ipa(ok ? at + 1 : at)) {
        broken("the Realm was told of a mapping up to 0x%" PRIx64, rec->x[1]);
    }
}

static void check_device(void)
{
    static const GranuleState states[] = { [REGS_NS] = GRANULE_DEV_NS, [REGS_DELEGATED] = GRANULE_DEV_DELEGATED,
                                           [REGS_MAPPED] = GRANULE_DEV_MAPPED };

    for (int i = 0; i < N_REGS; i++) {
        Owner owner = owners_get(w.rig->owners, reg_pa(i));

        if (granule_state(w.rig->rmm, reg_pa(i)) != states[w.regs[i]] ||
            owner != (w.regs[i] == REGS_NS ? OWNER_NONSECURE : OWNER_REALM)) {
            broken("registers %d are in granule state %d with owner %d, the model says %d", i,
                   granule_state(w.rig->rmm, reg_pa(i)), owner, w.regs[i]);
        }
    }
    for (int i = 0; i < N_REG_SLOTS; i++) {
        const Slot *s = &w.reg_slot[i];
        RttWalk     at = rtt_walk(w.rig->rmm, realm_at(w.rig->rmm, PAGE(W_RD)), reg_ipa(i), RTT_LAST_LEVEL);
        RttValue    v = rtt_get(&at);

        if (v.kind != (s->page != NONE ? RTT_ASSIGNED_DEV : RTT_UNASSIGNED) || v.ripas != s->ripas ||
            (s->page != NONE && v.pa != reg_pa(s->page))) {
            broken("registers at %d: kind %d, RIPAS %d, the model says page %d, RIPAS %d", i, v.kind, v.ripas, s->page,
                   s->ripas);
        }
    }
    if (w.vdev != NONE) {
        check_page(w.vdev);
    }
}

/* Each page has one user in the model, so that a disagreement of model and RMM shows above. */
static void check_all(void)
{
    for (int p = POOL; p < POOL + N_POOL; p++) {
        check_page(p);
    }
    for (int i = 0; i < N_REALMS; i++) {
        if (w.realm[i].life != LIFE_NONE) {
            check_realm(&w.realm[i]);
        }
    }
    check_device();
}

/* ---- the actors ---- */

/* The next thing that a Realm under construction needs; what it has not is delegated first. */
static void build(MRealm *r)
{
    int p = find_use(USE_DELEGATED), q = find_use(USE_DELEGATED);

    if (p == NONE || p == q) {
        delegate(find_use(USE_NS) != NONE ? find_use(USE_NS) : any_page());
    } else if (r->life == LIFE_NONE) {
        realm_create(r, p, q);
    } else if (r->low.l2 == NONE || r->low.l3 == NONE) {
        rtt_create(r, p, false, r->low.l2 == NONE ? 2 : 3);
    } else if (r->high.l2 == NONE || r->high.l3 == NONE) {
        rtt_create(r, p, true, r->high.l2 == NONE ? 2 : 3);
    } else if (r->life == LIFE_NEW && r->code.page == NONE) {
        data_create(r, p, CODE_SLOT, FIXED_SRC);
    } else if (r->life == LIFE_NEW && r->rec == NONE) {
        rec_create(r, p, q);
    } else if (r->life == LIFE_NEW && !one_in(4)) {
        init_ripas(r, (int)below(4), 1 + (int)below(4));
    } else if (r->life == LIFE_NEW) {
        realm_activate(r);
    } else if (!can_run(r)) {
        r->building = false; /* it has lost what cannot come back */
    } else {
        data_create_unknown(r, p, (int)below(N_SLOTS));
    }
}

/* The interface's way out of its Realm. */
static void take_back(void)
{
    if (w.interface == STOPPED || (!rdev() && (w.interface == UNLOCKED || w.interface == FAILED))) {
        vdev_destroy();
    } else if (rdev()) {
        vdev_stop();
    } else {
        vdev_move(RMI_FID_VDEV_UNLOCK, true, UNLOCKED);
    }
}

static void tear_down(MRealm *r)
{
    if (r->life == LIFE_NONE) {
        r->building = true;
    } else if (r->rec != NONE) {
        rec_destroy(r);
    } else if (r->low.l3 != NONE && assigned_any(r)) {
        int i = CODE_SLOT;

        while (slot_of(r, i)->page == NONE) {
            i++;
        }
        data_destroy(r, i);
    } else if (r->low.l2 != NONE) {
        rtt_destroy(r, false, r->low.l3 != NONE ? 3 : 2);
    } else if (r->high.l2 != NONE) {
        rtt_destroy(r, true, r->high.l3 != NONE ? 3 : 2);
    } else if (has_vdev(r) && !one_in(4)) {
        take_back();
    } else {
        realm_destroy(r);
    }
}

/* A host that means well with its Realms. */
static void host_step(void)
{
    MRealm *r = &w.realm[1 + below(N_REALMS - 1)];

    if (one_in(400)) {
        r->building = !r->building;
    }
    if (r->building) {
        build(r);
    } else {
        tear_down(r);
    }
}

/* A host that does not care: any call with any of the things there are. */
static void hostile_step(void)
{
    MRealm *r = any_realm();
    int     p = any_page(), q = any_page(), i = (int)below(N_SLOTS);
    bool    high = one_in(2);

    switch (below(18)) {
    case 0: case 1: delegate(p); break;
    case 2: case 3: undelegate(p); break;
    case 4: data_create(r, p, i, one_in(2) ? q : FIXED_SRC); break;
    case 5: data_create_unknown(r, p, i); break;
    case 6: data_destroy(r, i); break;
    case 7: map_shared(r, i, p); break;
    case 8: unmap_shared(r, i); break;
    case 9: rtt_create(r, p, high, 2 + (int)below(2)); break;
    case 10: rtt_fold(r, high); break;
    case 11: init_ripas(r, (int)below(4), 1 + (int)below(4)); break;
    case 12:
        if (!r->fixed && one_in(4)) {
            realm_create(r, p, q);
        }
        break;
    case 13: realm_destroy(r); break;
    case 14:
        if (one_in(8)) {
            rtt_destroy(r, high, 2 + (int)below(2));
        } else if (one_in(8) && !r->fixed) {
            rec_destroy(r);
        }
        break;
    case 15: map_wide(r, (int)below(N_WIDE)); break;
    case 16:
        if (one_in(3)) {
            unmap_wide(r, (int)below(N_WIDE));
        } else {
            enter_with_run_page(r, p);
        }
        break;
    default:
        if (!r->fixed && one_in(16)) {
            rec_create(r, p, q);
        } else if (one_in(64)) {
            realm_activate(r);
        } else if (!r->fixed && one_in(64)) {
            data_destroy(r, CODE_SLOT);
        }
        break;
    }
}

/* Memory of Realms comes and goes: what the host does most of the time. It keeps some pages delegated. */
static void memory_step(void)
{
    MRealm *r = any_realm();
    int     i = (int)below(N_SLOTS), p = find_use(USE_DELEGATED), free = 0;

    for (int q = POOL; q < POOL + N_POOL; q++) {
        free += delegated(q);
    }
    if (free > N_POOL / 6) {
        undelegate(p);
        return;
    }
    if (r->life == LIFE_NONE) {
        return;
    }
    if (can_run(r) && one_in(16)) {
        if (rdev()) {
            rdev_look(r);
        } else {
            allow_dma(r, !w.dma || one_in(4));
        }
        return;
    }
    switch (below(5)) {
    case 0:
        if (p != NONE) {
            data_create_unknown(r, p, i);
        }
        break;
    case 1: data_destroy(r, i); break;
    case 2: map_shared(r, i, any_page()); break;
    case 3: unmap_shared(r, i); break;
    default:
        if (can_run(r)) {
            change_ripas(r, (int)below(4), 1 + (int)below(4), one_in(3) ? RIPAS_EMPTY : RIPAS_RAM, one_in(2));
        }
        break;
    }
}

static void access_step(void)
{
    MRealm *r = any_realm();
    bool    write = one_in(2);
    int     i = (int)below(N_SLOTS);

    switch (below(8)) {
    case 0: access_ns_cpu(any_page(), write); break;
    case 1: access_ns_dma(any_page(), write); break;
    case 2: access_realm_dma(i, one_in(3), write); break;
    case 3: access_realm_dma_wide((int)below(N_WIDE), one_in(4) ? FIXED_STILL : any_page(), write); break;
    default:
        if (can_run(r) && one_in(4)) {
            access_realm_wide(r, (int)below(N_WIDE), one_in(4) ? FIXED_STILL : any_page(), write);
        } else if (can_run(r) && one_in(3)) {
            access_realm_shared(r, i, write);
        } else if (can_run(r)) {
            access_realm_private(r, i, write);
        }
        break;
    }
}

/* The life of the interface: on to STARTED half of the time, else in any order; DMA and mappings go with it. */
static void interface_step(void)
{
    int p = find_use(USE_DELEGATED);

    switch (w.interface != STARTED && one_in(2) ? (unsigned)w.interface : below(8)) {
    case 0: vdev_create(any_realm(), p != NONE && !one_in(8) ? p : any_page()); break;
    case 1: vdev_move(RMI_FID_VDEV_LOCK, w.interface == UNLOCKED, LOCKED); break;
    case 2: vdev_move(RMI_FID_VDEV_START, w.interface == LOCKED, STARTED); break;
    case 3:
        if (!one_in(4)) {
            regs_unmap_all();
        }
        vdev_move(RMI_FID_VDEV_UNLOCK, w.interface != UNLOCKED && !regs_mapped(), UNLOCKED);
        break;
    case 4: vdev_destroy(); break;
    case 5: key_refresh(); break;
    case 6: one_in(4) ? connection_lost() : ide_reset(); break;
    default:
        if (w.interface != NO_VDEV || one_in(2)) {
            pdev_again();
        }
        break;
    }
}

/* The same in 1.1-alp12. */
static void rdev_step(void)
{
    static const uint8_t onwards[] = { [NO_VDEV] = 0, [UNLOCKED] = 1, [LOCKED] = 2, [FAILED] = 3, [STOPPED] = 5 };
    int                  p = find_use(USE_DELEGATED);

    switch (w.interface != STARTED && one_in(2) ? onwards[w.interface] : below(9)) {
    case 0: vdev_create(any_realm(), p != NONE && !one_in(8) ? p : any_page()); break;
    case 1: rdev_move(RSI_FID_RDEV_LOCK, w.interface == UNLOCKED, LOCKED); break;
    case 2: rdev_move(RSI_FID_RDEV_START, w.interface == LOCKED, STARTED); break;
    case 3: rdev_move(RSI_FID_RDEV_STOP, w.interface != STOPPED, UNLOCKED); break;
    case 4: vdev_stop(); break;
    case 5: vdev_destroy(); break;
    case 6: key_refresh(); break;
    case 7: ide_reset(); break;
    default:
        if (w.interface != NO_VDEV || one_in(2)) {
            pdev_again();
        }
        break;
    }
}

static void device_step(void)
{
    int at = (int)below(N_REG_SLOTS), i = (int)below(N_REGS), mapped = w.reg_slot[at].page;

    switch (below(10)) {
    case 0: regs_delegate(i); break;
    case 1: regs_undelegate(i); break;
    case 2: regs_map(at, i); break;
    case 3: regs_unmap(at); break;
    case 4: case 5: (rdev() ? rdev_validate : regs_validate)(at, mapped != NONE && !one_in(4) ? mapped : i); break;
    case 6: regs_forget(at); break;
    case 7: (rdev() ? rdev_step : interface_step)(); break;
    default: access_regs(at, one_in(2)); break;
    }
}

static void step(void)
{
    unsigned n = below(100);

    note("nothing");
    if (n < 45) {
        access_step();
    } else if (n < 65) {
        memory_step();
    } else if (n < 78) {
        hostile_step();
    } else if (n < 84) {
        device_step();
    } else {
        host_step();
    }
    check_page(any_page());
    if (w.step % SWEEP == 0) {
        check_all();
    }
}

/* ---- the start ---- */

static void smmu_set(unsigned off, unsigned size, uint64_t v)
{
    smmu_ns_ops.write(w.d->smmu, off, size, (MemAttrs){ .pas = PAS_NONSECURE }, v);
}

/* Arm IHI 0070: a linear stream table whose entry for the device has stage 2 tables that map RAM to itself. */
static void start_ns_smmu(void)
{
    enum { CR0 = 0x20, CR2 = 0x2c, STRTAB_BASE = 0x80, STRTAB_BASE_CFG = 0x88, CMDQ_BASE = 0x90, EVENTQ_BASE = 0xa0 };
    uint8_t *ste = rig_bytes(w.rig, PAGE(FIXED_STRTAB)) + 64 * PAIR_FUNCTION;
    uint8_t *l1 = rig_bytes(w.rig, PAGE(FIXED_S2_L1)), *l2 = rig_bytes(w.rig, PAGE(FIXED_S2_L2));

    le64_put(l1 + 8 * (RIG_RAM >> 30), PAGE(FIXED_S2_L2) | 3);
    for (unsigned i = 0; i < RIG_RAM_SIZE >> 21; i++) {
        le64_put(l2 + 8 * i, (RIG_RAM + ((uint64_t)i << 21)) | 1ull << 10 | 3ull << 8 | 3ull << 6 | 0xfull << 2 | 1);
    }
    le64_put(ste + 16, 1 | 25ull << 32 | 1ull << 38 | 5ull << 48 | 1ull << 51 | 1ull << 58);
    le64_put(ste + 24, PAGE(FIXED_S2_L1));
    le64_put(ste, 1 | 6 << 1);
    smmu_set(CR2, 4, 2);
    smmu_set(STRTAB_BASE, 8, PAGE(FIXED_STRTAB));
    smmu_set(STRTAB_BASE_CFG, 4, 9);
    smmu_set(CMDQ_BASE, 8, PAGE(FIXED_CMDQ) | 3);
    smmu_set(EVENTQ_BASE, 8, PAGE(FIXED_EVTQ) | 3);
    smmu_set(CR0, 4, 0xd);
}

/* Realm A's device: locked, looked at, started. */
static void start_device(void)
{
    enum { INFO_IPA = 0x5200 };
    const uint8_t *info = rig_bytes(w.rig, PAGE(W_DATA + 5)) + 0x200;

    w.instances[0] = 1;
    if (rdev()) {
        dev_go_to(w.d, STAGE_STARTED);
        w.dma = true;
        return;
    }
    dev_go_to(w.d, STAGE_LOCKED);
    rmi_ok(w.rig, RMI_FID_VDEV_GET_INTERFACE_REPORT, PAGE(W_RD), PAGE(D_PDEV), PAGE(D_VDEV));
    assert_int_equal(dev_converse(w.d, true), RMI_SUCCESS);
    dev_measure_params(w.d, RMI_MEASURE_SIGNED);
    rmi_ok(w.rig, RMI_FID_VDEV_GET_MEASUREMENTS, PAGE(W_RD), PAGE(D_PDEV), PAGE(D_VDEV), PAGE(D_PARAMS));
    assert_int_equal(dev_converse(w.d, true), RMI_SUCCESS);
    assert_int_equal(dev_rsi_done(w.d, RSI_FID_VDEV_GET_INFO, D_VDEV_ID, INFO_IPA), RSI_SUCCESS);
    rmi_ok(w.rig, RMI_FID_VDEV_START, PAGE(W_RD), PAGE(D_PDEV), PAGE(D_VDEV));
    assert_int_equal(dev_converse(w.d, true), RMI_SUCCESS);
    w.nonce[0] = le64_get(info + RSI_VDEV_INFO_LOCK_NONCE);
    w.nonce[1] = le64_get(info + RSI_VDEV_INFO_MEAS_NONCE);
    w.nonce[2] = le64_get(info + RSI_VDEV_INFO_REPORT_NONCE);
}

static void start(uint64_t seed, uint64_t steps)
{
    w = (World){ .seed = seed, .steps = steps, .rng = seed };
    w.d = dev_rig_new();
    w.rig = w.d->rig;
    start_device();
    start_ns_smmu();
    write_code(rig_bytes(w.rig, PAGE(W_DATA)), A64_WFI);
    memory_dirty(w.rig->memory, PAGE(W_DATA), 4096);
    write_code(rig_bytes(w.rig, PAGE(FIXED_SRC)), A64_WFI);
    write_code(rig_bytes(w.rig, PAGE(FIXED_CODE)), A64_B_SELF);
    MRealm *a = &w.realm[0];
    *a = (MRealm){ .life = LIFE_ACTIVE, .fixed = true, .rd = W_RD, .root = W_ROOT, .rec = W_REC0, .aux = W_AUX0,
                   .half = WORLD_NS, .low = { W_L2, W_L3, RIPAS_EMPTY, RIPAS_EMPTY },
                   .high = { W_NS_L2, W_NS_L3, RIPAS_EMPTY, RIPAS_EMPTY }, .code = { W_DATA, RIPAS_RAM } };
    for (int i = 0; i < N_SLOTS; i++) {
        a->slot[i] = (Slot){ NONE, RIPAS_EMPTY };
        a->shared[i] = NONE;
    }
    for (int i = 1; i < N_REALMS; i++) {
        w.realm[i].building = true;
    }
    rmi_ok(w.rig, RMI_FID_RTT_CREATE, PAGE(W_RD), PAGE(D_L2), D_IPA, 3);
    for (int i = 0; i < N_REG_SLOTS; i++) {
        w.reg_slot[i] = (Slot){ NONE, RIPAS_EMPTY };
    }
    w.interface = STARTED;
    w.vdev = D_VDEV;
    w.page[D_VDEV].use = USE_VDEV;
}

static void search(RmmDialectId dialect, uint64_t seed, uint64_t steps)
{
    rig_dialect = dialect;
    start(seed, steps);
    for (w.step = 0; w.step < steps; w.step++) {
        step();
    }
    check_all();
    printf("%s, seed %" PRIu64 ": %" PRIu64 " steps, %" PRIu64 " Realms, %" PRIu64 " VDEVs (%" PRIu64
           " of Realms that come and go), %" PRIu64 " connections came and went; accesses that got through and not:",
           rmm_dialects[dialect].name, seed, steps, w.lives, w.interfaces, w.given, w.connections);
    for (unsigned a = 0; a < N_ACTORS; a++) {
        printf(" %s %" PRIu64 "/%" PRIu64 "%s", actor_names[a], w.by_actor[a][0], w.by_actor[a][1],
               a + 1 < N_ACTORS ? "," : "\n");
    }
    dev_rig_free(w.d);
}

/* Seeds of every test run, and those that once found something, with the step at which they did. */
static const struct {
    RmmDialectId dialect;
    uint64_t     seed, steps;
    const char  *what;
} found[] = {
    { RMM_1_1_ALP17, 1, 60000, "every run" }, { RMM_1_1_ALP17, 2, 60000, "every run" },
    { RMM_1_1_ALP17, 3, 60000, "every run" }, { RMM_1_1_ALP12, 1, 60000, "every run" },
    { RMM_1_1_ALP12, 2, 60000, "every run" }, { RMM_1_1_ALP12, 3, 60000, "every run" },
};

static void test_isolation(void **state)
{
    const char   *rmm = getenv("RMM"), *seed = getenv("SEED"), *steps = getenv("STEPS");
    RmmDialectId  dialect;
    GError       *error = NULL;

    if (!rmm_dialect_parse(rmm, &dialect, &error)) {
        fail_msg("%s", error->message);
    }
    if (!rmm_dialects[dialect].da) {
        fail_msg("RMM=%s: the search needs a dialect with devices", rmm);
    }
    if (rmm != NULL || seed != NULL || steps != NULL) {
        search(dialect, seed != NULL ? g_ascii_strtoull(seed, NULL, 0) : 1,
               steps != NULL ? g_ascii_strtoull(steps, NULL, 0) : 100000);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        search(found[i].dialect, found[i].seed, found[i].steps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_isolation) };

    return cmocka_run_group_tests_name("isolation", tests, NULL, NULL);
}
