#include "display/edid.h"

#include <string.h>

#include "bytes.h"

enum {
    DESCRIPTOR = 18,
    TIMING_MAX = 4095, /* 12 bits */
    /* Blanking as of CVT's reduced version 1. */
    H_BLANK = 160, H_FRONT = 48, H_SYNC = 32,
    V_BLANK = 35, V_FRONT = 3, V_SYNC = 6,
    REFRESH_HZ = 60,
    CLOCK_UNIT_HZ = 10000,
    DOTS_PER_CM = 38, /* about 96 to the inch */
};

/* "Detailed Timing Descriptor": the mode, slower than 60 Hz where its clock would not fit. */
static void put_timing(uint8_t *d, unsigned width, unsigned height)
{
    uint64_t clock = (uint64_t)(width + H_BLANK) * (height + V_BLANK) * REFRESH_HZ / CLOCK_UNIT_HZ;
    unsigned w_mm = width * 10 / DOTS_PER_CM, h_mm = height * 10 / DOTS_PER_CM;

    le16_put(d, (uint16_t)(clock < UINT16_MAX ? clock : UINT16_MAX));
    d[2] = (uint8_t)width;
    d[3] = H_BLANK;
    d[4] = (uint8_t)(width >> 8 << 4);
    d[5] = (uint8_t)height;
    d[6] = V_BLANK;
    d[7] = (uint8_t)(height >> 8 << 4);
    d[8] = H_FRONT;
    d[9] = H_SYNC;
    d[10] = V_FRONT << 4 | V_SYNC;
    d[12] = (uint8_t)w_mm;
    d[13] = (uint8_t)h_mm;
    d[14] = (uint8_t)(w_mm >> 8 << 4 | h_mm >> 8);
    d[17] = 0x1a; /* digital, separate synchronization, horizontal positive */
}

/* "Display Descriptor": a tag and up to 13 characters. */
static void put_text(uint8_t *d, uint8_t tag, const char *text)
{
    size_t n = strlen(text);

    d[3] = tag;
    memset(d + 5, ' ', 13);
    memcpy(d + 5, text, n);
    d[5 + n] = '\n';
}

void edid_make(uint8_t edid[EDID_LEN], unsigned width, unsigned height)
{
    static const uint8_t start[] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
    static const uint8_t srgb[] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };
    uint8_t             *d = edid + 54, sum = 0;

    width = width < TIMING_MAX ? width : TIMING_MAX;
    height = height < TIMING_MAX ? height : TIMING_MAX;
    memset(edid, 0, EDID_LEN);
    memcpy(edid, start, sizeof(start));
    edid[8] = ('B' - '@') << 2 | ('L' - '@') >> 3; /* manufacturer, five bits a letter: BLY */
    edid[9] = (uint8_t)(('L' - '@') << 5 | ('Y' - '@'));
    le16_put(edid + 10, 1); /* product */
    edid[16] = 1;           /* week */
    edid[17] = 2026 - 1990; /* year */
    edid[18] = 1;           /* EDID 1.4 */
    edid[19] = 4;
    edid[20] = 0xa5; /* digital, 8 bits a colour, DisplayPort */
    edid[21] = (uint8_t)(width / DOTS_PER_CM);
    edid[22] = (uint8_t)(height / DOTS_PER_CM);
    edid[23] = 220 - 100; /* gamma 2.2 */
    edid[24] = 0x06;      /* sRGB; the first timing is the display's own */
    memcpy(edid + 25, srgb, sizeof(srgb));
    edid[35] = 0x21; /* 640x480 and 800x600, */
    edid[36] = 0x08; /* 1024x768, each at 60 Hz */
    memset(edid + 38, 1, 16); /* no standard timings */
    put_timing(d, width, height);
    put_text(d + DESCRIPTOR, 0xfc, "Bailey");
    put_text(d + 2 * DESCRIPTOR, 0xff, "1");
    d[3 * DESCRIPTOR + 3] = 0x10; /* unused */
    for (unsigned i = 0; i < EDID_LEN - 1; i++) {
        sum = (uint8_t)(sum + edid[i]);
    }
    edid[EDID_LEN - 1] = (uint8_t)-sum;
}
