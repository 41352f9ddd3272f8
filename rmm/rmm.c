/*
 * The RMM as a whole: its life, the command tables and their dispatch, versions and features. RMM
 * specification (Arm DEN0137). Commands register themselves from the files of their objects; this file knows
 * none by name.
 */
#include "rmm/rmm_int.h"

#include <inttypes.h>
#include <string.h>

#include "cpu/a64/sysreg.h"
#include "rmm/dev_int.h"

extern const RmiCommand *const __start_bailey_rmi[], *const __stop_bailey_rmi[];
extern const RsiCommand *const __start_bailey_rsi[], *const __stop_bailey_rsi[];
extern const RmmFailure *const __start_bailey_rmm_failures[], *const __stop_bailey_rmm_failures[];
extern const RecResumeOp *const __start_bailey_rec_resume[] __attribute__((weak));
extern const RecResumeOp *const __stop_bailey_rec_resume[] __attribute__((weak));
extern RmmInit *const __start_bailey_rmm_init[] __attribute__((weak));
extern RmmInit *const __stop_bailey_rmm_init[] __attribute__((weak));

/* ---- life ---- */

/* Which dialects have a command that says @dialects of itself. */
static unsigned dialects_of(uint8_t dialects) { return dialects != 0 ? dialects : IN_ALL; }

static void fill_tables(Rmm *rmm)
{
    unsigned mine = 1u << (rmm->dialect - rmm_dialects);

    for (const RmiCommand *const *c = __start_bailey_rmi; c < __stop_bailey_rmi; c++) {
        if (dialects_of((*c)->dialects) & mine) {
            g_assert(rmi_is_fid((*c)->fid) && rmm->rmi[(*c)->fid - RMI_FID_FIRST] == NULL);
            rmm->rmi[(*c)->fid - RMI_FID_FIRST] = *c;
        }
    }
    for (const RsiCommand *const *c = __start_bailey_rsi; c < __stop_bailey_rsi; c++) {
        if (dialects_of((*c)->dialects) & mine) {
            g_assert(rmm->rsi[(*c)->fid - RSI_FID_FIRST] == NULL);
            rmm->rsi[(*c)->fid - RSI_FID_FIRST] = *c;
        }
    }
    for (const RecResumeOp *const *op = __start_bailey_rec_resume; op < __stop_bailey_rec_resume; op++) {
        rmm->resume[(*op)->kind] = *op;
    }
}

/* DDI 0487, "ID_AA64DFR0_EL1": BRPs, WRPs. */
static void read_debug_features(Rmm *rmm)
{
    const A64Sysreg *dfr0 = a64_sysreg_by_name("ID_AA64DFR0_EL1");

    rmm->max_bps = (uint32_t)extract64(dfr0->reset, 12, 4);
    rmm->max_wps = (uint32_t)extract64(dfr0->reset, 20, 4);
}

Rmm *rmm_new(Memory *memory, A64Cpu **cpus, unsigned n_cpus, uint64_t carveout, uint64_t carveout_size,
             const RmmPlatform *platform, RmmDialectId dialect, uint64_t seed)
{
    Rmm *rmm = g_new0(Rmm, 1);

    g_assert(n_cpus <= RMM_MAX_CPUS);
    rmm->dialect = &rmm_dialects[dialect];
    rmm->memory = memory;
    rmm->owners = memory_owners(memory);
    rmm->carveout = carveout;
    rmm->carveout_size = carveout_size;
    rmm->n_cpus = n_cpus;
    rmm->cpu = g_aligned_alloc0(n_cpus, sizeof(RmmCpu), _Alignof(RmmCpu));
    rmm->granule = g_new0(uint8_t *, GRANULE_CHUNKS);
    if (platform != NULL) {
        rmm->platform = *platform;
    }
    for (unsigned i = 0; i < n_cpus; i++) {
        rmm->cpu[i].cpu = cpus[i];
    }
    if (carveout_size != 0) {
        owners_set(rmm->owners, carveout, carveout_size, OWNER_REALM);
    }
    rmm->md[RMI_HASH_SHA_256] = EVP_MD_fetch(NULL, "SHA256", NULL);
    rmm->md[RMI_HASH_SHA_512] = EVP_MD_fetch(NULL, "SHA512", NULL);
    entropy_init(&rmm->entropy, seed, "rmm");
    read_debug_features(rmm);
    fill_tables(rmm);
    attest_init(rmm, seed);
    for (RmmInit *const *fn = __start_bailey_rmm_init; fn < __stop_bailey_rmm_init; fn++) {
        (*fn)(rmm);
    }
    return rmm;
}

