// SPDX-License-Identifier: GPL-2.0
/*
 * bailey-tsm: the guest side of device assignment to an Arm CCA Realm, for kernels without CONFIG_PCI_TSM.
 *
 * License: GPL-2.0, unlike the rest of the project, because it is a kernel module: it includes the kernel's
 * headers and uses symbols exported to GPL modules only. It is our own code and shares nothing with the
 * emulator but bailey-tsm.h.
 *
 * Each PCI function with TEE-IO gets a sysfs group tsm/: lock, accept and unlock move it through the TDISP
 * states, the other files show its evidence. Two dialects of RSI and RHI are spoken, by what the host offers:
 * 1.1-alp17 ("vdev": the host moves the device, the Realm checks) and 1.1-alp12 ("rdev": the Realm moves it, by
 * RSI). Sources: RMM specification DEN0137 (RSI), RHI specification DEN0148, PCIe TDISP 1.0 "Device interface
 * report". Left out: functions that come later (hot plug), P2P streams, auxiliary planes.
 */
#define pr_fmt(fmt) "bailey-tsm: " fmt

#include <linux/delay.h>
#include <linux/dma-map-ops.h>
#include <linux/hex.h>
#include <linux/iommu-dma.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/random.h>
#include <linux/set_memory.h>
#include <linux/uaccess.h>
#include <asm/rsi.h>
#include <crypto/sha2.h>

#include "bailey-tsm.h"

#define OBJECT_MAX    0x10000                /* no object of a device comes near this */
#define SHARED_ORDER  2                      /* pages the host writes objects to */
#define SHARED_LEN    (PAGE_SIZE << SHARED_ORDER)
#define MAX_RANGES    16
#define MAX_FUNCTIONS 32

/* RSI device commands, DEN0137 1.1; SMC64 numbers. */
#define RSI_FEATURES               0xc4000191
#define RSI_VDEV_DMA_ENABLE        0xc400019c
#define RSI_VDEV_GET_INFO          0xc400019d
#define RSI_VDEV_VALIDATE_MAPPING  0xc400019f
#define RSI_VDEV_DMA_DISABLE       0xc40001a4
#define RSI_HOST_CALL              0xc4000199

/* The same of 1.1-alp12. */
#define RSI_RDEV_GET_INSTANCE_ID      0xc400019c
#define RSI_RDEV_CONTINUE             0xc40001a4
#define RSI_RDEV_GET_INFO             0xc40001a5
#define RSI_RDEV_GET_INTERFACE_REPORT 0xc40001a6
#define RSI_RDEV_GET_MEASUREMENTS     0xc40001a7
#define RSI_RDEV_GET_STATE            0xc40001a8
#define RSI_RDEV_LOCK                 0xc40001a9
#define RSI_RDEV_START                0xc40001aa
#define RSI_RDEV_STOP                 0xc40001ab
#define RSI_RDEV_VALIDATE_MAPPING     0xc40001ac
#define RSI_ERROR_INCOMPLETE          3
#define RDEV_LOCKED                   2
#define RDEV_STARTED                  4
#define RDEV_STARTED_BUSY             5
#define TDISP_VERSION                 0x10

/* RHI calls, DEN0148, in the kernel's numbering. */
#define RHI_DA_VERSION                 0xc500004a
#define RHI_DA_FEATURES                0xc500004b
#define RHI_DA_OBJECT_SIZE             0xc500004c
#define RHI_DA_OBJECT_READ             0xc500004d
#define RHI_DA_VDEV_CONTINUE           0xc5000051
#define RHI_DA_GET_INTERFACE_REPORT    0xc5000052
#define RHI_DA_GET_MEASUREMENTS        0xc5000053
#define RHI_DA_VDEV_SET_TDI_STATE      0xc5000054
#define RHI_DA_VDEV_ABORT              0xc5000056
#define RHI_DA_NEEDED                  (BIT(0) | BIT(1) | BIT(3) | BIT(4) | BIT(5))

/* The same of 1.1-alp12: of the first public series. */
#define RHI12_DA_FEATURES              0xc500004d
#define RHI12_DA_OBJECT_SIZE           0xc500004e
#define RHI12_DA_OBJECT_READ           0xc500004f
#define RHI12_DA_VDEV_SET_TDI_STATE    0xc5000052
#define RHI12_DA_NEEDED                (BIT(0) | BIT(1))

enum { RHI_SUCCESS = 0, RHI_INCOMPLETE = 1, RHI_BUSY = 9 };
enum { TDI_UNLOCKED = 0, TDI_LOCKED = 1, TDI_RUN = 2 };
enum { VDEV_UNLOCKED = 0, VDEV_LOCKED = 1, VDEV_STARTED = 2, VDEV_ERROR = 3 };
enum object_id { OBJ_CERTIFICATE = 1, OBJ_MEASUREMENTS = 2, OBJ_REPORT = 3, OBJ_VCA = 4, OBJ_END };

/* DEN0137 "RsiHostCall type". */
struct rsi_host_call {
    u16 imm;
    u8  pad[6];
    u64 gprs[31];
};
static_assert(sizeof(struct rsi_host_call) == 256);

/* DEN0137 1.1-alp17 "RsiVdevInfo type". */
struct vdev_info {
    u64 flags;
    u64 cert_id;
    u8  hash;                                /* 0 SHA-256, 1 SHA-512 */
    u8  pad0[7];
    u64 lock_nonce, meas_nonce, report_nonce;
    u64 tdisp_version;
    u8  state;
    u8  pad1[7];
    u8  vca_digest[64], cert_digest[64], pubkey_digest[64], meas_digest[64], report_digest[64];
    u8  pad2[128];
};
static_assert(sizeof(struct vdev_info) == 512);
static_assert(offsetof(struct vdev_info, report_digest) == 0x140);

/* DEN0137 1.1-alp12 "RsiDevInfo type". */
struct rdev_info {
    u64 flags, attest_type, cert_id;
    u8  hash;
    u8  pad0[39];
    u8  cert_digest[64], meas_digest[64], report_digest[64];
    u8  pad1[256];
};
static_assert(sizeof(struct rdev_info) == 512);
static_assert(offsetof(struct rdev_info, report_digest) == 0xc0);

/* Measurement parameters, one page: read by the host, or with 1.1-alp12 by the RMM. */
struct measure_params {
    u64 flags;                               /* bit 0: signed, 2: whole exchanges; 1.1-alp12: bit 0 all, 1 signed */
    u8  pad0[0xf8];
    u8  indices[32];                         /* bit 254: all there are */
    u8  pad1[0xe0];
    u8  nonce[32];
};
static_assert(offsetof(struct measure_params, nonce) == 0x200);

struct object {
    u8    *data;
    size_t len;
};

