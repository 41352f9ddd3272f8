/*
 * The MMU: random tables against a second walker that is written here from the tables of Arm DDI 0487 and
 * shares no code with mmu.c; then rows of single faults with the syndrome each must have; then TLB
 * maintenance by effect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "a64_machine.h"

/* ---- random numbers and the pool of tables ---- */

enum { POOL = TEST_RAM, POOL_SIZE = 4 << 20 };

static uint64_t seed = 88172645463325252ull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull;
}

static bool one_in(unsigned n) { return (rnd() >> 20) % n == 0; }

/* Any descriptor may be met at any level of either stage; most lead on. */
static uint64_t random_descriptor(void)
{
    uint64_t d = (POOL + (rnd() >> 8) % POOL_SIZE) & ~0xffffull;

    d |= rnd() & 0x07f8000000000ffcull; /* attributes */
    d |= rnd() & rnd() & rnd() & 0xf880000000000000ull;
    d |= one_in(4) ? 0 : 1ull << 6; /* EL0; at stage 2 readable */
    d |= one_in(40) ? 0 : 1;
    d |= one_in(8) ? 0 : 2;
    d |= one_in(10) ? 0 : 1ull << 10;
    d |= one_in(300) ? 1ull << 28 : 0; /* no memory there */
    d |= one_in(200) ? 1ull << (40 + rnd() % 8) : 0;
    return d;
}

static void fill_pool(TestMachine *t)
{
    static uint64_t block[8192];

    for (uint64_t pa = POOL; pa < POOL + POOL_SIZE; pa += sizeof(block)) {
        for (unsigned i = 0; i < ARRAY_LEN(block); i++) {
            block[i] = random_descriptor();
        }
        memory_write(t->memory, pa, (MemAttrs){ .pas = PAS_ROOT }, block, sizeof(block));
    }
}

/* ---- the second walker ---- */

typedef struct Ref {
    TestMachine *t;
    A64Request   req;
    /* writes it would make; later reads see them */
    struct {
        uint64_t pa, value;
    } written[16];
    unsigned n_written;
    /* result */
    A64FaultKind fault;
    int          level;
    bool         stage2, s1ptw;
    uint64_t     pa, ipa;
    Pas          pas;
    bool         r, w, x, device, guarded;
} Ref;

static const int shifts[3][4] = { { 39, 30, 21, 12 }, { 47, 36, 25, 14 }, { 99, 42, 29, 16 } };
static const int widths[3] = { 9, 11, 13 };
static const int ps_bits[8] = { 32, 36, 40, 42, 44, 48, 48, 48 };

static unsigned bits(uint64_t v, int hi, int lo) { return (unsigned)(v >> lo & ((2ull << (hi - lo)) - 1)); }

static bool ref_fail(Ref *r, A64FaultKind kind, int level, bool stage2)
{
    r->fault = kind;
    r->level = level;
    r->stage2 = stage2;
    return false;
}

static bool ref_read(Ref *r, uint64_t pa, Pas pas, int level, bool stage2, uint64_t *desc)
{
    if (!owners_allow(r->t->owners, pa, pas)) {
        return ref_fail(r, A64_FAULT_GPF_WALK, level, stage2);
    }
    if (pa < TEST_RAM || pa >= TEST_RAM + TEST_RAM_SIZE) {
        return ref_fail(r, A64_FAULT_WALK_ABORT, level, stage2);
    }
    *desc = test_peek64(r->t, pa);
    for (unsigned i = 0; i < r->n_written; i++) {
        *desc = r->written[i].pa == pa ? r->written[i].value : *desc;
    }
    return true;
}

static void ref_write(Ref *r, uint64_t pa, uint64_t value)
{
    assert_true(r->n_written < ARRAY_LEN(r->written));
    r->written[r->n_written].pa = pa;
    r->written[r->n_written++].value = value;
}

/* Stage 2 of @ipa; kind of access 'r', 'w', 'x'. On success *pa, *pas and the rights. */
static bool ref_stage2(Ref *r, uint64_t ipa, Pas ipa_pas, char kind, bool walk, uint64_t *pa, Pas *pas, bool rights[3],
                       bool *s2_device)
{
    A64Cpu  *cpu = r->t->cpu;
    bool     secure = r->req.security == PAS_SECURE, s_ipa = secure && ipa_pas == PAS_SECURE;
    uint64_t tcr = s_ipa ? cpu->el2.vstcr : cpu->el2.vtcr;
    uint64_t base = s_ipa ? cpu->el2.vsttbr : cpu->el2.vttbr;
    int      tg = bits(tcr, 15, 14), g = tg == 2 ? 1 : tg == 1 ? 2 : 0;
    int      ia = 64 - (int)bits(tcr, 5, 0), oa = ps_bits[bits(cpu->el2.vtcr, 18, 16)];
    int      sl0 = bits(tcr, 7, 6), start = g == 0 ? (sl0 == 3 ? 3 : 2 - sl0) : 3 - sl0;
    Pas      table = r->req.security, output = r->req.security;

    r->ipa = ipa;
    if (secure) {
        bool sw = cpu->el2.vstcr >> 29 & 1, sa = (cpu->el2.vstcr >> 30 & 1) || sw;
        bool nsw = (cpu->el2.vtcr >> 29 & 1) || sw, nsa = (cpu->el2.vtcr >> 30 & 1) || nsw || sa;
        table = (s_ipa ? sw : nsw) ? PAS_NONSECURE : PAS_SECURE;
        output = (s_ipa ? sa : nsa) ? PAS_NONSECURE : PAS_SECURE;
    }
    if (ia > 48 || ia < (g == 2 ? 17 : 16) || (g != 0 && sl0 == 3) || ia <= shifts[g][start] ||
        ia > shifts[g][start] + widths[g] + 4 || ipa >> ia != 0) {
        return ref_fail(r, A64_FAULT_TRANSLATION, 0, true);
    }
    if ((base & 0xffffffffffffull) >> oa != 0) {
        return ref_fail(r, A64_FAULT_ADDR_SIZE, 0, true);
    }
    int align = ia - shifts[g][start] + 3;
    base = (base & 0xffffffffffffull) >> (align < 4 ? 4 : align) << (align < 4 ? 4 : align);
    for (int level = start;; level++) {
        int      shift = shifts[g][level];
        uint64_t index = level == start ? ipa >> shift : (ipa >> shift) & ((1ull << widths[g]) - 1), d;
        uint64_t at = base + index * 8;
        if (!ref_read(r, at, table, level, true, &d)) {
            return false;
        }
        bool is_table = level < 3 && (d & 3) == 3;
        bool is_leaf = level == 3 ? (d & 3) == 3 : (d & 3) == 1 && (level == 2 || (level == 1 && g == 0));
        if (!is_table && !is_leaf) {
            return ref_fail(r, A64_FAULT_TRANSLATION, level, true);
        }
        int      low = is_table ? shifts[g][3] : shift;
        uint64_t out = (d & 0xffffffffffffull) >> low << low;
        if (out >> oa != 0) {
            return ref_fail(r, A64_FAULT_ADDR_SIZE, level, true);
        }
        if (is_table) {
            base = out;
            continue;
        }
        bool ha = cpu->el2.vtcr >> 21 & 1, hd = ha && (cpu->el2.vtcr >> 22 & 1), dbm = hd && (d >> 51 & 1);
        if (!(d >> 10 & 1) && !ha) {
            return ref_fail(r, A64_FAULT_ACCESS, level, true);
        }
        *pas = r->req.security == PAS_REALM && (d >> 55 & 1) ? PAS_NONSECURE : output;
        static const char exec[4][3] = { "YY", "YN", "NN", "NY" }; /* EL0, EL1 */
        bool x = exec[bits(d, 54, 53)][r->req.user ? 0 : 1] == 'Y' &&
                 !(r->req.security == PAS_REALM && *pas == PAS_NONSECURE);
        unsigned attr = bits(d, 5, 2);
        *s2_device = cpu->el2.hcr & HCR_FWB ? (attr & 4) == 0 : (attr & 12) == 0;
        rights[0] = d >> 6 & 1;
        rights[1] = (d >> 7 & 1) || dbm;
        rights[2] = x;
        bool ok = kind == 'r' ? rights[0] : kind == 'w' ? rights[1] : rights[0] && rights[2];
        if (!ok || (walk && (cpu->el2.hcr & HCR_PTW) && *s2_device)) {
            return ref_fail(r, A64_FAULT_PERMISSION, level, true);
        }
        uint64_t now = d | 1 << 10 | (dbm && kind == 'w' ? 1 << 7 : 0);
        if (now != d) {
            ref_write(r, at, now);
        }
        rights[1] = now >> 7 & 1;
        *pa = out | (ipa & ((1ull << low) - 1));
        return true;
    }
}

