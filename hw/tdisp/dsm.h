/*
 * The device security manager as a part that any PCI device model can carry: DOE mailbox, SPDM responder, IDE_KM,
 * IDE capability, and one TDISP interface for each function, virtual ones too. A model embeds a Dsm, puts DSM_PROPS
 * into its properties, says in a TdiModel what of its BARs a trusted guest is to rely on, and calls dsm_realize().
 * Source: PCI Express Base Specification 6.0, "CMA-SPDM", "IDE_KM", "TDISP".
 */
#ifndef BAILEY_HW_TDISP_DSM_H
#define BAILEY_HW_TDISP_DSM_H

#include "hw/pci/doe.h"
#include "hw/pci/ide.h"
#include "hw/tdisp/brain.h"
#include "hw/tdisp/capture.h"
#include "hw/tdisp/tamper.h"
#include "spdm/ide_km.h"
#include "spdm/pki.h"
#include "spdm/spdm.h"
#include "spdm/tdisp.h"

enum {
    DSM_PORT = 0,        /* IDE_KM's number of the only port */
    DSM_N_STREAMS = 2,   /* selective IDE streams */
    DSM_N_LINK = 1,      /* link IDE streams */
    DSM_N_ADDR = 1,      /* address association blocks of each */
    DSM_MAX_FUNCTIONS = 9,
    DSM_MAX_MAILBOXES = 4,
    DSM_MAX_RANGES = 4,
    DSM_N_VECTORS = 1,   /* MSI-X vectors that a model has for it behind its own: the mailbox's */
};

/* A part of a BAR in whole pages, as the interface report has it. */
typedef struct TdiRange {
    uint8_t  bar;
    uint32_t first, end; /* offsets; end 0: where the BAR ends */
    uint16_t attributes; /* TDISP_RANGE_NON_TEE, TDISP_RANGE_UPDATABLE */
} TdiRange;

/* What a device model says about the interface of one of its functions. */
typedef struct TdiModel {
    const TdiRange *ranges; /* all of every BAR but that of the MSI-X table, ascending */
    unsigned        n_ranges;
    const char     *info;   /* DEVICE_SPECIFIC_INFO */
    /* Forget all data of whoever used the function. */
    void (*scrub)(PciDevice *pd);
    /* Whether the read under way tells its failure itself, so that the interface does not fail with it (PCIe "Advisory
     * Non-Fatal Error Cases"). NULL: none does. */
    bool (*tells_failure)(PciDevice *pd);
} TdiModel;

typedef struct Dsm Dsm;

/* What goes wrong with the IDE stream on request: property ide-fault, ide_fault.c. */
typedef enum IdeFaultKind { IDE_FAULT_NONE, IDE_FAULT_MAC, IDE_FAULT_KEY_EXPIRY, IDE_FAULT_LINK,
               IDE_FAULT_LINK_MAC } IdeFaultKind;

typedef struct IdeFault {
    char        *text; /* the property */
    IdeFaultKind kind;
    uint64_t     left; /* TLPs until it happens; 0: it did, or never will */
    ClockTimer   link;
} IdeFault;

/* One function of the device, with its interface. */
typedef struct TdiFunction {
    PciDevice      *pd;
    Dsm            *dsm;
    const TdiModel *model;
    Tdi            *tdi;
    unsigned        bound;      /* selective streams of the locked interface, by bits */
    unsigned        non_tee;    /* ranges of the model that are not TEE memory now, by bits */
    bool            msix;       /* the MSI-X table was locked when the interface last was */
    unsigned        window_cap; /* a second way into the BARs: VIRTIO_PCI_CAP_PCI_CFG; 0: none */

    /* The way upstream that guard.c listens on. */
    DmaTranslate *upstream;
    void         *upstream_opaque;
} TdiFunction;

struct Dsm {
    PciDevice          *pd; /* function 0 */
    Doe                 other[DSM_MAX_MAILBOXES - 1]; /* mailboxes before the one for SPDM */
    Doe                 doe;
    IdeCap              ide;
    SpdmIdentity        identities[SPDM_IDENTITIES_MAX]; /* as many as spdm.n_identities says */
    uint8_t            *long_chain[SPDM_SLOTS], *long_talk; /* rooms for certificates beyond SPDM_CERTS_MAX, and for
                                                             * what is said of them; NULL: there are none */
    SpdmProvisions      provisions;
    SpdmResponder       responder;
    SpdmResponderConfig spdm; /* what the properties set of it */
    Brain              *brain; /* who answers in its place; NULL: nobody */
    IdeKm               km;
    TdispDsm            tdisp;
    Tdi                 tdis[DSM_MAX_FUNCTIONS];
    TdiFunction         functions[DSM_MAX_FUNCTIONS];
    unsigned            n_functions;
    IdeFault            ide_fault;
    uint8_t             requester_root[SPDM_CERTS_MAX]; /* DER, whom requesters' certificates must come from; */
    size_t              requester_root_len;             /* 0: the device's own roots */
    Capture             capture;      /* of the mailbox */
    Tamper              faults;       /* what tamper= says */
    ClockTimer          heartbeat;    /* when a session ends that nothing is heard from */
    uint8_t             measured[64]; /* value of the measurement handed out last */

