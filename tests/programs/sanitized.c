/* SPDX-License-Identifier: MIT */
/*
 * sanitized - built with a sanitizer whose runtime brings a malloc: threads allocate, and blocks
 * come from functions that the runtime stands in front of. Prints the calls of malloc itself.
 */
#include "truth.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 2000 };

static void *allocate(void *unused)
{
    for (size_t i = 0; i < ROUNDS; i++) {
        char *copy = strdup("a block of the runtime's own");
        copy = counted_realloc(copy, 100 + i);
        counted_free(copy);
        counted_free(counted_malloc(16 + i % 500));
    }
    return unused;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, allocate, NULL) != 0)
            return 3;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("{\"malloc\":%d}\n", THREADS * ROUNDS);
    return 0;
}
