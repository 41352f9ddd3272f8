/*
 * A machine with devices to assign: the rig of the firmware model, an SMMU, two root ports that are key stores, and
 * below each a TDISP device that answers in this process. The host is the test: it relays messages and keeps objects
 * as a kernel does.
 */
#ifndef BAILEY_TESTS_RMM_DEV_RIG_H
#define BAILEY_TESTS_RMM_DEV_RIG_H

#include "iommu/smmuv3.h"
#include "rmm/rec_dev.h"
#include "tests/unit/rmm_rig.h"
#include "tests/unit/spdm_pair.h"

/* Pages of the devices' part, after those of world_new(). */
enum {
    D_PDEV = 128, D_AUX = 129, D_PDEV2 = 161, D_AUX2 = 162, D_VDEV = 194, D_VDEV2, D_L2, D_L3, D_SPARE,
    D_PARAMS = 208, D_COMM, D_REQ, D_RSP, D_LAST
};
/* Of the second Realm, where a test gives it memory: a page of code at 0, one for arguments at R2_IPA. */
enum { R2_L1 = W_SPARE, R2_L2, R2_L3, R2_CODE, R2_BUFFER, R2_DEV_L3, R2_IPA = 0x5000 };
#define D_SMMU   0x0a000000ull  /* Realm page 0; the Non-secure pages are below */
#define D_BAR    0x10000000ull  /* device memory; 16 MiB */
#define D_IPA    0x10000000ull  /* where it is mapped: at its own address */
#define D_ROOT(n)     (0x0008u * ((n) + 1))  /* the root ports */
#define D_FUNCTION(n) (PAIR_FUNCTION << (n)) /* and the devices below them, of two interfaces each */
#define D_VDEV_ID 0x77ull
#define D_LINK    0x80

/* What the root port was told: by key set, direction as it sees it, sub-stream. */
typedef struct RootKeys {
    struct {
        bool    programmed, go;
        uint8_t key[IDE_KEY_LEN];
    } slot[2][2][IDE_SUB_STREAMS];
    bool tdisp, refuses;
} RootKeys;

/* How far a device is: each needs those before it. */
typedef enum DevStage {
    STAGE_NONE,      /* parameters are in their pages */
    STAGE_CREATED,   /* a PDEV, NEW */
    STAGE_NEEDS_KEY,
    STAGE_HAS_KEY,
    STAGE_READY,
    STAGE_VDEV,      /* a VDEV, NEW */
    STAGE_UNLOCKED,
    STAGE_LOCKED,
    STAGE_STARTED,
    N_STAGES
} DevStage;

typedef struct DevRig {
    Rig      *rig;
    Smmu     *smmu;
    SpdmPair *pairs[2];  /* the devices are their device halves */
    RootKeys  roots[2];
    RootKeys  links[2];  /* of their link streams, D_LINK */
    GByteArray *object[4]; /* kept by the host, by RmiCommObject */

    /* What the calls below are about; at first D_PDEV, D_VDEV for its interface 0, the Realm of W_RD and W_REC0. */
    unsigned  device, interface;
    SpdmPair *pair;      /* of the device */
    RootKeys *root;      /* of its root port */
    uint64_t  pdev, vdev, rd, rec; /* granules */

    /* Who answers in the place of the pair's device; NULL: nobody. */
    size_t  (*answer)(void *opaque, bool secured, const uint8_t *req, size_t len, uint8_t *rsp, size_t cap);
    void     *answer_opaque;

    unsigned  exchange;  /* relayed so far */
    /* One spoilt exchange: returns the response's new length, 0 for none. NULL: nothing is spoilt. */
    size_t  (*spoil)(struct DevRig *d, uint8_t *rsp, size_t len);
    unsigned  spoil_at, spoil_how;
    uint64_t  flags_seen; /* of RmiDevCommExit, all ORed */
} DevRig;

