/*
 * A host that does not let programs make code as they like: hardened dual|all PROGRAM ARGUMENT...
 *   dual  no shared mapping may be run
 *   all   nor may private memory become code
 * Programs and libraries start as ever: their own code is mapped privately from files.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARG(n)     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define ALLOW      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define EXEC(t, f) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, t, f)

static int forbid(int all)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 4),
        ARG(2),
        EXEC(0, 6),
        ARG(3),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 3, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, all ? SYS_mprotect : SYS_mmap, 0, 3),
        ARG(2),
        EXEC(0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        ALLOW,
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int main(int argc, char **argv)
{
    if (argc < 3 || !forbid(strcmp(argv[1], "all") == 0)) {
        fputs("hardened: this host has no system call filters\n", stderr);
        return 77;
    }
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
