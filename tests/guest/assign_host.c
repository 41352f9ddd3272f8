/*
 * The host: what a kernel and its virtual machine monitor do by RMI and RHI, in their order. It connects the device, or
 * two, makes Realms, carries messages, serves exits, and takes everything back. DEN0137, DEN0148.
 */
#include "tests/guest/assign.h"

#define UART0   0x09000000ull
#define POOL    0x41000000ull
#define POOL_TOP 0x42000000ull
#define PSCI_SYSTEM_OFF 0x84000008u
#define IMAGE_PAGE(n) ((uint64_t)image_base + (n) * (uint64_t)PAGE_SIZE)

enum { MAX_GIVEN = 256, MAX_TABLES = 16, MAX_RANGES = 8, OBJECT_PAGES = 4, N_OBJECTS = 4, HISTORY = 1000 };

/* A device and the Realm that it is for. */
typedef struct Assignment {
    AssignDevice device;
    uint64_t     object[N_OBJECTS], object_len[N_OBJECTS];
    uint64_t     pdev, vdev, rd, rec, run, shared, given[MAX_GIVEN];
    unsigned     n_given, n_tables, n_mapped;
    struct {
        uint64_t ipa, level;
    } table[MAX_TABLES];
    struct {
        uint64_t base, top;
    } mapped[MAX_RANGES];
} Assignment;

static Assignment assignments[2], *a = &assignments[0]; /* a: the one that everything below is about */
static uint64_t   next_page = POOL, out[12];
static uint64_t   comm, request, response, params;

/* ---- saying something ---- */

static void print(const char *s)
{
    for (; *s != 0; s++) {
        *(volatile uint32_t *)UART0 = (uint8_t)*s;
    }
}

static void print_number(uint64_t n)
{
    char text[21], *p = text + sizeof(text);

    *--p = 0;
    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    print(p);
}

static void power_off(void)
{
    uint64_t x[12] = { PSCI_SYSTEM_OFF };

    smc(x);
}

static void failed(const char *what, uint64_t n)
{
    print(what);
    print(" ");
    print_number(n);
    print(": FAILED\n");
    power_off();
    for (;;) {
    }
}

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            failed("host, line", __LINE__);                                                                            \
        }                                                                                                              \
    } while (0)

/* ---- calls and memory ---- */

/* Results in out[1] and following. */
static uint64_t call6(uint32_t fid, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    uint64_t x[12] = { SMC64_STD(fid), a, b, c, d, e, f };

    smc(x);
    for (unsigned i = 0; i < 12; i++) {
        out[i] = x[i];
    }
    return x[0];
}

static uint64_t rmi(uint32_t fid, uint64_t a) { return call6(fid, a, 0, 0, 0, 0, 0); }

#define MUST(fid, ...)                                                                                                 \
    do {                                                                                                               \
        uint64_t status = call6(fid, __VA_ARGS__);                                                                     \
        if (status != RMI_SUCCESS) {                                                                                   \
            print("line ");                                                                                            \
            print_number(__LINE__);                                                                                    \
            failed(": an RMI call gives status", status);                                                              \
        }                                                                                                              \
    } while (0)

static uint64_t pages(unsigned n)
{
    uint64_t page = next_page;

    next_page += n * (uint64_t)PAGE_SIZE;
    CHECK(next_page <= POOL_TOP);
    for (uint64_t at = page; at < next_page; at += 8) {
        put64(at, 0);
    }
    return page;
}

static void clear(uint64_t page)
{
    for (unsigned i = 0; i < PAGE_SIZE; i += 8) {
        put64(page + i, 0);
    }
}

static uint64_t delegated(void)
{
    uint64_t page = pages(1);

    MUST(RMI_FID_GRANULE_DELEGATE, page, 0, 0, 0, 0, 0);
    CHECK(a->n_given < MAX_GIVEN);
    a->given[a->n_given++] = page;
    return page;
}

