/*
 * The Realm Host Interface: what a Realm asks of its host by RSI_HOST_CALL. Arm DEN0148; function numbers as
 * kernels use them. Arguments come from a Realm that may be hostile. Calls that need the device start a job
 * and keep the REC out until it is over, so none answers RHI_INCOMPLETE and DA_VDEV_CONTINUE is not offered.
 */
#include "host/host_int.h"
#include "log.h"

#define RHI_HOSTCONF_VERSION_1_0 0x10000
#define RHI_DA_VERSION_1_0       0x10000
#define DA_FEATURES                                                                                          \
    (RHI_FEATURE_OBJECT_SIZE | RHI_FEATURE_OBJECT_READ | RHI_FEATURE_GET_MEASUREMENTS |                      \
     RHI_FEATURE_GET_INTERFACE_REPORT | RHI_FEATURE_SET_TDI_STATE | RHI_FEATURE_ABORT)

/* One call: gprs[0] function and result, arguments from gprs[1]. */
typedef struct Call {
    Host     *h;
    HostCpu  *hc;
    uint64_t *gprs;
} Call;

/* ---- objects ---- */

/* The object named by @id, or NULL with the status to answer. */
static const GByteArray *find_object(const Call *c, uint64_t *status)
{
    static const uint8_t objects[] = {
        [RHI_CERTIFICATE] = RMI_OBJECT_CERTIFICATE, [RHI_MEASUREMENTS] = RMI_OBJECT_MEASUREMENTS,
        [RHI_INTERFACE_REPORT] = RMI_OBJECT_INTERFACE_REPORT, [RHI_VCA] = RMI_OBJECT_VCA,
    };
    HostDevice *d = host_device_find(c->h, c->gprs[1]);
    uint64_t    id = c->gprs[2];

    if (d == NULL) {
        *status = RHI_INVALID_VDEV;
        return NULL;
    }
    if (id < RHI_CERTIFICATE || id > RHI_VCA) {
        *status = RHI_INVALID_OBJECT;
        return NULL;
    }
    const GByteArray *o = d->objects[objects[id]];

    *status = o->len != 0 ? RHI_SUCCESS : RHI_DATA_NOT_AVAILABLE;
    return o->len != 0 ? o : NULL;
}

/* vdev, object -> size. */
static uint64_t object_size(const Call *c)
{
    uint64_t          status;
    const GByteArray *o = find_object(c, &status);

    c->gprs[1] = o != NULL ? o->len : 0;
    return status;
}

/* vdev, object, offset, length, address of a shared buffer -> bytes written. */
static uint64_t object_read(const Call *c)
{
    uint64_t          status, offset = c->gprs[3], len = c->gprs[4], ipa = c->gprs[5];
    const GByteArray *o = find_object(c, &status);

    c->gprs[1] = 0;
    if (o == NULL) {
        return status;
    }
    if (offset >= o->len) {
        return RHI_INVALID_OFFSET;
    }
    if (len == 0) {
        return RHI_INPUT;
    }
    len = MIN(len, o->len - offset);
    if (!(ipa & SHARED_BIT) || !host_shared_write(c->h, ipa, o->data + offset, len)) {
        return RHI_ACCESS_FAILED;
    }
    c->gprs[1] = len;
    return RHI_SUCCESS;
}

/* ---- calls that need the device ---- */

/* The device of a call that may start a job, or NULL with the status to answer. @vdev: it must have one, or
 * must not. */
static HostDevice *idle_device(const Call *c, bool vdev, uint64_t *status)
{
    HostDevice *d = host_device_find(c->h, c->gprs[1]);

    *status = d == NULL                          ? RHI_INVALID_VDEV
              : d->job.kind != HOST_JOB_NONE     ? RHI_BUSY
              : d->state != HOST_DEVICE_READY    ? RHI_DEVICE
              : (d->vdev != 0) != vdev           ? RHI_INPUT
                                                 : RHI_SUCCESS;
    return *status == RHI_SUCCESS ? d : NULL;
}

/* The answer follows when the job is over; until then the REC stays out. */
static uint64_t begin(const Call *c, HostDevice *d, HostJobKind kind)
{
    host_device_begin(c->h, d, kind);
    c->hc->device = d;
    c->hc->state = HOST_REC_DEVICE;
    return RHI_INCOMPLETE;
}

static uint64_t get_interface_report(const Call *c)
{
    uint64_t    status;
    HostDevice *d = idle_device(c, true, &status);

    return d != NULL ? begin(c, d, HOST_JOB_REPORT) : status;
}

