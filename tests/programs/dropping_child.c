/* SPDX-License-Identifier: MIT */
/*
 * dropping_child - a program that forks a child which cannot write where its parent does, as
 * servers do that begin as root: `user` gives up its user, `root` moves to an empty root directory,
 * `limit` may write no files. Exits with 77 where it may not do so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, NOT_POSSIBLE = 77, CALLS = 1000 };

static void *volatile sink;

static void allocate(void)
{
    for (int i = 0; i < CALLS; i++) {
        sink = malloc(100);
        free(sink);
    }
}

static int drop(const char *what, const char *empty)
{
    const struct rlimit none = {0, 0};
    if (strcmp(what, "user") == 0)
        return setuid(NOBODY);
    if (strcmp(what, "root") == 0)
        return chroot(empty) || chdir("/");
    return setrlimit(RLIMIT_FSIZE, &none);
}

int main(int argc, char **argv)
{
    int status;
    if (argc != 3)
        return 2;
    allocate();
    pid_t child = fork();
    if (child == 0) {
        if (drop(argv[1], argv[2]) != 0)
            _exit(NOT_POSSIBLE);
        allocate();
        _exit(3);
    }
    waitpid(child, &status, 0);
    printf("%d\n", WEXITSTATUS(status));
    return WEXITSTATUS(status) == NOT_POSSIBLE ? NOT_POSSIBLE : 0;
}
