/*
 * Names and lines of guest code, from the files that -symbols names: ELF files with a symbol table (vmlinux, programs,
 * .debug files) and lists as "nm" and /proc/kallsyms print them (System.map). Lines come from DWARF's line tables, when
 * the ELF file has them. Addresses here are those of the file: how far the running guest's differ from them is the
 * caller's affair (guest/guest_symbols.h). A file may be hostile: it is read without trust, and what in it makes no
 * sense is refused with a sentence or left out.
 */
#ifndef BAILEY_SYMBOLS_H
#define BAILEY_SYMBOLS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Symbols Symbols; /* of one file; does not change once it is there */

/* A symbol. Strings are valid as long as the Symbols. */
typedef struct Symbol {
    const char *name;
    uint64_t    start, size; /* @size is never 0: where the file says none, it is up to the next symbol */
    bool        function;    /* of code, as far as the file says what is */
} Symbol;

/* A place in source code. */
typedef struct SymbolLine {
    const char *file; /* its path as the compiler had it, directory included */
    unsigned    line; /* from 1 */
} SymbolLine;

/**
 * symbols_load - read a symbol file.
 * @path: an ELF file for AArch64, or a list of symbols
 * Returns NULL with a sentence that names the file and the mend.
 */
Symbols *symbols_load(const char *path, GError **error);

/* symbols_parse - the same from memory, of which it keeps a reference: @name is what errors call it. */
Symbols *symbols_parse(GBytes *bytes, const char *name, GError **error);
void     symbols_free(Symbols *s);

/**
 * symbols_find - the symbol that an address lies in: the innermost function, else the innermost of what there is; of
 * several that start at one address a global one, then the one whose name comes first.
 * Returns false when it lies in none.
 */
bool symbols_find(const Symbols *s, uint64_t addr, Symbol *out);

/* symbols_address - the address of the symbol of that name, of one of them when there are several. */
bool symbols_address(const Symbols *s, const char *name, uint64_t *addr);

/* symbols_foreach - every symbol by address, one for each. */
void symbols_foreach(const Symbols *s, void (*fn)(void *opaque, const Symbol *sym), void *opaque);

/* symbols_has_lines - whether the file has line tables that were understood. They are read when first asked for. */
bool symbols_has_lines(Symbols *s);

/* symbols_line - where the instruction at an address comes from. False: the file does not say. */
bool symbols_line(Symbols *s, uint64_t addr, SymbolLine *out);

/* symbols_foreach_line - every run of addresses [@start, @end) that comes from one line, by address; none overlap. */
void symbols_foreach_line(Symbols *s,
                          void (*fn)(void *opaque, uint64_t start, uint64_t end, const SymbolLine *line),
                          void *opaque);

#endif
