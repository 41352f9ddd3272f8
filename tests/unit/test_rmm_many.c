/*
 * Many at once: a Realm of eight RECs that start each other and send interrupts around a ring; and 64 Realms that run
 * in turns, are destroyed and made again from each other's pages: nothing of one is seen by the next, by the host, or
 * left.
 */
#include "tests/unit/rmm_rig.h"

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ENC(op0, op1, crn, crm, op2) ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))
#define ICC_SGI1R   ENC(3, 0, 12, 11, 5)
#define ICC_IAR1    ENC(3, 0, 12, 12, 0)
#define ICC_EOIR1   ENC(3, 0, 12, 12, 1)
#define ICC_PMR     ENC(3, 0, 4, 6, 0)
#define ICC_IGRPEN1 ENC(3, 0, 12, 12, 7)
#define VBAR_EL1    ENC(3, 0, 12, 0, 0)
#define A64_B_BACK  0x17ffffffu /* b .-4 */
#define A64_IRQ_ON  0xd50342ffu /* msr daifclr, #2 */

static Rig *rig;

static int setup(void **state)
{
    rig = rig_new();
    return 0;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

static void some_left(void *opaque, const char *state, uint64_t count)
{
    fail_msg("%llu granules are left as %s", (unsigned long long)count, state);
}

/* ---- eight RECs ---- */

enum { N_RECS = 8, ROUNDS = 3, SGI = 5, CODE_START = 0x000, CODE_VECTORS = 0x800, CODE_IRQ = CODE_VECTORS + 0x280,
       CODE_SMC = 0x400 };
enum { R_REC = W_SPARE, R_AUX = W_SPARE + N_RECS, R_RUN = W_FREE };

/* Each REC: turns its interrupts on, waits; on an interrupt takes it, counts in x20, and passes it on by x19. */
static void ring_code(uint32_t image[1024])
{
    Code c = { .n = CODE_START / 4 };

    code_mov(&c, 1, CODE_VECTORS);
    code_word(&c, A64_MSR(1, VBAR_EL1));
    code_mov(&c, 1, 0xf0);
    code_word(&c, A64_MSR(1, ICC_PMR));
    code_mov(&c, 1, 1);
    code_word(&c, A64_MSR(1, ICC_IGRPEN1));
    code_word(&c, A64_IRQ_ON);
    code_word(&c, A64_WFI);
    code_word(&c, A64_B_BACK);
    c.n = CODE_SMC / 4;
    code_word(&c, A64_SMC);
    c.n = CODE_IRQ / 4;
    code_word(&c, A64_MRS(10, ICC_IAR1));
    code_word(&c, A64_MSR(10, ICC_EOIR1));
    code_word(&c, 0x91000694);                 /* add x20, x20, #1 */
    code_word(&c, A64_MSR(19, ICC_SGI1R));
    code_word(&c, 0xd69f03e0);                 /* eret */
    memcpy(image, c.word, sizeof(c.word));
}

static Rec *ring_rec(unsigned n) { return rec_at(rig->rmm, PAGE(R_REC + n)); }

static uint64_t ring_enter(unsigned n, uint64_t lr)
{
    uint64_t call[] = { SMC64_STD(RMI_FID_REC_ENTER), PAGE(R_REC + n), PAGE(R_RUN + n) };

    rig_enter(rig, R_RUN + n, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    rig_enter(rig, R_RUN + n, RMI_ENTER_GICV3_LRS, lr);
    assert_int_equal(rig_smc(rig, n % RIG_CPUS, call, 3), RMI_SUCCESS);
    assert_int_equal(rig_exit(rig, R_RUN + n, RMI_EXIT_REASON), RMI_EXIT_SYNC);
    return rig_exit(rig, R_RUN + n, RMI_EXIT_ESR) >> 26;
}

static void make_ring(void)
{
    uint32_t image[1024];

    ring_code(image);
    world_new(rig, image, ARRAY_LEN(image));
    for (unsigned n = 0; n < N_RECS; n++) {
        world_rec_params(rig, n, 0, PAGE(R_AUX + n), n == 0);
        rmi_ok(rig, RMI_FID_REC_CREATE, PAGE(W_RD), PAGE(R_REC + n), PAGE(W_PARAMS));
    }
    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD));
}

