/*
 * The command-line table and its parser. Options that describe parts (-device, -netdev, ...) are only split here;
 * the part itself checks its keys, so that its own list of them stays the only one.
 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "config_file.h"
#include "device.h"
#include "log.h"
#include "option_help.h"

#define DEFAULT_RAM_SIZE (1ull << 30)
#define DEFAULT_RTC_BASE 1767225600 /* 2026-01-01T00:00:00Z: a fixed date, so that runs repeat */
#define MAX_SERIALS      4

typedef struct Option Option;

struct Option {
    const char *name;
    const char *arg;  /* NULL: takes none */
    const char *help;
    bool      (*set)(Options *o, const char *value, GError **error);
};

static bool fail(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

static bool fail(GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error_literal(error, BAILEY_ERROR, 1, text);
    g_free(text);
    return false;
}

/* ---- lists of the form driver,key=value ---- */

/* The next comma-separated word of *@p; a doubled comma stands for one. NULL at the end. */
static char *next_word(const char **p)
{
    if (**p == '\0') {
        return NULL;
    }
    GString *w = g_string_new(NULL);

    while (**p != '\0') {
        if (**p == ',') {
            (*p)++;
            if (**p != ',') {
                break;
            }
        }
        g_string_append_c(w, **p);
        (*p)++;
    }
    return g_string_free(w, FALSE);
}

OptionList *option_list_parse(const char *text)
{
    OptionList *l = g_new0(OptionList, 1);
    bool        first = true;
    char       *word;

    l->text = g_strdup(text);
    l->keys = g_ptr_array_new_with_free_func(g_free);
    l->values = g_ptr_array_new_with_free_func(g_free);
    while ((word = next_word(&text)) != NULL) {
        char *eq = strchr(word, '=');

        if (first && eq == NULL) {
            l->driver = word;
        } else {
            g_ptr_array_add(l->values, g_strdup(eq == NULL ? "on" : eq + 1));
            if (eq != NULL) {
                *eq = '\0';
            }
            g_ptr_array_add(l->keys, word);
        }
        first = false;
    }
    if (l->driver == NULL) {
        l->driver = g_strdup("");
    }
    return l;
}

void option_list_free(OptionList *l)
{
    if (l != NULL) {
        g_free(l->driver);
        g_free(l->text);
        g_ptr_array_free(l->keys, TRUE);
        g_ptr_array_free(l->values, TRUE);
        g_free(l);
    }
}

const char *option_list_get(const OptionList *l, const char *key)
{
    for (guint i = 0; i < l->keys->len; i++) {
        if (strcmp(l->keys->pdata[i], key) == 0) {
            return l->values->pdata[i];
        }
    }
    return NULL;
}

bool option_parse_bool(const char *text, bool *value)
{
    static const char *const words[][2] = {
        { "on", "off" }, { "yes", "no" }, { "true", "false" }, { "y", "n" }, { "1", "0" } };

    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        bool yes = strcmp(text, words[i][0]) == 0;

        if (yes || strcmp(text, words[i][1]) == 0) {
            *value = yes;
            return true;
        }
    }
    return false;
}

bool option_list_bool(const OptionList *l, const char *option, const char *key, bool *value, GError **error)
{
    const char *text = option_list_get(l, key);

    return text == NULL || option_parse_bool(text, value) ||
           fail(error, "%s=%s in %s %s is neither on nor off; for example %s=on", key, text, option, l->text, key);
}

bool option_parse_size(const char *text, unsigned unit_shift, uint64_t *bytes)
{
    static const char units[] = "bkmgt";
    char             *end;

    errno = 0;
    uint64_t v = g_ascii_strtoull(text, &end, 0);
    if (!g_ascii_isdigit(*text) || errno != 0) { /* strtoull would take a sign */
        return false;
    }
    unsigned shift = unit_shift;
    if (*end != '\0') {
        const char *u = strchr(units, g_ascii_tolower(*end));

        if (u == NULL || end[1] != '\0') {
            return false;
        }
        shift = (unsigned)(u - units) * 10;
    }
    if (v > UINT64_MAX >> shift) {
        return false;
    }
    *bytes = v << shift;
    return true;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = g_ascii_strtoull(text, &end, 0);
    return g_ascii_isdigit(*text) && *end == '\0' && errno == 0 && *out >= min && *out <= max;
}

/* A list that takes one value, bare or as @key=: its text, or NULL when there is anything else. */
static const char *only_value(const OptionList *l, const char *key)
{
    if (l->keys->len == 0) {
        return l->driver;
    }
    return *l->driver == '\0' && l->keys->len == 1 ? option_list_get(l, key) : NULL;
}

static void replace(char **dst, const char *value)
{
    g_free(*dst);
    *dst = g_strdup(value);
}

/* ---- one function per option ---- */

static void machine_help(void)
{
    printf("Machines (-M NAME[,key=value...]):\n"
           "  cca   Arm CCA: a board with RME, a modelled monitor and RMM\n"
           "Keys of cca:\n"
           "  boot=realm|host    realm (default): the built-in host starts the kernel inside a Realm\n"
           "                     host: the kernel is the Normal-world host at EL2\n"
           "  entry=ns-el2|ns-el1|realm\n"
           "                     where payloads of -device loader start; implies boot=host, host, realm\n"
           "  board=virt|fvp     virt (default): the memory map of QEMU's virt board\n"
           "                     fvp: that of Arm's FVP Base RevC with RME\n"
           "  dumpdtb=FILE       write the device tree and stop\n"
           "  rmm=NAME           what the RMM speaks: 1.0 (no device assignment), 1.1-alp12, 1.1-alp17 (default)\n"
           "  vfs=N[:N...]       the Realm gets these virtual functions of each card that has some, 1 to 8\n"
           "  link-ide=on|off    the built-in host asks for a link IDE stream beside the selective one (default: off)\n"
           "  pmu=N              the Realm has performance monitors with N event counters, 1 to 8 (default: none)\n"
           "  host-fault=NAME[=PARAMETER][+NAME...]\n"
           "                     the built-in host misbehaves; host-fault=help lists the ways\n");
}

static bool set_entry(Options *o, const char *value, GError **error)
{
    static const char *const names[] = { "ns-el2", "ns-el1", "realm" };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            o->entry = (EntryMode)i;
            o->boot = o->entry == ENTRY_REALM ? BOOT_REALM : BOOT_HOST;
            return true;
        }
    }
    return fail(error, "-M: there is no entry=%s; use entry=ns-el2, entry=ns-el1 or entry=realm", value);
}