static bool ref_s2_on(const Ref *r)
{
    const A64Cpu *cpu = r->t->cpu;
    bool          el2 = r->req.security != PAS_SECURE || (cpu->el3.scr & SCR_EEL2);

    return r->req.regime == A64_REGIME_EL10 && el2 && (cpu->el2.hcr & HCR_VM) && !(cpu->el2.hcr & HCR_TGE);
}

static bool ref_table(Ref *r, uint64_t at, Pas pas, char kind, uint64_t *real, Pas *real_pas)
{
    bool rights[3], device;

    *real = at;
    *real_pas = pas;
    if (ref_s2_on(r) && !ref_stage2(r, at, pas, kind, true, real, real_pas, rights, &device)) {
        r->s1ptw = true;
        return false;
    }
    return true;
}

/* Rights of a stage 1 leaf: "Stage 1 data accesses and instruction execution". */
static void ref_rights(Ref *r, uint64_t d, unsigned ap_table, bool xn_table, bool pxn_table, uint64_t sctlr, bool two,
                       bool hd)
{
    bool writable = !(ap_table & 2) && (!(d >> 7 & 1) || (hd && (d >> 51 & 1)));
    bool el0 = (d >> 6 & 1) && !(ap_table & 1);
    bool uxn = (d >> 54 & 1) || xn_table, pxn = (d >> 53 & 1) || pxn_table;
    bool wxn = sctlr >> 19 & 1;

    if (!two) {
        r->r = true;
        r->w = writable;
        r->x = !uxn && !(wxn && writable);
    } else if (r->req.user) {
        r->r = el0;
        r->w = el0 && writable;
        r->x = !uxn && !(wxn && r->w);
    } else {
        bool pan = r->req.pan && (el0 || ((sctlr >> 57 & 1) && !uxn));
        r->r = !pan;
        r->w = writable && !pan;
        r->x = !pxn && !(el0 && writable) && !(wxn && writable);
    }
}

