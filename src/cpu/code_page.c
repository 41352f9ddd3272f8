/*
 * Code within pages: the table of pages that have some, and the bits of each.
 */
#include "cpu/code_page.h"

static gpointer key_of(uint64_t pa) { return (gpointer)(uintptr_t)(pa >> PAGE_BITS); }

CodePage *code_page_find(CpuEngine *e, uint64_t pa)
{
    uint64_t page = pa & PAGE_MASK;

    if (e->last_page == NULL || e->last_page->page != page) {
        CodePage *p = g_hash_table_lookup(e->pages, key_of(pa));

        if (p == NULL) {
            return NULL;
        }
        e->last_page = p;
    }
    return e->last_page;
}

CodePage *code_page_get(CpuEngine *e, uint64_t pa)
{
    CodePage *p = code_page_find(e, pa);

    if (p == NULL) {
        p = g_new0(CodePage, 1);
        p->page = pa & PAGE_MASK;
        g_hash_table_insert(e->pages, key_of(pa), p);
    }
    return p;
}

void code_page_remove(CpuEngine *e, CodePage *p)
{
    e->last_page = NULL;
    g_hash_table_remove(e->pages, key_of(p->page));
}

/* Bits of word @w of CodePage.unit for the units from @first to @last. */
static uint64_t bits_of(unsigned w, unsigned first, unsigned last)
{
    unsigned lo = first / 64 == w ? first % 64 : 0, hi = last / 64 == w ? last % 64 : 63;

    return mask64(hi - lo + 1) << lo;
}

void code_page_mark(CodePage *p, unsigned from, unsigned to, bool has_code)
{
    unsigned first = from / CODE_UNIT, last = (to - 1) / CODE_UNIT;

    for (unsigned w = first / 64; w <= last / 64; w++) {
        uint64_t bits = bits_of(w, first, last);

        p->unit[w] = has_code ? p->unit[w] | bits : p->unit[w] & ~bits;
    }
}

bool code_page_has(const CodePage *p, unsigned from, unsigned to)
{
    unsigned first = from / CODE_UNIT, last = (to - 1) / CODE_UNIT;

    for (unsigned w = first / 64; w <= last / 64; w++) {
        if ((p->unit[w] & bits_of(w, first, last)) != 0) {
            return true;
        }
    }
    return false;
}

static bool has_unit(const CodePage *p, unsigned i) { return p->unit[i / 64] >> i % 64 & 1; }

void code_page_gap(const CodePage *p, unsigned at, unsigned *from, unsigned *to)
{
    unsigned first = at / CODE_UNIT, end = first + 1;

    while (first > 0 && !has_unit(p, first - 1)) {
        first--;
    }
    while (end < PAGE_SIZE / CODE_UNIT && !has_unit(p, end)) {
        end++;
    }
    *from = first * CODE_UNIT;
    *to = end * CODE_UNIT;
}
