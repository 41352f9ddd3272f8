/* bailey-guard: shows, with the DMA test engine of tdisp-nic, what an assigned device can and cannot reach.
 *
 *   bailey-guard [-f FUNCTION] STAGE
 *                           unlocked | lying-host | locked | run | enabled | disabled | error | recovered | page-gone
 *   bailey-guard [-f FUNCTION] fault NAME ARGUMENT
 *                           asks the emulator's host to misbehave, as in -M cca,host-fault=NAME; ARGUMENT is a number,
 *                           private (the IPA of the private test page) or vdev (the VDEV ID)
 *
 * FUNCTION as 0000:02:00.0; without it the first that the module looks after.
 *
 * A stage is one state of the device, to which init has brought it. Each experiment prints one line: name, expected,
 * got, ok or FAIL. The buffer is looked at every time, not only the engine's word for it; but for page-gone, where the
 * buffer is what the host took away. Status 0 when all went as they should.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bailey-tsm.h"

#define PAGE         4096u
#define BEFORE       0x5aa5c33c0ff01234ull      /* what the buffer holds before each experiment */
#define ALL_ONES     (~0ull)

typedef enum { WRITE, READ, IDENTIFY, WRITE_BLIND } Action;
typedef enum { SHARED, PRIVATE } Target;

typedef struct {
    const char *stage, *name;
    Action      action;
    uint32_t    view;                            /* by which mapping the engine is driven */
    Target      target;
    uint64_t    expect;                          /* engine status, or the ID register for IDENTIFY */
} Experiment;

/* Sources: TDISP 1.0 "TLP rules" and "TDI states"; Arm SMMUv3 IHI 0070 "Granule protection"; RMM
 * specification DEN0137 1.1, RSI_VDEV_DMA_ENABLE. A device outside RUN with the T bit clear is an ordinary
 * device. */
static const Experiment experiments[] = {
    { "unlocked",   "registers-answer",        IDENTIFY, BAILEY_MAP_ENGINE_ALIAS, SHARED,  BAILEY_ENGINE_MAGIC },
    { "unlocked",   "mirror-answers",          IDENTIFY, BAILEY_MAP_ENGINE_OPEN, SHARED,  BAILEY_ENGINE_MAGIC },
    { "unlocked",   "write-shared",            WRITE,    BAILEY_MAP_ENGINE_OPEN, SHARED,  ENGINE_OK },
    { "unlocked",   "read-shared",             READ,     BAILEY_MAP_ENGINE_OPEN, SHARED,  ENGINE_OK },
    { "unlocked",   "write-private",           WRITE,    BAILEY_MAP_ENGINE_OPEN, PRIVATE, ENGINE_FAULT },
    { "unlocked",   "read-private",            READ,     BAILEY_MAP_ENGINE_OPEN, PRIVATE, ENGINE_FAULT },
    { "lying-host", "write-mapped-private",    WRITE,    BAILEY_MAP_ENGINE_OPEN, PRIVATE, ENGINE_GPF },
    { "lying-host", "read-mapped-private",     READ,     BAILEY_MAP_ENGINE_OPEN, PRIVATE, ENGINE_GPF },
    { "locked",     "tee-registers-silent",    IDENTIFY, BAILEY_MAP_ENGINE_ALIAS, SHARED,  ALL_ONES },
    { "locked",     "write-shared",            WRITE,    BAILEY_MAP_ENGINE_OPEN, SHARED,  ENGINE_REFUSED },
    { "locked",     "write-private",           WRITE,    BAILEY_MAP_ENGINE_OPEN, PRIVATE, ENGINE_REFUSED },
    { "run",        "tee-registers-answer",    IDENTIFY, BAILEY_MAP_ENGINE,      SHARED,  BAILEY_ENGINE_MAGIC },
    { "run",        "write-private-no-stream", WRITE,    BAILEY_MAP_ENGINE,      PRIVATE, ENGINE_FAULT },
    { "enabled",    "write-private",           WRITE,    BAILEY_MAP_ENGINE,      PRIVATE, ENGINE_OK },
    { "enabled",    "read-private",            READ,     BAILEY_MAP_ENGINE,      PRIVATE, ENGINE_OK },
    { "disabled",   "write-private-no-stream", WRITE,    BAILEY_MAP_ENGINE,      PRIVATE, ENGINE_FAULT },
    { "disabled",   "read-private-no-stream",  READ,     BAILEY_MAP_ENGINE,      PRIVATE, ENGINE_FAULT },
    { "error",      "tee-registers-all-ones",  IDENTIFY, BAILEY_MAP_ENGINE,      SHARED,  ALL_ONES },
    { "error",      "write-private",           WRITE,    BAILEY_MAP_ENGINE_OPEN, PRIVATE, ENGINE_REFUSED },
    { "page-gone",  "write-private",           WRITE_BLIND, BAILEY_MAP_ENGINE,   PRIVATE, ENGINE_FAULT },
    { "recovered",  "registers-answer",        IDENTIFY, BAILEY_MAP_ENGINE_ALIAS, SHARED,  BAILEY_ENGINE_MAGIC },
    { "recovered",  "write-shared",            WRITE,    BAILEY_MAP_ENGINE_OPEN, SHARED,  ENGINE_OK },
};
#define N_EXPERIMENTS (sizeof(experiments) / sizeof(experiments[0]))