/* TDISP 1.0 "Device interface report", one memory range. */
struct report_range {
    u64 start, len;                          /* bytes */
    u16 attributes;
    u16 bar;
};
enum { RANGE_MSIX_TABLE = BIT(0), RANGE_MSIX_PBA = BIT(1), RANGE_NON_TEE = BIT(2) };

enum state { UNLOCKED, LOCKED, RUN, ACCEPTED };
static const char *const state_names[] = { "unlocked", "locked", "run", "accepted" };

/* A function we look after: a TEE device interface. */
struct tdi {
    struct pci_dev       *pdev;
    struct dma_map_ops    ops;               /* private_ops: where they are tells whose they are */
    struct mutex          lock;              /* state, buffers; taken inside device_lock */
    enum state            state;
    bool                  hold;              /* stop accept before, and unlock after, the DMA switch */
    bool                  dma_enabled;       /* the Realm stream is valid */
    bool                  nonce_given;
    bool                  unsure;            /* the host did not confirm the last unlock */
    u64                   instance;          /* of the VDEV, 1.1-alp12 */
    u64                   vdev_id;
    struct rsi_host_call *call;              /* private page: the RMM reads it */
    void                 *shared;            /* shared pages: the host reads and writes them */
    struct vdev_info     *info;
    u8                    nonce[32];
    struct object         objects[OBJ_END];
    struct report_range   ranges[MAX_RANGES];
    unsigned int          n_ranges, n_validated;
    void                 *test_private, *test_shared;
    atomic64_t            maps, unmaps, map_bytes, allocs, frees;
};

/* All are found when the module is loaded, and stay until it goes. */
static struct tdi  *tdis[MAX_FUNCTIONS];
static unsigned int n_tdis;

static bool rdev;                            /* the dialect is 1.1-alp12 */
static u64  shared_bit;                      /* the IPA bit that tells shared from private */

#define tdi_err(t, fmt, ...) pci_err((t)->pdev, pr_fmt(fmt), ##__VA_ARGS__)

static char        *bdf[MAX_FUNCTIONS];
static unsigned int n_bdf;
module_param_array(bdf, charp, &n_bdf, 0444);
MODULE_PARM_DESC(bdf, "PCI functions, as 0000:01:00.0,0000:02:00.0; default: all with TEE-IO");

static unsigned int patience_ms = 5000;
module_param(patience_ms, uint, 0644);
MODULE_PARM_DESC(patience_ms, "how long the host may take for one step; default 5000");

#define POLL_MS 4

/* Waits a little before the host is asked once more. Nonzero: it has had its time. */
static int wait_for_host(const struct tdi *t, const char *what, unsigned long deadline)
{
    if (fatal_signal_pending(current))
        return -EINTR;
    if (time_after(jiffies, deadline)) {
        tdi_err(t, "%s: the host did not finish within %u ms\n", what, patience_ms);
        return -ETIMEDOUT;
    }
    msleep(POLL_MS);
    return 0;
}

static unsigned long host_deadline(void)
{
    return jiffies + msecs_to_jiffies(patience_ms);
}

/* ---- RSI and RHI ---- */

static u64 rsi(struct arm_smccc_1_2_regs *regs)
{
    arm_smccc_1_2_smc(regs, regs);
    return regs->a0;
}

/* Calls the host through the RMM. Arguments and results are in call->gprs. */
static int host_call(struct rsi_host_call *call, u16 imm)
{
    struct arm_smccc_1_2_regs regs = { .a0 = RSI_HOST_CALL, .a1 = virt_to_phys(call) };

    call->imm = imm;
    if (rsi(&regs) != RSI_SUCCESS) {
        pr_err("RSI_HOST_CALL: error %lu\n", regs.a0);
        return -EIO;
    }
    return 0;
}

/* One RHI call; returns its status, or negative when it could not be made. */
static long rhi(struct rsi_host_call *call, u64 fid, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    u64 *g = call->gprs;
    int err;

    memset(call, 0, sizeof(*call));
    g[0] = fid;
    g[1] = a1;
    g[2] = a2;
    g[3] = a3;
    g[4] = a4;
    g[5] = a5;
    err = host_call(call, 0);
    return err ? err : (long)(g[0] & INT_MAX);
}

static int rhi_error(const struct tdi *t, const char *what, long status)
{
    static const char *const names[] = {
        "success", "incomplete",     "data not available", "invalid vdev", "invalid object", "input",
        "device",  "invalid offset", "access failed",      "busy",         "late abort",     "unsupported"};

    if (status == RHI_SUCCESS)
        return 0;
    if (status < 0)
        return status;
    tdi_err(t, "%s: the host answers %ld (%s)\n", what, status,
           status < ARRAY_SIZE(names) ? names[status] : "unknown");
    return -EIO;
}

/* A call the host may need several turns for: it says INCOMPLETE and gives a cookie for VDEV_CONTINUE, or BUSY. One
 * that does not end in time is aborted; whatever the host says to that, nobody knows how far it got. */
static int rhi_complete(struct tdi *t, const char *what, u64 fid, u64 arg)
{
    unsigned long deadline = host_deadline();
    long status = rhi(t->call, fid, t->vdev_id, arg, 0, 0, 0);
    u64 cookie;
    int err;

    while (status == RHI_INCOMPLETE || status == RHI_BUSY) {
        cookie = t->call->gprs[1];
        err = wait_for_host(t, what, deadline);
        if (err) {
            if (status == RHI_INCOMPLETE)
                rhi(t->call, RHI_DA_VDEV_ABORT, t->vdev_id, 0, 0, 0, 0);
            return err;
        }
        status = status == RHI_BUSY ? rhi(t->call, fid, t->vdev_id, arg, 0, 0, 0)
                                    : rhi(t->call, RHI_DA_VDEV_CONTINUE, t->vdev_id, cookie, 0, 0, 0);
    }
    return rhi_error(t, what, status);
}

/* The address by which the host knows a shared page: in the unprotected half. */
static u64 shared_ipa(const void *p)
{
    return virt_to_phys(p) | shared_bit;
}

static void object_free(struct object *o)
{
    kvfree(o->data);
    o->data = NULL;
    o->len = 0;
}

/* The calls about objects have numbers of their own for their statuses in 1.1-alp12. */
static long object_call(struct tdi *t, u64 fid, u64 fid12, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    static const u8 statuses[] = { 5, 0, 3, 4, 2, 7, 8 }; /* 0 is none of them */
    long status = rhi(t->call, rdev ? fid12 : fid, a1, a2, a3, a4, a5);

    return rdev && status >= 0 && status < ARRAY_SIZE(statuses) ? statuses[status] : status;
}

