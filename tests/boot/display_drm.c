/*
 * Runs in the guest of the boot test "display": through the kernel's own driver, a picture of its own on the display (a
 * dumb buffer, shown and partly drawn anew), and a cursor that the adapter draws. It says on the serial port when there
 * is something to look at, and goes on when a line comes on the terminal.
 */
#include <drm/drm.h>
#include <drm/drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WIDTH = 640, HEIGHT = 480, CURSOR = 64 };

static int card;

static void call(unsigned long request, void *arg, const char *name)
{
    if (ioctl(card, request, arg) != 0) {
        printf("DRM: %s fails: %s\n", name, strerror(errno));
        exit(1);
    }
}

static struct drm_mode_create_dumb make(uint32_t width, uint32_t height, uint32_t **pixels)
{
    struct drm_mode_create_dumb b = { .width = width, .height = height, .bpp = 32 };

    call(DRM_IOCTL_MODE_CREATE_DUMB, &b, "CREATE_DUMB");
    struct drm_mode_map_dumb m = { .handle = b.handle };

    call(DRM_IOCTL_MODE_MAP_DUMB, &m, "MAP_DUMB");
    *pixels = mmap(NULL, b.size, PROT_READ | PROT_WRITE, MAP_SHARED, card, (off_t)m.offset);
    if (*pixels == MAP_FAILED) {
        printf("DRM: no mapping\n");
        exit(1);
    }
    return b;
}

static void wait_line(void)
{
    char line[80];

    if (fgets(line, sizeof(line), stdin) == NULL) {
        exit(1);
    }
}

/* The mode of that size, whatever its rate. */
static struct drm_mode_modeinfo find_mode(uint32_t connector)
{
    static struct drm_mode_modeinfo modes[64];
    struct drm_mode_get_connector   c = { .connector_id = connector };

    call(DRM_IOCTL_MODE_GETCONNECTOR, &c, "GETCONNECTOR"); /* looks at the display anew, and counts */
    c = (struct drm_mode_get_connector){ .connector_id = connector, .modes_ptr = (uintptr_t)modes,
                                         .count_modes = c.count_modes < 64 ? c.count_modes : 64 };
    call(DRM_IOCTL_MODE_GETCONNECTOR, &c, "GETCONNECTOR");
    for (uint32_t i = 0; i < c.count_modes && i < 64; i++) {
        if (modes[i].hdisplay == WIDTH && modes[i].vdisplay == HEIGHT) {
            return modes[i];
        }
    }
    printf("DRM: there is no mode %dx%d\n", WIDTH, HEIGHT);
    exit(1);
}

int main(void)
{
    uint32_t                 crtc, connector, *picture, *shape;
    struct drm_mode_card_res res = { .crtc_id_ptr = (uintptr_t)&crtc, .connector_id_ptr = (uintptr_t)&connector,
                                     .count_crtcs = 1, .count_connectors = 1 };

    setvbuf(stdout, NULL, _IOLBF, 0);
    card = open("/dev/dri/card0", O_RDWR);
    call(DRM_IOCTL_MODE_GETRESOURCES, &res, "GETRESOURCES");
    struct drm_mode_modeinfo    mode = find_mode(connector);
    struct drm_mode_create_dumb b = make(WIDTH, HEIGHT, &picture), c = make(CURSOR, CURSOR, &shape);
    struct drm_mode_fb_cmd      fb = { .width = WIDTH, .height = HEIGHT, .pitch = b.pitch, .bpp = 32, .depth = 24,
                                       .handle = b.handle };

    for (unsigned i = 0; i < b.pitch / 4 * HEIGHT; i++) {
        picture[i] = 0x204060;
    }
    call(DRM_IOCTL_MODE_ADDFB, &fb, "ADDFB");
    struct drm_mode_crtc set = { .crtc_id = crtc, .fb_id = fb.fb_id, .set_connectors_ptr = (uintptr_t)&connector,
                                 .count_connectors = 1, .mode = mode, .mode_valid = 1 };

    call(DRM_IOCTL_MODE_SETCRTC, &set, "SETCRTC");
    for (unsigned i = 0; i < 8 * CURSOR; i++) { /* a bar of 8 rows */
        shape[i] = 0xffff8000;
    }
    struct drm_mode_cursor2 cursor = { .flags = DRM_MODE_CURSOR_BO | DRM_MODE_CURSOR_MOVE, .crtc_id = crtc, .x = 100,
                                       .y = 50, .width = CURSOR, .height = CURSOR, .handle = c.handle, .hot_x = 1,
                                       .hot_y = 2 };

    call(DRM_IOCTL_MODE_CURSOR2, &cursor, "CURSOR2");
    puts("DRM: cursor shown");
    wait_line();
    struct drm_mode_cursor move = { .flags = DRM_MODE_CURSOR_MOVE, .crtc_id = crtc, .x = 300, .y = 200 };

    call(DRM_IOCTL_MODE_CURSOR, &move, "CURSOR");
    for (unsigned y = 400; y < 410; y++) { /* a part of the picture, of which the driver is told */
        for (unsigned x = 10; x < 20; x++) {
            picture[b.pitch / 4 * y + x] = 0x00ff00;
        }
    }
    struct drm_clip_rect    clip = { .x1 = 10, .y1 = 400, .x2 = 20, .y2 = 410 };
    struct drm_mode_fb_dirty_cmd dirty = { .fb_id = fb.fb_id, .num_clips = 1, .clips_ptr = (uintptr_t)&clip };

    call(DRM_IOCTL_MODE_DIRTYFB, &dirty, "DIRTYFB");
    puts("DRM: cursor moved");
    wait_line();
    puts("DRM: end");
    return 0;
}
