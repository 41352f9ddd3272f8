/*
 * Integrity and Data Encryption extended capability with its key store, as a reusable block for root ports
 * and endpoints. TLPs are not encrypted: one passes when both ends hold the same key and IV for its
 * sub-stream and both are Secure (ide_pair_secure). What no selective stream carries is the link stream's of its
 * traffic class, when there is one (ide_link_passes). A stream's index is that of its selective block, or the number of
 * those and that of its link block. Source: PCI Express Base Specification 6.0, "Integrity & Data Encryption (IDE)".
 */
#ifndef BAILEY_HW_PCI_IDE_H
#define BAILEY_HW_PCI_IDE_H

#include "hw/pci/pci.h"
#include "spdm/ide_km.h" /* key lengths and sub-stream numbers are those of IDE_KM */

enum {
    IDE_MAX_LINK = 8,
    IDE_MAX_STREAMS = 16, /* selective */
    IDE_MAX_ADDR = 4,
    IDE_N_SUB = IDE_SUB_STREAMS,
    IDE_IV_LEN = 8,
    IDE_STREAM_ID_NONE = 255, /* what Linux parks disabled streams on */
};

typedef enum IdeDirection { IDE_RX = 0, IDE_TX = 1 } IdeDirection; /* as seen by this port */

/* Encodings of the Status register. */
typedef enum IdeStreamState { IDE_INSECURE = 0, IDE_SECURE = 2 } IdeStreamState;

typedef struct IdeKey {
    bool    programmed;
    bool    go;
    bool    retired; /* a receiver's, still taken, after the other set's has GO */
    uint8_t key[IDE_KEY_LEN];
    uint8_t iv[IDE_IV_LEN];
} IdeKey;

typedef struct IdeStream {
    IdeKey         keys[2][2][IDE_N_SUB]; /* [key set][IdeDirection][IdeSubStream] */
    IdeStreamState state;
    uint8_t        active_set; /* key set in use while Secure */
    uint64_t       tx_count, rx_count; /* TLPs since the keys went live */
    bool           broken; /* left Secure while enabled and in use: nothing with T=0 is sent until it is disabled or, if
                            * it is a selective one, Secure again */
} IdeStream;

typedef struct IdeCap IdeCap;

typedef struct IdeOps {
    /* A stream went Secure or Insecure; @sel is its index. */
    void (*changed)(void *opaque, IdeCap *ide, unsigned sel, IdeStreamState state);
    /* Control, RID or address association registers of block @sel changed value (TDISP: TDI to ERROR when
     * bound); @was: its state before. */
    void (*reconfigured)(void *opaque, IdeCap *ide, unsigned sel, IdeStreamState was);
    /* A TLP is about to pass in direction @dir. True: it is spoilt on the way, and its MAC check will fail. NULL: none
     * is. It may also take the stream out of Secure. */
    bool (*spoils)(void *opaque, IdeCap *ide, unsigned sel, IdeDirection dir);
} IdeOps;

typedef struct IdeConfig {
    unsigned n_link;  /* traffic classes with link IDE; 0: no link IDE */
    unsigned n_sel;   /* selective streams, 1..IDE_MAX_STREAMS */
    unsigned n_addr;  /* address association blocks of each, 0..IDE_MAX_ADDR */
    bool     ide_km;  /* keys come by IDE_KM (endpoint) */
    bool     tee_limited, cfg_requests;
} IdeConfig;

struct IdeCap {
    PciDevice    *pd;
    uint16_t      off;
    IdeConfig     cfg;
    const IdeOps *ops;
    void         *opaque;
    IdeStream     streams[IDE_MAX_STREAMS + IDE_MAX_LINK]; /* selective ones, then link ones */
};

/* ide_init - add the capability to a function; from its realize(). @ops may be NULL. */
void ide_init(IdeCap *ide, PciDevice *pd, const IdeConfig *cfg, const IdeOps *ops, void *opaque);

/* ide_find_stream - selective block whose Stream ID register holds @stream_id, or -1; of several, that with keys. */
int ide_find_stream(const IdeCap *ide, uint8_t stream_id);

/* ide_find_keyed - the same for IDE_KM, which names link streams too: their IDs are distinct from the others'. */
int ide_find_keyed(const IdeCap *ide, uint8_t stream_id);

/* ide_has_keys - some key of the stream is programmed. */
bool ide_has_keys(const IdeCap *ide, unsigned index);
bool ide_is_link(const IdeCap *ide, unsigned index);

