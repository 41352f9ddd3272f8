/*
 * Device assignment in the built-in host against an RMM made up for the test: connecting, the Realm's calls
 * with good and with hostile arguments, registers and memory of the device, interrupts, and the faults it can
 * be told to commit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "host_rig.h"
#include "hw/pci/root_port.h"
#include "spdm/pki.h"

#define SHARED_PAGE  (RIG_RAM + 0x10000)
#define PRIVATE_PAGE (RIG_RAM + 0x20000)

static int setup(void **state)
{
    *state = host_rig_new();
    return 0;
}

static int setup_connected(void **state)
{
    HostRig *r = host_rig_new();

    *state = r;
    host_rig_connect(r);
    host_rig_share(r, SHARED_PAGE, true);
    return 0;
}

static int teardown(void **state)
{
    host_rig_free(*state);
    return 0;
}

static HostFunction *function(HostRig *r) { return host_pci_find(&r->h->bus, RIG_DEV); }

static bool alias_mapped(HostRig *r, uint64_t ipa)
{
    return g_hash_table_contains(r->rmm.aliases, GSIZE_TO_POINTER((ipa | SHARED_BIT) >> 12));
}

/* ---- connecting ---- */

static void test_connect(void **state)
{
    HostRig      *r = *state;
    SpdmPublicKey key;

    host_rig_connect(r);
    HostDevice *d = host_device_find(r->h, RIG_VDEV);
    GByteArray *chain = d->objects[RMI_OBJECT_CERTIFICATE];

    assert_int_equal(r->h->phase, HOST_RUN);
    assert_int_equal(d->state, HOST_DEVICE_READY);
    assert_false(r->rmm.broken);
    assert_true(host_rig_noted(r, "pdev-ready"));
    assert_null(spdm_chain_check(chain->data, chain->len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1, &key));
    assert_memory_equal(r->rmm.key, key.bytes, key.len);
    assert_int_equal(ide_state(&r->dev->ide, 0), IDE_SECURE);
    assert_true(ide_rid_matches(&r->dev->ide, 0, RIG_PORT));
    assert_int_equal(r->dev->doe.error, false);
}

/* BARs are at their own addresses in the unprotected half, but for the one of the MSI-X table. */
static void test_bars_mapped(void **state)
{
    HostRig            *r = *state;
    const HostFunction *f = function(r);

    assert_true(alias_mapped(r, f->bars[0].base) && alias_mapped(r, f->bars[0].base + 0x3000));
    assert_true(alias_mapped(r, f->bars[4].base));
    assert_false(alias_mapped(r, f->bars[2].base));
}

typedef struct ConnectFailure {
    const char *name;
    uint32_t    refuse;
    bool        silent, plain_only, ends_run;
} ConnectFailure;

static const ConnectFailure connect_failures[] = {
    { .name = "the RMM takes no PDEV", .refuse = RMI_FID_PDEV_CREATE, .ends_run = true },
    { .name = "the RMM takes no key", .refuse = RMI_FID_PDEV_SET_PUBKEY },
    { .name = "the RMM ends the conversation", .refuse = RMI_FID_PDEV_COMMUNICATE },
    { .name = "the device does not answer", .silent = true },
    { .name = "the device has no secured objects", .plain_only = true },
};

static void test_connect_fails(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(connect_failures); i++) {
        const ConnectFailure *c = &connect_failures[i];
        HostRig              *r = host_rig_new();

        print_message("%s\n", c->name);
        r->rmm.refuse = c->refuse;
        r->dev->silent = c->silent;
        r->dev->doe.n_proto = c->plain_only ? 1 : 2;
        host_rig_connect(r);
        assert_int_equal(r->rmm.stopped != NULL, c->ends_run);
        assert_int_equal(r->h->phase, c->ends_run ? HOST_FAILED : HOST_RUN);
        assert_int_equal(host_device_find(r->h, RIG_VDEV)->state, HOST_DEVICE_FAILED);
        if (!c->ends_run) { /* each lock is a new try */
            assert_int_equal(host_rig_rhi(r, RHI_FID_DA_VDEV_SET_TDI_STATE, RIG_VDEV, RHI_TDI_LOCKED), RHI_DEVICE);
            assert_int_equal(host_device_find(r->h, RIG_VDEV)->state, HOST_DEVICE_FAILED);
            r->rmm.refuse = 0;
            r->dev->silent = false;
            r->dev->doe.n_proto = 2;
            assert_int_equal(host_rig_rhi(r, RHI_FID_DA_VDEV_SET_TDI_STATE, RIG_VDEV, RHI_TDI_LOCKED), RHI_SUCCESS);
            assert_int_equal(host_device_find(r->h, RIG_VDEV)->state, HOST_DEVICE_READY);
        }
        host_rig_free(r);
    }
}

/* What was wrong the first time may be right the second: nobody notices. */
static void test_connect_again(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(connect_failures); i++) {
        const ConnectFailure *c = &connect_failures[i];
        HostRig              *r = host_rig_new();

        if (!c->ends_run) {
            print_message("%s, once\n", c->name);
            r->rmm.refuse = c->refuse;
            r->dev->silent = c->silent;
            r->dev->doe.n_proto = c->plain_only ? 1 : 2;
            while (r->h->n_devices == 0 || !host_device_find(r->h, RIG_VDEV)->tried_again) {
                if (!host_realm_step(r->h, r->cpu)) {
                    clock_advance(r->clock, clock_next_deadline(r->clock));
                }
            }
            r->rmm.refuse = 0;
            r->dev->silent = false;
            r->dev->doe.n_proto = 2;
            host_rig_connect(r);
            assert_int_equal(host_device_find(r->h, RIG_VDEV)->state, HOST_DEVICE_READY);
            assert_int_equal(host_rig_rhi(r, RHI_FID_DA_VDEV_SET_TDI_STATE, RIG_VDEV, RHI_TDI_LOCKED), RHI_SUCCESS);
        }
        host_rig_free(r);
    }
}

/* ---- the Realm's calls ---- */

static uint64_t set_state(HostRig *r, uint64_t state)
{
    return host_rig_rhi(r, RHI_FID_DA_VDEV_SET_TDI_STATE, RIG_VDEV, state);
}

static uint64_t measure(HostRig *r, uint64_t ipa)
{
    return host_rig_rhi(r, RHI_FID_DA_VDEV_GET_MEASUREMENTS, RIG_VDEV, ipa);
}

static void map_exit(HostRig *r, uint64_t vdev, uint64_t base, uint64_t top, uint64_t pa)
{
    host_put64(r->h, r->hc->run + RMI_EXIT_VDEV_ID_1, vdev);
    host_put64(r->h, r->hc->run + RMI_EXIT_DEV_MEM_BASE, base);
    host_put64(r->h, r->hc->run + RMI_EXIT_DEV_MEM_TOP, top);
    host_put64(r->h, r->hc->run + RMI_EXIT_DEV_MEM_PA, pa);
    r->hc->flags = 0;
    host_device_map(r->h, r->hc);
}

