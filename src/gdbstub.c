/*
 * The gdb server. "GDB Remote Serial Protocol" of the GDB manual; registers are gdb_regs.c's, `monitor` commands those
 * of src/monitor. All CPUs stop and go on together; one thread for each (thread ID = CPU number + 1).
 */
#include "gdbstub.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bits.h"
#include "device.h"
#include "gdb_regs.h"
#include "monitor/monitor.h"

#define PACKET_MAX   4096
#define MEMORY_MAX   ((PACKET_MAX - 8) / 2)
#define CONSOLE_MAX  ((PACKET_MAX - 8) / 2) /* characters of text in one packet */
#define BREAKS_MAX   1024
#define WATCHES_MAX  64
#define SIGNAL_INT   2
#define SIGNAL_TRAP  5

struct Gdbstub {
    Machine           *machine;
    Mon                mon;       /* .cpu is that of g, m and s commands */
    GdbRegs           *regs;
    GSocketService    *service;
    GSocketConnection *connection;
    guint              in_source;  /* 0: it is not listened to, until what is to be sent has gone */
    guint              out_source; /* waits until it takes more; 0: nothing is left */
    GString           *out;        /* left to be sent */
    char              *unix_path; /* ours to remove */
    GArray            *breaks;    /* of uint64_t: what is inserted, to be taken out when the debugger goes */
    GArray            *watches;   /* of CpuWatch: the same */
    bool               no_ack, in_packet, escaped;
    bool               suffixes;  /* registers are asked for with their thread: lldb, which names it nowhere else */
    uint8_t            checksum_digits;
    GString           *packet;
    char               received_sum[3];
};

/* ---- hexadecimal ---- */

static bool get_number(const char **p, uint64_t *v)
{
    char *end;

    *v = g_ascii_strtoull(*p, &end, 16);
    if (end == *p) {
        return false;
    }
    *p = end;
    return true;
}

/* "ADDR,LEN" and the separator after it. */
static bool get_range(const char **p, uint64_t *addr, uint64_t *len, char after)
{
    if (!get_number(p, addr) || **p != ',') {
        return false;
    }
    (*p)++;
    if (!get_number(p, len) || **p != after) {
        return false;
    }
    *p += after != '\0';
    return true;
}

/* ---- sending ---- */

static void hear(Gdbstub *g);
static gboolean on_output(GObject *stream, gpointer opaque);

/* Sends what the debugger takes now, and the rest when it takes more: a machine must not wait for one that sleeps. */
static void flush(Gdbstub *g)
{
    GPollableOutputStream *out = G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(G_IO_STREAM(g->connection)));

    while (g->out->len != 0) {
        g_autoptr(GError) error = NULL;
        gssize            n = g_pollable_output_stream_write_nonblocking(out, g->out->str, g->out->len, NULL, &error);

        if (n > 0) {
            g_string_erase(g->out, 0, n);
        } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
            if (g->out_source == 0) {
                GSource *s = g_pollable_output_stream_create_source(out, NULL);

                g_source_set_callback(s, G_SOURCE_FUNC(on_output), g, NULL);
                g->out_source = g_source_attach(s, NULL);
                g_source_unref(s);
            }
            return;
        } else {
            g_string_truncate(g->out, 0); /* it has gone: reading will say so */
        }
    }
}

static gboolean on_output(GObject *stream, gpointer opaque)
{
    Gdbstub *g = opaque;

    flush(g);
    if (g->out->len != 0) {
        return G_SOURCE_CONTINUE;
    }
    g->out_source = 0;
    hear(g);
    return G_SOURCE_REMOVE;
}

static void send_raw(Gdbstub *g, const char *data, size_t len)
{
    g_string_append_len(g->out, data, (gssize)len);
    flush(g);
}

static void send_packet(Gdbstub *g, const char *text)
{
    GString *s = g_string_new("$");
    uint8_t  sum = 0;

    for (const char *p = text; *p != '\0'; p++) {
        sum = (uint8_t)(sum + (uint8_t)*p);
    }
    g_string_append_printf(s, "%s#%02x", text, sum);
    send_raw(g, s->str, s->len);
    g_string_free(s, TRUE);
}

