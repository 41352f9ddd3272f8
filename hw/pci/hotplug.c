/* Slots: what Slot Capabilities, Control and Status say, and when a card leaves. */
#include "hw/pci/hotplug.h"

#include "hw/pci/pci_int.h"

enum {
    CAP_ATTENTION_BUTTON = 1 << 0,
    CAP_POWER_INDICATOR = 1 << 4,
    CAP_HOT_PLUG = 1 << 6,
    CAP_NO_COMMAND_COMPLETED = 1 << 18,
    CTL_INTERRUPT = 1 << 5,
    CTL_POWER_INDICATOR_LSB = 8,
    CTL_WRITABLE = 0x131f, /* without what the slot has not: latch, attention indicator, power, interlock */
    INDICATOR_ON = 1,
    INDICATOR_OFF = 3,
    STA_BUTTON = 1 << 0,
    STA_PRESENCE_CHANGED = 1 << 3,
    STA_PRESENT = 1 << 6,
    STA_LINK_CHANGED = 1 << 8,
    N_VECTOR = 0, /* Interrupt Message Number of the port */
    PM_CAPABILITIES = 2, /* of the power management capability */
    PM_CSR = 4,
    PMC_PME_D0 = 1 << 11,
    PMC_PME_D3HOT = 1 << 14,
    CSR_PME_ENABLE = 1 << 8,
    CSR_PME_STATUS = 1 << 15,
    RTCTL_PME = 1 << 3,
    RTSTA_PME = 1 << 16,
};

/* Events are in Slot Status where their enables are in Slot Control, but for the last. */
enum { EVENTS_SAME_BIT = STA_BUTTON | STA_PRESENCE_CHANGED, CTL_LINK_ENABLE = 1 << 12 };

static unsigned reg(const PciSlot *s, unsigned off) { return s->port->exp_cap + off; }
static unsigned control(const PciSlot *s) { return pci_get(s->port, reg(s, PCI_EXP_SLTCTL), 2); }
static unsigned status(const PciSlot *s) { return pci_get(s->port, reg(s, PCI_EXP_SLTSTA), 2); }
static unsigned indicator(unsigned ctl) { return ctl >> CTL_POWER_INDICATOR_LSB & 3; }

static bool occupied(const PciSlot *s)
{
    for (unsigned f = 0; f < ARRAY_LEN(s->port->secondary->functions); f++) {
        if (s->port->secondary->functions[f] != NULL) {
            return true;
        }
    }
    return false;
}

/* Some event is there that software has enabled. */
static bool has_event(const PciSlot *s)
{
    unsigned ctl = control(s), sta = status(s);

    return (sta & ctl & EVENTS_SAME_BIT) != 0 || ((sta & STA_LINK_CHANGED) && (ctl & CTL_LINK_ENABLE));
}

/* "Software Notification of Hot-Plug Events", "Native PME Software Model": one message for both. */
static bool asks(const PciSlot *s)
{
    bool pme = (pci_get(s->port, reg(s, PCI_EXP_RTCTL), 2) & RTCTL_PME) != 0 &&
               (pci_get(s->port, reg(s, PCI_EXP_RTSTA), 4) & RTSTA_PME) != 0;

    return pme || ((control(s) & CTL_INTERRUPT) != 0 && has_event(s) && pci_power_state(s->port) == 0);
}

/* In D3hot an event is told as a power management event, when that is enabled; the requester is the port itself. */
static void wake(PciSlot *s)
{
    unsigned csr = s->port->pm_cap + PM_CSR, value = pci_get(s->port, csr, 2);

    if (pci_power_state(s->port) != 0 && has_event(s) && (value & CSR_PME_ENABLE)) {
        pci_set(s->port, csr, 2, value | CSR_PME_STATUS);
        pci_set(s->port, reg(s, PCI_EXP_RTSTA), 4, RTSTA_PME | pci_bdf(s->port));
    }
}

/* After a change of both registers, from a time when it asked or did not. A message is sent when it begins to. */
static void notify(PciSlot *s, bool asked)
{
    bool now = asks(s);

    if (pci_msix_enabled(s->port)) {
        pci_set_intx(s->port, false);
        if (now && !asked) {
            pci_service_notify(s->port, N_VECTOR);
        }
    } else {
        pci_set_intx(s->port, now);
    }
}

static void slot_raise(PciSlot *s, unsigned events)
{
    bool asked = asks(s);

    pci_set(s->port, reg(s, PCI_EXP_SLTSTA), 2, status(s) | events);
    wake(s);
    notify(s, asked);
}

bool pci_slot_link_active(const PciSlot *s) { return occupied(s) && !pci_link_is_down(s->port); }

void pci_slot_link_changed(PciSlot *s) { slot_raise(s, STA_LINK_CHANGED); }

/* A card is there, or not any more. Who puts one in presses the button, too: software that lets the port sleep may
 * have no other event enabled, as links go down with their ports. */
static void presence_changed(PciSlot *s)
{
    bool     present = occupied(s);
    unsigned link = reg(s, PCI_EXP_LNKSTA);

    pci_set(s->port, reg(s, PCI_EXP_SLTSTA), 2, (status(s) & ~(unsigned)STA_PRESENT) | (present ? STA_PRESENT : 0));
    pci_set(s->port, link, 2, deposit64(pci_get(s->port, link, 2), 13, 1, pci_slot_link_active(s)));
    slot_raise(s, STA_PRESENCE_CHANGED | STA_LINK_CHANGED | (present ? STA_BUTTON : 0));
}

