/* Memory as numbers, text and instructions: x by the session's view of addresses, xp by physical ones. Devices are not
 * read: looking must not change them. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/decode.h"
#include "monitor/monitor.h"

enum { COUNT_MAX = 4096, TEXT_MAX = 1024, INSN_BYTES = 4 };

/* What stands behind the slash: a count, a letter for the form, one for the size. */
typedef struct Format {
    unsigned count;
    char     form; /* x d u o c, i: instructions, s: text */
    unsigned size; /* bytes: 1, 2, 4, 8 */
} Format;

bool mon_address(const Mon *m, const char *word, uint64_t *addr, GError **error)
{
    const A64Cpu *cpu = mon_a64(m);
    guint64       n;

    if (word[0] != '$') {
        return mon_number(word, addr, error);
    }
    if (strcmp(word, "$pc") == 0) {
        *addr = cpu->pc;
    } else if (strcmp(word, "$sp") == 0) {
        *addr = cpu->sp;
    } else if (word[1] == 'x' && g_ascii_string_to_unsigned(word + 2, 10, 0, 30, &n, NULL)) {
        *addr = cpu->x[n];
    } else {
        return mon_fail(error, "there is no register '%s' to have an address; write $pc, $sp or $x0 to $x30", word);
    }
    return true;
}

static bool parse_format(const char *text, Format *f, GError **error)
{
    char         *p;
    unsigned long count = strtoul(text + 1, &p, 10);

    *f = (Format){ .count = p != text + 1 ? (unsigned)MIN(count, COUNT_MAX + 1) : 1, .form = 'x', .size = 4 };
    for (; *p != '\0'; p++) {
        const char *size = strchr("bhwg", *p);

        if (size != NULL) {
            f->size = 1u << (size - "bhwg");
        } else if (strchr("xduocis", *p) != NULL) {
            f->form = *p;
        } else {
            return mon_fail(error, "'%s' is no format: write a count, one of x d u o c i s, one of b h w g, as in "
                                   "x/4xg", text);
        }
    }
    f->size = f->form == 'c' || f->form == 's' ? 1 : f->form == 'i' ? INSN_BYTES : f->size;
    return (f->count >= 1 && f->count <= COUNT_MAX) ||
           mon_fail(error, "'%s' asks for none or too much: the count is 1 to %d", text, COUNT_MAX);
}

static void put_char(uint8_t c, GString *out)
{
    if (isprint(c)) {
        g_string_append_printf(out, " '%c'", c);
    } else {
        g_string_append_printf(out, " '\\x%02x'", c);
    }
}

static void put_value(const Format *f, uint64_t value, GString *out)
{
    unsigned bits = f->size * 8;

    switch (f->form) {
    case 'd':
        g_string_append_printf(out, " %" PRId64, (int64_t)(value << (64 - bits)) >> (64 - bits));
        break;
    case 'u':
        g_string_append_printf(out, " %" PRIu64, value);
        break;
    case 'o':
        g_string_append_printf(out, " 0%" PRIo64, value);
        break;
    case 'c':
        put_char((uint8_t)value, out);
        break;
    default:
        g_string_append_printf(out, " 0x%0*" PRIx64, (int)f->size * 2, value);
        break;
    }
}

static bool fail_at(const Mon *m, uint64_t addr, GError **error)
{
    return mon_fail(error, "there is no memory at 0x%" PRIx64 " that could be read there; 'translate' says where it "
                           "leads, 'as' what addresses mean", addr);
}

/* What is there before it ends is shown. */
static bool dump_values(Mon *m, const Format *f, uint64_t addr, GString *out, GError **error)
{
    unsigned per_line = f->form == 'c' ? 8 : 16 / f->size;

    for (unsigned i = 0; i < f->count; i++, addr += f->size) {
        uint8_t bytes[8];

        if (!mon_read(m, addr, bytes, f->size)) {
            g_string_append(out, i % per_line != 0 ? "\n" : "");
            return fail_at(m, addr, error);
        }
        if (i % per_line == 0) {
            g_string_append_printf(out, "0x%016" PRIx64 ":", addr);
        }
        put_value(f, le_get(bytes, f->size), out);
        g_string_append(out, i % per_line == per_line - 1 || i + 1 == f->count ? "\n" : "");
    }
    return true;
}

