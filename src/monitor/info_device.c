/* What devices and their links are at: PCI functions, IDE streams, SPDM connections, the SMMU, interrupts. */
#include <inttypes.h>

#include "hw/gicv3.h"
#include "hw/pci/root_port.h"
#include "hw/tdisp/dsm.h"
#include "iommu/smmuv3.h"
#include "monitor/monitor.h"
#include "spdm/crypto.h"

#define BDF_FMT     "%02x:%02x.%u"
#define BDF_ARGS(b) (b) >> 8, (b) >> 3 & 0x1f, (b) & 7

/* Calls @fn for every function of the machine's buses; a sentence when it has said nothing. */
static bool each_function(Mon *m, void (*fn)(PciDevice *pd, void *out), const char *nothing, GString *out)
{
    gsize before = out->len;

    if (m->on.pci != NULL) {
        pci_host_foreach(m->on.pci, fn, out);
    }
    if (out->len == before) {
        g_string_append_printf(out, "%s\n", nothing);
    }
    return true;
}

/* ---- PCI ---- */

static void put_bars(const PciDevice *pd, GString *out)
{
    for (unsigned n = 0; n < PCI_N_BARS; n++) {
        const PciBar *bar = &pd->bars[n];

        if (bar->size == 0) {
            continue;
        }
        g_string_append_printf(out, "  BAR %u: %s of 0x%" PRIx64 " bytes", n,
                               bar->flags & PCI_BAR_IO      ? "I/O"
                               : bar->flags & PCI_BAR_MEM64 ? "64-bit memory"
                                                            : "32-bit memory",
                               bar->size);
        if (bar->mapped) {
            g_string_append_printf(out, " at 0x%" PRIx64 "\n", bar->base);
        } else {
            g_string_append(out, ", off\n");
        }
    }
}

static void put_function(PciDevice *pd, void *opaque)
{
    static const struct {
        unsigned    bit;
        const char *name;
    } bits[] = { { PCI_COMMAND_MEMORY, "memory" }, { PCI_COMMAND_MASTER, "bus master" },
                 { PCI_COMMAND_INTX_DISABLE, "no INTx" } };
    GString *out = opaque;
    unsigned command = pci_get(pd, PCI_COMMAND, 2), bdf = pci_bdf(pd);

    g_string_append_printf(out, BDF_FMT " %s: %s, %04x:%04x class %04x", BDF_ARGS(bdf), pd->dev.id, pd->dev.cls->name,
                           pci_get(pd, PCI_VENDOR_ID, 2), pci_get(pd, PCI_DEVICE_ID, 2),
                           pci_get(pd, PCI_CLASS_DEVICE, 2));
    for (size_t i = 0; i < G_N_ELEMENTS(bits); i++) {
        g_string_append_printf(out, "%s%s", command & bits[i].bit ? ", " : "",
                               command & bits[i].bit ? bits[i].name : "");
    }
    if (pd->msix.cap != 0) {
        g_string_append_printf(out, ", MSI-X of %u %s", pd->msix.n, pci_msix_enabled(pd) ? "on" : "off");
    }
    if (pd->secondary != NULL) {
        g_string_append_printf(out, ", buses %02x to %02x", pci_get(pd, PCI_SECONDARY_BUS, 1),
                               pci_get(pd, PCI_SUBORDINATE_BUS, 1));
    }
    if (pd->pf != NULL) {
        g_string_append_printf(out, ", virtual function %u of %s", pd->vf_index, pd->pf->dev.id);
    }
    g_string_append_c(out, '\n');
    put_bars(pd, out);
}

MON_COMMAND(info_pci, .name = "info pci", .args = "", .help = "PCI functions, their BARs and what is switched on")
{
    gsize before;

    each_function(m, put_function, "there are no PCI functions", out);
    before = out->len;
    if (m->on.realm_pci != NULL) {
        pci_host_foreach(m->on.realm_pci, put_function, out);
    }
    if (out->len != before) {
        g_string_insert(out, (gssize)before, "emulated by the built-in host for its Realm:\n");
    }
    return true;
}

/* ---- IDE ---- */

static void put_associations(const IdeCap *ide, unsigned sel, GString *out)
{
    uint16_t rid_base, rid_limit;

    if (ide_rid_range(ide, sel, &rid_base, &rid_limit)) {
        g_string_append_printf(out, ", requesters 0x%x to 0x%x", rid_base, rid_limit);
    }
    for (unsigned k = 0; k < ide->cfg.n_addr; k++) {
        uint64_t base, limit;

        if (ide_addr_range(ide, sel, k, &base, &limit)) {
            g_string_append_printf(out, ", addresses 0x%" PRIx64 " to 0x%" PRIx64, base, limit);
        }
    }
}

static unsigned count_keys(const IdeStream *s, unsigned key_set)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 2 * IDE_N_SUB; i++) {
        n += s->keys[key_set][i / IDE_N_SUB][i % IDE_N_SUB].go;
    }
    return n;
}

