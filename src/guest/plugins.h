/*
 * -plugin: who observes the guest's code from outside, by include/bailey-plugin.h, and parts of the program that do so
 * in the same way. They hear of things in the order in which they were added.
 */
#ifndef BAILEY_GUEST_PLUGINS_H
#define BAILEY_GUEST_PLUGINS_H

#include "bailey-plugin.h"
#include "guest/guest_symbols.h"

typedef struct Plugins Plugins;

/* plugins_new - none yet. @symbols: for BaileyApi.symbol(); kept, the caller's. */
Plugins *plugins_new(GuestSymbols *symbols);

/* plugins_free - tells all that the run is over. */
void plugins_free(Plugins *p);

/* plugins_add - one of the program's own. */
void plugins_add(Plugins *p, const BaileyPlugin *plugin);

/* plugins_load - the shared object at @words[0], with the rest of them as its arguments. False with a sentence. */
bool plugins_load(Plugins *p, char **words, GError **error);

/* plugins_attach - a machine is there that has executed nothing: its CPUs are observed until plugins_detach(). */
void plugins_attach(Plugins *p, A64Cpu *const *cpus, unsigned n_cpus);
void plugins_detach(Plugins *p);

#endif
