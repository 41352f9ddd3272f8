/*
 * The Realm Management Interface as numbers: what a host and the RMM share. RMM specification (Arm DEN0137) 1.0 and
 * the device assignment commands of 1.1-alp17; what 1.1-alp12 has otherwise is at the end. Offsets are bytes in a
 * 4 KiB page; values are little-endian.
 */
#ifndef BAILEY_RMI_H
#define BAILEY_RMI_H

#include <stdint.h>

#define SMC64_STD(n)      (0xC4000000u | (n)) /* SMC64 fast call of the standard secure service owner */
#define RMM_GRANULE_SIZE  4096u

/* Function numbers: the low part of the SMCCC function ID. */
enum {
    RMI_FID_VERSION = 0x150, RMI_FID_GRANULE_DELEGATE = 0x151, RMI_FID_GRANULE_UNDELEGATE = 0x152,
    RMI_FID_DATA_CREATE = 0x153, RMI_FID_DATA_CREATE_UNKNOWN = 0x154, RMI_FID_DATA_DESTROY = 0x155,
    RMI_FID_PDEV_AUX_COUNT = 0x156, RMI_FID_REALM_ACTIVATE = 0x157, RMI_FID_REALM_CREATE = 0x158,
    RMI_FID_REALM_DESTROY = 0x159, RMI_FID_REC_CREATE = 0x15A, RMI_FID_REC_DESTROY = 0x15B,
    RMI_FID_REC_ENTER = 0x15C, RMI_FID_RTT_CREATE = 0x15D, RMI_FID_RTT_DESTROY = 0x15E,
    RMI_FID_RTT_MAP_UNPROTECTED = 0x15F, RMI_FID_VDEV_AUX_COUNT = 0x160, RMI_FID_RTT_READ_ENTRY = 0x161,
    RMI_FID_RTT_UNMAP_UNPROTECTED = 0x162, RMI_FID_VDEV_VALIDATE_MAPPING = 0x163, RMI_FID_PSCI_COMPLETE = 0x164,
    RMI_FID_FEATURES = 0x165, RMI_FID_RTT_FOLD = 0x166, RMI_FID_REC_AUX_COUNT = 0x167,
    RMI_FID_RTT_INIT_RIPAS = 0x168, RMI_FID_RTT_SET_RIPAS = 0x169, RMI_FID_VDEV_MAP = 0x172,
    RMI_FID_VDEV_UNMAP = 0x173, RMI_FID_PDEV_ABORT = 0x174, RMI_FID_PDEV_COMMUNICATE = 0x175,
    RMI_FID_PDEV_CREATE = 0x176, RMI_FID_PDEV_DESTROY = 0x177, RMI_FID_PDEV_GET_STATE = 0x178,
    RMI_FID_PDEV_IDE_RESET = 0x179, RMI_FID_PDEV_IDE_KEY_REFRESH = 0x17A, RMI_FID_PDEV_SET_PUBKEY = 0x17B,
    RMI_FID_PDEV_STOP = 0x17C, RMI_FID_VDEV_ABORT = 0x185, RMI_FID_VDEV_COMMUNICATE = 0x186,
    RMI_FID_VDEV_CREATE = 0x187, RMI_FID_VDEV_DESTROY = 0x188, RMI_FID_VDEV_GET_STATE = 0x189,
    RMI_FID_VDEV_UNLOCK = 0x18A, RMI_FID_VDEV_COMPLETE = 0x18E,
    RMI_FID_VDEV_GET_INTERFACE_REPORT = 0x1D0, RMI_FID_VDEV_GET_MEASUREMENTS = 0x1D1, RMI_FID_VDEV_LOCK = 0x1D2,
    RMI_FID_VDEV_START = 0x1D3,
};

#define RMI_FID_FIRST  0x150u
#define RMI_FID_LAST   0x18Fu
#define RMI_FID2_FIRST 0x1D0u
#define RMI_FID2_LAST  0x2CFu

#define RMI_ABI_VERSION(major, minor) ((uint64_t)(major) << 16 | (minor))

