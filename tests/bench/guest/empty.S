/* Powers off with its first instructions: what is left of a run's time is the program's start and end. */
#include "image.h"

    image_header

    .global start
start:
    psci    PSCI_OFF
    .ltorg
image_end:
