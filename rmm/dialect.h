/*
 * The dialects of the RMM's interface. Published documents number commands, lay out structures and run the life of a
 * device differently, some of them under one version number, so that a machine speaks one of them from the start
 * (-M cca,rmm=). A dialect is a row of rmm_dialects[] and the commands that name it in their .dialects; objects, their
 * state machines and all other commands are the same in each. Host and RMM read the same rows.
 *
 * 2.0 is to be one more row and IN_2_0, and a file for its commands on ranges and its stateful operations.
 */
#ifndef BAILEY_RMM_DIALECT_H
#define BAILEY_RMM_DIALECT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "rmm/rmi.h"

typedef enum RmmDialectId { RMM_1_0, RMM_1_1_ALP12, RMM_1_1_ALP17, RMM_N_DIALECTS } RmmDialectId;

/* Which dialects have a command; 0: each of them. */
enum {
    IN_1_0 = 1 << RMM_1_0,
    IN_ALP12 = 1 << RMM_1_1_ALP12,
    IN_ALP17 = 1 << RMM_1_1_ALP17,
    IN_DA = IN_ALP12 | IN_ALP17, /* those with device assignment */
    IN_ALL = (1 << RMM_N_DIALECTS) - 1,
};

enum { RMM_MAX_VERSIONS = 2 };

typedef struct RmmDialect {
    const char *name, *document; /* of rmm=; how the pages in docs/ call it */

    /* Interface revisions that RMI_VERSION offers, ascending; 0 ends. RSI is 1.0 and 1.1 in each. */
    uint64_t    rmi_versions[RMM_MAX_VERSIONS + 1];

    /* RmiRealmParams: known bits of flags0; whether the fields of 1.1 (planes) are there and have to be zero. */
    uint64_t    realm_flags;
    bool        realm_planes;

    bool        token_mec;       /* the Realm token says which memory encryption context the Realm has */

    bool        da;              /* has device assignment commands; all below is about them */
    bool        rdev;            /* the Realm drives a VDEV by RSI_RDEV_*; else the host does, by RMI_VDEV_* */
    uint64_t    pdev_flags;      /* RmiPdevParams: what a device with SPDM and an IDE stream has to say */
    uint64_t    pdev_flags_also; /* and what it may say besides */

    /* Places in RmiDevCommData and RmiRecExit, from the start of the page; 0: there is no such field. */
    uint16_t    comm_req_len, comm_req_delay, comm_timeout;
    uint16_t    exit_vdev_id, exit_vdev, exit_vdev_action, exit_dev_mem_base, exit_dev_mem_top, exit_dev_mem_pa;

    /* Names of RmiExitReason. */
    const char *exits[RMI_N_EXITS];
} RmmDialect;

extern const RmmDialect rmm_dialects[RMM_N_DIALECTS];

/**
 * rmm_dialect_parse - the dialect of a name as in -M cca,rmm=NAME.
 * @name: NULL for the default
 * @id:   receives it
 * Returns false with a sentence that lists the names.
 */
bool rmm_dialect_parse(const char *name, RmmDialectId *id, GError **error);

#endif
