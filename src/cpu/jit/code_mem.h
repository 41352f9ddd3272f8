/*
 * Memory for generated code: never writable and executable through one mapping. The same memory is mapped twice, once
 * to write and once to run; where the host's policy forbids that, one mapping changes its protection around every
 * change (slower, batched).
 */
#ifndef BAILEY_CPU_JIT_CODE_MEM_H
#define BAILEY_CPU_JIT_CODE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct CodeMem {
    uint8_t *write; /* where to write; NULL: there is none */
    uint8_t *run;   /* where it runs */
    size_t   size, used;
    bool     toggles; /* write == run; code_mem_begin() and code_mem_end() change the protection */
    unsigned open;
    size_t   huge;    /* up to here the kernel was asked for huge pages */
} CodeMem;

/**
 * code_mem_init - reserve @size bytes (touched only as they are used).
 * Returns false, with a sentence in @why, when the host allows no executable memory at all.
 */
bool code_mem_init(CodeMem *m, size_t size, char *why, size_t why_len);

/* code_mem_init_toggling - the same without trying two mappings: what a host that forbids them is left with. */
bool code_mem_init_toggling(CodeMem *m, size_t size, char *why, size_t why_len);
void code_mem_free(CodeMem *m);

/* code_mem_begin - the memory may be written until code_mem_end(); nests. Generated code must not run in between. */
void code_mem_begin(CodeMem *m);
void code_mem_end(CodeMem *m);

/* code_mem_reset - all of it is free again, and given back to the host. */
void code_mem_reset(CodeMem *m);

#endif
