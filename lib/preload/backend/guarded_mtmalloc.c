/* SPDX-License-Identifier: MIT */
#include "guarded_mtmalloc.h"

#include <compiler.h>
#include <mtmalloc_api.h>
#include <recording/recording.h>

#include <stdint.h>
#include <string.h>

static struct backend others;

static always_inline bool foreign(const void *block)
{
    return unlikely(block != NULL && !mtmalloc_owns(block));
}

static cold void free_foreign(void *block)
{
    recording_lost(foreign_blocks, 1);
    others.free(block);
}

static void guarded_free(void *block)
{
    if (foreign(block))
        free_foreign(block);
    else
        mtmalloc_free(block);
}

static void guarded_free_sized(void *block, size_t size)
{
    if (foreign(block))
        free_foreign(block);
    else
        mtmalloc_free_sized(block, size);
}

static void guarded_free_aligned_sized(void *block, size_t alignment, size_t size)
{
    if (foreign(block))
        free_foreign(block);
    else
        mtmalloc_free_aligned_sized(block, alignment, size);
}

/* It stays where it was made: its maker may rely on finding it there. */
static void *guarded_realloc(void *block, size_t size)
{
    if (!foreign(block))
        return mtmalloc_realloc(block, size);
    recording_lost(foreign_blocks, 1);
    return others.realloc(block, size);
}

static size_t guarded_malloc_usable_size(void *block)
{
    return foreign(block) ? others.malloc_usable_size(block) : mtmalloc_usable_size(block);
}

struct backend guarded_mtmalloc(const struct backend *own)
{
    others = *own;
    return (struct backend){
        .malloc = mtmalloc_malloc,
        .free = guarded_free,
        .calloc = mtmalloc_calloc,
        .realloc = guarded_realloc,
        .posix_memalign = mtmalloc_posix_memalign,
        .aligned_alloc = mtmalloc_aligned_alloc,
        .memalign = mtmalloc_memalign,
        .valloc = mtmalloc_valloc,
        .pvalloc = mtmalloc_pvalloc,
        .malloc_usable_size = guarded_malloc_usable_size,
        .free_sized = guarded_free_sized,
        .free_aligned_sized = guarded_free_aligned_sized,
    };
}
