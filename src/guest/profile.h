/*
 * -profile: where the guest spends its instructions. Every so many instructions of a CPU its stack is read by frame
 * pointers; the run ends with a file of collapsed stacks (frames from the outermost on, separated by ';', a space and
 * how often that was seen), which flame graph tools and speedscope read. What the guest sees does not change, and two
 * runs write the same file.
 */
#ifndef BAILEY_GUEST_PROFILE_H
#define BAILEY_GUEST_PROFILE_H

#include "guest/guest_symbols.h"

typedef struct Profile Profile;

/**
 * profile_new - a profile that is to be written to @path.
 * @every: instructions of a CPU from one sample to the next; 0: about a million
 * @symbols: where names come from; kept, the caller's
 */
Profile *profile_new(const char *path, uint64_t every, GuestSymbols *symbols);
void     profile_free(Profile *p);

/**
 * profile_turn - a CPU is about to run for at most @budget instructions: takes a sample when one is due.
 * @profile: a Profile; a MachineOnTurn
 * Returns how many it may run until the next is.
 */
uint64_t profile_turn(void *profile, Cpu *cpu, uint64_t budget);

/* profile_restart - the CPUs are new ones, which have executed nothing. */
void profile_restart(Profile *p);

/* profile_write - the file, sorted. False with a sentence when it cannot be written. */
bool profile_write(const Profile *p, GError **error);

#endif
