/* SPDX-License-Identifier: MIT */
/*
 * table.h - a hash table from a pair of 64-bit keys to a 64-bit value: stacks, threads, live blocks
 * and places are all found by numbers. Open addressing with linear probing. A zeroed struct is an
 * empty table.
 */
#ifndef ANALYZE_TABLE_H
#define ANALYZE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_entry {
    uint64_t key[2];
    uint64_t value;
    uint64_t used; /* 0: free */
};

struct table {
    struct table_entry *entries;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

void table_deinit(struct table *table);

/* The value of a key, or NULL. Valid until the next insertion or removal. */
uint64_t *table_find(const struct table *table, uint64_t key_a, uint64_t key_b);

/* The value of a key, inserted as `value` when it is not there yet (then *inserted is true). */
uint64_t *table_insert(struct table *table, uint64_t key_a, uint64_t key_b, uint64_t value,
                       bool *inserted);

/* Remove what table_find returned. */
void table_remove(struct table *table, uint64_t *found);

#endif
