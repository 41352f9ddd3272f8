/*
 * Between the engine's hooks, the firmware model's events and plugins. A block is known by its addresses, its key and
 * its bytes, however the engine has translated it, so that plugins are told the same whatever that does.
 */
#include "guest/plugins.h"

#include <dlfcn.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "device.h"
#include "event.h"

enum { BLOCKS_MAX = 1 << 20 }; /* that are known at a time: a guest must not fill our memory */

typedef struct Loaded {
    BaileyPlugin plugin;
    void        *library; /* NULL: the program's own */
    char       **words;   /* its file and arguments; NULL likewise */
} Loaded;

typedef struct BlockName {
    uint64_t pc, pa, key, guarded;
} BlockName;

typedef struct Block {
    BlockName name;
    unsigned  n;
    void    **data; /* of each plugin */
    uint32_t  code[];
} Block;

struct Plugins {
    GuestSymbols *symbols;
    GArray       *list;   /* Loaded */
    GHashTable   *blocks; /* BlockName * -> Block * */
    CpuHooks      hooks;
    EventListener listener;
    A64Cpu *const *cpus;
    unsigned      n_cpus;
};

static Loaded *loaded(const Plugins *p, guint i) { return &g_array_index(p->list, Loaded, i); }

static inline A64Cpu *a64_of(const BaileyCpu *cpu) { return (A64Cpu *)cpu; }
static inline BaileyCpu *bailey_of(Cpu *cpu) { return (BaileyCpu *)cpu; }

/* ---- what a plugin can ask ---- */

static unsigned api_cpu_index(const BaileyCpu *cpu) { return a64_of(cpu)->cpu.index; }
static unsigned api_el(const BaileyCpu *cpu) { return a64_of(cpu)->el; }
static uint64_t api_insns(const BaileyCpu *cpu) { return cpu_insns(&a64_of(cpu)->cpu); }
static int64_t api_time_ns(const BaileyCpu *cpu) { return cpu_now(&a64_of(cpu)->cpu); }

static BaileyWorld api_world(const BaileyCpu *cpu)
{
    static const BaileyWorld worlds[] = { [PAS_SECURE] = BAILEY_SECURE, [PAS_NONSECURE] = BAILEY_NONSECURE,
                                          [PAS_ROOT] = BAILEY_ROOT, [PAS_REALM] = BAILEY_REALM };

    return worlds[a64_of(cpu)->security];
}

static uint64_t api_reg(const BaileyCpu *cpu, unsigned n)
{
    const A64Cpu *a = a64_of(cpu);

    return n < 31 ? a->x[n] : n == 31 ? a->sp : n == 32 ? cpu_current_pc(&a->cpu) : 0;
}

/* Bytes that do not cross a page. */
static bool read_piece(A64Cpu *cpu, uint64_t va, uint8_t *dst, size_t len)
{
    Memory *memory = cpu->cpu.memory;
    A64Walk walk;

    if (!a64_regime_walk(cpu, va, &walk)) {
        return false;
    }
    const MemRegion *r = memory_find(memory, walk.pa);
    return r != NULL && r->kind != MEM_MMIO && r->host != NULL &&
           memory_read(memory, walk.pa, (MemAttrs){ .pas = walk.pas }, dst, len) == MEM_OK;
}

static bool api_read_memory(BaileyCpu *cpu, uint64_t va, void *dst, size_t len)
{
    bool ok = true;

    for (size_t at = 0, n; ok && at < len; at += n) {
        n = MIN(len - at, 4096 - ((va + at) & 4095));
        ok = read_piece(a64_of(cpu), va + at, (uint8_t *)dst + at, n);
    }
    return ok;
}

/* Whose functions are called with a CPU alone. */
static Plugins *of_api;

static bool api_symbol(BaileyCpu *cpu, uint64_t addr, char *dst, size_t cap)
{
    A64Cpu  *a = a64_of(cpu);
    Symbol   sym;
    uint64_t offset;
    unsigned world = guest_symbols_world(of_api->symbols, a);

    if (!guest_symbols_find(of_api->symbols, world, a->el != 0, addr, &sym, &offset)) {
        return false;
    }
    g_snprintf(dst, cap, "%s+0x%" G_GINT64_MODIFIER "x", sym.name, offset);
    return true;
}

static void api_disassemble(uint64_t pc, uint32_t code, char *dst, size_t cap)
{
    uint8_t bytes[4];

    le32_put(bytes, code);
    a64_guest.disassemble(pc, bytes, dst, cap);
}

static const BaileyApi api = {
    .version = BAILEY_PLUGIN_VERSION,
    .size = sizeof(BaileyApi),
    .cpu_index = api_cpu_index,
    .world = api_world,
    .el = api_el,
    .reg = api_reg,
    .insns = api_insns,
    .time_ns = api_time_ns,
    .read_memory = api_read_memory,
    .symbol = api_symbol,
    .disassemble = api_disassemble,
};

/* ---- what plugins are told ---- */

