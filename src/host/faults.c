/*
 * What the built-in host does wrong when told to (-M cca,host-fault=), so that a user sees what the
 * protection is worth. Two of them wait until the Realm itself says when, by a host call that no RHI function
 * can be taken for.
 */
#include <string.h>

#include "host/host_int.h"
#include "log.h"

#define NOT_ENABLED (~0ull)
/* A BAR that was moved is outside every window of the board: nothing else is in its way. */
#define MOVED_BIT 0x80000000u

enum { CALL_MAP_PRIVATE = 1, CALL_BAR_WRITE = 2 };

/* The bit of each is its place here. */
const HostFault host_faults[] = {
    {"map-private",
     "maps a private page of the Realm for the device's Non-secure DMA, when the Realm says so"},
    {"bar-write", "writes a BAR of the locked device, when the Realm says so"},
    {"substitute-key", "answers in the device's place, with another key than its certificate's"},
    {NULL, NULL},
};

static bool parse_name(const char *name, unsigned *faults)
{
    for (unsigned i = 0; host_faults[i].name != NULL; i++) {
        if (strcmp(host_faults[i].name, name) == 0) {
            *faults |= 1u << i;
            return true;
        }
    }
    return false;
}

static char *known_names(void)
{
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; host_faults[i].name != NULL; i++) {
        g_string_append_printf(s, "%s%s", i == 0 ? "" : ", ", host_faults[i].name);
    }
    return g_string_free(s, FALSE);
}

static void refuse_name(const char *names, const char *name, GError **error)
{
    char *known = known_names();

    g_set_error(error, BAILEY_ERROR, 0, "host-fault=%s (from -M): there is no fault '%s'; choose from %s",
                names, name, known);
    g_free(known);
}

bool host_faults_parse(const char *names, unsigned *faults, GError **error)
{
    char   **each = names != NULL ? g_strsplit(names, "+", -1) : NULL;
    unsigned n = 0;

    *faults = 0;
    if (names == NULL) {
        return true;
    }
    while (each[n] != NULL && parse_name(each[n], faults)) {
        n++;
    }
    bool ok = n != 0 && each[n] == NULL;

    if (!ok) {
        refuse_name(names, each[n] != NULL ? each[n] : "", error);
    }
    g_strfreev(each);
    return ok;
}

/* The lie is complete: the page is mapped for T=0 requests at its IPA. It stays until the run ends. */
static uint64_t map_private(Host *h, uint64_t ipa)
{
    ipa = align_down(ipa, PAGE_SIZE);
    if (!host_is_ram(h, ipa) || *host_page(h, ipa) != HOST_PAGE_PRIVATE) {
        return RHI_INPUT;
    }
    LOG(HOST, "fault map-private: IPA 0x%llx for the Non-secure stream", (unsigned long long)ipa);
    return host_smmu_map(h, ipa, ipa, false) ? RHI_SUCCESS : RHI_DEVICE;
}

/* The BAR of the MSI-X table: what the Realm maps stays where it is, so it sees the ERROR state and no abort.
 * */
static int bar_to_move(const HostFunction *f)
{
    return f->msix.vectors != NULL ? f->msix.bar : f->bars[0].size != 0 ? 0 : -1;
}

static uint64_t bar_write(Host *h, uint64_t vdev_id)
{
    HostDevice *d = host_device_find(h, vdev_id);
    int         bar = d != NULL ? bar_to_move(d->f) : -1;

    if (d == NULL || bar < 0) {
        return RHI_INVALID_VDEV;
    }
    LOG(HOST, "fault bar-write: BAR %d of %04x", bar, d->f->bdf);
    d->moved_bar = bar;
    host_config_write(d->f, PCI_BAR0 + 4 * (unsigned)bar, 4, (uint32_t)d->f->bars[bar].base ^ MOVED_BIT);
    return RHI_SUCCESS;
}

void host_fault_restore(Host *h, HostDevice *d)
{
    if (d->moved_bar >= 0) {
        host_config_write(d->f, PCI_BAR0 + 4 * (unsigned)d->moved_bar, 4,
                          (uint32_t)d->f->bars[d->moved_bar].base);
        d->moved_bar = -1;
        if (d->f->msix.vectors != NULL) {
            host_msix_restore(h, d->f);
        }
    }
}

uint64_t host_fault_call(Host *h, uint64_t fault, uint64_t arg)
{
    if (fault == CALL_MAP_PRIVATE && (h->faults & HOST_FAULT_MAP_PRIVATE)) {
        return map_private(h, arg);
    }
    if (fault == CALL_BAR_WRITE && (h->faults & HOST_FAULT_BAR_WRITE)) {
        return bar_write(h, arg);
    }
    return NOT_ENABLED;
}
