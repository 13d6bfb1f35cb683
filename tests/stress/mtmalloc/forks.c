/* SPDX-License-Identifier: MIT */
/*
 * forks.c - fork while other threads are inside the allocator: the child allocates at once, every
 * size, and forks again; the parent goes on. Handlers of fork allocate, too, before and after all
 * locks are taken. And threads that come and go: the heap does not grow with them.
 */
#include <mtmalloc_api.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, FORKS = 60, GENERATIONS = 400 };

static _Atomic int stop;

static void use_all_sizes(void)
{
    void *blocks[14];
    for (int i = 0; i < 14; i++) {
        blocks[i] = mtmalloc_malloc((size_t)16 << i);
        memset(blocks[i], 1, 16);
    }
    for (int i = 0; i < 14; i++)
        mtmalloc_free(blocks[i]);
}

static void *hammer(void *argument)
{
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        use_all_sizes();
    return NULL;
}

static void *one_round(void *argument)
{
    use_all_sizes();
    return NULL;
}

/* Threads of its own in a child of a process that has some: not under the thread sanitizer. */
static bool thread_in_child(void)
{
#ifdef __SANITIZE_THREAD__
    return true;
#else
    pthread_t id;
    return pthread_create(&id, NULL, one_round, NULL) == 0 && pthread_join(id, NULL) == 0;
#endif
}

static int child(void)
{
    alarm(20); /* a lock that is still held: end here, not hang */
    use_all_sizes();
    if (!thread_in_child())
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        use_all_sizes();
        _exit(0);
    }
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static void fork_under_load(void)
{
    pthread_t ids[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&ids[i], NULL, hammer, NULL) != 0)
            abort();
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(child());
        int status = -1;
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            fprintf(stderr, "fork %d: child ended with status %#x\n", i, status);
            exit(1);
        }
        use_all_sizes();
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
}

static uint64_t held_bytes(void)
{
    enum { ROWS = 15000 };
    static struct malloctap_lock_row rows[ROWS];
    uint64_t held = 0;
    size_t count = mtmalloc_stats_snapshot(rows, ROWS);
    for (size_t i = 0; i < count; i++)
        held += rows[i].held_bytes;
    return held;
}

static void threads_come_and_go(void)
{
    uint64_t before = 0;
    for (int i = 0; i < GENERATIONS; i++) {
        pthread_t ids[2];
        for (int t = 0; t < 2; t++)
            if (pthread_create(&ids[t], NULL, one_round, NULL) != 0)
                abort();
        for (int t = 0; t < 2; t++)
            pthread_join(ids[t], NULL);
        if (i == GENERATIONS / 2)
            before = held_bytes();
    }
    uint64_t after = held_bytes();
    /* Two threads that meet on a list may need a second cache of 64 KiB buffers, later than others.
     */
    if (after > before + before / 4) {
        fprintf(stderr, "the heap grew with threads that are gone: %llu to %llu bytes\n",
                (unsigned long long)before, (unsigned long long)after);
        exit(1);
    }
}

int main(void)
{
    /* Registered first: prepares last, and ends first. */
    pthread_atfork(use_all_sizes, use_all_sizes, use_all_sizes);
    pthread_atfork(mtmalloc_fork_prepare, mtmalloc_fork_parent, mtmalloc_fork_child);
    pthread_atfork(use_all_sizes, use_all_sizes, use_all_sizes);
    fork_under_load();
    threads_come_and_go();
    return 0;
}