/* Numbers with ':' between them, as the card's vf-netdevs= has its. */
static bool set_vfs(Options *o, const char *value, GError **error)
{
    g_auto(GStrv) each = g_strsplit(value, ":", -1);
    bool          ok = each[0] != NULL;
    uint64_t      n;

    o->realm_vfs = 0;
    for (unsigned i = 0; ok && each[i] != NULL; i++) {
        ok = parse_number(each[i], 1, 8, &n);
        o->realm_vfs |= ok ? 1u << (n - 1) : 0;
    }
    return ok || fail(error, "-M: vfs=%s does not name virtual functions by numbers from 1 to 8; for example vfs=1 or "
                             "vfs=1:3", value);
}

static bool set_machine(Options *o, const char *value, GError **error)
{
    OptionList *l = option_list_parse(value);

    if (strcmp(l->driver, "help") == 0 || strcmp(l->driver, "?") == 0) {
        machine_help();
        o->help_only = true;
        option_list_free(l);
        return true;
    }
    const char *type = option_list_get(l, "type");
    replace(&o->machine, type != NULL ? type : l->driver);
    option_list_free(o->machine_opts);
    option_list_free(o->trace);
    o->machine_opts = l;
    if (strcmp(o->machine, "cca") != 0) {
        return fail(error, "-M: there is no machine '%s'; '-M help' lists them (cca)", o->machine);
    }
    if (option_list_get(l, "boot") != NULL && option_list_get(l, "entry") != NULL) {
        return fail(error, "-M: boot= and entry= in one; entry= says it for payloads of -device loader, "
                           "leave boot= out");
    }
    for (guint i = 0; i < l->keys->len; i++) {
        const char *key = l->keys->pdata[i], *v = l->values->pdata[i];

        if (strcmp(key, "boot") == 0) {
            if (strcmp(v, "realm") != 0 && strcmp(v, "host") != 0) {
                return fail(error, "-M: there is no boot=%s; use boot=realm or boot=host", v);
            }
            o->boot = strcmp(v, "host") == 0 ? BOOT_HOST : BOOT_REALM;
        } else if (strcmp(key, "entry") == 0) {
            if (!set_entry(o, v, error)) {
                return false;
            }
        } else if (strcmp(key, "board") == 0) {
            if (strcmp(v, "virt") != 0 && strcmp(v, "fvp") != 0) {
                return fail(error, "-M: there is no board=%s; use board=virt or board=fvp", v);
            }
            replace(&o->board, v);
        } else if (strcmp(key, "dumpdtb") == 0) {
            replace(&o->dumpdtb, v);
        } else if (strcmp(key, "host-fault") == 0) {
            replace(&o->host_fault, v);
            o->help_only |= strcmp(v, "help") == 0;
        } else if (strcmp(key, "rmm") == 0) {
            replace(&o->rmm, v);
        } else if (strcmp(key, "pmu") == 0) {
            uint64_t n;

            if (!parse_number(v, 1, OPTIONS_PMU_MAX, &n)) {
                return fail(error, "-M: pmu=%s is not a number of event counters from 1 to %d; for a Realm "
                                   "without performance monitors leave it out", v, OPTIONS_PMU_MAX);
            }
            o->realm_pmu = (unsigned)n;
        } else if (strcmp(key, "link-ide") == 0) {
            if (strcmp(v, "on") != 0 && strcmp(v, "off") != 0) {
                return fail(error, "-M: there is no link-ide=%s; use link-ide=on or link-ide=off", v);
            }
            o->link_ide = strcmp(v, "on") == 0;
        } else if (strcmp(key, "vfs") == 0) {
            if (!set_vfs(o, v, error)) {
                return false;
            }
        } else if (strcmp(key, "type") != 0) {
            return fail(error, "-M: the cca machine has no key '%s'; '-M help' lists them", key);
        }
    }
    return true;
}

static bool set_cpu(Options *o, const char *value, GError **error)
{
    if (strcmp(value, "help") == 0) {
        printf("CPU models:\n  max   every feature the emulator implements\n");
        o->help_only = true;
        return true;
    }
    if (strcmp(value, "max") != 0) {
        return fail(error, "-cpu: there is no model '%s'; use -cpu max", value);
    }
    replace(&o->cpu_model, value);
    return true;
}

static bool set_smp(Options *o, const char *value, GError **error)
{
    OptionList *l = option_list_parse(value);
    const char *n = only_value(l, "cpus");
    uint64_t    v;
    bool        ok = n != NULL && parse_number(n, 1, OPTIONS_MAX_CPUS, &v);

    option_list_free(l);
    if (!ok) {
        return fail(error, "-smp: '%s' is not a number of CPUs from 1 to %d; for example -smp 2", value,
                    OPTIONS_MAX_CPUS);
    }
    o->smp = (unsigned)v;
    return true;
}

static bool set_ram(Options *o, const char *value, GError **error)
{
    OptionList *l = option_list_parse(value);
    const char *s = only_value(l, "size");
    bool        ok = s != NULL && option_parse_size(s, 20, &o->ram_size);

    option_list_free(l);
    if (!ok || o->ram_size < 64ull << 20 || o->ram_size > 64ull << 30 || o->ram_size % (2 << 20) != 0) {
        return fail(error, "-m: '%s' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G", value);
    }
    return true;
}

static bool set_bios(Options *o, const char *value, GError **error) { replace(&o->bios, value); return true; }
static bool set_kernel(Options *o, const char *value, GError **error) { replace(&o->kernel, value); return true; }
static bool set_initrd(Options *o, const char *value, GError **error) { replace(&o->initrd, value); return true; }
static bool set_append(Options *o, const char *value, GError **error) { replace(&o->append, value); return true; }
static bool set_dtb(Options *o, const char *value, GError **error) { replace(&o->dtb, value); return true; }
static bool set_result(Options *o, const char *value, GError **error) { replace(&o->result, value); return true; }


/* FILE or FILE,@key=NUMBER; @given: whether there is one. */
static bool parse_file_and_number(const char *value, const char *key, char **path, bool *given, uint64_t *number)
{
    OptionList *l = option_list_parse(value);
    const char *text = option_list_get(l, key);
    bool        ok = *l->driver != '\0' && l->keys->len == (text != NULL) &&
              (text == NULL || parse_number(text, 0, UINT64_MAX, number));

    *given = text != NULL;
    *path = ok ? g_strdup(l->driver) : NULL;
    option_list_free(l);
    return ok;
}

static void clear_symbols(gpointer symbols) { g_free(((OptionSymbols *)symbols)->path); }

static bool set_symbols(Options *o, const char *value, GError **error)
{
    OptionSymbols s = { 0 };

    if (!parse_file_and_number(value, "offset", &s.path, &s.has_offset, &s.offset)) {
        return fail(error, "-symbols: '%s' is not a file and, if any, an offset; for example -symbols vmlinux or "
                           "-symbols program,offset=0x5555550000", value);
    }
    g_array_append_val(o->symbols, s);
    return true;
}

