/*
 * Any bytes as a symbol file, list and ELF file: every symbol is found at its start, runs of lines follow each other.
 */
#include <glib.h>
#include <string.h>

#include "symbols.h"

static void check_symbol(void *opaque, const Symbol *sym)
{
    Symbol found;

    g_assert(*sym->name != '\0' && sym->size != 0);
    g_assert(symbols_find(opaque, sym->start, &found) && sym->start - found.start < found.size);
}

static void check_run(void *opaque, uint64_t start, uint64_t end, const SymbolLine *line)
{
    uint64_t *from = opaque;

    g_assert(start >= *from && start < end && line->line != 0 && strlen(line->file) < 1 << 15);
    *from = end;
}

static void take_apart(GBytes *b)
{
    Symbols   *s = symbols_parse(b, "fuzz", NULL);
    uint64_t   from = 0;
    SymbolLine line;

    if (s != NULL) {
        symbols_foreach(s, check_symbol, s);
        symbols_foreach_line(s, check_run, &from);
        g_assert(from == 0 || symbols_line(s, from - 1, &line));
        symbols_free(s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) b = g_bytes_new(data, size);

    take_apart(b);
    return 0;
}
