/* SPDX-License-Identifier: MIT */
/* view_stacks.h - call paths into the allocator, ranked: as text, JSON and CSV. */
#ifndef TOOLS_VIEW_STACKS_H
#define TOOLS_VIEW_STACKS_H

#include "emit.h"
#include "ranking.h"

struct view_stacks_query {
    struct aggregate_query calls;
    struct ranking_query ranking;
    const char *op;  /* what `calls` selects: "malloc", "free", "all" */
    size_t rows_max; /* 0: all */
    bool reverse;    /* hottest last */
};

/* A ranking and what it is of. */
struct view_stacks {
    const struct malloctap_recording *recording;
    struct view_stacks_query query;
    struct aggregate aggregate;
    struct aggregate_exact exact;
    struct symbols *symbols;
    struct ranking ranking;
};

/* Returns 0; or -1 with `error` set when the recording cannot be ranked so. */
int view_stacks_create(const struct malloctap_recording *recording, struct view_stacks_query query,
                       struct view_stacks *ret, struct malloctap_error *error);
void view_stacks_destroy(struct view_stacks *view);

void view_stacks_print(const struct view_stacks *view, enum emit_format format, FILE *out);

void view_stacks_print_text(const struct view_stacks *view, FILE *out);
void view_stacks_print_json(const struct view_stacks *view, FILE *out);
void view_stacks_print_csv(const struct view_stacks *view, FILE *out);

/* Number of rows to show, the i-th of them, and its share of the whole (NaN: there is no whole). */
size_t view_stacks_shown(const struct view_stacks *view);
const struct ranking_row *view_stacks_row(const struct view_stacks *view, size_t i);
double view_stacks_share(const struct view_stacks *view, const struct ranking_row *row);

/* Do the counters tell the number of calls that is ranked, and of bytes? */
bool view_stacks_counted(const struct view_stacks *view);

/* Is all that is ranked from a log, so that no figure is an estimate? */
bool view_stacks_logged(const struct view_stacks *view);

/* Is it, and is no call missing, so that every figure is exact? */
bool view_stacks_exact(const struct view_stacks *view);

/* Calls that were counted and are not in the log that is ranked, as far as counters tell. */
uint64_t view_stacks_missing(const struct view_stacks *view);

/* The share of all calls for which the samples stand, or NaN where it differs from 1 by chance. */
double view_stacks_coverage(const struct view_stacks *view);

/* The whole of which rows are shares: of the whole run what was counted, else what all samples
 * stand for. */
double view_stacks_total(const struct view_stacks *view, bool *exact);

/* Parts that other views use. */
void view_stacks_rows_text(const struct view_stacks *view, FILE *out);
json_object *view_stacks_rows_json(const struct view_stacks *view);

#endif