/* All that was given since @since comes back, empty. */
static void take_back(unsigned since)
{
    while (a->n_given > since) {
        MUST(RMI_FID_GRANULE_UNDELEGATE, a->given[--a->n_given], 0, 0, 0, 0, 0);
        for (unsigned i = 0; i < PAGE_SIZE; i += 8) {
            CHECK(get64(a->given[a->n_given] + i) == 0);
        }
    }
}

/* ---- conversations ---- */

static void keep(uint64_t from, uint64_t offset, uint64_t len)
{
    unsigned id = get64(comm + RMI_COMM_CACHE_OBJ_ID) & 0xff;

    CHECK(id < N_OBJECTS && offset + len <= PAGE_SIZE && a->object_len[id] + len <= OBJECT_PAGES * PAGE_SIZE);
    copy_bytes((void *)(a->object[id] + a->object_len[id]), (void *)(from + offset), len);
    a->object_len[id] += len;
}

/* PDEV_COMMUNICATE or VDEV_COMMUNICATE until there is no more to do. */
static void converse(bool of_vdev)
{
    uint64_t status = RMI_COMM_NONE, len = 0, flags;

    do {
        put64(comm + RMI_COMM_STATUS, status);
        put64(comm + RMI_COMM_REQ_ADDR, request);
        put64(comm + RMI_COMM_RESP_ADDR, response);
        put64(comm + RMI_COMM_RESP_LEN, len);
        if (!of_vdev) {
            MUST(RMI_FID_PDEV_COMMUNICATE, a->pdev, comm, 0, 0, 0, 0);
        } else if (ALP12) {
            MUST(RMI_FID_VDEV_COMMUNICATE, a->pdev, a->vdev, comm, 0, 0, 0);
        } else {
            MUST(RMI_FID_VDEV_COMMUNICATE, a->rd, a->pdev, a->vdev, comm, 0, 0);
        }
        flags = get64(comm + RMI_COMM_EXIT_FLAGS);
        if (flags & RMI_COMM_CACHE_REQ) {
            keep(request, get64(comm + RMI_COMM_CACHE_REQ_OFFSET), get64(comm + RMI_COMM_CACHE_REQ_LEN));
        }
        if (flags & RMI_COMM_CACHE_RSP) {
            keep(response, get64(comm + RMI_COMM_CACHE_RSP_OFFSET), get64(comm + RMI_COMM_CACHE_RSP_LEN));
        }
        status = RMI_COMM_NONE;
        len = 0;
        if (flags & RMI_COMM_SEND) {
            unsigned type = 1 + (get64(comm + RMI_COMM_PROTOCOL) & 0xff);

            len = assign_pci_doe(&a->device, type, request,
                                 get64(comm + (ALP12 ? RMI_COMM12_REQ_LEN : RMI_COMM_REQ_LEN)), response);
            status = len != 0 ? RMI_COMM_RESPONSE : RMI_COMM_ERROR;
        }
    } while (flags != 0);
}

static uint64_t pdev_state(void)
{
    MUST(RMI_FID_PDEV_GET_STATE, a->pdev, 0, 0, 0, 0, 0);
    return out[1];
}

static uint64_t vdev_state(void)
{
    MUST(RMI_FID_VDEV_GET_STATE, a->vdev, 0, 0, 0, 0, 0);
    return out[1];
}

/* ---- tsm/connect, tsm/disconnect ---- */

