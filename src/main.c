/*
 * The program: a subcommand, or options, machine, run, result. Exit statuses are in machine.h and --help.
 */
#include <glib-unix.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "blockdev.h"
#include "board/cca.h"
#include "chardev.h"
#include "command.h"
#include "cpu/lockstep.h"
#include "display/display.h"
#include "display/vnc.h"
#include "fsdev.h"
#include "gdbstub.h"
#include "guest/coverage.h"
#include "guest/plugins.h"
#include "guest/profile.h"
#include "host/host.h"
#include "live.h"
#include "lockstep.h"
#include "log.h"
#include "machine.h"
#include "monitor/console.h"
#include "monitor/qmp.h"
#include "netdev.h"
#include "options.h"
#include "result.h"
#include "rmm/rmm.h"
#include "trace.h"

static gboolean on_timeout(gpointer machine)
{
    machine_stop_from_outside(machine, EXIT_TIMEOUT, "timeout");
    return G_SOURCE_REMOVE;
}

static bool     interrupted;
static Machine *powered; /* NULL: none is, between a reset and what follows */

static gboolean on_signal(gpointer opaque)
{
    (void)opaque;
    interrupted = true;
    if (powered != NULL) {
        machine_stop_from_outside(powered, EXIT_GUEST_OFF, "interrupted");
    }
    return G_SOURCE_CONTINUE;
}

static void on_quit(void *machine)
{
    machine_stop_from_outside(machine, EXIT_GUEST_OFF, "quit by the user");
}

static void hold_live(void *opaque, int delta)
{
    machine_hold_live(opaque, delta);
}

/* What outlives a reset beside the board's: a user's and a program's connections. */
typedef struct Fronts {
    MonConsole *monitor; /* NULL: there is none, or not yet */
    Qmp        *qmp;
    bool        again;   /* the machine was on before, and paused was whether it was stopped then */
    bool        paused;
} Fronts;

static bool fronts_attach(Fronts *f, const Options *o, const MonMachine *on, GError **error)
{
    if (o->monitor != NULL && f->monitor == NULL && (f->monitor = mon_console_new(o->monitor, error)) == NULL) {
        return false;
    }
    if (o->qmp != NULL && f->qmp == NULL && (f->qmp = qmp_open(o->qmp, error)) == NULL) {
        return false;
    }
    /* A debugger's connection does not outlive a reset: with -S it gets the next machine at its start, too. */
    machine_pause(on->machine, f->again && o->gdb == NULL ? f->paused : o->start_stopped);
    if (f->monitor != NULL) {
        mon_console_attach(f->monitor, on);
    }
    if (f->qmp != NULL) {
        qmp_attach(f->qmp, on);
    }
    return true;
}

/* Why the machine ended with @status, in the words of QMP. */
static const char *end_cause(const Machine *m, int status)
{
    bool outside = machine_stopped_from_outside(m);

    switch (status) {
    case EXIT_RESTART:
        return outside ? "host-qmp-system-reset" : "guest-reset";
    case EXIT_TIMEOUT:
        return "host-signal";
    case EXIT_PANIC:
        return "guest-panic";
    case EXIT_BAD_INPUT:
        return "host-error";
    default:
        if (!outside) {
            return strcmp(machine_stop_reason(m), "guest reset") == 0 ? "guest-reset" : "guest-shutdown";
        }
        return interrupted ? "host-signal" : "host-qmp-quit";
    }
}

/* @restarts: another machine follows. */
static void fronts_detach(Fronts *f, Machine *m, int status, bool restarts)
{
    f->again = true;
    f->paused = machine_is_paused(m);
    if (f->monitor != NULL) {
        mon_console_detach(f->monitor);
    }
    if (f->qmp != NULL) {
        qmp_detach(f->qmp, restarts, !machine_stopped_from_outside(m), end_cause(m, status));
    }
}

static void fronts_free(Fronts *f)
{
    mon_console_free(f->monitor);
    qmp_free(f->qmp);
}

/* Who looks at the guest's code from the first power on to the last power off. */
typedef struct Observers {
    GuestSymbols *symbols;
    Profile      *profile;  /* NULL: no -profile */
    Coverage     *coverage; /* NULL: no -coverage */
    Plugins      *plugins;
    Trace        *trace;    /* NULL: no -trace */
} Observers;

/* @bad_option: it is the command line that is wrong, not a file. */
static bool observers_init(Observers *ob, const Options *o, bool *bad_option, GError **error)
{
    ob->symbols = guest_symbols_new();
    ob->plugins = plugins_new(ob->symbols);
    for (guint i = 0; i < o->symbols->len; i++) {
        const OptionSymbols *s = &g_array_index(o->symbols, OptionSymbols, i);

        if (!guest_symbols_add(ob->symbols, s->path, s->has_offset ? &s->offset : NULL, error)) {
            return false;
        }
    }
    if (o->profile != NULL) {
        ob->profile = profile_new(o->profile, o->profile_every, ob->symbols);
    }
    *bad_option = true;
    if (o->coverage != NULL) {
        ob->coverage = coverage_new(o->coverage, ob->symbols, error);
        if (ob->coverage == NULL) {
            return false;
        }
        BaileyPlugin p = coverage_plugin(ob->coverage);
        plugins_add(ob->plugins, &p);
    }
    for (guint i = 0; i < o->plugins->len; i++) {
        if (!plugins_load(ob->plugins, o->plugins->pdata[i], error)) {
            return false;
        }
    }
    return true;
}

/* A machine is there that has executed nothing. */
static void observers_attach(const Observers *ob, Machine *m, Cca *board)
{
    guest_symbols_restart(ob->symbols);
    plugins_attach(ob->plugins, cca_cpus(board), cca_n_cpus(board));
    if (ob->profile != NULL) {
        profile_restart(ob->profile);
        machine_on_turn(m, profile_turn, ob->profile);
    }
    trace_attach(ob->trace, m, ob->symbols);
}

static void observers_detach(const Observers *ob)
{
    if (ob->coverage != NULL) {
        coverage_stop(ob->coverage);
    }
    plugins_detach(ob->plugins);
    trace_detach(ob->trace);
}

static bool observers_write(const Observers *ob, GError **error)
{
    return (ob->profile == NULL || profile_write(ob->profile, error)) &&
           (ob->coverage == NULL || coverage_write(ob->coverage, error));
}

static void observers_free(Observers *ob)
{
    plugins_free(ob->plugins);
    coverage_free(ob->coverage);
    trace_free(ob->trace);
    profile_free(ob->profile);
    guest_symbols_free(ob->symbols);
}

/* Tells what is wrong. Returns @status. */
static int complain(GError *error, int status)
{
    log_error("%s", error->message);
    g_error_free(error);
    return status;
}

/* Runs the machine that was built; returns the exit status, or EXIT_RESTART. @deadline_us: of -timeout, 0: none. */
static int run(Machine *m, Cca *board, const Options *o, Fronts *fronts, int64_t deadline_us)
{
    int64_t  left_us = MAX(deadline_us - g_get_monotonic_time(), 0);
    guint    timeout = deadline_us != 0 ? g_timeout_add((guint)(left_us / 1000), on_timeout, m) : 0;
    GError  *error = NULL;
    Gdbstub *gdb;
    int      status;
    const MonMachine on = { .machine = m, .name = o->name, .cpus = cca_cpus(board), .n_cpus = cca_n_cpus(board),
                            .rmm = cca_rmm(board), .pci = cca_pci(board), .realm_pci = cca_realm_pci(board),
                            .gic = cca_gic(board), .smmu = cca_smmu(board), .powerdown = cca_powerdown,
                            .plug = cca_plug, .board = board };

    if (o->display != NULL) {
        (void)display_head_need(option_list_get(o->display, "head"), &error);
        g_prefix_error(&error, "-display %s: ", o->display->text);
    }
    gdb = o->gdb != NULL && error == NULL ? gdbstub_new(&on, o->gdb, &error) : NULL;
    if (error != NULL || !fronts_attach(fronts, o, &on, &error)) {
        log_error("%s", error->message);
        g_error_free(error);
        gdbstub_free(gdb);
        return EXIT_BAD_OPTION;
    }
    chardev_set_quit(on_quit, m);
    live_set_hook(hold_live, m);
    machine_set_lockstep(m, o->side);
    powered = m;
    status = machine_run(m);
    powered = NULL;
    lockstep_end(o->side, machine_memory(m), machine_insns(m), interrupted ? LOCKSTEP_INTERRUPTED : status);
    live_set_hook(NULL, NULL);
    fronts_detach(fronts, m, status, status == EXIT_RESTART && !o->no_reboot);
    status = status == EXIT_RESTART && o->no_reboot ? EXIT_GUEST_OFF : status;
    gdbstub_free(gdb);
    if (timeout != 0 && status != EXIT_TIMEOUT) {
        g_source_remove(timeout);
    }
    if (o->result != NULL && !result_write(o->result, m, board, o, &error)) {
        log_error("%s", error->message);
        g_error_free(error);
        status = status == EXIT_GUEST_OFF ? EXIT_BAD_INPUT : status; /* a script must not read an older one */
    }
    return status;
}

