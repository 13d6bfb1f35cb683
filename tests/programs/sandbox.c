/* SPDX-License-Identifier: MIT */
/*
 * sandbox - a program that shuts itself in after its start: from then on the kernel allows only
 * what malloc and threads need, and ends the process, or refuses, at anything else. Or strictly:
 * read, write and the end.
 *
 *   sandbox kill | refuse | strict
 */
#include "truth.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { THREADS = 6, ROUNDS = 20000 };

static const int allowed[] = {
    SYS_read,
    SYS_write,
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigaction,
    SYS_mmap,
    SYS_munmap,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_brk,
    SYS_futex,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_clone,
    SYS_clone3,
    SYS_rseq,
    SYS_set_robust_list,
    SYS_sched_getaffinity,
    SYS_getrandom,
    SYS_clock_gettime,
};
enum { ALLOWED = sizeof(allowed) / sizeof(allowed[0]) };

/* What the heap has room for, once it was done. */
static void allocate_little(void)
{
    for (size_t i = 0; i < ROUNDS; i++)
        counted_free(counted_malloc(16 + i % 3000));
}

static void *allocate(void *unused)
{
    allocate_little();
    counted_free(counted_malloc(1 << 20));
    return unused;
}

static bool print_mallocs(int mallocs)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "{\"malloc\":%d}\n", mallocs);
    return write(STDOUT_FILENO, line, (size_t)length) == length;
}

/* No thread can be started then, nor a regular end be made. */
static _Noreturn void go_on_strictly(void)
{
    allocate_little();
    syscall(SYS_exit, print_mallocs(2 * ROUNDS + 1) ? 0 : 1);
    abort();
}

static int shut_in(unsigned int otherwise)
{
    struct sock_filter code[ALLOWED + 3];
    struct sock_fprog program = {.len = ALLOWED + 3, .filter = code};
    code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0); /* the call's number */
    for (unsigned i = 0; i < ALLOWED; i++)
        code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i],
                                                   (unsigned char)(ALLOWED - i), 0);
    code[ALLOWED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise);
    code[ALLOWED + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    bool kill = strcmp(argv[1], "kill") == 0;
    allocate(NULL);
    if (strcmp(argv[1], "strict") == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            return 77;
        go_on_strictly();
    }
    if (shut_in(kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM) != 0)
        return 77; /* not possible here */
    allocate(NULL);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, allocate, NULL) != 0)
            return 3;
        pthread_join(thread, NULL);
    }
    return !print_mallocs((2 + THREADS) * (ROUNDS + 1));
}
