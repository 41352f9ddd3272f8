/*
 * The comparison of a lockstep run, and what follows a difference: both sides start anew and again, in shorter and
 * shorter pieces of the cpu_run() that showed it, until the pieces are as short as the difference lets them be. Pieces
 * that end inside a block of generated code are run by the executor, so most differences show in pieces of a few
 * instructions only; a last attempt gives each instruction a block of its own.
 */
#define _GNU_SOURCE
#include "lockstep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bits.h"
#include "cpu/lockstep.h"
#include "log.h"
#include "machine.h"

enum {
    PIECES = 64,         /* of a run or piece that shows a difference */
    MAX_SINGLE = 4096,   /* instructions that are given blocks of their own */
    MAX_TRACED = 40,     /* instructions shown */
    MAX_SHOWN = 24,      /* values shown */
    MAX_RECORD = 64 << 20,
};

/* One of the two processes. */
typedef struct Side {
    const char     *name;
    CpuAccel        accel;
    pid_t           pid;
    FILE           *from;
    LockstepRecord  r;     /* the last one, with its data */
    GByteArray     *data;
    bool            lost;  /* it went without a word about the end */
} Side;

typedef enum Outcome {
    SAME,
    DIFFERENT,  /* at the last records, or one side was lost */
    CUT_SHORT,  /* ended by the wall's clock or the user, or never began */
} Outcome;

typedef struct Compare {
    Options *options;
    int    (*run)(const Options *o);
    Side     side[2];
    char   **names;
    GPtrArray *trace;       /* char * */
    uint64_t n_states;
    LockstepRecord before;  /* the last state that was the same */
    bool     loud;          /* the first side's output is the user's */
} Compare;

