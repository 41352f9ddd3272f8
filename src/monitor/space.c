/*
 * Which addresses a user means: virtual ones, as the CPU translates them now, physical ones of one physical address
 * space, or a Realm's intermediate ones. A page that the space may not reach is not there: owners are asked as for
 * anyone.
 */
#include <inttypes.h>

#include "bits.h"
#include "monitor/monitor.h"

enum { PAGE_BYTES = 4096 };

static void take_realm(void *opaque, const RmmRealm *realm)
{
    RmmRealm *out = opaque;

    *out = out->rd == 0 ? *realm : (RmmRealm){ .rd = ~0ull }; /* the second: it is not clear which */
}

bool mon_realm(Mon *m, uint64_t rd, RmmRealm *out)
{
    uint64_t rec, running;

    if (rd != 0) {
        return rmm_realm_at(m->on.rmm, rd, out);
    }
    if (rmm_running(m->on.rmm, m->cpu, &rec, &running)) {
        return rmm_realm_at(m->on.rmm, running, out);
    }
    *out = (RmmRealm){ 0 };
    rmm_realms(m->on.rmm, take_realm, out);
    return out->rd != 0 && out->rd != ~0ull;
}

bool mon_translate(Mon *m, uint64_t addr, uint64_t *pa, Pas *pas)
{
    A64Walk  walk = { .pa = addr, .pas = m->view.pas };
    RmmRealm realm;

    switch (m->view.space) {
    case MON_CPU:
        if (!a64_regime_walk(mon_a64(m), addr, &walk)) {
            return false;
        }
        break;
    case MON_PHYS:
        break;
    case MON_IPA:
        if (!mon_realm(m, m->view.rd, &realm)) {
            return false;
        }
        a64_stage2_walk(machine_memory(m->on.machine), realm.vtcr, realm.vttbr, PAS_REALM, addr, false, false, true,
                        false, &walk);
        if (walk.fault != A64_FAULT_NONE) {
            return false;
        }
        break;
    }
    *pa = walk.pa;
    *pas = walk.pas;
    return true;
}

/* @len bytes at @addr, which do not cross a page. */
static bool access_piece(Mon *m, uint64_t addr, uint8_t *data, size_t len, bool write)
{
    Memory  *memory = machine_memory(m->on.machine);
    MemAttrs attrs = { .requester = m->cpu };
    uint64_t pa;

    if (!mon_translate(m, addr, &pa, &attrs.pas)) {
        return false;
    }
    const MemRegion *r = memory_find(memory, pa);
    if (r == NULL || r->kind == MEM_MMIO || r->host == NULL || (write && r->kind != MEM_RAM)) {
        return false;
    }
    return (write ? memory_write(memory, pa, attrs, data, len) : memory_read(memory, pa, attrs, data, len)) == MEM_OK;
}

static bool access_all(Mon *m, uint64_t addr, uint8_t *data, size_t len, bool write)
{
    while (len != 0) {
        size_t piece = MIN(len, PAGE_BYTES - (addr & (PAGE_BYTES - 1)));

        if (!access_piece(m, addr, data, piece, write)) {
            return false;
        }
        addr += piece;
        data += piece;
        len -= piece;
    }
    return true;
}

bool mon_read(Mon *m, uint64_t addr, void *dst, size_t len) { return access_all(m, addr, dst, len, false); }

bool mon_write(Mon *m, uint64_t addr, const void *src, size_t len)
{
    return access_all(m, addr, (uint8_t *)src, len, true);
}

/* ---- choosing ---- */

static void say_view(const Mon *m, GString *out)
{
    switch (m->view.space) {
    case MON_CPU:
        g_string_append(out, "addresses are virtual, as the CPU translates them\n");
        break;
    case MON_PHYS:
        g_string_append_printf(out, "addresses are physical, of the %s space\n", pas_name(m->view.pas));
        break;
    case MON_IPA:
        if (m->view.rd != 0) {
            g_string_append_printf(out, "addresses are intermediate ones of the Realm at 0x%" PRIx64 "\n", m->view.rd);
        } else {
            g_string_append(out, "addresses are intermediate ones of the Realm that the CPU runs, or the only one\n");
        }
        break;
    }
}

