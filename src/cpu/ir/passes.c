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
    { "forward", ir_pass_forward },
    { "fold", ir_pass_fold },
    { "dead_puts", ir_pass_dead_puts },
    { "dead_values", ir_pass_dead_values },
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

void ir_optimize(IrBlock *b)
{
    check(b, "the front end");
    for (size_t i = 0; i < G_N_ELEMENTS(passes); i++) {
        passes[i].run(b);
        check(b, passes[i].name);
    }
}