/* Text for the debugger's user: while the guest runs, or as part of the answer to qRcmd. */
static void send_console(Gdbstub *g, const char *text)
{
    while (*text != '\0') {
        g_autoptr(GString) s = g_string_new("O");
        size_t             n = MIN(strlen(text), CONSOLE_MAX);

        put_hex(s, text, n);
        send_packet(g, s->str);
        text += n;
    }
}

static void send_stop(Gdbstub *g, unsigned signal)
{
    static const char *const kinds[] = {
        [CPU_WATCH_READ] = "rwatch", [CPU_WATCH_WRITE] = "watch", [CPU_WATCH_READ | CPU_WATCH_WRITE] = "awatch",
    };
    char     text[64];
    int      len = snprintf(text, sizeof(text), "T%02xthread:%x;", signal, g->mon.cpu + 1);
    CpuWatch w;

    if (signal == SIGNAL_TRAP && cpu_watch_hit(&mon_a64(&g->mon)->cpu, &w)) {
        snprintf(text + len, sizeof(text) - (size_t)len, "%s:%" PRIx64 ";", kinds[w.access], w.va);
    }
    send_packet(g, text);
}

/* The guest ran and has stopped; if at events, they are told first. */
static void report_stop(Gdbstub *g, unsigned signal)
{
    g_autofree char *events = mon_take_hits(&g->mon);

    if (events != NULL) {
        send_console(g, events);
    }
    send_stop(g, signal);
}

/* ---- threads ---- */

/* Makes the CPU of a thread ID current; -1 (all) and 0 (any) leave it. */
static bool select_thread(Gdbstub *g, const char *p)
{
    uint64_t id = 0;

    if (strncmp(p, "-1", 2) != 0 && (!get_number(&p, &id) || id > g->mon.on.n_cpus)) {
        return false;
    }
    if (id != 0) {
        g->mon.cpu = (unsigned)id - 1;
    }
    return true;
}

/* ---- registers ---- */

static void cmd_registers(Gdbstub *g, const char *p, bool all, bool write)
{
    g_autoptr(GString) out = g_string_new(NULL);
    uint64_t           n = 0;
    bool               ok = all || (get_number(&p, &n) && n <= G_MAXUINT);

    if (all && !write) {
        for (unsigned i = 0; i < gdb_regs_general(); i++) {
            gdb_regs_read(g->regs, &g->mon, i, out);
        }
    } else if (!all && write) {
        ok = ok && *p == '=' && gdb_regs_write(g->regs, &g->mon, (unsigned)n, p + 1);
        g_string_append(out, ok ? "OK" : "");
    } else if (!all) {
        ok = ok && gdb_regs_read(g->regs, &g->mon, (unsigned)n, out);
    }
    send_packet(g, ok ? out->str : "E01"); /* writing all at once is answered "": gdb then writes one by one */
}

/* The same of the thread that ";thread:ID;" names at the end, if lldb has put it there. */
static void cmd_registers_of(Gdbstub *g, const char *p, bool all, bool write)
{
    const unsigned   before = g->mon.cpu;
    const char      *suffix = g->suffixes ? strstr(p, ";thread:") : NULL;
    const char      *id = suffix != NULL ? suffix + strlen(";thread:") : NULL;
    g_autofree char *own = g_strndup(p, suffix != NULL ? (gsize)(suffix - p) : strlen(p));

    if (id != NULL && !select_thread(g, id)) {
        send_packet(g, "E01");
        return;
    }
    cmd_registers(g, own, all, write);
    g->mon.cpu = before;
}

/* ---- memory ---- */

/* lldb does not say for which thread it reads: the one that stopped, and where that has nothing, another one. */
static bool read_memory(Gdbstub *g, uint64_t addr, uint8_t *data, size_t len)
{
    const unsigned before = g->mon.cpu;
    bool           ok = mon_read(&g->mon, addr, data, len);

    for (unsigned i = 0; !ok && g->suffixes && i < g->mon.on.n_cpus; i++) {
        g->mon.cpu = i;
        ok = mon_read(&g->mon, addr, data, len);
    }
    g->mon.cpu = before;
    return ok;
}

static void cmd_read_memory(Gdbstub *g, const char *p)
{
    uint64_t addr, len;
    uint8_t  data[MEMORY_MAX];
    GString *out;

    if (!get_range(&p, &addr, &len, '\0') || len > MEMORY_MAX || !read_memory(g, addr, data, len)) {
        send_packet(g, "E14");
        return;
    }
    out = g_string_new(NULL);
    put_hex(out, data, len);
    send_packet(g, out->str);
    g_string_free(out, TRUE);
}

