/*
 * tdisp-nic: found through configuration space, keyed, locked, started and stopped by a module that knows
 * nothing else; what each state lets through; which configuration writes break the lock; the DMA test engine.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nic_rig.h"

#include "bytes.h"
#include "hw/pci/doe.h"
#include "hw/pci/root_port.h"
#include "hw/tdisp/nic_int.h"

#define ALL_ONES (~0ull)

static const char *const state_names[] = { "UNLOCKED", "LOCKED", "RUN", "ERROR" };

/* ---- finding it ---- */

static void test_identity(void **state)
{
    NicRig  *r = rig_new(NULL);
    unsigned exp = pci_find_cap(r->nic, PCI_CAP_EXP), ide = pci_find_ext_cap(r->nic, PCI_EXT_CAP_IDE);
    uint32_t devcap = rig_read(r, exp + PCI_EXP_DEVCAP, 4);

    assert_int_equal(rig_read(r, PCI_VENDOR_ID, 4), 0x10411af4);
    assert_int_equal(rig_read(r, exp + 2, 2) >> 4 & 0xf, PCI_EXP_ENDPOINT);
    assert_true(devcap & PCI_EXP_DEVCAP_TEE_IO);
    assert_true(devcap & PCI_EXP_DEVCAP_FLR);
    assert_int_equal(rig_read(r, ide + 4, 4) & 0x42, 0x42); /* selective streams, IDE_KM */
    rig_free(r);
}

/* Discovery must give exactly this chain, ending with next index 0. */
static void test_discovery(void **state)
{
    static const uint32_t chain[] = { 0x01000001, 0x02010001, 0x00020001, 0x00ffffff };
    NicRig               *r = rig_new(NULL);

    for (unsigned i = 0; i < ARRAY_LEN(chain); i++) {
        uint8_t req[4] = { (uint8_t)i, 2 }, rsp[4];

        assert_int_equal(rig_exchange(r, DOE_TYPE_DISCOVERY, req, 4, rsp, sizeof(rsp)), 4);
        assert_int_equal(le32_get(rsp), chain[i]);
    }
    /* A type that is not there: silence. */
    assert_int_equal(rig_exchange(r, 9, (const uint8_t[4]){ 0 }, 4, (uint8_t[4]){ 0 }, 4), 0);
    rig_free(r);
}

/* Several mailboxes: each has discovery and a state of its own; SPDM is in the last, and goes on whatever is done to
 * the others. */
static void test_mailboxes(void **state)
{
    enum { N = 4, CONTROL = 8, STATUS = 12, WRITE = 16, READ = 20, ECHO = 0x00e01af4 };
    NicRig  *r = rig_new("doe-mailboxes=4");
    unsigned at[N], n = 0;

    for (unsigned off = 0x100; off != 0; off = rig_read(r, off, 4) >> 20) {
        if ((rig_read(r, off, 4) & 0xffff) == PCI_EXT_CAP_DOE) {
            assert_true(n < N);
            at[n++] = off;
        }
    }
    assert_int_equal(n, N);
    rig_go_to(r, TDI_CONFIG_UNLOCKED, 0);
    for (unsigned i = 0; i + 1 < N; i++) { /* an object each; that of the second stays unread */
        rig_write(r, at[i] + WRITE, 4, ECHO);
        rig_write(r, at[i] + WRITE, 4, 3);
        rig_write(r, at[i] + WRITE, 4, 0x1000 + i);
        rig_write(r, at[i] + CONTROL, 4, 1u << 31);
    }
    rig_write(r, at[0] + WRITE, 4, 0x00010001); /* half an object */
    rig_write(r, at[2] + WRITE, 4, 0x00010001);
    rig_write(r, at[2] + CONTROL, 4, 1u << 31); /* Go too early: an error */
    assert_int_equal(rig_tdisp(r, TDISP_OP_LOCK), SPDM_DONE);
    assert_int_equal(rig_read(r, at[2] + STATUS, 4), 1u << 2);
    rig_write(r, at[2] + CONTROL, 4, 1);
    assert_int_equal(rig_read(r, at[2] + STATUS, 4), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rig_read(r, at[i] + STATUS, 4), 1u << 31);
        for (unsigned w = 0; w < 3; w++) {
            assert_int_equal(rig_read(r, at[i] + READ, 4), w == 0 ? ECHO : w == 1 ? 3 : 0x1000 + i);
            rig_write(r, at[i] + READ, 4, 0);
        }
        assert_int_equal(rig_read(r, at[i] + STATUS, 4), 0);
    }
    for (unsigned i = 0; i + 1 < N; i++) { /* SPDM is none of theirs */
        rig_write(r, at[i] + CONTROL, 4, 1);
        rig_write(r, at[i] + WRITE, 4, 0x00010001);
        rig_write(r, at[i] + WRITE, 4, 3);
        rig_write(r, at[i] + WRITE, 4, 0x00008410);
        rig_write(r, at[i] + CONTROL, 4, 1u << 31);
        assert_int_equal(rig_read(r, at[i] + STATUS, 4), 0);
    }
    assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
    assert_int_equal(rig_state(r), TDI_RUN);
    rig_free(r);
}

