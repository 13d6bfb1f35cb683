/* SPDX-License-Identifier: MIT */
/*
 * idle_threads - threads that allocate a little and then wait, to see what each costs in memory.
 *
 *   idle_threads THREADS        prints its resident memory before and with them
 */
#include "truth.h"

#include <pthread.h>

static pthread_barrier_t allocated;

static void *allocate_a_little(void *unused)
{
    for (int i = 0; i < 20; i++)
        counted_free(counted_malloc(64));
    pthread_barrier_wait(&allocated);
    pause();
    return unused;
}

/* Rss counts every page that is mapped; Pss shares those that other processes have too. */
struct resident {
    unsigned long rss_kib, pss_kib;
};

static struct resident resident(void)
{
    char text[4096] = "";
    int fd = open("/proc/self/smaps_rollup", O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 1)
        _exit(4);
    close(fd);
    const char *rss = strstr(text, "\nRss:"), *pss = strstr(text, "\nPss:");
    return (struct resident){rss != NULL ? strtoul(rss + 5, NULL, 10) : 0,
                             pss != NULL ? strtoul(pss + 5, NULL, 10) : 0};
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
    pthread_attr_t small_stack;
    pthread_attr_init(&small_stack);
    pthread_attr_setstacksize(&small_stack, 64 * 1024);
    counted_free(counted_malloc(64));
    struct resident before = resident();
    pthread_barrier_init(&allocated, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small_stack, allocate_a_little, NULL) != 0)
            return 3;
    }
    pthread_barrier_wait(&allocated);
    struct resident with_threads = resident();
    char line[160];
    int length =
        snprintf(line, sizeof(line),
                 "{\"before\":{\"rss_kib\":%lu,\"pss_kib\":%lu},"
                 "\"with_threads\":{\"rss_kib\":%lu,\"pss_kib\":%lu}}\n",
                 before.rss_kib, before.pss_kib, with_threads.rss_kib, with_threads.pss_kib);
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        return 3;
    _exit(0);
}
