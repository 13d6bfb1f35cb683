/* SPDX-License-Identifier: MIT */
/*
 * rlimits - a program that lowers one of its limits to what it has now, then allocates in old and
 * new threads. Allocations may fail for lack of address space; the program must not.
 *
 *   rlimits fsize | as | nofile | none
 */
#include "truth.h"

#include <pthread.h>
#include <sys/resource.h>

enum { THREADS = 40, ROUNDS = 1000 };

static void *allocate(void *unused)
{
    for (size_t i = 0; i < ROUNDS; i++)
        counted_free(counted_malloc(16 + i % 3000));
    return unused;
}

/* Bytes of address space in use. */
static rlim_t address_space(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 1)
        _exit(3);
    close(fd);
    return strtoul(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void lower(const char *which)
{
    struct rlimit limit = {0, 0};
    int resource = RLIMIT_FSIZE;
    if (strcmp(which, "none") == 0)
        return;
    if (strcmp(which, "nofile") == 0)
        resource = RLIMIT_NOFILE;
    if (strcmp(which, "as") == 0) {
        resource = RLIMIT_AS;
        limit.rlim_cur = limit.rlim_max = address_space() + (32 << 20); /* no arena */
    }
    if (setrlimit(resource, &limit) != 0)
        _exit(3);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    allocate(NULL);
    lower(argv[1]);
    allocate(NULL);
    int started = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, allocate, NULL) != 0)
            continue; /* no address space for its stack */
        started++;
        pthread_join(thread, NULL);
    }
    char line[96];
    int length = snprintf(line, sizeof(line), "{\"malloc\":%d,\"threads\":%d}\n",
                          (2 + started) * ROUNDS, started);
    return write(STDOUT_FILENO, line, (size_t)length) != length;
}
