/*
 * PCI Express functions, buses and hosts. A PciDevice is a Device with a 4 KiB configuration space described
 * by masks; capabilities, BARs, MSI-X, INTx, function level reset and power states are done here, so that a
 * function's file holds only what is special. A PciHost is one hierarchy: the machine's own, or the virtual
 * one of a Realm. Source: PCI Express Base Specification 6.0, "Software Initialization and Configuration".
 */
#ifndef BAILEY_HW_PCI_PCI_H
#define BAILEY_HW_PCI_PCI_H

#include "bytes.h"
#include "device.h"
#include "dma.h"

typedef struct PciDevice PciDevice;
typedef struct PciBus PciBus;
typedef struct PciHost PciHost;
typedef struct Sriov Sriov;
typedef struct PciSlot PciSlot;

enum {
    PCI_CONFIG_SIZE = 4096,
    PCI_N_BARS = 6,
    PCI_MAX_SPANS = 12,
    PCI_MSIX_MAX = 256, /* vectors of one function we support */
    PCI_MSIX_NONE = 0xffff,
};

/* Configuration header registers ("Configuration Space Registers"; Type 1 names have a bridge's meaning). */
enum {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION_ID = 0x08,
    PCI_CLASS_PROG = 0x09,
    PCI_CLASS_DEVICE = 0x0a,
    PCI_CACHE_LINE_SIZE = 0x0c,
    PCI_LATENCY_TIMER = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BIST = 0x0f,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM_ADDRESS = 0x30,
    PCI_CAPABILITY_LIST = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
    PCI_PRIMARY_BUS = 0x18,
    PCI_SECONDARY_BUS = 0x19,
    PCI_SUBORDINATE_BUS = 0x1a,
    PCI_IO_BASE = 0x1c,
    PCI_SEC_STATUS = 0x1e,
    PCI_MEMORY_BASE = 0x20,
    PCI_MEMORY_LIMIT = 0x22,
    PCI_PREF_MEMORY_BASE = 0x24,
    PCI_PREF_MEMORY_LIMIT = 0x26,
    PCI_PREF_BASE_UPPER32 = 0x28,
    PCI_PREF_LIMIT_UPPER32 = 0x2c,
    PCI_BRIDGE_CONTROL = 0x3e,
};

enum {
    PCI_COMMAND_IO = 0x1,
    PCI_COMMAND_MEMORY = 0x2,
    PCI_COMMAND_MASTER = 0x4,
    PCI_COMMAND_PARITY = 0x40,
    PCI_COMMAND_SERR = 0x100,
    PCI_COMMAND_INTX_DISABLE = 0x400,
    PCI_STATUS_INTERRUPT = 0x8,
    PCI_STATUS_CAP_LIST = 0x10,
    PCI_BRIDGE_CTL_BUS_RESET = 0x40,
};

/* Capability identifiers. */
enum {
    PCI_CAP_PM = 0x01,
    PCI_CAP_VENDOR = 0x09,
    PCI_CAP_EXP = 0x10,
    PCI_CAP_MSIX = 0x11,
    PCI_EXT_CAP_AER = 0x0001,
    PCI_EXT_CAP_SERIAL = 0x0003,
    PCI_EXT_CAP_ACS = 0x000d,
    PCI_EXT_CAP_ARI = 0x000e,
    PCI_EXT_CAP_SRIOV = 0x0010,
    PCI_EXT_CAP_DVSEC = 0x0023,
    PCI_EXT_CAP_DOE = 0x002e,
    PCI_EXT_CAP_IDE = 0x0030,
};