static void cmd_write_memory(Gdbstub *g, const char *p)
{
    uint64_t addr, len;
    uint8_t  data[MEMORY_MAX];

    bool ok = get_range(&p, &addr, &len, ':') && len <= MEMORY_MAX && get_hex(p, data, len) == len &&
              mon_write(&g->mon, addr, data, len);
    send_packet(g, ok ? "OK" : "E14");
}

/* X: the same with the bytes as they are; '}' says that the next one is XORed with a blank. @end: of the packet. */
static void cmd_write_binary(Gdbstub *g, const char *p, const char *end)
{
    uint64_t addr, len;
    uint8_t  data[MEMORY_MAX];
    size_t   n = 0;
    bool     ok = get_range(&p, &addr, &len, ':') && len <= MEMORY_MAX;

    while (ok && p < end && n < len) {
        bool escaped = *p == '}' && p + 1 < end;

        data[n++] = (uint8_t)(escaped ? p[1] ^ ' ' : p[0]);
        p += escaped ? 2 : 1;
    }
    ok = ok && n == len && p == end && mon_write(&g->mon, addr, data, len);
    send_packet(g, ok ? "OK" : "E14");
}

/* ---- running ---- */

static void cmd_continue(Gdbstub *g)
{
    machine_pause(g->machine, false);
}

static void cmd_step(Gdbstub *g)
{
    machine_step(g->machine, &mon_a64(&g->mon)->cpu);
    report_stop(g, SIGNAL_TRAP);
}

static void on_break(void *opaque, Cpu *cpu)
{
    Gdbstub *g = opaque;

    machine_pause(g->machine, true);
    if (cpu != NULL) {
        g->mon.cpu = cpu->index;
    }
    if (g->connection != NULL) {
        report_stop(g, SIGNAL_TRAP);
    }
}

static bool insert_break(Gdbstub *g, uint64_t va)
{
    for (guint i = 0; i < g->breaks->len; i++) {
        if (g_array_index(g->breaks, uint64_t, i) == va) {
            return true;
        }
    }
    if (g->breaks->len >= BREAKS_MAX) {
        return false;
    }
    g_array_append_val(g->breaks, va);
    cpu_break_insert(machine_engine(g->machine), va);
    return true;
}

static bool remove_break(Gdbstub *g, uint64_t va)
{
    cpu_break_remove(machine_engine(g->machine), va);
    for (guint i = 0; i < g->breaks->len; i++) {
        if (g_array_index(g->breaks, uint64_t, i) == va) {
            g_array_remove_index_fast(g->breaks, i);
            break;
        }
    }
    return true;
}

/* Where in the list it is; the list's length when it is not. */
static guint find_watch(const Gdbstub *g, const CpuWatch *w)
{
    guint i = 0;

    for (; i < g->watches->len; i++) {
        const CpuWatch *other = &g_array_index(g->watches, CpuWatch, i);

        if (other->va == w->va && other->len == w->len && other->access == w->access) {
            break;
        }
    }
    return i;
}

static bool insert_watch(Gdbstub *g, const CpuWatch *w)
{
    if (find_watch(g, w) < g->watches->len) {
        return true;
    }
    if (g->watches->len >= WATCHES_MAX || w->len == 0) {
        return false;
    }
    g_array_append_val(g->watches, *w);
    cpu_watch_insert(machine_engine(g->machine), w);
    return true;
}

static bool remove_watch(Gdbstub *g, const CpuWatch *w)
{
    guint i = find_watch(g, w);

    cpu_watch_remove(machine_engine(g->machine), w);
    if (i < g->watches->len) {
        g_array_remove_index_fast(g->watches, i);
    }
    return true;
}

