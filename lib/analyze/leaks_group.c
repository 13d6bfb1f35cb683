/* SPDX-License-Identifier: MIT */
#include "leaks.h"

#include "analyze_memory.h"
#include "runtime_blocks.h"

#include <stdlib.h>

/* Nothing lives of this stack, or as much as before. */
static bool is_nothing(const struct leaks_sums *sums)
{
    return !sums->records && sums->bytes.value == 0 && sums->blocks.value == 0;
}

static struct leaks_row *row_of(struct leaks_groups *groups, const struct path_frames *frames)
{
    size_t path = paths_add(&groups->paths, frames);
    if (path == groups->count) {
        groups->rows =
            memory_grow(groups->rows, groups->count, &groups->capacity, sizeof *groups->rows);
        groups->rows[groups->count++] = (struct leaks_row){.path = path};
    }
    return &groups->rows[path];
}

static void add_stack(struct leaks_groups *groups, const struct leaks_grouping *grouping,
                      const struct path_frames *frames, const struct leaks_sums *sums)
{
    size_t pattern = suppressions_find(grouping->hidden, frames);
    if (pattern != SUPPRESSIONS_NONE) {
        leaks_sums_add(&groups->by_pattern[pattern], sums);
        leaks_sums_add(&groups->suppressed, sums);
    } else if (!grouping->runtime && runtime_blocks_include(frames)) {
        leaks_sums_add(&groups->runtime, sums);
    } else {
        struct leaks_row *row = row_of(groups, frames);
        row->merged++;
        leaks_sums_add(&row->sums, sums);
        leaks_sums_add(&groups->all, sums);
    }
}

/* Equal bytes: more blocks first, then the path that was met first. */
static int compare_rows(const void *left, const void *right)
{
    const struct leaks_row *a = left, *b = right;
    if (a->sums.bytes.value != b->sums.bytes.value)
        return a->sums.bytes.value > b->sums.bytes.value ? -1 : 1;
    if (a->sums.blocks.value != b->sums.blocks.value)
        return a->sums.blocks.value > b->sums.blocks.value ? -1 : 1;
    return (a->path > b->path) - (a->path < b->path);
}

void leaks_group(const struct malloctap_recording *recording, struct symbols *symbols,
                 const struct leaks *leaks, struct leaks_grouping grouping,
                 struct leaks_groups *ret)
{
    struct path_frames frames = {0};
    *ret = (struct leaks_groups){.paths.depth = grouping.depth};
    ret->by_pattern = memory_zeroed(grouping.hidden->count, sizeof *ret->by_pattern);
    for (size_t i = 0; i < leaks->stack_count; i++) {
        if (is_nothing(&leaks->stacks[i].sums))
            continue;
        path_frames_read(recording, symbols, leaks->stacks[i].stack, &frames);
        add_stack(ret, &grouping, &frames, &leaks->stacks[i].sums);
    }
    if (ret->count)
        qsort(ret->rows, ret->count, sizeof *ret->rows, compare_rows);
    free(frames.items);
}

void leaks_groups_deinit(struct leaks_groups *groups)
{
    paths_deinit(&groups->paths);
    free(groups->rows);
    free(groups->by_pattern);
    *groups = (struct leaks_groups){0};
}