void rmm_free(Rmm *rmm)
{
    if (rmm == NULL) {
        return;
    }
    for (unsigned i = 0; i < rmm->n_chunks; i++) {
        g_free(rmm->granule[i]);
    }
    EVP_MD_free(rmm->md[0]);
    EVP_MD_free(rmm->md[1]);
    g_free(rmm->granule);
    g_aligned_free(rmm->cpu);
    g_free(rmm->device);
    g_free(rmm);
}

RmmCpu *rmm_cpu(Rmm *rmm, const A64Cpu *cpu) { return &rmm->cpu[cpu->cpu.index]; }

void rmm_add_ipa_flush(Rmm *rmm, void (*flush)(void *opaque, uint16_t vmid, uint64_t ipa, uint64_t len),
                       void *opaque)
{
    g_assert(rmm->n_flush < RMM_N_FLUSH);
    rmm->flush[rmm->n_flush].flush = flush;
    rmm->flush[rmm->n_flush++].opaque = opaque;
}

/* ---- commands ---- */

uint64_t rmm_fail(Rmm *rmm, const RmmFailure *f, uint64_t status, uint64_t index)
{
    rmm->failure = f;
    return RMI_RETURN(status, index);
}

const char *rmm_last_failure(const Rmm *rmm) { return rmm->failure == NULL ? NULL : rmm->failure->label; }

bool rmi_is_fid(uint32_t fid)
{
    return (fid >= RMI_FID_FIRST && fid <= RMI_FID_LAST) || (fid >= RMI_FID2_FIRST && fid <= RMI_FID2_LAST);
}

static void log_values(GString *s, const uint64_t *x, unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        g_string_append_printf(s, "%s0x%" PRIx64, i == 1 ? "" : ", ", x[i]);
    }
}

/* VMID of the Realm that a command's arguments name first, by itself, a REC or a VDEV; 0: none. */
static unsigned realm_in_arguments(Rmm *rmm, const RmiCommand *c, const RmiIn *in)
{
    for (unsigned i = 1; i <= c->in && i <= 3; i++) {
        uint64_t pa = in->x[i], rd = pa;

        if (!is_aligned(pa, RMM_GRANULE_SIZE)) {
            continue;
        }
        switch (granule_state(rmm, pa)) {
        case GRANULE_REC:
            rd = rec_at(rmm, pa)->rd;
            break;
        case GRANULE_VDEV:
            rd = vdev_at(rmm, pa)->rd;
            break;
        case GRANULE_RD:
            break;
        default:
            continue;
        }
        return realm_at(rmm, rd)->vmid;
    }
    return 0;
}

/* For traces and whoever waits for it. */
static void tell_rmi(const Rmm *rmm, const RmiCommand *c, const RmiIn *in, const RmiOut *out, uint64_t x0,
                     unsigned realm)
{
    static const char *const names[] = { "SUCCESS", "ERROR_INPUT", "ERROR_REALM", "ERROR_REC",
                                         "ERROR_RTT", "ERROR_NOT_SUPPORTED", "ERROR_DEVICE" };
    g_autoptr(GString)       line = g_string_new(NULL);
    RmiStatus                status = RMI_RETURN_STATUS(x0);
    EventField               fields[3];
    unsigned                 n = 0;
    const char              *result = out->runs                           ? "runs"
                                      : (size_t)status < ARRAY_LEN(names) ? names[status]
                                                                          : "?";

    g_string_append_printf(line, "RMI_%s(", c->name);
    log_values(line, in->x, c->in);
    g_string_append_printf(line, ") = %s", result);
    fields[n++] = (EventField){ .name = "status", .text = result };
    if (RMI_RETURN_INDEX(x0) != 0) {
        g_string_append_printf(line, "/%u", RMI_RETURN_INDEX(x0));
        fields[n++] = (EventField){ .name = "index", .number = RMI_RETURN_INDEX(x0) };
    }
    if (rmm->failure != NULL && status != RMI_SUCCESS) { /* with REC_ENTER it may be an RSI command that failed */
        g_string_append_printf(line, " (%s)", rmm->failure->label);
        fields[n++] = (EventField){ .name = "failure", .text = rmm->failure->label };
    }
    if (c->out != 0) {
        g_string_append(line, " -> ");
        log_values(line, out->x, c->out);
    }
    LOG(RMI, "%s", line->str);
    event_tell(&(Event){ .kind = EVENT_RMI, .name = c->name, .realm = realm, .text = line->str, .fields = fields,
                         .n_fields = n,
                         .call = &(EventCall){ .cpu = in->cpu->cpu->cpu.index, .fid = in->x[0], .n_in = c->in,
                                               .in = &in->x[1], .n_out = c->out, .out = &out->x[1],
                                               .pending = out->runs, .status = x0 } });
}

