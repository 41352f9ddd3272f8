/*
 * The init of a guest that measures single instructions: for each word of the list a loop with four copies of it that
 * write different registers. Prints, for those that are allocated,
 *
 *   INSN: word name picoseconds picoseconds
 *
 * for two sets of operands: small numbers that are normal in every floating-point format, and random bits. Each figure
 * is the least of many short runs, so that it does not depend on what else the machine does.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

static const struct {
    uint32_t    word;
    const char *name;
    int         has_rd;
} list[] = {
#include "insn_list.inc"
};

enum { N_WORDS = sizeof(list) / sizeof(list[0]), COPIES = 4, LOOP = 16, RUNS = 15, TIMES = 500 };

typedef struct Operands {
    uint64_t x[8];
    uint64_t v[8][2];
} Operands;

static sigjmp_buf undefined;

static void on_sigill(int sig) { siglongjmp(undefined, 1); }

static uint64_t now(void)
{
    uint64_t t;

    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(t));
    return t;
}

static uint64_t frequency(void)
{
    uint64_t f;

    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(f));
    return f;
}

/* Runs the loop at @code @times over, its registers from @in; returns how long that took. */
static uint64_t run(const uint32_t *code, const Operands *in, uint64_t times)
{
    uint64_t start = now();

    __asm__ volatile("ldp q0, q1, [%1, #64]\n\t"
                     "ldp q2, q3, [%1, #96]\n\t"
                     "ldp q4, q5, [%1, #128]\n\t"
                     "ldp q6, q7, [%1, #160]\n\t"
                     "mov x20, %2\n\t"
                     "mov x21, %0\n\t"
                     "mov x22, %1\n\t"
                     "ldp x0, x1, [x22]\n\t"
                     "ldp x2, x3, [x22, #16]\n\t"
                     "ldp x4, x5, [x22, #32]\n\t"
                     "ldp x6, x7, [x22, #48]\n\t"
                     "blr x21\n\t"
                     :
                     : "r"(code), "r"(in), "r"(times)
                     : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x20", "x21", "x22", "x30", "v0", "v1", "v2",
                       "v3", "v4", "v5", "v6", "v7", "memory", "cc");
    return now() - start;
}

static void make_loop(uint32_t *code, uint32_t word, int has_rd)
{
    static const uint32_t rd[COPIES] = {0, 5, 6, 7};

    for (int i = 0; i < COPIES; i++) {
        code[i] = has_rd ? (word & ~31u) | rd[i] : word;
    }
    code[COPIES] = 0xf1000694;                                             /* subs x20, x20, #1 */
    code[COPIES + 1] = 0x54000001 | ((uint32_t)(-(COPIES + 1)) & 0x7ffff) << 5; /* b.ne to the start */
    code[COPIES + 2] = 0xd65f03c0;                                         /* ret */
}

static uint64_t least(const uint32_t *code, const Operands *in)
{
    uint64_t best = ~0ull;

    run(code, in, 3000); /* until it is hot */
    for (int i = 0; i < RUNS; i++) {
        uint64_t t = run(code, in, TIMES);

        best = t < best ? t : best;
    }
    return best;
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed ^ *seed >> 29;
}

/* Halfwords of 0x3c00 to 0x3fff: in half, single and double precision a normal number. */
static void make_operands(Operands *in, int random)
{
    uint64_t seed = 1, *p = (uint64_t *)(void *)in;

    for (unsigned i = 0; i < sizeof(*in) / 8; i++) {
        uint64_t r = next(&seed);

        p[i] = random ? r : (r & 0x03ff03ff03ff03ff) | 0x3c003c003c003c00;
    }
}

/* Picoseconds of one copy; 0: it is not allocated. */
static uint64_t measure(const uint32_t *code, const Operands *in)
{
    if (sigsetjmp(undefined, 1) != 0) {
        return 0;
    }
    return least(code, in) * 1000000 / (frequency() / 1000000) / (TIMES * COPIES);
}

static void measure_all(uint32_t *code)
{
    Operands in[2];

    make_operands(&in[0], 0);
    make_operands(&in[1], 1);
    for (int i = 0; i < N_WORDS; i++) {
        make_loop(code + i * LOOP, list[i].word, list[i].has_rd);
    }
    __builtin___clear_cache((char *)code, (char *)(code + N_WORDS * LOOP));
    for (int i = 0; i < N_WORDS; i++) {
        uint64_t small = measure(code + i * LOOP, &in[0]);

        if (small != 0) {
            printf("INSN: %08x %s %llu %llu\n", list[i].word, list[i].name, (unsigned long long)small,
                   (unsigned long long)measure(code + i * LOOP, &in[1]));
        }
    }
}

int main(void)
{
    struct sigaction act = {.sa_handler = on_sigill};
    uint32_t        *code = mmap(NULL, N_WORDS * LOOP * 4, PROT_READ | PROT_WRITE | PROT_EXEC,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    mount("dev", "/dev", "devtmpfs", 0, NULL);
    int console = open("/dev/console", O_RDWR);
    for (int fd = 0; fd < 3; fd++) {
        dup2(console, fd);
    }
    sigaction(SIGILL, &act, NULL);
    if (code != MAP_FAILED) {
        measure_all(code);
    }
    printf("INSN: end\n");
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 1;
}
