/*
 * Samples of the guest's stacks. A frame record is two words, the caller's frame pointer and the return address:
 * "Procedure Call Standard for the Arm 64-bit Architecture", "The Frame Pointer". What is sampled stays addresses until
 * the file is written: kernels are found on the way. Left out: programs without frame pointers have one frame, and a
 * kernel's stack ends at its entry from EL0.
 */
#include "guest/profile.h"

#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/system.h"
#include "device.h"

enum {
    EVERY_DEFAULT = 999983, /* a prime: a kernel's ticks come every so many milliseconds, which are as many million */
    CPUS_MAX = 64,
    DEPTH = 128,
    TURNS_DOWN = 4,         /* a stack grows towards lower addresses, but interrupts have others */
    STACKS_MAX = 1 << 20,   /* different ones: a guest must not fill our memory */
};

/* What was seen, a key of Profile.stacks: bytes of this, without the frames that it has not. */
typedef struct Sample {
    uint16_t world;
    uint8_t  cpu, el;
    uint8_t  security; /* Pas */
    uint8_t  n;        /* frames */
    uint16_t zero;
    uint64_t link;     /* x30: the caller, in a function that has not made its frame */
    uint64_t frame[DEPTH + 1]; /* pc, then return addresses */
} Sample;

struct Profile {
    GuestSymbols *symbols;
    char         *path;
    uint64_t      every;
    uint64_t      next[CPUS_MAX]; /* instructions of the CPU at which its next sample is due */
    GHashTable   *stacks;         /* GBytes, a Sample -> how often */
    uint64_t      others;         /* samples beyond STACKS_MAX */
};

Profile *profile_new(const char *path, uint64_t every, GuestSymbols *symbols)
{
    Profile *p = g_new0(Profile, 1);

    p->symbols = symbols;
    p->path = g_strdup(path);
    p->every = every != 0 ? every : EVERY_DEFAULT;
    p->stacks = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
    profile_restart(p);
    return p;
}

void profile_free(Profile *p)
{
    if (p != NULL) {
        g_hash_table_destroy(p->stacks);
        g_free(p->path);
        g_free(p);
    }
}

void profile_restart(Profile *p)
{
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        p->next[i] = p->every;
    }
}

/* ---- sampling ---- */

/* A return address without its authentication code, which has the bits between the address and bit 55. */
static uint64_t strip(const A64Cpu *cpu, uint64_t addr)
{
    A64Regime regime = a64_regime(cpu);
    uint64_t  tcr = regime == A64_REGIME_EL10 ? cpu->el1.tcr : regime == A64_REGIME_EL3 ? cpu->el3.tcr : cpu->el2.tcr;
    bool      upper = (addr & BIT(55)) && (regime == A64_REGIME_EL10 || regime == A64_REGIME_EL20);
    unsigned  width = MIN(64 - (unsigned)(upper ? tcr >> 16 & 63 : tcr & 63), 55);

    return upper ? addr | ~mask64(width) : addr & mask64(width);
}

/* The record at @fp, as the kernel of the current regime could read it; devices are not touched. */
static bool read_record(A64Cpu *cpu, uint64_t fp, uint64_t record[2])
{
    A64Walk walk;
    uint8_t bytes[16];

    if (fp % sizeof(bytes) != 0 || !a64_regime_walk(cpu, fp, &walk)) {
        return false;
    }
    const MemRegion *r = memory_find(cpu->cpu.memory, walk.pa);
    if (r == NULL || r->kind == MEM_MMIO || r->host == NULL ||
        memory_read(cpu->cpu.memory, walk.pa, (MemAttrs){ .pas = walk.pas }, bytes, sizeof(bytes)) != MEM_OK) {
        return false;
    }
    record[0] = le64_get(bytes);
    record[1] = le64_get(bytes + 8);
    return true;
}

static void walk_stack(A64Cpu *cpu, Sample *s)
{
    uint64_t fp = cpu->x[29], record[2];
    unsigned turns = 0;

    s->frame[s->n++] = cpu->pc;
    s->link = strip(cpu, cpu->x[30]);
    while (s->n <= DEPTH && fp != 0 && read_record(cpu, fp, record) && record[1] != 0) {
        s->frame[s->n++] = strip(cpu, record[1]);
        turns += record[0] <= fp;
        if (turns > TURNS_DOWN) {
            break;
        }
        fp = record[0];
    }
}

