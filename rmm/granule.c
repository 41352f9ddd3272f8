/*
 * Granules: one state per 4 KiB page of memory that a host may delegate, kept outside guest memory. DEN0137
 * "Granule", and the two commands that move a page between the Non-secure and the Realm physical address
 * space. The page owner is the granule protection table: the monitor changes it here, as it would on a
 * request of the RMM.
 */
#include "rmm/rmm_int.h"

#include <string.h>

enum {
    STATE_MASK = 0x7f,
    CLEAN = 0x80, /* DELEGATED, and all bytes are zero */
    CHUNK_GRANULES = 1 << (GRANULE_CHUNK_BITS - 12),
};

#define EDGE(to) BIT(GRANULE_##to)

/* DEN0137 "Granule states": from each state the ones that may follow. */
static const uint32_t edges[GRANULE_N_STATES] = {
    [GRANULE_NS] = EDGE(DELEGATED),
    [GRANULE_DELEGATED] = EDGE(NS) | EDGE(RD) | EDGE(REC) | EDGE(REC_AUX) | EDGE(RTT) | EDGE(DATA) |
                          EDGE(PDEV) | EDGE(PDEV_AUX) | EDGE(VDEV) | EDGE(VDEV_AUX),
    [GRANULE_RD] = EDGE(DELEGATED),
    [GRANULE_REC] = EDGE(DELEGATED),
    [GRANULE_REC_AUX] = EDGE(DELEGATED),
    [GRANULE_RTT] = EDGE(DELEGATED),
    [GRANULE_DATA] = EDGE(DELEGATED),
    [GRANULE_PDEV] = EDGE(DELEGATED),
    [GRANULE_PDEV_AUX] = EDGE(DELEGATED),
    [GRANULE_VDEV] = EDGE(DELEGATED),
    [GRANULE_VDEV_AUX] = EDGE(DELEGATED),
    [GRANULE_DEV_NS] = EDGE(DEV_DELEGATED),
    [GRANULE_DEV_DELEGATED] = EDGE(DEV_NS) | EDGE(DEV_MAPPED),
    [GRANULE_DEV_MAPPED] = EDGE(DEV_DELEGATED),
};

/* The state of a page that no command has touched. */
static GranuleState first_state(const Rmm *rmm, uint64_t pa)
{
    if (ranges_overlap(pa, RMM_GRANULE_SIZE, rmm->carveout, rmm->carveout_size)) {
        return GRANULE_OUTSIDE;
    }
    for (size_t i = 0; i < ARRAY_LEN(rmm->platform.dev_base); i++) {
        if (pa - rmm->platform.dev_base[i] < rmm->platform.dev_size[i]) {
            return GRANULE_DEV_NS;
        }
    }
    bool     writable;
    uint8_t *host = memory_host_page(rmm->memory, pa, &writable);

    return host != NULL && writable && owners_get(rmm->owners, pa) == OWNER_NONSECURE ? GRANULE_NS
                                                                                      : GRANULE_OUTSIDE;
}

/* Where the state of an aligned page is kept, or NULL when it is no granule. */
static uint8_t *slot(Rmm *rmm, uint64_t pa)
{
    if (pa >> RMM_PA_BITS != 0 || !is_aligned(pa, RMM_GRANULE_SIZE)) {
        return NULL;
    }
    uint8_t **chunk = &rmm->granule[pa >> GRANULE_CHUNK_BITS];
    uint64_t  index = extract64(pa, 12, GRANULE_CHUNK_BITS - 12);

    if (*chunk == NULL || (*chunk)[index] == GRANULE_OUTSIDE) {
        GranuleState first = first_state(rmm, pa);
        if (first == GRANULE_OUTSIDE) {
            return NULL;
        }
        if (*chunk == NULL) {
            *chunk = g_new0(uint8_t, CHUNK_GRANULES);
            rmm->n_chunks = MAX(rmm->n_chunks, (unsigned)(pa >> GRANULE_CHUNK_BITS) + 1);
        }
        (*chunk)[index] = (uint8_t)first;
    }
    return &(*chunk)[index];
}