/* From unlocked to started and back: granules and mappings are as before. */
static void test_life(void **state)
{
    HostRig *r = *state;
    uint64_t bar = function(r)->bars[0].base;
    int      delegated = r->rmm.n_delegated;
    guint    aliases = g_hash_table_size(r->rmm.aliases);

    for (unsigned pass = 0; pass < 2; pass++) {
        assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
        assert_int_equal(r->rmm.vdev, RMI_VDEV_LOCKED);
        assert_int_equal(host_rig_rhi(r, RHI_FID_DA_VDEV_GET_INTERFACE_REPORT, RIG_VDEV, 0), RHI_SUCCESS);
        assert_int_equal(measure(r, SHARED_PAGE | SHARED_BIT), RHI_SUCCESS);
        host_put64(r->h, r->hc->run + RMI_EXIT_VDEV_ID_1, RIG_VDEV);
        host_device_request(r->h, r->hc);
        assert_int_equal(r->rmm.completed, host_device_find(r->h, RIG_VDEV)->vdev);
        map_exit(r, RIG_VDEV, bar, bar + 0x2000, bar);
        assert_int_equal(r->hc->flags, 0);
        assert_int_equal(r->rmm.validated_top, bar + 0x2000);
        assert_false(alias_mapped(r, bar));
        assert_true(alias_mapped(r, bar + 0x2000));
        assert_int_equal(set_state(r, RHI_TDI_RUN), RHI_SUCCESS);
        assert_int_equal(set_state(r, RHI_TDI_UNLOCKED), RHI_SUCCESS);
        assert_int_equal(r->rmm.vdev, -1);
        assert_int_equal(r->rmm.n_delegated, delegated);
        assert_int_equal(g_hash_table_size(r->rmm.aliases), aliases);
        assert_int_equal(g_hash_table_size(r->rmm.assigned), 0);
    }
    assert_false(r->rmm.broken);
    assert_null(r->rmm.stopped);
    assert_true(host_rig_noted(r, "vdev-locked") && host_rig_noted(r, "vdev-started") &&
                host_rig_noted(r, "vdev-unlocked"));
}

static void test_objects(void **state)
{
    static const char expect[] = "plain request ";
    HostRig          *r = *state;
    uint64_t          gprs[31] = { RHI_FID(RHI_FID_DA_OBJECT_SIZE), RIG_VDEV, RHI_INTERFACE_REPORT };
    char              got[14];

    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
    assert_int_equal(host_rig_call(r, 0, gprs), RHI_DATA_NOT_AVAILABLE);
    assert_int_equal(host_rig_rhi(r, RHI_FID_DA_VDEV_GET_INTERFACE_REPORT, RIG_VDEV, 0), RHI_SUCCESS);
    gprs[0] = RHI_FID(RHI_FID_DA_OBJECT_SIZE);
    gprs[1] = RIG_VDEV;
    assert_int_equal(host_rig_call(r, 0, gprs), RHI_SUCCESS);
    assert_int_equal(gprs[1],
                     3 * (14 + 8)); /* three exchanges: request words, eight bytes of each response */

    uint64_t read[31] = { RHI_FID(RHI_FID_DA_OBJECT_READ), RIG_VDEV, RHI_INTERFACE_REPORT, 22, 14,
                          SHARED_PAGE | SHARED_BIT };

    assert_int_equal(host_rig_call(r, 0, read), RHI_SUCCESS);
    assert_int_equal(read[1], 14);
    assert_int_equal(memory_read(r->memory, SHARED_PAGE, host_attrs, got, sizeof(got)), MEM_OK);
    assert_memory_equal(got, expect, sizeof(got));
}

/* The parameters reach the RMM as the Realm wrote them. */
static void test_measurement_parameters(void **state)
{
    HostRig *r = *state;
    uint8_t  page[PAGE_SIZE];

    for (size_t i = 0; i < sizeof(page); i++) {
        page[i] = (uint8_t)(i * 7);
    }
    memory_write(r->memory, SHARED_PAGE, host_attrs, page, sizeof(page));
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
    assert_int_equal(measure(r, SHARED_PAGE | SHARED_BIT), RHI_SUCCESS);
    assert_memory_equal(r->rmm.params, page, sizeof(page));
}

typedef struct CallCase {
    const char *name;
    bool        locked;
    uint32_t    fn;
    uint64_t    a[5];
    uint64_t    expect;
} CallCase;

