/*
 * Virtio display adapter: one output, 2D. What a driver draws lies in its own memory; commands copy it into resources
 * of ours and say which one the output shows. Source: VIRTIO 1.2, "GPU Device". Not offered: 3D, blob resources, UUIDs
 * of resources, more outputs than one (two devices are two displays).
 *
 * The driver is hostile: sizes are bounded, the memory that resources and lists of their pages take is counted against
 * max_hostmem, and guest memory is read by DMA at each transfer, never kept.
 */
#include <inttypes.h>
#include <pixman.h>
#include <string.h>

#include "bytes.h"
#include "display/display.h"
#include "display/edid.h"
#include "hw/virtio/virtio.h"
#include "log.h"

enum { CONTROLQ, CURSORQ, N_QUEUES };

enum {
    CONFIG_LEN = 16,
    CONFIG_CLEAR = 4,
    EVENT_DISPLAY = 1,
    HDR = 24,       /* struct virtio_gpu_ctrl_hdr */
    REQUEST_MAX = 56, /* of the commands, but for the list of attach_backing */
    FLAG_FENCE = 1,
    N_SCANOUTS_MAX = 16, /* of the specification: length of the answer to get_display_info */
    SCANOUT_LEN = 24,
    EDID_ROOM = 1024,
    REPLY_MAX = HDR + 8 + EDID_ROOM,
    ENTRY = 16,
    ENTRIES_MAX = 16384,
    ENTRIES_PART = 256, /* read at a time */
    BPP = 4,            /* bytes a pixel, in every format there is */
    CURSOR_SIDE = 64,
};

#define F_EDID BIT(1)

/* "Device Operation: Request header", types of commands and answers. */
enum {
    CMD_GET_DISPLAY_INFO = 0x0100,
    CMD_RESOURCE_CREATE_2D,
    CMD_RESOURCE_UNREF,
    CMD_SET_SCANOUT,
    CMD_RESOURCE_FLUSH,
    CMD_TRANSFER_TO_HOST_2D,
    CMD_RESOURCE_ATTACH_BACKING,
    CMD_RESOURCE_DETACH_BACKING,
    CMD_GET_EDID = 0x010a,
    CMD_UPDATE_CURSOR = 0x0300,
    CMD_MOVE_CURSOR,

    OK_NODATA = 0x1100,
    OK_DISPLAY_INFO = 0x1101,
    OK_EDID = 0x1104,
    ERR_UNSPEC = 0x1200,
    ERR_OUT_OF_MEMORY,
    ERR_INVALID_SCANOUT_ID,
    ERR_INVALID_RESOURCE_ID,
    ERR_INVALID_CONTEXT_ID,
    ERR_INVALID_PARAMETER,
};

/* A piece of guest memory that backs a resource; @end: bytes of the backing up to its end. */
typedef struct Piece {
    uint64_t addr, end;
} Piece;

typedef struct Resource {
    uint32_t        id;
    pixman_image_t *image;
    Piece          *piece; /* NULL: nothing is attached */
    unsigned        n_pieces;
    uint64_t        cost;  /* bytes of max_hostmem */
} Resource;

typedef struct GpuRect {
    uint32_t x, y, width, height;
} GpuRect;

typedef struct VirtioGpu {
    VirtioPci    v;
    uint64_t     xres, yres;  /* properties; then what a viewer wished for */
    uint64_t     max_hostmem; /* property */
    DisplayHead *head;
    GHashTable  *resources; /* by id; the table owns them */
    uint64_t     used;      /* of max_hostmem */
    uint32_t     shown;     /* id of the resource of the output; 0: none */
    GpuRect      window;    /* what of it */
    uint32_t     events;
    VirtioTurn   turn;
    uint8_t      reply[REPLY_MAX];
    size_t       reply_len;
} VirtioGpu;

static VirtioGpu *gpu(VirtioPci *v) { return (VirtioGpu *)v; }

/* ---- resources ---- */

static const struct {
    uint32_t             number;
    pixman_format_code_t format;
} formats[] = { /* bytes in memory in the order of the name; pixman's names are of a word, least significant last */
#if G_BYTE_ORDER == G_LITTLE_ENDIAN
    { 1, PIXMAN_a8r8g8b8 },   /* B8G8R8A8 */
    { 2, PIXMAN_x8r8g8b8 },   /* B8G8R8X8 */
    { 3, PIXMAN_b8g8r8a8 },   /* A8R8G8B8 */
    { 4, PIXMAN_b8g8r8x8 },   /* X8R8G8B8 */
    { 67, PIXMAN_a8b8g8r8 },  /* R8G8B8A8 */
    { 68, PIXMAN_r8g8b8x8 },  /* X8B8G8R8 */
    { 121, PIXMAN_r8g8b8a8 }, /* A8B8G8R8 */
    { 134, PIXMAN_x8b8g8r8 }, /* R8G8B8X8 */
#else
#error "the pixel formats of a big-endian host are not written down"
#endif
};

