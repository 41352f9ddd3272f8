/* The protocol: who comes in, messages, updates. How pixels become bytes: rfb_encode.c. */
#include "display/rfb.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "display/rfb_encode.h"

enum {
    VERSION_LEN = 12,
    SECURITY_NONE = 1,
    SECURITY_VNC = 2,
    INPUT_MAX = 16 << 10,   /* the longest message that is kept whole */
    ENCODINGS_MAX = 1024,
    RECTS_MAX = 64,         /* of an update; more become one */
    DARK_WIDTH = 640,       /* what a client sees of a head that shows nothing */
    DARK_HEIGHT = 480,
    KEY_CODES = 256,

    /* "Client-to-Server Messages" */
    MSG_SET_PIXEL_FORMAT = 0,
    MSG_SET_ENCODINGS = 2,
    MSG_UPDATE_REQUEST = 3,
    MSG_KEY = 4,
    MSG_POINTER = 5,
    MSG_CUT_TEXT = 6,
    MSG_SET_DESKTOP_SIZE = 251,
    MSG_QEMU = 255,

    ENC_RAW = 0,
    ENC_ZLIB = 6,
    ENC_DESKTOP_SIZE = -223,
    ENC_CURSOR = -239,
    ENC_QEMU_KEYS = -258,
    ENC_EXTENDED_SIZE = -308,

    /* ExtendedDesktopSize: who asked for the size, and how that went. */
    SIZE_BY_SERVER = 0,
    SIZE_BY_CLIENT = 1,
    SIZE_PROHIBITED = 1,
    SIZE_FORWARDED = 4,
};

typedef enum Phase { PHASE_VERSION, PHASE_SECURITY, PHASE_AUTH, PHASE_INIT, PHASE_RUN } Phase;

struct Rfb {
    Phase       phase;
    unsigned    minor; /* of version 3 */
    char        password[RFB_PASSWORD_MAX];
    bool        has_password;
    uint8_t     challenge[RFB_CHALLENGE_LEN];
    uint8_t     input[INPUT_MAX];
    size_t      input_len;
    uint64_t    skip; /* bytes of a text that nobody reads */
    GByteArray *out;

    DisplayHead   *head;
    unsigned       width, height; /* as the client was told last */
    RfbFormat      format;
    bool           zlib, desktop_size, extended_size, cursors, qemu_keys; /* what the client understands */
    RfbDeflate    *deflate;
    bool           waits;
    pixman_box32_t asked;
    pixman_region32_t dirty;
    bool           tell_size, tell_cursor, tell_keys;
    unsigned       size_reason, size_status;
    pixman_box32_t cursor_box; /* where we have drawn it; empty: nowhere */

    uint8_t  down[KEY_CODES / 8];
    unsigned x, y, buttons; /* as last told to the guest */
};

GByteArray *rfb_output(Rfb *r) { return r->out; }
bool rfb_is_open(const Rfb *r) { return r->phase == PHASE_RUN; }
bool rfb_waits(const Rfb *r) { return r->waits; }

/* ---- bytes to the client ---- */

static void put(Rfb *r, const void *data, size_t len) { g_byte_array_append(r->out, data, (guint)len); }
static void put8(Rfb *r, uint8_t v) { put(r, &v, 1); }

static void put16(Rfb *r, unsigned v)
{
    uint8_t b[2];

    be16_put(b, (uint16_t)v);
    put(r, b, sizeof(b));
}

static void put32(Rfb *r, uint32_t v)
{
    uint8_t b[4];

    be32_put(b, v);
    put(r, b, sizeof(b));
}

static void put_rect(Rfb *r, unsigned x, unsigned y, unsigned width, unsigned height, int32_t encoding)
{
    put16(r, x);
    put16(r, y);
    put16(r, width);
    put16(r, height);
    put32(r, (uint32_t)encoding);
}

/* ---- what is to be seen ---- */

static void picture_size(Rfb *r, unsigned *width, unsigned *height)
{
    pixman_image_t *p = r->head != NULL ? display_head_picture(r->head) : NULL;

    *width = p != NULL ? (unsigned)pixman_image_get_width(p) : DARK_WIDTH;
    *height = p != NULL ? (unsigned)pixman_image_get_height(p) : DARK_HEIGHT;
}