static void say(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

static void say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("bailey: lockstep: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

bool lockstep_allowed(const Options *o, GError **error)
{
    const char *what = NULL;

    what = o->clock_host ? "-clock host" : what;
    what = o->gdb != NULL ? "-gdb" : what;
    what = o->monitor != NULL ? "-monitor" : what;
    what = o->display != NULL ? "-display vnc" : what;
    what = o->qmp != NULL ? "-qmp" : what;
    what = o->profile != NULL ? "-profile" : what;
    what = o->coverage != NULL ? "-coverage" : what;
    what = o->plugins->len != 0 ? "-plugin" : what;
    what = o->trace != NULL ? "-trace" : what;
    for (guint i = 0; i < o->netdevs->len; i++) {
        what = strcmp(((OptionList *)o->netdevs->pdata[i])->driver, "none") != 0 ? "a -netdev other than none" : what;
    }
    for (guint i = 0; i < o->chardevs->len; i++) {
        what = strcmp(((OptionList *)o->chardevs->pdata[i])->driver, "socket") == 0 ? "a -chardev socket" : what;
        what = strcmp(((OptionList *)o->chardevs->pdata[i])->driver, "pty") == 0 ? "a -chardev pty" : what;
    }
    for (guint i = 0; i < o->devices->len; i++) {
        bool socket = strcmp(((OptionList *)o->devices->pdata[i])->driver, "virtio-vsock-pci") == 0;

        what = socket ? "virtio-vsock-pci" : what;
    }
    for (guint i = 0; i < o->fsdevs->len; i++) {
        bool readonly = false;

        option_list_bool(o->fsdevs->pdata[i], "-fsdev", "readonly", &readonly, NULL);
        what = !readonly ? "a shared folder that is written (give it readonly=on)" : what;
    }
    for (guint i = 0; i < o->drives->len; i++) {
        bool snapshot = false, readonly = false; /* what is neither on nor off, the drive itself refuses */

        option_list_bool(o->drives->pdata[i], "-drive", "snapshot", &snapshot, NULL);
        option_list_bool(o->drives->pdata[i], "-drive", "readonly", &readonly, NULL);
        what = !snapshot && !readonly ? "a -drive that is written (give it snapshot=on)" : what;
    }
    if (what != NULL) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-accel lockstep: %s does not go with it, as the machine runs twice; leave it out", what);
    }
    return what == NULL;
}

/* ---- a side's process ---- */

static void redirect(int fd, int flags)
{
    int null = open("/dev/null", flags);

    if (null >= 0) {
        dup2(null, fd);
        close(null);
    }
}

/* Nobody sees what this side writes. */
static void make_quiet(Options *o)
{
    redirect(STDOUT_FILENO, O_WRONLY);
    redirect(STDERR_FILENO, O_WRONLY);
    log_open("/dev/null");
    g_clear_pointer(&o->result, g_free);
    for (guint i = 0; i < o->serials->len; i++) {
        if (g_str_has_prefix(o->serials->pdata[i], "file:")) {
            g_free(o->serials->pdata[i]);
            o->serials->pdata[i] = g_strdup("file:/dev/null");
        }
    }
    for (guint i = 0; i < o->chardevs->len; i++) {
        OptionList *l = o->chardevs->pdata[i];

        for (guint k = 0; k < l->keys->len; k++) {
            if (strcmp(l->keys->pdata[k], "path") == 0) {
                g_free(l->values->pdata[k]);
                l->values->pdata[k] = g_strdup("/dev/null");
            }
        }
    }
}

static void run_side(Compare *c, const Side *s, const LockstepPass *pass, int fd)
{
    Options     *o = c->options;
    LockstepPass own = *pass;

    if (s == &c->side[0]) {
        own.trace_to = own.trace_from; /* one of them tells */
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    redirect(STDIN_FILENO, O_RDONLY);
    if (s != &c->side[0] || !c->loud) {
        make_quiet(o);
    }
    o->cpu.accel = s->accel;
    o->side = lockstep_new(fd, &own);
    int status = c->run(o);
    lockstep_free(o->side);
    exit(status);
}

static bool start_side(Compare *c, Side *s, const LockstepPass *pass)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    s->lost = false;
    s->pid = fork();
    if (s->pid == 0) {
        close(ends[0]);
        run_side(c, s, pass, ends[1]);
    }
    close(ends[1]);
    s->from = s->pid > 0 ? fdopen(ends[0], "r") : NULL;
    return s->from != NULL;
}

/* Waits for it to end, by force if it is still needed for nothing. Returns waitpid()'s status. */
static int stop_side(Side *s, bool force)
{
    int status = 0;

    if (s->from != NULL) {
        fclose(s->from);
        s->from = NULL;
    }
    if (s->pid > 0) {
        if (force) {
            kill(s->pid, SIGKILL);
        }
        while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR) {
        }
        s->pid = 0;
    }
    return status;
}

/* ---- comparing ---- */

static bool read_record(Side *s)
{
    if (fread(&s->r, sizeof(s->r), 1, s->from) != 1 || s->r.len > MAX_RECORD) {
        return false;
    }
    g_byte_array_set_size(s->data, (guint)s->r.len);
    return s->r.len == 0 || fread(s->data->data, s->r.len, 1, s->from) == 1;
}

/* The next state or end. */
static void next(Compare *c, Side *s)
{
    while (!s->lost) {
        s->lost = !read_record(s);
        if (s->lost || s->r.kind == LOCKSTEP_STATE || s->r.kind == LOCKSTEP_END) {
            return;
        }
        char *text = g_strndup((const char *)s->data->data, s->data->len);
        if (s->r.kind == LOCKSTEP_TRACE) {
            g_ptr_array_add(c->trace, text);
        } else {
            if (c->names == NULL) {
                c->names = g_strsplit(text, "\n", -1);
            }
            g_free(text);
        }
    }
}

/* The wall's clock or the user decides when these come. */
static bool is_cut_short(const Side *s)
{
    return !s->lost && s->r.kind == LOCKSTEP_END && (s->r.stop == EXIT_TIMEOUT || s->r.stop == LOCKSTEP_INTERRUPTED);
}

static bool records_same(const Side *a, const Side *b)
{
    LockstepRecord x = a->r, y = b->r;

    x.from_pc = y.from_pc = 0; /* a side that tells its instructions starts at each of them */
    return memcmp(&x, &y, sizeof(x)) == 0 && memcmp(a->data->data, b->data->data, a->data->len) == 0;
}

