/*
 * bench-guest: the in-guest programs of tests/bench. One line each on the console:
 *
 *   BENCH: class name nanoseconds checksum
 *
 *   bench-guest NAME [SCALE]    one program, a class of them or all, each in a process of its own; SCALE multiplies
 *                               their work (default 1; 0.1 is a tenth)
 *   bench-guest nothing         ends at once, for the program that measures exec
 *   bench-guest serve [PORT]    the peer of the class "net", which "all" leaves out: see net.c
 *
 * As the guest's /init it says "BENCH: init", does what the kernel's command line says (BENCH=NAME, default
 * none; BENCH_SCALE) and powers off.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

const char *bench_self;

static const Program *const groups[] = {integer_programs, sorting_programs, calls_programs, interpreter_programs,
                                        chasing_programs, memory_programs,  fp_programs,    neon_programs,
                                        crypto_programs,  atomic_programs,  code_programs,  system_programs,
                                        process_programs, net_programs};

enum { NET = sizeof(groups) / sizeof(groups[0]) - 1 }; /* want a peer */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* All on one CPU, as in the guest: natively, two processes that wait for each other would otherwise use two. */
static void stay_on_one_cpu(void)
{
    cpu_set_t all, one;

    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof(all), &all) != 0) {
        return;
    }
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            sched_setaffinity(0, sizeof(one), &one);
            return;
        }
    }
}

static void measure(const Program *p, double scale)
{
    uint64_t n = (uint64_t)((double)p->n * scale), start, sum;

    start = now_ns();
    sum = p->run(n > 0 ? n : 1);
    printf("BENCH: %s %s %llu %016llx\n", p->class, p->name, (unsigned long long)(now_ns() - start),
           (unsigned long long)sum);
    fflush(stdout);
}

static bool measure_in_child(const Program *p, double scale)
{
    int   status = 0;
    pid_t child = fork();

    if (child == 0) {
        measure(p, scale);
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        printf("BENCH: failed %s, wait status 0x%x\n", p->name, (unsigned)status);
        fflush(stdout);
        return false;
    }
    return true;
}

/* The program or the class of that name or, with "all", every one. False if one failed or none has the name. */
static bool run(const char *name, double scale)
{
    bool all = strcmp(name, "all") == 0, found = false, ok = true;

    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        for (const Program *p = groups[g]; p->name != NULL; p++) {
            if ((all && g != NET) || strcmp(name, p->name) == 0 || strcmp(name, p->class) == 0) {
                ok = measure_in_child(p, scale) && ok;
                found = true;
            }
        }
    }
    return found && ok;
}

static int be_init(void)
{
    const char *name = getenv("BENCH"), *scale = getenv("BENCH_SCALE");
    int         console;

    mount("dev", "/dev", "devtmpfs", 0, NULL);
    mount("proc", "/proc", "proc", 0, NULL);
    console = open("/dev/console", O_RDWR);
    for (int fd = 0; fd < 3; fd++) {
        dup2(console, fd);
    }
    setenv("PATH", "/bin", 1);
    printf("BENCH: init\n");
    fflush(stdout);
    if (name != NULL && strcmp(name, "none") != 0) {
        sleep(1); /* what the kernel puts off until after its boot belongs to no program */
        run(name, scale == NULL ? 1 : strtod(scale, NULL));
    }
    printf("BENCH: end\n");
    fflush(stdout);
    tcdrain(STDOUT_FILENO); /* the kernel's way off does not wait for it */
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}

int main(int argc, char **argv)
{
    bench_self = argv[0];
    if (argc > 1 && strcmp(argv[1], "nothing") == 0) {
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "serve") == 0) {
        return bench_serve((uint16_t)(argc > 2 ? atoi(argv[2]) : 0));
    }
    if (getpid() == 1) {
        return be_init();
    }
    if (argc < 2) {
        fprintf(stderr, "usage: bench-guest NAME|CLASS|all [SCALE]\n");
        return 2;
    }
    stay_on_one_cpu();
    return run(argv[1], argc > 2 ? strtod(argv[2], NULL) : 1) ? 0 : 1;
}
