/*
 * The order of the passes.
 */
#include "cpu/ir/passes.h"

#include <glib.h>

#include "log.h"

typedef struct Pass {
    const char *name;
    void      (*run)(IrBlock *b);
} Pass;

static const Pass passes[] = {
    { "fold", ir_pass_fold },
    { "dead", ir_pass_dead },
};

static void check(const IrBlock *b, const char *after)
{
#ifdef BAILEY_DEBUG
    char why[200];

    if (!ir_verify(b, why, sizeof(why))) {
        log_error("intermediate code is wrong after %s: %s", after, why);
        ir_print(b, stderr);
        g_assert_not_reached();
    }
#endif
}

/* Many analyses look at these only. No branch depends on the node: it would be mispredicted. */
static void list_state(IrBlock *b)
{
    unsigned n = 0;

    for (unsigned i = 1; i < b->n; i++) {
        b->state[n] = (IrRef)i;
        n += ir_op_is_state(b->node[i].op);
    }
    b->n_state = n;
}

void ir_optimize(IrBlock *b)
{
    check(b, "the front end");
    for (size_t i = 0; i < G_N_ELEMENTS(passes); i++) {
        passes[i].run(b);
        check(b, passes[i].name);
    }
    list_state(b);
}