/* Fields of a block's registers; default and TEE-limited are those of selective ones. */
bool     ide_enabled(const IdeCap *ide, unsigned sel);
bool     ide_default(const IdeCap *ide, unsigned sel);
uint8_t  ide_stream_id(const IdeCap *ide, unsigned sel);
uint8_t  ide_traffic_class(const IdeCap *ide, unsigned sel);
bool     ide_tee_limited(const IdeCap *ide, unsigned sel);
bool     ide_takes_config(const IdeCap *ide, unsigned sel);

/* ide_rid_matches, ide_addr_matches - a valid association of the block holds @rid, @addr. */
bool ide_rid_matches(const IdeCap *ide, unsigned sel, uint16_t rid);
bool ide_addr_matches(const IdeCap *ide, unsigned sel, uint64_t addr);
/* ide_rid_range, ide_addr_range - what an association says, both ends included; false: it is not valid. @k: below
 * cfg.n_addr. */
bool ide_rid_range(const IdeCap *ide, unsigned sel, uint16_t *base, uint16_t *limit);
bool ide_addr_range(const IdeCap *ide, unsigned sel, unsigned k, uint64_t *base, uint64_t *limit);
/* ide_got_fail - the other end has told of a failed check: Received Integrity Check Fail Message. */
bool ide_got_fail(const IdeCap *ide, unsigned index);
/* ide_overlap - associations of two blocks have a requester ID or an address in common. */
bool ide_overlap(const IdeCap *ide, unsigned a, unsigned b);
IdeStreamState ide_state(const IdeCap *ide, unsigned sel);

/**
 * ide_key_prog - store one sub-stream's key (KEY_PROG).
 * Returns false when the slot's key is in use (go, and not retired) or an argument is out of range.
 */
bool ide_key_prog(IdeCap *ide, unsigned sel, unsigned key_set, IdeDirection dir, unsigned sub,
                  const uint8_t key[IDE_KEY_LEN], const uint8_t iv[IDE_IV_LEN]);

/* ide_key_go, ide_key_stop - K_SET_GO and K_SET_STOP of one sub-stream; the stream's state follows before
 * return. */
bool ide_key_go(IdeCap *ide, unsigned sel, unsigned key_set, IdeDirection dir, unsigned sub);
bool ide_key_stop(IdeCap *ide, unsigned sel, unsigned key_set, IdeDirection dir, unsigned sub);

/* ide_keys_ready - all three sub-streams in both directions are GO in one key set. */
bool ide_keys_ready(const IdeCap *ide, unsigned sel);

/* ide_keys_clear - forget all keys of a stream (session ended): it goes Insecure. */
void ide_keys_clear(IdeCap *ide, unsigned sel);

/* ide_fail - a MAC failure or an IDE Fail message: Insecure, with the Status bit set when @message. */
void ide_fail(IdeCap *ide, unsigned sel, bool message);

/* ide_default_stream - the enabled selective block that is marked as default, or -1. */
int ide_default_stream(const IdeCap *ide);

/**
 * ide_pair_secure - @tx sends a TLP of sub-stream @sub to @rx over @stream_id.
 * Returns whether it arrives: both Secure, same key, same IV, not spoilt on the way. A spoilt one makes both ends
 * Insecure: @rx by its MAC check, @tx by the IDE Fail message.
 */
bool ide_pair_secure(IdeCap *tx, IdeCap *rx, uint8_t stream_id, IdeSubStream sub);

/**
 * ide_untrusted_passes - @tx sends a TLP with T=0 of sub-stream @sub to @rx over its selective stream @sel, which is
 * enabled and not TEE-limited.
 * Returns whether it arrives, by the rules of ide_link_passes(), but that Secure streams send again.
 */
bool ide_untrusted_passes(IdeCap *tx, unsigned sel, IdeCap *rx, IdeSubStream sub);

/**
 * ide_link_passes - @tx sends @rx, across the link, a TLP of traffic class 0 that no selective stream carries.
 * Returns whether it arrives: plain, while no link stream of that class is in use; when one is, both ends must be
 * Secure and agree. A stream is in use from the first TLP on after both ends have become Secure, in whatever order. A
 * plain TLP that meets one is a failed check and breaks it. One that is broken sends nothing until it is disabled.
 */
bool ide_link_passes(IdeCap *tx, IdeCap *rx, IdeSubStream sub);

#endif
