/* What -netdev help, -serial help and their like print: back ends that an option names, and their keys. */
#ifndef BAILEY_OPTION_HELP_H
#define BAILEY_OPTION_HELP_H

#include <stdbool.h>

/* option_help - prints what @option, without its dash, can be given. False: there is nothing to be said of it here. */
bool option_help(const char *option);

#endif
