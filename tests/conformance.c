/*
 * Writes docs/conformance.md: what of each interface is implemented, asked of the tables that the code itself
 * dispatches from, and which test sources name it. A specification's list here only adds what is not there.
 * "Named" is a plain search, comments left out: it shows where to look and what nobody looked at, not how well.
 * Usage: conformance TESTS_DIRECTORY > docs/conformance.md
 */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "cpu/a64/decode.h"
#include "host/host.h"
#include "hw/tdisp/dsm.h"
#include "iommu/smmuv3.h"
#include "rmm/rmm.h"
#include "spdm/spdm.h"

enum { MAX_WORDS = 6 };

/* ---- test sources ---- */

typedef struct Source {
    char *name; /* below the tests directory */
    char *text; /* without comments */
} Source;

static GArray *sources; /* of Source, by name */

/* Comments become blanks; strings stay, because the rows of tests are named in them. */
static void drop_comments(char *s)
{
    while (*s != '\0') {
        if (*s == '"' || *s == '\'') {
            char quote = *s++;

            while (*s != '\0' && *s != quote) {
                s += *s == '\\' && s[1] != '\0' ? 2 : 1;
            }
            s += *s != '\0';
        } else if (s[0] == '/' && s[1] == '*') {
            char *end = strstr(s + 2, "*/");
            char *stop = end != NULL ? end + 2 : s + strlen(s);

            memset(s, ' ', (size_t)(stop - s));
            s = stop;
        } else if (s[0] == '/' && s[1] == '/') {
            size_t n = strcspn(s, "\n");

            memset(s, ' ', n);
            s += n;
        } else {
            s++;
        }
    }
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(((const Source *)a)->name, ((const Source *)b)->name);
}

/* Every .c file of one folder, and those of its own folders. */
static void read_sources(const char *root, const char *folder)
{
    char *path = g_build_filename(root, folder, NULL);
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *entry;

    while (dir != NULL && (entry = g_dir_read_name(dir)) != NULL) {
        char *below = *folder == '\0' ? g_strdup(entry) : g_build_filename(folder, entry, NULL);
        char *full = g_build_filename(root, below, NULL);

        if (g_file_test(full, G_FILE_TEST_IS_DIR)) {
            read_sources(root, below);
        } else if (g_str_has_suffix(entry, ".c") && strcmp(below, "conformance.c") != 0) {
            Source s = {g_strdup(below), NULL};

            if (g_file_get_contents(full, &s.text, NULL, NULL)) {
                drop_comments(s.text);
                g_array_append_val(sources, s);
            }
        }
        g_free(full);
        g_free(below);
    }
    if (dir != NULL) {
        g_dir_close(dir);
    }
    g_free(path);
}

static bool is_word_char(char c)
{
    return g_ascii_isalnum(c) || c == '_';
}

/* Whether @text has @word, not as a part of a longer word. */
static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        bool starts = at == text || !is_word_char(word[0]) || !is_word_char(at[-1]);
        bool ends = !is_word_char(word[n - 1]) || !is_word_char(at[n]);

        if (starts && ends) {
            return true;
        }
    }
    return false;
}

/* ---- rows ---- */

typedef struct Row {
    const char *number, *name;
    bool implemented;
    unsigned dialects, documents; /* IN_*: that have it here, that have it by their document; 0: not of a dialect */
    const char *needs;           /* a word that a test of this interface has; NULL: none */
    char *words[MAX_WORDS];      /* any of them names the item; up to the first NULL */
    const RmmCondition *failures; /* in order of their checks */
    size_t n_failures;
} Row;

/* Failure conditions that no test names. */
static unsigned n_untested;

static bool names(const Source *s, const Row *row)
{
    if (row->needs != NULL && strstr(s->text, row->needs) == NULL) {
        return false;
    }
    for (unsigned i = 0; i < MAX_WORDS && row->words[i] != NULL; i++) {
        if (has_word(s->text, row->words[i])) {
            return true;
        }
    }
    return false;
}

/* Test macros add these endings to the name of a granule or page. */
static bool names_label(const Source *s, const char *label)
{
    static const char *const endings[] = {"", "_align", "_bound", "_bound2", "_state", "_gran_state", "_pas", "_empty"};

    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        if (g_str_has_suffix(label, endings[i])) {
            char *stem = g_strndup(label, strlen(label) - strlen(endings[i]));
            char *quoted = g_strdup_printf("\"%s\"", stem), *last = g_strdup_printf(" %s\"", stem);
            bool found = strstr(s->text, quoted) != NULL || strstr(s->text, last) != NULL;

            g_free(last);
            g_free(quoted);
            g_free(stem);
            if (found) {
                return true;
            }
        }
    }
    return false;
}

