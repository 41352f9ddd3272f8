/* Pictures as files: PNG by libpng, 8 bits of red, green and blue. */
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>

#include "device.h"
#include "display/display.h"

static void on_error(png_structp png, png_const_charp why)
{
    g_strlcpy(png_get_error_ptr(png), why, 128);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp what) { (void)png, (void)what; }

/* libpng leaves by longjmp: what must be released lies with the caller. */
static bool write_picture(png_structp png, png_infop info, FILE *f, pixman_image_t *picture, uint8_t *row)
{
    const int       width = pixman_image_get_width(picture), height = pixman_image_get_height(picture);
    const uint8_t  *bits = (const uint8_t *)pixman_image_get_data(picture);
    const ptrdiff_t stride = pixman_image_get_stride(picture);

    if (setjmp(png_jmpbuf(png)) != 0) {
        return false;
    }
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < height; y++) {
        const uint32_t *p = (const uint32_t *)(const void *)(bits + y * stride);

        for (int x = 0; x < width; x++) {
            row[3 * x] = (uint8_t)(p[x] >> 16);
            row[3 * x + 1] = (uint8_t)(p[x] >> 8);
            row[3 * x + 2] = (uint8_t)p[x];
        }
        png_write_row(png, row);
    }
    png_write_end(png, info);
    return true;
}

bool png_write(const char *path, pixman_image_t *picture, GError **error)
{
    char        why[128] = "there is no memory for it";
    FILE       *f = fopen(path, "wb");
    int         open_errno = errno;
    png_structp png = f != NULL ? png_create_write_struct(PNG_LIBPNG_VER_STRING, why, on_error, on_warning) : NULL;
    png_infop   info = png != NULL ? png_create_info_struct(png) : NULL;
    bool        ok = false;

    if (info != NULL) {
        uint8_t *row = g_malloc((size_t)pixman_image_get_width(picture) * 3);

        ok = write_picture(png, info, f, picture, row);
        g_free(row);
    }
    png_destroy_write_struct(&png, &info);
    if (f != NULL && fclose(f) != 0 && ok) {
        g_strlcpy(why, g_strerror(errno), sizeof(why));
        ok = false;
    }
    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "cannot write the picture '%s': %s; name a file in a folder you may write to", path,
                    f != NULL ? why : g_strerror(open_errno));
    }
    return ok;
}
