/* SPDX-License-Identifier: MIT */
/* live.h - the oversize blocks in use, by the pointer that was handed out. Under the oversize lock.
 */
#ifndef MTMALLOC_LIVE_H
#define MTMALLOC_LIVE_H

#include "heap.h"

/* Sizes and addresses of blocks are multiples of this. */
#define MT_BLOCK_GRAIN 64u

struct mt_block {
    size_t size; /* all of it, this struct included */
    /* Live: */
    void *p; /* handed out; inside of this block, right behind a head */
    struct mt_block *next;
    size_t requested;
    /* Free: */
    struct mt_node by_size;
    struct mt_node by_address;
    bool fresh;     /* zero behind this struct: never handed out */
    bool patterned; /* filled with the pattern of freed memory behind this struct */
    uint64_t unused[2];
    /* Of a block that is not aligned further; kept when it becomes free, to tell a double free. */
    struct mt_head head __attribute__((aligned(16)));
};
static_assert(sizeof(struct mt_block) == 2 * MT_BLOCK_GRAIN, "keeps the data aligned to the grain");

void mt_live_insert(struct mt_block *block);

/* Forget all. */
void mt_live_start_over(void);

/* NULL: no live block has this pointer. */
struct mt_block *mt_live_remove(const void *p);

#endif
