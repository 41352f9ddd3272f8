/*
 * The table of subcommands, found in their linker section, and the parser of their options.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "device.h"
#include "log.h"

/* Bounds of the section that COMMAND() fills; weak, so that a program without commands links. */
extern const Command *const __start_bailey_commands[] __attribute__((weak));
extern const Command *const __stop_bailey_commands[] __attribute__((weak));

static int by_name(gconstpointer a, gconstpointer b)
{
    const Command *ca = *(const Command *const *)a, *cb = *(const Command *const *)b;

    return strcmp(ca->name, cb->name);
}

const Command *command_find(const char *name)
{
    for (const Command *const *c = __start_bailey_commands; c < __stop_bailey_commands; c++) {
        if (strcmp((*c)->name, name) == 0) {
            return *c;
        }
    }
    return NULL;
}

void command_foreach(void (*fn)(const Command *cmd, void *opaque), void *opaque)
{
    GPtrArray *all = g_ptr_array_new();

    for (const Command *const *c = __start_bailey_commands; c < __stop_bailey_commands; c++) {
        g_ptr_array_add(all, (gpointer)*c);
    }
    g_ptr_array_sort(all, by_name); /* link order is no order */
    for (guint i = 0; i < all->len; i++) {
        fn(all->pdata[i], opaque);
    }
    g_ptr_array_free(all, TRUE);
}

void command_usage(const Command *cmd)
{
    printf("Usage: bailey %s %s\n\nbailey %s: %s.\n\nOptions:\n", cmd->name, cmd->args, cmd->name, cmd->help);
    for (size_t i = 0; i < cmd->n_options; i++) {
        const CommandOption *o = &cmd->options[i];
        char                *head = g_strjoin(" ", o->name, o->arg, NULL);

        printf("  -%-23s  %s\n", head, o->help);
        g_free(head);
    }
    printf("  %-24s  print this\n", "-help");
}

/* The option that @word names with one dash or two, or NULL. */
static const CommandOption *find_option(const Command *cmd, const char *word)
{
    word += 1 + (word[1] == '-');
    for (size_t i = 0; i < cmd->n_options; i++) {
        if (strcmp(cmd->options[i].name, word) == 0) {
            return &cmd->options[i];
        }
    }
    return NULL;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "-help") == 0 || strcmp(word, "--help") == 0;
}

bool command_parse(const Command *cmd, void *values, int argc, char **argv, const char **operand, bool *help,
                   GError **error)
{
    *help = false;
    for (int i = 1; i < argc; i++) {
        const CommandOption *o = argv[i][0] == '-' ? find_option(cmd, argv[i]) : NULL;
        const char         **value = o != NULL ? (const char **)(void *)((char *)values + o->offset) : NULL;

        if (asks_for_help(argv[i])) {
            command_usage(cmd);
            *help = true;
            return true;
        }
        if (o != NULL && o->arg == NULL) {
            *value = o->name;
        } else if (o != NULL && i + 1 < argc) {
            *value = argv[++i];
        } else if (o != NULL) {
            g_set_error(error, BAILEY_ERROR, 1, "%s: -%s needs an argument: -%s %s", cmd->name, o->name, o->name,
                        o->arg);
            return false;
        } else if (argv[i][0] == '-') {
            g_set_error(error, BAILEY_ERROR, 1, "%s: there is no option '%s'; 'bailey %s --help' lists them", cmd->name,
                        argv[i], cmd->name);
            return false;
        } else if (operand == NULL || *operand != NULL) {
            g_set_error(error, BAILEY_ERROR, 1, "%s: '%s' is one argument too many; bailey %s %s", cmd->name, argv[i],
                        cmd->name, cmd->args);
            return false;
        } else {
            *operand = argv[i];
        }
    }
    return true;
}

bool command_number(const Command *cmd, const char *option, const char *text, uint64_t *value, GError **error)
{
    guint64 n;

    if (!g_ascii_string_to_unsigned(text, 10, 0, UINT64_MAX, &n, NULL)) {
        g_set_error(error, BAILEY_ERROR, 1, "%s: -%s %s is not a number from 0", cmd->name, option, text);
        return false;
    }
    *value = n;
    return true;
}

int command_finish(bool help, int status, GError *error)
{
    if (error != NULL) {
        log_error("%s", error->message);
        g_error_free(error);
        return status;
    }
    return help ? COMMAND_OK : status;
}