static bool ref_stage1(Ref *r, uint64_t va)
{
    A64Cpu  *cpu = r->t->cpu;
    uint64_t sctlr, tcr, ttbr[2], mair;
    bool     two = r->req.regime == A64_REGIME_EL10 || r->req.regime == A64_REGIME_EL20;
    int      hi = two && (va >> 55 & 1);

    if (r->req.regime == A64_REGIME_EL10) {
        sctlr = cpu->el1.sctlr, tcr = cpu->el1.tcr, mair = cpu->el1.mair;
        ttbr[0] = cpu->el1.ttbr0, ttbr[1] = cpu->el1.ttbr1;
    } else if (r->req.regime == A64_REGIME_EL3) {
        sctlr = cpu->el3.sctlr, tcr = cpu->el3.tcr, mair = cpu->el3.mair, ttbr[0] = cpu->el3.ttbr0;
    } else {
        sctlr = cpu->el2.sctlr, tcr = cpu->el2.tcr, mair = cpu->el2.mair;
        ttbr[0] = cpu->el2.ttbr0, ttbr[1] = cpu->el2.ttbr1;
    }
    int  tsz = hi ? bits(tcr, 21, 16) : bits(tcr, 5, 0), tg = hi ? bits(tcr, 31, 30) : bits(tcr, 15, 14);
    int  g = hi ? (tg == 1 ? 1 : tg == 3 ? 2 : 0) : (tg == 2 ? 1 : tg == 1 ? 2 : 0);
    int  oa = ps_bits[two ? bits(tcr, 34, 32) : bits(tcr, 18, 16)];
    bool tbi = two ? bits(tcr, 37 + hi, 37 + hi) : bits(tcr, 20, 20);
    bool tbid = two ? bits(tcr, 51 + hi, 51 + hi) : bits(tcr, 29, 29);
    bool ha = two ? bits(tcr, 39, 39) : bits(tcr, 21, 21), hd = ha && (two ? bits(tcr, 40, 40) : bits(tcr, 22, 22));
    bool hpd = two ? bits(tcr, 41 + hi, 41 + hi) : bits(tcr, 24, 24);
    bool epd = two && bits(tcr, hi ? 23 : 7, hi ? 23 : 7), e0pd = two && bits(tcr, 55 + hi, 55 + hi);
    int  ia = 64 - tsz;

    if (tsz < 16 || tsz > (g == 2 ? 47 : 48) || epd || (e0pd && r->req.user)) {
        return ref_fail(r, A64_FAULT_TRANSLATION, 0, false);
    }
    uint64_t checked = va;
    if (tbi && !(r->req.fetch && tbid)) {
        checked = two ? (uint64_t)((int64_t)(va << 8) >> 8) : va << 8 >> 8;
    }
    if ((int64_t)checked >> ia != (hi ? -1 : 0)) {
        return ref_fail(r, A64_FAULT_TRANSLATION, 0, false);
    }
    int start = 0;
    while (shifts[g][start] >= ia) {
        start++;
    }
    uint64_t base = ttbr[hi] & 0xffffffffffffull;
    if (base >> oa != 0) {
        return ref_fail(r, A64_FAULT_ADDR_SIZE, 0, false);
    }
    int align = ia - shifts[g][start] + 3;
    base = base >> align << align;

    Pas      pas = r->req.regime == A64_REGIME_EL3 ? PAS_ROOT : r->req.security;
    unsigned ap_table = 0;
    bool     xn_table = false, pxn_table = false;
    for (int level = start;; level++) {
        int      shift = shifts[g][level];
        uint64_t index = (va & ((1ull << ia) - 1)) >> shift & ((1ull << widths[g]) - 1), at = base + 8 * index, d, real;
        Pas      real_pas;
        if (!ref_table(r, at, pas, 'r', &real, &real_pas) || !ref_read(r, real, real_pas, level, false, &d)) {
            return false;
        }
        bool is_table = level < 3 && (d & 3) == 3;
        bool is_leaf = level == 3 ? (d & 3) == 3 : (d & 3) == 1 && (level == 2 || (level == 1 && g == 0));
        if (!is_table && !is_leaf) {
            return ref_fail(r, A64_FAULT_TRANSLATION, level, false);
        }
        int      low = is_table ? shifts[g][3] : shift;
        uint64_t out = (d & 0xffffffffffffull) >> low << low;
        if (out >> oa != 0) {
            return ref_fail(r, A64_FAULT_ADDR_SIZE, level, false);
        }
        if (is_table) {
            base = out;
            if (r->req.security == PAS_SECURE && r->req.regime != A64_REGIME_EL3 && (d >> 63 & 1)) {
                pas = PAS_NONSECURE;
            }
            if (!hpd) {
                ap_table |= bits(d, 62, 61);
                xn_table |= d >> 60 & 1;
                pxn_table |= d >> 59 & 1;
            }
            continue;
        }
        if (!(d >> 10 & 1) && !ha) {
            return ref_fail(r, A64_FAULT_ACCESS, level, false);
        }
        bool ns = d >> 5 & 1, nse = d >> 11 & 1;
        if (r->req.regime == A64_REGIME_EL3) {
            static const Pas by_bits[2][2] = { { PAS_SECURE, PAS_NONSECURE }, { PAS_ROOT, PAS_REALM } };
            r->pas = by_bits[nse][ns];
        } else if (r->req.security == PAS_REALM) {
            r->pas = ns && r->req.regime != A64_REGIME_EL10 ? PAS_NONSECURE : PAS_REALM;
        } else {
            r->pas = r->req.security == PAS_SECURE && !ns ? pas : PAS_NONSECURE;
        }
        ref_rights(r, d, ap_table, xn_table, pxn_table, sctlr, two, hd);
        if ((r->req.regime == A64_REGIME_EL3 && r->pas != PAS_ROOT) ||
            (r->req.security == PAS_REALM && r->req.regime != A64_REGIME_EL10 && r->pas != PAS_REALM &&
             r->req.regime != A64_REGIME_EL3)) {
            r->x = false;
        }
        if (!(r->req.fetch ? r->x : r->req.write ? r->w : r->r)) {
            return ref_fail(r, A64_FAULT_PERMISSION, level, false);
        }
        uint64_t now = d | 1 << 10;
        if (hd && (d >> 51 & 1) && !(ap_table & 2) && r->req.write) {
            now &= ~(1ull << 7);
        }
        if (now != d) {
            if (!ref_table(r, at, pas, 'w', &real, &real_pas)) {
                return false;
            }
            ref_write(r, real, now);
        }
        r->w = r->w && !(now >> 7 & 1);
        r->guarded = d >> 50 & 1;
        r->device = bits(mair >> (8 * bits(d, 4, 2)), 7, 4) == 0;
        r->pa = out | (va & ((1ull << low) - 1));
        return true;
    }
}

static void ref_walk(Ref *r, uint64_t va)
{
    bool rights[3], device;

    if (!ref_stage1(r, va)) {
        return;
    }
    if (ref_s2_on(r)) {
        if (!ref_stage2(r, r->pa, r->pas, r->req.fetch ? 'x' : r->req.write ? 'w' : 'r', false, &r->pa, &r->pas, rights,
                        &device)) {
            return;
        }
        r->r &= rights[0];
        r->w &= rights[1];
        r->x &= rights[2];
        if ((r->t->cpu->el2.hcr & HCR_FWB) == 0) {
            r->device |= device;
        }
    }
    if (!owners_allow(r->t->owners, r->pa, r->pas)) {
        ref_fail(r, A64_FAULT_GPF, r->level, false);
    }
}

/* ---- random walks ---- */

static uint64_t pool_address(void)
{
    return (POOL + (rnd() >> 9) % POOL_SIZE) & ~0xffffull;
}

static uint64_t random_tsz(void) { return one_in(20) ? rnd() % 64 : 16 + rnd() % 20; }

static uint64_t random_two_range_tcr(void)
{
    uint64_t tcr = random_tsz() | random_tsz() << 16 | rnd() % 4 << 14 | rnd() % 4 << 30 | (rnd() % 6 + 1) << 32;

    tcr |= one_in(20) ? 1 << 7 : 0;
    tcr |= one_in(20) ? 1 << 23 : 0;
    tcr |= rnd() & (3ull << 37 | 3ull << 41 | 3ull << 51);
    tcr |= rnd() & (3ull << 39);
    return tcr | (one_in(16) ? 3ull << 55 : 0);
}

static uint64_t random_one_range_tcr(void)
{
    return random_tsz() | rnd() % 4 << 14 | (rnd() % 6 + 1) << 16 | (rnd() & (7ull << 20 | 1 << 24 | 1 << 29));
}

/* Mostly a start level that fits. */
static uint64_t random_vtcr(void)
{
    uint64_t tg = rnd() % 3, tsz = one_in(20) ? rnd() % 64 : 16 + rnd() % 17, sl0 = rnd() % 4;

    if (!one_in(12)) {
        int g = tg == 2 ? 1 : tg == 1 ? 2 : 0, level = 0;
        while (level < 3 && shifts[g][level] >= 64 - (int)tsz) {
            level++;
        }
        sl0 = g == 0 ? (level == 3 ? 3 : 2 - level) : 3 - level;
    }
    return tsz | (sl0 & 3) << 6 | tg << 14 | (rnd() % 6 + 1) << 16 | (rnd() & (3ull << 21)) |
           (rnd() & rnd() & (3ull << 29));
}

static void random_registers(A64Cpu *cpu)
{
    uint64_t sctlr = SCTLR_M | (one_in(3) ? SCTLR_WXN : 0) | (rnd() & SCTLR_EPAN);

    cpu->el1.sctlr = cpu->el2.sctlr = cpu->el3.sctlr = sctlr;
    cpu->el1.tcr = random_two_range_tcr();
    cpu->el2.tcr = random_two_range_tcr();
    cpu->el3.tcr = random_one_range_tcr();
    cpu->el1.ttbr0 = pool_address();
    cpu->el1.ttbr1 = pool_address();
    cpu->el2.ttbr0 = pool_address();
    cpu->el2.ttbr1 = pool_address();
    cpu->el3.ttbr0 = pool_address();
    cpu->el1.mair = cpu->el2.mair = cpu->el3.mair = 0x00ff44000cbbff04ull;
    cpu->el2.vtcr = random_vtcr();
    cpu->el2.vstcr = random_vtcr();
    cpu->el2.vttbr = pool_address();
    cpu->el2.vsttbr = pool_address();
    cpu->el2.hcr = HCR_RW | (one_in(2) ? HCR_VM : 0) | (one_in(8) ? HCR_PTW : 0) | (one_in(3) ? HCR_FWB : 0);
    cpu->el3.scr = SCR_RW | (one_in(2) ? SCR_EEL2 : 0);
}

