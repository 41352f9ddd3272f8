/*
 * The RMM's objects as a debugger sees them: Realms, RECs, granules, translation tables. Everything is read where the
 * commands keep it; nothing here changes a state.
 */
#include "rmm/dev_int.h"

/* ---- granules ---- */

void rmm_granules(Rmm *rmm, void (*fn)(void *opaque, uint64_t pa, uint64_t n, const char *state), void *opaque)
{
    GranuleState state = GRANULE_NS;
    uint64_t     first = 0, n = 0;

    for (uint64_t c = 0; c < rmm->n_chunks; c++) {
        for (uint64_t i = 0; rmm->granule[c] != NULL && i < BIT(GRANULE_CHUNK_BITS - 12); i++) {
            uint64_t     pa = c << GRANULE_CHUNK_BITS | i << 12;
            GranuleState s = granule_known(rmm, pa);

            if (n != 0 && s == state && pa == first + n * RMM_GRANULE_SIZE) {
                n++;
                continue;
            }
            if (n != 0) {
                fn(opaque, first, n, rmm_granule_state_name(state));
            }
            state = s;
            first = pa;
            n = s != GRANULE_OUTSIDE && s != GRANULE_NS && s != GRANULE_DEV_NS;
        }
    }
    if (n != 0) {
        fn(opaque, first, n, rmm_granule_state_name(state));
    }
}

/* Calls @fn for every granule in @state. */
static void each_in_state(Rmm *rmm, GranuleState state, void (*fn)(Rmm *rmm, uint64_t pa, void *opaque), void *opaque)
{
    for (uint64_t c = 0; c < rmm->n_chunks; c++) {
        for (uint64_t i = 0; rmm->granule[c] != NULL && i < BIT(GRANULE_CHUNK_BITS - 12); i++) {
            uint64_t pa = c << GRANULE_CHUNK_BITS | i << 12;

            if (granule_known(rmm, pa) == state) {
                fn(rmm, pa, opaque);
            }
        }
    }
}

/* ---- Realms ---- */

bool rmm_realm_at(Rmm *rmm, uint64_t rd, RmmRealm *out)
{
    if (granule_state(rmm, rd) != GRANULE_RD) {
        return false;
    }
    const Realm *r = realm_at(rmm, rd);
    *out = (RmmRealm){ .rd = rd, .state = realm_state_name(r->state), .vmid = r->vmid, .ipa_bits = r->ipa_bits,
                       .n_recs = r->n_recs, .n_vdevs = r->n_vdevs, .rtt_base = r->rtt_base,
                       .level_start = r->level_start, .vtcr = realm_vtcr(r), .vttbr = realm_vttbr(r),
                       .rim = r->measurement[0], .rim_len = measure_len(r->hash) };
    return true;
}

typedef struct RealmVisit {
    void (*fn)(void *opaque, const RmmRealm *realm);
    void  *opaque;
} RealmVisit;

static void visit_realm(Rmm *rmm, uint64_t pa, void *opaque)
{
    const RealmVisit *v = opaque;
    RmmRealm          realm;

    if (rmm_realm_at(rmm, pa, &realm)) {
        v->fn(v->opaque, &realm);
    }
}

void rmm_realms(Rmm *rmm, void (*fn)(void *opaque, const RmmRealm *realm), void *opaque)
{
    each_in_state(rmm, GRANULE_RD, visit_realm, &(RealmVisit){ fn, opaque });
}

/* ---- RECs ---- */

static const char *const pending_names[REC_N_PENDING] = {
    [REC_NOTHING] = "NOTHING",
    [REC_PSCI] = "PSCI",
    [REC_RIPAS] = "RIPAS",
    [REC_HOST_CALL] = "HOST_CALL",
    [REC_DATA_ABORT] = "DATA_ABORT",
    [REC_SYSREG_READ] = "SYSREG_READ",
    [REC_VDEV_REQUEST] = "VDEV_REQUEST",
    [REC_VDEV_MAP] = "VDEV_MAP",
    [REC_RDEV_REQUEST] = "RDEV_REQUEST",
    [REC_RDEV_COMM] = "RDEV_COMM",
};

typedef struct RecVisit {
    void (*fn)(void *opaque, const RmmRec *rec);
    void  *opaque;
} RecVisit;

static void visit_rec(Rmm *rmm, uint64_t pa, void *opaque)
{
    const RecVisit *v = opaque;
    const Rec      *r = rec_at(rmm, pa);
    RmmRec rec = { .pa = pa, .rd = r->rd, .mpidr = r->mpidr, .pc = r->pc, .pstate = r->spsr, .index = r->index,
                   .running = r->running, .runnable = r->runnable, .pending = pending_names[r->pending] };

    v->fn(v->opaque, &rec);
}

void rmm_recs(Rmm *rmm, void (*fn)(void *opaque, const RmmRec *rec), void *opaque)
{
    each_in_state(rmm, GRANULE_REC, visit_rec, &(RecVisit){ fn, opaque });
}

bool rmm_running(const Rmm *rmm, unsigned cpu, uint64_t *rec, uint64_t *rd)
{
    *rec = rmm->cpu[cpu].rec;
    *rd = *rec != 0 ? rec_at((Rmm *)rmm, *rec)->rd : 0;
    return *rec != 0;
}

/* ---- devices ---- */

typedef struct PdevVisit {
    void (*fn)(void *opaque, const RmmPdev *pdev);
    void  *opaque;
} PdevVisit;

