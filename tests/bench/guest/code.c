/*
 * Code made or changed while it runs: an immediate patched over and over, functions written one after another into a
 * buffer as a compiler for a script language does, and the same with the buffer never writable and executable at once.
 */
#include <sys/mman.h>

#include "bench.h"

enum { BUFFER = 1 << 16, TERMS = 32 };

typedef uint32_t Function(uint32_t v);

#ifdef __aarch64__
static uint8_t *emit_word(uint8_t *p, uint32_t word)
{
    memcpy(p, &word, 4);
    return p + 4;
}
static uint8_t *emit_start(uint8_t *p) { return p; }
static uint8_t *emit_add(uint8_t *p, uint32_t imm) { return emit_word(p, 0x11000000 | (imm & 0xfff) << 10); }
static uint8_t *emit_return(uint8_t *p) { return emit_word(p, 0xd65f03c0); }
#else
static uint8_t *emit_start(uint8_t *p)
{
    memcpy(p, "\x89\xf8", 2); /* mov eax, edi */
    return p + 2;
}
static uint8_t *emit_add(uint8_t *p, uint32_t imm)
{
    imm &= 0xfff;
    *p = 0x05; /* add eax, imm32 */
    memcpy(p + 1, &imm, 4);
    return p + 5;
}
static uint8_t *emit_return(uint8_t *p)
{
    *p = 0xc3;
    return p + 1;
}
#endif

static uint8_t *code_buffer(int protection)
{
    void *p = mmap(NULL, BUFFER, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        abort();
    }
    return p;
}

static void code_ready(uint8_t *from, uint8_t *to) { __builtin___clear_cache((char *)from, (char *)to); }

static Function *function_at(uint8_t *p)
{
    Function *f;

    memcpy(&f, &p, sizeof(f));
    return f;
}

/* f(v) = v + the sum of TERMS numbers that begin with `first`. */
static uint8_t *emit_function(uint8_t *p, uint32_t first)
{
    p = emit_start(p);
    for (uint32_t i = 0; i < TERMS; i++) {
        p = emit_add(p, first + i);
    }
    return emit_return(p);
}

static uint64_t patch(uint64_t n)
{
    uint8_t *code = code_buffer(PROT_READ | PROT_WRITE | PROT_EXEC), *at = emit_start(code);
    uint32_t v = 0;

    emit_function(code, 0);
    while (n-- > 0) {
        code_ready(at, emit_add(at, (uint32_t)n));
        v = function_at(code)(v);
    }
    munmap(code, BUFFER);
    return v;
}

/* Data beside the code it is used by: no patching, but stores into a page that holds code. */
static uint64_t beside(uint64_t n)
{
    uint8_t          *code = code_buffer(PROT_READ | PROT_WRITE | PROT_EXEC);
    volatile uint32_t *data = (volatile uint32_t *)(code + 2048);

    code_ready(code, emit_function(code, 1));
    while (n-- > 0) {
        *data = function_at(code)(*data);
    }
    uint32_t v = *data;
    munmap(code, BUFFER);
    return v;
}

static uint64_t generate(uint64_t n)
{
    uint8_t *code = code_buffer(PROT_READ | PROT_WRITE | PROT_EXEC), *p = code;
    uint32_t v = 0;

    while (n-- > 0) {
        uint8_t *end = emit_function(p, (uint32_t)n);

        code_ready(p, end);
        for (unsigned i = 0; i < 20; i++) {
            v = function_at(p)(v ^ i);
        }
        p = (end - code) + 1024 > BUFFER ? code : code + ((end - code + 15) & ~15);
    }
    munmap(code, BUFFER);
    return v;
}

static uint64_t toggle(uint64_t n)
{
    uint8_t *code = code_buffer(PROT_READ | PROT_WRITE);
    uint32_t v = 0;

    while (n-- > 0) {
        uint8_t *end = emit_function(code, (uint32_t)n);

        if (mprotect(code, BUFFER, PROT_READ | PROT_EXEC) != 0) {
            abort();
        }
        code_ready(code, end);
        for (unsigned i = 0; i < 20; i++) {
            v = function_at(code)(v ^ i);
        }
        if (mprotect(code, BUFFER, PROT_READ | PROT_WRITE) != 0) {
            abort();
        }
    }
    munmap(code, BUFFER);
    return v;
}

const Program code_programs[] = {
    { "code", "patch", patch, 12000 },
    { "code", "generate", generate, 10000 },
    { "code", "generate-mprotect", toggle, 3000 },
    { "code", "data-beside-code", beside, 1200000 },
    { NULL },
};
