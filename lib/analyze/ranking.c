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

/* ---- rows -------------------------------------------------------------------------------------
 */

/* The frames of one stack while they are put together. */
struct frame_list {
    const struct symbol_frame **items;
    size_t count;
    size_t capacity;
};

static void list_frames(const struct malloctap_frames *recorded, struct symbols *symbols,
                        struct frame_list *list)
{
    list->count = 0;
    for (uint32_t i = 0; i < recorded->count; i++) {
        size_t count;
        const struct symbol_frame *frames = symbols_lookup(symbols, recorded->frames[i], &count);
        for (size_t k = 0; k < count; k++) {
            list->items =
                memory_grow(list->items, list->count, &list->capacity, sizeof *list->items);
            list->items[list->count++] = &frames[k];
        }
    }
}

static bool list_matches(const struct frame_list *list, const char *pattern)
{
    if (!pattern)
        return true;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->function && fnmatch(pattern, list->items[i]->function, 0) == 0)
            return true;
    return false;
}

/* Equal texts are equal pointers. */
static bool reads_the_same(const struct symbol_frame *a, const struct symbol_frame *b)
{
    return a == b || (a->function == b->function && a->file == b->file && a->line == b->line &&
                      a->inlined == b->inlined && a->module == b->module &&
                      (a->function || a->offset == b->offset));
}

static bool row_is(const struct ranking_row *row, const struct frame_list *list, bool truncated)
{
    if (row->frame_count != list->count || row->truncated != truncated)
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (!reads_the_same(row->frames[i], list->items[i]))
            return false;
    return true;
}

static uint64_t list_hash(const struct frame_list *list)
{
    uint64_t hash = list->count;
    for (size_t i = 0; i < list->count; i++) {
        const struct symbol_frame *frame = list->items[i];
        uint64_t named = frame->function ? (uintptr_t)frame->function : frame->offset;
        hash = (hash ^ named ^ (uintptr_t)frame->file * 3 ^ frame->line) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

/* The row of these frames, new if need be. `rows` finds it by hash; rows that share a hash are
 * told apart by the second key, counted up until one fits. */
static struct ranking_row *row_of(struct ranking *ranking, struct table *rows,
                                  const struct frame_list *list, bool truncated)
{
    uint64_t hash = list_hash(list);
    for (uint64_t attempt = 0;; attempt++) {
        bool inserted;
        uint64_t index = *table_insert(rows, hash, attempt, ranking->count, &inserted);
        if (!inserted && !row_is(&ranking->rows[index], list, truncated))
            continue;
        if (inserted) {
            ranking->rows = memory_grow(ranking->rows, ranking->count, &ranking->capacity,
                                        sizeof *ranking->rows);
            struct ranking_row *row = &ranking->rows[ranking->count++];
            *row = (struct ranking_row){.frame_count = list->count, .truncated = truncated};
            row->frames = memory_zeroed(list->count, sizeof *row->frames);
            if (list->count)
                memcpy(row->frames, list->items, list->count * sizeof *row->frames);
        }
        return &ranking->rows[index];
    }
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
    struct frame_list list = {0};
    struct table rows = {0};
    *ret = (struct ranking){0};
    for (size_t i = 0; i < aggregate->stack_count; i++) {
        const struct aggregate_stack *stack = &aggregate->stacks[i];
        struct malloctap_frames recorded = {0};
        if (ranking_key(&stack->sums, query.by).value <= 0)
            continue;
        malloctap_recording_stack(recording, stack->stack, &recorded);
        list_frames(&recorded, symbols, &list);
        if (!list_matches(&list, query.function))
            continue;
        bool truncated = recorded.flags & (MALLOCTAP_STACK_TRUNCATED | MALLOCTAP_STACK_LIMITED);
        size_t hidden = query.depth && list.count > query.depth ? list.count - query.depth : 0;
        list.count -= hidden;
        struct ranking_row *row = row_of(ret, &rows, &list, truncated && !hidden);
        if (row->merged++ == 0)
            row->frames_hidden = hidden;
        aggregate_sums_add(&row->sums, &stack->sums);
    }
    if (ret->count)
        qsort_r(ret->rows, ret->count, sizeof *ret->rows, compare_rows, &query.by);
    table_deinit(&rows);
    free(list.items);
}

void ranking_deinit(struct ranking *ranking)
{
    for (size_t i = 0; i < ranking->count; i++)
        free(ranking->rows[i].frames);
    free(ranking->rows);
    *ranking = (struct ranking){0};
}