static void create_pdev(void)
{
    uint64_t flags = RMI_PDEV_FLAG_SPDM | (ALP12 ? RMI_PDEV12_FLAG_IDE : RMI_PDEV_FLAG_NCOH_IDE), n = 0;

    clear(params);
    MUST(RMI_FID_PDEV_AUX_COUNT, flags, 0, 0, 0, 0, 0);
    uint64_t n_aux = out[1];
    CHECK(n_aux <= RMI_PDEV_AUX_MAX);
    a->pdev = delegated();
    for (uint64_t i = 0; i < n_aux; i++) {
        put64(params + RMI_PDEV_AUX + 8 * i, delegated());
    }
    put64(params + RMI_PDEV_FLAGS, flags);
    put64(params + RMI_PDEV_ID, a->device.bdf);
    put64(params + RMI_PDEV_ROOT_ID, a->device.port);
    put64(params + RMI_PDEV_RID_BASE, a->device.bdf);
    put64(params + RMI_PDEV_RID_TOP, a->device.bdf + 1u);
    put64(params + RMI_PDEV_HASH_ALGO, RMI_HASH_SHA_256);
    put64(params + RMI_PDEV_NUM_AUX, n_aux);
    for (unsigned i = 0; i < 6; i++) {
        if (a->device.bar[i].size != 0) {
            put64(params + RMI_PDEV_NCOH_ADDR + 16 * n, a->device.bar[i].base);
            put64(params + RMI_PDEV_NCOH_ADDR + 16 * n + 8,
                  (a->device.bar[i].base + a->device.bar[i].size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1ull));
            n++;
        }
    }
    put64(params + RMI_PDEV_NCOH_NUM_ADDR, n);
    MUST(RMI_FID_PDEV_CREATE, a->pdev, params, 0, 0, 0, 0);
}

/* The key of the last certificate, on P-384: a BIT STRING with an uncompressed point. RFC 5480. */
static const uint8_t *leaf_key(void)
{
    static const uint8_t start[] = { 0x03, 0x62, 0x00, 0x04 };
    const uint8_t       *chain = (const uint8_t *)a->object[RMI_OBJECT_CERTIFICATE];
    uint64_t             len = a->object_len[RMI_OBJECT_CERTIFICATE], at = 0, cert = 0;

    while (at + 4 <= len) { /* each a SEQUENCE whose length has two bytes */
        CHECK(chain[at] == 0x30 && chain[at + 1] == 0x82);
        cert = at;
        at += 4u + ((unsigned)chain[at + 2] << 8 | chain[at + 3]);
    }
    CHECK(at == len && len != 0);
    for (at = cert; at + 100 <= len; at++) {
        unsigned same = 0;
        while (same < sizeof(start) && chain[at + same] == start[same]) {
            same++;
        }
        if (same == sizeof(start)) {
            return chain + at + 3;
        }
    }
    return NULL;
}

static void connect(void)
{
    CHECK(assign_pci_discover(&a->device));
    CHECK(assign_pci_stream(&a->device, false));
    create_pdev();
    converse(false);
    CHECK(pdev_state() == RMI_PDEV_NEEDS_KEY);
    clear(params);
    CHECK(leaf_key() != NULL);
    copy_bytes((void *)(params + RMI_KEY_KEY), leaf_key(), 97);
    put64(params + RMI_KEY_LEN, 97);
    put64(params + RMI_KEY_ALGO, RMI_KEY_ECDSA_P384);
    MUST(RMI_FID_PDEV_SET_PUBKEY, a->pdev, params, 0, 0, 0, 0);
    converse(false);
    CHECK(pdev_state() == RMI_PDEV_READY);
    CHECK(assign_pci_stream(&a->device, true));
    print("connected\n");
}

static void disconnect(void)
{
    MUST(RMI_FID_PDEV_STOP, a->pdev, 0, 0, 0, 0, 0);
    converse(false);
    CHECK(pdev_state() == RMI_PDEV_STOPPED);
    MUST(RMI_FID_PDEV_DESTROY, a->pdev, 0, 0, 0, 0, 0);
    take_back(0);
    print("disconnected\n");
}

/* ---- a Realm ---- */

static void make_tables(uint64_t ipa)
{
    for (;;) {
        MUST(RMI_FID_RTT_READ_ENTRY, a->rd, ipa, 3, 0, 0, 0);
        uint64_t level = out[1] + 1;
        if (level > 3) {
            return;
        }
        CHECK(a->n_tables < MAX_TABLES);
        a->table[a->n_tables].ipa = ipa & ~((1ull << (12 + 9 * (4 - level))) - 1);
        a->table[a->n_tables].level = level;
        MUST(RMI_FID_RTT_CREATE, a->rd, delegated(), a->table[a->n_tables].ipa, level, 0, 0);
        a->n_tables++;
    }
}