/* Registers of the PCI Express capability, from its start, and the bits others ask about. */
enum {
    PCI_EXP_DEVCAP = 0x04,
    PCI_EXP_DEVCTL = 0x08,
    PCI_EXP_DEVSTA = 0x0a,
    PCI_EXP_LNKCAP = 0x0c,
    PCI_EXP_LNKCTL = 0x10,
    PCI_EXP_LNKSTA = 0x12,
    PCI_EXP_SLTCAP = 0x14,
    PCI_EXP_SLTCTL = 0x18,
    PCI_EXP_SLTSTA = 0x1a,
    PCI_EXP_RTCTL = 0x1c,
    PCI_EXP_RTSTA = 0x20,
    PCI_EXP_DEVCAP2 = 0x24,
    PCI_EXP_DEVCTL2 = 0x28,
    PCI_EXP_LNKCAP2 = 0x2c,
    PCI_EXP_LNKCTL2 = 0x30,
    PCI_EXP_SIZE = 0x3c,
    PCI_EXP_DEVCAP_FLR = 1 << 28,
    PCI_EXP_DEVCAP_TEE_IO = 1 << 30,
    PCI_EXP_DEVCTL_FLR = 1 << 15,
    PCI_EXP_DEVCTL2_ARI = 1 << 5, /* ARI Forwarding Enable, of ports */
    PCI_EXP_LNKCTL_DISABLE = 1 << 4,
    PCI_EXP_LNKSTA_ACTIVE = 1 << 13,
};

/* Device/port type of the PCI Express capability. */
typedef enum PciExpType {
    PCI_EXP_ENDPOINT = 0,
    PCI_EXP_ROOT_PORT = 4,
    PCI_EXP_RC_ENDPOINT = 9, /* on the root bus */
} PciExpType;

typedef enum PciResetKind {
    PCI_RESET_FLR,   /* function level reset */
    PCI_RESET_BUS,   /* secondary bus reset of the bridge above */
    PCI_RESET_POWER, /* machine reset */
} PciResetKind;

/* What a configuration write did, for observers. Values are of the @size bytes at @off. */
typedef struct PciConfigWrite {
    uint16_t off;
    uint8_t  size;
    uint32_t raw;      /* what was written, before masks: shows actions such as Initiate FLR */
    uint32_t old, now; /* register content before and after */
} PciConfigWrite;

/*
 * What a function may add to the common behaviour; every member may be NULL. Order of a configuration write:
 * config_write (may answer alone), masks, config_written, span handlers, effects (BARs move, reset starts).
 */
typedef struct PciHooks {
    bool (*config_read)(PciDevice *pd, unsigned off, unsigned size, uint32_t *value); /* true: answered */
    bool (*config_write)(PciDevice *pd, unsigned off, unsigned size, uint32_t value); /* true: done */
    void (*config_written)(PciDevice *pd, const PciConfigWrite *w);
    /* Whether an MMIO access is answered; when not, reads give all ones and writes are lost (MSI-X table
     * included). */
    bool (*mmio_allowed)(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, MemAttrs attrs,
                         bool write);
    /* Before a request leaves the function; @req->trusted is as the port says and may be looked at, not
     * changed. */
    DmaResult (*dma_allowed)(PciDevice *pd, const DmaRequest *req);
    /* Bridges: the same two for what passes through on its way to or from @below. */
    bool (*forward_mmio)(PciDevice *bridge, PciDevice *below, unsigned bar, MemAttrs attrs, uint64_t addr);
    DmaResult (*forward_dma)(PciDevice *bridge, PciDevice *below, const DmaRequest *req);
    /* Ports: whether a configuration request for what is below crosses the link. */
    bool (*forward_config)(PciDevice *port, uint16_t bdf);
    /* Ports: the link below went down (Link Disable, secondary bus reset); before the functions below are reset. */
    void (*link_down)(PciDevice *port);
    /* Before the registers go back to their reset values. The class's reset() is called after. */
    void (*reset)(PciDevice *pd, PciResetKind kind);
    /* D0 (0) or D3hot (3) was entered. */
    void (*power)(PciDevice *pd, unsigned state);
} PciHooks;

/* Registers with behaviour inside the configuration space (DOE, IDE): handlers by offset from the span's
 * start. */
