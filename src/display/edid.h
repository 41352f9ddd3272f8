/* What a monitor says of itself. Source: VESA Enhanced Extended Display Identification Data, Release A. */
#ifndef BAILEY_DISPLAY_EDID_H
#define BAILEY_DISPLAY_EDID_H

#include <stdint.h>

enum { EDID_LEN = 128 };

/* edid_make - the base block of a monitor whose own mode is @width by @height pixels, each 1 to 4096. */
void edid_make(uint8_t edid[EDID_LEN], unsigned width, unsigned height);

#endif
