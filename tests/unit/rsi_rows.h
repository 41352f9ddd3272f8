/*
 * RSI commands of devices by their failure labels, as rows: the Realm's call fails by the label, and the VDEV is what
 * it was. A condition that is only looked at when the host has answered fails at the REC_ENTER after. At the end: every
 * condition that the code has, has a row.
 */
#ifndef BAILEY_TESTS_RSI_ROWS_H
#define BAILEY_TESTS_RSI_ROWS_H

#include "tests/unit/rmm_dev_rig.h"

typedef struct RsiRow {
    uint32_t    fid;
    const char *label;
    RsiStatus   status;
    uint64_t    x[8];               /* x1 on */
    unsigned    stage;              /* of the world */
    void      (*prepare)(void);     /* before the call */
    RmiExitReason exit;             /* RMI_EXIT_SYNC: the call is answered at once; else the reason of its exit, */
    void      (*meanwhile)(void);   /* after which the host does this before it lets the Realm go on; NULL: nothing */
} RsiRow;

typedef struct RsiRows {
    const RsiRow *rows;
    size_t        n_rows;
    DevRig     *(*open)(unsigned stage);
    bool        (*covers)(const RmmFunction *f); /* whether the rows are to break all conditions of an RSI command */
} RsiRows;

/* rsi_rows_break - each row, in a world of its own. */
void rsi_rows_break(const RsiRows *t);
/* rsi_rows_complete - fails naming a condition without a row. */
void rsi_rows_complete(const RsiRows *t);

#endif
