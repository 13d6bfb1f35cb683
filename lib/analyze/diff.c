/* SPDX-License-Identifier: MIT */
#include "diff.h"

#include "analyze_memory.h"

#include <math.h>
#include <stdlib.h>

/* ---- figures --------------------------------------------------------------------------------- */

static struct estimate divided(struct estimate estimate, double per)
{
    return (struct estimate){estimate.value / per, estimate.variance / (per * per)};
}

struct estimate diff_of(struct estimate from, double from_per, struct estimate to, double to_per)
{
    struct estimate old = divided(from, from_per), new = divided(to, to_per);
    return (struct estimate){new.value - old.value, new.variance + old.variance};
}

struct estimate diff_figure(const struct diff *diff, const struct diff_row *row,
                            enum diff_side side)
{
    return divided(ranking_key(&row->sums[side], diff->by), diff->per[side]);
}

/* What a figure's own error cannot tell: how many calls it is about. */
static double calls_behind(const struct diff *diff, const struct diff_row *row, enum diff_side side)
{
    const struct aggregate_sums *sums = &row->sums[side];
    if (diff->by == RANKING_BY_WAIT)
        return (double)sums->waited * (1 + diff->excess[side]);
    return diff->by == RANKING_BY_LIVE ? sums->live_blocks.value : sums->calls.value;
}

/*
 * A path of which one side has no sample, or none that waited, or none of a block that is live, may
 * have been there all the same; and of one that has fewer calls than a log, those that were not
 * sampled may be the small ones. Of as many calls as are not there, so many samples were to be
 * expected; the standard error of a figure that rests on n samples is a share of 1 / sqrt(n) of it.
 */
static double unseen_variance(const struct diff *diff, const struct diff_row *row,
                              enum diff_side side, struct estimate change)
{
    enum diff_side other = side == DIFF_OLD ? DIFF_NEW : DIFF_OLD;
    double seen = calls_behind(diff, row, side);
    double missing = calls_behind(diff, row, other) * diff->per[side] / diff->per[other] - seen;
    bool beside_log = diff->by == RANKING_BY_CALLS && !diff->excess[other];
    if (missing <= 0 || (seen > 0 && !beside_log))
        return 0;
    return change.value * change.value * diff->excess[side] / missing;
}

/*
 * What the variance would be if nothing had changed. The error of a figure that came out low by
 * chance is as low, too low to tell the two apart: beside a log, two samples where six were to be
 * expected would be a change. A figure's error is in proportion to the true one, for which that of
 * the other side stands as well.
 */
static double unchanged_variance(struct estimate before, struct estimate after)
{
    if (before.value <= 0 || after.value <= 0)
        return 0;
    return before.value / after.value * after.variance +
           after.value / before.value * before.variance;
}

struct estimate diff_change(const struct diff *diff, const struct diff_row *row)
{
    struct estimate old = diff_figure(diff, row, DIFF_OLD), new = diff_figure(diff, row, DIFF_NEW);
    struct estimate change = {new.value - old.value, old.variance + new.variance};
    double unseen =
        unseen_variance(diff, row, DIFF_OLD, change) + unseen_variance(diff, row, DIFF_NEW, change);
    change.variance = fmax(change.variance + unseen, unchanged_variance(old, new));
    return change;
}

bool diff_is_clear(struct estimate change)
{
    return change.value * change.value > 4 * change.variance;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const char *executable_name(const struct malloctap_recording *recording)
{
    return path_basename(malloctap_recording_header(recording)->executable);
}

static struct diff_row *row_of(struct diff *diff, const struct path_frames *frames)
{
    size_t path = paths_add(&diff->paths, frames);
    if (path == diff->count) {
        diff->rows = memory_grow(diff->rows, diff->count, &diff->capacity, sizeof *diff->rows);
        diff->rows[diff->count++] = (struct diff_row){.path = path};
    }
    return &diff->rows[path];
}

static void add_side(struct diff *diff, const struct diff_input *input, enum diff_side side)
{
    const struct aggregate *aggregate = input->aggregate;
    struct path_frames frames = {0};
    if (aggregate->all.calls.value > 0)
        diff->excess[side] = aggregate->all.calls.variance / aggregate->all.calls.value;
    for (size_t i = 0; i < aggregate->stack_count; i++) {
        const struct aggregate_stack *stack = &aggregate->stacks[i];
        path_frames_read(input->recording, input->symbols, stack->stack, &frames);
        aggregate_sums_add(&row_of(diff, &frames)->sums[side], &stack->sums);
    }
    free(frames.items);
}

static void drop_unchanged(struct diff *diff)
{
    size_t changed = 0;
    for (size_t i = 0; i < diff->count; i++)
        if (diff_change(diff, &diff->rows[i]).value != 0)
            diff->rows[changed++] = diff->rows[i];
    diff->unchanged = diff->count - changed;
    diff->count = changed;
}

/* Equal changes: in order of the paths' first appearance. */
static int compare_rows(const void *left, const void *right, void *diff)
{
    const struct diff_row *a = left, *b = right;
    double a_size = fabs(diff_change(diff, a).value), b_size = fabs(diff_change(diff, b).value);
    if (a_size != b_size)
        return a_size > b_size ? -1 : 1;
    return (a->path > b->path) - (a->path < b->path);
}

void diff_create(const struct diff_input inputs[DIFF_SIDES], enum ranking_by by, size_t depth,
                 struct diff *ret)
{
    *ret = (struct diff){.by = by,
                         .per = {inputs[DIFF_OLD].per, inputs[DIFF_NEW].per},
                         .paths = {.by = PATHS_BY_FUNCTION,
                                   .depth = depth,
                                   .programs = {executable_name(inputs[DIFF_OLD].recording),
                                                executable_name(inputs[DIFF_NEW].recording)}}};
    for (enum diff_side side = DIFF_OLD; side < DIFF_SIDES; side++)
        add_side(ret, &inputs[side], side);
    drop_unchanged(ret);
    if (ret->count)
        qsort_r(ret->rows, ret->count, sizeof *ret->rows, compare_rows, ret);
}

void diff_deinit(struct diff *diff)
{
    paths_deinit(&diff->paths);
    free(diff->rows);
    *diff = (struct diff){0};
}
