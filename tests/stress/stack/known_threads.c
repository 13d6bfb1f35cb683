/* SPDX-License-Identifier: MIT */
/* known_threads.c - threads that add and find stacks which compete for a few places, under
 * ThreadSanitizer: no race, and a key is never found with another's id. */
#include "stack/known.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#define THREADS 4
#define KEYS 64u
#define PLACES 4u
#define ROUNDS 200000u

static void *table;
static atomic_ulong found, wrong;

/* Of one place, keys differ in few bits, as do ids. */
static uint64_t key_of(uint32_t id)
{
    return (uint64_t)(id / PLACES + 1) * KNOWN_SIZE + id % PLACES;
}

static void *work(void *seed)
{
    uint32_t random = (uint32_t)(uintptr_t)seed;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        random = random * 1103515245 + 12345;
        uint32_t id = 1 + (random >> 16) % KEYS;
        if (random >> 30 == 0)
            known_add(&table, key_of(id), id);
        uint32_t got = known_find(&table, key_of(id));
        atomic_fetch_add_explicit(got == id ? &found : &wrong, got != 0, memory_order_relaxed);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%lu found, %lu of them wrong\n", found + wrong, wrong);
    return found == 0 || wrong != 0;
}
