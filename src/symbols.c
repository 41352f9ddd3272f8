/*
 * Symbol files. System V ABI, chapter 4: "ELF Header", "Sections", "Symbol Table", "Section Compression" (64-bit,
 * little-endian); "ELF for the Arm 64-bit Architecture". Lists are those of "nm" and of Linux's /proc/kallsyms. Left
 * out: sections packed by zstd, objects that are not linked yet, names of C++ in readable form.
 */
#include <gio/gio.h>
#include <inttypes.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "device.h"
#include "symbols_int.h"

enum {
    EHDR_SIZE = 64,
    SHDR_SIZE = 64,
    SYM_SIZE = 24,
    CHDR_SIZE = 24,
    ELF_CLASS_64 = 2,
    ELF_DATA_LE = 1,
    ELF_REL = 1,
    ELF_AARCH64 = 183,
    SHT_SYMTAB = 2,
    SHT_NOBITS = 8,
    SHT_DYNSYM = 11,
    SHF_EXECINSTR = 4,
    SHF_COMPRESSED = 0x800,
    COMPRESS_ZLIB = 1,
    ZLIB_RATIO = 1032,           /* no more comes out of one byte */
    UNPACKED_MAX = 1 << 30,
    SHN_UNDEF = 0,
    SHN_ABS = 0xfff1,
    STB_LOCAL = 0,
    STT_FUNC = 2,
    STT_SECTION = 3,
    STT_FILE = 4,
    STT_TLS = 6,
    STT_GNU_IFUNC = 10,
    UNSIZED_MAX = 1 << 20,       /* a symbol without a size reaches no farther */
    CODE_MAX = 256,              /* sections with code; linked files have few */
    NESTING = 16,                /* symbols that begin in another one, one after the other */
};

/* ---- the table ---- */

/* A symbol on its way to the table. */
typedef struct RawSymbol {
    Symbol sym;
    bool   local;
} RawSymbol;

static int by_preference(gconstpointer a, gconstpointer b)
{
    const RawSymbol *x = a, *y = b;

    if (x->sym.start != y->sym.start) {
        return x->sym.start < y->sym.start ? -1 : 1;
    }
    if (x->sym.function != y->sym.function) {
        return x->sym.function ? -1 : 1;
    }
    return x->local != y->local ? (x->local ? 1 : -1) : strcmp(x->sym.name, y->sym.name);
}

/* One symbol for each address, with a size. */
static void make_table(Symbols *s, GArray *raw)
{
    g_array_sort(raw, by_preference);
    for (guint i = 0; i < raw->len; i++) {
        Symbol *last = s->table->len > 0 ? &g_array_index(s->table, Symbol, s->table->len - 1) : NULL;
        Symbol  sym = g_array_index(raw, RawSymbol, i).sym;

        if (last != NULL && last->start == sym.start) {
            last->size = MAX(last->size, sym.size); /* an alias that says more */
            g_array_append_val(s->aliases, sym);
            continue;
        }
        if (last != NULL && last->size == 0) {
            last->size = MIN(sym.start - last->start, UNSIZED_MAX);
        }
        sym.size = MIN(sym.size, -sym.start - 1); /* not around the end of the address space */
        g_array_append_val(s->table, sym);
    }
    if (s->table->len > 0) {
        Symbol *last = &g_array_index(s->table, Symbol, s->table->len - 1);

        last->size = last->size == 0 ? 4 : last->size;
    }
}

static bool refuse(GError **error, const char *name, const char *why)
{
    g_set_error(error, BAILEY_ERROR, 1, "cannot use the symbol file '%s' (from -symbols): %s", name, why);
    return false;
}

/* ---- ELF files ---- */

typedef struct Section {
    uint32_t name, type, link;
    uint64_t flags, addr, size;
    SymSpan  bytes; /* empty: it has none in the file */
} Section;

typedef struct Elf {
    const uint8_t *data;
    size_t         len, n;  /* sections */
    const uint8_t *headers;
    SymSpan        names;
} Elf;

/* Whether [@at, @at + @len) lies in @size bytes. */
static bool lies_in(uint64_t at, uint64_t len, uint64_t size) { return at <= size && len <= size - at; }

static bool get_section(const Elf *e, size_t i, Section *out)
{
    if (i >= e->n) {
        return false;
    }
    const uint8_t *h = e->headers + i * SHDR_SIZE;
    uint64_t       offset = le64_get(h + 24);
    *out = (Section){ .name = le32_get(h), .type = le32_get(h + 4), .flags = le64_get(h + 8), .addr = le64_get(h + 16),
                      .size = le64_get(h + 32), .link = le32_get(h + 40) };
    if (out->type != SHT_NOBITS && lies_in(offset, out->size, e->len)) {
        out->bytes = (SymSpan){ e->data + offset, (size_t)out->size };
    }
    return true;
}

