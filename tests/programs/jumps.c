/* SPDX-License-Identifier: MIT */
/*
 * jumps - a handler that leaves with siglongjmp() where it interrupted what stands in front of
 * libc's malloc, but not libc itself, whose locks would stay taken.
 */
#include "truth.h"

#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

enum { ROUNDS = 1000000 };

static sigjmp_buf loop;
static uintptr_t low, high;
static volatile sig_atomic_t inside;
static volatile unsigned long rounds, jumps;

static int find_malloc(struct dl_phdr_info *info, size_t size, void *unused)
{
    uintptr_t place = (uintptr_t)&malloc - info->dlpi_addr, end = 0;
    bool here = false;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD)
            continue;
        here |= place - segment->p_vaddr < segment->p_memsz;
        end = segment->p_vaddr + segment->p_memsz;
    }
    if (!here)
        return 0;
    low = info->dlpi_addr;
    high = low + end;
    return 1;
}

static void on_alarm(int number, siginfo_t *info, void *context)
{
    uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    if (!inside || pc < low || pc >= high)
        return;
    jumps++;
    siglongjmp(loop, 1);
}

static void set_timer(long microseconds)
{
    const struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO};
    dl_iterate_phdr(find_malloc, NULL);
    sigaction(SIGALRM, &action, NULL);
    set_timer(200);
    sigsetjmp(loop, 1);
    while (rounds < ROUNDS) {
        rounds++;
        inside = 1;
        void *block = malloc(100);
        inside = 0;
        free(block);
    }
    set_timer(0);
    printf("{\"malloc\":%lu,\"jumps\":%lu}\n", rounds, jumps);
    return 0;
}