/* Both sides in one pass, up to the end or to a state after @last_run. */
static Outcome compare(Compare *c, const LockstepPass *pass, uint64_t last_run)
{
    Side *a = &c->side[0], *b = &c->side[1];

    c->n_states = 0;
    c->before = (LockstepRecord){ .kind = LOCKSTEP_NAMES };
    g_ptr_array_set_size(c->trace, 0);
    if (!start_side(c, a, pass) || !start_side(c, b, pass)) {
        log_error("-accel lockstep: cannot start another process: %s", g_strerror(errno));
        return CUT_SHORT;
    }
    for (;;) {
        next(c, a);
        next(c, b);
        if ((a->lost && b->lost) || is_cut_short(a) || is_cut_short(b)) {
            return CUT_SHORT;
        }
        if (a->lost || b->lost || !records_same(a, b)) {
            return DIFFERENT;
        }
        if (a->r.kind == LOCKSTEP_END && a->r.stop != EXIT_RESTART) {
            return SAME;
        }
        if (a->r.run > last_run) {
            return SAME;
        }
        c->n_states += a->r.kind == LOCKSTEP_STATE;
        c->before = a->r;
    }
}

static void stop_both(Compare *c)
{
    stop_side(&c->side[0], true);
    stop_side(&c->side[1], true);
}

/* ---- narrowing ---- */

/* Where a difference is: in the instructions from @lo to @hi of a cpu_run(), when run as @pass says. */
typedef struct Place {
    uint64_t     run, lo, hi;
    LockstepPass pass;
} Place;

/* The last record; one side's may be lost. */
static const LockstepRecord *known(const Compare *c)
{
    return &c->side[c->side[0].lost ? 1 : 0].r;
}

static bool is_state(const Compare *c)
{
    return known(c)->kind == LOCKSTEP_STATE;
}

/* Instructions of the run until the last record, of the side that got further. */
static uint64_t reached(const Compare *c)
{
    return MAX(c->side[0].lost ? 0 : c->side[0].r.at, c->side[1].lost ? 0 : c->side[1].r.at);
}

/* A difference may lie in memory for long before a register shows it: the first run after which memory differs. False
 * when none was found. */
static bool find_run(Compare *c, Place *p)
{
    uint64_t first = 0, every;
    bool     found = false;

    do {
        LockstepPass pass = { .run = LOCKSTEP_WHOLE, .hash_from = first };

        pass.hash_every = every = MAX((p->run - first) / PIECES, 1);
        say("looking at memory after runs %" PRIu64 " to %" PRIu64 ", every %" PRIu64, first, p->run, every);
        bool again = compare(c, &pass, p->run) == DIFFERENT && is_state(c);
        if (again) {
            p->run = known(c)->run;
            p->hi = reached(c);
            p->pass = pass;
            found = true;
            first = p->run > first + every ? p->run - every + 1 : first;
        }
        stop_both(c);
        if (!again) {
            break;
        }
    } while (every > 1);
    return found;
}

/* One more pass: true when the difference shows in a piece of the same place, and that is the place then. */
static bool narrows(Compare *c, Place *p, const LockstepPass *pass)
{
    bool     again = compare(c, pass, p->run) == DIFFERENT && is_state(c) && known(c)->run == p->run;
    uint64_t lo = c->before.run == p->run && c->before.kind == LOCKSTEP_STATE ? c->before.at : 0;

    stop_both(c);
    if (!again || lo >= p->hi) { /* not at all, or elsewhere: the executor ran what was wrong */
        return false;
    }
    p->lo = lo;
    p->hi = MAX(reached(c), lo + 1);
    p->pass = *pass;
    return true;
}

static void narrow(Compare *c, Place *p)
{
    LockstepPass pass = { .run = p->run, .hash_from = p->run, .hash_every = 1 };
    uint64_t     before;

    do {
        before = p->hi - p->lo;
        pass.from = p->lo;
        pass.to = p->hi;
        pass.window = MAX(before / PIECES, 1);
        say("looking at instructions %" PRIu64 " to %" PRIu64 " of run %" PRIu64 ", every %" PRIu64, p->lo, p->hi,
            p->run, pass.window);
        if (!narrows(c, p, &pass)) {
            break;
        }
    } while (p->hi - p->lo > 1 && p->hi - p->lo < before);
    if (p->hi - p->lo > 1 && p->hi - p->lo <= MAX_SINGLE) {
        pass.from = p->lo;
        pass.to = p->hi;
        pass.window = 1;
        pass.single = true;
        say("looking at the same with blocks of one instruction");
        narrows(c, p, &pass);
    }
}

