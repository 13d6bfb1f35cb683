/* SPDX-License-Identifier: MIT */
/*
 * stats.h - locks counted, and the memory behind them.
 *
 * Every lock has a row, written only under that lock: no atomic operations, and nothing to add up
 * later. After MT_STATS_CACHES caches, the further ones of a list and size share a row, which has a
 * lock of its own.
 *
 * The rows are in the recording, or in private memory while there is none (see mtmalloc_api.h).
 */
#ifndef MTMALLOC_STATS_H
#define MTMALLOC_STATS_H

#include "heap.h"

#include <malloctap/recording.h>

/* Caches with a row of their own: 590 MiB of them, in chunks of the default size. */
#define MT_STATS_CACHES 8192u

#define MT_STATS_SHARED_ROW                                                                        \
    0u /* never in use, so that its caches are met where rows are described */
#define MT_STATS_OVERSIZE_ROW 1u
#define MT_STATS_FIRST_PARENT_ROW 2u

/* Where to look for the array; points to a NULL pointer until a recording is attached. */
extern struct malloctap_lock_row *_Atomic *_Atomic mt_stats_where;

/* The array to count in, now. It is asked for anew by every call of the allocator, because a fork
 * may have come in between. */
static always_inline struct malloctap_lock_row *mt_stats_rows(void)
{
    struct malloctap_lock_row *_Atomic *where =
        atomic_load_explicit(&mt_stats_where, memory_order_relaxed);
    struct malloctap_lock_row *rows = atomic_load_explicit(where, memory_order_relaxed);
    return likely(rows != NULL) ? rows : mt_heap.rows;
}

/* In a fork child: what was counted privately is the parent's. Under all locks. */
void mt_stats_forget(void);

/* Rows an array must have for this many lists. */
size_t mt_stats_row_count(uint32_t lists);

/* Choose the row of a new cache; under parent and oversize lock. */
void mt_stats_assign_row(struct mt_cache *cache);

/* The row of a cache, its own or shared, for what is written atomically: waits. */
struct malloctap_lock_row *mt_stats_cache_row(const struct mt_cache *cache);

/* A row says what it counts when it is first used: after a fork the array is a new one. */
static always_inline bool mt_stats_described(const struct malloctap_lock_row *row)
{
    return row->kind != 0;
}

/* Count an acquisition of a lock, before it is released. `buffers` (1, -1 or 0) were handed out for
 * `requested` bytes each. */
void mt_stats_count_parent(const struct mt_list *list, struct malloctap_lock_row *rows);
void mt_stats_count_cache(struct mt_cache *cache, struct malloctap_lock_row *rows, int buffers,
                          uint32_t requested);
void mt_stats_count_oversize(struct malloctap_lock_row *rows);

/* The same, where the row is known to be described. */
static always_inline void mt_stats_count_described(struct mt_cache *cache,
                                                   struct malloctap_lock_row *row, int buffers,
                                                   uint32_t requested)
{
    cache->in_use += (uint32_t)buffers;
    cache->requested += (uint64_t)(buffers * (int64_t)requested);
    row->acquisitions++;
    row->in_use = cache->in_use;
    row->in_use_bytes = cache->in_use * mt_cache_buffer_size(cache);
    row->requested_bytes = cache->requested;
}

#endif
