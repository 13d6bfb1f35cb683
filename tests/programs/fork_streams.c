/* SPDX-License-Identifier: MIT */
/*
 * fork_streams - forks beside threads that use streams: one holds a stream while it allocates a
 * line's buffer, another the list of all streams while it waits for that one, and fork() waits for
 * the list.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 500, LINES = 200 };

static atomic_bool stop;
static FILE *file;

static void *read_lines(void *unused)
{
    while (!atomic_load(&stop)) {
        char *line = NULL;
        size_t size = 0;
        rewind(file);
        while (getline(&line, &size, file) >= 0)
            ;
        free(line);
    }
    return unused;
}

static void *flush_all(void *unused)
{
    while (!atomic_load(&stop))
        fflush(NULL);
    return unused;
}

static int fork_and_allocate(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        FILE *own = fopen("/dev/null", "w");
        free(malloc(100));
        _exit(own == NULL || fclose(own) != 0);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

int main(void)
{
    pthread_t threads[4];
    file = tmpfile();
    if (file == NULL)
        return 2;
    for (int line = 1; line < LINES; line++)
        fprintf(file, "%*d\n", line * 7, line);
    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, i % 2 ? flush_all : read_lines, NULL) != 0)
            return 2;
    int forks = 0;
    while (forks < FORKS && fork_and_allocate())
        forks++;
    atomic_store(&stop, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    /* Now there is one thread, and libc knows. */
    return forks == FORKS && fork_and_allocate() ? 0 : 1;
}
