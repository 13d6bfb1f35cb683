/* SPDX-License-Identifier: MIT */
/*
 * deep_stacks.c - threads that allocate on stacks 20 to 30 deep, of 2049 that differ; one in ten
 * blocks is freed by another thread.
 *
 *   deep_stacks THREADS ALLOCATIONS CALLS
 *
 * Each thread comes down by a path drawn at random, and makes so many CALLS that allocate from
 * there before it goes up again: with 1 hardly a frame is the one that it was before.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define TURNS 11 /* 2048 paths */
#define HELD 512 /* blocks a thread holds */

struct worker {
    uint64_t random;
    long allocations;
    int calls;
    void *held[HELD];
};

static void *handed_over; /* a block for whoever comes next */

static uint32_t draw(struct worker *worker)
{
    worker->random = worker->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(worker->random >> 33);
}

static __attribute__((noinline)) void allocate(struct worker *worker)
{
    uint32_t number = draw(worker);
    void **place = &worker->held[number % HELD];
    if ((number >> 16) % 10 == 0)
        *place = __atomic_exchange_n(&handed_over, *place, __ATOMIC_ACQ_REL);
    free(*place);
    *place = malloc(16 + number % 200);
}

static void go_down(struct worker *worker, uint32_t path, int depth);

/* One frame more, so that not all paths are equally long. */
static __attribute__((noinline)) void turn(struct worker *worker, uint32_t path, int depth)
{
    go_down(worker, path, depth);
    __asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) void go_down(struct worker *worker, uint32_t path, int depth)
{
    volatile char room[48];
    room[0] = (char)depth;
    if (depth == 0) {
        for (int i = 0; i < worker->calls; i++)
            allocate(worker);
    } else if (depth <= TURNS) {
        if (path & 1)
            go_down(worker, path >> 1, depth - 1);
        else
            turn(worker, path >> 1, depth - 1);
    } else {
        go_down(worker, path, depth - 1);
    }
    __asm__ volatile("" ::"r"(room) : "memory");
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (long done = 0; done < worker->allocations; done += worker->calls)
        go_down(worker, draw(worker) % (1u << TURNS), TURNS + 5);
    for (int i = 0; i < HELD; i++)
        free(worker->held[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "deep_stacks THREADS ALLOCATIONS CALLS\n");
        return 2;
    }
    int count = atoi(argv[1]);
    pthread_t *threads = calloc((size_t)count, sizeof(*threads));
    for (int i = 0; i < count; i++) {
        struct worker *worker = calloc(1, sizeof(*worker));
        *worker = (struct worker){
            .random = (uint64_t)i, .allocations = atol(argv[2]) / count, .calls = atoi(argv[3])};
        pthread_create(&threads[i], NULL, work, worker);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
