/*
 * The Realm Host Interface: what a Realm asks of its host by RSI_HOST_CALL. Arm DEN0148; function numbers as
 * kernels of the dialect use them. Arguments come from a Realm that may be hostile. Calls that need the device start
 * a job and keep the REC out until it is over; only a host that is told to be slow (faults.c) answers RHI_INCOMPLETE,
 * and works when the Realm comes again by DA_VDEV_CONTINUE.
 */
#include <inttypes.h>

#include "host/host_int.h"
#include "log.h"

#define RHI_HOSTCONF_VERSION_1_0 0x10000
#define RHI_DA_VERSION_1_0       0x10000

/* One call: gprs[0] function and result, arguments from gprs[1]. */
typedef struct Call {
    Host     *h;
    HostCpu  *hc;
    uint64_t *gprs;
} Call;

/* ---- objects ---- */

/* The object that the call names, or NULL with the status to answer. @size: for the call that asks for its length; NULL
 * when its bytes are wanted. */
static const GByteArray *find_object(const Call *c, uint64_t *size, uint64_t *status)
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
    const GByteArray *o = host_device_object(d, objects[id]);
    HostDeed          deed = { .d = d, .object = (unsigned)id, .reads = size == NULL, .bytes = o, .size = o->len };

    *status = o->len != 0 ? RHI_SUCCESS : RHI_DATA_NOT_AVAILABLE;
    if (o->len == 0) {
        return NULL;
    }
    host_fault_at(c->h, FAULT_AT_OBJECT, &deed);
    if (size != NULL) {
        *size = deed.size;
    }
    return deed.bytes;
}

/* vdev, object -> size. */
static uint64_t object_size(const Call *c)
{
    uint64_t status, size = 0;

    find_object(c, &size, &status);
    c->gprs[1] = size;
    return status;
}

/* vdev, object, offset, length, address of a shared buffer -> bytes written. */
static uint64_t object_read(const Call *c)
{
    uint64_t          status, offset = c->gprs[3], len = c->gprs[4], ipa = c->gprs[5];
    const GByteArray *o = find_object(c, NULL, &status);

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
    HostDeed    deed = { .d = d, .hc = c->hc, .locks = !vdev };

    *status = d == NULL                    ? RHI_INVALID_VDEV
              : host_device_is_busy(c->h, d) ? RHI_BUSY
              : (d->vdev != 0) != vdev     ? RHI_INPUT
                                           : RHI_SUCCESS;
    if (*status != RHI_SUCCESS) {
        return NULL;
    }
    if (host_fault_at(c->h, FAULT_AT_CALL, &deed)) {
        *status = deed.answer;
        return NULL;
    }
    return d;
}

/* The answer follows when the job is over; until then the REC stays out. */
static uint64_t work_on(const Call *c, HostDevice *d)
{
    HostDeed deed = { .d = d, .hc = c->hc };

    if (!c->h->dialect->rdev && host_fault_at(c->h, FAULT_AT_TURN, &deed)) { /* 1.1-alp12: in RSI_RDEV_CONTINUE */
        c->gprs[1] = d->job.kind; /* cookie */
    } else {
        host_device_wait(c->hc, d);
    }
    return RHI_INCOMPLETE;
}

static uint64_t begin(const Call *c, HostDevice *d, HostJobKind kind)
{
    bool lost = kind == HOST_JOB_LOCK && host_device_is_lost(d);

    if (kind == HOST_JOB_LOCK) {
        machine_note_step(c->h->cfg.machine, "vdev-asked");
    }
    host_device_begin(c->h, d, lost ? HOST_JOB_RECONNECT : kind);
    d->job.next = lost ? kind : HOST_JOB_NONE;
    return work_on(c, d);
}