/* What each data object is answered with, before there is a session; 0: silence. */
static void test_data_objects(void **state)
{
    static const struct {
        const char *name;
        uint8_t     type, request[8], len;
        uint8_t     code; /* of the SPDM response */
    } rows[] = {
        { "CMA/SPDM, GET_VERSION", DOE_TYPE_SPDM, { 0x10, 0x84 }, 4, 0x04 },
        { "CMA/SPDM, GET_DIGESTS too early", DOE_TYPE_SPDM, { 0x10, 0x81 }, 4, 0x7f },
        { "Secured CMA/SPDM, GET_VERSION", DOE_TYPE_SECURED_SPDM, { 0x10, 0x84 }, 4, 0 },
        { "Secured CMA/SPDM of no session", DOE_TYPE_SECURED_SPDM, { 1, 0, 0, 0, 2 }, 8, 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(NULL);
        uint8_t rsp[256] = { 0 };
        size_t  n = rig_exchange(r, rows[i].type, rows[i].request, rows[i].len, rsp, sizeof(rsp));

        print_message("%s\n", rows[i].name);
        assert_int_equal(n != 0, rows[i].code != 0);
        assert_int_equal(rsp[1], rows[i].code);
        rig_free(r);
    }
}

/* ---- the whole way ---- */

static void test_assignment(void **state)
{
    NicRig *r = rig_new(NULL);

    rig_go_to(r, TDI_CONFIG_UNLOCKED, 0);
    assert_int_equal(rig_ide_op(r, IDE_KM_QUERY, 0), SPDM_DONE);
    assert_int_equal(r->tdi.supported_flags,
                     TDISP_LOCK_NO_FW_UPDATE | TDISP_LOCK_MSIX | TDISP_LOCK_ALL_REQUEST_REDIRECT);
    r->tdi.lock_flags = TDISP_LOCK_NO_FW_UPDATE;
    for (unsigned round = 0; round < 2; round++) { /* a second life works like the first */
        assert_int_equal(rig_tdisp(r, TDISP_OP_LOCK), SPDM_DONE);
        assert_int_equal(rig_tdisp(r, TDISP_OP_REPORT), SPDM_DONE);
        assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
        assert_int_equal(rig_state(r), TDI_RUN);
        assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
        assert_int_equal(rig_state(r), TDI_CONFIG_UNLOCKED);
    }
    rig_free(r);
}

/* The same function by its long name: segment given and valid. */
static void test_function_id(void **state)
{
    static const struct { const char *name; uint32_t id; bool found; } rows[] = {
        { "requester ID", RIG_NIC, true },
        { "with segment", RIG_NIC | 1u << 24, true },
        { "another segment", RIG_NIC | 1u << 24 | 1u << 16, false },
        { "another function", RIG_NIC + 1, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(NULL);

        print_message("%s\n", rows[i].name);
        rig_connect(r);
        tdisp_client_init(&r->tdi, rows[i].id);
        assert_int_equal(rig_tdisp(r, TDISP_OP_STATE) == SPDM_DONE, rows[i].found);
        rig_free(r);
    }
}

typedef struct ReportRow {
    const char *name;
    uint16_t    flags;
    uint64_t    mmio_offset;
    unsigned    n_ranges;
    TdispRange  ranges[4];
} ReportRow;

static void test_report(void **state)
{
    enum { NON = TDISP_RANGE_NON_TEE | TDISP_RANGE_UPDATABLE, MSIX = TDISP_RANGE_MSIX_TABLE | TDISP_RANGE_MSIX_PBA };
    static const ReportRow rows[] = {
        { "plain", 0, 0, 3,
          { { RIG_BAR0 >> 12, 4, 0, 0 }, { RIG_BAR4 >> 12, 1, 0, 4 }, { (RIG_BAR4 >> 12) + 1, 3, NON, 4 } } },
        { "offset below zero", 0, -0x8000000000ull, 3, { { 0, 4, 0, 0 }, { 4, 1, 0, 4 }, { 5, 3, NON, 4 } } },
        { "MSI-X locked", TDISP_LOCK_MSIX, 0, 4,
          { { RIG_BAR0 >> 12, 4, 0, 0 }, { RIG_BAR2 >> 12, 1, MSIX, 2 }, { RIG_BAR4 >> 12, 1, 0, 4 },
            { (RIG_BAR4 >> 12) + 1, 3, NON, 4 } } },
        { "no firmware update", TDISP_LOCK_NO_FW_UPDATE, 0, 3,
          { { RIG_BAR0 >> 12, 4, 0, 0 }, { RIG_BAR4 >> 12, 1, 0, 4 }, { (RIG_BAR4 >> 12) + 1, 3, NON, 4 } } },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig     *r = rig_new(NULL);
        TdispReport report;

        print_message("%s\n", rows[i].name);
        r->tdi.mmio_offset = rows[i].mmio_offset;
        rig_go_to(r, TDI_CONFIG_LOCKED, rows[i].flags);
        assert_int_equal(rig_tdisp(r, TDISP_OP_REPORT), SPDM_DONE);
        assert_true(tdisp_report_decode(r->tdi.report, r->tdi.report_len, &report));
        assert_int_equal(report.interface_info & TDISP_INFO_NO_FW_UPDATE,
                         rows[i].flags & TDISP_LOCK_NO_FW_UPDATE);
        assert_int_equal(report.msix_control, rows[i].flags & TDISP_LOCK_MSIX ? 3 : 0); /* four vectors */
        assert_int_equal(report.n_ranges, rows[i].n_ranges);
        for (unsigned k = 0; k < rows[i].n_ranges; k++) {
            const TdispRange *want = &rows[i].ranges[k], *got = &report.ranges[k];

            assert_int_equal(got->first_page, want->first_page);
            assert_int_equal(got->n_pages, want->n_pages);
            assert_int_equal(got->attributes, want->attributes);
            assert_int_equal(got->id, want->id);
        }
        assert_true(report.info_len != 0);
        rig_free(r);
    }
}

/* ---- LOCK: what must be right before ---- */

static void none(NicRig *r) { }
static void no_keys(NicRig *r) { assert_int_equal(rig_ide_op(r, IDE_KM_STOP, 0), SPDM_DONE); }
static void disabled(NicRig *r) { rig_write(r, rig_ide(r, 0) + 4, 4, 1u << 22); }
static void other_stream(NicRig *r) { r->tdi.stream_id = 7; }
static void two_defaults(NicRig *r) { rig_write(r, rig_ide(r, 1) + 4, 4, 9u << 24 | 1u << 22 | 1); }
static void overlap(NicRig *r) { rig_write(r, PCI_BAR0 + 16, 4, (uint32_t)RIG_BAR0); }
static void inside_overlap(NicRig *r)
{
    rig_write(r, PCI_BAR0, 4, (uint32_t)RIG_BAR2);
    rig_write(r, PCI_BAR0 + 4, 4, 0);
    rig_write(r, PCI_BAR0 + 8, 4, (uint32_t)RIG_BAR2 + 0x3000);
}
static void bad_flag(NicRig *r) { r->tdi.lock_flags = 0x80; }

/* Other register bits for a Secure stream: it has to be disabled and keyed again for that. */
static void control_bits(NicRig *r, uint32_t bits)
{
    rig_write(r, rig_ide(r, 0) + 4, 4, 0);
    assert_int_equal(rig_ide_op(r, IDE_KM_KEYS, 0), SPDM_DONE);
    assert_int_equal(rig_ide_op(r, IDE_KM_GO, 0), SPDM_DONE);
    rig_write(r, rig_ide(r, 0) + 4, 4, bits);
    rig_write(r, rig_ide(r, 0) + 4, 4, bits | 1);
    assert_int_equal(rig_read(r, rig_ide(r, 0) + 8, 4) & 0xf, IDE_SECURE);
}

static void no_default(NicRig *r) { control_bits(r, 0); }
static void class_one(NicRig *r) { control_bits(r, 1u << 22 | 1u << 19); }

/* Another session of the same connection, which keyed nothing. */
static void other_session(NicRig *r)
{
    memset(&r->requester.session, 0, sizeof(r->requester.session));
    assert_int_equal(rig_op(r, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

static void test_lock_conditions(void **state)
{
    static const struct { const char *name; void (*spoil)(NicRig *r); const char *error; } rows[] = {
        { "nothing wrong", none, NULL },
        { "keys stopped", no_keys, "error 0x1 to" },
        { "stream disabled", disabled, "error 0x1 to" },
        { "stream not the default", no_default, "error 0x1 to" },
        { "keyed in another session", other_session, "error 0x1 to" },
        { "unknown stream", other_stream, "error 0x1 to" },
        { "two default streams", two_defaults, "error 0x104 to" },
        { "default stream not of TC0", class_one, "error 0x104 to" },
        { "BARs on one place", overlap, "error 0x104 to" },
        { "a BAR inside another", inside_overlap, "error 0x104 to" },
        { "flag not supported", bad_flag, "error 0x1 to" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(NULL);

        print_message("%s\n", rows[i].name);
        rig_go_to(r, TDI_CONFIG_UNLOCKED, 0);
        rows[i].spoil(r);
        assert_int_equal(rig_tdisp(r, TDISP_OP_LOCK), rows[i].error == NULL ? SPDM_DONE : SPDM_FAILED);
        assert_int_equal(rig_state(r), rows[i].error == NULL ? TDI_CONFIG_LOCKED : TDI_CONFIG_UNLOCKED);
        if (rows[i].error != NULL && strstr(r->tdi.error, rows[i].error) == NULL) {
            fail_msg("error is: %s", r->tdi.error);
        }
        rig_free(r);
    }
}

/* ---- configuration writes ---- */

typedef enum Base { HEADER, EXP, PM, MSIX, VENDOR_WINDOW, AER, DOE, IDE0, IDE1 } Base;
typedef enum How { SET, CLEAR, TOGGLE, SAME, WRITE } How;

typedef struct WriteRow {
    const char *name;
    Base        base;
    uint16_t    off;
    uint8_t     size;
    How         how;
    uint32_t    value;
    bool        breaks;
    uint16_t    lock_flags;
} WriteRow;

/* TDISP, registers tracked for modification. First what must break the lock, then what must not. */
static const WriteRow write_rows[] = {
    { "Memory Space Enable off", HEADER, PCI_COMMAND, 2, CLEAR, PCI_COMMAND_MEMORY, true, 0 },
    { "Bus Master Enable off", HEADER, PCI_COMMAND, 2, CLEAR, PCI_COMMAND_MASTER, true, 0 },
    { "Bus Master Enable off, one byte", HEADER, PCI_COMMAND, 1, CLEAR, PCI_COMMAND_MASTER, true, 0 },
    { "Bus Master Enable off, with Status", HEADER, PCI_COMMAND, 4, CLEAR, PCI_COMMAND_MASTER, true, 0 },
    { "BAR 0 sized", HEADER, PCI_BAR0, 4, WRITE, ~0u, true, 0 },
    { "BAR 0, upper half", HEADER, PCI_BAR0 + 4, 4, TOGGLE, 1, true, 0 },
    { "BAR 2 moved by one byte", HEADER, PCI_BAR0 + 11, 1, TOGGLE, 1, true, 0 },
    { "BAR 4 moved", HEADER, PCI_BAR0 + 16, 4, TOGGLE, 0x4000, true, 0 },
    { "Extended Tag", EXP, PCI_EXP_DEVCTL, 2, TOGGLE, 1 << 8, true, 0 },
    { "Extended Tag, one byte", EXP, PCI_EXP_DEVCTL + 1, 1, TOGGLE, 1, true, 0 },
    { "No Snoop", EXP, PCI_EXP_DEVCTL, 4, TOGGLE, 1 << 11, true, 0 },
    { "bound stream's control, one byte", IDE0, 4, 1, CLEAR, 1, true, 0 },
    { "Initiate FLR", EXP, PCI_EXP_DEVCTL, 2, SET, 1 << 15, true, 0 },
    { "D3hot", PM, 4, 2, SET, 3, true, 0 },
    { "MSI-X enable, table locked", MSIX, 2, 2, TOGGLE, 1 << 15, true, TDISP_LOCK_MSIX },
    { "MSI-X function mask, table locked", MSIX, 2, 2, TOGGLE, 1 << 14, true, TDISP_LOCK_MSIX },
    { "virtio window", VENDOR_WINDOW, 8, 4, TOGGLE, 0x1000, true, 0 },
    { "bound stream disabled", IDE0, 4, 4, CLEAR, 1, true, 0 },
    { "bound stream's ID", IDE0, 4, 4, WRITE, 5u << 24, true, 0 },
    { "bound stream's RID limit", IDE0, 0xc, 4, TOGGLE, 0x100, true, 0 },
    { "bound stream's RID base", IDE0, 0x10, 4, TOGGLE, 0x100, true, 0 },
    { "bound stream's address association", IDE0, 0x14, 4, TOGGLE, 1, true, 0 },
    { "bound stream's address limit", IDE0, 0x18, 4, TOGGLE, 1, true, 0 },

    { "Command as it is", HEADER, PCI_COMMAND, 2, SAME, 0, false, 0 },
    { "Bus Master Enable once more", HEADER, PCI_COMMAND, 2, SET, PCI_COMMAND_MASTER, false, 0 },
    { "parity, SERR, INTx", HEADER, PCI_COMMAND, 2, TOGGLE, 0x540, false, 0 },
    { "Status", HEADER, PCI_STATUS, 2, WRITE, 0xffff, false, 0 },
    { "cache line size", HEADER, PCI_CACHE_LINE_SIZE, 1, TOGGLE, 0x10, false, 0 },
    { "BIST, which is not there", HEADER, PCI_BIST, 1, WRITE, 0x40, false, 0 },
    { "expansion ROM, which is not there", HEADER, PCI_ROM_ADDRESS, 4, WRITE, ~0u, false, 0 },
    { "BAR of no size", HEADER, PCI_BAR0 + 12, 4, WRITE, ~0u, false, 0 },
    { "latency timer", HEADER, PCI_LATENCY_TIMER, 1, TOGGLE, 0x10, false, 0 },
    { "interrupt line", HEADER, PCI_INTERRUPT_LINE, 1, TOGGLE, 5, false, 0 },
    { "vendor ID", HEADER, PCI_VENDOR_ID, 2, WRITE, 0x1234, false, 0 },
    { "BAR 0 as it is", HEADER, PCI_BAR0, 4, SAME, 0, false, 0 },
    { "BAR 4 as it is", HEADER, PCI_BAR0 + 16, 4, SAME, 0, false, 0 },
    { "subsystem ID behind the BARs", HEADER, PCI_SUBSYSTEM_VENDOR_ID, 4, WRITE, 0, false, 0 },
    { "error reporting enables", EXP, PCI_EXP_DEVCTL, 2, TOGGLE, 0xf, false, 0 },
    { "Device Control as it is", EXP, PCI_EXP_DEVCTL, 2, SAME, 0, false, 0 },
    { "Device Status", EXP, PCI_EXP_DEVSTA, 2, WRITE, 0xffff, false, 0 },
    { "Device Control 2", EXP, PCI_EXP_DEVCTL2, 2, TOGGLE, 0x10, false, 0 },
    { "payload and read request size", EXP, PCI_EXP_DEVCTL, 2, TOGGLE, 0x70e0, false, 0 },
    { "relaxed ordering", EXP, PCI_EXP_DEVCTL, 2, TOGGLE, 0x10, false, 0 },
    { "Phantom Functions, which are not there", EXP, PCI_EXP_DEVCTL, 2, TOGGLE, 1 << 9, false, 0 },
    { "10-bit tags, which are not there", EXP, PCI_EXP_DEVCTL2, 2, TOGGLE, 1 << 12, false, 0 },
    { "Link Control 2", EXP, PCI_EXP_LNKCTL2, 2, TOGGLE, 2, false, 0 },
    { "Link Status", EXP, PCI_EXP_LNKSTA, 2, WRITE, 0xffff, false, 0 },
    { "D1, which is not there", PM, 4, 2, WRITE, 1, false, 0 },
    { "AER status", AER, 4, 4, WRITE, ~0u, false, 0 },
    { "AER severity", AER, 0xc, 4, TOGGLE, 0x10, false, 0 },
    { "DOE interrupt enable", DOE, 8, 4, WRITE, 2, false, 0 },
    { "DOE error", DOE, 0x14, 4, WRITE, 0, false, 0 },
    { "IDE Control", IDE0, (uint16_t)-4, 4, WRITE, ~0u, false, 0 },
    { "virtio window as it is", VENDOR_WINDOW, 8, 4, SAME, 0, false, 0 },
    { "Link Control", EXP, PCI_EXP_LNKCTL, 2, TOGGLE, 0x40, false, 0 },
    { "D0 once more", PM, 4, 2, WRITE, 0, false, 0 },
    { "MSI-X enable, table open", MSIX, 2, 2, TOGGLE, 1 << 15, false, 0 },
    { "MSI-X as it is, table locked", MSIX, 2, 2, SAME, 0, false, TDISP_LOCK_MSIX },
    { "AER mask", AER, 8, 4, TOGGLE, 0x10, false, 0 },
    { "DOE abort", DOE, 8, 4, WRITE, 1, false, 0 },
    { "bound stream as it is", IDE0, 4, 4, SAME, 0, false, 0 },
    { "bound stream's status", IDE0, 8, 4, WRITE, 1u << 31, false, 0 },
    { "another stream", IDE1, 4, 4, WRITE, 5u << 24, false, 0 },
    { "another stream's RID", IDE1, 0xc, 4, TOGGLE, 0x100, false, 0 },
};

static unsigned base_of(NicRig *r, Base b)
{
    switch (b) {
    case EXP:
        return pci_find_cap(r->nic, PCI_CAP_EXP);
    case PM:
        return pci_find_cap(r->nic, PCI_CAP_PM);
    case MSIX:
        return pci_find_cap(r->nic, PCI_CAP_MSIX);
    case VENDOR_WINDOW: { /* the last of the vendor capabilities: cfg_type 5 */
        unsigned c = pci_find_cap(r->nic, PCI_CAP_VENDOR);

        while (rig_read(r, c + 3, 1) != 5) {
            c = rig_read(r, c + 1, 1);
            assert_true(c != 0);
        }
        return c;
    }
    case AER:
        return pci_find_ext_cap(r->nic, PCI_EXT_CAP_AER);
    case DOE:
        return rig_doe(r);
    case IDE0:
        return rig_ide(r, 0);
    case IDE1:
        return rig_ide(r, 1);
    default:
        return 0;
    }
}

static void make_write(NicRig *r, const WriteRow *row)
{
    unsigned off = base_of(r, row->base) + row->off;
    uint32_t old = rig_read(r, off, row->size), v = row->value;

    switch (row->how) {
    case SET:
        v |= old;
        break;
    case CLEAR:
        v = old & ~v;
        break;
    case TOGGLE:
        v ^= old;
        break;
    case SAME:
        v = old;
        break;
    case WRITE:
        break;
    }
    rig_write(r, off, row->size, v);
}

static void test_config_writes(void **state)
{
    static const TdiState from[] = { TDI_CONFIG_LOCKED, TDI_RUN };

    for (unsigned i = 0; i < 2 * ARRAY_LEN(write_rows); i++) {
        const WriteRow *row = &write_rows[i / 2];
        NicRig         *r = rig_new(NULL);

        rig_go_to(r, from[i & 1], row->lock_flags);
        make_write(r, row);
        if (rig_state(r) != (row->breaks ? TDI_ERROR : from[i & 1])) {
            fail_msg("%s, from %s: now %s", row->name, state_names[from[i & 1]], state_names[rig_state(r)]);
        }
        rig_free(r);
    }
}

/* Only the way down counts for the enables: a driver's probe sets Bus Master Enable in RUN. */
static void test_master_enabled_late(void **state)
{
    NicRig *r = rig_new(NULL);

    rig_write(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    rig_go_to(r, TDI_RUN, 0);
    rig_write(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(rig_state(r), TDI_RUN);
    rig_write(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(rig_state(r), TDI_ERROR);
    rig_free(r);
}

/* No write to configuration space leads out of ERROR, nor makes anything pass while it lasts: only a STOP does. */
static void test_config_writes_error(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(write_rows); i++) {
        const WriteRow *row = &write_rows[i];
        NicRig         *r = rig_new(NULL);

        print_message("%s\n", row->name);
        rig_go_to(r, TDI_RUN, row->lock_flags);
        rig_write(r, PCI_BAR0 + 4, 4, 0x99);
        assert_int_equal(rig_state(r), TDI_ERROR);
        rig_write(r, PCI_BAR0 + 4, 4, RIG_BAR0 >> 32);
        assert_int_equal(rig_state(r), TDI_ERROR); /* and moving it back does not, either */
        make_write(r, row);
        assert_int_equal(rig_state(r), TDI_ERROR);
        assert_false(r->nic->dma.trusted);
        assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, PAS_REALM), ALL_ONES);
        assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, PAS_NONSECURE), ALL_ONES);
        rig_free(r);
    }
}

/* Nobody's lock, nobody's error. */
static void test_config_writes_unlocked(void **state)
{
    NicRig *r = rig_new(NULL);

    for (unsigned i = 0; i < ARRAY_LEN(write_rows); i++) {
        make_write(r, &write_rows[i]);
        assert_int_equal(rig_state(r), TDI_CONFIG_UNLOCKED);
    }
    rig_free(r);
}

/* ---- other ways to lose the lock ---- */

static void bus_reset(NicRig *r) { pci_host_config_write(r->host, RIG_PORT, PCI_BRIDGE_CONTROL, 2, 0x40); }
static void end_session(NicRig *r) { assert_int_equal(rig_op(r, SPDM_OP_END_SESSION, NULL), SPDM_DONE); }
static void reconnect(NicRig *r)
{
    spdm_requester_init(&r->requester, &r->entropy);
    assert_int_equal(rig_op(r, SPDM_OP_CONNECT, NULL), SPDM_DONE);
}
static void bad_record(NicRig *r)
{
    uint8_t record[32] = { 0 }, rsp[64];

    le32_put(record, dsm_tdi(r->nic)->session_id);
    le16_put(record + 4, 20);
    assert_true(rig_exchange(r, DOE_TYPE_SECURED_SPDM, record, sizeof(record), rsp, sizeof(rsp)) != 0);
}

static void renumber(NicRig *r)
{
    pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00020200);
    pci_host_config_write(r->host, 0x0200, PCI_INTERRUPT_LINE, 1, 1);
}

/* The function below is not written to and learns of it by the next request. */
static void renumber_port(NicRig *r)
{
    pci_host_config_write(r->host, RIG_PORT, PCI_PRIMARY_BUS, 4, 0x00020200);
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_MIRROR + ENGINE_LEN, 8, PAS_NONSECURE, 8);
}

static void link_disable(NicRig *r)
{
    unsigned control = pci_find_cap(r->port, PCI_CAP_EXP) + PCI_EXP_LNKCTL;

    pci_host_config_write(r->host, RIG_PORT, control, 2, PCI_EXP_LNKCTL_DISABLE);
}

static void flr(NicRig *r) { rig_write(r, pci_find_cap(r->nic, PCI_CAP_EXP) + PCI_EXP_DEVCTL, 2, 1 << 15); }
static void power_down(NicRig *r) { rig_write(r, pci_find_cap(r->nic, PCI_CAP_PM) + 4, 2, 3); }

static void mac_failure(NicRig *r) { ide_fail(&dsm_of(r->nic)->ide, 0, false); }
static void stop_a_key(NicRig *r) { assert_int_equal(rig_ide_op(r, IDE_KM_STOP, 0), SPDM_DONE); }

static void test_other_losses(void **state)
{
    static const struct { const char *name; void (*loss)(NicRig *r); } rows[] = {
        { "secondary bus reset", bus_reset },      { "session ended", end_session },
        { "Link Disable at the port", link_disable }, { "function level reset", flr }, { "D3hot", power_down },
        { "connection made anew", reconnect },     { "record that does not open", bad_record },
        { "new bus number, seen by a configuration write", renumber },
        { "new bus number, seen by a request", renumber_port },
        { "K_SET_STOP", stop_a_key },              { "MAC failure on the stream", mac_failure },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(NULL);

        print_message("%s\n", rows[i].name);
        rig_go_to(r, TDI_RUN, 0);
        rows[i].loss(r);
        assert_int_equal(rig_state(r), TDI_ERROR);
        assert_false(r->nic->dma.trusted);
        rig_free(r);
    }
}

/* What is refused, but costs the interface nothing. */
static void t0_mmio(NicRig *r)
{
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, PAS_NONSECURE), ALL_ONES);
    rig_bar_write(r, TDISP_NIC_BAR_VIRTIO, 0x14, 1, PAS_NONSECURE, 0);
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_LEN, 8, PAS_NONSECURE, 1);
}
static void window_access(NicRig *r)
{
    (void)rig_read(r, base_of(r, VENDOR_WINDOW) + 16, 4);
    rig_write(r, base_of(r, VENDOR_WINDOW) + 16, 4, 0);
}
static void msix_open(NicRig *r) { rig_bar_write(r, TDISP_NIC_BAR_MSIX, 0, 8, PAS_NONSECURE, 0x1000); }
static void foreign_request(NicRig *r)
{
    assert_int_equal(rig_tdisp_raw(r, TDISP_LOCK_INTERFACE, (uint8_t[20]){ 0 }, 20), TDISP_INVALID_INTERFACE_STATE);
    assert_int_equal(rig_tdisp_raw(r, 0x8b, (uint8_t[4]){ 0 }, 4), TDISP_UNSUPPORTED_REQUEST);
}
static void refresh_keys(NicRig *r)
{
    assert_int_equal(rig_ide_op(r, IDE_KM_KEYS, 1), SPDM_DONE);
    assert_int_equal(rig_ide_op(r, IDE_KM_GO, 1), SPDM_DONE);
    assert_int_equal(rig_ide_op(r, IDE_KM_STOP, 0), SPDM_DONE);
}
static void doe_garbage(NicRig *r)
{
    rig_write(r, rig_doe(r) + 0x10, 4, 0x55);
    rig_write(r, rig_doe(r) + 0x08, 4, 1u << 31);
    rig_write(r, rig_doe(r) + 0x08, 4, 1); /* abort */
}
static void stray_record(NicRig *r)
{
    uint8_t record[32] = { 0x77, 0x77, 0x77, 0x77, 20 }, rsp[64];

    assert_int_equal(rig_exchange(r, DOE_TYPE_SECURED_SPDM, record, sizeof(record), rsp, sizeof(rsp)), 0);
}

