/*
 * The CBOR reader. A head gives type and value; the extent of a nested item is found by counting the items that
 * must still follow, which is bounded by the bytes that are left.
 */
#include "tool/cbor.h"

#include <glib.h>
#include <string.h>

CborReader cbor_reader(const uint8_t *data, size_t start, size_t end)
{
    return (CborReader){ .data = data, .pos = start, .end = end };
}

CborReader cbor_enter(const CborReader *outer, const CborItem *item)
{
    return cbor_reader(outer->data, item->content, item->end);
}

bool cbor_fail(CborReader *r, size_t at, const char *why)
{
    if (r->why == NULL) {
        r->why = why;
        r->why_at = at;
    }
    return false;
}

/* RFC 8949 "Specification of the CBOR Encoding": initial byte and argument. The content of a string is skipped. */
static bool read_head(CborReader *r, CborItem *item)
{
    size_t at = r->pos;

    if (r->why != NULL || at >= r->end) {
        return cbor_fail(r, at, "an item is missing: the data ends here");
    }
    unsigned info = r->data[at] & 31, n = info < 24 ? 0 : info < 28 ? 1u << (info - 24) : 0;
    *item = (CborItem){ .type = (CborType)(r->data[at] >> 5), .at = at, .value = info < 24 ? info : 0 };
    if (info == 31) {
        return cbor_fail(r, at, "an item of indefinite length, which a CCA token must not have");
    }
    if (info > 27) {
        return cbor_fail(r, at, "a head that CBOR reserves");
    }
    if (n > r->end - at - 1) {
        return cbor_fail(r, at, "the data ends inside the head of an item");
    }
    for (unsigned i = 0; i < n; i++) {
        item->value = item->value << 8 | r->data[at + 1 + i];
    }
    r->pos = item->content = at + 1 + n;
    if (item->type == CBOR_BYTES || item->type == CBOR_TEXT) {
        if (item->value > r->end - r->pos) {
            return cbor_fail(r, at, "a string that goes beyond the end of what holds it");
        }
        r->pos += item->value;
    }
    if (item->type == CBOR_TEXT && !g_utf8_validate((const char *)r->data + item->content, (gssize)item->value, NULL)) {
        return cbor_fail(r, at, "a text that is not UTF-8");
    }
    item->end = r->pos;
    return true;
}

/* How many items follow the head and belong to the item. */
static uint64_t inner_items(const CborItem *item)
{
    return item->type == CBOR_ARRAY ? item->value : item->type == CBOR_MAP ? 2 * item->value : item->type == CBOR_TAG;
}

bool cbor_read(CborReader *r, CborItem *item)
{
    uint64_t left;
    CborItem inner;

    if (!read_head(r, item)) {
        return false;
    }
    inner = *item;
    left = 0;
    for (;;) {
        /* Every item takes a byte at least: a count beyond what is left cannot be met, nor can doubling it overflow. */
        if ((inner.type == CBOR_ARRAY || inner.type == CBOR_MAP) && inner.value > r->end - r->pos) {
            return cbor_fail(r, inner.at, "an array or map of more items than the data has bytes");
        }
        left += inner_items(&inner);
        if (left == 0) {
            break;
        }
        left--;
        if (!read_head(r, &inner)) {
            return false;
        }
    }
    item->end = r->pos;
    return true;
}

bool cbor_end(CborReader *r)
{
    return r->why == NULL && (r->pos == r->end || cbor_fail(r, r->pos, "bytes follow where the data should end"));
}

static bool same_key(const CborReader *r, const CborItem *a, const CborItem *b)
{
    return a->type == b->type && a->value == b->value &&
           (a->type != CBOR_TEXT || memcmp(r->data + a->content, r->data + b->content, (size_t)a->value) == 0);
}

bool cbor_read_map(CborReader *outer, const CborItem *map, CborPair *pairs, size_t max, size_t *n)
{
    CborReader in = cbor_enter(outer, map);

    *n = 0;
    if (map->type != CBOR_MAP) {
        return cbor_fail(outer, map->at, "something other than a map");
    }
    if (map->value > max) {
        return cbor_fail(outer, map->at, "a map of more entries than any claim set has");
    }
    for (size_t i = 0; i < map->value; i++) {
        CborPair *p = &pairs[i];

        if (!cbor_read(&in, &p->key) || !cbor_read(&in, &p->value)) {
            return cbor_fail(outer, in.why_at, in.why);
        }
        if (p->key.type != CBOR_UINT && p->key.type != CBOR_NEGATIVE && p->key.type != CBOR_TEXT) {
            return cbor_fail(outer, p->key.at, "a key that is neither a number nor text");
        }
        for (size_t j = 0; j < i; j++) {
            if (same_key(&in, &p->key, &pairs[j].key)) {
                return cbor_fail(outer, p->key.at, "a key that the map has twice");
            }
        }
        (*n)++;
    }
    return true;
}

bool cbor_is_int(const CborItem *item, int64_t v)
{
    return v < 0 ? item->type == CBOR_NEGATIVE && item->value == (uint64_t)(-1 - v)
                 : item->type == CBOR_UINT && item->value == (uint64_t)v;
}

const CborItem *cbor_find(const CborPair *pairs, size_t n, int64_t key)
{
    for (size_t i = 0; i < n; i++) {
        if (cbor_is_int(&pairs[i].key, key)) {
            return &pairs[i].value;
        }
    }
    return NULL;
}