static void add_dirty(Rfb *r, const pixman_box32_t *b)
{
    if (b->x1 < b->x2 && b->y1 < b->y2) {
        pixman_region32_union_rect(&r->dirty, &r->dirty, b->x1, b->y1, (unsigned)(b->x2 - b->x1),
                                   (unsigned)(b->y2 - b->y1));
    }
}

static void all_dirty(Rfb *r)
{
    add_dirty(r, &(pixman_box32_t){ 0, 0, (int32_t)r->width, (int32_t)r->height });
}

/* Where the cursor belongs into the picture: nowhere when the client draws it itself. */
static pixman_box32_t cursor_box(const Rfb *r)
{
    const DisplayCursor *c = r->head != NULL ? display_head_get_cursor(r->head) : NULL;

    if (r->cursors || c == NULL || c->shape == NULL) {
        return (pixman_box32_t){ 0 };
    }
    return (pixman_box32_t){ MAX(c->x, 0), MAX(c->y, 0), c->x + pixman_image_get_width(c->shape),
                             c->y + pixman_image_get_height(c->shape) };
}

void rfb_cursor(Rfb *r, bool new_shape)
{
    r->tell_cursor |= new_shape && r->cursors;
    add_dirty(r, &r->cursor_box);
    r->cursor_box = cursor_box(r);
    add_dirty(r, &r->cursor_box);
}

void rfb_damaged(Rfb *r, const pixman_box32_t *box) { add_dirty(r, box); }

void rfb_look_at(Rfb *r, DisplayHead *h)
{
    unsigned width, height;

    r->head = h;
    picture_size(r, &width, &height);
    if ((width != r->width || height != r->height) && !r->tell_size) {
        r->tell_size = r->desktop_size || r->extended_size;
        r->size_reason = SIZE_BY_SERVER;
        r->size_status = 0;
    }
    rfb_cursor(r, true);
    all_dirty(r);
}

/* ---- security ---- */

/* "VNC Authentication": DES of the challenge; bits of a key's bytes are the other way round. Three times the same key
 * makes of triple DES the single one, which libcrypto keeps apart by now. */
static bool expected_response(const Rfb *r, uint8_t response[RFB_CHALLENGE_LEN])
{
    uint8_t         key[3 * RFB_PASSWORD_MAX];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int             len = 0;

    for (unsigned i = 0; i < sizeof(key); i++) {
        uint8_t c = (uint8_t)r->password[i % RFB_PASSWORD_MAX], turned = 0;

        for (unsigned b = 0; b < 8; b++) {
            turned |= (uint8_t)((c >> b & 1) << (7 - b));
        }
        key[i] = turned;
    }
    bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_des_ede3_ecb(), NULL, key, NULL) == 1 &&
              EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
              EVP_EncryptUpdate(ctx, response, &len, r->challenge, RFB_CHALLENGE_LEN) == 1 && len == RFB_CHALLENGE_LEN;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static const char *take_version(Rfb *r, const uint8_t *p)
{
    if (memcmp(p, "RFB 003.", 8) != 0 || p[11] != '\n') {
        return "it does not speak RFB 3";
    }
    /* "ProtocolVersion": 3.3, 3.7 and 3.8 exist; whatever else somebody says is 3.3 */
    r->minor = memcmp(p + 8, "008", 3) == 0 ? 8 : memcmp(p + 8, "007", 3) == 0 ? 7 : 3;
    uint8_t type = r->has_password ? SECURITY_VNC : SECURITY_NONE;

    if (r->minor >= 7) {
        put8(r, 1);
        put8(r, type);
        r->phase = PHASE_SECURITY;
        return NULL;
    }
    put32(r, type); /* the server chooses */
    if (r->has_password) {
        put(r, r->challenge, RFB_CHALLENGE_LEN);
    }
    r->phase = r->has_password ? PHASE_AUTH : PHASE_INIT;
    return NULL;
}

