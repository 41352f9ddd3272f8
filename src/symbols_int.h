/* What the readers of symbol files share: symbols.c (symbols), symbols_line.c (DWARF line tables). */
#ifndef BAILEY_SYMBOLS_INT_H
#define BAILEY_SYMBOLS_INT_H

#include "symbols.h"

/* Bytes of the file, or of a section that was unpacked. */
typedef struct SymSpan {
    const uint8_t *data;
    size_t         len;
} SymSpan;

/* Addresses with code. */
typedef struct SymCode {
    uint64_t start, size;
} SymCode;

/* Addresses that come from one line of a file. */
typedef struct SymRun {
    uint64_t start, end;
    uint32_t file, line; /* @file: index in Symbols.files */
} SymRun;

struct Symbols {
    GBytes     *bytes;    /* the file: names point into it */
    GArray     *table;    /* Symbol, by .start; one for each */
    GArray     *aliases;  /* Symbol: the others, by .start */
    GArray     *code;     /* SymCode: of an ELF file */
    GHashTable *unpacked; /* section name -> GBytes *, of compressed ones that were asked for */
    bool        lines_read;
    GPtrArray  *files;    /* char * */
    GHashTable *file_ids; /* char * (those) -> index */
    size_t      files_len; /* bytes of all */
    GArray     *runs;     /* SymRun, by .start, without overlaps */
};

/* symbols_section - the section of that name, unpacked if need be. False: the file has none that can be read. */
bool symbols_section(Symbols *s, const char *name, SymSpan *out);

/* symbols_in_code - whether the file has code there. */
bool symbols_in_code(const Symbols *s, uint64_t addr);

#endif