#define CERT RHI_CERTIFICATE
#define GOOD (SHARED_PAGE | SHARED_BIT)
static const CallCase call_cases[] = {
    {"host configuration version", 0, RHI_FID_HOSTCONF_VERSION, {0}, 0x10000},
    {"host configuration features", 0, RHI_FID_HOSTCONF_FEATURES, {0}, 1},
    {"alignment of RIPAS changes", 0, RHI_FID_HOSTCONF_GET_IPA_CHANGE_ALIGNMENT, {0}, 4096},
    {"version", 0, RHI_FID_DA_VERSION, {0}, 0x10000},
    {"features", 0, RHI_FID_DA_FEATURES, {0}, 0xbf},
    {"attestation sessions are not offered", 0, 0x40, {0}, SMC_UNKNOWN},
    {"the firmware activation log is not offered", 0, 0x46, {0}, SMC_UNKNOWN},
    {"continue with nothing begun", 0, RHI_FID_DA_VDEV_CONTINUE, {RIG_VDEV, 1}, RHI_INPUT},
    {"continue of no device", 0, RHI_FID_DA_VDEV_CONTINUE, {~0ull, 1}, RHI_INVALID_VDEV},
    {"unbind is not offered", 0, RHI_FID_DA_VDEV_P2P_UNBIND, {RIG_VDEV}, SMC_UNKNOWN},
    {"no such call", 0, 0xff, {0}, SMC_UNKNOWN},
    {"abort of nothing", 0, RHI_FID_DA_VDEV_ABORT, {RIG_VDEV}, RHI_ABORT_COMPLETED},
    {"abort of no device", 0, RHI_FID_DA_VDEV_ABORT, {~0ull}, RHI_INVALID_VDEV},
    {"size of no device", 0, RHI_FID_DA_OBJECT_SIZE, {RIG_VDEV + 1, CERT}, RHI_INVALID_VDEV},
    {"size of the port", 0, RHI_FID_DA_OBJECT_SIZE, {RIG_PORT, CERT}, RHI_INVALID_VDEV},
    {"size in another domain", 0, RHI_FID_DA_OBJECT_SIZE, {RIG_VDEV | 1 << 16, CERT}, RHI_INVALID_VDEV},
    {"object 0", 0, RHI_FID_DA_OBJECT_SIZE, {RIG_VDEV, 0}, RHI_INVALID_OBJECT},
    {"object 5", 0, RHI_FID_DA_OBJECT_SIZE, {RIG_VDEV, 5}, RHI_INVALID_OBJECT},
    {"object ~0", 0, RHI_FID_DA_OBJECT_READ, {RIG_VDEV, ~0ull, 0, 1, GOOD}, RHI_INVALID_OBJECT},
    {"no measurements yet", 0, RHI_FID_DA_OBJECT_READ, {RIG_VDEV, 2, 0, 1, GOOD}, RHI_DATA_NOT_AVAILABLE},
    {"offset past the end",
     0,
     RHI_FID_DA_OBJECT_READ,
     {RIG_VDEV, CERT, 1 << 20, 1, GOOD},
     RHI_INVALID_OFFSET},
    {"offset ~0", 0, RHI_FID_DA_OBJECT_READ, {RIG_VDEV, CERT, ~0ull, 2, GOOD}, RHI_INVALID_OFFSET},
    {"no length", 0, RHI_FID_DA_OBJECT_READ, {RIG_VDEV, CERT, 0, 0, GOOD}, RHI_INPUT},
    {"to a private page",
     0,
     RHI_FID_DA_OBJECT_READ,
     {RIG_VDEV, CERT, 0, 8, PRIVATE_PAGE | SHARED_BIT},
     RHI_ACCESS_FAILED},
    {"without the shared bit",
     0,
     RHI_FID_DA_OBJECT_READ,
     {RIG_VDEV, CERT, 0, 8, SHARED_PAGE},
     RHI_ACCESS_FAILED},
    {"beyond the shared page",
     0,
     RHI_FID_DA_OBJECT_READ,
     {RIG_VDEV, CERT, 0, 100, GOOD + 0xff8},
     RHI_ACCESS_FAILED},
    {"to our own memory",
     0,
     RHI_FID_DA_OBJECT_READ,
     {RIG_VDEV, CERT, 0, 8, (RIG_RAM + RIG_REALM_SIZE) | SHARED_BIT},
     RHI_ACCESS_FAILED},
    {"to a device",
     0,
     RHI_FID_DA_OBJECT_READ,
     {RIG_VDEV, CERT, 0, 8, RIG_GICD | SHARED_BIT},
     RHI_ACCESS_FAILED},
    {"to the top of all", 0, RHI_FID_DA_OBJECT_READ, {RIG_VDEV, CERT, 0, ~0ull, ~0ull}, RHI_ACCESS_FAILED},
    {"state 3", 0, RHI_FID_DA_VDEV_SET_TDI_STATE, {RIG_VDEV, 3}, RHI_INPUT},
    {"state ~0", 0, RHI_FID_DA_VDEV_SET_TDI_STATE, {RIG_VDEV, ~0ull}, RHI_INPUT},
    {"run before lock", 0, RHI_FID_DA_VDEV_SET_TDI_STATE, {RIG_VDEV, RHI_TDI_RUN}, RHI_INPUT},
    {"unlocked already", 0, RHI_FID_DA_VDEV_SET_TDI_STATE, {RIG_VDEV, RHI_TDI_UNLOCKED}, RHI_SUCCESS},
    {"lock of no device", 0, RHI_FID_DA_VDEV_SET_TDI_STATE, {7, RHI_TDI_LOCKED}, RHI_INVALID_VDEV},
    {"locked already", 1, RHI_FID_DA_VDEV_SET_TDI_STATE, {RIG_VDEV, RHI_TDI_LOCKED}, RHI_INPUT},
    {"report before lock", 0, RHI_FID_DA_VDEV_GET_INTERFACE_REPORT, {RIG_VDEV}, RHI_INPUT},
    {"measurements before lock", 0, RHI_FID_DA_VDEV_GET_MEASUREMENTS, {RIG_VDEV, GOOD}, RHI_INPUT},
    {"parameters not aligned", 1, RHI_FID_DA_VDEV_GET_MEASUREMENTS, {RIG_VDEV, GOOD + 8}, RHI_INPUT},
    {"parameters private",
     1,
     RHI_FID_DA_VDEV_GET_MEASUREMENTS,
     {RIG_VDEV, PRIVATE_PAGE | SHARED_BIT},
     RHI_ACCESS_FAILED},
    {"parameters by their private address",
     1,
     RHI_FID_DA_VDEV_GET_MEASUREMENTS,
     {RIG_VDEV, SHARED_PAGE},
     RHI_ACCESS_FAILED},
};

static void test_calls(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(call_cases); i++) {
        const CallCase *c = &call_cases[i];
        uint64_t        gprs[31] = { RHI_FID(c->fn) };

        print_message("%s\n", c->name);
        setup_connected(state);
        HostRig *r = *state;

        if (c->locked) {
            assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
        }
        memcpy(gprs + 1, c->a, sizeof(c->a));
        assert_true(host_rig_call(r, 0, gprs) == c->expect);
        assert_null(r->rmm.stopped);
        teardown(state);
    }
}

/* The same number by another road is no RHI call: DEN0028, "Function Identifiers"; RSI_HOST_CALL, imm. */
static void test_function_ids(void **state)
{
    static const struct {
        const char *name;
        uint16_t    imm;
        uint64_t    fid, expect;
    } rows[] = {
        { "as it is", 0, 0xc500004e, 0x10000 },
        { "SMC32 form", 0, 0x8500004e, SMC_UNKNOWN },
        { "another owner", 0, 0xc400004e, SMC_UNKNOWN },
        { "yielding call", 0, 0x4500004e, SMC_UNKNOWN },
        { "high half", 0, 0x1c500004e, SMC_UNKNOWN },
        { "number of 16 bits", 0, 0xc500014e, SMC_UNKNOWN },
        { "imm", 1, 0xc500004e, SMC_UNKNOWN },
    };
    HostRig *r = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t gprs[31] = { rows[i].fid };
        uint64_t before = r->h->rhi_counts[0x4e];

        print_message("%s\n", rows[i].name);
        assert_true(host_rig_call(r, rows[i].imm, gprs) == rows[i].expect);
        assert_int_equal(r->h->rhi_counts[0x4e] - before, rows[i].expect != SMC_UNKNOWN);
    }
}

/* A Realm without an assigned device finds no such functions, the others stay. */
static void test_no_device(void **state)
{
    HostRig *r = *state;

    r->h->n_devices = 0;
    for (size_t i = 0; i < ARRAY_LEN(call_cases); i++) {
        uint64_t gprs[31] = { RHI_FID(call_cases[i].fn) };
        bool     hostconf = call_cases[i].fn >= RHI_FID_HOSTCONF_VERSION &&
                        call_cases[i].fn <= RHI_FID_HOSTCONF_GET_IPA_CHANGE_ALIGNMENT;

        memcpy(gprs + 1, call_cases[i].a, sizeof(call_cases[i].a));
        assert_true(host_rig_call(r, 0, gprs) == (hostconf ? call_cases[i].expect : SMC_UNKNOWN));
    }
}

