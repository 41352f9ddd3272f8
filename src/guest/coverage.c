/*
 * Coverage of guest code. Of each block is kept how often it ended after how many instructions; lines are looked up
 * when the run is over, as kernels are found on the way. The tracefile's format: geninfo(1), "FILES".
 */
#include "guest/coverage.h"

#include <string.h>

#include "bits.h"
#include "device.h"

enum {
    CPUS_MAX = 64,
    BLOCK_INSNS = 1024,    /* of a page: no block has more */
    BLOCKS_MAX = 4 << 20,  /* a guest must not fill our memory */
};

/* Where a block begins: the same for all that a world executes there, in whatever process. */
typedef struct Start {
    uint64_t pc;
    uint32_t world;
    uint32_t privileged;
} Start;

typedef struct Block {
    Start   start;
    GArray *ended; /* uint64_t: how often it ended after so many instructions */
} Block;

/* The block that a CPU is in. */
typedef struct Open {
    const Cpu *cpu;
    Block     *block; /* NULL: none */
    uint64_t   at;    /* the CPU's count when it began */
} Open;

struct Coverage {
    GuestSymbols *symbols;
    char         *path;
    GHashTable   *blocks; /* Start * -> Block * */
    Open          open[CPUS_MAX];
};

static guint start_hash(gconstpointer key)
{
    const Start *s = key;

    return (guint)((s->pc ^ (uint64_t)s->world << 48 ^ s->privileged) * 0x9e3779b97f4a7c15ull >> 32);
}

static gboolean start_equal(gconstpointer a, gconstpointer b) { return memcmp(a, b, sizeof(Start)) == 0; }

static void free_block(gpointer block)
{
    g_array_free(((Block *)block)->ended, TRUE);
    g_free(block);
}

static void note_lines(void *opaque, Symbols *file)
{
    bool *any = opaque;

    *any |= symbols_has_lines(file);
}

Coverage *coverage_new(const char *path, GuestSymbols *symbols, GError **error)
{
    bool any = false;

    guest_symbols_foreach_file(symbols, note_lines, &any);
    if (!any) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "-coverage: no file of -symbols has line tables; give an ELF file that was built with -g, for "
                    "example -symbols vmlinux");
        return NULL;
    }
    Coverage *c = g_new0(Coverage, 1);
    c->symbols = symbols;
    c->path = g_strdup(path);
    c->blocks = g_hash_table_new_full(start_hash, start_equal, NULL, free_block);
    return c;
}

void coverage_free(Coverage *c)
{
    if (c != NULL) {
        g_hash_table_destroy(c->blocks);
        g_free(c->path);
        g_free(c);
    }
}

/* ---- while the guest runs ---- */

static void *on_translate(void *opaque, BaileyCpu *cpu, const BaileyBlock *code)
{
    Coverage   *c = opaque;
    A64Cpu     *a = (A64Cpu *)cpu;
    const Start start = { .pc = code->pc, .world = guest_symbols_world(c->symbols, a), .privileged = a->el != 0 };
    Block      *b = g_hash_table_lookup(c->blocks, &start);

    if (b == NULL && g_hash_table_size(c->blocks) < BLOCKS_MAX) {
        b = g_new0(Block, 1);
        b->start = start;
        b->ended = g_array_new(FALSE, TRUE, sizeof(uint64_t));
        g_hash_table_insert(c->blocks, &b->start, b);
    }
    return b;
}

/* What the CPU has executed since belongs to the block. */
static void close_block(Open *o)
{
    uint64_t n = o->block != NULL ? MIN(cpu_insns(o->cpu) - o->at, BLOCK_INSNS) : 0;

    if (n != 0) {
        if (o->block->ended->len <= n) {
            g_array_set_size(o->block->ended, (guint)n + 1);
        }
        g_array_index(o->block->ended, uint64_t, n)++;
    }
    o->block = NULL;
}

