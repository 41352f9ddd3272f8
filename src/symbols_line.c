/*
 * Line tables: "DWARF Debugging Information Format", chapter "Line Number Information", versions 2 to 5, in 32-bit and
 * 64-bit format. Of their rows only address, file and line are kept, as runs of addresses. Left out: VLIW operations,
 * which A64 has not, and string indices of split units (.dwo). A unit that is damaged is left out from there on.
 */
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "symbols_int.h"

enum {
    /* standard opcodes */
    LNS_COPY = 1,
    LNS_ADVANCE_PC,
    LNS_ADVANCE_LINE,
    LNS_SET_FILE,
    LNS_SET_COLUMN,
    LNS_NEGATE_STMT,
    LNS_SET_BASIC_BLOCK,
    LNS_CONST_ADD_PC,
    LNS_FIXED_ADVANCE_PC,
    /* extended opcodes */
    LNE_END_SEQUENCE = 1,
    LNE_SET_ADDRESS = 2,
    /* content of entries of version 5 */
    LNCT_PATH = 1,
    LNCT_DIRECTORY = 2,
    /* forms that entries may have */
    FORM_DATA2 = 0x05,
    FORM_DATA4 = 0x06,
    FORM_DATA8 = 0x07,
    FORM_STRING = 0x08,
    FORM_BLOCK = 0x09,
    FORM_DATA1 = 0x0b,
    FORM_STRP = 0x0e,
    FORM_UDATA = 0x0f,
    FORM_DATA16 = 0x1e,
    FORM_LINE_STRP = 0x1f,

    RUNS_MAX = 32 << 20,
    ENTRIES_MAX = 1 << 20,     /* of a unit's table */
    FILES_LEN_MAX = 256 << 20, /* bytes of all paths */
    PATH_MAX_LEN = 4096,
    NO_FILE = UINT32_MAX,
};

/* Entry of a unit's table of directories or files. */
typedef struct Entry {
    const char *path;
    uint64_t    dir;
    uint32_t    id; /* of a file that was used: in Symbols.files; else NO_FILE */
} Entry;

/* The header of a unit. */
typedef struct Unit {
    Symbols   *symbols;
    ByteReader program;
    SymSpan    strings, line_strings; /* .debug_str, .debug_line_str */
    unsigned   version, offset_size;
    unsigned   min_insn, line_range, opcode_base;
    int        line_base;
    const uint8_t *operands; /* of the standard opcodes from 1 on */
    GArray    *dirs, *files; /* Entry; files from 0 on, as the program counts them */
} Unit;

/* The state machine's registers, as far as they are used. */
typedef struct State {
    uint64_t addr, file, line;
} State;

static uint64_t read_uleb(ByteReader *r)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t  byte;

    do {
        byte = br_u8(r);
        v |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        shift += 7;
    } while ((byte & 0x80) && br_ok(r));
    return v;
}

static int64_t read_sleb(ByteReader *r)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t  byte;

    do {
        byte = br_u8(r);
        v |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        shift += 7;
    } while ((byte & 0x80) && br_ok(r));
    return (int64_t)(shift < 64 && (byte & 0x40) ? v | ~mask64(shift) : v);
}

/* A text in place; NULL, and failed, when it does not end. */
static const char *read_string(ByteReader *r)
{
    const uint8_t *p = br_ok(r) ? r->data + r->pos : NULL;
    const uint8_t *end = p != NULL ? memchr(p, '\0', br_left(r)) : NULL;

    br_skip(r, end != NULL ? (size_t)(end - p) + 1 : br_left(r) + 1);
    return end != NULL ? (const char *)p : NULL;
}

static const char *string_in(const SymSpan *s, uint64_t at)
{
    return at < s->len && memchr(s->data + at, '\0', s->len - at) != NULL ? (const char *)s->data + at : NULL;
}

/* ---- directories and files ---- */

