/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What /dev/bailey-tsm offers to the guest's test programs. Everything a user of device assignment needs is
 * in the sysfs group tsm/; this is for the guard experiments only: two pages of memory that a device can be
 * told to reach, the DMA test engine's registers, and a way to ask the emulator's host to misbehave.
 */
#ifndef BAILEY_TSM_H
#define BAILEY_TSM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Offsets for mmap. Each maps 4096 bytes. */
#define BAILEY_MAP_PRIVATE       0x00000   /* the test page in Realm memory */
#define BAILEY_MAP_SHARED        0x01000   /* the test page shared with the host */
#define BAILEY_MAP_ENGINE        0x02000   /* engine registers through the protected half; after accept only */
#define BAILEY_MAP_ENGINE_ALIAS  0x03000   /* the same registers through the shared alias, as before accept */
#define BAILEY_MAP_ENGINE_OPEN   0x04000   /* their mirror in the range that is not TEE memory */

struct bailey_tsm_info {
    __u64 private_iova;                    /* where a device finds the private page: its IPA */
    __u64 shared_iova;                     /* where it finds the shared page: IPA with the shared bit */
    __u64 vdev_id;                         /* PCI domain << 16 | routing ID */
};

/* Sent as RSI_HOST_CALL with imm BAILEY_HOST_CALL_IMM, gprs[1] arg, from gprs[2] on the name of a fault as in
 * -M cca,host-fault=; result in gprs[0], 0 when done. RHI uses imm 0, so nothing else can take it for one of its
 * calls. */
#define BAILEY_HOST_CALL_IMM     0xb417

struct bailey_host_fault {
    char  name[32];
    __u64 arg;
    __u64 result;                          /* out; all ones: the host was not started with this fault */
};

/* An open file is about one function: the first one until BAILEY_TSM_SELECT names another by its VDEV ID. */
#define BAILEY_TSM_SELECT        _IOW('B', 3, __u64)
#define BAILEY_TSM_INFO          _IOR('B', 1, struct bailey_tsm_info)
#define BAILEY_TSM_HOST_FAULT    _IOWR('B', 2, struct bailey_host_fault)

/* The DMA test engine: 64-bit registers, little endian; pages 0 (TEE memory) and 1 of BAR 4. */
#define BAILEY_ENGINE_BAR        4
#define BAILEY_ENGINE_MAGIC      0x31414d4459454c42ull    /* "BLEYDMA1" */
enum { ENGINE_ID = 0x00, ENGINE_ADDR = 0x08, ENGINE_LEN = 0x10, ENGINE_PATTERN = 0x18, ENGINE_CMD = 0x20,
       ENGINE_STATUS = 0x28, ENGINE_RESULT = 0x30, ENGINE_COUNT = 0x38, ENGINE_FLAGS = 0x40 };
enum { ENGINE_CMD_WRITE = 1, ENGINE_CMD_READ = 2 };
enum { ENGINE_IDLE = 0, ENGINE_OK = 1, ENGINE_FAULT = 2, ENGINE_GPF = 3, ENGINE_REFUSED = 4, ENGINE_BAD = 5 };

#endif