static void on_block(void *opaque, BaileyCpu *cpu, const BaileyBlock *code)
{
    Coverage *c = opaque;
    Cpu      *engine_cpu = &((A64Cpu *)cpu)->cpu;
    Open     *o = &c->open[engine_cpu->index % CPUS_MAX];

    close_block(o);
    *o = (Open){ .cpu = engine_cpu, .block = code->data, .at = cpu_insns(engine_cpu) };
}

BaileyPlugin coverage_plugin(Coverage *c)
{
    return (BaileyPlugin){ .opaque = c, .translate = on_translate, .block = on_block };
}

void coverage_stop(Coverage *c)
{
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        close_block(&c->open[i]);
    }
}

/* ---- the tracefile ---- */

/* How often what belongs to one file of -symbols was executed, by its addresses. */
typedef struct Counts {
    Symbols    *symbols;
    GHashTable *times; /* uint64_t * -> uint64_t * */
    GHashTable *lines; /* of a source file: path -> Lines * */
} Counts;

/* A source file. */
typedef struct Lines {
    const char *path;
    GHashTable *times;     /* line -> uint64_t * */
    GArray     *functions; /* Function, by address */
} Lines;

typedef struct Function {
    const char *name;
    unsigned    line;
    uint64_t    times;
} Function;

static uint64_t times_at(const Counts *n, uint64_t addr)
{
    const uint64_t *times = g_hash_table_lookup(n->times, &addr);

    return times != NULL ? *times : 0;
}

static void count_block(Counts *n, uint64_t addr, const Block *b)
{
    uint64_t times = 0;

    for (guint i = b->ended->len; i-- > 1;) { /* who ended later has executed it, too */
        uint64_t at = addr + 4ull * (i - 1);

        times += g_array_index(b->ended, uint64_t, i);
        uint64_t *sum = g_hash_table_lookup(n->times, &at);
        if (sum == NULL) {
            sum = g_new0(uint64_t, 1);
            g_hash_table_insert(n->times, g_memdup2(&at, sizeof(at)), sum);
        }
        *sum += times;
    }
}

static void count_blocks(const Coverage *c, Counts *n)
{
    GHashTableIter it;
    gpointer       block;

    g_hash_table_iter_init(&it, c->blocks);
    while (g_hash_table_iter_next(&it, NULL, &block)) {
        const Block *b = block;
        uint64_t     addr;

        if (guest_symbols_locate(c->symbols, b->start.world, b->start.privileged, b->start.pc, &addr) == n->symbols) {
            count_block(n, addr, b);
        }
    }
}

static void free_lines(gpointer lines)
{
    Lines *l = lines;

    g_hash_table_destroy(l->times);
    g_array_free(l->functions, TRUE);
    g_free(l);
}

static Lines *lines_of(Counts *n, const char *path)
{
    Lines *l = g_hash_table_lookup(n->lines, path);

    if (l == NULL) {
        l = g_new0(Lines, 1);
        l->path = path;
        l->times = g_hash_table_new_full(NULL, NULL, NULL, g_free);
        l->functions = g_array_new(FALSE, FALSE, sizeof(Function));
        g_hash_table_insert(n->lines, (char *)path, l);
    }
    return l;
}

/* A line was executed as often as that instruction of it which was most often. */
static void add_run(void *opaque, uint64_t start, uint64_t end, const SymbolLine *line)
{
    Counts   *n = opaque;
    Lines    *l = lines_of(n, line->file);
    uint64_t *times = g_hash_table_lookup(l->times, GUINT_TO_POINTER(line->line));

    if (times == NULL) {
        times = g_new0(uint64_t, 1);
        g_hash_table_insert(l->times, GUINT_TO_POINTER(line->line), times);
    }
    for (uint64_t at = start; at < end && at - start < 1 << 20; at += 4) {
        *times = MAX(*times, times_at(n, at));
    }
}

