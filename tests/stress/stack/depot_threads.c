/* SPDX-License-Identifier: MIT */
/* depot_threads.c - threads that intern the same stacks at once, under ThreadSanitizer: no race,
 * one id a stack in the end, and nothing more stored then. How many were stored twice before hangs
 * on how the threads ran. */
#include "recording/area.h"
#include "stack/depot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define STACKS 30000u
#define FRAMES 6

static void *depot_index;
static uint64_t words[STACKS * (FRAMES + 1) * THREADS + 1];
static _Atomic uint32_t words_used = 1;
static _Atomic uint32_t stored, stored_at_first;
static uint32_t ids[THREADS][STACKS];
static pthread_barrier_t barrier;

struct malloctap_stack *area_stack_alloc(uint32_t frames, uint32_t *id)
{
    *id = atomic_fetch_add(&words_used, frames + 1);
    atomic_fetch_add(&stored, 1);
    return *id + frames + 1 > sizeof(words) / 8 ? NULL : (struct malloctap_stack *)&words[*id];
}

const struct malloctap_stack *area_stack(uint32_t id)
{
    return (const struct malloctap_stack *)&words[id];
}

static uint32_t intern(uint32_t number)
{
    uint64_t frames[FRAMES];
    for (uint64_t i = 0; i < FRAMES; i++)
        frames[i] = (i + 1) << 48 | (number >> i);
    return depot_intern(&depot_index, frames, FRAMES, 0);
}

static void *work(void *argument)
{
    uint32_t *mine = argument;
    pthread_barrier_wait(&barrier);
    for (uint32_t number = 0; number < STACKS; number++)
        intern(number);
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
        stored_at_first = stored;
    pthread_barrier_wait(&barrier);
    for (uint32_t number = 0; number < STACKS; number++)
        mine[number] = intern(number);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, ids[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t number = 0; number < STACKS; number++) {
        for (int i = 1; i < THREADS; i++) {
            if (ids[i][number] != ids[0][number] || ids[i][number] == 0) {
                fprintf(stderr, "stack %u: ids %u and %u\n", number, ids[0][number],
                        ids[i][number]);
                return 1;
            }
        }
    }
    printf("%u stacks, %u stored\n", STACKS, stored);
    if (stored != stored_at_first)
        fprintf(stderr, "%u stored when all were there\n", stored - stored_at_first);
    return stored != stored_at_first;
}
