/* SPDX-License-Identifier: MIT */
/*
 * diff.h - two recordings compared, call path by call path.
 *
 * Paths are matched by what builds of a program have in common, see PATHS_BY_FUNCTION: functions
 * and modules, not addresses or lines.
 */
#ifndef ANALYZE_DIFF_H
#define ANALYZE_DIFF_H

#include "ranking.h"

enum diff_side { DIFF_OLD, DIFF_NEW, DIFF_SIDES };

/* One of the two; all must outlive the comparison. */
struct diff_input {
    const struct malloctap_recording *recording;
    struct symbols *symbols;
    const struct aggregate *aggregate;
    double per; /* figures are divided by this: 1, or the seconds it lasted */
};

struct diff_row {
    struct aggregate_sums sums[DIFF_SIDES]; /* not divided */
    size_t path;                            /* among the comparison's */
};

struct diff {
    struct diff_row *rows; /* those that changed, the largest change first */
    size_t count;
    size_t unchanged; /* paths that are exactly as they were */
    enum ranking_by by;
    double per[DIFF_SIDES];
    double excess[DIFF_SIDES]; /* calls that a sample of a call stands for beside that call itself,
                                * on average of all calls; 0: every call was logged */
    struct paths paths;
    size_t capacity;
};

void diff_create(const struct diff_input inputs[DIFF_SIDES], enum ranking_by by, size_t depth,
                 struct diff *ret);
void diff_deinit(struct diff *diff);

/* What paths are compared by, divided. */
struct estimate diff_figure(const struct diff *diff, const struct diff_row *row,
                            enum diff_side side);
struct estimate diff_change(const struct diff *diff, const struct diff_row *row);

/* More than two standard errors: one in twenty is by chance. Where nothing is estimated, any
 * change. */
bool diff_is_clear(struct estimate change);

/* The difference of two estimates, each divided by what is given. */
struct estimate diff_of(struct estimate from, double from_per, struct estimate to, double to_per);

#endif
