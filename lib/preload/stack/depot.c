/* SPDX-License-Identifier: MIT */
/*
 * depot.c - an index over the stacks in the recording.
 *
 * Open hash tables of words, each half of a stack's hash and its id; the stacks themselves are
 * compared where they are stored. A table that is half full is not moved, which would stop others:
 * a larger one is put in front of it, and what is found in an older one is entered in the newest
 * again, so that stacks in use are found at the first look.
 */
#include "depot.h"

#include "compiler.h"
#include "recording/area.h"
#include "table.h"

#include <string.h>

#define FIRST_SLOTS 4096u
#define GROWTH 4u

struct depot_table {
    struct depot_table *older;
    uint64_t slot_count; /* a power of two */
    uint64_t used;
    uint64_t slots[]; /* 0: free; else high half of the hash, and the id */
};

struct key {
    const uint64_t *frames;
    uint32_t count;
    uint32_t flags;
    uint64_t hash;
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

/* What the table is searched by: all bits of it depend on all of the stack. */
static uint64_t finish_hash(uint64_t hash, uint32_t count, uint32_t flags)
{
    hash = (hash ^ ((uint64_t)count << 32 | flags)) * DEPOT_HASH_SPREAD;
    return hash ^ hash >> 32;
}

static size_t table_size(uint64_t slot_count)
{
    return sizeof(struct depot_table) + slot_count * sizeof(uint64_t);
}

static uint64_t entry_of(const struct key *key, uint32_t id)
{
    return (key->hash & ~(uint64_t)UINT32_MAX) | id;
}

static bool is_stack(uint64_t entry, const struct key *key)
{
    if ((entry ^ key->hash) >> 32 != 0)
        return false;
    const struct malloctap_stack *stack = area_stack((uint32_t)entry);
    return stack != NULL && stack->frame_count == key->count && stack->flags == key->flags &&
           memcmp(stack->frames, key->frames, key->count * sizeof(*key->frames)) == 0;
}

/* The stack's id in this table; 0 when it is not there. */
static uint32_t find(struct depot_table *table, const struct key *key)
{
    uint64_t mask = table->slot_count - 1;
    for (uint64_t at = key->hash & mask;; at = (at + 1) & mask) {
        /* Pairs with the release in enter(): the stack is complete before its entry. */
        uint64_t entry = __atomic_load_n(&table->slots[at], __ATOMIC_ACQUIRE);
        if (entry == 0)
            return 0;
        if (is_stack(entry, key))
            return (uint32_t)entry;
    }
}

/* A quarter of a table stays free at least, so that a search always ends. */
static uint64_t most_used(const struct depot_table *table)
{
    return table->slot_count / 4 * 3;
}

/* Enter a stack in this table, unless it is there already. Returns the id that is in the table
 * then, 0 when the table is full. */
static uint32_t enter(struct depot_table *table, const struct key *key, uint32_t id)
{
    uint64_t mask = table->slot_count - 1, at = key->hash & mask, found = 0;
    if (__atomic_fetch_add(&table->used, 1, __ATOMIC_RELAXED) >= most_used(table))
        return 0;
    while (!__atomic_compare_exchange_n(&table->slots[at], &found, entry_of(key, id), false,
                                        __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
        if (is_stack(found, key))
            return (uint32_t)found;
        found = 0;
        at = (at + 1) & mask;
    }
    return id;
}

/* The table to enter new stacks in: the newest, or a larger one when that is half full. NULL when
 * there is no memory for one: a stack that could not be found again is better not stored. */
static struct depot_table *table_to_fill(void **index)
{
    struct depot_table *newest = __atomic_load_n(index, __ATOMIC_ACQUIRE);
    uint64_t slot_count = FIRST_SLOTS, used = 0;
    if (newest != NULL) {
        used = __atomic_load_n(&newest->used, __ATOMIC_RELAXED);
        if (used < newest->slot_count / 2)
            return newest;
        slot_count = newest->slot_count * GROWTH;
    }
    struct depot_table *larger = table_map(table_size(slot_count));
    if (larger == NULL)
        return newest != NULL && used < most_used(newest) ? newest : NULL;
    larger->older = newest;
    larger->slot_count = slot_count;
    return table_publish(index, newest, larger, table_size(slot_count));
}

static uint32_t store(const struct key *key)
{
    uint32_t id = 0;
    struct malloctap_stack *stack = area_stack_alloc(key->count, &id);
    if (stack == NULL)
        return 0;
    stack->flags = key->flags;
    memcpy(stack->frames, key->frames, key->count * sizeof(*key->frames));
    /* A reader of the file that sees the count sees the rest. */
    __atomic_store_n(&stack->frame_count, key->count, __ATOMIC_RELEASE);
    return id;
}

uint32_t depot_intern_hashed(void **index, const uint64_t *frames, uint32_t count, uint32_t flags,
                             uint64_t hash)
{
    const struct key key = {frames, count, flags, finish_hash(hash, count, flags)};
    struct depot_table *newest = __atomic_load_n(index, __ATOMIC_ACQUIRE);
    uint32_t id = 0;
    for (struct depot_table *table = newest; table != NULL; table = table->older) {
        id = find(table, &key);
        if (id != 0 && table == newest)
            return id;
        if (id != 0)
            break;
    }
    struct depot_table *filled = table_to_fill(index);
    if (filled == NULL)
        return id;
    if (id == 0)
        id = store(&key);
    if (id == 0)
        return 0;
    uint32_t entered = enter(filled, &key, id);
    return entered != 0 ? entered : id;
}

uint32_t depot_intern(void **index, const uint64_t *frames, uint32_t count, uint32_t flags)
{
    return depot_intern_hashed(index, frames, count, flags, hash_frames(frames, count));
}