static A64Request random_request(A64Cpu *cpu)
{
    static const Pas worlds[] = { PAS_SECURE, PAS_NONSECURE, PAS_REALM };
    A64Request       req = { .regime = (A64Regime)(rnd() >> 5) % 4, .stage2 = true, .update = true };
    Pas              world = worlds[(rnd() >> 7) % 3];

    cpu->el3.scr |= (world & 1 ? SCR_NS : 0) | (world & 2 ? SCR_NSE : 0);
    req.security = req.regime == A64_REGIME_EL3 ? PAS_ROOT : world;
    if (req.regime == A64_REGIME_EL20) {
        cpu->el2.hcr |= HCR_E2H;
    } else if (req.regime == A64_REGIME_EL2) {
        cpu->el2.tcr = random_one_range_tcr();
    }
    bool two = req.regime == A64_REGIME_EL10 || req.regime == A64_REGIME_EL20;
    req.user = two && one_in(2);
    req.pan = two && !req.user && one_in(3);
    unsigned kind = (rnd() >> 11) % 3;
    req.write = kind == 1;
    req.fetch = kind == 2;
    return req;
}

static uint64_t random_va(const A64Request *req)
{
    bool     two = req->regime == A64_REGIME_EL10 || req->regime == A64_REGIME_EL20;
    uint64_t va = rnd() >> (one_in(4) ? 16 + rnd() % 8 : 28 + rnd() % 16);

    va = one_in(two ? 2 : 16) ? ~va : va;
    return one_in(6) ? va ^ rnd() << 56 : va;
}

static const char *describe(const A64Request *req, uint64_t va)
{
    static char text[120];

    snprintf(text, sizeof(text), "regime %d world %d user %d pan %d %s va %#llx", req->regime, req->security, req->user,
             req->pan, req->fetch ? "fetch" : req->write ? "write" : "read", (unsigned long long)va);
    return text;
}

static void compare(const Ref *ref, const A64Walk *w, uint64_t va, unsigned n)
{
    bool same = ref->fault == w->fault;

    if (same && w->fault != A64_FAULT_NONE && w->fault != A64_FAULT_GPF) {
        same = ref->level == w->level && ref->stage2 == w->stage2 && ref->s1ptw == w->s1ptw &&
               (!w->stage2 || ref->ipa == w->ipa);
    }
    if (same && (w->fault == A64_FAULT_NONE || w->fault == A64_FAULT_GPF)) {
        same = ref->pa == w->pa && ref->pas == w->pas && ref->r == w->readable && ref->w == w->writable &&
               ref->x == w->executable && ref->guarded == w->guarded;
        same = same && ((ref->t->cpu->el2.hcr & HCR_FWB) || ref->device == w->device);
    }
    if (!same) {
        fail_msg("walk %u (%s): fault %d/%d level %d/%d stage2 %d/%d s1ptw %d/%d ipa %#llx/%#llx pa %#llx/%#llx "
                 "pas %d/%d rwx %d%d%d/%d%d%d device %d/%d (expected/got)",
                 n, describe(&ref->req, va), ref->fault, w->fault, ref->level, w->level, ref->stage2, w->stage2,
                 ref->s1ptw, w->s1ptw, (unsigned long long)ref->ipa, (unsigned long long)w->ipa,
                 (unsigned long long)ref->pa, (unsigned long long)w->pa, ref->pas, w->pas, ref->r, ref->w, ref->x,
                 w->readable, w->writable, w->executable, ref->device, w->device);
    }
}

static void test_random_walks(void **state)
{
    enum { WALKS = 200000 };
    TestMachine t;
    unsigned    seen[16] = { 0 }, two_stage = 0, updates = 0;

    test_machine_init(&t);
    for (unsigned n = 0; n < WALKS; n++) {
        if (n % 2000 == 0) {
            owners_set(t.owners, POOL, POOL_SIZE, OWNER_ANY);
            fill_pool(&t);
            for (unsigned i = 0; i < 20; i++) {
                static const Owner owners[] = { OWNER_SECURE, OWNER_NONSECURE, OWNER_ROOT, OWNER_REALM, OWNER_NONE };
                owners_set(t.owners, pool_address(), 0x1000, owners[rnd() % 5]);
            }
        }
        random_registers(t.cpu);
        Ref      ref = { .t = &t, .req = random_request(t.cpu) };
        uint64_t va = random_va(&ref.req);
        A64Walk  w;
        ref_walk(&ref, va);
        a64_walk(t.cpu, &ref.req, va, &w);
        compare(&ref, &w, va, n);
        for (unsigned i = ref.n_written; i-- > 0;) {
            bool newer = false;
            for (unsigned j = i + 1; j < ref.n_written; j++) {
                newer |= ref.written[j].pa == ref.written[i].pa;
            }
            if (!newer && test_peek64(&t, ref.written[i].pa) != ref.written[i].value) {
                fail_msg("walk %u (%s): descriptor at %#llx not updated", n, describe(&ref.req, va),
                         (unsigned long long)ref.written[i].pa);
            }
        }
        seen[w.fault]++;
        two_stage += w.fault == A64_FAULT_NONE && ref_s2_on(&ref);
        updates += ref.n_written != 0;
    }
    /* The rows are worth something only when every outcome was met. */
    for (unsigned kind = A64_FAULT_NONE; kind <= A64_FAULT_GPF_WALK; kind++) {
        if (seen[kind] < 50) {
            fail_msg("outcome %u was met only %u times", kind, seen[kind]);
        }
    }
    if (two_stage < 200 || updates < 500) {
        fail_msg("only %u walks passed two stages, %u updated a descriptor", two_stage, updates);
    }
    test_machine_free(&t);
}

/* ---- fault rows ---- */

/* Tables of the rows: stage 1 for VA 0 up, 4K granule, 39-bit (start at level 1): L1 -> L2 -> L3. */
enum { L1 = TEST_RAM, L2 = TEST_RAM + 0x1000, L3 = TEST_RAM + 0x2000, DATA = TEST_RAM + 0x10000,
       S2_L1 = TEST_RAM + 0x4000, S2_L2 = TEST_RAM + 0x8000, S2_L3 = TEST_RAM + 0x9000, CODE = TEST_RAM + 0x11000 };

#define TCR39  (25ull | 25ull << 16 | 2ull << 30 | 5ull << 32)
#define VTCR40 (24ull | 1ull << 6 | 5ull << 16)
#define PAGE(pa)  ((uint64_t)(pa) | 0x703ull)                 /* AF, inner shareable, kernel RW, attribute 0 */
#define S2PAGE(pa) ((uint64_t)(pa) | 0x7c3ull | 0xfull << 2)   /* AF, RW, normal memory */

