/*
 * A hostile host and Realm around a device: commands with right and wrong arguments, messages spoilt or not carried,
 * entries, in any order. After each step what must hold whatever they do is checked.
 */
#ifndef BAILEY_TESTS_RMM_DEV_STORM_H
#define BAILEY_TESTS_RMM_DEV_STORM_H

#include "tests/unit/rmm_dev_rig.h"
#include "tests/unit/rmm_rows.h"

typedef struct DevStorm {
    DevRig        *d;
    Entropy        dice;
    const RmmRows *rows;                    /* whose valid calls the host starts from */
    void         (*rsi)(struct DevStorm *s); /* the Realm makes a call */
    bool           spoils;                  /* answers of the device are damaged now and then */
    unsigned       status[2];               /* of the next COMMUNICATE: PDEV's, VDEV's */
} DevStorm;

/* A number below @n. */
uint32_t storm_roll(DevStorm *s, uint32_t n);

/* One RSI call with up to 9 registers. One of eight registers is replaced by anything. */
void storm_rsi(DevStorm *s, uint64_t *x, size_t n);

/* storm_run - @steps steps; returns after how many of them a stream was valid. */
unsigned storm_run(DevStorm *s, unsigned steps);

/* storm_worlds - 12 worlds, @*d in turn, of 3000 steps: with nothing, with a PDEV, at stage @last; @ready makes the
 * rest. In some of them a stream was valid. */
void storm_worlds(DevStorm *s, DevRig **d, DevStage last, void (*ready)(unsigned world));

#endif
