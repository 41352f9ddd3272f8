/*
 * bailey rim: the initial measurement that the token of a run with these options must show.
 */
#include "tool/rim.h"

#include <stdio.h>
#include <string.h>

#include "board/cca.h"
#include "command.h"
#include "device.h"
#include "host/host.h"
#include "log.h"
#include "options.h"
#include "rmm/dialect.h"

/* RmiRealmFlags: performance monitors; the Realm may have devices, which is given where the RMM has them. */
#define REALM_FLAG_PMU (1ull << 2)
#define REALM_FLAG_DA  (1ull << 3)

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "-help") == 0 || strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

/* Prints the measurement; false with a sentence. What the host chooses is in src/host/realm.c too: see there. */
static bool print_rim(const Options *o, RmmDialectId dialect, GError **error)
{
    RimRealm realm = { .flags0 = (rmm_dialects[dialect].da ? REALM_FLAG_DA : 0) |
                                 (o->realm_pmu != 0 ? REALM_FLAG_PMU : 0),
                       .s2sz = 48, .num_bps = 1, .num_wps = 1, .pmu_num_ctrs = o->realm_pmu,
                       .ram_base = cca_board(o)->ram[0].base, .ram_size = o->ram_size };
    BootLayout layout = { 0 };
    uint8_t    rim[64];
    bool       ok = host_realm_layout(o, NULL, &layout, error);

    if (ok) {
        unsigned len = rim_measure(&realm, &layout, rim);

        for (unsigned i = 0; i < len; i++) {
            printf("%02x", rim[i]);
        }
        printf("\n");
    }
    loader_free(&layout);
    return ok;
}

static int run_rim(const Command *cmd, int argc, char **argv)
{
    GError *error = NULL;
    int     status = COMMAND_BAD_USAGE;

    if (wants_help(argc, argv)) {
        printf("Usage: bailey %s %s\n\nbailey %s: %s.\nGive it the options of that run; 'bailey --help' lists them. "
               "Memory size, performance monitors, kernel, initrd and\ndevice tree are measured, and where the first "
               "CPU starts; the device tree holds the command line\nand the number of CPUs. Nothing is started, no "
               "file is written.\n",
               cmd->name, cmd->args, cmd->name, cmd->help);
        return COMMAND_OK;
    }
    RmmDialectId dialect;
    Options     *o = options_parse(argc, argv, &error);

    if (o != NULL && o->help_only) {
        status = COMMAND_OK;
    } else if (o != NULL && o->boot != BOOT_REALM) {
        g_set_error(&error, BAILEY_ERROR, 1, "rim: boot=host starts no Realm; give the options of a run with "
                                             "boot=realm");
    } else if (o != NULL && o->kernel == NULL) {
        g_set_error(&error, BAILEY_ERROR, 1, "rim: no -kernel given: name the arm64 Image of the run");
    } else if (o != NULL && rmm_dialect_parse(o->rmm, &dialect, &error)) {
        status = print_rim(o, dialect, &error) ? COMMAND_OK : COMMAND_FAILED;
    }
    if (o != NULL) {
        options_free(o);
    }
    return command_finish(false, status, error);
}

COMMAND(rim, .name = "rim", .args = "OPTIONS-OF-A-RUN", .run = run_rim,
        .help = "print the initial measurement that the Realm of such a run has, from its input files");
