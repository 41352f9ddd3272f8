/*
 * The debugger's registers. org.gnu.gdb.aarch64.core and .fpu are gdb's; org.bailey.* are ours: "system" from the CPU's
 * table of system registers, "ns" and "realm" what lies in store for the CPU in the world that it does not run. A name
 * of those has its world in front: ns_SCTLR_EL1, realm_x0. There is no such group for Secure state, in which nothing
 * runs, nor for Root, whose registers are EL3's and nobody else's.
 */
#include "gdb_regs.h"

#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/sysreg.h"

enum {
    N_CORE = 34, /* x0..x30, sp, pc, cpsr */
    N_GENERAL = N_CORE + 34,
    CPSR = 33,
};

/* What a register beyond those is. */
typedef enum Kind { OF_SYSTEM, OF_SECURITY, BANKED_X, BANKED_PC, BANKED_PSTATE, BANKED_SYSTEM } Kind;

typedef struct GdbReg {
    Kind kind;
    Pas  pas;            /* BANKED_* */
    unsigned n;          /* BANKED_X */
    const A64Sysreg *row;
} GdbReg;

struct GdbRegs {
    GArray  *more; /* of GdbReg, from N_GENERAL on */
    GString *xml;
};

void put_hex(GString *s, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++) {
        g_string_append_printf(s, "%02x", p[i]);
    }
}

size_t get_hex(const char *text, uint8_t *dst, size_t cap)
{
    size_t n = 0;

    while (n < cap && g_ascii_isxdigit(text[0]) && g_ascii_isxdigit(text[1])) {
        dst[n++] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
        text += 2;
    }
    return n;
}

/* ---- the description ---- */

/* The views of a vector register that users know from gdb: $v0.d.f[0], $v0.s.u[3], $v0.q.u ... */
static void put_vector_types(GString *s)
{
    static const struct {
        char        view;
        const char *type[3]; /* of the members f, u and s; NULL: none */
        unsigned    n;
    } views[] = {
        { 'd', { "ieee_double", "uint64", "int64" }, 2 }, { 's', { "ieee_single", "uint32", "int32" }, 4 },
        { 'h', { NULL, "uint16", "int16" }, 8 },          { 'b', { NULL, "uint8", "int8" }, 16 },
        { 'q', { NULL, "uint128", "int128" }, 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        g_autoptr(GString) fields = g_string_new(NULL);

        for (size_t m = 0; m < 3; m++) {
            if (views[i].type[m] != NULL) {
                g_string_append_printf(s, "<vector id=\"v%c%c\" type=\"%s\" count=\"%u\"/>", views[i].view, "fus"[m],
                                       views[i].type[m], views[i].n);
                g_string_append_printf(fields, "<field name=\"%c\" type=\"v%c%c\"/>", "fus"[m], views[i].view,
                                       "fus"[m]);
            }
        }
        g_string_append_printf(s, "<union id=\"v%c\">%s</union>", views[i].view, fields->str);
    }
    g_string_append(s, "<union id=\"v16\">");
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        g_string_append_printf(s, "<field name=\"%c\" type=\"v%c\"/>", views[i].view, views[i].view);
    }
    g_string_append(s, "</union>");
}

/* The fields of an SPSR. DDI 0487, "SPSR_EL1". */
static void put_pstate_type(GString *s)
{
    static const struct {
        const char *name;
        unsigned    start, end;
    } fields[] = {
        { "SP", 0, 0 },     { "EL", 2, 3 },   { "nRW", 4, 4 },  { "F", 6, 6 },    { "I", 7, 7 },    { "A", 8, 8 },
        { "D", 9, 9 },      { "BTYPE", 10, 11 }, { "SSBS", 12, 12 }, { "IL", 20, 20 }, { "SS", 21, 21 },
        { "PAN", 22, 22 },  { "UAO", 23, 23 }, { "DIT", 24, 24 }, { "TCO", 25, 25 }, { "V", 28, 28 },
        { "C", 29, 29 },    { "Z", 30, 30 },  { "N", 31, 31 },
    };

    g_string_append(s, "<flags id=\"pstate\" size=\"4\">");
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        g_string_append_printf(s, "<field name=\"%s\" start=\"%u\" end=\"%u\" type=\"%s\"/>", fields[i].name,
                               fields[i].start, fields[i].end, fields[i].start == fields[i].end ? "bool" : "uint32");
    }
    g_string_append(s, "</flags>");
}

