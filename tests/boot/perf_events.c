/* Init of a guest: counts itself by perf_event_open() and says what it found, a line for each. Counts are exact: what a
 * longer loop has more than a shorter one is what is in the loop. */
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOOP = 4, SAMPLES = 100, PERIOD = 10007, PAGE = 4096, TOUCHED = 64 };

extern const char loop_begin[];

/* @n times four instructions. */
__attribute__((noinline)) static void loop(uint64_t n)
{
    asm volatile("loop_begin:\n"
                 "1: add x9, x9, #1\n"
                 "   eor x10, x10, x9\n"
                 "   subs %0, %0, #1\n"
                 "   b.ne 1b\n"
                 : "+r"(n) : : "x9", "x10", "cc");
}

static int open_event(uint32_t type, uint64_t config, uint64_t period, int kernel, int user)
{
    struct perf_event_attr a = { .type = type, .size = sizeof(a), .config = config, .disabled = 1 };

    a.exclude_kernel = !kernel;
    a.exclude_user = !user;
    a.exclude_hv = !kernel; /* the kernel's level is EL2 */
    a.sample_period = period;
    a.sample_type = period != 0 ? PERF_SAMPLE_IP : 0;
    return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static uint64_t count_loop(int fd, uint64_t n)
{
    uint64_t v = 0;

    ioctl(fd, PERF_EVENT_IOC_RESET, 0);
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    loop(n);
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    return read(fd, &v, sizeof(v)) == sizeof(v) ? v : 0;
}

static void say(const char *name, int good, uint64_t value)
{
    printf("PERF: %s %s %llu\n", name, good ? "ok" : "FAIL", (unsigned long long)value);
}

static void check_loop(const char *name, uint64_t config)
{
    int      fd = open_event(PERF_TYPE_HARDWARE, config, 0, 0, 1);
    uint64_t less = count_loop(fd, 1), more = count_loop(fd, 100001);

    say(name, fd >= 0 && more - less == 100000 * LOOP, more - less);
    close(fd);
}

static uint64_t count_calls(int kernel, int user)
{
    int      fd = open_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, 0, kernel, user);
    uint64_t v = 0;

    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    for (unsigned i = 0; i < 1000; i++) {
        syscall(SYS_getpid);
    }
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    if (read(fd, &v, sizeof(v)) != sizeof(v)) {
        v = 0;
    }
    close(fd);
    return v;
}

/* Exceptions from EL0: first touches of pages. */
static void check_faults(void)
{
    int            fd = open_event(PERF_TYPE_RAW, 0x09, 0, 0, 1);
    volatile char *p = mmap(NULL, TOUCHED * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t       v = 0;

    madvise((void *)p, TOUCHED * PAGE, MADV_NOHUGEPAGE);
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    for (unsigned i = 0; i < TOUCHED; i++) {
        p[i * PAGE] = 1;
    }
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    int n = (int)read(fd, &v, sizeof(v));
    say("exceptions", n == sizeof(v) && v > TOUCHED && v < TOUCHED + 10, v); /* and one for the last call */
    close(fd);
}

/* Overflow interrupts: as many as there are periods, each in the loop. */
static void check_samples(void)
{
    int   fd = open_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, PERIOD, 0, 1);
    void *ring = mmap(NULL, 9 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd < 0 || ring == MAP_FAILED) {
        say("samples", 0, 0);
        return;
    }
    count_loop(fd, (uint64_t)SAMPLES * PERIOD / LOOP);
    const struct perf_event_mmap_page *head = ring;
    const char                        *data = (const char *)ring + PAGE;
    unsigned                           n = 0, inside = 0;
    for (uint64_t at = 0; at < head->data_head;) {
        struct perf_event_header h;
        uint64_t                 ip;
        memcpy(&h, data + at, sizeof(h));
        memcpy(&ip, data + at + sizeof(h), sizeof(ip));
        n += h.type == PERF_RECORD_SAMPLE;
        inside += h.type == PERF_RECORD_SAMPLE && ip >= (uint64_t)loop_begin && ip < (uint64_t)loop_begin + 4 * LOOP;
        at += h.size;
    }
    say("samples", n == SAMPLES && inside >= n - 1, n);
    close(fd);
}

int main(void)
{
    check_loop("instructions", PERF_COUNT_HW_INSTRUCTIONS);
    check_loop("cycles", PERF_COUNT_HW_CPU_CYCLES);
    uint64_t user = count_calls(0, 1), kernel = count_calls(1, 0), both = count_calls(1, 1);
    say("user", user > 3000 && user < 20000, user);
    say("kernel", kernel > 50000 && both > kernel, kernel);
    check_faults();
    check_samples();
    printf("PERF: end\n");
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 0;
}