static int object_read(struct tdi *t, enum object_id id)
{
    struct object *o = &t->objects[id];
    size_t len, done, n;
    long status;

    object_free(o);
    status = object_call(t, RHI_DA_OBJECT_SIZE, RHI12_DA_OBJECT_SIZE, t->vdev_id, id, 0, 0, 0);
    if (status)
        return rhi_error(t, "OBJECT_SIZE", status);
    len = t->call->gprs[1];
    if (len == 0 || len > OBJECT_MAX) {
        tdi_err(t, "object %d: the host says it has %zu bytes\n", id, len);
        return -EPROTO;
    }
    o->data = kvmalloc(len, GFP_KERNEL);
    if (!o->data)
        return -ENOMEM;
    for (done = 0; done < len; done += n) {
        status = object_call(t, RHI_DA_OBJECT_READ, RHI12_DA_OBJECT_READ, t->vdev_id, id, done,
                             min(len - done, SHARED_LEN), shared_ipa(t->shared));
        if (status)
            return rhi_error(t, "OBJECT_READ", status);
        n = t->call->gprs[1];
        if (n == 0 || n > min(len - done, SHARED_LEN))
            return -EPROTO;
        memcpy(o->data + done, t->shared, n); /* checked after this copy, where the host cannot reach it */
    }
    o->len = len;
    return 0;
}

/* ---- 1.1-alp12: the Realm moves the device ---- */

/* One RSI call about our VDEV; what it gives is in regs->a1. */
static int rdev_call(struct tdi *t, const char *what, u64 fid, u64 a3, struct arm_smccc_1_2_regs *regs)
{
    *regs = (struct arm_smccc_1_2_regs){ .a0 = fid, .a1 = t->vdev_id, .a2 = t->instance, .a3 = a3 };
    if (rsi(regs) != RSI_SUCCESS) {
        tdi_err(t, "%s: error %lu\n", what, regs->a0);
        return -EIO;
    }
    return 0;
}

/* A call that takes a conversation with the device: the host carries the messages in as many turns as it likes. */
static int rdev_complete(struct tdi *t, const char *what, u64 fid, u64 a3)
{
    struct arm_smccc_1_2_regs regs;
    unsigned long deadline = host_deadline();
    int err = rdev_call(t, what, fid, a3, &regs);

    if (err)
        return err;
    for (;;) {
        regs = (struct arm_smccc_1_2_regs){ .a0 = RSI_RDEV_CONTINUE, .a1 = t->vdev_id, .a2 = t->instance };
        if (rsi(&regs) != RSI_ERROR_INCOMPLETE)
            break;
        err = wait_for_host(t, what, deadline);
        if (err)
            return err;
    }
    if (regs.a0 != RSI_SUCCESS) {
        tdi_err(t, "%s: the device did not do it: error %lu\n", what, regs.a0);
        return -EIO;
    }
    return 0;
}

static int rdev_lock(struct tdi *t)
{
    struct arm_smccc_1_2_regs regs;
    int err;

    t->instance = 0;
    err = rdev_call(t, "RSI_RDEV_GET_INSTANCE_ID", RSI_RDEV_GET_INSTANCE_ID, 0, &regs);
    if (err)
        return err;
    t->instance = regs.a1;
    return rdev_complete(t, "RSI_RDEV_LOCK", RSI_RDEV_LOCK, 0);
}

/* To the structure of the other dialect: it has all of this one and more, which stays zero. */
static int read_rdev_info(struct tdi *t)
{
    struct rdev_info *r = (void *)get_zeroed_page(GFP_KERNEL);
    struct arm_smccc_1_2_regs regs;
    int err = -ENOMEM;

    if (!r)
        return err;
    err = rdev_call(t, "RSI_RDEV_GET_INFO", RSI_RDEV_GET_INFO, virt_to_phys(r), &regs);
    if (!err) {
        memset(t->info, 0, sizeof(*t->info));
        t->info->cert_id = r->cert_id;
        t->info->hash = r->hash;
        t->info->tdisp_version = TDISP_VERSION;
        memcpy(t->info->cert_digest, r->cert_digest, sizeof(r->cert_digest));
        memcpy(t->info->meas_digest, r->meas_digest, sizeof(r->meas_digest));
        memcpy(t->info->report_digest, r->report_digest, sizeof(r->report_digest));
        err = rdev_call(t, "RSI_RDEV_GET_STATE", RSI_RDEV_GET_STATE, 0, &regs);
        t->info->state = !err && regs.a1 == RDEV_LOCKED ? VDEV_LOCKED : VDEV_ERROR;
    }
    free_page((unsigned long)r);
    return err;
}

static int set_tdi_state(struct tdi *t, const char *what, u64 state)
{
    if (rdev)
        return rhi_complete(t, what, RHI12_DA_VDEV_SET_TDI_STATE, state);
    return rhi_complete(t, what, RHI_DA_VDEV_SET_TDI_STATE, state);
}

static int read_info(struct tdi *t)
{
    struct arm_smccc_1_2_regs regs = { .a0 = RSI_VDEV_GET_INFO, .a1 = t->vdev_id, .a2 = virt_to_phys(t->info) };

    if (rdev)
        return read_rdev_info(t);
    if (rsi(&regs) != RSI_SUCCESS) {
        tdi_err(t, "RSI_VDEV_GET_INFO: error %lu\n", regs.a0);
        return -EIO;
    }
    return 0;
}

/* The objects came by way of the host; the digests by way of the RMM, which saw the device's own bytes. */
static int check_digest(struct tdi *t, const char *name, enum object_id id, const u8 expected[64])
{
    const struct object *o = &t->objects[id];
    u8 digest[64] = { 0 };

    if (t->info->hash == 0) {
        sha256(o->data, o->len, digest);
    } else if (t->info->hash == 1) {
        sha512(o->data, o->len, digest);
    } else {
        tdi_err(t, "the RMM names hash algorithm %u, which is not known\n", t->info->hash);
        return -EPROTO;
    }
    if (memcmp(digest, expected, sizeof(digest))) {
        tdi_err(t, "the host's %s is not what the device sent: digests differ\n", name);
        return -EBADMSG;
    }
    return 0;
}

/* ---- lock ---- */

static int request_report(struct tdi *t)
{
    if (rdev)
        return rdev_complete(t, "RSI_RDEV_GET_INTERFACE_REPORT", RSI_RDEV_GET_INTERFACE_REPORT, TDISP_VERSION);
    return rhi_complete(t, "GET_INTERFACE_REPORT", RHI_DA_GET_INTERFACE_REPORT, 0);
}

static int request_measurements(struct tdi *t)
{
    struct measure_params *p = rdev ? (void *)t->call : t->shared;  /* both a page */

    if (!t->nonce_given)
        get_random_bytes(t->nonce, sizeof(t->nonce));
    t->nonce_given = false;                           /* a nonce serves once */
    memset(p, 0, PAGE_SIZE);
    p->flags = rdev ? BIT(0) | BIT(1) : BIT(0) | BIT(2);
    p->indices[31] = rdev ? 0 : 0x40;
    memcpy(p->nonce, t->nonce, sizeof(p->nonce));
    if (rdev)
        return rdev_complete(t, "RSI_RDEV_GET_MEASUREMENTS", RSI_RDEV_GET_MEASUREMENTS, virt_to_phys(p));
    return rhi_complete(t, "GET_MEASUREMENTS", RHI_DA_GET_MEASUREMENTS, shared_ipa(p));
}

