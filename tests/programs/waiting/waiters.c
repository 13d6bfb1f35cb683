/* SPDX-License-Identifier: MIT */
/*
 * waiters - threads that allocate from three functions, in known shares, and think in between.
 *
 *   waiters THREADS CALLS THINK [SCALE [new]]
 *
 * Each thread makes so many calls (a malloc and a free are two) and thinks before each, for THINK
 * nanoseconds on average: exponentially, as threads that fall into step are no measure of anything.
 * waits_often makes six in ten of the calls, waits_sometimes three and waits_rarely one. Under
 * one_mutex each tells the allocator who it is, so that the exact waiting of each is known. What is
 * drawn is from fixed seeds. Blocks are of 48, 200 and 1000 bytes, times SCALE. With `new`
 * they come from C++ operators instead of malloc, under an allocator that brings them.
 */
#include "one_mutex.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static void (*name_site)(unsigned number);
static void *(*allocate)(size_t size) = malloc;
static void (*release)(void *block) = free;
static unsigned long calls, think_ns, scale = 1;
static pthread_barrier_t start;

static _Thread_local uint64_t state;

/* Uniform on (0, 1). */
static double draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + 0.5) * 0x1p-53;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void think(void)
{
    if (think_ns == 0)
        return;
    uint64_t until = now_ns() + (uint64_t)(-log(draw()) * (double)think_ns);
    while (now_ns() < until)
        ;
}

#define WAITING_FUNCTION(name, number, size)                                                       \
    __attribute__((noinline)) static void name(void)                                               \
    {                                                                                              \
        if (name_site)                                                                             \
            name_site(number);                                                                     \
        think();                                                                                   \
        void *volatile block = allocate(size * scale);                                             \
        think();                                                                                   \
        release(block);                                                                            \
        __asm__ volatile("");                                                                      \
    }
WAITING_FUNCTION(waits_often, 1, 48)
WAITING_FUNCTION(waits_sometimes, 2, 200)
WAITING_FUNCTION(waits_rarely, 3, 1000)

static void *work(void *argument)
{
    state = 0x9e3779b97f4a7c15 * ((uintptr_t)argument + 1);
    pthread_barrier_wait(&start);
    for (unsigned long i = 0; i < calls / 2; i++) {
        double which = draw();
        if (which < 0.6)
            waits_often();
        else if (which < 0.9)
            waits_sometimes();
        else
            waits_rarely();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    if (argc < 4 || count == 0)
        return 2;
    calls = strtoul(argv[2], NULL, 10);
    think_ns = strtoul(argv[3], NULL, 10);
    if (argc > 4)
        scale = strtoul(argv[4], NULL, 10);
    if (argc > 5) {
        allocate = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "_Znwm");
        release = (void (*)(void *))dlsym(RTLD_DEFAULT, "_ZdlPv");
        if (allocate == NULL || release == NULL)
            return 1;
    }
    name_site = (void (*)(unsigned))dlsym(RTLD_DEFAULT, "one_mutex_site");
    pthread_barrier_init(&start, NULL, (unsigned)count);
    pthread_t *threads = malloc(count * sizeof *threads);
    for (uintptr_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0)
            return 1;
    for (uintptr_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    return 0;
}