typedef struct FaultRow {
    const char *name;
    uint8_t     el;
    Pas         world;
    CpuAccess   access;
    uint64_t    va;
    uint64_t    l3[4];        /* leaf descriptors of pages 0 to 3; 0: as the default */
    uint64_t    s2_l3[32];    /* stage 2 of TEST_RAM's pages; used when hcr.VM */
    uint64_t    hcr, scr, sctlr_extra;
    uint32_t    insn;         /* at the pc, for the syndrome */
    Owner       owner;        /* of DATA when not 0 */
    /* expected */
    uint8_t     target;
    uint32_t    ec, iss;
    uint64_t    hpfar;        /* when target 2 and not 0 */
} FaultRow;

#define NS PAS_NONSECURE
#define WNR (1u << 6)
#define S1PTW (1u << 7)
#define IPA_HPFAR(ipa) ((uint64_t)(ipa) >> 12 << 4)

static const FaultRow fault_rows[] = {
    { "translation, level 0: out of range", 1, NS, CPU_READ, 1ull << 45, .target = 1, .ec = 0x25, .iss = 0x04 },
    { "translation, level 1", 1, NS, CPU_READ, 1ull << 30, .target = 1, .ec = 0x25, .iss = 0x05 },
    { "translation, level 2", 1, NS, CPU_WRITE, 1ull << 21, .target = 1, .ec = 0x25, .iss = 0x06 | WNR },
    { "translation, level 3", 0, NS, CPU_READ, 0x5000, .target = 1, .ec = 0x24, .iss = 0x07 },
    { "translation, level 3, fetch", 0, NS, CPU_FETCH, 0x5000, .target = 1, .ec = 0x20, .iss = 0x07 },
    { "fetch at EL1", 1, NS, CPU_FETCH, 0x5000, .target = 1, .ec = 0x21, .iss = 0x07 },
    { "access flag", 1, NS, CPU_READ, 0x1000, .l3[1] = DATA | 0x303, .target = 1, .ec = 0x25, .iss = 0x0b },
    { "permission: EL0 has none", 0, NS, CPU_READ, 0x1000, .target = 1, .ec = 0x24, .iss = 0x0f },
    { "permission: read-only", 1, NS, CPU_WRITE, 0x1008, .l3[1] = PAGE(DATA) | 0x80, .target = 1, .ec = 0x25,
      .iss = 0x0f | WNR },
    { "address size", 1, NS, CPU_READ, 0x1000, .l3[1] = PAGE(DATA) | 1ull << 47, .target = 1, .ec = 0x25, .iss = 0x03,
      .sctlr_extra = 1 },
    { "with TGE, EL0 goes to EL2", 0, NS, CPU_READ, 0x1000, .hcr = HCR_TGE | HCR_E2H, .target = 2, .ec = 0x24,
      .iss = 0x0f },
    { "granule protection fault", 1, NS, CPU_READ, 0x1000, .owner = OWNER_REALM, .target = 1, .ec = 0x25, .iss = 0x28 },
    { "granule protection fault with HCR_EL2.GPF", 1, NS, CPU_READ, 0x1000, .owner = OWNER_REALM, .hcr = HCR_GPF,
      .target = 2, .ec = 0x24, .iss = 0x28 },
    { "granule protection fault with SCR_EL3.GPF", 1, NS, CPU_WRITE, 0x1000, .owner = OWNER_REALM, .scr = SCR_GPF,
      .target = 3, .ec = 0x1e, .iss = 0x28 | WNR | 0xc << 14 },
    { "granule protection fault in Realm state", 1, PAS_REALM, CPU_READ, 0x1000, .owner = OWNER_NONSECURE, .target = 1,
      .ec = 0x25, .iss = 0x28 },
    { "external abort on a walk", 1, NS, CPU_READ, 0x1000, .sctlr_extra = 2, .target = 1, .ec = 0x25, .iss = 0x16 },
    { "external abort on a walk with SCR_EL3.EA", 1, NS, CPU_READ, 0x1000, .sctlr_extra = 2, .scr = SCR_EA, .target = 3,
      .ec = 0x24, .iss = 0x16 },
    { "external abort on a walk with HCR_EL2.TEA", 1, NS, CPU_READ, 0x1000, .sctlr_extra = 2, .hcr = HCR_TEA,
      .target = 2, .ec = 0x24, .iss = 0x16 },
    /* Stage 2: the pages of TEST_RAM are mapped to themselves but where the row says. ISV: ldr x3, [x1]. */
    { "stage 2 translation, ldr x3", 1, NS, CPU_READ, 0x1010, .hcr = HCR_VM, .s2_l3[16] = 2, .insn = 0xf9400023,
      .target = 2, .ec = 0x24, .iss = 0x07 | 1 << 24 | 3 << 22 | 3 << 16 | 1 << 15, .hpfar = IPA_HPFAR(DATA) },
    { "stage 2 translation, strb w4", 1, NS, CPU_WRITE, 0x1010, .hcr = HCR_VM, .s2_l3[16] = 2, .insn = 0x39000024,
      .target = 2, .ec = 0x24, .iss = 0x07 | WNR | 1 << 24 | 0 << 22 | 4 << 16, .hpfar = IPA_HPFAR(DATA) },
    { "stage 2 translation, ldrsh x5", 1, NS, CPU_READ, 0x1010, .hcr = HCR_VM, .s2_l3[16] = 2, .insn = 0x79800025,
      .target = 2, .ec = 0x24, .iss = 0x07 | 1 << 24 | 1 << 22 | 1 << 21 | 5 << 16 | 1 << 15,
          .hpfar = IPA_HPFAR(DATA) },
    { "stage 2 translation, ldr x3, [x1], #8: no ISV", 1, NS, CPU_READ, 0x1010, .hcr = HCR_VM, .s2_l3[16] = 2,
      .insn = 0xf8408423, .target = 2, .ec = 0x24, .iss = 0x07, .hpfar = IPA_HPFAR(DATA) },
    { "stage 2 translation, ldp: no ISV", 1, NS, CPU_READ, 0x1010, .hcr = HCR_VM, .s2_l3[16] = 2, .insn = 0xa9400c22,
      .target = 2, .ec = 0x24, .iss = 0x07, .hpfar = IPA_HPFAR(DATA) },
    { "stage 2 permission", 1, NS, CPU_WRITE, 0x1010, .hcr = HCR_VM, .s2_l3[16] = S2PAGE(DATA) & ~0x80ull,
      .insn = 0xb9000020, .target = 2, .ec = 0x24, .iss = 0x0f | WNR | 1 << 24 | 2 << 22, .hpfar = IPA_HPFAR(DATA) },
    { "stage 2 access flag, fetch", 1, NS, CPU_FETCH, 0x1010, .hcr = HCR_VM, .s2_l3[16] = S2PAGE(DATA) & ~0x400ull,
      .target = 2, .ec = 0x20, .iss = 0x0b, .hpfar = IPA_HPFAR(DATA) },
    { "stage 2 on a stage 1 walk", 1, NS, CPU_READ, 0x1010, .hcr = HCR_VM, .s2_l3[2] = 2, .insn = 0xf9400023,
      .target = 2, .ec = 0x24, .iss = 0x07 | S1PTW, .hpfar = IPA_HPFAR(L3) },
    { "protected table walk", 1, NS, CPU_READ, 0x1010, .hcr = HCR_VM | HCR_PTW, .s2_l3[2] = (L3 | 0x7c3), .target = 2,
      .ec = 0x24, .iss = 0x0f | S1PTW, .hpfar = IPA_HPFAR(L3) },
    { "Realm does not execute shared memory", 1, PAS_REALM, CPU_FETCH, 0x1010, .hcr = HCR_VM,
      .s2_l3[16] = S2PAGE(DATA) | 1ull << 55, .target = 2, .ec = 0x20, .iss = 0x0f, .hpfar = IPA_HPFAR(DATA) },
};