static void put_general(GString *s)
{
    g_string_append(s, "<feature name=\"org.gnu.gdb.aarch64.core\">");
    put_pstate_type(s);
    for (int i = 0; i < 31; i++) {
        g_string_append_printf(s, "<reg name=\"x%d\" bitsize=\"64\"/>", i);
    }
    g_string_append(s, "<reg name=\"sp\" bitsize=\"64\" type=\"data_ptr\"/>"
                       "<reg name=\"pc\" bitsize=\"64\" type=\"code_ptr\"/>"
                       "<reg name=\"cpsr\" bitsize=\"32\" type=\"pstate\"/></feature>"
                       "<feature name=\"org.gnu.gdb.aarch64.fpu\">");
    put_vector_types(s);
    for (int i = 0; i < 32; i++) {
        g_string_append_printf(s, "<reg name=\"v%d\" bitsize=\"128\" type=\"v16\"/>", i);
    }
    g_string_append(s, "<reg name=\"fpsr\" bitsize=\"32\"/><reg name=\"fpcr\" bitsize=\"32\"/></feature>");
}

static void add(GdbRegs *r, GdbReg reg, const char *group, const char *prefix, const char *name)
{
    g_array_append_val(r->more, reg);
    g_string_append_printf(r->xml, "<reg name=\"%s%s\" bitsize=\"64\" type=\"%s\" group=\"%s\" save-restore=\"no\"/>",
                           prefix, name, reg.kind == OF_SECURITY ? "security" : "uint64", group);
}

static void collect(const A64Sysreg *row, void *rows)
{
    if (a64_sysreg_shown(row)) {
        g_ptr_array_add(rows, (gpointer)row);
    }
}

static gint by_encoding(gconstpointer a, gconstpointer b)
{
    const A64Sysreg *x = *(const A64Sysreg *const *)a, *y = *(const A64Sysreg *const *)b;

    return x->enc < y->enc ? -1 : x->enc > y->enc;
}

/* Where the row's register is among the saved ones of @pas, NULL: a world switch does not save it. */
static const uint64_t *banked_place(const A64Sysreg *row, const A64El1Regs *el1, const A64El2Regs *el2)
{
    size_t at = (size_t)row->offset - offsetof(A64Cpu, el1);

    if (row->offset >= 0 && at < sizeof(*el1)) {
        return (const uint64_t *)(const void *)((const uint8_t *)el1 + at);
    }
    at = (size_t)row->offset - offsetof(A64Cpu, el2);
    return row->offset >= 0 && at < sizeof(*el2) && el2 != NULL
               ? (const uint64_t *)(const void *)((const uint8_t *)el2 + at)
               : NULL;
}

static void add_bank(GdbRegs *r, const GPtrArray *rows, Pas pas, const char *group)
{
    static const A64El1Regs el1;
    static const A64El2Regs el2;
    g_autofree char        *prefix = g_strconcat(group, "_", NULL);

    g_string_append_printf(r->xml, "<feature name=\"org.bailey.%s\">", group);
    for (unsigned i = 0; i < 31; i++) {
        char name[8];

        g_snprintf(name, sizeof(name), "x%u", i);
        add(r, (GdbReg){ .kind = BANKED_X, .pas = pas, .n = i }, group, prefix, name);
    }
    add(r, (GdbReg){ .kind = BANKED_PC, .pas = pas }, group, prefix, "pc");
    add(r, (GdbReg){ .kind = BANKED_PSTATE, .pas = pas }, group, prefix, "pstate");
    for (guint i = 0; i < rows->len; i++) {
        const A64Sysreg *row = rows->pdata[i];

        if (banked_place(row, &el1, pas == PAS_NONSECURE ? &el2 : NULL) != NULL) {
            add(r, (GdbReg){ .kind = BANKED_SYSTEM, .pas = pas, .row = row }, group, prefix, row->name);
        }
    }
    g_string_append(r->xml, "</feature>");
}

GdbRegs *gdb_regs_new(void)
{
    GdbRegs             *r = g_new0(GdbRegs, 1);
    g_autoptr(GPtrArray) rows = g_ptr_array_new();

    a64_sysreg_foreach(collect, rows);
    g_ptr_array_sort(rows, by_encoding); /* numbers must not depend on the linker */
    r->more = g_array_new(FALSE, FALSE, sizeof(GdbReg));
    r->xml = g_string_new("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
                          "<architecture>aarch64</architecture>");
    put_general(r->xml);
    g_string_append(r->xml, "<feature name=\"org.bailey.system\"><enum id=\"security\" size=\"8\">");
    for (Pas pas = 0; pas < PAS_N; pas++) {
        g_string_append_printf(r->xml, "<evalue name=\"%s\" value=\"%u\"/>", pas_name(pas), pas);
    }
    g_string_append(r->xml, "</enum>");
    add(r, (GdbReg){ .kind = OF_SECURITY }, "system", "", "security");
    for (guint i = 0; i < rows->len; i++) {
        const A64Sysreg *row = rows->pdata[i];

        if (g_ascii_strcasecmp(row->name, "FPCR") != 0 && g_ascii_strcasecmp(row->name, "FPSR") != 0) {
            add(r, (GdbReg){ .kind = OF_SYSTEM, .row = row }, "system", "", row->name);
        }
    }
    g_string_append(r->xml, "</feature>");
    add_bank(r, rows, PAS_NONSECURE, "ns");
    add_bank(r, rows, PAS_REALM, "realm");
    g_string_append(r->xml, "</target>");
    return r;
}