bool rmi_call(Rmm *rmm, const RmiIn *in, RmiOut *out, uint64_t *x0)
{
    uint32_t          fid = in->x[0] & 0xffff;
    const RmiCommand *c = rmi_is_fid(fid) ? rmm->rmi[fid - RMI_FID_FIRST] : NULL;

    if (c == NULL || (c->needs_da && !rmm->da)) {
        return false;
    }
    bool     told = log_on(LOG_RMI) || event_on(EVENT_RMI);
    unsigned realm = told || log_any() ? realm_in_arguments(rmm, c, in) : 0;

    rmm->failure = NULL;
    rmm->rmi_count[fid - RMI_FID_FIRST]++;
    log_about_realm(realm);
    *x0 = c->handler(rmm, in, out);
    if (told) {
        realm = realm != 0 ? realm : realm_in_arguments(rmm, c, in); /* the one that was made */
        log_about_realm(realm);
        tell_rmi(rmm, c, in, out, *x0, realm);
    }
    if (out->runs && event_on(EVENT_REC)) {
        rec_tell(rmm, in->cpu, "runs");
    }
    log_about_realm(0);
    for (unsigned i = 1; i <= c->out; i++) {
        in->cpu->cpu->x[i] = out->x[i];
    }
    return true;
}

/* ---- version and features ---- */

/* A revision that is offered has the commands of the dialect: the call has no effect on them. */
bool rmm_negotiate(const uint64_t *offered, uint64_t requested, uint64_t *lower, uint64_t *higher)
{
    *lower = offered[0]; /* the lowest, when all are above the request */
    for (size_t i = 0; offered[i] != 0; i++) {
        *higher = offered[i];
        if (offered[i] <= requested) {
            *lower = offered[i];
        }
    }
    return *lower == requested;
}

/* RMI_VERSION. x1: requested revision. */
RMI(VERSION, .in = 1, .out = 2)
{
    bool offered = rmm_negotiate(rmm->dialect->rmi_versions, in->x[1], &out->x[1], &out->x[2]);

    REQUIRE(offered, RMI_ERROR_INPUT, "req_version");
    return RMI_SUCCESS;
}

uint64_t rmm_feature0(const Rmm *rmm)
{
    return (uint64_t)RMM_PA_BITS << RMI_FEATURE0_S2SZ_LSB |
           (uint64_t)rmm->max_bps << RMI_FEATURE0_NUM_BPS_LSB |
           (uint64_t)rmm->max_wps << RMI_FEATURE0_NUM_WPS_LSB | RMI_FEATURE0_PMU_EN |
           (uint64_t)A64_N_COUNTERS << RMI_FEATURE0_PMU_NUM_CTRS_LSB | RMI_FEATURE0_SHA256 | RMI_FEATURE0_SHA512 |
           (uint64_t)(GIC_N_LRS - 1) << RMI_FEATURE0_GICV3_NUM_LRS_LSB |
           (uint64_t)RMM_MAX_RECS_ORDER << RMI_FEATURE0_MAX_RECS_ORDER_LSB | (rmm->da ? RMI_FEATURE0_DA : 0);
}

/* RMI_FEATURES. x1: index; an index that is not used reads as zero. */
RMI(FEATURES, .in = 1, .out = 1)
{
    out->x[1] = in->x[1] == 0 ? rmm_feature0(rmm) : 0;
    return RMI_SUCCESS;
}

/* ---- what was called, what is there ---- */

void rmm_call_counts(const Rmm *rmm, void (*fn)(void *opaque, const char *name, uint64_t count), void *opaque)
{
    char name[64];

    for (unsigned i = 0; i < RMI_TABLE_LEN; i++) {
        if (rmm->rmi_count[i] != 0) {
            g_snprintf(name, sizeof(name), "RMI_%s", rmm->rmi[i]->name);
            fn(opaque, name, rmm->rmi_count[i]);
        }
    }
    for (unsigned i = 0; i < RSI_TABLE_LEN; i++) {
        if (rmm->rsi_count[i] != 0) {
            g_snprintf(name, sizeof(name), "RSI_%s", rmm->rsi[i]->name);
            fn(opaque, name, rmm->rsi_count[i]);
        }
    }
    if (rmm->psci_count != 0) {
        fn(opaque, "PSCI", rmm->psci_count);
    }
}