static int read_evidence(struct tdi *t)
{
    enum object_id id;
    int err;

    err = request_report(t);
    if (!err)
        err = request_measurements(t);
    for (id = OBJ_CERTIFICATE; !err && id < OBJ_END; id++)
        err = object_read(t, id);
    if (!err)
        err = read_info(t);
    if (!err && t->info->state != VDEV_LOCKED) {
        tdi_err(t, "the RMM says state %u after the lock\n", t->info->state);
        err = -EPROTO;
    }
    return err;
}

static int check_digests(struct tdi *t)
{
    int err = check_digest(t, "certificate chain", OBJ_CERTIFICATE, t->info->cert_digest);

    if (!err)
        err = check_digest(t, "measurements", OBJ_MEASUREMENTS, t->info->meas_digest);
    if (!err)
        err = check_digest(t, "interface report", OBJ_REPORT, t->info->report_digest);
    if (!err && !rdev)                             /* 1.1-alp12 does not tell this one */
        err = check_digest(t, "VCA", OBJ_VCA, t->info->vca_digest);
    return err;
}

static void unlock(struct tdi *t)
{
    t->unsure = set_tdi_state(t, "SET_TDI_STATE(UNLOCKED)", TDI_UNLOCKED) != 0;
}

static int do_lock(struct tdi *t)
{
    int err;

    if (t->state != UNLOCKED)
        return -EINVAL;
    if (!try_module_get(THIS_MODULE))
        return -ENODEV;
    if (t->unsure)
        unlock(t);
    err = set_tdi_state(t, "SET_TDI_STATE(LOCKED)", TDI_LOCKED);
    if (!err && rdev)
        err = rdev_lock(t);
    if (!err)
        err = read_evidence(t);
    if (!err)
        err = check_digests(t);
    if (err) { /* the host may have locked it and said otherwise */
        unlock(t);
        module_put(THIS_MODULE);
        return err;
    }
    t->state = LOCKED;
    pci_info(t->pdev, "bailey-tsm: locked\n");
    return 0;
}

/* ---- accept ---- */

static u64 get_le(const u8 *p, unsigned int n)
{
    u64 v = 0;

    while (n--)
        v = v << 8 | p[n];
    return v;
}

/* A range must lie inside the BAR it names, and follow the one before it. */
static int check_range(struct tdi *t, const struct report_range *r, u64 previous_end)
{
    const struct resource *bar;

    if (r->bar >= PCI_STD_NUM_BARS) {
        tdi_err(t, "interface report: range of BAR %u\n", r->bar);
        return -EBADMSG;
    }
    bar = &t->pdev->resource[r->bar];
    if (!(bar->flags & IORESOURCE_MEM) || r->len == 0 || r->start < bar->start ||
        r->len > resource_size(bar) || r->start - bar->start > resource_size(bar) - r->len) {
        tdi_err(t, "interface report: %#llx+%#llx is outside BAR %u\n", r->start, r->len, r->bar);
        return -EBADMSG;
    }
    if (r->start < previous_end) {
        tdi_err(t, "interface report: %#llx+%#llx overlaps the range before it\n", r->start, r->len);
        return -EBADMSG;
    }
    return 0;
}

static int parse_report(struct tdi *t)
{
    const struct object *o = &t->objects[OBJ_REPORT];
    u64 n, i, end[PCI_STD_NUM_BARS] = { 0 };
    const u8 *p;
    int err;

    t->n_ranges = 0;
    if (o->len < 0x10)
        return -EBADMSG;
    n = get_le(o->data + 0xc, 4);
    if (n > MAX_RANGES || o->len < 0x10 + n * 16 + 4)
        return -EBADMSG;
    for (i = 0, p = o->data + 0x10; i < n; i++, p += 16) {
        struct report_range *r = &t->ranges[i];
        u64 page = get_le(p, 8);

        if (page >> 52)
            return -EBADMSG;
        *r = (struct report_range){ .start = page << 12, .len = get_le(p + 8, 4) << 12,
                             .attributes = get_le(p + 12, 2), .bar = get_le(p + 14, 2) };
        err = check_range(t, r, r->bar < PCI_STD_NUM_BARS ? end[r->bar] : 0);
        if (err)
            return err;
        end[r->bar] = r->start + r->len;
    }
    t->n_ranges = n;
    return 0;
}

/* Makes the IPAs of one TEE range reach the device's pages and nothing else. The host may do it in pieces. */
static int validate_range(struct tdi *t, const struct report_range *r)
{
    u64 base = r->start, top = r->start + r->len;

    while (base < top) {
        struct arm_smccc_1_2_regs regs = {
            .a0 = RSI_VDEV_VALIDATE_MAPPING, .a1 = t->vdev_id, .a2 = base, .a3 = top, .a4 = base, .a5 = 0,
            .a6 = t->info->lock_nonce, .a7 = t->info->meas_nonce, .a8 = t->info->report_nonce,
        };

        if (rdev)
            regs = (struct arm_smccc_1_2_regs){ .a0 = RSI_RDEV_VALIDATE_MAPPING, .a1 = t->vdev_id,
                                                .a2 = t->instance, .a3 = base, .a4 = top, .a5 = base };
        if (rsi(&regs) != RSI_SUCCESS) {
            tdi_err(t, "VALIDATE_MAPPING %#llx-%#llx: error %lu\n", base, top, regs.a0);
            return -EIO;
        }
        if (regs.a2 != RSI_ACCEPT || regs.a1 <= base || regs.a1 > top) {
            tdi_err(t, "the host did not map %#llx-%#llx\n", base, top);
            return -EIO;
        }
        base = regs.a1;
        cond_resched();
    }
    return 0;
}

static bool range_is_tee(const struct report_range *r)
{
    return !(r->attributes & RANGE_NON_TEE);
}

static void release_ranges(struct tdi *t)
{
    while (t->n_validated > 0) {
        const struct report_range *r = &t->ranges[--t->n_validated];

        if (range_is_tee(r) && rsi_set_memory_range_shared(r->start, r->start + r->len))
            tdi_err(t, "cannot give back %#llx+%#llx\n", r->start, r->len);
    }
}

static int validate_ranges(struct tdi *t)
{
    int err = parse_report(t);

    for (t->n_validated = 0; !err && t->n_validated < t->n_ranges; t->n_validated++) {
        const struct report_range *r = &t->ranges[t->n_validated];

        if (range_is_tee(r))
            err = validate_range(t, r);
        if (err) {
            t->n_validated++;                         /* part of it may be done: give back all of it */
            break;
        }
    }
    if (err)
        release_ranges(t);
    return err;
}

