/*
 * The run loop: CPUs take turns in windows of counted time, timers fire at their exact instruction, and an idle
 * machine jumps to its next deadline. One GLib idle source gives the CPUs their slices, so that terminals, sockets
 * and the debugger are served between slices; what they bring enters at a slice boundary.
 */
#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cpu/a64/a64.h"
#include "cpu/lockstep.h"
#include "log.h"

/* Several CPUs share a window so that they see each other's stores within this time. */
#define WINDOW_SMP_NS 20000
/* One CPU alone runs until its next deadline, but no longer than this between looks at the outside. */
#define WINDOW_UP_NS 2000000
/* Under -clock host time is the wall's, and a turn is so many instructions, or fewer when a deadline is nearer. */
#define TURN_HOST_INSNS 100000
#define TURN_MIN_INSNS  1000
/* Windows between two looks at file descriptors. */
#define WINDOWS_PER_POLL 4
/* An idle guest may be this far ahead of the wall, so that one sleep serves deadlines that lie close together. A
 * kernel's come in pairs: after a timer its tick runs once more, 4 or 10 ms later, before it stops. */
#define PACE_SLACK_NS 12000000
/* ... but not this soon after something from outside ended a sleep: a peer is to find the guest at the wall's time. */
#define CONVERSATION_US 1000000
/* A sleep that only something from outside ends. */
#define SLEEP_FOREVER INT64_MAX
/* So short a wait is no sleep: falling asleep and waking up takes as long. Frames of a network wait such times. */
#define SHORT_WAIT_NS 50000

typedef struct Slot {
    Cpu  *cpu;
    bool (*is_off)(const Cpu *cpu);
} Slot;

#define MAX_STEPS 4096 /* a guest that locks its device for ever does not fill our memory */

typedef struct Step {
    char    *name;
    int64_t  ns;
    uint64_t insns;
    int64_t  host_us;
} Step;

/* Who hears of breaks. */
typedef struct BreakListener {
    MachineOnBreak *fn;
    void           *opaque;
} BreakListener;

/* A CPU's turn. */
typedef struct Turn {
    int64_t now;    /* its local time */
    int64_t left;   /* instructions, or nanoseconds to skip, that it may still take; 0 when it is over */
    bool    worked; /* did anything at all: it may have woken a CPU whose turn was before */
} Turn;

/* A turn of every CPU. A debugger may stop the machine in the middle of one; it goes on from there. */
typedef struct Window {
    bool    open;            /* it has begun and is not over */
    bool    in_turn;         /* likewise the turn */
    bool    busy;            /* a turn that is over has worked */
    guint   slot;            /* whose turn it is */
    Turn    turn;
    int64_t start, length;
    int64_t reached;         /* by the turns that are over */
} Window;

struct Machine {
    Clock        *clock;
    Owners       *owners;
    Memory       *memory;
    CpuEngine    *engine;
    GArray       *slots;        /* of Slot */
    GArray       *steps;        /* of Step */
    Window        window;
    GMainLoop    *loop;
    Cpu          *running;
    struct Lockstep *lockstep;  /* told of every turn of a CPU; NULL: nobody is */
    MachineOnTurn *on_turn;     /* likewise */
    void         *on_turn_opaque;
    MachineParty *party;
    void         *party_opaque;
    int           live;
    bool          host_clock, paused, stopping;
    bool          from_outside; /* it was not the guest that ended it */
    void        (*on_pause)(void *opaque, bool paused);
    void         *on_pause_opaque;
    MachineWall  *wall_ns;
    void         *wall_opaque;
    int64_t       wall_start_ns; /* wall time at guest time 0, for pacing; moves forward over pauses and idle jumps */
    int64_t       wall_paused_ns; /* guest time by the wall when the pause began */
    MachineExit   status;
    char         *reason;
    GSource      *source, *waking;
    int64_t       delay_us;  /* how long to sleep before the next window; 0: not at all; or SLEEP_FOREVER */
    int64_t       wake_us;   /* when that ends, in monotonic time */
    int64_t       heard_us;  /* when something from outside last ended it early */
    bool          slept;
    int64_t       asleep_ns; /* guest time when that began */
    bool          hash_kept;
    uint64_t      memory_hash;
    bool          executing; /* the running CPU is in cpu_run(): it can be asked to stop */
    bool          breaking;  /* machine_break() was called; on_break() is not told yet */
    Cpu          *breaking_cpu;
    GArray       *on_break;  /* of BreakListener */
};