static bool set_profile(Options *o, const char *value, GError **error)
{
    bool given;

    g_clear_pointer(&o->profile, g_free);
    o->profile_every = 0;
    return (parse_file_and_number(value, "every", &o->profile, &given, &o->profile_every) &&
            (!given || (o->profile_every != 0 && o->profile_every <= 1ull << 40))) ||
           fail(error, "-profile: '%s' is not a file and, if any, a number of instructions from 1 to 2^40; for example "
                       "-profile stacks.txt,every=1000000", value);
}

static bool set_plugin(Options *o, const char *value, GError **error)
{
    GPtrArray *words = g_ptr_array_new();
    char      *word;

    while ((word = next_word(&value)) != NULL) {
        g_ptr_array_add(words, word);
    }
    bool ok = words->len != 0 && *(char *)words->pdata[0] != '\0';
    g_ptr_array_add(words, NULL);
    g_ptr_array_add(o->plugins, g_ptr_array_free(words, FALSE));
    return ok || fail(error, "-plugin: no file is named; for example -plugin hotblocks.so,top=10");
}

static bool set_coverage(Options *o, const char *value, GError **error) { replace(&o->coverage, value); return true; }

static bool set_expect(Options *o, const char *value, GError **error)
{
    replace(&o->expect, value);
    return *value != '\0' || fail(error, "-expect: the text is empty; name what the guest will print");
}

static bool set_fail_on(Options *o, const char *value, GError **error)
{
    GError *bad = NULL;
    GRegex *re = g_regex_new(value, G_REGEX_RAW, 0, &bad); /* as the board compiles it: consoles print any bytes */

    if (re == NULL) {
        fail(error, "-fail-on: '%s' is not a regular expression (%s); a backslash makes a special character plain",
             value, bad->message);
        g_error_free(bad);
        return false;
    }
    g_regex_unref(re);
    replace(&o->fail_on, value);
    return true;
}

static void print_device(const DeviceClass *cls, void *opaque)
{
    if (strcmp(cls->bus, opaque) == 0) {
        printf("  %-20s %s\n", cls->name, cls->desc);
    }
}

static bool set_device(Options *o, const char *value, GError **error)
{
    OptionList        *l = option_list_parse(value);
    const DeviceClass *cls = device_class_find(l->driver);

    if (strcmp(l->driver, "help") == 0) {
        printf("Devices (-device NAME[,key=value...]; -device NAME,help lists a device's keys):\n");
        device_class_foreach(print_device, "pci");
        device_class_foreach(print_device, "fw_cfg");
        device_class_foreach(print_device, "loader");
        o->help_only = true;
    } else if (cls == NULL || strcmp(cls->bus, "sysbus") == 0) {
        fail(error, "-device: there is no device '%s'; '-device help' lists them", l->driver);
        option_list_free(l);
        return false;
    } else if (option_list_get(l, "help") != NULL) {
        device_help(cls);
        o->help_only = true;
    }
    g_ptr_array_add(o->devices, l);
    return true;
}

/* Options that are kept as lists for the part they describe. */
static bool add_list(GPtrArray *to, const char *option, const char *value, const char *example, GError **error)
{
    if (*value == '\0' || *value == ',') {
        return fail(error, "%s: '%s' names no type; for example %s %s", option, value, option, example);
    }
    g_ptr_array_add(to, option_list_parse(value));
    return true;
}

static bool set_netdev(Options *o, const char *value, GError **error)
{
    return add_list(o->netdevs, "-netdev", value, "user,id=n0", error);
}

static bool set_drive(Options *o, const char *value, GError **error)
{
    return add_list(o->drives, "-drive", value, "file=disk.img,format=raw,id=d0", error);
}

static bool set_chardev(Options *o, const char *value, GError **error)
{
    return add_list(o->chardevs, "-chardev", value, "socket,id=c0,path=/tmp/serial,server=on", error);
}

static bool set_fsdev(Options *o, const char *value, GError **error)
{
    return add_list(o->fsdevs, "-fsdev", value, "local,id=f0,path=folder", error);
}

/* Appends a key to the text of a list; commas in its value are doubled. */
static void copy_key(GString *to, const char *key, const char *value)
{
    g_auto(GStrv)    parts = g_strsplit(value, ",", -1);
    g_autofree char *text = g_strjoinv(",,", parts);

    g_string_append_printf(to, ",%s=%s", key, text);
}

/* -virtfs is -fsdev and the device that shares it; all but mount_tag= is the folder's. */
static bool set_virtfs(Options *o, const char *value, GError **error)
{
    g_autoptr(GString) fsdev = g_string_new("local"), device = g_string_new("virtio-9p-pci");
    OptionList        *l = option_list_parse(value);
    const char        *tag = option_list_get(l, "mount_tag"), *id = option_list_get(l, "id");
    g_autofree char   *name = id != NULL ? g_strdup(id) : g_strdup_printf("virtfs%u", o->fsdevs->len);
    bool               ok = strcmp(l->driver, "local") == 0 && tag != NULL;

    for (guint i = 0; i < l->keys->len; i++) {
        if (strcmp(l->keys->pdata[i], "mount_tag") != 0 && strcmp(l->keys->pdata[i], "id") != 0) {
            copy_key(fsdev, l->keys->pdata[i], l->values->pdata[i]);
        }
    }
    if (ok) {
        copy_key(fsdev, "id", name);
        copy_key(device, "fsdev", name);
        copy_key(device, "mount_tag", tag);
        g_ptr_array_add(o->fsdevs, option_list_parse(fsdev->str));
        g_ptr_array_add(o->devices, option_list_parse(device->str));
    } else {
        fail(error, "-virtfs: '%s' has no %s; for example -virtfs local,path=folder,mount_tag=share", value,
             tag == NULL ? "mount_tag" : "kind 'local'");
    }
    option_list_free(l);
    return ok;
}

static bool set_serial(Options *o, const char *value, GError **error)
{
    if (o->serials->len == MAX_SERIALS) {
        return fail(error, "-serial: '%s' is one too many, no machine has more than %d serial ports; leave it out",
                    value, MAX_SERIALS);
    }
    g_ptr_array_add(o->serials, g_strdup(value));
    return true;
}

/* The server checks its keys itself. */
static bool set_display(Options *o, const char *value, GError **error)
{
    OptionList *l = option_list_parse(value);
    bool        none = strcmp(l->driver, "none") == 0 && l->keys->len == 0;

    g_clear_pointer(&o->display, option_list_free);
    if (!none && (*l->driver != '\0' || option_list_get(l, "vnc") == NULL)) {
        option_list_free(l);
        return fail(error, "-display: '%s' is not offered; use none, or vnc=:N for a VNC server on this machine",
                    value);
    }
    if (none) {
        option_list_free(l);
    } else {
        o->display = l;
    }
    return true;
}