static bool label_is_tested(const Row *row, const char *label)
{
    for (guint i = 0; i < sources->len; i++) {
        const Source *s = &g_array_index(sources, Source, i);

        if (names(s, row) && names_label(s, label)) {
            return true;
        }
    }
    return false;
}

static void print_failures(const Row *row)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (size_t i = 0; i < row->n_failures; i++) {
        const char *label = row->failures[i].label;

        if (g_hash_table_add(seen, (gpointer)label)) {
            printf("%s%s", i == 0 ? "" : ", ", label);
            if (!label_is_tested(row, label)) {
                fprintf(stderr, "conformance: no test breaks %s by %s\n", row->name, label);
                n_untested++;
            }
        }
    }
}

/* Where they are from; decisions one by one. */
static void print_sources(const Row *row)
{
    static const char *const names[RMM_N_SOURCES] = {"specification", "compliance suite", "public firmware and kernels",
                                                     "decision"};
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    const char *between = "";

    for (unsigned source = 0; source < RMM_N_SOURCES; source++) {
        for (size_t i = 0; i < row->n_failures; i++) {
            bool ours = source == RMM_DECISION;
            const char *text = ours ? row->failures[i].label : names[source];

            if (row->failures[i].source == source && g_hash_table_add(seen, (gpointer)text)) {
                bool first = ours && g_hash_table_add(seen, (gpointer)names[source]);

                printf("%s%s%s%s", first && *between != '\0' ? "; " : between, first ? names[source] : "",
                       first ? ": " : "", text);
                between = ", ";
            }
        }
    }
}

static void print_testers(const Row *row)
{
    bool any = false;

    for (guint i = 0; row->implemented && i < sources->len; i++) {
        const Source *s = &g_array_index(sources, Source, i);

        if (names(s, row)) {
            printf("%s%.*s", any ? ", " : "", (int)(strlen(s->name) - 2), s->name);
            any = true;
        }
    }
    if (row->implemented && !any) {
        printf("**no test names it**");
    }
}

/* One cell for each dialect: empty where its document does not have the item. */
static void print_dialects(const Row *row)
{
    for (unsigned i = 0; i < RMM_N_DIALECTS; i++) {
        printf("%s | ", row->dialects >> i & 1 ? "yes" : row->documents >> i & 1 ? "no" : "");
    }
}

static void print_row(const Row *row, bool with_failures)
{
    printf("| %s | %s | ", row->name, row->number);
    if (row->dialects != 0 || row->documents != 0) {
        print_dialects(row);
    } else {
        printf("%s | ", row->implemented ? "yes" : "no");
    }
    if (with_failures) {
        print_failures(row);
        printf(" | ");
        print_sources(row);
        printf(" | ");
    }
    print_testers(row);
    printf(" |\n");
}

static void print_head(const char *title, const char *text, bool by_dialect, bool with_failures)
{
    printf("\n## %s\n\n%s\n\n| item | number |", title, text);
    for (unsigned i = 0; by_dialect && i < RMM_N_DIALECTS; i++) {
        printf(" %s |", rmm_dialects[i].document);
    }
    printf("%s%s tested by |\n|---|---|", by_dialect ? "" : " implemented |",
           with_failures ? " failure conditions | source |" : "");
    for (unsigned i = 0; i < (by_dialect ? (unsigned)RMM_N_DIALECTS : 1); i++) {
        printf("---|");
    }
    printf("%s---|\n", with_failures ? "---|---|" : "");
}

static void free_words(Row *row)
{
    for (unsigned i = 0; i < MAX_WORDS; i++) {
        g_free(row->words[i]);
    }
}

/* ---- calls: RMI, RSI, PSCI, SMCCC, RHI ---- */

typedef struct Named {
    uint32_t fid;
    const char *name;
    unsigned documents; /* IN_*: whose document has it; 0: all */
} Named;

/* The commands of an interface by its specification: those that no table has are shown as not implemented.
 * Numbers are the low part of the function ID. */