bool mon_space(const char *word, Pas *pas, GError **error)
{
    static const struct {
        const char *name;
        Pas         pas;
    } spaces[] = { { "realm", PAS_REALM }, { "ns", PAS_NONSECURE }, { "secure", PAS_SECURE }, { "root", PAS_ROOT } };

    for (size_t i = 0; i < ARRAY_LEN(spaces); i++) {
        if (g_ascii_strcasecmp(spaces[i].name, word) == 0) {
            *pas = spaces[i].pas;
            return true;
        }
    }
    return mon_fail(error, "there is no physical address space '%s'; write realm, ns, secure or root", word);
}

static bool set_phys(Mon *m, const char *word, GString *out, GError **error)
{
    Pas pas = PAS_NONSECURE;

    if (!mon_space(word, &pas, error)) {
        return false;
    }
    m->view = (MonView){ .space = MON_PHYS, .pas = pas };
    say_view(m, out);
    return true;
}

static bool set_ipa(Mon *m, const char *word, GString *out, GError **error)
{
    uint64_t rd = 0;
    RmmRealm realm;

    if (word != NULL && !mon_address(m, word, &rd, error)) {
        return false;
    }
    if (!mon_realm(m, rd, &realm)) {
        return word != NULL ? mon_fail(error, "there is no Realm's RD at 0x%" PRIx64 "; 'info realms' lists them", rd)
                            : mon_fail(error, "the CPU runs no Realm, and there is not one alone; name its RD, which "
                                              "'info realms' lists");
    }
    m->view = (MonView){ .space = MON_IPA, .rd = rd };
    say_view(m, out);
    return true;
}

MON_COMMAND(as, .name = "as", .args = "[cpu | phys realm|ns|secure|root | ipa [RD]]",
            .help = "what addresses mean: virtual, physical of one space, or a Realm's intermediate ones",
            .max_args = 2)
{
    const char *kind = argc > 0 ? argv[0] : NULL;

    if (kind == NULL) {
        say_view(m, out);
        return true;
    }
    if (g_ascii_strcasecmp(kind, "cpu") == 0 && argc == 1) {
        m->view = (MonView){ .space = MON_CPU };
        say_view(m, out);
        return true;
    }
    if (g_ascii_strcasecmp(kind, "phys") == 0 && argc == 2) {
        return set_phys(m, argv[1], out, error);
    }
    if (g_ascii_strcasecmp(kind, "ipa") == 0) {
        return set_ipa(m, argv[1], out, error);
    }
    return mon_fail(error, "'as' takes cpu, phys with the name of a space, or ipa with an RD's address");
}

MON_COMMAND(phys, .name = "phys", .args = "realm|ns|secure|root", .help = "short for 'as phys'", .min_args = 1,
            .max_args = 1)
{
    return set_phys(m, argv[0], out, error);
}

MON_COMMAND(translate, .name = "translate", .args = "ADDRESS", .help = "where an address leads", .min_args = 1,
            .max_args = 1)
{
    uint64_t addr, pa;
    Pas      pas;

    if (!mon_address(m, argv[0], &addr, error)) {
        return false;
    }
    if (!mon_translate(m, addr, &pa, &pas)) {
        return mon_fail(error, "nothing is mapped at 0x%" PRIx64, addr);
    }
    const MemRegion *r = memory_find(machine_memory(m->on.machine), pa);
    bool reachable = owners_allow(machine_owners(m->on.machine), pa, pas);
    g_string_append_printf(out, "0x%" PRIx64 " is 0x%" PRIx64 " of the %s space%s%s%s\n", addr, pa, pas_name(pas),
                           r != NULL ? ": " : "", r != NULL ? r->name : "",
                           reachable ? "" : ", a page of another world");
    return true;
}
