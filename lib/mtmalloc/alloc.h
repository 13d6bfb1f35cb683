/* SPDX-License-Identifier: MIT */
/*
 * alloc.h - where alloc.c, the path that nearly every call takes, hands over to alloc_slow.c.
 *
 * Each hand-over is a tail call that says what is locked already: so the path has nothing to keep
 * over a call, and saves no registers. `zero`: as calloc.
 */
#ifndef MTMALLOC_ALLOC_H
#define MTMALLOC_ALLOC_H

#include "heap.h"
#include "stats.h"

#include <string.h>

/* Any size. */
void *mt_alloc_any(size_t request, bool zero);

/* 1 ... MT_BUFFER_MAX bytes, with the parent lock held; and with the lock of the cache at the hint,
 * which may be full. */
void *mt_alloc_parent_locked(struct mt_list *list, size_t request, bool zero);
void *mt_alloc_both_locked(struct mt_list *list, struct mt_cache *cache, size_t request, bool zero);

/* After the locks were released: wake who sleeps there, return `p`. */
void *mt_alloc_wake(struct mt_list *list, struct mt_cache *cache, void *p);

/* Any pointer, any state. */
void mt_free_any(void *p);

/* A buffer of a cache that is locked. */
void mt_free_locked(struct mt_cache *cache, void *p);

/* Write the head of a buffer that was taken. *before: what info was, 0 in memory that was never
 * handed out, which is zero. */
static always_inline void *mt_alloc_head(struct mt_cache *cache, uint32_t index, uint64_t info,
                                         uint64_t *before)
{
    char *p = cache->buffer + (size_t)index * cache->stride;
    struct mt_head *head = mt_head_of(p);
    *before = head->info;
    head->owner = cache;
    head->info = info | (uint64_t)index << MT_HEAD_INDEX_SHIFT;
    return p;
}

#endif