/* ---- the report ---- */

static void say_values(const Compare *c, GString *first, GString *others)
{
    const Side *a = &c->side[0], *b = &c->side[1];
    unsigned    n = 0, n_values = (unsigned)(MIN(a->r.len, b->r.len) / sizeof(uint64_t));

    if (a->r.at != b->r.at || a->r.stop != b->r.stop) {
        g_string_append_printf(first, "%s ended its run after %" PRIu64 " instructions at 0x%" PRIx64
                                      " (reason %u), %s after %" PRIu64 " at 0x%" PRIx64 " (reason %u)",
                               a->name, a->r.at, a->r.pc, a->r.stop, b->name, b->r.at, b->r.pc, b->r.stop);
        n++;
    }
    for (unsigned i = 0; i < n_values; i++) {
        uint64_t x, y;

        memcpy(&x, a->data->data + i * sizeof(x), sizeof(x));
        memcpy(&y, b->data->data + i * sizeof(y), sizeof(y));
        if (x != y && n++ < MAX_SHOWN) {
            g_string_append_printf(n == 1 ? first : others,
                                   n == 1 ? "%s is 0x%" PRIx64 " with %s, 0x%" PRIx64 " with %s"
                                          : "  %s is 0x%" PRIx64 " with %s, 0x%" PRIx64 " with %s\n",
                                   c->names[i], x, a->name, y, b->name);
        }
    }
    if (n > MAX_SHOWN) {
        g_string_append_printf(others, "  and %u more values\n", n - MAX_SHOWN);
    }
    if (n == 0) {
        g_string_append_printf(first, "the time is %" PRId64 " ns with %s, %" PRId64 " ns with %s", a->r.now_ns,
                               a->name, b->r.now_ns, b->name);
    }
}

/* The pass that showed it best once more, with the instructions of the piece. */
static void report_state(Compare *c, const Place *p)
{
    LockstepPass  pass = p->pass;
    GString      *first = g_string_new(NULL), *others = g_string_new(NULL);

    pass.trace_from = p->lo;
    pass.trace_to = p->hi - p->lo <= MAX_TRACED ? p->hi : p->lo;
    if (compare(c, &pass, p->run) != DIFFERENT) {
        g_string_append(first, "it did not show in another run, so one of them does not repeat");
    } else if (c->side[0].lost || c->side[1].lost) {
        g_string_append_printf(first, "%s died", c->side[c->side[0].lost ? 0 : 1].name);
    } else {
        say_values(c, first, others);
    }
    const LockstepRecord *r = known(c);
    say("first difference after %" PRIu64 " instructions of CPU %u at pc 0x%" PRIx64 " (the next %" PRIu64 "): %s",
        r->insns - (r->at - MIN(p->lo, r->at)), r->cpu, c->side[0].lost ? c->before.pc : r->from_pc, p->hi - p->lo,
        first->str);
    fputs(others->str, stderr);
    if (c->trace->len > 0) {
        fputs("  the instructions:\n", stderr);
    }
    for (guint i = 0; i < c->trace->len; i++) {
        fprintf(stderr, "    %s\n", (const char *)c->trace->pdata[i]);
    }
    stop_both(c);
    g_string_free(first, TRUE);
    g_string_free(others, TRUE);
}

