/*
 * What the built-in host knows of the physical PCI bus and of the functions it passes through to the Realm:
 * how they were placed, what the Realm sees of their configuration space, their message interrupts, and their
 * PDEV and VDEV.
 */
#ifndef BAILEY_HOST_ASSIGN_H
#define BAILEY_HOST_ASSIGN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/pci/pci.h"
#include "rmm/rmi.h"
#include "rmm/rsi.h"

typedef struct Host Host;
typedef struct HostCpu HostCpu;

enum {
    HOST_MAX_FUNCTIONS = 64,
    HOST_MAX_DEVICES = 32,   /* functions with TEE-IO, virtual ones too */
    HOST_MAX_SHADOW = 24,
    HOST_MAX_HIDDEN = 8,
    HOST_MAX_DOE = 4,        /* mailboxes of a function that are looked at */
    HOST_MAX_KEPT = 12,
    HOST_MAX_VECTORS = 512,  /* of one function: its ITT is one page */
    HOST_MAX_OBJECT = 64 << 10, /* bytes kept of one object of a device */
    HOST_N_OBJECTS = 4,      /* kinds of them */
};

/* ---- functions (pci.c) ---- */

typedef struct HostBar {
    uint64_t base, size; /* size 0: no such BAR, or one of I/O space */
    bool     mem64, prefetch;
    uint8_t *assigned; /* one byte for each page: mapped in the Realm's protected half; NULL: none ever was */
} HostBar;

/* A double word of configuration space that the Realm reads and writes without reaching the function. */
typedef struct HostShadow {
    uint16_t off;
    uint32_t value, mask; /* mask: bits a write changes */
} HostShadow;

typedef struct HostSpan {
    uint16_t off, len;
} HostSpan;

/* A register of the function that the Realm writes, as it should be: a reset changes it behind the Realm's back. */
typedef struct HostKept {
    uint16_t off;
    uint8_t  size;
    uint32_t value;
} HostKept;

typedef struct HostVector {
    uint64_t addr;
    uint32_t data, control; /* as the Realm wrote them */
} HostVector;

/* The Realm's MSI-X table of a function. The physical entries hold the host's own messages. */
typedef struct HostMsix {
    uint16_t    cap; /* 0: none */
    uint16_t    n;
    uint8_t     bar;
    uint32_t    table_off;
    uint32_t    first_lpi; /* of its physical interrupts, one for each vector */
    HostVector *vectors;
} HostMsix;

typedef struct HostFunction HostFunction;

struct HostFunction {
    Host       *host;
    PciHost    *pci;
    uint16_t    bdf;
    bool        bridge;
    int         parent;   /* index of the bridge above, -1: on the root bus */
    HostFunction *pf;     /* a virtual function's physical one; NULL: it is one itself */
    unsigned    n_vfs;    /* turned on, whether the Realm gets them or not */
    uint16_t    last_vf;  /* routing ID of the last of them */
    HostBar     vf_bars[PCI_N_BARS]; /* of all that are on: base and size of the whole */
    uint16_t    command;  /* as the Realm wrote it, also what a VF's own register does not keep */
    HostBar     bars[PCI_N_BARS];
    HostBar     window[2]; /* bridges: what they forward, non-prefetchable and prefetchable; size 0: closed */
    uint16_t    exp_cap, ide_cap, ari_cap, sriov_cap; /* 0: none */
    uint16_t    doe_caps[HOST_MAX_DOE];
    unsigned    n_doe;
    uint16_t    doe_cap;  /* the one in use; 0: there is none */
    uint32_t    devcap;
    HostMsix    msix;
    HostShadow  shadow[HOST_MAX_SHADOW];
    unsigned    n_shadow;
    HostSpan    hidden[HOST_MAX_HIDDEN];
    unsigned    n_hidden;
    HostKept    kept[HOST_MAX_KEPT];
    unsigned    n_kept;
};

/* One enumeration: where the next bus number and the next BAR come from, and what was found. */
typedef struct HostScan {
    PciHost     *pci;
    uint64_t     next32, end32, next64, end64;
    unsigned     next_bus; /* the first unused bus number; given: 0, or where another scan has ended */
    uint8_t      vfs;      /* which virtual functions of each card the Realm gets, bit 0: the first; given */
    HostFunction fns[HOST_MAX_FUNCTIONS];
    unsigned     n_fns;
    const char  *error;    /* why it stopped early, a sentence's end; NULL: it did not */
} HostScan;

/**
 * host_pci_scan - enumerate and place everything below a root complex, by configuration requests alone.
 * @s: pci, vfs and the cursors are given; the rest is filled
 * Returns false with s->error when something does not fit. BARs smaller than a page get a page.
 */
bool host_pci_scan(HostScan *s);

HostFunction *host_pci_find(HostScan *s, uint16_t bdf);

/* Its BARs where they were placed, its virtual functions on, Command and the other registers that a kernel restores
 * after a reset as the Realm wrote them: after a reset, or when changed. */
void host_pci_restore(const HostFunction *f);

/* The register that says where a BAR is; of a virtual function it is its physical function's. */
unsigned host_pci_bar_register(const HostFunction *f, unsigned bar, const HostFunction **of);

bool host_pci_answers(const HostFunction *f, unsigned bar); /* decoding is on, and the BAR at its place */

/* What the Realm reads of, and may write to, the configuration space of a physical function. */
uint32_t host_pci_filter_read(HostFunction *f, unsigned off, unsigned size);
void     host_pci_filter_write(HostFunction *f, unsigned off, unsigned size, uint32_t value);

static inline uint32_t host_config_read(const HostFunction *f, unsigned off, unsigned size)
{
    return pci_host_config_read(f->pci, f->bdf, off, size);
}

