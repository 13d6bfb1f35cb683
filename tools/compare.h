/* SPDX-License-Identifier: MIT */
/* compare.h - one comparison: its backends, their runs, and what is made of them. */
#ifndef TOOLS_COMPARE_H
#define TOOLS_COMPARE_H

#include "backend.h"
#include "emit.h"
#include "measures.h"
#include "runner.h"
#include "tap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A backend, or the first of them without the tap. */
struct compare_item {
    const char *name;
    struct tap tap;
    struct measures *runs; /* those that count */
    size_t count;
    size_t failed;
    char failure[256]; /* of the first that failed */
    bool given_up;     /* failed in its warm-up already: not run again */
};

struct compare {
    struct runner_plan plan;
    struct backend *backends;
    struct compare_item *items; /* one a backend, then `plain` if there is one */
    size_t backend_count;
    size_t item_count;
    uint64_t rounds; /* at most */
    uint64_t for_ns; /* no new round after this time; 0: only `rounds` counts */
    size_t rounds_done;
    const char *keep;       /* directory for the recordings; NULL: none are kept */
    const char *output;     /* directory for what the program prints; NULL: shown when it fails */
    char scratch[PATH_MAX]; /* private directory for all that is not kept */
};

/* The plain runs, or NULL. */
const struct compare_item *compare_plain(const struct compare *compare);

/* Run it: a warm-up each, then the rounds. 0, or the signal that ended it. */
int compare_rounds(struct compare *compare);

/* Print what came out. */
void compare_print(const struct compare *compare, enum emit_format format, FILE *out);

#endif