static const Named rmi_commands[] = {
    {0x150, "VERSION"},
    {0x151, "GRANULE_DELEGATE"},
    {0x152, "GRANULE_UNDELEGATE"},
    {0x153, "DATA_CREATE"},
    {0x154, "DATA_CREATE_UNKNOWN"},
    {0x155, "DATA_DESTROY"},
    {0x156, "PDEV_AUX_COUNT", IN_DA},
    {0x157, "REALM_ACTIVATE"},
    {0x158, "REALM_CREATE"},
    {0x159, "REALM_DESTROY"},
    {0x15a, "REC_CREATE"},
    {0x15b, "REC_DESTROY"},
    {0x15c, "REC_ENTER"},
    {0x15d, "RTT_CREATE"},
    {0x15e, "RTT_DESTROY"},
    {0x15f, "RTT_MAP_UNPROTECTED"},
    {0x160, "VDEV_AUX_COUNT", IN_DA},
    {0x161, "RTT_READ_ENTRY"},
    {0x162, "RTT_UNMAP_UNPROTECTED"},
    {0x163, "VDEV_VALIDATE_MAPPING", IN_ALP17},
    {0x163, "RTT_DEV_MEM_VALIDATE", IN_ALP12},
    {0x164, "PSCI_COMPLETE"},
    {0x165, "FEATURES"},
    {0x166, "RTT_FOLD"},
    {0x167, "REC_AUX_COUNT"},
    {0x168, "RTT_INIT_RIPAS"},
    {0x169, "RTT_SET_RIPAS"},
    {0x16a, "VSMMU_CREATE", IN_DA},
    {0x16b, "VSMMU_DESTROY", IN_DA},
    {0x16c, "VSMMU_MAP", IN_DA},
    {0x16d, "VSMMU_UNMAP", IN_DA},
    {0x16e, "PSMMU_MSI_CONFIG", IN_ALP12},
    {0x16f, "PSMMU_IRQ_NOTIFY", IN_DA},
    {0x172, "VDEV_MAP", IN_ALP17},
    {0x172, "DEV_MEM_MAP", IN_ALP12},
    {0x173, "VDEV_UNMAP", IN_ALP17},
    {0x173, "DEV_MEM_UNMAP", IN_ALP12},
    {0x174, "PDEV_ABORT", IN_DA},
    {0x175, "PDEV_COMMUNICATE", IN_DA},
    {0x176, "PDEV_CREATE", IN_DA},
    {0x177, "PDEV_DESTROY", IN_DA},
    {0x178, "PDEV_GET_STATE", IN_DA},
    {0x179, "PDEV_IDE_RESET", IN_DA},
    {0x17a, "PDEV_IDE_KEY_REFRESH", IN_ALP17},
    {0x17a, "PDEV_NOTIFY", IN_ALP12},
    {0x17b, "PDEV_SET_PUBKEY", IN_DA},
    {0x17c, "PDEV_STOP", IN_DA},
    {0x17d, "RTT_AUX_CREATE", IN_DA},
    {0x17e, "RTT_AUX_DESTROY", IN_DA},
    {0x17f, "RTT_AUX_FOLD", IN_DA},
    {0x180, "RTT_AUX_MAP_PROTECTED", IN_DA},
    {0x181, "RTT_AUX_MAP_UNPROTECTED", IN_DA},
    {0x183, "RTT_AUX_UNMAP_PROTECTED", IN_DA},
    {0x184, "RTT_AUX_UNMAP_UNPROTECTED", IN_DA},
    {0x185, "VDEV_ABORT", IN_ALP12},
    {0x185, "VDEV_ABORT", IN_ALP17},
    {0x186, "VDEV_COMMUNICATE", IN_ALP12},
    {0x186, "VDEV_COMMUNICATE", IN_ALP17},
    {0x187, "VDEV_CREATE", IN_DA},
    {0x188, "VDEV_DESTROY", IN_ALP12},
    {0x188, "VDEV_DESTROY", IN_ALP17},
    {0x189, "VDEV_GET_STATE", IN_ALP12},
    {0x189, "VDEV_GET_STATE", IN_ALP17},
    {0x18a, "VDEV_UNLOCK", IN_ALP17},
    {0x18a, "VDEV_STOP", IN_ALP12},
    {0x18b, "RTT_SET_S2AP", IN_DA},
    {0x18c, "MEC_SET_SHARED", IN_DA},
    {0x18d, "MEC_SET_PRIVATE", IN_DA},
    {0x18e, "VDEV_COMPLETE", IN_ALP12},
    {0x18e, "VDEV_COMPLETE", IN_ALP17},
    {0x1d0, "VDEV_GET_INTERFACE_REPORT", IN_ALP17},
    {0x1d1, "VDEV_GET_MEASUREMENTS", IN_ALP17},
    {0x1d2, "VDEV_LOCK", IN_ALP17},
    {0x1d3, "VDEV_START", IN_ALP17},
    {0x1d7, "PSMMU_ACTIVATE", IN_ALP17},
    {0x1d8, "PSMMU_DEACTIVATE", IN_ALP17},
    {0x1db, "PSMMU_ST_L2_CREATE", IN_ALP17},
    {0x1dc, "PSMMU_ST_L2_DESTROY", IN_ALP17},
};