void gdb_regs_free(GdbRegs *r)
{
    g_array_free(r->more, TRUE);
    g_string_free(r->xml, TRUE);
    g_free(r);
}

const char *gdb_regs_xml(const GdbRegs *r) { return r->xml->str; }
unsigned gdb_regs_general(void) { return N_GENERAL; }

/* ---- values ---- */

/* Where general register @n is kept and its size; cpsr is made from parts and has no place. */
static void *general_place(A64Cpu *cpu, unsigned n, size_t *size)
{
    *size = 8;
    if (n < 31) {
        return &cpu->x[n];
    }
    if (n == 31) {
        return &cpu->sp;
    }
    if (n == 32) {
        return &cpu->pc;
    }
    if (n >= N_CORE && n < N_CORE + 32) {
        *size = 16;
        return cpu->v[n - N_CORE];
    }
    *size = 4;
    return n == N_CORE + 32 ? &cpu->fpsr : n == N_CORE + 33 ? &cpu->fpcr : NULL;
}

static void read_general(A64Cpu *cpu, unsigned n, GString *out)
{
    size_t   size;
    void    *place = general_place(cpu, n, &size);
    uint32_t cpsr = (uint32_t)a64_get_spsr(cpu);

    put_hex(out, place != NULL ? place : &cpsr, size);
}

static bool read_more(const GdbReg *reg, Mon *mon, uint64_t *value)
{
    A64Cpu *cpu = mon_a64(mon);
    bool    live = reg->pas == cpu->security; /* of BANKED_*: its world runs */
    RmmBank bank;

    if (reg->kind == OF_SYSTEM || (reg->kind == BANKED_SYSTEM && live)) {
        *value = a64_sysreg_peek(cpu, reg->row);
        return true;
    }
    if (reg->kind == OF_SECURITY) {
        *value = cpu->security;
        return true;
    }
    if (live) {
        *value = reg->kind == BANKED_X ? cpu->x[reg->n] : reg->kind == BANKED_PC ? cpu->pc : a64_get_spsr(cpu);
        return true;
    }
    if (!rmm_bank(mon->on.rmm, mon->cpu, reg->pas, &bank)) {
        return false;
    }
    *value = reg->kind == BANKED_X    ? bank.x[reg->n]
             : reg->kind == BANKED_PC ? bank.pc
             : reg->kind == BANKED_PSTATE ? bank.pstate
                                          : *banked_place(reg->row, bank.el1, bank.el2);
    return true;
}

bool gdb_regs_read(const GdbRegs *r, Mon *mon, unsigned n, GString *out)
{
    uint64_t value;
    uint8_t  bytes[8];

    if (n < N_GENERAL) {
        read_general(mon_a64(mon), n, out);
        return true;
    }
    if (n - N_GENERAL >= r->more->len) {
        return false;
    }
    if (read_more(&g_array_index(r->more, GdbReg, n - N_GENERAL), mon, &value)) {
        le64_put(bytes, value);
        put_hex(out, bytes, sizeof(bytes));
    } else {
        g_string_append(out, "xxxxxxxxxxxxxxxx");
    }
    return true;
}

/* Level, stack pointer and the like are not the debugger's to change: flags and interrupt masks. */
static void write_cpsr(A64Cpu *cpu, uint32_t cpsr)
{
    cpu->nzcv = cpsr >> 28;
    cpu->d = cpsr >> 9 & 1;
    cpu->a = cpsr >> 8 & 1;
    cpu->i = cpsr >> 7 & 1;
    cpu->f = cpsr >> 6 & 1;
    a64_context_changed(cpu);
}

static bool write_general(A64Cpu *cpu, unsigned n, const char *hex)
{
    uint8_t bytes[16];
    size_t  size;
    void   *place = general_place(cpu, n, &size);

    if (get_hex(hex, bytes, size) != size) {
        return false;
    }
    if (place != NULL) {
        memcpy(place, bytes, size);
    } else {
        write_cpsr(cpu, le32_get(bytes));
    }
    cpu->fpcr &= 0x07c80000; /* what "FPCR" and "FPSR" have */
    cpu->fpsr &= 0x0800009f;
    return true;
}

bool gdb_regs_write(const GdbRegs *r, Mon *mon, unsigned n, const char *hex)
{
    A64Cpu *cpu = mon_a64(mon);
    uint8_t bytes[8];

    if (n < N_GENERAL) {
        return write_general(cpu, n, hex);
    }
    if (n - N_GENERAL >= r->more->len || get_hex(hex, bytes, sizeof(bytes)) != sizeof(bytes)) {
        return false;
    }
    const GdbReg *reg = &g_array_index(r->more, GdbReg, n - N_GENERAL);
    return reg->kind == OF_SYSTEM && a64_sysreg_poke(cpu, reg->row, le64_get(bytes));
}