static unsigned image_pages(void) { return (unsigned)((image_end - image_base) / PAGE_SIZE); }

static void create_realm(uint64_t mode)
{
    uint64_t at = IMAGE_PAGE(0), top = IMAGE_PAGE(image_pages());

    clear(params);
    a->rd = delegated();
    put64(params + RMI_REALM_FLAGS0, RMI_REALM_FLAG_DA);
    put64(params + RMI_REALM_S2SZ, IPA_BITS);
    put64(params + RMI_REALM_NUM_BPS, 1);
    put64(params + RMI_REALM_NUM_WPS, 1);
    put64(params + RMI_REALM_VMID, 1 + (uint64_t)(a - assignments));
    put64(params + RMI_REALM_RTT_BASE, delegated());
    put64(params + RMI_REALM_RTT_NUM_START, 1);
    MUST(RMI_FID_REALM_CREATE, a->rd, params, 0, 0, 0, 0);
    make_tables(at);
    while (at < top) {
        MUST(RMI_FID_RTT_INIT_RIPAS, a->rd, at, top, 0, 0, 0);
        at = out[1];
    }
    for (unsigned i = 0; i < image_pages(); i++) {
        MUST(RMI_FID_DATA_CREATE, a->rd, delegated(), IMAGE_PAGE(i), IMAGE_PAGE(i), RMI_DATA_MEASURE, 0);
    }
    make_tables(SHARED_IPA | SHARED_HALF);
    MUST(RMI_FID_RTT_MAP_UNPROTECTED, a->rd, SHARED_IPA | SHARED_HALF, 3,
         a->shared | 6ull << RMI_DESC_MEMATTR_LSB | 3ull << RMI_DESC_S2AP_LSB, 0, 0);
    clear(params);
    MUST(RMI_FID_REC_AUX_COUNT, a->rd, 0, 0, 0, 0, 0);
    uint64_t n_aux = out[1];
    CHECK(n_aux <= RMI_REC_AUX_MAX);
    for (uint64_t i = 0; i < n_aux; i++) {
        put64(params + RMI_REC_AUX + 8 * i, delegated());
    }
    put64(params + RMI_REC_FLAGS, RMI_REC_RUNNABLE);
    put64(params + RMI_REC_PC, (uint64_t)realm_entry);
    put64(params + RMI_REC_GPRS, RHI_VDEV_ID(0, a->device.bdf));
    put64(params + RMI_REC_GPRS + 8, mode);
    put64(params + RMI_REC_NUM_AUX, n_aux);
    a->rec = delegated();
    MUST(RMI_FID_REC_CREATE, a->rd, a->rec, params, 0, 0, 0);
    MUST(RMI_FID_REALM_ACTIVATE, a->rd, 0, 0, 0, 0, 0);
}

static void destroy_realm(unsigned since)
{
    MUST(RMI_FID_REC_DESTROY, a->rec, 0, 0, 0, 0, 0);
    for (unsigned i = 0; i < image_pages(); i++) {
        MUST(RMI_FID_DATA_DESTROY, a->rd, IMAGE_PAGE(i), 0, 0, 0, 0);
    }
    MUST(RMI_FID_RTT_UNMAP_UNPROTECTED, a->rd, SHARED_IPA | SHARED_HALF, 3, 0, 0, 0);
    while (a->n_tables > 0) {
        a->n_tables--;
        MUST(RMI_FID_RTT_DESTROY, a->rd, a->table[a->n_tables].ipa, a->table[a->n_tables].level, 0, 0, 0);
    }
    MUST(RMI_FID_REALM_DESTROY, a->rd, 0, 0, 0, 0, 0);
    take_back(since);
}