static pixman_format_code_t format_of(uint32_t number)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (formats[i].number == number) {
            return formats[i].format;
        }
    }
    return 0;
}

/* The same bytes with the one that does not count as alpha. */
static pixman_format_code_t with_alpha(pixman_format_code_t format)
{
    switch (format) {
    case PIXMAN_x8r8g8b8:
        return PIXMAN_a8r8g8b8;
    case PIXMAN_b8g8r8x8:
        return PIXMAN_b8g8r8a8;
    case PIXMAN_x8b8g8r8:
        return PIXMAN_a8b8g8r8;
    case PIXMAN_r8g8b8x8:
        return PIXMAN_r8g8b8a8;
    default:
        return format;
    }
}

static Resource *find(VirtioGpu *g, uint32_t id) { return g_hash_table_lookup(g->resources, &id); }

static void free_resource(gpointer p)
{
    Resource *r = p;

    pixman_image_unref(r->image); /* a picture that shows it has a reference of its own */
    g_free(r->piece);
    g_free(r);
}

static void detach(VirtioGpu *g, Resource *r)
{
    uint64_t cost = r->n_pieces * sizeof(Piece);

    g->used -= cost;
    r->cost -= cost;
    r->n_pieces = 0;
    g_clear_pointer(&r->piece, g_free);
}

static bool inside(const GpuRect *r, uint64_t width, uint64_t height)
{
    return r->width != 0 && r->height != 0 && (uint64_t)r->x + r->width <= width &&
           (uint64_t)r->y + r->height <= height;
}

static bool inside_resource(const GpuRect *rect, const Resource *r)
{
    return inside(rect, (uint64_t)pixman_image_get_width(r->image), (uint64_t)pixman_image_get_height(r->image));
}

static GpuRect read_rect(ByteReader *r)
{
    GpuRect rect;

    rect.x = br_u32(r);
    rect.y = br_u32(r);
    rect.width = br_u32(r);
    rect.height = br_u32(r);
    return rect;
}

static uint32_t do_create(VirtioGpu *g, ByteReader *r)
{
    uint32_t             id = br_u32(r), number = br_u32(r), width = br_u32(r), height = br_u32(r);
    pixman_format_code_t format = format_of(number);

    if (id == 0 || find(g, id) != NULL) {
        return ERR_INVALID_RESOURCE_ID;
    }
    if (format == 0 || width == 0 || height == 0 || width > DISPLAY_SIDE_MAX || height > DISPLAY_SIDE_MAX) {
        return ERR_INVALID_PARAMETER;
    }
    uint64_t        cost = (uint64_t)width * height * BPP + sizeof(Resource);
    pixman_image_t *image = cost <= g->max_hostmem - g->used
                                ? pixman_image_create_bits(format, (int)width, (int)height, NULL, (int)width * BPP)
                                : NULL;
    if (image == NULL) {
        return ERR_OUT_OF_MEMORY;
    }
    Resource *res = g_new0(Resource, 1);

    *res = (Resource){ .id = id, .image = image, .cost = cost };
    g->used += cost;
    g_hash_table_insert(g->resources, &res->id, res);
    return OK_NODATA;
}

static void go_dark(VirtioGpu *g)
{
    g->shown = 0;
    display_head_show(g->head, NULL);
}

static uint32_t do_unref(VirtioGpu *g, ByteReader *r)
{
    Resource *res = find(g, br_u32(r));

    if (res == NULL) {
        return ERR_INVALID_RESOURCE_ID;
    }
    if (res->id == g->shown) {
        go_dark(g);
    }
    g->used -= res->cost;
    g_hash_table_remove(g->resources, &res->id);
    return OK_NODATA;
}

/* ---- backing ---- */

