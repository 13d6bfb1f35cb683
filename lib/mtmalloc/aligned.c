/* SPDX-License-Identifier: MIT */
/*
 * aligned.c - blocks with an alignment of their own.
 *
 * Small ones are in a buffer that is larger by the alignment, with a copy of its head in front of
 * the aligned address: free and the others find the same cache and index there.
 */
#include "heap.h"
#include "mtmalloc_api.h"
#include "os.h"
#include "oversize.h"

#include <errno.h>

static bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* `alignment` is a power of two. */
static void *alloc_aligned(size_t alignment, size_t size)
{
    if (alignment <= MT_ALIGNMENT)
        return mtmalloc_malloc(size);
    if (size > MT_REQUEST_MAX || alignment > MT_REQUEST_MAX - size) {
        errno = ENOMEM;
        return NULL;
    }
    size_t larger = size + alignment - MT_ALIGNMENT;
    if (larger > MT_BUFFER_MAX) {
        bool zeroed;
        void *p = mt_heap_ready() ? mt_oversize_alloc(alignment, size, &zeroed) : NULL;
        if (p == NULL)
            errno = EAGAIN;
        return p;
    }
    char *buffer = mtmalloc_malloc(larger);
    if (buffer == NULL)
        return NULL;
    char *p = (char *)ALIGN_UP((uintptr_t)buffer, alignment);
    *mt_head_of(p) = *mt_head_of(buffer);
    return p;
}

void *mtmalloc_memalign(size_t alignment, size_t size)
{
    if (size == 0 || !is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(alignment, size);
}

/* C leaves size 0 open, and programs written for Linux expect a block. */
void *mtmalloc_aligned_alloc(size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(alignment, size);
}

/* POSIX: the error is returned, errno left alone, and there is only ENOMEM for lack of memory. */
int mtmalloc_posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    int error = errno;
    void *p = alloc_aligned(alignment, size);
    errno = error;
    if (p == NULL)
        return ENOMEM;
    *ret = p;
    return 0;
}

void *mtmalloc_valloc(size_t size)
{
    return mtmalloc_memalign(mt_os_page_size(), size);
}

/* Whole pages, at least one. */
void *mtmalloc_pvalloc(size_t size)
{
    size_t page = mt_os_page_size();
    if (size > MT_REQUEST_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return alloc_aligned(page, size != 0 ? ALIGN_UP(size, page) : page);
}
