/*
 * ide-fault=KIND[@N]: what goes wrong with the IDE stream on request, once, at the Nth trusted TLP that passes over it
 * in either direction. mac: that TLP is spoilt on the way; the receiver's check fails, the sender gets the IDE Fail
 * message. key-expiry: the key's last use was before it, so the device leaves Secure by itself. link: the link goes
 * down and comes up again. link-mac: as mac, at the Nth TLP of the link stream. Source: PCI Express Base Specification
 * 6.0, "IDE Stream State Machine".
 */
#include <string.h>

#include "hw/pci/root_port.h"
#include "hw/tdisp/dsm_int.h"
#include "log.h"

static const char *const kinds[] = {
    [IDE_FAULT_MAC] = "mac", [IDE_FAULT_KEY_EXPIRY] = "key-expiry", [IDE_FAULT_LINK] = "link",
    [IDE_FAULT_LINK_MAC] = "link-mac",
};

/* The link takes everything below it along, which must not happen amid a request of the function. */
static void drop_link(void *opaque)
{
    Dsm *dsm = opaque;

    pci_link_reset(root_port_of(dsm->pd));
}

/* The kind that a text names up to its end or an @, IDE_FAULT_NONE for another. */
static IdeFaultKind kind_named(const char *text)
{
    size_t len = strcspn(text, "@");

    for (unsigned k = IDE_FAULT_MAC; k < ARRAY_LEN(kinds); k++) {
        if (strlen(kinds[k]) == len && memcmp(kinds[k], text, len) == 0) {
            return (IdeFaultKind)k;
        }
    }
    return IDE_FAULT_NONE;
}

bool ide_fault_named(const char *text) { return kind_named(text) != IDE_FAULT_NONE; }

bool ide_fault_inject(Dsm *dsm, const char *text, GError **error)
{
    const char  *at = strchr(text, '@');
    IdeFaultKind kind = kind_named(text);
    guint64      n = 1;

    if (kind == IDE_FAULT_NONE || (at != NULL && !g_ascii_string_to_unsigned(at + 1, 10, 1, G_MAXUINT64, &n, NULL))) {
        g_set_error(error, BAILEY_ERROR, 0, "ide-fault=%s of device %s: give mac, key-expiry, link or link-mac, and "
                    "behind an @ at which TLP (1 and up)", text, dsm->pd->dev.cls->name);
        return false;
    }
    dsm->ide_fault.kind = kind;
    dsm->ide_fault.left = n;
    return true;
}

bool ide_fault_configure(Dsm *dsm, GError **error)
{
    return dsm->ide_fault.text == NULL || ide_fault_inject(dsm, dsm->ide_fault.text, error);
}

void ide_fault_init(Dsm *dsm)
{
    timer_init(&dsm->ide_fault.link, dsm->pd->dev.clock, drop_link, dsm);
}

void ide_fault_deinit(Dsm *dsm)
{
    timer_deinit(&dsm->ide_fault.link);
}

bool ide_fault_spoils(void *opaque, IdeCap *ide, unsigned sel, IdeDirection dir)
{
    Dsm *dsm = opaque;

    if (ide_is_link(ide, sel) != (dsm->ide_fault.kind == IDE_FAULT_LINK_MAC)) {
        return false;
    }
    if (dsm->ide_fault.left == 0 || --dsm->ide_fault.left != 0) {
        return false;
    }
    LOG(IDE, "%s: ide-fault %s", dsm->pd->dev.id, kinds[dsm->ide_fault.kind]);
    switch (dsm->ide_fault.kind) {
    case IDE_FAULT_MAC:
    case IDE_FAULT_LINK_MAC:
        return true;
    case IDE_FAULT_KEY_EXPIRY:
        ide_keys_clear(ide, sel);
        break;
    case IDE_FAULT_LINK:
        timer_set(&dsm->ide_fault.link, clock_now(dsm->pd->dev.clock));
        break;
    case IDE_FAULT_NONE:
        break;
    }
    return false;
}