/* Status in X0 bits 7:0; the index of a status is in bits 15:8. */
typedef enum RmiStatus {
    RMI_SUCCESS = 0,
    RMI_ERROR_INPUT = 1,
    RMI_ERROR_REALM = 2,         /* REC_ENTER: index 0 Realm is NEW, 1 SYSTEM_OFF */
    RMI_ERROR_REC = 3,
    RMI_ERROR_RTT = 4,           /* index: level at which the walk stopped */
    RMI_ERROR_NOT_SUPPORTED = 5,
    RMI_ERROR_DEVICE = 6,
} RmiStatus;

#define RMI_RETURN(status, index) ((uint64_t)(status) | (uint64_t)(index) << 8)
#define RMI_RETURN_STATUS(x0)     ((RmiStatus)((x0) & 0xff))
#define RMI_RETURN_INDEX(x0)      ((unsigned)((x0) >> 8 & 0xff))
#define SMC_UNKNOWN               (~0ull) /* SMCCC NOT_SUPPORTED */

/* Feature register 0: least significant bit and width of each field. */
#define RMI_FEATURE0_S2SZ_LSB           0  /* 8 bits */
#define RMI_FEATURE0_NUM_BPS_LSB        14 /* 6 bits, value - 1 */
#define RMI_FEATURE0_NUM_WPS_LSB        20 /* 6 bits, value - 1 */
#define RMI_FEATURE0_PMU_EN             (1ull << 26)
#define RMI_FEATURE0_PMU_NUM_CTRS_LSB   27 /* 5 bits */
#define RMI_FEATURE0_SHA256             (1ull << 32)
#define RMI_FEATURE0_SHA512             (1ull << 33)
#define RMI_FEATURE0_GICV3_NUM_LRS_LSB  34 /* 4 bits, value - 1 */
#define RMI_FEATURE0_MAX_RECS_ORDER_LSB 38 /* 4 bits */
#define RMI_FEATURE0_DA                 (1ull << 42)

/* RmiRealmParams. */
enum {
    RMI_REALM_FLAGS0 = 0x000, /* u64 */
    RMI_REALM_S2SZ = 0x008,
    RMI_REALM_SVE_VL = 0x010,
    RMI_REALM_NUM_BPS = 0x018,
    RMI_REALM_NUM_WPS = 0x020,
    RMI_REALM_PMU_NUM_CTRS = 0x028,
    RMI_REALM_HASH_ALGO = 0x030, /* u8, RmiHash */
    RMI_REALM_NUM_AUX_PLANES = 0x038,
    RMI_REALM_RPV = 0x400,       /* 64 bytes */
    RMI_REALM_VMID = 0x800,      /* u16 */
    RMI_REALM_RTT_BASE = 0x808,
    RMI_REALM_RTT_LEVEL_START = 0x810, /* signed */
    RMI_REALM_RTT_NUM_START = 0x818,   /* u32 */
    RMI_REALM_FLAGS1 = 0x820,
};
#define RMI_REALM_FLAG_LPA2 (1ull << 0)
#define RMI_REALM_FLAG_SVE  (1ull << 1)
#define RMI_REALM_FLAG_PMU  (1ull << 2)
#define RMI_REALM_FLAG_DA   (1ull << 3)

/* In RMI_REALM_FLAGS1 */
#define RMI_REALM_FLAG_RTT_TREE_PP   (1ull << 0) /* a tree for each plane */
#define RMI_REALM_FLAG_S2AP_INDIRECT (1ull << 1)

typedef enum RmiHash { RMI_HASH_SHA_256 = 0, RMI_HASH_SHA_512 = 1 } RmiHash;

#define RMI_DATA_MEASURE (1ull << 0) /* flags of DATA_CREATE */

/* RmiRecParams. */
enum {
    RMI_REC_FLAGS = 0x000, /* u64: bit 0 runnable */
    RMI_REC_MPIDR = 0x100,
    RMI_REC_PC = 0x200,
    RMI_REC_GPRS = 0x300,  /* u64[8] */
    RMI_REC_NUM_AUX = 0x800,
    RMI_REC_AUX = 0x808,   /* u64[RMI_REC_AUX_MAX] */
};
#define RMI_REC_RUNNABLE (1ull << 0)
#define RMI_REC_AUX_MAX  16

