/* SPDX-License-Identifier: MIT */
/*
 * suppressions.h - leaks that a user knows and does not want to see, in LeakSanitizer's format.
 *
 *     # a comment
 *     leak:pattern
 *
 * A leak is suppressed when the pattern matches the function, the source file or the module of any
 * of its frames. A pattern matches any part of a text; ^ at its beginning and $ at its end hold it
 * to the text's own, * stands for anything. There are no other special characters.
 */
#ifndef ANALYZE_SUPPRESSIONS_H
#define ANALYZE_SUPPRESSIONS_H

#include "paths.h"

#include <malloctap/reader.h>

#include <stdbool.h>
#include <stddef.h>

/* A zeroed struct is an empty list. */
struct suppressions {
    char **patterns; /* in the files' order; the first that matches counts */
    size_t count;
    size_t capacity;
};

/* Add the patterns of a text of `size` bytes; `name` is what an error calls it. 0, or -1 with
 * `error` set at the first line that is none; what came before it was added. */
int suppressions_parse(struct suppressions *list, const char *name, const char *text, size_t size,
                       struct malloctap_error *error);

/* The same of a file. */
int suppressions_read(struct suppressions *list, const char *path, struct malloctap_error *error);

void suppressions_deinit(struct suppressions *list);

#define SUPPRESSIONS_NONE SIZE_MAX

/* Index of the first pattern that one of the frames matches, or SUPPRESSIONS_NONE. */
size_t suppressions_find(const struct suppressions *list, const struct path_frames *frames);

/* NULL matches nothing. */
bool suppression_matches(const char *pattern, const char *text);

#endif
