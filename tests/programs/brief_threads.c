/* SPDX-License-Identifier: MIT */
/*
 * brief_threads - threads that end at once and allocate nothing, while the main thread goes on; and
 * one that begins as libc ends them, by freeing null, and lives on.
 *
 *   brief_threads TRUTH-FILE
 */
#include "truth.h"

#include <pthread.h>

enum { THREADS = 50, NULLS = 3, ROUNDS = 3000, REST_US = 300000 };

static const char *truth_path;

static void *nothing(void *unused)
{
    return unused;
}

static void *null_first(void *unused)
{
    for (int i = 0; i < NULLS; i++)
        counted_free(NULL);
    for (size_t i = 0; i < ROUNDS; i++)
        counted_free(counted_malloc(1 + i % 500));
    usleep(REST_US);
    truth_write(truth_open(truth_path));
    return unused;
}

static void run(void *(*function)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, NULL) != 0)
        abort();
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    truth_path = argv[1];
    for (int i = 0; i < THREADS; i++)
        run(nothing);
    run(null_first);
    return 0;
}
