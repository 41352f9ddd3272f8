/*
 * The command line. One table names every option, its argument and its help; --help, the man page and the parser
 * come from it. Words are QEMU's where QEMU has the word.
 */
#ifndef BAILEY_OPTIONS_H
#define BAILEY_OPTIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"

/* "name,key=value,key=value": -device, -netdev, -drive, -chardev, -M. Kept as text until the part exists. */
typedef struct OptionList {
    char      *driver;          /* the first word, when it has no '=' */
    GPtrArray *keys, *values;   /* of char *; a bare word "x" later on is x=on */
    char      *text;            /* as given, for messages */
} OptionList;

typedef enum BootMode { BOOT_REALM, BOOT_HOST } BootMode; /* without boot=: host where there is firmware to start */

/* Where payloads of -device loader start: at NS-EL2 or NS-EL1 with BOOT_HOST, in a Realm with BOOT_REALM. */
typedef enum EntryMode { ENTRY_NS_EL2, ENTRY_NS_EL1, ENTRY_REALM } EntryMode;

enum { OPTIONS_MAX_CPUS = 8 };  /* of -smp */
enum { OPTIONS_PMU_MAX = 8 }; /* event counters that the CPU has */

#define BAILEY_VERSION "0.1.0"
/* -symbols: one file. */
typedef struct OptionSymbols {
    char    *path;
    bool     has_offset;
    uint64_t offset;
} OptionSymbols;

typedef struct Options {
    char       *name;           /* -name: what people call the guest, or NULL */
    char       *machine;        /* "cca" */
    OptionList *machine_opts;
    BootMode    boot;
    EntryMode   entry;          /* -M cca,entry= */
    char       *board;          /* -M cca,board=: "virt", "fvp" */
    char       *dumpdtb;        /* -M cca,dumpdtb=FILE */
    char       *host_fault;     /* -M cca,host-fault=NAME; see host.h */
    bool        link_ide;       /* -M cca,link-ide=on: the built-in host uses link streams, too */
    unsigned    realm_vfs;      /* -M cca,vfs=N:N: virtual functions that the Realm gets, bit 0: the first */
    unsigned    realm_pmu;      /* -M cca,pmu=N: event counters of the Realm's PMU; 0: it has none */
    char       *rmm;            /* -M cca,rmm=NAME; see rmm/dialect.h; NULL: the default */
    char       *cpu_model;      /* "max" */
    unsigned    smp;
    uint64_t    ram_size;       /* bytes; the guest's */
    char       *bios;           /* firmware image to start instead of a kernel */
    bool        firmware;       /* there is one, from -bios or -drive if=pflash */
    char       *kernel, *initrd, *append, *dtb;
    GPtrArray  *devices, *netdevs, *drives, *chardevs, *fsdevs; /* OptionList * */
    GPtrArray  *serials;        /* char * */
    bool        nographic, no_reboot;
    bool        no_defaults;    /* -nodefaults: no serial port on the terminal that nobody asked for */
    bool        clock_host;     /* -clock host */
    CpuConfig   cpu;            /* -accel */
    bool        lockstep;       /* -accel lockstep: both ways, compared */
    struct Lockstep *side;      /* of such a run: where this process reports; else NULL */
    bool        memory_hash;    /* -memory-hash: -result has one */
    int64_t     rtc_base_s;     /* seconds since 1970 */
    uint64_t    seed;
    OptionList *display;        /* -display vnc=; NULL: none */
    char       *gdb;            /* address, or NULL */
    char       *monitor;        /* -monitor: where its user is, or NULL */
    char       *qmp;            /* -qmp: where programs are that control the machine, or NULL */
    bool        start_stopped;  /* -S */
    char       *expect, *fail_on;
    unsigned    timeout_s;      /* 0: none */
    char       *result;         /* -result FILE.json */
    GArray     *symbols;        /* OptionSymbols: -symbols FILE[,offset=N] */
    char       *profile;        /* -profile FILE[,every=N], or NULL */
    uint64_t    profile_every;  /* 0: not given */
    GPtrArray  *plugins;        /* char **: -plugin FILE.so[,ARGUMENT...], its words */
    char       *coverage;       /* -coverage FILE.info, or NULL */
    char       *trace_file;     /* -D FILE */
    GPtrArray  *given;          /* the options one by one, for -writeconfig */
    char       *write_config;   /* -writeconfig FILE */
    OptionList *trace;          /* -trace FILE.json[,with=...]; NULL: none */
    bool        print_attest_root; /* the program prints it and exits 0 */
    bool        help_only;      /* the option asked for help, which was printed: exit 0 */
} Options;

/**
 * options_parse - read a command line.
 * Returns NULL with one sentence in @error that names the option and the mend (exit status 2).
 */
Options *options_parse(int argc, char **argv, GError **error);
void     options_free(Options *o);

/* options_open_trace - sends traces to the file of -D from now on; false with a sentence when it cannot be written. */
bool options_open_trace(const Options *o, GError **error);

/* options_write_config - writes the file of -writeconfig, if there is one; false with a sentence when that fails. */
bool options_write_config(const Options *o, GError **error);

/* option_list_parse - "driver,key=value,..." ; a doubled comma is a comma. Never fails: text stays text. */
OptionList *option_list_parse(const char *text);
void        option_list_free(OptionList *l);

/* The value of @key, or NULL. */
const char *option_list_get(const OptionList *l, const char *key);

/* option_parse_bool - "on", "yes", "true", "y", "1" or their opposites; false, with @value as it was, for others. */
bool option_parse_bool(const char *text, bool *value);

/**
 * option_list_bool - @value of the key as on or off; as it was when the key is absent.
 * Returns false with a sentence that names @option ("-netdev"), the key and its text when that is neither.
 */
bool option_list_bool(const OptionList *l, const char *option, const char *key, bool *value, GError **error);

/* options_man - the man page from the table, to stdout. */
void options_man(void);

/* options_completion - completion for bash from the table, to stdout. */
void options_completion(void);

/* option_parse_size - "1G", "512M", "4096"; false when it is not a size. @unit_shift: unit of a bare number. */
bool option_parse_size(const char *text, unsigned unit_shift, uint64_t *bytes);

#endif