/* The text at @at of a string table; NULL when it does not end there. */
static const char *string_at(const SymSpan *strings, uint64_t at)
{
    if (at >= strings->len || memchr(strings->data + at, '\0', strings->len - at) == NULL) {
        return NULL;
    }
    return (const char *)strings->data + at;
}

/* Where the file has its section headers. None is no error. */
static void find_sections(Elf *e)
{
    uint64_t at = le64_get(e->data + 40), n = le16_get(e->data + 60);
    uint32_t names = le16_get(e->data + 62);
    Section  s;

    if (at == 0 || le16_get(e->data + 58) != SHDR_SIZE || !lies_in(at, SHDR_SIZE, e->len)) {
        return;
    }
    e->headers = e->data + at;
    n = n == 0 ? le64_get(e->headers + 32) : n;              /* more than the header's field can say: */
    names = names == 0xffff ? le32_get(e->headers + 40) : names; /* both are in the first section header */
    e->n = (size_t)MIN(n, (e->len - at) / SHDR_SIZE);
    if (get_section(e, names, &s)) {
        e->names = s.bytes;
    }
}

static bool open_elf(Elf *e, GBytes *bytes, const char *name, GError **error)
{
    *e = (Elf){ 0 };
    e->data = g_bytes_get_data(bytes, &e->len);
    if (e->len < EHDR_SIZE) {
        return refuse(error, name, "it is an ELF file that was cut off; copy it again");
    }
    if (e->data[4] != ELF_CLASS_64 || e->data[5] != ELF_DATA_LE || le16_get(e->data + 18) != ELF_AARCH64) {
        return refuse(error, name, "it is not for little-endian AArch64; give that of the guest");
    }
    if (le16_get(e->data + 16) == ELF_REL) {
        return refuse(error, name, "it is not linked, its addresses say nothing; for a kernel's modules give a copy of "
                                   "the guest's /proc/kallsyms");
    }
    find_sections(e);
    return true;
}

static void add_elf_symbol(GArray *raw, const uint8_t *p, const SymSpan *strings)
{
    unsigned    type = p[4] & 15, shndx = le16_get(p + 6);
    const char *name = string_at(strings, le32_get(p));
    RawSymbol   r = { .sym = { .name = name, .start = le64_get(p + 8), .size = le64_get(p + 16),
                               .function = type == STT_FUNC || type == STT_GNU_IFUNC },
                      .local = p[4] >> 4 == STB_LOCAL };

    if (name == NULL || *name == '\0' || *name == '$' || shndx == SHN_UNDEF || shndx == SHN_ABS ||
        type == STT_SECTION || type == STT_FILE || type == STT_TLS) {
        return;
    }
    g_array_append_val(raw, r);
}

/* All of the symbol table, or of the one for dynamic linking when there is no other. */
static void read_symbol_tables(const Elf *e, GArray *raw)
{
    static const uint32_t types[] = { SHT_SYMTAB, SHT_DYNSYM };
    Section               s, strings;

    for (size_t t = 0; t < ARRAY_LEN(types) && raw->len == 0; t++) {
        for (size_t i = 0; get_section(e, i, &s); i++) {
            if (s.type != types[t] || !get_section(e, s.link, &strings)) {
                continue;
            }
            for (size_t at = 0; at + SYM_SIZE <= s.bytes.len; at += SYM_SIZE) {
                add_elf_symbol(raw, s.bytes.data + at, &strings.bytes);
            }
        }
    }
}

static void note_code(Symbols *s, const Elf *e)
{
    Section section;

    for (size_t i = 0; get_section(e, i, &section) && s->code->len < CODE_MAX; i++) {
        if (section.flags & SHF_EXECINSTR) {
            SymCode c = { section.addr, section.size };

            g_array_append_val(s->code, c);
        }
    }
}

static bool parse_elf(Symbols *s, GBytes *bytes, const char *name, GArray *raw, GError **error)
{
    Elf e;

    if (!open_elf(&e, bytes, name, error)) {
        return false;
    }
    note_code(s, &e);
    read_symbol_tables(&e, raw);
    return raw->len != 0 ||
           refuse(error, name, "it has no symbols; give one that is not stripped, or the .debug file that was split "
                               "off it");
}

bool symbols_in_code(const Symbols *s, uint64_t addr)
{
    for (guint i = 0; i < s->code->len; i++) {
        const SymCode *c = &g_array_index(s->code, SymCode, i);

        if (addr - c->start < c->size) {
            return true;
        }
    }
    return false;
}

