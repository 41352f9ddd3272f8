/*
 * The gdb server. "GDB Remote Serial Protocol" of the GDB manual; register sets org.gnu.gdb.aarch64.core and .fpu.
 * All-stop; one thread for each CPU (thread ID = CPU number + 1).
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
#include "bytes.h"
#include "device.h"
#include "log.h"

#define PACKET_MAX   4096
#define MEMORY_MAX   ((PACKET_MAX - 8) / 2)
#define N_CORE_REGS  34 /* x0..x30, sp, pc, cpsr */
#define N_REGS       (N_CORE_REGS + 34)
#define BREAKS_MAX   1024
#define WATCHES_MAX  64
#define SIGNAL_INT   2
#define SIGNAL_TRAP  5

struct Gdbstub {
    Machine           *machine;
    A64Cpu           **cpus;
    unsigned           n_cpus;
    GSocketService    *service;
    GSocketConnection *connection;
    guint              in_source;
    char              *unix_path; /* ours to remove */
    unsigned           current;   /* CPU of g, m and s commands */
    GArray            *breaks;    /* of uint64_t: what is inserted, to be taken out when the debugger goes */
    GArray            *watches;   /* of CpuWatch: the same */
    bool               no_ack, in_packet, escaped;
    uint8_t            checksum_digits;
    GString           *packet;
    char               received_sum[3];
};

/* ---- hexadecimal ---- */

static void put_hex(GString *s, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++) {
        g_string_append_printf(s, "%02x", p[i]);
    }
}

/* Bytes of hexadecimal text; returns how many, at most @cap. */
static size_t get_hex(const char *text, uint8_t *dst, size_t cap)
{
    size_t n = 0;

    while (n < cap && g_ascii_isxdigit(text[0]) && g_ascii_isxdigit(text[1])) {
        dst[n++] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
        text += 2;
    }
    return n;
}

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

static void send_raw(Gdbstub *g, const char *data, size_t len)
{
    GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(g->connection));

    g_output_stream_write_all(out, data, len, NULL, NULL, NULL);
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

static void send_stop(Gdbstub *g, unsigned signal)
{
    static const char *const kinds[] = {
        [CPU_WATCH_READ] = "rwatch", [CPU_WATCH_WRITE] = "watch", [CPU_WATCH_READ | CPU_WATCH_WRITE] = "awatch",
    };
    char     text[64];
    int      len = snprintf(text, sizeof(text), "T%02xthread:%x;", signal, g->current + 1);
    CpuWatch w;

    if (signal == SIGNAL_TRAP && cpu_watch_hit(&g->cpus[g->current]->cpu, &w)) {
        snprintf(text + len, sizeof(text) - (size_t)len, "%s:%" PRIx64 ";", kinds[w.access], w.va);
    }
    send_packet(g, text);
}

/* ---- registers ---- */

/* Where register @n is kept and its size; cpsr is made from parts and has no place. */
static void *register_place(A64Cpu *cpu, unsigned n, size_t *size)
{
    *size = 8;
    if (n < 31) {
        return &cpu->x[n];
    }
    if (n == 31) {
        return &cpu->sp;
    }
    if (n == 32) {
        return &cpu->pc;
    }
    if (n >= N_CORE_REGS && n < N_CORE_REGS + 32) {
        *size = 16;
        return cpu->v[n - N_CORE_REGS];
    }
    *size = 4;
    return n == N_CORE_REGS + 32 ? &cpu->fpsr : n == N_CORE_REGS + 33 ? &cpu->fpcr : NULL;
}

static void read_register(Gdbstub *g, unsigned n, GString *out)
{
    A64Cpu  *cpu = g->cpus[g->current];
    size_t   size;
    void    *place = register_place(cpu, n, &size);
    uint32_t cpsr = (uint32_t)a64_get_spsr(cpu);

    put_hex(out, place != NULL ? place : &cpsr, size);
}

static bool write_register(Gdbstub *g, unsigned n, const char *hex)
{
    A64Cpu *cpu = g->cpus[g->current];
    uint8_t bytes[16];
    size_t  size;
    void   *place = register_place(cpu, n, &size);

    if (n >= N_REGS || get_hex(hex, bytes, size) != size) {
        return false;
    }
    if (place != NULL) {
        memcpy(place, bytes, size);
    } else {
        cpu->nzcv = le32_get(bytes) >> 28; /* the rest of PSTATE is not the debugger's to change */
    }
    cpu->fpcr &= 0x07c80000; /* what "FPCR" and "FPSR" have */
    cpu->fpsr &= 0x0800009f;
    return true;
}