static inline void host_config_write(const HostFunction *f, unsigned off, unsigned size, uint32_t value)
{
    pci_host_config_write(f->pci, f->bdf, off, size, value);
}

/* ---- data objects (relay.c) ---- */

typedef enum HostRelayState {
    RELAY_IDLE,
    RELAY_SETTLE,  /* until the mailbox is free */
    RELAY_SEND,
    RELAY_WAIT,    /* Go was written: until Data Object Ready */
    RELAY_RECEIVE,
    RELAY_DONE,
    RELAY_FAILED,  /* error, silence or nonsense; the mailbox was told to abort */
} HostRelayState;

/* One exchange through a DOE mailbox, some words at each step. */
typedef struct HostRelay {
    const HostFunction *f;
    HostRelayState state;
    uint8_t        type;     /* of the object, vendor PCI-SIG */
    uint32_t       n_dw, pos; /* words of the object that is on its way, and how many went */
    unsigned       polls;
    int64_t        wake_ns;  /* guest time before which there is nothing to do */
    uint8_t        object[RMI_COMM_BUFFER_MAX + 8];
} HostRelay;

/* relay_start - @len at most RMI_COMM_BUFFER_MAX bytes of payload, padded to words. */
void relay_start(HostRelay *r, const HostFunction *f, uint8_t type, const uint8_t *payload, size_t len);

/* relay_step - a bounded piece of the exchange, none while it sleeps. Returns whether it is over: RELAY_DONE or
 * RELAY_FAILED. */
bool relay_step(HostRelay *r, int64_t now_ns);

/* Until its wake_ns: before it begins, when that was set after relay_start(); then while the device takes its time. */
static inline bool relay_sleeps(const HostRelay *r, int64_t now_ns)
{
    return r->state != RELAY_DONE && r->state != RELAY_FAILED && now_ns < r->wake_ns;
}

/* The answer's payload after RELAY_DONE, a multiple of four bytes. */
static inline const uint8_t *relay_payload(const HostRelay *r, size_t *len)
{
    *len = 4 * ((size_t)r->n_dw - 2);
    return r->object + 8;
}

/* ---- devices (device.c) ---- */

typedef enum HostDeviceState {
    HOST_DEVICE_NEW,
    HOST_DEVICE_READY,  /* the PDEV is: keys exchanged, stream secure */
    HOST_DEVICE_LOST,   /* was ready; its PDEV is in ERROR and is connected anew before the next lock */
    HOST_DEVICE_FAILED, /* could not be connected: an ordinary device, until a try before a lock succeeds */
} HostDeviceState;

typedef enum HostJobKind {
    HOST_JOB_NONE,
    HOST_JOB_CONNECT,
    HOST_JOB_RECONNECT, /* the PDEV, if there is one, stopped and destroyed first */
    HOST_JOB_DISCONNECT, /* the Realm has ended, and nobody needs the PDEV */
    HOST_JOB_REFRESH,   /* new keys for the stream */
    HOST_JOB_LOCK,
    HOST_JOB_REPORT,
    HOST_JOB_MEASURE,
    HOST_JOB_START,
    HOST_JOB_UNLOCK,
    HOST_JOB_TALK,  /* 1.1-alp12: what the Realm has asked the device for */
    HOST_N_JOBS,
} HostJobKind;

/* What is under way with a device: a script of steps, some of which are whole conversations. */
typedef struct HostJob {
    HostJobKind kind;
    HostJobKind next;     /* begins when this one has succeeded */
    HostCpu    *waits;    /* whose REC is out for it; NULL: the Realm was told INCOMPLETE and comes again */
    unsigned    action;   /* TALK: RmiVdevAction */
    bool        vdev;     /* the conversation is the VDEV's, else the PDEV's */
    unsigned    step;
    bool        abort;    /* the Realm wants it to end */
    uint64_t    verdict;  /* for the Realm whatever comes of it; RHI_SUCCESS: what comes of it */
    unsigned    mailbox;  /* that DOE discovery is at */
    unsigned    index;    /* of DOE discovery */
    unsigned    found;    /* object types the mailbox offers, a bit each */
    unsigned    rounds;   /* COMMUNICATE calls in a row that sent nothing */
    bool        relaying;
    uint8_t     status;   /* RmiCommStatus of the next COMMUNICATE */
    uint32_t    resp_len;
    HostRelay   relay;
} HostJob;

typedef struct HostImpostor HostImpostor;

typedef struct HostDevice HostDevice;

/* An interface. Virtual functions have a VDEV each and use their physical function's PDEV. */
struct HostDevice {
    HostFunction   *f;
    HostDevice     *pf;            /* whose PDEV, stream, mailbox and certificates it uses; itself: its own */
    uint64_t        vdev_id;
    uint64_t        vdev;          /* granule; 0: not created */
    uint64_t        vdev_aux[RMI_PDEV_AUX_MAX], n_vdev_aux;
    uint64_t        comm, request, response, params; /* Non-secure pages shared with the RMM */
    GByteArray     *objects[HOST_N_OBJECTS]; /* by RmiCommObject */
    HostJob         job;
    ClockTimer      alarm;         /* when the job's exchange wakes up */

    /* Physical functions only. */
    HostFunction   *port;
    HostDeviceState state;
    uint8_t         stream_id;
    uint16_t        ide_block[2];  /* selective blocks of port and endpoint */
    bool            link;          /* a link stream of theirs is used, too: the first */
    bool            tried_again;   /* after the first connection had failed */
    uint64_t        pdev;          /* granule; 0: not created */
    uint64_t        pdev_aux[RMI_PDEV_AUX_MAX], n_pdev_aux;
    HostImpostor   *impostor;      /* host-fault=substitute-key: answers in the device's place */
};

#endif