GranuleState granule_state(Rmm *rmm, uint64_t pa)
{
    const uint8_t *s = slot(rmm, pa);

    return s == NULL ? GRANULE_OUTSIDE : (GranuleState)(*s & STATE_MASK);
}

GranuleState granule_known(const Rmm *rmm, uint64_t pa)
{
    uint8_t s = rmm->granule[pa >> GRANULE_CHUNK_BITS][extract64(pa, 12, GRANULE_CHUNK_BITS - 12)];

    return (GranuleState)(s & STATE_MASK);
}

const MemRegion *granule_in_ram(Rmm *rmm, uint64_t pa)
{
    rmm->ram = memory_find(rmm->memory, pa);
    g_assert(rmm->ram != NULL && rmm->ram->kind == MEM_RAM);
    return rmm->ram;
}

static void wipe(Rmm *rmm, uint64_t pa)
{
    memset(granule_ptr(rmm, pa), 0, RMM_GRANULE_SIZE);
    memory_dirty(rmm->memory, pa, RMM_GRANULE_SIZE);
}

static const char *const state_names[GRANULE_N_STATES] = {
    [GRANULE_OUTSIDE] = "OUTSIDE",
    [GRANULE_NS] = "NS",
    [GRANULE_DELEGATED] = "DELEGATED",
    [GRANULE_RD] = "RD",
    [GRANULE_REC] = "REC",
    [GRANULE_REC_AUX] = "REC_AUX",
    [GRANULE_RTT] = "RTT",
    [GRANULE_DATA] = "DATA",
    [GRANULE_PDEV] = "PDEV",
    [GRANULE_PDEV_AUX] = "PDEV_AUX",
    [GRANULE_VDEV] = "VDEV",
    [GRANULE_VDEV_AUX] = "VDEV_AUX",
    [GRANULE_DEV_NS] = "DEV_NS",
    [GRANULE_DEV_DELEGATED] = "DEV_DELEGATED",
    [GRANULE_DEV_MAPPED] = "DEV_MAPPED",
};

const char *rmm_granule_state_name(unsigned n) { return n < GRANULE_N_STATES ? state_names[n] : NULL; }

const char *rmm_granule_state(Rmm *rmm, uint64_t pa) { return state_names[granule_state(rmm, pa)]; }

/* For whoever waits for it. */
static void tell_change(uint64_t pa, GranuleState from, GranuleState to)
{
    char text[96];

    g_snprintf(text, sizeof(text), "granule 0x%" G_GINT64_MODIFIER "x: %s to %s", (guint64)pa, state_names[from],
               state_names[to]);
    event_tell(&(Event){ .kind = EVENT_GRANULE, .name = state_names[to], .from = state_names[from], .number = pa,
                         .text = text });
}

void granule_set(Rmm *rmm, uint64_t pa, GranuleState to)
{
    uint8_t     *s = slot(rmm, pa);
    GranuleState from = s == NULL ? GRANULE_OUTSIDE : (GranuleState)(*s & STATE_MASK);

    g_assert(s != NULL && (edges[from] & BIT(to)) != 0);
    if (to == GRANULE_DELEGATED && from != GRANULE_NS) {
        wipe(rmm, pa);
        *s = GRANULE_DELEGATED | CLEAN;
    } else {
        *s = (uint8_t)to;
    }
    if (event_on(EVENT_GRANULE)) {
        tell_change(pa, from, to);
    }
}

void granule_zero(Rmm *rmm, uint64_t pa)
{
    uint8_t *s = slot(rmm, pa);

    g_assert(s != NULL && (*s & STATE_MASK) == GRANULE_DELEGATED);
    if (!(*s & CLEAN)) {
        wipe(rmm, pa);
        *s |= CLEAN;
    }
}

