/*
 * Invalid operations of floating point, and tiny results. Where a NaN comes from numbers, or from a signalling NaN, the
 * guest's rules say which one it is; other NaNs pass through the host's instructions as through the guest's. Where a
 * result is tiny, the guest's rules say whether that is an underflow. Generated code does not ask for either: it lets
 * the host trap, which does not write the result then, and the signal's handler goes on where C does the operation
 * anew.
 *
 * A trap takes microseconds. A guest that makes many gets code that asks (JIT_MANY_TRAPS); so does every guest where
 * the host's traps do not work, as in some emulators.
 */
#define _GNU_SOURCE
#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "cpu/jit/jit_int.h"

enum {
    EFLAGS_C = 1 << 0,
    EFLAGS_P = 1 << 2,
    EFLAGS_A = 1 << 4,
    EFLAGS_Z = 1 << 6,
    EFLAGS_S = 1 << 7,
    EFLAGS_O = 1 << 11,
};

_Thread_local Jit *jit_running;

static struct sigaction            before; /* whose signals those are that are not ours */
static _Thread_local volatile bool probing;

/* The one that the instruction at an offset into code memory belongs to; NULL: none. */
static const JitTrap *find_trap(const Jit *j, uint32_t at)
{
    uint32_t low = 0, high = j->n_traps;

    while (low < high) {
        uint32_t       middle = low + (high - low) / 2;
        const JitTrap *t = &j->trap[middle];

        if (at >= t->from && at < t->to) {
            return t;
        }
        if (at < t->from) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* What comes after a comparison that is unordered, or of a pair that is not equal; or C. */
static uint32_t resume(const JitTrap *t, ucontext_t *c)
{
    greg_t *flags = &c->uc_mcontext.gregs[REG_EFL];

    switch (t->kind) {
    case TRAP_UNORDERED:
        *flags &= ~(greg_t)(EFLAGS_A | EFLAGS_S | EFLAGS_O);
        *flags |= EFLAGS_C | EFLAGS_P | EFLAGS_Z;
        return t->to;
    case TRAP_UNEQUAL:
        memset(&c->uc_mcontext.fpregs->_xmm[0], 0, sizeof(c->uc_mcontext.fpregs->_xmm[0]));
        return t->to;
    default:
        return t->target;
    }
}

static bool handle(ucontext_t *c)
{
    greg_t *pc = &c->uc_mcontext.gregs[REG_RIP];
    Jit    *j = jit_running;

    if (probing) {
        probing = false;
        c->uc_mcontext.fpregs->mxcsr = JIT_MXCSR; /* and now without */
        return true;
    }
    if (j == NULL || (uint64_t)*pc - (uintptr_t)j->mem.run >= j->mem.size) {
        return false;
    }
    const JitTrap *t = find_trap(j, (uint32_t)((uint64_t)*pc - (uintptr_t)j->mem.run));
    if (t == NULL) {
        return false;
    }
    if (++j->n_trapped == JIT_MANY_TRAPS) {
        cpu_flush_code(j->engine); /* generated code expects that at any operation that C may do */
    }
    if (c->uc_mcontext.fpregs->mxcsr & _MM_EXCEPT_UNDERFLOW) { /* only a trap leaves that: C knows whether it is one */
        c->uc_mcontext.fpregs->mxcsr &= ~(uint32_t)_MM_EXCEPT_UNDERFLOW;
    } else {
        c->uc_mcontext.fpregs->mxcsr |= _MM_EXCEPT_INVALID;
    }
    *pc = (greg_t)((uintptr_t)j->mem.run + resume(t, c));
    return true;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    if (handle(context)) {
        return;
    }
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(sig, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(sig);
    } else {
        signal(sig, SIG_DFL); /* an instruction that trapped does so again */
        if (info->si_code <= 0) {
            raise(sig);
        }
    }
}

/* Whether @x * @y comes to the handler, with @exceptions unmasked. */
static bool probe(double x, double y, unsigned exceptions)
{
    bool works;

    probing = true;
    _mm_setcsr(JIT_MXCSR & ~exceptions);
    __asm__ volatile("mulsd %1, %0" : "+x"(x) : "x"(y));
    _mm_setcsr(JIT_MXCSR);
    works = !probing;
    probing = false;
    return works;
}

/* Others may have put their handler there since the last time. */
bool jit_host_traps(void)
{
    struct sigaction on = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, now;

    if (sigaction(SIGFPE, NULL, &now) != 0) {
        return false;
    }
    if ((now.sa_flags & SA_SIGINFO) == 0 || now.sa_sigaction != on_signal) {
        before = now;
        if (sigaction(SIGFPE, &on, NULL) != 0) {
            return false;
        }
    }
    return probe(0, INFINITY, _MM_MASK_INVALID) && probe(DBL_MIN, 0.5, _MM_MASK_UNDERFLOW);
}