static int64_t monotonic_ns(void *unused)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Guest time by the wall: what -clock host follows and what pacing aims at. */
static int64_t wall_now_ns(const Machine *m)
{
    return m->wall_ns(m->wall_opaque) - m->wall_start_ns;
}

static int64_t runner_now(void *opaque)
{
    Machine *m = opaque;

    return m->host_clock ? wall_now_ns(m) : cpu_now(m->running);
}

static void runner_recut(void *opaque)
{
    Machine *m = opaque;

    cpu_set_deadline(m->running, clock_next_deadline(m->clock));
}

unsigned machine_realm_of(const Cpu *running)
{
    const A64Cpu *cpu = (const A64Cpu *)running;

    return cpu->security == PAS_REALM ? (unsigned)(cpu->el2.vttbr >> 48) : 0;
}

static void head_of_line(void *opaque, LogHead *h)
{
    Machine *m = opaque;
    Cpu     *cpu = m->running;

    if (cpu != NULL) {
        const A64Cpu *a64 = (const A64Cpu *)cpu;

        h->realm = machine_realm_of(cpu);
        snprintf(h->text, sizeof(h->text), "%12lld %12llu %u %s-EL%u ", (long long)clock_now(m->clock),
                 (unsigned long long)cpu_insns(cpu), cpu->index, pas_name(a64->security), a64->el);
    } else {
        snprintf(h->text, sizeof(h->text), "%12lld %12llu - ", (long long)clock_now(m->clock),
                 (unsigned long long)machine_insns(m));
    }
}

Cpu *machine_running(const Machine *m) { return m->running; }

Machine *machine_new(const Options *o, GError **error)
{
    Machine *m = g_new0(Machine, 1);

    m->clock = clock_new();
    m->owners = owners_new();
    m->memory = memory_new(m->owners);
    m->engine = cpu_engine_new(m->memory, m->owners, &o->cpu, error);
    m->slots = g_array_new(FALSE, TRUE, sizeof(Slot));
    m->steps = g_array_new(FALSE, TRUE, sizeof(Step));
    m->on_break = g_array_new(FALSE, FALSE, sizeof(BreakListener));
    m->loop = g_main_loop_new(NULL, FALSE);
    m->host_clock = o->clock_host;
    m->wall_ns = monotonic_ns;
    log_set_head(head_of_line, m);
    if (m->engine == NULL) {
        machine_free(m);
        return NULL;
    }
    return m;
}

void machine_free(Machine *m)
{
    log_set_head(NULL, NULL);
    cpu_engine_free(m->engine);
    memory_free(m->memory);
    owners_free(m->owners);
    clock_free(m->clock);
    for (guint i = 0; i < m->steps->len; i++) {
        g_free(g_array_index(m->steps, Step, i).name);
    }
    g_array_free(m->steps, TRUE);
    g_array_free(m->on_break, TRUE);
    g_array_free(m->slots, TRUE);
    g_main_loop_unref(m->loop);
    g_free(m->reason);
    g_free(m);
}

Clock *machine_clock(Machine *m) { return m->clock; }
Memory *machine_memory(Machine *m) { return m->memory; }
Owners *machine_owners(Machine *m) { return m->owners; }
CpuEngine *machine_engine(Machine *m) { return m->engine; }