static const Named rsi_commands[] = {
    {0x190, "VERSION"},
    {0x191, "FEATURES"},
    {0x192, "MEASUREMENT_READ"},
    {0x193, "MEASUREMENT_EXTEND"},
    {0x194, "ATTESTATION_TOKEN_INIT"},
    {0x195, "ATTESTATION_TOKEN_CONTINUE"},
    {0x196, "REALM_CONFIG"},
    {0x197, "IPA_STATE_SET"},
    {0x198, "IPA_STATE_GET"},
    {0x199, "HOST_CALL"},
    {0x19a, "VSMMU_GET_INFO", IN_ALP17},
    {0x19b, "VSMMU_ACTIVATE", IN_ALP17},
    {0x19c, "VDEV_DMA_ENABLE", IN_ALP17},
    {0x19c, "RDEV_GET_INSTANCE_ID", IN_ALP12},
    {0x19d, "VDEV_GET_INFO", IN_ALP17},
    {0x19f, "VDEV_VALIDATE_MAPPING", IN_ALP17},
    {0x1a0, "MEM_GET_PERM_VALUE", IN_DA},
    {0x1a1, "MEM_SET_PERM_INDEX", IN_DA},
    {0x1a2, "MEM_SET_PERM_VALUE", IN_DA},
    {0x1a3, "PLANE_ENTER", IN_DA},
    {0x1a4, "VDEV_DMA_DISABLE", IN_ALP17},
    {0x1a4, "RDEV_CONTINUE", IN_ALP12},
    {0x1a5, "RDEV_GET_INFO", IN_ALP12},
    {0x1a6, "RDEV_GET_INTERFACE_REPORT", IN_ALP12},
    {0x1a7, "RDEV_GET_MEASUREMENTS", IN_ALP12},
    {0x1a8, "RDEV_GET_STATE", IN_ALP12},
    {0x1a9, "RDEV_LOCK", IN_ALP12},
    {0x1aa, "RDEV_START", IN_ALP12},
    {0x1ab, "RDEV_STOP", IN_ALP12},
    {0x1ac, "RDEV_VALIDATE_MAPPING", IN_ALP12},
    {0x1ae, "PLANE_SYSREG_READ", IN_DA},
    {0x1af, "PLANE_SYSREG_WRITE", IN_DA},
};

/* DEN0022, "Function IDs", without those of the 64-bit form. */
static const Named psci_functions[] = {
    {0x84000000, "PSCI_VERSION"},
    {0x84000001, "CPU_SUSPEND"},
    {0x84000002, "CPU_OFF"},
    {0x84000003, "CPU_ON"},
    {0x84000004, "AFFINITY_INFO"},
    {0x84000005, "MIGRATE"},
    {0x84000006, "MIGRATE_INFO_TYPE"},
    {0x84000007, "MIGRATE_INFO_UP_CPU"},
    {0x84000008, "SYSTEM_OFF"},
    {0x84000009, "SYSTEM_RESET"},
    {0x8400000a, "PSCI_FEATURES"},
    {0x8400000b, "CPU_FREEZE"},
    {0x8400000c, "CPU_DEFAULT_SUSPEND"},
    {0x8400000d, "NODE_HW_STATE"},
    {0x8400000e, "SYSTEM_SUSPEND"},
    {0x8400000f, "PSCI_SET_SUSPEND_MODE"},
    {0x84000010, "PSCI_STAT_RESIDENCY"},
    {0x84000011, "PSCI_STAT_COUNT"},
    {0x84000012, "SYSTEM_RESET2"},
    {0x84000013, "MEM_PROTECT"},
    {0x84000014, "MEM_PROTECT_CHECK_RANGE"},
};

/* DEN0028, "Arm Architecture Calls". */
static const Named smccc_functions[] = {
    {0x80000000, "SMCCC_VERSION"},
    {0x80000001, "SMCCC_ARCH_FEATURES"},
    {0x80000002, "SMCCC_ARCH_SOC_ID"},
    {0x80003fff, "SMCCC_ARCH_WORKAROUND_3"},
    {0x80007fff, "SMCCC_ARCH_WORKAROUND_2"},
    {0x80008000, "SMCCC_ARCH_WORKAROUND_1"},
};

