/* SPDX-License-Identifier: MIT */
/*
 * minstack - threads with the smallest stack there is, allocating after most of it is used.
 *
 *   minstack [BYTES]        stack that each thread uses before it allocates; 4096 unless told
 */
#include "truth.h"

#include <limits.h>
#include <pthread.h>

enum { THREADS = 8, CALLS = 2000 };

static unsigned long stack_used = 4096;

/* Deeper until the frame is that far from the thread's first. */
__attribute__((noinline)) static void descend(const volatile char *first)
{
    volatile char here = 0;
    if ((unsigned long)(first - &here) < stack_used) {
        descend(first);
        here = 1; /* not a tail call */
        return;
    }
    for (int i = 0; i < CALLS; i++)
        counted_free(counted_malloc(64));
}

static void *run(void *unused)
{
    volatile char first = 0;
    descend(&first);
    return unused;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        stack_used = strtoul(argv[1], NULL, 10);
    pthread_attr_t smallest;
    pthread_attr_init(&smallest);
    pthread_attr_setstacksize(&smallest, (size_t)sysconf(_SC_THREAD_STACK_MIN));
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &smallest, run, NULL) != 0)
            return 3;
        pthread_join(thread, NULL);
    }
    char line[64];
    int length = snprintf(line, sizeof(line), "{\"malloc\":%d}\n", THREADS * CALLS);
    return write(STDOUT_FILENO, line, (size_t)length) != length;
}
