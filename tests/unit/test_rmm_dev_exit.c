/*
 * What a host reads after each exit of a REC that is about a device, byte for byte, in both dialects with devices: what
 * DEN0137 "REC exit due to VDEV request", "... VDEV mapping" (1.1-alp12: "... VDEV communication", "... device memory
 * mapping") give it, and zero everywhere else. test_rmm_exit.c has the other exits.
 */
#include "tests/unit/rmm_dev_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { BUFFER_IPA = 0x5000, MAX_FIELDS = 6, FIRST_INSTANCE = 1 };

#define VDEV  PAGE(D_VDEV)
#define RANGE D_IPA, D_IPA + 0x3000, D_BAR + 0x1000
#define DABT  (0x24ull << 26)

static DevRig *d;

/* ---- before and after the exit ---- */

static void known_nonces(void)
{
    Vdev *v = dev_vdev(d);

    v->lock_nonce = 1;
    v->meas_nonce = 2;
    v->report_nonce = 3;
}

static void locked(void) { dev_vdev(d)->state = RMI_VDEV_LOCKED; }
static void destroy_buffer(void) { rmi_ok(d->rig, RMI_FID_DATA_DESTROY, d->rd, BUFFER_IPA); }
static void name_it(void) { rmi_ok(d->rig, RMI_FID_VDEV_COMPLETE, d->rec, VDEV); }

static void name_it_and_destroy_buffer(void)
{
    name_it();
    destroy_buffer();
}

static void has_asked(uint32_t fid, uint64_t argument)
{
    assert_int_equal(dev_rsi_done(d, fid, D_VDEV_ID, FIRST_INSTANCE, argument), RSI_SUCCESS);
}

static void asked_lock(void) { has_asked(RSI_FID_RDEV_LOCK, 0); }

static void asked_report(void)
{
    locked();
    has_asked(RSI_FID_RDEV_GET_INTERFACE_REPORT, 0x10);
}

static void asked_measurements(void)
{
    le64_put(rig_bytes(d->rig, PAGE(W_DATA + BUFFER_IPA / 4096)) + RSI_RDEV_MEASURE_FLAGS, RSI_RDEV_MEASURE_ALL);
    has_asked(RSI_FID_RDEV_GET_MEASUREMENTS, BUFFER_IPA);
}

static void asked_start(void)
{
    locked();
    has_asked(RSI_FID_RDEV_START, 0);
}

static void asked_stop(void) { has_asked(RSI_FID_RDEV_STOP, 0); }

/* ---- rows ---- */

typedef struct ExitRow {
    const char *name;
    RmmDialectId dialect;
    unsigned    stage;
    void      (*prepare)(void);
    void      (*answer)(void);  /* not NULL: the host does that, enters again, and the exit is the one after */
    uint64_t    resume;         /* where the Realm goes on, from the SMC */
    uint64_t    x[9];
    struct { unsigned offset; uint64_t value; } field[MAX_FIELDS]; /* not zero; the rest is */
} ExitRow;

#define ID_1                   { RMI_EXIT_VDEV_ID_1, D_VDEV_ID }
#define REASON(r)              { RMI_EXIT_REASON, r }
#define PAGE_GONE              { RMI_EXIT_ESR, DABT | 7 }, { RMI_EXIT_HPFAR, BUFFER_IPA >> 12 << 4 }
#define VDEV17(f, ...)         { SMC64_STD(RSI_FID_VDEV_##f), D_VDEV_ID, ##__VA_ARGS__ }
#define RDEV12(f, ...)         { SMC64_STD(RSI_FID_RDEV_##f), D_VDEV_ID, FIRST_INSTANCE, ##__VA_ARGS__ }
#define COMM12(text, fn, act)                                                                          \
    { "RDEV_CONTINUE after " text, RMM_1_1_ALP12, STAGE_VDEV, fn, NULL, 4, RDEV12(CONTINUE),           \
      { REASON(RMI_EXIT12_VDEV_COMM), ID_1, { RMI_EXIT12_VDEV, VDEV }, { RMI_EXIT12_VDEV_ACTION, act } } }