/* What programs that start a QEMU say, whatever they want to start: true here in any case, but for the name. */
static bool set_name(Options *o, const char *value, GError **error)
{
    OptionList *l = option_list_parse(value);
    const char *name = *l->driver != '\0' ? l->driver : option_list_get(l, "guest");
    bool        ok = name != NULL && *name != '\0';

    if (ok) {
        replace(&o->name, name);
    }
    option_list_free(l);
    return ok || fail(error, "-name: '%s' has no name; for example -name guest=first", value);
}

static bool set_vga(Options *o, const char *value, GError **error)
{
    return strcmp(value, "none") == 0 ||
           fail(error, "-vga: '%s' is not offered; use none, and -device virtio-gpu-pci for a display", value);
}

static bool set_no_user_config(Options *o, const char *value, GError **error) { return true; }
static bool set_no_defaults(Options *o, const char *value, GError **error) { o->no_defaults = true; return true; }

static bool set_memory_hash(Options *o, const char *value, GError **error) { o->memory_hash = true; return true; }
static bool set_nographic(Options *o, const char *value, GError **error) { o->nographic = true; return true; }
static bool set_no_reboot(Options *o, const char *value, GError **error) { o->no_reboot = true; return true; }
static bool set_stopped(Options *o, const char *value, GError **error) { o->start_stopped = true; return true; }

static bool set_log(Options *o, const char *value, GError **error)
{
    const char *bad;

    if (strcmp(value, "help") == 0) {
        log_help();
        o->help_only = true;
        return true;
    }
    if (!log_parse(value, &bad)) {
        size_t name_len = strcspn(bad, ",:");

        return bad[name_len] != ':' ? fail(error, "-d: there is no trace category '%s'; '-d help' lists them", bad)
                                    : fail(error, "-d: '%s' does not begin with a category and a Realm's VMID, 1 to "
                                                  "65535; for example rmi:realm=1", bad);
    }
    return true;
}

static bool set_log_filter(Options *o, const char *value, GError **error)
{
    const char *bad;

    return log_filter_parse(value, &bad) ||
           fail(error, "-dfilter: '%s' does not begin with a range of addresses; write FIRST..LAST, START+LENGTH or "
                       "END-LENGTH, such as 0x40000000+0x1000, and a comma between two", bad);
}

static bool set_log_file(Options *o, const char *value, GError **error)
{
    replace(&o->trace_file, value);
    return true;
}

static bool set_trace(Options *o, const char *value, GError **error)
{
    option_list_free(o->trace);
    o->trace = option_list_parse(value);
    return *o->trace->driver != '\0' ||
           fail(error, "-trace: '%s' does not begin with the name of a file to write; for example -trace run.json",
                value);
}

static void accel_help(void)
{
    printf("How guest code runs (-accel NAME[,key=value...]); what the guest sees is the same:\n"
           "  jit        machine code, on x86-64 hosts with SSE4.2 (the default there)\n"
           "  interp     the portable executor (the default elsewhere)\n"
           "  lockstep   both, as two processes; stops where they first differ, with status 1\n"
           "Keys:\n"
           "  cache-size=SIZE   machine code that is kept, 1M to 1G (default 128M)\n"
           "  perf-map=on|off   write names of machine code to /tmp/perf-PID.map for Linux perf (default off)\n");
}

static bool set_accel_key(Options *o, const char *key, const char *value, GError **error)
{
    uint64_t size;

    if (strcmp(key, "perf-map") == 0) {
        return option_parse_bool(value, &o->cpu.perf_map) ||
               fail(error, "-accel: perf-map=%s is neither on nor off; for example perf-map=on", value);
    }
    if (strcmp(key, "cache-size") != 0) {
        return fail(error, "-accel: there is no key '%s'; '-accel help' lists them", key);
    }
    if (!option_parse_size(value, 20, &size) || size < CPU_CACHE_MIN || size > CPU_CACHE_MAX) {
        return fail(error, "-accel: cache-size=%s is not a size from 1M to 1G; for example cache-size=64M", value);
    }
    o->cpu.cache_size = (size_t)size;
    return true;
}

static bool set_accel(Options *o, const char *value, GError **error)
{
    OptionList *l = option_list_parse(value);
    bool        jit = strcmp(l->driver, "jit") == 0, interp = strcmp(l->driver, "interp") == 0, ok = true;

    o->cpu = (CpuConfig){ .accel = jit ? CPU_ACCEL_JIT : interp ? CPU_ACCEL_INTERP : CPU_ACCEL_AUTO };
    o->lockstep = strcmp(l->driver, "lockstep") == 0;
    if (strcmp(l->driver, "help") == 0) {
        accel_help();
        o->help_only = true;
    } else if (!jit && !interp && !o->lockstep) {
        ok = fail(error, "-accel: '%s' is not offered; use jit (machine code), interp (the portable executor) or "
                         "lockstep (both, compared)", l->driver);
    }
    for (guint i = 0; ok && i < l->keys->len; i++) {
        ok = set_accel_key(o, l->keys->pdata[i], l->values->pdata[i], error);
    }
    if (ok && interp && o->cpu.perf_map) {
        ok = fail(error, "-accel: perf-map=on names machine code, and interp makes none; use -accel jit,perf-map=on");
    }
    option_list_free(l);
    return ok;
}

static bool set_clock(Options *o, const char *value, GError **error)
{
    o->clock_host = strcmp(value, "host") == 0;
    return o->clock_host || strcmp(value, "virtual") == 0 ||
           fail(error, "-clock: '%s' is not a clock; use virtual (counted time, runs repeat) or host", value);
}

/* ISO 8601, a bare date being its midnight, UTC unless it says otherwise; what the clock's 32-bit counter holds. */
static bool parse_date(const char *text, int64_t *seconds)
{
    GTimeZone *utc = g_time_zone_new_utc();
    char      *full = strchr(text, 'T') == NULL ? g_strconcat(text, "T00:00:00", NULL) : g_strdup(text);
    GDateTime *t = g_date_time_new_from_iso8601(full, utc);

    if (t != NULL) {
        *seconds = g_date_time_to_unix(t);
        g_date_time_unref(t);
    }
    g_free(full);
    g_time_zone_unref(utc);
    return t != NULL && *seconds >= 0 && *seconds <= UINT32_MAX;
}