#define TELL(p, function, ...)                                                                         \
    for (guint i_ = 0; i_ < (p)->list->len; i_++) {                                                    \
        const BaileyPlugin *plugin_ = &loaded(p, i_)->plugin;                                          \
        if (plugin_->function != NULL) {                                                               \
            plugin_->function(plugin_->opaque, __VA_ARGS__);                                           \
        }                                                                                              \
    }

static guint name_hash(gconstpointer key)
{
    const BlockName *n = key;
    uint64_t         h = (n->pc ^ n->pa << 20 ^ n->key << 40) * 0x9e3779b97f4a7c15ull;

    return (guint)(h >> 32);
}

static gboolean name_equal(gconstpointer a, gconstpointer b) { return memcmp(a, b, sizeof(BlockName)) == 0; }

static void free_block(gpointer block)
{
    g_free(((Block *)block)->data);
    g_free(block);
}

/* The same instructions are there, so that they end as they did. */
static bool is_same(const Block *b, const CpuBlockCode *code)
{
    return b->n * sizeof(uint32_t) <= code->room && memcmp(b->code, code->code, b->n * sizeof(uint32_t)) == 0;
}

static BaileyBlock shown(const Block *b, guint plugin)
{
    return (BaileyBlock){ .pc = b->name.pc, .pa = b->name.pa, .code = b->code, .n = b->n, .data = b->data[plugin] };
}

static Block *new_block(Plugins *p, Cpu *cpu, const BlockName *name, const CpuBlockCode *code)
{
    size_t n = MIN(cpu_block_insns(cpu, code), code->room / sizeof(uint32_t));
    Block *b = g_malloc(sizeof(Block) + n * sizeof(uint32_t));

    *b = (Block){ .name = *name, .n = (unsigned)n, .data = g_new0(void *, p->list->len) };
    memcpy(b->code, code->code, n * sizeof(uint32_t));
    if (g_hash_table_size(p->blocks) == BLOCKS_MAX) {
        g_hash_table_remove_all(p->blocks);
    }
    g_hash_table_replace(p->blocks, &b->name, b);
    for (guint i = 0; i < p->list->len; i++) {
        const BaileyPlugin *plugin = &loaded(p, i)->plugin;
        const BaileyBlock   block = shown(b, i);

        if (plugin->translate != NULL) {
            b->data[i] = plugin->translate(plugin->opaque, bailey_of(cpu), &block);
        }
    }
    return b;
}

static void on_block(void *opaque, Cpu *cpu, uint64_t pc)
{
    Plugins     *p = opaque;
    CpuBlockCode code;

    if (!cpu_block_code(cpu, &code)) {
        return;
    }
    const BlockName name = { pc, code.pa, code.key, code.guarded };
    Block          *b = g_hash_table_lookup(p->blocks, &name);
    if (b == NULL || !is_same(b, &code)) {
        b = new_block(p, cpu, &name, &code);
    }
    for (guint i = 0; i < p->list->len; i++) {
        const BaileyPlugin *plugin = &loaded(p, i)->plugin;
        const BaileyBlock   block = shown(b, i);

        if (plugin->block != NULL) {
            plugin->block(plugin->opaque, bailey_of(cpu), &block);
        }
    }
}

static void on_insn(void *opaque, Cpu *cpu, uint64_t pc, uint64_t code)
{
    TELL((Plugins *)opaque, insn, bailey_of(cpu), pc, (uint32_t)code);
}

static void on_access(void *opaque, Cpu *cpu, uint64_t va, unsigned size, bool store)
{
    const BaileyAccess a = { .pc = cpu_current_pc(cpu), .va = va, .size = size, .store = store };

    TELL((Plugins *)opaque, access, bailey_of(cpu), &a);
}

static void on_exception(void *opaque, Cpu *cpu, const void *exception)
{
    static const BaileyExceptionKind kinds[] = { [A64_EXC_SYNC] = BAILEY_SYNC, [A64_EXC_IRQ] = BAILEY_IRQ,
                                                 [A64_EXC_FIQ] = BAILEY_FIQ, [A64_EXC_SERROR] = BAILEY_SERROR };
    const A64Exception *exc = exception;
    const BaileyException e = { .kind = kinds[exc->kind], .from_el = a64_from_cpu(cpu)->el, .to_el = exc->target,
                                .esr = exc->esr, .far = exc->far_valid ? exc->far : 0, .return_pc = exc->return_pc };

    TELL((Plugins *)opaque, exception, bailey_of(cpu), &e);
}

static void on_event(void *opaque, const Event *e)
{
    Plugins         *p = opaque;
    const EventCall *c = e->call;

    if (c == NULL || c->cpu >= p->n_cpus) {
        return;
    }
    const BaileyCall call = { .kind = e->kind == EVENT_RMI   ? BAILEY_RMI
                                      : e->kind == EVENT_RSI ? BAILEY_RSI
                                                             : BAILEY_SMC,
                              .name = e->name, .fid = c->fid, .n_args = c->n_in, .args = c->in, .pending = c->pending,
                              .status = c->status, .n_results = c->pending ? 0 : c->n_out, .results = c->out,
                              .text = e->text };
    TELL(p, call, bailey_of(&p->cpus[c->cpu]->cpu), &call);
}

