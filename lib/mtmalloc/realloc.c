/* SPDX-License-Identifier: MIT */
/* realloc.c - what a block can hold, and blocks that change their size. */
#include "debug.h"
#include "heap.h"
#include "mtmalloc_api.h"
#include "oversize.h"

#include <errno.h>
#include <string.h>

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
    if (mt_head_is(mt_head_of(p), MT_HEAD_OVERSIZE))
        mt_oversize_trim(p, size);
    return true;
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