DevRig *dev_rig_new(void);
/* dev_rig_bare - the machine only: no Realms, nothing delegated. */
DevRig *dev_rig_bare(void);
void    dev_rig_free(DevRig *d);

/* dev_second_realm - it runs, too. */
void dev_second_realm(DevRig *d);

/* dev_use - from here on, the calls are about that device, at D_PDEV or D_PDEV2. */
void dev_use(DevRig *d, unsigned device);

/* Fills the parameter page for PDEV_CREATE (with auxiliary granules from page @aux on), VDEV_CREATE,
 * PDEV_SET_PUBKEY, VDEV_GET_MEASUREMENTS. */
void dev_pdev_params(DevRig *d, unsigned aux);
void dev_vdev_params(DevRig *d);
void dev_key_params(DevRig *d);
void dev_measure_params(DevRig *d, uint64_t flags);

/* One RMI call of COMMUNICATE and what it asks for: the response is in its buffer afterwards. @vdev: of the
 * VDEV. Returns x0; *more: the host has to call again. @status: RmiCommStatus for this call, the next one is
 * left there. */
uint64_t dev_communicate(DevRig *d, bool vdev, unsigned *status, bool *more);

/* The whole conversation; returns x0 of the last call. */
uint64_t dev_converse(DevRig *d, bool vdev);

/* From nothing to a stage, through the RMM's commands; from one that was reached to a later one; to the next one. */
void dev_go_to(DevRig *d, DevStage stage);
void dev_go_on(DevRig *d, DevStage from, DevStage stage);
void dev_reach(DevRig *d, DevStage stage);

/* dev_check - what must hold whatever host and Realm did: a stream is valid only for a VDEV that is STARTED with keys
 * in use, and the books of PDEVs, VDEVs, Realms (those of the rig's first 256 pages) and SMMU agree. */
void dev_check(DevRig *d);

static inline Pdev *dev_pdev(DevRig *d) { return pdev_at(d->rig->rmm, d->pdev); }
static inline Vdev *dev_vdev(DevRig *d) { return vdev_at(d->rig->rmm, d->vdev); }
static inline Rec  *dev_rec(DevRig *d) { return rec_at(d->rig->rmm, d->rec); }

/* How the Realm calls the VDEV of an interface. */
static inline uint64_t dev_vdev_id(const DevRig *d) { return D_VDEV_ID + 2 * d->device + d->interface; }

/* The Realm makes an RSI call with up to 9 registers; the host has it back then. Returns the reason of the
 * exit. */
uint64_t dev_rsi(DevRig *d, const uint64_t *x, size_t n);
#define dev_rsi_call(d, fid, ...)                                                                      \
    dev_rsi(d, (const uint64_t[]){ SMC64_STD(fid), ##__VA_ARGS__ },                                    \
            sizeof((const uint64_t[]){ SMC64_STD(fid), ##__VA_ARGS__ }) / 8)
/* The REC goes on; returns the reason of its next exit. After a call it waits for an interrupt:
 * RMI_EXIT_SYNC. */
uint64_t dev_enter(DevRig *d, uint64_t flags);
/* A call that the host answers by VDEV_COMPLETE; returns the Realm's x0. */
uint64_t dev_rsi_complete(DevRig *d, const uint64_t *x, size_t n);
#define dev_rsi_done(d, fid, ...)                                                                      \
    dev_rsi_complete(d, (const uint64_t[]){ SMC64_STD(fid), ##__VA_ARGS__ },                           \
                     sizeof((const uint64_t[]){ SMC64_STD(fid), ##__VA_ARGS__ }) / 8)

/* 1.1-alp12: RSI_RDEV_CONTINUE until what was asked for (@action) is over, one message at each; the Realm's x0. */
uint64_t dev_rdev_talk(DevRig *d, RmiVdevAction action);

/* Where a DMA of the function at @iova goes. */
DmaResult dev_dma(DevRig *d, bool trusted, uint64_t iova, uint64_t *pa);

#endif