void machine_add_cpu(Machine *m, Cpu *cpu, bool (*is_off)(const Cpu *cpu))
{
    Slot s = { cpu, is_off };

    cpu_follow_clock(cpu, m->host_clock);
    g_array_append_val(m->slots, s);
}

void machine_set_party(Machine *m, MachineParty *step, void *opaque)
{
    m->party = step;
    m->party_opaque = opaque;
}

void machine_set_lockstep(Machine *m, struct Lockstep *l) { m->lockstep = l; }

void machine_on_turn(Machine *m, MachineOnTurn *fn, void *opaque)
{
    m->on_turn = fn;
    m->on_turn_opaque = opaque;
}

void machine_set_wall(Machine *m, MachineWall *fn, void *opaque)
{
    m->wall_ns = fn;
    m->wall_opaque = opaque;
}

void machine_hold_live(Machine *m, int delta) { m->live += delta; }

void machine_on_break(Machine *m, MachineOnBreak *fn, void *opaque)
{
    BreakListener l = { fn, opaque };

    g_array_append_val(m->on_break, l);
}

void machine_off_break(Machine *m, MachineOnBreak *fn, void *opaque)
{
    for (guint i = m->on_break->len; i-- > 0;) {
        const BreakListener *l = &g_array_index(m->on_break, BreakListener, i);

        if (l->fn == fn && l->opaque == opaque) {
            g_array_remove_index(m->on_break, i);
        }
    }
}

static void tell_listeners(Machine *m, Cpu *cpu)
{
    for (guint i = 0; i < m->on_break->len; i++) {
        const BreakListener *l = &g_array_index(m->on_break, BreakListener, i);

        l->fn(l->opaque, cpu);
    }
}

int64_t host_cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000ll + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

void machine_note_step(Machine *m, const char *name)
{
    LOG(HOST, "step %s", name);
    if (m->steps->len < MAX_STEPS) {
        Step s = { g_strdup(name), clock_now(m->clock), machine_insns(m), host_cpu_us() };

        g_array_append_val(m->steps, s);
    }
}

void machine_foreach_step(const Machine *m,
                          void (*fn)(void *opaque, const char *name, int64_t ns, uint64_t insns, int64_t host_us),
                          void *opaque)
{
    for (guint i = 0; i < m->steps->len; i++) {
        const Step *s = &g_array_index(m->steps, Step, i);

        fn(opaque, s->name, s->ns, s->insns, s->host_us);
    }
}

uint64_t machine_insns(const Machine *m)
{
    uint64_t n = 0;

    for (guint i = 0; i < m->slots->len; i++) {
        n += cpu_insns(g_array_index(m->slots, Slot, i).cpu);
    }
    return n;
}

void machine_keep_memory_hash(Machine *m)
{
    m->memory_hash = machine_memory_hash(m);
    m->hash_kept = true;
}

uint64_t machine_memory_hash(const Machine *m) { return m->hash_kept ? m->memory_hash : memory_hash(m->memory); }

const char *machine_stop_reason(const Machine *m) { return m->reason; }

void machine_stop(Machine *m, MachineExit status, const char *reason)
{
    if (m->stopping) {
        return;
    }
    m->stopping = true;
    m->status = status;
    m->reason = g_strdup(reason);
    if (m->running != NULL) {
        cpu_request_stop(m->running);
    }
    g_main_loop_quit(m->loop);
}

void machine_stop_from_outside(Machine *m, MachineExit status, const char *reason)
{
    m->from_outside |= !m->stopping;
    machine_stop(m, status, reason);
}

bool machine_is_stopping(const Machine *m) { return m->stopping; }
bool machine_stopped_from_outside(const Machine *m) { return m->from_outside; }

/* ---- slices ---- */

void machine_wake(Machine *m)
{
    m->delay_us = 0;
}

void machine_on_pause(Machine *m, void (*fn)(void *opaque, bool paused), void *opaque)
{
    m->on_pause = fn;
    m->on_pause_opaque = opaque;
}

