/* SPDX-License-Identifier: MIT */
/*
 * logged.h - malloc and free of a thread that logs: nearly all calls of a log, without the detours
 * that the slow path takes for whatever else there may be to do.
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

/* Count, forward and log a call of such a thread. The block is neither null, sampled nor from the
 * arena. */
void *logged_malloc(struct thread *thread, size_t size, struct stack_caller caller);
void logged_free(struct thread *thread, void *block, struct stack_caller caller);

#endif
