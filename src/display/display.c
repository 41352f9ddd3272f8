/* Heads, viewers and sinks of input: lists, and who hears of what. */
#include "display/display.h"

#include <string.h>

#include "device.h"

struct DisplayHead {
    char                 *id;
    const DisplayHeadOps *ops;
    void                 *opaque;
    pixman_image_t       *picture; /* NULL: dark */
    DisplayCursor         cursor;
    struct DisplayHead   *next;
};

static DisplayHead   *heads;
static DisplayViewer *viewers;
static InputSink     *sinks;

/* ---- heads ---- */

static void tell_changed(DisplayHead *h)
{
    for (DisplayViewer *v = viewers, *next; v != NULL; v = next) {
        next = v->next;
        v->changed(v->opaque, h);
    }
}

static void set_image(pixman_image_t **at, pixman_image_t *image)
{
    if (image != NULL) {
        pixman_image_ref(image);
    }
    if (*at != NULL) {
        pixman_image_unref(*at);
    }
    *at = image;
}

DisplayHead *display_head_new(const char *id, const DisplayHeadOps *ops, void *opaque)
{
    DisplayHead *h = g_new0(DisplayHead, 1), **end = &heads;

    h->id = g_strdup(id);
    h->ops = ops;
    h->opaque = opaque;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = h;
    tell_changed(h);
    return h;
}

void display_head_free(DisplayHead *h)
{
    if (h == NULL) {
        return;
    }
    for (DisplayHead **at = &heads; *at != NULL; at = &(*at)->next) {
        if (*at == h) {
            *at = h->next;
            break;
        }
    }
    tell_changed(h);
    set_image(&h->picture, NULL);
    set_image(&h->cursor.shape, NULL);
    g_free(h->id);
    g_free(h);
}

void display_head_show(DisplayHead *h, pixman_image_t *picture)
{
    if (picture != h->picture) {
        set_image(&h->picture, picture);
        tell_changed(h);
    }
}

void display_head_damage(DisplayHead *h, int x, int y, unsigned width, unsigned height)
{
    if (h->picture == NULL) {
        return;
    }
    const int64_t  w = pixman_image_get_width(h->picture), ht = pixman_image_get_height(h->picture);
    pixman_box32_t box = { MAX(x, 0), MAX(y, 0), (int32_t)MIN((int64_t)x + width, w),
                           (int32_t)MIN((int64_t)y + height, ht) };

    if (box.x1 < box.x2 && box.y1 < box.y2) {
        for (DisplayViewer *v = viewers; v != NULL; v = v->next) {
            v->damaged(v->opaque, h, &box);
        }
    }
}

static void tell_cursor(DisplayHead *h, bool new_shape)
{
    for (DisplayViewer *v = viewers; v != NULL; v = v->next) {
        v->cursor(v->opaque, h, new_shape);
    }
}

void display_head_cursor(DisplayHead *h, pixman_image_t *shape, unsigned hot_x, unsigned hot_y)
{
    set_image(&h->cursor.shape, shape);
    h->cursor.hot_x = hot_x;
    h->cursor.hot_y = hot_y;
    tell_cursor(h, true);
}

void display_head_cursor_at(DisplayHead *h, int x, int y)
{
    if (x != h->cursor.x || y != h->cursor.y) {
        h->cursor.x = x;
        h->cursor.y = y;
        tell_cursor(h, false);
    }
}

DisplayHead *display_head_find(const char *id)
{
    for (DisplayHead *h = heads; h != NULL; h = h->next) {
        if (id != NULL ? strcmp(h->id, id) == 0 : h->picture != NULL) {
            return h;
        }
    }
    return id == NULL ? heads : NULL;
}

DisplayHead *display_head_need(const char *id, GError **error)
{
    DisplayHead *found = display_head_find(id);
    GString     *names = g_string_new(NULL);

    for (const DisplayHead *h = heads; h != NULL; h = h->next) {
        g_string_append_printf(names, "%s%s", names->len != 0 ? ", " : "", h->id);
    }
    if (found == NULL && heads != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "there is no display '%s'; there are: %s", id, names->str);
    } else if (found == NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "the machine has no display; add -device virtio-gpu-pci, or -device ramfb for firmware");
    }
    g_string_free(names, TRUE);
    return found;
}

