/* SPDX-License-Identifier: MIT */
/*
 * mix - threads that allocate on deep stacks and free each other's blocks: mix THREADS ALLOCATIONS.
 *
 * Every allocation is made at the end of a path of its own choice, one of 2048, below 10 to 20
 * frames that all have in common; so stacks are some 21 to 31 frames deep. Blocks have 16 to 4096
 * bytes, 1000 a thread are live, and one in ten is freed by another thread.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64
#define LIVE 1000
#define PATH_BITS 11
#define COMMON_FRAMES 10

struct worker {
    pthread_t thread;
    uint64_t random;
    unsigned number;
    unsigned common;
    void *live[LIVE];
};

static struct worker workers[THREADS_MAX];
static _Atomic(void *) mailboxes[THREADS_MAX];
static unsigned worker_count;
static unsigned long allocations;

static uint64_t next_random(struct worker *worker)
{
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return worker->random;
}

/* Each function returns to a place of its own, so the path is in the stack. The empty statement
 * keeps the compiler from making the call a jump. */
#define FRAME(expression)                                                                          \
    void *block = (expression);                                                                    \
    __asm__ volatile("" : "+r"(block));                                                            \
    return block

__attribute__((noinline)) static void *left(unsigned path, unsigned bits, size_t size);

__attribute__((noinline)) static void *right(unsigned path, unsigned bits, size_t size)
{
    if (bits == 0) {
        FRAME(malloc(size));
    }
    if (path & 1) {
        FRAME(right(path >> 1, bits - 1, size));
    }
    FRAME(left(path >> 1, bits - 1, size));
}

__attribute__((noinline)) static void *left(unsigned path, unsigned bits, size_t size)
{
    if (bits == 0) {
        FRAME(malloc(size));
    }
    if (path & 1) {
        FRAME(right(path >> 1, bits - 1, size));
    }
    FRAME(left(path >> 1, bits - 1, size));
}

static void one_allocation(struct worker *worker)
{
    uint64_t random = next_random(worker);
    void **place = &worker->live[random % LIVE];
    void *old = *place;
    if ((random >> 16) % 10 == 0)
        old = atomic_exchange(&mailboxes[(worker->number + 1) % worker_count], old);
    free(old);
    *place = left((unsigned)(random >> 20), PATH_BITS, 16 + (random >> 32) % 4081);
    memset(*place, 1, 16);
}

__attribute__((noinline)) static unsigned long below(struct worker *worker, unsigned frames)
{
    unsigned long done = 0;
    if (frames > 0) {
        done = below(worker, frames - 1);
    } else {
        for (; done < allocations / worker_count; done++)
            one_allocation(worker);
    }
    __asm__ volatile("" : "+r"(done));
    return done;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    below(worker, worker->common);
    for (unsigned i = 0; i < LIVE; i++)
        free(worker->live[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    worker_count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 4;
    allocations = argc > 2 ? strtoul(argv[2], NULL, 10) : 4000000;
    if (worker_count == 0 || worker_count > THREADS_MAX) {
        fprintf(stderr, "mix: THREADS is 1 to %d\n", THREADS_MAX);
        return 2;
    }
    for (unsigned i = 0; i < worker_count; i++) {
        workers[i] = (struct worker){.random = 0x9e3779b97f4a7c15ULL * (i + 1), .number = i,
                                     .common = COMMON_FRAMES * (1 + i % 2)};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return 1;
    }
    for (unsigned i = 0; i < worker_count; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < worker_count; i++)
        free(mailboxes[i]);
    return 0;
}
