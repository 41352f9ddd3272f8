/*
 * What the device assignment files of the RMM share: PDEV and VDEV as they lie in the granules the host gave,
 * the conversations with a device, and the SMMU's Realm interface. DEN0137 1.1-alp17, "Physical device",
 * "Virtual device".
 *
 * One SPDM connection belongs to a PDEV and serves its VDEVs as well: at most one conversation uses it at a
 * time. What a conversation needs between two calls (struct DevLink) is larger than a granule: it is kept in
 * the PDEV's auxiliary granules and gathered into one place while a command runs.
 */
#ifndef BAILEY_RMM_DEV_INT_H
#define BAILEY_RMM_DEV_INT_H

#include "rmm/rmm_int.h"
#include "spdm/ide_km.h"
#include "spdm/spdm.h"
#include "spdm/tdisp.h"

enum {
    DEV_MAX_PDEVS = 64,
    DEV_MAX_VDEVS = 64,     /* of a Realm, and of a PDEV; RttValue.vdev has 6 bits */
    DEV_OBJECT_MAX = 16384, /* of the measurements: as many responses as fit */
    DEV_KEEP_OFFSET = 2048, /* where in the request buffer a plain request lies that the host is to keep */
    DEV_TIMEOUT_US = 1000000,
};

/* ---- conversations (devcomm.c) ---- */

/* What is said to a device, and done with the root port in between, for one command. */
typedef enum DevScript {
    DEV_CONNECT,   /* PDEV: SPDM connection and certificates */
    DEV_SECURE,    /* session and IDE keys */
    DEV_IDE_RESET,
    DEV_REFRESH,   /* the other key set takes over */
    DEV_END,
    DEV_PREPARE,   /* VDEV: 1.1-alp17, what makes a new one UNLOCKED */
    DEV_LOCK,      /* TDISP version, capabilities; the interface is unlocked if it is not, and locked */
    DEV_REPORT,
    DEV_MEASURE,
    DEV_START,
    DEV_UNLOCK,
    DEV_N_SCRIPTS
} DevScript;

/* DEN0137 "RmiDevCommState": nothing to say; a script waits to begin; a request is out. */
typedef enum DevCommState { DEV_COMM_IDLE, DEV_COMM_PENDING, DEV_COMM_ACTIVE } DevCommState;

typedef struct DevComm {
    DevCommState state;
    DevScript    script;
    uint32_t     step;
    bool         ends; /* the last response is said; the host keeps a part of it before the next call, which ends */
} DevComm;

/* What a conversation needs between two calls. Plain data but for the generator's address, which is
 * set anew. */
typedef struct DevLink {
    SpdmRequester spdm;
    IdeKmSequence ide;
    TdispClient   tdisp;
    bool          secured;  /* the request that is out was a record */
    uint32_t      index;    /* of the measurement asked for, 0xff: all */
    uint32_t      object_len;
    uint8_t       object[DEV_OBJECT_MAX]; /* measurements so far, as the host keeps them */
} DevLink;

enum { PDEV_N_AUX = (sizeof(DevLink) + RMM_GRANULE_SIZE - 1) / RMM_GRANULE_SIZE };
_Static_assert((int)PDEV_N_AUX <= RMI_PDEV_AUX_MAX, "a DevLink fits the auxiliary granules");

/* ---- PDEV (pdev.c), in its granule ---- */

typedef struct Pdev {
    RmiPdevState state;
    DevComm      comm;
    uint64_t     talker;    /* the VDEV whose conversation uses the connection; 0: none, or the PDEV's own */
    uint64_t     flags, id, ecam, cert_id;
    uint16_t     root_id, rid_base, rid_top; /* top is not part of the range */
    uint8_t      segment, ide_sid;
    RmiHash      hash;
    bool         keyed;     /* both ends of the stream use the keys of key_set */
    uint8_t      key_set;
    bool         has_link;  /* the device's end of a link stream was enabled when it was asked: it gets keys, too */
    bool         link_keyed;
    uint8_t      link_sid, link_set;
    uint32_t     n_vdevs;
    uint64_t     vdev[DEV_MAX_VDEVS]; /* 0: free */
    uint8_t      vca_digest[RMM_HASH_MAX], cert_digest[RMM_HASH_MAX], key_digest[RMM_HASH_MAX];
    uint64_t     aux[PDEV_N_AUX];
} Pdev;
_Static_assert(sizeof(Pdev) <= RMM_GRANULE_SIZE, "a PDEV fits its granule");