static void add_function(void *opaque, const Symbol *sym)
{
    Counts    *n = opaque;
    SymbolLine line;

    if (sym->function && symbols_line(n->symbols, sym->start, &line)) {
        const Function f = { .name = sym->name, .line = line.line, .times = times_at(n, sym->start) };

        g_array_append_val(lines_of(n, line.file)->functions, f);
    }
}

static int by_path(gconstpointer a, gconstpointer b)
{
    return strcmp((*(Lines *const *)a)->path, (*(Lines *const *)b)->path);
}

static int by_number(gconstpointer a, gconstpointer b)
{
    guint x = GPOINTER_TO_UINT(a), y = GPOINTER_TO_UINT(b);

    return (x > y) - (x < y);
}

/* Names and paths are the file's: a record is a line. */
static void add_text(GString *out, const char *text)
{
    for (; *text != '\0'; text++) {
        g_string_append_c(out, g_ascii_iscntrl(*text) ? '_' : *text);
    }
    g_string_append_c(out, '\n');
}

static void put_functions(GString *out, const Lines *l)
{
    guint hit = 0;

    for (guint i = 0; i < l->functions->len; i++) {
        const Function *f = &g_array_index(l->functions, Function, i);

        g_string_append_printf(out, "FN:%u,", f->line);
        add_text(out, f->name);
    }
    for (guint i = 0; i < l->functions->len; i++) {
        const Function *f = &g_array_index(l->functions, Function, i);

        g_string_append_printf(out, "FNDA:%" G_GUINT64_FORMAT ",", f->times);
        add_text(out, f->name);
        hit += f->times != 0;
    }
    g_string_append_printf(out, "FNF:%u\nFNH:%u\n", l->functions->len, hit);
}

static void put_lines(GString *out, const Lines *l)
{
    GList *sorted = g_list_sort(g_hash_table_get_keys(l->times), by_number);
    guint  hit = 0;

    for (GList *k = sorted; k != NULL; k = k->next) {
        uint64_t times = *(uint64_t *)g_hash_table_lookup(l->times, k->data);

        g_string_append_printf(out, "DA:%u,%" G_GUINT64_FORMAT "\n", GPOINTER_TO_UINT(k->data), times);
        hit += times != 0;
    }
    g_string_append_printf(out, "LF:%u\nLH:%u\n", g_hash_table_size(l->times), hit);
    g_list_free(sorted);
}

typedef struct Writer {
    const Coverage *coverage;
    GString        *out;
} Writer;

static void put_file(void *opaque, Symbols *file)
{
    Writer *w = opaque;
    Counts  n = { .symbols = file };

    n.times = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    n.lines = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_lines);
    count_blocks(w->coverage, &n);
    symbols_foreach_line(file, add_run, &n);
    symbols_foreach(file, add_function, &n);
    GPtrArray     *sorted = g_ptr_array_new();
    GHashTableIter it;
    gpointer       lines;
    g_hash_table_iter_init(&it, n.lines);
    while (g_hash_table_iter_next(&it, NULL, &lines)) {
        g_ptr_array_add(sorted, lines);
    }
    g_ptr_array_sort(sorted, by_path);
    for (guint i = 0; i < sorted->len; i++) {
        const Lines *l = sorted->pdata[i];

        g_string_append(w->out, "TN:\nSF:");
        add_text(w->out, l->path);
        put_functions(w->out, l);
        put_lines(w->out, l);
        g_string_append(w->out, "end_of_record\n");
    }
    g_ptr_array_free(sorted, TRUE);
    g_hash_table_destroy(n.times);
    g_hash_table_destroy(n.lines);
}

bool coverage_write(const Coverage *c, GError **error)
{
    GError *cause = NULL;
    Writer  w = { c, g_string_new(NULL) };

    guest_symbols_foreach_file(c->symbols, put_file, &w);
    bool ok = g_file_set_contents(c->path, w.out->str, (gssize)w.out->len, &cause);
    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 1, "cannot write '%s' (from -coverage): %s; name another file", c->path,
                    cause->message);
        g_error_free(cause);
    }
    g_string_free(w.out, TRUE);
    return ok;
}