static bool set_rtc(Options *o, const char *value, GError **error)
{
    OptionList *l = option_list_parse(value);
    const char *base = only_value(l, "base");
    bool        ok = base != NULL && base != l->driver;

    if (ok && strcmp(base, "utc") == 0) {
        o->rtc_base_s = g_get_real_time() / G_USEC_PER_SEC;
    } else {
        ok = ok && parse_date(base, &o->rtc_base_s);
    }
    option_list_free(l);
    return ok || fail(error, "-rtc: '%s' is neither base=utc nor a date from 1970 to 2106; for example "
                             "-rtc base=2026-01-01T00:00:00", value);
}

static bool set_seed(Options *o, const char *value, GError **error)
{
    return parse_number(value, 0, UINT64_MAX, &o->seed) ||
           fail(error, "-seed: '%s' is not a number from 0 to 2^64 - 1; for example -seed 1", value);
}

static bool set_gdb(Options *o, const char *value, GError **error) { replace(&o->gdb, value); return true; }

/* -monitor none is QEMU's word for what is so without the option. */
static bool set_monitor(Options *o, const char *value, GError **error)
{
    replace(&o->monitor, strcmp(value, "none") == 0 ? NULL : value);
    return true;
}

static bool set_qmp(Options *o, const char *value, GError **error) { replace(&o->qmp, value); return true; }

/* The other way to write both, by a -chardev. */
static bool set_mon(Options *o, const char *value, GError **error)
{
    OptionList *l = option_list_parse(value);
    const char *id = option_list_get(l, "chardev"), *mode = option_list_get(l, "mode");
    bool        control = mode != NULL && strcmp(mode, "control") == 0;
    bool        ok = mode == NULL || control || strcmp(mode, "readline") == 0;

    id = id != NULL ? id : l->driver;
    ok = (ok && id != NULL && *id != '\0') ||
         fail(error, "-mon: '%s' names no -chardev, or a mode that is neither readline nor control; for example -mon "
                     "chardev=ID,mode=control", value);
    if (ok) {
        char *where = g_strconcat("chardev:", id, NULL);

        replace(control ? &o->qmp : &o->monitor, where);
        g_free(where);
    }
    option_list_free(l);
    return ok;
}

static bool set_gdb_default(Options *o, const char *value, GError **error)
{
    replace(&o->gdb, "tcp:127.0.0.1:1234");
    return true;
}

static bool set_timeout(Options *o, const char *value, GError **error)
{
    uint64_t v;

    if (!parse_number(value, 1, 1000000, &v)) {
        return fail(error, "-timeout: '%s' is not a number of seconds from 1 to 1000000; for example -timeout 60",
                    value);
    }
    o->timeout_s = (unsigned)v;
    return true;
}

static bool set_help(Options *o, const char *value, GError **error);

static bool set_readconfig(Options *o, const char *value, GError **error);

static bool set_writeconfig(Options *o, const char *value, GError **error)
{
    replace(&o->write_config, value);
    return true;
}

static bool set_version(Options *o, const char *value, GError **error)
{
    printf("bailey %s\n", BAILEY_VERSION);
    o->help_only = true;
    return true;
}

static bool set_attest_root(Options *o, const char *value, GError **error)
{
    o->print_attest_root = true;
    return true;
}

static bool set_man(Options *o, const char *value, GError **error)
{
    options_man();
    o->help_only = true;
    return true;
}

static bool set_completion(Options *o, const char *value, GError **error)
{
    options_completion();
    o->help_only = true;
    return true;
}

static const Option option_table[] = {
    { "M", "NAME[,key=value]", "the machine; -M help lists machines and keys (default cca)", set_machine },
    { "machine", "NAME[,key=value]", "the same as -M", set_machine },
    { "name", "[guest=]NAME", "what people call the guest: query-name at -qmp tells it", set_name },
    { "cpu", "MODEL", "CPU model (default max)", set_cpu },
    { "smp", "N", "the guest's CPUs, 1 to 8: with boot=realm the Realm's RECs (default 1)", set_smp },
    { "m", "SIZE", "the guest's memory, such as 512M or 2G (default 1G)", set_ram },
    { "bios", "FILE", "firmware to start at NS-EL2, such as EDK2 or U-Boot for QEMU's virt board (implies boot=host)",
      set_bios },
    { "kernel", "FILE", "arm64 Image to start", set_kernel },
    { "initrd", "FILE", "initial RAM disk", set_initrd },
    { "append", "TEXT", "kernel command line", set_append },
    { "dtb", "FILE", "device tree to pass instead of the machine's own", set_dtb },
    { "device", "NAME[,key=value]",
      "add a PCI device, or load a payload; -device help lists them, -device NAME,help their keys", set_device },
    { "netdev", "user|stream|socket|tap|none,id=ID[,...]", "a network back end for a device's netdev=; -netdev help",
      set_netdev },
    { "drive", "file=FILE,id=ID[,format=qcow2][,snapshot=on]",
      "a disk image, raw or qcow2, for a device's drive=; if=pflash: firmware or its variables", set_drive },
    { "fsdev", "local,id=ID,path=FOLDER[,security_model=none|mapped-xattr][,readonly=on]",
      "a folder of the host, for the fsdev= of a virtio-9p-pci", set_fsdev },
    { "virtfs", "local,path=FOLDER,mount_tag=TAG[,...]", "share a folder: -fsdev and its virtio-9p-pci in one",
      set_virtfs },
    { "chardev", "TYPE,id=ID[,...]", "a character back end: stdio, file, pty, socket, null; -chardev help",
      set_chardev },
    { "serial", "stdio|file:PATH|pty|none|chardev:ID", "where the next serial port goes (default stdio)", set_serial },
    { "display", "none|vnc=[ADDR]:N[,password-file=FILE]",
      "a VNC server for what -device virtio-gpu-pci or ramfb shows: TCP port 5900 + N, or vnc=unix:PATH (default none)",
      set_display },
    { "vga", "none", "as harnesses say it: there is no display but by -device", set_vga },
    { "nodefaults", NULL, "no serial port but by -serial: the first one does not go to stdio", set_no_defaults },
    { "no-user-config", NULL, "as harnesses say it: no file is read but by -readconfig", set_no_user_config },
    { "nographic", NULL, "serial port on the terminal; Ctrl-A x ends", set_nographic },
    { "d", "LIST", "trace categories, comma-separated; -d help lists them", set_log },
    { "dfilter", "RANGE[,...]", "of code and exceptions, -d has what is at these addresses: FIRST..LAST, START+LENGTH",
      set_log_filter },
    { "D", "FILE", "write traces to a file instead of stderr", set_log_file },
    { "trace", "FILE.json[,with=LIST][,el=NS]",
      "write calls, states, messages for Perfetto and 'bailey report'; with=exc+irq: these categories too; el=NS: "
      "exception levels that a CPU stays at for NS ns (default 10000; off: none)", set_trace },
    { "accel", "jit|interp|lockstep[,...]", "how guest code runs; -accel help says more (default jit where possible)",
      set_accel },
    { "clock", "virtual|host", "guest time: counted instructions (default), or wall time", set_clock },
    { "rtc", "base=DATE|utc", "date at power on (default 2026-01-01T00:00:00)", set_rtc },
    { "seed", "N", "seed of every random generator in the machine (default 0)", set_seed },
    { "gdb", "tcp:ADDR:PORT|unix:PATH", "wait for gdb there", set_gdb },
    { "s", NULL, "the same as -gdb tcp:127.0.0.1:1234", set_gdb_default },
    { "monitor", "stdio|tcp:ADDR:PORT|unix:PATH", "commands about the running machine; 'help' there lists them",
      set_monitor },
    { "qmp", "stdio|tcp:ADDR:PORT|unix:PATH[,server=on][,wait=off]",
      "QEMU's machine protocol, for programs; without server=on it connects to them", set_qmp },
    { "mon", "[chardev=]ID[,mode=readline|control]", "-monitor, or -qmp by mode=control, on a -chardev", set_mon },
    { "S", NULL, "do not start until gdb, the monitor or a program at -qmp says so", set_stopped },
    { "no-reboot", NULL, "exit when the guest reboots", set_no_reboot },
    { "expect", "TEXT", "exit with status 0 when the first serial port prints TEXT; 3 if the guest stops first",
      set_expect },
    { "fail-on", "REGEX", "exit with status 5 when a line of the first serial port matches", set_fail_on },
    { "timeout", "SECONDS", "exit with status 4 after so much wall time", set_timeout },
    { "readconfig", "FILE", "options from a file, such as [device \"ID\"] driver = \"NAME\"; they add up with others",
      set_readconfig },
    { "writeconfig", "FILE", "write all options to a file for -readconfig (- for stdout), and run",
      set_writeconfig },
    { "result", "FILE.json", "write what happened: exit reason, steps, call counts, DMA bytes, hashes", set_result },
    { "memory-hash", NULL, "-result has a hash of the memory the guest left, to compare runs by", set_memory_hash },
    { "symbols", "FILE[,offset=N]",
      "names of guest code: an ELF file such as vmlinux, or a list such as System.map; may be repeated", set_symbols },
    { "profile", "FILE[,every=N]",
      "write the guest's stacks, sampled every N instructions, as flame graph tools read them", set_profile },
    { "coverage", "FILE", "write which lines of guest code ran, as lcov reads it; needs -symbols with line tables",
      set_coverage },
    { "plugin", "FILE.so[,ARGUMENT...]", "load a plugin that observes the guest; may be repeated", set_plugin },
    { "attest-root", NULL, "print the certificate of the test root that signs attestation keys", set_attest_root },
    { "version", NULL, "print the version", set_version },
    { "man", NULL, "print the manual page (for man -l -)", set_man },
    { "completion", NULL, "print a completion script for bash: . <(bailey -completion)", set_completion },
    { "help", NULL, "print this", set_help },
    { "h", NULL, "print this", set_help },
};

