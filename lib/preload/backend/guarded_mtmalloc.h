/* SPDX-License-Identifier: MIT */
/*
 * guarded_mtmalloc.h - mtmalloc as a backend, for programs in which other allocators are at work
 * too.
 *
 * Libc's malloc can be called by names that nobody stands in front of (__libc_malloc), and so can a
 * linked allocator's; their blocks may end in the program's free(). mtmalloc can tell
 * that a block is not its own; such a block goes to the allocator that the program would use
 * without the tap, and is counted among the losses: whoever made it was not seen.
 */
#ifndef PRELOAD_GUARDED_MTMALLOC_H
#define PRELOAD_GUARDED_MTMALLOC_H

#include "backend.h"

/* The table; blocks that are not mtmalloc's go to `own`. */
struct backend guarded_mtmalloc(const struct backend *own);

#endif