/* The first public series asks for these four, and wants exactly two of them among the features. */
static void test_alp12(void **state)
{
    static const struct { uint64_t gprs[4], expect; } rows[] = {
        { { RHI_FID(RHI12_FID_DA_FEATURES) }, RHI_FEATURE_OBJECT_SIZE | RHI_FEATURE_OBJECT_READ },
        { { RHI_FID(RHI12_FID_DA_OBJECT_SIZE), 0x1234, RHI_CERTIFICATE }, RHI12_INVALID_VDEV },
        { { RHI_FID(RHI12_FID_DA_OBJECT_SIZE), RIG_VDEV, 9 }, RHI12_INVALID_OBJECT },
        { { RHI_FID(RHI12_FID_DA_OBJECT_SIZE), RIG_VDEV, RHI_INTERFACE_REPORT }, RHI12_DATA_NOT_AVAILABLE },
        { { RHI_FID(RHI12_FID_DA_OBJECT_SIZE), RIG_VDEV, RHI_CERTIFICATE }, RHI12_SUCCESS },
        { { RHI_FID(RHI12_FID_DA_OBJECT_READ), RIG_VDEV, RHI_CERTIFICATE, 1 << 20 }, RHI12_INVALID_OFFSET },
        { { RHI_FID(RHI12_FID_DA_OBJECT_READ), RIG_VDEV, RHI_CERTIFICATE }, RHI12_INVALID_ADDR },
        { { RHI_FID(RHI12_FID_DA_VDEV_SET_TDI_STATE), RIG_VDEV, RHI_TDI_RUN }, RHI_INPUT },
        { { RHI_FID(RHI12_FID_DA_VDEV_SET_TDI_STATE), RIG_VDEV, RHI_TDI_UNLOCKED }, RHI_SUCCESS },
        { { RHI_FID(RHI_FID_DA_VERSION) }, SMC_UNKNOWN },
        { { RHI_FID(RHI_FID_HOSTCONF_GET_IPA_CHANGE_ALIGNMENT) }, SMC_UNKNOWN },
    };
    HostRig *r = *state;

    r->h->cfg.dialect = RMM_1_1_ALP12;
    r->h->dialect = &rmm_dialects[RMM_1_1_ALP12];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t gprs[31] = { 0 };

        memcpy(gprs, rows[i].gprs, sizeof(rows[i].gprs));
        assert_true(host_rig_call(r, 0, gprs) == rows[i].expect);
    }
}

static void check_listed(void *opaque, uint32_t fid, const char *name, unsigned dialects)
{
    bool found = false;

    if (!(dialects & IN_ALP17)) {
        return;
    }

    for (size_t i = 0; i < ARRAY_LEN(call_cases); i++) {
        found |= fid == RHI_FID(call_cases[i].fn) && call_cases[i].expect != SMC_UNKNOWN;
    }
    if (!found) {
        fail_msg("%s is listed, and no row here has it", name);
    }
    ++*(unsigned *)opaque;
}

static void test_conformance(void **state)
{
    unsigned n = 0;

    host_rhi_conformance(check_listed, &n);
    assert_int_equal(n, 12);
}

/* A device that falls silent costs its VDEV, not the run; the next lock works again. */
static void test_device_fails(void **state)
{
    HostRig *r = *state;
    int      delegated = r->rmm.n_delegated;

    r->dev->silent = true;
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_DEVICE);
    assert_int_equal(r->rmm.vdev, -1);
    assert_int_equal(r->rmm.n_delegated, delegated);
    r->dev->silent = false;
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
    r->dev->silent = true;
    assert_int_equal(set_state(r, RHI_TDI_UNLOCKED), RHI_DEVICE);
    assert_int_equal(r->rmm.vdev, -1);
    assert_int_equal(r->rmm.n_delegated, delegated);
    assert_null(r->rmm.stopped);
}

/* Another REC may end a job; the one that waits is told. */
static void test_abort(void **state)
{
    HostRig *r = *state;
    uint64_t lock[31] = { RHI_FID(RHI_FID_DA_VDEV_SET_TDI_STATE), RIG_VDEV, RHI_TDI_LOCKED };
    uint64_t other[31] = { RHI_FID(RHI_FID_DA_VDEV_SET_TDI_STATE), RIG_VDEV, RHI_TDI_LOCKED };
    uint64_t stop[31] = { RHI_FID(RHI_FID_DA_VDEV_ABORT), RIG_VDEV };
    HostCpu  second = { .cpu = r->cpu };
    uint64_t status;

    host_call(r->h, r->hc, 0, lock);
    for (unsigned i = 0; i < 4; i++) {
        assert_false(host_device_step(r->h, r->cpu, r->hc->device, &status));
    }
    host_call(r->h, &second, 0, other);
    assert_int_equal(other[0], RHI_BUSY);
    host_call(r->h, &second, 0, stop);
    assert_int_equal(stop[0], RHI_SUCCESS);
    assert_true(host_device_step(r->h, r->cpu, r->hc->device, &status));
    assert_int_equal(status, RHI_DEVICE);
    assert_int_equal(r->rmm.vdev, -1);
}

/* Functions of one mailbox take turns: while a job of one is under way, another is told to come again. What they have
 * in common is the physical function's. */
static void test_siblings(void **state)
{
    HostRig    *r = *state;
    HostDevice *d = host_device_find(r->h, RIG_VDEV), *vf = &r->h->devices[r->h->n_devices++];

    *vf = (HostDevice){ .f = d->f, .pf = d, .vdev_id = RIG_VDEV + 1, .vdev = RIG_RAM };
    for (unsigned i = 0; i < HOST_N_OBJECTS; i++) {
        vf->objects[i] = g_byte_array_new();
    }
    timer_init(&vf->alarm, r->clock, NULL, NULL);
    assert_int_equal(host_rig_rhi(r, RHI_FID_DA_OBJECT_SIZE, RIG_VDEV + 1, RHI_CERTIFICATE), RHI_SUCCESS);
    assert_int_equal(host_rig_rhi(r, RHI_FID_DA_OBJECT_SIZE, RIG_VDEV + 1, RHI_INTERFACE_REPORT),
                     RHI_DATA_NOT_AVAILABLE);
    host_device_begin(r->h, d, HOST_JOB_LOCK);
    assert_int_equal(host_rig_rhi(r, RHI_FID_DA_VDEV_SET_TDI_STATE, RIG_VDEV + 1, RHI_TDI_RUN), RHI_BUSY);
    d->job.kind = HOST_JOB_NONE;
    host_device_begin(r->h, vf, HOST_JOB_LOCK);
    assert_int_equal(host_rig_rhi(r, RHI_FID_DA_VDEV_SET_TDI_STATE, RIG_VDEV, RHI_TDI_LOCKED), RHI_BUSY);
    vf->job.kind = HOST_JOB_NONE;
}

/* ---- device memory ---- */

typedef struct MapCase {
    const char *name;
    uint64_t    vdev;
    int         bar;
    int64_t     off;
    uint64_t    len;
    uint64_t    pa_off; /* the PA differs from the IPA by this */
    uint64_t    accepted;
} MapCase;

static const MapCase map_cases[] = {
    { "a page", RIG_VDEV, 0, 0x1000, 0x1000, 0, 0x1000 },
    { "a whole BAR", RIG_VDEV, 0, 0, 0x4000, 0, 0x4000 },
    { "up to its end", RIG_VDEV, 4, 0, 0x8000, 0, 0x1000 },
    { "another PA", RIG_VDEV, 0, 0, 0x1000, 0x1000, 0 },
    { "the MSI-X table", RIG_VDEV, 2, 0, 0x1000, 0, 0 },
    { "before the BAR", RIG_VDEV, 0, -0x1000, 0x1000, 0, 0 },
    { "far away", RIG_VDEV, 0, 1ll << 40, 0x1000, 0, 0 },
    { "no such VDEV", RIG_VDEV + 8, 0, 0, 0x1000, 0, 0 },
    { "nothing", RIG_VDEV, 0, 0, 0, 0, 0 },
};

