/* The files of -symbols and the worlds that run what they tell of. */
#include "guest/guest_symbols.h"

#include <string.h>

#include "bits.h"
#include "cpu/a64/system.h"
#include "guest/kernel.h"

enum {
    LOOK_ALWAYS = 256, /* times that the kernel is looked for: it starts early, with the MMU off */
    LOOK_EVERY = 64,   /* after them */
    WORLDS_MAX = 4096,
};

typedef struct SymbolFile {
    Symbols *symbols;
    bool     is_kernel; /* one that is looked for */
    uint64_t offset; /* else */
    uint64_t text;   /* is_kernel: of _text */
} SymbolFile;

/* Who translates addresses alike, as far as a kernel's go: a security state, its EL2 or a guest of that. */
typedef struct World {
    Pas         security;
    bool        host;   /* EL2 and its programs */
    unsigned    vmid;   /* else */
    bool        gone;   /* the machine started anew */
    bool        found;
    unsigned    asked;  /* for the kernel, as long as it was not found */
    GuestKernel kernel; /* found */
} World;

struct GuestSymbols {
    GArray *files;  /* SymbolFile */
    GArray *worlds; /* World; the number of one is its index plus 1 */
    bool    has_kernel;
};

GuestSymbols *guest_symbols_new(void)
{
    GuestSymbols *g = g_new0(GuestSymbols, 1);

    g->files = g_array_new(FALSE, TRUE, sizeof(SymbolFile));
    g->worlds = g_array_new(FALSE, TRUE, sizeof(World));
    return g;
}

bool guest_symbols_add(GuestSymbols *g, const char *path, const uint64_t *offset, GError **error)
{
    SymbolFile f = { .symbols = symbols_load(path, error), .offset = offset != NULL ? *offset : 0 };

    if (f.symbols == NULL) {
        return false;
    }
    f.is_kernel = offset == NULL && symbols_address(f.symbols, "_text", &f.text) && f.text >> 55 != 0;
    g->has_kernel |= f.is_kernel;
    g_array_append_val(g->files, f);
    return true;
}

void guest_symbols_free(GuestSymbols *g)
{
    if (g != NULL) {
        for (guint i = 0; i < g->files->len; i++) {
            symbols_free(g_array_index(g->files, SymbolFile, i).symbols);
        }
        g_array_free(g->files, TRUE);
        g_array_free(g->worlds, TRUE);
        g_free(g);
    }
}

/* ---- worlds ---- */

static bool same_world(const World *a, const World *b)
{
    return a->security == b->security && a->host == b->host && a->vmid == b->vmid && !a->gone;
}

/* 0: there are too many. */
static unsigned world_number(GuestSymbols *g, const World *w)
{
    for (guint i = 0; i < g->worlds->len; i++) {
        if (same_world(&g_array_index(g->worlds, World, i), w)) {
            return i + 1;
        }
    }
    if (g->worlds->len == WORLDS_MAX) {
        return 0;
    }
    g_array_append_val(g->worlds, *w);
    return g->worlds->len;
}

unsigned guest_symbols_world(GuestSymbols *g, A64Cpu *cpu)
{
    A64Regime regime = a64_regime(cpu);
    World     w = { .security = cpu->security, .host = regime != A64_REGIME_EL10 };

    w.vmid = w.host || !(cpu->el2.hcr & HCR_VM) ? 0 : (unsigned)(cpu->el2.vttbr >> 48) + 1;
    unsigned n = world_number(g, &w);
    World   *known = n != 0 ? &g_array_index(g->worlds, World, n - 1) : NULL;

    bool seeks = known != NULL && !known->found && g->has_kernel;
    if (seeks && (known->asked < LOOK_ALWAYS || known->asked % LOOK_EVERY == 0)) {
        known->found = guest_kernel_find(cpu, cpu->pc, &known->kernel);
    }
    if (seeks) {
        known->asked++;
    }
    return n;
}

void guest_symbols_restart(GuestSymbols *g)
{
    for (guint i = 0; i < g->worlds->len; i++) {
        g_array_index(g->worlds, World, i).gone = true;
    }
}

/* ---- addresses ---- */

/* The address as a kernel's file has it. False: not the kernel's, or it was not found. */
static bool kernel_address(const SymbolFile *f, const World *w, bool privileged, uint64_t addr, uint64_t *file_addr)
{
    const GuestKernel *k = &w->kernel;

    if (!w->found) {
        return false;
    }
    if (addr >> 55 != 0) {
        *file_addr = addr - k->text + f->text; /* modules move with it, if they were there when the list was made */
        return true;
    }
    *file_addr = addr - k->ipa + f->text; /* with the MMU off, and while it is switched on */
    return privileged && addr - k->ipa < k->size;
}

Symbols *guest_symbols_locate(const GuestSymbols *g, unsigned world, bool privileged, uint64_t addr,
                              uint64_t *file_addr)
{
    const World none = { .found = false };
    const World *w = world != 0 ? &g_array_index(g->worlds, World, world - 1) : &none;

    for (guint i = 0; i < g->files->len; i++) {
        const SymbolFile *f = &g_array_index(g->files, SymbolFile, i);
        Symbol            sym;
        bool              here = true;

        *file_addr = addr - f->offset;
        if (f->is_kernel) {
            here = kernel_address(f, w, privileged, addr, file_addr);
        }
        if (here && symbols_find(f->symbols, *file_addr, &sym)) {
            return f->symbols;
        }
    }
    return NULL;
}

bool guest_symbols_find(const GuestSymbols *g, unsigned world, bool privileged, uint64_t addr, Symbol *out,
                        uint64_t *offset)
{
    uint64_t file_addr;
    Symbols *s = guest_symbols_locate(g, world, privileged, addr, &file_addr);

    if (s == NULL || !symbols_find(s, file_addr, out)) {
        return false;
    }
    *offset = file_addr - out->start;
    return true;
}

void guest_symbols_foreach_file(GuestSymbols *g, void (*fn)(void *opaque, Symbols *file), void *opaque)
{
    for (guint i = 0; i < g->files->len; i++) {
        fn(opaque, g_array_index(g->files, SymbolFile, i).symbols);
    }
}
