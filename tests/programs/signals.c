/* SPDX-License-Identifier: MIT */
/*
 * signals - handlers that allocate, driven by a timer, while the main loop allocates.
 *
 *   signals outside | anywhere
 *
 * outside: a handler allocates only if it did not interrupt an allocator call, as a correct program
 * must; and some handlers leave by siglongjmp. anywhere: it allocates in any case, which only a
 * re-entrant allocator bears: run it on libreentrant_malloc.so.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static bool anywhere;
static volatile sig_atomic_t inside, may_jump, timer_went_off = 1;
static volatile unsigned long handler_mallocs, main_mallocs;
static sigjmp_buf loop;

static void on_alarm(int signal)
{
    timer_went_off = 1;
    if (inside && !anywhere)
        return;
    free(malloc(100));
    handler_mallocs++;
    if (may_jump && !inside && handler_mallocs % 8 == 0)
        siglongjmp(loop, signal);
}

/* The timer goes off once, and is set again from the main loop: where handlers take longer than the
 * timer, a repeated one would leave the main loop no time at all. */
static void set_timer(void)
{
    static const struct itimerval soon = {{0, 0}, {0, 100}};
    timer_went_off = 0;
    setitimer(ITIMER_REAL, &soon, NULL);
}

/* Time outside the allocator, for the timer to hit. */
static void compute(void)
{
    for (volatile int i = 0; i < 50; i++)
        continue;
}

static void allocate(void)
{
    inside = 1;
    void *block = malloc(32);
    main_mallocs++;
    inside = 0;
    may_jump = block == NULL;
    compute();
    inside = 1;
    free(block);
    inside = 0;
    may_jump = 1;
    compute();
    may_jump = 0;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    anywhere = strcmp(argv[1], "anywhere") == 0;
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);

    volatile unsigned long jumps = 0;
    if (sigsetjmp(loop, 1) != 0)
        jumps++;
    while (main_mallocs < 300000) {
        if (timer_went_off)
            set_timer();
        allocate();
    }
    while (!timer_went_off)
        compute();
    for (int i = 0; i < 1000; i++)
        raise(SIGALRM);

    char line[128];
    int length = snprintf(line, sizeof(line), "{\"malloc\":%lu,\"in_handler\":%lu,\"jumps\":%lu}\n",
                          main_mallocs + handler_mallocs, handler_mallocs, jumps);
    return write(STDOUT_FILENO, line, (size_t)length) != length;
}
