/* SPDX-License-Identifier: MIT */
/*
 * stacks.c - what taking a stack costs, interned in the depot, beside libunwind's cached
 * unw_backtrace(), which throws away what it finds.
 *
 * Calls come through a chain of functions that differ, as those of a program do. `cold` is the
 * first stack of a process: tables mapped, modules described, each rule read from .eh_frame.
 */
#include "../../unit/stack/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int unw_backtrace(void **pcs, int size);

#define DEPTHS 4
static const int depths[DEPTHS] = {4, 16, 32, 60};

static int rounds = 41, repeats = 1000;

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* others may be at work on the machine */
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

struct result {
    double cold, warm, libunwind; /* ns a stack */
    uint32_t frames;
};

static void measure(struct result *ret)
{
    void *pcs[MALLOCTAP_STACK_FRAMES_MAX];
    uint32_t flags;
    double start;
    probe_forget();
    start = now_ns();
    uint32_t id = probe_capture(MALLOCTAP_STACK_FRAMES_MAX, &flags);
    ret->cold = now_ns() - start;
    ret->frames = probe_stored(id)->frame_count;
    start = now_ns();
    for (int i = 0; i < repeats; i++)
        probe_capture(MALLOCTAP_STACK_FRAMES_MAX, &flags);
    ret->warm = (now_ns() - start) / repeats;
    start = now_ns();
    for (int i = 0; i < repeats; i++)
        unw_backtrace(pcs, MALLOCTAP_STACK_FRAMES_MAX);
    ret->libunwind = (now_ns() - start) / repeats;
}

typedef void link_function(int depth, struct result *ret);

#define LINK(n, next)                                                                              \
    static link_function link_##next;                                                              \
    static __attribute__((noinline)) void link_##n(int depth, struct result *ret)                  \
    {                                                                                              \
        if (depth <= n)                                                                            \
            measure(ret);                                                                          \
        else                                                                                       \
            link_##next(depth, ret);                                                               \
        __asm__ volatile("" ::"i"(n) : "memory");                                                  \
    }
#define LINK4(a, b, c, d, next) LINK(a, b) LINK(b, c) LINK(c, d) LINK(d, next)

LINK4(0, 1, 2, 3, 4)
LINK4(4, 5, 6, 7, 8)
LINK4(8, 9, 10, 11, 12)
LINK4(12, 13, 14, 15, 16)
LINK4(16, 17, 18, 19, 20)
LINK4(20, 21, 22, 23, 24)
LINK4(24, 25, 26, 27, 28)
LINK4(28, 29, 30, 31, 32)
LINK4(32, 33, 34, 35, 36)
LINK4(36, 37, 38, 39, 40)
LINK4(40, 41, 42, 43, 44)
LINK4(44, 45, 46, 47, 48)
LINK4(48, 49, 50, 51, 52)
LINK4(52, 53, 54, 55, 56)
LINK4(56, 57, 58, 59, 60)

static __attribute__((noinline)) void link_60(int depth, struct result *ret)
{
    measure(ret);
    __asm__ volatile("" ::: "memory");
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), by_value);
    return values[count / 2];
}

int main(int argc, char **argv)
{
    static double cold[DEPTHS][64], warm[DEPTHS][64], libunwind[DEPTHS][64], ratio[DEPTHS][64];
    uint32_t frames[DEPTHS];
    double middle[DEPTHS][3];
    if (argc > 1 && strcmp(argv[1], "--brief") == 0)
        rounds = 5;
    if (probe_init(STACK_WALKER_CFI) != STACK_WALKER_CFI)
        return 77;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < DEPTHS; i++) {
            struct result result;
            link_0(depths[i], &result);
            frames[i] = result.frames;
            cold[i][round] = result.cold;
            warm[i][round] = result.warm;
            libunwind[i][round] = result.libunwind;
            ratio[i][round] = result.warm / result.libunwind;
        }
    }
    printf("%6s %12s %12s %12s %8s\n", "frames", "cold ns", "warm ns", "libunwind ns", "ratio");
    for (int i = 0; i < DEPTHS; i++) {
        middle[i][0] = median(cold[i], rounds);
        middle[i][1] = median(warm[i], rounds);
        middle[i][2] = median(libunwind[i], rounds);
        printf("%6u %12.0f %12.0f %12.0f %8.2f\n", frames[i], middle[i][0], middle[i][1],
               middle[i][2], median(ratio[i], rounds));
    }
    double added = frames[DEPTHS - 1] - frames[0];
    printf("a further frame: cold %.0f ns, warm %.1f ns, libunwind %.1f ns\n",
           (middle[DEPTHS - 1][0] - middle[0][0]) / added,
           (middle[DEPTHS - 1][1] - middle[0][1]) / added,
           (middle[DEPTHS - 1][2] - middle[0][2]) / added);
    return 0;
}
