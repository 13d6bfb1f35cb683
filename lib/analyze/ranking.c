/* SPDX-License-Identifier: MIT */
#include "ranking.h"

#include "analyze_memory.h"

#include <fnmatch.h>
#include <stdlib.h>

const char *ranking_by_name(enum ranking_by by)
{
    static const char *const names[] = {
#define X(NAME, name, field) #name,
        RANKING_BY(X)
#undef X
    };
    return names[by];
}

struct estimate ranking_key(const struct aggregate_sums *sums, enum ranking_by by)
{
    switch (by) {
#define X(NAME, name, field)                                                                       \
    case RANKING_BY_##NAME:                                                                        \
        return sums->field;
        RANKING_BY(X)
#undef X
    case RANKING_BYS:
        break;
    }
    return (struct estimate){0};
}

/* ---- rows -------------------------------------------------------------------------------------
 */

static bool frames_match(const struct path_frames *frames, const char *pattern)
{
    if (!pattern)
        return true;
    for (size_t i = 0; i < frames->count; i++)
        if (frames->items[i]->function && fnmatch(pattern, frames->items[i]->function, 0) == 0)
            return true;
    return false;
}

/* The row of these frames, new if need be: row i is of path i until they are sorted. */
static struct ranking_row *row_of(struct ranking *ranking, const struct path_frames *frames)
{
    size_t index = paths_add(&ranking->paths, frames);
    if (index == ranking->count) {
        ranking->rows =
            memory_grow(ranking->rows, ranking->count, &ranking->capacity, sizeof *ranking->rows);
        ranking->rows[ranking->count++] = (struct ranking_row){.path = ranking->paths.items[index]};
    }
    return &ranking->rows[index];
}

static int compare_rows(const void *left, const void *right, void *by)
{
    const struct ranking_row *a = left, *b = right;
    double a_key = ranking_key(&a->sums, *(enum ranking_by *)by).value;
    double b_key = ranking_key(&b->sums, *(enum ranking_by *)by).value;
    if (a_key != b_key)
        return a_key > b_key ? -1 : 1;
    return (a->sums.samples < b->sums.samples) - (a->sums.samples > b->sums.samples);
}

void ranking_create(const struct malloctap_recording *recording, struct symbols *symbols,
                    const struct aggregate *aggregate, struct ranking_query query,
                    struct ranking *ret)
{
    struct path_frames frames = {0};
    *ret = (struct ranking){.paths.depth = query.depth};
    for (size_t i = 0; i < aggregate->stack_count; i++) {
        const struct aggregate_stack *stack = &aggregate->stacks[i];
        if (ranking_key(&stack->sums, query.by).value <= 0)
            continue;
        path_frames_read(recording, symbols, stack->stack, &frames);
        if (!frames_match(&frames, query.function))
            continue;
        struct ranking_row *row = row_of(ret, &frames);
        row->merged++;
        aggregate_sums_add(&row->sums, &stack->sums);
    }
    if (ret->count)
        qsort_r(ret->rows, ret->count, sizeof *ret->rows, compare_rows, &query.by);
    free(frames.items);
}

void ranking_deinit(struct ranking *ranking)
{
    paths_deinit(&ranking->paths);
    free(ranking->rows);
    *ranking = (struct ranking){0};
}