    /* Properties. */
    char    *slot_chain[SPDM_SLOTS], *slot_key[SPDM_SLOTS]; /* from slot 1 on */
    char    *cert_chain, *key, *tamper, *spdm_version, *spdm_algs, *spdm_pcap, *spdm_keylog,
        *spdm_caps, *spdm_psk, *spdm_mut_auth, *requester_root_file, *spdm_where;
    uint64_t heartbeat_s, transfer_size, key_update_records, n_mailboxes;
    bool     p2p, basic_mut_auth;
};

/* Properties of a device with a security manager; @at: where the Dsm is in the class's state, as offsetof(TdispNic,
 * dsm). */
#define DSM_SLOT_PROP(at, slot)                                                                                    \
    { "cert-chain-" #slot, PROP_STRING, (at) + offsetof(Dsm, slot_chain) + (slot) * sizeof(char *), NULL,          \
      "file of PEM certificates for slot " #slot ", root first, the last one for the device's key" },               \
    { "key-" #slot, PROP_STRING, (at) + offsetof(Dsm, slot_key) + (slot) * sizeof(char *), NULL,                   \
      "file of a key of its own for slot " #slot " in PEM, with spdm-caps=+get_key_pair_info+multi_key" }
#define DSM_PROPS(at)                                                                                              \
    { "cert-chain", PROP_STRING, (at) + offsetof(Dsm, cert_chain), NULL,                                           \
      "file of PEM certificates, root first (default: the test PKI)" },                                            \
    { "key", PROP_STRING, (at) + offsetof(Dsm, key), NULL,                                                         \
      "file of the last certificate's key in PEM: EC P-256, P-384, P-521, RSA, Ed25519, Ed448" },                  \
    DSM_SLOT_PROP(at, 1), DSM_SLOT_PROP(at, 2), DSM_SLOT_PROP(at, 3), DSM_SLOT_PROP(at, 4), DSM_SLOT_PROP(at, 5),  \
    DSM_SLOT_PROP(at, 6), DSM_SLOT_PROP(at, 7),                                                                    \
    { "spdm", PROP_STRING, (at) + offsetof(Dsm, spdm_where), NULL,                                                 \
      "socket:ADDRESS:PORT or socket:unix:PATH: an SPDM responder that answers in the device's place" },           \
    { "spdm-version", PROP_STRING, (at) + offsetof(Dsm, spdm_version), "1.2:1.3",                                  \
      "SPDM version, or lowest:highest, of 1.1, 1.2, 1.3, 1.4" },                                                  \
    { "spdm-algs", PROP_STRING, (at) + offsetof(Dsm, spdm_algs), NULL,                                             \
      "algorithms it agrees to, joined by + as in sha256+ecdsa-p256; all of a kind that none is named of (an "     \
      "unknown name lists them)" },                                                                                \
    { "spdm-heartbeat", PROP_UINT, (at) + offsetof(Dsm, heartbeat_s), "0",                                         \
      "seconds between signs of life that a session needs, up to 255; 0: none" },                                  \
    { "doe-mailboxes", PROP_UINT, (at) + offsetof(Dsm, n_mailboxes), "1",                                          \
      "DOE mailboxes, up to 4: the last one is for SPDM, those before it send a vendor's object back" },           \
    { "spdm-pcap", PROP_STRING, (at) + offsetof(Dsm, spdm_pcap), NULL,                                             \
      "file for a capture of its DOE mailbox for SPDM, in pcap" },                                                 \
    { "spdm-keylog", PROP_STRING, (at) + offsetof(Dsm, spdm_keylog), NULL,                                         \
      "file for the secrets of its SPDM sessions, to decrypt the capture with" },                                  \
    { "spdm-caps", PROP_STRING, (at) + offsetof(Dsm, spdm_caps), NULL,                                             \
      "capabilities to add or take away, as in +chunk-chal" },                                                     \
    { "spdm-mut-auth", PROP_STRING, (at) + offsetof(Dsm, spdm_mut_auth), "encap",                                  \
      "how a requester's certificates are asked for with spdm-caps=+mut_auth+encap: encap, or digests: the first " \
      "request is implied" },                                                                                      \
    { "spdm-basic-mut-auth", PROP_BOOL, (at) + offsetof(Dsm, basic_mut_auth), "off",                               \
      "challenge requesters back that send a CHALLENGE, with spdm-caps=+mut_auth+encap" },                         \
    { "spdm-key-update", PROP_UINT, (at) + offsetof(Dsm, key_update_records), "0",                                 \
      "records after which it asks for a new key of its own, with spdm-caps=+encap; 0: never" },                   \
    { "spdm-requester-root", PROP_STRING, (at) + offsetof(Dsm, requester_root_file), NULL,                         \
      "file of the root certificate in PEM that a requester's must come from (default: the device's own roots)" }, \
    { "spdm-psk", PROP_STRING, (at) + offsetof(Dsm, spdm_psk), NULL,                                               \
      "file of its pre-shared key, a line HINT:HEX, for spdm-caps=+psk (default: the TEST key)" },                 \
    { "spdm-transfer-size", PROP_UINT, (at) + offsetof(Dsm, transfer_size), "4096",                                \
      "bytes of the SPDM buffer, 42 to 4096; longer messages come in chunks with spdm-caps=+chunk" },              \
    { "tamper", PROP_STRING, (at) + offsetof(Dsm, tamper), NULL,                                                   \
      "what it does wrong, NAME[=N][+NAME...]: " TAMPER_NAMES },                                                   \
    { "ide-fault", PROP_STRING, (at) + offsetof(Dsm, ide_fault.text), NULL,                                        \
      "what goes wrong with the link encryption: mac, key-expiry, link, link-mac, at the first TLP or @N" },       \
    { "tdisp-p2p", PROP_BOOL, (at) + offsetof(Dsm, p2p), "off",                                                    \
      "offer BIND_P2P_STREAM (no request of the device uses such a stream)" }

/**
 * dsm_configure - what the properties say: certificates, versions, files, who answers, and the place below a root port.
 * Call before the rest of realize(). Returns false with a sentence in @error when one is wrong.
 */
bool dsm_configure(Dsm *dsm, PciDevice *pd, GError **error);

/* dsm_absent - for a device that was not told to have one: false with a sentence when properties of it were given. */
bool dsm_absent(const Dsm *dsm, const PciDevice *pd, GError **error);

/* dsm_unconfigure - give back what that took, when the rest of realize() fails before dsm_realize(). */
void dsm_unconfigure(Dsm *dsm);

/**
 * dsm_realize - add mailbox, IDE capability and AER to function 0, and guard it; last part of its realize().
 * @model: must stay
 * @window_cap: TdiFunction.window_cap
 */
void dsm_realize(Dsm *dsm, const TdiModel *model, unsigned window_cap);

/**
 * dsm_add_vf - guard the next virtual function of function 0, with an interface of its own; after dsm_realize().
 * @model, @window_cap: as there
 */
void dsm_add_vf(Dsm *dsm, PciDevice *vf, const TdiModel *model, unsigned window_cap);

/* dsm_vfs_changed - for sriov_init(): the interfaces of the first @n_there virtual functions are there. One that goes
 * and comes again is in the state that it was left in. */
void dsm_vfs_changed(void *dsm, unsigned n_there);

/* dsm_unrealize - from unrealize(), before the PCI functions go. */
void dsm_unrealize(Dsm *dsm);

/**
 * dsm_message - one message to the SPDM responder; by the mailbox, or past it as a management controller's.
 * @transport: that it came by; a connection that began on another one is torn
 * @secured: it is a record, and so is the answer
 * @rsp: SPDM_RECORD_MAX bytes are always enough
 * Returns bytes of the answer, 0 for silence.
 */
size_t dsm_message(Dsm *dsm, SpdmTransport transport, bool secured, const uint8_t *req, size_t req_len, uint8_t *rsp,
                   size_t rsp_cap);

/**
 * dsm_inject - a device that runs goes wrong, for testers.
 * @fault: a value of the properties ide-fault= or tamper=; counts begin now
 * Returns false with a sentence in @error.
 */
bool dsm_inject(Dsm *dsm, const char *fault, GError **error);

/* dsm_of - the security manager that guards a function, NULL when none does; dsm_tdi - its interface. */
Dsm       *dsm_of(const PciDevice *pd);
const Tdi *dsm_tdi(const PciDevice *pd);

/* The data objects that a mailbox takes besides discovery. */
enum { DSM_N_PROTOCOLS = 2 };
extern const DoeProtocol dsm_protocols[DSM_N_PROTOCOLS];

#endif
