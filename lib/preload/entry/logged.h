/* SPDX-License-Identifier: MIT */
/*
 * logged.h - malloc, calloc and free of a thread that logs: nearly all calls of a log, without the
 * detours that the slow path takes for whatever else there may be to do.
 */
#ifndef PRELOAD_LOGGED_H
#define PRELOAD_LOGGED_H

#include <malloctap/recording.h>
#include <stack/caller.h>
#include <thread/thread.h>

/* Whether the thread logs its calls, and is not in the middle of that. */
static always_inline bool logged_by(const struct thread *thread)
{
    return thread->orders.mode == MALLOCTAP_MODE_LOG && thread->busy == THREAD_IDLE;
}

/* Count and log an allocation that returned `block`, NULL included. Returns it. */
void *logged_alloc(struct thread *thread, enum malloctap_op op, size_t size, void *block,
                   struct stack_caller caller);

/* Count, log and forward a free, of a block that is neither null, sampled nor from the arena. */
void logged_free(struct thread *thread, void *block, struct stack_caller caller);

#endif
