/* SPDX-License-Identifier: MIT */
/*
 * child.h - tests that need a heap nobody has used, or that end the process: each runs in a child.
 *
 * The test program itself never calls the allocator, so every child begins with an untouched one.
 */
#ifndef TEST_MTMALLOC_CHILD_H
#define TEST_MTMALLOC_CHILD_H

#include <stdio.h>
#include <unistd.h>

/* In a child: say where, and end it. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Assert that the test returns in a child; its stderr is shown when not. */
void assert_child_returns(void (*test)(void));

/* Assert that the test is ended by SIGABRT, after one line on stderr which has `text` in it. */
void assert_child_aborts(void (*test)(void), const char *text);

#endif