/* A host has a session of its own beside ours. */
static void second_session(NicRig *r)
{
    const SpdmRequester ours = r->requester;

    other_session(r);
    end_session(r);
    r->requester = ours;
    assert_int_equal(rig_tdisp(r, TDISP_OP_STATE), SPDM_DONE);
}

/* The port closes and opens its doors. While they are closed nothing comes through; no register of ours has changed. */
static void port_register(NicRig *r, unsigned off, unsigned size, uint32_t closed)
{
    uint32_t open = pci_host_config_read(r->host, RIG_PORT, off, size);
    bool     runs = rig_state(r) == TDI_RUN;
    uint8_t  b[8] = { 0 };

    pci_host_config_write(r->host, RIG_PORT, off, size, closed);
    if (off == PCI_COMMAND) {
        assert_int_not_equal(dma_write(&r->nic->dma, RIG_PRIVATE, b, 8), DMA_OK);
    }
    pci_host_config_write(r->host, RIG_PORT, off, size, open);
    assert_int_equal(dma_write(&r->nic->dma, RIG_PRIVATE, b, 8) == DMA_OK, runs);
}
static void port_command(NicRig *r) { port_register(r, PCI_COMMAND, 2, 0); }
static void port_window(NicRig *r) { port_register(r, PCI_MEMORY_BASE, 4, 0xfff0); }
static void port_power(NicRig *r) { port_register(r, pci_find_cap(r->port, PCI_CAP_PM) + 4, 2, 3); }
static void port_tdisp(NicRig *r)
{
    uint8_t b[8] = { 0 };

    root_port_set_tdisp(r->port, false, 0);
    assert_int_equal(dma_write(&r->nic->dma, RIG_PRIVATE, b, 8), DMA_REFUSED);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, PAS_REALM), ALL_ONES);
    root_port_set_tdisp(r->port, true, 1);
}

