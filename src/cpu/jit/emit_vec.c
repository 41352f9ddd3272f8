/*
 * Vector operations and helpers that have an inline form.
 */
#include "cpu/jit/jit_int.h"

bool emit_wide(Gen *g, const IrNode *n) { return false; }
bool emit_helper(Gen *g, const IrNode *n) { return emit_fp_helper(g, n); }
