/*
 * The Realm Initial Measurement of a Realm that the built-in host would make, from the input files alone.
 */
#ifndef BAILEY_TOOL_RIM_H
#define BAILEY_TOOL_RIM_H

#include <stdbool.h>
#include <stdint.h>

#include "loader.h"

/* The fields of RmiRealmParams that are measured, and the Realm's memory. */
typedef struct RimRealm {
    uint64_t flags0;
    uint32_t s2sz, sve_vl, num_bps, num_wps, pmu_num_ctrs;
    uint8_t  hash_algo;         /* 0: SHA-256, 1: SHA-512 */
    uint64_t ram_base, ram_size;
} RimRealm;

/**
 * rim_measure - follow the host's measured steps in their order.
 * @rim: receives the measurement, left aligned, the rest zero
 * Returns its length.
 */
unsigned rim_measure(const RimRealm *realm, const BootLayout *l, uint8_t rim[64]);

#endif