static void build_tables(TestMachine *t, const FaultRow *row)
{
    for (uint64_t pa = TEST_RAM; pa < TEST_RAM + 0x20000; pa += 8) {
        test_poke64(t, pa, 0);
    }
    test_poke64(t, L1, row->sctlr_extra == 2 ? 0x100000003ull : L2 | 3);
    test_poke64(t, L2, L3 | 3);
    test_poke64(t, L3 + 8, row->l3[1] != 0 ? row->l3[1] : PAGE(DATA));
    test_poke64(t, L3 + 0x18, PAGE(CODE) | 0xc0); /* VA 0x3000: readable at EL0 */
    /* Stage 2, 40-bit IPA from level 1: TEST_RAM's first 128 KiB page by page. */
    test_poke64(t, S2_L1 + 8 * 1, S2_L2 | 3);
    test_poke64(t, S2_L2, S2_L3 | 3);
    for (unsigned i = 0; i < 32; i++) {
        test_poke64(t, S2_L3 + 8 * i, row->s2_l3[i] != 0 ? row->s2_l3[i] : S2PAGE(TEST_RAM + 0x1000u * i));
    }
    test_poke64(t, CODE, row->insn);
}

static void prepare(TestMachine *t, const FaultRow *row)
{
    A64Cpu *cpu = t->cpu;

    a64_reset(cpu);
    owners_set(t->owners, TEST_RAM, TEST_RAM_SIZE, OWNER_ANY);
    build_tables(t, row);
    if (row->owner != 0) {
        owners_set(t->owners, DATA, 0x1000, row->owner);
    }
    cpu->el3.scr |= row->scr;
    cpu->el2.hcr |= row->hcr;
    cpu->el1.sctlr |= SCTLR_M;
    cpu->el2.sctlr |= SCTLR_M;
    cpu->el1.tcr = cpu->el2.tcr = row->sctlr_extra == 1 ? TCR39 & ~(7ull << 32) : TCR39;
    cpu->el1.ttbr0 = cpu->el2.ttbr0 = L1;
    cpu->el1.mair = cpu->el2.mair = 0xff;
    cpu->el2.vtcr = VTCR40;
    cpu->el2.vttbr = S2_L1;
    cpu->el1.vbar = 0x10000;
    cpu->el2.vbar = 0x20000;
    cpu->el3.vbar = 0x30000;
    a64_enter(cpu, row->world, 0x3000, 0x3c0u | (unsigned)row->el << 2 | (row->el != 0));
    cpu->cpu.fault = false;
}

static void check_row(TestMachine *t, const FaultRow *row)
{
    A64Cpu  *cpu = t->cpu;
    CpuFill  fill;
    uint64_t esr, far, elr;

    prepare(t, row);
    if (a64_fill(&cpu->cpu, row->va, 8, row->access, 0, &fill)) {
        fail_msg("%s: no fault", row->name);
    }
    esr = row->target == 1 ? cpu->el1.esr : row->target == 2 ? cpu->el2.esr : cpu->el3.esr;
    far = row->target == 1 ? cpu->el1.far : row->target == 2 ? cpu->el2.far : cpu->el3.far;
    elr = a64_elr(cpu);
    uint64_t expected = (uint64_t)row->ec << 26 | 1ull << 25 | row->iss;
    if (cpu->el != row->target || esr != expected || far != row->va) {
        fail_msg("%s: at EL%u, ESR %#llx, FAR %#llx; expected EL%u, %#llx, %#llx", row->name, cpu->el,
                 (unsigned long long)esr, (unsigned long long)far, row->target, (unsigned long long)expected,
                 (unsigned long long)row->va);
    }
    assert_int_equal(elr, row->access == CPU_FETCH ? row->va : 0x3000);
    if (row->hpfar != 0 && cpu->el2.hpfar != row->hpfar) {
        fail_msg("%s: HPFAR %#llx, expected %#llx", row->name, (unsigned long long)cpu->el2.hpfar,
                 (unsigned long long)row->hpfar);
    }
    assert_true(cpu->cpu.fault);
    assert_int_equal(cpu->pc, 0x10000u * row->target + (row->target == row->el ? 0x200 : 0x400));
}

static void test_faults(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(fault_rows); i++) {
        check_row(&t, &fault_rows[i]);
    }
    test_machine_free(&t);
}

/* MFAR_EL3 holds the physical address and its space. */
static void test_gpc_address(void **state)
{
    FaultRow    row = { "gpc", 1, NS, CPU_READ, 0x1000, .owner = OWNER_REALM, .scr = SCR_GPF };
    TestMachine t;
    CpuFill     fill;

    test_machine_init(&t);
    prepare(&t, &row);
    assert_false(a64_fill(&t.cpu->cpu, row.va, 8, CPU_READ, 0, &fill));
    assert_int_equal(t.cpu->el3.mfar, DATA | BIT(63));
    test_machine_free(&t);
}

/* ---- what a fill says may be cached ---- */

static void test_fill(void **state)
{
    FaultRow    row = { "fill", 1, NS, CPU_READ, 0x1000, .l3[1] = PAGE(DATA) | 1ull << 51 | 0x80 };
    TestMachine t;
    CpuFill     fill;

    test_machine_init(&t);
    prepare(&t, &row);
    t.cpu->el1.tcr |= 3ull << 39 | 1ull << 37; /* HA, HD, TBI0 */
    assert_true(a64_fill(&t.cpu->cpu, 0x1234, 4, CPU_READ, 0, &fill));
    assert_int_equal(fill.pa, DATA + 0x234);
    assert_int_equal(fill.page_size, 0x1000);
    assert_int_equal(fill.pas, PAS_NONSECURE);
    assert_true(fill.readable);
    assert_false(fill.writable); /* clean: a write must come here first */
    assert_false(fill.slow);
    assert_true(a64_fill(&t.cpu->cpu, 0x1234, 4, CPU_WRITE, 0, &fill));
    assert_true(fill.writable);
    assert_int_equal(test_peek64(&t, L3 + 8), PAGE(DATA) | 1ull << 51);
    assert_true(a64_fill(&t.cpu->cpu, 0x1234 | 0x5aull << 56, 4, CPU_READ, 0, &fill));
    assert_true(fill.slow); /* tagged: invalidation by address could not find it */
    assert_int_equal(fill.pa, DATA + 0x234);
    test_machine_free(&t);
}