static const char *take_security(Rfb *r, const uint8_t *p)
{
    if (*p != (r->has_password ? SECURITY_VNC : SECURITY_NONE)) {
        return "it wants a security type that was not offered";
    }
    if (r->has_password) {
        put(r, r->challenge, RFB_CHALLENGE_LEN);
        r->phase = PHASE_AUTH;
        return NULL;
    }
    if (r->minor >= 8) { /* "SecurityResult": in 3.7 there is none without authentication */
        put32(r, 0);
    }
    r->phase = PHASE_INIT;
    return NULL;
}

static const char *take_response(Rfb *r, const uint8_t *p)
{
    static const char wrong[] = "wrong password";
    uint8_t           expected[RFB_CHALLENGE_LEN];
    bool ok = expected_response(r, expected) && CRYPTO_memcmp(p, expected, RFB_CHALLENGE_LEN) == 0;

    put32(r, ok ? 0 : 1);
    if (!ok && r->minor >= 8) {
        put32(r, sizeof(wrong) - 1);
        put(r, wrong, sizeof(wrong) - 1);
    }
    r->phase = PHASE_INIT;
    return ok ? NULL : "its password is wrong";
}

/* "ServerInit". All clients share the display, whatever this one would like. */
static const char *take_init(Rfb *r, const uint8_t *p)
{
    static const char name[] = "Bailey";
    uint8_t           format[RFB_FORMAT_LEN];

    picture_size(r, &r->width, &r->height);
    rfb_format_put(&r->format, format);
    put16(r, r->width);
    put16(r, r->height);
    put(r, format, sizeof(format));
    put32(r, sizeof(name) - 1);
    put(r, name, sizeof(name) - 1);
    all_dirty(r);
    r->phase = PHASE_RUN;
    return NULL;
}

/* ---- messages ---- */

static const char *take_format(Rfb *r, const uint8_t *p)
{
    if (!rfb_format_get(&r->format, p + 4)) {
        return "it wants pixels in a format that is not offered: true colours of 8, 16 or 32 bits are";
    }
    all_dirty(r);
    r->tell_cursor |= r->cursors;
    return NULL;
}

static const char *take_encodings(Rfb *r, const uint8_t *p)
{
    unsigned n = be16_get(p + 2);
    bool     chosen = false;

    r->zlib = r->desktop_size = r->extended_size = r->cursors = r->qemu_keys = false;
    for (unsigned i = 0; i < n; i++) {
        int32_t e = (int32_t)be32_get(p + 4 + 4 * i);

        if (!chosen && (e == ENC_RAW || e == ENC_ZLIB)) { /* the client names first what it likes best */
            r->zlib = e == ENC_ZLIB;
            chosen = true;
        }
        r->desktop_size |= e == ENC_DESKTOP_SIZE;
        r->extended_size |= e == ENC_EXTENDED_SIZE;
        r->cursors |= e == ENC_CURSOR;
        r->qemu_keys |= e == ENC_QEMU_KEYS;
    }
    r->tell_keys = r->qemu_keys;
    if (r->extended_size) { /* that it is there, the client learns from the first one */
        r->tell_size = true;
        r->size_reason = SIZE_BY_SERVER;
        r->size_status = 0;
    }
    rfb_look_at(r, r->head);
    return NULL;
}

static const char *take_request(Rfb *r, const uint8_t *p)
{
    pixman_box32_t b = { be16_get(p + 2), be16_get(p + 4), be16_get(p + 2) + be16_get(p + 6),
                         be16_get(p + 4) + be16_get(p + 8) };

    b.x2 = MIN(b.x2, (int32_t)r->width);
    b.y2 = MIN(b.y2, (int32_t)r->height);
    if (p[1] == 0) { /* not incremental */
        add_dirty(r, &b);
    }
    if (r->waits) {
        b = (pixman_box32_t){ MIN(b.x1, r->asked.x1), MIN(b.y1, r->asked.y1), MAX(b.x2, r->asked.x2),
                              MAX(b.y2, r->asked.y2) };
    }
    r->asked = b;
    r->waits = true;
    return NULL;
}

