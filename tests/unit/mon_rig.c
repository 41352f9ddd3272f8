#include "tests/unit/mon_rig.h"

static bool is_off(const Cpu *cpu) { return CONTAINER_OF(cpu, A64Cpu, cpu)->off; }

void mon_rig_init(MonRig *r)
{
    Options   o = { 0 };
    GicConfig gic = { .n_cpus = MON_RIG_CPUS, .n_spis = 32 };

    *r = (MonRig){ .machine = machine_new(&o, NULL) };
    Memory *memory = machine_memory(r->machine);
    memory_add_ram(memory, "ram", MON_RIG_RAM, MON_RIG_RAM_SIZE, NULL);
    entropy_init(&r->entropy, 1, "cpu");
    r->gic = gicv3_new(&gic);
    for (unsigned i = 0; i < MON_RIG_CPUS; i++) {
        r->cpu[i] = a64_cpu_new(machine_engine(r->machine), memory, machine_clock(r->machine), i, i, &r->entropy);
        gicv3_connect(r->gic, i, r->cpu[i]);
        machine_add_cpu(r->machine, &r->cpu[i]->cpu, is_off);
    }
    r->rmm = rmm_new(memory, r->cpu, MON_RIG_CPUS, MON_RIG_RAM + MON_RIG_RAM_SIZE / 2, MON_RIG_RAM_SIZE / 2, NULL, 0,
                     1);
    machine_pause(r->machine, true);
    r->on = (MonMachine){ .machine = r->machine, .cpus = r->cpu, .n_cpus = MON_RIG_CPUS, .rmm = r->rmm, .gic = r->gic };
}

void mon_rig_free(MonRig *r)
{
    rmm_free(r->rmm);
    for (unsigned i = 0; i < MON_RIG_CPUS; i++) {
        a64_cpu_free(r->cpu[i]);
    }
    gicv3_free(r->gic);
    machine_free(r->machine);
}
