#include "display/rfb_encode.h"

#include <string.h>
#include <zlib.h>

#include "bits.h"
#include "bytes.h"

/* Where x8r8g8b8 keeps red, green and blue. */
static const uint8_t own_shift[3] = { 16, 8, 0 };

static void fill(RfbFormat *f)
{
    f->same = f->bytes == 4 && f->big_endian == (G_BYTE_ORDER == G_BIG_ENDIAN);
    for (unsigned c = 0; c < 3; c++) {
        f->same = f->same && f->max[c] == 255 && f->shift[c] == own_shift[c];
        for (uint32_t v = 0; v < 256; v++) {
            f->value[c][v] = (v * f->max[c] + 127) / 255 << f->shift[c];
        }
    }
}

void rfb_format_default(RfbFormat *f)
{
    *f = (RfbFormat){ .bytes = 4, .depth = 24, .big_endian = G_BYTE_ORDER == G_BIG_ENDIAN };
    for (unsigned c = 0; c < 3; c++) {
        f->max[c] = 255;
        f->shift[c] = own_shift[c];
    }
    fill(f);
}

bool rfb_format_get(RfbFormat *f, const uint8_t b[RFB_FORMAT_LEN])
{
    RfbFormat n = { .bytes = b[0] / 8, .depth = b[1], .big_endian = b[2] != 0 };
    bool      ok = (b[0] == 8 || b[0] == 16 || b[0] == 32) && b[3] != 0;

    for (unsigned c = 0; c < 3; c++) {
        n.max[c] = be16_get(b + 4 + 2 * c);
        n.shift[c] = b[10 + c];
        ok = ok && n.shift[c] < b[0] && (uint64_t)n.max[c] << n.shift[c] <= mask64(b[0]);
    }
    if (ok) {
        fill(&n);
        *f = n;
    }
    return ok;
}

void rfb_format_put(const RfbFormat *f, uint8_t b[RFB_FORMAT_LEN])
{
    memset(b, 0, RFB_FORMAT_LEN);
    b[0] = (uint8_t)(8 * f->bytes);
    b[1] = f->depth;
    b[2] = f->big_endian;
    b[3] = 1;
    for (unsigned c = 0; c < 3; c++) {
        be16_put(b + 4 + 2 * c, f->max[c]);
        b[10 + c] = f->shift[c];
    }
}

static const uint32_t *row_of(pixman_image_t *image, int y)
{
    return pixman_image_get_data(image) + (size_t)y * ((size_t)pixman_image_get_stride(image) / 4);
}

static void put_pixel(const RfbFormat *f, uint32_t pixel, uint8_t *dst)
{
    uint32_t v = f->value[0][pixel >> 16 & 0xff] | f->value[1][pixel >> 8 & 0xff] | f->value[2][pixel & 0xff];

    for (unsigned i = 0; i < f->bytes; i++) {
        dst[f->big_endian ? f->bytes - 1u - i : i] = (uint8_t)(v >> 8 * i);
    }
}

static void put_row(const RfbFormat *f, const uint32_t *src, unsigned width, uint8_t *dst)
{
    if (f->same) {
        memcpy(dst, src, (size_t)width * 4);
        return;
    }
    for (unsigned x = 0; x < width; x++) {
        put_pixel(f, src[x], dst + (size_t)x * f->bytes);
    }
}

void rfb_put_raw(const RfbFormat *f, pixman_image_t *image, GByteArray *out)
{
    unsigned width = (unsigned)pixman_image_get_width(image);
    int      height = pixman_image_get_height(image);
    guint    at = out->len, stride = width * f->bytes;

    g_byte_array_set_size(out, at + stride * (guint)height);
    for (int y = 0; y < height; y++) {
        put_row(f, row_of(image, y), width, out->data + at + (size_t)stride * (size_t)y);
    }
}

void rfb_put_mask(pixman_image_t *image, GByteArray *out)
{
    int width = pixman_image_get_width(image), height = pixman_image_get_height(image);

    for (int y = 0; y < height; y++) {
        const uint32_t *src = row_of(image, y);

        for (int x = 0; x < width; x += 8) {
            uint8_t bits = 0;

            for (int i = 0; i < 8 && x + i < width; i++) {
                bits |= (uint8_t)((src[x + i] >> 31) << (7 - i));
            }
            g_byte_array_append(out, &bits, 1);
        }
    }
}

/* ---- Zlib ---- */

struct RfbDeflate {
    z_stream z;
};

RfbDeflate *rfb_deflate_new(void)
{
    RfbDeflate *d = g_new0(RfbDeflate, 1);

    if (deflateInit(&d->z, Z_BEST_SPEED) != Z_OK) {
        g_error("there is no memory for a stream of zlib"); /* as GLib does it when there is none for 300 KiB */
    }
    return d;
}

void rfb_deflate_free(RfbDeflate *d)
{
    deflateEnd(&d->z);
    g_free(d);
}

/* @in into the stream; what comes out goes to the end of @out. */
static void compress_into(RfbDeflate *d, uint8_t *in, size_t len, int flush, GByteArray *out)
{
    uint8_t part[16 << 10];

    d->z.next_in = in;
    d->z.avail_in = (uInt)len;
    do {
        d->z.next_out = part;
        d->z.avail_out = sizeof(part);
        (void)deflate(&d->z, flush); /* with room and a stream of its own it does not fail */
        g_byte_array_append(out, part, (guint)(sizeof(part) - d->z.avail_out));
    } while (d->z.avail_out == 0);
}

void rfb_put_zlib(RfbDeflate *d, const RfbFormat *f, pixman_image_t *image, GByteArray *out)
{
    unsigned width = (unsigned)pixman_image_get_width(image);
    int      height = pixman_image_get_height(image);
    guint    at = out->len;
    uint8_t *row = g_malloc((size_t)width * f->bytes);

    g_byte_array_set_size(out, at + 4);
    for (int y = 0; y < height; y++) {
        put_row(f, row_of(image, y), width, row);
        compress_into(d, row, (size_t)width * f->bytes, y == height - 1 ? Z_SYNC_FLUSH : Z_NO_FLUSH, out);
    }
    be32_put(out->data + at, out->len - at - 4);
    g_free(row);
}