static void put_stream(const IdeCap *ide, unsigned i, GString *out)
{
    const IdeStream *s = &ide->streams[i];
    bool             link = ide_is_link(ide, i);

    g_string_append_printf(out, "%s: %s stream %u: ID %u, %s, %s, traffic class %u, keys in use %u and %u, %" PRIu64
                           " TLPs sent and %" PRIu64 " received", ide->pd->dev.id, link ? "link" : "selective",
                           link ? i - ide->cfg.n_sel : i, ide_stream_id(ide, i), ide_enabled(ide, i) ? "on" : "off",
                           ide_state(ide, i) == IDE_SECURE ? "Secure" : "Insecure", ide_traffic_class(ide, i),
                           count_keys(s, 0), count_keys(s, 1), s->tx_count, s->rx_count);
    if (!link) {
        g_string_append_printf(out, "%s%s%s", ide_default(ide, i) ? ", default" : "",
                               ide_tee_limited(ide, i) ? ", TEE-limited" : "",
                               root_port_stream_locked(ide->pd, i) ? ", locked" : "");
        put_associations(ide, i, out);
    }
    g_string_append_printf(out, "%s%s\n", s->broken ? ", broken" : "",
                           ide_got_fail(ide, i) ? ", heard of a failed check" : "");
}

static void put_ide(PciDevice *pd, void *opaque)
{
    const IdeCap *ide = root_port_ide(pd);

    if (ide == NULL && dsm_of(pd) != NULL && dsm_of(pd)->pd == pd) {
        ide = &dsm_of(pd)->ide;
    }
    for (unsigned i = 0; ide != NULL && i < ide->cfg.n_sel + ide->cfg.n_link; i++) {
        if (ide_enabled(ide, i) || ide_state(ide, i) == IDE_SECURE || count_keys(&ide->streams[i], 0) != 0 ||
            count_keys(&ide->streams[i], 1) != 0 || ide_got_fail(ide, i)) {
            put_stream(ide, i, opaque);
        }
    }
}

MON_COMMAND(info_ide, .name = "info ide", .args = "", .help = "the link encryption's streams, at both ends")
{
    return each_function(m, put_ide, "no IDE stream is on, and none has keys", out);
}

/* ---- SPDM ---- */

#define NAME_OF(row) ((row) != NULL ? (row)->name : "none")

static void put_session(const SpdmSession *s, GString *out)
{
    g_string_append_printf(out, "  session 0x%08x: %s%s, secured messages %u.%u, records %" PRIu64 " in and %" PRIu64
                           " out%s\n", s->id, s->state == SPDM_SESSION_ESTABLISHED ? "established" : "handshake",
                           s->psk ? " by a pre-shared key" : "", s->secured_version >> 12,
                           s->secured_version >> 8 & 0xf, s->keys.request_data.sequence,
                           s->keys.response_data.sequence, s->update_pending ? ", new keys to be verified" : "");
}

static void put_spdm(PciDevice *pd, void *opaque)
{
    static const char *const states[] = { "nothing agreed", "version asked", "capabilities exchanged", "negotiated" };
    GString   *out = opaque;
    const Dsm *dsm = dsm_of(pd);

    if (dsm == NULL || dsm->pd != pd) {
        return;
    }
    const SpdmResponder *r = &dsm->responder;
    g_string_append_printf(out, "%s: %s", pd->dev.id,
                           dsm->brain != NULL ? "a responder outside answers" : states[r->connection]);
    if (r->version != 0) {
        g_string_append_printf(out, ", SPDM %u.%u", r->version >> 4, r->version & 0xf);
    }
    if (r->connection == SPDM_NEGOTIATED) {
        g_string_append_printf(out, ", %s, %s, %s, %s", NAME_OF(spdm_hash(r->selected.hash)),
                               NAME_OF(spdm_asym(r->selected.asym)), NAME_OF(spdm_dhe(r->selected.dhe)),
                               NAME_OF(spdm_aead(r->selected.aead)));
    }
    g_string_append_printf(out, ", %" PRIu64 " messages answered\n", dsm->faults.messages);
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        if (r->sessions[i].state != SPDM_SESSION_FREE) {
            put_session(&r->sessions[i], out);
        }
    }
}

MON_COMMAND(info_spdm, .name = "info spdm", .args = "", .help = "SPDM connections and sessions, as devices have them")
{
    return each_function(m, put_spdm, "no device speaks SPDM", out);
}

/* ---- the SMMU ---- */

enum { STREAMS_MAX = 256 }; /* of a stream table */

static void put_stage1(const SmmuStreamLook *st, GString *out)
{
    g_string_append_printf(out, "stage 1, context descriptor at %s0x%" PRIx64, st->s2 ? "IPA " : "", st->cd);
    if (st->tables) {
        g_string_append_printf(out, ": tables 0x%" PRIx64 " and 0x%" PRIx64 ", ASID %u", st->s1_ttb[0], st->s1_ttb[1],
                               st->asid);
    } else if (st->bad_cd) {
        g_string_append(out, ", a bad one (C_BAD_CD)");
    } else if (!st->s2) {
        g_string_append(out, ", which cannot be read (F_CD_FETCH)");
    }
    g_string_append(out, st->s2 ? "; " : "");
}

