/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - malloc and free of buffers, top to bottom; what is rare is in the functions marked cold
 * and in other files.
 */
#include "debug.h"
#include "heap.h"
#include "mtmalloc_api.h"
#include "options.h"
#include "oversize.h"
#include "region.h"
#include "stats.h"

#include <malloctap/mtmalloc.h>

#include <errno.h>
#include <string.h>

/* Chosen by the thread's first call. */
static _Thread_local struct mt_list *thread_list __attribute__((tls_model("initial-exec")));

/* ---- malloc -----------------------------------------------------------------------------------
 */

static cold struct mt_list *choose_list(void)
{
    thread_list = mt_heap_choose_list();
    return thread_list;
}

/* Take the first free buffer; of a locked cache that has one. */
static always_inline uint32_t take_first(struct mt_cache *cache)
{
    uint32_t word = cache->first;
    uint64_t mask = cache->mask[word];
    uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(mask);
    cache->mask[word] = mask & (mask - 1);
    if (unlikely((mask & (mask - 1)) == 0))
        mt_cache_word_emptied(cache, word);
    return index;
}

/* The cache at the hint, or the next with room: locked. NULL: there is no memory. */
static always_inline struct mt_cache *lock_cache(struct mt_list *list, unsigned size,
                                                 struct malloctap_lock_row *rows)
{
    struct mt_cache *cache = list->hint[size];
    if (unlikely(cache == NULL))
        return mt_heap_find_cache(list, size);
    mt_lock_acquire(&cache->lock, &rows[cache->row]);
    if (likely(cache->first != MT_CACHE_FULL))
        return cache;
    mt_stats_count_cache(cache, rows, 0, 0);
    mt_lock_release(&cache->lock);
    return mt_heap_find_cache(list, size);
}

/* A buffer for 1 ... MT_BUFFER_MAX bytes, or NULL. *info is what its head was before: 0 in memory
 * that was never handed out. */
static always_inline void *alloc_buffer(struct mt_list *list, size_t request, uint64_t *info)
{
    unsigned size = mt_size_of(request);
    struct malloctap_lock_row *rows = mt_stats_rows();
    mt_lock_acquire(&list->parent, &rows[list->row]);
    mt_stats_count_parent(list, rows);
    struct mt_cache *cache = lock_cache(list, size, rows);
    if (unlikely(cache == NULL)) {
        mt_lock_release(&list->parent);
        errno = EAGAIN;
        return NULL;
    }
    uint32_t index = take_first(cache);
    mt_stats_count_cache(cache, rows, 1, (uint32_t)request);
    mt_lock_release(&cache->lock);
    mt_lock_release(&list->parent);

    char *p = cache->buffer + (size_t)index * cache->stride;
    struct mt_head *head = mt_head_of(p);
    *info = head->info;
    head->owner = cache;
    head->info = mt_head_info(cache, MT_HEAD_BUFFER, request, index);
    return p;
}

/* The options that fill and check. */
static cold void look_over(void *p, size_t size, uint64_t info, uint32_t options)
{
    if (options & MTDEBUGPATTERN && info & MT_HEAD_PATTERN)
        mt_pattern_check_freed(p, size);
    if (options & MTINITBUFFER)
        mt_pattern_fill_new(p, size);
}

static cold void *alloc_unusual(size_t size, bool *zeroed);

/* *zeroed: the block is fresh from the system. */
static always_inline void *alloc(size_t size, bool *zeroed)
{
    struct mt_list *list = thread_list;
    if (unlikely(list == NULL || size - 1 >= MT_BUFFER_MAX))
        return alloc_unusual(size, zeroed);
    uint64_t info = 0;
    void *p = alloc_buffer(list, size, &info);
    uint32_t options = mt_option_bits() & (MTDEBUGPATTERN | MTINITBUFFER);
    if (unlikely(options != 0) && p != NULL)
        look_over(p, MT_BUFFER_MIN << mt_size_of(size), info, options);
    *zeroed = info == 0 && !(options & MTINITBUFFER);
    return p;
}

