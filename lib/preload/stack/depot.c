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
    _Atomic uint64_t used;
    _Atomic uint64_t slots[]; /* 0: free; else high half of the hash, and the id */
};

struct key {
    const uint64_t *frames;
    uint32_t count;
    uint32_t flags;
    uint64_t hash;
};

/* Two halves at a time: a multiplication need not wait for the one before. */
static uint64_t hash_frames(const uint64_t *frames, uint32_t count, uint32_t flags)
{
    const uint64_t odd = 0x9e3779b97f4a7c15ULL;
    uint64_t even_hash = (uint64_t)count << 32 | flags, odd_hash = 0;
    uint32_t i;
    for (i = 0; i + 1 < count; i += 2) {
        even_hash = (even_hash ^ frames[i]) * odd;
        even_hash ^= even_hash >> 32;
        odd_hash = (odd_hash ^ frames[i + 1]) * odd;
        odd_hash ^= odd_hash >> 32;
    }
    if (i < count)
        even_hash ^= frames[i];
    even_hash = (even_hash ^ (odd_hash >> 7) ^ (odd_hash << 57)) * odd;
    return even_hash ^ (even_hash >> 32);
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
        uint64_t entry = atomic_load_explicit(&table->slots[at], memory_order_acquire);
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
    if (atomic_fetch_add_explicit(&table->used, 1, memory_order_relaxed) >= most_used(table))
        return 0;
    while (!atomic_compare_exchange_strong_explicit(&table->slots[at], &found, entry_of(key, id),
                                                    memory_order_release, memory_order_acquire)) {
        if (is_stack(found, key))
            return (uint32_t)found;
        found = 0;
        at = (at + 1) & mask;
    }
    return id;
}

/* The table to enter new stacks in: the newest, or a larger one when that is half full. NULL when
 * there is no memory for one: a stack that could not be found again is better not stored. */
static struct depot_table *table_to_fill(_Atomic(void *) *index)
{
    struct depot_table *newest = atomic_load_explicit(index, memory_order_acquire);
    uint64_t slot_count = FIRST_SLOTS, used = 0;
    if (newest != NULL) {
        used = atomic_load_explicit(&newest->used, memory_order_relaxed);
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

uint32_t depot_intern(_Atomic(void *) *index, const uint64_t *frames, uint32_t count,
                      uint32_t flags)
{
    const struct key key = {frames, count, flags, hash_frames(frames, count, flags)};
    struct depot_table *newest = atomic_load_explicit(index, memory_order_acquire);
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