/* vdev, cookie of RHI_INCOMPLETE. */
static uint64_t continue_job(const Call *c)
{
    HostDevice *d = host_device_find(c->h, c->gprs[1]);

    if (d == NULL) {
        return RHI_INVALID_VDEV;
    }
    if (d->job.kind == HOST_JOB_NONE || d->job.waits != NULL || c->gprs[2] != d->job.kind) {
        return RHI_INPUT;
    }
    return work_on(c, d);
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

/* vdev. A REC that waits for the job is answered RHI_DEVICE; a job that was only begun ends here. */
static uint64_t abort_job(const Call *c)
{
    HostDevice *d = host_device_find(c->h, c->gprs[1]);
    HostDeed    deed = { .d = d, .hc = c->hc };
    uint64_t    status;

    if (d == NULL) {
        return RHI_INVALID_VDEV;
    }
    if (d->job.kind == HOST_JOB_NONE) {
        return RHI_ABORT_COMPLETED;
    }
    if (d->job.waits == NULL && host_fault_at(c->h, FAULT_AT_ABORT, &deed)) {
        d->job.verdict = deed.answer;
        host_device_wait(c->hc, d);
        return RHI_INCOMPLETE;
    }
    d->job.abort = true;
    if (d->job.waits == NULL) {
        host_device_step(c->h, c->hc->cpu, d, &status);
    }
    return RHI_SUCCESS;
}

/* ---- 1.1-alp12 ---- */

/* Only the calls about objects have statuses of their own. */
static uint64_t status12(uint64_t status)
{
    static const uint8_t statuses[] = {
        [RHI_SUCCESS] = RHI12_SUCCESS,
        [RHI_DATA_NOT_AVAILABLE] = RHI12_DATA_NOT_AVAILABLE,
        [RHI_INVALID_VDEV] = RHI12_INVALID_VDEV,
        [RHI_INVALID_OBJECT] = RHI12_INVALID_OBJECT,
        [RHI_INPUT] = RHI12_INVALID_ADDR, /* no room at all */
        [RHI_INVALID_OFFSET] = RHI12_INVALID_OFFSET,
        [RHI_ACCESS_FAILED] = RHI12_INVALID_ADDR,
    };

    g_assert(status < ARRAY_LEN(statuses) && statuses[status] != 0);
    return statuses[status];
}

static uint64_t object_size12(const Call *c) { return status12(object_size(c)); }
static uint64_t object_read12(const Call *c) { return status12(object_read(c)); }

/* LOCKED gives the Realm a VDEV, UNLOCKED takes it away; what is between, the Realm does by RSI. */
static uint64_t set_tdi_state12(const Call *c)
{
    return c->gprs[2] == RHI_TDI_RUN ? (uint64_t)RHI_INPUT : set_tdi_state(c);
}

/* ---- versions and features ---- */

static uint64_t hostconf_version(const Call *c) { return RHI_HOSTCONF_VERSION_1_0; }
static uint64_t da_version(const Call *c) { return RHI_DA_VERSION_1_0; }
static uint64_t ipa_change_alignment(const Call *c) { return PAGE_SIZE; }

static uint64_t hostconf_features(const Call *c);
static uint64_t da_features(const Call *c);

/* ---- dispatch ---- */

typedef enum Group { HOSTCONF, DA } Group; /* DA: while a device is assigned */

static const struct Function {
    uint8_t     number;  /* low part of the function ID */
    const char *name;
    uint8_t     dialects; /* IN_* */
    Group       group;
    uint8_t     n_args;
    uint64_t    feature; /* what the FEATURES call of its group says of it; 0: it is always there */
    uint64_t  (*serve)(const Call *c);
} functions[] = {
#define FN(name, ...)   { RHI_FID_##name, #name, __VA_ARGS__ }
#define FN12(name, ...) { RHI12_FID_##name, #name, IN_ALP12, DA, __VA_ARGS__ }
    FN(DA_VERSION, IN_ALP17, DA, 0, 0, da_version),
    FN(DA_FEATURES, IN_ALP17, DA, 0, 0, da_features),
    FN(DA_OBJECT_SIZE, IN_ALP17, DA, 2, RHI_FEATURE_OBJECT_SIZE, object_size),
    FN(DA_OBJECT_READ, IN_ALP17, DA, 5, RHI_FEATURE_OBJECT_READ, object_read),
    FN12(DA_FEATURES, 0, 0, da_features),
    FN12(DA_OBJECT_SIZE, 2, RHI_FEATURE_OBJECT_SIZE, object_size12),
    FN12(DA_OBJECT_READ, 5, RHI_FEATURE_OBJECT_READ, object_read12),
    FN12(DA_VDEV_SET_TDI_STATE, 2, 0, set_tdi_state12), /* no bit: kernels want the two above and nothing else */
    FN(HOSTCONF_VERSION, IN_1_0 | IN_ALP17, HOSTCONF, 0, 0, hostconf_version),
    FN(HOSTCONF_FEATURES, IN_1_0 | IN_ALP17, HOSTCONF, 0, 0, hostconf_features),
    FN(HOSTCONF_GET_IPA_CHANGE_ALIGNMENT, IN_1_0 | IN_ALP17, HOSTCONF, 0, RHI_FEATURE_GET_IPA_CHANGE_ALIGNMENT,
       ipa_change_alignment),
    FN(DA_VDEV_CONTINUE, IN_ALP17, DA, 2, RHI_FEATURE_VDEV_CONTINUE, continue_job),
    FN(DA_VDEV_GET_INTERFACE_REPORT, IN_ALP17, DA, 1, RHI_FEATURE_GET_INTERFACE_REPORT, get_interface_report),
    FN(DA_VDEV_GET_MEASUREMENTS, IN_ALP17, DA, 2, RHI_FEATURE_GET_MEASUREMENTS, get_measurements),
    FN(DA_VDEV_SET_TDI_STATE, IN_ALP17, DA, 2, RHI_FEATURE_SET_TDI_STATE, set_tdi_state),
    FN(DA_VDEV_ABORT, IN_ALP17, DA, 1, RHI_FEATURE_ABORT, abort_job),
#undef FN12
#undef FN
};

static bool is_spoken(const Host *h, const struct Function *f) { return f->dialects >> h->cfg.dialect & 1; }

static uint64_t features_of(const Host *h, Group group)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        mask |= functions[i].group == group && is_spoken(h, &functions[i]) ? functions[i].feature : 0;
    }
    return mask;
}

