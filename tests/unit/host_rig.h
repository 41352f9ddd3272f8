/*
 * The built-in host on a small machine: real memory, GIC, SMMU and PCI with one device below a root port, and
 * an RMM made up for the test. It keeps the books (who owns a page, what is mapped where) and holds
 * conversations whose messages the device must send back as they were.
 */
#ifndef BAILEY_TESTS_HOST_RIG_H
#define BAILEY_TESTS_HOST_RIG_H

#include "host/host_int.h"
#include "hw/pci/doe.h"
#include "hw/pci/ide.h"
#include "iommu/smmuv3.h"

/* Where things are: the virt board's places. */
#define RIG_RAM  0x40000000ull
#define RIG_GICD 0x08000000ull
#define RIG_GICR 0x080a0000ull
#define RIG_ITS  0x08080000ull
#define RIG_ECAM 0x4010000000ull

enum { RIG_PORT = 0x08, RIG_DEV = 0x100, RIG_N_STEPS = 32 };
#define RIG_REALM_SIZE (8ull << 20)
#define RIG_RAM_SIZE   (48ull << 20)
#define RIG_VDEV       RHI_VDEV_ID(0, RIG_DEV)

/* Endpoint: BAR 0 of 4 pages, BAR 2 with the MSI-X table, BAR 4 of a page; DOE that echoes, one IDE stream.
   */
typedef struct RigDevice {
    PciDevice pci;
    Doe       doe;
    IdeCap    ide;
    bool      silent, talks_secured; /* it never answers; it offers secured objects */
    unsigned  n_objects, n_bar_writes;
} RigDevice;

typedef struct FakeRmm {
    GHashTable *aliases, *assigned; /* pages of the unprotected half; device pages in the protected one */
    int         n_delegated;
    int         pdev, vdev;         /* states; -1: not created */
    int         next_state;         /* when the conversation is over */
    unsigned    left, sent;         /* messages to go, and made so far */
    bool        in_flight, secured, broken;
    unsigned    object;             /* what the conversation leaves: RmiCommObject, or 4 */
    uint32_t    refuse;             /* this command fails */
    bool        wrong_pa;           /* the page mapped last is not the one of its IPA */
    uint64_t    completed, validated_base, validated_top;
    uint8_t     key[97];
    uint8_t     params[PAGE_SIZE];  /* of the last VDEV_GET_MEASUREMENTS */
    const char *stopped;            /* by machine_stop */
    const char *steps[RIG_N_STEPS];
    unsigned    n_steps;
} FakeRmm;

typedef struct HostRig {
    Clock      *clock;
    Owners     *owners;
    Memory     *memory;
    Gic        *gic;
    Smmu       *smmu;
    PciHost    *pci;
    RigDevice  *dev;
    A64Cpu     *cpu;
    Options     options;
    Chardev    *serial[CCA_MAX_UARTS]; /* none */
    Host       *h;
    HostCpu    *hc;
    FakeRmm     rmm;
} HostRig;

/* host_rig_new - the host has built its Realm and stands before HOST_DEVICES. */
HostRig *host_rig_new(void);
void     host_rig_free(HostRig *r);

/* Steps until the phase of the devices is over. */
void host_rig_connect(HostRig *r);

/* One RHI call, carried to its end; returns gprs[0], all of gprs are in @gprs. */
uint64_t host_rig_call(HostRig *r, uint16_t imm, uint64_t gprs[31]);
uint64_t host_rig_rhi(HostRig *r, uint32_t fn, uint64_t a1, uint64_t a2);

/* The Realm shares a page, or takes it back. */
void host_rig_share(HostRig *r, uint64_t ipa, bool shared);

/* MMIO of the Realm at an IPA without the shared bit. */
uint64_t host_rig_read(HostRig *r, uint64_t ipa, unsigned size);
void     host_rig_write(HostRig *r, uint64_t ipa, unsigned size, uint64_t value);

bool host_rig_noted(const HostRig *r, const char *step);

#endif