/* A thread's first call, size 0, oversize. */
static cold void *alloc_unusual(size_t size, bool *zeroed)
{
    if (size > MT_REQUEST_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    if (thread_list == NULL && choose_list() == NULL) {
        errno = EAGAIN;
        return NULL;
    }
    if (size <= MT_BUFFER_MAX)
        return alloc(size != 0 ? size : 1, zeroed);
    void *p = mt_oversize_alloc(MT_ALIGNMENT, size, zeroed);
    if (p == NULL)
        errno = EAGAIN;
    return p;
}

void *mtmalloc_malloc(size_t size)
{
    bool zeroed;
    return alloc(size, &zeroed);
}

void *mtmalloc_calloc(size_t count, size_t size)
{
    size_t total;
    if (unlikely(__builtin_mul_overflow(count, size, &total))) {
        errno = ENOMEM;
        return NULL;
    }
    bool zeroed;
    void *p = alloc(total, &zeroed);
    return p == NULL || zeroed ? p : memset(p, 0, total);
}

/* ---- free -------------------------------------------------------------------------------------
 */

/* Everything but a sound head of a buffer. */
static cold void free_unusual(void *p)
{
    if (mt_head_is(mt_head_of(p), MT_HEAD_OVERSIZE))
        mt_oversize_free(p);
    else if (!(mt_option_bits() & MTDOUBLEFREE && mt_region_owns(p)))
        mt_abort_not_a_block(p);
}

static cold void double_free(struct mt_cache *cache, struct malloctap_lock_row *rows, void *p)
{
    mt_stats_count_cache(cache, rows, 0, 0);
    mt_lock_release(&cache->lock);
    if (!(mt_option_bits() & MTDOUBLEFREE))
        mt_abort_double_free(p);
}

/* Under the lock and before the buffer is marked free: then it may be handed out at once. */
static cold void fill_freed(struct mt_cache *cache, uint32_t index)
{
    char *buffer = cache->buffer + (size_t)index * cache->stride;
    mt_pattern_fill_freed(buffer, mt_cache_buffer_size(cache));
    mt_head_of(buffer)->info |= MT_HEAD_PATTERN;
}

static cold void word_filled(struct mt_cache *cache, uint32_t word)
{
    cache->summary[word / 64] |= UINT64_C(1) << word % 64;
    mt_heap_cache_has_room(cache);
}

void mtmalloc_free(void *p)
{
    if (unlikely(p == NULL))
        return;
    const struct mt_head *head = mt_head_of(p);
    if (unlikely(!mt_head_is(head, MT_HEAD_BUFFER))) {
        free_unusual(p);
        return;
    }
    struct mt_cache *cache = head->owner;
    uint64_t info = head->info;
    uint32_t index = MT_HEAD_INDEX(info), word = index / 64;
    uint64_t bit = UINT64_C(1) << index % 64;
    struct malloctap_lock_row *rows = mt_stats_rows();

    mt_lock_acquire(&cache->lock, &rows[cache->row]);
    uint64_t mask = cache->mask[word];
    if (unlikely(mask & bit)) {
        double_free(cache, rows, p);
        return;
    }
    if (unlikely(mt_option_bits() & MTDEBUGPATTERN))
        fill_freed(cache, index);
    cache->mask[word] = mask | bit;
    if (word < cache->first)
        cache->first = word;
    if (unlikely(mask == 0))
        word_filled(cache, word);
    mt_stats_count_cache(cache, rows, -1, MT_HEAD_REQUESTED(info));
    mt_lock_release(&cache->lock);
}

void mtmalloc_free_sized(void *p, size_t size)
{
    mtmalloc_free(p);
}

void mtmalloc_free_aligned_sized(void *p, size_t alignment, size_t size)
{
    mtmalloc_free(p);
}

/* ---- realloc ----------------------------------------------------------------------------------
 */

size_t mtmalloc_usable_size(void *p)
{
    if (p == NULL)
        return 0;
    const struct mt_head *head = mt_head_of(p);
    if (likely(mt_head_is(head, MT_HEAD_BUFFER))) {
        const struct mt_cache *cache = head->owner;
        const char *buffer = cache->buffer + (size_t)MT_HEAD_INDEX(head->info) * cache->stride;
        return (size_t)(buffer + mt_cache_buffer_size(cache) - (char *)p);
    }
    if (!mt_head_is(head, MT_HEAD_OVERSIZE))
        mt_abort_not_a_block(p);
    return mt_oversize_usable_size(p);
}

/* An oversize block gives back what it no longer needs; a buffer has no parts. */
static bool resize_in_place(void *p, size_t usable, size_t size)
{
    if (size > usable)
        return false;
    return mt_head_is(mt_head_of(p), MT_HEAD_BUFFER) || mt_oversize_resize(p, size);
}

void *mtmalloc_realloc(void *p, size_t size)
{
    if (p == NULL)
        return mtmalloc_malloc(size);
    if (size == 0) {
        mtmalloc_free(p);
        return NULL;
    }
    size_t usable = mtmalloc_usable_size(p);
    if (resize_in_place(p, usable, size))
        return p;
    void *moved = mtmalloc_malloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, p, usable);
    mtmalloc_free(p);
    return moved;
}

void *mtmalloc_reallocarray(void *p, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return mtmalloc_realloc(p, total);
}
