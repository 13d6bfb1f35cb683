/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - malloc, calloc and free of buffers as nearly every call goes: locks free, a buffer more
 * in the word of the mask, options off, nothing to publish. Everything else: alloc_slow.c.
 */
#include "alloc.h"
#include "mtmalloc_api.h"
#include "options.h"

#include <malloctap/mtmalloc.h>

#include <errno.h>

_Thread_local struct mt_thread mt_thread;

static always_inline void *alloc(size_t request, bool zero)
{
    struct mt_list *list = mt_thread.list;
    if (unlikely(list == NULL || request - 1 >= MT_BUFFER_MAX ||
                 mt_option_bits() & (MTDEBUGPATTERN | MTINITBUFFER)))
        return mt_alloc_any(request, zero);
    uint32_t depth = mt_thread.depth;
    uint64_t none, counts; /* the parent lock counts nothing */
    if (unlikely(!mt_lock_try(&list->parent, depth, &none)))
        return mt_alloc_any(request, zero);
    struct mt_cache *cache = list->hint[mt_size_of(request)];
    if (unlikely(cache == NULL || !mt_lock_try(&cache->lock, depth + 1, &counts)))
        return mt_alloc_parent_locked(list, request, zero);
    uint32_t word = cache->first;
    uint64_t mask = cache->mask[word], rest = mask & (mask - 1);
    uint64_t counted = counts + mt_stats_taken(request);
    if (unlikely(rest == 0 || mt_stats_due(cache, counted))) {
        cache->lock.counts = counts;
        return mt_alloc_both_locked(list, cache, request, zero);
    }
    cache->mask[word] = rest;
    bool sleepers = mt_lock_open(&cache->lock, counted);
    sleepers |= mt_lock_open(&list->parent, 0);
    mt_thread.depth = depth;

    uint64_t info;
    void *p = mt_alloc_head(cache, word * 64 + (uint32_t)__builtin_ctzll(mask), request, &info);
    if (unlikely(sleepers))
        p = mt_alloc_wake(list, cache, p);
    return zero && info != 0 ? memset(p, 0, request) : p;
}

void *mtmalloc_malloc(size_t size)
{
    return alloc(size, false);
}

void *mtmalloc_calloc(size_t count, size_t size)
{
    size_t total;
    if (unlikely(__builtin_mul_overflow(count, size, &total))) {
        errno = ENOMEM;
        return NULL;
    }
    return alloc(total, true);
}

void mtmalloc_free(void *p)
{
    if (unlikely(p == NULL))
        return;
    const struct mt_head *head = mt_head_of(p);
    if (unlikely(!mt_head_is(head, MT_HEAD_BUFFER) || mt_option_bits() & MTDEBUGPATTERN)) {
        mt_free_any(p);
        return;
    }
    struct mt_cache *cache = head->owner;
    uint64_t info = head->info;
    uint32_t index = MT_HEAD_INDEX(info), word = index / 64;
    uint64_t bit = UINT64_C(1) << index % 64;
    uint32_t depth = mt_thread.depth;
    uint64_t counts;
    if (unlikely(!mt_lock_try(&cache->lock, depth, &counts))) {
        mt_free_any(p);
        return;
    }
    uint64_t mask = cache->mask[word]; /* not 0: word >= first, which stays */
    uint64_t counted = counts + mt_stats_returned(info);
    if (unlikely(mask == 0 || mask & bit || mt_stats_due(cache, counted))) {
        cache->lock.counts = counts;
        mt_free_locked(cache, p);
        return;
    }
    cache->mask[word] = mask | bit;
    bool sleepers = mt_lock_open(&cache->lock, counted);
    mt_thread.depth = depth;
    if (unlikely(sleepers))
        mt_lock_wake(&cache->lock);
}

void mtmalloc_free_sized(void *p, size_t size)
{
    mtmalloc_free(p);
}

void mtmalloc_free_aligned_sized(void *p, size_t alignment, size_t size)
{
    mtmalloc_free(p);
}
