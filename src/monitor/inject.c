/* What a tester makes happen: interrupts, errors, faults of devices. It comes from outside, as keys do, at the point of
 * guest time where the machine is. */
#include "hw/gicv3.h"
#include "hw/tdisp/dsm.h"
#include "monitor/monitor.h"

/* The CPU of an optional word, the session's without it. */
static bool cpu_of(const Mon *m, const char *word, unsigned *cpu, GError **error)
{
    uint64_t n = m->cpu;

    if (word != NULL && !mon_number(word, &n, error)) {
        return false;
    }
    if (n >= m->on.n_cpus) {
        return mon_fail(error, "there is no CPU %s; they are 0 to %u", word, m->on.n_cpus - 1);
    }
    *cpu = (unsigned)n;
    return true;
}

MON_COMMAND(inject_irq, .name = "inject irq", .args = "INTID [CPU]",
            .help = "make an interrupt pending; of a private one, the CPU's", .min_args = 1, .max_args = 2)
{
    uint64_t intid;
    unsigned cpu = 0;

    if (!mon_number(argv[0], &intid, error) || !cpu_of(m, argv[1], &cpu, error)) {
        return false;
    }
    if (m->on.gic == NULL || intid > UINT32_MAX || !gicv3_pend(m->on.gic, cpu, (uint32_t)intid)) {
        return mon_fail(error, "there is no interrupt %s that could be made pending: they are 0 to 1019, as far as "
                               "the machine has them", argv[0]);
    }
    machine_wake(m->on.machine);
    return true;
}

MON_COMMAND(inject_serror, .name = "inject serror", .args = "[CPU]", .help = "a system error at a CPU", .max_args = 1)
{
    unsigned cpu = 0;

    if (!cpu_of(m, argv[0], &cpu, error)) {
        return false;
    }
    a64_set_line(m->on.cpus[cpu], A64_LINE_SERROR, true);
    machine_wake(m->on.machine);
    return true;
}

MON_COMMAND(inject_device, .name = "inject device", .args = "ID FAULT",
            .help = "a device goes wrong, as by its ide-fault= or tamper= from now on", .min_args = 2, .max_args = 2)
{
    PciDevice *pd = m->on.pci != NULL ? pci_host_find_id(m->on.pci, argv[0]) : NULL;
    Dsm       *dsm = pd != NULL ? dsm_of(pd) : NULL;

    if (pd == NULL) {
        return mon_fail(error, "there is no device '%s'; 'info pci' lists them", argv[0]);
    }
    if (dsm == NULL) {
        return mon_fail(error, "device '%s' has no security manager, whose faults these are; 'info spdm' lists those "
                               "that have one", argv[0]);
    }
    return dsm_inject(dsm, argv[1], error);
}