/* One value of an entry: a number, or a text. An unknown form fails the reader. */
static uint64_t read_form(Unit *u, ByteReader *r, uint64_t form, const char **text)
{
    switch (form) {
    case FORM_STRING:
        *text = read_string(r);
        return 0;
    case FORM_LINE_STRP:
        *text = string_in(&u->line_strings, br_le(r, u->offset_size));
        return 0;
    case FORM_STRP:
        *text = string_in(&u->strings, br_le(r, u->offset_size));
        return 0;
    case FORM_UDATA:
        return read_uleb(r);
    case FORM_DATA1:
        return br_u8(r);
    case FORM_DATA2:
        return br_u16(r);
    case FORM_DATA4:
        return br_u32(r);
    case FORM_DATA8:
        return br_u64(r);
    case FORM_DATA16:
        br_skip(r, 16);
        return 0;
    case FORM_BLOCK:
        br_skip(r, MIN(read_uleb(r), (uint64_t)SIZE_MAX / 2));
        return 0;
    default:
        r->failed = true;
        return 0;
    }
}

/* A table of version 5: which values an entry has, then the entries. */
static void read_entries(Unit *u, ByteReader *r, GArray *to)
{
    uint64_t formats[UINT8_MAX][2];
    unsigned n_formats = br_u8(r);

    for (unsigned i = 0; i < n_formats; i++) {
        formats[i][0] = read_uleb(r);
        formats[i][1] = read_uleb(r);
    }
    uint64_t n = read_uleb(r);
    for (uint64_t i = 0; i < n && n_formats != 0 && br_ok(r); i++) {
        Entry  e = { .id = NO_FILE };
        size_t at = r->pos;

        for (unsigned k = 0; k < n_formats; k++) {
            const char *text = NULL;
            uint64_t    v = read_form(u, r, formats[k][1], &text);

            e.path = formats[k][0] == LNCT_PATH ? text : e.path;
            e.dir = formats[k][0] == LNCT_DIRECTORY ? v : e.dir;
        }
        if (r->pos == at || i == ENTRIES_MAX) { /* entries without bytes could be any number */
            r->failed = true;
        }
        g_array_append_val(to, e);
    }
}

/* The tables of earlier versions: texts up to an empty one. Number 0 is the unit's own directory, and no file. */
static void read_old_entries(ByteReader *r, GArray *to, bool files)
{
    Entry       e = { .id = NO_FILE };
    const char *text;

    g_array_append_val(to, e);
    while ((text = read_string(r)) != NULL && *text != '\0' && to->len < ENTRIES_MAX) {
        e.path = text;
        e.dir = files ? read_uleb(r) : 0;
        if (files) {
            read_uleb(r); /* time */
            read_uleb(r); /* length */
        }
        g_array_append_val(to, e);
    }
}

/* "DIRECTORY/PATH", the directory itself taken from the unit's when it is relative. */
static char *full_path(const Unit *u, const Entry *e)
{
    const char *dir = e->dir < u->dirs->len ? g_array_index(u->dirs, Entry, e->dir).path : NULL;
    const char *top = u->version >= 5 && u->dirs->len > 0 ? g_array_index(u->dirs, Entry, 0).path : NULL;

    if (strlen(e->path) > PATH_MAX_LEN || (dir != NULL && strlen(dir) > PATH_MAX_LEN) ||
        (top != NULL && strlen(top) > PATH_MAX_LEN)) {
        return NULL;
    }
    if (*e->path == '/' || dir == NULL) {
        return g_strdup(e->path);
    }
    return *dir == '/' || top == NULL || e->dir == 0 ? g_strconcat(dir, "/", e->path, NULL)
                                                     : g_strconcat(top, "/", dir, "/", e->path, NULL);
}

/* The number of a file in Symbols.files; NO_FILE when its name is damaged. */
static uint32_t file_id(Unit *u, uint64_t number)
{
    Symbols *s = u->symbols;
    Entry   *e = number < u->files->len ? &g_array_index(u->files, Entry, number) : NULL;
    gpointer known;

    if (e == NULL || e->path == NULL || e->id != NO_FILE) {
        return e == NULL ? NO_FILE : e->id;
    }
    char *path = full_path(u, e);
    if (path == NULL || s->files_len > FILES_LEN_MAX) {
        g_free(path);
        return NO_FILE;
    }
    if (g_hash_table_lookup_extended(s->file_ids, path, NULL, &known)) {
        g_free(path);
        e->id = GPOINTER_TO_UINT(known);
        return e->id;
    }
    e->id = s->files->len;
    s->files_len += strlen(path);
    g_ptr_array_add(s->files, path);
    g_hash_table_insert(s->file_ids, path, GUINT_TO_POINTER(e->id));
    return e->id;
}