static void visit_pdev(Rmm *rmm, uint64_t pa, void *opaque)
{
    const PdevVisit *v = opaque;
    const Pdev      *p = pdev_at(rmm, pa);

    v->fn(v->opaque, &(RmmPdev){ .pa = pa, .id = p->id, .state = pdev_state_name(p->state), .root_id = p->root_id,
                                 .rid_base = p->rid_base, .rid_top = p->rid_top, .n_vdevs = p->n_vdevs,
                                 .keyed = p->keyed });
}

void rmm_pdevs(Rmm *rmm, void (*fn)(void *opaque, const RmmPdev *pdev), void *opaque)
{
    each_in_state(rmm, GRANULE_PDEV, visit_pdev, &(PdevVisit){ fn, opaque });
}

typedef struct VdevVisit {
    void (*fn)(void *opaque, const RmmVdev *vdev);
    void  *opaque;
} VdevVisit;

static void visit_vdev(Rmm *rmm, uint64_t pa, void *opaque)
{
    const VdevVisit *v = opaque;
    const Vdev      *d = vdev_at(rmm, pa);

    v->fn(v->opaque, &(RmmVdev){ .pa = pa, .rd = d->rd, .pdev = d->pdev, .id = d->id, .n_mapped = d->n_mapped,
                                 .state = vdev_state_name(d->state), .stream = d->stream, .dma = d->dma });
}

void rmm_vdevs(Rmm *rmm, void (*fn)(void *opaque, const RmmVdev *vdev), void *opaque)
{
    each_in_state(rmm, GRANULE_VDEV, visit_vdev, &(VdevVisit){ fn, opaque });
}

/* ---- registers of the world that is away ---- */

bool rmm_bank(Rmm *rmm, unsigned cpu, Pas pas, RmmBank *out)
{
    const RmmCpu *c = &rmm->cpu[cpu];

    if (pas == PAS_NONSECURE && c->rec != 0) {
        *out = (RmmBank){ .x = c->x, .pc = c->pc, .pstate = c->spsr, .el1 = &c->el1, .el2 = &c->el2 };
        return true;
    }
    if (pas != PAS_REALM || c->rec != 0 || c->last.rec == 0 || granule_state(rmm, c->last.rec) != GRANULE_REC) {
        return false;
    }
    const Rec *r = rec_at(rmm, c->last.rec);
    *out = (RmmBank){ .x = r->x, .pc = r->pc, .pstate = r->spsr, .el1 = &r->el1 };
    return !r->running;
}

/* ---- translation tables ---- */

static const char *const kind_names[] = {
    [RTT_UNASSIGNED] = "UNASSIGNED",       [RTT_ASSIGNED] = "ASSIGNED",       [RTT_ASSIGNED_DEV] = "ASSIGNED_DEV",
    [RTT_UNASSIGNED_NS] = "UNASSIGNED_NS", [RTT_ASSIGNED_NS] = "ASSIGNED_NS", [RTT_TABLE] = "TABLE",
};

static const char *const ripas_names[] = {
    [RIPAS_EMPTY] = "EMPTY", [RIPAS_RAM] = "RAM", [RIPAS_DESTROYED] = "DESTROYED", [RIPAS_DEV] = "DEV",
};

static bool is_nothing(const RttValue *v)
{
    return v->kind == RTT_UNASSIGNED_NS || (v->kind == RTT_UNASSIGNED && v->ripas == RIPAS_EMPTY);
}

static RmmRttEntry entry_of(const Realm *realm, uint64_t ipa, int level, const RttValue *v)
{
    bool has_pa = v->kind == RTT_ASSIGNED || v->kind == RTT_ASSIGNED_DEV || v->kind == RTT_ASSIGNED_NS;

    return (RmmRttEntry){ .ipa = ipa, .len = rtt_size(level), .pa = has_pa ? v->pa : 0, .level = level,
                          .kind = kind_names[v->kind], .has_pa = has_pa,
                          .ripas = realm_ipa_protected(realm, ipa) ? ripas_names[v->ripas] : NULL };
}

/* Whether @e goes on where @run ends, alike. */
static bool continues(const RmmRttEntry *run, const RmmRttEntry *e)
{
    return run->len != 0 && run->ipa + run->len == e->ipa && run->level == e->level && run->kind == e->kind &&
           run->ripas == e->ripas && (!e->has_pa || run->pa + run->len == e->pa);
}

bool rmm_rtt(Rmm *rmm, uint64_t rd, uint64_t ipa, uint64_t top, void (*fn)(void *opaque, const RmmRttEntry *e),
             void *opaque)
{
    RmmRttEntry run = { 0 };

    if (granule_state(rmm, rd) != GRANULE_RD) {
        return false;
    }
    const Realm *realm = realm_at(rmm, rd);
    top = MIN(top, realm_ipa_top(realm));
    while (ipa < top) {
        RttWalk     w = rtt_walk(rmm, realm, ipa, RTT_LAST_LEVEL);
        RttValue    v = rtt_get(&w);
        uint64_t    base = align_down(ipa, rtt_size(w.level));
        RmmRttEntry e = entry_of(realm, base, w.level, &v);

        if (continues(&run, &e)) {
            run.len += e.len;
        } else {
            if (run.len != 0) {
                fn(opaque, &run);
            }
            run = is_nothing(&v) ? (RmmRttEntry){ 0 } : e;
        }
        ipa = base + e.len;
    }
    if (run.len != 0) {
        fn(opaque, &run);
    }
    return true;
}
