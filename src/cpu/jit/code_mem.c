/*
 * Memory for generated code. Two mappings of the same shared anonymous memory keep writing and running apart at no
 * cost; hosts that forbid running shared memory (some policies of SELinux do) may still let private memory change from
 * one to the other. The addresses are the kernel's choice: nothing in generated code depends on them. Linux perf looks
 * for names of code (perf_map.c) in anonymous memory only, so the memory is no memfd.
 */
#define _GNU_SOURCE

#include "cpu/jit/code_mem.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE_PAGE ((size_t)2 << 20)
#define SMALL_USE ((size_t)64 << 10) /* of a huge page's place, is left in small ones */

/* Address space where huge pages may be. */
static uint8_t *reserve(size_t size)
{
    uint8_t *room = mmap(NULL, size + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED) {
        return NULL;
    }
    size_t   before = -(uintptr_t)room % HUGE_PAGE;
    uint8_t *at = room + before;
    if (before != 0) {
        munmap(room, before);
    }
    munmap(at + size, HUGE_PAGE - before);
    return at;
}

/* munmap() for the way out of a failure, whose errno stays. */
static void give_back(void *at, size_t size)
{
    int error = errno;

    munmap(at, size);
    errno = error;
}

static uint8_t *map(size_t size, int prot, int flags)
{
    uint8_t *at = reserve(size);

    if (at != NULL &&
        mmap(at, size, prot, flags | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
        give_back(at, size);
        return NULL;
    }
    return at;
}

/* A second mapping of shared memory, to write it: an mremap() of no bytes leaves the first one where it is. */
static uint8_t *map_again(uint8_t *first, size_t size)
{
    uint8_t *at = reserve(size);

    if (at != NULL && (mremap(first, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED ||
                       mprotect(at, size, PROT_READ | PROT_WRITE) != 0)) {
        give_back(at, size);
        return NULL;
    }
    return at;
}

static bool init_dual(CodeMem *m)
{
    m->run = map(m->size, PROT_READ | PROT_EXEC, MAP_SHARED);
    m->write = m->run != NULL ? map_again(m->run, m->size) : NULL;
    if (m->write == NULL && m->run != NULL) {
        give_back(m->run, m->size);
        m->run = NULL;
    }
    return m->write != NULL;
}

static bool init_toggling(CodeMem *m)
{
    uint8_t *at = map(m->size, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    if (at == NULL) {
        return false;
    }
    if (mprotect(at, m->size, PROT_READ | PROT_EXEC) != 0) {
        give_back(at, m->size);
        return false;
    }
    m->write = m->run = at;
    m->toggles = true;
    return true;
}

static CodeMem sized(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (CodeMem){ .size = (size + page - 1) / page * page };
}

bool code_mem_init_toggling(CodeMem *m, size_t size, char *why, size_t why_len)
{
    *m = sized(size);
    if (init_toggling(m)) {
        return true;
    }
    snprintf(why, why_len,
             "cannot get %zu MiB of memory for generated code: %s; this host may forbid programs to make code "
             "(SELinux: execmem)",
             m->size >> 20, strerror(errno));
    *m = (CodeMem){ 0 };
    return false;
}

bool code_mem_init(CodeMem *m, size_t size, char *why, size_t why_len)
{
    *m = sized(size);
    return init_dual(m) || code_mem_init_toggling(m, size, why, why_len);
}

void code_mem_free(CodeMem *m)
{
    if (m->write != NULL && m->write != m->run) {
        munmap(m->write, m->size);
    }
    if (m->run != NULL) {
        munmap(m->run, m->size);
    }
    *m = (CodeMem){ 0 };
}

/* Of the whole mapping, so it is never split, and both protections were granted before: it cannot fail later. */
static void protect(CodeMem *m, int prot)
{
    if (m->toggles && mprotect(m->run, m->size, prot) != 0) {
        g_error("cannot change the protection of generated code: %s", strerror(errno));
    }
}

/* Code is spread over tens of megabytes: huge pages spare it misses of the host's TLB. Advice: kernels before 6.1 do
 * not take it. */
static void make_huge(CodeMem *m)
{
    while (!m->toggles && m->used > m->huge + SMALL_USE && m->huge + HUGE_PAGE <= m->size) {
        madvise(m->write + m->huge, HUGE_PAGE, MADV_COLLAPSE);
        madvise(m->run + m->huge, HUGE_PAGE, MADV_COLLAPSE); /* maps what the first one made */
        m->huge += HUGE_PAGE;
    }
}

void code_mem_begin(CodeMem *m)
{
    make_huge(m);
    if (m->open++ == 0) {
        protect(m, PROT_READ | PROT_WRITE);
    }
}

void code_mem_end(CodeMem *m)
{
    g_assert(m->open != 0);
    if (--m->open == 0) {
        protect(m, PROT_READ | PROT_EXEC);
    }
}

void code_mem_reset(CodeMem *m)
{
    m->used = m->huge = 0;
    if (m->write != NULL) { /* advice: where the kernel does not take it, the pages stay until they are used again */
        madvise(m->write, m->size, m->toggles ? MADV_DONTNEED : MADV_REMOVE);
    }
}
