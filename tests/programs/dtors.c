/* SPDX-License-Identifier: MIT */
/*
 * dtors - allocation at the latest moments there are: in thread-specific data destructors, in every
 * round that the C library runs them, in atexit functions and in destructors of program and
 * library.
 */
#include "dtors_library.h"

#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { THREADS = 50 };

static pthread_key_t key;

/* Asks for another round until the C library refuses. */
static void at_thread_end(void *round)
{
    allocate_in_library(10);
    pthread_setspecific(key, (char *)round + 1);
}

static void *run(void *block)
{
    pthread_setspecific(key, (void *)1);
    allocate_in_library(5);
    free(block);
    return NULL;
}

/* A thread whose first call is in its destructors. */
static void *run_idle(void *unused)
{
    pthread_setspecific(key, (void *)1);
    return unused;
}

static void at_exit(void)
{
    allocate_in_library(30);
}

__attribute__((destructor)) static void at_program_end(void)
{
    allocate_in_library(40);
}

int main(void)
{
    pthread_key_create(&key, at_thread_end);
    atexit(at_exit);
    for (int i = 0; i < THREADS; i++) {
        pthread_t busy, idle;
        pthread_create(&busy, NULL, run, NULL);
        pthread_create(&idle, NULL, run_idle, NULL);
        pthread_join(busy, NULL);
        pthread_join(idle, NULL);
    }
    return 0;
}