static int fd;
static struct bailey_tsm_info info;

static const char *status_name(uint64_t status)
{
    static const char *const names[] = { "idle", "ok", "translation-fault", "granule-protection-fault",
                                         "refused", "bad-command" };
    return status < sizeof(names) / sizeof(names[0]) ? names[status] : "nonsense";
}

static volatile uint64_t *map(uint32_t what)
{
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, what);

    return p == MAP_FAILED ? NULL : p;
}

static uint64_t reg_read(volatile uint64_t *engine, unsigned reg) { return engine[reg / 8]; }
static void reg_write(volatile uint64_t *engine, unsigned reg, uint64_t v) { engine[reg / 8] = v; }

static void fill(volatile uint64_t *page, uint64_t v)
{
    for (unsigned i = 0; i < PAGE / 8; i++) {
        page[i] = v;
    }
}

static bool holds(volatile uint64_t *page, uint64_t v)
{
    for (unsigned i = 0; i < PAGE / 8; i++) {
        if (page[i] != v) {
            return false;
        }
    }
    return true;
}

static bool report(const Experiment *e, bool ok, const char *expect, const char *got)
{
    printf("BAILEY: guard %s.%s %s expected %s got %s\n", e->stage, e->name, ok ? "ok" : "FAIL", expect, got);
    return ok;
}

static bool identify(const Experiment *e, volatile uint64_t *engine)
{
    uint64_t id = reg_read(engine, ENGINE_ID);
    char expect[32], got[32];

    snprintf(expect, sizeof(expect), "%#" PRIx64, e->expect);
    snprintf(got, sizeof(got), "%#" PRIx64, id);
    return report(e, id == e->expect, expect, got);
}

/* One transfer of a page. The value moved is new each time and in each process, so an old result cannot pass for a
 * new one. */
static bool transfer(const Experiment *e, volatile uint64_t *engine, volatile uint64_t *page)
{
    static uint64_t serial = 0x0102030405060708ull;
    uint64_t value = (serial += 0x1111111111111111ull) ^ (uint64_t)getpid() << 16;
    bool     moves = e->expect == ENGINE_OK, blind = e->action == WRITE_BLIND;
    bool     content = true;
    char     got[64];

    if (!blind) {
        fill(page, e->action == READ ? value : BEFORE);
    }
    __sync_synchronize();
    reg_write(engine, ENGINE_ADDR, e->target == PRIVATE ? info.private_iova : info.shared_iova);
    reg_write(engine, ENGINE_LEN, PAGE);
    reg_write(engine, ENGINE_PATTERN, e->action == READ ? 0 : value);
    reg_write(engine, ENGINE_CMD, e->action == READ ? ENGINE_CMD_READ : ENGINE_CMD_WRITE);
    uint64_t status = reg_read(engine, ENGINE_STATUS);
    __sync_synchronize();

    if (e->action == WRITE) {
        content = holds(page, moves ? value : BEFORE);
    } else if (e->action == READ) {
        content = (reg_read(engine, ENGINE_RESULT) == value) == moves;
    }
    snprintf(got, sizeof(got), "%s, %s", status_name(status),
             !content ? "wrong data" : moves ? "data moved" : "no data moved");
    return report(e, status == e->expect && content, status_name(e->expect), got);
}