void display_describe(GString *out)
{
    for (const DisplayHead *h = heads; h != NULL; h = h->next) {
        if (h->picture != NULL) {
            g_string_append_printf(out, "%s: %dx%d%s\n", h->id, pixman_image_get_width(h->picture),
                                   pixman_image_get_height(h->picture), h->cursor.shape != NULL ? ", a cursor" : "");
        } else {
            g_string_append_printf(out, "%s: dark\n", h->id);
        }
    }
}

void display_head_refresh(DisplayHead *h)
{
    if (h->ops->refresh != NULL) {
        h->ops->refresh(h->opaque);
    }
}

pixman_image_t *display_head_picture(const DisplayHead *h) { return h->picture; }
const DisplayCursor *display_head_get_cursor(const DisplayHead *h) { return &h->cursor; }
bool display_head_refreshes(const DisplayHead *h) { return h->ops->refresh != NULL; }

bool display_head_wish(DisplayHead *h, unsigned width, unsigned height)
{
    if (h->ops->wish == NULL || width == 0 || height == 0 || width > DISPLAY_SIDE_MAX || height > DISPLAY_SIDE_MAX) {
        return false;
    }
    h->ops->wish(h->opaque, width, height);
    return true;
}

void display_watch(DisplayViewer *v)
{
    v->next = viewers;
    viewers = v;
}

void display_unwatch(DisplayViewer *v)
{
    for (DisplayViewer **at = &viewers; *at != NULL; at = &(*at)->next) {
        if (*at == v) {
            *at = v->next;
            return;
        }
    }
}

pixman_image_t *display_compose(DisplayHead *h)
{
    display_head_refresh(h);

    pixman_image_t      *picture = h->picture;
    const DisplayCursor *c = &h->cursor;

    if (picture == NULL) {
        return NULL;
    }
    int             w = pixman_image_get_width(picture), ht = pixman_image_get_height(picture);
    pixman_image_t *all = pixman_image_create_bits(PIXMAN_x8r8g8b8, w, ht, NULL, 0);

    if (all != NULL) {
        pixman_image_composite32(PIXMAN_OP_SRC, picture, NULL, all, 0, 0, 0, 0, 0, 0, w, ht);
    }
    if (all != NULL && c->shape != NULL) {
        pixman_image_composite32(PIXMAN_OP_OVER, c->shape, NULL, all, 0, 0, 0, 0, c->x, c->y,
                                 pixman_image_get_width(c->shape), pixman_image_get_height(c->shape));
    }
    return all;
}

bool display_screendump(const char *path, const char *id, GError **error)
{
    DisplayHead *h = display_head_need(id, error);

    if (h == NULL) {
        return false;
    }
    pixman_image_t *picture = display_compose(h);

    if (picture == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "display '%s' is dark: nothing in the guest has shown a picture on it yet",
                    h->id);
        return false;
    }
    bool ok = png_write(path, picture, error);

    pixman_image_unref(picture);
    return ok;
}

/* ---- input ---- */

void input_attach(InputSink *s)
{
    InputSink **end = &sinks;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    s->next = NULL;
    *end = s;
}

void input_detach(InputSink *s)
{
    for (InputSink **at = &sinks; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            return;
        }
    }
}

bool input_key(unsigned code, bool down)
{
    for (InputSink *s = sinks; s != NULL; s = s->next) {
        if (s->key != NULL) {
            s->key(s->opaque, code, down);
            return true;
        }
    }
    return false;
}

bool input_pointer(unsigned x, unsigned y, unsigned buttons)
{
    for (InputSink *s = sinks; s != NULL; s = s->next) {
        if (s->pointer != NULL) {
            s->pointer(s->opaque, x, y, buttons);
            return true;
        }
    }
    return false;
}