static void test_map(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(map_cases); i++) {
        const MapCase *c = &map_cases[i];

        print_message("%s\n", c->name);
        setup_connected(state);
        HostRig *r = *state;
        uint64_t base = function(r)->bars[c->bar].base + (uint64_t)c->off;

        assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
        map_exit(r, c->vdev, base, base + c->len, base + c->pa_off);
        assert_int_equal(r->hc->flags, c->accepted != 0 ? 0 : RMI_ENTER_DEV_MEM_REJECT);
        assert_int_equal(r->rmm.validated_top, c->accepted != 0 ? base + c->accepted : 0);
        assert_int_equal(g_hash_table_size(r->rmm.assigned), c->accepted / PAGE_SIZE);
        teardown(state);
    }
}

/* An RMM that refuses the mapping leaves the page where it was. */
static void test_map_refused(void **state)
{
    HostRig *r = *state;
    uint64_t bar = function(r)->bars[0].base;

    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
    r->rmm.refuse = RMI_FID_VDEV_MAP;
    map_exit(r, RIG_VDEV, bar, bar + 0x1000, bar);
    assert_int_equal(r->hc->flags, RMI_ENTER_DEV_MEM_REJECT);
    assert_true(alias_mapped(r, bar));
    assert_null(r->rmm.stopped);
}

/* ---- DMA ---- */

static DmaResult dma(HostRig *r, uint64_t iova)
{
    uint8_t bytes[16] = { 0x5a };

    return dma_write(&r->dev->pci.dma, iova, bytes, sizeof(bytes));
}

