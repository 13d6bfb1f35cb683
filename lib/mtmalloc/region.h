/* SPDX-License-Identifier: MIT */
/* region.h - the memory that everything is carved from, and whose memory an address is. */
#ifndef MTMALLOC_REGION_H
#define MTMALLOC_REGION_H

#include <stdbool.h>
#include <stddef.h>

/* All sizes are multiples of this. */
#define MT_REGION_UNIT 8192

/* Zeroed memory, aligned to a page, never given back. NULL: there is none. Under the oversize lock.
 */
void *mt_region_alloc(size_t size);

/* Carve from a new region. */
void mt_region_start_over(void);

/* Any thread, without a lock, for any value. */
bool mt_region_owns(const void *p);

#endif