/* In 1.1-alp12 the DMA is on from START to STOP. */
static int start_device(struct tdi *t)
{
    int err;

    if (!rdev)
        return set_tdi_state(t, "SET_TDI_STATE(RUN)", TDI_RUN);
    err = rdev_complete(t, "RSI_RDEV_START", RSI_RDEV_START, 0);
    t->dma_enabled = !err;
    return err;
}

static int dma_enable(struct tdi *t)
{
    struct arm_smccc_1_2_regs regs = {
        .a0 = RSI_VDEV_DMA_ENABLE, .a1 = t->vdev_id, .a2 = 0, .a3 = 0,
        .a4 = t->info->lock_nonce, .a5 = t->info->meas_nonce, .a6 = t->info->report_nonce,
    };

    if (rdev)
        return 0;
    if (rsi(&regs) != RSI_SUCCESS) {
        tdi_err(t, "RSI_VDEV_DMA_ENABLE: error %lu\n", regs.a0);
        return -EIO;
    }
    t->dma_enabled = true;
    return 0;
}

/* A device that fails has no DMA either, nor has one that is not ours any more; one that still runs has it. */
static int rdev_stop(struct tdi *t)
{
    struct arm_smccc_1_2_regs regs;

    if (rdev_complete(t, "RSI_RDEV_STOP", RSI_RDEV_STOP, 0) &&
        !rdev_call(t, "RSI_RDEV_GET_STATE", RSI_RDEV_GET_STATE, 0, &regs) &&
        (regs.a1 == RDEV_STARTED || regs.a1 == RDEV_STARTED_BUSY))
        return -EIO;
    t->dma_enabled = false;
    return 0;
}

static int dma_disable(struct tdi *t)
{
    struct arm_smccc_1_2_regs regs = { .a0 = RSI_VDEV_DMA_DISABLE, .a1 = t->vdev_id };

    if (!t->dma_enabled)
        return 0;
    if (rdev)
        return rdev_stop(t);
    if (rsi(&regs) != RSI_SUCCESS) {
        tdi_err(t, "RSI_VDEV_DMA_DISABLE: error %lu\n", regs.a0);
        return -EIO;
    }
    t->dma_enabled = false;
    return 0;
}

/* ---- private DMA ----
 *
 * In a Realm, the kernel bounces all DMA through shared memory (force_dma_unencrypted()). An accepted
 * function may reach Realm memory, at addresses that are IPAs: the Realm stream's stage 2 is the Realm's
 * own table. So the operations below hand out physical addresses as they are. They must be in place before
 * the driver's probe.
 */

static struct tdi *dma_tdi(struct device *dev)
{
    return container_of(dev->dma_ops, struct tdi, ops);
}

static bool reachable(struct device *dev, u64 mask, phys_addr_t phys, size_t size)
{
    return phys + size - 1 <= min_not_zero(mask, dev->bus_dma_limit);
}

static void *private_alloc(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp,
                           unsigned long attrs)
{
    struct page *page =
        alloc_pages_node(dev_to_node(dev), (gfp & ~__GFP_HIGHMEM) | __GFP_ZERO, get_order(size));

    if (!page)
        return NULL;
    if (!reachable(dev, dev->coherent_dma_mask, page_to_phys(page), size)) {
        __free_pages(page, get_order(size));
        return NULL;
    }
    atomic64_inc(&dma_tdi(dev)->allocs);
    *handle = page_to_phys(page);
    return page_address(page);
}

static void private_free(struct device *dev, size_t size, void *vaddr, dma_addr_t handle, unsigned long attrs)
{
    atomic64_inc(&dma_tdi(dev)->frees);
    free_pages((unsigned long)vaddr, get_order(size));
}

static struct page *private_alloc_pages(struct device *dev, size_t size, dma_addr_t *handle,
                                        enum dma_data_direction dir, gfp_t gfp)
{
    void *vaddr = private_alloc(dev, size, handle, gfp, 0);

    return vaddr ? virt_to_page(vaddr) : NULL;
}

static void private_free_pages(struct device *dev, size_t size, struct page *page, dma_addr_t handle,
                               enum dma_data_direction dir)
{
    private_free(dev, size, page_address(page), handle, 0);
}

static dma_addr_t private_map_phys(struct device *dev, phys_addr_t phys, size_t size,
                                   enum dma_data_direction dir, unsigned long attrs)
{
    if ((attrs & DMA_ATTR_MMIO) || !reachable(dev, dev->dma_mask ? *dev->dma_mask : 0, phys, size))
        return DMA_MAPPING_ERROR;
    atomic64_inc(&dma_tdi(dev)->maps);
    atomic64_add(size, &dma_tdi(dev)->map_bytes);
    return phys;
}

static void private_unmap_phys(struct device *dev, dma_addr_t handle, size_t size,
                               enum dma_data_direction dir, unsigned long attrs)
{
    atomic64_inc(&dma_tdi(dev)->unmaps);
}

static void private_unmap_sg(struct device *dev, struct scatterlist *sgl, int nents,
                             enum dma_data_direction dir, unsigned long attrs)
{
    struct scatterlist *sg;
    int i;

    for_each_sg(sgl, sg, nents, i)
        private_unmap_phys(dev, sg_dma_address(sg), sg_dma_len(sg), dir, attrs);
}

static int private_map_sg(struct device *dev, struct scatterlist *sgl, int nents, enum dma_data_direction dir,
                          unsigned long attrs)
{
    struct scatterlist *sg;
    int i;

    for_each_sg(sgl, sg, nents, i) {
        sg_dma_address(sg) = private_map_phys(dev, sg_phys(sg), sg->length, dir, attrs);
        if (sg_dma_address(sg) == DMA_MAPPING_ERROR) {
            private_unmap_sg(dev, sgl, i, dir, attrs);
            return -EIO;
        }
        sg_dma_len(sg) = sg->length;
    }
    return nents;
}

static int private_supported(struct device *dev, u64 mask)
{
    return mask >= DMA_BIT_MASK(32);
}

static u64 private_required_mask(struct device *dev)
{
    return DMA_BIT_MASK(64);
}

static const struct dma_map_ops private_ops = {      /* no sync_*: the core then skips syncs altogether */
    .alloc = private_alloc,
    .free = private_free,
    .alloc_pages_op = private_alloc_pages,
    .free_pages = private_free_pages,
    .map_phys = private_map_phys,
    .unmap_phys = private_unmap_phys,
    .map_sg = private_map_sg,
    .unmap_sg = private_unmap_sg,
    .dma_supported = private_supported,
    .get_required_mask = private_required_mask,
};