void machine_pause(Machine *m, bool paused)
{
    bool changed = m->paused != paused;

    m->paused = paused;
    if (paused && m->executing) {
        cpu_request_stop(m->running);
    }
    if (changed && paused) {
        m->wall_paused_ns = wall_now_ns(m);
    } else if (changed) {
        int64_t now = clock_now(m->clock);

        if (m->slept) { /* it goes on, not anew */
            now = MAX(now, m->wall_paused_ns);
        }
        m->wall_start_ns = m->wall_ns(m->wall_opaque) - now;
        m->delay_us = 0;
    }
    if (changed && m->on_pause != NULL) {
        m->on_pause(m->on_pause_opaque, paused);
    }
}

bool machine_is_paused(const Machine *m) { return m->paused; }

void machine_break(Machine *m)
{
    if (!m->breaking) {
        m->breaking = true;
        m->breaking_cpu = m->running;
        machine_pause(m, true);
    }
}

/* What asked for it is over: the CPU has stopped, or the party has ended its step. */
static void tell_break(Machine *m)
{
    m->breaking = false;
    tell_listeners(m, m->breaking_cpu);
}

/* How long the CPU may run before a timer is due. Under -clock host so many instructions are a guess, and what is too
 * short to be worth it is made longer: a timer may be late, not early. */
static uint64_t turn_budget(const Machine *m, const Turn *t, int64_t deadline)
{
    int64_t n = MIN(t->left, deadline - t->now);

    return (uint64_t)(m->host_clock ? MAX(n, TURN_MIN_INSNS) : n);
}

static void turn_used(const Machine *m, Turn *t, uint64_t insns)
{
    t->left -= (int64_t)insns;
    t->now = m->host_clock ? MAX(t->now, wall_now_ns(m)) : t->now + (int64_t)insns;
}

/* The CPU waits: on to the next deadline. False when that is not in this turn. */
static bool turn_skip(const Machine *m, Turn *t)
{
    int64_t skip = clock_next_deadline(m->clock) - t->now;

    if (skip >= (m->host_clock ? 1 : t->left)) {
        return false;
    }
    if (skip > 0) {
        t->now += skip;
        t->left -= skip;
    }
    return true;
}

/* Run one CPU for a turn, or on with it; timers fire at their instruction, a waiting CPU skips to them. The turn is
 * over early when the CPU waits and no deadline is left in it. */
static void run_cpu(Machine *m, Cpu *cpu, Turn *t)
{
    m->running = cpu;
    while (t->left > 0 && !m->stopping && !m->paused) {
        int64_t  deadline = clock_next_deadline(m->clock);
        uint64_t used = 0;
        bool     waits = false;

        if (deadline <= t->now) {
            clock_advance(m->clock, t->now);
            t->worked = true;
            continue;
        }
        if (cpu->party) {
            waits = !m->party(m->party_opaque, cpu);
            t->worked |= !waits;
        } else {
            clock_set_runner(m->clock, runner_now, runner_recut, m);
            uint64_t budget = lockstep_before(m->lockstep, cpu, turn_budget(m, t, deadline));
            if (m->on_turn != NULL) {
                budget = m->on_turn(m->on_turn_opaque, cpu, budget);
            }
            m->executing = true;
            CpuStop  stop = cpu_run(cpu, t->now, budget, &used);
            m->executing = false;
            lockstep_after(m->lockstep, cpu, stop, used, t->now + (int64_t)used);
            clock_set_runner(m->clock, NULL, NULL, NULL);
            turn_used(m, t, used);
            /* Under -clock host time passes for a CPU that waits, too, and what fires now may end its wait. */
            bool fires = clock_next_deadline(m->clock) <= t->now;
            clock_advance(m->clock, t->now);
            t->worked |= used != 0 || fires;
            if (stop == CPU_STOP_BREAK && m->on_break->len != 0) {
                t->worked = true;  /* it does not wait */
                m->running = NULL; /* it has stopped: a request to would hold until its next run */
                tell_listeners(m, cpu);
                if (!m->paused) {
                    t->left = 0; /* it would stop there at once again: first others get their turns */
                }
                continue;
            }
            waits = stop == CPU_STOP_WAIT && used == 0 && !fires;
        }
        if (waits && !turn_skip(m, t)) {
            t->left = 0;
        }
    }
    m->running = NULL;
}

