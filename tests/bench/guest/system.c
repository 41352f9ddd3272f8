/* The kernel's work for one process: system calls, page faults, protection changes, signals, files in memory. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

static uint64_t getppid_calls(uint64_t n)
{
    uint64_t failed = 0;

    for (uint64_t i = 0; i < n; i++) {
        failed += syscall(SYS_getppid) < 0;
    }
    return mix(failed, n);
}

static uint8_t *pages(size_t len)
{
    uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        abort();
    }
    return p;
}

static uint64_t faults(uint64_t n)
{
    enum { LEN = 1 << 20 };
    uint64_t sum = 0;

    while (n-- > 0) {
        uint8_t *p = pages(LEN);

        for (unsigned i = 0; i < LEN; i += 4096) {
            p[i] = (uint8_t)(i >> 12);
        }
        sum = mix(sum, p[(n % 256) * 4096]);
        munmap(p, LEN);
    }
    return sum;
}

static uint64_t protect(uint64_t n)
{
    enum { LEN = 16 * 4096 };
    uint8_t *p = pages(LEN);
    uint64_t sum = 0;

    memset(p, 1, LEN);
    while (n-- > 0) {
        uint8_t *at = p + n % 16 * 4096;

        if (mprotect(at, 4096, PROT_READ) != 0) {
            abort();
        }
        sum += *at;
        if (mprotect(at, 4096, PROT_READ | PROT_WRITE) != 0) {
            abort();
        }
        *at += 3;
    }
    munmap(p, LEN);
    return sum;
}

static volatile sig_atomic_t seen;

static void on_signal(int number) { seen += number == SIGUSR1; }

static uint64_t signals(uint64_t n)
{
    struct sigaction action = {.sa_handler = on_signal};

    seen = 0;
    sigaction(SIGUSR1, &action, NULL);
    for (uint64_t i = 0; i < n; i++) {
        raise(SIGUSR1);
    }
    return mix(mix(0, (uint64_t)seen), n);
}

static uint8_t *guarded;

/* A collector's write barrier: the store faults, the handler opens the page. */
static void on_fault(int number)
{
    seen += number == SIGSEGV;
    mprotect(guarded, 4096, PROT_READ | PROT_WRITE);
}

static uint64_t barrier(uint64_t n)
{
    struct sigaction action = {.sa_handler = on_fault};

    seen = 0;
    guarded = pages(4096);
    sigaction(SIGSEGV, &action, NULL);
    for (uint64_t i = 0; i < n; i++) {
        mprotect(guarded, 4096, PROT_READ);
        *(volatile uint8_t *)guarded = (uint8_t)i;
    }
    action.sa_handler = SIG_DFL;
    sigaction(SIGSEGV, &action, NULL);
    munmap(guarded, 4096);
    return mix(mix(0, (uint64_t)seen), n);
}

static uint64_t file(uint64_t n)
{
    static uint8_t block[4096];
    int            fd = memfd_create("bench", 0);
    uint64_t       sum = 0;

    if (fd < 0) {
        abort();
    }
    fill_random(block, sizeof(block), 33);
    while (n-- > 0) {
        off_t at = (off_t)(n % 64) * 4096;

        block[n % 4096]++;
        if (pwrite(fd, block, sizeof(block), at) != sizeof(block) || pread(fd, block, sizeof(block), at ^ 4096) < 0) {
            abort();
        }
        sum = mix(sum, block[n % 100]);
    }
    close(fd);
    return sum;
}

/* An event loop with nobody else in it. */
static uint64_t events(uint64_t n)
{
    struct epoll_event event = {.events = EPOLLIN};
    int                set = epoll_create1(0), fd = eventfd(0, 0);
    uint64_t           sum = 0, value;

    if (set < 0 || fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0) {
        abort();
    }
    while (n-- > 0) {
        value = n | 1;
        if (write(fd, &value, sizeof(value)) < 0 || epoll_wait(set, &event, 1, 0) != 1 ||
            read(fd, &value, sizeof(value)) < 0) {
            abort();
        }
        sum = mix(sum, value);
    }
    close(fd);
    close(set);
    return sum;
}

const Program system_programs[] = {
    { "system", "getppid", getppid_calls, 50000 },
    { "system", "page-fault", faults, 30 },
    { "system", "mprotect", protect, 3000 },
    { "system", "signal", signals, 4000 },
    { "system", "write-barrier", barrier, 2500 },
    { "system", "file", file, 10000 },
    { "system", "events", events, 6000 },
    { NULL },
};