static const char example_text[] =
    "Examples:\n"
    "  A Debian kernel in a Realm, with a TDISP network card:\n"
    "    bailey -M cca -m 1G -kernel Image -initrd initramfs.cpio.gz \\\n"
    "      -append 'console=ttyAMA0 swiotlb=65536' -netdev user,id=n0 -device tdisp-nic,netdev=n0\n"
    "  The same kernel as the Normal-world host at EL2, watching every exception:\n"
    "    bailey -M cca,boot=host -m 1G -kernel Image -append console=ttyAMA0 -d exc -D trace.txt\n"
    "  EDK2 from Debian's qemu-efi-aarch64, booting from a disk:\n"
    "    bailey -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd -drive file=disk.img,if=virtio -nographic\n"
    "  A boot test: status 0 when the prompt shows within a minute, 4 otherwise:\n"
    "    bailey -kernel Image -initrd rootfs.gz -append console=ttyAMA0 -expect 'login:' -timeout 60\n";

static const char status_text[] =
    "Exit status: 0 guest power-off or -expect seen, 1 an image is missing or damaged, 2 command line,\n"
    "3 guest stopped before -expect, 4 -timeout, 5 -fail-on matched, 6 guest panic. With -accel lockstep\n"
    "1 may also be a difference.\n";

static void print_command(const Command *cmd, void *opaque)
{
    bool *any = opaque;

    printf("%s  %-34s  %s\n", *any ? "" : "\nCommands ('bailey NAME --help' says more):\n", cmd->name, cmd->help);
    *any = true;
}

static bool set_help(Options *o, const char *value, GError **error)
{
    bool any = false;

    printf("bailey: emulate a confidential-computing platform.\n\nUsage: bailey [options]\n"
           "       bailey COMMAND [...]\n\nOptions:\n");
    for (size_t i = 0; i < ARRAY_LEN(option_table); i++) {
        const Option *opt = &option_table[i];
        char         *head = g_strdup_printf("-%s%s%s", opt->name, opt->arg ? " " : "", opt->arg ? opt->arg : "");

        if (strlen(head) > 34) {
            printf("  %s\n  %-34s  %s\n", head, "", opt->help);
        } else {
            printf("  %-34s  %s\n", head, opt->help);
        }
        g_free(head);
    }
    command_foreach(print_command, &any);
    printf("\n%s\n%s", status_text, example_text);
    o->help_only = true;
    return true;
}

/* troff takes '-' and '\' specially. */
static void man_text(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '\\' || *s == '-') {
            putchar('\\');
        }
        if (*s == '\\') {
            putchar('e');
        } else {
            putchar(*s);
        }
    }
}

static void man_option(const char *name, const char *arg, const char *help)
{
    printf(".TP\n.B \\-");
    man_text(name);
    if (arg != NULL) {
        printf(" \\fI");
        man_text(arg);
        printf("\\fR");
    }
    printf("\n");
    man_text(help);
    printf("\n");
}

static void man_command(const Command *cmd, void *opaque)
{
    printf(".TP\n.B bailey %s\n\\fI", cmd->name);
    man_text(cmd->args);
    printf("\\fR\n.br\n");
    man_text(cmd->help);
    printf("\n.RS\n");
    for (size_t i = 0; i < cmd->n_options; i++) {
        man_option(cmd->options[i].name, cmd->options[i].arg, cmd->options[i].help);
    }
    printf(".RE\n");
}