/* ---- the VDEV ---- */

static void bind(void)
{
    a->vdev = delegated();
    clear(params);
    put64(params + RMI_VDEV_ID, RHI_VDEV_ID(0, a->device.bdf));
    put64(params + RMI_VDEV_TDI_ID, a->device.bdf);
    MUST(RMI_FID_VDEV_AUX_COUNT, ALP12 ? RMI_PDEV12_FLAG_IDE | RMI_PDEV_FLAG_SPDM
                                       : RMI_PDEV_FLAG_NCOH_IDE | RMI_PDEV_FLAG_SPDM, 0, 0, 0, 0, 0);
    CHECK(out[1] == 0);
    MUST(RMI_FID_VDEV_CREATE, a->rd, a->pdev, a->vdev, params, 0, 0);
    a->object_len[RMI_OBJECT_MEASUREMENTS] = a->object_len[RMI_OBJECT_INTERFACE_REPORT] = 0;
    if (!ALP12) {
        converse(true);
        CHECK(vdev_state() == RMI_VDEV_UNLOCKED);
    }
}

static void unmap_registers(void)
{
    while (a->n_mapped > 0) {
        a->n_mapped--;
        for (uint64_t at = a->mapped[a->n_mapped].base; at < a->mapped[a->n_mapped].top; at += PAGE_SIZE) {
            MUST(ALP12 ? RMI_FID_DEV_MEM_UNMAP : RMI_FID_VDEV_UNMAP, a->rd, at, 3, 0, 0, 0);
            CHECK(out[1] == at);
            MUST(RMI_FID_GRANULE_UNDELEGATE, at, 0, 0, 0, 0, 0);
        }
    }
}

static void unbind(void)
{
    unmap_registers();
    if (ALP12) {
        MUST(RMI_FID_VDEV_STOP, a->vdev, 0, 0, 0, 0, 0);
        converse(true);
        CHECK(vdev_state() == RMI_VDEV12_STOPPED);
    } else {
        MUST(RMI_FID_VDEV_UNLOCK, a->rd, a->pdev, a->vdev, 0, 0, 0);
        converse(true);
        CHECK(vdev_state() == RMI_VDEV_UNLOCKED);
    }
    MUST(RMI_FID_VDEV_DESTROY, a->rd, a->pdev, a->vdev, 0, 0, 0);
    a->vdev = 0;
}

/* A command that queues, the conversation, and the state after it. */
static void move(uint32_t fid, uint64_t to)
{
    MUST(fid, a->rd, a->pdev, a->vdev, fid == RMI_FID_VDEV_GET_MEASUREMENTS ? params : 0, 0, 0);
    converse(true);
    CHECK(vdev_state() == to);
}

/* ---- RHI ---- */

static uint64_t set_tdi_state(uint64_t state)
{
    if (state == RHI_TDI_LOCKED && a->vdev == 0) {
        bind();
        if (!ALP12) {
            move(RMI_FID_VDEV_LOCK, RMI_VDEV_LOCKED);
        }
    } else if (state == RHI_TDI_RUN && a->vdev != 0 && !ALP12) {
        move(RMI_FID_VDEV_START, RMI_VDEV_STARTED);
    } else if (state == RHI_TDI_UNLOCKED && a->vdev != 0) {
        unbind();
    } else {
        return RHI_INPUT;
    }
    return RHI_SUCCESS;
}

/* RHI's number of an object to RMI's; false: there is none. */
static bool find_object(uint64_t rhi, unsigned *id)
{
    static const uint8_t ids[] = { 0, RMI_OBJECT_CERTIFICATE, RMI_OBJECT_MEASUREMENTS, RMI_OBJECT_INTERFACE_REPORT,
                                   RMI_OBJECT_VCA };

    *id = rhi < sizeof(ids) ? ids[rhi] : 0;
    return rhi >= RHI_CERTIFICATE && rhi <= RHI_VCA && a->object_len[*id] != 0;
}