/* As traces and debuggers have it. */
const char *pdev_state_name(RmiPdevState state);
const char *vdev_state_name(RmiVdevState state);

static inline Pdev *pdev_at(Rmm *rmm, uint64_t pa) { return granule_ptr(rmm, pa); }

/* The PDEV's link, gathered; there is one place for it, so a second gather invalidates the first. */
DevLink *pdev_link(Rmm *rmm, Pdev *pdev);
/* Puts the gathered link back. */
void pdev_link_keep(Rmm *rmm, const Pdev *pdev);

/* pdev_fail - the connection is lost: PDEV and its VDEVs are in ERROR, their DMA is off. */
void pdev_fail(Rmm *rmm, Pdev *pdev);

/* ---- VDEV (vdev.c), in its granule ---- */

typedef struct Vdev {
    RmiVdevState state;
    RmiVdev12State host_state; /* 1.1-alp12: what the host is told; state is what the Realm is told */
    DevComm      comm;
    uint64_t     rd, pdev, id;
    uint64_t     instance;    /* 1.1-alp12: tells it from earlier VDEVs of the Realm with this ID; not 0 */
    uint32_t     index;       /* in the Realm's table */
    uint32_t     stream;      /* of the SMMU */
    uint64_t     n_mapped;    /* granules of device memory in the Realm's tables for this VDEV; 1.1-alp12 has none that
                               * are a VDEV's */
    bool         dma;         /* the stream is valid */
    uint32_t     function_id;
    uint16_t     lock_flags;  /* TDISP: what the device offers */
    bool         has_tdisp_nonce;
    uint8_t      tdisp_nonce[TDISP_NONCE_LEN];
    bool         sign, raw;   /* the measurements asked for: all there are, or by index */
    bool         measure_all;
    uint8_t      indices[32], measure_nonce[SPDM_NONCE_LEN];
    /* What the Realm relies on; a nonce is zero while there is nothing to rely on. */
    uint64_t     lock_nonce, meas_nonce, report_nonce;
    uint8_t      meas_digest[RMM_HASH_MAX], report_digest[RMM_HASH_MAX];
} Vdev;
_Static_assert(sizeof(Vdev) <= RMM_GRANULE_SIZE, "a VDEV fits its granule");

static inline Vdev *vdev_at(Rmm *rmm, uint64_t pa) { return granule_ptr(rmm, pa); }

/* In Realm.device. */
typedef struct RealmDevices {
    uint64_t vdev[DEV_MAX_VDEVS]; /* granules; 0: free */
    uint64_t instances;           /* given so far */
} RealmDevices;
_Static_assert(sizeof(RealmDevices) <= sizeof(((Realm *)0)->device), "a Realm has room for its VDEVs");

static inline RealmDevices *realm_devices(Realm *realm) { return (RealmDevices *)realm->device; }

/* vdev_fail - ERROR, and no DMA from here on. */
void vdev_fail(Rmm *rmm, Vdev *vdev);
/* Where a conversation that has ended leads, as DEN0137 "VDEV lifecycle" says for the interface. */
void vdev_conversation_done(Rmm *rmm, const Pdev *pdev, Vdev *vdev);
/* With the session the whole device is lost. */
void vdev_conversation_failed(Rmm *rmm, Pdev *pdev, Vdev *vdev);
/* vdev_cut_short - gives the VDEV's conversation up, begun or not; the interface is lost. */
void vdev_cut_short(Rmm *rmm, Vdev *vdev);
/* vdev_remove - the granule is DELEGATED again; Realm, PDEV and SMMU know nothing of it. */
void vdev_remove(Rmm *rmm, uint64_t pa);
/* vdev_set_dma - makes the stream valid or invalid; returns after the SMMU has seen it. */
void vdev_set_dma(Rmm *rmm, Vdev *vdev, bool on);

/* A new nonce, not zero. */
uint64_t dev_nonce(Rmm *rmm);

/* ---- the engine of conversations ---- */

typedef enum DevResult {
    DEV_WAITS,  /* a request is on its way */
    DEV_DONE,   /* the script is over; comm is IDLE */
    DEV_FAILED, /* it ended early; comm is IDLE */
} DevResult;

/* RmiDevCommEnter, read once. */
typedef struct DevEnter {
    uint64_t data, req, resp, resp_len;
    uint8_t  status;
} DevEnter;

