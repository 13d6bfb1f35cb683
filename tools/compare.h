/* SPDX-License-Identifier: MIT */
/* compare.h - one comparison: its backends, their runs, and what is made of them. */
#ifndef TOOLS_COMPARE_H
#define TOOLS_COMPARE_H

#include "backend.h"
#include "emit.h"
#include "measures.h"
#include "runner.h"
#include "tap.h"
#include "verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A run that does not count. */
struct compare_failure {
    size_t round; /* 0: the warm-up */
    char why[RUNNER_FAILURE_MAX];
};

/* A backend, or the first of them without the tap. */
struct compare_item {
    const char *name;
    struct tap tap;
    struct measures *rounds; /* of each round begun */
    struct compare_failure *failures;
    size_t failure_count;
    bool given_up; /* failed in its warm-up already: not run again */
};

struct compare {
    struct runner_plan plan;
    const char *setup;   /* shell command before each run; NULL: none */
    const char *cleanup; /* the same after it */
    struct backend *backends;
    struct compare_item *items; /* one a backend, then `plain` if there is one */
    size_t backend_count;
    size_t item_count;
    uint64_t rounds_max;
    uint64_t for_ns;         /* no new round after this time; 0: only `rounds_max` counts */
    size_t rounds;           /* done, or being done */
    bool loss_told;          /* that recordings had no space */
    int stopped;             /* by this signal; 0: by nothing */
    const char *keep;        /* directory for the recordings; NULL: none are kept */
    const char *keep_output; /* directory for what the program prints; NULL: shown when it fails */
    char scratch[PATH_MAX];  /* private directory for all that is not kept */
};

/* The plain runs, or NULL. */
const struct compare_item *compare_plain(const struct compare *compare);

/* ---- running: compare_rounds.c --------------------------------------------------------------- */

/* A warm-up each, then the rounds, until they are done or a signal comes. */
void compare_run(struct compare *compare);

/* ---- files: compare_files.c ------------------------------------------------------------------ */

/* DIRECTORY/NUMBER-NAME-ROUND.SUFFIX */
void compare_file(const char *directory, const struct compare *compare,
                  const struct compare_item *item, size_t round, const char *suffix, char *ret,
                  size_t size);

/* Remove the files in the scratch directory; or with it. */
void compare_scratch_clear(const struct compare *compare);
void compare_scratch_remove(const struct compare *compare);

/* Show the end of what a failed run printed. */
void compare_output_show(const char *path);

/* ---- progress: compare_progress.c ------------------------------------------------------------ */

/* A line on the terminal, where standard error is one. */
struct compare_progress {
    bool shown;
    uint64_t start_ns;
    size_t runs; /* done, warm-ups included */
};
void compare_progress_init(struct compare_progress *ret);
void compare_progress_show(const struct compare_progress *progress, const struct compare *compare,
                           const struct compare_item *item, size_t round);
void compare_progress_clear(const struct compare_progress *progress);
uint64_t compare_progress_elapsed_ns(const struct compare_progress *progress);

/* ---- results: compare_result.c --------------------------------------------------------------- */

struct compare_result {
    const struct compare *compare;
    struct verdict *backends; /* one a backend */
    struct verdict tap[2];    /* the plain runs, and the first backend against them */
};

void compare_result_init(const struct compare *compare, struct compare_result *ret);
void compare_result_deinit(struct compare_result *result);

/* compare_text.c, compare_data.c */
void compare_text_print(const struct compare_result *result, FILE *out);
void compare_json_print(const struct compare_result *result, FILE *out);
void compare_csv_print(const struct compare_result *result, FILE *out);

#endif