/* RmiRecMpidr of the REC with index @i: 16 to an Aff0. */
#define RMI_MPIDR_OF_INDEX(i)                                                                          \
    (((uint64_t)(i) & 0xf) | ((uint64_t)(i) >> 4 & 0xff) << 8 | ((uint64_t)(i) >> 12 & 0xff) << 16)

/* RmiRecRun: RmiRecEnter at 0, RmiRecExit at 0x800. Exit offsets are from the start of the page. */
enum {
    RMI_ENTER_FLAGS = 0x000,
    RMI_ENTER_GPRS = 0x200,      /* u64[31] */
    RMI_ENTER_GICV3_HCR = 0x300,
    RMI_ENTER_GICV3_LRS = 0x308, /* u64[16] */

    RMI_EXIT = 0x800,
    RMI_EXIT_REASON = 0x800,
    RMI_EXIT_ESR = 0x900,
    RMI_EXIT_FAR = 0x908,
    RMI_EXIT_HPFAR = 0x910,
    RMI_EXIT_GPRS = 0xA00,       /* u64[31] */
    RMI_EXIT_GICV3_HCR = 0xB00,
    RMI_EXIT_GICV3_LRS = 0xB08,  /* u64[16] */
    RMI_EXIT_GICV3_MISR = 0xB88,
    RMI_EXIT_GICV3_VMCR = 0xB90,
    RMI_EXIT_CNTP_CTL = 0xC00,
    RMI_EXIT_CNTP_CVAL = 0xC08,
    RMI_EXIT_CNTV_CTL = 0xC10,
    RMI_EXIT_CNTV_CVAL = 0xC18,
    RMI_EXIT_RIPAS_BASE = 0xD00,
    RMI_EXIT_RIPAS_TOP = 0xD08,
    RMI_EXIT_RIPAS_VALUE = 0xD10, /* u8 */
    RMI_EXIT_VDEV_ID_1 = 0xD30,
    RMI_EXIT_VDEV_ID_2 = 0xD38,
    RMI_EXIT_DEV_MEM_BASE = 0xD40,
    RMI_EXIT_DEV_MEM_TOP = 0xD48,
    RMI_EXIT_DEV_MEM_PA = 0xD50,
    RMI_EXIT_IMM = 0xE00,         /* u16 */
    RMI_EXIT_PMU_OVF_STATUS = 0xF00,
};

#define RMI_ENTER_EMUL_MMIO        (1ull << 0)
#define RMI_ENTER_INJECT_SEA       (1ull << 1)
#define RMI_ENTER_TRAP_WFI         (1ull << 2)
#define RMI_ENTER_TRAP_WFE         (1ull << 3)
#define RMI_ENTER_RIPAS_REJECT     (1ull << 4)
#define RMI_ENTER_DEV_MEM_REJECT   (1ull << 6)

typedef enum RmiExitReason {
    RMI_EXIT_SYNC = 0,
    RMI_EXIT_IRQ = 1,
    RMI_EXIT_FIQ = 2,
    RMI_EXIT_PSCI = 3,
    RMI_EXIT_RIPAS_CHANGE = 4,
    RMI_EXIT_HOST_CALL = 5,
    RMI_EXIT_SERROR = 6,
    RMI_EXIT_VDEV_REQUEST = 8,
    RMI_EXIT_VDEV_MAP = 9,
    RMI_EXIT12_VDEV_COMM = 9,    /* 1.1-alp12 */
    RMI_EXIT12_DEV_MEM_MAP = 10, /* 1.1-alp12 */
    RMI_N_EXITS = 11
} RmiExitReason;

/* What RTT_READ_ENTRY returns. */
typedef enum RmiRttState {
    RMI_UNASSIGNED = 0, RMI_ASSIGNED = 1, RMI_TABLE = 2, RMI_ASSIGNED_DEV = 3
} RmiRttState;

typedef enum Ripas { RIPAS_EMPTY = 0, RIPAS_RAM = 1, RIPAS_DESTROYED = 2, RIPAS_DEV = 3 } Ripas;

/* Host descriptor of RTT_MAP_UNPROTECTED: the output address and these fields. */
#define RMI_DESC_MEMATTR_LSB  2 /* 3 bits, stage 2 with FWB: 1 Device-nGnRE, 5 Normal NC, 6 Normal WB */
#define RMI_DESC_S2AP_LSB     6 /* 2 bits: 1 read, 3 read and write */

