/*
 * The Realm's end, by its own will or in a panic: the host takes back all that it gave. Devices are unlocked and
 * disconnected, pages and tables of the Realm are ours again (wiped), its RECs and the Realm are destroyed. What is
 * left afterwards is nothing: -result lists no granules. DEN0137, "Realm destruction".
 */
#include "host/host_int.h"
#include "log.h"

#define BLOCKS_PER_STEP 4

void host_end(Host *h, HostEnd how)
{
    if (h->phase != HOST_RUN) {
        return; /* it has ended already */
    }
    machine_note_step(h->cfg.machine, "realm-ended");
    if (h->cfg.options->memory_hash) { /* of what the Realm has done, not of what we wipe */
        machine_keep_memory_hash(h->cfg.machine);
    }
    h->end = how;
    h->phase = HOST_END_DEVICES;
    h->progress = 0;
    for (unsigned i = 0; i < h->n_recs; i++) {
        host_gic_kick(h, i);
    }
}

static bool somebody_runs(const Host *h)
{
    for (unsigned i = 0; i < h->n_recs; i++) {
        if (h->cpus[i].state == HOST_REC_ENTERED) {
            return true;
        }
    }
    return false;
}

/* ---- devices ---- */

/* What to work on: a job that is under way, since there is one at a time for all functions of a mailbox; then from the
 * last, because the physical function's PDEV has to be without VDEVs. NULL: all are nobody's. */
static HostDevice *next_to_end(Host *h)
{
    HostDevice *left = NULL;

    for (unsigned i = 0; i < h->n_devices; i++) {
        HostDevice *d = &h->devices[i];

        if (d->job.kind != HOST_JOB_NONE) {
            return d;
        }
        left = d->vdev != 0 || d->pdev != 0 ? d : left;
    }
    return left;
}

/* One step towards a device that is nobody's. */
static void end_device(Host *h, A64Cpu *cpu, HostDevice *d)
{
    uint64_t status;

    if (d->job.kind == HOST_JOB_NONE) {
        if (d->vdev != 0) { /* what the Realm was waiting for is over; refused when there was nothing */
            host_rmi(h, cpu, RMI_FID_VDEV_ABORT, d->vdev, 0, 0, 0, 0);
        }
        host_device_begin(h, d, d->vdev != 0 ? HOST_JOB_UNLOCK : HOST_JOB_DISCONNECT);
    } else if (d->job.kind != HOST_JOB_DISCONNECT && d->job.kind != HOST_JOB_UNLOCK) {
        d->job.abort = true; /* what the Realm had asked for */
    }
    HostJobKind kind = d->job.kind;
    bool        over = host_device_step(h, cpu, d, &status);

    if (over && ((kind == HOST_JOB_UNLOCK && d->vdev != 0) || (kind == HOST_JOB_DISCONNECT && d->pdev != 0))) {
        host_fail(h, "give up a device of a Realm that has ended", RMI_ERROR_DEVICE);
    }
}

/* ---- memory ---- */

static bool take_block(Host *h, A64Cpu *cpu, uint64_t base)
{
    for (uint64_t page = base; host_block(h, base)->n_private != 0 && page < base + BLOCK_SIZE; page += PAGE_SIZE) {
        if (*host_page(h, page) == HOST_PAGE_PRIVATE && !host_take_page(h, cpu, page)) {
            return false;
        }
    }
    return true;
}

