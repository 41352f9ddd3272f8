/*
 * Trace files. Chrome's trace-event format, "JSON Array Format": metadata events name processes (groups of tracks) and
 * threads (tracks); slices are B and E, or X when they take no time; i is an instant, C a counter. A flow is a bind_id
 * on the slices that it leads through. Timestamps are microseconds; three decimals make them nanoseconds.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cpu/a64/a64.h"
#include "device.h"
#include "event.h"
#include "log.h"
#include "rmm/dialect.h"

enum {
    BUFFER_BYTES = 1 << 16, /* written out beyond it */
    TRACKS_MAX = 4096,      /* a guest that makes objects for ever does not fill our memory */
    COUNTERS_MAX = 32,      /* states of granules */
    BULK_FIELDS = 8,        /* of the calls that are told at once */
    EVENT_FIELDS_MAX = 24,  /* that an event brings, its registers aside */
    REGISTERS_MAX = 11,     /* x1 to x11 */
    FIELDS_MAX = EVENT_FIELDS_MAX + 2 * REGISTERS_MAX + 4,
    PENDING_MAX = 16,       /* runs of calls, and of granules, that may still grow */
    CPUS_MAX = 64,
    STAY_NS = 10000,        /* a CPU's stay at an exception level that is shown, unless el= says otherwise */
    STAY_MAX_NS = 1000000000,
};

/* Groups of tracks, in the order they are shown. */
typedef enum Group { GROUP_CPUS = 1, GROUP_REALMS, GROUP_HOST, GROUP_RMM, GROUP_DEVICES, GROUP_SMMU, N_GROUPS } Group;

static const char *const group_names[N_GROUPS] = {
    [GROUP_CPUS] = "CPUs", [GROUP_REALMS] = "Realms", [GROUP_HOST] = "Host",
    [GROUP_RMM] = "RMM", [GROUP_DEVICES] = "Devices", [GROUP_SMMU] = "SMMU",
};

/* Heard of without being asked for; with= adds to them. */
#define LINES_ALWAYS \
    (1u << LOG_PSCI | 1u << LOG_SMMU | 1u << LOG_HOST | 1u << LOG_RHI | 1u << LOG_GUEST_ERRORS)
/* These are about how Bailey works, not about the guest, and differ from one way to run code to another. */
#define LINES_NEVER (1u << LOG_IN_ASM | 1u << LOG_IR | 1u << LOG_OUT_ASM)
/* Told as events. */
#define LINES_AS_EVENTS (1u << LOG_RMI | 1u << LOG_RSI | 1u << LOG_EXC)

typedef struct Track {
    Group    group;
    unsigned tid;
    bool     open;     /* a slice has begun and not ended */
} Track;

/* Granules that change one after the other from one state to another at one moment of guest time, told at once. */
typedef struct Run {
    const char *from, *to;
    uint64_t    first, count;
} Run;

/* Calls of one RMI command about memory that succeed at one moment, told at once: a host gives its Realm thousands of
 * pages in a row. */
typedef struct Bulk {
    const char *name;
    unsigned    realm;
    uint64_t    count;
    unsigned    n_fields; /* of the first call, whose arguments stand for all */
    EventField  fields[BULK_FIELDS];
} Bulk;

/* A CPU's time at one exception level. */
typedef struct Stay {
    const char *level; /* NULL: none */
    int64_t     since_ns;
} Stay;

/* The stays of a CPU: one that was too short to be shown counts to the one before it, which is written when it cannot
 * become longer. */
typedef struct Levels {
    Track *track;     /* of the world that it is in */
    Stay   last, now; /* @last is long enough, and ends where @now began */
} Levels;

typedef struct Counter {
    const char *name;
    uint64_t    value;
    bool        changed;
} Counter;

struct Trace {
    char       *path;
    int         fd;       /* -1: writing has failed */
    GString    *buf;
    bool        any;      /* an event was written: the next one is behind a comma */
    Machine    *machine;
    GuestSymbols *symbols;
    int64_t     base_ns, last_ns; /* guest time 0 of the machine; the latest so far */
    int64_t     now_ns;   /* of what is being told */
    uint64_t    flow;
    uint32_t    lines;    /* categories of lines that are in it */
    GHashTable *tracks;   /* name -> Track, for the search; they belong to: */
    GPtrArray  *in_order; /* of Track, as they were made */
    unsigned    n_tracks[N_GROUPS];
    bool        host_is_code; /* the host is a kernel, not the built-in one */
    int64_t     stay_ns;  /* the shortest stay at an exception level that is shown; -1: none is */
    Levels      levels[CPUS_MAX];
    int64_t     pending_ns; /* when all of these were, and on which CPU */
    unsigned    pending_cpu;
    unsigned    n_runs, n_bulks;
    Run         runs[PENDING_MAX];
    Bulk        bulks[PENDING_MAX];
    Counter     counters[COUNTERS_MAX];
    EventListener listener;
};

