/*
 * What a user asks a running machine: one table of commands for every front end. The debugger's `monitor` (gdbstub.c)
 * is one; a front end keeps a Mon, which says what its commands are about, and shows the text that they write.
 */
#ifndef BAILEY_MONITOR_MONITOR_H
#define BAILEY_MONITOR_MONITOR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/a64/a64.h"
#include "event.h"
#include "machine.h"
#include "rmm/rmm.h"

/* What there is to ask. */
typedef struct MonMachine {
    Machine *machine;
    const char *name; /* -name, or NULL */
    A64Cpu **cpus;
    unsigned n_cpus;
    Rmm     *rmm;
    struct PciHost *pci; /* this and those below: NULL: there is none */
    struct PciHost *realm_pci; /* what the built-in host emulates for its Realm */
    struct Gic *gic;
    struct Smmu *smmu;
    bool (*powerdown)(void *board, GError **error); /* press the power button; false with a sentence: there is none */
    bool (*plug)(void *board, const char *text, GError **error); /* a PCI function, from the text of -device */
    void *board;
} MonMachine;

/* Which addresses a user means. */
typedef enum MonSpace {
    MON_CPU,  /* virtual, as the CPU translates them now */
    MON_PHYS, /* physical, of one physical address space */
    MON_IPA,  /* intermediate physical, of one Realm */
} MonSpace;

typedef struct MonView {
    MonSpace space;
    Pas      pas; /* MON_PHYS */
    uint64_t rd;  /* MON_IPA: its RD granule; 0: of whatever Realm the CPU runs, or the only one */
} MonView;

/* One user's session. */
typedef struct Mon {
    MonMachine    on;
    unsigned      cpu;    /* that commands are about */
    MonView       view;
    GArray       *breaks; /* of MonBreak: breakpoints on events */
    unsigned      n_made; /* of those, ever */
    EventListener listener;
    bool          controls; /* its user says when the guest runs; else a debugger does */
    GString      *hit;    /* a line for each event that stopped the machine since mon_take_hits() */
} Mon;

void mon_init(Mon *m, const MonMachine *on);
void mon_deinit(Mon *m);

/* mon_attach - the machine that commands are about from now on. mon_detach - it is no more: breakpoints on events wait
 * for the next one. */
void mon_attach(Mon *m, const MonMachine *on);
void mon_detach(Mon *m);

/* mon_reset - the user has left: no breakpoints on events, addresses as the CPU sees them. */
void mon_reset(Mon *m);

/**
 * mon_run - one line of a user's.
 * @out: what it says is appended, whole lines; a sentence when the line cannot be done
 * Returns false then.
 */
bool mon_run(Mon *m, const char *line, GString *out);

/* mon_complete - the names of commands that begin with @prefix, to @fn, in alphabetical order. */
void mon_complete(const char *prefix, void (*fn)(void *opaque, const char *name), void *opaque);

/**
 * mon_read, mon_write - memory as the session's view has it, whatever permissions say.
 * @len: bytes; may cross pages
 * Returns false, with part of it done, where nothing is mapped, the page is another world's, or a device answers:
 * looking must not change one.
 */
bool mon_read(Mon *m, uint64_t addr, void *dst, size_t len);
bool mon_write(Mon *m, uint64_t addr, const void *src, size_t len);

/* mon_translate - where @addr leads in the session's view. */
bool mon_translate(Mon *m, uint64_t addr, uint64_t *pa, Pas *pas);

/* What is around an address, in the session's view: all of it alike. */
typedef struct MonRegion {
    uint64_t start, last;
    bool     mapped, writable, executable;
} MonRegion;

/* mon_region - the region of @addr, or a part of it that has the address: finding its end takes a bounded time. */
void mon_region(Mon *m, uint64_t addr, MonRegion *out);

/* mon_realm - the Realm whose RD is at @rd; 0: the one that the CPU runs, or the only one. */
bool mon_realm(Mon *m, uint64_t rd, RmmRealm *out);

/* mon_take_hits - the lines of m->hit, which is empty then; NULL: no event stopped the machine. */
char *mon_take_hits(Mon *m);

/* ---- commands ---- */

/* A command; @argv: its @argc words after the name, then NULL. Returns false with a sentence in @error. */
typedef bool MonHandler(Mon *m, unsigned argc, char **argv, GString *out, GError **error);

typedef struct MonCommand {
    const char *name; /* may be several words */
    const char *args; /* as help shows them; "" */
    const char *help;
    unsigned    min_args, max_args;
    MonHandler *run;
} MonCommand;

/* MON_COMMAND(info_cpus, .name = "info cpus", ...) { ... }: declares and registers a command. */
#define MON_COMMAND(ident, ...)                                                                         \
    static MonHandler mon_cmd_##ident;                                                                  \
    static const MonCommand mon_cmd_##ident##_row = { .run = mon_cmd_##ident, __VA_ARGS__ };            \
    static const MonCommand *const mon_cmd_##ident##_ptr                                                \
        __attribute__((used, section("bailey_monitor"))) = &mon_cmd_##ident##_row;                      \
    static bool mon_cmd_##ident(Mon *m, unsigned argc, char **argv, GString *out, GError **error)

/* mon_fail - a command's sentence: what failed, on what, why, what to do. Returns false. */
bool mon_fail(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* mon_number - a word as a number, decimal or 0x; false with a sentence. */
bool mon_number(const char *word, uint64_t *value, GError **error);

/* mon_space - a physical address space by its name: realm, ns, secure, root. */
bool mon_space(const char *word, Pas *pas, GError **error);

/* mon_address - a word as an address: a number, or a register of the CPU as $pc, $sp, $x0. */
bool mon_address(const Mon *m, const char *word, uint64_t *addr, GError **error);

/* What ends or begins anew: run.c. mon_powerdown - false with a sentence when nobody would hear of it. */
void mon_quit(Mon *m);
void mon_system_reset(Mon *m);
bool mon_powerdown(Mon *m, GError **error);

/* mon_device_add - plug a device while the machine runs, from the text of -device. mon_device_del - ask the guest for
 * one; false, and not @found, when there is none. */
bool mon_device_add(Mon *m, const char *text, GError **error);
bool mon_device_del(Mon *m, const char *id, bool *found, GError **error);

struct PciDevice;

/* mon_each_function - every PCI function of the machine, and then those of its Realm. mon_function - one by its id=, or
 * NULL. */
void mon_each_function(const Mon *m, void (*fn)(struct PciDevice *pd, void *opaque), void *opaque);
struct PciDevice *mon_function(const Mon *m, const char *id);

/* mon_a64 - the CPU that commands are about. */
static inline A64Cpu *mon_a64(const Mon *m) { return m->on.cpus[m->cpu]; }

#endif
