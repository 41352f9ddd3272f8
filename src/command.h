/*
 * Subcommands: `bailey NAME ...` does something beside running a machine. A command registers itself with COMMAND();
 * main() looks it up and --help lists them all. Its options are a table, from which its parser and its --help come.
 */
#ifndef BAILEY_COMMAND_H
#define BAILEY_COMMAND_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Command Command;

/* One option of a command. Its argument goes to the const char * at @offset of the command's own struct; with @arg NULL
 * it takes none, and its name goes there. */
typedef struct CommandOption {
    const char *name, *arg, *help;
    size_t      offset;
} CommandOption;

struct Command {
    const char *name;
    const char *args;   /* what follows the name in a usage line */
    const char *help;   /* one line */
    const CommandOption *options; /* @n_options of them: what is parsed, and what --help, manual and completion tell */
    size_t      n_options;        /* 0: those of a run */
    int       (*run)(const Command *cmd, int argc, char **argv); /* argv[0]: the name; returns the exit status */
};

/* Exit statuses of commands. That of what could not be read or does not hold is the same as for a run. */
enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_BAD_USAGE = 2 };

/* COMMAND(token, .name = "token", ...); - registers a command. */
#define COMMAND(ident, ...)                                                                            \
    static const Command ident##_command = { __VA_ARGS__ };                                            \
    static const Command *const ident##_command_ptr                                                    \
        __attribute__((used, section("bailey_commands"))) = &ident##_command

/* command_find - the command of that name, or NULL. */
const Command *command_find(const char *name);

/* command_foreach - calls @fn for every command in order of name. */
void command_foreach(void (*fn)(const Command *cmd, void *opaque), void *opaque);

/**
 * command_parse - read a command's arguments.
 * @values: the struct that cmd->options speak of; members of those that are given are set
 * @operand: the one argument that is no option; NULL when there is none. Pass NULL if the command takes none
 * @help: set when the arguments ask for help, which was printed: the command ends with COMMAND_OK
 * Returns false with a sentence that names the argument and the mend.
 */
bool command_parse(const Command *cmd, void *values, int argc, char **argv, const char **operand, bool *help,
                   GError **error);

/* command_number - a decimal number of 64 bits, the argument of -@option; false with a sentence, @value untouched. */
bool command_number(const Command *cmd, const char *option, const char *text, uint64_t *value, GError **error);

/**
 * command_finish - the end of a command's run.
 * @help: as command_parse() said
 * @error: why it ended; is told and freed. NULL: nothing to tell
 * Returns the exit status: @status, or COMMAND_OK after help.
 */
int command_finish(bool help, int status, GError *error);

/* command_usage - the usage line and the options' help, to stdout. */
void command_usage(const Command *cmd);

#endif
