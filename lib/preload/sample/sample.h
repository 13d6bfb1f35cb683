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
#include <thread/thread.h>

/* Prepare to take stacks: for the constructor, as it may open a library. */
void sample_open_walker(bool may_ask_kernel);

/* The thread begins: seed its generator. */
void sample_thread_init(struct thread *thread, const struct malloctap_thread_slot *slot);

/* Draw the distance to the thread's next sample: its limit. */
uint64_t sample_distance(struct thread *thread);

/* Record an allocation that returned. */
void sample_allocation(struct thread *thread, const struct call *call);

/* Record a free that is about to happen. */
void sample_free(struct thread *thread, const struct call *call);

/* Record that a sampled block is about to end, or, by a realloc, just did; `ticks`: before it did.
 */
void sample_freed(struct thread *thread, const struct call *call, const struct life *life,
                  uint64_t ticks);

bool sample_wipe_on_fork(void);
void sample_wipe(void);

#endif
