/* SPDX-License-Identifier: MIT */
/*
 * oversize.h - blocks above 64 KiB: one lock for all.
 *
 * Free blocks are in two trees, by size and by address; free neighbours are always one block. Live
 * blocks are in a hash table by the pointer that was handed out.
 *
 *   block: | struct mt_block                | head | data ...       |
 *   aligned further: | struct mt_block | unused ... | head | data ... |
 */
#ifndef MTMALLOC_OVERSIZE_H
#define MTMALLOC_OVERSIZE_H

#include "heap.h"
#include "stats.h"

extern struct mt_lock mt_oversize_lock;

/* Take it and, counted, release it. False: this thread holds it. */
bool mt_oversize_acquire(void);
void mt_oversize_release(void);

/* `size` up to MT_REQUEST_MAX, more than MT_BUFFER_MAX when aligned; `alignment` a power of two, at
 * least MT_ALIGNMENT. NULL: there is no memory now. *zeroed: all of it is fresh from the system. */
void *mt_oversize_alloc(size_t alignment, size_t size, bool *zeroed);

/* What to do with a pointer whose head says that it is an oversize block. */
void mt_oversize_free(void *p);
size_t mt_oversize_usable_size(void *p);

/* Give back what is behind the first `size` bytes, if that is oversize by itself. */
void mt_oversize_trim(void *p, size_t size);

/* Forget all blocks, free and live, and the region they are carved from: in a copy of the process
 * in which they may be half changed. Blocks of before can be used; to free them does nothing. */
void mt_oversize_start_over(void);

struct mt_oversize_totals {
    uint64_t held_bytes;
    uint64_t live, live_bytes, requested_bytes;
    uint64_t free;
};

/* Now; under the lock. */
extern struct mt_oversize_totals mt_oversize_totals;

#endif