/* Anything that already stands between the function and memory would make our addresses wrong. */
static int private_dma_possible(struct device *dev)
{
    const char *why = NULL;

    if (use_dma_iommu(dev))
        why = "the guest has an IOMMU before it";
    else if (dev->dma_range_map)
        why = "its bus translates addresses";
    else if (!dev_is_dma_coherent(dev))
        why = "it is not coherent";
    else if (get_dma_ops(dev))
        why = "it already has DMA operations";
    if (why) {
        dev_err(dev, "bailey-tsm: no private DMA: %s\n", why);
        return -EOPNOTSUPP;
    }
    return 0;
}

static int do_accept(struct tdi *t)
{
    int err;

    if (t->state == LOCKED) {
        err = private_dma_possible(&t->pdev->dev);
        if (!err)
            err = validate_ranges(t);
        if (err)
            return err;
        err = start_device(t);
        if (err) {
            release_ranges(t);
            return err;
        }
        t->state = RUN;
    }
    if (t->state != RUN)
        return -EINVAL;
    if (t->hold)
        return 0;
    err = dma_enable(t);
    if (err)
        return err;
    set_dma_ops(&t->pdev->dev, &t->ops);
    t->state = ACCEPTED;
    pci_info(t->pdev, "bailey-tsm: accepted, DMA is private\n");
    return 0;
}

/* ---- unlock ---- */

/* From where the device has no more access to memory of the Realm, nothing that the host says holds us up: it would
 * only keep the device from us. */
static int do_unlock(struct tdi *t)
{
    int err;

    if (t->state == UNLOCKED)
        return -EINVAL;
    if (t->state == ACCEPTED) {
        if (atomic64_read(&t->maps) != atomic64_read(&t->unmaps))
            pci_warn(t->pdev, "bailey-tsm: %lld DMA mappings are still there\n",
                     atomic64_read(&t->maps) - atomic64_read(&t->unmaps));
        set_dma_ops(&t->pdev->dev, NULL);
        t->state = RUN;
    }
    err = dma_disable(t);
    if (err || t->hold)
        return err;
    release_ranges(t);
    unlock(t);
    t->state = UNLOCKED;
    module_put(THIS_MODULE);
    pci_info(t->pdev, "bailey-tsm: unlocked\n");
    return 0;
}

/* ---- sysfs ---- */

static struct tdi *tdi_of(struct device *dev)
{
    unsigned int i;

    for (i = 0; &tdis[i]->pdev->dev != dev; i++)     /* it has a group tsm/: it is there */
        ;
    return tdis[i];
}

/* Runs one step with the function held still: nothing binds to it meanwhile. */
static ssize_t step(struct device *dev, int (*action)(struct tdi *t), size_t count)
{
    struct tdi *t = tdi_of(dev);
    int err = -EBUSY;

    device_lock(dev);
    mutex_lock(&t->lock);
    if (!dev->driver)
        err = action(t);
    mutex_unlock(&t->lock);
    device_unlock(dev);
    return err ? err : count;
}

static bool says_tsm0_or_1(const char *buf)
{
    return sysfs_streq(buf, "tsm0") || sysfs_streq(buf, "1");
}

static ssize_t lock_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
    return says_tsm0_or_1(buf) ? step(dev, do_lock, count) : -EINVAL;
}
static DEVICE_ATTR_WO(lock);

static ssize_t accept_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
    return sysfs_streq(buf, "1") ? step(dev, do_accept, count) : -EINVAL;
}
static DEVICE_ATTR_WO(accept);

static ssize_t unlock_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
    return says_tsm0_or_1(buf) ? step(dev, do_unlock, count) : -EINVAL;
}
static DEVICE_ATTR_WO(unlock);

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
    return sysfs_emit(buf, "%s\n", state_names[READ_ONCE(tdi_of(dev)->state)]);
}
static DEVICE_ATTR_RO(state);

static ssize_t dialect_show(struct device *dev, struct device_attribute *attr, char *buf)
{
    return sysfs_emit(buf, "%s\n", rdev ? "rdev" : "vdev");
}
static DEVICE_ATTR_RO(dialect);

static ssize_t hold_show(struct device *dev, struct device_attribute *attr, char *buf)
{
    return sysfs_emit(buf, "%d\n", tdi_of(dev)->hold);
}

static ssize_t hold_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
    struct tdi *t = tdi_of(dev);
    int err;

    mutex_lock(&t->lock);
    err = kstrtobool(buf, &t->hold);
    mutex_unlock(&t->lock);
    return err ? err : count;
}
static DEVICE_ATTR_RW(hold);

static ssize_t nonce_show(struct device *dev, struct device_attribute *attr, char *buf)
{
    struct tdi *t = tdi_of(dev);

    return sysfs_emit(buf, "%*phN\n", (int)sizeof(t->nonce), t->nonce);
}

static ssize_t nonce_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
    struct tdi *t = tdi_of(dev);
    u8 nonce[sizeof(t->nonce)];
    ssize_t err = count;

    if (strlen(buf) < 2 * sizeof(nonce) || hex2bin(nonce, buf, sizeof(nonce)))
        return -EINVAL;
    mutex_lock(&t->lock);
    if (t->state == UNLOCKED) {
        memcpy(t->nonce, nonce, sizeof(nonce));
        t->nonce_given = true;
    } else {
        err = -EBUSY;
    }
    mutex_unlock(&t->lock);
    return err;
}
static DEVICE_ATTR_RW(nonce);

static ssize_t dma_show(struct device *dev, struct device_attribute *attr, char *buf)
{
    struct tdi *t = tdi_of(dev);

    return sysfs_emit(buf, "map %lld unmap %lld bytes %lld alloc %lld free %lld\n", atomic64_read(&t->maps),
                      atomic64_read(&t->unmaps), atomic64_read(&t->map_bytes), atomic64_read(&t->allocs),
                      atomic64_read(&t->frees));
}
static DEVICE_ATTR_RO(dma);

static ssize_t object_show(struct file *file, struct kobject *kobj, const struct bin_attribute *attr,
                           char *buf, loff_t off, size_t count)
{
    struct tdi *t = tdi_of(kobj_to_dev(kobj));
    const struct object *o = &t->objects[(uintptr_t)attr->private];
    ssize_t n;

    mutex_lock(&t->lock);
    n = memory_read_from_buffer(buf, count, &off, o->data, o->len);
    mutex_unlock(&t->lock);
    return n;
}

static ssize_t info_read(struct file *file, struct kobject *kobj, const struct bin_attribute *attr, char *buf,
                         loff_t off, size_t count)
{
    struct tdi *t = tdi_of(kobj_to_dev(kobj));
    ssize_t n;

    mutex_lock(&t->lock);
    n = memory_read_from_buffer(buf, count, &off, t->info, sizeof(*t->info));
    mutex_unlock(&t->lock);
    return n;
}