void rmm_granule_counts(const Rmm *rmm, void (*fn)(void *opaque, const char *state, uint64_t count), void *opaque)
{
    uint64_t n[GRANULE_N_STATES] = { 0 };

    for (unsigned c = 0; c < rmm->n_chunks; c++) {
        for (unsigned i = 0; rmm->granule[c] != NULL && i < CHUNK_GRANULES; i++) {
            n[rmm->granule[c][i] & STATE_MASK]++;
        }
    }
    for (unsigned s = 0; s < GRANULE_N_STATES; s++) {
        bool hosts = s == GRANULE_OUTSIDE || s == GRANULE_NS || s == GRANULE_DEV_NS;

        if (!hosts && n[s] != 0) {
            fn(opaque, state_names[s], n[s]);
        }
    }
}

static const MemAttrs ns_attrs = { .pas = PAS_NONSECURE };

bool ns_read(Rmm *rmm, uint64_t pa, void *dst, size_t len)
{
    return memory_read(rmm->memory, pa, ns_attrs, dst, len) == MEM_OK;
}

bool ns_write(Rmm *rmm, uint64_t pa, const void *src, size_t len)
{
    return memory_write(rmm->memory, pa, ns_attrs, src, len) == MEM_OK;
}

uint8_t *ns_map(Rmm *rmm, uint64_t pa)
{
    bool     ram = false;
    uint8_t *bytes = owners_allow(rmm->owners, pa, PAS_NONSECURE) ? memory_host_page(rmm->memory, pa, &ram) : NULL;

    return ram ? bytes : NULL;
}

/* RMI_GRANULE_DELEGATE. DEN0137, command page of that name. x1: PA of the granule. */
RMI(GRANULE_DELEGATE, .in = 1, .out = 0)
{
    uint64_t     pa = in->x[1];
    GranuleState state = granule_state(rmm, pa);

    REQUIRE(is_aligned(pa, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "gran_align");
    REQUIRE(state != GRANULE_OUTSIDE, RMI_ERROR_INPUT, "gran_bound");
    REQUIRE(state == GRANULE_NS || state == GRANULE_DEV_NS, RMI_ERROR_INPUT, "gran_state");
    REQUIRE(owners_get(rmm->owners, pa) == OWNER_NONSECURE, RMI_ERROR_INPUT, "gran_gpt");

    owners_set(rmm->owners, pa, RMM_GRANULE_SIZE, OWNER_REALM);
    granule_set(rmm, pa, state == GRANULE_NS ? GRANULE_DELEGATED : GRANULE_DEV_DELEGATED);
    LOG(GPT, "0x%" G_GINT64_MODIFIER "x to realm", (guint64)pa);
    return RMI_SUCCESS;
}

/* RMI_GRANULE_UNDELEGATE. DEN0137, command page of that name. x1: PA of the granule. */
RMI(GRANULE_UNDELEGATE, .in = 1, .out = 0)
{
    uint64_t     pa = in->x[1];
    GranuleState state = granule_state(rmm, pa);

    REQUIRE(is_aligned(pa, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "gran_align");
    REQUIRE(state != GRANULE_OUTSIDE, RMI_ERROR_INPUT, "gran_bound");
    REQUIRE(state == GRANULE_DELEGATED || state == GRANULE_DEV_DELEGATED, RMI_ERROR_INPUT, "gran_state");

    if (state == GRANULE_DELEGATED) {
        granule_zero(rmm, pa);
        granule_set(rmm, pa, GRANULE_NS);
    } else {
        granule_set(rmm, pa, GRANULE_DEV_NS);
    }
    owners_set(rmm->owners, pa, RMM_GRANULE_SIZE, OWNER_NONSECURE);
    LOG(GPT, "0x%" G_GINT64_MODIFIER "x to nonsecure", (guint64)pa);
    return RMI_SUCCESS;
}
