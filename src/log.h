/*
 * Messages to the user and traces. Errors and warnings go to stderr; traces (-d CATEGORY,...) to stderr or -D FILE,
 * each line headed by the instruction count, CPU and security state of whoever runs.
 */
#ifndef BAILEY_LOG_H
#define BAILEY_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* X(identifier, -d name, help). One list: -d help, the mask and the parser come from it. */
#define LOG_CATEGORIES(X)                                                     \
    X(RMI, "rmi", "Realm Management Interface calls and results")             \
    X(RSI, "rsi", "Realm Services Interface calls and results")               \
    X(SMC, "smc", "every secure monitor call")                                \
    X(PSCI, "psci", "power state calls")                                      \
    X(RTT, "rtt", "changes of Realm translation tables")                      \
    X(GPT, "gpt", "changes of page ownership")                                \
    X(SMMU, "smmu", "SMMU commands, configuration and faults")                \
    X(DOE, "doe", "data object exchange mailboxes")                           \
    X(SPDM, "spdm", "SPDM messages")                                          \
    X(TDISP, "tdisp", "TDISP messages and interface states")                  \
    X(IDE, "ide", "IDE streams and keys")                                     \
    X(HOST, "host", "steps of the built-in host")                             \
    X(RHI, "rhi", "Realm Host Interface calls")                               \
    X(IRQ, "irq", "interrupts")                                               \
    X(EXC, "exc", "exceptions taken and returned from")                       \
    X(MMU, "mmu", "translation faults and table walks")                       \
    X(IN_ASM, "in_asm", "guest instructions as they are translated")          \
    X(IR, "ir", "intermediate code of each block")                            \
    X(OUT_ASM, "out_asm", "host code of each block")                          \
    X(MMIO, "mmio", "device register accesses by name")                       \
    X(GUEST_ERRORS, "guest_errors", "what the guest did that it must not do")

typedef enum LogCategory {
#define X(id, name, help) LOG_##id,
    LOG_CATEGORIES(X)
#undef X
        LOG_N_CATEGORIES
} LogCategory;

/* One bit per category that is on. Read only through log_on(). */
extern uint32_t log_mask;

static inline bool log_on(LogCategory c) { return (log_mask >> c & 1) != 0; }

/**
 * log_parse - turn categories on by the names of -d.
 * @list: comma-separated names; "all" is all of them
 * Returns false on an unknown name, which *@bad then points to (inside @list).
 */
bool log_parse(const char *list, const char **bad);

/* log_name - of a category, as -d takes it. */
const char *log_name(LogCategory c);

/* log_help - the categories, one per line, to stdout. */
void log_help(void);

/**
 * log_open - send traces to a file (-D).
 * Returns false when it cannot be opened; errno says why.
 */
bool log_open(const char *path);

/* The head of each trace line. @prefix writes at most @cap bytes; set by the machine. NULL: no head. */
void log_set_prefix(void (*prefix)(void *opaque, char *dst, unsigned cap), void *opaque);

/* log_write - one trace line in a category; a newline is added. Does nothing when the category is off. */
void log_write(LogCategory c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The test comes first, so that arguments are not computed when the category is off. */
#define LOG(cat, ...)                       \
    do {                                    \
        if (log_on(LOG_##cat)) {            \
            log_write(LOG_##cat, __VA_ARGS__); \
        }                                   \
    } while (0)

/* guest_error - a guest broke a rule: the architected answer follows, this only tells. Rate-limited by text. */
#define guest_error(...) LOG(GUEST_ERRORS, __VA_ARGS__)

/* log_error, log_warning - to stderr, headed "bailey: " and "bailey: warning: ". */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
