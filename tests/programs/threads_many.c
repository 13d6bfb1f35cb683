/* SPDX-License-Identifier: MIT */
/*
 * threads_many - many threads one after the other, then many at once, with known totals.
 *
 *   threads_many [ONE-AFTER-THE-OTHER [AT-ONCE]]        (10 000 and 1 000 unless told)
 *
 * No thread calls calloc, which the C library calls for each thread it creates, nor free(NULL),
 * which it calls as each ends.
 */
#include "truth.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t all_there;
static struct truth total;

static void allocate(void)
{
    for (int i = 0; i < 20; i++) {
        void *block = counted_malloc(10 + (size_t)i);
        counted_free(counted_realloc(block, 100));
        counted_free(counted_aligned_alloc(64, 128));
    }
    pthread_mutex_lock(&lock);
    total.malloc += truth.malloc;
    total.realloc += truth.realloc;
    total.aligned += truth.aligned;
    total.free += truth.free;
    pthread_mutex_unlock(&lock);
}

static void *alone(void *unused)
{
    allocate();
    return unused;
}

static void *together(void *unused)
{
    allocate();
    pthread_barrier_wait(&all_there);
    return unused;
}

int main(int argc, char **argv)
{
    int sequential = argc > 1 ? atoi(argv[1]) : 10000;
    int at_once = argc > 2 ? atoi(argv[2]) : 1000;
    pthread_attr_t small_stack;
    pthread_attr_init(&small_stack);
    pthread_attr_setstacksize(&small_stack, 128 * 1024);
    for (int i = 0; i < sequential; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small_stack, alone, NULL) != 0)
            return 3;
        pthread_join(thread, NULL);
    }

    pthread_t *threads = counted_malloc(sizeof(*threads) * (size_t)at_once);
    pthread_barrier_init(&all_there, NULL, (unsigned)at_once);
    for (int i = 0; i < at_once; i++)
        if (pthread_create(&threads[i], &small_stack, together, NULL) != 0)
            return 3;
    for (int i = 0; i < at_once; i++)
        pthread_join(threads[i], NULL);
    counted_free(threads);

    total.malloc += truth.malloc;
    total.free += truth.free;
    char line[256];
    int length = snprintf(line, sizeof(line),
                          "{\"malloc\":%lu,\"realloc\":%lu,\"aligned\":%lu,\"free\":%lu}\n",
                          total.malloc, total.realloc, total.aligned, total.free);
    return write(STDOUT_FILENO, line, (size_t)length) != length;
}