static void test_dma(void **state)
{
    HostRig *r = *state;
    uint64_t ecam = RIG_ECAM + ((uint64_t)RIG_DEV << 12);

    host_rig_write(r, ecam + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(dma(r, SHARED_PAGE | SHARED_BIT), DMA_OK);
    assert_int_equal(host_get64(r->h, SHARED_PAGE), 0x5a);
    assert_int_equal(dma(r, SHARED_PAGE), DMA_FAULT); /* only by its shared address */
    assert_int_equal(dma(r, PRIVATE_PAGE), DMA_FAULT);
    assert_int_equal(dma(r, PRIVATE_PAGE | SHARED_BIT), DMA_FAULT);
    assert_int_equal(dma(r, r->h->smmu.root), DMA_FAULT); /* our own memory */
    host_gic_serve(r->h, r->hc);
    assert_int_equal(r->h->smmu.n_events, 4);
    host_rig_share(r, SHARED_PAGE, false);
    assert_int_equal(dma(r, SHARED_PAGE | SHARED_BIT), DMA_FAULT); /* nothing cached */
}

/* Many faults: the queue wraps and is emptied each time. */
static void test_event_queue_wraps(void **state)
{
    HostRig *r = *state;

    host_config_write(function(r), PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(dma(r, PRIVATE_PAGE), DMA_FAULT);
        host_gic_serve(r->h, r->hc);
    }
    assert_int_equal(r->h->smmu.n_events, 1000);
}

/* ---- interrupts ---- */

/* The Realm's own ITS, as its kernel sets it up: collection 0, the device with 8 events, event 5 as LPI 8300.
   */
static void put_command(HostRig *r, uint64_t at, uint64_t dw0, uint64_t dw1, uint64_t dw2)
{
    host_put64(r->h, at, dw0);
    host_put64(r->h, at + 8, dw1);
    host_put64(r->h, at + 16, dw2);
    host_put64(r->h, at + 24, 0);
}

static void start_virtual_its(HostRig *r)
{
    const uint64_t base = RIG_RAM + 0x100000, valid = 1ull << 63;
    const uint64_t queue = base, devices = base + 0x10000, collections = base + 0x20000, itt = base + 0x21000;
    const uint64_t config = base + 0x30000, pending = base + 0x40000;

    for (uint64_t ipa = base; ipa < base + 0x60000; ipa += PAGE_SIZE) {
        host_rig_share(r, ipa, true);
    }
    memory_write(r->memory, config + 8300 - 8192, host_attrs, (uint8_t[]){ 0xa1 }, 1);
    host_rig_write(r, RIG_GICD, 4, 0x12);
    host_rig_write(r, RIG_GICR + 0x14, 4, 0);
    host_rig_write(r, RIG_GICR + 0x70, 8, config | 13);
    host_rig_write(r, RIG_GICR + 0x78, 8, pending | 1ull << 62);
    host_rig_write(r, RIG_GICR, 4, 1);
    host_rig_write(r, RIG_ITS + 0x100, 8, valid | devices | 0xf);
    host_rig_write(r, RIG_ITS + 0x108, 8, valid | collections);
    host_rig_write(r, RIG_ITS + 0x80, 8, valid | queue);
    host_rig_write(r, RIG_ITS, 4, 1);
    put_command(r, queue, 0x09, 0, valid);
    put_command(r, queue + 32, 0x08 | (uint64_t)RIG_DEV << 32, 2, valid | itt);
    put_command(r, queue + 64, 0x0a | (uint64_t)RIG_DEV << 32, 5 | 8300ull << 32, 0);
    host_rig_write(r, RIG_ITS + 0x88, 8, 96);
}

static void test_msix(void **state)
{
    HostRig      *r = *state;
    HostFunction *f = function(r);
    uint64_t      ecam = RIG_ECAM + ((uint64_t)RIG_DEV << 12), table = f->bars[2].base;
    uint64_t      doorbell = RIG_ITS + GITS_TRANSLATER_OFFSET;

    start_virtual_its(r);
    host_rig_write(r, ecam + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    host_rig_write(r, ecam + f->msix.cap + 2, 2, 0x8000);
    host_rig_write(r, table + 16, 8, doorbell | SHARED_BIT);
    host_rig_write(r, table + 24, 4, 5);
    host_rig_write(r, table + 28, 4, 0);
    assert_int_equal(host_rig_read(r, table + 16, 8),
                     doorbell | SHARED_BIT); /* the Realm sees what it wrote */
    assert_int_equal(host_rig_read(r, table + 24, 4), 5);
    assert_int_equal(r->dev->pci.msix.vectors[1].addr, doorbell); /* the device holds our message */
    assert_int_equal(r->dev->pci.msix.vectors[1].data, 1);

    pci_msix_notify(&r->dev->pci, 1);
    assert_false(gicv3_virt_has_pending(r->h->vgic, 0));
    host_gic_serve(r->h, r->hc);
    assert_true(gicv3_virt_has_pending(r->h->vgic, 0));
}

static void test_msix_masked(void **state)
{
    HostRig *r = *state;
    uint64_t ecam = RIG_ECAM + ((uint64_t)RIG_DEV << 12), table = function(r)->bars[2].base;

    start_virtual_its(r);
    host_rig_write(r, ecam + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    host_rig_write(r, ecam + function(r)->msix.cap + 2, 2, 0x8000);
    host_rig_write(r, table, 8, RIG_ITS + GITS_TRANSLATER_OFFSET);
    host_rig_write(r, table + 8, 4, 5);
    pci_msix_notify(&r->dev->pci, 0);
    assert_int_equal(host_rig_read(r, table + 0x800, 8), 1); /* pending bits come from the device */
    host_gic_serve(r->h, r->hc);
    assert_false(gicv3_virt_has_pending(r->h->vgic, 0));
    host_rig_write(r, table + 12, 4, 0);
    host_gic_serve(r->h, r->hc);
    assert_true(gicv3_virt_has_pending(r->h->vgic, 0));
}

/* Addresses and accesses that make no sense end nowhere. */
static void test_msix_hostile(void **state)
{
    static const uint64_t addresses[] = { 0, RIG_RAM, RIG_GICD, ~3ull, RIG_ITS };
    HostRig              *r = *state;
    uint64_t              table = function(r)->bars[2].base;
    uint64_t              ecam = RIG_ECAM + ((uint64_t)RIG_DEV << 12), value = 0;

    start_virtual_its(r);
    host_rig_write(r, ecam + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    host_rig_write(r, ecam + function(r)->msix.cap + 2, 2, 0x8000);
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        host_rig_write(r, table + 32, 8, addresses[i]);
        host_rig_write(r, table + 40, 8, 5);
        pci_msix_notify(&r->dev->pci, 2);
        host_gic_serve(r->h, r->hc);
        assert_false(gicv3_virt_has_pending(r->h->vgic, 0));
    }
    for (uint64_t off = 0; off < 0x1000; off += 8) {
        host_rig_write(r, table + off, 1, 0xff);
        host_rig_write(r, table + off, 8, ~0ull);
        host_rig_read(r, table + off + 2, 2);
    }
    assert_int_equal(host_mmio(r->h, 0, table + 4, 8, true, &value), MEM_DECODE);
    for (unsigned v = 0; v < 4; v++) {
        assert_int_equal(r->dev->pci.msix.vectors[v].addr, RIG_ITS + GITS_TRANSLATER_OFFSET);
        assert_int_equal(r->dev->pci.msix.vectors[v].data, v);
    }
}

/* ---- configuration window ---- */

static void test_window(void **state)
{
    HostRig *r = *state;
    uint64_t ecam = RIG_ECAM;

    assert_int_equal(host_rig_read(r, ecam + ((uint64_t)RIG_DEV << 12), 4), 0x00011234);
    assert_int_equal(host_rig_read(r, ecam + ((uint64_t)RIG_PORT << 12), 4), 0x000c1b36);
    assert_int_equal(host_rig_read(r, ecam, 4), 0xffffffff);
    assert_int_equal(host_rig_read(r, ecam + cca_virt.ecam.size - 8, 8), ~0ull);
    assert_int_equal(host_rig_read(r, ecam + ((uint64_t)RIG_DEV << 12), 8) >> 32,
                     host_rig_read(r, ecam + ((uint64_t)RIG_DEV << 12) + 4, 4));
    r->dev->n_bar_writes = 0;
    for (unsigned off = 0; off < 4096; off += 4) {
        if (off != PCI_COMMAND) {
            host_rig_write(r, ecam + ((uint64_t)RIG_DEV << 12) + off, 4, ~0u);
        }
    }
    assert_int_equal(r->dev->n_bar_writes, 0);
    assert_int_equal(r->dev->doe.in_dw, 0);
    assert_int_equal(ide_state(&r->dev->ide, 0), IDE_SECURE);
}

/* ---- faults ---- */

static void test_fault_names(void **state)
{
    static const struct { const char *text, *error; } rows[] = {
        { "map-private+substitute-key", NULL },
        { "bar-write", NULL },
        { "bar-write=run+busy=3+object-flip=vca", NULL },
        { "busy=4294967295", NULL },
        { "any", NULL },
        { "bar-write+steal", "'steal'" },
        { "", "names no fault" },
        { "busy+", "fault ''" },
        { "+", "fault ''" },
        { "busy=", "is no parameter of 'busy'" },
        { "busy=-1", "is no parameter of 'busy'" },
        { "busy=4294967296", "is no parameter of 'busy'" },
        { "busy=1=2", "is no parameter of 'busy'" },
        { "busy=run", "is no parameter of 'busy'" },
        { "flr=asleep", "is no parameter of 'flr'" },
        { "object-flip=5", "is no parameter of 'object-flip'" },
        { "map-private=1", "is no parameter of 'map-private'" },
        { "any=1", "fault 'any'" },
    };
    HostFaults faults;
    GError    *error = NULL;

    assert_true(host_faults_parse(NULL, &faults, &error) && faults.named == 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool ok = host_faults_parse(rows[i].text, &faults, &error);

        print_message("%s\n", rows[i].text);
        assert_int_equal(ok, rows[i].error == NULL);
        assert_int_equal(ok, faults.named != 0 && error == NULL);
        assert_true(ok || strstr(error->message, rows[i].error) != NULL);
        g_clear_error(&error);
    }
}

static void arm(HostRig *r, const char *text)
{
    assert_true(host_faults_parse(text, &r->h->faults, NULL));
}

static uint64_t fault_call(HostRig *r, const char *name, uint64_t arg)
{
    uint64_t gprs[31] = { 0, arg };

    memcpy(gprs + 2, name, strlen(name));
    return host_rig_call(r, HOST_FAULT_IMM, gprs);
}

/* Each row: the call that suffers, what the Realm reads, and that the same call succeeds the next time. */
typedef struct FaultCase {
    const char *fault;
    bool        locked;
    uint32_t    fn;
    uint64_t    arg, expect;
} FaultCase;

#define SET_STATE RHI_FID_DA_VDEV_SET_TDI_STATE
#define GET_REPORT RHI_FID_DA_VDEV_GET_INTERFACE_REPORT
static const FaultCase fault_cases[] = {
    { "busy", 0, SET_STATE, RHI_TDI_LOCKED, RHI_BUSY },
    { "busy", 1, GET_REPORT, 0, RHI_BUSY },
    { "device-error", 0, SET_STATE, RHI_TDI_LOCKED, RHI_DEVICE },
    { "device-error", 1, SET_STATE, RHI_TDI_RUN, RHI_DEVICE },
    { "refuse-lock", 0, SET_STATE, RHI_TDI_LOCKED, RHI_ACCESS_FAILED },
    { "pretend", 0, SET_STATE, RHI_TDI_LOCKED, RHI_SUCCESS },
    { "message-lost", 0, SET_STATE, RHI_TDI_LOCKED, RHI_DEVICE },
    { "message-lost=4", 0, SET_STATE, RHI_TDI_LOCKED, RHI_DEVICE },
    { "message-abort", 0, SET_STATE, RHI_TDI_LOCKED, RHI_DEVICE },
    { "message-abort=6", 0, SET_STATE, RHI_TDI_LOCKED, RHI_DEVICE },
};

static void test_fault_calls(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(fault_cases); i++) {
        const FaultCase *c = &fault_cases[i];

        print_message("%s\n", c->fault);
        setup_connected(state);
        HostRig *r = *state;
        int      delegated = r->rmm.n_delegated;

        if (c->locked) {
            assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
        }
        arm(r, c->fault);
        assert_int_equal(host_rig_rhi(r, c->fn, RIG_VDEV, c->arg), c->expect);
        assert_int_equal(r->rmm.vdev, c->locked ? RMI_VDEV_LOCKED : -1);
        assert_true(c->locked || r->rmm.n_delegated == delegated);
        assert_int_equal(host_rig_rhi(r, c->fn, RIG_VDEV, c->arg), RHI_SUCCESS);
        assert_int_equal(set_state(r, RHI_TDI_UNLOCKED), RHI_SUCCESS);
        assert_int_equal(r->rmm.n_delegated, delegated);
        assert_null(r->rmm.stopped);
        teardown(state);
    }
}

static uint64_t continue_call(HostRig *r, uint64_t cookie)
{
    return host_rig_rhi(r, RHI_FID_DA_VDEV_CONTINUE, RIG_VDEV, cookie);
}

/* INCOMPLETE: the cookie counts, everything else finds the device busy, an abort ends it. */
static void test_fault_incomplete(void **state)
{
    HostRig *r = *state;
    uint64_t gprs[31] = { RHI_FID(SET_STATE), RIG_VDEV, RHI_TDI_LOCKED };
    uint64_t stop[31] = { RHI_FID(RHI_FID_DA_VDEV_ABORT), RIG_VDEV };

    arm(r, "incomplete=3");
    assert_int_equal(host_rig_call(r, 0, gprs), RHI_INCOMPLETE);
    assert_int_equal(continue_call(r, gprs[1] + 1), RHI_INPUT);
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_BUSY);
    assert_int_equal(continue_call(r, gprs[1]), RHI_INCOMPLETE);
    assert_int_equal(continue_call(r, gprs[1]), RHI_INCOMPLETE);
    assert_int_equal(r->rmm.vdev, -1);
    assert_int_equal(continue_call(r, gprs[1]), RHI_SUCCESS);
    assert_int_equal(r->rmm.vdev, RMI_VDEV_LOCKED);
    assert_int_equal(continue_call(r, gprs[1]), RHI_INPUT);
    assert_int_equal(set_state(r, RHI_TDI_UNLOCKED), RHI_SUCCESS);

    arm(r, "incomplete");
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_INCOMPLETE);
    assert_int_equal(host_rig_call(r, 0, stop), RHI_SUCCESS);
    assert_int_equal(r->rmm.vdev, -1);
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
    assert_int_equal(set_state(r, RHI_TDI_UNLOCKED), RHI_SUCCESS);

    arm(r, "incomplete+late-abort");
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_INCOMPLETE);
    stop[0] = RHI_FID(RHI_FID_DA_VDEV_ABORT);
    assert_int_equal(host_rig_call(r, 0, stop), RHI_ABORT_COMPLETED);
    assert_int_equal(r->rmm.vdev, RMI_VDEV_LOCKED);
}

