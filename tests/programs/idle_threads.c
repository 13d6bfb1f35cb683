/* SPDX-License-Identifier: MIT */
/*
 * idle_threads - threads that allocate a little and then wait, to see what each costs in memory.
 *
 *   idle_threads THREADS        prints its resident memory in KiB before and with them
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

/* The proportional share counts a page of the recording once, however it is mapped. */
static unsigned long resident_kib(void)
{
    char text[4096] = "";
    int fd = open("/proc/self/smaps_rollup", O_RDONLY);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    const char *pss = size > 0 ? strstr(text, "\nPss:") : NULL;
    close(fd);
    return pss != NULL ? strtoul(pss + 5, NULL, 10) : 0;
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
    pthread_attr_t small_stack;
    pthread_attr_init(&small_stack);
    pthread_attr_setstacksize(&small_stack, 64 * 1024);
    counted_free(counted_malloc(64));
    unsigned long before = resident_kib();
    pthread_barrier_init(&allocated, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small_stack, allocate_a_little, NULL) != 0)
            return 3;
    }
    pthread_barrier_wait(&allocated);
    char line[96];
    int length = snprintf(line, sizeof(line), "{\"before_kib\":%lu,\"with_threads_kib\":%lu}\n",
                          before, resident_kib());
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        return 3;
    _exit(0);
}
