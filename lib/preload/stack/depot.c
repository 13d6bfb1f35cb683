/* SPDX-License-Identifier: MIT */
/*
 * depot.c - an index over the stacks in the recording.
 *
 * Open hash tables of keys and ids. A table that is half full is not moved, which would stop
 * others: a larger one is put in front of it, and what is found in an older one is entered in the
 * newest again, so that stacks in use are found at the first look.
 */
#include "depot.h"

#include "compiler.h"
#include "recording/area.h"
#include "table.h"

#include <string.h>

#define FIRST_SIZE 4096u
#define GROWTH 4u

/* An id of 0 beside a key: who entered it is about to store the id. */
struct entry {
    uint64_t key; /* 0: free */
    uint32_t id;
};

struct depot_table {
    struct depot_table *older;
    uint64_t size; /* a power of two */
    uint64_t used;
    struct entry entries[];
};

static uint64_t hash_frames(const uint64_t *frames, uint32_t count)
{
    uint64_t hash = 0;
    while (count-- > 0)
        hash = depot_hash_add(hash, depot_hash_spread(frames[count]));
    return hash;
}

uint64_t depot_hash_power(uint32_t count)
{
    uint64_t power = 1;
    for (uint64_t factor = DEPOT_HASH_BASE; count != 0; count >>= 1, factor *= factor) {
        if (count & 1)
            power *= factor;
    }
    return power;
}

static size_t table_bytes(uint64_t size)
{
    return sizeof(struct depot_table) + size * sizeof(struct entry);
}

/* The stack's id in this table; 0 when it is not there. */
static always_inline uint32_t find(const struct depot_table *table, uint64_t key)
{
    uint64_t mask = table->size - 1;
    for (uint64_t at = key & mask;; at = (at + 1) & mask) {
        const struct entry *entry = &table->entries[at];
        uint64_t found = __atomic_load_n(&entry->key, __ATOMIC_RELAXED);
        if (likely(found == key)) /* pairs with the release in enter(): the stack is complete */
            return __atomic_load_n(&entry->id, __ATOMIC_ACQUIRE);
        if (found == 0)
            return 0;
    }
}

/* A quarter of a table stays free at least, so that a search always ends. */
static uint64_t most_used(const struct depot_table *table)
{
    return table->size / 4 * 3;
}

/* Enter a stack in this table, unless it is there already. Returns the id that is in the table
 * then, 0 when the table is full. */
static uint32_t enter(struct depot_table *table, uint64_t key, uint32_t id)
{
    uint64_t mask = table->size - 1, at = key & mask, found = 0;
    if (__atomic_fetch_add(&table->used, 1, __ATOMIC_RELAXED) >= most_used(table))
        return 0;
    while (!__atomic_compare_exchange_n(&table->entries[at].key, &found, key, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        if (found == key) {
            uint32_t other = __atomic_load_n(&table->entries[at].id, __ATOMIC_ACQUIRE);
            return other != 0 ? other : id;
        }
        found = 0;
        at = (at + 1) & mask;
    }
    __atomic_store_n(&table->entries[at].id, id, __ATOMIC_RELEASE);
    return id;
}

/* The table to enter new stacks in: the newest, or a larger one when that is half full. NULL when
 * there is no memory for one: a stack that could not be found again is better not stored. */
static struct depot_table *table_to_fill(void **index)
{
    struct depot_table *newest = __atomic_load_n(index, __ATOMIC_ACQUIRE);
    uint64_t size = FIRST_SIZE, used = 0;
    if (newest != NULL) {
        used = __atomic_load_n(&newest->used, __ATOMIC_RELAXED);
        if (used < newest->size / 2)
            return newest;
        size = newest->size * GROWTH;
    }
    struct depot_table *larger = table_map(table_bytes(size));
    if (larger == NULL)
        return newest != NULL && used < most_used(newest) ? newest : NULL;
    larger->older = newest;
    larger->size = size;
    return table_publish(index, newest, larger, table_bytes(size));
}

static uint32_t store(const uint64_t *frames, uint32_t count, uint32_t flags)
{
    uint32_t id = 0;
    struct malloctap_stack *stack = area_stack_alloc(count, &id);
    if (stack == NULL)
        return 0;
    stack->flags = flags;
    memcpy(stack->frames, frames, count * sizeof(*frames));
    /* A reader of the file that sees the count sees the rest. */
    __atomic_store_n(&stack->frame_count, count, __ATOMIC_RELEASE);
    return id;
}

uint32_t depot_find(void **index, uint64_t key)
{
    const struct depot_table *newest = __atomic_load_n(index, __ATOMIC_ACQUIRE);
    return likely(newest != NULL) ? find(newest, key) : 0;
}

uint32_t depot_intern_by(void **index, uint64_t key, const uint64_t *frames, uint32_t count,
                         uint32_t flags)
{
    struct depot_table *newest = __atomic_load_n(index, __ATOMIC_ACQUIRE);
    uint32_t id = 0;
    for (struct depot_table *table = newest; table != NULL && id == 0; table = table->older) {
        id = find(table, key);
        if (id != 0 && table == newest)
            return id;
    }
    struct depot_table *filled = table_to_fill(index);
    if (filled == NULL)
        return id;
    if (id == 0)
        id = store(frames, count, flags);
    if (id == 0)
        return 0;
    uint32_t entered = enter(filled, key, id);
    return entered != 0 ? entered : id;
}

uint32_t depot_intern(void **index, const uint64_t *frames, uint32_t count, uint32_t flags)
{
    uint64_t key = depot_key(hash_frames(frames, count), count, flags);
    return depot_intern_by(index, key, frames, count, flags);
}
