/* SPDX-License-Identifier: MIT */
/*
 * slow.h - every call that the fast path hands over: a thread's first, one to be sampled, one that
 * ends a sampled block, one with a block of the bootstrap arena.
 */
#ifndef PRELOAD_SLOW_H
#define PRELOAD_SLOW_H

#include <backend/call.h>

/* Count, forward and record the call; the backend's result and errno stay as it left them. */
void slow_alloc(struct call *call);
void slow_free(struct call *call);

/* See to it that the backend is chosen. */
void slow_prepare(void);

/* Between these two, calls of this thread are forwarded and not counted. NULL: the thread has no
 * state. */
struct thread *slow_inside_begin(void);
void slow_inside_end(struct thread *thread);

#endif