static void key(Rfb *r, unsigned code, bool down)
{
    if (code == 0 || code >= KEY_CODES) {
        return;
    }
    uint8_t bit = (uint8_t)(1u << code % 8);

    if (down) {
        r->down[code / 8] |= bit;
    } else {
        r->down[code / 8] &= (uint8_t)~bit;
    }
    (void)input_key(code, down);
}

static const char *take_key(Rfb *r, const uint8_t *p)
{
    key(r, rfb_key_of(be32_get(p + 4)), p[1] != 0);
    return NULL;
}

static void point(Rfb *r, unsigned x, unsigned y, unsigned buttons)
{
    r->x = x;
    r->y = y;
    r->buttons = buttons;
    (void)input_pointer(r->width > 1 ? MIN(x, r->width - 1) * INPUT_AXIS_MAX / (r->width - 1) : 0,
                        r->height > 1 ? MIN(y, r->height - 1) * INPUT_AXIS_MAX / (r->height - 1) : 0, buttons);
}

static const char *take_pointer(Rfb *r, const uint8_t *p)
{
    point(r, be16_get(p + 2), be16_get(p + 4), p[1]);
    return NULL;
}

static const char *take_text(Rfb *r, const uint8_t *p)
{
    r->skip = be32_get(p + 4);
    return NULL;
}

static const char *take_wish(Rfb *r, const uint8_t *p)
{
    bool may = r->head != NULL && display_head_wish(r->head, be16_get(p + 2), be16_get(p + 4));

    r->tell_size |= r->extended_size;
    r->size_reason = SIZE_BY_CLIENT;
    r->size_status = may ? SIZE_FORWARDED : SIZE_PROHIBITED;
    return NULL;
}

/* "QEMU Extended Key Event Message", which alone was offered of QEMU's messages. */
static const char *take_qemu(Rfb *r, const uint8_t *p)
{
    if (p[1] != 0) {
        return "it sends a message of QEMU's that was not offered";
    }
    key(r, rfb_key_of_xt(be32_get(p + 8)), be16_get(p + 2) != 0);
    return NULL;
}

typedef struct Message {
    int         type; /* -1: the only one of its phase */
    Phase       phase;
    unsigned    len;
    unsigned    count_at, count_len, each; /* more follow: at, in bytes, of how many; 0: none */
    const char *(*take)(Rfb *r, const uint8_t *p);
} Message;

static const Message messages[] = {
    { -1, PHASE_VERSION, VERSION_LEN, 0, 0, 0, take_version },
    { -1, PHASE_SECURITY, 1, 0, 0, 0, take_security },
    { -1, PHASE_AUTH, RFB_CHALLENGE_LEN, 0, 0, 0, take_response },
    { -1, PHASE_INIT, 1, 0, 0, 0, take_init },
    { MSG_SET_PIXEL_FORMAT, PHASE_RUN, 20, 0, 0, 0, take_format },
    { MSG_SET_ENCODINGS, PHASE_RUN, 4, 2, 2, 4, take_encodings },
    { MSG_UPDATE_REQUEST, PHASE_RUN, 10, 0, 0, 0, take_request },
    { MSG_KEY, PHASE_RUN, 8, 0, 0, 0, take_key },
    { MSG_POINTER, PHASE_RUN, 6, 0, 0, 0, take_pointer },
    { MSG_CUT_TEXT, PHASE_RUN, 8, 0, 0, 0, take_text },
    { MSG_SET_DESKTOP_SIZE, PHASE_RUN, 8, 6, 1, 16, take_wish },
    { MSG_QEMU, PHASE_RUN, 12, 0, 0, 0, take_qemu },
};

static const Message *find_message(const Rfb *r, uint8_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        if (messages[i].phase == r->phase && (messages[i].type == -1 || messages[i].type == type)) {
            return &messages[i];
        }
    }
    return NULL;
}

/* Bytes of the whole message, as far as its start says: it may grow with the next ones. */
static size_t message_len(const Message *m, const uint8_t *p, size_t has)
{
    if (m->count_len == 0 || has < m->len) {
        return m->len;
    }
    return m->len + (size_t)m->each * (m->count_len == 2 ? be16_get(p + m->count_at) : p[m->count_at]);
}