/* ---- device assignment, 1.1-alp17 ---- */

#define RMI_PDEV_AUX_MAX 32
#define RMI_COMM_BUFFER_MAX 4096u

/* RmiPdevParams. */
enum {
    RMI_PDEV_FLAGS = 0x000,
    RMI_PDEV_ID = 0x008,
    RMI_PDEV_SEGMENT = 0x010,    /* u8 */
    RMI_PDEV_ECAM = 0x018,
    RMI_PDEV_ROOT_ID = 0x020,    /* u16 */
    RMI_PDEV_CERT_ID = 0x028,
    RMI_PDEV_RID_BASE = 0x030,   /* u16 */
    RMI_PDEV_RID_TOP = 0x038,    /* u16 */
    RMI_PDEV_HASH_ALGO = 0x040,  /* u8, RmiHash */
    RMI_PDEV_NUM_AUX = 0x048,
    RMI_PDEV_IDE_SID = 0x050,
    RMI_PDEV_NCOH_NUM_ADDR = 0x058,
    RMI_PDEV_COH_NUM_ADDR = 0x060,
    RMI_PDEV_AUX = 0x100,        /* u64[32] */
    RMI_PDEV_NCOH_ADDR = 0x200,  /* { base, top }[16] */
    RMI_PDEV_COH_ADDR = 0x300,   /* { base, top }[4] */
};
#define RMI_PDEV_FLAG_SPDM      (1ull << 0)
#define RMI_PDEV_FLAG_NCOH_IDE  (1ull << 1)
#define RMI_PDEV_FLAG_NCOH_ADDR (1ull << 2)
#define RMI_PDEV_FLAG_COH_IDE   (1ull << 3)
#define RMI_PDEV_FLAG_COH_ADDR  (1ull << 4)
#define RMI_PDEV_FLAG_P2P       (1ull << 5)
#define RMI_PDEV_FLAG_TRUST     (1ull << 6)
#define RMI_PDEV_NCOH_MAX 16
#define RMI_PDEV_COH_MAX  4

typedef enum RmiPdevState {
    RMI_PDEV_NEW = 0, RMI_PDEV_NEEDS_KEY, RMI_PDEV_HAS_KEY, RMI_PDEV_READY, RMI_PDEV_IDE_RESETTING,
    RMI_PDEV_COMMUNICATING, RMI_PDEV_STOPPING, RMI_PDEV_STOPPED, RMI_PDEV_ERROR
} RmiPdevState;

/* RmiVdevParams. */
enum {
    RMI_VDEV_FLAGS = 0x000,
    RMI_VDEV_ID = 0x008,
    RMI_VDEV_TDI_ID = 0x010,
    RMI_VDEV_NUM_AUX = 0x018,
    RMI_VDEV_AUX = 0x100,
};

typedef enum RmiVdevState {
    RMI_VDEV_NEW = 0, RMI_VDEV_UNLOCKED, RMI_VDEV_LOCKED, RMI_VDEV_STARTED, RMI_VDEV_ERROR
} RmiVdevState;

/* RmiPublicKeyParams. */
enum {
    RMI_KEY_KEY = 0x000,
    RMI_KEY_METADATA = 0x400,
    RMI_KEY_LEN = 0x800,
    RMI_KEY_METADATA_LEN = 0x808,
    RMI_KEY_ALGO = 0x810, /* u8, RmiKeyAlgo */
};
#define RMI_KEY_MAX 1024

typedef enum RmiKeyAlgo { RMI_KEY_RSASSA_3072 = 0, RMI_KEY_ECDSA_P256 = 1, RMI_KEY_ECDSA_P384 = 2 } RmiKeyAlgo;

/* RmiDevCommData: RmiDevCommEnter at 0, RmiDevCommExit at 0x800. */
enum {
    RMI_COMM_STATUS = 0x000,   /* u8, RmiCommStatus */
    RMI_COMM_REQ_ADDR = 0x008,
    RMI_COMM_RESP_ADDR = 0x010,
    RMI_COMM_RESP_LEN = 0x018,