static bool runs_guest_code(const Machine *m, const Cpu *cpu)
{
    for (guint i = 0; i < m->slots->len; i++) {
        const Slot *s = &g_array_index(m->slots, Slot, i);

        if (s->cpu == cpu) {
            return !cpu->party && !s->is_off(cpu);
        }
    }
    return false;
}

/* A paused machine has gone on from @since by steps of @cpu. Its turn is shorter by that; it has one when it is the CPU
 * that the machine stopped at. With another CPU's steps the window ends. */
static void turn_stepped(Machine *m, const Cpu *cpu, int64_t since)
{
    Window *w = &m->window;

    if (w->open && w->in_turn && g_array_index(m->slots, Slot, w->slot).cpu == cpu) {
        w->turn.now = clock_now(m->clock);
        w->turn.left -= w->turn.now - since;
        w->turn.worked = true;
    } else if (w->open) {
        w->open = false;
        clock_advance(m->clock, w->reached);
    }
}

void machine_step(Machine *m, Cpu *cpu)
{
    int64_t  now = clock_now(m->clock);
    uint64_t used = 0;

    if (m->stopping || !runs_guest_code(m, cpu)) {
        return;
    }
    m->running = cpu;
    clock_set_runner(m->clock, runner_now, runner_recut, m);
    m->executing = true;
    CpuStop stop = cpu_step(cpu, now, &used);
    m->executing = m->breaking = false; /* who steps knows that it stops */
    clock_set_runner(m->clock, NULL, NULL, NULL);
    m->running = NULL;
    if (stop == CPU_STOP_WAIT && used == 0 && clock_next_deadline(m->clock) != INT64_MAX) {
        clock_advance(m->clock, clock_next_deadline(m->clock));
    } else {
        clock_advance(m->clock, now + (int64_t)used);
    }
    turn_stepped(m, cpu, now);
    m->slept = false; /* time has gone on */
}

/* How much every CPU may do in the next window; a single one goes on to its next deadline. */
static int64_t window_length(const Machine *m)
{
    if (m->host_clock) {
        return TURN_HOST_INSNS;
    }
    return m->slots->len > 1 ? WINDOW_SMP_NS : WINDOW_UP_NS;
}

/* The turn of the window's CPU, or the rest of it. */
static void run_turn(Machine *m, Window *w)
{
    const Slot *s = &g_array_index(m->slots, Slot, w->slot);

    if (!w->in_turn) {
        if (s->is_off(s->cpu)) {
            w->slot++;
            return;
        }
        w->turn = (Turn){ .now = m->host_clock ? w->reached : w->start, .left = w->length };
        w->in_turn = true;
        clock_rewind(m->clock, w->turn.now);
    }
    run_cpu(m, s->cpu, &w->turn);
    if (w->turn.left <= 0 || m->stopping) {
        w->reached = MAX(w->reached, w->turn.now);
        w->busy |= w->turn.worked;
        w->in_turn = false;
        w->slot++;
    }
}

/* One turn of every CPU, of @length, or the rest of a window in which the machine was paused. Returns false when none
 * of them had anything to do: they wait, and no turn has ended the wait of a CPU before it. */
