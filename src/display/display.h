/*
 * What people see of a guest and how they touch it. A head is a picture that a device draws (virtio-gpu-pci, ramfb);
 * viewers (the VNC server, screendump) look at one. A keyboard or a tablet of the guest (virtio-input) is a sink of
 * input that viewers send. Heads and sinks live as long as their devices, viewers longer: a guest that resets gives
 * them up and makes new ones. Pictures are pixman's; their bytes belong to the device.
 *
 * Looking never changes what a guest sees. Input is from outside: it enters between slices of the CPUs, as that of a
 * serial port does.
 */
#ifndef BAILEY_DISPLAY_DISPLAY_H
#define BAILEY_DISPLAY_DISPLAY_H

#include <glib.h>
#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    DISPLAY_SIDE_MAX = 4096, /* pixels of a picture's side: what a guest makes us keep is bounded */
    DISPLAY_CURSOR_MAX = 256,
    INPUT_AXIS_MAX = 32767, /* of a pointer's place, whatever the picture's size */
};

typedef struct DisplayHead DisplayHead;

/* The device of a head. */
typedef struct DisplayHeadOps {
    /* Somebody looks: bring the picture up to date. NULL: it always is. */
    void (*refresh)(void *opaque);
    /* A viewer would like the picture to be of that size, 1 to DISPLAY_SIDE_MAX. NULL: cannot be wished for. */
    void (*wish)(void *opaque, unsigned width, unsigned height);
} DisplayHeadOps;

/* ---- for devices ---- */

/* display_head_new - a dark head; @id: the device's. The first that was made is the one people see at first. */
DisplayHead *display_head_new(const char *id, const DisplayHeadOps *ops, void *opaque);

/* display_head_free - accepts NULL. */
void display_head_free(DisplayHead *h);

/* display_head_show - another picture, of which a reference is kept; NULL: the head is dark. */
void display_head_show(DisplayHead *h, pixman_image_t *picture);

/* display_head_damage - pixels changed; parts outside the picture do not count. */
void display_head_damage(DisplayHead *h, int x, int y, unsigned width, unsigned height);

/**
 * display_head_cursor - the shape of the pointer, up to DISPLAY_CURSOR_MAX pixels a side.
 * @shape: a8r8g8b8 with premultiplied alpha, a reference of which is kept; NULL: there is none
 * @hot_x, @hot_y: the point of it that points
 */
void display_head_cursor(DisplayHead *h, pixman_image_t *shape, unsigned hot_x, unsigned hot_y);

/* display_head_cursor_at - where the upper left corner of its shape is, from that of the picture. */
void display_head_cursor_at(DisplayHead *h, int x, int y);

/* ---- for viewers ---- */

/* display_head_find - by the device's id; NULL: the first that is not dark, else the first. NULL: there is none. */
DisplayHead *display_head_find(const char *id);

/* display_head_need - the same; NULL with a sentence when there is none. */
DisplayHead *display_head_need(const char *id, GError **error);

/* display_describe - a line for each head: what it shows. */
void display_describe(GString *out);

/* display_head_refresh - the device brings its picture up to date, and shows another or damages parts by that. */
void display_head_refresh(DisplayHead *h);

/* display_head_picture - what is to be seen, as of the last refresh; NULL: the head is dark. */
pixman_image_t *display_head_picture(const DisplayHead *h);

typedef struct DisplayCursor {
    pixman_image_t *shape; /* NULL: there is none */
    unsigned        hot_x, hot_y;
    int             x, y;
} DisplayCursor;

const DisplayCursor *display_head_get_cursor(const DisplayHead *h);

/* display_head_refreshes - its picture changes without word from its device: one has to look from time to time. */
bool display_head_refreshes(const DisplayHead *h);

/* display_head_wish - a viewer would like another size; false: it cannot be wished for. */
bool display_head_wish(DisplayHead *h, unsigned width, unsigned height);

/* Somebody who watches all heads; the owner's memory. */
typedef struct DisplayViewer {
    /* A head came, went, or shows another picture. Not @h itself when it went: it is no longer found. */
    void (*changed)(void *opaque, DisplayHead *h);
    void (*damaged)(void *opaque, DisplayHead *h, const pixman_box32_t *box);
    void (*cursor)(void *opaque, DisplayHead *h, bool new_shape);
    void *opaque;
    struct DisplayViewer *next;
} DisplayViewer;

void display_watch(DisplayViewer *v);
void display_unwatch(DisplayViewer *v);

/* display_compose - the picture of now with its cursor in it, x8r8g8b8; the caller frees it. NULL: the head is dark. */
pixman_image_t *display_compose(DisplayHead *h);

/* display_screendump - writes what a head shows as PNG; @id: of display_head_find(). False with a sentence. */
bool display_screendump(const char *path, const char *id, GError **error);

/* png_write - @picture, x8r8g8b8, into a file; false with a sentence. */
bool png_write(const char *path, pixman_image_t *picture, GError **error);

/* ---- input ---- */

/* Bits of a pointer's buttons, as RFB counts them; the wheel's are pressed and released at once. */
enum {
    INPUT_LEFT = 1 << 0,
    INPUT_MIDDLE = 1 << 1,
    INPUT_RIGHT = 1 << 2,
    INPUT_WHEEL_UP = 1 << 3,
    INPUT_WHEEL_DOWN = 1 << 4,
};

/* A keyboard, or a pointer with absolute places; what it is not, is NULL. */
typedef struct InputSink {
    /* @code: Linux's KEY_*, 1 to 255 */
    void (*key)(void *opaque, unsigned code, bool down);
    /* @x, @y: 0 to INPUT_AXIS_MAX */
    void (*pointer)(void *opaque, unsigned x, unsigned y, unsigned buttons);
    void *opaque;
    struct InputSink *next;
} InputSink;

/* input_attach - from now on input may come to the sink: to the first keyboard, and to the first pointer. */
void input_attach(InputSink *s);
void input_detach(InputSink *s);

/* input_key, input_pointer - somebody typed or pointed. False: the guest has nothing for it, and it is lost. */
bool input_key(unsigned code, bool down);
bool input_pointer(unsigned x, unsigned y, unsigned buttons);

/* input_key_named - the code of a key by QEMU's name for it, such as "a", "ret", "f1"; 0: there is none. */
unsigned input_key_named(const char *name);

#endif