    RMI_COMM_EXIT_FLAGS = 0x800,
    RMI_COMM_CACHE_REQ_OFFSET = 0x808,
    RMI_COMM_CACHE_REQ_LEN = 0x810,
    RMI_COMM_CACHE_RSP_OFFSET = 0x818,
    RMI_COMM_CACHE_RSP_LEN = 0x820,
    RMI_COMM_CACHE_OBJ_ID = 0x828, /* u8, RmiCommObject */
    RMI_COMM_PROTOCOL = 0x830,     /* u8, RmiCommProtocol */
    RMI_COMM_REQ_DELAY = 0x838,
    RMI_COMM_REQ_LEN = 0x840,
    RMI_COMM_TIMEOUT = 0x848,
};

typedef enum RmiCommStatus { RMI_COMM_NONE = 0, RMI_COMM_RESPONSE = 1, RMI_COMM_ERROR = 2 } RmiCommStatus;
typedef enum RmiCommObject {
    RMI_OBJECT_VCA = 0, RMI_OBJECT_CERTIFICATE = 1, RMI_OBJECT_MEASUREMENTS = 2, RMI_OBJECT_INTERFACE_REPORT = 3
} RmiCommObject;
typedef enum RmiCommProtocol { RMI_PROTOCOL_SPDM = 0, RMI_PROTOCOL_SECURE_SPDM = 1 } RmiCommProtocol;

#define RMI_COMM_CACHE_REQ (1ull << 0)
#define RMI_COMM_CACHE_RSP (1ull << 1)
#define RMI_COMM_SEND      (1ull << 2)
#define RMI_COMM_WAIT      (1ull << 3)
#define RMI_COMM_RSP_RESET (1ull << 4)
#define RMI_COMM_MULTI     (1ull << 5)

/* RmiVdevMeasureParams (the layout of the kernels: indices before the nonce). */
enum {
    RMI_MEASURE_FLAGS = 0x000,
    RMI_MEASURE_INDICES = 0x100, /* 32 bytes, one bit for each index; bit 254 alone: all there are */
    RMI_MEASURE_NONCE = 0x200,   /* 32 bytes */
};
#define RMI_MEASURE_SIGNED (1ull << 0)
#define RMI_MEASURE_RAW    (1ull << 1)
#define RMI_MEASURE_EXCHANGE (1ull << 2) /* requests are kept beside the responses */

/* ---- device assignment, 1.1-alp12: what is otherwise ---- */

enum {
    RMI_FID_RTT_DEV_MEM_VALIDATE = 0x163, RMI_FID_DEV_MEM_MAP = 0x172, RMI_FID_DEV_MEM_UNMAP = 0x173,
    RMI_FID_PDEV_NOTIFY = 0x17A, RMI_FID_VDEV_STOP = 0x18A,
};

#define RMI_PDEV12_FLAG_IDE (1ull << 1)

enum { RMI_PDEV_EVENT_IDE_KEY_REFRESH = 0 }; /* of PDEV_NOTIFY */

typedef enum RmiVdev12State {
    RMI_VDEV12_READY = 0, RMI_VDEV12_COMMUNICATING, RMI_VDEV12_STOPPING, RMI_VDEV12_STOPPED, RMI_VDEV12_ERROR
} RmiVdev12State;

/* RmiDevCommExit. */
enum { RMI_COMM12_REQ_LEN = 0x838, RMI_COMM12_TIMEOUT = 0x840 };

/* RmiRecExit. */
enum {
    RMI_EXIT12_VDEV = 0xE10,
    RMI_EXIT12_VDEV_ACTION = 0xE18, /* u8, RmiVdevAction */
    RMI_EXIT12_DEV_MEM_BASE = 0xE20,
    RMI_EXIT12_DEV_MEM_TOP = 0xE28,
    RMI_EXIT12_DEV_MEM_PA = 0xE30,
};

/* What the Realm asked a VDEV for, in an exit for communication. */
typedef enum RmiVdevAction {
    RMI_VDEV_ACTION_GET_INTERFACE_REPORT = 0, RMI_VDEV_ACTION_GET_MEASUREMENTS, RMI_VDEV_ACTION_LOCK,
    RMI_VDEV_ACTION_START, RMI_VDEV_ACTION_STOP
} RmiVdevAction;

#endif
