/* SPDX-License-Identifier: MIT */
#include "diff.h"

#include "analyze_memory.h"

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
        return (double)sums->waited * diff->weight[side];
    return diff->by == RANKING_BY_LIVE ? sums->live_blocks.value : sums->calls.value;
}

/*
 * A path of which one side has no sample, or none that waited, or none of a block that is live, may
 * have been there all the same. Of as many calls as the other side had, so many samples were to be
 * expected; the standard error of a figure that rests on n samples is a share of 1 / sqrt(n) of it.
 */
static double unseen_variance(const struct diff *diff, const struct diff_row *row,
                              enum diff_side side, struct estimate change)
{
    double other_calls = calls_behind(diff, row, side == DIFF_OLD ? DIFF_NEW : DIFF_OLD);
    if (calls_behind(diff, row, side) > 0 || !diff->weight[side] || other_calls <= 0)
        return 0;
    return change.value * change.value * diff->weight[side] / other_calls;
}

struct estimate diff_change(const struct diff *diff, const struct diff_row *row)
{
    struct estimate change =
        diff_of(ranking_key(&row->sums[DIFF_OLD], diff->by), diff->per[DIFF_OLD],
                ranking_key(&row->sums[DIFF_NEW], diff->by), diff->per[DIFF_NEW]);
    change.variance +=
        unseen_variance(diff, row, DIFF_OLD, change) + unseen_variance(diff, row, DIFF_NEW, change);
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
    if (aggregate->logged < aggregate->all.samples)
        diff->weight[side] = aggregate->all.calls.value / (double)aggregate->all.samples;
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
