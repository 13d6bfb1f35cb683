/* SPDX-License-Identifier: MIT */
/*
 * printed.h - what a view printed, compared with a file in golden/. After a wanted change, run with
 * VIEWS_GOLDEN_WRITE=1 and look at the difference before committing it.
 */
#ifndef TESTS_PRINTED_H
#define TESTS_PRINTED_H

#include <stddef.h>
#include <stdio.h>

struct output {
    char *text; /* after output_end(); to be freed */
    size_t size;
    FILE *file;
};

struct output output_begin(void);
void output_end(struct output *output);

/* End the output, compare it and release it. */
void assert_golden(struct output *output, const char *name);

#endif
