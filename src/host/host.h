/*
 * The built-in host: a VMM at NS-EL2 as an explicit state machine. It drives the firmware by the calls a host
 * kernel makes (RMI by SMC arguments, DOE through configuration space, GIC, ITS and SMMU by their registers),
 * with no back door: what works with it works with a kernel. It occupies the CPUs at NS-EL2; a step never
 * waits and never runs a CPU. design: "The built-in host is a client".
 */
#ifndef BAILEY_HOST_H
#define BAILEY_HOST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "chardev.h"
#include "cpu/a64/a64.h"
#include "hw/gicv3.h"
#include "hw/pci/pci.h"
#include "loader.h"
#include "machine.h"
#include "options.h"
#include "rmm/rmm.h"

typedef struct Host Host;

/* How the Realm ended. */
typedef enum HostEnd {
    HOST_END_OFF,   /* it powered itself off */
    HOST_END_RESET, /* it asked for a reset */
    HOST_END_PANIC, /* it said so (pvpanic) */
} HostEnd;

typedef struct HostConfig {
    Machine       *machine;
    const Options *options;
    const struct CcaBoard *board; /* where things are, on the machine and in the Realm alike */
    Memory        *memory;
    A64Cpu       **cpus;       /* one for each REC */
    unsigned       n_cpus;
    Monitor       *monitor;
    Gic           *gic;        /* the physical GIC: its CPU interfaces; frames are reached by address */
    PciHost       *pci;        /* configuration requests only, as through ECAM */
    RmmDialectId   dialect;    /* the one that the RMM speaks, and so do we, as a kernel is made for one */
    uint64_t       ram_base, ram_size; /* Non-secure RAM that is the host's to use and to delegate */
    Chardev      **serial;     /* of the Realm's PL011s, one for each that host_n_uarts() counts */
    int64_t        date_s;     /* what the Realm's clock shows at guest time 0, seconds since 1970 */
    const LoadImage *payload;  /* the Realm's image instead of -kernel, or NULL */
    void         (*ended)(void *opaque, HostEnd how); /* all that the Realm had is ours again */
    void          *opaque;
} HostConfig;

/**
 * host_new - read the images, lay out the Realm and get ready for the first step.
 * Returns NULL with a sentence when an image is missing or damaged or does not fit.
 */
Host *host_new(const HostConfig *cfg, GError **error);
void  host_free(Host *h);

/* host_n_uarts - serial ports of the Realm that these options describe: one for each -serial, and at least one. */
unsigned host_n_uarts(const Options *o);

/**
 * host_realm_layout - where kernel (or payload), initrd and device tree of the Realm that these options describe go, as
 * the host loads them and the RIM covers them.
 * @payload: see HostConfig
 * Returns false with a sentence when an image is missing or damaged or does not fit. loader_free() in any case.
 */
bool host_realm_layout(const Options *o, const LoadImage *payload, BootLayout *l, GError **error);

/* host_realm_tree - the device tree of that Realm, for -M dumpdtb=. */
GBytes *host_realm_tree(const Options *o, const LoadImage *payload, GError **error);

/* host_step - one step for @cpu; a MachineParty, opaque is the Host. */
bool host_step(void *host, Cpu *cpu);

/* host_emulated_pci - what the Realm has of PCI beside the machine's own functions. */
PciHost *host_emulated_pci(const Host *h);

/* host_gpio - the Realm's PL061, whose pin CCA_POWER_PIN is its power button; NULL: it has none. */
Device *host_gpio(const Host *h);

/* host_end - the Realm has ended. The next steps take back all that it had; then HostConfig.ended is called. */
void host_end(Host *h, HostEnd how);

/* host_plug - a -device for the Realm: emulated on its virtual PCI bus. Passed-through functions sit on the
 * machine's own bus and are found by the host there. */
bool host_plug(Host *h, Device *dev, GError **error);

/* What -M cca,host-fault= asks for; the table of faults is in faults.c. */
enum { HOST_MAX_FAULTS = 32 };

typedef struct HostFaults {
    uint32_t    named;                /* a bit for each: the Realm, too, may ask for it */
    uint64_t    arg[HOST_MAX_FAULTS]; /* what is left to do; 0: nothing by itself */
    GByteArray *spoilt;               /* an object's bytes as they were changed last */
} HostFaults;

/**
 * host_faults_parse - the value of host-fault=: NAME or NAME=PARAMETER, joined by '+'.
 * @names: may be NULL: none
 * @faults: receives them
 * Returns false with a sentence that says what there is.
 */
bool host_faults_parse(const char *names, HostFaults *faults, GError **error);

/* host_faults_help - one line for each fault, for -M cca,host-fault=help. The caller frees it with g_free(). */
char *host_faults_help(void);

/* host_rhi_conformance - rows for docs/conformance.md: each RHI function that is served. @dialects: IN_* bits. */
void host_rhi_conformance(void (*fn)(void *opaque, uint32_t fid, const char *name, unsigned dialects), void *opaque);

/* host_report - RMI and RHI counts, DMA bytes and steps for -result: further members of the JSON object. */
void host_report(const Host *h, GString *json);

#endif
