/* The loops of rmm_rows.h. */
#include "tests/unit/rmm_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- nothing has changed ---- */

typedef struct Snapshot {
    uint8_t *bytes, *state; /* [n_pages] */
} Snapshot;

static Snapshot take_snapshot(const RmmRows *t, Rig *rig)
{
    Snapshot s = { g_memdup2(rig_bytes(rig, PAGE(0)), (gsize)t->n_pages * RMM_GRANULE_SIZE), g_malloc(t->n_pages) };

    for (unsigned i = 0; i < t->n_pages; i++) {
        s.state[i] = (uint8_t)granule_state(rig->rmm, PAGE(i));
    }
    return s;
}

static void assert_unchanged(const RmmRows *t, Rig *rig, Snapshot s)
{
    for (unsigned i = 0; i < t->n_pages; i++) {
        assert_memory_equal(s.bytes + (size_t)i * RMM_GRANULE_SIZE, rig_bytes(rig, PAGE(i)), RMM_GRANULE_SIZE);
        assert_int_equal(s.state[i], granule_state(rig->rmm, PAGE(i)));
    }
    g_free(s.bytes);
    g_free(s.state);
}

/* ---- calls ---- */

static uint64_t call(Rig *rig, const RmmValid *v, const RmmRow *row)
{
    uint64_t x[1 + ARRAY_LEN(v->x)] = { SMC64_STD(v->fid) };

    memcpy(x + 1, v->x, sizeof(v->x));
    for (size_t i = 0; row != NULL && i < ARRAY_LEN(row->arg); i++) {
        if (row->arg[i].reg != 0) {
            x[row->arg[i].reg] = row->arg[i].value;
        }
    }
    return rig_smc(rig, 0, x, ARRAY_LEN(x));
}

static Rig *open_world(const RmmRows *t, const RmmValid *v)
{
    Rig *rig = t->open(v->stage);

    if (v->ready != NULL) {
        v->ready();
    }
    return rig;
}

static void break_it(const RmmRows *t, const RmmValid *v, const RmmRow *row)
{
    print_message("  %s\n", row->label);
    Rig *rig = open_world(t, v);
    if (row->prepare != NULL) {
        row->prepare();
    }
    if (row->poke.len != 0) {
        le_put(rig_bytes(rig, PAGE(row->poke.page)) + row->poke.offset, row->poke.value, row->poke.len);
    }
    Snapshot before = take_snapshot(t, rig);
    assert_int_equal(call(rig, v, row), row->x0);
    assert_string_equal(rmm_last_failure(rig->rmm), row->label);
    assert_unchanged(t, rig, before);
    if (row->prepare == NULL && row->poke.len == 0) {
        assert_int_equal(call(rig, v, NULL), RMI_SUCCESS);
    }
    t->close();
}

typedef struct Question {
    const RmmRows *t;
    uint32_t       fid;
    bool           answer;
} Question;

static void ask(void *opaque, const RmmFunction *f)
{
    Question *q = opaque;

    q->answer = q->answer || (strcmp(f->iface, "RMI") == 0 && f->fid == SMC64_STD(q->fid) &&
                              (f->dialects >> rig_dialect & 1) && q->t->covers(f));
}

/* Whether the dialect has this command of the rows. */
static bool is_there(const RmmRows *t, const RmmValid *v)
{
    Question q = { t, v->fid, false };

    rmm_conformance(ask, &q);
    return q.answer;
}

void rmm_rows_break(const RmmRows *t)
{
    for (size_t i = 0; i < t->n_valid; i++) {
        if (!is_there(t, &t->valid[i])) {
            continue;
        }
        print_message("RMI 0x%x\n", t->valid[i].fid);
        for (size_t r = 0; r < t->n_rows; r++) {
            if (t->rows[r].fid == t->valid[i].fid && (t->applies == NULL || t->applies(&t->rows[r]))) {
                break_it(t, &t->valid[i], &t->rows[r]);
            }
        }
    }
}

void rmm_rows_repeat(const RmmRows *t)
{
    for (size_t i = 0; i < t->n_valid; i++) {
        const RmmValid *v = &t->valid[i];

        if (!is_there(t, v)) {
            continue;
        }
        print_message("RMI 0x%x\n", v->fid);
        Rig *rig = open_world(t, v);
        assert_int_equal(call(rig, v, NULL), RMI_SUCCESS);
        assert_null(rmm_last_failure(rig->rmm));
        uint64_t again = call(rig, v, NULL);
        if (v->again == NULL) {
            assert_int_equal(again, RMI_SUCCESS);
        } else {
            assert_int_not_equal(again, RMI_SUCCESS);
            assert_string_equal(rmm_last_failure(rig->rmm), v->again);
        }
        t->close();
    }
}

/* ---- every condition ---- */

typedef struct Completeness {
    const RmmRows *t;
    size_t         n_commands;
} Completeness;

static bool row_exists(const RmmRows *t, uint32_t fid, const char *label)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (SMC64_STD(t->rows[i].fid) == fid && strcmp(t->rows[i].label, label) == 0) {
            return true;
        }
    }
    return false;
}

static void check_command(void *opaque, const RmmFunction *f)
{
    Completeness *c = opaque;

    if (strcmp(f->iface, "RMI") != 0 || !c->t->covers(f)) {
        return;
    }
    c->n_commands++;
    for (size_t i = 0; i < f->n_failures; i++) {
        if (!row_exists(c->t, f->fid, f->failures[i].label)) {
            fail_msg("no row breaks RMI_%s by %s", f->name, f->failures[i].label);
        }
    }
}

void rmm_rows_complete(const RmmRows *t)
{
    Completeness c = { t, 0 };

    rmm_conformance(check_command, &c);
    assert_int_equal(c.n_commands, t->n_valid);
}