/* Stage 2 as a function, for an RMM and an SMMU. */
static void test_stage2_walk(void **state)
{
    FaultRow    row = { "s2", 1, NS, CPU_READ, 0x1000, .s2_l3[3] = S2PAGE(DATA) | 1ull << 55, .s2_l3[4] = 2 };
    TestMachine t;
    A64Walk     w;

    test_machine_init(&t);
    prepare(&t, &row);
    a64_stage2_walk(t.memory, VTCR40, S2_L1, PAS_REALM, TEST_RAM + 0x3008, true, false, true, false, &w);
    assert_int_equal(w.fault, A64_FAULT_NONE);
    assert_int_equal(w.pa, DATA + 8);
    assert_int_equal(w.pas, PAS_NONSECURE);
    assert_false(w.executable);
    a64_stage2_walk(t.memory, VTCR40, S2_L1, PAS_REALM, TEST_RAM + 0x4008, false, false, true, false, &w);
    assert_int_equal(w.fault, A64_FAULT_TRANSLATION);
    assert_int_equal(w.level, 3);
    a64_stage2_walk(t.memory, VTCR40, S2_L1, PAS_REALM, 1ull << 40, false, false, true, false, &w);
    assert_int_equal(w.fault, A64_FAULT_TRANSLATION);
    assert_int_equal(w.level, 0);
    test_machine_free(&t);
}

/* ---- address translation instructions ---- */

static uint64_t do_at(A64Cpu *cpu, const char *name, uint64_t va)
{
    const A64Sysreg *r = a64_sysreg_by_name(name);

    assert_non_null(r);
    cpu->el1.par = 0x5555;
    a64_msr(cpu, r->enc, 0, va);
    return cpu->el1.par;
}

static void test_at(void **state)
{
    FaultRow    row = { "at", 2, NS, CPU_READ, 0x1000, .hcr = HCR_VM, .s2_l3[16] = S2PAGE(CODE) };
    TestMachine t;

    test_machine_init(&t);
    prepare(&t, &row);
    /* Normal write-back, inner shareable, NS; stage 1 alone gives the intermediate address. */
    assert_int_equal(do_at(t.cpu, "AT_S1E1R", 0x1abc), 0xffull << 56 | DATA | 1 << 9 | 3 << 7);
    assert_int_equal(do_at(t.cpu, "AT_S12E1R", 0x1abc), 0xffull << 56 | CODE | 1 << 9 | 3 << 7);
    assert_int_equal(do_at(t.cpu, "AT_S1E0R", 0x1abc), 1 << 11 | 0x0f << 1 | 1);
    assert_int_equal(do_at(t.cpu, "AT_S1E1R", 0x5000), 1 << 11 | 0x07 << 1 | 1);
    test_poke64(&t, S2_L3 + 8 * 16, 0);
    assert_int_equal(do_at(t.cpu, "AT_S12E1W", 0x1abc), 1 << 11 | 1 << 9 | 0x07 << 1 | 1);
    test_poke64(&t, S2_L3 + 8 * 2, 0);
    assert_int_equal(do_at(t.cpu, "AT_S1E1R", 0x1abc), 1 << 11 | 1 << 9 | 1 << 8 | 0x07 << 1 | 1);
    assert_false(t.cpu->cpu.fault);
    test_machine_free(&t);
}

/* From EL1 the same stage 2 fault on a table is an exception to EL2, with CM and WnR. */
static void test_at_stage2_abort(void **state)
{
    FaultRow    row = { "at", 1, NS, CPU_READ, 0x1000, .hcr = HCR_VM, .s2_l3[2] = 2 };
    TestMachine t;

    test_machine_init(&t);
    prepare(&t, &row);
    assert_int_equal(do_at(t.cpu, "AT_S1E1R", 0x1abc), 0x5555);
    assert_int_equal(t.cpu->el, 2);
    assert_int_equal(t.cpu->el2.esr, 0x24ull << 26 | 1 << 25 | 1 << 8 | WNR | S1PTW | 7);
    test_machine_free(&t);
}

/* ---- TLB maintenance, by its effect on loads ---- */

static uint64_t load(A64Cpu *cpu, uint64_t va)
{
    uint64_t v[2] = { 0 };

    if (!cpu_load(&cpu->cpu, va, (IrMem){ .size_log2 = 3 }, v)) {
        cpu->cpu.fault = false;
        return 0xfa;
    }
    return v[0];
}

static void tlbi(A64Cpu *cpu, const char *name, uint64_t v)
{
    const A64Sysreg *r = a64_sysreg_by_name(name);

    assert_non_null(r);
    assert_true(a64_msr(cpu, r->enc, 31, v));
}

static void test_tlbi(void **state)
{
    FaultRow    row = { "tlbi", 1, NS, CPU_READ, 0x1000 };
    TestMachine t;

    test_machine_init(&t);
    prepare(&t, &row);
    A64Cpu *other = a64_cpu_new(t.engine, t.memory, t.clock, 1, 1, &t.entropy);
    test_poke64(&t, DATA, 1);
    test_poke64(&t, CODE, 2);
    assert_int_equal(load(t.cpu, 0x1000), 1);
    test_poke64(&t, L3 + 8, PAGE(CODE));
    assert_int_equal(load(t.cpu, 0x1000), 1); /* cached */
    tlbi(t.cpu, "TLBI_VAE1", 0x7);
    assert_int_equal(load(t.cpu, 0x1000), 1); /* another page */
    tlbi(t.cpu, "TLBI_VAE1", 0x1);
    assert_int_equal(load(t.cpu, 0x1000), 2);

    /* Another ASID has translations of its own. */
    test_poke64(&t, L3 + 8, PAGE(DATA));
    a64_msr(t.cpu, A64_SYSREG_ENC(3, 0, 2, 0, 0), 0, L1 | 5ull << 48);
    assert_int_equal(load(t.cpu, 0x1000), 1);
    a64_msr(t.cpu, A64_SYSREG_ENC(3, 0, 2, 0, 0), 0, L1);
    assert_int_equal(load(t.cpu, 0x1000), 2);
    tlbi(t.cpu, "TLBI_ASIDE1IS", 5ull << 48);
    assert_int_equal(load(t.cpu, 0x1000), 2);
    tlbi(t.cpu, "TLBI_ASIDE1IS", 0);
    assert_int_equal(load(t.cpu, 0x1000), 1);

    /* Ranges: 4 KiB units, SCALE 0, NUM 0: two pages from page 0. */
    test_poke64(&t, L3 + 8, PAGE(CODE));
    tlbi(t.cpu, "TLBI_RVAE1IS", 1ull << 46 | 2);
    assert_int_equal(load(t.cpu, 0x1000), 1);
    tlbi(t.cpu, "TLBI_RVAE1IS", 1ull << 46 | 0);
    assert_int_equal(load(t.cpu, 0x1000), 2);

    /* The shareable forms reach another CPU, the others do not. */
    test_poke64(&t, L3 + 8, PAGE(DATA));
    other->el1 = t.cpu->el1;
    other->el2 = t.cpu->el2;
    other->el3 = t.cpu->el3;
    a64_enter(other, NS, 0x3000, 0x3c5);
    assert_int_equal(load(other, 0x1000), 1);
    test_poke64(&t, L3 + 8, PAGE(CODE));
    tlbi(t.cpu, "TLBI_VMALLE1", 0);
    assert_int_equal(load(t.cpu, 0x1000), 2);
    assert_int_equal(load(other, 0x1000), 1);
    tlbi(t.cpu, "TLBI_VMALLE1IS", 0);
    assert_int_equal(load(other, 0x1000), 2);
    a64_cpu_free(other);
    test_machine_free(&t);
}

