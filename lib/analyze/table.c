/* SPDX-License-Identifier: MIT */
#include "table.h"

#include "analyze_memory.h"

#include <stdlib.h>

static uint64_t mix(uint64_t key_a, uint64_t key_b)
{
    uint64_t hash = (key_a ^ (key_b << 32 | key_b >> 32)) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ key_b ^ (hash >> 29)) * 0xbf58476d1ce4e5b9u;
    return hash ^ (hash >> 32);
}

/* The slot where the key is, or the free one where it belongs. */
static struct table_entry *slot(const struct table *table, uint64_t key_a, uint64_t key_b)
{
    for (size_t i = mix(key_a, key_b);; i++) {
        struct table_entry *entry = &table->entries[i & (table->capacity - 1)];
        if (!entry->used || (entry->key[0] == key_a && entry->key[1] == key_b))
            return entry;
    }
}

static void resize(struct table *table, size_t capacity)
{
    struct table old = *table;
    table->entries = memory_zeroed(capacity, sizeof *table->entries);
    table->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].used)
            *slot(table, old.entries[i].key[0], old.entries[i].key[1]) = old.entries[i];
    free(old.entries);
}

void table_deinit(struct table *table)
{
    free(table->entries);
    *table = (struct table){0};
}

uint64_t *table_find(const struct table *table, uint64_t key_a, uint64_t key_b)
{
    if (!table->count)
        return NULL;
    struct table_entry *entry = slot(table, key_a, key_b);
    return entry->used ? &entry->value : NULL;
}

uint64_t *table_insert(struct table *table, uint64_t key_a, uint64_t key_b, uint64_t value,
                       bool *inserted)
{
    if (2 * (table->count + 1) > table->capacity)
        resize(table, table->capacity ? 2 * table->capacity : 64);
    struct table_entry *entry = slot(table, key_a, key_b);
    *inserted = !entry->used;
    if (*inserted) {
        *entry = (struct table_entry){{key_a, key_b}, value, 1};
        table->count++;
    }
    return &entry->value;
}

/*
 * No tombstones: whatever follows in the same run and would not be found past the hole moves into
 * it, so that a table through which millions of blocks pass stays as short as what is live.
 */
void table_remove(struct table *table, uint64_t *found)
{
    size_t mask = table->capacity - 1;
    struct table_entry *entry =
        (struct table_entry *)((char *)found - offsetof(struct table_entry, value));
    size_t hole = (size_t)(entry - table->entries);
    for (size_t i = (hole + 1) & mask; table->entries[i].used; i = (i + 1) & mask) {
        size_t home = mix(table->entries[i].key[0], table->entries[i].key[1]) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table->entries[hole] = table->entries[i];
            hole = i;
        }
    }
    table->entries[hole].used = 0;
    table->count--;
}