static void test_no_losses(void **state)
{
    static const struct { const char *name; void (*event)(NicRig *r); } rows[] = {
        { "T=0 accesses to TEE memory", t0_mmio },     { "an access by the virtio window", window_access },
        { "open MSI-X table written", msix_open },     { "requests out of turn", foreign_request },
        { "key refresh", refresh_keys },               { "DOE object that is none, and abort", doe_garbage },
        { "record of no session", stray_record },      { "another session, and its end", second_session },
        { "Command of the port", port_command },       { "window of the port", port_window },
        { "the port in D3hot and back", port_power },  { "TDISP disabled at the port", port_tdisp },
    };

    for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        NicRig  *r = rig_new(NULL);
        TdiState from = i & 1 ? TDI_RUN : TDI_CONFIG_LOCKED;

        print_message("%s\n", rows[i / 2].name);
        rig_go_to(r, from, 0);
        rows[i / 2].event(r);
        assert_int_equal(rig_state(r), from);
        rig_free(r);
    }
}

/* ---- the mailbox's interrupt: the function's last vector ---- */

/* Ready, and that a slow mailbox is not Busy any more, with an answer or without. */
static void test_mailbox_interrupt(void **state)
{
    static const struct {
        const char *option;
        bool        enabled;
        int64_t     at_ms; /* when it comes; -1: never */
        uint32_t    status;
    } rows[] = {
        { NULL, true, 0, 1u << 31 | 2 },
        { NULL, false, -1, 1u << 31 },
        { "tamper=slow=5", true, 5, 1u << 31 | 2 },
        { "tamper=silent", true, -1, 0 },
        { "tamper=silent+slow=5", true, 5, 2 },
    };
    static const uint32_t get_version[] = { 0x00010001, 3, 0x00008410 };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig  *r = rig_new(rows[i].option);
        unsigned msix = pci_find_cap(r->nic, PCI_CAP_MSIX), doe = rig_doe(r), last = rig_read(r, msix + 2, 2) & 0x7ff;

        print_message("%s\n", rows[i].option != NULL ? rows[i].option : "nothing");
        assert_int_equal(rig_read(r, doe + 4, 4), 1 | last << 1);
        rig_write(r, msix + 2, 2, 1 << 15);
        rig_bar_write(r, TDISP_NIC_BAR_MSIX, 16 * last, 8, PAS_NONSECURE, RIG_SHARED);
        rig_bar_write(r, TDISP_NIC_BAR_MSIX, 16 * last + 8, 8, PAS_NONSECURE, 0xabcd); /* not masked */
        for (unsigned w = 0; w < ARRAY_LEN(get_version); w++) {
            rig_write(r, doe + 0x10, 4, get_version[w]);
        }
        rig_write(r, doe + 0x08, 4, 1u << 31 | (rows[i].enabled ? 2u : 0));
        if (rows[i].at_ms > 0) {
            clock_advance(r->clock, 1000000 * rows[i].at_ms - 1);
            assert_int_equal(r->n_requests, 0);
            clock_advance(r->clock, 1000000 * rows[i].at_ms);
        }
        assert_int_equal(rig_read(r, doe + 0x0c, 4), rows[i].status);
        assert_int_equal(r->n_requests, rows[i].at_ms >= 0);
        assert_true(rows[i].at_ms < 0 || (r->last.is_msi && r->last.iova == RIG_SHARED));
        rig_free(r);
    }
}

/* ---- faults of the link encryption ---- */

static void test_ide_faults(void **state)
{
    static const struct { const char *option; unsigned passes; bool fail_message; } rows[] = {
        { "ide-fault=mac", 0, true },        { "ide-fault=mac@3", 2, true },
        { "ide-fault=key-expiry@2", 1, false }, { "ide-fault=link@2", 2, false },
    };
    uint8_t b[8] = { 0 };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(rows[i].option);

        print_message("%s\n", rows[i].option);
        rig_go_to(r, TDI_RUN, 0);
        for (unsigned n = 0; n < rows[i].passes; n++) { /* posted: one TLP each */
            assert_int_equal(rig_state(r), TDI_RUN);
            assert_int_equal(dma_write(&r->nic->dma, RIG_PRIVATE, b, 8), DMA_OK);
        }
        if (rows[i].passes == 2 && !rows[i].fail_message) { /* the link goes when the request is over */
            clock_advance(r->clock, clock_now(r->clock));
            assert_int_equal(rig_read(r, PCI_COMMAND, 2), 0);
        } else {
            assert_int_equal(dma_write(&r->nic->dma, RIG_PRIVATE, b, 8), DMA_REFUSED);
        }
        assert_int_equal(rig_state(r), TDI_ERROR);
        assert_int_equal(rig_read(r, rig_ide(r, 0) + 8, 4),
                         rows[i].fail_message ? 0x80000000u : 0); /* the sender hears of it */
        rig_free(r);
    }
}

/* ---- attributes and peer-to-peer streams ---- */

static size_t range(uint8_t out[16], uint64_t page, uint32_t n, uint16_t attributes, uint16_t id)
{
    le64_put(out, page);
    le32_put(out + 8, n);
    le16_put(out + 12, attributes);
    le16_put(out + 14, id);
    return 16;
}

/* The mirror of the engine's registers can be made TEE memory and open again; STOP opens it. */
static void test_attributes(void **state)
{
    const uint64_t mirror = ENGINE_MIRROR + ENGINE_ID, page = (RIG_BAR4 >> 12) + 1;
    static const struct { const char *name; unsigned bar_page, n; uint16_t id; uint32_t error; } rows[] = {
        { "part of it", 1, 2, 4, TDISP_INVALID_REQUEST },  { "another part", 2, 1, 4, TDISP_INVALID_REQUEST },
        { "other ID", 1, 3, 2, TDISP_INVALID_REQUEST },    { "not updatable", 0, 1, 4, TDISP_INVALID_REQUEST },
        { "the mirror", 1, 3, 4, TDISP_OK },
    };
    NicRig *r = rig_new(NULL);
    uint8_t m[16];

    rig_go_to(r, TDI_RUN, 0);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, mirror, 8, PAS_NONSECURE), ENGINE_MAGIC);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        range(m, (RIG_BAR4 >> 12) + rows[i].bar_page, rows[i].n, 0, rows[i].id);
        assert_int_equal(rig_tdisp_raw(r, TDISP_SET_MMIO_ATTRIBUTE, m, 16), rows[i].error);
    }
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, mirror, 8, PAS_NONSECURE), ALL_ONES);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, mirror, 8, PAS_REALM), ENGINE_MAGIC);
    range(m, page, 3, TDISP_RANGE_NON_TEE, 4);
    assert_int_equal(rig_tdisp_raw(r, TDISP_SET_MMIO_ATTRIBUTE, m, 16), 0);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, mirror, 8, PAS_NONSECURE), ENGINE_MAGIC);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, mirror, 8, PAS_REALM), ENGINE_MAGIC);
    range(m, page, 3, 0, 4);
    assert_int_equal(rig_tdisp_raw(r, TDISP_SET_MMIO_ATTRIBUTE, m, 16), 0);
    assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, mirror, 8, PAS_NONSECURE), ENGINE_MAGIC);
    rig_free(r);
}

/* Keys for the card's second stream, as for a peer: number 9, requesters from 0x200 on. */
static void key_peer_stream(NicRig *r, uint32_t control, uint32_t first_rid)
{
    unsigned block = rig_ide(r, 1);

    rig_write(r, rig_ide(r, 0) + 0x0c, 4, 0x01ff00); /* the first stream's: up to 0x1ff */
    rig_write(r, block + 0x0c, 4, 0x0002ff00);
    rig_write(r, block + 0x10, 4, first_rid << 8 | 1);
    rig_write(r, block + 4, 4, control);
    if (control >> 24 == 9) {
        assert_int_equal(rig_ide_stream(r, IDE_KM_KEYS, 9, 0), SPDM_DONE);
        assert_int_equal(rig_ide_stream(r, IDE_KM_GO, 9, 0), SPDM_DONE);
    }
    rig_write(r, block + 4, 4, control | 1);
}

static void test_p2p(void **state)
{
    static const struct {
        const char *name;
        const char *option;
        uint32_t    control, first_rid;
        uint16_t    flags;
        uint32_t    error;
    } rows[] = {
        { "fit", "tdisp-p2p=on", 9u << 24, 0x200, TDISP_LOCK_BIND_P2P, 0 },
        { "not offered", NULL, 9u << 24, 0x200, 0, TDISP_UNSUPPORTED_REQUEST },
        { "not asked for at LOCK", "tdisp-p2p=on", 9u << 24, 0x200, 0, TDISP_INVALID_REQUEST },
        { "no keys", "tdisp-p2p=on", 8u << 24, 0x200, TDISP_LOCK_BIND_P2P, TDISP_INVALID_REQUEST },
        { "requesters overlap", "tdisp-p2p=on", 9u << 24, 0x1ff, TDISP_LOCK_BIND_P2P, TDISP_INVALID_REQUEST },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(rows[i].option);

        print_message("%s\n", rows[i].name);
        rig_connect(r);
        rig_key_stream(r);
        key_peer_stream(r, rows[i].control, rows[i].first_rid);
        r->tdi.lock_flags = rows[i].flags;
        assert_int_equal(rig_tdisp(r, TDISP_OP_LOCK), SPDM_DONE);
        assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
        uint8_t id = (uint8_t)(rows[i].control >> 24);

        assert_int_equal(rig_tdisp_raw(r, TDISP_BIND_P2P_STREAM, &id, 1), rows[i].error);
        if (rows[i].error == 0) { /* unbound: may be reconfigured; bound: must not */
            assert_int_equal(rig_tdisp_raw(r, TDISP_UNBIND_P2P_STREAM, &id, 1), 0);
            rig_write(r, rig_ide(r, 1) + 0x0c, 4, 0x0002fe00);
            assert_int_equal(rig_state(r), TDI_RUN);
            assert_int_equal(rig_tdisp_raw(r, TDISP_BIND_P2P_STREAM, &id, 1), 0);
            rig_write(r, rig_ide(r, 1) + 0x0c, 4, 0x0002ff00);
            assert_int_equal(rig_state(r), TDI_ERROR);
        }
        rig_free(r);
    }
}

