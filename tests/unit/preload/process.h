/* SPDX-License-Identifier: MIT */
/* process.h - tests that run in a process of their own, in an empty directory: a process has one
 * recording. */
#ifndef PROCESS_H
#define PROCESS_H

#include <config/config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void in_child(void (*body)(void))
{
    char place[] = "/tmp/test-recording.XXXXXX";
    assert_non_null(mkdtemp(place));
    pid_t child = fork();
    if (child == 0) {
        if (chdir(place) != 0)
            _exit(99);
        config_read("out=x.mtap,ring=128K", NULL);
        body();
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", place);
    assert_int_equal(system(command), 0);
    assert_int_equal(status, 0);
}

/* In the child, a failed check ends it with the line as its status. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#endif
