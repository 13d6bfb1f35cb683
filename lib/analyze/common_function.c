/* SPDX-License-Identifier: MIT */
#include "common_function.h"

#include "analyze_memory.h"
#include "table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define MOST 0.66 /* of the whole lies under a function that is worth naming */

/* A function, with all that is ranked under it. */
struct candidate {
    const char *function;
    double under;
    double height; /* callers above it, summed with the weight of what is under it */
};

struct candidates {
    struct candidate *items;
    size_t count;
    size_t capacity;
    struct table index_of_function; /* equal texts are equal pointers */
};

/* Of a function that calls itself only the innermost call counts. */
static bool seen_before(const struct ranking_row *row, size_t frame)
{
    for (size_t i = 0; i < frame; i++)
        if (row->path.frames[i]->function == row->path.frames[frame]->function)
            return true;
    return false;
}

static void add_row(struct candidates *candidates, const struct ranking_row *row, double amount)
{
    for (size_t i = 0; i < row->path.count; i++) {
        const char *function = row->path.frames[i]->function;
        bool inserted;
        if (!function || seen_before(row, i))
            continue;
        uint64_t index = *table_insert(&candidates->index_of_function, (uintptr_t)function, 0,
                                       candidates->count, &inserted);
        if (inserted) {
            candidates->items = memory_grow(candidates->items, candidates->count,
                                            &candidates->capacity, sizeof *candidates->items);
            candidates->items[candidates->count++] = (struct candidate){.function = function};
        }
        candidates->items[index].under += amount;
        candidates->items[index].height += amount * (double)(row->path.count - i);
    }
}

const char *common_function(const struct ranking *ranking, enum ranking_by by, double *share)
{
    struct candidates candidates = {0};
    const struct candidate *best = NULL;
    double all = 0;
    for (size_t i = 0; i < ranking->count; i++) {
        double amount = ranking_key(&ranking->rows[i].sums, by).value;
        add_row(&candidates, &ranking->rows[i], amount);
        all += amount;
    }
    for (size_t i = 0; i < candidates.count; i++) {
        const struct candidate *candidate = &candidates.items[i];
        if (candidate->under >= MOST * all &&
            (!best || candidate->height / candidate->under > best->height / best->under))
            best = candidate;
    }
    const char *function = best ? best->function : NULL;
    *share = best ? best->under / all : 0;
    free(candidates.items);
    table_deinit(&candidates.index_of_function);
    return function;
}