/* ---- life ---- */

Plugins *plugins_new(GuestSymbols *symbols)
{
    Plugins *p = g_new0(Plugins, 1);

    p->symbols = symbols;
    p->list = g_array_new(FALSE, TRUE, sizeof(Loaded));
    p->blocks = g_hash_table_new_full(name_hash, name_equal, NULL, free_block);
    p->hooks.opaque = p->listener.opaque = p;
    p->listener.tell = on_event;
    of_api = p;
    return p;
}

void plugins_free(Plugins *p)
{
    if (p == NULL) {
        return;
    }
    for (guint i = 0; i < p->list->len; i++) {
        Loaded *l = loaded(p, i);

        if (l->plugin.end != NULL) {
            l->plugin.end(l->plugin.opaque);
        }
        if (l->library != NULL) {
            dlclose(l->library);
        }
        g_strfreev(l->words);
    }
    g_array_free(p->list, TRUE);
    g_hash_table_destroy(p->blocks);
    g_free(p);
}

static void add(Plugins *p, const Loaded *l)
{
    const BaileyPlugin *b = &l->plugin;

    g_array_append_val(p->list, *l);
    p->hooks.block = b->block != NULL || b->translate != NULL ? on_block : p->hooks.block;
    p->hooks.insn = b->insn != NULL ? on_insn : p->hooks.insn;
    p->hooks.access = b->access != NULL ? on_access : p->hooks.access;
    p->hooks.exception = b->exception != NULL ? on_exception : p->hooks.exception;
    if (b->call != NULL) {
        p->listener.mask = 1u << EVENT_RMI | 1u << EVENT_RSI | 1u << EVENT_SMC;
    }
}

void plugins_add(Plugins *p, const BaileyPlugin *plugin)
{
    const Loaded l = { .plugin = *plugin };

    add(p, &l);
}

static bool refuse(GError **error, const char *file, const char *why)
{
    g_set_error(error, BAILEY_ERROR, 1, "cannot use the plugin '%s' (from -plugin): %s", file, why);
    return false;
}

/* What the shared object says of itself. */
static bool check_version(void *library, const char *file, GError **error)
{
    const uint32_t *version = dlsym(library, "bailey_plugin_version");

    if (version == NULL) {
        return refuse(error, file, "it is no plugin of Bailey; define bailey_plugin_version by BAILEY_PLUGIN");
    }
    if (version[0] != BAILEY_PLUGIN_VERSION || version[1] > sizeof(BaileyPlugin)) {
        return refuse(error, file, "it was built for another version of Bailey; build it with this one's "
                                   "bailey-plugin.h");
    }
    return true;
}

bool plugins_load(Plugins *p, char **words, GError **error)
{
    g_autofree char *path = strchr(words[0], '/') == NULL ? g_strconcat("./", words[0], NULL) : g_strdup(words[0]);
    Loaded           l = { .library = dlopen(path, RTLD_NOW | RTLD_LOCAL), .words = g_strdupv(words) };
    bool           (*load)(const BaileyApi *api, int argc, char *const *argv, BaileyPlugin *plugin) = NULL;
    bool             ok = true;

    if (l.library == NULL) {
        ok = refuse(error, words[0], dlerror());
    }
    if (ok && check_version(l.library, words[0], error)) {
        *(void **)&load = dlsym(l.library, "bailey_plugin_load");
        ok = load != NULL || refuse(error, words[0], "it does not define bailey_plugin_load(); see docs/plugins.md");
    }
    if (ok && load != NULL && !load(&api, (int)g_strv_length(words) - 1, l.words + 1, &l.plugin)) {
        ok = refuse(error, words[0], "it refused its arguments; see what it said");
    }
    if (!ok || load == NULL) {
        g_clear_pointer(&l.library, dlclose);
        g_strfreev(l.words);
        return false;
    }
    add(p, &l);
    return true;
}

void plugins_attach(Plugins *p, A64Cpu *const *cpus, unsigned n_cpus)
{
    bool hooked = p->hooks.block != NULL || p->hooks.insn != NULL || p->hooks.access != NULL ||
                  p->hooks.exception != NULL;

    g_hash_table_remove_all(p->blocks);
    p->cpus = cpus;
    p->n_cpus = n_cpus;
    if (hooked && n_cpus > 0) {
        cpu_engine_set_hooks(cpus[0]->cpu.engine, &p->hooks);
    }
    if (p->listener.mask != 0) {
        event_listen(&p->listener);
    }
}

void plugins_detach(Plugins *p)
{
    if (p->n_cpus > 0) {
        cpu_engine_set_hooks(p->cpus[0]->cpu.engine, NULL);
    }
    event_ignore(&p->listener);
    p->n_cpus = 0;
}