#define OBJECT_ATTR(file, id)                                                                             \
    static const struct bin_attribute bin_attr_##file = {                                                 \
        .attr = { .name = #file, .mode = 0400 }, .private = (void *)(id), .read = object_show,          \
    }
OBJECT_ATTR(certificates, OBJ_CERTIFICATE);
OBJECT_ATTR(measurements, OBJ_MEASUREMENTS);
OBJECT_ATTR(report, OBJ_REPORT);
OBJECT_ATTR(vca, OBJ_VCA);
static const struct bin_attribute bin_attr_info = {
    .attr = { .name = "info", .mode = 0400 }, .size = sizeof(struct vdev_info), .read = info_read,
};

static struct attribute *tsm_attrs[] = {
    &dev_attr_lock.attr, &dev_attr_accept.attr, &dev_attr_unlock.attr, &dev_attr_state.attr,
    &dev_attr_dialect.attr,
    &dev_attr_hold.attr, &dev_attr_nonce.attr, &dev_attr_dma.attr, NULL,
};
static const struct bin_attribute *const tsm_bin_attrs[] = {
    &bin_attr_certificates, &bin_attr_measurements, &bin_attr_report, &bin_attr_vca, &bin_attr_info, NULL,
};
static const struct attribute_group tsm_group = {
    .name = "tsm", .attrs = tsm_attrs, .bin_attrs = tsm_bin_attrs,
};

/* ---- /dev/bailey-tsm, for the guard experiments: an open file is about one function, at first the first ---- */

static int tsm_open(struct inode *inode, struct file *file)
{
    file->private_data = tdis[0];
    return 0;
}

static long tsm_select(struct file *file, const u64 __user *arg)
{
    unsigned int i;
    u64 id;

    if (copy_from_user(&id, arg, sizeof(id)))
        return -EFAULT;
    for (i = 0; i < n_tdis; i++) {
        if (tdis[i]->vdev_id == id) {
            file->private_data = tdis[i];
            return 0;
        }
    }
    return -ENODEV;
}

static long tsm_host_fault(struct tdi *t, struct bailey_host_fault __user *arg)
{
    struct bailey_host_fault f;
    int err;

    if (copy_from_user(&f, arg, sizeof(f)))
        return -EFAULT;
    mutex_lock(&t->lock);
    memset(t->call, 0, sizeof(*t->call));
    t->call->gprs[1] = f.arg;
    memcpy(&t->call->gprs[2], f.name, sizeof(f.name));
    err = host_call(t->call, BAILEY_HOST_CALL_IMM);
    f.result = t->call->gprs[0];
    mutex_unlock(&t->lock);
    if (err)
        return err;
    return copy_to_user(arg, &f, sizeof(f)) ? -EFAULT : 0;
}

static long tsm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
    struct tdi *t = file->private_data;
    struct bailey_tsm_info info = {
        .private_iova = virt_to_phys(t->test_private),
        .shared_iova = shared_ipa(t->test_shared),
        .vdev_id = t->vdev_id,
    };

    switch (cmd) {
    case BAILEY_TSM_INFO:
        return copy_to_user((void __user *)arg, &info, sizeof(info)) ? -EFAULT : 0;
    case BAILEY_TSM_HOST_FAULT:
        return tsm_host_fault(t, (void __user *)arg);
    case BAILEY_TSM_SELECT:
        return tsm_select(file, (void __user *)arg);
    default:
        return -ENOTTY;
    }
}

static int map_memory(struct vm_area_struct *vma, const void *page, bool shared)
{
    pgprot_t prot = shared ? pgprot_decrypted(vma->vm_page_prot) : vma->vm_page_prot;

    return remap_pfn_range(vma, vma->vm_start, virt_to_phys(page) >> PAGE_SHIFT, PAGE_SIZE, prot);
}

static int map_engine(struct tdi *t, struct vm_area_struct *vma, unsigned int page, bool shared)
{
    pgprot_t prot = pgprot_device(vma->vm_page_prot);
    u64 start = pci_resource_start(t->pdev, BAILEY_ENGINE_BAR) + page * PAGE_SIZE;

    if (pci_resource_len(t->pdev, BAILEY_ENGINE_BAR) < 2 * PAGE_SIZE)
        return -ENODEV;                              /* a function without the engine */
    if (!shared && t->state != RUN && t->state != ACCEPTED)
        return -EPERM; /* the page is not there yet; a touch would kill the program */
    return remap_pfn_range(vma, vma->vm_start, start >> PAGE_SHIFT, PAGE_SIZE,
                           shared ? pgprot_decrypted(prot) : prot);
}

static int tsm_mmap(struct file *file, struct vm_area_struct *vma)
{
    struct tdi *t = file->private_data;

    if (vma->vm_end - vma->vm_start != PAGE_SIZE)
        return -EINVAL;
    switch (vma->vm_pgoff << PAGE_SHIFT) {
    case BAILEY_MAP_PRIVATE:
        return map_memory(vma, t->test_private, false);
    case BAILEY_MAP_SHARED:
        return map_memory(vma, t->test_shared, true);
    case BAILEY_MAP_ENGINE:
        return map_engine(t, vma, 0, false);
    case BAILEY_MAP_ENGINE_ALIAS:
        return map_engine(t, vma, 0, true);
    case BAILEY_MAP_ENGINE_OPEN:
        return map_engine(t, vma, 1, true);
    default:
        return -EINVAL;
    }
}

static const struct file_operations tsm_fops = {
    .owner = THIS_MODULE, .open = tsm_open, .unlocked_ioctl = tsm_ioctl, .mmap = tsm_mmap,
};

static struct miscdevice tsm_misc = {
    .minor = MISC_DYNAMIC_MINOR, .name = "bailey-tsm", .mode = 0600, .fops = &tsm_fops,
};

/* ---- load and unload ---- */

static struct pci_dev *find_function(const char *name)
{
    unsigned int domain, bus, dev, fn;

    if (sscanf(name, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) != 4)
        return NULL;
    return pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(dev, fn));
}

static bool has_tee_io(struct pci_dev *pdev)
{
    u32 cap;

    return !pcie_capability_read_dword(pdev, PCI_EXP_DEVCAP, &cap) && (cap & PCI_EXP_DEVCAP_TEE);
}