typedef struct PciSpanOps {
    /* Replaces what the space holds; NULL: the stored bytes. @value comes in as the stored bytes. */
    uint32_t (*read)(void *opaque, unsigned off, unsigned size, uint32_t value);
    /* After masks were applied to the stored bytes. */
    void (*written)(void *opaque, const PciConfigWrite *w); /* w->off counts from the span's start */
    void (*reset)(void *opaque, PciResetKind kind);
} PciSpanOps;

typedef struct PciSpan {
    uint16_t          off, len;
    const PciSpanOps *ops;
    void             *opaque;
} PciSpan;

/* BAR flags; the values are those of the register's low bits. */
enum { PCI_BAR_IO = 0x1, PCI_BAR_MEM32 = 0x0, PCI_BAR_MEM64 = 0x4, PCI_BAR_PREFETCH = 0x8 };

typedef struct PciBar {
    PciDevice     *pd;
    unsigned       n;
    uint64_t       size; /* 0: no such BAR; a power of two, for memory at least 4 KiB */
    unsigned       flags;
    const MmioOps *ops;    /* the function's own; opaque is the PciDevice (as a Device) */
    MemRegion     *region; /* in the host's memory */
    uint64_t       base;   /* CPU physical address while mapped */
    bool           mapped;
} PciBar;

typedef struct PciMsixVector {
    uint64_t addr;
    uint32_t data, control; /* bit 0 of control: masked */
} PciMsixVector;

typedef struct PciMsix {
    uint8_t        cap; /* 0: none */
    uint8_t        table_bar, pba_bar;
    uint16_t       n;
    uint32_t       table_off, pba_off;
    PciMsixVector *vectors;
    uint64_t       pending[PCI_MSIX_MAX / 64];
} PciMsix;

/* First member of every PCI function's state struct. Fields are for reading; use the functions below to
 * change. */
struct PciDevice {
    Device          dev;
    PciBus         *bus;
    uint8_t         devfn;
    DmaPort         dma; /* dev.dma points here */
    const PciHooks *hooks;
    void           *hooks_opaque; /* of whoever set hooks */

    uint8_t  config[PCI_CONFIG_SIZE];
    uint8_t  wmask[PCI_CONFIG_SIZE]; /* bits a write changes */
    uint8_t  w1c[PCI_CONFIG_SIZE];   /* bits a write of one clears */
    uint8_t *initial;                /* config at the end of realize: what reset restores */
    uint16_t next_cap, next_ext_cap, last_cap, last_ext_cap;

    PciBar   bars[PCI_N_BARS];
    PciSpan  spans[PCI_MAX_SPANS];
    unsigned n_spans;
    PciMsix  msix;
    uint8_t  exp_cap, pm_cap;
    bool     intx;      /* level the function drives */
    bool     intx_out;  /* what it adds to the root's line below */
    uint8_t  intx_line;
    PciBus  *secondary; /* bridges */
    PciSlot *slot;      /* ports that are hot-plug capable (hotplug.h) */
    Sriov   *sriov;     /* physical functions (sriov.h) */
    PciDevice *pf;      /* virtual functions: whose, and which of them */
    uint8_t  vf_index;
};

static inline PciDevice *pci_device(Device *dev)
{
    return CONTAINER_OF(dev, PciDevice, dev);
}

struct PciBus {
    const char *name;   /* "pcie.0", or the id of the bridge */
    PciHost    *host;
    PciDevice  *bridge; /* NULL: the root bus */
    uint8_t     number; /* root: the host's first; else the bridge's Secondary Bus Number */
    PciDevice  *functions[256];
};

/* Who sits above a root complex. */
typedef struct PciUpstream {
    Memory       *memory;     /* where ECAM and BARs appear */
    Memory       *dma_memory; /* what DMA reaches after translation */
    DmaTranslate *translate;  /* IOMMU; NULL: I/O virtual addresses are Non-secure physical */
    void         *opaque;
    IrqLine       intx[4];    /* INTA..INTD of the root bus */
    /* Where MSIs go instead of into dma_memory through translate; NULL: as DMA. */
    void (*msi)(void *opaque, uint32_t requester, uint64_t addr, uint32_t data);
    void *msi_opaque;
} PciUpstream;

