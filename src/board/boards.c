/*
 * The boards of the cca machine by name, and what follows from their tables.
 */
#include <string.h>

#include "bits.h"
#include "board/cca.h"

#define MPIDR_MT BIT(24)

const CcaBoard *cca_board(const Options *o)
{
    return strcmp(o->board, cca_fvp.name) == 0 ? &cca_fvp : &cca_virt;
}

uint64_t cca_mpidr(const CcaBoard *b, unsigned i)
{
    if (b->cluster_cpus == 0) {
        return i;
    }
    return MPIDR_MT | (uint64_t)(i / b->cluster_cpus) << 16 | (uint64_t)(i % b->cluster_cpus) << 8;
}

bool cca_fill_ram(const CcaBoard *b, uint64_t size, CcaSpan banks[CCA_MAX_RAM])
{
    for (unsigned i = 0; i < CCA_MAX_RAM; i++) {
        banks[i] = (CcaSpan){ b->ram[i].base, MIN(size, b->ram[i].size) };
        size -= banks[i].size;
    }
    return size == 0;
}