/* The list of attach_backing into @piece; 0, or the answer that says why not. */
static uint32_t read_pieces(VirtioGpu *g, const VirtChain *c, Piece *piece, uint32_t n)
{
    uint8_t  part[ENTRIES_PART * ENTRY];
    uint64_t end = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t in_part = i % ENTRIES_PART;

        if (in_part == 0 && !virtio_chain_read(&g->v, c, HDR + 8 + (uint64_t)i * ENTRY, part,
                                               MIN(n - i, ENTRIES_PART) * (size_t)ENTRY)) {
            return ERR_UNSPEC;
        }
        uint64_t addr = le64_get(part + in_part * ENTRY);
        uint32_t len = le32_get(part + in_part * ENTRY + 8);

        if (len != 0 && addr + (len - 1) < addr) {
            return ERR_INVALID_PARAMETER;
        }
        end += len;
        piece[i] = (Piece){ addr, end };
    }
    return 0;
}

static uint32_t do_attach(VirtioGpu *g, ByteReader *r)
{
    const VirtChain *c = &g->v.chain;
    Resource        *res = find(g, br_u32(r));
    uint32_t         n = br_u32(r);

    if (res == NULL) {
        return ERR_INVALID_RESOURCE_ID;
    }
    if (res->piece != NULL || n == 0 || n > ENTRIES_MAX || c->out_len < HDR + 8 + (uint64_t)n * ENTRY) {
        return res->piece != NULL ? ERR_UNSPEC : ERR_INVALID_PARAMETER;
    }
    uint64_t cost = n * sizeof(Piece);

    if (cost > g->max_hostmem - g->used) {
        return ERR_OUT_OF_MEMORY;
    }
    Piece   *piece = g_new(Piece, n);
    uint32_t why = read_pieces(g, c, piece, n);

    if (why != 0) {
        g_free(piece);
        return why;
    }
    res->piece = piece;
    res->n_pieces = n;
    res->cost += cost;
    g->used += cost;
    return OK_NODATA;
}

static uint32_t do_detach(VirtioGpu *g, ByteReader *r)
{
    Resource *res = find(g, br_u32(r));

    if (res == NULL) {
        return ERR_INVALID_RESOURCE_ID;
    }
    if (res->piece == NULL) {
        return ERR_UNSPEC;
    }
    detach(g, res);
    return OK_NODATA;
}

