/* SPDX-License-Identifier: MIT */
/*
 * counts - threads that call every malloc-family function a known number of times, then end as
 * told.
 *
 *   counts THREADS exit|_exit|abort|segv|kill|destructor [TRUTH-FILE]
 *
 * With one thread the main thread does the work; with more, THREADS others do, and the main thread
 * only creates them (the C library allocates on its behalf, so it has no row). All threads are
 * alive when the process ends, so no clean-up of theirs blurs the counts.
 */
#include "truth.h"

#include <pthread.h>
#include <signal.h>

static pthread_barrier_t counted;
static int truth_fd;
static bool count_in_destructor;

/* Kept from the compiler's view, which would warn of sizes that must fail. */
static volatile size_t too_large = SIZE_MAX / 2 + 4096;

static void one_round(size_t size)
{
    counted_free(counted_malloc(size));
    counted_free_sized(counted_malloc(size), size);
    counted_free(counted_calloc(3, size));
    void *block = counted_realloc(NULL, size);
    block = counted_realloc(block, size * 3);
    block = counted_reallocarray(block, 2, size);
    counted_free(block);
    counted_free(counted_posix_memalign(64, size));
    counted_free_aligned_sized(counted_aligned_alloc(32, size), 32, size);
    counted_free(counted_memalign(128, size));
}

static void edge_cases(void)
{
    counted_free(NULL);
    counted_free(counted_malloc(0));
    counted_free(counted_calloc(0, 8));
    counted_free(counted_realloc(NULL, 0));
    counted_free(counted_valloc(100));
    counted_free(counted_pvalloc(100));
    counted_realloc(counted_malloc(40), 0);
    counted_free(counted_malloc(too_large));
    counted_free(counted_calloc(too_large, 4));
    counted_free(counted_reallocarray(NULL, too_large, 4));
    counted_free(counted_posix_memalign(3, 8));
    void *block = counted_malloc(24);
    counted_realloc(block, too_large);
    counted_free(block);
}

static void work(size_t index)
{
    size_t rounds = 1000 + 37 * (index % 10);
    for (size_t i = 0; i < rounds; i++)
        one_round(1 + (i * 29 + index * 7) % 3000);
    for (size_t i = 0; i <= index % 5; i++)
        edge_cases();
}

static void *worker(void *index)
{
    work((size_t)(uintptr_t)index);
    truth_write(truth_fd);
    pthread_barrier_wait(&counted);
    pause();
    return NULL;
}

__attribute__((destructor)) static void last_calls(void)
{
    if (!count_in_destructor)
        return;
    for (size_t i = 0; i < 500; i++)
        one_round(1 + i);
    truth_write(truth_fd);
}

static _Noreturn void end(const char *how)
{
    if (strcmp(how, "_exit") == 0)
        _exit(0);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "segv") == 0)
        raise(SIGSEGV);
    if (strcmp(how, "kill") == 0)
        kill(getpid(), SIGKILL);
    exit(0);
}

int main(int argc, char **argv)
{
    if (argc < 3 || atoi(argv[1]) < 1)
        return 2;
    size_t threads = (size_t)atoi(argv[1]);
    truth_fd = truth_open(argv[3]);
    count_in_destructor = strcmp(argv[2], "destructor") == 0;
    if (threads == 1) {
        work(0);
        if (!count_in_destructor)
            truth_write(truth_fd);
        end(argv[2]);
    }
    pthread_barrier_init(&counted, NULL, (unsigned)threads + 1);
    for (size_t i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, (void *)(uintptr_t)i) != 0)
            return 3;
    }
    pthread_barrier_wait(&counted);
    end(argv[2]);
}