static bool run(const Experiment *e)
{
    volatile uint64_t *engine = map(e->view);
    volatile uint64_t *page = map(e->target == PRIVATE ? BAILEY_MAP_PRIVATE : BAILEY_MAP_SHARED);
    bool ok;

    if (engine == NULL || page == NULL) {
        ok = report(e, false, "a mapping", "none");
    } else if (e->action == IDENTIFY) {
        ok = identify(e, engine);
    } else {
        ok = transfer(e, engine, page);
    }
    if (engine != NULL) {
        munmap((void *)(uintptr_t)engine, PAGE);
    }
    if (page != NULL) {
        munmap((void *)(uintptr_t)page, PAGE);
    }
    return ok;
}

/* Asks the host for a misdeed. */
static bool misbehave(const char *name, const char *argument)
{
    struct bailey_host_fault f = { .arg = strcmp(argument, "private") == 0 ? info.private_iova
                                          : strcmp(argument, "vdev") == 0  ? info.vdev_id
                                                                           : strtoull(argument, NULL, 0) };

    snprintf(f.name, sizeof(f.name), "%s", name);
    bool ok = ioctl(fd, BAILEY_TSM_HOST_FAULT, &f) == 0 && f.result == 0;
    printf("BAILEY: guard fault-%s %s expected 0 got %#llx\n", name, ok ? "ok" : "FAIL",
           (unsigned long long)f.result);
    return ok;
}

/* The function's VDEV ID: its domain and routing ID. */
static bool choose(const char *function)
{
    unsigned domain, bus, dev, fn;

    if (sscanf(function, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) != 4) {
        return false;
    }
    uint64_t id = (uint64_t)domain << 16 | bus << 8 | dev << 3 | fn;

    return ioctl(fd, BAILEY_TSM_SELECT, &id) == 0;
}

int main(int argc, char **argv)
{
    const char *function = argc > 2 && strcmp(argv[1], "-f") == 0 ? argv[2] : NULL;

    if (function != NULL) {
        argv += 2;
        argc -= 2;
    }
    unsigned n = 0;
    bool ok = true, asks = argc == 4 && strcmp(argv[1], "fault") == 0;

    if (argc != 2 && !asks) {
        fprintf(stderr, "usage: bailey-guard [-f FUNCTION] STAGE | fault NAME ARGUMENT\n");
        return 2;
    }
    fd = open("/dev/bailey-tsm", O_RDWR);
    if (fd >= 0 && function != NULL && !choose(function)) {
        fprintf(stderr, "bailey-guard: the module does not look after a function %s\n", function);
        return 2;
    }
    if (fd < 0 || ioctl(fd, BAILEY_TSM_INFO, &info) != 0) {
        perror("bailey-guard: /dev/bailey-tsm");
        return 1;
    }
    if (asks) {
        return misbehave(argv[2], argv[3]) ? 0 : 1;
    }
    for (unsigned i = 0; i < N_EXPERIMENTS; i++) {
        if (strcmp(experiments[i].stage, argv[1]) == 0) {
            ok = run(&experiments[i]) && ok;
            fflush(stdout);
            n++;
        }
    }
    if (n == 0) {
        fprintf(stderr, "bailey-guard: there is no stage '%s'\n", argv[1]);
        return 2;
    }
    return ok ? 0 : 1;
}