void options_man(void)
{
    printf(".TH BAILEY 1\n.SH NAME\nbailey \\- emulate a confidential-computing platform\n"
           ".SH SYNOPSIS\n.B bailey\n[options]\n.br\n.B bailey\nCOMMAND [...]\n.SH OPTIONS\n");
    for (size_t i = 0; i < ARRAY_LEN(option_table); i++) {
        man_option(option_table[i].name, option_table[i].arg, option_table[i].help);
    }
    printf(".SH COMMANDS\n");
    command_foreach(man_command, NULL);
    printf(".SH EXIT STATUS\n");
    man_text(status_text);
    printf(".SH EXAMPLES\n.nf\n");
    man_text(example_text);
    printf(".fi\n");
}

static void complete_command(const Command *cmd, void *opaque) { printf(" %s", cmd->name); }

static void complete_device(const DeviceClass *cls, void *opaque)
{
    if (strcmp(cls->bus, opaque) == 0) {
        printf(" %s", cls->name);
    }
}

/* What may follow an option by its argument's text: files, one of "a|b|c"; else no help. */
static void complete_by_text(const char *name, const char *arg)
{
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz|-";
    size_t            words = strspn(arg, lower);

    if (g_str_has_prefix(arg, "FILE") || strcmp(arg, "DIR") == 0) {
        printf("    -%s) files=1 ;;\n", name);
    } else if (memchr(arg, '|', words) != NULL && strchr("[,", arg[words]) != NULL) {
        g_autofree char *list = g_strndup(arg, words);

        printf("    -%s) words='%s' ;;\n", name, g_strdelimit(list, "|", ' '));
    } else {
        printf("    -%s) return ;;\n", name);
    }
}

/* The same of an option of a run, of which some have names from tables: a device, a category. */
static void complete_argument(const Option *opt)
{
    if (strcmp(opt->name, "device") == 0) {
        printf("    -device) words='");
        device_class_foreach(complete_device, "pci");
        device_class_foreach(complete_device, "fw_cfg");
        device_class_foreach(complete_device, "loader");
        printf("' ;;\n");
    } else if (strcmp(opt->name, "d") == 0) {
        printf("    -d) words='");
        for (unsigned c = 0; c < LOG_N_CATEGORIES; c++) {
            printf(" %s", log_name(c));
        }
        printf("' ;;\n");
    } else {
        complete_by_text(opt->name, opt->arg);
    }
}

/* What stands behind a command: its own options, and files. One without options has those of a run. */
static void complete_options(const Command *cmd, void *opaque)
{
    if (cmd->n_options == 0) {
        return;
    }
    printf("  %s)\n    case $prev in\n", cmd->name);
    for (size_t i = 0; i < cmd->n_options; i++) {
        if (cmd->options[i].arg != NULL) {
            complete_by_text(cmd->options[i].name, cmd->options[i].arg);
        }
    }
    printf("    *)\n      if [[ $cur == -* ]]; then words='");
    for (size_t i = 0; i < cmd->n_options; i++) {
        printf(" -%s", cmd->options[i].name);
    }
    printf(" -help'; else files=1; fi ;;\n    esac ;;\n");
}

void options_completion(void)
{
    printf("# Completion of bailey's command line for bash; written by bailey -completion.\n"
           "_bailey() {\n"
           "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= files=\n"
           "  COMPREPLY=()\n"
           "  [ \"$COMP_CWORD\" = 1 ] || case ${COMP_WORDS[1]} in\n");
    command_foreach(complete_options, NULL);
    printf("  esac\n"
           "  [ -n \"$files$words\" ] || case $prev in\n");
    for (size_t i = 0; i < ARRAY_LEN(option_table); i++) {
        if (option_table[i].arg != NULL) {
            complete_argument(&option_table[i]);
        }
    }
    printf("    *)\n      if [ \"$COMP_CWORD\" = 1 ] && [[ $cur != -* ]]; then words='");
    command_foreach(complete_command, NULL);
    printf("'\n      elif [[ ${COMP_WORDS[1]} != -* && $cur != -* ]]; then files=1\n      else words='");
    for (size_t i = 0; i < ARRAY_LEN(option_table); i++) {
        printf(" -%s", option_table[i].name);
    }
    printf("'; fi ;;\n"
           "  esac\n"
           "  if [ -n \"$files\" ]; then mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
           "  else mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"); fi\n"
           "}\n"
           "complete -o filenames -F _bailey bailey\n");
}

static const Option *find_option(const char *word)
{
    const char *name = word + 1;

    if (word[0] != '-') {
        return NULL;
    }
    if (*name == '-') {
        name++;
    }
    for (size_t i = 0; i < ARRAY_LEN(option_table); i++) {
        if (strcmp(option_table[i].name, name) == 0) {
            return &option_table[i];
        }
    }
    return NULL;
}

/* An option that -writeconfig can write. */
typedef struct GivenOption {
    const Option *opt;
    char         *value;
} GivenOption;

static void given_free(gpointer given)
{
    g_free(((GivenOption *)given)->value);
    g_free(given);
}

/* Sets an option, and remembers it. */
static bool take_option(Options *o, const Option *opt, const char *value, GError **error)
{
    if (opt->set != set_readconfig && opt->set != set_writeconfig) { /* what a file had is remembered one by one */
        GivenOption *g = g_new(GivenOption, 1);

        *g = (GivenOption){ opt, g_strdup(value != NULL ? value : "on") };
        g_ptr_array_add(o->given, g);
    }
    return opt->set(o, value, error);
}

/* An option of a configuration file. */
static bool config_option(void *opaque, const char *name, const char *value, GError **error)
{
    g_autofree char *word = g_strconcat("-", name, NULL);
    const Option    *opt = find_option(word);
    bool             on = true;

    if (opt == NULL || opt->set == set_readconfig || opt->set == set_writeconfig) {
        return fail(error, "there is no '%s' in configuration files; --help lists the options", name);
    }
    if (opt->arg != NULL) {
        return take_option(opaque, opt, value, error);
    }
    if (!option_parse_bool(value, &on)) {
        return fail(error, "%s = \"%s\" is neither on nor off; for example %s = \"on\"", name, value, name);
    }
    return !on || take_option(opaque, opt, NULL, error);
}

static bool set_readconfig(Options *o, const char *value, GError **error)
{
    return config_file_read(value, config_option, o, error);
}

bool options_write_config(const Options *o, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    FILE              *f;

    if (o->write_config == NULL) {
        return true;
    }
    for (guint i = 0; i < o->given->len; i++) {
        const GivenOption *g = o->given->pdata[i];

        if (!config_put(text, strcmp(g->opt->name, "machine") == 0 ? "M" : g->opt->name, g->value, error)) {
            return false;
        }
    }
    f = strcmp(o->write_config, "-") == 0 ? stdout : fopen(o->write_config, "we");
    bool ok = f != NULL && fwrite(text->str, 1, text->len, f) == text->len && fflush(f) == 0;

    if (!ok) {
        fail(error, "-writeconfig: cannot write '%s': %s; name a file in a folder you may write to", o->write_config,
             g_strerror(errno));
    }
    if (f != NULL && f != stdout) {
        fclose(f);
    }
    return ok;
}