/* A machine reset forgets; an FLR of an unlocked function is just that, and ends the session. */
static void test_resets(void **state)
{
    NicRig  *r = rig_new(NULL);
    unsigned exp = pci_find_cap(r->nic, PCI_CAP_EXP);

    rig_go_to(r, TDI_RUN, 0);
    pci_host_reset(r->host);
    assert_int_equal(rig_state(r), TDI_CONFIG_UNLOCKED);
    rig_free(r);

    r = rig_new(NULL);
    rig_go_to(r, TDI_CONFIG_UNLOCKED, 0);
    rig_write(r, exp + PCI_EXP_DEVCTL, 2, 1 << 15);
    assert_int_equal(rig_state(r), TDI_CONFIG_UNLOCKED);
    assert_int_equal(rig_tdisp(r, TDISP_OP_STATE), SPDM_FAILED);
    assert_int_equal(rig_op(r, SPDM_OP_CONNECT, NULL), SPDM_DONE);
    rig_free(r);
}

/* Out of ERROR and back into RUN, with the same keys. */
static void test_recovery(void **state)
{
    NicRig *r = rig_new(NULL);

    rig_go_to(r, TDI_ERROR, 0);
    assert_int_equal(rig_tdisp(r, TDISP_OP_LOCK), SPDM_FAILED);
    assert_int_equal(rig_state(r), TDI_ERROR);
    assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
    assert_int_equal(rig_tdisp(r, TDISP_OP_LOCK), SPDM_DONE);
    assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, PAS_REALM), ENGINE_MAGIC);
    rig_free(r);
}

static void disable(NicRig *r) { rig_write(r, rig_ide(r, 0) + 4, 4, 1u << 22); }

/* A stream that the host disabled, or that failed, has lost its keys on both sides of the card, and takes new
 * ones. */
static void test_rekey(void **state)
{
    static void (*const losses[])(NicRig *r) = { disable, mac_failure };

    for (unsigned i = 0; i < ARRAY_LEN(losses); i++) {
        NicRig *r = rig_new(NULL);

        rig_go_to(r, TDI_RUN, 0);
        losses[i](r);
        assert_int_equal(rig_state(r), TDI_ERROR);
        disable(r);
        rig_enable_stream(r);
        assert_int_equal(rig_read(r, rig_ide(r, 0) + 8, 4) & 0xf, IDE_INSECURE);
        rig_write(r, rig_ide(r, 0) + 4, 4, 1u << 22);
        pci_host_config_write(r->host, RIG_PORT, pci_find_ext_cap(r->port, PCI_EXT_CAP_IDE) + 0x18, 4,
                              1u << 22);
        rig_key_stream(r);
        assert_int_equal(rig_read(r, rig_ide(r, 0) + 8, 4) & 0xf, IDE_SECURE);
        assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
        assert_int_equal(rig_tdisp(r, TDISP_OP_LOCK), SPDM_DONE);
        rig_free(r);
    }
}

/* While a stream is Secure its keys are not replaced in place, whatever was lost before. */
static void test_key_in_use(void **state)
{
    NicRig *r = rig_new(NULL);

    rig_go_to(r, TDI_CONFIG_UNLOCKED, 0);
    assert_int_equal(rig_ide_op(r, IDE_KM_KEYS, 0), SPDM_FAILED);
    mac_failure(r);
    assert_int_equal(rig_ide_op(r, IDE_KM_KEYS, 0), SPDM_DONE);
    rig_free(r);
}

/* "Key Refresh" goes from set to set and back, with K_SET_STOP for the old keys or without. */
static void test_refresh_again(void **state)
{
    NicRig *r = rig_new(NULL);

    rig_go_to(r, TDI_RUN, 0);
    for (uint8_t i = 1; i < 6; i++) {
        assert_int_equal(rig_ide_op(r, IDE_KM_KEYS, i & 1), SPDM_DONE);
        assert_int_equal(rig_ide_op(r, IDE_KM_GO, i & 1), SPDM_DONE);
        assert_int_equal(rig_ide_op(r, IDE_KM_KEYS, i & 1), SPDM_FAILED); /* in use */
        if (i == 3) {
            assert_int_equal(rig_ide_op(r, IDE_KM_STOP, 0), SPDM_DONE);
        }
        assert_int_equal(rig_state(r), TDI_RUN);
    }
    rig_free(r);
}

/* Keys for stream @id in the second block of the card, which is its default one and Secure then. */
static void key_second_block(NicRig *r, uint32_t id)
{
    unsigned control = rig_ide(r, 1) + 4;

    rig_connect(r);
    rig_write(r, control, 4, id << 24);
    assert_int_equal(rig_ide_stream(r, IDE_KM_KEYS, (uint8_t)id, 0), SPDM_DONE);
    assert_int_equal(rig_ide_stream(r, IDE_KM_GO, (uint8_t)id, 0), SPDM_DONE);
    rig_write(r, control, 4, id << 24 | 1u << 22 | 1);
    assert_int_equal(rig_read(r, control + 4, 4), IDE_SECURE);
}

/* A block that is given the Stream ID of another one, which has keys, does not hide it: the keys go with their session,
 * and no other session can put its own beside them. */
static void test_stream_id_twice(void **state)
{
    enum { ID = 7 };

    for (unsigned enabled = 0; enabled < 2; enabled++) {
        NicRig *r = rig_new(NULL);

        key_second_block(r, ID);
        rig_write(r, rig_ide(r, 0) + 4, 4, ID << 24 | enabled);
        assert_int_equal(rig_ide_stream(r, IDE_KM_KEYS, ID, 0), SPDM_FAILED); /* in use */
        assert_int_equal(rig_read(r, rig_ide(r, 1) + 8, 4), IDE_SECURE);
        end_session(r);
        assert_int_equal(rig_read(r, rig_ide(r, 0) + 8, 4), IDE_INSECURE);
        assert_int_equal(rig_read(r, rig_ide(r, 1) + 8, 4), IDE_INSECURE);
        assert_false(ide_keys_ready(&dsm_of(r->nic)->ide, 1));
        rig_free(r);
    }
}

/* Requests go by the default stream, and that is no other while the interface is locked. */
static void test_other_default(void **state)
{
    static const struct { const char *name; uint32_t control; TdiState state; } rows[] = {
        { "another stream, not the default one", 3u << 24 | 1, TDI_RUN },
        { "marked as default, not enabled", 3u << 24 | 1u << 22, TDI_RUN },
        { "another default stream", 3u << 24 | 1u << 22 | 1, TDI_ERROR },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(NULL);

        print_message("%s\n", rows[i].name);
        key_second_block(r, 7);
        assert_int_equal(rig_tdisp(r, TDISP_OP_PROBE), SPDM_DONE);
        r->tdi.stream_id = 7;
        assert_int_equal(rig_tdisp(r, TDISP_OP_LOCK), SPDM_DONE);
        assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
        rig_write(r, rig_ide(r, 0) + 4, 4, rows[i].control);
        assert_int_equal(rig_state(r), rows[i].state);
        rig_free(r);
    }
}

/* Keys of the link stream for both ends, in one step after the other; @then after each. Receivers first. */
static void key_link(NicRig *r, uint8_t id, unsigned set, void (*then)(NicRig *r))
{
    IdeCap  *port = root_port_ide(r->port);
    unsigned link = port->cfg.n_sel;
    uint8_t  iv[IDE_IV_LEN] = { IDE_INITIAL_IFV };

    entropy_bytes(&r->entropy, r->keys, sizeof(r->keys));
    assert_int_equal(rig_ide_stream(r, IDE_KM_KEYS, id, (uint8_t)set), SPDM_DONE);
    then(r);
    for (unsigned i = 0; i < 2 * IDE_N_SUB; i++) {
        assert_true(ide_key_prog(port, link, set, i & 1 ? IDE_RX : IDE_TX, i / 2, r->keys[i / 2][i & 1], iv));
    }
    for (unsigned i = 0; i < IDE_N_SUB; i++) {
        assert_true(ide_key_go(port, link, set, IDE_RX, i));
        then(r);
    }
    assert_int_equal(rig_ide_stream(r, IDE_KM_GO, id, (uint8_t)set), SPDM_DONE);
    then(r);
    for (unsigned i = 0; i < IDE_N_SUB; i++) {
        assert_true(ide_key_go(port, link, set, IDE_TX, i));
        then(r);
    }
}

static void stop_link(NicRig *r, uint8_t id, unsigned set)
{
    IdeCap *port = root_port_ide(r->port);

    assert_int_equal(rig_ide_stream(r, IDE_KM_STOP, id, (uint8_t)set), SPDM_DONE);
    for (unsigned i = 0; i < 2 * IDE_N_SUB; i++) {
        assert_true(ide_key_stop(port, port->cfg.n_sel, set, i & 1 ? IDE_RX : IDE_TX, i / 2));
    }
}

static void nothing(NicRig *r) {}

/* Both kinds of request, up and down the link. */
static void crosses_link(NicRig *r)
{
    uint8_t b[8] = { 0 };

    assert_int_equal(dma_write(&r->nic->dma, RIG_SHARED, b, 8), DMA_OK);
    assert_int_equal(dma_read(&r->nic->dma, RIG_SHARED, b, 8), DMA_OK);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, PAS_NONSECURE), ENGINE_MAGIC);
}

/* IDE_KM keys a link stream by its ID. From then on T=0 requests need it. New keys by the other set leave it Secure at
 * each step; one that has failed is not mended by them, but by keys after it was disabled. */
