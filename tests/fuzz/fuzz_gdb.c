/*
 * A hostile debugger: packets to the gdb server of a small machine, over a socket. Lines of the input are packets,
 * which get their frame and checksum; a line that begins with '!' goes out as it is, one with ':' is a command of the
 * monitor. The machine has a guest that makes SMCs and takes exceptions when it is stepped, so that breakpoints on
 * events are met.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "entropy.h"
#include "gdbstub.h"
#include "hw/gicv3.h"

enum { N_CPUS = 2, RAM_SIZE = 1 << 20, PACKETS_MAX = 256 };
#define RAM 0x40000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint32_t guest[] = {
    0xd2802a00, /* mov x0, #0x150: RMI_VERSION, but for its owner */
    0xf2b88000, /* movk x0, #0xc400, lsl #16 */
    0xd4000003, /* smc #0 */
    0xf9000440, /* str x0, [x2, #8] */
    0xd4000001, /* svc #0 */
    0x17fffffb, /* b .-20 */
};

typedef struct Rig {
    Machine *machine;
    Gic     *gic;
    A64Cpu  *cpu[N_CPUS];
    Entropy  entropy;
    Rmm     *rmm;
    Monitor *monitor;
    Gdbstub *gdb;
} Rig;

static bool is_off(const Cpu *cpu) { return CONTAINER_OF(cpu, A64Cpu, cpu)->off; }

static void rig_init(Rig *r, const char *address)
{
    Options    o = { 0 };
    GError    *error = NULL;
    GicConfig  gic = { .n_cpus = N_CPUS, .n_spis = 32 };

    *r = (Rig){ .machine = machine_new(&o, NULL) };
    Memory *memory = machine_memory(r->machine);
    memory_add_ram(memory, "ram", RAM, RAM_SIZE, &error);
    entropy_init(&r->entropy, 1, "cpu");
    r->gic = gicv3_new(&gic);
    for (unsigned i = 0; i < N_CPUS; i++) {
        r->cpu[i] = a64_cpu_new(machine_engine(r->machine), memory, machine_clock(r->machine), i, i, &r->entropy);
        gicv3_connect(r->gic, i, r->cpu[i]);
        machine_add_cpu(r->machine, &r->cpu[i]->cpu, is_off);
    }
    r->rmm = rmm_new(memory, r->cpu, N_CPUS, RAM + RAM_SIZE / 2, RAM_SIZE / 2, NULL, 0, 1);
    r->monitor = monitor_new(r->rmm, memory, r->cpu, N_CPUS);
    memory_load(memory, RAM, guest, sizeof(guest));
    r->cpu[0]->x[2] = RAM + 0x1000;
    monitor_start(r->monitor, r->cpu[0], RAM, 0);
    machine_pause(r->machine, true);
    const MonMachine on = { .machine = r->machine, .cpus = r->cpu, .n_cpus = N_CPUS, .rmm = r->rmm };
    r->gdb = gdbstub_new(&on, address, &error);
    g_assert(r->gdb != NULL);
}

static void rig_free(Rig *r)
{
    gdbstub_free(r->gdb);
    monitor_free(r->monitor);
    rmm_free(r->rmm);
    for (unsigned i = 0; i < N_CPUS; i++) {
        a64_cpu_free(r->cpu[i]);
    }
    gicv3_free(r->gic);
    machine_free(r->machine);
}

static int call(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert(connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0);
    return fd;
}

static void serve(int fd)
{
    char dump[4096];

    while (g_main_context_iteration(NULL, FALSE) || recv(fd, dump, sizeof(dump), 0) > 0) {
    }
}

/* False: the server has ended the session. */
static bool say(int fd, const uint8_t *line, size_t len)
{
    g_autoptr(GString) s = g_string_new(NULL);
    uint8_t            sum = 0;

    if (len > 0 && line[0] == '!') {
        g_string_append_len(s, (const char *)line + 1, (gssize)len - 1);
    } else {
        g_string_append_c(s, '$');
        if (len > 0 && line[0] == ':') {
            g_string_append(s, "qRcmd,");
            for (size_t i = 1; i < len; i++) {
                g_string_append_printf(s, "%02x", line[i]);
            }
        } else {
            g_string_append_len(s, (const char *)line, (gssize)len);
        }
        for (size_t i = 1; i < s->len; i++) {
            sum = (uint8_t)(sum + (uint8_t)s->str[i]);
        }
        g_string_append_printf(s, "#%02x", sum);
    }
    return s->len == 0 || send(fd, s->str, s->len, MSG_NOSIGNAL) == (ssize_t)s->len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char dir[] = "/tmp/bailey-fuzz-XXXXXX";
    Rig  rig;

    if (g_mkdtemp(dir) == NULL) {
        abort();
    }
    g_autofree char *path = g_strdup_printf("%s/gdb", dir);
    g_autofree char *address = g_strdup_printf("unix:%s", path);
    rig_init(&rig, address);
    int fd = call(path);
    serve(fd);
    for (unsigned n = 0; len > 0 && n < PACKETS_MAX; n++) {
        const uint8_t *end = memchr(data, '\n', len);
        size_t         line = end != NULL ? (size_t)(end - data) : len;

        if (!say(fd, data, line)) {
            break;
        }
        serve(fd);
        line += end != NULL;
        data += line;
        len -= line;
    }
    close(fd);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    rig_free(&rig);
    rmdir(dir);
    return 0;
}