/* DEN0148, as kernels number them. */
static const Named rhi_functions[] = {
    {0xc5000040, "SESSION_VERSION", IN_ALP17},
    {0xc5000041, "SESSION_FEATURES", IN_ALP17},
    {0xc5000042, "SESSION_OPEN", IN_ALP17},
    {0xc5000043, "SESSION_CLOSE", IN_ALP17},
    {0xc5000044, "SESSION_SEND", IN_ALP17},
    {0xc5000045, "SESSION_RECEIVE", IN_ALP17},
    {0xc5000046, "FAL_VERSION", IN_ALP17},
    {0xc5000047, "FAL_FEATURES", IN_ALP17},
    {0xc5000048, "FAL_GET_SIZE", IN_ALP17},
    {0xc5000049, "FAL_READ", IN_ALP17},
    {0xc5000051, "DA_VDEV_CONTINUE", IN_ALP17},
    {0xc5000055, "DA_VDEV_P2P_UNBIND", IN_ALP17},
};

/* One interface of calls. */
typedef struct Calls {
    const char *iface; /* as rmm_conformance() names it; NULL: RHI */
    const char *title, *text, *needs;
    const char *words[3]; /* how tests call an item: %s is its name */
    bool failures, short_numbers, by_dialect;
    struct {
        const Named *rows;
        size_t n;
    } specification[2];
} Calls;

#define ALL(table) {table, ARRAY_LEN(table)}

static const Calls calls[] = {
    {"RMI",
     "Realm Management Interface",
     "Arm DEN0137, RMM specification, in the dialects of -M cca,rmm=. Numbers are the low part of the SMC64\n"
     "function ID. A dialect's cell is empty where its document does not have the command, and says no where we\n"
     "do not; either is answered as an unknown function. Failure conditions are in the order of their checks, but\n"
     "that those in a part of a command (its parameter structure) stand first; what follows a slash is the reason,\n"
     "where one condition has several. Their source is the specification (1.0-rel0, whose text is public), Arm's\n"
     "compliance suite and its document of scenarios (1.1-alp17, whose text is not), public firmware and kernels\n"
     "(1.1-alp12), or a decision of this project. Each has a row in a test that breaks it: making this page fails for\n"
     "one that has not. Judges that are not ours: at the end; a KVM host that creates and runs Realms (1.0):\n"
     "real-hosts.md. Of device assignment no such host could be had: neither a kernel with the host series of\n"
     "1.1-alp12 or 1.1-alp17 nor its VMM (real-hosts.md says what was looked for). The same RMI and RHI order,\n"
     "connect, bind, lock, accept, use, unlock, disconnect, is driven in both dialects by a scripted payload at\n"
     "NS-EL2 and its Realms (guest/assign), by one of others (TF-A-tests, suites.md), and by the built-in host with\n"
     "a Debian kernel (images/demo).",
     "RMI_FID_",
     {"RMI_FID_%s", "(%s,", "RMI_%s"}, /* the second: rows made by macros */
     true,
     true,
     true,
     {ALL(rmi_commands)}},
    {"RSI",
     "Realm Services Interface",
     "As above, for calls of a Realm.",
     "RSI_FID_",
     {"RSI_FID_%s", "RSI_CALL(%s)", "RSI_%s"},
     true,
     true,
     true,
     {ALL(rsi_commands)}},
    {"PSCI",
     "PSCI in a Realm",
     "Arm DEN0022 as restricted by DEN0137. 64-bit forms, where they exist, have bit 30 set too.",
     "W_REC0",
     {"%s"},
     true,
     false,
     false,
     {ALL(psci_functions)}},
    {"SMC",
     "SMCCC and PSCI of the Normal world",
     "Arm DEN0028, DEN0022: what the monitor answers at EL1 and EL2, besides forwarding RMI from EL2.",
     "monitor_start(",
     {"%s"},
     false,
     false,
     false,
     {ALL(smccc_functions), ALL(psci_functions)}},
    {NULL,
     "Realm Host Interface",
     "Arm DEN0148, version 1.0, with the numbers of kernels of the dialect (1.1-alp12: of the first public series,\n"
     "before there was a document): what the built-in host answers to RSI_HOST_CALL. Calls\n"
     "about devices (DA) are there while a device is assigned.",
     "RHI_FID_",
     {"RHI_FID_%s", "RHI12_FID_%s"},
     false,
     false,
     true,
     {ALL(rhi_functions)}},
};

typedef struct CallRow {
    uint32_t fid;
    const char *name;
    bool implemented;
    unsigned dialects, documents;
    GArray *failures; /* of RmmCondition */
} CallRow;

/* What one interface's dispatch table has. */
typedef struct Listing {
    const Calls *calls;
    GArray *rows; /* of CallRow */
} Listing;