static void test_link_stream(void **state)
{
    enum { ID = 0x42, ON = ID << 24 | 1 };
    NicRig  *r = rig_new(NULL);
    IdeCap  *port = root_port_ide(r->port);
    unsigned card = pci_find_ext_cap(r->nic, PCI_EXT_CAP_IDE) + 0x0c;
    unsigned link = port->cfg.n_sel;
    uint8_t  b[8] = { 0 }, iv[IDE_IV_LEN] = { IDE_INITIAL_IFV };

    rig_go_to(r, TDI_CONFIG_UNLOCKED, 0);
    assert_int_equal(rig_ide_stream(r, IDE_KM_KEYS, ID, 0), SPDM_FAILED); /* no such stream */
    pci_host_config_write(r->host, RIG_PORT, port->off + 0x0cu, 4, ON);
    rig_write(r, card, 4, ON);
    assert_int_equal(dma_write(&r->nic->dma, RIG_SHARED, b, 8), DMA_OK); /* not Secure yet */
    key_link(r, ID, 0, nothing);
    assert_int_equal(rig_read(r, card + 4, 4), IDE_SECURE);
    pci_host_config_write(r->host, RIG_NIC, rig_ide(r, 0) + 4, 4, 0); /* no default stream: the link's */
    assert_int_equal(dma_write(&r->nic->dma, RIG_SHARED, b, 8), DMA_OK);
    assert_true(port->streams[link].rx_count != 0);
    for (unsigned set = 1; set <= 4; set++) {
        uint8_t old[IDE_KEY_LEN];

        memcpy(old, r->keys[IDE_PR][0], sizeof(old));
        key_link(r, ID, set & 1, crosses_link);
        stop_link(r, ID, !(set & 1));
        crosses_link(r);
        assert_memory_not_equal(old, port->streams[link].keys[set & 1][IDE_TX][IDE_PR].key, IDE_KEY_LEN);
        assert_int_equal(rig_read(r, card + 4, 4), IDE_SECURE);
        assert_int_equal(ide_state(port, link), IDE_SECURE);
    }
    ide_fail(port, link, false);
    assert_int_equal(dma_write(&r->nic->dma, RIG_SHARED, b, 8), DMA_REFUSED);
    for (unsigned i = 0; i < 2 * IDE_N_SUB; i++) {
        assert_true(ide_key_prog(port, link, 1, i & 1 ? IDE_RX : IDE_TX, i / 2, r->keys[i / 2][i & 1], iv));
        assert_true(ide_key_go(port, link, 1, i & 1 ? IDE_RX : IDE_TX, i / 2));
    }
    assert_true(ide_keys_ready(port, link));
    assert_int_equal(ide_state(port, link), IDE_INSECURE);
    assert_int_equal(dma_write(&r->nic->dma, RIG_SHARED, b, 8), DMA_REFUSED);
    pci_host_config_write(r->host, RIG_PORT, port->off + 0x0cu, 4, 0);
    (void)rig_read(r, card, 4); /* breaks the card's end, which takes the next one */
    rig_write(r, card, 4, 0);
    assert_int_equal(dma_write(&r->nic->dma, RIG_SHARED, b, 8), DMA_OK); /* plain */
    pci_host_config_write(r->host, RIG_PORT, port->off + 0x0cu, 4, ON);
    rig_write(r, card, 4, ON);
    key_link(r, ID, 0, nothing);
    crosses_link(r);
    assert_int_equal(ide_state(port, link), IDE_SECURE);
    rig_free(r);
}

/* Keys do not outlive the session that brought them. */
static void test_keys_end_with_session(void **state)
{
    NicRig *r = rig_new(NULL);

    rig_go_to(r, TDI_CONFIG_UNLOCKED, 0);
    assert_int_equal(rig_read(r, rig_ide(r, 0) + 8, 4) & 0xf, IDE_SECURE);
    end_session(r);
    assert_int_equal(rig_read(r, rig_ide(r, 0) + 8, 4) & 0xf, IDE_INSECURE);
    rig_free(r);
}

/* ---- MMIO ---- */

typedef struct Place {
    const char *name;
    unsigned    bar;
    uint64_t    off;
    unsigned    size;
    uint64_t    value; /* what it reads when it answers */
    bool        tee, tee_if_msix_locked;
} Place;

static bool answers(const Place *p, TdiState s, bool realm, bool msix_locked)
{
    if (!p->tee && !(p->tee_if_msix_locked && msix_locked && (s == TDI_CONFIG_LOCKED || s == TDI_RUN))) {
        return true;
    }
    return s == TDI_CONFIG_UNLOCKED ? !realm : s == TDI_RUN && realm;
}

static void test_mmio(void **state)
{
    static const Place places[] = {
        { "virtio queues", TDISP_NIC_BAR_VIRTIO, 0x12, 2, 2, true, false },
        { "engine", TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, ENGINE_MAGIC, true, false },
        { "engine's mirror", TDISP_NIC_BAR_ENGINE, ENGINE_MIRROR + ENGINE_ID, 8, ENGINE_MAGIC, false, false },
        { "behind the mirror", TDISP_NIC_BAR_ENGINE, 0x3000, 8, 0, false, false },
        { "MSI-X vector control", TDISP_NIC_BAR_MSIX, 12, 4, 1, false, true },
        { "MSI-X pending bits", TDISP_NIC_BAR_MSIX, 0x800, 8, 0, false, true },
    };
    static const Pas spaces[] = { PAS_NONSECURE, PAS_REALM, PAS_SECURE, PAS_ROOT };

    for (unsigned n = 0; n < 8; n++) {
        TdiState s = n / 2;
        bool     msix = n & 1;
        NicRig  *r = rig_new(NULL);

        rig_go_to(r, s, msix ? TDISP_LOCK_MSIX : 0);
        for (unsigned i = 0; i < ARRAY_LEN(places) * ARRAY_LEN(spaces); i++) {
            const Place *p = &places[i / ARRAY_LEN(spaces)];
            Pas          pas = spaces[i % ARRAY_LEN(spaces)];
            bool         want = answers(p, s, pas == PAS_REALM, msix);
            uint64_t     got = rig_bar_read(r, p->bar, p->off, p->size, pas);

            if (got != (want ? p->value : mask64(8 * p->size))) {
                fail_msg("%s in %s from %s: 0x%llx", p->name, state_names[s], pas_name(pas),
                         (unsigned long long)got);
            }
        }
        rig_free(r);
    }
}

/* Writes go the same way. */
static void test_mmio_writes(void **state)
{
    static const struct { TdiState s; Pas pas; bool taken; } rows[] = {
        { TDI_CONFIG_UNLOCKED, PAS_NONSECURE, true }, { TDI_CONFIG_UNLOCKED, PAS_REALM, false },
        { TDI_CONFIG_LOCKED, PAS_NONSECURE, false },  { TDI_CONFIG_LOCKED, PAS_REALM, false },
        { TDI_RUN, PAS_NONSECURE, false },            { TDI_RUN, PAS_REALM, true },
        { TDI_ERROR, PAS_NONSECURE, false },          { TDI_ERROR, PAS_REALM, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(NULL);

        rig_go_to(r, rows[i].s, 0);
        rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_FLAGS, 8, rows[i].pas, 0x77);
        assert_int_equal(
            rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_MIRROR + ENGINE_FLAGS, 8, PAS_NONSECURE),
            rows[i].taken ? 0x77 : 0);
        rig_free(r);
    }
}

/* Without the stream, nothing trusted passes the port, whatever the card would say. */
static void test_trusted_needs_stream(void **state)
{
    NicRig *r = rig_new(NULL);

    rig_go_to(r, TDI_RUN, 0);
    ide_keys_clear(root_port_ide(r->port), 0);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, PAS_REALM), ALL_ONES);
    rig_free(r);
}

/* The card's own owner finds nothing of those before, and leaves nothing to those after. */
static void test_scrub(void **state)
{
    enum { DEVICE_STATUS = 0x14, DRIVER = 3 };
    NicRig *r = rig_new(NULL);

    rig_go_to(r, TDI_CONFIG_UNLOCKED, 0);
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_ADDR, 8, PAS_NONSECURE, 0x1234);
    rig_bar_write(r, TDISP_NIC_BAR_VIRTIO, DEVICE_STATUS, 1, PAS_NONSECURE, DRIVER);
    rig_bar_write(r, TDISP_NIC_BAR_MSIX, 8, 8, PAS_NONSECURE, 0xabcd);
    assert_int_equal(rig_tdisp(r, TDISP_OP_LOCK), SPDM_DONE);
    assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ADDR, 8, PAS_REALM), 0);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_VIRTIO, DEVICE_STATUS, 1, PAS_REALM), 0);
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_PATTERN, 8, PAS_REALM, 0x5ec4e7);
    rig_bar_write(r, TDISP_NIC_BAR_VIRTIO, DEVICE_STATUS, 1, PAS_REALM, DRIVER);
    assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_PATTERN, 8, PAS_NONSECURE), 0);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_VIRTIO, DEVICE_STATUS, 1, PAS_NONSECURE), 0);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_MSIX, 8, 8, PAS_NONSECURE), 0xabcd); /* the host's all the time */
    /* STOP of an unlocked interface succeeds and disturbs nobody. */
    rig_bar_write(r, TDISP_NIC_BAR_VIRTIO, DEVICE_STATUS, 1, PAS_NONSECURE, DRIVER);
    assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_VIRTIO, DEVICE_STATUS, 1, PAS_NONSECURE), DRIVER);
    rig_free(r);
}

/* A table that was locked is its owner's, whether it ends by STOP from RUN or from ERROR; pending bits, too. */
static void test_scrub_msix(void **state)
{
    for (unsigned broken = 0; broken < 2; broken++) {
        NicRig *r = rig_new(NULL);

        rig_go_to(r, TDI_RUN, TDISP_LOCK_MSIX);
        rig_bar_write(r, TDISP_NIC_BAR_MSIX, 0, 8, PAS_REALM, RIG_PRIVATE);
        rig_bar_write(r, TDISP_NIC_BAR_MSIX, 8, 8, PAS_REALM, 0x5ec4e7);
        if (broken) {
            rig_write(r, PCI_COMMAND, 2, 0);
            rig_write(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
            assert_int_equal(rig_state(r), TDI_ERROR);
        }
        assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
        assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_MSIX, 0, 8, PAS_NONSECURE), 0);
        assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_MSIX, 8, 8, PAS_NONSECURE), 1ull << 32); /* masked */
        rig_free(r);
    }
}

/* ---- DMA ---- */

static uint64_t engine(NicRig *r, uint64_t command, uint64_t addr, uint64_t len, uint64_t pattern)
{
    const unsigned base = ENGINE_MIRROR;

    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, base + ENGINE_ADDR, 8, PAS_NONSECURE, addr);
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, base + ENGINE_LEN, 8, PAS_NONSECURE, len);
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, base + ENGINE_PATTERN, 8, PAS_NONSECURE, pattern);
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, base + ENGINE_CMD, 8, PAS_NONSECURE, command);
    return rig_bar_read(r, TDISP_NIC_BAR_ENGINE, base + ENGINE_STATUS, 8, PAS_NONSECURE);
}

static uint64_t memory_word(NicRig *r, uint64_t pa, Pas pas)
{
    uint64_t v = 0;

    assert_int_equal(memory_read(r->memory, pa, (MemAttrs){ .pas = pas }, &v, 8), MEM_OK);
    return v;
}

typedef struct DmaRow {
    const char  *name;
    TdiState     state;
    uint64_t     addr;
    DmaResult    answer;
    EngineStatus status;
    bool         asked; /* a request left the function */
    TdiState     after;
} DmaRow;

#define UNLOCKED TDI_CONFIG_UNLOCKED
#define LOCKED   TDI_CONFIG_LOCKED

