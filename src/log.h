/*
 * Messages to the user and traces. Errors and warnings go to stderr; traces (-d CATEGORY,...) to stderr or -D FILE,
 * each line headed by guest time, instruction count, CPU, security state and level of whoever runs. A sink (-trace) has
 * the same lines without being asked for by -d.
 */
#ifndef BAILEY_LOG_H
#define BAILEY_LOG_H

#include <stdbool.h>
#include <stddef.h>
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

/* One bit per category that somebody hears. Read only through these. */
extern uint32_t log_mask;

static inline bool log_any(void) { return log_mask != 0; }
static inline bool log_on(LogCategory c) { return (log_mask >> c & 1) != 0; }

/**
 * log_parse - turn categories on by the names of -d.
 * @list: comma-separated names; "all" is all of them. "name:realm=N" has of this category what is about the Realm of
 *        VMID N, 1 to 65535
 * Returns false on an unknown name or a wrong Realm, which *@bad then points to (inside @list).
 */
bool log_parse(const char *list, const char **bad);

/**
 * log_filter_parse - lines about code and its exceptions are of these addresses alone (-dfilter).
 * @list: comma-separated ranges of virtual addresses: FIRST..LAST, START+LENGTH, END-LENGTH (the bytes up to END)
 * Returns false on what is no range, which *@bad then points to (inside @list).
 */
bool log_filter_parse(const char *list, const char **bad);

/* log_has_pc - -dfilter wants to hear of the instruction at @pc; without one, of all. */
bool log_has_pc(uint64_t pc);

/* A category by its -d name, of which @name has @len bytes; -1: there is none. */
int log_find(const char *name, size_t len);

/* log_name - of a category, as -d takes it. */
const char *log_name(LogCategory c);

/* log_help - the categories, one per line, to stdout. */
void log_help(void);

/**
 * log_open - send traces to a file (-D).
 * Returns false when it cannot be opened; errno says why.
 */
bool log_open(const char *path);

/* Who runs while a line is written. */
typedef struct LogHead {
    char     text[96]; /* the head of the line */
    unsigned realm;    /* VMID of the Realm that the CPU is in; 0: it is in none */
} LogHead;

/* log_set_head - @head, set by the machine, says it for each trace line. NULL: lines have no head. */
void log_set_head(void (*head)(void *opaque, LogHead *h), void *opaque);

/* log_about_realm - what is told from now on is about the Realm of this VMID, whoever runs; 0: of whoever runs. */
void log_about_realm(unsigned vmid);

/* log_set_sink - @sink gets the text of the lines in the categories of @mask, filters aside. NULL: nobody does. */
void log_set_sink(uint32_t mask, void (*sink)(void *opaque, LogCategory c, const char *text), void *opaque);

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

/* log_error, log_warning - to stderr, headed "bailey: " and "bailey: warning: ". log_notice: what a user must know to
 * go on, while nothing is wrong; headed "bailey: ". */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
