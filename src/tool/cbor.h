/*
 * Reading CBOR (RFC 8949) from bytes nobody vouches for: definite lengths only, as a CCA token must have, no
 * allocation, no recursion. Positions are offsets into the whole buffer, so that a complaint names the byte of the
 * file. A reader that has failed stays failed and says why.
 */
#ifndef BAILEY_TOOL_CBOR_H
#define BAILEY_TOOL_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Major types, RFC 8949 "Major Types". */
typedef enum CborType {
    CBOR_UINT,
    CBOR_NEGATIVE,      /* the number is -1 - value */
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_ARRAY,
    CBOR_MAP,
    CBOR_TAG,
    CBOR_SIMPLE,        /* false, true, null, floating point: value is what follows the type */
} CborType;

typedef struct CborItem {
    CborType type;
    uint64_t value;     /* the number, the length, the count, the tag */
    size_t   at;        /* where its first byte is */
    size_t   content;   /* where its content starts: after the head */
    size_t   end;       /* after its last byte, with everything inside it */
} CborItem;

typedef struct CborReader {
    const uint8_t *data;
    size_t         pos, end;
    const char    *why;     /* NULL while nothing failed */
    size_t         why_at;
} CborReader;

typedef struct CborPair {
    CborItem key, value;
} CborPair;

/* cbor_reader - over bytes @start to @end - 1 of @data. */
CborReader cbor_reader(const uint8_t *data, size_t start, size_t end);

/* cbor_enter - over what is inside @item: the content of a string, the items of an array, map or tag. */
CborReader cbor_enter(const CborReader *outer, const CborItem *item);

/* cbor_fail - notes why, unless something failed before; returns false. */
bool cbor_fail(CborReader *r, size_t at, const char *why);

/* cbor_read - one whole item; false at a fault. */
bool cbor_read(CborReader *r, CborItem *item);

/* cbor_end - nothing may be left; false (failed) if something is. */
bool cbor_end(CborReader *r);

/**
 * cbor_read_map - the pairs of a map, whose keys are numbers or texts and differ.
 * @pairs: room for @max
 * @n: receives how many there are
 */
bool cbor_read_map(CborReader *r, const CborItem *map, CborPair *pairs, size_t max, size_t *n);

/* cbor_find - the value of the numeric key @key, or NULL. */
const CborItem *cbor_find(const CborPair *pairs, size_t n, int64_t key);

/* cbor_is_int - whether @item is the number @v. */
bool cbor_is_int(const CborItem *item, int64_t v);

#endif
