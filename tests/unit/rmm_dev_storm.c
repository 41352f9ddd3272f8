/* See rmm_dev_storm.h. */
#include "tests/unit/rmm_dev_storm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static DevStorm *storm; /* of the device that spoils its answers */

uint32_t storm_roll(DevStorm *s, uint32_t n)
{
    uint8_t b[4];

    entropy_bytes(&s->dice, b, sizeof(b));
    return le32_get(b) % n;
}

static uint64_t any_argument(DevStorm *s)
{
    static const uint64_t values[] = { PAGE(W_RD), PAGE(W_RD2), PAGE(D_PDEV), PAGE(D_VDEV), PAGE(D_VDEV2), PAGE(W_REC0),
                                       PAGE(D_PARAMS), PAGE(D_COMM), D_IPA, D_IPA + 0x1000, D_IPA + 0x200000, D_BAR,
                                       D_BAR + 0x1000, 0, 1, 2, 3, ~0ull, 1ull << 63, WORLD_NS };
    uint8_t b[8];

    if (storm_roll(s, 8) == 0) {
        entropy_bytes(&s->dice, b, sizeof(b));
        return le64_get(b);
    }
    uint64_t value = values[storm_roll(s, ARRAY_LEN(values))];
    return value + (storm_roll(s, 16) == 0 ? storm_roll(s, 4096) : 0);
}

static void any_params(DevStorm *s)
{
    switch (storm_roll(s, 4)) {
    case 0: dev_pdev_params(s->d, D_AUX); break;
    case 1: dev_key_params(s->d); break;
    case 2: dev_vdev_params(s->d); break;
    default: dev_measure_params(s->d, RMI_MEASURE_SIGNED); break;
    }
    if (storm_roll(s, 4) == 0) {
        unsigned at = storm_roll(s, 4096);
        rig_bytes(s->d->rig, PAGE(D_PARAMS))[at] ^= (uint8_t)(1u << storm_roll(s, 8));
    }
}

/* One COMMUNICATE, as a host does it or not: the answer of the last request, perhaps spoilt, perhaps none. */
static void any_talk(DevStorm *s, bool vdev, unsigned *status)
{
    bool more;

    if (storm_roll(s, 8) == 0) {
        *status = storm_roll(s, 3);
    }
    (void)dev_communicate(s->d, vdev, status, &more);
    if (!more) {
        *status = RMI_COMM_NONE;
    }
}

static size_t any_spoil(DevRig *rig, uint8_t *rsp, size_t len)
{
    if (len != 0 && storm_roll(storm, 100) == 0) {
        unsigned at = storm_roll(storm, (uint32_t)len);
        rsp[at] ^= (uint8_t)(1u << storm_roll(storm, 8));
    }
    return storm_roll(storm, 200) == 0 ? storm_roll(storm, (uint32_t)len + 1) : len;
}

/* A call as it should be, or with one wrong argument; any command of devices now and then. */
static void any_call(DevStorm *s)
{
    const RmmValid   *v = &s->rows->valid[storm_roll(s, (uint32_t)s->rows->n_valid)];
    const RmiCommand *c = s->d->rig->rmm->rmi[storm_roll(s, RMI_TABLE_LEN)];
    uint64_t          x[7] = { SMC64_STD(v->fid) };

    memcpy(x + 1, v->x, sizeof(v->x));
    if (storm_roll(s, 8) == 0 && c != NULL && c->dialects != 0) {
        x[0] = SMC64_STD(c->fid);
    }
    if (storm_roll(s, 3) == 0) {
        unsigned at = 1 + storm_roll(s, 6);
        x[at] = any_argument(s);
    }
    if (v->fid != RMI_FID_PDEV_COMMUNICATE && v->fid != RMI_FID_VDEV_COMMUNICATE) { /* any_talk() does */
        (void)rig_smc(s->d->rig, 0, x, ARRAY_LEN(x));
    }
}

/* The Realm's call, and its waiting after it. The page may have got an answer meanwhile. */
static void write_code(DevStorm *s)
{
    le32_put(rig_bytes(s->d->rig, PAGE(W_DATA)), A64_SMC);
    le32_put(rig_bytes(s->d->rig, PAGE(W_DATA)) + 4, A64_WFI);
    memory_dirty(s->d->rig->memory, PAGE(W_DATA), 8);
}

/* The Realm goes on, or waits once more. */
static void any_enter(DevStorm *s)
{
    uint64_t refuse = storm_roll(s, 2) != 0 ? RMI_ENTER_DEV_MEM_REJECT : 0;

    write_code(s);
    dev_rec(s->d)->pc = 4;
    rig_enter(s->d->rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI | refuse);
    rmi(s->d->rig, RMI_FID_REC_ENTER, PAGE(W_REC0), PAGE(W_RUN));
}

void storm_rsi(DevStorm *s, uint64_t *x, size_t n)
{
    if (storm_roll(s, 8) == 0) {
        size_t at = 1 + storm_roll(s, (uint32_t)n - 1);
        x[at] = any_argument(s);
    }
    write_code(s);
    (void)dev_rsi(s->d, x, n);
}

unsigned storm_run(DevStorm *s, unsigned steps)
{
    unsigned seen_dma = 0;

    storm = s;
    s->d->spoil = s->spoils ? any_spoil : NULL;
    for (unsigned i = 0; i < steps; i++) {
        unsigned what = storm_roll(s, 8), object = storm_roll(s, 2);

        switch (what) {
        case 0: any_params(s); break;
        case 1: any_call(s); break;
        case 2: s->rsi(s); break;
        case 3: rmi(s->d->rig, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), PAGE(D_VDEV)); break;
        case 4: any_enter(s); break;
        default: any_talk(s, object, &s->status[storm_roll(s, 2)]); break;
        }
        dev_check(s->d);
        seen_dma += dev_state(s->d->rig->rmm)->psmmu.n_valid;
    }
    return seen_dma;
}

void storm_worlds(DevStorm *s, DevRig **d, DevStage last, void (*ready)(unsigned world))
{
    const DevStage stages[] = { STAGE_NONE, STAGE_READY, last, last };
    unsigned       seen_dma = 0;

    entropy_init(&s->dice, 1, "test");
    for (unsigned world = 0; world < 12; world++) {
        s->d = *d = dev_rig_new();
        dev_go_to(s->d, stages[world % ARRAY_LEN(stages)]);
        s->spoils = world & 1;
        ready(world);
        seen_dma += storm_run(s, 3000);
        dev_rig_free(s->d);
    }
    assert_int_not_equal(seen_dma, 0);
}