static uint64_t object_call(HostRig *r, uint32_t fn, uint64_t offset, uint64_t *result)
{
    uint64_t gprs[31] = { RHI_FID(fn), RIG_VDEV, RHI_INTERFACE_REPORT, offset, PAGE_SIZE, GOOD };
    uint64_t status = host_rig_call(r, 0, gprs);

    *result = gprs[1];
    return status;
}

static void test_fault_objects(void **state)
{
    static const struct { const char *fault; uint64_t size, read; bool same; } rows[] = {
        { "object-flip=certificate", 66, 66, true },
        { "object-flip", 66, 66, false },
        { "object-short", 66, 33, true },
        { "object-grow", 33, 66, true },
        { "object-huge", 1ull << 40, 66, true },
    };
    HostRig *r = *state;
    uint8_t  before[66], after[66];
    uint64_t n;

    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
    assert_int_equal(host_rig_rhi(r, GET_REPORT, RIG_VDEV, 0), RHI_SUCCESS);
    assert_int_equal(object_call(r, RHI_FID_DA_OBJECT_READ, 0, &n), RHI_SUCCESS);
    memory_read(r->memory, SHARED_PAGE, host_attrs, before, sizeof(before));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].fault);
        arm(r, rows[i].fault);
        assert_int_equal(object_call(r, RHI_FID_DA_OBJECT_SIZE, 0, &n), RHI_SUCCESS);
        assert_int_equal(n, rows[i].size);
        assert_int_equal(object_call(r, RHI_FID_DA_OBJECT_READ, 0, &n), RHI_SUCCESS);
        assert_int_equal(n, rows[i].read);
        memory_read(r->memory, SHARED_PAGE, host_attrs, after, sizeof(after));
        assert_int_equal(memcmp(before, after, n) == 0, rows[i].same);
        host_faults_drop(r->h);
    }
}

static void test_fault_names_vdev(void **state)
{
    HostRig *r = *state;

    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
    host_put64(r->h, r->hc->run + RMI_EXIT_VDEV_ID_1, RIG_VDEV);
    arm(r, "complete-omit");
    host_device_request(r->h, r->hc);
    assert_int_equal(r->rmm.completed, 0);
    arm(r, "complete-other");
    host_device_request(r->h, r->hc);
    assert_int_equal(r->rmm.completed, host_device_find(r->h, RIG_VDEV)->pdev);
    host_device_request(r->h, r->hc);
    assert_int_equal(r->rmm.completed, host_device_find(r->h, RIG_VDEV)->vdev);
}

static void test_fault_maps(void **state)
{
    static const struct { const char *fault; uint64_t pages; bool rejects; } rows[] = {
        { "map-reject", 0, true },
        { "map-partial=3", 3, true },
        { "map-few=2", 2, false },
        { "map-wrong-pa", 0, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].fault);
        setup_connected(state);
        HostRig *r = *state;
        uint64_t bar = function(r)->bars[0].base;
        int      delegated;

        assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
        delegated = r->rmm.n_delegated;
        arm(r, rows[i].fault);
        map_exit(r, RIG_VDEV, bar, bar + 0x4000, bar);
        assert_int_equal(r->hc->flags, rows[i].rejects ? RMI_ENTER_DEV_MEM_REJECT : 0);
        assert_int_equal(g_hash_table_size(r->rmm.assigned), rows[i].pages);
        assert_int_equal(r->rmm.n_delegated - delegated, rows[i].pages);
        assert_null(r->rmm.stopped);
        teardown(state);
    }
}

static void test_fault_map_private(void **state)
{
    HostRig *r = *state;

    host_config_write(function(r), PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    *host_page(r->h, PRIVATE_PAGE) = HOST_PAGE_PRIVATE;
    owners_set(r->owners, PRIVATE_PAGE, PAGE_SIZE, OWNER_REALM);
    assert_true(fault_call(r, "map-private", PRIVATE_PAGE) == ~0ull); /* not asked for */
    arm(r, "map-private");
    assert_int_equal(fault_call(r, "map-private", 0), RHI_INPUT);
    assert_int_equal(fault_call(r, "map-private", ~0ull), RHI_INPUT);
    assert_int_equal(fault_call(r, "map-private", SHARED_PAGE), RHI_INPUT);
    assert_int_equal(dma(r, PRIVATE_PAGE), DMA_FAULT);
    assert_int_equal(fault_call(r, "map-private", PRIVATE_PAGE), RHI_SUCCESS);
    assert_int_equal(dma(r, PRIVATE_PAGE), DMA_GPF);
    assert_true(fault_call(r, "bar-write", RIG_VDEV) == ~0ull);
    assert_true(fault_call(r, "a-name-as-long-as-four-registers", 0) == ~0ull);
    arm(r, "any");
    assert_int_equal(fault_call(r, "bar-write", 99), RHI_INVALID_VDEV);
    assert_int_equal(fault_call(r, "key-refresh", 99), RHI_INVALID_VDEV);
    assert_int_equal(fault_call(r, "busy", 1), RHI_SUCCESS);
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_BUSY);
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
}

