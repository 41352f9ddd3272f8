/*
 * Commands of the RMM by their failure labels, as rows: one thing is broken, the command says so and nothing has
 * changed; then the valid call succeeds, and the same call again finds what it changed. At the end: every condition
 * that the code has, has a row. A test brings the worlds, the valid calls and the rows.
 */
#ifndef BAILEY_TESTS_RMM_ROWS_H
#define BAILEY_TESTS_RMM_ROWS_H

#include "tests/unit/rmm_rig.h"

/* A call that succeeds. */
typedef struct RmmValid {
    uint32_t    fid;
    uint64_t    x[6];       /* x1 on */
    unsigned    stage;      /* of the world it needs */
    void      (*ready)(void);
    const char *again;      /* label of the same call a second time, NULL: it succeeds */
} RmmValid;

/* What to break, and the answer. */
typedef struct RmmRow {
    uint32_t    fid;
    const char *label;
    uint64_t    x0;
    struct { uint8_t reg; uint64_t value; } arg[3];              /* reg 0: not changed */
    struct { unsigned page, offset, len; uint64_t value; } poke; /* len 0: nothing */
    void      (*prepare)(void);
} RmmRow;

typedef struct RmmRows {
    const RmmValid *valid;
    size_t          n_valid;
    const RmmRow   *rows;
    size_t          n_rows;
    unsigned        n_pages;             /* from PAGE(0) on: those a failing command must leave alone */
    Rig          *(*open)(unsigned stage);
    void          (*close)(void);
    bool          (*applies)(const RmmRow *row);   /* in this dialect; NULL: each row does */
    bool          (*covers)(const RmmFunction *f); /* whether the rows are to break all conditions of an RMI command */
} RmmRows;

#define RMM_ARG(fid, label, x0, ...)        { RMI_FID_##fid, label, x0, .arg = { __VA_ARGS__ } }
#define RMM_DO(fid, label, x0, fn)          { RMI_FID_##fid, label, x0, .prepare = fn }
#define RMM_DO_ARG(fid, label, x0, fn, ...) { RMI_FID_##fid, label, x0, .arg = { __VA_ARGS__ }, .prepare = fn }
#define RMM_POKE(fid, label, x0, ...)       { RMI_FID_##fid, label, x0, .poke = { __VA_ARGS__ } }

#define ROWS_NOWHERE 0x1000ull /* no memory there */

/* A register that names a granule: not aligned, not there, in another state. @state: the label of that. */
#define RMM_GRANULE(fid, reg, name, state, wrong)                                                      \
    RMM_ARG(fid, name "_align", RMI_ERROR_INPUT, { reg, (wrong) + 8 }),                                \
        RMM_ARG(fid, name "_bound", RMI_ERROR_INPUT, { reg, ROWS_NOWHERE }),                           \
        RMM_ARG(fid, name "_bound", RMI_ERROR_INPUT, { reg, RIG_CARVEOUT }),                           \
        RMM_ARG(fid, state, RMI_ERROR_INPUT, { reg, wrong })

/* rmm_rows_break - each row of the commands that rig_dialect has. */
void rmm_rows_break(const RmmRows *t);
/* rmm_rows_repeat - each valid call of those, twice. */
void rmm_rows_repeat(const RmmRows *t);
/* rmm_rows_complete - fails naming a condition without a row, or a command without a valid call. */
void rmm_rows_complete(const RmmRows *t);

#endif