static uint64_t object_size(uint64_t g[31])
{
    unsigned id;
    bool     ok = find_object(g[2], &id);

    g[1] = ok ? a->object_len[id] : 0;
    return ALP12 ? (ok ? RHI12_SUCCESS : RHI12_DATA_NOT_AVAILABLE) : ok ? RHI_SUCCESS : RHI_DATA_NOT_AVAILABLE;
}

static uint64_t object_read(uint64_t g[31])
{
    unsigned id;
    uint64_t offset = g[3], len = g[4];

    CHECK(find_object(g[2], &id) && offset < a->object_len[id] && g[5] == (SHARED_IPA | SHARED_HALF));
    len = len > a->object_len[id] - offset ? a->object_len[id] - offset : len;
    len = len > PAGE_SIZE ? PAGE_SIZE : len;
    copy_bytes((void *)a->shared, (void *)(a->object[id] + offset), len);
    g[1] = len;
    return ALP12 ? RHI12_SUCCESS : RHI_SUCCESS;
}

#ifndef ASSIGN_ALP12 /* there the Realm asks for them itself */
static uint64_t get_measurements(void)
{
    a->object_len[RMI_OBJECT_MEASUREMENTS] = 0;
    copy_bytes((void *)params, (void *)a->shared, PAGE_SIZE);
    move(RMI_FID_VDEV_GET_MEASUREMENTS, RMI_VDEV_LOCKED);
    return RHI_SUCCESS;
}

static uint64_t get_report(void)
{
    a->object_len[RMI_OBJECT_INTERFACE_REPORT] = 0;
    move(RMI_FID_VDEV_GET_INTERFACE_REPORT, RMI_VDEV_LOCKED);
    return RHI_SUCCESS;
}
#endif

static uint64_t rhi(uint64_t g[31])
{
    switch (g[0]) {
#ifdef ASSIGN_ALP12
    case RHI_FID(RHI12_FID_DA_FEATURES): return RHI_FEATURE_OBJECT_SIZE | RHI_FEATURE_OBJECT_READ;
    case RHI_FID(RHI12_FID_DA_OBJECT_SIZE): return object_size(g);
    case RHI_FID(RHI12_FID_DA_OBJECT_READ): return object_read(g);
    case RHI_FID(RHI12_FID_DA_VDEV_SET_TDI_STATE): return set_tdi_state(g[2]);
#else
    case RHI_FID(RHI_FID_DA_VERSION): return 0x10000;
    case RHI_FID(RHI_FID_DA_FEATURES):
        return RHI_FEATURE_OBJECT_SIZE | RHI_FEATURE_OBJECT_READ | RHI_FEATURE_GET_MEASUREMENTS |
               RHI_FEATURE_GET_INTERFACE_REPORT | RHI_FEATURE_SET_TDI_STATE;
    case RHI_FID(RHI_FID_DA_OBJECT_SIZE): return object_size(g);
    case RHI_FID(RHI_FID_DA_OBJECT_READ): return object_read(g);
    case RHI_FID(RHI_FID_DA_VDEV_GET_INTERFACE_REPORT): return get_report();
    case RHI_FID(RHI_FID_DA_VDEV_GET_MEASUREMENTS): return get_measurements();
    case RHI_FID(RHI_FID_DA_VDEV_SET_TDI_STATE): return set_tdi_state(g[2]);
#endif
    default: return ~0ull;
    }
}

/* ---- REC exits ---- */

