/*
 * The monitor for people. A terminal has libedit's line editing, history and completion; what is no terminal (a pipe, a
 * socket) sends lines. Lines are hostile input: one that is too long is dropped.
 */
#include "monitor/console.h"

#include <editline/readline.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chardev.h"
#include "cpu/a64/a64.h"

enum { LINE_MAX_LEN = 4096, HISTORY_LEN = 500 };

static const char prompt[] = "(bailey) ";

struct MonConsole {
    Mon      mon;
    Chardev *chardev;
    GString *line;     /* of a pipe or socket, up to its end */
    bool     receives; /* it is the Chardev's client */
    bool     attached; /* there is a machine; lines wait for the next one while there is none */
    bool     too_long; /* the rest of a line that was dropped is to come */
    bool     edits;    /* a terminal: libedit reads it, and the Chardev only keeps others from it */
    guint    source;   /* that terminal */
};

static MonConsole *at_terminal; /* the one that libedit's callbacks are for */

static void say(MonConsole *c, const char *text)
{
    if (c->edits) {
        fputs(text, stdout);
        fflush(stdout);
    } else {
        chardev_write(c->chardev, text, strlen(text));
    }
}

static void run_line(MonConsole *c, const char *line)
{
    g_autoptr(GString) out = g_string_new(NULL);

    mon_run(&c->mon, line, out);
    say(c, out->str);
}

/* What stopped is the machine: the user did not ask for it just now. */
static void on_break(void *opaque, Cpu *cpu)
{
    MonConsole      *c = opaque;
    g_autofree char *events = mon_take_hits(&c->mon);
    g_autofree char *text = NULL;

    if (cpu != NULL) {
        c->mon.cpu = cpu->index;
    }
    text = g_strdup_printf("\n%sstopped: CPU %u at 0x%" G_GINT64_MODIFIER "x; 'cont' goes on\n",
                           events != NULL ? events : "", c->mon.cpu, (guint64)mon_a64(&c->mon)->pc);
    say(c, text);
    if (c->edits) {
        rl_forced_update_display();
    } else {
        say(c, prompt);
    }
}

/* ---- pipes and sockets ---- */

static size_t can_receive(void *opaque)
{
    const MonConsole *c = opaque;

    /* One by one: what stands behind a command that ends the machine is for the one that follows. */
    return c->attached && !machine_is_stopping(c->mon.on.machine) ? 1 : 0;
}

static void end_line(MonConsole *c)
{
    g_autofree char *line = g_strdup(c->line->str);

    if (c->too_long) {
        say(c, "error: the line is too long\n");
    } else {
        run_line(c, line);
    }
    g_string_truncate(c->line, 0);
    c->too_long = false;
    say(c, prompt);
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    MonConsole *c = opaque;

    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n') {
            end_line(c);
        } else if (data[i] == '\0' || c->line->len >= LINE_MAX_LEN) {
            c->too_long |= data[i] != '\0';
        } else {
            g_string_append_c(c->line, (char)data[i]);
        }
    }
}

static void greet(MonConsole *c)
{
    say(c, "Bailey's monitor; 'help' lists the commands\n");
}

/* Whoever comes next finds nothing of the one before. */
static void peer_changed(void *opaque, bool here)
{
    MonConsole *c = opaque;

    g_string_truncate(c->line, 0);
    c->too_long = false;
    mon_reset(&c->mon);
    if (here) {
        greet(c);
        say(c, prompt);
    }
}

static const ChardevClient client = { can_receive, receive, peer_changed };

/* ---- the terminal ---- */

/* The names that begin with what was typed, for libedit, which asks for one after the other. */
typedef struct Completion {
    GPtrArray *found;
    size_t     typed; /* bytes before the word at the cursor */
} Completion;

static void collect(void *opaque, const char *name)
{
    Completion *done = opaque;

    g_ptr_array_add(done->found, strdup(name + done->typed)); /* libedit frees them */
}