/* ---- the program ---- */

/* A row: what is between the one before it and this one comes from the line of that. */
static void add_row(Unit *u, State *before, const State *now)
{
    GArray  *runs = u->symbols->runs;
    SymRun   r = { .start = before->addr, .end = now->addr, .line = (uint32_t)MIN(before->line, INT32_MAX) };

    if (before->line != 0 && r.start < r.end && runs->len < RUNS_MAX && symbols_in_code(u->symbols, r.start)) {
        SymRun *last = runs->len > 0 ? &g_array_index(runs, SymRun, runs->len - 1) : NULL;

        r.file = file_id(u, before->file);
        if (last != NULL && last->end == r.start && last->file == r.file && last->line == r.line) {
            last->end = r.end;
        } else if (r.file != NO_FILE) {
            g_array_append_val(runs, r);
        }
    }
    *before = *now;
}

static void run_extended(Unit *u, ByteReader *r, State *s, State *row)
{
    uint64_t       len = read_uleb(r);
    const uint8_t *p = br_take(r, (size_t)MIN(len, (uint64_t)SIZE_MAX / 2));

    if (p == NULL || len == 0) {
        r->failed = true;
    } else if (*p == LNE_END_SEQUENCE) {
        add_row(u, row, s);
        *s = (State){ .file = 1, .line = 1 };
        *row = (State){ 0 };
    } else if (*p == LNE_SET_ADDRESS && len <= 9) {
        s->addr = le_get(p + 1, len - 1);
    }
}

static void run_standard(Unit *u, ByteReader *r, unsigned op, State *s, State *row)
{
    switch (op) {
    case LNS_COPY:
        add_row(u, row, s);
        break;
    case LNS_ADVANCE_PC:
        s->addr += read_uleb(r) * u->min_insn;
        break;
    case LNS_ADVANCE_LINE:
        s->line = (s->line + (uint64_t)read_sleb(r)) & UINT32_MAX;
        break;
    case LNS_SET_FILE:
        s->file = read_uleb(r);
        break;
    case LNS_CONST_ADD_PC:
        s->addr += (255 - u->opcode_base) / u->line_range * u->min_insn;
        break;
    case LNS_FIXED_ADVANCE_PC:
        s->addr += br_u16(r);
        break;
    default: /* what does not matter here, or is not known */
        for (unsigned n = u->operands[op - 1]; n > 0; n--) {
            read_uleb(r);
        }
    }
}

static void run_program(Unit *u)
{
    ByteReader *r = &u->program;
    State       s = { .file = 1, .line = 1 }, row = { 0 };

    while (br_left(r) > 0) {
        unsigned op = br_u8(r);

        if (op >= u->opcode_base) {
            unsigned adjusted = op - u->opcode_base;

            s.addr += adjusted / u->line_range * u->min_insn;
            s.line = (s.line + (uint64_t)(u->line_base + (int)(adjusted % u->line_range))) & UINT32_MAX;
            add_row(u, &row, &s);
        } else if (op == 0) {
            run_extended(u, r, &s, &row);
        } else {
            run_standard(u, r, op, &s, &row);
        }
    }
}

/* ---- units ---- */

/* The header behind its length; leaves u->program at the program. False: not understood. */
static bool read_header(Unit *u)
{
    ByteReader *r = &u->program;

    u->version = br_u16(r);
    if (u->version < 2 || u->version > 5) {
        return false;
    }
    if (u->version >= 5) {
        br_skip(r, 2); /* sizes of an address and of a segment selector */
    }
    uint64_t header_len = br_le(r, u->offset_size), start = r->pos;
    u->min_insn = br_u8(r);
    if (u->version >= 4) {
        br_skip(r, 1); /* operations in an instruction */
    }
    br_skip(r, 1); /* whether a row is a statement by default */
    u->line_base = (int8_t)br_u8(r);
    u->line_range = br_u8(r);
    u->opcode_base = br_u8(r);
    u->operands = br_take(r, u->opcode_base != 0 ? u->opcode_base - 1 : 0);
    if (!br_ok(r) || u->line_range == 0 || u->opcode_base == 0 || header_len > r->len - start) {
        return false;
    }
    if (u->version >= 5) {
        read_entries(u, r, u->dirs);
        read_entries(u, r, u->files);
    } else {
        read_old_entries(r, u->dirs, false);
        read_old_entries(r, u->files, true);
    }
    bool ok = br_ok(r);
    r->pos = start + (size_t)header_len;
    return ok;
}