static void add_row(Listing *l, uint32_t fid, const char *name, bool implemented, unsigned dialects, unsigned documents)
{
    CallRow row = {l->calls->short_numbers ? fid & 0xffff : fid, name, implemented, dialects, documents,
                   g_array_new(FALSE, FALSE, sizeof(RmmCondition))};

    g_array_append_val(l->rows, row);
}

static void note_command(void *opaque, const RmmFunction *f)
{
    Listing *l = opaque;

    if (strcmp(f->iface, l->calls->iface) == 0) {
        add_row(l, f->fid, f->name, true, l->calls->by_dialect ? f->dialects : 0, 0);
        g_array_append_vals(g_array_index(l->rows, CallRow, l->rows->len - 1).failures, f->failures,
                            (guint)f->n_failures);
    }
}

static void note_function(void *opaque, uint32_t fid, const char *name, unsigned dialects)
{
    add_row(opaque, fid, name, true, dialects, 0);
}

/* What the specification has and the table has not. In one dialect one number is one name, or one of the two is
 * wrong. */
static void add_missing(Listing *l, const Named *item)
{
    unsigned documents = l->calls->by_dialect ? item->documents != 0 ? item->documents : (unsigned)IN_ALL : 0;

    for (guint i = 0; i < l->rows->len; i++) {
        CallRow *row = &g_array_index(l->rows, CallRow, i);

        if (row->fid == item->fid && (documents == 0 || (row->dialects & documents))) {
            if (strcmp(row->name, item->name) != 0) {
                fprintf(stderr, "conformance: 0x%x is '%s' in the code and '%s' by the specification\n", row->fid,
                        row->name, item->name);
                exit(1);
            }
            row->documents |= documents;
            return;
        }
    }
    add_row(l, item->fid, item->name, false, 0, documents);
}

static gint by_number(gconstpointer a, gconstpointer b)
{
    const CallRow *x = a, *y = b;
    unsigned dx = x->dialects | x->documents, dy = y->dialects | y->documents;

    return x->fid != y->fid ? (x->fid < y->fid ? -1 : 1) : (dx > dy) - (dx < dy);
}

static void print_call(const Calls *c, const CallRow *call)
{
    char number[16];
    Row row = {.number = number,
               .name = call->name,
               .implemented = call->implemented,
               .dialects = call->dialects,
               .documents = call->documents,
               .needs = c->needs,
               .failures = (const RmmCondition *)call->failures->data,
               .n_failures = call->failures->len};

    g_snprintf(number, sizeof(number), c->short_numbers ? "0x%x" : "0x%08x", call->fid);
    for (size_t i = 0; i < ARRAY_LEN(c->words) && c->words[i] != NULL; i++) {
        char **around = g_strsplit(c->words[i], "%s", 2);

        row.words[i] = g_strconcat(around[0], call->name, around[1], NULL);
        g_strfreev(around);
    }
    print_row(&row, c->failures);
    free_words(&row);
}

static void print_calls(const Calls *c)
{
    Listing l = {c, g_array_new(FALSE, FALSE, sizeof(CallRow))};

    if (c->iface != NULL) {
        rmm_conformance(note_command, &l);
    } else {
        host_rhi_conformance(note_function, &l);
    }
    for (size_t k = 0; k < ARRAY_LEN(c->specification); k++) {
        for (size_t i = 0; i < c->specification[k].n; i++) {
            add_missing(&l, &c->specification[k].rows[i]);
        }
    }
    g_array_sort(l.rows, by_number);
    print_head(c->title, c->text, c->by_dialect, c->failures);
    for (guint i = 0; i < l.rows->len; i++) {
        CallRow *row = &g_array_index(l.rows, CallRow, i);

        print_call(c, row);
        g_array_free(row->failures, TRUE);
    }
    g_array_free(l.rows, TRUE);
}

/* ---- SPDM, IDE_KM, TDISP ---- */