/* Z and z: 0 and 1 are breakpoints, 2 to 4 watchpoints of writes, of reads, and of both. */
static void cmd_breakpoint(Gdbstub *g, const char *p, bool insert)
{
    static const unsigned access[] = { 0, 0, CPU_WATCH_WRITE, CPU_WATCH_READ, CPU_WATCH_READ | CPU_WATCH_WRITE };
    unsigned type = (unsigned)(*p - '0');
    uint64_t addr, len;
    bool     ok;

    if (type >= ARRAY_LEN(access) || p[1] != ',') {
        send_packet(g, ""); /* not supported: gdb says so */
        return;
    }
    p += 2;
    if (!get_range(&p, &addr, &len, '\0')) {
        send_packet(g, "E01");
        return;
    }
    if (access[type] == 0) {
        ok = insert ? insert_break(g, addr) : remove_break(g, addr);
    } else {
        const CpuWatch w = { addr, len, access[type] };

        ok = insert ? insert_watch(g, &w) : remove_watch(g, &w);
    }
    send_packet(g, ok ? "OK" : "E22");
}

/* ---- queries ---- */

/* A piece of @text, as "OFFSET,LENGTH" at @p asks for. */
static void send_part(Gdbstub *g, const char *p, const char *text)
{
    uint64_t off, len, size = strlen(text);

    if (!get_range(&p, &off, &len, '\0')) {
        send_packet(g, "E00");
        return;
    }
    off = MIN(off, size);
    len = MIN(MIN(len, PACKET_MAX - 1), size - off);
    g_autofree char *part = g_strdup_printf("%c%.*s", off + len < size ? 'm' : 'l', (int)len, text + off);
    send_packet(g, part);
}

/* Addresses are virtual, and any may be mapped at any time: gdb is to try them all. In two halves, since the length of
 * the whole is no number of 64 bits. */
static const char memory_map[] =
    "<?xml version=\"1.0\"?><!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map V1.0//EN\" "
    "\"http://sourceware.org/gdb/gdb-memory-map.dtd\"><memory-map>"
    "<memory type=\"ram\" start=\"0x0\" length=\"0x8000000000000000\"/>"
    "<memory type=\"ram\" start=\"0x8000000000000000\" length=\"0x8000000000000000\"/></memory-map>";

static void cmd_transfer(Gdbstub *g, const char *p)
{
    if (g_str_has_prefix(p, "features:read:target.xml:")) {
        send_part(g, p + strlen("features:read:target.xml:"), gdb_regs_xml(g->regs));
    } else if (g_str_has_prefix(p, "memory-map:read::")) {
        send_part(g, p + strlen("memory-map:read::"), memory_map);
    } else {
        send_packet(g, g_str_has_prefix(p, "features:read:") || g_str_has_prefix(p, "memory-map:read:") ? "E00" : "");
    }
}

/* `monitor` of the debugger. What goes wrong is text as well: an error of the protocol would say nothing. */
static void cmd_monitor(Gdbstub *g, const char *p)
{
    uint8_t            line[PACKET_MAX / 2 + 1] = { 0 };
    size_t             n = get_hex(p, line, sizeof(line) - 1);
    g_autoptr(GString) out = g_string_new(NULL);

    if (p[2 * n] != '\0') {
        send_packet(g, "E01");
        return;
    }
    mon_run(&g->mon, (const char *)line, out);
    send_console(g, out->str);
    send_packet(g, "OK");
}

/* lldb asks before it reads stacks, and for a place of its own when it evaluates expressions. */
static void cmd_region(Gdbstub *g, const char *p)
{
    uint64_t         addr;
    MonRegion        r;
    g_autofree char *text = NULL;

    if (!get_number(&p, &addr) || *p != '\0') {
        send_packet(g, "E01");
        return;
    }
    mon_region(&g->mon, addr, &r);
    text = g_strdup_printf("start:%" PRIx64 ";size:%" PRIx64 ";%s%s%s%s", r.start,
                           MIN(r.last - r.start, UINT64_MAX - 1) + 1, /* the whole is no number of 64 bits */
                           r.mapped ? "permissions:r" : "", r.writable ? "w" : "", r.executable ? "x" : "",
                           r.mapped ? ";" : "");
    send_packet(g, text);
}

static void cmd_thread_info(Gdbstub *g, const char *p)
{
    uint64_t           id;
    g_autoptr(GString) hex = g_string_new(NULL);

    if (!get_number(&p, &id) || id < 1 || id > g->mon.on.n_cpus) {
        send_packet(g, "E01");
        return;
    }
    const A64Cpu    *cpu = g->mon.on.cpus[id - 1];
    g_autofree char *text = g_strdup_printf("CPU %u, %s EL%u%s", (unsigned)id - 1, pas_name(cpu->security), cpu->el,
                                            cpu->off ? ", off" : cpu->cpu.party ? ", built-in host" : "");
    put_hex(hex, text, strlen(text));
    send_packet(g, hex->str);
}