static char *next_completion(const char *word, int state)
{
    static Completion done;
    static guint      next;

    if (state == 0) {
        g_autofree char *line = g_strndup(rl_line_buffer, (gsize)rl_point);

        g_clear_pointer(&done.found, g_ptr_array_unref);
        done.found = g_ptr_array_new();
        done.typed = strlen(line) - strlen(word);
        next = 0;
        mon_complete(line, collect, &done);
    }
    return next < done.found->len ? done.found->pdata[next++] : NULL;
}

static char **complete(const char *word, int start, int end)
{
    rl_attempted_completion_over = 1; /* no names of files */
    return rl_completion_matches(word, next_completion);
}

static void on_line(char *line);

/* Shows the prompt and has keys as they are typed: libedit gives the terminal back with each line. */
static void prompt_terminal(void) { rl_callback_handler_install(prompt, on_line); }

/* A line was entered; NULL: the end of input. */
static void on_line(char *line)
{
    MonConsole *c = at_terminal;

    if (line == NULL) {
        say(c, "\n");
        mon_quit(&c->mon);
        return;
    }
    if (*line != '\0') {
        add_history(line);
    }
    run_line(c, line);
    free(line);
    if (!machine_is_stopping(c->mon.on.machine)) {
        prompt_terminal();
    }
}

static gboolean on_terminal(gint fd, GIOCondition cond, gpointer opaque)
{
    rl_callback_read_char();
    return G_SOURCE_CONTINUE;
}

static void edit(MonConsole *c)
{
    at_terminal = c;
    c->edits = true;
    rl_catch_signals = 0; /* Ctrl-C ends the program, as without a monitor */
    rl_attempted_completion_function = complete;
    using_history();
    stifle_history(HISTORY_LEN);
    greet(c);
    prompt_terminal();
    c->source = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_terminal, c);
}

/* ---- life ---- */

void mon_console_attach(MonConsole *c, const MonMachine *on)
{
    mon_attach(&c->mon, on);
    c->attached = true;
    machine_on_break(on->machine, on_break, c);
    if (c->edits) {
        prompt_terminal();
    } else {
        chardev_accept_input(c->chardev);
    }
}

void mon_console_detach(MonConsole *c)
{
    machine_off_break(c->mon.on.machine, on_break, c);
    mon_detach(&c->mon);
    c->attached = false;
}

MonConsole *mon_console_new(const char *where, GError **error)
{
    const MonMachine none = { 0 };
    bool             stdio = strcmp(where, "stdio") == 0;
    bool             socket = g_str_has_prefix(where, "tcp:") || g_str_has_prefix(where, "unix:");
    bool             shared = g_str_has_prefix(where, "chardev:");
    g_autofree char *spec = g_strconcat(where, socket ? ",server=on,wait=off" : "", NULL);

    if (!stdio && !socket && !shared) {
        mon_fail(error, "-monitor: '%s' is neither stdio, tcp:ADDR:PORT, unix:PATH nor chardev:ID", where);
        return NULL;
    }
    Chardev *chardev = chardev_new(spec, false, error);
    if (chardev == NULL) {
        g_prefix_error(error, "-monitor: ");
        return NULL;
    }
    MonConsole *c = g_new0(MonConsole, 1);
    mon_init(&c->mon, &none);
    c->mon.controls = true;
    c->chardev = chardev;
    c->line = g_string_new(NULL);
    if (stdio && isatty(STDIN_FILENO)) {
        edit(c);
    } else if (!chardev_set_client(chardev, &client, c)) {
        mon_fail(error, "-monitor: something else receives what comes from %s already; give it a -chardev of its own",
                 where);
        mon_console_free(c);
        return NULL;
    } else {
        c->receives = true;
        chardev_keep(chardev, true);
        if (chardev_has_peer(chardev)) {
            peer_changed(c, true);
        }
    }
    return c;
}

void mon_console_free(MonConsole *c)
{
    if (c == NULL) {
        return;
    }
    if (c->edits) {
        g_source_remove(c->source);
        rl_callback_handler_remove();
        at_terminal = NULL;
    }
    if (c->receives) {
        chardev_set_client(c->chardev, NULL, NULL);
        chardev_keep(c->chardev, false);
    }
    chardev_free(c->chardev);
    g_string_free(c->line, TRUE);
    mon_deinit(&c->mon);
    g_free(c);
}