static void test_fault_bar_write(void **state)
{
    HostRig      *r = *state;
    HostFunction *f = function(r);
    uint32_t      place = host_config_read(f, PCI_BAR0 + 8, 4);

    arm(r, "bar-write");
    assert_int_equal(fault_call(r, "bar-write", 99), RHI_INVALID_VDEV);
    assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
    r->dev->n_bar_writes = 0;
    assert_int_equal(fault_call(r, "bar-write", RIG_VDEV), RHI_SUCCESS);
    assert_int_equal(r->dev->n_bar_writes, 1);
    assert_int_not_equal(host_config_read(f, PCI_BAR0 + 8, 4), place);
    assert_int_equal(host_rig_read(r, f->bars[2].base + 0x800, 4),
                     0xffffffff); /* the table is away: no crash */
    host_rig_write(r, f->bars[2].base + 12, 4, 0);
    assert_int_equal(set_state(r, RHI_TDI_UNLOCKED), RHI_SUCCESS);
    assert_int_equal(host_config_read(f, PCI_BAR0 + 8, 4), place);
    assert_int_equal(r->dev->pci.msix.vectors[0].control, 0); /* what was written meanwhile */
}

/* Without a word of the Realm: each write at each state that can be named, and undone by the unlock. UNLOCKED is when
 * the device was connected, here anew. */
static void test_fault_at_state(void **state)
{
    static const struct { const char *fault; unsigned off, len; } writes[] = {
        { "bar-write", PCI_BAR0 + 8, 4 }, { "command-write", PCI_COMMAND, 2 }, { "flr", PCI_COMMAND, 2 },
        { "unplug", PCI_VENDOR_ID, 2 },
    };
    static const char *const states[] = { "unlocked", "locked", "run" };

    for (size_t i = 0; i < ARRAY_LEN(writes) * ARRAY_LEN(states); i++) {
        g_autofree char *fault = g_strdup_printf("%s=%s", writes[i / 3].fault, states[i % 3]);
        unsigned         off = writes[i / 3].off, len = writes[i / 3].len;

        print_message("%s\n", fault);
        setup_connected(state);
        HostRig *r = *state;

        host_pci_filter_write(function(r), PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
        uint32_t before = host_config_read(function(r), off, len);

        arm(r, fault);
        if (i % 3 == 0) {
            r->rmm.pdev = RMI_PDEV_ERROR;
            r->rmm.refuse = RMI_FID_VDEV_CREATE;
            assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_DEVICE);
            r->rmm.refuse = 0;
        }
        if (strcmp(fault, "unplug=unlocked") == 0) { /* nobody there to be locked */
            assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_DEVICE);
            assert_int_not_equal(host_config_read(function(r), off, len), before);
            teardown(state);
            continue;
        }
        assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
        assert_int_equal(host_config_read(function(r), off, len) != before, i % 3 != 2);
        bool gone = strcmp(fault, "unplug=locked") == 0;
        assert_int_equal(set_state(r, RHI_TDI_RUN), gone ? RHI_DEVICE : RHI_SUCCESS);
        assert_int_not_equal(host_config_read(function(r), off, len), before);
        assert_int_equal(set_state(r, RHI_TDI_UNLOCKED), RHI_SUCCESS);
        assert_int_equal(host_config_read(function(r), off, len), before);
        teardown(state);
    }
}

/* A connection that is lost is made anew before the next lock, with all granules given back. */
static void test_reconnect(void **state)
{
    HostRig *r = *state;
    int      delegated = r->rmm.n_delegated;

    for (unsigned i = 0; i < 3; i++) {
        r->rmm.pdev = RMI_PDEV_ERROR;
        r->rmm.refuse = RMI_FID_VDEV_CREATE;
        assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_DEVICE);
        r->rmm.refuse = 0;
        assert_int_equal(host_device_find(r->h, RIG_VDEV)->state, HOST_DEVICE_LOST);
        assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
        assert_int_equal(r->rmm.pdev, RMI_PDEV_READY);
        assert_int_equal(set_state(r, RHI_TDI_UNLOCKED), RHI_SUCCESS);
        assert_int_equal(r->rmm.n_delegated, delegated);
    }
    for (unsigned end = 0; end < 2; end++) { /* the link failed at one end; nothing was said in the session */
        IdeCap *ide = end == 0 ? root_port_ide(pci_host_find(r->pci, RIG_PORT)) : &r->dev->ide;
        int     sel = ide_find_stream(ide, host_device_find(r->h, RIG_VDEV)->stream_id);

        ide_fail(ide, (unsigned)sel, true);
        assert_true(host_device_is_lost(host_device_find(r->h, RIG_VDEV)));
        assert_int_equal(set_state(r, RHI_TDI_LOCKED), RHI_SUCCESS);
        assert_int_equal(ide_state(ide, (unsigned)sel), IDE_SECURE);
        assert_int_equal(set_state(r, RHI_TDI_UNLOCKED), RHI_SUCCESS);
        assert_int_equal(r->rmm.n_delegated, delegated);
    }
    arm(r, "any");
    assert_int_equal(fault_call(r, "reconnect", RIG_VDEV), RHI_SUCCESS);
    assert_int_equal(fault_call(r, "key-refresh", RIG_VDEV), RHI_SUCCESS);
    assert_int_equal(r->rmm.pdev, RMI_PDEV_READY);
    assert_int_equal(r->rmm.n_delegated, delegated);
    assert_null(r->rmm.stopped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bars_mapped, setup_connected, teardown),
        cmocka_unit_test(test_connect_fails),
        cmocka_unit_test(test_connect_again),
        cmocka_unit_test_setup_teardown(test_life, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_objects, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_measurement_parameters, setup_connected, teardown),
        cmocka_unit_test(test_calls),
        cmocka_unit_test_setup_teardown(test_function_ids, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_no_device, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_alp12, setup_connected, teardown),
        cmocka_unit_test(test_conformance),
        cmocka_unit_test_setup_teardown(test_device_fails, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_abort, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_siblings, setup_connected, teardown),
        cmocka_unit_test(test_map),
        cmocka_unit_test_setup_teardown(test_map_refused, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_dma, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_event_queue_wraps, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_msix, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_msix_masked, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_msix_hostile, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_window, setup_connected, teardown),
        cmocka_unit_test(test_fault_names),
        cmocka_unit_test(test_fault_calls),
        cmocka_unit_test_setup_teardown(test_fault_incomplete, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_fault_objects, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_fault_names_vdev, setup_connected, teardown),
        cmocka_unit_test(test_fault_maps),
        cmocka_unit_test_setup_teardown(test_fault_map_private, setup_connected, teardown),
        cmocka_unit_test_setup_teardown(test_fault_bar_write, setup_connected, teardown),
        cmocka_unit_test(test_fault_at_state),
        cmocka_unit_test_setup_teardown(test_reconnect, setup_connected, teardown),
    };

    return cmocka_run_group_tests_name("host_rhi", tests, NULL, NULL);
}
