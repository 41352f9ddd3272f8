/* The kernel's work for several processes: fork, exec, a shell, and two that wait for each other. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* Waits for a child and gives its exit status; a child that died ends this program too. */
static unsigned reap(pid_t child)
{
    int status;

    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        abort();
    }
    return (unsigned)WEXITSTATUS(status);
}

static uint64_t forks(uint64_t n)
{
    uint64_t sum = 0;

    while (n-- > 0) {
        pid_t child = fork();

        if (child == 0) {
            _exit((int)(n % 100));
        }
        sum = mix(sum, reap(child));
    }
    return sum;
}

static uint64_t execs(uint64_t n)
{
    uint64_t sum = 0;

    while (n-- > 0) {
        pid_t child = fork();

        if (child == 0) {
            execl(bench_self, bench_self, "nothing", (char *)NULL);
            _exit(127);
        }
        sum = mix(sum + 1, reap(child));
    }
    return sum;
}

/* What a shell writes, as a checksum. */
static uint64_t shell_says(const char *script)
{
    char     text[256];
    int      ends[2];
    ssize_t  len;
    uint64_t sum = 0;
    pid_t    child;

    if (pipe(ends) != 0) {
        abort();
    }
    child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        execlp("busybox", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    while ((len = read(ends[0], text, sizeof(text))) > 0) {
        sum = mix_bytes(sum, text, (size_t)len);
    }
    close(ends[0]);
    if (reap(child) != 0) {
        abort();
    }
    return sum;
}

static uint64_t shell_loop(uint64_t n)
{
    char script[400];

    snprintf(script, sizeof(script),
             "i=0 s=0 w=\n"
             "while [ $i -lt %llu ]; do\n"
             "  s=$(((s * 31 + i) %% 65521))\n"
             "  case $i in *7) w=x${w%%%%x*}$i ;; *) s=$((s + 1)) ;; esac\n"
             "  i=$((i + 1))\n"
             "done\n"
             "echo $s $w",
             (unsigned long long)n);
    return shell_says(script);
}

static uint64_t shell_forks(uint64_t n)
{
    char script[400];

    snprintf(script, sizeof(script),
             "i=0 s=0\n"
             "while [ $i -lt %llu ]; do s=$(echo $s$i | (read v; echo ${v#?})) i=$((i + 1)); done\n"
             "echo $s",
             (unsigned long long)n);
    return shell_says(script);
}

static uint64_t pipes(uint64_t n)
{
    int      there[2], back[2];
    uint64_t v = 1;
    pid_t    child;

    if (pipe(there) != 0 || pipe(back) != 0) {
        abort();
    }
    child = fork();
    if (child == 0) {
        close(there[1]);
        while (read(there[0], &v, sizeof(v)) == sizeof(v)) {
            v = mix(v, 5);
            if (write(back[1], &v, sizeof(v)) != sizeof(v)) {
                _exit(1);
            }
        }
        _exit(0);
    }
    close(there[0]);
    while (n-- > 0) {
        if (write(there[1], &v, sizeof(v)) != sizeof(v) || read(back[0], &v, sizeof(v)) != sizeof(v)) {
            abort();
        }
    }
    close(there[1]);
    close(back[0]);
    close(back[1]);
    return mix(v, reap(child));
}

/* Whose turn it is; two threads hand it to each other. */
typedef struct Turn {
    uint32_t who;
    uint64_t rounds, value;
} Turn;

static void take_turns(Turn *t, uint32_t me)
{
    for (uint64_t i = 0; i < t->rounds; i++) {
        while (__atomic_load_n(&t->who, __ATOMIC_ACQUIRE) != me) {
            syscall(SYS_futex, &t->who, FUTEX_WAIT_PRIVATE, 1 - me, NULL, NULL, 0);
        }
        t->value = mix(t->value, me);
        __atomic_store_n(&t->who, 1 - me, __ATOMIC_RELEASE);
        syscall(SYS_futex, &t->who, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void *second_thread(void *turn)
{
    take_turns(turn, 1);
    return NULL;
}

static uint64_t futex(uint64_t n)
{
    Turn      turn = {.rounds = n};
    pthread_t thread;

    if (pthread_create(&thread, NULL, second_thread, &turn) != 0) {
        abort();
    }
    take_turns(&turn, 0);
    pthread_join(thread, NULL);
    return turn.value;
}

const Program process_programs[] = {
    { "system", "fork", forks, 150 },
    { "system", "exec", execs, 40 },
    { "system", "shell", shell_loop, 4000 },
    { "system", "shell-fork", shell_forks, 20 },
    { "system", "pipe", pipes, 1000 },
    { "system", "futex", futex, 2000 },
    { NULL },
};