/* EL3 drops what a Secure world without EL2 has, whatever VMID is left in VTTBR_EL2. */
static void test_tlbi_without_el2(void **state)
{
    static const char *const names[] = { "TLBI_VMALLS12E1", "TLBI_ALLE1", "TLBI_IPAS2E1IS" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        FaultRow    row = { "no EL2", 1, PAS_SECURE, CPU_READ, 0x1000 };
        TestMachine t;

        test_machine_init(&t);
        prepare(&t, &row);
        t.cpu->el2.vttbr |= 3ull << 48;
        t.cpu->el3.scr &= ~SCR_EEL2;
        a64_enter(t.cpu, PAS_SECURE, 0x3000, 0x3c5);
        test_poke64(&t, DATA, 1);
        test_poke64(&t, CODE, 2);
        assert_int_equal(load(t.cpu, 0x1000), 1);
        test_poke64(&t, L3 + 8, PAGE(CODE));
        a64_enter(t.cpu, PAS_SECURE, 0x3000, 0x3cd);
        tlbi(t.cpu, names[i], 0);
        a64_enter(t.cpu, PAS_SECURE, 0x3000, 0x3c5);
        assert_int_equal(load(t.cpu, 0x1000), 2);
        test_machine_free(&t);
    }
}

static void set_asid(A64Cpu *cpu, uint64_t asid)
{
    a64_msr(cpu, A64_SYSREG_ENC(3, 0, 2, 0, 0), 0, L1 | asid << 48);
}

/* With PAN, what is cached of global pages serves privileged code under every ASID; pages of one ASID do not. */
static void test_global_contexts(void **state)
{
    FaultRow    row = { "global", 1, NS, CPU_READ, 0x1000 };
    TestMachine t;

    test_machine_init(&t);
    prepare(&t, &row);
    test_poke64(&t, DATA, 1);
    test_poke64(&t, CODE, 2);
    assert_true(a64_msr_imm(t.cpu, 0, 4, 1));
    assert_int_equal(load(t.cpu, 0x1000), 1);
    test_poke64(&t, L3 + 8, PAGE(CODE));
    set_asid(t.cpu, 5);
    assert_int_equal(load(t.cpu, 0x1000), 1);
    tlbi(t.cpu, "TLBI_ASIDE1IS", 5ull << 48);
    assert_int_equal(load(t.cpu, 0x1000), 1);
    tlbi(t.cpu, "TLBI_VAE1IS", 1 | 5ull << 48);
    assert_int_equal(load(t.cpu, 0x1000), 2);

    test_poke64(&t, L3 + 8 * 2, PAGE(DATA) | 1 << 11);
    assert_int_equal(load(t.cpu, 0x2000), 1);
    test_poke64(&t, L3 + 8 * 2, PAGE(CODE) | 1 << 11);
    set_asid(t.cpu, 0);
    assert_int_equal(load(t.cpu, 0x2000), 2);
    set_asid(t.cpu, 5);
    assert_int_equal(load(t.cpu, 0x2000), 1);
    tlbi(t.cpu, "TLBI_ASIDE1IS", 5ull << 48);
    assert_int_equal(load(t.cpu, 0x2000), 2);
    test_machine_free(&t);
}

/* One invalidation by address drops what a larger mapping of one stage leads to, into whatever pieces the other stage
 * cuts it: block in stage 1 (2 MiB at 0), pages in stage 2, and the other way about. */
static void test_stages_of_different_size(void **state)
{
    static const struct {
        uint64_t hcr, s1, s1_new, s2;
    } rows[] = {
        { 0, TEST_RAM | 0x701, (TEST_RAM + 0x200000) | 0x701, 0 },
        { HCR_VM, TEST_RAM | 0x701, (TEST_RAM + 0x200000) | 0x701, S2_L3 | 3 },
        { HCR_VM, TEST_RAM | 0x701, (TEST_RAM + 0x200000) | 0x701, (TEST_RAM & ~0x3fffffffull) | 0x7fd },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        FaultRow    row = { "stages", 1, NS, CPU_READ, 0x1000, .hcr = rows[i].hcr };
        TestMachine t;

        test_machine_init(&t);
        prepare(&t, &row);
        test_poke64(&t, L2, rows[i].s1);
        if (rows[i].s2 != 0) {
            test_poke64(&t, S2_L2, rows[i].s2);
        }
        test_poke64(&t, TEST_RAM + 0x10000, 1);
        test_poke64(&t, TEST_RAM + 0x14000, 2);
        assert_int_equal(load(t.cpu, 0x10000), 1);
        assert_int_equal(load(t.cpu, 0x14000), 2);
        test_poke64(&t, L2, 0);
        assert_int_equal(load(t.cpu, 0x14000), 2);
        tlbi(t.cpu, "TLBI_VAE1IS", 0x10);
        assert_int_equal(load(t.cpu, 0x14000), 0xfa);
        test_machine_free(&t);
    }
}

/* LDTR's context: EL0's view of the regime. PAN is part of the context. */
static void test_privilege_contexts(void **state)
{
    FaultRow    row = { "pan", 1, NS, CPU_READ, 0x1000, .l3[1] = PAGE(DATA) | 0x40 };
    TestMachine t;
    uint64_t    v[2];

    test_machine_init(&t);
    prepare(&t, &row);
    test_poke64(&t, DATA, 7);
    assert_int_equal(load(t.cpu, 0x1000), 7);
    assert_true(a64_msr_imm(t.cpu, 0, 4, 1));
    assert_true(cpu_load(&t.cpu->cpu, 0x1000, (IrMem){ .size_log2 = 3, .space = 1 }, v));
    assert_int_equal(load(t.cpu, 0x1000), 0xfa);
    assert_int_equal(t.cpu->el1.esr & 0x3f, 0x0f);
    test_machine_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_walks),       cmocka_unit_test(test_faults),
        cmocka_unit_test(test_gpc_address),        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_stage2_walk),        cmocka_unit_test(test_at),
        cmocka_unit_test(test_at_stage2_abort),    cmocka_unit_test(test_tlbi),
        cmocka_unit_test(test_global_contexts),    cmocka_unit_test(test_privilege_contexts),
        cmocka_unit_test(test_stages_of_different_size),
        cmocka_unit_test(test_tlbi_without_el2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
