/* SPDX-License-Identifier: MIT */
/*
 * live.h - which recorded blocks were never freed.
 *
 * A block is one life of an address: address and time of allocation. Its two records may come in
 * either order, since the cursor orders threads only roughly, and one of them may be missing where
 * a bounded ring overwrote it; so they are matched, never subtracted. Memory grows with the blocks
 * that are live, not with those that were.
 */
#ifndef ANALYZE_LIVE_H
#define ANALYZE_LIVE_H

#include "table.h"

struct live_block {
    size_t owner; /* the caller's */
    double weight;
    uint64_t size;
};

/* A zeroed struct is an empty set. */
struct live {
    struct table table; /* (address, ticks) -> index of the block */
    struct live_block *blocks;
    size_t block_count;
    size_t block_capacity;
    size_t *unused; /* indexes of blocks that were freed */
    size_t unused_count;
    size_t unused_capacity;
};

void live_deinit(struct live *live);
void live_allocated(struct live *live, uint64_t address, uint64_t ticks, struct live_block block);
void live_freed(struct live *live, uint64_t address, uint64_t allocated_ticks);

/* The next live block at or after *position (start with 0), or NULL. */
const struct live_block *live_next(const struct live *live, size_t *position);

#endif
