/*
 * Looking at the picture copies it out of memory, Non-secure RAM and nothing else: a guest may name registers, whose
 * reading would change a device, or pages that are not the Normal world's; there the picture is black. The guest
 * notices nothing of who looks.
 */
#include "hw/ramfb.h"

#include <inttypes.h>
#include <pixman.h>
#include <string.h>

#include "bytes.h"
#include "display/display.h"
#include "hw/fw_cfg.h"
#include "log.h"

enum {
    CONFIG_LEN = 28, /* all big-endian: address, format, flags, width, height, bytes a row */
    PAGE = 4096,
    STRIDE_MAX = 1 << 16,
};

typedef struct Ramfb {
    Device          dev;
    Memory         *memory;
    DisplayHead    *head;
    uint64_t        addr, stride; /* of the guest's picture */
    pixman_image_t *image;        /* our copy of it; NULL: there is none */
    uint8_t        *row;
} Ramfb;

static pixman_format_code_t format_of(uint32_t fourcc)
{
    static const struct {
        char                 code[5];
        pixman_format_code_t format;
    } known[] = {
        { "XR24", PIXMAN_x8r8g8b8 },
        { "AR24", PIXMAN_a8r8g8b8 },
        { "XB24", PIXMAN_x8b8g8r8 },
        { "RG16", PIXMAN_r5g6b5 },
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (le32_get(known[i].code) == fourcc) {
            return known[i].format;
        }
    }
    return 0;
}

/* ---- looking ---- */

/* A row of the guest's picture into s->row. */
static void read_row(Ramfb *s, uint64_t at, size_t len)
{
    const Owners *owners = memory_owners(s->memory);

    for (size_t done = 0, part; done < len; done += part) {
        uint64_t       pa = s->addr + at + done;
        bool           writable;
        bool           may = owners_allow(owners, pa, PAS_NONSECURE);
        const uint8_t *page = may ? memory_host_page(s->memory, pa, &writable) : NULL;

        part = MIN(len - done, PAGE - (size_t)(pa % PAGE));
        if (page != NULL) {
            memcpy(s->row + done, page + pa % PAGE, part);
        } else {
            memset(s->row + done, 0, part);
        }
    }
}

static void refresh(void *opaque)
{
    Ramfb *s = opaque;

    if (s->image == NULL) {
        return;
    }
    const int width = pixman_image_get_width(s->image), height = pixman_image_get_height(s->image);
    const size_t stride = (size_t)pixman_image_get_stride(s->image);
    const size_t len = (size_t)width * PIXMAN_FORMAT_BPP(pixman_image_get_format(s->image)) / 8;
    uint8_t     *mine = (uint8_t *)pixman_image_get_data(s->image);
    int          first = height, last = -1;

    for (int y = 0; y < height; y++, mine += stride) {
        read_row(s, s->stride * (unsigned)y, len);
        if (memcmp(mine, s->row, len) != 0) {
            memcpy(mine, s->row, len);
            first = MIN(first, y);
            last = y;
        }
    }
    if (last >= 0) {
        display_head_damage(s->head, 0, first, (unsigned)width, (unsigned)(last - first + 1));
    }
}

static const DisplayHeadOps head_ops = { .refresh = refresh };

/* ---- what firmware writes ---- */

static void go_dark(Ramfb *s)
{
    if (s->head != NULL) {
        display_head_show(s->head, NULL);
    }
    if (s->image != NULL) {
        pixman_image_unref(s->image);
        s->image = NULL;
    }
    g_clear_pointer(&s->row, g_free);
}

static void on_written(void *opaque, const uint8_t *b)
{
    Ramfb   *s = opaque;
    uint64_t addr = be64_get(b);
    uint32_t fourcc = be32_get(b + 8), width = be32_get(b + 16), height = be32_get(b + 20), stride = be32_get(b + 24);
    pixman_format_code_t format = format_of(fourcc);

    go_dark(s);
    if (width == 0 && height == 0) {
        return; /* switched off */
    }
    uint64_t row = (uint64_t)width * PIXMAN_FORMAT_BPP(format) / 8;

    stride = stride != 0 ? stride : (uint32_t)row;
    if (format == 0 || width == 0 || height == 0 || width > DISPLAY_SIDE_MAX || height > DISPLAY_SIDE_MAX ||
        stride < row || stride > STRIDE_MAX || addr + (uint64_t)stride * height < addr) {
        guest_error("%s: no picture of %ux%u, %u bytes a row, format 0x%x at 0x%" PRIx64, s->dev.id, width, height,
                    stride, fourcc, addr);
        return;
    }
    s->addr = addr;
    s->stride = stride;
    s->image = pixman_image_create_bits(format, (int)width, (int)height, NULL, 0);
    if (s->image != NULL) {
        s->row = g_malloc((size_t)row);
        display_head_show(s->head, s->image);
    }
}

/* ---- the device ---- */

static bool ramfb_realize(Device *dev, GError **error)
{
    Ramfb *s = (Ramfb *)dev;

    s->head = display_head_new(dev->id, &head_ops, s);
    return true;
}

static void ramfb_unrealize(Device *dev)
{
    Ramfb *s = (Ramfb *)dev;

    go_dark(s);
    g_clear_pointer(&s->head, display_head_free);
}

static void ramfb_reset(Device *dev) { go_dark((Ramfb *)dev); }

DEVICE(ramfb, .name = "ramfb", .desc = "a picture in memory, for firmware", .bus = "fw_cfg",
       .state_size = sizeof(Ramfb), .realize = ramfb_realize, .unrealize = ramfb_unrealize, .reset = ramfb_reset);

bool ramfb_plug(Device *dev, Device *fw_cfg, Memory *memory, GError **error)
{
    static const uint8_t none[CONFIG_LEN];
    Ramfb               *s = (Ramfb *)dev;

    s->memory = memory;
    if (fw_cfg == NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "device %s is for firmware, and this machine has no fw_cfg that some would read; use board=virt "
                    "with boot=host, or -device virtio-gpu-pci", dev->id);
    } else if (device_realize(dev, error)) {
        if (fw_cfg_add_written_file(fw_cfg, "etc/ramfb", none, sizeof(none), on_written, s)) {
            return true;
        }
        g_set_error(error, BAILEY_ERROR, 0, "device %s: there is a ramfb already; leave one out", dev->id);
    }
    device_free(dev);
    return false;
}