bool dev_read_enter(Rmm *rmm, uint64_t data, DevEnter *enter);

/* Queue a script. */
void dev_queue(DevComm *comm, DevScript script);

/**
 * dev_talk - one step of a conversation: takes the response, if there is one, and writes the next request.
 * @vdev: NULL for a conversation of the PDEV itself
 * Writes request buffer and RmiDevCommExit. All conditions of the command have been checked.
 */
DevResult dev_talk(Rmm *rmm, Pdev *pdev, Vdev *vdev, const DevEnter *enter);

/* dev_cut_short - give a conversation up in the middle, as when the device does not answer. */
void dev_cut_short(Rmm *rmm, Pdev *pdev, DevComm *comm);

/* dev_root_release - the root port forgets the stream's keys and TDISP. */
void dev_root_release(Rmm *rmm, Pdev *pdev);

/* A page of the host's that @read could read. Commands of devices have no label of their own for one that cannot be
 * delegated. */
#define REQUIRE_HOST_PAGE(pa, read, name)                                                              \
    REQUIRE(is_aligned(pa, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, name "_align");                         \
    REQUIRE(granule_state(rmm, pa) == GRANULE_NS && (read), RMI_ERROR_INPUT, name "_pas")

/* What PDEV_COMMUNICATE and VDEV_COMMUNICATE check of RmiDevCommEnter; @comm: whose. Leaves a DevEnter in
 * @enter. */
#define REQUIRE_COMM_DATA(pa, enter)                                                                   \
    REQUIRE_HOST_PAGE(pa, dev_read_enter(rmm, pa, enter), "data");                                     \
    REQUIRE_HOST_PAGE((enter)->req, true, "req");                                                      \
    REQUIRE_HOST_PAGE((enter)->resp, true, "resp");                                                    \
    REQUIRE((enter)->resp_len <= RMI_COMM_BUFFER_MAX, RMI_ERROR_INPUT, "resp_len");                    \
    REQUIRE_OURS((enter)->status <= RMI_COMM_ERROR, RMI_ERROR_INPUT, "status_valid");                  \
    REQUIRE_OURS((enter)->status != RMI_COMM_RESPONSE || (enter)->resp_len != 0, RMI_ERROR_INPUT, "resp_empty")

#define REQUIRE_COMM_STATE(comm, enter)                                                                \
    REQUIRE((comm)->state != DEV_COMM_IDLE, RMI_ERROR_DEVICE, "comm_state");                           \
    REQUIRE_OURS((comm)->state != DEV_COMM_PENDING || (enter)->status == RMI_COMM_NONE, RMI_ERROR_DEVICE, \
                 "comm_pending");                                                                      \
    REQUIRE_OURS((comm)->state != DEV_COMM_ACTIVE || (comm)->ends || (enter)->status != RMI_COMM_NONE,  \
                 RMI_ERROR_DEVICE, "comm_active")

/* ---- the SMMU's Realm interface (psmmu.c) ---- */

typedef struct Psmmu {
    uint64_t base;                /* Realm register page 0 */
    uint64_t strtab, cmdq, evtq;  /* in the carve-out */
    unsigned sid_bits;
    uint32_t prod;                /* of the command queue */
    bool     fwb;
    unsigned n_valid;             /* streams whose entry is valid */
} Psmmu;

/* All of the device assignment part that is not in granules. */
typedef struct DevState {
    Psmmu    psmmu;
    uint64_t pdev[DEV_MAX_PDEVS]; /* granules; 0: free */
    DevLink  link;
} DevState;

static inline DevState *dev_state(Rmm *rmm) { return rmm->device; }

/* Sets up stream table and queues in the carve-out; false: no such SMMU, or no room. */
bool psmmu_init(Rmm *rmm);

bool psmmu_stream_exists(Rmm *rmm, uint32_t stream);
/* Whether an entry, valid or not, belongs to a VDEV. */
bool psmmu_stream_used(Rmm *rmm, uint32_t stream);
/* The entry gets the Realm's stage 2 and is not valid. */
void psmmu_stream_attach(Rmm *rmm, const Realm *realm, uint32_t stream);
void psmmu_stream_detach(Rmm *rmm, uint32_t stream);
void psmmu_stream_set_valid(Rmm *rmm, const Realm *realm, uint32_t stream, bool valid);

#endif
