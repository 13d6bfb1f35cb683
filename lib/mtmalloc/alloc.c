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

/* Take the lock of a cache whose counts are not due. False: they are, or it was held; see
 * taken_all_the_same(). */
static always_inline bool take(struct mt_cache *cache, uint32_t depth, uint64_t *counts)
{
    mt_lock_note(&cache->lock, depth);
    *counts = mt_lock_exchange(&cache->lock);
    return likely(!(*counts & (MT_LOCK_HELD | MT_LOCK_DUE)));
}

/* After take() said no: whether the lock is taken. */
static always_inline bool taken_all_the_same(struct mt_cache *cache, uint32_t depth,
                                             uint64_t counts)
{
    if (counts == MT_LOCK_HELD)
        mt_thread.depth = depth;
    else
        cache->lock.counts = counts;
    return counts != MT_LOCK_HELD;
}

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
    if (unlikely(cache == NULL))
        return mt_alloc_parent_locked(list, request, zero);
    if (unlikely(!take(cache, depth + 1, &counts)))
        return taken_all_the_same(cache, depth + 1, counts)
                   ? mt_alloc_both_locked(list, cache, request, zero)
                   : mt_alloc_parent_locked(list, request, zero);
    uint32_t word = cache->first;
    uint64_t mask = cache->mask[word], rest = mask & (mask - 1);
    if (unlikely(rest == 0)) {
        cache->lock.counts = counts;
        return mt_alloc_both_locked(list, cache, request, zero);
    }
    cache->mask[word] = rest;
    uint64_t before, info = cache->head_info | request;
    bool sleepers = mt_lock_open(&cache->lock, counts + mt_stats_taken(request));
    sleepers |= mt_lock_open(&list->parent, 0);
    mt_thread.depth = depth;

    uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(mask);
    void *p = mt_alloc_head(cache, index, info, &before);
    if (unlikely(sleepers))
        p = mt_alloc_wake(list, cache, p);
    return zero && before != 0 ? memset(p, 0, request) : p;
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
    if (unlikely(!take(cache, depth, &counts))) {
        if (taken_all_the_same(cache, depth, counts))
            mt_free_locked(cache, p);
        else
            mt_free_any(p);
        return;
    }
    uint64_t mask = cache->mask[word]; /* not 0: word >= first, which stays */
    if (unlikely(mask == 0 || mask & bit)) {
        cache->lock.counts = counts;
        mt_free_locked(cache, p);
        return;
    }
    cache->mask[word] = mask | bit;
    bool sleepers = mt_lock_open(&cache->lock, counts + mt_stats_returned(info));
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