/* REC @n - 1 calls CPU_ON for @n, and goes back to where it was. */
static void turn_on(unsigned n)
{
    Rec *caller = ring_rec(n - 1);

    caller->pc = CODE_SMC;
    caller->x[0] = 0xc4000003;
    caller->x[1] = n;
    caller->x[2] = CODE_START;
    uint64_t call[] = { SMC64_STD(RMI_FID_REC_ENTER), PAGE(R_REC + n - 1), PAGE(R_RUN + n - 1) };
    assert_int_equal(rig_smc(rig, 0, call, 3), RMI_SUCCESS);
    assert_int_equal(rig_exit(rig, R_RUN + n - 1, RMI_EXIT_REASON), RMI_EXIT_PSCI);
    assert_int_equal(rig_exit(rig, R_RUN + n - 1, RMI_EXIT_GPRS + 8), n);
    rmi_ok(rig, RMI_FID_PSCI_COMPLETE, PAGE(R_REC + n - 1), PAGE(R_REC + n), 0);
    assert_int_equal(caller->x[0], 0);
    caller->pc = CODE_START;
}

static void test_ring(void **state)
{
    make_ring();
    for (unsigned n = 0; n < N_RECS; n++) {
        if (n != 0) {
            turn_on(n);
        }
        assert_int_equal(ring_enter(n, 0), 1); /* waits */
        ring_rec(n)->x[19] = (uint64_t)SGI << 24 | 1u << (n + 1) % N_RECS;
        ring_rec(n)->x[20] = 0;
    }
    unsigned to = 0;
    for (unsigned i = 0; i < N_RECS * ROUNDS; i++) {
        uint64_t lr = ICH_LR_STATE_PENDING | ICH_LR_GROUP | 0xa0ull << 48 | SGI;
        assert_int_equal(ring_enter(to, lr), 0x18); /* it sends on */
        uint64_t sgi = rig_exit(rig, R_RUN + to, RMI_EXIT_GPRS);
        assert_int_equal(sgi >> 24 & 15, SGI);
        assert_int_equal(rig_exit(rig, R_RUN + to, RMI_EXIT_GICV3_LRS) & ICH_LR_STATE, 0); /* taken and ended */
        assert_int_equal(sgi & 0xffff, 1u << (to + 1) % N_RECS);
        assert_int_equal(ring_enter(to, 0), 1);
        to = (to + 1) % N_RECS;
    }
    for (unsigned n = 0; n < N_RECS; n++) {
        assert_int_equal(ring_rec(n)->x[20], ROUNDS);
        rmi_ok(rig, RMI_FID_REC_DESTROY, PAGE(R_REC + n));
    }
}

/* ---- 64 Realms ---- */

enum { M_RD, M_ROOT, M_L1, M_L2, M_L3, M_REC, M_AUX, M_CODE, M_DATA, M_PAGES }; /* of one Realm */
/* By M_PAGES lives each page was everything; by twice that the host's heap has taken its shape, to the byte. */
enum { N_REALMS = 64, SECRET_AT = 0x1800, SETTLED = 2 * M_PAGES, N_LIVES = SETTLED + M_PAGES };
enum { M_FIRST = W_FREE };

/* Each life a Realm stands on other pages: those that were another's. */
static uint64_t m_page(unsigned realm, unsigned life, unsigned part)
{
    unsigned place = (realm * 5 + life * 11) % N_REALMS, at = (part + life) % M_PAGES;

    return PAGE(M_FIRST + place * M_PAGES + at);
}

static uint64_t secret(unsigned realm, unsigned life) { return 0x5ec0000000000000ull | realm << 8 | life; }

/* x2 = what is there; there = x3; x4 = what is there now; wait. */
static const uint32_t m_code[] = { A64_LDR(2, 1), A64_STR(3, 1), A64_LDR(4, 1), A64_WFI };

static void m_make(unsigned realm, unsigned life)
{
#define P(part) m_page(realm, life, part)
    uint8_t *src = rig_bytes(rig, PAGE(W_SRC));

    for (unsigned i = 0; i < M_PAGES; i++) {
        rig_delegate(rig, P(i), 1);
    }
    world_params(rig, P(M_ROOT), (uint16_t)(realm + 1), RMI_HASH_SHA_256);
    rmi_ok(rig, RMI_FID_REALM_CREATE, P(M_RD), PAGE(W_PARAMS));
    for (unsigned level = 1; level <= 3; level++) {
        rmi_ok(rig, RMI_FID_RTT_CREATE, P(M_RD), P(M_L1 + level - 1), 0, level);
    }
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, P(M_RD), 0, 0x2000);
    memset(src, 0, 4096);
    memcpy(src, m_code, sizeof(m_code));
    rmi_ok(rig, RMI_FID_DATA_CREATE, P(M_RD), P(M_CODE), 0, PAGE(W_SRC), RMI_DATA_MEASURE);
    rmi_ok(rig, RMI_FID_DATA_CREATE_UNKNOWN, P(M_RD), P(M_DATA), 0x1000);
    world_rec_params(rig, 0, 0, P(M_AUX), true);
    rmi_ok(rig, RMI_FID_REC_CREATE, P(M_RD), P(M_REC), PAGE(W_PARAMS));
    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, P(M_RD));
}