static void test_dma(void **state)
{
    static const DmaRow rows[] = {
        { "unlocked, shared", UNLOCKED, RIG_SHARED, DMA_OK, ENGINE_OK, true, UNLOCKED },
        { "unlocked, private", UNLOCKED, RIG_PRIVATE, DMA_FAULT, ENGINE_FAULT, true, UNLOCKED },
        { "unlocked, private mapped", UNLOCKED, RIG_PRIVATE, DMA_OK, ENGINE_GPF, true, UNLOCKED },
        { "unlocked, stream aborts", UNLOCKED, RIG_SHARED, DMA_ABORT, ENGINE_FAULT, true, UNLOCKED },
        { "locked", LOCKED, RIG_SHARED, DMA_OK, ENGINE_REFUSED, false, LOCKED },
        { "run, private", TDI_RUN, RIG_PRIVATE, DMA_OK, ENGINE_OK, true, TDI_RUN },
        { "run, stream not enabled", TDI_RUN, RIG_PRIVATE, DMA_FAULT, ENGINE_FAULT, true, TDI_RUN },
        { "run, granule of another", TDI_RUN, RIG_PRIVATE, DMA_GPF, ENGINE_GPF, true, TDI_RUN },
        { "error", TDI_ERROR, RIG_SHARED, DMA_OK, ENGINE_REFUSED, false, TDI_ERROR },
    };
    enum { PATTERN = 0x1122334455667788 };

    for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        const DmaRow *row = &rows[i / 2];
        bool          write = i & 1, trusted = row->state == TDI_RUN, moved = row->status == ENGINE_OK;
        NicRig       *r = rig_new(NULL);
        Pas           owner = row->addr == RIG_PRIVATE ? PAS_REALM : PAS_NONSECURE;

        print_message("%s, %s\n", row->name, write ? "write" : "read");
        rig_go_to(r, row->state, 0);
        r->answer = row->answer;
        r->n_requests = 0;
        assert_int_equal(engine(r, write ? ENGINE_WRITE : ENGINE_READ, row->addr, 64, PATTERN), row->status);
        assert_int_equal(r->n_requests, row->asked);
        if (row->asked) {
            assert_int_equal(r->last.trusted, trusted);
            assert_int_equal(r->last.requester, RIG_NIC);
        }
        assert_int_equal(memory_word(r, row->addr, owner), write && moved ? PATTERN : 0);
        assert_int_equal(r->nic->dma.bytes_written[owner], write && moved ? 64 : 0);
        assert_int_equal(r->nic->dma.bytes_read[owner], !write && moved ? 64 : 0);
        assert_int_equal(rig_state(r), row->after);
        rig_free(r);
    }
}

/* Other reads of a running function that fail are an error of the interface. */
static void test_failed_read(void **state)
{
    static const struct { const char *name; TdiState from; bool write; TdiState after; } rows[] = {
        { "read in RUN", TDI_RUN, false, TDI_ERROR },
        { "posted write in RUN", TDI_RUN, true, TDI_RUN },
        { "read in UNLOCKED", TDI_CONFIG_UNLOCKED, false, TDI_CONFIG_UNLOCKED },
    };
    uint8_t buf[8] = { 0 };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(NULL);

        print_message("%s\n", rows[i].name);
        rig_go_to(r, rows[i].from, 0);
        r->answer = DMA_FAULT;
        assert_int_equal(rows[i].write ? dma_write(&r->nic->dma, RIG_SHARED, buf, 8)
                                       : dma_read(&r->nic->dma, RIG_SHARED, buf, 8), DMA_FAULT);
        assert_int_equal(rig_state(r), rows[i].after);
        rig_free(r);
    }
}

/* Interrupts: T=1 only from a locked table in RUN; an open table always, T=0. */
static void test_msi(void **state)
{
    static const struct { TdiState s; bool locked, sent, trusted; } rows[] = {
        { TDI_CONFIG_UNLOCKED, false, true, false }, { TDI_CONFIG_LOCKED, false, true, false },
        { TDI_RUN, false, true, false },             { TDI_ERROR, false, true, false },
        { TDI_CONFIG_LOCKED, true, false, false },   { TDI_RUN, true, true, true },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig  *r = rig_new(NULL);
        unsigned msix = pci_find_cap(r->nic, PCI_CAP_MSIX);

        print_message("%s, table %s\n", state_names[rows[i].s], rows[i].locked ? "locked" : "open");
        rig_write(r, msix + 2, 2, 1 << 15);
        rig_bar_write(r, TDISP_NIC_BAR_MSIX, 0, 8, PAS_NONSECURE, RIG_SHARED);
        rig_bar_write(r, TDISP_NIC_BAR_MSIX, 8, 8, PAS_NONSECURE, 0xabcd); /* data; not masked */
        rig_go_to(r, rows[i].s, rows[i].locked ? TDISP_LOCK_MSIX : 0);
        r->n_requests = 0;
        pci_msix_notify(r->nic, 0);
        assert_int_equal(r->n_requests, rows[i].sent);
        if (rows[i].sent) {
            assert_true(r->last.is_msi);
            assert_int_equal(r->last.trusted, rows[i].trusted);
        }
        rig_free(r);
    }
}

/* A link has one security manager, whose streams are those of the link's end. */
static void test_second_manager(void **state)
{
    NicRig *r = rig_new(NULL);
    GError *error = NULL;
    Device *dev = device_from_option("tdisp-nic,id=nic1,bus=rp0,addr=0.1", r->clock, 1, &error);

    assert_non_null(dev);
    assert_false(pci_plug_option(r->host, dev, &error));
    assert_non_null(strstr(error->message, "cannot be function 1"));
    g_error_free(error);
    rig_go_to(r, TDI_RUN, 0); /* it has not changed hands */
    assert_int_equal(engine(r, ENGINE_WRITE, RIG_PRIVATE, 8, 1), ENGINE_OK);
    rig_free(r);
}

/* ---- what resets leave alone ---- */

/* "Function Level Reset" spares sticky registers and those of the link, a hot reset the sticky ones alone. */
static void test_reset_registers(void **state)
{
    enum { UNCORRECTABLE_MASK = 8, SEVERITY = 0xc, CORRECTABLE_MASK = 0x14 };
    static const struct {
        const char *name;
        bool        aer; /* else of the PCI Express capability */
        unsigned    off, size;
        uint32_t    written, now, flr, bus, power;
    } rows[] = {
        { "Uncorrectable Error Mask", true, UNCORRECTABLE_MASK, 4, ~0u, 0x7fff030, 0x7fff030, 0x7fff030, 0x400000 },
        { "Uncorrectable Error Severity", true, SEVERITY, 4, 0, 0, 0, 0, 0x00462030 },
        { "Correctable Error Mask", true, CORRECTABLE_MASK, 4, 0x1000, 0x1000, 0x1000, 0x1000, 0xe000 },
        { "Link Control", false, PCI_EXP_LNKCTL, 2, 0x00c3, 0x00c3, 0x00c3, 0, 0 },
        { "Link Control 2", false, PCI_EXP_LNKCTL2, 2, 2, 2, 2, 1, 1 },
        { "Device Control", false, PCI_EXP_DEVCTL, 2, 0x0100, 0x0100, 0x2810, 0x2810, 0x2810 },
        { "Max_Payload_Size", false, PCI_EXP_DEVCTL, 2, 0x2830, 0x2830, 0x2830, 0x2810, 0x2810 },
        { "Device Control 2: no ARI forwarding, no timeout ranges", false, PCI_EXP_DEVCTL2, 2, 0xffff, 0x10, 0, 0, 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        static const PciResetKind kinds[] = { PCI_RESET_FLR, PCI_RESET_BUS, PCI_RESET_POWER };
        const uint32_t            after[] = { rows[i].flr, rows[i].bus, rows[i].power };

        print_message("%s\n", rows[i].name);
        for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
            NicRig  *r = rig_new(NULL);
            unsigned at = (rows[i].aer ? pci_find_ext_cap(r->nic, PCI_EXT_CAP_AER) : r->nic->exp_cap) + rows[i].off;

            rig_write(r, at, rows[i].size, rows[i].written);
            assert_int_equal(rig_read(r, at, rows[i].size), rows[i].now);
            pci_reset_function(r->nic, kinds[k]);
            assert_int_equal(rig_read(r, at, rows[i].size), after[k]);
            rig_free(r);
        }
    }
}

/* ---- the test engine ---- */

typedef struct EngineRow {
    const char  *name;
    uint64_t     command, addr, len;
    EngineStatus status;
    uint64_t     result;
} EngineRow;

static void test_engine(void **state)
{
    static const EngineRow rows[] = {
        { "a page", ENGINE_WRITE, RIG_SHARED, 4096, ENGINE_OK, 0 },
        { "read it", ENGINE_READ, RIG_SHARED, 4096, ENGINE_OK, 0x0807060504030201 },
        { "read across pages", ENGINE_READ, RIG_SHARED + 4092, 8, ENGINE_OK, 0x08070605 },
        { "read three bytes", ENGINE_READ, RIG_SHARED + 1, 3, ENGINE_OK, 0x040302 },
        { "one byte", ENGINE_WRITE, RIG_SHARED + 4, 1, ENGINE_OK, 0x040302 },
        { "see it", ENGINE_READ, RIG_SHARED, 8, ENGINE_OK, 0x0807060104030201 },
        { "length 0", ENGINE_READ, RIG_SHARED, 0, ENGINE_BAD, 0x0807060104030201 },
        { "length 4097", ENGINE_WRITE, RIG_SHARED, 4097, ENGINE_BAD, 0x0807060104030201 },
        { "length of 64 bits", ENGINE_WRITE, RIG_SHARED, ~0ull, ENGINE_BAD, 0x0807060104030201 },
        { "command 0", 0, RIG_SHARED, 8, ENGINE_BAD, 0x0807060104030201 },
        { "command 3", 3, RIG_SHARED, 8, ENGINE_BAD, 0x0807060104030201 },
        { "nothing there", ENGINE_READ, 0x1000, 8, ENGINE_FAULT, 0x0807060104030201 },
        { "round the end", ENGINE_READ, ~0ull, 8, ENGINE_FAULT, 0x0807060104030201 },
    };
    NicRig *r = rig_new(NULL);

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(engine(r, rows[i].command, rows[i].addr, rows[i].len, 0x0807060504030201),
                         rows[i].status);
        assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_RESULT, 8, PAS_NONSECURE),
                         rows[i].result);
        assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_COUNT, 8, PAS_NONSECURE), i + 1);
    }
    /* Read-only registers, narrow accesses, no bus mastering. */
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, PAS_NONSECURE, 1);
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_STATUS, 8, PAS_NONSECURE, 77);
    rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_CMD, 4, PAS_NONSECURE, ENGINE_READ);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 8, PAS_NONSECURE), ENGINE_MAGIC);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_STATUS, 8, PAS_NONSECURE), ENGINE_FAULT);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_ID, 4, PAS_NONSECURE), 0xffffffff);
    rig_write(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(engine(r, ENGINE_READ, RIG_SHARED, 8, 0), ENGINE_REFUSED);
    rig_free(r);
}

/* ---- evidence ---- */

typedef struct Expected {
    unsigned index, kind;
    char     hex[256];
} Expected;

/* images/reference/tdisp-nic.ref, which was made without the device. */
static unsigned read_reference(Expected list[8])
{
    FILE    *f = fopen("images/reference/tdisp-nic.ref", "r");
    char     line[512];
    unsigned n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (line[0] != '#') {
            assert_true(n < 8);
            assert_int_equal(sscanf(line, "%u %x %255s", &list[n].index, &list[n].kind, list[n].hex), 3);
            n++;
        }
    }
    fclose(f);
    return n;
}

