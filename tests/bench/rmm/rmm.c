/*
 * What the firmware model costs, measured by a bare host at NS-EL2 whose counter is the wall's (-clock host). A line
 * each, "BENCH: rmm NAME NS": of one granule delegated, of one REC entry with its exit, of one call of the Realm to the
 * RMM, of one SMC that the monitor answers, of a whole Realm of 1 GiB from the first granule delegated to the last one
 * back. Calls, numbers and layouts: DEN0137, the commands of those names.
 */
#include <stdint.h>

#define PAGE     4096ull
#define POOL     0x50000000ull /* tables, RECs, parameters */
#define DATA     0x60000000ull /* 1 GiB */
#define GIB      0x40000000ull
#define MEASURED 0x02000000ull /* so much of it has content that is measured; the rest starts as zero */

enum { DELEGATE = 0x151, UNDELEGATE = 0x152, DATA_CREATE = 0x153, DATA_CREATE_UNKNOWN = 0x154, DATA_DESTROY = 0x155,
       REALM_ACTIVATE = 0x157, REALM_CREATE = 0x158, REALM_DESTROY = 0x159, REC_CREATE = 0x15a, REC_DESTROY = 0x15b,
       REC_ENTER = 0x15c, RTT_CREATE = 0x15d, RTT_DESTROY = 0x15e, REC_AUX_COUNT = 0x167, RTT_INIT_RIPAS = 0x168 };

/* Pages of the pool. */
enum { ROOT = 0, RD = 2, L2 = 3, REC = 4, AUX = 5, OURS = 32, PARAMS = OURS, RUN, SRC, L3 = 64 };
static uint64_t pool(unsigned page) { return POOL + page * PAGE; }

enum { PSCI_VERSION = 0x84000000 };

/* start.S: what the Realm runs, each in CODE_LEN bytes; the calls that one of them makes. */
enum { CODE_LEN = 64, RSI_CALLS = 200000 };
extern const uint64_t realm_waits[], realm_asks_version[], realm_asks_ripas[];

void host(void);
void print(const char *text);

/* ---- calls ---- */

typedef struct Result { uint64_t x0, x1; } Result;

static Result smc(uint64_t fid, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    register uint64_t x0 __asm__("x0") = fid, x1 __asm__("x1") = a, x2 __asm__("x2") = b, x3 __asm__("x3") = c;
    register uint64_t x4 __asm__("x4") = d, x5 __asm__("x5") = e;

    __asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4) : "r"(x5) : "memory");
    return (Result){ x0, x1 };
}

static void print_number(uint64_t n)
{
    char  text[24];
    char *p = text + sizeof(text);

    *--p = '\0';
    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    print(p);
}

/* A call that has to succeed; returns its X1. */
static uint64_t rmi(unsigned n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    Result r = smc(0xc4000000u | n, a, b, c, d, e);

    if (r.x0 != 0) {
        print("BENCH: failed RMI 0x150 + ");
        print_number(n - 0x150);
        print(", status ");
        print_number(r.x0);
        print("\n");
        smc(0x84000008, 0, 0, 0, 0, 0);
    }
    return r.x1;
}

static uint64_t now_ns(void)
{
    uint64_t t, hz;

    __asm__ volatile("isb\n mrs %0, cntpct_el0\n mrs %1, cntfrq_el0" : "=r"(t), "=r"(hz) : : "memory");
    return t * (1000000000 / hz);
}

static void report(const char *name, uint64_t ns)
{
    print("BENCH: rmm ");
    print(name);
    print(" ");
    print_number(ns);
    print("\n");
}

static void put(unsigned page, unsigned offset, uint64_t value)
{
    *(volatile uint64_t *)(pool(page) + offset) = value;
}

/* ---- rows ---- */

static void for_pages(unsigned call, uint64_t from, uint64_t len)
{
    for (uint64_t pa = from; pa < from + len; pa += PAGE) {
        rmi(call, pa, 0, 0, 0, 0);
    }
}

static void granules(void)
{
    enum { N = 65536, ROUNDS = 4 };
    uint64_t given = 0, back = 0, t;

    for_pages(DELEGATE, DATA, N * PAGE);
    for_pages(UNDELEGATE, DATA, N * PAGE); /* wiped: the memory exists now */
    for (unsigned i = 0; i < ROUNDS; i++) {
        t = now_ns();
        for_pages(DELEGATE, DATA, N * PAGE);
        given += now_ns() - t;
        t = now_ns();
        for_pages(UNDELEGATE, DATA, N * PAGE);
        back += now_ns() - t;
    }
    report("delegate", given / (N * ROUNDS));
    report("undelegate", back / (N * ROUNDS));
}