static bool run_window(Machine *m, int64_t length)
{
    Window *w = &m->window;

    if (!w->open) {
        int64_t now = clock_now(m->clock);
        int64_t start = m->host_clock ? MAX(now, wall_now_ns(m)) : now;

        *w = (Window){ .open = true, .start = start, .reached = start, .length = length };
    }
    while (w->slot < m->slots->len && !m->stopping && !m->paused) {
        run_turn(m, w);
    }
    if (m->paused && w->slot < m->slots->len && !m->stopping) {
        return true; /* the clock stands where the CPU does */
    }
    w->open = false;
    clock_rewind(m->clock, w->start);
    clock_advance(m->clock, w->reached);
    return w->busy;
}

/* How far guest time may lead the wall's. */
static int64_t pace_slack_ns(const Machine *m)
{
    bool conversation = g_get_monotonic_time() - m->heard_us < CONVERSATION_US;

    return m->host_clock || conversation ? 0 : PACE_SLACK_NS;
}

/* Nothing to run: jump to the next deadline, at the pace of the wall while something outside is attached. Returns
 * how long to sleep before that, in microseconds. */
static int64_t idle_jump(Machine *m)
{
    int64_t deadline = clock_next_deadline(m->clock);

    if (deadline == INT64_MAX) {
        return SLEEP_FOREVER;
    }
    if (m->host_clock || m->live > 0) {
        int64_t ahead_ns = deadline - wall_now_ns(m);

        if (ahead_ns > MAX(pace_slack_ns(m), SHORT_WAIT_NS)) {
            return (ahead_ns + 999) / 1000;
        }
        if (m->host_clock) {
            return 0; /* the wall decides when: look again */
        }
    }
    clock_advance(m->clock, deadline);
    return 0;
}

/* A sleep is over. When it ended early, what came from outside comes now and not when the machine fell asleep: a CPU
 * that has work by it begins now. When no CPU has, it was not for the guest, and no time has passed: else windows would
 * begin wherever viewers, debuggers and signals have waked us. Returns whether one has. */
static bool wake_up(Machine *m)
{
    int64_t deadline = clock_next_deadline(m->clock), now = wall_now_ns(m);

    if (m->host_clock || (m->live > 0 && now >= deadline)) {
        clock_advance(m->clock, MIN(now, deadline));
        return false;
    }
    if (m->live > 0 && now > m->asleep_ns) {
        clock_advance(m->clock, now);
        if (run_window(m, MIN(window_length(m), deadline - now))) {
            return true;
        }
    }
    clock_rewind(m->clock, m->asleep_ns);
    return false;
}

/* ---- the main loop's view: one source that is ready while there is work ---- */

/* A Machine's source; GLib owns the memory. */
typedef struct MachineSource {
    GSource  base;
    Machine *machine;
    int      alarm; /* ends a sleep to the microsecond: GLib's poll counts milliseconds */
} MachineSource;

/* The poll that follows ends after @us microseconds; 0: the alarm is off. */
static void set_alarm(const MachineSource *s, int64_t us)
{
    struct itimerspec t = { .it_value = { us / 1000000, us % 1000000 * 1000 } };

    timerfd_settime(s->alarm, 0, &t, NULL);
}

/* Asked before every poll. Whatever ended the last one (input, a debugger) may have given the machine work. */
static gboolean source_prepare(GSource *source, gint *timeout_ms)
{
    const MachineSource *s = (MachineSource *)source;
    Machine             *m = s->machine;

    if (m->breaking) {
        tell_break(m);
    }
    if (m->paused || m->stopping) {
        set_alarm(s, 0);
        *timeout_ms = -1;
        return FALSE;
    }
    if (m->delay_us == 0 || m->slept) {
        return TRUE;
    }
    m->slept = true;
    m->asleep_ns = clock_now(m->clock);
    *timeout_ms = m->delay_us > (int64_t)G_MAXINT * 1000 ? -1 : (gint)((m->delay_us + 999) / 1000);
    m->wake_us = *timeout_ms < 0 ? SLEEP_FOREVER : g_get_monotonic_time() + m->delay_us;
    set_alarm(s, *timeout_ms < 0 ? 0 : m->delay_us);
    return FALSE;
}