static void take_sample(Profile *p, A64Cpu *cpu)
{
    Sample   s = { .world = (uint16_t)guest_symbols_world(p->symbols, cpu), .cpu = (uint8_t)cpu->cpu.index,
                   .el = cpu->el, .security = (uint8_t)cpu->security };
    gpointer key, n;

    walk_stack(cpu, &s);
    GBytes *b = g_bytes_new(&s, offsetof(Sample, frame) + s.n * sizeof(s.frame[0]));
    if (g_hash_table_lookup_extended(p->stacks, b, &key, &n)) {
        g_hash_table_insert(p->stacks, b, GSIZE_TO_POINTER(GPOINTER_TO_SIZE(n) + 1));
    } else if (g_hash_table_size(p->stacks) < STACKS_MAX) {
        g_hash_table_insert(p->stacks, b, GSIZE_TO_POINTER(1));
    } else {
        p->others++;
        g_bytes_unref(b);
    }
}

uint64_t profile_turn(void *profile, Cpu *cpu, uint64_t budget)
{
    Profile *p = profile;
    uint64_t done = cpu_insns(cpu), *next = &p->next[cpu->index % CPUS_MAX];

    if (done >= *next) {
        take_sample(p, a64_from_cpu(cpu));
        *next += ((done - *next) / p->every + 1) * p->every; /* steps of a debugger are not cut */
    }
    return MIN(budget, *next - done);
}

/* ---- the file ---- */

/* Names are the file's: what has a meaning in the format is replaced. */
static void add_name(GString *line, const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        g_string_append_c(line, *c == ';' || g_ascii_iscntrl(*c) || *c == ' ' ? '_' : *c);
    }
}

static void add_frame(const Profile *p, GString *line, const Sample *s, uint64_t addr, uint64_t back)
{
    Symbol   sym;
    uint64_t offset;

    g_string_append_c(line, ';');
    if (guest_symbols_find(p->symbols, s->world, s->el != 0, addr - back, &sym, &offset)) {
        add_name(line, sym.name);
    } else {
        g_string_append_printf(line, "0x%" G_GINT64_MODIFIER "x", addr);
    }
}

/*
 * Whether x30 has the caller, which the frames have not: when it leads into another function. In a function that has
 * called one itself it leads into that function, and one that has made its frame before that has it there.
 */
static bool link_is_caller(const Profile *p, const Sample *s)
{
    Symbol   here, caller;
    uint64_t offset;

    return (s->n < 2 || s->link != s->frame[1]) &&
           guest_symbols_find(p->symbols, s->world, s->el != 0, s->frame[0], &here, &offset) &&
           guest_symbols_find(p->symbols, s->world, s->el != 0, s->link - 4, &caller, &offset) &&
           caller.function && caller.start != here.start;
}

/* "realm;cpu0;EL1;outermost;...;innermost" */
static char *sample_line(const Profile *p, const Sample *s)
{
    GString *line = g_string_new(pas_name((Pas)s->security));

    g_string_append_printf(line, ";cpu%u;EL%u", s->cpu, s->el);
    for (unsigned i = s->n - 1; i > 0; i--) {
        add_frame(p, line, s, s->frame[i], 4);
    }
    if (link_is_caller(p, s)) {
        add_frame(p, line, s, s->link, 4);
    }
    add_frame(p, line, s, s->frame[0], 0);
    return g_string_free(line, FALSE);
}

static int compare_lines(gconstpointer a, gconstpointer b) { return strcmp(a, b); }

bool profile_write(const Profile *p, GError **error)
{
    GHashTable    *lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GString       *text = g_string_new(NULL);
    GError        *cause = NULL;
    GHashTableIter it;
    gpointer       key, n;

    g_hash_table_iter_init(&it, p->stacks);
    while (g_hash_table_iter_next(&it, &key, &n)) {
        char  *line = sample_line(p, g_bytes_get_data(key, NULL));
        gsize  before = GPOINTER_TO_SIZE(g_hash_table_lookup(lines, line));

        g_hash_table_insert(lines, line, GSIZE_TO_POINTER(before + GPOINTER_TO_SIZE(n)));
    }
    GList *sorted = g_list_sort(g_hash_table_get_keys(lines), compare_lines);
    for (GList *l = sorted; l != NULL; l = l->next) {
        gsize times = GPOINTER_TO_SIZE(g_hash_table_lookup(lines, l->data));

        g_string_append_printf(text, "%s %zu\n", (char *)l->data, times);
    }
    if (p->others != 0) {
        g_string_append_printf(text, "more_stacks_than_are_kept %" G_GUINT64_FORMAT "\n", p->others);
    }
    bool ok = g_file_set_contents(p->path, text->str, (gssize)text->len, &cause);
    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 1, "cannot write '%s' (from -profile): %s; name another file", p->path,
                    cause->message);
        g_error_free(cause);
    }
    g_list_free(sorted);
    g_hash_table_destroy(lines);
    g_string_free(text, TRUE);
    return ok;
}