/* A Realm with @len bytes at IPA 0, each a page of its own that begins with @code, and a REC that begins at 0. */
static void make(uint64_t len, const uint64_t *code)
{
    for_pages(DELEGATE, POOL, OURS * PAGE);
    put(PARAMS, 0x008, 40);           /* s2sz */
    put(PARAMS, 0x018, 1);            /* num_bps, num_wps: one fewer than there are */
    put(PARAMS, 0x020, 1);
    put(PARAMS, 0x030, 0);            /* SHA-256 */
    put(PARAMS, 0x800, 1);            /* vmid */
    put(PARAMS, 0x808, pool(ROOT));
    put(PARAMS, 0x810, 1);            /* start level */
    put(PARAMS, 0x818, 2);            /* root tables */
    rmi(REALM_CREATE, pool(RD), pool(PARAMS), 0, 0, 0);
    rmi(DELEGATE, pool(L3), 0, 0, 0, 0);
    rmi(RTT_CREATE, pool(RD), pool(L2), 0, 2, 0);
    for (uint64_t ipa = 0, n = L3; ipa < len; ipa += 512 * PAGE, n++) {
        if (ipa != 0) {
            rmi(DELEGATE, pool((unsigned)n), 0, 0, 0, 0);
        }
        rmi(RTT_CREATE, pool(RD), pool((unsigned)n), ipa, 3, 0);
        uint64_t end = ipa + 512 * PAGE < len ? ipa + 512 * PAGE : len;
        rmi(RTT_INIT_RIPAS, pool(RD), ipa, end, 0, 0);
    }
    for (unsigned at = 0; at < CODE_LEN; at += 8) {
        put(SRC, at, code[at / 8]);
    }
    for (uint64_t ipa = 0; ipa < len; ipa += PAGE) {
        rmi(DELEGATE, DATA + ipa, 0, 0, 0, 0);
        if (ipa < MEASURED) {
            rmi(DATA_CREATE, pool(RD), DATA + ipa, ipa, pool(SRC), 1);
        } else {
            rmi(DATA_CREATE_UNKNOWN, pool(RD), DATA + ipa, ipa, 0, 0);
        }
    }
    for (unsigned at = 0; at < PAGE; at += 8) {
        put(PARAMS, at, 0);
    }
    uint64_t n_aux = rmi(REC_AUX_COUNT, pool(RD), 0, 0, 0, 0);
    put(PARAMS, 0x000, 1);            /* runnable */
    put(PARAMS, 0x800, n_aux);
    for (unsigned i = 0; i < n_aux; i++) {
        put(PARAMS, 0x808 + 8 * i, pool(AUX + i));
    }
    rmi(REC_CREATE, pool(RD), pool(REC), pool(PARAMS), 0, 0);
    rmi(REALM_ACTIVATE, pool(RD), 0, 0, 0, 0);
    put(RUN, 0, 1 << 2);              /* trap WFI */
    rmi(REC_ENTER, pool(REC), pool(RUN), 0, 0, 0);
}

static void take_apart(uint64_t len)
{
    rmi(REC_DESTROY, pool(REC), 0, 0, 0, 0);
    for (uint64_t ipa = 0; ipa < len; ipa += PAGE) {
        rmi(UNDELEGATE, rmi(DATA_DESTROY, pool(RD), ipa, 0, 0, 0), 0, 0, 0, 0);
    }
    for (uint64_t ipa = 0; ipa < len; ipa += 512 * PAGE) {
        rmi(UNDELEGATE, rmi(RTT_DESTROY, pool(RD), ipa, 3, 0, 0), 0, 0, 0, 0);
    }
    rmi(RTT_DESTROY, pool(RD), 0, 2, 0, 0);
    rmi(REALM_DESTROY, pool(RD), 0, 0, 0, 0);
    for_pages(UNDELEGATE, POOL, OURS * PAGE);
    for (unsigned at = 0; at < PAGE; at += 8) {
        put(PARAMS, at, 0);
    }
}

static void entries(void)
{
    enum { N = 200000 };

    make(PAGE, realm_waits);
    uint64_t t = now_ns();
    for (unsigned i = 0; i < N; i++) {
        rmi(REC_ENTER, pool(REC), pool(RUN), 0, 0, 0);
    }
    report("rec-enter", (now_ns() - t) / N);
    take_apart(PAGE);
}

static void realm_calls(const char *name, const uint64_t *code)
{
    make(PAGE, code); /* it has made them once */
    uint64_t t = now_ns();
    rmi(REC_ENTER, pool(REC), pool(RUN), 0, 0, 0);
    report(name, (now_ns() - t) / RSI_CALLS);
    take_apart(PAGE);
}

static void host_calls(void)
{
    enum { N = 200000 };

    uint64_t t = now_ns();
    for (unsigned i = 0; i < N; i++) {
        smc(PSCI_VERSION, 0, 0, 0, 0, 0);
    }
    report("smc", (now_ns() - t) / N);
}

static void whole(void)
{
    uint64_t t = now_ns();

    make(GIB, realm_waits);
    uint64_t made = now_ns();
    take_apart(GIB);
    report("realm-1g-made", made - t);
    report("realm-1g", now_ns() - t);
}

void host(void)
{
    granules();
    entries();
    realm_calls("rsi-version", realm_asks_version);
    realm_calls("rsi-ipa-state", realm_asks_ripas);
    host_calls();
    whole();
    print("BENCH: end\n");
}