/* What tests call a message by, besides protocol and name: operations of the requester that consist of it. */
static const struct Alias {
    const char *name, *words[3];
} aliases[] = {
    {"GET_VERSION", {"SPDM_OP_CONNECT"}},
    {"GET_CAPABILITIES", {"SPDM_OP_CONNECT"}},
    {"NEGOTIATE_ALGORITHMS", {"SPDM_OP_CONNECT"}},
    {"GET_DIGESTS", {"SPDM_OP_CONNECT"}},
    {"GET_CERTIFICATE", {"SPDM_OP_CONNECT"}},
    {"CHALLENGE", {"SPDM_SIGN_CHALLENGE"}},
    {"GET_MEASUREMENTS", {"SPDM_OP_MEASUREMENTS"}},
    {"KEY_EXCHANGE", {"SPDM_OP_SESSION"}},
    {"FINISH", {"SPDM_OP_SESSION"}},
    {"END_SESSION", {"SPDM_OP_END_SESSION"}},
    {"SLOT_MANAGEMENT", {"SPDM_OP_SLOTS"}},
    {"VENDOR_DEFINED", {"SPDM_OP_VENDOR"}},
    {"KEY_PROG", {"IDE_KM_KEYS"}},
    {"K_SET_GO", {"IDE_KM_GO"}},
    {"K_SET_STOP", {"IDE_KM_STOP"}},
    {"GET_TDISP_VERSION", {"TDISP_GET_VERSION", "TDISP_OP_PROBE"}},
    {"GET_TDISP_CAPABILITIES", {"TDISP_GET_CAPABILITIES", "TDISP_OP_PROBE"}},
    {"LOCK_INTERFACE_REQUEST", {"TDISP_LOCK_INTERFACE", "TDISP_OP_LOCK"}},
    {"GET_DEVICE_INTERFACE_REPORT", {"TDISP_GET_INTERFACE_REPORT", "TDISP_OP_REPORT"}},
    {"GET_DEVICE_INTERFACE_STATE", {"TDISP_GET_INTERFACE_STATE", "TDISP_OP_STATE"}},
    {"START_INTERFACE_REQUEST", {"TDISP_START_INTERFACE", "TDISP_OP_START"}},
    {"STOP_INTERFACE_REQUEST", {"TDISP_STOP_INTERFACE", "TDISP_OP_STOP"}},
    {"BIND_P2P_STREAM_REQUEST", {"TDISP_BIND_P2P_STREAM"}},
    {"UNBIND_P2P_STREAM_REQUEST", {"TDISP_UNBIND_P2P_STREAM"}},
    {"SET_MMIO_ATTRIBUTE_REQUEST", {"TDISP_SET_MMIO_ATTRIBUTE"}},
};

static void print_message(const SpdmConformance *item)
{
    char number[8];
    Row row = {.number = number, .name = item->name, .implemented = item->implemented};

    g_snprintf(number, sizeof(number), "0x%02x", item->code);
    row.words[0] = g_strdup_printf("%s_%s", item->protocol, item->name);
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (strcmp(aliases[i].name, item->name) == 0) {
            for (unsigned k = 0; k < ARRAY_LEN(aliases[i].words); k++) {
                row.words[1 + k] = g_strdup(aliases[i].words[k]);
            }
        }
    }
    print_row(&row, false);
    free_words(&row);
}

static void print_messages(const char *protocol, const char *title, const char *text)
{
    SpdmConformance item;

    print_head(title, text, false, false);
    for (size_t n = 0; spdm_conformance(n, &item); n++) {
        if (strcmp(item.protocol, protocol) == 0) {
            print_message(&item);
        }
    }
}

/* ---- DOE ---- */

static void print_doe_item(void *opaque, const char *kind, const char *name, unsigned number)
{
    char label[64], digits[8];
    Row row = {.number = digits, .name = label, .implemented = true, .needs = "DOE"};

    g_snprintf(label, sizeof(label), "%s %s", kind, name);
    g_snprintf(digits, sizeof(digits), "0x%02x", number);
    row.words[0] = g_strdup(name);
    print_row(&row, false);
    free_words(&row);
}

static void print_doe(void)
{
    print_head("PCIe DOE",
               "PCI Express Base Specification 6.0, \"Data Object Exchange (DOE)\": data objects of the PCI-SIG\n"
               "(number: type) and registers (number: offset in the extended capability), as tdisp-nic has them.",
               false, false);
    doe_conformance(dsm_protocols, DSM_N_PROTOCOLS, print_doe_item, NULL);
}

/* ---- SMMU ---- */

static void print_smmu_item(void *opaque, const char *kind, const char *name, unsigned number)
{
    char label[64], digits[16];
    Row row = {.number = digits, .name = label, .implemented = true, .needs = "smmu_"};

    g_snprintf(label, sizeof(label), "%s %s", kind, name);
    g_snprintf(digits, sizeof(digits), strcmp(kind, "register") == 0 ? "0x%05x" : "0x%02x", number);
    row.words[0] = g_strdup(name);
    print_row(&row, false);
    free_words(&row);
}

/* ---- CPU ---- */

typedef struct Features {
    GHashTable *count; /* feature -> patterns */
    unsigned total;
} Features;