static void put_smmu_stream(void *opaque, const SmmuStreamLook *st)
{
    GString *out = opaque;

    g_string_append_printf(out, "  stream 0x%x: ", st->sid);
    if (st->bad_ste) {
        g_string_append(out, "a bad entry (C_BAD_STE)\n");
        return;
    }
    if (st->abort) {
        g_string_append(out, "refused");
    } else if (!st->s1 && !st->s2) {
        g_string_append(out, "bypass");
    }
    if (st->s1) {
        put_stage1(st, out);
    }
    if (st->s2) {
        g_string_append_printf(out, "stage 2, tables 0x%" PRIx64 ", VMID %u", st->s2_ttb, st->vmid);
    }
    g_string_append_printf(out, "%s\n", st->differs  ? "; so cached, the table in memory says otherwise"
                                       : st->cached ? "; cached" : "");
}

static void put_smmu(const Smmu *s, Pas pas, GString *out)
{
    SmmuLook l;
    unsigned n;

    smmu_look(s, pas, &l);
    g_string_append_printf(out, "%s: %s, stream table 0x%" PRIx64 " (configuration 0x%x), %u pages and %" PRIu64
                           " events so far\n", pas_name(pas),
                           l.enabled ? "on"
                           : l.aborts ? "off, requests are refused"
                                      : "off, requests pass", l.strtab_base, l.strtab_cfg, l.n_pages, l.n_events);
    g_string_append_printf(out, "  commands %s: base 0x%" PRIx64 ", prod 0x%x, cons 0x%x; events %s: base 0x%" PRIx64
                           ", prod 0x%x, cons 0x%x; global errors 0x%x\n", l.commands ? "on" : "off", l.cmdq.base,
                           l.cmdq.prod, l.cmdq.cons, l.events ? "on" : "off", l.evtq.base, l.evtq.prod, l.evtq.cons,
                           l.gerror ^ l.gerrorn);
    n = smmu_look_streams(s, pas, STREAMS_MAX, put_smmu_stream, out);
    if (n > STREAMS_MAX) {
        g_string_append_printf(out, "  and %u more entries\n", n - STREAMS_MAX);
    }
}

MON_COMMAND(info_smmu, .name = "info smmu", .args = "",
            .help = "both interfaces of the SMMU: queues, and the streams of their tables")
{
    if (m->on.smmu == NULL) {
        return mon_fail(error, "this machine has no SMMU");
    }
    put_smmu(m->on.smmu, PAS_NONSECURE, out);
    put_smmu(m->on.smmu, PAS_REALM, out);
    return true;
}

/* ---- interrupts ---- */

static void put_irq(void *opaque, const GicLook *irq)
{
    GString *out = opaque;

    g_string_append_printf(out, "%5u ", irq->intid);
    if (irq->cpu >= 0) {
        g_string_append_printf(out, "CPU %d", irq->cpu);
    } else {
        g_string_append(out, "nobody");
    }
    g_string_append_printf(out, ", priority 0x%02x, group %u, %s%s%s%s%s\n", irq->prio, irq->group,
                           irq->edge ? "edge" : "level", irq->enabled ? ", enabled" : "",
                           irq->pending ? ", pending" : "", irq->active ? ", active" : "",
                           irq->level ? ", input high" : "");
}

MON_COMMAND(info_irq, .name = "info irq", .args = "",
            .help = "what CPUs take, and interrupts that are enabled, pending or active")
{
    static const char *const lines[] = { "IRQ", "FIQ", "vIRQ", "vFIQ" };

    if (m->on.gic == NULL) {
        return mon_fail(error, "this machine has no interrupt controller");
    }
    for (unsigned i = 0; i < m->on.n_cpus; i++) {
        GicCpuLook l;

        gicv3_look_cpu(m->on.gic, i, &l);
        g_string_append_printf(out, "CPU %u: %s, priorities below 0x%02x, groups%s%s%s, next ", i,
                               l.asleep ? "asleep" : "awake", l.pmr, l.group_enable & 1 ? " 0" : "",
                               l.group_enable & 2 ? " 1" : "", l.group_enable == 0 ? " none" : "");
        if (l.best == GIC_SPURIOUS) {
            g_string_append(out, "none");
        } else {
            g_string_append_printf(out, "%u", l.best);
        }
        for (unsigned n = 0; n < G_N_ELEMENTS(lines); n++) {
            g_string_append_printf(out, "%s%s", l.line[n] ? ", asks by " : "", l.line[n] ? lines[n] : "");
        }
        g_string_append_printf(out, ", %u list registers in use\n", l.n_lrs);
    }
    gicv3_look(m->on.gic, put_irq, out);
    return true;
}