static void cmd_query(Gdbstub *g, const char *p)
{
    if (g_str_has_prefix(p, "Supported")) {
        send_packet(g, "PacketSize=1000;qXfer:features:read+;qXfer:memory-map:read+;QStartNoAckMode+;"
                       "QNonStop-;vContSupported+");
    } else if (g_str_has_prefix(p, "Xfer:")) {
        cmd_transfer(g, p + strlen("Xfer:"));
    } else if (g_str_has_prefix(p, "Rcmd,")) {
        cmd_monitor(g, p + strlen("Rcmd,"));
    } else if (g_str_has_prefix(p, "MemoryRegionInfo:")) {
        cmd_region(g, p + strlen("MemoryRegionInfo:"));
    } else if (g_str_has_prefix(p, "ThreadExtraInfo,")) {
        cmd_thread_info(g, p + strlen("ThreadExtraInfo,"));
    } else if (strcmp(p, "fThreadInfo") == 0) {
        GString *s = g_string_new("m");

        for (unsigned i = 0; i < g->mon.on.n_cpus; i++) {
            g_string_append_printf(s, "%s%x", i == 0 ? "" : ",", i + 1);
        }
        send_packet(g, s->str);
        g_string_free(s, TRUE);
    } else if (strcmp(p, "sThreadInfo") == 0) {
        send_packet(g, "l");
    } else if (strcmp(p, "C") == 0) {
        char text[16];

        snprintf(text, sizeof(text), "QC%x", g->mon.cpu + 1);
        send_packet(g, text);
    } else if (strcmp(p, "Attached") == 0) {
        send_packet(g, "1");
    } else {
        send_packet(g, "");
    }
}

static void cmd_thread(Gdbstub *g, const char *p)
{
    /* The first letter says for which commands: one current CPU serves all. */
    send_packet(g, *p != '\0' && select_thread(g, p + 1) ? "OK" : "E01");
}

static void cmd_thread_alive(Gdbstub *g, const char *p)
{
    uint64_t id;

    send_packet(g, get_number(&p, &id) && id >= 1 && id <= g->mon.on.n_cpus ? "OK" : "E01");
}

/* The session ends: what it has set goes, and the guest goes on. */
static void detach(Gdbstub *g)
{
    mon_reset(&g->mon);
    while (g->breaks->len != 0) {
        remove_break(g, g_array_index(g->breaks, uint64_t, 0));
    }
    while (g->watches->len != 0) {
        const CpuWatch w = g_array_index(g->watches, CpuWatch, 0);

        remove_watch(g, &w);
    }
    g_clear_handle_id(&g->in_source, g_source_remove);
    g_clear_handle_id(&g->out_source, g_source_remove);
    g_string_truncate(g->out, 0);
    if (g->connection != NULL) {
        g_io_stream_close(G_IO_STREAM(g->connection), NULL, NULL);
        g_clear_object(&g->connection);
        machine_hold_live(g->machine, -1);
    }
    if (machine_is_paused(g->machine)) {
        machine_pause(g->machine, false);
    }
}

/* A step is of one CPU, the others wait for it; the first action decides. */
static void handle_vcont(Gdbstub *g, const char *p)
{
    const char *thread = strchr(p, ':');

    if (strcmp(p, "Cont?") == 0) {
        send_packet(g, "vCont;c;C;s;S");
    } else if (g_str_has_prefix(p, "Cont;s") || g_str_has_prefix(p, "Cont;S")) {
        if (thread == NULL || select_thread(g, thread + 1)) {
            cmd_step(g);
        } else {
            send_packet(g, "E01");
        }
    } else if (g_str_has_prefix(p, "Cont;c") || g_str_has_prefix(p, "Cont;C")) {
        cmd_continue(g);
    } else {
        send_packet(g, "");
    }
}

/* Settings. What a debugger asks for without having been offered it has an answer that says so. */
static void cmd_set(Gdbstub *g, const char *p)
{
    if (strcmp(p, "StartNoAckMode") == 0) {
        send_packet(g, "OK");
        g->no_ack = true;
    } else if (strcmp(p, "ThreadSuffixSupported") == 0) {
        g->suffixes = true;
        send_packet(g, "OK");
    } else if (g_str_has_prefix(p, "NonStop:")) {
        send_packet(g, strcmp(p, "NonStop:0") == 0 ? "OK"
                                                   : "E.CPUs stop and go on together here; set non-stop off");
    } else {
        send_packet(g, "");
    }
}