static void m_run(unsigned realm, unsigned life, uint64_t found, uint64_t left)
{
    Rec     *rec = rec_at(rig->rmm, P(M_REC));
    uint64_t call[] = { SMC64_STD(RMI_FID_REC_ENTER), P(M_REC), PAGE(W_RUN) };

    rec->pc = 0;
    rec->spsr = 0x3c5;
    rec->x[1] = SECRET_AT;
    rec->x[3] = left;
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    assert_int_equal(rig_smc(rig, realm % RIG_CPUS, call, 3), RMI_SUCCESS);
    assert_int_equal(rig_exit(rig, W_RUN, RMI_EXIT_ESR), 1u << 26);
    assert_int_equal(rec->x[2], found);
    assert_int_equal(rec->x[4], left);
}

static void m_destroy(unsigned realm, unsigned life)
{
    assert_int_equal(RMI_RETURN_STATUS(rmi(rig, RMI_FID_REALM_DESTROY, P(M_RD))), RMI_ERROR_REALM); /* live */
    rmi_ok(rig, RMI_FID_REC_DESTROY, P(M_REC));
    rmi_ok(rig, RMI_FID_DATA_DESTROY, P(M_RD), 0);
    rmi_ok(rig, RMI_FID_DATA_DESTROY, P(M_RD), 0x1000);
    for (unsigned level = 3; level >= 1; level--) {
        rmi_ok(rig, RMI_FID_RTT_DESTROY, P(M_RD), 0, level);
    }
    rmi_ok(rig, RMI_FID_REALM_DESTROY, P(M_RD));
}

/* Pages come back, or stay delegated for the next Realm; the host finds zeroes in all it gets. */
static void m_give_back(unsigned realm, unsigned life)
{
    static const uint8_t zero[4096];

    for (unsigned i = 0; i < M_PAGES; i++) {
        uint8_t      bytes[4096];
        MemAttrs     ns = { .pas = PAS_NONSECURE };
        assert_int_equal(memory_read(rig->memory, P(i), ns, bytes, 4096), MEM_GPF);
        rmi_ok(rig, RMI_FID_GRANULE_UNDELEGATE, P(i));
        assert_int_equal(memory_read(rig->memory, P(i), ns, bytes, 4096), MEM_OK);
        assert_memory_equal(bytes, zero, 4096);
        memset(rig_bytes(rig, P(i)), 0xee, 4096); /* what the host does with it is not the next Realm's either */
    }
#undef P
}

/* What the host program has allocated: see only_what_is_used(). Zero with sanitizers, which have their own way to tell
 * of leaks. */
static size_t host_memory(void) { return mallinfo2().uordblks; }

static void test_many(void **state)
{
    size_t settled = 0;

    for (unsigned life = 0; life < N_LIVES; life++) {
        for (unsigned r = 0; r < N_REALMS; r++) {
            m_make(r, life);
        }
        for (unsigned r = 0; r < N_REALMS; r++) {
            m_run(r, life, 0, secret(r, life));
        }
        for (unsigned r = N_REALMS; r-- > 0;) { /* again, when all others have run */
            m_run(r, life, secret(r, life), ~secret(r, life));
        }
        for (unsigned i = 0; i < N_REALMS; i++) {
            m_destroy(i * 7 % N_REALMS, life);
        }
        for (unsigned r = 0; r < N_REALMS; r++) {
            m_give_back(r, life);
        }
        rmm_granule_counts(rig->rmm, some_left, NULL);
        if (life + 1 == SETTLED) {
            settled = host_memory();
        } else if (life + 1 > SETTLED) {
            assert_int_equal(host_memory(), settled);
        }
    }
    /* And every number of a Realm is free again. */
    for (unsigned i = 0; i < RMM_MAX_VMIDS / 64; i++) {
        assert_int_equal(rig->rmm->vmid_used[i] & (i == 0 ? ~1ull : ~0ull), 0);
    }
}

/* The C library keeps freed blocks for each thread and counts them as allocated: how many depends on where the heap
 * lies. It is told not to when a program starts. */
static void only_what_is_used(char **argv)
{
    if (g_getenv("GLIBC_TUNABLES") == NULL) {
        g_setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", true);
        execv("/proc/self/exe", argv);
        g_error("cannot run '%s' anew: %s", argv[0], g_strerror(errno));
    }
}

int main(int argc, char **argv)
{
    only_what_is_used(argv);

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = { T(test_ring), T(test_many) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
