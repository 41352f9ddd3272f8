/* The loops of rsi_rows.h. */
#include "tests/unit/rsi_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void break_it(const RsiRows *t, const RsiRow *row)
{
    uint64_t x[1 + ARRAY_LEN(row->x)] = { SMC64_STD(row->fid) };

    print_message("RSI 0x%x %s%s\n", row->fid, row->label, row->exit != RMI_EXIT_SYNC ? ", later" : "");
    DevRig *d = t->open(row->stage);
    if (row->prepare != NULL) {
        row->prepare();
    }
    memcpy(x + 1, row->x, sizeof(row->x));
    Vdev before = *dev_vdev(d);
    assert_int_equal(dev_rsi(d, x, ARRAY_LEN(x)), row->exit);
    if (row->exit != RMI_EXIT_SYNC) {
        if (row->meanwhile != NULL) {
            row->meanwhile();
        }
        before = *dev_vdev(d);
        assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    }
    assert_int_equal(dev_rec(d)->x[0], row->status);
    assert_string_equal(rmm_last_failure(d->rig->rmm), row->label);
    assert_memory_equal(&before, dev_vdev(d), sizeof(before));
    dev_rig_free(d);
}

void rsi_rows_break(const RsiRows *t)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        break_it(t, &t->rows[i]);
    }
}

static bool row_exists(const RsiRows *t, uint32_t fid, const char *label)
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
    const RsiRows *t = opaque;

    for (size_t i = 0; strcmp(f->iface, "RSI") == 0 && t->covers(f) && i < f->n_failures; i++) {
        if (!row_exists(t, f->fid, f->failures[i].label)) {
            fail_msg("no row makes RSI_%s fail by %s", f->name, f->failures[i].label);
        }
    }
}

void rsi_rows_complete(const RsiRows *t) { rmm_conformance(check_command, (void *)t); }