static void kill_machine(Gdbstub *g)
{
    machine_stop_from_outside(g->machine, EXIT_GUEST_OFF, "killed by the debugger");
    detach(g);
}

/* Returns false when the session ended. */
static bool handle_packet(Gdbstub *g, const char *p, size_t len)
{
    switch (*p) {
    case '?': send_stop(g, SIGNAL_TRAP); break;
    case 'g': cmd_registers_of(g, p + 1, true, false); break;
    case 'G': cmd_registers_of(g, p + 1, true, true); break;
    case 'p': cmd_registers_of(g, p + 1, false, false); break;
    case 'P': cmd_registers_of(g, p + 1, false, true); break;
    case 'm': cmd_read_memory(g, p + 1); break;
    case 'M': cmd_write_memory(g, p + 1); break;
    case 'X': cmd_write_binary(g, p + 1, p + len); break;
    case 'c': cmd_continue(g); break;
    case 's': cmd_step(g); break;
    case 'v':
        if (g_str_has_prefix(p, "vKill")) {
            send_packet(g, "OK");
            kill_machine(g);
            return false;
        }
        handle_vcont(g, p + 1);
        break;
    case 'Z': cmd_breakpoint(g, p + 1, true); break;
    case 'z': cmd_breakpoint(g, p + 1, false); break;
    case 'q': cmd_query(g, p + 1); break;
    case 'H': cmd_thread(g, p + 1); break;
    case 'T': cmd_thread_alive(g, p + 1); break;
    case 'D':
        send_packet(g, "OK");
        detach(g);
        return false;
    case 'k':
        kill_machine(g);
        return false;
    case 'Q': cmd_set(g, p + 1); break;
    default: send_packet(g, ""); break;
    }
    return true;
}

/* The end of a packet: its checksum decides. */
static bool finish_packet(Gdbstub *g)
{
    uint8_t sum = 0;
    bool    good;

    for (gsize i = 0; i < g->packet->len; i++) {
        sum = (uint8_t)(sum + (uint8_t)g->packet->str[i]);
    }
    good = g_ascii_strtoull(g->received_sum, NULL, 16) == sum;
    g->in_packet = false;
    if (!g->no_ack) {
        send_raw(g, good ? "+" : "-", 1);
    }
    return !good || handle_packet(g, g->packet->str, g->packet->len);
}

/* One byte from the debugger. Returns false when the session ended. */
static bool take_byte(Gdbstub *g, uint8_t c)
{
    if (!g->in_packet) {
        if (c == '$') {
            g->in_packet = true;
            g->checksum_digits = 0;
            g_string_truncate(g->packet, 0);
        } else if (c == 3 && !machine_is_paused(g->machine)) { /* interrupt */
            machine_pause(g->machine, true);
            report_stop(g, SIGNAL_INT);
        }
        return true;
    }
    if (g->checksum_digits == 0) {
        if (c == '#') {
            g->checksum_digits = 1;
        } else if (c == '$') { /* the last one broke off */
            g_string_truncate(g->packet, 0);
        } else if (g->packet->len >= PACKET_MAX) {
            g->in_packet = false; /* it was told how long they may be */
        } else {
            g_string_append_c(g->packet, (char)c);
        }
        return true;
    }
    g->received_sum[g->checksum_digits - 1] = (char)c;
    if (g->checksum_digits++ == 2) {
        return finish_packet(g);
    }
    return true;
}

static gboolean on_input(GObject *stream, gpointer opaque)
{
    Gdbstub *g = opaque;
    uint8_t  data[512];
    GError  *error = NULL;
    gssize   n = g_pollable_input_stream_read_nonblocking(G_POLLABLE_INPUT_STREAM(stream), data, sizeof(data), NULL,
                                                          &error);

    if (n < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
        g_error_free(error);
        return G_SOURCE_CONTINUE;
    }
    g_clear_error(&error);
    if (n <= 0) {
        g->in_source = 0;
        detach(g);
        return G_SOURCE_REMOVE;
    }
    for (gssize i = 0; i < n; i++) {
        if (!take_byte(g, data[i])) {
            return G_SOURCE_REMOVE;
        }
    }
    if (g->out->len != 0) {
        g->in_source = 0;
        return G_SOURCE_REMOVE; /* no more questions until it has taken the answers */
    }
    return G_SOURCE_CONTINUE;
}