/* From power on to power off or reset: a machine made anew from the options. */
static int power_on(const Options *o, const Observers *observers, CcaLasting *lasting, Fronts *fronts,
                    int64_t deadline_us)
{
    bool     bad_option = false;
    GError  *error = NULL;
    Machine *m = machine_new(o, &error);
    Cca     *board = m != NULL ? cca_new(m, o, lasting, &bad_option, &error) : NULL;
    int      status;

    if (board == NULL) {
        log_error("%s", error->message);
        g_error_free(error);
        status = bad_option ? EXIT_BAD_OPTION : EXIT_BAD_INPUT;
    } else if (o->dumpdtb != NULL) {
        status = 0; /* cca_new() wrote it */
    } else {
        observers_attach(observers, m, board);
        status = run(m, board, o, fronts, deadline_us);
        observers_detach(observers);
        if (status == EXIT_RESTART) {
            cca_reset(board);
        }
    }
    if (board != NULL) {
        cca_free(board);
    }
    netdev_free_all(); /* while its clock exists */
    if (m != NULL) {
        machine_free(m);
    }
    blockdev_free_all();
    fsdev_free_all();
    chardev_free_all();
    return status;
}

/* Whether another machine follows one that ended with *@status. A guest that resets at once for ever ends, too. */
static bool starts_again(int *status, int64_t deadline_us)
{
    while (*status == EXIT_RESTART && g_main_context_iteration(NULL, FALSE)) {
    }
    if (*status == EXIT_RESTART && interrupted) {
        *status = EXIT_GUEST_OFF;
    } else if (*status == EXIT_RESTART && deadline_us != 0 && g_get_monotonic_time() >= deadline_us) {
        *status = EXIT_TIMEOUT;
    }
    return *status == EXIT_RESTART;
}

/* The machine, and each that follows it when the guest resets it. */
static int run_all(const Options *o)
{
    int64_t    deadline_us = o->timeout_s != 0 ? g_get_monotonic_time() + o->timeout_s * G_USEC_PER_SEC : 0;
    CcaLasting lasting;
    Observers  observers = { 0 };
    Fronts     fronts = { 0 };
    GError    *error = NULL;
    int        status = EXIT_BAD_INPUT;
    bool       shows = o->display != NULL && o->dumpdtb == NULL, bad_option = false;
    Vnc       *vnc = NULL;

    observers.trace = trace_new(o, &error);
    vnc = shows && error == NULL ? vnc_new(o->display, &error) : NULL;
    if (error != NULL) {
        trace_free(observers.trace);
        return complain(error, EXIT_BAD_OPTION);
    }
    if (!cca_lasting_init(&lasting, o, &error) || !observers_init(&observers, o, &bad_option, &error)) {
        status = complain(error, bad_option ? EXIT_BAD_OPTION : EXIT_BAD_INPUT);
    } else {
        guint sigint = g_unix_signal_add(SIGINT, on_signal, NULL);
        guint sigterm = g_unix_signal_add(SIGTERM, on_signal, NULL);

        do {
            status = power_on(o, &observers, &lasting, &fronts, deadline_us);
        } while (starts_again(&status, deadline_us));
        g_source_remove(sigint);
        g_source_remove(sigterm);
        if (!observers_write(&observers, &error)) {
            status = complain(error, status == EXIT_GUEST_OFF ? EXIT_BAD_INPUT : status);
        }
    }
    observers_free(&observers);
    fronts_free(&fronts);
    chardev_free_all();
    cca_lasting_free(&lasting);
    vnc_free(vnc);
    return status;
}

/* -accel lockstep, where it is possible. */
static int run_lockstep(Options *o)
{
    GError *error = NULL;

    if (!lockstep_allowed(o, &error)) {
        log_error("%s", error->message);
        g_error_free(error);
        return EXIT_BAD_OPTION;
    }
    return lockstep_main(o, run_all);
}

/* bailey NAME ...: what beside running a machine the program can do. */
static int run_command(int argc, char **argv)
{
    const Command *cmd = command_find(argv[0]);

    if (cmd == NULL) {
        log_error("there is no command '%s'; --help lists them, and options start with '-'", argv[0]);
        return EXIT_BAD_OPTION;
    }
    return cmd->run(cmd, argc, argv);
}

int main(int argc, char **argv)
{
    /* What a guest sees must not depend on the host's openssl.cnf; a start is half a millisecond shorter, too. */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    if (argc > 1 && argv[1][0] != '-') {
        return run_command(argc - 1, argv + 1);
    }

    GError  *error = NULL;
    Options *o = options_parse(argc, argv, &error);

    if (o == NULL || !options_open_trace(o, &error) || (!o->help_only && !options_write_config(o, &error))) {
        log_error("%s", error->message);
        g_error_free(error);
        g_clear_pointer(&o, options_free);
        return EXIT_BAD_OPTION;
    }
    if (o->help_only) {
        if (g_strcmp0(o->host_fault, "help") == 0) {
            g_autofree char *text = host_faults_help();

            fputs(text, stdout);
        }
        options_free(o);
        return 0;
    }
    if (o->print_attest_root) {
        fputs(rmm_attest_root_pem(), stdout);
        options_free(o);
        return 0;
    }
    int status = o->lockstep && o->dumpdtb == NULL ? run_lockstep(o) : run_all(o);
    options_free(o);
    return status;
}
