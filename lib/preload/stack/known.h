/* SPDX-License-Identifier: MIT */
/*
 * known.h - which stack a key stands for, in a table that all threads of the process share and that
 * does not grow: a new key takes the place of an old one. Lock-free.
 */
#ifndef PRELOAD_STACK_KNOWN_H
#define PRELOAD_STACK_KNOWN_H

#include "compiler.h"
#include "depot.h"

#include <stddef.h>
#include <stdint.h>

#define KNOWN_SIZE 16384u

/* Both words are written one after the other: what is read of two stacks does not fit together. */
struct known_stack {
    uint64_t id;
    uint64_t check; /* the key, if the id is the one that was stored with it */
};

static always_inline uint64_t known_check(uint64_t key, uint64_t id)
{
    return key ^ depot_hash_spread(id);
}

static always_inline uint32_t known_read(const struct known_stack *known, uint64_t key)
{
    /* Acquire: pairs with the release in known_add(); the stack is complete. */
    uint64_t id = __atomic_load_n(&known->id, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&known->check, __ATOMIC_RELAXED) == known_check(key, id) ? (uint32_t)id
                                                                                    : 0;
}

/* A key's two places: the second is for what was in the first. */
static always_inline struct known_stack *known_places(struct known_stack *table, uint64_t key)
{
    return &table[key % (KNOWN_SIZE / 2) * 2];
}

/* The id that was added with the key; 0: none, or it has been replaced. `table` is the process's;
 * a key that no stack was given has an id as likely as two stacks have one key in the depot. */
static always_inline uint32_t known_find(void **table, uint64_t key)
{
    struct known_stack *all = __atomic_load_n(table, __ATOMIC_ACQUIRE);
    if (unlikely(all == NULL))
        return 0;
    const struct known_stack *known = known_places(all, key);
    uint32_t id = known_read(&known[0], key);
    return likely(id != 0) ? id : known_read(&known[1], key);
}

/* Of the two that are there the older one is replaced. */
void known_add(void **table, uint64_t key, uint32_t id);

#endif