static Options *options_new(void)
{
    Options *o = g_new0(Options, 1);

    o->machine = g_strdup("cca");
    o->machine_opts = option_list_parse("cca");
    o->board = g_strdup("virt");
    o->cpu_model = g_strdup("max");
    o->smp = 1;
    o->ram_size = DEFAULT_RAM_SIZE;
    o->append = g_strdup("");
    o->rtc_base_s = DEFAULT_RTC_BASE;
    o->devices = g_ptr_array_new_with_free_func((GDestroyNotify)option_list_free);
    o->netdevs = g_ptr_array_new_with_free_func((GDestroyNotify)option_list_free);
    o->drives = g_ptr_array_new_with_free_func((GDestroyNotify)option_list_free);
    o->chardevs = g_ptr_array_new_with_free_func((GDestroyNotify)option_list_free);
    o->fsdevs = g_ptr_array_new_with_free_func((GDestroyNotify)option_list_free);
    o->serials = g_ptr_array_new_with_free_func(g_free);
    o->given = g_ptr_array_new_with_free_func(given_free);
    o->plugins = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    o->symbols = g_array_new(FALSE, FALSE, sizeof(OptionSymbols));
    g_array_set_clear_func(o->symbols, clear_symbols);
    return o;
}

void options_free(Options *o)
{
    char *strings[] = { o->machine, o->board,  o->dumpdtb, o->host_fault, o->rmm,    o->cpu_model, o->kernel, o->initrd,
                        o->append,  o->dtb,    o->gdb,     o->monitor,    o->expect, o->fail_on,   o->result,
                        o->trace_file, o->bios, o->write_config, o->qmp, o->profile, o->coverage,
                        o->name };

    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        g_free(strings[i]);
    }
    option_list_free(o->machine_opts);
    option_list_free(o->display);
    option_list_free(o->trace);
    g_ptr_array_free(o->devices, TRUE);
    g_ptr_array_free(o->netdevs, TRUE);
    g_ptr_array_free(o->drives, TRUE);
    g_ptr_array_free(o->chardevs, TRUE);
    g_ptr_array_free(o->fsdevs, TRUE);
    g_ptr_array_free(o->serials, TRUE);
    g_ptr_array_free(o->given, TRUE);
    g_array_free(o->symbols, TRUE);
    g_ptr_array_free(o->plugins, TRUE);
    g_free(o);
}

bool options_open_trace(const Options *o, GError **error)
{
    return o->trace_file == NULL || log_open(o->trace_file) ||
           fail(error, "-D: cannot write the trace file '%s': %s; name another", o->trace_file, g_strerror(errno));
}

/* A payload says where CPU 0 begins. */
static bool has_start(const Options *o)
{
    for (guint i = 0; i < o->devices->len; i++) {
        const OptionList *l = o->devices->pdata[i];

        if (strcmp(l->driver, "loader") == 0 && option_list_get(l, "cpu-num") != NULL) {
            return true;
        }
    }
    return false;
}

/* Firmware starts in the Normal world, at EL2. */
static bool check_firmware(Options *o, GError **error)
{
    const char *why = o->bios != NULL ? "-bios" : NULL;
    bool        said = option_list_get(o->machine_opts, "boot") != NULL ||
                option_list_get(o->machine_opts, "entry") != NULL;

    for (guint i = 0; i < o->drives->len; i++) {
        const char *iface = option_list_get(o->drives->pdata[i], "if");

        why = iface != NULL && strcmp(iface, "pflash") == 0 ? "-drive if=pflash" : why;
    }
    o->firmware = why != NULL;
    if (o->firmware && said && o->boot != BOOT_HOST) {
        return fail(error, "%s: firmware starts as the Normal-world host, not in a Realm; leave out boot= and entry= "
                           "of -M", why);
    }
    if (o->firmware) {
        o->boot = BOOT_HOST;
    }
    if (o->realm_pmu != 0 && o->boot != BOOT_REALM) {
        return fail(error, "-M: pmu= is about the built-in host's Realm, and this run has none; the machine's own CPUs "
                           "always have performance monitors, leave pmu= out");
    }
    if (o->host_fault != NULL && strcmp(o->host_fault, "help") != 0 && o->boot != BOOT_REALM) {
        return fail(error, "-M: host-fault= is what the built-in host does wrong, and in this run another host has its "
                           "place; leave out host-fault=, or boot= and entry=");
    }
    if (o->link_ide && o->boot != BOOT_REALM) {
        return fail(error, "-M: link-ide= is about what the built-in host does, and this run has none; leave it out");
    }
    if (o->realm_vfs != 0 && o->boot != BOOT_REALM) {
        return fail(error, "-M: vfs= is about what the built-in host gives its Realm, and this run has none; a kernel "
                           "as host turns virtual functions on by itself, leave vfs= out");
    }
    return true;
}

Options *options_parse(int argc, char **argv, GError **error)
{
    Options *o = options_new();
    bool     ok = true;

    for (int i = 1; ok && i < argc && !o->help_only; i++) {
        const Option *opt = find_option(argv[i]);

        if (opt == NULL) {
            ok = fail(error, "there is no option '%s'; --help lists them", argv[i]);
        } else if (opt->arg != NULL && i + 1 == argc) {
            ok = fail(error, "-%s needs an argument: -%s %s", opt->name, opt->name, opt->arg);
        } else if (opt->arg != NULL && strcmp(argv[i + 1], "help") == 0 && option_help(opt->name)) {
            o->help_only = true;
        } else {
            ok = take_option(o, opt, opt->arg != NULL ? argv[++i] : NULL, error);
        }
    }
    if (ok && !o->help_only && o->start_stopped && o->gdb == NULL && o->monitor == NULL && o->qmp == NULL) {
        ok = fail(error, "-S: nothing could start the guest again; add -s, -gdb, -monitor or -qmp, or leave it out");
    }
    ok = ok && (o->help_only || check_firmware(o, error));
    bool prints_only = o->help_only || o->print_attest_root || (o->dumpdtb != NULL && o->boot == BOOT_HOST);
    if (ok && !prints_only && o->kernel == NULL && !has_start(o) && !o->firmware) {
        ok = fail(error, "no -kernel given: name an arm64 Image to start, or see --help");
    }
    if (!ok) {
        options_free(o);
        return NULL;
    }
    return o;
}