typedef struct PciWindow {
    uint64_t base, size; /* CPU physical = PCI bus address; size 0: absent */
} PciWindow;

typedef struct PciHostConfig {
    const char *name;     /* of the root bus; "pcie.0" */
    PciUpstream up;
    uint16_t    segment;
    uint8_t     first_bus, last_bus;
    uint64_t    ecam_base; /* 1 MiB for each bus; 0: no window, configuration only by pci_host_config_* */
    PciWindow   mem32, mem64;
    PciWindow   io;        /* CPU address; the bus address of its first byte is 0 */
} PciHostConfig;

/* ---- hosts ---- */

/* pci_host_new - a root complex with an empty root bus. The configuration is copied. */
PciHost *pci_host_new(const PciHostConfig *cfg);
void     pci_host_free(PciHost *host); /* frees all functions too */

const PciHostConfig *pci_host_config(const PciHost *host);
PciBus              *pci_host_root(PciHost *host);

/* pci_host_find_bus - by name: "pcie.0" or the id of a bridge; NULL when there is none. */
PciBus *pci_host_find_bus(PciHost *host, const char *name);

/* pci_host_find - the function that now answers to @bdf (bus << 8 | device << 3 | function), or NULL. */
PciDevice *pci_host_find(PciHost *host, uint16_t bdf);

/* pci_host_find_id - by -device id=, anywhere in the hierarchy. */
PciDevice *pci_host_find_id(PciHost *host, const char *id);

/* pci_host_foreach - bus by bus, by device and function number. */
void pci_host_foreach(PciHost *host, void (*fn)(PciDevice *pd, void *opaque), void *opaque);

/**
 * pci_host_config_read, pci_host_config_write - one configuration request, as ECAM would make it.
 * @off: 0..4095; @size: 1, 2 or 4, aligned. Nothing there: all ones, writes are lost.
 */
uint32_t pci_host_config_read(PciHost *host, uint16_t bdf, unsigned off, unsigned size);
void     pci_host_config_write(PciHost *host, uint16_t bdf, unsigned off, unsigned size, uint32_t value);

/* pci_host_reset - machine reset of everything below. */
void pci_host_reset(PciHost *host);

/* pci_host_update - the windows' rules changed outside (host windows, enable): maps all BARs anew. */
void pci_host_update(PciHost *host);

/* ---- plugging in ---- */

/**
 * pci_plug - put a device_new() function on a bus and realize it.
 * @devfn: device << 3 | function, or -1 for the first free device (a PCIe port has only device 0)
 * On failure the device is freed. A class of another bus, a taken place, a full bus: a sentence in @error.
 */
bool pci_plug(PciBus *bus, Device *dev, int devfn, GError **error);

/* pci_plug_option - the same by Device.bus_name and Device.addr ("05" or "05.1"), as -device gave them. */
bool pci_plug_option(PciHost *host, Device *dev, GError **error);

uint16_t pci_bdf(const PciDevice *pd);

/* ---- for functions' realize() ---- */

typedef struct PciIds {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* 24 bits: class, subclass, interface */
    uint8_t  revision;
} PciIds;

/* pci_set_ids - header of type 0 with these numbers; first call of every realize(). */
void pci_set_ids(PciDevice *pd, const PciIds *ids);

/* pci_add_cap, pci_add_ext_cap - link in a capability of @size bytes (zeroed, read-only); returns its
 * offset. */
unsigned pci_add_cap(PciDevice *pd, uint8_t id, unsigned size);
unsigned pci_add_ext_cap(PciDevice *pd, uint16_t id, unsigned version, unsigned size);

/* pci_find_ext_cap - offset, or 0. */
unsigned pci_find_cap(const PciDevice *pd, uint8_t id);
unsigned pci_find_ext_cap(const PciDevice *pd, uint16_t id);