static void hear(Gdbstub *g)
{
    GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(g->connection));

    if (g->in_source == 0) {
        GSource *s = g_pollable_input_stream_create_source(G_POLLABLE_INPUT_STREAM(in), NULL);

        g_source_set_callback(s, G_SOURCE_FUNC(on_input), g, NULL);
        g->in_source = g_source_attach(s, NULL);
        g_source_unref(s);
    }
}

static gboolean on_connect(GSocketService *service, GSocketConnection *connection, GObject *source, gpointer opaque)
{
    Gdbstub *g = opaque;

    if (g->connection != NULL) {
        return TRUE; /* one at a time: the newcomer is closed */
    }
    g->connection = g_object_ref(connection);
    g->no_ack = g->in_packet = g->suffixes = false;
    machine_hold_live(g->machine, 1);
    machine_pause(g->machine, true);
    hear(g);
    return TRUE;
}

static GSocketAddress *parse_address(const char *text)
{
    if (g_str_has_prefix(text, "unix:") && text[5] != '\0') {
        return g_unix_socket_address_new(text + 5);
    }
    if (!g_str_has_prefix(text, "tcp:")) {
        return NULL;
    }
    const char *host = text + 4, *colon = strrchr(host, ':');
    guint64     port;
    if (colon == NULL || !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL)) {
        return NULL;
    }
    char *name = g_strndup(host, (gsize)(colon - host));
    bool  local = *name == '\0' || strcmp(name, "localhost") == 0;
    GSocketAddress *a = g_inet_socket_address_new_from_string(local ? "127.0.0.1" : name, (guint)port);
    g_free(name);
    return a;
}

Gdbstub *gdbstub_new(const MonMachine *on, const char *address, GError **error)
{
    Gdbstub        *g = g_new0(Gdbstub, 1);
    GSocketAddress *a = parse_address(address);
    GError         *cause = NULL;

    g->machine = on->machine;
    mon_init(&g->mon, on);
    g->regs = gdb_regs_new();
    g->packet = g_string_new(NULL);
    g->out = g_string_new(NULL);
    g->breaks = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g->watches = g_array_new(FALSE, FALSE, sizeof(CpuWatch));
    g->service = g_socket_service_new();
    if (a == NULL || !g_socket_listener_add_address(G_SOCKET_LISTENER(g->service), a, G_SOCKET_TYPE_STREAM,
                                                    G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, &cause)) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "-gdb: cannot listen on '%s': %s; use tcp:127.0.0.1:1234 or unix:PATH", address,
                    cause != NULL ? cause->message
                                  : "it is neither tcp:ADDR:PORT, with a numeric address and a port of 1 to 65535, nor "
                                    "unix:PATH");
        g_clear_error(&cause);
        g_clear_object(&a);
        gdbstub_free(g);
        return NULL;
    }
    g_object_unref(a);
    if (g_str_has_prefix(address, "unix:")) {
        g->unix_path = g_strdup(address + 5); /* only now: what was there before us is not ours */
    }
    g_signal_connect(g->service, "incoming", G_CALLBACK(on_connect), g);
    g_socket_service_start(g->service);
    machine_on_break(on->machine, on_break, g);
    return g;
}

void gdbstub_free(Gdbstub *g)
{
    if (g == NULL) {
        return;
    }
    if (g->connection != NULL) {
        send_packet(g, "W00");
        detach(g);
    }
    machine_off_break(g->machine, on_break, g);
    g_socket_service_stop(g->service);
    g_socket_listener_close(G_SOCKET_LISTENER(g->service));
    g_object_unref(g->service);
    if (g->unix_path != NULL) {
        unlink(g->unix_path);
        g_free(g->unix_path);
    }
    mon_deinit(&g->mon);
    gdb_regs_free(g->regs);
    g_string_free(g->packet, TRUE);
    g_string_free(g->out, TRUE);
    g_array_free(g->breaks, TRUE);
    g_array_free(g->watches, TRUE);
    g_free(g);
}