/* ---- the file ---- */

static void write_out(Trace *t)
{
    const char *p = t->buf->str;
    size_t      left = t->buf->len;

    while (t->fd >= 0 && left != 0) {
        ssize_t n = write(t->fd, p, left);

        if (n > 0) {
            p += n;
            left -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            log_warning("-trace: '%s' ends here: %s; the run goes on without it", t->path, g_strerror(errno));
            close(t->fd);
            t->fd = -1;
        }
    }
    g_string_truncate(t->buf, 0);
}

static void put_string(GString *s, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_string_append_c(s, '"');
    for (const char *p = valid; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            g_string_append_c(s, '\\');
        }
        if ((unsigned char)*p < 0x20) {
            g_string_append_printf(s, "\\u%04x", *p);
        } else {
            g_string_append_c(s, *p);
        }
    }
    g_string_append_c(s, '"');
}

/* An event up to its time; args and end follow. */
static void begin(Trace *t, char phase, const Track *track, const char *name)
{
    g_string_append(t->buf, t->any ? ",\n" : "[\n");
    t->any = true;
    g_string_append_printf(t->buf, "{\"ph\":\"%c\",\"pid\":%d,\"tid\":%u,", phase, (int)track->group, track->tid);
    if (name != NULL) {
        g_string_append(t->buf, "\"name\":");
        put_string(t->buf, name);
        g_string_append_c(t->buf, ',');
    }
}

static void end(Trace *t)
{
    g_string_append_c(t->buf, '}');
    if (t->buf->len >= BUFFER_BYTES) {
        write_out(t);
    }
}

static void look_at_clock(Trace *t)
{
    t->now_ns = t->base_ns + clock_now(machine_clock(t->machine));
    t->last_ns = MAX(t->last_ns, t->now_ns);
}

static void put_time(Trace *t)
{
    g_string_append_printf(t->buf, "\"ts\":%" PRId64 ".%03d", t->now_ns / 1000, (int)(t->now_ns % 1000));
}

static void put_field(GString *s, const EventField *f)
{
    put_string(s, f->name);
    g_string_append_c(s, ':');
    if (f->text != NULL) {
        put_string(s, f->text);
    } else { /* as text: numbers of JSON have 53 bits */
        g_string_append_printf(s, "\"0x%" PRIx64 "\"", f->number);
    }
}

static void put_args(Trace *t, const EventField *fields, unsigned n)
{
    if (n == 0) {
        return;
    }
    g_string_append(t->buf, ",\"args\":{");
    for (unsigned i = 0; i < n; i++) {
        g_string_append(t->buf, i == 0 ? "" : ",");
        put_field(t->buf, &fields[i]);
    }
    g_string_append_c(t->buf, '}');
}

/* ---- tracks ---- */

static void put_metadata(Trace *t, const Track *track, const char *what, const char *key, const char *text, unsigned n)
{
    begin(t, 'M', track, what);
    g_string_append_printf(t->buf, "\"ts\":0,\"args\":{\"%s\":", key);
    if (text != NULL) {
        put_string(t->buf, text);
    } else {
        g_string_append_printf(t->buf, "%u", n);
    }
    g_string_append_c(t->buf, '}');
    end(t);
}

/* The track of that name, which is new perhaps. */
static Track *track_named(Trace *t, Group group, const char *name)
{
    g_autofree char *key = g_strdup_printf("%d %s", (int)group, name);
    Track           *track = g_hash_table_lookup(t->tracks, key);

    if (track == NULL && g_hash_table_size(t->tracks) >= TRACKS_MAX && strcmp(name, "further ones") != 0) {
        return track_named(t, group, "further ones");
    }
    if (track == NULL) {
        track = g_new0(Track, 1);
        *track = (Track){ .group = group, .tid = t->in_order->len + 1 }; /* no two alike, in whatever group */
        g_hash_table_insert(t->tracks, g_steal_pointer(&key), track);
        g_ptr_array_add(t->in_order, track);
        if (t->n_tracks[group]++ == 0) {
            put_metadata(t, track, "process_name", "name", group_names[group], 0);
            put_metadata(t, track, "process_sort_index", "sort_index", NULL, group);
        }
        put_metadata(t, track, "thread_name", "name", name, 0);
        put_metadata(t, track, "thread_sort_index", "sort_index", NULL, track->tid);
    }
    return track;
}

