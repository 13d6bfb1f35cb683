/* SPDX-License-Identifier: MIT */
/*
 * sample.h - what is done with a call that was drawn as a sample.
 *
 * The caller counts and forwards the call; these record it. All preserve nothing of errno: the
 * caller does. Order matters: an allocation is recorded after the memory was obtained and before
 * the program gets it; the end of a block before the memory goes back. So for one address the order
 * of times is the true order, across threads.
 */
#ifndef PRELOAD_SAMPLE_H
#define PRELOAD_SAMPLE_H

#include "lives.h"

#include <backend/call.h>
#include <probe/probe.h>
#include <thread/thread.h>

/* The thread begins: seed its generator. */
void sample_thread_init(struct thread *thread, const struct malloctap_thread_slot *slot);

/* Record an allocation that returned, and what it cost. */
void sample_allocation(struct thread *thread, const struct call *call, const struct probe *probe);

/* Record a free that is over, and what it cost. No sample may be taken in between, so that the
 * order of records is that of time. Before the call nothing is done that can be done after it: a
 * delay there would make the call meet another state of the allocator's locks. */
void sample_free(struct thread *thread, const struct call *call, const struct probe *probe);

/* Record that a sampled block is about to end, or, by a realloc, just did; `ticks`: before it did.
 */
void sample_freed(struct thread *thread, const struct call *call, const struct life *life,
                  uint64_t ticks);

#endif
