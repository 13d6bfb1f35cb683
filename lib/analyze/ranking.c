/* SPDX-License-Identifier: MIT */
#include "ranking.h"

#include "analyze_memory.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- rows ------------------------------------------------------------------------------------ */

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

static void add_path(struct ranking *ranking, const struct path_frames *frames,
                     const struct aggregate_stack *stack)
{
    struct ranking_row *row = row_of(ranking, frames);
    row->merged++;
    aggregate_sums_add(&row->sums, &stack->sums);
}

static void note_caller(struct ranking_row *row, const char *caller)
{
    for (size_t i = 0; i < row->caller_count; i++)
        if (row->callers[i] == caller) /* equal texts are equal pointers */
            return;
    if (caller && row->caller_count < RANKING_WRAPPER)
        row->callers[row->caller_count++] = caller;
}

/* Add a stack, the `number`th from 1, to all functions that are in it. */
static void add_callers(struct ranking *ranking, const struct path_frames *frames,
                        const struct aggregate_stack *stack, double amount, uint64_t number)
{
    for (size_t i = 0; i < frames->count; i++) {
        const struct path_frames one = {.items = &frames->items[i], .count = 1};
        if (!frames->items[i]->function)
            continue;
        struct ranking_row *row = row_of(ranking, &one);
        if (row->last_stack == number)
            continue;
        if (i == 0 && frames->count > 1 && amount > 0)
            note_caller(row, frames->items[1]->function);
        row->last_stack = number;
        row->merged++;
        row->height += amount * (double)(frames->count - i);
        aggregate_sums_add(&row->sums, &stack->sums);
    }
}

/* Rows, not stacks: one that adds nothing to what is ranked is still part of its row's calls. */
static void drop_empty(struct ranking *ranking, enum ranking_by by)
{
    size_t kept = 0;
    for (size_t i = 0; i < ranking->count; i++)
        if (ranking_key(&ranking->rows[i].sums, by).value > 0)
            ranking->rows[kept++] = ranking->rows[i];
    ranking->count = kept;
}

/* A function stands for itself, not for the line of one of the calls in it. */
static void forget_lines(struct ranking *ranking)
{
    for (size_t i = 0; i < ranking->count; i++) {
        struct ranking_row *row = &ranking->rows[i];
        row->function = *row->path.frames[0];
        row->function.line = 0;
        row->function.inlined = false;
        row->frame = &row->function;
        row->path.frames = &row->frame;
    }
}

void ranking_create(const struct malloctap_recording *recording, struct symbols *symbols,
                    const struct aggregate *aggregate, struct ranking_query query,
                    struct ranking *ret)
{
    struct path_frames frames = {0};
    *ret = (struct ranking){.paths.by = query.callers ? PATHS_BY_FUNCTION : PATHS_BY_LINE,
                            .paths.depth = query.depth};
    for (size_t i = 0; i < aggregate->stack_count; i++) {
        const struct aggregate_stack *stack = &aggregate->stacks[i];
        double amount = ranking_key(&stack->sums, query.by).value;
        path_frames_read(recording, symbols, stack->stack, &frames);
        bool matches = frames_match(&frames, query.function);
        if (frames.truncated && (query.callers || !matches))
            aggregate_sums_add(&ret->cut, &stack->sums);
        if (!matches)
            continue;
        if (query.callers)
            add_callers(ret, &frames, stack, amount, i + 1);
        else
            add_path(ret, &frames, stack);
    }
    drop_empty(ret, query.by);
    if (ret->count)
        qsort_r(ret->rows, ret->count, sizeof *ret->rows, compare_rows, &query.by);
    if (query.callers)
        forget_lines(ret);
    free(frames.items);
}

/* Through these comes whatever a C++ program allocates. */
static bool is_plumbing(const char *function)
{
    static const char *const prefixes[] = {"operator new", "std::", "__gnu_cxx::"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(function, prefixes[i], strlen(prefixes[i])))
            return true;
    return false;
}

const struct ranking_row *ranking_common_function(const struct ranking *functions,
                                                  enum ranking_by by, double all)
{
    const double most = 2.0 / 3;
    const struct ranking_row *best = NULL;
    double best_height = 0;
    for (size_t i = 0; i < functions->count; i++) {
        const struct ranking_row *row = &functions->rows[i];
        double under = ranking_key(&row->sums, by).value, height = row->height / under;
        if (under >= most * all && height > best_height && row->caller_count < RANKING_WRAPPER &&
            !is_plumbing(row->function.function)) {
            best = row;
            best_height = height;
        }
    }
    return best;
}

void ranking_deinit(struct ranking *ranking)
{
    paths_deinit(&ranking->paths);
    free(ranking->rows);
    *ranking = (struct ranking){0};
}
