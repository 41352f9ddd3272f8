/*
 * One owner per page. Who owns a 4 KiB physical page, asked where a translation is filled (CPU TLB, IOMMU
 * TLB) and by every direct access of a modelled party, never on the hot path. Arm RME: granule protection
 * checks (DDI 0487, "Granule Protection Checks"). In model mode the monitor sets the table; later sources
 * walk a GPT or an RMP.
 */
#ifndef BAILEY_OWNER_H
#define BAILEY_OWNER_H

#include <stdbool.h>
#include <stdint.h>

/* Physical address spaces; the value is {NSE, NS} as in SCR_EL3 with Root at the place of the unused code. */
typedef enum Pas {
    PAS_SECURE = 0,
    PAS_NONSECURE = 1,
    PAS_ROOT = 2,
    PAS_REALM = 3,
    PAS_N
} Pas;

/* What a page's entry says; the values are the GPI encodings of the architecture. */
typedef enum Owner {
    OWNER_NONE = 0x0,
    OWNER_SECURE = 0x8,
    OWNER_NONSECURE = 0x9,
    OWNER_ROOT = 0xa,
    OWNER_REALM = 0xb,
    OWNER_ANY = 0xf,
} Owner;

typedef struct Owners Owners;

/* A cache of translations (CPU TLBs, decoded code, an SMMU): drops all that leads to [@pa, @pa + @len). */
typedef void OwnersFlush(void *opaque, uint64_t pa, uint64_t len);

/* owners_new - every page of the 48-bit physical space starts as OWNER_NONSECURE. */
Owners *owners_new(void);
void    owners_free(Owners *o);

void  owners_add_cache(Owners *o, OwnersFlush *flush, void *opaque);
void  owners_remove_cache(Owners *o, OwnersFlush *flush, void *opaque);
Owner owners_get(const Owners *o, uint64_t pa);

/* owners_allow - whether an access in space @pas may reach the page of @pa. */
bool owners_allow(const Owners *o, uint64_t pa, Pas pas);

/* owners_fill - as owners_allow, and when true notes that a cache now holds the page's translation. Not for pages
 * where no memory is: notes take memory of ours, and a guest may roam. Such pages are not kept. */
bool owners_fill(Owners *o, uint64_t pa, Pas pas);

/**
 * owners_set - change the owner of whole pages.
 * @pa, @len: multiples of 4 KiB Before it returns every cache has dropped what it held of the pages whose
 * owner changed; free of charge for pages never filled.
 */
void owners_set(Owners *o, uint64_t pa, uint64_t len, Owner owner);

/* owners_drop - the owner stays, but no cache keeps a translation to the pages: access was taken away by a
 * translation table. Free of charge for pages not filled since the last time. @pa, @len: multiples of 4 KiB */
void owners_drop(Owners *o, uint64_t pa, uint64_t len);

const char *pas_name(Pas pas);

#endif