static gboolean source_check(GSource *source)
{
    Machine *m = ((MachineSource *)source)->machine;

    return !m->paused && !m->stopping;
}

static gboolean source_dispatch(GSource *source, GSourceFunc unused, gpointer opaque)
{
    Machine *m = ((MachineSource *)source)->machine;
    int64_t  began = m->slept ? m->asleep_ns : clock_now(m->clock);
    bool     busy = false;

    if (m->slept && g_get_monotonic_time() < m->wake_us) {
        m->heard_us = g_get_monotonic_time();
    }
    if (m->slept) {
        busy = wake_up(m);
    }
    m->slept = false;
    m->delay_us = 0;
    for (int i = 0; i < WINDOWS_PER_POLL && !m->stopping && !m->paused; i++) {
        if (run_window(m, window_length(m))) {
            busy = true;
        } else if (!m->stopping && !m->paused) {
            m->delay_us = idle_jump(m);
            if (m->delay_us > 0) {
                break;
            }
        }
    }
    if (!m->host_clock && (busy || clock_now(m->clock) != began)) {
        /* Pacing counts from here: time spent computing is not made up for by rushing through idle time. A sleep that
         * goes on was none. */
        m->wall_start_ns = MAX(m->wall_start_ns, m->wall_ns(m->wall_opaque) - clock_now(m->clock));
    }
    return G_SOURCE_CONTINUE;
}

/* Asked after every poll, before anything that came is served: it comes now, and what it makes happen later does so
 * later than now. */
static gboolean waking_check(GSource *source)
{
    Machine *m = ((MachineSource *)source)->machine;

    if (m->slept && !m->paused && m->live > 0 && !m->host_clock) {
        int64_t now = wall_now_ns(m), deadline = clock_next_deadline(m->clock);

        clock_rewind(m->clock, CLAMP(now, m->asleep_ns, MAX(deadline, m->asleep_ns)));
    }
    return FALSE;
}

static void source_finalize(GSource *source)
{
    const MachineSource *s = (MachineSource *)source;

    if (s->alarm >= 0) {
        close(s->alarm);
    }
}

static GSourceFuncs source_funcs = {
    .prepare = source_prepare, .check = source_check, .dispatch = source_dispatch, .finalize = source_finalize
};

static GSourceFuncs waking_funcs = { .check = waking_check };

static void source_start(Machine *m)
{
    MachineSource *s = (MachineSource *)g_source_new(&source_funcs, sizeof(MachineSource));

    m->source = &s->base;
    s->machine = m;
    s->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK); /* without one, sleeps take longer */
    if (s->alarm >= 0) {
        g_source_add_unix_fd(m->source, s->alarm, G_IO_IN);
        g_source_set_can_recurse(m->source, TRUE); /* else GLib takes the descriptor away while it dispatches, and
                                                    * putting it back cuts the next sleep short */
    }
    g_source_set_priority(m->source, G_PRIORITY_DEFAULT_IDLE); /* after everything that brings input */
    g_source_attach(m->source, NULL);
    m->waking = g_source_new(&waking_funcs, sizeof(MachineSource));
    ((MachineSource *)m->waking)->machine = m;
    g_source_set_priority(m->waking, G_PRIORITY_HIGH); /* before all of them */
    g_source_attach(m->waking, NULL);
}

MachineExit machine_run(Machine *m)
{
    m->wall_paused_ns = clock_now(m->clock);
    m->wall_start_ns = m->wall_ns(m->wall_opaque) - m->wall_paused_ns;
    source_start(m);
    if (!m->stopping) {
        g_main_loop_run(m->loop);
    }
    if (m->slept && !m->host_clock) {
        clock_rewind(m->clock, m->asleep_ns); /* what ended the run was not for the guest */
    }
    g_source_destroy(m->source);
    g_clear_pointer(&m->source, g_source_unref);
    g_source_destroy(m->waking);
    g_clear_pointer(&m->waking, g_source_unref);
    return m->status;
}