/* pci_add_bar - BAR @n (and @n + 1 when PCI_BAR_MEM64); @ops see offsets, with the Device as their opaque. */
void pci_add_bar(PciDevice *pd, unsigned n, uint64_t size, unsigned flags, const MmioOps *ops);

/* pci_add_exp - the PCI Express capability; @devcap_extra adds bits to Device Capabilities (FLR, TEE-IO). */
void pci_add_exp(PciDevice *pd, PciExpType type, uint32_t devcap_extra);

/* pci_add_pm - power management: D0 and D3hot; No_Soft_Reset, so registers survive D3hot. */
void pci_add_pm(PciDevice *pd);

/* pci_add_aer - Advanced Error Reporting, registers only: no error is ever signalled to it. */
void pci_add_aer(PciDevice *pd);

/* pci_add_acs - Access Control Services of a root port: all redirects, always obeyed since nothing goes
 * peer to peer. */
void pci_add_acs(PciDevice *pd);

/* pci_add_msix - @n vectors; table and pending bits inside BARs added before. */
void pci_add_msix(PciDevice *pd, unsigned n, unsigned table_bar, uint32_t table_off, unsigned pba_bar,
                  uint32_t pba_off);

/* pci_set_interrupt_pin - 1..4: the function may use INTx. */
void pci_set_interrupt_pin(PciDevice *pd, unsigned pin);

/* pci_add_span - behaviour for @len bytes of configuration space at @off. */
void pci_add_span(PciDevice *pd, unsigned off, unsigned len, const PciSpanOps *ops, void *opaque);

/* Little-endian access to config, wmask and w1c by register. */
static inline uint32_t pci_get(const PciDevice *pd, unsigned off, unsigned size)
{
    const uint8_t *p = pd->config + off;

    return size == 4 ? le32_get(p) : size == 2 ? le16_get(p) : (uint32_t)le_get(p, size); /* one load, mostly */
}

void pci_set(PciDevice *pd, unsigned off, unsigned size, uint32_t value);
void pci_set_wmask(PciDevice *pd, unsigned off, unsigned size, uint32_t mask);
void pci_set_w1c(PciDevice *pd, unsigned off, unsigned size, uint32_t mask);

/* ---- at run time ---- */

bool pci_msix_enabled(const PciDevice *pd);

/* pci_msix_notify - send vector @v, or note it pending while masked; PCI_MSIX_NONE does nothing. */
void pci_msix_notify(PciDevice *pd, unsigned v);

/* pci_msix_reset - table and pending bits as after a reset: all vectors masked, with no address and data. */
void pci_msix_reset(PciDevice *pd);

/* pci_set_intx - drive the function's INTx level. */
void pci_set_intx(PciDevice *pd, bool level);

/* pci_reset_function - what Initiate FLR, bus reset and machine reset do. */
void pci_reset_function(PciDevice *pd, PciResetKind kind);

/* pci_bar_address - what the registers of a memory or I/O BAR say, whether it answers or not; of a virtual function,
 * its share of the physical function's VF BAR. */
uint64_t pci_bar_address(const PciDevice *pd, unsigned bar);

/* pci_update_bars - after something that decides about a function's mappings changed. */
void pci_update_bars(PciDevice *pd);

unsigned pci_power_state(const PciDevice *pd);

/* pci_link_is_down - a port holds everything below in reset: by Link Disable, or by its secondary bus reset. */
bool pci_link_is_down(const PciDevice *port);

/* pci_link_reset - the link below a port goes down and comes up again: hot reset of everything below. */
void pci_link_reset(PciDevice *port);

/**
 * pci_bar_access - one MMIO access by offset with all checks (gate, MSI-X table, then the function's ops).
 * For those who decode addresses themselves, such as a VMM that emulates the device for a Realm.
 */
MemResult pci_bar_read(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, MemAttrs attrs,
                       uint64_t *value);
MemResult pci_bar_write(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, MemAttrs attrs,
                        uint64_t value);

#endif
