/*
 * The A64 decoder, built at first use from the patterns that A64() registers: masks, places of the fields,
 * and for each value of instruction bits 31:21 the patterns that can match, the most specific first. Also the
 * check of the whole table and the disassembler of traces. Arm DDI 0487, "A64 Instruction Set Encoding".
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "cpu/a64/decode.h"

enum { MAX_FIELDS = 10, BUCKET_SHIFT = 21, N_BUCKETS = 1 << (32 - BUCKET_SHIFT) };

/* Where a field of a pattern is in the word and in A64Fields. */
typedef struct Slot {
    uint16_t index; /* of the field in field_defs[] */
    uint8_t  lsb, len;
} Slot;

typedef struct Compiled {
    const A64Pattern *p;
    uint32_t mask, value;
    unsigned width; /* bits the pattern describes: 32 when it is right */
    unsigned n_slots;
    Slot     slots[MAX_FIELDS];
    char    *fault; /* NULL, or what is wrong with the pattern */
} Compiled;

static const struct {
    const char *name;
    uint8_t     bits;
    uint16_t    offset;
} field_defs[] = {
#define X(name, bits) { #name, bits, offsetof(A64Fields, name) },
    A64_FIELDS(X)
#undef X
};

static struct {
    Compiled  *patterns;
    size_t     n_patterns;
    uint16_t  *order;                 /* pattern numbers, bucket after bucket */
    uint32_t   start[N_BUCKETS + 1];  /* of a bucket in order[] */
} decoder;

/* Bounds of the linker section that A64() fills. */
extern const A64Pattern *const __start_bailey_a64_patterns[];
extern const A64Pattern *const __stop_bailey_a64_patterns[];