static bool dump_insns(Mon *m, const Format *f, uint64_t addr, GString *out, GError **error)
{
    addr = align_down(addr, INSN_BYTES);
    for (unsigned i = 0; i < f->count; i++, addr += INSN_BYTES) {
        uint8_t bytes[INSN_BYTES];
        char    text[128];

        if (!mon_read(m, addr, bytes, INSN_BYTES)) {
            return fail_at(m, addr, error);
        }
        a64_disassemble(addr, le32_get(bytes), text, sizeof(text));
        g_string_append_printf(out, "0x%016" PRIx64 ": %08x %s\n", addr, le32_get(bytes), text);
    }
    return true;
}

static bool dump_text(Mon *m, const Format *f, uint64_t addr, GString *out, GError **error)
{
    for (unsigned i = 0; i < f->count; i++) {
        uint8_t c = 0;

        g_string_append_printf(out, "0x%016" PRIx64 ": \"", addr);
        for (unsigned n = 0; n < TEXT_MAX; n++) {
            if (!mon_read(m, addr, &c, 1)) {
                g_string_append(out, "\"\n");
                return fail_at(m, addr, error);
            }
            addr++;
            if (c == '\0') {
                break;
            }
            g_string_append_printf(out, isprint(c) && c != '"' && c != '\\' ? "%c" : "\\x%02x", c);
        }
        g_string_append(out, "\"\n");
    }
    return true;
}

static bool dump(Mon *m, const Format *f, uint64_t addr, GString *out, GError **error)
{
    return f->form == 'i'   ? dump_insns(m, f, addr, out, error)
           : f->form == 's' ? dump_text(m, f, addr, out, error)
                            : dump_values(m, f, addr, out, error);
}

/* The format, when the first word is one; @argv goes on behind it. */
static bool take_format(unsigned *argc, char ***argv, Format *f, GError **error)
{
    if ((*argv)[0][0] != '/') {
        *f = (Format){ .count = 1, .form = 'x', .size = 4 };
        return true;
    }
    if (!parse_format((*argv)[0], f, error)) {
        return false;
    }
    ++*argv;
    return --*argc != 0 || mon_fail(error, "an address is missing behind the format");
}

MON_COMMAND(x, .name = "x", .args = "[/COUNT FORM SIZE] ADDRESS",
            .help = "memory at an address as 'as' has it: x/4xg $sp; forms x d u o c i s, sizes b h w g", .min_args = 1,
            .max_args = 2)
{
    Format   f;
    uint64_t addr;

    if (!take_format(&argc, &argv, &f, error)) {
        return false;
    }
    if (argc != 1) {
        return mon_fail(error, "'x' takes one address; the format stands behind a slash, as in x/4xg");
    }
    return mon_address(m, argv[0], &addr, error) && dump(m, &f, addr, out, error);
}

MON_COMMAND(xp, .name = "xp", .args = "[/COUNT FORM SIZE] [realm|ns|secure|root] ADDRESS",
            .help = "memory at a physical address of a space, or of that which the CPU is in", .min_args = 1,
            .max_args = 3)
{
    const MonView before = m->view;
    Format        f;
    uint64_t      addr;
    bool          ok;

    if (!take_format(&argc, &argv, &f, error)) {
        return false;
    }
    if (argc > 2) {
        return mon_fail(error, "'xp' takes a format behind a slash, a space and an address, as in xp/4xg realm 0x...");
    }
    m->view = (MonView){ .space = MON_PHYS, .pas = mon_a64(m)->security };
    ok = (argc == 1 || mon_space(argv[0], &m->view.pas, error)) && mon_address(m, argv[argc - 1], &addr, error) &&
         dump(m, &f, addr, out, error);
    m->view = before;
    return ok;
}
