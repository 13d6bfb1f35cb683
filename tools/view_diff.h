/* SPDX-License-Identifier: MIT */
/* view_diff.h - two recordings compared by call path: as text, JSON and CSV. */
#ifndef TOOLS_VIEW_DIFF_H
#define TOOLS_VIEW_DIFF_H

#include "diff.h"
#include "view_stacks.h"

struct view_diff_query {
    enum ranking_by by;
    size_t depth;    /* frames that count; 0: all */
    size_t rows_max; /* 0: all */
    bool reverse;    /* largest change last */
    bool per_second; /* figures are divided by how long each recording lasted */
};

struct view_diff {
    struct view_diff_query query;
    struct view_stacks sides[DIFF_SIDES];
    double seconds[DIFF_SIDES]; /* how long they lasted */
    double per[DIFF_SIDES];     /* what figures are divided by */
    struct diff diff;
};

/* Returns 0; or -1 with `error` set when one of them cannot be ranked so. */
int view_diff_create(struct malloctap_recording *const recordings[DIFF_SIDES],
                     struct view_diff_query query, struct view_diff *ret,
                     struct malloctap_error *error);
void view_diff_destroy(struct view_diff *view);

void view_diff_print(const struct view_diff *view, enum emit_format format, FILE *out);

void view_diff_print_text(const struct view_diff *view, FILE *out);
void view_diff_print_json(const struct view_diff *view, FILE *out);
void view_diff_print_csv(const struct view_diff *view, FILE *out);

/* Number of rows to show, and the i-th of them. */
size_t view_diff_shown(const struct view_diff *view);
const struct diff_row *view_diff_row(const struct view_diff *view, size_t i);

/* One side as a whole, not divided; NaN where the recording does not tell. Calls and bytes are
 * exact where they were counted. */
struct estimate view_diff_whole(const struct view_diff *view, enum diff_side side,
                                enum ranking_by by);

/* Both recordings were made in the same way. */
bool view_diff_same_mode(const struct view_diff *view);

#endif
