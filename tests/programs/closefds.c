/* SPDX-License-Identifier: MIT */
/*
 * closefds - a program that closes every descriptor it did not open, opens its own in their place
 * and checks, after many allocations in old and new threads, that its files hold what it wrote and
 * no more.
 *
 *   closefds DIRECTORY        where it may make its files
 */
#include "truth.h"

#include <pthread.h>
#include <sys/stat.h>

enum { FILES = 40, FIRST = 3 };

static const char line[] = "mine\n";

static void *allocate(void *unused)
{
    for (size_t i = 0; i < 20000; i++)
        counted_free(counted_malloc(16 + i % 5000));
    return unused;
}

static void open_files(const char *directory)
{
    char path[4096];
    for (int fd = FIRST; fd < 1024; fd++)
        close(fd);
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof(path), "%s/closefds.%d", directory, i);
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        if (fd != FIRST + i || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
            _exit(3);
    }
}

static bool intact(const char *directory)
{
    char path[4096], content[64];
    for (int i = 0; i < FILES; i++) {
        struct stat status;
        if (fstat(FIRST + i, &status) != 0 || status.st_size != (off_t)strlen(line) ||
            pread(FIRST + i, content, sizeof(content), 0) != (ssize_t)strlen(line) ||
            memcmp(content, line, strlen(line)) != 0)
            return false;
        snprintf(path, sizeof(path), "%s/closefds.%d", directory, i);
        unlink(path);
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    allocate(NULL);
    open_files(argv[1]);
    allocate(NULL);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, allocate, NULL) != 0)
            return 3;
        pthread_join(thread, NULL);
    }
    /* Once more with one file over another's descriptor, as a daemon does with its standard ones.
     */
    dup2(FIRST, FIRST + FILES);
    allocate(NULL);

    char truth_line[64];
    int length = snprintf(truth_line, sizeof(truth_line), "{\"intact\":%s,\"malloc\":%d}\n",
                          intact(argv[1]) ? "true" : "false", 23 * 20000);
    return write(STDOUT_FILENO, truth_line, (size_t)length) != length;
}