/* System V ABI, "Section Compression". NULL: damaged, too large, or packed by something else than zlib. */
static GBytes *unpack(const SymSpan *packed)
{
    if (packed->len < CHDR_SIZE || le32_get(packed->data) != COMPRESS_ZLIB) {
        return NULL;
    }
    uint64_t len = le64_get(packed->data + 8), in_len = packed->len - CHDR_SIZE;
    if (len == 0 || len > UNPACKED_MAX || len / ZLIB_RATIO > in_len) {
        return NULL;
    }
    g_autoptr(GConverter) zlib = G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB));
    GConverterResult      res = G_CONVERTER_CONVERTED;
    uint8_t              *out = g_malloc(len);
    gsize                 in_at = 0, out_at = 0, in_n, out_n;

    while (res == G_CONVERTER_CONVERTED && out_at < len) {
        res = g_converter_convert(zlib, packed->data + CHDR_SIZE + in_at, in_len - in_at, out + out_at, len - out_at,
                                  G_CONVERTER_INPUT_AT_END, &in_n, &out_n, NULL);
        in_at += res == G_CONVERTER_ERROR ? 0 : in_n;
        out_at += res == G_CONVERTER_ERROR ? 0 : out_n;
    }
    if (out_at != len) {
        g_free(out);
        return NULL;
    }
    return g_bytes_new_take(out, len);
}

static bool unpacked_section(Symbols *s, const char *name, const SymSpan *packed, SymSpan *out)
{
    GBytes *b = g_hash_table_lookup(s->unpacked, name);

    if (b == NULL) {
        b = unpack(packed);
        if (b == NULL) {
            return false;
        }
        g_hash_table_insert(s->unpacked, g_strdup(name), b);
    }
    out->data = g_bytes_get_data(b, &out->len);
    return true;
}

bool symbols_section(Symbols *s, const char *name, SymSpan *out)
{
    Elf     e;
    Section section;

    if (s->code->len == 0 || !open_elf(&e, s->bytes, "", NULL)) { /* a list has none */
        return false;
    }
    for (size_t i = 0; get_section(&e, i, &section); i++) {
        const char *is = string_at(&e.names, section.name);

        if (is != NULL && strcmp(is, name) == 0 && section.bytes.len != 0) {
            *out = section.bytes;
            return !(section.flags & SHF_COMPRESSED) || unpacked_section(s, name, &section.bytes, out);
        }
    }
    return false;
}

/* ---- lists ---- */

/* The next word of a line, ended in place; *@at is moved behind it. NULL: there is none. */
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, " \t\r");
    char *end = word + strcspn(word, " \t\r");

    if (*word == '\0') {
        return NULL;
    }
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

static bool is_hex(const char *word, uint64_t *value)
{
    size_t n = strspn(word, "0123456789abcdefABCDEF");

    *value = g_ascii_strtoull(word, NULL, 16);
    return n >= 1 && n <= 16 && word[n] == '\0';
}

/* "ADDRESS [SIZE] LETTER NAME [MODULE]". False: it is no such line. */
static bool parse_line(char *line, RawSymbol *r)
{
    char *first = next_word(&line), *letter = next_word(&line);

    *r = (RawSymbol){ 0 };
    if (first == NULL || letter == NULL || !is_hex(first, &r->sym.start)) {
        return false;
    }
    if (strlen(letter) > 1 && is_hex(letter, &r->sym.size)) {
        letter = next_word(&line);
    }
    r->sym.name = next_word(&line);
    if (letter == NULL || letter[1] != '\0' || !g_ascii_isalpha(*letter) || r->sym.name == NULL) {
        return false;
    }
    r->sym.function = strchr("tTwWi", *letter) != NULL;
    r->local = g_ascii_islower(*letter);
    return strchr("aAU", *letter) == NULL && *r->sym.name != '$';
}

/* @text: the file, which lines and words are cut out of in place. */
static bool parse_list(char *text, const char *name, GArray *raw, GError **error)
{
    bool known = false;

    for (char *line = text; line != NULL;) {
        char     *end = strchr(line, '\n');
        RawSymbol r;

        if (end != NULL) {
            *end = '\0';
        }
        if (parse_line(line, &r)) {
            g_array_append_val(raw, r);
            known |= r.sym.start != 0;
        }
        line = end == NULL ? NULL : end + 1;
    }
    if (raw->len != 0 && !known) {
        return refuse(error, name, "all its addresses are 0; read /proc/kallsyms as root");
    }
    return raw->len != 0 || refuse(error, name, "it is neither an ELF file nor a list of symbols, such as System.map; "
                                                "give vmlinux, System.map, or what 'nm' prints");
}

/* ---- the file ---- */