/* ---- memory ---- */

/* One page-bounded piece of @len bytes at @va as the CPU sees it now. */
static bool access_piece(Gdbstub *g, uint64_t va, uint8_t *data, size_t len, bool write)
{
    A64Cpu  *cpu = g->cpus[g->current];
    Memory  *memory = machine_memory(g->machine);
    A64Walk  walk;

    if (!a64_debug_walk(cpu, va, &walk)) {
        return false;
    }
    MemRegion *r = memory_find(memory, walk.pa);
    if (r == NULL || r->kind == MEM_MMIO) { /* looking must not change a device */
        return false;
    }
    MemAttrs attrs = { .pas = walk.pas, .requester = cpu->cpu.index };
    return (write ? memory_write(memory, walk.pa, attrs, data, len)
                  : memory_read(memory, walk.pa, attrs, data, len)) == MEM_OK;
}

static bool access_memory(Gdbstub *g, uint64_t va, uint8_t *data, size_t len, bool write)
{
    while (len != 0) {
        size_t piece = MIN(len, 4096 - (va & 4095));

        if (!access_piece(g, va, data, piece, write)) {
            return false;
        }
        va += piece;
        data += piece;
        len -= piece;
    }
    return true;
}

static void cmd_read_memory(Gdbstub *g, const char *p)
{
    uint64_t addr, len;
    uint8_t  data[MEMORY_MAX];
    GString *out;

    if (!get_range(&p, &addr, &len, '\0') || len > MEMORY_MAX || !access_memory(g, addr, data, len, false)) {
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
              access_memory(g, addr, data, len, true);
    send_packet(g, ok ? "OK" : "E14");
}

/* ---- running ---- */

static void cmd_continue(Gdbstub *g)
{
    machine_pause(g->machine, false);
}

static void cmd_step(Gdbstub *g)
{
    machine_step(g->machine, &g->cpus[g->current]->cpu);
    send_stop(g, SIGNAL_TRAP);
}

static void on_break(void *opaque, Cpu *cpu)
{
    Gdbstub *g = opaque;

    machine_pause(g->machine, true);
    g->current = cpu->index;
    if (g->connection != NULL) {
        send_stop(g, SIGNAL_TRAP);
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

/* The views of a vector register that users know from gdb: $v0.d.f[0], $v0.s.u[3], $v0.q.u ... */
static void put_vector_types(GString *s)
{
    static const struct {
        char        view;
        const char *type[3]; /* of the members f, u and s; NULL: none */
        unsigned    n;
    } views[] = {
        { 'd', { "ieee_double", "uint64", "int64" }, 2 }, { 's', { "ieee_single", "uint32", "int32" }, 4 },
        { 'h', { NULL, "uint16", "int16" }, 8 },          { 'b', { NULL, "uint8", "int8" }, 16 },
        { 'q', { NULL, "uint128", "int128" }, 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        GString *fields = g_string_new(NULL);

        for (size_t m = 0; m < 3; m++) {
            if (views[i].type[m] != NULL) {
                g_string_append_printf(s, "<vector id=\"v%c%c\" type=\"%s\" count=\"%u\"/>", views[i].view, "fus"[m],
                                       views[i].type[m], views[i].n);
                g_string_append_printf(fields, "<field name=\"%c\" type=\"v%c%c\"/>", "fus"[m], views[i].view,
                                       "fus"[m]);
            }
        }
        g_string_append_printf(s, "<union id=\"v%c\">%s</union>", views[i].view, fields->str);
        g_string_free(fields, TRUE);
    }
    g_string_append(s, "<union id=\"v16\">");
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        g_string_append_printf(s, "<field name=\"%c\" type=\"v%c\"/>", views[i].view, views[i].view);
    }
    g_string_append(s, "</union>");
}

static char *target_xml(void)
{
    GString *s = g_string_new("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
                              "<architecture>aarch64</architecture><feature name=\"org.gnu.gdb.aarch64.core\">");

    for (int i = 0; i < 31; i++) {
        g_string_append_printf(s, "<reg name=\"x%d\" bitsize=\"64\"/>", i);
    }
    g_string_append(s, "<reg name=\"sp\" bitsize=\"64\" type=\"data_ptr\"/>"
                       "<reg name=\"pc\" bitsize=\"64\" type=\"code_ptr\"/>"
                       "<reg name=\"cpsr\" bitsize=\"32\"/></feature><feature name=\"org.gnu.gdb.aarch64.fpu\">");
    put_vector_types(s);
    for (int i = 0; i < 32; i++) {
        g_string_append_printf(s, "<reg name=\"v%d\" bitsize=\"128\" type=\"v16\"/>", i);
    }
    g_string_append(s, "<reg name=\"fpsr\" bitsize=\"32\"/><reg name=\"fpcr\" bitsize=\"32\"/></feature></target>");
    return g_string_free(s, FALSE);
}

static void cmd_features(Gdbstub *g, const char *p)
{
    uint64_t off, len;

    if (!g_str_has_prefix(p, "target.xml:")) {
        send_packet(g, "E00");
        return;
    }
    p += strlen("target.xml:");
    if (!get_range(&p, &off, &len, '\0')) {
        send_packet(g, "E00");
        return;
    }
    char  *xml = target_xml();
    size_t size = strlen(xml);
    off = MIN(off, size);
    len = MIN(MIN(len, PACKET_MAX - 1), size - off);
    char *part = g_strdup_printf("%c%.*s", off + len < size ? 'm' : 'l', (int)len, xml + off);
    send_packet(g, part);
    g_free(part);
    g_free(xml);
}

static void cmd_query(Gdbstub *g, const char *p)
{
    if (g_str_has_prefix(p, "Supported")) {
        send_packet(g, "PacketSize=1000;qXfer:features:read+;QStartNoAckMode+;vContSupported+");
    } else if (g_str_has_prefix(p, "Xfer:features:read:")) {
        cmd_features(g, p + strlen("Xfer:features:read:"));
    } else if (strcmp(p, "fThreadInfo") == 0) {
        GString *s = g_string_new("m");

        for (unsigned i = 0; i < g->n_cpus; i++) {
            g_string_append_printf(s, "%s%x", i == 0 ? "" : ",", i + 1);
        }
        send_packet(g, s->str);
        g_string_free(s, TRUE);
    } else if (strcmp(p, "sThreadInfo") == 0) {
        send_packet(g, "l");
    } else if (strcmp(p, "C") == 0) {
        char text[16];

        snprintf(text, sizeof(text), "QC%x", g->current + 1);
        send_packet(g, text);
    } else if (strcmp(p, "Attached") == 0) {
        send_packet(g, "1");
    } else {
        send_packet(g, "");
    }
}

/* Makes the CPU of a thread ID current; -1 (all) and 0 (any) leave it. */
static bool select_thread(Gdbstub *g, const char *p)
{
    uint64_t id = 0;

    if (strncmp(p, "-1", 2) != 0 && (!get_number(&p, &id) || id > g->n_cpus)) {
        return false;
    }
    if (id != 0) {
        g->current = (unsigned)id - 1;
    }
    return true;
}

static void cmd_thread(Gdbstub *g, const char *p)
{
    /* The first letter says for which commands: one current CPU serves all. */
    send_packet(g, *p != '\0' && select_thread(g, p + 1) ? "OK" : "E01");
}

static void cmd_thread_alive(Gdbstub *g, const char *p)
{
    uint64_t id;

    send_packet(g, get_number(&p, &id) && id >= 1 && id <= g->n_cpus ? "OK" : "E01");
}

static void cmd_registers(Gdbstub *g, const char *p, bool all, bool write)
{
    GString *out = g_string_new(NULL);
    uint64_t n = 0;

    if (all && !write) {
        for (unsigned i = 0; i < N_REGS; i++) {
            read_register(g, i, out);
        }
    } else if (!all && get_number(&p, &n) && n < N_REGS) {
        if (!write) {
            read_register(g, (unsigned)n, out);
        } else {
            g_string_append(out, *p == '=' && write_register(g, (unsigned)n, p + 1) ? "OK" : "E01");
        }
    } else if (!all) {
        g_string_append(out, "E01");
    }
    send_packet(g, out->str); /* writing all at once is answered "": gdb then writes one by one */
    g_string_free(out, TRUE);
}

static void detach(Gdbstub *g)
{
    while (g->breaks->len != 0) {
        remove_break(g, g_array_index(g->breaks, uint64_t, 0));
    }
    while (g->watches->len != 0) {
        const CpuWatch w = g_array_index(g->watches, CpuWatch, 0);

        remove_watch(g, &w);
    }
    if (g->in_source != 0) {
        g_source_remove(g->in_source);
        g->in_source = 0;
    }
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

/* Returns false when the session ended. */
static bool handle_packet(Gdbstub *g, const char *p)
{
    switch (*p) {
    case '?': send_stop(g, SIGNAL_TRAP); break;
    case 'g': cmd_registers(g, p + 1, true, false); break;
    case 'G': cmd_registers(g, p + 1, true, true); break;
    case 'p': cmd_registers(g, p + 1, false, false); break;
    case 'P': cmd_registers(g, p + 1, false, true); break;
    case 'm': cmd_read_memory(g, p + 1); break;
    case 'M': cmd_write_memory(g, p + 1); break;
    case 'c': cmd_continue(g); break;
    case 's': cmd_step(g); break;
    case 'v': handle_vcont(g, p + 1); break;
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
        machine_stop(g->machine, EXIT_GUEST_OFF, "killed by the debugger");
        detach(g);
        return false;
    case 'Q':
        if (strcmp(p, "QStartNoAckMode") == 0) {
            send_packet(g, "OK");
            g->no_ack = true;
            break;
        }
        /* fall through */
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
    return !good || handle_packet(g, g->packet->str);
}

/* One byte from the debugger. Returns false when the session ended. */
static bool take_byte(Gdbstub *g, uint8_t c)
{
    if (!g->in_packet) {
        if (c == '$') {
            g->in_packet = true;
            g->checksum_digits = 0;
            g_string_truncate(g->packet, 0);
        } else if (c == 3) { /* interrupt */
            machine_pause(g->machine, true);
            send_stop(g, SIGNAL_INT);
        }
        return true;
    }
    if (g->checksum_digits == 0) {
        if (c == '#') {
            g->checksum_digits = 1;
        } else if (g->packet->len >= PACKET_MAX || c == '\0') {
            g->in_packet = false; /* no debugger of ours sends this */
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
    return G_SOURCE_CONTINUE;
}

static gboolean on_connect(GSocketService *service, GSocketConnection *connection, GObject *source, gpointer opaque)
{
    Gdbstub *g = opaque;

    if (g->connection != NULL) {
        return TRUE; /* one at a time: the newcomer is closed */
    }
    g->connection = g_object_ref(connection);
    g->no_ack = g->in_packet = false;
    machine_hold_live(g->machine, 1);
    machine_pause(g->machine, true);

    GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(connection));
    GSource      *s = g_pollable_input_stream_create_source(G_POLLABLE_INPUT_STREAM(in), NULL);
    g_source_set_callback(s, G_SOURCE_FUNC(on_input), g, NULL);
    g->in_source = g_source_attach(s, NULL);
    g_source_unref(s);
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

Gdbstub *gdbstub_new(Machine *m, A64Cpu **cpus, unsigned n_cpus, const char *address, GError **error)
{
    Gdbstub        *g = g_new0(Gdbstub, 1);
    GSocketAddress *a = parse_address(address);
    GError         *cause = NULL;

    g->machine = m;
    g->cpus = cpus;
    g->n_cpus = n_cpus;
    g->packet = g_string_new(NULL);
    g->breaks = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g->watches = g_array_new(FALSE, FALSE, sizeof(CpuWatch));
    g->service = g_socket_service_new();
    if (a == NULL || !g_socket_listener_add_address(G_SOCKET_LISTENER(g->service), a, G_SOCKET_TYPE_STREAM,
                                                    G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, &cause)) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "-gdb: cannot listen on '%s': %s; use tcp:127.0.0.1:1234 or unix:PATH", address,
                    cause != NULL ? cause->message : "it is neither tcp:ADDR:PORT nor unix:PATH");
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
    machine_on_break(m, on_break, g);
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
    machine_on_break(g->machine, NULL, NULL);
    g_socket_service_stop(g->service);
    g_socket_listener_close(G_SOCKET_LISTENER(g->service));
    g_object_unref(g->service);
    if (g->unix_path != NULL) {
        unlink(g->unix_path);
        g_free(g->unix_path);
    }
    g_string_free(g->packet, TRUE);
    g_array_free(g->breaks, TRUE);
    g_array_free(g->watches, TRUE);
    g_free(g);
}