/* The messages that are there; *@used receives their bytes. */
static const char *take_messages(Rfb *r, const uint8_t *p, size_t len, size_t *used)
{
    for (*used = 0; *used < len;) {
        const Message *m = find_message(r, p[*used]);
        size_t         has = len - *used;

        if (m == NULL) {
            return "it sends a message that there is not";
        }
        size_t needs = message_len(m, p + *used, has);

        if (needs > INPUT_MAX || (m->type == MSG_SET_ENCODINGS && needs > 4 + 4 * ENCODINGS_MAX)) {
            return "it sends too long a message";
        }
        if (has < needs) {
            break;
        }
        const char *why = m->take(r, p + *used);

        if (why != NULL) {
            return why;
        }
        *used += needs;
        if (r->skip != 0) { /* the text may be here already */
            size_t gone = (size_t)MIN(r->skip, (uint64_t)(len - *used));

            *used += gone;
            r->skip -= gone;
        }
    }
    return NULL;
}

const char *rfb_receive(Rfb *r, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t gone = (size_t)MIN(r->skip, (uint64_t)len), used;

        r->skip -= gone;
        data += gone;
        len -= gone;
        size_t part = MIN(len, INPUT_MAX - r->input_len);

        memcpy(r->input + r->input_len, data, part);
        r->input_len += part;
        data += part;
        len -= part;
        const char *why = take_messages(r, r->input, r->input_len, &used);

        if (why != NULL) {
            return why;
        }
        r->input_len -= used;
        memmove(r->input, r->input + used, r->input_len);
    }
    return NULL;
}

/* ---- updates ---- */

bool rfb_has_news(const Rfb *r)
{
    return r->tell_size || r->tell_cursor || r->tell_keys || pixman_region32_not_empty((pixman_region32_t *)&r->dirty);
}

static void put_size(Rfb *r)
{
    if (!r->extended_size) {
        put_rect(r, 0, 0, r->width, r->height, ENC_DESKTOP_SIZE);
        return;
    }
    put_rect(r, r->size_reason, r->size_status, r->width, r->height, ENC_EXTENDED_SIZE);
    put32(r, 1u << 24); /* one screen, */
    put32(r, 0);        /* number 0, */
    put16(r, 0);
    put16(r, 0);
    put16(r, r->width); /* as large as all of it */
    put16(r, r->height);
    put32(r, 0);
}

/* "Cursor Pseudo-Encoding": pixels, then a bit for each that counts. */
static void put_cursor(Rfb *r)
{
    const DisplayCursor *c = r->head != NULL ? display_head_get_cursor(r->head) : NULL;

    if (c == NULL || c->shape == NULL) {
        put_rect(r, 0, 0, 0, 0, ENC_CURSOR);
        return;
    }
    put_rect(r, c->hot_x, c->hot_y, (unsigned)pixman_image_get_width(c->shape),
             (unsigned)pixman_image_get_height(c->shape), ENC_CURSOR);
    rfb_put_raw(&r->format, c->shape, r->out);
    rfb_put_mask(c->shape, r->out);
}

static void put_pixels(Rfb *r, const pixman_box32_t *b)
{
    unsigned        width = (unsigned)(b->x2 - b->x1), height = (unsigned)(b->y2 - b->y1);
    pixman_image_t *p = r->head != NULL ? display_head_picture(r->head) : NULL;
    pixman_image_t *part = pixman_image_create_bits(PIXMAN_x8r8g8b8, (int)width, (int)height, NULL, 0);
    const DisplayCursor *c = r->head != NULL ? display_head_get_cursor(r->head) : NULL;

    if (p != NULL && part != NULL) { /* what is beyond the picture stays black */
        pixman_image_composite32(PIXMAN_OP_SRC, p, NULL, part, b->x1, b->y1, 0, 0, 0, 0, (int)width, (int)height);
    }
    if (part != NULL && c != NULL && c->shape != NULL && !r->cursors) {
        pixman_image_composite32(PIXMAN_OP_OVER, c->shape, NULL, part, 0, 0, 0, 0, c->x - b->x1, c->y - b->y1,
                                 pixman_image_get_width(c->shape), pixman_image_get_height(c->shape));
    }
    put_rect(r, (unsigned)b->x1, (unsigned)b->y1, part != NULL ? width : 0, part != NULL ? height : 0,
             r->zlib ? ENC_ZLIB : ENC_RAW);
    if (part == NULL) { /* no memory: an empty rectangle */
        if (r->zlib) {
            put32(r, 0);
        }
        return;
    }
    if (r->zlib) {
        rfb_put_zlib(r->deflate, &r->format, part, r->out);
    } else {
        rfb_put_raw(&r->format, part, r->out);
    }
    pixman_image_unref(part);
}

