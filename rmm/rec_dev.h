/*
 * The request of a Realm about a VDEV while it waits for the host: what lies in Rec.vdev. DEN0137 1.1-alp17,
 * "REC exit due to VDEV request", "REC exit due to VDEV mapping"; 1.1-alp12 also "REC exit due to VDEV communication".
 */
#ifndef BAILEY_RMM_REC_DEV_H
#define BAILEY_RMM_REC_DEV_H

#include "rmm/dev_int.h"

typedef struct RecDevice {
    uint32_t fid;           /* of the RSI command */
    uint64_t id;            /* as the Realm names the VDEV */
    uint64_t vdev;          /* granule that the host named; 0: none */
    uint64_t ipa;           /* GET_INFO: buffer */
    uint64_t base, top, pa; /* VALIDATE_MAPPING: base moves up as the host works */
    uint64_t lock_nonce, meas_nonce, report_nonce;

    /* 1.1-alp12 */
    uint32_t script;        /* DevScript to begin; DEV_N_SCRIPTS: only the instance is asked for */
    uint64_t instance;      /* of the VDEV; 0: the Realm does not know it yet */
    uint64_t measure_flags;
    uint8_t  indices[32], nonce[32];
} RecDevice;
_Static_assert(sizeof(RecDevice) <= sizeof(((Rec *)0)->vdev), "a REC has room for its request");

static inline RecDevice *rec_device(Rec *rec) { return (RecDevice *)rec->vdev; }

/* The VDEV that the host named, if it is (still) the one the Realm means; else NULL. */
Vdev *rec_vdev(Rmm *rmm, Rec *rec);

#endif
