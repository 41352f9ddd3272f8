/*
 * The Realm Services Interface and the Realm Host Interface as numbers: what a Realm shares with the RMM (RSI, Arm
 * DEN0137) and with the host behind it (RHI, Arm DEN0148, over RSI_HOST_CALL; function numbers as kernels use them).
 */
#ifndef BAILEY_RSI_H
#define BAILEY_RSI_H

#include <stdint.h>

enum {
    RSI_FID_VERSION = 0x190, RSI_FID_FEATURES = 0x191, RSI_FID_MEASUREMENT_READ = 0x192,
    RSI_FID_MEASUREMENT_EXTEND = 0x193, RSI_FID_ATTESTATION_TOKEN_INIT = 0x194,
    RSI_FID_ATTESTATION_TOKEN_CONTINUE = 0x195, RSI_FID_REALM_CONFIG = 0x196, RSI_FID_IPA_STATE_SET = 0x197,
    RSI_FID_IPA_STATE_GET = 0x198, RSI_FID_HOST_CALL = 0x199, RSI_FID_VDEV_DMA_ENABLE = 0x19C,
    RSI_FID_VDEV_GET_INFO = 0x19D, RSI_FID_VDEV_VALIDATE_MAPPING = 0x19F, RSI_FID_VDEV_DMA_DISABLE = 0x1A4,
};

#define RSI_FID_FIRST 0x190u
#define RSI_FID_LAST  0x1AFu

typedef enum RsiStatus {
    RSI_SUCCESS = 0, RSI_ERROR_INPUT = 1, RSI_ERROR_STATE = 2, RSI_INCOMPLETE = 3, RSI_ERROR_UNKNOWN = 4,
    RSI_ERROR_DEVICE = 5
} RsiStatus;

enum { RSI_ACCEPT = 0, RSI_REJECT = 1 };

#define RSI_FEATURE0_DA (1ull << 0)
#define RSI_CHANGE_DESTROYED (1ull << 0) /* flags of IPA_STATE_SET */

/* RsiRealmConfig. */
enum {
    RSI_CONFIG_IPA_WIDTH = 0x000,
    RSI_CONFIG_HASH_ALGO = 0x008, /* u8 */
    RSI_CONFIG_NUM_AUX_PLANES = 0x010,
    RSI_CONFIG_GICV3_VTR = 0x018,
    RSI_CONFIG_ATS_PLANE = 0x020,
    RSI_CONFIG_RPV = 0x200,       /* 64 bytes */
};

/* RsiHostCall: 256 bytes, 256-byte aligned. */
enum { RSI_HOST_CALL_IMM = 0x00, RSI_HOST_CALL_GPRS = 0x08, RSI_HOST_CALL_SIZE = 0x100 };

/* RsiVdevInfo of 1.1-alp17: 512 bytes. */
enum {
    RSI_VDEV_INFO_FLAGS = 0x000,
    RSI_VDEV_INFO_CERT_ID = 0x008,
    RSI_VDEV_INFO_HASH_ALGO = 0x010, /* u8 */
    RSI_VDEV_INFO_LOCK_NONCE = 0x018,
    RSI_VDEV_INFO_MEAS_NONCE = 0x020,
    RSI_VDEV_INFO_REPORT_NONCE = 0x028,
    RSI_VDEV_INFO_TDISP_VERSION = 0x030,
    RSI_VDEV_INFO_STATE = 0x038,     /* u8, RsiVdevState */
    RSI_VDEV_INFO_VCA_DIGEST = 0x040,
    RSI_VDEV_INFO_CERT_DIGEST = 0x080,
    RSI_VDEV_INFO_PUBKEY_DIGEST = 0x0C0,
    RSI_VDEV_INFO_MEAS_DIGEST = 0x100,
    RSI_VDEV_INFO_REPORT_DIGEST = 0x140,
    RSI_VDEV_INFO_SIZE = 0x200,
};

typedef enum RsiVdevState {
    RSI_VDEV_UNLOCKED = 0, RSI_VDEV_LOCKED, RSI_VDEV_STARTED, RSI_VDEV_ERROR
} RsiVdevState;

/* ---- RHI: imm 0, gprs[0] = function, arguments from gprs[1]; results from gprs[0] ---- */

#define RHI_FID(nn) (0xC5000000u | (nn))

enum {
    RHI_FID_DA_VERSION = 0x4A, RHI_FID_DA_FEATURES = 0x4B, RHI_FID_DA_OBJECT_SIZE = 0x4C,
    RHI_FID_DA_OBJECT_READ = 0x4D, RHI_FID_HOSTCONF_VERSION = 0x4E, RHI_FID_HOSTCONF_FEATURES = 0x4F,
    RHI_FID_HOSTCONF_GET_IPA_CHANGE_ALIGNMENT = 0x50, RHI_FID_DA_VDEV_CONTINUE = 0x51,
    RHI_FID_DA_VDEV_GET_INTERFACE_REPORT = 0x52, RHI_FID_DA_VDEV_GET_MEASUREMENTS = 0x53,
    RHI_FID_DA_VDEV_SET_TDI_STATE = 0x54, RHI_FID_DA_VDEV_P2P_UNBIND = 0x55, RHI_FID_DA_VDEV_ABORT = 0x56,
};

typedef enum RhiStatus {
    RHI_SUCCESS = 0, RHI_INCOMPLETE = 1, RHI_DATA_NOT_AVAILABLE = 2, RHI_INVALID_VDEV = 3, RHI_INVALID_OBJECT = 4,
    RHI_INPUT = 5, RHI_DEVICE = 6, RHI_INVALID_OFFSET = 7, RHI_ACCESS_FAILED = 8, RHI_BUSY = 9,
    RHI_ABORT_COMPLETED = 10, RHI_OBJECT_UNSUPPORTED = 11
} RhiStatus;

/* Objects of DA_OBJECT_SIZE and DA_OBJECT_READ, as kernels number them. */
typedef enum RhiObject { RHI_CERTIFICATE = 1, RHI_MEASUREMENTS = 2, RHI_INTERFACE_REPORT = 3, RHI_VCA = 4 } RhiObject;

/* States of DA_VDEV_SET_TDI_STATE. */
typedef enum RhiTdiState { RHI_TDI_UNLOCKED = 0, RHI_TDI_LOCKED = 1, RHI_TDI_RUN = 2 } RhiTdiState;

#define RHI_FEATURE_OBJECT_SIZE          (1ull << 0)
#define RHI_FEATURE_OBJECT_READ          (1ull << 1)
#define RHI_FEATURE_VDEV_CONTINUE        (1ull << 2)
#define RHI_FEATURE_GET_MEASUREMENTS     (1ull << 3)
#define RHI_FEATURE_GET_INTERFACE_REPORT (1ull << 4)
#define RHI_FEATURE_SET_TDI_STATE        (1ull << 5)
#define RHI_FEATURE_P2P_UNBIND           (1ull << 6)
#define RHI_FEATURE_ABORT                (1ull << 7)

/* Of HOSTCONF_FEATURES. */
#define RHI_FEATURE_GET_IPA_CHANGE_ALIGNMENT (1ull << 0)

/* The device as guest and host name it to each other: PCI domain << 16 | routing ID. */
#define RHI_VDEV_ID(domain, rid) ((uint64_t)(domain) << 16 | (rid))

#endif
