/* SPDX-License-Identifier: MIT */
/*
 * shim.c - preloaded, takes a stack at every allocation of a real program, in turns by libunwind,
 * by a full walk and by a joined one, a block of calls each, and prints what each took.
 *
 * With STACK_SHIM=compare it takes each stack all three ways, the joined walk from here and from
 * the caller, and compares them frame by frame; a difference is printed, and the process ends with
 * status 3.
 */
#include "../../unit/stack/probe.h"
#include "stack/caller.h"
#include "stack/memory.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT 64
#define BLOCK 512           /* calls until it is the next way's turn */
#define INTERRUPTED 1000000 /* ticks: the processor was given to another meanwhile */

int unw_backtrace(void **pcs, int size);

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

#define WAYS(X) X(LIBUNWIND, "libunwind") X(FULL, "full walk") X(JOINED, "joined walk")

enum way {
#define X(NAME, name) NAME,
    WAYS(X)
#undef X
        WAY_COUNT
};

struct sums {
    uint64_t calls[WAY_COUNT], ticks[WAY_COUNT];
    uint64_t frames, fresh, stacks, differ;
};

struct thread {
    bool inside;
    uint64_t calls;
    struct sums sums;
    struct memory_frame before[MEMORY_FRAMES];
};

static _Thread_local struct thread *mine __attribute__((tls_model("initial-exec")));

static struct sums total;
static pthread_mutex_t total_lock = PTHREAD_MUTEX_INITIALIZER;
static bool ready, comparing;
static pthread_key_t leaving;

static uint64_t ticks_now(void)
{
#ifdef __x86_64__
    uint32_t unused;
    return __builtin_ia32_rdtscp(&unused);
#else
    uint64_t now;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(now));
    return now;
#endif
}

/* Frames in the memory now that were not there before. A stack that was known as a whole leaves it
 * as it was. */
static void count_fresh(struct thread *thread, uint32_t frames)
{
    const struct stack_memory *memory = probe_memory();
    const struct memory_frame *now = memory->frames;
    thread->sums.frames += frames;
    for (uint32_t i = 0; i < memory->chain % 4096; i++) {
        thread->sums.fresh +=
            now[i].pc != thread->before[i].pc || now[i].sp != thread->before[i].sp;
    }
    memcpy(thread->before, now, sizeof(thread->before));
}

static void report_difference(const struct probe_stack *ours, void **theirs, int count)
{
    fprintf(stderr, "ours, %u frames, flags %u, and libunwind's, %d:\n", ours->count, ours->flags,
            count);
    for (int i = 0; i < count || i < (int)ours->count; i++)
        fprintf(stderr, "  %#18zx %#18zx\n", i < (int)ours->count ? ours->pcs[i] : 0,
                i < count ? (size_t)theirs[i] : 0);
    _exit(3);
}

static void compare(struct thread *thread, const struct stack_caller *caller)
{
    struct probe_stack ours;
    void *theirs[MALLOCTAP_STACK_FRAMES_MAX];
    uint32_t flags;
    probe_take(LIMIT, &ours); /* compares the full with the joined walk */
    if (probe_capture_from(caller, LIMIT, &flags) != ours.id || flags != ours.flags) {
        fprintf(stderr, "from the caller it is another stack than stack %u\n", ours.id);
        _exit(3);
    }
    count_fresh(thread, ours.count);
    int count = unw_backtrace(theirs, LIMIT + 8), first = 0;
    /* The leading ones are frames of this shim. */
    while (first < count && ours.count > 0 && (uintptr_t)theirs[first] != ours.pcs[0])
        first++;
    int left = count - first < LIMIT ? count - first : LIMIT;
    bool same = left == (int)ours.count;
    for (int i = 0; same && i < left; i++)
        same = ours.pcs[i] - (uintptr_t)theirs[first + i] <= 1;
    thread->sums.stacks++;
    if (!same && !(ours.flags & MALLOCTAP_STACK_TRUNCATED))
        report_difference(&ours, theirs + first, left);
    thread->sums.differ += !same;
}

