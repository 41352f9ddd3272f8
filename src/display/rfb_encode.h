/* How pixels become bytes for a VNC client: its pixel format, Raw and Zlib. Source: RFC 6143, "Encodings". */
#ifndef BAILEY_DISPLAY_RFB_ENCODE_H
#define BAILEY_DISPLAY_RFB_ENCODE_H

#include <glib.h>
#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

enum { RFB_FORMAT_LEN = 16 };

/* "PixelFormat", and what each value of a colour becomes. */
typedef struct RfbFormat {
    uint8_t  bytes; /* a pixel: 1, 2, 4 */
    bool     big_endian;
    uint8_t  depth;
    uint16_t max[3]; /* red, green, blue */
    uint8_t  shift[3];
    uint32_t value[3][256];
    bool     same; /* as our own pictures have it: x8r8g8b8 */
} RfbFormat;

/* rfb_format_default - 32 bits, as our own pictures have it. */
void rfb_format_default(RfbFormat *f);

/* rfb_format_get - from a message; false, with @f as it was: not true colours, or colours that do not fit. */
bool rfb_format_get(RfbFormat *f, const uint8_t b[RFB_FORMAT_LEN]);
void rfb_format_put(const RfbFormat *f, uint8_t b[RFB_FORMAT_LEN]);

/* rfb_put_raw - all of a picture, x8r8g8b8 or a8r8g8b8, to the end of @out. */
void rfb_put_raw(const RfbFormat *f, pixman_image_t *image, GByteArray *out);

/* rfb_put_mask - a bit for each pixel of an a8r8g8b8 picture that is more than half there; rows of whole bytes. */
void rfb_put_mask(pixman_image_t *image, GByteArray *out);

/* One stream of compressed bytes, over all rectangles of a connection. */
typedef struct RfbDeflate RfbDeflate;

RfbDeflate *rfb_deflate_new(void);
void        rfb_deflate_free(RfbDeflate *d);

/* rfb_put_zlib - as rfb_put_raw(), compressed, after a length of 32 bits. */
void rfb_put_zlib(RfbDeflate *d, const RfbFormat *f, pixman_image_t *image, GByteArray *out);

#endif
