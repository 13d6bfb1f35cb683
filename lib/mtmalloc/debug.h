/* SPDX-License-Identifier: MIT */
/* debug.h - patterns in memory, and the last words of a process whose heap is wrong. */
#ifndef MTMALLOC_DEBUG_H
#define MTMALLOC_DEBUG_H

#include <stddef.h>

/* Sizes are multiples of 16, addresses aligned to that. */
void mt_pattern_fill_freed(void *p, size_t size);
void mt_pattern_fill_new(void *p, size_t size);

/* Abort unless all of it is as mt_pattern_fill_freed() left it. */
void mt_pattern_check_freed(const void *p, size_t size);

_Noreturn void mt_abort_double_free(const void *p);

/* What is in front of `p` is not what the allocator put there: `p` was never handed out, or its
 * memory was freed and used anew, or was written to in front of it. */
_Noreturn void mt_abort_not_a_block(const void *p);

#endif