/* Number of measurements that are not the reference's. */
static unsigned differing(NicRig *r)
{
    SpdmOpArgs args = { .index = 0xff, .sign = true };
    Expected   list[8];
    unsigned   n = read_reference(list), different = 0;

    rig_connect(r);
    assert_int_equal(rig_op(r, SPDM_OP_MEASUREMENTS, &args), SPDM_DONE);
    SpdmSpan   reply = spdm_requester_reply(&r->requester);
    ByteReader b = br_init(reply.data, reply.len);

    br_skip(&b, 4);
    assert_int_equal(br_u8(&b), n);
    br_skip(&b, 3);
    for (unsigned i = 0; i < n; i++) {
        char   hex[256] = "";
        size_t len;

        assert_int_equal(br_u8(&b), list[i].index);
        assert_int_equal(br_u8(&b), 1);
        br_skip(&b, 2);
        assert_int_equal(br_u8(&b), list[i].kind);
        len = br_u16(&b);
        assert_true(2 * len < sizeof(hex));
        for (size_t k = 0; k < len; k++) {
            snprintf(hex + 2 * k, 3, "%02x", br_u8(&b));
        }
        different += strcmp(hex, list[i].hex) != 0;
    }
    assert_true(br_ok(&b));
    return different;
}

static void test_measurements(void **state)
{
    static const struct { const char *option; unsigned different; } rows[] = {
        { NULL, 0 }, { "tamper=wrong-measurement", 1 }, { "tamper=wrong-root", 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(rows[i].option);

        assert_int_equal(differing(r), rows[i].different);
        rig_free(r);
    }
}

/* The DER of a PEM file's first certificate. */
static size_t read_root(uint8_t *der, size_t cap)
{
    char        *pem, *body = NULL;
    gsize        len;

    assert_true(g_file_get_contents(PKI "/root.pem", &pem, NULL, NULL));
    char *begin = strstr(pem, "-----BEGIN CERTIFICATE-----"), *end = strstr(pem, "-----END");

    assert_true(begin != NULL && end != NULL);
    body = g_strndup(begin + 27, (gsize)(end - begin - 27));
    guchar *bytes = g_base64_decode(body, &len);

    assert_true(len <= cap);
    memcpy(der, bytes, len);
    g_free(bytes);
    g_free(body);
    g_free(pem);
    return len;
}

static void test_root(void **state)
{
    static const struct { const char *option; bool trusted; } rows[] = {
        { NULL, true }, { "tamper=wrong-root", false }, { "tamper=wrong-measurement", true },
    };
    uint8_t root[2048];
    size_t  len = read_root(root, sizeof(root));

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig *r = rig_new(rows[i].option);

        rig_connect(r);
        SpdmSpan    chain = spdm_requester_chain(&r->requester);
        const char *why =
            spdm_chain_check((const uint8_t *)chain.data + 52, chain.len - 52, root, len,
                             SPDM_CHAIN_OF_RESPONDER, -1, NULL);

        assert_int_equal(why == NULL, rows[i].trusted);
        rig_free(r);
    }
}

/* ---- the user ---- */

static char *join_files(const char *dir)
{
    static const char *const parts[] = { "root", "inter", "leaf" };
    GString                 *all = g_string_new("");
    char                    *path = g_build_filename(dir, "chain.pem", NULL);

    for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
        char *name = g_strdup_printf(PKI "/%s.pem", parts[i]), *text;

        assert_true(g_file_get_contents(name, &text, NULL, NULL));
        g_string_append(all, text);
        g_free(text);
        g_free(name);
    }
    assert_true(g_file_set_contents(path, all->str, -1, NULL));
    g_string_free(all, TRUE);
    return path;
}

static void test_properties(void **state)
{
    static const struct { const char *option, *bus, *says; } rows[] = {
        { NULL, "pcie.0", "below a pcie-root-port" },
        { "tamper=hat", "rp0", "tamper=hat of device tdisp-nic is not known; use wrong-root, expired" },
        { "tamper=", "rp0", "names nothing" },
        { "tamper=silent+", "rp0", "is not known" },
        { "tamper=drop=0", "rp0", "tamper=drop=0 of device tdisp-nic has a wrong number" },
        { "tamper=drop=", "rp0", "wrong number" },
        { "tamper=slow=3600001", "rp0", "wrong number" },
        { "tamper=not-ready=256", "rp0", "wrong number" },
        { "tamper=bad-mac=x", "rp0", "wrong number" },
        { "tamper=expired=1", "rp0", "takes no number" },
        { "tamper=expired+wrong-usage", "rp0", "more than one kind of certificate" },
        { "cert-chain=x,key=y,tamper=slow+expired", "rp0", "leave out" },
        { "key=" PKI "/leaf-key.pem", "rp0", "without cert-chain=" },
        { "cert-chain=" PKI "/leaf.pem", "rp0", "without key=" },
        { "cert-chain=nowhere.pem,key=" PKI "/leaf-key.pem", "rp0", "cannot read cert-chain=nowhere.pem" },
        { "cert-chain=" PKI "/leaf.pem,key=nowhere.pem", "rp0", "cannot read key=nowhere.pem" },
        { "cert-chain=" PKI "/root.pem,key=" PKI "/leaf-key.pem", "rp0", "root first" },
        { "cert-chain=x,key=y,tamper=wrong-root", "rp0", "leave out" },
        { "cert-chain-1=nowhere.pem", "rp0", "cannot read cert-chain-1=nowhere.pem" },
        { "cert-chain-7=" PKI "/wrong-leaf.pem", "rp0", "cannot use cert-chain-7=" PKI "/wrong-leaf.pem" },
        { "spdm-version=1.5", "rp0", "give 1.1, 1.2, 1.3 or 1.4" },
        { "spdm-version=1.3:1.2", "rp0", "spdm-version=1.3:1.2" },
        { "spdm-version=1.2:", "rp0", "the lowest and the highest" },
        { "ide-fault=rain", "rp0", "give mac, key-expiry, link or link-mac" },
        { "ide-fault=mac@0", "rp0", "1 and up" },
        { "ide-fault=mac@", "rp0", "1 and up" },
        { "ide-fault=@1", "rp0", "give mac" },
        { "spdm-heartbeat=256", "rp0", "at most 255 seconds" },
        { "netdev=none", "rp0", "no -netdev with that id" },
        { "doe-mailboxes=0", "rp0", "give a number from 1 to 4" },
        { "doe-mailboxes=5", "rp0", "give a number from 1 to 4" },
    };
    char *dir = g_dir_make_tmp("bailey-XXXXXX", NULL), *chain, *option;

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = rig_refusal(rows[i].option, rows[i].bus);

        if (strstr(text, rows[i].says) == NULL) {
            fail_msg("says: %s", text);
        }
        g_free(text);
    }
    assert_non_null(dir);
    chain = join_files(dir);
    option = g_strdup_printf("cert-chain=%s,key=" PKI "/leaf-key.pem,mac=52:54:00:01:02:03", chain);
    NicRig *r = rig_new(option);

    rig_connect(r);
    assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_VIRTIO, 0x2005, 1, PAS_NONSECURE), 3);
    rig_free(r);
    remove(chain);
    remove(dir);
    g_free(option);
    g_free(chain);
    g_free(dir);
}

/* Nothing heard for twice the period: the session ends, and with it the lock. */
static void test_heartbeat(void **state)
{
    const int64_t  s = 1000000000;
    NicRig        *r = rig_new("spdm-heartbeat=2");
    SpdmResponder *responder = &dsm_of(r->nic)->responder;

    rig_go_to(r, TDI_RUN, 0);
    responder->peer_capabilities |= SPDM_CAP_HBEAT; /* the module announces none */
    assert_int_equal(rig_tdisp(r, TDISP_OP_REPORT), SPDM_DONE);
    clock_advance(r->clock, clock_now(r->clock) + 4 * s - 1);
    assert_int_equal(rig_state(r), TDI_RUN);
    assert_int_equal(rig_tdisp(r, TDISP_OP_REPORT), SPDM_DONE);
    clock_advance(r->clock, clock_now(r->clock) + 4 * s - 1);
    assert_int_equal(rig_state(r), TDI_RUN);
    clock_advance(r->clock, clock_now(r->clock) + 1);
    assert_int_equal(rig_state(r), TDI_ERROR);
    assert_int_equal(responder->sessions[0].state, SPDM_SESSION_FREE);
    rig_free(r);
}

/* No port sends a function's requests back down, to it or to configuration space: they find nothing there. A function
 * that could write to its own doorbell would do so for ever. */
static void test_dma_to_functions(void **state)
{
    static const struct { const char *name; uint64_t addr; } rows[] = {
        { "its own command register", RIG_BAR4 + ENGINE_CMD },
        { "its own MSI-X table", RIG_BAR2 },
        { "the port's BAR", 0x10100000 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        NicRig  *r = rig_new(NULL);
        uint64_t count;

        print_message("%s\n", rows[i].name);
        rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_ADDR, 8, PAS_NONSECURE, rows[i].addr);
        rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_LEN, 8, PAS_NONSECURE, 8);
        rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_PATTERN, 8, PAS_NONSECURE, ENGINE_WRITE);
        rig_bar_write(r, TDISP_NIC_BAR_ENGINE, ENGINE_CMD, 8, PAS_NONSECURE, ENGINE_WRITE);
        count = rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_COUNT, 8, PAS_NONSECURE);
        assert_int_equal(count, 1);
        assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_ENGINE, ENGINE_STATUS, 8, PAS_NONSECURE), ENGINE_FAULT);
        assert_int_equal(rig_bar_read(r, TDISP_NIC_BAR_MSIX, 0, 8, PAS_NONSECURE), 0);
        rig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_discovery),
        cmocka_unit_test(test_mailboxes),
        cmocka_unit_test(test_data_objects),
        cmocka_unit_test(test_assignment),
        cmocka_unit_test(test_function_id),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_lock_conditions),
        cmocka_unit_test(test_config_writes),
        cmocka_unit_test(test_config_writes_error),
        cmocka_unit_test(test_config_writes_unlocked),
        cmocka_unit_test(test_master_enabled_late),
        cmocka_unit_test(test_other_losses),
        cmocka_unit_test(test_no_losses),
        cmocka_unit_test(test_mailbox_interrupt),
        cmocka_unit_test(test_ide_faults),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_p2p),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_rekey),
        cmocka_unit_test(test_key_in_use),
        cmocka_unit_test(test_refresh_again),
        cmocka_unit_test(test_stream_id_twice),
        cmocka_unit_test(test_other_default),
        cmocka_unit_test(test_link_stream),
        cmocka_unit_test(test_keys_end_with_session),
        cmocka_unit_test(test_mmio),
        cmocka_unit_test(test_mmio_writes),
        cmocka_unit_test(test_trusted_needs_stream),
        cmocka_unit_test(test_scrub),
        cmocka_unit_test(test_scrub_msix),
        cmocka_unit_test(test_dma),
        cmocka_unit_test(test_failed_read),
        cmocka_unit_test(test_msi),
        cmocka_unit_test(test_second_manager),
        cmocka_unit_test(test_reset_registers),
        cmocka_unit_test(test_engine),
        cmocka_unit_test(test_dma_to_functions),
        cmocka_unit_test(test_measurements),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_properties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
