/*
 * Passes: each rewrites a block in place, is one idea, and can be run alone.
 */
#ifndef BAILEY_IR_PASSES_H
#define BAILEY_IR_PASSES_H

#include "cpu/ir/block.h"

/* A get of a register whose value the block knows becomes that value; a put of the value it holds goes away. Operations
 * on constants, identities, and conditions over flags that are a plain comparison. */
void ir_pass_fold(IrBlock *b);

/* Puts that a later put overwrites before anyone can look, and values nobody uses. */
void ir_pass_dead(IrBlock *b);

#endif