typedef struct Listing {
    const char *prefix, *file; /* of the functions that check; prefix NULL: none does; file NULL: any */
    RmmSource   source;
    const RmmFailure *first;   /* what is checked before the command itself; NULL: nothing */
    RmmFunction f;
} Listing;

/* Whether a failure was written in command @l: "rmi_X" itself or a part "rmi_X__Y". */
static bool failure_is_of(const RmmFailure *f, const Listing *l)
{
    const char *prefix = l->prefix, *name = l->f.name;
    size_t      n = strlen(prefix), m = strlen(name);

    return (l->file == NULL || strcmp(f->file, l->file) == 0) && strncmp(f->where, prefix, n) == 0 &&
           strncmp(f->where + n, name, m) == 0 && (f->where[n + m] == '\0' || strncmp(f->where + n + m, "__", 2) == 0);
}

static gint compare_failures(gconstpointer a, gconstpointer b)
{
    const RmmFailure *x = *(RmmFailure *const *)a, *y = *(RmmFailure *const *)b;

    /* Checks of one macro stand on one line: by name then, so that the page does not depend on the linker. */
    return x->line != y->line ? (x->line < y->line ? -1 : 1) : strcmp(x->label, y->label);
}

/* The conditions of a command in the order of the source, which is that of the checks (parts come first). */
static GArray *failures_of(const Listing *l)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    GArray              *conditions = g_array_new(FALSE, FALSE, sizeof(RmmCondition));

    if (l->first != NULL) {
        RmmCondition c = { l->first->label, l->source };
        g_array_append_val(conditions, c);
    }
    for (const RmmFailure *const *f = __start_bailey_rmm_failures; f < __stop_bailey_rmm_failures; f++) {
        if (l->prefix != NULL && failure_is_of(*f, l)) {
            g_ptr_array_add(list, (gpointer)*f);
        }
    }
    g_ptr_array_sort(list, compare_failures);
    for (guint i = 0; i < list->len; i++) {
        const RmmFailure *f = list->pdata[i];
        RmmCondition      c = { f->label, f->ours ? RMM_DECISION : l->source };
        g_array_append_val(conditions, c);
    }
    return conditions;
}

static void list_functions(GArray *rows, const char *iface, const char *prefix,
                           const SmcFunction *(*function)(size_t n))
{
    for (size_t i = 0; function(i) != NULL; i++) {
        Listing row = { .prefix = prefix, .f = { iface, function(i)->name, function(i)->fid, .dialects = IN_ALL } };
        g_array_append_val(rows, row);
    }
}

static gint compare_listings(gconstpointer a, gconstpointer b)
{
    const Listing *x = a, *y = b;
    int            by_iface = strcmp(x->f.iface, y->f.iface);

    return by_iface != 0 ? by_iface : x->f.fid != y->f.fid ? (x->f.fid < y->f.fid ? -1 : 1)
                                                           : (int)x->f.dialects - (int)y->f.dialects;
}

void rmm_conformance(void (*fn)(void *opaque, const RmmFunction *f), void *opaque)
{
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(Listing));

    for (const RmiCommand *const *c = __start_bailey_rmi; c < __stop_bailey_rmi; c++) {
        Listing row = { "rmi_", (*c)->file, (*c)->source, NULL,
                        { "RMI", (*c)->name, SMC64_STD((*c)->fid), .dialects = dialects_of((*c)->dialects) } };
        g_array_append_val(rows, row);
    }
    for (const RsiCommand *const *c = __start_bailey_rsi; c < __stop_bailey_rsi; c++) {
        Listing row = { "rsi_", (*c)->file, (*c)->source, (*c)->needs_da ? &rsi_no_devices : NULL,
                        { "RSI", (*c)->name, SMC64_STD((*c)->fid), .dialects = dialects_of((*c)->dialects) } };
        g_array_append_val(rows, row);
    }
    list_functions(rows, "PSCI", "psci_", realm_psci_function);
    list_functions(rows, "SMC", NULL, monitor_function);
    g_array_sort(rows, compare_listings);
    for (guint i = 0; i < rows->len; i++) {
        Listing          *row = &g_array_index(rows, Listing, i);
        g_autoptr(GArray) list = failures_of(row);

        row->f.failures = (const RmmCondition *)list->data;
        row->f.n_failures = list->len;
        fn(opaque, &row->f);
    }
}
