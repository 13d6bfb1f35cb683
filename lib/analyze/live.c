/* SPDX-License-Identifier: MIT */
#include "live.h"

#include "analyze_memory.h"

#include <stdlib.h>

#define FREED_FIRST UINT64_MAX /* the end was seen before the beginning */

void live_deinit(struct live *live)
{
    table_deinit(&live->table);
    free(live->blocks);
    free(live->unused);
    *live = (struct live){0};
}

static size_t store(struct live *live, struct live_block block)
{
    size_t index;
    if (live->unused_count) {
        index = live->unused[--live->unused_count];
    } else {
        live->blocks = memory_grow(live->blocks, live->block_count, &live->block_capacity,
                                   sizeof *live->blocks);
        index = live->block_count++;
    }
    live->blocks[index] = block;
    return index;
}

void live_allocated(struct live *live, uint64_t address, uint64_t ticks, struct live_block block)
{
    bool inserted;
    uint64_t *entry = table_insert(&live->table, address, ticks, 0, &inserted);
    if (inserted)
        *entry = store(live, block);
    else if (*entry == FREED_FIRST)
        table_remove(&live->table, entry);
}

void live_freed(struct live *live, uint64_t address, uint64_t allocated_ticks)
{
    bool inserted;
    uint64_t *entry = table_insert(&live->table, address, allocated_ticks, FREED_FIRST, &inserted);
    if (inserted || *entry == FREED_FIRST)
        return;
    live->unused =
        memory_grow(live->unused, live->unused_count, &live->unused_capacity, sizeof *live->unused);
    live->unused[live->unused_count++] = *entry;
    table_remove(&live->table, entry);
}

const struct live_block *live_next(const struct live *live, size_t *position)
{
    while (*position < live->table.capacity) {
        const struct table_entry *entry = &live->table.entries[(*position)++];
        if (entry->used && entry->value != FREED_FIRST)
            return &live->blocks[entry->value];
    }
    return NULL;
}