static void measure(struct thread *thread, const struct stack_caller *caller)
{
    void *pcs[LIMIT];
    uint32_t flags;
    enum way way = (enum way)(thread->calls++ / BLOCK % WAY_COUNT);
    uint64_t start = ticks_now();
    switch (way) {
    case LIBUNWIND:
        unw_backtrace(pcs, LIMIT);
        break;
    case FULL:
        probe_capture(LIMIT, &flags);
        break;
    default:
        probe_capture_from(caller, LIMIT, &flags);
        break;
    }
    uint64_t took = ticks_now() - start;
    if (took < INTERRUPTED) {
        thread->sums.calls[way]++;
        thread->sums.ticks[way] += took;
    }
}

static void add_up(void *ended)
{
    struct thread *thread = ended;
    const uint64_t *from = (const uint64_t *)&thread->sums;
    uint64_t *to = (uint64_t *)&total;
    pthread_mutex_lock(&total_lock);
    for (size_t i = 0; i < sizeof(total) / sizeof(*to); i++)
        to[i] += from[i];
    pthread_mutex_unlock(&total_lock);
    memset(&thread->sums, 0, sizeof(thread->sums));
}

static noinline void take(struct stack_caller caller)
{
    if (!ready)
        return;
    if (mine == NULL) {
        mine = __libc_calloc(1, sizeof(*mine));
        mine->inside = true;
        pthread_setspecific(leaving, mine);
        mine->inside = false;
    }
    if (mine->inside)
        return;
    mine->inside = true;
    if (comparing)
        compare(mine, &caller);
    else
        measure(mine, &caller);
    mine->inside = false;
}

/* What reading the clock twice takes, at least. */
static double clock_ticks(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 10000; i++) {
        uint64_t start = ticks_now(), took = ticks_now() - start;
        least = took < least ? took : least;
    }
    return (double)least;
}

static double ns_a_tick(void)
{
    struct timespec start, now;
    double passed;
    uint64_t ticks = ticks_now();
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        passed = (double)(now.tv_sec - start.tv_sec) * 1e9 + (double)(now.tv_nsec - start.tv_nsec);
    } while (passed < 2e7);
    return passed / (double)(ticks_now() - ticks);
}

static __attribute__((constructor)) void begin(void)
{
    const char *mode = getenv("STACK_SHIM");
    void *pcs[4];
    unw_backtrace(pcs, 4);
    if (mode == NULL || probe_init(STACK_WALKER_CFI) != STACK_WALKER_CFI)
        return;
    comparing = strcmp(mode, "compare") == 0;
    ready = pthread_key_create(&leaving, add_up) == 0;
}

static __attribute__((destructor)) void end(void)
{
    static const char *const names[] = {
#define X(NAME, name) name,
        WAYS(X)
#undef X
    };
    if (mine != NULL)
        add_up(mine);
    ready = false;
    if (comparing && total.stacks > 0)
        fprintf(stderr, "%zu stacks, %.1f frames each, %.1f of them fresh; %zu cut short\n",
                (size_t)total.stacks, (double)total.frames / (double)total.stacks,
                (double)total.fresh / (double)total.stacks, (size_t)total.differ);
    double clock = clock_ticks(), tick = ns_a_tick();
    for (int way = 0; way < WAY_COUNT; way++) {
        if (total.calls[way] > 0)
            fprintf(stderr, "%-12s %6.0f ns a stack, %zu stacks\n", names[way],
                    ((double)total.ticks[way] / (double)total.calls[way] - clock) * tick,
                    (size_t)total.calls[way]);
    }
}

#define EXPORT __attribute__((visibility("default")))

EXPORT void *malloc(size_t size)
{
    take(stack_caller());
    return __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    take(stack_caller());
    return __libc_calloc(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
    take(stack_caller());
    return __libc_realloc(block, size);
}
