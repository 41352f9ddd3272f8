/*
 * The instruction oracle: runs the cases of a file, each from the state it gives, and writes the states they
 * left. Every case ends in a signal; its handler stores the registers of the interrupted context and replaces
 * them by those of the next case. Usage: insn_oracle INPUT OUTPUT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/diff/insn_case.h"

static const InsnCase *cases;
static InsnState      *results;
static long            n_cases, current = -1;
static const char     *out_path;
static uint64_t *const scratch = (uint64_t *)(uintptr_t)INSN_SCRATCH;

static void die(const char *what)
{
    perror(what);
    _exit(1);
}

static struct fpsimd_context *fp_of(ucontext_t *uc)
{
    struct _aarch64_ctx *head = (struct _aarch64_ctx *)uc->uc_mcontext.__reserved;

    while (head->magic != FPSIMD_MAGIC) {
        if (head->magic == 0) {
            die("no FP context");
        }
        head = (struct _aarch64_ctx *)((char *)head + head->size);
    }
    return (struct fpsimd_context *)head;
}

static void save(ucontext_t *uc, int sig, InsnState *s)
{
    struct fpsimd_context *fp = fp_of(uc);

    memcpy(s->x, uc->uc_mcontext.regs, sizeof(s->x));
    s->sp = uc->uc_mcontext.sp;
    s->pc = uc->uc_mcontext.pc;
    s->nzcv = uc->uc_mcontext.pstate & 0xf0000000;
    s->fpcr = fp->fpcr;
    s->fpsr = fp->fpsr;
    s->end = (uint32_t)sig;
    memcpy(s->v, fp->vregs, sizeof(s->v));
    s->memory = insn_checksum(scratch);
}

static void load(ucontext_t *uc, const InsnState *s)
{
    struct fpsimd_context *fp = fp_of(uc);

    memcpy(uc->uc_mcontext.regs, s->x, sizeof(s->x));
    uc->uc_mcontext.sp = s->sp;
    uc->uc_mcontext.pc = s->pc;
    uc->uc_mcontext.pstate = (uc->uc_mcontext.pstate & 0x0fffffff & ~0xc00ul) | s->nzcv;
    fp->fpcr = s->fpcr;
    fp->fpsr = s->fpsr;
    memcpy(fp->vregs, s->v, sizeof(s->v));
    insn_fill(scratch, (uint64_t)current);
}

static void finish(void)
{
    size_t len = (size_t)n_cases * sizeof(InsnState);
    int    fd = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, results, len) != (ssize_t)len) {
        die(out_path);
    }
    _exit(0);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)info;
    if (current >= 0) {
        save(context, sig, &results[current]);
    }
    if (++current == n_cases) {
        finish();
    }
    load(context, &cases[current].in);
}

static void *map_at(uint64_t base, size_t len, int prot)
{
    void *p = mmap((void *)(uintptr_t)base, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (p == MAP_FAILED) {
        die("mmap");
    }
    return p;
}

static void catch_signals(void)
{
    static const int signals[] = { SIGTRAP, SIGILL, SIGBUS, SIGSEGV };
    stack_t          stack = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };
    struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &act, NULL);
    }
}

int main(int argc, char **argv)
{
    struct stat st;
    int         fd = argc == 3 ? open(argv[1], O_RDONLY) : -1;

    if (fd < 0 || fstat(fd, &st) != 0) {
        die("input");
    }
    n_cases = st.st_size / (long)sizeof(InsnCase);
    cases = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    results = calloc((size_t)n_cases, sizeof(*results));
    out_path = argv[2];
    if (cases == MAP_FAILED || results == NULL) {
        die("memory");
    }
    map_at(INSN_SCRATCH, INSN_SCRATCH_SIZE, PROT_READ | PROT_WRITE);
    char *code =
        map_at(INSN_CODE_BASE, (size_t)n_cases * sizeof(cases->code), PROT_READ | PROT_WRITE | PROT_EXEC);
    for (long i = 0; i < n_cases; i++) {
        memcpy(code + (size_t)i * sizeof(cases->code), cases[i].code, sizeof(cases->code));
    }
    __builtin___clear_cache(code, code + (size_t)n_cases * sizeof(cases->code));
    catch_signals();
    raise(SIGTRAP);
    return 1;
}
