/*
 * Which bytes of guest memory translated code was made from: per physical page a bit for every four bytes, and the
 * blocks that cover them. So a store beside the code of its page drops nothing, and one into it only what it changes.
 */
#ifndef BAILEY_CPU_CODE_PAGE_H
#define BAILEY_CPU_CODE_PAGE_H

#include "cpu/engine.h"

enum {
    CODE_UNIT = 4,      /* bytes for each bit */
    CODE_PATCHES = 16,  /* stores to the same code until it is a block by itself */
    CODE_STORES = 8192, /* beside its code: a page that gets more counts as data until its code runs again */
};

typedef struct CodePage {
    uint64_t  page;
    CpuBlock *blocks; /* list by next_page; dead ones among them */
    unsigned  stores; /* beside the code so far, by C */
    bool      direct; /* slots may lead beside the code */
    uint64_t  unit[PAGE_SIZE / CODE_UNIT / 64]; /* set wherever a block that is not dead was made from */
} CodePage;

/* code_page_find - NULL: no code was made from the page of @pa. */
CodePage *code_page_find(CpuEngine *e, uint64_t pa);

/* code_page_get - likewise, a new one if need be. */
CodePage *code_page_get(CpuEngine *e, uint64_t pa);

/* code_page_remove - there is no code any more. */
void code_page_remove(CpuEngine *e, CodePage *p);

/* code_page_mark - whether there is code in the units of [@from, @to) of the page; @to at most PAGE_SIZE. */
void code_page_mark(CodePage *p, unsigned from, unsigned to, bool has_code);
bool code_page_has(const CodePage *p, unsigned from, unsigned to);

/* code_page_gap - the bytes around @at, which is in no code, up to the next code of the page on both sides. */
void code_page_gap(const CodePage *p, unsigned at, unsigned *from, unsigned *to);

#endif
