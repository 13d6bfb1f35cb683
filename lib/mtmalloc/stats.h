/* SPDX-License-Identifier: MIT */
/*
 * stats.h - locks counted, and the memory behind them.
 *
 * The lock of a cache counts for itself what it was taken for (lock.h). When n buffers were taken
 * from it, or returned, that is published in the row of its list and size, and in that of the
 * parent lock, which was taken for each buffer that was. n is 1 at first and doubles each time up
 * to MT_STATS_EVERY: so rows lag by at most MT_STATS_EVERY taken and as many returned for each
 * cache, and by at most half of what it did; they are exact after mt_stats_publish_all(). Waits,
 * and everything about the oversize lock, are in the rows at once.
 *
 * Rows are in the recording, or in private memory while there is none (see mtmalloc_api.h).
 */
#ifndef MTMALLOC_STATS_H
#define MTMALLOC_STATS_H

#include "heap.h"

#include <malloctap/recording.h>

#define MT_STATS_EVERY 512u /* a power of two */

/* Without acquisitions and memory, to measure what counting them costs; never for use. */
#ifdef MTMALLOC_UNCOUNTED
#define MT_COUNTED 0
#else
#define MT_COUNTED 1
#endif

/* What the lock of a cache counts when a buffer is taken, or returned; its head tells the bytes. */
static always_inline uint64_t mt_stats_taken(size_t request)
{
    return MT_COUNTED ? MT_LOCK_TAKEN + ((uint64_t)request << MT_LOCK_BYTES_SHIFT) : 0;
}

static always_inline uint64_t mt_stats_returned(uint64_t info)
{
    uint64_t bytes = info << (64 - MT_HEAD_REQUESTED_BITS) >>
                     (64 - MT_HEAD_REQUESTED_BITS - MT_LOCK_BYTES_SHIFT);
    return MT_COUNTED ? MT_LOCK_RETURNED - bytes : 0;
}

/* In a new cache: the first buffer taken is published at once. */
void mt_stats_begin(struct mt_cache *cache);

size_t mt_stats_row_count(uint32_t lists);

/* The row of a lock, now: asked for anew each time, because a fork may have come in between. */
struct malloctap_lock_row *mt_stats_parent_row(const struct mt_list *list);
struct malloctap_lock_row *mt_stats_cache_row(const struct mt_cache *cache);
struct malloctap_lock_row *mt_stats_oversize_row(void);

/* Under the cache's lock. A look is an acquisition that neither took nor returned a buffer. */
void mt_stats_count_look(struct mt_cache *cache);
void mt_stats_count_created(struct mt_cache *cache);
void mt_stats_publish(struct mt_cache *cache);

/* The parent lock was taken, and there was no memory. */
void mt_stats_count_failure(const struct mt_list *list);

/* Under the oversize lock, before it is released. */
void mt_stats_count_oversize(void);

/* Under all locks, and nothing if this thread could not get them all: everything; and, in a fork
 * child, drop what was the parent's. */
void mt_stats_publish_all(void);
void mt_stats_forget(void);

#endif