static const ExitRow rows[] = {
    { "VDEV_GET_INFO", RMM_1_1_ALP17, STAGE_UNLOCKED, NULL, NULL, 4, VDEV17(GET_INFO, BUFFER_IPA),
      { REASON(RMI_EXIT_VDEV_REQUEST), ID_1 } },
    { "VDEV_GET_INFO, page not there", RMM_1_1_ALP17, STAGE_UNLOCKED, destroy_buffer, NULL, 0,
      VDEV17(GET_INFO, BUFFER_IPA), { PAGE_GONE } },
    { "VDEV_GET_INFO, page gone meanwhile", RMM_1_1_ALP17, STAGE_UNLOCKED, NULL, name_it_and_destroy_buffer, 4,
      VDEV17(GET_INFO, BUFFER_IPA), { PAGE_GONE } },
    { "VDEV_DMA_ENABLE", RMM_1_1_ALP17, STAGE_STARTED, NULL, NULL, 4, VDEV17(DMA_ENABLE, 0, 0, 1, 2, 3),
      { REASON(RMI_EXIT_VDEV_REQUEST), ID_1 } },
    { "VDEV_DMA_DISABLE", RMM_1_1_ALP17, STAGE_STARTED, NULL, NULL, 4, VDEV17(DMA_DISABLE),
      { REASON(RMI_EXIT_VDEV_REQUEST), ID_1 } },
    { "VDEV_VALIDATE_MAPPING, the first", RMM_1_1_ALP17, STAGE_LOCKED, known_nonces, NULL, 4,
      VDEV17(VALIDATE_MAPPING, RANGE, 0, 1, 2, 3), { REASON(RMI_EXIT_VDEV_REQUEST), ID_1 } },
    { "VDEV_VALIDATE_MAPPING, the second", RMM_1_1_ALP17, STAGE_LOCKED, known_nonces, name_it, 4,
      VDEV17(VALIDATE_MAPPING, RANGE, 0, 1, 2, 3),
      { REASON(RMI_EXIT_VDEV_MAP), ID_1, { RMI_EXIT_DEV_MEM_BASE, D_IPA }, { RMI_EXIT_DEV_MEM_TOP, D_IPA + 0x3000 },
        { RMI_EXIT_DEV_MEM_PA, D_BAR + 0x1000 } } },

    { "RDEV_GET_INSTANCE_ID", RMM_1_1_ALP12, STAGE_VDEV, NULL, NULL, 4, RDEV12(GET_INSTANCE_ID),
      { REASON(RMI_EXIT_VDEV_REQUEST), ID_1 } },
    { "RDEV_LOCK", RMM_1_1_ALP12, STAGE_VDEV, NULL, NULL, 4, RDEV12(LOCK), { REASON(RMI_EXIT_VDEV_REQUEST), ID_1 } },
    { "RDEV_START", RMM_1_1_ALP12, STAGE_VDEV, locked, NULL, 4, RDEV12(START),
      { REASON(RMI_EXIT_VDEV_REQUEST), ID_1 } },
    { "RDEV_STOP", RMM_1_1_ALP12, STAGE_VDEV, NULL, NULL, 4, RDEV12(STOP), { REASON(RMI_EXIT_VDEV_REQUEST), ID_1 } },
    { "RDEV_GET_INTERFACE_REPORT", RMM_1_1_ALP12, STAGE_VDEV, locked, NULL, 4, RDEV12(GET_INTERFACE_REPORT, 0x10),
      { REASON(RMI_EXIT_VDEV_REQUEST), ID_1 } },
    { "RDEV_GET_INFO, page not there", RMM_1_1_ALP12, STAGE_VDEV, destroy_buffer, NULL, 0,
      RDEV12(GET_INFO, BUFFER_IPA), { PAGE_GONE } },
    COMM12("LOCK", asked_lock, RMI_VDEV_ACTION_LOCK),
    COMM12("GET_INTERFACE_REPORT", asked_report, RMI_VDEV_ACTION_GET_INTERFACE_REPORT),
    COMM12("GET_MEASUREMENTS", asked_measurements, RMI_VDEV_ACTION_GET_MEASUREMENTS),
    COMM12("START", asked_start, RMI_VDEV_ACTION_START),
    COMM12("STOP", asked_stop, RMI_VDEV_ACTION_STOP),
    { "RDEV_VALIDATE_MAPPING", RMM_1_1_ALP12, STAGE_VDEV, locked, NULL, 4, RDEV12(VALIDATE_MAPPING, RANGE),
      { REASON(RMI_EXIT12_DEV_MEM_MAP), ID_1, { RMI_EXIT12_DEV_MEM_BASE, D_IPA },
        { RMI_EXIT12_DEV_MEM_TOP, D_IPA + 0x3000 }, { RMI_EXIT12_DEV_MEM_PA, D_BAR + 0x1000 } } },
};

static void spoil_exit(void)
{
    memset(rig_bytes(d->rig, PAGE(W_RUN)) + RMI_EXIT, 0xff, RMM_GRANULE_SIZE - RMI_EXIT);
}

static void check(const ExitRow *row)
{
    uint8_t        want[RMM_GRANULE_SIZE] = { 0 };
    const uint8_t *got = rig_bytes(d->rig, PAGE(W_RUN));

    if (row->prepare != NULL) {
        row->prepare();
    }
    for (unsigned i = 0; i < 31; i++) { /* nothing of these may come out */
        dev_rec(d)->x[i] = i < ARRAY_LEN(row->x) ? row->x[i] : 0x5ec4e7;
    }
    dev_rec(d)->pc = 0;
    dev_rec(d)->spsr = 0x3c5;
    spoil_exit();
    (void)dev_enter(d, 0);
    if (row->answer != NULL) {
        row->answer();
        spoil_exit();
        (void)dev_enter(d, 0);
    }
    assert_int_equal(dev_rec(d)->pc, row->resume);
    for (unsigned i = 0; i < MAX_FIELDS; i++) {
        if (row->field[i].offset != 0) {
            le64_put(want + row->field[i].offset, row->field[i].value);
        }
    }
    for (unsigned at = RMI_EXIT; at < RMM_GRANULE_SIZE; at += 8) {
        bool gic = at >= RMI_EXIT_GICV3_HCR && at <= RMI_EXIT_GICV3_VMCR;
        if (!gic && le64_get(got + at) != le64_get(want + at)) {
            fail_msg("exit + 0x%x: 0x%llx, not 0x%llx", at - RMI_EXIT, (unsigned long long)le64_get(got + at),
                     (unsigned long long)le64_get(want + at));
        }
    }
}

static void test_exits(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s: %s\n", rmm_dialects[rows[i].dialect].name, rows[i].name);
        rig_dialect = rows[i].dialect;
        d = dev_rig_new();
        dev_go_to(d, (DevStage)rows[i].stage);
        check(&rows[i]);
        dev_rig_free(d);
    }
    rig_dialect = RMM_1_1_ALP17;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_exits) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