/* vdev, address of the parameters: flags, indices and nonce have the same places as in RmiVdevMeasureParams.
 * */
static uint64_t get_measurements(const Call *c)
{
    uint64_t    status, ipa = c->gprs[2];
    HostDevice *d = idle_device(c, true, &status);
    uint8_t     page[PAGE_SIZE];

    if (d == NULL) {
        return status;
    }
    if (!is_aligned(ipa, PAGE_SIZE)) {
        return RHI_INPUT;
    }
    if (!(ipa & SHARED_BIT) || !host_shared_read(c->h, ipa, page, sizeof(page))) {
        return RHI_ACCESS_FAILED;
    }
    memory_write(c->h->cfg.memory, d->params, host_attrs, page, sizeof(page));
    return begin(c, d, HOST_JOB_MEASURE);
}

/* vdev, state. UNLOCKED without a VDEV is already so. */
static uint64_t set_tdi_state(const Call *c)
{
    uint64_t    status, state = c->gprs[2];
    HostDevice *d;

    if (state > RHI_TDI_RUN) {
        return RHI_INPUT;
    }
    d = idle_device(c, state != RHI_TDI_LOCKED, &status);
    if (d == NULL) {
        return state == RHI_TDI_UNLOCKED && status == RHI_INPUT ? RHI_SUCCESS : status;
    }
    return begin(c, d,
                 state == RHI_TDI_LOCKED ? HOST_JOB_LOCK
                 : state == RHI_TDI_RUN  ? HOST_JOB_START
                                         : HOST_JOB_UNLOCK);
}

/* vdev. Only another REC can find a job under way; the call that waits for it then answers RHI_DEVICE. */
static uint64_t abort_job(const Call *c)
{
    HostDevice *d = host_device_find(c->h, c->gprs[1]);

    if (d == NULL) {
        return RHI_INVALID_VDEV;
    }
    if (d->job.kind == HOST_JOB_NONE || d->vdev == 0) {
        return RHI_ABORT_COMPLETED;
    }
    d->job.abort = true;
    return RHI_SUCCESS;
}

/* ---- dispatch ---- */

/* Calls about devices; @known is cleared for any other. */
static uint64_t device_call(const Call *c, bool *known)
{
    if (c->h->n_devices == 0) {
        *known = false;
        return 0;
    }
    switch (c->gprs[0]) {
    case RHI_FID(RHI_FID_DA_VERSION): return RHI_DA_VERSION_1_0;
    case RHI_FID(RHI_FID_DA_FEATURES): return DA_FEATURES;
    case RHI_FID(RHI_FID_DA_OBJECT_SIZE): return object_size(c);
    case RHI_FID(RHI_FID_DA_OBJECT_READ): return object_read(c);
    case RHI_FID(RHI_FID_DA_VDEV_GET_INTERFACE_REPORT): return get_interface_report(c);
    case RHI_FID(RHI_FID_DA_VDEV_GET_MEASUREMENTS): return get_measurements(c);
    case RHI_FID(RHI_FID_DA_VDEV_SET_TDI_STATE): return set_tdi_state(c);
    case RHI_FID(RHI_FID_DA_VDEV_ABORT): return abort_job(c);
    default: *known = false; return 0;
    }
}

static uint64_t rhi_call(const Call *c)
{
    bool     known = true;
    uint64_t result;

    switch (c->gprs[0]) {
    case RHI_FID(RHI_FID_HOSTCONF_VERSION): return RHI_HOSTCONF_VERSION_1_0;
    case RHI_FID(RHI_FID_HOSTCONF_FEATURES): return 1;
    case RHI_FID(RHI_FID_HOSTCONF_GET_IPA_CHANGE_ALIGNMENT): return PAGE_SIZE;
    default: break;
    }
    result = device_call(c, &known);
    return known ? result : SMC_UNKNOWN;
}

void host_call(Host *h, HostCpu *hc, uint16_t imm, uint64_t gprs[31])
{
    Call     c = { h, hc, gprs };
    uint64_t fid = gprs[0];

    if (imm == 0 && (fid & ~0xffull) == RHI_FID(0)) {
        h->rhi_counts[fid & 0xff]++;
    }
    LOG(RHI, "call imm 0x%x function 0x%llx args 0x%llx 0x%llx 0x%llx", imm, (unsigned long long)fid,
        (unsigned long long)gprs[1], (unsigned long long)gprs[2], (unsigned long long)gprs[3]);
    gprs[0] = imm == 0                ? rhi_call(&c)
              : imm == HOST_FAULT_IMM ? host_fault_call(h, gprs[0], gprs[1])
                                      : SMC_UNKNOWN;
}
