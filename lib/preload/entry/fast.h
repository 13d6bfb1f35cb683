/* SPDX-License-Identifier: MIT */
/*
 * fast.h - the fast path: what every entry point does with a call that is not special.
 */
#ifndef PRELOAD_FAST_H
#define PRELOAD_FAST_H

#include <sample/lives.h>
#include <thread/thread.h>

/* From the start of a cache line on: in programs with much code what a call costs is mostly that it
 * is not in the instruction cache. */
#define EXPORT __attribute__((visibility("default"), hot, aligned(64)))

/*
 * An allocation. True: counted, forward it. The threshold of a thread that is not known here is
 * zero, so it never gets to the counters.
 */
static always_inline bool fast_alloc(enum malloctap_op op, size_t size)
{
    struct thread *thread = thread_current();
    if (unlikely(!thread_spend(thread, size)))
        return false;
    count_alloc(thread_counters(), op, size);
    return true;
}

/* The same for a free or realloc of a block that is neither sampled, nor null, nor from the arena.
 */
static always_inline bool fast_free(const void *block)
{
    struct thread *thread = thread_current();
    if (unlikely(lives_maybe(block)) || unlikely(!thread_spend(thread, 0)))
        return false;
    count_free(thread_counters());
    return true;
}

/* Size 0 is for the slow path: it may be a free. */
static always_inline bool fast_realloc(const void *block, size_t size)
{
    return likely(size != 0) && likely(!lives_maybe(block)) &&
           fast_alloc(MALLOCTAP_OP_REALLOC, size);
}

#endif