static void host_call(unsigned realm)
{
    static const char *const steps[N_STEPS] = {
        [STEP_LOCKED] = "locked", [STEP_EVIDENCE] = "evidence is what the RMM vouches for",
        [STEP_ACCEPTED] = "accepted", [STEP_PRIVATE_DMA] = "private DMA", [STEP_UNLOCKED] = "unlocked" };
    uint64_t g[31], imm = get64(a->run + RMI_EXIT_IMM) & 0xffff;

    for (unsigned i = 0; i < 31; i++) {
        g[i] = get64(a->run + RMI_EXIT_GPRS + 8 * i);
    }
    if (imm == TELL_FAILED) {
        failed("Realm, line", g[1]);
    } else if (imm == TELL_STEP && g[1] < N_STEPS) {
        print("realm ");
        print_number(realm);
        print(": ");
        print(steps[g[1]]);
        print("\n");
    } else {
        g[0] = imm == 0 ? rhi(g) : ~0ull;
    }
    for (unsigned i = 0; i < 31; i++) {
        put64(a->run + RMI_ENTER_GPRS + 8 * i, g[i]);
    }
}

/* The Realm wants to see device memory at an address of its own: that of the device. */
static void map_registers(void)
{
    uint64_t base = get64(a->run + (ALP12 ? RMI_EXIT12_DEV_MEM_BASE : RMI_EXIT_DEV_MEM_BASE)),
             top = get64(a->run + (ALP12 ? RMI_EXIT12_DEV_MEM_TOP : RMI_EXIT_DEV_MEM_TOP)),
             pa = get64(a->run + (ALP12 ? RMI_EXIT12_DEV_MEM_PA : RMI_EXIT_DEV_MEM_PA));

    CHECK(pa == base && a->n_mapped < MAX_RANGES);
    a->mapped[a->n_mapped].base = base;
    a->mapped[a->n_mapped++].top = top;
    for (uint64_t at = base; at < top; at += PAGE_SIZE) {
        MUST(RMI_FID_GRANULE_DELEGATE, at, 0, 0, 0, 0, 0);
        make_tables(at);
        if (ALP12) {
            MUST(RMI_FID_DEV_MEM_MAP, a->rd, at, 3, at, 0, 0);
        } else {
            MUST(RMI_FID_VDEV_MAP, a->rd, a->vdev, at, 3, at, 0);
        }
    }
    while (base < top) {
        if (ALP12) {
            MUST(RMI_FID_RTT_DEV_MEM_VALIDATE, a->rd, a->rec, base, top, 0, 0);
        } else {
            MUST(RMI_FID_VDEV_VALIDATE_MAPPING, a->rd, a->rec, a->pdev, a->vdev, base, top);
        }
        base = out[1];
    }
}

static void change_ripas(void)
{
    uint64_t base = get64(a->run + RMI_EXIT_RIPAS_BASE), top = get64(a->run + RMI_EXIT_RIPAS_TOP);

    while (base < top) {
        MUST(RMI_FID_RTT_SET_RIPAS, a->rd, a->rec, base, top, 0, 0);
        base = out[1];
    }
}

/* No Realm gets at the other one's device, whatever its host says. */
static void try_to_mix_up(void)
{
    const Assignment *other = a == assignments ? &assignments[1] : &assignments[0];

    if (other->vdev != 0) {
        CHECK(call6(RMI_FID_VDEV_COMPLETE, a->rec, other->vdev, 0, 0, 0, 0) != RMI_SUCCESS);
    }
    if (other->n_mapped != 0) {
        uint64_t at = other->mapped[0].base;

        CHECK(call6(RMI_FID_GRANULE_DELEGATE, at, 0, 0, 0, 0, 0) != RMI_SUCCESS);
        make_tables(at);
        CHECK((ALP12 ? call6(RMI_FID_DEV_MEM_MAP, a->rd, at, 3, at, 0, 0)
                     : call6(RMI_FID_VDEV_MAP, a->rd, a->vdev, at, 3, at, 0)) != RMI_SUCCESS);
    }
}