static uint64_t hostconf_features(const Call *c) { return features_of(c->h, HOSTCONF); }
static uint64_t da_features(const Call *c) { return features_of(c->h, DA); }

static const struct Function *find_function(const Host *h, uint64_t fid)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (fid == RHI_FID(functions[i].number) && is_spoken(h, &functions[i])) {
            return functions[i].group != DA || h->n_devices != 0 ? &functions[i] : NULL;
        }
    }
    return NULL;
}

static void log_call(const struct Function *f, const uint64_t gprs[31])
{
    g_autoptr(GString) line = g_string_new(f->name);

    for (unsigned i = 1; i <= f->n_args; i++) {
        g_string_append_printf(line, "%s0x%" PRIx64, i == 1 ? "(" : ", ", gprs[i]);
    }
    LOG(RHI, "%s%s", line->str, f->n_args != 0 ? ")" : "");
}

static uint64_t rhi_call(const Call *c)
{
    const struct Function *f = find_function(c->h, c->gprs[0]);

    if (f == NULL) {
        LOG(RHI, "unknown function 0x%" PRIx64, c->gprs[0]);
        return SMC_UNKNOWN;
    }
    c->h->rhi_counts[f->number]++;
    if (log_on(LOG_RHI)) {
        log_call(f, c->gprs);
    }
    return f->serve(c);
}

void host_call(Host *h, HostCpu *hc, uint16_t imm, uint64_t gprs[31])
{
    Call c = { h, hc, gprs };

    gprs[0] = imm == 0                ? rhi_call(&c)
              : imm == HOST_FAULT_IMM ? host_fault_call(h, hc, gprs)
                                      : SMC_UNKNOWN;
}

void host_rhi_conformance(void (*fn)(void *opaque, uint32_t fid, const char *name, unsigned dialects), void *opaque)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        fn(opaque, RHI_FID(functions[i].number), functions[i].name, functions[i].dialects);
    }
}