static void read_unit(Unit *u)
{
    u->dirs = g_array_new(FALSE, FALSE, sizeof(Entry));
    u->files = g_array_new(FALSE, FALSE, sizeof(Entry));
    if (read_header(u)) {
        run_program(u);
    }
    g_array_free(u->dirs, TRUE);
    g_array_free(u->files, TRUE);
}

static int by_start(gconstpointer a, gconstpointer b)
{
    const SymRun *x = a, *y = b;

    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    return x->end != y->end ? (x->end < y->end ? -1 : 1) : (x->line > y->line) - (x->line < y->line);
}

/* What begins inside another run ends that. */
static void sort_runs(GArray *runs)
{
    guint n = 0;

    g_array_sort(runs, by_start);
    for (guint i = 0; i < runs->len; i++) {
        SymRun  r = g_array_index(runs, SymRun, i);
        SymRun *last = n > 0 ? &g_array_index(runs, SymRun, n - 1) : NULL;

        if (last != NULL && last->start == r.start) {
            n--; /* the longer one */
        } else if (last != NULL && last->end > r.start) {
            last->end = r.start;
        }
        g_array_index(runs, SymRun, n++) = r;
    }
    g_array_set_size(runs, n);
}

static void read_lines(Symbols *s)
{
    SymSpan lines = { 0 };
    Unit    u = { .symbols = s };

    s->lines_read = true;
    if (!symbols_section(s, ".debug_line", &lines)) {
        return;
    }
    symbols_section(s, ".debug_str", &u.strings);
    symbols_section(s, ".debug_line_str", &u.line_strings);
    ByteReader r = br_init(lines.data, lines.len);
    while (br_left(&r) >= 4) {
        Unit     unit = u;
        uint64_t len = br_u32(&r);

        unit.offset_size = 4;
        if (len == UINT32_MAX) {
            unit.offset_size = 8;
            len = br_u64(&r);
        }
        const uint8_t *p = br_take(&r, (size_t)MIN(len, (uint64_t)SIZE_MAX / 2));
        if (p != NULL) {
            unit.program = br_init(p, (size_t)len);
            read_unit(&unit);
        }
    }
    sort_runs(s->runs);
}

bool symbols_has_lines(Symbols *s)
{
    if (!s->lines_read) {
        read_lines(s);
    }
    return s->runs->len != 0;
}

static SymbolLine line_of(const Symbols *s, const SymRun *r)
{
    return (SymbolLine){ .file = s->files->pdata[r->file], .line = r->line };
}

bool symbols_line(Symbols *s, uint64_t addr, SymbolLine *out)
{
    guint lo = 0, hi = symbols_has_lines(s) ? s->runs->len : 0;

    while (lo < hi) { /* the first run that starts behind @addr */
        guint mid = lo + (hi - lo) / 2;

        if (g_array_index(s->runs, SymRun, mid).start <= addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    const SymRun *r = lo > 0 ? &g_array_index(s->runs, SymRun, lo - 1) : NULL;
    if (r == NULL || addr >= r->end) {
        return false;
    }
    *out = line_of(s, r);
    return true;
}

void symbols_foreach_line(Symbols *s,
                          void (*fn)(void *opaque, uint64_t start, uint64_t end, const SymbolLine *line), void *opaque)
{
    for (guint i = 0; symbols_has_lines(s) && i < s->runs->len; i++) {
        const SymRun *r = &g_array_index(s->runs, SymRun, i);
        SymbolLine    l = line_of(s, r);

        fn(opaque, r->start, r->end, &l);
    }
}