/* The first piece that has bytes beyond @off. */
static unsigned piece_at(const Resource *r, uint64_t off)
{
    unsigned low = 0, high = r->n_pieces;

    while (low < high) {
        unsigned mid = (low + high) / 2;

        if (r->piece[mid].end > off) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

/* @len bytes of the backing, which has so many. */
static bool read_backing(VirtioGpu *g, const Resource *r, uint64_t off, uint8_t *dst, size_t len)
{
    for (unsigned i = piece_at(r, off); len != 0; i++) {
        uint64_t start = i == 0 ? 0 : r->piece[i - 1].end;
        size_t   part = (size_t)MIN(r->piece[i].end - off, (uint64_t)len);

        if (dma_read(&g->v.pci.dma, r->piece[i].addr + (off - start), dst, part) != DMA_OK) {
            return false;
        }
        dst += part;
        off += part;
        len -= part;
    }
    return true;
}

static uint32_t do_transfer(VirtioGpu *g, ByteReader *r)
{
    GpuRect   rect = read_rect(r);
    uint64_t  offset = br_u64(r);
    Resource *res = find(g, br_u32(r));

    if (res == NULL) {
        return ERR_INVALID_RESOURCE_ID;
    }
    if (res->piece == NULL || !inside_resource(&rect, res)) {
        return res->piece == NULL ? ERR_UNSPEC : ERR_INVALID_PARAMETER;
    }
    /* Rows are as far apart in the backing as in the resource; @offset is where the first pixel of the rectangle is. */
    uint64_t stride = (uint64_t)pixman_image_get_stride(res->image), has = res->piece[res->n_pieces - 1].end;
    uint64_t needs = stride * (rect.height - 1) + (uint64_t)rect.width * BPP;
    uint8_t *dst = (uint8_t *)pixman_image_get_data(res->image) + stride * rect.y + (uint64_t)rect.x * BPP;

    if (offset > has || needs > has - offset) {
        return ERR_INVALID_PARAMETER;
    }
    virtio_turn_spend(&g->turn, needs);
    if ((uint64_t)rect.width * BPP == stride) {
        return read_backing(g, res, offset, dst, (size_t)needs) ? OK_NODATA : ERR_UNSPEC;
    }
    for (uint32_t y = 0; y < rect.height; y++) {
        if (!read_backing(g, res, offset + stride * y, dst + stride * y, (size_t)rect.width * BPP)) {
            return ERR_UNSPEC;
        }
    }
    return OK_NODATA;
}

/* ---- the output ---- */

static uint32_t do_display_info(VirtioGpu *g, ByteReader *r)
{
    le32_put(g->reply + HDR + 8, (uint32_t)g->xres);
    le32_put(g->reply + HDR + 12, (uint32_t)g->yres);
    le32_put(g->reply + HDR + 16, 1); /* enabled */
    g->reply_len = HDR + N_SCANOUTS_MAX * SCANOUT_LEN;
    return OK_DISPLAY_INFO;
}

static uint32_t do_edid(VirtioGpu *g, ByteReader *r)
{
    if (br_u32(r) != 0) {
        return ERR_INVALID_SCANOUT_ID;
    }
    le32_put(g->reply + HDR, EDID_LEN);
    edid_make(g->reply + HDR + 8, (unsigned)g->xres, (unsigned)g->yres);
    g->reply_len = REPLY_MAX;
    return OK_EDID;
}

static void drop_parent(pixman_image_t *view, void *parent) { pixman_image_unref(parent); }

/* The part of a resource as a picture of its own, which keeps the pixels alive. */
static pixman_image_t *make_view(const Resource *res, const GpuRect *w, pixman_format_code_t format)
{
    int             stride = pixman_image_get_stride(res->image);
    uint8_t        *bits = (uint8_t *)pixman_image_get_data(res->image) + (size_t)stride * w->y + (size_t)w->x * BPP;
    pixman_image_t *view =
        pixman_image_create_bits(format, (int)w->width, (int)w->height, (uint32_t *)(void *)bits, stride);

    if (view != NULL) {
        pixman_image_ref(res->image);
        pixman_image_set_destroy_function(view, drop_parent, res->image);
    }
    return view;
}

static uint32_t do_scanout(VirtioGpu *g, ByteReader *r)
{
    GpuRect  rect = read_rect(r);
    uint32_t scanout = br_u32(r), id = br_u32(r);

    if (scanout != 0) {
        return ERR_INVALID_SCANOUT_ID;
    }
    if (id == 0) {
        go_dark(g);
        return OK_NODATA;
    }
    Resource *res = find(g, id);

    if (res == NULL) {
        return ERR_INVALID_RESOURCE_ID;
    }
    if (!inside_resource(&rect, res)) {
        return ERR_INVALID_PARAMETER;
    }
    pixman_image_t *view = make_view(res, &rect, pixman_image_get_format(res->image));

    if (view == NULL) {
        return ERR_OUT_OF_MEMORY;
    }
    g->shown = id;
    g->window = rect;
    display_head_show(g->head, view);
    pixman_image_unref(view); /* the head has one */
    return OK_NODATA;
}

static uint32_t do_flush(VirtioGpu *g, ByteReader *r)
{
    GpuRect   rect = read_rect(r);
    Resource *res = find(g, br_u32(r));

    if (res == NULL) {
        return ERR_INVALID_RESOURCE_ID;
    }
    if (!inside_resource(&rect, res)) {
        return ERR_INVALID_PARAMETER;
    }
    if (res->id == g->shown) {
        display_head_damage(g->head, (int)rect.x - (int)g->window.x, (int)rect.y - (int)g->window.y, rect.width,
                            rect.height);
    }
    return OK_NODATA;
}

/* ---- the cursor ---- */

/* The shape is copied: what happens to the resource later does not show. Linux's driver makes it of a format without
 * alpha, and means it all the same. */
static uint32_t set_shape(VirtioGpu *g, uint32_t id, uint32_t hot_x, uint32_t hot_y)
{
    Resource *res = find(g, id);

    if (id == 0) {
        display_head_cursor(g->head, NULL, 0, 0);
        return OK_NODATA;
    }
    if (res == NULL) {
        return ERR_INVALID_RESOURCE_ID;
    }
    if (pixman_image_get_width(res->image) != CURSOR_SIDE || pixman_image_get_height(res->image) != CURSOR_SIDE ||
        hot_x >= CURSOR_SIDE || hot_y >= CURSOR_SIDE) {
        return ERR_INVALID_PARAMETER;
    }
    const GpuRect   all = { 0, 0, CURSOR_SIDE, CURSOR_SIDE };
    pixman_image_t *drawn = make_view(res, &all, with_alpha(pixman_image_get_format(res->image)));
    pixman_image_t *shape = pixman_image_create_bits(PIXMAN_a8r8g8b8, CURSOR_SIDE, CURSOR_SIDE, NULL, 0);

    if (drawn != NULL && shape != NULL) {
        pixman_image_composite32(PIXMAN_OP_SRC, drawn, NULL, shape, 0, 0, 0, 0, 0, 0, CURSOR_SIDE, CURSOR_SIDE);
        display_head_cursor(g->head, shape, hot_x, hot_y);
    }
    uint32_t status = drawn != NULL && shape != NULL ? OK_NODATA : ERR_OUT_OF_MEMORY;

    g_clear_pointer(&drawn, pixman_image_unref);
    g_clear_pointer(&shape, pixman_image_unref);
    return status;
}

static uint32_t do_cursor(VirtioGpu *g, ByteReader *r)
{
    uint32_t type = le32_get(r->data), scanout = br_u32(r), x = br_u32(r), y = br_u32(r), status = OK_NODATA;

    br_skip(r, 4);
    uint32_t id = br_u32(r), hot_x = br_u32(r), hot_y = br_u32(r);

    if (scanout != 0) {
        return ERR_INVALID_SCANOUT_ID;
    }
    if (type == CMD_UPDATE_CURSOR) {
        status = set_shape(g, id, hot_x, hot_y);
    }
    if (status == OK_NODATA) { /* the corner of the shape, which may be beyond the picture's */
        display_head_cursor_at(g->head, CLAMP((int32_t)x, -CURSOR_SIDE, DISPLAY_SIDE_MAX),
                               CLAMP((int32_t)y, -CURSOR_SIDE, DISPLAY_SIDE_MAX));
    }
    return status;
}

/* ---- the queues ---- */

typedef struct GpuCommand {
    uint32_t    type;
    unsigned    queue;
    unsigned    len; /* of the request with its header, at least */
    const char *name;
    uint32_t  (*run)(VirtioGpu *g, ByteReader *r);
} GpuCommand;

static const GpuCommand commands[] = {
    { CMD_GET_DISPLAY_INFO, CONTROLQ, HDR, "get_display_info", do_display_info },
    { CMD_RESOURCE_CREATE_2D, CONTROLQ, HDR + 16, "resource_create_2d", do_create },
    { CMD_RESOURCE_UNREF, CONTROLQ, HDR + 4, "resource_unref", do_unref },
    { CMD_SET_SCANOUT, CONTROLQ, HDR + 24, "set_scanout", do_scanout },
    { CMD_RESOURCE_FLUSH, CONTROLQ, HDR + 20, "resource_flush", do_flush },
    { CMD_TRANSFER_TO_HOST_2D, CONTROLQ, HDR + 28, "transfer_to_host_2d", do_transfer },
    { CMD_RESOURCE_ATTACH_BACKING, CONTROLQ, HDR + 8, "resource_attach_backing", do_attach },
    { CMD_RESOURCE_DETACH_BACKING, CONTROLQ, HDR + 4, "resource_detach_backing", do_detach },
    { CMD_GET_EDID, CONTROLQ, HDR + 4, "get_edid", do_edid },
    { CMD_UPDATE_CURSOR, CURSORQ, HDR + 28, "update_cursor", do_cursor },
    { CMD_MOVE_CURSOR, CURSORQ, HDR + 28, "move_cursor", do_cursor },
};

static const GpuCommand *find_command(unsigned q, uint32_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (commands[i].queue == q && commands[i].type == type) {
            return &commands[i];
        }
    }
    return NULL;
}

/* One request; the answer is in g->reply. False: memory does not answer, and the device is broken. */
static bool serve(VirtioGpu *g, unsigned q)
{
    const VirtChain *c = &g->v.chain;
    uint8_t          request[REQUEST_MAX] = { 0 };
    size_t           len = (size_t)MIN(c->out_len, (uint64_t)sizeof(request));

    memset(g->reply, 0, sizeof(g->reply));
    g->reply_len = HDR;
    if (!virtio_chain_read(&g->v, c, 0, request, len)) {
        return false;
    }
    const GpuCommand *cmd = find_command(q, le32_get(request));
    ByteReader        r = br_init(request, sizeof(request));
    uint32_t          status = ERR_UNSPEC;

    br_skip(&r, HDR);
    if (cmd != NULL && len >= cmd->len && (cmd->type != CMD_GET_EDID || virtio_has(&g->v, F_EDID))) {
        status = cmd->run(g, &r);
    }
    if (status >= ERR_UNSPEC) {
        guest_error("%s: command 0x%x (%s) fails: 0x%x", g->v.pci.dev.id, le32_get(request),
                    cmd != NULL ? cmd->name : "unknown", status);
    }
    le32_put(g->reply, status);
    if (le32_get(request + 4) & FLAG_FENCE) { /* everything is done when it is answered */
        le32_put(g->reply + 4, FLAG_FENCE);
        memcpy(g->reply + 8, request + 8, 12); /* fence_id, ctx_id */
    }
    return true;
}

static void serve_queue(VirtioPci *v, unsigned q)
{
    VirtioGpu *g = gpu(v);
    bool       any = false;

    while (virtio_turn_pop(&g->turn, q)) {
        if (!serve(g, q)) {
            return;
        }
        size_t n = (size_t)MIN(v->chain.in_len, (uint64_t)g->reply_len); /* the cursor's driver leaves no room */

        if (!virtio_chain_write(v, &v->chain, 0, g->reply, n) || !virtq_push(v, q, &v->chain, (uint32_t)n)) {
            return;
        }
        any = true;
    }
    if (any) {
        virtq_notify(v, q);
    }
}

static void notify(VirtioPci *v, unsigned q)
{
    virtio_turn_notify(&gpu(v)->turn, q);
}

static void config_get(VirtioPci *v, uint8_t *config)
{
    le32_put(config, gpu(v)->events);
    le32_put(config + 8, 1); /* num_scanouts */
}

static void config_set(VirtioPci *v, unsigned off, unsigned size, uint32_t value)
{
    if (off == CONFIG_CLEAR) {
        gpu(v)->events &= ~value;
    }
}

static void reset(VirtioPci *v)
{
    VirtioGpu *g = gpu(v);

    if (g->head != NULL) { /* not before realize() made it */
        go_dark(g);
        display_head_cursor(g->head, NULL, 0, 0);
    }
    virtio_turn_reset(&g->turn);
    g_hash_table_remove_all(g->resources);
    g->used = 0;
    g->events = 0;
}

static const VirtioType gpu_type = {
    .id = VIRTIO_ID_GPU,
    .class_code = 0x038000,
    .n_queues = N_QUEUES,
    .queue_size = 256,
    .features = F_EDID,
    .config_len = CONFIG_LEN,
    .config_get = config_get,
    .config_set = config_set,
    .notify = notify,
    .reset = reset,
};

/* A viewer's window has another size: the driver hears of it, and may follow. */
static void on_wish(void *opaque, unsigned width, unsigned height)
{
    VirtioGpu *g = opaque;

    if (width != g->xres || height != g->yres) {
        g->xres = width;
        g->yres = height;
        g->events |= EVENT_DISPLAY;
        virtio_config_changed(&g->v);
    }
}

static const DisplayHeadOps head_ops = { .wish = on_wish };

static bool gpu_realize(Device *dev, GError **error)
{
    VirtioGpu *g = (VirtioGpu *)dev;

    if (g->xres < 1 || g->xres > DISPLAY_SIDE_MAX || g->yres < 1 || g->yres > DISPLAY_SIDE_MAX) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "device %s: xres=%" PRIu64 ",yres=%" PRIu64 " is no size of a picture; use 1 to %d each", dev->id,
                    g->xres, g->yres, DISPLAY_SIDE_MAX);
        return false;
    }
    g->resources = g_hash_table_new_full(g_int_hash, g_int_equal, NULL, free_resource);
    virtio_pci_init(&g->v, &gpu_type, &virtio_default_layout, gpu_type.features, NULL);
    g->head = display_head_new(dev->id, &head_ops, g);
    virtio_turn_init(&g->turn, &g->v, serve_queue);
    return true;
}

static void gpu_unrealize(Device *dev)
{
    VirtioGpu *g = (VirtioGpu *)dev;

    virtio_turn_deinit(&g->turn);
    display_head_free(g->head);
    g_clear_pointer(&g->resources, g_hash_table_destroy);
}

static const Prop gpu_props[] = {
    { "xres", PROP_UINT, offsetof(VirtioGpu, xres), "1280", "width that the driver is told, pixels" },
    { "yres", PROP_UINT, offsetof(VirtioGpu, yres), "800", "height that the driver is told, pixels" },
    { "max_hostmem", PROP_SIZE, offsetof(VirtioGpu, max_hostmem), "256M", "what its resources may take of our memory" },
};

DEVICE(virtio_gpu,
       VIRTIO_CLASS("virtio-gpu-pci", VirtioGpu, gpu_realize, .unrealize = gpu_unrealize,
                    .desc = "virtio display adapter, 2D", .props = gpu_props, .n_props = ARRAY_LEN(gpu_props)));