/* Until the Realm has said something, true, or is off. */
static bool run_realm(unsigned realm)
{
    for (;;) {
        MUST(RMI_FID_REC_ENTER, a->rec, a->run, 0, 0, 0, 0);
        uint64_t reason = get64(a->run + RMI_EXIT_REASON);

        if (reason == RMI_EXIT_PSCI) {
            CHECK(get64(a->run + RMI_EXIT_GPRS) == PSCI_SYSTEM_OFF);
            return false;
        } else if (reason == RMI_EXIT_HOST_CALL) {
            host_call(realm);
            if ((get64(a->run + RMI_EXIT_IMM) & 0xffff) == TELL_STEP) {
                return true;
            }
        } else if (reason == RMI_EXIT_RIPAS_CHANGE) {
            change_ripas();
        } else if (reason == RMI_EXIT_VDEV_REQUEST) {
            CHECK(get64(a->run + RMI_EXIT_VDEV_ID_1) == RHI_VDEV_ID(0, a->device.bdf));
            try_to_mix_up();
            MUST(RMI_FID_VDEV_COMPLETE, a->rec, a->vdev, 0, 0, 0, 0);
        } else if (ALP12 && reason == RMI_EXIT12_VDEV_COMM) {
            CHECK(get64(a->run + RMI_EXIT12_VDEV) == a->vdev);
            converse(true);
        } else if (reason == (ALP12 ? RMI_EXIT12_DEV_MEM_MAP : RMI_EXIT_VDEV_MAP)) {
            map_registers();
        } else {
            print("ESR ");
            print_number(get64(a->run + RMI_EXIT_ESR));
            print(", ");
            failed("an exit for reason", reason);
        }
    }
}

/* ---- the stories ---- */

/* A Realm that is off, or that we end. It is not destroyed as long as it has a VDEV. */
static void end_realm(unsigned since)
{
    if (a->vdev != 0) {
        CHECK(RMI_RETURN_STATUS(rmi(RMI_FID_REALM_DESTROY, a->rd)) == RMI_ERROR_REALM);
        unbind();
    }
    destroy_realm(since);
    clear(a->run);
}

/* One device for three Realms, one after the other. The second powers off while the device is in its hands. */
static void one_device(void)
{
    connect();
    for (unsigned realm = 1; realm <= 3; realm++) {
        unsigned since = a->n_given;

        create_realm(realm == 2 ? REALM_LEAVES_IT_RUNNING : REALM_TWICE);
        while (run_realm(realm)) {
        }
        end_realm(since);
    }
    disconnect();
}

/* A device for each of two Realms, which take turns, a step each; then for two others, of which the first powers off
 * while its device runs, and is gone when the other goes on. */
static void two_devices(void)
{
    unsigned since[2];
    bool     there[2];

    for (unsigned i = 0; i < 2; i++) {
        a = &assignments[i];
        connect();
        since[i] = a->n_given;
    }
    for (unsigned realm = 1; realm <= 3; realm += 2) {
        for (unsigned i = 0; i < 2; i++) {
            a = &assignments[i];
            create_realm(realm == 3 && i == 0 ? REALM_LEAVES_IT_RUNNING : REALM_TWICE);
            there[i] = true;
        }
        for (unsigned i = 0; there[0] || there[1]; i ^= 1) {
            a = &assignments[i];
            if (there[i] && !run_realm(realm + i)) {
                there[i] = false;
                end_realm(since[i]);
            }
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        a = &assignments[i];
        disconnect();
    }
}

void host_main(void)
{
    comm = pages(1);
    request = pages(1);
    response = pages(1);
    params = pages(1);
    for (unsigned n = 0; n < 2; n++) {
        assignments[n].run = pages(1);
        assignments[n].shared = pages(1);
        for (unsigned i = 0; i < N_OBJECTS; i++) {
            assignments[n].object[i] = pages(OBJECT_PAGES);
        }
    }
    CHECK(rmi(RMI_FID_VERSION, RMI_ABI_VERSION(1, 0)) == RMI_SUCCESS);
    MUST(RMI_FID_FEATURES, 0, 0, 0, 0, 0, 0);
    CHECK(out[1] & RMI_FEATURE0_DA);
    CHECK(assign_pci_start(&assignments[0].device, 0));
    if (assign_pci_start(&assignments[1].device, 1)) {
        two_devices();
    } else {
        one_device();
    }
    power_off();
}
