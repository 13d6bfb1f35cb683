/* SPDX-License-Identifier: MIT */
/*
 * handover - threads allocate blocks that another thread frees at once, so that addresses are used
 * again by whoever comes next.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

enum { PAIRS = 2, BLOCKS = 3000 };

static _Atomic(void *) places[PAIRS];

static void *make(void *place)
{
    _Atomic(void *) *mine = place;
    for (int i = 0; i < BLOCKS; i++) {
        void *block = malloc(2000), *empty = NULL;
        while (!atomic_compare_exchange_weak(mine, &empty, block)) {
            empty = NULL;
            sched_yield();
        }
    }
    return NULL;
}

static void *drop(void *place)
{
    _Atomic(void *) *mine = place;
    for (int i = 0; i < BLOCKS;) {
        void *block = atomic_exchange(mine, NULL);
        if (block == NULL) {
            sched_yield();
            continue;
        }
        free(block);
        i++;
    }
    return NULL;
}

int main(void)
{
    pthread_t makers[PAIRS], droppers[PAIRS];
    for (int i = 0; i < PAIRS; i++)
        if (pthread_create(&makers[i], NULL, make, &places[i]) != 0 ||
            pthread_create(&droppers[i], NULL, drop, &places[i]) != 0)
            return 3;
    for (int i = 0; i < PAIRS; i++) {
        pthread_join(makers[i], NULL);
        pthread_join(droppers[i], NULL);
    }
    return 0;
}