static void eject(void *opaque)
{
    PciSlot *s = opaque;
    PciHost *host = s->port->bus->host;

    timer_set(&s->eject, INT64_MAX);
    if (occupied(s)) { /* it is not there before its card is gone */
        pci_link_reset(s->port);
    }
    while (occupied(s)) {
        PciDevice       *pd = NULL;
        g_autofree char *id = NULL;

        for (unsigned f = 0; pd == NULL; f++) {
            pd = s->port->secondary->functions[f]; /* function 0 first: it takes virtual ones along */
        }
        id = g_strdup(pd->dev.id);
        pci_remove(pd);
        if (host->on_deleted != NULL) {
            host->on_deleted(host->on_deleted_opaque, id);
        }
    }
    presence_changed(s);
}

static void slot_written(void *opaque, const PciConfigWrite *w)
{
    PciSlot *s = opaque;
    unsigned before = s->indicator;

    s->indicator = (uint8_t)indicator(control(s));
    /* Before it, what is enabled now may not have been: a message more is one that finds nothing to do. */
    notify(s, false);
    if (s->indicator == INDICATOR_OFF && before != INDICATOR_OFF && occupied(s)) {
        timer_set(&s->eject, clock_now(s->port->dev.clock));
    }
}

/* A card that is there from the start, or through a reset, is so without an event. */
void pci_slot_filled(PciSlot *s)
{
    unsigned link = reg(s, PCI_EXP_LNKSTA);

    pci_set(s->port, reg(s, PCI_EXP_SLTSTA), 2, occupied(s) ? STA_PRESENT : 0);
    pci_set(s->port, link, 2, deposit64(pci_get(s->port, link, 2), 13, 1, pci_slot_link_active(s)));
}

static void slot_reset(void *opaque, PciResetKind kind)
{
    PciSlot *s = opaque;

    timer_set(&s->eject, INT64_MAX);
    s->indicator = INDICATOR_ON;
    pci_slot_filled(s);
}

void pci_slot_init(PciSlot *s, PciDevice *port)
{
    static const PciSpanOps ops = { .written = slot_written, .reset = slot_reset };
    unsigned                cap;

    *s = (PciSlot){ .port = port, .indicator = INDICATOR_ON };
    cap = reg(s, PCI_EXP_SLTCAP);
    port->slot = s;
    pci_set(port, cap, 4, pci_get(port, cap, 4) | CAP_ATTENTION_BUTTON | CAP_POWER_INDICATOR | CAP_HOT_PLUG |
                              CAP_NO_COMMAND_COMPLETED);
    pci_set_wmask(port, reg(s, PCI_EXP_SLTCTL), 2, CTL_WRITABLE | CTL_INTERRUPT);
    pci_set(port, reg(s, PCI_EXP_SLTCTL), 2, INDICATOR_ON << CTL_POWER_INDICATOR_LSB);
    unsigned pm = port->pm_cap;
    pci_set(port, pm + PM_CAPABILITIES, 2, pci_get(port, pm + PM_CAPABILITIES, 2) | PMC_PME_D0 | PMC_PME_D3HOT);
    pci_set_wmask(port, pm + PM_CSR, 2, 3 | CSR_PME_ENABLE);
    pci_set_w1c(port, pm + PM_CSR, 2, CSR_PME_STATUS);
    pci_set_w1c(port, reg(s, PCI_EXP_RTSTA), 4, RTSTA_PME);
    pci_slot_filled(s);
    pci_add_span(port, reg(s, PCI_EXP_SLTCTL), PCI_EXP_RTSTA + 4 - PCI_EXP_SLTCTL, &ops, s);
    timer_init(&s->eject, port->dev.clock, eject, s);
}

void pci_slot_deinit(PciSlot *s) { timer_deinit(&s->eject); }

/* ---- from outside ---- */

static PciSlot *slot_of(const PciBus *bus) { return bus != NULL && bus->bridge != NULL ? bus->bridge->slot : NULL; }

bool pci_hotplug(PciHost *host, Device *dev, GError **error)
{
    PciSlot   *s = slot_of(dev->bus_name != NULL ? pci_host_find_bus(host, dev->bus_name) : NULL);
    PciDevice *pd;

    if (s == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s cannot come while the machine runs without bus= of a port that "
                    "takes one: start with -device pcie-root-port,id=ID,hotplug=on", dev->id);
        device_free(dev);
        return false;
    }
    pd = pci_device(dev);
    if (!pci_plug_option(host, dev, error)) {
        return false;
    }
    pci_reset_function(pd, PCI_RESET_POWER);
    presence_changed(s);
    return true;
}

bool pci_hotunplug(PciDevice *pd, GError **error)
{
    PciSlot *s = slot_of(pd->bus);

    if (s == NULL || pd->pf != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s cannot go while the machine runs: it is not in the slot of a "
                    "pcie-root-port with hotplug=on", pd->dev.id);
        return false;
    }
    slot_raise(s, STA_BUTTON);
    return true;
}

void pci_host_on_deleted(PciHost *host, void (*fn)(void *opaque, const char *id), void *opaque)
{
    host->on_deleted = fn;
    host->on_deleted_opaque = opaque;
}