/* True when the RMM and the host offer what we need; says what is missing. */
static bool platform_has_da(struct rsi_host_call *call)
{
    struct arm_smccc_1_2_regs regs = { .a0 = RSI_FEATURES, .a1 = 0 };

    if (rsi(&regs) != RSI_SUCCESS || !(regs.a1 & BIT(0))) {
        pr_info("this RMM offers no device assignment: nothing to do\n");
        return false;
    }
    if (rhi(call, RHI_DA_VERSION, 0, 0, 0, 0, 0) < 0 || call->gprs[0] >> 16 != 1) {
        rdev = rhi(call, RHI12_DA_FEATURES, 0, 0, 0, 0, 0) >= 0 && call->gprs[0] == RHI12_DA_NEEDED;
        if (!rdev)
            pr_info("the host offers no device assignment: nothing to do\n");
        return rdev;
    }
    if (rhi(call, RHI_DA_FEATURES, 0, 0, 0, 0, 0) < 0 || (call->gprs[0] & RHI_DA_NEEDED) != RHI_DA_NEEDED) {
        pr_info("the host offers too little of device assignment (features %#llx)\n", call->gprs[0]);
        return false;
    }
    return true;
}

static void *shared_alloc(unsigned int order)
{
    unsigned long p = __get_free_pages(GFP_KERNEL | __GFP_ZERO, order);

    if (p && set_memory_decrypted(p, 1 << order)) {
        pr_err("cannot share pages with the host; they are lost\n");
        return NULL;
    }
    return (void *)p;
}

static void shared_free(void *p, unsigned int order)
{
    if (p && !set_memory_encrypted((unsigned long)p, 1 << order))
        free_pages((unsigned long)p, order); /* else it may still be shared: better lost than reused */
}

static int read_shared_bit(void)
{
    struct realm_config *config = (void *)get_zeroed_page(GFP_KERNEL);
    int err = -ENOMEM;

    if (config) {
        err = rsi_get_realm_config(config) ? -EIO : 0;
        shared_bit = BIT_ULL(config->ipa_bits - 1);
        free_page((unsigned long)config);
    }
    return err;
}

/* What is the same for all functions. */
static int look_at_platform(void)
{
    struct rsi_host_call *call = (void *)get_zeroed_page(GFP_KERNEL);
    int err = -ENOMEM;

    if (call) {
        err = platform_has_da(call) ? read_shared_bit() : -ENODEV;
        free_page((unsigned long)call);
    }
    return err;
}

static void free_buffers(struct tdi *t)
{
    enum object_id id;

    for (id = OBJ_CERTIFICATE; id < OBJ_END; id++)
        object_free(&t->objects[id]);
    shared_free(t->shared, SHARED_ORDER);
    shared_free(t->test_shared, 0);
    free_page((unsigned long)t->test_private);
    free_page((unsigned long)t->info);
    free_page((unsigned long)t->call);
}

static int alloc_buffers(struct tdi *t)
{
    t->call = (void *)get_zeroed_page(GFP_KERNEL);
    t->info = (void *)get_zeroed_page(GFP_KERNEL);
    t->test_private = (void *)get_zeroed_page(GFP_KERNEL);
    t->test_shared = shared_alloc(0);
    t->shared = shared_alloc(SHARED_ORDER);
    return t->call && t->info && t->test_private && t->test_shared && t->shared ? 0 : -ENOMEM;
}

static void free_tdi(struct tdi *t)
{
    free_buffers(t);
    pci_dev_put(t->pdev);
    kfree(t);
}

/* Takes over the reference to the function. We keep it enabled and bus master for as long as we are loaded: a driver
 * that goes away would clear Bus Master Enable, and TDISP takes that, in LOCKED or RUN, for an attack and moves to
 * ERROR. */
static int add_function(struct pci_dev *pdev)
{
    struct tdi *t = kzalloc(sizeof(*t), GFP_KERNEL);
    int err;

    if (!t) {
        pci_dev_put(pdev);
        return -ENOMEM;
    }
    t->pdev = pdev;
    t->ops = private_ops;
    t->vdev_id = (u64)pci_domain_nr(pdev->bus) << 16 | pci_dev_id(pdev);
    mutex_init(&t->lock);
    err = alloc_buffers(t);
    if (!err)
        err = pci_enable_device(pdev);
    if (err) {
        tdi_err(t, "cannot take the function: error %d\n", err);
        free_tdi(t);
        return err;
    }
    pci_set_master(pdev);
    tdis[n_tdis++] = t;                              /* before anyone asks tdi_of() */
    err = sysfs_create_group(&pdev->dev.kobj, &tsm_group);
    if (err) {
        n_tdis--;
        pci_disable_device(pdev);
        free_tdi(t);
    }
    return err;
}

static void remove_functions(void)
{
    while (n_tdis > 0) {
        struct tdi *t = tdis[n_tdis - 1];

        sysfs_remove_group(&t->pdev->dev.kobj, &tsm_group);
        n_tdis--;
        pci_disable_device(t->pdev);
        free_tdi(t);
    }
}

static int add_named(void)
{
    struct pci_dev *pdev;
    unsigned int i;
    int err = 0;

    for (i = 0; !err && i < n_bdf; i++) {
        pdev = find_function(bdf[i]);
        if (!pdev)
            pr_info("no PCI function %s\n", bdf[i]);
        err = pdev ? add_function(pdev) : -ENODEV;
    }
    return err;
}

static int add_all(void)
{
    struct pci_dev *pdev = NULL;
    int err = 0;

    while (!err && n_tdis < MAX_FUNCTIONS && (pdev = pci_get_device(PCI_ANY_ID, PCI_ANY_ID, pdev)) != NULL) {
        if (has_tee_io(pdev))
            err = add_function(pci_dev_get(pdev));   /* the loop drops its own reference */
    }
    if (err || n_tdis == MAX_FUNCTIONS)
        pci_dev_put(pdev);
    if (!err && n_tdis == 0)
        pr_info("no PCI function with TEE-IO\n");
    return err ? err : n_tdis == 0 ? -ENODEV : 0;
}

static int __init bailey_tsm_init(void)
{
    unsigned int i;
    int err;

    if (IS_ENABLED(CONFIG_PCI_TSM)) {
        pr_info("this kernel has CONFIG_PCI_TSM, which does this work: stepping aside\n");
        return -EEXIST;
    }
    if (!is_realm_world()) {
        pr_info("not in a Realm: nothing to do\n");
        return -ENODEV;
    }
    err = look_at_platform();
    if (!err)
        err = n_bdf > 0 ? add_named() : add_all();
    if (!err)
        err = misc_register(&tsm_misc);
    if (err) {
        remove_functions();
        return err;
    }
    for (i = 0; i < n_tdis; i++)
        pci_info(tdis[i]->pdev, "bailey-tsm: ready, vdev id %#llx\n", tdis[i]->vdev_id);
    return 0;
}

/* Reached when all are UNLOCKED only: from lock to unlock the module holds a reference to itself. */
static void __exit bailey_tsm_exit(void)
{
    misc_deregister(&tsm_misc);
    remove_functions();
}

module_init(bailey_tsm_init);
module_exit(bailey_tsm_exit);
MODULE_DESCRIPTION("Device assignment to an Arm CCA Realm through RSI and RHI");
MODULE_AUTHOR("The Bailey project");
MODULE_LICENSE("GPL");