static void count_pattern(const A64Pattern *p, void *opaque)
{
    Features *f = opaque;
    const char *feature = p->feature != NULL ? p->feature : "(base)";

    f->total++;
    g_hash_table_replace(f->count, (gpointer)feature,
                         GUINT_TO_POINTER(GPOINTER_TO_UINT(g_hash_table_lookup(f->count, feature)) + 1));
}

static gint compare_text(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

/* Instructions are counted by the feature that brings them; their tests go through the table as a whole. */
static void print_cpu(void)
{
    Features f = {g_hash_table_new(g_str_hash, g_str_equal), 0};

    a64_pattern_foreach(count_pattern, &f);
    GList *keys = g_list_sort(g_hash_table_get_keys(f.count), compare_text);

    printf("\n## A64 instructions\n\n"
           "Arm DDI 0487: %u descriptions, an encoding pattern each. The decoder's own check, the random-instruction\n"
           "comparison and the rows (unit/test_a64_*, diff/test_diff_*) take them from the same table.\n\n"
           "| feature | descriptions |\n|---|---|\n",
           f.total);
    for (GList *k = keys; k != NULL; k = k->next) {
        printf("| %s | %u |\n", (const char *)k->data,
               GPOINTER_TO_UINT(g_hash_table_lookup(f.count, k->data)));
    }
    g_list_free(keys);
    g_hash_table_destroy(f.count);
}

/* ---- the page ---- */

static void print_page(void)
{
    printf("# Conformance\n\n"
           "Generated by `cmake --build build --target docs` from the tables of the program; do not edit.\n"
           "\"Tested by\" lists the files below `tests/` whose code names the item, helpers of tests included.\n"
           "Failure conditions without a test that breaks them do not occur: this page is not made then.\n");
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        print_calls(&calls[i]);
    }
    print_messages("SPDM", "SPDM requests",
                   "DMTF DSP0274, versions 1.1 to 1.4; the responder in the device and the requester in the RMM.");
    print_messages("IDE_KM", "IDE_KM messages",
                   "PCI Express Base Specification 6.0, \"IDE_KM\", inside an SPDM session.");
    print_messages("TDISP", "TDISP requests",
                   "PCI Express Base Specification 6.0, \"TDISP\", inside an SPDM session.");
    print_doe();
    print_head("SMMUv3",
               "Arm IHI 0070: registers (number: offset from page 0; R_ and ROOT_ have pages of their own), commands\n"
               "(opcode) and events (event number) that are there. The rest is not advertised.",
               false, false);
    smmu_conformance(print_smmu_item, NULL);
    print_cpu();
}

/* ---- judges ---- */

/* What suites of others say of the firmware model and the device: the parts of docs/suites.md about them. */
static bool print_judges(const char *tests)
{
    static const char *const parts[] = {"## Arm's RMM architecture compliance suite\n",
                                        "## Realm payload tests of the Trusted Firmware project\n",
                                        "## DMTF's SPDM responder validator and emulators\n"};
    g_autofree char *path = g_build_filename(tests, "..", "docs", "suites.md", NULL), *page = NULL;

    printf("\n## Public suites\n\nRealms, RECs, memory and devices as suites of others judge them; from\n"
           "suites.md, which says how they are run.\n");
    if (!g_file_get_contents(path, &page, NULL, NULL)) {
        fprintf(stderr, "conformance: cannot read '%s'; name the tests folder of the tree\n", path);
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const char *start = strstr(page, parts[i]), *end = start != NULL ? strstr(start + 1, "\n## ") : NULL;

        if (end == NULL) {
            fprintf(stderr, "conformance: '%s' has no part \"%s\"\n", path, parts[i]);
            return false;
        }
        printf("\n#%.*s", (int)(end - start), start);
    }
    return true;
}

int main(int argc, char **argv)
{
    sources = g_array_new(FALSE, FALSE, sizeof(Source));
    if (argc != 2) {
        fprintf(stderr, "usage: conformance TESTS_DIRECTORY > docs/conformance.md\n");
        return 2;
    }
    read_sources(argv[1], "");
    if (sources->len == 0) {
        fprintf(stderr, "conformance: '%s' has no test sources; name the tests folder of the tree\n",
                argv[1]);
        return 1;
    }
    g_array_sort(sources, by_name);
    print_page();
    bool judged = print_judges(argv[1]);
    for (guint i = 0; i < sources->len; i++) {
        g_free(g_array_index(sources, Source, i).name);
        g_free(g_array_index(sources, Source, i).text);
    }
    g_array_free(sources, TRUE);
    return !judged || n_untested != 0;
}