/* The tables below the one of @level that begins at @base. Nothing private is left in them. */
static bool take_tables(Host *h, A64Cpu *cpu, uint64_t base, unsigned level)
{
    uint64_t x0;

    for (unsigned i = 0; i < 512; i++) {
        uint64_t ipa = base + (i * PAGE_SIZE << 9 * (3 - level));

        x0 = host_rmi(h, cpu, RMI_FID_RTT_READ_ENTRY, h->rd, ipa, level, 0, 0);
        if (x0 != RMI_SUCCESS) {
            host_fail(h, "read a Realm translation table", x0);
            return false;
        }
        if (cpu->x[2] != RMI_TABLE) {
            continue;
        }
        if (level < 2 && !take_tables(h, cpu, ipa, level + 1)) {
            return false;
        }
        x0 = host_rmi(h, cpu, RMI_FID_RTT_DESTROY, h->rd, ipa, level + 1, 0, 0);
        if (x0 != RMI_SUCCESS) {
            host_fail(h, "destroy a Realm translation table", x0);
            return false;
        }
        if (!host_take_back(h, cpu, cpu->x[1])) {
            return false;
        }
    }
    return true;
}

/* ---- the Realm ---- */

static bool destroy_rec(Host *h, A64Cpu *cpu, HostCpu *hc)
{
    uint64_t x0 = host_rmi(h, cpu, RMI_FID_REC_DESTROY, hc->rec, 0, 0, 0, 0);

    if (x0 != RMI_SUCCESS) {
        host_fail(h, "destroy a REC", x0);
        return false;
    }
    while (hc->n_aux != 0 && host_take_back(h, cpu, hc->aux[hc->n_aux - 1])) {
        hc->n_aux--;
    }
    host_release(h, hc->run);
    return hc->n_aux == 0 && host_take_back(h, cpu, hc->rec);
}

static bool destroy_realm(Host *h, A64Cpu *cpu)
{
    for (unsigned i = 0; i < h->n_recs; i++) {
        if (!destroy_rec(h, cpu, &h->cpus[i])) {
            return false;
        }
    }
    uint64_t x0 = host_rmi(h, cpu, RMI_FID_REALM_DESTROY, h->rd, 0, 0, 0, 0);

    if (x0 != RMI_SUCCESS) {
        host_fail(h, "destroy the Realm", x0);
        return false;
    }
    return host_take_back(h, cpu, h->rtt_root) && host_take_back(h, cpu, h->rd);
}

/* ---- one step after the other ---- */

static void step(Host *h, A64Cpu *cpu)
{
    uint64_t    ram_end = h->ram_base + h->ram_size;
    HostDevice *d = next_to_end(h);

    switch (h->phase) {
    case HOST_END_DEVICES:
        if (d == NULL) {
            host_next_phase(h, HOST_END_MEMORY, h->ram_base);
        } else {
            end_device(h, cpu, d);
        }
        break;
    case HOST_END_MEMORY:
        for (unsigned i = 0; i < BLOCKS_PER_STEP && h->progress < ram_end; i++, h->progress += BLOCK_SIZE) {
            if (!take_block(h, cpu, h->progress)) {
                return;
            }
        }
        if (h->progress >= ram_end) {
            host_next_phase(h, HOST_END_REALM, 0);
        }
        break;
    case HOST_END_REALM:
        if (take_tables(h, cpu, 0, 0) && destroy_realm(h, cpu)) {
            host_next_phase(h, HOST_ENDED, 0);
            machine_note_step(h->cfg.machine, "realm-destroyed");
            h->cfg.ended(h->cfg.opaque, h->end);
        }
        break;
    default:
        break;
    }
}

bool host_end_step(Host *h, HostCpu *hc)
{
    if (hc->state == HOST_REC_ENTERED) { /* its last exit, whatever it asks for */
        hc->state = HOST_REC_OFF;
        machine_wake(h->cfg.machine);
    }
    host_gic_serve(h, hc);
    if (hc->cpu->cpu.index != 0 || h->phase == HOST_ENDED || somebody_runs(h)) {
        return false;
    }
    step(h, hc->cpu);
    if (h->phase == HOST_END_DEVICES) {
        const HostDevice *d = next_to_end(h);

        return d == NULL || !host_device_sleeps(h, d);
    }
    return h->phase != HOST_FAILED && h->phase != HOST_ENDED;
}
