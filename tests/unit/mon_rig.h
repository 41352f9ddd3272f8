/* A small machine for what users and programs ask of one: CPUs, a GIC, 1 MiB of memory, the RMM; no guest runs. */
#ifndef BAILEY_TESTS_MON_RIG_H
#define BAILEY_TESTS_MON_RIG_H

#include "entropy.h"
#include "hw/gicv3.h"
#include "monitor/monitor.h"

enum { MON_RIG_CPUS = 2, MON_RIG_RAM_SIZE = 1 << 20 };
#define MON_RIG_RAM 0x40000000ull

typedef struct MonRig {
    Machine   *machine;
    Gic       *gic;
    A64Cpu    *cpu[MON_RIG_CPUS];
    Entropy    entropy;
    Rmm       *rmm;
    MonMachine on; /* of these parts; a test may add others */
} MonRig;

/* mon_rig_init - the machine, stopped. */
void mon_rig_init(MonRig *r);
void mon_rig_free(MonRig *r);

#endif
