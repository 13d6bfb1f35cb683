/* SPDX-License-Identifier: MIT */
/* alloc_slow.c - what alloc.c leaves: every case, one step at a time. */
#include "alloc.h"
#include "debug.h"
#include "mtmalloc_api.h"
#include "options.h"
#include "oversize.h"
#include "region.h"

#include <malloctap/mtmalloc.h>

#include <errno.h>

/* ---- malloc and calloc ------------------------------------------------------------------- */

/* The options that fill and check. */
static void look_over(void *p, size_t size, uint64_t info)
{
    uint32_t options = mt_option_bits();
    if (options & MTDEBUGPATTERN && info & MT_HEAD_PATTERN)
        mt_pattern_check_freed(p, size);
    if (options & MTINITBUFFER)
        mt_pattern_fill_new(p, size);
}

static uint32_t take_first(struct mt_cache *cache)
{
    uint64_t *mask = &cache->mask[cache->first];
    uint32_t index = cache->first * 64 + (uint32_t)__builtin_ctzll(*mask);
    *mask &= *mask - 1;
    if (*mask == 0)
        mt_cache_first_emptied(cache);
    return index;
}

/* At once while this thread forks: nothing is to be left for the child to publish. */
static void count(struct mt_cache *cache, uint64_t what)
{
    cache->lock.counts += what;
    if (cache->lock.counts & MT_LOCK_DUE || mt_thread.exclusive)
        mt_stats_publish(cache);
}

static void *no_memory(struct mt_list *list)
{
    mt_stats_count_failure(list);
    mt_heap_unlock(&list->parent);
    errno = EAGAIN;
    return NULL;
}

cold void *mt_alloc_both_locked(struct mt_list *list, struct mt_cache *cache, size_t request,
                                bool zero)
{
    unsigned size = mt_size_of(request);
    if (mt_cache_full(cache)) {
        mt_stats_count_look(cache);
        mt_heap_unlock(&cache->lock);
        cache = mt_heap_find_cache(list, size);
    }
    if (cache == NULL)
        return no_memory(list);
    uint32_t index = take_first(cache);
    uint64_t before, info = cache->head_info | request;
    count(cache, mt_stats_taken(request));
    mt_heap_unlock(&cache->lock);
    mt_heap_unlock(&list->parent);

    void *p = mt_alloc_head(cache, index, info, &before);
    look_over(p, mt_cache_buffer_size(cache), before);
    bool zeroed = before == 0 && !(mt_option_bits() & MTINITBUFFER);
    return zero && !zeroed ? memset(p, 0, request) : p;
}

cold void *mt_alloc_parent_locked(struct mt_list *list, size_t request, bool zero)
{
    struct mt_cache *cache = list->hint[mt_size_of(request)];
    if (cache == NULL || !mt_heap_lock(&cache->lock, mt_stats_cache_row(cache)))
        cache = mt_heap_find_cache(list, mt_size_of(request));
    if (cache == NULL)
        return no_memory(list);
    return mt_alloc_both_locked(list, cache, request, zero);
}

static void *alloc_oversize(size_t request, bool zero)
{
    bool zeroed;
    void *p = mt_oversize_alloc(MT_ALIGNMENT, request, &zeroed);
    if (p == NULL)
        errno = EAGAIN;
    return p != NULL && zero && !zeroed ? memset(p, 0, request) : p;
}

/* The thread's own list; or another, in a signal handler that interrupted the thread there. NULL:
 * none is left. */
static struct mt_list *lock_a_list(void)
{
    uint32_t own = mt_thread.list->number, mask = mt_heap.list_count - 1;
    for (uint32_t i = 0; i <= mask; i++) {
        struct mt_list *list = &mt_heap.lists[(own + i) & mask];
        if (mt_heap_lock(&list->parent, mt_stats_parent_row(list)))
            return list;
    }
    return NULL;
}

cold void *mt_alloc_any(size_t request, bool zero)
{
    if (request > MT_REQUEST_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    if (mt_thread.list == NULL)
        mt_thread.list = mt_heap_choose_list();
    if (mt_thread.list != NULL && request > MT_BUFFER_MAX)
        return alloc_oversize(request, zero);
    struct mt_list *list = mt_thread.list != NULL ? lock_a_list() : NULL;
    if (list == NULL) {
        errno = EAGAIN;
        return NULL;
    }
    return mt_alloc_parent_locked(list, request != 0 ? request : 1, zero);
}

cold void *mt_alloc_wake(struct mt_list *list, struct mt_cache *cache, void *p)
{
    mt_lock_wake(&cache->lock);
    mt_lock_wake(&list->parent);
    return p;
}

/* ---- free -------------------------------------------------------------------------------- */

/* Before the buffer is marked free: then it may be handed out at once. */
static void fill_freed(struct mt_cache *cache, uint32_t index)
{
    char *buffer = cache->buffer + (size_t)index * cache->stride;
    mt_pattern_fill_freed(buffer, mt_cache_buffer_size(cache));
    mt_head_of(buffer)->info |= MT_HEAD_PATTERN;
}

cold void mt_free_locked(struct mt_cache *cache, void *p)
{
    uint64_t info = mt_head_of(p)->info;
    uint32_t index = MT_HEAD_INDEX(info), word = index / 64;
    uint64_t bit = UINT64_C(1) << index % 64;
    if (cache->mask[word] & bit) {
        mt_stats_count_look(cache);
        mt_heap_unlock(&cache->lock);
        if (!(mt_option_bits() & MTDOUBLEFREE))
            mt_abort_double_free(p);
        return;
    }
    if (mt_option_bits() & MTDEBUGPATTERN)
        fill_freed(cache, index);
    cache->mask[word] |= bit;
    cache->summary[word / 64] |= UINT64_C(1) << word % 64;
    if (word < cache->first)
        cache->first = word;
    mt_heap_cache_has_room(cache);
    count(cache, mt_stats_returned(info));
    mt_heap_unlock(&cache->lock);
}

cold void mt_free_any(void *p)
{
    const struct mt_head *head = mt_head_of(p);
    if (mt_head_is(head, MT_HEAD_BUFFER)) {
        struct mt_cache *cache = head->owner;
        /* In a signal handler that interrupted this thread in the same cache the block is lost:
         * better than to wait for itself. */
        if (mt_heap_lock(&cache->lock, mt_stats_cache_row(cache)))
            mt_free_locked(cache, p);
    } else if (mt_head_is(head, MT_HEAD_OVERSIZE)) {
        mt_oversize_free(p);
    } else if (!(mt_option_bits() & MTDOUBLEFREE && mt_region_owns(p))) {
        mt_abort_not_a_block(p);
    }
}

bool mtmalloc_owns(const void *p)
{
    return mt_region_owns(p);
}