static Track *track_of(Trace *t, Group group, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

static Track *track_of(Trace *t, Group group, const char *fmt, ...)
{
    char    name[160];
    va_list ap;

    va_start(ap, fmt);
    g_vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    return track_named(t, group, name);
}

/* Of the CPU whose turn it is; a model's timers have nobody's and count as the first one's. */
static unsigned cpu_index(const Trace *t)
{
    const Cpu *cpu = machine_running(t->machine);

    return cpu != NULL ? cpu->index : 0;
}

/* Of the world that the running CPU is in. */
static Track *track_of_cpu(Trace *t)
{
    const Cpu *cpu = machine_running(t->machine);

    if (cpu == NULL) {
        return track_of(t, GROUP_CPUS, "no CPU");
    }
    return track_of(t, GROUP_CPUS, "CPU %u %s", cpu->index, pas_name(((const A64Cpu *)cpu)->security));
}

/* ---- kinds of events ---- */

static void put_category(Trace *t, const char *category)
{
    g_string_append_printf(t->buf, ",\"cat\":\"%s\"", category);
}

typedef enum FlowEnd { FLOW_OUT = 1, FLOW_IN = 2, FLOW_ON = 3 } FlowEnd; /* begins here, ends here, goes through */

/* @flow: 0: none. */
static void put_flow(Trace *t, uint64_t flow, FlowEnd ends)
{
    if (flow != 0) {
        g_string_append_printf(t->buf, ",\"bind_id\":\"0x%" PRIx64 "\"%s%s", flow,
                               ends & FLOW_IN ? ",\"flow_in\":true" : "", ends & FLOW_OUT ? ",\"flow_out\":true" : "");
    }
}

/* @flow: what leads to it; 0: nothing. */
static void slice_begin(Trace *t, Track *track, const char *category, const char *name, const EventField *fields,
                        unsigned n, uint64_t flow)
{
    begin(t, 'B', track, name);
    put_time(t);
    put_category(t, category);
    put_flow(t, flow, FLOW_IN);
    put_args(t, fields, n);
    end(t);
    track->open = true;
}

static void slice_end(Trace *t, Track *track, const EventField *fields, unsigned n)
{
    if (track->open) {
        begin(t, 'E', track, NULL);
        put_time(t);
        put_args(t, fields, n);
        end(t);
        track->open = false;
    }
}

/* What is over: it ends where another event has told the time already. */
static void slice_whole(Trace *t, const Track *track, const char *category, const char *name, int64_t from_ns,
                        int64_t to_ns)
{
    int64_t now_ns = t->now_ns;

    begin(t, 'X', track, name);
    t->now_ns = from_ns;
    put_time(t);
    t->now_ns = now_ns;
    g_string_append_printf(t->buf, ",\"dur\":%" PRId64 ".%03d", (to_ns - from_ns) / 1000,
                           (int)((to_ns - from_ns) % 1000));
    put_category(t, category);
    end(t);
}

/* What takes no guest time. @flow: 0: none. */
static void moment(Trace *t, const Track *track, const char *category, const char *name, const EventField *fields,
                   unsigned n, uint64_t flow, FlowEnd ends)
{
    begin(t, 'X', track, name);
    put_time(t);
    g_string_append(t->buf, ",\"dur\":0");
    put_category(t, category);
    put_flow(t, flow, ends);
    put_args(t, fields, n);
    end(t);
}

static void instant(Trace *t, const Track *track, const char *category, const char *name, const EventField *fields,
                    unsigned n)
{
    begin(t, 'i', track, name);
    put_time(t);
    g_string_append(t->buf, ",\"s\":\"t\"");
    put_category(t, category);
    put_args(t, fields, n);
    end(t);
}

/* The next state of something; its track shows how long it was in each. */
static void state(Trace *t, Track *track, const char *category, const Event *e)
{
    const EventField fields[] = { { .name = "from", .text = e->from }, { .name = "id", .number = e->number },
                                  { .name = "device", .text = e->who } };
    EventField told[3];
    unsigned   n = 0;

    if (e->from != NULL) {
        told[n++] = fields[0];
    }
    told[n++] = fields[1];
    if (e->who != NULL) {
        told[n++] = fields[2];
    }
    slice_end(t, track, NULL, 0);
    if (strcmp(e->name, "destroyed") == 0) {
        instant(t, track, category, e->name, told, n);
    } else {
        slice_begin(t, track, category, e->name, told, n, 0);
    }
}

/* Registers from x1 on, of a call's arguments or of its answer. */
static unsigned add_registers(EventField *to, unsigned n, bool out, const uint64_t *x, unsigned n_x)
{
    static const char *const names[][REGISTERS_MAX] = {
        { "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11" },
        { "out x1", "out x2", "out x3", "out x4", "out x5", "out x6", "out x7", "out x8", "out x9", "out x10",
          "out x11" },
    };

    for (unsigned i = 0; i < n_x && i < REGISTERS_MAX; i++) {
        to[n++] = (EventField){ .name = names[out][i], .number = x[i] };
    }
    return n;
}

/* What an event has to say, with room for more: at most FIELDS_MAX in all. */
static unsigned copy_fields(EventField *to, const Event *e)
{
    const EventCall *call = e->call;
    unsigned         n = call != NULL ? add_registers(to, 0, false, call->in, call->n_in) : 0;

    for (unsigned i = 0; i < e->n_fields && i < EVENT_FIELDS_MAX; i++) {
        to[n++] = e->fields[i];
    }
    return call != NULL && !call->pending ? add_registers(to, n, true, call->out, call->n_out) : n;
}

/* ---- what comes in thousands ---- */

static void count(Trace *t, const char *name, int64_t change)
{
    for (unsigned i = 0; i < COUNTERS_MAX; i++) {
        Counter *c = &t->counters[i];

        if (c->name == NULL || strcmp(c->name, name) == 0) {
            c->name = name;
            c->value += (uint64_t)change;
            c->changed = true;
            return;
        }
    }
}

/* The granules that are not the host's, by state. */
static void put_counters(Trace *t, const Track *track)
{
    for (unsigned i = 0; i < COUNTERS_MAX; i++) {
        Counter *c = &t->counters[i];

        if (c->changed && strcmp(c->name, "NS") != 0 && strcmp(c->name, "DEV_NS") != 0) {
            begin(t, 'C', track, "granules");
            put_time(t);
            g_string_append(t->buf, ",\"args\":{");
            put_string(t->buf, c->name);
            g_string_append_printf(t->buf, ":%" PRIu64 "}", c->value);
            end(t);
        }
        c->changed = false;
    }
}

static void put_run(Trace *t, const Track *track, const Run *r)
{
    const EventField fields[] = { { .name = "first", .number = r->first }, { .name = "count", .number = r->count },
                                  { .name = "from", .text = r->from } };

    instant(t, track, "granule", r->to, fields, ARRAY_LEN(fields));
    count(t, r->from, -(int64_t)r->count);
    count(t, r->to, (int64_t)r->count);
}

static const Track *callers_track(Trace *t, unsigned cpu) { return track_of(t, GROUP_HOST, "calls of CPU %u", cpu); }

static void put_rmi(Trace *t, unsigned cpu, const char *command, const EventField *fields, unsigned n)
{
    g_autofree char *name = g_strconcat("RMI_", command, NULL);

    t->flow++;
    moment(t, callers_track(t, cpu), "request", name, NULL, 0, t->flow, FLOW_OUT);
    moment(t, track_of(t, GROUP_RMM, "RMI"), "rmi", name, fields, n, t->flow, FLOW_ON);
}

static void put_bulk(Trace *t, Bulk *b)
{
    if (b->realm != 0) {
        b->fields[b->n_fields++] = (EventField){ .name = "realm", .number = b->realm };
    }
    if (b->count > 1) {
        b->fields[b->n_fields++] = (EventField){ .name = "count", .number = b->count };
    }
    put_rmi(t, t->pending_cpu, b->name, b->fields, b->n_fields);
}

/* What was held back is written, before what comes at another moment or is of another kind. */
static void put_pending(Trace *t)
{
    int64_t now = t->now_ns;

    if (t->n_runs == 0 && t->n_bulks == 0) {
        return;
    }
    t->now_ns = t->pending_ns;
    for (unsigned i = 0; i < t->n_bulks; i++) {
        put_bulk(t, &t->bulks[i]);
    }
    if (t->n_runs != 0) {
        const Track *track = track_of(t, GROUP_RMM, "granules");

        for (unsigned i = 0; i < t->n_runs; i++) {
            put_run(t, track, &t->runs[i]);
        }
        put_counters(t, track);
    }
    t->n_runs = t->n_bulks = 0;
    t->now_ns = now;
}

/* Before something is held back: @full: there is no room. */
static void make_pending(Trace *t, bool full)
{
    if (full || t->pending_ns != t->now_ns || t->pending_cpu != cpu_index(t)) {
        put_pending(t);
    }
    t->pending_ns = t->now_ns;
    t->pending_cpu = cpu_index(t);
}

static void on_granule(Trace *t, const Event *e)
{
    make_pending(t, false);
    for (unsigned i = t->n_runs; i-- > 0;) {
        Run *r = &t->runs[i];

        if (r->to == e->name && r->from == e->from && e->number == r->first + r->count * 4096) {
            r->count++;
            return;
        }
    }
    make_pending(t, t->n_runs == PENDING_MAX);
    t->runs[t->n_runs++] = (Run){ .from = e->from, .to = e->name, .first = e->number, .count = 1 };
}

/* A command about granules and tables that has succeeded. */
static bool is_bulk(const Event *e)
{
    const EventCall *c = e->call;

    return !c->pending && c->status == 0 && c->n_in + c->n_out + e->n_fields <= BULK_FIELDS - 2 &&
           (g_str_has_prefix(e->name, "GRANULE_") || g_str_has_prefix(e->name, "DATA_") ||
            g_str_has_prefix(e->name, "RTT_"));
}

static void on_bulk(Trace *t, const Event *e)
{
    make_pending(t, false);
    for (unsigned i = 0; i < t->n_bulks; i++) {
        Bulk *b = &t->bulks[i];

        if (b->name == e->name && b->realm == e->realm) {
            b->count++;
            return;
        }
    }
    make_pending(t, t->n_bulks == PENDING_MAX);
    Bulk *b = &t->bulks[t->n_bulks++];
    *b = (Bulk){ .name = e->name, .realm = e->realm, .count = 1 };
    b->n_fields = copy_fields(b->fields, e);
}

/* ---- events ---- */

/* Where the CPU is whose turn it is, behind @n fields: its pc, and the function when that is known. */
static unsigned add_pc(const Trace *t, EventField *fields, unsigned n)
{
    A64Cpu  *cpu = (A64Cpu *)machine_running(t->machine);
    Symbol   symbol;
    uint64_t offset;

    if (cpu == NULL) {
        return n;
    }
    fields[n++] = (EventField){ .name = "pc", .number = cpu->pc };
    if (guest_symbols_find(t->symbols, guest_symbols_world(t->symbols, cpu), cpu->el != 0, cpu->pc, &symbol, &offset)) {
        fields[n++] = (EventField){ .name = "in", .text = symbol.name };
    }
    return n;
}

static void on_rmi(Trace *t, const Event *e)
{
    EventField fields[FIELDS_MAX];
    unsigned   n = copy_fields(fields, e);

    if (e->realm != 0) {
        fields[n++] = (EventField){ .name = "realm", .number = e->realm };
    }
    put_rmi(t, cpu_index(t), e->name, fields, n);
}

/* ---- exception levels ---- */

static void put_stay(Trace *t, const Levels *l, const Stay *stay, int64_t to_ns)
{
    if (stay->level != NULL && to_ns - stay->since_ns >= MAX(t->stay_ns, 1)) {
        slice_whole(t, l->track, "el", stay->level, stay->since_ns, to_ns);
    }
}

/* The CPU is at another level, in the same world. */
static void level_now(Trace *t, Levels *l, const char *level)
{
    if (t->now_ns - l->now.since_ns >= t->stay_ns) {
        put_stay(t, l, &l->last, l->now.since_ns);
        l->last = l->now;
        l->now = (Stay){ level, t->now_ns };
    } else if (l->last.level != NULL && strcmp(l->last.level, level) == 0) {
        l->now = l->last;
        l->last.level = NULL;
    } else {
        l->now.level = level; /* the short one is the next one's */
    }
}

/* The CPU leaves the world that it is in. */
static void levels_end(Trace *t, unsigned cpu)
{
    Levels *l = &t->levels[cpu % CPUS_MAX];
    bool    both = l->now.level != NULL && t->now_ns - l->now.since_ns >= t->stay_ns;

    put_stay(t, l, &l->last, both ? l->now.since_ns : t->now_ns);
    if (both || l->last.level == NULL) {
        put_stay(t, l, &l->now, t->now_ns);
    }
    *l = (Levels){ 0 };
}

/* The running CPU is at @level of the world whose track it is, since @since_ns. */
static void levels_begin(Trace *t, Track *track, const char *level, int64_t since_ns)
{
    if (t->stay_ns >= 0) {
        t->levels[cpu_index(t) % CPUS_MAX] = (Levels){ .track = track, .now = { level, since_ns } };
    }
}

static void on_level(Trace *t, const Event *e)
{
    Levels    *l = &t->levels[cpu_index(t) % CPUS_MAX];
    const Cpu *cpu = machine_running(t->machine);

    if (cpu == NULL) {
        return;
    }
    if (l->now.level == NULL) { /* it has been where it came from since it was switched on */
        int64_t on_ns = t->now_ns - (int64_t)MIN(cpu_insns(cpu), (uint64_t)(t->now_ns - t->base_ns));

        levels_begin(t, track_of_cpu(t), e->from, on_ns);
    }
    level_now(t, l, e->name);
}

static Track *rec_track(Trace *t, const Event *e)
{
    return track_of(t, GROUP_REALMS, "Realm %u, REC 0x%" PRIx64, e->realm, e->number);
}

/* The REC's own track, and that of its CPU: the world. */
static void on_rec(Trace *t, const Event *e)
{
    unsigned   cpu = cpu_index(t);
    bool       runs = strcmp(e->name, "runs") == 0;
    Track     *rec = rec_track(t, e), *normal, *realm;
    EventField fields[FIELDS_MAX];
    unsigned   n = copy_fields(fields, e);
    char       name[32];

    normal = track_of(t, GROUP_CPUS, "CPU %u nonsecure", cpu);
    realm = track_of(t, GROUP_CPUS, "CPU %u realm", cpu);
    g_snprintf(name, sizeof(name), "Realm %u", e->realm);
    if (runs) {
        n = add_pc(t, fields, n);
        levels_end(t, cpu);
        slice_end(t, normal, NULL, 0);
        slice_begin(t, realm, "world", name, NULL, 0, 0);
        levels_begin(t, realm, a64_level_name(((const A64Cpu *)machine_running(t->machine))->el), t->now_ns);
        slice_begin(t, rec, "rec", "runs", fields, n, t->flow);
        return;
    }
    fields[n++] = (EventField){ .name = "exit", .text = e->name };
    fields[n++] = (EventField){ .name = "realm", .number = e->realm };
    n = add_pc(t, fields, n);
    t->flow++;
    moment(t, rec, "exit", e->name, fields, n, t->flow, FLOW_OUT);
    if (rec->open) { /* else it came from an entry that ends before the Realm runs */
        levels_end(t, cpu);
        slice_end(t, rec, NULL, 0);
        slice_end(t, realm, NULL, 0);
        slice_begin(t, normal, "world", "host", NULL, 0, 0);
        if (t->host_is_code) { /* it made the call at EL2 */
            levels_begin(t, normal, a64_level_name(2), t->now_ns);
        }
    }
    moment(t, callers_track(t, cpu), "exit_at_host", e->name, NULL, 0, t->flow, FLOW_IN);
}

static void on_rsi(Trace *t, const Event *e)
{
    g_autofree char *name = g_strconcat("RSI_", e->name, NULL);
    EventField       fields[FIELDS_MAX];
    unsigned         n = add_pc(t, fields, copy_fields(fields, e));

    t->flow++;
    fields[n++] = (EventField){ .name = "realm", .number = e->realm };
    moment(t, track_of(t, GROUP_REALMS, "Realm %u, calls of CPU %u", e->realm, cpu_index(t)), "request", name, NULL, 0,
           t->flow, FLOW_OUT);
    moment(t, track_of(t, GROUP_RMM, "RSI"), "rsi", name, fields, n, t->flow, FLOW_IN);
}

/* The host carries the messages between RMM and device. */
static void on_message(Trace *t, const Event *e)
{
    EventField fields[FIELDS_MAX];
    unsigned   n = copy_fields(fields, e);

    t->flow++;
    fields[n++] = (EventField){ .name = "device", .text = e->who };
    moment(t, callers_track(t, cpu_index(t)), "request", e->name, NULL, 0, t->flow, FLOW_OUT);
    moment(t, track_of(t, GROUP_DEVICES, "%s messages", e->who), "message", e->name, fields, n, t->flow, FLOW_IN);
}

static void on_exception(Trace *t, const Event *e)
{
    const EventField fields[] = { { .name = "to_el", .number = e->number }, { .name = "text", .text = e->text } };

    instant(t, track_of_cpu(t), "exc", e->name, fields, ARRAY_LEN(fields));
}

static void on_event(void *opaque, const Event *e)
{
    Trace *t = opaque;

    look_at_clock(t);
    if (e->kind == EVENT_GRANULE) {
        on_granule(t, e);
        return;
    }
    if (e->kind == EVENT_RMI && is_bulk(e)) {
        on_bulk(t, e);
        return;
    }
    put_pending(t);
    switch (e->kind) {
    case EVENT_RMI:
        on_rmi(t, e);
        break;
    case EVENT_RSI:
        on_rsi(t, e);
        break;
    case EVENT_REC:
        on_rec(t, e);
        break;
    case EVENT_MESSAGE:
        on_message(t, e);
        break;
    case EVENT_EXC:
        on_exception(t, e);
        break;
    case EVENT_LEVEL:
        on_level(t, e);
        break;
    case EVENT_REALM:
        state(t, track_of(t, GROUP_REALMS, "Realm %u", e->realm), "realm", e);
        break;
    case EVENT_PDEV:
        state(t, track_of(t, GROUP_RMM, "PDEV 0x%" PRIx64, e->number), "pdev", e);
        break;
    case EVENT_VDEV:
        state(t, track_of(t, GROUP_RMM, "VDEV 0x%" PRIx64, e->number), "vdev", e);
        break;
    case EVENT_TDISP:
        state(t, track_of(t, GROUP_DEVICES, "%s TDI", e->who), "tdi", e);
        break;
    case EVENT_IDE:
        state(t, track_of(t, GROUP_DEVICES, "%s IDE stream %" PRIu64, e->who, e->number), "ide", e);
        break;
    case EVENT_GRANULE:
    case EVENT_SMC:
    case EVENT_N_KINDS:
        break;
    }
}

/* ---- lines ---- */

static const Track *track_of_line(Trace *t, LogCategory c, const char *text)
{
    switch (c) {
    case LOG_SMMU:
        return track_of(t, GROUP_SMMU, "%s", g_str_has_prefix(text, pas_name(PAS_REALM)) ? "Realm" : "Non-secure");
    case LOG_HOST:
    case LOG_RHI:
        return track_of(t, GROUP_HOST, "steps");
    case LOG_RTT:
    case LOG_GPT:
        return track_of(t, GROUP_RMM, "tables");
    case LOG_DOE:
    case LOG_SPDM:
    case LOG_TDISP:
    case LOG_IDE:
        return track_of(t, GROUP_DEVICES, "lines");
    default:
        return track_of_cpu(t);
    }
}

static void on_line(void *opaque, LogCategory c, const char *text)
{
    Trace *t = opaque;

    look_at_clock(t);
    put_pending(t);
    instant(t, track_of_line(t, c, text), log_name(c), text, NULL, 0);
}

/* ---- life ---- */

static bool parse_with(const char *list, uint32_t *lines, uint32_t *events, GError **error)
{
    g_auto(GStrv) names = g_strsplit(list, "+", -1);

    for (char **name = names; *name != NULL; name++) {
        int      c = log_find(*name, strlen(*name));
        uint32_t bit = c < 0 ? LINES_NEVER : 1u << c;

        if (bit & LINES_NEVER) {
            g_set_error(error, BAILEY_ERROR, 1, "-trace: with=%s: there is no such category of lines for a trace; for "
                        "example with=exc+irq, and '-d help' lists them (in_asm, ir and out_asm are for -d alone)",
                        *name);
            return false;
        }
        *lines |= bit & ~LINES_AS_EVENTS;
        *events |= c == LOG_EXC ? 1u << EVENT_EXC : 0;
    }
    return true;
}

/* "off" or nanoseconds. */
static bool parse_stay(const char *text, int64_t *stay_ns, uint32_t *events, GError **error)
{
    guint64 ns = 0;

    if (strcmp(text, "off") == 0) {
        *events &= ~(1u << EVENT_LEVEL);
        *stay_ns = -1;
        return true;
    }
    if (!g_ascii_string_to_unsigned(text, 10, 0, STAY_MAX_NS, &ns, NULL)) {
        g_set_error(error, BAILEY_ERROR, 1, "-trace: el=%s is not a time; give the shortest stay at an exception level "
                    "that is to be shown, in nanoseconds up to 1000000000, or el=off", text);
        return false;
    }
    *events |= 1u << EVENT_LEVEL;
    *stay_ns = (int64_t)ns;
    return true;
}

static bool parse_keys(Trace *t, const OptionList *l, GError **error)
{
    for (guint i = 0; i < l->keys->len; i++) {
        const char *key = l->keys->pdata[i], *value = l->values->pdata[i];
        bool        ok = false;

        if (strcmp(key, "with") == 0) {
            ok = parse_with(value, &t->lines, &t->listener.mask, error);
        } else if (strcmp(key, "el") == 0) {
            ok = parse_stay(value, &t->stay_ns, &t->listener.mask, error);
        } else {
            g_set_error(error, BAILEY_ERROR, 1, "-trace: there is no key '%s'; there are with=CATEGORY+CATEGORY and "
                        "el=NANOSECONDS", key);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* What the file is about, for those who read it alone. */
static void put_header(Trace *t, const Options *o)
{
    const Track  track = { .group = 0, .tid = 0 };
    RmmDialectId dialect;

    begin(t, 'M', &track, "bailey_trace");
    g_string_append_printf(t->buf, "\"ts\":0,\"args\":{\"version\":1,\"cpus\":%u,\"ram\":\"0x%" PRIx64 "\",\"board\":",
                           o->smp, o->ram_size);
    put_string(t->buf, o->board);
    g_string_append(t->buf, ",\"rmm\":");
    put_string(t->buf, rmm_dialect_parse(o->rmm, &dialect, NULL) ? rmm_dialects[dialect].name : "?");
    g_string_append_printf(t->buf, ",\"boot\":\"%s\"}", o->boot == BOOT_HOST ? "host" : "realm");
    end(t);
}

Trace *trace_new(const Options *o, GError **error)
{
    const uint32_t quiet = 1u << EVENT_EXC | 1u << EVENT_SMC; /* there are too many; there are lines about them */

    if (o->trace == NULL) {
        return NULL;
    }
    Trace *t = g_new0(Trace, 1);
    t->fd = -1;
    t->path = g_strdup(o->trace->driver);
    t->buf = g_string_sized_new(BUFFER_BYTES + 4096);
    t->tracks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    t->in_order = g_ptr_array_new_with_free_func(g_free);
    t->listener = (EventListener){ .mask = ((1u << EVENT_N_KINDS) - 1) & ~quiet, .tell = on_event, .opaque = t };
    t->lines = LINES_ALWAYS;
    t->host_is_code = o->boot == BOOT_HOST;
    t->stay_ns = STAY_NS;
    if (!parse_keys(t, o->trace, error)) {
        trace_free(t);
        return NULL;
    }
    t->fd = open(t->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (t->fd < 0) {
        g_set_error(error, BAILEY_ERROR, 1, "-trace: cannot write '%s': %s; name another file", t->path,
                    g_strerror(errno));
        trace_free(t);
        return NULL;
    }
    put_header(t, o);
    return t;
}

void trace_attach(Trace *t, Machine *m, GuestSymbols *symbols)
{
    if (t != NULL) {
        t->machine = m;
        t->symbols = symbols;
        t->base_ns = t->last_ns;
        event_listen(&t->listener);
        log_set_sink(t->lines, on_line, t);
    }
}

void trace_detach(Trace *t)
{
    if (t != NULL) {
        look_at_clock(t);
        put_pending(t);
        for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
            levels_end(t, cpu);
        }
        for (guint i = 0; i < t->in_order->len; i++) {
            slice_end(t, t->in_order->pdata[i], NULL, 0);
        }
        event_ignore(&t->listener);
        log_set_sink(0, NULL, NULL);
        t->machine = NULL;
        write_out(t);
    }
}

void trace_free(Trace *t)
{
    if (t == NULL) {
        return;
    }
    g_string_append(t->buf, "\n]\n");
    write_out(t);
    if (t->fd >= 0) {
        close(t->fd);
    }
    g_hash_table_unref(t->tracks);
    g_ptr_array_free(t->in_order, TRUE);
    g_string_free(t->buf, TRUE);
    g_free(t->path);
    g_free(t);
}