/* What is dirty of what was asked for into @now, and out of r->dirty. */
static void take_dirty(Rfb *r, pixman_region32_t *now)
{
    pixman_region32_t asked;

    pixman_region32_init(now);
    /* Outside the screen there is nothing to send. */
    pixman_region32_intersect_rect(&r->dirty, &r->dirty, 0, 0, r->width, r->height);
    if (r->asked.x1 < r->asked.x2 && r->asked.y1 < r->asked.y2) {
        pixman_region32_init_with_extents(&asked, &r->asked);
        pixman_region32_intersect(now, &r->dirty, &asked);
        pixman_region32_subtract(&r->dirty, &r->dirty, now);
        pixman_region32_fini(&asked);
    }
    if (pixman_region32_n_rects(now) > RECTS_MAX) {
        pixman_box32_t all = *pixman_region32_extents(now);

        pixman_region32_reset(now, &all);
    }
}

void rfb_update(Rfb *r)
{
    pixman_region32_t now;
    int               n;

    if (r->phase != PHASE_RUN || !r->waits || !rfb_has_news(r) || r->out->len != 0) {
        return;
    }
    if (r->tell_size) {
        picture_size(r, &r->width, &r->height);
        r->asked = (pixman_box32_t){ 0, 0, (int32_t)r->width, (int32_t)r->height };
        all_dirty(r);
    }
    take_dirty(r, &now);
    const pixman_box32_t *box = pixman_region32_rectangles(&now, &n);
    unsigned              extras = (unsigned)r->tell_size + r->tell_cursor + r->tell_keys;

    if (n != 0 || extras != 0) {
        put8(r, 0); /* "FramebufferUpdate" */
        put8(r, 0);
        put16(r, (unsigned)n + extras);
        if (r->tell_size) {
            put_size(r);
        }
        if (r->tell_cursor) {
            put_cursor(r);
        }
        if (r->tell_keys) {
            put_rect(r, 0, 0, 0, 0, ENC_QEMU_KEYS);
        }
        for (int i = 0; i < n; i++) {
            put_pixels(r, &box[i]);
        }
        r->tell_size = r->tell_cursor = r->tell_keys = false;
        r->waits = false;
    }
    pixman_region32_fini(&now);
}

/* ---- from start to end ---- */

Rfb *rfb_new(const char *password, const uint8_t challenge[RFB_CHALLENGE_LEN])
{
    Rfb *r = g_new0(Rfb, 1);

    r->out = g_byte_array_new();
    r->deflate = rfb_deflate_new();
    r->width = DARK_WIDTH;
    r->height = DARK_HEIGHT;
    r->has_password = password != NULL;
    if (password != NULL) {
        memcpy(r->password, password, MIN(strlen(password), RFB_PASSWORD_MAX));
        memcpy(r->challenge, challenge, RFB_CHALLENGE_LEN);
    }
    rfb_format_default(&r->format);
    pixman_region32_init(&r->dirty);
    put(r, "RFB 003.008\n", VERSION_LEN);
    return r;
}

void rfb_free(Rfb *r)
{
    for (unsigned code = 1; code < KEY_CODES; code++) {
        if (r->down[code / 8] & 1u << code % 8) {
            (void)input_key(code, false);
        }
    }
    if (r->buttons != 0) {
        point(r, r->x, r->y, 0);
    }
    pixman_region32_fini(&r->dirty);
    rfb_deflate_free(r->deflate);
    g_byte_array_free(r->out, TRUE);
    OPENSSL_cleanse(r->password, sizeof(r->password));
    g_free(r);
}
