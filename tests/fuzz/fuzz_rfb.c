/*
 * A hostile client of the VNC server: after a handshake that is its own or a proper one, any bytes, while the picture
 * changes under it. Nothing may crash, leak or grow.
 */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "display/rfb.h"

enum { PART_MAX = 64, SIDE = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_wish(void *opaque, unsigned width, unsigned height) { (void)opaque, (void)width, (void)height; }

static const DisplayHeadOps ops = { .wish = on_wish };

static void show(DisplayHead *h, unsigned width, unsigned height)
{
    pixman_image_t *p = width != 0 && height != 0
                            ? pixman_image_create_bits(PIXMAN_x8r8g8b8, (int)width, (int)height, NULL, 0)
                            : NULL;

    display_head_show(h, p);
    if (p != NULL) {
        pixman_image_unref(p);
    }
}

static void set_cursor(DisplayHead *h, unsigned width, unsigned height)
{
    pixman_image_t *p = pixman_image_create_bits(PIXMAN_a8r8g8b8, (int)width + 1, (int)height + 1, NULL, 0);

    display_head_cursor(h, p, width, height);
    pixman_image_unref(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t challenge[RFB_CHALLENGE_LEN];
    ByteReader           in = br_init(data, size);
    uint8_t              start = br_u8(&in);
    DisplayHead         *h = display_head_new("head", &ops, NULL);
    Rfb                 *r = rfb_new(start & 1 ? "secret" : NULL, challenge);
    const char          *why = NULL;

    show(h, SIDE, SIDE / 2);
    rfb_look_at(r, h);
    if (start & 2) {
        why = rfb_receive(r, (const uint8_t *)"RFB 003.008\n\1\1", 14);
    }
    while (why == NULL && br_left(&in) != 0) {
        uint8_t        op = br_u8(&in), n = br_u8(&in) % PART_MAX;
        const uint8_t *p;

        switch (op & 7) {
        case 0:
            show(h, n, br_u8(&in) % SIDE);
            rfb_look_at(r, h);
            break;
        case 1:
            set_cursor(h, n % 16, op >> 4);
            display_head_cursor_at(h, (int8_t)br_u8(&in), (int8_t)br_u8(&in));
            rfb_cursor(r, op >> 3 & 1);
            break;
        case 2:
            rfb_damaged(r, &(pixman_box32_t){ n, op >> 3, n + br_u8(&in), 40 });
            break;
        case 3:
            rfb_update(r);
            if (rfb_output(r)->len > 1 << 20) {
                abort(); /* far more than such a screen takes */
            }
            g_byte_array_set_size(rfb_output(r), op >> 3 & 1 ? 0 : rfb_output(r)->len);
            break;
        default:
            p = br_take(&in, MIN(n, br_left(&in)));
            why = p != NULL ? rfb_receive(r, p, MIN(n, (size_t)(data + size - p))) : NULL;
            break;
        }
    }
    rfb_free(r);
    display_head_free(h);
    return 0;
}
