/*
 * Plugins of Bailey: shared objects that hear what a guest does, given by -plugin FILE.so[,ARGUMENT...].
 * docs/plugins.md tells how to build one; plugins/ has examples. This header is all that a plugin includes; it links
 * nothing.
 *
 * A plugin observes. Its functions are called in the order in which the guest executes, at the same places by every
 * way of running code, and a run with it is the run without it to the instruction. It must not block, nor change the
 * guest; what it is handed is valid until its function returns, unless said otherwise. All calls come from one thread.
 */
#ifndef BAILEY_PLUGIN_H
#define BAILEY_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Grows when something is taken away or means something else. What is added goes to the ends of BaileyApi and
 * BaileyPlugin, whose sizes tell. */
#define BAILEY_PLUGIN_VERSION 1

typedef struct BaileyCpu BaileyCpu;

typedef enum BaileyWorld { BAILEY_SECURE, BAILEY_NONSECURE, BAILEY_ROOT, BAILEY_REALM } BaileyWorld;

/*
 * A straight run of code, from where execution came to it up to the instruction that ends it: a branch, one that
 * changes how later code executes, or the last one of its page. Where one goes on that an exception left, a block
 * begins.
 */
typedef struct BaileyBlock {
    uint64_t        pc, pa;  /* virtual and physical address of the first instruction */
    const uint32_t *code;    /* instructions */
    size_t          n;       /* of them, at most 256: what a longer block has beyond is not shown; 0: where @pc is
                              * not aligned, they may be none in the page */
    void           *data;    /* what translate() returned for it */
} BaileyBlock;

typedef struct BaileyAccess {
    uint64_t pc; /* of the instruction */
    uint64_t va;
    unsigned size; /* bytes, 1 to 16 */
    bool     store;
} BaileyAccess;

typedef enum BaileyExceptionKind {
    BAILEY_SYNC, BAILEY_IRQ, BAILEY_FIQ, BAILEY_SERROR
} BaileyExceptionKind;

typedef struct BaileyException {
    BaileyExceptionKind kind;
    unsigned            from_el, to_el;
    uint64_t            esr, far; /* @far: 0 when there is none */
    uint64_t            return_pc;
} BaileyException;

typedef enum BaileyCallKind {
    BAILEY_RMI, /* of a host to the RMM, the built-in host's too */
    BAILEY_RSI, /* of a Realm to the RMM */
    BAILEY_SMC, /* PSCI and other SMCs, of either world */
} BaileyCallKind;

/* A call of firmware that has been answered. */
typedef struct BaileyCall {
    BaileyCallKind  kind;
    const char     *name;      /* as specified, without "RMI_" and "RSI_"; "?" when there is no such call */
    uint64_t        fid;       /* x0 */
    unsigned        n_args, n_results;
    const uint64_t *args;      /* x1 and on */
    bool            pending;   /* the answer comes later: the CPU entered a Realm, or left it to ask its host */
    uint64_t        status;    /* x0 of the answer, unless it is pending */
    const uint64_t *results;   /* x1 and on, likewise */
    const char     *text;      /* all that as -d has it: one line, without a newline */
} BaileyCall;

/* What a plugin can ask. */
typedef struct BaileyApi {
    uint32_t version, size; /* BAILEY_PLUGIN_VERSION, sizeof(BaileyApi) of the program */

    unsigned    (*cpu_index)(const BaileyCpu *cpu);
    BaileyWorld (*world)(const BaileyCpu *cpu);
    unsigned    (*el)(const BaileyCpu *cpu);

    /* The guest's registers, as they are before the current instruction: 0 to 30 are x0 to x30, 31 is sp, 32 pc. */
    uint64_t (*reg)(const BaileyCpu *cpu, unsigned n);

    uint64_t (*insns)(const BaileyCpu *cpu);   /* that this CPU has executed */
    int64_t  (*time_ns)(const BaileyCpu *cpu); /* guest time */

    /* Memory as the kernel of what runs could read it. False: not mapped, another world's, or a device. */
    bool (*read_memory)(BaileyCpu *cpu, uint64_t va, void *dst, size_t len);

    /* "function+0x12" by -symbols, up to @cap bytes with a zero at the end. False: not known. */
    bool (*symbol)(BaileyCpu *cpu, uint64_t addr, char *dst, size_t cap);

    /* The instruction in the assembler's words, up to @cap bytes with a zero at the end. */
    void (*disassemble)(uint64_t pc, uint32_t code, char *dst, size_t cap);
} BaileyApi;

/* What a plugin wants to hear; NULL: nothing of that, which then costs nothing. */
typedef struct BaileyPlugin {
    void *opaque; /* the first argument of all of them */

    /* A block is about to be executed for the first time, or for the first time since its code changed. What this
     * returns is the block's data from then on. Blocks may be forgotten, and told again. */
    void *(*translate)(void *opaque, BaileyCpu *cpu, const BaileyBlock *block);
    void (*block)(void *opaque, BaileyCpu *cpu, const BaileyBlock *block);

    /* An instruction is about to be executed. It may raise an exception, and come again later. */
    void (*insn)(void *opaque, BaileyCpu *cpu, uint64_t pc, uint32_t code);

    /* The current instruction has accessed data. An atomic is a load and a store, whether it stores or not. */
    void (*access)(void *opaque, BaileyCpu *cpu, const BaileyAccess *access);

    /* An exception is about to be taken. */
    void (*exception)(void *opaque, BaileyCpu *cpu, const BaileyException *exception);

    void (*call)(void *opaque, BaileyCpu *cpu, const BaileyCall *call);

    /* The run is over: write what there is to write, free what there is to free. */
    void (*end)(void *opaque);
} BaileyPlugin;

/**
 * bailey_plugin_load - what a plugin defines: it is about to be used.
 * @api: stays valid up to BaileyPlugin.end()
 * @argv: @argc arguments, what follows the file's name in -plugin between commas; valid as long
 * @plugin: zeroes, to be filled in
 * Returns false, after a message to stderr, when the arguments are no good: the program ends with status 2.
 */
bool bailey_plugin_load(const BaileyApi *api, int argc, char *const *argv, BaileyPlugin *plugin);

/* BAILEY_PLUGIN; - once in a plugin: which version it was built for. */
#define BAILEY_PLUGIN                                                                                  \
    extern const uint32_t bailey_plugin_version[2];                                                    \
    const uint32_t bailey_plugin_version[2] = { BAILEY_PLUGIN_VERSION, sizeof(BaileyPlugin) }

#endif
