/*
 * What the tests against the instruction oracle share: random operands, words, both sides, and their
 * comparison.
 */
#ifndef BAILEY_TESTS_DIFF_INSN_RUN_H
#define BAILEY_TESTS_DIFF_INSN_RUN_H

#include "cpu/a64/decode.h"
#include "tests/diff/insn_case.h"
#include "tests/unit/a64_box.h"

/* Random numbers from a seed that the test sets. insn_rnd_value: numbers at which arithmetic changes its
 * mind are as likely as all others. */
extern uint64_t insn_seed;
uint64_t insn_rnd(void);
uint64_t insn_rnd_value(void);

/* The constant bits of an encoding pattern, read independently of the decoder. */
void insn_constants(const char *pattern, uint32_t *mask, uint32_t *value);

/* Words that the two sides may treat differently: the oracle has the feature and this CPU does not, or the
 * oracle is known to be wrong. */
bool insn_is_open(uint32_t insn);

/* The box as the oracle's user programs find a CPU. */
A64Box *insn_box_new(void);

/* insn_run_oracle - the states that @n cases left, to be freed; NULL, having printed why, without an
 * oracle. */
InsnState *insn_run_oracle(const InsnCase *cases, unsigned n);

/* insn_run_here - the same on our CPU; the code of case @n must be in the box. As often as it takes until all of it has
 * run as part of a region, when BAILEY_TEST_HOT asks for them. */
void insn_run_here(A64Box *box, const InsnCase *c, unsigned n, InsnState *out);

/* insn_check_regions - fails when they were asked for, but less than half of @n cases became some. */
void insn_check_regions(const A64Box *box, unsigned n);

bool insn_same(const InsnState *a, const InsnState *b);

/* insn_explain - print the first @n_words of a case and what differs. */
void insn_explain(const InsnCase *c, unsigned n, unsigned n_words, const InsnState *ours,
                  const InsnState *theirs);

#endif