/* Both ended; registers never differed. */
static void report_end(const Compare *c)
{
    const Side *a = &c->side[0], *b = &c->side[1];
    uint64_t    x[2] = { 0 }, y[2] = { 0 };
    guint       len = MIN(a->data->len, b->data->len), i = 0;

    if (a->r.kind != b->r.kind || a->r.stop != b->r.stop || a->r.insns != b->r.insns) {
        say("%s ended with status %u after %" PRIu64 " instructions, %s with status %u after %" PRIu64, a->name,
            a->r.stop, a->r.insns, b->name, b->r.stop, b->r.insns);
        return;
    }
    while (i < len && memcmp(a->data->data + i, b->data->data + i, sizeof(x)) == 0) {
        i += sizeof(x);
    }
    memcpy(x, a->data->data + i, i < a->data->len ? sizeof(x) : 0);
    memcpy(y, b->data->data + i, i < b->data->len ? sizeof(y) : 0);
    say("registers never differed in %" PRIu64 " instructions, but memory does, first at 0x%" PRIx64,
        a->r.insns, x[0] == 0 ? y[0] : y[0] == 0 ? x[0] : MIN(x[0], y[0]));
}

static void say_death(const Side *s, int status)
{
    if (WIFSIGNALED(status)) {
        say("%s was ended by signal %d (%s)", s->name, WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        say("%s ended with status %d before its machine did", s->name, WEXITSTATUS(status));
    }
}

static int report(Compare *c)
{
    const LockstepRecord *r = known(c);
    Place                 p = { .run = r->run, .hi = reached(c), .pass = { .run = LOCKSTEP_WHOLE } };
    bool                  state = is_state(c);

    for (unsigned i = 0; i < 2; i++) {
        int status = stop_side(&c->side[i], !c->side[i].lost);

        if (c->side[i].lost) {
            say_death(&c->side[i], status);
        }
    }
    if (state) {
        say("the states after run %" PRIu64 " differ, %" PRIu64 " instructions of CPU %u; running again", p.run, p.hi,
            r->cpu);
    } else {
        report_end(c);
        p.run = c->before.run;
    }
    c->loud = false;
    if (find_run(c, &p) || state) {
        narrow(c, &p);
        report_state(c, &p);
    }
    return EXIT_BAD_INPUT;
}

/* ---- the whole ---- */

static int finish(Compare *c, Outcome outcome)
{
    uint64_t insns = c->side[0].r.insns, pages = c->side[0].r.len / 16;
    int      status;

    if (outcome == DIFFERENT) {
        return report(c);
    }
    if (outcome == SAME) {
        status = WEXITSTATUS(stop_side(&c->side[0], false));
        stop_side(&c->side[1], false);
        say("both the same: %" PRIu64 " instructions, %" PRIu64 " states, %" PRIu64 " pages of memory", insns,
            c->n_states, pages);
        return status;
    }
    bool died = c->side[0].lost;
    status = stop_side(&c->side[0], !died);
    stop_side(&c->side[1], true);
    if (died) { /* with a status of its own, it said why */
        if (WIFSIGNALED(status)) {
            say_death(&c->side[0], status);
        }
        return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_BAD_INPUT;
    }
    say("ended from outside; the same until then: %" PRIu64 " states", c->n_states);
    for (unsigned i = 0; i < 2; i++) {
        if (c->side[i].r.kind == LOCKSTEP_END && c->side[i].r.stop == EXIT_TIMEOUT) {
            return EXIT_TIMEOUT;
        }
    }
    return EXIT_GUEST_OFF;
}

int lockstep_main(Options *o, int (*run)(const Options *o))
{
    static const LockstepPass whole = { .run = LOCKSTEP_WHOLE };
    Compare c = {
        .options = o,
        .run = run,
        .side = { { .name = "jit", .accel = CPU_ACCEL_JIT }, { .name = "interp", .accel = CPU_ACCEL_INTERP } },
        .loud = true,
    };
    int status;

    signal(SIGINT, SIG_IGN); /* the sides stop, and say so */
    c.trace = g_ptr_array_new_with_free_func(g_free);
    c.side[0].data = g_byte_array_new();
    c.side[1].data = g_byte_array_new();
    status = finish(&c, compare(&c, &whole, UINT64_MAX));
    stop_both(&c);
    g_byte_array_free(c.side[0].data, TRUE);
    g_byte_array_free(c.side[1].data, TRUE);
    g_ptr_array_free(c.trace, TRUE);
    g_strfreev(c.names);
    return status;
}
