/* Cards that come and go while the machine runs. */
#include "hw/pci/hotplug.h"

#include "monitor/monitor.h"

bool mon_device_add(Mon *m, const char *text, GError **error)
{
    if (m->on.plug == NULL) {
        return mon_fail(error, "no device can come while this machine runs");
    }
    return m->on.plug(m->on.board, text, error);
}

void mon_each_function(const Mon *m, void (*fn)(PciDevice *pd, void *opaque), void *opaque)
{
    if (m->on.pci != NULL) {
        pci_host_foreach(m->on.pci, fn, opaque);
    }
    if (m->on.realm_pci != NULL) {
        pci_host_foreach(m->on.realm_pci, fn, opaque);
    }
}

PciDevice *mon_function(const Mon *m, const char *id)
{
    PciDevice *pd = m->on.pci != NULL ? pci_host_find_id(m->on.pci, id) : NULL;

    return pd != NULL || m->on.realm_pci == NULL ? pd : pci_host_find_id(m->on.realm_pci, id);
}

bool mon_device_del(Mon *m, const char *id, bool *found, GError **error)
{
    PciDevice *pd = mon_function(m, id);

    *found = pd != NULL;
    if (pd == NULL) {
        return mon_fail(error, "there is no device '%s'; 'info pci' lists them", id);
    }
    if (!pci_hotunplug(pd, error)) {
        return false;
    }
    machine_wake(m->on.machine);
    return true;
}

MON_COMMAND(device_add, .name = "device_add", .args = "NAME,id=ID,bus=PORT[,key=value]",
            .help = "plug a PCI device, written as for -device, into a pcie-root-port with hotplug=on", .min_args = 1,
            .max_args = 1)
{
    return mon_device_add(m, argv[0], error);
}

MON_COMMAND(device_del, .name = "device_del", .args = "ID",
            .help = "ask the guest to give a device back: its attention button; it goes when the guest agrees",
            .min_args = 1, .max_args = 1)
{
    bool found;

    return mon_device_del(m, argv[0], &found, error);
}