static Symbols *symbols_new(void)
{
    Symbols *s = g_new0(Symbols, 1);

    s->table = g_array_new(FALSE, FALSE, sizeof(Symbol));
    s->aliases = g_array_new(FALSE, FALSE, sizeof(Symbol));
    s->code = g_array_new(FALSE, FALSE, sizeof(SymCode));
    s->unpacked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    s->files = g_ptr_array_new_with_free_func(g_free);
    s->file_ids = g_hash_table_new(g_str_hash, g_str_equal);
    s->runs = g_array_new(FALSE, FALSE, sizeof(SymRun));
    return s;
}

void symbols_free(Symbols *s)
{
    if (s != NULL) {
        g_array_free(s->table, TRUE);
        g_array_free(s->aliases, TRUE);
        g_array_free(s->code, TRUE);
        g_array_free(s->runs, TRUE);
        g_hash_table_destroy(s->unpacked);
        g_hash_table_destroy(s->file_ids);
        g_ptr_array_free(s->files, TRUE);
        g_clear_pointer(&s->bytes, g_bytes_unref);
        g_free(s);
    }
}

Symbols *symbols_parse(GBytes *bytes, const char *name, GError **error)
{
    Symbols    *s = symbols_new();
    GArray     *raw = g_array_new(FALSE, FALSE, sizeof(RawSymbol));
    gsize       len;
    const char *data = g_bytes_get_data(bytes, &len);
    bool        ok;

    if (len >= 4 && memcmp(data, "\x7f" "ELF", 4) == 0) {
        s->bytes = g_bytes_ref(bytes);
        ok = parse_elf(s, bytes, name, raw, error);
    } else {
        char *text = g_strndup(len != 0 ? data : "", len);

        s->bytes = g_bytes_new_take(text, strlen(text) + 1);
        ok = parse_list(text, name, raw, error);
    }
    make_table(s, raw);
    g_array_free(raw, TRUE);
    if (!ok) {
        g_clear_pointer(&s, symbols_free);
    }
    return s;
}

Symbols *symbols_load(const char *path, GError **error)
{
    GError      *cause = NULL;
    GMappedFile *file = g_mapped_file_new(path, FALSE, &cause);
    Symbols     *s;

    if (file == NULL || g_mapped_file_get_length(file) == 0) { /* a pipe, or a file of /proc, says it has no length */
        char *data;
        gsize len;

        g_clear_pointer(&file, g_mapped_file_unref);
        g_clear_error(&cause);
        if (!g_file_get_contents(path, &data, &len, &cause)) {
            g_set_error(error, BAILEY_ERROR, 1, "cannot read '%s' (from -symbols): %s; name a readable file", path,
                        cause->message);
            g_error_free(cause);
            return NULL;
        }
        g_autoptr(GBytes) copy = g_bytes_new_take(data, len);
        return symbols_parse(copy, path, error);
    }
    g_autoptr(GBytes) bytes = g_mapped_file_get_bytes(file);
    s = symbols_parse(bytes, path, error);
    g_mapped_file_unref(file);
    return s;
}

/* ---- asking ---- */

/* The last symbol that starts at or before @addr: its index plus 1; 0: there is none. */
static guint before(const Symbols *s, uint64_t addr)
{
    guint lo = 0, hi = s->table->len;

    while (lo < hi) {
        guint mid = lo + (hi - lo) / 2;

        if (g_array_index(s->table, Symbol, mid).start <= addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

bool symbols_find(const Symbols *s, uint64_t addr, Symbol *out)
{
    guint at = before(s, addr);
    bool  found = false;

    for (unsigned n = 0; n < NESTING && at > 0; n++, at--) {
        const Symbol *sym = &g_array_index(s->table, Symbol, at - 1);
        bool          better = addr - sym->start < sym->size && (!found || sym->function);

        *out = better ? *sym : *out;
        found |= better;
        if (better && sym->function) {
            break;
        }
    }
    return found;
}

static bool address_in(const GArray *table, const char *name, uint64_t *addr)
{
    for (guint i = 0; i < table->len; i++) {
        const Symbol *sym = &g_array_index(table, Symbol, i);

        if (strcmp(sym->name, name) == 0) {
            *addr = sym->start;
            return true;
        }
    }
    return false;
}

bool symbols_address(const Symbols *s, const char *name, uint64_t *addr)
{
    return address_in(s->table, name, addr) || address_in(s->aliases, name, addr);
}

void symbols_foreach(const Symbols *s, void (*fn)(void *opaque, const Symbol *sym), void *opaque)
{
    for (guint i = 0; i < s->table->len; i++) {
        fn(opaque, &g_array_index(s->table, Symbol, i));
    }
}