static int find_field(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(field_defs); i++) {
        if (strlen(field_defs[i].name) == len && memcmp(field_defs[i].name, name, len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* One word of a pattern: constant bits or the name of a field. */
static void compile_token(Compiled *c, const char *token, size_t len)
{
    if (strspn(token, "01") >= len) {
        for (size_t i = 0; i < len && c->width < 32; i++, c->width++) {
            c->mask |= 1u << (31 - c->width);
            c->value |= (uint32_t)(token[i] - '0') << (31 - c->width);
        }
        return;
    }
    int n = find_field(token, len);
    if (n < 0 || c->n_slots == MAX_FIELDS) {
        g_free(c->fault);
        c->fault =
            g_strdup_printf("%s '%.*s'", n < 0 ? "unknown field" : "too many fields at", (int)len, token);
        return;
    }
    unsigned bits = field_defs[n].bits;
    c->width += bits;
    if (c->width <= 32) {
        c->slots[c->n_slots++] = (Slot){ (uint16_t)n, (uint8_t)(32 - c->width), (uint8_t)bits };
    }
}

static void compile(Compiled *c, const A64Pattern *p)
{
    c->p = p;
    for (const char *s = p->pattern; *s != '\0';) {
        size_t len = strcspn(s, " ");

        if (len > 0) {
            compile_token(c, s, len);
        }
        s += len + (s[len] == ' ');
    }
    if (c->fault == NULL && c->width != 32) {
        c->fault = g_strdup_printf("describes %u bits, not 32", c->width);
    }
}

/* More constant bits first: where patterns overlap, the more specific one is found first. */
static int by_specificity(const void *a, const void *b)
{
    const Compiled *x = a, *y = b;
    int d = __builtin_popcount(y->mask) - __builtin_popcount(x->mask);

    return d != 0 ? d : strcmp(x->p->name, y->p->name);
}

/* Calls @fn for every bucket with words that the pattern may match. */
static void each_bucket(const Compiled *c, void (*fn)(uint32_t bucket, uint16_t pattern), uint16_t pattern)
{
    uint32_t open = ~c->mask >> BUCKET_SHIFT, value = c->value >> BUCKET_SHIFT, free_bits = 0;

    do {
        fn(value | free_bits, pattern);
        free_bits = (free_bits - open) & open; /* the next subset of open */
    } while (free_bits != 0);
}

static void count_bucket(uint32_t bucket, uint16_t pattern) { decoder.start[bucket + 1]++; }

/* While buckets are filled, start[] of each is where its next pattern goes. */
static void fill_bucket(uint32_t bucket, uint16_t pattern) { decoder.order[decoder.start[bucket]++] = pattern; }

static void each_pattern(void (*fn)(uint32_t bucket, uint16_t pattern))
{
    for (uint16_t i = 0; i < decoder.n_patterns; i++) {
        if (decoder.patterns[i].fault == NULL) {
            each_bucket(&decoder.patterns[i], fn, i);
        }
    }
}

/* Sorts the patterns into buckets, which keep their order. */
static void fill_buckets(void)
{
    each_pattern(count_bucket);
    for (uint32_t i = 0; i < N_BUCKETS; i++) {
        decoder.start[i + 1] += decoder.start[i];
    }
    decoder.order = g_new(uint16_t, decoder.start[N_BUCKETS]);
    each_pattern(fill_bucket);
    memmove(&decoder.start[1], &decoder.start[0], N_BUCKETS * sizeof(decoder.start[0]));
    decoder.start[0] = 0;
}

static void build(void)
{
    decoder.n_patterns = (size_t)(__stop_bailey_a64_patterns - __start_bailey_a64_patterns);
    decoder.patterns = g_new0(Compiled, decoder.n_patterns);
    for (size_t i = 0; i < decoder.n_patterns; i++) {
        compile(&decoder.patterns[i], __start_bailey_a64_patterns[i]);
    }
    qsort(decoder.patterns, decoder.n_patterns, sizeof(Compiled), by_specificity);
    fill_buckets();
}

static void ensure_built(void)
{
    if (decoder.patterns == NULL) {
        build();
    }
}

static void extract_fields(const Compiled *c, uint32_t insn, A64Fields *f)
{
    memset(f, 0, sizeof(*f));
    f->insn = insn;
    for (unsigned i = 0; i < c->n_slots; i++) {
        const Slot *s = &c->slots[i];

        *(uint32_t *)(void *)((char *)f + field_defs[s->index].offset) =
            (uint32_t)extract64(insn, s->lsb, s->len);
    }
}

static const Compiled *find(uint32_t insn)
{
    ensure_built();
    uint32_t bucket = insn >> BUCKET_SHIFT;
    for (uint32_t i = decoder.start[bucket]; i < decoder.start[bucket + 1]; i++) {
        const Compiled *c = &decoder.patterns[decoder.order[i]];

        if ((insn & c->mask) == c->value) {
            return c;
        }
    }
    return NULL;
}

const A64Pattern *a64_decode(uint32_t insn, A64Fields *f)
{
    const Compiled *c = find(insn);

    if (c == NULL) {
        return NULL;
    }
    if (f != NULL) {
        extract_fields(c, insn, f);
    }
    return c->p;
}

void a64_pattern_foreach(void (*fn)(const A64Pattern *p, void *opaque), void *opaque)
{
    ensure_built();
    for (size_t i = 0; i < decoder.n_patterns; i++) {
        fn(decoder.patterns[i].p, opaque);
    }
}

/* One pattern's instructions are all instructions of the other, and not the reverse. */
static bool is_more_specific(const Compiled *a, const Compiled *b)
{
    return (a->mask & b->mask) == b->mask && a->mask != b->mask;
}

static char *overlap_fault(const Compiled *a, const Compiled *b)
{
    if (((a->value ^ b->value) & a->mask & b->mask) != 0 || is_more_specific(a, b) ||
        is_more_specific(b, a)) {
        return NULL;
    }
    return g_strdup_printf("patterns %s and %s overlap (for example 0x%08x) and neither is more specific",
                           a->p->name, b->p->name, a->value | b->value);
}

static char *repeat_fault(const Compiled *c)
{
    for (unsigned i = 0; i < c->n_slots; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (c->slots[i].index == c->slots[j].index) {
                return g_strdup_printf("pattern %s: field '%s' appears twice", c->p->name,
                                       field_defs[c->slots[i].index].name);
            }
        }
    }
    return NULL;
}

static int tell(char *sentence, void (*report)(const char *sentence, void *opaque), void *opaque)
{
    if (sentence == NULL) {
        return 0;
    }
    report(sentence, opaque);
    g_free(sentence);
    return 1;
}

int a64_decoder_check(void (*report)(const char *sentence, void *opaque), void *opaque)
{
    int n_faults = 0;

    ensure_built();
    for (size_t i = 0; i < decoder.n_patterns; i++) {
        const Compiled *c = &decoder.patterns[i];

        if (c->fault != NULL) {
            n_faults += tell(g_strdup_printf("pattern %s: %s", c->p->name, c->fault), report, opaque);
            continue;
        }
        n_faults += tell(repeat_fault(c), report, opaque);
        for (size_t j = 0; j < i; j++) {
            if (decoder.patterns[j].fault == NULL) {
                n_faults += tell(overlap_fault(c, &decoder.patterns[j]), report, opaque);
            }
        }
    }
    return n_faults;
}

void a64_disassemble(uint64_t pc, uint32_t insn, char *dst, size_t cap)
{
    const Compiled *c = find(insn);

    if (c == NULL) {
        snprintf(dst, cap, "undefined 0x%08x", insn);
        return;
    }
    size_t n = (size_t)snprintf(dst, cap, "%s", c->p->name);
    for (unsigned i = 0; i < c->n_slots && n < cap; i++) {
        const Slot *s = &c->slots[i];

        n += (size_t)snprintf(dst + n, cap - n, " %s=%" PRIu64, field_defs[s->index].name,
                              extract64(insn, s->lsb, s->len));
    }
}
